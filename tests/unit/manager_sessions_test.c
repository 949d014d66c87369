/**
 * The manager over a connection type with sockets of its own: a forwarder, which keeps a session
 * for each client's address and speaks to the server from a socket of that session.
 */
#include "tests/support/check.h"

#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "core/crypto.h"
#include "sim/world.h"
#include "transport/manager.h"

enum {
    CLIENTS = 5,
    QUEUE_MAX = 64,
    SERVER_PORT = 7000,
    FORWARDER_PORT = 8000,
    UPSTREAM_PORT = 9000, /* and up: one for each session */
    SILENCE_MS = 1000,    /* ends a session */
};

/* ---------------------------------------------------------------------------- the forwarder -- */

struct forwarder {
    ed_world *world;
    ed_host *host;
    ed_manager *manager;
    eddy_socket socket;
    unsigned session_count; /* ever */
};

struct waiting {
    uint8_t data[64];
    size_t size;
    bool is_up; /* to the server; else to the client */
};

struct session {
    struct forwarder *forwarder;
    eddy_connection handle;
    eddy_address client;
    ed_host *host;
    eddy_socket upstream;
    struct waiting queue[QUEUE_MAX];
    size_t count, taken;
    uint64_t ends_ns;
    bool is_over;
};

static void enqueue(struct session *s, const eddy_datagram *datagram, bool is_up, uint64_t now_ns)
{
    ED_ASSERT(s->count < s->taken + QUEUE_MAX && datagram->size <= sizeof(s->queue[0].data));
    struct waiting *waiting = &s->queue[s->count++ % QUEUE_MAX];

    memcpy(waiting->data, datagram->data, datagram->size);
    waiting->size = datagram->size;
    waiting->is_up = is_up;
    s->ends_ns = now_ns + SILENCE_MS * ED_NS_PER_MS;
}

static ed_route route(void *context, const eddy_datagram *datagram)
{
    (void)context;
    (void)datagram;
    return (ed_route){.kind = ED_ROUTE_KNOWN_OR_NEW};
}

static ed_admission admit(void *context, const eddy_datagram *datagram, ed_load *load,
                          uint8_t *reply, size_t *reply_size, uint64_t now_ns)
{
    (void)context;
    (void)datagram;
    (void)reply;
    (void)reply_size;
    (void)now_ns;
    return load->may_create ? ED_ADMIT_CREATE : ED_ADMIT_NO;
}

/** Something arrived for a session's own socket: the manager reads it in its next poll. */
static uint64_t upstream_arrived(void *context, uint64_t now_ns)
{
    struct session *s = context;

    (void)now_ns;
    ed_manager_readable(s->forwarder->manager, s->handle);
    ed_world_touch(s->forwarder->world, s->forwarder->host);
    return ED_NEVER_NS;
}

static void receive(void *connection, const eddy_datagram *datagram, uint64_t now_ns)
{
    enqueue(connection, datagram, true, now_ns);
}

static void receive_extra(void *connection, const eddy_datagram *datagram, uint64_t now_ns)
{
    enqueue(connection, datagram, false, now_ns);
}

static eddy_status create(void *context, void *connection, const ed_birth *birth, uint64_t now_ns)
{
    struct forwarder *f = context;
    struct session *s = connection;
    eddy_address local = ed_addr_ipv4(10, 0, 0, 2, (uint16_t)(UPSTREAM_PORT + f->session_count));

    *s = (struct session){.forwarder = f, .handle = birth->handle, .client = birth->remote};
    s->host = ed_world_socket(f->world, &local, &s->upstream);
    if (s->host == NULL)
        return EDDY_ENOMEM;
    f->session_count++;
    ed_world_attach(f->world, s->host, upstream_arrived, s);
    receive(s, birth->datagram, now_ns);
    return EDDY_OK;
}

static void destroy(void *connection)
{
    struct session *s = connection;
    s->upstream.close(s->upstream.context);
}

static const eddy_socket *extra_socket(void *connection)
{
    return &((struct session *)connection)->upstream;
}

static bool transmit(void *connection, ed_output *output, uint64_t now_ns)
{
    struct session *s = connection;

    (void)now_ns;
    if (s->taken == s->count)
        return false;
    const struct waiting *waiting = &s->queue[s->taken++ % QUEUE_MAX];
    memcpy(output->datagram.data, waiting->data, waiting->size);
    output->datagram.size = waiting->size;
    output->datagram.remote = waiting->is_up ? ed_addr_ipv4(10, 0, 0, 3, SERVER_PORT) : s->client;
    output->through = waiting->is_up ? &s->upstream : NULL;
    return true;
}

static void expire(void *connection, uint64_t now_ns)
{
    struct session *s = connection;

    ED_ASSERT(now_ns >= s->ends_ns);
    s->is_over = true;
}

static void shut_down(void *connection, uint64_t until_ns, uint64_t now_ns)
{
    (void)until_ns;
    (void)now_ns;
    ((struct session *)connection)->is_over = true;
}

