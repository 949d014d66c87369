#include "transport/conn.h"

#include <string.h>

static void init(ed_conn *conn, const ed_conn_shared *shared, eddy_connection handle,
                 uint64_t now_ns)
{
    const eddy_config *config = shared->config;

    *conn = (ed_conn){
        .shared = shared, .handle = handle, .started_ns = now_ns, .rate_max = config->rate_max};
    ed_ack_init(&conn->ack);
    ed_inbox_init(&conn->inbox, shared->allocator, shared->receive_pool);
    ed_outbox_init(&conn->outbox, shared->allocator);
    ed_sent_log_init(&conn->sent, shared->allocator);
    ed_loss_init(&conn->loss);
    ed_rtt_init(&conn->rtt);
    conn->congestion_ops = ed_congestion_ops_of(config->congestion);
    conn->congestion_ops->init(&conn->congestion, ED_DATAGRAM_SIZE);
    ed_pacer_init(&conn->pacer, ed_conn_rate(conn), ED_DATAGRAM_SIZE, now_ns);
    ed_timers_init(&conn->timers, config->idle_timeout_ms, config->keepalive_ms);
    conn->request_pending = true;
}

void ed_conn_init_client(ed_conn *conn, const ed_conn_shared *shared, eddy_connection handle,
                         const eddy_address *remote, uint64_t now_ns)
{
    const eddy_entropy *entropy = shared->entropy;

    init(conn, shared, handle, now_ns);
    conn->state = remote->family == EDDY_FAMILY_NONE ? ED_CONN_RESOLVING : ED_CONN_GREETING;
    conn->request_pending = conn->state == ED_CONN_GREETING;
    conn->is_client = true;
    conn->remote = *remote;
    entropy->fill(entropy->context, conn->nonce, sizeof(conn->nonce));
    ed_timers_on_greeting(&conn->timers, shared->config->handshake_timeout_ms * ED_NS_PER_MS,
                          now_ns);
}

void ed_conn_init_server(ed_conn *conn, const ed_conn_shared *shared, eddy_connection handle,
                         uint32_t id, const eddy_datagram *datagram, const ed_initiate *initiate,
                         uint64_t now_ns)
{
    const eddy_entropy *entropy = shared->entropy;

    init(conn, shared, handle, now_ns);
    conn->state = ED_CONN_HALF_OPEN;
    conn->id = id;
    conn->remote = datagram->remote;
    conn->local = datagram->local;
    memcpy(conn->nonce, initiate->nonce, sizeof(conn->nonce));
    memcpy(conn->cookie, initiate->cookie, sizeof(conn->cookie));
    conn->client_time_us = initiate->client_time_us;
    conn->is_asked = shared->config->ask;
    memcpy(conn->client_ephemeral, initiate->ephemeral, sizeof(conn->client_ephemeral));
    entropy->fill(entropy->context, conn->server_ephemeral, sizeof(conn->server_ephemeral));
    conn->keys =
        ed_protect_packet_keys(conn->nonce, conn->client_ephemeral, conn->server_ephemeral);
    ed_timers_on_half_open(&conn->timers, now_ns);
    if (conn->is_asked) {
        conn->state = ED_CONN_ASKING;
        conn->asked_pending = true;
        conn->request_pending = false;
    }
}

void ed_conn_free(ed_conn *conn)
{
    ed_inbox_free(&conn->inbox);
    ed_outbox_free(&conn->outbox);
    ed_sent_log_free(&conn->sent);
    ed_pool_give(conn->payload);
    ed_wipe(&conn->keys, sizeof(conn->keys));
}

bool ed_conn_is_open(const ed_conn *conn)
{
    return conn->state == ED_CONN_CONNECTED || conn->state == ED_CONN_FLUSHING;
}

bool ed_conn_is_dialling(const ed_conn *conn)
{
    return conn->state == ED_CONN_RESOLVING || conn->state == ED_CONN_GREETING ||
           conn->state == ED_CONN_INITIATING;
}

