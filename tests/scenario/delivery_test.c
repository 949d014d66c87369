/**
 * Worlds drawn from seeds: whatever networks and programs do to each other, every message is
 * delivered as its guarantee promises, memory stays within its budgets, and once all faults have
 * ended all is settled soon.
 */
#include <stdio.h>

#include "tests/support/check.h"
#include "tests/support/seeds.h"
#include "tests/support/seen.h"
#include "tests/support/weather.h"

enum {
    SEEDS = 2000,
    CLIENTS_MIN = 2,
    CLIENTS_MAX = 8,
    TICK_MS = 50,
    TALK_S_MIN = 30,
    TALK_S_MAX = 40,
    MESSAGES_MIN = 2000,
    AWAY_MAX_MS = 3000,  /* of a node that has crashed, and of a program that does not read */
    HEALED_LIMIT_S = 40, /* from the end of all faults until all is delivered: idle timeouts, too */
    QUIET_S = 3,         /* without a copy or a probe: longer than probes are ever apart */
    QUIET_LIMIT_S = 30,
    FLUSH_MS = 5000,
    DRAWN_CODE = 7, /* of an end that was drawn, and may come as late as after all faults */
    SHUTDOWN_LIMIT_S = 15,
};

static const char *program;

/** One world. */
static struct {
    ed_cluster cluster;
    ed_rng rng;
    ed_climate climate;
    uint64_t back_ns[ED_CLUSTER_NODES_MAX];  /* when one that has crashed starts again */
    uint64_t reads_ns[ED_CLUSTER_NODES_MAX]; /* when one that does not read does so again */
} world;

/** What happened over all seeds. */
static ed_seen seen;

static ed_node *node_at(size_t i)
{
    return &world.cluster.nodes[i];
}

static uint64_t now_ns(void)
{
    return ed_cluster_now_ns(&world.cluster);
}

/** A time so many milliseconds from now at most. */
static uint64_t draw_time_ns(uint64_t limit_ms)
{
    return now_ns() + (1 + ed_rng_below(&world.rng, limit_ms)) * ED_NS_PER_MS;
}

/* ----------------------------------------------------------------------------------- faults -- */

static size_t draw_client(void)
{
    return 1 + (size_t)ed_rng_below(&world.rng, world.cluster.node_count - 1);
}

static void set_links(size_t client)
{
    const eddy_address *ends[] = {&node_at(0)->address, &node_at(client)->address};

    for (size_t i = 0; i < 2; i++) {
        ed_link_config config = ed_draw_link(&world.rng, now_ns());
        CHECK_EQ(world.cluster.name,
                 ed_world_set_link(world.cluster.world, ends[i], ends[1 - i], &config), EDDY_OK);
    }
}

static void change_links(void)
{
    set_links(draw_client());
}

static void crash(size_t i)
{
    if (node_at(i)->manager == NULL)
        return;
    ed_node_crash(node_at(i));
    world.back_ns[i] = draw_time_ns(AWAY_MAX_MS);
    seen.crashes++;
}

static void crash_client(void)
{
    crash(draw_client());
}

static void crash_server(void)
{
    if (ed_rng_below(&world.rng, 4) != 0)
        return;
    crash(0);
    seen.server_crashes++;
}

static void stop_reading(void)
{
    size_t i = (size_t)ed_rng_below(&world.rng, world.cluster.node_count);

    node_at(i)->is_reading = false;
    world.reads_ns[i] = draw_time_ns(AWAY_MAX_MS);
    seen.pauses++;
}

static void move(void)
{
    ed_node *node = node_at(draw_client());

    if (node->manager == NULL)
        return;
    ed_node_rebind(node);
    seen.moves++;
}

/** Any end that is still there, or NULL. */
static ed_endpoint *draw_endpoint(ed_node **node)
{
    *node = node_at((size_t)ed_rng_below(&world.rng, world.cluster.node_count));
    ed_endpoint *endpoint = ed_node_newest(*node);

    return endpoint != NULL && ed_node_is_live(*node, endpoint) ? endpoint : NULL;
}

static void disconnect(void)
{
    ed_node *node = NULL;
    const ed_endpoint *endpoint = draw_endpoint(&node);

    if (endpoint != NULL)
        (void)eddy_disconnect(node->manager, endpoint->handle, DRAWN_CODE, "drawn",
                              ed_draw_sometimes(&world.rng, 2, AWAY_MAX_MS));
}

static void set_stream(void)
{
    ed_node *node = NULL;
    const ed_endpoint *endpoint = draw_endpoint(&node);
    uint8_t stream = world.climate.streams[ed_rng_below(&world.rng, ED_DRAWN_STREAMS)];
    eddy_stream_options options = ed_draw_stream_options(&world.rng);

    if (endpoint == NULL)
        return;
    eddy_status status = eddy_set_stream(node->manager, endpoint->handle, stream, &options);
    CHECK(world.cluster.name, status == EDDY_OK || status == EDDY_ECONNECTION);
}

