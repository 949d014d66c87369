#include "transport/model.h"

enum {
    ROUND_MIN_US = 500, /* a round trip may take next to no time, and then tells no rate */
    RATE_FADES = 16,    /* the rate known falls by that part in a round that does not reach it */
    /* Startup. */
    STARTUP_LATE = 6,     /* packets in a row that waited end it at once */
    LATE_MS = 3,          /* what counts as waiting */
    FIRST_DIP_MS = 500,   /* after it: what it took for the path may be others' queue */
    FIRST_DIP_ROUNDS = 8, /* or after that, if it is longer */
    /* Later. */
    FREE_US = 1000,     /* of waiting that count for nothing: clocks and schedulers jitter, */
    SHORT_US = 5000,    /* and more where the round trip is within this even so: no game feels it */
    LUMP_DATAGRAMS = 3, /* acknowledged at once are what any peer does; */
    LUMP_MAX_US = 50000, /* one that looks at its socket in each frame keeps more, so long */
    FALL_MAX = 2,        /* the window becomes that part of itself in a round, at the least */
    STEP_MAX = 8,        /* and grows by that part of itself, at the most */
    DIP_ACKS = 8,        /* of packets that come back in it */
    /* Among others. */
    CLAIM_DATAGRAMS = 2, /* more each round, until some are lost: CUBIC's pace on such paths */
    CUT_NUMERATOR = 7,   /* what stays of the window at a loss: as CUBIC does */
    CUT_DENOMINATOR = 10,
    CALM_ROUNDS = 16, /* without a queue, and they have gone */
};

static_assert(LUMP_MAX_US <= UINT16_MAX, "it fits in free_us");
static_assert((uint64_t)ED_CONGESTION_WINDOW_MAX * 2 < UINT32_MAX, "sizes fit in 32 bits");

static bool model_valid(const ed_model *m)
{
    return m->datagram_size > 0 && m->mode <= ED_MODEL_JUDGE &&
           m->window <= ED_CONGESTION_WINDOW_MAX;
}

static uint32_t add_sat_u32(uint32_t a, uint64_t b)
{
    return (uint32_t)ed_min_u64(a + b, UINT32_MAX);
}

void ed_model_set_window(ed_model *m, uint64_t window)
{
    uint64_t least = (uint64_t)ED_CONGESTION_FLOOR_DATAGRAMS * m->datagram_size;

    m->window = (uint32_t)ed_min_u64(ed_max_u64(window, least), ED_CONGESTION_WINDOW_MAX);
}

static void begin_round(ed_model *m, uint64_t now_ns)
{
    m->window_before = m->window;
    m->round_ns = now_ns;
    m->round_acked = 0;
    m->round_lost = 0;
    m->round_flight = 0;
    m->round_lumps = 0;
    m->round_rtt_us = ED_MODEL_NEVER_US;
    m->round_is_full = true;
}

static void model_init(ed_congestion *state, uint32_t datagram_size)
{
    ed_model *m = &state->model;

    *m = (ed_model){.datagram_size = datagram_size, .base_us = ED_MODEL_NEVER_US};
    ed_model_set_window(m, ed_congestion_initial_window(datagram_size));
    begin_round(m, 0);
    ED_ASSERT(model_valid(m));
}

static void model_on_sent(ed_congestion *state, uint64_t size, uint64_t in_flight, uint64_t now_ns)
{
    ed_model *m = &state->model;

    ED_ASSERT(size <= in_flight);
    if (in_flight == size && now_ns > m->round_ns) {
        begin_round(m, now_ns); // there was silence, which says nothing of the path
        m->round_is_full = false;
    }
}

/* ------------------------------------------------------------------------- the end of a round --
 */

static void learn_rate(ed_model *m, uint64_t now_ns)
{
    uint64_t rate = m->round_acked * ED_NS_PER_S / ed_max_u64(now_ns - m->round_ns, 1);
    uint32_t known = m->round_is_full ? m->rate - m->rate / RATE_FADES : m->rate;

    m->rate = (uint32_t)ed_min_u64(ed_max_u64(known, rate), UINT32_MAX);
}

/** What comes in lumps has waited for one, too, and not in the path. */
static void learn_lumps(ed_model *m, uint64_t now_ns)
{
    uint64_t lumps = ed_max_u64(m->round_lumps, 1);
    uint64_t apart_us = ed_min_u64((now_ns - m->round_ns) / ED_NS_PER_US / lumps, LUMP_MAX_US);
    bool has_lumps = m->round_acked > lumps * LUMP_DATAGRAMS * m->datagram_size;

    uint32_t free_us = m->base_us + FREE_US < SHORT_US ? SHORT_US - m->base_us : FREE_US;
    m->free_us = (uint16_t)(has_lumps ? ed_max_u64(apart_us, free_us) : free_us);
}

static void learn_queue(ed_model *m)
{
    uint32_t waits_us = m->round_rtt_us - m->base_us;

    m->queue_us = waits_us > m->free_us ? waits_us - m->free_us : 0;
}

