/** Addresses that pass to somebody else, and strangers: nobody is taken for another. */
#include "tests/scenario/rebind_bed.h"

#include "transport/limits.h"

/* --------------------------------------------------------------------------- two behind one -- */

/** Two clients (nodes 1 and 2) exchange their addresses. */
static void swap(void)
{
    eddy_address first = cluster.nodes[1].address, second = cluster.nodes[2].address;
    eddy_address spare = ed_addr_ipv4(10, 9, 9, 9, 9);

    ed_node_move(&cluster.nodes[1], &spare);
    ed_node_move(&cluster.nodes[2], &first);
    ed_node_move(&cluster.nodes[1], &second);
}

/** The server's end of a client's connection. */
static const ed_endpoint *server_end_of(size_t client)
{
    for (size_t i = 0; i < cluster.nodes[0].endpoint_count; i++)
        if (cluster.nodes[0].endpoints[i].peer == end_of(client))
            return &cluster.nodes[0].endpoints[i];
    fail_msg("%s: no connection of client %zu", cluster.name, client);
    return NULL;
}

static void two_clients_swap_their_ports(void **state)
{
    enum { SWAPS = 5 };
    ed_seeds seeds = ed_seeds_chosen(SEEDS);

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        ed_rng rng = ed_rng_of(seed);
        eddy_config client = ed_cluster_client_config();
        open_pair(ed_seeds_announce("rebind_test", seed), seed, 10 + ed_rng_below(&rng, 40));
        eddy_address beside = cluster.nodes[1].address;
        ed_node *second = ed_cluster_add(&cluster, &client);
        beside.port++;
        ed_node_move(second, &beside);
        const ed_endpoint *endpoint = ed_node_connect(second, &cluster.nodes[0]);
        ed_cluster_await_connected(&cluster, endpoint, LIMIT_S * ED_NS_PER_S);
        set_link(10 + ed_rng_below(&rng, 40), ed_rng_below(&rng, 5),
                 (uint32_t)ed_rng_below(&rng, LOSS_MAX_PERCENT + 1) * 10 * 1000);
        for (int i = 0; i < SWAPS; i++) {
            talk(500 + ed_rng_below(&rng, 2000), &rng);
            swap();
        }
        talk(4000, &rng);
        ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
        for (size_t n = 1; n <= 2; n++) {
            const ed_endpoint *end = server_end_of(n);
            CHECK(cluster.name, !end->disconnected && !end_of(n)->disconnected);
            CHECK(cluster.name, eddy_address_equal(&end->moved_to, &cluster.nodes[n].address));
            CHECK_EQ(cluster.name, ed_endpoint_received(end), ed_endpoint_sent(end_of(n)));
        }
        ed_cluster_shut_down(&cluster, 5000, LIMIT_S * ED_NS_PER_S);
        ed_cluster_close(&cluster);
    }
}

/** The addresses lead to their owners, too: who dials anew ends its own old connection alone. */
static void after_a_swap_a_redial_replaces_its_own(void **state)
{
    ed_rng rng = ed_rng_of(1);
    eddy_config config = ed_cluster_client_config();

    (void)state;
    open_pair("redial", 1, 20);
    ed_node *second = ed_cluster_add(&cluster, &config);
    const ed_endpoint *endpoint = ed_node_connect(second, &cluster.nodes[0]);
    ed_cluster_await_connected(&cluster, endpoint, ED_NS_PER_S);
    talk(SETTLE_MS, &rng);
    swap();
    talk(2 * SETTLE_MS, &rng);
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    ed_node_crash(second);
    CHECK_EQ("restart", ed_node_start(second), EDDY_OK);
    ed_endpoint *again = ed_node_connect(second, &cluster.nodes[0]);
    ed_cluster_await_connected(&cluster, again, ED_NS_PER_S);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    CHECK("the other one", !server_end_of(1)->disconnected);
    CHECK("its own", server_end_of(2)->disconnected);
    CHECK_EQ("its own", server_end_of(2)->end.end, EDDY_END_REPLACED);
    ed_cluster_close(&cluster);
}

