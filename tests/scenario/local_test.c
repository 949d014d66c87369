/** Two connections of one manager that are each other's peer. */
#include "tests/support/check.h"

#include "core/thread.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"

enum { SETTLE_MS = 100, MESSAGES = 2000 };

static ed_cluster cluster;
static ed_node *node;
static eddy_connection a, b;
static int data_of_a, data_of_b;

static void open_world(const char *name)
{
    eddy_config config = ed_cluster_client_config();

    config.max_outgoing = 3;
    ed_cluster_open(&cluster, name, 1);
    node = ed_cluster_add(&cluster, &config);
    node->is_reading = false;
}

static eddy_event take(eddy_event_type type, eddy_connection connection)
{
    eddy_event event;

    CHECK_EQ(cluster.name, eddy_next(node->manager, &event, 0), EDDY_OK);
    CHECK_EQ(cluster.name, event.type, type);
    CHECK_EQ(cluster.name, event.connection, connection);
    return event;
}

static void check_quiet(eddy_status want)
{
    eddy_event event;

    CHECK_EQ(cluster.name, eddy_next(node->manager, &event, 0), want);
}

static void open_pair(const char *name)
{
    open_world(name);
    CHECK_EQ(name, eddy_connect_pair(node->manager, &a, &b), EDDY_OK);
    CHECK(name, a != 0 && b != 0 && a != b);
    CHECK(name, !take(EDDY_CONNECTED, a).connected.incoming);
    CHECK(name, take(EDDY_CONNECTED, b).connected.incoming);
    check_quiet(EDDY_EAGAIN);
}

static void run_ms(uint64_t ms)
{
    ed_world_touch(cluster.world, node->host);
    ed_cluster_run_for(&cluster, ms * ED_NS_PER_MS);
}

static eddy_status send(eddy_connection from, eddy_guarantee guarantee, const char *text)
{
    return eddy_send(node->manager, from, guarantee, 7, text, strlen(text));
}

/** No poll is needed, and every guarantee is kept. */
static void both_ways(void **state)
{
    static const eddy_guarantee guarantees[] = {EDDY_UNRELIABLE, EDDY_RELIABLE_ORDERED};

    (void)state;
    open_pair("both ways");
    for (size_t i = 0; i < ED_COUNT(guarantees); i++) {
        CHECK_EQ("send", send(a, guarantees[i], "to b"), EDDY_OK);
        CHECK_EQ("send", send(b, guarantees[i], ""), EDDY_OK);
        eddy_event event = take(EDDY_MESSAGE, b);
        CHECK_EQ("size", event.message.size, 4);
        CHECK_BYTES("data", event.message.data, "to b", 4);
        CHECK_EQ("aligned", (uintptr_t)event.message.data % 16, 0);
        CHECK_EQ("guarantee", event.message.guarantee, guarantees[i]);
        CHECK_EQ("stream", event.message.stream, 7);
        eddy_release(node->manager, &event);
        event = take(EDDY_MESSAGE, a);
        CHECK_EQ("empty", event.message.size, 0);
        eddy_release(node->manager, &event);
    }
    run_ms(60 * 1000); // nothing expires
    check_quiet(EDDY_EAGAIN);
    CHECK_EQ("no datagrams", ed_node_stats(node).sent_datagrams, 0);
    ed_cluster_close(&cluster);
}

