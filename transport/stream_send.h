/**
 * The messages a connection has accepted and not yet seen settled, and which of them leaves next:
 * by priority, of one first what was lost, then lanes by weight. stream_send.c accepts,
 * stream_choose.c chooses, stream_repair.c hears what became of what was sent, begun.c finds it,
 * and lost.c says what is sent again next.
 */
#ifndef ED_STREAM_SEND_H
#define ED_STREAM_SEND_H

#include "core/budget.h"
#include "core/deadline.h"
#include "core/pool.h"
#include "transport/account.h"
#include "transport/credit.h"
#include "transport/event.h"
#include "transport/lane.h"
#include "transport/records.h"
#include "transport/sent.h"

/* Of a message that a full window does not hold up while others of a later priority wait. */
enum { ED_URGENT_SIZE_MAX = 300 };

/** A message that the program has sent. */
typedef struct ed_message {
    ed_block *block;   /* owned */
    ed_block *receipt; /* holds an ed_receipt; NULL: none is wanted. Owned */
    uint64_t expires_ns;
    uint8_t guarantee;
    uint8_t stream;
    bool now_or_never;
} ed_message;

typedef struct ed_lane_out {
    ed_list_node turn;    /* in ed_outbox.turns, or in ed_outbox.starved, if anything waits */
    ed_list fresh;        /* of ed_out.part.record.node: of which not all has been sent */
    ed_list begun;        /* of ed_out.place: reliable, sent and not settled; by sequence */
    struct ed_out **ring; /* of what is begun, by the end of its sequence; NULL: begun.h */
    uint64_t next_sequence;
    uint64_t burst_packet; /* the newest packet with new messages of this lane */
    uint16_t burst_count;  /* and how many */
    uint16_t reach;        /* sequences from the first begun to the last, at most: begun.h */
    int32_t allowance;     /* bytes that it may send before it is another's turn */
    uint8_t guarantee;
    uint8_t stream;
    uint8_t priority;
    uint8_t weight;
    uint32_t look_count;  /* places looked at, in begun.c and in lost.c, ever. For tests */
    uint64_t queued_size; /* ed_send_cost of what is accepted and not settled */
    uint64_t sent;
    uint64_t resent;
    uint64_t newest_receipt; /* the highest number of those that arrived */
} ed_lane_out;

/** What a packet carries of a message: all of it, or a piece; or the news that it was given up. */
typedef struct ed_part {
    ed_record record;      /* its node: in ed_outbox.lost while it waits to be sent again */
    uint64_t first_packet; /* the one that carried it first: older ones have lower ones */
    uint64_t last_packet;  /* the newest packet that carries it */
    bool is_lost;
    bool is_piece; /* it is an ed_piece's; else an ed_out's, of which the rest is: */
    bool is_begun;
    bool is_skip; /* given up: the receiver is to be told */
    bool now_or_never;
} ed_part;

/**
 * One message on its way out. Its own part stands for it where it is reliable, goes in one piece
 * and is not given up; otherwise it has pieces.
 */
typedef struct ed_out {
    ed_part part;       /* its node: in its lane's fresh, until all of it has been sent */
    ed_list_node place; /* reliable: in its lane's begun; unreliable: in ed_outbox.waiting */
    ed_list pieces;     /* of ed_piece.sibling: sent, and neither acknowledged nor given up */
    ed_lane_out *lane;  /* NULL: unused */
    ed_block *block;    /* owned; NULL: given up */
    ed_block *receipt;  /* owned, until it is told */
    uint64_t sequence;  /* once begun, if it has one */
    uint64_t queued_ns;
    uint32_t size;
    uint32_t sent_size;
} ed_out;

/** What stands for a message whose own part does not. */
typedef struct ed_piece {
    ed_part part;
    ed_list_node sibling;
    ed_out *out;
    uint32_t offset;
    uint32_t size;
} ed_piece;

static_assert(sizeof(void *) < 8 || sizeof(ed_out) == 128, "there are many of them");

/** What the program has said of the streams of one number. */
typedef struct ed_stream_out {
    uint64_t queued; /* ed_send_cost of what was accepted since, and is not settled */
    uint64_t budget; /* 0: none of its own */
    uint8_t priority;
    uint8_t weight;
    bool no_copies;
} ed_stream_out;

