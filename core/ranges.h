/** A bounded set of numbers, kept as ranges, newest first. The oldest range gives way. */
#ifndef ED_RANGES_H
#define ED_RANGES_H

#include "core/base.h"

enum { ED_RANGES_MAX = 32 };

typedef struct ed_range {
    uint64_t first;
    uint64_t last; /* included */
} ed_range;

typedef struct ed_ranges {
    ed_range range[ED_RANGES_MAX]; /* descending, with a gap of at least one between them */
    uint32_t count;
} ed_ranges;

/** Adds a number. @return false if it was there, or is older than a full set can remember. */
bool ed_ranges_add(ed_ranges *ranges, uint64_t number);

bool ed_ranges_contain(const ed_ranges *ranges, uint64_t number);

/** Forgets every number up to and with `last`. */
void ed_ranges_forget(ed_ranges *ranges, uint64_t last);

/** Whether order, gaps and count are as promised. */
bool ed_ranges_valid(const ed_ranges *ranges);

#endif
