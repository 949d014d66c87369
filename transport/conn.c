#include "transport/conn.h"

#include <string.h>

void ed_dial_drop(ed_block *dial)
{
    if (dial != NULL)
        ed_wipe(dial->data, dial->size);
    ed_pool_give(dial);
}

static ed_account *account_of(const ed_conn_shared *shared, eddy_connection handle)
{
    return shared->accounts == NULL ? NULL : &shared->accounts[ed_slot_of(handle)];
}

void ed_conn_share(ed_conn_shared *shared)
{
    shared->inbox = (ed_inbox_parts){.allocator = shared->allocator,
                                     .pool = shared->receive_pool,
                                     .room = shared->room,
                                     .stats = shared->stats,
                                     .max_message_size = shared->config->max_message_size,
                                     .unreliable_budget = shared->config->unreliable_budget};
}

static eddy_status init_streams(ed_conn *conn, const ed_conn_shared *shared, uint64_t now_ns)
{
    if (!ed_inbox_init(&conn->inbox, &shared->inbox, now_ns))
        return EDDY_ELIMIT;
    ed_outbox_parts outbox = {.allocator = shared->allocator,
                              .stats = shared->stats,
                              .account = account_of(shared, conn->handle),
                              .queued_cost = shared->queued_cost,
                              .settled = shared->settled};
    ed_outbox_init(&conn->outbox, &outbox);
    return EDDY_OK;
}

static void give_reserved(ed_conn *conn)
{
    ed_pool_give(conn->request_block);
    ed_pool_give(conn->connected_block);
    ed_pool_give(conn->disconnected_block);
}

/** The events that must be told whatever happens. The last may be there already. */
static bool reserve_events(ed_conn *conn, ed_pool *pool)
{
    bool has_all = true;

    if (conn->is_asked) {
        conn->request_block = ed_event_reserve(pool, EDDY_CONNECT_REQUEST);
        has_all = conn->request_block != NULL;
    }
    conn->connected_block = ed_event_reserve(pool, EDDY_CONNECTED);
    if (conn->disconnected_block == NULL)
        conn->disconnected_block = ed_event_reserve(pool, EDDY_DISCONNECTED);
    return has_all && conn->connected_block != NULL && conn->disconnected_block != NULL;
}

/** What can fail. @param last see ed_conn_init_client; it stays the caller's on failure. */
static eddy_status init_memory(ed_conn *conn, ed_block *last, uint64_t now_ns)
{
    const ed_conn_shared *shared = conn->shared;
    eddy_status status = EDDY_ENOMEM;

    conn->disconnected_block = last;
    if (reserve_events(conn, shared->event_pool))
        status = init_streams(conn, shared, now_ns);
    if (status == EDDY_OK)
        return EDDY_OK;
    if (last != NULL)
        conn->disconnected_block = NULL;
    give_reserved(conn);
    return status;
}

static eddy_status init(ed_conn *conn, const ed_conn_shared *shared, eddy_connection handle,
                        ed_block *last, uint64_t now_ns)
{
    const eddy_config *config = shared->config;

    *conn = (ed_conn){.shared = shared,
                      .handle = handle,
                      .started_ns = now_ns,
                      .rate_max = config->rate_max,
                      .secrets = ed_conn_secrets(shared, handle),
                      .is_asked = last == NULL && config->ask};
    eddy_status status = init_memory(conn, last, now_ns);
    if (status != EDDY_OK)
        return status;
    ed_ack_init(&conn->ack, shared->allocator);
    ed_sent_log_init(&conn->sent, shared->allocator);
    ed_loss_init(&conn->loss);
    ed_redundancy_init(&conn->redundancy);
    conn->credit_is_known = true; // the handshake tells the first
    ed_rtt_init(&conn->rtt);
    ed_mtu_init(&conn->mtu, ED_DATAGRAM_SIZE);
    conn->congestion_ops = ed_congestion_ops_of(config->congestion);
    conn->congestion_ops->init(&conn->congestion, ED_DATAGRAM_SIZE);
    ed_pacer_init(&conn->pacer, ed_conn_rate(conn), ED_DATAGRAM_SIZE, now_ns);
    ed_timers_init(&conn->timers, config->idle_timeout_ms, config->keepalive_ms);
    conn->request_pending = !conn->is_asked;
    ED_ASSERT(conn->secrets->opening == NULL && !conn->secrets->has_keys);
    conn->secrets->opening = ed_openings_take(shared->openings);
    return EDDY_OK;
}

