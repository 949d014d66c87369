#include "transport/pacer.h"

enum {
    NANO = 1000 * 1000 * 1000, /* bucket units in a byte, and nanoseconds in a second */
    US_PER_S = 1000 * 1000,
    BYTES_PER_MB = 1000 * 1000,
};

static_assert(INT64_MAX / NANO / 4 > (int64_t)ED_PACER_RATE_MAX_MBPS * ED_PACER_BURST_US,
              "a burst of credit and one of debt fit in the bucket");
static_assert(INT64_MAX / NANO / 4 > ED_PACER_BURST_DATAGRAMS * ED_PACER_DATAGRAM_SIZE_MAX,
              "a burst of datagrams fits in the bucket");

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool pacer_valid(const ed_pacer *pacer)
{
    return pacer->rate > 0 && pacer->burst > 0 && pacer->tokens <= pacer->burst &&
           pacer->tokens >= -pacer->burst;
}

/** What the bucket holds at `now_ns`; a time before the last update counts as the last update. */
static int64_t tokens_at(const ed_pacer *pacer, uint64_t now_ns)
{
    if (now_ns <= pacer->updated_ns)
        return pacer->tokens;
    uint64_t gap_ns = now_ns - pacer->updated_ns;
    uint64_t missing = (uint64_t)(pacer->burst - pacer->tokens);
    // Dividing first: the product may pass 64 bits only where it would overfill the bucket.
    if (gap_ns > missing / pacer->rate)
        return pacer->burst;
    return pacer->tokens + (int64_t)(gap_ns * pacer->rate);
}

static void update(ed_pacer *pacer, uint64_t now_ns)
{
    pacer->tokens = tokens_at(pacer, now_ns);
    pacer->updated_ns = ed_max_u64(pacer->updated_ns, now_ns);
}

/** What a datagram costs: no more than the bucket can hold, else it could never leave. */
static int64_t cost_of(const ed_pacer *pacer, size_t size)
{
    if (size >= (uint64_t)pacer->burst / NANO)
        return pacer->burst;
    return (int64_t)size * NANO;
}

static int64_t burst_of(uint64_t rate, uint32_t datagram_size)
{
    uint64_t datagrams_size = (uint64_t)ED_PACER_BURST_DATAGRAMS * datagram_size;

    return (int64_t)(ed_max_u64(datagrams_size, rate * ED_PACER_BURST_US / US_PER_S) * NANO);
}

static void apply_rate(ed_pacer *pacer, uint64_t rate)
{
    uint64_t rate_max = (uint64_t)ED_PACER_RATE_MAX_MBPS * BYTES_PER_MB;

    pacer->rate = ed_min_u64(ed_max_u64(rate, 1), rate_max);
    pacer->burst = burst_of(pacer->rate, pacer->datagram_size);
}

void ed_pacer_init(ed_pacer *pacer, uint64_t rate, uint32_t datagram_size, uint64_t now_ns)
{
    ED_ASSERT(datagram_size > 0 && datagram_size <= ED_PACER_DATAGRAM_SIZE_MAX);

    *pacer = (ed_pacer){.updated_ns = now_ns, .datagram_size = datagram_size};
    apply_rate(pacer, rate);
    pacer->tokens = pacer->burst;
    ED_ASSERT(pacer_valid(pacer));
}

void ed_pacer_set_rate(ed_pacer *pacer, uint64_t rate, uint64_t now_ns)
{
    ED_ASSERT(pacer_valid(pacer));

    update(pacer, now_ns);
    apply_rate(pacer, rate);
    pacer->tokens = min_i64(pacer->tokens, pacer->burst);
    if (pacer->tokens < -pacer->burst)
        pacer->tokens = -pacer->burst;
    ED_ASSERT(pacer_valid(pacer));
}

uint64_t ed_pacer_when_ns(const ed_pacer *pacer, size_t size, uint64_t now_ns)
{
    if (pacer->tokens >= cost_of(pacer, size))
        return now_ns; // they only become more
    int64_t short_by = cost_of(pacer, size) - tokens_at(pacer, now_ns);

    if (short_by <= 0)
        return now_ns;
    // Rounded up: a nanosecond late, never early.
    uint64_t wait_ns = ((uint64_t)short_by + pacer->rate - 1) / pacer->rate;
    return ed_add_sat_u64(ed_max_u64(now_ns, pacer->updated_ns), wait_ns);
}

void ed_pacer_spent(ed_pacer *pacer, size_t size, uint64_t now_ns)
{
    ED_ASSERT(pacer_valid(pacer));

    update(pacer, now_ns);
    pacer->tokens -= cost_of(pacer, size);
    if (pacer->tokens < -pacer->burst)
        pacer->tokens = -pacer->burst;
    ED_ASSERT(pacer_valid(pacer));
}
