/** A newcomer's payload, and a program that decides who may connect. */
#include "core/addr.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"
#include "transport/packet.h"
#include "transport/slots.h"

enum {
    SETTLE_MS = 100,
    HALF_OPEN_MS = 5000,
    REFUSING_MS = 5000,
    CODE = 4711,
};

static ed_cluster cluster;
static ed_node *server;
static ed_node *client;
static eddy_connection dialled; /* at the client */

static void run_ms(uint64_t ms)
{
    for (size_t i = 0; i < cluster.node_count; i++)
        if (cluster.nodes[i].manager != NULL)
            ed_world_touch(cluster.world, cluster.nodes[i].host);
    ed_cluster_run_for(&cluster, ms * ED_NS_PER_MS);
}

static void cut_off(void)
{
    CHECK_EQ(cluster.name, ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
}

/** A server and a client, whose events the test takes itself. */
static void open_world(const char *name, bool ask, uint32_t max_connections)
{
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();

    server_config.ask = ask;
    server_config.max_connections = max_connections;
    ed_cluster_open(&cluster, name, 1);
    server = ed_cluster_add(&cluster, &server_config);
    client = ed_cluster_add(&cluster, &client_config);
    server->is_reading = client->is_reading = false;
}

static eddy_connection dial(const ed_node *from, const char *payload)
{
    char host_port[EDDY_ADDRESS_TEXT_SIZE];
    eddy_connect_options options = {
        .server_key = ed_test_public(), .payload = payload, .payload_size = strlen(payload)};
    eddy_connection connection = 0;

    (void)eddy_address_print(&server->address, host_port);
    CHECK_EQ(cluster.name, eddy_connect_with(from->manager, host_port, &options, &connection),
             EDDY_OK);
    return connection;
}

static eddy_event take(ed_node *node, eddy_event_type type)
{
    eddy_event event;

    CHECK_EQ(cluster.name, eddy_next(node->manager, &event, 0), EDDY_OK);
    CHECK_EQ(cluster.name, event.type, type);
    return event;
}

static void check_quiet(ed_node *node)
{
    eddy_event event;

    CHECK_EQ(cluster.name, eddy_next(node->manager, &event, 0), EDDY_EAGAIN);
}

/** The client dials; the server's program hears of it. @return the server's handle. */
static eddy_connection request(const char *payload)
{
    dialled = dial(client, payload);
    run_ms(SETTLE_MS);
    eddy_event event = take(server, EDDY_CONNECT_REQUEST);
    eddy_connection connection = event.connection;

    CHECK(cluster.name, eddy_address_equal(&event.request.remote, &client->address));
    CHECK_EQ(cluster.name, event.request.payload_size, strlen(payload));
    if (event.request.payload_size > 0)
        CHECK_BYTES(cluster.name, event.request.payload, payload, strlen(payload));
    eddy_release(server->manager, &event);
    return connection;
}

static void accept_it(eddy_connection connection)
{
    CHECK_EQ(cluster.name, eddy_accept(server->manager, connection), EDDY_OK);
    run_ms(SETTLE_MS);
    CHECK(cluster.name, take(client, EDDY_CONNECTED).connected.payload == NULL);
    eddy_event event = take(server, EDDY_CONNECTED);
    CHECK_EQ(cluster.name, event.connection, connection);
    CHECK(cluster.name, event.connected.incoming && event.connected.payload == NULL);
}

static void check_ended(ed_node *node, eddy_connection connection, eddy_end end)
{
    eddy_event event = take(node, EDDY_DISCONNECTED);

    CHECK_EQ(cluster.name, event.connection, connection);
    CHECK_EQ(cluster.name, event.disconnected.end, end);
    CHECK_EQ(cluster.name, event.disconnected.refusal, EDDY_NOT_REFUSED);
    check_quiet(node);
}

static void check_refused(ed_node *node, uint32_t code, const char *reason)
{
    eddy_event event = take(node, EDDY_DISCONNECTED);

    CHECK_EQ(cluster.name, event.disconnected.end, EDDY_END_REFUSED);
    CHECK_EQ(cluster.name, event.disconnected.refusal, EDDY_REFUSED_BY_PROGRAM);
    CHECK_EQ(cluster.name, event.disconnected.code, code);
    CHECK_STR(cluster.name, event.disconnected.reason, reason);
    check_quiet(node);
}

/** A message each way. */
static void check_talk(eddy_connection at_server)
{
    const struct {
        ed_node *from, *to;
        eddy_connection connection;
    } ways[] = {{client, server, dialled}, {server, client, at_server}};

    for (size_t i = 0; i < ED_COUNT(ways); i++) {
        CHECK_EQ(
            cluster.name,
            eddy_send(ways[i].from->manager, ways[i].connection, EDDY_RELIABLE_ORDERED, 0, "hi", 2),
            EDDY_OK);
        run_ms(SETTLE_MS);
        eddy_event event = take(ways[i].to, EDDY_MESSAGE);
        eddy_release(ways[i].to->manager, &event);
    }
}

/* --------------------------------------------------------------------------------- payloads -- */

static void a_payload_comes_with_the_connection(void **state)
{
    static const size_t sizes[] = {0, 1, 255, EDDY_CONNECT_PAYLOAD_MAX};
    char payload[EDDY_CONNECT_PAYLOAD_MAX + 1] = "";

    (void)state;
    for (size_t i = 0; i < ED_COUNT(sizes); i++) {
        open_world("payload", false, 4);
        memset(payload, 'p', sizes[i]);
        dialled = dial(client, payload);
        run_ms(SETTLE_MS);
        CHECK("at the client", take(client, EDDY_CONNECTED).connected.payload == NULL);
        eddy_event event = take(server, EDDY_CONNECTED);
        CHECK_EQ("size", event.connected.payload_size, sizes[i]);
        CHECK_EQ("none", event.connected.payload == NULL, sizes[i] == 0);
        CHECK_BYTES("payload", event.connected.payload, payload, sizes[i]);
        eddy_connection connection = event.connection;
        eddy_release(server->manager, &event);
        check_talk(connection);
        ed_cluster_close(&cluster);
    }
}

static void bad_payloads_are_refused(void **state)
{
    static const char bytes[EDDY_CONNECT_PAYLOAD_MAX + 1];
    static const struct {
        const char *name;
        const char *host_port;
        eddy_connect_options options;
        eddy_status want;
    } rows[] = {
        {"too large", "10.0.0.1:1", {.payload = bytes, .payload_size = 257}, EDDY_ETOOBIG},
        {"far too large", "10.0.0.1:1", {.payload = bytes, .payload_size = SIZE_MAX}, EDDY_ETOOBIG},
        {"from nowhere", "10.0.0.1:1", {.payload_size = 1}, EDDY_EINVAL},
        {"to nowhere", NULL, {.payload = bytes, .payload_size = 1}, EDDY_EINVAL},
        {"no address", "x", {.payload = bytes, .payload_size = 1}, EDDY_EADDRESS},
    };

    (void)state;
    open_world("bad payload", false, 4);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_connect_options options = rows[i].options;
        eddy_connection connection = 7;
        options.server_key = ed_test_public();
        CHECK_EQ(rows[i].name,
                 eddy_connect_with(client->manager, rows[i].host_port, &options, &connection),
                 rows[i].want);
        CHECK_EQ(rows[i].name, connection, 0);
    }
    client->memory.fail_after = 0;
    eddy_connection connection = 7;
    CHECK_EQ("no memory",
             eddy_connect_with(client->manager, "10.0.0.1:1",
                               &(eddy_connect_options){.server_key = ed_test_public(),
                                                       .payload = bytes,
                                                       .payload_size = 256},
                               &connection),
             EDDY_ENOMEM);
    CHECK_EQ("no memory", connection, 0);
    client->memory.fail_after = UINT64_MAX;
    run_ms(SETTLE_MS);
    check_quiet(client);
    ed_cluster_close(&cluster);
}

