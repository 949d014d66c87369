/**
 * What a message costs of the send budgets; and how a receive budget is shared out: whether it is
 * enough for its connections is known before any of them is here. In bytes; what is for messages is
 * reckoned in charge, of which a byte may cost one and a half of heap.
 */
#ifndef ED_BUDGET_H
#define ED_BUDGET_H

#include "core/pool.h"

/*
 * What is kept of a message to send besides its block, while it is queued: itself, its part or the
 * command that brings it, its receipt, its place among the deadlines and in the log of what was
 * sent.
 */
#define ED_SEND_HOLDER 400
#define ED_RECEIPT_CHARGE 64 /* of these, what its receipt takes */

enum {
    ED_BUDGET_WINDOW_MIN = 5 << 10, /* of reliable messages, for each connection there may be */
    /* And of heap, for what it takes to receive at all: lanes, and rings that are kept. */
    ED_BUDGET_LANES = 4 << 10,
    ED_BUDGET_RINGS = 2 << 10,
    ED_BUDGET_CONNECTION = ED_BUDGET_LANES + ED_BUDGET_RINGS,
    ED_BUDGET_PARTS_MAX = 128, /* what a message in parts is charged at most, besides its size */
};

typedef struct ed_budget {
    uint64_t windows;    /* charge: for messages of all kinds, a window for each connection */
    uint64_t demands;    /* charge: for large messages that have begun to arrive */
    uint64_t unreliable; /* charge: for unreliable messages */
    bool is_enough;      /* else it is too small for what is asked of it */
} ed_budget;

/** The heap that a message of this size takes while it is queued: what send budgets go by. */
static inline uint64_t ed_send_cost(size_t size)
{
    return ed_pool_charge(size) + ED_SEND_HOLDER + size / ED_POOL_HOLDER_SHARE;
}

/** The costs of many messages, most of them of one size. Zeroed: of none so far. */
typedef struct ed_send_costs {
    size_t size;   /* of the last message, */
    uint64_t cost; /* and its cost */
} ed_send_costs;

/** The cost of the next one. */
static inline uint64_t ed_send_costs_next(ed_send_costs *costs, size_t size)
{
    if (costs->cost == 0 || costs->size != size)
        *costs = (ed_send_costs){.size = size, .cost = ed_send_cost(size)};
    return costs->cost;
}

/** @param connections that there may be at once. */
ed_budget ed_budget_share(size_t budget, size_t max_message_size, uint32_t connections);

#endif
