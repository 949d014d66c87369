#include "tools/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "tools/commands.h"

enum { MS_TEXT_SIZE = 24 };

static const char large_promise[] = "whole and undamaged";

void ed_report_count(ed_report *report, eddy_manager *eddy)
{
    eddy_get_stats(eddy, &report->stats);
}

/** Adds counters that only grow. */
static void add_stats(eddy_stats *into, const eddy_stats *from)
{
#define X(name, text) into->name += from->name;
    EDDY_STATS_MAP(X)
#undef X
}

void ed_report_merge(ed_report *into, const ed_report *from)
{
    into->duration_ns = ed_max_u64(into->duration_ns, from->duration_ns);
    into->connections += from->connections;
    into->undelivered += from->undelivered;
    for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++)
        ed_flow_merge(&into->flows[i], &from->flows[i]);
    ed_large_merge(&into->large, &from->large);
    add_stats(&into->stats, &from->stats);
}

bool ed_report_is_kept(const ed_report *report)
{
    bool is_kept = ed_large_is_kept(&report->large);

    for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++)
        is_kept = is_kept && ed_flow_is_kept(&report->flows[i], (eddy_guarantee)i);
    return is_kept;
}

void ed_report_sum(const ed_report *report, bool all_arrive, ed_flow *sum)
{
    *sum = (ed_flow){.sent = 0};
    for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++)
        if (ed_promises[i].all_arrive == all_arrive)
            ed_flow_merge(sum, &report->flows[i]);
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

static void print_promise(const char *text, bool is_kept)
{
    printf(" %-21s%4s\n", text, is_kept ? "yes" : "NO");
}

static void print_flow(const ed_flow *flow, eddy_guarantee guarantee)
{
    char p50[MS_TEXT_SIZE];
    char p99[MS_TEXT_SIZE];

    printf("%-20s%7" PRIu64 "%8" PRIu64 "%6" PRIu64 "%6s%6s", ed_promises[guarantee].name,
           flow->sent, flow->answered, flow->sent - flow->answered,
           print_ms(p50, ed_latency_percentile_us(&flow->round_trip, 500)),
           print_ms(p99, ed_latency_percentile_us(&flow->round_trip, 990)));
    print_promise(ed_promises[guarantee].text, ed_flow_is_kept(flow, guarantee));
}

static void print_large(const ed_large *large)
{
    char time[MS_TEXT_SIZE];

    printf("\n%-20s%10s%11s%12s %-21s%4s\n", "large message", "bytes", "ms", "kbit/s", "promise",
           "kept");
    printf("%-20s%10" PRIu64 "%11s%12" PRIu64, ed_promises[ED_LARGE_GUARANTEE].name, large->size,
           print_ms(time, large->time_ns / ED_NS_PER_US), ed_large_bits_per_s(large) / 1000);
    print_promise(large_promise, ed_large_is_kept(large));
}

void ed_report_print_flows(const ed_report *report, const eddy_stats *all)
{
    printf("%-20s%7s%8s%6s%6s%6s %-21s%4s\n", "guarantee", "sent", "arrived", "lost", "p50", "p99",
           "promise", "kept");
    for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++)
        if (report->flows[i].sent > 0)
            print_flow(&report->flows[i], (eddy_guarantee)i);
    printf("Arrived: at the server and back; p50, p99: after so many ms. Lost: on the way,\n"
           "or for a newer one: %" PRIu64 " came after it, %" PRIu64
           " were not sent again.\nRe-sent: %" PRIu64 " pieces of reliable messages.\n",
           all->messages_stale, all->messages_superseded + all->messages_shed,
           all->messages_resent);
    if (report->large.size > 0)
        print_large(&report->large);
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

/** Every check that there is, in the order of the header. */
static const struct check_name {
    const char *name;
    eddy_check check;
} check_names[] = {
#define X(name, number, text) {#name, name},
    EDDY_CHECK_MAP(X)
#undef X
};

void ed_refusals_print(const uint64_t counts[EDDY_CHECK_COUNT])
{
    bool is_first = true;

    for (size_t i = 0; i < ED_COUNT(check_names); i++) {
        uint64_t count = counts[check_names[i].check];
        if (count == 0)
            continue;
        if (is_first)
            puts("refused, as this did not hold:");
        printf("%10" PRIu64 "  %s\n", count, eddy_check_text(check_names[i].check));
        is_first = false;
    }
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
    return json_pack(
        "{s:I, s:I, s:I, s:I}", "p50", ed_json_int(ed_latency_percentile_us(latency, 500)), "p90",
        ed_json_int(ed_latency_percentile_us(latency, 900)), "p99",
        ed_json_int(ed_latency_percentile_us(latency, 990)), "max", ed_json_int(latency->max_us));
}

static json_t *flow_json(const ed_flow *flow, eddy_guarantee guarantee)
{
    return json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "promise",
                     ed_promises[guarantee].text, "kept", ed_flow_is_kept(flow, guarantee), "sent",
                     ed_json_int(flow->sent), "arrived", ed_json_int(flow->answered), "lost",
                     ed_json_int(flow->sent - flow->answered), "twice", ed_json_int(flow->twice),
                     "late", ed_json_int(flow->late), "damaged", ed_json_int(flow->damaged),
                     "newest_missing", ed_json_int(flow->newest_missing), "round_trip_us",
                     times_json(&flow->round_trip));
}

json_t *ed_flows_json(const ed_report *report)
{
    json_t *object = json_object();
    int failures = 0;

    for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++)
        failures += json_object_set_new(object, ed_promises[i].name,
                                        flow_json(&report->flows[i], (eddy_guarantee)i));
    if (failures == 0)
        return object;
    json_decref(object);
    return NULL;
}

json_t *ed_large_json(const ed_large *large)
{
    return json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "promise", large_promise, "kept",
                     ed_large_is_kept(large), "size", ed_json_int(large->size), "sent",
                     ed_json_int(large->sent), "arrived", ed_json_int(large->arrived), "damaged",
                     ed_json_int(large->damaged), "time_us",
                     ed_json_int(large->time_ns / ED_NS_PER_US), "bits_per_s",
                     ed_json_int(ed_large_bits_per_s(large)));
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

json_t *ed_refusals_json(const uint64_t counts[EDDY_CHECK_COUNT])
{
    json_t *object = json_object();
    int failures = 0;

    for (size_t i = 0; i < ED_COUNT(check_names); i++) {
        uint64_t count = counts[check_names[i].check];
        if (count > 0)
            failures +=
                json_object_set_new(object, check_names[i].name, json_integer(ed_json_int(count)));
    }
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