static void ending_one_ends_both(void **state)
{
    char reason[200] = "";

    (void)state;
    memset(reason, 'r', sizeof(reason) - 1);
    open_pair("end");
    CHECK_EQ("data", eddy_set_connection_data(node->manager, a, &data_of_a), EDDY_OK);
    CHECK_EQ("data", eddy_set_connection_data(node->manager, b, &data_of_b), EDDY_OK);
    CHECK_EQ("last words", send(b, EDDY_RELIABLE_ORDERED, "bye"), EDDY_OK);
    CHECK_EQ("end", eddy_disconnect(node->manager, b, 4711, reason, 0), EDDY_OK);
    eddy_event event = take(EDDY_MESSAGE, a);
    CHECK("data", event.user_data == &data_of_a);
    eddy_release(node->manager, &event);
    event = take(EDDY_DISCONNECTED, b);
    CHECK_EQ("whose", event.disconnected.end, EDDY_END_CLOSED_LOCAL);
    CHECK("data", event.user_data == &data_of_b);
    event = take(EDDY_DISCONNECTED, a);
    CHECK_EQ("whose", event.disconnected.end, EDDY_END_CLOSED_REMOTE);
    CHECK_EQ("code", event.disconnected.code, 4711);
    CHECK_EQ("cut", strlen(event.disconnected.reason), EDDY_REASON_SIZE - 1);
    CHECK("data", event.user_data == &data_of_a);
    check_quiet(EDDY_EAGAIN);
    const eddy_connection ends[] = {a, b};
    for (size_t i = 0; i < ED_COUNT(ends); i++) {
        CHECK_EQ("stale", send(ends[i], EDDY_UNRELIABLE, ""), EDDY_ECONNECTION);
        CHECK_EQ("stale", eddy_disconnect(node->manager, ends[i], 0, NULL, 0), EDDY_ECONNECTION);
    }
    ed_cluster_close(&cluster);
}

static void two_places_of_the_outgoing(void **state)
{
    eddy_connection c = 7, d = 7;

    (void)state;
    open_pair("places");
    CHECK_EQ("one is left", eddy_connect_pair(node->manager, &c, &d), EDDY_ELIMIT);
    CHECK_EQ("none", c + d, 0);
    CHECK_EQ("for a real one",
             eddy_connect_address(node->manager, &node->address, ed_test_options(), &c), EDDY_OK);
    CHECK_EQ("data", eddy_set_connection_data(node->manager, a, &data_of_a), EDDY_OK);
    CHECK_EQ("last words", send(b, EDDY_UNRELIABLE, "bye"), EDDY_OK);
    CHECK_EQ("end", eddy_disconnect(node->manager, a, 0, NULL, 0), EDDY_OK);
    CHECK_EQ("kept until the end is heard", eddy_connect_pair(node->manager, &c, &d), EDDY_ELIMIT);
    eddy_event event = take(EDDY_MESSAGE, a);
    CHECK("data", event.user_data == &data_of_a);
    eddy_release(node->manager, &event);
    (void)take(EDDY_DISCONNECTED, a);
    (void)take(EDDY_DISCONNECTED, b);
    CHECK_EQ("again", eddy_connect_pair(node->manager, &c, &d), EDDY_OK);
    CHECK("others", c != a && c != b && d != a && d != b);
    CHECK_EQ("the old one's place is another's", (uint32_t)c, (uint32_t)a);
    CHECK_EQ("not that one", send(a, EDDY_UNRELIABLE, ""), EDDY_ECONNECTION);
    CHECK_EQ("nor that", eddy_disconnect(node->manager, a, 0, NULL, 0), EDDY_ECONNECTION);
    ed_cluster_close(&cluster);
}

