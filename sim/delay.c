#include "sim/delay.h"

#include "core/base.h"
#include "sim/random.h"

enum {
    LOG_BITS = 24, // behind the point, of logarithms
};

#define LN2_Q32 UINT64_C(2977044472) /* ln 2 * 2^32 */

static_assert(ED_LINK_DELAY_NS_MAX < UINT64_C(1) << 36, "jitter times its cut fits 64 bits");

/** -log2(draw / 2^64) with LOG_BITS behind the point: Briggs' method, one squaring for a bit. */
static uint64_t negative_log2(uint64_t draw)
{
    uint64_t whole = 0;
    uint64_t fraction = 0;

    // Draws of 0 would never end; 1 is as far as 64 bits go.
    for (draw |= 1; draw >> 63 == 0; draw <<= 1)
        whole++;
    uint64_t mantissa = draw >> 32; // 1 <= mantissa / 2^31 < 2
    for (int i = 0; i < LOG_BITS; i++) {
        mantissa = mantissa * mantissa >> 31;
        fraction = fraction << 1 | mantissa >> 32;
        mantissa >>= mantissa >> 32;
    }
    return ((whole + 1) << LOG_BITS) - fraction;
}

static uint64_t exponential(uint64_t mean_ns, uint64_t draw)
{
    uint64_t times = negative_log2(draw) * LN2_Q32 >> 32; // -ln(draw / 2^64)
    uint64_t cut = ed_min_u64(times, (uint64_t)ED_LINK_JITTER_CUT << LOG_BITS);

    return mean_ns * cut >> LOG_BITS;
}

uint64_t ed_jitter_ns(ed_jitter jitter, uint64_t jitter_ns, uint64_t draw)
{
    ED_ASSERT(jitter_ns <= ED_LINK_DELAY_NS_MAX);
    if (jitter_ns == 0)
        return 0;
    if (jitter == ED_JITTER_UNIFORM)
        return ed_draw_below(draw, jitter_ns + 1);
    return exponential(jitter_ns, draw);
}

void ed_delay_init(ed_delay *delay, uint64_t seed, uint64_t link, uint32_t direction)
{
    *delay = (ed_delay){
        .jitter_key = ed_stream_key(seed, link, direction, ED_PURPOSE_JITTER),
        .hold_key = ed_stream_key(seed, link, direction, ED_PURPOSE_HOLD),
    };
}

uint64_t ed_delay_arrival(ed_delay *delay, const ed_link_config *config, uint64_t copy,
                          uint64_t depart_ns, bool *held)
{
    uint64_t jitter_draw = ed_draw(delay->jitter_key, copy);
    uint64_t arrival_ns =
        depart_ns + config->delay_ns + ed_jitter_ns(config->jitter, config->jitter_ns, jitter_draw);

    if (config->keep_order)
        arrival_ns = ed_max_u64(arrival_ns, delay->latest_ns);
    *held = ed_draw_hits(ed_draw(delay->hold_key, copy), config->reorder_ppm);
    // One that is held back must not push those behind it back, or nobody would overtake it.
    if (*held)
        return arrival_ns + config->reorder_extra_ns;
    delay->latest_ns = ed_max_u64(delay->latest_ns, arrival_ns);
    ED_ASSERT(arrival_ns >= depart_ns + config->delay_ns);
    return arrival_ns;
}
