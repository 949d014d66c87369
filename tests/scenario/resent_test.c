/**
 * What was sent again, and what came again, are counted right: with one message in each datagram,
 * whoever watches the wire can count as well.
 */
#include "sim/random.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"

enum {
    MESSAGES = 300,
    SIZE = 1000, /* no datagram has room for two */
    STREAM = 7,
    LOSS_ONE_IN = 5,
    ACK_LOSS_ONE_IN = 3,
    EVERY_MS = 50,
    DELAY_MS = 10,
    SETTLE_MS = 30 * 1000,
};

static ed_cluster cluster;
static ed_endpoint *from, *to;

/** Datagrams with a message, from client to server. */
static struct wire {
    ed_rng rng;
    uint64_t sent;
    uint64_t arrived;
} wire;

/** Loses messages, and often what says that they came. */
static bool watch(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    bool is_clients = eddy_address_equal(&datagram->local, &cluster.nodes[1].address);

    (void)context;
    (void)now_ns;
    if (!is_clients)
        return ed_rng_below(&wire.rng, ACK_LOSS_ONE_IN) == 0;
    if (datagram->size < SIZE)
        return false;
    bool is_lost = ed_rng_below(&wire.rng, LOSS_ONE_IN) == 0;
    wire.sent++;
    wire.arrived += is_lost ? 0 : 1;
    return is_lost;
}

static void open_world(const char *name)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();
    ed_link_config link = ed_link_config_default();

    ed_cluster_open(&cluster, name, 1);
    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    CHECK_EQ(name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
    ed_cluster_add_pair(&cluster, &server, &client);
    to = &cluster.nodes[0].endpoints[0];
    from = &cluster.nodes[1].endpoints[0];
    wire = (struct wire){.rng = ed_rng_of(1)};
    ed_world_observe(cluster.world, watch, NULL);
}

static void send_all(eddy_guarantee guarantee)
{
    const ed_parcel parcel = {.guarantee = guarantee, .stream = STREAM, .size = SIZE};

    for (unsigned i = 0; i < MESSAGES; i++) {
        CHECK_EQ(cluster.name, ed_node_send_parcel(&cluster.nodes[1], from, &parcel), EDDY_OK);
        ed_cluster_run_for(&cluster, EVERY_MS * ED_NS_PER_MS);
    }
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
}

static eddy_stream_stats stream_of(size_t node, const ed_endpoint *endpoint,
                                   eddy_guarantee guarantee)
{
    eddy_stream_stats stats;

    CHECK_EQ(cluster.name,
             eddy_get_stream_stats(cluster.nodes[node].manager, endpoint->handle, guarantee, STREAM,
                                   &stats),
             EDDY_OK);
    return stats;
}

static eddy_connection_stats stats_of(size_t node, const ed_endpoint *endpoint)
{
    eddy_connection_stats stats;

    CHECK_EQ(cluster.name,
             eddy_get_connection_stats(cluster.nodes[node].manager, endpoint->handle, &stats),
             EDDY_OK);
    return stats;
}

/** What is sent on one guarantee is not counted for another. */
static void check_others(eddy_guarantee guarantee)
{
    for (int g = 0; g < ED_GUARANTEE_COUNT; g++) {
        if (g == (int)guarantee)
            continue;
        eddy_stream_stats here = stream_of(1, from, (eddy_guarantee)g);
        eddy_stream_stats there = stream_of(0, to, (eddy_guarantee)g);
        CHECK_EQ(cluster.name, here.messages_sent + here.messages_resent, 0);
        CHECK_EQ(cluster.name, there.messages_delivered, 0);
    }
}

static void check_sender(eddy_guarantee guarantee)
{
    eddy_stream_stats stream = stream_of(1, from, guarantee);
    eddy_connection_stats connection = stats_of(1, from);

    CHECK_EQ(cluster.name, stream.messages_sent, MESSAGES);
    CHECK_EQ(cluster.name, stream.messages_resent, wire.sent - MESSAGES);
    CHECK_EQ(cluster.name, stream.queued_size, 0);
    CHECK_EQ(cluster.name, connection.messages_sent, MESSAGES);
    CHECK_EQ(cluster.name, connection.messages_resent, wire.sent - MESSAGES);
    CHECK_EQ(cluster.name, ed_node_stats(&cluster.nodes[1]).messages_resent, wire.sent - MESSAGES);
}

static void check_receiver(eddy_guarantee guarantee)
{
    eddy_stats all = ed_node_stats(&cluster.nodes[0]);
    uint64_t delivered = stream_of(0, to, guarantee).messages_delivered;
    eddy_connection_stats connection = stats_of(0, to);

    CHECK_EQ(cluster.name, delivered, to->reliable_received + to->unreliable_received);
    CHECK_EQ(cluster.name, connection.messages_delivered, delivered);
    CHECK_EQ(cluster.name, all.messages_duplicate, connection.messages_duplicate);
    CHECK_EQ(cluster.name, delivered + all.messages_duplicate + all.messages_stale, wire.arrived);
}

static void copies_are_counted(void **state)
{
    static const struct {
        const char *name;
        eddy_guarantee guarantee;
        bool is_resent;
        bool all_come;
    } rows[] = {
        {"unreliable", EDDY_UNRELIABLE, false, false},
        {"unreliable sequenced", EDDY_UNRELIABLE_SEQUENCED, false, false},
        {"reliable unordered", EDDY_RELIABLE_UNORDERED, true, true},
        {"reliable ordered", EDDY_RELIABLE_ORDERED, true, true},
        {"reliable sequenced", EDDY_RELIABLE_SEQUENCED, true, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_world(rows[i].name);
        send_all(rows[i].guarantee);
        CHECK(rows[i].name, wire.sent - wire.arrived > MESSAGES / 2 / LOSS_ONE_IN);
        check_sender(rows[i].guarantee);
        check_receiver(rows[i].guarantee);
        check_others(rows[i].guarantee);
        CHECK_EQ(rows[i].name, wire.sent > MESSAGES + MESSAGES / 2 / LOSS_ONE_IN,
                 rows[i].is_resent);
        CHECK_EQ(rows[i].name, stream_of(0, to, rows[i].guarantee).messages_delivered == MESSAGES,
                 rows[i].all_come);
        ed_cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_counted),
    };

    return cmocka_run_group_tests_name("resent", tests, NULL, NULL);
}
