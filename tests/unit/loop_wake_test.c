/** What other threads and signal handlers may say to a loop. */
#include "tests/unit/loop_bed.h"

#include <signal.h>
#include <stdlib.h>

enum {
    STRIKES = 20 * 1000,
    STRIKES_SLOW_BUILD = 2000,
    STRIKES_FULL = 1000 * 1000,
};

static void wakes_before_it_looks_count_once(void **state)
{
    eddy_wake *wake = NULL;

    (void)state;
    CHECK_EQ("create", eddy_wake_create(loop, count_call, NULL, &wake), EDDY_OK);
    CHECK_EQ("none", eddy_loop_poll(loop, 0), EDDY_EAGAIN);
    for (int i = 0; i < 5; i++)
        eddy_wake_send(wake);
    CHECK_EQ("some", eddy_loop_poll(loop, EDDY_FOREVER), EDDY_OK);
    CHECK_EQ("one call", calls, 1);
    CHECK_EQ("and no more", eddy_loop_poll(loop, 0), EDDY_EAGAIN);
    eddy_wake_send(wake);
    CHECK_EQ("again", eddy_loop_poll(loop, EDDY_FOREVER), EDDY_OK);
    CHECK_EQ("another call", calls, 2);
    eddy_wake_send(wake);
    CHECK_EQ("destroy", eddy_wake_destroy(wake), EDDY_OK);
    CHECK_EQ("not called any more", eddy_loop_poll(loop, 0), EDDY_EAGAIN);
    CHECK_EQ("nobody", eddy_wake_destroy(NULL), EDDY_OK);
}

static eddy_wake *wakes[3];

static void destroy_wakes(void *context)
{
    count_call(context);
    for (size_t i = 0; i < ED_COUNT(wakes); i++)
        CHECK_EQ("destroy", eddy_wake_destroy(wakes[i]), EDDY_OK);
}

static void a_wake_may_destroy_others_that_are_pending(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(wakes); i++)
        CHECK_EQ("create", eddy_wake_create(loop, destroy_wakes, NULL, &wakes[i]), EDDY_OK);
    eddy_wake_send(wakes[1]);
    eddy_wake_send(wakes[2]);
    CHECK_EQ("run", eddy_loop_run(loop, NULL), EDDY_OK);
    CHECK_EQ("the first alone", calls, 1);
}

static void on_signal(int number)
{
    (void)number;
    eddy_wake_send(wakes[0]);
}

static void a_signal_handler_may_wake_it(void **state)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction before;

    (void)state;
    CHECK_EQ("create", eddy_wake_create(loop, count_call, NULL, &wakes[0]), EDDY_OK);
    sigemptyset(&action.sa_mask);
    CHECK_EQ("install", sigaction(SIGUSR1, &action, &before), 0);
    CHECK_EQ("raise", raise(SIGUSR1), 0);
    CHECK_EQ("run", eddy_loop_poll(loop, EDDY_FOREVER), EDDY_OK);
    CHECK_EQ("called", calls, 1);
    CHECK_EQ("restore", sigaction(SIGUSR1, &before, NULL), 0);
    CHECK_EQ("destroy", eddy_wake_destroy(wakes[0]), EDDY_OK);
}

/** A ball between two threads, each of which sleeps until it comes: a lost wake ends in a hang. */
typedef struct rally {
    eddy_loop *sides[2];
    eddy_wake *racquets[2]; /* of each side, which the other sends */
    uint64_t left[2];
} rally;

static rally game;

static void strike(void *context)
{
    size_t side = *(const size_t *)context;

    eddy_wake_send(game.racquets[1 - side]);
    game.left[side]--;
}

static void play(void *context)
{
    size_t side = *(const size_t *)context;

    while (game.left[side] > 0)
        CHECK_EQ("poll", eddy_loop_poll(game.sides[side], EDDY_FOREVER), EDDY_OK);
}

static void no_wake_is_lost(void **state)
{
    static size_t numbers[2] = {0, 1};
    uint64_t strikes = getenv("EDDY_FULL") != NULL ? STRIKES_FULL
                       : ed_seeds_slow_build()     ? STRIKES_SLOW_BUILD
                                                   : STRIKES;
    ed_thread thread;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        game.left[i] = strikes;
        CHECK_EQ("loop", eddy_loop_create(&game.sides[i], &memory.allocator), EDDY_OK);
        CHECK_EQ("wake", eddy_wake_create(game.sides[i], strike, &numbers[i], &game.racquets[i]),
                 EDDY_OK);
    }
    CHECK_EQ("thread", ed_thread_start(&thread, "player", play, &numbers[1]), EDDY_OK);
    eddy_wake_send(game.racquets[0]);
    play(&numbers[0]);
    ed_thread_join(&thread);
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ("wake", eddy_wake_destroy(game.racquets[i]), EDDY_OK);
        CHECK_EQ("loop", eddy_loop_destroy(game.sides[i]), EDDY_OK);
    }
}

static void unref_loop(void *context)
{
    (void)context;
    CHECK_EQ("unref", eddy_loop_unref(loop), EDDY_OK);
}

static void a_reference_of_another_thread_keeps_it_running(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++) {
        ed_thread thread;
        eddy_loop_ref(loop);
        CHECK_EQ("thread", ed_thread_start(&thread, "unref", unref_loop, NULL), EDDY_OK);
        CHECK_EQ("run", eddy_loop_run(loop, NULL), EDDY_OK);
        CHECK_EQ("none is left", loop->references, 0);
        ed_thread_join(&thread);
    }
}

