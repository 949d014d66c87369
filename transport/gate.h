/**
 * Limits by address: of those who have proved theirs, how many handshakes one may begin, and how
 * many connections it may have; of all others, how many resets leave to one. An IPv4 address counts
 * by itself, IPv6 by /64, which is what one household has. What connections need is taken at the
 * start; for others there is more as they come, up to a limit, and whatever comes, no more.
 */
#ifndef ED_GATE_H
#define ED_GATE_H

#include "core/crypto.h"
#include "core/prefix.h"
#include "transport/bucket.h"

enum {
    ED_GATE_CAPACITY_MAX = 65535, /* addresses; 24 bytes each */
    ED_GATE_SAMPLE = 32,          /* strangers of which one makes room for a newcomer */
    ED_GATE_RESETS_PER_S = 10,    /* to one address, and so many at once, */
    ED_GATE_RESET_BUCKETS = 1024, /* of which those share a bucket whose hashes are alike: all
                                     together have ten times the budget of resets */
};

typedef struct ed_gate_limits {
    uint32_t capacity;          /* 1 to ED_GATE_CAPACITY_MAX; more than may have connections */
    uint32_t taken;             /* of these, places that are there from the start; so, too */
    uint32_t rate;              /* handshakes of one address a second; 0: no limit */
    uint32_t burst;             /* of these at once, at least 1 */
    uint32_t connections_max;   /* of one address; 0: no limit */
    uint32_t half_open_max;     /* of these, not yet confirmed; 0: no limit */
    const eddy_prefix *trusted; /* networks without limits and not counted; copied */
    size_t trusted_count;
} ed_gate_limits;

typedef enum ed_gate_verdict {
    ED_GATE_OK,
    ED_GATE_RATE,  /* too many handshakes; nothing was taken */
    ED_GATE_CROWD, /* too many that have not confirmed; it may ask again */
    ED_GATE_CAP,   /* too many connections; a token was taken, so it may be told */
} ed_gate_verdict;

struct ed_gate_entry;

/** Zeroed, it is one that ed_gate_free takes. */
typedef struct ed_gate {
    const eddy_allocator *allocator;
    ed_rate rate;
    uint32_t connections_max;
    uint32_t half_open_max;
    uint32_t capacity;
    uint32_t capacity_max;
    uint32_t count; /* of entries in use */
    uint32_t hand;  /* where the search for one to replace goes on */
    eddy_prefix *trusted;
    size_t trusted_count;
    struct ed_gate_entry *entries; /* capacity */
    ed_rate reset_rate;
    uint64_t *resets_full_ns; /* ED_GATE_RESET_BUCKETS */
    uint8_t key[ED_MAC_KEY_SIZE];
} ed_gate;

/** @return EDDY_OK, or EDDY_ENOMEM with a gate that is as if zeroed. */
EDDY_MUST_CHECK eddy_status ed_gate_init(ed_gate *gate, const eddy_allocator *allocator,
                                         const eddy_entropy *entropy, const ed_gate_limits *limits);
void ed_gate_free(ed_gate *gate);

/**
 * Judges a handshake that begins, and takes a token of its address. An address that nothing was
 * heard of for long may have been forgotten for another; then it has all its tokens.
 */
ed_gate_verdict ed_gate_admits(ed_gate *gate, const eddy_address *address, uint64_t now_ns);

/**
 * A handshake that was admitted was a forgery, and cost us its reckoning: it costs its address as
 * many tokens as there are in a full bucket, also such as it has not yet.
 */
void ed_gate_blame(ed_gate *gate, const eddy_address *address, uint64_t now_ns);

/**
 * Takes a reset of an address, which may be forged: nothing is kept of it, but that of those with
 * its hash one more was sent. @return false: too many were.
 */
EDDY_MUST_CHECK bool ed_gate_takes_reset(ed_gate *gate, const eddy_address *address,
                                         uint64_t now_ns);

/**
 * A connection begins, half open; confirms; or ends: each is counted once, and given back under the
 * address that it was counted under. Addresses with connections are never forgotten.
 */
void ed_gate_add(ed_gate *gate, const eddy_address *address);
void ed_gate_confirm(ed_gate *gate, const eddy_address *address);
void ed_gate_remove(ed_gate *gate, const eddy_address *address, bool is_half_open);

/** Whether two addresses count as one. */
bool ed_gate_counts_as_one(const eddy_address *one, const eddy_address *other);

/** The connections of the address, and those of them that have not confirmed. */
uint32_t ed_gate_connections(const ed_gate *gate, const eddy_address *address);
uint32_t ed_gate_half_open(const ed_gate *gate, const eddy_address *address);

/** The entries that the longest search passes. For tests. */
uint32_t ed_gate_longest_probe(const ed_gate *gate);

/** Whether chains and counts agree. */
bool ed_gate_valid(const ed_gate *gate);

#endif
