/**
 * A client's address changes under its connection, as a NAT does it: nothing is lost, and the
 * server follows nobody but the client.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/addr.h"
#include "sim/random.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/seeds.h"
#include "transport/limits.h"

enum {
    SEEDS = 60,
    TICK_MS = 16,
    SETTLE_MS = 500,
    LIMIT_S = 60,
    MOVED_PORT = 5000, /* and up: the ports that a NAT gives */
    LOSS_MAX_PERCENT = 20,
};

static ed_cluster cluster;
static uint32_t moves; /* so far: every address is new */

static void set_link(uint64_t delay_ms, uint64_t jitter_ms, uint32_t loss_ppm)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = delay_ms * ED_NS_PER_MS;
    link.jitter_ns = jitter_ms * ED_NS_PER_MS;
    link.loss_ppm = loss_ppm;
    CHECK_EQ(cluster.name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

/** A server (node 0) and a client (node 1), connected over a path with that delay each way. */
static void open_pair(const char *name, uint64_t seed, uint64_t delay_ms)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    moves = 0;
    ed_cluster_open(&cluster, name, seed);
    cluster.sizes = (ed_sizes){.min = 0, .max = 200};
    set_link(delay_ms, 0, 0);
    ed_cluster_add_pair(&cluster, &server, &client);
}

static ed_endpoint *end_of(size_t node)
{
    return &cluster.nodes[node].endpoints[0];
}

/** Gives the client an address that nobody had before. */
static void move_client(bool keeps_ip)
{
    ed_node *client = &cluster.nodes[1];
    eddy_address address = client->address;

    moves++;
    address.port = (uint16_t)(MOVED_PORT + moves);
    if (!keeps_ip)
        address = ed_addr_ipv4(10, 1, (uint8_t)(moves >> 8), (uint8_t)moves, address.port);
    ed_node_move(client, &address);
}

/** Every end says something reliable, and something unreliable, every tick. */
static void talk(uint64_t duration_ms, ed_rng *rng)
{
    for (uint64_t ms = 0; ms < duration_ms; ms += TICK_MS) {
        for (size_t n = 0; n < cluster.node_count; n++)
            for (size_t i = 0; i < cluster.nodes[n].endpoint_count; i++) {
                ed_node *node = &cluster.nodes[n];
                uint8_t stream = (uint8_t)ed_rng_below(rng, ED_ORACLE_STREAMS);
                if (node->endpoints[i].disconnected || !node->endpoints[i].connected)
                    continue;
                ed_node_send_many(node, &node->endpoints[i], EDDY_RELIABLE_ORDERED, stream, 1);
                ed_node_send_many(node, &node->endpoints[i], EDDY_UNRELIABLE, 0, 1);
            }
        ed_cluster_run_for(&cluster, TICK_MS * ED_NS_PER_MS);
    }
}

/** All is delivered, nobody has gone, and the server knows where the client is. */
static void check_whole(void)
{
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    for (size_t n = 0; n < 2; n++)
        CHECK(cluster.name, !end_of(n)->disconnected);
    CHECK_EQ(cluster.name, ed_endpoint_received(end_of(0)), ed_endpoint_sent(end_of(1)));
    CHECK_EQ(cluster.name, ed_endpoint_received(end_of(1)), ed_endpoint_sent(end_of(0)));
}

static void check_followed(void)
{
    CHECK(cluster.name, eddy_address_equal(&end_of(0)->moved_to, &cluster.nodes[1].address));
}

/** Every candidate has been judged. */
static void check_counts(void)
{
    eddy_stats stats = ed_node_stats(&cluster.nodes[0]);

    CHECK_EQ(cluster.name, stats.paths_challenged, stats.paths_validated + stats.paths_refused);
    CHECK(cluster.name, end_of(0)->moves <= stats.paths_validated);
    CHECK_EQ(cluster.name, ed_node_stats(&cluster.nodes[1]).paths_challenged, 0);
}

/* ---------------------------------------------------------------------------- while it talks -- */

static void wander(uint64_t seed)
{
    enum { MOVES = 5 };
    ed_rng rng = ed_rng_of(seed);
    const char *name = ed_seeds_announce("rebind_test", seed);

    open_pair(name, seed, 3 + ed_rng_below(&rng, 100));
    set_link(3 + ed_rng_below(&rng, 100), ed_rng_below(&rng, 10),
             (uint32_t)ed_rng_below(&rng, LOSS_MAX_PERCENT + 1) * 10 * 1000);
    for (int i = 0; i < MOVES; i++) {
        talk(ed_rng_below(&rng, 3000), &rng);
        move_client(ed_rng_below(&rng, 2) == 0);
    }
    talk(1000, &rng);
    check_whole();
    talk(LIMIT_S * 100, &rng); // long enough that the last move is found out about
    check_whole();
    check_followed();
    check_counts();
    ed_cluster_shut_down(&cluster, 5000, LIMIT_S * ED_NS_PER_S);
    ed_cluster_close(&cluster);
}

