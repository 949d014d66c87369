/** How connections end: politely, in time, without an answer, both at once, and all together. */
#include "core/addr.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"
#include "transport/limits.h"

enum {
    SETTLE_MS = 500,
    DRAIN_S = 3, /* the longest that a connection drains */
    IDLE_S = 10, /* the default timeout */
    MANY = 32,
};

static ed_cluster cluster;

/** A server (node 0) and a client (node 1), connected and quiet. */
static void open_pair(const char *name, uint64_t seed)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    ed_cluster_open(&cluster, name, seed);
    ed_cluster_add_pair(&cluster, &server, &client);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
}

static void set_loss(uint32_t loss_ppm)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = 20 * ED_NS_PER_MS;
    link.loss_ppm = loss_ppm;
    CHECK_EQ(cluster.name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

static void cut(void)
{
    CHECK_EQ(cluster.name, ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
}

static ed_endpoint *end_of(size_t node)
{
    return &cluster.nodes[node].endpoints[0];
}

/* ---------------------------------------------------------------------------------- politely -- */

static void a_polite_close_delivers_all_that_was_accepted(void **state)
{
    const struct {
        const char *name;
        size_t closer;
        size_t messages;
        uint32_t loss_ppm;
    } rows[] = {
        {"nothing to say", 1, 0, 0},
        {"one message", 1, 1, 0},
        {"the client closes", 1, 300, 0},
        {"the server closes", 0, 300, 0},
        {"the client closes, 20 % loss", 1, 300, 200 * 1000},
        {"the server closes, 20 % loss", 0, 300, 200 * 1000},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_node *node = &cluster.nodes[rows[i].closer];

        open_pair(rows[i].name, i);
        set_loss(rows[i].loss_ppm);
        ed_endpoint *closer = end_of(rows[i].closer);
        const ed_endpoint *other = end_of(1 - rows[i].closer);
        for (size_t m = 0; m < rows[i].messages; m++)
            ed_node_send_many(node, closer, EDDY_RELIABLE_ORDERED, m % ED_ORACLE_STREAMS, 1);
        ed_node_disconnect(node, closer, 7, "enough", EDDY_FOREVER);
        ed_cluster_await_disconnected(&cluster, closer, 60 * ED_NS_PER_S);
        CHECK_EQ(rows[i].name, ed_endpoint_received(other), rows[i].messages);
        CHECK_EQ(rows[i].name, closer->end.end, EDDY_END_CLOSED_LOCAL);
        CHECK_EQ(rows[i].name, closer->end.undelivered, 0);
        ed_cluster_run_for(&cluster, IDLE_S * ED_NS_PER_S);
        CHECK_EQ(rows[i].name, other->end.end, EDDY_END_CLOSED_REMOTE);
        ed_cluster_close(&cluster);
    }
}

static void unreliable_messages_are_flushed_too(void **state)
{
    enum { MESSAGES = 100 };

    (void)state;
    open_pair("unreliable", 1);
    ed_node_send_many(&cluster.nodes[1], end_of(1), EDDY_UNRELIABLE, 0, MESSAGES);
    ed_node_disconnect(&cluster.nodes[1], end_of(1), 0, NULL, EDDY_FOREVER);
    ed_cluster_await_disconnected(&cluster, end_of(0), ED_NS_PER_S);
    CHECK_EQ("unreliable", end_of(0)->unreliable_received, MESSAGES);
    ed_cluster_close(&cluster);
}

static void code_and_reason_arrive(void **state)
{
    static const char longest[] = "123456789 123456789 123456789 123456789 123456789 123456789 123";
    static const char longer[] = "123456789 123456789 123456789 123456789 123456789 123456789 1234";
    const struct {
        const char *name;
        uint32_t code;
        const char *reason;
        const char *arrives;
    } rows[] = {
        {"nothing", 0, NULL, ""},
        {"empty", 1, "", ""},
        {"a word", 4711, "kicked", "kicked"},
        {"the longest", UINT32_MAX, longest, longest},
        {"too long", 63, longer, longest},
    };

    static_assert(sizeof(longest) == EDDY_REASON_SIZE, "the longest that arrives");
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name, i);
        ed_node_disconnect(&cluster.nodes[0], end_of(0), rows[i].code, rows[i].reason, 1000);
        ed_cluster_await_disconnected(&cluster, end_of(0), ED_NS_PER_S);
        ed_cluster_await_disconnected(&cluster, end_of(1), ED_NS_PER_S);
        for (size_t n = 0; n < 2; n++) {
            CHECK_EQ(rows[i].name, end_of(n)->end.code, rows[i].code);
            CHECK_STR(rows[i].name, end_of(n)->end.reason, rows[i].arrives);
        }
        ed_cluster_close(&cluster);
    }
}

