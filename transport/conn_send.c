/** What goes out: one datagram at a time, with as much in it as fits and may leave. */
#include "transport/conn_draft.h"

enum {
    ACK_PING_RANGES = 8,    /* an ACK with so many ranges asks to be acknowledged itself; */
    ACK_PING_LOSSY = 4,     /* and so few do where they are of so many numbers alone: */
    ACK_PING_SPAN = 256,    /* more are lost there than are left out on purpose */
    ACK_PING_PACKETS = 256, /* and so does one after so many that were not */
    SENT_RESERVE = 64,      /* places in the log of sent packets kept for acks and probes */
    MEMORY_RETRY_MS = 10,   /* after an allocation failed */
    URGENT_MS = 2,          /* between packets of nothing but messages before what waits */
    SILENT_TICK_MS = 10,    /* while nothing is acknowledged: between packets for the program */
    STARVED_PING_MS = 100,  /* or a probe timeout: how often who waits for credit is heard of */
};

static bool has_many_ranges(const ed_ranges *received)
{
    const ed_range *range = received->range;

    return received->count >= ACK_PING_RANGES ||
           (received->count >= ACK_PING_LOSSY &&
            range[0].last - range[ACK_PING_LOSSY - 1].last < ACK_PING_SPAN);
}

/** An ACK-only packet is never acknowledged; now and then one must be, or its ranges pile up. */
static bool wants_ack_ping(ed_conn *conn, uint64_t now_ns)
{
    // Nor do packets leave the log of an end that never hears of any.
    if (ed_sent_count(&conn->sent) >= ACK_PING_PACKETS && conn->loss.ack_eliciting_in_flight == 0)
        return true;
    if (!has_many_ranges(&conn->ack.received) || now_ns < conn->ack_ping_next_ns)
        return false;
    conn->ack_ping_next_ns = ed_add_sat_u64(now_ns, ed_conn_pto_ns(conn));
    return true;
}

/* -------------------------------------------------------------------------- what may leave -- */

/** What there is to send, and what may be. */
struct plan {
    bool ack;    /* an ACK must leave */
    bool ping;   /* a PING must leave */
    bool credit; /* a CREDIT must leave */
    bool probe;  /* whatever the window says */
    bool data;   /* messages may leave */
    bool tick;   /* in a silence, for a program that goes on sending: whatever the window says */
    bool urgent; /* small messages that go before what fills the window: whatever it says */
};

/** Whether messages leave places in the log of sent packets for acks and probes. */
static bool log_has_room(const ed_conn *conn)
{
    return ed_sent_count(&conn->sent) + SENT_RESERVE < ED_SENT_MAX &&
           ed_sent_ref_count(&conn->sent) + SENT_RESERVE * ED_FRAME_MESSAGES_MAX < ED_SENT_REFS_MAX;
}

/** Whether congestion control, and the log of sent packets, let more leave. */
static bool window_is_open(const ed_conn *conn)
{
    uint64_t in_flight = conn->loss.in_flight - conn->loss.probes_in_flight;

    return (in_flight < ED_CONGESTION_FLOOR_DATAGRAMS * ED_DATAGRAM_SIZE ||
            in_flight < conn->congestion_ops->window(&conn->congestion)) &&
           log_has_room(conn);
}

/** Whether window and pacer let messages go; if the pacer does not, when to ask again. */
static bool data_may_leave(ed_conn *conn, uint64_t now_ns)
{
    uint64_t when_ns = ed_pacer_when_ns(&conn->pacer, conn->mtu.size, now_ns);
    bool has_data = ed_outbox_has_next(&conn->outbox);
    bool has_window = window_is_open(conn);

    conn->timers.at_ns[ED_TIMER_PACE] = ED_NEVER_NS;
    // Nor does a path show what it can carry while a cap holds everything back.
    conn->app_limited = has_window && ((!has_data && when_ns <= now_ns) || ed_conn_is_capped(conn));
    if (has_data && has_window && when_ns > now_ns)
        conn->timers.at_ns[ED_TIMER_PACE] = when_ns;
    if (conn->outbox.is_out_of_memory)
        conn->timers.at_ns[ED_TIMER_PACE] = ed_add_sat_u64(now_ns, MEMORY_RETRY_MS * ED_NS_PER_MS);
    return has_data && has_window && when_ns <= now_ns;
}

