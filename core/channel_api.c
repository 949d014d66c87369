/** The calls of core/eddy_channel.h: what a game passes is refused, not believed. */
#include "core/alloc.h"
#include "core/base.h"
#include "core/channel.h"
#include "core/eddy_channel.h"

static_assert(EDDY_CHANNEL_WAIT_MAX == ED_CHANNEL_WAIT_MAX, "both are the same calls");
static_assert(EDDY_NO_DEADLINE == ED_NEVER_NS, "no time is never");

eddy_status eddy_channel_open(eddy_channel **channel, const eddy_channel_config *config)
{
    const eddy_allocator *allocator = config->allocator;

    *channel = NULL;
    if (config->item_size == 0 || config->item_size > EDDY_CHANNEL_ITEM_SIZE_MAX ||
        (allocator != NULL && (allocator->allocate == NULL || allocator->free == NULL)))
        return EDDY_ECONFIG;
    *channel = ed_channel_open(
        &(ed_channel_form){.allocator = allocator != NULL ? allocator : ed_alloc_default(),
                           .item_size = config->item_size,
                           .capacity = config->capacity,
                           .one_sender = config->one_sender,
                           .one_receiver = config->one_receiver,
                           .drop = config->drop,
                           .drop_context = config->drop_context});
    return *channel != NULL ? EDDY_OK : EDDY_ENOMEM;
}

void eddy_channel_share(eddy_channel *channel, eddy_side side)
{
    if (side == EDDY_SENDERS)
        ed_channel_add_sender(channel);
    else
        ed_channel_add_receiver(channel);
}

void eddy_channel_leave(eddy_channel *channel, eddy_side side)
{
    if (side == EDDY_SENDERS)
        ed_channel_leave_sender(channel);
    else
        ed_channel_leave_receiver(channel);
}

void eddy_channel_close(eddy_channel *channel)
{
    ed_channel_close(channel);
}

eddy_status eddy_channel_send(eddy_channel *channel, const void *items, size_t count,
                              uint64_t deadline_ns)
{
    if (items == NULL && count > 0)
        return EDDY_EINVAL;
    return ed_channel_push_until(channel, items, count, deadline_ns);
}

eddy_status eddy_channel_receive(eddy_channel *channel, void *items, size_t capacity, size_t *count,
                                 uint64_t deadline_ns)
{
    *count = 0;
    if (items == NULL || capacity == 0)
        return EDDY_EINVAL;
    return ed_channel_pull(channel, items, capacity, count, deadline_ns);
}

int eddy_channel_fd(eddy_channel *channel)
{
    return ed_channel_fd(channel);
}

eddy_status eddy_channel_wait(eddy_channel *const *channels, size_t count, size_t first,
                              uint64_t deadline_ns, size_t *ready)
{
    if (count == 0 || count > EDDY_CHANNEL_WAIT_MAX)
        return EDDY_EINVAL;
    return ed_channel_wait(channels, count, first, deadline_ns, ready);
}

void eddy_channel_get_stats(const eddy_channel *channel, eddy_channel_stats *stats)
{
    size_t length = ed_channel_length(channel);

    *stats = (eddy_channel_stats){.length = length,
                                  .length_max = ed_channel_high_water(channel),
                                  .size = length * ed_channel_item_size(channel),
                                  .wakes = ed_channel_wakes(channel)};
}
