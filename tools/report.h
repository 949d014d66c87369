/**
 * What a client or a server has to tell, as one plain value: it goes to a person as text, to a
 * program as JSON, and from the processes of a demonstration to their parent as bytes.
 */
#ifndef ED_TOOL_REPORT_H
#define ED_TOOL_REPORT_H

#include <jansson.h>

#include "tools/echo.h"
#include "tools/large.h"
#include "tools/tally.h"

typedef struct ed_report {
    eddy_address address;              /* a server's own, a client's peer */
    eddy_key public_key;               /* a server's own */
    uint64_t duration_ns;              /* of the traffic */
    uint64_t connections;              /* that stand now */
    uint64_t undelivered;              /* reliable messages, accepted, not known to have arrived */
    ed_echo_counts echo;               /* a server's */
    ed_flow flows[ED_GUARANTEE_COUNT]; /* a client's */
    ed_large large;                    /* a client's */
    uint64_t datagram_size;            /* of a client's: what its path was found to take */
    eddy_stats stats;
    bool is_final;
} ed_report;

/** Takes the library's counters. */
void ed_report_count(ed_report *report, eddy_manager *eddy);

/** Adds what another has counted. */
void ed_report_merge(ed_report *into, const ed_report *from);

/** Writes the bytes to a pipe. False if nobody reads it any more. */
bool ed_report_send(const ed_report *report, uint64_t fd);

/** Whether each promise to a client was kept. */
bool ed_report_is_kept(const ed_report *report);

/** The messages that all have to arrive, or those that need not, in one flow's counts. */
void ed_report_sum(const ed_report *report, bool all_arrive, ed_flow *sum);

/**
 * Prints the tables of what became of a client's messages, 79 columns wide.
 * @param all the counters of all who sent.
 */
void ed_report_print_flows(const ed_report *report, const eddy_stats *all);

/** Prints which checks have refused something, and how often; nothing where none has. */
void ed_refusals_print(const uint64_t counts[EDDY_CHECK_COUNT]);

/** @return a new object of the same, by the names of EDDY_CHECK_MAP, or NULL out of memory. */
json_t *ed_refusals_json(const uint64_t counts[EDDY_CHECK_COUNT]);

/** Prints a line of datagrams and bytes; `name` NULL: the heading. */
void ed_report_print_datagrams(const char *name, const eddy_stats *stats);

/** @return a new object of an object for each guarantee, or NULL out of memory. */
json_t *ed_flows_json(const ed_report *report);

/** @return a new object about the large message, or NULL out of memory. */
json_t *ed_large_json(const ed_large *large);

/** @return a new object of all the library's counters, or NULL out of memory. */
json_t *ed_stats_json(const eddy_stats *stats);

/** Prints an object to stdout, and releases it. @return an exit code. */
int ed_json_print(json_t *object);

/** As a JSON number, which has a sign. */
static inline json_int_t ed_json_int(uint64_t value)
{
    return (json_int_t)ed_min_u64(value, INT64_MAX);
}

/** Says to stderr why the command cannot go on. @return ED_EXIT_FAILED. */
int ed_fail(const char *command, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

#endif
