/** The wheel of alarms: never early, in order, and as cheap with a million as with one. */
#include "tests/support/check.h"

#include <stdlib.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/deadline.h"
#include "core/wheel.h"
#include "tests/support/seeds.h"
#include "tests/support/splitmix.h"

#define TICK ((uint64_t)ED_WHEEL_TICK_NS)
#define HOUR_NS (3600 * ED_NS_PER_S)

enum {
    ALARMS = 200,
    STEPS = 2000,
    MANY = 1000 * 1000,
    MANY_SLOW_BUILD = 20 * 1000,
};

static ed_wheel wheel;

static void alarms_are_never_early_and_a_tick_late_at_most(void **state)
{
    static const struct {
        const char *name;
        uint64_t start_ns;
        uint64_t at_ns;
    } rows[] = {
        {"now", 5 * TICK, 5 * TICK},
        {"now, between two ticks", 5 * TICK + 1, 5 * TICK + 1},
        {"long ago", 5 * TICK, 3},
        {"at the start of time", 0, 0},
        {"in 1 ns", 5 * TICK, 5 * TICK + 1},
        {"at the next tick", 5 * TICK, 6 * TICK},
        {"1 ns before it", 5 * TICK, 6 * TICK - 1},
        {"the last slot of a level", 0, 63 * TICK},
        {"the first of the next", 0, 64 * TICK},
        {"across a level's end", 63 * TICK, 64 * TICK},
        {"the far end of a level", 1, 64 * 64 * TICK - 1},
        {"an hour", 12345, HOUR_NS},
        {"a year", 12345, 24 * 365 * HOUR_NS},
        {"two thirds of all time", 0, UINT64_MAX / 3 * 2},
        {"from high up", UINT64_MAX / 2, UINT64_MAX / 2 + HOUR_NS},
        {"the last whole tick", 7, UINT64_MAX / TICK * TICK},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_alarm alarm = {.at_ns = 0};
        uint64_t due_ns = rows[i].at_ns;
        ed_wheel_init(&wheel, rows[i].start_ns);
        ed_wheel_set(&wheel, &alarm, due_ns);
        CHECK(rows[i].name, ed_alarm_is_set(&alarm) && ed_wheel_valid(&wheel));
        int looks = 0;
        uint64_t now_ns = ed_wheel_next_ns(&wheel);
        ed_alarm *got = ed_wheel_pop(&wheel, now_ns > rows[i].start_ns ? now_ns : rows[i].start_ns);
        for (; got == NULL; got = ed_wheel_pop(&wheel, now_ns)) {
            now_ns = ed_wheel_next_ns(&wheel);
            looks++;
        }
        CHECK(rows[i].name, got == &alarm && !ed_alarm_is_set(&alarm));
        CHECK(rows[i].name, looks < ED_WHEEL_LEVELS);
        CHECK(rows[i].name, now_ns >= due_ns || due_ns < rows[i].start_ns);
        CHECK(rows[i].name, now_ns < due_ns || now_ns - due_ns < TICK);
        CHECK_EQ(rows[i].name, wheel.count, 0);
        CHECK_EQ(rows[i].name, ed_wheel_next_ns(&wheel), ED_NEVER_NS);
    }
}

static void one_beyond_the_last_tick_never_comes(void **state)
{
    ed_alarm alarm = {.at_ns = 0};

    (void)state;
    ed_wheel_init(&wheel, 0);
    ed_wheel_set(&wheel, &alarm, UINT64_MAX - 1);
    CHECK_EQ("next", ed_wheel_next_ns(&wheel), ED_NEVER_NS);
    CHECK("due", ed_wheel_pop(&wheel, UINT64_MAX - 1) == NULL);
    ed_wheel_clear(&wheel, &alarm);
    CHECK("valid", ed_wheel_valid(&wheel));
}

/** Pops everything that is due. @return the names, in order. */
static const char *pop_all(const ed_alarm *alarms, uint64_t now_ns)
{
    static char text[16];
    size_t size = 0;

    for (ed_alarm *got = ed_wheel_pop(&wheel, now_ns); got != NULL;
         got = ed_wheel_pop(&wheel, now_ns)) {
        CHECK("no more than there are", size + 1 < sizeof text);
        text[size++] = (char)('a' + (got - alarms));
    }
    text[size] = '\0';
    return text;
}

