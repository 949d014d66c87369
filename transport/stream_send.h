/**
 * The messages a connection has accepted and not yet seen acknowledged, and which of them leaves
 * next: first what was lost, then the lanes in turn, a message each.
 */
#ifndef ED_STREAM_SEND_H
#define ED_STREAM_SEND_H

#include "core/list.h"
#include "core/pool.h"
#include "transport/lane.h"
#include "transport/sent.h"

typedef struct ed_lane_out {
    ed_list_node turn;   /* in ed_outbox.turns while it has a message that may leave */
    ed_list fresh;       /* of ed_out.node: never sent */
    ed_list outstanding; /* of ed_out.lane_node: sent, not acknowledged; by sequence */
    uint64_t next_sequence;
    uint64_t burst_packet; /* the newest packet with new messages of this lane */
    uint32_t burst_count;  /* and how many */
    uint8_t guarantee;
    uint8_t stream;
    bool reliable;
} ed_lane_out;

typedef enum ed_out_state {
    ED_OUT_FREE = 0,
    ED_OUT_FRESH,
    ED_OUT_IN_FLIGHT,
    ED_OUT_LOST, /* waits to be sent again */
} ed_out_state;

/** One message on its way out. */
typedef struct ed_out {
    ed_list_node
        node; /* in its lane's fresh, or in the outbox's lost; in none while it is in flight */
    ed_list_node lane_node;
    ed_lane_out *lane;
    ed_block *block; /* owned */
    uint64_t sequence;
    uint64_t first_packet; /* the one that carried it first: older messages have lower ones */
    uint64_t last_packet;  /* the newest packet that carries it */
    uint32_t slot;
    uint32_t generation;
    ed_out_state state;
} ed_out;

typedef struct ed_outbox {
    const eddy_allocator *allocator;
    ed_lanes lanes;
    ed_list turns;
    ed_list lost;            /* by age */
    ed_list_node *lost_hint; /* the one put in last, if it is still there; else NULL */
    ed_list unused;
    ed_out **chunks; /* records never move */
    uint32_t chunk_count;
    uint32_t chunk_capacity;
    uint64_t reliable_count; /* accepted and not acknowledged */
    uint64_t fresh_count;    /* never sent, of both kinds */
    size_t unreliable_size;  /* bytes of unreliable messages that wait */
} ed_outbox;

void ed_outbox_init(ed_outbox *outbox, const eddy_allocator *allocator);

/** Gives every block back. */
void ed_outbox_free(ed_outbox *outbox);

/**
 * Accepts a message and takes its block over. `*shed` says how many older unreliable messages gave
 * way. @return EDDY_OK, or EDDY_ENOMEM with nothing changed.
 */
EDDY_MUST_CHECK eddy_status ed_outbox_push(ed_outbox *outbox, uint8_t guarantee, uint8_t stream,
                                           ed_block *block, uint64_t *shed);

/** The message to send next, or NULL; the same until it is sent. */
ed_out *ed_outbox_next(const ed_outbox *outbox);

/**
 * The message that was sent first of those not acknowledged, lost or not, to be sent again as a
 * probe; or NULL. Looks at every lane.
 */
ed_out *ed_outbox_oldest(const ed_outbox *outbox);

/** The one sent next after it on the same lane, or NULL. */
ed_out *ed_out_next_oldest(const ed_out *out);

/**
 * Whether the packet may carry it: it has no more than ED_LANE_BURST_MAX new messages of one lane,
 * so that a packet that comes as late as the replay window allows is still known by its sequences.
 */
bool ed_out_fits_packet(const ed_out *out, uint64_t packet);

/** How it stands in a packet. */
ed_message_frame ed_out_frame(const ed_out *out);

/** It left in a packet. An unreliable one is freed; a reliable one waits for its ack. */
void ed_outbox_on_sent(ed_outbox *outbox, ed_out *out, uint64_t packet);

/** A packet that carried it was acknowledged. @return false if it was acknowledged before. */
bool ed_outbox_on_acked(ed_outbox *outbox, ed_sent_ref ref);

/** `packet`, that carried it, was lost. @return whether it will be sent again because of that. */
bool ed_outbox_on_lost(ed_outbox *outbox, ed_sent_ref ref, uint64_t packet);

#endif
