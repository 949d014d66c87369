/**
 * The lanes of a connection: one for each guarantee on each stream, with a sequence of its own.
 * Made on first use; a table that holds only stream 0 costs one pointer a guarantee, and any
 * other one a place in a list.
 */
#ifndef ED_LANE_H
#define ED_LANE_H

#include "transport/frame.h"

typedef struct ed_lane_name {
    uint8_t guarantee; /* ED_WIRE_* */
    uint8_t stream;
} ed_lane_name;

typedef struct ed_lane_entry {
    void *lane;
    uint16_t name; /* guarantee and stream */
} ed_lane_entry;

typedef struct ed_lanes {
    const eddy_allocator *allocator;
    void *stream_0[ED_WIRE_GUARANTEE_COUNT];
    ed_lane_entry *others; /* other_count of them, in the order of their names */
    uint16_t lane_size;
    uint16_t other_count;
    uint16_t other_capacity;
    uint16_t end[ED_WIRE_GUARANTEE_COUNT]; /* one above the highest stream that has a lane */
} ed_lanes;

void ed_lanes_init(ed_lanes *lanes, const eddy_allocator *allocator, size_t lane_size);

/** Frees the lanes; what they hold is let go by `clear(context, lane)` before. */
void ed_lanes_free(ed_lanes *lanes, void (*clear)(void *context, void *lane), void *context);

/** Calls `visit(context, lane)` for every lane. */
void ed_lanes_each(const ed_lanes *lanes, void (*visit)(void *context, void *lane), void *context);

/** The lane of a stream other than 0, or NULL if it was never used. */
void *ed_lanes_find_other(const ed_lanes *lanes, uint8_t guarantee, uint8_t stream);

/** The lane, or NULL if it was never used. */
static inline void *ed_lanes_find(const ed_lanes *lanes, uint8_t guarantee, uint8_t stream)
{
    ED_ASSERT(guarantee < ED_WIRE_GUARANTEE_COUNT);
    return stream == 0 ? lanes->stream_0[guarantee] : ed_lanes_find_other(lanes, guarantee, stream);
}

/** The bytes of memory that ed_lanes_get would take. */
size_t ed_lanes_cost(const ed_lanes *lanes, uint8_t guarantee, uint8_t stream);

/** The lane, made (zeroed, `*made` true) if there was none; NULL out of memory. */
void *ed_lanes_get(ed_lanes *lanes, uint8_t guarantee, uint8_t stream, bool *made);

#endif
