#include "tools/bench/rounds.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *ed_rounds_run(ed_rounds *rounds, FILE *progress)
{
    bool shows = progress != NULL && isatty(fileno(progress));

    for (size_t round = 0; round < rounds->count; round++) {
        for (size_t i = 0; i < rounds->system_count; i++) {
            ed_bench_result *result = &rounds->results[i][round];
            if (shows)
                fprintf(progress, "\r\033[Kround %zu of %zu: %s", round + 1, rounds->count,
                        rounds->systems[i]->name);
            rounds->plan.seed = round + 1;
            rounds->plan.series = round == 0 ? rounds->series : NULL;
            rounds->work->run(result, rounds->work, rounds->systems[i], &rounds->plan);
            if (result->error[0] != '\0')
                return result->error;
        }
    }
    if (shows)
        fprintf(progress, "\r\033[K");
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;

    return (first > second) - (first < second);
}

ed_bench_spread ed_rounds_spread(const ed_rounds *rounds, size_t system, size_t figure)
{
    double values[ED_ROUNDS_MAX];

    for (size_t i = 0; i < rounds->count; i++)
        values[i] = rounds->results[system][i].figures[figure];
    qsort(values, rounds->count, sizeof(values[0]), compare);
    return (ed_bench_spread){.median =
                                 (values[(rounds->count - 1) / 2] + values[rounds->count / 2]) / 2,
                             .min = values[0],
                             .max = values[rounds->count - 1]};
}

static size_t figure_count(const ed_bench_work *work)
{
    size_t count = 0;

    while (count < ED_BENCH_FIGURES_MAX && work->figures[count].name != NULL)
        count++;
    return count;
}

void ed_rounds_print(const ed_rounds *rounds, FILE *out)
{
    const ed_bench_work *work = rounds->work;
    double own = ed_rounds_spread(rounds, 0, 0).median;

    fprintf(out, "%s: %s\nmedian (least-most) of %zu rounds\n", work->name, work->help,
            rounds->count);
    for (size_t figure = 0; figure < figure_count(work); figure++) {
        fprintf(out, "\n%s, %s\n", work->figures[figure].name, work->figures[figure].unit);
        for (size_t i = 0; i < rounds->system_count; i++) {
            ed_bench_spread s = ed_rounds_spread(rounds, i, figure);
            fprintf(out, "  %-14s %10.1f (%.1f-%.1f)", rounds->systems[i]->name, s.median, s.min,
                    s.max);
            if (figure == 0 && i > 0)
                fprintf(out, "  %.2f x %s", s.median / own, rounds->systems[0]->name);
            fprintf(out, "\n");
        }
    }
}

static json_t *spreads_of(const ed_rounds *rounds, size_t figure)
{
    json_t *systems = json_object();

    for (size_t i = 0; i < rounds->system_count; i++) {
        ed_bench_spread s = ed_rounds_spread(rounds, i, figure);
        json_object_set_new(
            systems, rounds->systems[i]->name,
            json_pack("{s:f, s:f, s:f}", "median", s.median, "min", s.min, "max", s.max));
    }
    return systems;
}

void ed_rounds_print_json(const ed_rounds *rounds, FILE *out)
{
    const ed_bench_work *work = rounds->work;
    json_t *figures = json_array();

    for (size_t i = 0; i < figure_count(work); i++)
        json_array_append_new(figures,
                              json_pack("{s:s, s:s, s:o}", "name", work->figures[i].name, "unit",
                                        work->figures[i].unit, "systems", spreads_of(rounds, i)));
    json_t *all = json_pack("{s:s, s:s, s:i, s:o, s:o}", "work", work->name, "unit",
                            work->figures[0].unit, "rounds", (int)rounds->count, "systems",
                            spreads_of(rounds, 0), "figures", figures);
    json_dumpf(all, out, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    fprintf(out, "\n");
    json_decref(all);
}
