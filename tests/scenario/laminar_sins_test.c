/**
 * What brought laminar down in ordinary use, and must not happen here: a lost last message that is
 * never repaired, a one-way sender that dies for want of replies, and a burst that is sent again
 * and again over a perfect network.
 */
#include "tests/support/check.h"
#include "tests/support/cluster.h"

enum {
    SETTLE_MS = 500, /* after connecting: no handshake or ack is still under way */
    DATAGRAM_SIZE_LARGE = 1000,
    ONE_WAY_S = 600,
    RATE_HZ = 60,
    MESSAGES_AT_ONCE = 10 * 1000,
    BURST_LIMIT_S = 10,
    COPIES_MAX = 100,       /* of small messages: what a datagram has room for, each way */
    BUDGET_SIZE = 32 << 20, /* all that is sent at once */
};

static void open_pair(ed_cluster *cluster, const char *name, uint64_t seed, ed_sizes sizes)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    server.connection_send_budget = client.connection_send_budget = BUDGET_SIZE;
    ed_cluster_open(cluster, name, seed);
    cluster->sizes = sizes;
    ed_cluster_add_pair(cluster, &server, &client);
    ed_cluster_run_for(cluster, SETTLE_MS * ED_NS_PER_MS);
}

/** Drops datagrams that are large enough to hold a message, by their ordinal. */
typedef struct dropper {
    uint32_t ordinal;
    uint32_t first; /* dropped: from here */
    uint32_t count; /* so many */
} dropper;

static bool drop_some(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    dropper *d = context;

    (void)now_ns;
    if (datagram->size < DATAGRAM_SIZE_LARGE)
        return false;
    uint32_t ordinal = d->ordinal++;
    return ordinal >= d->first && ordinal < d->first + d->count;
}

static void the_last_message_is_repaired_without_further_traffic(void **state)
{
    const struct {
        const char *name;
        uint32_t messages;
        uint32_t dropped; /* datagrams from the last message on, repairs included */
        uint32_t limit_ms;
    } rows[] = {
        // The first probe goes after smoothed + 4 * variance + 25 ms of ack delay, where round trip
        // and variance begin with a first sample of 27 ms; those after it are 100 ms apart at most.
        {"the only one", 1, 1, 130},
        {"the last of five", 5, 1, 130},
        {"the last, and its first repair", 5, 2, 230},
        {"the last, and its first five repairs", 5, 6, 630},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        static ed_cluster cluster;
        dropper d = {.first = rows[i].messages - 1, .count = rows[i].dropped};

        open_pair(&cluster, rows[i].name, i, (ed_sizes){EDDY_PIECE_SIZE_MAX, EDDY_PIECE_SIZE_MAX});
        ed_world_observe(cluster.world, drop_some, &d);
        ed_node *client = &cluster.nodes[1];
        ed_node_send_many(client, &client->endpoints[0], EDDY_RELIABLE_ORDERED, 0,
                          rows[i].messages);
        ed_cluster_await_delivered(&cluster, rows[i].limit_ms * ED_NS_PER_MS);
        CHECK_EQ(rows[i].name, ed_world_get_stats(cluster.world).observer_dropped, rows[i].dropped);
        ed_cluster_close(&cluster);
    }
}

static void a_one_way_sender_lives_for_ever(void **state)
{
    const struct {
        const char *name;
        size_t from; /* node 0 is the server */
        uint32_t loss_ppm;
    } rows[] = {
        {"up, no loss", 1, 0},
        {"up, 10 % loss each way", 1, 100 * 1000},
        {"down, no loss", 0, 0},
        {"down, 10 % loss each way", 0, 100 * 1000},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        static ed_cluster cluster;
        ed_link_config link = ed_link_config_default();

        open_pair(&cluster, rows[i].name, i, (ed_sizes){32, 32});
        link.delay_ns = 20 * ED_NS_PER_MS;
        link.loss_ppm = rows[i].loss_ppm;
        CHECK_EQ(rows[i].name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
        ed_node *from = &cluster.nodes[rows[i].from];
        for (uint32_t tick = 0; tick < ONE_WAY_S * RATE_HZ; tick++) {
            ed_node_send_many(from, &from->endpoints[0], EDDY_RELIABLE_ORDERED, 0, 1);
            ed_cluster_run_for(&cluster, ED_NS_PER_S / RATE_HZ);
        }
        ed_world_heal(cluster.world);
        ed_cluster_await_delivered(&cluster, ED_NS_PER_S);
        CHECK(rows[i].name, !from->endpoints[0].disconnected);
        ed_cluster_shut_down(&cluster, 1000, 5 * ED_NS_PER_S);
        CHECK_EQ(rows[i].name, from->endpoints[0].end.undelivered, 0);
        ed_cluster_close(&cluster);
    }
}

static void send_burst(ed_node *from, uint8_t streams, bool no_copies)
{
    const eddy_stream_options options = {.no_copies = no_copies};
    ed_endpoint *endpoint = &from->endpoints[0];

    for (uint8_t stream = 0; stream < streams; stream++)
        CHECK_EQ("stream", eddy_set_stream(from->manager, endpoint->handle, stream, &options),
                 EDDY_OK);
    for (size_t m = 0; m < MESSAGES_AT_ONCE; m++)
        ed_node_send_many(from, endpoint, EDDY_RELIABLE_ORDERED, (uint8_t)(m % streams), 1);
}

static void a_burst_on_a_perfect_network_is_sent_once(void **state)
{
    const struct {
        const char *name;
        size_t size;
        uint8_t streams;
        bool both_ways;
        bool no_copies;
        uint64_t copies_max; /* of the last, while nothing is known of the path */
    } rows[] = {
        {"empty messages", 0, 1, false, false, 0},
        {"one stream", 32, 1, false, false, COPIES_MAX},
        {"one stream, without copies", 32, 1, false, true, 0},
        {"four streams", 32, 4, false, false, COPIES_MAX},
        {"both ways", 32, 1, true, false, COPIES_MAX},
        {"both ways, without copies", 32, 1, true, true, 0},
        {"large messages", EDDY_PIECE_SIZE_MAX, 1, false, false, 0},
        {"large messages, both ways", EDDY_PIECE_SIZE_MAX, 4, true, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        static ed_cluster cluster;

        open_pair(&cluster, rows[i].name, i, (ed_sizes){rows[i].size, rows[i].size});
        for (size_t n = rows[i].both_ways ? 0 : 1; n < 2; n++)
            send_burst(&cluster.nodes[n], rows[i].streams, rows[i].no_copies);
        ed_cluster_await_delivered(&cluster, BURST_LIMIT_S * ED_NS_PER_S);
        eddy_stats stats = ed_cluster_stats(&cluster);
        CHECK(rows[i].name, stats.messages_resent <= rows[i].copies_max);
        CHECK_EQ(rows[i].name, stats.messages_duplicate, stats.messages_resent);
        CHECK_EQ(rows[i].name, stats.packets_lost, 0);
        CHECK_EQ(rows[i].name, stats.probes_sent, 0);
        ed_cluster_shut_down(&cluster, 1000, 5 * ED_NS_PER_S);
        ed_cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_message_is_repaired_without_further_traffic),
        cmocka_unit_test(a_one_way_sender_lives_for_ever),
        cmocka_unit_test(a_burst_on_a_perfect_network_is_sent_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
