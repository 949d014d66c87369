#include "tools/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_CODE_NOT_STARTED = 127, EXIT_CODE_SIGNAL = 128 };

/** Becomes the program; what fails here shows as its exit code. */
_Noreturn static void become(int report_fd, char *const *argv)
{
    (void)setpgid(0, 0);
    // dup2 onto itself would leave the close-on-exec flag.
    bool is_ready = report_fd == ED_CHILD_REPORT_FD ? fcntl(report_fd, F_SETFD, 0) == 0
                                                    : dup2(report_fd, ED_CHILD_REPORT_FD) >= 0;
    if (is_ready)
        (void)execvp(argv[0], argv);
    _exit(EXIT_CODE_NOT_STARTED);
}

static bool is_running(const ed_child *child)
{
    return child->pid > 0 && !child->has_ended;
}

/** The pipe's end is closed, so the process has ended or is about to. */
static void reap(ed_child *child)
{
    int state = 0;

    ED_ASSERT(is_running(child));
    (void)eddy_watch_destroy(child->watch);
    (void)close(child->fd);
    while (waitpid(child->pid, &state, 0) < 0 && errno == EINTR)
        continue;
    child->has_ended = true;
    child->exit_code = WIFEXITED(state) ? WEXITSTATUS(state) : EXIT_CODE_SIGNAL + WTERMSIG(state);
}

/** Reads once; a report is complete when all its bytes are there. */
static bool take_in(void *context, eddy_watch *watch, unsigned ready)
{
    ed_child *child = context;
    uint8_t *at = (uint8_t *)&child->incoming + child->filled;
    ssize_t got = read(child->fd, at, sizeof child->incoming - child->filled);

    (void)watch, (void)ready;
    if (got < 0 && errno == EINTR)
        return true;
    if (got <= 0) {
        reap(child);
        return false;
    }
    child->filled += (size_t)got;
    ED_ASSERT(child->filled <= sizeof child->incoming);
    if (child->filled < sizeof child->incoming)
        return true;
    child->filled = 0;
    child->latest = child->incoming;
    child->has_reported = true;
    return true;
}

eddy_status ed_child_start(ed_child *child, eddy_loop *loop, char *const *argv)
{
    int ends[2];

    ED_ASSERT(child->pid == 0);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return EDDY_ESYSTEM;
    fflush(NULL); // or the child would print again what we have not yet printed
    pid_t pid = fork();
    if (pid == 0)
        become(ends[1], argv);
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return EDDY_ESYSTEM;
    }
    *child = (ed_child){.pid = pid, .fd = ends[0]};
    eddy_status status =
        eddy_watch_create(loop, child->fd, EDDY_FD_READABLE, take_in, child, &child->watch);
    if (status != EDDY_OK)
        ed_child_kill(child, 1);
    return status;
}

void ed_child_signal(const ed_child *children, size_t count, int signal_number)
{
    for (size_t i = 0; i < count; i++)
        if (is_running(&children[i]))
            (void)kill(children[i].pid, signal_number);
}

void ed_child_kill(ed_child *children, size_t count)
{
    ed_child_signal(children, count, SIGKILL);
    for (size_t i = 0; i < count; i++)
        if (is_running(&children[i]))
            reap(&children[i]);
}

size_t ed_child_running(const ed_child *children, size_t count)
{
    size_t running = 0;

    for (size_t i = 0; i < count; i++)
        running += is_running(&children[i]);
    return running;
}
