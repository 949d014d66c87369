/** The handles of tasks: what joins, detaches and cancels. */
#include "tests/unit/workers_bed.h"

#include "tests/support/splitmix.h"

static void join_gives_the_result(void **state)
{
    eddy_workers *workers = open_workers(WORKERS);
    char places[TASKS];
    eddy_task *tasks[TASKS];

    (void)state;
    for (size_t i = 0; i < TASKS; i++)
        tasks[i] = start(workers, count_one, &places[i]);
    for (size_t i = 0; i < TASKS; i++)
        CHECK("its own", join(tasks[i]) == &places[i]);
    CHECK_EQ("each once", done, TASKS);
    close_workers(workers);
}

static void a_join_ends_at_its_time_and_may_be_tried_again(void **state)
{
    eddy_task *task = NULL;
    eddy_workers *workers = open_busy(&task);
    uint64_t before_ns = ed_clock_now_ns();

    (void)state;
    CHECK_EQ("not yet", eddy_task_join(task, 0, NULL), EDDY_EAGAIN);
    CHECK_EQ("nor soon", eddy_task_join(task, 2, NULL), EDDY_EAGAIN);
    CHECK("not early", ed_clock_now_ns() - before_ns >= 2 * ED_NS_PER_MS);
    open_gate();
    CHECK_EQ("then", eddy_task_join(task, EDDY_FOREVER, NULL), EDDY_OK);
    close_workers(workers);
}

/** The seed's tasks block their worker until somebody joins them: ours do not. */
static void tasks_that_nobody_joins_block_no_worker(void **state)
{
    eddy_workers *workers = open_workers(WORKERS);
    eddy_task *tasks[TASKS];

    (void)state;
    for (size_t i = 0; i < TASKS; i++)
        tasks[i] = start(workers, count_one, NULL);
    eddy_task *last[TASKS];
    for (size_t i = 0; i < TASKS; i++)
        last[i] = start(workers, count_one, NULL);
    CHECK_EQ("the later ones", eddy_task_join_all(last, TASKS, LIMIT_MS, NULL), EDDY_OK);
    close_workers(workers);
    CHECK_EQ("all ran", done, 2 * TASKS);
    for (size_t i = 0; i < TASKS; i++)
        if (i % 2 == 0)
            eddy_task_detach(tasks[i]);
        else
            CHECK("a handle outlives the workers", join(tasks[i]) == NULL);
}

static void join_all_takes_any_order(void **state)
{
    ed_seeds seeds = ed_seeds_chosen(200);

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        const char *name = ed_seeds_announce("unit/task_test", seed);
        eddy_workers *workers = open_workers(1 + seed % WORKERS);
        uint64_t random = seed;
        char places[8];
        eddy_task *tasks[ED_COUNT(places)];
        void *results[ED_COUNT(places)];
        for (size_t i = 0; i < ED_COUNT(places); i++)
            tasks[i] = start(workers, count_one, &places[i]);
        size_t turn = splitmix_below(&random, ED_COUNT(places));
        for (size_t i = 0; i < turn; i++) { // the first go to the end, one after another
            eddy_task *first = tasks[0];
            memmove(tasks, tasks + 1, sizeof tasks - sizeof tasks[0]);
            tasks[ED_COUNT(places) - 1] = first;
        }
        CHECK_EQ(name, eddy_task_join_all(tasks, ED_COUNT(places), LIMIT_MS, results), EDDY_OK);
        for (size_t i = 0; i < ED_COUNT(places); i++)
            CHECK(name, results[i] == &places[(i + turn) % ED_COUNT(places)]);
        close_workers(workers);
    }
}

static void join_all_keeps_every_handle_if_one_is_late(void **state)
{
    eddy_workers *workers = open_workers(2);
    eddy_task *tasks[] = {start(workers, count_one, NULL), start(workers, wait_for_gate, NULL)};

    (void)state;
    CHECK_EQ("late", eddy_task_join_all(tasks, 2, 2, NULL), EDDY_EAGAIN);
    open_gate();
    CHECK_EQ("then", eddy_task_join_all(tasks, 2, EDDY_FOREVER, NULL), EDDY_OK);
    CHECK_EQ("none", eddy_task_join_all(NULL, 0, 0, NULL), EDDY_OK);
    close_workers(workers);
}

static void join_any_takes_the_one_that_has_ended(void **state)
{
    (void)state;
    for (size_t fast = 0; fast < 3; fast++) {
        eddy_workers *workers = open_workers(3);
        eddy_task *tasks[3];
        char places[3];
        size_t index = 99;
        void *result = NULL;
        gate_is_open = false;
        for (size_t i = 0; i < 3; i++)
            tasks[i] = start(workers, i == fast ? count_one : wait_for_gate, &places[i]);
        CHECK_EQ("any", eddy_task_join_any(tasks, 3, EDDY_FOREVER, &index, &result), EDDY_OK);
        CHECK_EQ("which", index, fast);
        CHECK("what", result == &places[fast]);
        tasks[index] = tasks[2];
        CHECK_EQ("no other", eddy_task_join_any(tasks, 2, 0, &index, NULL), EDDY_EAGAIN);
        CHECK_EQ("untouched", index, fast);
        open_gate();
        CHECK_EQ("all others", eddy_task_join_all(tasks, 2, EDDY_FOREVER, NULL), EDDY_OK);
        close_workers(workers);
    }
}

static void join_any_refuses_what_it_cannot_wait_for(void **state)
{
    eddy_workers *workers = open_workers(1);
    eddy_workers *others = open_workers(1);
    eddy_task *tasks[] = {start(workers, count_one, NULL), start(others, count_one, NULL)};
    size_t index = 0;

    (void)state;
    CHECK_EQ("nothing", eddy_task_join_any(tasks, 0, 0, &index, NULL), EDDY_EINVAL);
    CHECK_EQ("of two", eddy_task_join_any(tasks, 2, 0, &index, NULL), EDDY_EINVAL);
    CHECK_EQ("all of two", eddy_task_join_all(tasks, 2, EDDY_FOREVER, NULL), EDDY_OK);
    close_workers(others);
    close_workers(workers);
}

static void cancel_takes_back_what_has_not_begun(void **state)
{
    eddy_task *busy = NULL;
    eddy_workers *workers = open_busy(&busy);
    eddy_task *waiting = start(workers, count_one, NULL);

    (void)state;
    CHECK_EQ("begun", eddy_task_cancel(busy), EDDY_ESTATE);
    CHECK_EQ("not begun", eddy_task_cancel(waiting), EDDY_OK);
    open_gate();
    (void)join(busy);
    close_workers(workers);
    CHECK_EQ("only the one", done, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_GATE(join_gives_the_result),
        WITH_GATE(a_join_ends_at_its_time_and_may_be_tried_again),
        WITH_GATE(tasks_that_nobody_joins_block_no_worker),
        WITH_GATE(join_all_takes_any_order),
        WITH_GATE(join_all_keeps_every_handle_if_one_is_late),
        WITH_GATE(join_any_takes_the_one_that_has_ended),
        WITH_GATE(join_any_refuses_what_it_cannot_wait_for),
        WITH_GATE(cancel_takes_back_what_has_not_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
