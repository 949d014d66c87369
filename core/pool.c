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

/** With the lock held: the same, and takes what is kept of the class, if anything; else NULL. */
static inline bool reserve(ed_pool *pool, const struct shape *shape, struct spare **memory,
                           struct spare **evicted)
{
    size_t size = shape->size_class == NO_CLASS ? 0 : shape->taken;

    if (shape->charge > pool->budget - pool->charged)
        return false;
    *memory = size == 0 ? NULL : pull_spare(&pool->spare[shape->size_class]);
    if (*memory != NULL)
        pool->kept -= size;
    return charge(pool, shape->charge, evicted);
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

/** With the lock held: keeps the memory, or puts it onto `*large`, as that is to be freed. */
static inline void keep(ed_pool *pool, void *memory, const struct shape *shape,
                        struct spare **large)
{
    bool is_kept = shape->size_class != NO_CLASS;

    ED_ASSERT(pool->charged >= shape->charge);
    pool->charged -= shape->charge;
    pool->kept += is_kept ? shape->taken : 0;
    push_spare(is_kept ? &pool->spare[shape->size_class] : large, memory, shape->taken);
}

void *ed_pool_take_bytes(ed_pool *pool, size_t size)
{
    struct shape shape = shape_of(size);
    struct spare *memory = NULL;
    struct spare *evicted = NULL;

    lock(pool);
    bool fits = reserve(pool, &shape, &memory, &evicted);
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
    keep(pool, bytes, &shape, &large);
    unlock(pool);
    free_all(pool, large);
}

/* ---------------------------------------------------------------------------------- blocks -- */

/** The shape of a block of this size, reckoned anew where it is not that of the one before. */
struct last_shape {
    size_t size;
    struct shape shape; /* `taken` is 0: there was none */
};

static inline const struct shape *shape_like(struct last_shape *last, const ed_pool *pool,
                                             size_t size)
{
    if (last->shape.taken == 0 || last->size != size)
        *last = (struct last_shape){.size = size, .shape = shape_of_block(pool, size)};
    return &last->shape;
}

/** With the lock held: `*block` is what is kept, or NULL. @return whether there is room for it. */
static inline bool reserve_block(ed_pool *pool, size_t size, struct last_shape *last,
                                 ed_block **block, struct spare **evicted)
{
    struct spare *memory = NULL;

    if (size > UINT32_MAX - sizeof(ed_block) ||
        !reserve(pool, shape_like(last, pool, size), &memory, evicted))
        return false;
    *block = (ed_block *)(void *)memory;
    return true;
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
    struct last_shape last = {.size = 0};
    struct spare *evicted = NULL;
    size_t reserved = 0, made = 0;

    lock(pool);
    while (reserved < count &&
           reserve_block(pool, sizes[reserved], &last, &blocks[reserved], &evicted))
        reserved++;
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
    struct last_shape last = {.size = 0};
    struct spare *evicted = NULL;
    ed_block *block = NULL;

    lock(pool);
    bool fits = reserve_block(pool, size, &last, &block, &evicted);
    unlock(pool);
    free_all(pool, evicted);
    return fits && make_block(pool, &block, size) ? block : NULL;
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

/** Gives back those of the first one's pool, under one lock. @return the first of another. */
static ed_block *give_run(ed_block *block)
{
    ed_pool *pool = block->pool;
    struct last_shape last = {.size = 0};
    struct spare *large = NULL;
    ed_block *next = NULL;

    lock(pool);
    for (; block != NULL && block->pool == pool; block = next) {
        next = block->next;
        keep(pool, block, shape_like(&last, pool, block->size), &large);
    }
    unlock(pool);
    free_all(pool, large);
    return block;
}

void ed_discard(ed_discards *discards, ed_block *block)
{
    uint32_t holders = atomic_load(&block->holder_count);

    ED_ASSERT(holders > 0); // else given twice: what follows is a link
    // Who holds it alone is the only one that could share it: one it stays.
    if (holders == 1)
        atomic_store_explicit(&block->holder_count, 0, memory_order_relaxed);
    else if (!leave(block))
        return;
    block->next = discards->newest;
    discards->newest = block;
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
