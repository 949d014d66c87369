/** Worker threads on one channel of jobs; who has a handle waits for its job's end. */
#include <string.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/channel.h"
#include "core/clock.h"
#include "core/eddy_loop.h"
#include "core/thread.h"

static_assert(EDDY_WORKERS_NAME_MAX + 1 == (int)ED_THREAD_NAME_SIZE, "one limit, said twice");

typedef struct worker {
    ed_thread thread;
    eddy_workers *workers;
    char name[ED_THREAD_NAME_SIZE];
} worker;

struct eddy_workers {
    eddy_allocator allocator;
    ed_channel *jobs;
    ed_mutex mutex;        /* guards what follows, and the tasks */
    ed_condition finished; /* some task has ended */
    size_t waiting;        /* threads that wait for it */
    size_t holders;        /* the program until it closes, and every task; the last frees it */
    size_t count;
    worker threads[];
};

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

/** What goes through the channel: with a handle, or of no interest to anybody. */
typedef struct job {
    eddy_task *task; /* NULL: run(context) and that is all */
    eddy_task_run run;
    void *context;
} job;

/** The workers to whom this thread belongs; NULL: none. */
static _Thread_local eddy_workers *mine;

/* ------------------------------------------------------------------------------------- tasks -- */

/** One holder less, with the mutex held, which it gives up; the last frees them. */
static void leave_locked(eddy_workers *workers, size_t holders)
{
    eddy_allocator allocator = workers->allocator;

    ED_ASSERT(workers->holders >= holders);
    workers->holders -= holders;
    bool is_last = workers->holders == 0;
    ed_mutex_unlock(&workers->mutex);
    if (!is_last)
        return;
    ed_condition_destroy(&workers->finished);
    ed_mutex_destroy(&workers->mutex);
    ed_alloc_free(&allocator, workers,
                  sizeof *workers + workers->count * sizeof workers->threads[0]);
}

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
    leave_locked(workers, drop_locked(task));
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

/** The job of a task has come: it may have been run or cancelled before. */
static void take_job(const job *next)
{
    if (next->task == NULL) {
        (void)next->run(next->context);
        return;
    }
    eddy_workers *workers = next->task->workers;
    ed_mutex_lock(&workers->mutex);
    if (next->task->state == TASK_QUEUED)
        run_locked(next->task);
    leave_locked(workers, drop_locked(next->task));
}

static void run_worker(void *context)
{
    worker *self = context;
    job next;
    size_t count = 0;

    mine = self->workers;
    while (ed_channel_pull(mine->jobs, &next, 1, &count, ED_NEVER_NS) == EDDY_OK)
        take_job(&next);
}

static eddy_task *make_task(eddy_workers *workers, eddy_task_run run, void *context)
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

static void unmake_task(eddy_task *task)
{
    task->holders = 1; // nobody else knows it
    drop(task);
}

eddy_status eddy_workers_run(eddy_workers *workers, eddy_task_run run, void *context,
                             eddy_task **task)
{
    job next = {.run = run, .context = context};

    if (run == NULL)
        return EDDY_EINVAL;
    if (task != NULL) {
        next.task = make_task(workers, run, context);
        if (next.task == NULL)
            return EDDY_ENOMEM;
    }
    eddy_status status = ed_channel_push(workers->jobs, &next, 1);
    if (status == EDDY_OK && task != NULL)
        *task = next.task;
    else if (status != EDDY_OK && task != NULL)
        unmake_task(next.task);
    return status;
}

/* ----------------------------------------------------------------------------------- handles -- */

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
        if (queued < count && mine == workers) {
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
    leave_locked(workers, drop_locked(task));
    return EDDY_OK;
}

/* ------------------------------------------------------------------------------ opening, closing
 */

static_assert(EDDY_WORKERS_MAX <= 100, "two digits are enough");

/** @return false: that is too long for a thread's name. */
static bool name_worker(worker *w, const char *name, size_t index)
{
    size_t size = strlen(name);
    size_t digit_count = index < 10 ? 1 : 2;

    if (size + 1 + digit_count > EDDY_WORKERS_NAME_MAX)
        return false;
    memcpy(w->name, name, size);
    w->name[size++] = '-';
    if (digit_count == 2)
        w->name[size++] = (char)('0' + index / 10);
    w->name[size++] = (char)('0' + index % 10);
    w->name[size] = '\0';
    return true;
}

static void join_threads(eddy_workers *workers, size_t count)
{
    ed_channel_close(workers->jobs);
    for (size_t i = 0; i < count; i++)
        ed_thread_join(&workers->threads[i].thread);
}

/** Ends what is without its threads. */
static void destroy(eddy_workers *workers)
{
    ed_channel_leave_sender(workers->jobs);
    ed_channel_leave_receiver(workers->jobs);
    ed_mutex_lock(&workers->mutex);
    leave_locked(workers, 1);
}

static eddy_status start_threads(eddy_workers *workers)
{
    for (size_t i = 0; i < workers->count; i++) {
        worker *w = &workers->threads[i];
        w->workers = workers;
        eddy_status status = ed_thread_start(&w->thread, w->name, run_worker, w);
        if (status != EDDY_OK) {
            join_threads(workers, i);
            return status;
        }
    }
    return EDDY_OK;
}

static eddy_workers *make_workers(const eddy_allocator *allocator, size_t count)
{
    size_t size = sizeof(eddy_workers) + count * sizeof(worker);
    eddy_workers *workers = ed_alloc_zeroed(allocator, size);

    if (workers == NULL)
        return NULL;
    workers->allocator = *allocator;
    workers->count = count;
    workers->holders = 1;
    workers->jobs = ed_channel_create(allocator, sizeof(job), NULL, NULL);
    if (workers->jobs == NULL)
        goto no_channel;
    if (ed_mutex_init(&workers->mutex) != EDDY_OK)
        goto no_mutex;
    if (ed_condition_init(&workers->finished) == EDDY_OK)
        return workers;
    ed_mutex_destroy(&workers->mutex);
no_mutex:
    ed_channel_leave_sender(workers->jobs);
    ed_channel_leave_receiver(workers->jobs);
no_channel:
    ed_alloc_free(allocator, workers, size);
    return NULL;
}

eddy_status eddy_workers_open(eddy_workers **workers, const eddy_workers_options *options)
{
    static const eddy_workers_options all = {0};
    worker probe;

    if (options == NULL)
        options = &all;
    const char *name = options->name != NULL ? options->name : "eddy-worker";
    size_t count =
        options->count != 0 ? options->count : ed_min_size(ed_thread_cpu_count(), EDDY_WORKERS_MAX);
    if (count > EDDY_WORKERS_MAX || !name_worker(&probe, name, count - 1))
        return EDDY_EINVAL;
    eddy_workers *made =
        make_workers(options->allocator != NULL ? options->allocator : ed_alloc_default(), count);
    if (made == NULL)
        return EDDY_ENOMEM;
    for (size_t i = 0; i < count; i++)
        (void)name_worker(&made->threads[i], name, i);
    eddy_status status = start_threads(made);
    if (status == EDDY_OK)
        *workers = made;
    else
        destroy(made);
    return status;
}

eddy_status eddy_workers_close(eddy_workers *workers)
{
    if (workers == NULL)
        return EDDY_OK;
    if (mine == workers)
        return EDDY_ESTATE;
    join_threads(workers, workers->count);
    destroy(workers);
    return EDDY_OK;
}
