#include "tests/support/check.h"

#include "transport/peer_clock.h"

#define MS(n) ((uint64_t)(n)*ED_NS_PER_MS)
#define AHEAD MS(1000000) /* the peer's clock is so far ahead of ours */

/** A question and its answer. */
struct exchange {
    uint64_t asked_ns;
    uint64_t there_ns; /* on its way there */
    uint64_t held_ns;
    uint64_t back_ns;
};

static uint32_t number; /* of the packet with the newest question */

static ed_time_frame answer_to(const struct exchange *e, uint64_t ahead_ns)
{
    return (ed_time_frame){.is_answer = true,
                           .packet = number,
                           .held_ns = e->held_ns,
                           .time_ns = e->asked_ns + e->there_ns + e->held_ns + ahead_ns};
}

static uint64_t end_of(const struct exchange *e)
{
    return e->asked_ns + e->there_ns + e->held_ns + e->back_ns;
}

static void ask(ed_peer_clock *clock, const struct exchange *e)
{
    ed_peer_clock_on_asked(clock, ++number, e->asked_ns);
}

static void hold(ed_peer_clock *clock, const struct exchange *e, uint64_t ahead_ns)
{
    ask(clock, e);
    ed_time_frame answer = answer_to(e, ahead_ns);
    ed_peer_clock_on_answer(clock, &answer, end_of(e));
}

/** What the error comes to beside what is written in a row: the drift, which is always a little. */
static void check_error(const char *name, uint64_t error_ns, uint64_t want_ns)
{
    CHECK(name, error_ns >= want_ns);
    CHECK(name, error_ns <= want_ns + MS(1) / 2);
}

static void it_asks_when_it_is_time(void **state)
{
    static const struct {
        const char *name;
        uint8_t answers;
        bool is_waiting;
        uint64_t since_ms;
        bool asks;
    } rows[] = {
        {"an answer of no use", 0, false, 99, false},
        {"an answer of no use, later", 0, false, 100, true},
        {"no answer yet", 0, true, 149, false},
        {"no answer any more", 0, true, 150, true},
        {"after the first", 1, false, 99, false},
        {"after the first, later", 1, false, 100, true},
        {"after the seventh", 7, false, 100, true},
        {"after the eighth", 8, false, 999, false},
        {"after the eighth, later", 8, false, 1000, true},
        {"after the eighth, no answer", 8, true, 1000, true},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_peer_clock clock = {.asked_ns = MS(5000),
                               .answer_count = rows[i].answers,
                               .is_waiting = rows[i].is_waiting};
        CHECK_EQ(rows[i].name, ed_peer_clock_asks(&clock, MS(150), MS(5000) + MS(rows[i].since_ms)),
                 rows[i].asks);
    }
    ed_peer_clock fresh = {0};
    CHECK("at once", ed_peer_clock_asks(&fresh, MS(150), 1));
    ed_peer_clock slow = {.asked_ns = MS(5000), .answer_count = 8, .is_waiting = true};
    CHECK("a long way", !ed_peer_clock_asks(&slow, MS(3000), MS(7999)));
    CHECK("a long way, later", ed_peer_clock_asks(&slow, MS(3000), MS(8000)));
}

static void the_last_question_is_answered(void **state)
{
    ed_peer_clock clock = {0};

    (void)state;
    ed_peer_clock_on_question(&clock, 5, MS(1));
    ed_peer_clock_on_question(&clock, (UINT64_C(1) << 32) + 7, MS(3));
    CHECK("owed", clock.is_owed);
    ed_time_frame answer = ed_peer_clock_answer(&clock, MS(10));
    CHECK("once", !clock.is_owed);
    CHECK("answer", answer.is_answer);
    CHECK_EQ("packet", answer.packet, 7);
    CHECK_EQ("held", answer.held_ns, MS(7));
    CHECK_EQ("time", answer.time_ns, MS(10));
}