/* ----------------------------------------------------------------------------------- in time -- */

static void flushing_ends_at_its_deadline(void **state)
{
    const struct {
        const char *name;
        uint32_t flush_ms;
        size_t delivered; /* before the cut */
        size_t undelivered;
    } rows[] = {
        {"no time at all", 0, 0, 9},
        {"a moment", 700, 0, 9},
        {"a while, after a talk", 2500, 20, 9},
        {"nothing is left", 2500, 20, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name, i);
        ed_node *node = &cluster.nodes[1];
        ed_node_send_many(node, end_of(1), EDDY_RELIABLE_ORDERED, 0, rows[i].delivered);
        ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
        cut();
        ed_node_send_many(node, end_of(1), EDDY_RELIABLE_ORDERED, 0, rows[i].undelivered);
        ed_node_disconnect(node, end_of(1), 0, NULL, rows[i].flush_ms);
        uint64_t flush_ns = rows[i].undelivered == 0 ? 0 : rows[i].flush_ms * ED_NS_PER_MS;
        if (flush_ns > 0)
            ed_cluster_run_for(&cluster, flush_ns - 1);
        CHECK(rows[i].name, !end_of(1)->disconnected);
        ed_cluster_await_disconnected(&cluster, end_of(1), DRAIN_S * ED_NS_PER_S + 1);
        CHECK_EQ(rows[i].name, end_of(1)->end.end, EDDY_END_CLOSED_LOCAL);
        CHECK_EQ(rows[i].name, end_of(1)->end.undelivered, rows[i].undelivered);
        ed_cluster_run_for(&cluster, IDLE_S * ED_NS_PER_S);
        CHECK_EQ(rows[i].name, end_of(0)->end.end, EDDY_END_IDLE);
        ed_node_shutdown(node, 0);
        ed_cluster_run_for(&cluster, ED_NS_PER_MS);
        CHECK_EQ(rows[i].name, eddy_close(node->manager, 0),
                 rows[i].undelivered == 0 ? EDDY_OK : EDDY_EAGAIN);
        node->manager = NULL;
        ed_cluster_close(&cluster);
    }
}

/** The deadline of the flush comes while the acknowledgements are on their way. */
static void what_arrived_in_time_is_not_undelivered(void **state)
{
    (void)state;
    open_pair("acks while closing", 1);
    set_loss(0); // and 20 ms each way
    ed_node_send_many(&cluster.nodes[1], end_of(1), EDDY_RELIABLE_ORDERED, 0, 5);
    ed_node_disconnect(&cluster.nodes[1], end_of(1), 0, NULL, 30);
    ed_cluster_await_disconnected(&cluster, end_of(1), ED_NS_PER_S);
    CHECK_EQ("arrived", ed_endpoint_received(end_of(0)), 5);
    CHECK_EQ("undelivered", end_of(1)->end.undelivered, 0);
    ed_cluster_close(&cluster);
}

/** Drops the first so many datagrams of one node. */
typedef struct silencer {
    eddy_address from;
    uint32_t left;
} silencer;

static bool silence(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    silencer *s = context;

    (void)now_ns;
    if (s->left == 0 || !eddy_address_equal(&datagram->local, &s->from))
        return false;
    s->left--;
    return true;
}

