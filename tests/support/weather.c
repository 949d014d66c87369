#include "tests/support/weather.h"

#include "core/budget.h"

enum {
    SIZES = EDDY_DATAGRAM_SIZE_MAX - EDDY_DATAGRAM_SIZE_MIN + 1, /* of datagrams */
    SIZE_MAX_LARGE = 64 * 1024,
    SIZE_MAX_SMALL = 4 * 1024, /* where the budgets are the smallest possible */
    BUDGET_MIN = 64 * 1024,
    BUDGET_CONNECTION = 25 * 1000, /* enough, says eddy.h */
    CONNECTIONS_MAX = 12,          /* all clients, and what is left of those that crashed */
    PARTITION_MAX_MS = 3000,
    OUTAGE_MAX_MS = 15 * 1000, /* longer than any idle timeout */
    EXPIRE_MAX_MS = 2000,
};

uint32_t ed_draw_sometimes(ed_rng *rng, uint32_t one_in, uint32_t limit)
{
    bool now = ed_rng_below(rng, one_in) == 0;
    uint32_t value = (uint32_t)ed_rng_below(rng, limit);

    return now ? value : 0;
}

static bool one_in(ed_rng *rng, uint32_t count)
{
    return ed_rng_below(rng, count) == 0;
}

/* ---------------------------------------------------------------------------- configuration -- */

ed_climate ed_draw_climate(ed_rng *rng)
{
    ed_climate climate = {.size_max = one_in(rng, 4) ? SIZE_MAX_SMALL : SIZE_MAX_LARGE,
                          .idle_timeout_ms = 4000 + (uint32_t)ed_rng_below(rng, 6000)};

    for (size_t i = 1; i < ED_DRAWN_STREAMS; i++) // and stream 0, which is kept apart
        climate.streams[i] = (uint8_t)ed_rng_below(rng, ED_BROADCAST_STREAM);
    return climate;
}

static void shrink_receive(ed_rng *rng, eddy_config *config)
{
    size_t connections = config->max_outgoing + (config->accept ? config->max_connections : 0);
    size_t least = BUDGET_MIN + 4 * config->max_message_size + connections * BUDGET_CONNECTION;

    config->receive_budget = least + (size_t)ed_rng_below(rng, least);
    config->unreliable_budget = ed_min_size(config->unreliable_budget, config->receive_budget);
}

static void shrink_send(ed_rng *rng, eddy_config *config)
{
    size_t least = ed_max_u64(BUDGET_MIN, 2 * config->max_message_size);

    config->send_budget = least + (size_t)ed_rng_below(rng, least);
    config->connection_send_budget = least / 2 + ed_send_cost(config->max_message_size);
}

eddy_config ed_draw_node_config(ed_rng *rng, const ed_climate *climate, bool accept)
{
    eddy_config config = accept ? ed_cluster_server_config() : ed_cluster_client_config();

    config.max_message_size = climate->size_max;
    config.idle_timeout_ms = climate->idle_timeout_ms;
    config.keepalive_ms = climate->idle_timeout_ms / 4;
    config.max_outgoing = 4;
    config.max_connections = CONNECTIONS_MAX;
    config.unreliable_budget = 64 * 1024;
    if (one_in(rng, 3))
        shrink_receive(rng, &config);
    if (one_in(rng, 3))
        shrink_send(rng, &config);
    if (one_in(rng, 4))
        config.max_datagram_size = EDDY_DATAGRAM_SIZE_MIN + (uint32_t)ed_rng_below(rng, SIZES);
    return config;
}

/* ------------------------------------------------------------------------------------ links -- */

static void draw_partitions(ed_rng *rng, ed_link_config *config, uint64_t now_ns)
{
    config->window_count = ed_draw_sometimes(rng, 3, 3);
    for (uint32_t i = 0; i < config->window_count; i++) {
        uint64_t from_ns = now_ns + ed_rng_below(rng, 10 * 1000) * ED_NS_PER_MS;
        uint64_t limit_ms = one_in(rng, 8) ? OUTAGE_MAX_MS : PARTITION_MAX_MS;
        uint64_t length_ns = (1 + ed_rng_below(rng, limit_ms)) * ED_NS_PER_MS;
        config->windows[i] = (ed_window){.from_ns = from_ns, .until_ns = from_ns + length_ns};
    }
}

