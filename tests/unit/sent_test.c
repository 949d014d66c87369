#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "transport/sent.h"

static ed_counting_alloc counting;
static ed_sent_log sent_log;

static int setup(void **state)
{
    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    ed_sent_log_init(&sent_log, &counting.allocator);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ed_sent_log_free(&sent_log);
    return counting.live_count == 0 && counting.live_size == 0 ? 0 : -1;
}

/** Pushes a packet whose references all tell its number. */
static eddy_status push(size_t ref_count)
{
    static ed_sent_ref refs[UINT16_MAX];
    ed_sent packet = {
        .sent_ns = 1000 + sent_log.next,
        .size = (uint16_t)(100 + ref_count % 1000),
        .flags = ED_SENT_ACK_ELICITING | ED_SENT_IN_FLIGHT,
    };

    for (size_t i = 0; i < ref_count; i++)
        refs[i] = (ed_sent_ref){.slot = (uint32_t)sent_log.next, .stamp = (uint32_t)i};
    return ed_sent_push(&sent_log, &packet, refs, ref_count);
}

static void check_packet(const char *name, uint64_t number, size_t ref_count)
{
    const ed_sent *packet = ed_sent_at(&sent_log, number);

    CHECK(name, packet != NULL);
    CHECK_EQ(name, packet->number, number);
    CHECK_EQ(name, packet->sent_ns, 1000 + number);
    CHECK_EQ(name, packet->ref_count, ref_count);
    for (size_t i = 0; i < ref_count; i++) {
        CHECK_EQ(name, ed_sent_refs(&sent_log, packet, i).slot, number);
        CHECK_EQ(name, ed_sent_refs(&sent_log, packet, i).stamp, i);
    }
}

/** What the loss detector does to a packet, as far as the log is concerned. */
static void settle(uint64_t number, ed_sent_state to)
{
    ed_sent *packet = ed_sent_at(&sent_log, number);

    packet->state = (uint8_t)to;
    packet->acked_run = to == ED_SENT_ACKED ? 1 : 0;
    packet->flags |= to == ED_SENT_LOST ? ED_SENT_WAS_LOST : 0;
}

static void test_empty(void **state)
{
    (void)state;
    CHECK("no packet", ed_sent_at(&sent_log, 0) == NULL);
    CHECK("no first", ed_sent_first(&sent_log) == NULL);
    CHECK_EQ("count", ed_sent_count(&sent_log), 0);
    CHECK("valid", ed_sent_log_valid(&sent_log));
    ed_sent_trim(&sent_log, UINT64_MAX, UINT64_MAX);
    CHECK_EQ("no memory before the first packet", counting.calls, 0);
}

static void test_template(void **state)
{
    (void)state;
    ed_sent packet = {.number = 99,
                      .sent_ns = 5,
                      .ack_low = 77,
                      .size = 1200,
                      .acked_run = 9,
                      .ref_first = 8,
                      .ref_count = 7,
                      .flags = ED_SENT_HAS_ACK | ED_SENT_WAS_LOST,
                      .state = ED_SENT_ACKED};

    CHECK_EQ("push", ed_sent_push(&sent_log, &packet, NULL, 0), EDDY_OK);
    const ed_sent *got = ed_sent_at(&sent_log, 0);
    CHECK_EQ("number", got->number, 0);
    CHECK_EQ("sent", got->sent_ns, 5);
    CHECK_EQ("largest", got->ack_low, 77);
    CHECK_EQ("size", got->size, 1200);
    CHECK_EQ("flags", got->flags, ED_SENT_HAS_ACK);
    CHECK_EQ("state", got->state, ED_SENT_OUTSTANDING);
    CHECK("the rest was filled in", ed_sent_log_valid(&sent_log));
    CHECK_EQ("skip", ed_sent_skip(&sent_log, 6), EDDY_OK);
    CHECK_EQ("skipped", ed_sent_at(&sent_log, 1)->state, ED_SENT_SKIPPED);
    CHECK_EQ("when", ed_sent_at(&sent_log, 1)->sent_ns, 6);
    CHECK("above", ed_sent_at(&sent_log, 2) == NULL);
    CHECK("valid", ed_sent_log_valid(&sent_log));
}

