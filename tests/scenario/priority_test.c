/** How streams share a connection that has less room than they want: priorities, then weights. */
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "transport/stream_send.h"

enum {
    RATE_BPS = 2 * 1000 * 1000,
    DELAY_MS = 20,
    LONG_QUEUE_SIZE = 256 * 1024,
    QUEUE_SIZE = 8 * 1024, /* of the link, so that it holds a message up for 32 ms at most */
    STREAMS_MAX = 4,
    LIMIT_S = 120,
};

static ed_cluster cluster;

/** Node 1 sends to node 0 over a slow link; the window has grown to what it takes. */
static ed_endpoint *open_link(const char *name, uint32_t queue_size)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();
    ed_link_config link = ed_link_config_default();

    client.connection_send_budget = client.send_budget; // for all that is kept of many small ones
    ed_cluster_open(&cluster, name, 1);
    ed_cluster_add_pair(&cluster, &server, &client);
    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    CHECK_EQ(name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
    link.rate_bps = RATE_BPS;
    link.queue_size = queue_size;
    CHECK_EQ(name,
             ed_world_set_link(cluster.world, &cluster.nodes[1].address, &cluster.nodes[0].address,
                               &link),
             EDDY_OK);
    return &cluster.nodes[1].endpoints[0];
}

static ed_endpoint *open_pair(const char *name)
{
    return open_link(name, QUEUE_SIZE);
}

static void send(ed_endpoint *endpoint, eddy_guarantee guarantee, uint8_t stream, size_t size,
                 size_t count)
{
    ed_parcel parcel = {.guarantee = guarantee, .stream = stream, .size = size};

    for (size_t i = 0; i < count; i++)
        CHECK_EQ(cluster.name, ed_node_send_parcel(&cluster.nodes[1], endpoint, &parcel), EDDY_OK);
}

/** How many messages of a stream have come. */
static uint32_t came(const ed_endpoint *endpoint, eddy_guarantee guarantee, uint8_t stream)
{
    const ed_book *book = ed_ledger_find(&endpoint->ledger, guarantee, stream);

    return book == NULL ? 0 : book->came;
}

static void set_stream(const ed_endpoint *endpoint, uint8_t stream, uint8_t priority,
                       uint8_t weight)
{
    eddy_stream_options options = {.priority = priority, .weight = weight};

    ed_node_set_stream(&cluster.nodes[1], endpoint, stream, &options);
}

static void finish(void)
{
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    ed_cluster_check_settled(&cluster);
    ed_cluster_shut_down(&cluster, 5000, LIMIT_S * ED_NS_PER_S);
    ed_cluster_close(&cluster);
}

/* ------------------------------------------------------------------------------- priorities -- */

