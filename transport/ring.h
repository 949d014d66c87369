/**
 * What is known of a lane's reliable messages from the first on that is not settled: a ring of
 * blocks, each a message that waits for those before it, or a mark. Internal to the inbox.
 */
#ifndef ED_RING_H
#define ED_RING_H

#include "transport/stream_receive.h"

/* The marks. Only their addresses matter. */
extern ed_block ed_ring_received; /* was delivered already */
extern ed_block ed_ring_skipped;  /* was given up */

/** What is known of a sequence that is not settled, or NULL. */
ed_block *ed_ring_held(const ed_lane_in *lane, uint64_t sequence);

/** The ring reaches the sequence, and nothing was held there. */
void ed_ring_hold(ed_lane_in *lane, uint64_t sequence, ed_block *held);
void ed_ring_unhold(ed_lane_in *lane, uint64_t sequence);

/** Makes the ring reach a sequence. @return false out of memory. */
bool ed_ring_reach(ed_inbox *inbox, ed_lane_in *lane, uint64_t sequence);

/**
 * Nothing is held in the ring: it is kept for the next gap, unless too many are. It counts as kept
 * as long as it is there, as the next gap may be far smaller than it is long.
 */
void ed_ring_rest(ed_inbox *inbox, ed_lane_in *lane);

/** Gives the ring back, and what is held in it. */
void ed_ring_clear(ed_lane_in *lane);

/* The inbox's own, of stream_receive.c. */

/** Room for as much may be granted again, but for what rings take. */
void ed_inbox_consume(ed_inbox *inbox, uint64_t charge);

#endif
