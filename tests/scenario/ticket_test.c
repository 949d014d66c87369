/** Who was here before connects in one round trip; a ticket that is no good costs nothing. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "transport/packet.h"

enum {
    DELAY_MS = 100,
    RTT_MS = 2 * DELAY_MS,
    SETTLE_MS = 5000,
    LIMIT_S = 20,
    LARGE = 128 << 10, /* bytes: what notes the tickets that were used */
};

static ed_cluster cluster;
static bool has_large_blocks;

static void *allocate_small(void *context, size_t size)
{
    (void)context;
    return has_large_blocks || size < LARGE ? malloc(size) : NULL;
}

static void free_any(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}

/** What went from the client to the server while it is watched. */
static struct wire {
    uint32_t hellos;
    uint32_t initiates;
    size_t size;
    uint8_t initiate[ED_DATAGRAM_SIZE]; /* the last */
} wire;

static bool watch(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    ed_form form = ed_form_of(datagram->data, datagram->size);

    (void)context;
    (void)now_ns;
    wire.hellos += form == ED_FORM_HELLO ? 1 : 0;
    wire.initiates += form == ED_FORM_INITIATE ? 1 : 0;
    if (form == ED_FORM_INITIATE) {
        memcpy(wire.initiate, datagram->data, datagram->size);
        wire.size = datagram->size;
    }
    return false;
}

/** A server (node 0) and a client (node 1), far from each other. */
static void open_pair(const char *name)
{
    static const eddy_allocator allocator = {.allocate = allocate_small, .free = free_any};
    ed_link_config link = ed_link_config_default();
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    ed_cluster_open(&cluster, name, 1);
    cluster.allocator = &allocator;
    has_large_blocks = true;
    CHECK_EQ(name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
    (void)ed_cluster_add(&cluster, &server);
    (void)ed_cluster_add(&cluster, &client);
    ed_world_observe(cluster.world, watch, NULL);
    wire = (struct wire){0};
}

/** @return the round trips until the client was connected, rounded up. */
static uint64_t connect_and_close(void)
{
    ed_node *client = &cluster.nodes[1];
    uint64_t start_ns = ed_cluster_now_ns(&cluster);
    ed_endpoint *endpoint = ed_node_connect(client, &cluster.nodes[0]);

    ed_cluster_await_connected(&cluster, endpoint, LIMIT_S * ED_NS_PER_S);
    uint64_t took_ns = ed_cluster_now_ns(&cluster) - start_ns;
    ed_node_send_many(client, endpoint, EDDY_RELIABLE_ORDERED, 0, 3);
    ed_node_disconnect(client, endpoint, 0, NULL, SETTLE_MS);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
    return took_ns / (RTT_MS * ED_NS_PER_MS);
}

static void who_was_here_connects_in_one_round_trip(void **state)
{
    (void)state;
    open_pair("one round trip");
    CHECK_EQ("a stranger", connect_and_close(), 2);
    CHECK_EQ("said hello", wire.hellos, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ("a friend", connect_and_close(), 1);
        CHECK_EQ("did not", wire.hellos, 1);
    }
    CHECK_EQ("connections", ed_node_stats(&cluster.nodes[0]).connections_opened, 4);
    ed_cluster_shut_down(&cluster, 1000, LIMIT_S * ED_NS_PER_S);
    ed_cluster_close(&cluster);
}

static void restart(ed_node *server, ed_node *client)
{
    (void)client;
    ed_node_crash(server);
    CHECK_EQ(cluster.name, ed_node_start(server), EDDY_OK);
}

static void move_elsewhere(ed_node *server, ed_node *client)
{
    eddy_address to = client->address;

    (void)server;
    to.ip[3] ^= 0x40;
    ed_node_move(client, &to);
}

static void move_port(ed_node *server, ed_node *client)
{
    (void)server;
    ed_node_rebind(client);
}

static void let_it_expire(ed_node *server, ed_node *client)
{
    (void)server;
    (void)client;
    ed_cluster_run_for(&cluster, 24 * 3600 * ED_NS_PER_S);
}

static void run_out_of_memory(ed_node *server, ed_node *client)
{
    (void)server;
    (void)client;
    has_large_blocks = false;
}

/** A bad ticket is answered with a cookie: connecting takes as long as for a stranger. */
static void a_ticket_that_is_no_good_costs_nothing(void **state)
{
    static const struct {
        const char *name;
        void (*spoil)(ed_node *server, ed_node *client);
        uint64_t round_trips;
    } rows[] = {
        {"the server restarts", restart, 2},
        {"the client is elsewhere", move_elsewhere, 2},
        {"the client has another port", move_port, 1},
        {"a day passes", let_it_expire, 2},
        {"nothing can note its use", run_out_of_memory, 2},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name);
        (void)connect_and_close();
        rows[i].spoil(&cluster.nodes[0], &cluster.nodes[1]);
        CHECK_EQ(rows[i].name, connect_and_close(), rows[i].round_trips);
        CHECK_EQ(rows[i].name, wire.hellos, 1);
        ed_cluster_close(&cluster);
    }
}

static void send_again(const ed_node *from, const ed_node *to)
{
    eddy_datagram datagram = {.remote = to->address, .data = wire.initiate, .size = wire.size};

    CHECK_EQ(cluster.name, from->socket.send(from->socket.context, &datagram, 1), 1);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
}

/** Whoever has seen an INITIATE with a ticket cannot make the server begin a connection by it. */
static void a_ticket_is_used_once(void **state)
{
    (void)state;
    open_pair("used once");
    ed_node *server = &cluster.nodes[0], *client = &cluster.nodes[1];
    (void)connect_and_close();
    CHECK_EQ("by ticket", connect_and_close(), 1);
    uint64_t cookies = ed_node_stats(server).dropped_cookie;
    send_again(client, server);
    CHECK_EQ("answered with a cookie", ed_node_stats(server).dropped_cookie, cookies + 1);
    CHECK_EQ("connections", ed_node_stats(server).connections_opened, 2);
    ed_cluster_close(&cluster);
}

static bool hold_initiates(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    (void)watch(context, datagram, now_ns);
    return ed_form_of(datagram->data, datagram->size) == ED_FORM_INITIATE;
}

/** A ticket says no time: one that the network held back must not end a newer connection. */
static void a_ticket_replaces_nobody(void **state)
{
    (void)state;
    open_pair("replaces nobody");
    ed_node *server = &cluster.nodes[0], *client = &cluster.nodes[1];
    (void)connect_and_close();
    ed_world_observe(cluster.world, hold_initiates, NULL);
    ed_endpoint *held = ed_node_connect(client, server);
    ed_cluster_await_disconnected(&cluster, held, LIMIT_S * ED_NS_PER_S);
    ed_world_observe(cluster.world, NULL, NULL);
    ed_endpoint *newer = ed_node_connect(client, server);
    ed_cluster_await_connected(&cluster, newer, LIMIT_S * ED_NS_PER_S);
    ed_node_send_many(client, newer, EDDY_RELIABLE_ORDERED, 0, 3);
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    send_again(client, server);
    CHECK_EQ("asked for a cookie", ed_node_stats(server).dropped_cookie, 1);
    CHECK("goes on", ed_node_is_live(client, newer));
    CHECK("there, too", ed_node_is_live(server, ed_node_newest(server)));
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_here_connects_in_one_round_trip),
        cmocka_unit_test(a_ticket_that_is_no_good_costs_nothing),
        cmocka_unit_test(a_ticket_is_used_once),
        cmocka_unit_test(a_ticket_replaces_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
