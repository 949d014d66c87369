/** `eddy connect`: a client that sends a paced mix of messages and measures how they come back. */
#include <inttypes.h>
#include <stdio.h>

#include "tools/commands.h"
#include "tools/line.h"
#include "tools/network.h"
#include "tools/report.h"
#include "tools/stop.h"

enum {
    WAIT_MS_MAX = 50, // the longest that a signal goes unnoticed
    FLUSH_MS = 5000,
    BATCH = 256, // events between two looks at the time
    RATE_MAX = 100 * 1000,
    FD_MAX = 1023,
};

#define REPORT_INTERVAL_NS (250 * ED_NS_PER_MS)
#define BACKLOG_NS ED_NS_PER_S       /* a sender further behind gives up what it has missed */
#define SILENCE_NS (5 * ED_NS_PER_S) /* without any answer, what is missing is lost */
#define GRACE_NS ED_NS_PER_S         /* for unreliable messages, beside a round trip */

typedef struct client_options {
    const char *host_port;
    uint64_t rate;
    uint64_t size;
    uint64_t duration_ms;
    uint64_t mix; /* percent of the messages are reliable */
    uint64_t report_fd;
    bool json;
    ed_network network;
} client_options;

typedef struct client {
    const client_options *options;
    eddy_manager *eddy;
    ed_conditioner *conditioner; /* NULL: none */
    eddy_connection connection;
    bool is_connected;
    bool has_ended;
    eddy_event_disconnected ending; /* once it has ended */
    ed_tally tally;
    ed_report report;
    ed_line line;
    uint64_t start_ns;  /* of the traffic */
    uint64_t stop_ns;   /* when the last message was sent */
    uint64_t send_ns;   /* when the next message is due */
    uint64_t answer_ns; /* when the last answer came */
    uint64_t report_ns; /* when the next report is due */
    uint64_t mixed;     /* percent owed to reliable messages */
} client;

/* --------------------------------------------------------------------------------- telling -- */

static void count(client *c, uint64_t now_ns)
{
    ed_report_count(&c->report, c->eddy);
    for (size_t kind = 0; kind < ED_KIND_COUNT; kind++)
        c->report.flows[kind] = c->tally.flows[kind];
    c->report.connections = c->is_connected && !c->has_ended;
    c->report.duration_ns = now_ns - c->start_ns;
}

static void show_line(client *c, uint64_t now_ns)
{
    const ed_flow *reliable = &c->tally.flows[ED_KIND_RELIABLE];
    const ed_flow *unreliable = &c->tally.flows[ED_KIND_UNRELIABLE];

    ed_line_show(&c->line,
                 "%3" PRIu64 " s  reliable %" PRIu64 " of %" PRIu64 "  unreliable %" PRIu64
                 " of %" PRIu64 "  p50 %" PRIu64 " ms",
                 (now_ns - c->start_ns) / ED_NS_PER_S, reliable->answered, reliable->sent,
                 unreliable->answered, unreliable->sent,
                 ed_latency_percentile_us(
                     reliable->sent > 0 ? &reliable->round_trip : &unreliable->round_trip, 500) /
                     1000);
}

static void tell(client *c)
{
    uint64_t now_ns = eddy_now_ns();

    if (c->options->report_fd != 0 && now_ns >= c->report_ns) {
        count(c, now_ns);
        c->report_ns = now_ns + REPORT_INTERVAL_NS;
        if (!ed_report_send(&c->report, c->options->report_fd))
            ed_stop_ask(); // whom we report to is gone
    }
    if (ed_line_is_due(&c->line, now_ns))
        show_line(c, now_ns);
}

/* ---------------------------------------------------------------------------------- events -- */

static void take_event(client *c, eddy_event *event)
{
    uint64_t now_ns = eddy_now_ns();

    switch (event->type) {
    case EDDY_CONNECTED:
        c->is_connected = true;
        c->report.address = event->connected.remote;
        break;
    case EDDY_DISCONNECTED:
        c->has_ended = true;
        c->ending = event->disconnected;
        break;
    case EDDY_MESSAGE:
        ed_tally_answered(&c->tally, &event->message, now_ns);
        c->answer_ns = now_ns;
        break;
    case EDDY_WRITABLE:
    case EDDY_RECEIPT:
    case EDDY_MOVED:
    case EDDY_EVENT_NONE:
        break;
    }
    eddy_release(c->eddy, event);
}

/** Takes what has come, having waited for it. @return EDDY_ECLOSED when nothing more will. */
static eddy_status take_events(client *c, uint32_t wait_ms)
{
    eddy_event event;
    eddy_status status = eddy_next(c->eddy, &event, wait_ms);

    for (int i = 1; status == EDDY_OK && i < BATCH; i++) {
        take_event(c, &event);
        status = eddy_next(c->eddy, &event, 0);
    }
    if (status == EDDY_OK)
        take_event(c, &event);
    return status;
}

