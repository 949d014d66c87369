#include "transport/bucket.h"

ed_rate ed_rate_of(uint32_t per_second, uint32_t burst)
{
    ED_ASSERT(burst > 0);
    if (per_second == 0)
        return (ed_rate){0};
    uint64_t interval_ns = (ED_NS_PER_S + per_second - 1) / per_second;
    return (ed_rate){.interval_ns = interval_ns, .burst_ns = interval_ns * burst};
}

bool ed_rate_take(const ed_rate *rate, uint64_t *full_ns, uint64_t now_ns)
{
    // Each token taken puts the time when the bucket is full off by an interval.
    uint64_t next_ns = ed_add_sat_u64(ed_max_u64(*full_ns, now_ns), rate->interval_ns);

    if (next_ns - now_ns > rate->burst_ns)
        return false;
    *full_ns = next_ns;
    return true;
}

void ed_bucket_init(ed_bucket *budget, uint32_t per_second, uint32_t burst)
{
    *budget = (ed_bucket){.rate = ed_rate_of(per_second, burst)};
}

bool ed_bucket_take(ed_bucket *budget, uint64_t now_ns)
{
    return ed_rate_take(&budget->rate, &budget->full_ns, now_ns);
}
