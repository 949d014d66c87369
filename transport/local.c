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
    } * ends; /* by slot */
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
        ed_alloc_array(allocator, (size_t)ed_slots_count(slots) + 1, sizeof(*local->ends));
    if (local->ends != NULL && ed_mutex_init(&local->mutex) == EDDY_OK)
        return local;
    ed_alloc_free(allocator, local->ends,
                  ((size_t)ed_slots_count(slots) + 1) * sizeof(*local->ends));
    ed_alloc_free(allocator, local, sizeof(*local));
    return NULL;
}

void ed_local_destroy(ed_local *local)
{
    if (local == NULL)
        return;
    ed_mutex_destroy(&local->mutex);
    ed_alloc_free(local->allocator, local->ends,
                  ((size_t)ed_slots_count(local->slots) + 1) * sizeof(*local->ends));
    ed_alloc_free(local->allocator, local, sizeof(*local));
}

/** With the mutex held. @return the end, or NULL if the handle is no local one's. */
static struct end *find_locked(ed_local *local, eddy_connection connection)
{
    uint32_t slot = ed_slot_of(connection);
    bool is_here = connection != 0 && slot < ed_slots_count(local->slots) &&
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

static eddy_event event_of(const ed_local *local, eddy_event_type type, eddy_connection connection)
{
    return (eddy_event){.type = type,
                        .connection = connection,
                        .user_data = ed_slots_data(local->slots, connection)};
}

/* ------------------------------------------------------------------------------- beginning -- */

static void join(ed_local *local, eddy_connection a, eddy_connection b)
{
    local->ends[ed_slot_of(a)] = (struct end){.self = a, .peer = b};
    local->ends[ed_slot_of(b)] = (struct end){.self = b, .peer = a};
    atomic_fetch_add(&local->pair_count, 1);
}

static eddy_status connect_locked(ed_local *local, eddy_connection a, eddy_connection b)
{
    eddy_event events[2] = {event_of(local, EDDY_CONNECTED, a), event_of(local, EDDY_CONNECTED, b)};

    if (local->is_closed)
        return EDDY_ECLOSED;
    if (a == 0 || b == 0)
        return EDDY_ELIMIT;
    events[1].connected.incoming = true;
    eddy_status status = ed_channel_push(local->events, events, ED_COUNT(events));
    if (status == EDDY_OK)
        join(local, a, b);
    return status;
}

eddy_status ed_local_connect(ed_local *local, eddy_connection *a, eddy_connection *b)
{
    eddy_connection handles[2] = {ed_slots_take_outgoing(local->slots),
                                  ed_slots_take_outgoing(local->slots)};

    ed_mutex_lock(&local->mutex);
    eddy_status status = connect_locked(local, handles[0], handles[1]);
    ed_mutex_unlock(&local->mutex);
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

static eddy_status send_locked(ed_local *local, eddy_connection connection, eddy_event *event)
{
    const struct end *end = find_locked(local, connection);

    if (end == NULL)
        return EDDY_ECONNECTION;
    event->connection = end->peer;
    event->user_data = ed_slots_data(local->slots, end->peer);
    return ed_channel_push(local->events, event, 1);
}

eddy_status ed_local_send(ed_local *local, eddy_connection connection, eddy_guarantee guarantee,
                          uint8_t stream, const void *data, size_t size)
{
    ed_block *block = ed_pool_take(local->pool, size);

    if (block == NULL)
        return EDDY_EAGAIN;
    if (size > 0)
        memcpy(block->data, data, size);
    eddy_event event = {
        .type = EDDY_MESSAGE,
        .message = {.data = block->data, .size = size, .guarantee = guarantee, .stream = stream},
        .block = block};
    ed_mutex_lock(&local->mutex);
    eddy_status status = send_locked(local, connection, &event);
    ed_mutex_unlock(&local->mutex);
    if (status != EDDY_OK)
        ed_pool_give(block);
    return status == EDDY_ENOMEM ? EDDY_EAGAIN : status;
}

/* ---------------------------------------------------------------------------------- ending -- */

static void part(ed_local *local, eddy_connection connection)
{
    ED_ASSERT(find_locked(local, connection) != NULL);
    local->ends[ed_slot_of(connection)] = (struct end){0};
    ed_slots_give(local->slots, connection);
}

/** Tells both ends how it ended. On failure nothing has changed. */
static eddy_status end_locked(ed_local *local, const struct end *end, eddy_end at_peer,
                              const eddy_event_disconnected *how)
{
    eddy_connection self = end->self, peer = end->peer;
    eddy_event events[2] = {event_of(local, EDDY_DISCONNECTED, self),
                            event_of(local, EDDY_DISCONNECTED, peer)};

    events[0].disconnected = *how;
    events[1].disconnected = *how;
    events[1].disconnected.end = at_peer;
    eddy_status status = ed_channel_push(local->events, events, ED_COUNT(events));
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
    eddy_status status =
        end == NULL ? EDDY_ECONNECTION : end_locked(local, end, EDDY_END_CLOSED_REMOTE, &how);
    ed_mutex_unlock(&local->mutex);
    return status;
}

void ed_local_shutdown(ed_local *local)
{
    const eddy_event_disconnected how = {.end = EDDY_END_CLOSED_LOCAL};
    eddy_status status = EDDY_OK;

    ed_mutex_lock(&local->mutex);
    local->is_closed = true;
    for (uint32_t i = 0; status == EDDY_OK && i < ed_slots_count(local->slots); i++)
        if (local->ends[i].self != 0)
            status = end_locked(local, &local->ends[i], EDDY_END_CLOSED_LOCAL, &how);
    // Without memory for the events there is none for going on: the end of all events says it, too.
    ed_mutex_unlock(&local->mutex);
}
