/** Memory: none is taken on the way of a message, budgets hold, and running out of it is survived.
 */
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/seeds.h"
#include "transport/limits.h"

enum {
    SETTLE_MS = 500,
    TICK_MS = 16,
    GUARANTEES = 5,
    PER_TICK = 100, /* messages of each node and tick: of all guarantees in turn */
    WARM_TICKS = 50,
    BURST = 10 * 1000,
    BURST_KEPT = 100, /* bytes for each message of it: at least, in records and references */
    MESSAGES = 1000 * 1000,
    MESSAGES_SLOW = 20 * 1000,
    SEND_BUDGET_LARGE = 32 << 20,
    BUDGET_SIZE = 64 * 1024, /* the smallest that a configuration allows */
    BLOCK_SIZE = 1280,       /* what a message of 1,000 bytes is charged */
    BUDGET_BLOCKS = BUDGET_SIZE / BLOCK_SIZE,
    SEND_BLOCKS = BUDGET_SIZE / (BLOCK_SIZE + 500), /* as messages of 1,000 bytes to send */
};

static ed_cluster cluster;

static void open_pair(const char *name, uint64_t seed, ed_sizes sizes, const eddy_config *server,
                      const eddy_config *client)
{
    ed_cluster_open(&cluster, name, seed);
    cluster.sizes = sizes;
    ed_cluster_add_pair(&cluster, server, client);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
}

static void set_loss(uint32_t loss_ppm)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = 10 * ED_NS_PER_MS;
    link.loss_ppm = loss_ppm;
    CHECK_EQ(cluster.name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

/* ---------------------------------------------------------------------- the way of a message -- */

static void talk(size_t ticks, size_t per_tick)
{
    for (size_t tick = 0; tick < ticks; tick++) {
        for (size_t n = 0; n < 2; n++)
            for (size_t i = 0; i < per_tick; i++)
                ed_node_send_many(&cluster.nodes[n], &cluster.nodes[n].endpoints[0],
                                  (eddy_guarantee)(i % GUARANTEES),
                                  (uint8_t)(i / GUARANTEES % ED_ORACLE_STREAMS), 1);
        ed_cluster_run_for(&cluster, TICK_MS * ED_NS_PER_MS);
    }
    ed_cluster_await_delivered(&cluster, 60 * ED_NS_PER_S);
}

/** Asks for more than what follows: of what is in flight, and of what waits behind what was lost.
 */
static void warm_up(uint32_t loss_ppm)
{
    const struct {
        uint32_t loss_factor;
        size_t per_tick;
    } rows[] = {
        {20, PER_TICK / 8}, {20, PER_TICK / 4},     {20, PER_TICK / 2},     {20, PER_TICK},
        {4, PER_TICK},      {4, 4 * PER_TICK},      {1, 4 * PER_TICK},      {1, 4 * PER_TICK},
        {1, 2 * PER_TICK},  {2, 2 * PER_TICK},      {10, 2 * PER_TICK},     {10, 2 * PER_TICK},
        {10, 4 * PER_TICK}, {20, 2 * PER_TICK},     {20, 3 * PER_TICK / 2}, {30, PER_TICK},
        {30, PER_TICK / 2}, {30, 3 * PER_TICK / 4}, {10, PER_TICK},         {4, PER_TICK}};

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        set_loss(rows[i].loss_factor * loss_ppm);
        talk(WARM_TICKS, rows[i].per_tick);
    }
    set_loss(loss_ppm);
}

static void a_warm_connection_allocates_nothing(void **state)
{
    const struct {
        const char *name;
        uint32_t loss_ppm;
        uint32_t share; /* of MESSAGES */
    } rows[] = {
        {"no loss", 0, 1},
        {"1 % loss", 10 * 1000, 4},
    };
    const uint64_t messages = ed_seeds_slow_build() ? MESSAGES_SLOW : MESSAGES;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config server = ed_cluster_server_config();
        eddy_config client = ed_cluster_client_config();
        uint64_t calls[2];

        server.connection_send_budget = client.connection_send_budget = SEND_BUDGET_LARGE;
        open_pair(rows[i].name, i, (ed_sizes){8, 64}, &server, &client);
        warm_up(rows[i].loss_ppm);
        for (size_t n = 0; n < 2; n++) {
            calls[n] = cluster.nodes[n].memory.calls;
            cluster.nodes[n].memory.fail_after = 0;
        }
        uint64_t sent = ed_cluster_stats(&cluster).messages_sent;
        talk((size_t)(messages / (2 * PER_TICK) / rows[i].share), PER_TICK);
        sent = ed_cluster_stats(&cluster).messages_sent - sent;
        CHECK_EQ(rows[i].name, sent, messages / rows[i].share);
        for (size_t n = 0; n < 2; n++) {
            CHECK_EQ(rows[i].name, cluster.nodes[n].memory.calls, calls[n]);
            CHECK_EQ(rows[i].name, cluster.nodes[n].memory.failures, 0);
            cluster.nodes[n].memory.fail_after = UINT64_MAX;
        }
        ed_cluster_shut_down(&cluster, 1000, 10 * ED_NS_PER_S);
        ed_cluster_close(&cluster);
    }
}

