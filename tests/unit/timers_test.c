#include "tests/support/check.h"

#include "core/base.h"
#include "transport/timers.h"

#define MS(n) ((n)*ED_NS_PER_MS)
#define NEVER ED_NEVER_NS
#define NOW MS(1000)

enum { IDLE_MS = 10000, KEEPALIVE_MS = 3000 };

static ed_timers fresh(void)
{
    ed_timers timers;
    ed_timers_init(&timers, IDLE_MS, KEEPALIVE_MS);
    return timers;
}

static void nothing_is_due_at_first(void **state)
{
    ed_timers timers = fresh();

    (void)state;
    CHECK_EQ("next", ed_timers_next_ns(&timers), NEVER);
    for (unsigned t = 0; t < ED_TIMER_COUNT; t++)
        CHECK("never comes", !ed_timers_take(&timers, (ed_timer)t, NEVER));
}

/** Each timer is seen, taken once, and not early. */
static void each_is_taken_once(void **state)
{
    (void)state;
    for (unsigned t = 0; t < ED_TIMER_COUNT; t++) {
        ed_timers timers = fresh();
        timers.at_ns[t] = NOW;
        CHECK_EQ("next", ed_timers_next_ns(&timers), NOW);
        CHECK("early", !ed_timers_take(&timers, (ed_timer)t, NOW - 1));
        for (unsigned other = 0; other < ED_TIMER_COUNT; other++)
            CHECK_EQ("only itself", ed_timers_take(&timers, (ed_timer)other, NOW), other == t);
        CHECK("once", !ed_timers_take(&timers, (ed_timer)t, NOW));
        CHECK_EQ("none is left", ed_timers_next_ns(&timers), NEVER);
    }
}

/* ----------------------------------------------------------------------- one fact at a time -- */

static void greeting(ed_timers *timers)
{
    ed_timers_on_greeting(timers, MS(7000), NOW);
}

static void greeting_without_end(ed_timers *timers)
{
    ed_timers_on_greeting(timers, UINT64_MAX, NOW);
}

static void half_open(ed_timers *timers)
{
    ed_timers_on_half_open(timers, NOW);
}

static void contest(ed_timers *timers)
{
    ed_timers_on_contest(timers, NOW + MS(500));
}

static void connected(ed_timers *timers)
{
    ed_timers_on_greeting(timers, MS(7000), NOW);
    ed_timers_on_request_sent(timers, false, NOW);
    ed_timers_on_connected(timers, NOW);
}

static void heard(ed_timers *timers)
{
    ed_timers_on_heard(timers, NOW - MS(500));
    ed_timers_on_heard(timers, NOW);
}

static void heard_without_timeouts(ed_timers *timers)
{
    ed_timers_init(timers, 0, 0);
    ed_timers_on_heard(timers, NOW);
}

static void flushing(ed_timers *timers)
{
    ed_timers_on_flushing(timers, MS(40), NOW);
}

static void flushing_sooner(ed_timers *timers)
{
    ed_timers_on_flushing(timers, MS(40), NOW);
    ed_timers_on_flushing(timers, MS(30), NOW);
}

static void flushing_later(ed_timers *timers)
{
    ed_timers_on_flushing(timers, MS(30), NOW);
    ed_timers_on_flushing(timers, UINT64_MAX, NOW);
}

/** All that are the connection's own. */
static void set_all(ed_timers *timers)
{
    for (size_t i = 0; i < ED_TIMER_END; i++)
        timers->at_ns[i] = NOW + 1;
}

static void closing(ed_timers *timers)
{
    set_all(timers);
    ed_timers_on_closing(timers, MS(100), NOW);
}

static void closing_on_a_slow_path(ed_timers *timers)
{
    set_all(timers);
    ed_timers_on_closing(timers, MS(60000), NOW);
}

static void draining(ed_timers *timers)
{
    set_all(timers);
    ed_timers_on_draining(timers, MS(100), NOW);
}

static void shut_down(ed_timers *timers)
{
    ed_timers_on_shutdown(timers, NOW + MS(70));
    ed_timers_on_shutdown(timers, NOW + MS(60));
    ed_timers_on_shutdown(timers, NOW + MS(80));
}

static void closing_by_the_end(ed_timers *timers)
{
    shut_down(timers);
    ed_timers_on_closing(timers, MS(100), NOW);
}

