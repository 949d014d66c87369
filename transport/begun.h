/**
 * The reliable messages of a lane that were begun and are not settled: a list by sequence, and once
 * that reaches far, a ring beside it, in which any of them is found in one step. Whatever the order
 * in which packets are acknowledged, the search for what one carried is as short as what it names.
 * Internal to the outbox.
 */
#ifndef ED_BEGUN_H
#define ED_BEGUN_H

#include "transport/stream_send.h"

/* Sequences that a lane reaches over without a ring: there the list is looked through, which is no
   longer than the search for the lane, and the many lanes with few messages pay for no ring. */
enum { ED_BEGUN_LISTED = 16 };

static_assert(ED_LANE_WINDOW % ED_BEGUN_LISTED == 0, "doubled, that is the window at last");

/** Makes the lane reach further. @return false: its window is full, or out of memory. */
bool ed_begun_widen(ed_lane_out *lane, const eddy_allocator *allocator);

/** Gives the ring back; it names records of what is settled, too, and goes when these do. */
void ed_begun_narrow(ed_lane_out *lane, const eddy_allocator *allocator);

/** Makes a place for the lane's next message. @return false: as ed_begun_widen. */
static inline bool ed_begun_reserve(ed_lane_out *lane, const eddy_allocator *allocator)
{
    const ed_out *oldest = ed_out_of_place(ed_list_first(&lane->begun));

    return oldest == NULL || lane->next_sequence - oldest->sequence < lane->reach ||
           ed_begun_widen(lane, allocator);
}

static inline ed_out **ed_begun_at(const ed_lane_out *lane, uint32_t sequence)
{
    return &lane->ring[sequence & (lane->reach - 1u)];
}

/** The lane's newest message is begun; there is a place for it. */
static inline void ed_begun_push(ed_lane_out *lane, ed_out *out)
{
    ed_list_push_back(&lane->begun, &out->place);
    if (lane->ring != NULL)
        *ed_begun_at(lane, (uint32_t)out->sequence) = out;
}

/** The first of `count` messages, from one whose sequence ends so, that is begun; or NULL. */
ed_out *ed_begun_find(ed_lane_out *lane, uint32_t sequence, uint32_t count);

#endif
