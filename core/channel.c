#include "core/channel.h"

#include "core/alloc.h"
#include "core/base.h"
#include "core/channel_state.h"

enum {
    SIDE_COUNT = 2,
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
    if (ed_sleepers_init(&channel->senders_asleep) != EDDY_OK)
        goto no_senders;
    if (ed_sleepers_init(&channel->batches_asleep) == EDDY_OK)
        return true;
    ed_sleepers_destroy(&channel->senders_asleep);
no_senders:
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
    ed_sleepers_destroy(&channel->batches_asleep);
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

    ed_channel_wake_senders(channel, ED_SLEEPERS_ALL);
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
    if (fd >= 0 && ed_channel_look_again(channel))
        ed_bell_ring(&channel->bell);
    ed_mutex_unlock(&channel->send_mutex);
    return fd;
}

eddy_status ed_channel_begin_sleep(ed_channel *channel, int *fd)
{
    ed_mutex_lock(&channel->send_mutex);
    eddy_status status = ed_bell_begin_sleep(&channel->bell, fd);
    if (status == EDDY_OK && ed_channel_look_again(channel)) {
        ed_bell_end_sleep(&channel->bell);
        status = EDDY_EAGAIN;
    }
    ed_mutex_unlock(&channel->send_mutex);
    return status;
}

void ed_channel_end_sleep(ed_channel *channel)
{
    ed_mutex_lock(&channel->send_mutex);
    ed_bell_end_sleep(&channel->bell);
    ed_mutex_unlock(&channel->send_mutex);
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
           atomic_load(&channel->senders_asleep.calls) +
           atomic_load(&channel->batches_asleep.calls) + atomic_load(&channel->bell.rings);
}
