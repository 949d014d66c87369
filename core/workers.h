/** What worker threads and their tasks know of each other. */
#ifndef ED_WORKERS_H
#define ED_WORKERS_H

#include "core/channel.h"
#include "core/eddy_loop.h"
#include "core/thread.h"

typedef struct ed_worker {
    ed_thread thread;
    eddy_workers *workers;
    char name[ED_THREAD_NAME_SIZE];
} ed_worker;

struct eddy_workers {
    eddy_allocator allocator;
    ed_channel *jobs;
    ed_mutex mutex;        /* guards what follows, and the tasks */
    ed_condition finished; /* some task has ended */
    size_t waiting;        /* threads that wait for it */
    size_t holders;        /* the program until it closes, and every task; the last frees it */
    size_t count;
    ed_worker threads[];
};

/** Whether this thread is one of theirs. */
bool ed_workers_are_mine(const eddy_workers *workers);

/** So many holders less, with the mutex held, which this gives up; the last frees them. */
void ed_workers_leave(eddy_workers *workers, size_t holders);

/** A task, with its handle and its job for holders. @return NULL out of memory. */
eddy_task *ed_task_create(eddy_workers *workers, eddy_task_run run, void *context);

/** Frees one that nobody else knows of. */
void ed_task_destroy(eddy_task *task);

/** Its job has come: runs it, unless it was run or cancelled before. Once. */
void ed_task_take(eddy_task *task);

#endif
