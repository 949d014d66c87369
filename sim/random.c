#include "sim/random.h"

#include "core/reader.h"
#include "core/writer.h"

// 2^64 / golden ratio, made odd: the step of splitmix64.
#define GOLDEN_GAMMA UINT64_C(0x9E3779B97F4A7C15)

// Odd and unrelated, so that (link, direction, purpose) of small numbers share no key.
#define LINK_FACTOR UINT64_C(0xD6E8FEB86659FD93)
#define DIRECTION_FACTOR UINT64_C(0xA0761D6478BD642F)
#define PURPOSE_FACTOR UINT64_C(0xE7037ED1A0B428DB)

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

/** The upper half of the 128-bit product, in C11 alone. */
static uint64_t multiply_high(uint64_t a, uint64_t b)
{
    uint64_t a_low = a & UINT32_MAX;
    uint64_t b_low = b & UINT32_MAX;
    uint64_t upper = (a >> 32) * b_low + (a_low * b_low >> 32);
    uint64_t lower = a_low * (b >> 32) + (upper & UINT32_MAX);

    return (a >> 32) * (b >> 32) + (upper >> 32) + (lower >> 32);
}

uint64_t ed_stream_key(uint64_t seed, uint64_t link, uint32_t direction, ed_purpose purpose)
{
    return mix(seed ^ link * LINK_FACTOR ^ direction * DIRECTION_FACTOR ^
               (uint64_t)purpose * PURPOSE_FACTOR);
}

uint64_t ed_draw(uint64_t stream_key, uint64_t index)
{
    return mix(mix(stream_key + index * GOLDEN_GAMMA) ^ stream_key);
}

uint64_t ed_draw_below(uint64_t draw, uint64_t bound)
{
    ED_ASSERT(bound > 0);
    return multiply_high(draw, bound);
}

bool ed_draw_hits(uint64_t draw, uint32_t ppm)
{
    ED_ASSERT(ppm <= ED_PPM_CERTAIN);
    if (ppm == ED_PPM_CERTAIN)
        return true;

    // 2^64 does not fit: divide 2^64 - 1, and put the one back into the remainder.
    uint64_t quotient = UINT64_MAX / ED_PPM_CERTAIN;
    uint64_t remainder = UINT64_MAX % ED_PPM_CERTAIN + 1;
    return draw < quotient * ppm + remainder * ppm / ED_PPM_CERTAIN;
}

uint64_t ed_rng_next(ed_rng *rng)
{
    rng->state += GOLDEN_GAMMA;
    return mix(rng->state);
}

uint64_t ed_rng_below(ed_rng *rng, uint64_t bound)
{
    return ed_draw_below(ed_rng_next(rng), bound);
}

bool ed_rng_hits(ed_rng *rng, uint32_t ppm)
{
    return ed_draw_hits(ed_rng_next(rng), ppm);
}

void ed_rng_fill(ed_rng *rng, void *data, size_t size)
{
    ed_writer w = ed_writer_of(data, size);

    while (ed_writer_left(&w) > 0)
        ed_write_uint(&w, ed_rng_next(rng), ed_min_size(ed_writer_left(&w), sizeof(uint64_t)));
    ED_ASSERT(ed_writer_ok(&w));
}

uint64_t ed_mix_u64(uint64_t trace, uint64_t value)
{
    return mix((trace ^ value) + GOLDEN_GAMMA);
}

uint64_t ed_mix_bytes(uint64_t trace, const void *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);

    trace = ed_mix_u64(trace, size);
    while (ed_reader_left(&r) > 0)
        trace = ed_mix_u64(trace, ed_read_uint(&r, ed_min_size(ed_reader_left(&r), 8)));
    return trace;
}
