/** The sizes in which a pool keeps memory: see core/pool.h. Internal to the pool. */
#ifndef ED_POOL_CLASS_H
#define ED_POOL_CLASS_H

#include "core/base.h"
#include "core/pool.h"

enum {
    ED_POOL_CLASS_STEPS = 4, /* to each doubling */
    ED_POOL_BLOCK_STEP = 32,
    ED_POOL_BLOCK_SMALL_MAX = 128,
};

static const uint16_t ed_pool_class_sizes[ED_POOL_CLASS_COUNT] = {
    16,  32,  48,  64,  80,  96,  112, 128,  160,  192,  224,  256,
    320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048,
};

/** The smallest class that holds `size` bytes; ED_POOL_CLASS_COUNT: none does. */
static inline unsigned ed_pool_class_of(size_t size)
{
    size_t step = ED_POOL_CLASS_SIZE_MIN;
    unsigned before = 0;

    ED_ASSERT(size > 0);
    if (size > ED_POOL_CLASS_SIZE_MAX)
        return ED_POOL_CLASS_COUNT;
    for (; size > 2 * ED_POOL_CLASS_STEPS * step; step *= 2)
        before += ED_POOL_CLASS_STEPS;
    return before + (unsigned)((size - 1) / step);
}

/** Small blocks are of few classes, so that what one message gives back serves another like it. */
static inline size_t ed_pool_size_of_block(size_t size)
{
    size_t whole = sizeof(ed_block) + size;

    return whole > ED_POOL_BLOCK_SMALL_MAX
               ? whole
               : (whole + ED_POOL_BLOCK_STEP - 1) / ED_POOL_BLOCK_STEP * ED_POOL_BLOCK_STEP;
}

#endif
