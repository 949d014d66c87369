/** What a connection tells the program. */
#include <string.h>

#include "transport/conn.h"

/** What is known of the one who connected goes with the first event of an incoming connection. */
static eddy_peer give_newcomer(ed_conn *conn, ed_block *block, const uint8_t **payload,
                               size_t *payload_size)
{
    eddy_peer peer = {.mode = (eddy_mode)(1 << conn->mode)};
    ed_block *held = conn->newcomer;

    if (held == NULL)
        return peer;
    const ed_newcomer *newcomer = (const void *)held->data;
    block->next = held;
    conn->newcomer = NULL;
    peer.key = newcomer->key;
    peer.client_id = newcomer->client_id;
    peer.data_size = newcomer->data_size;
    peer.data = newcomer->data_size == 0 ? NULL : newcomer->payload + newcomer->payload_size;
    *payload_size = newcomer->payload_size;
    *payload = newcomer->payload_size == 0 ? NULL : newcomer->payload;
    return peer;
}

/** A client knows the server's key. */
static eddy_peer give_server(ed_conn *conn)
{
    eddy_peer peer = {.mode = (eddy_mode)(1 << conn->mode)};
    const ed_dial *dial = (const void *)conn->dial->data;

    memcpy(peer.key.bytes, dial->server_key, ED_KEY_SIZE);
    ed_dial_drop(conn->dial);
    conn->dial = NULL;
    return peer;
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
    request.peer = give_newcomer(conn, block, &request.payload, &request.payload_size);
    return ed_event_of(conn->handle, EDDY_CONNECT_REQUEST, block, &request, sizeof(request));
}

static ed_event_item connected_event(ed_conn *conn)
{
    eddy_event_connected connected = {.remote = ed_conn_path(conn)->remote,
                                      .incoming = !conn->is_client};
    ed_block *block = conn->connected_block;

    conn->connected_pending = false;
    conn->connected_block = NULL;
    connected.peer = conn->is_client
                         ? give_server(conn)
                         : give_newcomer(conn, block, &connected.payload, &connected.payload_size);
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

/** The messages that may be delivered. @return how many. */
static size_t message_events(ed_conn *conn, ed_event_item *items, size_t most)
{
    size_t count = 0;
    ed_block *block = NULL;

    while (count < most && (block = ed_inbox_next(&conn->inbox)) != NULL) {
        items[count++] = (ed_event_item){.connection = conn->handle,
                                         .block = block,
                                         .type = EDDY_MESSAGE,
                                         .guarantee = ed_block_guarantee(block),
                                         .stream = ed_block_stream(block),
                                         .skipped = ed_block_skipped(block)};
        ed_return_mark(block, conn->handle);
    }
    conn->shared->stats->messages_delivered += count;
    conn->counts.messages_delivered += count;
    return count;
}

/** What is accepted must be counted in the last event: it waits for who is about to send. */
static bool has_come_all(ed_conn *conn)
{
    const ed_account *account = conn->outbox.made_of.account;

    if (account == NULL)
        return true; // all is sent by the thread that we are on
    if (!conn->is_muted)
        ed_slots_mute(conn->shared->slots, conn->handle);
    conn->is_muted = true;
    return ed_account_used(account) == conn->outbox.queued_size;
}

bool ed_conn_awaits_senders(const ed_conn *conn)
{
    return conn->is_muted && conn->disconnected_pending;
}

static ed_event_item disconnected_event(ed_conn *conn)
{
    ed_block *block = conn->disconnected_block;
    const ed_conn_end *end = (const void *)block->data;
    eddy_event_disconnected last = {.end = end->end,
                                    .refusal = end->refusal,
                                    .code = end->code,
                                    .undelivered = conn->outbox.reliable_count + conn->late_count};

    conn->disconnected_pending = false;
    conn->disconnected_block = NULL;
    conn->moved_pending = false; // if it waits for memory: nothing follows the last event
    conn->shared->stats->messages_undelivered += last.undelivered;
    memcpy(last.reason, end->reason, sizeof(last.reason));
    return ed_event_of(conn->handle, EDDY_DISCONNECTED, block, &last, sizeof(last));
}

/** Whether there is room again for a program that was refused. */
static bool is_writable(const ed_conn *conn)
{
    const eddy_config *config = conn->shared->config;
    uint64_t queued = *conn->shared->queued_cost;
    uint64_t needed = queued + conn->wanted;

    return ed_outbox_is_half_free(&conn->outbox, config->connection_send_budget) &&
           ed_outbox_has_room(&conn->outbox, config->connection_send_budget, conn->wanted_stream,
                              conn->wanted) &&
           queued <= config->send_budget / 2 && // an empty pool takes any message that may be sent
           (queued == 0 || needed <= config->send_budget);
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
        if (!has_come_all(conn))
            return false;
        *item = disconnected_event(conn);
        return true;
    }
    if (!conn->wants_writable || !ed_conn_is_open(conn) || !is_writable(conn))
        return false;
    conn->wants_writable = false;
    *item = (ed_event_item){.connection = conn->handle, .type = EDDY_WRITABLE};
    return true;
}

/** What comes after the messages. */
static bool later_event(ed_conn *conn, ed_event_item *item)
{
    if (is_at_end(conn) && !conn->receipts_ended) {
        conn->receipts_ended = true; // it takes no messages any more, and to look at all costs
        ed_outbox_end(&conn->outbox);
    }
    ed_block *block = ed_outbox_next_receipt(&conn->outbox);
    if (block != NULL) {
        *item = (ed_event_item){.connection = conn->handle, .block = block, .type = EDDY_RECEIPT};
        return true;
    }
    return late_event(conn, item);
}

size_t ed_conn_events(ed_conn *conn, ed_event_item *items, size_t most)
{
    size_t count = 0;

    while (count < most && early_event(conn, &items[count]))
        count++;
    count += message_events(conn, items + count, most - count);
    while (count < most && later_event(conn, &items[count]))
        count++;
    return count;
}