/** What a burst made a connection remember is let go when nothing has been sent for a while. */
static void a_connection_at_rest_gives_back_what_a_burst_took(void **state)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    (void)state;
    server.connection_send_budget = client.connection_send_budget = SEND_BUDGET_LARGE;
    open_pair("burst", 1, (ed_sizes){8, 64}, &server, &client);
    talk(1, BURST);
    size_t after_burst = cluster.nodes[0].memory.live_size;
    ed_cluster_run_for(&cluster, 3 * ED_REST_NS);
    size_t at_rest = cluster.nodes[0].memory.live_size;
    CHECK("given back", after_burst - at_rest >= BURST * BURST_KEPT);
    talk(1, BURST);
    CHECK("taken again", cluster.nodes[0].memory.live_size > at_rest);
    ed_cluster_shut_down(&cluster, 1000, 10 * ED_NS_PER_S);
    ed_cluster_close(&cluster);
}

/* ----------------------------------------------------------------------------------- budgets -- */

static void shrink_receive_budget(eddy_config *config)
{
    config->max_message_size = EDDY_PIECE_SIZE_MAX;
    config->receive_budget = BUDGET_SIZE;
    config->unreliable_budget = BUDGET_SIZE;
    config->max_connections = 1;
    config->max_outgoing = 0;
}

/** Sends until the budget is used up. @return how many were accepted. */
static size_t send_all(ed_node *node)
{
    size_t accepted = 0;
    eddy_status status = EDDY_OK;

    while ((status = ed_node_send(node, &node->endpoints[0], EDDY_RELIABLE_ORDERED, 0)) == EDDY_OK)
        accepted++;
    CHECK_EQ(cluster.name, status, EDDY_EAGAIN);
    return accepted;
}

static void a_used_up_send_budget_refuses_and_recovers(void **state)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    (void)state;
    client.send_budget = BUDGET_SIZE;
    client.max_message_size = EDDY_PIECE_SIZE_MAX;
    open_pair("send budget", 1, (ed_sizes){1000, 1000}, &server, &client);
    ed_node *node = &cluster.nodes[1];
    CHECK_EQ("full", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    CHECK_EQ("full", send_all(node), SEND_BLOCKS);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    CHECK_EQ("still full", send_all(node), 0);
    CHECK_EQ("mended", ed_world_block(cluster.world, NULL, NULL, false), EDDY_OK);
    for (int again = 0; again < 3; again++) {
        ed_cluster_await_delivered(&cluster, 2 * ED_NS_PER_S);
        ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS); // the acks, too
        CHECK_EQ("recovered", send_all(node), SEND_BLOCKS);
    }
    ed_cluster_close(&cluster);
}

/** However small messages are, what is kept of them is within the budget. */
static void a_send_budget_is_a_bound_on_heap(void **state)
{
    enum { SEND_SIZE = 1024 * 1024, AT_FIRST_SIZE = 32 * 1024, STREAM = 7 };
    static const struct {
        const char *name;
        eddy_guarantee guarantee;
        size_t size;
        eddy_send_options options;
        bool polls; /* after every message */
    } rows[] = {
        {"at once", EDDY_RELIABLE_ORDERED, 0, {0}, false},
        {"one by one", EDDY_RELIABLE_ORDERED, 0, {0}, true},
        {"with receipts", EDDY_RELIABLE_ORDERED, 0, {.receipt = 1}, false},
        {"with a deadline", EDDY_RELIABLE_UNORDERED, 0, {.expire_ms = 100000}, true},
        {"with both", EDDY_RELIABLE_SEQUENCED, 0, {.expire_ms = 100000, .receipt = 1}, true},
        {"unreliable", EDDY_UNRELIABLE, 0, {.receipt = 1}, false},
        {"small", EDDY_RELIABLE_ORDERED, 40, {.receipt = 1}, true},
        {"pieces", EDDY_RELIABLE_ORDERED, 1000, {.receipt = 1}, true},
        {"in parts", EDDY_RELIABLE_ORDERED, 60000, {.receipt = 1}, true},
    };
    static const uint8_t data[60000];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config server = ed_cluster_server_config();
        eddy_config client = ed_cluster_client_config();
        eddy_status status = EDDY_OK;
        size_t accepted = 0;
        client.send_budget = SEND_SIZE;
        open_pair(rows[i].name, i, (ed_sizes){8, 64}, &server, &client);
        ed_node *node = &cluster.nodes[1];
        CHECK_EQ(rows[i].name, ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
        uint64_t before_size = node->memory.live_size;
        for (; status == EDDY_OK; accepted += status == EDDY_OK ? 1 : 0) {
            status = eddy_send_with(node->manager, node->endpoints[0].handle, rows[i].guarantee,
                                    STREAM, data, rows[i].size, &rows[i].options);
            if (rows[i].polls)
                (void)eddy_poll(node->manager, ed_cluster_now_ns(&cluster));
        }
        CHECK_EQ(rows[i].name, status, EDDY_EAGAIN);
        (void)eddy_poll(node->manager, ed_cluster_now_ns(&cluster));
        uint64_t size = node->memory.peak_size - before_size;
        CHECK(rows[i].name, size <= SEND_SIZE + AT_FIRST_SIZE);
        CHECK(rows[i].name, accepted * (rows[i].size + 32) > SEND_SIZE / 20);
        ed_cluster_close(&cluster);
    }
}

