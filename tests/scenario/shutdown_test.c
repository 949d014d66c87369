/**
 * Worlds drawn from seeds in which a server, a client or both shut down at any moment, under each
 * fault that there is: what eddy_shutdown promises is kept all the same, and in time.
 */
#include <stdio.h>

#include "core/thread.h"
#include "sim/random.h"
#include "tests/support/check.h"
#include "tests/support/keys.h"
#include "tests/support/parting.h"
#include "tests/support/seeds.h"

enum {
    SEEDS = 2000,
    CLIENTS = 3,
    STRANGER = CLIENTS + 1, /* node that dials too late */
    DELAY_MS = 10,
    TICK_MS = 7,
    TICKS_MAX = 60,
    SETTLE_TICKS = 10, /* until most are connected */
    BURST_MAX = 4,     /* messages of an end in a tick */
    LARGE_SIZE = 4 * 1024,
    HEAL_MAX_MS = 900, /* from the shutdown on */
    RETRY_MS = 10,     /* how often a manager looks for memory */
    ROUNDS_MAX = 40,   /* of looking, while there is none */
    PARTINGS_MAX = 2,
};

static const char *program;
static ed_promises promises;
static uint64_t mute_ends;        /* connections with a mute peer that ended at the deadline, */
static uint64_t ends_beside_them; /* and others that had flushed before */

/** One world. */
static struct {
    ed_cluster cluster;
    ed_rng rng;
    ed_parting partings[PARTINGS_MAX];
    size_t parting_count;
    bool server_ends;
} world;

static ed_node *node_at(size_t i)
{
    return &world.cluster.nodes[i];
}

static uint32_t draw(uint32_t limit)
{
    return (uint32_t)ed_rng_below(&world.rng, limit);
}

/** Somebody who talks to one that ends, and does not end himself. */
static ed_node *other_end(void)
{
    return node_at(world.server_ends ? 2 : 0);
}

/* ---------------------------------------------------------------------- memory that is wiped -- */

static void *take(void *context, size_t size)
{
    (void)context;
    return ed_alloc_default()->allocate(ed_alloc_default()->context, size);
}

/** No key may be left in what is given back. */
static void give(void *context, void *memory, size_t size)
{
    const eddy_key *key = ed_test_secret();
    const uint8_t *at = memory;

    (void)context;
    for (size_t i = 0; i + sizeof(key->bytes) <= size; i++) {
        const uint8_t *next = memchr(at + i, key->bytes[0], size - i - sizeof(key->bytes) + 1);
        if (next == NULL)
            break;
        i = (size_t)(next - at);
        CHECK("wiped", memcmp(next, key->bytes, sizeof(key->bytes)) != 0);
    }
    ed_alloc_default()->free(ed_alloc_default()->context, memory, size);
}

static const eddy_allocator wiping = {.allocate = take, .free = give};

/* ----------------------------------------------------------------------------------- faults -- */

static void lose(ed_link_config *link)
{
    link->loss_ppm = 1 + draw(300 * 1000);
}

static void duplicate(ed_link_config *link)
{
    link->duplicate_ppm = 1 + draw(300 * 1000);
}

static void reorder(ed_link_config *link)
{
    link->reorder_ppm = 1 + draw(200 * 1000);
    link->reorder_extra_ns = (1 + draw(60)) * ED_NS_PER_MS;
}

static void lose_in_bursts(ed_link_config *link)
{
    link->burst_start_ppm = 1 + draw(60 * 1000);
}

static void set_cut(const ed_node *from, bool is_cut)
{
    CHECK_EQ(
        world.cluster.name,
        ed_world_block(world.cluster.world, from == NULL ? NULL : &from->address, NULL, is_cut),
        EDDY_OK);
}

static void part_all(void)
{
    set_cut(NULL, true);
}

static void join_all(void)
{
    set_cut(NULL, false);
}

static void set_blocked(bool is_blocked)
{
    for (size_t i = 0; i < world.parting_count; i++)
        world.partings[i].node->is_blocked = is_blocked;
}

static void block(void)
{
    set_blocked(true);
}

