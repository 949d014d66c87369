#include "core/pool.h"

#include "core/alloc.h"
#include "core/base.h"
#include "core/pool_class.h"
#include "core/thread.h"

/** Memory that is kept. */
struct spare {
    struct spare *next;
    size_t size;
};

static_assert(sizeof(struct spare) <= offsetof(ed_block, holder_count), "giving twice is seen");
static_assert(sizeof(struct spare) <= ED_POOL_CLASS_SIZE_MIN, "the smallest class holds a link");
static_assert(sizeof(void *) < 8 || sizeof(ed_block) == 32, "as small as it was before sharing");
static_assert(offsetof(ed_block, data) % 16 == 0, "eddy_event promises aligned messages");

enum { NO_CLASS = ED_POOL_CLASS_COUNT }; /* of more than the largest, and never kept */

struct ed_pool {
    const eddy_allocator *allocator;
    size_t budget;
    size_t holder_base; /* that each holder is charged; 0: nothing */
    bool has_one_user;  /* nobody needs the mutex */
    ed_mutex mutex;     /* guards what follows */
    size_t charged;     /* bytes that are out */
    size_t kept;        /* bytes in `spare`; with `charged` never above the budget */
    struct spare *spare[ED_POOL_CLASS_COUNT];
};

/** What is taken for so many bytes. */
struct shape {
    unsigned size_class;
    size_t taken;  /* from the allocator */
    size_t charge; /* that, and what the holder of a block is charged */
};

static inline struct shape shape_of(size_t size)
{
    unsigned size_class = ed_pool_class_of(size);
    size_t taken = size_class == NO_CLASS ? size : ed_pool_class_sizes[size_class];

    return (struct shape){.size_class = size_class, .taken = taken, .charge = taken};
}

size_t ed_pool_charge(size_t size)
{
    return shape_of(ed_pool_size_of_block(size)).taken;
}

void ed_pool_charge_holders(ed_pool *pool, size_t base)
{
    ED_ASSERT(pool->charged == 0 && base > 0);
    pool->holder_base = base;
}

void ed_pool_use_alone(ed_pool *pool)
{
    ED_ASSERT(pool->charged == 0);
    pool->has_one_user = true;
}

static inline size_t holder_charge(const ed_pool *pool, size_t size)
{
    return pool->holder_base == 0 ? 0 : pool->holder_base + size / ED_POOL_HOLDER_SHARE;
}

static inline struct shape shape_of_block(const ed_pool *pool, size_t size)
{
    struct shape shape = shape_of(ed_pool_size_of_block(size));

    shape.charge += holder_charge(pool, size);
    return shape;
}

static void push_spare(struct spare **list, struct spare *memory, size_t size)
{
    *memory = (struct spare){.next = *list, .size = size};
    *list = memory;
}

static struct spare *pull_spare(struct spare **list)
{
    struct spare *memory = *list;

    if (memory == NULL)
        return NULL;
    *list = memory->next;
    ed_prefetch(*list); // the next to be taken has lain idle since it was given back
    return memory;
}

static void free_all(ed_pool *pool, struct spare *list)
{
    for (struct spare *memory = pull_spare(&list); memory != NULL; memory = pull_spare(&list))
        ed_alloc_free(pool->allocator, memory, memory->size);
}

ed_pool *ed_pool_create(const eddy_allocator *allocator, size_t budget)
{
    ed_pool *pool = ed_alloc_zeroed(allocator, sizeof(*pool));

    if (pool == NULL)
        return NULL;
    pool->allocator = allocator;
    pool->budget = budget;
    if (ed_mutex_init(&pool->mutex) == EDDY_OK)
        return pool;
    ed_alloc_free(allocator, pool, sizeof(*pool));
    return NULL;
}

void ed_pool_destroy(ed_pool *pool)
{
    if (pool == NULL)
        return;
    ED_ASSERT(pool->charged == 0);

    for (unsigned size_class = 0; size_class < ED_POOL_CLASS_COUNT; size_class++)
        free_all(pool, pool->spare[size_class]);
    ed_mutex_destroy(&pool->mutex);
    ed_alloc_free(pool->allocator, pool, sizeof(*pool));
}

/** Puts what is kept onto a list, the largest first, until so many more bytes fit. */
static void evict(ed_pool *pool, size_t needed, struct spare **evicted)
{
    unsigned size_class = ED_POOL_CLASS_COUNT;

    ED_ASSERT(pool->charged + needed <= pool->budget);
    while (pool->budget - pool->charged - pool->kept < needed) {
        while (size_class > 0 && pool->spare[size_class - 1] == NULL)
            size_class--;
        ED_ASSERT(size_class > 0); // with nothing kept it fits
        size_t size = ed_pool_class_sizes[size_class - 1];
        pool->kept -= size;
        push_spare(evicted, pull_spare(&pool->spare[size_class - 1]), size);
    }
}

