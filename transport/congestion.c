#include "transport/congestion.h"

#include "core/base.h"

enum {
    /* Above 1, so that pacing does not keep the window from being used (RFC 9002 section 7.7). */
    PACING_GAIN_NUMERATOR = 5,
    PACING_GAIN_DENOMINATOR = 4,
};

static_assert(UINT64_MAX / (1000 * 1000 * 1000) / PACING_GAIN_NUMERATOR > ED_CONGESTION_WINDOW_MAX,
              "the rate of the largest window fits in 64 bits");

static const ed_congestion_ops *const controllers[] = {
    [EDDY_CONGESTION_NEW_RENO] = &ed_new_reno_ops,
    [EDDY_CONGESTION_MODEL] = &ed_model_ops,
};

const ed_congestion_ops *ed_congestion_ops_of(eddy_congestion kind)
{
    if ((unsigned)kind >= ED_COUNT(controllers))
        return NULL;
    return controllers[kind];
}

uint64_t ed_congestion_initial_window(uint32_t datagram_size)
{
    ED_ASSERT(datagram_size > 0 && datagram_size <= ED_CONGESTION_DATAGRAM_SIZE_MAX);

    uint64_t least = (uint64_t)ED_CONGESTION_MIN_DATAGRAMS * datagram_size;
    return ed_min_u64((uint64_t)ED_CONGESTION_INITIAL_DATAGRAMS * datagram_size,
                      ed_max_u64(ED_CONGESTION_INITIAL_SIZE, least));
}

uint64_t ed_congestion_window_rate(uint64_t window, const ed_rtt *rtt)
{
    ED_ASSERT(window <= ED_CONGESTION_WINDOW_MAX);

    // On loopback, in virtual time, a round trip may take no time at all.
    uint64_t rtt_ns = ed_max_u64(rtt->smoothed_ns, 1);
    uint64_t rate = window * PACING_GAIN_NUMERATOR * ED_NS_PER_S / PACING_GAIN_DENOMINATOR / rtt_ns;
    return ed_max_u64(rate, 1);
}
