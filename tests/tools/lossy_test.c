/** A game's small messages over a lossy path, in virtual time, against what cannot be beaten. */
#include "tests/support/check.h"

#include "tests/support/seeds.h"
#include "tools/bench/bench.h"

enum {
    P99 = 0,
    P999 = 1,
    MEDIAN = 2,
    COPIES = 3,
    BYTES = 4,
    LATE = 6,
    SEEDS = 3,
    NEAR_MS = 5,
    TICK_MS = 17, /* rounded up: delays go in steps of a tick, and a step may fall either way */
};

#define LATE_MORE 0.15 /* per cent of the messages, than of the bound's */

static double worst(const ed_bench_result *results, size_t figure)
{
    double most = 0;

    for (size_t i = 0; i < SEEDS; i++)
        most = results[i].figures[figure] > most ? results[i].figures[figure] : most;
    return most;
}

static double middle(const ed_bench_result *results, size_t figure)
{
    static_assert(SEEDS == 3, "the one that is neither the least nor the most");
    double a = results[0].figures[figure], b = results[1].figures[figure],
           c = results[2].figures[figure];

    return a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
}

static void run(ed_bench_result *results, const ed_bench_system *system, ed_bench_plan plan)
{
    for (size_t i = 0; i < SEEDS; i++) {
        plan.seed = i + 1;
        ed_bench_run_lossy(&results[i], NULL, system, &plan);
        CHECK_STR(system->name, results[i].error, "");
    }
}

static void delays_are_near_the_bound(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t loss_ppm, rtt_ms;
        bool both;
        uint32_t bytes_max; /* a message, both directions */
    } rows[] = {
        {"nothing lost", 0, 50, false, 165},        {"1 %", 10000, 50, false, 365},
        {"1 %, both ways", 10000, 50, true, 365},   {"5 %", 50000, 50, false, 380},
        {"5 %, both ways", 50000, 50, true, 380},   {"5 %, off the beat", 50000, 58, false, 475},
        {"10 %", 100000, 50, false, 400},           {"20 %", 200000, 50, false, 435},
        {"20 %, both ways", 200000, 50, true, 435},
    };
    const size_t step = ed_seeds_slow_build() ? 3 : 1;
    for (size_t i = 0; i < ED_COUNT(rows); i += step) {
        ed_bench_plan plan = {
            .loss_ppm = rows[i].loss_ppm, .rtt_us = rows[i].rtt_ms * 1000, .both = rows[i].both};
        ed_bench_result eddy[SEEDS], bound[SEEDS];
        run(eddy, &ed_bench_eddy, plan);
        run(bound, &ed_bench_bound, plan);
        CHECK(rows[i].name, worst(eddy, MEDIAN) <= rows[i].rtt_ms / 2.0 + 1);
        CHECK(rows[i].name, middle(eddy, P99) <= middle(bound, P99) + NEAR_MS);
        CHECK(rows[i].name, worst(eddy, P999) <= worst(bound, P999) + TICK_MS);
        CHECK(rows[i].name, worst(eddy, LATE) <= worst(bound, LATE) + LATE_MORE);
        CHECK(rows[i].name, worst(eddy, BYTES) <= rows[i].bytes_max);
        if (rows[i].loss_ppm > 0)
            CHECK(rows[i].name, worst(eddy, COPIES) <= 1.25 * worst(bound, COPIES));
    }
}

/** A code does no better than copies do in as many bytes: so there is none. */
static void no_code_is_earlier_than_copies(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t loss_ppm, rtt_ms;
    } rows[] = {
        {"1 %", 10000, 50},   {"5 %", 50000, 50},   {"5 %, off the beat", 50000, 58},
        {"10 %", 100000, 50}, {"20 %", 200000, 50},
    };
    const size_t count = ed_seeds_slow_build() ? 1 : ED_COUNT(rows);
    for (size_t i = 0; i < count; i++) {
        ed_bench_plan plan = {.loss_ppm = rows[i].loss_ppm, .rtt_us = rows[i].rtt_ms * 1000};
        ed_bench_result eddy[SEEDS], fec[SEEDS], bound[SEEDS];
        run(eddy, &ed_bench_eddy, plan);
        run(fec, &ed_bench_fec, plan);
        run(bound, &ed_bench_bound, plan);
        for (size_t s = 0; s < SEEDS; s++) {
            CHECK(rows[i].name, fec[s].figures[COPIES] == eddy[s].figures[COPIES]);
            CHECK(rows[i].name, fec[s].figures[P99] >= bound[s].figures[P99]);
        }
        CHECK(rows[i].name, worst(eddy, P99) <= worst(fec, P99) + 1);
    }
}

/** Beside a bulk transfer, after two seconds in which nothing came through, and of two flows. */
static void what_was_promised_is_reached(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*run)(ed_bench_result *result, const ed_bench_work *work,
                    const ed_bench_system *system, const ed_bench_plan *plan);
        bool both;
        size_t figure;
        double least, most;
    } rows[] = {
        {"beside a bulk, half of the messages", ed_bench_run_mixed, false, 2, 25, 32},
        {"and the bulk's share", ed_bench_run_mixed, false, 3, 90, 100},
        {"a blackout", ed_bench_run_blackout, false, 0, 42, 95},
        {"both ways", ed_bench_run_blackout, true, 0, 42, 95},
        {"a single message", ed_bench_run_blackout, false, 1, 25, 95},
        {"two flows share", ed_bench_run_flows, false, 0, 0, 12},
        {"and use all", ed_bench_run_flows, false, 1, 93, 100},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_bench_plan plan = {.rtt_us = 50 * 1000, .both = rows[i].both, .seed = 1};
        ed_bench_result result;
        rows[i].run(&result, NULL, &ed_bench_eddy, &plan);
        CHECK_STR(rows[i].name, result.error, "");
        CHECK(rows[i].name, result.figures[rows[i].figure] >= rows[i].least);
        CHECK(rows[i].name, result.figures[rows[i].figure] <= rows[i].most);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_promised_is_reached),
        cmocka_unit_test(delays_are_near_the_bound),
        cmocka_unit_test(no_code_is_earlier_than_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
