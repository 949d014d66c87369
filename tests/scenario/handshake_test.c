/** How connections begin: over a bad network, at a full server, twice, anew, and not at all. */
#include "core/addr.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"
#include "transport/handshake.h"
#include "transport/packet.h"

enum {
    SETTLE_MS = 500,
    CONNECT_LIMIT_MS = 5000,
    HALF_OPEN_S = 5,
    DRAIN_S = 4,
    SPOOFED = 10 * 1000,
};

static ed_cluster cluster;

/** Client configurations whose only limit is patience. */
static eddy_config patient_client(void)
{
    eddy_config config = ed_cluster_client_config();

    config.handshake_timeout_ms = 60 * 1000;
    return config;
}

/** A server and `clients` clients, nobody connected. */
static void open_world(const char *name, uint64_t seed, const eddy_config *server,
                       const eddy_config *client, size_t clients)
{
    ed_cluster_open(&cluster, name, seed);
    (void)ed_cluster_add(&cluster, server);
    for (size_t i = 0; i < clients; i++)
        (void)ed_cluster_add(&cluster, client);
}

static void settle(void)
{
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
}

/** Both ends can be reached: a message each way arrives. */
static void check_talk(ed_node *a, ed_endpoint *a_end, ed_node *b, ed_endpoint *b_end)
{
    ed_node_send_many(a, a_end, EDDY_RELIABLE_ORDERED, 0, 3);
    ed_node_send_many(b, b_end, EDDY_RELIABLE_ORDERED, 1, 3);
    ed_cluster_await_delivered(&cluster, CONNECT_LIMIT_MS * ED_NS_PER_MS);
}

/** The server and its newest client talk, as the only connection each has had. */
static void check_one_connection(const char *name)
{
    ed_node *server = &cluster.nodes[0];
    ed_node *client = &cluster.nodes[1];

    CHECK_EQ(name, server->endpoint_count, 1);
    CHECK_EQ(name, client->endpoint_count, 1);
    check_talk(server, ed_node_newest(server), client, ed_node_newest(client));
}

/* ----------------------------------------------------------------------------- a bad network -- */

/** Drops datagrams of one form, and keeps a copy of the first. */
typedef struct thief {
    ed_form form;
    uint32_t count; /* so many are dropped */
    uint32_t seen;
    size_t size;
    uint8_t data[ED_DATAGRAM_SIZE];
} thief;

static bool steal(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    thief *t = context;

    (void)now_ns;
    if (ed_form_of(datagram->data, datagram->size) != t->form)
        return false;
    if (t->seen++ == 0) {
        t->size = datagram->size;
        memcpy(t->data, datagram->data, datagram->size);
    }
    return t->seen <= t->count;
}

static void every_datagram_of_the_handshake_may_be_lost(void **state)
{
    const struct {
        const char *name;
        ed_form form;
        uint32_t count;
        uint32_t limit_ms;
    } rows[] = {
        {"nothing is lost", ED_FORM_UNKNOWN, 0, 10},
        {"the first HELLO", ED_FORM_HELLO, 1, 260},
        {"three HELLOs", ED_FORM_HELLO, 3, 250 + 500 + 1000 + 10},
        {"the first RETRY", ED_FORM_RETRY, 1, 260},
        {"the first INITIATE", ED_FORM_INITIATE, 1, 260},
        {"three INITIATEs", ED_FORM_INITIATE, 3, 250 + 500 + 1000 + 10},
        {"the first ACCEPT", ED_FORM_ACCEPT, 1, 260},
        {"the first packet", ED_FORM_PACKET, 1, 1100},       // an initial probe timeout
        {"five packets", ED_FORM_PACKET, 5, 1100 + 4 * 333}, // then it is in a hurry
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config server = ed_cluster_server_config();
        eddy_config client = ed_cluster_client_config();
        thief t = {.form = rows[i].form, .count = rows[i].count};

        open_world(rows[i].name, i, &server, &client, 1);
        ed_world_observe(cluster.world, steal, &t);
        (void)ed_node_connect(&cluster.nodes[1], &cluster.nodes[0]);
        ed_cluster_run_for(&cluster, rows[i].limit_ms * ED_NS_PER_MS);
        CHECK_EQ(rows[i].name, ed_world_get_stats(cluster.world).observer_dropped, rows[i].count);
        check_one_connection(rows[i].name);
        ed_cluster_close(&cluster);
    }
}

