/**
 * Blocks for messages: freed blocks are kept by size class, so that a warm pool allocates nothing.
 * Thread-safe: the program takes and the manager gives, or the other way round.
 *
 * The budget is exact: a block is charged from the moment that it is taken until it is given, and
 * what is kept counts, too. Who has many to take or to give does so under one lock.
 */
#ifndef ED_POOL_H
#define ED_POOL_H

#include <stdatomic.h>

#include "core/eddy.h"

typedef struct ed_pool ed_pool;

/**
 * Memory of 16, 32, 48, 64, then four sizes to each doubling up to 2,048 bytes: from 49 bytes on
 * rounding wastes at most a quarter. More is not rounded, and not kept. The sizes are those that
 * mimalloc rounds to as well, so that what is charged is what is taken. Of blocks there are 32, 64,
 * 96 and 128, and those above.
 */
enum {
    ED_POOL_CLASS_COUNT = 24,
    ED_POOL_CLASS_SIZE_MIN = 16,
    ED_POOL_CLASS_SIZE_MAX = 2048,
    ED_POOL_HOLDER_SHARE = 10,
};

/**
 * A block of memory; its pool is charged the class size. `next` and `note` are its holder's, and
 * nobody's while several hold it: they only read it.
 */
typedef struct ed_block {
    ed_pool *pool;
    struct ed_block *next;
    uint64_t note;
    uint32_t size; /* what was asked for */
    _Atomic uint32_t holder_count;
    _Alignas(16) uint8_t data[];
} ed_block;

/** @param budget bytes of blocks out at any time. @return a pool or NULL. */
ed_pool *ed_pool_create(const eddy_allocator *allocator, size_t budget);

/**
 * From now on, while no block is out, each holder of a block is charged as well for what it keeps
 * to do with it: `base` bytes and an ED_POOL_HOLDER_SHARE-th of the block's size.
 */
void ed_pool_charge_holders(ed_pool *pool, size_t base);

/** From now on, while no block is out, one thread at a time uses the pool: it takes no lock. */
void ed_pool_use_alone(ed_pool *pool);

/** All blocks must be back. NULL is fine. */
void ed_pool_destroy(ed_pool *pool);

/** @return a block of at least `size` bytes (0 is fine), or NULL: no memory, or over the budget. */
ed_block *ed_pool_take(ed_pool *pool, size_t size);

/**
 * Several at once: blocks[i] is as ed_pool_take makes one of sizes[i].
 * @return how many: all before the first for which there was no room.
 */
size_t ed_pool_take_all(ed_pool *pool, const size_t *sizes, ed_block **blocks, size_t count);

/**
 * Counts one more holder, each of whom gives the block back. Any thread.
 * @return `block`; NULL if holders are charged, and it would be over the budget.
 */
ed_block *ed_pool_share(ed_block *block);

/** One holder is done with the block; the last gives it back. NULL is fine. */
void ed_pool_give(ed_block *block);

/** Blocks with which their holders are done, and which are still charged. Zeroed: none. */
typedef struct ed_discards {
    ed_block *newest; /* the others are linked behind it by `next` */
} ed_discards;

static inline void ed_discards_add(ed_discards *discards, ed_block *block)
{
    block->next = discards->newest;
    discards->newest = block;
}

/** As ed_pool_give, but the last of several holders to be done puts it here. */
void ed_discard_shared(ed_discards *discards, ed_block *block);

/** The same for any number of holders. */
static inline void ed_discard(ed_discards *discards, ed_block *block)
{
    if (atomic_load(&block->holder_count) != 1) {
        ed_discard_shared(discards, block);
        return;
    }
    // Who holds it alone is the only one that could share it: one it stays. No holder is left.
    atomic_store_explicit(&block->holder_count, 0, memory_order_relaxed);
    ed_discards_add(discards, block);
}

/** Gives all of them to their pools. */
void ed_discards_give(ed_discards *discards);

/**
 * Memory without a block's header, for what there are many of; its holder is charged nothing more.
 * @param size not 0. @return as ed_pool_take.
 */
void *ed_pool_take_bytes(ed_pool *pool, size_t size);

/** @param size what was asked for. NULL is fine. */
void ed_pool_give_bytes(ed_pool *pool, void *bytes, size_t size);

/** What the account pays for a block of `size` bytes. */
size_t ed_pool_charge(size_t size);

/** What the account pays for this one. */
static inline size_t ed_block_charge(const ed_block *block)
{
    return ed_pool_charge(block->size);
}

/** The bytes of blocks that are out. */
size_t ed_pool_charged(ed_pool *pool);

/** The bytes of the budget that are left. */
size_t ed_pool_left(ed_pool *pool);

#endif
