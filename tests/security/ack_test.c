/**
 * Acknowledgements that lie: of what has not come (T13), of what was never sent, and as much as
 * fits (T14), and about how long they waited, or what time it is (T15).
 */
#include "core/addr.h"
#include "sim/random.h"
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/rogue.h"
#include "tests/support/seeds.h"
#include "transport/nonce.h"

enum {
    DELAY_MS = 20,
    RATE_BPS = 8 * 1000 * 1000,
    QUEUE_BYTES = 30 * 1000,
    FIRST_GAP_MAX = 128, /* packets before the first number that is left out */
    GIVEN_UP = 2000,     /* packets: so many are no longer at once */
    FIRST_FLIGHT = 16,   /* packets that leave before anything is acknowledged, and CLOSEs */
};

static ed_cluster cluster;
static ed_node *server;
static ed_rogue rogue;

static void set_links(uint64_t delay_ms, uint32_t loss_ppm)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = delay_ms * ED_NS_PER_MS;
    link.rate_bps = RATE_BPS;
    link.queue_size = QUEUE_BYTES;
    link.loss_ppm = loss_ppm;
    CHECK_EQ("link", ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

/** A server, and somebody connected to it who does not keep to the protocol. */
static void open_both(const char *name, uint64_t seed, ed_rogue_hear hear)
{
    eddy_config config = ed_cluster_server_config();
    eddy_address address = ed_addr_ipv4(10, 9, 9, 9, 5000);

    config.send_budget = 64 << 20;
    config.connection_send_budget = 64 << 20;
    ed_nonce_forget(); // of an earlier world of the same seed
    ed_cluster_open(&cluster, name, seed);
    cluster.sizes = (ed_sizes){1000, 1000};
    server = ed_cluster_add(&cluster, &config);
    set_links(DELAY_MS, 0);
    ed_rogue_open(&rogue, cluster.world, &address, &server->address);
    CHECK_EQ("connected", server->endpoint_count, 1);
    rogue.hear = hear;
}

static void close_both(void)
{
    ed_rogue_close(&rogue);
    ed_cluster_close(&cluster);
}

/** Messages for the other end, unreliable ones that nobody has to grant room for. */
static void keep_busy(size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)!ed_node_send(server, &server->endpoints[0], EDDY_UNRELIABLE, 0);
}

static eddy_connection_stats stats_of_victim(void)
{
    eddy_connection_stats stats = {0};

    (void)!eddy_get_connection_stats(server->manager, server->endpoints[0].handle, &stats);
    return stats;
}

static bool was_caught(void)
{
    return rogue.was_closed && rogue.close.cause == ED_CLOSE_PROTOCOL;
}

/* ------------------------------------------------------------------- T13: optimistic acks -- */

/** How it lies: it acknowledges all up to so many above what has just come. */
struct optimist {
    const char *name;
    uint64_t ahead;
};

static void acknowledge_everything(ed_rogue *r, uint64_t number, ed_span frames, uint64_t now_ns)
{
    const struct optimist *how = r->context;

    (void)frames;
    (void)now_ns;
    ed_rogue_ack(r, 0, number + how->ahead, 0);
}

/** @return how many packets the server sent before it noticed. */
static uint64_t packets_until_caught(struct optimist *how, uint64_t seed)
{
    open_both(how->name, seed, acknowledge_everything);
    rogue.context = how;
    uint64_t packets = 0;
    while (packets < GIVEN_UP && !was_caught()) {
        keep_busy(100);
        ed_rogue_run_for(&rogue, ED_NS_PER_MS);
        packets = stats_of_victim().packets_sent;
    }
    bool caught = was_caught();
    close_both();
    return caught ? packets : UINT64_MAX;
}

