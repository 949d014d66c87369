/** `eddy connect`: a client that sends a paced mix of messages and measures how they come back. */
#include <inttypes.h>
#include <stdio.h>

#include "core/alloc.h"
#include "tools/client.h"
#include "tools/commands.h"

enum {
    RATE_MAX = 100 * 1000,
    FD_MAX = 1023,
    TIMEOUT_MS_MIN = 100, /* of handshake_timeout_ms */
    TIMEOUT_MS_MAX = 600 * 1000,
};

static int print_json(const ed_client *c)
{
    const ed_report *report = &c->report;

    return ed_json_print(json_pack(
        "{s:s, s:s, s:s, s:I, s:b, s:o, s:o, s:I, s:I, s:I, s:o}", "command", "connect", "address",
        c->place, "mode", ed_mode_name(c->mode), "duration_ms",
        ed_json_int(report->duration_ns / ED_NS_PER_MS), "kept", ed_report_is_kept(report),
        "guarantees", ed_flows_json(report), "large", ed_large_json(&report->large), "resent",
        ed_json_int(report->stats.messages_resent), "undelivered", ed_json_int(report->undelivered),
        "datagram_size", ed_json_int(report->datagram_size), "counters",
        ed_stats_json(&report->stats)));
}

static int print_result(ed_client *c)
{
    ed_line_end(&c->line);
    c->report.is_final = true;
    if (c->options->report_fd != 0)
        return ed_report_send(&c->report, c->options->report_fd) ? ED_EXIT_OK : ED_EXIT_FAILED;
    if (c->options->json)
        return print_json(c);
    ed_report_print_flows(&c->report, &c->report.stats);
    putchar('\n');
    ed_report_print_datagrams(NULL, &c->report.stats);
    ed_report_print_datagrams("client", &c->report.stats);
    if (c->report.datagram_size > 0) // the connection stood to the end
        printf("The path takes datagrams of %" PRIu64 " bytes, as far as that was tried.\n",
               c->report.datagram_size);
    return ED_EXIT_OK;
}

/** Says why the connection ended, or never came. @return an exit code. */
static int fail_by(const ed_client *c, const char *before, const char *behind)
{
    char why[ED_ENDING_TEXT_SIZE];

    return ed_fail("connect", "%s %s%s: %s", before, c->place, behind,
                   ed_ending_describe(why, c->keys.options.mode, &c->ending));
}

/** Whether all went well: it ended when we said so, and each promise was kept. */
static int judge(const ed_client *c, bool was_cut)
{
    if (was_cut)
        return fail_by(c, "the connection to", " ended early");
    if (!ed_report_is_kept(&c->report))
        return ed_fail("connect", "not every promise was kept");
    return ED_EXIT_OK;
}

static int run(ed_client *c)
{
    eddy_status status = ed_client_open_runner(c);
    if (status != EDDY_OK)
        return ed_fail("connect", "%s", eddy_status_text(status));
    status = eddy_connect_with(c->eddy, c->options->host_port, &c->keys.options, &c->connection);
    if (status != EDDY_OK)
        return ed_fail("connect", "cannot connect to %s: %s", c->place, eddy_status_text(status));
    c->start_ns = eddy_now_ns();
    c->stop_ns = c->start_ns;
    if (!ed_client_await_connected(c) && c->has_ended)
        return fail_by(c, "cannot connect to", "");
    if (c->is_connected)
        ed_client_run(c);
    bool was_cut = c->has_ended;
    ed_client_finish(c);
    int printed = print_result(c);
    int judged = judge(c, was_cut);
    return judged != ED_EXIT_OK ? judged : printed;
}

static eddy_status open_socket(ed_client *c, eddy_config *config)
{
    eddy_socket socket;

    if (!ed_network_is_clean(&c->options->network)) {
        eddy_status status = ed_network_open(&c->options->network, &c->conditioner, &socket);
        if (status != EDDY_OK)
            return status;
        config->socket = &socket;
    }
    return eddy_open(&c->eddy, config);
}

/** @return an exit code, after it has said why. */
static int open_client(ed_client *c)
{
    const ed_client_options *o = c->options;
    eddy_config config = eddy_config_default();
    size_t size = ed_client_size_max(o);

    int exit_code = ed_connect_access_load(&o->access, "connect", o->host_port, &c->keys, &config);
    if (exit_code != ED_EXIT_OK)
        return exit_code;
    c->place = o->host_port != NULL ? o->host_port : c->keys.address;
    config.handshake_timeout_ms = (uint32_t)o->timeout_ms;
    if (size > config.max_message_size)
        ed_large_allow(&config, size);
    eddy_status status = c->data == NULL ? EDDY_ENOMEM : open_socket(c, &config);
    if (status != EDDY_OK)
        return ed_fail("connect", "cannot open a socket: %s", eddy_status_text(status));
    return ED_EXIT_OK;
}

