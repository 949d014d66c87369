#include "tools/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

eddy_status ed_child_start(ed_child *child, char *const *argv)
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
    return EDDY_OK;
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
    (void)close(child->fd);
    while (waitpid(child->pid, &state, 0) < 0 && errno == EINTR)
        continue;
    child->has_ended = true;
    child->exit_code = WIFEXITED(state) ? WEXITSTATUS(state) : EXIT_CODE_SIGNAL + WTERMSIG(state);
}

/** Reads once; a report is complete when all its bytes are there. */
static void take_in(ed_child *child)
{
    uint8_t *at = (uint8_t *)&child->incoming + child->filled;
    ssize_t got = read(child->fd, at, sizeof child->incoming - child->filled);

    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0) {
        reap(child);
        return;
    }
    child->filled += (size_t)got;
    ED_ASSERT(child->filled <= sizeof child->incoming);
    if (child->filled < sizeof child->incoming)
        return;
    child->filled = 0;
    child->latest = child->incoming;
    child->has_reported = true;
}

void ed_child_listen(ed_child *children, size_t count, int timeout_ms)
{
    struct pollfd waits[ED_CHILD_MAX];

    ED_ASSERT(count <= ED_CHILD_MAX);
    for (size_t i = 0; i < count; i++)
        waits[i] =
            (struct pollfd){.fd = is_running(&children[i]) ? children[i].fd : -1, .events = POLLIN};
    if (poll(waits, (nfds_t)count, timeout_ms) <= 0)
        return; // nothing new, or a signal, which the caller looks for itself
    for (size_t i = 0; i < count; i++)
        if (waits[i].revents != 0)
            take_in(&children[i]);
}

void ed_child_signal(const ed_child *children, size_t count, int signal_number)
{
    for (size_t i = 0; i < count; i++)
        if (is_running(&children[i]))
            (void)kill(children[i].pid, signal_number);
}

size_t ed_child_running(const ed_child *children, size_t count)
{
    size_t running = 0;

    for (size_t i = 0; i < count; i++)
        running += is_running(&children[i]);
    return running;
}
