/**
 * The receiving half of one connection, given frames in any order: for what a network does too
 * seldom, and a sender never.
 */
#ifndef ED_TEST_LAMINAR_INBOX_BED_H
#define ED_TEST_LAMINAR_INBOX_BED_H

#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "transport/stream_receive.h"

enum {
    INBOX_BUDGET = 64 << 20,
    INBOX_WINDOW = 8 << 20, /* credit enough for all that a lane may have outstanding */
    INBOX_TAKEN_MAX = 256,
};

struct inbox_bed {
    const char *name;
    ed_counting_alloc memory;
    ed_pool *pool;
    ed_credit_pool room;
    eddy_stats stats;
    ed_inbox_parts parts;
    ed_inbox inbox;
    uint64_t packet;
    uint32_t taken_count;
    uint32_t taken[INBOX_TAKEN_MAX]; /* the first numbers that were delivered */
    uint32_t last;                   /* and the last of all */
};

static inline void inbox_open(struct inbox_bed *bed, const char *name)
{
    memset(bed, 0, sizeof(*bed));
    bed->name = name;
    ed_counting_alloc_init(&bed->memory, NULL);
    bed->pool = ed_pool_create(&bed->memory.allocator, INBOX_BUDGET);
    CHECK(name, bed->pool != NULL);
    ed_credit_pool_init(&bed->room, INBOX_BUDGET, EDDY_UNRELIABLE_SIZE_MAX, 1);
    bed->room.window_initial = INBOX_WINDOW;
    bed->parts = (ed_inbox_parts){.allocator = &bed->memory.allocator,
                                  .pool = bed->pool,
                                  .room = &bed->room,
                                  .stats = &bed->stats,
                                  .max_message_size = EDDY_UNRELIABLE_SIZE_MAX,
                                  .unreliable_budget = INBOX_BUDGET};
    CHECK(name, ed_inbox_init(&bed->inbox, &bed->parts, 0));
}

static inline void inbox_close(struct inbox_bed *bed)
{
    ed_inbox_free(&bed->inbox);
    ed_pool_destroy(bed->pool);
    CHECK_EQ(bed->name, bed->memory.live_count, 0);
}

/** Takes what is to be delivered, and gives it back. */
static inline void inbox_take(struct inbox_bed *bed)
{
    for (ed_block *block = ed_inbox_next(&bed->inbox); block != NULL;
         block = ed_inbox_next(&bed->inbox)) {
        CHECK(bed->name, block->size >= sizeof(bed->last));
        memcpy(&bed->last, block->data, sizeof(bed->last));
        if (bed->taken_count < INBOX_TAKEN_MAX)
            bed->taken[bed->taken_count] = bed->last;
        bed->taken_count++;
        ed_inbox_returned(&bed->inbox, ed_block_guarantee(block) >= ED_WIRE_RELIABLE_UNORDERED,
                          ed_charge_of(block->size));
        ed_pool_give(block);
    }
    ed_credit_update(&bed->inbox.credit, ED_NS_PER_MS, 0);
}

/** A frame arrives, in a packet of its own. */
static inline eddy_status inbox_frame(struct inbox_bed *bed, const ed_message_frame *frame)
{
    eddy_status status = ed_inbox_receive(&bed->inbox, frame, bed->packet++, 0);

    inbox_take(bed);
    return status;
}

/**
 * Message `sequence` of a lane, which says its sequence, arrives in one piece. An unreliable one
 * has its order from its packet.
 */
static inline eddy_status inbox_receive(struct inbox_bed *bed, uint8_t guarantee, uint8_t stream,
                                        uint32_t sequence)
{
    bool reliable = guarantee >= ED_WIRE_RELIABLE_UNORDERED;
    ed_message_frame frame = {
        .guarantee = guarantee,
        .stream = stream,
        .sequence_bits = reliable ? 16 : 0,
        .sequence = reliable ? (uint16_t)sequence : 0,
        .data = {.data = (const uint8_t *)&sequence, .size = sizeof(sequence)}};

    if (!reliable)
        bed->packet = sequence;
    return inbox_frame(bed, &frame);
}

/** The messages before `expected` of an ordered lane have come. */
static inline void inbox_advance(struct inbox_bed *bed, uint8_t guarantee, uint32_t expected)
{
    for (uint32_t s = 0; s < expected; s++)
        CHECK_EQ(bed->name, inbox_receive(bed, guarantee, 0, s), EDDY_OK);
    CHECK_EQ(bed->name, bed->taken_count, expected);
    bed->taken_count = 0;
}

#endif