static void a_handshake_survives_any_order_and_number_of_copies(void **state)
{
    const struct {
        const char *name;
        uint64_t delay_ms;
        uint32_t duplicate_ppm;
        uint32_t reorder_ppm;
        uint32_t loss_ppm;
    } rows[] = {
        {"everything twice", 5, 1000 * 1000, 0, 0},
        {"everything twice, and shuffled", 5, 1000 * 1000, 500 * 1000, 0},
        {"a round trip above the resend interval", 300, 0, 0, 0},
        {"that, and shuffled", 300, 500 * 1000, 500 * 1000, 0},
        {"that, and a third is lost", 300, 300 * 1000, 500 * 1000, 333 * 1000},
    };
    enum { SEEDS = 50, LIMIT_S = 30 };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows) * SEEDS; i++) {
        const char *name = rows[i / SEEDS].name;
        eddy_config server = ed_cluster_server_config();
        eddy_config client = patient_client();
        ed_link_config link = ed_link_config_default();

        link.delay_ns = rows[i / SEEDS].delay_ms * ED_NS_PER_MS;
        link.duplicate_ppm = rows[i / SEEDS].duplicate_ppm;
        link.reorder_ppm = rows[i / SEEDS].reorder_ppm;
        link.reorder_extra_ns = 600 * ED_NS_PER_MS;
        link.loss_ppm = rows[i / SEEDS].loss_ppm;
        open_world(name, i, &server, &client, 1);
        CHECK_EQ(name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
        ed_endpoint *end = ed_node_connect(&cluster.nodes[1], &cluster.nodes[0]);
        ed_cluster_await_connected(&cluster, end, LIMIT_S * ED_NS_PER_S);
        ed_cluster_run_for(&cluster, 4 * ED_NS_PER_S);
        ed_world_heal(cluster.world);
        check_one_connection(name);
        ed_cluster_close(&cluster);
    }
}

/** Sends stolen bytes from where they were stolen. */
static void send_stolen(const thief *t, const ed_node *from, const ed_node *to)
{
    uint8_t data[ED_DATAGRAM_SIZE];
    eddy_datagram datagram = {.remote = to->address, .data = data, .size = t->size};

    CHECK(cluster.name, t->size > 0);
    memcpy(data, t->data, t->size);
    CHECK_EQ(cluster.name, from->socket.send(from->socket.context, &datagram, 1), 1);
}

/** A network may hold any datagram back for seconds. What is old must not end what is new. */
static void an_old_datagram_changes_nothing(void **state)
{
    const struct {
        const char *name;
        ed_form form;
        uint32_t dropped;       /* 1: the connection stands without it */
        uint64_t down_delay_ms; /* above 250: HELLO is sent twice, and answered twice */
    } rows[] = {
        {"HELLO", ED_FORM_HELLO, 0, 1},
        {"the INITIATE that made the connection", ED_FORM_INITIATE, 0, 1},
        {"an INITIATE that was given up for a newer cookie", ED_FORM_INITIATE, 1, 300},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config server = ed_cluster_server_config();
        eddy_config client = ed_cluster_client_config();
        ed_link_config link = ed_link_config_default();
        thief t = {.form = rows[i].form, .count = rows[i].dropped};

        open_world(rows[i].name, i, &server, &client, 1);
        link.delay_ns = rows[i].down_delay_ms * ED_NS_PER_MS;
        CHECK_EQ(rows[i].name,
                 ed_world_set_link(cluster.world, &cluster.nodes[0].address, NULL, &link), EDDY_OK);
        ed_world_observe(cluster.world, steal, &t);
        (void)ed_node_connect(&cluster.nodes[1], &cluster.nodes[0]);
        ed_cluster_run_for(&cluster, 2 * ED_NS_PER_S);
        for (uint32_t again = 0; again < 3; again++) {
            send_stolen(&t, &cluster.nodes[1], &cluster.nodes[0]);
            ed_cluster_run_for(&cluster, 2 * ED_NS_PER_S);
            check_one_connection(rows[i].name);
        }
        ed_cluster_close(&cluster);
    }
}

/** A client comes back from the same address; then an INITIATE of its first life arrives. */
static void an_old_initiate_does_not_replace_a_newer_connection(void **state)
{
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();
    thief t = {.form = ED_FORM_INITIATE};

    (void)state;
    open_world("second life", 1, &server_config, &client_config, 1);
    ed_node *server = &cluster.nodes[0];
    ed_node *client = &cluster.nodes[1];
    ed_world_observe(cluster.world, steal, &t);
    ed_endpoint *first = ed_node_connect(client, server);
    settle();
    ed_node_disconnect(client, first, 0, NULL, 0);
    settle();
    CHECK("first life", server->endpoints[0].disconnected);

    ed_endpoint *second = ed_node_connect(client, server);
    settle();
    CHECK("second life", second->connected);
    send_stolen(&t, client, server);
    settle();
    CHECK("replayed", !second->disconnected && !server->endpoints[1].disconnected);
    CHECK_EQ("replayed", server->endpoint_count, 2);
    check_talk(server, &server->endpoints[1], client, second);
    ed_cluster_close(&cluster);
}

