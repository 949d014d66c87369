/** Workers for a test, a gate to hold their tasks up, and what is left behind. */
#ifndef ED_WORKERS_BED_H
#define ED_WORKERS_BED_H

#include "core/base.h"
#include "core/clock.h"
#include "core/eddy_loop.h"
#include "core/thread.h"
#include "tests/support/memory.h"
#include "tests/support/seeds.h"

enum {
    TASKS = 100,
    WORKERS = 4,
    LIMIT_MS = 20 * 1000, /* of what must come at once; never waited for if it does */
};

static _Atomic unsigned done;
static ed_mutex gate_mutex; /* of what follows */
static ed_condition gate_changed;
static bool gate_is_open;

static inline int open_gated(void **state)
{
    (void)open_memory(state);
    done = 0;
    gate_is_open = false;
    return ed_mutex_init(&gate_mutex) == EDDY_OK && ed_condition_init(&gate_changed) == EDDY_OK
               ? 0
               : -1;
}

static inline int close_gated(void **state)
{
    ed_condition_destroy(&gate_changed);
    ed_mutex_destroy(&gate_mutex);
    return close_memory(state);
}

/** A test with a gate of its own, which leaves nothing. */
#define WITH_GATE(TEST) cmocka_unit_test_setup_teardown(TEST, open_gated, close_gated)

static inline eddy_workers *open_workers(size_t count)
{
    const eddy_workers_options options = {
        .count = count, .name = "worker-thread", .allocator = &memory.allocator};
    eddy_workers *workers = NULL;

    CHECK_EQ("open", eddy_workers_open(&workers, &options), EDDY_OK);
    return workers;
}

static inline eddy_task *start(eddy_workers *workers, eddy_task_run run, void *context)
{
    eddy_task *task = NULL;

    CHECK_EQ("run", eddy_workers_run(workers, run, context, &task), EDDY_OK);
    CHECK("handle", task != NULL);
    return task;
}

static inline void *join(eddy_task *task)
{
    void *result = NULL;

    CHECK_EQ("join", eddy_task_join(task, EDDY_FOREVER, &result), EDDY_OK);
    return result;
}

static inline void close_workers(eddy_workers *workers)
{
    CHECK_EQ("close", eddy_workers_close(workers), EDDY_OK);
}

static inline void *count_one(void *context)
{
    done++;
    return context;
}

static inline void *wait_for_gate(void *context)
{
    ed_mutex_lock(&gate_mutex);
    while (!gate_is_open)
        ed_condition_wait(&gate_changed, &gate_mutex, ED_NEVER_NS);
    ed_mutex_unlock(&gate_mutex);
    done++;
    return context;
}

static inline void open_gate(void)
{
    ed_mutex_lock(&gate_mutex);
    gate_is_open = true;
    ed_condition_broadcast(&gate_changed);
    ed_mutex_unlock(&gate_mutex);
}

/** One worker that is busy until the gate opens: what it is given meanwhile waits. */
static inline eddy_workers *open_busy(eddy_task **busy)
{
    eddy_workers *workers = open_workers(1);

    *busy = start(workers, wait_for_gate, NULL);
    while (eddy_task_cancel(*busy) == EDDY_OK) // until it has begun
        *busy = start(workers, wait_for_gate, NULL);
    return workers;
}

#endif
