/** Messages that come in runs: what they have in common is looked at once. */
#include <string.h>

#include "transport/partial.h"

/** Whether the first is the one that the lane waits for, and nothing has been heard of later ones.
 */
static bool is_expected(const ed_lane_in *lane, const ed_message_frame *first)
{
    uint32_t expected = (uint32_t)lane->expected & ed_frame_sequence_mask(first);

    if (first->sequence != expected || lane->highest != lane->expected)
        return false;
    ED_ASSERT(lane->held_count == 0 && lane->begun == NULL);
    return true;
}

static bool is_in_turn(const ed_lane_in *lane, const ed_message_frame *first, uint64_t packet)
{
    if (lane == NULL)
        return false;
    if (first->guarantee >= ED_WIRE_RELIABLE_UNORDERED)
        return is_expected(lane, first);
    return first->guarantee == ED_WIRE_UNRELIABLE || packet >= lane->newest;
}

/** The charge that there is still room for. */
static uint64_t room_for(const ed_inbox *inbox, bool reliable)
{
    const ed_credit_pool *room = inbox->parts->room;

    if (reliable)
        return inbox->credit.limit - inbox->credit.claimed;
    ED_ASSERT(inbox->unreliable <= inbox->parts->unreliable_budget &&
              room->unreliable <= room->unreliable_max);
    return ed_min_u64(inbox->parts->unreliable_budget - inbox->unreliable,
                      room->unreliable_max - room->unreliable);
}

/** How many, from the first on, may be sent in one piece and are within `left`. */
static size_t count_within(const ed_inbox *inbox, const ed_message_run *run, uint64_t left)
{
    size_t most = ed_min_size(inbox->parts->max_message_size, EDDY_PIECE_SIZE_MAX);
    size_t count = 0;

    for (; count < run->count; count++) {
        uint64_t charge = ed_charge_of(run->sizes[count]);
        if (run->sizes[count] > most || charge > left)
            break;
        left -= charge;
    }
    return count;
}

/** Copies messages into their blocks, and links these. @return the charge of all. */
static uint64_t fill(const ed_message_run *run, ed_block *const *blocks, size_t count)
{
    uint64_t note = ed_block_note(run->first.guarantee, run->first.stream, 0);
    uint64_t charge = 0;

    for (size_t i = 0; i < count; i++) {
        if (run->sizes[i] > 0)
            memcpy(blocks[i]->data, run->data[i], run->sizes[i]);
        blocks[i]->note = note;
        blocks[i]->next = i + 1 < count ? blocks[i + 1] : NULL;
        charge += ed_charge_of(run->sizes[i]);
    }
    return charge;
}

static void settle_reliable(ed_inbox *inbox, ed_lane_in *lane, size_t count, uint64_t charge)
{
    bool is_granted = ed_credit_claim(&inbox->credit, charge);

    ED_ASSERT(is_granted); // it was counted
    inbox->unreturned += charge;
    lane->expected += count;
    lane->highest = lane->expected;
}

static void settle_unreliable(ed_inbox *inbox, ed_lane_in *lane, uint64_t packet, uint64_t charge)
{
    inbox->unreliable += charge;
    inbox->parts->room->unreliable += charge;
    lane->newest = ed_max_u64(lane->newest, packet);
}

size_t ed_inbox_receive_run(ed_inbox *inbox, const ed_message_run *run, uint64_t packet)
{
    const ed_message_frame *first = &run->first;
    ed_lane_in *lane = ed_lanes_find(&inbox->lanes, first->guarantee, first->stream);
    bool reliable = first->guarantee >= ED_WIRE_RELIABLE_UNORDERED;
    ED_UNCLEARED ed_block *blocks[ED_FRAME_MESSAGES_MAX];

    if (!is_in_turn(lane, first, packet))
        return 0;
    size_t count = count_within(inbox, run, room_for(inbox, reliable));
    count = ed_pool_take_all(inbox->parts->pool, run->sizes, blocks, count);
    if (count == 0)
        return 0;
    uint64_t charge = fill(run, blocks, count);
    blocks[0]->note =
        ed_block_note(first->guarantee, first->stream, lane->skipped); // of an ordered lane alone
    lane->skipped = 0;
    lane->delivered += count;
    ed_inbox_append(inbox, blocks[0], blocks[count - 1]);
    if (reliable)
        settle_reliable(inbox, lane, count, charge);
    else
        settle_unreliable(inbox, lane, packet, charge);
    return count;
}
