#include "transport/lane.h"

#include <string.h>

#include "core/alloc.h"

static_assert(ED_LANE_GROUP * ED_LANE_GROUP == ED_STREAM_COUNT, "every stream has its place");

void ed_lanes_init(ed_lanes *lanes, const eddy_allocator *allocator, size_t lane_size)
{
    *lanes = (ed_lanes){.allocator = allocator, .lane_size = lane_size};
}

static void free_lane(ed_lanes *lanes, void *lane, void (*clear)(void *context, void *lane),
                      void *context)
{
    if (lane == NULL)
        return;
    clear(context, lane);
    ed_alloc_free(lanes->allocator, lane, lanes->lane_size);
}

static void free_group(ed_lanes *lanes, ed_lane_group *group,
                       void (*clear)(void *context, void *lane), void *context)
{
    for (size_t i = 0; group != NULL && i < ED_LANE_GROUP; i++)
        free_lane(lanes, group->lane[i], clear, context);
    ed_alloc_free(lanes->allocator, group, sizeof(*group));
}

void ed_lanes_free(ed_lanes *lanes, void (*clear)(void *context, void *lane), void *context)
{
    for (size_t g = 0; g < ED_WIRE_GUARANTEE_COUNT; g++) {
        ed_lane_groups *others = lanes->others[g];
        free_lane(lanes, lanes->stream_0[g], clear, context);
        for (size_t i = 0; others != NULL && i < ED_LANE_GROUP; i++)
            free_group(lanes, others->group[i], clear, context);
        ed_alloc_free(lanes->allocator, others, sizeof(*others));
        lanes->stream_0[g] = NULL;
        lanes->others[g] = NULL;
    }
    memset(lanes->end, 0, sizeof(lanes->end));
}

static ed_lane_group *group_of(const ed_lanes *lanes, uint8_t guarantee, uint8_t stream)
{
    const ed_lane_groups *others = lanes->others[guarantee];

    return others == NULL ? NULL : others->group[stream / ED_LANE_GROUP];
}

void *ed_lanes_find(const ed_lanes *lanes, uint8_t guarantee, uint8_t stream)
{
    ED_ASSERT(guarantee < ED_WIRE_GUARANTEE_COUNT);
    if (stream == 0)
        return lanes->stream_0[guarantee];
    const ed_lane_group *group = group_of(lanes, guarantee, stream);
    return group == NULL ? NULL : group->lane[stream % ED_LANE_GROUP];
}

size_t ed_lanes_cost(const ed_lanes *lanes, uint8_t guarantee, uint8_t stream)
{
    size_t cost = lanes->lane_size;

    if (ed_lanes_find(lanes, guarantee, stream) != NULL)
        return 0;
    if (stream == 0)
        return cost;
    cost += lanes->others[guarantee] == NULL ? sizeof(ed_lane_groups) : 0;
    return cost + (group_of(lanes, guarantee, stream) == NULL ? sizeof(ed_lane_group) : 0);
}

/** Where the lane of a stream but 0 stands; NULL out of memory. */
static void **make_place(ed_lanes *lanes, uint8_t guarantee, uint8_t stream)
{
    ed_lane_groups **others = &lanes->others[guarantee];

    if (*others == NULL)
        *others = ed_alloc_zeroed(lanes->allocator, sizeof(**others));
    if (*others == NULL)
        return NULL;
    ed_lane_group **group = &(*others)->group[stream / ED_LANE_GROUP];
    if (*group == NULL)
        *group = ed_alloc_zeroed(lanes->allocator, sizeof(**group));
    return *group == NULL ? NULL : &(*group)->lane[stream % ED_LANE_GROUP];
}

void *ed_lanes_get(ed_lanes *lanes, uint8_t guarantee, uint8_t stream, bool *made)
{
    ED_ASSERT(guarantee < ED_WIRE_GUARANTEE_COUNT);
    void **place = stream == 0 ? &lanes->stream_0[guarantee] : make_place(lanes, guarantee, stream);

    *made = false;
    if (place == NULL)
        return NULL;
    if (*place == NULL) {
        *place = ed_alloc_zeroed(lanes->allocator, lanes->lane_size);
        *made = *place != NULL;
        if (*made && stream >= lanes->end[guarantee])
            lanes->end[guarantee] = (uint16_t)(stream + 1u);
    }
    return *place;
}
