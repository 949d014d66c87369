/** Messages that are given up: deadlines, now or never, overtaken ones; and what receipts say. */
#include "tests/support/check.h"

#include "core/budget.h"
#include "tests/support/cluster.h"
#include "transport/limits.h"

enum {
    DELAY_MS = 20,
    PATIENCE_MS = ED_ACK_PATIENCE_NS / ED_NS_PER_MS, /* before what is unreliable is acknowledged */
    LIMIT_S = 20,
    SIZE = 100,
};

static ed_cluster cluster;

static void set_link(uint64_t rate_bps)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    link.rate_bps = rate_bps;
    link.queue_size = 8 * 1024;
    CHECK_EQ(cluster.name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

/** Node 1 sends to node 0; a message has been there already. */
static ed_endpoint *open_pair(const char *name)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    ed_cluster_open(&cluster, name, 1);
    ed_cluster_add_pair(&cluster, &server, &client);
    set_link(0);
    ed_endpoint *endpoint = &cluster.nodes[1].endpoints[0];
    ed_node_send_many(&cluster.nodes[1], endpoint, EDDY_RELIABLE_ORDERED, 9, 1);
    ed_cluster_await_delivered(&cluster, ED_NS_PER_S);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    return endpoint;
}

static void cut(bool is_cut)
{
    CHECK_EQ(cluster.name, ed_world_block(cluster.world, NULL, NULL, is_cut), EDDY_OK);
}

static void run_ms(uint64_t ms)
{
    ed_cluster_run_for(&cluster, ms * ED_NS_PER_MS);
}

static void send(const ed_parcel *parcel, size_t count)
{
    ed_node *node = &cluster.nodes[1];

    for (size_t i = 0; i < count; i++)
        CHECK_EQ(cluster.name, ed_node_send_parcel(node, &node->endpoints[0], parcel), EDDY_OK);
}

static const ed_book *book_of(const ed_endpoint *endpoint, const ed_parcel *parcel)
{
    return ed_ledger_find(&endpoint->ledger, parcel->guarantee, parcel->stream);
}

/** All is told, and adds up; nothing is left. */
static void finish(void)
{
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    run_ms(2000);
    ed_cluster_check_settled(&cluster);
    ed_cluster_shut_down(&cluster, 5000, LIMIT_S * ED_NS_PER_S);
    for (size_t n = 0; n < 2; n++)
        CHECK_EQ(cluster.name, cluster.nodes[n].endpoints[0].end.undelivered, 0);
    ed_cluster_close(&cluster);
}

/* -------------------------------------------------------------------------------- deadlines -- */

