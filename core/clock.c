#include "core/clock.h"

#include <time.h>

#include "core/base.h"

static uint64_t read_ns(clockid_t clock)
{
    struct timespec now;
    int failed = clock_gettime(clock, &now);

    ED_ASSERT(failed == 0);
    ED_ASSERT(now.tv_sec >= 0 && now.tv_nsec >= 0);
    return (uint64_t)now.tv_sec * ED_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t ed_clock_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t ed_clock_thread_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t ed_clock_deadline_ns(uint32_t timeout_ms)
{
    return timeout_ms == EDDY_FOREVER ? ED_NEVER_NS : ed_clock_now_ns() + timeout_ms * ED_NS_PER_MS;
}

static uint64_t system_unix_s(void *context)
{
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);

    (void)context;
    ED_ASSERT(failed == 0 && now.tv_sec >= 0);
    return (uint64_t)now.tv_sec;
}

const eddy_calendar *ed_calendar_system(void)
{
    static const eddy_calendar calendar = {.unix_s = system_unix_s};

    return &calendar;
}
