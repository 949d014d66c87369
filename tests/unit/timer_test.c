/** Timers in virtual time: once, periodic, late, and what their callbacks may do. */
#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/timer.h"

#define TICK ((uint64_t)ED_WHEEL_TICK_NS)
#define MS ED_NS_PER_MS
#define START_NS (1000 * ED_NS_PER_S)

enum {
    CALLS_MAX = 32,
};

static ed_counting_alloc memory;
static ed_timer_set set;
static uint64_t now_ns;

/** The calls of the timers, in order. */
static struct {
    char name;
    uint64_t at_ns;
    uint64_t periods;
} calls[CALLS_MAX];
static size_t call_count;

static uint64_t virtual_clock(void)
{
    return now_ns;
}

static int setup(void **state)
{
    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    now_ns = START_NS;
    call_count = 0;
    ed_timer_set_init(&set, &memory.allocator, NULL, virtual_clock);
    return 0;
}

static int nothing_is_left(void **state)
{
    (void)state;
    CHECK_EQ("timers", set.count, 0);
    CHECK_EQ("started", set.wheel.count, 0);
    CHECK_EQ("leaked", memory.live_count, 0);
    return 0;
}

static void note(void *context, eddy_timer *timer, uint64_t periods)
{
    CHECK("room", call_count < CALLS_MAX);
    CHECK("which", timer != NULL);
    calls[call_count].name = *(const char *)context;
    calls[call_count].at_ns = now_ns - START_NS;
    calls[call_count++].periods = periods;
}

static eddy_timer *create(eddy_timer_run run, void *context)
{
    eddy_timer *timer = ed_timer_create(&set, run, context);

    CHECK("timer", timer != NULL);
    return timer;
}

/** Lets the time of `at_ns` come, as a loop would that sleeps until then. */
static void run_until(uint64_t at_ns)
{
    uint64_t next_ns = ed_wheel_next_ns(&set.wheel);

    for (; next_ns <= START_NS + at_ns; next_ns = ed_wheel_next_ns(&set.wheel)) {
        now_ns = next_ns > now_ns ? next_ns : now_ns;
        (void)ed_timer_set_run(&set, now_ns);
    }
    now_ns = START_NS + at_ns;
    (void)ed_timer_set_run(&set, now_ns);
}

static void one_shot(void **state)
{
    static char name = 'a';
    eddy_timer *timer = create(note, &name);

    (void)state;
    CHECK("not started", !eddy_timer_is_started(timer));
    CHECK_EQ("start", eddy_timer_start(timer, 10 * MS), EDDY_OK);
    CHECK("started", eddy_timer_is_started(timer));
    run_until(10 * MS - 1);
    CHECK_EQ("not early", call_count, 0);
    run_until(20 * MS);
    CHECK_EQ("once", call_count, 1);
    CHECK_EQ("for itself", calls[0].periods, 1);
    CHECK("in time", calls[0].at_ns >= 10 * MS && calls[0].at_ns < 10 * MS + TICK);
    CHECK("ended", !eddy_timer_is_started(timer));
    CHECK_EQ("again", eddy_timer_start(timer, 10 * MS), EDDY_OK);
    CHECK_EQ("and later", eddy_timer_start(timer, 30 * MS), EDDY_OK);
    run_until(49 * MS);
    CHECK_EQ("not at the old time", call_count, 1);
    run_until(51 * MS);
    CHECK_EQ("at the new one", call_count, 2);
    CHECK_EQ("once more", eddy_timer_start(timer, 1), EDDY_OK);
    CHECK_EQ("cancel", eddy_timer_cancel(timer), EDDY_OK);
    CHECK_EQ("cancel again", eddy_timer_cancel(timer), EDDY_OK);
    CHECK_EQ("never", eddy_timer_start(timer, UINT64_MAX), EDDY_OK);
    run_until(3600 * ED_NS_PER_S);
    CHECK_EQ("neither came", call_count, 2);
    CHECK_EQ("destroy started", eddy_timer_destroy(timer), EDDY_OK);
    CHECK_EQ("nobody", eddy_timer_destroy(NULL), EDDY_OK);
}

static void many_come_by_their_time(void **state)
{
    static char names[] = "abcde";
    static const uint64_t delays_ns[] = {50 * MS, 10 * MS, 30 * MS, 10 * MS, 10 * MS + 1};
    eddy_timer *timers[ED_COUNT(delays_ns)];
    char order[ED_COUNT(delays_ns) + 1] = {0};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(delays_ns); i++) {
        timers[i] = create(note, &names[i]);
        CHECK_EQ("start", eddy_timer_start(timers[i], delays_ns[i]), EDDY_OK);
    }
    run_until(100 * MS);
    CHECK_EQ("all", call_count, ED_COUNT(delays_ns));
    for (size_t i = 0; i < call_count; i++)
        order[i] = calls[i].name;
    CHECK_STR("order", order, "bdeca");
    for (size_t i = 0; i < ED_COUNT(delays_ns); i++)
        CHECK_EQ("destroy", eddy_timer_destroy(timers[i]), EDDY_OK);
}

