/**
 * Congestion control by a model of the path: what its round trip is with an empty queue, and how
 * many bytes it holds then. So many are kept in flight, and a few more: the share of the queue that
 * each flow holds, which is what makes flows equal, whatever their round trips (after FAST, Wei et
 * al. 2006, and Copa, Arun and Balakrishnan 2018). Loss by itself is no sign.
 *
 * A queue that stays may not be ours: the path may have become longer, or a flow that heeds nothing
 * but loss keeps it full. To tell, what is in flight dips for a round below what the path holds: a
 * queue of our own is gone then. What stays whole is the path; what stays in part is others', and
 * from then on we hold as much of it as loss lets us, until a dip shows that they have gone.
 *
 * All but the end of the startup is decided at the end of rounds: the packets of one have left
 * before the first of the next is acknowledged.
 */
#include "core/base.h"
#include "transport/congestion.h"

enum {
    ROUND_MIN_US = 500, /* a round trip may take next to no time, and then tells no rate */
    RATE_ROUNDS = 8,    /* the best of so many rounds counts, and of the ones before */
    PPM = 1000 * 1000,
    /* The queue. */
    SHARE_DATAGRAMS = 3,  /* of each flow in the queue */
    QUEUE_FREE_US = 1000, /* of waiting that count for nothing: clocks and schedulers jitter */
    LUMP_DATAGRAMS = 2,   /* acknowledged at once are what any peer does; */
    LUMP_MAX_MS = 50,     /* one that looks at its socket in each frame keeps more, so long */
    QUEUE_MAX_MS = 12,    /* a queue longer than that may not be ours */
    QUEUE_CLEAR_MS = 3,   /* with less, no others keep a queue */
    FALL_MAX = 2,         /* the window becomes that part of itself in a round, at the least */
    STEP_MAX = 8,         /* and grows by that part of itself, at the most */
    /* Startup. */
    STARTUP_LATE = 6, /* packets in a row that waited end it at once */
    LATE_MS = 3,      /* what counts as waiting */
    /* Dips. */
    DIP_NUMERATOR = 3, /* so much of what the path holds is in flight */
    DIP_DENOMINATOR = 4,
    DIP_ACKS = 8,          /* of packets that come back in it */
    DIP_QUEUE_ROUNDS = 2,  /* of a long queue, and one is due */
    DIP_REST_ROUNDS = 32,  /* since one showed that the queue is ours, it is not due for that */
    DIP_FIRST_MS = 500,    /* after the startup: what it took for the path may be others' queue */
    DIP_FIRST_ROUNDS = 8,  /* or after that, if it is longer */
    DIP_MS = 5000,         /* after one, the next */
    DIP_CROWDED_MS = 3000, /* among others: to see whether they are still there */
    DOUBT_MS = 10 * 1000,  /* so long what a dip showed may prove wrong */
    STAYED = 8,            /* a queue that falls by less than that part has stayed whole */
    CALM_ROUNDS = 16,      /* without a queue, and the others have gone */
    PARTS_MAX = 2,         /* queues in a row that fell in part are others' */
    /* Loss. */
    SPILL_PPM = 50 * 1000, /* more than it was by that part, */
    SPILL_DATAGRAMS = 8,   /* and by so many in a round, is for want of room */
    LOSS_RISES = 16,       /* the share known moves by that part of the way to a higher one, */
    LOSS_FALLS = 4,        /* and of the way to a lower one */
    SPILL_PART_MAX = 4,    /* of the window that it takes, at the most */
    SPILL_ROUNDS = 3,      /* of it, while the window did not grow */
    CUT_NUMERATOR = 7,     /* what stays of the window at a loss among others: as CUBIC does */
    CUT_DENOMINATOR = 10,
};

static uint64_t ms(uint64_t count)
{
    return count * ED_NS_PER_MS;
}

/** `bytes` in `ns`, per second. */
static uint64_t rate_of(uint64_t bytes, uint64_t ns)
{
    return ns == 0 ? 0 : bytes * ED_NS_PER_S / ns;
}

/** `size` times a fraction of times; in microseconds, so that no product passes 64 bits. */
static uint64_t scale(uint64_t size, uint64_t part_ns, uint64_t whole_ns)
{
    uint64_t whole_us = ed_max_u64(whole_ns / ED_NS_PER_US, 1);

    return size * ed_min_u64(part_ns / ED_NS_PER_US, whole_us) / whole_us;
}

