/**
 * A bounded set of numbers, kept as ranges, newest first, in places that its owner has. Where they
 * are full the oldest range gives way.
 */
#ifndef ED_RANGES_H
#define ED_RANGES_H

#include "core/base.h"

enum { ED_RANGES_MAX = 32 };

typedef struct ed_range {
    uint64_t first;
    uint64_t last; /* included */
} ed_range;

typedef struct ed_ranges {
    ed_range *range; /* `capacity` places; descending, with a gap of at least one between them */
    uint32_t count;
    uint32_t capacity; /* up to ED_RANGES_MAX */
} ed_ranges;

/** An empty set over places that outlive it. */
static inline ed_ranges ed_ranges_over(ed_range *places, uint32_t capacity)
{
    return (ed_ranges){.range = places, .capacity = capacity};
}

/** Adds a number. @return false if it was there, or is older than a full set can remember. */
bool ed_ranges_add(ed_ranges *ranges, uint64_t number);

bool ed_ranges_contain(const ed_ranges *ranges, uint64_t number);

/** Forgets every number up to and with `last`. */
void ed_ranges_forget(ed_ranges *ranges, uint64_t last);

/** Whether order, gaps and count are as promised. */
bool ed_ranges_valid(const ed_ranges *ranges);

#endif
