#include "core/channel.h"

#include "core/alloc.h"
#include "core/base.h"
#include "core/bell.h"
#include "core/fifo.h"
#include "core/sleepers.h"
#include "core/thread.h"

enum {
    SIDE_COUNT = 2,
};

/**
 * Each side has a mutex. Who sleeps until the other side does something says so with the other
 * side's mutex held, so that who does it need not look for sleepers anywhere else.
 */
struct eddy_channel {
    ed_fifo fifo;

    /* Read by all, and rarely written. */
    ed_channel_drop drop;
    void *drop_context;
    size_t capacity;      /* 0: unbounded */
    bool pushes_alone;    /* nobody else pushes */
    bool pulls_alone;     /* nobody else pulls, and nobody waits for room */
    _Atomic bool closed;  /* nothing more is accepted; set with the send mutex held */
    _Atomic bool watched; /* somebody may sleep: what a sender that takes no mutex looks at */
    ed_bell bell;         /* the send mutex guards it */
    _Atomic size_t sides; /* whose last holder has not left */

    uint8_t apart[ED_FIFO_LINE_SIZE];
    ed_mutex send_mutex;          /* held by who pushes */
    ed_sleepers receivers_asleep; /* for items; the send mutex guards it */
    _Atomic size_t senders;

    uint8_t apart_too[ED_FIFO_LINE_SIZE];
    ed_mutex receive_mutex;     /* held by who pulls */
    ed_sleepers senders_asleep; /* for room; the receive mutex guards it */
    _Atomic size_t receivers;
};

/* ---------------------------------------------------------------------------- making, ending -- */

static bool init_locks(ed_channel *channel)
{
    if (ed_mutex_init(&channel->send_mutex) != EDDY_OK)
        return false;
    if (ed_mutex_init(&channel->receive_mutex) != EDDY_OK)
        goto no_receive_mutex;
    if (ed_sleepers_init(&channel->receivers_asleep) != EDDY_OK)
        goto no_receivers;
    if (ed_sleepers_init(&channel->senders_asleep) == EDDY_OK)
        return true;
    ed_sleepers_destroy(&channel->receivers_asleep);
no_receivers:
    ed_mutex_destroy(&channel->receive_mutex);
no_receive_mutex:
    ed_mutex_destroy(&channel->send_mutex);
    return false;
}

ed_channel *ed_channel_open(const ed_channel_form *form)
{
    ed_channel *channel = ed_alloc_zeroed(form->allocator, sizeof *channel);

    if (channel == NULL)
        return NULL;
    ed_fifo_init(&channel->fifo, form->allocator, form->item_size);
    ed_bell_init(&channel->bell);
    channel->drop = form->drop;
    channel->drop_context = form->drop_context;
    channel->capacity = form->capacity;
    channel->pushes_alone = form->one_sender;
    channel->pulls_alone = form->one_receiver && form->capacity == 0;
    channel->senders = 1;
    channel->receivers = 1;
    channel->sides = SIDE_COUNT;
    if (init_locks(channel))
        return channel;
    ed_alloc_free(form->allocator, channel, sizeof *channel);
    return NULL;
}

ed_channel *ed_channel_create(const eddy_allocator *allocator, size_t item_size,
                              ed_channel_drop drop, void *drop_context)
{
    return ed_channel_open(&(ed_channel_form){.allocator = allocator,
                                              .item_size = item_size,
                                              .drop = drop,
                                              .drop_context = drop_context});
}

/** No lock is needed, as nobody else pulls any more; so `drop` may do what it likes. */
static void drop_items(ed_channel *channel)
{
    void *item = NULL;

    while ((item = ed_fifo_oldest(&channel->fifo)) != NULL) {
        if (channel->drop != NULL)
            channel->drop(channel->drop_context, item);
        ed_fifo_skip(&channel->fifo);
    }
}

static void destroy(ed_channel *channel)
{
    eddy_allocator allocator = channel->fifo.allocator;

    ED_ASSERT(channel->senders == 0 && channel->receivers == 0);
    drop_items(channel); // one sender, which takes no lock, may have pushed past the closing
    ed_sleepers_destroy(&channel->senders_asleep);
    ed_sleepers_destroy(&channel->receivers_asleep);
    ed_bell_destroy(&channel->bell);
    ed_mutex_destroy(&channel->receive_mutex);
    ed_mutex_destroy(&channel->send_mutex);
    ed_fifo_destroy(&channel->fifo);
    ed_alloc_free(&allocator, channel, sizeof *channel);
}

/* ------------------------------------------------------------------------------------- sides -- */

static void add_holder(_Atomic size_t *holders)
{
    size_t before = atomic_fetch_add(holders, 1);

    ED_ASSERT(before > 0 && before < SIZE_MAX); // only a holder can share
}

void ed_channel_add_sender(ed_channel *channel)
{
    add_holder(&channel->senders);
}

void ed_channel_add_receiver(ed_channel *channel)
{
    add_holder(&channel->receivers);
}

/** @return whether the last one leaves. */
static bool remove_holder(_Atomic size_t *holders)
{
    size_t before = atomic_fetch_sub(holders, 1);

    ED_ASSERT(before > 0);
    return before == 1;
}