static void unblock(void)
{
    set_blocked(false);
}

static void set_memory(uint64_t fail_after)
{
    for (size_t i = 0; i < world.parting_count; i++)
        world.partings[i].node->memory.fail_after = fail_after;
}

static void starve(void)
{
    set_memory(0);
}

static void feed(void)
{
    set_memory(UINT64_MAX);
}

static void stop_reading(void)
{
    other_end()->is_reading = false;
}

static void read_again(void)
{
    other_end()->is_reading = true;
    ed_node_read(other_end());
}

static void kill_other(void)
{
    ed_node_crash(other_end());
}

/** It hears, and says nothing. */
static void mute_other(void)
{
    for (size_t i = 0; i < world.parting_count; i++)
        world.partings[i].mute = other_end();
    set_cut(other_end(), true);
}

/* ------------------------------------------------------------------------------------- names -- */

/** Who is asked does not answer before the gate is open, and then knows nothing. */
static struct {
    ed_mutex mutex;
    ed_condition changed;
    unsigned asking;
    bool is_open;
} gate;

static eddy_status resolve(void *context, const char *host_port, eddy_address *addresses,
                           size_t capacity, size_t *count)
{
    (void)context;
    (void)host_port;
    (void)addresses;
    (void)capacity;
    *count = 0;
    ed_mutex_lock(&gate.mutex);
    while (!gate.is_open)
        ed_condition_wait(&gate.changed, &gate.mutex, UINT64_MAX);
    gate.asking--;
    ed_condition_broadcast(&gate.changed);
    ed_mutex_unlock(&gate.mutex);
    return EDDY_ERESOLVE;
}

static void dial_name(void)
{
    eddy_connect_options options = *ed_test_options();

    ed_mutex_lock(&gate.mutex);
    gate.is_open = false;
    gate.asking++;
    ed_mutex_unlock(&gate.mutex);
    ed_endpoint *endpoint = ed_node_try_connect_name(node_at(1), "game.example:4000", &options);
    CHECK(world.cluster.name, endpoint != NULL);
    ed_node_send_many(node_at(1), endpoint, EDDY_RELIABLE_ORDERED, 0, draw(3));
}

static void finish_names(void)
{
    ed_mutex_lock(&gate.mutex);
    gate.is_open = true;
    ed_condition_broadcast(&gate.changed);
    while (gate.asking > 0)
        ed_condition_wait(&gate.changed, &gate.mutex, UINT64_MAX);
    ed_mutex_unlock(&gate.mutex);
}

/* -------------------------------------------------------------------------------- the kinds -- */

static const struct kind {
    const char *name;
    void (*link)(ed_link_config *link);
    void (*strike)(void); /* right before the shutdown */
    void (*heal)(void);   /* a little after; NULL: never */
    bool is_large;        /* messages are, so that credit is used up */
    bool dials_last;      /* the connections begin just before */
    bool is_full;         /* the stranger, too; he would be refused, as all places are taken */
} kinds[] = {
    {.name = "calm"},
    {.name = "loss", .link = lose},
    {.name = "duplication", .link = duplicate},
    {.name = "reordering", .link = reorder},
    {.name = "bursts", .link = lose_in_bursts},
    {.name = "partition", .strike = part_all, .heal = join_all},
    {.name = "partition for good", .strike = part_all},
    {.name = "blocked socket", .strike = block, .heal = unblock},
    {.name = "blocked for good", .strike = block},
    {.name = "no memory", .strike = starve, .heal = feed},
    {.name = "slow reader", .strike = stop_reading, .heal = read_again, .is_large = true},
    {.name = "absent reader", .strike = stop_reading, .is_large = true},
    {.name = "peer killed", .strike = kill_other},
    {.name = "peer mute", .strike = mute_other},
    {.name = "connecting", .dials_last = true},
    {.name = "connecting with loss", .link = lose, .dials_last = true},
    {.name = "asking a full one", .is_full = true},
    {.name = "looking a name up", .strike = dial_name},
};

/* -------------------------------------------------------------------------------- the traffic --
 */

