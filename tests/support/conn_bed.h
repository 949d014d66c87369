/** What connections share when there is no manager: for tests of connections alone. */
#ifndef ED_TEST_CONN_BED_H
#define ED_TEST_CONN_BED_H

#include "transport/conn.h"

typedef struct ed_conn_bed {
    ed_conn_shared shared;
    eddy_config config;
    eddy_stats stats;
    ed_log log; /* silent */
    ed_pool *dial_pool;
    ed_openings openings;
    ed_credit_pool room;
    uint64_t queued_cost;
    ed_settled settled;
} ed_conn_bed;

/** Default configuration, system's entropy. Fails the test where that is not to be had. */
void ed_conn_bed_open(ed_conn_bed *bed, uint32_t connections_max);

/** The same with a configuration but for its key and cipher; it names an allocator and entropy. */
void ed_conn_bed_open_with(ed_conn_bed *bed, uint32_t connections_max, const eddy_config *config);

/** All connections are freed before; it sees that they have wiped their secrets. */
void ed_conn_bed_close(ed_conn_bed *bed);

/** A block reserved for a client's last event. */
ed_block *ed_conn_bed_last(const ed_conn_bed *bed);

/** How a client of the bed dials in PINNED mode; to be given to ed_conn_init_client. */
ed_block *ed_conn_bed_dial(const ed_conn_bed *bed);

/**
 * A client (handle 1) and a server (handle 2) that have shaken hands by hand: the client is
 * connected, and the server is when it hears the client's first packet.
 * @param to the path as the client sees it. @param from the same as the server does.
 */
void ed_conn_bed_connect(const ed_conn_bed *bed, ed_conn *client, ed_conn *server,
                         const ed_path *to, const ed_path *from, uint64_t now_ns);

#endif
