/** A program that does not read, and peers that all send what they can (T31). */
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/weather.h"

enum {
    PEERS = 20,
    RECEIVE_BUDGET = 2 << 20,
    ANY_BUDGET = 256 << 20,
    TICK_MS = 10,
    EACH = 5, /* messages of one peer in a tick */
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
    cluster.sizes = (ed_sizes){1000, 1000};
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
    uint64_t ticks = ed_attack_count(200, 6 * 1000), most = 0;

    (void)context;
    open_all();
    ed_node *server = &cluster.nodes[0];
    server->is_reading = false;
    server->has_paused = true;
    for (uint64_t i = 0; i < 10; i++) {
        talk(ticks / 10);
        most = ed_max_u64(most, server->memory.live_size);
    }
    eddy_stats stats = ed_node_stats(server);
    CHECK("it was too much", has_no_budget || stats.messages_shed_received > 0);
    bool heard = every_end_is_heard();
    ed_attack_figure(
        "T31 %llu s unread, %llu messages from %d peers: %llu KiB of heap, %llu shed; "
        "each end was heard",
        (unsigned long long)ticks * TICK_MS / 1000, (unsigned long long)stats.received_datagrams,
        PEERS, (unsigned long long)most >> 10, (unsigned long long)stats.messages_shed_received);
    ed_cluster_close(&cluster);
    return heard && most <= ed_memory_allowed(&config, PEERS) - config.send_budget;
}

static void t31_who_does_not_read_is_not_drowned(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){
        .name = "T31 unread", .mount = what_is_not_read_is_bounded, .weaken = drop_budget});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(t31_who_does_not_read_is_not_drowned)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
