/** What is accepted, and what of it leaves next. */
#include "tests/unit/outbox_bed.h"

/* ------------------------------------------------------------------------------------- turns -- */

static void lanes_take_turns(void **state)
{
    static const struct {
        const char *name;
        struct {
            uint8_t guarantee;
            uint8_t stream;
            uint32_t mark;
        } push[6];
        uint32_t want[6];
        size_t count;
    } rows[] = {
        {"one lane keeps its order", {{RO, 0, 1}, {RO, 0, 2}, {RO, 0, 3}}, {1, 2, 3}, 3},
        {"two streams alternate",
         {{RO, 0, 1}, {RO, 0, 2}, {RO, 0, 3}, {RO, 5, 4}, {RO, 5, 5}, {RO, 5, 6}},
         {1, 4, 2, 5, 3, 6},
         6},
        {"two guarantees of one stream alternate",
         {{RO, 9, 1}, {RO, 9, 2}, {U, 9, 3}, {U, 9, 4}},
         {1, 3, 2, 4},
         4},
        {"a short lane is not waited for",
         {{RO, 0, 1}, {RO, 0, 2}, {RO, 0, 3}, {RO, 255, 4}},
         {1, 4, 2, 3},
         4},
        {"all five guarantees",
         {{U, 0, 1}, {US, 0, 2}, {RU, 0, 3}, {RO, 0, 4}, {RS, 0, 5}, {U, 0, 6}},
         {1, 2, 3, 4, 5, 6},
         6},
        {"those of a sequenced lane too", {{RS, 0, 1}, {RS, 0, 2}, {US, 0, 3}}, {1, 3, 2}, 3},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        for (size_t n = 0; n < rows[i].count; n++)
            push(rows[i].push[n].guarantee, rows[i].push[n].stream, rows[i].push[n].mark, TURN);
        check_order(rows[i].name, rows[i].want, rows[i].count);
        bed_restart();
    }
}