bool ed_conn_is_ended(const ed_conn *conn)
{
    return (conn->state == ED_CONN_DRAINING || conn->state == ED_CONN_REFUSING) &&
           conn->end.end != 0 && !conn->disconnected_pending;
}

bool ed_conn_is_known(const ed_conn *conn)
{
    bool has_begun = conn->is_client || conn->is_asked || conn->is_opened;

    return has_begun && (conn->end.end == 0 || conn->disconnected_pending);
}

bool ed_conn_is_over(const ed_conn *conn)
{
    return conn->state == ED_CONN_CLOSED && !conn->asked_pending && !conn->connected_pending &&
           !conn->disconnected_pending && conn->inbox.first_ready == NULL;
}

uint64_t ed_conn_pto_ns(const ed_conn *conn)
{
    return ed_rtt_pto_ns(&conn->rtt, ED_ACK_DELAY_NS);
}

uint64_t ed_conn_next_ns(const ed_conn *conn)
{
    return ed_timers_next_ns(&conn->timers);
}

/* ------------------------------------------------------------------------------------ state -- */

/** One line for the program's log: which connection, whose, and what became of it. */
static void log_connection(const ed_conn *conn, const char *what, uint64_t now_ns)
{
    char remote[EDDY_ADDRESS_TEXT_SIZE];

    if (conn->shared->log->function == NULL)
        return;
    ed_log_line(conn->shared->log, now_ns, EDDY_LOG_INFO, EDDY_LOG_CONNECTION,
                "connection %llx with %s: %s", (unsigned long long)conn->handle,
                eddy_address_print(&conn->remote, remote), what);
}

static bool has_messages(const ed_conn *conn)
{
    return conn->outbox.reliable_count > 0 || conn->outbox.fresh_count > 0;
}

static void on_connected(ed_conn *conn, uint64_t now_ns)
{
    conn->is_opened = true;
    conn->connected_pending = true;
    conn->request_pending = false;
    conn->shared->stats->connections_opened++;
    ed_timers_on_connected(&conn->timers, now_ns);
    log_connection(conn, "open", now_ns);
    // The server learns that its ACCEPT arrived from the client's first packet, so there is one.
    conn->ping_pending = conn->is_client;
    if (!conn->closes_on_connect)
        return;
    ed_conn_apply(conn, ED_INPUT_CLOSE_LOCAL, NULL, now_ns);
    if (!has_messages(conn))
        ed_conn_apply(conn, ED_INPUT_FLUSHED, NULL, now_ns);
}

/** The end is known: says so to the program, once, if that has heard of the connection. */
static void report_end(ed_conn *conn, const ed_conn_end *end, uint64_t now_ns)
{
    if (conn->end.end != 0)
        return;
    conn->end = *end;
    log_connection(conn, eddy_end_text(end->end), now_ns);
    conn->disconnected_pending = conn->is_opened || conn->is_asked || conn->is_client;
    conn->shared->stats->connections_closed += conn->is_opened ? 1 : 0;
}

/** The end that the program asked for, in its own words. */
static ed_conn_end closed_locally(const ed_conn *conn)
{
    ed_conn_end end = {.end = EDDY_END_CLOSED_LOCAL, .code = conn->close.code};

    memcpy(end.reason, conn->close.reason, conn->close.reason_size);
    return end;
}

static void enter(ed_conn *conn, const ed_conn_end *end, uint64_t now_ns)
{
    ed_conn_end local = closed_locally(conn);

    switch (conn->state) {
    case ED_CONN_CONNECTED:
        on_connected(conn, now_ns);
        return;
    case ED_CONN_CLOSING:
        ed_timers_on_closing(&conn->timers, ed_conn_pto_ns(conn), now_ns);
        if (end != NULL)
            report_end(conn, end, now_ns);
        return;
    case ED_CONN_DRAINING:
        ed_timers_on_draining(&conn->timers, ed_conn_pto_ns(conn), now_ns);
        conn->close_pending = true; // so that the peer need not wait for its copies to run out
        report_end(conn, end, now_ns);
        return;
    case ED_CONN_REFUSING:
        conn->request_pending = true;
        report_end(conn, &local, now_ns);
        return;
    case ED_CONN_CLOSED:
        ed_timers_on_closed(&conn->timers);
        conn->request_pending = false;
        conn->close_pending = false;
        report_end(conn, end != NULL ? end : &local, now_ns);
        return;
    case ED_CONN_RESOLVING:
    case ED_CONN_GREETING:
    case ED_CONN_INITIATING:
    case ED_CONN_ASKING:
    case ED_CONN_HALF_OPEN:
    case ED_CONN_FLUSHING:
    case ED_CONN_NO_STATE:
    case ED_CONN_STATE_COUNT:
        return;
    }
}

