/** Credit: a program that does not read costs its budgets and no more, and nobody waits for ever.
 */
#include "sim/random.h"
#include <stdlib.h>

#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/seeds.h"

enum {
    KIB = 1024,
    LIMIT_S = 60,
};

static ed_cluster cluster;

/** Another for each world, or keys would be used again. */
static uint64_t next_seed(void)
{
    static uint64_t seed;

    return ++seed;
}

static void set_link(uint64_t delay_ms, uint64_t rate_bps, uint32_t loss_ppm)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = delay_ms * ED_NS_PER_MS;
    link.rate_bps = rate_bps;
    link.queue_size = 256 * KIB;
    link.loss_ppm = loss_ppm;
    CHECK_EQ(cluster.name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

static eddy_status send(ed_node *node, ed_endpoint *endpoint, eddy_guarantee guarantee, size_t size)
{
    ed_parcel parcel = {.guarantee = guarantee, .stream = 1, .size = size};

    return ed_node_send_parcel(node, endpoint, &parcel);
}

static void finish(void)
{
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    ed_cluster_run_for(&cluster, 2 * ED_NS_PER_S);
    ed_cluster_check_settled(&cluster);
    ed_cluster_shut_down(&cluster, 5000, LIMIT_S * ED_NS_PER_S);
    ed_cluster_close(&cluster);
}

/* --------------------------------------------------------------------------- an hour unread -- */

enum {
    TICK_MS = 200,
    UNRELIABLE_PER_TICK = 8,
    RELIABLE_PER_TICK = 12,
    OVERHEAD_SIZE = 192 * KIB, /* a connection, its logs and lanes; besides what stands at first */
};

/** Fills the send budget, and sends unreliable messages on top. */
static void press(ed_node *node, ed_endpoint *endpoint, size_t size)
{
    for (int i = 0; i < UNRELIABLE_PER_TICK; i++)
        (void)send(node, endpoint, i % 2 == 0 ? EDDY_UNRELIABLE : EDDY_UNRELIABLE_SEQUENCED,
                   ed_max_u64(ed_min_size(size, 8 * KIB), ED_NOTE_HEADER_SIZE));
    for (int i = 0; i < RELIABLE_PER_TICK; i++)
        (void)send(node, endpoint, (eddy_guarantee)(EDDY_RELIABLE_UNORDERED + i % 3),
                   ed_max_u64(size, ED_NOTE_HEADER_SIZE));
}

/** Nobody reads, at either end, for an hour (EDDY_FULL) or less; heap stays within the budgets, the
 * connection stands, all is kept.
 */
static void an_hour_unread_costs_the_budgets(void **state)
{
    static const struct {
        const char *name;
        size_t size;
        size_t budget;
    } rows[] = {
        {"small messages", 20, 256 * KIB},
        {"pieces", 1000, 256 * KIB},
        {"in parts", 20 * KIB, 512 * KIB},
        {"the smallest budget", 1000, 64 * KIB},
    };
    uint32_t hour_s = getenv("EDDY_FULL") != NULL ? 3600 : 600;

    (void)state;
    if (ed_seeds_slow_build())
        hour_s /= 4;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config config = ed_cluster_server_config();
        config.max_connections = config.max_outgoing = 1;
        config.max_message_size = ed_max_u64(rows[i].size, EDDY_PIECE_SIZE_MAX);
        config.send_budget = config.receive_budget = rows[i].budget;
        config.connection_send_budget = rows[i].budget;
        config.unreliable_budget = 64 * KIB;
        ed_cluster_open(&cluster, rows[i].name, next_seed());
        ed_cluster_add_pair(&cluster, &config, &config);
        set_link(10, 0, 10 * 1000);
        for (size_t n = 0; n < 2; n++) {
            ed_node *node = &cluster.nodes[n];
            node->is_reading = false;
            node->memory_max = node->memory.live_size + 2 * rows[i].budget + OVERHEAD_SIZE;
        }
        for (uint32_t tick = 0; tick < hour_s * 1000 / TICK_MS; tick++) {
            for (size_t n = 0; n < 2; n++)
                press(&cluster.nodes[n], &cluster.nodes[n].endpoints[0], rows[i].size);
            ed_cluster_run_for(&cluster, TICK_MS * ED_NS_PER_MS);
        }
        eddy_stats stats = ed_cluster_stats(&cluster);
        CHECK(rows[i].name, stats.messages_shed_received > 0);
        CHECK(rows[i].name, stats.sends_refused > 0);
        CHECK_EQ(rows[i].name, stats.dropped_memory, 0);
        for (size_t n = 0; n < 2; n++) {
            cluster.nodes[n].is_reading = true;
            ed_world_touch(cluster.world, cluster.nodes[n].host);
        }
        ed_cluster_run_for(&cluster, ED_NS_PER_S);
        for (size_t n = 0; n < 2; n++)
            CHECK(rows[i].name, !cluster.nodes[n].endpoints[0].disconnected);
        finish();
    }
}

