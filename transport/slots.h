/**
 * The handles of a manager's connections. A slot that the program knows of is free again when its
 * connection is over and the program has heard so: then a program that does not read can be told of
 * no more connections than there are slots, however many come and go.
 *
 * Slots 0 to outgoing_count - 1 are taken by callers that connect, from any thread; those behind
 * them by the manager for newcomers. So what the manager does depends on its inputs alone, and not
 * on who was first.
 *
 * A handle is a generation (32 bits), 8 bits of 0, its shard (8), and its slot plus 1 (16).
 */
#ifndef ED_SLOTS_H
#define ED_SLOTS_H

#include "core/eddy.h"
#include "transport/quota.h"

typedef struct ed_slots ed_slots;

enum {
    ED_SLOTS_MAX = 65000 /* a wire id has 16 bits for the slot */
};

/** @return NULL out of memory. */
ed_slots *ed_slots_create(const eddy_allocator *allocator, uint32_t outgoing_count,
                          uint32_t incoming_count);
void ed_slots_destroy(ed_slots *slots); /* NULL is fine */

/**
 * Before any is taken: these are the slots of one shard of several.
 * @param incoming what the incoming connections of all shards are taken from.
 */
void ed_slots_join(ed_slots *slots, uint8_t shard, ed_quota *incoming);

/**
 * Takes a slot for an outgoing connection. Any thread. Nobody finds it, nor sends to it, before
 * ed_slots_show. @return its handle, 0: all are taken.
 */
eddy_connection ed_slots_take_outgoing(ed_slots *slots);

/** The manager has been told to dial, so that whatever is said to it now comes after that. Both
 * the caller and the manager say so, whoever is first; the other may be late. */
void ed_slots_show(ed_slots *slots, eddy_connection handle);

/** Takes a slot for an incoming connection. @return its handle, 0: all are taken, or the quota. */
eddy_connection ed_slots_take_incoming(ed_slots *slots);

/**
 * Gives a slot back of which the program has not heard: its handle is stale from here on. The slot
 * rests as long as possible.
 */
void ed_slots_give(ed_slots *slots, eddy_connection handle);

/** The connection is over: its handle is not live any more. Free once it is forgotten. */
void ed_slots_end(ed_slots *slots, eddy_connection handle);

/**
 * The program has heard the last of the connection. Free once it has ended, too. Any thread for an
 * outgoing slot; of an incoming one only the manager says so, as it is the manager that takes them.
 */
void ed_slots_forget(ed_slots *slots, eddy_connection handle);

/** Whether the handle is that of a slot taken, with a connection that is not over. Any thread. */
bool ed_slots_live(const ed_slots *slots, eddy_connection handle);

/** The connection's last event is made: what is sent from now on would come too late for it. */
void ed_slots_mute(ed_slots *slots, eddy_connection handle);

/** Whether the handle is live, and its connection may still be given messages. Any thread. */
bool ed_slots_takes(const ed_slots *slots, eddy_connection handle);

/** Notes that the program is asked about this connection. */
void ed_slots_ask(ed_slots *slots, eddy_connection handle);

/** Takes that note off. Any thread. @return whether it was there: only the first answer counts. */
bool ed_slots_answer(ed_slots *slots, eddy_connection handle);

/** Takes the answer back: it could not be passed on. Any thread. */
void ed_slots_ask_again(ed_slots *slots, eddy_connection handle);

/**
 * The program's own pointer for a connection; NULL in a slot just taken. Any thread.
 * @return whether the handle is live.
 */
bool ed_slots_set_data(ed_slots *slots, eddy_connection handle, void *data);

/** @return what was set, until the slot is free again; NULL for a stale handle. Any thread. */
void *ed_slots_data(const ed_slots *slots, eddy_connection handle);

/** How many slots for incoming connections may be taken now. */
uint32_t ed_slots_left_incoming(ed_slots *slots);

/** The handle of a slot, if it is taken and shown; otherwise 0. Any thread. */
eddy_connection ed_slots_handle(const ed_slots *slots, uint32_t slot);

/** Whether the handle is of the kind that callers take. */
bool ed_slots_is_outgoing(const ed_slots *slots, eddy_connection handle);

/** How many slots there are, of both kinds. */
uint32_t ed_slots_count(const ed_slots *slots);

/** Of these, those that callers take: the first ones. */
uint32_t ed_slots_outgoing_count(const ed_slots *slots);

/** The shard of these slots. */
uint8_t ed_slots_shard(const ed_slots *slots);

/** The slot of a handle, within its shard; past the last one if it is no handle. */
static inline uint32_t ed_slot_of(eddy_connection handle)
{
    return (uint32_t)(handle & 0xffff) - 1;
}

/** The shard that a handle names. */
static inline uint8_t ed_shard_of(eddy_connection handle)
{
    return (uint8_t)(handle >> 16);
}

/** What the wire calls a connection: shard (first byte), slot, low bits of the generation. */
static inline uint32_t ed_wire_id_of(eddy_connection handle)
{
    return ed_shard_of(handle) | ed_slot_of(handle) << 8 | (uint32_t)(handle >> 33) << 24;
}

static inline uint32_t ed_slot_of_wire_id(uint32_t id)
{
    return id >> 8 & 0xffff;
}

#endif
