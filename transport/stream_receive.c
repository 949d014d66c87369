#include "transport/stream_receive.h"

#include <string.h>

#include "core/alloc.h"
#include "transport/check.h"
#include "transport/partial.h"
#include "transport/parts.h"
#include "transport/ring.h"

#define RECEIVED (&ed_ring_received)
#define SKIPPED (&ed_ring_skipped)

bool ed_inbox_init(ed_inbox *inbox, const ed_inbox_parts *parts, uint64_t now_ns)
{
    *inbox = (ed_inbox){.parts = parts};
    ed_lanes_init(&inbox->lanes, parts->allocator, sizeof(ed_lane_in));
    ed_list_init(&inbox->assemblies);
    ed_list_init(&inbox->partials);
    return ed_credit_in_init(&inbox->credit, parts->room, now_ns);
}

/** Makes it, if there is room for one more. */
ED_APART static eddy_status make_lane(ed_inbox *inbox, uint8_t guarantee, uint8_t stream,
                                      ed_lane_in **lane)
{
    size_t cost = ed_lanes_cost(&inbox->lanes, guarantee, stream);
    size_t size = inbox->lanes_size + cost;
    size_t beyond = size > ED_BUDGET_LANES ? size - ED_BUDGET_LANES : 0;
    bool made = false;

    if (beyond > inbox->lanes_taken) {
        if (!ed_credit_take_lanes(inbox->parts->room, beyond - inbox->lanes_taken))
            return EDDY_ELIMIT;
        inbox->lanes_taken =
            (uint32_t)beyond; // also if there is no memory: the next one that comes needs it
    }
    *lane = ed_lanes_get(&inbox->lanes, guarantee, stream, &made);
    // Of what a lane stands in, a part may be here although there was no memory for the rest.
    inbox->lanes_size += (uint32_t)(cost - ed_lanes_cost(&inbox->lanes, guarantee, stream));
    return *lane == NULL ? EDDY_ENOMEM : EDDY_OK;
}

eddy_status ed_inbox_get_lane(ed_inbox *inbox, uint8_t guarantee, uint8_t stream, ed_lane_in **lane)
{
    *lane = ed_lanes_find(&inbox->lanes, guarantee, stream);
    return *lane != NULL ? EDDY_OK : make_lane(inbox, guarantee, stream, lane);
}

static void clear_lane(void *context, void *lane_of_table)
{
    (void)context;
    ed_ring_clear(lane_of_table);
}

void ed_inbox_free(ed_inbox *inbox)
{
    for (ed_block *block = ed_inbox_next(inbox); block != NULL; block = ed_inbox_next(inbox)) {
        ed_inbox_returned(inbox, ed_block_guarantee(block) >= ED_WIRE_RELIABLE_UNORDERED,
                          ed_charge_of(block->size));
        ed_pool_give(block);
    }
    ed_partials_free(inbox);
    ed_parts_free(inbox);
    ed_lanes_free(&inbox->lanes, clear_lane, NULL);
    inbox->parts->room->orphans += inbox->unreturned;
    inbox->parts->room->lanes -= inbox->lanes_taken;
    ed_credit_in_free(&inbox->credit);
}

/* ------------------------------------------------------------------------------- delivering -- */

void ed_inbox_append(ed_inbox *inbox, ed_block *first, ed_block *last)
{
    if (inbox->last_ready == NULL)
        inbox->first_ready = first;
    else
        inbox->last_ready->next = first;
    inbox->last_ready = last;
}

void ed_inbox_make_ready(ed_inbox *inbox, ed_block *block, uint8_t guarantee, uint8_t stream,
                         uint32_t skipped)
{
    block->note = ed_block_note(guarantee, stream, skipped);
    block->next = NULL;
    ed_inbox_append(inbox, block, block);
}

ed_block *ed_inbox_next(ed_inbox *inbox)
{
    ed_block *block = inbox->first_ready;
    if (block == NULL)
        return NULL;
    inbox->first_ready = block->next;
    if (inbox->first_ready == NULL)
        inbox->last_ready = NULL;
    block->next = NULL;
    return block;
}

void ed_inbox_consume(ed_inbox *inbox, uint64_t charge)
{
    uint64_t kept = ed_min_u64(charge, inbox->rings_owed);

    inbox->rings_owed -= kept;
    inbox->credit.consumed += charge - kept;
    ED_ASSERT(inbox->credit.consumed <= inbox->credit.claimed);
}

void ed_inbox_returned(ed_inbox *inbox, bool reliable, uint64_t charge)
{
    if (!reliable) {
        ED_ASSERT(inbox->unreliable >= charge);
        inbox->unreliable -= charge;
        ed_inbox_returned_late(inbox->parts->room, false, charge);
        return;
    }
    ED_ASSERT(inbox->unreturned >= charge);
    inbox->unreturned -= charge;
    ed_inbox_consume(inbox, charge);
}