/** No memory for a stranger's payload: it is as if the INITIATE had been lost. */
static void no_memory_for_a_payload(void **state)
{
    enum { UNTIL_REPEATED_MS = 300 };

    (void)state;
    open_world("no memory", true, 4);
    dialled = dial(client, "let me in");
    server->memory.fail_after = 1; // the connection, and not its payload
    run_ms(SETTLE_MS);
    check_quiet(server);
    CHECK_EQ("counted", ed_node_stats(server).dropped_memory, 1);
    server->memory.fail_after = UINT64_MAX;
    run_ms(UNTIL_REPEATED_MS);
    eddy_event event = take(server, EDDY_CONNECT_REQUEST);
    CHECK_EQ("payload", event.request.payload_size, 9);
    eddy_release(server->manager, &event);
    ed_cluster_close(&cluster);
}

/* --------------------------------------------------------------------------------- requests -- */

static void the_program_lets_somebody_in(void **state)
{
    enum { THINKING_MS = 3000 };

    (void)state;
    open_world("let in", true, 4);
    eddy_connection connection = request("let me in");
    run_ms(THINKING_MS); // INITIATE is repeated, and there is still but one request
    check_quiet(server);
    check_quiet(client);
    accept_it(connection);
    check_talk(connection);
    ed_cluster_close(&cluster);
}

