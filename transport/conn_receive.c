/** What comes in: packets are opened, checked and taken apart; each frame has a handler. */
#include <string.h>

#include "core/seq.h"
#include "transport/check.h"
#include "transport/conn.h"
#include "transport/packet.h"

enum {
    LIFE_PING_MS = 40, /* an idle timeout is at least 100 ms */
};

/** What became of a frame, and of a packet: the worst of what became of its frames. */
typedef enum verdict {
    TAKEN,
    UNKEPT,     /* there is no room for it: the packet must not be acknowledged */
    NO_ROOM,    /* nor will there be: the connection cannot go on */
    VIOLATION,  /* the peer may not say this */
    LAST_FRAME, /* the connection is ending: what follows does not matter */
} verdict;

/** Whether the rest of the packet is looked at: what is unreliable comes but once. */
static inline bool goes_on(verdict so_far)
{
    return so_far <= UNKEPT;
}

static inline verdict worse(verdict one, verdict other)
{
    return one > other ? one : other;
}

/* -------------------------------------------------------------------------------------- acks -- */

/** What an ACK frame says besides numbers. */
struct ack_news {
    uint64_t in_flight_before; /* bytes, before it was applied */
    uint64_t newest_sent_ns;   /* of the largest number, if it measures the path; or ED_NEVER_NS */
    uint64_t delay_ns;         /* that the peer waited after that came, as far as is believed */
    uint64_t patience_ns;      /* of that, what congestion control is not to take for a queue */
};

/** Whether its loss tells of congestion, and not of its size alone. */
static bool speaks_of_room(const ed_sent *packet)
{
    return (packet->flags & ED_SENT_IN_FLIGHT) != 0 && (packet->flags & ED_SENT_SIZE_PROBE) == 0;
}

static void on_spurious(ed_conn *conn, const ed_sent *packet, uint64_t now_ns)
{
    conn->shared->stats->packets_spurious++;
    conn->counts.packets_spurious++;
    if (packet->number >= conn->path_first)
        conn->congestion_ops->on_spurious(&conn->congestion, packet->sent_ns, packet->size, now_ns);
}

static void on_packet_acked(ed_conn *conn, const ed_sent *packet, const struct ack_news *news,
                            uint64_t now_ns)
{
    ed_keys_on_acked(&conn->secrets->keys, packet->number);
    ed_conn_on_size_acked(conn, packet, now_ns);
    if ((packet->flags & ED_SENT_ACK_ELICITING) != 0)
        ed_redundancy_on_acked(&conn->redundancy);
    for (size_t i = 0; i < packet->ref_count; i++)
        ed_outbox_on_acked(&conn->outbox, ed_sent_refs(&conn->sent, packet, i));
    if ((packet->flags & ED_SENT_HAS_CREDIT) != 0 && packet->number >= conn->credit_packet)
        conn->credit_is_known = true;
    if ((packet->flags & ED_SENT_HAS_ACK) != 0)
        ed_ack_on_acked(&conn->ack, ed_sent_ack_largest(packet, conn->replay.next - 1));
    if ((packet->flags & ED_SENT_WAS_LOST) != 0) {
        if (speaks_of_room(packet))
            on_spurious(conn, packet, now_ns);
    } else if ((packet->flags & ED_SENT_IN_FLIGHT) != 0) {
        ed_congestion_ack ack = {.sent_ns = packet->sent_ns,
                                 .size = packet->size,
                                 .in_flight_before = news->in_flight_before,
                                 .patience_ns = news->patience_ns,
                                 .app_limited = conn->app_limited};
        conn->congestion_ops->on_acked(&conn->congestion, &ack, &conn->rtt, now_ns);
    }
}

/** How long passed between a packet and the one sent after it; if there is none, until now. */
static uint64_t gap_behind_ns(const ed_conn *conn, const ed_sent *packet, uint64_t now_ns)
{
    const ed_sent *next = ed_sent_at(&conn->sent, packet->number + 1);

    return (next == NULL ? now_ns : next->sent_ns) - packet->sent_ns;
}

