#include "core/fifo.h"

#include <string.h>

#include "core/alloc.h"
#include "core/base.h"

void ed_fifo_init(ed_fifo *fifo, const eddy_allocator *allocator, size_t item_size)
{
    ED_ASSERT(item_size > 0);
    *fifo = (ed_fifo){.allocator = *allocator, .item_size = item_size};
    fifo->count_max = PTRDIFF_MAX / item_size;
    fifo->newest = &fifo->before_first;
    fifo->tail = ED_FIFO_CHUNK_ITEMS;
    fifo->oldest = &fifo->before_first;
    fifo->head = ED_FIFO_CHUNK_ITEMS;
}

static size_t chunk_size(const ed_fifo *fifo)
{
    return sizeof(struct ed_fifo_chunk) + ED_FIFO_CHUNK_ITEMS * fifo->item_size;
}

static uint8_t *item_at(const ed_fifo *fifo, struct ed_fifo_chunk *chunk, size_t place)
{
    return (uint8_t *)(chunk + 1) + place * fifo->item_size;
}

static void free_chunks(ed_fifo *fifo, struct ed_fifo_chunk *chunk)
{
    while (chunk != NULL) {
        struct ed_fifo_chunk *next = chunk->next;
        if (chunk != &fifo->before_first)
            ed_alloc_free(&fifo->allocator, chunk, chunk_size(fifo));
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

/** Sees to it that `count` more items fit. Chunks got before that fails stay spare. */
static bool make_room(ed_fifo *fifo, size_t count)
{
    size_t left = ED_FIFO_CHUNK_ITEMS - fifo->tail;
    size_t needed = count <= left ? 0 : (count - left - 1) / ED_FIFO_CHUNK_ITEMS + 1;

    // No array is that large: the count is wrong, and would be believed for very long.
    if (count > fifo->count_max)
        return false;
    if (fifo->spare_count < needed)
        take_back_drained(fifo);
    while (fifo->spare_count < needed) {
        struct ed_fifo_chunk *chunk = ed_alloc_zeroed(&fifo->allocator, chunk_size(fifo));
        if (chunk == NULL)
            return false;
        add_spare(fifo, chunk);
    }
    return true;
}

/** Appends a spare chunk to those with items. */
static void use_spare(ed_fifo *fifo)
{
    struct ed_fifo_chunk *chunk = fifo->spare;

    ED_ASSERT(chunk != NULL && fifo->tail == ED_FIFO_CHUNK_ITEMS);
    fifo->spare = chunk->next;
    fifo->spare_count--;
    chunk->next = NULL;
    fifo->newest->next = chunk; // who pulls looks there only once `pushed` says so
    fifo->newest = chunk;
    fifo->tail = 0;
}

/** Appends items for which there is room. */
static void copy_in(ed_fifo *fifo, const uint8_t *items, size_t count)
{
    size_t size = fifo->item_size;

    while (count > 0) {
        if (fifo->tail == ED_FIFO_CHUNK_ITEMS)
            use_spare(fifo);
        size_t run = ed_min_size(count, ED_FIFO_CHUNK_ITEMS - fifo->tail);
        memcpy(item_at(fifo, fifo->newest, fifo->tail), items, run * size);
        fifo->tail += run;
        items += run * size;
        count -= run;
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

    if (!make_room(fifo, count))
        return false;
    copy_in(fifo, items, count);
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
static void next_chunk(ed_fifo *fifo)
{
    struct ed_fifo_chunk *drained = fifo->oldest;

    ED_ASSERT(drained->next != NULL);
    fifo->oldest = drained->next;
    fifo->head = 0;
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

/** The oldest item that there is. */
static uint8_t *oldest_item(ed_fifo *fifo)
{
    if (fifo->head == ED_FIFO_CHUNK_ITEMS)
        next_chunk(fifo);
    return item_at(fifo, fifo->oldest, fifo->head);
}

static void forget(ed_fifo *fifo, size_t count)
{
    size_t pulled = atomic_load_explicit(&fifo->pulled, memory_order_relaxed);

    ED_ASSERT(count <= fifo->pushed_seen - pulled);
    atomic_store_explicit(&fifo->pulled, pulled + count, memory_order_release);
}

size_t ed_fifo_pull(ed_fifo *fifo, void *items, size_t capacity)
{
    size_t count = available(fifo, capacity); // of one moment: what comes later is for later
    size_t size = fifo->item_size;
    uint8_t *to = items;
    size_t left = count;

    while (left > 0) {
        const uint8_t *from = oldest_item(fifo);
        size_t run = ed_min_size(left, ED_FIFO_CHUNK_ITEMS - fifo->head);
        memcpy(to, from, run * size);
        fifo->head += run;
        to += run * size;
        left -= run;
    }
    if (count > 0)
        forget(fifo, count);
    return count;
}

void *ed_fifo_oldest(ed_fifo *fifo)
{
    return available(fifo, 1) > 0 ? oldest_item(fifo) : NULL;
}

void ed_fifo_skip(ed_fifo *fifo)
{
    fifo->head++;
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
