/**
 * A client's address changes under its connection, as a NAT does it: nothing is lost, and the
 * server follows nobody but the client.
 */
#include "tests/scenario/rebind_bed.h"

#include <stdio.h>
#include <stdlib.h>

/* ---------------------------------------------------------------------------- while it talks -- */

static void wander(uint64_t seed)
{
    enum { MOVES = 5 };
    ed_rng rng = ed_rng_of(seed);
    const char *name = ed_seeds_announce("rebind_test", seed);

    open_pair(name, seed, 3 + ed_rng_below(&rng, 100));
    set_link(3 + ed_rng_below(&rng, 100), ed_rng_below(&rng, 10),
             (uint32_t)ed_rng_below(&rng, LOSS_MAX_PERCENT + 1) * 10 * 1000);
    for (int i = 0; i < MOVES; i++) {
        talk(ed_rng_below(&rng, 3000), &rng);
        move_client(ed_rng_below(&rng, 2) == 0);
    }
    talk(1000, &rng);
    check_whole();
    talk(LIMIT_S * 100, &rng); // long enough that the last move is found out about
    check_whole();
    check_followed();
    check_counts();
    ed_cluster_shut_down(&cluster, 5000, LIMIT_S * ED_NS_PER_S);
    ed_cluster_close(&cluster);
}

static void a_client_wanders_while_data_flow(void **state)
{
    ed_seeds seeds = ed_seeds_chosen(SEEDS);

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++)
        wander(seed);
}

static void the_client_moves_as_soon_as_it_is_connected(void **state)
{
    const struct {
        const char *name;
        bool keeps_ip;
        uint32_t loss_ppm;
    } rows[] = {
        {"another port", true, 0},
        {"another address", false, 0},
        {"another port, 20 % loss", true, 200 * 1000},
        {"another address, 20 % loss", false, 200 * 1000},
    };
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();
    ed_seeds seeds = ed_seeds_chosen(SEEDS);

    (void)state;
    client.handshake_timeout_ms = LIMIT_S * 1000;
    for (size_t i = 0; i < ED_COUNT(rows) * seeds.count; i++) {
        size_t row = i % ED_COUNT(rows);
        ed_rng rng = ed_rng_of(i);
        moves = 0;
        ed_cluster_open(&cluster, rows[row].name, i + 1);
        set_link(20, 0, rows[row].loss_ppm);
        (void)ed_cluster_add(&cluster, &server);
        ed_node *node = ed_cluster_add(&cluster, &client);
        const ed_endpoint *endpoint = ed_node_connect(node, &cluster.nodes[0]);
        ed_cluster_await_connected(&cluster, endpoint, LIMIT_S * ED_NS_PER_S);
        CHECK_EQ(rows[row].name, cluster.nodes[0].endpoint_count, 0);
        move_client(rows[row].keeps_ip);
        talk(5000, &rng);
        check_whole();
        check_followed();
        check_counts();
        ed_cluster_close(&cluster);
    }
}

/* ------------------------------------------------------------------------------------ speed -- */

enum { DELAY_MS = 50, RTT_US = 2 * DELAY_MS * 1000 };

/** How long after a move the client hears the server again, and has all that was lost. */
struct gap {
    uint64_t heard_us;
    uint64_t repaired_us;
};

/** One more millisecond; both ends say something every tick. */
static void run_ms(uint64_t ms)
{
    for (size_t n = 0; n < 2 && ms % TICK_MS == 0; n++)
        ed_node_send_many(&cluster.nodes[n], end_of(n), EDDY_RELIABLE_ORDERED, 0, 1);
    ed_cluster_run_for(&cluster, ED_NS_PER_MS);
}

static struct gap measure_gap(uint64_t seed, bool keeps_ip, uint32_t loss_ppm)
{
    ed_rng rng = ed_rng_of(seed);
    uint64_t ms = 0, lost = UINT64_MAX;
    struct gap gap = {0};

    open_pair("gap", seed, DELAY_MS);
    set_link(DELAY_MS, 0, loss_ppm);
    for (uint64_t until_ms = 2000 + ed_rng_below(&rng, TICK_MS); ms < until_ms; ms++)
        run_ms(ms);
    move_client(keeps_ip);
    uint64_t moved_ns = ed_cluster_now_ns(&cluster), heard = ed_endpoint_received(end_of(1));
    for (; ed_endpoint_received(end_of(1)) < lost; ms++) {
        CHECK("in time", ms < LIMIT_S * 1000);
        run_ms(ms);
        uint64_t since_us = (ed_cluster_now_ns(&cluster) - moved_ns) / ED_NS_PER_US;
        if (gap.heard_us == 0 && ed_endpoint_received(end_of(1)) > heard)
            gap.heard_us = since_us;
        if (lost == UINT64_MAX && end_of(0)->moves > 0)
            lost = ed_endpoint_sent(end_of(0));
        gap.repaired_us = since_us;
    }
    check_whole();
    check_followed();
    ed_cluster_close(&cluster);
    return gap;
}

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right ? 1 : 0;
}

