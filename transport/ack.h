/** What has been received, and when the peer must be told. Acks never wait for the program. */
#ifndef ED_ACK_H
#define ED_ACK_H

#include "core/ranges.h"
#include "core/writer.h"
#include "transport/limits.h"

/** How soon the sender of a packet wants to hear that it came. */
typedef enum ed_ack_haste {
    ED_ACK_UNASKED, /* never: nothing in it elicits an ACK */
    ED_ACK_PATIENT, /* unreliable messages alone: nothing of it would be sent again */
    ED_ACK_PROMPT,
} ed_ack_haste;

enum {
    ED_ACK_RANGES_FEW = 2, /* what a path that loses next to nothing needs */
};

typedef struct ed_ack {
    const eddy_allocator *allocator;
    ed_ranges received; /* in `few`, or in ED_ACK_RANGES_MAX places of its own */
    ed_range few[ED_ACK_RANGES_FEW];
    uint64_t largest_ns;  /* when the largest number arrived */
    uint64_t deadline_ns; /* when an ACK must leave; UINT64_MAX: nothing asks for one */
    /* Ack-eliciting packets since the last ACK left: */
    uint32_t eliciting;
    uint32_t prompt; /* of these, the ones that ask for haste */
    uint64_t size;   /* bytes of their datagrams */
} ed_ack;

/** It must stay where it is. `allocator` outlives it. */
void ed_ack_init(ed_ack *ack, const eddy_allocator *allocator);

/** Gives its memory back. */
void ed_ack_free(ed_ack *ack);

/** Whether it has memory of its own. */
bool ed_ack_is_wide(const ed_ack *ack);

/** Gives that back, if there are few ranges: it goes on with those. */
void ed_ack_rest(ed_ack *ack);

/**
 * A new packet arrived, in a datagram of `size` bytes. One that asks for haste is acknowledged
 * within ED_ACK_DELAY_NS, and at once if it is the second; a patient one within ED_ACK_PATIENCE_NS,
 * so that the ACK finds company. Both at once if they are out of order, because the peer may be
 * waiting to repair a loss (RFC 9000 13.2.1), or many: its window waits for word of them.
 */
void ed_ack_on_packet(ed_ack *ack, uint64_t number, ed_ack_haste haste, size_t size,
                      uint64_t now_ns);

/** What is owed is owed now: the peer does not know what has come, and says it again. */
void ed_ack_hasten(ed_ack *ack, uint64_t now_ns);

/** Whether there is something to acknowledge that has not been. */
bool ed_ack_wanted(const ed_ack *ack);

/** Writes the ACK frame. */
void ed_ack_write(ed_ack *ack, ed_writer *w, uint64_t now_ns);

/** The largest number that an ACK written now would name. */
uint64_t ed_ack_largest(const ed_ack *ack);

/** The ACK that was written has left. */
void ed_ack_on_sent(ed_ack *ack);

/** The peer has an ACK of ours that named `largest`: what is older need not be said again. */
void ed_ack_on_acked(ed_ack *ack, uint64_t largest);

#endif
