/**
 * What the receiver of reliable messages grants to their sender, so that nothing that arrives ever
 * lacks room. All counts are cumulative bytes of charge over the life of a connection and a
 * direction:
 *
 *   consumed <= claimed <= used (by the sender) <= limit <= consumed + window + demand (at most
 * demand_max of it)
 *
 * Used grows as messages are sent for the first time; claimed as they, or later ones, arrive;
 * consumed as the program gives them back. The limit is told in CREDIT frames and never falls.
 */
#ifndef ED_CREDIT_H
#define ED_CREDIT_H

#include "core/list.h"
#include "transport/limits.h"

enum {
    ED_CREDIT_PARTS_CHARGE = 2 * EDDY_MESSAGE_CHARGE, /* of a message in parts, besides its bytes */
    /* The most that sending one thing may cost: a first part. */
    ED_CREDIT_STEP_MAX = ED_CREDIT_PARTS_CHARGE + ED_DATAGRAM_SIZE,
};

/** Whether a message of this size travels in parts. */
static inline bool ed_is_in_parts(size_t size)
{
    return size > EDDY_PIECE_SIZE_MAX;
}

/** What is charged once the first `end` bytes (at least one part) of a message have been sent. */
static inline uint64_t ed_charge_upto(size_t size, size_t end)
{
    return ed_is_in_parts(size) ? end + ED_CREDIT_PARTS_CHARGE : size + EDDY_MESSAGE_CHARGE;
}

static inline uint64_t ed_charge_of(size_t size)
{
    return ed_charge_upto(size, size);
}

/** What all connections of a manager share: the room for what is received, in bytes of charge. */
typedef struct ed_credit_pool {
    uint64_t windows_max; /* one part of it is for windows, */
    uint64_t demands_max; /* the other for large messages that have begun to arrive */
    uint64_t demand_max;  /* of one connection: more than there may be is never waited for */
    uint64_t windows;
    uint64_t demands;
    uint64_t lanes; /* bytes of lanes beyond what each connection has room for: of demands_max */
    uint64_t lanes_max;
    uint64_t orphans;        /* held by the program, of connections that are over: of demands_max */
    uint64_t unreliable_max; /* and this much is for unreliable messages */
    uint64_t unreliable;
    uint64_t window_max;     /* of one connection */
    uint32_t window_initial; /* granted in the handshake */
    uint32_t connections_max;
    uint32_t connection_count;
    ed_list waiting; /* of ed_credit_in.waiting: for room, first come, first served */
} ed_credit_pool;

/** @param budget bytes of heap for all that is received. */
void ed_credit_pool_init(ed_credit_pool *pool, size_t budget, size_t max_message_size,
                         uint32_t connections_max);

/** Since when, and from which claim on, use is measured. */
typedef struct ed_credit_round {
    uint64_t begin_ns;
    uint64_t claimed;
} ed_credit_round;

/** One connection as a receiver. */
typedef struct ed_credit_in {
    bool pending; /* a CREDIT frame is to be sent */
    ed_credit_pool *pool;
    ed_list_node waiting;
    uint64_t limit;
    uint64_t claimed;
    uint64_t consumed;
    uint64_t window;        /* may be outstanding besides the demand */
    uint64_t demand;        /* the charges of the messages of which some parts are here */
    uint64_t reserved;      /* of the pool's demands */
    ed_credit_round fast;   /* for the use within round trips, */
    ed_credit_round steady; /* and within seconds */
} ed_credit_in;

/** Reserves the initial window. @return false if there is no room: nothing is reserved. */
bool ed_credit_in_init(ed_credit_in *credit, ed_credit_pool *pool, uint64_t now_ns);

/** Gives back what is reserved. */
void ed_credit_in_free(ed_credit_in *credit);

/** Something arrived. @return false if that is more than was granted; nothing changes then. */
static inline bool ed_credit_claim(ed_credit_in *credit, uint64_t charge)
{
    if (charge > credit->limit - credit->claimed)
        return false;
    credit->claimed += charge;
    return true;
}

/** Raises the limit if that is due and there is room, and asks for a CREDIT frame. */
void ed_credit_update(ed_credit_in *credit, uint64_t smoothed_rtt_ns, uint64_t now_ns);

/** Takes room for so many bytes of lanes. @return false if there is none. */
bool ed_credit_take_lanes(ed_credit_pool *pool, uint64_t size);

/** Whether what the program gives back now may make the limit rise. */
bool ed_credit_is_short(const ed_credit_in *credit);

/** Whether the counts are in order. */
bool ed_credit_valid(const ed_credit_in *credit);

#endif