/* ------------------------------------------------------------------------------- a few kept -- */

enum {
    KEPT_MAX = 2,
    KEPT_OF = 1000,
    KEPT_SIZE_MIN = 900, /* around a piece: some are in parts, and cost two pages */
    KEPT_SIZE_RANGE = 280,
};

/** Takes what has come; the newest `kept` stay. @return how many came. */
static size_t take_and_keep(ed_node *node, eddy_event *events, size_t *held, size_t kept)
{
    size_t got = 0;

    for (; eddy_next(node->manager, &events[*held], 0) == EDDY_OK; got++) {
        CHECK_EQ(cluster.name, events[*held].type, EDDY_MESSAGE);
        if (++*held <= kept)
            continue;
        eddy_release(node->manager, &events[0]);
        memmove(events, events + 1, --*held * sizeof(*events));
    }
    ed_world_touch(cluster.world, node->host);
    return got;
}

static void send_around_a_piece(ed_node *node, uint64_t seed)
{
    ed_rng rng = ed_rng_of(seed);

    for (size_t m = 0; m < KEPT_OF; m++) {
        size_t size = KEPT_SIZE_MIN + (size_t)ed_rng_below(&rng, KEPT_SIZE_RANGE);
        CHECK_EQ(cluster.name, send(node, &node->endpoints[0], EDDY_RELIABLE_UNORDERED, size),
                 EDDY_OK);
    }
}

/** A program may keep its newest messages until the next ones come: these come all the same. */
static void what_is_kept_holds_nothing_up(void **state)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    (void)state;
    server.max_message_size = 1200;
    server.receive_budget = server.unreliable_budget = 128 * KIB;
    server.max_connections = 5; // so that a window is as small as may be
    server.max_outgoing = 0;
    for (size_t kept = 1; kept <= KEPT_MAX; kept++) {
        eddy_event events[KEPT_MAX + 1] = {0};
        size_t held = 0;
        ed_cluster_open(&cluster, "kept", next_seed());
        ed_cluster_add_pair(&cluster, &server, &client);
        set_link(10, 0, 0);
        cluster.nodes[0].is_reading = false;
        send_around_a_piece(&cluster.nodes[1], kept);
        for (size_t got = 0; got < KEPT_OF;) {
            CHECK(cluster.name, ed_cluster_now_ns(&cluster) < LIMIT_S * ED_NS_PER_S);
            got += take_and_keep(&cluster.nodes[0], events, &held, kept);
            ed_cluster_run_for(&cluster, ED_NS_PER_MS);
        }
        while (held > 0)
            eddy_release(cluster.nodes[0].manager, &events[--held]);
        ed_cluster_close(&cluster);
    }
}

/* --------------------------------------------------------------------------- large messages -- */