static bool optimists_are_caught(const void *context)
{
    struct optimist how = *(const struct optimist *)context;
    uint64_t worst = 0;

    for (uint64_t seed = 1; seed <= ed_attack_count(5, 200); seed++)
        worst = ed_max_u64(worst, packets_until_caught(&how, seed));
    ed_attack_figure("T13 %s: caught after %llu packets at most", how.name,
                     (unsigned long long)worst);
    return worst <= 2 * FIRST_GAP_MAX + FIRST_FLIGHT;
}

/** Two ends that keep to the protocol, on links that do everything else. */
static void honest_ends_are_never_accused(uint64_t packets)
{
    eddy_config config[] = {ed_cluster_server_config(), ed_cluster_client_config()};
    ed_link_config link = ed_link_config_default();
    uint64_t sent = 0;

    for (size_t i = 0; i < ED_COUNT(config); i++)
        config[i].idle_timeout_ms = 0;
    ed_cluster_open(&cluster, "honest", 7);
    ed_cluster_add_pair(&cluster, &config[0], &config[1]);
    link.delay_ns = 5 * ED_NS_PER_MS;
    link.jitter_ns = 5 * ED_NS_PER_MS;
    link.loss_ppm = 500 * 1000;
    link.duplicate_ppm = 200 * 1000;
    link.reorder_ppm = 200 * 1000;
    link.reorder_extra_ns = 20 * ED_NS_PER_MS;
    CHECK_EQ("link", ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
    for (uint64_t tick = 0; sent < packets; tick++) {
        for (size_t n = 0; n < cluster.node_count; n++)
            (void)!ed_node_send(&cluster.nodes[n], &cluster.nodes[n].endpoints[0],
                                (eddy_guarantee)(tick % 5), 0);
        ed_cluster_run_for(&cluster, 5 * ED_NS_PER_MS);
        sent = ed_cluster_stats(&cluster).sent_datagrams;
        CHECK("honest", !cluster.nodes[0].endpoints[0].disconnected &&
                            !cluster.nodes[1].endpoints[0].disconnected);
    }
    ed_attack_figure("T13 honest ends, half of all lost: %llu packets, none accused",
                     (unsigned long long)sent);
    ed_cluster_close(&cluster);
}

static void t13_optimistic_acks_end_the_connection(void **state)
{
    static const struct optimist ways[] = {{"all that is known", 0}, {"a little more", 2}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(ways); i++)
        ed_attack_run(&(ed_attack){.name = "T13 optimistic acks",
                                   .mount = optimists_are_caught,
                                   .context = &ways[i],
                                   .checks = {EDDY_CHECK_ACK_SKIPPED}});
    honest_ends_are_never_accused(ed_attack_count(5 * 1000, 1000 * 1000));
}

/* -------------------------------------------------------------- T14: acks of what was not sent --
 */

static bool unsent_is_refused(const void *context)
{
    static const struct {
        uint64_t first;
        uint64_t last;
    } rows[] = {
        {1000, 1000}, {0, ED_PACKET_NUMBER_LAST}, {0, 200}, {UINT64_C(1) << 32, UINT64_C(1) << 40}};
    bool caught = true;

    (void)context;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_both("T14", i + 1, NULL);
        ed_rogue_ack(&rogue, rows[i].first, rows[i].last, 0);
        ed_rogue_run_for(&rogue, ED_NS_PER_S / 10);
        caught &= was_caught() && rogue.was_closed && rogue.close.cause == ED_CLOSE_PROTOCOL;
        close_both();
    }
    return caught;
}

static ed_duel duel; /* whose server has much to be acknowledged */

static void open_duel(size_t sent_count)
{
    ed_duel_open(&duel);
    for (size_t i = 0; i < sent_count; i++) {
        ed_sent packet = {.sent_ns = duel.now_ns - ED_NS_PER_MS,
                          .size = 100,
                          .flags = ED_SENT_ACK_ELICITING | ED_SENT_IN_FLIGHT};
        CHECK_EQ("push", ed_sent_push(&duel.server.sent, &packet, NULL, 0), EDDY_OK);
        ed_loss_on_sent(&duel.server.loss, ed_sent_at(&duel.server.sent, i));
    }
}

