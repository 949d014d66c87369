/** What runs a command: a loop that sleeps until there is an event, news to tell, or a stop. */
#ifndef ED_TOOL_RUNNER_H
#define ED_TOOL_RUNNER_H

#include "core/eddy.h"
#include "core/eddy_loop.h"

#define ED_RUNNER_TELL_NS (250 * 1000 * 1000)

typedef struct ed_runner {
    eddy_loop *loop;
    eddy_stop *stop;
    eddy_watch *stop_watch; /* so that a request ends the sleep */
    eddy_timer *end;        /* requests the stop when the time is over */
    eddy_timer *teller;
    void (*tell)(void *context); /* called every ED_RUNNER_TELL_NS */
    eddy_manager *eddy;          /* NULL: none yet */
    eddy_watch *event_watch;
    void (*take_event)(void *context, eddy_event *event); /* which releases it */
    void *context;
    bool is_over; /* no event will come any more */
} ed_runner;

/** @param stop NULL is refused. @return EDDY_OK, EDDY_ENOMEM or EDDY_ESYSTEM: nothing to close. */
EDDY_MUST_CHECK eddy_status ed_runner_open(ed_runner *runner, eddy_stop *stop,
                                           void (*tell)(void *context), void *context);

/** Takes the events of a manager. Once. */
EDDY_MUST_CHECK eddy_status ed_runner_take_events(ed_runner *runner, eddy_manager *eddy,
                                                  void (*take)(void *context, eddy_event *event));

/** Requests the stop in `duration_ms` from now; 0: never. */
void ed_runner_set_end(ed_runner *runner, uint64_t duration_ms);

/** Whether the command is to end. */
static inline bool ed_runner_is_stopped(const ed_runner *runner)
{
    return eddy_stop_requested(runner->stop);
}

/** Sleeps until something happens, for at most `timeout_ms`, and does what that asks for. */
void ed_runner_round(ed_runner *runner, uint32_t timeout_ms);

/** Before the manager is closed. One that was never opened, but zeroed, is fine. */
void ed_runner_close(ed_runner *runner);

#endif