/** Several need all that there is for one large message: each gets it in turn. */
static void large_messages_take_turns(void **state)
{
    static const struct {
        const char *name;
        size_t clients;
        size_t size;
        size_t factor; /* the budget, in messages */
        size_t each;
        uint32_t loss_ppm;
    } rows[] = {
        {"one", 1, 256 * KIB, 4, 3, 0},
        {"two", 2, 256 * KIB, 4, 3, 0},
        {"two, 5 % loss", 2, 256 * KIB, 4, 3, 50 * 1000},
        {"eight", 8, 256 * KIB, 4, 2, 0},
        {"eight, small ones", 8, 100 * KIB, 8, 3, 50 * 1000},
        {"two, a larger budget", 2, 64 * KIB, 16, 8, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config server = ed_cluster_server_config();
        eddy_config client = ed_cluster_client_config();
        server.max_message_size = rows[i].size;
        server.receive_budget = rows[i].factor * rows[i].size;
        server.max_connections = (uint32_t)rows[i].clients;
        server.max_outgoing = 0;
        ed_cluster_open(&cluster, rows[i].name, next_seed());
        (void)ed_cluster_add(&cluster, &server);
        set_link(10, 0, rows[i].loss_ppm);
        for (size_t c = 1; c <= rows[i].clients; c++) {
            ed_node *node = ed_cluster_add(&cluster, &client);
            ed_endpoint *endpoint = ed_node_connect(node, &cluster.nodes[0]);
            for (size_t m = 0; m < rows[i].each; m++) {
                CHECK_EQ(rows[i].name, send(node, endpoint, EDDY_RELIABLE_ORDERED, rows[i].size),
                         EDDY_OK);
                CHECK_EQ(rows[i].name, send(node, endpoint, EDDY_RELIABLE_UNORDERED, 500), EDDY_OK);
            }
        }
        finish();
    }
}

/**
 * A client begins a large message that it has no time to end, as a stream of a higher priority
 * takes all its rate: that is nobody's business, unless the room that it keeps is all there is.
 */
static void who_never_ends_gives_way(void **state)
{
    enum { SIZE = 100 * KIB, LIFE_S = 60 + SIZE / 600, OTHER_AT_S = 10, STEP_MS = 100 };
    static const struct {
        const char *name;
        bool another_waits;
    } rows[] = {
        {"in nobody's way", false},
        {"in another's way", true},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config server = ed_cluster_server_config();
        eddy_config client = ed_cluster_client_config();
        eddy_stream_options last = {.priority = EDDY_PRIORITY_COUNT - 1};
        server.max_message_size = SIZE;
        server.receive_budget = 4 * SIZE; // room for one of them
        server.max_connections = 2;
        server.max_outgoing = 0;
        client.rate_max = EDDY_RATE_MIN;
        ed_cluster_open(&cluster, rows[i].name, next_seed());
        ed_cluster_add_pair(&cluster, &server, &client);
        ed_node *slow = &cluster.nodes[1];
        ed_endpoint *endpoint = &slow->endpoints[0];
        ed_node_set_stream(slow, endpoint, 2, &last);
        ed_parcel large = {.guarantee = EDDY_RELIABLE_UNORDERED, .stream = 2, .size = SIZE};
        CHECK_EQ("begun", ed_node_send_parcel(slow, endpoint, &large), EDDY_OK);
        ed_cluster_run_for(&cluster, 2 * ED_NS_PER_S);
        ed_node *other = ed_cluster_add(&cluster, &client);
        other->config.rate_max = 0;
        for (unsigned step = 0; step < (LIFE_S + OTHER_AT_S) * 1000 / STEP_MS; step++) {
            if (step == OTHER_AT_S * 1000 / STEP_MS && rows[i].another_waits) {
                ed_endpoint *to = ed_node_connect(other, &cluster.nodes[0]);
                CHECK_EQ("another", send(other, to, EDDY_RELIABLE_UNORDERED, SIZE), EDDY_OK);
            }
            if (!endpoint->disconnected)
                (void)send(slow, endpoint, EDDY_RELIABLE_UNORDERED, 1000);
            ed_cluster_run_for(&cluster, STEP_MS * ED_NS_PER_MS);
            if (step < (LIFE_S - 5) * 1000 / STEP_MS)
                CHECK(rows[i].name, !endpoint->disconnected);
        }
        CHECK_EQ(rows[i].name, endpoint->disconnected, rows[i].another_waits);
        CHECK_EQ(rows[i].name, endpoint->end.end, rows[i].another_waits ? EDDY_END_PROTOCOL : 0);
        if (rows[i].another_waits) {
            ed_cluster_run_for(&cluster, LIMIT_S * ED_NS_PER_S);
            CHECK_EQ("its turn", other->endpoints[0].owed, 0);
        }
        ed_cluster_close(&cluster);
    }
}

/* ------------------------------------------------------------------------------- throughput -- */

/** The window grows to what the path takes: 16 KiB a round trip would be 160 KiB/s. */
static void a_window_grows_for_a_long_path(void **state)
{
    enum { DELAY_MS = 50, LIMIT_MS = 8000 };
    static const struct {
        const char *name;
        size_t size;
        size_t count;
    } rows[] = {
        {"pieces", 1000, 8000},
        {"in parts", 100 * 1000, 80},
        {"small", 100, 40 * 1000},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config config = ed_cluster_server_config();
        config.connection_send_budget = 32 * KIB * KIB;
        ed_cluster_open(&cluster, rows[i].name, next_seed());
        ed_cluster_add_pair(&cluster, &config, &config);
        set_link(DELAY_MS, 100 * 1000 * 1000, 0);
        ed_node *node = &cluster.nodes[1];
        uint64_t from_ns = ed_cluster_now_ns(&cluster);
        for (size_t m = 0; m < rows[i].count; m++)
            CHECK_EQ(rows[i].name,
                     send(node, &node->endpoints[0], EDDY_RELIABLE_UNORDERED, rows[i].size),
                     EDDY_OK);
        ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
        uint64_t took_ns = ed_cluster_now_ns(&cluster) - from_ns;
        CHECK(rows[i].name, took_ns < LIMIT_MS * ED_NS_PER_MS);
        finish();
    }
}

/* -------------------------------------------------------------------------------- newcomers -- */

/** Those that use all that windows may grow to do not keep out who comes later. */
static void newcomers_have_their_room(void **state)
{
    enum { ALL = 16 };
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    (void)state;
    server.max_message_size = 16 * KIB;
    server.receive_budget = 1024 * KIB;
    server.max_connections = ALL;
    server.max_outgoing = 0;
    ed_cluster_open(&cluster, "newcomers", next_seed());
    (void)ed_cluster_add(&cluster, &server);
    set_link(50, 0, 0);
    for (size_t c = 0; c < ALL; c++) {
        ed_node *node = ed_cluster_add(&cluster, &client);
        ed_endpoint *endpoint = ed_node_connect(node, &cluster.nodes[0]);
        ed_cluster_await_connected(&cluster, endpoint, ED_NS_PER_S);
        for (size_t m = 0; m < 1000; m++)
            CHECK_EQ("busy", send(node, endpoint, EDDY_RELIABLE_UNORDERED, 1000), EDDY_OK);
        ed_cluster_run_for(&cluster, ED_NS_PER_S);
    }
    finish();
}

/** What one connection gives back makes room for another that was refused, which hears of it. */
static void room_is_told_to_whom_it_was_refused(void **state)
{
    enum { SOON_MS = 500 };
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    (void)state;
    client.max_message_size = 1200;
    client.send_budget = 64 * KIB;
    client.connection_send_budget = 64 * KIB;
    client.keepalive_ms = 0;
    ed_cluster_open(&cluster, "shared budget", next_seed());
    (void)ed_cluster_add(&cluster, &server);
    (void)ed_cluster_add(&cluster, &server);
    set_link(10, 1000 * 1000, 0);
    ed_node *node = ed_cluster_add(&cluster, &client);
    ed_endpoint *busy = ed_node_connect(node, &cluster.nodes[0]);
    ed_endpoint *idle = ed_node_connect(node, &cluster.nodes[1]);
    ed_cluster_await_connected(&cluster, busy, ED_NS_PER_S);
    ed_cluster_await_connected(&cluster, idle, ED_NS_PER_S);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    while (send(node, busy, EDDY_RELIABLE_ORDERED, 1000) == EDDY_OK)
        continue;
    CHECK_EQ("refused", send(node, idle, EDDY_RELIABLE_ORDERED, 1000), EDDY_EAGAIN);
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    ed_cluster_run_for(&cluster, SOON_MS * ED_NS_PER_MS);
    CHECK("the busy one", !busy->awaits_writable);
    CHECK("the idle one", !idle->awaits_writable);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hour_unread_costs_the_budgets),
        cmocka_unit_test(what_is_kept_holds_nothing_up),
        cmocka_unit_test(large_messages_take_turns),
        cmocka_unit_test(who_never_ends_gives_way),
        cmocka_unit_test(a_window_grows_for_a_long_path),
        cmocka_unit_test(newcomers_have_their_room),
        cmocka_unit_test(room_is_told_to_whom_it_was_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