static void send_some(ed_node *node, ed_endpoint *endpoint, bool is_large)
{
    for (uint32_t i = draw(BURST_MAX + 1); i > 0; i--) {
        // But none whose newest makes older ones void: what became of those is not told apart.
        ed_parcel parcel = {.guarantee = (eddy_guarantee)draw(EDDY_RELIABLE_SEQUENCED),
                            .stream = (uint8_t)draw(ED_ORACLE_STREAMS),
                            .size = is_large ? LARGE_SIZE : ED_NOTE_HEADER_SIZE + draw(300)};
        parcel.with_receipt = parcel.guarantee >= EDDY_RELIABLE_UNORDERED;
        (void)ed_node_send_parcel(node, endpoint, &parcel);
    }
}

static void tick(const struct kind *kind)
{
    for (size_t n = 0; n <= CLIENTS; n++)
        for (size_t i = 0; i < node_at(n)->endpoint_count; i++)
            if (ed_node_is_live(node_at(n), &node_at(n)->endpoints[i]))
                send_some(node_at(n), &node_at(n)->endpoints[i], kind->is_large);
    ed_cluster_run_for(&world.cluster, draw(2 * TICK_MS * 1000) * ED_NS_PER_US);
}

static void dial_all(void)
{
    for (size_t i = 1; i <= CLIENTS; i++)
        (void)ed_node_connect(node_at(i), node_at(0));
}

static void open_world(const struct kind *kind, uint64_t seed)
{
    static const eddy_resolver resolver = {.resolve = resolve};
    ed_link_config link = ed_link_config_default();
    eddy_config config = ed_cluster_server_config();

    config.max_connections = kind->is_full ? CLIENTS : config.max_connections;
    world.rng = ed_rng_of(ed_mix_u64(2, seed));
    ed_cluster_open(&world.cluster, ed_seeds_announce(program, seed), seed);
    world.cluster.allocator = &wiping;
    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    if (kind->link != NULL)
        kind->link(&link);
    CHECK_EQ(kind->name, ed_world_set_link(world.cluster.world, NULL, NULL, &link), EDDY_OK);
    (void)ed_cluster_add(&world.cluster, &config);
    config = ed_cluster_client_config();
    config.resolver = &resolver;
    for (size_t i = 1; i <= STRANGER; i++)
        (void)ed_cluster_add(&world.cluster, &config);
}

/** Up to the moment of the shutdown. */
static void live(const struct kind *kind)
{
    uint32_t ticks = 1 + draw(kind->dials_last ? 6 : TICKS_MAX);

    dial_all();
    for (uint32_t i = 0; i < SETTLE_TICKS && !kind->dials_last; i++)
        ed_cluster_run_for(&world.cluster, DELAY_MS * ED_NS_PER_MS);
    for (uint32_t i = 0; i < ticks; i++)
        tick(kind);
}

/* ------------------------------------------------------------------------------ the shutdown -- */

static bool observe(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    (void)context;
    for (size_t i = 0; i < world.parting_count; i++)
        if (world.partings[i].node->manager != NULL)
            ed_parting_observe(&world.partings[i], datagram, now_ns);
    return false;
}

/** Who ends: the server, a client, or both. Its faults begin with it. */
static void choose(void)
{
    uint32_t who = draw(3);

    world.parting_count = 0;
    world.server_ends = who != 1;
    if (who != 1)
        world.partings[world.parting_count++].node = node_at(0);
    if (who != 0)
        world.partings[world.parting_count++].node = node_at(1);
}

/** The stranger has his cookie when the server begins to end, and shows it then. */
static void ask_half(void)
{
    (void)ed_node_connect(node_at(STRANGER), node_at(0));
    ed_cluster_run_for(&world.cluster, 5 * DELAY_MS * ED_NS_PER_MS / 2);
}

