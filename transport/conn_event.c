/** What a connection tells the program. */
#include <string.h>

#include "transport/conn.h"

/** The payload of the request goes with the first event of an incoming connection. */
static const uint8_t *give_payload(ed_conn *conn, ed_block *block, size_t *size)
{
    ed_block *payload = conn->payload;

    if (payload == NULL)
        return NULL;
    block->next = payload;
    conn->payload = NULL;
    *size = payload->size;
    return payload->data;
}

/** From now on an answer is taken. */
static ed_event_item request_event(ed_conn *conn)
{
    eddy_event_request request = {.remote = ed_conn_path(conn)->remote};
    ed_block *block = conn->request_block;

    ED_ASSERT(conn->is_asked && block != NULL);
    conn->asked_pending = false;
    conn->request_block = NULL;
    ed_slots_ask(conn->shared->slots, conn->handle);
    request.payload = give_payload(conn, block, &request.payload_size);
    return ed_event_of(conn->handle, EDDY_CONNECT_REQUEST, block, &request, sizeof(request));
}

static ed_event_item connected_event(ed_conn *conn)
{
    eddy_event_connected connected = {.remote = ed_conn_path(conn)->remote,
                                      .incoming = !conn->is_client};
    ed_block *block = conn->connected_block;

    conn->connected_pending = false;
    conn->connected_block = NULL;
    connected.payload = give_payload(conn, block, &connected.payload_size);
    return ed_event_of(conn->handle, EDDY_CONNECTED, block, &connected, sizeof(connected));
}

/** @return false if there is no memory for it now: it stays pending, and later moves join it. */
static bool moved_event(ed_conn *conn, ed_event_item *item)
{
    eddy_event_moved moved = {.remote = ed_conn_path(conn)->remote};
    ed_block *block = ed_pool_take(conn->shared->notice_pool, sizeof(moved));

    if (block == NULL)
        return false;
    conn->moved_pending = false;
    *item = ed_event_of(conn->handle, EDDY_MOVED, block, &moved, sizeof(moved));
    return true;
}

static ed_event_item message_event(ed_conn *conn, ed_block *block)
{
    ed_event_item item = {.connection = conn->handle,
                          .block = block,
                          .type = EDDY_MESSAGE,
                          .guarantee = ed_block_guarantee(block),
                          .stream = ed_block_stream(block),
                          .skipped = ed_block_skipped(block)};

    conn->shared->stats->messages_delivered++;
    conn->counts.messages_delivered++;
    ed_return_mark(block, conn->handle);
    return item;
}

static ed_event_item disconnected_event(ed_conn *conn)
{
    eddy_event_disconnected last = {.end = conn->end.end,
                                    .refusal = conn->end.refusal,
                                    .code = conn->end.code,
                                    .undelivered = conn->outbox.reliable_count + conn->late_count};
    ed_block *block = conn->disconnected_block;

    conn->disconnected_pending = false;
    conn->disconnected_block = NULL;
    conn->moved_pending = false; // if it waits for memory: nothing follows the last event
    conn->shared->stats->messages_undelivered += last.undelivered;
    memcpy(last.reason, conn->end.reason, sizeof(last.reason));
    return ed_event_of(conn->handle, EDDY_DISCONNECTED, block, &last, sizeof(last));
}

/** Whether there is room again for a program that was refused. */
static bool is_writable(const ed_conn *conn)
{
    const eddy_config *config = conn->shared->config;

    return ed_outbox_is_half_free(&conn->outbox, config->connection_send_budget) &&
           *conn->shared->queued_size <= config->send_budget / 2;
}

/** What we close locally is reported when it is over: acks may still arrive until then. */
static bool is_at_end(const ed_conn *conn)
{
    return conn->disconnected_pending &&
           (conn->state == ED_CONN_CLOSED || conn->state == ED_CONN_DRAINING ||
            conn->state == ED_CONN_REFUSING);
}

/** What comes before all messages, and in between. */
static bool early_event(ed_conn *conn, ed_event_item *item)
{
    if (conn->asked_pending) {
        *item = request_event(conn);
        return true;
    }
    if (conn->connected_pending) {
        *item = connected_event(conn);
        return true;
    }
    return conn->moved_pending && moved_event(conn, item);
}

static bool late_event(ed_conn *conn, ed_event_item *item)
{
    if (is_at_end(conn)) {
        *item = disconnected_event(conn);
        return true;
    }
    if (!conn->wants_writable || !ed_conn_is_open(conn) || !is_writable(conn))
        return false;
    conn->wants_writable = false;
    *item = (ed_event_item){.connection = conn->handle, .type = EDDY_WRITABLE};
    return true;
}

bool ed_conn_event(ed_conn *conn, ed_event_item *item)
{
    if (early_event(conn, item))
        return true;
    ed_block *block = ed_inbox_next(&conn->inbox);
    if (block != NULL) {
        *item = message_event(conn, block);
        return true;
    }
    if (is_at_end(conn))
        ed_outbox_end(&conn->outbox);
    block = ed_outbox_next_receipt(&conn->outbox);
    if (block != NULL) {
        *item = (ed_event_item){.connection = conn->handle, .block = block, .type = EDDY_RECEIPT};
        return true;
    }
    return late_event(conn, item);
}
