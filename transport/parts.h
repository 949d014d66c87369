/**
 * The reliable messages that arrive in parts: an assembly stands in its lane's ring until all parts
 * are here. Internal to the inbox; of the unreliable ones see partial.h.
 */
#ifndef ED_PARTS_H
#define ED_PARTS_H

#include "transport/stream_receive.h"

/** Whether what a ring holds, and is no mark, is a message of which parts are here. */
bool ed_parts_held(const ed_block *held);

/** What has been claimed for a message that has begun to arrive. */
uint64_t ed_parts_claimed(ed_block *held);

/**
 * Takes a part in.
 * @param whole the message, if it is complete now: its place is free again; otherwise untouched.
 * @return as ed_inbox_receive.
 */
EDDY_MUST_CHECK eddy_status ed_parts_receive(ed_inbox *inbox, ed_lane_in *lane,
                                             const ed_message_frame *part, uint64_t sequence,
                                             ed_block **whole);

/** Forgets a message that has begun to arrive. */
void ed_parts_end(ed_inbox *inbox, ed_lane_in *lane, uint64_t sequence);

/** Gives back what a ring held: an assembly, or a message. */
void ed_parts_drop(ed_block *held);

/** When a reliable message in parts has had its time, or ED_NEVER_NS. */
uint64_t ed_inbox_overdue_ns(const ed_inbox *inbox);

#endif