static size_t no_events(void *connection, void *events, size_t most)
{
    (void)connection;
    (void)events;
    (void)most;
    return 0;
}

static uint64_t next_ns(const void *connection)
{
    return ((const struct session *)connection)->ends_ns;
}

static ed_phase phase(const void *connection)
{
    return ((const struct session *)connection)->is_over ? ED_PHASE_OVER : ED_PHASE_OPEN;
}

static const ed_connection_type session_type = {
    .connection_size = sizeof(struct session),
    .command_size = sizeof(ed_command),
    .event_size = 1,
    .route = route,
    .admit = admit,
    .create = create,
    .destroy = destroy,
    .receive = receive,
    .receive_extra = receive_extra,
    .extra_socket = extra_socket,
    .shutdown = shut_down,
    .expire = expire,
    .transmit = transmit,
    .events = no_events,
    .next_ns = next_ns,
    .phase = phase,
};

/* -------------------------------------------------------------------------------- the world -- */

struct bed {
    ed_counting_alloc memory;
    struct forwarder forwarder;
    eddy_socket server;
    eddy_socket clients[CLIENTS];
    eddy_stats stats;
    ed_slots *slots;
    ed_channel *commands;
    ed_channel *events;
    unsigned served;
};

static uint64_t run_forwarder(void *context, uint64_t now_ns)
{
    struct forwarder *f = context;
    return ed_manager_poll(f->manager, now_ns);
}

/** The server says back what it hears, one higher. */
static uint64_t run_server(void *context, uint64_t now_ns)
{
    struct bed *bed = context;
    eddy_datagram datagram;

    (void)now_ns;
    while (bed->server.receive(bed->server.context, &datagram, 1) > 0) {
        datagram.data[0]++;
        bed->served++;
        CHECK_EQ("send", bed->server.send(bed->server.context, &datagram, 1), 1);
    }
    return ED_NEVER_NS;
}

static eddy_address client_address(size_t n)
{
    return ed_addr_ipv4(10, 0, 1, (uint8_t)n, 6000);
}

static ed_host *open_socket(struct bed *bed, eddy_address address, eddy_socket *socket)
{
    ed_host *host = ed_world_socket(bed->forwarder.world, &address, socket);
    CHECK("socket", host != NULL);
    return host;
}

static void open_manager(struct bed *bed)
{
    const eddy_allocator *allocator = &bed->memory.allocator;

    bed->slots = ed_slots_create(allocator, 0, CLIENTS - 1);
    bed->commands = ed_channel_create(allocator, sizeof(ed_command), NULL, NULL);
    bed->events = ed_channel_create(allocator, 1, NULL, NULL);
    ed_manager_parts parts = {.type = &session_type,
                              .type_context = &bed->forwarder,
                              .allocator = allocator,
                              .entropy = ed_entropy_system(),
                              .socket = &bed->forwarder.socket,
                              .slots = bed->slots,
                              .commands = bed->commands,
                              .events = bed->events,
                              .stats = &bed->stats,
                              .half_open_max = CLIENTS};
    bed->forwarder.manager = ed_manager_create(&parts);
    CHECK("manager", bed->forwarder.manager != NULL);
    ed_channel_leave_receiver(bed->commands);
    ed_channel_leave_sender(bed->events);
}

static struct bed *open_bed(void)
{
    static struct bed bed;

    memset(&bed, 0, sizeof(bed));
    CHECK_EQ("crypto", ed_crypto_init(), EDDY_OK);
    ed_counting_alloc_init(&bed.memory, NULL);
    ed_world *world = ed_world_create(&bed.memory.allocator, 1);
    bed.forwarder.world = world;
    CHECK("world", world != NULL);
    bed.forwarder.host =
        open_socket(&bed, ed_addr_ipv4(10, 0, 0, 2, FORWARDER_PORT), &bed.forwarder.socket);
    ed_host *server = open_socket(&bed, ed_addr_ipv4(10, 0, 0, 3, SERVER_PORT), &bed.server);
    for (size_t n = 0; n < CLIENTS; n++)
        (void)open_socket(&bed, client_address(n), &bed.clients[n]);
    open_manager(&bed);
    ed_world_attach(world, bed.forwarder.host, run_forwarder, &bed.forwarder);
    ed_world_attach(world, server, run_server, &bed);
    return &bed;
}

static void close_bed(struct bed *bed)
{
    ed_manager_destroy(bed->forwarder.manager);
    ed_channel_leave_sender(bed->commands);
    ed_channel_leave_receiver(bed->events);
    ed_slots_destroy(bed->slots);
    ed_world_destroy(bed->forwarder.world);
    CHECK_EQ("memory", bed->memory.live_count, 0);
}

static void client_sends(struct bed *bed, size_t n, uint8_t first)
{
    uint8_t data[2] = {first, (uint8_t)n};
    eddy_datagram datagram = {
        .remote = ed_addr_ipv4(10, 0, 0, 2, FORWARDER_PORT), .data = data, .size = sizeof(data)};
    CHECK_EQ("send", bed->clients[n].send(bed->clients[n].context, &datagram, 1), 1);
}

