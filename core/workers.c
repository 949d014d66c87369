#include "core/workers.h"

#include <string.h>

#include "core/alloc.h"
#include "core/base.h"

static_assert(EDDY_WORKERS_NAME_MAX + 1 == (int)ED_THREAD_NAME_SIZE, "one limit, said twice");

/** What goes through the channel: with a handle, or of no interest to anybody. */
typedef struct job {
    eddy_task *task; /* NULL: run(context) and that is all */
    eddy_task_run run;
    void *context;
} job;

/** The workers to whom this thread belongs; NULL: none. */
static _Thread_local eddy_workers *mine;

bool ed_workers_are_mine(const eddy_workers *workers)
{
    return mine == workers;
}

void ed_workers_leave(eddy_workers *workers, size_t holders)
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

static void run_worker(void *context)
{
    ed_worker *self = context;
    job next;
    size_t count = 0;

    mine = self->workers;
    while (ed_channel_pull(mine->jobs, &next, 1, &count, ED_NEVER_NS) == EDDY_OK)
        if (next.task != NULL)
            ed_task_take(next.task);
        else
            (void)next.run(next.context);
}

eddy_status eddy_workers_run(eddy_workers *workers, eddy_task_run run, void *context,
                             eddy_task **task)
{
    job next = {.run = run, .context = context};

    if (run == NULL)
        return EDDY_EINVAL;
    if (task != NULL) {
        next.task = ed_task_create(workers, run, context);
        if (next.task == NULL)
            return EDDY_ENOMEM;
    }
    eddy_status status = ed_channel_push(workers->jobs, &next, 1);
    if (status == EDDY_OK && task != NULL)
        *task = next.task;
    else if (status != EDDY_OK && task != NULL)
        ed_task_destroy(next.task);
    return status;
}

/* --------------------------------------------------------------------------- opening, closing */

static_assert(EDDY_WORKERS_MAX <= 100, "two digits are enough");

/** @return false: that is too long for a thread's name. */
static bool name_worker(ed_worker *w, const char *name, size_t index)
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
    ed_workers_leave(workers, 1);
}

static eddy_status start_threads(eddy_workers *workers)
{
    for (size_t i = 0; i < workers->count; i++) {
        ed_worker *w = &workers->threads[i];
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
    size_t size = sizeof(eddy_workers) + count * sizeof(ed_worker);
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
    ed_worker probe;

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
    if (ed_workers_are_mine(workers))
        return EDDY_ESTATE;
    join_threads(workers, workers->count);
    destroy(workers);
    return EDDY_OK;
}