void ed_conn_apply(ed_conn *conn, ed_conn_input input, const ed_conn_end *end, uint64_t now_ns)
{
    ed_conn_state before = conn->state;
    eddy_status status = ed_conn_step(&conn->state, input);

    ED_ASSERT(status == EDDY_OK);
    if (conn->state != before)
        enter(conn, end, now_ns);
}

void ed_conn_fail(ed_conn *conn, ed_close_cause cause, uint64_t now_ns)
{
    ed_conn_end end = {.end = cause == ED_CLOSE_MEMORY ? EDDY_END_MEMORY : EDDY_END_PROTOCOL};

    if (conn->state == ED_CONN_CLOSING || conn->state == ED_CONN_DRAINING ||
        conn->state == ED_CONN_CLOSED)
        return;
    conn->close = (ed_close){.cause = (uint8_t)cause};
    ed_conn_apply(conn, ED_INPUT_FAILED, &end, now_ns);
}

/* ----------------------------------------------------------------------------- the program -- */

/** A message that will never leave. Once the end is reported, only the statistics still say so. */
static void count_late(ed_conn *conn, eddy_guarantee guarantee)
{
    bool is_reported = conn->end.end != 0 && !conn->disconnected_pending;

    if (guarantee == EDDY_UNRELIABLE)
        return;
    conn->late_count++;
    conn->shared->stats->messages_undelivered += is_reported ? 1 : 0;
}

eddy_status ed_conn_send(ed_conn *conn, eddy_guarantee guarantee, uint8_t stream, ed_block *block,
                         uint64_t now_ns)
{
    // FLUSHING too: another thread may have sent just before this one closed.
    bool accepts = ed_conn_is_dialling(conn) || ed_conn_is_open(conn) ||
                   conn->state == ED_CONN_ASKING || conn->state == ED_CONN_HALF_OPEN;
    uint64_t shed = 0;

    conn->shared->stats->messages_sent++;
    conn->stats.messages_sent++;
    if (!accepts) {
        count_late(conn, guarantee);
        ed_pool_give(block);
        return EDDY_ESTATE;
    }
    eddy_status status = ed_outbox_push(&conn->outbox, (uint8_t)guarantee, stream, block, &shed);
    conn->shared->stats->messages_shed += shed;
    conn->stats.messages_shed += shed;
    if (status != EDDY_OK) {
        count_late(conn, guarantee);
        ed_pool_give(block);
        // A promise was made when the message was accepted; it cannot be kept.
        ed_conn_fail(conn, ED_CLOSE_MEMORY, now_ns);
    }
    return status;
}

void ed_conn_set_close(ed_conn *conn, uint32_t code, const char *reason)
{
    size_t size = reason == NULL ? 0 : ed_min_size(strlen(reason), EDDY_REASON_SIZE - 1);

    conn->close = (ed_close){.code = code, .reason_size = (uint8_t)size};
    if (size > 0)
        memcpy(conn->close.reason, reason, size);
}

/** The first word stays; closing again only hurries. */
static bool is_first_close(const ed_conn *conn)
{
    bool is_early = ed_conn_is_dialling(conn) || conn->state == ED_CONN_HALF_OPEN;

    return conn->state == ED_CONN_CONNECTED || (is_early && !conn->closes_on_connect);
}

/**
 * Whether to close only when the connection stands, if that is in time: what was accepted leaves
 * then; and a client that was let in is told then, because before it may not know our keys.
 */