/** The NAT gives a newcomer the address that another client has just lost: both stay. */
static void a_newcomer_gets_the_old_address(void **state)
{
    ed_rng rng = ed_rng_of(1);
    ed_link_config near = ed_link_config_default();
    eddy_config config = ed_cluster_client_config();

    (void)state;
    open_pair("the old address", 1, 60);
    ed_node *second = ed_cluster_add(&cluster, &config);
    talk(SETTLE_MS, &rng);
    eddy_address lost = cluster.nodes[1].address;
    move_client(true);
    ed_node_move(second, &lost);
    // It is so near that its handshake is done before the other's move.
    near.delay_ns = 10 * ED_NS_PER_MS;
    CHECK_EQ("link", ed_world_set_link(cluster.world, &lost, NULL, &near), EDDY_OK);
    CHECK_EQ("link", ed_world_set_link(cluster.world, NULL, &lost, &near), EDDY_OK);
    talk(70, &rng);
    CHECK_EQ("heard of, and not moved yet", ed_node_stats(&cluster.nodes[0]).paths_challenged, 1);
    CHECK_EQ("heard of, and not moved yet", end_of(0)->moves, 0);
    const ed_endpoint *endpoint = ed_node_connect(second, &cluster.nodes[0]);
    ed_cluster_await_connected(&cluster, endpoint, 60 * ED_NS_PER_MS);
    talk(2000, &rng);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    check_followed();
    CHECK_EQ("two", cluster.nodes[0].endpoint_count, 2);
    for (size_t i = 0; i < 2; i++) { // one by one: to the oracle both have the same name
        const ed_endpoint *here = &cluster.nodes[0].endpoints[i], *there = end_of(i + 1);
        CHECK("they live", !here->disconnected && !there->disconnected);
        CHECK_EQ("up", ed_endpoint_received(here), ed_endpoint_sent(there));
        CHECK_EQ("down", ed_endpoint_received(there), ed_endpoint_sent(here));
    }
    ed_cluster_close(&cluster);
}

/* -------------------------------------------------------------------------------- strangers -- */

enum { KEPT_MAX = 4096 };

/** Somebody on the way who sees all that the client sends, and sends it again from elsewhere. */
static struct stranger {
    eddy_address address;
    eddy_socket socket;
    bool races;      /* its copy leaves at once, and is faster */
    bool takes_away; /* the client's own does not arrive */
    bool passes_on;  /* what the server says to the stranger reaches the client, in its name */
    bool cuts_off;   /* what the server says to the client does not */
    bool is_quiet;
    uint64_t sent;     /* bytes */
    uint64_t received; /* bytes that were sent to it */
    struct {
        size_t size;
        uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
    } kept[KEPT_MAX];
    size_t kept_count;
} stranger;

static void repeat_datagram(const uint8_t *data, size_t size)
{
    uint8_t copy[EDDY_DATAGRAM_SIZE_MAX];
    eddy_datagram datagram = {.remote = cluster.nodes[0].address, .data = copy, .size = size};

    memcpy(copy, data, size);
    stranger.sent += size;
    CHECK_EQ("sent", stranger.socket.send(stranger.socket.context, &datagram, 1), 1);
}

/** The stranger keeps what the server sends to it from itself, and knows whom it is for. */
static bool see_server(const eddy_datagram *datagram)
{
    eddy_datagram forged = *datagram;

    if (!eddy_address_equal(&datagram->remote, &stranger.address))
        return stranger.cuts_off && !stranger.is_quiet;
    stranger.received += datagram->size;
    forged.remote = cluster.nodes[1].address;
    if (stranger.passes_on && !stranger.is_quiet)
        CHECK("forged", ed_world_forge(cluster.world, &forged));
    return true;
}

static bool see_client(const eddy_datagram *datagram)
{
    if (stranger.is_quiet)
        return false;
    if (stranger.races) {
        repeat_datagram(datagram->data, datagram->size);
        return stranger.takes_away;
    }
    if (stranger.kept_count < KEPT_MAX) {
        memcpy(stranger.kept[stranger.kept_count].data, datagram->data, datagram->size);
        stranger.kept[stranger.kept_count++].size = datagram->size;
    }
    return false;
}

static bool see(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    (void)context;
    (void)now_ns;
    if (eddy_address_equal(&datagram->local, &cluster.nodes[0].address))
        return see_server(datagram);
    return eddy_address_equal(&datagram->local, &cluster.nodes[1].address) && see_client(datagram);
}

