/** One message that is lost again and again, and more behind it than a stream may have outstanding.
 */
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "transport/limits.h"

enum {
    FIRST_SIZE = 1000, /* so that its copies can be told from all else on the wire */
    BEHIND = 2 * ED_LANE_WINDOW + 100,
    HOLD_BACK_MS = 3000,
    LIMIT_S = 10,
};

static ed_cluster cluster;

static bool drop_large(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    (void)context;
    (void)now_ns;
    return datagram->size >= FIRST_SIZE;
}

static void send_raw(size_t size, size_t count)
{
    static const uint8_t data[FIRST_SIZE];
    ed_node *client = &cluster.nodes[1];

    for (size_t i = 0; i < count; i++)
        CHECK_EQ("send",
                 eddy_send(client->manager, client->endpoints[0].handle, EDDY_RELIABLE_ORDERED, 0,
                           data, size),
                 EDDY_OK);
    ed_world_touch(cluster.world, client->host);
}

/** Takes the server's messages: the first is the large one, all others are empty. */
static size_t read_raw(size_t so_far)
{
    ed_node *server = &cluster.nodes[0];
    eddy_event event;

    while (eddy_next(server->manager, &event, 0) == EDDY_OK) {
        CHECK_EQ("event", event.type, EDDY_MESSAGE);
        CHECK_EQ("order", event.message.size, so_far == 0 ? FIRST_SIZE : 0);
        eddy_release(server->manager, &event);
        so_far++;
    }
    return so_far;
}

static void a_stream_waits_for_its_window(void **state)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();
    size_t received = 0;

    (void)state;
    client.connection_send_budget = client.send_budget; // for all that is kept of many small ones
    ed_cluster_open(&cluster, "window", 1);
    ed_cluster_add_pair(&cluster, &server, &client);
    cluster.nodes[0].is_reading = false;
    ed_world_observe(cluster.world, drop_large, NULL);
    send_raw(FIRST_SIZE, 1);
    ed_cluster_run_for(&cluster, ED_NS_PER_MS);
    send_raw(0, BEHIND);
    ed_cluster_run_for(&cluster, HOLD_BACK_MS * ED_NS_PER_MS);
    CHECK_EQ("held back", read_raw(0), 0);
    CHECK("alive", !cluster.nodes[1].endpoints[0].disconnected);

    ed_world_observe(cluster.world, NULL, NULL);
    for (int ms = 0; received < BEHIND + 1 && ms < LIMIT_S * 1000; ms++) {
        ed_cluster_run_for(&cluster, ED_NS_PER_MS);
        received = read_raw(received);
    }
    CHECK_EQ("in the end", received, BEHIND + 1);
    CHECK("alive", !cluster.nodes[1].endpoints[0].disconnected);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_waits_for_its_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
