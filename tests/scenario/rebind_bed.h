/** A client whose address changes, and the server that it talks to. */
#ifndef ED_TEST_REBIND_BED_H
#define ED_TEST_REBIND_BED_H

#include "core/addr.h"
#include "sim/random.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/seeds.h"

enum {
    SEEDS = 60,
    TICK_MS = 16,
    SETTLE_MS = 500,
    LIMIT_S = 60,
    MOVED_PORT = 5000, /* and up: the ports that a NAT gives */
    LOSS_MAX_PERCENT = 20,
};

static ed_cluster cluster;
static uint32_t moves; /* so far: every address is new */

static inline void set_link(uint64_t delay_ms, uint64_t jitter_ms, uint32_t loss_ppm)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = delay_ms * ED_NS_PER_MS;
    link.jitter_ns = jitter_ms * ED_NS_PER_MS;
    link.loss_ppm = loss_ppm;
    CHECK_EQ(cluster.name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

/** A server (node 0) and a client (node 1), connected over a path with that delay each way. */
static inline void open_pair(const char *name, uint64_t seed, uint64_t delay_ms)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    moves = 0;
    ed_cluster_open(&cluster, name, seed);
    cluster.sizes = (ed_sizes){.min = 0, .max = 200};
    set_link(delay_ms, 0, 0);
    ed_cluster_add_pair(&cluster, &server, &client);
}

static inline ed_endpoint *end_of(size_t node)
{
    return &cluster.nodes[node].endpoints[0];
}

/** Gives the client an address that nobody had before. */
static inline void move_client(bool keeps_ip)
{
    ed_node *client = &cluster.nodes[1];
    eddy_address address = client->address;

    moves++;
    address.port = (uint16_t)(MOVED_PORT + moves);
    if (!keeps_ip)
        address = ed_addr_ipv4(10, 1, (uint8_t)(moves >> 8), (uint8_t)moves, address.port);
    ed_node_move(client, &address);
}

/** Every end says something reliable, and something unreliable, every tick. */
static inline void talk(uint64_t duration_ms, ed_rng *rng)
{
    for (uint64_t ms = 0; ms < duration_ms; ms += TICK_MS) {
        for (size_t n = 0; n < cluster.node_count; n++)
            for (size_t i = 0; i < cluster.nodes[n].endpoint_count; i++) {
                ed_node *node = &cluster.nodes[n];
                uint8_t stream = (uint8_t)ed_rng_below(rng, ED_ORACLE_STREAMS);
                if (node->endpoints[i].disconnected || !node->endpoints[i].connected)
                    continue;
                ed_node_send_many(node, &node->endpoints[i], EDDY_RELIABLE_ORDERED, stream, 1);
                ed_node_send_many(node, &node->endpoints[i], EDDY_UNRELIABLE, 0, 1);
            }
        ed_cluster_run_for(&cluster, TICK_MS * ED_NS_PER_MS);
    }
}

/** All is delivered, nobody has gone, and the server knows where the client is. */
static inline void check_whole(void)
{
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    for (size_t n = 0; n < 2; n++)
        CHECK(cluster.name, !end_of(n)->disconnected);
    CHECK_EQ(cluster.name, ed_endpoint_received(end_of(0)), ed_endpoint_sent(end_of(1)));
    CHECK_EQ(cluster.name, ed_endpoint_received(end_of(1)), ed_endpoint_sent(end_of(0)));
}

static inline void check_followed(void)
{
    CHECK(cluster.name, eddy_address_equal(&end_of(0)->moved_to, &cluster.nodes[1].address));
}

/** Every candidate has been judged. */
static inline void check_counts(void)
{
    eddy_stats stats = ed_node_stats(&cluster.nodes[0]);

    CHECK_EQ(cluster.name, stats.paths_challenged, stats.paths_validated + stats.paths_refused);
    CHECK(cluster.name, end_of(0)->moves <= stats.paths_validated);
    CHECK_EQ(cluster.name, ed_node_stats(&cluster.nodes[1]).paths_challenged, 0);
}

#endif
