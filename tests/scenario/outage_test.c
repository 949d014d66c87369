/** Transfers that go on: across an outage in the middle, and one way for as long as one likes. */
#include "tests/support/check.h"
#include "tests/support/cluster.h"

enum {
    BIG_SIZE = EDDY_PIECE_SIZE_MAX,
    STREAMS = 32,
    PER_STREAM = 8000, /* within the window of a lane */
    LOOK_MS = 10,
    BUDGET_SIZE =
        512 << 20, /* all that is sent at once: many small ones, with what is kept of each */
};

static ed_cluster cluster;

/** A server (node 0), whose events this file takes itself, and a client (node 1), connected. */
static void open_pair(const char *name, uint64_t delay_ns)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();
    ed_link_config link = ed_link_config_default();

    client.send_budget = client.connection_send_budget = BUDGET_SIZE;
    ed_cluster_open(&cluster, name, 1);
    link.delay_ns = delay_ns;
    CHECK_EQ(name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
    ed_cluster_add_pair(&cluster, &server, &client);
    cluster.nodes[0].is_reading = false;
}

static eddy_status try_send(uint8_t stream, size_t size)
{
    static const uint8_t data[BIG_SIZE];
    ed_node *client = &cluster.nodes[1];
    eddy_status status = eddy_send(client->manager, client->endpoints[0].handle,
                                   EDDY_RELIABLE_ORDERED, stream, data, size);

    if (status == EDDY_EAGAIN)
        ed_endpoint_on_refused(&client->endpoints[0]);
    else
        ed_world_touch(cluster.world, client->host);
    return status;
}

static void send_raw(uint8_t stream, size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(cluster.name, try_send(stream, size), EDDY_OK);
}

/** Takes what has come to the server. @return how many messages. */
static size_t read_raw(void)
{
    ed_node *server = &cluster.nodes[0];
    size_t count = 0;
    eddy_event event;

    for (; eddy_next(server->manager, &event, 0) == EDDY_OK; count++) {
        CHECK_EQ(cluster.name, event.type, EDDY_MESSAGE);
        eddy_release(server->manager, &event);
    }
    return count;
}

static void await_count(size_t count, uint64_t limit_ns)
{
    uint64_t until_ns = ed_cluster_now_ns(&cluster) + limit_ns;

    for (size_t received = 0; received < count; received += read_raw()) {
        CHECK(cluster.name, ed_cluster_now_ns(&cluster) < until_ns);
        ed_cluster_run_for(&cluster, LOOK_MS * ED_NS_PER_MS);
    }
}

/* ------------------------------------------------------------------------------------ outage -- */

/** When the client last sent, and after how long a silence at most. */
struct watch {
    eddy_address from;
    uint64_t last_ns;
    uint64_t silence_max_ns;
};

static bool watch_client(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    struct watch *w = context;

    if (!eddy_address_equal(&datagram->local, &w->from))
        return false;
    w->silence_max_ns = ed_max_u64(w->silence_max_ns, now_ns - w->last_ns);
    w->last_ns = now_ns;
    return false;
}

/** So many small messages are in flight that they fill every log; nothing may keep probes back. */
static void many_streams_survive_an_outage(void **state)
{
    enum { DELAY_MS = 50, WARM = 3000, OUTAGE_S = 3, SILENCE_MAX_MS = 500, LIMIT_S = 60 };

    (void)state;
    open_pair("outage", DELAY_MS * ED_NS_PER_MS);
    send_raw(0, BIG_SIZE, WARM); // the window grows
    await_count(WARM, LIMIT_S * ED_NS_PER_S);
    for (uint8_t stream = 1; stream <= STREAMS; stream++)
        send_raw(stream, 0, PER_STREAM);
    ed_cluster_run_for(&cluster, (DELAY_MS - 2) * ED_NS_PER_MS);
    CHECK_EQ("cut", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);

    struct watch watch = {.from = cluster.nodes[1].address, .last_ns = ed_cluster_now_ns(&cluster)};
    uint64_t probes = ed_node_stats(&cluster.nodes[1]).probes_sent;
    ed_world_observe(cluster.world, watch_client, &watch);
    ed_cluster_run_for(&cluster, OUTAGE_S * ED_NS_PER_S);
    CHECK("probes", ed_node_stats(&cluster.nodes[1]).probes_sent > probes);
    CHECK("never silent", watch.silence_max_ns < SILENCE_MAX_MS * ED_NS_PER_MS);
    CHECK("to the end",
          ed_cluster_now_ns(&cluster) - watch.last_ns < SILENCE_MAX_MS * ED_NS_PER_MS);

    CHECK_EQ("mended", ed_world_block(cluster.world, NULL, NULL, false), EDDY_OK);
    await_count((size_t)STREAMS * PER_STREAM, LIMIT_S * ED_NS_PER_S);
    CHECK("alive", !cluster.nodes[1].endpoints[0].disconnected);
    CHECK_EQ("all", ed_node_stats(&cluster.nodes[0]).messages_delivered,
             WARM + STREAMS * PER_STREAM);
    ed_cluster_close(&cluster);
}

/* ------------------------------------------------------------------------------------ upload -- */

/** Uploads as fast as it can. @return the longest time in which nothing arrived. */
static uint64_t upload(size_t count)
{
    size_t sent = 0, received = 0;
    uint64_t last_ns = ed_cluster_now_ns(&cluster);
    uint64_t silence_max_ns = 0;

    while (received < count) {
        while (sent < count && try_send((uint8_t)(sent % STREAMS), BIG_SIZE) == EDDY_OK)
            sent++;
        CHECK(cluster.name, ed_world_step(cluster.world));
        size_t got = read_raw();
        uint64_t now_ns = ed_cluster_now_ns(&cluster);
        silence_max_ns = ed_max_u64(silence_max_ns, now_ns - last_ns);
        last_ns = got > 0 ? now_ns : last_ns;
        received += got;
    }
    return silence_max_ns;
}

/** The receiver sends acknowledgements alone, and must not run out of places to remember them. */
static void a_one_way_upload_never_stalls(void **state)
{
    enum { DELAY_MS = 1, MESSAGES = 100 * 1000, SILENCE_MAX_MS = 30 };

    (void)state;
    open_pair("upload", DELAY_MS * ED_NS_PER_MS);
    CHECK("no stall", upload(MESSAGES) <= SILENCE_MAX_MS * ED_NS_PER_MS);
    CHECK_EQ("all", ed_node_stats(&cluster.nodes[0]).messages_delivered, MESSAGES);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_streams_survive_an_outage),
        cmocka_unit_test(a_one_way_upload_never_stalls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
