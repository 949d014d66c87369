/**
 * Worlds drawn from seeds: whatever a network does to the datagrams, once it heals every reliable
 * message has come exactly once and in order, everything is acknowledged, and all memory is back.
 */
#include <stdio.h>

#include "sim/random.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/seeds.h"

enum {
    SEEDS = 1000,
    CLIENTS_MAX = 8,
    TICK_MS = 16,
    TICKS_MIN = 40,
    TICKS_MAX = 400,
    BURST_MAX = 500,       /* messages at once, now and then */
    CONNECT_LIMIT_S = 110, /* a burst of losses may swallow twenty datagrams, seconds apart */
    HEALED_LIMIT_S = 20,   /* from the end of all faults until the last message has come */
    QUIET_S = 3,           /* without a copy or a probe: longer than probes are ever apart */
    QUIET_LIMIT_S = 30,
    FLUSH_MS = 5000,
    SHUTDOWN_LIMIT_S = 15,
    PATIENCE_MS = 120 * 1000, /* no partition lasts so long */
};

static const char *program;

/** What happened over all seeds: a test that met no fault has tested nothing. */
static eddy_stats seen;
static ed_link_stats seen_links;
static uint64_t healed_max_ns;

/* ----------------------------------------------------------------------------- what is drawn -- */

/** A number below `limit`, in one of `one_in` draws; otherwise 0. */
static uint32_t sometimes(ed_rng *rng, uint32_t one_in, uint32_t limit)
{
    bool now = ed_rng_below(rng, one_in) == 0;
    uint32_t value = (uint32_t)ed_rng_below(rng, limit);

    return now ? value : 0;
}

static ed_link_config draw_link(ed_rng *rng)
{
    ed_link_config config = ed_link_config_default();

    config.delay_ns = ed_rng_below(rng, 100) * ED_NS_PER_MS;
    config.jitter_ns = sometimes(rng, 2, 20 * 1000) * ED_NS_PER_US;
    config.keep_order = ed_rng_below(rng, 2) == 0;
    config.loss_ppm = sometimes(rng, 2, 300 * 1000);
    config.burst_start_ppm = sometimes(rng, 4, 20 * 1000);
    config.duplicate_ppm = sometimes(rng, 2, 100 * 1000);
    config.reorder_ppm = sometimes(rng, 2, 50 * 1000);
    config.reorder_extra_ns = ed_rng_below(rng, 100) * ED_NS_PER_MS;
    config.corrupt_ppm = sometimes(rng, 4, 10 * 1000);
    config.rate_bps = sometimes(rng, 4, 10 * 1000 * 1000);
    if (config.rate_bps != 0)
        config.rate_bps += 256 * 1000;
    config.queue_size = 8 * 1024 + ed_rng_below(rng, 64 * 1024);
    return config;
}

/** Times at which nothing passes, from now on. */
static void draw_partitions(ed_rng *rng, ed_link_config *config, uint64_t now_ns)
{
    config->window_count = sometimes(rng, 3, 3);
    for (uint32_t i = 0; i < config->window_count; i++) {
        uint64_t from_ns = now_ns + ed_rng_below(rng, 3000) * ED_NS_PER_MS;
        uint64_t length_ns = (1 + ed_rng_below(rng, 4000)) * ED_NS_PER_MS;
        config->windows[i] = (ed_window){.from_ns = from_ns, .until_ns = from_ns + length_ns};
    }
}

static void set_links(ed_cluster *cluster, ed_rng *rng, bool with_partitions)
{
    const eddy_address *server = &cluster->nodes[0].address;

    for (size_t i = 1; i < cluster->node_count; i++) {
        const eddy_address *client = &cluster->nodes[i].address;
        for (int up = 0; up < 2; up++) {
            ed_link_config config = draw_link(rng);
            if (with_partitions)
                draw_partitions(rng, &config, ed_cluster_now_ns(cluster));
            CHECK_EQ(cluster->name,
                     ed_world_set_link(cluster->world, up != 0 ? client : server,
                                       up != 0 ? server : client, &config),
                     EDDY_OK);
        }
    }
}

