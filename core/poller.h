/** Waits for many descriptors at once (epoll, else poll). Level-triggered; one thread. */
#ifndef ED_POLLER_H
#define ED_POLLER_H

#include <poll.h>

#include "core/eddy_loop.h"

/** As poll(), for a time in ns. @param timeout_ns UINT64_MAX: no limit. */
int ed_poll_fds(struct pollfd *fds, size_t count, uint64_t timeout_ns);

typedef struct ed_poller {
    const eddy_allocator *allocator;
    int epoll_fd;       /* -1: it is poll that waits, and has these */
    struct pollfd *fds; /* `count` of `capacity`, and their owners */
    void **owners;
    size_t count;
    size_t capacity;
    size_t first; /* where the next look begins, so that each has its turn */
} ed_poller;

enum {
    ED_READY_MAX = 64, /* told at once; others are told by the next wait */
};

/** A descriptor that is ready, by who owns it. */
typedef struct ed_ready {
    void *owner;
    unsigned events; /* EDDY_FD_READABLE, EDDY_FD_WRITABLE; both after an error */
} ed_ready;

/** @param allocator outlives the poller. */
void ed_poller_init(ed_poller *poller, const eddy_allocator *allocator);

/** As ed_poller_init, but without epoll. */
void ed_poller_init_poll(ed_poller *poller, const eddy_allocator *allocator);
void ed_poller_reset(ed_poller *poller);

/**
 * Waits for `events`, at least one, of a descriptor that it does not have.
 * @return EDDY_OK, EDDY_EINVAL (not one to wait for), EDDY_EEXIST, EDDY_ENOMEM or EDDY_ESYSTEM.
 */
EDDY_MUST_CHECK eddy_status ed_poller_add(ed_poller *poller, int fd, unsigned events, void *owner);

/** Waits for other events of a descriptor that it has. */
EDDY_MUST_CHECK eddy_status ed_poller_change(ed_poller *poller, int fd, unsigned events,
                                             void *owner);

/** A descriptor that it does not have, or that was closed since, is fine. */
void ed_poller_remove(ed_poller *poller, int fd);

/** @return how many are ready, 0 when the time is up or a signal came. */
size_t ed_poller_wait(ed_poller *poller, ed_ready ready[ED_READY_MAX], uint64_t timeout_ns);

#endif