static void those_due_come_by_time_and_then_by_setting(void **state)
{
    enum { COUNT = 5 };
    static const struct {
        const char *name;
        uint64_t at_ns[COUNT]; /* of a, b, c, ...; 0: not set */
        char again;            /* this one is set once more to the same time; 0: none */
        char clear;            /* and this one cleared */
        const char *want;
    } rows[] = {
        {"by time", {300, 100, 200}, 0, 0, "bca"},
        {"by setting", {100, 100, 100}, 0, 0, "abc"},
        {"set again is set last", {100, 100, 100}, 'a', 0, "bca"},
        {"without one", {100, 200, 300}, 0, 'b', "ac"},
        {"far apart", {HOUR_NS, 100, HOUR_NS / 2, 10 * TICK, 1}, 0, 0, "ebdca"},
        {"in one tick, from afar", {HOUR_NS + 2, HOUR_NS + 1, HOUR_NS + 3}, 0, 0, "bac"},
        {"levels that end together", {64 * TICK, 64 * TICK - 1, 63 * TICK}, 0, 0, "cba"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_alarm alarms[COUNT] = {{.at_ns = 0}};
        ed_wheel_init(&wheel, 0);
        for (size_t k = 0; k < COUNT; k++)
            if (rows[i].at_ns[k] != 0)
                ed_wheel_set(&wheel, &alarms[k], rows[i].at_ns[k]);
        if (rows[i].again != 0)
            ed_wheel_set(&wheel, &alarms[rows[i].again - 'a'], rows[i].at_ns[rows[i].again - 'a']);
        if (rows[i].clear != 0)
            ed_wheel_clear(&wheel, &alarms[rows[i].clear - 'a']);
        CHECK_STR(rows[i].name, pop_all(alarms, 2 * HOUR_NS), rows[i].want);
    }
}

/* ------------------------------------------------------------- against a list that is searched --
 */

typedef struct model {
    ed_alarm alarms[ALARMS];
    uint64_t at_ns[ALARMS]; /* ED_NEVER_NS: not set */
    uint64_t order[ALARMS];
    uint64_t next_order;
} model;

/** The one that comes first of those that a tick has passed. */
static size_t model_first(const model *m, uint64_t now_ns)
{
    size_t best = ALARMS;

    for (size_t i = 0; i < ALARMS; i++) {
        uint64_t tick_ns = m->at_ns[i] == ED_NEVER_NS ? ED_NEVER_NS : m->at_ns[i] + TICK - 1;
        if (tick_ns / TICK > now_ns / TICK)
            continue;
        if (best == ALARMS || m->at_ns[i] < m->at_ns[best] ||
            (m->at_ns[i] == m->at_ns[best] && m->order[i] < m->order[best]))
            best = i;
    }
    return best;
}

static void step_model(model *m, uint64_t *random, uint64_t now_ns)
{
    size_t i = splitmix_below(random, ALARMS);

    if (splitmix_below(random, 4) == 0) {
        ed_wheel_clear(&wheel, &m->alarms[i]);
        m->at_ns[i] = ED_NEVER_NS;
        return;
    }
    uint64_t span_ns = UINT64_C(1) << splitmix_below(random, 44);
    m->at_ns[i] = now_ns + splitmix_next(random) % span_ns;
    m->order[i] = m->next_order++;
    ed_wheel_set(&wheel, &m->alarms[i], m->at_ns[i]);
}

static void agrees_with_a_search(void **state)
{
    ed_seeds seeds = ed_seeds_chosen(40);
    static model m;

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        const char *name = ed_seeds_announce("unit/wheel_test", seed);
        uint64_t random = seed;
        uint64_t now_ns = splitmix_next(&random) >> 20;
        m = (model){.next_order = 0};
        memset(m.at_ns, 0xff, sizeof m.at_ns);
        ed_wheel_init(&wheel, now_ns);
        for (int step = 0; step < STEPS; step++) {
            step_model(&m, &random, now_ns);
            if (splitmix_below(&random, 8) == 0)
                now_ns += splitmix_next(&random) % (UINT64_C(1) << splitmix_below(&random, 42));
            size_t want = model_first(&m, now_ns);
            const ed_alarm *got = ed_wheel_pop(&wheel, now_ns);
            CHECK(name, got == (want == ALARMS ? NULL : &m.alarms[want]));
            if (want != ALARMS)
                m.at_ns[want] = ED_NEVER_NS;
        }
        CHECK(name, ed_wheel_valid(&wheel));
    }
}

