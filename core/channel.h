/**
 * A queue of items of one size, between any number of threads. Either side may close: after the
 * senders close, what was pushed is still pulled, then pulls say EDDY_ECLOSED; after the receivers
 * close, pushes are refused and the items left are dropped by the `drop` callback. Each side counts
 * its holders; the last one to leave closes it.
 *
 * Unbounded, pushing never blocks. Memory grows by a chunk of items at a time and is kept for what
 * comes later: see core/fifo.h. With a capacity, a push waits for room.
 */
#ifndef ED_CHANNEL_H
#define ED_CHANNEL_H

#include "core/eddy.h"
#include "core/wake.h"

typedef struct eddy_channel ed_channel;

/**
 * What becomes of an item that nobody will pull; NULL: nothing. The last receiver calls it as it
 * leaves, oldest item first; it may leave other sides, of this channel too. An item that a single
 * sender pushes at that very moment is dropped when the sender leaves.
 */
typedef void (*ed_channel_drop)(void *context, void *item);

/** Unbounded; the caller holds both sides. @return NULL out of memory. */
ed_channel *ed_channel_create(const eddy_allocator *allocator, size_t item_size,
                              ed_channel_drop drop, void *drop_context);

/** With a side that one thread at a time uses, an unbounded channel takes no lock there. */
typedef struct ed_channel_form {
    const eddy_allocator *allocator; /* copied */
    size_t item_size;
    size_t capacity;   /* items at most; 0: unbounded */
    bool one_sender;   /* one thread at a time pushes, or closes */
    bool one_receiver; /* one thread at a time pulls */
    ed_channel_drop drop;
    void *drop_context;
} ed_channel_form;

/** The same, of any form. */
ed_channel *ed_channel_open(const ed_channel_form *form);

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

/**
 * Appends `count` items, all or none, without waiting.
 * @return EDDY_OK, EDDY_ECLOSED, EDDY_ENOMEM; bounded also EDDY_EAGAIN, without room now, and
 * EDDY_ETOOBIG, without room ever.
 */
EDDY_MUST_CHECK eddy_status ed_channel_push(ed_channel *channel, const void *items, size_t count);

/**
 * The same, and waits for room for all of them. Others that need less may come first.
 * @param deadline_ns of ed_clock_now_ns(); 0: do not wait; UINT64_MAX: no limit.
 */
EDDY_MUST_CHECK eddy_status ed_channel_push_until(ed_channel *channel, const void *items,
                                                  size_t count, uint64_t deadline_ns);

/**
 * Makes the descriptor readable until a pull finds nothing, though there may be nothing to pull:
 * for news that comes another way. Needs no memory; no sleeper of a pull wakes.
 */
void ed_channel_nudge(ed_channel *channel);

/**
 * Takes up to `capacity` items, in order, as soon as there is one.
 * @param deadline_ns of ed_clock_now_ns(); 0: do not wait; UINT64_MAX: no limit.
 * @return EDDY_OK with `*count` above 0; EDDY_EAGAIN or EDDY_ECLOSED with `*count` 0.
 */
EDDY_MUST_CHECK eddy_status ed_channel_pull(ed_channel *channel, void *items, size_t capacity,
                                            size_t *count, uint64_t deadline_ns);

size_t ed_channel_item_size(const ed_channel *channel);

/** How many items wait. */
size_t ed_channel_length(const ed_channel *channel);

/** The most that ever waited. */
size_t ed_channel_high_water(const ed_channel *channel);

/** Calls of the system that were made to wake somebody, ever. */
uint64_t ed_channel_wakes(const ed_channel *channel);

/**
 * A descriptor that is readable while a pull has something to say, and then until one says
 * EDDY_EAGAIN; and after a nudge. Made on first use. -1: the system refused.
 */
int ed_channel_fd(ed_channel *channel);

/**
 * The same descriptor for one sleep: while nobody sleeps, and nobody has it by ed_channel_fd,
 * nothing is written to it.
 * @return EDDY_OK; or no sleep begins: EDDY_EAGAIN, the descriptor would be readable; EDDY_ESYSTEM.
 */
EDDY_MUST_CHECK eddy_status ed_channel_begin_sleep(ed_channel *channel, int *fd);
void ed_channel_end_sleep(ed_channel *channel);

/** @return whether a pull would not say EDDY_EAGAIN now; false like such a pull: see the above. */
bool ed_channel_settle(ed_channel *channel);

enum { ED_CHANNEL_WAIT_MAX = ED_WAKE_WAIT_MAX };

/**
 * Waits until a pull from one of up to ED_CHANNEL_WAIT_MAX channels would not say EDDY_EAGAIN,
 * which stays so unless another receiver pulls first. The caller is a receiver of each.
 * @param first where to look first: 0 prefers those in front, one behind the last is fair.
 * @return EDDY_OK with `*ready` its place; EDDY_EAGAIN, or EDDY_ESYSTEM if one has no descriptor.
 */
EDDY_MUST_CHECK eddy_status ed_channel_wait(ed_channel *const *channels, size_t count, size_t first,
                                            uint64_t deadline_ns, size_t *ready);

#endif
