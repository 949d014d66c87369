/** Worker threads: how they begin and end, and what their tasks may do. */
#include "tests/unit/workers_bed.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    CHAIN = 1000,
    ROOM_SIZE = 10 << 20, /* address space for the stacks of some threads, not of all */
};

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

/** How much address space the process has. */
static rlim_t used_size(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    CHECK("statm", file != NULL && fscanf(file, "%lu", &pages) == 1);
    CHECK_EQ("close", fclose(file), 0);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/** Some threads start, the next has no room for its stack: those that run are ended. */
static void a_lack_of_threads_is_a_status(void **state)
{
    const eddy_workers_options options = {.count = EDDY_WORKERS_MAX,
                                          .allocator = &memory.allocator};
    eddy_workers *workers = NULL;
    struct rlimit before;

    (void)state;
    if (ed_seeds_slow_build())
        return; // a sanitizer gives up without room
    CHECK_EQ("limit", getrlimit(RLIMIT_AS, &before), 0);
    struct rlimit tight = {.rlim_cur = used_size() + ROOM_SIZE, .rlim_max = before.rlim_max};
    CHECK_EQ("limit", setrlimit(RLIMIT_AS, &tight), 0);
    eddy_status status = eddy_workers_open(&workers, &options);
    CHECK_EQ("limit", setrlimit(RLIMIT_AS, &before), 0);
    CHECK_EQ("status", status, EDDY_ESYSTEM);
    CHECK("untouched", workers == NULL);
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

/** Starts one more, and waits for it: each wait stands on the stack of the one before. */
static void *lengthen(void *context)
{
    inside *in = context;

    if (++in->started < CHAIN)
        CHECK("next", join(start(in->workers, lengthen, in)) == in);
    return in;
}

static void a_chain_of_waits_may_be_long(void **state)
{
    inside in = {.workers = open_workers(1)};

    (void)state;
    CHECK("first", join(start(in.workers, lengthen, &in)) == &in);
    CHECK_EQ("all", in.started, CHAIN);
    close_workers(in.workers);
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
        WITH_GATE(options_are_checked),
        WITH_GATE(every_lack_of_memory_is_a_status),
        WITH_GATE(a_lack_of_threads_is_a_status),
        WITH_GATE(what_would_wait_for_itself_is_refused),
        WITH_GATE(a_task_may_wait_for_others_on_one_thread),
        WITH_GATE(a_chain_of_waits_may_be_long),
        WITH_GATE(closing_runs_what_waits_and_takes_no_more),
        WITH_GATE(ten_jobs_on_four_named_threads),
        WITH_GATE(detached_tasks_need_no_memory_once_warm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
