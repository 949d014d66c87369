#include "core/alloc.h"

#include <stdatomic.h>
#include <string.h>

#include "core/base.h"

#ifdef ED_ALLOC_SYSTEM
#include <stdlib.h>
#else
#include <mimalloc.h>
#endif

enum { ALIGNMENT = 16 };

#ifdef ED_ALLOC_SYSTEM
static void *default_allocate(void *context, size_t size)
{
    void *memory = NULL;

    (void)context;
    // Not malloc: on some 32-bit systems it aligns to 8. Not aligned_alloc: it wants the size
    // rounded up, which hides small overruns from the sanitizers.
    return posix_memalign(&memory, ALIGNMENT, size) == 0 ? memory : NULL;
}

static void default_free(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}
#else
static void *default_allocate(void *context, size_t size)
{
    (void)context;
    // From 16 bytes on it aligns to 16. mi_malloc_aligned does, too, but takes 15 more for many.
    return mi_malloc(size < ALIGNMENT ? ALIGNMENT : size);
}

static void default_free(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    mi_free(memory);
}
#endif

const eddy_allocator *ed_alloc_default(void)
{
    static const eddy_allocator allocator = {.allocate = default_allocate, .free = default_free};

    return &allocator;
}

void *ed_alloc_buffer(const eddy_allocator *allocator, size_t size)
{
    ED_ASSERT(allocator != NULL);
    ED_ASSERT(size > 0);

    void *memory = allocator->allocate(allocator->context, size);
    ED_ASSERT((uintptr_t)memory % ALIGNMENT == 0);
    return memory;
}

void *ed_alloc_zeroed(const eddy_allocator *allocator, size_t size)
{
    void *memory = ed_alloc_buffer(allocator, size);

    return memory == NULL ? NULL : memset(memory, 0, size);
}

void *ed_alloc_array(const eddy_allocator *allocator, size_t count, size_t size)
{
    ED_ASSERT(size > 0);

    if (count > SIZE_MAX / size)
        return NULL;
    return ed_alloc_zeroed(allocator, count * size);
}

void ed_alloc_free(const eddy_allocator *allocator, void *memory, size_t size)
{
    ED_ASSERT(allocator != NULL);

    if (memory == NULL)
        return;
    ED_ASSERT(size > 0);
    allocator->free(allocator->context, memory, size);
}

void *ed_alloc_grow(const eddy_allocator *allocator, void *memory, size_t old_size, size_t new_size)
{
    ED_ASSERT(new_size > old_size);
    ED_ASSERT((memory == NULL) == (old_size == 0));

    void *larger = ed_alloc_zeroed(allocator, new_size);
    if (larger == NULL)
        return NULL;
    if (memory != NULL)
        memcpy(larger, memory, old_size);
    ed_alloc_free(allocator, memory, old_size);
    return larger;
}

/** Takes one from the allocations that may still succeed. @return false if there is none. */
static bool may_allocate(ed_counting_alloc *counting)
{
    uint64_t left = atomic_load(&counting->fail_after);

    do {
        if (left == UINT64_MAX)
            return true;
        if (left == 0)
            return false;
    } while (!atomic_compare_exchange_weak(&counting->fail_after, &left, left - 1));
    return true;
}

static void raise_peak(ed_counting_alloc *counting, uint64_t live_size)
{
    uint64_t peak = atomic_load(&counting->peak_size);

    while (peak < live_size &&
           !atomic_compare_exchange_weak(&counting->peak_size, &peak, live_size))
        continue; // another thread moved it; `peak` is what it is now
}

static void *counting_allocate(void *context, size_t size)
{
    ed_counting_alloc *counting = context;
    void *memory = NULL;

    if (may_allocate(counting))
        memory = counting->parent->allocate(counting->parent->context, size);
    if (memory == NULL) {
        atomic_fetch_add(&counting->failures, 1);
        return NULL;
    }
    atomic_fetch_add(&counting->calls, 1);
    atomic_fetch_add(&counting->live_count, 1);
    raise_peak(counting, atomic_fetch_add(&counting->live_size, size) + size);
    return memory;
}

static void counting_free(void *context, void *memory, size_t size)
{
    ed_counting_alloc *counting = context;

    ED_ASSERT(memory != NULL);
    // What is given back must have been taken: a wrong size or a double free shows here.
    ED_ASSERT(atomic_fetch_sub(&counting->live_count, 1) > 0);
    ED_ASSERT(atomic_fetch_sub(&counting->live_size, size) >= size);
    counting->parent->free(counting->parent->context, memory, size);
}

void ed_counting_alloc_init(ed_counting_alloc *counting, const eddy_allocator *parent)
{
    ED_ASSERT(counting != NULL);

    counting->allocator =
        (eddy_allocator){.context = counting, .allocate = counting_allocate, .free = counting_free};
    counting->parent = parent != NULL ? parent : ed_alloc_default();
    atomic_init(&counting->calls, 0);
    atomic_init(&counting->live_count, 0);
    atomic_init(&counting->live_size, 0);
    atomic_init(&counting->peak_size, 0);
    atomic_init(&counting->fail_after, UINT64_MAX);
    atomic_init(&counting->failures, 0);
}
