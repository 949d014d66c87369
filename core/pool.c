#include "core/pool.h"

#include "core/alloc.h"
#include "core/base.h"
#include "core/thread.h"

static_assert(sizeof(ed_block) <= ED_POOL_CLASS_SIZE_MIN, "the smallest class holds a header");
static_assert(sizeof(void *) < 8 || sizeof(ed_block) == 32, "as small as it was before sharing");
static_assert(offsetof(ed_block, data) % 16 == 0, "eddy_event promises aligned messages");

enum {
    NO_CLASS = ED_POOL_CLASS_COUNT, /* of a block larger than the largest class, and never kept */
    STEPS = 4,                      /* classes to each doubling */
};

struct ed_pool {
    const eddy_allocator *allocator;
    size_t budget;
    size_t holder_base; /* that each holder is charged; 0: nothing */
    ed_mutex mutex;     /* guards what follows */
    size_t charged;     /* bytes of blocks that are out */
    size_t kept;        /* bytes of blocks in `spare`; with `charged` never above the budget */
    ed_block *spare[ED_POOL_CLASS_COUNT];
};

static size_t class_size(unsigned size_class)
{
    unsigned doublings = size_class < STEPS ? 0 : size_class / STEPS - 1;
    size_t step = (size_t)ED_POOL_CLASS_SIZE_MIN << doublings;

    return step * (size_class - STEPS * doublings + 1);
}

/** The smallest class that holds `size` bytes, header included. */
static unsigned class_of(size_t size)
{
    size_t step = ED_POOL_CLASS_SIZE_MIN;
    unsigned before = 0;

    ED_ASSERT(size > 0);
    if (size > ED_POOL_CLASS_SIZE_MAX)
        return NO_CLASS;
    for (; size > 2 * STEPS * step; step *= 2)
        before += STEPS;
    return before + (unsigned)((size - 1) / step);
}

size_t ed_pool_charge(size_t size)
{
    unsigned size_class = class_of(sizeof(ed_block) + size);

    return size_class == NO_CLASS ? sizeof(ed_block) + size : class_size(size_class);
}

void ed_pool_charge_holders(ed_pool *pool, size_t base)
{
    ED_ASSERT(pool->charged == 0 && base > 0);
    pool->holder_base = base;
}

static size_t holder_charge(const ed_pool *pool, size_t size)
{
    return pool->holder_base == 0 ? 0 : pool->holder_base + size / ED_POOL_HOLDER_SHARE;
}

/* While a block is out `next` is its holder's; here it links the spare ones. */

static void push_spare(ed_block **list, ed_block *block)
{
    block->next = *list;
    *list = block;
}

static ed_block *pull_spare(ed_block **list)
{
    ed_block *block = *list;

    if (block != NULL)
        *list = block->next;
    return block;
}

static void free_all(ed_pool *pool, ed_block *list)
{
    for (ed_block *block = pull_spare(&list); block != NULL; block = pull_spare(&list))
        ed_alloc_free(pool->allocator, block, ed_block_charge(block));
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

/** Takes kept blocks, the largest first, until `charge` more bytes fit. @return their list. */
static ed_block *evict(ed_pool *pool, size_t charge)
{
    ed_block *evicted = NULL;
    unsigned size_class = ED_POOL_CLASS_COUNT;

    ED_ASSERT(pool->charged + charge <= pool->budget);
    while (pool->budget - pool->charged - pool->kept < charge) {
        while (size_class > 0 && pool->spare[size_class - 1] == NULL)
            size_class--;
        ED_ASSERT(size_class > 0); // without any kept block it fits
        pool->kept -= class_size(size_class - 1);
        push_spare(&evicted, pull_spare(&pool->spare[size_class - 1]));
    }
    return evicted;
}

/**
 * Charges the account, and takes a kept block if there is one: else `*block` is NULL. What must be
 * freed to make room stands in `*evicted`. @return false: over the budget.
 */
static bool reserve(ed_pool *pool, unsigned size_class, size_t charge, ed_block **block,
                    ed_block **evicted)
{
    bool fits = false;

    ed_mutex_lock(&pool->mutex);
    ED_ASSERT(pool->charged + pool->kept <= pool->budget);
    if (charge <= pool->budget - pool->charged) {
        fits = true;
        *block = size_class == NO_CLASS ? NULL : pull_spare(&pool->spare[size_class]);
        if (*block != NULL)
            pool->kept -= class_size(size_class);
        *evicted = evict(pool, charge);
        pool->charged += charge;
    }
    ed_mutex_unlock(&pool->mutex);
    return fits;
}

static void refund(ed_pool *pool, size_t charge)
{
    ed_mutex_lock(&pool->mutex);
    ED_ASSERT(pool->charged >= charge);
    pool->charged -= charge;
    ed_mutex_unlock(&pool->mutex);
}

ed_block *ed_pool_take(ed_pool *pool, size_t size)
{
    if (size > UINT32_MAX - sizeof(ed_block))
        return NULL;
    unsigned size_class = class_of(sizeof(ed_block) + size);
    size_t charge = ed_pool_charge(size);
    ed_block *block = NULL;
    ed_block *evicted = NULL;

    size_t holder = holder_charge(pool, size);

    if (!reserve(pool, size_class, charge + holder, &block, &evicted))
        return NULL;
    free_all(pool, evicted);
    if (block == NULL)
        block = pool->allocator->allocate(pool->allocator->context, charge);
    if (block == NULL) {
        refund(pool, charge + holder);
        return NULL;
    }
    *block = (ed_block){.pool = pool, .size = (uint32_t)size, .holder_count = 1};
    return block;
}

ed_block *ed_pool_share(ed_block *block)
{
    size_t holder = holder_charge(block->pool, block->size);
    ed_block *none = NULL;
    ed_block *evicted = NULL;

    if (holder > 0 && !reserve(block->pool, NO_CLASS, holder, &none, &evicted))
        return NULL;
    free_all(block->pool, evicted);
    uint32_t before = atomic_fetch_add(&block->holder_count, 1);

    ED_ASSERT(before > 0 && before < UINT32_MAX); // only a holder can share
    return block;
}

static void keep(ed_pool *pool, ed_block *block, unsigned size_class, size_t holder)
{
    size_t charge = class_size(size_class);

    block->pool = NULL;
    ed_mutex_lock(&pool->mutex);
    ED_ASSERT(pool->charged >= charge + holder);
    pool->charged -= charge + holder;
    pool->kept += charge;
    push_spare(&pool->spare[size_class], block);
    ed_mutex_unlock(&pool->mutex);
}

void ed_pool_give(ed_block *block)
{
    if (block == NULL)
        return;
    ed_pool *pool = block->pool;
    ED_ASSERT(pool != NULL);
    size_t size = sizeof(ed_block) + block->size;
    size_t holder = holder_charge(pool, block->size);
    uint32_t before = atomic_fetch_sub(&block->holder_count, 1);
    ED_ASSERT(before > 0); // else given twice
    if (before > 1) {
        if (holder > 0)
            refund(pool, holder);
        return;
    }

    unsigned size_class = class_of(size);
    if (size_class != NO_CLASS) {
        keep(pool, block, size_class, holder);
        return;
    }
    refund(pool, size + holder);
    ed_alloc_free(pool->allocator, block, size);
}

size_t ed_pool_charged(ed_pool *pool)
{
    ed_mutex_lock(&pool->mutex);
    size_t charged = pool->charged;
    ed_mutex_unlock(&pool->mutex);
    return charged;
}

size_t ed_pool_left(ed_pool *pool)
{
    return pool->budget - ed_pool_charged(pool);
}
