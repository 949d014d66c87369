#include "transport/gate.h"

#include <string.h>

#include "core/alloc.h"

/*
 * A table of chains in one array: the entry at `i` also keeps where the i-th chain begins, which
 * need not be itself. Links are positions plus 1, and 0 is none, so that zeroed memory is empty.
 */
enum {
    IPV4_BITS = 32,
    NET_SIZE = 8, /* bytes of a /64 */
};

static_assert((int)ED_GATE_CAPACITY_MAX == UINT16_MAX, "links have 16 bits");

typedef struct ed_gate_entry {
    uint8_t net[NET_SIZE];
    uint64_t full_ns; /* its bucket */
    uint16_t connections;
    uint16_t half_open; /* of these */
    uint16_t next;      /* of its chain */
    uint16_t first;     /* of the chain with its own position */
} entry;

static_assert(sizeof(entry) == 24, "gate.h promises it");

/* --------------------------------------------------------------------------------- prefixes -- */

static bool is_trusted(const ed_gate *gate, const eddy_address *address)
{
    if (ed_addr_is_loopback(address))
        return true;
    for (size_t i = 0; i < gate->trusted_count; i++)
        if (ed_prefix_contains(&gate->trusted[i], address))
            return true;
    return false;
}

/* ---------------------------------------------------------------------------------- entries -- */

/** What an address counts as. IPv4 is put where IPv6 has groups, which no sender's address is. */
static void net_of(uint8_t net[NET_SIZE], const eddy_address *address)
{
    static const uint8_t group[NET_SIZE] = {0xff, 0xff};

    memcpy(net, address->ip, NET_SIZE);
    if (address->family != EDDY_FAMILY_IPV4)
        return;
    memcpy(net, group, NET_SIZE);
    memcpy(net + NET_SIZE - IPV4_BITS / 8, address->ip, IPV4_BITS / 8);
}

static uint16_t *chain_of(const ed_gate *gate, const uint8_t net[NET_SIZE])
{
    return &gate->entries[ed_hash64(gate->key, net, NET_SIZE) % gate->capacity].first;
}

static uint64_t *reset_bucket_of(const ed_gate *gate, const uint8_t net[NET_SIZE])
{
    return &gate->resets_full_ns[ed_hash64(gate->key, net, NET_SIZE) % ED_GATE_RESET_BUCKETS];
}

static entry *find(const ed_gate *gate, const uint8_t net[NET_SIZE])
{
    for (uint16_t link = *chain_of(gate, net); link != 0; link = gate->entries[link - 1].next)
        if (memcmp(gate->entries[link - 1].net, net, NET_SIZE) == 0)
            return &gate->entries[link - 1];
    return NULL;
}

static void unlink_entry(ed_gate *gate, const entry *e)
{
    uint16_t *link = chain_of(gate, e->net);

    for (; *link != e - gate->entries + 1; link = &gate->entries[*link - 1].next)
        ED_ASSERT(*link != 0);
    *link = e->next;
}

/**
 * Of the next few strangers the one with the fullest bucket, which says the least. To look at all
 * of them would cost more than the handshake that it is about.
 */
static entry *choose_victim(ed_gate *gate)
{
    entry *victim = NULL;
    size_t strangers = 0;

    for (size_t i = 0; i < gate->capacity && strangers < ED_GATE_SAMPLE; i++) {
        entry *e = &gate->entries[gate->hand];
        gate->hand = (gate->hand + 1) % gate->capacity;
        if (e->connections > 0)
            continue;
        strangers++;
        if (victim == NULL || e->full_ns < victim->full_ns)
            victim = e;
    }
    ED_ASSERT(victim != NULL); // there are more entries than connections may be
    return victim;
}

static void link_entry(ed_gate *gate, entry *e)
{
    uint16_t *chain = chain_of(gate, e->net);

    e->next = *chain;
    *chain = (uint16_t)(e - gate->entries + 1);
}