/**
 * The largest number is acknowledged for the first time: what that tells of the path. A patient
 * packet is the largest only until the next one comes, so a longer wait is not believed either.
 */
static void read_news(const ed_conn *conn, const ed_sent *packet, uint64_t delay_us,
                      struct ack_news *news, uint64_t now_ns)
{
    bool is_patient = (packet->flags & ED_SENT_PROMPT) == 0;
    uint64_t gap_ns = is_patient ? gap_behind_ns(conn, packet, now_ns) : 0;
    uint64_t most_ns = ed_min_u64(ed_max_u64(gap_ns, ED_ACK_DELAY_NS), ED_ACK_PATIENCE_NS);

    if (!SEC_CHECK(EDDY_CHECK_ACK_DELAY, delay_us <= most_ns / ED_NS_PER_US))
        delay_us = most_ns / ED_NS_PER_US;
    news->newest_sent_ns = packet->sent_ns;
    news->delay_ns = delay_us * ED_NS_PER_US;
    news->patience_ns = ed_min_u64(news->delay_ns, gap_ns);
}

static eddy_status apply_ranges(ed_conn *conn, const ed_ack_frame *frame, struct ack_news *news,
                                uint64_t now_ns)
{
    for (uint32_t i = 0; i < frame->count; i++) {
        ed_loss_acks acks = ed_loss_on_ack_range(&conn->loss, &conn->sent, frame->range[i].first,
                                                 frame->range[i].last, now_ns);
        ed_sent *packet = NULL;
        while (ed_loss_next_acked(&acks, &packet)) {
            bool measures =
                (packet->flags & ED_SENT_ACK_ELICITING) != 0 && packet->number >= conn->path_first;
            if (packet->number == frame->range[0].last && measures)
                read_news(conn, packet, frame->delay_us, news, now_ns);
            on_packet_acked(conn, packet, news, now_ns);
        }
        if (!SEC_CHECK(EDDY_CHECK_ACK_UNSENT, ed_loss_end_acks(&acks) == EDDY_OK))
            return EDDY_EPROTO;
    }
    return EDDY_OK;
}

void ed_conn_on_packet_lost(ed_conn *conn, const ed_sent *packet, uint64_t now_ns)
{
    ed_conn_on_size_lost(conn, packet, now_ns);
    if ((packet->flags & ED_SENT_SIZE_PROBE) != 0)
        return; // there is nothing in it
    conn->shared->stats->packets_lost++;
    conn->counts.packets_lost++;
    if ((packet->flags & ED_SENT_ACK_ELICITING) != 0)
        ed_redundancy_on_lost(&conn->redundancy, packet->number);
    for (size_t i = 0; i < packet->ref_count; i++)
        ed_outbox_on_lost(&conn->outbox, ed_sent_refs(&conn->sent, packet, i), packet->number);
    if ((packet->flags & ED_SENT_HAS_CREDIT) != 0 && packet->number >= conn->credit_packet)
        conn->inbox.credit.pending |= !conn->credit_is_known; // it may have come in another
}

void ed_conn_detect_losses(ed_conn *conn, uint64_t now_ns)
{
    ed_loss_losses losses = ed_loss_detect(&conn->loss, &conn->sent, &conn->rtt, now_ns);
    ed_sent *packet = NULL;

    while (ed_loss_next_lost(&losses, &packet)) {
        ed_conn_on_packet_lost(conn, packet, now_ns);
        if (speaks_of_room(packet))
            conn->congestion_ops->on_lost(&conn->congestion, packet->sent_ns, packet->size, now_ns);
    }
    ed_conn_check_mtu(conn, now_ns);
    if (ed_loss_take_persistent(&conn->loss, &conn->rtt, ED_ACK_DELAY_NS)) {
        conn->congestion_ops->on_persistent(&conn->congestion, now_ns);
        ed_rtt_restart_min(&conn->rtt); // the path may be another one (RFC 9002 section 5.2)
    }
}

void ed_conn_check_flushed(ed_conn *conn, uint64_t now_ns)
{
    if (conn->state == ED_CONN_FLUSHING && ed_outbox_is_flushed(&conn->outbox))
        ed_conn_apply(conn, ED_INPUT_FLUSHED, NULL, now_ns);
}

