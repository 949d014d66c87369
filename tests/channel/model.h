/**
 * Threads that are not: each runs until it reaches a step (a mutex, a condition, an atomic, the
 * descriptor), and there a script says who goes on. Every script with few preemptions is tried, in
 * turn (as in CHESS, by Musuvathi and Qadeer), on one real thread, in one order of memory.
 *
 * Include it before the sources that are to run so: it puts itself in the place of core/thread.h's
 * locks, core/wake.h, the clock and the atomics.
 */
#ifndef ED_TEST_MODEL_H
#define ED_TEST_MODEL_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define ed_mutex_init model_mutex_init
#define ed_mutex_destroy model_mutex_destroy
#define ed_mutex_lock model_mutex_lock
#define ed_mutex_unlock model_mutex_unlock
#define ed_condition_init model_condition_init
#define ed_condition_destroy model_condition_destroy
#define ed_condition_signal model_condition_signal
#define ed_condition_broadcast model_condition_broadcast
#define ed_condition_wait model_condition_wait
#define ed_wake_init model_wake_init
#define ed_wake_destroy model_wake_destroy
#define ed_wake_set model_wake_set
#define ed_wake_clear model_wake_clear
#define ed_clock_now_ns model_now_ns

#include "core/base.h"
#include "core/clock.h"
#include "core/thread.h"
#include "core/wake.h"

enum {
    MODEL_THREADS_MAX = 4,
    MODEL_STEPS_MAX = 2000, /* of one script: more is a loop without an end */
    MODEL_STACK_SIZE = 64 * 1024,
};

/** What a thread waits for. */
typedef enum model_need {
    NEED_NOTHING,
    NEED_MUTEX,
    NEED_SIGNAL,
    NEED_FLAG,
    NEED_NO_MORE
} model_need;

typedef struct model_thread {
    ucontext_t context;
    model_need need;
    const void *object; /* the condition or the descriptor's flag */
    ed_mutex *mutex;    /* that it will have next */
    bool has_deadline;  /* NEED_SIGNAL: its time may be up at any moment */
    bool is_late;       /* and is */
    uint8_t *stack;
} model_thread;

/** A place in the script: one of `count` was chosen. */
typedef struct model_choice {
    uint8_t chosen;
    uint8_t count;
} model_choice;

static struct model {
    ucontext_t scheduler;
    model_thread threads[MODEL_THREADS_MAX];
    size_t thread_count;
    size_t running;
    bool is_running;
    model_choice choices[MODEL_STEPS_MAX];
    size_t choice_count; /* of the script, as far as it is known */
    size_t at;           /* how many of them were made */
    size_t preemptions;
    size_t preemption_max;
    uint64_t now; /* steps */
} model;

/** Takes the script's next choice; the first of all where it ends. */
static size_t model_choose(size_t count)
{
    ED_ASSERT(count > 0 && model.at < MODEL_STEPS_MAX);
    if (model.at == model.choice_count)
        model.choices[model.choice_count++] = (model_choice){.count = (uint8_t)count};
    ED_ASSERT(model.choices[model.at].count == count); // the same script, the same run
    return model.choices[model.at++].chosen;
}

/** @return whether there is another script: the last choice that has another takes that. */
static bool model_next_script(void)
{
    while (model.choice_count > 0) {
        model_choice *last = &model.choices[model.choice_count - 1];
        if (++last->chosen < last->count)
            return true;
        model.choice_count--;
    }
    return false;
}

static model_thread *model_self(void)
{
    return &model.threads[model.running];
}

static void model_yield(void)
{
    if (!model.is_running) // who prepares a script, or looks at what it left
        return;
    if (swapcontext(&model_self()->context, &model.scheduler) != 0)
        abort();
}

/** Before everything that another thread can see, or be seen by. */
static void model_step(void)
{
    model_yield();
}

/* ------------------------------------------------------------------ what stands for the OS's -- */

/** A mutex is whether it is held. */
static bool *model_is_held(ed_mutex *mutex)
{
    return (bool *)(void *)mutex;
}

