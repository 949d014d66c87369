#include "transport/reliable.h"

#include <string.h>

#include "core/secret.h"
#include "core/writer.h"
#include "transport/admission.h"
#include "transport/failed_dial.h"

void ed_reliable_origin(const ed_reliable *reliable, uint8_t origin[ED_MAC_SIZE],
                        const ed_initiate *initiate, const eddy_address *remote)
{
    uint8_t input[ED_NONCE_SIZE + ED_COOKIE_SIZE + ED_EPHEMERAL_SIZE + sizeof(*remote)];
    ed_writer w = ed_writer_of(input, sizeof(input));

    ed_write_bytes(&w, initiate->nonce, ED_NONCE_SIZE);
    ed_write_bytes(&w, initiate->cookie, ED_COOKIE_SIZE);
    ed_write_bytes(&w, initiate->ephemeral, ED_EPHEMERAL_SIZE);
    ed_write_bytes(&w, remote, sizeof(*remote));
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == 0);
    ed_mac(origin, reliable->door->gate.key, input, sizeof(input));
}

/** What only a server needs. */
static eddy_status init_server(ed_reliable *reliable)
{
    reliable->admitted = ed_secret_allocate(sizeof(*reliable->admitted));
    reliable->begun = ed_map_create(reliable->shared.allocator, ED_MAC_SIZE, ED_MANAGER_BATCH,
                                    reliable->door->gate.key); // its keys are MACs already
    return reliable->admitted == NULL || reliable->begun == NULL ? EDDY_ENOMEM : EDDY_OK;
}

eddy_status ed_reliable_init(ed_reliable *reliable, const ed_conn_shared *shared, ed_door *door)
{
    const eddy_config *config = shared->config;

    *reliable = (ed_reliable){.shared = *shared, .door = door, .accepts = config->accept};
    reliable->shared.room = &reliable->room;
    reliable->shared.purse = &reliable->purse;
    reliable->shared.openings = &reliable->openings;
    reliable->shared.queued_cost = &reliable->queued_cost;
    reliable->shared.settled = &reliable->settled;
    reliable->shared.refused = &reliable->refused;
    ed_openings_init(&reliable->openings,
                     ed_identity_openings(shared->identity) + shared->secrets_at,
                     ed_slots_count(shared->slots));
    ed_list_init(&reliable->refused);
    ed_list_init(&reliable->half_open);
    ed_credit_pool_init(&reliable->room, config->receive_budget, config->max_message_size,
                        config->max_outgoing + (config->accept ? config->max_connections : 0));
    ed_conn_share(&reliable->shared);
    return config->accept ? init_server(reliable) : EDDY_OK;
}

void ed_reliable_free(ed_reliable *reliable)
{
    ed_settled_give_back(&reliable->settled);
    ed_secret_free(reliable->admitted, sizeof(*reliable->admitted));
    reliable->admitted = NULL;
    ed_map_destroy(reliable->begun);
    reliable->begun = NULL;
}

/** Who waits longest for room to grant its peer more, or NULL. */
static ed_conn *first_waiting(const ed_reliable *reliable)
{
    ed_list_node *first = ed_list_first(&reliable->room.waiting);

    return first == NULL ? NULL : ED_CONTAINER(first, ed_conn, inbox.credit.waiting);
}

/** Room may have become free for those that wait to grant their peers more. */
static void serve_waiting(ed_reliable *reliable, uint64_t now_ns)
{
    ed_conn *conn = NULL;

    while ((conn = first_waiting(reliable)) != NULL) {
        ed_conn_update_credit(conn, now_ns);
        if (first_waiting(reliable) == conn) {
            ed_returns_await(reliable->shared.returns);
            return;
        }
        ed_manager_touch(reliable->manager, conn->handle);
    }
}

static bool has_room_for(const ed_reliable *reliable, uint64_t cost)
{
    return reliable->queued_cost + cost <= reliable->shared.config->send_budget;
}

/** @return whether one of them needs more than is free yet. */
ED_APART static bool touch_refused(ed_reliable *reliable)
{
    ed_list_node *next = NULL;
    bool any_waits = false;

    for (ed_list_node *node = ed_list_first(&reliable->refused); node != NULL; node = next) {
        ed_conn *conn = ED_CONTAINER(node, ed_conn, refused);
        next = ed_list_next(&reliable->refused, node);
        any_waits |= conn->wants_writable && !has_room_for(reliable, conn->wanted);
        if (conn->wants_writable)
            ed_manager_touch(reliable->manager, conn->handle);
        else
            ed_list_remove(node);
    }
    return any_waits;
}

