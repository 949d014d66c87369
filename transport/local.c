#include "transport/local.h"

#include <stdatomic.h>
#include <string.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/thread.h"

struct ed_local {
    const eddy_allocator *allocator;
    ed_slots *slots;
    ed_pool *pool;
    ed_channel *events;
    atomic_uint pair_count; /* so that whoever has none pays nothing */
    ed_mutex mutex; /* of what follows; held while events are pushed, so that none is late */
    bool is_closed;
    struct end {
        eddy_connection self; /* 0: this slot's connection is not local */
        eddy_connection peer;
        ed_block *last; /* reserved for its DISCONNECTED */
    } * ends;           /* by slot, as pairs take outgoing ones */
};

ed_local *ed_local_create(const eddy_allocator *allocator, ed_slots *slots, ed_pool *pool,
                          ed_channel *events)
{
    ed_local *local = ed_alloc_zeroed(allocator, sizeof(*local));

    if (local == NULL)
        return NULL;
    local->allocator = allocator;
    local->slots = slots;
    local->pool = pool;
    local->events = events;
    local->ends =
        ed_alloc_array(allocator, (size_t)ed_slots_outgoing_count(slots) + 1, sizeof(*local->ends));
    if (local->ends != NULL && ed_mutex_init(&local->mutex) == EDDY_OK)
        return local;
    ed_alloc_free(allocator, local->ends,
                  ((size_t)ed_slots_outgoing_count(slots) + 1) * sizeof(*local->ends));
    ed_alloc_free(allocator, local, sizeof(*local));
    return NULL;
}

void ed_local_destroy(ed_local *local)
{
    if (local == NULL)
        return;
    for (uint32_t i = 0; i < ed_slots_outgoing_count(local->slots); i++)
        ed_pool_give(local->ends[i].last);
    ed_mutex_destroy(&local->mutex);
    ed_alloc_free(local->allocator, local->ends,
                  ((size_t)ed_slots_outgoing_count(local->slots) + 1) * sizeof(*local->ends));
    ed_alloc_free(local->allocator, local, sizeof(*local));
}

/** With the mutex held. @return the end, or NULL if the handle is no local one's. */
static struct end *find_locked(ed_local *local, eddy_connection connection)
{
    uint32_t slot = ed_slot_of(connection);
    bool is_here = connection != 0 && slot < ed_slots_outgoing_count(local->slots) &&
                   local->ends[slot].self == connection;

    return is_here ? &local->ends[slot] : NULL;
}

bool ed_local_owns(ed_local *local, eddy_connection connection)
{
    if (atomic_load(&local->pair_count) == 0)
        return false;
    ed_mutex_lock(&local->mutex);
    bool owns = find_locked(local, connection) != NULL;
    ed_mutex_unlock(&local->mutex);
    return owns;
}

/* ------------------------------------------------------------------------------- beginning -- */

/** The blocks of both ends' events. */
struct reserved {
    ed_block *first[2];
    ed_block *last[2];
};

static void give_reserved(struct reserved *reserved)
{
    for (size_t i = 0; i < 2; i++) {
        ed_pool_give(reserved->first[i]);
        ed_pool_give(reserved->last[i]);
    }
}

static bool reserve(ed_local *local, struct reserved *reserved)
{
    bool has_all = true;

    for (size_t i = 0; i < 2; i++) {
        reserved->first[i] = ed_event_reserve(local->pool, EDDY_CONNECTED);
        reserved->last[i] = ed_event_reserve(local->pool, EDDY_DISCONNECTED);
        has_all = has_all && reserved->first[i] != NULL && reserved->last[i] != NULL;
    }
    return has_all;
}

static void join(ed_local *local, const eddy_connection handles[2], const struct reserved *reserved)
{
    for (size_t i = 0; i < 2; i++)
        local->ends[ed_slot_of(handles[i])] =
            (struct end){.self = handles[i], .peer = handles[1 - i], .last = reserved->last[i]};
    atomic_fetch_add(&local->pair_count, 1);
}

static eddy_status connect_locked(ed_local *local, const eddy_connection handles[2],
                                  const struct reserved *reserved)
{
    ed_event_item items[2];

    if (local->is_closed)
        return EDDY_ECLOSED;
    for (size_t i = 0; i < 2; i++) {
        eddy_event_connected connected = {.incoming = i == 1};
        items[i] = ed_event_of(handles[i], EDDY_CONNECTED, reserved->first[i], &connected,
                               sizeof(connected));
    }
    eddy_status status = ed_channel_push(local->events, items, ED_COUNT(items));
    if (status == EDDY_OK)
        join(local, handles, reserved);
    return status;
}

static bool is_closed(ed_local *local)
{
    ed_mutex_lock(&local->mutex);
    bool closed = local->is_closed;
    ed_mutex_unlock(&local->mutex);
    return closed;
}