/**
 * Who goes on sending while nothing is acknowledged has a packet for it, so that the first that the
 * path lets through again brings an answer, and takes along what the ones before it lost.
 */
static bool wants_tick(const ed_conn *conn, uint64_t now_ns)
{
    const ed_loss *loss = &conn->loss;
    uint64_t until_ns =
        ed_add_sat_u64(loss->probing_since_ns, ED_LOSS_PROBE_EARLY_FOR_S * ED_NS_PER_S);
    bool is_allowed =
        conn->rate_max == 0 || ed_pacer_when_ns(&conn->pacer, ED_DATAGRAM_SIZE, now_ns) <= now_ns;

    return loss->pto_count > 0 && conn->outbox.fresh_count > 0 && now_ns < until_ns && is_allowed &&
           now_ns - loss->last_ack_eliciting_sent_ns >= SILENT_TICK_MS * ED_NS_PER_MS &&
           log_has_room(conn);
}

/**
 * Whether a bulk that fills the window holds a game up; if it did a moment ago, when to ask again.
 * In a silence wants_tick decides: nothing is known to leave the path then.
 */
static bool wants_urgent(ed_conn *conn, uint64_t now_ns)
{
    uint64_t when_ns =
        ed_add_sat_u64(conn->loss.last_ack_eliciting_sent_ns, URGENT_MS * ED_NS_PER_MS);
    ed_outgoing next;

    if (conn->rate_max != 0 || conn->loss.pto_count > 0 ||
        !ed_outbox_next_urgent(&conn->outbox, ED_DATAGRAM_SIZE, UINT64_MAX, &next) ||
        !log_has_room(conn))
        return false;
    if (when_ns > now_ns)
        conn->timers.at_ns[ED_TIMER_PACE] = ed_min_u64(conn->timers.at_ns[ED_TIMER_PACE], when_ns);
    return when_ns <= now_ns;
}

static struct plan make_plan(ed_conn *conn, uint64_t now_ns)
{
    bool data = data_may_leave(conn, now_ns);

    return (struct plan){
        .ack = conn->ack.deadline_ns <= now_ns,
        .ping = conn->ping_pending,
        .credit = conn->inbox.credit.pending,
        .probe = conn->probes > 0,
        .data = data,
        .urgent = !data && wants_urgent(conn, now_ns),
        .tick = wants_tick(conn, now_ns),
    };
}

/**
 * Whether the packet is to be a small one, for a path that may have come to take no large ones: so
 * is every other tick, as ticks leave no time for a probe.
 */
static bool is_to_be_small(const ed_conn *conn, const struct plan *plan)
{
    bool is_odd = conn->sent.next % 2 != 0;

    return (plan->probe && ed_conn_doubts_mtu(conn)) ||
           (plan->tick && is_odd && conn->mtu.size > ED_DATAGRAM_SIZE);
}

/**
 * Repeats the oldest. All parts may be too large, for a small probe, or for any after the path
 * takes less and without memory to cut them again. @return whether they ask as a PING does, now or
 * next.
 */
static bool put_probe(ed_draft *d, ed_conn *conn, bool is_small, uint64_t now_ns)
{
    bool any = ed_draft_put_oldest(d, conn, now_ns);

    return any && (d->message_count > 0 || (!is_small && !conn->outbox.is_out_of_memory));
}

