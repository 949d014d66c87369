#include "transport/reliable.h"

#include "transport/packet.h"

void ed_reliable_init(ed_reliable *reliable, const ed_conn_shared *shared, uint64_t now_ns)
{
    const eddy_config *config = shared->config;

    *reliable = (ed_reliable){.shared = *shared, .accepts = config->accept};
    reliable->shared.room = &reliable->room;
    reliable->shared.queued_size = &reliable->queued_size;
    ed_credit_pool_init(&reliable->room, config->receive_budget, config->max_message_size,
                        config->max_outgoing + (config->accept ? config->max_connections : 0));
    ed_cookie_init(&reliable->cookies, shared->entropy, now_ns);
}

/** Room may have become free for those that wait to grant their peers more. */
static void serve_waiting(ed_reliable *reliable, uint64_t now_ns)
{
    ed_list_node *first = NULL;

    while ((first = ed_list_first(&reliable->room.waiting)) != NULL) {
        ed_credit_in *credit = ED_CONTAINER(first, ed_credit_in, waiting);
        ed_conn *conn = ED_CONTAINER(ED_CONTAINER(credit, ed_inbox, credit), ed_conn, inbox);
        ed_conn_update_credit(conn, now_ns);
        if (ed_list_first(&reliable->room.waiting) == first) {
            ed_returns_await(reliable->shared.returns);
            return;
        }
        ed_manager_touch(reliable->manager, conn->handle);
    }
}

static void begin_poll(void *context, uint64_t now_ns)
{
    ed_reliable *reliable = context;
    ed_cookie_rotate(&reliable->cookies, reliable->shared.entropy, now_ns);
    serve_waiting(reliable, now_ns);
}

static bool returned(void *context, void *connection, ed_block *block, uint64_t now_ns)
{
    ed_reliable *reliable = context;
    bool is_reliable = ed_block_guarantee(block) >= ED_WIRE_RELIABLE_UNORDERED;
    size_t size = block->size;

    ed_pool_give(block);
    if (connection != NULL)
        return ed_conn_returned(connection, is_reliable, size, now_ns);
    ed_inbox_returned_late(&reliable->room, is_reliable, size);
    return false;
}

/* -------------------------------------------------------------------------------- admission -- */

static ed_route route(void *context, const eddy_datagram *datagram)
{
    const ed_reliable *reliable = context;
    bool from_client = false;
    uint32_t id = 0;

    switch (ed_form_of(datagram->data, datagram->size)) {
    case ED_FORM_PACKET:
        if (ed_packet_peek_id(datagram->data, datagram->size, &from_client, &id) != EDDY_OK)
            return (ed_route){.kind = ED_ROUTE_NOWHERE};
        return from_client ? (ed_route){.kind = ED_ROUTE_ID, .id = id}
                           : (ed_route){.kind = ED_ROUTE_KNOWN, .side = ED_SIDE_OUTGOING};
    case ED_FORM_RETRY:
    case ED_FORM_ACCEPT:
        return (ed_route){.kind = ED_ROUTE_KNOWN, .side = ED_SIDE_OUTGOING};
    case ED_FORM_HELLO:
    case ED_FORM_INITIATE:
        return (ed_route){.kind = reliable->accepts ? ED_ROUTE_NEW : ED_ROUTE_NOWHERE};
    case ED_FORM_UNKNOWN:
        break;
    }
    return (ed_route){.kind = ED_ROUTE_NOWHERE};
}

/** Whether a stranger speaks our version and mode of our game. */
static bool is_ours(const ed_reliable *reliable, uint32_t version, uint8_t mode,
                    uint64_t protocol_id)
{
    return version == ED_PROTOCOL_VERSION && mode == ED_MODE_PLAIN &&
           protocol_id == reliable->shared.config->protocol_id;
}

