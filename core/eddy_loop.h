/**
 * eddy's tools for a program's own threads, none of which a manager needs: a stop token, worker
 * threads, timers and an event loop. Optional, and apart from <eddy.h>.
 *
 * A function that returns a status and refuses has changed nothing. What has no status cannot fail.
 *
 * Processes: all of this stays with the process that made it. A forked child uses, and frees, none
 * of it: it has no worker threads, and shares the descriptors of tokens and loops with its parent.
 */
#ifndef EDDY_LOOP_H
#define EDDY_LOOP_H

#include "eddy_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------- stop tokens -- */

/**
 * Says "stop" once, to any number of threads, loops and poll calls, and goes on saying it: who asks
 * late hears it, too. Owners may request the stop; the last one to leave does. Subscribers are who
 * is told, and are counted. Any thread; whoever calls is an owner or a subscriber.
 */
typedef struct eddy_stop eddy_stop;

#define EDDY_STOP_ABANDONED (-1) /* the reason when the last owner has left */

/**
 * Makes a token with one owner and no subscriber.
 * @param allocator NULL: eddy's own. Copied. @return EDDY_OK, EDDY_ENOMEM or EDDY_ESYSTEM.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_stop_create(eddy_stop **stop,
                                                      const eddy_allocator *allocator);

/**
 * One more owner; an owner leaves. The token is freed when neither owners nor subscribers are left.
 * NULL is fine. @return EDDY_OK; EDDY_ESTATE: there is no owner.
 */
EDDY_API void eddy_stop_own(eddy_stop *stop);
EDDY_API eddy_status eddy_stop_disown(eddy_stop *stop);

/** The same of subscribers. @return EDDY_OK; EDDY_ESTATE: there is no subscriber. */
EDDY_API void eddy_stop_subscribe(eddy_stop *stop);
EDDY_API eddy_status eddy_stop_unsubscribe(eddy_stop *stop);

/** How many subscribers there are. */
EDDY_API size_t eddy_stop_subscribers(const eddy_stop *stop);

/**
 * Requests the stop; signal-safe. The first request counts, later ones change nothing.
 * @param reason whatever the program likes, such as a signal's number.
 * @param grace_ms how long those who stop may take to finish; EDDY_FOREVER: as long as they need.
 * @return whether it was the first.
 */
EDDY_API bool eddy_stop_request(eddy_stop *stop, int reason, uint32_t grace_ms);

/** Whether the stop was requested: one load, cheap enough for an inner loop. Signal-safe. */
EDDY_API bool eddy_stop_requested(const eddy_stop *stop);

/** Why; 0 until it was requested. */
EDDY_API int eddy_stop_reason(const eddy_stop *stop);

/** What is left of the grace; EDDY_FOREVER until the stop was requested. */
EDDY_API uint32_t eddy_stop_left_ms(const eddy_stop *stop);

/** A descriptor that is readable once the stop was requested. Only wait on it. */
EDDY_API int eddy_stop_fd(const eddy_stop *stop);

/** Blocks until the stop is requested, for at most `timeout_ms`. @return whether it was. */
EDDY_API bool eddy_stop_wait(const eddy_stop *stop, uint32_t timeout_ms);

/* ------------------------------------------------------------------------------ worker threads */

/** Threads that run tasks, in the order in which those were given. Any thread. */
typedef struct eddy_workers eddy_workers;

/** A task given to workers, as a handle to wait for its result. May outlive the workers. */
typedef struct eddy_task eddy_task;

typedef void *(*eddy_task_run)(void *context);

enum {
    EDDY_WORKERS_MAX = 64,
    EDDY_WORKERS_NAME_MAX = 15, /* bytes of a thread's whole name */
};

/** Zeroed: the defaults. */
typedef struct eddy_workers_options {
    size_t count;                    /* 1 to EDDY_WORKERS_MAX; 0: one per processor */
    const char *name;                /* the threads are NAME-0, NAME-1, ...; NULL: "eddy-worker" */
    const eddy_allocator *allocator; /* NULL: eddy's own. Copied; outlives the last handle */
} eddy_workers_options;

/**
 * Starts the threads, with every signal blocked.
 * @param options NULL: the defaults.
 * @return EDDY_OK; EDDY_EINVAL (count; a name too long for its thread); EDDY_ENOMEM; EDDY_ESYSTEM.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_workers_open(eddy_workers **workers,
                                                       const eddy_workers_options *options);

/**
 * Gives the workers a task: they call `run(context)` once. Never waits, however many there are.
 * @param task its handle, to be joined, detached or cancelled; NULL: the result is of no interest.
 * @return EDDY_OK, EDDY_EINVAL (no `run`), EDDY_ENOMEM, or EDDY_ECLOSED once they are closing.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_workers_run(eddy_workers *workers, eddy_task_run run,
                                                      void *context, eddy_task **task);

/**
 * Runs all tasks that were given, ends the threads, and frees the workers. Blocks so long. Only
 * their own tasks may still call eddy_workers_run meanwhile.
 * @return EDDY_OK, also for NULL; EDDY_ESTATE inside one of their tasks, which it would wait for.
 */
