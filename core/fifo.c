#include "core/fifo.h"

#include <string.h>

#include "core/alloc.h"
#include "core/base.h"

/** How many bytes of items a chunk has. */
static size_t chunk_size_for(size_t item_size)
{
    size_t most = ED_FIFO_CHUNK_SIZE_MAX / item_size;

    return ed_min_size(most == 0 ? 1 : most, ED_FIFO_CHUNK_ITEMS) * item_size;
}

static uint8_t *items_of(struct ed_fifo_chunk *chunk)
{
    return (uint8_t *)(chunk + 1);
}

void ed_fifo_init(ed_fifo *fifo, const eddy_allocator *allocator, size_t item_size)
{
    ED_ASSERT(item_size > 0);
    *fifo = (ed_fifo){.allocator = *allocator, .item_size = item_size};
    fifo->count_max = PTRDIFF_MAX / item_size;
    fifo->chunk_size = chunk_size_for(item_size);
    fifo->newest = &fifo->before_first;
    fifo->tail = fifo->tail_end = items_of(&fifo->before_first);
    fifo->oldest = &fifo->before_first;
    fifo->head = fifo->head_end = items_of(&fifo->before_first);
}

static size_t memory_size(const ed_fifo *fifo)
{
    return sizeof(struct ed_fifo_chunk) + fifo->chunk_size;
}

static void free_chunks(ed_fifo *fifo, struct ed_fifo_chunk *chunk)
{
    while (chunk != NULL) {
        struct ed_fifo_chunk *next = chunk->next;
        if (chunk != &fifo->before_first)
            ed_alloc_free(&fifo->allocator, chunk, memory_size(fifo));
        chunk = next;
    }
}

void ed_fifo_destroy(ed_fifo *fifo)
{
    free_chunks(fifo, fifo->oldest);
    free_chunks(fifo, fifo->spare);
    free_chunks(fifo, atomic_load(&fifo->drained));
    *fifo = (ed_fifo){0};
}

/* ------------------------------------------------------------------------------- who pushes -- */

size_t ed_fifo_room(ed_fifo *fifo, size_t capacity)
{
    size_t pushed = atomic_load_explicit(&fifo->pushed, memory_order_relaxed);

    fifo->pulled_seen = atomic_load_explicit(&fifo->pulled, memory_order_acquire);
    ED_ASSERT(pushed - fifo->pulled_seen <= capacity);
    return capacity - (pushed - fifo->pulled_seen);
}

static void add_spare(ed_fifo *fifo, struct ed_fifo_chunk *chunk)
{
    chunk->next = fifo->spare;
    fifo->spare = chunk;
    fifo->spare_count++;
}

static void take_back_drained(ed_fifo *fifo)
{
    struct ed_fifo_chunk *chunk =
        atomic_exchange_explicit(&fifo->drained, NULL, memory_order_acquire);

    while (chunk != NULL) {
        struct ed_fifo_chunk *next = chunk->next;
        add_spare(fifo, chunk);
        chunk = next;
    }
}

/** Sees to it that there are `needed` spare chunks. Those got before that fails stay spare. */
ED_APART static bool get_spares(ed_fifo *fifo, size_t needed)
{
    if (fifo->spare_count < needed)
        take_back_drained(fifo);
    while (fifo->spare_count < needed) {
        struct ed_fifo_chunk *chunk = ed_alloc_zeroed(&fifo->allocator, memory_size(fifo));
        if (chunk == NULL)
            return false;
        add_spare(fifo, chunk);
    }
    return true;
}

/** Sees to it that `size` more bytes of items fit. */
static inline bool make_room(ed_fifo *fifo, size_t size)
{
    size_t left = (size_t)(fifo->tail_end - fifo->tail);

    return size <= left || get_spares(fifo, (size - left - 1) / fifo->chunk_size + 1);
}

/** Appends a spare chunk to those with items. */
ED_APART static void use_spare(ed_fifo *fifo)
{
    struct ed_fifo_chunk *chunk = fifo->spare;

    ED_ASSERT(chunk != NULL && fifo->tail == fifo->tail_end);
    fifo->spare = chunk->next;
    fifo->spare_count--;
    chunk->next = NULL;
    fifo->newest->next = chunk; // who pulls looks there only once `pushed` says so
    fifo->newest = chunk;
    fifo->tail = items_of(chunk);
    fifo->tail_end = fifo->tail + fifo->chunk_size;
}

/** Appends bytes of items for which there is room. */
static inline void copy_in(ed_fifo *fifo, const uint8_t *from, size_t size)
{
    while (size > 0) {
        if (fifo->tail == fifo->tail_end)
            use_spare(fifo);
        size_t run = ed_min_size(size, (size_t)(fifo->tail_end - fifo->tail));
        memcpy(fifo->tail, from, run);
        fifo->tail += run;
        from += run;
        size -= run;
    }
}