/* --------------------------------------------------------------------------------- one world -- */

/** A client's connection stands for the server, too, once a packet of the client has come. */
static bool all_came(const void *context)
{
    const ed_cluster *cluster = context;

    return cluster->nodes[0].endpoint_count == cluster->node_count - 1;
}

static void connect_all(ed_cluster *cluster, ed_rng *rng)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();
    size_t clients = 1 + (size_t)ed_rng_below(rng, CLIENTS_MAX);

    server.idle_timeout_ms = client.idle_timeout_ms = PATIENCE_MS;
    client.handshake_timeout_ms = PATIENCE_MS;
    (void)ed_cluster_add(cluster, &server);
    for (size_t i = 0; i < clients; i++)
        (void)ed_cluster_add(cluster, &client);
    set_links(cluster, rng, false);
    for (size_t i = 1; i < cluster->node_count; i++)
        (void)ed_node_connect(&cluster->nodes[i], &cluster->nodes[0]);
    for (size_t i = 1; i < cluster->node_count; i++)
        ed_cluster_await_connected(cluster, &cluster->nodes[i].endpoints[0],
                                   CONNECT_LIMIT_S * ED_NS_PER_S);
    CHECK(cluster->name,
          ed_cluster_run_until(cluster, all_came, cluster, CONNECT_LIMIT_S * ED_NS_PER_S));
}

/** A message or none, on any stream; now and then very many on one. */
static void draw_sends(ed_node *node, ed_endpoint *endpoint, ed_rng *rng)
{
    uint8_t stream = (uint8_t)ed_rng_below(rng, ED_ORACLE_STREAMS);
    bool reliable = ed_rng_below(rng, 4) != 0;
    uint64_t count =
        ed_rng_below(rng, 100) == 0 ? ed_rng_below(rng, BURST_MAX) : ed_rng_below(rng, 2);

    ed_node_send_many(node, endpoint, reliable ? EDDY_RELIABLE_ORDERED : EDDY_UNRELIABLE, stream,
                      (size_t)count);
}

static void talk(ed_cluster *cluster, ed_rng *rng)
{
    uint64_t ticks = TICKS_MIN + ed_rng_below(rng, TICKS_MAX - TICKS_MIN);

    for (uint64_t tick = 0; tick < ticks; tick++) {
        for (size_t n = 0; n < cluster->node_count; n++)
            for (size_t i = 0; i < cluster->nodes[n].endpoint_count; i++)
                draw_sends(&cluster->nodes[n], &cluster->nodes[n].endpoints[i], rng);
        ed_cluster_run_for(cluster, TICK_MS * ED_NS_PER_MS);
    }
}

/** Copies and probes: what goes on as long as anything is not acknowledged. */
static uint64_t repairs(const ed_cluster *cluster)
{
    eddy_stats stats = ed_cluster_stats(cluster);

    return stats.probes_sent + stats.messages_resent;
}

static void await_quiet(ed_cluster *cluster)
{
    uint64_t until_ns = ed_cluster_now_ns(cluster) + QUIET_LIMIT_S * ED_NS_PER_S;
    uint64_t before = 0;

    do {
        CHECK(cluster->name, ed_cluster_now_ns(cluster) < until_ns);
        before = repairs(cluster);
        ed_cluster_run_for(cluster, QUIET_S * ED_NS_PER_S);
    } while (repairs(cluster) != before);
}

static void add_link(const ed_cluster *cluster, size_t from, size_t to)
{
    const ed_link *link =
        ed_world_link(cluster->world, cluster->nodes[from].host, cluster->nodes[to].host);
    if (link == NULL)
        return;
    ed_link_stats stats = ed_link_get_stats(link);

    seen_links.lost += stats.lost;
    seen_links.lost_burst += stats.lost_burst;
    seen_links.duplicated += stats.duplicated;
    seen_links.reordered += stats.reordered;
    seen_links.corrupted += stats.corrupted;
    seen_links.queue_dropped += stats.queue_dropped;
    seen_links.partition_dropped += stats.partition_dropped;
}

