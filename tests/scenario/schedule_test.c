/**
 * What leaves when there is more to send than the path takes: a message with a deadline is dropped
 * rather than late, and who is more urgent waits for a datagram or two, not for the bulk.
 */
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "transport/limits.h"

enum {
    DELAY_MS = 20,
    COUNT_MAX = 1000,
    DATAGRAM_BITS = 8 * (1200 + 28),
    TICK_MS = 16,
    BULK_STREAM = 1,
    GAME_STREAM = 2,
};

static ed_cluster cluster;

/** When each message of a lane was sent, and whether its arrival has been seen. */
static struct {
    uint64_t sent_ns[COUNT_MAX];
    uint64_t limit_ns[COUNT_MAX]; /* when it has to be there */
    bool is_seen[COUNT_MAX];
    uint64_t came;
} watch;

static ed_endpoint *open_pair(const char *name, eddy_congestion congestion, uint64_t rate_bps,
                              uint32_t queue_size)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();
    ed_link_config link = ed_link_config_default();

    client.congestion = congestion;
    client.max_datagram_size = ED_DATAGRAM_SIZE; // so that all that leaves is as large
    client.connection_send_budget = client.send_budget;
    ed_cluster_open(&cluster, name, 1);
    ed_cluster_add_pair(&cluster, &server, &client);
    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    CHECK_EQ(name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
    link.rate_bps = rate_bps;
    link.queue_size = queue_size;
    link.overhead_size = 28;
    CHECK_EQ(name,
             ed_world_set_link(cluster.world, &cluster.nodes[1].address, &cluster.nodes[0].address,
                               &link),
             EDDY_OK);
    memset(&watch, 0, sizeof(watch));
    return &cluster.nodes[1].endpoints[0];
}

static const ed_link *link_up(void)
{
    return ed_world_link(cluster.world, cluster.nodes[1].host, cluster.nodes[0].host);
}

/** Sends the next message of a lane. @param slack_ns how long it may take beside the path. */
static void send(ed_endpoint *endpoint, const ed_parcel *parcel, uint64_t slack_ns)
{
    uint64_t now_ns = ed_cluster_now_ns(&cluster);
    const ed_book *book = ed_ledger_find(&endpoint->ledger, parcel->guarantee, parcel->stream);
    uint32_t index = book == NULL ? 0 : book->count;

    ED_ASSERT(index < COUNT_MAX);
    CHECK_EQ(cluster.name, ed_node_send_parcel(&cluster.nodes[1], endpoint, parcel), EDDY_OK);
    watch.sent_ns[index] = now_ns + DELAY_MS * ED_NS_PER_MS;
    if (link_up() != NULL)
        watch.sent_ns[index] += ed_link_queue_ns(link_up(), now_ns);
    watch.limit_ns[index] = watch.sent_ns[index] + slack_ns;
}

/** Takes note of what has come, and that it was in time. */
static void look(const ed_endpoint *endpoint, const ed_parcel *parcel)
{
    const ed_book *book = ed_ledger_find(&endpoint->ledger, parcel->guarantee, parcel->stream);
    uint64_t now_ns = ed_cluster_now_ns(&cluster);

    for (uint32_t i = 0; i < book->count; i++) {
        if (!book->notes[i].has_come || watch.is_seen[i])
            continue;
        watch.is_seen[i] = true;
        watch.came++;
        if (now_ns > watch.limit_ns[i])
            CHECK_EQ(cluster.name, now_ns - watch.sent_ns[i], watch.limit_ns[i] - watch.sent_ns[i]);
    }
}

static void run_until(uint64_t until_ns, const ed_endpoint *endpoint, const ed_parcel *parcel)
{
    while (ed_world_next_ns(cluster.world) <= until_ns) {
        CHECK(cluster.name, ed_world_step(cluster.world));
        look(endpoint, parcel);
    }
    ed_world_run_until(cluster.world, until_ns);
}