/** Prints the figures. @return the median, in hundredths of a round trip. */
static uint64_t report(const char *name, const char *what, uint64_t *times_us, size_t count)
{
    qsort(times_us, count, sizeof(*times_us), by_value);
    (void)printf("%s, %s, in round trips: p50 %.2f, p95 %.2f, max %.2f\n", name, what,
                 (double)times_us[count / 2] / RTT_US, (double)times_us[count * 95 / 100] / RTT_US,
                 (double)times_us[count - 1] / RTT_US);
    return times_us[count / 2] * 100 / RTT_US;
}

/** The client's packet, the challenge, the response, and what was lost: two, and some waiting. */
static void the_gap_is_two_round_trips(void **state)
{
    enum { COUNT_MAX = 1024, COUNT_MIN = 40 }; /* fewer say little of a median */
    static uint64_t heard_us[COUNT_MAX], repaired_us[COUNT_MAX];
    const struct {
        const char *name;
        bool keeps_ip;
        uint32_t loss_ppm;
        uint64_t heard_max; /* p50, in hundredths of a round trip */
        uint64_t repaired_max;
    } rows[] = {
        {"another port", true, 0, 220, 220},
        {"another address", false, 0, 220, 220},
        {"another port, 5 % loss", true, 50 * 1000, 220, 220},
        {"another port, 20 % loss", true, 200 * 1000, 400, 500},
    };
    ed_seeds seeds = ed_seeds_chosen(SEEDS);

    (void)state;
    size_t count = ed_min_size(seeds.count > COUNT_MIN ? seeds.count : COUNT_MIN, COUNT_MAX);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        for (size_t n = 0; n < count; n++) {
            struct gap gap = measure_gap(seeds.first + n, rows[i].keeps_ip, rows[i].loss_ppm);
            heard_us[n] = gap.heard_us;
            repaired_us[n] = gap.repaired_us;
        }
        CHECK(rows[i].name,
              report(rows[i].name, "heard again", heard_us, count) <= rows[i].heard_max);
        CHECK(rows[i].name,
              report(rows[i].name, "repaired", repaired_us, count) <= rows[i].repaired_max);
    }
}

/** The server cannot know how long the answer takes, and must not stop asking too soon for ever. */
static void the_new_path_may_be_far_slower(void **state)
{
    const struct {
        const char *name;
        bool keeps_ip;
        uint64_t delay_ms;
    } rows[] = {
        {"another port, 100 ms", true, 100},     {"another address, 100 ms", false, 100},
        {"another port, 450 ms", true, 450},     {"another address, 450 ms", false, 450},
        {"another address, 1.2 s", false, 1200}, {"another address, 3 s", false, 3000},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_rng rng = ed_rng_of(i);
        open_pair(rows[i].name, i + 1, 2);
        talk(2000, &rng);
        ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS); // no ack that would tell is left
        move_client(rows[i].keeps_ip);
        set_link(rows[i].delay_ms, 0, 0);
        talk(9000, &rng);
        ed_cluster_run_for(&cluster, LIMIT_S * ED_NS_PER_S / 2);
        check_whole();
        check_followed();
        ed_cluster_close(&cluster);
    }
}

/** The credit that it waits for goes to its old address: it does not wait for a keepalive. */
static void a_client_that_waits_for_credit_is_found(void **state)
{
    enum { MESSAGES = 2000, SOON_MS = 500, BUDGET = 256 * 1024 };

    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    (void)state;
    server.max_message_size = EDDY_PIECE_SIZE_MAX;
    server.unreliable_budget = server.receive_budget = BUDGET;
    server.max_connections = 1;
    server.max_outgoing = 0;
    moves = 0;
    ed_cluster_open(&cluster, "starved", 1);
    cluster.sizes = (ed_sizes){.min = 0, .max = 200};
    set_link(20, 0, 0);
    ed_cluster_add_pair(&cluster, &server, &client);
    cluster.nodes[0].is_reading = false;
    ed_node_send_many(&cluster.nodes[1], end_of(1), EDDY_RELIABLE_ORDERED, 0, MESSAGES);
    ed_cluster_run_for(&cluster, 5 * ED_NS_PER_S);
    move_client(true);
    ed_node_send_many(&cluster.nodes[0], end_of(0), EDDY_RELIABLE_ORDERED, 0, 1);
    ed_cluster_run_for(&cluster, SOON_MS * ED_NS_PER_MS);
    CHECK_EQ("heard", ed_endpoint_received(end_of(1)), 1);
    CHECK("it waits", ed_endpoint_received(end_of(0)) < MESSAGES);
    cluster.nodes[0].is_reading = true;
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    check_whole();
    ed_cluster_close(&cluster);
}

