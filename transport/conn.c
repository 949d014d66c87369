#include "transport/conn.h"
#include "transport/slots.h"

#include <string.h>

static ed_account *account_of(const ed_conn_shared *shared, eddy_connection handle)
{
    return shared->accounts == NULL ? NULL : &shared->accounts[ed_slot_of(handle)];
}

static eddy_status init_streams(ed_conn *conn, const ed_conn_shared *shared, uint64_t now_ns)
{
    ed_inbox_parts parts = {.allocator = shared->allocator,
                            .pool = shared->receive_pool,
                            .room = shared->room,
                            .stats = shared->stats,
                            .max_message_size = shared->config->max_message_size,
                            .unreliable_budget = shared->config->unreliable_budget};

    if (!ed_inbox_init(&conn->inbox, &parts, now_ns))
        return EDDY_ELIMIT;
    ed_outbox_parts outbox = {.allocator = shared->allocator,
                              .stats = shared->stats,
                              .account = account_of(shared, conn->handle),
                              .queued_size = shared->queued_size};
    ed_outbox_init(&conn->outbox, &outbox);
    return EDDY_OK;
}

/** The two events that must be told whatever happens. `*last` is reserved where it is NULL. */
static bool reserve_events(ed_pool *pool, ed_block **first, ed_block **last)
{
    *first = ed_event_reserve(pool, EDDY_CONNECTED);
    if (*first != NULL && *last == NULL)
        *last = ed_event_reserve(pool, EDDY_DISCONNECTED);
    if (*first != NULL && *last != NULL)
        return true;
    ed_pool_give(*first);
    return false;
}

static eddy_status init(ed_conn *conn, const ed_conn_shared *shared, eddy_connection handle,
                        ed_block *given, uint64_t now_ns)
{
    const eddy_config *config = shared->config;
    ed_block *first = NULL;
    ed_block *last = given;

    *conn = (ed_conn){.shared = shared, .handle = handle, .started_ns = now_ns};
    if (!reserve_events(shared->event_pool, &first, &last))
        return EDDY_ENOMEM;
    eddy_status status = init_streams(conn, shared, now_ns);
    if (status != EDDY_OK) {
        ed_pool_give(first);
        if (given == NULL)
            ed_pool_give(last);
        return status;
    }
    conn->connected_block = first;
    conn->disconnected_block = last;
    ed_ack_init(&conn->ack);
    ed_sent_log_init(&conn->sent, shared->allocator);
    ed_loss_init(&conn->loss);
    ed_rtt_init(&conn->rtt);
    conn->congestion_ops = ed_congestion_ops_of(config->congestion);
    conn->congestion_ops->init(&conn->congestion, ED_DATAGRAM_SIZE);
    ed_pacer_init(&conn->pacer, conn->congestion_ops->pacing_rate(&conn->congestion, &conn->rtt),
                  ED_DATAGRAM_SIZE, now_ns);
    ed_timers_init(&conn->timers, config->idle_timeout_ms, config->keepalive_ms);
    conn->request_pending = true;
    return EDDY_OK;
}

eddy_status ed_conn_init_client(ed_conn *conn, const ed_conn_shared *shared, eddy_connection handle,
                                const eddy_address *remote, ed_block *last, uint64_t now_ns)
{
    const eddy_entropy *entropy = shared->entropy;

    ED_ASSERT(last != NULL);
    eddy_status status = init(conn, shared, handle, last, now_ns);
    if (status != EDDY_OK)
        return status;
    conn->state = ED_CONN_GREETING;
    conn->is_client = true;
    ed_paths_init(&conn->paths, &(ed_path){.remote = *remote});
    entropy->fill(entropy->context, conn->nonce, sizeof(conn->nonce));
    ed_timers_on_greeting(&conn->timers, shared->config->handshake_timeout_ms * ED_NS_PER_MS,
                          now_ns);
    return EDDY_OK;
}

