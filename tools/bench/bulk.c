/**
 * L3: a bulk transfer through a bottleneck, in virtual time: how much of what the path delivers it
 * uses, and what queue it makes on the way.
 */
#include "tools/bench/bulk.h"

#include <stdio.h>

enum {
    RATE_BPS = 20 * 1000 * 1000,
    QUEUE_SIZE = 100 * 1000,
    OVERHEAD_SIZE = 28, /* of IPv4 and UDP */
    MTU = 1500,         /* of Ethernet, these included */
    BUDGET = 64 << 20,
    LOOKS_MAX = ED_BULK_LIMIT_S * 1000,
    WHOLE_PPM = 1000 * 1000,
};

ed_link_config ed_bulk_path(const ed_bench_plan *plan)
{
    ed_link_config path = ed_pair_path(plan);

    path.rate_bps = RATE_BPS;
    path.queue_size = QUEUE_SIZE;
    path.overhead_size = OVERHEAD_SIZE;
    path.mtu = MTU - OVERHEAD_SIZE;
    path.window_count = plan->cut_ms > 0 ? 1 : 0;
    path.windows[0] = (ed_window){.from_ns = plan->cut_ms * ED_NS_PER_MS, .until_ns = ED_NEVER_NS};
    return path;
}

eddy_config ed_bulk_config(eddy_congestion congestion)
{
    eddy_config config = eddy_config_default();

    config.congestion = congestion;
    config.max_connections = 1;
    config.connection_send_budget = BUDGET / 2;
    config.send_budget = BUDGET;
    config.receive_budget = BUDGET;
    return config;
}

bool ed_bulk_open(ed_bulk *bulk, ed_pair *pair)
{
    *bulk = (ed_bulk){.pair = pair, .begin_ns = ed_world_now_ns(pair->world)};
    return ed_delays_open(&bulk->queue, LOOKS_MAX);
}

void ed_bulk_close(ed_bulk *bulk)
{
    ed_delays_close(&bulk->queue);
}

bool ed_bulk_goes_on(const ed_bulk *bulk)
{
    return bulk->came < ED_BULK_COUNT && ed_pair_connected(bulk->pair) &&
           bulk->queue.count < LOOKS_MAX;
}

void ed_bulk_offer(ed_bulk *bulk)
{
    static const uint8_t data[ED_BULK_SIZE];
    ed_pair_end *client = &bulk->pair->ends[ED_PAIR_CLIENT];

    while (bulk->sent < ED_BULK_COUNT &&
           ed_pair_send(client, EDDY_RELIABLE_ORDERED, ED_BULK_STREAM, data, sizeof(data)))
        bulk->sent++;
}

void ed_bulk_take(ed_bulk *bulk, uint64_t now_ns)
{
    bulk->came++;
    bulk->last_ns = now_ns;
}

void ed_bulk_look(ed_bulk *bulk)
{
    uint64_t now_ns = ed_world_now_ns(bulk->pair->world);

    ed_delays_add(&bulk->queue, ed_link_queue_ns(ed_pair_link(bulk->pair), now_ns));
}

const char *ed_bulk_failed(const ed_bulk *bulk)
{
    if (bulk->came == 0)
        return "nothing came";
    if (bulk->came < ED_BULK_COUNT && !ed_pair_connected(bulk->pair))
        return "the connection was lost";
    return NULL;
}

double ed_bulk_share(const ed_bulk *bulk, const ed_bench_plan *plan)
{
    // Who is not done had the whole limit, however early the last came.
    uint64_t end_ns =
        bulk->came < ED_BULK_COUNT ? bulk->begin_ns + ED_BULK_LIMIT_S * ED_NS_PER_S : bulk->last_ns;
    double seconds = (double)(end_ns - bulk->begin_ns) / (double)ED_NS_PER_S;
    double path = RATE_BPS / 8.0 * (WHOLE_PPM - plan->loss_ppm) / WHOLE_PPM;

    return 100 * (double)bulk->came * ED_BULK_SIZE / seconds / path;
}

/* ---------------------------------------------------------------------------------------- L3 -- */

static void hear(void *context, ed_pair_end *end, const eddy_event *event, uint64_t now_ns)
{
    (void)end;
    (void)event;
    ed_bulk_take(context, now_ns);
}

static void transfer(ed_bulk *bulk, const ed_bench_plan *plan, const char *name)
{
    while (ed_bulk_goes_on(bulk)) {
        ed_bulk_offer(bulk);
        uint64_t now_ns = ed_world_now_ns(bulk->pair->world) + ED_NS_PER_MS;
        ed_world_run_until(bulk->pair->world, now_ns);
        ed_bulk_look(bulk);
        ed_series_note(plan, name, now_ns - bulk->begin_ns,
                       bulk->queue.at_ns[bulk->queue.count - 1]);
    }
}

static void tell(ed_bench_result *result, ed_bulk *bulk, const ed_bench_plan *plan)
{
    const char *failed = ed_bulk_failed(bulk);

    if (failed != NULL) {
        snprintf(result->error, sizeof(result->error), "%s", failed);
        return;
    }
    ed_delays_sort(&bulk->queue);
    result->figures[0] = ed_bulk_share(bulk, plan);
    result->figures[1] = ed_delays_ms(&bulk->queue, 950);
    result->figures[2] = ed_delays_ms(&bulk->queue, 990);
    result->figures[3] = (double)ed_link_get_stats(ed_pair_link(bulk->pair)).queue_dropped;
}

void ed_bench_run_bulk(ed_bench_result *result, const ed_bench_work *work,
                       const ed_bench_system *system, const ed_bench_plan *plan)
{
    ed_bulk bulk = {0};
    ed_pair pair = {.message = hear, .context = &bulk};
    bool is_reno = system == &ed_bench_eddy_reno;
    eddy_config config = ed_bulk_config(is_reno ? EDDY_CONGESTION_NEW_RENO : EDDY_CONGESTION_MODEL);
    ed_link_config path = ed_bulk_path(plan);

    (void)work;
    *result = (ed_bench_result){.error = ""};
    if (ed_pair_open(&pair, &config, &path, plan->seed) && ed_bulk_open(&bulk, &pair)) {
        transfer(&bulk, plan, system->name);
        tell(result, &bulk, plan);
    } else {
        snprintf(result->error, sizeof(result->error), "no connection over this path");
    }
    ed_bulk_close(&bulk);
    ed_pair_close(&pair);
}

const ed_bench_system ed_bench_eddy_reno = {.name = "new-reno",
                                            .help = "L3: eddy with NewReno in place of the model"};
