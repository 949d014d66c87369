/**
 * eddy_clock: what one end says of the other's clock is never further from the truth than it
 * claims, and never goes back; over paths that are not alike in both directions, lose, and hold
 * up, between clocks that are set and run as they like.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim/random.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/seeds.h"
#include "transport/peer_clock.h"

enum {
    SEEDS = 200,
    TICK_MS = 16,
    TICKS = 20 * 1000 / TICK_MS,
    READINGS_MAX = 2 * TICKS,
    DRIFT_EACH_PPM = ED_CLOCK_DRIFT_PPM / 2,
};

static ed_cluster cluster;

/** How one end saw the other's clock. */
struct view {
    ed_node *node;
    const ed_node *other;
    uint64_t last_ns;
    bool is_known;
};

/** The errors that were claimed, and those that there were, over all readings. */
struct figures {
    uint64_t claimed_us[READINGS_MAX];
    uint64_t true_us[READINGS_MAX];
    size_t count;
};

static struct figures figures;

static void set_links(ed_rng *rng)
{
    for (size_t n = 0; n < 2; n++) {
        ed_link_config link = ed_link_config_default();
        link.delay_ns = (1 + ed_rng_below(rng, 80)) * ED_NS_PER_MS;
        link.jitter_ns = ed_rng_below(rng, 10) * ED_NS_PER_MS;
        link.loss_ppm = (uint32_t)ed_rng_below(rng, 200 * 1000);
        link.reorder_ppm = (uint32_t)ed_rng_below(rng, 50 * 1000);
        link.reorder_extra_ns = 30 * ED_NS_PER_MS;
        link.duplicate_ppm = 20 * 1000;
        CHECK_EQ(cluster.name,
                 ed_world_set_link(cluster.world, &cluster.nodes[n].address,
                                   &cluster.nodes[1 - n].address, &link),
                 EDDY_OK);
    }
}

static void set_clock(ed_node *node, ed_rng *rng)
{
    node->clock_ahead_ns = ed_rng_below(rng, 1000 * 1000) * ED_NS_PER_S;
    node->clock_fast_ppm = (int32_t)ed_rng_below(rng, 2 * DRIFT_EACH_PPM + 1) - DRIFT_EACH_PPM;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static void note(uint64_t claimed_ns, uint64_t true_ns)
{
    if (figures.count == READINGS_MAX)
        return;
    figures.claimed_us[figures.count] = claimed_ns / ED_NS_PER_US;
    figures.true_us[figures.count] = true_ns / ED_NS_PER_US;
    figures.count++;
}

/** Reads the other's clock, and holds it against the truth. */
static void look(struct view *view)
{
    eddy_peer_time time = {0};
    eddy_status status = eddy_clock(view->node->manager, view->node->endpoints[0].handle,
                                    ed_node_now_ns(view->node), &time);

    if (status == EDDY_EAGAIN) {
        CHECK(cluster.name, !view->is_known);
        return;
    }
    CHECK_EQ(cluster.name, status, EDDY_OK);
    uint64_t wrong_ns = distance(time.now_ns, ed_node_now_ns(view->other));
    if (wrong_ns > time.error_ns)
        CHECK_EQ(cluster.name, wrong_ns, time.error_ns);
    CHECK(cluster.name, time.now_ns >= view->last_ns);
    view->last_ns = time.now_ns;
    view->is_known = true;
    note(time.error_ns, wrong_ns);
}

static void open_pair(const char *name, uint64_t seed, ed_rng *rng)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    ed_cluster_open(&cluster, name, seed);
    cluster.sizes = (ed_sizes){30, 100};
    set_clock(ed_cluster_add(&cluster, &server), rng);
    set_clock(ed_cluster_add(&cluster, &client), rng);
    set_links(rng);
    ed_endpoint *endpoint = ed_node_connect(&cluster.nodes[1], &cluster.nodes[0]);
    ed_cluster_await_connected(&cluster, endpoint, 20 * ED_NS_PER_S);
}

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return *x < *y ? -1 : *x > *y;
}

static uint64_t median_of(uint64_t *us, size_t count)
{
    qsort(us, count, sizeof(*us), by_size);
    return us[count / 2];
}

/** A game: both ends send all the time. */
static void play(uint64_t seed)
{
    ed_rng rng = ed_rng_of(seed);

    open_pair(ed_seeds_announce("scenario/clock_test", seed), seed, &rng);
    struct view views[2] = {{&cluster.nodes[0], &cluster.nodes[1], 0, false},
                            {&cluster.nodes[1], &cluster.nodes[0], 0, false}};
    figures.count = 0;
    for (int tick = 0; tick < TICKS; tick++) {
        for (size_t n = 0; n < 2 && cluster.nodes[n].endpoint_count > 0; n++) {
            (void)!ed_node_send(&cluster.nodes[n], &cluster.nodes[n].endpoints[0], EDDY_UNRELIABLE,
                                0);
            look(&views[n]);
        }
        ed_cluster_run_for(&cluster, TICK_MS * ED_NS_PER_MS + ed_rng_below(&rng, 1000));
    }
    CHECK(cluster.name, views[0].is_known && views[1].is_known);
    ed_cluster_close(&cluster);
}

static void the_truth_is_within_the_error(void **state)
{
    ed_seeds seeds = ed_seeds_chosen(SEEDS);
    static uint64_t claimed_us[SEEDS * 5];
    static uint64_t true_us[SEEDS * 5];
    size_t count = 0;

    (void)state;
    for (uint64_t i = 0; i < seeds.count; i++) {
        play(seeds.first + i);
        if (count == ED_COUNT(claimed_us))
            continue;
        claimed_us[count] = median_of(figures.claimed_us, figures.count);
        true_us[count++] = median_of(figures.true_us, figures.count);
    }
    printf("medians of %zu games: claimed error %llu us, true error %llu us\n", count,
           (unsigned long long)median_of(claimed_us, count),
           (unsigned long long)median_of(true_us, count));
}

/** Keepalives alone, each end's every 3 s, keep the time known. */
static void a_keepalive_is_enough(void **state)
{
    enum { IDLE_S = 600, KEEPALIVE_S = 3, DELAY_MS = 20 };
    ed_rng rng = ed_rng_of(1);
    ed_link_config link = ed_link_config_default();

    (void)state;
    open_pair("idle", 1, &rng);
    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    CHECK_EQ("idle", ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
    struct view views[2] = {{&cluster.nodes[0], &cluster.nodes[1], 0, false},
                            {&cluster.nodes[1], &cluster.nodes[0], 0, false}};
    for (int s = 0; s < IDLE_S; s++) {
        ed_cluster_run_for(&cluster, ED_NS_PER_S);
        figures.count = 0;
        look(&views[0]);
        look(&views[1]);
        // One answer and the next are two keepalives apart at most.
        uint64_t most_us = (DELAY_MS + 2) * 1000 + 2 * KEEPALIVE_S * ED_CLOCK_DRIFT_PPM;
        for (size_t i = 0; s >= 10 * KEEPALIVE_S && i < 2; i++)
            CHECK("idle", figures.claimed_us[i] <= most_us);
    }
    CHECK("idle", views[0].is_known && views[1].is_known);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_truth_is_within_the_error),
        cmocka_unit_test(a_keepalive_is_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