/** Drops the first datagrams of one form. */
struct thief {
    ed_form form;
    unsigned count;
};

static bool steal(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    struct thief *thief = context;

    (void)now_ns;
    if (thief->count == 0 || ed_form_of(datagram->data, datagram->size) != thief->form)
        return false;
    thief->count--;
    return true;
}

static void the_program_turns_somebody_away(void **state)
{
    const struct {
        const char *name;
        const char *reason;
        unsigned lost; /* ACCEPTs */
        bool by_disconnect;
        uint32_t after_ms;
    } rows[] = {
        {"refused", "banned", 0, false, SETTLE_MS},
        {"without a reason", NULL, 0, false, SETTLE_MS},
        {"and it is lost", "banned", 1, false, 2000},
        {"and lost again", "banned", 2, false, 4000},
        {"by disconnecting", "banned", 0, true, SETTLE_MS},
        {"and that is lost", "banned", 1, true, 2000},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct thief thief = {.form = ED_FORM_ACCEPT, .count = rows[i].lost};
        open_world(rows[i].name, true, 4);
        ed_world_observe(cluster.world, steal, &thief);
        eddy_connection connection = request("");
        eddy_status status =
            rows[i].by_disconnect
                ? eddy_disconnect(server->manager, connection, CODE, rows[i].reason, 0)
                : eddy_refuse(server->manager, connection, CODE, rows[i].reason);
        CHECK_EQ(rows[i].name, status, EDDY_OK);
        run_ms(rows[i].after_ms);
        check_refused(client, CODE, rows[i].reason == NULL ? "" : rows[i].reason);
        eddy_event event = take(server, EDDY_DISCONNECTED);
        CHECK_EQ(rows[i].name, event.disconnected.end, EDDY_END_CLOSED_LOCAL);
        CHECK_EQ(rows[i].name, event.disconnected.code, CODE);
        check_quiet(server);
        CHECK_EQ(rows[i].name, ed_node_stats(server).refused, 1);
        CHECK_EQ(rows[i].name, ed_node_stats(server).connections_closed, 0);
        run_ms(REFUSING_MS);
        CHECK_EQ(rows[i].name, eddy_disconnect(server->manager, connection, 0, NULL, 0),
                 EDDY_ECONNECTION);
        ed_cluster_close(&cluster);
    }
}

static void a_reason_is_cut(void **state)
{
    char reason[200] = "";

    (void)state;
    memset(reason, 'r', sizeof(reason) - 1);
    open_world("long reason", true, 4);
    eddy_connection connection = request("");
    CHECK_EQ("refuse", eddy_refuse(server->manager, connection, UINT32_MAX, reason), EDDY_OK);
    run_ms(SETTLE_MS);
    reason[EDDY_REASON_SIZE - 1] = '\0';
    check_refused(client, UINT32_MAX, reason);
    ed_cluster_close(&cluster);
}