static void two_answers_hold_together(void **state)
{
    static const struct {
        const char *name;
        struct exchange first, second;
        uint64_t error_ms; /* in the end, */
        int wrong_ms;      /* and of that */
    } rows[] = {
        {"the same path", {0, MS(20), 0, MS(20)}, {MS(100), MS(20), 0, MS(20)}, 20, 0},
        {"held", {0, MS(20), MS(25), MS(20)}, {MS(100), MS(20), MS(9), MS(20)}, 20, 0},
        {"not alike", {0, MS(30), 0, MS(10)}, {MS(100), MS(30), 0, MS(10)}, 20, 10},
        {"the second is faster", {0, MS(90), 0, MS(20)}, {MS(100), MS(20), 0, MS(20)}, 20, 0},
        {"the first is faster", {0, MS(20), 0, MS(20)}, {MS(100), MS(70), 0, MS(20)}, 20, 0},
        {"each is, one way", {0, MS(5), 0, MS(90)}, {MS(100), MS(90), 0, MS(5)}, 5, 0},
        {"there at once", {0, 0, 0, MS(20)}, {MS(100), 0, 0, MS(20)}, 10, -10},
        {"no way at all", {0, 0, 0, 0}, {MS(100), 0, MS(25), 0}, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_peer_clock clock = {0};
        eddy_peer_time time = {.now_ns = 7};
        CHECK(rows[i].name, !ed_peer_clock_tell(&clock, MS(1), &time) && time.now_ns == 7);
        hold(&clock, &rows[i].first, AHEAD);
        hold(&clock, &rows[i].second, AHEAD);
        uint64_t now_ns = end_of(&rows[i].second);
        CHECK(rows[i].name, ed_peer_clock_tell(&clock, now_ns, &time));
        check_error(rows[i].name, time.error_ns, MS(rows[i].error_ms));
        int64_t wrong_ns = (int64_t)(time.now_ns - now_ns - AHEAD);
        int64_t off_ns = wrong_ns - rows[i].wrong_ms * (int64_t)ED_NS_PER_MS;
        CHECK(rows[i].name, off_ns > -(int64_t)MS(1) / 10 && off_ns < (int64_t)MS(1) / 10);
    }
}

static void the_error_grows_between_answers(void **state)
{
    static const struct {
        const char *name;
        uint64_t later_ms;
        uint64_t error_us;
    } rows[] = {
        {"at once", 0, 10000},
        {"a second", 1000, 10500},
        {"a keepalive of 3 s", 3000, 11500},
        {"a day", 86400 * 1000, 10000 + 86400 * 500},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_peer_clock clock = {0};
        eddy_peer_time time;
        struct exchange e = {0, MS(10), 0, MS(10)};
        hold(&clock, &e, AHEAD);
        CHECK(rows[i].name, ed_peer_clock_tell(&clock, MS(20) + MS(rows[i].later_ms), &time));
        check_error(rows[i].name, time.error_ns, rows[i].error_us * ED_NS_PER_US);
    }
}

static void what_is_no_answer_changes_nothing(void **state)
{
    static const struct {
        const char *name;
        ed_time_frame answer; /* its packet is how far it is from the one that was asked in */
        uint64_t now_ns;
    } rows[] = {
        {"another packet", {true, 1, 0, MS(9)}, MS(40)},
        {"held for longer than it took", {true, 0, MS(41), MS(9)}, MS(40)},
        {"held for ever", {true, 0, ED_VARINT_MAX, MS(9)}, MS(40)},
        {"a time to come", {true, 0, 0, UINT64_C(1) << 62}, MS(40)},
        {"the end of time", {true, 0, 0, UINT64_MAX}, MS(40)},
        {"a path of 5 s", {true, 0, 0, MS(9)}, MS(5000)},
        {"ours is at its end", {true, 0, UINT64_C(1) << 62, MS(9)}, (UINT64_C(1) << 62) + 5},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_peer_clock clock = {0};
        eddy_peer_time time;
        struct exchange e = {.asked_ns = 0};
        ask(&clock, &e);
        ed_time_frame answer = rows[i].answer;
        answer.packet += number;
        ed_peer_clock_on_answer(&clock, &answer, rows[i].now_ns);
        CHECK(rows[i].name, !ed_peer_clock_tell(&clock, rows[i].now_ns, &time));
    }
}

static void an_answer_counts_once(void **state)
{
    ed_peer_clock clock = {0};
    eddy_peer_time time;
    struct exchange e = {0, MS(10), 0, MS(10)};

    (void)state;
    hold(&clock, &e, AHEAD);
    ed_time_frame again = answer_to(&e, 2 * AHEAD);
    ed_peer_clock_on_answer(&clock, &again, MS(30));
    CHECK("told", ed_peer_clock_tell(&clock, MS(30), &time));
    CHECK("as before", time.now_ns < MS(31) + AHEAD);
}

/** The peer's clock was set: what was told follows, and never goes back. */
static void what_is_told_never_goes_back(void **state)
{
    static const struct {
        const char *name;
        int64_t set_ms;
        uint64_t right_after_ms; /* at the earliest; within 1 % of that it is */
    } rows[] = {
        {"a little ahead", 50, 800},       {"a little behind", -50, 800},
        {"a second ahead", 1000, 16000},   {"a second behind", -1000, 16000},
        {"two seconds ahead", 2000, 0},    {"two seconds behind", -2000, 17000},
        {"an hour ahead", 3600 * 1000, 0}, {"a minute behind", -60 * 1000, 75000},
        {"a day ahead", 86400 * 1000, 0},  {"not at all", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_peer_clock clock = {0};
        eddy_peer_time time;
        struct exchange before = {0, 0, 0, 0};
        struct exchange after = {MS(1), 0, 0, 0};
        uint64_t ahead_ns = AHEAD + (uint64_t)(rows[i].set_ms * (int64_t)ED_NS_PER_MS);
        uint64_t right_ms = UINT64_MAX, last_ns = 0;
        hold(&clock, &before, AHEAD);
        CHECK(rows[i].name, ed_peer_clock_tell(&clock, MS(1), &time));
        last_ns = time.now_ns;
        hold(&clock, &after, ahead_ns);
        for (uint64_t ms = 0; ms <= 100 * 1000; ms += 10) {
            CHECK(rows[i].name, ed_peer_clock_tell(&clock, MS(1 + ms), &time));
            CHECK(rows[i].name, time.now_ns >= last_ns);
            last_ns = time.now_ns;
            uint64_t truth_ns = MS(1 + ms) + ahead_ns;
            uint64_t wrong_ns = truth_ns > last_ns ? truth_ns - last_ns : last_ns - truth_ns;
            CHECK(rows[i].name, wrong_ns <= time.error_ns);
            if (wrong_ns < MS(1) / 100 && right_ms == UINT64_MAX)
                right_ms = ms;
        }
        CHECK(rows[i].name, right_ms >= rows[i].right_after_ms);
        CHECK(rows[i].name, right_ms <= rows[i].right_after_ms + rows[i].right_after_ms / 100 + 10);
    }
}

/** Who asks in the past hears what was told last. */
static void time_does_not_go_back_for_who_does(void **state)
{
    ed_peer_clock clock = {0};
    eddy_peer_time first, second;
    struct exchange e = {MS(100), MS(10), 0, MS(10)};

    (void)state;
    hold(&clock, &e, AHEAD);
    CHECK("before the answer", ed_peer_clock_tell(&clock, 0, &first));
    CHECK("then as when it came", first.now_ns >= MS(120) + AHEAD);
    CHECK("later", ed_peer_clock_tell(&clock, MS(500), &first));
    CHECK("earlier", ed_peer_clock_tell(&clock, MS(400), &second));
    CHECK_EQ("the same", second.now_ns, first.now_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_asks_when_it_is_time),
        cmocka_unit_test(the_last_question_is_answered),
        cmocka_unit_test(two_answers_hold_together),
        cmocka_unit_test(the_error_grows_between_answers),
        cmocka_unit_test(what_is_no_answer_changes_nothing),
        cmocka_unit_test(an_answer_counts_once),
        cmocka_unit_test(what_is_told_never_goes_back),
        cmocka_unit_test(time_does_not_go_back_for_who_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