static void a_close_may_be_lost(void **state)
{
    const struct {
        const char *name;
        size_t silent; /* node; the client closes */
        uint32_t count;
        eddy_end other; /* how the server's end ends */
    } rows[] = {
        {"none is lost", 1, 0, EDDY_END_CLOSED_REMOTE},
        {"the first copy", 1, 1, EDDY_END_CLOSED_REMOTE},
        {"two copies", 1, 2, EDDY_END_CLOSED_REMOTE},
        {"all copies", 1, ED_CLOSE_COPIES, EDDY_END_IDLE},
        {"the answer", 0, 1, EDDY_END_CLOSED_REMOTE},
        {"all answers", 0, UINT32_MAX, EDDY_END_CLOSED_REMOTE},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name, i);
        silencer s = {.from = cluster.nodes[rows[i].silent].address, .left = rows[i].count};
        ed_world_observe(cluster.world, silence, &s);
        ed_node_disconnect(&cluster.nodes[1], end_of(1), 0, NULL, 1000);
        ed_cluster_await_disconnected(&cluster, end_of(1), DRAIN_S * ED_NS_PER_S);
        ed_cluster_run_for(&cluster, IDLE_S * ED_NS_PER_S);
        CHECK_EQ(rows[i].name, end_of(1)->end.end, EDDY_END_CLOSED_LOCAL);
        CHECK_EQ(rows[i].name, end_of(0)->end.end, rows[i].other);
        ed_cluster_close(&cluster);
    }
}

static void both_ends_may_close_at_once(void **state)
{
    const struct {
        const char *name;
        uint64_t apart_us;
        size_t messages;
    } rows[] = {
        {"at the same time", 0, 0},
        {"half a way apart", 500, 0},
        {"with messages to flush", 0, 50},
        {"half a way apart, with messages", 500, 50},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name, i);
        for (size_t n = 0; n < 2; n++) {
            ed_node_send_many(&cluster.nodes[n], end_of(n), EDDY_RELIABLE_ORDERED, 0,
                              rows[i].messages);
            ed_node_disconnect(&cluster.nodes[n], end_of(n), (uint32_t)n, NULL, 5000);
            ed_cluster_run_for(&cluster, rows[i].apart_us * ED_NS_PER_US);
        }
        for (size_t n = 0; n < 2; n++)
            ed_cluster_await_disconnected(&cluster, end_of(n), DRAIN_S * ED_NS_PER_S);
        CHECK(rows[i].name, end_of(0)->end.end == EDDY_END_CLOSED_LOCAL ||
                                end_of(1)->end.end == EDDY_END_CLOSED_LOCAL);
        ed_cluster_run_for(&cluster, IDLE_S * ED_NS_PER_S);
        ed_cluster_close(&cluster);
    }
}

static void what_never_arrived_is_counted(void **state)
{
    enum { ARRIVED = 12, LOST = 7 };

    (void)state;
    open_pair("cut off", 1);
    for (size_t n = 0; n < 2; n++)
        ed_node_send_many(&cluster.nodes[n], end_of(n), EDDY_RELIABLE_ORDERED, 0, ARRIVED);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    cut();
    for (size_t n = 0; n < 2; n++) {
        ed_node_send_many(&cluster.nodes[n], end_of(n), EDDY_RELIABLE_ORDERED, 1, LOST + n);
        ed_node_send_many(&cluster.nodes[n], end_of(n), EDDY_UNRELIABLE, 0, 3);
    }
    ed_cluster_run_for(&cluster, IDLE_S * ED_NS_PER_S);
    for (size_t n = 0; n < 2; n++) {
        CHECK_EQ("cut off", end_of(n)->end.end, EDDY_END_IDLE);
        CHECK_EQ("cut off", end_of(n)->end.undelivered, LOST + n);
        CHECK_EQ("cut off", ed_node_stats(&cluster.nodes[n]).messages_undelivered, LOST + n);
    }
    ed_cluster_close(&cluster);
}

static void what_is_sent_after_the_end_is_refused(void **state)
{
    (void)state;
    open_pair("after the end", 1);
    ed_node *client = &cluster.nodes[1];
    ed_node_disconnect(&cluster.nodes[0], end_of(0), 0, NULL, 0);
    ed_cluster_await_disconnected(&cluster, end_of(1), ED_NS_PER_S);
    // It drains yet; but its last event, which counts what was not delivered, is made.
    CHECK_EQ("draining", ed_node_send(client, end_of(1), EDDY_RELIABLE_ORDERED, 0),
             EDDY_ECONNECTION);
    ed_cluster_run_for(&cluster, 2 * DRAIN_S * ED_NS_PER_S);
    CHECK_EQ("draining", ed_node_stats(client).messages_undelivered, 0);
    CHECK_EQ("stale", ed_node_send(client, end_of(1), EDDY_RELIABLE_ORDERED, 0), EDDY_ECONNECTION);
    CHECK_EQ("stale", eddy_disconnect(client->manager, end_of(1)->handle, 0, NULL, 0),
             EDDY_ECONNECTION);
    ed_cluster_close(&cluster);
}

