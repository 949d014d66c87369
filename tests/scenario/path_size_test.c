/** How large datagrams become on paths that take more or less, and what that costs no message. */
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "transport/limits.h"

enum {
    DELAY_MS = 25,
    PART_OF_RTT_MS = 10,
    RATE_BPS = 8 * 1000 * 1000,
    QUEUE_SIZE = 64 << 10,
    MESSAGE_SIZE = 16 << 10,
    BUDGET_SIZE = 96 << 10,
    BULK_SIZE = 512 << 10,
    IP_SIZE = 28, /* of the headers of IPv4 and UDP: what an MTU counts, too */
    UP = 0,       /* by who sends: client and server */
    DOWN = 1,
};

static ed_cluster cluster;

static ed_node *sender(int way)
{
    return &cluster.nodes[way == UP ? 1 : 0];
}

static eddy_connection_stats stats_of(int way)
{
    const ed_node *node = sender(way);
    eddy_connection_stats stats = {0};

    CHECK_EQ(cluster.name,
             eddy_get_connection_stats(node->manager, node->endpoints[0].handle, &stats), EDDY_OK);
    return stats;
}

/** @param mtu of IP packets; 0: as large as can be. */
static void set_link(int way, uint32_t mtu, uint32_t loss_ppm)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    link.rate_bps = RATE_BPS;
    link.queue_size = QUEUE_SIZE;
    link.loss_ppm = loss_ppm;
    link.mtu = mtu == 0 ? link.mtu : mtu - IP_SIZE;
    CHECK_EQ(
        cluster.name,
        ed_world_set_link(cluster.world, &sender(way)->address, &sender(1 - way)->address, &link),
        EDDY_OK);
}

static eddy_config config_of(eddy_config config, uint32_t cap)
{
    config.max_message_size = MESSAGE_SIZE;
    config.connection_send_budget = BUDGET_SIZE;
    config.max_datagram_size = cap == 0 ? config.max_datagram_size : cap;
    return config;
}

static void open_pair(const char *name, uint64_t seed, const uint32_t caps[2])
{
    eddy_config server = config_of(ed_cluster_server_config(), caps[DOWN]);
    eddy_config client = config_of(ed_cluster_client_config(), caps[UP]);

    ed_cluster_open(&cluster, name, seed);
    ed_cluster_add_pair(&cluster, &server, &client);
}

static void open_plain(const char *name, uint64_t seed, uint32_t mtu)
{
    static const uint32_t caps[2] = {0};

    open_pair(name, seed, caps);
    set_link(UP, mtu, 0);
    set_link(DOWN, mtu, 0);
}

/** Sends as much as is taken. */
static void offer(int way, size_t size)
{
    ed_node *node = sender(way);
    ed_parcel parcel = {.guarantee = EDDY_RELIABLE_ORDERED, .size = size};

    while (ed_node_send_parcel(node, &node->endpoints[0], &parcel) == EDDY_OK)
        ;
}

static void keep_busy(int ways, uint32_t duration_ms)
{
    for (uint32_t ms = 0; ms < duration_ms; ms += PART_OF_RTT_MS) {
        for (int way = 0; way < ways; way++)
            offer(way, MESSAGE_SIZE);
        ed_cluster_run_for(&cluster, PART_OF_RTT_MS * ED_NS_PER_MS);
    }
}

/** @return whether all came that was sent. */
static bool settles(void)
{
    for (int s = 0; s < 60 && !ed_cluster_all_delivered(&cluster); s++)
        ed_cluster_run_for(&cluster, ED_NS_PER_S);
    return ed_cluster_all_delivered(&cluster);
}

static void close_settled(void)
{
    CHECK(cluster.name, settles());
    for (size_t i = 0; i < 2; i++)
        CHECK(cluster.name, !cluster.nodes[i].endpoints[0].disconnected);
    ed_cluster_close(&cluster);
}