/** Looks at what the other side writes only where the mark may be passed. */
static void raise_high_water(ed_fifo *fifo, size_t pushed)
{
    size_t before = atomic_load_explicit(&fifo->length_max, memory_order_relaxed);

    if (pushed - fifo->pulled_seen <= before)
        return;
    fifo->pulled_seen = atomic_load_explicit(&fifo->pulled, memory_order_relaxed);
    if (pushed - fifo->pulled_seen > before)
        atomic_store_explicit(&fifo->length_max, pushed - fifo->pulled_seen, memory_order_relaxed);
}

bool ed_fifo_push(ed_fifo *fifo, const void *items, size_t count)
{
    size_t pushed = atomic_load_explicit(&fifo->pushed, memory_order_relaxed) + count;

    // No array is that large: the count is wrong, and would be believed for very long.
    if (count > fifo->count_max || !make_room(fifo, count * fifo->item_size))
        return false;
    copy_in(fifo, items, count * fifo->item_size);
    raise_high_water(fifo, pushed);
    atomic_store_explicit(&fifo->pushed, pushed, memory_order_release);
    return true;
}

/* -------------------------------------------------------------------------------- who pulls -- */

static void give_back(ed_fifo *fifo, struct ed_fifo_chunk *chunk)
{
    struct ed_fifo_chunk *head = atomic_load_explicit(&fifo->drained, memory_order_relaxed);

    if (chunk == &fifo->before_first)
        return;
    // Nobody takes a single one away, so a head that is still the same has the same next.
    do
        chunk->next = head;
    while (!atomic_compare_exchange_weak_explicit(&fifo->drained, &head, chunk,
                                                  memory_order_release, memory_order_relaxed));
}

/** The next chunk becomes the oldest; who pushes gets back the one before. */
ED_APART static void next_chunk(ed_fifo *fifo)
{
    struct ed_fifo_chunk *drained = fifo->oldest;

    ED_ASSERT(drained->next != NULL);
    fifo->oldest = drained->next;
    fifo->head = items_of(fifo->oldest);
    fifo->head_end = fifo->head + fifo->chunk_size;
    give_back(fifo, drained);
}

/** How many items there are to pull, `most` at most. */
static size_t available(ed_fifo *fifo, size_t most)
{
    size_t pulled = atomic_load_explicit(&fifo->pulled, memory_order_relaxed);

    if (fifo->pushed_seen - pulled < most)
        fifo->pushed_seen = atomic_load_explicit(&fifo->pushed, memory_order_acquire);
    return ed_min_size(fifo->pushed_seen - pulled, most);
}

static void forget(ed_fifo *fifo, size_t count)
{
    size_t pulled = atomic_load_explicit(&fifo->pulled, memory_order_relaxed);

    ED_ASSERT(count <= fifo->pushed_seen - pulled);
    atomic_store_explicit(&fifo->pulled, pulled + count, memory_order_release);
}

/** Takes bytes of items that are there. */
static inline void copy_out(ed_fifo *fifo, uint8_t *to, size_t size)
{
    while (size > 0) {
        if (fifo->head == fifo->head_end)
            next_chunk(fifo);
        size_t run = ed_min_size(size, (size_t)(fifo->head_end - fifo->head));
        memcpy(to, fifo->head, run);
        fifo->head += run;
        to += run;
        size -= run;
    }
}

size_t ed_fifo_pull(ed_fifo *fifo, void *items, size_t capacity)
{
    size_t count = available(fifo, capacity); // of one moment: what comes later is for later

    if (count == 0)
        return 0;
    copy_out(fifo, items, count * fifo->item_size);
    forget(fifo, count);
    return count;
}

void *ed_fifo_oldest(ed_fifo *fifo)
{
    if (available(fifo, 1) == 0)
        return NULL;
    if (fifo->head == fifo->head_end)
        next_chunk(fifo);
    return fifo->head;
}

void ed_fifo_skip(ed_fifo *fifo)
{
    fifo->head += fifo->item_size;
    forget(fifo, 1);
}

/* ---------------------------------------------------------------------------------- anybody -- */

static size_t load(const _Atomic size_t *count)
{
    return atomic_load_explicit(count, memory_order_acquire);
}

size_t ed_fifo_length(const ed_fifo *fifo)
{
    size_t pulled = load(&fifo->pulled);
    size_t pushed = load(&fifo->pushed);
    size_t again = load(&fifo->pulled);

    while (again != pulled) { // two numbers of one moment
        pulled = again;
        pushed = load(&fifo->pushed);
        again = load(&fifo->pulled);
    }
    return pushed - pulled;
}

bool ed_fifo_is_empty(const ed_fifo *fifo)
{
    // In this order: when the second was read, no more had been pulled than it says.
    size_t pulled = load(&fifo->pulled);

    return pulled == load(&fifo->pushed);
}
