#include "transport/conn_draft.h"

/* ----------------------------------------------------------------------------- the packet -- */

void ed_draft_begin(ed_draft *d, ed_conn *conn, uint8_t *data, uint64_t now_ns)
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
    d->w = ed_writer_of(data + header_size, conn->mtu.size - header_size - ED_TAG_SIZE);
    d->record = (ed_sent){.sent_ns = now_ns};
    d->ref_count = 0;
    d->message_count = 0;
    d->last_at = NULL;
    d->first_at = NULL;
}

void ed_draft_flag(ed_draft *d, uint8_t flags)
{
    d->record.flags = (uint8_t)(d->record.flags | flags);
}

/** The least plaintext that leaves header protection something to sample. */
static size_t ed_draft_plain_min(const ed_draft *d)
{
    return ED_PACKET_PLAIN_SIZE_MIN + 1u - d->packet.number_size;
}

bool ed_draft_limit(ed_draft *d, size_t room)
{
    size_t fixed_size = d->packet.header_size + ED_TAG_SIZE;

    if (room < fixed_size + ed_draft_plain_min(d))
        return false;
    if (room - fixed_size < ed_writer_left(&d->w))
        d->w.end = d->w.begin + (room - fixed_size);
    return true;
}

/** Brings the plaintext to its smallest size. Only where no message stands at its end. */
static void ed_draft_pad(ed_draft *d, size_t plain_size)
{
    size_t have = ed_writer_size(&d->w);

    ED_ASSERT(d->last_at == NULL);
    if (have < plain_size)
        ed_write_zeros(&d->w, plain_size - have);
}

void ed_draft_pad_client(ed_draft *d)
{
    if (d->packet.from_client)
        ed_draft_pad(d, ED_CLIENT_PACKET_SIZE_MIN - ED_TAG_SIZE - d->packet.header_size);
}

void ed_draft_fill(ed_draft *d, size_t size)
{
    ED_ASSERT(d->last_at == NULL && size <= EDDY_DATAGRAM_SIZE_MAX);
    d->w.end = d->data + size - ED_TAG_SIZE;
    ed_write_zeros(&d->w, ed_writer_left(&d->w));
}

/** The last message runs to the end of the packet, and does not need its length. */
static void ed_draft_drop_length(ed_draft *d)
{
    size_t size = ed_writer_size(&d->w);

    if (d->last_at != NULL && size - ed_varint_size(d->last.data.size) >= ed_draft_plain_min(d))
        ed_frame_drop_length(&d->w, d->last_at, &d->last);
}

size_t ed_draft_finish(ed_draft *d, ed_conn *conn, uint64_t now_ns)
{
    bool elicits = (d->record.flags & ED_SENT_ACK_ELICITING) != 0;

    ED_ASSERT(ed_writer_size(&d->w) > 0); // whatever made us send it is in it
    ed_draft_drop_length(d);
    if (d->last_at == NULL)
        ed_draft_pad(d, ed_draft_plain_min(d));
    size_t size = d->packet.header_size + ed_writer_size(&d->w);
    ED_ASSERT(ed_writer_ok(&d->w) && size + ED_TAG_SIZE <= EDDY_DATAGRAM_SIZE_MAX);
    if (elicits)
        ed_draft_flag(d, ED_SENT_IN_FLIGHT);
    d->record.size = (uint16_t)(size + ED_TAG_SIZE);
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
    // A probe does not hold up what follows: it leaves where nothing is known to be on the path.
    // But a cap is on all that leaves.
    bool is_paced = elicits && (d->record.flags & ED_SENT_PROBE) == 0;
    if (is_paced || conn->rate_max != 0)
        ed_pacer_spent(&conn->pacer, d->record.size, now_ns);
    return d->record.size;
}

/* ------------------------------------------------------------------------- what goes in it -- */

void ed_draft_put_ack(ed_draft *d, ed_conn *conn, uint64_t now_ns)
{
    d->record.ack_low = (uint32_t)ed_ack_largest(&conn->ack);
    ed_ack_write(&conn->ack, &d->w, now_ns);
    ed_ack_on_sent(&conn->ack);
    ed_draft_flag(d, ED_SENT_HAS_ACK);
}

void ed_draft_put_ack_copy(ed_draft *d, ed_conn *conn, uint64_t now_ns)
{
    ed_writer before = d->w;

    if (conn->ack.received.count == 0)
        return;
    ed_ack_write(&conn->ack, &d->w, now_ns);
    if (!ed_writer_ok(&d->w)) {
        d->w = before;
        return;
    }
    d->record.ack_low = (uint32_t)ed_ack_largest(&conn->ack);
    ed_draft_flag(d, ED_SENT_HAS_ACK);
}

