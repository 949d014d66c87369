#include "transport/stream_receive.h"

#include <string.h>

#include "core/alloc.h"
#include "transport/check.h"
#include "transport/partial.h"

enum {
    RING_CAPACITY_MIN = 8,
    /* So much of what is settled is not given back, for each place that a ring had to reach, until
       nothing is held in it: it does not become shorter as its gap is filled. A ring is up to twice
       as long as it had to be, and while it is widened the old one is there, too. */
    PLACE_CHARGE = 24,
};

static_assert(PLACE_CHARGE <= EDDY_MESSAGE_CHARGE, "every message pays for its place");

/* What stands in a ring, besides messages and assemblies. Only their addresses matter. */
static ed_block received_mark;
static ed_block skipped_mark;
#define RECEIVED (&received_mark) /* was delivered already */
#define SKIPPED (&skipped_mark)   /* was given up */
#define ASSEMBLY_NOTE UINT64_MAX  /* the note of a block that holds an ed_assembly */

bool ed_inbox_init(ed_inbox *inbox, const ed_inbox_parts *parts, uint64_t now_ns)
{
    *inbox = (ed_inbox){.parts = *parts};
    ed_lanes_init(&inbox->lanes, parts->allocator, sizeof(ed_lane_in));
    ed_list_init(&inbox->assemblies);
    return ed_credit_in_init(&inbox->credit, parts->room, now_ns);
}

eddy_status ed_inbox_get_lane(ed_inbox *inbox, uint8_t guarantee, uint8_t stream, ed_lane_in **lane)
{
    size_t cost = ed_lanes_cost(&inbox->lanes, guarantee, stream);
    size_t size = inbox->lanes_size + cost;
    size_t beyond = size > ED_BUDGET_LANES ? size - ED_BUDGET_LANES : 0;
    bool made = false;

    if (beyond > inbox->lanes_taken) {
        if (!ed_credit_take_lanes(inbox->parts.room, beyond - inbox->lanes_taken))
            return EDDY_ELIMIT;
        inbox->lanes_taken = beyond; // also if there is no memory: the next one that comes needs it
    }
    *lane = ed_lanes_get(&inbox->lanes, guarantee, stream, &made);
    // Of what a lane stands in, a part may be here although there was no memory for the rest.
    inbox->lanes_size += cost - ed_lanes_cost(&inbox->lanes, guarantee, stream);
    return *lane == NULL ? EDDY_ENOMEM : EDDY_OK;
}

static bool is_assembly(const ed_block *held)
{
    return held->note == ASSEMBLY_NOTE;
}

static ed_assembly *assembly_of(ed_block *held)
{
    ED_ASSERT(is_assembly(held));
    return (ed_assembly *)(void *)held->data;
}

static void give_held(ed_block *held)
{
    if (held == NULL || held == RECEIVED || held == SKIPPED)
        return;
    if (is_assembly(held)) {
        ed_list_remove(&assembly_of(held)->node);
        ed_assembly_free(assembly_of(held));
    }
    ed_pool_give(held);
}

static ed_block **ring_at(const ed_lane_in *lane, uint64_t sequence)
{
    ed_block **ring = (ed_block **)(void *)lane->ring->data;

    return &ring[sequence & (lane->ring_capacity - 1)];
}

static void clear_lane(void *context, void *lane_of_table)
{
    ed_lane_in *lane = lane_of_table;

    (void)context;
    for (uint64_t s = lane->expected; s < lane->expected + lane->ring_capacity; s++)
        give_held(*ring_at(lane, s));
    ed_pool_give(lane->ring);
}

void ed_inbox_free(ed_inbox *inbox)
{
    for (ed_block *block = ed_inbox_next(inbox); block != NULL; block = ed_inbox_next(inbox)) {
        ed_inbox_returned(inbox, ed_block_guarantee(block) >= ED_WIRE_RELIABLE_UNORDERED,
                          block->size);
        ed_pool_give(block);
    }
    ed_partials_free(inbox);
    ed_lanes_free(&inbox->lanes, clear_lane, NULL);
    inbox->parts.room->orphans += inbox->unreturned;
    inbox->parts.room->lanes -= inbox->lanes_taken;
    ed_credit_in_free(&inbox->credit);
}

/* ------------------------------------------------------------------------------- delivering -- */

