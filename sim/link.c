#include "sim/link.h"

#include "core/alloc.h"
#include "core/base.h"
#include "sim/delay.h"
#include "sim/loss.h"
#include "sim/queue.h"
#include "sim/random.h"

enum {
    COPIES_MAX = 2, // of one datagram: copy c of datagram n draws at n * COPIES_MAX + c
};

struct ed_link {
    const eddy_allocator *allocator;
    ed_link_config config;
    ed_flight *flight;
    ed_link_loss loss;
    ed_delay delay;
    ed_queue queue;
    uint64_t duplicate_key;
    uint64_t corrupt_key;
    uint64_t position_key;
    uint64_t ordinal; // of the next datagram
    uint64_t now_ns;  // of the last push
    bool blocked;
    ed_link_stats stats;
};

ed_link *ed_link_create(const eddy_allocator *allocator, const ed_link_config *config,
                        uint64_t seed, uint64_t link, uint32_t direction)
{
    if (ed_link_config_check(config, NULL) != EDDY_OK)
        return NULL;
    ed_link *created = ed_alloc_zeroed(allocator, sizeof *created);
    if (created == NULL)
        return NULL;

    created->allocator = allocator;
    created->config = *config;
    created->duplicate_key = ed_stream_key(seed, link, direction, ED_PURPOSE_DUPLICATE);
    created->corrupt_key = ed_stream_key(seed, link, direction, ED_PURPOSE_CORRUPT);
    created->position_key = ed_stream_key(seed, link, direction, ED_PURPOSE_CORRUPT_POSITION);
    ed_link_loss_init(&created->loss, seed, link, direction);
    ed_delay_init(&created->delay, seed, link, direction);
    created->flight = ed_flight_create(allocator);
    if (created->flight == NULL) {
        ed_link_destroy(created);
        return NULL;
    }
    return created;
}

void ed_link_destroy(ed_link *link)
{
    if (link == NULL)
        return;
    ed_flight_destroy(link->flight);
    ed_alloc_free(link->allocator, link, sizeof *link);
}

static bool is_cut(const ed_link *link, uint64_t at_ns)
{
    const ed_link_config *config = &link->config;

    if (link->blocked)
        return true;
    for (uint32_t i = 0; i < config->window_count; i++)
        if (at_ns >= config->windows[i].from_ns && at_ns < config->windows[i].until_ns)
            return true;
    return false;
}

static void corrupt(ed_link *link, uint64_t copy, uint8_t *data, size_t size)
{
    if (size == 0 || !ed_draw_hits(ed_draw(link->corrupt_key, copy), link->config.corrupt_ppm))
        return;

    uint64_t bit = ed_draw_below(ed_draw(link->position_key, copy), size * 8);
    data[bit / 8] = (uint8_t)(data[bit / 8] ^ 1u << bit % 8);
    link->stats.corrupted++;
}

/** Whether the copy was lost, and counted as such. */
static bool is_lost(ed_link *link, uint64_t copy)
{
    ed_link_loss_verdict verdict = ed_link_loss_decide(&link->loss, &link->config, copy);

    link->stats.lost += verdict == ED_LOSS_ALONE;
    link->stats.lost_burst += verdict == ED_LOSS_BURST;
    return verdict != ED_LOSS_NONE;
}

/** Sends one copy through bottleneck, loss and delay. False if it did not come through. */
static bool push_copy(ed_link *link, const eddy_datagram *datagram, uint64_t copy, uint64_t now_ns)
{
    uint64_t depart_ns = 0;
    bool held = false;

    if (!ed_queue_pass(&link->queue, &link->config, datagram->size, now_ns, &depart_ns)) {
        link->stats.queue_dropped++;
        return false;
    }
    if (is_lost(link, copy))
        return false;

    uint64_t due_ns = ed_delay_arrival(&link->delay, &link->config, copy, depart_ns, &held);
    uint8_t *data = ed_flight_push(link->flight, datagram, due_ns, copy);
    if (data == NULL) {
        link->stats.overflow_dropped++;
        return false;
    }
    // Behind the loss for the counters' sake; where in the pipeline a bit flips makes no
    // difference.
    corrupt(link, copy, data, datagram->size);
    link->stats.reordered += held;
    return true;
}

static bool push_copies(ed_link *link, const eddy_datagram *datagram, uint64_t ordinal,
                        uint64_t now_ns)
{
    uint64_t copy = ordinal * COPIES_MAX;
    bool passed = push_copy(link, datagram, copy, now_ns);

    if (!ed_draw_hits(ed_draw(link->duplicate_key, ordinal), link->config.duplicate_ppm))
        return passed;
    link->stats.duplicated++;
    return push_copy(link, datagram, copy + 1, now_ns) || passed;
}

bool ed_link_push(ed_link *link, const eddy_datagram *datagram, uint64_t now_ns)
{
    ED_ASSERT(now_ns >= link->now_ns);
    ED_ASSERT(link->config.mtu <= ED_DATAGRAM_SIZE_MAX);
    uint64_t ordinal = link->ordinal++;
    bool passed = false;

    link->now_ns = now_ns;
    link->stats.pushed++;
    if (is_cut(link, now_ns))
        link->stats.partition_dropped++;
    else if (datagram->size > link->config.mtu)
        link->stats.mtu_dropped++;
    else
        passed = push_copies(link, datagram, ordinal, now_ns);
    // Also for what was dropped, so that a partition does not shift the bursts behind it.
    ed_link_loss_step(&link->loss, &link->config, ordinal);
    return passed;
}

uint64_t ed_link_next_ns(const ed_link *link)
{
    return ed_flight_next_ns(link->flight);
}

size_t ed_link_pull(ed_link *link, uint64_t now_ns, eddy_datagram *datagrams, size_t count)
{
    size_t pulled = 0;
    uint64_t due_ns = 0;

    ed_flight_recycle(link->flight);
    while (pulled < count && ed_flight_take(link->flight, now_ns, &datagrams[pulled], &due_ns)) {
        if (is_cut(link, due_ns))
            link->stats.partition_dropped++;
        else
            pulled++;
    }
    link->stats.passed += pulled;
    return pulled;
}

eddy_status ed_link_set_config(ed_link *link, const ed_link_config *config)
{
    eddy_status status = ed_link_config_check(config, NULL);

    if (status == EDDY_OK)
        link->config = *config;
    return status;
}

const ed_link_config *ed_link_get_config(const ed_link *link)
{
    return &link->config;
}

void ed_link_block(ed_link *link, bool blocked)
{
    link->blocked = blocked;
}

uint64_t ed_link_queue_ns(const ed_link *link, uint64_t now_ns)
{
    return link->queue.free_ns - ed_min_u64(link->queue.free_ns, now_ns);
}

size_t ed_link_in_flight(const ed_link *link)
{
    return ed_flight_count(link->flight);
}

ed_link_stats ed_link_get_stats(const ed_link *link)
{
    return link->stats;
}