static void what_is_held_back_is_charged(void **state)
{
    static const uint8_t data[EDDY_PIECE_SIZE_MAX];
    eddy_status status = EDDY_OK;
    unsigned accepted = 0;

    (void)state;
    open_world("budget");
    ed_node_crash(node);
    node->config.max_message_size = EDDY_PIECE_SIZE_MAX;
    node->config.send_budget = 64 * 1024;
    CHECK_EQ("small", ed_node_start(node), EDDY_OK);
    CHECK_EQ("pair", eddy_connect_pair(node->manager, &a, &b), EDDY_OK);
    for (; status == EDDY_OK; accepted += status == EDDY_OK ? 1 : 0)
        status = eddy_send(node->manager, a, EDDY_UNRELIABLE, 0, data, sizeof(data));
    CHECK_EQ("used up", status, EDDY_EAGAIN);
    CHECK("some", accepted > 20);
    eddy_event event = take(EDDY_CONNECTED, a);
    event = take(EDDY_CONNECTED, b);
    event = take(EDDY_MESSAGE, b);
    CHECK_EQ("still", eddy_send(node->manager, a, EDDY_UNRELIABLE, 0, data, sizeof(data)),
             EDDY_EAGAIN);
    eddy_release(node->manager, &event);
    CHECK_EQ("room", eddy_send(node->manager, a, EDDY_UNRELIABLE, 0, data, sizeof(data)), EDDY_OK);
    ed_cluster_close(&cluster);
}

/** Nothing happens, and nothing is lost. */
static void without_memory(void **state)
{
    eddy_connection c = 7, d = 7;

    (void)state;
    open_world("memory");
    ed_node_crash(node);
    node->config.max_outgoing = 4;
    CHECK_EQ("room", ed_node_start(node), EDDY_OK);
    CHECK_EQ("pair", eddy_connect_pair(node->manager, &a, &b), EDDY_OK);
    (void)take(EDDY_CONNECTED, a);
    (void)take(EDDY_CONNECTED, b);
    node->memory.fail_after = 0;
    CHECK_EQ("no block", send(a, EDDY_UNRELIABLE, "x"), EDDY_EAGAIN);
    node->memory.fail_after = UINT64_MAX;
    CHECK_EQ("a block", send(a, EDDY_UNRELIABLE, "x"), EDDY_OK);
    eddy_event event = take(EDDY_MESSAGE, b);
    eddy_release(node->manager, &event); // from now on there is one

    node->memory.fail_after = 0;
    CHECK_EQ("not for another pair", eddy_connect_pair(node->manager, &c, &d), EDDY_ENOMEM);
    CHECK_EQ("none", c + d, 0);
    node->memory.fail_after = UINT64_MAX;
    CHECK_EQ("it is as before", send(a, EDDY_UNRELIABLE, "x"), EDDY_OK);
    CHECK_EQ("end", eddy_disconnect(node->manager, a, 0, NULL, 0), EDDY_OK);
    ed_cluster_close(&cluster);
}

static void what_is_not_for_pairs(void **state)
{
    eddy_connection all[3];
    eddy_connection_stats stats;
    eddy_address address;
    eddy_peer_time time;

    (void)state;
    open_pair("not for pairs");
    CHECK_EQ("listed", eddy_connections(node->manager, all, ED_COUNT(all)), 2);
    CHECK_EQ("state", eddy_connection_state(node->manager, b), EDDY_STATE_CONNECTED);
    CHECK_EQ("address", eddy_peer_address(node->manager, a, &address), EDDY_ESUPPORT);
    CHECK_EQ("stats", eddy_get_connection_stats(node->manager, a, &stats), EDDY_ESUPPORT);
    CHECK_EQ("clock", eddy_clock(node->manager, a, 77, &time), EDDY_OK); // it is our own
    CHECK("clock", time.now_ns == 77 && time.error_ns == 0);
    CHECK_EQ("rate", eddy_set_rate(node->manager, a, EDDY_RATE_MIN), EDDY_ESUPPORT);
    CHECK_EQ("accept", eddy_accept(node->manager, b), EDDY_ESTATE);
    run_ms(SETTLE_MS);
    CHECK_EQ("no commands", ed_node_stats(node).commands_stale, 0);
    ed_cluster_close(&cluster);
}

