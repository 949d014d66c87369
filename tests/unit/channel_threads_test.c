/** The channel between threads: nothing lost, nothing twice, nobody left asleep. */
#include "tests/support/check.h"

#include <poll.h>
#include <stdatomic.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/channel.h"
#include "core/clock.h"
#include "core/thread.h"

enum {
    THREADS_MAX = 4,
    ITEMS_MAX = 100 * 1000, /* of all senders together */
    BATCH_MAX = 32,
    ROUNDS = 200,
};

typedef struct item {
    uint32_t sender;
    uint32_t number; /* of this sender's, from 0 */
} item;

/** How a receiver waits. */
typedef enum wait_kind {
    WAIT_FOREVER,
    WAIT_LONG,  /* a deadline so far away that it could wrap */
    WAIT_BRIEF, /* and try again */
    WAIT_FD,
    WAIT_NOT, /* gives the processor to others by asking again */
} wait_kind;

typedef struct traffic {
    ed_counting_alloc memory;
    ed_channel *channel;
    uint32_t per_sender;
    size_t batch;
    wait_kind wait;
    uint64_t receive_max; /* a receiver leaves after so many; UINT64_MAX: at the end */
    _Atomic uint32_t next_sender;
    _Atomic uint64_t accepted;
    _Atomic uint64_t pulled;
    _Atomic uint64_t dropped;
    _Atomic uint64_t out_of_order;
    _Atomic uint64_t bad_status;
    _Atomic uint8_t seen[ITEMS_MAX];
} traffic;

static traffic shared; // too large for the stack

static void count_drop(void *context, void *dropped)
{
    traffic *t = context;
    const item *it = dropped;

    t->seen[it->sender * t->per_sender + it->number]++;
    t->dropped++;
}

static void run_sender(void *context)
{
    traffic *t = context;
    uint32_t sender = t->next_sender++;
    item items[BATCH_MAX];
    uint32_t number = 0;

    while (number < t->per_sender) {
        size_t count = ed_min_size(t->batch, t->per_sender - number);
        for (size_t i = 0; i < count; i++)
            items[i] = (item){.sender = sender, .number = number + (uint32_t)i};
        eddy_status status = ed_channel_push(t->channel, items, count);
        if (status == EDDY_ECLOSED)
            break;
        t->bad_status += status != EDDY_OK;
        t->accepted += count;
        number += (uint32_t)count;
    }
    ed_channel_leave_sender(t->channel);
}

/** @return the deadline for the next pull, once it may be worth it. */
static uint64_t wait_before_pull(traffic *t)
{
    struct pollfd poll_fd = {.fd = -1, .events = POLLIN};

    switch (t->wait) {
    case WAIT_FOREVER:
        return UINT64_MAX;
    case WAIT_LONG:
        return UINT64_MAX - 1;
    case WAIT_BRIEF:
        return ed_clock_now_ns() + ED_NS_PER_US;
    case WAIT_FD:
        poll_fd.fd = ed_channel_fd(t->channel);
        (void)poll(&poll_fd, 1, -1);
        return 0;
    case WAIT_NOT:
        break;
    }
    return 0;
}

static void take_items(traffic *t, const item *items, size_t count, uint32_t *next)
{
    for (size_t i = 0; i < count; i++) {
        t->out_of_order += items[i].number < next[items[i].sender];
        next[items[i].sender] = items[i].number + 1;
        t->seen[items[i].sender * t->per_sender + items[i].number]++;
    }
    t->pulled += count;
}

static void run_receiver(void *context)
{
    traffic *t = context;
    uint32_t next[THREADS_MAX] = {0}; // this receiver's view of every sender only goes forward
    item items[BATCH_MAX];
    uint64_t received = 0;

    while (received < t->receive_max) {
        size_t count = 0;
        uint64_t deadline_ns = wait_before_pull(t);
        eddy_status status = ed_channel_pull(t->channel, items, t->batch, &count, deadline_ns);
        if (status == EDDY_ECLOSED)
            break;
        t->bad_status += status == EDDY_EAGAIN && t->wait <= WAIT_LONG;
        take_items(t, items, count, next);
        received += count;
    }
    ed_channel_leave_receiver(t->channel);
}