/** Writes ACK frames of so many single numbers each, from the highest down, as long as they fit. */
static ed_span acks_of(uint8_t *data, uint32_t ranges_count, uint64_t top)
{
    ed_writer w = ed_writer_of(data, ED_ROGUE_FRAMES_MAX);
    ed_range places[ED_ACK_RANGES_MAX];
    ed_ranges ranges = {.range = places, .count = ranges_count, .capacity = ED_ACK_RANGES_MAX};
    size_t size = 0;

    for (uint32_t i = 0; i < ranges_count; i++)
        ranges.range[i] = (ed_range){.first = top - 2 * i, .last = top - 2 * i};
    for (; ed_writer_ok(&w); size = ed_writer_ok(&w) ? ed_writer_size(&w) : size)
        ed_frame_write_ack(&w, &ranges, 0);
    return (ed_span){.data = data, .size = size};
}

static void full_acks_cost_little(void)
{
    static const uint32_t ranges[] = {1, 2, 8, ED_ACK_RANGES_MAX};
    enum { SENT = 10000, MOST_US = 20 };
    uint8_t data[ED_DATAGRAM_SIZE];
    uint64_t worst_ns = 0;

    for (size_t i = 0; i < ED_COUNT(ranges); i++) {
        open_duel(SENT);
        worst_ns = ed_max_u64(
            worst_ns, ed_duel_least_time_ns(&duel, acks_of(data, ranges[i], SENT - 1), 200));
        ed_duel_close(&duel);
    }
    ed_attack_figure("T14 a datagram full of ACKs: %.1f us at most", (double)worst_ns / 1000);
    CHECK("time", ed_seeds_slow_build() || worst_ns <= MOST_US * ED_NS_PER_US);
}

/** Whatever ACKs say, looking at them costs no more steps than there are packets. */
static void no_ack_costs_more_than_the_log(uint64_t count)
{
    enum { SENT = 4000 };
    ed_rng rng = ed_rng_of(14);
    uint64_t worst = 0;

    open_duel(0);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t data[ED_DATAGRAM_SIZE];
        if (i % 1000 == 0) {
            ed_duel_close(&duel);
            open_duel(SENT);
        }
        uint64_t before = duel.server.loss.visit_count;
        uint32_t ranges_count = 1 + (uint32_t)ed_rng_below(&rng, ED_ACK_RANGES_MAX);
        uint64_t top = 2 * ED_ACK_RANGES_MAX + ed_rng_below(&rng, SENT - 2 * ED_ACK_RANGES_MAX);
        ed_span frames = acks_of(data, ranges_count, top);
        if (i % 500 == 499) // cut, mostly where it may not be
            frames.size = 1 + ed_rng_below(&rng, frames.size);
        ed_duel_say(&duel, frames);
        worst = ed_max_u64(worst, duel.server.loss.visit_count - before);
        if (duel.server.state != ED_CONN_CONNECTED) {
            ed_duel_close(&duel);
            open_duel(SENT);
        }
    }
    ed_duel_close(&duel);
    ed_attack_figure("T14 %llu drawn ACKs: %llu steps at most for %d packets",
                     (unsigned long long)count, (unsigned long long)worst, SENT);
    CHECK("steps", worst <= 2 * SENT + ED_DATAGRAM_SIZE);
}

enum {
    RUNS = 800, /* packets, */
    RUN = 10,   /* of messages of one lane; behind them as many packets with the first of each */
};

static ed_sent_ref send_of_lane(ed_part *again, uint64_t packet)
{
    ed_outbox *outbox = &duel.server.outbox;
    ed_sent_ref ref = {.count = 0};
    ed_outgoing next;

    bool is_there = again == NULL ? ed_outbox_next(outbox, ED_DATAGRAM_SIZE, packet, &next)
                                  : ed_outbox_again(outbox, again, ED_DATAGRAM_SIZE, &next);
    CHECK("leaves", is_there && ed_outbox_on_sent(outbox, &next, packet, &ref));
    return ref;
}

