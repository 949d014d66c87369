#include "transport/begun.h"

#include "core/alloc.h"

bool ed_begun_widen(ed_lane_out *lane, const eddy_allocator *allocator)
{
    uint32_t reach = 2u * lane->reach;

    if (!ed_lane_window_open(lane))
        return false;
    ED_ASSERT(reach <= ED_LANE_WINDOW);
    ed_out **ring = ed_alloc_array(allocator, reach, sizeof(ed_out *));
    if (ring == NULL)
        return false;
    ed_begun_narrow(lane, allocator);
    lane->ring = ring;
    lane->reach = (uint16_t)reach;
    for (ed_list_node *node = ed_list_first(&lane->begun); node != NULL;
         node = ed_list_next(&lane->begun, node)) {
        ed_out *out = ed_out_of_place(node);
        *ed_begun_at(lane, (uint32_t)out->sequence) = out;
    }
    return true;
}

void ed_begun_narrow(ed_lane_out *lane, const eddy_allocator *allocator)
{
    if (lane->ring != NULL)
        ed_alloc_free(allocator, lane->ring, lane->reach * sizeof(ed_out *));
    lane->ring = NULL;
    lane->reach = ED_BEGUN_LISTED;
}

static ed_out *find_in_list(ed_lane_out *lane, uint32_t sequence, uint32_t count)
{
    ed_list_node *node = ed_list_first(&lane->begun);

    for (; node != NULL; node = ed_list_next(&lane->begun, node)) {
        int32_t behind = (int32_t)((uint32_t)ed_out_of_place(node)->sequence - sequence);
        lane->look_count++;
        if (behind >= 0)
            return (uint32_t)behind < count ? ed_out_of_place(node) : NULL;
    }
    return NULL;
}

/** What is settled keeps its place until that is another's, and its record may be another's now. */
static bool is_there(const ed_out *out, const ed_lane_out *lane, uint32_t sequence)
{
    return out != NULL && out->lane == lane && out->part.is_begun &&
           (uint32_t)out->sequence == sequence;
}

ed_out *ed_begun_find(ed_lane_out *lane, uint32_t sequence, uint32_t count)
{
    if (lane->ring == NULL)
        return find_in_list(lane, sequence, count);
    for (uint32_t i = 0; i < count; i++) {
        ed_out *out = *ed_begun_at(lane, sequence + i);
        lane->look_count++;
        if (is_there(out, lane, sequence + i))
            return out;
    }
    return NULL;
}
