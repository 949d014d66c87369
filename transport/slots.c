#include "transport/slots.h"

#include <stdatomic.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/thread.h"

/** Free slots, first in first out. */
struct queue {
    uint32_t *slot;
    uint32_t capacity;
    uint32_t first;
    uint32_t count;
};

struct ed_slots {
    const eddy_allocator *allocator;
    ed_mutex mutex; /* of the queues */
    struct queue outgoing;
    struct queue incoming;
    uint32_t count;
    uint32_t outgoing_count;
    atomic_uint *generation; /* odd: taken */
    /* The handle whose request waits for an answer; 0: none. A handle never comes again, so one
       that was left behind by the slot's last user does no harm. */
    _Atomic eddy_connection *asked;
    _Atomic(void *) *data; /* written under the mutex: by whoever takes the slot, and for it */
};

static bool queue_init(struct queue *queue, const eddy_allocator *allocator, uint32_t first,
                       uint32_t count)
{
    queue->capacity = count;
    queue->count = count;
    queue->slot = ed_alloc_array(allocator, (size_t)count + 1, sizeof(*queue->slot));
    for (uint32_t i = 0; queue->slot != NULL && i < count; i++)
        queue->slot[i] = first + i;
    return queue->slot != NULL;
}

static void queue_free(struct queue *queue, const eddy_allocator *allocator)
{
    ed_alloc_free(allocator, queue->slot, ((size_t)queue->capacity + 1) * sizeof(*queue->slot));
}

ed_slots *ed_slots_create(const eddy_allocator *allocator, uint32_t outgoing_count,
                          uint32_t incoming_count)
{
    ED_ASSERT(outgoing_count <= ED_SLOTS_MAX && incoming_count <= ED_SLOTS_MAX);
    ed_slots *slots = ed_alloc_zeroed(allocator, sizeof(*slots));
    if (slots == NULL)
        return NULL;
    if (ed_mutex_init(&slots->mutex) != EDDY_OK) {
        ed_alloc_free(allocator, slots, sizeof(*slots));
        return NULL;
    }
    slots->allocator = allocator;
    slots->count = outgoing_count + incoming_count;
    slots->outgoing_count = outgoing_count;
    slots->generation =
        ed_alloc_array(allocator, (size_t)slots->count + 1, sizeof(*slots->generation));
    slots->asked = ed_alloc_array(allocator, (size_t)slots->count + 1, sizeof(*slots->asked));
    slots->data = ed_alloc_array(allocator, (size_t)slots->count + 1, sizeof(*slots->data));
    bool outgoing = queue_init(&slots->outgoing, allocator, 0, outgoing_count);
    bool incoming = queue_init(&slots->incoming, allocator, outgoing_count, incoming_count);
    if (slots->generation == NULL || slots->asked == NULL || slots->data == NULL || !outgoing ||
        !incoming) {
        ed_slots_destroy(slots);
        return NULL;
    }
    return slots;
}

void ed_slots_destroy(ed_slots *slots)
{
    if (slots == NULL)
        return;
    queue_free(&slots->outgoing, slots->allocator);
    queue_free(&slots->incoming, slots->allocator);
    ed_alloc_free(slots->allocator, slots->generation,
                  ((size_t)slots->count + 1) * sizeof(*slots->generation));
    ed_alloc_free(slots->allocator, slots->asked,
                  ((size_t)slots->count + 1) * sizeof(*slots->asked));
    ed_alloc_free(slots->allocator, slots->data, ((size_t)slots->count + 1) * sizeof(*slots->data));
    ed_mutex_destroy(&slots->mutex);
    ed_alloc_free(slots->allocator, slots, sizeof(*slots));
}

static eddy_connection handle_of(uint32_t slot, unsigned generation)
{
    return (uint64_t)generation << 32 | (slot + 1);
}

static eddy_connection take(ed_slots *slots, struct queue *queue)
{
    eddy_connection handle = 0;

    ed_mutex_lock(&slots->mutex);
    if (queue->count > 0) {
        uint32_t slot = queue->slot[queue->first];
        queue->first = (queue->first + 1) % queue->capacity;
        queue->count--;
        unsigned generation = atomic_fetch_add(&slots->generation[slot], 1) + 1;
        atomic_store(&slots->data[slot], NULL); // now, when it is not the last user's any more
        ED_ASSERT(generation % 2 == 1);
        handle = handle_of(slot, generation);
    }
    ed_mutex_unlock(&slots->mutex);
    return handle;
}