static void periodic(void **state)
{
    static const struct {
        const char *name;
        uint64_t first_ns, period_ns;
        size_t want; /* calls by 100 ms */
    } rows[] = {
        {"the first at once", 0, 10 * MS, 10},
        {"the first a period later", 10 * MS, 10 * MS, 9},
        {"longer than we look", 10 * MS, 1000 * MS, 1},
        {"60 a second", 0, ED_NS_PER_S / 60, 6},
    };
    static char name = 'p';

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_timer *timer = create(note, &name);
        uint64_t begin_ns = now_ns - START_NS;
        call_count = 0;
        CHECK_EQ(
            rows[i].name,
            eddy_timer_start_periodic(timer, rows[i].first_ns, rows[i].period_ns, EDDY_LATE_SKIP),
            EDDY_OK);
        run_until(begin_ns + 100 * MS - 1);
        CHECK_EQ(rows[i].name, call_count, rows[i].want);
        for (size_t k = 0; k < call_count; k++) { // no call moves the next
            uint64_t due_ns = begin_ns + rows[i].first_ns + k * rows[i].period_ns;
            CHECK(rows[i].name, calls[k].at_ns >= due_ns && calls[k].at_ns <= due_ns + TICK);
            CHECK_EQ(rows[i].name, calls[k].periods, 1);
        }
        CHECK_EQ(rows[i].name, eddy_timer_destroy(timer), EDDY_OK);
    }
}

static void what_a_late_one_does_is_said(void **state)
{
    static const struct {
        const char *name;
        eddy_late late;
        size_t calls; /* at 45 ms, of a timer every 10 ms that was asked last at 10 ms */
        uint64_t periods;
        uint64_t next_ms;
    } rows[] = {
        {"skip", EDDY_LATE_SKIP, 1, 3, 50},
        {"all", EDDY_LATE_ALL, 3, 1, 50},
        {"shift", EDDY_LATE_SHIFT, 1, 1, 55},
    };
    static char name = 'p';

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_timer *timer = create(note, &name);
        uint64_t begin_ns = now_ns;
        CHECK_EQ(rows[i].name, eddy_timer_start_periodic(timer, 10 * MS, 10 * MS, rows[i].late),
                 EDDY_OK);
        now_ns = begin_ns + 10 * MS + TICK;
        CHECK_EQ(rows[i].name, ed_timer_set_run(&set, now_ns), 1);
        call_count = 0;
        now_ns = begin_ns + 45 * MS; // nobody looked meanwhile
        CHECK_EQ(rows[i].name, ed_timer_set_run(&set, now_ns), rows[i].calls);
        for (size_t k = 0; k < call_count; k++)
            CHECK_EQ(rows[i].name, calls[k].periods, rows[i].periods);
        now_ns = begin_ns + rows[i].next_ms * MS - 1;
        CHECK_EQ(rows[i].name, ed_timer_set_run(&set, now_ns), 0);
        now_ns += TICK + 1;
        CHECK_EQ(rows[i].name, ed_timer_set_run(&set, now_ns), 1);
        CHECK_EQ(rows[i].name, eddy_timer_destroy(timer), EDDY_OK);
    }
}

static void wrong_periods_are_refused(void **state)
{
    static const struct {
        const char *name;
        uint64_t period_ns;
        int late;
        eddy_status want;
    } rows[] = {
        {"none", 0, EDDY_LATE_ALL, EDDY_EINVAL},
        {"too short", EDDY_TIMER_PERIOD_NS_MIN - 1, EDDY_LATE_ALL, EDDY_EINVAL},
        {"the shortest", EDDY_TIMER_PERIOD_NS_MIN, EDDY_LATE_ALL, EDDY_OK},
        {"no such policy", MS, EDDY_LATE_SHIFT + 1, EDDY_EINVAL},
        {"negative policy", MS, -1, EDDY_EINVAL},
        {"the longest", UINT64_MAX, EDDY_LATE_SHIFT, EDDY_OK},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        static char name = 'p';
        eddy_timer *timer = create(note, &name);
        CHECK_EQ(rows[i].name,
                 eddy_timer_start_periodic(timer, MS, rows[i].period_ns, (eddy_late)rows[i].late),
                 rows[i].want);
        CHECK_EQ(rows[i].name, eddy_timer_is_started(timer), rows[i].want == EDDY_OK);
        CHECK_EQ(rows[i].name, eddy_timer_destroy(timer), EDDY_OK);
    }
}