static verdict handle_ack(ed_conn *conn, const ed_frame *frame, uint64_t now_ns)
{
    struct ack_news news = {.in_flight_before = conn->loss.in_flight,
                            .newest_sent_ns = ED_NEVER_NS};

    if (apply_ranges(conn, &frame->ack, &news, now_ns) != EDDY_OK)
        return VIOLATION;
    if (news.newest_sent_ns != ED_NEVER_NS)
        ed_rtt_sample(&conn->rtt, now_ns - news.newest_sent_ns, news.delay_ns);
    ed_conn_detect_losses(conn, now_ns);
    ed_loss_trim(&conn->loss, &conn->sent, &conn->rtt, ED_ACK_DELAY_NS, now_ns);
    ed_conn_update_rate(conn, now_ns);
    if (ed_conn_is_open(conn)) // one that closes repeats nothing any more
        ed_conn_update_recovery(conn);
    ed_conn_check_flushed(conn, now_ns);
    return TAKEN; // perhaps a CLOSE follows
}

/* ---------------------------------------------------------------------------- other frames -- */

static verdict handle_nothing(ed_conn *conn, const ed_frame *frame, uint64_t now_ns)
{
    (void)conn;
    (void)frame;
    (void)now_ns;
    return TAKEN; // PADDING says nothing, and PING wants the ack that it elicits
}

static eddy_end end_of_cause(uint8_t cause)
{
    return cause == ED_CLOSE_APPLICATION ? EDDY_END_CLOSED_REMOTE
           : cause == ED_CLOSE_MEMORY    ? EDDY_END_MEMORY
                                         : EDDY_END_PROTOCOL;
}

static verdict handle_close(ed_conn *conn, const ed_frame *frame, uint64_t now_ns)
{
    ed_conn_end end = {.end = end_of_cause(frame->close.cause), .code = frame->close.code};

    memcpy(end.reason, frame->close.reason, sizeof(end.reason));
    if (conn->state == ED_CONN_CLOSING) {
        ed_conn_apply(conn, ED_INPUT_CLOSE_REMOTE, NULL, now_ns); // ours came first, ours counts
        return LAST_FRAME;
    }
    if (conn->state == ED_CONN_DRAINING && conn->close_copies < ED_CLOSE_COPIES)
        conn->close_pending = true; // our answer was lost
    ed_conn_apply(conn, ED_INPUT_CLOSE_REMOTE, &end, now_ns);
    return LAST_FRAME;
}

static verdict handle_credit(ed_conn *conn, const ed_frame *frame, uint64_t now_ns)
{
    (void)now_ns;
    ed_outbox_on_credit(&conn->outbox, frame->credit);
    return TAKEN;
}

/** What the inbox's word for what it was given means for the packet. */
static verdict judge(ed_conn *conn, eddy_status status, bool reliable)
{
    eddy_stats *stats = conn->shared->stats;

    if (status == EDDY_ENOMEM) {
        stats->dropped_memory++;
        return reliable ? UNKEPT : TAKEN;
    }
    if (status == EDDY_ELIMIT)
        return NO_ROOM;
    conn->is_repeated |= status == EDDY_EEXIST;
    stats->messages_duplicate += status == EDDY_EEXIST ? 1 : 0;
    conn->counts.messages_duplicate += status == EDDY_EEXIST ? 1 : 0;
    return status == EDDY_OK || status == EDDY_EEXIST ? TAKEN : VIOLATION;
}

static verdict handle_skip(ed_conn *conn, const ed_frame *frame, uint64_t now_ns)
{
    eddy_status status = ed_inbox_skip(&conn->inbox, &frame->skip);

    (void)now_ns;
    // What was given up may have come all the same; but this is no copy of a message.
    return judge(conn, status == EDDY_EEXIST ? EDDY_OK : status, true);
}

static verdict take_message(ed_conn *conn, const ed_message_frame *message, uint64_t now_ns)
{
    eddy_status status = ed_inbox_receive(&conn->inbox, message, conn->receiving_packet, now_ns);

    return judge(conn, status, message->guarantee >= ED_WIRE_RELIABLE_UNORDERED);
}