eddy_connection ed_slots_take_outgoing(ed_slots *slots)
{
    return take(slots, &slots->outgoing);
}

eddy_connection ed_slots_take_incoming(ed_slots *slots)
{
    return take(slots, &slots->incoming);
}

void ed_slots_give(ed_slots *slots, eddy_connection handle)
{
    ED_ASSERT(ed_slots_live(slots, handle));
    uint32_t slot = ed_slot_of(handle);
    struct queue *queue = slot < slots->outgoing_count ? &slots->outgoing : &slots->incoming;

    ed_mutex_lock(&slots->mutex);
    ED_ASSERT(queue->count < queue->capacity);
    atomic_fetch_add(&slots->generation[slot], 1);
    queue->slot[(queue->first + queue->count) % queue->capacity] = slot;
    queue->count++;
    ed_mutex_unlock(&slots->mutex);
}

bool ed_slots_live(const ed_slots *slots, eddy_connection handle)
{
    uint32_t slot = ed_slot_of(handle);
    unsigned generation = (unsigned)(handle >> 32);

    return slot < slots->count && generation % 2 == 1 &&
           atomic_load(&slots->generation[slot]) == generation;
}

void ed_slots_ask(ed_slots *slots, eddy_connection handle)
{
    ED_ASSERT(ed_slots_live(slots, handle));
    atomic_store(&slots->asked[ed_slot_of(handle)], handle);
}

bool ed_slots_answer(ed_slots *slots, eddy_connection handle)
{
    eddy_connection asked = handle;

    ED_ASSERT(handle != 0);
    return ed_slot_of(handle) < slots->count &&
           atomic_compare_exchange_strong(&slots->asked[ed_slot_of(handle)], &asked, 0);
}

void ed_slots_ask_again(ed_slots *slots, eddy_connection handle)
{
    eddy_connection nobody = 0;

    // By now the slot may be another's, and that may be asked about, too.
    ED_ASSERT(ed_slot_of(handle) < slots->count);
    (void)atomic_compare_exchange_strong(&slots->asked[ed_slot_of(handle)], &nobody, handle);
}

bool ed_slots_set_data(ed_slots *slots, eddy_connection handle, void *data)
{
    // The mutex keeps the slot from being given out to somebody else in between.
    ed_mutex_lock(&slots->mutex);
    bool is_live = ed_slots_live(slots, handle);
    if (is_live)
        atomic_store(&slots->data[ed_slot_of(handle)], data);
    ed_mutex_unlock(&slots->mutex);
    return is_live;
}

/**
 * Reads the pointer and whose it is. It changes owners only between two generations, so what is
 * read between two equal ones is that one's. @return the generation; odd: live, even: the one
 * before's.
 */
static unsigned read_data(const ed_slots *slots, uint32_t slot, void **data)
{
    unsigned generation = 0;
    unsigned before = 0;

    do {
        before = atomic_load(&slots->generation[slot]);
        *data = atomic_load(&slots->data[slot]);
        generation = atomic_load(&slots->generation[slot]);
    } while (generation != before);
    return generation;
}

void *ed_slots_data(const ed_slots *slots, eddy_connection handle)
{
    void *data = NULL;

    if (!ed_slots_live(slots, handle))
        return NULL;
    return read_data(slots, ed_slot_of(handle), &data) == handle >> 32 ? data : NULL;
}

void *ed_slots_last_data(const ed_slots *slots, eddy_connection handle, void *otherwise)
{
    void *data = NULL;

    ED_ASSERT(ed_slot_of(handle) < slots->count);
    unsigned generation = read_data(slots, ed_slot_of(handle), &data);
    bool is_its = generation == (unsigned)(handle >> 32) ||
                  (generation % 2 == 0 && generation == (unsigned)(handle >> 32) + 1);
    return is_its ? data : otherwise;
}

eddy_connection ed_slots_handle(const ed_slots *slots, uint32_t slot)
{
    ED_ASSERT(slot < slots->count);
    unsigned generation = atomic_load(&slots->generation[slot]);
    return generation % 2 == 1 ? handle_of(slot, generation) : 0;
}

bool ed_slots_is_outgoing(const ed_slots *slots, uint32_t slot)
{
    return slot < slots->outgoing_count;
}

uint32_t ed_slots_count(const ed_slots *slots)
{
    return slots->count;
}