/**
 * What one connection has settled makes room for others that were refused, and may have nothing
 * else to do: they are looked at when half of the budget is free again, and while one of them needs
 * more than that.
 */
static inline void look_for_room(ed_reliable *reliable)
{
    bool is_crowded = reliable->queued_cost > reliable->shared.config->send_budget / 2;

    if (reliable->was_crowded && !is_crowded)
        is_crowded = touch_refused(reliable);
    reliable->was_crowded = is_crowded;
}

static void begin_poll(void *context, uint64_t now_ns)
{
    ed_reliable *reliable = context;
    const eddy_calendar *calendar = reliable->shared.config->calendar;

    if (reliable->accepts && (reliable->shared.config->modes & EDDY_MODE_TOKEN) != 0)
        reliable->now_s = calendar->unix_s(calendar->context);
    if (reliable->started_s == 0)
        reliable->started_s = reliable->now_s;
    if (now_ns >= reliable->turn_ns)
        reliable->turn_ns = ed_door_turn(reliable->door, reliable->shared.entropy, now_ns);
    serve_waiting(reliable, now_ns);
}

/** Somebody was refused, and wants to know when there is room. */
static void take_ask(ed_reliable *reliable, ed_account *account)
{
    ed_ask ask = ed_account_take_ask(account);
    ed_conn *conn = ed_manager_connection(reliable->manager, ask.connection);

    if (conn != NULL) {
        ed_conn_want_writable(conn, ask.stream, ask.charge);
        reliable->was_crowded |= !has_room_for(reliable, ask.charge);
        ed_manager_touch(reliable->manager, ask.connection);
    } else if (ed_slots_live(reliable->shared.slots, ask.connection)) {
        ed_account_ask_again(account, reliable->shared.asks); // its CONNECT is on its way
    }
}

/** What was sent before a refusal has come by now: it is known how much room there is. */
static void end_commands(void *context)
{
    ed_reliable *reliable = context;
    ed_asks *asks = reliable->shared.asks;
    ed_account *next = NULL;

    for (ed_account *account = asks == NULL ? NULL : ed_asks_take(asks); account != NULL;
         account = next) {
        next = account->next;
        take_ask(reliable, account);
    }
}

static void end_work(void *context)
{
    ed_reliable *reliable = context;

    ed_settled_give_back(&reliable->settled);
}

static bool returned(void *context, void *connection, ed_block *blocks, uint64_t now_ns)
{
    ed_reliable *reliable = context;
    ed_block *next = NULL;

    if (connection != NULL)
        return ed_conn_returned(connection, blocks, now_ns);
    for (ed_block *block = blocks; block != NULL; block = next) {
        bool is_reliable = ed_block_guarantee(block) >= ED_WIRE_RELIABLE_UNORDERED;
        next = block->next;
        ed_inbox_returned_late(&reliable->room, is_reliable, ed_charge_of(block->size));
        ed_pool_give(block);
    }
    return false;
}

/* ------------------------------------------------------------------------------- connections -- */

static void uncount(ed_conn *conn)
{
    if (conn->counted != ED_COUNTED_NOT)
        ed_door_gate_remove(ed_reliable_of(conn)->door, &conn->admitted_from,
                            conn->counted == ED_COUNTED_HALF_OPEN);
    conn->counted = ED_COUNTED_NOT;
}

/** One that was refused only answers from here on: it keeps nobody of its address out. */
ED_APART static void end_half_open(ed_conn *conn)
{
    ed_list_remove(&conn->half_open);
    (void)ed_map_remove(ed_reliable_of(conn)->begun, conn->origin);
    if (conn->state == ED_CONN_REFUSING) {
        uncount(conn);
        return;
    }
    ed_door_gate_confirm(ed_reliable_of(conn)->door, &conn->admitted_from);
    conn->counted = ED_COUNTED_OPEN;
}

/** It may have confirmed, or have been refused: then others may come that have not. */
static inline void look_for_confirmation(ed_conn *conn)
{
    if (conn->counted == ED_COUNTED_HALF_OPEN && !ed_conn_is_half_open(conn))
        end_half_open(conn);
}

/** After whatever happens to one. */
static void settle(ed_conn *conn)
{
    look_for_confirmation(conn);
    look_for_room(ed_reliable_of(conn));
}

