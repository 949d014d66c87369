/** Tasks of worker threads, and the handles on them. */
#include "core/alloc.h"
#include "core/base.h"
#include "core/clock.h"
#include "core/workers.h"

typedef enum task_state { TASK_QUEUED, TASK_RUNNING, TASK_FINISHED, TASK_CANCELLED } task_state;

struct eddy_task {
    eddy_workers *workers;
    eddy_task_run run;
    void *context;
    void *result;
    uintptr_t runner; /* the thread that runs it */
    task_state state;
    unsigned holders; /* its handle, and its job until that is done */
};

/** One holder of the task leaves. @return how many of the workers' holders that makes less. */
static size_t drop_locked(eddy_task *task)
{
    ED_ASSERT(task->holders > 0);
    task->holders--;
    if (task->holders > 0)
        return 0;
    ed_alloc_free(&task->workers->allocator, task, sizeof *task);
    return 1;
}

/** One holder of the task leaves. */
static void drop(eddy_task *task)
{
    eddy_workers *workers = task->workers;

    ed_mutex_lock(&workers->mutex);
    ed_workers_leave(workers, drop_locked(task));
}

/** Runs a task that nobody has begun, with the mutex held but for the run itself. */
static void run_locked(eddy_task *task)
{
    eddy_workers *workers = task->workers;

    ED_ASSERT(task->state == TASK_QUEUED);
    task->state = TASK_RUNNING;
    task->runner = ed_thread_self();
    ed_mutex_unlock(&workers->mutex);
    void *result = task->run(task->context);
    ed_mutex_lock(&workers->mutex);
    task->result = result;
    task->state = TASK_FINISHED;
    if (workers->waiting > 0)
        ed_condition_broadcast(&workers->finished);
}

eddy_task *ed_task_create(eddy_workers *workers, eddy_task_run run, void *context)
{
    eddy_task *task = ed_alloc_zeroed(&workers->allocator, sizeof *task);

    if (task == NULL)
        return NULL;
    *task = (eddy_task){.workers = workers, .run = run, .context = context, .holders = 2};
    ed_mutex_lock(&workers->mutex);
    workers->holders++;
    ed_mutex_unlock(&workers->mutex);
    return task;
}

void ed_task_destroy(eddy_task *task)
{
    task->holders = 1; // nobody else knows it
    drop(task);
}

void ed_task_take(eddy_task *task)
{
    eddy_workers *workers = task->workers;

    ed_mutex_lock(&workers->mutex);
    if (task->state == TASK_QUEUED)
        run_locked(task);
    ed_workers_leave(workers, drop_locked(task));
}

/* ------------------------------------------------------------------------------ their handles */

/** The first of the tasks in a state; `count`: none is. */
static size_t find_locked(eddy_task *const *tasks, size_t count, task_state state)
{
    size_t i = 0;

    while (i < count && tasks[i]->state != state)
        i++;
    return i;
}

/** Whether we are inside of one of the tasks. */
static bool is_inside_locked(eddy_task *const *tasks, size_t count)
{
    bool is_inside = false;

    for (size_t i = 0; i < count; i++)
        is_inside =
            is_inside || (tasks[i]->state == TASK_RUNNING && tasks[i]->runner == ed_thread_self());
    return is_inside;
}

/** Waits until one of the tasks has ended. A worker runs one itself: all others may wait, too. */
static eddy_status await_locked(eddy_task *const *tasks, size_t count, uint64_t deadline_ns,
                                size_t *index)
{
    eddy_workers *workers = tasks[0]->workers;

    if (is_inside_locked(tasks, count))
        return EDDY_ESTATE;
    for (;;) {
        size_t queued = find_locked(tasks, count, TASK_QUEUED);
        *index = find_locked(tasks, count, TASK_FINISHED);
        if (*index < count)
            return EDDY_OK;
        if (queued < count && ed_workers_are_mine(workers)) {
            run_locked(tasks[queued]);
            continue;
        }
        if (deadline_ns != ED_NEVER_NS && ed_clock_now_ns() >= deadline_ns)
            return EDDY_EAGAIN;
        workers->waiting++;
        ed_condition_wait(&workers->finished, &workers->mutex, deadline_ns);
        workers->waiting--;
    }
}

static eddy_status await_tasks(eddy_task *const *tasks, size_t count, uint64_t deadline_ns,
                               size_t *index)
{
    ed_mutex_lock(&tasks[0]->workers->mutex);
    eddy_status status = await_locked(tasks, count, deadline_ns, index);
    ed_mutex_unlock(&tasks[0]->workers->mutex);
    return status;
}

/** Takes the result of a task that has ended, and frees the handle. */
static void *take_result(eddy_task *task)
{
    void *result = task->result;

    ED_ASSERT(task->state == TASK_FINISHED);
    drop(task);
    return result;
}

eddy_status eddy_task_join(eddy_task *task, uint32_t timeout_ms, void **result)
{
    return eddy_task_join_all(&task, 1, timeout_ms, result);
}

eddy_status eddy_task_join_all(eddy_task *const *tasks, size_t count, uint32_t timeout_ms,
                               void **results)
{
    uint64_t deadline_ns = ed_clock_deadline_ns(timeout_ms);
    size_t index = 0;

    for (size_t i = 0; i < count; i++) {
        eddy_status status = await_tasks(&tasks[i], 1, deadline_ns, &index);
        if (status != EDDY_OK)
            return status;
    }
    for (size_t i = 0; i < count; i++) {
        void *result = take_result(tasks[i]);
        if (results != NULL)
            results[i] = result;
    }
    return EDDY_OK;
}

eddy_status eddy_task_join_any(eddy_task *const *tasks, size_t count, uint32_t timeout_ms,
                               size_t *index, void **result)
{
    uint64_t deadline_ns = ed_clock_deadline_ns(timeout_ms);
    size_t found = 0;

    if (count == 0)
        return EDDY_EINVAL;
    for (size_t i = 1; i < count; i++)
        if (tasks[i]->workers != tasks[0]->workers)
            return EDDY_EINVAL;
    eddy_status status = await_tasks(tasks, count, deadline_ns, &found);
    if (status != EDDY_OK)
        return status;
    void *got = take_result(tasks[found]);
    *index = found;
    if (result != NULL)
        *result = got;
    return EDDY_OK;
}

void eddy_task_detach(eddy_task *task)
{
    if (task != NULL)
        drop(task);
}

eddy_status eddy_task_cancel(eddy_task *task)
{
    eddy_workers *workers = task->workers;

    ed_mutex_lock(&workers->mutex);
    if (task->state != TASK_QUEUED) {
        ed_mutex_unlock(&workers->mutex);
        return EDDY_ESTATE;
    }
    task->state = TASK_CANCELLED;
    ed_workers_leave(workers, drop_locked(task));
    return EDDY_OK;
}
