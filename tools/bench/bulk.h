/** A bulk transfer over a pair through a bottleneck, and the queue that it makes there. */
#ifndef ED_BENCH_BULK_H
#define ED_BENCH_BULK_H

#include "tools/bench/delays.h"
#include "tools/bench/pair.h"

enum {
    ED_BULK_SIZE = 16 << 10,
    ED_BULK_COUNT = 1280, /* 20 MiB */
    ED_BULK_STREAM = 1,
    ED_BULK_LIMIT_S = 120,
};

typedef struct ed_bulk {
    ed_pair *pair;
    uint64_t begin_ns;
    uint64_t sent;
    uint64_t came;
    uint64_t last_ns;
    ed_delays queue; /* how long it is, a look each ms */
} ed_bulk;

/** The path of a plan, its bottleneck included. */
ed_link_config ed_bulk_path(const ed_bench_plan *plan);

/** What both ends need, so that the budgets do not limit it. */
eddy_config ed_bulk_config(eddy_congestion congestion);

/** It begins now. @return false out of memory: ed_bulk_close is due in any case. */
bool ed_bulk_open(ed_bulk *bulk, ed_pair *pair);
void ed_bulk_close(ed_bulk *bulk);

/** Whether there is more to come, someone whom it comes from, and still time. */
bool ed_bulk_goes_on(const ed_bulk *bulk);

/** Gives to the client as much as it takes. */
void ed_bulk_offer(ed_bulk *bulk);

/** A message came. */
void ed_bulk_take(ed_bulk *bulk, uint64_t now_ns);

/** Looks at the queue. */
void ed_bulk_look(ed_bulk *bulk);

/** @return why there is no figure; NULL: there is one. */
const char *ed_bulk_failed(const ed_bulk *bulk);

/** @return what was used of what the path delivers, in percent: until all had come, or within the
 * limit. */
double ed_bulk_share(const ed_bulk *bulk, const ed_bench_plan *plan);

#endif
