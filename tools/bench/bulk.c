/**
 * L3: a bulk transfer through a bottleneck, in virtual time: how much of what the path delivers it
 * uses, and what queue it makes on the way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "sim/world.h"
#include "tools/bench/bench.h"

enum {
    BULK_SIZE = 16 << 10,
    BULK_COUNT = 1280, /* 20 MiB */
    BULK_RATE_BPS = 20 * 1000 * 1000,
    BULK_QUEUE_SIZE = 100 * 1000,
    BULK_OVERHEAD_SIZE = 28, /* of IPv4 and UDP */
    BULK_MTU = 1500,         /* of Ethernet, these included */
    BULK_LIMIT_S = 120,
    BULK_BUDGET = 64 << 20,
    LOOKS_MAX = BULK_LIMIT_S * 1000,
    WHOLE_PPM = 1000 * 1000,
};

struct bulk_end {
    struct bulk *bulk;
    ed_host *host;
    eddy_socket socket;
    eddy_entropy entropy;
    eddy_manager *manager;
    eddy_connection connection;
};

struct bulk {
    ed_world *world;
    struct bulk_end client;
    struct bulk_end server;
    uint64_t sent;
    uint64_t came;
    uint64_t last_ns;
    size_t looks; /* at the queue, one a ms */
    uint64_t queue_ns[LOOKS_MAX];
};

static uint64_t run_end(void *context, uint64_t now_ns)
{
    struct bulk_end *end = context;
    uint64_t next_ns = eddy_poll(end->manager, now_ns);
    eddy_event event;

    while (eddy_next(end->manager, &event, 0) == EDDY_OK) {
        if (event.type == EDDY_CONNECTED)
            end->connection = event.connection;
        if (event.type == EDDY_MESSAGE) {
            end->bulk->came++;
            end->bulk->last_ns = now_ns;
        }
        eddy_release(end->manager, &event);
    }
    return ed_min_u64(next_ns, eddy_poll(end->manager, now_ns)); // what was given back is credit
}

static bool open_end(struct bulk *bulk, struct bulk_end *end, uint8_t number, eddy_config config)
{
    eddy_address address = {.family = EDDY_FAMILY_IPV4, .ip = {10, 0, 0, number}, .port = 4000};

    end->bulk = bulk;
    end->host = ed_world_socket(bulk->world, &address, &end->socket);
    if (end->host == NULL)
        return false;
    end->entropy = ed_world_entropy(bulk->world, end->host);
    config.socket = &end->socket;
    config.entropy = &end->entropy;
    config.pump = false;
    config.connection_send_budget = BULK_BUDGET / 2;
    config.send_budget = BULK_BUDGET;
    config.receive_budget = BULK_BUDGET;
    if (eddy_open(&end->manager, &config) != EDDY_OK)
        return false;
    ed_world_attach(bulk->world, end->host, run_end, end);
    return true;
}

static ed_link_config path_of(const ed_bench_plan *plan)
{
    ed_link_config path = ed_link_config_default();

    path.delay_ns = plan->rtt_us * ED_NS_PER_US / 2;
    path.loss_ppm = plan->loss_ppm;
    path.rate_bps = BULK_RATE_BPS;
    path.queue_size = BULK_QUEUE_SIZE;
    path.overhead_size = BULK_OVERHEAD_SIZE;
    path.mtu = BULK_MTU - BULK_OVERHEAD_SIZE;
    return path;
}

