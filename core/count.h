/** A count of holders, which none can leave that has not come. Signal-safe. */
#ifndef ED_COUNT_H
#define ED_COUNT_H

#include <stdatomic.h>

#include "core/base.h"

static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_BOOL_LOCK_FREE == 2 && ATOMIC_LONG_LOCK_FREE == 2,
              "a signal handler must not wait for a lock");

/** One holder less. @param was_last whether it was. @return false: there is none. */
static inline bool ed_count_leave(_Atomic size_t *count, bool *was_last)
{
    size_t before = atomic_load(count);

    do
        if (before == 0)
            return false;
    while (!atomic_compare_exchange_weak(count, &before, before - 1));
    *was_last = before == 1;
    return true;
}

#endif
