/** What a channel is, for the files that are it: core/channel.c and core/channel_items.c. */
#ifndef ED_CHANNEL_STATE_H
#define ED_CHANNEL_STATE_H

#include <stdatomic.h>

#include "core/bell.h"
#include "core/channel.h"
#include "core/fifo.h"
#include "core/sleepers.h"
#include "core/thread.h"

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
    ed_bell bell;         /* the send mutex guards it */
    _Atomic size_t sides; /* whose last holder has not left */

    uint8_t apart[ED_FIFO_LINE_SIZE];
    _Atomic bool watched; /* somebody may sleep: what a sender that takes no mutex looks at */
    ed_mutex send_mutex;  /* held by who pushes */
    ed_sleepers receivers_asleep; /* for items; the send mutex guards it */
    _Atomic size_t senders;

    uint8_t apart_too[ED_FIFO_LINE_SIZE];
    ed_mutex receive_mutex;     /* held by who pulls */
    ed_sleepers senders_asleep; /* for room for one; the receive mutex guards it */
    ed_sleepers batches_asleep; /* for more, and how much is theirs to say; guarded by the same */
    _Atomic size_t receivers;
};

/** There is room for `count` items more: wakes senders that it may be enough for. */
void ed_channel_wake_senders(ed_channel *channel, size_t count);

/**
 * With the send mutex held: the last look before somebody sleeps, whom senders see from here on.
 * @param channel an ed_channel. @return whether a pull would not say EDDY_EAGAIN.
 */
bool ed_channel_look_again(void *channel);

#endif