static void a_request_that_nobody_answers(void **state)
{
    (void)state;
    open_world("no answer", true, 4);
    eddy_connection connection = request("");
    run_ms(HALF_OPEN_MS - 2 * SETTLE_MS);
    check_quiet(server);
    cut_off(); // the client would ask again
    run_ms(2 * SETTLE_MS);
    check_ended(server, connection, EDDY_END_UNDECIDED);
    CHECK_EQ("too late", eddy_accept(server->manager, connection), EDDY_ECONNECTION);
    CHECK_EQ("too late", eddy_refuse(server->manager, connection, 0, NULL), EDDY_ECONNECTION);
    CHECK_EQ("never open", ed_node_stats(server).connections_closed, 0);
    ed_cluster_close(&cluster);
}

/** An answer that is there when the time is over counts: what the program said was in time. */
static void an_answer_at_the_last_moment(void **state)
{
    (void)state;
    for (int refuses = 0; refuses < 2; refuses++) {
        open_world("last moment", true, 4);
        eddy_connection connection = request("");
        cut_off();
        CHECK_EQ("in time",
                 refuses ? eddy_refuse(server->manager, connection, CODE, "no")
                         : eddy_accept(server->manager, connection),
                 EDDY_OK);
        (void)eddy_poll(server->manager, ed_cluster_now_ns(&cluster) + HALF_OPEN_MS * ED_NS_PER_MS);
        if (refuses)
            check_ended(server, connection, EDDY_END_CLOSED_LOCAL);
        else
            check_quiet(server);
        ed_cluster_close(&cluster);
    }
}

static void answers_in_the_wrong_state(void **state)
{
    (void)state;
    open_world("wrong state", true, 4);
    eddy_connection connection = request("");
    CHECK_EQ("nobody", eddy_accept(server->manager, 0), EDDY_ECONNECTION);
    CHECK_EQ("a slot that is not there", eddy_accept(server->manager, UINT64_MAX),
             EDDY_ECONNECTION);
    CHECK_EQ("an outgoing one", eddy_accept(client->manager, dialled), EDDY_ESTATE);

    // Without memory nothing has changed; this takes two allocations, of the reason and its way.
    server->memory.fail_after = 0;
    CHECK_EQ("no memory", eddy_refuse(server->manager, connection, 0, "no"), EDDY_ENOMEM);
    server->memory.fail_after = UINT64_MAX;
    accept_it(connection);
    CHECK_EQ("twice", eddy_accept(server->manager, connection), EDDY_ESTATE);
    CHECK_EQ("after it", eddy_refuse(server->manager, connection, 0, NULL), EDDY_ESTATE);
    check_talk(connection);
    eddy_shutdown(server->manager, 0);
    CHECK_EQ("not a request", eddy_accept(server->manager, connection), EDDY_ESTATE);
    ed_cluster_close(&cluster);
}

/** What the server says before it has decided waits for the connection, or is accounted for. */
static void messages_before_the_decision(void **state)
{
    (void)state;
    for (int refuses = 0; refuses < 2; refuses++) {
        open_world("early messages", true, 4);
        eddy_connection connection = request("");
        CHECK_EQ("send",
                 eddy_send(server->manager, connection, EDDY_RELIABLE_ORDERED, 0, "hello", 5),
                 EDDY_OK);
        run_ms(SETTLE_MS);
        if (refuses) {
            CHECK_EQ("refuse", eddy_refuse(server->manager, connection, 0, NULL), EDDY_OK);
            run_ms(SETTLE_MS);
            CHECK_EQ("undelivered", take(server, EDDY_DISCONNECTED).disconnected.undelivered, 1);
        } else {
            accept_it(connection);
            eddy_event event = take(client, EDDY_MESSAGE);
            CHECK_BYTES("message", event.message.data, "hello", 5);
            eddy_release(client->manager, &event);
        }
        ed_cluster_close(&cluster);
    }
}

static void the_peer_never_confirms(void **state)
{
    (void)state;
    open_world("not confirmed", true, 4);
    eddy_connection connection = request("");
    cut_off();
    CHECK_EQ("accept", eddy_accept(server->manager, connection), EDDY_OK);
    run_ms(HALF_OPEN_MS - 1);
    check_quiet(server);
    run_ms(1);
    check_ended(server, connection, EDDY_END_NO_ANSWER);
    ed_cluster_close(&cluster);
}

