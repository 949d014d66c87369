#include "core/timer.h"

#include "core/alloc.h"
#include "core/loop.h"

struct eddy_timer {
    ed_alarm alarm;
    ed_timer_set *timers;
    eddy_timer_run run;
    void *context;
    uint64_t period_ns; /* 0: once */
    eddy_late late;
};

void ed_timer_set_init(ed_timer_set *timers, const eddy_allocator *allocator, const eddy_loop *loop,
                       uint64_t (*read_ns)(void))
{
    uint64_t now_ns = read_ns();

    ed_wheel_init(&timers->wheel, now_ns);
    timers->allocator = allocator;
    timers->loop = loop;
    timers->read_ns = read_ns;
    timers->now_ns = now_ns;
    timers->count = 0;
}

static bool may_call(const eddy_timer *timer)
{
    return timer->timers->loop == NULL || ed_loop_may_call(timer->timers->loop);
}

eddy_timer *ed_timer_create(ed_timer_set *timers, eddy_timer_run run, void *context)
{
    ED_ASSERT(run != NULL);
    eddy_timer *timer = ed_alloc_zeroed(timers->allocator, sizeof *timer);

    if (timer == NULL)
        return NULL;
    timer->timers = timers;
    timer->run = run;
    timer->context = context;
    timers->count++;
    return timer;
}

eddy_status eddy_timer_destroy(eddy_timer *timer)
{
    if (timer == NULL)
        return EDDY_OK;
    if (!may_call(timer))
        return EDDY_ESTATE;
    ed_timer_set *timers = timer->timers;
    ED_ASSERT(timers->count > 0);
    timers->count--;
    ed_wheel_clear(&timers->wheel, &timer->alarm);
    ed_alloc_free(timers->allocator, timer, sizeof *timer);
    return EDDY_OK;
}

/** Sets the alarm `delay_ns` from now, and later than this round. */
static void set(eddy_timer *timer, uint64_t delay_ns)
{
    ed_timer_set *timers = timer->timers;
    uint64_t at_ns = ed_add_sat_u64(timers->read_ns(), delay_ns);

    at_ns = ed_min_u64(ed_max_u64(at_ns, timers->now_ns + 1), ED_NEVER_NS - 1);
    ed_wheel_set(&timers->wheel, &timer->alarm, at_ns);
}

eddy_status eddy_timer_start(eddy_timer *timer, uint64_t delay_ns)
{
    if (!may_call(timer))
        return EDDY_ESTATE;
    timer->period_ns = 0;
    set(timer, delay_ns);
    return EDDY_OK;
}

eddy_status eddy_timer_start_periodic(eddy_timer *timer, uint64_t first_ns, uint64_t period_ns,
                                      eddy_late late)
{
    if (period_ns < EDDY_TIMER_PERIOD_NS_MIN || (unsigned)late > EDDY_LATE_SHIFT)
        return EDDY_EINVAL;
    if (!may_call(timer))
        return EDDY_ESTATE;
    timer->period_ns = period_ns;
    timer->late = late;
    set(timer, first_ns);
    return EDDY_OK;
}

eddy_status eddy_timer_cancel(eddy_timer *timer)
{
    if (!may_call(timer))
        return EDDY_ESTATE;
    ed_wheel_clear(&timer->timers->wheel, &timer->alarm);
    return EDDY_OK;
}

bool eddy_timer_is_started(const eddy_timer *timer)
{
    return ed_alarm_is_set(&timer->alarm);
}

/** Sets the alarm of a periodic timer anew. @return how many periods the call that is due is for.
 */
static uint64_t set_next(eddy_timer *timer)
{
    ed_timer_set *timers = timer->timers;
    uint64_t due_ns = timer->alarm.at_ns;
    uint64_t periods = 1;

    if (timer->late == EDDY_LATE_SHIFT) {
        set(timer, timer->period_ns);
        return periods;
    }
    if (timer->late == EDDY_LATE_SKIP)
        periods += (timers->now_ns - due_ns) / timer->period_ns;
    uint64_t next_ns = due_ns + periods * timer->period_ns;
    if (next_ns > due_ns && next_ns != ED_NEVER_NS) // else it is after the end of all time
        ed_wheel_set(&timers->wheel, &timer->alarm, next_ns);
    return periods;
}

size_t ed_timer_set_run(ed_timer_set *timers, uint64_t now_ns)
{
    size_t calls = 0;

    ED_ASSERT(now_ns >= timers->now_ns);
    timers->now_ns = now_ns;
    ed_alarm *alarm = ed_wheel_pop(&timers->wheel, now_ns);
    for (; alarm != NULL; alarm = ed_wheel_pop(&timers->wheel, now_ns)) {
        eddy_timer *timer = ED_CONTAINER(alarm, eddy_timer, alarm);
        uint64_t periods = timer->period_ns == 0 ? 1 : set_next(timer);
        calls++;
        timer->run(timer->context, timer, periods); // which may destroy it
    }
    return calls;
}
