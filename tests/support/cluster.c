#include "tests/support/cluster.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/addr.h"
#include "tests/support/check.h"

enum {
    PORT = 4000,
    CONNECT_LIMIT_S = 5,
    LOOK_EVERY_MS = 10, /* comparing all counts after every step would cost more than the steps */
};

void ed_cluster_open(ed_cluster *cluster, const char *name, uint64_t seed)
{
    *cluster = (ed_cluster){
        .name = name, .oracle.name = name, .sizes = {.min = 0, .max = EDDY_PIECE_SIZE_MAX}};
    cluster->world = ed_world_create(ed_alloc_default(), seed);
    CHECK(name, cluster->world != NULL);
}

void ed_cluster_close(ed_cluster *cluster)
{
    for (size_t i = 0; i < cluster->node_count; i++) {
        ed_node_crash(&cluster->nodes[i]);
        for (size_t e = 0; e < cluster->nodes[i].endpoint_count; e++)
            ed_endpoint_free(&cluster->nodes[i].endpoints[e]);
        free(cluster->nodes[i].endpoints);
    }
    free(cluster->data);
    ed_world_destroy(cluster->world);
}

ed_node *ed_cluster_add(ed_cluster *cluster, const eddy_config *config)
{
    CHECK(cluster->name, cluster->node_count < ED_CLUSTER_NODES_MAX);
    ed_node *node = &cluster->nodes[cluster->node_count++];

    *node = (ed_node){.cluster = cluster,
                      .config = *config,
                      .address = ed_addr_ipv4(10, 0, 0, (uint8_t)cluster->node_count, PORT),
                      .is_reading = true};
    node->endpoints = calloc(ED_NODE_ENDPOINTS_MAX, sizeof(*node->endpoints));
    CHECK(cluster->name, node->endpoints != NULL);
    ed_counting_alloc_init(&node->memory, cluster->allocator);
    CHECK_EQ(cluster->name, ed_node_start(node), EDDY_OK);
    return node;
}

void ed_cluster_add_pair(ed_cluster *cluster, const eddy_config *server, const eddy_config *client)
{
    const ed_node *to = ed_cluster_add(cluster, server);
    ed_node *from = ed_cluster_add(cluster, client);
    const ed_endpoint *endpoint = ed_node_connect(from, to);

    ed_cluster_await_connected(cluster, endpoint, CONNECT_LIMIT_S * ED_NS_PER_S);
    // The server is connected when the client's first packet has come.
    while (to->endpoint_count == 0)
        CHECK(cluster->name, ed_world_step(cluster->world));
}

uint64_t ed_cluster_now_ns(const ed_cluster *cluster)
{
    return ed_world_now_ns(cluster->world);
}

void ed_cluster_run_for(ed_cluster *cluster, uint64_t duration_ns)
{
    ed_world_run_until(cluster->world, ed_cluster_now_ns(cluster) + duration_ns);
}

bool ed_cluster_run_until(ed_cluster *cluster, bool (*is_done)(const void *context),
                          const void *context, uint64_t limit_ns)
{
    uint64_t until_ns = ed_cluster_now_ns(cluster) + limit_ns;

    while (!is_done(context)) {
        if (ed_world_next_ns(cluster->world) > until_ns)
            return false;
        (void)ed_world_step(cluster->world);
    }
    return true;
}

static bool has_connected(const void *context)
{
    const ed_endpoint *endpoint = context;

    return endpoint->connected || endpoint->disconnected;
}

static bool has_disconnected(const void *context)
{
    return ((const ed_endpoint *)context)->disconnected;
}

void ed_cluster_await_connected(ed_cluster *cluster, const ed_endpoint *endpoint, uint64_t limit_ns)
{
    CHECK(cluster->name, ed_cluster_run_until(cluster, has_connected, endpoint, limit_ns));
    CHECK(cluster->name, endpoint->connected);
}

void ed_cluster_await_disconnected(ed_cluster *cluster, const ed_endpoint *endpoint,
                                   uint64_t limit_ns)
{
    CHECK(cluster->name, ed_cluster_run_until(cluster, has_disconnected, endpoint, limit_ns));
}

static bool has_live_peer(const ed_cluster *cluster, const ed_endpoint *endpoint)
{
    const ed_endpoint *peer = endpoint->peer;

    return peer != NULL && ed_node_is_live(&cluster->nodes[peer->node], peer);
}

static bool is_delivered(const ed_node *node, const ed_endpoint *from)
{
    if (!ed_node_is_live(node, from) || !ed_endpoint_owes(from))
        return true;
    return from->peer != NULL && from->peer->disconnected;
}

