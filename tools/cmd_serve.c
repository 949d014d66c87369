/** `eddy serve`: a server that sends every message back, with its guarantee and on its stream. */
#include <inttypes.h>
#include <stdio.h>

#include "tools/access.h"
#include "tools/commands.h"
#include "tools/echo.h"
#include "tools/line.h"
#include "tools/options.h"
#include "tools/report.h"
#include "tools/runner.h"
#include "tools/stop.h"

enum {
    FLUSH_MS = 5000,    // for what was accepted, once we are to end
    BIND_TEXT_SIZE = 8, // ":65535" and NUL
    FD_MAX = 1023,
};

#define NO_PORT UINT64_C(65536)

typedef struct server_options {
    const char *bind;
    uint64_t port; /* NO_PORT: not given */
    uint64_t duration_ms;
    uint64_t max_message_size;
    uint64_t budget;    /* of each connection, for what is on its way back */
    uint64_t report_fd; /* 0: none */
    uint64_t shards;
    ed_serve_access access;
    bool json;
} server_options;

typedef struct server {
    const server_options *options;
    eddy_manager *eddy;
    ed_runner runner;
    ed_echo echo;
    ed_report report;
    uint64_t refusals[EDDY_CHECK_COUNT];
    eddy_stats shards[EDDY_SHARDS_MAX];
    ed_line line;
    eddy_stats shown; /* as of the last line */
    uint64_t shown_ns;
    uint64_t start_ns;
    uint64_t cut_off; /* messages that were accepted, but not delivered when we had to end */
} server;

/* ---------------------------------------------------------------------------------- events -- */

static void on_disconnected(server *s, const eddy_event *event)
{
    const eddy_event_disconnected *ending = &event->disconnected;

    ed_echo_ended(&s->echo, event->connection);
    s->report.undelivered += ending->undelivered;
    if (ending->end == EDDY_END_CLOSED_LOCAL)
        s->cut_off += ending->undelivered;
}

static void take_event(void *context, eddy_event *event)
{
    server *s = context;

    switch (event->type) {
    case EDDY_MESSAGE:
        ed_echo_message(&s->echo, event);
        return; // which has it now
    case EDDY_WRITABLE:
        ed_echo_writable(&s->echo, event->connection);
        break;
    case EDDY_DISCONNECTED:
        on_disconnected(s, event);
        break;
    case EDDY_CONNECTED:
    case EDDY_RECEIPT:
    case EDDY_MOVED:
    case EDDY_CONNECT_REQUEST:
    case EDDY_EVENT_NONE:
        break;
    }
    eddy_release(s->eddy, event);
}

/* --------------------------------------------------------------------------------- telling -- */

/** How many a second, over the time since the last line. */
static uint64_t per_second(uint64_t now, uint64_t before, uint64_t elapsed_ns)
{
    return elapsed_ns == 0 ? 0 : (now - before) * 1000 / (elapsed_ns / ED_NS_PER_MS + 1);
}

static void show_line(server *s, uint64_t now_ns)
{
    const eddy_stats *now = &s->report.stats;
    const eddy_stats *before = &s->shown;
    uint64_t elapsed_ns = now_ns - s->shown_ns;
    uint64_t sent = now->sent_datagrams - before->sent_datagrams;
    uint64_t lost = now->packets_lost - before->packets_lost;
    uint64_t loss_permille = sent == 0 ? 0 : ed_min_u64(lost * 1000 / sent, 1000);

    ed_line_show(&s->line,
                 "%" PRIu64 " connections  %" PRIu64 " messages/s  %" PRIu64
                 " datagrams/s  %" PRIu64 ".%" PRIu64 " %% lost",
                 s->report.connections,
                 per_second(now->messages_delivered, before->messages_delivered, elapsed_ns),
                 per_second(now->received_datagrams + now->sent_datagrams,
                            before->received_datagrams + before->sent_datagrams, elapsed_ns),
                 loss_permille / 10, loss_permille % 10);
    s->shown = *now;
    s->shown_ns = now_ns;
}

static void count(server *s, uint64_t now_ns)
{
    ed_report_count(&s->report, s->eddy);
    eddy_get_refusals(s->eddy, s->refusals);
    for (uint32_t i = 0; i < s->options->shards; i++)
        eddy_get_shard_stats(s->eddy, i, &s->shards[i]); // of each there is one
    s->report.echo = s->echo.counts;
    s->report.connections = s->report.stats.connections_opened - s->report.stats.connections_closed;
    s->report.duration_ns = now_ns - s->start_ns;
}

static void tell(void *context)
{
    server *s = context;
    uint64_t now_ns = eddy_now_ns();

    count(s, now_ns);
    if (s->options->report_fd != 0 && !ed_report_send(&s->report, s->options->report_fd))
        (void)eddy_stop_request(s->runner.stop, 0, EDDY_FOREVER); // whom we serve is gone
    if (ed_line_is_due(&s->line, now_ns))
        show_line(s, now_ns);
}