/* ---------------------------------------------------------------------------------- refusals -- */

static void a_full_server_refuses(void **state)
{
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();

    (void)state;
    server_config.max_connections = 2;
    open_world("full", 1, &server_config, &client_config, 3);
    ed_node *server = &cluster.nodes[0];
    for (size_t i = 1; i <= 3; i++) {
        (void)ed_node_connect(&cluster.nodes[i], server);
        settle();
    }
    const ed_endpoint *refused = &cluster.nodes[3].endpoints[0];
    CHECK("refused", refused->disconnected && !refused->connected);
    CHECK_EQ("refused", refused->end.end, EDDY_END_REFUSED);
    CHECK_EQ("refused", refused->end.refusal, EDDY_REFUSED_FULL);
    CHECK_EQ("refused", refused->end.code, 0);
    CHECK_EQ("refused", ed_node_stats(server).refused, 1);
    CHECK_EQ("the others", server->endpoint_count, 2);

    // A place becomes free, when the draining of its connection is over, and is taken.
    ed_node_disconnect(&cluster.nodes[1], &cluster.nodes[1].endpoints[0], 0, NULL, 0);
    ed_cluster_run_for(&cluster, DRAIN_S * ED_NS_PER_S);
    const ed_endpoint *again = ed_node_connect(&cluster.nodes[3], server);
    settle();
    CHECK("again", again->connected);
    ed_cluster_close(&cluster);
}

static void a_full_server_takes_back_a_client_that_restarted(void **state)
{
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();

    (void)state;
    server_config.max_connections = 1;
    open_world("full, restarted", 1, &server_config, &client_config, 1);
    ed_node *server = &cluster.nodes[0];
    ed_node *client = &cluster.nodes[1];
    (void)ed_node_connect(client, server);
    settle();
    ed_node_crash(client);
    CHECK_EQ("restart", ed_node_start(client), EDDY_OK);
    ed_endpoint *second = ed_node_connect(client, server);
    ed_cluster_run_for(&cluster, 5 * ED_NS_PER_S);
    CHECK_EQ("old", server->endpoints[0].end.end, EDDY_END_REPLACED);
    CHECK_EQ("new", server->endpoint_count, 2);
    check_talk(server, &server->endpoints[1], client, second);
    ed_cluster_close(&cluster);
}

