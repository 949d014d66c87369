/** How long a datagram travels: base delay, jitter, and now and then a hold. */
#ifndef ED_SIM_DELAY_H
#define ED_SIM_DELAY_H

#include "sim/link.h"

typedef struct ed_delay {
    uint64_t jitter_key;
    uint64_t hold_key;
    uint64_t latest_ns; /* the last arrival so far, held ones aside */
} ed_delay;

void ed_delay_init(ed_delay *delay, uint64_t seed, uint64_t link, uint32_t direction);

/** The jitter that a draw stands for. Integers only: the logarithm is taken bit by bit. */
uint64_t ed_jitter_ns(ed_jitter jitter, uint64_t jitter_ns, uint64_t draw);

/** When the copy with this number, leaving at `depart_ns`, arrives; `*held` tells of a hold. */
uint64_t ed_delay_arrival(ed_delay *delay, const ed_link_config *config, uint64_t copy,
                          uint64_t depart_ns, bool *held);

#endif
