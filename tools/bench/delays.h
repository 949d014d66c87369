/** Many delays, of which one asks the middle and the worst; and the series that plots are made of.
 */
#ifndef ED_BENCH_DELAYS_H
#define ED_BENCH_DELAYS_H

#include "tools/bench/bench.h"

typedef struct ed_delays {
    uint64_t *at_ns;
    size_t count;
    size_t capacity;
} ed_delays;

/** Room for `capacity`; what is more is not kept. @return false out of memory. */
bool ed_delays_open(ed_delays *delays, size_t capacity);
void ed_delays_close(ed_delays *delays);

void ed_delays_add(ed_delays *delays, uint64_t delay_ns);
void ed_delays_sort(ed_delays *delays);

/** The delay that so many of a thousand do not exceed. They are sorted, and not none. */
uint64_t ed_delays_ns(const ed_delays *delays, uint64_t per_mille);
double ed_delays_ms(const ed_delays *delays, uint64_t per_mille);

/** How many are longer, per cent. They are not none. */
double ed_delays_longer(const ed_delays *delays, uint64_t than_ns);

/** A line `NAME SECONDS MS` of the plan's series, if it has one. */
void ed_series_note(const ed_bench_plan *plan, const char *name, uint64_t at_ns, uint64_t value_ns);

#endif