static void what_nobody_reads_is_given_back(void **state)
{
    eddy_event events[8];

    (void)state;
    open_pair("unread", 1);
    ed_node *server = &cluster.nodes[0];
    server->is_reading = false;
    ed_node_send_many(&cluster.nodes[1], end_of(1), EDDY_RELIABLE_ORDERED, 0, 30);
    ed_node_send_many(&cluster.nodes[1], end_of(1), EDDY_UNRELIABLE, 0, 30);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    // Some are read and released; the rest goes with the manager.
    CHECK_EQ("unread", eddy_next_batch(server->manager, events, ED_COUNT(events)),
             ED_COUNT(events));
    for (size_t i = 0; i < ED_COUNT(events); i++)
        eddy_release(server->manager, &events[i]);
    ed_cluster_close(&cluster);
}

/* ------------------------------------------------------------------------------ all together -- */

static void open_many(const char *name, size_t clients)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    ed_cluster_open(&cluster, name, 1);
    (void)ed_cluster_add(&cluster, &server);
    for (size_t i = 1; i <= clients; i++)
        (void)ed_node_connect(ed_cluster_add(&cluster, &client), &cluster.nodes[0]);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
}

static void a_server_shuts_down_with_all_its_clients(void **state)
{
    enum { MESSAGES = 40, FLUSH_MS = 5000 };

    (void)state;
    open_many("shutdown", MANY);
    ed_node *server = &cluster.nodes[0];
    CHECK_EQ("connected", server->endpoint_count, MANY);
    for (size_t i = 0; i < MANY; i++) {
        ed_node *client = &cluster.nodes[i + 1];
        ed_node_send_many(server, &server->endpoints[i], EDDY_RELIABLE_ORDERED, 0, MESSAGES);
        ed_node_send_many(client, &client->endpoints[0], EDDY_RELIABLE_ORDERED, 0, MESSAGES);
    }
    ed_node_shutdown(server, FLUSH_MS);
    ed_cluster_run_for(&cluster, FLUSH_MS * ED_NS_PER_MS);
    CHECK("over", server->is_over);
    for (size_t i = 0; i < MANY; i++) {
        const ed_endpoint *theirs = &cluster.nodes[i + 1].endpoints[0];
        CHECK_EQ("server", server->endpoints[i].end.end, EDDY_END_CLOSED_LOCAL);
        CHECK_EQ("server", server->endpoints[i].end.undelivered, 0);
        CHECK_EQ("client", theirs->end.end, EDDY_END_CLOSED_REMOTE);
        CHECK_EQ("client", ed_endpoint_received(theirs), MESSAGES);
    }
    CHECK_EQ("close", eddy_close(server->manager, 0), EDDY_OK);
    server->manager = NULL;
    CHECK_EQ("memory", server->memory.live_count, 0);
    ed_cluster_close(&cluster);
}

static void after_shutdown_nothing_is_accepted(void **state)
{
    eddy_connection handle = 1;
    eddy_event event;

    (void)state;
    open_pair("shutdown", 1);
    ed_node *client = &cluster.nodes[1];
    ed_node_shutdown(client, 0);
    CHECK_EQ("send", ed_node_send(client, end_of(1), EDDY_RELIABLE_ORDERED, 0), EDDY_ECLOSED);
    CHECK_EQ("disconnect", eddy_disconnect(client->manager, end_of(1)->handle, 0, "no", 0),
             EDDY_ECLOSED);
    CHECK_EQ("connect",
             eddy_connect_address(client->manager, &cluster.nodes[0].address, ed_test_options(),
                                  &handle),
             EDDY_ECLOSED);
    CHECK_EQ("connect", handle, 0);
    ed_cluster_run_for(&cluster, DRAIN_S * ED_NS_PER_S);
    CHECK("over", client->is_over);
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ("for ever", eddy_next(client->manager, &event, 0), EDDY_ECLOSED);
        CHECK_EQ("for ever", event.type, EDDY_EVENT_NONE);
    }
    CHECK_EQ("send", ed_node_send(client, end_of(1), EDDY_RELIABLE_ORDERED, 0), EDDY_ECONNECTION);
    ed_cluster_close(&cluster);
}