static void traffic_open(traffic *t, size_t senders, size_t receivers)
{
    memset(t, 0, sizeof *t);
    ed_counting_alloc_init(&t->memory, NULL);
    t->receive_max = UINT64_MAX;
    t->channel = ed_channel_create(&t->memory.allocator, sizeof(item), count_drop, t);
    CHECK("create", t->channel != NULL);
    for (size_t i = 1; i < senders; i++)
        ed_channel_add_sender(t->channel);
    for (size_t i = 1; i < receivers; i++)
        ed_channel_add_receiver(t->channel);
}

static void start_all(traffic *t, ed_thread *threads, size_t count, void (*run)(void *context))
{
    for (size_t i = 0; i < count; i++)
        CHECK_EQ("start", ed_thread_start(&threads[i], "eddy-test", run, t), EDDY_OK);
}

static void join_all(ed_thread *threads, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ed_thread_join(&threads[i]);
}

/** Every item accepted was pulled or dropped, once, in order; and the channel is gone. */
static void check_traffic(traffic *t, const char *name)
{
    uint64_t more_than_once = 0;
    uint64_t seen = 0;

    for (size_t i = 0; i < ed_min_size(ITEMS_MAX, THREADS_MAX * t->per_sender); i++) {
        seen += t->seen[i];
        more_than_once += t->seen[i] > 1;
    }
    CHECK_EQ(name, more_than_once, 0);
    CHECK_EQ(name, seen, t->accepted);
    CHECK_EQ(name, t->pulled + t->dropped, t->accepted);
    CHECK_EQ(name, t->out_of_order, 0);
    CHECK_EQ(name, t->bad_status, 0);
    CHECK_EQ(name, t->memory.live_count, 0);
}

static void carries_all_between_threads(void **state)
{
    static const struct {
        const char *name;
        size_t senders;
        size_t receivers;
        size_t batch;
        wait_kind wait;
    } rows[] = {
        {"1 to 1", 1, 1, 1, WAIT_FOREVER},
        {"1 to 1 by batches", 1, 1, 32, WAIT_FOREVER},
        {"1 to 1, asking again and again", 1, 1, 1, WAIT_NOT},
        {"1 to 1 by descriptor", 1, 1, 1, WAIT_FD},
        {"4 to 1", 4, 1, 7, WAIT_LONG},
        {"1 to 4", 1, 4, 3, WAIT_FOREVER},
        {"4 to 4", 4, 4, 1, WAIT_FOREVER},
        {"4 to 4 by batches", 4, 4, 32, WAIT_FOREVER},
        {"4 to 4 with short waits", 4, 4, 5, WAIT_BRIEF},
        {"4 to 4 by descriptor", 4, 4, 5, WAIT_FD},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_thread senders[THREADS_MAX];
        ed_thread receivers[THREADS_MAX];
        traffic_open(&shared, rows[i].senders, rows[i].receivers);
        shared.per_sender = (uint32_t)(ITEMS_MAX / rows[i].senders);
        shared.batch = rows[i].batch;
        shared.wait = rows[i].wait;
        start_all(&shared, receivers, rows[i].receivers, run_receiver);
        start_all(&shared, senders, rows[i].senders, run_sender);
        join_all(senders, rows[i].senders);
        join_all(receivers, rows[i].receivers);
        check_traffic(&shared, rows[i].name);
        CHECK_EQ(rows[i].name, shared.pulled, ITEMS_MAX);
    }
}

