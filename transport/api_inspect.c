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

/** Copies what the last poll has published; zeros in a child of the process. */
static void copy_published(eddy_manager *m, void *to, const void *published, size_t size)
{
    memset(to, 0, size);
    if (ed_api_is_forked(m))
        return;
    ed_mutex_lock(&m->mutex);
    memcpy(to, published, size);
    ed_mutex_unlock(&m->mutex);
}

void eddy_get_refusals(eddy_manager *m, uint64_t counts[EDDY_CHECK_COUNT])
{
    copy_published(m, counts, m->published_refusals, sizeof(m->published_refusals));
}

void eddy_get_stats(eddy_manager *m, eddy_stats *stats)
{
    copy_published(m, stats, &m->published, sizeof(*stats));
}

void eddy_get_socket_stats(eddy_manager *m, eddy_socket_stats *stats)
{
    copy_published(m, stats, &m->published_socket, sizeof(*stats));
}

/* ----------------------------------------------------------------------------- connections -- */

/** Keeps polls away. @return the connection, or NULL: there is none, or the core has not made it.
 */
static const ed_conn *begin_look(eddy_manager *m, eddy_connection connection)
{
    ed_mutex_lock(&m->core_mutex);
    return ed_manager_connection(m->core, connection);
}

static void end_look(eddy_manager *m)
{
    ed_mutex_unlock(&m->core_mutex);
}

/* -------------------------------------------------------------------------------- the list -- */

/** The connection in a slot, if the program knows of it; otherwise 0. */
static eddy_connection known_in_slot(const eddy_manager *m, uint32_t slot)
{
    eddy_connection handle = ed_slots_handle(m->slots, slot);
    const ed_conn *conn = handle == 0 ? NULL : ed_manager_connection(m->core, handle);

    if (conn != NULL)
        return ed_conn_is_known(conn) ? handle : 0;
    bool is_on_its_way = ed_slots_is_outgoing(m->slots, handle) && ed_slots_live(m->slots, handle);
    return is_on_its_way ? handle : 0; // to the core
}

size_t eddy_connections(eddy_manager *m, eddy_connection *handles, size_t capacity)
{
    size_t count = 0;

    if (ed_api_is_forked(m))
        return 0;
    ed_mutex_lock(&m->core_mutex);
    for (uint32_t slot = 0; slot < ed_slots_count(m->slots); slot++) {
        eddy_connection handle = known_in_slot(m, slot);
        if (handle == 0)
            continue;
        if (count < capacity)
            handles[count] = handle;
        count++;
    }
    ed_mutex_unlock(&m->core_mutex);
    return count;
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
    const ed_conn *conn = begin_look(m, connection);
    eddy_state state = EDDY_STATE_NONE;

    if (conn != NULL)
        state = state_of(conn);
    else if (ed_local_owns(m->pairs, connection))
        state = EDDY_STATE_CONNECTED;
    else if (ed_slots_live(m->slots, connection))
        state = EDDY_STATE_CONNECTING;
    end_look(m);
    return state;
}

/** Why there is no connection for a handle. */
static eddy_status status_without(const eddy_manager *m, eddy_connection connection)
{
    if (ed_local_owns(m->pairs, connection))
        return EDDY_ESUPPORT;
    return ed_slots_live(m->slots, connection) ? EDDY_EAGAIN : EDDY_ECONNECTION;
}

eddy_status eddy_peer_address(eddy_manager *m, eddy_connection connection, eddy_address *address)
{
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    const ed_conn *conn = begin_look(m, connection);
    eddy_status status = EDDY_OK;

    if (conn == NULL)
        status = status_without(m, connection);
    else if (ed_conn_path(conn)->remote.family == EDDY_FAMILY_NONE)
        status = EDDY_EAGAIN;
    else
        *address = ed_conn_path(conn)->remote;
    end_look(m);
    return status;
}

eddy_status eddy_get_connection_stats(eddy_manager *m, eddy_connection connection,
                                      eddy_connection_stats *stats)
{
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    const ed_conn *conn = begin_look(m, connection);
    eddy_status status = conn == NULL ? status_without(m, connection) : EDDY_OK;

    if (conn != NULL)
        ed_conn_get_stats(conn, stats, m->polled_ns);
    end_look(m);
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
    const ed_conn *conn = begin_look(m, connection);
    eddy_status status = conn == NULL ? status_without(m, connection) : EDDY_OK;

    if (conn != NULL)
        ed_conn_get_stream_stats(conn, (uint8_t)guarantee, stream, stats);
    end_look(m);
    return status;
}