/** Slides along while it grows, so that both rings are grown in every wrapped position. */
static void test_growth(void **state)
{
    (void)state;
    // The counters of references wrap on the way.
    sent_log.ref_first = sent_log.ref_next = UINT32_MAX - 1000;
    for (uint64_t n = 0; n < 3000; n++) {
        CHECK_EQ("push", push(n * 7 % 6), EDDY_OK);
        if (sent_log.next - sent_log.first < n / 4)
            continue;
        check_packet("the oldest", sent_log.first, sent_log.first * 7 % 6);
        settle(sent_log.first, ED_SENT_ACKED);
        ed_sent_trim(&sent_log, 0, 0);
        CHECK_EQ("count", ed_sent_count(&sent_log), sent_log.next - sent_log.first);
        CHECK("below", ed_sent_at(&sent_log, sent_log.first - 1) == NULL);
        if (n % 16 == 0)
            CHECK("valid", ed_sent_log_valid(&sent_log));
    }
    for (uint64_t n = sent_log.first; n < sent_log.next; n++)
        check_packet("after growth", n, n * 7 % 6);
    CHECK_EQ("packets", sent_log.capacity, 1024);
    CHECK_EQ("references", sent_log.ref_capacity, 2048);
}

static void test_warm(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 64; n++)
        CHECK_EQ("first round", push(2), EDDY_OK);
    uint64_t calls = counting.calls;
    counting.fail_after = 0;
    for (unsigned n = 0; n < 1000; n++) {
        settle(sent_log.first, ED_SENT_ACKED);
        ed_sent_trim(&sent_log, 0, 0);
        CHECK_EQ("no memory once warm", push(2), EDDY_OK);
    }
    CHECK_EQ("calls", counting.calls, calls);
}

static void acknowledge_all(void)
{
    for (uint64_t n = sent_log.first; n < sent_log.next; n++)
        settle(n, ED_SENT_ACKED);
    ed_sent_trim(&sent_log, 0, 0);
}

/** What a burst took is given back once it is over, and numbers go on. */
static void test_rest(void **state)
{
    (void)state;
    CHECK_EQ("one", push(1), EDDY_OK);
    CHECK("small", !ed_sent_log_is_large(&sent_log));
    for (unsigned n = 1; n < 1000; n++)
        CHECK_EQ("burst", push(5), EDDY_OK);
    CHECK("large", ed_sent_log_is_large(&sent_log));
    CHECK("held", !ed_sent_log_rest(&sent_log));
    CHECK("still held, if quiet", !ed_sent_log_rest(&sent_log));
    check_packet("all there", 999, 5);
    for (unsigned n = 0; n < ED_SENT_QUIET + 1; n++)
        CHECK_EQ("no burst", push(1), EDDY_OK);
    acknowledge_all();
    CHECK("not quiet", !ed_sent_log_rest(&sent_log));
    for (unsigned n = 0; n < ED_SENT_QUIET; n++)
        CHECK_EQ("few", push(1), EDDY_OK);
    acknowledge_all();
    CHECK("quiet", ed_sent_log_rest(&sent_log));
    CHECK_EQ("all is given back", counting.live_size, 0);
    CHECK_EQ("the next", push(1), EDDY_OK);
    check_packet("has the next number", 1000 + 2 * ED_SENT_QUIET + 1, 1);
    CHECK("small again", !ed_sent_log_is_large(&sent_log));
    CHECK("valid", ed_sent_log_valid(&sent_log));
}

