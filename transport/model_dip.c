/** Whose a queue is: ours, the path's, which has become longer, or that of others. */
#include "transport/model.h"

enum {
    DIP_NUMERATOR = 3, /* so much of what the path holds is in flight */
    DIP_DENOMINATOR = 4,
    DIP_ROUNDS_MAX = 16,   /* that one lasts */
    DIP_QUEUE_ROUNDS = 2,  /* of a long queue, and one is due */
    DIP_REST_ROUNDS = 32,  /* since one showed that the queue is ours, it is not due for that */
    DIP_MS = 5000,         /* after one, the next */
    DIP_CROWDED_MS = 3000, /* among others: to see whether they are still there */
    QUEUE_BACK_MS = 6,     /* a queue so long shows that others had not gone */
    DOUBT_MS = 10 * 1000,  /* so long what a dip showed may prove wrong */
    STAYED = 8,            /* a queue that falls by less than that part has stayed whole */
    PARTS_MAX = 2,         /* queues in a row that fell in part are others' */
};

static bool is_in_doubt(const ed_model *m, uint64_t now_ns)
{
    return m->doubt_at_ms != 0 && ed_model_now_ms(now_ns) - m->doubt_at_ms < DOUBT_MS;
}

/* -------------------------------------------------------------------------------- the others -- */

static void join_crowd(ed_model *m, uint64_t now_ns)
{
    m->is_crowded = true;
    m->is_raised = false;
    m->doubt_at_ms = 0;
    m->part_count = 0;
    m->calm_rounds = 0;
    ed_model_set_window(m, ed_max_u64(m->window, m->episode_window));
    m->dip_at_ms = ed_model_now_ms(now_ns) + DIP_CROWDED_MS;
}

void ed_model_leave_crowd(ed_model *m, uint64_t now_ns)
{
    if (!m->is_crowded)
        return;
    m->is_crowded = false;
    m->is_raised = false;
    m->doubt_at_ms = ed_model_now_ms(now_ns);
}

void ed_model_learn_base(ed_model *m, uint64_t now_ns)
{
    if (m->round_rtt_us > m->base_us)
        return;
    // A lower round trip is always true; what a dip took for the path was others' queue, then.
    uint32_t fell_us = m->base_us - m->round_rtt_us;
    if (m->is_raised && is_in_doubt(m, now_ns) && fell_us > ed_model_ms(ED_MODEL_QUEUE_CLEAR_MS))
        join_crowd(m, now_ns);
    m->base_us = m->round_rtt_us;
}

void ed_model_watch_queue(ed_model *m, bool is_used, uint64_t now_ns)
{
    // Whoever seemed to have gone, and has not, is met again sooner.
    bool may_be_back = !m->is_raised && !m->is_crowded && is_in_doubt(m, now_ns);
    bool is_long = m->queue_us > ed_model_ms(may_be_back ? QUEUE_BACK_MS : ED_MODEL_QUEUE_MAX_MS);

    m->since_dip = (uint8_t)ed_min_u64(m->since_dip + 1u, UINT8_MAX);
    m->queue_rounds = is_long ? (uint8_t)ed_min_u64(m->queue_rounds + 1u, UINT8_MAX) : 0;
    if (m->queue_rounds == 1)
        m->episode_window = m->window_before;
    if (m->queue_rounds < DIP_QUEUE_ROUNDS)
        return;
    if (!is_used)
        m->base_us = m->round_rtt_us; // little was in flight, and the delay cannot be ours
    else if (may_be_back)
        join_crowd(m, now_ns);
}

/* ----------------------------------------------------------------------------------- the dip -- */

bool ed_model_dip_is_due(const ed_model *m, uint64_t now_ns)
{
    bool has_queue = m->queue_rounds >= DIP_QUEUE_ROUNDS && m->since_dip >= DIP_REST_ROUNDS;

    bool is_time = (int32_t)(ed_model_now_ms(now_ns) - m->dip_at_ms) >= 0;

    return m->round_is_full && (is_time || (has_queue && !m->is_crowded));
}

void ed_model_begin_dip(ed_model *m)
{
    uint64_t holds = ed_model_held(m, m->window, m->queue_us);

    m->mode = ED_MODEL_DIP;
    m->since_dip = 0;
    m->acks = 0;
    m->dip_queue_us = m->queue_us;
    m->dip_window = m->is_crowded ? m->window : (uint32_t)holds + ed_model_share(m);
    ed_model_set_window(m, m->is_crowded ? holds : holds * DIP_NUMERATOR / DIP_DENOMINATOR);
}

/** @return when the next one is due. */
static uint32_t next_dip_ms(const ed_model *m, uint64_t now_ns)
{
    return ed_model_now_ms(now_ns) + (m->is_crowded ? DIP_CROWDED_MS : DIP_MS);
}

void ed_model_watch_dip(ed_model *m, uint64_t now_ns)
{
    if (++m->since_dip < DIP_ROUNDS_MAX)
        return;
    ed_model_set_window(m, m->dip_window);
    m->mode = ED_MODEL_CRUISE;
    m->since_dip = 0;
    m->queue_rounds = 0;
    m->dip_at_ms = next_dip_ms(m, now_ns);
}

/** The delay stayed, though less was in flight: the path is longer, or wholly others'. */
static void raise_base(ed_model *m, uint64_t now_ns)
{
    if (m->is_raised && is_in_doubt(m, now_ns)) {
        join_crowd(m, now_ns); // twice: no path does that
        return;
    }
    ed_model_leave_crowd(m, now_ns);
    m->is_raised = true;
    m->doubt_at_ms = ed_model_now_ms(now_ns);
    m->base_us = m->round_rtt_us;
    m->mode = ED_MODEL_STARTUP;
    m->acks = 0;
    ed_model_set_window(m, m->episode_window);
}

/** There was a long queue, and it has not gone. */
static void judge_rest(ed_model *m, uint64_t now_ns)
{
    if (m->queue_us + m->dip_queue_us / STAYED >= m->dip_queue_us)
        raise_base(m, now_ns);
    else if (++m->part_count >= PARTS_MAX)
        join_crowd(m, now_ns);
}

void ed_model_judge_dip(ed_model *m, uint64_t now_ns)
{
    uint64_t clear_us = ed_max_u64(m->dip_queue_us / STAYED, ed_model_ms(ED_MODEL_QUEUE_CLEAR_MS));

    m->mode = ED_MODEL_CRUISE;
    m->queue_rounds = 0;
    m->since_dip = DIP_REST_ROUNDS;
    m->dip_at_ms = next_dip_ms(m, now_ns);
    if (m->queue_us <= clear_us) {
        m->since_dip = 0;
        m->part_count = 0;
        m->base_us = m->round_rtt_us;
        ed_model_leave_crowd(m, now_ns);
    } else if (m->dip_queue_us > ed_model_ms(ED_MODEL_QUEUE_MAX_MS)) {
        judge_rest(m, now_ns);
    }
}