/** Once the program has said anything of any. */
typedef struct ed_streams_out {
    ed_stream_out of[EDDY_STREAM_COUNT];
    ed_list turns[EDDY_PRIORITY_COUNT]; /* as ed_outbox.turns, of lanes of other priorities */
} ed_streams_out;

/** What an outbox is made of; all of it outlives the outbox. */
typedef struct ed_outbox_parts {
    const eddy_allocator *allocator;
    eddy_stats *stats;
    ed_account *account;   /* what callers go by; NULL: none */
    uint64_t *queued_cost; /* ed_send_cost of what all of a manager's connections have queued */
    ed_settled *settled;   /* takes what is settled */
} ed_outbox_parts;

typedef struct ed_outbox {
    /* What every look at it touches, in two lines of the cache: */
    ed_list lost;                /* of ed_part.record.node, by age, */
    ed_list_node *lost_unsorted; /* but from there on as they were lost; NULL: all are by age */
    ed_list starved;             /* lanes that wait for credit, or for a large message to be sent */
    ed_deadlines *deadlines;     /* of outs, by index; NULL: none has one */
    ed_block *first_receipt;     /* to be told, linked by ed_block.next */
    ed_block *last_receipt;
    uint64_t fresh_count;     /* messages of which not all has been sent, of all guarantees */
    uint64_t skip_count;      /* given up, and the receiver may not know */
    ed_list waiting;          /* unreliable messages not sent, by age */
    uint32_t hasty_count;     /* of these, with now_or_never */
    uint32_t room;            /* that a packet with nothing else in it has for a message */
    uint32_t started_count;   /* reliable messages of which some parts have been sent */
    uint8_t started_priority; /* of the first of these */
    uint8_t first_turn;       /* no lane of an earlier priority has a turn */
    bool is_short;            /* of credit */
    bool is_out_of_memory;    /* something might leave, if there were memory to remember it */
    /* And what sending does: */
    ed_list turns; /* of ed_lane_out.turn, of those with the default priority */
    ed_lanes lanes;
    uint64_t queued_size;     /* ed_send_cost of all that is accepted and not settled */
    uint64_t unreliable_size; /* bytes of unreliable messages that wait */
    uint64_t reliable_count;  /* accepted, not acknowledged, and not given up */
    uint64_t credit_limit;    /* the peer's grant, cumulative */
    uint64_t credit_used;
    ed_outbox_parts made_of;
    ed_records outs;
    ed_records pieces;
    ed_streams_out *streams; /* NULL: all are as by default */
    uint64_t shed_count;     /* unreliable messages dropped to make room */
} ed_outbox;

/** What is to leave next. */
typedef struct ed_outgoing {
    ed_out *out;
    ed_lane_out *lane; /* of that, which may be over once it has left */
    ed_part *part;     /* that is sent again; NULL: for the first time */
    bool is_skip;
    uint64_t settled;    /* of those that followed it and are over: their cost, */
    ed_send_costs costs; /* by which that is reckoned */
    union {
        ed_message_frame message;
        ed_skip_frame skip;
    };
} ed_outgoing;

void ed_outbox_init(ed_outbox *outbox, const ed_outbox_parts *parts);

/** Gives every block back. */
void ed_outbox_free(ed_outbox *outbox);

/** Frees what nothing is kept in. Only while no reference to a message is held. */
void ed_outbox_rest(ed_outbox *outbox);

/** Accepts messages and takes their blocks over. @return how many, until memory ran out. */
EDDY_MUST_CHECK size_t ed_outbox_push(ed_outbox *outbox, const ed_message *messages, size_t count,
                                      uint64_t now_ns);

/** Streams of this number are shared out so from now on. @return EDDY_OK or EDDY_ENOMEM. */
EDDY_MUST_CHECK eddy_status ed_outbox_set_stream(ed_outbox *outbox, uint8_t stream,
                                                 const eddy_stream_options *options);

/** The peer's grant. It never falls: a smaller one is an old one. */
void ed_outbox_on_credit(ed_outbox *outbox, uint64_t limit);

/** A datagram may be so large from now on. What was cut for larger ones is cut again. */
void ed_outbox_set_datagram_size(ed_outbox *outbox, size_t size);

/** Whether anything may leave, in a packet of its own at least. */
bool ed_outbox_has_next(ed_outbox *outbox);