void ed_inbox_returned_late(ed_credit_pool *room, bool reliable, uint64_t charge)
{
    uint64_t *account = reliable ? &room->orphans : &room->unreliable;

    ED_ASSERT(*account >= charge);
    *account -= charge;
}

/** Gives a reliable message to the program. */
static void deliver(ed_inbox *inbox, ed_lane_in *lane, const ed_lane_name *name, ed_block *block)
{
    inbox->unreturned += ed_charge_of(block->size);
    ed_inbox_make_ready(inbox, block, name->guarantee, name->stream, lane->skipped);
    lane->skipped = 0;
    lane->delivered++;
}

/* --------------------------------------------------------------------------------- settling -- */

/** Only where there is an order a gap before a message means anything. */
static void count_skipped(ed_lane_in *lane, const ed_lane_name *name)
{
    lane->skipped += name->guarantee == ED_WIRE_RELIABLE_ORDERED ? 1 : 0;
}

/** The first unsettled sequence is settled; so are those that were held for want of it. */
static void advance(ed_inbox *inbox, ed_lane_in *lane, const ed_lane_name *name)
{
    lane->expected++;
    while (lane->held_count > 0) {
        ed_block *held = ed_ring_held(lane, lane->expected);
        if (held == NULL)
            return;
        ed_ring_unhold(lane, lane->expected);
        lane->expected++;
        if (held == SKIPPED)
            count_skipped(lane, name);
        if (held != SKIPPED && held != RECEIVED)
            deliver(inbox, lane, name, held);
    }
    if (lane->ring != NULL)
        ed_ring_rest(inbox, lane);
}

/** A sequence, perhaps not the first, is settled, and nothing is left to deliver of it. */
static void settle(ed_inbox *inbox, ed_lane_in *lane, const ed_lane_name *name, uint64_t sequence,
                   ed_block *mark)
{
    if (sequence != lane->expected) {
        ed_ring_hold(lane, sequence, mark);
        return;
    }
    if (mark == SKIPPED)
        count_skipped(lane, name);
    advance(inbox, lane, name);
}

/* ----------------------------------------------------------------------------- by guarantee -- */

static void drop_stale(ed_inbox *inbox, ed_block *block)
{
    ed_inbox_consume(inbox, ed_charge_of(block->size));
    inbox->parts->stats->messages_stale++;
    ed_pool_give(block);
}

/** A reliable message is complete, and claimed; the ring reaches it. */
static void take(ed_inbox *inbox, ed_lane_in *lane, const ed_lane_name *name, uint64_t sequence,
                 ed_block *block)
{
    bool is_stale = name->guarantee == ED_WIRE_RELIABLE_SEQUENCED && sequence < lane->newest;

    if (name->guarantee == ED_WIRE_RELIABLE_ORDERED && sequence != lane->expected) {
        ed_ring_hold(lane, sequence, block);
        return;
    }
    lane->newest = ed_max_u64(lane->newest, sequence + 1);
    if (is_stale)
        drop_stale(inbox, block);
    else
        deliver(inbox, lane, name, block);
    settle(inbox, lane, name, sequence, RECEIVED);
}

/**
 * Where a sequence of so many bits lies. EDDY_EEXIST if it is settled, EDDY_EPROTO if no message
 * can have it. Only the window lies ahead; all else has been here, and may come back very late.
 */
static eddy_status expand(const ed_lane_in *lane, uint32_t low, unsigned bits, uint64_t *sequence)
{
    uint64_t space = UINT64_C(1) << bits;
    uint64_t ahead = (low - lane->expected) & (space - 1);

    if (ahead >= ED_LANE_WINDOW)
        return SEC_CHECK(EDDY_CHECK_SEQUENCE, space - ahead <= lane->expected) ? EDDY_EEXIST
                                                                               : EDDY_EPROTO;
    *sequence = lane->expected + ahead;
    bool is_here = ahead > 0 && ed_ring_held(lane, *sequence) != NULL;
    return is_here ? EDDY_EEXIST : EDDY_OK;
}

/**
 * A sequence says that those before it have been sent, too: each is charged for something at
 * least. @return false if that is more than was granted.
 */
static bool claim_sequence(ed_inbox *inbox, ed_lane_in *lane, uint64_t sequence)
{
    uint64_t news = sequence + 1 - ed_min_u64(lane->highest, sequence + 1);

    if (!ed_credit_claim(&inbox->credit, news * EDDY_MESSAGE_CHARGE))
        return false;
    lane->highest += news;
    return true;
}

/* --------------------------------------------------------------------------------- messages -- */

