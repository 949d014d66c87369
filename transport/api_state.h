/** What the files behind core/eddy.h share: a manager of shards, and what it has for all of them.
 */
#ifndef ED_API_STATE_H
#define ED_API_STATE_H

#include <stdatomic.h>

#include "transport/local.h"
#include "transport/resolver.h"
#include "transport/shard.h"

struct eddy_manager {
    eddy_config config; /* its pointers point at the copies below */
    eddy_allocator allocator;
    eddy_entropy entropy;
    eddy_calendar calendar;
    eddy_address local;
    eddy_key *client_keys; /* a copy; NULL: there is no list */
    ed_channel *events;    /* we hold the receiver's end */
    bool holds_sender;     /* and the other, until the shards do */
    ed_identity *identity;
    eddy_key public_key; /* not in `identity`: it is good in a child, too */
    bool has_public_key; /* made when the manager was opened */
    ed_resolver *resolver;
    ed_local *pairs;
    uint64_t next_ns;                 /* what the last eddy_poll returned: for eddy_wait */
    atomic_uint_fast64_t set_back_ns; /* how far the clock that eddy_poll goes by was */
    atomic_bool shutting_down;
    ed_shard_common common;
    uint32_t shard_count;
    eddy_socket *sockets; /* shard_count; one that is not open is zeroed */
    ed_shard *shards[EDDY_SHARDS_MAX];
};

/** The shard of a handle; of one that is none, a shard that does not know it. */
static inline ed_shard *ed_api_shard(const eddy_manager *m, eddy_connection connection)
{
    uint8_t number = ed_shard_of(connection);

    return m->shards[number < m->shard_count ? number : 0];
}

/** Whether the handle is that of a connection which is not over. */
static inline bool ed_api_is_live(const eddy_manager *m, eddy_connection connection)
{
    return ed_slots_live(ed_api_shard(m, connection)->slots, connection);
}

/** Where the connections are that we dial. */
static inline ed_shard *ed_api_dialler(const eddy_manager *m)
{
    return m->shards[0];
}

/** Tells the core what became of a name; see ed_resolver_done. `context` is the manager. */
void ed_api_resolved(void *context, eddy_connection connection, eddy_address *addresses,
                     size_t count);

/**
 * Whether this is a child of the process that opened the manager: its keys are gone, its threads
 * are in the parent, and its locks perhaps theirs. Asked before anything is locked.
 */
static inline bool ed_api_is_forked(const eddy_manager *m)
{
    return m->identity->presence == 0;
}

/** What a time of the program's clock is by the one that goes on where that was set back. */
static inline uint64_t ed_api_time_ns(const eddy_manager *m, uint64_t now_ns)
{
    return ed_add_sat_u64(now_ns, atomic_load(&m->set_back_ns));
}

/** Whether the program may still ask for anything. @return EDDY_OK, EDDY_ECLOSED or EDDY_EFORKED.
 */
static inline eddy_status ed_api_check_open(const eddy_manager *m)
{
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    return atomic_load(&m->shutting_down) ? EDDY_ECLOSED : EDDY_OK;
}

/** Hands a command to its connection's shard. @return EDDY_OK, EDDY_ECLOSED, EDDY_EFORKED or
 * EDDY_ENOMEM. Any thread. */
EDDY_MUST_CHECK eddy_status ed_api_push(eddy_manager *m, const ed_reliable_command *command);

#endif
