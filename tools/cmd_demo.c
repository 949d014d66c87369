/** `eddy demo`: a server and clients as processes of their own, over real UDP, and what they say.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "core/alloc.h"
#include "tools/child.h"
#include "tools/commands.h"
#include "tools/line.h"
#include "tools/network.h"
#include "tools/stop.h"

enum {
    LISTEN_MS = 100, // the longest that a signal goes unnoticed
    WORDS_MAX = 32,  // of a child's command line
    RATE_MAX = 100 * 1000,
    SERVER = 0, // the place of the server among the children; the clients follow
};

#define START_NS (10 * ED_NS_PER_S) /* for the server to listen */
#define END_NS (60 * ED_NS_PER_S)   /* beyond the duration; then those that still run are stuck */

typedef struct demo_options {
    uint64_t clients;
    uint64_t duration_ms;
    uint64_t rate;
    uint64_t size;
    uint64_t mix;
    bool json;
    ed_network network;
} demo_options;

typedef struct demo {
    const demo_options *options;
    char *program;
    ed_child *children; /* the server, then the clients */
    size_t count;       /* of all of them */
    ed_line line;
    uint64_t start_ns;
    ed_report sum; /* of the clients */
} demo;

/* -------------------------------------------------------------------------------- children -- */

/** A child's command line; the numbers among its words live here, too. */
typedef struct command_line {
    char *words[WORDS_MAX];
    size_t count;
    char numbers[WORDS_MAX][ED_NUMBER_TEXT_SIZE];
    size_t number_count;
} command_line;

static void add_word(command_line *line, const char *word)
{
    ED_ASSERT(line->count + 1 < WORDS_MAX);
    union {
        const char *constant;
        char *plain;
    } both = {.constant = word}; // exec takes them without const, and does not change them
    line->words[line->count++] = both.plain;
}

static void add_number(command_line *line, const char *name, uint64_t value, uint64_t scale)
{
    ED_ASSERT(line->number_count < WORDS_MAX);
    add_word(line, name);
    add_word(line, ed_number_print(line->numbers[line->number_count++], value, scale));
}

static eddy_status start_server(demo *d)
{
    command_line line = {.count = 0};

    add_word(&line, d->program);
    add_word(&line, "serve");
    add_word(&line, "--bind");
    add_word(&line, "127.0.0.1:0");
    add_number(&line, "--report-fd", ED_CHILD_REPORT_FD, ED_PER_ONE);
    return ed_child_start(&d->children[SERVER], line.words);
}

static eddy_status start_client(demo *d, size_t index, const char *address)
{
    const demo_options *o = d->options;
    const ed_network *n = &o->network;
    command_line line = {.count = 0};

    add_word(&line, d->program);
    add_word(&line, "connect");
    add_word(&line, address);
    add_number(&line, "--rate", o->rate, ED_PER_ONE);
    add_number(&line, "--size", o->size, ED_PER_ONE);
    add_number(&line, "--mix", o->mix, ED_PER_ONE);
    add_number(&line, "--duration", o->duration_ms, ED_MS_PER_S);
    add_number(&line, "--loss", n->loss_ppm, ED_PPM_PER_PERCENT);
    add_number(&line, "--rtt", n->rtt_us, ED_US_PER_MS);
    add_number(&line, "--jitter", n->jitter_us, ED_US_PER_MS);
    add_number(&line, "--duplicate", n->duplicate_ppm, ED_PPM_PER_PERCENT);
    add_number(&line, "--reorder", n->reorder_ppm, ED_PPM_PER_PERCENT);
    add_number(&line, "--seed", n->seed + index, ED_PER_ONE); // each client its own luck
    add_number(&line, "--report-fd", ED_CHILD_REPORT_FD, ED_PER_ONE);
    return ed_child_start(&d->children[index], line.words);
}

/** Waits until the server says where it listens. */
static bool await_server(demo *d)
{
    const ed_child *server = &d->children[SERVER];
    uint64_t deadline_ns = eddy_now_ns() + START_NS;

    while (!server->has_reported && !server->has_ended && eddy_now_ns() < deadline_ns)
        ed_child_listen(d->children, 1, LISTEN_MS);
    return server->has_reported && !server->has_ended;
}

static bool start_all(demo *d)
{
    char address[EDDY_ADDRESS_TEXT_SIZE];

    if (start_server(d) != EDDY_OK || !await_server(d))
        return false;
    (void)eddy_address_print(&d->children[SERVER].latest.address, address);
    for (size_t i = SERVER + 1; i < d->count; i++)
        if (start_client(d, i, address) != EDDY_OK)
            return false;
    return true;
}

/* --------------------------------------------------------------------------------- running -- */

/** Adds up what the clients have reported last. */
static void add_up(demo *d)
{
    d->sum = (ed_report){.connections = 0};
    for (size_t i = SERVER + 1; i < d->count; i++)
        ed_report_merge(&d->sum, &d->children[i].latest);
}

