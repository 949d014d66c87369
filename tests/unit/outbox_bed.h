/** An outbox under test: messages are pushed, sent in packets, and their news told by hand. */
#ifndef ED_TEST_OUTBOX_BED_H
#define ED_TEST_OUTBOX_BED_H

#include "tests/support/check.h"

#include "core/alloc.h"
#include "transport/stream_send.h"

enum {
    U = ED_WIRE_UNRELIABLE,
    US = ED_WIRE_UNRELIABLE_SEQUENCED,
    RU = ED_WIRE_RELIABLE_UNORDERED,
    RO = ED_WIRE_RELIABLE_ORDERED,
    RS = ED_WIRE_RELIABLE_SEQUENCED,
};

enum {
    BED_POOL_SIZE = 64 << 20,
    BED_ROOM = 1170, /* in a packet that carries nothing else */
    BED_CREDIT = 1 << 30,
};

struct bed {
    ed_counting_alloc counting;
    ed_pool *pool;
    eddy_stats stats;
    ed_account account;
    uint64_t queued_cost;
    ed_settled settled;
    ed_outbox outbox;
    uint64_t packet; /* the number of the next */
};

static struct bed bed;

/** What left: a message, a part of one, or a SKIP, in a packet of its own. */
struct sent {
    bool is_skip;
    bool is_again;
    bool has_ref;
    uint32_t mark; /* of a message, or of a part with its beginning */
    ed_sent_ref ref;
    uint64_t packet;
    ed_message_frame message;
    ed_skip_frame skip;
};

static inline int bed_setup(void **state)
{
    (void)state;
    memset(&bed, 0, sizeof(bed));
    ed_counting_alloc_init(&bed.counting, NULL);
    bed.pool = ed_pool_create(&bed.counting.allocator, BED_POOL_SIZE);
    ed_outbox_init(&bed.outbox, &(ed_outbox_parts){.allocator = &bed.counting.allocator,
                                                   .stats = &bed.stats,
                                                   .account = &bed.account,
                                                   .queued_cost = &bed.queued_cost,
                                                   .settled = &bed.settled});
    ed_outbox_on_credit(&bed.outbox, BED_CREDIT);
    return bed.pool != NULL ? 0 : -1;
}

/** What blocks are out once those that are settled are given back. */
static inline size_t bed_charged(void)
{
    ed_settled_give_back(&bed.settled);
    return ed_pool_charged(bed.pool);
}

/** Nothing may be left: no block, no memory, no charge. */
static inline int bed_teardown(void **state)
{
    (void)state;
    ed_outbox_free(&bed.outbox);
    size_t charged = bed_charged();
    ed_pool_destroy(bed.pool);
    ed_account_free(&bed.account, &bed.counting.allocator);
    return charged == 0 && bed.counting.live_count == 0 && bed.queued_cost == 0 &&
                   bed.account.used == 0
               ? 0
               : -1;
}

static inline void bed_restart(void)
{
    CHECK_EQ("nothing left", bed_teardown(NULL), 0);
    CHECK_EQ("new", bed_setup(NULL), 0);
}

/** A block of zeros, but for its mark: the first four bytes, as far as there are any. */
static inline ed_block *make_block(uint32_t mark, size_t size)
{
    ed_block *block = ed_pool_take(bed.pool, size);

    CHECK("block", block != NULL);
    memset(block->data, 0, size);
    memcpy(block->data, &mark, ed_min_size(size, sizeof(mark)));
    return block;
}

/** Pushes a message with what else is to be said of it; 0 as its end is never. */
static inline void push_with(ed_message message, uint32_t mark, size_t size)
{
    message.block = make_block(mark, size);
    message.expires_ns = message.expires_ns == 0 ? ED_NEVER_NS : message.expires_ns;
    CHECK_EQ("charge",
             ed_account_charge(&bed.account, SIZE_MAX, message.stream, (size_t)ed_send_cost(size)),
             EDDY_OK);
    CHECK_EQ("push", ed_outbox_push(&bed.outbox, &message, 1, 0), 1);
}

static inline void push(uint8_t guarantee, uint8_t stream, uint32_t mark, size_t size)
{
    push_with((ed_message){.guarantee = guarantee, .stream = stream}, mark, size);
}

static inline ed_block *make_receipt(uint64_t number)
{
    ed_block *block = ed_pool_take(bed.pool, sizeof(ed_receipt));

    CHECK("receipt", block != NULL);
    *ed_receipt_of(block) = (ed_receipt){.event.receipt = number};
    return block;
}

static inline uint32_t mark_of(const uint8_t *data, size_t size)
{
    uint32_t mark = 0;

    if (size > 0)
        memcpy(&mark, data, ed_min_size(size, sizeof(mark)));
    return mark;
}

/** Sends what is next in packet `packet`. @return false: nothing, or nothing that fits. */
static inline bool try_send(struct sent *sent, size_t room, uint64_t packet)
{
    ed_outgoing next, again;

    if (!ed_outbox_next(&bed.outbox, room, packet, &next))
        return false;
    CHECK("the same until it is sent", ed_outbox_next(&bed.outbox, room, packet, &again) &&
                                           again.out == next.out && again.part == next.part);
    *sent = (struct sent){.is_skip = next.is_skip, .is_again = next.part != NULL, .packet = packet};
    if (next.is_skip) {
        sent->skip = next.skip;
    } else {
        sent->message = next.message;
        sent->mark = mark_of(next.message.data.data, next.message.data.size);
        CHECK("it fits", ed_frame_message_overhead(&next.message) + next.message.data.size <= room);
    }
    sent->has_ref = ed_outbox_on_sent(&bed.outbox, &next, packet, &sent->ref);
    return true;
}

/** Sends the next message, or part, in a packet of its own. */
static inline struct sent send_next(void)
{
    struct sent sent;

    CHECK("something to send", try_send(&sent, BED_ROOM, bed.packet));
    bed.packet++;
    return sent;
}

static inline bool has_next(void)
{
    ed_outgoing next;
    bool has = ed_outbox_next(&bed.outbox, BED_ROOM, bed.packet, &next);

    CHECK_EQ("both say so", ed_outbox_has_next(&bed.outbox), has);
    return has;
}

static inline void acked(const struct sent *sent)
{
    CHECK("it can be", sent->has_ref);
    ed_outbox_on_acked(&bed.outbox, sent->ref);
}

static inline void lost(const struct sent *sent)
{
    CHECK("it can be", sent->has_ref);
    ed_outbox_on_lost(&bed.outbox, sent->ref, sent->packet);
}

/** Puts a lane's count of messages somewhere else. Before any is sent. */
static inline void start_lane_at(uint8_t guarantee, uint8_t stream, uint64_t sequence)
{
    ed_lane_out *lane = ed_lanes_find(&bed.outbox.lanes, guarantee, stream);

    CHECK("the lane", lane != NULL && lane->next_sequence == 0);
    lane->next_sequence = sequence;
}

enum {
    TURN = 600, /* larger than what a lane may send in its turn: one message each */
};

/** Those leave next, in this order, and then none. */
static inline void check_order(const char *name, const uint32_t *marks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(name, send_next().mark, marks[i]);
    CHECK(name, !has_next());
}

/** How the streams of a number share. */
static inline void set_stream(uint8_t stream, uint8_t priority, uint8_t weight, size_t budget)
{
    eddy_stream_options options = {.priority = priority, .weight = weight, .budget = budget};

    CHECK_EQ("set", ed_outbox_set_stream(&bed.outbox, stream, &options), EDDY_OK);
}

#endif