/** A pair, and a stranger whose way to the server is the shorter one. */
static void open_watched(const char *name, uint64_t seed)
{
    ed_link_config link = ed_link_config_default();

    open_pair(name, seed, 20);
    stranger = (struct stranger){.address = ed_addr_ipv4(10, 6, 6, 6, 666)};
    CHECK(name, ed_world_socket(cluster.world, &stranger.address, &stranger.socket) != NULL);
    link.delay_ns = 5 * ED_NS_PER_MS;
    CHECK_EQ(name, ed_world_set_link(cluster.world, &stranger.address, NULL, &link), EDDY_OK);
    ed_world_observe(cluster.world, see, NULL);
}

static void what_came_before_moves_nobody(void **state)
{
    enum { ROUNDS = 20, SENT_MIN = 100 * 1000, ON_THE_WAY_MS = 20 };
    ed_rng rng = ed_rng_of(1);

    (void)state;
    open_watched("replayed later", 1);
    for (int round = 0; round < ROUNDS; round++) {
        talk(100, &rng);
        size_t count = stranger.kept_count;
        ed_cluster_run_for(&cluster, ON_THE_WAY_MS * ED_NS_PER_MS);
        for (size_t i = 0; i < count; i++)
            repeat_datagram(stranger.kept[i].data, stranger.kept[i].size);
    }
    check_whole();
    CHECK("it tried", stranger.sent > SENT_MIN);
    CHECK_EQ("it gets nothing", stranger.received, 0);
    CHECK_EQ("nobody was asked", ed_node_stats(&cluster.nodes[0]).paths_challenged, 0);
    ed_cluster_close(&cluster);
}

static void copies_that_are_faster_move_nobody(void **state)
{
    const struct {
        const char *name;
        bool takes_away;
        bool passes_on;
        bool client_moves;
    } rows[] = {
        {"the copies are faster", false, false, false},
        {"only the copies arrive", true, false, false},
        {"the copies are faster, and questions are passed on", false, true, false},
        {"only the copies arrive, and questions are passed on", true, true, false},
        {"the copies are faster, and the client moves", false, false, true},
        {"only the copies arrive, and the client moves", true, false, true},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_rng rng = ed_rng_of(i);
        open_watched(rows[i].name, i);
        talk(SETTLE_MS, &rng);
        stranger.races = true;
        stranger.takes_away = rows[i].takes_away;
        stranger.passes_on = rows[i].passes_on;
        talk(3000, &rng);
        CHECK_EQ(rows[i].name, end_of(0)->moves, 0);
        if (rows[i].client_moves)
            move_client(true);
        talk(1000, &rng);
        stranger.is_quiet = true;
        talk(4000, &rng);
        check_whole();
        check_counts();
        CHECK(rows[i].name, stranger.received > 0); // so it was a candidate, and asked
        CHECK(rows[i].name, stranger.received <= stranger.sent);
        CHECK_EQ(rows[i].name, end_of(0)->moves, rows[i].client_moves ? 1 : 0);
        if (rows[i].client_moves)
            check_followed();
        ed_cluster_close(&cluster);
    }
}

/** Who can cut the client off and passes everything on is the path; when it goes, it is no more. */
static void who_takes_the_whole_way_loses_it_again(void **state)
{
    ed_rng rng = ed_rng_of(1);

    (void)state;
    open_watched("the whole way", 1);
    talk(SETTLE_MS, &rng);
    stranger.races = stranger.takes_away = stranger.passes_on = stranger.cuts_off = true;
    talk(3000, &rng);
    CHECK_EQ("followed", end_of(0)->moves, 1);
    CHECK("to the stranger", eddy_address_equal(&end_of(0)->moved_to, &stranger.address));
    stranger.is_quiet = true;
    talk(3000, &rng);
    check_whole();
    CHECK_EQ("and back", end_of(0)->moves, 2);
    check_followed();
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_clients_swap_their_ports),
        cmocka_unit_test(after_a_swap_a_redial_replaces_its_own),
        cmocka_unit_test(a_newcomer_gets_the_old_address),
        cmocka_unit_test(what_came_before_moves_nobody),
        cmocka_unit_test(copies_that_are_faster_move_nobody),
        cmocka_unit_test(who_takes_the_whole_way_loses_it_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