eddy_status model_mutex_init(ed_mutex *mutex)
{
    *model_is_held(mutex) = false;
    return EDDY_OK;
}

void model_mutex_destroy(ed_mutex *mutex)
{
    ED_ASSERT(!*model_is_held(mutex));
}

void model_mutex_lock(ed_mutex *mutex)
{
    model_self()->need = NEED_MUTEX;
    model_self()->mutex = mutex;
    model_yield();
    ED_ASSERT(!*model_is_held(mutex));
    *model_is_held(mutex) = true;
}

void model_mutex_unlock(ed_mutex *mutex)
{
    ED_ASSERT(*model_is_held(mutex));
    *model_is_held(mutex) = false;
    model_step();
}

eddy_status model_condition_init(ed_condition *condition)
{
    (void)condition;
    return EDDY_OK;
}

void model_condition_destroy(ed_condition *condition)
{
    for (size_t i = 0; i < model.thread_count; i++)
        ED_ASSERT(model.threads[i].need != NEED_SIGNAL || model.threads[i].object != condition);
}

void model_condition_wait(ed_condition *condition, ed_mutex *mutex, uint64_t deadline_ns)
{
    model_thread *self = model_self();

    ED_ASSERT(*model_is_held(mutex));
    *model_is_held(mutex) = false;
    self->need = NEED_SIGNAL;
    self->object = condition;
    self->mutex = mutex;
    self->has_deadline = deadline_ns != ED_NEVER_NS;
    model_yield();
    ED_ASSERT(!*model_is_held(mutex));
    *model_is_held(mutex) = true;
}

static size_t model_waiting_for(const ed_condition *condition, size_t *threads)
{
    size_t count = 0;

    for (size_t i = 0; i < model.thread_count; i++)
        if (model.threads[i].need == NEED_SIGNAL && model.threads[i].object == condition)
            threads[count++] = i;
    return count;
}

/** Wakes one of them: the script says which. */
void model_condition_signal(ed_condition *condition)
{
    size_t threads[MODEL_THREADS_MAX];
    size_t count = model_waiting_for(condition, threads);

    if (count > 0)
        model.threads[threads[count == 1 ? 0 : model_choose(count)]].need = NEED_MUTEX;
    model_step();
}

void model_condition_broadcast(ed_condition *condition)
{
    size_t threads[MODEL_THREADS_MAX];
    size_t count = model_waiting_for(condition, threads);

    for (size_t i = 0; i < count; i++)
        model.threads[threads[i]].need = NEED_MUTEX;
    model_step();
}

/** Only a thread whose time is up learns that time passes. */
uint64_t model_now_ns(void)
{
    return model_self()->is_late ? ED_NEVER_NS - 1 : 1;
}

/** The descriptor's number is whether it is readable. */
eddy_status model_wake_init(ed_wake *wake)
{
    *wake = (ed_wake){0};
    return EDDY_OK;
}

void model_wake_destroy(ed_wake *wake)
{
    for (size_t i = 0; i < model.thread_count; i++)
        ED_ASSERT(model.threads[i].need != NEED_FLAG || model.threads[i].object != &wake->write_fd);
}

void model_wake_set(ed_wake *wake)
{
    wake->write_fd = 1;
    model_step();
}

void model_wake_clear(ed_wake *wake)
{
    wake->write_fd = 0;
    model_step();
}

/** What poll() would do: until the flag is set. */
static void model_wait(const int *flag)
{
    model_self()->need = NEED_FLAG;
    model_self()->object = flag;
    model_yield();
}

/* ----------------------------------------------------------------------------- the scheduler -- */

static bool model_can_run(const model_thread *thread)
{
    switch (thread->need) {
    case NEED_NOTHING:
        return true;
    case NEED_MUTEX:
        return !*model_is_held(thread->mutex);
    case NEED_SIGNAL:
        return thread->has_deadline && !*model_is_held(thread->mutex);
    case NEED_FLAG:
        return *(const int *)thread->object != 0;
    case NEED_NO_MORE:
        break;
    }
    return false;
}

