/** Packets that the network holds back until their sequences could mean something else. */
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "transport/limits.h"
#include "transport/replay.h"

enum {
    MESSAGE_SIZE = 4,
    BATCH = ED_FRAME_MESSAGES_MAX,   /* as many small ones as ever fit one packet */
    BATCH_PACKETS_MAX = 8,           /* that a batch may take */
    FULL_PACKET_SIZE = 120,          /* one of this size carries many small messages */
    ROUND_MS = 5,                    /* there and back, and the acknowledgements */
    LATEST = ED_REPLAY_WINDOW - 1,   /* packet numbers, that a packet may be late */
    GAPS_MAX = 5,                    /* of them left out, as each gap is twice the one before */
    ONCE_AROUND = (1 << 16) / BATCH, /* such packets, for all values of a sequence */
    LIMIT_S = 10,
};

static ed_cluster cluster;

/** Keeps one packet of the client, and counts those after it. */
static struct keeper {
    eddy_address from;
    bool is_armed;
    uint32_t later;
    eddy_datagram kept;
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
} keeper;

static bool keep_one(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    struct keeper *k = context;

    (void)now_ns;
    if (!eddy_address_equal(&datagram->local, &k->from))
        return false;
    if (!k->is_armed || datagram->size < FULL_PACKET_SIZE) {
        k->later++;
        return false;
    }
    k->is_armed = false;
    k->later = 0;
    k->kept = *datagram;
    k->kept.data = k->data;
    memcpy(k->data, datagram->data, datagram->size);
    return true;
}

/** A server (node 0) and a client (node 1), connected; messages are of the smallest size. */
static void open_pair(const char *name)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    ed_cluster_open(&cluster, name, 1);
    cluster.sizes = (ed_sizes){MESSAGE_SIZE, MESSAGE_SIZE};
    ed_cluster_add_pair(&cluster, &server, &client);
    keeper = (struct keeper){.from = cluster.nodes[1].address};
    ed_world_observe(cluster.world, keep_one, &keeper);
}

static void send_some(size_t count, uint8_t lanes)
{
    ed_node *client = &cluster.nodes[1];

    for (size_t i = 0; i < count; i++)
        ed_node_send_many(client, &client->endpoints[0], EDDY_RELIABLE_ORDERED,
                          (uint8_t)(i % lanes), 1);
    ed_cluster_run_for(&cluster, ROUND_MS * ED_NS_PER_MS);
}

/** Fills packets as well as a sender may, until so many have left after the one that is kept. */
static void hold_back(uint32_t packets, uint8_t lanes)
{
    keeper.is_armed = true;
    send_some(BATCH, lanes);
    CHECK(cluster.name, !keeper.is_armed);
    while (keeper.later + BATCH_PACKETS_MAX < packets)
        send_some(BATCH, lanes);
    while (keeper.later < packets)
        send_some(1, lanes);
    CHECK_EQ(cluster.name, keeper.later, packets);
}

static void let_go(void)
{
    const eddy_socket *socket = &cluster.nodes[1].socket;

    CHECK_EQ(cluster.name, socket->send(socket->context, &keeper.kept, 1), 1);
    ed_cluster_run_for(&cluster, ROUND_MS * ED_NS_PER_MS);
}

/** The first packet that is so late is refused; after it they are taken. */
static void be_late_once(void)
{
    uint64_t refused = ed_node_stats(&cluster.nodes[0]).dropped_replayed;

    hold_back(2 * ED_REPLAY_NARROW, 1);
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    let_go();
    CHECK_EQ(cluster.name, ed_node_stats(&cluster.nodes[0]).dropped_replayed, refused + 1);
}

static void a_late_packet_does_no_harm(void **state)
{
    const struct {
        const char *name;
        uint32_t late; /* packets */
        uint8_t lanes;
        bool is_taken;
    } rows[] = {
        {"a moment", BATCH_PACKETS_MAX, 1, true},
        {"a while", ONCE_AROUND / 4, 1, true},
        {"half of all sequences, in the fullest packets", ONCE_AROUND / 2 + 20, 1, true},
        {"almost all of them", ONCE_AROUND - 20, 1, true},
        {"all of them", ONCE_AROUND, 1, true},
        {"a few more", ONCE_AROUND + 20, 1, true},
        {"almost all of two lanes", 2 * ONCE_AROUND - 40, 2, true},
        {"much longer", 3 * ONCE_AROUND, 1, true},
        {"as long as it is taken", LATEST - GAPS_MAX, 1, true},
        {"as long as it is taken, four lanes", LATEST - GAPS_MAX, ED_ORACLE_STREAMS, true},
        {"longer", LATEST + 1, 1, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name);
        const ed_endpoint *server_end = &cluster.nodes[0].endpoints[0];
        be_late_once();
        hold_back(rows[i].late, rows[i].lanes);
        ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
        eddy_stats before = ed_node_stats(&cluster.nodes[0]);
        let_go();
        eddy_stats after = ed_node_stats(&cluster.nodes[0]);
        CHECK_EQ(rows[i].name, after.messages_duplicate > before.messages_duplicate,
                 rows[i].is_taken);
        CHECK_EQ(rows[i].name, after.dropped_replayed - before.dropped_replayed,
                 rows[i].is_taken ? 0 : 1);
        CHECK_EQ(rows[i].name, after.messages_delivered, before.messages_delivered);

        // What it may have left behind would come up by the time that all sequences were used.
        for (int batch = 0; batch < ONCE_AROUND * rows[i].lanes; batch++)
            send_some(BATCH, rows[i].lanes);
        ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
        CHECK(rows[i].name, !server_end->disconnected);
        CHECK(rows[i].name, !cluster.nodes[1].endpoints[0].disconnected);
        ed_cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_packet_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
