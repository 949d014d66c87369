/** How large the connection's datagrams are: what mtu.c finds out, and what follows from it. */
#include "transport/conn_draft.h"

/** Each direction has its own: what we may send has nothing to do with what we receive. */
static void update(ed_conn *conn)
{
    ed_outbox_set_datagram_size(&conn->outbox, conn->mtu.size);
    conn->timers.at_ns[ED_TIMER_MTU] = ed_mtu_next_ns(&conn->mtu);
}

void ed_conn_init_mtu(ed_conn *conn, uint32_t peer_max)
{
    uint32_t limit = (uint32_t)ed_min_u64(conn->shared->config->max_datagram_size, peer_max);

    ed_mtu_init(&conn->mtu, limit);
    update(conn);
}

void ed_conn_restart_mtu(ed_conn *conn)
{
    ed_mtu_restart(&conn->mtu, conn->sent.next);
    update(conn);
}

void ed_conn_on_size_sent(ed_conn *conn, size_t size, uint64_t now_ns)
{
    const ed_mtu *mtu = &conn->mtu;
    bool is_full = size + ED_FRAGMENT_UNIT > mtu->size;

    if (!is_full || mtu->size == mtu->limit || !ed_outbox_has_next(&conn->outbox))
        return;
    if (ed_mtu_on_full(&conn->mtu, now_ns))
        update(conn);
}

void ed_conn_on_size_acked(ed_conn *conn, const ed_sent *packet, uint64_t now_ns)
{
    if (ed_mtu_on_acked(&conn->mtu, packet, now_ns))
        update(conn);
}

void ed_conn_on_size_lost(ed_conn *conn, const ed_sent *packet, uint64_t now_ns)
{
    bool is_probe = (packet->flags & ED_SENT_SIZE_PROBE) != 0;

    ed_mtu_on_lost(&conn->mtu, packet, now_ns);
    if (!is_probe)
        return;
    conn->shared->stats->size_probes_lost++;
    conn->counts.size_probes_lost++;
    update(conn);
}

static void on_black_hole(ed_conn *conn)
{
    conn->shared->stats->black_holes++;
    conn->counts.black_holes++;
    update(conn);
}

void ed_conn_on_size_refused(ed_conn *conn, size_t size, uint64_t now_ns)
{
    if (ed_mtu_on_refused(&conn->mtu, size, conn->sent.next, now_ns))
        on_black_hole(conn);
    else
        update(conn);
}

void ed_conn_check_mtu(ed_conn *conn, uint64_t now_ns)
{
    if (ed_mtu_is_black_hole(&conn->mtu, ed_conn_pto_ns(conn), conn->sent.next, now_ns))
        on_black_hole(conn);
}

bool ed_conn_doubts_mtu(const ed_conn *conn)
{
    return conn->mtu.size > ED_DATAGRAM_SIZE && conn->loss.pto_count > 0 &&
           conn->loss.pto_count % 2 == 0;
}

/**
 * Whether a probe of the size may leave: it goes before messages, at the pace of these. It measures
 * the path in use; and while nothing is known of its time, nor is when it is lost.
 */
static bool may_probe(ed_conn *conn, uint32_t size, uint64_t now_ns)
{
    if (size == 0 || !ed_conn_is_open(conn) || !conn->rtt.sampled || ed_conn_is_moving(conn))
        return false;
    // When a message might: one that needs less would always be faster.
    uint64_t when_ns = ed_pacer_when_ns(&conn->pacer, conn->mtu.size, now_ns);
    if (when_ns > now_ns)
        conn->timers.at_ns[ED_TIMER_MTU] = when_ns;
    return when_ns <= now_ns && ed_conn_reserve_aside(conn);
}

size_t ed_conn_transmit_size_probe(ed_conn *conn, uint8_t *data, uint64_t now_ns)
{
    uint32_t size = ed_mtu_due(&conn->mtu, now_ns);
    ED_UNCLEARED ed_draft d;

    if (!may_probe(conn, size, now_ns))
        return 0;
    ed_draft_begin(&d, conn, data, now_ns);
    ed_draft_put_ping(&d, conn);
    ed_draft_fill(&d, size);
    ed_draft_flag(&d, ED_SENT_SIZE_PROBE);
    ed_mtu_on_probe_sent(&conn->mtu, ed_conn_pto_ns(conn), now_ns);
    conn->shared->stats->size_probes_sent++;
    conn->counts.size_probes_sent++;
    update(conn);
    return ed_draft_finish(&d, conn, now_ns);
}
