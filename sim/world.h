/**
 * A network in virtual time: hosts with one socket each, a link for each pair and direction, and
 * nodes that run on the hosts. The same seed and the same calls give the same run, byte for byte.
 * One thread at a time. Everything that a world gave away ends with it.
 */
#ifndef ED_SIM_WORLD_H
#define ED_SIM_WORLD_H

#include "core/eddy.h"
#include "sim/link.h"

enum {
    ED_WORLD_HOSTS_MAX = 2048, /* ever, closed ones included */
    ED_WORLD_LINKS_MAX = 8192,
    ED_WORLD_RULES_MAX = 256,
    ED_WORLD_STALL_MAX = 1 << 20, /* steps at one point in time; more is a node that never rests */
    ED_WORLD_DELAY_MS = 1,        /* of every link, until ed_world_set_link says otherwise */
};

typedef struct ed_world ed_world;

/** A socket in a world, and the node that runs on it. */
typedef struct ed_host ed_host;

/** @return NULL out of memory. */
ed_world *ed_world_create(const eddy_allocator *allocator, uint64_t seed);
void ed_world_destroy(ed_world *world); /* NULL is fine */

/* ------------------------------------------------------------------------------------- hosts -- */

/**
 * Opens a socket at an address that no other open one has. Its table (`*socket`) cannot wait; its
 * close frees the address, detaches the node, and drops what arrives later.
 * @return NULL when the address is taken or of no family, at ED_WORLD_HOSTS_MAX, or out of memory.
 */
ed_host *ed_world_socket(ed_world *world, const eddy_address *local, eddy_socket *socket);

/** Bytes that follow from the world's seed and the host. */
eddy_entropy ed_world_entropy(ed_world *world, ed_host *host);

/** Does what is due, takes all that has arrived. @return when to run again at the latest. */
typedef uint64_t (*ed_world_run)(void *context, uint64_t now_ns);

/**
 * Lets a node live on the host: it runs when its deadline is due, when a datagram arrived and when
 * it is touched; for the first time in the next step. NULL for `run` detaches.
 */
void ed_world_attach(ed_world *world, ed_host *host, ed_world_run run, void *context);

/** Runs the host's node in the next step: somebody gave it work from outside. */
void ed_world_touch(ed_world *world, ed_host *host);

/**
 * Moves the socket to another address, as a NAT does; its links stay. What is on its way to the old
 * address is lost. @return EDDY_OK, EDDY_EADDRESS, EDDY_EINUSE, or EDDY_ENOMEM: it has not moved.
 */
EDDY_MUST_CHECK eddy_status ed_world_move(ed_world *world, ed_host *host,
                                          const eddy_address *address);

/* ------------------------------------------------------------------------------------- links -- */

/**
 * Gives links a config, those that exist and those to come. `from` and `to` are addresses, NULL or
 * family NONE: any. Of several calls that fit a link, the last counts.
 * @return EDDY_OK, EDDY_ECONFIG or EDDY_ELIMIT, and then nothing changes.
 */
EDDY_MUST_CHECK eddy_status ed_world_set_link(ed_world *world, const eddy_address *from,
                                              const eddy_address *to, const ed_link_config *config);

/** Cuts or mends links, chosen as above. @return EDDY_OK or EDDY_ELIMIT. */
EDDY_MUST_CHECK eddy_status ed_world_block(ed_world *world, const eddy_address *from,
                                           const eddy_address *to, bool blocked);

/** Mends every link, now and to come: nothing is left but its delay. */
void ed_world_heal(ed_world *world);

/** The link from one host to another; NULL while nothing was sent on it. */
const ed_link *ed_world_link(const ed_world *world, const ed_host *from, const ed_host *to);

/* -------------------------------------------------------------------------------------- time -- */

uint64_t ed_world_now_ns(const ed_world *world);

/** When something happens next, or UINT64_MAX. */
uint64_t ed_world_next_ns(const ed_world *world);

/**
 * Goes on to the next happening: all that is delivered then, and after it the nodes that this or
 * their deadline woke, in the order of their sockets' creation, once each.
 * @return false, and stays, when nothing is pending.
 */
bool ed_world_step(ed_world *world);

/** Steps through all that happens until `until_ns`, included; then it is `until_ns`. */
void ed_world_run_until(ed_world *world, uint64_t until_ns);

/* -------------------------------------------------------------------------------- strangers -- */

/**
 * Puts a datagram on its way as though the host at `local` had sent it, which knows nothing of it;
 * no observer sees it. @return false if no host has that address.
 */
bool ed_world_forge(ed_world *world, const eddy_datagram *datagram);

/* ------------------------------------------------------------------------------ observation -- */

/** The hash so far of time, addresses and bytes of all that was sent, and of every note. */
uint64_t ed_world_trace(const ed_world *world);

/** Adds bytes to the trace: what a host did, besides sending. */
void ed_world_note(ed_world *world, const void *data, size_t size);

/**
 * Sees a datagram as it is sent, before any link: `local` sends it, `remote` is where it goes.
 * @return true to drop it.
 */
typedef bool (*ed_world_observer)(void *context, const eddy_datagram *datagram, uint64_t now_ns);

/** At most one; NULL: none. */
void ed_world_observe(ed_world *world, ed_world_observer observer, void *context);

/** Datagrams that never met a link, or left one for nobody. What a socket sent is in its stats. */
typedef struct ed_world_stats {
    uint64_t observer_dropped;
    uint64_t no_host; /* nobody has that address: on sending, or any more on arrival */
    uint64_t no_room; /* ED_FLIGHT_MAX waited to be received, or no memory */
} ed_world_stats;

ed_world_stats ed_world_get_stats(const ed_world *world);

#endif
