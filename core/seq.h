/** Truncated numbers: the receiver puts back what the sender left out. */
#ifndef ED_SEQ_H
#define ED_SEQ_H

#include "core/base.h"

/**
 * The full number nearest to `expected` whose low `bits` bits are `low` (RFC 9000 appendix A.3).
 * `bits` is 8-32; `expected` is the next number the receiver looks for, at most 2^62.
 */
static inline uint64_t ed_seq_expand(uint64_t expected, uint64_t low, unsigned bits)
{
    uint64_t window = UINT64_C(1) << bits;
    uint64_t half = window / 2;
    uint64_t candidate = (expected & ~(window - 1)) | (low & (window - 1));

    if (candidate + half <= expected)
        return candidate + window;
    if (candidate > expected + half && candidate >= window)
        return candidate - window;
    return candidate;
}

#endif
