/**
 * The reliable messages of which only parts are here: each stands in a tree of its lane, so that
 * one far ahead of the others takes no more memory than they. Internal to the inbox; of the
 * unreliable ones see partial.h.
 */
#ifndef ED_PARTS_H
#define ED_PARTS_H

#include "transport/stream_receive.h"

/** The message of this sequence, if it has begun to arrive; else NULL. */
const ed_begun *ed_parts_find(const ed_lane_in *lane, uint64_t sequence);

/** What has been claimed for it. */
uint64_t ed_parts_claimed(const ed_begun *begun);

/**
 * Takes a part in.
 * @param whole the message, if it is complete now: it is not among the others any more, and the
 * ring reaches it; otherwise untouched.
 * @return as ed_inbox_receive.
 */
EDDY_MUST_CHECK eddy_status ed_parts_receive(ed_inbox *inbox, ed_lane_in *lane,
                                             const ed_message_frame *part, uint64_t sequence,
                                             ed_block **whole);

/** Forgets the message of this sequence, if it has begun to arrive. */
void ed_parts_end(ed_inbox *inbox, ed_lane_in *lane, uint64_t sequence);

/** Gives back all that has begun to arrive. */
void ed_parts_free(ed_inbox *inbox);

/** When a reliable message in parts has had its time, or ED_NEVER_NS. */
uint64_t ed_inbox_overdue_ns(const ed_inbox *inbox);

#endif
