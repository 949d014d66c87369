/**
 * Pairs of connections within one manager. They never come near its core: what one end sends is an
 * event of the other, pushed by whoever sends. Any thread.
 */
#ifndef ED_LOCAL_H
#define ED_LOCAL_H

#include "core/channel.h"
#include "transport/event.h"
#include "transport/slots.h"

typedef struct ed_local ed_local;

/**
 * All that is given outlives it.
 * @param pool has room for the first and last event of every slot. @return NULL out of memory.
 */
ed_local *ed_local_create(const eddy_allocator *allocator, ed_slots *slots, ed_pool *pool,
                          ed_channel *events);

/** Forgets the pairs without a word. NULL is fine. */
void ed_local_destroy(ed_local *local);

/** @return EDDY_OK; EDDY_ELIMIT, EDDY_ENOMEM or EDDY_ECLOSED, with both untouched. */
EDDY_MUST_CHECK eddy_status ed_local_connect(ed_local *local, eddy_connection *a,
                                             eddy_connection *b);

/** Whether the handle is that of one end of a pair. */
bool ed_local_owns(ed_local *local, eddy_connection connection);

/**
 * Hands a message to the other end, and says so if `receipt` (see ed_message) asks for it.
 * @return EDDY_OK, and both blocks are taken over; EDDY_EAGAIN, EDDY_ECONNECTION or, after
 * ed_local_shutdown, EDDY_ECLOSED.
 */
EDDY_MUST_CHECK eddy_status ed_local_send(ed_local *local, eddy_connection connection,
                                          eddy_guarantee guarantee, uint8_t stream, ed_block *block,
                                          ed_block *receipt);

/** Ends both ends of a pair. @return EDDY_OK, EDDY_ENOMEM, EDDY_ECONNECTION or EDDY_ECLOSED. */
EDDY_MUST_CHECK eddy_status ed_local_disconnect(ed_local *local, eddy_connection connection,
                                                uint32_t code, const char *reason);

/**
 * Ends all pairs; there will be no others. Call it before the event channel may end, until it
 * @return true: false if there was no memory for some of their events.
 */
bool ed_local_shutdown(ed_local *local);

#endif
