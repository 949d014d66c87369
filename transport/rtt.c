#include "transport/rtt.h"

void ed_rtt_init(ed_rtt *rtt)
{
    *rtt = (ed_rtt){
        .smoothed_ns = ED_RTT_INITIAL_MS * ED_NS_PER_MS,
        .variance_ns = ED_RTT_INITIAL_VARIANCE_MS * ED_NS_PER_MS,
    };
}

static void take_first(ed_rtt *rtt, uint64_t sample_ns)
{
    rtt->sampled = true;
    rtt->latest_ns = sample_ns;
    rtt->min_ns = sample_ns;
    rtt->smoothed_ns = sample_ns;
    rtt->variance_ns = sample_ns / 2;
}

void ed_rtt_sample(ed_rtt *rtt, uint64_t sample_ns, uint64_t ack_delay_ns)
{
    ED_ASSERT(ed_rtt_valid(rtt));

    sample_ns = ed_min_u64(sample_ns, ED_RTT_SAMPLE_MAX_S * ED_NS_PER_S);
    if (!rtt->sampled) {
        // The peer's word counts only once there is a minimum to hold it against.
        take_first(rtt, sample_ns);
        return;
    }
    rtt->min_ns = ed_min_u64(rtt->min_ns, sample_ns);

    // A peer that overstates its delay must not drive our estimate below what the path can do.
    uint64_t headroom_ns = sample_ns - rtt->min_ns;
    uint64_t path_ns = sample_ns - ed_min_u64(ack_delay_ns, headroom_ns);
    rtt->latest_ns = path_ns;
    uint64_t deviation_ns =
        path_ns > rtt->smoothed_ns ? path_ns - rtt->smoothed_ns : rtt->smoothed_ns - path_ns;

    rtt->variance_ns = (3 * rtt->variance_ns + deviation_ns) / 4;
    rtt->smoothed_ns = (7 * rtt->smoothed_ns + path_ns) / 8;
    ED_ASSERT(ed_rtt_valid(rtt));
}

void ed_rtt_restart_min(ed_rtt *rtt)
{
    ED_ASSERT(ed_rtt_valid(rtt));
    rtt->min_ns = rtt->latest_ns;
    ED_ASSERT(ed_rtt_valid(rtt));
}

uint64_t ed_rtt_pto_ns(const ed_rtt *rtt, uint64_t max_ack_delay_ns)
{
    uint64_t spread_ns = ed_max_u64(4 * rtt->variance_ns, ED_RTT_GRANULARITY_MS * ED_NS_PER_MS);

    return ed_add_sat_u64(rtt->smoothed_ns + spread_ns, max_ack_delay_ns);
}

uint64_t ed_rtt_queue_ns(const ed_rtt *rtt)
{
    uint64_t least_ns = rtt->min_ns + 4 * rtt->variance_ns;

    return ed_max_u64(rtt->smoothed_ns, least_ns) - least_ns;
}

uint64_t ed_rtt_loss_delay_ns(const ed_rtt *rtt)
{
    uint64_t rtt_ns = ed_max_u64(rtt->smoothed_ns, rtt->latest_ns);

    return ed_max_u64(9 * rtt_ns / 8, ED_RTT_GRANULARITY_MS * ED_NS_PER_MS);
}

bool ed_rtt_valid(const ed_rtt *rtt)
{
    uint64_t max_ns = ED_RTT_SAMPLE_MAX_S * ED_NS_PER_S;

    if (rtt->latest_ns > max_ns || rtt->smoothed_ns > max_ns || rtt->variance_ns > max_ns)
        return false;
    if (!rtt->sampled)
        return rtt->latest_ns == 0 && rtt->min_ns == 0;
    return rtt->min_ns <= rtt->latest_ns;
}
