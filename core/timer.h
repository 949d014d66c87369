/** The timers of a loop, apart from it: they run by the time that they are told. */
#ifndef ED_TIMER_H
#define ED_TIMER_H

#include "core/eddy_loop.h"
#include "core/wheel.h"

typedef struct ed_timer_set {
    ed_wheel wheel;
    uint64_t (*read_ns)(void);
    const eddy_allocator *allocator;
    const eddy_loop *loop; /* whose timers they are; NULL: nobody asks which thread calls */
    uint64_t now_ns;       /* when this round began */
    size_t count;          /* of timers, started or not */
} ed_timer_set;

/** @param allocator outlives the timers. */
void ed_timer_set_init(ed_timer_set *timers, const eddy_allocator *allocator, const eddy_loop *loop,
                       uint64_t (*read_ns)(void));

/** @return NULL out of memory. */
eddy_timer *ed_timer_create(ed_timer_set *timers, eddy_timer_run run, void *context);

/**
 * Calls all that are due at `now_ns`, which is not before that of the last call. A timer started
 * meanwhile waits for the next round, whatever its time. @return how many calls.
 */
size_t ed_timer_set_run(ed_timer_set *timers, uint64_t now_ns);

#endif
