/**
 * The messages that arrive: each is given out once, in the order that its guarantee asks for. What
 * a reliable message needs was granted before (credit.h); what there is no room for of the
 * unreliable ones is dropped.
 */
#ifndef ED_STREAM_RECEIVE_H
#define ED_STREAM_RECEIVE_H

#include "core/pool.h"
#include "transport/credit.h"
#include "transport/fragment.h"
#include "transport/lane.h"

typedef struct ed_begun ed_begun;

typedef struct ed_lane_in {
    uint64_t expected; /* reliable: every sequence below is settled: it came, or was given up */
    uint64_t highest;  /* one above the highest sequence heard of */
    /* Sequenced: nothing below is delivered any more. A sequence of a reliable message; of an
       unreliable one the number of its packet, as those are never sent twice. */
    uint64_t newest;
    ed_block *ring;  /* of ed_block pointers, from `expected` on: what has come out of order */
    ed_begun *begun; /* parts.h: those of which only parts have come */
    uint64_t delivered;
    uint32_t skipped;       /* ordered: given up since the last that was delivered */
    uint16_t ring_capacity; /* a power of two, at most ED_LANE_WINDOW; 0: none */
    uint16_t ring_paid;     /* of its places, so many are kept back for; 0 while it is kept */
    uint16_t held_count;
    bool is_ring_kept; /* it counts in kept_rings_size, whether anything is held in it or not */
} ed_lane_in;

/** What an inbox is made of; all of it outlives the inbox. */
typedef struct ed_inbox_parts {
    const eddy_allocator *allocator;
    ed_pool *pool; /* where messages are kept until the program releases them */
    ed_credit_pool *room;
    eddy_stats *stats;
    size_t max_message_size;
    size_t unreliable_budget; /* bytes of charge */
} ed_inbox_parts;

typedef struct ed_inbox {
    /* What each packet touches: */
    const ed_inbox_parts *parts;
    ed_block *first_ready; /* to be delivered, linked by ed_block.next */
    ed_block *last_ready;
    uint64_t unreliable; /* charge of the unreliable messages that the program holds, or soon will,
                            incomplete ones included */
    ed_list assemblies; /* of ed_assembly.node: reliable messages of which parts are here, by age */
    uint64_t parts_check_ns; /* when to look again whether one of them is in others' way */
    ed_list partials;        /* of ed_assembly.node: the same of unreliable ones, */
    uint32_t partial_count;  /* ED_PARTIAL_MAX at most */
    uint32_t lanes_size;     /* bytes of lanes */
    ed_lanes lanes;
    ed_credit_in credit;
    /* And what few do: */
    uint64_t unreturned;  /* charge of the reliable messages that the program holds, or soon will */
    uint64_t rings_owed;  /* charge of places in rings that is still to be kept back */
    uint32_t lanes_taken; /* of lanes_size, of the room for all, as its own was too small */
    uint32_t kept_rings_size; /* bytes of rings that outlive what was held in them */
} ed_inbox;

/**
 * @param parts outlives it, too.
 * @return false if there is no room for one more connection: there is nothing to free then.
 */
bool ed_inbox_init(ed_inbox *inbox, const ed_inbox_parts *parts, uint64_t now_ns);

/** Gives every block back. */
void ed_inbox_free(ed_inbox *inbox);

/**
 * Takes a message in, or a part of one, that came in a packet.
 * @return EDDY_OK, also where an unreliable one was dropped and counted; EDDY_EEXIST if it has been
 * here before; EDDY_EPROTO if it may not be sent; EDDY_ENOMEM if it cannot be kept, and then the
 * packet must not be acknowledged; EDDY_ELIMIT if it is on one more stream than there will be room
 * for.
 */
EDDY_MUST_CHECK eddy_status ed_inbox_receive(ed_inbox *inbox, const ed_message_frame *message,
                                             uint64_t packet, uint64_t now_ns);

/**
 * Takes in those of a run that come in their turn, from the first on, as far as there is room.
 * @return how many; what became of the others is for ed_inbox_receive to say.
 */
size_t ed_inbox_receive_run(ed_inbox *inbox, const ed_message_run *run, uint64_t packet);

/** The peer has given a reliable message up. @return as ed_inbox_receive. */
EDDY_MUST_CHECK eddy_status ed_inbox_skip(ed_inbox *inbox, const ed_skip_frame *skip);

/** Takes the next message to deliver; the block is the caller's. NULL: none. */
ed_block *ed_inbox_next(ed_inbox *inbox);

/** The program has given messages back that were charged so much together. */
void ed_inbox_returned(ed_inbox *inbox, bool reliable, uint64_t charge);

/** The same, where its connection is gone. */
void ed_inbox_returned_late(ed_credit_pool *room, bool reliable, uint64_t charge);

/** Drops the unreliable messages whose parts do not come. */
void ed_inbox_expire(ed_inbox *inbox, uint64_t now_ns);

/** Credit was granted: the time of the messages that have all that they need begins. */
void ed_inbox_on_granted(ed_inbox *inbox, uint64_t now_ns);

/**
 * Whether a reliable message in parts has not come in all its time, while others wait for room.
 * Asked when ed_inbox_expire is called.
 */
bool ed_inbox_is_overdue(ed_inbox *inbox, uint64_t now_ns);

/** When to call ed_inbox_expire, or ED_NEVER_NS. */
uint64_t ed_inbox_expiry_ns(const ed_inbox *inbox);

/** What the block of a delivered message was sent on, and what was given up right before it. */
static inline uint8_t ed_block_guarantee(const ed_block *block)
{
    return (uint8_t)block->note;
}

static inline uint8_t ed_block_stream(const ed_block *block)
{
    return (uint8_t)(block->note >> 8);
}

static inline uint32_t ed_block_skipped(const ed_block *block)
{
    return (uint32_t)(block->note >> 16);
}

#endif