bool ed_cluster_all_delivered(const ed_cluster *cluster)
{
    for (size_t n = 0; n < cluster->node_count; n++)
        for (size_t i = 0; i < cluster->nodes[n].endpoint_count; i++)
            if (!is_delivered(&cluster->nodes[n], &cluster->nodes[n].endpoints[i]))
                return false;
    return true;
}

static void print_endpoint(const ed_node *node, const ed_endpoint *endpoint)
{
    (void)printf("node %u, %s %u%s%s: owes %llu%s, sent %llu reliable, refused %llu times%s\n",
                 endpoint->node, endpoint->incoming ? "from" : "to",
                 endpoint->peer == NULL ? UINT32_MAX : endpoint->peer->node,
                 endpoint->connected ? "" : ", not connected", node->is_reading ? "" : ", unread",
                 (unsigned long long)endpoint->owed, ed_endpoint_owes(endpoint) ? "!" : "",
                 (unsigned long long)endpoint->reliable_sent,
                 (unsigned long long)endpoint->refusals,
                 endpoint->awaits_writable ? ", and waits" : "");
}

void ed_cluster_print(const ed_cluster *cluster)
{
    for (size_t n = 0; n < cluster->node_count; n++)
        for (size_t i = 0; i < cluster->nodes[n].endpoint_count; i++)
            if (ed_node_is_live(&cluster->nodes[n], &cluster->nodes[n].endpoints[i]))
                print_endpoint(&cluster->nodes[n], &cluster->nodes[n].endpoints[i]);
}

void ed_cluster_await_delivered(ed_cluster *cluster, uint64_t limit_ns)
{
    uint64_t until_ns = ed_cluster_now_ns(cluster) + limit_ns;

    while (!ed_cluster_all_delivered(cluster)) {
        CHECK(cluster->name, ed_cluster_now_ns(cluster) < until_ns);
        ed_cluster_run_for(cluster, LOOK_EVERY_MS * ED_NS_PER_MS);
    }
}

void ed_cluster_check_settled(ed_cluster *cluster)
{
    ed_unheard unheard = {0};

    for (size_t n = 0; n < cluster->node_count; n++)
        for (size_t i = 0; i < cluster->nodes[n].endpoint_count; i++) {
            const ed_endpoint *endpoint = &cluster->nodes[n].endpoints[i];
            if (ed_node_is_live(&cluster->nodes[n], endpoint) && has_live_peer(cluster, endpoint))
                ed_endpoint_check_settled(endpoint, &unheard);
        }
    eddy_stats stats = ed_cluster_stats(cluster);
    CHECK(cluster->name, unheard.sequenced <= stats.messages_stale);
    CHECK(cluster->name, unheard.unreliable <= stats.messages_stale + stats.messages_shed_received +
                                                   stats.messages_incomplete +
                                                   stats.dropped_memory);
}

static bool all_over(const void *context)
{
    const ed_cluster *cluster = context;

    for (size_t i = 0; i < cluster->node_count; i++)
        if (cluster->nodes[i].manager != NULL && !cluster->nodes[i].is_over)
            return false;
    return true;
}

void ed_cluster_shut_down(ed_cluster *cluster, uint32_t flush_ms, uint64_t limit_ns)
{
    for (size_t i = 0; i < cluster->node_count; i++)
        if (cluster->nodes[i].manager != NULL)
            ed_node_shutdown(&cluster->nodes[i], flush_ms);
    CHECK(cluster->name, ed_cluster_run_until(cluster, all_over, cluster, limit_ns));
    for (size_t n = 0; n < cluster->node_count; n++)
        for (size_t i = cluster->nodes[n].earlier_count; i < cluster->nodes[n].endpoint_count; i++)
            CHECK(cluster->name,
                  cluster->nodes[n].manager == NULL || cluster->nodes[n].endpoints[i].disconnected);
}

void ed_stats_add(eddy_stats *total, const eddy_stats *stats)
{
#define X(name, text) total->name += stats->name;
    EDDY_STATS_MAP(X)
#undef X
}

eddy_stats ed_cluster_stats(const ed_cluster *cluster)
{
    eddy_stats total = {0};

    for (size_t i = 0; i < cluster->node_count; i++) {
        eddy_stats stats = ed_node_stats(&cluster->nodes[i]);
        ed_stats_add(&total, &stats);
        ed_stats_add(&total, &cluster->nodes[i].earlier);
    }
    return total;
}
