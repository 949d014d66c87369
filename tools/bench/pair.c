#include "tools/bench/pair.h"

#include "core/alloc.h"

enum {
    SETTLE_S = 15,
    BURST_LOSS_PPM = 1000 * 1000,
    PORT = 4000,
    EVENTS = 64,
};

ed_link_config ed_pair_path(const ed_bench_plan *plan)
{
    ed_link_config config = ed_link_config_default();

    config.delay_ns = plan->rtt_us * ED_NS_PER_US / 2;
    if (plan->burst == 0) {
        config.loss_ppm = plan->loss_ppm;
        return config;
    }
    // A burst takes 1 / r datagrams, and p / (p + r) of them all are in one.
    config.burst_end_ppm = BURST_LOSS_PPM / plan->burst;
    config.burst_start_ppm = (uint32_t)((uint64_t)config.burst_end_ppm * plan->loss_ppm /
                                        (BURST_LOSS_PPM - plan->loss_ppm));
    config.burst_loss_ppm = BURST_LOSS_PPM;
    return config;
}

static void take(ed_pair_end *end, const eddy_event *event, uint64_t now_ns)
{
    ed_pair *pair = end->pair;

    if (event->type == EDDY_CONNECTED)
        end->connection = event->connection;
    if (event->type == EDDY_DISCONNECTED)
        end->connection = 0;
    if (event->type == EDDY_MESSAGE)
        pair->message(pair->context, end, event, now_ns);
}

static uint64_t run_end(void *context, uint64_t now_ns)
{
    ed_pair_end *end = context;
    uint64_t next_ns = eddy_poll(end->manager, now_ns);
    eddy_event events[EVENTS];
    bool any = false;
    size_t count = 0;

    while ((count = eddy_next_batch(end->manager, events, EVENTS)) > 0) {
        for (size_t i = 0; i < count; i++)
            take(end, &events[i], now_ns);
        eddy_release_batch(end->manager, events, count);
        any = true;
    }
    // What was given back is credit.
    return any ? ed_min_u64(next_ns, eddy_poll(end->manager, now_ns)) : next_ns;
}

static bool open_end(ed_pair *pair, ed_pair_side side, eddy_config config)
{
    ed_pair_end *end = &pair->ends[side];
    eddy_address address = {
        .family = EDDY_FAMILY_IPV4, .ip = {10, 0, pair->number, (uint8_t)(side + 1)}, .port = PORT};

    end->pair = pair;
    end->host = ed_world_socket(pair->world, &address, &end->socket);
    if (end->host == NULL)
        return false;
    end->entropy = ed_world_entropy(pair->world, end->host);
    config.socket = &end->socket;
    config.entropy = &end->entropy;
    config.accept = side == ED_PAIR_SERVER;
    config.pump = false;
    if (eddy_open(&end->manager, &config) != EDDY_OK)
        return false;
    ed_world_attach(pair->world, end->host, run_end, end);
    return true;
}

bool ed_pair_join(ed_pair *pair, ed_world *world, uint8_t number, const eddy_config *config)
{
    ed_pair_end *client = &pair->ends[ED_PAIR_CLIENT], *server = &pair->ends[ED_PAIR_SERVER];

    pair->world = world;
    pair->number = number;
    if (!open_end(pair, ED_PAIR_CLIENT, *config) || !open_end(pair, ED_PAIR_SERVER, *config))
        return false;
    eddy_key key = eddy_public_key(server->manager);
    eddy_connect_options options = {.server_key = &key};
    eddy_address address = eddy_local_address(server->manager);
    if (eddy_connect_address(client->manager, &address, &options, &client->connection) != EDDY_OK)
        return false;
    ed_world_touch(world, client->host);
    return true;
}

bool ed_pair_open(ed_pair *pair, const eddy_config *config, const ed_link_config *path,
                  uint64_t seed)
{
    ed_world *world = ed_world_create(ed_alloc_default(), seed);

    pair->world = world;
    if (world == NULL || ed_world_set_link(world, NULL, NULL, path) != EDDY_OK ||
        !ed_pair_join(pair, world, 0, config))
        return false;
    ed_world_run_until(world, SETTLE_S * ED_NS_PER_S);
    return ed_pair_connected(pair);
}

bool ed_pair_connected(const ed_pair *pair)
{
    return pair->ends[ED_PAIR_CLIENT].connection != 0 && pair->ends[ED_PAIR_SERVER].connection != 0;
}

void ed_pair_leave(ed_pair *pair)
{
    for (size_t i = 0; i < ED_PAIR_SIDES; i++)
        (void)eddy_close(pair->ends[i].manager, 0);
}

void ed_pair_close(ed_pair *pair)
{
    ed_pair_leave(pair);
    ed_world_destroy(pair->world);
}

bool ed_pair_send(ed_pair_end *end, eddy_guarantee guarantee, uint8_t stream, const void *data,
                  size_t size)
{
    eddy_status status = eddy_send(end->manager, end->connection, guarantee, stream, data, size);

    ed_world_touch(end->pair->world, end->host);
    return status == EDDY_OK;
}

const ed_link *ed_pair_link(const ed_pair *pair)
{
    return ed_world_link(pair->world, pair->ends[ED_PAIR_CLIENT].host,
                         pair->ends[ED_PAIR_SERVER].host);
}
