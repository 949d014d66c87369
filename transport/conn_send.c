/** What goes out: one datagram at a time, with as much in it as fits and may leave. */
#include "transport/conn.h"
#include "transport/packet.h"

enum {
    ACK_PING_RANGES = 8,    /* an ACK with so many ranges asks to be acknowledged itself */
    ACK_PING_PACKETS = 256, /* and so does one after so many that were not */
    SENT_RESERVE = 64,      /* places in the log of sent packets kept for acks and probes */
    MEMORY_RETRY_MS = 10,   /* after an allocation failed */
    STARVED_PING_MS = 100,  /* or a probe timeout: how often who waits for credit is heard of */
};

/** A packet while it is put together. */
struct draft {
    uint8_t *data; /* ED_DATAGRAM_SIZE bytes */
    ed_packet packet;
    ed_writer w; /* over the plaintext */
    ed_sent record;
    ed_sent_ref refs[ED_FRAME_MESSAGES_MAX];
    size_t ref_count;
    size_t message_count;
    uint8_t *last_at; /* where the last message's frame begins */
    ed_message_frame last;
};

/* ----------------------------------------------------------------------------- the packet -- */

static void draft_begin(struct draft *d, ed_conn *conn, uint8_t *data, uint64_t now_ns)
{
    uint64_t number = conn->sent.next;
    ed_keys *keys = &conn->secrets->keys;
    uint64_t unacknowledged = conn->loss.any_acked ? number - conn->loss.largest_acked : number + 1;

    ed_keys_update(keys, number, ed_conn_pto_ns(conn), now_ns);
    d->data = data;
    d->packet = (ed_packet){.from_client = conn->is_client,
                            .id = conn->id,
                            .number = number,
                            .phase = keys->send_phase,
                            .number_size = ed_packet_number_size(number, unacknowledged)};
    size_t header_size = ed_packet_write(&d->packet, data);
    d->w = ed_writer_of(data + header_size, ED_DATAGRAM_SIZE - header_size - ED_TAG_SIZE);
    d->record = (ed_sent){.sent_ns = now_ns};
    d->ref_count = 0;
    d->message_count = 0;
    d->last_at = NULL;
}

static void draft_flag(struct draft *d, uint8_t flags)
{
    d->record.flags = (uint8_t)(d->record.flags | flags);
}

/** The least plaintext that leaves header protection something to sample. */
static size_t draft_plain_min(const struct draft *d)
{
    return ED_PACKET_PLAIN_SIZE_MIN + 1u - d->packet.number_size;
}

/** Makes the datagram at most `room` bytes. @return false if not even the shortest fits. */
static bool draft_limit(struct draft *d, size_t room)
{
    size_t fixed_size = d->packet.header_size + ED_TAG_SIZE;

    if (room < fixed_size + draft_plain_min(d))
        return false;
    if (room - fixed_size < ed_writer_left(&d->w))
        d->w.end = d->w.begin + (room - fixed_size);
    return true;
}

/** Brings the plaintext to its smallest size. Only where no message stands at its end. */
static void draft_pad(struct draft *d, size_t plain_size)
{
    size_t have = ed_writer_size(&d->w);

    ED_ASSERT(d->last_at == NULL);
    if (have < plain_size)
        ed_write_zeros(&d->w, plain_size - have);
}

/** So that an answer to a server which has lost its state is shorter than its cause. */
static void draft_pad_client(struct draft *d)
{
    if (d->packet.from_client)
        draft_pad(d, ED_CLIENT_PACKET_SIZE_MIN - ED_TAG_SIZE - d->packet.header_size);
}

/** The last message runs to the end of the packet, and does not need its length. */
static void draft_drop_length(struct draft *d)
{
    size_t size = ed_writer_size(&d->w);

    if (d->last_at != NULL && size - ed_varint_size(d->last.data.size) >= draft_plain_min(d))
        ed_frame_drop_length(&d->w, d->last_at, &d->last);
}