static verdict handle_part(ed_conn *conn, const ed_frame *frame, uint64_t now_ns)
{
    return take_message(conn, &frame->message, now_ns);
}

/** Those that come in their turn in one go; the others one by one. */
static verdict handle_run(ed_conn *conn, const ed_message_run *run, uint64_t now_ns)
{
    size_t i = ed_inbox_receive_run(&conn->inbox, run, conn->receiving_packet);
    verdict got = TAKEN;

    for (; i < run->count && goes_on(got); i++) {
        ed_message_frame message = ed_message_of_run(run, i);
        got = worse(got, take_message(conn, &message, now_ns));
    }
    return got;
}

static verdict handle_challenge(ed_conn *conn, const ed_frame *frame, uint64_t now_ns)
{
    (void)now_ns;
    ed_conn_on_challenge(conn, frame->challenge);
    return TAKEN;
}

static verdict handle_response(ed_conn *conn, const ed_frame *frame, uint64_t now_ns)
{
    ed_conn_on_response(conn, frame->challenge, now_ns);
    ed_conn_update_recovery(conn); // what took the path that was left is in flight no more
    return TAKEN;
}

static verdict handle_time(ed_conn *conn, const ed_frame *frame, uint64_t now_ns)
{
    if (frame->time.is_answer)
        ed_peer_clock_on_answer(&conn->clock, &frame->time, now_ns);
    else
        ed_peer_clock_on_question(&conn->clock, conn->receiving_packet, now_ns);
    return TAKEN;
}

static verdict (*const handlers[ED_FRAME_TYPE_COUNT])(ed_conn *conn, const ed_frame *frame,
                                                      uint64_t now_ns) = {
    [ED_FRAME_PADDING] = handle_nothing,
    [ED_FRAME_PING] = handle_nothing,
    [ED_FRAME_ACK] = handle_ack,
    [ED_FRAME_CLOSE] = handle_close,
    [ED_FRAME_MESSAGE] = handle_part, // those that are whole come in runs
    [ED_FRAME_CREDIT] = handle_credit,
    [ED_FRAME_SKIP] = handle_skip,
    [ED_FRAME_PATH_CHALLENGE] = handle_challenge,
    [ED_FRAME_PATH_RESPONSE] = handle_response,
    [ED_FRAME_TIME] = handle_time,
};

/* --------------------------------------------------------------------------------- packets -- */

static bool is_whole_message(const ed_frame *frame)
{
    return frame->type == ED_FRAME_MESSAGE && !frame->message.fragment;
}

/** @param run if it is a whole message: that, and what follows it. */
static verdict handle_frame(ed_conn *conn, const ed_frame *frame, const ed_message_run *run,
                            uint64_t now_ns)
{
    const ed_frame_rule *rule = ed_frame_rule_of(frame->type);

    if ((rule->states & ED_IN(conn->state)) != 0) {
        if (is_whole_message(frame))
            return handle_run(conn, run, now_ns);
        ED_ASSERT(handlers[frame->type] != NULL);
        return handlers[frame->type](conn, frame, now_ns);
    }
    // A peer that has not heard of our end goes on as before, and may.
    return SEC_CHECK(EDDY_CHECK_FRAME_STATE, !ed_conn_is_open(conn)) ? TAKEN : VIOLATION;
}

/** How soon a frame wants to be acknowledged. */
static ed_ack_haste haste_of(const ed_frame *frame)
{
    if (!ed_frame_rule_of(frame->type)->ack_eliciting)
        return ED_ACK_UNASKED;
    bool is_patient =
        frame->type == ED_FRAME_MESSAGE && frame->message.guarantee < ED_WIRE_RELIABLE_UNORDERED;
    return is_patient ? ED_ACK_PATIENT : ED_ACK_PROMPT;
}