ed_link_config ed_draw_link(ed_rng *rng, uint64_t now_ns)
{
    ed_link_config config = ed_link_config_default();

    config.delay_ns = ed_rng_below(rng, 100) * ED_NS_PER_MS;
    config.jitter_ns = ed_draw_sometimes(rng, 2, 20 * 1000) * ED_NS_PER_US;
    config.keep_order = one_in(rng, 2);
    config.loss_ppm = ed_draw_sometimes(rng, 2, 300 * 1000);
    config.burst_start_ppm = ed_draw_sometimes(rng, 4, 20 * 1000);
    config.duplicate_ppm = ed_draw_sometimes(rng, 2, 100 * 1000);
    config.reorder_ppm = ed_draw_sometimes(rng, 2, 50 * 1000);
    config.reorder_extra_ns = ed_rng_below(rng, 100) * ED_NS_PER_MS;
    config.corrupt_ppm = ed_draw_sometimes(rng, 4, 10 * 1000);
    config.rate_bps = ed_draw_sometimes(rng, 4, 2 * 1000 * 1000);
    if (config.rate_bps != 0)
        config.rate_bps += 128 * 1000;
    config.queue_size = 8 * 1024 + ed_rng_below(rng, 64 * 1024);
    if (one_in(rng, 3)) // some of them less than what was found to pass a moment ago
        config.mtu = EDDY_DATAGRAM_SIZE_MIN + (uint32_t)ed_rng_below(rng, SIZES);
    draw_partitions(rng, &config, now_ns);
    return config;
}

/* ---------------------------------------------------------------------------------- traffic -- */

static size_t draw_size(ed_rng *rng, const ed_climate *climate)
{
    static const struct {
        uint32_t percent;
        size_t size_max;
    } rows[] = {{70, 48}, {24, EDDY_PIECE_SIZE_MAX + 2}, {5, 4 * 1024}, {1, SIZE_MAX_LARGE}};
    uint64_t percent = ed_rng_below(rng, 100);
    size_t i = 0;

    for (; percent >= rows[i].percent; i++)
        percent -= rows[i].percent;
    size_t size = (size_t)ed_rng_below(rng, rows[i].size_max + 1);
    return ed_min_size(size, climate->size_max);
}

ed_parcel ed_draw_parcel(ed_rng *rng, const ed_climate *climate)
{
    ed_parcel parcel = {.guarantee = (eddy_guarantee)ed_rng_below(rng, ED_GUARANTEE_COUNT),
                        .stream = climate->streams[ed_rng_below(rng, ED_DRAWN_STREAMS)],
                        .size = draw_size(rng, climate),
                        .expire_ms = ed_draw_sometimes(rng, 6, EXPIRE_MAX_MS),
                        .now_or_never = one_in(rng, 8),
                        .with_receipt = one_in(rng, 4)};
    bool unreliable = parcel.guarantee < EDDY_RELIABLE_UNORDERED;
    bool is_sequenced = parcel.guarantee == EDDY_UNRELIABLE_SEQUENCED ||
                        parcel.guarantee == EDDY_RELIABLE_SEQUENCED;

    if (unreliable)
        parcel.size = ed_min_size(parcel.size, EDDY_UNRELIABLE_SIZE_MAX);
    parcel.now_or_never &= unreliable;
    // Where order is to be checked a message must say which one it is; and what became of those
    // with a deadline is known by their receipts.
    if (is_sequenced)
        parcel.size = ed_max_u64(parcel.size, ED_NOTE_HEADER_SIZE);
    parcel.with_receipt |= parcel.expire_ms != 0;
    return parcel;
}

eddy_stream_options ed_draw_stream_options(ed_rng *rng)
{
    eddy_stream_options options = {.priority = (uint8_t)ed_rng_below(rng, EDDY_PRIORITY_COUNT),
                                   .weight = (uint8_t)ed_rng_below(rng, 256),
                                   .budget = ed_draw_sometimes(rng, 2, 64 * 1024)};
    return options;
}

/* ----------------------------------------------------------------------------------- memory -- */

/* What a manager needs besides its budgets. */
enum {
    MANAGER_SIZE = 320 * 1024, /* batches of datagrams, slots, channels, maps */
    /* A connection itself (2.5 KiB), its tables of lanes (5 guarantees, 2 directions, 2 KiB each),
       of streams (6 KiB and 4 KiB), and the lanes that a drawn world uses (7 KiB). */
    CONNECTION_SIZE = 48 * 1024,
    LOG_SIZE = 96 * 1024, /* the log of what was sent: 1,024 packets, 2,048 references, doubled */
    /* Of a queued message, however small: its record, a part's, its deadline, its command. */
    MESSAGE_SIZE = 112 + 80 + 32 + 2 * 72,
    QUEUED_MAX = 256, /* messages of a connection, of a drawn world, that are queued at a time */
};

uint64_t ed_memory_allowed(const eddy_config *config, size_t connections)
{
    uint64_t messages = ed_min_u64(config->connection_send_budget / ED_SEND_HOLDER, QUEUED_MAX);

    return config->send_budget + config->receive_budget + MANAGER_SIZE +
           connections * (CONNECTION_SIZE + LOG_SIZE + messages * MESSAGE_SIZE);
}
