/**
 * How often a small reliable message goes along again in packets that leave anyway, before anybody
 * knows whether it came. Decided by what the path loses, and whether it loses in runs: so many
 * copies that hardly ever all of them are lost; none on a path that loses next to nothing. Of which
 * nothing is known yet is taken for one that loses much: a game's first loss would be felt most. An
 * ideal error-correcting code in as many bytes would be no earlier (`eddy bench L1 --peers fec`).
 */
#ifndef ED_REDUNDANCY_H
#define ED_REDUNDANCY_H

#include "core/base.h"

enum {
    ED_COPIES_MAX = 16,          /* of a message, besides the first, until it is overdue */
    ED_COPY_SIZE_MAX = 300,      /* bytes of a message that is copied */
    ED_COPY_LOOK_BACK = 64,      /* packets that are looked at for something to copy */
    ED_COPY_QUEUE_MS = 10,       /* no copies while a packet waits so long on the path */
    ED_COPY_SPARE_DATAGRAMS = 2, /* no copies where pacing has not so many to spare */
    ED_COPY_LOSS_MIN_PPM = 1000, /* a path that loses less needs none */
    ED_COPY_RESIDUE_PPM = 20,    /* the share of messages of which all copies may be lost */
};

typedef struct ed_redundancy {
    uint32_t loss_ppm;  /* share of packets lost, smoothed */
    uint32_t run_ppm;   /* share of lost ones whose predecessor was lost, smoothed */
    uint64_t last_lost; /* its number, and 1 */
    uint32_t count;     /* packets so far, and of these the lost ones: as far as that matters */
    uint32_t lost_count;
} ed_redundancy;

/** Of a path of which nothing is known. */
void ed_redundancy_init(ed_redundancy *redundancy);

/** A packet that asked for an acknowledgement has got it, or was declared lost. */
void ed_redundancy_on_acked(ed_redundancy *redundancy);
void ed_redundancy_on_lost(ed_redundancy *redundancy, uint64_t number);

/** How many packets behind the first are to carry a message, too: 0 to ED_COPIES_MAX. */
uint32_t ed_redundancy_copies(const ed_redundancy *redundancy);

#endif