/** Takes what has come to a client; all of it must be its own, and in order. @return how many. */
static unsigned client_takes(struct bed *bed, size_t n, uint8_t first)
{
    eddy_address forwarder = ed_addr_ipv4(10, 0, 0, 2, FORWARDER_PORT);
    eddy_datagram datagram;
    unsigned count = 0;

    while (bed->clients[n].receive(bed->clients[n].context, &datagram, 1) > 0) {
        CHECK("from the forwarder", eddy_address_equal(&datagram.remote, &forwarder));
        CHECK_EQ("size", datagram.size, 2);
        CHECK_EQ("its own", datagram.data[1], n);
        CHECK_EQ("answered, in order", datagram.data[0], first + count + 1);
        count++;
    }
    return count;
}

static void run_until_ms(struct bed *bed, uint64_t ms)
{
    ed_world_run_until(bed->forwarder.world, ms * ED_NS_PER_MS);
}

/* ------------------------------------------------------------------------------------ tests -- */

static void both_ways(void **state)
{
    enum { ROUNDS = 30 };
    struct bed *bed = open_bed();

    (void)state;
    for (uint8_t round = 0; round < ROUNDS; round++)
        for (size_t n = 0; n < CLIENTS - 1; n++)
            client_sends(bed, n, round);
    run_until_ms(bed, 100);
    CHECK_EQ("the server heard all", bed->served, ROUNDS * (CLIENTS - 1));
    for (size_t n = 0; n < CLIENTS - 1; n++)
        CHECK_EQ("all answers", client_takes(bed, n, 0), ROUNDS);
    CHECK_EQ("a session each", bed->forwarder.session_count, CLIENTS - 1);
    CHECK_EQ("what the server said passed through no session's count",
             bed->stats.received_datagrams, ROUNDS * (CLIENTS - 1));
    close_bed(bed);
}

static void sessions_end_in_silence(void **state)
{
    struct bed *bed = open_bed();

    (void)state;
    client_sends(bed, 0, 1);
    client_sends(bed, 1, 1);
    run_until_ms(bed, 500);
    CHECK_EQ("two", ed_manager_connection_count(bed->forwarder.manager), 2);
    client_sends(bed, 1, 2);
    run_until_ms(bed, SILENCE_MS + 2); // the answer came back to the forwarder at 3 ms
    CHECK_EQ("not early", ed_manager_connection_count(bed->forwarder.manager), 2);
    run_until_ms(bed, SILENCE_MS + 3);
    CHECK_EQ("exactly then", ed_manager_connection_count(bed->forwarder.manager), 1);
    run_until_ms(bed, 3000);
    CHECK_EQ("none", ed_manager_connection_count(bed->forwarder.manager), 0);
    CHECK_EQ("nothing is waited for", ed_world_next_ns(bed->forwarder.world), ED_NEVER_NS);

    client_sends(bed, 0, 9);
    run_until_ms(bed, 3100);
    CHECK_EQ("another session", bed->forwarder.session_count, 3);
    CHECK_EQ("answered", client_takes(bed, 1, 1), 2);
    close_bed(bed);
}

static void no_more_than_the_limit(void **state)
{
    struct bed *bed = open_bed();

    (void)state;
    for (size_t n = 0; n < CLIENTS; n++)
        client_sends(bed, n, 1);
    run_until_ms(bed, 100);
    CHECK_EQ("sessions", ed_manager_connection_count(bed->forwarder.manager), CLIENTS - 1);
    CHECK_EQ("the last gets nothing", client_takes(bed, CLIENTS - 1, 1), 0);
    CHECK_EQ("the first does", client_takes(bed, 0, 1), 1);
    close_bed(bed);
}

/** A readable socket of a session that has ended is nobody's. */
static void a_stale_readable_is_ignored(void **state)
{
    struct bed *bed = open_bed();
    ed_manager *manager = bed->forwarder.manager;

    (void)state;
    ed_manager_readable(manager, UINT64_C(1) << 32 | 1);
    client_sends(bed, 0, 1);
    run_until_ms(bed, 100);
    for (unsigned twice = 0; twice < 2; twice++)
        ed_manager_readable(manager, UINT64_C(1) << 32 | 1); // nothing is there to be read
    ed_world_touch(bed->forwarder.world, bed->forwarder.host);
    run_until_ms(bed, 2000);
    CHECK_EQ("ended", ed_manager_connection_count(manager), 0);
    ed_manager_readable(manager, UINT64_C(1) << 32 | 1);
    CHECK_EQ("nothing to do", ed_manager_poll(manager, 2000 * ED_NS_PER_MS), ED_NEVER_NS);
    close_bed(bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(sessions_end_in_silence),
        cmocka_unit_test(no_more_than_the_limit),
        cmocka_unit_test(a_stale_readable_is_ignored),
    };
    return cmocka_run_group_tests_name("manager_sessions", tests, NULL, NULL);
}