/* ----------------------------------------------------------------------------- while closing -- */

/** Who closes, and when the client moves: what was accepted arrives all the same. */
static void the_client_moves_while_a_connection_closes(void **state)
{
    const struct {
        const char *name;
        size_t closer;    /* node */
        uint64_t move_ms; /* after the close */
        uint32_t loss_ppm;
    } rows[] = {
        {"the client closes, and moves", 1, 0, 0},
        {"the server closes, and the client moves", 0, 0, 0},
        {"the client closes, and moves later", 1, 30, 0},
        {"the server closes, and the client moves later", 0, 30, 0},
        {"the client closes, and moves, 20 % loss", 1, 10, 200 * 1000},
        {"the server closes, and the client moves, 20 % loss", 0, 10, 200 * 1000},
    };
    enum { MESSAGES = 300 };
    ed_seeds seeds = ed_seeds_chosen(SEEDS);

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows) * seeds.count; i++) {
        size_t row = i % ED_COUNT(rows);
        size_t closer = rows[row].closer;
        open_pair(rows[row].name, i + 1, 20);
        ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
        set_link(20, 0, rows[row].loss_ppm);
        for (size_t n = 0; n < 2; n++)
            ed_node_send_many(&cluster.nodes[n], end_of(n), EDDY_RELIABLE_ORDERED, 0, MESSAGES);
        ed_node_disconnect(&cluster.nodes[closer], end_of(closer), 7, "enough", EDDY_FOREVER);
        ed_cluster_run_for(&cluster, rows[row].move_ms * ED_NS_PER_MS);
        move_client(i / ED_COUNT(rows) % 2 == 0);
        ed_cluster_await_disconnected(&cluster, end_of(closer), LIMIT_S * ED_NS_PER_S);
        CHECK_EQ(rows[row].name, ed_endpoint_received(end_of(1 - closer)), MESSAGES);
        CHECK_EQ(rows[row].name, end_of(closer)->end.end, EDDY_END_CLOSED_LOCAL);
        CHECK_EQ(rows[row].name, end_of(closer)->end.undelivered, 0);
        ed_cluster_await_disconnected(&cluster, end_of(1 - closer), LIMIT_S * ED_NS_PER_S);
        ed_cluster_close(&cluster);
    }
}

/** The last words themselves find their way: nobody waits for a timeout. */
static void a_close_finds_a_client_that_has_moved(void **state)
{
    const struct {
        const char *name;
        size_t closer;     /* node */
        bool is_heard;     /* the client says something after it has moved */
        uint64_t limit_ms; /* for the ends of both */
    } rows[] = {
        {"the client says goodbye from its new address", 1, false, 60},
        {"the server says it while the client talks", 0, true, 400},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        size_t closer = rows[i].closer;
        ed_rng rng = ed_rng_of(i);
        open_pair(rows[i].name, i, 20);
        talk(SETTLE_MS, &rng);
        ed_cluster_await_delivered(&cluster, ED_NS_PER_S);
        ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
        move_client(true);
        ed_node_disconnect(&cluster.nodes[closer], end_of(closer), 7, "enough", 0);
        if (rows[i].is_heard)
            ed_node_send_many(&cluster.nodes[1], end_of(1), EDDY_RELIABLE_ORDERED, 0, 1);
        ed_cluster_run_for(&cluster, rows[i].limit_ms * ED_NS_PER_MS);
        CHECK(rows[i].name, end_of(0)->disconnected && end_of(1)->disconnected);
        CHECK_EQ(rows[i].name, end_of(closer)->end.end, EDDY_END_CLOSED_LOCAL);
        CHECK_EQ(rows[i].name, end_of(1 - closer)->end.end, EDDY_END_CLOSED_REMOTE);
        ed_cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_wanders_while_data_flow),
        cmocka_unit_test(the_client_moves_as_soon_as_it_is_connected),
        cmocka_unit_test(the_gap_is_two_round_trips),
        cmocka_unit_test(the_new_path_may_be_far_slower),
        cmocka_unit_test(a_client_that_waits_for_credit_is_found),
        cmocka_unit_test(the_client_moves_while_a_connection_closes),
        cmocka_unit_test(a_close_finds_a_client_that_has_moved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
