/** Messages of every size that matters, on every guarantee: in one piece, in parts, and too large.
 */
#include "tests/support/check.h"
#include "tests/support/cluster.h"

enum {
    MIB = 1024 * 1024,
    EACH = 3, /* of each kind and direction */
    STREAM = 200,
    LIMIT_S = 30,
};

static ed_cluster cluster;

static void open_pair(const char *name, size_t max_message_size, uint32_t loss_ppm)
{
    eddy_config config = ed_cluster_server_config();
    ed_link_config link = ed_link_config_default();

    config.max_message_size = max_message_size;
    config.send_budget = config.receive_budget =
        ed_max_u64(config.receive_budget, 5 * max_message_size);
    config.connection_send_budget = ed_max_u64(config.connection_send_budget, 4 * max_message_size);
    static uint64_t seed; // another for each, or keys would be used again
    ed_cluster_open(&cluster, name, seed++);
    ed_cluster_add_pair(&cluster, &config, &config);
    link.delay_ns = 5 * ED_NS_PER_MS;
    link.loss_ppm = loss_ppm;
    CHECK_EQ(name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

static eddy_status try_send(size_t from, eddy_guarantee guarantee, size_t size)
{
    ed_node *node = &cluster.nodes[from];
    ed_parcel parcel = {
        .guarantee = guarantee, .stream = STREAM, .size = size, .with_receipt = true};

    return ed_node_send_parcel(node, &node->endpoints[0], &parcel);
}

static void close_pair(void)
{
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    ed_cluster_check_settled(&cluster);
    ed_cluster_shut_down(&cluster, 1000, 10 * ED_NS_PER_S);
    for (size_t n = 0; n < 2; n++)
        CHECK_EQ(cluster.name, cluster.nodes[n].endpoints[0].end.undelivered, 0);
    ed_cluster_close(&cluster);
}

/* -------------------------------------------------------------------------------- what fits -- */

/** Sends both ways, one after another where the newest alone would be enough. */
static void send_each(eddy_guarantee guarantee, size_t size)
{
    for (size_t i = 0; i < EACH; i++) {
        for (size_t from = 0; from < 2; from++)
            CHECK_EQ(cluster.name, try_send(from, guarantee, size), EDDY_OK);
        ed_cluster_run_for(&cluster, 200 * ED_NS_PER_MS);
    }
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    ed_cluster_run_for(&cluster, 200 * ED_NS_PER_MS); // the last receipts come later
}

/** What one end has got. */
static uint64_t got(size_t to, eddy_guarantee guarantee)
{
    const ed_endpoint *endpoint = &cluster.nodes[to].endpoints[0];

    return guarantee < EDDY_RELIABLE_UNORDERED ? endpoint->unreliable_received
                                               : endpoint->reliable_received;
}

static void every_size_arrives_whole(void **state)
{
    static const struct {
        const char *name;
        size_t size;
    } rows[] = {
        {"nothing", 0},
        {"one byte", 1},
        {"one below a piece", EDDY_PIECE_SIZE_MAX - 1},
        {"a piece", EDDY_PIECE_SIZE_MAX},
        {"one above a piece", EDDY_PIECE_SIZE_MAX + 1},
        {"a page", 1152},
        {"one above a page", 1153},
        {"two pages and one", 2305},
        {"the largest unreliable one", EDDY_UNRELIABLE_SIZE_MAX},
        {"one below 64 KiB", 65535},
        {"64 KiB", 65536},
        {"the largest by default", 256 * 1024},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (int g = 0; g < ED_GUARANTEE_COUNT; g++) {
            bool reliable = g >= EDDY_RELIABLE_UNORDERED;
            if (!reliable && rows[i].size > EDDY_UNRELIABLE_SIZE_MAX)
                continue;
            open_pair(rows[i].name, 256 * 1024, 0);
            send_each((eddy_guarantee)g, rows[i].size);
            for (size_t n = 0; n < 2; n++) {
                CHECK_EQ(rows[i].name, got(n, (eddy_guarantee)g), EACH);
                CHECK_EQ(rows[i].name, cluster.nodes[n].endpoints[0].outcomes[EDDY_OUTCOME_ACKED],
                         EACH);
            }
            close_pair();
        }
}

/** Where parts are lost, too, and sent again. */
static void every_size_survives_loss(void **state)
{
    static const size_t sizes[] = {0, 1, 1150, 1151, 5000, 65536, 256 * 1024};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(sizes); i++)
        for (int g = EDDY_RELIABLE_UNORDERED; g <= EDDY_RELIABLE_ORDERED; g++) {
            open_pair("with loss", 256 * 1024, 100 * 1000);
            send_each((eddy_guarantee)g, sizes[i]);
            CHECK_EQ("up", got(0, (eddy_guarantee)g), EACH);
            CHECK_EQ("down", got(1, (eddy_guarantee)g), EACH);
            close_pair();
        }
}

static void the_largest_of_all_arrives(void **state)
{
    enum { SIZE = 32 * MIB };

    (void)state;
    open_pair("32 MiB", SIZE, 0);
    CHECK_EQ("one too many", try_send(1, EDDY_RELIABLE_ORDERED, SIZE + 1), EDDY_ETOOBIG);
    CHECK_EQ("up", try_send(1, EDDY_RELIABLE_ORDERED, SIZE), EDDY_OK);
    CHECK_EQ("down", try_send(0, EDDY_RELIABLE_UNORDERED, SIZE), EDDY_OK);
    close_pair();
}

/* ---------------------------------------------------------------------------- what does not -- */

static void what_is_too_large_is_refused(void **state)
{
    static const struct {
        const char *name;
        size_t limit;
        eddy_guarantee guarantee;
        size_t largest;
    } rows[] = {
        {"unreliable", 256 * 1024, EDDY_UNRELIABLE, EDDY_UNRELIABLE_SIZE_MAX},
        {"unreliable sequenced", 256 * 1024, EDDY_UNRELIABLE_SEQUENCED, EDDY_UNRELIABLE_SIZE_MAX},
        {"unordered", 256 * 1024, EDDY_RELIABLE_UNORDERED, 256 * 1024},
        {"ordered", 256 * 1024, EDDY_RELIABLE_ORDERED, 256 * 1024},
        {"sequenced", 256 * 1024, EDDY_RELIABLE_SEQUENCED, 256 * 1024},
        {"ordered, one piece", EDDY_PIECE_SIZE_MAX, EDDY_RELIABLE_ORDERED, EDDY_PIECE_SIZE_MAX},
        {"unreliable, one piece", EDDY_PIECE_SIZE_MAX, EDDY_UNRELIABLE, EDDY_PIECE_SIZE_MAX},
        {"ordered, 5,000", 5000, EDDY_RELIABLE_ORDERED, 5000},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name, rows[i].limit, 0);
        for (size_t from = 0; from < 2; from++) {
            CHECK_EQ(rows[i].name, try_send(from, rows[i].guarantee, rows[i].largest), EDDY_OK);
            CHECK_EQ(rows[i].name, try_send(from, rows[i].guarantee, rows[i].largest + 1),
                     EDDY_ETOOBIG);
        }
        ed_cluster_run_for(&cluster, ED_NS_PER_S);
        CHECK_EQ(rows[i].name, got(0, rows[i].guarantee), 1);
        CHECK_EQ(rows[i].name, got(1, rows[i].guarantee), 1);
        close_pair();
    }
}

/** A peer may take less than we send: it is told by the handshake, and what is larger is dropped.
 */
static void what_is_too_large_for_the_peer_is_dropped(void **state)
{
    const struct {
        const char *name;
        eddy_guarantee guarantee;
        uint64_t owed; /* of two that are too large, one sent before the handshake */
    } rows[] = {
        {"reliable", EDDY_RELIABLE_UNORDERED, 2},
        {"sequenced", EDDY_RELIABLE_SEQUENCED, 0},
        {"unreliable", EDDY_UNRELIABLE, 0},
        {"unreliable sequenced", EDDY_UNRELIABLE_SEQUENCED, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config server = ed_cluster_server_config();
        eddy_config client = ed_cluster_client_config();
        server.max_message_size = 5000;
        ed_cluster_open(&cluster, rows[i].name, i + 1);
        const ed_node *to = ed_cluster_add(&cluster, &server);
        ed_node *from = ed_cluster_add(&cluster, &client);
        ed_endpoint *endpoint = ed_node_connect(from, to);
        for (int connected = 0; connected < 2; connected++) {
            for (size_t size = 4999; size <= 5001; size++) {
                ed_parcel parcel = {
                    .guarantee = rows[i].guarantee, .size = size, .with_receipt = true};
                CHECK_EQ(rows[i].name, ed_node_send_parcel(from, endpoint, &parcel), EDDY_OK);
            }
            ed_cluster_run_for(&cluster, ED_NS_PER_S);
        }
        CHECK(rows[i].name, endpoint->connected && !endpoint->disconnected);
        CHECK_EQ(rows[i].name, endpoint->outcomes[EDDY_OUTCOME_ACKED], 4);
        CHECK_EQ(rows[i].name, endpoint->outcomes[EDDY_OUTCOME_TOO_BIG], 2);
        CHECK_EQ(rows[i].name, endpoint->owed, rows[i].owed);
        ed_cluster_shut_down(&cluster, 1000, 10 * ED_NS_PER_S);
        bool is_reliable = rows[i].guarantee >= EDDY_RELIABLE_UNORDERED;
        CHECK_EQ(rows[i].name, endpoint->end.undelivered, is_reliable ? 2 : 0);
        ed_cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_arrives_whole),
        cmocka_unit_test(every_size_survives_loss),
        cmocka_unit_test(the_largest_of_all_arrives),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(what_is_too_large_for_the_peer_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