/** Seals and records. @return the datagram's size. */
static size_t draft_finish(struct draft *d, ed_conn *conn, uint64_t now_ns)
{
    bool elicits = (d->record.flags & ED_SENT_ACK_ELICITING) != 0;

    ED_ASSERT(ed_writer_size(&d->w) > 0); // whatever made us send it is in it
    draft_drop_length(d);
    if (d->last_at == NULL)
        draft_pad(d, draft_plain_min(d));
    size_t size = d->packet.header_size + ed_writer_size(&d->w);
    ED_ASSERT(ed_writer_ok(&d->w) && size + ED_TAG_SIZE <= ED_DATAGRAM_SIZE);
    if (elicits)
        draft_flag(d, ED_SENT_IN_FLIGHT);
    d->record.size = (uint32_t)(size + ED_TAG_SIZE);
    eddy_status status = ed_sent_push(&conn->sent, &d->record, d->refs, d->ref_count);
    ED_ASSERT(status == EDDY_OK); // there was room: it was reserved
    ed_loss_on_sent(&conn->loss, ed_sent_at(&conn->sent, d->packet.number));
    ed_keys_seal(&conn->secrets->keys, d->packet.number, d->data, d->packet.number_at,
                 d->packet.header_size, size);

    if (elicits) {
        conn->congestion_ops->on_sent(&conn->congestion, d->record.size, conn->loss.in_flight,
                                      now_ns);
        ed_conn_update_recovery(conn);
    }
    if (elicits || conn->rate_max != 0) // a cap is on all that leaves
        ed_pacer_spent(&conn->pacer, d->record.size, now_ns);
    return d->record.size;
}

/* ------------------------------------------------------------------------- what goes in it -- */

static void put_ack(struct draft *d, ed_conn *conn, uint64_t now_ns)
{
    d->record.ack_largest = ed_ack_largest(&conn->ack);
    ed_ack_write(&conn->ack, &d->w, now_ns);
    ed_ack_on_sent(&conn->ack);
    draft_flag(d, ED_SENT_HAS_ACK);
}

/** The same, if there is room, beside the one that is owed: that may take another path. */
static void put_ack_copy(struct draft *d, ed_conn *conn, uint64_t now_ns)
{
    ed_writer before = d->w;

    if (conn->ack.received.count == 0)
        return;
    ed_ack_write(&conn->ack, &d->w, now_ns);
    if (!ed_writer_ok(&d->w)) {
        d->w = before;
        return;
    }
    d->record.ack_largest = ed_ack_largest(&conn->ack);
    draft_flag(d, ED_SENT_HAS_ACK);
}

static void put_ping(struct draft *d, ed_conn *conn)
{
    ed_write_u8(&d->w, ED_FRAME_PING);
    draft_flag(d, ED_SENT_ACK_ELICITING);
    conn->ping_pending = false;
}

static void put_credit(struct draft *d, ed_conn *conn)
{
    ed_frame_write_credit(&d->w, conn->inbox.credit.limit);
    draft_flag(d, ED_SENT_ACK_ELICITING | ED_SENT_HAS_CREDIT);
    if (conn->inbox.credit.pending)
        conn->credit_packet = d->packet.number;
    conn->inbox.credit.pending = false;
    conn->credit_is_known = false;
    conn->shared->stats->credits_sent++;
}

/** Writes a message, a part of one, or the news that one was given up. */
static void put(struct draft *d, ed_conn *conn, const ed_outgoing *next)
{
    if (next->is_skip) {
        d->last_at = NULL;
        ed_frame_write_skip(&d->w, &next->skip);
    } else {
        d->last_at = d->w.at;
        d->last = next->message;
        ed_frame_write_message(&d->w, &next->message);
    }
    d->message_count++;
    draft_flag(d, ED_SENT_ACK_ELICITING);
    conn->shared->stats->messages_resent += next->part != NULL && !next->is_skip ? 1 : 0;
    conn->counts.messages_resent += next->part != NULL && !next->is_skip ? 1 : 0;
    if (ed_outbox_on_sent(&conn->outbox, next, d->packet.number, &d->refs[d->ref_count]))
        d->ref_count++;
}

