/**
 * How a receive budget is shared out: whether it is enough for its connections is known before any
 * of them is here. In bytes; what is for messages is reckoned in charge, of which a byte may cost
 * one and a half of heap.
 */
#ifndef ED_BUDGET_H
#define ED_BUDGET_H

#include "core/eddy.h"

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

/** @param connections that there may be at once. */
ed_budget ed_budget_share(size_t budget, size_t max_message_size, uint32_t connections);

#endif