/**
 * Chooses what leaves next. @param room bytes that the packet has left, for frame and data.
 * @return false if there is nothing, or nothing that fits.
 */
bool ed_outbox_next(ed_outbox *outbox, size_t room, uint64_t packet, ed_outgoing *next);

/**
 * The one behind what ed_outbox_next chose, and which has left: of the same lane, whole, and what
 * ed_outbox_next would choose as well if there is room. `*next` is taken on.
 * @return false: ask that.
 */
bool ed_outbox_follow(ed_outbox *outbox, uint64_t packet, ed_outgoing *next);

/** The same as ed_outbox_next, but only of the first priority while a later one waits, too, and
 * only small ones. */
bool ed_outbox_next_urgent(ed_outbox *outbox, size_t room, uint64_t packet, ed_outgoing *next);

/**
 * Chooses a part that was sent before; of one that is too large for a datagram by now, a piece.
 * @return false if it does not fit.
 */
bool ed_outbox_again(ed_outbox *outbox, ed_part *part, size_t room, ed_outgoing *next);

/**
 * It left in a packet. `*ref`, for the log of sent packets, names what is to be heard of again.
 * @return whether there is a reference.
 */
bool ed_outbox_on_sent(ed_outbox *outbox, const ed_outgoing *next, uint64_t packet,
                       ed_sent_ref *ref);

/**
 * The same of what ed_outbox_follow chose. The last reference, if it is to be heard of, names one
 * message more. Once no other follows, ed_outbox_end_run does the rest for all of them.
 */
void ed_outbox_on_followed(ed_outbox *outbox, ed_outgoing *next, uint64_t packet);
void ed_outbox_end_run(ed_outbox *outbox, const ed_outgoing *next);

/** All that could leave has left: what was to leave now or never is dropped. */
void ed_outbox_drop_hasty(ed_outbox *outbox);

/** The reliable message that was begun first of those not settled, or NULL. Looks at every lane. */
ed_out *ed_outbox_oldest(const ed_outbox *outbox);

/** The one begun next after it on the same lane, or NULL. */
ed_out *ed_out_next_oldest(const ed_out *out);

/** What was sent of a message and is not settled: the first part, or NULL. */
ed_part *ed_out_first_part(ed_out *out);

/** The message's next one, or NULL. */
ed_part *ed_part_next(ed_part *part);

/** Whether nothing is left to send or to be acknowledged. */
static inline bool ed_outbox_is_flushed(const ed_outbox *outbox)
{
    return outbox->reliable_count == 0 && outbox->skip_count == 0 && outbox->fresh_count == 0;
}

/** When the message that waits longest to be sent was taken; ED_NEVER_NS: none waits. */
uint64_t ed_outbox_waiting_since_ns(const ed_outbox *outbox);

/** Whether half of `budget`, and of every stream's own, is free. */
bool ed_outbox_is_half_free(const ed_outbox *outbox, uint64_t budget);

/** Whether a message of this cost would be accepted on the stream, as far as accounts go. */
bool ed_outbox_has_room(const ed_outbox *outbox, uint64_t budget, uint8_t stream, uint64_t cost);

/* stream_repair.c */

/** Whether a newer message of its reliable sequenced lane makes it useless. */
bool ed_out_is_superseded(const ed_out *out);

/** What a reference names that is not settled: the first part, or NULL. */
ed_part *ed_outbox_first_of(ed_outbox *outbox, ed_sent_ref ref);

/** The one behind that, or NULL. */
ed_part *ed_outbox_next_of(ed_sent_ref ref, ed_part *part);

/**
 * Whether what `packet` carried is to go along again: it did so first, and the message is small,
 * reliable, in one piece, and neither settled nor known to be lost.
 */
bool ed_outbox_wants_copy(const ed_outbox *outbox, ed_part *part, uint64_t packet);

/** A packet that carried them was acknowledged. */
void ed_outbox_on_acked(ed_outbox *outbox, ed_sent_ref ref);

/** `packet`, that carried them, was lost. */
void ed_outbox_on_lost(ed_outbox *outbox, ed_sent_ref ref, uint64_t packet);

/** Gives up what has expired. */
void ed_outbox_expire(ed_outbox *outbox, uint64_t now_ns);

