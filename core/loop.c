#include "core/loop.h"

#include "core/alloc.h"
#include "core/clock.h"
#include "core/count.h"
#include "core/thread.h"

enum {
    POSTS_BATCH = 64, /* run in a round; others are ready in the next */
};

/** What waits in the channel of posts. */
typedef struct post {
    void (*run)(void *context);
    void *context;
} post;

static void run_posts(eddy_loop *loop, ed_ready *ready)
{
    post posts[POSTS_BATCH];
    size_t count = 0;

    (void)ready;
    if (ed_channel_pull(loop->posts, posts, POSTS_BATCH, &count, 0) != EDDY_OK)
        return;
    loop->calls += count;
    for (size_t i = 0; i < count; i++)
        posts[i].run(posts[i].context);
}

static void on_wake(eddy_loop *loop, ed_ready *ready)
{
    (void)ready;
    ed_wake_clear(&loop->wake); // before we look: whoever comes later sets it again
    ed_loop_run_wakes(loop);
}

/** The stop's descriptor is there to end a sleep; the loop asks the stop itself. */
static void on_stop(eddy_loop *loop, ed_ready *ready)
{
    (void)loop;
    (void)ready;
}

/* ------------------------------------------------------------------------------------- making --
 */

static eddy_status watch_own(eddy_loop *loop)
{
    int posts_fd = ed_channel_fd(loop->posts);
    eddy_status status =
        posts_fd < 0 ? EDDY_ESYSTEM
                     : ed_poller_add(&loop->poller, posts_fd, EDDY_FD_READABLE, &loop->posts_owner);

    return status != EDDY_OK ? status
                             : ed_poller_add(&loop->poller, loop->wake.read_fd, EDDY_FD_READABLE,
                                             &loop->wake_owner);
}

static void free_loop(eddy_loop *loop)
{
    eddy_allocator allocator = loop->allocator;

    if (loop->posts != NULL) {
        ed_channel_leave_sender(loop->posts);
        ed_channel_leave_receiver(loop->posts);
    }
    ed_wake_destroy(&loop->wake);
    ed_poller_reset(&loop->poller);
    ed_alloc_free(&allocator, loop, sizeof *loop);
}

eddy_status eddy_loop_create(eddy_loop **loop, const eddy_allocator *allocator)
{
    if (allocator == NULL)
        allocator = ed_alloc_default();
    eddy_loop *made = ed_alloc_zeroed(allocator, sizeof *made);

    if (made == NULL)
        return EDDY_ENOMEM;
    made->allocator = *allocator;
    made->posts_owner.on_ready = run_posts;
    made->wake_owner.on_ready = on_wake;
    made->stop_owner.on_ready = on_stop;
    ed_list_init(&made->wakes);
    ed_poller_init(&made->poller, &made->allocator);
    ed_timer_set_init(&made->timers, &made->allocator, made, ed_clock_now_ns);
    eddy_status status = ed_wake_init(&made->wake);
    made->posts = ed_channel_create(&made->allocator, sizeof(post), NULL, NULL);
    if (status == EDDY_OK)
        status = made->posts != NULL ? watch_own(made) : EDDY_ENOMEM;
    if (status == EDDY_OK)
        *loop = made;
    else
        free_loop(made);
    return status;
}

eddy_status eddy_loop_destroy(eddy_loop *loop)
{
    if (loop == NULL)
        return EDDY_OK;
    if (loop->runner != 0 || loop->watch_count > 0 || loop->timers.count > 0 ||
        !ed_list_empty(&loop->wakes) || atomic_load(&loop->references) > 0)
        return EDDY_ESTATE;
    ed_loop_await_none(&loop->guest_count);
    free_loop(loop);
    return EDDY_OK;
}

/* ------------------------------------------------------------------------------------ parts -- */

bool ed_loop_may_call(const eddy_loop *loop)
{
    uintptr_t runner = loop->runner;

    return runner == 0 || runner == ed_thread_self();
}

void ed_loop_forget(eddy_loop *loop, const ed_ready_owner *owner)
{
    for (size_t i = 0; i < loop->ready_count; i++)
        if (loop->ready[i].owner == owner)
            loop->ready[i].owner = NULL;
}

void ed_loop_await_none(const _Atomic size_t *count)
{
    while (atomic_load(count) > 0)
        ed_thread_yield();
}

eddy_status eddy_timer_create(eddy_loop *loop, eddy_timer_run run, void *context,
                              eddy_timer **timer)
{
    if (run == NULL)
        return EDDY_EINVAL;
    if (!ed_loop_may_call(loop))
        return EDDY_ESTATE;
    eddy_timer *made = ed_timer_create(&loop->timers, run, context);
    if (made == NULL)
        return EDDY_ENOMEM;
    *timer = made;
    return EDDY_OK;
}

/* --------------------------------------------------------------------------------- any thread --
 */