static void log_packet(const ed_sent_ref *ref)
{
    ed_sent packet = {.sent_ns = duel.now_ns - ED_NS_PER_MS,
                      .size = 100,
                      .flags = ED_SENT_ACK_ELICITING | ED_SENT_IN_FLIGHT};
    uint64_t number = duel.server.sent.next;

    CHECK_EQ("push", ed_sent_push(&duel.server.sent, &packet, ref, 1), EDDY_OK);
    ed_loss_on_sent(&duel.server.loss, ed_sent_at(&duel.server.sent, number));
}

/** The packet of each run is acknowledged last: when it has to be looked for by what is left. */
static void open_duel_of_runs(ed_sent_ref refs[RUNS])
{
    ed_duel_open(&duel);
    ed_outbox_on_credit(&duel.server.outbox, UINT64_MAX);
    for (uint64_t i = 0; i < (uint64_t)RUNS * RUN; i++) {
        ed_message message = {.block = ed_pool_take(duel.bed.shared.receive_pool, 0),
                              .guarantee = ED_WIRE_RELIABLE_ORDERED,
                              .expires_ns = ED_NEVER_NS};
        CHECK_EQ("push", ed_outbox_push(&duel.server.outbox, &message, 1, duel.now_ns), 1);
    }
    for (size_t i = 0; i < RUNS; i++) {
        refs[i] = send_of_lane(NULL, i);
        for (size_t k = 1; k < RUN; k++) {
            ed_sent_ref ref = send_of_lane(NULL, i);
            CHECK("follows", ed_sent_ref_join(&refs[i], &ref));
        }
        log_packet(&refs[i]);
    }
    for (size_t i = 0; i < RUNS; i++) {
        ed_sent_ref ref = send_of_lane(ed_outbox_first_of(&duel.server.outbox, refs[i]), RUNS + i);
        log_packet(&ref);
    }
}

/** What ACKs cost: packets that are looked at, and places in search of their messages. */
static uint64_t steps_of(ed_span frames)
{
    const ed_lane_out *lane = ed_lanes_find(&duel.server.outbox.lanes, ED_WIRE_RELIABLE_ORDERED, 0);
    uint64_t before = duel.server.loss.visit_count + lane->look_count;

    ed_duel_say(&duel, frames);
    CHECK_EQ("goes on", duel.server.state, ED_CONN_CONNECTED);
    return duel.server.loss.visit_count + lane->look_count - before;
}

static uint64_t steps_of_ack(uint64_t first, uint64_t last)
{
    ed_range range = {.first = first, .last = last};
    ed_ranges ranges = {.range = &range, .count = 1, .capacity = 1};
    uint8_t data[ED_DATAGRAM_SIZE];
    ed_writer w = ed_writer_of(data, sizeof(data));

    ed_frame_write_ack(&w, &ranges, 0);
    return steps_of((ed_span){.data = data, .size = ed_writer_size(&w)});
}

/** Nor does the search for the messages of packets, in whatever order these are acknowledged. */
static void no_ack_costs_more_than_the_messages(uint64_t rounds)
{
    static ed_sent_ref refs[RUNS];
    ed_rng rng = ed_rng_of(14);
    uint64_t worst = 0;

    for (uint64_t round = 0; round < rounds; round++) {
        open_duel_of_runs(refs);
        worst = ed_max_u64(worst, steps_of_ack(RUNS, 2 * RUNS - 1));
        while (duel.server.sent.first < RUNS) { // as long as it is remembered
            uint64_t first = ed_rng_below(&rng, RUNS);
            uint64_t last = first + ed_rng_below(&rng, RUNS - first);
            worst = ed_max_u64(worst, steps_of_ack(first, last));
            if (round % 2 == 0) // all at once
                worst = ed_max_u64(worst, steps_of_ack(0, RUNS - 1));
        }
        ed_duel_close(&duel);
    }
    ed_attack_figure("T14 packets of what is settled in part: %llu steps at most for %d messages",
                     (unsigned long long)worst, RUNS * RUN);
    CHECK("steps", worst <= 2 * RUNS * RUN);
}

