/** Worker threads and the handles of their tasks. */
#include "tests/support/check.h"

#include <sys/prctl.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/clock.h"
#include "core/eddy_loop.h"
#include "core/thread.h"
#include "tests/support/seeds.h"
#include "tests/support/splitmix.h"

enum {
    TASKS = 100,
    WORKERS = 4,
    LIMIT_MS = 20 * 1000, /* of what must come at once; never waited for if it does */
};

static ed_counting_alloc memory;
static _Atomic unsigned done;
static ed_mutex gate_mutex; /* of what follows */
static ed_condition gate_changed;
static bool gate_is_open;

static int setup(void **state)
{
    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    done = 0;
    gate_is_open = false;
    return ed_mutex_init(&gate_mutex) == EDDY_OK && ed_condition_init(&gate_changed) == EDDY_OK
               ? 0
               : -1;
}

static int nothing_is_left(void **state)
{
    (void)state;
    CHECK_EQ("leaked", memory.live_count, 0);
    ed_condition_destroy(&gate_changed);
    ed_mutex_destroy(&gate_mutex);
    return 0;
}

static eddy_workers *open_workers(size_t count)
{
    const eddy_workers_options options = {
        .count = count, .name = "worker-thread", .allocator = &memory.allocator};
    eddy_workers *workers = NULL;

    CHECK_EQ("open", eddy_workers_open(&workers, &options), EDDY_OK);
    return workers;
}

static eddy_task *start(eddy_workers *workers, eddy_task_run run, void *context)
{
    eddy_task *task = NULL;

    CHECK_EQ("run", eddy_workers_run(workers, run, context, &task), EDDY_OK);
    CHECK("handle", task != NULL);
    return task;
}

static void *join(eddy_task *task)
{
    void *result = NULL;

    CHECK_EQ("join", eddy_task_join(task, EDDY_FOREVER, &result), EDDY_OK);
    return result;
}

static void close_workers(eddy_workers *workers)
{
    CHECK_EQ("close", eddy_workers_close(workers), EDDY_OK);
}

/* -------------------------------------------------------------------------------------- tasks --
 */

static void *count_one(void *context)
{
    done++;
    return context;
}

static void *wait_for_gate(void *context)
{
    ed_mutex_lock(&gate_mutex);
    while (!gate_is_open)
        ed_condition_wait(&gate_changed, &gate_mutex, ED_NEVER_NS);
    ed_mutex_unlock(&gate_mutex);
    done++;
    return context;
}

static void open_gate(void)
{
    ed_mutex_lock(&gate_mutex);
    gate_is_open = true;
    ed_condition_broadcast(&gate_changed);
    ed_mutex_unlock(&gate_mutex);
}

/** One worker that is busy until the gate opens: what it is given meanwhile waits. */
static eddy_workers *open_busy(eddy_task **busy)
{
    eddy_workers *workers = open_workers(1);

    *busy = start(workers, wait_for_gate, NULL);
    while (eddy_task_cancel(*busy) == EDDY_OK) // until it has begun
        *busy = start(workers, wait_for_gate, NULL);
    return workers;
}

/* -------------------------------------------------------------------------------------- opening */

