/**
 * Blocks for messages: freed blocks are kept by size class, so that a warm pool allocates nothing.
 * Thread-safe: the program takes and the manager gives, or the other way round.
 */
#ifndef ED_POOL_H
#define ED_POOL_H

#include "core/eddy.h"

typedef struct ed_pool ed_pool;

enum {
    ED_POOL_CLASS_COUNT = 7, /* blocks of 32, 64, ... 2,048 bytes; larger ones are not kept */
    ED_POOL_CLASS_SIZE_MIN = 32,
};

/** A block of memory; its pool is charged the class size. `next` and `note` are its holder's. */
typedef struct ed_block {
    ed_pool *pool;
    struct ed_block *next;
    uint64_t note;
    uint32_t size;   /* what was asked for */
    uint32_t charge; /* what the account pays */
    _Alignas(16) uint8_t data[];
} ed_block;

/** @param budget bytes of blocks out at any time. @return a pool or NULL. */
ed_pool *ed_pool_create(const eddy_allocator *allocator, size_t budget);

/** All blocks must be back. NULL is fine. */
void ed_pool_destroy(ed_pool *pool);

/** @return a block of at least `size` bytes (0 is fine), or NULL: no memory, or over the budget. */
ed_block *ed_pool_take(ed_pool *pool, size_t size);

/** NULL is fine. */
void ed_pool_give(ed_block *block);

/** The bytes of blocks that are out. */
size_t ed_pool_charged(ed_pool *pool);

/** The bytes of the budget that are left. */
size_t ed_pool_left(ed_pool *pool);

#endif
