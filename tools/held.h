/** Messages that wait until there is room to send them: a queue for each connection that has any.
 */
#ifndef ED_TOOL_HELD_H
#define ED_TOOL_HELD_H

#include "core/eddy.h"
#include "core/list.h"

typedef struct ed_held {
    const eddy_allocator *allocator;
    ed_list queues; /* few: one for each connection that waits */
} ed_held;

void ed_held_init(ed_held *held, const eddy_allocator *allocator);

/** Appends an event to its connection's queue. @return false out of memory: nothing changes. */
bool ed_held_push(ed_held *held, const eddy_event *event);

/** The event that has waited longest of its connection, or NULL. */
const eddy_event *ed_held_first(const ed_held *held, eddy_connection connection);

/** Takes out what ed_held_first returns; there is one. The caller owns it. */
eddy_event ed_held_pop(ed_held *held, eddy_connection connection);

/** Some connection that waits; 0: none does. */
eddy_connection ed_held_any(const ed_held *held);

#endif
