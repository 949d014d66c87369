/** Looking at connections: the list of them, their state, their peer, what they have done. */
#include "tests/support/check.h"

#include "core/budget.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"
#include "transport/packet.h"

enum { SETTLE_MS = 100, CLIENTS = 3 };

static ed_cluster cluster;
static ed_node *server;

static void run_ms(uint64_t ms)
{
    for (size_t i = 0; i < cluster.node_count; i++)
        ed_world_touch(cluster.world, cluster.nodes[i].host);
    ed_cluster_run_for(&cluster, ms * ED_NS_PER_MS);
}

/** A server and clients, whose events the test takes itself. */
static void open_world(const char *name, bool ask)
{
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();

    server_config.ask = ask;
    ed_cluster_open(&cluster, name, 1);
    server = ed_cluster_add(&cluster, &server_config);
    for (size_t i = 0; i < CLIENTS; i++)
        (void)ed_cluster_add(&cluster, &client_config);
    for (size_t i = 0; i < cluster.node_count; i++)
        cluster.nodes[i].is_reading = false;
}

static eddy_connection dial(const ed_node *from)
{
    eddy_connection connection = 0;

    CHECK_EQ(cluster.name,
             eddy_connect_address(from->manager, &server->address, ed_test_options(), &connection),
             EDDY_OK);
    return connection;
}

static eddy_connection take(const ed_node *node, eddy_event_type type)
{
    eddy_event event;

    CHECK_EQ(cluster.name, eddy_next(node->manager, &event, 0), EDDY_OK);
    CHECK_EQ(cluster.name, event.type, type);
    eddy_connection connection = event.connection;
    eddy_release(node->manager, &event);
    return connection;
}

/** Whether the list of a node is these handles, in any order. */
static void check_list(const ed_node *node, const eddy_connection *want, size_t count)
{
    eddy_connection got[CLIENTS + 1] = {0};
    size_t found = 0;

    CHECK_EQ(cluster.name, eddy_connections(node->manager, NULL, 0), count);
    CHECK_EQ(cluster.name, eddy_connections(node->manager, got, ED_COUNT(got)), count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++)
            found += got[i] == want[k] ? 1 : 0;
    CHECK_EQ(cluster.name, found, count);
    CHECK_EQ(cluster.name, got[count], 0);
}

static void check_state(const ed_node *node, eddy_connection connection, eddy_state want)
{
    CHECK_EQ(cluster.name, eddy_connection_state(node->manager, connection), want);
}

static void the_list(void **state)
{
    eddy_connection dialled[CLIENTS], taken[CLIENTS], some[2] = {0};

    (void)state;
    open_world("list", false);
    check_list(server, NULL, 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        dialled[i] = dial(&cluster.nodes[1 + i]);
        check_list(&cluster.nodes[1 + i], &dialled[i], 1); // before the core knows
        run_ms(SETTLE_MS);
        check_list(&cluster.nodes[1 + i], &dialled[i], 1);
        taken[i] = take(server, EDDY_CONNECTED);
        check_list(server, taken, i + 1);
    }
    CHECK_EQ("less room", eddy_connections(server->manager, some, 1), CLIENTS);
    CHECK("what there was room for", some[0] != 0 && some[1] == 0);

    // One that drains is over for the program; its handle is not used again yet.
    CHECK_EQ("end", eddy_disconnect(cluster.nodes[3].manager, dialled[2], 0, NULL, 0), EDDY_OK);
    run_ms(SETTLE_MS);
    CHECK_EQ("end", take(server, EDDY_DISCONNECTED), taken[2]);
    check_list(server, taken, CLIENTS - 1);
    check_state(server, taken[2], EDDY_STATE_NONE);
    ed_cluster_close(&cluster);
}

