/**
 * The deadlines of a number of slots: at most one a slot, exact (never early), and of several that
 * are due at the same time the lowest slot comes first. A 4-ary heap with an index.
 */
#ifndef ED_DEADLINE_H
#define ED_DEADLINE_H

#include "core/eddy.h"

typedef struct ed_deadlines ed_deadlines;

/** For slots 0 to `slot_count` - 1. Allocates here, and when widened. @return NULL out of memory.
 */
ed_deadlines *ed_deadlines_create(const eddy_allocator *allocator, uint32_t slot_count);
void ed_deadlines_destroy(ed_deadlines *deadlines); /* NULL is fine */

/** Makes room for more slots, if there are fewer. @return false out of memory: all is as before. */
bool ed_deadlines_widen(ed_deadlines *deadlines, uint32_t slot_count);

/** Sets, moves, or with UINT64_MAX removes the slot's deadline. */
void ed_deadlines_set(ed_deadlines *deadlines, uint32_t slot, uint64_t at_ns);

/** The earliest deadline, or UINT64_MAX. */
uint64_t ed_deadlines_next_ns(const ed_deadlines *deadlines);

/** Takes the earliest deadline off if it is due. @return false if none is. */
bool ed_deadlines_pop(ed_deadlines *deadlines, uint64_t now_ns, uint32_t *slot);

/** Whether heap order and index agree. */
bool ed_deadlines_valid(const ed_deadlines *deadlines);

#endif