/** What was sent into the void expires on time; what comes after it says how many are missing. */
static void what_expires_is_skipped(void **state)
{
    enum { COUNT = 10, EXPIRE_MS = 300 };
    static const struct {
        const char *name;
        eddy_guarantee guarantee;
        size_t size;
        uint32_t skipped;
    } rows[] = {
        {"ordered", EDDY_RELIABLE_ORDERED, SIZE, COUNT},
        {"ordered, in parts", EDDY_RELIABLE_ORDERED, 3000, 0},
        {"unordered", EDDY_RELIABLE_UNORDERED, SIZE, 0},
        {"sequenced", EDDY_RELIABLE_SEQUENCED, SIZE, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_endpoint *endpoint = open_pair(rows[i].name);
        ed_parcel parcel = {.guarantee = rows[i].guarantee,
                            .size = rows[i].size,
                            .expire_ms = EXPIRE_MS,
                            .with_receipt = true};
        cut(true);
        send(&parcel, COUNT);
        run_ms(EXPIRE_MS - 20);
        CHECK_EQ(rows[i].name, endpoint->receipts_told, 0);
        run_ms(50);
        CHECK_EQ(rows[i].name, endpoint->receipts_told, COUNT);
        CHECK_EQ(rows[i].name, endpoint->outcomes[EDDY_OUTCOME_ACKED], 0);
        CHECK_EQ(rows[i].name, ed_node_stats(&cluster.nodes[1]).messages_expired, COUNT);
        cut(false);
        parcel.expire_ms = 0;
        send(&parcel, 1);
        ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
        const ed_book *book = book_of(endpoint, &parcel);
        CHECK_EQ(rows[i].name, book->came, 1);
        // Of messages in parts not all were begun: those that were not were never sent.
        if (rows[i].size == SIZE)
            CHECK_EQ(rows[i].name, book->skipped, rows[i].skipped);
        else
            CHECK_EQ(rows[i].name, book->skipped, endpoint->outcomes[EDDY_OUTCOME_EXPIRED]);
        finish();
    }
}

/** What the window kept back was never sent, and its receipt says so. */
static void what_was_never_sent_is_lost(void **state)
{
    enum { COUNT = 100, EXPIRE_MS = 300 };
    ed_parcel parcel = {.guarantee = EDDY_RELIABLE_ORDERED,
                        .size = 1000,
                        .expire_ms = EXPIRE_MS,
                        .with_receipt = true};

    (void)state;
    ed_endpoint *endpoint = open_pair("never sent");
    cut(true);
    send(&parcel, COUNT);
    run_ms(EXPIRE_MS + 50);
    uint64_t sent = endpoint->outcomes[EDDY_OUTCOME_EXPIRED];
    CHECK("some were sent", sent > 5 && sent < COUNT / 2);
    CHECK_EQ("the others were not", endpoint->outcomes[EDDY_OUTCOME_LOST], COUNT - sent);
    cut(false);
    parcel.expire_ms = 0;
    send(&parcel, 1);
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    CHECK_EQ("skipped are those that were", book_of(endpoint, &parcel)->skipped, sent);
    finish();
}

/** An unordered stream, or another one, does not wait for what expires. */
static void others_do_not_wait(void **state)
{
    ed_parcel parcel = {.guarantee = EDDY_RELIABLE_ORDERED,
                        .stream = 1,
                        .size = SIZE,
                        .expire_ms = 2000,
                        .with_receipt = true};
    ed_parcel other = {.guarantee = EDDY_RELIABLE_ORDERED, .stream = 2, .size = SIZE};

    (void)state;
    ed_endpoint *endpoint = open_pair("others");
    send(&parcel, 3);
    send(&other, 3);
    run_ms(100);
    CHECK_EQ("all in time", book_of(endpoint, &parcel)->came, 3);
    CHECK_EQ("all", book_of(endpoint, &other)->came, 3);
    CHECK_EQ("told", endpoint->outcomes[EDDY_OUTCOME_ACKED], 3);
    run_ms(3000);
    CHECK_EQ("what arrived does not expire", ed_cluster_stats(&cluster).messages_expired, 0);
    finish();
}

/** Time passes while a connection is made, too. */
static void deadlines_count_while_dialling(void **state)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();
    ed_parcel parcel = {
        .guarantee = EDDY_RELIABLE_ORDERED, .size = SIZE, .expire_ms = 300, .with_receipt = true};

    (void)state;
    ed_cluster_open(&cluster, "dialling", 1);
    const ed_node *to = ed_cluster_add(&cluster, &server);
    ed_node *from = ed_cluster_add(&cluster, &client);
    cut(true);
    ed_endpoint *endpoint = ed_node_connect(from, to);
    send(&parcel, 5);
    run_ms(400);
    CHECK_EQ("never sent", endpoint->outcomes[EDDY_OUTCOME_LOST], 5);
    parcel.expire_ms = 0;
    send(&parcel, 1);
    cut(false);
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    CHECK_EQ("the last", book_of(endpoint, &parcel)->came, 1);
    CHECK_EQ("nothing was skipped", book_of(endpoint, &parcel)->skipped, 0);
    finish();
}

/** Unreliable messages that the path is too slow for expire in the queue; those sent are acked. */
static void unreliable_ones_expire_in_the_queue(void **state)
{
    enum { COUNT = 100 };
    ed_parcel parcel = {
        .guarantee = EDDY_UNRELIABLE, .size = 1000, .expire_ms = 100, .with_receipt = true};

    (void)state;
    ed_endpoint *endpoint = open_pair("in the queue");
    set_link(400 * 1000);
    send(&parcel, COUNT);
    run_ms(3000);
    CHECK_EQ("all are told", endpoint->receipts_told, COUNT);
    CHECK("some came", book_of(endpoint, &parcel)->came > 5);
    CHECK("some did not", endpoint->outcomes[EDDY_OUTCOME_LOST] > COUNT / 2);
    // What was on its way when its time was over may have come.
    CHECK("of the lost ones none came",
          book_of(endpoint, &parcel)->came <= COUNT - endpoint->outcomes[EDDY_OUTCOME_LOST]);
    finish();
}

/* ----------------------------------------------------------------------------- now or never -- */