/* --------------------------------------------------------------------------------- traffic -- */

/** Sends one message. False if there was no room for it. */
static bool send_one(client *c, ed_kind kind)
{
    uint8_t data[EDDY_PIECE_SIZE_MAX];
    size_t size = (size_t)c->options->size;
    uint8_t stream = ed_tally_stamp(&c->tally, kind, data, size, eddy_now_ns());

    if (eddy_send(c->eddy, c->connection, ed_kind_guarantee(kind), stream, data, size) != EDDY_OK)
        return false;
    ed_tally_sent(&c->tally, kind);
    return true;
}

/** Sends what is due by `now_ns`. */
static void send_due(client *c, uint64_t now_ns)
{
    uint64_t interval_ns = ED_NS_PER_S / c->options->rate;

    while (c->send_ns <= now_ns) {
        uint64_t owed = c->mixed + c->options->mix;
        if (!send_one(c, owed >= 100 ? ED_KIND_RELIABLE : ED_KIND_UNRELIABLE))
            break;
        c->mixed = owed >= 100 ? owed - 100 : owed;
        c->send_ns += interval_ns;
    }
    if (c->send_ns + BACKLOG_NS < now_ns)
        c->send_ns = now_ns;
}

/** How long to wait for events until the next message is due; rounded up, so that it does not spin.
 */
static uint32_t wait_ms(const client *c, uint64_t now_ns)
{
    uint64_t left_ns = c->send_ns - ed_min_u64(c->send_ns, now_ns);

    return (uint32_t)ed_min_u64(left_ns / ED_NS_PER_MS + 1, WAIT_MS_MAX);
}

static bool is_to_end(const client *c, uint64_t now_ns)
{
    return c->has_ended || ed_stop_asked() ||
           (c->options->duration_ms != 0 &&
            now_ns - c->start_ns >= c->options->duration_ms * ED_NS_PER_MS);
}

static void send_traffic(client *c)
{
    uint64_t now_ns = eddy_now_ns();

    c->start_ns = now_ns;
    c->send_ns = now_ns;
    c->line = ed_line_make(c->line.is_quiet, now_ns);
    while (!is_to_end(c, now_ns)) {
        send_due(c, now_ns);
        (void)take_events(c, wait_ms(c, now_ns));
        tell(c);
        now_ns = eddy_now_ns();
    }
    c->stop_ns = now_ns;
}

/** Whether to go on waiting for answers: as long as reliable ones are missing and some come. */
static bool is_worth_waiting(const client *c, uint64_t now_ns)
{
    const ed_flow *reliable = &c->tally.flows[ED_KIND_RELIABLE];
    const ed_flow *unreliable = &c->tally.flows[ED_KIND_UNRELIABLE];
    uint64_t round_trip_ns =
        ed_max_u64(reliable->round_trip.max_us, unreliable->round_trip.max_us) * ED_NS_PER_US;

    if (c->has_ended)
        return false;
    if (reliable->answered < reliable->sent)
        return now_ns - ed_max_u64(c->answer_ns, c->stop_ns) < SILENCE_NS;
    return unreliable->answered < unreliable->sent &&
           now_ns - c->stop_ns < ed_min_u64(GRACE_NS + round_trip_ns, SILENCE_NS);
}

static void await_answers(client *c)
{
    while (is_worth_waiting(c, eddy_now_ns())) {
        (void)take_events(c, WAIT_MS_MAX);
        tell(c);
    }
}

/* ---------------------------------------------------------------------------------- ending -- */

static int print_json(const client *c)
{
    const ed_report *report = &c->report;

    return ed_json_print(json_pack(
        "{s:s, s:s, s:I, s:o, s:o, s:I, s:I, s:o}", "command", "connect", "address",
        c->options->host_port, "duration_ms", ed_json_int(report->duration_ns / ED_NS_PER_MS),
        "reliable", ed_flow_json(&report->flows[ED_KIND_RELIABLE]), "unreliable",
        ed_flow_json(&report->flows[ED_KIND_UNRELIABLE]), "resent",
        ed_json_int(report->stats.messages_resent), "undelivered", ed_json_int(report->undelivered),
        "counters", ed_stats_json(&report->stats)));
}

static int print_result(client *c)
{
    ed_line_end(&c->line);
    c->report.is_final = true;
    if (c->options->report_fd != 0)
        return ed_report_send(&c->report, c->options->report_fd) ? ED_EXIT_OK : ED_EXIT_FAILED;
    if (c->options->json)
        return print_json(c);
    ed_report_print_flows(&c->report, c->report.stats.messages_resent);
    ed_report_print_datagrams(NULL, &c->report.stats);
    ed_report_print_datagrams("client", &c->report.stats);
    return ED_EXIT_OK;
}

