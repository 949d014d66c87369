/** What the wire carries besides the messages: every byte of it is accounted for here. */
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "transport/peer_clock.h"

enum {
    SETTLE_MS = 1000, /* no ack is due then */
    KEEPALIVE_MS = 3000,
    SIZES_MAX = 64,
    /* First byte, packet number, tag; and the server's id in what the client sends. */
    DOWN_HEADER_SIZE = 1 + 2 + 16,
    UP_HEADER_SIZE = DOWN_HEADER_SIZE + 4,
    /* Mode, and sequence where there is one; the stream if it is not 0. */
    UNRELIABLE_SIZE = 1,
    RELIABLE_SIZE = 3,
    /* Type, largest, delay of 25,000 us, count of further ranges, length of the first. */
    ACK_SIZE = 1 + 1 + 4 + 1 + 1,
};

static ed_cluster cluster;

/** The sizes of what was sent since the last reset, by node. */
static struct {
    size_t count[2];
    size_t size[2][SIZES_MAX];
} seen;

static bool note_size(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    size_t from = eddy_address_equal(&datagram->local, &cluster.nodes[0].address) ? 0 : 1;

    (void)context;
    (void)now_ns;
    if (seen.count[from] < SIZES_MAX)
        seen.size[from][seen.count[from]] = datagram->size;
    seen.count[from]++;
    return false;
}

/** Both have asked often enough what time it is, and will not again for most of a second. */
static void let_clocks_settle(void)
{
    for (int i = 0; i <= ED_CLOCK_EARLY_COUNT; i++) {
        for (size_t n = 0; n < 2; n++)
            ed_node_send_many(&cluster.nodes[n], &cluster.nodes[n].endpoints[0], EDDY_UNRELIABLE, 0,
                              1);
        ed_cluster_run_for(&cluster, 2 * ED_CLOCK_EARLY_MS * ED_NS_PER_MS); // and all is acked
    }
}

/** A pair that is connected and quiet, and sends messages of one size. */
static void open_pair(const char *name, size_t size)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    ed_cluster_open(&cluster, name, 1);
    cluster.sizes = (ed_sizes){size, size};
    ed_cluster_add_pair(&cluster, &server, &client);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
    let_clocks_settle();
    memset(&seen, 0, sizeof(seen));
    ed_world_observe(cluster.world, note_size, NULL);
}

static void send_from(size_t node, eddy_guarantee guarantee, uint8_t stream, size_t count)
{
    ed_node_send_many(&cluster.nodes[node], &cluster.nodes[node].endpoints[0], guarantee, stream,
                      count);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
}

static void a_message_costs_what_was_promised(void **state)
{
    const struct {
        const char *name;
        size_t from; /* node 0 is the server */
        eddy_guarantee guarantee;
        uint8_t stream;
        size_t size;
        size_t overhead;
    } rows[] = {
        {"32 bytes up", 1, EDDY_RELIABLE_ORDERED, 0, 32, 26},
        {"32 bytes down", 0, EDDY_RELIABLE_ORDERED, 0, 32, 22},
        {"none up", 1, EDDY_RELIABLE_ORDERED, 0, 0, 26},
        {"none down", 0, EDDY_RELIABLE_ORDERED, 0, 0, 22},
        {"the largest up", 1, EDDY_RELIABLE_ORDERED, 0, EDDY_PIECE_SIZE_MAX, 26},
        {"the largest down", 0, EDDY_RELIABLE_ORDERED, 0, EDDY_PIECE_SIZE_MAX, 22},
        {"another stream up", 1, EDDY_RELIABLE_ORDERED, 3, 32, 27},
        {"another stream down", 0, EDDY_RELIABLE_ORDERED, 3, 32, 23},
        {"unreliable up", 1, EDDY_UNRELIABLE, 0, 32, UP_HEADER_SIZE + UNRELIABLE_SIZE},
        {"unreliable down", 0, EDDY_UNRELIABLE, 0, 32, DOWN_HEADER_SIZE + UNRELIABLE_SIZE},
        {"unreliable, another stream", 0, EDDY_UNRELIABLE, 1, 32, DOWN_HEADER_SIZE + 2},
    };

    static_assert(UP_HEADER_SIZE + RELIABLE_SIZE == 26, "up");
    static_assert(DOWN_HEADER_SIZE + RELIABLE_SIZE == 22, "down");
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name, rows[i].size);
        send_from(rows[i].from, rows[i].guarantee, rows[i].stream, 1);
        CHECK_EQ(rows[i].name, seen.count[rows[i].from], 1);
        CHECK_EQ(rows[i].name, seen.size[rows[i].from][0], rows[i].size + rows[i].overhead);
        ed_cluster_close(&cluster);
    }
}

