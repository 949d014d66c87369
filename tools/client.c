#include "tools/client.h"

#include <inttypes.h>

#include "tools/stop.h"

enum {
    LOOK_MS = 50, // between two looks at the time, once nothing more is sent
    FLUSH_MS = 5000,
    PROGRESS_BYTES = 16 * 1024, // more than pings and acknowledgements in the time of SILENCE_NS
};

#define SEND_INTERVAL_NS_MIN ED_NS_PER_MS /* messages closer to each other leave together */
#define BACKLOG_NS ED_NS_PER_S            /* a sender further behind gives up what it has missed */
#define SILENCE_NS (5 * ED_NS_PER_S)      /* without any progress, what is missing is lost */
#define GRACE_NS ED_NS_PER_S              /* for what is not owed, beside a round trip */

size_t ed_client_size_max(const ed_client_options *options)
{
    return (size_t)ed_max_u64(options->size, options->large);
}

/* --------------------------------------------------------------------------------- telling -- */

static void count(ed_client *c, uint64_t now_ns)
{
    ed_report_count(&c->report, c->eddy);
    for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++)
        c->report.flows[i] = c->tally.flows[i];
    c->report.large = c->large;
    c->report.connections = c->is_connected && !c->has_ended;
    c->report.duration_ns = now_ns - c->start_ns;
}

static void show_line(ed_client *c, uint64_t now_ns)
{
    ed_flow owed;
    ed_flow others;

    count(c, now_ns);
    ed_report_sum(&c->report, true, &owed);
    ed_report_sum(&c->report, false, &others);
    ed_line_show(
        &c->line,
        "%3" PRIu64 " s  %" PRIu64 "/%" PRIu64 " exactly once  %" PRIu64 "/%" PRIu64
        " others%s  p50 %" PRIu64 " ms",
        (now_ns - c->start_ns) / ED_NS_PER_S, owed.answered, owed.sent, others.answered,
        others.sent, ed_large_news(&c->large),
        ed_latency_percentile_us(owed.sent > 0 ? &owed.round_trip : &others.round_trip, 500) /
            1000);
}

static void tell(void *context)
{
    ed_client *c = context;
    uint64_t now_ns = eddy_now_ns();

    if (c->start_ns == 0)
        return; // there is no traffic yet
    if (c->options->report_fd != 0) {
        count(c, now_ns);
        if (!ed_report_send(&c->report, c->options->report_fd)) // whom we report to is gone
            (void)eddy_stop_request(c->runner.stop, 0, EDDY_FOREVER);
    }
    if (ed_line_is_due(&c->line, now_ns))
        show_line(c, now_ns);
}

/* ---------------------------------------------------------------------------------- events -- */

static void take_message(ed_client *c, const eddy_event_message *message, uint64_t now_ns)
{
    if (message->stream == ED_LARGE_STREAM)
        ed_large_answered(&c->large, message, c->checksum, now_ns);
    else
        ed_tally_answered(&c->tally, message, now_ns);
    c->progress_ns = now_ns;
}

static void take_event(void *context, eddy_event *event)
{
    ed_client *c = context;

    switch (event->type) {
    case EDDY_CONNECTED:
        c->is_connected = true;
        c->mode = event->connected.peer.mode;
        c->report.address = event->connected.remote;
        break;
    case EDDY_DISCONNECTED:
        c->has_ended = true;
        c->ending = event->disconnected;
        break;
    case EDDY_MESSAGE:
        take_message(c, &event->message, eddy_now_ns());
        break;
    case EDDY_WRITABLE: // what there was no room for is still due, and tried again in a moment
    case EDDY_RECEIPT:
    case EDDY_MOVED:
    case EDDY_CONNECT_REQUEST:
    case EDDY_EVENT_NONE:
        break;
    }
    eddy_release(c->eddy, event);
}

/* --------------------------------------------------------------------------------- traffic -- */

/** Sends the large message, once, as soon as there is room for it. */
static void send_large(ed_client *c)
{
    size_t size = (size_t)c->large.size;
    const eddy_stream_options last = {.priority = ED_LARGE_PRIORITY};

    if (size == 0 || c->large.sent > 0)
        return;
    ed_large_fill(c->data, size);
    if (eddy_set_stream(c->eddy, c->connection, ED_LARGE_STREAM, &last) == EDDY_OK &&
        eddy_send(c->eddy, c->connection, ED_LARGE_GUARANTEE, ED_LARGE_STREAM, c->data, size) ==
            EDDY_OK)
        ed_large_sent(&c->large, c->data, size, eddy_now_ns(), c->checksum);
}

/** Sends one message. False if there was no room for it. */
static bool send_one(ed_client *c)
{
    eddy_guarantee guarantee = ed_mix_next(&c->mix);
    size_t size = (size_t)c->options->size;
    uint8_t stream = ed_tally_stamp(&c->tally, guarantee, c->data, size, eddy_now_ns());

    if (eddy_send(c->eddy, c->connection, guarantee, stream, c->data, size) != EDDY_OK)
        return false;
    ed_tally_sent(&c->tally, guarantee);
    ed_mix_sent(&c->mix, guarantee);
    return true;
}