static void now_or_never(void **state)
{
    static const struct {
        const char *name;
        size_t size;
        size_t count;
        bool all; /* leave at once */
    } rows[] = {
        {"one", SIZE, 1, true},
        {"a few", SIZE, 20, true},
        {"more than may leave at once", 1000, 100, false},
        {"in parts", 5000, 50, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_endpoint *endpoint = open_pair(rows[i].name);
        ed_parcel parcel = {.guarantee = EDDY_UNRELIABLE,
                            .size = rows[i].size,
                            .now_or_never = true,
                            .with_receipt = true};
        send(&parcel, rows[i].count);
        run_ms(2 * DELAY_MS + PATIENCE_MS + 60);
        CHECK_EQ(rows[i].name, endpoint->receipts_told, rows[i].count);
        uint64_t came = book_of(endpoint, &parcel)->came;
        CHECK_EQ(rows[i].name, endpoint->outcomes[EDDY_OUTCOME_ACKED], came);
        CHECK_EQ(rows[i].name, endpoint->outcomes[EDDY_OUTCOME_LOST], rows[i].count - came);
        CHECK_EQ(rows[i].name, came == rows[i].count, rows[i].all);
        CHECK(rows[i].name, came > 0);
        finish();
    }
}

/* -------------------------------------------------------------------------------- overtaken -- */

/** Of many that are lost only the newest is sent again. */
static void the_newest_overtakes(void **state)
{
    enum { COUNT = 10 };
    ed_parcel parcel = {.guarantee = EDDY_RELIABLE_SEQUENCED, .size = SIZE, .with_receipt = true};

    (void)state;
    ed_endpoint *endpoint = open_pair("overtaken");
    cut(true);
    for (size_t i = 0; i < COUNT; i++) {
        send(&parcel, 1);
        run_ms(20);
    }
    cut(false);
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    run_ms(1000);
    const ed_book *book = book_of(endpoint, &parcel);
    CHECK("the newest", book->notes[COUNT - 1].has_come);
    CHECK_EQ("told", book->notes[COUNT - 1].outcome, EDDY_OUTCOME_ACKED);
    CHECK("and not all of the others", book->came < COUNT);
    CHECK("some were overtaken", ed_node_stats(&cluster.nodes[1]).messages_superseded > 0);
    CHECK_EQ("which is said", endpoint->outcomes[EDDY_OUTCOME_LOST],
             ed_node_stats(&cluster.nodes[1]).messages_superseded);
    finish();
}

/* --------------------------------------------------------------------------------- receipts -- */

/** Every message has one receipt, whatever becomes of the connection, and all before its end. */
static void an_end_tells_all_receipts(void **state)
{
    static const struct {
        const char *name;
        bool is_cut;
        uint32_t flush_ms;
        uint64_t acked_min;
    } rows[] = {
        {"flushed", false, 5000, 50},
        {"in no time", false, 0, 0},
        {"in vain", true, 200, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_endpoint *endpoint = open_pair(rows[i].name);
        cut(rows[i].is_cut);
        for (int g = 0; g < ED_GUARANTEE_COUNT; g++) {
            ed_parcel parcel = {.guarantee = (eddy_guarantee)g, .size = 1000, .with_receipt = true};
            send(&parcel, 20);
        }
        ed_node_disconnect(&cluster.nodes[1], endpoint, 0, NULL, rows[i].flush_ms);
        ed_cluster_await_disconnected(&cluster, endpoint, LIMIT_S * ED_NS_PER_S);
        CHECK_EQ(rows[i].name, endpoint->receipts_told, 100);
        CHECK(rows[i].name, endpoint->outcomes[EDDY_OUTCOME_ACKED] >= rows[i].acked_min);
        ed_cluster_close(&cluster);
    }
}

/** Nothing comes after the end, not even what became of a message that came too late. */
static void nothing_is_told_after_the_end(void **state)
{
    ed_parcel parcel = {.guarantee = EDDY_RELIABLE_ORDERED, .size = SIZE, .with_receipt = true};

    (void)state;
    const ed_endpoint *endpoint = open_pair("too late");
    ed_node_disconnect(&cluster.nodes[0], ed_node_newest(&cluster.nodes[0]), 0, NULL, 0);
    ed_cluster_await_disconnected(&cluster, endpoint, LIMIT_S * ED_NS_PER_S);
    (void)ed_node_send_parcel(&cluster.nodes[1], &cluster.nodes[1].endpoints[0], &parcel);
    run_ms(5000);
    CHECK_EQ("silence", endpoint->receipts_told, 0);
    ed_cluster_close(&cluster);
}

/* ---------------------------------------------------------------------------------- budgets -- */

/** How many messages are accepted while nothing gets away; then they do. */
static size_t fill(ed_endpoint *endpoint)
{
    ed_parcel parcel = {.guarantee = EDDY_RELIABLE_ORDERED, .stream = 3, .size = 1000};
    size_t count = 0;

    cut(true);
    while (ed_node_send_parcel(&cluster.nodes[1], endpoint, &parcel) == EDDY_OK)
        count++;
    run_ms(100);
    cut(false);
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    run_ms(2000);
    CHECK(cluster.name, !endpoint->awaits_writable);
    return count;
}

/** Whatever becomes of a message, what it took of the budgets is free again. */
static void budgets_are_whole_again(void **state)
{
    enum { BUDGET_SIZE = 64 * 1024 };
    static const struct {
        const char *name;
        ed_parcel parcel;
        bool is_cut;
    } rows[] = {
        {"small", {.guarantee = EDDY_RELIABLE_ORDERED, .size = 6}, false},
        {"in parts", {.guarantee = EDDY_RELIABLE_UNORDERED, .size = 3001}, false},
        {"unreliable", {.guarantee = EDDY_UNRELIABLE, .size = 1000}, false},
        {"unreliable, in parts", {.guarantee = EDDY_UNRELIABLE, .size = 3001}, false},
        {"sequenced", {.guarantee = EDDY_RELIABLE_SEQUENCED, .size = 700}, true},
        {"expired", {.guarantee = EDDY_RELIABLE_ORDERED, .size = 700, .expire_ms = 50}, true},
        {"expired, in parts",
         {.guarantee = EDDY_RELIABLE_ORDERED, .size = 3001, .expire_ms = 50},
         true},
        {"expired, unreliable",
         {.guarantee = EDDY_UNRELIABLE, .size = 3001, .expire_ms = 50},
         true},
        {"now or never", {.guarantee = EDDY_UNRELIABLE, .size = 3001, .now_or_never = true}, true},
    };
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();
    eddy_stream_options own = {.budget = BUDGET_SIZE / 2};

    (void)state;
    client.max_message_size = 4000;
    client.connection_send_budget = BUDGET_SIZE;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_cluster_open(&cluster, rows[i].name, 1);
        ed_cluster_add_pair(&cluster, &server, &client);
        set_link(0);
        ed_endpoint *endpoint = &cluster.nodes[1].endpoints[0];
        size_t whole = fill(endpoint);
        ed_node_set_stream(&cluster.nodes[1], endpoint, 0, &own);
        run_ms(10);
        for (int again = 0; again < 10; again++) {
            cut(rows[i].is_cut);
            (void)ed_node_send_parcel(&cluster.nodes[1], endpoint, &rows[i].parcel);
            send(&rows[i].parcel, 4);
            run_ms(200);
            cut(false);
            run_ms(500);
        }
        CHECK_EQ(rows[i].name, whole, BUDGET_SIZE / ed_send_cost(1000));
        CHECK_EQ(rows[i].name, fill(endpoint), whole);
        finish();
    }
}

/** Of a message in parts one is lost: it holds its place for a while, and no longer. */
static void what_stays_incomplete_is_dropped(void **state)
{
    enum { COUNT = 5, LIFE_MAX_MS = 3000 };
    ed_parcel parcel = {.guarantee = EDDY_UNRELIABLE, .size = 10 * 1000};
    ed_link_config link = ed_link_config_default();

    (void)state;
    ed_endpoint *endpoint = open_pair("incomplete");
    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    link.loss_ppm = 300 * 1000;
    CHECK_EQ(cluster.name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
    send(&parcel, COUNT);
    run_ms(200);
    uint64_t came = book_of(endpoint, &parcel)->came;
    CHECK("some are incomplete", came < COUNT);
    CHECK_EQ("they are kept", ed_node_stats(&cluster.nodes[0]).messages_incomplete, 0);
    run_ms(LIFE_MAX_MS);
    CHECK_EQ("they are dropped", ed_node_stats(&cluster.nodes[0]).messages_incomplete,
             COUNT - came);
    set_link(0);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_expires_is_skipped),
        cmocka_unit_test(what_was_never_sent_is_lost),
        cmocka_unit_test(others_do_not_wait),
        cmocka_unit_test(deadlines_count_while_dialling),
        cmocka_unit_test(unreliable_ones_expire_in_the_queue),
        cmocka_unit_test(now_or_never),
        cmocka_unit_test(the_newest_overtakes),
        cmocka_unit_test(an_end_tells_all_receipts),
        cmocka_unit_test(nothing_is_told_after_the_end),
        cmocka_unit_test(budgets_are_whole_again),
        cmocka_unit_test(what_stays_incomplete_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