/** Let in and then sent away, before the client's first packet: it hears of it all the same. */
static void disconnected_right_after_the_decision(void **state)
{
    static const struct {
        const char *name;
        uint32_t flush_ms;
        bool is_cut_off;
        bool client_hears;
    } rows[] = {{"with time", 1000, false, true},
                {"with time that runs out", 1000, true, false},
                {"without", 0, false, false}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_world(rows[i].name, true, 4);
        eddy_connection connection = request("");
        if (rows[i].is_cut_off)
            cut_off();
        CHECK_EQ(rows[i].name, eddy_accept(server->manager, connection), EDDY_OK);
        CHECK_EQ(
            rows[i].name,
            eddy_disconnect(server->manager, connection, CODE, "changed my mind", rows[i].flush_ms),
            EDDY_OK);
        run_ms(SETTLE_MS);
        if (rows[i].client_hears) {
            (void)take(client, EDDY_CONNECTED);
            CHECK_EQ(rows[i].name, take(client, EDDY_DISCONNECTED).disconnected.code, CODE);
            (void)take(server, EDDY_CONNECTED);
        }
        run_ms(2000);
        eddy_event event = take(server, EDDY_DISCONNECTED);
        CHECK_EQ(rows[i].name, event.disconnected.end, EDDY_END_CLOSED_LOCAL);
        CHECK_EQ(rows[i].name, event.disconnected.code, CODE);
        ed_cluster_close(&cluster);
    }
}

/** A client that begins anew is a new request; the old one has its end. */
static void a_client_that_restarts(void **state)
{
    (void)state;
    open_world("restarted", true, 2); // the old one keeps its place until its end is taken
    eddy_connection first = request("one");
    ed_node_crash(client);
    CHECK_EQ("restart", ed_node_start(client), EDDY_OK);
    dialled = dial(client, "two");
    run_ms(2000);
    eddy_event event = take(server, EDDY_CONNECT_REQUEST);
    CHECK("another", event.connection != first);
    CHECK_BYTES("payload", event.request.payload, "two", 3);
    eddy_connection second = event.connection;
    eddy_release(server->manager, &event);
    accept_it(second);
    run_ms(5000); // who of the two is there was not known before
    check_ended(server, first, EDDY_END_UNDECIDED);
    CHECK_EQ("stale", eddy_accept(server->manager, first), EDDY_ECONNECTION);
    ed_cluster_close(&cluster);
}

/** Those who were refused keep their places only as long as nobody else wants them. */
static void the_refused_make_room(void **state)
{
    enum { OTHERS = 4 };
    eddy_config config = ed_cluster_client_config();

    (void)state;
    open_world("room", true, 1);
    eddy_connection connection = request("");
    for (int i = 0; i < OTHERS; i++) {
        CHECK_EQ("refuse", eddy_refuse(server->manager, connection, 0, NULL), EDDY_OK);
        run_ms(SETTLE_MS);
        (void)take(server, EDDY_DISCONNECTED);
        ed_node *other = ed_cluster_add(&cluster, &config);
        other->is_reading = false;
        (void)dial(other, "");
        run_ms(SETTLE_MS);
        connection = take(server, EDDY_CONNECT_REQUEST).connection;
    }
    CHECK_EQ("accept", eddy_accept(server->manager, connection), EDDY_OK);
    run_ms(SETTLE_MS);
    (void)take(&cluster.nodes[1 + OTHERS], EDDY_CONNECTED);
    ed_cluster_close(&cluster);
}

