/**
 * What a connection can tell about itself: the rows of EDDY_CONNECTION_STATS_MAP. A counter grows
 * where it happens, in ed_conn.stats; what is so at the moment is added here, part by part.
 */
#include "transport/conn.h"

static void add_path(const ed_conn *conn, eddy_connection_stats *stats)
{
    if (conn->rtt.sampled) {
        stats->rtt_smoothed_ns = conn->rtt.smoothed_ns;
        stats->rtt_latest_ns = conn->rtt.latest_ns;
        stats->rtt_min_ns = conn->rtt.min_ns;
        stats->rtt_variation_ns = conn->rtt.variance_ns;
    }
    stats->window = conn->congestion_ops->window(&conn->congestion);
    stats->in_flight = conn->loss.in_flight;
    stats->pacing_rate = conn->pacer.rate;
}

void ed_conn_get_stats(const ed_conn *conn, eddy_connection_stats *stats)
{
    *stats = conn->stats;
    add_path(conn, stats);
    stats->packets_sent = conn->sent.next;
    stats->messages_shed = conn->outbox.shed_count;
}