/** Sends what is due by `now_ns`. */
static void send_due(ed_client *c, uint64_t now_ns)
{
    uint64_t interval_ns = ED_NS_PER_S / c->options->rate;

    while (c->send_ns <= now_ns && send_one(c))
        c->send_ns += interval_ns;
    if (c->send_ns + BACKLOG_NS < now_ns)
        c->send_ns = now_ns;
}

static bool is_to_end(const ed_client *c)
{
    return c->has_ended || ed_runner_is_stopped(&c->runner);
}

/** Sends what is due, also when there is room again, and has itself called when more is. */
static void on_due(void *context, eddy_timer *timer, uint64_t periods)
{
    ed_client *c = context;
    uint64_t now_ns = eddy_now_ns();

    (void)periods;
    if (is_to_end(c))
        return;
    send_large(c);
    send_due(c, now_ns);
    uint64_t left_ns = c->send_ns - ed_min_u64(c->send_ns, now_ns);
    (void)eddy_timer_start(timer, ed_max_u64(left_ns, SEND_INTERVAL_NS_MIN));
}

static void send_traffic(ed_client *c)
{
    uint64_t now_ns = eddy_now_ns();

    c->start_ns = now_ns;
    c->send_ns = now_ns;
    c->line = ed_line_make(c->line.is_quiet, now_ns);
    ed_runner_set_end(&c->runner, c->options->duration_ms);
    (void)eddy_timer_start(c->sender, 0);
    while (!is_to_end(c))
        ed_runner_round(&c->runner, EDDY_FOREVER);
    c->stop_ns = eddy_now_ns();
    c->progress_ns = c->stop_ns;
}

/* --------------------------------------------------------------------------------- waiting -- */

/** A large message on its way brings no answer for long, but it makes us send. */
static void note_progress(ed_client *c, uint64_t now_ns)
{
    ed_report_count(&c->report, c->eddy);
    if (c->report.stats.sent_bytes - c->progress_bytes < PROGRESS_BYTES)
        return;
    c->progress_bytes = c->report.stats.sent_bytes;
    c->progress_ns = now_ns;
}

static bool is_anything_owed(const ed_client *c)
{
    bool is_owed = ed_large_is_owed(&c->large);

    for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++)
        is_owed = is_owed || ed_flow_is_owed(&c->tally.flows[i], (eddy_guarantee)i);
    return is_owed;
}

/** How long what is not owed may still be on its way. */
static uint64_t grace_ns(const ed_client *c)
{
    uint64_t longest_us = 0;

    for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++)
        longest_us = ed_max_u64(longest_us, c->tally.flows[i].round_trip.max_us);
    return ed_min_u64(GRACE_NS + longest_us * ED_NS_PER_US, SILENCE_NS);
}

static bool is_anything_missing(const ed_client *c)
{
    bool is_missing = false;

    for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++)
        is_missing = is_missing || c->tally.flows[i].answered < c->tally.flows[i].sent;
    return is_missing;
}

/** Whether to go on: as long as something is owed and there is progress. */
static bool is_worth_waiting(const ed_client *c, uint64_t now_ns)
{
    if (c->has_ended)
        return false;
    if (is_anything_owed(c))
        return now_ns - c->progress_ns < SILENCE_NS;
    return is_anything_missing(c) && now_ns - c->stop_ns < grace_ns(c);
}

bool ed_client_await_connected(ed_client *c)
{
    while (!c->is_connected && !is_to_end(c))
        ed_runner_round(&c->runner, EDDY_FOREVER);
    return c->is_connected;
}

/** While there is a connection to ask. */
static void note_path(ed_client *c)
{
    eddy_connection_stats stats;

    if (eddy_get_connection_stats(c->eddy, c->connection, &stats) == EDDY_OK)
        c->report.datagram_size = stats.datagram_size;
}

void ed_client_run(ed_client *c)
{
    c->mix = c->options->mix;
    c->large.size = c->options->large;
    send_traffic(c);
    while (is_worth_waiting(c, eddy_now_ns())) {
        ed_runner_round(&c->runner, LOOK_MS);
        note_progress(c, eddy_now_ns());
    }
    note_path(c);
}

void ed_client_finish(ed_client *c)
{
    eddy_shutdown(c->eddy, FLUSH_MS);
    while (!c->runner.is_over)
        ed_runner_round(&c->runner, EDDY_FOREVER);
    c->report.undelivered = c->ending.undelivered;
    count(c, c->stop_ns);
}

eddy_status ed_client_open_runner(ed_client *c)
{
    eddy_status status = ed_runner_open(&c->runner, ed_stop_on_signals(), tell, c);

    if (status == EDDY_OK)
        status = ed_runner_take_events(&c->runner, c->eddy, take_event);
    if (status == EDDY_OK)
        status = eddy_timer_create(c->runner.loop, on_due, c, &c->sender);
    return status;
}

void ed_client_close_runner(ed_client *c)
{
    (void)eddy_timer_destroy(c->sender);
    ed_runner_close(&c->runner);
}