static int connect_to_server(const ed_client_options *options)
{
    const eddy_allocator *allocator = ed_alloc_default();
    size_t size = ed_client_size_max(options);
    ed_client c = {.options = options, .data = ed_alloc_zeroed(allocator, size)};

    c.line = ed_line_make(options->json || options->report_fd != 0, eddy_now_ns());
    int exit_code = open_client(&c);
    if (exit_code == ED_EXIT_OK)
        exit_code = run(&c);
    ed_client_close_runner(&c);
    (void)eddy_close(c.eddy, 0); // all has been sent, or its time was over
    ed_conditioner_destroy(c.conditioner);
    ed_connect_keys_forget(&c.keys);
    ed_alloc_free(allocator, c.data, size);
    return exit_code;
}

/** What no single option can say. */
static bool read_options(ed_client_options *o, const char *guarantees)
{
    if (!ed_mix_read(&o->mix, guarantees, "connect"))
        return false;
    bool is_unreliable =
        ed_mix_has(&o->mix, EDDY_UNRELIABLE) || ed_mix_has(&o->mix, EDDY_UNRELIABLE_SEQUENCED);
    if (!is_unreliable || o->size <= EDDY_UNRELIABLE_SIZE_MAX)
        return true;
    ed_fail("connect",
            "--size is %" PRIu64 ", but an unreliable message has at most %d bytes:\n"
            "choose with --guarantee, or send a large one beside the others with --large",
            o->size, EDDY_UNRELIABLE_SIZE_MAX);
    return false;
}

int cmd_connect(int argc, char **argv)
{
    ed_client_options o = {
        .rate = 60,
        .size = 64,
        .duration_ms = 10 * ED_MS_PER_S,
        .timeout_ms = eddy_config_default().handshake_timeout_ms,
        .network.seed = 1,
    };
    const char *guarantees = "all";
    const ed_option options[] = {
        ED_CONNECT_ACCESS_OPTIONS(&o.access),
        ED_NUMBER("timeout", "S", &o.timeout_ms, ED_MS_PER_S, TIMEOUT_MS_MIN, TIMEOUT_MS_MAX,
                  "seconds to wait for an answer"),
        ED_MIX_OPTION(&guarantees),
        ED_NUMBER("rate", "HZ", &o.rate, ED_PER_ONE, 1, RATE_MAX, "messages a second"),
        ED_NUMBER("size", "BYTES", &o.size, ED_PER_ONE, ED_STAMP_SIZE, EDDY_MESSAGE_SIZE_LIMIT,
                  "of each; unreliable ones to 16384"),
        ED_NUMBER("large", "BYTES", &o.large, ED_PER_ONE, 0, EDDY_MESSAGE_SIZE_LIMIT,
                  "of one large message; 0: none"),
        ED_NUMBER("duration", "S", &o.duration_ms, ED_MS_PER_S, 0, UINT32_MAX,
                  "seconds of sending; 0: until ^C"),
        ED_NETWORK_OPTIONS(&o.network),
        ED_JSON_OPTION(&o.json),
        ED_NUMBER("report-fd", "FD", &o.report_fd, ED_PER_ONE, 0, FD_MAX, NULL),
    };
    const ed_usage usage = {
        .command = "connect",
        .summary =
            "A client of eddy serve: sends messages on four streams of each guarantee, sees\n"
            "whether and when each comes back, and whether the promise of its guarantee was\n"
            "kept. The exit code is 1 if one was not. --large sends one message of that size\n"
            "beside the others, reliable ordered, at the lowest priority; the server answers\n"
            "with its checksum, and has to allow that size (eddy serve --max-message).\n"
            "--loss to --reorder put a bad network before the client's socket.\n\n" ED_MIX_HELP,
        .example =
            "  eddy connect 127.0.0.1:4242 --server-key KEY --large 100000 --loss 5 --rtt 50\n"
            "  eddy connect --token client.token\n",
        .options = options,
        .option_count = ED_COUNT(options),
        .operand_name = "HOST:PORT",
        .operand = &o.host_port,
        .operand_optional = true, // with a token
    };
    int exit_code = ED_EXIT_OK;

    if (!ed_options_parse(&usage, argc, argv, &exit_code))
        return exit_code;
    if (!read_options(&o, guarantees))
        return ED_EXIT_USAGE;
    return connect_to_server(&o);
}