/** Bytes of each of two streams, while both have more than enough, are as their weights. */
static void shares_are_by_weight(void **state)
{
    static const struct {
        const char *name;
        uint8_t weight[2];
        size_t size[2];
    } rows[] = {
        {"equal", {16, 16}, {100, 100}},
        {"equal, of different sizes", {16, 16}, {20, 1100}},
        {"one to two", {16, 32}, {100, 100}},
        {"one to three, the lesser with large ones", {10, 30}, {1000, 50}},
        {"the most that may be", {1, 255}, {300, 300}},
        {"the default is 16", {0, 48}, {700, 70}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t bytes[2] = {0};
        for (uint8_t s = 0; s < 2; s++) {
            set_stream(s, 0, rows[i].weight[s], 0);
            for (unsigned n = 0; n < 400000 / rows[i].size[s]; n++)
                push(RO, s, s, rows[i].size[s]);
        }
        while (bytes[0] + bytes[1] < 300000) {
            struct sent sent = send_next();
            bytes[sent.mark] += sent.message.data.size + ed_frame_message_overhead(&sent.message);
        }
        uint64_t want = 300000 * (rows[i].weight[0] == 0 ? 16u : rows[i].weight[0]) /
                        ((rows[i].weight[0] == 0 ? 16u : rows[i].weight[0]) + rows[i].weight[1]);
        uint64_t off = bytes[0] > want ? bytes[0] - want : want - bytes[0];
        CHECK(rows[i].name, off <= 12000);
        bed_restart();
    }
}

static void the_more_urgent_goes_first(void **state)
{
    (void)state;
    set_stream(1, 7, 0, 0);
    set_stream(2, 1, 0, 0);
    push(RO, 1, 10, TURN);
    push(RO, 0, 20, TURN);
    push(U, 2, 30, TURN);
    push(RO, 2, 31, TURN);
    push(RO, 2, 32, TURN);
    check_order("urgent", (const uint32_t[]){30, 31, 32, 20, 10}, 5);
}

/** What has been accepted moves with its stream. */
static void a_priority_changes_what_waits(void **state)
{
    (void)state;
    push(RO, 1, 10, TURN);
    push(RO, 2, 20, TURN);
    push(RU, 2, 21, TURN);
    set_stream(2, 1, 0, 0);
    set_stream(3, 7, 0, 0); // has nothing to move
    check_order("after", (const uint32_t[]){21, 20, 10}, 3);
    push(RO, 2, 22, TURN);
    set_stream(2, 7, 0, 0);
    push(RO, 1, 11, TURN);
    check_order("and back", (const uint32_t[]){11, 22}, 2);
}

/** What was lost goes before what is new, but not before what goes before its stream. */
static void what_is_lost_waits_for_those_before(void **state)
{
    struct sent sent[3];

    (void)state;
    set_stream(1, 7, 0, 0);
    set_stream(2, 1, 0, 0);
    for (uint32_t i = 0; i < ED_COUNT(sent); i++) {
        push(RO, 1, 10 + i, TURN);
        sent[i] = send_next();
    }
    for (size_t i = 0; i < ED_COUNT(sent); i++)
        lost(&sent[i]);
    push(RO, 1, 13, TURN);
    push(RO, 2, 20, TURN);
    push(U, 2, 21, TURN);
    check_order("urgent, lost, new", (const uint32_t[]){20, 21, 10, 11, 12, 13}, 6);
}

/* ------------------------------------------------------------------------------------ frames -- */

static void frames_say_where_it_belongs(void **state)
{
    static const struct {
        const char *name;
        uint8_t guarantee;
        uint8_t stream;
        size_t size;
        uint8_t sequence_bits;
        bool fragment;
    } rows[] = {
        {"unreliable, empty", U, 3, 0, 0, false},
        {"unreliable, largest in one piece", U, 3, EDDY_PIECE_SIZE_MAX, 0, false},
        {"unreliable in parts", U, 3, EDDY_PIECE_SIZE_MAX + 1, 16, true},
        {"unreliable sequenced", US, 0, 10, 0, false},
        {"unreliable sequenced in parts", US, 255, 5000, 16, true},
        {"reliable unordered", RU, 1, 10, 16, false},
        {"reliable ordered", RO, 7, 10, 16, false},
        {"reliable ordered in parts", RO, 7, 1151, 16, true},
        {"reliable sequenced, largest in one piece", RS, 9, EDDY_PIECE_SIZE_MAX, 16, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        push(rows[i].guarantee, rows[i].stream, 1, rows[i].size);
        ed_message_frame message = send_next().message;
        CHECK_EQ(rows[i].name, message.guarantee, rows[i].guarantee);
        CHECK_EQ(rows[i].name, message.stream, rows[i].stream);
        CHECK_EQ(rows[i].name, message.sequence_bits, rows[i].sequence_bits);
        CHECK_EQ(rows[i].name, message.fragment, rows[i].fragment);
        CHECK_EQ(rows[i].name, message.whole_size, rows[i].fragment ? rows[i].size : 0);
        if (!rows[i].fragment)
            CHECK_EQ(rows[i].name, message.data.size, rows[i].size);
        bed_restart();
    }
}

/** Each lane counts for itself; a message sent again keeps its number; 16 bits are told. */
static void sequences_go_round(void **state)
{
    static const uint64_t starts[] = {0, (1 << 8) - 20, (1 << 14) - 20, (1 << 16) - 20,
                                      (UINT64_C(1) << 32) - 20};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(starts); i++) {
        push(RO, 1, 99, 4);
        start_lane_at(RO, 1, starts[i]);
        struct sent kept = send_next();
        for (uint64_t n = starts[i] + 1; n < starts[i] + 40; n++) {
            push(RO, 1, 0, 4);
            struct sent sent = send_next();
            CHECK_EQ("sequence", sent.message.sequence, n & 0xffff);
            acked(&sent);
        }
        lost(&kept);
        CHECK_EQ("its own", send_next().message.sequence, starts[i] & 0xffff);
        push(RO, 2, 5, 4);
        CHECK_EQ("another lane", send_next().message.sequence, 0);
        bed_restart();
    }
}

/** Only messages in parts need one, of the unreliable. */
static void unreliable_parts_are_counted(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 3; n++) {
        push(U, 0, n, 10);
        CHECK_EQ("none", send_next().message.sequence_bits, 0);
        push(U, 0, n, 2000);
        CHECK_EQ("first part", send_next().message.sequence, n);
        CHECK_EQ("second part", send_next().message.sequence, n);
    }
}

/* ------------------------------------------------------------------------------------- parts -- */

