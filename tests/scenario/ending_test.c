/** What is said at the end of a connection: the first word stays, and what was accepted leaves. */
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"

enum {
    SETTLE_MS = 500,
    DELAY_MS = 20, /* each way: so long at least does flushing take */
    CODE = 7,
    LIMIT_S = 20,
    AWAIT_MS = 10 * 1000,
};

static const char reason[] = "bye";

static ed_cluster cluster;

static void open_cluster(const char *name)
{
    ed_link_config link = ed_link_config_default();

    ed_cluster_open(&cluster, name, 1);
    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    CHECK_EQ(name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

/** A server (node 0) and a client (node 1), connected and quiet. */
static void open_pair(const char *name, const eddy_config *client)
{
    eddy_config server = ed_cluster_server_config();

    open_cluster(name);
    ed_cluster_add_pair(&cluster, &server, client);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
}

static ed_endpoint *end_of(size_t node)
{
    return &cluster.nodes[node].endpoints[0];
}

static void check_end(const char *name, const eddy_event_disconnected *got, eddy_end end,
                      uint64_t undelivered)
{
    CHECK_EQ(name, got->end, end);
    CHECK_EQ(name, got->code, CODE);
    CHECK_STR(name, got->reason, reason);
    CHECK_EQ(name, got->undelivered, undelivered);
}

/* ---------------------------------------------------------------------------- the first word -- */

static void close_again(ed_node *node, ed_endpoint *endpoint, uint32_t flush_ms)
{
    ed_node_disconnect(node, endpoint, CODE + 1, "another", flush_ms);
}

static void shut_down(ed_node *node, ed_endpoint *endpoint, uint32_t flush_ms)
{
    (void)endpoint;
    ed_node_shutdown(node, flush_ms);
}

static void a_shutdown_does_not_change_what_a_disconnect_said(void **state)
{
    const struct {
        const char *name;
        size_t closer; /* node */
        void (*then)(ed_node *node, ed_endpoint *endpoint, uint32_t flush_ms);
        uint64_t after_ms;
        uint32_t flush_ms;
        uint64_t undelivered; /* as far as the closer knows */
    } rows[] = {
        {"at once", 1, shut_down, 0, 1000, 0},
        {"while it flushes", 1, shut_down, DELAY_MS / 2, 1000, 0},
        {"while it flushes, the server", 0, shut_down, DELAY_MS / 2, 1000, 0},
        {"with less time", 1, shut_down, 1, 5 * DELAY_MS, 0},
        {"with no more time, before it hears", 1, shut_down, DELAY_MS + 1, 0, 1},
        {"with no more time, as it has heard", 1, shut_down, 4 * DELAY_MS, 0, 0},
        {"while it closes", 1, shut_down, 2 * DELAY_MS + 1, 1000, 0},
        {"another disconnect", 1, close_again, DELAY_MS / 2, 1000, 0},
    };
    eddy_config config = ed_cluster_client_config();

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name, &config);
        size_t other = 1 - rows[i].closer;
        ed_node *closer = &cluster.nodes[rows[i].closer];
        ed_node_send_many(closer, end_of(rows[i].closer), EDDY_RELIABLE_ORDERED, 0, 1);
        ed_node_disconnect(closer, end_of(rows[i].closer), CODE, reason, 1000);
        ed_cluster_run_for(&cluster, rows[i].after_ms * ED_NS_PER_MS);
        CHECK(rows[i].name, !end_of(rows[i].closer)->disconnected);
        rows[i].then(closer, end_of(rows[i].closer), rows[i].flush_ms);
        for (size_t n = 0; n < 2; n++)
            ed_cluster_await_disconnected(&cluster, end_of(n), LIMIT_S * ED_NS_PER_S);
        CHECK_EQ(rows[i].name, ed_endpoint_received(end_of(other)), 1);
        check_end(rows[i].name, &end_of(rows[i].closer)->end, EDDY_END_CLOSED_LOCAL,
                  rows[i].undelivered);
        check_end(rows[i].name, &end_of(other)->end, EDDY_END_CLOSED_REMOTE, 0);
        ed_cluster_close(&cluster);
    }
}

