/** What a channel is for: pushing, pulling, and waiting for either. */
#include "core/base.h"
#include "core/channel_state.h"

/* ----------------------------------------------------------------------------------- pushing -- */

/** What a sender waits for. */
struct room {
    const ed_channel *channel;
    size_t count;
};

static bool has_room(void *context)
{
    const struct room *room = context;
    const ed_channel *channel = room->channel;

    return atomic_load(&channel->closed) ||
           channel->capacity - ed_fifo_length(&channel->fifo) >= room->count;
}

static inline eddy_status append(ed_channel *channel, const void *items, size_t count)
{
    if (atomic_load_explicit(&channel->closed, memory_order_relaxed))
        return EDDY_ECLOSED;
    if (channel->capacity > 0 && count > channel->capacity)
        return EDDY_ETOOBIG;
    if (channel->capacity > 0 && ed_fifo_room(&channel->fifo, channel->capacity) < count)
        return EDDY_EAGAIN;
    return ed_fifo_push(&channel->fifo, items, count) ? EDDY_OK : EDDY_ENOMEM;
}

/** Items came: says so to who may sleep, and gives up the send mutex in between. */
static void tell_and_unlock(ed_channel *channel, size_t count)
{
    if (count > 0)
        ed_bell_ring(&channel->bell);
    size_t claimed = ed_sleepers_claim(&channel->receivers_asleep, count);
    if (channel->receivers_asleep.waiting > 0)
        atomic_store_explicit(&channel->watched, true, memory_order_relaxed);
    ed_mutex_unlock(&channel->send_mutex);
    // The caller holds its side, so the channel is still there.
    ed_sleepers_wake(&channel->receivers_asleep, claimed);
}

static eddy_status push_shared(ed_channel *channel, const void *items, size_t count)
{
    ed_mutex_lock(&channel->send_mutex);
    eddy_status status = append(channel, items, count);
    tell_and_unlock(channel, status == EDDY_OK ? count : 0);
    return status;
}

/** Takes the mutex only where somebody may sleep. */
static inline eddy_status push_alone(ed_channel *channel, const void *items, size_t count)
{
    eddy_status status = append(channel, items, count);

    // Either this comes after the sleeper's, and sees it, or the sleeper sees the items.
    if (status == EDDY_OK && count > 0 && atomic_exchange(&channel->watched, false)) {
        ed_mutex_lock(&channel->send_mutex);
        tell_and_unlock(channel, count);
    }
    return status;
}

eddy_status ed_channel_push(ed_channel *channel, const void *items, size_t count)
{
    ED_ASSERT(items != NULL || count == 0);
    return channel->pushes_alone ? push_alone(channel, items, count)
                                 : push_shared(channel, items, count);
}

/** Those for one are woken one for each that there is room for; the others look for themselves. */
static bool wait_for_room(ed_channel *channel, size_t count, uint64_t deadline_ns)
{
    ed_sleepers *sleepers = count == 1 ? &channel->senders_asleep : &channel->batches_asleep;
    struct room room = {.channel = channel, .count = count};

    return ed_sleepers_wait(sleepers, &channel->receive_mutex, has_room, &room, deadline_ns);
}

eddy_status ed_channel_push_until(ed_channel *channel, const void *items, size_t count,
                                  uint64_t deadline_ns)
{
    eddy_status status = ed_channel_push(channel, items, count);

    while (status == EDDY_EAGAIN && deadline_ns != 0 && wait_for_room(channel, count, deadline_ns))
        status = ed_channel_push(channel, items, count);
    if (status == EDDY_ENOMEM && channel->capacity > 0)
        ed_channel_wake_senders(channel, 1); // the room that this one was woken for is another's
    return status;
}

/* ----------------------------------------------------------------------------------- pulling -- */

/** Whether a pull would not say EDDY_EAGAIN. */
static bool is_ready(const ed_channel *channel)
{
    return !ed_fifo_is_empty(&channel->fifo) || atomic_load(&channel->closed);
}

