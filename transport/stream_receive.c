#include "transport/stream_receive.h"

#include <string.h>

enum {
    HELD_CAPACITY_MIN = 16,
    BLOCK_SIZE_MAX = 2048, /* what the largest message is charged */
    RING_KEPT_SIZE = 1024, /* a larger ring is given back when nothing is held in it */
};

void ed_inbox_init(ed_inbox *inbox, const eddy_allocator *allocator, ed_pool *pool)
{
    *inbox = (ed_inbox){.allocator = allocator, .pool = pool};
    ed_lanes_init(&inbox->lanes, allocator, sizeof(ed_lane_in));
}

static ed_block **held_at(const ed_lane_in *lane, uint64_t sequence)
{
    ed_block **held = (ed_block **)(void *)lane->ring->data;

    return &held[sequence & (lane->held_capacity - 1)];
}

static void clear_lane(void *context, void *lane_of_table)
{
    ed_lane_in *lane = lane_of_table;

    (void)context;
    for (uint64_t s = lane->expected; s < lane->expected + lane->held_capacity; s++)
        ed_pool_give(*held_at(lane, s));
    ed_pool_give(lane->ring);
}

void ed_inbox_free(ed_inbox *inbox)
{
    for (ed_block *block = ed_inbox_next(inbox); block != NULL; block = ed_inbox_next(inbox))
        ed_pool_give(block);
    ed_lanes_free(&inbox->lanes, clear_lane, NULL);
    inbox->held_size = 0;
}