eddy_status ed_conn_init_server(ed_conn *conn, const ed_conn_shared *shared, eddy_connection handle,
                                uint32_t id, const eddy_datagram *datagram,
                                const ed_initiate *initiate, uint64_t now_ns)
{
    const eddy_entropy *entropy = shared->entropy;

    eddy_status status = init(conn, shared, handle, NULL, now_ns);
    if (status != EDDY_OK)
        return status;
    conn->state = ED_CONN_HALF_OPEN;
    conn->id = id;
    ed_paths_init(&conn->paths, &(ed_path){.remote = datagram->remote, .local = datagram->local});
    memcpy(conn->nonce, initiate->nonce, sizeof(conn->nonce));
    memcpy(conn->cookie, initiate->cookie, sizeof(conn->cookie));
    conn->client_time_us = initiate->client_time_us;
    memcpy(conn->client_ephemeral, initiate->ephemeral, sizeof(conn->client_ephemeral));
    entropy->fill(entropy->context, conn->server_ephemeral, sizeof(conn->server_ephemeral));
    conn->keys =
        ed_protect_packet_keys(conn->nonce, conn->client_ephemeral, conn->server_ephemeral);
    conn->message_max = initiate->message_max;
    ed_outbox_on_credit(&conn->outbox, initiate->credit);
    ed_timers_on_half_open(&conn->timers, now_ns);
    return EDDY_OK;
}

void ed_conn_free(ed_conn *conn)
{
    ed_inbox_free(&conn->inbox);
    ed_account *account = conn->outbox.made_of.account;

    ed_outbox_free(&conn->outbox);
    if (account != NULL)
        ed_account_reset(account);
    ed_sent_log_free(&conn->sent);
    ed_pool_give(conn->connected_block);
    ed_pool_give(conn->disconnected_block);
    ed_wipe(&conn->keys, sizeof(conn->keys));
}

bool ed_conn_is_open(const ed_conn *conn)
{
    return conn->state == ED_CONN_CONNECTED || conn->state == ED_CONN_FLUSHING;
}

bool ed_conn_is_dialling(const ed_conn *conn)
{
    return conn->state == ED_CONN_GREETING || conn->state == ED_CONN_INITIATING;
}

bool ed_conn_is_ended(const ed_conn *conn)
{
    return conn->state == ED_CONN_DRAINING && conn->end.end != 0 && !conn->disconnected_pending;
}

bool ed_conn_is_over(const ed_conn *conn)
{
    return conn->state == ED_CONN_CLOSED && !conn->connected_pending &&
           !conn->disconnected_pending && conn->inbox.first_ready == NULL &&
           conn->outbox.first_receipt == NULL;
}

uint64_t ed_conn_pto_ns(const ed_conn *conn)
{
    return ed_rtt_pto_ns(&conn->rtt, ED_ACK_DELAY_NS);
}

uint64_t ed_conn_next_ns(const ed_conn *conn)
{
    return ed_timers_next_ns(&conn->timers);
}

void ed_conn_update_expiry(ed_conn *conn)
{
    conn->timers.at_ns[ED_TIMER_EXPIRE] =
        ed_min_u64(ed_outbox_expiry_ns(&conn->outbox), ed_inbox_expiry_ns(&conn->inbox));
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
                eddy_address_print(&ed_conn_path(conn)->remote, remote), what);
}

/** Whether the program has been told the last of it. */
static bool is_reported(const ed_conn *conn)
{
    return conn->end.end != 0 && !conn->disconnected_pending;
}

/** A message that will never leave. Once the end is reported, only the statistics still say so. */
static void count_late(ed_conn *conn, uint64_t count)
{
    conn->late_count += count;
    conn->shared->stats->messages_undelivered += is_reported(conn) ? count : 0;
}

static void on_connected(ed_conn *conn, uint64_t now_ns)
{
    conn->is_opened = true;
    conn->connected_pending = true;
    conn->request_pending = false;
    conn->shared->stats->connections_opened++;
    // What was sent before the peer said how much it takes may be too much for it.
    count_late(conn, ed_outbox_drop_larger(&conn->outbox, conn->message_max));
    ed_timers_on_connected(&conn->timers, now_ns);
    log_connection(conn, "open", now_ns);
    // The server learns that its ACCEPT arrived from the client's first packet, so there is one.
    conn->ping_pending = conn->is_client;
    if (conn->closes_on_connect)
        ed_conn_apply(conn, ED_INPUT_CLOSE_LOCAL, NULL, now_ns);
}