static void a_program_that_does_not_read_loses_nothing(void **state)
{
    const struct {
        const char *name;
        uint32_t pause_s;
        uint32_t loss_ppm;
        size_t messages;
        uint8_t streams;
    } rows[] = {
        {"a moment", 1, 0, 200, 1},
        {"longer than the idle timeout", 60, 0, 200, 1},
        {"a moment, 10 % loss", 1, 100 * 1000, 400, 1},
        {"longer than the idle timeout, 10 % loss", 60, 100 * 1000, 400, 4},
        {"four streams, 20 % loss", 5, 200 * 1000, 400, 4},
        {"from the first message on", 30, 0, 80, 1},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config server_config = ed_cluster_server_config();
        eddy_config client_config = ed_cluster_client_config();
        shrink_receive_budget(&server_config);
        open_pair(rows[i].name, i, (ed_sizes){1000, 1000}, &server_config, &client_config);
        set_loss(rows[i].loss_ppm);
        ed_node *server = &cluster.nodes[0];
        ed_node *client = &cluster.nodes[1];
        uint64_t before_size = server->memory.live_size;
        server->is_reading = false;
        for (size_t m = 0; m < rows[i].messages; m++)
            ed_node_send_many(client, &client->endpoints[0], EDDY_RELIABLE_ORDERED,
                              (uint8_t)(m % rows[i].streams), 1);
        ed_cluster_run_for(&cluster, rows[i].pause_s * ED_NS_PER_S);
        CHECK(rows[i].name, server->memory.live_size < before_size + BUDGET_SIZE);
        // It was granted less than was sent; the rest waits where it is.
        CHECK_EQ(rows[i].name, ed_node_stats(server).dropped_memory, 0);
        CHECK(rows[i].name, ed_node_stats(server).messages_delivered < BUDGET_BLOCKS);
        CHECK(rows[i].name, !client->endpoints[0].disconnected);

        server->is_reading = true;
        ed_cluster_await_delivered(&cluster, 60 * ED_NS_PER_S);
        CHECK(rows[i].name, !server->endpoints[0].disconnected);
        ed_cluster_shut_down(&cluster, 5000, 10 * ED_NS_PER_S);
        ed_cluster_close(&cluster);
    }
}

/** One lane must not fill the budget with what came too early, and so keep out what it waits for.
 */
static void early_messages_leave_room_for_those_they_wait_for(void **state)
{
    enum { SEEDS = 20, BATCH = 300, LIMIT_S = 60 };

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        eddy_config server = ed_cluster_server_config();
        eddy_config client = ed_cluster_client_config();
        shrink_receive_budget(&server);
        open_pair("early messages", seed, (ed_sizes){1000, 1000}, &server, &client);
        ed_node *node = &cluster.nodes[1];
        // First the window grows to more than the budget, then a part of a flight is lost.
        set_loss(0);
        ed_node_send_many(node, &node->endpoints[0], EDDY_RELIABLE_ORDERED, 0, BATCH);
        ed_cluster_await_delivered(&cluster, 10 * ED_NS_PER_S);
        set_loss(100 * 1000);
        ed_node_send_many(node, &node->endpoints[0], EDDY_RELIABLE_ORDERED, 0, BATCH);
        ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
        ed_cluster_close(&cluster);
    }
}

/* ---------------------------------------------------------------------------- without memory -- */

static void send_some(ed_node *node)
{
    for (size_t i = 0; node->manager != NULL && node->endpoint_count > 0 && i < 20; i++) {
        eddy_status status =
            ed_node_send(node, &node->endpoints[0],
                         i % 3 == 0 ? EDDY_UNRELIABLE : EDDY_RELIABLE_ORDERED, (uint8_t)(i % 3));
        CHECK(cluster.name, status == EDDY_OK || status == EDDY_EAGAIN ||
                                status == EDDY_ECONNECTION || status == EDDY_ECLOSED);
    }
}