static ed_admission give_cookie(const ed_reliable *reliable, const ed_hello *hello,
                                const eddy_address *remote, uint8_t *reply, size_t *reply_size,
                                uint64_t now_ns)
{
    ed_retry retry = {.version = hello->version};

    memcpy(retry.nonce, hello->nonce, ED_NONCE_SIZE);
    ed_cookie_make(&reliable->cookies, retry.cookie, hello, remote, now_ns);
    ed_retry_write(reply, &retry);
    *reply_size = ED_RETRY_SIZE;
    return ED_ADMIT_REPLY;
}

static ed_admission admit_hello(const ed_reliable *reliable, const eddy_datagram *datagram,
                                uint8_t *reply, size_t *reply_size, uint64_t now_ns)
{
    eddy_stats *stats = reliable->shared.stats;
    ed_hello hello;
    eddy_status status = ed_hello_parse(&hello, datagram->data, datagram->size);

    if (status != EDDY_OK) {
        *(status == EDDY_EAUTH ? &stats->dropped_forged : &stats->dropped_malformed) += 1;
        return ED_ADMIT_NO;
    }
    if (!is_ours(reliable, hello.version, hello.mode, hello.protocol_id)) {
        stats->dropped_unknown++;
        return ED_ADMIT_NO;
    }
    return give_cookie(reliable, &hello, &datagram->remote, reply, reply_size, now_ns);
}

/** Tells a newcomer that has proved its address why it may not connect. */
static ed_admission refuse(const ed_reliable *reliable, const ed_initiate *initiate,
                           uint8_t refusal, uint8_t *reply, size_t *reply_size)
{
    const eddy_entropy *entropy = reliable->shared.entropy;
    ed_key key = ed_protect_accept_key(initiate->nonce, initiate->ephemeral);
    ed_accept accept = {.refusal = refusal, .suite = ED_SUITE_NULL};

    memcpy(accept.nonce, initiate->nonce, ED_NONCE_SIZE);
    entropy->fill(entropy->context, accept.ephemeral, ED_EPHEMERAL_SIZE);
    ed_accept_write(reply, &accept, &key);
    *reply_size = ED_ACCEPT_SIZE;
    reliable->shared.stats->refused++;
    return ED_ADMIT_REPLY;
}

static ed_admission admit_initiate(const ed_reliable *reliable, const eddy_datagram *datagram,
                                   const ed_load *load, uint8_t *reply, size_t *reply_size,
                                   uint64_t now_ns)
{
    eddy_stats *stats = reliable->shared.stats;
    ed_initiate initiate;

    if (ed_initiate_parse(&initiate, datagram->data, datagram->size) != EDDY_OK) {
        stats->dropped_malformed++;
        return ED_ADMIT_NO;
    }
    if (!is_ours(reliable, initiate.version, initiate.mode, initiate.protocol_id) ||
        (initiate.suites & ED_SUITE_NULL_BIT) == 0) {
        stats->dropped_unknown++;
        return ED_ADMIT_NO;
    }
    if (!ed_cookie_check(&reliable->cookies, &initiate, &datagram->remote, now_ns)) {
        // Its cookie may just have grown old: it gets a new one.
        ed_hello hello = {.version = initiate.version,
                          .mode = initiate.mode,
                          .protocol_id = initiate.protocol_id};
        memcpy(hello.nonce, initiate.nonce, ED_NONCE_SIZE);
        stats->dropped_cookie++;
        return give_cookie(reliable, &hello, &datagram->remote, reply, reply_size, now_ns);
    }
    if (ed_initiate_open(&initiate, datagram->data, datagram->size) != EDDY_OK) {
        stats->dropped_forged++;
        return ED_ADMIT_NO;
    }
    if (load->is_full && !load->may_create && !load->has_connection)
        return refuse(reliable, &initiate, EDDY_REFUSED_FULL, reply, reply_size);
    return ED_ADMIT_CREATE;
}