static bool failed_event(void *failed, void *event)
{
    return ed_failed_dial_next(failed, event);
}

static void resolved(void *connection, const eddy_address *remote, uint32_t more,
                     eddy_status status, uint64_t now_ns)
{
    ed_conn_resolved(connection, remote, more, status, now_ns);
}

static void destroy(void *connection)
{
    ed_reliable *reliable = ed_reliable_of(connection);
    ed_conn *conn = connection;

    ed_reliable_give_token_back(conn);
    if (!conn->is_client) {
        ed_list_remove(&conn->half_open);
        if (conn->counted == ED_COUNTED_HALF_OPEN)
            (void)ed_map_remove(reliable->begun, conn->origin);
        uncount(conn);
    }
    ed_conn_free(connection);
    look_for_room(reliable); // what it had queued is another's now, and so is what it had reserved
    ed_conn *waiting = first_waiting(reliable);
    if (waiting != NULL)
        ed_manager_touch(reliable->manager, waiting->handle);
}

/** Lines that nearly every datagram touches, either way. */
static void expect(const void *connection)
{
    const ed_conn *conn = connection;
    const ed_secrets *secrets = ed_conn_secrets(conn->shared, conn->handle);
    const void *const hot[] = {
        &conn->receiving_packet,
        &conn->paths,
        &conn->ack.received,
        &conn->ack.deadline_ns,
        &conn->inbox.lanes,
        &conn->inbox.credit,
        &conn->outbox.lost,
        &conn->outbox.first_receipt,
        &conn->outbox.room,
        &conn->sent,
        &conn->sent.next,
        &conn->loss.in_flight,
        &conn->rtt,
        &conn->mtu,
        &conn->congestion_ops,
        &conn->congestion,
        &conn->pacer,
        &conn->timers,
        &conn->timers.at_ns[ED_TIMER_KEEPALIVE],
        &conn->timers.at_ns[ED_TIMER_END],
        &conn->counts,
        &secrets->has_keys,
        &secrets->keys.receive.key,
        &secrets->keys.receive.mask,
        &secrets->keys.send.mask,
    };

    for (size_t i = 0; i < ED_COUNT(hot); i++)
        ed_prefetch(hot[i]);
}

static void receive(void *connection, const eddy_datagram *datagram, uint64_t now_ns)
{
    ed_conn *conn = connection;

    conn->counts.received_datagrams++;
    conn->counts.received_bytes += datagram->size;
    ed_conn_receive(conn, datagram, now_ns);
    settle(conn);
}

static void drop_event(void *context, void *event)
{
    (void)context;
    ed_event_drop(event);
}

static void send_commands(void *connection, const void *items, size_t count, uint64_t now_ns)
{
    ed_reliable_obey(connection, items, count, now_ns);
    settle(connection);
}

static void stop_admitting(void *connection, uint64_t now_ns)
{
    ed_conn_stop_beginning(connection, now_ns);
}

static void shut_down(void *connection, uint64_t until_ns, uint64_t now_ns)
{
    ed_conn_shut_down(connection, until_ns, now_ns);
    look_for_room(ed_reliable_of(connection));
}

/** Pairs end without the manager; but their last events come before the end of all. */
static bool may_end(void *context)
{
    const ed_reliable *reliable = context;

    return reliable->pairs == NULL || ed_local_shutdown(reliable->pairs);
}

static void replace(void *connection, uint64_t now_ns)
{
    if (ed_reliable_stays(connection))
        return;
    ed_reliable_give_token_back(connection);
    ed_conn_abandon(connection, EDDY_END_REPLACED, now_ns);
    ed_list_remove(&((ed_conn *)connection)->half_open); // it has no place left to give up
}

/** Whom it waited for has answered, and then it is given up; or it takes that one's place. */
static void end_contest(ed_conn *conn, uint64_t now_ns)
{
    ed_manager *manager = ed_reliable_of(conn)->manager;
    ed_conn *rival = ed_manager_connection(manager, conn->rival);

    if (rival != NULL && ed_conn_is_open(rival)) {
        if (rival->contested_ns == 0 || now_ns < ed_conn_contest_ends_ns(rival)) {
            conn->shared->stats->dropped_replayed++;
            ed_conn_abandon(conn, EDDY_END_REPLACED, now_ns);
            return;
        }
        replace(rival, now_ns);
        ed_manager_touch(manager, rival->handle);
    }
    ed_conn_outlast(conn, now_ns);
}