void ed_inbox_make_ready(ed_inbox *inbox, ed_block *block, uint8_t guarantee, uint8_t stream,
                         uint32_t skipped)
{
    block->note = guarantee | (uint64_t)stream << 8 | (uint64_t)skipped << 16;
    block->next = NULL;
    if (inbox->last_ready == NULL)
        inbox->first_ready = block;
    else
        inbox->last_ready->next = block;
    inbox->last_ready = block;
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

/** Room for as much may be granted again, but for what rings take. */
static void consume(ed_inbox *inbox, uint64_t charge)
{
    uint64_t kept = ed_min_u64(charge, inbox->rings_owed);

    inbox->rings_owed -= kept;
    inbox->credit.consumed += charge - kept;
    ED_ASSERT(inbox->credit.consumed <= inbox->credit.claimed);
}

void ed_inbox_returned(ed_inbox *inbox, bool reliable, size_t size)
{
    uint64_t charge = ed_charge_of(size);

    if (!reliable) {
        ED_ASSERT(inbox->unreliable >= charge);
        inbox->unreliable -= charge;
        ed_inbox_returned_late(inbox->parts.room, false, size);
        return;
    }
    ED_ASSERT(inbox->unreturned >= charge);
    inbox->unreturned -= charge;
    consume(inbox, charge);
}

void ed_inbox_returned_late(ed_credit_pool *room, bool reliable, size_t size)
{
    uint64_t *account = reliable ? &room->orphans : &room->unreliable;

    ED_ASSERT(*account >= ed_charge_of(size));
    *account -= ed_charge_of(size);
}

/** Gives a reliable message to the program. */
static void deliver(ed_inbox *inbox, ed_lane_in *lane, const ed_lane_name *name, ed_block *block)
{
    inbox->unreturned += ed_charge_of(block->size);
    ed_inbox_make_ready(inbox, block, name->guarantee, name->stream, lane->skipped);
    lane->skipped = 0;
    lane->delivered++;
}

/* ------------------------------------------------------------------------------------- ring -- */

/** What is known of a sequence that is not settled, or NULL. */
static ed_block *held_at(const ed_lane_in *lane, uint64_t sequence)
{
    if (sequence - lane->expected >= lane->ring_capacity)
        return NULL;
    return *ring_at(lane, sequence);
}

static void hold(ed_lane_in *lane, uint64_t sequence, ed_block *held)
{
    ED_ASSERT(sequence - lane->expected < lane->ring_capacity);
    ED_ASSERT(*ring_at(lane, sequence) == NULL);
    *ring_at(lane, sequence) = held;
    lane->held_count++;
}

static void unhold(ed_lane_in *lane, uint64_t sequence)
{
    ED_ASSERT(lane->held_count > 0 && *ring_at(lane, sequence) != NULL);
    *ring_at(lane, sequence) = NULL;
    lane->held_count--;
}

/** A place of the ring was needed: those up to there are kept back for, unless it is kept. */
static void pay_ring(ed_inbox *inbox, ed_lane_in *lane, uint64_t place)
{
    if (lane->is_ring_kept || place < lane->ring_paid)
        return;
    inbox->rings_owed += (place + 1 - lane->ring_paid) * PLACE_CHARGE;
    lane->ring_paid = (uint32_t)place + 1;
}

/** What was kept back for it is given back. */
static void refund_ring(ed_inbox *inbox, ed_lane_in *lane)
{
    uint64_t charge = (uint64_t)lane->ring_paid * PLACE_CHARGE;

    lane->ring_paid = 0;
    consume(inbox, charge);
}

static void give_ring(ed_inbox *inbox, ed_lane_in *lane)
{
    if (lane->is_ring_kept)
        inbox->kept_rings_size -= ed_block_charge(lane->ring);
    ed_pool_give(lane->ring);
    lane->ring = NULL;
    lane->ring_capacity = 0;
    lane->is_ring_kept = false;
}

/**
 * Nothing is held in the ring: it is kept for the next gap, unless too many are. It counts as kept
 * as long as it is there, as the next gap may be far smaller than it is long.
 */
static void rest_ring(ed_inbox *inbox, ed_lane_in *lane)
{
    if (lane->ring == NULL || lane->is_ring_kept)
        return;
    refund_ring(inbox, lane);
    size_t size = ed_block_charge(lane->ring);
    if (inbox->kept_rings_size + size > ED_KEPT_RINGS_SIZE_MAX) {
        give_ring(inbox, lane);
        return;
    }
    lane->is_ring_kept = true;
    inbox->kept_rings_size += size;
}

/** Makes the ring long enough for a sequence. @return false out of memory. */
static bool widen(ed_inbox *inbox, ed_lane_in *lane, uint64_t sequence)
{
    uint32_t capacity = lane->ring_capacity == 0 ? RING_CAPACITY_MIN : lane->ring_capacity;

    while (sequence - lane->expected >= capacity)
        capacity *= 2;
    ED_ASSERT(capacity <= ED_LANE_WINDOW);
    if (capacity == lane->ring_capacity)
        return true;
    size_t size = capacity * sizeof(ed_block *);
    ed_lane_in wider = *lane;
    wider.ring = ed_pool_take(inbox->parts.pool, size);
    if (wider.ring == NULL)
        return false;
    memset(wider.ring->data, 0, size);
    wider.ring_capacity = capacity;
    wider.is_ring_kept = false;
    for (uint64_t s = lane->expected; s < lane->expected + lane->ring_capacity; s++)
        *ring_at(&wider, s) = *ring_at(lane, s);
    give_ring(inbox, lane);
    *lane = wider;
    return true;
}

/** Makes the ring reach a sequence. @return false out of memory. */
static bool reach(ed_inbox *inbox, ed_lane_in *lane, uint64_t sequence)
{
    if (!widen(inbox, lane, sequence))
        return false;
    pay_ring(inbox, lane, sequence - lane->expected);
    return true;
}

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
        ed_block *held = *ring_at(lane, lane->expected);
        if (held == NULL || (held != RECEIVED && held != SKIPPED && is_assembly(held)))
            return;
        unhold(lane, lane->expected);
        lane->expected++;
        if (held == SKIPPED)
            count_skipped(lane, name);
        if (held != SKIPPED && held != RECEIVED)
            deliver(inbox, lane, name, held);
    }
    rest_ring(inbox, lane);
}

