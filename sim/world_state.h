/** What the files of the world share. Nobody else includes this. */
#ifndef ED_SIM_WORLD_STATE_H
#define ED_SIM_WORLD_STATE_H

#include "core/deadline.h"
#include "core/map.h"
#include "sim/random.h"
#include "sim/world.h"

struct ed_host {
    ed_world *world;
    uint32_t index; /* in the order of creation */
    bool closed;
    eddy_address address;
    ed_world_run run; /* NULL: no node */
    void *run_context;
    ed_flight *inbox;
    uint64_t inbox_ordinal;
    ed_rng entropy;
    eddy_socket_stats stats;
};

typedef struct ed_world_pair {
    ed_link *link;
    ed_host *from;
    ed_host *to;
} ed_world_pair;

typedef enum ed_world_rule_kind {
    ED_WORLD_RULE_CONFIG = 1,
    ED_WORLD_RULE_BLOCK = 2,
} ed_world_rule_kind;

typedef struct ed_world_rule {
    ed_world_rule_kind kind;
    bool blocked;
    eddy_address from; /* family NONE: any */
    eddy_address to;
    ed_link_config config;
} ed_world_rule;

struct ed_world {
    const eddy_allocator *allocator;
    uint64_t seed;
    uint64_t now_ns;
    uint64_t stall_count; /* steps at now_ns */
    uint64_t trace;
    ed_deadlines *nodes;      /* slot: host index */
    ed_deadlines *deliveries; /* slot: pair index */
    ed_map *addresses;        /* eddy_address of an open host -> host index */
    ed_map *pairs_by_hosts;   /* host indices -> pair index */
    ed_world_observer observer;
    void *observer_context;
    ed_world_stats stats;
    uint32_t host_count;
    uint32_t pair_count;
    uint32_t rule_count;
    ed_host *hosts[ED_WORLD_HOSTS_MAX];
    ed_world_pair pairs[ED_WORLD_LINKS_MAX];
    ed_world_rule rules[ED_WORLD_RULES_MAX]; /* oldest first */
    uint32_t due[ED_WORLD_HOSTS_MAX];        /* hosts whose nodes run in this step */
};

/** The open host at an address, or NULL. */
ed_host *ed_world_host_at(const ed_world *world, const eddy_address *address);

/** Frees the host; its links are not touched. */
void ed_world_host_destroy(ed_host *host);

/** Puts an arrival into the socket, and wakes the node. `datagram->local` is where it went. */
void ed_world_host_deliver(ed_host *host, const eddy_datagram *datagram);

/** The pair's index; made on first use. UINT32_MAX: at ED_WORLD_LINKS_MAX or out of memory. */
uint32_t ed_world_pair_index(ed_world *world, ed_host *from, ed_host *to);

/** Gives every link what the rules say, after they or an address have changed. */
void ed_world_apply_rules(ed_world *world);

/** Reads the pair's deadline anew, after a push or a pull. */
void ed_world_schedule_pair(ed_world *world, uint32_t index);

#endif
