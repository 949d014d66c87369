/**
 * The newest message that is known to have arrived, of each guarantee, over paths that lose, hold
 * up and swap: it did arrive, it never gets older, and it is not much older than it has to be.
 */
#include <stdio.h>

#include "sim/random.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/seeds.h"

enum {
    SEEDS = 100,
    TICK_MS = 16,
    TICKS = 600,
    DELAY_MS = 25,
    AGE_MAX = 1000 / TICK_MS, /* ticks: of what is known, at the end of a game */
};

static ed_cluster cluster;

/** One lane of snapshots, as the server sees it. */
struct lane {
    eddy_guarantee guarantee;
    size_t size;
    uint64_t newest; /* that it was told last */
    uint64_t number; /* of that, and one */
};

/** How old the newest one was, in ticks, over all looks. */
static uint64_t ages[256];

static void set_links(ed_rng *rng)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    link.jitter_ns = ed_rng_below(rng, 8) * ED_NS_PER_MS;
    link.loss_ppm = (uint32_t)ed_rng_below(rng, 200 * 1000);
    link.reorder_ppm = 50 * 1000;
    link.reorder_extra_ns = 40 * ED_NS_PER_MS;
    link.duplicate_ppm = 20 * 1000;
    CHECK_EQ(cluster.name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

/** What arrived is not always told to the program: of ordered ones, those before may be missing. */
static void look(const ed_node *node, struct lane *lane)
{
    const ed_endpoint *endpoint = &node->endpoints[0];
    eddy_stream_stats stats;

    CHECK_EQ(cluster.name,
             eddy_get_stream_stats(node->manager, endpoint->handle, lane->guarantee, 0, &stats),
             EDDY_OK);
    CHECK(cluster.name, stats.newest_receipt >= lane->newest);
    lane->newest = stats.newest_receipt;
    if (lane->newest == 0)
        return;
    const ed_note *note = ed_endpoint_note_of(endpoint, lane->newest);
    CHECK(cluster.name, note != NULL);
    CHECK(cluster.name, note->has_come || lane->guarantee == EDDY_RELIABLE_ORDERED);
    lane->number = note->number + 1u;
}

static void play(uint64_t seed)
{
    struct lane lanes[] = {
        {EDDY_UNRELIABLE, 200, 0, 0},        {EDDY_UNRELIABLE_SEQUENCED, 2000, 0, 0},
        {EDDY_RELIABLE_UNORDERED, 50, 0, 0}, {EDDY_RELIABLE_ORDERED, 50, 0, 0},
        {EDDY_RELIABLE_SEQUENCED, 50, 0, 0},
    };
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();
    ed_rng rng = ed_rng_of(seed);

    server.congestion = EDDY_CONGESTION_MODEL; // which goes on where a fifth is lost
    ed_cluster_open(&cluster, ed_seeds_announce("scenario/baseline_test", seed), seed);
    ed_cluster_add_pair(&cluster, &server, &client);
    set_links(&rng);
    ed_node *node = &cluster.nodes[0];
    ed_endpoint *endpoint = &node->endpoints[0];
    for (uint64_t tick = 1; tick <= TICKS; tick++) {
        for (size_t i = 0; i < ED_COUNT(lanes); i++) {
            ed_parcel parcel = {
                .guarantee = lanes[i].guarantee, .size = lanes[i].size, .quiet_receipt = true};
            CHECK_EQ(cluster.name, ed_node_send_parcel(node, endpoint, &parcel), EDDY_OK);
            look(node, &lanes[i]);
            ages[ed_min_u64(tick - lanes[i].number, ED_COUNT(ages) - 1)] += tick > AGE_MAX;
        }
        ed_cluster_run_for(&cluster, TICK_MS * ED_NS_PER_MS);
    }
    for (size_t i = 0; i < ED_COUNT(lanes); i++)
        CHECK(cluster.name, lanes[i].number + AGE_MAX > TICKS);
    CHECK_EQ(cluster.name, endpoint->receipts_told, 0);
    ed_cluster_close(&cluster);
}

/** The age that a share of all looks stayed below. */
static unsigned age_of(unsigned per_cent)
{
    uint64_t all = 0, sum = 0;
    unsigned age = 0;

    for (size_t i = 0; i < ED_COUNT(ages); i++)
        all += ages[i];
    while ((sum += ages[age]) * 100 < all * per_cent)
        age++;
    return age * TICK_MS;
}

static void the_newest_has_arrived(void **state)
{
    ed_seeds seeds = ed_seeds_chosen(SEEDS);

    (void)state;
    for (uint64_t i = 0; i < seeds.count; i++)
        play(seeds.first + i);
    printf("age of the newest known, of a round trip of %d ms: median %u ms, 99 %% %u ms\n",
           2 * DELAY_MS, age_of(50), age_of(99));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_has_arrived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
