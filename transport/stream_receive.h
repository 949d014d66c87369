/** The messages that arrive: put in order where that was asked for, and each given out once. */
#ifndef ED_STREAM_RECEIVE_H
#define ED_STREAM_RECEIVE_H

#include "core/pool.h"
#include "transport/lane.h"

typedef struct ed_lane_in {
    uint64_t expected; /* the sequence that is to be delivered next */
    ed_block *ring;    /* of ed_block pointers, indexed by sequence: what arrived too early */
    uint32_t held_count;
    uint32_t held_capacity; /* a power of two, at most ED_LANE_WINDOW; 0: none yet */
} ed_lane_in;

typedef struct ed_inbox {
    const eddy_allocator *allocator;
    ed_pool *pool;
    ed_lanes lanes;
    ed_block *first_ready; /* to be delivered, linked by ed_block.next */
    ed_block *last_ready;
    size_t held_size; /* bytes of blocks that wait for a predecessor, and of the rings */
} ed_inbox;

/** @param pool where messages are kept until the program releases them. */
void ed_inbox_init(ed_inbox *inbox, const eddy_allocator *allocator, ed_pool *pool);

/** Gives every block back. */
void ed_inbox_free(ed_inbox *inbox);

/**
 * Takes a message in. @return EDDY_OK; EDDY_EEXIST if it has been here before; EDDY_EPROTO if it
 * may not be sent; EDDY_ENOMEM or EDDY_ELIMIT if it cannot be kept (ED_HELD_SIZE_MAX), and then the
 * packet must not be acknowledged. On failure nothing is changed.
 */
EDDY_MUST_CHECK eddy_status ed_inbox_receive(ed_inbox *inbox, const ed_message_frame *message);

/** Takes the next message to deliver; the block is the caller's. NULL: none. */
ed_block *ed_inbox_next(ed_inbox *inbox);

/** What the block of a delivered message was sent on. */
static inline uint8_t ed_block_guarantee(const ed_block *block)
{
    return (uint8_t)block->note;
}

static inline uint8_t ed_block_stream(const ed_block *block)
{
    return (uint8_t)(block->note >> 8);
}

#endif
