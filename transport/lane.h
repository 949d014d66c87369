/**
 * The lanes of a connection: one for each guarantee on each stream, with a sequence of its own.
 * Made on first use; a table that holds only stream 0 costs one pointer a guarantee, and others two
 * short tables for the first of a group.
 */
#ifndef ED_LANE_H
#define ED_LANE_H

#include "transport/frame.h"

typedef struct ed_lane_name {
    uint8_t guarantee; /* ED_WIRE_* */
    uint8_t stream;
} ed_lane_name;

enum { ED_LANE_GROUP = 16 }; /* streams of a group, and groups of a guarantee */

typedef struct ed_lane_group {
    void *lane[ED_LANE_GROUP];
} ed_lane_group;

typedef struct ed_lane_groups {
    ed_lane_group *group[ED_LANE_GROUP]; /* by the high half of a stream; NULL: none is used */
} ed_lane_groups;

typedef struct ed_lanes {
    const eddy_allocator *allocator;
    size_t lane_size;
    void *stream_0[ED_WIRE_GUARANTEE_COUNT];
    ed_lane_groups *others[ED_WIRE_GUARANTEE_COUNT]; /* or NULL */
    uint16_t end[ED_WIRE_GUARANTEE_COUNT]; /* one above the highest stream that has a lane */
} ed_lanes;

void ed_lanes_init(ed_lanes *lanes, const eddy_allocator *allocator, size_t lane_size);

/** Frees the lanes; what they hold is let go by `clear(context, lane)` before. */
void ed_lanes_free(ed_lanes *lanes, void (*clear)(void *context, void *lane), void *context);

/** The lane, or NULL if it was never used. */
void *ed_lanes_find(const ed_lanes *lanes, uint8_t guarantee, uint8_t stream);

/** The bytes of memory that ed_lanes_get would take. */
size_t ed_lanes_cost(const ed_lanes *lanes, uint8_t guarantee, uint8_t stream);

/** The lane, made (zeroed, `*made` true) if there was none; NULL out of memory. */
void *ed_lanes_get(ed_lanes *lanes, uint8_t guarantee, uint8_t stream, bool *made);

#endif