static void a_client_wanders_while_data_flow(void **state)
{
    ed_seeds seeds = ed_seeds_chosen(SEEDS);

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++)
        wander(seed);
}

static void the_client_moves_as_soon_as_it_is_connected(void **state)
{
    const struct {
        const char *name;
        bool keeps_ip;
        uint32_t loss_ppm;
    } rows[] = {
        {"another port", true, 0},
        {"another address", false, 0},
        {"another port, 20 % loss", true, 200 * 1000},
        {"another address, 20 % loss", false, 200 * 1000},
    };
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();
    ed_seeds seeds = ed_seeds_chosen(SEEDS);

    (void)state;
    client.handshake_timeout_ms = LIMIT_S * 1000;
    for (size_t i = 0; i < ED_COUNT(rows) * seeds.count; i++) {
        size_t row = i % ED_COUNT(rows);
        ed_rng rng = ed_rng_of(i);
        moves = 0;
        ed_cluster_open(&cluster, rows[row].name, i + 1);
        set_link(20, 0, rows[row].loss_ppm);
        (void)ed_cluster_add(&cluster, &server);
        ed_node *node = ed_cluster_add(&cluster, &client);
        const ed_endpoint *endpoint = ed_node_connect(node, &cluster.nodes[0]);
        ed_cluster_await_connected(&cluster, endpoint, LIMIT_S * ED_NS_PER_S);
        CHECK_EQ(rows[row].name, cluster.nodes[0].endpoint_count, 0);
        move_client(rows[row].keeps_ip);
        talk(5000, &rng);
        check_whole();
        check_followed();
        check_counts();
        ed_cluster_close(&cluster);
    }
}

/* ------------------------------------------------------------------------------------ speed -- */

enum { DELAY_MS = 50, RTT_US = 2 * DELAY_MS * 1000 };

/** How long after a move the client hears the server again, and has all that was lost. */
struct gap {
    uint64_t heard_us;
    uint64_t repaired_us;
};

/** One more millisecond; both ends say something every tick. */
static void run_ms(uint64_t ms)
{
    for (size_t n = 0; n < 2 && ms % TICK_MS == 0; n++)
        ed_node_send_many(&cluster.nodes[n], end_of(n), EDDY_RELIABLE_ORDERED, 0, 1);
    ed_cluster_run_for(&cluster, ED_NS_PER_MS);
}

static struct gap measure_gap(uint64_t seed, bool keeps_ip, uint32_t loss_ppm)
{
    ed_rng rng = ed_rng_of(seed);
    uint64_t ms = 0, lost = UINT64_MAX;
    struct gap gap = {0};

    open_pair("gap", seed, DELAY_MS);
    set_link(DELAY_MS, 0, loss_ppm);
    for (uint64_t until_ms = 2000 + ed_rng_below(&rng, TICK_MS); ms < until_ms; ms++)
        run_ms(ms);
    move_client(keeps_ip);
    uint64_t moved_ns = ed_cluster_now_ns(&cluster), heard = ed_endpoint_received(end_of(1));
    for (; ed_endpoint_received(end_of(1)) < lost; ms++) {
        CHECK("in time", ms < LIMIT_S * 1000);
        run_ms(ms);
        uint64_t since_us = (ed_cluster_now_ns(&cluster) - moved_ns) / ED_NS_PER_US;
        if (gap.heard_us == 0 && ed_endpoint_received(end_of(1)) > heard)
            gap.heard_us = since_us;
        if (lost == UINT64_MAX && end_of(0)->moves > 0)
            lost = ed_endpoint_sent(end_of(0));
        gap.repaired_us = since_us;
    }
    check_whole();
    check_followed();
    ed_cluster_close(&cluster);
    return gap;
}

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right ? 1 : 0;
}

/** Prints the figures. @return the median, in hundredths of a round trip. */
static uint64_t report(const char *name, const char *what, uint64_t *times_us, size_t count)
{
    qsort(times_us, count, sizeof(*times_us), by_value);
    (void)printf("%s, %s, in round trips: p50 %.2f, p95 %.2f, max %.2f\n", name, what,
                 (double)times_us[count / 2] / RTT_US, (double)times_us[count * 95 / 100] / RTT_US,
                 (double)times_us[count - 1] / RTT_US);
    return times_us[count / 2] * 100 / RTT_US;
}