static bool open_bulk(struct bulk *bulk, const ed_bench_plan *plan)
{
    eddy_config client = eddy_config_default(), server = client;
    ed_link_config path = path_of(plan);

    bulk->world = ed_world_create(ed_alloc_default(), plan->seed);
    client.congestion = plan->congestion;
    server.accept = true;
    server.max_connections = 1;
    if (bulk->world == NULL || ed_world_set_link(bulk->world, NULL, NULL, &path) != EDDY_OK ||
        !open_end(bulk, &bulk->server, 2, server) || !open_end(bulk, &bulk->client, 1, client))
        return false;
    eddy_key key = eddy_public_key(bulk->server.manager);
    eddy_connect_options options = {.server_key = &key};
    eddy_address address = eddy_local_address(bulk->server.manager);
    if (eddy_connect_address(bulk->client.manager, &address, &options, &bulk->client.connection) !=
        EDDY_OK)
        return false;
    ed_world_touch(bulk->world, bulk->client.host);
    ed_world_run_until(bulk->world, 10 * ED_NS_PER_S);
    return bulk->server.connection != 0;
}

static void offer(struct bulk *bulk)
{
    static const uint8_t data[BULK_SIZE];

    while (bulk->sent < BULK_COUNT &&
           eddy_send(bulk->client.manager, bulk->client.connection, EDDY_RELIABLE_ORDERED, 0, data,
                     sizeof(data)) == EDDY_OK)
        bulk->sent++;
    ed_world_touch(bulk->world, bulk->client.host);
}

/** @return when it began. */
static uint64_t transfer(struct bulk *bulk)
{
    uint64_t begin_ns = ed_world_now_ns(bulk->world), now_ns = begin_ns;

    while (bulk->came < BULK_COUNT && bulk->looks < LOOKS_MAX) {
        offer(bulk);
        now_ns += ED_NS_PER_MS;
        ed_world_run_until(bulk->world, now_ns);
        const ed_link *link = ed_world_link(bulk->world, bulk->client.host, bulk->server.host);
        bulk->queue_ns[bulk->looks++] = ed_link_queue_ns(link, now_ns);
    }
    return begin_ns;
}

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

    return (first > second) - (first < second);
}

static void tell(ed_bench_result *result, struct bulk *bulk, const ed_bench_plan *plan,
                 uint64_t begin_ns)
{
    // Who is not done within the limit has used what it has used.
    double seconds = (double)(bulk->last_ns - begin_ns) / (double)ED_NS_PER_S;
    double path = BULK_RATE_BPS / 8.0 * (WHOLE_PPM - plan->loss_ppm) / WHOLE_PPM;
    const ed_link *link = ed_world_link(bulk->world, bulk->client.host, bulk->server.host);

    if (bulk->came == 0) {
        snprintf(result->error, sizeof(result->error), "nothing came");
        return;
    }
    qsort(bulk->queue_ns, bulk->looks, sizeof(bulk->queue_ns[0]), compare);
    result->figures[0] = 100 * (double)bulk->came * BULK_SIZE / seconds / path;
    result->figures[1] = (double)bulk->queue_ns[bulk->looks * 95 / 100] / (double)ED_NS_PER_MS;
    result->figures[2] = (double)bulk->queue_ns[bulk->looks * 99 / 100] / (double)ED_NS_PER_MS;
    result->figures[3] = (double)ed_link_get_stats(link).queue_dropped;
}

void ed_bench_run_bulk(ed_bench_result *result, const ed_bench_work *work,
                       const ed_bench_system *system, const ed_bench_plan *plan)
{
    static struct bulk bulk;
    ed_bench_plan own = *plan;

    (void)work;
    own.congestion =
        system == &ed_bench_eddy_reno ? EDDY_CONGESTION_NEW_RENO : EDDY_CONGESTION_MODEL;
    *result = (ed_bench_result){.error = ""};
    bulk = (struct bulk){0};
    if (open_bulk(&bulk, &own))
        tell(result, &bulk, &own, transfer(&bulk));
    else
        snprintf(result->error, sizeof(result->error), "no connection over this path");
    (void)eddy_close(bulk.client.manager, 0);
    (void)eddy_close(bulk.server.manager, 0);
    ed_world_destroy(bulk.world);
}

const ed_bench_system ed_bench_eddy_reno = {.name = "new-reno",
                                            .help = "L3: eddy with NewReno in place of the model"};
