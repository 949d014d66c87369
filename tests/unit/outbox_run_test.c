/** Messages that leave one behind the other, and what becomes of them together. */
#include "tests/unit/outbox_bed.h"
#include "transport/begun.h"

enum { RUN = 5, EXPIRES_NS = 100 };

/** Sends messages in one packet, some of which may expire. @return the reference to all of them */
static ed_sent_ref send_run_from(struct sent sent[RUN], uint32_t mark, unsigned expiring)
{
    for (uint32_t n = 0; n < RUN; n++) {
        uint64_t expires_ns = (expiring >> n & 1) != 0 ? EXPIRES_NS : 0;
        push_with((ed_message){.guarantee = RO, .expires_ns = expires_ns}, mark + n, 4);
    }
    for (size_t n = 0; n < RUN; n++)
        CHECK("sent", try_send(&sent[n], BED_ROOM, bed.packet));
    bed.packet++;
    ed_sent_ref run = sent[0].ref;
    for (size_t n = 1; n < RUN; n++)
        CHECK("they follow", ed_sent_ref_join(&run, &sent[n].ref));
    CHECK_EQ("all are named", run.count, RUN);
    return run;
}

/** @return a bit for each message that is sent again. */
static unsigned send_lost(void)
{
    unsigned marks = 0;

    while (has_next()) {
        struct sent again = send_next();
        marks |= again.is_skip ? 0 : 1u << again.mark;
    }
    return marks;
}

/** A packet's end is that of each message in it which had no end of its own before. */
static void a_run_ends_together(void **state)
{
    static const struct {
        const char *name;
        unsigned acked;   /* before, by themselves: a bit for each */
        unsigned expired; /* before */
        bool is_lost;     /* the run; else it is acknowledged */
        unsigned again;   /* what is sent again */
        uint64_t left;    /* what of it is not settled */
    } rows[] = {
        {"all acknowledged", 0, 0, false, 0, 0},
        {"all lost", 0, 0, true, 0x1f, 5},
        {"the first was settled", 0x01, 0, false, 0, 0},
        {"the first was settled, the others are lost", 0x01, 0, true, 0x1e, 4},
        {"the last was settled", 0x10, 0, false, 0, 0},
        {"some within were settled", 0x0a, 0, true, 0x15, 3},
        {"all were settled", 0x1f, 0, false, 0, 0},
        {"all were settled, and are lost", 0x1f, 0, true, 0, 0},
        {"the first was given up", 0, 0x01, false, 0, 0},
        {"the first was given up, the others are lost", 0, 0x01, true, 0x1e, 4},
        {"one was given up and one settled", 0x04, 0x02, true, 0x19, 3},
        {"all were given up", 0, 0x1f, true, 0, 0},
    };
    struct sent sent[RUN];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++, bed_restart()) {
        ed_sent_ref run = send_run_from(sent, 0, rows[i].expired);
        push(RO, 0, RUN, 4);
        (void)send_next(); // in another packet
        for (size_t n = 0; n < RUN; n++)
            if ((rows[i].acked >> n & 1) != 0)
                acked(&sent[n]);
        ed_outbox_expire(&bed.outbox, EXPIRES_NS);
        if (rows[i].is_lost)
            ed_outbox_on_lost(&bed.outbox, run, sent[0].packet);
        else
            ed_outbox_on_acked(&bed.outbox, run);
        CHECK_EQ(rows[i].name, bed.outbox.reliable_count, rows[i].left + 1);
        CHECK_EQ(rows[i].name, bed.outbox.skip_count, __builtin_popcount(rows[i].expired));
        CHECK_EQ(rows[i].name, send_lost(), rows[i].again);
    }
}

enum { RUNS = 2 * ED_BEGUN_LISTED / RUN + 1 };

/** Sends all, and settles the first of each by itself, so that the run is looked for. */
static void send_runs(ed_sent_ref runs[], size_t count)
{
    struct sent sent[RUN];

    for (uint32_t n = 0; n < count; n++) {
        runs[n] = send_run_from(sent, n * RUN, 0);
        acked(&sent[0]);
    }
}

static uint32_t look_count(void)
{
    const ed_lane_out *lane = ed_lanes_find(&bed.outbox.lanes, RO, 0);

    return lane->look_count;
}

