/**
 * Congestion control by a model of the path: the rate at which it delivers, and its round trip with
 * an empty queue. What is sent is paced at that rate, now and then a little above it to see whether
 * there is more, and below it while a queue stands (after BBR, Cardwell et al. 2016; the bound on
 * the queue is in the spirit of Copa, Arun and Balakrishnan 2018). Loss by itself is no sign: where
 * it comes with no queue, what was lost has passed the bottleneck, too.
 *
 * All is decided at the end of rounds: the packets of one have left before the first of the next is
 * acknowledged.
 */
#include "core/base.h"
#include "transport/congestion.h"

enum {
    ROUND_MIN_US = 500,       /* a round trip may take next to no time, and then tells no rate */
    RATE_ROUNDS = 8,          /* the best of so many rounds counts, and of the ones before */
    STARTUP_ROUNDS = 3,       /* without growth by a quarter, and the rate is known */
    STARTUP_LATE = 8,         /* packets in a row that had to wait end the startup at once */
    CRUISE_ROUNDS = 8,        /* of a cycle: one above, one below, the rest at the rate */
    QUEUE_MAX_MS = 12,        /* above, less is sent than the path takes */
    QUEUE_SHORT_MS = 3,       /* below, a path counts as free of queues */
    CROWDED_ROUNDS = 12,      /* of a queue that does not go: others make it, and it is borne */
    RTT_MEMORY_S = 10,        /* so long the least round trip counts; then it is looked for anew */
    LOSS_PASSED_PERCENT = 30, /* more lost than that is not taken to have passed */
    PERCENT = 100,
    STARTUP_GAIN = 200, /* percent */
    PROBE_GAIN = 125,
    YIELD_GAIN = 75,
    DRAIN_GAIN = 50,
    STARTUP_WINDOW = 220, /* percent of what the path holds */
    CRUISE_WINDOW = 200,
    SLACK_DATAGRAMS = 4,
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

static uint64_t rate_known(const ed_model *m)
{
    return ed_max_u64(m->rates[0], m->rates[1]);
}

/** Bytes that the path holds without a queue. */
static uint64_t path_size(const ed_model *m)
{
    return rate_known(m) * (m->rtt_min_ns / ED_NS_PER_US) / (ED_NS_PER_S / ED_NS_PER_US);
}

static bool model_valid(const ed_model *m)
{
    return m->datagram_size > 0 && m->mode <= ED_MODEL_CRUISE && m->phase < CRUISE_ROUNDS;
}

static void begin_round(ed_model *m, uint64_t now_ns)
{
    m->round_ns = now_ns;
    m->round_acked = 0;
    m->round_lost = 0;
    m->round_rtt_ns = ED_NEVER_NS;
    m->round_is_full = true;
}

static void model_init(ed_congestion *state, uint32_t datagram_size)
{
    ed_model *m = &state->model;

    *m = (ed_model){.datagram_size = datagram_size, .rtt_min_ns = ED_NEVER_NS};
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

/* ------------------------------------------------------------------------------------ rounds -- */

/** How long what is sent now waits, as far as the round could see. */
static uint64_t queue_ns(const ed_model *m)
{
    return m->round_rtt_ns == ED_NEVER_NS ? 0 : m->round_rtt_ns - m->rtt_min_ns;
}

/** Bytes that went through the bottleneck. */
static uint64_t passed(const ed_model *m)
{
    uint64_t all = m->round_acked + m->round_lost;
    bool is_luck =
        queue_ns(m) <= ms(QUEUE_MAX_MS) && m->round_lost * PERCENT <= all * LOSS_PASSED_PERCENT;

    return is_luck ? all : m->round_acked;
}

/** What a packet waits longer than that, waits in a queue. */
static uint64_t late_ns(const ed_model *m)
{
    return ed_max_u64(ms(QUEUE_MAX_MS / 2), m->rtt_min_ns / 8);
}

static void learn_rate(ed_model *m, uint64_t now_ns)
{
    uint64_t rate = rate_of(passed(m), now_ns - m->round_ns);

    if (++m->rate_rounds >= RATE_ROUNDS && m->round_is_full) {
        m->rate_rounds = 0;
        m->rates[1] = m->rates[0];
        m->rates[0] = 0;
    }
    if (m->round_is_full || rate > rate_known(m))
        m->rates[0] = ed_max_u64(m->rates[0], rate);
}

static void learn_rtt(ed_model *m, uint64_t now_ns)
{
    if (m->round_rtt_ns == ED_NEVER_NS)
        return;
    bool is_old = now_ns - m->rtt_min_at_ns > RTT_MEMORY_S * ED_NS_PER_S;
    if (m->round_rtt_ns <= m->rtt_min_ns || is_old) {
        m->rtt_min_ns = m->round_rtt_ns;
        m->rtt_min_at_ns = now_ns;
    }
}

static void leave_startup(ed_model *m)
{
    if (rate_known(m) >= m->full_rate + m->full_rate / 4) {
        m->full_rate = rate_known(m);
        m->full_rounds = 0;
    } else if (m->round_is_full) {
        m->full_rounds++;
    }
    if (m->full_rounds >= STARTUP_ROUNDS)
        m->mode = ED_MODEL_DRAIN;
}

static void cruise(ed_model *m)
{
    bool has_queue = queue_ns(m) > ms(QUEUE_MAX_MS);

    m->phase = (uint8_t)((m->phase + 1) % CRUISE_ROUNDS);
    m->queue_rounds = has_queue ? (uint8_t)ed_min_u64(m->queue_rounds + 1u, UINT8_MAX) : 0;
    // Before the least round trip is forgotten the queue is emptied once to see it again.
    m->yields = (has_queue && m->queue_rounds < CROWDED_ROUNDS) || m->rtt_is_due;
}

static void end_round(ed_model *m, uint64_t now_ns)
{
    learn_rtt(m, now_ns);
    learn_rate(m, now_ns);
    m->rtt_is_due = now_ns - m->rtt_min_at_ns > (RTT_MEMORY_S - 1) * ED_NS_PER_S;
    if (m->mode == ED_MODEL_STARTUP)
        leave_startup(m);
    else if (m->mode == ED_MODEL_DRAIN && queue_ns(m) <= ms(QUEUE_SHORT_MS))
        m->mode = ED_MODEL_CRUISE;
    else if (m->mode == ED_MODEL_CRUISE)
        cruise(m);
    begin_round(m, now_ns);
}

/** What the peer waited is no queue; but its word goes no further than the path's least. */
static uint64_t without_patience(const ed_model *m, uint64_t sample_ns, uint64_t patience_ns)
{
    uint64_t headroom_ns = sample_ns > m->rtt_min_ns ? sample_ns - m->rtt_min_ns : 0;

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
    m->round_rtt_ns = ed_min_u64(m->round_rtt_ns, sample_ns);
    bool is_late = m->rtt_min_ns != ED_NEVER_NS && sample_ns > m->rtt_min_ns + late_ns(m);
    m->late_acks = is_late ? (uint8_t)ed_min_u64(m->late_acks + 1u, UINT8_MAX) : 0;
    m->round_is_full &= !ack->app_limited;
    if (m->mode == ED_MODEL_STARTUP && m->late_acks >= STARTUP_LATE)
        m->mode = ED_MODEL_DRAIN; // before the round is over: each packet more is one to wait for
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

    m->rates[0] = rate_known(m) / 4;
    m->rates[1] = 0;
    m->mode = ED_MODEL_STARTUP;
    m->full_rate = 0;
    m->full_rounds = 0;
    m->rtt_min_at_ns = 0;
    begin_round(m, now_ns);
}

static void model_on_spurious(ed_congestion *state, uint64_t sent_ns, uint64_t size,
                              uint64_t now_ns)
{
    (void)state, (void)sent_ns, (void)size, (void)now_ns; // no loss was taken for a sign
}

/* ------------------------------------------------------------------------------------ limits -- */

static uint64_t gain_of(const ed_model *m)
{
    if (m->mode == ED_MODEL_STARTUP)
        return STARTUP_GAIN;
    if (m->mode == ED_MODEL_DRAIN)
        return DRAIN_GAIN;
    if (m->yields)
        return m->rtt_is_due ? DRAIN_GAIN : YIELD_GAIN;
    return m->phase == 0 ? PROBE_GAIN : m->phase == 1 ? YIELD_GAIN : PERCENT;
}

static uint64_t model_window(const ed_congestion *state)
{
    const ed_model *m = &state->model;
    uint64_t share = m->mode == ED_MODEL_STARTUP ? STARTUP_WINDOW : CRUISE_WINDOW;
    uint64_t least = ed_congestion_initial_window(m->datagram_size);

    if (rate_known(m) == 0)
        return least;
    uint64_t window = path_size(m) * share / PERCENT + SLACK_DATAGRAMS * m->datagram_size;
    if (m->mode == ED_MODEL_STARTUP)
        window = ed_max_u64(window, least);
    return ed_min_u64(window, ED_CONGESTION_WINDOW_MAX);
}

static uint64_t model_pacing_rate(const ed_congestion *state, const ed_rtt *rtt)
{
    const ed_model *m = &state->model;
    uint64_t rate = ed_max_u64(rate_known(m) * gain_of(m) / PERCENT, 1);

    // What a program sent so far may have been little, and says nothing of the path.
    if (m->mode == ED_MODEL_STARTUP)
        rate = ed_max_u64(
            rate, ed_congestion_window_rate(ed_congestion_initial_window(m->datagram_size), rtt));
    return rate;
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