static void put_all_messages(ed_draft *d, ed_conn *conn, const struct plan *plan, bool is_small,
                             uint64_t now_ns)
{
    if (plan->probe && !put_probe(d, conn, is_small, now_ns))
        ed_draft_put_ping(d, conn); // what comes along may ask for no haste
    if (plan->data || plan->probe || plan->tick)
        ed_draft_put_messages(d, conn);
    else if (plan->urgent)
        ed_draft_put_urgent(d, conn);
    if (plan->tick)
        (void)ed_draft_put_oldest(d, conn, now_ns - conn->rtt.smoothed_ns);
    if (plan->tick && d->message_count == 0)
        ed_draft_put_ping(d, conn);
    if (plan->data || plan->tick)
        ed_draft_put_copies(d, conn, now_ns);
}

static size_t transmit_packet(ed_conn *conn, const struct plan *plan, uint8_t *data,
                              uint64_t now_ns)
{
    ED_UNCLEARED ed_draft d;
    bool is_small = is_to_be_small(conn, plan);

    ed_draft_begin(&d, conn, data, now_ns);
    if (is_small)
        (void)ed_draft_limit(&d, ED_DATAGRAM_SIZE);
    if (ed_ack_wanted(&conn->ack))
        ed_draft_put_ack(&d, conn, now_ns);
    if (plan->ping || (!plan->data && !plan->probe && wants_ack_ping(conn, now_ns)))
        ed_draft_put_ping(&d, conn);
    if (plan->ping && plan->probe) // the message that follows may be small
        ed_draft_pad_client(&d);
    // A grant that is lost would hold the peer up; but what was lost may fit without it alone.
    if (plan->credit || (!conn->credit_is_known && ed_list_empty(&conn->outbox.lost)))
        ed_draft_put_credit(&d, conn);
    ed_draft_put_answer(&d, conn, now_ns);
    if (plan->data || plan->ping) // the ACK brings the answer along
        ed_draft_put_question(&d, conn, now_ns);
    put_all_messages(&d, conn, plan, is_small, now_ns);
    bool elicits = (d.record.flags & ED_SENT_ACK_ELICITING) != 0;
    bool is_prompt = (d.record.flags & ED_SENT_PROMPT) != 0;
    if (plan->tick && is_prompt)
        ed_draft_flag(&d, ED_SENT_PROBE);
    // An ACK may have left no room for the message: then it is the next one.
    if (plan->probe && is_prompt) {
        ed_draft_flag(&d, ED_SENT_PROBE);
        conn->probes--;
        conn->shared->stats->probes_sent++;
        conn->counts.probes_sent++;
    }
    if (elicits && d.last_at == NULL)
        ed_draft_pad_client(&d);
    size_t size = ed_draft_finish(&d, conn, now_ns);
    ed_conn_on_size_sent(conn, size, now_ns);
    return size;
}

/**
 * An acknowledgement may still be waiting for company: without it the peer would report as
 * undelivered what has arrived. In every copy, as each may be the only one to come.
 */
static void put_close(ed_draft *d, ed_conn *conn, uint64_t now_ns)
{
    if (conn->ack.received.count > 0)
        ed_draft_put_ack(d, conn, now_ns);
    ed_close close = ed_conn_said_close(conn);
    ed_frame_write_close(&d->w, &close);
}

static size_t transmit_close(ed_conn *conn, uint8_t *data, uint64_t now_ns)
{
    ED_UNCLEARED ed_draft d;

    conn->close_copies++;
    conn->close_pending = conn->is_out_of_time && conn->state == ED_CONN_CLOSING &&
                          conn->close_copies < ED_CLOSE_COPIES;
    ed_draft_begin(&d, conn, data, now_ns);
    put_close(&d, conn, now_ns);
    return ed_draft_finish(&d, conn, now_ns);
}

/** Whether there is a number that the key may seal. */
static bool has_number(const ed_conn *conn)
{
    return conn->sent.next < ED_PACKET_NUMBER_LAST &&
           ed_keys_may_seal(&conn->secrets->keys, conn->sent.next);
}

bool ed_conn_reserve_aside(ed_conn *conn)
{
    return has_number(conn) && ed_sent_reserve(&conn->sent, 0) == EDDY_OK;
}