void ed_draft_put_ping(ed_draft *d, ed_conn *conn)
{
    ed_write_u8(&d->w, ED_FRAME_PING);
    ed_draft_flag(d, ED_SENT_ACK_ELICITING | ED_SENT_PROMPT);
    conn->ping_pending = false;
}

void ed_draft_put_answer(ed_draft *d, ed_conn *conn, uint64_t now_ns)
{
    if (!conn->clock.is_owed)
        return;
    ed_time_frame answer = ed_peer_clock_answer(&conn->clock, now_ns);
    ed_frame_write_time(&d->w, &answer);
}

void ed_draft_put_question(ed_draft *d, ed_conn *conn, uint64_t now_ns)
{
    if (!ed_peer_clock_asks(&conn->clock, ed_conn_pto_ns(conn), now_ns))
        return;
    ed_frame_write_time(&d->w, &(ed_time_frame){.is_answer = false});
    ed_peer_clock_on_asked(&conn->clock, d->packet.number, now_ns);
}

void ed_draft_put_credit(ed_draft *d, ed_conn *conn)
{
    ed_frame_write_credit(&d->w, conn->inbox.credit.limit);
    ed_draft_flag(d, ED_SENT_ACK_ELICITING | ED_SENT_PROMPT | ED_SENT_HAS_CREDIT);
    if (conn->inbox.credit.pending)
        conn->credit_packet = d->packet.number;
    conn->inbox.credit.pending = false;
    conn->credit_is_known = false;
    conn->shared->stats->credits_sent++;
}

bool ed_draft_has_place(const ed_draft *d, ed_conn *conn)
{
    return d->message_count < ED_FRAME_MESSAGES_MAX &&
           (ed_sent_has_room(&conn->sent, d->ref_count + 1) ||
            ed_sent_reserve(&conn->sent, d->ref_count + 1) == EDDY_OK);
}

/** Has the log of sent packets remember it. */
static void refer(ed_draft *d, ed_conn *conn, const ed_outgoing *next)
{
    ed_sent_ref *ref = &d->refs[d->ref_count];

    if (!ed_outbox_on_sent(&conn->outbox, next, d->packet.number, ref))
        return;
    if (d->ref_count == 0 || !ed_sent_ref_join(ref - 1, ref))
        d->ref_count++;
}

/** Whether the last frame is a message that another may follow. */
static bool ends_in_message(const ed_draft *d)
{
    return d->last_at != NULL && !d->last.fragment;
}

/** Whether there is something that may not fit but by following the last message. */
static bool may_follow_last(const ed_draft *d, const ed_conn *conn)
{
    const ed_outbox *outbox = &conn->outbox;

    return ends_in_message(d) && (outbox->fresh_count > 0 || !ed_list_empty(&outbox->lost));
}

static bool follows_last(const ed_draft *d, const ed_message_frame *message)
{
    return d->last_at != NULL && ed_frame_follows(message, &d->last);
}

/** Whether what was chosen for more room than there is fits, as it follows the last message. */
static bool fits_behind_last(const ed_draft *d, const ed_outgoing *next)
{
    return !next->is_skip && follows_last(d, &next->message) &&
           ed_frame_next_overhead(&next->message, &d->last) + next->message.data.size <=
               ed_writer_left(&d->w);
}

void ed_draft_put_frame(ed_draft *d, const ed_message_frame *message)
{
    uint8_t *at = d->w.at;

    if (follows_last(d, message))
        ed_frame_write_next(&d->w, message, &d->last);
    else
        ed_frame_write_message(&d->w, message);
    if (d->first_at == NULL)
        d->first_at = at;
    d->last_at = at;
    d->last = *message;
}

void ed_draft_put(ed_draft *d, ed_conn *conn, const ed_outgoing *next)
{
    if (next->is_skip) {
        d->last_at = NULL;
        ed_frame_write_skip(&d->w, &next->skip);
    } else {
        ed_draft_put_frame(d, &next->message);
    }
    d->message_count++;
    ed_draft_flag(d, ED_SENT_ACK_ELICITING);
    if (ed_lane_is_reliable(next->out->lane))
        ed_draft_flag(d, ED_SENT_PROMPT);
    conn->shared->stats->messages_resent += next->part != NULL && !next->is_skip ? 1 : 0;
    conn->counts.messages_resent += next->part != NULL && !next->is_skip ? 1 : 0;
    refer(d, conn, next);
}