EDDY_API eddy_status eddy_workers_close(eddy_workers *workers);

/**
 * Waits for a task's end, for at most `timeout_ms`, and frees its handle. This and the next two, if
 * called by a worker inside a task, themselves run what no other worker has begun: so a task may
 * wait for others, even on one thread. It holds no lock that those take; they use its stack; and
 * what it has begun goes to its end, whatever the time.
 * @param result what `run` returned; NULL: not asked.
 * @return EDDY_OK; EDDY_EAGAIN (the time is up) or EDDY_ESTATE (inside the task itself): the handle
 * stays.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_task_join(eddy_task *task, uint32_t timeout_ms,
                                                    void **result);

/**
 * Waits until all tasks have ended, and frees their handles; or none.
 * @param results of each, in the order of the tasks; NULL: not asked.
 * @return as eddy_task_join. The tasks may be of several workers.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_task_join_all(eddy_task *const *tasks, size_t count,
                                                        uint32_t timeout_ms, void **results);

/**
 * Waits until one of the tasks, all of the same workers, has ended, and frees its handle alone. Of
 * several the first in the array is taken.
 * @param index which one it was.
 * @return as eddy_task_join; EDDY_EINVAL (no tasks, or of different workers).
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_task_join_any(eddy_task *const *tasks, size_t count,
                                                        uint32_t timeout_ms, size_t *index,
                                                        void **result);

/** Frees a handle; its task runs all the same. NULL is fine. */
EDDY_API void eddy_task_detach(eddy_task *task);

/** Takes a task back and frees its handle. @return EDDY_OK; EDDY_ESTATE: it has begun, and stays.
 */
EDDY_API eddy_status eddy_task_cancel(eddy_task *task);

/* ------------------------------------------------------------------------------ an event loop --
 */

/**
 * Calls back when descriptors are ready, timers are due, or another thread has something to say;
 * sleeps otherwise. While one thread runs a loop, only that one may call it, but for what says "any
 * thread": another is told EDDY_ESTATE. Callbacks may call anything of their loop but
 * eddy_loop_run, eddy_loop_poll and eddy_loop_destroy.
 */
typedef struct eddy_loop eddy_loop;

/** @param allocator NULL: eddy's own. Copied. @return EDDY_OK, EDDY_ENOMEM or EDDY_ESYSTEM. */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_loop_create(eddy_loop **loop,
                                                      const eddy_allocator *allocator);

/**
 * Frees the loop, and calls nothing: what was posted and has not run is forgotten. Watches, timers
 * and wakes must have been destroyed, and references given up. @return EDDY_OK, also for NULL;
 * EDDY_ESTATE: it runs, or one of those is left.
 */
EDDY_API eddy_status eddy_loop_destroy(eddy_loop *loop);

/**
 * Runs until nothing refers to the loop any more: no watch, started timer, wake, post that waits or
 * eddy_loop_ref; or until the stop is requested. Then it goes on as long as something is ready at
 * once, until the grace is over, but one round at least: what came before the stop is not lost.
 * (With EDDY_FOREVER a peer that sends without a pause keeps it going.)
 * @param stop NULL: none. The loop is one of its subscribers as long as it runs.
 * @return EDDY_OK; EDDY_ESTATE (it runs already); EDDY_EEXIST (a watch has the stop's descriptor);
 * EDDY_ENOMEM; EDDY_ESYSTEM.
 */
EDDY_API eddy_status eddy_loop_run(eddy_loop *loop, eddy_stop *stop);

/**
 * One round, for programs with a loop of their own: waits for at most `timeout_ms`, and calls what
 * is ready. @return EDDY_OK; EDDY_EAGAIN: nothing was; EDDY_ESTATE (it runs already).
 */
EDDY_API eddy_status eddy_loop_poll(eddy_loop *loop, uint32_t timeout_ms);

/**
 * One more reference, which keeps the loop running and from being destroyed; one less. Any thread.
 * Signal-safe. @return EDDY_OK; EDDY_ESTATE: there is none.
 */
EDDY_API void eddy_loop_ref(eddy_loop *loop);
EDDY_API eddy_status eddy_loop_unref(eddy_loop *loop);

/**
 * Has the loop call `run(context)` once, in order. Any thread.
 * @return EDDY_OK, EDDY_EINVAL (no `run`) or EDDY_ENOMEM.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_loop_post(eddy_loop *loop, void (*run)(void *context),
                                                    void *context);

/** The time that this round of the loop began, as of eddy_now_ns: one for all its callbacks. */
EDDY_API uint64_t eddy_loop_now_ns(const eddy_loop *loop);

/* ---------------------------------------------------------------------------------- its watches */

