#include "tools/bench/delays.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/alloc.h"

enum { PER_MILLE = 1000, PER_CENT = 100 };

bool ed_delays_open(ed_delays *delays, size_t capacity)
{
    *delays =
        (ed_delays){.at_ns = ed_alloc_zeroed(ed_alloc_default(), capacity * sizeof(*delays->at_ns)),
                    .capacity = capacity};
    return delays->at_ns != NULL;
}

void ed_delays_close(ed_delays *delays)
{
    ed_alloc_free(ed_alloc_default(), delays->at_ns, delays->capacity * sizeof(*delays->at_ns));
    *delays = (ed_delays){0};
}

void ed_delays_add(ed_delays *delays, uint64_t delay_ns)
{
    if (delays->count < delays->capacity)
        delays->at_ns[delays->count++] = delay_ns;
}

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

    return (first > second) - (first < second);
}

void ed_delays_sort(ed_delays *delays)
{
    qsort(delays->at_ns, delays->count, sizeof(*delays->at_ns), compare);
}

uint64_t ed_delays_ns(const ed_delays *delays, uint64_t per_mille)
{
    ED_ASSERT(delays->count > 0);
    return delays->at_ns[ed_min_u64(delays->count * per_mille / PER_MILLE, delays->count - 1)];
}

double ed_delays_ms(const ed_delays *delays, uint64_t per_mille)
{
    return (double)ed_delays_ns(delays, per_mille) / (double)ED_NS_PER_MS;
}

double ed_delays_longer(const ed_delays *delays, uint64_t than_ns)
{
    size_t count = 0;

    ED_ASSERT(delays->count > 0);
    for (size_t i = 0; i < delays->count; i++)
        count += delays->at_ns[i] > than_ns ? 1 : 0;
    return PER_CENT * (double)count / (double)delays->count;
}

void ed_series_note(const ed_bench_plan *plan, const char *name, uint64_t at_ns, uint64_t value_ns)
{
    if (plan->series != NULL)
        fprintf(plan->series, "%s %.4f %.3f\n", name, (double)at_ns / (double)ED_NS_PER_S,
                (double)value_ns / (double)ED_NS_PER_MS);
}