static void add_counters(const ed_cluster *cluster)
{
    eddy_stats stats = ed_cluster_stats(cluster);

#define X(name, text) seen.name += stats.name;
    EDDY_STATS_MAP(X)
#undef X
    for (size_t i = 1; i < cluster->node_count; i++) {
        add_link(cluster, i, 0);
        add_link(cluster, 0, i);
    }
}

/** Everything said has arrived, as far as both ends of every connection know. */
static void check_ends(const ed_cluster *cluster)
{
    CHECK_EQ(cluster->name, cluster->nodes[0].endpoint_count, cluster->node_count - 1);
    for (size_t n = 0; n < cluster->node_count; n++)
        for (size_t i = 0; i < cluster->nodes[n].endpoint_count; i++) {
            const ed_endpoint *endpoint = &cluster->nodes[n].endpoints[i];
            CHECK(cluster->name, endpoint->connected);
            CHECK_EQ(cluster->name, endpoint->end.undelivered, 0);
            CHECK(cluster->name, endpoint->end.end == EDDY_END_CLOSED_LOCAL ||
                                     endpoint->end.end == EDDY_END_CLOSED_REMOTE);
        }
}

static void run_seed(uint64_t seed)
{
    static ed_cluster cluster;
    ed_rng rng = ed_rng_of(ed_mix_u64(1, seed));

    ed_cluster_open(&cluster, ed_seeds_announce(program, seed), seed);
    connect_all(&cluster, &rng);
    set_links(&cluster, &rng, true);
    talk(&cluster, &rng);
    ed_world_heal(cluster.world);
    uint64_t healed_ns = ed_cluster_now_ns(&cluster);
    ed_cluster_await_delivered(&cluster, HEALED_LIMIT_S * ED_NS_PER_S);
    healed_max_ns = ed_max_u64(healed_max_ns, ed_cluster_now_ns(&cluster) - healed_ns);
    await_quiet(&cluster);
    ed_cluster_shut_down(&cluster, FLUSH_MS, SHUTDOWN_LIMIT_S * ED_NS_PER_S);
    check_ends(&cluster);
    add_counters(&cluster);
    ed_cluster_close(&cluster);
}

/** A run in which some mechanism never had to work says nothing about it. */
static void check_all_happened(void)
{
    const struct {
        const char *name;
        uint64_t count;
    } rows[] = {
        {"lost on the way", seen_links.lost},
        {"lost in a burst", seen_links.lost_burst},
        {"duplicated", seen_links.duplicated},
        {"reordered", seen_links.reordered},
        {"corrupted", seen_links.corrupted},
        {"dropped by a queue", seen_links.queue_dropped},
        {"dropped by a partition", seen_links.partition_dropped},
        {"forged", seen.dropped_forged},
        {"replayed", seen.dropped_replayed},
        {"messages delivered", seen.messages_delivered},
        {"messages resent", seen.messages_resent},
        {"messages that came twice", seen.messages_duplicate},
        {"packets lost", seen.packets_lost},
        {"packets lost by mistake", seen.packets_spurious},
        {"probes", seen.probes_sent},
        {"keepalives", seen.keepalives_sent},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        (void)printf("%-26s %llu\n", rows[i].name, (unsigned long long)rows[i].count);
        CHECK(rows[i].name, rows[i].count > 0);
    }
}

static void all_is_delivered_in_every_world(void **state)
{
    ed_seeds seeds = ed_seeds_chosen(SEEDS);

    (void)state;
    for (uint64_t i = 0; i < seeds.count; i++)
        run_seed(seeds.first + i);
    (void)printf("slowest after healing      %llu ms\n",
                 (unsigned long long)(healed_max_ns / ED_NS_PER_MS));
    if (seeds.count > 1)
        check_all_happened();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_delivered_in_every_world),
    };

    program = argc > 0 ? argv[0] : "delivery_test";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
