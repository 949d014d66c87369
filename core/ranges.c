#include "core/ranges.h"

#include <string.h>

/** The first range, newest first, that does not lie wholly above `number`; `count` if all do. */
static uint32_t find(const ed_ranges *ranges, uint64_t number)
{
    uint32_t i = 0;

    while (i < ranges->count && ranges->range[i].first > number)
        i++;
    return i;
}

static bool holds(const ed_ranges *ranges, uint32_t i, uint64_t number)
{
    return i < ranges->count && ranges->range[i].first <= number && number <= ranges->range[i].last;
}

static void remove_at(ed_ranges *ranges, uint32_t i)
{
    ED_ASSERT(i < ranges->count);

    ranges->count--;
    memmove(&ranges->range[i], &ranges->range[i + 1],
            (ranges->count - i) * sizeof(ranges->range[0]));
}

/** Makes a range of one number at `i`. @return false if it would be the one to give way. */
static bool insert_at(ed_ranges *ranges, uint32_t i, uint64_t number)
{
    ED_ASSERT(i <= ranges->count);

    if (i == ranges->capacity)
        return false;
    if (ranges->count == ranges->capacity)
        ranges->count--; // the oldest gives way
    memmove(&ranges->range[i + 1], &ranges->range[i],
            (ranges->count - i) * sizeof(ranges->range[0]));
    ranges->range[i] = (ed_range){.first = number, .last = number};
    ranges->count++;
    return true;
}

bool ed_ranges_add(ed_ranges *ranges, uint64_t number)
{
    ED_ASSERT(ranges->count <= ranges->capacity);

    uint32_t i = find(ranges, number);
    if (holds(ranges, i, number))
        return false;

    // The range before `i` is newer than `number`, the one at `i` is older. Neither sum can wrap:
    // there is a number above the first one, and the other lies above number.
    bool joins_older = i < ranges->count && ranges->range[i].last + 1 == number;
    bool joins_newer = i > 0 && number + 1 == ranges->range[i - 1].first;
    if (!joins_older && !joins_newer)
        return insert_at(ranges, i, number);
    if (joins_newer)
        ranges->range[i - 1].first = joins_older ? ranges->range[i].first : number;
    else
        ranges->range[i].last = number;
    if (joins_newer && joins_older)
        remove_at(ranges, i);
    ED_CHECKED(ed_ranges_valid(ranges));
    return true;
}

bool ed_ranges_contain(const ed_ranges *ranges, uint64_t number)
{
    return holds(ranges, find(ranges, number), number);
}

void ed_ranges_forget(ed_ranges *ranges, uint64_t last)
{
    ED_ASSERT(ranges->count <= ranges->capacity);

    while (ranges->count > 0 && ranges->range[ranges->count - 1].last <= last)
        ranges->count--;
    if (ranges->count > 0 && ranges->range[ranges->count - 1].first <= last)
        ranges->range[ranges->count - 1].first = last + 1;
    ED_CHECKED(ed_ranges_valid(ranges));
}

bool ed_ranges_valid(const ed_ranges *ranges)
{
    if (ranges->count > ranges->capacity || ranges->capacity > ED_RANGES_MAX)
        return false;
    for (uint32_t i = 0; i < ranges->count; i++) {
        const ed_range *range = &ranges->range[i];
        if (range->first > range->last)
            return false;
        if (i > 0 && (range->last >= range[-1].first || range[-1].first - range->last < 2))
            return false;
    }
    return true;
}