static void expire(void *connection, uint64_t now_ns)
{
    ed_conn *conn = connection;

    if (ed_timers_take(&conn->timers, ED_TIMER_CONTEST, now_ns))
        end_contest(conn, now_ns);
    ed_conn_expire(connection, now_ns);
    settle(connection);
}

static bool transmit(void *connection, ed_output *output, uint64_t now_ns)
{
    ed_conn *conn = connection;
    ed_path path;

    output->datagram.size = ed_conn_transmit(conn, &path, output->datagram.data, now_ns);
    settle(conn); // an unreliable message is over when it leaves; and so is one without a key
    if (output->datagram.size == 0)
        return false;
    output->datagram.remote = path.remote;
    output->datagram.local = path.local;
    conn->counts.sent_datagrams++;
    conn->counts.sent_bytes += output->datagram.size;
    if (conn->state == ED_CONN_GREETING)
        ed_reliable_of(conn)->greets = conn->handle;
    return true;
}

/** While the answer to HELLO is on its way; of one dial in a poll, so that a poll is no longer. */
static void reckon_ahead(void *context)
{
    ed_reliable *reliable = context;
    ed_conn *conn = ed_manager_connection(reliable->manager, reliable->greets);

    reliable->greets = 0;
    if (conn != NULL)
        ed_conn_reckon_ahead(conn);
}

static void too_big(void *connection, size_t size, uint64_t now_ns)
{
    ed_conn_on_size_refused(connection, size, now_ns);
}

static void held_back(void *connection, uint64_t now_ns)
{
    ed_conn_on_all_sent(connection, now_ns);
    look_for_room(ed_reliable_of(connection));
}

static eddy_address remote_of(const void *connection)
{
    return ed_conn_path(connection)->remote;
}

static size_t next_events(void *connection, void *events, size_t most)
{
    return ed_conn_events(connection, events, most);
}

static bool awaits_senders(const void *connection)
{
    return ed_conn_awaits_senders(connection);
}

/** Of a dial that failed: it takes no messages by now, and its end counts those that it took. */
static bool may_tell_failed(void *context, eddy_connection handle)
{
    const ed_reliable *reliable = context;
    const ed_account *accounts = reliable->shared.accounts;

    return accounts == NULL || ed_account_used(&accounts[ed_slot_of(handle)]) == 0;
}

static uint64_t next_ns(const void *connection)
{
    return ed_conn_next_ns(connection);
}

static ed_phase phase(const void *connection)
{
    const ed_conn *conn = connection;

    if (ed_conn_is_over(conn))
        return ED_PHASE_OVER;
    if (ed_conn_is_ended(conn))
        return ED_PHASE_ENDED;
    return conn->state == ED_CONN_HALF_OPEN || conn->state == ED_CONN_ASKING ? ED_PHASE_HALF_OPEN
                                                                             : ED_PHASE_OPEN;
}

static bool is_known(const void *connection)
{
    const ed_conn *conn = connection;

    return conn->is_client || conn->is_asked || conn->is_opened;
}

const ed_connection_type ed_reliable_type = {
    .connection_size = sizeof(ed_conn),
    .command_size = sizeof(ed_reliable_command),
    .event_size = sizeof(ed_event_item),
    .route = ed_admission_route,
    .admit = ed_admission_judge,
    .forget_newcomer = ed_reliable_forget_newcomer,
    .create = ed_reliable_create,
    .fail_connect = ed_reliable_fail_connect,
    .may_tell_failed = may_tell_failed,
    .failed_event = failed_event,
    .resolved = resolved,
    .destroy = destroy,
    .expect = expect,
    .supersedes = ed_reliable_supersedes,
    .receive = receive,
    .send = send_commands,
    .stop_admitting = stop_admitting,
    .shutdown = shut_down,
    .may_end = may_end,
    .replace = replace,
    .expire = expire,
    .transmit = transmit,
    .too_big = too_big,
    .held_back = held_back,
    .events = next_events,
    .awaits_senders = awaits_senders,
    .next_ns = next_ns,
    .phase = phase,
    .is_known = is_known,
    .remote = remote_of,
    .begin_poll = begin_poll,
    .end_commands = end_commands,
    .end_work = end_work,
    .reckon_ahead = reckon_ahead,
    .returned = returned,
    .drop_command = ed_reliable_drop_command,
    .drop_event = drop_event,
};
