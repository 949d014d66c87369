/** The only reader of a clock. */
#ifndef ED_CLOCK_H
#define ED_CLOCK_H

#include <stdint.h>

#include "core/eddy.h"

/** Monotonic time in ns. */
uint64_t ed_clock_now_ns(void);

/** The processor's time that the calling thread has had, in ns. For measurements. */
uint64_t ed_clock_thread_ns(void);

/** The end of a wait of `timeout_ms` that begins now; EDDY_FOREVER: UINT64_MAX. */
uint64_t ed_clock_deadline_ns(uint32_t timeout_ms);

/** The time of day. */
const eddy_calendar *ed_calendar_system(void);

#endif