/** Chooses what is sent again of a part, as far as it fits. */
static bool choose_again(const ed_draft *d, ed_conn *conn, ed_part *part, ed_outgoing *next)
{
    size_t left = ed_writer_left(&d->w);

    return ed_outbox_again(&conn->outbox, part, left, next) ||
           (ends_in_message(d) &&
            ed_outbox_again(&conn->outbox, part, left + ED_FRAME_NEXT_SAVES_MAX, next) &&
            fits_behind_last(d, next));
}

bool ed_draft_put_again(ed_draft *d, ed_conn *conn, ed_part *part)
{
    ed_outgoing next;

    if (!choose_again(d, conn, part, &next))
        return false;
    ed_draft_put(d, conn, &next);
    return true;
}

/** Puts in what of a message is not acknowledged. @return false if the packet is full. */
static bool put_rest(ed_draft *d, ed_conn *conn, ed_out *out)
{
    for (ed_part *part = ed_out_first_part(out); part != NULL; part = ed_part_next(part))
        if (!ed_draft_has_place(d, conn) || !ed_draft_put_again(d, conn, part))
            return false;
    return true;
}

/** Whether no packet since then carries the message. */
static bool is_older(const ed_conn *conn, ed_out *out, uint64_t before_ns)
{
    const ed_part *part = ed_out_first_part(out);

    if (part == NULL)
        return false;
    const ed_sent *packet = ed_sent_at(&conn->sent, part->last_packet);
    bool is_in_this_one = part->last_packet >= conn->sent.next;
    return !is_in_this_one && (packet == NULL || packet->sent_ns < before_ns);
}

bool ed_draft_put_oldest(ed_draft *d, ed_conn *conn, uint64_t before_ns)
{
    uint32_t looks = 0;
    bool any = false;

    for (ed_out *out = ed_outbox_oldest(&conn->outbox); out != NULL && looks < ED_OLDEST_LOOKS_MAX;
         out = ed_out_next_oldest(out), looks++) {
        // Of a sequenced lane only the newest is sent again.
        if (ed_out_is_superseded(out) || !is_older(conn, out, before_ns))
            continue;
        any = true;
        if (!put_rest(d, conn, out))
            break;
    }
    return any;
}

typedef bool choose_next(ed_outbox *outbox, size_t room, uint64_t packet, ed_outgoing *next);

/** Puts in what follows the last message. @return false if there is no room for it. */
static inline bool put_follower(ed_draft *d, const ed_message_frame *message)
{
    uint8_t *at = d->w.at;

    if (ed_frame_next_overhead(message, &d->last) + message->data.size > ed_writer_left(&d->w))
        return false;
    ed_frame_write_next(&d->w, message, &d->last);
    d->last_at = at;
    d->last.sequence = message->sequence; // they differ in no more than this
    d->last.data = message->data;
    d->message_count++;
    return true;
}

/**
 * Puts in those that follow what was chosen, without asking all lanes anew for each.
 * @return false if the packet is full: there is no room for what would be chosen next.
 */
static bool put_followers(ed_draft *d, ed_conn *conn, ed_outgoing *next)
{
    uint64_t number = d->packet.number;
    size_t count = 0;
    bool fits = true;

    while (d->message_count < ED_FRAME_MESSAGES_MAX &&
           ed_outbox_follow(&conn->outbox, number, next)) {
        fits = put_follower(d, &next->message);
        if (!fits)
            break;
        ed_outbox_on_followed(&conn->outbox, next, number);
        count++;
    }
    if (count == 0)
        return fits;
    ed_outbox_end_run(&conn->outbox, next);
    if (ed_lane_is_reliable(next->lane)) // it names the one before
        d->refs[d->ref_count - 1].count = (uint8_t)(d->refs[d->ref_count - 1].count + count);
    return fits;
}

/** Puts in what is chosen next, as long as it fits. */
static inline void put_chosen(ed_draft *d, ed_conn *conn, choose_next *choose)
{
    bool is_urgent = choose == ed_outbox_next_urgent;
    uint64_t number = d->packet.number;
    ed_outgoing next;

    while (ed_draft_has_place(d, conn)) {
        size_t left = ed_writer_left(&d->w);
        if (!choose(&conn->outbox, left, number, &next) &&
            !(may_follow_last(d, conn) &&
              choose(&conn->outbox, left + ED_FRAME_NEXT_SAVES_MAX, number, &next) &&
              fits_behind_last(d, &next)))
            return;
        ed_draft_put(d, conn, &next);
        if (!is_urgent && !put_followers(d, conn, &next)) // what is depends on other lanes
            return;
    }
}

void ed_draft_put_messages(ed_draft *d, ed_conn *conn)
{
    put_chosen(d, conn, ed_outbox_next);
}

void ed_draft_put_urgent(ed_draft *d, ed_conn *conn)
{
    put_chosen(d, conn, ed_outbox_next_urgent);
}
