#include "core/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/eventfd.h>
#endif

#include "core/base.h"
#include "core/clock.h"
#include "core/poller.h"

enum {
    CLEAR_SIZE = 64, /* bytes taken from a pipe at once; an eventfd gives 8 */
};

static bool init_eventfd(ed_wake *wake)
{
#if defined(__linux__)
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return false;
    *wake = (ed_wake){.read_fd = fd, .write_fd = fd};
    return true;
#else
    (void)wake;
    return false;
#endif
}

static bool prepare_end(int fd)
{
    return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool init_pipe(ed_wake *wake)
{
    int ends[2];

    if (pipe(ends) != 0)
        return false;
    *wake = (ed_wake){.read_fd = ends[0], .write_fd = ends[1]};
    if (prepare_end(ends[0]) && prepare_end(ends[1]))
        return true;
    ed_wake_destroy(wake);
    return false;
}

eddy_status ed_wake_init(ed_wake *wake)
{
    if (init_eventfd(wake) || init_pipe(wake))
        return EDDY_OK;
    *wake = (ed_wake){.read_fd = -1, .write_fd = -1};
    return EDDY_ESYSTEM;
}

void ed_wake_destroy(ed_wake *wake)
{
    if (wake->read_fd >= 0)
        (void)close(wake->read_fd);
    if (wake->write_fd >= 0 && wake->write_fd != wake->read_fd)
        (void)close(wake->write_fd);
    *wake = (ed_wake){.read_fd = -1, .write_fd = -1};
}

void ed_wake_set(ed_wake *wake)
{
    static const uint64_t one = 1; // an eventfd adds it up, a pipe just holds its bytes
    int error_before = errno;      // a signal handler must leave errno alone
    ssize_t written = 0;

    ED_ASSERT(wake->write_fd >= 0);
    do
        written = write(wake->write_fd, &one, sizeof one);
    while (written < 0 && errno == EINTR);
    ED_ASSERT(written > 0 || errno == EAGAIN); // full: it is readable already
    errno = error_before;
}

void ed_wake_clear(ed_wake *wake)
{
    uint64_t bytes[CLEAR_SIZE / sizeof(uint64_t)];
    ssize_t got = 0;

    ED_ASSERT(wake->read_fd >= 0);
    // A pipe is empty after a short read; an eventfd after any.
    do
        got = read(wake->read_fd, bytes, sizeof bytes);
    while (got == (ssize_t)sizeof bytes || (got < 0 && errno == EINTR));
    ED_ASSERT(got > 0 || (got < 0 && errno == EAGAIN));
}

void ed_wake_wait(const int *fds, size_t count, uint64_t deadline_ns)
{
    struct pollfd polled[ED_WAKE_WAIT_MAX];

    ED_ASSERT(count <= ED_WAKE_WAIT_MAX);
    for (size_t i = 0; i < count; i++)
        polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    uint64_t now_ns = deadline_ns == ED_NEVER_NS ? 0 : ed_clock_now_ns();
    uint64_t left_ns = deadline_ns - ed_min_u64(deadline_ns, now_ns);
    int ready = ed_poll_fds(polled, count, left_ns);
    ED_ASSERT(ready >= 0 || errno == EINTR || errno == EAGAIN || errno == ENOMEM);
}