eddy_status ed_conn_init_client(ed_conn *conn, const ed_conn_shared *shared, eddy_connection handle,
                                const eddy_address *remote, ed_block *dial, ed_block *last,
                                uint64_t now_ns)
{
    const eddy_entropy *entropy = shared->entropy;
    const ed_dial *how = (const void *)dial->data;

    ED_ASSERT(last != NULL && how->mode < ED_MODE_COUNT);
    eddy_status status = init(conn, shared, handle, last, now_ns);
    if (status != EDDY_OK)
        return status;
    conn->state = remote->family == EDDY_FAMILY_NONE ? ED_CONN_RESOLVING : ED_CONN_GREETING;
    conn->request_pending = false;
    conn->is_client = true;
    conn->dial = dial;
    conn->mode = how->mode;
    memcpy(conn->secrets->opening->shared, conn->secrets->shared, ED_KEY_SIZE);
    ed_wipe(conn->secrets->shared, ED_KEY_SIZE);
    ed_conn_init_path(conn, &(ed_path){.remote = *remote});
    entropy->fill(entropy->context, conn->nonce, sizeof(conn->nonce));
    ed_timers_on_greeting(&conn->timers, shared->config->handshake_timeout_ms * ED_NS_PER_MS,
                          now_ns);
    if (conn->state == ED_CONN_GREETING)
        ed_conn_greet(conn, now_ns);
    return EDDY_OK;
}

/** Keeps for the program what the newcomer has shown of itself, if that is anything. */
static eddy_status note_newcomer(const ed_conn_shared *shared, const ed_admitted *admitted,
                                 ed_block **block)
{
    ed_span payload = admitted->initiate.payload;
    const ed_capsule *capsule = &admitted->capsule;
    bool has_key = admitted->initiate.mode == ED_MODE_MUTUAL;
    bool has_token = admitted->initiate.mode == ED_MODE_TOKEN;

    *block = NULL;
    if (payload.size == 0 && !has_key && !has_token)
        return EDDY_OK;
    *block = ed_pool_take(shared->payload_pool,
                          sizeof(ed_newcomer) + payload.size + capsule->user_data_size);
    if (*block == NULL)
        return EDDY_ENOMEM;
    ed_newcomer *newcomer = (void *)(*block)->data;
    *newcomer = (ed_newcomer){.client_id = capsule->client_id,
                              .payload_size = (uint16_t)payload.size,
                              .data_size = capsule->user_data_size};
    if (has_key)
        memcpy(newcomer->key.bytes, admitted->noise.peer, ED_KEY_SIZE);
    if (payload.size > 0)
        memcpy(newcomer->payload, payload.data, payload.size);
    memcpy(newcomer->payload + payload.size, capsule->user_data, capsule->user_data_size);
    return EDDY_OK;
}

eddy_status ed_conn_init_server(ed_conn *conn, const ed_conn_shared *shared, eddy_connection handle,
                                uint32_t id, const eddy_datagram *datagram,
                                const ed_admitted *admitted, uint64_t now_ns)
{
    const ed_initiate *initiate = &admitted->initiate;
    ed_block *newcomer = NULL;
    eddy_status status = note_newcomer(shared, admitted, &newcomer);

    if (status == EDDY_OK)
        status = init(conn, shared, handle, NULL, now_ns);
    if (status != EDDY_OK) {
        ed_pool_give(newcomer);
        return status;
    }
    conn->newcomer = newcomer;
    conn->mode = initiate->mode;
    conn->admitted_from = datagram->remote;
    conn->suite = ed_suite_choose(shared->config, initiate->suites);
    conn->secrets->opening->noise = admitted->noise;
    conn->state = conn->is_asked ? ED_CONN_ASKING : ED_CONN_HALF_OPEN;
    conn->asked_pending = conn->is_asked;
    conn->id = id;
    ed_conn_init_path(conn, &(ed_path){.remote = datagram->remote, .local = datagram->local});
    memcpy(conn->nonce, initiate->nonce, sizeof(conn->nonce));
    if (ed_is_ticket(initiate->cookie))
        ed_cookie_stamp(conn->cookie, now_ns);
    else
        memcpy(conn->cookie, initiate->cookie, sizeof(conn->cookie));
    memcpy(conn->token_id, admitted->capsule.id, sizeof(conn->token_id));
    conn->message_max = initiate->message_max;
    ed_conn_init_mtu(conn, initiate->datagram_size);
    ed_outbox_on_credit(&conn->outbox, initiate->credit);
    ed_timers_on_half_open(&conn->timers, now_ns);
    return EDDY_OK;
}

