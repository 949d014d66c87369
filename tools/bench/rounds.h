/** Runs of several systems in turn, so that a busy machine disturbs all alike, and their medians.
 */
#ifndef ED_BENCH_ROUNDS_H
#define ED_BENCH_ROUNDS_H

#include <stdio.h>

#include "tools/bench/bench.h"

enum {
    ED_ROUNDS_MAX = 99,
    ED_ROUNDS_SYSTEMS_MAX = 16,
};

/** Of several runs. */
typedef struct ed_bench_spread {
    double median;
    double min;
    double max;
} ed_bench_spread;

typedef struct ed_rounds {
    const ed_bench_work *work;
    ed_bench_plan plan;
    const ed_bench_system *systems[ED_ROUNDS_SYSTEMS_MAX];
    size_t system_count;
    size_t count; /* rounds: each runs every system once */
    FILE *series; /* single values of the first round; NULL: nobody wants them */
    ed_bench_result results[ED_ROUNDS_SYSTEMS_MAX][ED_ROUNDS_MAX];
} ed_rounds;

/**
 * Runs all. On a terminal, says on `progress` (NULL: nowhere) which run it is at.
 * @return NULL, or what kept it from an end: then no figure is good.
 */
const char *ed_rounds_run(ed_rounds *rounds, FILE *progress);

/** Of one figure of one system. */
ed_bench_spread ed_rounds_spread(const ed_rounds *rounds, size_t system, size_t figure);

/** A table: a line for each system, and how often the first system's cost each has. */
void ed_rounds_print(const ed_rounds *rounds, FILE *out);

/** One JSON object {work, unit, systems: {name: {median, min, max}}, figures: ...}. */
void ed_rounds_print_json(const ed_rounds *rounds, FILE *out);

#endif