/** Runs a while; when `once`, the first failure is the only one. */
static void run_with(ed_node *poor, bool once, uint64_t duration_ns)
{
    uint64_t until_ns = ed_cluster_now_ns(&cluster) + duration_ns;

    while (ed_world_next_ns(cluster.world) <= until_ns && ed_world_step(cluster.world))
        if (once && poor->memory.failures > 0)
            poor->memory.fail_after = UINT64_MAX;
    ed_world_run_until(cluster.world, until_ns);
}

/** Connects, transfers and closes, with a node that is out of memory after `k` allocations. */
static void live_poorly(ed_node *poor, bool once)
{
    ed_node *server = &cluster.nodes[0];
    ed_node *client = &cluster.nodes[1];

    if (server->manager == NULL || client->manager == NULL)
        return;
    (void)ed_node_try_connect(client, server);
    send_some(client);
    run_with(poor, once, ED_NS_PER_S);
    for (int again = 0; again < 3; again++) {
        send_some(client);
        send_some(server);
        run_with(poor, once, ED_NS_PER_S / 2);
    }
    if (client->endpoint_count > 0)
        (void)eddy_disconnect(client->manager, client->endpoints[0].handle, 1, "enough", 1000);
    ed_world_touch(cluster.world, client->host);
    run_with(poor, once, 2 * ED_NS_PER_S);
    poor->memory.fail_after = UINT64_MAX;
    ed_cluster_shut_down(&cluster, 1000, 30 * ED_NS_PER_S);
}

static void running_out_of_memory_anywhere_is_survived(void **state)
{
    const struct {
        const char *name;
        size_t poor;
        bool once;
    } rows[] = {
        {"the server, for a while", 0, false},
        {"the server, once", 0, true},
        {"the client, for a while", 1, false},
        {"the client, once", 1, true},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        bool failed = true;
        for (uint64_t k = 0; failed; k++) {
            eddy_config server = ed_cluster_server_config();
            eddy_config client = ed_cluster_client_config();
            ed_cluster_open(&cluster, rows[i].name, k);
            (void)ed_cluster_add(&cluster, &server);
            (void)ed_cluster_add(&cluster, &client);
            ed_node *poor = &cluster.nodes[rows[i].poor];
            ed_node_crash(poor);
            poor->memory.fail_after = k;
            eddy_status status = ed_node_start(poor);
            CHECK(rows[i].name, status == EDDY_OK || status == EDDY_ENOMEM);
            live_poorly(poor, rows[i].once);
            failed = poor->memory.failures > 0;
            ed_cluster_close(&cluster); // nothing has leaked
        }
    }
}

/** What is due and cannot leave for want of memory is tried again later, and not all the time. */
static void no_memory_for_a_probe_is_no_busy_loop(void **state)
{
    enum { MESSAGES_QUEUED = 1000, WITHOUT_S = 5 };
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    (void)state;
    open_pair("no memory for a probe", 1, (ed_sizes){1000, 1000}, &server, &client);
    ed_node *node = &cluster.nodes[1];
    set_loss(0); // and a delay, so that much is in flight at once
    ed_node_send_many(node, &node->endpoints[0], EDDY_RELIABLE_ORDERED, 0, MESSAGES_QUEUED);
    ed_cluster_run_for(&cluster, ED_NS_PER_MS);
    // The first flight has left. As the window grows, the log of what was sent must grow with it.
    node->memory.fail_after = 0;
    while (node->memory.failures == 0)
        CHECK("grows", ed_world_step(cluster.world) && !ed_cluster_all_delivered(&cluster));
    CHECK_EQ("cut", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    ed_cluster_run_for(&cluster, WITHOUT_S * ED_NS_PER_S); // the world would notice a busy loop
    CHECK("often", node->memory.failures < WITHOUT_S * 1000);

    node->memory.fail_after = UINT64_MAX;
    CHECK_EQ("mended", ed_world_block(cluster.world, NULL, NULL, false), EDDY_OK);
    ed_cluster_await_delivered(&cluster, 10 * ED_NS_PER_S);
    CHECK("not a flood", ed_node_stats(node).sent_datagrams < 2 * MESSAGES_QUEUED);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_connection_allocates_nothing),
        cmocka_unit_test(a_connection_at_rest_gives_back_what_a_burst_took),
        cmocka_unit_test(a_used_up_send_budget_refuses_and_recovers),
        cmocka_unit_test(a_send_budget_is_a_bound_on_heap),
        cmocka_unit_test(a_program_that_does_not_read_loses_nothing),
        cmocka_unit_test(early_messages_leave_room_for_those_they_wait_for),
        cmocka_unit_test(running_out_of_memory_anywhere_is_survived),
        cmocka_unit_test(no_memory_for_a_probe_is_no_busy_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