static inline void lock(ed_pool *pool)
{
    if (!pool->has_one_user)
        ed_mutex_lock(&pool->mutex);
}

static inline void unlock(ed_pool *pool)
{
    if (!pool->has_one_user)
        ed_mutex_unlock(&pool->mutex);
}

/** With the lock held; what has to be freed for it goes onto `*evicted`. */
static inline bool charge(ed_pool *pool, size_t size, struct spare **evicted)
{
    ED_ASSERT(pool->charged + pool->kept <= pool->budget);
    if (size > pool->budget - pool->charged)
        return false;
    if (pool->budget - pool->charged - pool->kept < size)
        evict(pool, size, evicted);
    pool->charged += size;
    return true;
}

/**
 * With the lock held: reserves several of one shape, and takes what is kept of its class; NULL for
 * the others. @return for how many there is room.
 */
static inline size_t reserve(ed_pool *pool, const struct shape *shape, ed_block **memory,
                             size_t count, struct spare **evicted)
{
    size_t left = pool->budget - pool->charged;
    size_t pulled = 0;

    if ((uint64_t)shape->charge * count > left)
        count = left / shape->charge;
    while (shape->size_class != NO_CLASS && pulled < count &&
           pool->spare[shape->size_class] != NULL)
        memory[pulled++] = (ed_block *)(void *)pull_spare(&pool->spare[shape->size_class]);
    pool->kept -= pulled * shape->taken;
    for (size_t i = pulled; i < count; i++)
        memory[i] = NULL;
    bool fits = charge(pool, count * shape->charge, evicted);
    ED_ASSERT(fits); // there were so many fewer
    return count;
}

static void refund(ed_pool *pool, size_t size)
{
    lock(pool);
    ED_ASSERT(pool->charged >= size);
    pool->charged -= size;
    unlock(pool);
}

/** Once there is a reservation, of which nothing was kept. */
static void *allocate(ed_pool *pool, const struct shape *shape)
{
    void *fresh = pool->allocator->allocate(pool->allocator->context, shape->taken);

    if (fresh == NULL)
        refund(pool, shape->charge);
    return fresh;
}

/** With the lock held: where memory of that shape goes that is given back; onto `*large` to be
 * freed.
 */
static inline struct spare **place_of(ed_pool *pool, const struct shape *shape,
                                      struct spare **large)
{
    return shape->size_class == NO_CLASS ? large : &pool->spare[shape->size_class];
}

/** With the lock held: so much memory of that shape has gone there. */
static inline void count_back(ed_pool *pool, const struct shape *shape, size_t count)
{
    ED_ASSERT(pool->charged >= count * shape->charge);
    pool->charged -= count * shape->charge;
    pool->kept += shape->size_class == NO_CLASS ? 0 : count * shape->taken;
}

void *ed_pool_take_bytes(ed_pool *pool, size_t size)
{
    struct shape shape = shape_of(size);
    ed_block *memory = NULL; // or what is to be none
    struct spare *evicted = NULL;

    lock(pool);
    bool fits = reserve(pool, &shape, &memory, 1, &evicted) == 1;
    unlock(pool);
    free_all(pool, evicted);
    return memory != NULL || !fits ? memory : allocate(pool, &shape);
}

void ed_pool_give_bytes(ed_pool *pool, void *bytes, size_t size)
{
    struct spare *large = NULL;

    if (bytes == NULL)
        return;
    struct shape shape = shape_of(size);
    lock(pool);
    push_spare(place_of(pool, &shape, &large), bytes, shape.taken);
    count_back(pool, &shape, 1);
    unlock(pool);
    free_all(pool, large);
}

/* ---------------------------------------------------------------------------------- blocks -- */

/** How many sizes, from the first on, are the same. */
static inline size_t count_alike(const size_t *sizes, size_t count)
{
    size_t alike = 1;

    while (alike < count && sizes[alike] == sizes[0])
        alike++;
    return alike;
}

/** With the lock held: what is kept for blocks of one size, or NULL. @return how many may be. */
static inline size_t reserve_blocks(ed_pool *pool, size_t size, ed_block **blocks, size_t count,
                                    struct spare **evicted)
{
    if (size > UINT32_MAX - sizeof(ed_block))
        return 0;
    struct shape shape = shape_of_block(pool, size);
    return reserve(pool, &shape, blocks, count, evicted);
}