static void test_full(void **state)
{
    (void)state;
    for (unsigned n = 0; n < ED_SENT_MAX; n++)
        CHECK_EQ("up to the limit", push(1), EDDY_OK);
    CHECK_EQ("full", push(1), EDDY_EAGAIN);
    CHECK_EQ("no room", ed_sent_reserve(&sent_log, 0), EDDY_EAGAIN);
    CHECK_EQ("nor for a number left out", ed_sent_skip(&sent_log, 0), EDDY_EAGAIN);
    CHECK_EQ("nothing changed", sent_log.next, ED_SENT_MAX);
    CHECK("valid", ed_sent_log_valid(&sent_log));
    settle(0, ED_SENT_ACKED);
    ed_sent_trim(&sent_log, 0, 0);
    CHECK_EQ("room again", push(1), EDDY_OK);
    check_packet("the newest", ED_SENT_MAX, 1);
}

static void test_full_of_refs(void **state)
{
    (void)state;
    CHECK_EQ("many", push(UINT16_MAX), EDDY_OK);
    CHECK_EQ("as many", push(UINT16_MAX), EDDY_OK);
    CHECK_EQ("one too many", push(3), EDDY_EAGAIN);
    CHECK_EQ("nothing changed", sent_log.next, 2);
    CHECK_EQ("the rest", push(2), EDDY_OK);
    CHECK_EQ("none is always fine", push(0), EDDY_OK);
    CHECK("valid", ed_sent_log_valid(&sent_log));
    check_packet("the first", 0, UINT16_MAX);
}

/** Every allocation of a growing log fails once; the same call then succeeds. */
static void test_out_of_memory(void **state)
{
    (void)state;
    unsigned failures = 0;

    for (unsigned n = 0; n < 1000; n++) {
        counting.fail_after = 0;
        eddy_status status = push(3);
        uint64_t want_next = status == EDDY_OK ? n + 1 : n;
        CHECK_EQ("all or nothing", sent_log.next, want_next);
        CHECK("valid", ed_sent_log_valid(&sent_log));
        counting.fail_after = UINT64_MAX;
        if (status == EDDY_OK)
            continue;
        CHECK_EQ("status", status, EDDY_ENOMEM);
        failures++;
        CHECK_EQ("again", push(3), EDDY_OK);
    }
    CHECK_EQ("packets grew 9 times, references 11, once together", failures, 19);
    for (unsigned n = 0; n < 1000; n++)
        check_packet("all there", n, 3);
}

static void test_reserve(void **state)
{
    (void)state;
    CHECK_EQ("reserve", ed_sent_reserve(&sent_log, 500), EDDY_OK);
    counting.fail_after = 0;
    CHECK_EQ("cannot fail then", push(500), EDDY_OK);
    CHECK_EQ("but may now", push(500), EDDY_ENOMEM);
}

/** What stands at the old end, and what of it is dropped. */
static void test_trim(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *states; /* from number 0: O, A, L, S; and N, outstanding but not in flight */
        uint64_t below, before_ns;
        uint64_t want_first;
    } rows[] = {
        {"acknowledged ones", "AAOA", 0, 0, 2},
        {"all of them", "AAAA", 0, 0, 4},
        {"an outstanding one stays", "OAAA", 4, UINT64_MAX, 0},
        {"a lost one is remembered", "ALAA", 1, 1001, 1},
        {"until the numbers have gone on", "ALLA", 2, 0, 2},
        {"or time has", "ALLA", 0, 1002, 2},
        {"a number left out likewise", "SSAA", 1, 0, 1},
        {"by time too", "SSAA", 0, 1001, 1},
        {"one that was never in flight", "NNAA", 1, 0, 1},
        {"by time, all of them", "NLSO", 0, UINT64_MAX, 3},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_sent_log_free(&sent_log);
        for (const char *at = rows[i].states; *at != 0; at++) {
            CHECK_EQ(rows[i].name, push(2), EDDY_OK);
            if (*at == 'N')
                ed_sent_at(&sent_log, sent_log.next - 1)->flags = 0;
            else if (*at != 'O')
                settle(sent_log.next - 1, *at == 'A'   ? ED_SENT_ACKED
                                          : *at == 'L' ? ED_SENT_LOST
                                                       : ED_SENT_SKIPPED);
        }
        ed_sent_trim(&sent_log, rows[i].below, rows[i].before_ns);
        CHECK_EQ(rows[i].name, sent_log.first, rows[i].want_first);
        CHECK_EQ(rows[i].name, sent_log.ref_next - sent_log.ref_first, 2 * (4 - sent_log.first));
        CHECK(rows[i].name, ed_sent_log_valid(&sent_log));
        CHECK(rows[i].name, ed_sent_first(&sent_log) == ed_sent_at(&sent_log, sent_log.first));
    }
}