static eddy_manager *open_on_loopback(bool accept)
{
    eddy_config config = eddy_config_default();
    eddy_manager *manager = NULL;

    config.bind = "127.0.0.1:0";
    config.accept = accept;
    config.secret_key = ed_test_secret();
    CHECK_EQ("open", eddy_open(&manager, &config), EDDY_OK);
    return manager;
}

/** With a pump, eddy_close is what shuts down. */
static void nor_does_a_close(void **state)
{
    eddy_manager *server = open_on_loopback(true);
    eddy_manager *client = open_on_loopback(false);
    eddy_address address = eddy_local_address(server);
    eddy_connection handle = 0;
    eddy_event event;

    (void)state;
    CHECK_EQ("dial", eddy_connect_address(client, &address, ed_test_options(), &handle), EDDY_OK);
    CHECK_EQ("client", eddy_await(client, EDDY_CONNECTED, &event, AWAIT_MS), EDDY_OK);
    CHECK_EQ("send", eddy_send(client, handle, EDDY_RELIABLE_ORDERED, 0, "x", 1), EDDY_OK);
    CHECK_EQ("end", eddy_disconnect(client, handle, CODE, reason, AWAIT_MS), EDDY_OK);
    CHECK_EQ("all has arrived", eddy_close(client, AWAIT_MS), EDDY_OK);
    CHECK_EQ("server", eddy_await(server, EDDY_MESSAGE, &event, AWAIT_MS), EDDY_OK);
    eddy_release(server, &event);
    CHECK_EQ("server", eddy_await(server, EDDY_DISCONNECTED, &event, AWAIT_MS), EDDY_OK);
    check_end("server", &event.disconnected, EDDY_END_CLOSED_REMOTE, 0);
    CHECK_EQ("close", eddy_close(server, 0), EDDY_OK);
}

/** The peer that was closed has lost its state and dials again, before it could have answered. */
static void a_peer_that_comes_back_does_not_change_it_either(void **state)
{
    eddy_config config = ed_cluster_client_config();

    (void)state;
    open_pair("a kick", &config);
    ed_node *server = &cluster.nodes[0];
    ed_node *client = &cluster.nodes[1];
    ed_node_crash(client);
    ed_node_disconnect(server, end_of(0), CODE, reason, 0);
    CHECK_EQ("back", ed_node_start(client), EDDY_OK);
    const ed_endpoint *again = ed_node_connect(client, server);
    while (server->endpoint_count == 1)
        CHECK("a kick", ed_world_step(cluster.world));
    CHECK("the old one ended first", end_of(0)->disconnected);
    check_end("the old one", &end_of(0)->end, EDDY_END_CLOSED_LOCAL, 0);
    ed_cluster_await_connected(&cluster, again, ED_NS_PER_S);
    CHECK("the new one", ed_node_newest(server)->connected);
    ed_cluster_run_for(&cluster, LIMIT_S * ED_NS_PER_S);
    CHECK("the new one stays", !ed_node_newest(server)->disconnected && !again->disconnected);
    ed_cluster_close(&cluster);
}

/** There is always room for saying why. */
static void a_used_up_send_budget_leaves_room_for_a_reason(void **state)
{
    eddy_config config = ed_cluster_client_config();
    eddy_status status = EDDY_OK;

    (void)state;
    config.send_budget = 64 * 1024;
    config.max_message_size = EDDY_PIECE_SIZE_MAX;
    open_pair("budget", &config);
    ed_node *client = &cluster.nodes[1];
    while (status == EDDY_OK)
        status = ed_node_send(client, end_of(1), EDDY_RELIABLE_ORDERED, 0);
    while (eddy_send(client->manager, end_of(1)->handle, EDDY_UNRELIABLE, 0, NULL, 0) == EDDY_OK)
        continue;
    CHECK_EQ("used up", status, EDDY_EAGAIN);
    cluster.nodes[0].is_reading = false; // what fills the last bytes is not of the oracle
    ed_node_disconnect(client, end_of(1), CODE, reason, 0);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);

    eddy_event event;
    CHECK_EQ("server", eddy_next(cluster.nodes[0].manager, &event, 0), EDDY_OK);
    while (event.type == EDDY_MESSAGE) {
        eddy_release(cluster.nodes[0].manager, &event);
        CHECK_EQ("server", eddy_next(cluster.nodes[0].manager, &event, 0), EDDY_OK);
    }
    CHECK_EQ("server", event.type, EDDY_DISCONNECTED);
    check_end("server", &event.disconnected, EDDY_END_CLOSED_REMOTE, 0);
    ed_cluster_close(&cluster);
}