static void grows_to_what_the_path_takes(void **state)
{
    static const struct {
        const char *name;
        uint32_t mtu[2], caps[2], within_ms, want[2];
    } rows[] = {
        {"Ethernet", {1500, 1500}, {0}, 250, {1452, 1452}},
        {"all that UDP has", {0, 0}, {0}, 250, {1452, 1452}},
        {"a tunnel", {1400, 1400}, {0}, 1500, {1326, 1326}},
        {"an MTU of 1,300", {1300, 1300}, {0}, 2000, {1200, 1200}},
        {"wide up, narrow down", {1500, 1300}, {0}, 2000, {1452, 1200}},
        {"narrow up, wide down", {1380, 1500}, {0}, 2000, {1326, 1452}},
        {"capped by the client", {1500, 1500}, {1300, 0}, 250, {1300, 1300}},
        {"capped by the server", {1500, 1500}, {0, 1250}, 250, {1250, 1250}},
        {"off", {1500, 1500}, {1200, 0}, 250, {1200, 1200}},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name, i, rows[i].caps);
        for (int way = 0; way < 2; way++)
            set_link(way, rows[i].mtu[way], 0);
        ed_cluster_run_for(&cluster, ED_NS_PER_S);
        CHECK_EQ("nothing is tried", stats_of(UP).size_probes_sent, 0);
        keep_busy(2, rows[i].within_ms);
        for (int way = 0; way < 2; way++) {
            CHECK_EQ(rows[i].name, stats_of(way).datagram_size, rows[i].want[way]);
            CHECK_EQ(rows[i].name, stats_of(way).black_holes, 0);
        }
        close_settled();
    }
}

/** Only the probes are lost, and the path is not taken to be full for it. */
static void probes_cost_no_speed(void **state)
{
    ed_link_config link = ed_link_config_default(); // with a queue, that would lose something, too

    (void)state;
    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    link.mtu = 1300 - IP_SIZE;
    open_plain("probes are lost", 1, 1300);
    CHECK_EQ("up",
             ed_world_set_link(cluster.world, &sender(UP)->address, &sender(DOWN)->address, &link),
             EDDY_OK);
    keep_busy(1, 2000);
    eddy_connection_stats stats = stats_of(UP);
    CHECK_EQ("nothing else is lost", stats.packets_lost, 0);
    CHECK("the window grew", stats.window > BUDGET_SIZE / 2);
    CHECK_EQ("probes", stats.size_probes_sent, 6);
    CHECK_EQ("lost", stats.size_probes_lost, 6);
    close_settled();
}

/** A cap on the rate is one on probes, too; and they are not kept waiting for ever. */
static void probes_keep_to_a_cap(void **state)
{
    enum { CAP = 50 * 1000, SECONDS = 3, BURST_SIZE = 12 * 1000 };

    (void)state;
    open_plain("capped", 1, 1300);
    CHECK_EQ("set", eddy_set_rate(sender(UP)->manager, sender(UP)->endpoints[0].handle, CAP),
             EDDY_OK);
    uint64_t before = stats_of(UP).sent_bytes;
    keep_busy(1, SECONDS * 1000);
    eddy_connection_stats stats = stats_of(UP);
    CHECK_EQ("all tried", stats.size_probes_lost, 6);
    CHECK("no faster", stats.sent_bytes - before <= CAP * SECONDS + BURST_SIZE);
    close_settled();
}