static void broadcast(void)
{
    eddy_guarantee guarantee = (eddy_guarantee)ed_rng_below(&world.rng, ED_GUARANTEE_COUNT);
    size_t size = ED_NOTE_HEADER_SIZE + (size_t)ed_rng_below(&world.rng, 2000);

    if (node_at(0)->manager != NULL)
        seen.broadcasts += ed_node_broadcast(node_at(0), guarantee, size);
}

static void (*const happenings[])(void) = {
    change_links, crash_client, crash_server, stop_reading, move,
    disconnect,   set_stream,   set_stream,   broadcast,    broadcast,
};

/* ---------------------------------------------------------------------------------- traffic -- */

/** What has crashed comes back, who does not read does again, and who is alone dials. */
static void tend(size_t i)
{
    ed_node *node = node_at(i);

    if (node->manager == NULL && world.back_ns[i] <= now_ns())
        CHECK_EQ(world.cluster.name, ed_node_start(node), EDDY_OK);
    if (node->manager == NULL)
        return;
    if (!node->is_reading && world.reads_ns[i] <= now_ns()) {
        node->is_reading = true;
        ed_world_touch(world.cluster.world, node->host);
    }
    const ed_endpoint *newest = ed_node_newest(node);
    if (i > 0 && (newest == NULL || !ed_node_is_live(node, newest)))
        (void)ed_node_try_connect(node, node_at(0));
}

static void send_one(ed_node *node, ed_endpoint *endpoint)
{
    ed_parcel parcel = ed_draw_parcel(&world.rng, &world.climate);
    eddy_status status = ed_node_send_parcel(node, endpoint, &parcel);

    CHECK(world.cluster.name,
          status == EDDY_OK || status == EDDY_EAGAIN || status == EDDY_ECONNECTION);
}

/** Mostly one or none, now and then many. What has ended gets one, too, now and then. */
static void send_some(ed_node *node, ed_endpoint *endpoint)
{
    uint64_t count = ed_rng_below(&world.rng, 2) + ed_draw_sometimes(&world.rng, 200, 100);

    if (!ed_node_is_live(node, endpoint))
        count = node->manager != NULL && ed_rng_below(&world.rng, 100) == 0 ? 1 : 0;
    if ((size_t)(endpoint - node->endpoints) < node->earlier_count)
        return;
    for (uint64_t i = 0; i < count; i++)
        send_one(node, endpoint);
}

static void tick(bool with_faults)
{
    if (with_faults && ed_rng_below(&world.rng, 8) == 0)
        happenings[ed_rng_below(&world.rng, ED_COUNT(happenings))]();
    for (size_t n = 0; n < world.cluster.node_count; n++) {
        tend(n);
        for (size_t i = 0; with_faults && i < node_at(n)->endpoint_count; i++)
            send_some(node_at(n), &node_at(n)->endpoints[i]);
    }
    ed_cluster_run_for(&world.cluster, TICK_MS * ED_NS_PER_MS);
}

static void talk(void)
{
    uint64_t until_ns =
        now_ns() + (TALK_S_MIN + ed_rng_below(&world.rng, TALK_S_MAX - TALK_S_MIN)) * ED_NS_PER_S;

    while (now_ns() < until_ns || ed_cluster_stats(&world.cluster).messages_sent < MESSAGES_MIN)
        tick(true);
}

/* ---------------------------------------------------------------------------------- healing -- */

/** Whether every client is connected to the server that runs, and each of the two knows it. */
static bool all_connected(void)
{
    for (size_t i = 1; i < world.cluster.node_count; i++) {
        const ed_endpoint *endpoint = ed_node_newest(node_at(i));
        if (endpoint == NULL || !endpoint->connected || endpoint->peer == NULL ||
            !ed_node_is_live(node_at(i), endpoint) || !ed_node_is_live(node_at(0), endpoint->peer))
            return false;
    }
    return true;
}

/** Something large enough to say from whom it is, both ways. */
static void greet(void)
{
    ed_parcel parcel = {.guarantee = EDDY_RELIABLE_UNORDERED, .size = ED_NOTE_HEADER_SIZE};

    for (size_t n = 0; n < world.cluster.node_count; n++)
        for (size_t i = 0; i < node_at(n)->endpoint_count; i++)
            if (ed_node_is_live(node_at(n), &node_at(n)->endpoints[i]))
                (void)ed_node_send_parcel(node_at(n), &node_at(n)->endpoints[i], &parcel);
}

static bool is_mended(void)
{
    return all_connected() && ed_cluster_all_delivered(&world.cluster);
}

