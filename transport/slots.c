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

/** What has come of a connection. */
enum {
    ENDED = 1,
    FORGOTTEN = 2,
    FREE = ENDED | FORGOTTEN, /* then its slot is */
    MUTE = 4,
    HIDDEN = 8,
};

struct ed_slots {
    const eddy_allocator *allocator;
    ed_mutex mutex; /* of the queues, and of all changes */
    struct queue outgoing;
    struct queue incoming;
    uint32_t count;
    uint32_t outgoing_count;
    uint8_t shard;
    ed_quota *quota;         /* of incoming ones; NULL: as many as there are slots */
    atomic_uint *generation; /* odd: taken */
    atomic_uchar *done;      /* ENDED, FORGOTTEN, MUTE, HIDDEN */
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
    slots->done = ed_alloc_array(allocator, (size_t)slots->count + 1, sizeof(*slots->done));
    slots->asked = ed_alloc_array(allocator, (size_t)slots->count + 1, sizeof(*slots->asked));
    slots->data = ed_alloc_array(allocator, (size_t)slots->count + 1, sizeof(*slots->data));
    bool outgoing = queue_init(&slots->outgoing, allocator, 0, outgoing_count);
    bool incoming = queue_init(&slots->incoming, allocator, outgoing_count, incoming_count);
    if (slots->generation == NULL || slots->done == NULL || slots->asked == NULL ||
        slots->data == NULL || !outgoing || !incoming) {
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
    ed_alloc_free(slots->allocator, slots->done, ((size_t)slots->count + 1) * sizeof(*slots->done));
    ed_alloc_free(slots->allocator, slots->asked,
                  ((size_t)slots->count + 1) * sizeof(*slots->asked));
    ed_alloc_free(slots->allocator, slots->data, ((size_t)slots->count + 1) * sizeof(*slots->data));
    ed_mutex_destroy(&slots->mutex);
    ed_alloc_free(slots->allocator, slots, sizeof(*slots));
}

void ed_slots_join(ed_slots *slots, uint8_t shard, ed_quota *incoming)
{
    ED_ASSERT(slots->incoming.count + slots->outgoing.count == slots->count);
    slots->shard = shard;
    slots->quota = incoming;
}

static eddy_connection handle_of(const ed_slots *slots, uint32_t slot, unsigned generation)
{
    return (uint64_t)generation << 32 | (uint64_t)slots->shard << 16 | (slot + 1);
}

/** Whether one of the queue may be taken, which is counted. */
static bool may_take(ed_slots *slots, const struct queue *queue)
{
    if (queue->count == 0)
        return false;
    return queue != &slots->incoming || slots->quota == NULL || ed_quota_take(slots->quota);
}

static eddy_connection take(ed_slots *slots, struct queue *queue)
{
    eddy_connection handle = 0;

    ed_mutex_lock(&slots->mutex);
    if (may_take(slots, queue)) {
        uint32_t slot = queue->slot[queue->first];
        queue->first = (queue->first + 1) % queue->capacity;
        queue->count--;
        atomic_store(&slots->done[slot], queue == &slots->outgoing ? HIDDEN : 0);
        atomic_store(&slots->data[slot], NULL); // before there is a handle to read it by
        unsigned generation = atomic_fetch_add(&slots->generation[slot], 1) + 1;
        ED_ASSERT(generation % 2 == 1);
        handle = handle_of(slots, slot, generation);
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

static bool is_taken(const ed_slots *slots, eddy_connection handle)
{
    uint32_t slot = ed_slot_of(handle);
    unsigned generation = (unsigned)(handle >> 32);

    return slot < slots->count && generation % 2 == 1 &&
           handle == handle_of(slots, slot, generation) &&
           atomic_load(&slots->generation[slot]) == generation;
}

static void free_slot(ed_slots *slots, uint32_t slot)
{
    struct queue *queue = slot < slots->outgoing_count ? &slots->outgoing : &slots->incoming;

    ED_ASSERT(queue->count < queue->capacity);
    if (queue == &slots->incoming && slots->quota != NULL)
        ed_quota_give(slots->quota);
    atomic_fetch_add(&slots->generation[slot], 1);
    queue->slot[(queue->first + queue->count) % queue->capacity] = slot;
    queue->count++;
}

/** Notes that something is done, which is said once. */
static void add_done(ed_slots *slots, eddy_connection handle, unsigned done)
{
    uint32_t slot = ed_slot_of(handle);

    ed_mutex_lock(&slots->mutex);
    ED_ASSERT(is_taken(slots, handle));
    unsigned before = atomic_fetch_or(&slots->done[slot], (unsigned char)done);
    ED_ASSERT((before & done) == 0);
    if (((before | done) & FREE) == FREE && (done & FREE) != 0)
        free_slot(slots, slot);
    ed_mutex_unlock(&slots->mutex);
}

void ed_slots_show(ed_slots *slots, eddy_connection handle)
{
    ed_mutex_lock(&slots->mutex);
    if (is_taken(slots, handle))
        (void)atomic_fetch_and(&slots->done[ed_slot_of(handle)], (unsigned char)~HIDDEN);
    ed_mutex_unlock(&slots->mutex);
}

void ed_slots_give(ed_slots *slots, eddy_connection handle)
{
    add_done(slots, handle, FREE);
}

void ed_slots_end(ed_slots *slots, eddy_connection handle)
{
    add_done(slots, handle, ENDED);
}

void ed_slots_forget(ed_slots *slots, eddy_connection handle)
{
    add_done(slots, handle, FORGOTTEN);
}

bool ed_slots_live(const ed_slots *slots, eddy_connection handle)
{
    return is_taken(slots, handle) && (atomic_load(&slots->done[ed_slot_of(handle)]) & ENDED) == 0;
}

void ed_slots_mute(ed_slots *slots, eddy_connection handle)
{
    add_done(slots, handle, MUTE);
}

bool ed_slots_takes(const ed_slots *slots, eddy_connection handle)
{
    return is_taken(slots, handle) &&
           (atomic_load(&slots->done[ed_slot_of(handle)]) & (ENDED | MUTE | HIDDEN)) == 0;
}

/* ------------------------------------------------------------------------- what is noted of one --
 */

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

void *ed_slots_data(const ed_slots *slots, eddy_connection handle)
{
    if (ed_slot_of(handle) >= slots->count)
        return NULL;
    void *data = atomic_load(&slots->data[ed_slot_of(handle)]);
    // In this order: if the slot is the handle's now, it was when the pointer was read.
    return is_taken(slots, handle) ? data : NULL;
}

/* ----------------------------------------------------------------------------------- the table --
 */

uint32_t ed_slots_left_incoming(ed_slots *slots)
{
    ed_mutex_lock(&slots->mutex);
    uint32_t left = slots->incoming.count;
    ed_mutex_unlock(&slots->mutex);
    if (slots->quota != NULL && ed_quota_left(slots->quota) < left)
        return ed_quota_left(slots->quota);
    return left;
}

eddy_connection ed_slots_handle(const ed_slots *slots, uint32_t slot)
{
    ED_ASSERT(slot < slots->count);
    unsigned generation = atomic_load(&slots->generation[slot]);
    bool is_shown = (atomic_load(&slots->done[slot]) & HIDDEN) == 0;

    return generation % 2 == 1 && is_shown ? handle_of(slots, slot, generation) : 0;
}

bool ed_slots_is_outgoing(const ed_slots *slots, eddy_connection handle)
{
    return ed_slot_of(handle) < slots->outgoing_count;
}

uint32_t ed_slots_outgoing_count(const ed_slots *slots)
{
    return slots->outgoing_count;
}

uint8_t ed_slots_shard(const ed_slots *slots)
{
    return slots->shard;
}

uint32_t ed_slots_count(const ed_slots *slots)
{
    return slots->count;
}
