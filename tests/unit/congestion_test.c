#include "tests/support/check.h"

#include "transport/congestion.h"

enum { SIZE = 1200, INITIAL = 10 * SIZE };

static const ed_congestion_ops *ops(void)
{
    return ed_congestion_ops_of(EDDY_CONGESTION_NEW_RENO);
}

enum event { ACK, ACK_APP, ACK_IDLE, LOST, SPURIOUS, PERSISTENT };

/** One thing that happens, at `now`, to packets last sent at `sent`, `count` times over. */
struct step {
    const char *name;
    enum event event;
    uint64_t sent, now;
    unsigned count;
    uint64_t want; /* the window afterwards */
};

static void apply_ack(ed_congestion *state, const struct step *step, const ed_rtt *rtt)
{
    uint64_t window = ops()->window(state);
    ed_congestion_ack ack = {
        .sent_ns = step->sent,
        .size = SIZE,
        .in_flight_before = step->event == ACK_IDLE ? window / 2 - 1 : window,
        .app_limited = step->event == ACK_APP,
    };
    ops()->on_acked(state, &ack, rtt, step->now);
}

static void apply(ed_congestion *state, const struct step *step)
{
    ed_rtt rtt;
    ed_rtt_init(&rtt);

    if (step->event == LOST)
        ops()->on_lost(state, step->sent, SIZE, step->now);
    else if (step->event == SPURIOUS)
        ops()->on_spurious(state, step->sent, SIZE, step->now);
    else if (step->event == PERSISTENT)
        ops()->on_persistent(state, step->now);
    else
        apply_ack(state, step, &rtt);
}

static void run(const struct step *steps, size_t count)
{
    ed_congestion state;

    ops()->init(&state, SIZE);
    CHECK_EQ("at first", ops()->window(&state), INITIAL);
    for (size_t i = 0; i < count; i++) {
        ops()->on_sent(&state, SIZE, SIZE, steps[i].sent);
        for (unsigned n = 0; n < steps[i].count; n++)
            apply(&state, &steps[i]);
        CHECK_EQ(steps[i].name, ops()->window(&state), steps[i].want);
    }
}

static void test_growth(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"slow start doubles", ACK, 0, 10, 10, 24000},
        {"not for what the program did not fill", ACK_APP, 0, 20, 10, 24000},
        {"nor less than half full", ACK_IDLE, 0, 20, 10, 24000},
        {"a loss halves", LOST, 20, 30, 1, 12000},
        {"what was sent before it does not count", ACK, 30, 40, 10, 12000},
        {"avoidance: a window less one", ACK, 31, 50, 9, 12000},
        {"a window: one datagram", ACK, 31, 50, 1, 13200},
        {"the next takes a window of 11", ACK, 31, 50, 10, 13200},
        {"and has it", ACK, 31, 50, 1, 14400},
        {"no growth for what was not filled", ACK_APP, 31, 50, 99, 14400},
        {"nor when less than half full", ACK_IDLE, 31, 50, 99, 14400},
        {"an hour of acks: a datagram a window", ACK, 31, 50, 12 + 13 + 14, 18000},
    };
    run(steps, ED_COUNT(steps));
}

/** Windows that are no multiple of a packet: what is left over counts for the next. */
static void test_left_over(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"11 packets", ACK, 0, 1, 1, 13200},
        {"5 and a half", LOST, 2, 3, 1, 6600},
        {"6 do", ACK, 4, 5, 6, 7800},
        {"half of one is left over: 5 do not", ACK, 4, 5, 5, 7800},
        {"and 6 do, for 6 and a half", ACK, 4, 5, 1, 9000},
        {"nothing is left over: 7 do not", ACK, 4, 5, 7, 9000},
        {"8 do", ACK, 4, 5, 1, 10200},
    };
    run(steps, ED_COUNT(steps));
}

static void test_reduction(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"a loss of time 0", LOST, 0, 10, 1, 6000},
        {"one reduction a round trip", LOST, 9, 11, 5, 6000},
        {"sent in the very moment of the first", LOST, 10, 11, 1, 6000},
        {"sent after it", LOST, 11, 20, 1, 3000},
        {"never below two datagrams", LOST, 21, 30, 1, 2400},
        {"again not", LOST, 31, 40, 1, 2400},
        {"avoidance from here, above 1,200", ACK, 41, 50, 2, 3600},
    };
    run(steps, ED_COUNT(steps));
}