/** Who may run next: first who runs now, and nobody else once the preemptions are used up. */
static size_t model_candidates(size_t *threads)
{
    size_t count = 0;
    bool goes_on = model_can_run(model_self());

    if (goes_on)
        threads[count++] = model.running;
    if (goes_on && model.preemptions == model.preemption_max)
        return count;
    for (size_t i = 0; i < model.thread_count; i++)
        if (i != model.running && model_can_run(&model.threads[i]))
            threads[count++] = i;
    return count;
}

static void model_resume(size_t thread)
{
    model.preemptions += thread != model.running && model_can_run(model_self());
    model.running = thread;
    if (model_self()->need == NEED_SIGNAL)
        model_self()->is_late = true;
    model_self()->need = NEED_NOTHING;
    model.now++;
    model.is_running = true;
    if (swapcontext(&model.scheduler, &model_self()->context) != 0)
        abort();
    model.is_running = false;
}

static void model_enter(void (*run)(int thread), size_t thread)
{
    model_thread *t = &model.threads[thread];

    if (getcontext(&t->context) != 0)
        abort();
    if (t->stack == NULL)
        t->stack = malloc(MODEL_STACK_SIZE);
    ED_ASSERT(t->stack != NULL);
    t->context.uc_stack.ss_sp = t->stack;
    t->context.uc_stack.ss_size = MODEL_STACK_SIZE;
    t->context.uc_link = &model.scheduler;
    t->need = NEED_NOTHING;
    t->is_late = false;
    makecontext(&t->context, (void (*)(void))run, 1, (int)thread);
}

/** Runs the script. @return whether all came to their end; false: somebody sleeps for ever. */
static bool model_run(size_t thread_count, void (*run)(int thread))
{
    size_t candidates[MODEL_THREADS_MAX];
    size_t count = 0;

    model.thread_count = thread_count;
    model.at = 0;
    model.preemptions = 0;
    model.running = 0;
    model.now = 0;
    for (size_t i = 0; i < thread_count; i++)
        model_enter(run, i);
    while ((count = model_candidates(candidates)) > 0)
        model_resume(candidates[count == 1 ? 0 : model_choose(count)]);
    for (size_t i = 0; i < thread_count; i++)
        if (model.threads[i].need != NEED_NO_MORE)
            return false;
    return true;
}

/* ------------------------------------------------------------------------------- the atomics -- */

static void *model_copy(void *to, const void *from, size_t size)
{
    model_step(); // an item that is seen before it is there is seen to be wrong
    return memcpy(to, from, size);
}

#define memcpy model_copy

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_compare_exchange_weak_explicit
#define atomic_load(object) (model_step(), *(object))
// What only its owner changes, or what is looked at again, is read without a step.
#define atomic_load_explicit(object, order)                                                        \
    ((order) == memory_order_relaxed ? *(object) : atomic_load(object))
#define atomic_store(object, value) (model_step(), (void)(*(object) = (value)))
#define atomic_store_explicit(object, value, order) atomic_store(object, value)
#define atomic_fetch_add(object, value) (model_step(), (*(object) += (value)) - (value))
#define atomic_fetch_add_explicit(object, value, order) atomic_fetch_add(object, value)
#define atomic_fetch_sub(object, value) (model_step(), (*(object) -= (value)) + (value))
#define atomic_exchange(object, value)                                                             \
    __extension__({                                                                                \
        model_step();                                                                              \
        __typeof__((void)0, *(object)) model_before_ = *(object);                                  \
        *(object) = (value);                                                                       \
        model_before_;                                                                             \
    })
#define atomic_exchange_explicit(object, value, order) atomic_exchange(object, value)
#define atomic_compare_exchange_weak_explicit(object, expected, value, success, failure)           \
    __extension__({                                                                                \
        model_step();                                                                              \
        bool model_same_ = *(object) == *(expected);                                               \
        if (model_same_)                                                                           \
            *(object) = (value);                                                                   \
        else                                                                                       \
            *(expected) = *(object);                                                               \
        model_same_;                                                                               \
    })

#endif
