/** The calls of core/eddy.h that look: at the manager, and at connections between two polls. */
#include <string.h>

#include "transport/api_state.h"

/* ----------------------------------------------------------------------------- the manager -- */

void *eddy_user_data(const eddy_manager *m)
{
    return m->config.user_data;
}

eddy_address eddy_local_address(const eddy_manager *m)
{
    return m->local;
}

uint32_t eddy_shard_count(const eddy_manager *m)
{
    return m->shard_count;
}

uint32_t eddy_shard_of(eddy_connection connection)
{
    return ed_shard_of(connection);
}

void eddy_get_refusals(eddy_manager *m, uint64_t counts[EDDY_CHECK_COUNT])
{
    for (size_t k = 0; k < EDDY_CHECK_COUNT; k++)
        counts[k] = 0;
    if (ed_api_is_forked(m))
        return;
    for (uint32_t i = 0; i < m->shard_count; i++) {
        ed_mutex_lock(&m->shards[i]->core_mutex);
        for (size_t k = 0; k < EDDY_CHECK_COUNT; k++)
            counts[k] += m->shards[i]->refusals[k];
        ed_mutex_unlock(&m->shards[i]->core_mutex);
    }
}

static void add_stats(eddy_stats *sum, const eddy_stats *stats)
{
#define X(name, text) sum->name += stats->name;
    EDDY_STATS_MAP(X)
#undef X
}

eddy_status eddy_get_shard_stats(eddy_manager *m, uint32_t shard, eddy_stats *stats)
{
    if (shard >= m->shard_count)
        return EDDY_EINVAL;
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    ed_mutex_lock(&m->shards[shard]->core_mutex);
    *stats = m->shards[shard]->live;
    stats->sends_refused = atomic_load(&m->shards[shard]->sends_refused);
    ed_mutex_unlock(&m->shards[shard]->core_mutex);
    return EDDY_OK;
}

void eddy_get_stats(eddy_manager *m, eddy_stats *stats)
{
    *stats = (eddy_stats){0};
    for (uint32_t i = 0; i < m->shard_count; i++) {
        eddy_stats one = {0};
        if (eddy_get_shard_stats(m, i, &one) == EDDY_OK)
            add_stats(stats, &one);
    }
}

/** What it counts; how it works is the same for all of a manager's. */
static void add_socket_stats(eddy_socket_stats *sum, const eddy_socket_stats *stats)
{
    eddy_socket_stats before = *sum;

    *sum = *stats;
    sum->sent_datagrams += before.sent_datagrams;
    sum->sent_bytes += before.sent_bytes;
    sum->sent_calls += before.sent_calls;
    sum->received_datagrams += before.received_datagrams;
    sum->received_bytes += before.received_bytes;
    sum->received_calls += before.received_calls;
    sum->refused += before.refused;
    sum->no_buffers += before.no_buffers;
    sum->too_big += before.too_big;
    sum->would_block += before.would_block;
    sum->other_errors += before.other_errors;
    sum->segment_retries += before.segment_retries;
    sum->truncated += before.truncated;
}

void eddy_get_socket_stats(eddy_manager *m, eddy_socket_stats *stats)
{
    *stats = (eddy_socket_stats){0};
    if (ed_api_is_forked(m))
        return;
    for (uint32_t i = 0; i < m->shard_count; i++) {
        ed_mutex_lock(&m->shards[i]->core_mutex);
        add_socket_stats(stats, &m->shards[i]->socket_stats);
        ed_mutex_unlock(&m->shards[i]->core_mutex);
    }
}

/* ----------------------------------------------------------------------------- connections -- */

/** Keeps polls away. @return the connection, or NULL: there is none, or the core has not made it.
 */
static ed_conn *begin_look(ed_shard *shard, eddy_connection connection)
{
    ed_mutex_lock(&shard->core_mutex);
    return ed_manager_connection(shard->core, connection);
}

static void end_look(ed_shard *shard)
{
    ed_mutex_unlock(&shard->core_mutex);
}

/* -------------------------------------------------------------------------------- the list -- */

/** The connection in a slot, if the program knows of it; otherwise 0. */
static eddy_connection known_in_slot(const ed_shard *shard, uint32_t slot)
{
    eddy_connection handle = ed_slots_handle(shard->slots, slot);
    const ed_conn *conn = handle == 0 ? NULL : ed_manager_connection(shard->core, handle);

    if (conn != NULL)
        return ed_conn_is_known(conn) ? handle : 0;
    bool is_on_its_way =
        ed_slots_is_outgoing(shard->slots, handle) && ed_slots_live(shard->slots, handle);
    return is_on_its_way ? handle : 0; // to the core
}

/** A list that may have room for more. */
struct handles {
    eddy_connection *handle;
    size_t capacity;
    size_t count; /* also where that is more than there was room for */
};

static void list_shard(ed_shard *shard, struct handles *list)
{
    ed_mutex_lock(&shard->core_mutex);
    for (uint32_t slot = 0; slot < ed_slots_count(shard->slots); slot++) {
        eddy_connection handle = known_in_slot(shard, slot);
        if (handle == 0)
            continue;
        if (list->count < list->capacity)
            list->handle[list->count] = handle;
        list->count++;
    }
    ed_mutex_unlock(&shard->core_mutex);
}

