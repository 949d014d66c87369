/** Who was refused is told of room, once there is some: whatever it was that there was none of. */
#include "tests/support/check.h"
#include "tests/support/cluster.h"

enum { SETTLE_MS = 500 };

static ed_cluster cluster;

static void open_pair(const char *name, const eddy_config *client)
{
    static uint64_t seed; // another for each, or keys would be used again
    eddy_config server = ed_cluster_server_config();

    ed_cluster_open(&cluster, name, seed++);
    ed_cluster_add_pair(&cluster, &server, client);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
}

/** Half of the budget is free at once, and not enough: saying so would make the program spin. */
static void a_large_message_is_told_of_room_for_it(void **state)
{
    enum { SMALL = 16 << 10, LARGE = 32 << 10 };
    const ed_parcel small = {.guarantee = EDDY_RELIABLE_ORDERED, .size = SMALL};
    const ed_parcel large = {.guarantee = EDDY_RELIABLE_ORDERED, .size = LARGE};
    eddy_config client = ed_cluster_client_config();

    (void)state;
    client.max_message_size = LARGE;
    client.connection_send_budget = LARGE + SMALL / 2;
    open_pair("room", &client);
    ed_node *node = &cluster.nodes[1];
    ed_endpoint *endpoint = &node->endpoints[0];
    CHECK_EQ("cut", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    CHECK_EQ("small", ed_node_send_parcel(node, endpoint, &small), EDDY_OK);
    CHECK_EQ("large", ed_node_send_parcel(node, endpoint, &large), EDDY_EAGAIN);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    CHECK_EQ("no room yet", endpoint->writables, 0);
    CHECK_EQ("mended", ed_world_block(cluster.world, NULL, NULL, false), EDDY_OK);
    ed_cluster_run_for(&cluster, 3 * ED_NS_PER_S);
    CHECK_EQ("room", endpoint->writables, 1);
    CHECK_EQ("now it fits", ed_node_send_parcel(node, endpoint, &large), EDDY_OK);
    ed_cluster_await_delivered(&cluster, 10 * ED_NS_PER_S);
    ed_cluster_close(&cluster);
}

/** More than half of what all share, and half of it is free all the time: others settle meanwhile.
 */
static void one_that_needs_more_than_half_is_told_of_room(void **state)
{
    enum { BUDGET = 1 << 20, LARGE = BUDGET / 2, OTHER = BUDGET / 7 };
    const ed_parcel large = {.guarantee = EDDY_RELIABLE_ORDERED, .size = LARGE};
    const ed_parcel other = {.guarantee = EDDY_RELIABLE_ORDERED, .size = OTHER};
    eddy_config client = ed_cluster_client_config(), server = ed_cluster_server_config();

    (void)state;
    server.max_message_size = client.max_message_size = LARGE;
    client.send_budget = client.connection_send_budget = BUDGET;
    client.keepalive_ms = server.keepalive_ms = 0;
    client.max_outgoing = 2;
    ed_cluster_open(&cluster, "more than half", 77);
    ed_cluster_add_pair(&cluster, &server, &client);
    const ed_node *second = ed_cluster_add(&cluster, &server);
    ed_node *node = &cluster.nodes[1];
    ed_cluster_await_connected(&cluster, ed_node_connect(node, second), ED_NS_PER_S);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
    CHECK_EQ("cut", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    for (int i = 0; i < 3; i++)
        CHECK_EQ("other", ed_node_send_parcel(node, &node->endpoints[0], &other), EDDY_OK);
    CHECK_EQ("large", ed_node_send_parcel(node, &node->endpoints[1], &large), EDDY_EAGAIN);
    CHECK_EQ("mended", ed_world_block(cluster.world, NULL, NULL, false), EDDY_OK);
    ed_cluster_run_for(&cluster, 3 * ED_NS_PER_S);
    CHECK_EQ("room", node->endpoints[1].writables, 1);
    CHECK_EQ("now it fits", ed_node_send_parcel(node, &node->endpoints[1], &large), EDDY_OK);
    ed_cluster_await_delivered(&cluster, 10 * ED_NS_PER_S);
    ed_cluster_close(&cluster);
}

/** @return what it says to a message without data. */
static eddy_status send_empty(const ed_node *node)
{
    return eddy_send(node->manager, node->endpoints[0].handle, EDDY_RELIABLE_ORDERED, 0, NULL, 0);
}

/** There is no memory for the message, and none for anything that would have to be remembered. */
static void without_memory_it_is_told_all_the_same(void **state)
{
    enum { CHUNKS = 2 * 64 }; /* of what the channel to the manager is made */
    eddy_config client = ed_cluster_client_config();

    (void)state;
    for (size_t before = 0; before <= CHUNKS; before++) {
        eddy_event event;
        open_pair("no memory", &client);
        ed_node *node = &cluster.nodes[1];
        cluster.nodes[0].is_reading = false;
        node->is_reading = false;
        for (size_t i = 0; i < before; i++)
            CHECK_EQ("before", send_empty(node), EDDY_OK);
        node->memory.fail_after = 0;
        for (size_t i = 0; i < CHUNKS && node->memory.failures == 0; i++)
            CHECK("a while", send_empty(node) == EDDY_OK || node->memory.failures > 0);
        CHECK_EQ("refused", send_empty(node), EDDY_EAGAIN);
        node->memory.fail_after = UINT64_MAX;
        ed_world_touch(cluster.world, node->host);
        ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
        CHECK_EQ("told", eddy_next(node->manager, &event, 0), EDDY_OK);
        CHECK_EQ("of room", event.type, EDDY_WRITABLE);
        CHECK_EQ("once", eddy_next(node->manager, &event, 0), EDDY_EAGAIN);
        ed_cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_message_is_told_of_room_for_it),
        cmocka_unit_test(one_that_needs_more_than_half_is_told_of_room),
        cmocka_unit_test(without_memory_it_is_told_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
