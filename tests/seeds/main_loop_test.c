/** The seeds' event loop with a broadcast shutdown, and the updater beside a proxy. */
#include "tests/support/check.h"

#include <stdlib.h>

#include "core/base.h"
#include "core/channel.h"
#include "core/clock.h"
#include "core/eddy_loop.h"
#include "core/thread.h"
#include "tests/support/memory.h"
#include "tests/support/seeds.h"
#include "tests/support/splitmix.h"

enum {
    EVENTS = 10,
    THREADS = 5, /* one runs the loop, four send */
    SCHEDULES = 500,
    SCHEDULES_SLOW_BUILD = 100,
    SCHEDULES_FULL = 10 * 1000,
    SPINS_MAX = 2000,
    BATCH = 4,
};

static eddy_stop *create_stop(void)
{
    eddy_stop *stop = NULL;

    CHECK_EQ("stop", eddy_stop_create(&stop, &memory.allocator), EDDY_OK);
    return stop;
}

static ed_channel *create_channel(void)
{
    ed_channel *channel = ed_channel_create(&memory.allocator, sizeof(uint64_t), NULL, NULL);

    CHECK("channel", channel != NULL);
    return channel;
}

/* ---------------------------------------------------------------- a loop that takes from a channel
 */

/** Takes from a channel on a loop of its own, until it is stopped or nobody can send any more. */
typedef struct consumer {
    ed_channel *events;
    eddy_stop *stop;
    uint64_t count;
    uint64_t latest;
    unsigned calls;
    bool saw_end;
} consumer;

static bool take_events(void *context, eddy_watch *watch, unsigned ready)
{
    consumer *c = context;
    uint64_t events[BATCH];
    size_t count = 0;

    (void)watch, (void)ready;
    c->calls++;
    eddy_status status = ed_channel_pull(c->events, events, BATCH, &count, 0);
    c->count += count;
    if (count > 0)
        c->latest = events[count - 1];
    c->saw_end = status == EDDY_ECLOSED;
    return status != EDDY_ECLOSED; // an end is ready for ever: no event, and nothing to look at
}

static void *consume(void *context)
{
    consumer *c = context;
    eddy_loop *loop = NULL;
    eddy_watch *watch = NULL;

    CHECK_EQ("loop", eddy_loop_create(&loop, &memory.allocator), EDDY_OK);
    CHECK_EQ(
        "watch",
        eddy_watch_create(loop, ed_channel_fd(c->events), EDDY_FD_READABLE, take_events, c, &watch),
        EDDY_OK);
    CHECK_EQ("run", eddy_loop_run(loop, c->stop), EDDY_OK);
    CHECK_EQ("unwatch", eddy_watch_destroy(watch), EDDY_OK);
    CHECK_EQ("destroy", eddy_loop_destroy(loop), EDDY_OK);
    ed_channel_leave_receiver(c->events);
    eddy_stop_unsubscribe(c->stop);
    return NULL;
}

/** One of those that send in parallel. */
typedef struct sender {
    ed_channel *events;
    uint64_t random;
} sender;

static void dawdle(uint64_t *random)
{
    uint32_t spins = splitmix_below(random, SPINS_MAX);

    if (splitmix_below(random, 3) == 0)
        ed_thread_yield();
    for (volatile uint32_t i = 0; i < spins; i++)
        continue;
}

static void *send_one(void *context)
{
    sender *s = context;
    uint64_t event = s->random;

    dawdle(&s->random);
    CHECK_EQ("send", ed_channel_push(s->events, &event, 1), EDDY_OK);
    dawdle(&s->random);
    ed_channel_leave_sender(s->events);
    return NULL;
}

/** Example 6, with whatever luck `seed` brings. */
static void run_schedule(eddy_workers *workers, uint64_t seed, const char *name)
{
    consumer c = {.events = create_channel(), .stop = create_stop()};
    sender senders[EVENTS];
    eddy_task *tasks[EVENTS];
    eddy_task *main_loop = NULL;

    eddy_stop_subscribe(c.stop); // the receiver that the seed keeps without a name
    eddy_stop_subscribe(c.stop); // the loop's
    CHECK_EQ(name, eddy_workers_run(workers, consume, &c, &main_loop), EDDY_OK);
    for (size_t i = 0; i < EVENTS; i++) {
        senders[i] = (sender){.events = c.events, .random = seed * EVENTS + i};
        ed_channel_add_sender(c.events);
        CHECK_EQ(name, eddy_workers_run(workers, send_one, &senders[i], &tasks[i]), EDDY_OK);
    }
    CHECK_EQ(name, eddy_task_join_all(tasks, EVENTS, EDDY_FOREVER, NULL), EDDY_OK);
    if (seed % 2 == 0)
        ed_channel_leave_sender(c.events); // half of the loops see the end of the events, too
    CHECK(name, eddy_stop_request(c.stop, 0, EDDY_FOREVER));
    CHECK_EQ(name, eddy_task_join(main_loop, EDDY_FOREVER, NULL), EDDY_OK);
    if (seed % 2 != 0)
        ed_channel_leave_sender(c.events);
    CHECK_EQ(name, c.count, EVENTS);
    CHECK_EQ(name, eddy_stop_subscribers(c.stop), 1);
    eddy_stop_unsubscribe(c.stop);
    CHECK_EQ(name, eddy_stop_subscribers(c.stop), 0);
    eddy_stop_disown(c.stop);
}