enum {
    EDDY_FD_READABLE = 1, /* also at the end of a stream, and after an error */
    EDDY_FD_WRITABLE = 2,
};

/** A descriptor in a loop. It stays the program's own, and open until its watch is destroyed. */
typedef struct eddy_watch eddy_watch;

/**
 * Called while the descriptor is ready for any of what is waited for.
 * @param ready EDDY_FD_READABLE, EDDY_FD_WRITABLE or both.
 * @return whether to go on; false pauses the watch: say so at the end of a stream, which is ready
 * for ever. Of no meaning if the watch was destroyed meanwhile.
 */
typedef bool (*eddy_watch_run)(void *context, eddy_watch *watch, unsigned ready);

/**
 * Waits for a descriptor, that no other watch of this loop waits for.
 * @param interest EDDY_FD_READABLE, EDDY_FD_WRITABLE or both; 0: it begins paused.
 * @return EDDY_OK; EDDY_EINVAL (not a descriptor to wait for; no `run`); EDDY_EEXIST (another watch
 * has it); EDDY_ENOMEM; EDDY_ESYSTEM; EDDY_ESTATE.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_watch_create(eddy_loop *loop, int fd, unsigned interest,
                                                       eddy_watch_run run, void *context,
                                                       eddy_watch **watch);

/** Waits for something else; 0 pauses. @return as eddy_watch_create. */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_watch_set(eddy_watch *watch, unsigned interest);

/**
 * Frees it; its callback is not called any more. Only then close its descriptor. NULL is fine.
 * @return EDDY_OK or EDDY_ESTATE.
 */
EDDY_API eddy_status eddy_watch_destroy(eddy_watch *watch);

/* ----------------------------------------------------------------------------------- its wakes */

/** What another thread, or a signal handler, wakes the loop with. */
typedef struct eddy_wake eddy_wake;

/** @return EDDY_OK, EDDY_EINVAL (no `run`), EDDY_ENOMEM or EDDY_ESTATE. */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_wake_create(eddy_loop *loop, void (*run)(void *context),
                                                      void *context, eddy_wake **wake);

/**
 * Has the loop call `run(context)` after this, once for any number of calls before it does. Needs
 * no memory. Any thread; signal-safe.
 */
EDDY_API void eddy_wake_send(eddy_wake *wake);

/** Frees it; nobody may send any more. NULL is fine. @return EDDY_OK or EDDY_ESTATE. */
EDDY_API eddy_status eddy_wake_destroy(eddy_wake *wake);

/* ---------------------------------------------------------------------------------- its timers */

/**
 * A timer in a loop: never early, and at most 66 us late while its loop is idle. Of those that are
 * due, the earliest comes first, then the one that was started first. Starting and cancelling take
 * constant time, however many there are.
 */
typedef struct eddy_timer eddy_timer;

/** @param periods 1; of EDDY_LATE_SKIP, 1 and those that were left out. */
typedef void (*eddy_timer_run)(void *context, eddy_timer *timer, uint64_t periods);

/** What a periodic timer does when it is called so late that it has missed periods. */
typedef enum eddy_late {
    EDDY_LATE_SKIP = 0,  /* one call for all of them; the next is where it would have been */
    EDDY_LATE_ALL = 1,   /* one call for each, at once: for simulations with steps of one length */
    EDDY_LATE_SHIFT = 2, /* the next is a whole period from now: two are never closer than that */
} eddy_late;

/** The shortest period. */
#define EDDY_TIMER_PERIOD_NS_MIN 1000

/** It is not started. @return EDDY_OK, EDDY_EINVAL (no `run`), EDDY_ENOMEM or EDDY_ESTATE. */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_timer_create(eddy_loop *loop, eddy_timer_run run,
                                                       void *context, eddy_timer **timer);

/** Starts it, anew if it was started, to be called once. @return EDDY_OK or EDDY_ESTATE. */
EDDY_API eddy_status eddy_timer_start(eddy_timer *timer, uint64_t delay_ns);

/**
 * Starts it, anew if it was started, to be called after `first_ns` and then every `period_ns`.
 * @return EDDY_OK; EDDY_EINVAL (period below EDDY_TIMER_PERIOD_NS_MIN; `late`); EDDY_ESTATE.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_timer_start_periodic(eddy_timer *timer, uint64_t first_ns,
                                                               uint64_t period_ns, eddy_late late);

/** Stops it; it is not called any more until it is started. @return EDDY_OK or EDDY_ESTATE. */
EDDY_API eddy_status eddy_timer_cancel(eddy_timer *timer);

/** Whether a call is to come. */
EDDY_API bool eddy_timer_is_started(const eddy_timer *timer);

/** Frees it, started or not. NULL is fine. @return EDDY_OK or EDDY_ESTATE. */
EDDY_API eddy_status eddy_timer_destroy(eddy_timer *timer);

#ifdef __cplusplus
}
#endif

#endif
