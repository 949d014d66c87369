/** `eddy demo`: a server and clients as processes of their own, over real UDP, and what they say.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "core/alloc.h"
#include "tools/commands.h"
#include "tools/demo_result.h"
#include "tools/mix.h"
#include "tools/stop.h"

enum {
    WORDS_MAX = 32, // of a child's command line
    RATE_MAX = 100 * 1000,
};

#define START_NS (10 * ED_NS_PER_S) /* for the server to listen */
#define END_NS (60 * ED_NS_PER_S)   /* beyond the duration; then those that still run are stuck */

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

static eddy_status start_server(ed_demo *d)
{
    uint64_t largest = ed_max_u64(d->options->large, ED_LARGE_SIZE_DEFAULT);
    command_line line = {.count = 0};

    add_word(&line, d->program);
    add_word(&line, "serve");
    add_word(&line, "--bind");
    add_word(&line, "127.0.0.1:0");
    add_number(&line, "--max-message", largest, ED_PER_ONE);
    add_number(&line, "--report-fd", ED_CHILD_REPORT_FD, ED_PER_ONE);
    return ed_child_start(&d->children[ED_DEMO_SERVER], d->runner.loop, line.words);
}

static eddy_status start_client(ed_demo *d, size_t index, const char *address, const char *key)
{
    const ed_demo_options *o = d->options;
    const ed_network *n = &o->network;
    command_line line = {.count = 0};

    add_word(&line, d->program);
    add_word(&line, "connect");
    add_word(&line, address);
    add_word(&line, "--server-key");
    add_word(&line, key);
    add_number(&line, "--rate", o->rate, ED_PER_ONE);
    add_number(&line, "--size", o->size, ED_PER_ONE);
    add_word(&line, "--guarantee");
    add_word(&line, o->guarantees);
    if (index == ED_DEMO_LARGE_CLIENT)
        add_number(&line, "--large", o->large, ED_PER_ONE);
    add_number(&line, "--duration", o->duration_ms, ED_MS_PER_S);
    add_number(&line, "--loss", n->loss_ppm, ED_PPM_PER_PERCENT);
    add_number(&line, "--rtt", n->rtt_us, ED_US_PER_MS);
    add_number(&line, "--jitter", n->jitter_us, ED_US_PER_MS);
    add_number(&line, "--duplicate", n->duplicate_ppm, ED_PPM_PER_PERCENT);
    add_number(&line, "--reorder", n->reorder_ppm, ED_PPM_PER_PERCENT);
    add_number(&line, "--seed", n->seed + index, ED_PER_ONE); // each client its own luck
    add_number(&line, "--report-fd", ED_CHILD_REPORT_FD, ED_PER_ONE);
    return ed_child_start(&d->children[index], d->runner.loop, line.words);
}

/** Waits until the server says where it listens. */
static bool await_server(ed_demo *d)
{
    const ed_child *server = &d->children[ED_DEMO_SERVER];
    uint64_t deadline_ns = eddy_now_ns() + START_NS;

    while (!server->has_reported && !server->has_ended && eddy_now_ns() < deadline_ns)
        ed_runner_round(&d->runner, EDDY_FOREVER);
    return server->has_reported && !server->has_ended;
}

static bool start_all(ed_demo *d)
{
    char address[EDDY_ADDRESS_TEXT_SIZE];
    char key[EDDY_KEY_TEXT_SIZE];

    if (start_server(d) != EDDY_OK || !await_server(d))
        return false;
    (void)eddy_address_print(&d->children[ED_DEMO_SERVER].latest.address, address);
    (void)eddy_key_print(&d->children[ED_DEMO_SERVER].latest.public_key, EDDY_KEY_PUBLIC, key);
    for (size_t i = ED_DEMO_SERVER + 1; i < d->count; i++)
        if (start_client(d, i, address, key) != EDDY_OK)
            return false;
    return true;
}

/* --------------------------------------------------------------------------------- running -- */

/** Adds up what the clients have reported last. */
static void add_up(ed_demo *d)
{
    d->sum = (ed_report){.connections = 0};
    for (size_t i = ED_DEMO_SERVER + 1; i < d->count; i++)
        ed_report_merge(&d->sum, &d->children[i].latest);
}

static void show_line(ed_demo *d)
{
    ed_flow owed;
    ed_flow others;

    add_up(d);
    ed_report_sum(&d->sum, true, &owed);
    ed_report_sum(&d->sum, false, &others);
    ed_line_show(&d->line,
                 "%3" PRIu64 " s  %" PRIu64 " clients  %" PRIu64 "/%" PRIu64
                 " exactly once  %" PRIu64 "/%" PRIu64 " others%s",
                 (eddy_now_ns() - d->start_ns) / ED_NS_PER_S, d->sum.connections, owed.answered,
                 owed.sent, others.answered, others.sent, ed_large_news(&d->sum.large));
}