/** Whom to wake where there is room for `count` more; with the receive mutex held. */
struct woken {
    size_t senders;
    size_t batches;
};

static struct woken claim_senders(ed_channel *channel, size_t count)
{
    return (struct woken){
        .senders = ed_sleepers_claim(&channel->senders_asleep, count),
        .batches = ed_sleepers_claim(&channel->batches_asleep, count > 0 ? ED_SLEEPERS_ALL : 0)};
}

static void unlock_and_wake(ed_channel *channel, struct woken woken)
{
    ed_mutex_unlock(&channel->receive_mutex);
    // The caller holds its side, so the channel is still there.
    ed_sleepers_wake(&channel->senders_asleep, woken.senders);
    ed_sleepers_wake(&channel->batches_asleep, woken.batches);
}

void ed_channel_wake_senders(ed_channel *channel, size_t count)
{
    ed_mutex_lock(&channel->receive_mutex);
    unlock_and_wake(channel, claim_senders(channel, count));
}

ED_APART static size_t take_shared(ed_channel *channel, void *items, size_t capacity)
{
    if (ed_fifo_is_empty(&channel->fifo))
        return 0;
    ed_mutex_lock(&channel->receive_mutex);
    size_t count = ed_fifo_pull(&channel->fifo, items, capacity);
    unlock_and_wake(channel, claim_senders(channel, count));
    return count;
}

static inline size_t take(ed_channel *channel, void *items, size_t capacity)
{
    return channel->pulls_alone ? ed_fifo_pull(&channel->fifo, items, capacity)
                                : take_shared(channel, items, capacity);
}

/** @return EDDY_OK with what there is, EDDY_EAGAIN, or EDDY_ECLOSED. */
static inline eddy_status try_pull(ed_channel *channel, void *items, size_t capacity, size_t *count)
{
    *count = take(channel, items, capacity);
    if (*count > 0)
        return EDDY_OK;
    if (!atomic_load(&channel->closed))
        return EDDY_EAGAIN;
    *count = take(channel, items, capacity); // what came between the look and the close
    return *count > 0 ? EDDY_OK : EDDY_ECLOSED;
}

bool ed_channel_look_again(void *context)
{
    ed_channel *channel = context;

    (void)atomic_exchange(&channel->watched, true);
    return is_ready(channel);
}

/** Sleeps at once: looking again for a while first cost more than it saved, on one processor or
 * two. */
static bool wait_for_items(ed_channel *channel, uint64_t deadline_ns)
{
    return ed_sleepers_wait(&channel->receivers_asleep, &channel->send_mutex, ed_channel_look_again,
                            channel, deadline_ns);
}

bool ed_channel_settle(ed_channel *channel)
{
    if (is_ready(channel))
        return true;
    if (!ed_bell_is_loud(&channel->bell))
        return false;
    ed_mutex_lock(&channel->send_mutex);
    bool ready = ed_channel_look_again(channel);
    if (!ready)
        ed_bell_hush(&channel->bell);
    ed_mutex_unlock(&channel->send_mutex);
    return ready;
}

/** There was nothing to pull. */
ED_APART static eddy_status pull_later(ed_channel *channel, void *items, size_t capacity,
                                       size_t *count, uint64_t deadline_ns)
{
    eddy_status status = EDDY_EAGAIN;

    while (status == EDDY_EAGAIN && deadline_ns != 0 && wait_for_items(channel, deadline_ns))
        status = try_pull(channel, items, capacity, count);
    if (status == EDDY_EAGAIN)
        (void)ed_channel_settle(channel);
    return status;
}

eddy_status ed_channel_pull(ed_channel *channel, void *items, size_t capacity, size_t *count,
                            uint64_t deadline_ns)
{
    ED_ASSERT(capacity > 0);
    eddy_status status = try_pull(channel, items, capacity, count);
    return status == EDDY_EAGAIN ? pull_later(channel, items, capacity, count, deadline_ns)
                                 : status;
}