/* ---------------------------------------------------------------------------------- very many --
 */

static size_t many(void)
{
    return ed_seeds_slow_build() ? MANY_SLOW_BUILD : MANY;
}

static void very_many_come_in_order(void **state)
{
    static ed_alarm alarms[MANY];
    uint64_t random = 1;
    uint64_t before_ns = 0;
    size_t count = 0;

    (void)state;
    ed_wheel_init(&wheel, 0);
    for (size_t i = 0; i < many(); i++) // within three ticks, so that each is crowded
        ed_wheel_set(&wheel, &alarms[i], splitmix_next(&random) % (3 * TICK));
    for (ed_alarm *got = ed_wheel_pop(&wheel, HOUR_NS); got != NULL;
         got = ed_wheel_pop(&wheel, HOUR_NS)) {
        CHECK("in order", got->at_ns >= before_ns);
        before_ns = got->at_ns;
        count++;
    }
    CHECK_EQ("all", count, many());
}

enum {
    MOVES = 300 * 1000,
};

/** What moving one of `count` alarms to another time costs, in ns. */
static uint64_t wheel_cost_ns(size_t count)
{
    static ed_alarm alarms[MANY];
    uint64_t random = 1;

    memset(alarms, 0, sizeof alarms);
    ed_wheel_init(&wheel, 0);
    for (size_t i = 0; i < count; i++)
        ed_wheel_set(&wheel, &alarms[i], splitmix_next(&random) % HOUR_NS);
    uint64_t before_ns = ed_clock_now_ns();
    for (int i = 0; i < MOVES; i++)
        ed_wheel_set(&wheel, &alarms[splitmix_next(&random) % count],
                     splitmix_next(&random) % HOUR_NS);
    return (ed_clock_now_ns() - before_ns) / MOVES;
}

static uint64_t deadlines_cost_ns(size_t count)
{
    uint64_t random = 1;
    ed_deadlines *deadlines = ed_deadlines_create(ed_alloc_default(), (uint32_t)count);

    CHECK("deadlines", deadlines != NULL);
    for (size_t i = 0; i < count; i++)
        ed_deadlines_set(deadlines, (uint32_t)i, splitmix_next(&random) % HOUR_NS);
    uint64_t before_ns = ed_clock_now_ns();
    for (int i = 0; i < MOVES; i++)
        ed_deadlines_set(deadlines, (uint32_t)(splitmix_next(&random) % count),
                         splitmix_next(&random) % HOUR_NS);
    uint64_t cost = (ed_clock_now_ns() - before_ns) / MOVES;
    ed_deadlines_destroy(deadlines);
    return cost;
}

/** Figures for people, with EDDY_PRINT; a busy machine must fail nobody. */
static void setting_takes_constant_time(void **state)
{
    (void)state;
    if (getenv("EDDY_PRINT") != NULL)
        for (size_t count = 1; count <= MANY; count *= 100)
            print_message("moving one of %zu: wheel %llu ns, deadlines %llu ns\n", count,
                          (unsigned long long)wheel_cost_ns(count),
                          (unsigned long long)deadlines_cost_ns(count));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alarms_are_never_early_and_a_tick_late_at_most),
        cmocka_unit_test(one_beyond_the_last_tick_never_comes),
        cmocka_unit_test(those_due_come_by_time_and_then_by_setting),
        cmocka_unit_test(agrees_with_a_search),
        cmocka_unit_test(very_many_come_in_order),
        cmocka_unit_test(setting_takes_constant_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