static void tell(void *context)
{
    ed_demo *d = context;

    if (d->is_running && ed_line_is_due(&d->line, eddy_now_ns()))
        show_line(d);
}

/**
 * Listens to children until they have ended; kills those that do not by the deadline.
 * @param is_told whether they know that they are to end; a second signal would end them at once.
 */
static void await_end(ed_demo *d, ed_child *children, size_t count, bool is_told,
                      uint64_t deadline_ns)
{
    while (ed_child_running(children, count) > 0) {
        ed_runner_round(&d->runner, EDDY_FOREVER);
        if (ed_runner_is_stopped(&d->runner) && !is_told) {
            ed_child_signal(children, count, SIGTERM);
            is_told = true;
        }
        if (eddy_now_ns() >= deadline_ns)
            ed_child_kill(children, count);
    }
}

/** The clients end first, while there is a server to answer them. */
static void run(ed_demo *d)
{
    uint64_t deadline_ns = d->start_ns + d->options->duration_ms * ED_NS_PER_MS + END_NS;
    ed_child *clients = d->children + ED_DEMO_SERVER + 1;

    d->is_running = true;
    await_end(d, clients, d->count - 1, false, deadline_ns);
    ed_child_signal(&d->children[ED_DEMO_SERVER], 1, SIGTERM);
    await_end(d, &d->children[ED_DEMO_SERVER], 1, true, eddy_now_ns() + END_NS);
    add_up(d);
}

/* ------------------------------------------------------------------------------- the whole -- */

static int run_and_print(ed_demo *d)
{
    if (!start_all(d)) {
        ed_child_kill(d->children, d->count);
        return ed_fail("demo", "cannot start a process of %s: %s", d->program,
                       eddy_status_text(EDDY_ESYSTEM));
    }
    run(d);
    ed_line_end(&d->line);
    int exit_code = d->options->json ? ed_demo_print_json(d) : ed_demo_print_text(d);
    return ed_demo_is_kept(d) ? exit_code : ED_EXIT_FAILED;
}

static int demonstrate(const ed_demo_options *options, char *program)
{
    const eddy_allocator *allocator = ed_alloc_default();
    uint64_t now_ns = eddy_now_ns();
    char text[ED_NETWORK_TEXT_SIZE];
    ed_demo d = {
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
    eddy_status status = ed_runner_open(&d.runner, ed_stop_on_signals(), tell, &d);
    int exit_code =
        status == EDDY_OK ? run_and_print(&d) : ed_fail("demo", "%s", eddy_status_text(status));
    ed_runner_close(&d.runner);
    ed_alloc_free(allocator, d.children, d.count * sizeof *d.children);
    return exit_code;
}

int cmd_demo(int argc, char **argv)
{
    ed_demo_options o = {
        .clients = 8,
        .duration_ms = 10 * ED_MS_PER_S,
        .rate = 200,
        .size = 64,
        .guarantees = "all",
        .large = ED_LARGE_SIZE_DEFAULT,
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
        ED_NUMBER("size", "BYTES", &o.size, ED_PER_ONE, ED_STAMP_SIZE, EDDY_UNRELIABLE_SIZE_MAX,
                  "of each message"),
        ED_MIX_OPTION(&o.guarantees),
        ED_NUMBER("large", "BYTES", &o.large, ED_PER_ONE, 0, EDDY_MESSAGE_SIZE_LIMIT,
                  "one by the first client; 0: none"),
        ED_JSON_OPTION(&o.json),
    };
    const ed_usage usage = {
        .command = "demo",
        .summary =
            "Starts a server and clients, each a process of its own, over real UDP on this\n"
            "machine, with a bad network before each client's socket. The clients send\n"
            "messages of all five guarantees, and the first client a large one beside them;\n"
            "the summary shows what became of them, and whether the promise of each\n"
            "guarantee was kept. The exit code is 0 if all were, and 1 if not.\n\n" ED_MIX_HELP,
        .example = "  eddy demo --clients 4 --duration 5 --loss 20 --rtt 100\n",
        .options = options,
        .option_count = ED_COUNT(options),
    };
    int exit_code = ED_EXIT_OK;
    ed_mix mix;

    if (!ed_options_parse(&usage, argc, argv, &exit_code))
        return exit_code;
    if (!ed_mix_read(&mix, o.guarantees, "demo"))
        return ED_EXIT_USAGE; // the clients would all say so
    return demonstrate(&o, argv[0]);
}