ed_block *ed_inbox_keep(const ed_inbox *inbox, const ed_message_frame *message)
{
    ed_block *block = ed_pool_take(inbox->parts->pool, message->data.size);

    if (block != NULL && message->data.size > 0)
        memcpy(block->data, message->data.data, message->data.size);
    return block;
}

static eddy_status receive_piece(ed_inbox *inbox, ed_lane_in *lane, const ed_lane_name *name,
                                 const ed_message_frame *message, uint64_t sequence)
{
    if (!SEC_CHECK(EDDY_CHECK_ONE_PIECE,
                   lane->begun == NULL || ed_parts_find(lane, sequence) == NULL))
        return EDDY_EPROTO;
    if (sequence != lane->expected && !ed_ring_reach(inbox, lane, sequence))
        return EDDY_ENOMEM;
    ed_block *block = ed_inbox_keep(inbox, message);
    if (block == NULL)
        return EDDY_ENOMEM;
    if (!SEC_CHECK(EDDY_CHECK_CREDIT, ed_credit_claim(&inbox->credit, message->data.size))) {
        ed_pool_give(block);
        return EDDY_EPROTO;
    }
    take(inbox, lane, name, sequence, block);
    return EDDY_OK;
}

static eddy_status receive_part(ed_inbox *inbox, ed_lane_in *lane, const ed_lane_name *name,
                                const ed_message_frame *part, uint64_t sequence)
{
    ed_block *whole = NULL;
    eddy_status status = ed_parts_receive(inbox, lane, part, sequence, &whole);

    if (whole != NULL)
        take(inbox, lane, name, sequence, whole);
    return status;
}

static eddy_status receive_reliable(ed_inbox *inbox, const ed_message_frame *message)
{
    ed_lane_name name = {.guarantee = message->guarantee, .stream = message->stream};
    uint64_t sequence = 0;
    ed_lane_in *lane = NULL;

    eddy_status status = ed_inbox_get_lane(inbox, name.guarantee, name.stream, &lane);
    if (status == EDDY_OK)
        status = expand(lane, message->sequence, message->sequence_bits, &sequence);
    if (status != EDDY_OK)
        return status;
    if (!SEC_CHECK(EDDY_CHECK_CREDIT, claim_sequence(inbox, lane, sequence)))
        return EDDY_EPROTO;
    return message->fragment ? receive_part(inbox, lane, &name, message, sequence)
                             : receive_piece(inbox, lane, &name, message, sequence);
}

eddy_status ed_inbox_receive(ed_inbox *inbox, const ed_message_frame *message, uint64_t packet,
                             uint64_t now_ns)
{
    uint64_t size = message->fragment ? message->whole_size : message->data.size;
    bool reliable = message->guarantee >= ED_WIRE_RELIABLE_UNORDERED;
    size_t max = ed_min_size(inbox->parts->max_message_size,
                             reliable ? EDDY_MESSAGE_SIZE_LIMIT : EDDY_UNRELIABLE_SIZE_MAX);

    if (!SEC_CHECK(EDDY_CHECK_MESSAGE_SIZE,
                   size <= max && message->fragment == ed_is_in_parts((size_t)size)))
        return EDDY_EPROTO;
    return reliable ? receive_reliable(inbox, message)
                    : ed_inbox_receive_unreliable(inbox, message, packet, now_ns);
}

eddy_status ed_inbox_skip(ed_inbox *inbox, const ed_skip_frame *skip)
{
    ed_lane_name name = {.guarantee = skip->guarantee, .stream = skip->stream};
    uint64_t sequence = 0;
    uint64_t claimed = EDDY_MESSAGE_CHARGE;
    ed_lane_in *lane = NULL;

    eddy_status status = ed_inbox_get_lane(inbox, name.guarantee, name.stream, &lane);
    if (status == EDDY_OK)
        status = expand(lane, skip->sequence, 32, &sequence);
    if (status != EDDY_OK)
        return status;
    if (!SEC_CHECK(EDDY_CHECK_CREDIT, claim_sequence(inbox, lane, sequence)))
        return EDDY_EPROTO;
    if (sequence != lane->expected && !ed_ring_reach(inbox, lane, sequence))
        return EDDY_ENOMEM;
    const ed_begun *begun = ed_parts_find(lane, sequence);
    if (begun != NULL)
        claimed = ed_parts_claimed(begun);
    if (!SEC_CHECK(EDDY_CHECK_SKIP_CHARGE, skip->charge >= claimed) ||
        !SEC_CHECK(EDDY_CHECK_CREDIT, ed_credit_claim(&inbox->credit, skip->charge - claimed)))
        return EDDY_EPROTO;
    ed_parts_end(inbox, lane, sequence);
    inbox->parts->stats->messages_skipped++;
    settle(inbox, lane, &name, sequence, SKIPPED);
    ed_inbox_consume(inbox, skip->charge);
    return EDDY_OK;
}