static void begin_all(const struct kind *kind)
{
    static const uint32_t flush_ms[] = {0, 1, 40, 200, 1000, 4000};
    uint32_t chosen = flush_ms[draw(ED_COUNT(flush_ms))];

    if (kind->is_full)
        ask_half();
    choose();
    if (kind->strike != NULL && kind->strike != mute_other)
        kind->strike();
    for (size_t i = 0; i < world.parting_count; i++)
        ed_parting_begin(&world.partings[i], world.partings[i].node, &promises, chosen);
    if (kind->strike == mute_other)
        mute_other();
    ed_world_observe(world.cluster.world, observe, NULL);
    if (world.server_ends && !kind->is_full)
        (void)ed_node_connect(node_at(STRANGER), node_at(0));
}

static void hurry_some(void)
{
    for (size_t i = 0; i < world.parting_count; i++)
        if (draw(4) == 0 && !world.partings[i].node->is_over)
            ed_parting_hurry(&world.partings[i], draw(1000));
}

static uint64_t deadline_ns(void)
{
    uint64_t last_ns = 0;

    for (size_t i = 0; i < world.parting_count; i++)
        last_ns = ed_max_u64(last_ns, world.partings[i].deadline_ns);
    return last_ns;
}

/** At its deadline a node is over, unless it had no memory for its events then: a look later. */
static void await_all(const struct kind *kind)
{
    uint64_t heal_ns = ed_cluster_now_ns(&world.cluster) + (1 + draw(HEAL_MAX_MS)) * ED_NS_PER_MS;
    uint64_t look_ns = kind->heal == feed ? RETRY_MS * ED_NS_PER_MS : 0;

    if (kind->heal != NULL && (kind->heal == feed || heal_ns < deadline_ns())) {
        ed_cluster_run_for(&world.cluster, heal_ns - ed_cluster_now_ns(&world.cluster));
        kind->heal();
        look_ns += kind->heal == feed ? ED_NS_PER_MS : 0;
    }
    hurry_some();
    uint64_t until_ns = ed_max_u64(deadline_ns(), ed_cluster_now_ns(&world.cluster) + look_ns);
    ed_world_run_until(world.cluster.world, until_ns);
}

/** One that is stuck keeps nobody else. */
static void count_mute(const ed_parting *p)
{
    for (size_t i = 0; p->mute != NULL && i < p->known; i++) {
        const ed_endpoint *endpoint = &p->node->endpoints[i];
        bool is_mute = endpoint->peer != NULL && node_at(endpoint->peer->node) == p->mute;
        bool is_last = endpoint->disconnected_ns == p->deadline_ns;
        mute_ends += is_mute && is_last && endpoint->end.undelivered > 0 ? 1 : 0;
        ends_beside_them += !is_mute && !is_last ? 1 : 0;
    }
}

static void run_seed(uint64_t seed)
{
    const struct kind *kind = &kinds[seed % ED_COUNT(kinds)];

    open_world(kind, seed);
    live(kind);
    begin_all(kind);
    await_all(kind);
    ed_world_observe(world.cluster.world, NULL, NULL);
    for (size_t i = 0; i < world.parting_count; i++) {
        count_mute(&world.partings[i]);
        ed_parting_check(&world.partings[i]);
    }
    finish_names();
    ed_cluster_close(&world.cluster);
}

static void every_promise_is_kept(void **state)
{
    static const char *const texts[] = {
#define X(name, text) text,
        ED_PROMISE_MAP(X)
#undef X
    };
    ed_seeds seeds = ed_seeds_chosen(SEEDS);

    (void)state;
    for (uint64_t i = 0; i < seeds.count; i++)
        run_seed(seeds.first + i);
    for (size_t i = 0; i < ED_PROMISE_COUNT; i++) {
        (void)printf("%-45s %llu\n", texts[i], (unsigned long long)promises.kept[i]);
        CHECK(texts[i], promises.kept[i] > 0 || seeds.count == 1);
    }
    CHECK("a mute peer", mute_ends > 0 || seeds.count == 1);
    CHECK("others beside a mute peer", ends_beside_them > 0 || seeds.count == 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_promise_is_kept),
    };

    program = argc > 0 ? argv[0] : "shutdown_test";
    if (ed_mutex_init(&gate.mutex) != EDDY_OK || ed_condition_init(&gate.changed) != EDDY_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