/** The end is known: says so to the program, once. A server's half-open connection was no news. */
static void report_end(ed_conn *conn, const ed_conn_end *end, uint64_t now_ns)
{
    if (conn->end.end != 0)
        return;
    conn->end = *end;
    log_connection(conn, eddy_end_text(end->end), now_ns);
    conn->disconnected_pending = conn->is_opened || conn->is_client;
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
        ed_conn_stop_moving(conn);
        if (end != NULL)
            report_end(conn, end, now_ns);
        return;
    case ED_CONN_DRAINING:
        ed_timers_on_draining(&conn->timers, ed_conn_pto_ns(conn), now_ns);
        ed_conn_stop_moving(conn);
        conn->close_pending = true; // so that the peer need not wait for its copies to run out
        report_end(conn, end, now_ns);
        return;
    case ED_CONN_CLOSED:
        ed_timers_on_closed(&conn->timers);
        conn->request_pending = false;
        conn->close_pending = false;
        conn->close_elsewhere = false;
        report_end(conn, end != NULL ? end : &local, now_ns);
        return;
    case ED_CONN_GREETING:
    case ED_CONN_INITIATING:
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

/** Gives back a message that is not accepted after all; says so, if that is asked for. */
static void refuse_message(ed_conn *conn, const ed_message *message)
{
    ed_outbox *outbox = &conn->outbox;
    ed_out unsent = {.receipt = message->receipt};

    if (message->guarantee >= EDDY_RELIABLE_UNORDERED)
        count_late(conn, 1);
    if (is_reported(conn))
        ed_pool_give(message->receipt); // nothing follows the last event
    else
        ed_out_tell(outbox, &unsent, EDDY_OUTCOME_LOST);
    if (outbox->made_of.account != NULL)
        ed_account_refund(outbox->made_of.account, message->stream,
                          (size_t)ed_charge_of(message->block->size));
    ed_pool_give(message->block);
}

static eddy_status accept_message(ed_conn *conn, const ed_message *message)
{
    // FLUSHING too: another thread may have sent just before this one closed.
    if (!ed_conn_is_dialling(conn) && !ed_conn_is_open(conn))
        return EDDY_ESTATE;
    if (conn->message_max != 0 && message->block->size > conn->message_max)
        return EDDY_ETOOBIG;
    return ed_outbox_push(&conn->outbox, message);
}

eddy_status ed_conn_send(ed_conn *conn, const ed_message *message, uint64_t now_ns)
{
    eddy_status status = accept_message(conn, message);

    conn->shared->stats->messages_sent++;
    if (status != EDDY_OK)
        refuse_message(conn, message);
    ed_conn_update_expiry(conn);
    // A promise was made when the message was accepted; it cannot be kept.
    if (status == EDDY_ENOMEM)
        ed_conn_fail(conn, ED_CLOSE_MEMORY, now_ns);
    return status;
}

void ed_conn_set_stream(ed_conn *conn, uint8_t stream, const eddy_stream_options *options,
                        uint64_t now_ns)
{
    ed_account *account = conn->outbox.made_of.account;
    eddy_status status = ed_outbox_set_stream(&conn->outbox, stream, options);

    if (status == EDDY_OK && account != NULL)
        status = ed_account_set_stream(account, conn->shared->allocator, stream, options->budget);
    if (status != EDDY_OK)
        ed_conn_fail(conn, ED_CLOSE_MEMORY, now_ns);
}

void ed_conn_want_writable(ed_conn *conn)
{
    conn->wants_writable = true;
}

/** Whether there is room again for a program that was refused. */
static bool is_writable(const ed_conn *conn)
{
    const eddy_config *config = conn->shared->config;

    return ed_outbox_is_half_free(&conn->outbox, config->connection_send_budget) &&
           *conn->shared->queued_size <= config->send_budget / 2;
}

bool ed_conn_returned(ed_conn *conn, bool reliable, size_t size, uint64_t now_ns)
{
    ed_inbox_returned(&conn->inbox, reliable, size);
    if (reliable)
        ed_conn_update_credit(conn, now_ns);
    return conn->inbox.credit.pending;
}

void ed_conn_update_credit(ed_conn *conn, uint64_t now_ns)
{
    if (!ed_conn_is_open(conn))
        return;
    ed_credit_update(&conn->inbox.credit, conn->rtt.smoothed_ns, now_ns);
    // The peer may have to wait: what the program gives back must not wait, too.
    if (conn->shared->returns != NULL && ed_credit_is_short(&conn->inbox.credit))
        ed_returns_await(conn->shared->returns);
}

/** Notes what the program says on closing. The first word stays; closing again only hurries. */
static void set_close(ed_conn *conn, uint32_t code, const char *reason)
{
    size_t size = reason == NULL ? 0 : ed_min_size(strlen(reason), EDDY_REASON_SIZE - 1);
    bool is_first =
        conn->state == ED_CONN_CONNECTED || (ed_conn_is_dialling(conn) && !conn->closes_on_connect);

    if (!is_first)
        return;
    conn->close = (ed_close){.code = code, .reason_size = (uint8_t)size};
    if (size > 0)
        memcpy(conn->close.reason, reason, size);
}

void ed_conn_close(ed_conn *conn, uint32_t code, const char *reason, uint64_t flush_ns,
                   uint64_t now_ns)
{
    bool has_messages = !ed_outbox_is_flushed(&conn->outbox);

    if (conn->state == ED_CONN_CLOSED)
        return;
    set_close(conn, code, reason);
    if (ed_conn_is_dialling(conn) && has_messages && flush_ns > 0) {
        // What was accepted leaves when the connection stands, if that is in time.
        conn->closes_on_connect = true;
        ed_timers_on_flushing(&conn->timers, flush_ns, now_ns);
        return;
    }
    ed_conn_apply(conn, ED_INPUT_CLOSE_LOCAL, NULL, now_ns);
    if (conn->state != ED_CONN_FLUSHING)
        return;
    ed_timers_on_flushing(&conn->timers, flush_ns, now_ns);
    if (flush_ns == 0 || !has_messages)
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

static ed_event_item connected_event(ed_conn *conn)
{
    eddy_event_connected connected = {.remote = ed_conn_path(conn)->remote,
                                      .incoming = !conn->is_client};
    ed_block *block = conn->connected_block;

    conn->connected_pending = false;
    conn->connected_block = NULL;
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
    ed_return_mark(block, conn->handle);
    return item;
}

static ed_event_item disconnected_event(ed_conn *conn)
{
    eddy_event_disconnected last = {.end = conn->end.end,
                                    .code = conn->end.code,
                                    .undelivered = conn->outbox.reliable_count + conn->late_count};
    ed_block *block = conn->disconnected_block;

    conn->disconnected_pending = false;
    conn->disconnected_block = NULL;
    conn->shared->stats->messages_undelivered += last.undelivered;
    memcpy(last.reason, conn->end.reason, sizeof(last.reason));
    return ed_event_of(conn->handle, EDDY_DISCONNECTED, block, &last, sizeof(last));
}

bool ed_conn_event(ed_conn *conn, ed_event_item *item)
{
    if (conn->connected_pending) {
        *item = connected_event(conn);
        return true;
    }
    if (conn->moved_pending && moved_event(conn, item))
        return true;
    ed_block *block = ed_inbox_next(&conn->inbox);
    if (block != NULL) {
        *item = message_event(conn, block);
        return true;
    }
    // What we close locally is reported when it is over: acks may still arrive until then.
    bool is_end = conn->disconnected_pending &&
                  (conn->state == ED_CONN_CLOSED || conn->state == ED_CONN_DRAINING);
    if (is_end)
        ed_outbox_end(&conn->outbox);
    block = ed_outbox_next_receipt(&conn->outbox);
    if (block != NULL) {
        *item = (ed_event_item){.connection = conn->handle, .block = block, .type = EDDY_RECEIPT};
        return true;
    }
    if (is_end) {
        *item = disconnected_event(conn);
        return true;
    }
    if (conn->wants_writable && ed_conn_is_open(conn) && is_writable(conn)) {
        conn->wants_writable = false;
        *item = (ed_event_item){.connection = conn->handle, .type = EDDY_WRITABLE};
        return true;
    }
    return false;
}
