/** The seeds' futures and executors: what they show, done with the loop, its timers and workers. */
#include "tests/support/check.h"

#include <stdio.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/channel.h"
#include "core/clock.h"
#include "core/eddy_loop.h"

#define MS ED_NS_PER_MS

enum {
    RESULT_SIZE = 96,
    POSTS = 20 * 1000, /* the seed's executor panics beyond 10,000 */
    LIMIT_MS = 20 * 1000,
};

static ed_counting_alloc memory;
static eddy_loop *loop;
static char result[RESULT_SIZE]; /* what was said, in order */

static int open_loop(void **state)
{
    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    result[0] = '\0';
    return eddy_loop_create(&loop, &memory.allocator) == EDDY_OK ? 0 : -1;
}

static int close_loop(void **state)
{
    (void)state;
    CHECK_EQ("destroy", eddy_loop_destroy(loop), EDDY_OK);
    CHECK_EQ("leaked", memory.live_count, 0);
    return 0;
}

static void say(const char *words)
{
    size_t size = strlen(result);

    CHECK("room", size + strlen(words) + 2 < sizeof result);
    (void)snprintf(result + size, sizeof result - size, "%s%s", size > 0 ? "|" : "", words);
}

/** A task of the seed: says something, waits, and says something else. */
typedef struct talk {
    eddy_timer *timer;
    const char *first;
    const char *last;
    uint64_t wait_ns;
    uint64_t begun_ns;
    unsigned steps;
    bool ends_loop; /* the last thing that refers to it */
} talk;

static void end_talk(void *context, eddy_timer *timer, uint64_t periods)
{
    talk *t = context;

    CHECK("never early", ed_clock_now_ns() - t->begun_ns >= t->wait_ns);
    CHECK_EQ("once", periods, 1);
    t->steps++;
    say(t->last);
    CHECK_EQ("destroy", eddy_timer_destroy(timer), EDDY_OK);
    t->timer = NULL;
}

static void begin_talk(void *context)
{
    talk *t = context;

    t->steps++;
    if (t->first != NULL)
        say(t->first);
    CHECK_EQ("timer", eddy_timer_create(loop, end_talk, t, &t->timer), EDDY_OK);
    t->begun_ns = ed_clock_now_ns();
    CHECK_EQ("start", eddy_timer_start(t->timer, t->wait_ns), EDDY_OK);
}

/** Example 1: a timer is not completed, then it is; woken by the last of two starts alone. */
static void a_timer_completes_once(void **state)
{
    talk t = {.last = "completed", .wait_ns = 3600 * 1000 * MS};

    (void)state;
    begin_talk(&t);
    CHECK_EQ("not yet", eddy_loop_poll(loop, 0), EDDY_EAGAIN);
    CHECK_STR("not completed", result, "");
    t.wait_ns = 10 * MS;
    t.begun_ns = ed_clock_now_ns();
    CHECK_EQ("the latest counts", eddy_timer_start(t.timer, t.wait_ns), EDDY_OK);
    CHECK_EQ("await", eddy_loop_run(loop, NULL), EDDY_OK);
    CHECK_STR("once", result, "completed");
    CHECK_EQ("steps", t.steps, 2);
}

/** Example 2: the executor runs out of tasks once the spawner is gone. */
static void an_executor_ends_with_its_spawner(void **state)
{
    talk t = {.first = "hello, start timer!", .last = "bye, timer finished!", .wait_ns = 10 * MS};

    (void)state;
    eddy_loop_ref(loop); // the spawner
    CHECK_EQ("spawn", eddy_loop_post(loop, begin_talk, &t), EDDY_OK);
    CHECK_STR("nothing runs before", result, "");
    CHECK_EQ("the spawner goes", eddy_loop_unref(loop), EDDY_OK);
    CHECK_EQ("run", eddy_loop_run(loop, NULL), EDDY_OK);
    CHECK_STR("both, in order", result, "hello, start timer!|bye, timer finished!");
    CHECK_EQ("polled twice", t.steps, 2);
}

static void count_post(void *context)
{
    *(unsigned *)context += 1;
}

static void many_tasks_are_no_too_many(void **state)
{
    unsigned ran = 0;

    (void)state;
    for (int i = 0; i < POSTS; i++)
        CHECK_EQ("post", eddy_loop_post(loop, count_post, &ran), EDDY_OK);
    CHECK_EQ("run", eddy_loop_run(loop, NULL), EDDY_OK);
    CHECK_EQ("all", ran, POSTS);
}