static void make_ready(ed_inbox *inbox, ed_block *block)
{
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

static ed_block *keep(ed_inbox *inbox, const ed_message_frame *message)
{
    ed_block *block = ed_pool_take(inbox->pool, message->data.size);
    if (block == NULL)
        return NULL;
    if (message->data.size > 0)
        memcpy(block->data, message->data.data, message->data.size);
    block->note = message->guarantee | (uint64_t)message->stream << 8;
    return block;
}

/** Whether a message that comes early has come before. */
static bool is_held(const ed_lane_in *lane, uint64_t sequence)
{
    return sequence - lane->expected < lane->held_capacity && *held_at(lane, sequence) != NULL;
}

/** How many places the ring must have to reach from `expected` to `sequence`. */
static uint32_t capacity_for(const ed_lane_in *lane, uint64_t sequence)
{
    uint32_t capacity = lane->held_capacity == 0 ? HELD_CAPACITY_MIN : lane->held_capacity;

    while (sequence - lane->expected >= capacity)
        capacity *= 2;
    ED_ASSERT(capacity <= ED_LANE_WINDOW);
    return capacity;
}

static bool widen(ed_inbox *inbox, ed_lane_in *lane, uint32_t capacity)
{
    if (capacity == lane->held_capacity)
        return true;

    size_t size = capacity * sizeof(ed_block *);
    ed_lane_in wider = *lane;
    wider.ring = ed_pool_take(inbox->pool, size); // it counts like what it holds
    if (wider.ring == NULL)
        return false;
    memset(wider.ring->data, 0, size);
    wider.held_capacity = capacity;
    for (uint64_t s = lane->expected; s < lane->expected + lane->held_capacity; s++)
        *held_at(&wider, s) = *held_at(lane, s);
    inbox->held_size +=
        ed_block_charge(wider.ring) - (lane->ring == NULL ? 0 : ed_block_charge(lane->ring));
    ed_pool_give(lane->ring);
    *lane = wider;
    return true;
}

static void give_ring(ed_inbox *inbox, ed_lane_in *lane)
{
    ED_ASSERT(lane->held_count == 0 && inbox->held_size >= ed_block_charge(lane->ring));
    inbox->held_size -= ed_block_charge(lane->ring);
    ed_pool_give(lane->ring);
    lane->ring = NULL;
    lane->held_capacity = 0;
}

/** Delivers what has waited for the message that just came. */
static void release_held(ed_inbox *inbox, ed_lane_in *lane)
{
    if (lane->held_capacity == 0)
        return;
    for (ed_block **place = held_at(lane, lane->expected); *place != NULL;
         place = held_at(lane, lane->expected)) {
        ED_ASSERT(inbox->held_size >= ed_block_charge(*place));
        inbox->held_size -= ed_block_charge(*place);
        make_ready(inbox, *place);
        *place = NULL;
        lane->held_count--;
        lane->expected++;
    }
    if (lane->held_count == 0 && lane->ring->size > RING_KEPT_SIZE)
        give_ring(inbox, lane);
}

/**
 * Whether `size` bytes more may be held back. What is held never takes more than half of the
 * budget: otherwise there might be no room left for the very message that it waits for. Those that
 * hold much leave a share to each that holds little, and each leaves room for one message.
 */
static bool may_hold(const ed_inbox *inbox, size_t size)
{
    size_t budget_left = ed_pool_left(inbox->pool);
    size_t charged = ed_pool_charged(inbox->pool) + size;
    bool is_small = inbox->held_size + size <= ED_HELD_SIZE_SHARE;

    if (inbox->held_size + size > ED_HELD_SIZE_MAX || budget_left < size + BLOCK_SIZE_MAX)
        return false;
    size_t left = budget_left - size;
    return charged <= left || (is_small && charged / 3 <= left);
}

static eddy_status hold(ed_inbox *inbox, ed_lane_in *lane, const ed_message_frame *message,
                        uint64_t sequence)
{
    if (is_held(lane, sequence))
        return EDDY_EEXIST;
    uint32_t capacity = capacity_for(lane, sequence);
    size_t ring_size =
        capacity == lane->held_capacity ? 0 : BLOCK_SIZE_MAX + capacity * sizeof(ed_block *);
    if (!may_hold(inbox, BLOCK_SIZE_MAX + ring_size))
        return EDDY_ELIMIT;
    if (!widen(inbox, lane, capacity))
        return EDDY_ENOMEM;
    ed_block **place = held_at(lane, sequence);
    *place = keep(inbox, message);
    if (*place == NULL)
        return EDDY_ENOMEM;
    inbox->held_size += ed_block_charge(*place);
    lane->held_count++;
    return EDDY_OK;
}

static eddy_status receive_ordered(ed_inbox *inbox, ed_lane_in *lane,
                                   const ed_message_frame *message)
{
    // Only the window lies ahead; all else has been here, and may come back very late.
    uint64_t space = UINT64_C(1) << message->sequence_bits;
    uint64_t ahead = (message->sequence - lane->expected) & (space - 1);

    if (ahead >= ED_LANE_WINDOW)
        return space - ahead <= lane->expected ? EDDY_EEXIST : EDDY_EPROTO;
    if (ahead > 0)
        return hold(inbox, lane, message, lane->expected + ahead);

    ed_block *block = keep(inbox, message);
    if (block == NULL)
        return EDDY_ENOMEM;
    make_ready(inbox, block);
    lane->expected++;
    release_held(inbox, lane);
    return EDDY_OK;
}

eddy_status ed_inbox_receive(ed_inbox *inbox, const ed_message_frame *message)
{
    bool made = false;

    if (message->fragment || message->data.size > EDDY_PIECE_SIZE_MAX)
        return EDDY_EPROTO;
    if (message->guarantee == ED_WIRE_UNRELIABLE) {
        ed_block *block = keep(inbox, message);
        if (block == NULL)
            return EDDY_ENOMEM;
        make_ready(inbox, block);
        return EDDY_OK;
    }
    if (message->guarantee != ED_WIRE_RELIABLE_ORDERED)
        return EDDY_EPROTO;
    ed_lane_in *lane = ed_lanes_get(&inbox->lanes, message->guarantee, message->stream, &made);
    if (lane == NULL)
        return EDDY_ENOMEM;
    return receive_ordered(inbox, lane, message);
}
