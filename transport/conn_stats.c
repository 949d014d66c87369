/**
 * What a connection can tell about itself: the rows of EDDY_CONNECTION_STATS_MAP. A counter grows
 * where it happens, in ed_conn.counts; what is so at the moment is added here, part by part.
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
    ed_congestion_path path = conn->congestion_ops->path(&conn->congestion, &conn->rtt);
    stats->path_rate = path.rate;
    stats->path_rtt_ns = path.rtt_ns;
    stats->path_queue_ns = path.queue_ns;
    stats->window = conn->congestion_ops->window(&conn->congestion);
    stats->in_flight = conn->loss.in_flight;
    stats->pacing_rate = conn->pacer.rate;
    stats->datagram_size = conn->mtu.size;
}

static void add_counts(const ed_conn_counts *counts, eddy_connection_stats *stats)
{
    stats->sent_datagrams = counts->sent_datagrams;
    stats->sent_bytes = counts->sent_bytes;
    stats->packets_lost = counts->packets_lost;
    stats->packets_spurious = counts->packets_spurious;
    stats->probes_sent = counts->probes_sent;
    stats->size_probes_sent = counts->size_probes_sent;
    stats->size_probes_lost = counts->size_probes_lost;
    stats->black_holes = counts->black_holes;
    stats->messages_sent = counts->messages_sent;
    stats->messages_resent = counts->messages_resent;
    stats->received_datagrams = counts->received_datagrams;
    stats->received_bytes = counts->received_bytes;
    stats->messages_delivered = counts->messages_delivered;
    stats->messages_duplicate = counts->messages_duplicate;
}

static void add_queues(const ed_conn *conn, eddy_connection_stats *stats, uint64_t now_ns)
{
    const ed_outbox *outbox = &conn->outbox;
    uint64_t since_ns = ed_outbox_waiting_since_ns(outbox);

    stats->queued_size = outbox->queued_size;
    stats->queue_ns = since_ns < now_ns ? now_ns - since_ns : 0;
    stats->send_credit = outbox->credit_limit - outbox->credit_used;
    stats->unreleased_size = conn->inbox.unreturned + conn->inbox.unreliable;
}

void ed_conn_get_stream_stats(const ed_conn *conn, uint8_t guarantee, uint8_t stream,
                              eddy_stream_stats *stats)
{
    const ed_lane_out *out = ed_lanes_find(&conn->outbox.lanes, guarantee, stream);
    const ed_lane_in *in = ed_lanes_find(&conn->inbox.lanes, guarantee, stream);

    *stats = (eddy_stream_stats){.messages_delivered = in == NULL ? 0 : in->delivered};
    if (out == NULL)
        return;
    stats->messages_sent = out->sent;
    stats->messages_resent = out->resent;
    stats->newest_receipt = out->newest_receipt;
    stats->queued_size = out->queued_size;
}

void ed_conn_get_stats(const ed_conn *conn, eddy_connection_stats *stats, uint64_t now_ns)
{
    *stats = (eddy_connection_stats){.packets_sent = conn->sent.next - conn->sent.gap_count,
                                     .messages_shed = conn->outbox.shed_count};
    add_path(conn, stats);
    add_counts(&conn->counts, stats);
    add_queues(conn, stats, now_ns);
}