/** Puts in what of a message is not acknowledged. @return false if the packet is full. */
static bool put_again(struct draft *d, ed_conn *conn, const ed_out *out)
{
    ed_outgoing next;

    for (ed_list_node *node = ed_list_first(&out->parts); node != NULL;
         node = ed_list_next(&out->parts, node)) {
        ed_part *part = ED_CONTAINER(node, ed_part, sibling);
        if (d->message_count == ED_FRAME_MESSAGES_MAX ||
            !ed_outbox_again(&conn->outbox, part, ed_writer_left(&d->w), &next))
            return false;
        put(d, conn, &next);
    }
    return true;
}

/**
 * Repeats what is unacknowledged longest: it is what the receiver waits for.
 * @return false if there was nothing to repeat: of all that was begun, the rest has yet to be sent.
 */
static bool put_oldest(struct draft *d, ed_conn *conn)
{
    bool any = false;

    for (ed_out *out = ed_outbox_oldest(&conn->outbox); out != NULL;
         out = ed_out_next_oldest(out)) {
        if (ed_out_is_superseded(out))
            continue; // of a sequenced lane only the newest is sent again
        any |= !ed_list_empty(&out->parts);
        if (!put_again(d, conn, out))
            break;
    }
    return any;
}

static void put_messages(struct draft *d, ed_conn *conn)
{
    ed_outgoing next;

    while (d->message_count < ED_FRAME_MESSAGES_MAX &&
           ed_outbox_next(&conn->outbox, ed_writer_left(&d->w), d->packet.number, &next))
        put(d, conn, &next);
}

/* --------------------------------------------------------------------------------- copies -- */

/** Whether the path has bytes to spare for copies. */
static bool may_copy(ed_conn *conn, uint64_t now_ns)
{
    const ed_rtt *rtt = &conn->rtt;

    return !ed_outbox_has_next(&conn->outbox) &&
           rtt->smoothed_ns <= rtt->min_ns + ED_COPY_QUEUE_MS * ED_NS_PER_MS &&
           ed_pacer_when_ns(&conn->pacer, 2 * ED_DATAGRAM_SIZE, now_ns) <= now_ns;
}

/** Puts in again what a packet carried first, as far as it fits. */
static void put_copies_of(struct draft *d, ed_conn *conn, const ed_sent *packet)
{
    ed_outgoing next;

    for (size_t i = 0; i < packet->ref_count && d->message_count < ED_FRAME_MESSAGES_MAX; i++) {
        ed_part *part =
            ed_outbox_to_copy(&conn->outbox, ed_sent_refs(&conn->sent, packet, i), packet->number);
        if (part != NULL && ed_outbox_again(&conn->outbox, part, ed_writer_left(&d->w), &next))
            put(d, conn, &next);
    }
}

/** The newest messages go along again: what is lost is there before anybody misses it. */
static void put_copies(struct draft *d, ed_conn *conn, uint64_t now_ns)
{
    uint32_t left = ed_redundancy_copies(&conn->redundancy);
    uint64_t number = d->packet.number;

    if (left == 0 || !may_copy(conn, now_ns))
        return;
    for (uint32_t i = 0; i < ED_COPY_LOOK_BACK && left > 0 && number > 0; i++) {
        const ed_sent *packet = ed_sent_at(&conn->sent, --number);
        if (packet == NULL)
            return;
        if (packet->ref_count == 0 || packet->sent_ns == now_ns)
            continue; // what leaves at once is lost at once
        put_copies_of(d, conn, packet);
        left--;
    }
}

/** An ACK-only packet is never acknowledged; now and then one must be, or its ranges pile up. */
static bool wants_ack_ping(ed_conn *conn, uint64_t now_ns)
{
    // Nor do packets leave the log of an end that never hears of any.
    if (ed_sent_count(&conn->sent) >= ACK_PING_PACKETS && conn->loss.ack_eliciting_in_flight == 0)
        return true;
    if (conn->ack.received.count < ACK_PING_RANGES || now_ns < conn->ack_ping_next_ns)
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
};

