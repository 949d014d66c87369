/** A request to end: any thread asks, the manager takes it at a poll. Needs no memory. */
#ifndef ED_ENDING_H
#define ED_ENDING_H

#include <stdatomic.h>

#include "core/base.h"
#include "core/eddy.h"

#define ED_ENDING_NONE UINT64_MAX

typedef struct ed_ending {
    atomic_uint_fast64_t flush_ms; /* ED_ENDING_NONE: nobody has asked since it was taken */
} ed_ending;

static inline void ed_ending_init(ed_ending *ending)
{
    atomic_init(&ending->flush_ms, ED_ENDING_NONE);
}

/** Of several that ask between two polls, the one in the greatest hurry counts. */
static inline void ed_ending_ask(ed_ending *ending, uint32_t flush_ms)
{
    uint_fast64_t asked = atomic_load(&ending->flush_ms);

    while (flush_ms < asked &&
           !atomic_compare_exchange_weak(&ending->flush_ms, &asked, (uint_fast64_t)flush_ms))
        continue;
}

/** Whether somebody has asked, and it is not taken yet. */
static inline bool ed_ending_came(const ed_ending *ending)
{
    return atomic_load(&ending->flush_ms) != ED_ENDING_NONE;
}

/** @return whether somebody has asked; then it is taken, and `*flush_ns` says for how long. */
static inline bool ed_ending_take(ed_ending *ending, uint64_t *flush_ns)
{
    if (!ed_ending_came(ending))
        return false;
    uint64_t flush_ms = atomic_exchange(&ending->flush_ms, ED_ENDING_NONE);
    *flush_ns = flush_ms == EDDY_FOREVER ? ED_NEVER_NS : flush_ms * ED_NS_PER_MS;
    return true;
}

#endif
