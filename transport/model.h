/**
 * Congestion control by a model of the path: what its round trip is with an empty queue, and how
 * many bytes it holds then. So many are kept in flight, and a few more: the share of the queue that
 * each flow holds, which is what makes flows equal, whatever their round trips (after FAST, Wei et
 * al. 2006, and Copa, Arun and Balakrishnan 2018). Loss by itself is no sign.
 *
 * A queue that stays may not be ours: the path may have become longer, or a flow that heeds nothing
 * but loss keeps it full. To tell, what is in flight dips for a moment below what the path holds: a
 * queue of our own is gone then. What stays whole is the path; what stays in part is others', and
 * from then on we do as they do, until a dip shows that they have gone.
 *
 * All but the end of the startup is decided at the end of rounds: the packets of one have left
 * before the first of the next is acknowledged.
 *
 * model.c: rounds and the window. model_dip.c: whose the queue is. model_loss.c: what loss says.
 */
#ifndef ED_MODEL_H
#define ED_MODEL_H

#include "core/base.h"
#include "transport/congestion.h"

#define ED_MODEL_NEVER_US UINT32_MAX

enum {
    ED_MODEL_SHARE_DATAGRAMS = 3, /* of each flow in the queue */
    ED_MODEL_QUEUE_MAX_MS = 12,   /* a queue longer than that may not be ours */
    ED_MODEL_QUEUE_CLEAR_MS = 3,  /* with less, no others keep a queue */
    ED_MODEL_WHOLE = 1 << 16,     /* of which loss is a part */
};

static inline uint32_t ed_model_us(uint64_t ns)
{
    return (uint32_t)ed_min_u64(ns / ED_NS_PER_US, ED_MODEL_NEVER_US - 1);
}

static inline uint32_t ed_model_ms(uint32_t ms)
{
    return ms * (uint32_t)(ED_NS_PER_MS / ED_NS_PER_US);
}

/** A time in ms, which wraps; not 0. */
static inline uint32_t ed_model_now_ms(uint64_t now_ns)
{
    return (uint32_t)(now_ns / ED_NS_PER_MS) | 1;
}

/** Our share of the queue. */
static inline uint32_t ed_model_share(const ed_model *m)
{
    return ED_MODEL_SHARE_DATAGRAMS * m->datagram_size;
}

/** How much of `size` is there without a queue that waits for so long, beyond what is free. */
static inline uint64_t ed_model_held(const ed_model *m, uint64_t size, uint32_t queue_us)
{
    uint64_t path_us = ed_max_u64((uint64_t)m->base_us + m->free_us, 1);

    return size * path_us / (path_us + queue_us);
}

/** Within what any window must be. */
void ed_model_set_window(ed_model *m, uint64_t window);

/** Takes in the least round trip of the round, which may be the path's own. */
void ed_model_learn_base(ed_model *m, uint64_t now_ns);

/** Counts rounds with a long queue. `is_used`: the window was, so that it may be ours. */
void ed_model_watch_queue(ed_model *m, bool is_used, uint64_t now_ns);

bool ed_model_dip_is_due(const ed_model *m, uint64_t now_ns);
void ed_model_begin_dip(ed_model *m);

/** A round of it is over. One that empties nothing, for what passes the window, is given up. */
void ed_model_watch_dip(ed_model *m, uint64_t now_ns);

/** The round is over that shows what the dip did. */
void ed_model_judge_dip(ed_model *m, uint64_t now_ns);

/** Others have gone. */
void ed_model_leave_crowd(ed_model *m, uint64_t now_ns);

/** Bytes of the round that went through the bottleneck. */
uint32_t ed_model_passed(const ed_model *m);

/** The round is over. @return whether more was lost than can be chance, and the window has shrunk.
 */
bool ed_model_heed_loss(ed_model *m);

#endif
