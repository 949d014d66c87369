/** What time brings. */
#include "transport/conn.h"

/**
 * Whether probes must not back off far: reliable messages wait, or the server may not have heard
 * yet that its client is connected, and will forget it after ED_HALF_OPEN_NS.
 */
static bool is_urgent(const ed_conn *conn)
{
    bool heard = conn->replay.next > 0;

    return conn->outbox.reliable_count > 0 || conn->outbox.skip_count > 0 ||
           (conn->is_client && !heard);
}

void ed_conn_update_recovery(ed_conn *conn)
{
    conn->timers.at_ns[ED_TIMER_RECOVERY] =
        ed_loss_deadline_ns(&conn->loss, &conn->rtt, is_urgent(conn));
}

static void expire_recovery(ed_conn *conn, uint64_t now_ns)
{
    if (ed_loss_due(&conn->loss, now_ns)) {
        ed_conn_detect_losses(conn, now_ns);
    } else {
        ed_loss_on_probe_timeout(&conn->loss, now_ns);
        conn->probes = 1;
    }
    ed_conn_update_recovery(conn);
}

/** What a handshake that took too long was waiting for. */
static eddy_end end_of_handshake(const ed_conn *conn)
{
    return conn->state == ED_CONN_ASKING      ? EDDY_END_UNDECIDED
           : conn->state == ED_CONN_RESOLVING ? EDDY_END_UNRESOLVED
                                              : EDDY_END_NO_ANSWER;
}

static void expire_handshake(ed_conn *conn, uint64_t now_ns)
{
    ed_conn_end end = {.end = end_of_handshake(conn), .refusal = (eddy_refusal)conn->rejected};

    if (ed_timers_take(&conn->timers, ED_TIMER_RESEND, now_ns))
        ed_conn_ask_again(conn);
    if (ed_timers_take(&conn->timers, ED_TIMER_RACE, now_ns))
        ed_conn_try_next(conn, now_ns);
    if (ed_timers_take(&conn->timers, ED_TIMER_GIVE_UP, now_ns))
        ed_conn_apply(conn, ED_INPUT_SILENCE, &end, now_ns);
}

/** Where little was said for a while, what a burst before has taken is given back. */
static void rest(ed_conn *conn, uint64_t now_ns)
{
    ed_loss_trim(&conn->loss, &conn->sent, &conn->rtt, ED_ACK_DELAY_NS, now_ns);
    if (ed_sent_log_rest(&conn->sent)) {
        ed_outbox_rest(&conn->outbox); // nothing refers to it
        ed_ack_rest(&conn->ack);
    }
    if (ed_sent_log_is_large(&conn->sent) || ed_ack_is_wide(&conn->ack))
        ed_timers_on_grown(&conn->timers, now_ns);
}

static void expire_silence(ed_conn *conn, uint64_t now_ns)
{
    ed_conn_end end = {.end = EDDY_END_IDLE};

    if (ed_timers_take(&conn->timers, ED_TIMER_KEEPALIVE, now_ns)) {
        // Once: from here on it is the probes that ask. If they do already, this is one of them,
        // so that what is unacknowledged does not wait longer for its next.
        conn->ping_pending = true;
        if (conn->loss.pto_count > 0)
            conn->probes = 1;
        conn->shared->stats->keepalives_sent++;
    }
    if (ed_timers_take(&conn->timers, ED_TIMER_IDLE, now_ns))
        ed_conn_apply(conn, ED_INPUT_SILENCE, &end, now_ns);
}

/** A flushing connection may have waited for what is given up now. */
void ed_conn_give_up_late(ed_conn *conn, uint64_t now_ns)
{
    ed_outbox_expire(&conn->outbox, now_ns);
    ed_conn_update_expiry(conn);
    ed_conn_check_flushed(conn, now_ns);
}

static void expire_messages(ed_conn *conn, uint64_t now_ns)
{
    ed_inbox_expire(&conn->inbox, now_ns);
    if (ed_inbox_is_overdue(&conn->inbox, now_ns))
        ed_conn_fail(conn, ED_CLOSE_PROTOCOL, now_ns); // which stops its timers
    else
        ed_conn_give_up_late(conn, now_ns);
}

/** The manager waits no longer. What was begun to close has said its word, or says it now. */
void ed_conn_check_end(ed_conn *conn, uint64_t now_ns)
{
    if (!ed_timers_take(&conn->timers, ED_TIMER_END, now_ns))
        return;
    ed_conn_close(conn, 0, NULL, 0, now_ns);
    conn->is_out_of_time = true;
    conn->close_pending |= conn->state == ED_CONN_CLOSING && conn->close_copies < ED_CLOSE_COPIES;
}

static void expire_ending(ed_conn *conn, uint64_t now_ns)
{
    if (ed_timers_take(&conn->timers, ED_TIMER_FLUSH, now_ns))
        ed_conn_apply(conn, ed_conn_is_open(conn) ? ED_INPUT_FLUSHED : ED_INPUT_CLOSE_LOCAL, NULL,
                      now_ns);
    if (ed_timers_take(&conn->timers, ED_TIMER_CLOSE, now_ns)) {
        conn->close_pending = true;
        if (conn->close_copies + 1 < ED_CLOSE_COPIES)
            conn->timers.at_ns[ED_TIMER_CLOSE] = ed_add_sat_u64(now_ns, ed_conn_pto_ns(conn));
    }
    if (ed_timers_take(&conn->timers, ED_TIMER_DRAINED, now_ns))
        ed_conn_apply(conn, ED_INPUT_DRAINED, NULL, now_ns);
}

void ed_conn_expire(ed_conn *conn, uint64_t now_ns)
{
    expire_handshake(conn, now_ns);
    if (ed_timers_take(&conn->timers, ED_TIMER_RECOVERY, now_ns))
        expire_recovery(conn, now_ns);
    if (ed_timers_take(&conn->timers, ED_TIMER_PATH, now_ns))
        ed_conn_expire_path(conn, now_ns);
    expire_silence(conn, now_ns);
    if (ed_timers_take(&conn->timers, ED_TIMER_REST, now_ns))
        rest(conn, now_ns);
    if (ed_timers_take(&conn->timers, ED_TIMER_EXPIRE, now_ns))
        expire_messages(conn, now_ns);
    expire_ending(conn, now_ns);
    ed_conn_check_end(conn, now_ns);
    // ACK, PACE and MTU ask for a transmit, which follows every expire.
    (void)ed_timers_take(&conn->timers, ED_TIMER_PACE, now_ns);
    (void)ed_timers_take(&conn->timers, ED_TIMER_MTU, now_ns);
}