/** Whether all went well: it ended when we said so, and every reliable message came back. */
static int judge(const client *c, bool was_cut)
{
    const ed_flow *reliable = &c->report.flows[ED_KIND_RELIABLE];

    if (was_cut)
        return ed_fail("connect", "the connection to %s ended early: %s", c->options->host_port,
                       eddy_end_text(c->ending.end));
    if (!ed_flow_is_exact(reliable))
        return ed_fail("connect", "not every reliable message came back exactly once, in order");
    return ED_EXIT_OK;
}

/** Waits until the connection stands, the attempt fails, or we are to end. */
static bool await_connected(client *c)
{
    while (!c->is_connected && !c->has_ended && !ed_stop_asked())
        (void)take_events(c, WAIT_MS_MAX);
    return c->is_connected;
}

static void finish(client *c)
{
    eddy_shutdown(c->eddy, FLUSH_MS);
    while (take_events(c, WAIT_MS_MAX) != EDDY_ECLOSED)
        tell(c);
    c->report.undelivered = c->ending.undelivered;
}

static int run(client *c)
{
    eddy_status status = eddy_connect(c->eddy, c->options->host_port, &c->connection);
    if (status != EDDY_OK) {
        ed_fail("connect", "cannot connect to %s: %s", c->options->host_port,
                eddy_status_text(status));
        return status == EDDY_EADDRESS || status == EDDY_EINVAL ? ED_EXIT_USAGE : ED_EXIT_FAILED;
    }
    c->start_ns = eddy_now_ns();
    if (!await_connected(c) && c->has_ended)
        return ed_fail("connect", "cannot connect to %s: %s", c->options->host_port,
                       eddy_end_text(c->ending.end));
    if (c->is_connected)
        send_traffic(c);
    uint64_t end_ns = eddy_now_ns();
    await_answers(c);
    bool was_cut = c->has_ended;
    finish(c);
    count(c, end_ns);
    int printed = print_result(c);
    int judged = judge(c, was_cut);
    return judged != ED_EXIT_OK ? judged : printed;
}

static eddy_status open_client(client *c)
{
    eddy_config config = eddy_config_default();
    eddy_socket socket;

    if (!ed_network_is_clean(&c->options->network)) {
        eddy_status status = ed_network_open(&c->options->network, &c->conditioner, &socket);
        if (status != EDDY_OK)
            return status;
        config.socket = &socket;
    }
    return eddy_open(&c->eddy, &config);
}

static int connect_to_server(const client_options *options)
{
    client c = {.options = options};

    c.line = ed_line_make(options->json || options->report_fd != 0, eddy_now_ns());
    eddy_status status = open_client(&c);
    int exit_code = status == EDDY_OK
                        ? run(&c)
                        : ed_fail("connect", "cannot open a socket: %s", eddy_status_text(status));
    (void)eddy_close(c.eddy, 0); // all has been sent, or its time was over
    ed_conditioner_destroy(c.conditioner);
    return exit_code;
}

int cmd_connect(int argc, char **argv)
{
    client_options o = {
        .rate = 60, .size = 64, .mix = 50, .duration_ms = 10 * ED_MS_PER_S, .network.seed = 1};
    const ed_option options[] = {
        ED_NUMBER("rate", "HZ", &o.rate, ED_PER_ONE, 1, RATE_MAX, "messages a second"),
        ED_NUMBER("size", "BYTES", &o.size, ED_PER_ONE, ED_STAMP_SIZE, EDDY_PIECE_SIZE_MAX,
                  "of each message"),
        ED_NUMBER("mix", "PERCENT", &o.mix, ED_PER_ONE, 0, 100, "of the messages are reliable"),
        ED_NUMBER("duration", "S", &o.duration_ms, ED_MS_PER_S, 0, UINT32_MAX,
                  "seconds of sending; 0: until ^C"),
        ED_NETWORK_OPTIONS(&o.network),
        ED_JSON_OPTION(&o.json),
        ED_NUMBER("report-fd", "FD", &o.report_fd, ED_PER_ONE, 0, FD_MAX, NULL),
    };
    const ed_usage usage = {
        .command = "connect",
        .summary = "A client of eddy serve: sends reliable ordered and unreliable messages on\n"
                   "several streams, and measures whether and when each comes back. --loss to\n"
                   "--reorder put a bad network between its socket and the real one.\n",
        .example = "  eddy connect 127.0.0.1:4242 --rate 120 --mix 20 --loss 5 --rtt 50\n",
        .options = options,
        .option_count = ED_COUNT(options),
        .operand_name = "HOST:PORT",
        .operand = &o.host_port,
    };
    int exit_code = ED_EXIT_OK;

    if (!ed_options_parse(&usage, argc, argv, &exit_code))
        return exit_code;
    ed_stop_watch();
    return connect_to_server(&o);
}