/** What each shard has had of it. */
static json_t *shards_json(const server *s)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < s->options->shards; i++)
        (void)json_array_append_new(
            list, json_pack("{s:I, s:I, s:I}", "connections",
                            ed_json_int(s->shards[i].connections_opened), "received_datagrams",
                            ed_json_int(s->shards[i].received_datagrams), "messages_delivered",
                            ed_json_int(s->shards[i].messages_delivered)));
    return list;
}

static void print_shards(const server *s)
{
    for (uint32_t i = 0; s->options->shards > 1 && i < s->options->shards; i++)
        printf("shard %u: %" PRIu64 " connections, %" PRIu64 " messages, %" PRIu64
               " datagrams received\n",
               (unsigned)i, s->shards[i].connections_opened, s->shards[i].messages_delivered,
               s->shards[i].received_datagrams);
}

static int print_json(const server *s)
{
    const ed_report *report = &s->report;
    char address[EDDY_ADDRESS_TEXT_SIZE];

    return ed_json_print(json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "command", "serve",
        "address", eddy_address_print(&report->address, address), "duration_ms",
        ed_json_int(report->duration_ns / ED_NS_PER_MS), "connections",
        ed_json_int(report->stats.connections_opened), "echoed", ed_json_int(report->echo.echoed),
        "waited", ed_json_int(report->echo.waited), "dropped", ed_json_int(report->echo.dropped),
        "not_echoed", ed_json_int(report->echo.not_echoed), "undelivered",
        ed_json_int(report->undelivered), "refusals", ed_refusals_json(s->refusals), "counters",
        ed_stats_json(&report->stats), "shards", shards_json(s)));
}

static void print_text(const server *s)
{
    const ed_report *report = &s->report;

    printf("%" PRIu64 " connections in %" PRIu64 " s: %" PRIu64 " messages sent back (%" PRIu64
           " after a wait),\n%" PRIu64 " unreliable ones dropped for lack of room, %" PRIu64
           " could not be sent back,\n%" PRIu64 " re-sent, %" PRIu64 " not known to have arrived\n",
           report->stats.connections_opened, report->duration_ns / ED_NS_PER_S, report->echo.echoed,
           report->echo.waited, report->echo.dropped, report->echo.not_echoed,
           report->stats.messages_resent, report->undelivered);
    ed_refusals_print(s->refusals);
    ed_report_print_datagrams(NULL, &report->stats);
    ed_report_print_datagrams("server", &report->stats);
    print_shards(s);
}

static int print_result(server *s)
{
    int exit_code = ED_EXIT_OK;

    ed_line_end(&s->line);
    s->report.is_final = true;
    if (s->options->report_fd != 0)
        (void)ed_report_send(&s->report, s->options->report_fd);
    else if (s->options->json)
        exit_code = print_json(s);
    else
        print_text(s);
    if (s->cut_off > 0)
        return ed_fail("serve", "%" PRIu64 " messages did not arrive within the %d s of the end",
                       s->cut_off, FLUSH_MS / 1000);
    return exit_code;
}

/* --------------------------------------------------------------------------------- running -- */

static void run(server *s)
{
    ed_runner_set_end(&s->runner, s->options->duration_ms);
    while (!ed_runner_is_stopped(&s->runner))
        ed_runner_round(&s->runner, EDDY_FOREVER);
    // Nothing more can be sent from here on; what was accepted goes out, and then it is over.
    eddy_shutdown(s->eddy, FLUSH_MS);
    ed_echo_end(&s->echo);
    while (!s->runner.is_over)
        ed_runner_round(&s->runner, EDDY_FOREVER);
    count(s, eddy_now_ns());
}

/** Says where it listens, and by which key it is known. */
static void announce(const server *s)
{
    char address[EDDY_ADDRESS_TEXT_SIZE];
    char key[EDDY_KEY_TEXT_SIZE];
    FILE *out = s->options->json ? stderr : stdout;

    if (s->options->report_fd != 0)
        return;
    fprintf(out, "listening on %s\n", eddy_address_print(&s->report.address, address));
    fprintf(out, "server key %s\n", eddy_key_print(&s->report.public_key, EDDY_KEY_PUBLIC, key));
    if (s->options->access.key == NULL)
        fputs("this key is for this run alone: eddy keygen FILE makes one for --key FILE\n", out);
    fflush(out);
}

/** What one has, each has: as much as fits. */
static size_t times(size_t budget, uint64_t shards)
{
    return budget > SIZE_MAX / shards ? SIZE_MAX : budget * (size_t)shards;
}