/** Twice as much as the path takes: what comes is in time, and the rest is counted as expired. */
static void what_has_a_deadline_is_dropped_rather_than_late(void **state)
{
    enum { COUNT = 1000, QUEUE_DATAGRAMS = 4 };
    static const struct {
        const char *name;
        eddy_congestion congestion;
        eddy_guarantee guarantee;
        uint32_t rate_bps;
        size_t size;
        uint32_t expire_ms;
    } rows[] = {
        {"slow", EDDY_CONGESTION_NEW_RENO, EDDY_UNRELIABLE, 400000, 1100, 100},
        {"sequenced", EDDY_CONGESTION_NEW_RENO, EDDY_UNRELIABLE_SEQUENCED, 400000, 1100, 50},
        {"the model", EDDY_CONGESTION_MODEL, EDDY_UNRELIABLE, 4000000, 1100, 50},
        {"the model, small ones", EDDY_CONGESTION_MODEL, EDDY_UNRELIABLE, 2000000, 300, 50},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_endpoint *endpoint =
            open_pair(rows[i].name, rows[i].congestion, rows[i].rate_bps, QUEUE_DATAGRAMS * 1228);
        ed_parcel parcel = {.guarantee = rows[i].guarantee,
                            .stream = GAME_STREAM,
                            .size = rows[i].size,
                            .expire_ms = rows[i].expire_ms};
        uint64_t datagram_ns = DATAGRAM_BITS * ED_NS_PER_S / rows[i].rate_bps;
        uint64_t each_ns = rows[i].size * 8 * ED_NS_PER_S / rows[i].rate_bps / 2;
        // The queue of the link is not the sender's to keep a deadline in.
        uint64_t slack_ns = rows[i].expire_ms * ED_NS_PER_MS + (QUEUE_DATAGRAMS + 1) * datagram_ns;
        for (int k = 0; k < COUNT; k++) {
            send(endpoint, &parcel, slack_ns);
            run_until(ed_cluster_now_ns(&cluster) + each_ns, endpoint, &parcel);
        }
        run_until(ed_cluster_now_ns(&cluster) + 2 * ED_NS_PER_S, endpoint, &parcel);
        eddy_stats stats = ed_node_stats(&cluster.nodes[1]);
        uint64_t dropped = stats.messages_expired + stats.messages_shed;
        CHECK(rows[i].name, stats.messages_expired > COUNT / 4);
        CHECK(rows[i].name, watch.came > COUNT / 4);
        CHECK(rows[i].name, watch.came + dropped <= COUNT);
        ed_cluster_close(&cluster);
    }
}

/** There is always bulk; what is more urgent passes it, and waits only while nothing may leave. */
static void the_urgent_passes_the_bulk(void **state)
{
    enum { COUNT = 300, RATE_BPS = 2 * 1000 * 1000, QUEUE_SIZE = 64 * 1024, BULK = 100 * 1000 };
    static const struct {
        const char *name;
        eddy_congestion congestion;
        eddy_guarantee guarantee;
        uint8_t priority; /* of the game's stream */
        size_t size;
        uint32_t datagrams; /* so many may leave before it, and its own time on the link */
    } rows[] = {
        {"urgent, unreliable", EDDY_CONGESTION_MODEL, EDDY_UNRELIABLE, 1, 100, 2},
        {"urgent, ordered", EDDY_CONGESTION_MODEL, EDDY_RELIABLE_ORDERED, 1, 100, 2},
        {"urgent, by the window", EDDY_CONGESTION_NEW_RENO, EDDY_UNRELIABLE, 1, 100, 4},
        {"the same priority", EDDY_CONGESTION_MODEL, EDDY_UNRELIABLE, 0, 100, 5},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_endpoint *endpoint = open_pair(rows[i].name, rows[i].congestion, RATE_BPS, QUEUE_SIZE);
        ed_parcel bulk = {.guarantee = EDDY_RELIABLE_ORDERED, .stream = BULK_STREAM, .size = BULK};
        ed_parcel parcel = {
            .guarantee = rows[i].guarantee, .stream = GAME_STREAM, .size = rows[i].size};
        eddy_stream_options options = {.priority = rows[i].priority};
        ed_node_set_stream(&cluster.nodes[1], endpoint, GAME_STREAM, &options);
        for (int k = 0; k < COUNT * TICK_MS * (RATE_BPS / 1000 / 8) / BULK + 5; k++)
            CHECK_EQ(rows[i].name, ed_node_send_parcel(&cluster.nodes[1], endpoint, &bulk),
                     EDDY_OK);
        ed_cluster_run_for(&cluster, ED_NS_PER_S);
        for (int k = 0; k < COUNT; k++) {
            send(endpoint, &parcel, rows[i].datagrams * DATAGRAM_BITS * ED_NS_PER_S / RATE_BPS);
            run_until(ed_cluster_now_ns(&cluster) + TICK_MS * ED_NS_PER_MS + 12345, endpoint,
                      &parcel);
        }
        run_until(ed_cluster_now_ns(&cluster) + ED_NS_PER_S, endpoint, &parcel);
        CHECK(rows[i].name, watch.came >= COUNT - COUNT / 50); // the queue of the link may overflow
        CHECK(rows[i].name, ed_cluster_stats(&cluster).messages_reassembled > COUNT / 50);
        ed_cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_a_deadline_is_dropped_rather_than_late),
        cmocka_unit_test(the_urgent_passes_the_bulk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