static void shrinks_where_large_ones_vanish(void **state)
{
    static const struct {
        const char *name;
        uint32_t before, after, loss_ppm, within_ms, was;
    } rows[] = {
        {"1,500 to 1,250", 1500, 1250, 0, 1000, 1452},
        {"1,400 to 1,250", 1400, 1250, 0, 1000, 1326},
        {"1,500 to 1,400", 1500, 1400, 0, 1000, 1452},
        {"and 5 % are lost", 1500, 1250, 50000, 2000, 1452},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_plain(rows[i].name, i, rows[i].before);
        keep_busy(2, 3000);
        CHECK_EQ(rows[i].name, stats_of(UP).datagram_size, rows[i].was);
        set_link(UP, rows[i].after, rows[i].loss_ppm);
        keep_busy(2, rows[i].within_ms);
        CHECK_EQ(rows[i].name, stats_of(UP).datagram_size, ED_DATAGRAM_SIZE);
        CHECK_EQ(rows[i].name, stats_of(UP).black_holes, 1);
        CHECK_EQ("the other way", stats_of(DOWN).black_holes, 0);
        close_settled();
    }
}

/** What this machine refuses need not be missed: neither what passed, nor a probe. */
static void shrinks_at_once_where_large_ones_cannot_leave(void **state)
{
    enum { WITHIN_MS = 20, LARGEST = 1222 };

    (void)state;
    open_plain("no way out", 1, 1500);
    keep_busy(2, 3000);
    CHECK_EQ("grown", stats_of(UP).datagram_size, 1452);
    sender(UP)->largest = LARGEST;
    keep_busy(2, WITHIN_MS);
    CHECK_EQ("shrunk", stats_of(UP).datagram_size, ED_DATAGRAM_SIZE);
    CHECK_EQ("once", stats_of(UP).black_holes, 1);
    CHECK_EQ("the other way", stats_of(DOWN).black_holes, 0);
    close_settled();
}

static void probes_that_cannot_leave_are_not_waited_for(void **state)
{
    enum { WITHIN_MS = 1000, LARGEST = 1372 };

    (void)state;
    open_plain("no way out for probes", 1, 1500);
    sender(UP)->largest = LARGEST;
    keep_busy(1, WITHIN_MS);
    CHECK_EQ("found", stats_of(UP).datagram_size, 1326);
    CHECK_EQ("of each size one", stats_of(UP).size_probes_sent, 2);
    CHECK_EQ("no black hole", stats_of(UP).black_holes, 0);
    close_settled();
}

static void few_large_messages_find_the_hole(void **state)
{
    (void)state;
    open_plain("few", 1, 1500);
    keep_busy(1, 500);
    CHECK("all", settles());
    set_link(UP, 1250, 0);
    ed_parcel parcel = {.guarantee = EDDY_RELIABLE_ORDERED, .size = 3000};
    CHECK_EQ("one", ed_node_send_parcel(sender(UP), &sender(UP)->endpoints[0], &parcel), EDDY_OK);
    ed_cluster_run_for(&cluster, 3 * ED_NS_PER_S);
    CHECK("it came", ed_cluster_all_delivered(&cluster));
    CHECK_EQ("small", stats_of(UP).datagram_size, ED_DATAGRAM_SIZE);
    close_settled();
}

/** A path on which one end sends a message that is far larger than others. */
static void open_for_bulk(const char *name)
{
    eddy_config server = ed_cluster_server_config(), client = ed_cluster_client_config();

    client.max_message_size = server.max_message_size = BULK_SIZE;
    client.connection_send_budget = server.connection_send_budget = 3 * BULK_SIZE;
    ed_cluster_open(&cluster, name, 1);
    ed_cluster_add_pair(&cluster, &server, &client);
    set_link(UP, 1500, 0);
    set_link(DOWN, 1500, 0);
}

/**
 * A game goes on beside a bulk, and nothing comes back: what it sends in the silence fills large
 * datagrams, and leaves no time for a probe.
 */
