#include "transport/ring.h"

#include <string.h>

enum {
    RING_CAPACITY_MIN = 8,
    /* So much of what is settled is not given back, for each place that a ring had to reach, until
       nothing is held in it: it does not become shorter as its gap is filled. A ring is up to twice
       as long as it had to be, and while it is widened the old one is there, too. */
    PLACE_CHARGE = 24,
};

static_assert(PLACE_CHARGE <= EDDY_MESSAGE_CHARGE, "every message pays for its place");

ed_block ed_ring_received;
ed_block ed_ring_skipped;

static ed_block **ring_at(const ed_lane_in *lane, uint64_t sequence)
{
    ed_block **ring = (ed_block **)(void *)lane->ring->data;

    return &ring[sequence & (lane->ring_capacity - 1u)];
}

ed_block *ed_ring_held(const ed_lane_in *lane, uint64_t sequence)
{
    if (sequence - lane->expected >= lane->ring_capacity)
        return NULL;
    return *ring_at(lane, sequence);
}

void ed_ring_hold(ed_lane_in *lane, uint64_t sequence, ed_block *held)
{
    ED_ASSERT(sequence - lane->expected < lane->ring_capacity);
    ED_ASSERT(*ring_at(lane, sequence) == NULL);
    *ring_at(lane, sequence) = held;
    lane->held_count++;
}

void ed_ring_unhold(ed_lane_in *lane, uint64_t sequence)
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
    lane->ring_paid = (uint16_t)(place + 1);
}

/** What was kept back for it is given back. */
static void refund_ring(ed_inbox *inbox, ed_lane_in *lane)
{
    uint64_t charge = (uint64_t)lane->ring_paid * PLACE_CHARGE;

    lane->ring_paid = 0;
    ed_inbox_consume(inbox, charge);
}

static void give_ring(ed_inbox *inbox, ed_lane_in *lane)
{
    if (lane->is_ring_kept)
        inbox->kept_rings_size -= (uint32_t)ed_block_charge(lane->ring);
    ed_pool_give(lane->ring);
    lane->ring = NULL;
    lane->ring_capacity = 0;
    lane->is_ring_kept = false;
}

void ed_ring_rest(ed_inbox *inbox, ed_lane_in *lane)
{
    if (lane->is_ring_kept)
        return;
    refund_ring(inbox, lane);
    size_t size = ed_block_charge(lane->ring);
    if (inbox->kept_rings_size + size > ED_KEPT_RINGS_SIZE_MAX) {
        give_ring(inbox, lane);
        return;
    }
    lane->is_ring_kept = true;
    inbox->kept_rings_size += (uint32_t)size;
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
    wider.ring = ed_pool_take(inbox->parts->pool, size);
    if (wider.ring == NULL)
        return false;
    memset(wider.ring->data, 0, size);
    wider.ring_capacity = (uint16_t)capacity;
    wider.is_ring_kept = false;
    for (uint64_t s = lane->expected; s < lane->expected + lane->ring_capacity; s++)
        *ring_at(&wider, s) = *ring_at(lane, s);
    give_ring(inbox, lane);
    *lane = wider;
    return true;
}

bool ed_ring_reach(ed_inbox *inbox, ed_lane_in *lane, uint64_t sequence)
{
    if (!widen(inbox, lane, sequence))
        return false;
    pay_ring(inbox, lane, sequence - lane->expected);
    return true;
}

void ed_ring_clear(ed_lane_in *lane)
{
    for (uint64_t s = lane->expected; s < lane->expected + lane->ring_capacity; s++) {
        ed_block *held = *ring_at(lane, s);
        if (held != NULL && held != &ed_ring_received && held != &ed_ring_skipped)
            ed_pool_give(held);
    }
    ed_pool_give(lane->ring);
}
