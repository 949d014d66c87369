#include "core/poller.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/epoll.h>
#endif

#include "core/alloc.h"
#include "core/base.h"

enum {
    FDS_MIN = 8,
};

int ed_poll_fds(struct pollfd *fds, size_t count, uint64_t timeout_ns)
{
    const struct timespec timeout = {
        .tv_sec = (time_t)ed_min_u64(timeout_ns / ED_NS_PER_S, INT32_MAX), // it may have 32 bits
        .tv_nsec = (long)(timeout_ns % ED_NS_PER_S),
    };

    return ppoll(fds, (nfds_t)count, timeout_ns == ED_NEVER_NS ? NULL : &timeout, NULL);
}

void ed_poller_init_poll(ed_poller *poller, const eddy_allocator *allocator)
{
    *poller = (ed_poller){.allocator = allocator, .epoll_fd = -1};
}

void ed_poller_init(ed_poller *poller, const eddy_allocator *allocator)
{
    ed_poller_init_poll(poller, allocator);
#if defined(__linux__)
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
#endif
}

void ed_poller_reset(ed_poller *poller)
{
    ed_alloc_free(poller->allocator, poller->fds, poller->capacity * sizeof *poller->fds);
    ed_alloc_free(poller->allocator, poller->owners, poller->capacity * sizeof *poller->owners);
    if (poller->epoll_fd >= 0)
        (void)close(poller->epoll_fd);
    ed_poller_init_poll(poller, poller->allocator);
}

/** An error shows as both, so that whoever waits tries, and sees it. */
static unsigned ready_of(bool readable, bool writable, bool broken)
{
    return (readable || broken ? (unsigned)EDDY_FD_READABLE : 0U) |
           (writable || broken ? (unsigned)EDDY_FD_WRITABLE : 0U);
}

/* ------------------------------------------------------------------------------------- epoll -- */

#if defined(__linux__)
static eddy_status control(const ed_poller *poller, int operation, int fd, unsigned events,
                           void *owner)
{
    struct epoll_event event = {.data.ptr = owner};

    event.events = ((events & EDDY_FD_READABLE) != 0 ? EPOLLIN : 0U) |
                   ((events & EDDY_FD_WRITABLE) != 0 ? EPOLLOUT : 0U);
    if (epoll_ctl(poller->epoll_fd, operation, fd, &event) == 0)
        return EDDY_OK;
    switch (errno) {
    case EBADF:
    case EPERM: // such as a plain file, which is always ready
    case ENOENT:
        return EDDY_EINVAL;
    case EEXIST:
        return EDDY_EEXIST;
    case ENOMEM:
        return EDDY_ENOMEM;
    default:
        return EDDY_ESYSTEM;
    }
}

/** epoll's own timeout counts in ms, so the sleep is a poll of its descriptor. */
static size_t wait_epoll(const ed_poller *poller, ed_ready *ready, uint64_t timeout_ns)
{
    struct epoll_event events[ED_READY_MAX];
    struct pollfd self = {.fd = poller->epoll_fd, .events = POLLIN};

    if (timeout_ns != 0 && ed_poll_fds(&self, 1, timeout_ns) <= 0)
        return 0;
    int count = epoll_wait(poller->epoll_fd, events, ED_READY_MAX, 0);
    for (int i = 0; i < count; i++) {
        uint32_t got = events[i].events;
        ready[i] = (ed_ready){.owner = events[i].data.ptr,
                              .events = ready_of((got & EPOLLIN) != 0, (got & EPOLLOUT) != 0,
                                                 (got & (EPOLLERR | EPOLLHUP)) != 0)};
    }
    return count < 0 ? 0 : (size_t)count;
}
#else
enum { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD };

static eddy_status control(const ed_poller *poller, int operation, int fd, unsigned events,
                           void *owner)
{
    (void)poller, (void)operation, (void)fd, (void)events, (void)owner;
    return EDDY_ESUPPORT;
}

static size_t wait_epoll(const ed_poller *poller, ed_ready *ready, uint64_t timeout_ns)
{
    (void)poller, (void)ready, (void)timeout_ns;
    return 0;
}
#endif

/* -------------------------------------------------------------------------------------- poll -- */

/** Where it stands; `count`: it does not have it. */
static size_t find(const ed_poller *poller, int fd)
{
    size_t i = 0;

    while (i < poller->count && poller->fds[i].fd != fd)
        i++;
    return i;
}