static void ten_events_are_ten_whatever_the_schedule(void **state)
{
    const eddy_workers_options options = {.count = THREADS, .allocator = &memory.allocator};
    uint64_t count = getenv("EDDY_FULL") != NULL ? SCHEDULES_FULL
                     : ed_seeds_slow_build()     ? SCHEDULES_SLOW_BUILD
                                                 : SCHEDULES;
    eddy_workers *workers = NULL;

    (void)state;
    CHECK_EQ("open", eddy_workers_open(&workers, &options), EDDY_OK);
    for (uint64_t seed = 1; seed <= count; seed++)
        run_schedule(workers, seed, ed_seeds_announce("seeds/main_loop_test", seed));
    CHECK_EQ("close", eddy_workers_close(workers), EDDY_OK);
}

/** The seed's loop counts the end of its events as one, and then spins. */
static void a_closed_channel_is_neither_an_event_nor_a_busy_loop(void **state)
{
    consumer c = {.events = create_channel(), .stop = create_stop()};
    eddy_loop *loop = NULL;
    eddy_watch *watch = NULL;

    (void)state;
    CHECK_EQ("loop", eddy_loop_create(&loop, &memory.allocator), EDDY_OK);
    CHECK_EQ(
        "watch",
        eddy_watch_create(loop, ed_channel_fd(c.events), EDDY_FD_READABLE, take_events, &c, &watch),
        EDDY_OK);
    ed_channel_leave_sender(c.events);
    uint64_t used_ns = ed_clock_thread_ns();
    CHECK_EQ("the end", eddy_loop_poll(loop, EDDY_FOREVER), EDDY_OK);
    CHECK_EQ("and then nothing", eddy_loop_poll(loop, 10), EDDY_EAGAIN);
    used_ns = ed_clock_thread_ns() - used_ns;
    CHECK("asleep", used_ns < ED_NS_PER_MS || ed_seeds_slow_build());
    CHECK_EQ("told once", c.calls, 1);
    CHECK("as the end", c.saw_end);
    CHECK_EQ("no event", c.count, 0);
    CHECK_EQ("unwatch", eddy_watch_destroy(watch), EDDY_OK);
    CHECK_EQ("destroy", eddy_loop_destroy(loop), EDDY_OK);
    ed_channel_leave_receiver(c.events);
    eddy_stop_disown(c.stop);
}

/* ------------------------------------------------------------------------------- the updater -- */

/** How the updater ends. */
typedef enum ending { BY_STOP, BY_LAST_OWNER, BY_LAST_SENDER } ending;

static void an_updater_applies_what_came_before_its_end(void **state)
{
    static const struct {
        const char *name;
        ending how;
    } rows[] = {
        {"told to stop", BY_STOP},
        {"whose owner has gone", BY_LAST_OWNER},
        {"whose sender has gone", BY_LAST_SENDER},
    };
    const eddy_workers_options options = {.count = 1, .allocator = &memory.allocator};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        consumer c = {.events = create_channel(), .stop = create_stop()};
        eddy_workers *workers = NULL;
        eddy_task *updater = NULL;
        uint64_t update = 41 + i;
        eddy_stop_subscribe(c.stop);
        CHECK_EQ(rows[i].name, eddy_workers_open(&workers, &options), EDDY_OK);
        CHECK_EQ(rows[i].name, eddy_workers_run(workers, consume, &c, &updater), EDDY_OK);
        CHECK_EQ(rows[i].name, ed_channel_push(c.events, &update, 1), EDDY_OK);
        eddy_stop_subscribe(c.stop); // so that we may ask it to the end
        if (rows[i].how == BY_STOP)
            (void)eddy_stop_request(c.stop, 0, EDDY_FOREVER);
        if (rows[i].how == BY_LAST_SENDER)
            ed_channel_leave_sender(c.events);
        else if (rows[i].how == BY_LAST_OWNER)
            eddy_stop_disown(c.stop);
        CHECK_EQ(rows[i].name, eddy_task_join(updater, EDDY_FOREVER, NULL), EDDY_OK);
        CHECK_EQ(rows[i].name, c.latest, update);
        CHECK_EQ(rows[i].name, eddy_stop_requested(c.stop), rows[i].how != BY_LAST_SENDER);
        if (rows[i].how != BY_LAST_SENDER) {
            CHECK_EQ(rows[i].name, ed_channel_push(c.events, &update, 1), EDDY_ECLOSED);
            ed_channel_leave_sender(c.events);
        }
        if (rows[i].how != BY_LAST_OWNER)
            eddy_stop_disown(c.stop);
        eddy_stop_unsubscribe(c.stop);
        CHECK_EQ(rows[i].name, eddy_workers_close(workers), EDDY_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MEMORY(ten_events_are_ten_whatever_the_schedule),
        WITH_MEMORY(a_closed_channel_is_neither_an_event_nor_a_busy_loop),
        WITH_MEMORY(an_updater_applies_what_came_before_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