/** Among flows that heed nothing but loss: as they do. */
static void compete(ed_model *m, uint64_t now_ns)
{
    bool is_calm = m->queue_us <= ed_model_ms(ED_MODEL_QUEUE_CLEAR_MS);
    bool cuts = m->round_lost > 0 && !m->has_cut && !is_calm;

    m->has_cut = cuts; // what is lost in the next round left before
    if (cuts)
        ed_model_set_window(m, (uint64_t)m->window * CUT_NUMERATOR / CUT_DENOMINATOR);
    else if (m->round_is_full)
        ed_model_set_window(m, (uint64_t)m->window + CLAIM_DATAGRAMS * m->datagram_size);
    m->calm_rounds = is_calm ? (uint8_t)(m->calm_rounds + 1) : 0;
    if (m->calm_rounds >= CALM_ROUNDS)
        ed_model_leave_crowd(m, now_ns);
}

/** Brings the window to what the path holds, and our share of the queue. */
static void steer(ed_model *m)
{
    if (m->queue_us > 0) {
        uint64_t window = ed_model_held(m, m->window_before, m->queue_us) + ed_model_share(m);
        m->step = 0;
        ed_model_set_window(m, ed_max_u64(window, m->window / FALL_MAX));
    } else if (m->round_is_full) {
        uint64_t step = (uint64_t)ed_model_share(m) << m->step;
        uint64_t most = ed_max_u64(m->window / STEP_MAX, ed_model_share(m));
        m->step = (uint8_t)(m->step + (step < most ? 1 : 0));
        ed_model_set_window(m, m->window + ed_min_u64(step, most));
    }
}

static void cruise(ed_model *m, uint64_t now_ns)
{
    bool is_used = m->round_is_full || m->round_flight >= m->window_before / 2;

    if (is_used && m->is_crowded)
        compete(m, now_ns);
    else if (is_used)
        steer(m);
    ed_model_watch_queue(m, is_used, now_ns);
    if (ed_model_dip_is_due(m, now_ns))
        ed_model_begin_dip(m);
}

/** Through a round with a queue there came as much as the path can take. */
static void end_drain(ed_model *m, uint64_t now_ns)
{
    uint64_t took_us = ed_max_u64(ed_model_us(now_ns - m->round_ns), 1);
    uint64_t held = (uint64_t)ed_model_passed(m) * ed_min_u64(m->base_us, took_us) / took_us;
    uint64_t first_ns =
        ed_max_u64(FIRST_DIP_MS * ED_NS_PER_MS, FIRST_DIP_ROUNDS * (m->base_us * ED_NS_PER_US));

    ed_model_set_window(m, ed_max_u64(m->window, held) + ed_model_share(m));
    m->step = 0;
    m->dip_at_ms = ed_model_now_ms(now_ns + first_ns);
    m->since_dip = UINT8_MAX;
    m->mode = ED_MODEL_SETTLE;
}

static void end_round(ed_model *m, uint64_t now_ns)
{
    ed_model_learn_base(m, now_ns);
    learn_rate(m, now_ns);
    if (m->mode <= ED_MODEL_CRUISE) // a dip makes a gap of its own
        learn_lumps(m, now_ns);
    learn_queue(m);
    switch ((ed_model_mode)m->mode) {
    case ED_MODEL_STARTUP:
        break;
    case ED_MODEL_DIP:
        ed_model_watch_dip(m, now_ns);
        break;
    case ED_MODEL_DRAIN:
        end_drain(m, now_ns);
        break;
    case ED_MODEL_SETTLE:
        m->mode = ED_MODEL_CRUISE; // what came left before the window was known
        break;
    case ED_MODEL_CRUISE:
        cruise(m, now_ns);
        break;
    case ED_MODEL_JUDGE:
        ed_model_judge_dip(m, now_ns);
        break;
    }
    if (ed_model_heed_loss(m) && m->mode == ED_MODEL_STARTUP)
        m->mode = ED_MODEL_DRAIN;
    begin_round(m, now_ns);
}

/* -------------------------------------------------------------------------------- one packet -- */

/** Doubles the window each round trip, until packets have to wait. */
static void start_up(ed_model *m, const ed_congestion_ack *ack, uint32_t sample_us)
{
    bool is_used = ack->in_flight_before >= m->window / 2; // else what is late is not so for us
    bool is_late = is_used && m->base_us != ED_MODEL_NEVER_US &&
                   sample_us > m->base_us + m->free_us + ed_model_ms(LATE_MS);

    m->acks = is_late ? (uint8_t)(m->acks + 1) : 0;
    if (!is_late && is_used && !ack->app_limited)
        ed_model_set_window(m, m->window + ack->size);
    if (m->acks < STARTUP_LATE)
        return;
    // Before the round is over: each packet more is one to wait for. When those left that had to
    // wait, half of the window was there, if it has grown since.
    uint64_t was = m->window > m->window_before ? m->window / 2 : m->window;
    ed_model_set_window(m, ed_model_held(m, was, sample_us - m->base_us));
    m->mode = ED_MODEL_DRAIN;
}

