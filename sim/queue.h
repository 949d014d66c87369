/** The bottleneck: a rate, and a finite queue before it that drops at its tail. */
#ifndef ED_SIM_QUEUE_H
#define ED_SIM_QUEUE_H

#include "sim/link.h"

typedef struct ed_queue {
    uint64_t free_ns;   /* when what was accepted will have left, rounded down */
    uint64_t remainder; /* what the rounding left out, in 1 / rate_bps ns, so that nothing drifts */
} ed_queue;

/**
 * Queues a datagram of `size` bytes. One that finds the bottleneck idle is always accepted.
 * @return false if the queue has no room; otherwise when it has left, in `*depart_ns`.
 */
bool ed_queue_pass(ed_queue *queue, const ed_link_config *config, size_t size, uint64_t now_ns,
                   uint64_t *depart_ns);

#endif