/** Makes places, twice as many, if there may be more. Without memory it goes on with those. */
static void grow(ed_gate *gate)
{
    uint32_t old = gate->capacity;
    uint32_t capacity = (uint32_t)ed_min_u64(2 * (uint64_t)old, gate->capacity_max);
    entry *entries = old == capacity ? NULL
                                     : ed_alloc_grow(gate->allocator, gate->entries,
                                                     old * sizeof(entry), capacity * sizeof(entry));

    if (entries == NULL)
        return;
    gate->entries = entries;
    gate->capacity = capacity;
    for (uint32_t i = 0; i < old; i++)
        entries[i].first = 0;
    for (uint32_t i = 0; i < gate->count; i++)
        link_entry(gate, &entries[i]);
}

static entry *find_or_make(ed_gate *gate, const eddy_address *address)
{
    uint8_t net[NET_SIZE];

    net_of(net, address);
    entry *e = find(gate, net);
    if (e != NULL)
        return e;
    if (gate->count == gate->capacity)
        grow(gate);
    if (gate->count < gate->capacity) {
        e = &gate->entries[gate->count++];
    } else {
        e = choose_victim(gate);
        unlink_entry(gate, e);
    }
    *e = (entry){.first = e->first}; // the chain that begins here is another's
    memcpy(e->net, net, NET_SIZE);
    link_entry(gate, e);
    return e;
}

/* ------------------------------------------------------------------------------------- gate -- */

eddy_status ed_gate_init(ed_gate *gate, const eddy_allocator *allocator,
                         const eddy_entropy *entropy, const ed_gate_limits *limits)
{
    ED_ASSERT(limits->taken > 0 && limits->taken <= limits->capacity);
    ED_ASSERT(limits->capacity <= ED_GATE_CAPACITY_MAX);
    ED_ASSERT(limits->connections_max <= UINT16_MAX && limits->half_open_max <= UINT16_MAX);

    *gate = (ed_gate){
        .allocator = allocator,
        .rate = ed_rate_of(limits->rate, limits->burst),
        .connections_max = limits->connections_max,
        .half_open_max = limits->half_open_max,
        .capacity = limits->taken,
        .capacity_max = limits->capacity,
        .trusted_count = limits->trusted_count,
        .entries = ed_alloc_array(allocator, limits->taken, sizeof(entry)),
        .reset_rate = ed_rate_of(ED_GATE_RESETS_PER_S, ED_GATE_RESETS_PER_S),
        .resets_full_ns = ed_alloc_array(allocator, ED_GATE_RESET_BUCKETS, sizeof(uint64_t)),
    };
    if (gate->trusted_count > 0)
        gate->trusted = ed_alloc_array(allocator, gate->trusted_count, sizeof(eddy_prefix));
    if (gate->entries == NULL || gate->resets_full_ns == NULL ||
        (gate->trusted == NULL && gate->trusted_count > 0)) {
        ed_gate_free(gate);
        return EDDY_ENOMEM;
    }
    for (size_t i = 0; i < gate->trusted_count; i++) {
        ED_ASSERT(ed_prefix_valid(&limits->trusted[i]));
        gate->trusted[i] = limits->trusted[i];
    }
    entropy->fill(entropy->context, gate->key, sizeof(gate->key));
    return EDDY_OK;
}

void ed_gate_free(ed_gate *gate)
{
    if (gate->allocator != NULL) {
        ed_alloc_free(gate->allocator, gate->entries, gate->capacity * sizeof(entry));
        ed_alloc_free(gate->allocator, gate->resets_full_ns,
                      ED_GATE_RESET_BUCKETS * sizeof(uint64_t));
        ed_alloc_free(gate->allocator, gate->trusted, gate->trusted_count * sizeof(eddy_prefix));
    }
    ed_wipe(gate, sizeof(*gate));
}

ed_gate_verdict ed_gate_admits(ed_gate *gate, const eddy_address *address, uint64_t now_ns)
{
    ED_ASSERT(gate->entries != NULL);
    if (is_trusted(gate, address))
        return ED_GATE_OK;
    entry *e = find_or_make(gate, address);
    if (!ed_rate_take(&gate->rate, &e->full_ns, now_ns))
        return ED_GATE_RATE;
    if (gate->connections_max > 0 && e->connections - e->half_open >= (int)gate->connections_max)
        return ED_GATE_CAP;
    // Of those that have not confirmed nobody knows whether they are somebody.
    if (gate->connections_max > 0 && e->connections >= gate->connections_max)
        return ED_GATE_CROWD;
    if (gate->half_open_max > 0 && e->half_open >= gate->half_open_max)
        return ED_GATE_CROWD;
    return ED_GATE_OK;
}