/** Fills a datagram with ACKs of a run each, from both ends by turns. @return how many. */
static uint64_t acks_by_turns(uint8_t *data, ed_span *frames)
{
    ed_writer w = ed_writer_of(data, ED_ROGUE_FRAMES_MAX);
    ed_range range;
    ed_ranges ranges = {.range = &range, .count = 1, .capacity = 1};
    uint64_t count = 0;
    uint64_t oldest = duel.server.sent.first; // of those that are remembered

    for (frames->size = 0; oldest + count < RUNS; count++) {
        range.first = count % 2 == 0 ? oldest + count / 2 : RUNS - 1 - count / 2;
        range.last = range.first;
        ed_frame_write_ack(&w, &ranges, 0);
        if (!ed_writer_ok(&w))
            break;
        frames->size = ed_writer_size(&w);
    }
    frames->data = data;
    return count;
}

/** Nor many ACKs in one datagram, each of what is far from the one before. */
static void no_datagram_costs_more_than_it_names(void)
{
    static ed_sent_ref refs[RUNS];
    uint8_t data[ED_DATAGRAM_SIZE];
    ed_span frames;

    open_duel_of_runs(refs);
    (void)steps_of_ack(RUNS, 2 * RUNS - 1); // the first of each run is settled
    uint64_t count = acks_by_turns(data, &frames);
    uint64_t steps = steps_of(frames);
    ed_attack_figure("T14 %llu ACKs in a datagram, from both ends: %llu steps for %llu messages",
                     (unsigned long long)count, (unsigned long long)steps,
                     (unsigned long long)(count * RUN));
    CHECK("many", count > 100);
    CHECK_EQ("all are settled", duel.server.outbox.reliable_count, (RUNS - count) * (RUN - 1));
    CHECK("steps", steps <= count * RUN);
    ed_duel_close(&duel);
}

static void t14_acks_of_the_unsent_and_full_ones(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){.name = "T14 acks of the unsent",
                               .mount = unsent_is_refused,
                               .checks = {EDDY_CHECK_ACK_UNSENT}});
    full_acks_cost_little();
    no_ack_costs_more_than_the_log(ed_attack_count(20 * 1000, 1000 * 1000));
    no_ack_costs_more_than_the_messages(ed_attack_count(4, 400));
    no_datagram_costs_more_than_it_names();
}

/* ------------------------------------------------------------------- T15: lies about the delay --
 */

static void acknowledge_late(ed_rogue *r, uint64_t number, ed_span frames, uint64_t now_ns)
{
    (void)number;
    (void)frames;
    (void)now_ns;
    ed_rogue_ack_heard(r, *(const uint64_t *)r->context);
}

/** So long as it lasts, the server has more to send than the path carries. */
static void be_busy_for(uint64_t duration_ms)
{
    for (uint64_t ms = 0; ms < duration_ms; ms++) {
        keep_busy(3);
        ed_rogue_run_for(&rogue, ED_NS_PER_MS);
    }
}

/**
 * The path takes 40 ms there and back, later 120: no word of the peer makes it faster than that
 * least, nor on average by more than it may have waited: for some packets until the next one left.
 */
