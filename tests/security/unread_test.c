/** A program that does not read, and peers that all send what they can (T31). */
#include "core/addr.h"
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"
#include "tests/support/weather.h"

enum {
    PEERS = 20,
    RECEIVE_BUDGET = 2 << 20,
    ANY_BUDGET = 256 << 20,
    TICK_MS = 10,
    TICKS = 200,
    EACH = 5, /* messages of one peer in a tick */
    MESSAGE_SIZE = 1000,
    CROWD = 1000,
    CROWD_S = 800,     /* in two minutes, about */
    CROWD_PER_MS = 10, /* peers that send an unreliable message each */
    CROWD_BUDGET = 32 << 20,
};

static ed_cluster cluster;
static bool has_no_budget;

static void drop_budget(void)
{
    has_no_budget = true;
}

static eddy_config server_config(void)
{
    eddy_config config = ed_cluster_server_config();

    config.max_connections = PEERS;
    config.max_outgoing = 1;
    config.max_message_size = 4000;
    config.receive_budget = RECEIVE_BUDGET;
    config.unreliable_budget = RECEIVE_BUDGET;
    return config;
}

/** What the manager may have taken. */
static uint64_t allowed(const eddy_config *config, size_t peers)
{
    return ed_memory_allowed(config, peers) - config->send_budget;
}

/** All peers talk as much as they may, in all guarantees, for a while. */
static void talk(uint64_t ticks)
{
    for (uint64_t tick = 0; tick < ticks; tick++) {
        for (size_t n = 1; n < cluster.node_count; n++)
            for (uint64_t i = 0; i < EACH; i++)
                (void)!ed_node_send(&cluster.nodes[n], &cluster.nodes[n].endpoints[0],
                                    (eddy_guarantee)((tick + i) % 5), 0);
        ed_cluster_run_for(&cluster, TICK_MS * ED_NS_PER_MS);
    }
}

static void open_all(void)
{
    eddy_config server = server_config(), client = ed_cluster_client_config();

    client.max_message_size = server.max_message_size;
    if (has_no_budget)
        server.receive_budget = server.unreliable_budget = ANY_BUDGET;
    ed_cluster_open(&cluster, "T31", 31);
    cluster.sizes = (ed_sizes){MESSAGE_SIZE, MESSAGE_SIZE};
    (void)ed_cluster_add(&cluster, &server);
    for (int i = 0; i < PEERS; i++) {
        ed_node *node = ed_cluster_add(&cluster, &client);
        ed_cluster_await_connected(&cluster, ed_node_connect(node, &cluster.nodes[0]), ED_NS_PER_S);
    }
    ed_cluster_run_for(&cluster, ED_NS_PER_S / 10);
}

/** Every peer ends, unread; later the program hears of each of them. */
static bool every_end_is_heard(void)
{
    ed_node *server = &cluster.nodes[0];
    bool all = server->endpoint_count == PEERS;

    for (size_t n = 1; n < cluster.node_count; n++)
        ed_node_disconnect(&cluster.nodes[n], &cluster.nodes[n].endpoints[0], 1, "bye", 100);
    ed_cluster_run_for(&cluster, 5 * ED_NS_PER_S);
    server->is_reading = true;
    ed_node_read(server);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    for (size_t i = 0; i < server->endpoint_count; i++)
        all &= server->endpoints[i].disconnected;
    return all;
}

static bool what_is_not_read_is_bounded(const void *context)
{
    eddy_config config = server_config();
    uint64_t most = 0;

    (void)context;
    open_all();
    ed_node *server = &cluster.nodes[0];
    server->is_reading = false;
    server->has_paused = true;
    for (uint64_t i = 0; i < 10; i++) {
        talk(TICKS / 10);
        most = ed_max_u64(most, server->memory.live_size);
    }
    eddy_stats stats = ed_node_stats(server);
    CHECK("it was too much", has_no_budget || stats.messages_shed_received > 0);
    bool heard = every_end_is_heard();
    ed_attack_figure(
        "T31 %llu s unread, %llu messages from %d peers: %llu KiB of heap, %llu shed; "
        "each end was heard",
        (unsigned long long)TICKS * TICK_MS / 1000, (unsigned long long)stats.received_datagrams,
        PEERS, (unsigned long long)most >> 10, (unsigned long long)stats.messages_shed_received);
    ed_cluster_close(&cluster);
    return heard && most <= allowed(&config, PEERS);
}

static void t31_who_does_not_read_is_not_drowned(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){
        .name = "T31 unread", .mount = what_is_not_read_is_bounded, .weaken = drop_budget});
}

/* -------------------------------------------------------------------------- the plan's figures --
 */

/** A manager in a world, and its program. */
typedef struct member {
    ed_host *host;
    eddy_socket socket;
    eddy_entropy entropy;
    eddy_manager *manager;
    eddy_connection connection; /* a peer's */
    bool reads;
    uint32_t connected, disconnected;
} member;

static ed_world *world;
static ed_counting_alloc memory; /* the server's */
static uint64_t most;            /* of it */
static member the_server, crowd[CROWD];

