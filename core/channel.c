#include "core/channel.h"

#include <string.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/clock.h"
#include "core/thread.h"
#include "core/wake.h"

enum {
    CAPACITY_MIN = 16, /* items; a power of two, as every capacity */
};

struct ed_channel {
    ed_mutex mutex; /* guards all that follows and changes */
    ed_condition arrived;
    eddy_allocator allocator; /* a copy: the last holder may outlive who made the channel */
    ed_channel_drop drop;
    void *drop_context;
    size_t item_size;
    uint8_t *items; /* a ring of `capacity` items */
    size_t capacity;
    size_t head; /* the oldest item's place */
    size_t length;
    size_t high_water;
    size_t senders;
    size_t receivers;
    size_t sleepers; /* threads that wait on `arrived` */
    bool closed;     /* nothing more is accepted */
    bool has_wake;
    bool wake_is_set;
    ed_wake wake;
};

static bool channel_valid(const ed_channel *channel)
{
    return channel->length <= channel->capacity && channel->length <= channel->high_water &&
           (channel->capacity == 0 || channel->head < channel->capacity) &&
           (channel->capacity & (channel->capacity - 1)) == 0 &&
           (channel->senders > 0 || channel->closed) &&
           (channel->receivers > 0 || (channel->closed && channel->length == 0));
}

/** Makes the descriptor say what a pull would; costs a system call only where that changes. */
static void update_wake(ed_channel *channel)
{
    bool readable = channel->length > 0 || channel->closed;

    ED_ASSERT(channel_valid(channel));
    if (!channel->has_wake || readable == channel->wake_is_set)
        return;
    channel->wake_is_set = readable;
    if (readable)
        ed_wake_set(&channel->wake);
    else
        ed_wake_clear(&channel->wake);
}

ed_channel *ed_channel_create(const eddy_allocator *allocator, size_t item_size,
                              ed_channel_drop drop, void *drop_context)
{
    ED_ASSERT(item_size > 0);
    ed_channel *channel = ed_alloc_zeroed(allocator, sizeof *channel);
    if (channel == NULL)
        return NULL;
    channel->allocator = *allocator;
    channel->drop = drop;
    channel->drop_context = drop_context;
    channel->item_size = item_size;
    channel->senders = 1;
    channel->receivers = 1;
    if (ed_mutex_init(&channel->mutex) != EDDY_OK)
        goto fail;
    if (ed_condition_init(&channel->arrived) == EDDY_OK)
        return channel;
    ed_mutex_destroy(&channel->mutex);
fail:
    ed_alloc_free(allocator, channel, sizeof *channel);
    return NULL;
}

static void destroy(ed_channel *channel)
{
    eddy_allocator allocator = channel->allocator;

    ED_ASSERT(channel->senders == 0 && channel->receivers == 0);
    ED_ASSERT(channel->sleepers == 0 && channel->length == 0);
    if (channel->has_wake)
        ed_wake_destroy(&channel->wake);
    ed_condition_destroy(&channel->arrived);
    ed_mutex_destroy(&channel->mutex);
    ed_alloc_free(&allocator, channel->items, channel->capacity * channel->item_size);
    ed_alloc_free(&allocator, channel, sizeof *channel);
}

void ed_channel_add_sender(ed_channel *channel)
{
    ed_mutex_lock(&channel->mutex);
    ED_ASSERT(channel->senders > 0 && channel->senders < SIZE_MAX); // only a holder can share
    channel->senders++;
    ed_mutex_unlock(&channel->mutex);
}

void ed_channel_add_receiver(ed_channel *channel)
{
    ed_mutex_lock(&channel->mutex);
    ED_ASSERT(channel->receivers > 0 && channel->receivers < SIZE_MAX);
    channel->receivers++;
    ed_mutex_unlock(&channel->mutex);
}

static void close_locked(ed_channel *channel)
{
    channel->closed = true;
    update_wake(channel);
    ed_condition_broadcast(&channel->arrived);
}

void ed_channel_close(ed_channel *channel)
{
    ed_mutex_lock(&channel->mutex);
    close_locked(channel);
    ed_mutex_unlock(&channel->mutex);
}

static void drop_items(ed_channel *channel)
{
    size_t mask = channel->capacity - 1;

    for (; channel->length > 0; channel->length--) {
        if (channel->drop != NULL)
            channel->drop(channel->drop_context,
                          channel->items + channel->head * channel->item_size);
        channel->head = (channel->head + 1) & mask;
    }
}

void ed_channel_leave_sender(ed_channel *channel)
{
    ed_mutex_lock(&channel->mutex);
    ED_ASSERT(channel->senders > 0);
    channel->senders--;
    if (channel->senders == 0)
        close_locked(channel);
    bool last = channel->senders == 0 && channel->receivers == 0;
    ed_mutex_unlock(&channel->mutex);
    if (last)
        destroy(channel);
}

void ed_channel_leave_receiver(ed_channel *channel)
{
    ed_mutex_lock(&channel->mutex);
    ED_ASSERT(channel->receivers > 0);
    channel->receivers--;
    if (channel->receivers == 0) {
        ED_ASSERT(channel->sleepers == 0); // whoever sleeps in a pull holds the side
        drop_items(channel);
        close_locked(channel);
    }
    bool last = channel->senders == 0 && channel->receivers == 0;
    ed_mutex_unlock(&channel->mutex);
    if (last)
        destroy(channel);
}

