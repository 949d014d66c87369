#include "core/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base.h"

eddy_status ed_mutex_init(ed_mutex *mutex)
{
    return pthread_mutex_init(&mutex->os, NULL) == 0 ? EDDY_OK : EDDY_ESYSTEM;
}

void ed_mutex_destroy(ed_mutex *mutex)
{
    int failed = pthread_mutex_destroy(&mutex->os);
    ED_ASSERT(failed == 0); // EBUSY: somebody still holds it
}

void ed_mutex_lock(ed_mutex *mutex)
{
    int failed = pthread_mutex_lock(&mutex->os);
    ED_ASSERT(failed == 0);
}

void ed_mutex_unlock(ed_mutex *mutex)
{
    int failed = pthread_mutex_unlock(&mutex->os);
    ED_ASSERT(failed == 0);
}

#ifndef _WIN32
eddy_status ed_thread_at_fork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void))
{
    return pthread_atfork(before, in_parent, in_child) == 0 ? EDDY_OK : EDDY_ENOMEM;
}
#endif

eddy_status ed_condition_init(ed_condition *condition)
{
    pthread_condattr_t attributes;

    if (pthread_condattr_init(&attributes) != 0)
        return EDDY_ESYSTEM;
    // By default a deadline is one of the wall clock, which people set.
    bool ready = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                 pthread_cond_init(&condition->os, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return ready ? EDDY_OK : EDDY_ESYSTEM;
}

void ed_condition_destroy(ed_condition *condition)
{
    int failed = pthread_cond_destroy(&condition->os);
    ED_ASSERT(failed == 0);
}

void ed_condition_signal(ed_condition *condition)
{
    int failed = pthread_cond_signal(&condition->os);
    ED_ASSERT(failed == 0);
}

void ed_condition_broadcast(ed_condition *condition)
{
    int failed = pthread_cond_broadcast(&condition->os);
    ED_ASSERT(failed == 0);
}

void ed_condition_wait(ed_condition *condition, ed_mutex *mutex, uint64_t deadline_ns)
{
    if (deadline_ns == ED_NEVER_NS) {
        int failed = pthread_cond_wait(&condition->os, &mutex->os);
        ED_ASSERT(failed == 0);
        return;
    }
    // A time_t may have 32 bits. To wake early, after 68 years, is allowed.
    struct timespec until = {
        .tv_sec = (time_t)ed_min_u64(deadline_ns / ED_NS_PER_S, INT32_MAX),
        .tv_nsec = (long)(deadline_ns % ED_NS_PER_S),
    };
    int failed = pthread_cond_timedwait(&condition->os, &mutex->os, &until);
    ED_ASSERT(failed == 0 || failed == ETIMEDOUT);
}

static void *run_thread(void *memory)
{
    const ed_thread *thread = memory;
#if defined(__linux__)
    (void)pthread_setname_np(pthread_self(), thread->name); // for people who look
#endif
    thread->run(thread->context);
    return NULL;
}

/** A thread starts with the mask of its maker, so the mask is lent for that moment. */
static eddy_status create_thread(pthread_t *os, const pthread_attr_t *attributes, ed_thread *thread)
{
    sigset_t all;
    sigset_t before;

    (void)sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return EDDY_ESYSTEM;
    int failed = pthread_create(os, attributes, run_thread, thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0 ? EDDY_OK : EDDY_ESYSTEM;
}

static void set_thread(ed_thread *thread, const char *name, void (*run)(void *context),
                       void *context)
{
    ED_ASSERT(run != NULL);
    ED_ASSERT(strlen(name) < ED_THREAD_NAME_SIZE);
    thread->name = name;
    thread->run = run;
    thread->context = context;
}

eddy_status ed_thread_start(ed_thread *thread, const char *name, void (*run)(void *context),
                            void *context)
{
    set_thread(thread, name, run, context);
    return create_thread(&thread->os, NULL, thread);
}

eddy_status ed_thread_start_detached(ed_thread *thread, const char *name,
                                     void (*run)(void *context), void *context)
{
    pthread_attr_t attributes;
    pthread_t os; // not in `thread`, which may be gone before it is written

    set_thread(thread, name, run, context);
    if (pthread_attr_init(&attributes) != 0)
        return EDDY_ESYSTEM;
    int failed = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    eddy_status status = failed == 0 ? create_thread(&os, &attributes, thread) : EDDY_ESYSTEM;
    (void)pthread_attr_destroy(&attributes);
    return status;
}

void ed_thread_join(ed_thread *thread)
{
    int failed = pthread_join(thread->os, NULL);
    ED_ASSERT(failed == 0);
}

uintptr_t ed_thread_self(void)
{
    static _Thread_local char place;

    return (uintptr_t)&place;
}

void ed_thread_yield(void)
{
    (void)sched_yield();
}

size_t ed_thread_cpu_count(void)
{
#if defined(__linux__)
    cpu_set_t set; // what taskset, a cgroup's cpuset and the like leave

    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (size_t)CPU_COUNT(&set);
#endif
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (size_t)count : 1;
}
