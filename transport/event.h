/**
 * An item of the event channel: an eddy_event without its payload, which lies in a block. So an
 * event that waits takes a fraction of the memory, and one that has to be told never fails for want
 * of it: its block is taken before there is anything to tell.
 */
#ifndef ED_EVENT_H
#define ED_EVENT_H

#include "core/pool.h"

/** What a newcomer has shown of itself, for the first event of its connection. In a block. */
typedef struct ed_newcomer {
    eddy_key key;       /* mode MUTUAL: the client's */
    uint64_t client_id; /* mode TOKEN */
    uint16_t payload_size;
    uint16_t data_size;
    uint8_t payload[]; /* and behind it the token's data */
} ed_newcomer;

/** What a message's receipt is made of; in a block. Its event begins it. */
typedef struct ed_receipt {
    eddy_event_receipt event;
    bool is_quiet; /* it is no event: only who asks is told */
} ed_receipt;

static inline ed_receipt *ed_receipt_of(ed_block *block)
{
    return (void *)block->data;
}

typedef struct ed_event_item {
    eddy_connection connection;
    /* The message; of other types what eddy_event's union holds, or NULL. A payload's block hangs
       on it by `next`. */
    ed_block *block;
    uint32_t skipped;
    uint8_t type; /* eddy_event_type */
    uint8_t guarantee;
    uint8_t stream;
} ed_event_item;

/** What the events of a connection that must not be lost are charged: with CONNECT_REQUEST or not.
 */
size_t ed_event_charge(bool asks);

/** What the payload of one is charged, at most. */
size_t ed_event_payload_charge(void);

/** @return a block for the data of a CONNECT_REQUEST, CONNECTED or DISCONNECTED, or NULL. */
ed_block *ed_event_reserve(ed_pool *pool, eddy_event_type type);

/** An event whose data, `size` bytes, are put into a block that was reserved for it. */
ed_event_item ed_event_of(eddy_connection connection, eddy_event_type type, ed_block *block,
                          const void *data, size_t size);

/**
 * Writes the public event. The block of a message, or of a payload, goes over to it; that of any
 * other event is read, and stays the caller's.
 */
void ed_event_read(const ed_event_item *item, eddy_event *event);

/** Gives back the blocks of an event that nobody will read. */
void ed_event_drop(const ed_event_item *item);

#endif
