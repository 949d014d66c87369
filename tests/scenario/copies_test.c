/**
 * What is lost comes with the next tick: small reliable messages go along again in packets that
 * leave anyway, from the first on, as long as the path is not known to lose next to nothing.
 */
#include "tests/support/check.h"
#include "tests/support/cluster.h"

enum {
    TICK_HZ = 60,
    SIZE = 100,
    DELAY_MS = 25,
    STREAM = 3,
};

static ed_cluster cluster;
static ed_endpoint *from, *to;

/** A game of a message each tick, of which datagrams are lost. */
typedef struct game {
    const char *name;
    uint32_t before;   /* ticks before the first loss */
    uint32_t lost;     /* datagrams in a row, of a tick each */
    uint32_t every_ms; /* 0: a tick of TICK_HZ */
    uint32_t size;     /* 0: SIZE */
    uint32_t jitter_ms;
    uint32_t queue_ms; /* that packets wait, from the second second on */
    bool new_reno;
    bool no_copies;
    bool comes;      /* with the first datagram behind those that are lost */
    uint32_t oldest; /* if not all, of the lost ones so many at the least */
} game;

static uint64_t tick_ns(const game *g)
{
    return g->every_ms == 0 ? ED_NS_PER_S / TICK_HZ : g->every_ms * ED_NS_PER_MS;
}

/** Messages that are to be lost; the acknowledgements are not. */
static bool lose(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    const bool *is_losing = context;

    (void)now_ns;
    return *is_losing && datagram->size >= SIZE &&
           eddy_address_equal(&datagram->local, &cluster.nodes[1].address);
}

static void set_path(const game *g, uint32_t queue_ms)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = (DELAY_MS + queue_ms) * ED_NS_PER_MS;
    link.jitter_ns = g->jitter_ms * ED_NS_PER_MS;
    link.jitter = ED_JITTER_UNIFORM;
    CHECK_EQ(g->name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

static void open_game(const game *g)
{
    const eddy_stream_options options = {.no_copies = g->no_copies};
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    client.congestion = g->new_reno ? EDDY_CONGESTION_NEW_RENO : EDDY_CONGESTION_MODEL;
    ed_cluster_open(&cluster, g->name, 1);
    set_path(g, 0);
    ed_cluster_add_pair(&cluster, &server, &client);
    to = &cluster.nodes[0].endpoints[0];
    from = &cluster.nodes[1].endpoints[0];
    CHECK_EQ(g->name, eddy_set_stream(cluster.nodes[1].manager, from->handle, STREAM, &options),
             EDDY_OK);
}

static void tick(const game *g)
{
    const ed_parcel parcel = {.guarantee = EDDY_RELIABLE_ORDERED,
                              .stream = STREAM,
                              .size = g->size == 0 ? SIZE : g->size};

    CHECK_EQ(g->name, ed_node_send_parcel(&cluster.nodes[1], from, &parcel), EDDY_OK);
}

static void play(const game *g)
{
    bool is_losing = false;

    open_game(g);
    ed_world_observe(cluster.world, lose, &is_losing);
    for (uint32_t n = 0; n < g->before + g->lost; n++) {
        is_losing = n >= g->before;
        if (n == TICK_HZ)
            set_path(g, g->queue_ms);
        tick(g);
        ed_cluster_run_for(&cluster, tick_ns(g));
    }
    is_losing = false;
    tick(g);
    ed_cluster_run_for(&cluster,
                       (DELAY_MS + g->queue_ms + g->jitter_ms) * ED_NS_PER_MS + tick_ns(g) / 2);
    uint32_t sent = g->before + g->lost + 1;
    CHECK_EQ(g->name, to->reliable_received == sent, g->comes);
    CHECK(g->name, to->reliable_received >= g->before + g->oldest);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    CHECK_EQ(g->name, to->reliable_received, sent);
    ed_cluster_close(&cluster);
}

static void what_is_lost_comes_with_the_next_tick(void **state)
{
    static const game rows[] = {
        {.name = "the first message", .lost = 1, .comes = true},
        {.name = "the first three", .lost = 3, .comes = true},
        {.name = "after the first answer, which was held", .before = 8, .lost = 1, .comes = true},
        {.name = "the same, NewReno", .before = 8, .lost = 1, .new_reno = true, .comes = true},
        {.name = "at 30 Hz", .before = 8, .lost = 1, .every_ms = 33, .comes = true},
        {.name = "after five seconds", .before = 300, .lost = 1, .comes = true},
        {.name = "after ten, when it is known to lose nothing", .before = 600, .lost = 1},
        {.name = "more than there are copies", .before = 150, .lost = 6, .oldest = 2},
        {.name = "a silence", .before = 150, .lost = 12, .oldest = 8},
        {.name = "jitter", .before = 200, .lost = 1, .jitter_ms = 20, .comes = true},
        {.name = "a queue", .before = 200, .lost = 1, .queue_ms = 30},
        {.name = "a short queue", .before = 200, .lost = 1, .queue_ms = 4, .comes = true},
        {.name = "as large as is copied", .lost = 1, .size = 300, .comes = true},
        {.name = "too large", .lost = 1, .size = 301},
        {.name = "a stream without copies", .lost = 1, .no_copies = true},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        play(&rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_lost_comes_with_the_next_tick),
    };

    return cmocka_run_group_tests_name("copies", tests, NULL, NULL);
}