/** When to call ed_outbox_expire, or ED_NEVER_NS. */
uint64_t ed_outbox_expiry_ns(const ed_outbox *outbox);

/** Drops the messages, none of them begun, that are too large. @return how many reliable ones. */
uint64_t ed_outbox_drop_larger(ed_outbox *outbox, size_t size);

/** The connection is over: tells all receipts that are still wanted. */
void ed_outbox_end(ed_outbox *outbox);

/** Takes a receipt that is to be told to the program; NULL: none. The block is the caller's. */
ed_block *ed_outbox_next_receipt(ed_outbox *outbox);

/** One more unreliable message is dropped without having been sent. */
static inline void ed_outbox_count_shed(ed_outbox *outbox)
{
    outbox->made_of.stats->messages_shed++;
    outbox->shed_count++;
}

/* Between the files. */

static inline ed_out *ed_out_of_node(ed_list_node *node)
{
    return node == NULL ? NULL : ED_CONTAINER(node, ed_out, part.record.node);
}

static inline ed_out *ed_out_of_place(ed_list_node *node)
{
    return node == NULL ? NULL : ED_CONTAINER(node, ed_out, place);
}

static inline ed_piece *ed_piece_of(ed_part *part)
{
    ED_ASSERT(part->is_piece);
    return ED_CONTAINER(part, ed_piece, part);
}

static inline ed_out *ed_out_of_part(ed_part *part)
{
    return part->is_piece ? ed_piece_of(part)->out : ED_CONTAINER(part, ed_out, part);
}

/** The lanes of a priority that have turns; of one that is not the default, there are streams. */
static inline ed_list *ed_outbox_turns(ed_outbox *outbox, size_t priority)
{
    return priority == EDDY_PRIORITY_DEFAULT ? &outbox->turns : &outbox->streams->turns[priority];
}

static inline ed_lane_out *ed_lane_of_turn(ed_list_node *turn)
{
    return ED_CONTAINER(turn, ed_lane_out, turn);
}

/** Whether the receiver is sure to have a place for the lane's next message. */
static inline bool ed_lane_window_open(const ed_lane_out *lane)
{
    const ed_out *oldest = ed_out_of_place(ed_list_first(&lane->begun));

    return oldest == NULL || lane->next_sequence < oldest->sequence + ED_LANE_WINDOW;
}

/** Gives the lane its turn if it has something that may leave, and takes it away if not. */
void ed_outbox_update_turn(ed_outbox *outbox, ed_lane_out *lane);

/** Lets every starved lane try again. */
void ed_outbox_feed(ed_outbox *outbox);

/** Says what became of it, if that is asked for. */
void ed_out_tell(ed_outbox *outbox, ed_out *out, eddy_outcome outcome);

/** It is settled, or will never be: gives all that it holds back. */
void ed_out_forget(ed_outbox *outbox, ed_out *out);

/** What ed_out_forget does of one that is in no list but its lane's begun, but for its cost. */
void ed_out_settle(ed_outbox *outbox, ed_out *out);

/** Messages of the lane are not queued any more: the accounts have room for others. */
void ed_outbox_refund(ed_outbox *outbox, ed_lane_out *lane, uint64_t cost);

/** It does not wait to be sent any more. */
void ed_out_leave_fresh(ed_outbox *outbox, ed_out *out);

void ed_piece_forget(ed_outbox *outbox, ed_piece *piece);

/** It is to be sent again, in its turn. */
void ed_part_queue_lost(ed_outbox *outbox, ed_part *part);

/** It does not wait to be sent again any more. */
void ed_part_leave_lost(ed_outbox *outbox, ed_part *part);

/** The one that is to be sent again next, or NULL. */
ed_part *ed_outbox_first_lost(ed_outbox *outbox);

static inline bool ed_lane_is_reliable(const ed_lane_out *lane)
{
    return lane->guarantee >= ED_WIRE_RELIABLE_UNORDERED;
}

/** Whether it waits to be sent for the first time, or some of it does. */
static inline bool ed_out_is_fresh(const ed_out *out)
{
    return ed_list_linked(&out->part.record.node) && !out->part.is_lost;
}

/** Whether its own part does not stand for it. */
static inline bool ed_out_is_in_pieces(const ed_out *out)
{
    return out->part.is_skip || ed_is_in_parts(out->size) || !ed_lane_is_reliable(out->lane);
}

#endif