static ed_admission admit(void *context, const eddy_datagram *datagram, const ed_load *load,
                          uint8_t *reply, size_t *reply_size, uint64_t now_ns)
{
    const ed_reliable *reliable = context;

    if (load->shutting_down)
        return ED_ADMIT_NO;
    if (ed_form_of(datagram->data, datagram->size) == ED_FORM_HELLO)
        return admit_hello(reliable, datagram, reply, reply_size, now_ns);
    return admit_initiate(reliable, datagram, load, reply, reply_size, now_ns);
}

/* ------------------------------------------------------------------------------- connections -- */

static eddy_status create(void *context, void *connection, const ed_birth *birth, uint64_t now_ns)
{
    ed_reliable *reliable = context;
    ed_initiate initiate;

    if (birth->side == ED_SIDE_OUTGOING) {
        const ed_reliable_command *command = birth->command;
        return ed_conn_init_client(connection, &reliable->shared, birth->handle, &birth->remote,
                                   command->block, now_ns);
    }
    ed_initiate_read_opened(&initiate, birth->datagram->data, birth->datagram->size);
    return ed_conn_init_server(connection, &reliable->shared, birth->handle, birth->wire_id,
                               birth->datagram, &initiate, now_ns);
}

static void fail_connect(void *context, void *item, eddy_status why, void *event)
{
    (void)context;
    const ed_reliable_command *command = item;
    eddy_event_disconnected last = {.end = why == EDDY_EEXIST    ? EDDY_END_DUPLICATE
                                           : why == EDDY_ECLOSED ? EDDY_END_CLOSED_LOCAL
                                                                 : EDDY_END_MEMORY};

    *(ed_event_item *)event = ed_event_of(command->head.connection, EDDY_DISCONNECTED,
                                          command->block, &last, sizeof(last));
}

static void destroy(void *connection)
{
    ed_conn_free(connection);
}

static bool continues(const void *connection, const eddy_datagram *datagram)
{
    const ed_conn *conn = connection;
    ed_initiate initiate;

    return ed_initiate_parse(&initiate, datagram->data, datagram->size) == EDDY_OK &&
           ed_equal_secret(initiate.nonce, conn->nonce, ED_NONCE_SIZE) &&
           ed_equal_secret(initiate.ephemeral, conn->client_ephemeral, ED_EPHEMERAL_SIZE);
}

/**
 * Within one handshake the client's clock says which INITIATE is the newer one; between two,
 * perhaps of two clocks, the server's own in the cookies does.
 */
static bool supersedes(const void *connection, const eddy_datagram *datagram)
{
    const ed_conn *conn = connection;
    ed_initiate initiate;

    ed_initiate_read_opened(&initiate, datagram->data, datagram->size);
    if (ed_equal_secret(initiate.nonce, conn->nonce, ED_NONCE_SIZE))
        return initiate.client_time_us >= conn->client_time_us;
    return !ed_cookie_is_older(initiate.cookie, conn->cookie);
}

static void receive(void *connection, const eddy_datagram *datagram, uint64_t now_ns)
{
    ed_conn_receive(connection, datagram, now_ns);
}

/** A message leaves its connection's account before it has come to the connection. */
static void refund(const ed_conn_shared *shared, const ed_reliable_command *command)
{
    if (shared->accounts != NULL)
        ed_account_refund(&shared->accounts[ed_slot_of(command->head.connection)], command->stream,
                          (size_t)ed_charge_of(command->block->size));
}

/** A message that finds no connection was accepted all the same, and counts as such. */
static void drop_command(void *context, void *item)
{
    const ed_reliable *reliable = context;
    ed_reliable_command *command = item;

    if (command->operation == ED_OPERATION_SEND) {
        reliable->shared.stats->messages_sent++;
        reliable->shared.stats->messages_undelivered +=
            command->guarantee >= EDDY_RELIABLE_UNORDERED ? 1 : 0;
        refund(&reliable->shared, command);
        ed_pool_give(command->receipt); // the end of its connection has been told
    }
    ed_pool_give(command->block);
}

static void drop_event(void *context, void *event)
{
    (void)context;
    ed_pool_give(((ed_event_item *)event)->block);
}

