/**
 * What acknowledgements cost where most of what is said is unreliable, as in a game: they wait for
 * what leaves anyway. Both ends act on each datagram as it comes, so nothing else holds them back.
 */
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "transport/limits.h"

enum {
    TICK_HZ = 60,
    SECONDS = 20,
    WARM_S = 8, /* until then small reliable messages may go along again */
    CLIENT = 1, /* its node; the server's is 0 */
};

/** Datagrams that left each node. */
typedef struct counts {
    const ed_cluster *cluster;
    uint64_t sent[2];
} counts;

static bool count_sent(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    counts *c = context;
    bool is_server = eddy_address_equal(&datagram->local, &c->cluster->nodes[0].address);

    (void)now_ns;
    c->sent[is_server ? 0 : CLIENT]++;
    return false;
}

/** Who says what, how often. */
typedef struct traffic {
    const char *name;
    uint32_t delay_ms; /* one way */
    uint32_t loss_ppm;
    uint32_t every[2];    /* ticks between unreliable messages of each node; 0: none */
    uint32_t reliable[2]; /* the same of reliable ones */
    uint32_t most[2];     /* datagrams of each node in a second */
} traffic;

static void say(ed_cluster *cluster, const traffic *row, uint64_t tick)
{
    for (size_t n = 0; n < 2; n++) {
        ed_node *node = &cluster->nodes[n];
        if (row->every[n] != 0 && tick % row->every[n] == row->every[n] / 2)
            ed_node_send_many(node, &node->endpoints[0], EDDY_UNRELIABLE, 0, 1);
        if (row->reliable[n] != 0 && tick % row->reliable[n] == 0)
            ed_node_send_many(node, &node->endpoints[0], EDDY_RELIABLE_ORDERED, 0, 1);
    }
}

static eddy_connection_stats stats_of(const traffic *row, const ed_node *node)
{
    eddy_connection_stats got;

    CHECK_EQ(row->name, eddy_get_connection_stats(node->manager, node->endpoints[0].handle, &got),
             EDDY_OK);
    return got;
}

/** What is learnt of the path does not suffer: `before` is from when it was known. */
static void check_path(const traffic *row, const eddy_connection_stats *before,
                       const eddy_connection_stats *after)
{
    uint64_t round_trip_ns = 2 * row->delay_ms * ED_NS_PER_MS;

    if (row->loss_ppm == 0) {
        CHECK_EQ(row->name, after->probes_sent, before->probes_sent);
        CHECK_EQ(row->name, after->packets_lost, before->packets_lost);
    }
    if (after->rtt_smoothed_ns == 0)
        return; // nobody who says nothing has a measure of it
    CHECK(row->name, after->rtt_smoothed_ns >= round_trip_ns);
    CHECK(row->name, after->rtt_smoothed_ns <= round_trip_ns + ED_ACK_DELAY_NS);
}

static void run_ticks(ed_cluster *cluster, const traffic *row, uint64_t ticks)
{
    for (uint64_t tick = 0; tick < ticks; tick++) {
        say(cluster, row, tick);
        ed_cluster_run_for(cluster, ED_NS_PER_S / TICK_HZ);
    }
}

static void play(const traffic *row)
{
    static ed_cluster cluster;
    ed_link_config link = ed_link_config_default();
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();
    counts c = {.cluster = &cluster};
    eddy_connection_stats before[2];

    link.delay_ns = row->delay_ms * ED_NS_PER_MS;
    link.loss_ppm = row->loss_ppm;
    ed_cluster_open(&cluster, row->name, 1);
    cluster.sizes = (ed_sizes){.min = 40, .max = 40};
    CHECK_EQ(row->name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
    ed_cluster_add_pair(&cluster, &server, &client);
    run_ticks(&cluster, row, WARM_S * TICK_HZ);
    for (size_t n = 0; n < 2; n++)
        before[n] = stats_of(row, &cluster.nodes[n]);
    ed_world_observe(cluster.world, count_sent, &c);
    run_ticks(&cluster, row, SECONDS * TICK_HZ);
    for (size_t n = 0; n < 2; n++) {
        eddy_connection_stats after = stats_of(row, &cluster.nodes[n]);
        CHECK(row->name, c.sent[n] <= (uint64_t)row->most[n] * SECONDS);
        check_path(row, &before[n], &after);
    }
    ed_cluster_close(&cluster);
}

static void acknowledgements_find_company(void **state)
{
    static const traffic rows[] = {
        // 20 with messages, one for the client's reliable one, and a few for numbers left out.
        {"a shooter", 20, 0, {3, 1}, {60, 60}, {23, 61}},
        {"far away", 150, 0, {3, 1}, {60, 60}, {23, 61}},
        {"the server is slow", 20, 0, {6, 1}, {60, 60}, {14, 62}},
        {"it has nothing to say", 20, 0, {0, 1}, {0, 0}, {10, 61}},
        {"who only listens", 20, 0, {3, 0}, {0, 0}, {21, 8}},
        {"5 % are lost", 20, 50 * 1000, {3, 1}, {60, 60}, {29, 64}},
        {"reliable each tick", 20, 0, {3, 0}, {0, 1}, {43, 61}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        play(&rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledgements_find_company),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