void ed_gate_blame(ed_gate *gate, const eddy_address *address, uint64_t now_ns)
{
    uint8_t net[NET_SIZE];

    if (is_trusted(gate, address))
        return;
    net_of(net, address);
    entry *e = find(gate, net);
    if (e != NULL)
        e->full_ns = ed_add_sat_u64(ed_max_u64(e->full_ns, now_ns), gate->rate.burst_ns);
}

bool ed_gate_takes_reset(ed_gate *gate, const eddy_address *address, uint64_t now_ns)
{
    uint8_t net[NET_SIZE];

    ED_ASSERT(gate->resets_full_ns != NULL);
    if (is_trusted(gate, address))
        return true;
    net_of(net, address);
    return ed_rate_take(&gate->reset_rate, reset_bucket_of(gate, net), now_ns);
}

void ed_gate_add(ed_gate *gate, const eddy_address *address)
{
    ED_ASSERT(gate->entries != NULL);
    if (is_trusted(gate, address))
        return;
    entry *e = find_or_make(gate, address);
    ED_ASSERT(e->connections < UINT16_MAX);
    e->connections++;
    e->half_open++;
    ED_CHECKED(gate->capacity > 64 || ed_gate_valid(gate));
}

/** The entry of an address with connections; NULL: it is not counted. */
static entry *find_counted(const ed_gate *gate, const eddy_address *address)
{
    uint8_t net[NET_SIZE];

    if (is_trusted(gate, address))
        return NULL;
    net_of(net, address);
    entry *e = find(gate, net);
    ED_ASSERT(e != NULL && e->connections > 0 && e->half_open <= e->connections);
    return e;
}

void ed_gate_confirm(ed_gate *gate, const eddy_address *address)
{
    entry *e = find_counted(gate, address);

    if (e == NULL)
        return;
    ED_ASSERT(e->half_open > 0);
    e->half_open--;
}

void ed_gate_remove(ed_gate *gate, const eddy_address *address, bool is_half_open)
{
    if (is_half_open)
        ed_gate_confirm(gate, address);
    entry *e = find_counted(gate, address);
    if (e != NULL)
        e->connections--;
}

bool ed_gate_counts_as_one(const eddy_address *one, const eddy_address *other)
{
    uint8_t nets[2][NET_SIZE];

    net_of(nets[0], one);
    net_of(nets[1], other);
    return memcmp(nets[0], nets[1], NET_SIZE) == 0;
}

uint32_t ed_gate_connections(const ed_gate *gate, const eddy_address *address)
{
    uint8_t net[NET_SIZE];

    net_of(net, address);
    const entry *e = find(gate, net);
    return e == NULL ? 0 : e->connections;
}

uint32_t ed_gate_half_open(const ed_gate *gate, const eddy_address *address)
{
    uint8_t net[NET_SIZE];

    net_of(net, address);
    const entry *e = find(gate, net);
    return e == NULL ? 0 : e->half_open;
}

static uint32_t chain_length(const ed_gate *gate, size_t chain)
{
    uint32_t length = 0;

    // No longer than all entries, so that a ring ends it, too.
    for (uint16_t link = gate->entries[chain].first; link != 0 && length <= gate->count;
         link = gate->entries[link - 1].next)
        length++;
    return length;
}

uint32_t ed_gate_longest_probe(const ed_gate *gate)
{
    uint32_t longest = 0;

    for (size_t i = 0; i < gate->capacity; i++)
        longest = (uint32_t)ed_max_u64(longest, chain_length(gate, i));
    return longest;
}

bool ed_gate_valid(const ed_gate *gate)
{
    size_t linked = 0;

    for (size_t i = 0; i < gate->capacity; i++)
        linked += chain_length(gate, i);
    for (size_t i = 0; i < gate->count; i++)
        if (find(gate, gate->entries[i].net) != &gate->entries[i])
            return false; // it cannot be found, or stands there twice
    return linked == gate->count && gate->count <= gate->capacity;
}