/** The validator notices. */
static void test_valid(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ed_sent packet; /* put over number 1 of three */
    } rows[] = {
        {"a wrong number", {.number = 2, .ref_first = 1, .ref_count = 1, .state = 1}},
        {"a wrong place", {.number = 1, .ref_first = 2, .ref_count = 1, .state = 1}},
        {"a wrong count", {.number = 1, .ref_first = 1, .ref_count = 2, .state = 1}},
        {"no state", {.number = 1, .ref_first = 1, .ref_count = 1}},
        {"no such state", {.number = 1, .ref_first = 1, .ref_count = 1, .state = 5}},
        {"lost without a mark", {.number = 1, .ref_first = 1, .ref_count = 1, .state = 3}},
        {"a run of none", {.number = 1, .ref_first = 1, .ref_count = 1, .state = 2}},
        {"too long a run",
         {.number = 1, .ref_first = 1, .ref_count = 1, .state = 2, .acked_run = 2}},
        {"a run where there is none",
         {.number = 1, .ref_first = 1, .ref_count = 1, .state = 1, .acked_run = 1}},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_sent_log_free(&sent_log);
        for (unsigned n = 0; n < 3; n++)
            CHECK_EQ(rows[i].name, push(1), EDDY_OK);
        CHECK(rows[i].name, ed_sent_log_valid(&sent_log));
        *ed_sent_at(&sent_log, 1) = rows[i].packet;
        CHECK(rows[i].name, !ed_sent_log_valid(&sent_log));
    }
}

/** How far it is from one number that is left out to the next. */
static void test_gaps(void **state)
{
    static const struct {
        const char *name;
        uint64_t draw;
        uint64_t want[7];
    } rows[] = {
        {"as near as may be", 0, {64, 128, 256, 512, 1024, 1024, 1024}},
        {"as far", UINT64_MAX, {127, 255, 511, 1023, 2047, 2047, 2047}},
        {"between", 5, {69, 133, 261, 517, 1029, 1029, 1029}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_sent_log_init(&sent_log, &counting.allocator);
        for (size_t gap = 0; gap < ED_COUNT(rows[i].want); gap++) {
            sent_log.first = sent_log.next = sent_log.gap_at;
            ed_sent_plan_gap(&sent_log, rows[i].draw);
            CHECK_EQ(rows[i].name, sent_log.gap_at - sent_log.next, rows[i].want[gap]);
        }
    }
}

/** Of the largest number of an ACK the low bits are kept. */
static void an_ack_is_at_most_the_newest(void **state)
{
    static const struct {
        const char *name;
        uint64_t largest;
        uint64_t newest;
    } rows[] = {
        {"the first", 0, 0},
        {"the newest", 77, 77},
        {"an older one", 77, 1000},
        {"over 2^32", (UINT64_C(1) << 32) - 16, (UINT64_C(1) << 32) + 5},
        {"2^32 - 1 below", 123, 123 + (uint64_t)UINT32_MAX},
        {"of the last", (UINT64_C(1) << 60) - 9, (UINT64_C(1) << 60) - 1},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_sent packet = {.ack_low = (uint32_t)rows[i].largest};
        CHECK_EQ(rows[i].name, ed_sent_ack_largest(&packet, rows[i].newest), rows[i].largest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ack_is_at_most_the_newest),
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_template, setup, teardown),
        cmocka_unit_test_setup_teardown(test_growth, setup, teardown),
        cmocka_unit_test_setup_teardown(test_warm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_of_refs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reserve, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trim, setup, teardown),
        cmocka_unit_test_setup_teardown(test_valid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gaps, setup, teardown),
    };
    return cmocka_run_group_tests_name("sent", tests, NULL, NULL);
}
