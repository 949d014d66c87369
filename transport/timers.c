#include "transport/timers.h"

enum {
    RESEND_DOUBLINGS_MAX = 2,          /* 0.25 s to 1 s */
    RESEND_DOUBLINGS_DISPUTED_MAX = 4, /* to 4 s */
};

#define DRAIN_MAX_NS (3 * ED_NS_PER_S)

/** But for the manager's end. */
static void stop_own(ed_timers *timers)
{
    for (size_t i = 0; i < ED_TIMER_END; i++)
        timers->at_ns[i] = ED_NEVER_NS;
}

static void stop_all(ed_timers *timers)
{
    stop_own(timers);
    timers->at_ns[ED_TIMER_END] = ED_NEVER_NS;
}

void ed_timers_init(ed_timers *timers, uint32_t idle_timeout_ms, uint32_t keepalive_ms)
{
    *timers = (ed_timers){.idle_ms = idle_timeout_ms, .keepalive_ms = keepalive_ms};
    stop_all(timers);
}

uint64_t ed_timers_next_ns(const ed_timers *timers)
{
    uint64_t next_ns = ED_NEVER_NS;

    for (size_t i = 0; i < ED_TIMER_COUNT; i++)
        next_ns = ed_min_u64(next_ns, timers->at_ns[i]);
    return next_ns;
}

bool ed_timers_take(ed_timers *timers, ed_timer timer, uint64_t now_ns)
{
    ED_ASSERT(timer < ED_TIMER_COUNT);
    if (now_ns < timers->at_ns[timer] || timers->at_ns[timer] == ED_NEVER_NS)
        return false;
    timers->at_ns[timer] = ED_NEVER_NS;
    return true;
}

void ed_timers_on_grown(ed_timers *timers, uint64_t now_ns)
{
    if (timers->at_ns[ED_TIMER_REST] == ED_NEVER_NS)
        timers->at_ns[ED_TIMER_REST] = ed_add_sat_u64(now_ns, ED_REST_NS);
}

void ed_timers_on_greeting(ed_timers *timers, uint64_t timeout_ns, uint64_t now_ns)
{
    timers->at_ns[ED_TIMER_GIVE_UP] = ed_add_sat_u64(now_ns, timeout_ns);
}

void ed_timers_on_race(ed_timers *timers, bool more, uint64_t now_ns)
{
    timers->at_ns[ED_TIMER_RACE] = more ? ed_add_sat_u64(now_ns, ED_RACE_NEXT_NS) : ED_NEVER_NS;
}

void ed_timers_on_request_sent(ed_timers *timers, bool is_disputed, uint64_t now_ns)
{
    uint32_t most = is_disputed ? RESEND_DOUBLINGS_DISPUTED_MAX : RESEND_DOUBLINGS_MAX;
    uint64_t interval_ns = ED_HANDSHAKE_RESEND_NS << ed_min_u64(timers->resends, most);

    if (timers->at_ns[ED_TIMER_RESEND] != ED_NEVER_NS)
        return; // it left together with others, or a little behind
    timers->at_ns[ED_TIMER_RESEND] = ed_add_sat_u64(now_ns, interval_ns);
    if (timers->resends < most)
        timers->resends++;
}

void ed_timers_on_retry(ed_timers *timers)
{
    timers->resends = 0;
    timers->at_ns[ED_TIMER_RESEND] = ED_NEVER_NS;
    timers->at_ns[ED_TIMER_RACE] = ED_NEVER_NS;
}

void ed_timers_on_half_open(ed_timers *timers, uint64_t now_ns)
{
    timers->at_ns[ED_TIMER_GIVE_UP] = ed_add_sat_u64(now_ns, ED_HALF_OPEN_NS);
}

void ed_timers_on_contest(ed_timers *timers, uint64_t until_ns)
{
    timers->at_ns[ED_TIMER_CONTEST] = until_ns;
}

void ed_timers_on_connected(ed_timers *timers, uint64_t now_ns)
{
    timers->at_ns[ED_TIMER_RESEND] = ED_NEVER_NS;
    timers->at_ns[ED_TIMER_GIVE_UP] = ED_NEVER_NS;
    ed_timers_on_heard(timers, now_ns);
}

void ed_timers_on_heard(ed_timers *timers, uint64_t now_ns)
{
    if (timers->idle_ms != 0)
        timers->at_ns[ED_TIMER_IDLE] = ed_add_sat_u64(now_ns, timers->idle_ms * ED_NS_PER_MS);
    if (timers->keepalive_ms != 0)
        timers->at_ns[ED_TIMER_KEEPALIVE] =
            ed_add_sat_u64(now_ns, timers->keepalive_ms * ED_NS_PER_MS);
}

void ed_timers_on_flushing(ed_timers *timers, uint64_t flush_ns, uint64_t now_ns)
{
    uint64_t until_ns = ed_add_sat_u64(now_ns, flush_ns);
    timers->at_ns[ED_TIMER_FLUSH] = ed_min_u64(timers->at_ns[ED_TIMER_FLUSH], until_ns);
}

void ed_timers_on_closing(ed_timers *timers, uint64_t pto_ns, uint64_t now_ns)
{
    stop_own(timers);
    timers->at_ns[ED_TIMER_CLOSE] = now_ns;
    timers->at_ns[ED_TIMER_DRAINED] =
        ed_add_sat_u64(now_ns, ed_min_u64(ED_CLOSE_COPIES * pto_ns, DRAIN_MAX_NS));
}

void ed_timers_on_draining(ed_timers *timers, uint64_t pto_ns, uint64_t now_ns)
{
    stop_own(timers);
    timers->at_ns[ED_TIMER_DRAINED] =
        ed_add_sat_u64(now_ns, ed_min_u64(ED_CLOSE_COPIES * pto_ns, DRAIN_MAX_NS));
}

void ed_timers_on_refusing(ed_timers *timers, uint64_t linger_ns, uint64_t now_ns)
{
    uint64_t until_ns =
        ed_min_u64(timers->at_ns[ED_TIMER_DRAINED], ed_add_sat_u64(now_ns, linger_ns));

    stop_own(timers);
    timers->at_ns[ED_TIMER_DRAINED] = until_ns;
}

void ed_timers_on_shutdown(ed_timers *timers, uint64_t until_ns)
{
    timers->at_ns[ED_TIMER_END] = ed_min_u64(timers->at_ns[ED_TIMER_END], until_ns);
}

void ed_timers_on_closed(ed_timers *timers)
{
    stop_all(timers);
}