/** With the lock held: the same, of any sizes. */
static size_t reserve_all(ed_pool *pool, const size_t *sizes, ed_block **blocks, size_t count,
                          struct spare **evicted)
{
    size_t reserved = 0, alike = 0, got = 0;

    for (; reserved < count && got == alike; reserved += got) {
        alike = count_alike(sizes + reserved, count - reserved);
        got = reserve_blocks(pool, sizes[reserved], blocks + reserved, alike, evicted);
    }
    return reserved;
}

/** Makes a block of what was reserved for it. @return false out of memory: nothing is reserved. */
static inline bool make_block(ed_pool *pool, ed_block **block, size_t size)
{
    if (*block == NULL) {
        struct shape shape = shape_of_block(pool, size);
        *block = allocate(pool, &shape);
    }
    if (*block == NULL)
        return false;
    **block = (ed_block){.pool = pool, .size = (uint32_t)size, .holder_count = 1};
    return true;
}

size_t ed_pool_take_all(ed_pool *pool, const size_t *sizes, ed_block **blocks, size_t count)
{
    struct spare *evicted = NULL;
    size_t made = 0;

    lock(pool);
    size_t reserved = reserve_all(pool, sizes, blocks, count, &evicted);
    unlock(pool);
    free_all(pool, evicted);
    while (made < reserved && make_block(pool, &blocks[made], sizes[made]))
        made++;
    for (size_t i = made + 1; i < reserved; i++)
        if (make_block(pool, &blocks[i], sizes[i]))
            ed_pool_give(blocks[i]);
    return made;
}

ed_block *ed_pool_take(ed_pool *pool, size_t size)
{
    ed_block *block = NULL;

    return ed_pool_take_all(pool, &size, &block, 1) == 1 ? block : NULL;
}

/** @return whether there was room for what one more holder is charged. */
static bool charge_holder(ed_pool *pool, size_t holder)
{
    struct spare *evicted = NULL;

    if (holder == 0)
        return true;
    lock(pool);
    bool fits = charge(pool, holder, &evicted);
    unlock(pool);
    free_all(pool, evicted);
    return fits;
}

ed_block *ed_pool_share(ed_block *block)
{
    if (!charge_holder(block->pool, holder_charge(block->pool, block->size)))
        return NULL;
    uint32_t before = atomic_fetch_add(&block->holder_count, 1);

    ED_ASSERT(before > 0 && before < UINT32_MAX); // only a holder can share
    return block;
}

/** One of several is done with it. @return whether no other was left: else it is not ours now. */
static bool leave(ed_block *block)
{
    ed_pool *pool = block->pool;
    size_t holder = holder_charge(pool, block->size);
    uint32_t before = atomic_fetch_sub(&block->holder_count, 1);

    ED_ASSERT(before > 0);
    if (before > 1 && holder > 0)
        refund(pool, holder);
    return before == 1;
}

/** With the lock held: gives back those of the first one's size. @return the first of another. */
static ed_block *give_alike(ed_pool *pool, ed_block *block, struct spare **large)
{
    uint32_t size = block->size;
    struct shape shape = shape_of_block(pool, size);
    struct spare **place = place_of(pool, &shape, large);
    ed_block *next = NULL;
    size_t count = 0;

    for (; block != NULL && block->pool == pool && block->size == size; block = next, count++) {
        next = block->next;
        push_spare(place, (struct spare *)(void *)block, shape.taken);
    }
    count_back(pool, &shape, count);
    return block;
}

/** Gives back those of the first one's pool, under one lock. @return the first of another. */
static ed_block *give_run(ed_block *block)
{
    ed_pool *pool = block->pool;
    struct spare *large = NULL;

    lock(pool);
    while (block != NULL && block->pool == pool)
        block = give_alike(pool, block, &large);
    unlock(pool);
    free_all(pool, large);
    return block;
}

void ed_discard_shared(ed_discards *discards, ed_block *block)
{
    if (leave(block))
        ed_discards_add(discards, block);
}

void ed_discards_give(ed_discards *discards)
{
    ed_block *block = discards->newest;

    discards->newest = NULL;
    while (block != NULL)
        block = give_run(block);
}

void ed_pool_give(ed_block *block)
{
    ed_discards alone = {.newest = NULL};

    if (block == NULL)
        return;
    ed_discard(&alone, block);
    ed_discards_give(&alone);
}

size_t ed_pool_charged(ed_pool *pool)
{
    lock(pool);
    size_t charged = pool->charged;
    unlock(pool);
    return charged;
}

size_t ed_pool_left(ed_pool *pool)
{
    return pool->budget - ed_pool_charged(pool);
}