static eddy_status connect_handles(ed_local *local, const eddy_connection handles[2])
{
    struct reserved reserved = {0};
    eddy_status status = EDDY_ENOMEM;

    if (handles[0] == 0 || handles[1] == 0)
        return is_closed(local) ? EDDY_ECLOSED : EDDY_ELIMIT;
    if (reserve(local, &reserved)) {
        ed_mutex_lock(&local->mutex);
        status = connect_locked(local, handles, &reserved);
        ed_mutex_unlock(&local->mutex);
    }
    if (status != EDDY_OK)
        give_reserved(&reserved);
    return status;
}

eddy_status ed_local_connect(ed_local *local, eddy_connection *a, eddy_connection *b)
{
    eddy_connection handles[2] = {ed_slots_take_outgoing(local->slots),
                                  ed_slots_take_outgoing(local->slots)};

    for (size_t i = 0; i < ED_COUNT(handles); i++)
        ed_slots_show(local->slots,
                      handles[i]); // before its first event; there is no dial to wait for
    eddy_status status = connect_handles(local, handles);
    for (size_t i = 0; status != EDDY_OK && i < ED_COUNT(handles); i++)
        if (handles[i] != 0)
            ed_slots_give(local->slots, handles[i]);
    if (status != EDDY_OK)
        return status;
    *a = handles[0];
    *b = handles[1];
    return EDDY_OK;
}

/* --------------------------------------------------------------------------------- talking -- */

static eddy_status send_locked(ed_local *local, eddy_connection connection, ed_event_item *message,
                               ed_block *receipt)
{
    const struct end *end = find_locked(local, connection);
    size_t count = receipt == NULL ? 1 : 2;

    if (end == NULL)
        return EDDY_ECONNECTION;
    if (local->is_closed) // and so perhaps is the channel
        return EDDY_ECLOSED;
    message->connection = end->peer;
    ed_event_item items[2] = {*message,
                              {.connection = connection, .block = receipt, .type = EDDY_RECEIPT}};
    return ed_channel_push(local->events, items, count);
}

eddy_status ed_local_send(ed_local *local, eddy_connection connection, eddy_guarantee guarantee,
                          uint8_t stream, ed_block *block, ed_block *receipt)
{
    ed_event_item message = {
        .block = block, .type = EDDY_MESSAGE, .guarantee = (uint8_t)guarantee, .stream = stream};

    if (receipt != NULL)
        ed_receipt_of(receipt)->event.outcome = EDDY_OUTCOME_ACKED;
    ed_mutex_lock(&local->mutex);
    eddy_status status = send_locked(local, connection, &message, receipt);
    ed_mutex_unlock(&local->mutex);
    return status == EDDY_ENOMEM ? EDDY_EAGAIN : status;
}

/* ---------------------------------------------------------------------------------- ending -- */

static void part(ed_local *local, eddy_connection connection)
{
    ED_ASSERT(find_locked(local, connection) != NULL);
    local->ends[ed_slot_of(connection)] = (struct end){0};
    ed_slots_end(local->slots, connection);
}

/** Tells both ends how it ended. On failure nothing has changed. */
static eddy_status end_locked(ed_local *local, const struct end *end, eddy_end at_peer,
                              const eddy_event_disconnected *how)
{
    eddy_connection self = end->self, peer = end->peer;
    eddy_event_disconnected other = *how;

    other.end = at_peer;
    const ed_event_item items[2] = {
        ed_event_of(self, EDDY_DISCONNECTED, end->last, how, sizeof(*how)),
        ed_event_of(peer, EDDY_DISCONNECTED, local->ends[ed_slot_of(peer)].last, &other,
                    sizeof(other))};
    eddy_status status = ed_channel_push(local->events, items, ED_COUNT(items));
    if (status != EDDY_OK)
        return status;
    part(local, self);
    part(local, peer);
    atomic_fetch_sub(&local->pair_count, 1);
    return EDDY_OK;
}

eddy_status ed_local_disconnect(ed_local *local, eddy_connection connection, uint32_t code,
                                const char *reason)
{
    eddy_event_disconnected how = {.end = EDDY_END_CLOSED_LOCAL, .code = code};

    if (reason != NULL)
        memcpy(how.reason, reason, strnlen(reason, EDDY_REASON_SIZE - 1));
    ed_mutex_lock(&local->mutex);
    const struct end *end = find_locked(local, connection);
    eddy_status status = end == NULL        ? EDDY_ECONNECTION
                         : local->is_closed ? EDDY_ECLOSED
                                            : end_locked(local, end, EDDY_END_CLOSED_REMOTE, &how);
    ed_mutex_unlock(&local->mutex);
    return status;
}

bool ed_local_shutdown(ed_local *local)
{
    const eddy_event_disconnected how = {.end = EDDY_END_CLOSED_LOCAL};
    eddy_status status = EDDY_OK;

    ed_mutex_lock(&local->mutex);
    local->is_closed = true;
    // Once all are over it tells nothing more: by then the channel may be closed, too.
    for (uint32_t i = 0; status == EDDY_OK && i < ed_slots_outgoing_count(local->slots); i++)
        if (local->ends[i].self != 0)
            status = end_locked(local, &local->ends[i], EDDY_END_CLOSED_LOCAL, &how);
    ed_mutex_unlock(&local->mutex);
    return status != EDDY_ENOMEM;
}