static void shutting_down_ends_them(void **state)
{
    (void)state;
    open_pair("shutdown");
    CHECK_EQ("last words", send(a, EDDY_UNRELIABLE, "bye"), EDDY_OK);
    eddy_shutdown(node->manager, 1000);
    eddy_shutdown(node->manager, 0);
    CHECK_EQ("too late", send(a, EDDY_UNRELIABLE, ""), EDDY_ECONNECTION);
    eddy_connection c, d;
    CHECK_EQ("too late", eddy_connect_pair(node->manager, &c, &d), EDDY_ECLOSED);
    run_ms(SETTLE_MS);
    eddy_event event = take(EDDY_MESSAGE, b);
    eddy_release(node->manager, &event);
    CHECK_EQ("end", take(EDDY_DISCONNECTED, a).disconnected.end, EDDY_END_CLOSED_LOCAL);
    CHECK_EQ("end", take(EDDY_DISCONNECTED, b).disconnected.end, EDDY_END_CLOSED_LOCAL);
    check_quiet(EDDY_ECLOSED);
    ed_cluster_close(&cluster);
}

/** There is no memory to tell it: then they end when there is. */
static void shutting_down_ends_them_without_memory(void **state)
{
    enum { CHUNK = 64 }; /* events in one piece of memory */

    (void)state;
    for (size_t before = 0; before < CHUNK; before++) {
        open_pair("shutdown without memory");
        for (size_t i = 0; i < before; i++)
            CHECK_EQ("before", send(a, EDDY_RELIABLE_ORDERED, "x"), EDDY_OK);
        node->memory.fail_after = 0;
        eddy_shutdown(node->manager, 0);
        node->memory.fail_after = UINT64_MAX;
        run_ms(SETTLE_MS);
        for (size_t i = 0; i < before; i++) {
            eddy_event event = take(EDDY_MESSAGE, b);
            eddy_release(node->manager, &event);
        }
        (void)take(EDDY_DISCONNECTED, a);
        (void)take(EDDY_DISCONNECTED, b);
        check_quiet(EDDY_ECLOSED);
        ed_cluster_close(&cluster);
    }
}

/* ---------------------------------------------------------------------------------- threads -- */

struct sender {
    ed_thread thread;
    eddy_connection from;
};

static void send_numbers(void *context)
{
    const struct sender *sender = context;

    for (uint32_t i = 0; i < MESSAGES; i++)
        while (eddy_send(node->manager, sender->from, EDDY_RELIABLE_ORDERED, 0, &i, sizeof(i)) ==
               EDDY_EAGAIN)
            continue;
}

static void both_ends_on_threads(void **state)
{
    struct sender senders[2];
    uint32_t next[2] = {0};
    eddy_event event;

    (void)state;
    open_pair("threads");
    for (size_t i = 0; i < 2; i++) {
        senders[i].from = i == 0 ? a : b;
        CHECK_EQ("start", ed_thread_start(&senders[i].thread, "sender", send_numbers, &senders[i]),
                 EDDY_OK);
    }
    while (next[0] < MESSAGES || next[1] < MESSAGES) {
        if (eddy_next(node->manager, &event, 0) != EDDY_OK)
            continue;
        uint32_t number = 0;
        uint32_t *want = &next[event.connection == b ? 0 : 1];
        CHECK_EQ("size", event.message.size, sizeof(number));
        memcpy(&number, event.message.data, sizeof(number));
        CHECK_EQ("in order", number, *want);
        *want += 1;
        eddy_release(node->manager, &event);
    }
    for (size_t i = 0; i < 2; i++)
        ed_thread_join(&senders[i].thread);
    CHECK_EQ("end", eddy_disconnect(node->manager, a, 0, NULL, 0), EDDY_OK);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(ending_one_ends_both),
        cmocka_unit_test(two_places_of_the_outgoing),
        cmocka_unit_test(what_is_held_back_is_charged),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(what_is_not_for_pairs),
        cmocka_unit_test(shutting_down_ends_them),
        cmocka_unit_test(shutting_down_ends_them_without_memory),
        cmocka_unit_test(both_ends_on_threads),
    };
    return cmocka_run_group_tests_name("local", tests, NULL, NULL);
}