void ed_conn_free(ed_conn *conn)
{
    ed_list_remove(&conn->refused);
    ed_inbox_free(&conn->inbox);
    ed_account *account = conn->outbox.made_of.account;

    ed_outbox_free(&conn->outbox);
    if (account != NULL)
        ed_account_reset(account);
    ed_sent_log_free(&conn->sent);
    ed_ack_free(&conn->ack);
    ed_replay_free(&conn->replay, conn->shared->allocator);
    ed_conn_free_paths(conn);
    ed_pool_give(conn->reason);
    if (conn->is_client)
        ed_dial_drop(conn->dial);
    else
        ed_pool_give(conn->newcomer);
    ed_conn_drop_accept(conn);
    give_reserved(conn);
    ed_openings_give(conn->shared->openings, conn->secrets->opening);
    ed_wipe(conn->secrets, sizeof(*conn->secrets));
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
           ed_conn_is_reported(conn);
}

bool ed_conn_is_known(const ed_conn *conn)
{
    bool has_begun = conn->is_client || conn->is_asked || conn->is_opened;

    return has_begun && !ed_conn_is_reported(conn);
}

bool ed_conn_is_over(const ed_conn *conn)
{
    return conn->state == ED_CONN_CLOSED && !conn->asked_pending && !conn->connected_pending &&
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

bool ed_conn_is_reported(const ed_conn *conn)
{
    return conn->end != 0 && !conn->disconnected_pending;
}

void ed_conn_count_late(ed_conn *conn, uint64_t count)
{
    conn->late_count += count;
    // Once the end is reported, only the statistics still say so.
    conn->shared->stats->messages_undelivered += ed_conn_is_reported(conn) ? count : 0;
}

/** A newcomer of whom the program will not hear, as it ends: he is told so. */
static void turn_away(ed_conn *conn, uint64_t now_ns)
{
    conn->request_pending = false;
    ed_conn_drop_accept(conn);
    ed_conn_apply(conn, ED_INPUT_CLOSE_LOCAL, NULL, now_ns);
    ed_conn_apply(conn, ED_INPUT_FLUSHED, NULL, now_ns);
}

static void on_connected(ed_conn *conn, uint64_t now_ns)
{
    if (conn->begins_unheard && !conn->is_client && !conn->is_asked) {
        turn_away(conn, now_ns);
        return;
    }
    conn->is_opened = true;
    conn->connected_pending = !conn->begins_unheard;
    conn->request_pending = false;
    ed_conn_drop_accept(conn);
    conn->shared->stats->connections_opened++;
    // What was sent before the peer said how much it takes may be too much for it.
    ed_conn_count_late(conn, ed_outbox_drop_larger(&conn->outbox, conn->message_max));
    ed_timers_on_connected(&conn->timers, now_ns);
    log_connection(conn, "open", now_ns);
    // The server learns that its ACCEPT arrived from the client's first packet, so there is one.
    conn->ping_pending = conn->is_client;
    if (!conn->closes_on_connect)
        return;
    ed_conn_apply(conn, ED_INPUT_CLOSE_LOCAL, NULL, now_ns);
    if (ed_outbox_is_flushed(&conn->outbox))
        ed_conn_apply(conn, ED_INPUT_FLUSHED, NULL, now_ns);
}

/** The end is known: says so to the program, once, if that has heard of the connection. */
static void report_end(ed_conn *conn, const ed_conn_end *end, uint64_t now_ns)
{
    if (conn->end != 0)
        return;
    conn->end = (uint8_t)end->end;
    memcpy(conn->disconnected_block->data, end, sizeof(*end));
    log_connection(conn, eddy_end_text(end->end), now_ns);
    conn->disconnected_pending = conn->is_opened || conn->is_asked || conn->is_client;
    conn->shared->stats->connections_closed += conn->is_opened ? 1 : 0;
}

/** The end that the program asked for, in its own words. */
static ed_conn_end closed_locally(const ed_conn *conn)
{
    ed_conn_end end = {.end = EDDY_END_CLOSED_LOCAL, .code = conn->code};

    memcpy(end.reason, ed_conn_said_close(conn).reason, sizeof(end.reason));
    return end;
}

static void enter(ed_conn *conn, const ed_conn_end *end, uint64_t now_ns)
{
    ed_conn_end local = closed_locally(conn);

    // It is granted nothing more, and must not keep those behind it waiting.
    if (!ed_conn_is_open(conn))
        ed_list_remove(&conn->inbox.credit.waiting);
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
    case ED_CONN_REFUSING:
        conn->request_pending = true;
        report_end(conn, &local, now_ns);
        return;
    case ED_CONN_CLOSED:
        ed_timers_on_closed(&conn->timers);
        conn->request_pending = false;
        conn->close_pending = false;
        conn->close_elsewhere = false;
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
        conn->state == ED_CONN_REFUSING || conn->state == ED_CONN_CLOSED)
        return;
    ed_conn_set_close(conn, 0, NULL);
    conn->cause = (uint8_t)cause;
    ed_conn_apply(conn, ED_INPUT_FAILED, &end, now_ns);
}
