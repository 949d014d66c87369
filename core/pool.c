#include "core/pool.h"

#include "core/alloc.h"
#include "core/base.h"
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

enum {
    NO_CLASS = ED_POOL_CLASS_COUNT, /* of more than the largest class, and never kept */
    STEPS = 4,                      /* classes to each doubling */
    BLOCK_STEP = 32,
    BLOCK_SMALL_MAX = 128,
};

struct ed_pool {
    const eddy_allocator *allocator;
    size_t budget;
    size_t holder_base; /* that each holder is charged; 0: nothing */
    ed_mutex mutex;     /* guards what follows */
    size_t charged;     /* bytes that are out */
    size_t kept;        /* bytes in `spare`; with `charged` never above the budget */
    struct spare *spare[ED_POOL_CLASS_COUNT];
};

static size_t class_size(unsigned size_class)
{
    unsigned doublings = size_class < STEPS ? 0 : size_class / STEPS - 1;
    size_t step = (size_t)ED_POOL_CLASS_SIZE_MIN << doublings;

    return step * (size_class - STEPS * doublings + 1);
}

/** The smallest class that holds `size` bytes. */
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

/** What is taken from the allocator for so many bytes. */
static size_t rounded(size_t size)
{
    unsigned size_class = class_of(size);

    return size_class == NO_CLASS ? size : class_size(size_class);
}

/** Small blocks are of few classes, so that what one message gives back serves another like it. */
static size_t size_of_block(size_t size)
{
    size_t whole = sizeof(ed_block) + size;

    return whole > BLOCK_SMALL_MAX ? whole : (whole + BLOCK_STEP - 1) / BLOCK_STEP * BLOCK_STEP;
}

size_t ed_pool_charge(size_t size)
{
    return rounded(size_of_block(size));
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

static void push_spare(struct spare **list, struct spare *memory, size_t size)
{
    *memory = (struct spare){.next = *list, .size = size};
    *list = memory;
}

static struct spare *pull_spare(struct spare **list)
{
    struct spare *memory = *list;

    if (memory != NULL)
        *list = memory->next;
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

/** Takes what is kept, the largest first, until `charge` more bytes fit. @return its list. */
static struct spare *evict(ed_pool *pool, size_t charge)
{
    struct spare *evicted = NULL;
    unsigned size_class = ED_POOL_CLASS_COUNT;

    ED_ASSERT(pool->charged + charge <= pool->budget);
    while (pool->budget - pool->charged - pool->kept < charge) {
        while (size_class > 0 && pool->spare[size_class - 1] == NULL)
            size_class--;
        ED_ASSERT(size_class > 0); // with nothing kept it fits
        size_t size = class_size(size_class - 1);
        pool->kept -= size;
        push_spare(&evicted, pull_spare(&pool->spare[size_class - 1]), size);
    }
    return evicted;
}

/**
 * Charges the account, and takes what is kept of a class, if anything: else `*memory` is NULL.
 * What must be freed to make room stands in `*evicted`. @return false: over the budget.
 */
static bool reserve(ed_pool *pool, unsigned size_class, size_t charge, struct spare **memory,
                    struct spare **evicted)
{
    bool fits = false;

    ed_mutex_lock(&pool->mutex);
    ED_ASSERT(pool->charged + pool->kept <= pool->budget);
    if (charge <= pool->budget - pool->charged) {
        fits = true;
        *memory = size_class == NO_CLASS ? NULL : pull_spare(&pool->spare[size_class]);
        if (*memory != NULL)
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

/** Takes `size` bytes, for which `holder` more are charged. */
static void *take(ed_pool *pool, size_t size, size_t holder)
{
    size_t taken = rounded(size);
    struct spare *memory = NULL;
    struct spare *evicted = NULL;

    if (!reserve(pool, class_of(size), taken + holder, &memory, &evicted))
        return NULL;
    free_all(pool, evicted);
    if (memory != NULL)
        return memory;
    void *fresh = pool->allocator->allocate(pool->allocator->context, taken);
    if (fresh == NULL)
        refund(pool, taken + holder);
    return fresh;
}

static void keep(ed_pool *pool, void *memory, unsigned size_class, size_t holder)
{
    size_t size = class_size(size_class);

    ed_mutex_lock(&pool->mutex);
    ED_ASSERT(pool->charged >= size + holder);
    pool->charged -= size + holder;
    pool->kept += size;
    push_spare(&pool->spare[size_class], memory, size);
    ed_mutex_unlock(&pool->mutex);
}

static void give(ed_pool *pool, void *memory, size_t size, size_t holder)
{
    unsigned size_class = class_of(size);

    if (size_class != NO_CLASS) {
        keep(pool, memory, size_class, holder);
        return;
    }
    refund(pool, size + holder);
    ed_alloc_free(pool->allocator, memory, size);
}

void *ed_pool_take_bytes(ed_pool *pool, size_t size)
{
    return take(pool, size, 0);
}

void ed_pool_give_bytes(ed_pool *pool, void *bytes, size_t size)
{
    if (bytes != NULL)
        give(pool, bytes, size, 0);
}

ed_block *ed_pool_take(ed_pool *pool, size_t size)
{
    if (size > UINT32_MAX - sizeof(ed_block))
        return NULL;
    ed_block *block = take(pool, size_of_block(size), holder_charge(pool, size));

    if (block != NULL)
        *block = (ed_block){.pool = pool, .size = (uint32_t)size, .holder_count = 1};
    return block;
}

ed_block *ed_pool_share(ed_block *block)
{
    size_t holder = holder_charge(block->pool, block->size);
    struct spare *none = NULL;
    struct spare *evicted = NULL;

    if (holder > 0 && !reserve(block->pool, NO_CLASS, holder, &none, &evicted))
        return NULL;
    free_all(block->pool, evicted);
    uint32_t before = atomic_fetch_add(&block->holder_count, 1);

    ED_ASSERT(before > 0 && before < UINT32_MAX); // only a holder can share
    return block;
}

void ed_pool_give(ed_block *block)
{
    if (block == NULL)
        return;
    ED_ASSERT(atomic_load(&block->holder_count) > 0); // else given twice: what follows is a link
    ed_pool *pool = block->pool;
    size_t size = size_of_block(block->size);
    size_t holder = holder_charge(pool, block->size);
    uint32_t before = atomic_fetch_sub(&block->holder_count, 1);
    ED_ASSERT(before > 0);

    if (before == 1)
        give(pool, block, size, holder);
    else if (holder > 0)
        refund(pool, holder);
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