static void read_all(member *m)
{
    eddy_event event;

    while (eddy_next(m->manager, &event, 0) == EDDY_OK) {
        m->connected += event.type == EDDY_CONNECTED;
        m->disconnected += event.type == EDDY_DISCONNECTED;
        eddy_release(m->manager, &event);
    }
}

static uint64_t run(void *context, uint64_t now_ns)
{
    member *m = context;
    uint64_t next_ns = eddy_poll(m->manager, now_ns);

    if (m == &the_server)
        most = ed_max_u64(most, memory.live_size);
    if (m->reads)
        read_all(m);
    return next_ns;
}

static void run_for(uint64_t duration_ns)
{
    ed_world_run_until(world, ed_world_now_ns(world) + duration_ns);
}

static void start(member *m, eddy_config config, eddy_address address)
{
    *m = (member){.reads = true};
    m->host = ed_world_socket(world, &address, &m->socket);
    CHECK("host", m->host != NULL);
    m->entropy = ed_world_entropy(world, m->host);
    config.socket = &m->socket;
    config.entropy = &m->entropy;
    CHECK_EQ("open", eddy_open(&m->manager, &config), EDDY_OK);
    ed_world_attach(world, m->host, run, m);
}

static eddy_config crowd_config(void)
{
    eddy_config config = server_config();

    config.max_connections = CROWD;
    config.receive_budget = CROWD_BUDGET;
    config.unreliable_budget = CROWD_BUDGET;
    config.allocator = &memory.allocator;
    return config;
}

static void gather(void)
{
    eddy_config client = ed_cluster_client_config();
    eddy_address address = ed_addr_ipv4(10, 1, 0, 1, 4000);

    client.max_outgoing = 1;
    client.max_connections = 0;
    client.max_message_size = 4000;
    world = ed_world_create(ed_alloc_default(), 31);
    CHECK("world", world != NULL);
    ed_counting_alloc_init(&memory, NULL);
    most = 0;
    start(&the_server, crowd_config(), address);
    for (size_t i = 0; i < CROWD; i++) {
        start(&crowd[i], client, ed_addr_ipv4(10, 2, (uint8_t)(i >> 8), (uint8_t)i, 4000));
        CHECK_EQ("dial",
                 eddy_connect_address(crowd[i].manager, &address, ed_test_options(),
                                      &crowd[i].connection),
                 EDDY_OK);
        run_for(ED_NS_PER_S / CROWD);
    }
    run_for(ED_NS_PER_S);
    CHECK_EQ("connected", the_server.connected, CROWD);
}

static void disperse(void)
{
    for (size_t i = 0; i < CROWD; i++)
        (void)eddy_close(crowd[i].manager, 0);
    (void)eddy_close(the_server.manager, 0);
    ed_world_destroy(world);
    CHECK_EQ("memory left", memory.live_size, 0);
}

static void say(member *m, eddy_guarantee guarantee)
{
    static const uint8_t data[MESSAGE_SIZE];

    (void)!eddy_send(m->manager, m->connection, guarantee, 0, data, sizeof(data));
    ed_world_touch(world, m->host);
}

/** Everybody in turn says something new, and sometimes something that must come. */
static void talk_in_turn(uint64_t duration_ms)
{
    static size_t next;

    for (uint64_t ms = 0; ms < duration_ms; ms++) {
        for (size_t i = 0; i < CROWD_PER_MS; i++, next++)
            say(&crowd[next % CROWD],
                next / CROWD % EACH == 0 ? EDDY_RELIABLE_ORDERED : EDDY_UNRELIABLE);
        run_for(ED_NS_PER_MS);
    }
}

static void t31_a_thousand_who_are_not_read(void **state)
{
    eddy_config config = crowd_config();

    (void)state;
    if (ed_attack_count(0, 1) == 0)
        skip();
    gather();
    the_server.reads = false;
    talk_in_turn(CROWD_S * UINT64_C(500));
    uint64_t half = most;
    talk_in_turn(CROWD_S * UINT64_C(500));
    eddy_stats stats;
    eddy_get_stats(the_server.manager, &stats);
    CHECK("it was too much", stats.messages_shed_received > 0);
    for (size_t i = 0; i < CROWD; i++) {
        (void)eddy_disconnect(crowd[i].manager, crowd[i].connection, 1, "bye", 0);
        ed_world_touch(world, crowd[i].host);
    }
    run_for(5 * ED_NS_PER_S);
    the_server.reads = true;
    ed_world_touch(world, the_server.host);
    run_for(ED_NS_PER_S);
    ed_attack_figure("T31 %d s unread, %llu datagrams from %d peers: %llu KiB of heap, %llu shed; "
                     "%u ends were heard",
                     CROWD_S, (unsigned long long)stats.received_datagrams, CROWD,
                     (unsigned long long)most >> 10,
                     (unsigned long long)stats.messages_shed_received, the_server.disconnected);
    CHECK_EQ("each end was heard", the_server.disconnected, CROWD);
    CHECK("the heap is bounded", most <= allowed(&config, CROWD));
    CHECK("and does not grow any more", most <= half + half / 10);
    disperse();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t31_who_does_not_read_is_not_drowned),
        cmocka_unit_test(t31_a_thousand_who_are_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
