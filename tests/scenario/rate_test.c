/** A cap on the rate of a connection, measured where it counts: in the bytes that leave. */
#include "tests/support/check.h"
#include "tests/support/cluster.h"

enum {
    WARM_MS = 2000,
    MEASURE_MS = 10 * 1000,
    DELAY_MS = 10,
    TOLERANCE_PERCENT = 2,
    KB = 1000,
};

static ed_cluster cluster;
static ed_node *client;
static ed_endpoint *end;

static void open_world(const char *name, uint64_t rate_max, uint32_t loss_ppm)
{
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();
    ed_link_config link = ed_link_config_default();

    client_config.rate_max = rate_max;
    ed_cluster_open(&cluster, name, 1);
    cluster.sizes = (ed_sizes){1000, 1000};
    ed_cluster_add_pair(&cluster, &server_config, &client_config);
    client = &cluster.nodes[1];
    end = &client->endpoints[0];
    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    link.loss_ppm = loss_ppm;
    CHECK_EQ(name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

/** Keeps the queue full for that long. @return the bytes that left. */
static uint64_t saturate(uint64_t ms)
{
    enum { TICK_MS = 20, QUEUE_MAX = 1000 };
    uint64_t before = ed_node_stats(client).sent_bytes;

    for (uint64_t i = 0; i < ms / TICK_MS; i++) {
        const ed_endpoint *other = ed_node_newest(&cluster.nodes[0]);
        while (ed_endpoint_sent(end) - ed_endpoint_received(other) < QUEUE_MAX)
            ed_node_send_many(client, end, EDDY_RELIABLE_ORDERED, 0, 1);
        ed_cluster_run_for(&cluster, TICK_MS * ED_NS_PER_MS);
    }
    return ed_node_stats(client).sent_bytes - before;
}

static void set_rate(uint64_t rate_max)
{
    CHECK_EQ(cluster.name, eddy_set_rate(client->manager, end->handle, rate_max), EDDY_OK);
    ed_world_touch(cluster.world, client->host);
}

/** Whether what leaves is the rate, and not more, within the tolerance. */
static void check_rate(uint64_t rate_max)
{
    uint64_t want = rate_max * MEASURE_MS / 1000;

    (void)saturate(WARM_MS);
    uint64_t got = saturate(MEASURE_MS);
    if (got * 100 < want * (100 - TOLERANCE_PERCENT) ||
        got * 100 > want * (100 + TOLERANCE_PERCENT))
        fail_msg("%s: %llu bytes, want %llu", cluster.name, (unsigned long long)got,
                 (unsigned long long)want);
}

static void a_cap_is_met(void **state)
{
    const struct {
        const char *name;
        uint64_t rate_max;
        uint32_t loss_ppm;
    } rows[] = {
        {"20 KB/s", 20 * KB, 0},
        {"100 KB/s", 100 * KB, 0},
        {"1 MB/s", 1000 * KB, 0},
        {"100 KB/s, and 2 % are lost", 100 * KB, 20 * 1000},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_world(rows[i].name, rows[i].rate_max, rows[i].loss_ppm);
        check_rate(rows[i].rate_max);
        ed_cluster_close(&cluster);
    }
}

static void a_cap_is_changed(void **state)
{
    (void)state;
    open_world("changed", 0, 0);
    uint64_t without = saturate(WARM_MS);
    CHECK("fast", without > 500 * KB * WARM_MS / 1000);
    set_rate(50 * KB);
    check_rate(50 * KB);
    set_rate(200 * KB);
    check_rate(200 * KB);
    set_rate(0);
    CHECK("fast again", saturate(WARM_MS) > without / 2);
    ed_cluster_close(&cluster);
}

static eddy_connection_stats stats_now(void)
{
    eddy_connection_stats stats;

    CHECK_EQ(cluster.name, eddy_get_connection_stats(client->manager, end->handle, &stats),
             EDDY_OK);
    return stats;
}

/** A path does not show what it can carry while less is sent: the window stays near what is used.
 */
static void a_cap_does_not_open_the_window(void **state)
{
    enum { FAR_MS = 100, RATE = 200 * KB, USED = RATE * 2 * FAR_MS / 1000 };
    ed_link_config link = ed_link_config_default();

    (void)state;
    open_world("window", RATE, 0);
    link.delay_ns = FAR_MS * ED_NS_PER_MS;
    CHECK_EQ("far", ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
    check_rate(RATE);
    CHECK_EQ("rate", stats_now().pacing_rate, RATE);
    CHECK("in flight", stats_now().in_flight > USED * 9 / 10);
    CHECK("window", stats_now().window < USED * 2);
    ed_cluster_close(&cluster);
}

/** The other way's acknowledgements count, too: both together stay below the cap. */
static void acknowledgements_count(void **state)
{
    enum { RATE = 5 * KB, EDGE_SIZE = EDDY_PIECE_SIZE_MAX };

    (void)state;
    open_world("acks", RATE, 0);
    ed_node *server = &cluster.nodes[0];
    uint64_t before = 0;
    for (uint64_t ms = 0; ms < WARM_MS + MEASURE_MS; ms += 20) {
        if (ms == WARM_MS)
            before = ed_node_stats(client).sent_bytes;
        ed_node_send_many(server, ed_node_newest(server), EDDY_RELIABLE_ORDERED, 1, 2);
        (void)saturate(20);
    }
    uint64_t got = ed_node_stats(client).sent_bytes - before;
    // The measurement begins and ends somewhere between two datagrams.
    CHECK("below", got <= RATE * MEASURE_MS / 1000 * (100 + TOLERANCE_PERCENT) / 100 + EDGE_SIZE);
    CHECK("and yet used", got > RATE * MEASURE_MS / 1000 / 2);
    ed_cluster_close(&cluster);
}

static void bad_rates_are_refused(void **state)
{
    (void)state;
    open_world("bad rates", 0, 0);
    CHECK_EQ("too low", eddy_set_rate(client->manager, end->handle, 1), EDDY_EINVAL);
    CHECK_EQ("too low", eddy_set_rate(client->manager, end->handle, EDDY_RATE_MIN - 1),
             EDDY_EINVAL);
    CHECK_EQ("lowest", eddy_set_rate(client->manager, end->handle, EDDY_RATE_MIN), EDDY_OK);
    CHECK_EQ("nobody", eddy_set_rate(client->manager, 0, EDDY_RATE_MIN), EDDY_ECONNECTION);
    CHECK_EQ("highest", eddy_set_rate(client->manager, end->handle, UINT64_MAX), EDDY_OK);
    ed_world_touch(cluster.world, client->host);
    (void)saturate(WARM_MS);
    CHECK("the path's", stats_now().pacing_rate < 1000 * 1000 * KB);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cap_is_met),
        cmocka_unit_test(a_cap_is_changed),
        cmocka_unit_test(a_cap_does_not_open_the_window),
        cmocka_unit_test(acknowledgements_count),
        cmocka_unit_test(bad_rates_are_refused),
    };
    return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
