/** Loss: each datagram by itself, and in bursts by a Gilbert-Elliott chain. */
#ifndef ED_SIM_LOSS_H
#define ED_SIM_LOSS_H

#include "sim/link.h"

typedef enum ed_link_loss_verdict {
    ED_LOSS_NONE = 0,
    ED_LOSS_ALONE = 1,
    ED_LOSS_BURST = 2,
} ed_link_loss_verdict;

typedef struct ed_link_loss {
    uint64_t alone_key;
    uint64_t burst_key;
    uint64_t state_key;
    bool bad; /* the chain's state; it starts good */
} ed_link_loss;

void ed_link_loss_init(ed_link_loss *loss, uint64_t seed, uint64_t link, uint32_t direction);

/** What becomes of the copy with this number, in the chain's present state. */
ed_link_loss_verdict ed_link_loss_decide(const ed_link_loss *loss, const ed_link_config *config,
                                         uint64_t copy);

/** Moves the chain on, once for each datagram pushed, whatever became of it. */
void ed_link_loss_step(ed_link_loss *loss, const ed_link_config *config, uint64_t ordinal);

#endif
