/**
 * One of a manager's shards: a socket, the connections that come through it, and perhaps a thread.
 * Shards share what stands in ed_shard_common and nothing else. Newcomers are spread over them by
 * their address; the id that a connection gets names its shard, so that its packets find it from
 * wherever they come. Connections that we dial have shard 0.
 */
#ifndef ED_SHARD_H
#define ED_SHARD_H

#include <stdatomic.h>

#include "transport/check.h"
#include "transport/pump.h"
#include "transport/reliable.h"

/** What the shards of a manager have in common; all of it outlives them. */
typedef struct ed_shard_common {
    const eddy_config *config; /* the manager's, of which each has its share */
    ed_channel *events;
    ed_identity *identity;
    ed_door door;
    ed_quota incoming; /* connections of all of them */
} ed_shard_common;

typedef struct ed_shard {
    eddy_config config; /* its share */
    ed_shard_common *common;
    const eddy_socket *socket;
    uint8_t number;
    ed_pool *control_pool; /* so that a connection can be closed when the others are used up */
    ed_pool *notice_pool;  /* for events that may come late */
    ed_pool *event_pool;   /* has room for every event that must not be lost */
    ed_pool *payload_pool; /* and for the payload of every newcomer */
    ed_pool *send_pool;
    ed_pool *receipt_pool; /* has room for one of every message that the other has room for */
    ed_pool *receive_pool;
    ed_channel *commands; /* we hold the sender's end */
    ed_returns returns;
    ed_ending ending;
    ed_slots *slots;
    ed_account *accounts; /* of the slots, by number */
    ed_asks asks;
    ed_mutex core_mutex; /* of what follows: held while the core is polled, or looked into */
    uint64_t polled_ns;  /* the time of the last poll */
    eddy_stats live;
    uint64_t refusals[EDDY_CHECK_COUNT];
    eddy_socket_stats socket_stats; /* as of the last poll: a wait changes the socket's own */
    ed_manager *core;
    ed_reliable reliable;
    ed_log log;
    ed_pump pump;
    atomic_uint_fast64_t sends_refused;
} ed_shard;

/** A channel for the events of all shards. @return NULL out of memory. */
ed_channel *ed_shard_events_create(const eddy_allocator *allocator);

/** How many slots a shard has. */
uint32_t ed_shard_slot_count(const eddy_config *config, uint32_t number);

/** @return EDDY_OK, or another status with `*shard` NULL. */
EDDY_MUST_CHECK eddy_status ed_shard_create(ed_shard **shard, ed_shard_common *common,
                                            uint32_t number, const eddy_socket *socket);

/**
 * Makes what it runs; identity and door are there by now.
 * @param secrets_at where the secrets of its slots begin in the identity.
 */
EDDY_MUST_CHECK eddy_status ed_shard_begin(ed_shard *shard, uint32_t secrets_at);

/** Starts its thread. */
EDDY_MUST_CHECK eddy_status ed_shard_start(ed_shard *shard);

/** Does all that is due. @return when to call again, as ed_manager_poll does. */
uint64_t ed_shard_poll(ed_shard *shard, uint64_t now_ns);
uint64_t ed_shard_flush(ed_shard *shard, uint64_t now_ns); /* takes in no datagrams */

/**
 * Sleeps on the socket for up to `timeout_ns`, or until another thread has something for a poll.
 * @return EDDY_OK, also at once; EDDY_ESYSTEM without a descriptor to wake by.
 */
EDDY_MUST_CHECK eddy_status ed_shard_wait(ed_shard *shard, uint64_t timeout_ns);

/** Asks it to end, which it does at its next poll; see eddy_shutdown. Any thread. */
void ed_shard_ask_end(ed_shard *shard, uint32_t flush_ms);

/** Waits for the end of a poll that goes on: the next has seen what was asked before. */
void ed_shard_await_poll(ed_shard *shard);

/** Ends what it runs, once its thread has; what is left in its channel is dropped, and counted. */
void ed_shard_end(ed_shard *shard);

/** Frees the rest. NULL is fine. */
void ed_shard_destroy(ed_shard *shard);

#endif
