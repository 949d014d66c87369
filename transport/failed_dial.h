/**
 * A dial that came to nothing. It has a handle, so its end is told by an event, and so is what
 * became of the messages that were sent before. All that it needs lies in the block of that event,
 * which was reserved when it was dialled: it may have failed for want of memory.
 */
#ifndef ED_FAILED_DIAL_H
#define ED_FAILED_DIAL_H

#include "transport/event.h"

/** @param last reserved for DISCONNECTED, which is the failed dial from here on. */
void ed_failed_dial_init(ed_block *last, eddy_connection connection, eddy_status why);

/** A message was sent on it. @param receipt as in ed_message; it is taken over. */
void ed_failed_dial_add(ed_block *failed, bool is_reliable, ed_block *receipt);

/** Takes its next event. @return whether that was the last, which took the block over. */
bool ed_failed_dial_next(ed_block *failed, ed_event_item *item);

#endif