static bool the_path_is_what_it_is(const void *context)
{
    uint64_t delay_us = *(const uint64_t *)context;
    enum { SLOW_MS = 60, LATER_MS = 2000 };

    open_both("T15", 15, acknowledge_late);
    rogue.context = &delay_us;
    be_busy_for(1000);
    eddy_connection_stats early = stats_of_victim();
    set_links(SLOW_MS, 0);
    be_busy_for(LATER_MS);
    eddy_connection_stats late = stats_of_victim();
    bool open = !server->endpoints[0].disconnected;
    close_both();
    double rate = (double)(late.sent_bytes - early.sent_bytes) * 8000 / LATER_MS;
    ed_attack_figure("T15 delay of %llu us: least round trip %.1f ms of 40, smoothed %.1f of 120; "
                     "%.2f Mbit/s of 8",
                     (unsigned long long)delay_us, (double)early.rtt_min_ns / 1e6,
                     (double)late.rtt_smoothed_ns / 1e6, rate / 1e6);
    return open && early.rtt_min_ns >= 2 * DELAY_MS * ED_NS_PER_MS &&
           late.rtt_min_ns >= 2 * DELAY_MS * ED_NS_PER_MS &&
           late.rtt_smoothed_ns >= 2 * SLOW_MS * ED_NS_PER_MS - ED_ACK_PATIENCE_NS / 2 &&
           rate <= 1.2 * RATE_BPS;
}

static void t15_no_delay_makes_the_path_fast(void **state)
{
    static const uint64_t honest_us[] = {25 * 1000};
    static const uint64_t lies_us[] = {60 * 1000, (UINT64_C(1) << 62) - 1};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(honest_us); i++)
        CHECK("T15", the_path_is_what_it_is(&honest_us[i]));
    for (size_t i = 0; i < ED_COUNT(lies_us); i++)
        ed_attack_run(&(ed_attack){.name = "T15 delays",
                                   .mount = the_path_is_what_it_is,
                                   .context = &lies_us[i],
                                   .checks = {EDDY_CHECK_ACK_DELAY}});
}

/** Answers what time it is with the number and the rest as the test has it. */
static void lie_about_the_time(ed_rogue *r, uint64_t number, ed_span frames, uint64_t now_ns)
{
    ed_reader reader = ed_reader_of(frames.data, frames.size);
    ed_time_frame lie = *(const ed_time_frame *)r->context;
    uint8_t data[ED_TIME_SIZE_MAX];
    ed_writer w = ed_writer_of(data, sizeof(data));
    ed_frame frame = {.type = ED_FRAME_PADDING};

    (void)now_ns;
    lie.packet = (uint32_t)number;
    while (ed_reader_left(&reader) > 0 && ed_frame_read(&reader, &frame) == EDDY_OK)
        if (frame.type == ED_FRAME_TIME && !frame.time.is_answer) {
            ed_frame_write_time(&w, &lie);
            ed_rogue_say_written(r, &w);
            return;
        }
}

/** @return whether nothing was believed, and nothing else has suffered. */
static bool the_time_is_not_known(const void *context)
{
    ed_time_frame lie = *(const ed_time_frame *)context;
    eddy_peer_time time;

    open_both("T15", 15, lie_about_the_time);
    rogue.context = &lie;
    be_busy_for(300);
    eddy_status status = eddy_clock(server->manager, server->endpoints[0].handle,
                                    ed_cluster_now_ns(&cluster), &time);
    bool open = !server->endpoints[0].disconnected;
    close_both();
    return open && status == EDDY_EAGAIN;
}

static void t15_no_time_is_beyond_all_others(void **state)
{
    static const ed_time_frame lies[] = {
        {.is_answer = true, .time_ns = UINT64_C(1) << 62},
        {.is_answer = true, .time_ns = UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(lies); i++)
        ed_attack_run(&(ed_attack){.name = "T15 time",
                                   .mount = the_time_is_not_known,
                                   .context = &lies[i],
                                   .checks = {EDDY_CHECK_TIME}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t13_optimistic_acks_end_the_connection),
        cmocka_unit_test(t14_acks_of_the_unsent_and_full_ones),
        cmocka_unit_test(t15_no_delay_makes_the_path_fast),
        cmocka_unit_test(t15_no_time_is_beyond_all_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
