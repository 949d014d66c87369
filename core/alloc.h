/** Where memory comes from. The only user of mimalloc and of malloc. */
#ifndef ED_ALLOC_H
#define ED_ALLOC_H

#include "core/eddy.h"

/**
 * mimalloc, for eddy alone; the C library's malloc in sanitizer and valgrind builds, because
 * mimalloc hides errors from them.
 */
const eddy_allocator *ed_alloc_default(void);

/** @return `size` zeroed bytes, aligned to 16, or NULL. `size` is above 0. */
void *ed_alloc_zeroed(const eddy_allocator *allocator, size_t size);

/**
 * @return `size` bytes with anything in them, or NULL: for a buffer that is written before it is
 * read, whose pages the system need not give out before. As ed_alloc_zeroed otherwise.
 */
void *ed_alloc_buffer(const eddy_allocator *allocator, size_t size);

/** @return `count * size` zeroed bytes or NULL, also where the product would wrap. */
void *ed_alloc_array(const eddy_allocator *allocator, size_t count, size_t size);

/** NULL is fine. `size` is what was asked for. */
void ed_alloc_free(const eddy_allocator *allocator, void *memory, size_t size);

/**
 * Moves an array to a larger one; the new part is zeroed. On failure the old one stays.
 * @return the new array or NULL.
 */
void *ed_alloc_grow(const eddy_allocator *allocator, void *memory, size_t old_size,
                    size_t new_size);

/**
 * An allocator that counts, and fails on request. For tests, and for reports of live memory.
 * Thread-safe. Put it where it outlives everything that it served.
 */
typedef struct ed_counting_alloc {
    eddy_allocator allocator; /* hand this out */
    const eddy_allocator *parent;
    _Atomic uint64_t calls;      /* allocations ever */
    _Atomic uint64_t live_count; /* allocations not yet freed */
    _Atomic uint64_t live_size;
    _Atomic uint64_t peak_size;
    _Atomic uint64_t fail_after; /* this many more succeed, then all fail; UINT64_MAX: none fail */
    _Atomic uint64_t failures;
} ed_counting_alloc;

/** @param parent NULL for ed_alloc_default(). */
void ed_counting_alloc_init(ed_counting_alloc *counting, const eddy_allocator *parent);

#endif
