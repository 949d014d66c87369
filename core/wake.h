/** A descriptor that one thread waits on and any other makes readable (eventfd, else a pipe). */
#ifndef ED_WAKE_H
#define ED_WAKE_H

#include "core/eddy.h"

typedef struct ed_wake {
    int read_fd;
    int write_fd;
} ed_wake;

EDDY_MUST_CHECK eddy_status ed_wake_init(ed_wake *wake); /* EDDY_OK or EDDY_ESYSTEM */
void ed_wake_destroy(ed_wake *wake);

/** Makes read_fd readable; any number of times before a clear counts once. Signal-safe. */
void ed_wake_set(ed_wake *wake);

/** Makes read_fd unreadable. */
void ed_wake_clear(ed_wake *wake);

enum { ED_WAKE_WAIT_MAX = 64 };

/**
 * Sleeps until one of up to ED_WAKE_WAIT_MAX descriptors is readable, or until the deadline of
 * ed_clock_now_ns(). May wake for no reason.
 */
void ed_wake_wait(const int *fds, size_t count, uint64_t deadline_ns);

#endif