static void a_handshake_gives_up_to_the_nanosecond(void **state)
{
    const struct {
        const char *name;
        uint32_t timeout_ms;
        bool blocked; /* otherwise the server is there, and of another game */
    } rows[] = {
        {"nobody there", 10 * 1000, true},
        {"nobody there, the shortest", 100, true},
        {"nobody there, the longest", 600 * 1000, true},
        {"another game", 10 * 1000, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config server = ed_cluster_server_config();
        eddy_config client = ed_cluster_client_config();
        uint64_t timeout_ns = rows[i].timeout_ms * ED_NS_PER_MS;

        client.handshake_timeout_ms = rows[i].timeout_ms;
        client.protocol_id = rows[i].blocked ? 0 : 4711;
        open_world(rows[i].name, i, &server, &client, 1);
        CHECK_EQ(rows[i].name, ed_world_block(cluster.world, NULL, NULL, rows[i].blocked), EDDY_OK);
        settle();
        uint64_t start_ns = ed_cluster_now_ns(&cluster);
        ed_endpoint *end = ed_node_connect(&cluster.nodes[1], &cluster.nodes[0]);
        ed_node_send_many(&cluster.nodes[1], end, EDDY_RELIABLE_ORDERED, 0, 2);
        ed_world_run_until(cluster.world, start_ns + timeout_ns - 1);
        CHECK(rows[i].name, !end->disconnected);
        ed_world_run_until(cluster.world, start_ns + timeout_ns);
        CHECK(rows[i].name, end->disconnected && !end->connected);
        CHECK_EQ(rows[i].name, end->end.end, EDDY_END_NO_ANSWER);
        CHECK_EQ(rows[i].name, end->end.undelivered, 2);
        // The server of another game keeps silent.
        CHECK_EQ(rows[i].name, ed_node_stats(&cluster.nodes[0]).sent_datagrams, 0);
        ed_cluster_close(&cluster);
    }
}

static void half_open_connections_have_a_cap_and_an_end(void **state)
{
    enum { CLIENTS = 10, CAP = 4 };
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = patient_client();
    thief t = {.form = ED_FORM_PACKET, .count = UINT32_MAX};
    size_t accepted = 0;

    (void)state;
    server_config.max_half_open = CAP;
    open_world("half open", 1, &server_config, &client_config, CLIENTS);
    ed_node *server = &cluster.nodes[0];
    ed_world_observe(cluster.world, steal, &t); // nobody's first packet arrives
    for (size_t i = 1; i <= CLIENTS; i++)
        (void)ed_node_connect(&cluster.nodes[i], server);
    settle();
    for (size_t i = 1; i <= CLIENTS; i++)
        accepted += cluster.nodes[i].endpoints[0].connected ? 1 : 0;
    CHECK_EQ("accepted", accepted, CAP);
    CHECK_EQ("events", server->endpoint_count, 0);
    CHECK("dropped", ed_node_stats(server).dropped_limit > 0);

    // They are forgotten without an event, and the others have their turn.
    ed_cluster_run_for(&cluster, HALF_OPEN_S * ED_NS_PER_S);
    ed_world_observe(cluster.world, NULL, NULL);
    ed_cluster_run_for(&cluster, 20 * ED_NS_PER_S);
    for (size_t i = 1; i <= CLIENTS; i++)
        CHECK("in the end", cluster.nodes[i].endpoints[0].connected);
    CHECK("in the end", server->endpoint_count >= CLIENTS - 2 * CAP);
    ed_cluster_close(&cluster);
}

/* ---------------------------------------------------------------------------- anew and twice -- */

static void a_restarted_client_replaces_itself(void **state)
{
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();

    (void)state;
    open_world("restart", 1, &server_config, &client_config, 1);
    ed_node *server = &cluster.nodes[0];
    ed_node *client = &cluster.nodes[1];
    ed_endpoint *first = ed_node_connect(client, server);
    settle();
    check_talk(server, &server->endpoints[0], client, first);
    ed_node_crash(client);
    ed_node_send_many(server, &server->endpoints[0], EDDY_RELIABLE_ORDERED, 0, 5);
    settle();

    CHECK_EQ("restart", ed_node_start(client), EDDY_OK);
    ed_endpoint *second = ed_node_connect(client, server);
    settle();
    CHECK_EQ("events", server->endpoint_count, 2);
    CHECK_EQ("old", server->endpoints[0].end.end, EDDY_END_REPLACED);
    CHECK_EQ("old", server->endpoints[0].end.undelivered, 5);
    CHECK("order", server->endpoints[0].disconnected_ns <= server->endpoints[1].connected_ns);
    check_talk(server, &server->endpoints[1], client, second);
    ed_cluster_close(&cluster);
}

static void both_ends_may_dial_at_once(void **state)
{
    eddy_config config = ed_cluster_server_config();

    (void)state;
    open_world("both dial", 1, &config, &config, 1);
    ed_node *a = &cluster.nodes[0];
    ed_node *b = &cluster.nodes[1];
    ed_endpoint *a_dialled = ed_node_connect(a, b);
    ed_endpoint *b_dialled = ed_node_connect(b, a);
    settle();
    CHECK_EQ("a", a->endpoint_count, 2);
    CHECK_EQ("b", b->endpoint_count, 2);
    check_talk(a, a_dialled, b, ed_node_newest(b));
    check_talk(b, b_dialled, a, ed_node_newest(a));
    ed_cluster_shut_down(&cluster, 1000, 10 * ED_NS_PER_S);
    ed_cluster_close(&cluster);
}

static void a_second_connection_to_the_same_address_is_a_duplicate(void **state)
{
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();

    (void)state;
    open_world("duplicate", 1, &server_config, &client_config, 1);
    ed_node *client = &cluster.nodes[1];
    ed_endpoint *first = ed_node_connect(client, &cluster.nodes[0]);
    const ed_endpoint *at_once = ed_node_connect(client, &cluster.nodes[0]);
    settle();
    const ed_endpoint *later = ed_node_connect(client, &cluster.nodes[0]);
    settle();
    CHECK("first", first->connected && !first->disconnected);
    CHECK_EQ("at once", at_once->end.end, EDDY_END_DUPLICATE);
    CHECK_EQ("later", later->end.end, EDDY_END_DUPLICATE);
    CHECK("never", !at_once->connected && !later->connected);
    CHECK_EQ("server", cluster.nodes[0].endpoint_count, 1);
    check_talk(&cluster.nodes[0], &cluster.nodes[0].endpoints[0], client, first);
    ed_cluster_close(&cluster);
}

/* --------------------------------------------------------------------------------- strangers -- */

/** What a server says to strangers. */
typedef struct replies {
    uint64_t count;
    uint64_t size;
    size_t size_max;
} replies;

static bool count_replies(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    replies *r = context;

    (void)now_ns;
    if (!eddy_address_equal(&datagram->local, &cluster.nodes[0].address))
        return false;
    r->count++;
    r->size += datagram->size;
    r->size_max = datagram->size > r->size_max ? datagram->size : r->size_max;
    return false;
}

static void strangers_cost_no_memory_and_amplify_nothing(void **state)
{
    eddy_config server_config = ed_cluster_server_config();
    eddy_address at = ed_addr_ipv4(172, 16, 0, 1, 1024);
    ed_hello hello = {.version = ED_PROTOCOL_VERSION,
                      .mode = ED_MODE_PINNED,
                      .version_count = 1,
                      .versions = {ED_PROTOCOL_VERSION}};
    ed_greeting_key greeting = ed_greeting_key_of(ed_test_public()->bytes);
    replies r = {0};
    eddy_socket socket;

    (void)state;
    open_world("strangers", 1, &server_config, &server_config, 0);
    ed_node *server = &cluster.nodes[0];
    ed_host *host = ed_world_socket(cluster.world, &at, &socket);
    CHECK("socket", host != NULL);
    ed_world_observe(cluster.world, count_replies, &r);
    settle();
    uint64_t calls = server->memory.calls;
    for (uint32_t i = 0; i < SPOOFED; i++) {
        uint8_t data[ED_HELLO_SIZE];
        eddy_datagram datagram = {.remote = server->address, .data = data, .size = sizeof(data)};
        at = ed_addr_ipv4(172, 16, (uint8_t)(i >> 8), (uint8_t)i, (uint16_t)(30000 + i));
        CHECK_EQ("move", ed_world_move(cluster.world, host, &at), EDDY_OK);
        hello.nonce[0] = (uint8_t)i;
        ed_hello_write(data, &hello, &greeting);
        CHECK_EQ("send", socket.send(socket.context, &datagram, 1), 1);
        ed_cluster_run_for(&cluster, 2 * ED_NS_PER_MS);
    }
    CHECK_EQ("allocations", server->memory.calls, calls);
    CHECK_EQ("replies", r.count, SPOOFED);
    CHECK_EQ("replies", ed_node_stats(server).replied_stateless, SPOOFED);
    CHECK_EQ("size", r.size_max, ED_RETRY_SIZE);
    CHECK("amplification", r.size * 20 < (uint64_t)SPOOFED * ED_HELLO_SIZE);
    CHECK_EQ("events", server->endpoint_count, 0);
    ed_cluster_close(&cluster);
}

static void an_old_cookie_is_renewed(void **state)
{
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = patient_client();
    thief t = {.form = ED_FORM_INITIATE, .count = UINT32_MAX};

    (void)state;
    open_world("old cookie", 1, &server_config, &client_config, 1);
    ed_world_observe(cluster.world, steal, &t);
    (void)ed_node_connect(&cluster.nodes[1], &cluster.nodes[0]);
    ed_cluster_run_for(&cluster, 11 * ED_NS_PER_S);
    CHECK_EQ("before", ed_node_stats(&cluster.nodes[0]).dropped_cookie, 0);
    ed_world_observe(cluster.world, NULL, NULL);
    ed_cluster_run_for(&cluster, CONNECT_LIMIT_MS * ED_NS_PER_MS);
    CHECK_EQ("renewed", ed_node_stats(&cluster.nodes[0]).dropped_cookie, 1);
    check_one_connection("old cookie");
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_datagram_of_the_handshake_may_be_lost),
        cmocka_unit_test(a_handshake_survives_any_order_and_number_of_copies),
        cmocka_unit_test(an_old_datagram_changes_nothing),
        cmocka_unit_test(an_old_initiate_does_not_replace_a_newer_connection),
        cmocka_unit_test(a_full_server_refuses),
        cmocka_unit_test(a_full_server_takes_back_a_client_that_restarted),
        cmocka_unit_test(a_handshake_gives_up_to_the_nanosecond),
        cmocka_unit_test(half_open_connections_have_a_cap_and_an_end),
        cmocka_unit_test(a_restarted_client_replaces_itself),
        cmocka_unit_test(both_ends_may_dial_at_once),
        cmocka_unit_test(a_second_connection_to_the_same_address_is_a_duplicate),
        cmocka_unit_test(strangers_cost_no_memory_and_amplify_nothing),
        cmocka_unit_test(an_old_cookie_is_renewed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
