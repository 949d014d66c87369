#include "transport/reliable.h"

#include "transport/packet.h"

void ed_reliable_init(ed_reliable *reliable, const ed_conn_shared *shared, uint64_t now_ns)
{
    *reliable = (ed_reliable){.shared = *shared, .accepts = shared->config->accept};
    ed_cookie_init(&reliable->cookies, shared->entropy, now_ns);
}

static void begin_poll(void *context, uint64_t now_ns)
{
    ed_reliable *reliable = context;
    ed_cookie_rotate(&reliable->cookies, reliable->shared.entropy, now_ns);
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

static void create_outgoing(const ed_reliable *reliable, ed_conn *conn, const ed_birth *birth,
                            uint64_t now_ns)
{
    ed_reliable_command *command = birth->command;

    ed_conn_init_client(conn, &reliable->shared, birth->handle, &birth->remote, now_ns);
    conn->payload = command->block;
    command->block = NULL;
}

static eddy_status create_incoming(const ed_reliable *reliable, ed_conn *conn,
                                   const ed_birth *birth, uint64_t now_ns)
{
    ed_initiate initiate;
    ed_block *payload = NULL;

    ed_initiate_read_opened(&initiate, birth->datagram->data, birth->datagram->size);
    if (initiate.payload.size > 0) {
        payload = ed_pool_take(reliable->shared.receive_pool, initiate.payload.size);
        if (payload == NULL)
            return EDDY_ENOMEM;
        memcpy(payload->data, initiate.payload.data, initiate.payload.size);
    }
    ed_conn_init_server(conn, &reliable->shared, birth->handle, birth->wire_id, birth->datagram,
                        &initiate, now_ns);
    conn->payload = payload;
    return EDDY_OK;
}

static eddy_status create(void *context, void *connection, const ed_birth *birth, uint64_t now_ns)
{
    if (birth->side == ED_SIDE_INCOMING)
        return create_incoming(context, connection, birth, now_ns);
    create_outgoing(context, connection, birth, now_ns);
    return EDDY_OK;
}

static void fail_connect(void *context, void *item, eddy_status why, void *event)
{
    const ed_reliable *reliable = context;
    ed_reliable_command *command = item;
    eddy_connection connection = command->head.connection;
    eddy_event *e = event;

    ed_pool_give(command->block);
    *e = (eddy_event){.type = EDDY_DISCONNECTED,
                      .connection = connection,
                      .user_data = ed_slots_data(reliable->shared.slots, connection)};
    e->disconnected.end = why == EDDY_EEXIST    ? EDDY_END_DUPLICATE
                          : why == EDDY_ECLOSED ? EDDY_END_CLOSED_LOCAL
                                                : EDDY_END_MEMORY;
}

static void resolved(void *connection, const eddy_address *remote, eddy_status status,
                     uint64_t now_ns)
{
    ed_conn_resolved(connection, remote, status, now_ns);
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
    ed_conn *conn = connection;

    conn->stats.received_datagrams++;
    conn->stats.received_bytes += datagram->size;
    ed_conn_receive(connection, datagram, now_ns);
}

/** A message that finds no connection was accepted all the same, and counts as such. */
static void drop_command(void *context, void *item)
{
    const ed_reliable *reliable = context;
    ed_reliable_command *command = item;

    if (command->operation == ED_OPERATION_SEND) {
        reliable->shared.stats->messages_sent++;
        reliable->shared.stats->messages_undelivered +=
            command->guarantee == EDDY_UNRELIABLE ? 0 : 1;
    }
    ed_pool_give(command->block);
}

static void drop_event(void *context, void *event)
{
    (void)context;
    ed_pool_give(((eddy_event *)event)->block);
}

static const char *reason_of(const ed_reliable_command *command)
{
    return command->block == NULL ? NULL : (const char *)command->block->data;
}

static void do_send(ed_conn *conn, ed_reliable_command *command, uint64_t now_ns)
{
    (void)ed_conn_send(conn, (eddy_guarantee)command->guarantee, command->stream, command->block,
                       now_ns);
}

static void do_close(ed_conn *conn, ed_reliable_command *command, uint64_t now_ns)
{
    ed_conn_close(conn, command->code, reason_of(command), command->flush_ns, now_ns);
    ed_pool_give(command->block);
}

static void do_admit(ed_conn *conn, ed_reliable_command *command, uint64_t now_ns)
{
    (void)command;
    ed_conn_admit(conn, now_ns);
}

static void do_refuse(ed_conn *conn, ed_reliable_command *command, uint64_t now_ns)
{
    ed_conn_refuse(conn, command->code, reason_of(command), ED_REFUSING_NS, now_ns);
    ed_pool_give(command->block);
}

static void do_rate(ed_conn *conn, ed_reliable_command *command, uint64_t now_ns)
{
    ed_conn_set_rate(conn, command->rate_max, now_ns);
}

/** Each takes the command's block over. */
static void (*const operations[ED_OPERATION_COUNT])(ed_conn *conn, ed_reliable_command *command,
                                                    uint64_t now_ns) = {
    [ED_OPERATION_SEND] = do_send,   [ED_OPERATION_CLOSE] = do_close,
    [ED_OPERATION_ADMIT] = do_admit, [ED_OPERATION_REFUSE] = do_refuse,
    [ED_OPERATION_RATE] = do_rate,
};

static void send_command(void *connection, void *item, uint64_t now_ns)
{
    ed_reliable_command *command = item;

    ED_ASSERT(command->operation < ED_OPERATION_COUNT && operations[command->operation] != NULL);
    operations[command->operation](connection, command, now_ns);
}

static void shut_down(void *connection, uint64_t flush_ns, uint64_t now_ns)
{
    // Nobody is admitted any more, so a newcomer that does not hear of its refusal asks in vain.
    if (ed_conn_is_request(connection))
        ed_conn_refuse(connection, 0, NULL, 0, now_ns);
    else
        ed_conn_close(connection, 0, NULL, flush_ns, now_ns);
}

static void replace(void *connection, uint64_t now_ns)
{
    ed_conn_abandon(connection, EDDY_END_REPLACED, now_ns);
}

static void expire(void *connection, uint64_t now_ns)
{
    ed_conn_expire(connection, now_ns);
}

static bool transmit(void *connection, ed_output *output, uint64_t now_ns)
{
    ed_conn *conn = connection;
    size_t size = ed_conn_transmit(connection, output->datagram.data, now_ns);

    output->datagram.remote = conn->remote;
    output->datagram.local = conn->local;
    output->datagram.size = size;
    conn->stats.sent_datagrams += size > 0 ? 1 : 0;
    conn->stats.sent_bytes += size;
    return size > 0;
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
    return conn->state == ED_CONN_HALF_OPEN || conn->state == ED_CONN_ASKING ? ED_PHASE_HALF_OPEN
                                                                             : ED_PHASE_OPEN;
}

const ed_connection_type ed_reliable_type = {
    .connection_size = sizeof(ed_conn),
    .command_size = sizeof(ed_reliable_command),
    .event_size = sizeof(eddy_event),
    .route = route,
    .admit = admit,
    .create = create,
    .fail_connect = fail_connect,
    .resolved = resolved,
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
    .begin_poll = begin_poll,
    .drop_command = drop_command,
    .drop_event = drop_event,
};
