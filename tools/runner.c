#include "tools/runner.h"

#include "core/base.h"

enum {
    BATCH = 256, /* events between two looks at all else */
};

static_assert(ED_RUNNER_TELL_NS == 250 * ED_NS_PER_MS, "its name says ns");

/** A request has ended the sleep: whoever runs the loop looks at the stop. */
static bool on_stop(void *context, eddy_watch *watch, unsigned ready)
{
    (void)context, (void)watch, (void)ready;
    return false;
}

static void on_end(void *context, eddy_timer *timer, uint64_t periods)
{
    ed_runner *runner = context;

    (void)timer, (void)periods;
    (void)eddy_stop_request(runner->stop, 0, EDDY_FOREVER);
}

static void on_tell(void *context, eddy_timer *timer, uint64_t periods)
{
    ed_runner *runner = context;

    (void)timer, (void)periods;
    runner->tell(runner->context);
}

static bool on_events(void *context, eddy_watch *watch, unsigned ready)
{
    ed_runner *runner = context;
    eddy_status status = EDDY_OK;
    eddy_event event;

    (void)watch, (void)ready;
    for (int i = 0; i < BATCH && status == EDDY_OK; i++) {
        status = eddy_next(runner->eddy, &event, 0);
        if (status == EDDY_OK)
            runner->take_event(runner->context, &event);
    }
    runner->is_over = status == EDDY_ECLOSED;
    return !runner->is_over;
}

eddy_status ed_runner_open(ed_runner *runner, eddy_stop *stop, void (*tell)(void *context),
                           void *context)
{
    *runner = (ed_runner){.stop = stop, .tell = tell, .context = context};
    eddy_status status = stop == NULL ? EDDY_ENOMEM : eddy_loop_create(&runner->loop, NULL);
    if (status == EDDY_OK)
        status = eddy_watch_create(runner->loop, eddy_stop_fd(stop), EDDY_FD_READABLE, on_stop,
                                   runner, &runner->stop_watch);
    if (status == EDDY_OK)
        status = eddy_timer_create(runner->loop, on_end, runner, &runner->end);
    if (status == EDDY_OK)
        status = eddy_timer_create(runner->loop, on_tell, runner, &runner->teller);
    if (status == EDDY_OK)
        status = eddy_timer_start_periodic(runner->teller, 0, ED_RUNNER_TELL_NS, EDDY_LATE_SKIP);
    if (status != EDDY_OK)
        ed_runner_close(runner);
    return status;
}

eddy_status ed_runner_take_events(ed_runner *runner, eddy_manager *eddy,
                                  void (*take)(void *context, eddy_event *event))
{
    ED_ASSERT(runner->eddy == NULL);
    runner->eddy = eddy;
    runner->take_event = take;
    return eddy_watch_create(runner->loop, eddy_event_fd(eddy), EDDY_FD_READABLE, on_events, runner,
                             &runner->event_watch);
}

void ed_runner_set_end(ed_runner *runner, uint64_t duration_ms)
{
    if (duration_ms != 0)
        (void)eddy_timer_start(runner->end, duration_ms * ED_NS_PER_MS);
}

void ed_runner_round(ed_runner *runner, uint32_t timeout_ms)
{
    (void)eddy_loop_poll(runner->loop, timeout_ms);
}

void ed_runner_close(ed_runner *runner)
{
    (void)eddy_timer_destroy(runner->teller);
    (void)eddy_timer_destroy(runner->end);
    (void)eddy_watch_destroy(runner->event_watch);
    (void)eddy_watch_destroy(runner->stop_watch);
    (void)eddy_loop_destroy(runner->loop);
    *runner = (ed_runner){.stop = runner->stop};
}