/** Whether window and pacer let messages go; if the pacer does not, when to ask again. */
static bool data_may_leave(ed_conn *conn, uint64_t now_ns)
{
    uint64_t when_ns = ed_pacer_when_ns(&conn->pacer, ED_DATAGRAM_SIZE, now_ns);
    bool has_data = ed_outbox_has_next(&conn->outbox);
    uint64_t window = ed_max_u64(conn->congestion_ops->window(&conn->congestion),
                                 ED_CONGESTION_FLOOR_DATAGRAMS * ED_DATAGRAM_SIZE);
    bool has_window =
        conn->loss.in_flight < window && ed_sent_count(&conn->sent) + SENT_RESERVE < ED_SENT_MAX &&
        ed_sent_ref_count(&conn->sent) + SENT_RESERVE * ED_FRAME_MESSAGES_MAX < ED_SENT_REFS_MAX;

    conn->timers.at_ns[ED_TIMER_PACE] = ED_NEVER_NS;
    // Nor does a path show what it can carry while a cap holds everything back.
    conn->app_limited = has_window && ((!has_data && when_ns <= now_ns) || ed_conn_is_capped(conn));
    if (has_data && has_window && when_ns > now_ns)
        conn->timers.at_ns[ED_TIMER_PACE] = when_ns;
    if (conn->outbox.is_out_of_memory)
        conn->timers.at_ns[ED_TIMER_PACE] = ed_add_sat_u64(now_ns, MEMORY_RETRY_MS * ED_NS_PER_MS);
    return has_data && has_window && when_ns <= now_ns;
}

static struct plan make_plan(ed_conn *conn, uint64_t now_ns)
{
    return (struct plan){
        .ack = conn->ack.deadline_ns <= now_ns,
        .ping = conn->ping_pending,
        .credit = conn->inbox.credit.pending,
        .probe = conn->probes > 0,
        .data = data_may_leave(conn, now_ns),
    };
}

static size_t transmit_packet(ed_conn *conn, const struct plan *plan, uint8_t *data,
                              uint64_t now_ns)
{
    struct draft d;

    draft_begin(&d, conn, data, now_ns);
    if (ed_ack_wanted(&conn->ack))
        put_ack(&d, conn, now_ns);
    if (plan->ping || (!plan->data && !plan->probe && wants_ack_ping(conn, now_ns)))
        put_ping(&d, conn);
    if (plan->credit || !conn->credit_is_known) // a grant that is lost would hold the peer up
        put_credit(&d, conn);
    if (plan->probe && !put_oldest(&d, conn) && !plan->data)
        put_ping(&d, conn);
    if (plan->data || plan->probe)
        put_messages(&d, conn);
    if (plan->data)
        put_copies(&d, conn, now_ns);
    bool elicits = (d.record.flags & ED_SENT_ACK_ELICITING) != 0;
    if (plan->probe && elicits) { // an ACK may have left no room for the message: then the next one
        draft_flag(&d, ED_SENT_PROBE);
        conn->probes--;
        conn->shared->stats->probes_sent++;
        conn->counts.probes_sent++;
    }
    if (elicits && d.last_at == NULL)
        draft_pad_client(&d);
    return draft_finish(&d, conn, now_ns);
}

/**
 * An acknowledgement may still be waiting for company: without it the peer would report as
 * undelivered what has arrived. In every copy, as each may be the only one to come.
 */
static void put_close(struct draft *d, ed_conn *conn, uint64_t now_ns)
{
    if (conn->ack.received.count > 0)
        put_ack(d, conn, now_ns);
    ed_frame_write_close(&d->w, &conn->close);
    draft_flag(d, ED_SENT_CLOSE);
}