/* ----------------------------------------------------------------------- before it has begun -- */

static void end_by_disconnect(ed_node *node, ed_endpoint *endpoint, uint32_t flush_ms)
{
    ed_node_disconnect(node, endpoint, CODE, reason, flush_ms);
}

/** Dials node 0, sends, and ends at once. The peer is there, or it accepts nobody. */
static void what_was_sent_before_connecting_is_flushed(void **state)
{
    const struct {
        const char *name;
        bool is_there;
        void (*end)(ed_node *node, ed_endpoint *endpoint, uint32_t flush_ms);
        uint32_t flush_ms;
        size_t messages;
        uint64_t lasts_ms; /* until the end, exactly; where nobody is there */
        eddy_end want;
    } rows[] = {
        {"shutdown", true, shut_down, 5000, 1, 0, EDDY_END_CLOSED_LOCAL},
        {"disconnect", true, end_by_disconnect, 5000, 1, 0, EDDY_END_CLOSED_LOCAL},
        {"many messages", true, shut_down, 5000, 300, 0, EDDY_END_CLOSED_LOCAL},
        {"for ever", true, shut_down, EDDY_FOREVER, 1, 0, EDDY_END_CLOSED_LOCAL},
        {"shutdown, absent", false, shut_down, 5000, 1, 5000, EDDY_END_CLOSED_LOCAL},
        {"disconnect, absent", false, end_by_disconnect, 700, 1, 700, EDDY_END_CLOSED_LOCAL},
        {"no time, absent", false, shut_down, 0, 1, 0, EDDY_END_CLOSED_LOCAL},
        {"nothing, absent", false, shut_down, 5000, 0, 0, EDDY_END_CLOSED_LOCAL},
        {"for ever, absent", false, shut_down, EDDY_FOREVER, 1, 10 * 1000, EDDY_END_NO_ANSWER},
    };
    eddy_config client_config = ed_cluster_client_config();

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config config = ed_cluster_server_config();
        config.accept = rows[i].is_there;
        open_cluster(rows[i].name);
        ed_node *peer = ed_cluster_add(&cluster, &config);
        ed_node *node = ed_cluster_add(&cluster, &client_config);
        ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
        uint64_t start_ns = ed_cluster_now_ns(&cluster);
        ed_endpoint *endpoint = ed_node_connect(node, peer);
        ed_node_send_many(node, endpoint, EDDY_RELIABLE_ORDERED, 0, rows[i].messages);
        rows[i].end(node, endpoint, rows[i].flush_ms);
        ed_cluster_await_disconnected(&cluster, endpoint, LIMIT_S * ED_NS_PER_S);

        CHECK_EQ(rows[i].name, endpoint->end.end, rows[i].want);
        CHECK_EQ(rows[i].name, endpoint->end.undelivered, rows[i].is_there ? 0 : rows[i].messages);
        if (rows[i].is_there)
            CHECK_EQ(rows[i].name, ed_endpoint_received(ed_node_newest(peer)), rows[i].messages);
        else
            CHECK_EQ(rows[i].name, endpoint->disconnected_ns - start_ns,
                     rows[i].lasts_ms * ED_NS_PER_MS);
        if (rows[i].end == end_by_disconnect)
            CHECK_STR(rows[i].name, endpoint->end.reason, reason);
        ed_cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shutdown_does_not_change_what_a_disconnect_said),
        cmocka_unit_test(nor_does_a_close),
        cmocka_unit_test(a_peer_that_comes_back_does_not_change_it_either),
        cmocka_unit_test(a_used_up_send_budget_leaves_room_for_a_reason),
        cmocka_unit_test(what_was_sent_before_connecting_is_flushed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
