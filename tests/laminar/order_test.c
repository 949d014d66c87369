/** laminar's tests of its ordering and sequencing streams, 43 to 54, on the receiving half. */
#include "tests/laminar/inbox_bed.h"

enum {
    SET = 5, /* messages that arrive in every order, */
    ORDERS = 120,
    STREAMS = 8,
};

static struct inbox_bed bed;

/** The order'th of all orders of 0 to 4. */
static void make_order(uint32_t order, uint32_t numbers[SET])
{
    uint32_t left[SET] = {0, 1, 2, 3, 4};

    for (uint32_t i = 0; i < SET; i++) {
        uint32_t at = order % (SET - i);
        order /= SET - i;
        numbers[i] = left[at];
        memmove(&left[at], &left[at + 1], (SET - at - 1) * sizeof(left[0]));
    }
}

static void check_taken(const char *name, const uint32_t *want, uint32_t count)
{
    CHECK_EQ(name, bed.taken_count, count);
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(name, bed.taken[i], want[i]);
}

/* ---------------------------------------------------------------------------------- ordering -- */

static void an_ordered_lane_goes_on_across_the_wrap(void **state)
{
    static const uint32_t late[] = {65535, 65537, 65534, 65536, 65538}; // the wire: ffff 1 fffe 0 2
    static const uint32_t want[] = {65534, 65535, 65536, 65537, 65538};

    (void)state;
    inbox_open(&bed, "wrap");
    inbox_advance(&bed, ED_WIRE_RELIABLE_ORDERED, 65534);
    for (size_t i = 0; i < ED_COUNT(late); i++)
        CHECK_EQ("late", inbox_receive(&bed, ED_WIRE_RELIABLE_ORDERED, 0, late[i]), EDDY_OK);
    check_taken("wrap", want, ED_COUNT(want));
    inbox_close(&bed);
}

static void the_last_message_of_the_window_is_kept(void **state)
{
    (void)state;
    inbox_open(&bed, "window");
    CHECK_EQ("the last", inbox_receive(&bed, ED_WIRE_RELIABLE_ORDERED, 0, ED_LANE_WINDOW - 1),
             EDDY_OK);
    CHECK_EQ("held", bed.taken_count, 0);
    CHECK_EQ("again", inbox_receive(&bed, ED_WIRE_RELIABLE_ORDERED, 0, ED_LANE_WINDOW - 1),
             EDDY_EEXIST);
    inbox_advance(&bed, ED_WIRE_RELIABLE_ORDERED, ED_LANE_WINDOW - 2);
    CHECK_EQ("the last but one",
             inbox_receive(&bed, ED_WIRE_RELIABLE_ORDERED, 0, ED_LANE_WINDOW - 2), EDDY_OK);
    check_taken("both", (const uint32_t[]){ED_LANE_WINDOW - 2, ED_LANE_WINDOW - 1}, 2);
    inbox_close(&bed);
}

static void a_sequence_is_new_old_or_impossible(void **state)
{
    static const struct {
        const char *name;
        uint32_t expected;
        uint32_t sequence; /* its low 16 bits are on the wire */
        eddy_status want;
    } rows[] = {
        {"the first", 0, 0, EDDY_OK},
        {"the window's last", 0, ED_LANE_WINDOW - 1, EDDY_OK},
        {"behind the window", 0, ED_LANE_WINDOW, EDDY_EPROTO},
        {"half of all", 0, 1 << 15, EDDY_EPROTO},
        {"before the first", 0, 65535, EDDY_EPROTO},
        {"had", 1, 0, EDDY_EEXIST},
        {"before the first of two", 1, 65535, EDDY_EPROTO},
        {"had long ago", 40000, 0, EDDY_EEXIST},
        {"as far back as can be told", 60000, 60000 + ED_LANE_WINDOW - 65536, EDDY_EEXIST},
        {"the expected one, before the wrap", 65530, 65530, EDDY_OK},
        {"ahead, across the wrap", 65530, 65536, EDDY_OK},
        {"the window's last, across the wrap", 65530, 65530 + ED_LANE_WINDOW - 1, EDDY_OK},
        {"just had, before the wrap", 65530, 65529, EDDY_EEXIST},
        {"just had, behind the wrap", 65540, 65539, EDDY_EEXIST},
        {"had, across the wrap", 65540, 65535, EDDY_EEXIST},
        {"the expected one, behind the wrap", 65540, 65540, EDDY_OK},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        inbox_open(&bed, rows[i].name);
        inbox_advance(&bed, ED_WIRE_RELIABLE_ORDERED, rows[i].expected);
        CHECK_EQ(rows[i].name, inbox_receive(&bed, ED_WIRE_RELIABLE_ORDERED, 0, rows[i].sequence),
                 rows[i].want);
        CHECK_EQ(rows[i].name, bed.taken_count,
                 rows[i].want == EDDY_OK && rows[i].sequence == rows[i].expected ? 1 : 0);
        inbox_close(&bed);
    }
}