/** A search is as short as what is named, or as what is listed where that is little. */
static void runs_are_found_in_any_order(void **state)
{
    static const struct {
        const char *name;
        size_t count;
        size_t first, step; /* the run that is acknowledged first, and how far it is to the next */
        uint32_t looks_max; /* for each of them */
        bool has_ring;
    } rows[] = {
        {"a few, the oldest first", 3, 0, 1, 1, false},
        {"a few, the newest first", 3, 2, 2, ED_BEGUN_LISTED, false},
        {"the oldest first", RUNS, 0, 1, 2, true},
        {"the newest first", RUNS, RUNS - 1, RUNS - 1, 2, true},
        {"from within", RUNS, RUNS / 2, 2, 2, true},
        {"by leaps", RUNS, 1, RUNS / 2, 2, true},
    };
    ed_sent_ref runs[RUNS];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++, bed_restart()) {
        send_runs(runs, rows[i].count);
        const ed_lane_out *lane = ed_lanes_find(&bed.outbox.lanes, RO, 0);
        CHECK_EQ(rows[i].name, lane->ring != NULL, rows[i].has_ring);
        for (size_t n = 0; n < rows[i].count; n++) {
            uint32_t before = look_count();
            ed_outbox_on_acked(&bed.outbox,
                               runs[(rows[i].first + n * rows[i].step) % rows[i].count]);
            CHECK(rows[i].name, look_count() - before <= rows[i].looks_max);
            CHECK_EQ(rows[i].name, bed.outbox.reliable_count, (rows[i].count - 1 - n) * (RUN - 1));
        }
    }
}

/** A reference outlives all that it names, and the ring's place is another's by then. */
static void what_is_settled_is_not_found(void **state)
{
    ed_sent_ref runs[RUNS];

    (void)state;
    for (size_t round = 0; round < 20; round++) {
        send_runs(runs, RUNS);
        for (size_t n = 0; n < RUNS; n++) {
            uint32_t before = look_count();
            ed_outbox_on_acked(&bed.outbox, runs[n]);
            uint64_t left = bed.outbox.reliable_count;
            ed_outbox_on_acked(&bed.outbox, runs[n]);
            CHECK_EQ("nothing more is settled", bed.outbox.reliable_count, left);
            CHECK("nor is much looked at", look_count() - before <= 2 + RUN);
        }
        CHECK_EQ("all are settled", bed.outbox.reliable_count, 0);
    }
}

/** Whose record it was may be another's, of the same lane, that has no sequence yet. */
static void what_has_not_left_is_not_found(void **state)
{
    struct sent sent[2 * ED_BEGUN_LISTED];

    (void)state;
    for (uint32_t n = 0; n < ED_COUNT(sent); n++) {
        push(RO, 0, n, 4);
        sent[n] = send_next();
    }
    acked(&sent[0]);
    push(RO, 0, ED_COUNT(sent), 4);
    acked(&sent[0]);
    CHECK_EQ("it is not settled", bed.outbox.reliable_count, ED_COUNT(sent));
    CHECK_EQ("and leaves", send_next().mark, ED_COUNT(sent));
}

/** All that the lane's window has room for, with the first of it not settled. */
static void a_ring_reaches_over_the_window(void **state)
{
    ed_lane_out *lane = NULL;
    struct sent sent;

    (void)state;
    for (uint32_t n = 0; n <= ED_LANE_WINDOW; n++)
        push(RO, 0, n, 0);
    lane = ed_lanes_find(&bed.outbox.lanes, RO, 0);
    for (uint32_t n = 0; n < ED_LANE_WINDOW; n++, bed.packet++) {
        CHECK("leaves", try_send(&sent, BED_ROOM, bed.packet));
        CHECK("is found", ed_begun_find(lane, n, 1)->sequence == n);
    }
    CHECK_EQ("it reaches so far", lane->reach, ED_LANE_WINDOW);
    CHECK("the window is full", !has_next());
    for (uint32_t n = 0; n < ED_LANE_WINDOW; n++)
        ed_outbox_on_acked(&bed.outbox, (ed_sent_ref){.stamp = n, .count = 1, .guarantee = RO});
    CHECK("the last leaves", has_next());
    acked(&(struct sent[]){send_next()}[0]);
    CHECK_EQ("all are settled", bed.outbox.reliable_count, 0);
    ed_outbox_rest(&bed.outbox);
    CHECK("the ring is given back", lane->ring == NULL && lane->reach == ED_BEGUN_LISTED);
}

