/** Numbers for tests that try many things: SplitMix64 (S. Vigna's public-domain constants). */
#ifndef ED_TEST_SPLITMIX_H
#define ED_TEST_SPLITMIX_H

#include <stdint.h>

/** @return the next number; `*state` is the seed at first. */
static inline uint64_t splitmix_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/** @return a number below `limit`, which is above 0. */
static inline uint32_t splitmix_below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)(splitmix_next(state) % limit);
}

#endif