void ed_channel_close(ed_channel *channel)
{
    ed_mutex_lock(&channel->send_mutex);
    atomic_store(&channel->closed, true);
    ed_bell_ring(&channel->bell);
    size_t receivers = ed_sleepers_claim(&channel->receivers_asleep, ED_SLEEPERS_ALL);
    ed_mutex_unlock(&channel->send_mutex);
    ed_sleepers_wake(&channel->receivers_asleep, receivers);

    ed_mutex_lock(&channel->receive_mutex);
    size_t senders = ed_sleepers_claim(&channel->senders_asleep, ED_SLEEPERS_ALL);
    ed_mutex_unlock(&channel->receive_mutex);
    ed_sleepers_wake(&channel->senders_asleep, senders);
}

/** Only once nothing here needs the channel any more: the other side may free it at once. */
static void end_side(ed_channel *channel)
{
    if (remove_holder(&channel->sides))
        destroy(channel);
}

void ed_channel_leave_sender(ed_channel *channel)
{
    if (!remove_holder(&channel->senders))
        return;
    ed_channel_close(channel);
    end_side(channel);
}

void ed_channel_leave_receiver(ed_channel *channel)
{
    if (!remove_holder(&channel->receivers))
        return;
    ed_channel_close(channel);
    drop_items(channel);
    end_side(channel);
}

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

eddy_status ed_channel_push_until(ed_channel *channel, const void *items, size_t count,
                                  uint64_t deadline_ns)
{
    struct room room = {.channel = channel, .count = count};
    eddy_status status = ed_channel_push(channel, items, count);

    while (status == EDDY_EAGAIN && deadline_ns != 0 &&
           ed_sleepers_wait(&channel->senders_asleep, &channel->receive_mutex, has_room, &room,
                            deadline_ns))
        status = ed_channel_push(channel, items, count);
    return status;
}

/* ----------------------------------------------------------------------------------- pulling -- */

/** Whether a pull would not say EDDY_EAGAIN. */
static bool is_ready(const ed_channel *channel)
{
    return !ed_fifo_is_empty(&channel->fifo) || atomic_load(&channel->closed);
}

static inline size_t take(ed_channel *channel, void *items, size_t capacity)
{
    if (channel->pulls_alone)
        return ed_fifo_pull(&channel->fifo, items, capacity);
    if (ed_fifo_is_empty(&channel->fifo))
        return 0;
    ed_mutex_lock(&channel->receive_mutex);
    size_t count = ed_fifo_pull(&channel->fifo, items, capacity);
    size_t claimed = ed_sleepers_claim(&channel->senders_asleep, count);
    ed_mutex_unlock(&channel->receive_mutex);
    ed_sleepers_wake(&channel->senders_asleep, claimed);
    return count;
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

/** The last look before somebody sleeps, with the send mutex held. */
static bool look_again(void *context)
{
    ed_channel *channel = context;

    (void)atomic_exchange(&channel->watched, true);
    return is_ready(channel);
}

/** Sleeps at once: looking again for a while first cost more than it saved, on one processor or
 * two. */
static bool wait_for_items(ed_channel *channel, uint64_t deadline_ns)
{
    return ed_sleepers_wait(&channel->receivers_asleep, &channel->send_mutex, look_again, channel,
                            deadline_ns);
}

bool ed_channel_settle(ed_channel *channel)
{
    if (is_ready(channel))
        return true;
    if (!ed_bell_is_loud(&channel->bell))
        return false;
    ed_mutex_lock(&channel->send_mutex);
    bool ready = look_again(channel);
    if (!ready)
        ed_bell_hush(&channel->bell);
    ed_mutex_unlock(&channel->send_mutex);
    return ready;
}

eddy_status ed_channel_pull(ed_channel *channel, void *items, size_t capacity, size_t *count,
                            uint64_t deadline_ns)
{
    ED_ASSERT(capacity > 0);
    eddy_status status = try_pull(channel, items, capacity, count);
    while (status == EDDY_EAGAIN && deadline_ns != 0 && wait_for_items(channel, deadline_ns))
        status = try_pull(channel, items, capacity, count);
    if (status == EDDY_EAGAIN)
        (void)ed_channel_settle(channel);
    return status;
}

/* ------------------------------------------------------------------------ waiting, and looks -- */

void ed_channel_nudge(ed_channel *channel)
{
    ed_mutex_lock(&channel->send_mutex);
    ed_bell_nudge(&channel->bell);
    ed_mutex_unlock(&channel->send_mutex);
}

int ed_channel_fd(ed_channel *channel)
{
    ed_mutex_lock(&channel->send_mutex);
    int fd = ed_bell_fd(&channel->bell);
    if (fd >= 0 && look_again(channel))
        ed_bell_ring(&channel->bell);
    ed_mutex_unlock(&channel->send_mutex);
    return fd;
}

size_t ed_channel_item_size(const ed_channel *channel)
{
    return channel->fifo.item_size;
}

size_t ed_channel_length(const ed_channel *channel)
{
    return ed_fifo_length(&channel->fifo);
}

size_t ed_channel_high_water(const ed_channel *channel)
{
    return atomic_load_explicit(&channel->fifo.length_max, memory_order_relaxed);
}

uint64_t ed_channel_wakes(const ed_channel *channel)
{
    return atomic_load(&channel->receivers_asleep.calls) +
           atomic_load(&channel->senders_asleep.calls) + atomic_load(&channel->bell.rings);
}