size_t eddy_connections(eddy_manager *m, eddy_connection *handles, size_t capacity)
{
    struct handles list = {.handle = handles, .capacity = capacity};

    if (ed_api_is_forked(m))
        return 0;
    for (uint32_t i = 0; i < m->shard_count; i++)
        list_shard(m->shards[i], &list);
    return list.count;
}

/* ------------------------------------------------------------------------------ one of them -- */

static eddy_state state_of(const ed_conn *conn)
{
    if (!ed_conn_is_known(conn))
        return EDDY_STATE_NONE;
    if (conn->closes_on_connect)
        return EDDY_STATE_CLOSING;
    switch (conn->state) {
    case ED_CONN_ASKING:
        return EDDY_STATE_REQUESTED;
    case ED_CONN_RESOLVING:
    case ED_CONN_GREETING:
    case ED_CONN_INITIATING:
    case ED_CONN_HALF_OPEN:
        return EDDY_STATE_CONNECTING;
    case ED_CONN_CONNECTED:
        return EDDY_STATE_CONNECTED;
    case ED_CONN_FLUSHING:
    case ED_CONN_CLOSING:
    case ED_CONN_DRAINING:
    case ED_CONN_REFUSING:
    case ED_CONN_CLOSED:
    case ED_CONN_NO_STATE:
    case ED_CONN_STATE_COUNT:
        break;
    }
    return EDDY_STATE_CLOSING;
}

eddy_state eddy_connection_state(eddy_manager *m, eddy_connection connection)
{
    if (ed_api_is_forked(m))
        return EDDY_STATE_NONE;
    ed_shard *shard = ed_api_shard(m, connection);
    const ed_conn *conn = begin_look(shard, connection);
    eddy_state state = EDDY_STATE_NONE;

    if (conn != NULL)
        state = state_of(conn);
    else if (ed_local_owns(m->pairs, connection))
        state = EDDY_STATE_CONNECTED;
    else if (ed_slots_live(shard->slots, connection))
        state = EDDY_STATE_CONNECTING;
    end_look(shard);
    return state;
}

/** Why there is no connection for a handle. */
static eddy_status status_without(const eddy_manager *m, eddy_connection connection)
{
    if (ed_local_owns(m->pairs, connection))
        return EDDY_ESUPPORT;
    return ed_api_is_live(m, connection) ? EDDY_EAGAIN : EDDY_ECONNECTION;
}

eddy_status eddy_peer_address(eddy_manager *m, eddy_connection connection, eddy_address *address)
{
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    ed_shard *shard = ed_api_shard(m, connection);
    const ed_conn *conn = begin_look(shard, connection);
    eddy_status status = EDDY_OK;

    if (conn == NULL)
        status = status_without(m, connection);
    else if (ed_conn_path(conn)->remote.family == EDDY_FAMILY_NONE)
        status = EDDY_EAGAIN;
    else
        *address = ed_conn_path(conn)->remote;
    end_look(shard);
    return status;
}

eddy_status eddy_clock(eddy_manager *m, eddy_connection connection, uint64_t now_ns,
                       eddy_peer_time *time)
{
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    ed_shard *shard = ed_api_shard(m, connection);
    ed_conn *conn = begin_look(shard, connection);
    eddy_status status = EDDY_OK;

    if (conn == NULL)
        status = status_without(m, connection);
    else if (!ed_peer_clock_tell(&conn->clock, ed_api_time_ns(m, now_ns), time))
        status = EDDY_EAGAIN;
    end_look(shard);
    if (status == EDDY_ESUPPORT) { // of a pair
        *time = (eddy_peer_time){.now_ns = now_ns};
        status = EDDY_OK;
    }
    return status;
}

eddy_status eddy_get_connection_stats(eddy_manager *m, eddy_connection connection,
                                      eddy_connection_stats *stats)
{
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    ed_shard *shard = ed_api_shard(m, connection);
    const ed_conn *conn = begin_look(shard, connection);
    eddy_status status = conn == NULL ? status_without(m, connection) : EDDY_OK;

    if (conn != NULL)
        ed_conn_get_stats(conn, stats, shard->polled_ns);
    end_look(shard);
    return status;
}

eddy_status eddy_get_stream_stats(eddy_manager *m, eddy_connection connection,
                                  eddy_guarantee guarantee, uint8_t stream,
                                  eddy_stream_stats *stats)
{
    if ((unsigned)guarantee > EDDY_RELIABLE_SEQUENCED)
        return EDDY_EINVAL;
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    ed_shard *shard = ed_api_shard(m, connection);
    const ed_conn *conn = begin_look(shard, connection);
    eddy_status status = conn == NULL ? status_without(m, connection) : EDDY_OK;

    if (conn != NULL)
        ed_conn_get_stream_stats(conn, (uint8_t)guarantee, stream, stats);
    end_look(shard);
    return status;
}
