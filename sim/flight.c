#include "sim/flight.h"

#include <string.h>

#include "core/alloc.h"
#include "core/base.h"

enum {
    FLIGHT_START = 16,
    NO_SLOT = ED_FLIGHT_MAX,
    BUFFER_SIZE_MIN = 2048, // holds whatever fits an Ethernet frame, so that no buffer grows twice
};

/** A datagram's storage; in the heap, or chained into the free or the taken ones. */
typedef struct slot {
    eddy_datagram datagram;
    size_t buffer_size;
    uint32_t next;
} slot;

/** The heap holds the keys, so that ordering does not touch the slots. */
typedef struct entry {
    uint64_t due_ns;
    uint64_t ordinal;
    uint32_t slot;
} entry;

struct ed_flight {
    const eddy_allocator *allocator;
    slot *slots;
    entry *heap; // binary, least first
    uint32_t slot_count;
    uint32_t heap_capacity;
    uint32_t count;
    uint32_t free;
    uint32_t taken;
};

static bool entry_before(const entry *a, const entry *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->ordinal < b->ordinal;
}

static void sift_up(entry *heap, uint32_t at, entry moving)
{
    while (at > 0 && entry_before(&moving, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = moving;
}

static void sift_down(entry *heap, uint32_t count, entry moving)
{
    uint32_t at = 0;

    for (uint32_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && entry_before(&heap[child + 1], &heap[child]))
            child++;
        if (!entry_before(&heap[child], &moving))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

/** Chains the slots from `first` on into the free ones, lowest first. */
static void free_slots_from(ed_flight *flight, uint32_t first)
{
    for (uint32_t i = flight->slot_count; i > first; i--) {
        flight->slots[i - 1].next = flight->free;
        flight->free = i - 1;
    }
}

ed_flight *ed_flight_create(const eddy_allocator *allocator)
{
    ed_flight *flight = ed_alloc_zeroed(allocator, sizeof *flight);
    if (flight == NULL)
        return NULL;

    flight->allocator = allocator;
    flight->free = NO_SLOT;
    flight->taken = NO_SLOT;
    flight->heap = ed_alloc_array(allocator, FLIGHT_START, sizeof *flight->heap);
    flight->slots = ed_alloc_array(allocator, FLIGHT_START, sizeof *flight->slots);
    flight->heap_capacity = flight->heap == NULL ? 0 : FLIGHT_START;
    flight->slot_count = flight->slots == NULL ? 0 : FLIGHT_START;
    if (flight->heap == NULL || flight->slots == NULL) {
        ed_flight_destroy(flight);
        return NULL;
    }
    free_slots_from(flight, 0);
    return flight;
}

void ed_flight_destroy(ed_flight *flight)
{
    if (flight == NULL)
        return;

    const eddy_allocator *allocator = flight->allocator;
    for (uint32_t i = 0; i < flight->slot_count; i++)
        ed_alloc_free(allocator, flight->slots[i].datagram.data, flight->slots[i].buffer_size);
    ed_alloc_free(allocator, flight->slots, flight->slot_count * sizeof *flight->slots);
    ed_alloc_free(allocator, flight->heap, flight->heap_capacity * sizeof *flight->heap);
    ed_alloc_free(allocator, flight, sizeof *flight);
}

/** Doubles heap and slots; the heap may stay ahead when memory ends between the two. */
static bool grow(ed_flight *flight)
{
    uint32_t old_count = flight->slot_count;
    uint32_t count = old_count * 2;
    if (count > ED_FLIGHT_MAX)
        return false;

    if (flight->heap_capacity < count) {
        entry *heap = ed_alloc_grow(flight->allocator, flight->heap,
                                    flight->heap_capacity * sizeof *heap, count * sizeof *heap);
        if (heap == NULL)
            return false;
        flight->heap = heap;
        flight->heap_capacity = count;
    }
    slot *slots = ed_alloc_grow(flight->allocator, flight->slots, old_count * sizeof *slots,
                                count * sizeof *slots);
    if (slots == NULL)
        return false;
    flight->slots = slots;
    flight->slot_count = count;
    free_slots_from(flight, old_count);
    return true;
}

/** Gives the slot a buffer of at least `size` bytes. */
static bool fit_buffer(ed_flight *flight, slot *s, size_t size)
{
    if (s->datagram.data != NULL && s->buffer_size >= size)
        return true;

    size_t wanted = size <= BUFFER_SIZE_MIN ? BUFFER_SIZE_MIN : ED_DATAGRAM_SIZE_MAX;
    uint8_t *buffer = ed_alloc_zeroed(flight->allocator, wanted);
    if (buffer == NULL)
        return false;
    ed_alloc_free(flight->allocator, s->datagram.data, s->buffer_size);
    s->datagram.data = buffer;
    s->buffer_size = wanted;
    return true;
}

uint8_t *ed_flight_push(ed_flight *flight, const eddy_datagram *datagram, uint64_t due_ns,
                        uint64_t ordinal)
{
    ED_ASSERT(datagram->size <= ED_DATAGRAM_SIZE_MAX);
    if (flight->free == NO_SLOT && !grow(flight))
        return NULL;

    uint32_t index = flight->free;
    slot *s = &flight->slots[index];
    if (!fit_buffer(flight, s, datagram->size))
        return NULL;
    ED_ASSERT(flight->count < flight->heap_capacity);

    uint8_t *buffer = s->datagram.data;
    flight->free = s->next;
    s->datagram = *datagram;
    s->datagram.data = buffer;
    if (datagram->size > 0)
        memcpy(buffer, datagram->data, datagram->size);
    entry added = {.due_ns = due_ns, .ordinal = ordinal, .slot = index};
    sift_up(flight->heap, flight->count++, added);
    return buffer;
}

uint64_t ed_flight_next_ns(const ed_flight *flight)
{
    return flight->count == 0 ? ED_NEVER_NS : flight->heap[0].due_ns;
}

bool ed_flight_take(ed_flight *flight, uint64_t now_ns, eddy_datagram *datagram, uint64_t *due_ns)
{
    if (flight->count == 0 || flight->heap[0].due_ns > now_ns)
        return false;

    entry first = flight->heap[0];
    ED_ASSERT(first.slot < flight->slot_count);
    flight->count--;
    if (flight->count > 0)
        sift_down(flight->heap, flight->count, flight->heap[flight->count]);
    slot *s = &flight->slots[first.slot];
    s->next = flight->taken;
    flight->taken = first.slot;
    *datagram = s->datagram;
    *due_ns = first.due_ns;
    return true;
}

void ed_flight_recycle(ed_flight *flight)
{
    while (flight->taken != NO_SLOT) {
        ED_ASSERT(flight->taken < flight->slot_count);
        slot *s = &flight->slots[flight->taken];
        uint32_t next = s->next;
        s->next = flight->free;
        flight->free = flight->taken;
        flight->taken = next;
    }
}

size_t ed_flight_count(const ed_flight *flight)
{
    return flight->count;
}