/** Counts a message, and reads what follows it. @return false if the packet has too many. */
static bool read_on(ed_reader *r, ed_frame *frame, ed_message_run *run, uint32_t *count)
{
    if (!SEC_CHECK(EDDY_CHECK_MESSAGE_COUNT, *count < ED_FRAME_MESSAGES_MAX))
        return false;
    size_t most = *count < ED_FRAME_MESSAGES_MAX ? ED_FRAME_MESSAGES_MAX - *count : 1;
    *count +=
        is_whole_message(frame) ? (uint32_t)ed_frame_read_run(r, &frame->message, most, run) : 1;
    return true;
}

/** Takes the frames of an authentic packet one by one. `*haste`: how soon it wants an ack. */
static verdict handle_frames(ed_conn *conn, ed_span plain, ed_ack_haste *haste, uint64_t now_ns)
{
    ed_reader r = ed_reader_of(plain.data, plain.size);
    uint32_t messages = 0;
    ED_UNCLEARED ed_frame frame;
    ED_UNCLEARED ed_message_run run;
    verdict got = TAKEN;

    *haste = ED_ACK_UNASKED;
    frame.type = ED_FRAME_PADDING; // nothing before the first
    while (ed_reader_left(&r) > 0 && goes_on(got)) {
        if (ed_frame_read(&r, &frame) != EDDY_OK)
            return VIOLATION;
        if (frame.type == ED_FRAME_MESSAGE && !read_on(&r, &frame, &run, &messages))
            return VIOLATION;
        ed_ack_haste wanted = haste_of(&frame);
        *haste = wanted > *haste ? wanted : *haste;
        got = worse(got, handle_frame(conn, &frame, &run, now_ns));
    }
    return got;
}

/** Takes the mask off the header, and reads it. */
static bool read_header(const ed_conn *conn, const eddy_datagram *datagram, ed_packet *packet)
{
    size_t number_at = conn->is_client ? 1 : 1 + ED_PACKET_ID_SIZE;

    return SEC_CHECK(
        EDDY_CHECK_PACKET_FORM,
        ed_keys_unmask(&conn->secrets->keys, datagram->data, number_at, datagram->size) &&
            ed_packet_parse(packet, datagram->data, datagram->size) == EDDY_OK &&
            packet->from_client != conn->is_client);
}

/** Opens a packet in place. @return false, and counts, if it is not to be taken. */
static bool open_packet(ed_conn *conn, const eddy_datagram *datagram, uint64_t *number,
                        ed_span *plain, uint64_t now_ns)
{
    eddy_stats *stats = conn->shared->stats;
    ed_packet packet = {0};

    if (!read_header(conn, datagram, &packet)) {
        stats->dropped_malformed++;
        return false;
    }
    *number = ed_seq_expand(conn->replay.next, packet.number, 8u * packet.number_size);
    bool is_new = ed_replay_check(&conn->replay, *number);
    bool is_unknown = !is_new && ed_replay_is_unknown(&conn->replay, *number);
    if (!SEC_CHECK(EDDY_CHECK_PACKET_REPLAY,
                   *number <= ED_PACKET_NUMBER_LAST && (is_new || is_unknown))) {
        stats->dropped_replayed++;
        return false;
    }
    // Only an update of the keys asks for these two, which lie far away.
    bool may_update = packet.phase != conn->secrets->keys.receive_phase;
    uint64_t send_number = may_update ? conn->sent.next : 0;
    uint64_t pto_ns = may_update ? ed_conn_pto_ns(conn) : 0;
    if (!ed_keys_open(&conn->secrets->keys, packet.phase, *number, datagram->data,
                      packet.header_size, datagram->size, send_number, pto_ns, now_ns)) {
        stats->dropped_forged++;
        return false;
    }
    if (is_unknown) {
        ed_replay_widen(&conn->replay, conn->shared->allocator);
        stats->dropped_replayed++;
        return false;
    }
    plain->data = datagram->data + packet.header_size;
    plain->size = datagram->size - packet.header_size - ED_TAG_SIZE;
    return true;
}

/**
 * A packet that cannot be kept is not acknowledged, and the peer that sends nothing else would take
 * our silence for our end.
 */
