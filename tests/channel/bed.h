/** A channel of numbers and some threads, for the tests of this folder. */
#ifndef ED_TEST_CHANNEL_BED_H
#define ED_TEST_CHANNEL_BED_H

#include "tests/support/check.h"

#include <poll.h>
#include <stdlib.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/clock.h"
#include "core/eddy_channel.h"
#include "core/thread.h"
#include "tests/support/seeds.h"

enum { BED_THREADS_MAX = 16 };

static inline bool is_full(void)
{
    const char *text = getenv("EDDY_FULL");

    return text != NULL && *text != '\0' && strcmp(text, "0") != 0;
}

/** How often a test does something: more with EDDY_FULL, less in a build that is slow. */
static inline uint64_t times(uint64_t quick, uint64_t full)
{
    uint64_t count = is_full() ? full : quick;

    return ed_seeds_slow_build() ? count / 10 + 1 : count;
}

static inline eddy_channel *open_channel(const eddy_channel_config *config)
{
    eddy_channel_config with_size = *config;
    eddy_channel *channel = NULL;

    with_size.item_size = config->item_size == 0 ? sizeof(uint64_t) : config->item_size;
    CHECK_EQ("open", eddy_channel_open(&channel, &with_size), EDDY_OK);
    return channel;
}

/** Of 64-bit numbers. */
static inline eddy_channel *open_numbers(size_t capacity)
{
    return open_channel(&(eddy_channel_config){.capacity = capacity});
}

static inline void leave_both(eddy_channel *channel)
{
    eddy_channel_leave(channel, EDDY_SENDERS);
    eddy_channel_leave(channel, EDDY_RECEIVERS);
}

static inline eddy_status send_until(eddy_channel *channel, uint64_t number, uint64_t deadline_ns)
{
    return eddy_channel_send(channel, &number, 1, deadline_ns);
}

static inline eddy_status send_number(eddy_channel *channel, uint64_t number)
{
    return send_until(channel, number, EDDY_NO_DEADLINE);
}

static inline eddy_status try_send(eddy_channel *channel, uint64_t number)
{
    return send_until(channel, number, 0);
}

static inline eddy_status receive_until(eddy_channel *channel, uint64_t *number,
                                        uint64_t deadline_ns)
{
    size_t count = 0;

    return eddy_channel_receive(channel, number, 1, &count, deadline_ns);
}

static inline eddy_status receive_number(eddy_channel *channel, uint64_t *number)
{
    return receive_until(channel, number, EDDY_NO_DEADLINE);
}

static inline eddy_status try_receive(eddy_channel *channel, uint64_t *number)
{
    return receive_until(channel, number, 0);
}

static inline uint64_t soon_ns(uint64_t wait_ns)
{
    return ed_clock_now_ns() + wait_ns;
}

static inline eddy_channel_stats stats_of(const eddy_channel *channel)
{
    eddy_channel_stats stats;

    eddy_channel_get_stats(channel, &stats);
    return stats;
}

/** Threads that a test started. */
typedef struct crew {
    ed_thread threads[BED_THREADS_MAX];
    size_t count;
} crew;

static inline void crew_start(crew *c, void (*run)(void *context), void *context)
{
    CHECK("few threads", c->count < BED_THREADS_MAX);
    CHECK_EQ("start", ed_thread_start(&c->threads[c->count++], "eddy-test", run, context), EDDY_OK);
}

static inline void crew_join(crew *c)
{
    for (; c->count > 0; c->count--)
        ed_thread_join(&c->threads[c->count - 1]);
}

/** One end of a channel, in a thread: what it sends, or what it got. */
typedef struct end {
    eddy_channel *channel;
    uint64_t first; /* sends first, first + 1, ... */
    uint64_t count; /* numbers to send, or to receive at most */
    uint64_t got;   /* how many were received, or sent */
    uint64_t sum;   /* of them */
    uint64_t disorder;
    eddy_status status; /* the last */
} end;

static inline void run_sender(void *context)
{
    end *e = context;

    e->status = EDDY_OK;
    while (e->got < e->count && e->status == EDDY_OK) {
        e->status = send_number(e->channel, e->first + e->got);
        if (e->status == EDDY_OK)
            e->sum += e->first + e->got++;
    }
    eddy_channel_leave(e->channel, EDDY_SENDERS);
}

/** Comes when others sleep already, or not: a test holds for both. */
static inline void run_late_sender(void *context)
{
    (void)poll(NULL, 0, 2);
    run_sender(context);
}

static inline void run_receiver(void *context)
{
    end *e = context;
    uint64_t before = 0;
    uint64_t number = 0;

    e->status = EDDY_OK;
    while (e->got < e->count && (e->status = receive_number(e->channel, &number)) == EDDY_OK) {
        e->disorder += e->got > 0 && number <= before; // where there is one sender
        before = number;
        e->sum += number;
        e->got++;
    }
    eddy_channel_leave(e->channel, EDDY_RECEIVERS);
}

/** Starts a sender, or a receiver, that is one more holder of its side. */
static inline void crew_send(crew *c, end *e)
{
    eddy_channel_share(e->channel, EDDY_SENDERS);
    crew_start(c, run_sender, e);
}

static inline void crew_receive(crew *c, end *e)
{
    eddy_channel_share(e->channel, EDDY_RECEIVERS);
    crew_start(c, run_receiver, e);
}

#endif
