/**
 * An unbounded queue of items of one size, between any number of threads. Pushing never blocks.
 * Either side may close: after the senders close, what was pushed is still pulled, then pulls say
 * EDDY_ECLOSED; after the receivers close, pushes are refused and the items left are dropped by the
 * `drop` callback. Each side counts its holders; the last one to leave closes it.
 *
 * Memory grows by a chunk of items at a time and is kept for what comes later: a warm channel
 * allocates nothing, and none has more than its high water mark and a chunk ask for.
 */
#ifndef ED_CHANNEL_H
#define ED_CHANNEL_H

#include "core/eddy.h"

typedef struct ed_channel ed_channel;

/**
 * What becomes of an item that nobody will pull; NULL: nothing. The last receiver calls it as it
 * leaves, oldest item first, with the channel locked: it must not call the channel.
 */
typedef void (*ed_channel_drop)(void *context, void *item);

/** With one sender and one receiver. @return NULL out of memory. */
ed_channel *ed_channel_create(const eddy_allocator *allocator, size_t item_size,
                              ed_channel_drop drop, void *drop_context);

/** Counts one more holder of a side. */
void ed_channel_add_sender(ed_channel *channel);
void ed_channel_add_receiver(ed_channel *channel);

/** One holder leaves; the last closes the side. When both sides are closed the channel is freed. */
void ed_channel_leave_sender(ed_channel *channel);
void ed_channel_leave_receiver(ed_channel *channel);

/**
 * Closes the senders' side now, whoever still holds it: pushes are refused from here on, what is
 * there is still pulled. Holders leave as usual.
 */
void ed_channel_close(ed_channel *channel);

/** Appends `count` items, all or none. @return EDDY_OK, EDDY_ECLOSED or EDDY_ENOMEM. */
EDDY_MUST_CHECK eddy_status ed_channel_push(ed_channel *channel, const void *items, size_t count);

/**
 * Makes the descriptor readable until the next pull, though there may be nothing to pull: for news
 * that comes another way. Needs no memory; no sleeper of a pull wakes.
 */
void ed_channel_nudge(ed_channel *channel);

/**
 * Takes up to `capacity` items, in order, as soon as there is one.
 * @param deadline_ns of ed_clock_now_ns(); 0: do not wait; UINT64_MAX: no limit.
 * @return EDDY_OK with `*count` above 0; EDDY_EAGAIN or EDDY_ECLOSED with `*count` 0.
 */
EDDY_MUST_CHECK eddy_status ed_channel_pull(ed_channel *channel, void *items, size_t capacity,
                                            size_t *count, uint64_t deadline_ns);

/** How many items wait. */
size_t ed_channel_length(ed_channel *channel);

/** The most that ever waited. */
size_t ed_channel_high_water(ed_channel *channel);

/**
 * A descriptor that is readable while a pull would not say EDDY_EAGAIN, or after a nudge. Made on
 * first use; before that, pushing costs no system call unless somebody sleeps in a pull. -1: the
 * system refused.
 */
int ed_channel_fd(ed_channel *channel);

#endif