static void states(void **state)
{
    (void)state;
    open_world("states", true);
    const ed_node *client = &cluster.nodes[1];
    check_state(client, 0, EDDY_STATE_NONE);
    check_state(client, UINT64_MAX, EDDY_STATE_NONE);
    eddy_connection dialled = dial(client);
    check_state(client, dialled, EDDY_STATE_CONNECTING);
    run_ms(SETTLE_MS);
    check_state(client, dialled, EDDY_STATE_CONNECTING);
    eddy_connection taken = take(server, EDDY_CONNECT_REQUEST);
    check_state(server, taken, EDDY_STATE_REQUESTED);
    check_list(server, &taken, 1);
    CHECK_EQ("cut off", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    CHECK_EQ("accept", eddy_accept(server->manager, taken), EDDY_OK);
    run_ms(SETTLE_MS);
    check_state(server, taken, EDDY_STATE_CONNECTING);
    CHECK_EQ("mended", ed_world_block(cluster.world, NULL, NULL, false), EDDY_OK);
    run_ms(2000);
    check_state(server, taken, EDDY_STATE_CONNECTED);
    check_state(client, dialled, EDDY_STATE_CONNECTED);
    CHECK_EQ("cut off", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    CHECK_EQ("send", eddy_send(client->manager, dialled, EDDY_RELIABLE_ORDERED, 0, "x", 1),
             EDDY_OK);
    CHECK_EQ("end", eddy_disconnect(client->manager, dialled, 0, NULL, 1000), EDDY_OK);
    run_ms(SETTLE_MS);
    check_state(client, dialled, EDDY_STATE_CLOSING);
    check_list(client, &dialled, 1);
    run_ms(5000);
    check_state(client, dialled, EDDY_STATE_NONE);
    check_list(client, NULL, 0);

    // Closed before it stands, with something to say first.
    dialled = dial(client);
    CHECK_EQ("send", eddy_send(client->manager, dialled, EDDY_RELIABLE_ORDERED, 0, "x", 1),
             EDDY_OK);
    CHECK_EQ("end", eddy_disconnect(client->manager, dialled, 0, NULL, 1000), EDDY_OK);
    run_ms(SETTLE_MS);
    check_state(client, dialled, EDDY_STATE_CLOSING);
    ed_cluster_close(&cluster);
}

static bool drop_accepts(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    (void)context;
    (void)now_ns;
    return ed_form_of(datagram->data, datagram->size) == ED_FORM_ACCEPT;
}

/** Nobody has heard of a newcomer that has not confirmed, where the program is not asked. */
static void half_open_connections_are_not_known(void **state)
{
    (void)state;
    open_world("half open", false);
    ed_world_observe(cluster.world, drop_accepts, NULL);
    eddy_connection dialled = dial(&cluster.nodes[1]);
    run_ms(SETTLE_MS);
    CHECK("an ACCEPT was sent", ed_world_get_stats(cluster.world).observer_dropped > 0);
    check_list(server, NULL, 0);
    check_list(&cluster.nodes[1], &dialled, 1);
    ed_cluster_close(&cluster);
}

static void addresses(void **state)
{
    static const eddy_address untouched = {.port = 1};
    eddy_address address = untouched;

    (void)state;
    open_world("addresses", false);
    const ed_node *client = &cluster.nodes[1];
    CHECK_EQ("nobody", eddy_peer_address(client->manager, 0, &address), EDDY_ECONNECTION);
    eddy_connection dialled = dial(client);
    CHECK_EQ("not yet", eddy_peer_address(client->manager, dialled, &address), EDDY_EAGAIN);
    CHECK("untouched", eddy_address_equal(&address, &untouched));
    run_ms(SETTLE_MS);
    CHECK_EQ("server's", eddy_peer_address(client->manager, dialled, &address), EDDY_OK);
    CHECK("server's", eddy_address_equal(&address, &server->address));
    eddy_connection taken = take(server, EDDY_CONNECTED);
    CHECK_EQ("client's", eddy_peer_address(server->manager, taken, &address), EDDY_OK);
    CHECK("client's", eddy_address_equal(&address, &client->address));
    ed_cluster_close(&cluster);
}

/** Before anything is sent the other's time is known: by what confirms the handshake. */
static void clocks(void **state)
{
    eddy_peer_time time = {.now_ns = 1};

    (void)state;
    open_world("clocks", false);
    const ed_node *client = &cluster.nodes[1];
    CHECK_EQ("nobody", eddy_clock(client->manager, 0, 0, &time), EDDY_ECONNECTION);
    eddy_connection dialled = dial(client);
    CHECK_EQ("not yet", eddy_clock(client->manager, dialled, 0, &time), EDDY_EAGAIN);
    CHECK_EQ("untouched", time.now_ns, 1);
    run_ms(SETTLE_MS);
    CHECK_EQ("known", eddy_clock(client->manager, dialled, ed_node_now_ns(client), &time), EDDY_OK);
    CHECK("error", time.error_ns < SETTLE_MS * ED_NS_PER_MS);
    ed_cluster_close(&cluster);
}

/* ------------------------------------------------------------------------------- statistics -- */

static eddy_connection_stats stats_of(const ed_node *node, eddy_connection connection)
{
    eddy_connection_stats stats;

    CHECK_EQ(cluster.name, eddy_get_connection_stats(node->manager, connection, &stats), EDDY_OK);
    return stats;
}

static void statistics_of_nobody(void **state)
{
    eddy_connection_stats stats = {.window = 7};

    (void)state;
    open_world("statistics of nobody", false);
    const ed_node *client = &cluster.nodes[1];
    CHECK_EQ("nobody", eddy_get_connection_stats(client->manager, 0, &stats), EDDY_ECONNECTION);
    eddy_connection dialled = dial(client);
    CHECK_EQ("not yet", eddy_get_connection_stats(client->manager, dialled, &stats), EDDY_EAGAIN);
    CHECK_EQ("untouched", stats.window, 7);
    CHECK_EQ("cut off", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    run_ms(SETTLE_MS);
    stats = stats_of(client, dialled);
    CHECK_EQ("HELLO", stats.sent_datagrams, 1);
    CHECK_EQ("HELLO", stats.sent_bytes, 1200);
    CHECK_EQ("no packet", stats.packets_sent, 0);
    CHECK_EQ("no sample", stats.rtt_smoothed_ns + stats.rtt_min_ns + stats.rtt_variation_ns, 0);
    CHECK("a window", stats.window > 10000 && stats.pacing_rate > 10000);
    ed_cluster_close(&cluster);
}

/** Sends a few messages a tick, and drops what arrives. */
static void chat(const ed_node *from, eddy_connection connection, unsigned ticks)
{
    static const uint8_t data[700];
    eddy_event event;

    for (unsigned i = 0; i < ticks; i++) {
        for (unsigned k = 0; k < 4; k++)
            CHECK_EQ(cluster.name,
                     eddy_send(from->manager, connection,
                               k % 2 == 0 ? EDDY_RELIABLE_ORDERED : EDDY_UNRELIABLE, 0, data,
                               sizeof(data)),
                     EDDY_OK);
        run_ms(10);
        while (eddy_next(server->manager, &event, 0) == EDDY_OK)
            eddy_release(server->manager, &event);
    }
}

/** What is told of a path with a delay and as much jitter. */
static void check_path(const eddy_connection_stats *got, uint64_t delay_ms)
{
    CHECK("path", got->path_rtt_ns >= 2 * delay_ms * ED_NS_PER_MS);
    CHECK("path", got->path_rtt_ns < 4 * delay_ms * ED_NS_PER_MS);
    CHECK("path", got->path_rate > 10000);
    CHECK("path", got->path_queue_ns < 4 * delay_ms * ED_NS_PER_MS);
}

/** One connection alone has the figures of its manager; one that is silent has none of them. */
static void statistics_add_up(void **state)
{
    enum { TICKS = 500, DELAY_MS = 20 };

    (void)state;
    open_world("statistics", false);
    ed_link_config link = ed_link_config_default();
    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    link.jitter_ns = DELAY_MS * ED_NS_PER_MS; // for losses that are none
    link.loss_ppm = 20 * 1000;
    link.duplicate_ppm = 20 * 1000;
    link.reorder_ppm = 100 * 1000;
    const ed_node *client = &cluster.nodes[1];
    eddy_connection loud = dial(client);
    eddy_connection silent = dial(&cluster.nodes[2]);
    run_ms(SETTLE_MS);
    eddy_connection at_server = take(server, EDDY_CONNECTED);
    eddy_connection_stats before = stats_of(&cluster.nodes[2], silent);
    CHECK_EQ("link", ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
    chat(client, loud, TICKS);
    eddy_connection_stats got = stats_of(client, loud);
    CHECK("on the way", got.in_flight > 0 && got.pacing_rate > 10000);
    CHECK("round trip", got.rtt_latest_ns > got.rtt_min_ns);
    check_path(&got, DELAY_MS);
    CHECK("round trip", got.rtt_variation_ns > ED_NS_PER_MS);
    CHECK_EQ("cut off", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    chat(client, loud, 1);
    run_ms(500); // for probes
    ed_world_heal(cluster.world);
    run_ms(2000);

    got = stats_of(client, loud);
    eddy_stats all = ed_node_stats(client);
    CHECK_EQ("sent", got.sent_datagrams, all.sent_datagrams);
    CHECK_EQ("sent", got.sent_bytes, all.sent_bytes);
    CHECK_EQ("received", got.received_datagrams, all.received_datagrams);
    CHECK_EQ("received", got.received_bytes, all.received_bytes);
    CHECK_EQ("lost", got.packets_lost, all.packets_lost);
    CHECK_EQ("spurious", got.packets_spurious, all.packets_spurious);
    CHECK_EQ("probes", got.probes_sent, all.probes_sent);
    CHECK_EQ("messages", got.messages_sent, 4 * (TICKS + 1));
    CHECK_EQ("resent", got.messages_resent, all.messages_resent);
    CHECK("lost", got.packets_lost > 10 && got.messages_resent > 10);
    CHECK("lost by mistake", got.packets_spurious > 0);
    CHECK("probes", got.probes_sent > 0);
    CHECK_EQ("HELLO, INITIATE, and packets", got.packets_sent + 2, got.sent_datagrams);
    CHECK_EQ("all is quiet", got.in_flight, 0);
    CHECK("round trip", got.rtt_min_ns > 0 && got.rtt_min_ns <= got.rtt_smoothed_ns);
    CHECK("round trip", got.rtt_smoothed_ns < 4 * DELAY_MS * ED_NS_PER_MS);

    got = stats_of(server, at_server);
    all = ed_node_stats(server);
    CHECK_EQ("delivered", got.messages_delivered, all.messages_delivered);
    CHECK_EQ("duplicate", got.messages_duplicate, all.messages_duplicate);
    CHECK("some", got.messages_duplicate > 0 && got.messages_delivered > 3 * TICKS);
    got = stats_of(&cluster.nodes[2], silent);
    CHECK_EQ("silent", got.messages_sent + got.messages_resent + got.messages_delivered, 0);
    CHECK("silent", got.sent_datagrams < before.sent_datagrams + 20);
    ed_cluster_close(&cluster);
}

/** In flight is what nobody has acknowledged; what is shed is counted where it is shed. */
static void statistics_of_a_blocked_path(void **state)
{
    static const uint8_t data[1000];
    enum { MESSAGES = 400 };

    (void)state;
    open_world("blocked", false);
    const ed_node *client = &cluster.nodes[1];
    eddy_connection dialled = dial(client);
    run_ms(SETTLE_MS);
    CHECK_EQ("cut off", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    for (unsigned i = 0; i < MESSAGES; i++)
        CHECK_EQ("send",
                 eddy_send(client->manager, dialled, EDDY_UNRELIABLE, 0, data, sizeof(data)),
                 EDDY_OK);
    run_ms(10);
    eddy_connection_stats got = stats_of(client, dialled);
    CHECK("in flight", got.in_flight > 5000 && got.in_flight <= got.window + 1200);
    CHECK_EQ("shed", got.messages_shed, ed_node_stats(client).messages_shed);
    CHECK("shed", got.messages_shed > 0);
    ed_cluster_close(&cluster);
}

static eddy_stream_stats stream_of(const ed_node *node, eddy_connection connection,
                                   eddy_guarantee guarantee, uint8_t stream)
{
    eddy_stream_stats stats;

    CHECK_EQ(cluster.name,
             eddy_get_stream_stats(node->manager, connection, guarantee, stream, &stats), EDDY_OK);
    return stats;
}

/** A message waits until the connection stands, and then in nobody's hands for long. */
static void streams_and_queues(void **state)
{
    enum { SIZE = 100, WAIT_MS = 700, CHARGE = SIZE + EDDY_MESSAGE_CHARGE };
    const uint64_t cost = ed_send_cost(SIZE);
    static const uint8_t data[SIZE];
    eddy_stream_stats none;

    (void)state;
    open_world("streams", false);
    const ed_node *client = &cluster.nodes[1];
    CHECK_EQ("cut", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    eddy_connection connection = dial(client);
    CHECK_EQ("send", eddy_send(client->manager, connection, EDDY_RELIABLE_ORDERED, 3, data, SIZE),
             EDDY_OK);
    CHECK_EQ("send", eddy_send(client->manager, connection, EDDY_RELIABLE_UNORDERED, 3, data, SIZE),
             EDDY_OK);
    run_ms(1);
    run_ms(WAIT_MS);
    run_ms(1); // figures are as of the last poll
    eddy_connection_stats got = stats_of(client, connection);
    CHECK_EQ("queued", got.queued_size, 2 * cost);
    CHECK("waits", got.queue_ns > WAIT_MS / 2 * ED_NS_PER_MS);
    CHECK("waits", got.queue_ns <= (WAIT_MS + 2) * ED_NS_PER_MS);
    CHECK_EQ("no credit yet", got.send_credit, 0);
    eddy_stream_stats ordered = stream_of(client, connection, EDDY_RELIABLE_ORDERED, 3);
    CHECK_EQ("of the stream", ordered.queued_size, cost);
    CHECK_EQ("not sent", ordered.messages_sent, 0);

    CHECK_EQ("mended", ed_world_block(cluster.world, NULL, NULL, false), EDDY_OK);
    run_ms(5000);
    got = stats_of(client, connection);
    CHECK_EQ("settled", got.queued_size, 0);
    CHECK_EQ("nothing waits", got.queue_ns, 0);
    CHECK("credit", got.send_credit > CHARGE);
    ordered = stream_of(client, connection, EDDY_RELIABLE_ORDERED, 3);
    CHECK_EQ("sent", ordered.messages_sent, 1);
    CHECK_EQ("settled", ordered.queued_size, 0);
    eddy_connection at_server = take(server, EDDY_CONNECTED);
    CHECK_EQ("unreleased", stats_of(server, at_server).unreleased_size, 2 * CHARGE);
    CHECK_EQ("came", stream_of(server, at_server, EDDY_RELIABLE_ORDERED, 3).messages_delivered, 1);
    (void)take(server, EDDY_MESSAGE);
    run_ms(1);
    CHECK_EQ("released", stats_of(server, at_server).unreleased_size, CHARGE);
    CHECK_EQ("never used", stream_of(server, at_server, EDDY_UNRELIABLE, 9).messages_delivered, 0);
    CHECK_EQ("guarantee",
             eddy_get_stream_stats(client->manager, connection, (eddy_guarantee)5, 0, &none),
             EDDY_EINVAL);
    CHECK_EQ("nobody", eddy_get_stream_stats(client->manager, 0, EDDY_UNRELIABLE, 0, &none),
             EDDY_ECONNECTION);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list),
        cmocka_unit_test(states),
        cmocka_unit_test(half_open_connections_are_not_known),
        cmocka_unit_test(addresses),
        cmocka_unit_test(clocks),
        cmocka_unit_test(statistics_of_nobody),
        cmocka_unit_test(statistics_add_up),
        cmocka_unit_test(statistics_of_a_blocked_path),
        cmocka_unit_test(streams_and_queues),
    };
    return cmocka_run_group_tests_name("inspect", tests, NULL, NULL);
}
