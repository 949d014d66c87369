#include "tools/latency.h"

#define TIME_US_MAX ((UINT64_C(1) << ED_LATENCY_BITS) - 1)

/** Times below 2 * SUB_COUNT have a bucket each; above, a bucket is as wide as 2^shift. */
static size_t bucket_of(uint64_t time_us)
{
    size_t shift = 0;

    while (time_us >> shift >= 2 * ED_LATENCY_SUB_COUNT)
        shift++;
    return shift * ED_LATENCY_SUB_COUNT + (size_t)(time_us >> shift);
}

/** The longest time that a bucket counts. */
static uint64_t bucket_top_us(size_t bucket)
{
    if (bucket < 2 * ED_LATENCY_SUB_COUNT)
        return bucket;
    size_t shift = bucket / ED_LATENCY_SUB_COUNT - 1;
    uint64_t front = ED_LATENCY_SUB_COUNT + bucket % ED_LATENCY_SUB_COUNT;
    return ((front + 1) << shift) - 1;
}

void ed_latency_add(ed_latency *latency, uint64_t time_ns)
{
    uint64_t time_us = ed_min_u64(time_ns / ED_NS_PER_US, TIME_US_MAX);
    size_t bucket = bucket_of(time_us);

    ED_ASSERT(bucket < ED_LATENCY_BUCKET_COUNT);
    ED_ASSERT(bucket_top_us(bucket) >= time_us);
    latency->buckets[bucket]++;
    latency->count++;
    latency->max_us = ed_max_u64(latency->max_us, time_us);
}

void ed_latency_merge(ed_latency *into, const ed_latency *from)
{
    for (size_t i = 0; i < ED_LATENCY_BUCKET_COUNT; i++)
        into->buckets[i] += from->buckets[i];
    into->count += from->count;
    into->max_us = ed_max_u64(into->max_us, from->max_us);
}

uint64_t ed_latency_percentile_us(const ed_latency *latency, uint32_t permille)
{
    ED_ASSERT(permille >= 1 && permille <= 1000);
    uint64_t rank =
        (latency->count * permille + 999) / 1000; // rounded up: "within" means all of it
    uint64_t seen = 0;

    for (size_t i = 0; i < ED_LATENCY_BUCKET_COUNT; i++) {
        seen += latency->buckets[i];
        if (seen >= rank && seen > 0)
            return ed_min_u64(bucket_top_us(i), latency->max_us);
    }
    return 0;
}