size_t ed_conn_write_aside(ed_conn *conn, ed_span frames, size_t room, uint8_t *data,
                           uint64_t now_ns)
{
    ED_UNCLEARED ed_draft d;

    if (!ed_conn_reserve_aside(conn))
        return 0;
    ed_draft_begin(&d, conn, data, now_ns);
    if (!ed_draft_limit(&d, room))
        return 0;
    // Before the ACK: what that says of packets on a path just left is no longer of this path.
    ed_write_bytes(&d.w, frames.data, frames.size);
    if (!ed_writer_ok(&d.w))
        return 0;
    ed_draft_put_ack_copy(&d, conn, now_ns);
    ed_draft_pad_client(&d);
    return ed_draft_finish(&d, conn, now_ns);
}

size_t ed_conn_write_close_aside(ed_conn *conn, size_t room, uint8_t *data, uint64_t now_ns)
{
    ED_UNCLEARED ed_draft d;

    if (!ed_conn_reserve_aside(conn))
        return 0;
    ed_draft_begin(&d, conn, data, now_ns);
    if (!ed_draft_limit(&d, room))
        return 0;
    put_close(&d, conn, now_ns);
    return ed_writer_ok(&d.w) ? ed_draft_finish(&d, conn, now_ns) : 0;
}

static void plan_gap(ed_conn *conn)
{
    const eddy_entropy *entropy = conn->shared->entropy;
    uint8_t draw[sizeof(uint64_t)];

    entropy->fill(entropy->context, draw, sizeof(draw));
    ed_reader r = ed_reader_of(draw, sizeof(draw));
    ed_sent_plan_gap(&conn->sent, ed_read_u64(&r));
}

/** Now and then a number is left out, to see that the peer does not acknowledge it. */
static void leave_gap(ed_conn *conn, uint64_t now_ns)
{
    if (conn->sent.gap_at == 0)
        plan_gap(conn);
    // The next packet has a number in any case, and is to have one that is not the last.
    if (conn->sent.next + 1 < ED_PACKET_NUMBER_LAST && conn->sent.next >= conn->sent.gap_at &&
        ed_sent_skip(&conn->sent, now_ns) == EDDY_OK)
        plan_gap(conn);
}

/** Makes room in the log of sent packets. */
static bool reserve(ed_conn *conn, struct plan *plan, uint64_t now_ns)
{
    bool has_messages = plan->data || plan->probe || plan->tick || plan->urgent;

    ed_loss_trim(&conn->loss, &conn->sent, &conn->rtt, ED_ACK_DELAY_NS, now_ns);
    if (ed_sent_log_is_large(&conn->sent) || ed_ack_is_wide(&conn->ack))
        ed_timers_on_grown(&conn->timers, now_ns);
    if (has_messages && ed_sent_reserve(&conn->sent, 1) == EDDY_OK)
        return true;
    // What has no messages still leaves, and a PING asks as well as any probe.
    plan->ping |= plan->probe;
    conn->probes = 0;
    plan->probe = false;
    plan->data = false;
    plan->tick = false;
    plan->urgent = false;
    bool has_rest = conn->close_pending || plan->ack || plan->ping || plan->credit;
    return has_rest && ed_sent_reserve(&conn->sent, 0) == EDDY_OK;
}

/** There is no place for another packet: what is due is due again a little later. */
static void postpone(ed_conn *conn, uint64_t now_ns)
{
    uint64_t *at_ns = conn->timers.at_ns;
    uint64_t retry_ns = ed_add_sat_u64(now_ns, MEMORY_RETRY_MS * ED_NS_PER_MS);

    at_ns[ED_TIMER_PACE] = retry_ns;
    at_ns[ED_TIMER_RECOVERY] = ed_max_u64(at_ns[ED_TIMER_RECOVERY], retry_ns);
    if (ed_ack_wanted(&conn->ack))
        conn->ack.deadline_ns = ed_max_u64(conn->ack.deadline_ns, retry_ns);
}

/**
 * Most that were heard of have nothing to say. Where that was so before, it is still the program
 * that decides what is in flight: window and pacer, which lie far away, are not asked.
 */