/** Example 3: tasks share data on one thread; nothing runs until the loop does. */
static void a_local_set_runs_when_it_is_told(void **state)
{
    talk start = {.first = "start", .last = "", .wait_ns = 0};
    talk middle = {.last = "middle", .wait_ns = 2 * MS};
    talk end = {.last = "end", .wait_ns = 2 * MS};

    (void)state;
    CHECK_EQ("spawn", eddy_loop_post(loop, begin_talk, &start), EDDY_OK);
    CHECK_STR("nothing", result, "");
    while (start.steps == 0) // run_until, for whatever one waits for
        CHECK_EQ("poll", eddy_loop_poll(loop, EDDY_FOREVER), EDDY_OK);
    CHECK_STR("the first", result, "start");
    begin_talk(&middle);
    while (middle.steps < 2)
        CHECK_EQ("poll", eddy_loop_poll(loop, EDDY_FOREVER), EDDY_OK);
    CHECK_EQ("spawn", eddy_loop_post(loop, begin_talk, &end), EDDY_OK);
    CHECK_EQ("the rest", eddy_loop_run(loop, NULL), EDDY_OK);
    CHECK_STR("in order", result, "start||middle|end");
}

/* ------------------------------------------------------- example 4: join, select and spawn -- */

static void join_waits_for_all(void **state)
{
    talk tasks[] = {{.last = "task_1", .wait_ns = 2 * MS},
                    {.last = "task_2", .wait_ns = 4 * MS},
                    {.last = "task_3", .wait_ns = 6 * MS}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(tasks); i++)
        begin_talk(&tasks[i]);
    CHECK_EQ("run", eddy_loop_run(loop, NULL), EDDY_OK);
    say("all tasks done");
    CHECK_STR("in order", result, "task_1|task_2|task_3|all tasks done");
}

static void select_takes_the_first_and_drops_the_others(void **state)
{
    talk tasks[] = {{.last = "task_1", .wait_ns = 2 * MS},
                    {.last = "task_2", .wait_ns = LIMIT_MS * MS},
                    {.last = "task_3", .wait_ns = LIMIT_MS * MS}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(tasks); i++)
        begin_talk(&tasks[i]);
    while (tasks[0].steps < 2)
        CHECK_EQ("poll", eddy_loop_poll(loop, EDDY_FOREVER), EDDY_OK);
    say("task_1 done");
    for (size_t i = 1; i < ED_COUNT(tasks); i++)
        CHECK_EQ("drop", eddy_timer_destroy(tasks[i].timer), EDDY_OK);
    CHECK_EQ("nothing is left", eddy_loop_run(loop, NULL), EDDY_OK);
    say("one task done");
    CHECK_STR("in order", result, "task_1|task_1 done|one task done");
}

static void *print_task(void *context)
{
    return context;
}

static void spawn_runs_on_five_threads(void **state)
{
    const eddy_workers_options five = {.count = 5, .allocator = &memory.allocator};
    static char names[] = {'1', '2', '3'};
    eddy_workers *workers = NULL;
    eddy_task *tasks[ED_COUNT(names)];
    void *results[ED_COUNT(names)];

    (void)state;
    CHECK_EQ("open", eddy_workers_open(&workers, &five), EDDY_OK);
    for (size_t i = 0; i < ED_COUNT(names); i++)
        CHECK_EQ("spawn", eddy_workers_run(workers, print_task, &names[i], &tasks[i]), EDDY_OK);
    CHECK_EQ("await", eddy_task_join_all(tasks, ED_COUNT(names), LIMIT_MS, results), EDDY_OK);
    for (size_t i = 0; i < ED_COUNT(names); i++)
        CHECK("each its own", results[i] == &names[i]);
    CHECK_EQ("close", eddy_workers_close(workers), EDDY_OK);
}

/** Example 5: a stream of four, and an end that stays. */
static void a_stream_gives_its_items_and_then_its_end(void **state)
{
    static const char items[] = {'a', 'b', 'c', 'd'};
    ed_channel *stream = ed_channel_create(&memory.allocator, 1, NULL, NULL);
    size_t count = 0;
    size_t got = 0;
    char item = 0;

    (void)state;
    CHECK("stream", stream != NULL);
    CHECK_EQ("push", ed_channel_push(stream, items, ED_COUNT(items)), EDDY_OK);
    ed_channel_leave_sender(stream);
    while (ed_channel_pull(stream, &item, 1, &got, ED_NEVER_NS) == EDDY_OK)
        CHECK_EQ("in order", item, items[count++]);
    CHECK_EQ("all", count, ED_COUNT(items));
    for (int i = 0; i < 3; i++)
        CHECK_EQ("the end", ed_channel_pull(stream, &item, 1, &got, ED_NEVER_NS), EDDY_ECLOSED);
    ed_channel_leave_receiver(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_timer_completes_once, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(an_executor_ends_with_its_spawner, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(many_tasks_are_no_too_many, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_local_set_runs_when_it_is_told, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(join_waits_for_all, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(select_takes_the_first_and_drops_the_others, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(spawn_runs_on_five_threads, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_stream_gives_its_items_and_then_its_end, open_loop,
                                        close_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