/** The client's packet, the challenge, the response, and what was lost: two, and some waiting. */
static void the_gap_is_two_round_trips(void **state)
{
    enum { COUNT_MAX = 1024, COUNT_MIN = 40 }; /* fewer say little of a median */
    static uint64_t heard_us[COUNT_MAX], repaired_us[COUNT_MAX];
    const struct {
        const char *name;
        bool keeps_ip;
        uint32_t loss_ppm;
        uint64_t heard_max; /* p50, in hundredths of a round trip */
        uint64_t repaired_max;
    } rows[] = {
        {"another port", true, 0, 220, 220},
        {"another address", false, 0, 220, 220},
        {"another port, 5 % loss", true, 50 * 1000, 220, 220},
        {"another port, 20 % loss", true, 200 * 1000, 400, 500},
    };
    ed_seeds seeds = ed_seeds_chosen(SEEDS);

    (void)state;
    size_t count = ed_min_size(seeds.count > COUNT_MIN ? seeds.count : COUNT_MIN, COUNT_MAX);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        for (size_t n = 0; n < count; n++) {
            struct gap gap = measure_gap(seeds.first + n, rows[i].keeps_ip, rows[i].loss_ppm);
            heard_us[n] = gap.heard_us;
            repaired_us[n] = gap.repaired_us;
        }
        CHECK(rows[i].name,
              report(rows[i].name, "heard again", heard_us, count) <= rows[i].heard_max);
        CHECK(rows[i].name,
              report(rows[i].name, "repaired", repaired_us, count) <= rows[i].repaired_max);
    }
}

/** The server cannot know how long the answer takes, and must not stop asking too soon for ever. */
static void the_new_path_may_be_far_slower(void **state)
{
    const struct {
        const char *name;
        bool keeps_ip;
        uint64_t delay_ms;
    } rows[] = {
        {"another port, 100 ms", true, 100},     {"another address, 100 ms", false, 100},
        {"another port, 450 ms", true, 450},     {"another address, 450 ms", false, 450},
        {"another address, 1.2 s", false, 1200}, {"another address, 3 s", false, 3000},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_rng rng = ed_rng_of(i);
        open_pair(rows[i].name, i + 1, 2);
        talk(2000, &rng);
        ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS); // no ack that would tell is left
        move_client(rows[i].keeps_ip);
        set_link(rows[i].delay_ms, 0, 0);
        talk(9000, &rng);
        ed_cluster_run_for(&cluster, LIMIT_S * ED_NS_PER_S / 2);
        check_whole();
        check_followed();
        ed_cluster_close(&cluster);
    }
}

/** The credit that it waits for goes to its old address: it does not wait for a keepalive. */
static void a_client_that_waits_for_credit_is_found(void **state)
{
    enum { MESSAGES = 2000, SOON_MS = 500, BUDGET = 256 * 1024 };

    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    (void)state;
    server.max_message_size = EDDY_PIECE_SIZE_MAX;
    server.unreliable_budget = server.receive_budget = BUDGET;
    server.max_connections = 1;
    server.max_outgoing = 0;
    moves = 0;
    ed_cluster_open(&cluster, "starved", 1);
    cluster.sizes = (ed_sizes){.min = 0, .max = 200};
    set_link(20, 0, 0);
    ed_cluster_add_pair(&cluster, &server, &client);
    cluster.nodes[0].is_reading = false;
    ed_node_send_many(&cluster.nodes[1], end_of(1), EDDY_RELIABLE_ORDERED, 0, MESSAGES);
    ed_cluster_run_for(&cluster, 5 * ED_NS_PER_S);
    move_client(true);
    ed_node_send_many(&cluster.nodes[0], end_of(0), EDDY_RELIABLE_ORDERED, 0, 1);
    ed_cluster_run_for(&cluster, SOON_MS * ED_NS_PER_MS);
    CHECK_EQ("heard", ed_endpoint_received(end_of(1)), 1);
    CHECK("it waits", ed_endpoint_received(end_of(0)) < MESSAGES);
    cluster.nodes[0].is_reading = true;
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    check_whole();
    ed_cluster_close(&cluster);
}

/* ----------------------------------------------------------------------------- while closing -- */