static uint64_t share(const ed_model *m)
{
    return (uint64_t)SHARE_DATAGRAMS * m->datagram_size;
}

static bool model_valid(const ed_model *m)
{
    return m->datagram_size > 0 && m->mode <= ED_MODEL_JUDGE &&
           m->window <= ED_CONGESTION_WINDOW_MAX && m->step <= ED_CONGESTION_WINDOW_MAX;
}

static void set_window(ed_model *m, uint64_t window)
{
    uint64_t least = (uint64_t)ED_CONGESTION_FLOOR_DATAGRAMS * m->datagram_size;

    m->window = ed_min_u64(ed_max_u64(window, least), ED_CONGESTION_WINDOW_MAX);
}

static void begin_round(ed_model *m, uint64_t now_ns)
{
    m->window_before = m->window;
    m->round_ns = now_ns;
    m->round_acked = 0;
    m->round_lost = 0;
    m->round_flight = 0;
    m->round_lumps = 0;
    m->round_rtt_ns = ED_NEVER_NS;
    m->round_is_full = true;
}

static void model_init(ed_congestion *state, uint32_t datagram_size)
{
    ed_model *m = &state->model;

    *m = (ed_model){.datagram_size = datagram_size, .base_ns = ED_NEVER_NS};
    m->step = share(m);
    set_window(m, ed_congestion_initial_window(datagram_size));
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

/* --------------------------------------------------------------------------------- the model -- */

/** How long what was sent last waited in the path, as far as the round could see. */
static uint64_t queue_ns(const ed_model *m)
{
    uint64_t waits_ns = m->round_rtt_ns == ED_NEVER_NS ? 0 : m->round_rtt_ns - m->base_ns;

    return waits_ns - ed_min_u64(waits_ns, m->free_ns);
}

static uint64_t rate_known(const ed_model *m)
{
    return ed_max_u64(m->rates[0], m->rates[1]);
}

static void learn_rate(ed_model *m, uint64_t now_ns)
{
    uint64_t rate = rate_of(m->round_acked, now_ns - m->round_ns);

    if (++m->rate_rounds >= RATE_ROUNDS && m->round_is_full) {
        m->rate_rounds = 0;
        m->rates[1] = m->rates[0];
        m->rates[0] = 0;
    }
    if (m->round_is_full || rate > rate_known(m))
        m->rates[0] = ed_max_u64(m->rates[0], rate);
}

static void join_crowd(ed_model *m, uint64_t now_ns)
{
    m->is_crowded = true;
    m->raised_from_ns = 0;
    m->part_count = 0;
    m->calm_rounds = 0;
    set_window(m, ed_max_u64(m->window, m->episode_window));
    m->dip_at_ns = now_ns + ms(DIP_CROWDED_MS);
}

static void leave_crowd(ed_model *m, uint64_t now_ns)
{
    if (m->is_crowded)
        m->left_at_ns = now_ns;
    m->is_crowded = false;
}

static bool is_recent(uint64_t at_ns, uint64_t now_ns)
{
    return at_ns != 0 && now_ns - at_ns < ms(DOUBT_MS);
}

/** A lower round trip is always true. */
static void learn_base(ed_model *m, uint64_t now_ns)
{
    if (m->round_rtt_ns > m->base_ns || m->round_rtt_ns == ED_NEVER_NS)
        return;
    // What a dip took for the path was others' queue.
    bool was_wrong = m->raised_from_ns != 0 && is_recent(m->raised_at_ns, now_ns) &&
                     m->base_ns - m->round_rtt_ns > (m->base_ns - m->raised_from_ns) / 4;
    if (was_wrong)
        join_crowd(m, now_ns);
    m->base_ns = m->round_rtt_ns;
}

/* ----------------------------------------------------------------------------------- the dip -- */

static void begin_dip(ed_model *m)
{
    uint64_t holds = scale(m->window, m->base_ns, m->base_ns + queue_ns(m));

    m->mode = ED_MODEL_DIP;
    m->dip_queue_ns = queue_ns(m);
    m->dip_window = m->is_crowded ? m->window : holds + share(m);
    m->dip_acks = 0;
    set_window(m, m->is_crowded ? holds : holds * DIP_NUMERATOR / DIP_DENOMINATOR);
}

/** The delay stayed, though what is in flight dipped: the path is longer, or wholly others'. */
static void raise_base(ed_model *m, uint64_t now_ns)
{
    if (m->raised_from_ns != 0 && is_recent(m->raised_at_ns, now_ns)) {
        join_crowd(m, now_ns); // twice: no path does that
        return;
    }
    leave_crowd(m, now_ns);
    m->raised_from_ns = m->base_ns;
    m->raised_at_ns = now_ns;
    m->base_ns = m->round_rtt_ns;
    m->mode = ED_MODEL_STARTUP;
    m->late_acks = 0;
    set_window(m, m->episode_window);
}

static void judge(ed_model *m, uint64_t now_ns)
{
    uint64_t left_ns = queue_ns(m), had_ns = m->dip_queue_ns;
    bool is_clear = left_ns <= ed_max_u64(had_ns / STAYED, ms(QUEUE_CLEAR_MS));

    m->mode = ED_MODEL_CRUISE;
    m->queue_rounds = 0;
    m->since_dip = is_clear ? 0 : DIP_REST_ROUNDS;
    m->part_count = is_clear ? 0 : (uint8_t)(m->part_count + 1);
    m->dip_at_ns = now_ns + ms(m->is_crowded ? DIP_CROWDED_MS : DIP_MS);
    if (m->round_rtt_ns == ED_NEVER_NS)
        return;
    if (is_clear) {
        leave_crowd(m, now_ns);
        m->base_ns = m->round_rtt_ns;
    } else if (had_ns <= ms(QUEUE_MAX_MS)) {
        return; // too little to tell
    } else if (left_ns + had_ns / STAYED >= had_ns) {
        raise_base(m, now_ns);
    } else if (m->part_count >= PARTS_MAX) {
        join_crowd(m, now_ns);
    }
}

/** Keeps account of a long queue. */
static void watch_queue(ed_model *m, uint64_t now_ns)
{
    bool is_long = queue_ns(m) > ms(QUEUE_MAX_MS);

    m->since_dip = (uint8_t)ed_min_u64(m->since_dip + 1u, UINT8_MAX);
    m->queue_rounds = is_long ? (uint8_t)ed_min_u64(m->queue_rounds + 1u, UINT8_MAX) : 0;
    if (m->queue_rounds == 1)
        m->episode_window = m->window_before;
    if (m->queue_rounds >= DIP_QUEUE_ROUNDS && is_recent(m->left_at_ns, now_ns))
        join_crowd(m, now_ns); // they had not gone
}

static bool dip_is_due(const ed_model *m, uint64_t now_ns)
{
    bool has_queue = m->queue_rounds >= DIP_QUEUE_ROUNDS && m->since_dip >= DIP_REST_ROUNDS;

    return m->round_is_full && (now_ns >= m->dip_at_ns || (has_queue && !m->is_crowded));
}

/* ---------------------------------------------------------------------------------- a cruise -- */

static void end_startup(ed_model *m)
{
    m->mode = ED_MODEL_DRAIN;
}

/** Among flows that heed nothing but loss: as they do. */
static void compete(ed_model *m, uint64_t now_ns)
{
    bool is_calm = queue_ns(m) <= ms(QUEUE_CLEAR_MS);
    bool cuts = m->round_lost > 0 && !m->has_cut && !is_calm;

    m->has_cut = cuts; // what is lost in the next round left before
    if (cuts)
        set_window(m, m->window * CUT_NUMERATOR / CUT_DENOMINATOR);
    else if (m->round_is_full)
        set_window(m, m->window + m->datagram_size);
    m->calm_rounds = is_calm ? (uint8_t)(m->calm_rounds + 1) : 0;
    if (m->calm_rounds >= CALM_ROUNDS)
        leave_crowd(m, now_ns);
}

/** Brings the window to what the path holds, and our share of the queue. */
static void steer(ed_model *m)
{
    uint64_t waits_ns = queue_ns(m);
    uint64_t holds = scale(m->window_before, m->base_ns, m->base_ns + waits_ns);

    if (waits_ns > 0) {
        m->step = share(m);
        set_window(m, ed_max_u64(holds + share(m), m->window / FALL_MAX));
    } else if (m->round_is_full) {
        set_window(m, m->window + m->step);
        m->step = ed_min_u64(m->step * 2, m->window / STEP_MAX);
    }
}

/** Little was in flight, and the delay cannot be ours. */
static void look_on(ed_model *m)
{
    m->queue_rounds = queue_ns(m) > ms(QUEUE_MAX_MS) ? (uint8_t)(m->queue_rounds + 1) : 0;
    if (m->queue_rounds < DIP_QUEUE_ROUNDS)
        return;
    m->base_ns = m->round_rtt_ns;
    m->queue_rounds = 0;
}

/** What comes in lumps has waited for one, too, and not in the path. */
static void learn_lumps(ed_model *m, uint64_t now_ns)
{
    uint64_t lumps = ed_max_u64(m->round_lumps, 1);

    m->free_ns = QUEUE_FREE_US * ED_NS_PER_US;
    if (m->round_acked > lumps * LUMP_DATAGRAMS * m->datagram_size)
        m->free_ns =
            ed_max_u64(m->free_ns, ed_min_u64((now_ns - m->round_ns) / lumps, ms(LUMP_MAX_MS)));
}

static void cruise(ed_model *m, uint64_t now_ns)
{
    if (!m->round_is_full && m->round_flight < m->window_before / 2) {
        look_on(m);
        return;
    }
    if (m->is_crowded)
        compete(m, now_ns);
    else
        steer(m);
    watch_queue(m, now_ns);
    if (dip_is_due(m, now_ns))
        begin_dip(m);
}

/** Bytes of the round that are lost whatever we do. */
static uint64_t known_loss(const ed_model *m)
{
    return (m->round_acked + m->round_lost) * m->loss_ppm / PPM;
}

/** Whether more was lost in the round than can be chance. */
static bool spills(const ed_model *m)
{
    uint64_t all = m->round_acked + m->round_lost;

    return m->round_lost >
           known_loss(m) + all * SPILL_PPM / PPM + (uint64_t)SPILL_DATAGRAMS * m->datagram_size;
}

static void learn_loss(ed_model *m)
{
    uint64_t all = m->round_acked + m->round_lost;
    uint32_t loss_ppm = all == 0 ? m->loss_ppm : (uint32_t)(m->round_lost * PPM / all);

    if (loss_ppm > m->loss_ppm)
        m->loss_ppm += (loss_ppm - m->loss_ppm) / LOSS_RISES;
    else
        m->loss_ppm -= (m->loss_ppm - loss_ppm) / LOSS_FALLS;
}

/** Through a round with a queue there came as much as the path can take. */
static void end_drain(ed_model *m, uint64_t now_ns)
{
    uint64_t size = m->round_acked + (spills(m) ? 0 : m->round_lost);

    set_window(m, ed_max_u64(m->window, scale(size, m->base_ns, now_ns - m->round_ns)) + share(m));
    m->step = share(m);
    m->dip_at_ns = now_ns + ed_max_u64(ms(DIP_FIRST_MS), DIP_FIRST_ROUNDS * m->base_ns);
    m->since_dip = DIP_REST_ROUNDS;
    m->mode = ED_MODEL_SETTLE;
}

/** The window goes back to what it was, without what spilt: at least that much was too much. */
static void heed_loss(ed_model *m)
{
    bool has_grown = m->step > share(m) || m->mode == ED_MODEL_STARTUP;

    m->spill_rounds = spills(m) ? (uint8_t)(m->spill_rounds + 1) : 0;
    if (m->spill_rounds >= (has_grown ? 1 : SPILL_ROUNDS)) {
        uint64_t all = m->round_acked + m->round_lost;
        uint64_t window = ed_min_u64(m->window, m->window_before);
        uint64_t least = window - window / SPILL_PART_MAX;
        m->spill_rounds = 0;
        m->step = share(m);
        set_window(m, ed_max_u64(scale(window, m->round_acked + known_loss(m), all), least));
        if (m->mode == ED_MODEL_STARTUP)
            end_startup(m);
    }
    learn_loss(m);
}

static void end_round(ed_model *m, uint64_t now_ns)
{
    learn_base(m, now_ns);
    learn_rate(m, now_ns);
    if (m->mode <= ED_MODEL_CRUISE) // a dip makes a gap of its own
        learn_lumps(m, now_ns);
    switch ((ed_model_mode)m->mode) {
    case ED_MODEL_STARTUP:
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
    case ED_MODEL_DIP:
        break;
    case ED_MODEL_JUDGE:
        judge(m, now_ns);
        break;
    }
    heed_loss(m);
    begin_round(m, now_ns);
}

static void start_up(ed_model *m, const ed_congestion_ack *ack, uint64_t sample_ns)
{
    bool is_used = ack->in_flight_before >= m->window / 2; // else what is late is not so for us
    bool is_late =
        is_used && m->base_ns != ED_NEVER_NS && sample_ns > m->base_ns + m->free_ns + ms(LATE_MS);

    m->late_acks = is_late ? (uint8_t)ed_min_u64(m->late_acks + 1u, UINT8_MAX) : 0;
    if (!is_late && is_used && !ack->app_limited)
        set_window(m, m->window + ack->size);
    if (m->late_acks < STARTUP_LATE)
        return;
    // Before the round is over: each packet more is one to wait for. When those left that had to
    // wait, half of the window was there, if it has grown since.
    uint64_t was = m->window > m->window_before ? m->window / 2 : m->window;
    set_window(m, scale(was, m->base_ns, sample_ns));
    end_startup(m);
}

/** A few packets leave while less is in flight; then all is as it was, and the round shows it. */
static void dip(ed_model *m, const ed_congestion_ack *ack, uint64_t now_ns)
{
    if (ack->in_flight_before > m->window + m->datagram_size || ++m->dip_acks < DIP_ACKS)
        return;
    set_window(m, m->dip_window);
    m->mode = ED_MODEL_JUDGE;
    begin_round(m, now_ns);
}

/** What the peer waited is no queue; but its word goes no further than the path's least. */
static uint64_t without_patience(const ed_model *m, uint64_t sample_ns, uint64_t patience_ns)
{
    uint64_t headroom_ns = sample_ns > m->base_ns ? sample_ns - m->base_ns : 0;

    return sample_ns - ed_min_u64(patience_ns, headroom_ns);
}

static void model_on_acked(ed_congestion *state, const ed_congestion_ack *ack, const ed_rtt *rtt,
                           uint64_t now_ns)
{
    ed_model *m = &state->model;

    (void)rtt;
    ED_ASSERT(ack->sent_ns <= now_ns);
    uint64_t sample_ns = without_patience(m, now_ns - ack->sent_ns, ack->patience_ns);
    m->round_acked += ack->size;
    m->round_flight = ed_max_u64(m->round_flight, ack->in_flight_before);
    m->round_lumps += m->acked_ns != now_ns;
    m->acked_ns = now_ns;
    m->round_rtt_ns = ed_min_u64(m->round_rtt_ns, sample_ns);
    m->round_is_full &= !ack->app_limited;
    if (m->mode == ED_MODEL_STARTUP)
        start_up(m, ack, sample_ns);
    if (m->mode == ED_MODEL_DIP)
        dip(m, ack, now_ns);
    if (ack->sent_ns >= m->round_ns && now_ns - m->round_ns >= ROUND_MIN_US * ED_NS_PER_US)
        end_round(m, now_ns);
    ED_ASSERT(model_valid(m));
}

static void model_on_lost(ed_congestion *state, uint64_t sent_ns, uint64_t size, uint64_t now_ns)
{
    (void)sent_ns, (void)now_ns;
    state->model.round_lost += size;
}

/** The path is another one, or gone: it is learnt anew, from a quarter of what it was. */
static void model_on_persistent(ed_congestion *state, uint64_t now_ns)
{
    ed_model *m = &state->model;

    m->mode = ED_MODEL_STARTUP;
    m->late_acks = 0;
    m->base_ns = ED_NEVER_NS;
    m->raised_from_ns = 0;
    leave_crowd(m, now_ns);
    set_window(m, m->window / 4);
    begin_round(m, now_ns);
}

static void model_on_spurious(ed_congestion *state, uint64_t sent_ns, uint64_t size,
                              uint64_t now_ns)
{
    (void)state, (void)sent_ns, (void)size, (void)now_ns; // no loss was taken for a sign
}

/* ------------------------------------------------------------------------------------ limits -- */

static uint64_t model_window(const ed_congestion *state)
{
    return state->model.window;
}

/**
 * A window in a round trip without a queue: so that what a dip left empty is filled at the path's
 * own pace. Where that is not known, or others keep a queue, a little faster than in a round trip.
 */
static uint64_t model_pacing_rate(const ed_congestion *state, const ed_rtt *rtt)
{
    const ed_model *m = &state->model;

    if (m->mode == ED_MODEL_STARTUP || m->is_crowded || m->base_ns == ED_NEVER_NS)
        return ed_congestion_window_rate(m->window, rtt);
    return ed_max_u64(rate_of(m->window, ed_max_u64(m->base_ns, 1)), 1);
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
    .pacing_rate = model_pacing_rate,
};