static void show_line(demo *d)
{
    const ed_flow *reliable = &d->sum.flows[ED_KIND_RELIABLE];
    const ed_flow *unreliable = &d->sum.flows[ED_KIND_UNRELIABLE];

    add_up(d);
    ed_line_show(&d->line,
                 "%3" PRIu64 " s  %" PRIu64 " connected  reliable %" PRIu64 " of %" PRIu64
                 "  unreliable %" PRIu64 " of %" PRIu64,
                 (eddy_now_ns() - d->start_ns) / ED_NS_PER_S, d->sum.connections,
                 reliable->answered, reliable->sent, unreliable->answered, unreliable->sent);
}

/**
 * Listens to children until they have ended; kills those that do not by the deadline.
 * @param is_told whether they know that they are to end; a second signal would end them at once.
 */
static void await_end(demo *d, ed_child *children, size_t count, bool is_told, uint64_t deadline_ns)
{
    while (ed_child_running(children, count) > 0) {
        uint64_t now_ns = eddy_now_ns();
        ed_child_listen(d->children, d->count, LISTEN_MS);
        if (ed_line_is_due(&d->line, now_ns))
            show_line(d);
        if (ed_stop_asked() && !is_told) {
            ed_child_signal(children, count, SIGTERM);
            is_told = true;
        }
        if (now_ns >= deadline_ns)
            ed_child_signal(children, count, SIGKILL);
    }
}

/** The clients end first, while there is a server to answer them. */
static void run(demo *d)
{
    uint64_t deadline_ns = d->start_ns + d->options->duration_ms * ED_NS_PER_MS + END_NS;
    ed_child *clients = d->children + SERVER + 1;

    await_end(d, clients, d->count - 1, false, deadline_ns);
    ed_child_signal(&d->children[SERVER], 1, SIGTERM);
    await_end(d, &d->children[SERVER], 1, true, eddy_now_ns() + END_NS);
    add_up(d);
}

/* --------------------------------------------------------------------------------- judging -- */

/** Whether a client got every reliable message back, exactly once, in order, and ended well. */
static bool is_client_exact(const ed_child *client)
{
    return client->has_ended && client->exit_code == ED_EXIT_OK && client->latest.is_final &&
           ed_flow_is_exact(&client->latest.flows[ED_KIND_RELIABLE]);
}

static bool is_all_exact(const demo *d)
{
    const ed_child *server = &d->children[SERVER];
    bool is_exact = server->exit_code == ED_EXIT_OK && server->latest.is_final;

    for (size_t i = SERVER + 1; i < d->count; i++)
        is_exact = is_exact && is_client_exact(&d->children[i]);
    return is_exact;
}

/** Copies of reliable messages, by the clients and the server. */
static uint64_t resent(const demo *d)
{
    return d->sum.stats.messages_resent + d->children[SERVER].latest.stats.messages_resent;
}

static void print_clients(const demo *d)
{
    printf("\n%-10s %13s %13s   exactly once, in order\n", "client", "reliable sent", "delivered");
    for (size_t i = SERVER + 1; i < d->count; i++) {
        const ed_flow *reliable = &d->children[i].latest.flows[ED_KIND_RELIABLE];
        printf("%-10zu %13" PRIu64 " %13" PRIu64 "   %s\n", i, reliable->sent, reliable->answered,
               is_client_exact(&d->children[i]) ? "yes" : "NO");
    }
}

static int print_text(const demo *d)
{
    bool is_exact = is_all_exact(d);

    putchar('\n');
    ed_report_print_flows(&d->sum, resent(d));
    putchar('\n');
    ed_report_print_datagrams(NULL, &d->sum.stats);
    ed_report_print_datagrams("clients", &d->sum.stats);
    ed_report_print_datagrams("server", &d->children[SERVER].latest.stats);
    print_clients(d);
    puts(is_exact ? "\nEvery reliable message was delivered exactly once, in order."
                  : "\nFAILED: not every reliable message was delivered exactly once, in order.");
    return ED_EXIT_OK;
}

/* ------------------------------------------------------------------------------------ JSON -- */

static json_t *network_json(const ed_network *n)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "loss_ppm", ed_json_int(n->loss_ppm),
                     "rtt_us", ed_json_int(n->rtt_us), "jitter_us", ed_json_int(n->jitter_us),
                     "duplicate_ppm", ed_json_int(n->duplicate_ppm), "reorder_ppm",
                     ed_json_int(n->reorder_ppm), "seed", ed_json_int(n->seed));
}

