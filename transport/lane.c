#include "transport/lane.h"

#include <string.h>

#include "core/alloc.h"

enum { CAPACITY_MIN = 8 };

static_assert(2 * EDDY_STREAM_COUNT * ED_WIRE_GUARANTEE_COUNT <= UINT16_MAX,
              "capacity has 16 bits");

void ed_lanes_init(ed_lanes *lanes, const eddy_allocator *allocator, size_t lane_size)
{
    ED_ASSERT(lane_size <= UINT16_MAX);
    *lanes = (ed_lanes){.allocator = allocator, .lane_size = (uint16_t)lane_size};
}

void ed_lanes_each(const ed_lanes *lanes, void (*visit)(void *context, void *lane), void *context)
{
    for (size_t g = 0; g < ED_WIRE_GUARANTEE_COUNT; g++)
        if (lanes->stream_0[g] != NULL)
            visit(context, lanes->stream_0[g]);
    for (uint32_t i = 0; i < lanes->other_count; i++)
        visit(context, lanes->others[i].lane);
}

static void free_lane(void *context, void *lane)
{
    const ed_lanes *lanes = context;

    ed_alloc_free(lanes->allocator, lane, lanes->lane_size);
}

void ed_lanes_free(ed_lanes *lanes, void (*clear)(void *context, void *lane), void *context)
{
    ed_lanes_each(lanes, clear, context);
    ed_lanes_each(lanes, free_lane, lanes);
    ed_alloc_free(lanes->allocator, lanes->others, lanes->other_capacity * sizeof(ed_lane_entry));
    ed_lanes_init(lanes, lanes->allocator, lanes->lane_size);
}

static uint16_t name_of(uint8_t guarantee, uint8_t stream)
{
    return (uint16_t)(guarantee << 8 | stream);
}

/** How many lanes come before that name. */
static uint32_t place_of(const ed_lanes *lanes, uint16_t name)
{
    uint32_t low = 0;
    uint32_t high = lanes->other_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (lanes->others[middle].name < name)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void *ed_lanes_find_other(const ed_lanes *lanes, uint8_t guarantee, uint8_t stream)
{
    uint16_t name = name_of(guarantee, stream);
    uint32_t place = place_of(lanes, name);
    bool is_there = place < lanes->other_count && lanes->others[place].name == name;
    return is_there ? lanes->others[place].lane : NULL;
}

/** How many places the list needs for one more. */
static uint32_t wider(const ed_lanes *lanes)
{
    if (lanes->other_count < lanes->other_capacity)
        return lanes->other_capacity;
    return lanes->other_capacity == 0 ? CAPACITY_MIN : 2u * lanes->other_capacity;
}

size_t ed_lanes_cost(const ed_lanes *lanes, uint8_t guarantee, uint8_t stream)
{
    size_t more = stream == 0 ? 0 : wider(lanes) - lanes->other_capacity;

    if (ed_lanes_find(lanes, guarantee, stream) != NULL)
        return 0;
    return lanes->lane_size + more * sizeof(ed_lane_entry);
}

static bool widen(ed_lanes *lanes)
{
    uint32_t capacity = wider(lanes);

    if (capacity == lanes->other_capacity)
        return true;
    ed_lane_entry *others =
        ed_alloc_grow(lanes->allocator, lanes->others, lanes->other_capacity * sizeof(*others),
                      capacity * sizeof(*others));
    if (others == NULL)
        return false;
    lanes->others = others;
    lanes->other_capacity = (uint16_t)capacity;
    return true;
}

/** Puts it into the list, where there is a place for it. */
static void insert(ed_lanes *lanes, uint16_t name, void *lane)
{
    uint32_t place = place_of(lanes, name);
    ed_lane_entry *at = &lanes->others[place];

    ED_ASSERT(lanes->other_count < lanes->other_capacity);
    memmove(at + 1, at, (lanes->other_count - place) * sizeof(*at));
    *at = (ed_lane_entry){.name = name, .lane = lane};
    lanes->other_count++;
}

void *ed_lanes_get(ed_lanes *lanes, uint8_t guarantee, uint8_t stream, bool *made)
{
    void *lane = ed_lanes_find(lanes, guarantee, stream);

    *made = false;
    if (lane != NULL)
        return lane;
    if (stream != 0 && !widen(lanes))
        return NULL;
    lane = ed_alloc_zeroed(lanes->allocator, lanes->lane_size);
    if (lane == NULL)
        return NULL;
    if (stream == 0)
        lanes->stream_0[guarantee] = lane;
    else
        insert(lanes, name_of(guarantee, stream), lane);
    if (stream >= lanes->end[guarantee])
        lanes->end[guarantee] = (uint16_t)(stream + 1u);
    *made = true;
    return lane;
}
