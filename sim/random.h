/**
 * Seeded randomness: integers only, so the same on every compiler and machine. A *draw* is keyed by
 * (stream, index), so that one packet's luck depends neither on another's nor on which questions
 * were asked before. ed_rng is the ordinary sequential kind, for workloads.
 */
#ifndef ED_SIM_RANDOM_H
#define ED_SIM_RANDOM_H

#include "core/base.h"

enum {
    ED_PPM_CERTAIN = 1000 * 1000, /* a probability of one, in parts per million */
};

/** What a stream of draws decides. The values are part of what a seed means: never reorder. */
typedef enum ed_purpose {
    ED_PURPOSE_LOSS = 1,
    ED_PURPOSE_BURST_LOSS = 2,
    ED_PURPOSE_BURST_STATE = 3,
    ED_PURPOSE_DUPLICATE = 4,
    ED_PURPOSE_CORRUPT = 5,
    ED_PURPOSE_CORRUPT_POSITION = 6,
    ED_PURPOSE_JITTER = 7,
    ED_PURPOSE_HOLD = 8,
    ED_PURPOSE_ENTROPY = 9,
    ED_PURPOSE_MAP = 10,
} ed_purpose;

/** The key of the stream of draws of one purpose, in one direction of one link. */
uint64_t ed_stream_key(uint64_t seed, uint64_t link, uint32_t direction, ed_purpose purpose);

/** The draw at `index` of a stream: 64 uniform bits (the splitmix64 finaliser, twice). */
uint64_t ed_draw(uint64_t stream_key, uint64_t index);

/**
 * Maps a draw onto 0 to `bound` - 1 by multiplying (Lemire, "Fast Random Integer Generation in an
 * Interval", without its rejection: the bias is below bound / 2^64). `bound` is above 0.
 */
uint64_t ed_draw_below(uint64_t draw, uint64_t bound);

/** Whether a draw falls under a probability: `draw` < floor(ppm / 10^6 * 2^64); 10^6 is certain. */
bool ed_draw_hits(uint64_t draw, uint32_t ppm);

/** A sequential generator: splitmix64. */
typedef struct ed_rng {
    uint64_t state;
} ed_rng;

static inline ed_rng ed_rng_of(uint64_t seed)
{
    return (ed_rng){.state = seed};
}

uint64_t ed_rng_next(ed_rng *rng);

/** 0 to `bound` - 1; `bound` is above 0. */
uint64_t ed_rng_below(ed_rng *rng, uint64_t bound);

bool ed_rng_hits(ed_rng *rng, uint32_t ppm);

/** The same bytes on every byte order. */
void ed_rng_fill(ed_rng *rng, void *data, size_t size);

/** Folds bytes, and how many they are, into a running 64-bit trace. Not a defence against anyone.
 */
uint64_t ed_mix_bytes(uint64_t trace, const void *data, size_t size);

/** Folds one number into a running trace. */
uint64_t ed_mix_u64(uint64_t trace, uint64_t value);

#endif