static bool waits_to_close(const ed_conn *conn)
{
    return (ed_conn_is_dialling(conn) && has_messages(conn)) ||
           (conn->state == ED_CONN_HALF_OPEN && conn->is_asked);
}

void ed_conn_close(ed_conn *conn, uint32_t code, const char *reason, uint64_t flush_ns,
                   uint64_t now_ns)
{
    if (ed_conn_is_request(conn)) {
        ed_conn_refuse(conn, code, reason, ED_REFUSING_NS, now_ns);
        return;
    }
    if (conn->state == ED_CONN_CLOSED)
        return;
    if (is_first_close(conn))
        ed_conn_set_close(conn, code, reason);
    if (flush_ns > 0 && waits_to_close(conn)) {
        conn->closes_on_connect = true;
        ed_timers_on_flushing(&conn->timers, flush_ns, now_ns);
        return;
    }
    ed_conn_apply(conn, ED_INPUT_CLOSE_LOCAL, NULL, now_ns);
    if (conn->state != ED_CONN_FLUSHING)
        return;
    ed_timers_on_flushing(&conn->timers, flush_ns, now_ns);
    if (flush_ns == 0 || !has_messages(conn))
        ed_conn_apply(conn, ED_INPUT_FLUSHED, NULL, now_ns);
}

void ed_conn_abandon(ed_conn *conn, eddy_end why, uint64_t now_ns)
{
    ed_conn_end end = {.end = why};
    bool is_closing = conn->state == ED_CONN_FLUSHING || conn->state == ED_CONN_CLOSING;

    // What the program began to close ends as the program said.
    if (conn->state != ED_CONN_CLOSED)
        ed_conn_apply(conn, ED_INPUT_SILENCE, is_closing ? NULL : &end, now_ns);
}

/* ----------------------------------------------------------------------------------- events -- */

static void connected_event(ed_conn *conn, eddy_event *event)
{
    conn->connected_pending = false;
    event->type = EDDY_CONNECTED;
    event->connected.remote = conn->remote;
    event->connected.incoming = !conn->is_client;
    ed_conn_give_payload(conn, event, &event->connected.payload, &event->connected.payload_size);
}

static void message_event(ed_conn *conn, eddy_event *event, ed_block *block)
{
    conn->shared->stats->messages_delivered++;
    conn->stats.messages_delivered++;
    event->type = EDDY_MESSAGE;
    event->message.data = block->data;
    event->message.size = block->size;
    event->message.guarantee = (eddy_guarantee)ed_block_guarantee(block);
    event->message.stream = ed_block_stream(block);
    event->block = block;
}

static void disconnected_event(ed_conn *conn, eddy_event *event)
{
    conn->disconnected_pending = false;
    event->type = EDDY_DISCONNECTED;
    event->disconnected.end = conn->end.end;
    event->disconnected.refusal = conn->end.refusal;
    event->disconnected.code = conn->end.code;
    event->disconnected.undelivered = conn->outbox.reliable_count + conn->late_count;
    conn->shared->stats->messages_undelivered += event->disconnected.undelivered;
    memcpy(event->disconnected.reason, conn->end.reason, sizeof(conn->end.reason));
}

bool ed_conn_event(ed_conn *conn, eddy_event *event)
{
    *event = (eddy_event){.connection = conn->handle,
                          .user_data = ed_slots_data(conn->shared->slots, conn->handle)};
    if (conn->asked_pending) {
        ed_conn_request_event(conn, event);
        return true;
    }
    if (conn->connected_pending) {
        connected_event(conn, event);
        return true;
    }
    ed_block *block = ed_inbox_next(&conn->inbox);
    if (block != NULL) {
        message_event(conn, event, block);
        return true;
    }
    // What we close locally is reported when it is over: acks may still arrive until then.
    if (conn->disconnected_pending &&
        (conn->state == ED_CONN_CLOSED || conn->state == ED_CONN_DRAINING ||
         conn->state == ED_CONN_REFUSING)) {
        disconnected_event(conn, event);
        return true;
    }
    return false;
}
