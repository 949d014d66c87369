/** How many seeds a test tries, and how one that failed is tried again. */
#ifndef ED_TEST_SEEDS_H
#define ED_TEST_SEEDS_H

#include <stdbool.h>
#include <stdint.h>

/** Seeds `first` to `first + count - 1`. */
typedef struct ed_seeds {
    uint64_t first;
    uint64_t count;
} ed_seeds;

/**
 * EDDY_SEED=N: that one alone. Otherwise from 1: EDDY_SEEDS of them; else `many`, five times that
 * with EDDY_FULL, or a twentieth of `many` in a build that is slow because it checks more.
 */
ed_seeds ed_seeds_chosen(uint64_t many);

/** Whether this build is slow because it checks more: long tests do less in it. */
bool ed_seeds_slow_build(void);

/**
 * Says which seed runs now: if the program is aborted or timed out, it prints what repeats it.
 * @return the command that does, for messages. Valid until the next call.
 */
const char *ed_seeds_announce(const char *program, uint64_t seed);

#endif
