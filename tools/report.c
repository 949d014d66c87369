#include "tools/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "tools/commands.h"

enum { MS_TEXT_SIZE = 24 };

/** The percentiles that are shown. */
static const uint32_t permilles[] = {500, 900, 990};

static const char *const kind_names[ED_KIND_COUNT] = {
    [ED_KIND_RELIABLE] = "reliable",
    [ED_KIND_UNRELIABLE] = "unreliable",
};

void ed_report_count(ed_report *report, eddy_manager *eddy)
{
    eddy_get_stats(eddy, &report->stats);
}

void ed_report_merge(ed_report *into, const ed_report *from)
{
    into->duration_ns = ed_max_u64(into->duration_ns, from->duration_ns);
    into->connections += from->connections;
    into->echoed += from->echoed;
    into->not_echoed += from->not_echoed;
    into->undelivered += from->undelivered;
    for (size_t kind = 0; kind < ED_KIND_COUNT; kind++)
        ed_flow_merge(&into->flows[kind], &from->flows[kind]);
#define X(name, text) into->stats.name += from->stats.name;
    EDDY_STATS_MAP(X)
#undef X
}

bool ed_report_send(const ed_report *report, uint64_t fd)
{
    const uint8_t *at = (const uint8_t *)report;
    size_t left = sizeof *report;

    while (left > 0) {
        ssize_t written = write((int)fd, at, left);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        at += written;
        left -= (size_t)written;
    }
    return true;
}

/* ------------------------------------------------------------------------------------ text -- */

/** Milliseconds in at most five columns, as far as they fit. */
static const char *print_ms(char text[MS_TEXT_SIZE], uint64_t time_us)
{
    if (time_us < 1000 * ED_NS_PER_US)
        (void)snprintf(text, MS_TEXT_SIZE, "%" PRIu64 ".%" PRIu64, time_us / 1000,
                       time_us % 1000 / 100);
    else
        (void)snprintf(text, MS_TEXT_SIZE, "%" PRIu64, time_us / 1000);
    return text;
}

static void print_times(const ed_latency *latency)
{
    char text[MS_TEXT_SIZE];

    for (size_t i = 0; i < ED_COUNT(permilles); i++)
        printf(" %5s", print_ms(text, ed_latency_percentile_us(latency, permilles[i])));
    printf(" %5s\n", print_ms(text, latency->max_us));
}

void ed_report_print_flows(const ed_report *report, uint64_t resent)
{
    printf("%-10s %7s %9s %6s %5s %5s %7s %5s %5s %5s %5s\n", "messages", "sent", "delivered",
           "lost", "twice", "wrong", "re-sent", "p50", "p90", "p99", "max");
    for (size_t kind = 0; kind < ED_KIND_COUNT; kind++) {
        const ed_flow *flow = &report->flows[kind];
        printf("%-10s %7" PRIu64 " %9" PRIu64 " %6" PRIu64 " %5" PRIu64 " %5" PRIu64 " %7" PRIu64,
               kind_names[kind], flow->sent, flow->answered, flow->sent - flow->answered,
               flow->twice, flow->wrong, kind == ED_KIND_RELIABLE ? resent : 0);
        print_times(&flow->round_trip);
    }
    puts("Delivered: to the server and back; p50 to max: how long that took, in ms.");
}

void ed_report_print_datagrams(const char *name, const eddy_stats *stats)
{
    if (name == NULL)
        printf("%-10s %11s %13s %13s %13s %13s\n", "datagrams", "sent", "bytes", "received",
               "bytes", "lost");
    else
        printf("%-10s %11" PRIu64 " %13" PRIu64 " %13" PRIu64 " %13" PRIu64 " %13" PRIu64 "\n",
               name, stats->sent_datagrams, stats->sent_bytes, stats->received_datagrams,
               stats->received_bytes,
               stats->packets_lost - ed_min_u64(stats->packets_lost, stats->packets_spurious));
}

int ed_fail(const char *command, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fflush(stdout);
    fprintf(stderr, "eddy %s: ", command);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return ED_EXIT_FAILED;
}

/* ------------------------------------------------------------------------------------ JSON -- */

static json_t *times_json(const ed_latency *latency)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "p50",
                     ed_json_int(ed_latency_percentile_us(latency, permilles[0])), "p90",
                     ed_json_int(ed_latency_percentile_us(latency, permilles[1])), "p99",
                     ed_json_int(ed_latency_percentile_us(latency, permilles[2])), "max",
                     ed_json_int(latency->max_us));
}

json_t *ed_flow_json(const ed_flow *flow)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "sent", ed_json_int(flow->sent), "delivered",
                     ed_json_int(flow->answered), "lost", ed_json_int(flow->sent - flow->answered),
                     "twice", ed_json_int(flow->twice), "wrong", ed_json_int(flow->wrong),
                     "round_trip_us", times_json(&flow->round_trip));
}

json_t *ed_stats_json(const eddy_stats *stats)
{
    json_t *object = json_object();
    int failures = 0;

#define X(name, text)                                                                              \
    failures += json_object_set_new(object, #name, json_integer(ed_json_int(stats->name)));
    EDDY_STATS_MAP(X)
#undef X
    if (failures == 0)
        return object;
    json_decref(object);
    return NULL;
}

int ed_json_print(json_t *object)
{
    int result = object == NULL ? -1 : json_dumpf(object, stdout, JSON_INDENT(2));

    json_decref(object);
    if (result != 0 || putchar('\n') == EOF || fflush(stdout) != 0)
        return ed_fail("--json", "out of memory, or stdout takes no more");
    return ED_EXIT_OK;
}
