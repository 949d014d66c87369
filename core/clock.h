/** The only reader of a clock. */
#ifndef ED_CLOCK_H
#define ED_CLOCK_H

#include <stdint.h>

/** Monotonic time in ns. */
uint64_t ed_clock_now_ns(void);

#endif