/** While the more important stream has anything to send, the other sends nothing new. */
static void the_more_important_goes_first(void **state)
{
    enum { COUNT = 300 };
    static const struct {
        const char *name;
        eddy_guarantee guarantee;
        size_t size;
        uint8_t high; /* priorities */
        uint8_t low;
        uint32_t early_max; /* of the low one that come before the high one's last */
    } rows[] = {
        {"ordered, 1 before 7", EDDY_RELIABLE_ORDERED, 1000, 1, 7, 0},
        {"ordered, 3 before the default", EDDY_RELIABLE_ORDERED, 1000, 3, 0, 0},
        {"ordered, the default before 5", EDDY_RELIABLE_ORDERED, 1000, 0, 5, 0},
        {"unordered", EDDY_RELIABLE_UNORDERED, 1000, 2, 6, COUNT / 20},
        // A packet that has room for no more of one lane is filled up with others.
        {"small", EDDY_RELIABLE_ORDERED, 100, 1, 2, 0},
        {"in parts", EDDY_RELIABLE_ORDERED, 3000, 1, 2, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        // Nothing is lost: what is sent again comes behind what has left meanwhile.
        ed_endpoint *endpoint = open_link(rows[i].name, LONG_QUEUE_SIZE);
        set_stream(endpoint, 1, rows[i].low, 0);
        set_stream(endpoint, 2, rows[i].high, 0);
        send(endpoint, rows[i].guarantee, 1, rows[i].size, COUNT);
        send(endpoint, rows[i].guarantee, 2, rows[i].size, COUNT);
        while (came(endpoint, rows[i].guarantee, 2) < COUNT)
            CHECK(rows[i].name, ed_world_step(cluster.world));
        // What left in one packet with the last of the others may have come with it.
        CHECK(rows[i].name,
              came(endpoint, rows[i].guarantee, 1) <= rows[i].early_max + 1200 / rows[i].size);
        finish();
    }
}

/** A window that others have filled does not hold up a small message that goes before them. */
static void a_full_window_holds_no_small_message_up(void **state)
{
    enum { COUNT = 300, LATER_MS = 5 };
    static const struct {
        const char *name;
        size_t size;
        uint8_t priority;
        uint32_t want; /* how many of one have come before the window can have opened */
    } rows[] = {
        {"small", 100, 0, 1},
        {"as large as may be", ED_URGENT_SIZE_MAX, 0, 1},
        {"larger", ED_URGENT_SIZE_MAX + 1, 0, 0},
        {"of the same priority", 100, 7, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_endpoint *endpoint = open_link(rows[i].name, LONG_QUEUE_SIZE);
        ed_link_config fast = ed_link_config_default();
        fast.delay_ns = DELAY_MS * ED_NS_PER_MS;
        CHECK_EQ(rows[i].name, ed_world_set_link(cluster.world, NULL, NULL, &fast), EDDY_OK);
        set_stream(endpoint, 1, 7, 0);
        set_stream(endpoint, 2, rows[i].priority, 0);
        send(endpoint, EDDY_UNRELIABLE, 1, 1000, COUNT); // which need no credit
        ed_cluster_run_for(&cluster, LATER_MS * ED_NS_PER_MS);
        send(endpoint, EDDY_RELIABLE_ORDERED, 2, rows[i].size, 1);
        ed_cluster_run_for(&cluster, (DELAY_MS + LATER_MS) * ED_NS_PER_MS);
        CHECK(rows[i].name, came(endpoint, EDDY_UNRELIABLE, 1) < COUNT);
        CHECK_EQ(rows[i].name, came(endpoint, EDDY_RELIABLE_ORDERED, 2), rows[i].want);
        finish();
    }
}

/** @return how long a small message takes that is sent while a large one is on its way. */
static uint64_t time_of_urgent(const char *name, uint8_t priority, size_t small_size)
{
    enum { LARGE = 256 * 1024, BEGUN_MS = 500 };
    ed_endpoint *endpoint = open_pair(name);

    set_stream(endpoint, 2, priority, 0);
    send(endpoint, EDDY_RELIABLE_ORDERED, 1, LARGE, 1);
    ed_cluster_run_for(&cluster, BEGUN_MS * ED_NS_PER_MS);
    uint64_t from_ns = ed_cluster_now_ns(&cluster);
    send(endpoint, EDDY_RELIABLE_ORDERED, 2, small_size, 1);
    while (came(endpoint, EDDY_RELIABLE_ORDERED, 2) == 0)
        CHECK(name, ed_world_step(cluster.world));
    uint64_t took_ns = ed_cluster_now_ns(&cluster) - from_ns;
    CHECK_EQ(name, came(endpoint, EDDY_RELIABLE_ORDERED, 1), 0); // else there was nothing to pass
    finish();
    return took_ns;
}

/** 256 KiB take a second; who is more urgent, or only small, waits for the queue of the link. */
static void a_large_message_holds_nobody_up(void **state)
{
    enum { LATE_MAX_MS = DELAY_MS + QUEUE_SIZE * 8 / (RATE_BPS / 1000) + 30 };
    static const struct {
        const char *name;
        uint8_t priority;
        size_t size;
    } rows[] = {
        {"urgent, 10 bytes", 1, 10},
        {"urgent, one piece", 1, 1000},
        {"urgent, in parts", 1, 5000},
        {"small, of the same priority", 0, 10},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t took_ns = time_of_urgent(rows[i].name, rows[i].priority, rows[i].size);
        uint64_t parts_ns = rows[i].size * 8 * ED_NS_PER_S / RATE_BPS;
        CHECK(rows[i].name, took_ns <= LATE_MAX_MS * ED_NS_PER_MS + 2 * parts_ns);
    }
}

/* ---------------------------------------------------------------------------------- weights -- */

/** Streams that always have something to send get bytes as their weights are. */
static void weights_are_shares(void **state)
{
    enum { BYTES = 400 * 1000, WITHIN_PERCENT = 5 };
    static const struct {
        const char *name;
        size_t count;
        uint8_t weights[STREAMS_MAX];
        size_t sizes[STREAMS_MAX];
    } rows[] = {
        {"equal", 2, {16, 16}, {1000, 1000}},
        {"by default", 2, {0, 16}, {1000, 1000}},
        {"one to two", 2, {16, 32}, {1000, 1000}},
        {"one to ten", 2, {10, 100}, {1000, 1000}},
        {"the extremes", 2, {5, 255}, {1000, 1000}},
        {"of four", 4, {10, 20, 30, 40}, {1000, 1000, 1000, 1000}},
        {"small and large", 2, {16, 16}, {100, 1000}},
        {"small and large, one to three", 2, {48, 16}, {100, 1000}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_endpoint *endpoint = open_pair(rows[i].name);
        uint64_t weights = 0, bytes = 0, got[STREAMS_MAX] = {0};
        for (size_t s = 0; s < rows[i].count; s++) {
            set_stream(endpoint, (uint8_t)s, 0, rows[i].weights[s]);
            weights += rows[i].weights[s] == 0 ? EDDY_WEIGHT_DEFAULT : rows[i].weights[s];
            send(endpoint, EDDY_RELIABLE_UNORDERED, (uint8_t)s, rows[i].sizes[s],
                 2 * BYTES / rows[i].sizes[s]);
        }
        for (bytes = 0; bytes < BYTES;) {
            CHECK(rows[i].name, ed_world_step(cluster.world));
            bytes = 0;
            for (size_t s = 0; s < rows[i].count; s++) {
                got[s] = came(endpoint, EDDY_RELIABLE_UNORDERED, (uint8_t)s) * rows[i].sizes[s];
                bytes += got[s];
            }
        }
        for (size_t s = 0; s < rows[i].count; s++) {
            uint64_t weight = rows[i].weights[s] == 0 ? EDDY_WEIGHT_DEFAULT : rows[i].weights[s];
            uint64_t want = bytes * weight / weights;
            // Headers count, too, so small messages get a little less; and a packet is not split.
            uint64_t within = want * WITHIN_PERCENT / 100 + 3000;
            if (got[s] + within < want || got[s] > want + within)
                CHECK_EQ(rows[i].name, got[s], want);
        }
        finish();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_more_important_goes_first),
        cmocka_unit_test(a_full_window_holds_no_small_message_up),
        cmocka_unit_test(a_large_message_holds_nobody_up),
        cmocka_unit_test(weights_are_shares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