static void options_are_checked(void **state)
{
    static const struct {
        const char *what;
        size_t count;
        const char *name;
        eddy_status want;
    } rows[] = {
        {"defaults", 0, NULL, EDDY_OK},
        {"one", 1, "w", EDDY_OK},
        {"an empty name", 1, "", EDDY_OK},
        {"the longest name", 10, "worker-thread", EDDY_OK},
        {"no room for the number", 11, "worker-thread", EDDY_EINVAL},
        {"no room at all", 1, "worker-thread-of-mine", EDDY_EINVAL},
        {"the most", EDDY_WORKERS_MAX, NULL, EDDY_OK},
        {"more", EDDY_WORKERS_MAX + 1, NULL, EDDY_EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const eddy_workers_options options = {
            .count = rows[i].count, .name = rows[i].name, .allocator = &memory.allocator};
        eddy_workers *workers = NULL;
        CHECK_EQ(rows[i].what, eddy_workers_open(&workers, &options), rows[i].want);
        CHECK_EQ(rows[i].what, workers != NULL, rows[i].want == EDDY_OK);
        CHECK_EQ(rows[i].what, eddy_workers_close(workers), EDDY_OK);
        CHECK_EQ(rows[i].what, memory.live_count, 0);
    }
}

static void every_lack_of_memory_is_a_status(void **state)
{
    const eddy_workers_options options = {.count = 2, .allocator = &memory.allocator};
    eddy_status status = EDDY_ENOMEM;

    (void)state;
    for (uint64_t after = 0; status == EDDY_ENOMEM; after++) {
        eddy_workers *workers = NULL;
        eddy_task *task = NULL;
        memory.fail_after = after;
        status = eddy_workers_open(&workers, &options);
        if (status == EDDY_OK) {
            status = eddy_workers_run(workers, count_one, &memory, &task);
            CHECK_EQ("handle", task != NULL, status == EDDY_OK);
            if (status == EDDY_OK)
                CHECK("result", join(task) == &memory);
            close_workers(workers);
        }
        CHECK_EQ("leaked", memory.live_count, 0);
    }
    CHECK_EQ("in the end", status, EDDY_OK);
}

/* ---------------------------------------------------------------------------------------- joins */

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
        const char *name = ed_seeds_announce("unit/workers_test", seed);
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

/* ------------------------------------------------------------------------------ inside of tasks */

typedef struct inside {
    eddy_workers *workers;
    eddy_task *itself;
    eddy_status status;
    unsigned started;
} inside;

static void *close_own(void *context)
{
    inside *in = context;

    in->status = eddy_workers_close(in->workers);
    return NULL;
}

static void *join_itself(void *context)
{
    inside *in = context;

    (void)wait_for_gate(NULL); // until the handle is in place
    in->status = eddy_task_join(in->itself, EDDY_FOREVER, NULL);
    return NULL;
}

static void what_would_wait_for_itself_is_refused(void **state)
{
    inside in = {.workers = open_workers(1)};

    (void)state;
    (void)join(start(in.workers, close_own, &in));
    CHECK_EQ("close", in.status, EDDY_ESTATE);
    eddy_task *task = start(in.workers, join_itself, &in);
    in.itself = task;
    open_gate();
    (void)join(task);
    CHECK_EQ("join", in.status, EDDY_ESTATE);
    close_workers(in.workers);
    CHECK_EQ("of nobody", eddy_workers_close(NULL), EDDY_OK);
}

/** A task that starts two, and waits for them: a tree, on however few threads. */
static void *grow(void *context)
{
    const inside *in = context;
    uintptr_t depth = (uintptr_t)in->itself; // no handle: a number will do
    inside below = {.workers = in->workers, .itself = (eddy_task *)(depth - 1)};

    if (depth == 0)
        return count_one(NULL);
    eddy_task *branches[] = {start(in->workers, grow, &below), start(in->workers, grow, &below)};
    CHECK_EQ("branches", eddy_task_join_all(branches, 2, EDDY_FOREVER, NULL), EDDY_OK);
    return NULL;
}

static void a_task_may_wait_for_others_on_one_thread(void **state)
{
    enum { DEPTH = 6 };

    (void)state;
    for (size_t count = 1; count <= WORKERS; count++) {
        inside root = {.workers = open_workers(count), .itself = (eddy_task *)(uintptr_t)DEPTH};
        done = 0;
        (void)join(start(root.workers, grow, &root));
        CHECK_EQ("leaves", done, 1U << DEPTH);
        close_workers(root.workers);
    }
}

/** Starts others until that is refused, as it must be once they are closing. */
static void *start_others(void *context)
{
    inside *in = context;

    do {
        ed_thread_yield();
        in->status = eddy_workers_run(in->workers, count_one, NULL, NULL);
        in->started += in->status == EDDY_OK;
    } while (in->status == EDDY_OK);
    return NULL;
}

static void closing_runs_what_waits_and_takes_no_more(void **state)
{
    eddy_task *busy = NULL;
    inside in = {.workers = open_busy(&busy)};

    (void)state;
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ("run", eddy_workers_run(in.workers, count_one, NULL, NULL), EDDY_OK);
    eddy_task *late = start(in.workers, start_others, &in);
    open_gate();
    close_workers(in.workers);
    CHECK_EQ("a task of a task", in.status, EDDY_ECLOSED);
    CHECK_EQ("all before it", done, TASKS + 1 + in.started);
    (void)join(busy);
    (void)join(late);
}

/* ----------------------------------------------------------------------------------- the seed's */

/** Ends once as many as there are workers are inside of it: the seed's would stand in a queue. */
static void *meet(void *context)
{
    ed_mutex_lock(&gate_mutex);
    done++;
    ed_condition_broadcast(&gate_changed);
    while (done < WORKERS)
        ed_condition_wait(&gate_changed, &gate_mutex, ED_NEVER_NS);
    ed_mutex_unlock(&gate_mutex);
    return context;
}

static void *note_name(void *context)
{
    _Atomic unsigned *names = context;
    char name[ED_THREAD_NAME_SIZE] = {0};

    CHECK_EQ("name", prctl(PR_GET_NAME, name), 0);
    CHECK("prefix", strncmp(name, "worker-thread-", 14) == 0);
    names[name[14] - '0']++;
    return NULL;
}

static void ten_jobs_on_four_named_threads(void **state)
{
    eddy_workers *workers = open_workers(WORKERS);
    _Atomic unsigned names[10] = {0};
    eddy_task *together[WORKERS];
    unsigned sum = 0;

    (void)state;
    for (int i = 0; i < 10; i++)
        CHECK_EQ("run", eddy_workers_run(workers, note_name, names, NULL), EDDY_OK);
    for (size_t i = 0; i < WORKERS; i++)
        together[i] = start(workers, meet, NULL);
    CHECK_EQ("four at once", eddy_task_join_all(together, WORKERS, LIMIT_MS, NULL), EDDY_OK);
    close_workers(workers);
    for (size_t i = 0; i < ED_COUNT(names); i++)
        sum += names[i];
    CHECK_EQ("ten", sum, 10);
    CHECK_EQ("ten, on 0 to 3", names[0] + names[1] + names[2] + names[3], 10);
}

static void detached_tasks_need_no_memory_once_warm(void **state)
{
    eddy_workers *workers = open_workers(1);

    (void)state;
    CHECK_EQ("warm", eddy_workers_run(workers, count_one, NULL, NULL), EDDY_OK);
    uint64_t before = memory.calls;
    for (int i = 0; i < 10; i++) {
        CHECK_EQ("run", eddy_workers_run(workers, count_one, NULL, NULL), EDDY_OK);
        while (done < 2U + (unsigned)i)
            ed_thread_yield();
    }
    CHECK_EQ("none", memory.calls, before);
    close_workers(workers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(options_are_checked, setup, nothing_is_left),
        cmocka_unit_test_setup_teardown(every_lack_of_memory_is_a_status, setup, nothing_is_left),
        cmocka_unit_test_setup_teardown(join_gives_the_result, setup, nothing_is_left),
        cmocka_unit_test_setup_teardown(a_join_ends_at_its_time_and_may_be_tried_again, setup,
                                        nothing_is_left),
        cmocka_unit_test_setup_teardown(tasks_that_nobody_joins_block_no_worker, setup,
                                        nothing_is_left),
        cmocka_unit_test_setup_teardown(join_all_takes_any_order, setup, nothing_is_left),
        cmocka_unit_test_setup_teardown(join_all_keeps_every_handle_if_one_is_late, setup,
                                        nothing_is_left),
        cmocka_unit_test_setup_teardown(join_any_takes_the_one_that_has_ended, setup,
                                        nothing_is_left),
        cmocka_unit_test_setup_teardown(join_any_refuses_what_it_cannot_wait_for, setup,
                                        nothing_is_left),
        cmocka_unit_test_setup_teardown(cancel_takes_back_what_has_not_begun, setup,
                                        nothing_is_left),
        cmocka_unit_test_setup_teardown(what_would_wait_for_itself_is_refused, setup,
                                        nothing_is_left),
        cmocka_unit_test_setup_teardown(a_task_may_wait_for_others_on_one_thread, setup,
                                        nothing_is_left),
        cmocka_unit_test_setup_teardown(closing_runs_what_waits_and_takes_no_more, setup,
                                        nothing_is_left),
        cmocka_unit_test_setup_teardown(ten_jobs_on_four_named_threads, setup, nothing_is_left),
        cmocka_unit_test_setup_teardown(detached_tasks_need_no_memory_once_warm, setup,
                                        nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
