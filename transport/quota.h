/** So many of something for all who take from it, on any thread: never more, not for a moment. */
#ifndef ED_QUOTA_H
#define ED_QUOTA_H

#include <stdatomic.h>

#include "core/base.h"

typedef struct ed_quota {
    atomic_uint left;
} ed_quota;

static inline void ed_quota_init(ed_quota *quota, uint32_t count)
{
    atomic_store(&quota->left, count);
}

static inline uint32_t ed_quota_left(ed_quota *quota)
{
    return atomic_load(&quota->left);
}

/** Takes one. @return false if none is left. */
EDDY_MUST_CHECK static inline bool ed_quota_take(ed_quota *quota)
{
    unsigned left = atomic_load(&quota->left);

    while (left > 0)
        if (atomic_compare_exchange_weak(&quota->left, &left, left - 1))
            return true;
    return false;
}

/** Gives one back. */
static inline void ed_quota_give(ed_quota *quota)
{
    unsigned before = atomic_fetch_add(&quota->left, 1);

    ED_ASSERT(before < UINT32_MAX);
}

#endif