/** A sequence, perhaps not the first, is settled, and nothing is left to deliver of it. */
static void settle(ed_inbox *inbox, ed_lane_in *lane, const ed_lane_name *name, uint64_t sequence,
                   ed_block *mark)
{
    if (sequence != lane->expected) {
        hold(lane, sequence, mark);
        return;
    }
    if (mark == SKIPPED)
        count_skipped(lane, name);
    advance(inbox, lane, name);
}

/* ----------------------------------------------------------------------------- by guarantee -- */

static void drop_stale(ed_inbox *inbox, ed_block *block)
{
    consume(inbox, ed_charge_of(block->size));
    inbox->parts.stats->messages_stale++;
    ed_pool_give(block);
}

/** A reliable message is complete, and claimed; the ring reaches it. */
static void take(ed_inbox *inbox, ed_lane_in *lane, const ed_lane_name *name, uint64_t sequence,
                 ed_block *block)
{
    bool is_stale = name->guarantee == ED_WIRE_RELIABLE_SEQUENCED && sequence < lane->newest;

    if (name->guarantee == ED_WIRE_RELIABLE_ORDERED && sequence != lane->expected) {
        ED_ASSERT(!is_assembly(block));
        hold(lane, sequence, block);
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
    const ed_block *held = held_at(lane, *sequence);
    return held != NULL && (held == RECEIVED || held == SKIPPED || !is_assembly(held)) ? EDDY_EEXIST
                                                                                       : EDDY_OK;
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

/* ---------------------------------------------------------------------------- in one piece -- */

ed_block *ed_inbox_keep(const ed_inbox *inbox, const ed_message_frame *message)
{
    ed_block *block = ed_pool_take(inbox->parts.pool, message->data.size);

    if (block != NULL && message->data.size > 0)
        memcpy(block->data, message->data.data, message->data.size);
    return block;
}

static eddy_status receive_piece(ed_inbox *inbox, ed_lane_in *lane, const ed_lane_name *name,
                                 const ed_message_frame *message, uint64_t sequence)
{
    if (!SEC_CHECK(EDDY_CHECK_ONE_PIECE, held_at(lane, sequence) == NULL))
        return EDDY_EPROTO;
    if (sequence != lane->expected && !reach(inbox, lane, sequence))
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

/* --------------------------------------------------------------------------------- in parts -- */

/** What has been claimed for a message that has begun to arrive. */
static uint64_t claimed_for(const ed_assembly *assembly)
{
    return assembly->end == 0 ? EDDY_MESSAGE_CHARGE : ed_charge_upto(assembly->size, assembly->end);
}

/** Parts are sent in order, so one that reaches far has been charged with all before it. */
static bool claim_part(ed_inbox *inbox, ed_assembly *assembly, const ed_message_frame *part)
{
    uint64_t end = part->fragment_index * ED_FRAGMENT_UNIT + part->data.size;

    if (end <= assembly->end)
        return true;
    if (!ed_credit_claim(&inbox->credit,
                         ed_charge_upto(assembly->size, end) - claimed_for(assembly)))
        return false;
    assembly->end = (uint32_t)end;
    return true;
}

static ed_assembly *begin_assembly(ed_inbox *inbox, ed_lane_in *lane, uint64_t sequence,
                                   uint32_t size)
{
    if (!reach(inbox, lane, sequence))
        return NULL;
    ed_block *block = ed_pool_take(inbox->parts.pool, sizeof(ed_assembly));
    if (block == NULL)
        return NULL;
    block->note = ASSEMBLY_NOTE;
    ed_assembly_init(assembly_of(block), inbox->parts.pool, size);
    assembly_of(block)->since_ns = ED_NEVER_NS;
    ed_list_push_back(&inbox->assemblies, &assembly_of(block)->node);
    hold(lane, sequence, block);
    inbox->credit.demand += ed_charge_of(size);
    return assembly_of(block);
}

static void end_assembly(ed_inbox *inbox, ed_lane_in *lane, uint64_t sequence)
{
    ed_block *held = held_at(lane, sequence);
    uint64_t charge = ed_charge_of(assembly_of(held)->size);

    ED_ASSERT(inbox->credit.demand >= charge);
    inbox->credit.demand -= charge;
    give_held(held);
    unhold(lane, sequence);
}

static eddy_status receive_part(ed_inbox *inbox, ed_lane_in *lane, const ed_lane_name *name,
                                const ed_message_frame *part, uint64_t sequence)
{
    ed_block *held = held_at(lane, sequence);
    ed_assembly *assembly = held != NULL
                                ? assembly_of(held)
                                : begin_assembly(inbox, lane, sequence, (uint32_t)part->whole_size);

    if (assembly == NULL)
        return EDDY_ENOMEM;
    if (!SEC_CHECK(EDDY_CHECK_PARTS_AGREE, ed_assembly_fits(assembly, part)) ||
        !SEC_CHECK(EDDY_CHECK_CREDIT, claim_part(inbox, assembly, part)))
        return EDDY_EPROTO;
    eddy_status status = ed_assembly_add(assembly, part);
    if (status == EDDY_ENOMEM || !ed_assembly_is_complete(assembly))
        return status;
    ed_block *whole = ed_assembly_join(assembly);
    if (whole == NULL)
        return EDDY_ENOMEM; // the next copy of any part tries again
    end_assembly(inbox, lane, sequence);
    inbox->parts.stats->messages_reassembled++;
    take(inbox, lane, name, sequence, whole);
    return EDDY_OK;
}

/* ------------------------------------------------------------------------ parts that do not -- */

static ed_assembly *assembly_of_node(ed_list_node *node)
{
    return ED_CONTAINER(node, ed_assembly, node);
}

void ed_inbox_on_granted(ed_inbox *inbox, uint64_t now_ns)
{
    ed_list_node *head = &inbox->assemblies.head;

    if (ed_list_linked(&inbox->credit.waiting))
        return;
    // The newest ones: those before them have been granted what they need.
    for (ed_list_node *node = head->previous;
         node != head && assembly_of_node(node)->since_ns == ED_NEVER_NS; node = node->previous)
        assembly_of_node(node)->since_ns = now_ns;
}

uint64_t ed_inbox_overdue_ns(const ed_inbox *inbox)
{
    ed_list_node *oldest = ed_list_first(&inbox->assemblies);
    uint64_t life_ns =
        ED_PARTS_LIFE_NS + inbox->parts.max_message_size / ED_PARTS_RATE_MIN * ED_NS_PER_S;

    if (oldest == NULL)
        return ED_NEVER_NS;
    return ed_max_u64(inbox->parts_check_ns,
                      ed_add_sat_u64(assembly_of_node(oldest)->since_ns, life_ns));
}

/** Whether anyone else waits for room. */
static bool is_in_the_way(const ed_credit_in *credit)
{
    const ed_list *waiting = &credit->pool->waiting;
    ed_list_node *first = ed_list_first(waiting);

    return first != NULL && (first != &credit->waiting || ed_list_next(waiting, first) != NULL);
}

bool ed_inbox_is_overdue(ed_inbox *inbox, uint64_t now_ns)
{
    if (ed_inbox_overdue_ns(inbox) > now_ns)
        return false;
    inbox->parts_check_ns = ed_add_sat_u64(now_ns, ED_NS_PER_S);
    return is_in_the_way(&inbox->credit);
}

/* ---------------------------------------------------------------------------------- the two -- */

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
    size_t max = ed_min_size(inbox->parts.max_message_size,
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
    if (sequence != lane->expected && !reach(inbox, lane, sequence))
        return EDDY_ENOMEM;
    ed_block *held = held_at(lane, sequence);
    if (held != NULL)
        claimed = claimed_for(assembly_of(held));
    if (!SEC_CHECK(EDDY_CHECK_SKIP_CHARGE, skip->charge >= claimed) ||
        !SEC_CHECK(EDDY_CHECK_CREDIT, ed_credit_claim(&inbox->credit, skip->charge - claimed)))
        return EDDY_EPROTO;
    if (held != NULL)
        end_assembly(inbox, lane, sequence);
    inbox->parts.stats->messages_skipped++;
    settle(inbox, lane, &name, sequence, SKIPPED);
    consume(inbox, skip->charge);
    return EDDY_OK;
}