static bool has_nothing(const ed_conn *conn, uint64_t now_ns)
{
    return conn->app_limited && conn->outbox.fresh_count == 0 &&
           ed_list_empty(&conn->outbox.lost) && conn->ack.deadline_ns > now_ns &&
           !conn->ping_pending && !conn->inbox.credit.pending && conn->probes == 0 &&
           !conn->close_pending && conn->timers.at_ns[ED_TIMER_PACE] == ED_NEVER_NS;
}

static size_t transmit_any(ed_conn *conn, uint8_t *data, uint64_t now_ns)
{
    struct plan plan = {0};

    // In a flush, or where the socket had no room, other deadlines wait for a look at the socket.
    if (conn->timers.at_ns[ED_TIMER_EXPIRE] <= now_ns)
        ed_conn_give_up_late(conn, now_ns);
    if (has_nothing(conn, now_ns))
        return 0;
    if (ed_conn_is_open(conn))
        plan = make_plan(conn, now_ns);
    if (!conn->close_pending && !plan.ack && !plan.ping && !plan.credit && !plan.probe &&
        !plan.data && !plan.tick && !plan.urgent)
        return 0;
    leave_gap(conn, now_ns);
    if (!has_number(conn)) {
        ed_conn_abandon(conn, EDDY_END_PROTOCOL, now_ns); // no number is ever used twice
        return 0;
    }
    if (!reserve(conn, &plan, now_ns)) {
        postpone(conn, now_ns);
        return 0;
    }
    return conn->close_pending ? transmit_close(conn, data, now_ns)
                               : transmit_packet(conn, &plan, data, now_ns);
}

/**
 * Who waits for credit, and has nothing in flight that would be repeated, says PING now and then:
 * its address may have changed, and the credit have gone to the old one.
 */
static void ask_if_starved(ed_conn *conn)
{
    uint64_t *ask_ns = &conn->timers.at_ns[ED_TIMER_KEEPALIVE];

    if (ed_list_empty(&conn->outbox.starved) || conn->ping_pending ||
        conn->loss.ack_eliciting_in_flight > 0)
        return;
    uint64_t interval_ns = ed_max_u64(STARVED_PING_MS * ED_NS_PER_MS, ed_conn_pto_ns(conn));
    *ask_ns =
        ed_min_u64(*ask_ns, ed_add_sat_u64(conn->loss.last_ack_eliciting_sent_ns, interval_ns));
}

static void drop_hasty(ed_conn *conn, uint64_t now_ns)
{
    if (conn->outbox.hasty_count == 0)
        return;
    ed_outbox_drop_hasty(&conn->outbox);
    ed_conn_check_flushed(conn, now_ns); // it may have waited for that alone
}

void ed_conn_on_all_sent(ed_conn *conn, uint64_t now_ns)
{
    drop_hasty(conn, now_ns);
    if (conn->is_out_of_time && conn->state != ED_CONN_CLOSED)
        ed_conn_apply(conn, ED_INPUT_DRAINED, NULL, now_ns);
}

size_t ed_conn_transmit(ed_conn *conn, ed_path *path, uint8_t *data, uint64_t now_ns)
{
    if (conn->request_pending) {
        *path = *ed_conn_path(conn);
        return ed_conn_transmit_handshake(conn, path, data, now_ns);
    }
    size_t size = ed_conn_transmit_path(conn, path, data, now_ns);
    if (size > 0)
        return size;
    size = ed_conn_transmit_size_probe(conn, data, now_ns);
    if (size == 0)
        size = transmit_any(conn, data, now_ns);
    if (size > 0)
        *path = *ed_conn_path(conn);
    if (size == 0)
        ed_conn_on_all_sent(conn, now_ns);
    if (ed_conn_is_open(conn))
        conn->timers.at_ns[ED_TIMER_ACK] = conn->ack.deadline_ns;
    if (size == 0 && ed_conn_is_open(conn))
        ask_if_starved(conn);
    return size;
}