static size_t transmit_close(ed_conn *conn, uint8_t *data, uint64_t now_ns)
{
    struct draft d;

    conn->close_copies++;
    conn->close_pending = conn->is_out_of_time && conn->state == ED_CONN_CLOSING &&
                          conn->close_copies < ED_CLOSE_COPIES;
    draft_begin(&d, conn, data, now_ns);
    put_close(&d, conn, now_ns);
    return draft_finish(&d, conn, now_ns);
}

/** Whether there is a number that the key may seal. */
static bool has_number(const ed_conn *conn)
{
    return conn->sent.next < ED_PACKET_NUMBER_LAST &&
           ed_keys_may_seal(&conn->secrets->keys, conn->sent.next);
}

/** Whether one more packet without messages may be sealed: there is a number, and a place. */
static bool reserve_aside(ed_conn *conn)
{
    return has_number(conn) && ed_sent_reserve(&conn->sent, 0) == EDDY_OK;
}

size_t ed_conn_write_aside(ed_conn *conn, ed_span frames, size_t room, uint8_t *data,
                           uint64_t now_ns)
{
    struct draft d;

    if (!reserve_aside(conn))
        return 0;
    draft_begin(&d, conn, data, now_ns);
    if (!draft_limit(&d, room))
        return 0;
    // Before the ACK: what that says of packets on a path just left is no longer of this path.
    ed_write_bytes(&d.w, frames.data, frames.size);
    if (!ed_writer_ok(&d.w))
        return 0;
    put_ack_copy(&d, conn, now_ns);
    draft_pad_client(&d);
    return draft_finish(&d, conn, now_ns);
}

size_t ed_conn_write_close_aside(ed_conn *conn, size_t room, uint8_t *data, uint64_t now_ns)
{
    struct draft d;

    if (!reserve_aside(conn))
        return 0;
    draft_begin(&d, conn, data, now_ns);
    if (!draft_limit(&d, room))
        return 0;
    put_close(&d, conn, now_ns);
    return ed_writer_ok(&d.w) ? draft_finish(&d, conn, now_ns) : 0;
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
    if (conn->sent.next >= conn->sent.gap_at && ed_sent_skip(&conn->sent, now_ns) == EDDY_OK)
        plan_gap(conn);
}

/** Makes room in the log of sent packets. */
static bool reserve(ed_conn *conn, struct plan *plan, uint64_t now_ns)
{
    bool has_messages = plan->data || plan->probe;

    ed_loss_trim(&conn->loss, &conn->sent, &conn->rtt, ED_ACK_DELAY_NS, now_ns);
    if (has_messages && ed_sent_reserve(&conn->sent, ED_FRAME_MESSAGES_MAX) == EDDY_OK)
        return true;
    // What has no messages still leaves, and a PING asks as well as any probe.
    plan->ping |= plan->probe;
    conn->probes = 0;
    plan->probe = false;
    plan->data = false;
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

static size_t transmit_any(ed_conn *conn, uint8_t *data, uint64_t now_ns)
{
    bool is_open = ed_conn_is_open(conn);
    struct plan plan = {0};

    if (is_open)
        plan = make_plan(conn, now_ns);
    if (!conn->close_pending && !plan.ack && !plan.ping && !plan.credit && !plan.probe &&
        !plan.data)
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
    uint64_t interval_ns = ed_max_u64(STARVED_PING_MS * ED_NS_PER_MS, ed_conn_pto_ns(conn));

    if (ed_list_empty(&conn->outbox.starved) || conn->ping_pending ||
        conn->loss.ack_eliciting_in_flight > 0)
        return;
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
    *path = *ed_conn_path(conn);
    if (conn->request_pending)
        return ed_conn_transmit_handshake(conn, path, data, now_ns);
    size_t size = ed_conn_transmit_path(conn, path, data, now_ns);
    if (size > 0)
        return size;
    size = transmit_any(conn, data, now_ns);
    if (size == 0)
        ed_conn_on_all_sent(conn, now_ns);
    if (ed_conn_is_open(conn))
        conn->timers.at_ns[ED_TIMER_ACK] = conn->ack.deadline_ns;
    if (size == 0 && ed_conn_is_open(conn))
        ask_if_starved(conn);
    return size;
}
