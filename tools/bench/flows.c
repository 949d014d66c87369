/**
 * L3-flows: two flows of eddy through one bottleneck, in virtual time. The second begins when the
 * first has the path for itself; how they share is asked once it had some seconds for its part.
 */
#include <stdio.h>

#include "core/alloc.h"
#include "tools/bench/bulk.h"

enum {
    FLOWS = 2,
    CONNECT_S = 5,
    ALONE_S = 10, /* the first has the path */
    LATE_S = 5,   /* for the second to get its part */
    MEASURE_S = 30,
    STEP_MS = 1, /* less than the path's delay: what is sent in a step comes in a later one */
    BATCH = 64,
    LOOKS_PER_S = 1000,
    HOST = 3, /* the byte of an address that tells client and server apart */
    BITS = 8,
    PERCENT = 100,
};

struct flow {
    ed_pair pair;
    uint64_t size; /* bytes that came */
    bool is_sending;
};

struct flows {
    ed_world *world;
    ed_link_config path;
    ed_link *links[ED_PAIR_SIDES]; /* towards the client, and towards the server */
    struct flow flows[FLOWS];
    ed_delays queue; /* a look each ms, once there is room for it */
    uint64_t looked_ns;
};

/* ------------------------------------------------------------------------------------ the path --
 */

/** All that is sent goes through the one link of its direction, and not through the world's. */
static bool into_path(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    struct flows *flows = context;

    (void)ed_link_push(flows->links[datagram->remote.ip[HOST] - 1], datagram, now_ns);
    return true;
}

static void out_of_path(struct flows *flows, uint64_t now_ns)
{
    eddy_datagram datagrams[BATCH];
    size_t count;

    for (size_t side = 0; side < ED_PAIR_SIDES; side++)
        while ((count = ed_link_pull(flows->links[side], now_ns, datagrams, BATCH)) > 0)
            for (size_t i = 0; i < count; i++)
                (void)ed_world_forge(flows->world, &datagrams[i]);
}

static void look(struct flows *flows, uint64_t now_ns)
{
    if (flows->queue.at_ns == NULL || now_ns - flows->looked_ns < ED_NS_PER_MS)
        return;
    flows->looked_ns = now_ns;
    ed_delays_add(&flows->queue, ed_link_queue_ns(flows->links[ED_PAIR_SERVER], now_ns));
}

static void offer(struct flow *flow)
{
    static const uint8_t data[ED_BULK_SIZE];
    ed_pair_end *client = &flow->pair.ends[ED_PAIR_CLIENT];

    while (flow->is_sending &&
           ed_pair_send(client, EDDY_RELIABLE_ORDERED, ED_BULK_STREAM, data, sizeof(data)))
        continue;
}

static void pass(struct flows *flows, uint64_t duration_ns)
{
    uint64_t now_ns = ed_world_now_ns(flows->world), until_ns = now_ns + duration_ns;

    while (now_ns < until_ns) {
        for (size_t i = 0; i < FLOWS; i++)
            offer(&flows->flows[i]);
        now_ns = ed_min_u64(now_ns + STEP_MS * ED_NS_PER_MS, until_ns);
        for (size_t side = 0; side < ED_PAIR_SIDES; side++)
            now_ns = ed_min_u64(now_ns, ed_link_next_ns(flows->links[side]));
        ed_world_run_until(flows->world, now_ns);
        out_of_path(flows, now_ns);
        look(flows, now_ns);
    }
}

/* --------------------------------------------------------------------------------------- a run --
 */

static void hear(void *context, ed_pair_end *end, const eddy_event *event, uint64_t now_ns)
{
    struct flow *flow = context;

    (void)end;
    (void)now_ns;
    flow->size += event->message.size;
}

static bool are_connected(const struct flows *flows)
{
    return ed_pair_connected(&flows->flows[0].pair) && ed_pair_connected(&flows->flows[1].pair);
}

static bool open_flows(struct flows *flows, const ed_bench_plan *plan, const eddy_config *config)
{
    flows->path = ed_bulk_path(plan);
    flows->world = ed_world_create(ed_alloc_default(), plan->seed);
    if (flows->world == NULL)
        return false;
    for (uint32_t side = 0; side < ED_PAIR_SIDES; side++) {
        flows->links[side] = ed_link_create(ed_alloc_default(), &flows->path, plan->seed, 0, side);
        if (flows->links[side] == NULL)
            return false;
    }
    ed_world_observe(flows->world, into_path, flows);
    for (uint8_t i = 0; i < FLOWS; i++) {
        struct flow *flow = &flows->flows[i];
        flow->pair.message = hear;
        flow->pair.context = flow;
        if (!ed_pair_join(&flow->pair, flows->world, i, config))
            return false;
    }
    pass(flows, CONNECT_S * ED_NS_PER_S);
    return are_connected(flows);
}

static void close_flows(struct flows *flows)
{
    for (size_t i = 0; i < FLOWS; i++)
        ed_pair_leave(&flows->flows[i].pair);
    ed_world_destroy(flows->world);
    for (size_t side = 0; side < ED_PAIR_SIDES; side++)
        ed_link_destroy(flows->links[side]);
    ed_delays_close(&flows->queue);
}

/** @param a,b what came of the two while it was measured */
static void tell(ed_bench_result *result, struct flows *flows, const ed_bench_plan *plan, double a,
                 double b)
{
    const double deliverable = (1e6 - plan->loss_ppm) / 1e6;

    if (!are_connected(flows) || a == 0 || b == 0) {
        snprintf(result->error, sizeof(result->error), "%s",
                 are_connected(flows) ? "nothing came of one" : "a connection was lost");
        return;
    }
    ed_delays_sort(&flows->queue);
    result->figures[0] = 2 * PERCENT * (a > b ? a - b : b - a) / (a + b);
    result->figures[1] =
        PERCENT * (a + b) * BITS / ((double)flows->path.rate_bps * MEASURE_S * deliverable);
    result->figures[2] = ed_delays_ms(&flows->queue, 950);
    result->figures[3] = (double)ed_link_get_stats(flows->links[ED_PAIR_SERVER]).queue_dropped;
}

static void measure(ed_bench_result *result, struct flows *flows, const ed_bench_plan *plan)
{
    struct flow *first = &flows->flows[0], *second = &flows->flows[1];

    first->is_sending = true;
    pass(flows, ALONE_S * ED_NS_PER_S);
    second->is_sending = true;
    pass(flows, LATE_S * ED_NS_PER_S);
    uint64_t first_size = first->size, second_size = second->size;
    if (!ed_delays_open(&flows->queue, MEASURE_S * LOOKS_PER_S)) {
        snprintf(result->error, sizeof(result->error), "no memory");
        return;
    }
    pass(flows, MEASURE_S * ED_NS_PER_S);
    tell(result, flows, plan, (double)(first->size - first_size),
         (double)(second->size - second_size));
}

void ed_bench_run_flows(ed_bench_result *result, const ed_bench_work *work,
                        const ed_bench_system *system, const ed_bench_plan *plan)
{
    struct flows flows = {0};
    bool is_reno = system == &ed_bench_eddy_reno;
    eddy_config config = ed_bulk_config(is_reno ? EDDY_CONGESTION_NEW_RENO : EDDY_CONGESTION_MODEL);

    (void)work;
    *result = (ed_bench_result){.error = ""};
    if (open_flows(&flows, plan, &config))
        measure(result, &flows, plan);
    else
        snprintf(result->error, sizeof(result->error), "no connections over this path");
    close_flows(&flows);
}
