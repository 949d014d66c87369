#include "core/channel.h"

#include <string.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/clock.h"
#include "core/thread.h"
#include "core/wake.h"

enum {
    CHUNK_ITEMS = 64,
};

/** A run of items. Chunks are never moved: growing costs no copy, however much waits. */
struct chunk {
    struct chunk *next;
    _Alignas(16) uint8_t items[]; /* CHUNK_ITEMS of them */
};

struct ed_channel {
    ed_mutex mutex; /* guards all that follows and changes */
    ed_condition arrived;
    eddy_allocator allocator; /* a copy: the last holder may outlive who made the channel */
    ed_channel_drop drop;
    void *drop_context;
    size_t item_size;
    struct chunk *oldest; /* those with items, linked; NULL: none was ever needed */
    struct chunk *newest;
    struct chunk *spare; /* drained ones: no more chunks than ever were full at once */
    size_t spare_count;
    size_t head; /* the oldest item's place in `oldest` */
    size_t tail; /* the first free place in `newest`; CHUNK_ITEMS also when there is no chunk */
    size_t length;
    size_t high_water;
    size_t senders;
    size_t receivers;
    size_t sleepers; /* threads that wait on `arrived` */
    bool closed;     /* nothing more is accepted */
    bool is_nudged;  /* the descriptor is readable until the next pull */
    bool has_wake;
    bool wake_is_set;
    ed_wake wake;
};

static bool chunks_valid(const ed_channel *channel)
{
    size_t items = 0;

    for (const struct chunk *chunk = channel->oldest; chunk != NULL; chunk = chunk->next)
        items += chunk == channel->newest ? channel->tail : CHUNK_ITEMS;
    return items - channel->head == channel->length;
}

static bool channel_valid(const ed_channel *channel)
{
    return channel->length <= channel->high_water && channel->head < CHUNK_ITEMS &&
           channel->tail <= CHUNK_ITEMS && (channel->oldest == NULL) == (channel->newest == NULL) &&
           (channel->senders > 0 || channel->closed) &&
           (channel->receivers > 0 || (channel->closed && channel->length == 0));
}

/** Makes the descriptor say what a pull would, or a nudge did; costs a system call only where that
 * changes. */
static void update_wake(ed_channel *channel)
{
    bool readable = channel->length > 0 || channel->closed || channel->is_nudged;

    ED_ASSERT(channel_valid(channel));
    ED_CHECKED(chunks_valid(channel));
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
    channel->tail = CHUNK_ITEMS;
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

static size_t chunk_size(const ed_channel *channel)
{
    return sizeof(struct chunk) + CHUNK_ITEMS * channel->item_size;
}

static void free_chunks(ed_channel *channel, struct chunk *chunk)
{
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        ed_alloc_free(&channel->allocator, chunk, chunk_size(channel));
        chunk = next;
    }
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
    free_chunks(channel, channel->oldest);
    free_chunks(channel, channel->spare);
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

/* ------------------------------------------------------------------------------------ chunks -- */

/** The oldest item's place in memory, and how many lie there in a row, `most` at most. */
static uint8_t *first_run(const ed_channel *channel, size_t most, size_t *count)
{
    *count = ed_min_size(ed_min_size(most, channel->length), CHUNK_ITEMS - channel->head);
    return channel->oldest->items + channel->head * channel->item_size;
}

static void add_spare(ed_channel *channel, struct chunk *chunk)
{
    chunk->next = channel->spare;
    channel->spare = chunk;
    channel->spare_count++;
}

static void retire_oldest(ed_channel *channel)
{
    struct chunk *chunk = channel->oldest;

    channel->head = 0;
    channel->oldest = chunk->next;
    if (channel->oldest == NULL) {
        channel->newest = NULL;
        channel->tail = CHUNK_ITEMS;
    }
    add_spare(channel, chunk);
}

/** The oldest `count` items, all in one chunk, are gone; a chunk that they leave empty is spare. */
static void advance(ed_channel *channel, size_t count)
{
    ED_ASSERT(count <= channel->length && channel->head + count <= CHUNK_ITEMS);
    channel->length -= count;
    channel->head += count;
    if (channel->length == 0 || channel->head == CHUNK_ITEMS)
        retire_oldest(channel);
}

/** Sees to it that `count` more items fit. Chunks got before that fails stay spare. */
static bool make_room(ed_channel *channel, size_t count)
{
    size_t left = CHUNK_ITEMS - channel->tail;
    size_t needed = count <= left ? 0 : (count - left - 1) / CHUNK_ITEMS + 1;

    // No array is that large: the count is wrong, and would be believed for very long.
    if (count > PTRDIFF_MAX / channel->item_size)
        return false;
    while (channel->spare_count < needed) {
        struct chunk *chunk = ed_alloc_zeroed(&channel->allocator, chunk_size(channel));
        if (chunk == NULL)
            return false;
        add_spare(channel, chunk);
    }
    return true;
}

/** Appends a spare chunk to those with items. */
static void use_spare(ed_channel *channel)
{
    struct chunk *chunk = channel->spare;

    ED_ASSERT(chunk != NULL && channel->tail == CHUNK_ITEMS);
    channel->spare = chunk->next;
    channel->spare_count--;
    chunk->next = NULL;
    if (channel->newest == NULL)
        channel->oldest = chunk;
    else
        channel->newest->next = chunk;
    channel->newest = chunk;
    channel->tail = 0;
}

/** Appends items, for which there is room. */
static void copy_in(ed_channel *channel, const uint8_t *items, size_t count)
{
    size_t size = channel->item_size;

    while (count > 0) {
        if (channel->tail == CHUNK_ITEMS)
            use_spare(channel);
        size_t run = ed_min_size(count, CHUNK_ITEMS - channel->tail);
        memcpy(channel->newest->items + channel->tail * size, items, run * size);
        channel->tail += run;
        channel->length += run;
        items += run * size;
        count -= run;
    }
}

/** Takes the oldest `count` items, which are there. */
static void copy_out(ed_channel *channel, uint8_t *items, size_t count)
{
    ED_ASSERT(count <= channel->length);
    while (count > 0) {
        size_t run = 0;
        const uint8_t *from = first_run(channel, count, &run);
        memcpy(items, from, run * channel->item_size);
        advance(channel, run);
        items += run * channel->item_size;
        count -= run;
    }
}

static void drop_items(ed_channel *channel)
{
    while (channel->length > 0) {
        size_t run = 0;
        uint8_t *item = first_run(channel, 1, &run);
        if (channel->drop != NULL)
            channel->drop(channel->drop_context, item);
        advance(channel, run);
    }
}

/* ------------------------------------------------------------------------------------- sides -- */

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

static eddy_status push_locked(ed_channel *channel, const void *items, size_t count)
{
    ED_ASSERT(channel->senders > 0);
    if (channel->closed)
        return EDDY_ECLOSED;
    if (count == 0)
        return EDDY_OK;
    if (!make_room(channel, count))
        return EDDY_ENOMEM;
    copy_in(channel, items, count);
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

void ed_channel_nudge(ed_channel *channel)
{
    ed_mutex_lock(&channel->mutex);
    channel->is_nudged = true;
    update_wake(channel);
    ed_mutex_unlock(&channel->mutex);
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
    channel->is_nudged = false;
    update_wake(channel);
    if (!wait_locked(channel, deadline_ns))
        return EDDY_EAGAIN;
    if (channel->length == 0)
        return EDDY_ECLOSED;
    *count = ed_min_size(capacity, channel->length);
    copy_out(channel, items, *count);
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
