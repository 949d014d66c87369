/**
 * A recorder of latencies in fixed memory: counts by buckets, of which 64 lie between any power of
 * two and the next, so that a percentile is at most 1.6 % above the truth. Zeroed, it is empty; a
 * plain value, so that it may be copied and sent.
 */
#ifndef ED_TOOL_LATENCY_H
#define ED_TOOL_LATENCY_H

#include "core/base.h"

enum {
    ED_LATENCY_SUB_BITS = 6,
    ED_LATENCY_SUB_COUNT = 1 << ED_LATENCY_SUB_BITS,
    ED_LATENCY_BITS = 32, /* of a time in us: 71 minutes, and longer ones count as that */
    ED_LATENCY_BUCKET_COUNT = (ED_LATENCY_BITS - ED_LATENCY_SUB_BITS + 1) * ED_LATENCY_SUB_COUNT,
};

typedef struct ed_latency {
    uint64_t count;
    uint64_t max_us;
    uint32_t buckets[ED_LATENCY_BUCKET_COUNT];
} ed_latency;

void ed_latency_add(ed_latency *latency, uint64_t time_ns);

/** Adds all that another has counted. */
void ed_latency_merge(ed_latency *into, const ed_latency *from);

/** The time that `permille` (1-1000) of all stay within, in us; 0 if there are none. */
uint64_t ed_latency_percentile_us(const ed_latency *latency, uint32_t permille);

#endif