/** A few packets leave while less is in flight; then all is as it was, and the round shows it. */
static void dip(ed_model *m, const ed_congestion_ack *ack, uint64_t now_ns)
{
    uint64_t most = (uint64_t)m->window + EDDY_DATAGRAM_SIZE_MAX; // the last one passes the window

    if (ack->in_flight_before > most || ++m->acks < DIP_ACKS)
        return;
    ed_model_set_window(m, m->dip_window);
    m->mode = ED_MODEL_JUDGE;
    begin_round(m, now_ns);
}

/** What the peer waited is no queue; but its word goes no further than the path's least. */
static uint32_t without_patience(const ed_model *m, uint32_t sample_us, uint32_t patience_us)
{
    uint32_t headroom_us = sample_us > m->base_us ? sample_us - m->base_us : 0;

    return sample_us - (patience_us < headroom_us ? patience_us : headroom_us);
}

static void model_on_acked(ed_congestion *state, const ed_congestion_ack *ack, const ed_rtt *rtt,
                           uint64_t now_ns)
{
    ed_model *m = &state->model;

    (void)rtt;
    ED_ASSERT(ack->sent_ns <= now_ns);
    uint32_t sample_us =
        without_patience(m, ed_model_us(now_ns - ack->sent_ns), ed_model_us(ack->patience_ns));
    m->round_acked = add_sat_u32(m->round_acked, ack->size);
    m->round_flight =
        (uint32_t)ed_min_u64(ed_max_u64(m->round_flight, ack->in_flight_before), UINT32_MAX);
    uint16_t now_us = (uint16_t)(now_ns / ED_NS_PER_US);
    if (m->acked_us != now_us && m->round_lumps < UINT16_MAX)
        m->round_lumps++;
    m->acked_us = now_us;
    m->round_rtt_us = (uint32_t)ed_min_u64(m->round_rtt_us, sample_us);
    m->round_is_full &= !ack->app_limited;

    if (m->mode == ED_MODEL_STARTUP)
        start_up(m, ack, sample_us);
    if (m->mode == ED_MODEL_DIP)
        dip(m, ack, now_ns);
    if (ack->sent_ns >= m->round_ns && now_ns - m->round_ns >= ROUND_MIN_US * ED_NS_PER_US)
        end_round(m, now_ns);
    ED_ASSERT(model_valid(m));
}

static void model_on_lost(ed_congestion *state, uint64_t sent_ns, uint64_t size, uint64_t now_ns)
{
    (void)sent_ns, (void)now_ns;
    state->model.round_lost = add_sat_u32(state->model.round_lost, size);
}

/**
 * The path is another one, or was gone: it is learnt anew, from a quarter of what it was, though
 * from no less than any path begins with: what a game sent meanwhile comes at once when it is back.
 */
static void model_on_persistent(ed_congestion *state, uint64_t now_ns)
{
    ed_model *m = &state->model;
    uint32_t window = m->window / 4;

    model_init(state, m->datagram_size);
    if (window > m->window)
        ed_model_set_window(m, window);
    begin_round(m, now_ns);
}

static void model_on_spurious(ed_congestion *state, uint64_t sent_ns, uint64_t size,
                              uint64_t now_ns)
{
    (void)state, (void)sent_ns, (void)size, (void)now_ns; // that it was lost changed nothing
}

/* ------------------------------------------------------------------------------------ limits -- */

static uint64_t model_window(const ed_congestion *state)
{
    return state->model.window;
}

static ed_congestion_path model_path(const ed_congestion *state, const ed_rtt *rtt)
{
    const ed_model *m = &state->model;

    (void)rtt;
    if (m->base_us == ED_MODEL_NEVER_US)
        return (ed_congestion_path){0};
    return (ed_congestion_path){.rate = m->rate,
                                .rtt_ns = m->base_us * ED_NS_PER_US,
                                .queue_ns = m->queue_us * ED_NS_PER_US};
}

/**
 * A window in a round trip without a queue: so that what a dip left empty is filled at the path's
 * own pace. Where that is not known, or others keep a queue, a little faster than in a round trip.
 */
static uint64_t model_pacing_rate(const ed_congestion *state, const ed_rtt *rtt)
{
    const ed_model *m = &state->model;

    if (m->mode == ED_MODEL_STARTUP || m->is_crowded)
        return ed_congestion_window_rate(m->window, rtt);
    return m->window * UINT64_C(1000000) / ed_max_u64(m->base_us, 1);
}

const ed_congestion_ops ed_model_ops = {
    .name = "model",
    .init = model_init,
    .on_sent = model_on_sent,
    .on_acked = model_on_acked,
    .on_lost = model_on_lost,
    .on_persistent = model_on_persistent,
    .on_spurious = model_on_spurious,
    .window = model_window,
    .path = model_path,
    .pacing_rate = model_pacing_rate,
};
