/**
 * Channels: how a game's own threads pass items to each other, such as what its simulation passes
 * to its loader. eddy moves its events through the same ones. Include it besides <eddy.h> where it
 * is needed.
 *
 * A channel copies items of one size from its senders to its receivers, in the order in which they
 * were sent; each item goes to one receiver. What an item points to belongs to whoever has the
 * item: the sender until EDDY_OK, then the channel, then the receiver; what no receiver takes goes
 * to `drop`.
 *
 * Threads: all calls from any thread. Each side counts its holders; the opener holds both sides.
 * Only who holds a side uses it, and only who holds a side gives it to others (eddy_channel_share).
 * The last holder to leave closes its side. After the senders have closed, what was sent is still
 * received, then receiving says EDDY_ECLOSED. After the receivers have closed, sending says so.
 * When both have, the channel is gone.
 *
 * Deadlines are times of eddy_now_ns(): 0 does not wait, EDDY_NO_DEADLINE waits without limit.
 *
 * Processes: a channel stays with the process that opened it. A child that was forked uses none of
 * its parent's channels, for a thread of the parent may have been in the middle of a call.
 */
#ifndef EDDY_CHANNEL_H
#define EDDY_CHANNEL_H

#include "eddy_base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eddy_channel eddy_channel;

#define EDDY_NO_DEADLINE UINT64_MAX

typedef enum eddy_side {
    EDDY_SENDERS = 0,
    EDDY_RECEIVERS = 1,
} eddy_side;

#define EDDY_CHANNEL_ITEM_SIZE_MAX (1024 * 1024)

/** What is not set is 0: nothing, or no. */
typedef struct eddy_channel_config {
    size_t item_size; /* bytes: 1 to EDDY_CHANNEL_ITEM_SIZE_MAX */
    size_t capacity;  /* items at most, so that a sender waits for room; 0: no limit but memory */

    /** One thread at a time sends, or receives: cheaper, as an unbounded channel needs no lock
     * then. With one sender nobody else calls eddy_channel_close: what it sends at that moment
     * might come after EDDY_ECLOSED, or be dropped. */
    bool one_sender;
    bool one_receiver;

    /** What becomes of an item that nobody will receive. Called as the receivers close (or as the
     * one sender does, which may have been sending), oldest first. It may leave channels, this one
     * too where an item holds a side of it. */
    void (*drop)(void *context, void *item);
    void *drop_context;
    const eddy_allocator *allocator; /* NULL: as in eddy_config. Copied. Used by every holder */
} eddy_channel_config;

/** @return EDDY_OK, EDDY_ECONFIG or EDDY_ENOMEM; then `*channel` is NULL. */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_channel_open(eddy_channel **channel,
                                                       const eddy_channel_config *config);

/** Counts one more holder of a side. */
EDDY_API void eddy_channel_share(eddy_channel *channel, eddy_side side);

/** One holder leaves a side, and does not use it again. */
EDDY_API void eddy_channel_leave(eddy_channel *channel, eddy_side side);

/** Closes the senders' side though it has holders, who leave as usual. The caller is any holder. */
EDDY_API void eddy_channel_close(eddy_channel *channel);

/**
 * Sends `count` items, all together or none. Bounded, it waits until there is room for all; others
 * that need less may go first.
 * @return EDDY_OK, EDDY_ECLOSED, EDDY_ENOMEM, EDDY_EINVAL (`items` NULL); bounded also EDDY_EAGAIN,
 * at the deadline, and EDDY_ETOOBIG, where there will never be room.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_channel_send(eddy_channel *channel, const void *items,
                                                       size_t count, uint64_t deadline_ns);

/**
 * Receives up to `capacity` items, which are as many as there are, as soon as there is one.
 * @return EDDY_OK with `*count` above 0; EDDY_EAGAIN, at the deadline, EDDY_ECLOSED, or EDDY_EINVAL
 * (a capacity of 0, or `items` NULL) with `*count` 0.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_channel_receive(eddy_channel *channel, void *items,
                                                          size_t capacity, size_t *count,
                                                          uint64_t deadline_ns);

/**
 * A descriptor for poll() and its kind: readable while eddy_channel_receive has something to say,
 * and then until it says EDDY_EAGAIN. So receive until then before you sleep on it. Made on first
 * use, and the channel's to close. Before that, and while nobody sleeps, sending makes no system
 * call. -1: refused.
 */
EDDY_API int eddy_channel_fd(eddy_channel *channel);

#define EDDY_CHANNEL_WAIT_MAX 64 /* channels that one call waits on */

/**
 * Waits until one of several channels has something to receive, or is closed. It stays so unless
 * another receiver is faster: then receive says EDDY_EAGAIN, and nothing is lost.
 * @param first where to look first. 0, always: those in front are preferred. One behind the last
 * `*ready`: each has its turn.
 * @return EDDY_OK with `*ready` its place; EDDY_EAGAIN, at the deadline or up to a millisecond
 * later; EDDY_EINVAL: none, or too many; EDDY_ESYSTEM: one has no descriptor.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_channel_wait(eddy_channel *const *channels, size_t count,
                                                       size_t first, uint64_t deadline_ns,
                                                       size_t *ready);

typedef struct eddy_channel_stats {
    size_t length;     /* items that wait now */
    size_t length_max; /* the most that ever did */
    size_t size;       /* bytes of the items that wait now */
    uint64_t wakes;    /* system calls that were made to wake somebody */
} eddy_channel_stats;

EDDY_API void eddy_channel_get_stats(const eddy_channel *channel, eddy_channel_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