static void test_persistent(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"a reduction", LOST, 5, 10, 1, 6000},
        {"nothing gets through", PERSISTENT, 5, 10, 1, 2400},
        {"slow start up to half of what was", ACK, 6, 20, 3, 6000},
        {"and then avoidance", ACK, 6, 20, 5, 7200},
        {"recovery was forgotten: a loss is news", LOST, 6, 30, 1, 3600},
        {"and nothing to undo from before", SPURIOUS, 5, 40, 1, 3600},
    };
    run(steps, ED_COUNT(steps));
}

static void test_undo(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"spurious before anything is lost", SPURIOUS, 0, 1, 1, 12000},
        {"three lost", LOST, 5, 10, 3, 6000},
        {"two turn up", SPURIOUS, 5, 11, 2, 6000},
        {"all turn up", SPURIOUS, 5, 11, 1, 12000},
        {"once", SPURIOUS, 5, 12, 1, 12000},
        {"slow start goes on, also for what was sent then", ACK, 5, 12, 1, 13200},
        {"a loss", LOST, 20, 30, 1, 6600},
        {"one that belongs to it later", LOST, 25, 31, 1, 6600},
        {"a second reduction", LOST, 35, 40, 1, 3300},
        {"one of the first turns up: too late for it", SPURIOUS, 20, 41, 1, 3300},
        {"one of the first is lost only now", LOST, 26, 42, 1, 3300},
        {"the second undone: back to the first", SPURIOUS, 35, 43, 1, 6600},
        {"still in the first recovery", LOST, 29, 44, 1, 6600},
        {"a third", LOST, 50, 60, 1, 3300},
        {"that ends in persistent congestion", PERSISTENT, 50, 60, 1, 2400},
        {"cannot be undone", SPURIOUS, 50, 61, 1, 2400},
    };
    run(steps, ED_COUNT(steps));
}

static void test_undo_keeps_growth(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"a loss", LOST, 5, 10, 1, 6000},
        {"growth beyond what was", ACK, 11, 20, 68, 15600},
        {"is not taken back by an undo", SPURIOUS, 5, 21, 1, 15600},
    };
    run(steps, ED_COUNT(steps));
}

static void test_limits(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"the largest window", ACK, 0, 1, 60000, ED_CONGESTION_WINDOW_MAX},
        {"half of it", LOST, 2, 3, 1, ED_CONGESTION_WINDOW_MAX / 2},
    };
    run(steps, ED_COUNT(steps));
}

static void test_initial_window(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t datagram_size;
        uint64_t want;
    } rows[] = {
        {"ten", 1200, 12000},       {"ten of 1,472: the cap itself", 1472, 14720},
        {"capped", 1500, 14720},    {"capped at two", 9000, 18000},
        {"the least", 1, 10},       {"the most", 65536, 131072},
        {"up to two", 7360, 14720}, {"above two", 7361, 14722},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_congestion_initial_window(rows[i].datagram_size), rows[i].want);
}

static void test_rate(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t window, smoothed_ns, want;
    } rows[] = {
        {"5/4 of a window a round trip", 12000, 100 * ED_NS_PER_MS, 150000},
        {"no round trip at all", 12000, 0, 15000 * ED_NS_PER_S},
        {"the largest in no time", ED_CONGESTION_WINDOW_MAX, 1, UINT64_C(83886080) * ED_NS_PER_S},
        {"the slowest", 2, 3600 * ED_NS_PER_S, 1},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_rtt rtt = {.smoothed_ns = rows[i].smoothed_ns};
        ed_congestion control = {.new_reno = {.window = rows[i].window}};
        CHECK_EQ(rows[i].name, ed_congestion_window_rate(rows[i].window, &rtt), rows[i].want);
        CHECK_EQ(rows[i].name, ops()->pacing_rate(&control, &rtt), rows[i].want);
    }
}

static void test_table(void **state)
{
    (void)state;
    CHECK_STR("name", ops()->name, "new reno");
    CHECK("no such kind", ed_congestion_ops_of((eddy_congestion)77) == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth),    cmocka_unit_test(test_left_over),
        cmocka_unit_test(test_reduction), cmocka_unit_test(test_persistent),
        cmocka_unit_test(test_undo),      cmocka_unit_test(test_undo_keeps_growth),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_initial_window),
        cmocka_unit_test(test_rate),      cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests_name("congestion", tests, NULL, NULL);
}
