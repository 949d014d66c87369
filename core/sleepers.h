/**
 * Threads that sleep until something may have changed, and how they are woken: a wake costs nothing
 * while nobody sleeps, and else a system call.
 *
 * All is guarded by the mutex of who changes it. So a sleeper that says with that mutex held that
 * it sleeps, and then looks once more, cannot miss a change.
 */
#ifndef ED_SLEEPERS_H
#define ED_SLEEPERS_H

#include <stdatomic.h>

#include "core/eddy.h"
#include "core/thread.h"

typedef struct ed_sleepers {
    ed_condition woken;
    size_t waiting;         /* asleep, and no wake is on its way to them */
    size_t wakes;           /* on their way: one for each that is asleep and not `waiting` */
    uint64_t rounds;        /* how often all were woken that slept */
    _Atomic uint64_t calls; /* of the system, made to wake somebody */
} ed_sleepers;

#define ED_SLEEPERS_ALL SIZE_MAX

EDDY_MUST_CHECK eddy_status ed_sleepers_init(ed_sleepers *sleepers);
void ed_sleepers_destroy(ed_sleepers *sleepers);

/** Whether there is nothing to sleep for. It must not block. */
typedef bool (*ed_sleepers_ready)(void *context);

/**
 * Sleeps, with the mutex given up, until `ready(context)`, a wake, or the deadline of
 * ed_clock_now_ns(). @return false: the time is up. After true look again, and sleep again.
 */
bool ed_sleepers_wait(ed_sleepers *sleepers, ed_mutex *mutex, ed_sleepers_ready ready,
                      void *context, uint64_t deadline_ns);

/**
 * With the mutex held: who is to be woken, `count` at most, of sleepers that are alike: whoever of
 * them looks next may have another's wake. All: each is woken, and looks. Then, without the mutex:
 * wakes them.
 */
EDDY_MUST_CHECK size_t ed_sleepers_claim(ed_sleepers *sleepers, size_t count);
void ed_sleepers_wake(ed_sleepers *sleepers, size_t claimed);

#endif