static json_t *clients_json(const demo *d)
{
    json_t *array = json_array();
    int failures = 0;

    for (size_t i = SERVER + 1; i < d->count; i++) {
        const ed_child *client = &d->children[i];
        json_t *object = json_pack(
            "{s:b, s:i, s:o, s:o}", "exact", is_client_exact(client), "exit_code",
            client->exit_code, "reliable", ed_flow_json(&client->latest.flows[ED_KIND_RELIABLE]),
            "unreliable", ed_flow_json(&client->latest.flows[ED_KIND_UNRELIABLE]));
        failures += json_array_append_new(array, object);
    }
    if (failures == 0)
        return array;
    json_decref(array);
    return NULL;
}

static int print_json(const demo *d)
{
    return ed_json_print(
        json_pack("{s:s, s:b, s:I, s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "command", "demo", "exact",
                  is_all_exact(d), "duration_ms", ed_json_int(d->options->duration_ms), "network",
                  network_json(&d->options->network), "reliable",
                  ed_flow_json(&d->sum.flows[ED_KIND_RELIABLE]), "unreliable",
                  ed_flow_json(&d->sum.flows[ED_KIND_UNRELIABLE]), "resent", ed_json_int(resent(d)),
                  "clients", clients_json(d), "client_counters", ed_stats_json(&d->sum.stats),
                  "server_counters", ed_stats_json(&d->children[SERVER].latest.stats)));
}

/* ------------------------------------------------------------------------------- the whole -- */

static int run_and_print(demo *d)
{
    if (!start_all(d)) {
        ed_child_signal(d->children, d->count, SIGKILL);
        return ed_fail("demo", "cannot start a process of %s: %s", d->program,
                       eddy_status_text(EDDY_ESYSTEM));
    }
    run(d);
    ed_line_end(&d->line);
    int exit_code = d->options->json ? print_json(d) : print_text(d);
    return is_all_exact(d) ? exit_code : ED_EXIT_FAILED;
}

static int demonstrate(const demo_options *options, char *program)
{
    const eddy_allocator *allocator = ed_alloc_default();
    uint64_t now_ns = eddy_now_ns();
    char text[ED_NETWORK_TEXT_SIZE];
    demo d = {
        .options = options,
        .program = program,
        .count = (size_t)options->clients + 1,
        .line = ed_line_make(options->json, now_ns),
        .start_ns = now_ns,
    };

    d.children = ed_alloc_array(allocator, d.count, sizeof *d.children);
    if (d.children == NULL)
        return ed_fail("demo", "%s", eddy_status_text(EDDY_ENOMEM));
    if (!options->json)
        printf("A server and %zu clients over UDP, through this network:\n%s\n\n", d.count - 1,
               ed_network_describe(&options->network, text));
    int exit_code = run_and_print(&d);
    ed_alloc_free(allocator, d.children, d.count * sizeof *d.children);
    return exit_code;
}

int cmd_demo(int argc, char **argv)
{
    demo_options o = {
        .clients = 8,
        .duration_ms = 10 * ED_MS_PER_S,
        .rate = 60,
        .size = 64,
        .mix = 50,
        .network = {.loss_ppm = 5 * ED_PPM_PER_PERCENT,
                    .rtt_us = 50 * ED_US_PER_MS,
                    .jitter_us = 5 * ED_US_PER_MS,
                    .duplicate_ppm = 1 * ED_PPM_PER_PERCENT,
                    .reorder_ppm = 2 * ED_PPM_PER_PERCENT,
                    .seed = 1},
    };
    const ed_option options[] = {
        ED_NUMBER("clients", "N", &o.clients, ED_PER_ONE, 1, ED_CHILD_MAX - 1, "processes"),
        ED_NUMBER("duration", "S", &o.duration_ms, ED_MS_PER_S, 1, 3600 * ED_MS_PER_S,
                  "seconds of sending"),
        ED_NETWORK_OPTIONS(&o.network),
        ED_NUMBER("rate", "HZ", &o.rate, ED_PER_ONE, 1, RATE_MAX, "messages a second, each client"),
        ED_NUMBER("size", "BYTES", &o.size, ED_PER_ONE, ED_STAMP_SIZE, EDDY_PIECE_SIZE_MAX,
                  "of each message"),
        ED_NUMBER("mix", "PERCENT", &o.mix, ED_PER_ONE, 0, 100, "of the messages are reliable"),
        ED_JSON_OPTION(&o.json),
    };
    const ed_usage usage = {
        .command = "demo",
        .summary =
            "Starts a server and clients, each a process of its own, over real UDP on this\n"
            "machine, with a bad network before each client's socket, and shows what became\n"
            "of every message. The exit code is 0 if every reliable one was delivered exactly\n"
            "once, in order, and 1 if not.\n",
        .example = "  eddy demo --clients 4 --duration 5 --loss 20 --rtt 100\n",
        .options = options,
        .option_count = ED_COUNT(options),
    };
    int exit_code = ED_EXIT_OK;

    if (!ed_options_parse(&usage, argc, argv, &exit_code))
        return exit_code;
    ed_stop_watch();
    return demonstrate(&o, argv[0]);
}