static void send_message(ed_conn *conn, const ed_reliable_command *command, uint64_t now_ns)
{
    ed_message message = {.block = command->block,
                          .receipt = command->receipt,
                          .expires_ns = ED_NEVER_NS,
                          .guarantee = command->guarantee,
                          .stream = command->stream,
                          .now_or_never = command->now_or_never};

    if (command->expire_ms != 0)
        message.expires_ns = ed_add_sat_u64(now_ns, command->expire_ms * ED_NS_PER_MS);
    (void)ed_conn_send(conn, &message, now_ns);
}

static void close_connection(ed_conn *conn, const ed_reliable_command *command, uint64_t now_ns)
{
    const char *reason = command->block == NULL ? NULL : (const char *)command->block->data;

    ed_conn_close(conn, command->code, reason, command->flush_ns, now_ns);
    ed_pool_give(command->block);
}

static void set_stream(ed_conn *conn, const ed_reliable_command *command, uint64_t now_ns)
{
    eddy_stream_options options = {.priority = command->priority,
                                   .weight = command->weight,
                                   .budget = (size_t)command->budget};

    ed_conn_set_stream(conn, command->stream, &options, now_ns);
}

static void send_command(void *connection, void *item, uint64_t now_ns)
{
    const ed_reliable_command *command = item;

    switch ((ed_operation)command->operation) {
    case ED_OPERATION_SEND:
        send_message(connection, command, now_ns);
        return;
    case ED_OPERATION_CLOSE:
        close_connection(connection, command, now_ns);
        return;
    case ED_OPERATION_SET_STREAM:
        set_stream(connection, command, now_ns);
        return;
    case ED_OPERATION_WANT_WRITABLE:
        ed_conn_want_writable(connection);
        return;
    case ED_OPERATION_NONE:
        break;
    }
    ED_ASSERT(command->operation != ED_OPERATION_NONE);
}

static void shut_down(void *connection, uint64_t flush_ns, uint64_t now_ns)
{
    ed_conn_close(connection, 0, NULL, flush_ns, now_ns);
}

/** Of one whose peer is elsewhere by now the address has passed to somebody else: it stays. */
static void replace(void *connection, uint64_t now_ns)
{
    if (ed_conn_is_moving(connection))
        return;
    ed_conn_abandon(connection, EDDY_END_REPLACED, now_ns);
}

static void expire(void *connection, uint64_t now_ns)
{
    ed_conn_expire(connection, now_ns);
}

static bool transmit(void *connection, ed_output *output, uint64_t now_ns)
{
    ed_path path;

    output->datagram.size = ed_conn_transmit(connection, &path, output->datagram.data, now_ns);
    output->datagram.remote = path.remote;
    output->datagram.local = path.local;
    return output->datagram.size > 0;
}

static eddy_address remote_of(const void *connection)
{
    return ed_conn_path(connection)->remote;
}

static bool next_event(void *connection, void *event)
{
    return ed_conn_event(connection, event);
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
    return conn->state == ED_CONN_HALF_OPEN ? ED_PHASE_HALF_OPEN : ED_PHASE_OPEN;
}

static bool is_known(const void *connection)
{
    const ed_conn *conn = connection;

    return conn->is_client || conn->is_opened;
}

const ed_connection_type ed_reliable_type = {
    .connection_size = sizeof(ed_conn),
    .command_size = sizeof(ed_reliable_command),
    .event_size = sizeof(ed_event_item),
    .route = route,
    .admit = admit,
    .create = create,
    .fail_connect = fail_connect,
    .destroy = destroy,
    .continues = continues,
    .supersedes = supersedes,
    .receive = receive,
    .send = send_command,
    .shutdown = shut_down,
    .replace = replace,
    .expire = expire,
    .transmit = transmit,
    .event = next_event,
    .next_ns = next_ns,
    .phase = phase,
    .is_known = is_known,
    .remote = remote_of,
    .begin_poll = begin_poll,
    .returned = returned,
    .drop_command = drop_command,
    .drop_event = drop_event,
};