/** Copies `count` items between the ring, from place `at` on, and an array. */
static void copy_in(ed_channel *channel, size_t at, const uint8_t *items, size_t count)
{
    size_t size = channel->item_size;
    size_t before_end = ed_min_size(count, channel->capacity - at);

    ED_ASSERT(at < channel->capacity && count <= channel->capacity);
    memcpy(channel->items + at * size, items, before_end * size);
    if (count > before_end)
        memcpy(channel->items, items + before_end * size, (count - before_end) * size);
}

static void copy_out(const ed_channel *channel, uint8_t *items, size_t count)
{
    size_t size = channel->item_size;
    size_t before_end = ed_min_size(count, channel->capacity - channel->head);

    ED_ASSERT(count <= channel->length);
    memcpy(items, channel->items + channel->head * size, before_end * size);
    if (count > before_end)
        memcpy(items + before_end * size, channel->items, (count - before_end) * size);
}

/** @return the power of two that holds `needed` items, or 0 where it cannot be. */
static size_t capacity_for(const ed_channel *channel, size_t needed)
{
    size_t capacity = channel->capacity == 0 ? CAPACITY_MIN : channel->capacity;

    while (capacity < needed && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    return capacity < needed ? 0 : capacity;
}

/** Makes room for `count` more items. The ring stays as it is where that fails. */
static bool make_room(ed_channel *channel, size_t count)
{
    if (count <= channel->capacity - channel->length)
        return true;
    if (count > SIZE_MAX - channel->length)
        return false;
    size_t capacity = capacity_for(channel, channel->length + count);
    if (capacity == 0)
        return false;
    uint8_t *items = ed_alloc_array(&channel->allocator, capacity, channel->item_size);
    if (items == NULL)
        return false;
    if (channel->length > 0)
        copy_out(channel, items, channel->length);
    ed_alloc_free(&channel->allocator, channel->items, channel->capacity * channel->item_size);
    channel->items = items;
    channel->capacity = capacity;
    channel->head = 0;
    return true;
}

static eddy_status push_locked(ed_channel *channel, const void *items, size_t count)
{
    ED_ASSERT(channel->senders > 0);
    if (channel->closed)
        return EDDY_ECLOSED;
    if (count == 0)
        return EDDY_OK;
    if (!make_room(channel, count))
        return EDDY_ENOMEM;
    size_t at = (channel->head + channel->length) & (channel->capacity - 1);
    copy_in(channel, at, items, count);
    channel->length += count;
    if (channel->length > channel->high_water)
        channel->high_water = channel->length;
    update_wake(channel);
    return EDDY_OK;
}

eddy_status ed_channel_push(ed_channel *channel, const void *items, size_t count)
{
    ED_ASSERT(items != NULL || count == 0);
    ed_mutex_lock(&channel->mutex);
    eddy_status status = push_locked(channel, items, count);
    size_t sleepers = status == EDDY_OK ? ed_min_size(channel->sleepers, count) : 0;
    ed_mutex_unlock(&channel->mutex);
    // With the lock given up, so that the sleeper does not wake only to wait for it. The caller
    // holds its side, so the channel is still there.
    if (sleepers == 1)
        ed_condition_signal(&channel->arrived);
    else if (sleepers > 1)
        ed_condition_broadcast(&channel->arrived);
    return status;
}

/** Sleeps until there is an item, or there will be none. @return whether the time is not up. */
static bool wait_locked(ed_channel *channel, uint64_t deadline_ns)
{
    while (channel->length == 0 && !channel->closed) {
        if (deadline_ns == 0)
            return false;
        if (deadline_ns != ED_NEVER_NS && ed_clock_now_ns() >= deadline_ns)
            return false;
        channel->sleepers++;
        ed_condition_wait(&channel->arrived, &channel->mutex, deadline_ns);
        ED_ASSERT(channel->sleepers > 0);
        channel->sleepers--;
    }
    return true;
}

static eddy_status pull_locked(ed_channel *channel, void *items, size_t capacity, size_t *count,
                               uint64_t deadline_ns)
{
    ED_ASSERT(channel->receivers > 0);
    *count = 0;
    if (!wait_locked(channel, deadline_ns))
        return EDDY_EAGAIN;
    if (channel->length == 0)
        return EDDY_ECLOSED;
    *count = ed_min_size(capacity, channel->length);
    copy_out(channel, items, *count);
    channel->head = (channel->head + *count) & (channel->capacity - 1);
    channel->length -= *count;
    update_wake(channel);
    return EDDY_OK;
}

eddy_status ed_channel_pull(ed_channel *channel, void *items, size_t capacity, size_t *count,
                            uint64_t deadline_ns)
{
    ED_ASSERT(capacity > 0);
    ed_mutex_lock(&channel->mutex);
    eddy_status status = pull_locked(channel, items, capacity, count, deadline_ns);
    ed_mutex_unlock(&channel->mutex);
    return status;
}

size_t ed_channel_length(ed_channel *channel)
{
    ed_mutex_lock(&channel->mutex);
    size_t length = channel->length;
    ed_mutex_unlock(&channel->mutex);
    return length;
}

size_t ed_channel_high_water(ed_channel *channel)
{
    ed_mutex_lock(&channel->mutex);
    size_t high_water = channel->high_water;
    ed_mutex_unlock(&channel->mutex);
    return high_water;
}

int ed_channel_fd(ed_channel *channel)
{
    ed_mutex_lock(&channel->mutex);
    if (!channel->has_wake)
        channel->has_wake = ed_wake_init(&channel->wake) == EDDY_OK;
    update_wake(channel);
    int fd = channel->has_wake ? channel->wake.read_fd : -1;
    ed_mutex_unlock(&channel->mutex);
    return fd;
}