static void receivers_may_leave_at_any_time(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        ed_thread senders[2];
        ed_thread receivers[2];
        traffic_open(&shared, 2, 2);
        shared.per_sender = 200;
        shared.batch = 1 + round % 5;
        shared.receive_max = round % 150;
        start_all(&shared, receivers, 2, run_receiver);
        start_all(&shared, senders, 2, run_sender);
        join_all(senders, 2);
        join_all(receivers, 2);
        check_traffic(&shared, "leaving");
    }
}

static void close_wakes_all_that_sleep(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        ed_thread receivers[THREADS_MAX];
        ed_thread senders[1];
        traffic_open(&shared, 2, THREADS_MAX);
        shared.batch = 1;
        shared.per_sender = round % 20;
        shared.wait = round % 2 == 0 ? WAIT_FOREVER : WAIT_FD;
        start_all(&shared, receivers, THREADS_MAX, run_receiver);
        start_all(&shared, senders, 1, run_sender);
        if (round % 3 == 0) // else the last sender's leave has to do it
            ed_channel_close(shared.channel);
        ed_channel_leave_sender(shared.channel);
        join_all(receivers, THREADS_MAX);
        join_all(senders, 1);
        check_traffic(&shared, "close");
    }
}

/** Sends back what comes, until nothing more does. */
static void run_echo(void *context)
{
    ed_channel **channels = context;
    uint32_t ball = 0;
    size_t count = 0;

    while (ed_channel_pull(channels[0], &ball, 1, &count, UINT64_MAX) == EDDY_OK)
        if (ed_channel_push(channels[1], &ball, 1) != EDDY_OK)
            break;
    ed_channel_leave_receiver(channels[0]);
    ed_channel_leave_sender(channels[1]);
}

/** Hangs if one push does not wake the one that sleeps. */
static void a_push_wakes_who_sleeps(void **state)
{
    ed_channel *channels[2];
    ed_thread echo;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(channels); i++)
        channels[i] = ed_channel_create(ed_alloc_default(), sizeof(uint32_t), NULL, NULL);
    CHECK_EQ("start", ed_thread_start(&echo, "eddy-test", run_echo, channels), EDDY_OK);
    for (uint32_t ball = 0; ball < 10 * ROUNDS; ball++) {
        uint32_t back = 0;
        size_t count = 0;
        CHECK_EQ("there", ed_channel_push(channels[0], &ball, 1), EDDY_OK);
        CHECK_EQ("back", ed_channel_pull(channels[1], &back, 1, &count, UINT64_MAX), EDDY_OK);
        CHECK_EQ("the same", back, ball);
    }
    ed_channel_leave_sender(channels[0]);
    ed_channel_leave_receiver(channels[1]);
    ed_thread_join(&echo);
}

/** Hangs if a batch wakes fewer than it has items for. */
static void a_batch_wakes_all_that_it_serves(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < ROUNDS / 10; round++) {
        ed_thread receivers[THREADS_MAX];
        item items[THREADS_MAX];
        for (uint32_t i = 0; i < THREADS_MAX; i++)
            items[i] = (item){.number = i};
        traffic_open(&shared, 1, THREADS_MAX);
        shared.batch = 1;
        shared.per_sender = THREADS_MAX;
        shared.receive_max = 1;
        start_all(&shared, receivers, THREADS_MAX, run_receiver);
        (void)poll(NULL, 0, 1); // most of them sleep by then; it passes if they do not
        CHECK_EQ("push", ed_channel_push(shared.channel, items, THREADS_MAX), EDDY_OK);
        shared.accepted += THREADS_MAX;
        join_all(receivers, THREADS_MAX);
        ed_channel_leave_sender(shared.channel);
        check_traffic(&shared, "batch");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_all_between_threads),
        cmocka_unit_test(receivers_may_leave_at_any_time),
        cmocka_unit_test(close_wakes_all_that_sleep),
        cmocka_unit_test(a_push_wakes_who_sleeps),
        cmocka_unit_test(a_batch_wakes_all_that_it_serves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