/** @return an exit code, after it has said why. */
static int open_server(server *s, const char *bind)
{
    const server_options *options = s->options;
    eddy_config config = eddy_config_default();
    ed_serve_keys keys;

    int exit_code = ed_serve_access_load(&options->access, "serve", &keys, &config);
    config.bind = bind;
    config.accept = true;
    config.connection_send_budget = (size_t)options->budget;
    ed_large_allow(&config, (size_t)options->max_message_size);
    config.shards = (uint32_t)options->shards;
    config.send_budget = times(config.send_budget, options->shards);
    config.receive_budget = times(config.receive_budget, options->shards);
    eddy_status status = exit_code == ED_EXIT_OK ? eddy_open(&s->eddy, &config) : EDDY_OK;
    ed_serve_keys_forget(&keys);
    if (status == EDDY_ECONFIG) {
        ed_fail("serve", "--bind is '%s': %s", bind, eddy_status_text(EDDY_EADDRESS));
        return ED_EXIT_USAGE;
    }
    if (status == EDDY_ESUPPORT && options->shards > 1)
        return ed_fail("serve", "this system has no --shards: it cannot steer what comes to them");
    if (status != EDDY_OK)
        return ed_fail("serve", "cannot listen on %s: %s", bind, eddy_status_text(status));
    return exit_code;
}

/** @return an exit code, after it has said why. */
static int open_runner(server *s)
{
    eddy_status status = ed_runner_open(&s->runner, ed_stop_on_signals(), tell, s);

    if (status == EDDY_OK)
        status = ed_runner_take_events(&s->runner, s->eddy, take_event);
    return status == EDDY_OK ? ED_EXIT_OK : ed_fail("serve", "%s", eddy_status_text(status));
}

static int serve(const server_options *options, const char *bind)
{
    uint64_t now_ns = eddy_now_ns();
    server s = {.options = options, .start_ns = now_ns, .shown_ns = now_ns};

    int exit_code = open_server(&s, bind);
    if (exit_code != ED_EXIT_OK)
        return exit_code;
    exit_code = open_runner(&s);
    ed_echo_init(&s.echo, s.eddy);
    s.report.address = eddy_local_address(s.eddy);
    s.report.public_key = eddy_public_key(s.eddy);
    s.line = ed_line_make(options->json || options->report_fd != 0, now_ns);
    if (exit_code == ED_EXIT_OK) {
        announce(&s);
        run(&s);
    }
    ed_runner_close(&s.runner);
    (void)eddy_close(s.eddy, 0); // all has been sent, or its time was over
    return exit_code == ED_EXIT_OK ? print_result(&s) : exit_code;
}

int cmd_serve(int argc, char **argv)
{
    server_options o = {.port = NO_PORT,
                        .max_message_size = ED_LARGE_SIZE_DEFAULT,
                        .shards = 1,
                        .budget = eddy_config_default().connection_send_budget};
    const ed_option options[] = {
        ED_TEXT("bind", "ADDR", &o.bind, "address to listen on: HOST:PORT, or :PORT [:4242]"),
        ED_NUMBER("port", "P", &o.port, ED_PER_ONE, 0, 65535, NULL),
        ED_SERVE_ACCESS_OPTIONS(&o.access),
        ED_NUMBER("duration", "S", &o.duration_ms, ED_MS_PER_S, 0, UINT32_MAX,
                  "seconds until it ends; 0: at ^C"),
        ED_NUMBER("max-message", "BYTES", &o.max_message_size, ED_PER_ONE, EDDY_PIECE_SIZE_MAX,
                  EDDY_MESSAGE_SIZE_LIMIT, "of the largest message"),
        ED_NUMBER("budget", "BYTES", &o.budget, ED_PER_ONE, 0, EDDY_MESSAGE_SIZE_LIMIT,
                  "a connection's, on their way back"),
        ED_NUMBER("shards", "N", &o.shards, ED_PER_ONE, 1, EDDY_SHARDS_MAX,
                  "threads, each with a socket and a part of the clients"),
        ED_JSON_OPTION(&o.json),
        ED_NUMBER("report-fd", "FD", &o.report_fd, ED_PER_ONE, 0, FD_MAX, NULL),
    };
    const ed_usage usage = {
        .command = "serve",
        .summary = "A server that sends every message back, with its guarantee and on its stream.\n"
                   "What comes on stream 255, meant for large ones, is answered by a checksum\n"
                   "(BLAKE2b of 16 bytes) instead. Where there is no room to send, because the\n"
                   "client does not keep up, reliable messages wait and unreliable ones are\n"
                   "dropped and counted. ^C ends it once all that was accepted has arrived.\n"
                   "--port P is short for --bind :P; port 0 takes any that is free.\n"
                   "\n" ED_SERVE_ACCESS_HELP,
        .example =
            "  eddy serve --key server.key &\n"
            "  eddy connect 127.0.0.1:4242 --server-key $(eddy keygen --public server.key)\n",
        .options = options,
        .option_count = ED_COUNT(options),
    };
    char bind[BIND_TEXT_SIZE] = ":4242";
    int exit_code = ED_EXIT_OK;

    if (!ed_options_parse(&usage, argc, argv, &exit_code))
        return exit_code;
    if (o.bind != NULL && o.port != NO_PORT) {
        ed_fail("serve", "--bind and --port say the same: give one of them");
        return ED_EXIT_USAGE;
    }
    if (o.port != NO_PORT)
        (void)snprintf(bind, sizeof bind, ":%u", (unsigned)o.port);
    return serve(&o, o.bind != NULL ? o.bind : bind);
}
