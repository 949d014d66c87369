/** What the files behind core/eddy.h share: a manager, its socket, its channels, perhaps a pump. */
#ifndef ED_API_STATE_H
#define ED_API_STATE_H

#include <stdatomic.h>

#include "transport/check.h"
#include "transport/local.h"
#include "transport/pump.h"
#include "transport/reliable.h"
#include "transport/resolver.h"

struct eddy_manager {
    eddy_config config; /* its pointers point at the copies below */
    eddy_allocator allocator;
    eddy_entropy entropy;
    eddy_calendar calendar;
    eddy_socket socket;
    eddy_address local;
    eddy_key public_key;   /* not in `identity`: it is good in a child, too */
    ed_pool *control_pool; /* so that a connection can be closed when the others are used up */
    ed_pool *notice_pool;  /* for events that may come late */
    ed_pool *event_pool;   /* has room for every event that must not be lost */
    ed_pool *payload_pool; /* and for the payload of every newcomer */
    ed_pool *send_pool;
    ed_pool *receipt_pool; /* has room for one of every message that the other has room for */
    ed_pool *receive_pool;
    ed_channel *commands; /* we hold the sender's end */
    ed_channel *events;   /* we hold the receiver's end */
    ed_returns returns;
    ed_slots *slots;
    eddy_key *client_keys; /* a copy; NULL: there is no list */
    ed_identity *identity;
    ed_account *accounts; /* of the slots, by number */
    ed_asks asks;
    ed_resolver *resolver;
    ed_local *pairs;
    ed_mutex core_mutex;  /* held while the core is polled, or looked into */
    uint64_t polled_ns;   /* the time of the last poll; of core_mutex, too */
    uint64_t next_ns;     /* what the last eddy_poll returned: for eddy_wait */
    uint64_t set_back_ns; /* how far behind that the program's clock has been set, if it polls */
    ed_manager *core;
    ed_reliable reliable;
    ed_log log;
    ed_pump pump;
    atomic_bool shutting_down;
    atomic_uint_fast64_t sends_refused;

    eddy_stats live; /* the manager's own */
    uint64_t refusals[EDDY_CHECK_COUNT];
    ed_mutex mutex; /* of what follows */
    eddy_stats published;
    uint64_t published_refusals[EDDY_CHECK_COUNT];
    eddy_socket_stats published_socket;
};

/** Tells the core what became of a name: NULL: it has no address. `context` is the manager. */
void ed_api_resolved(void *context, eddy_connection connection, const eddy_address *address);

/**
 * Whether this is a child of the process that opened the manager: its keys are gone, its threads
 * are in the parent, and its locks perhaps theirs. Asked before anything is locked.
 */
static inline bool ed_api_is_forked(const eddy_manager *m)
{
    return m->identity->presence == 0;
}

/** Hands a command to the core. @return EDDY_OK, EDDY_ECLOSED, EDDY_EFORKED or EDDY_ENOMEM. Any
 * thread. */
EDDY_MUST_CHECK eddy_status ed_api_push(eddy_manager *m, const ed_reliable_command *command);

#endif