/** A period beyond the end of time: the first call is the last. */
static void a_period_without_end_comes_once(void **state)
{
    static char name = 'p';
    eddy_timer *timer = create(note, &name);

    (void)state;
    CHECK_EQ("start", eddy_timer_start_periodic(timer, 0, UINT64_MAX, EDDY_LATE_SKIP), EDDY_OK);
    run_until(MS);
    CHECK_EQ("once", call_count, 1);
    CHECK("ended", !eddy_timer_is_started(timer));
    CHECK_EQ("destroy", eddy_timer_destroy(timer), EDDY_OK);
}

/* --------------------------------------------------------------------------- inside callbacks --
 */

static eddy_timer *other;

static void destroy_both(void *context, eddy_timer *timer, uint64_t periods)
{
    note(context, timer, periods);
    CHECK_EQ("itself", eddy_timer_destroy(timer), EDDY_OK);
    CHECK_EQ("another that is due", eddy_timer_destroy(other), EDDY_OK);
}

static void start_again_at_once(void *context, eddy_timer *timer, uint64_t periods)
{
    note(context, timer, periods);
    CHECK_EQ("start", eddy_timer_start(timer, 0), EDDY_OK);
}

static void cancel_itself(void *context, eddy_timer *timer, uint64_t periods)
{
    note(context, timer, periods);
    CHECK_EQ("cancel", eddy_timer_cancel(timer), EDDY_OK);
}

static void callbacks_may_do_anything_to_timers(void **state)
{
    static char name = 'c';
    eddy_timer *timer = create(destroy_both, &name);

    (void)state;
    other = create(note, &name);
    CHECK_EQ("start", eddy_timer_start_periodic(timer, MS, MS, EDDY_LATE_ALL), EDDY_OK);
    CHECK_EQ("start", eddy_timer_start(other, MS), EDDY_OK);
    run_until(5 * MS);
    CHECK_EQ("destroyed both", call_count, 1);

    timer = create(start_again_at_once, &name);
    CHECK_EQ("start", eddy_timer_start(timer, 0), EDDY_OK);
    now_ns = (now_ns / TICK + 2) * TICK; // where a time that is now would be due
    CHECK_EQ("a round each", ed_timer_set_run(&set, now_ns), 1);
    now_ns += 2 * TICK;
    CHECK_EQ("the next", ed_timer_set_run(&set, now_ns), 1);
    CHECK_EQ("destroy", eddy_timer_destroy(timer), EDDY_OK);

    timer = create(cancel_itself, &name);
    CHECK_EQ("start", eddy_timer_start_periodic(timer, MS, MS, EDDY_LATE_ALL), EDDY_OK);
    now_ns += 10 * MS;
    CHECK_EQ("no more periods", ed_timer_set_run(&set, now_ns), 1);
    CHECK_EQ("destroy", eddy_timer_destroy(timer), EDDY_OK);
}

/** What the seeds' session pruning does: present before its time, gone after, refreshed by use. */
static void a_session_is_pruned_when_its_time_is_over(void **state)
{
    static char name = 's';
    eddy_timer *session = create(note, &name); // one for each, moved at every use: no sweeps

    (void)state;
    CHECK_EQ("begins", eddy_timer_start(session, 1000 * MS), EDDY_OK);
    run_until(900 * MS);
    CHECK_EQ("used", eddy_timer_start(session, 1000 * MS), EDDY_OK);
    run_until(1900 * MS - 1);
    CHECK_EQ("present", call_count, 0);
    run_until(1900 * MS + TICK);
    CHECK_EQ("pruned", call_count, 1);
    CHECK_EQ("destroy", eddy_timer_destroy(session), EDDY_OK);
}

static void no_memory_makes_no_timer(void **state)
{
    static char name = 'a';

    (void)state;
    memory.fail_after = 0;
    CHECK("none", ed_timer_create(&set, note, &name) == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_shot, setup, nothing_is_left),
        cmocka_unit_test_setup_teardown(many_come_by_their_time, setup, nothing_is_left),
        cmocka_unit_test_setup_teardown(periodic, setup, nothing_is_left),
        cmocka_unit_test_setup_teardown(what_a_late_one_does_is_said, setup, nothing_is_left),
        cmocka_unit_test_setup_teardown(wrong_periods_are_refused, setup, nothing_is_left),
        cmocka_unit_test_setup_teardown(a_period_without_end_comes_once, setup, nothing_is_left),
        cmocka_unit_test_setup_teardown(callbacks_may_do_anything_to_timers, setup,
                                        nothing_is_left),
        cmocka_unit_test_setup_teardown(a_session_is_pruned_when_its_time_is_over, setup,
                                        nothing_is_left),
        cmocka_unit_test_setup_teardown(no_memory_makes_no_timer, setup, nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