static void put(ed_poller *poller, size_t i, int fd, unsigned events, void *owner)
{
    int wanted = ((events & EDDY_FD_READABLE) != 0 ? POLLIN : 0) |
                 ((events & EDDY_FD_WRITABLE) != 0 ? POLLOUT : 0);

    poller->fds[i] = (struct pollfd){.fd = fd, .events = (short)wanted};
    poller->owners[i] = owner;
}

static bool make_room(ed_poller *poller)
{
    size_t before = poller->capacity;
    size_t after = before == 0 ? FDS_MIN : 2 * before;

    if (poller->count < before)
        return true;
    struct pollfd *fds = ed_alloc_array(poller->allocator, after, sizeof *fds);
    void **owners = ed_alloc_array(poller->allocator, after, sizeof *owners);
    if (fds == NULL || owners == NULL) {
        ed_alloc_free(poller->allocator, fds, after * sizeof *fds);
        ed_alloc_free(poller->allocator, owners, after * sizeof *owners);
        return false;
    }
    for (size_t i = 0; i < poller->count; i++) {
        fds[i] = poller->fds[i];
        owners[i] = poller->owners[i];
    }
    ed_alloc_free(poller->allocator, poller->fds, before * sizeof *fds);
    ed_alloc_free(poller->allocator, poller->owners, before * sizeof *owners);
    poller->fds = fds;
    poller->owners = owners;
    poller->capacity = after;
    return true;
}

static eddy_status add_poll(ed_poller *poller, int fd, unsigned events, void *owner)
{
    struct pollfd probe = {.fd = fd};

    if (fd < 0 || ed_poll_fds(&probe, 1, 0) < 0 || (probe.revents & POLLNVAL) != 0)
        return EDDY_EINVAL;
    if (find(poller, fd) < poller->count)
        return EDDY_EEXIST;
    if (!make_room(poller))
        return EDDY_ENOMEM;
    put(poller, poller->count++, fd, events, owner);
    return EDDY_OK;
}

static void remove_poll(ed_poller *poller, int fd)
{
    size_t i = find(poller, fd);

    if (i == poller->count)
        return;
    poller->count--;
    poller->fds[i] = poller->fds[poller->count];
    poller->owners[i] = poller->owners[poller->count];
}

static size_t wait_poll(ed_poller *poller, ed_ready *ready, uint64_t timeout_ns)
{
    size_t filled = 0;
    size_t i = 0;

    if (ed_poll_fds(poller->fds, poller->count, timeout_ns) <= 0)
        return 0;
    for (; i < poller->count && filled < ED_READY_MAX; i++) {
        size_t at = (poller->first + i) % poller->count;
        int got = poller->fds[at].revents;
        if (got != 0)
            ready[filled++] =
                (ed_ready){.owner = poller->owners[at],
                           .events = ready_of((got & POLLIN) != 0, (got & POLLOUT) != 0,
                                              (got & (POLLERR | POLLHUP | POLLNVAL)) != 0)};
    }
    poller->first = (poller->first + i) % poller->count;
    return filled;
}

/* ------------------------------------------------------------------------------------ either -- */

eddy_status ed_poller_add(ed_poller *poller, int fd, unsigned events, void *owner)
{
    ED_ASSERT(owner != NULL && events != 0);
    return poller->epoll_fd >= 0 ? control(poller, EPOLL_CTL_ADD, fd, events, owner)
                                 : add_poll(poller, fd, events, owner);
}

eddy_status ed_poller_change(ed_poller *poller, int fd, unsigned events, void *owner)
{
    ED_ASSERT(owner != NULL && events != 0);
    if (poller->epoll_fd >= 0)
        return control(poller, EPOLL_CTL_MOD, fd, events, owner);
    size_t i = find(poller, fd);
    ED_ASSERT(i < poller->count);
    put(poller, i, fd, events, owner);
    return EDDY_OK;
}

void ed_poller_remove(ed_poller *poller, int fd)
{
    if (poller->epoll_fd >= 0)
        (void)control(poller, EPOLL_CTL_DEL, fd, 0, NULL);
    else
        remove_poll(poller, fd);
}

size_t ed_poller_wait(ed_poller *poller, ed_ready ready[ED_READY_MAX], uint64_t timeout_ns)
{
    return poller->epoll_fd >= 0 ? wait_epoll(poller, ready, timeout_ns)
                                 : wait_poll(poller, ready, timeout_ns);
}