static void show_life(ed_conn *conn, uint64_t now_ns)
{
    if (now_ns < conn->life_ping_next_ns)
        return;
    conn->ping_pending = true;
    conn->life_ping_next_ns = ed_add_sat_u64(now_ns, LIFE_PING_MS * ED_NS_PER_MS);
}

/**
 * What is no packet of this connection may be the word of a server that has lost its state: it ends
 * in the token that it gave us (RFC 9000 section 10.3).
 */
static void take_reset(ed_conn *conn, const eddy_datagram *datagram, uint64_t now_ns)
{
    ed_conn_end end = {.end = EDDY_END_FORGOTTEN};

    if (!conn->is_client || datagram->size < ED_RESET_SIZE_MIN ||
        datagram->size > ED_RESET_SIZE_MAX ||
        !SEC_CHECK(EDDY_CHECK_RESET,
                   ed_equal_secret(datagram->data + datagram->size - ED_RESET_TOKEN_SIZE,
                                   conn->reset_token, ED_RESET_TOKEN_SIZE)))
        return;
    // What we close ourselves is closed by us.
    ed_conn_apply(conn, ED_INPUT_SILENCE, conn->state == ED_CONN_CLOSING ? NULL : &end, now_ns);
}

/** So many were not authentic that one might be (RFC 9001 section 6.6). */
static void count_forged(ed_conn *conn, uint64_t now_ns)
{
    if (conn->secrets->keys.forged_count >= ED_FORGED_MAX)
        ed_conn_abandon(conn, EDDY_END_PROTOCOL, now_ns);
}

static void receive_packet(ed_conn *conn, const eddy_datagram *datagram, uint64_t now_ns)
{
    uint64_t number = 0;
    ed_span plain = {0};
    ed_ack_haste haste = ED_ACK_UNASKED;

    if (!conn->secrets->has_keys || ed_conn_is_request(conn) || conn->state == ED_CONN_CLOSED) {
        conn->shared->stats->dropped_unknown++; // the peer has no keys yet, or no more
        return;
    }
    ed_prefetch(ed_sent_first(&conn->sent)); // an ACK may come
    if (!open_packet(conn, datagram, &number, &plain, now_ns)) {
        take_reset(conn, datagram, now_ns);
        count_forged(conn, now_ns);
        return;
    }
    bool is_newest = number >= conn->replay.next;
    bool is_first = conn->replay.next == 0;
    ed_replay_commit(&conn->replay, number);
    conn->contested_ns = 0;
    conn->receiving_packet = number;
    conn->is_repeated = false;
    ed_conn_apply(conn, ED_INPUT_PACKET, NULL, now_ns);
    ed_conn_on_arrival(conn, datagram, is_newest, now_ns);
    if (ed_conn_is_open(conn))
        ed_timers_on_heard(&conn->timers, now_ns);

    verdict got = handle_frames(conn, plain, &haste, now_ns);
    if (got == VIOLATION)
        ed_conn_fail(conn, ED_CLOSE_PROTOCOL, now_ns);
    if (got == NO_ROOM)
        ed_conn_fail(conn, ED_CLOSE_MEMORY, now_ns);
    if (got == UNKEPT)
        show_life(conn, now_ns);
    if (got == TAKEN && ed_conn_is_open(conn))
        ed_ack_on_packet(&conn->ack, number, haste, datagram->size, now_ns);
    if (conn->is_repeated)
        ed_ack_hasten(&conn->ack, now_ns);
    if (!ed_conn_is_open(conn))
        return;
    if (haste == ED_ACK_PATIENT)
        ed_conn_update_expiry(conn);
    else
        ed_conn_update_credit(conn, now_ns); // which nothing unreliable uses, nor gives back
    if (is_first)
        ed_conn_update_recovery(conn); // its probes were urgent until one was heard
}

void ed_conn_receive(ed_conn *conn, const eddy_datagram *datagram, uint64_t now_ns)
{
    if (ed_form_of(datagram->data, datagram->size) == ED_FORM_PACKET)
        receive_packet(conn, datagram, now_ns);
    else
        ed_conn_receive_handshake(conn, datagram, now_ns);
    conn->arriving = NULL;
}