static void messages_share_a_datagram(void **state)
{
    const struct {
        const char *name;
        size_t messages;
        size_t size;
        size_t last_up; /* of the last of the datagrams */
        size_t datagrams;
    } rows[] = {
        // The first of several says how long it is, in one byte up to 63; the others need one
        // alone.
        {"two", 2, 32, UP_HEADER_SIZE + RELIABLE_SIZE + 1 + 32 + 33, 1},
        {"ten", 10, 32, UP_HEADER_SIZE + RELIABLE_SIZE + 1 + 32 + 9 * 33, 1},
        {"as many of a lane as one may carry", 24, 1,
         UP_HEADER_SIZE + RELIABLE_SIZE + 1 + 1 + 23 * 2, 1},
        {"one more", 25, 1, UP_HEADER_SIZE + RELIABLE_SIZE + 1, 2},
        {"as many as fill one to its last byte", 17, 68, ED_DATAGRAM_SIZE, 1},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name, rows[i].size);
        send_from(1, EDDY_RELIABLE_ORDERED, 0, rows[i].messages);
        CHECK_EQ(rows[i].name, seen.count[1], rows[i].datagrams);
        CHECK_EQ(rows[i].name, seen.size[1][rows[i].datagrams - 1], rows[i].last_up);
        ed_cluster_close(&cluster);
    }
}

static void an_ack_alone_is_small(void **state)
{
    (void)state;
    open_pair("ack down", 32);
    send_from(1, EDDY_RELIABLE_ORDERED, 0, 1);
    CHECK_EQ("ack down", seen.count[0], 1);
    CHECK_EQ("ack down", seen.size[0][0], DOWN_HEADER_SIZE + ACK_SIZE);
    ed_cluster_close(&cluster);

    open_pair("ack up", 32);
    send_from(0, EDDY_RELIABLE_ORDERED, 0, 1);
    CHECK_EQ("ack up", seen.count[1], 1);
    CHECK_EQ("ack up", seen.size[1][0], UP_HEADER_SIZE + ACK_SIZE);
    ed_cluster_close(&cluster);
}

static void a_keepalive_is_padded_only_on_its_way_up(void **state)
{
    const struct {
        const char *name;
        size_t from;
        size_t size;
    } rows[] = {
        {"up", 1, 44},
        {"down", 0, DOWN_HEADER_SIZE + 3}, // a PING, and the question what time it is
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config server = ed_cluster_server_config();
        eddy_config client = ed_cluster_client_config();
        (rows[i].from == 0 ? &client : &server)->keepalive_ms = 0;
        ed_cluster_open(&cluster, rows[i].name, 1);
        ed_cluster_add_pair(&cluster, &server, &client);
        ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
        memset(&seen, 0, sizeof(seen));
        ed_world_observe(cluster.world, note_size, NULL);
        ed_cluster_run_for(&cluster, KEEPALIVE_MS * ED_NS_PER_MS);
        CHECK_EQ(rows[i].name, seen.count[rows[i].from], 1);
        CHECK_EQ(rows[i].name, seen.size[rows[i].from][0], rows[i].size);
        ed_cluster_close(&cluster);
    }
}

static void every_datagram_of_the_handshake_has_its_size(void **state)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    (void)state;
    ed_cluster_open(&cluster, "handshake", 1);
    memset(&seen, 0, sizeof(seen));
    ed_world_observe(cluster.world, note_size, NULL);
    ed_cluster_add_pair(&cluster, &server, &client);
    CHECK_EQ("up", seen.count[1], 3);
    CHECK_EQ("HELLO", seen.size[1][0], 1200);
    CHECK_EQ("INITIATE", seen.size[1][1], 1200);
    CHECK_EQ("the first PING", seen.size[1][2], 44);
    CHECK_EQ("down", seen.count[0], 2);
    CHECK_EQ("RETRY", seen.size[0][0], 48);
    CHECK_EQ("ACCEPT", seen.size[0][1], 204);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_costs_what_was_promised),
        cmocka_unit_test(messages_share_a_datagram),
        cmocka_unit_test(an_ack_alone_is_small),
        cmocka_unit_test(a_keepalive_is_padded_only_on_its_way_up),
        cmocka_unit_test(every_datagram_of_the_handshake_has_its_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