/** Who closes, and when the client moves: what was accepted arrives all the same. */
static void the_client_moves_while_a_connection_closes(void **state)
{
    const struct {
        const char *name;
        size_t closer;    /* node */
        uint64_t move_ms; /* after the close */
        uint32_t loss_ppm;
    } rows[] = {
        {"the client closes, and moves", 1, 0, 0},
        {"the server closes, and the client moves", 0, 0, 0},
        {"the client closes, and moves later", 1, 30, 0},
        {"the server closes, and the client moves later", 0, 30, 0},
        {"the client closes, and moves, 20 % loss", 1, 10, 200 * 1000},
        {"the server closes, and the client moves, 20 % loss", 0, 10, 200 * 1000},
    };
    enum { MESSAGES = 300 };
    ed_seeds seeds = ed_seeds_chosen(SEEDS);

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows) * seeds.count; i++) {
        size_t row = i % ED_COUNT(rows);
        size_t closer = rows[row].closer;
        open_pair(rows[row].name, i + 1, 20);
        ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
        set_link(20, 0, rows[row].loss_ppm);
        for (size_t n = 0; n < 2; n++)
            ed_node_send_many(&cluster.nodes[n], end_of(n), EDDY_RELIABLE_ORDERED, 0, MESSAGES);
        ed_node_disconnect(&cluster.nodes[closer], end_of(closer), 7, "enough", EDDY_FOREVER);
        ed_cluster_run_for(&cluster, rows[row].move_ms * ED_NS_PER_MS);
        move_client(i / ED_COUNT(rows) % 2 == 0);
        ed_cluster_await_disconnected(&cluster, end_of(closer), LIMIT_S * ED_NS_PER_S);
        CHECK_EQ(rows[row].name, ed_endpoint_received(end_of(1 - closer)), MESSAGES);
        CHECK_EQ(rows[row].name, end_of(closer)->end.end, EDDY_END_CLOSED_LOCAL);
        CHECK_EQ(rows[row].name, end_of(closer)->end.undelivered, 0);
        ed_cluster_await_disconnected(&cluster, end_of(1 - closer), LIMIT_S * ED_NS_PER_S);
        ed_cluster_close(&cluster);
    }
}

/** The last words themselves find their way: nobody waits for a timeout. */
static void a_close_finds_a_client_that_has_moved(void **state)
{
    const struct {
        const char *name;
        size_t closer;     /* node */
        bool is_heard;     /* the client says something after it has moved */
        uint64_t limit_ms; /* for the ends of both */
    } rows[] = {
        {"the client says goodbye from its new address", 1, false, 60},
        {"the server says it while the client talks", 0, true, 400},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        size_t closer = rows[i].closer;
        ed_rng rng = ed_rng_of(i);
        open_pair(rows[i].name, i, 20);
        talk(SETTLE_MS, &rng);
        ed_cluster_await_delivered(&cluster, ED_NS_PER_S);
        ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
        move_client(true);
        ed_node_disconnect(&cluster.nodes[closer], end_of(closer), 7, "enough", 0);
        if (rows[i].is_heard)
            ed_node_send_many(&cluster.nodes[1], end_of(1), EDDY_RELIABLE_ORDERED, 0, 1);
        ed_cluster_run_for(&cluster, rows[i].limit_ms * ED_NS_PER_MS);
        CHECK(rows[i].name, end_of(0)->disconnected && end_of(1)->disconnected);
        CHECK_EQ(rows[i].name, end_of(closer)->end.end, EDDY_END_CLOSED_LOCAL);
        CHECK_EQ(rows[i].name, end_of(1 - closer)->end.end, EDDY_END_CLOSED_REMOTE);
        ed_cluster_close(&cluster);
    }
}

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
        uint8_t data[ED_DATAGRAM_SIZE];
    } kept[KEPT_MAX];
    size_t kept_count;
} stranger;

static void repeat_datagram(const uint8_t *data, size_t size)
{
    uint8_t copy[ED_DATAGRAM_SIZE];
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
        cmocka_unit_test(a_client_wanders_while_data_flow),
        cmocka_unit_test(the_client_moves_as_soon_as_it_is_connected),
        cmocka_unit_test(the_gap_is_two_round_trips),
        cmocka_unit_test(the_new_path_may_be_far_slower),
        cmocka_unit_test(a_client_that_waits_for_credit_is_found),
        cmocka_unit_test(the_client_moves_while_a_connection_closes),
        cmocka_unit_test(a_close_finds_a_client_that_has_moved),
        cmocka_unit_test(two_clients_swap_their_ports),
        cmocka_unit_test(after_a_swap_a_redial_replaces_its_own),
        cmocka_unit_test(a_newcomer_gets_the_old_address),
        cmocka_unit_test(what_came_before_moves_nobody),
        cmocka_unit_test(copies_that_are_faster_move_nobody),
        cmocka_unit_test(who_takes_the_whole_way_loses_it_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
