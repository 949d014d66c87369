#include "sim/world.h"

#include "core/alloc.h"
#include "core/base.h"
#include "core/crypto.h"
#include "sim/world_state.h"
#include "transport/nonce.h"

enum {
    DELIVER_BATCH = 16,
    MAP_START = 16,
};

/** @return whether everything that the world stands on could be made. */
static bool make_parts(ed_world *world)
{
    uint8_t hash_key[ED_MAP_HASH_KEY_SIZE];
    ed_rng rng = ed_rng_of(ed_stream_key(world->seed, 0, 0, ED_PURPOSE_MAP));

    if (ed_crypto_init() != EDDY_OK)
        return false;
    ed_rng_fill(&rng, hash_key, sizeof hash_key);
    world->nodes = ed_deadlines_create(world->allocator, ED_WORLD_HOSTS_MAX);
    world->deliveries = ed_deadlines_create(world->allocator, ED_WORLD_LINKS_MAX);
    world->addresses = ed_map_create(world->allocator, sizeof(eddy_address), MAP_START, hash_key);
    world->pairs_by_hosts =
        ed_map_create(world->allocator, 2 * sizeof(uint32_t), MAP_START, hash_key);
    return world->nodes != NULL && world->deliveries != NULL && world->addresses != NULL &&
           world->pairs_by_hosts != NULL;
}

ed_world *ed_world_create(const eddy_allocator *allocator, uint64_t seed)
{
    ed_world *world = ed_alloc_zeroed(allocator, sizeof *world);
    if (world == NULL)
        return NULL;

    // A world that begins again draws the same keys.
    ed_nonce_forget();
    world->allocator = allocator;
    world->seed = seed;
    world->trace = ed_mix_u64(0, seed);
    ed_link_config config = ed_link_config_default();
    config.delay_ns = ED_WORLD_DELAY_MS * ED_NS_PER_MS;
    if (!make_parts(world) || ed_world_set_link(world, NULL, NULL, &config) != EDDY_OK) {
        ed_world_destroy(world);
        return NULL;
    }
    return world;
}

void ed_world_destroy(ed_world *world)
{
    if (world == NULL)
        return;

    for (uint32_t i = 0; i < world->pair_count; i++)
        ed_link_destroy(world->pairs[i].link);
    for (uint32_t i = 0; i < world->host_count; i++)
        ed_world_host_destroy(world->hosts[i]);
    ed_map_destroy(world->pairs_by_hosts);
    ed_map_destroy(world->addresses);
    ed_deadlines_destroy(world->deliveries);
    ed_deadlines_destroy(world->nodes);
    ed_alloc_free(world->allocator, world, sizeof *world);
}

void ed_world_attach(ed_world *world, ed_host *host, ed_world_run run, void *context)
{
    ED_ASSERT(host->world == world);
    ED_ASSERT(!host->closed || run == NULL);
    host->run = run;
    host->run_context = context;
    ed_deadlines_set(world->nodes, host->index, run == NULL ? ED_NEVER_NS : world->now_ns);
}

void ed_world_touch(ed_world *world, ed_host *host)
{
    ED_ASSERT(host->world == world);
    if (host->run != NULL)
        ed_deadlines_set(world->nodes, host->index, world->now_ns);
}

uint64_t ed_world_now_ns(const ed_world *world)
{
    return world->now_ns;
}

uint64_t ed_world_next_ns(const ed_world *world)
{
    return ed_min_u64(ed_deadlines_next_ns(world->nodes), ed_deadlines_next_ns(world->deliveries));
}

/** Moves what one link has ready into the socket at its end. */
static void deliver_pair(ed_world *world, uint32_t index)
{
    ed_world_pair *pair = &world->pairs[index];
    eddy_datagram batch[DELIVER_BATCH];

    while (ed_link_next_ns(pair->link) <= world->now_ns) {
        size_t count = ed_link_pull(pair->link, world->now_ns, batch, ED_COUNT(batch));
        for (size_t i = 0; i < count; i++)
            ed_world_host_deliver(pair->to, &batch[i]);
    }
    ed_world_schedule_pair(world, index);
}

static void run_node(ed_world *world, ed_host *host)
{
    if (host->run == NULL)
        return; // a node before it in this step has closed it

    uint64_t next_ns = host->run(host->run_context, world->now_ns);
    if (host->run == NULL)
        return;
    // What is overdue is due: time does not go back for it.
    ed_deadlines_set(world->nodes, host->index, ed_max_u64(next_ns, world->now_ns));
}

/** Runs the nodes that are due now; what they wake for now waits for the next step. */
static void run_nodes(ed_world *world)
{
    uint32_t count = 0;

    while (count < ED_WORLD_HOSTS_MAX &&
           ed_deadlines_pop(world->nodes, world->now_ns, &world->due[count]))
        count++;
    for (uint32_t i = 0; i < count; i++)
        run_node(world, world->hosts[world->due[i]]);
}

bool ed_world_step(ed_world *world)
{
    uint64_t next_ns = ed_world_next_ns(world);
    uint32_t index = 0;
    if (next_ns == ED_NEVER_NS)
        return false;

    ED_ASSERT(next_ns >= world->now_ns);
    world->stall_count = next_ns > world->now_ns ? 0 : world->stall_count + 1;
    ED_ASSERT(world->stall_count < ED_WORLD_STALL_MAX);
    world->now_ns = next_ns;
    while (ed_deadlines_pop(world->deliveries, world->now_ns, &index))
        deliver_pair(world, index);
    run_nodes(world);
    return true;
}

void ed_world_run_until(ed_world *world, uint64_t until_ns)
{
    ED_ASSERT(until_ns >= world->now_ns);
    while (ed_world_next_ns(world) <= until_ns && ed_world_step(world))
        continue;
    ED_ASSERT(world->now_ns <= until_ns);
    world->now_ns = until_ns;
}

uint64_t ed_world_trace(const ed_world *world)
{
    return world->trace;
}

void ed_world_note(ed_world *world, const void *data, size_t size)
{
    world->trace = ed_mix_bytes(ed_mix_u64(world->trace, world->now_ns), data, size);
}

void ed_world_observe(ed_world *world, ed_world_observer observer, void *context)
{
    world->observer = observer;
    world->observer_context = context;
}

ed_world_stats ed_world_get_stats(const ed_world *world)
{
    return world->stats;
}
