#include "core/base.h"
#include "transport/congestion.h"

static uint64_t window_min(const ed_new_reno *reno)
{
    return (uint64_t)ED_CONGESTION_MIN_DATAGRAMS * reno->datagram_size;
}

static bool reno_valid(const ed_new_reno *reno)
{
    return reno->datagram_size > 0 && reno->window >= window_min(reno) &&
           reno->window <= ED_CONGESTION_WINDOW_MAX && reno->acked < reno->window;
}

static void set_window(ed_new_reno *reno, uint64_t window)
{
    reno->window = ed_min_u64(ed_max_u64(window, window_min(reno)), ED_CONGESTION_WINDOW_MAX);
    if (reno->acked >= reno->window)
        reno->acked = 0;
}

static bool in_recovery(const ed_new_reno *reno, uint64_t sent_ns)
{
    return sent_ns < reno->recovery_until_ns;
}

static void reno_init(ed_congestion *state, uint32_t datagram_size)
{
    state->new_reno = (ed_new_reno){
        .window = ed_congestion_initial_window(datagram_size),
        .threshold = UINT64_MAX,
        .datagram_size = datagram_size,
    };
    ED_ASSERT(reno_valid(&state->new_reno));
}

static void reno_on_sent(ed_congestion *state, uint64_t size, uint64_t in_flight, uint64_t now_ns)
{
    // Only what comes back matters here; other controllers sample the delivery rate.
    (void)state;
    (void)now_ns;
    ED_ASSERT(size <= in_flight);
}

/** A datagram for every window acknowledged (RFC 9002 section 7.3.3), counted in whole bytes. */
static void avoid_congestion(ed_new_reno *reno, uint64_t size)
{
    reno->acked += size;
    if (reno->acked < reno->window)
        return;
    reno->acked -= reno->window;
    set_window(reno, reno->window + reno->datagram_size);
}

static void reno_on_acked(ed_congestion *state, const ed_congestion_ack *ack, const ed_rtt *rtt,
                          uint64_t now_ns)
{
    ed_new_reno *reno = &state->new_reno;

    (void)rtt;
    (void)now_ns;
    ED_ASSERT(reno_valid(reno));
    ED_ASSERT(ack->size <= ED_CONGESTION_DATAGRAM_SIZE_MAX);

    if (in_recovery(reno, ack->sent_ns))
        return;
    // A window that was not put to use proves nothing about a larger one (7.8). Being less than
    // half used counts as that whatever the caller knows of the reason.
    if (ack->app_limited || ack->in_flight_before < reno->window / 2)
        return;
    if (reno->window < reno->threshold)
        set_window(reno, reno->window + ack->size);
    else
        avoid_congestion(reno, ack->size);
    ED_ASSERT(reno_valid(reno));
}

static void remember_for_undo(ed_new_reno *reno)
{
    reno->undo_lost = 0;
    reno->undo_window = reno->window;
    reno->undo_threshold = reno->threshold;
    reno->undo_recovery_until_ns = reno->recovery_until_ns;
}

/** Whether a lost packet belongs to the reduction that could be undone, and not to one before. */
static bool in_last_reduction(const ed_new_reno *reno, uint64_t sent_ns)
{
    return in_recovery(reno, sent_ns) &&
           sent_ns >= ed_max_u64(reno->undo_recovery_until_ns, reno->persistent_until_ns);
}

static void reno_on_lost(ed_congestion *state, uint64_t sent_ns, uint64_t size, uint64_t now_ns)
{
    ed_new_reno *reno = &state->new_reno;

    ED_ASSERT(reno_valid(reno));
    ED_ASSERT(sent_ns <= now_ns);

    // One reduction a round trip: what was sent before the last one says nothing new (7.3.2).
    if (!in_recovery(reno, sent_ns)) {
        remember_for_undo(reno);
        reno->recovery_until_ns = now_ns + 1;
        reno->threshold = reno->window / 2;
        reno->acked = 0;
        set_window(reno, reno->window / 2);
        reno->undo_lost = size;
    } else if (reno->undo_lost > 0 && in_last_reduction(reno, sent_ns)) {
        reno->undo_lost += size;
    }
    ED_ASSERT(reno_valid(reno));
}

static void reno_on_persistent(ed_congestion *state, uint64_t now_ns)
{
    ed_new_reno *reno = &state->new_reno;

    ED_ASSERT(reno_valid(reno));
    ED_ASSERT(now_ns + 1 >= reno->persistent_until_ns);

    reno->acked = 0;
    reno->persistent_until_ns = now_ns + 1;
    set_window(reno, window_min(reno));
    // The next loss is news again (RFC 9002 appendix B.8); no loss before it can be undone.
    reno->recovery_until_ns = 0;
    ED_ASSERT(reno_valid(reno));
}

static void reno_on_spurious(ed_congestion *state, uint64_t sent_ns, uint64_t size, uint64_t now_ns)
{
    ed_new_reno *reno = &state->new_reno;

    (void)now_ns;
    ED_ASSERT(reno_valid(reno));

    if (reno->undo_lost == 0 || !in_last_reduction(reno, sent_ns))
        return;
    reno->undo_lost -= ed_min_u64(reno->undo_lost, size);
    if (reno->undo_lost > 0)
        return;
    set_window(reno, ed_max_u64(reno->window, reno->undo_window));
    reno->threshold = reno->undo_threshold;
    reno->recovery_until_ns = reno->undo_recovery_until_ns;
    ED_ASSERT(reno_valid(reno));
}

static uint64_t reno_window(const ed_congestion *state)
{
    return state->new_reno.window;
}

/** It knows no more of the path than the round trips tell. */
static ed_congestion_path reno_path(const ed_congestion *state, const ed_rtt *rtt)
{
    if (!rtt->sampled)
        return (ed_congestion_path){0};
    return (ed_congestion_path){
        .rate = state->new_reno.window * ED_NS_PER_S / ed_max_u64(rtt->smoothed_ns, 1),
        .rtt_ns = rtt->min_ns,
        .queue_ns = ed_max_u64(rtt->smoothed_ns, rtt->min_ns) - rtt->min_ns};
}

static uint64_t reno_pacing_rate(const ed_congestion *state, const ed_rtt *rtt)
{
    return ed_congestion_window_rate(state->new_reno.window, rtt);
}

const ed_congestion_ops ed_new_reno_ops = {
    .name = "new reno",
    .init = reno_init,
    .on_sent = reno_on_sent,
    .on_acked = reno_on_acked,
    .on_lost = reno_on_lost,
    .on_persistent = reno_on_persistent,
    .on_spurious = reno_on_spurious,
    .window = reno_window,
    .path = reno_path,
    .pacing_rate = reno_pacing_rate,
};