static void heal(void)
{
    uint64_t healed_ns = now_ns();

    ed_world_heal(world.cluster.world);
    for (size_t i = 0; i < world.cluster.node_count; i++)
        world.back_ns[i] = world.reads_ns[i] = 0;
    for (uint64_t ticks = 0; ticks == 0 || !is_mended(); ticks++) {
        bool in_time = now_ns() < healed_ns + HEALED_LIMIT_S * ED_NS_PER_S;
        if (!in_time)
            ed_cluster_print(&world.cluster);
        CHECK(world.cluster.name, in_time);
        if (ticks % 16 == 0)
            greet();
        tick(false);
    }
    seen.healed_max_ns = ed_max_u64(seen.healed_max_ns, now_ns() - healed_ns);
}

/** Copies and probes: what goes on as long as anything is not acknowledged. */
static uint64_t repairs(void)
{
    eddy_stats stats = ed_cluster_stats(&world.cluster);

    return stats.probes_sent + stats.messages_resent;
}

static void await_quiet(void)
{
    uint64_t until_ns = now_ns() + QUIET_LIMIT_S * ED_NS_PER_S;
    uint64_t before = 0;

    do {
        CHECK(world.cluster.name, now_ns() < until_ns);
        before = repairs();
        ed_cluster_run_for(&world.cluster, QUIET_S * ED_NS_PER_S);
    } while (repairs() != before);
}

/* --------------------------------------------------------------------------------- one seed -- */

static void open_world(uint64_t seed)
{
    size_t clients = 0;

    world.rng = ed_rng_of(ed_mix_u64(1, seed));
    clients = CLIENTS_MIN + (size_t)ed_rng_below(&world.rng, CLIENTS_MAX - CLIENTS_MIN + 1);
    ed_cluster_open(&world.cluster, ed_seeds_announce(program, seed), seed);
    world.climate = ed_draw_climate(&world.rng);
    for (size_t i = 0; i <= clients; i++) {
        eddy_config config = ed_draw_node_config(&world.rng, &world.climate, i == 0);
        ed_node *node = ed_cluster_add(&world.cluster, &config);
        node->memory_max = ed_memory_allowed(&config, i == 0 ? clients : 1);
        world.back_ns[i] = world.reads_ns[i] = 0;
        if (i > 0)
            set_links(i);
    }
}

/** The program broke no rule, and none was broken to it. */
static void check_ends(void)
{
    for (size_t n = 0; n < world.cluster.node_count; n++)
        for (size_t i = 0; i < node_at(n)->endpoint_count; i++) {
            eddy_end end = node_at(n)->endpoints[i].end.end;
            CHECK(world.cluster.name, end != EDDY_END_PROTOCOL && end != EDDY_END_MEMORY);
        }
}

/** What was quiet, and closed politely. */
static void check_last(void)
{
    for (size_t n = 1; n < world.cluster.node_count; n++) {
        const ed_endpoint *endpoint = ed_node_newest(node_at(n));
        if (endpoint->peer->end.code == DRAWN_CODE)
            continue; // what was sent behind that came too late
        CHECK_EQ(world.cluster.name, endpoint->end.undelivered, 0);
        CHECK_EQ(world.cluster.name, endpoint->peer->end.undelivered, 0);
        CHECK(world.cluster.name, endpoint->end.end == EDDY_END_CLOSED_LOCAL ||
                                      endpoint->end.end == EDDY_END_CLOSED_REMOTE);
    }
}

static void run_seed(uint64_t seed)
{
    open_world(seed);
    talk();
    heal();
    await_quiet();
    ed_cluster_check_settled(&world.cluster);
    ed_cluster_shut_down(&world.cluster, FLUSH_MS, SHUTDOWN_LIMIT_S * ED_NS_PER_S);
    check_ends();
    check_last();
    ed_seen_add(&seen, &world.cluster);
    ed_cluster_close(&world.cluster);
}

static void all_is_delivered_in_every_world(void **state)
{
    ed_seeds seeds = ed_seeds_chosen(ed_seeds_slow_build() ? SEEDS / 4 : SEEDS);

    (void)state;
    for (uint64_t i = 0; i < seeds.count; i++)
        run_seed(seeds.first + i);
    (void)printf("slowest after healing        %llu ms\n",
                 (unsigned long long)(seen.healed_max_ns / ED_NS_PER_MS));
    (void)printf("memory, of what is allowed   %llu.%llu %%\n",
                 (unsigned long long)(seen.memory_max / 10),
                 (unsigned long long)(seen.memory_max % 10));
    if (seeds.count > 1 && !ed_seeds_slow_build()) // which sees too few worlds for all of it
        ed_seen_check_all(&seen);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_delivered_in_every_world),
    };

    program = argc > 0 ? argv[0] : "delivery_test";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