static void play_beside_a_bulk(uint32_t tick_ms, size_t size)
{
    enum { WIDE_MS = 300, WITHIN_MS = 600 };
    const ed_parcel bulk = {.guarantee = EDDY_RELIABLE_ORDERED, .size = BULK_SIZE};
    const ed_parcel game = {.guarantee = EDDY_RELIABLE_ORDERED, .stream = 1, .size = size};

    open_for_bulk("a game and a bulk");
    ed_node *node = sender(UP);
    CHECK_EQ("bulk", ed_node_send_parcel(node, &node->endpoints[0], &bulk), EDDY_OK);
    ed_cluster_run_for(&cluster, WIDE_MS * ED_NS_PER_MS);
    CHECK_EQ("wide", stats_of(UP).datagram_size, 1452);
    set_link(UP, 1250, 0);
    for (uint32_t ms = 0; ms < WITHIN_MS; ms += tick_ms) {
        CHECK_EQ("game", ed_node_send_parcel(node, &node->endpoints[0], &game), EDDY_OK);
        ed_cluster_run_for(&cluster, tick_ms * ED_NS_PER_MS);
    }
    CHECK_EQ("small", stats_of(UP).datagram_size, ED_DATAGRAM_SIZE);
    close_settled();
}

static void a_game_beside_a_bulk_finds_the_hole(void **state)
{
    static const uint32_t ticks_ms[] = {8, 10, 16, 33};
    static const size_t sizes[] = {24, 50, 130, 300, 600};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(ticks_ms); i++)
        for (size_t n = 0; n < ED_COUNT(sizes); n++)
            play_beside_a_bulk(ticks_ms[i], sizes[n]);
}

static void loss_and_outage_are_no_black_hole(void **state)
{
    static const struct {
        const char *name;
        uint32_t loss_ppm, outage_ms;
    } rows[] = {
        {"20 % are lost", 200000, 0},  {"40 ms of nothing", 0, 40},   {"150 ms of nothing", 0, 150},
        {"300 ms of nothing", 0, 300}, {"700 ms of nothing", 0, 700}, {"2 s of nothing", 0, 2000},
        {"both", 100000, 300},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_plain(rows[i].name, i, 1500);
        keep_busy(2, 500);
        for (int way = 0; way < 2; way++)
            set_link(way, 1500, rows[i].loss_ppm);
        for (int n = 0; n < 4; n++) {
            CHECK_EQ("cut", ed_world_block(cluster.world, NULL, NULL, rows[i].outage_ms > 0),
                     EDDY_OK);
            keep_busy(2, rows[i].outage_ms);
            CHECK_EQ("mended", ed_world_block(cluster.world, NULL, NULL, false), EDDY_OK);
            keep_busy(2, 4000);
        }
        for (int way = 0; way < 2; way++) {
            CHECK_EQ(rows[i].name, stats_of(way).black_holes, 0);
            CHECK_EQ(rows[i].name, stats_of(way).datagram_size, 1452);
        }
        close_settled();
    }
}

static void another_path_is_learnt_anew(void **state)
{
    eddy_address elsewhere = {.family = EDDY_FAMILY_IPV4, .ip = {10, 9, 9, 9}, .port = 5000};

    (void)state;
    open_plain("moved", 1, 1500);
    keep_busy(2, 500);
    CHECK_EQ("wide", stats_of(DOWN).datagram_size, 1452);
    ed_node_move(sender(UP), &elsewhere);
    set_link(UP, 1500, 0);
    set_link(DOWN, 1400, 0);
    keep_busy(2, 3000);
    CHECK_EQ("narrow", stats_of(DOWN).datagram_size, 1326);
    CHECK_EQ("no black hole", stats_of(DOWN).black_holes, 0);
    close_settled();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_to_what_the_path_takes),
        cmocka_unit_test(probes_cost_no_speed),
        cmocka_unit_test(probes_keep_to_a_cap),
        cmocka_unit_test(shrinks_where_large_ones_vanish),
        cmocka_unit_test(few_large_messages_find_the_hole),
        cmocka_unit_test(a_game_beside_a_bulk_finds_the_hole),
        cmocka_unit_test(shrinks_at_once_where_large_ones_cannot_leave),
        cmocka_unit_test(probes_that_cannot_leave_are_not_waited_for),
        cmocka_unit_test(loss_and_outage_are_no_black_hole),
        cmocka_unit_test(another_path_is_learnt_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