static void closed(ed_timers *timers)
{
    set_all(timers);
    ed_timers_on_shutdown(timers, NOW + 1);
    ed_timers_on_closed(timers);
}

/** What is set after a fact, and nothing else. */
static void facts(void **state)
{
    static const struct {
        const char *name;
        void (*apply)(ed_timers *timers);
        struct {
            ed_timer timer;
            uint64_t after_ns;
        } want[3];
        size_t want_count;
    } rows[] = {
        {"greeting", greeting, {{ED_TIMER_GIVE_UP, MS(7000)}}, 1},
        {"greeting, no timeout", greeting_without_end, {{0}}, 0},
        {"half open", half_open, {{ED_TIMER_GIVE_UP, MS(5000)}}, 1},
        {"contest", contest, {{ED_TIMER_CONTEST, MS(500)}}, 1},
        {"connected",
         connected,
         {{ED_TIMER_IDLE, MS(IDLE_MS)}, {ED_TIMER_KEEPALIVE, MS(KEEPALIVE_MS)}},
         2},
        {"heard", heard, {{ED_TIMER_IDLE, MS(IDLE_MS)}, {ED_TIMER_KEEPALIVE, MS(KEEPALIVE_MS)}}, 2},
        {"heard, both switched off", heard_without_timeouts, {{0}}, 0},
        {"flushing", flushing, {{ED_TIMER_FLUSH, MS(40)}}, 1},
        {"flushing, then sooner", flushing_sooner, {{ED_TIMER_FLUSH, MS(30)}}, 1},
        {"flushing, then later", flushing_later, {{ED_TIMER_FLUSH, MS(30)}}, 1},
        {"closing", closing, {{ED_TIMER_CLOSE, 0}, {ED_TIMER_DRAINED, MS(300)}}, 2},
        {"closing on a slow path",
         closing_on_a_slow_path,
         {{ED_TIMER_CLOSE, 0}, {ED_TIMER_DRAINED, MS(3000)}},
         2},
        {"draining", draining, {{ED_TIMER_DRAINED, MS(300)}}, 1},
        {"shut down, sooner, later", shut_down, {{ED_TIMER_END, MS(60)}}, 1},
        {"closing by the manager's end",
         closing_by_the_end,
         {{ED_TIMER_CLOSE, 0}, {ED_TIMER_DRAINED, MS(300)}, {ED_TIMER_END, MS(60)}},
         3},
        {"closed", closed, {{0}}, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_timers timers = fresh(), want = fresh();
        rows[i].apply(&timers);
        for (size_t w = 0; w < rows[i].want_count; w++)
            want.at_ns[rows[i].want[w].timer] = NOW + rows[i].want[w].after_ns;
        for (size_t t = 0; t < ED_TIMER_COUNT; t++)
            CHECK_EQ(rows[i].name, timers.at_ns[t], want.at_ns[t]);
    }
}

static void check_back_off(const char *name, ed_timers *timers, bool is_disputed,
                           const uint64_t want_ms[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t want_ns = NOW + MS(want_ms[i]);
        ed_timers_on_request_sent(timers, is_disputed, NOW);
        CHECK_EQ(name, timers->at_ns[ED_TIMER_RESEND], want_ns);
        ed_timers_on_request_sent(timers, is_disputed, NOW + 1); // to another cookie
        CHECK_EQ("nothing new is due", timers->at_ns[ED_TIMER_RESEND], want_ns);
        CHECK("it comes", ed_timers_take(timers, ED_TIMER_RESEND, want_ns));
    }
    ed_timers_on_retry(timers);
    CHECK_EQ("no resend of what was answered", timers->at_ns[ED_TIMER_RESEND], NEVER);
}

/** PROTOCOL.md section 3; and from the beginning after RETRY. */
static void requests_back_off(void **state)
{
    static const struct {
        const char *name;
        bool is_disputed;
        uint64_t want_ms[7];
    } rows[] = {
        {"a request", false, {250, 500, 1000, 1000, 1000, 1000, 1000}},
        {"one that is disputed", true, {250, 500, 1000, 2000, 4000, 4000, 4000}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_timers timers = fresh();
        for (int round = 0; round < 2; round++)
            check_back_off(rows[i].name, &timers, rows[i].is_disputed, rows[i].want_ms,
                           ED_COUNT(rows[i].want_ms));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_due_at_first),
        cmocka_unit_test(each_is_taken_once),
        cmocka_unit_test(facts),
        cmocka_unit_test(requests_back_off),
    };
    return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