static void a_shutdown_ends_what_has_hardly_begun(void **state)
{
    eddy_config config = ed_cluster_client_config();

    (void)state;
    ed_cluster_open(&cluster, "hardly begun", 1);
    ed_node *dialler = ed_cluster_add(&cluster, &config); // to a node that accepts nobody
    const ed_node *deaf = ed_cluster_add(&cluster, &config);
    const ed_endpoint *endpoint = ed_node_connect(dialler, deaf);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
    uint64_t start_ns = ed_cluster_now_ns(&cluster);
    ed_cluster_shut_down(&cluster, EDDY_FOREVER, ED_NS_PER_MS);
    CHECK_EQ("at once", endpoint->disconnected_ns, start_ns);
    CHECK_EQ("local", endpoint->end.end, EDDY_END_CLOSED_LOCAL);
    ed_cluster_close(&cluster);
}

static void a_second_shutdown_can_only_be_sooner(void **state)
{
    enum { LATER_MS = 8000, SOONER_MS = 1000 };

    (void)state;
    for (int sooner_first = 0; sooner_first < 2; sooner_first++) {
        const char *name = sooner_first != 0 ? "sooner, later" : "later, sooner";
        open_pair(name, 1);
        ed_node *client = &cluster.nodes[1];
        cut();
        ed_node_send_many(client, end_of(1), EDDY_RELIABLE_ORDERED, 0, 2);
        ed_node_shutdown(client, sooner_first != 0 ? SOONER_MS : LATER_MS);
        ed_cluster_run_for(&cluster, ED_NS_PER_MS);
        ed_node_shutdown(client, sooner_first != 0 ? LATER_MS : SOONER_MS);
        ed_cluster_run_for(&cluster, SOONER_MS * ED_NS_PER_MS - 2 * ED_NS_PER_MS);
        CHECK(name, !client->is_over);
        ed_cluster_run_for(&cluster, DRAIN_S * ED_NS_PER_S + 2 * ED_NS_PER_MS);
        CHECK(name, client->is_over);
        CHECK_EQ(name, end_of(1)->end.undelivered, 2);
        ed_cluster_close(&cluster);
    }
}

static void a_handle_that_was_never_valid_is_refused(void **state)
{
    const struct {
        const char *name;
        eddy_connection add; /* to a valid handle */
    } rows[] = {
        {"the next slot", 1},
        {"the next generation", UINT64_C(1) << 32},
        {"the generation after that", UINT64_C(2) << 32},
        {"far away", UINT64_C(0x7fffffff00000000)},
        {"no slot", UINT64_C(0xffffffff)},
    };

    (void)state;
    open_pair("handles", 1);
    eddy_manager *manager = cluster.nodes[1].manager;
    CHECK_EQ("zero", eddy_send(manager, 0, EDDY_UNRELIABLE, 0, "x", 1), EDDY_ECONNECTION);
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name,
                 eddy_send(manager, end_of(1)->handle + rows[i].add, EDDY_UNRELIABLE, 0, "x", 1),
                 EDDY_ECONNECTION);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_polite_close_delivers_all_that_was_accepted),
        cmocka_unit_test(unreliable_messages_are_flushed_too),
        cmocka_unit_test(code_and_reason_arrive),
        cmocka_unit_test(flushing_ends_at_its_deadline),
        cmocka_unit_test(what_arrived_in_time_is_not_undelivered),
        cmocka_unit_test(a_close_may_be_lost),
        cmocka_unit_test(both_ends_may_close_at_once),
        cmocka_unit_test(what_never_arrived_is_counted),
        cmocka_unit_test(what_is_sent_after_the_end_is_refused),
        cmocka_unit_test(what_nobody_reads_is_given_back),
        cmocka_unit_test(a_server_shuts_down_with_all_its_clients),
        cmocka_unit_test(after_shutdown_nothing_is_accepted),
        cmocka_unit_test(a_shutdown_ends_what_has_hardly_begun),
        cmocka_unit_test(a_second_shutdown_can_only_be_sooner),
        cmocka_unit_test(a_handle_that_was_never_valid_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
