#include "transport/ack.h"

#include <string.h>

#include "core/alloc.h"
#include "transport/frame.h"

void ed_ack_init(ed_ack *ack, const eddy_allocator *allocator)
{
    *ack = (ed_ack){.allocator = allocator,
                    .received = ed_ranges_over(ack->few, ED_ACK_RANGES_FEW),
                    .deadline_ns = ED_NEVER_NS};
}

bool ed_ack_is_wide(const ed_ack *ack)
{
    return ack->received.range != ack->few;
}

void ed_ack_free(ed_ack *ack)
{
    if (ed_ack_is_wide(ack))
        ed_alloc_free(ack->allocator, ack->received.range, ED_ACK_RANGES_MAX * sizeof(ed_range));
    ed_ack_init(ack, ack->allocator);
}

/** Moves to other places, which have room for all. */
static void move(ed_ack *ack, ed_range *places, uint32_t capacity)
{
    ED_ASSERT(ack->received.count <= capacity);
    memcpy(places, ack->received.range, ack->received.count * sizeof(*places));
    ack->received.range = places;
    ack->received.capacity = capacity;
}

/** Without memory for it the oldest ranges give way earlier. */
static void widen(ed_ack *ack)
{
    ed_range *places = ed_alloc_array(ack->allocator, ED_ACK_RANGES_MAX, sizeof(*places));

    if (places != NULL)
        move(ack, places, ED_ACK_RANGES_MAX);
}

/** Whether the set is full, and the number is neither in it nor next to what is. */
static bool needs_place(const ed_ranges *ranges, uint64_t number)
{
    for (uint32_t i = 0; i < ranges->count; i++)
        if (number + 1 >= ranges->range[i].first && number <= ranges->range[i].last + 1)
            return false;
    return ranges->count == ranges->capacity;
}

void ed_ack_rest(ed_ack *ack)
{
    ed_range *places = ack->received.range;

    if (!ed_ack_is_wide(ack) || ack->received.count > ED_ACK_RANGES_FEW)
        return;
    move(ack, ack->few, ED_ACK_RANGES_FEW);
    ed_alloc_free(ack->allocator, places, ED_ACK_RANGES_MAX * sizeof(*places));
}

static bool is_due(const ed_ack *ack)
{
    return ack->prompt >= ED_ACK_PROMPT_MAX || ack->eliciting >= ED_ACK_PATIENT_MAX ||
           ack->size >= ED_ACK_PATIENT_SIZE;
}

void ed_ack_on_packet(ed_ack *ack, uint64_t number, ed_ack_haste haste, size_t size,
                      uint64_t now_ns)
{
    bool first = ack->received.count == 0;
    bool newest = first || number > ack->received.range[0].last;
    bool in_order = first || number == ack->received.range[0].last + 1;

    if (!ed_ack_is_wide(ack) && needs_place(&ack->received, number))
        widen(ack);
    (void)ed_ranges_add(&ack->received, number);
    if (newest)
        ack->largest_ns = now_ns;
    if (haste == ED_ACK_UNASKED)
        return;
    ack->eliciting++;
    ack->prompt += haste == ED_ACK_PROMPT ? 1 : 0;
    ack->size += size;
    uint64_t wait_ns = !in_order || is_due(ack)  ? 0
                       : haste == ED_ACK_PATIENT ? ED_ACK_PATIENCE_NS
                                                 : ED_ACK_DELAY_NS;
    ack->deadline_ns = ed_min_u64(ack->deadline_ns, ed_add_sat_u64(now_ns, wait_ns));
}

void ed_ack_hasten(ed_ack *ack, uint64_t now_ns)
{
    if (ed_ack_wanted(ack))
        ack->deadline_ns = now_ns;
}

bool ed_ack_wanted(const ed_ack *ack)
{
    return ack->eliciting > 0 && ack->received.count > 0;
}

uint64_t ed_ack_largest(const ed_ack *ack)
{
    ED_ASSERT(ack->received.count > 0);
    return ack->received.range[0].last;
}

void ed_ack_write(ed_ack *ack, ed_writer *w, uint64_t now_ns)
{
    ED_ASSERT(now_ns >= ack->largest_ns);
    ed_frame_write_ack(w, &ack->received, (now_ns - ack->largest_ns) / ED_NS_PER_US);
}

void ed_ack_on_sent(ed_ack *ack)
{
    ack->eliciting = 0;
    ack->prompt = 0;
    ack->size = 0;
    ack->deadline_ns = ED_NEVER_NS;
}

void ed_ack_on_acked(ed_ack *ack, uint64_t largest)
{
    if (ack->received.count == 0)
        return;
    // The newest number stays: the next packet is judged in or out of order by it.
    uint64_t newest = ed_ack_largest(ack);
    if (newest > 0)
        ed_ranges_forget(&ack->received, ed_min_u64(largest, newest - 1));
}
