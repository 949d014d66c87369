/** What the parts of a loop know of each other: the loop, its watches, its wakes. */
#ifndef ED_LOOP_H
#define ED_LOOP_H

#include <stdatomic.h>

#include "core/channel.h"
#include "core/poller.h"
#include "core/timer.h"
#include "core/wake.h"

/**
 * Whom the poller tells of: a watch, or something of the loop's own. `ready->owner` becomes NULL if
 * that goes away meanwhile.
 */
typedef struct ed_ready_owner {
    void (*on_ready)(eddy_loop *loop, ed_ready *ready);
} ed_ready_owner;

struct eddy_loop {
    eddy_allocator allocator;
    ed_poller poller;
    ed_timer_set timers;
    ed_channel *posts;
    ed_ready_owner posts_owner;
    ed_wake wake; /* some wake is pending, or the last reference is gone */
    ed_ready_owner wake_owner;
    ed_ready_owner stop_owner;
    ed_list wakes;
    size_t watch_count;
    size_t active_count;          /* of those, that are not paused */
    size_t calls;                 /* callbacks ever */
    _Atomic size_t references;    /* of eddy_loop_ref */
    _Atomic size_t guest_count;   /* calls of other threads that go on */
    _Atomic uintptr_t runner;     /* the thread that runs it; 0: none */
    ed_ready ready[ED_READY_MAX]; /* what the poller has told */
    size_t ready_count;
};

/** Whether this thread may call the loop: nobody runs it, or we do. */
bool ed_loop_may_call(const eddy_loop *loop);

/** Takes an owner out of what the poller has told. */
void ed_loop_forget(eddy_loop *loop, const ed_ready_owner *owner);

/** Waits until a count that others bring down is 0, which is a matter of a few instructions. */
void ed_loop_await_none(const _Atomic size_t *count);

/** Calls the wakes that are pending. */
void ed_loop_run_wakes(eddy_loop *loop);

#endif
