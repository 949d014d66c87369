/** Loss is a sign where there is suddenly more of it than there has been, and not by chance. */
#include "transport/model.h"

enum {

    RISES = 16, /* the share known moves by that part of the way to a higher one, */
    FALLS = 4,  /* and of the way to a lower one */
    SPILL_PART = ED_MODEL_WHOLE / 20, /* more than it was by that part, */
    SPILL_AT_ONCE = 8,  /* and by so many datagrams, is for want of room, if the window grew; */
    SPILL_IN_A_ROW = 2, /* or by so many */
    SPILL_ROUNDS = 3,   /* in that many rounds */
    SPILL_PART_MAX = 4, /* of the window that it takes, at the most */
};

static uint64_t all_of(const ed_model *m)
{
    return (uint64_t)m->round_acked + m->round_lost;
}

/** Bytes of the round that are lost whatever we do. */
static uint64_t known_loss(const ed_model *m)
{
    return all_of(m) * m->loss_part / ED_MODEL_WHOLE;
}

/** Whether more was lost, by so many datagrams, than there has been. */
static bool spills(const ed_model *m, uint32_t datagrams)
{
    uint64_t chance =
        all_of(m) * SPILL_PART / ED_MODEL_WHOLE + (uint64_t)datagrams * m->datagram_size;

    return m->round_lost > known_loss(m) + chance;
}

static void learn_loss(ed_model *m)
{
    uint64_t all = ed_max_u64(all_of(m), 1);
    uint32_t part =
        (uint32_t)ed_min_u64(m->round_lost * (uint64_t)ED_MODEL_WHOLE / all, UINT16_MAX);

    if (part > m->loss_part)
        m->loss_part = (uint16_t)(m->loss_part + (part - m->loss_part) / RISES);
    else
        m->loss_part = (uint16_t)(m->loss_part - (m->loss_part - part) / FALLS);
}

uint32_t ed_model_passed(const ed_model *m)
{
    return m->round_acked + (spills(m, SPILL_AT_ONCE) ? 0 : m->round_lost);
}

/** The window goes back to what it was, without what spilt. */
static void shrink(ed_model *m)
{
    uint64_t window = ed_min_u64(m->window, m->window_before);
    uint64_t least = window - window / SPILL_PART_MAX;

    ed_model_set_window(m,
                        ed_max_u64(window * (m->round_acked + known_loss(m)) / all_of(m), least));
    m->step = 0;
}

bool ed_model_heed_loss(ed_model *m)
{
    bool has_grown = m->step > 0 || m->mode == ED_MODEL_STARTUP;

    m->spill_rounds = spills(m, SPILL_IN_A_ROW) ? (uint8_t)(m->spill_rounds + 1) : 0;
    bool is_spill = m->spill_rounds >= SPILL_ROUNDS || (has_grown && spills(m, SPILL_AT_ONCE));
    if (is_spill) {
        m->spill_rounds = 0;
        shrink(m);
    }
    learn_loss(m);
    return is_spill;
}