static void post_and_unref(void *context)
{
    for (int i = 0; i < MANY; i++)
        CHECK_EQ("post", eddy_loop_post(loop, count_call, NULL), EDDY_OK);
    unref_loop(context);
}

static void posts_of_other_threads_all_run(void **state)
{
    ed_thread threads[3];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(threads); i++) {
        eddy_loop_ref(loop);
        CHECK_EQ("thread", ed_thread_start(&threads[i], "post", post_and_unref, NULL), EDDY_OK);
    }
    CHECK_EQ("run", eddy_loop_run(loop, NULL), EDDY_OK);
    for (size_t i = 0; i < ED_COUNT(threads); i++)
        ed_thread_join(&threads[i]);
    CHECK_EQ("all", calls, MANY * ED_COUNT(threads));
}

static void who_holds_no_reference_cannot_give_one_up(void **state)
{
    (void)state;
    CHECK_EQ("none", eddy_loop_unref(loop), EDDY_ESTATE);
    eddy_loop_ref(loop);
    CHECK_EQ("whoever has it would call a loop that is gone", eddy_loop_destroy(loop), EDDY_ESTATE);
    CHECK_EQ("one", eddy_loop_unref(loop), EDDY_OK);
    CHECK_EQ("no other", eddy_loop_unref(loop), EDDY_ESTATE);
    CHECK_EQ("none is left", loop->references, 0);
}

/* -------------------------------------------------------------------------- what is refused -- */

static bool ignore(void *context, eddy_watch *watch, unsigned ready)
{
    (void)context, (void)watch, (void)ready;
    return true;
}

static void refuse_all(void *context)
{
    eddy_watch *watch = NULL;
    eddy_timer *timer = context;
    eddy_wake *wake = NULL;

    CHECK_EQ("run", eddy_loop_run(loop, NULL), EDDY_ESTATE);
    CHECK_EQ("poll", eddy_loop_poll(loop, 0), EDDY_ESTATE);
    CHECK_EQ("destroy", eddy_loop_destroy(loop), EDDY_ESTATE);
    CHECK_EQ("watch", eddy_watch_create(loop, 0, 0, ignore, NULL, &watch), EDDY_ESTATE);
    CHECK_EQ("wake", eddy_wake_create(loop, count_call, NULL, &wake), EDDY_ESTATE);
    CHECK_EQ("unwake", eddy_wake_destroy(wakes[0]), EDDY_ESTATE);
    CHECK_EQ("start", eddy_timer_start(timer, 0), EDDY_ESTATE);
    CHECK_EQ("periodic", eddy_timer_start_periodic(timer, 0, ED_NS_PER_S, EDDY_LATE_ALL),
             EDDY_ESTATE);
    CHECK_EQ("cancel", eddy_timer_cancel(timer), EDDY_ESTATE);
    CHECK_EQ("free", eddy_timer_destroy(timer), EDDY_ESTATE);
    CHECK_EQ("but what is of any thread", eddy_loop_unref(loop), EDDY_OK);
}

static void start_refusals(void *context)
{
    ed_thread thread;

    CHECK_EQ("thread", ed_thread_start(&thread, "other", refuse_all, context), EDDY_OK);
    ed_thread_join(&thread);
    CHECK_EQ("nor a loop within itself", eddy_loop_run(loop, NULL), EDDY_ESTATE);
    CHECK_EQ("or its end", eddy_loop_destroy(loop), EDDY_ESTATE);
    CHECK_EQ("but the rest", eddy_timer_start(context, 0), EDDY_OK);
    CHECK_EQ("and the rest", eddy_wake_destroy(wakes[0]), EDDY_OK);
}

static void never(void *context, eddy_timer *timer, uint64_t periods)
{
    (void)context, (void)timer, (void)periods;
    calls++;
}

static void while_one_thread_runs_it_another_is_refused(void **state)
{
    eddy_timer *timer = NULL;

    (void)state;
    CHECK_EQ("timer", eddy_timer_create(loop, never, NULL, &timer), EDDY_OK);
    CHECK_EQ("wake", eddy_wake_create(loop, count_call, NULL, &wakes[0]), EDDY_OK);
    CHECK_EQ("post", eddy_loop_post(loop, start_refusals, timer), EDDY_OK);
    eddy_loop_ref(loop);
    CHECK_EQ("run", eddy_loop_run(loop, NULL), EDDY_OK);
    CHECK_EQ("the timer", calls, 1);
    CHECK_EQ("a timer is left", eddy_loop_destroy(loop), EDDY_ESTATE);
    CHECK_EQ("timer", eddy_timer_destroy(timer), EDDY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(wakes_before_it_looks_count_once),
        WITH_LOOP(a_wake_may_destroy_others_that_are_pending),
        WITH_LOOP(a_signal_handler_may_wake_it),
        WITH_LOOP(no_wake_is_lost),
        WITH_LOOP(a_reference_of_another_thread_keeps_it_running),
        WITH_LOOP(posts_of_other_threads_all_run),
        WITH_LOOP(who_holds_no_reference_cannot_give_one_up),
        WITH_LOOP(while_one_thread_runs_it_another_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