void eddy_loop_ref(eddy_loop *loop)
{
    atomic_fetch_add(&loop->references, 1);
}

/* What another thread says may be the last that the loop has waited for. So it counts as a guest,
 * and the loop is not destroyed before it has let go. */

eddy_status eddy_loop_unref(eddy_loop *loop)
{
    bool was_last = false;

    atomic_fetch_add(&loop->guest_count, 1);
    bool left = ed_count_leave(&loop->references, &was_last);
    if (was_last)
        ed_wake_set(&loop->wake);
    atomic_fetch_sub(&loop->guest_count, 1);
    return left ? EDDY_OK : EDDY_ESTATE;
}

eddy_status eddy_loop_post(eddy_loop *loop, void (*run)(void *context), void *context)
{
    const post next = {.run = run, .context = context};

    if (run == NULL)
        return EDDY_EINVAL;
    atomic_fetch_add(&loop->guest_count, 1);
    eddy_status status = ed_channel_push(loop->posts, &next, 1);
    atomic_fetch_sub(&loop->guest_count, 1);
    return status;
}

/* ----------------------------------------------------------------------------------- running -- */

uint64_t eddy_loop_now_ns(const eddy_loop *loop)
{
    return loop->timers.now_ns;
}

static bool begin(eddy_loop *loop)
{
    uintptr_t nobody = 0;

    return atomic_compare_exchange_strong(&loop->runner, &nobody, ed_thread_self());
}

static void end(eddy_loop *loop)
{
    ED_ASSERT(loop->runner == ed_thread_self());
    loop->runner = 0;
}

/** Sleeps until something is ready or due, or `deadline_ns`; calls what is. @return the calls. */
static size_t run_round(eddy_loop *loop, uint64_t deadline_ns)
{
    size_t before = loop->calls;
    uint64_t until_ns = ed_min_u64(deadline_ns, ed_wheel_next_ns(&loop->timers.wheel));
    uint64_t now_ns = ed_clock_now_ns();
    uint64_t wait_ns =
        until_ns == ED_NEVER_NS ? ED_NEVER_NS : until_ns - ed_min_u64(until_ns, now_ns);

    loop->ready_count = ed_poller_wait(&loop->poller, loop->ready, wait_ns);
    loop->calls += ed_timer_set_run(&loop->timers, ed_clock_now_ns());
    for (size_t i = 0; i < loop->ready_count; i++) {
        ed_ready_owner *owner = loop->ready[i].owner;
        if (owner != NULL)
            owner->on_ready(loop, &loop->ready[i]);
    }
    loop->ready_count = 0;
    return loop->calls - before;
}

eddy_status eddy_loop_poll(eddy_loop *loop, uint32_t timeout_ms)
{
    uint64_t deadline_ns = timeout_ms == 0 ? 0 : ed_clock_deadline_ns(timeout_ms);
    size_t calls = 0;

    if (!begin(loop))
        return EDDY_ESTATE;
    do
        calls = run_round(loop, deadline_ns);
    while (calls == 0 && deadline_ns != 0 && ed_clock_now_ns() < deadline_ns);
    end(loop);
    return calls > 0 ? EDDY_OK : EDDY_EAGAIN;
}

static bool is_referred_to(const eddy_loop *loop)
{
    return loop->timers.wheel.count > 0 || loop->active_count > 0 || !ed_list_empty(&loop->wakes) ||
           atomic_load(&loop->references) > 0 || ed_channel_length(loop->posts) > 0;
}

/** What was ready before the stop still runs, and what follows from it, as far as there is time. */
static void run_rest(eddy_loop *loop, const eddy_stop *stop)
{
    size_t calls = 0;

    do
        calls = run_round(loop, 0);
    while (calls > 0 && eddy_stop_left_ms(stop) > 0);
}

static void run_until(eddy_loop *loop, const eddy_stop *stop)
{
    while (is_referred_to(loop) && !eddy_stop_requested(stop))
        (void)run_round(loop, ED_NEVER_NS);
    ed_poller_remove(&loop->poller, eddy_stop_fd(stop)); // else it would be ready for ever
    if (eddy_stop_requested(stop))
        run_rest(loop, stop);
}

eddy_status eddy_loop_run(eddy_loop *loop, eddy_stop *stop)
{
    eddy_status status = EDDY_OK;

    if (!begin(loop))
        return EDDY_ESTATE;
    eddy_stop_subscribe(stop); // a callback may be its last holder, and leave
    if (stop != NULL)
        status =
            ed_poller_add(&loop->poller, eddy_stop_fd(stop), EDDY_FD_READABLE, &loop->stop_owner);
    if (status == EDDY_OK && stop != NULL)
        run_until(loop, stop);
    while (status == EDDY_OK && stop == NULL && is_referred_to(loop))
        (void)run_round(loop, ED_NEVER_NS);
    (void)eddy_stop_unsubscribe(stop);
    end(loop);
    return status;
}