/** Whoever mistyped something comes again, from another port, where each address has one place. */
static void who_was_refused_may_ask_again(void **state)
{
    (void)state;
    open_world("mistyped", true, 4);
    ed_node_crash(server);
    server->config.max_per_address = 1;
    CHECK_EQ("restart", ed_node_start(server), EDDY_OK);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ("refuse", eddy_refuse(server->manager, request("mistyped"), CODE, "not that"),
                 EDDY_OK);
        run_ms(SETTLE_MS);
        check_refused(client, CODE, "not that");
        (void)take(server, EDDY_DISCONNECTED);
        ed_node_rebind(client);
    }
    accept_it(request("right"));
    run_ms(REFUSING_MS);
    ed_node *brother = ed_cluster_add(&cluster, &client->config);
    eddy_address beside = client->address;
    beside.port++;
    brother->is_reading = false;
    ed_node_move(brother, &beside);
    (void)dial(brother, "me, too");
    run_ms(SETTLE_MS);
    CHECK_EQ("one place", take(brother, EDDY_DISCONNECTED).disconnected.refusal,
             EDDY_REFUSED_LIMIT);
    ed_cluster_close(&cluster);
}

/** Requests are half-open connections, and bounded as those are. */
static void requests_have_a_cap(void **state)
{
    eddy_config config = ed_cluster_client_config();

    (void)state;
    open_world("cap", true, 4);
    ed_node_crash(server);
    server->config.max_half_open = 1;
    CHECK_EQ("restart", ed_node_start(server), EDDY_OK);
    eddy_connection connection = request("");
    ed_node *other = ed_cluster_add(&cluster, &config);
    other->is_reading = false;
    (void)dial(other, "");
    run_ms(SETTLE_MS);
    check_quiet(server);
    CHECK_EQ("above the cap", ed_node_stats(server).dropped_limit, 1);
    accept_it(connection);
    run_ms(4 * SETTLE_MS); // until INITIATE is repeated
    (void)take(server, EDDY_CONNECT_REQUEST);
    ed_cluster_close(&cluster);
}

/** Before it is let in a peer has no keys, so that a packet cannot be its. */
static void a_packet_before_the_decision(void **state)
{
    uint8_t data[ED_CLIENT_PACKET_SIZE_MIN] = {0};

    (void)state;
    open_world("early packet", true, 4);
    eddy_connection connection = request("");
    ed_packet packet = {.from_client = true, .id = ed_wire_id_of(connection), .number_size = 2};
    (void)ed_packet_write(&packet, data);
    eddy_datagram datagram = {.remote = server->address, .data = data, .size = sizeof(data)};
    CHECK_EQ("send", client->socket.send(client->socket.context, &datagram, 1), 1);
    run_ms(SETTLE_MS);
    CHECK_EQ("unknown", ed_node_stats(server).dropped_unknown, 1);
    CHECK_EQ("not even tried", ed_node_stats(server).dropped_forged, 0);
    accept_it(connection);
    ed_cluster_close(&cluster);
}

static void shutting_down_refuses(void **state)
{
    (void)state;
    open_world("shutdown", true, 4);
    eddy_connection connection = request("");
    eddy_shutdown(server->manager, 0);
    run_ms(SETTLE_MS);
    check_refused(client, 0, "");
    CHECK_EQ("its own", take(server, EDDY_DISCONNECTED).connection, connection);
    eddy_event event;
    CHECK_EQ("at once", eddy_next(server->manager, &event, 0), EDDY_ECLOSED);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payload_comes_with_the_connection),
        cmocka_unit_test(bad_payloads_are_refused),
        cmocka_unit_test(no_memory_for_a_payload),
        cmocka_unit_test(the_program_lets_somebody_in),
        cmocka_unit_test(the_program_turns_somebody_away),
        cmocka_unit_test(a_reason_is_cut),
        cmocka_unit_test(a_request_that_nobody_answers),
        cmocka_unit_test(an_answer_at_the_last_moment),
        cmocka_unit_test(answers_in_the_wrong_state),
        cmocka_unit_test(messages_before_the_decision),
        cmocka_unit_test(the_peer_never_confirms),
        cmocka_unit_test(disconnected_right_after_the_decision),
        cmocka_unit_test(a_client_that_restarts),
        cmocka_unit_test(the_refused_make_room),
        cmocka_unit_test(who_was_refused_may_ask_again),
        cmocka_unit_test(requests_have_a_cap),
        cmocka_unit_test(a_packet_before_the_decision),
        cmocka_unit_test(shutting_down_refuses),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