static void what_follows_is_named(void **state)
{
    static const struct {
        const char *name;
        ed_sent_ref run;
        ed_sent_ref next;
        uint8_t count; /* then */
    } rows[] = {
        {"the next", {.stamp = 7, .count = 2}, {.stamp = 9, .count = 1}, 3},
        {"where it wraps", {.stamp = UINT32_MAX, .count = 1}, {.stamp = 0, .count = 4}, 5},
        {"the same once more", {.stamp = 7, .count = 2}, {.stamp = 8, .count = 1}, 2},
        {"a gap", {.stamp = 7, .count = 2}, {.stamp = 10, .count = 1}, 2},
        {"another stream", {.stamp = 7, .count = 2}, {.stamp = 9, .count = 1, .stream = 1}, 2},
        {"another guarantee", {.count = 1}, {.stamp = 1, .count = 1, .guarantee = RO}, 1},
        {"behind a piece", {.stamp = 7}, {.stamp = 7, .count = 1}, 0},
        {"a piece", {.stamp = 7, .count = 1}, {.stamp = 8}, 1},
        {"as many as are counted", {.count = UINT8_MAX - 1}, {.stamp = 254, .count = 1}, 255},
        {"one more", {.count = UINT8_MAX}, {.stamp = 255, .count = 1}, 255},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_sent_ref run = rows[i].run;
        CHECK_EQ(rows[i].name, ed_sent_ref_join(&run, &rows[i].next),
                 rows[i].count != rows[i].run.count);
        CHECK_EQ(rows[i].name, run.count, rows[i].count);
    }
}

/** How many messages follow the first into a packet; each is what would be chosen anyway. */
static unsigned count_followers(void)
{
    ed_outgoing next, chosen;
    ed_sent_ref ref;
    unsigned count = 0;

    CHECK("the first", ed_outbox_next(&bed.outbox, BED_ROOM, bed.packet, &next));
    (void)ed_outbox_on_sent(&bed.outbox, &next, bed.packet, &ref);
    for (; ed_outbox_follow(&bed.outbox, bed.packet, &next); count++) {
        CHECK("would be chosen", ed_outbox_next(&bed.outbox, BED_ROOM, bed.packet, &chosen));
        CHECK("it", chosen.out == next.out && chosen.part == NULL && !chosen.is_skip);
        CHECK_EQ("its number", chosen.message.sequence, next.message.sequence);
        CHECK_EQ("all of it", chosen.message.data.size, next.message.data.size);
        CHECK("its data", chosen.message.data.data == next.message.data.data);
        ed_outbox_on_followed(&bed.outbox, &next, bed.packet);
    }
    ed_outbox_end_run(&bed.outbox, &next);
    return count;
}

static void others_get_their_turn(void **state)
{
    static const struct {
        const char *name;
        uint8_t guarantee;
        size_t size;
        size_t last_size; /* of the last of RUN messages */
        uint64_t credit;  /* 0: much */
        uint8_t weight;   /* 0: enough */
        bool other_waits;
        unsigned want;
    } rows[] = {
        {"reliable", RO, 4, 4, 0, 0, false, 4},
        {"unreliable", U, 4, 4, 0, 0, false, 4},
        {"unreliable sequenced", US, 4, 4, 0, 0, false, 4},
        {"the last in parts", RO, 4, 3000, 0, 0, false, 3},
        {"no credit for the last", RO, 4, 4, 4 * (4 + EDDY_MESSAGE_CHARGE), 0, false, 3},
        {"unreliable ones need none", U, 4, 4, 1, 0, false, 4},
        {"another waits, and has time", RO, 4, 4, 0, 0, true, 4},
        {"it has had its share", RO, 40, 40, 0, 1, true, 0},
        {"no other waits for its own", RO, 40, 40, 0, 1, false, 4},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++, bed_restart()) {
        eddy_stream_options options = {.weight = rows[i].weight};
        CHECK_EQ(rows[i].name, ed_outbox_set_stream(&bed.outbox, 1, &options), EDDY_OK);
        for (uint32_t n = 0; n < RUN; n++)
            push(rows[i].guarantee, 1, n, n + 1 == RUN ? rows[i].last_size : rows[i].size);
        if (rows[i].other_waits)
            push(rows[i].guarantee, 2, RUN, rows[i].size);
        if (rows[i].credit != 0)
            bed.outbox.credit_limit = rows[i].credit;
        CHECK_EQ(rows[i].name, count_followers(), rows[i].want);
    }
}

/** No more of one lane are in a packet than a late packet may have. */
static void a_burst_has_an_end(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 2 * ED_LANE_BURST_MAX; n++)
        push(RO, 0, n, 0);
    CHECK_EQ("in one packet", count_followers(), ED_LANE_BURST_MAX - 1);
    bed.packet++;
    CHECK_EQ("in the next", count_followers(), ED_LANE_BURST_MAX - 1);
    CHECK_EQ("all have left", bed.outbox.fresh_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_ends_together, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(runs_are_found_in_any_order, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(what_is_settled_is_not_found, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(what_has_not_left_is_not_found, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(a_ring_reaches_over_the_window, bed_setup, bed_teardown),
        cmocka_unit_test(what_follows_is_named),
        cmocka_unit_test_setup_teardown(others_get_their_turn, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(a_burst_has_an_end, bed_setup, bed_teardown),
    };
    return cmocka_run_group_tests_name("outbox_run", tests, NULL, NULL);
}