static void what_was_held_follows_the_one_it_waited_for(void **state)
{
    (void)state;
    inbox_open(&bed, "held");
    inbox_advance(&bed, ED_WIRE_RELIABLE_ORDERED, 1);
    for (uint32_t s = 4; s >= 2; s--)
        CHECK_EQ("early", inbox_receive(&bed, ED_WIRE_RELIABLE_ORDERED, 0, s), EDDY_OK);
    CHECK_EQ("held", bed.taken_count, 0);
    CHECK_EQ("the one", inbox_receive(&bed, ED_WIRE_RELIABLE_ORDERED, 0, 1), EDDY_OK);
    check_taken("all", (const uint32_t[]){1, 2, 3, 4}, 4);
    inbox_close(&bed);
}

static void every_order_is_put_right(void **state)
{
    uint32_t numbers[SET];

    (void)state;
    for (uint32_t order = 0; order < ORDERS; order++) {
        inbox_open(&bed, "an order");
        make_order(order, numbers);
        for (uint32_t i = 0; i < SET; i++)
            CHECK_EQ("new", inbox_receive(&bed, ED_WIRE_RELIABLE_ORDERED, 0, numbers[i]), EDDY_OK);
        check_taken("an order", (const uint32_t[]){0, 1, 2, 3, 4}, SET);
        inbox_close(&bed);
    }
}

/** Streams of ordered messages, each in another order, arrive in turns. */
static void ordered_streams_do_not_wait_for_each_other(void **state)
{
    uint32_t numbers[STREAMS][SET], taken = 0;

    (void)state;
    inbox_open(&bed, "streams");
    for (uint32_t s = 0; s < STREAMS; s++)
        make_order(s * 17 % ORDERS, numbers[s]);
    for (uint32_t i = 0; i < SET; i++)
        for (uint32_t s = 0; s < STREAMS; s++) {
            ed_lane_in *lane =
                ed_lanes_find(&bed.inbox.lanes, ED_WIRE_RELIABLE_ORDERED, (uint8_t)(s * 36));
            uint64_t before = lane == NULL ? 0 : lane->delivered;
            taken = bed.taken_count;
            CHECK_EQ(
                "new",
                inbox_receive(&bed, ED_WIRE_RELIABLE_ORDERED, (uint8_t)(s * 36), numbers[s][i]),
                EDDY_OK);
            // What is delivered is the stream's own, and goes on where it stopped.
            for (; taken < bed.taken_count; taken++)
                CHECK_EQ("in order", bed.taken[taken], before++);
        }
    CHECK_EQ("all", bed.taken_count, STREAMS * SET);
    inbox_close(&bed);
}

/* -------------------------------------------------------------------------------- sequencing -- */

static const uint8_t sequenced_ones[] = {ED_WIRE_UNRELIABLE_SEQUENCED, ED_WIRE_RELIABLE_SEQUENCED};

/** Gives a lane the numbers in an order. @return how many of them are to be delivered. */
static uint32_t receive_order(uint8_t guarantee, uint8_t stream, uint32_t order,
                              uint32_t newest[SET])
{
    uint32_t numbers[SET], count = 0;

    make_order(order, numbers);
    for (uint32_t i = 0; i < SET; i++) {
        CHECK_EQ("taken in", inbox_receive(&bed, guarantee, stream, numbers[i]), EDDY_OK);
        if (count == 0 || numbers[i] > newest[count - 1])
            newest[count++] = numbers[i];
    }
    return count;
}

static void only_what_is_newer_is_delivered(void **state)
{
    uint32_t newest[SET];

    (void)state;
    for (size_t g = 0; g < ED_COUNT(sequenced_ones); g++)
        for (uint32_t order = 0; order < ORDERS; order++) {
            inbox_open(&bed, "sequenced");
            uint32_t count = receive_order(sequenced_ones[g], 0, order, newest);
            check_taken("the newest", newest, count);
            CHECK_EQ("the others are counted", bed.stats.messages_stale, SET - count);
            inbox_close(&bed);
        }
}

static void sequenced_streams_have_a_newest_of_their_own(void **state)
{
    uint32_t newest[SET], expected = 0;

    (void)state;
    for (size_t g = 0; g < ED_COUNT(sequenced_ones); g++) {
        inbox_open(&bed, "sequenced streams");
        expected = 0;
        for (uint32_t s = 0; s < STREAMS; s++) {
            bed.taken_count = 0;
            expected = receive_order(sequenced_ones[g], (uint8_t)(s * 36), s * 17 % ORDERS, newest);
            check_taken("the newest of a stream", newest, expected);
        }
        inbox_close(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ordered_lane_goes_on_across_the_wrap),
        cmocka_unit_test(the_last_message_of_the_window_is_kept),
        cmocka_unit_test(a_sequence_is_new_old_or_impossible),
        cmocka_unit_test(what_was_held_follows_the_one_it_waited_for),
        cmocka_unit_test(every_order_is_put_right),
        cmocka_unit_test(ordered_streams_do_not_wait_for_each_other),
        cmocka_unit_test(only_what_is_newer_is_delivered),
        cmocka_unit_test(sequenced_streams_have_a_newest_of_their_own),
    };

    return cmocka_run_group_tests_name("laminar order", tests, NULL, NULL);
}
