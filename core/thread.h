/** The operating system's threads, as far as we use them; the only user of them. */
#ifndef ED_THREAD_H
#define ED_THREAD_H

#include <pthread.h>

#include "core/eddy.h"

typedef struct ed_mutex {
    pthread_mutex_t os;
} ed_mutex;

/** One that needs no ed_mutex_init. */
#define ED_MUTEX_STATIC                                                                            \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER                                                                  \
    }

/** A condition that waits by the monotonic clock. */
typedef struct ed_condition {
    pthread_cond_t os;
} ed_condition;

enum {
    ED_THREAD_NAME_SIZE = 16, /* the kernel's limit, NUL included */
};

/** Stays where it is until it is joined. */
typedef struct ed_thread {
    pthread_t os;
    const char *name;
    void (*run)(void *context);
    void *context;
} ed_thread;

EDDY_MUST_CHECK eddy_status ed_mutex_init(ed_mutex *mutex);
void ed_mutex_destroy(ed_mutex *mutex);
void ed_mutex_lock(ed_mutex *mutex);
void ed_mutex_unlock(ed_mutex *mutex);

/**
 * From now on each fork of the process calls these: the first before it, the others after it. There
 * is no way back. @return EDDY_OK or EDDY_ENOMEM.
 */
EDDY_MUST_CHECK eddy_status ed_thread_at_fork(void (*before)(void), void (*in_parent)(void),
                                              void (*in_child)(void));

EDDY_MUST_CHECK eddy_status ed_condition_init(ed_condition *condition);
void ed_condition_destroy(ed_condition *condition);
void ed_condition_signal(ed_condition *condition);
void ed_condition_broadcast(ed_condition *condition);

/** Waits until signalled or until `deadline_ns` of ed_clock_now_ns() (UINT64_MAX: no limit). May
 * wake for no reason. */
void ed_condition_wait(ed_condition *condition, ed_mutex *mutex, uint64_t deadline_ns);

/**
 * Starts `run(context)`, with every signal blocked: signals are the program's own business.
 * `name` is at most ED_THREAD_NAME_SIZE - 1 bytes, and outlives the thread. @return EDDY_OK or
 * EDDY_ESYSTEM.
 */
EDDY_MUST_CHECK eddy_status ed_thread_start(ed_thread *thread, const char *name,
                                            void (*run)(void *context), void *context);
void ed_thread_join(ed_thread *thread);

/** A number for the thread that asks, not 0, of its own among those that live. */
uintptr_t ed_thread_self(void);

/** Lets other threads go first. */
void ed_thread_yield(void);

/** The same for a thread that nobody waits for. `thread` may go away as soon as `run` is called. */
EDDY_MUST_CHECK eddy_status ed_thread_start_detached(ed_thread *thread, const char *name,
                                                     void (*run)(void *context), void *context);

/** On how many processors the calling thread may run; at least 1. */
size_t ed_thread_cpu_count(void);

#endif
