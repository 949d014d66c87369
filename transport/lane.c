#include "transport/lane.h"

#include <string.h>

#include "core/alloc.h"

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

void ed_lanes_free(ed_lanes *lanes, void (*clear)(void *context, void *lane), void *context)
{
    for (size_t g = 0; g < ED_WIRE_GUARANTEE_COUNT; g++) {
        free_lane(lanes, lanes->stream_0[g], clear, context);
        lanes->stream_0[g] = NULL;
        if (lanes->others[g] == NULL)
            continue;
        for (size_t stream = 1; stream < lanes->end[g]; stream++)
            free_lane(lanes, lanes->others[g][stream], clear, context);
        ed_alloc_free(lanes->allocator, lanes->others[g], ED_STREAM_COUNT * sizeof(void *));
        lanes->others[g] = NULL;
    }
    memset(lanes->end, 0, sizeof(lanes->end));
}

void *ed_lanes_find(const ed_lanes *lanes, uint8_t guarantee, uint8_t stream)
{
    ED_ASSERT(guarantee < ED_WIRE_GUARANTEE_COUNT);
    if (stream == 0)
        return lanes->stream_0[guarantee];
    return lanes->others[guarantee] == NULL ? NULL : lanes->others[guarantee][stream];
}

void *ed_lanes_get(ed_lanes *lanes, uint8_t guarantee, uint8_t stream, bool *made)
{
    ED_ASSERT(guarantee < ED_WIRE_GUARANTEE_COUNT);
    void ***others = &lanes->others[guarantee];

    *made = false;
    if (stream != 0 && *others == NULL) {
        *others = ed_alloc_array(lanes->allocator, ED_STREAM_COUNT, sizeof(void *));
        if (*others == NULL)
            return NULL;
    }
    void **place = stream == 0 ? &lanes->stream_0[guarantee] : &(*others)[stream];
    if (*place == NULL) {
        *place = ed_alloc_zeroed(lanes->allocator, lanes->lane_size);
        *made = *place != NULL;
        if (*made && stream >= lanes->end[guarantee])
            lanes->end[guarantee] = (uint16_t)(stream + 1u);
    }
    return *place;
}
