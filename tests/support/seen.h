/** What happened over many worlds: a test that met no fault has tested nothing. */
#ifndef ED_TEST_SEEN_H
#define ED_TEST_SEEN_H

#include "tests/support/cluster.h"

typedef struct ed_seen {
    eddy_stats stats;
    ed_link_stats links;
    uint64_t crashes;
    uint64_t server_crashes;
    uint64_t pauses;
    uint64_t moves;
    uint64_t broadcasts;
    uint64_t ends[EDDY_END_FORGOTTEN + 1];
    uint64_t outcomes[EDDY_OUTCOME_TOO_BIG + 1];
    uint64_t writables;
    uint64_t healed_max_ns;
    uint64_t memory_max; /* per mille of what was allowed */
} ed_seen;

/** Adds what a cluster of a server (node 0) and its clients, each with a memory_max, has seen. */
void ed_seen_add(ed_seen *seen, const ed_cluster *cluster);

/** Prints the counters, and fails where one is 0: such a run says nothing about that mechanism. */
void ed_seen_check_all(const ed_seen *seen);

#endif