/** A message is cut to what packets have room for, in order, whatever the rooms are. */
static void parts_fill_their_packets(void **state)
{
    static const struct {
        const char *name;
        size_t size;
        size_t rooms[4];
        size_t want[4]; /* 0: nothing leaves */
    } rows[] = {
        {"two equal rooms", 2000, {1170, 1170}, {1152, 848}},
        {"enough is left for the last", 1500, {1170, 1170}, {896, 604}},
        {"the smallest in parts", 1151, {1170, 1170}, {1151, 0}},
        {"the smallest in parts, in less room", 1151, {1150, 1170}, {512, 639}},
        {"a room too small for a part", 1500, {1024, 1170, 1024}, {0, 896, 604}},
        {"what is left fits in little", 1151, {1040, 660, 0}, {512, 639, 0}},
        {"what is left does not", 1151, {1040, 600, 660}, {512, 0, 639}},
        {"to the byte", 1024 + 1152, {1171, 1033, 0}, {1152, 1024, 0}},
        {"different rooms", 3000, {1100, 1170, 1170}, {1024, 1152, 824}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        size_t at = 0;
        push(RO, 0, 1, rows[i].size);
        for (size_t n = 0; n < ED_COUNT(rows[i].rooms); n++) {
            struct sent sent = {0};
            bool left = try_send(&sent, rows[i].rooms[n], bed.packet++);
            CHECK_EQ(rows[i].name, left, rows[i].want[n] != 0);
            CHECK_EQ(rows[i].name, sent.message.data.size, rows[i].want[n]);
            if (left)
                CHECK_EQ(rows[i].name, sent.message.fragment_index * ED_FRAGMENT_UNIT, at);
            at += sent.message.data.size;
        }
        CHECK_EQ(rows[i].name, at, rows[i].size);
        bed_restart();
    }
}

/** Nothing is ever cut so large that it would need more than a packet of the worst kind has. */
static void what_is_sent_once_fits_again(void **state)
{
    (void)state;
    for (size_t size = 1151; size < 1250; size++)
        for (size_t room = 1040; room <= ED_DATAGRAM_SIZE - 3 - ED_TAG_SIZE; room++) {
            struct sent sent;
            push(RO, 0, 1, size);
            while (try_send(&sent, room, bed.packet++)) {
                lost(&sent);
                CHECK("it may leave again", ed_outbox_has_next(&bed.outbox));
                CHECK("in a packet of its own", try_send(&sent, 1177, bed.packet++));
                acked(&sent);
            }
            CHECK_EQ("all of it", bed.outbox.reliable_count, 0);
        }
}

/** Small messages of other lanes leave between the parts of a large one. */
static void a_large_message_leaves_room_for_others(void **state)
{
    (void)state;
    push(RO, 0, 1, 100000);
    for (uint32_t n = 0; n < 20; n++)
        push(U, 1, 100 + n, 100);
    unsigned small = 0;
    for (unsigned n = 0; n < 40; n++)
        small += send_next().mark >= 100 ? 1 : 0;
    CHECK_EQ("all of them", small, 20);
}

/** Large reliable messages are sent one after the other; a second may be begun if it is urgent. */
static void at_most_two_are_under_way(void **state)
{
    static const struct {
        const char *name;
        uint8_t priority[3];
        bool may_start[3];
    } rows[] = {
        {"equals wait", {4, 4, 4}, {true, false, false}},
        {"the less urgent waits", {4, 7, 5}, {true, false, false}},
        {"the more urgent does not", {4, 3, 4}, {true, true, false}},
        {"but a third does", {7, 4, 1}, {true, true, false}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        for (uint8_t s = 0; s < 3; s++) {
            set_stream(s, rows[i].priority[s], 0, 0);
            push(RO, s, s + 1u, 50000);
            bool started = false;
            for (unsigned n = 0; n < 10; n++)
                started |= send_next().message.stream == s;
            CHECK_EQ(rows[i].name, started, rows[i].may_start[s]);
            CHECK(rows[i].name, bed.outbox.started_count <= ED_STARTED_MAX);
        }
        for (unsigned n = 0; has_next(); n++)
            (void)send_next();
        CHECK_EQ("all get their turn", bed.outbox.fresh_count, 0);
        bed_restart();
    }
}

/** The one that had to wait is given up: what is behind it need not wait, as it is small. */
static void one_that_is_given_up_frees_its_lane(void **state)
{
    const ed_message large = {.guarantee = RO, .stream = 1, .expires_ns = 100};
    bool has_left = false;

    (void)state;
    push(RO, 0, 1, 50000);
    (void)send_next();
    push_with(large, 2, 5000);
    push(RO, 1, 3, 4);
    (void)send_next();
    ed_outbox_expire(&bed.outbox, large.expires_ns);
    for (int n = 0; n < 3; n++)
        has_left |= send_next().mark == 3;
    CHECK("left", has_left);
}

/** What is urgent is measured by the one that was begun first. */
static void after_the_second_another_may_be_begun(void **state)
{
    struct sent sent;

    (void)state;
    for (uint8_t s = 0; s < 3; s++)
        set_stream(s, (uint8_t[]){7, 3, 5}[s], 0, 0);
    push(RO, 0, 1, 50000);
    (void)send_next();
    push(RO, 1, 2, 3000);
    while ((sent = send_next()).message.stream == 1)
        continue;
    CHECK_EQ("the first goes on", sent.message.stream, 0);
    push(RO, 2, 3, 3000);
    CHECK_EQ("one that is more urgent passes by", send_next().message.stream, 2);
}

/** A second large message must not need what the first was granted: neither would end. */
static void a_second_is_begun_only_with_credit_for_all_of_it(void **state)
{
    (void)state;
    bed.outbox.credit_limit = bed.outbox.credit_used + 60000;
    set_stream(1, 1, 0, 0);
    push(RO, 0, 10, 50000);
    (void)send_next();
    push(RO, 1, 20, 100000);
    for (unsigned n = 0; n < 10; n++)
        CHECK_EQ("too large to end", send_next().message.stream, 0);
    bed.outbox.credit_limit += 100000;
    ed_outbox_feed(&bed.outbox);
    CHECK_EQ("now it may", send_next().message.stream, 1);
}

/* ------------------------------------------------------------------------------------ window -- */

/** Of a lane 8,192 messages from the oldest outstanding one may leave; others go on. */
static void window_closes_and_reopens(uint8_t guarantee, uint64_t start)
{
    static struct sent sent[ED_LANE_WINDOW];

    for (uint32_t n = 0; n < ED_LANE_WINDOW + 2; n++)
        push(guarantee, 0, n, 4);
    start_lane_at(guarantee, 0, start);
    for (size_t n = 0; n < ED_LANE_WINDOW; n++)
        sent[n] = send_next();
    CHECK("closed", !has_next());
    CHECK_EQ("waiting", bed.outbox.fresh_count, 2);
    push(RO, 1, 7777, 4);
    CHECK_EQ("another lane may", send_next().mark, 7777);
    push(guarantee, 0, ED_LANE_WINDOW + 2, 4);
    CHECK("a push does not open it", !has_next());
    acked(&sent[1]);
    CHECK("not the oldest: still closed", !has_next());
    acked(&sent[0]);
    CHECK_EQ("open by two", send_next().mark, ED_LANE_WINDOW);
    CHECK_EQ("open by two", send_next().mark, ED_LANE_WINDOW + 1);
    CHECK("closed again", !has_next());
    lost(&sent[2]);
    CHECK("what was lost may leave", has_next() && send_next().is_again);
    CHECK("closed as before", !has_next());
}

static void the_window_closes_and_reopens(void **state)
{
    static const uint64_t starts[] = {0, (1 << 16) - 4000, (UINT64_C(1) << 32) - 4000};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(starts); i++)
        for (uint8_t guarantee = RU; guarantee <= RO; guarantee++) {
            window_closes_and_reopens(guarantee, starts[i]);
            bed_restart();
        }
}

static void a_packet_takes_24_new_ones_of_a_lane(void **state)
{
    struct sent sent;
    unsigned count[3] = {0};

    (void)state;
    for (uint32_t n = 0; n < 40; n++) {
        push(RO, 0, n, 4);
        push(RU, 0, n, 4);
        push(U, 0, n, 4);
    }
    while (try_send(&sent, 100, 7))
        count[sent.message.guarantee == U ? 0 : sent.message.guarantee - 1]++;
    CHECK_EQ("unreliable: as many as there are", count[0], 40);
    CHECK_EQ("unordered", count[1], ED_LANE_BURST_MAX);
    CHECK_EQ("ordered", count[2], ED_LANE_BURST_MAX);
    CHECK("the next packet takes more", try_send(&sent, 100, 8));
    lost(&sent);
    CHECK("what is sent again does not count", try_send(&sent, 100, 7) && sent.is_again);
}

/* ------------------------------------------------------------------------------------ credit -- */

/** Charges what left cost, to the byte, and stops there. */
static void nothing_leaves_above_the_grant(void **state)
{
    static const struct {
        const char *name;
        uint8_t guarantee;
        size_t size;
        uint64_t credit;
        size_t parts; /* that leave */
    } rows[] = {
        {"empty", RO, 0, 64, 1},
        {"empty, a byte short", RO, 0, 63, 0},
        {"small", RU, 100, 164, 1},
        {"small, a byte short", RU, 100, 163, 0},
        {"the largest piece", RS, 1150, 1214, 1},
        {"a first part", RO, 5000, 1280, 1},
        {"a first part, a byte short", RO, 5000, 1279, 0},
        {"two", RO, 5000, 1280 + 1152, 2},
        {"two, a byte short", RO, 5000, 1280 + 1151, 1},
        {"all with the last, short one", RO, 5000, 128 + 5000, 5},
        {"the last, a byte short", RO, 5000, 128 + 4999, 4},
        {"unreliable ones need none", U, 5000, 0, 5},
        {"nor do those", US, 1000, 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        size_t parts = 0;
        bed.outbox.credit_limit = rows[i].credit;
        push(rows[i].guarantee, 0, 1, rows[i].size);
        while (has_next()) {
            (void)send_next();
            parts++;
        }
        CHECK_EQ(rows[i].name, parts, rows[i].parts);
        CHECK(rows[i].name, bed.outbox.credit_used <= rows[i].credit);
        bed_restart();
    }
}

static void who_is_short_first_is_served_first(void **state)
{
    (void)state;
    bed.outbox.credit_limit = 500;
    push(RO, 0, 1, 1000);
    push(RO, 1, 2, 10);
    push(U, 2, 3, 10);
    CHECK_EQ("an unreliable one may", send_next().mark, 3);
    CHECK("a small one does not pass by", !has_next());
    ed_outbox_on_credit(&bed.outbox, 1063);
    CHECK("not enough", !has_next());
    ed_outbox_on_credit(&bed.outbox, 700);
    CHECK_EQ("an old grant is none", bed.outbox.credit_limit, 1063);
    ed_outbox_on_credit(&bed.outbox, 1064 + 74);
    CHECK_EQ("the first", send_next().mark, 1);
    CHECK_EQ("and the next", send_next().mark, 2);
}

/** Who is short and is given up keeps nobody waiting. */
static void who_is_short_and_expires(void **state)
{
    (void)state;
    bed.outbox.credit_limit = 500;
    push_with((ed_message){.guarantee = RO, .expires_ns = 10}, 1, 1000);
    push(RO, 1, 2, 10);
    CHECK("short", !has_next());
    ed_outbox_expire(&bed.outbox, 10);
    CHECK_EQ("the other goes", send_next().mark, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lanes_take_turns, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(shares_are_by_weight, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(the_more_urgent_goes_first, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(a_priority_changes_what_waits, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(what_is_lost_waits_for_those_before, bed_setup,
                                        bed_teardown),
        cmocka_unit_test_setup_teardown(one_that_is_given_up_frees_its_lane, bed_setup,
                                        bed_teardown),
        cmocka_unit_test_setup_teardown(frames_say_where_it_belongs, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(sequences_go_round, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(unreliable_parts_are_counted, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(parts_fill_their_packets, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(what_is_sent_once_fits_again, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(a_large_message_leaves_room_for_others, bed_setup,
                                        bed_teardown),
        cmocka_unit_test_setup_teardown(at_most_two_are_under_way, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(after_the_second_another_may_be_begun, bed_setup,
                                        bed_teardown),
        cmocka_unit_test_setup_teardown(a_second_is_begun_only_with_credit_for_all_of_it, bed_setup,
                                        bed_teardown),
        cmocka_unit_test_setup_teardown(the_window_closes_and_reopens, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(a_packet_takes_24_new_ones_of_a_lane, bed_setup,
                                        bed_teardown),
        cmocka_unit_test_setup_teardown(nothing_leaves_above_the_grant, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(who_is_short_first_is_served_first, bed_setup,
                                        bed_teardown),
        cmocka_unit_test_setup_teardown(who_is_short_and_expires, bed_setup, bed_teardown),
    };
    return cmocka_run_group_tests_name("stream_send", tests, NULL, NULL);
}
