/** What leaves next, and that it has: by priority, and of one what was lost before the rest. */
#include "transport/begun.h"
#include "transport/packet.h"
#include "transport/replay.h"
#include "transport/stream_send.h"

enum {
    QUANTUM = 32,         /* bytes for each unit of weight, in turn */
    PART_ROOM_MIN = 1024, /* where a message is cut: less is left to others */
};

void ed_outbox_set_datagram_size(ed_outbox *outbox, size_t size)
{
    // Whatever the header is: more is never used, or what was lost might not fit again.
    outbox->room = (uint32_t)(size - ED_PACKET_HEADER_SIZE_MAX - ED_TAG_SIZE);
}

static void starve(ed_outbox *outbox, ed_lane_out *lane)
{
    ed_list_remove(&lane->turn);
    ed_list_push_back(&outbox->starved, &lane->turn);
}

/* --------------------------------------------------------------------------------- choosing -- */

static inline void make_frame(ed_message_frame *frame, const ed_out *out, uint64_t sequence,
                              uint32_t offset, uint32_t size)
{
    bool in_parts = ed_is_in_parts(out->size);
    bool has_sequence = ed_frame_has_sequence(out->lane->guarantee, in_parts);

    static_assert((int)ED_LANE_WINDOW <= (int)ED_SEQUENCE_SHORT_OUTSTANDING,
                  "two bytes of sequence are always enough");
    *frame = (ed_message_frame){.guarantee = out->lane->guarantee,
                                .stream = out->lane->stream,
                                .sequence_bits = has_sequence ? 16 : 0,
                                .fragment = in_parts,
                                .sequence = has_sequence ? (uint16_t)sequence : 0,
                                .whole_size = in_parts ? out->size : 0,
                                .fragment_index = in_parts ? offset / ED_FRAGMENT_UNIT : 0,
                                .data = {.data = out->block->data + offset, .size = size}};
}

static bool frame_fits(const ed_message_frame *frame, size_t room)
{
    return ed_frame_message_overhead(frame) + frame->data.size <= room;
}

/**
 * Cuts what stands in the frame, in whole units, to what fits, and leaves enough for one more part.
 * What the length takes is reckoned for all of it. @return false if it is not worth while.
 */
static bool cut(ed_message_frame *frame, size_t room)
{
    size_t overhead = ed_frame_message_overhead(frame);

    if (!frame->fragment || room < overhead + PART_ROOM_MIN)
        return false;
    size_t most = ed_min_size(room - overhead, frame->data.size - ED_PART_SIZE_MIN);
    frame->data.size = most / ED_FRAGMENT_UNIT * ED_FRAGMENT_UNIT;
    return true;
}

/** The first sending of a message, or of its next part. @return false if it does not fit. */
static bool make_first(ed_out *out, size_t room, ed_outgoing *next)
{
    uint32_t left = out->size - out->sent_size;
    uint64_t sequence = out->part.is_begun ? out->sequence : out->lane->next_sequence;

    next->out = out;
    next->lane = out->lane;
    next->part = NULL;
    next->is_skip = false;
    next->settled = 0;
    next->costs = (ed_send_costs){0};
    make_frame(&next->message, out, sequence, out->sent_size, left);
    return frame_fits(&next->message, room) || cut(&next->message, room);
}

static bool reserve_piece(ed_outbox *outbox)
{
    outbox->is_out_of_memory = !ed_records_reserve(&outbox->pieces);
    return !outbox->is_out_of_memory;
}

bool ed_outbox_again(ed_outbox *outbox, ed_part *part, size_t room, ed_outgoing *next)
{
    ed_out *out = ed_out_of_part(part);
    const ed_piece *piece = part->is_piece ? ed_piece_of(part) : NULL;

    *next =
        (ed_outgoing){.out = out, .lane = out->lane, .part = part, .is_skip = out->part.is_skip};
    if (out->part.is_skip) {
        next->skip = (ed_skip_frame){.guarantee = out->lane->guarantee,
                                     .stream = out->lane->stream,
                                     .sequence = (uint32_t)out->sequence,
                                     .charge = ed_charge_upto(out->size, out->sent_size)};
        return room >= ED_SKIP_SIZE_MAX;
    }
    make_frame(&next->message, out, out->sequence, piece == NULL ? 0 : piece->offset,
               piece == NULL ? out->size : piece->size);
    if (frame_fits(&next->message, room))
        return true;
    // The path took more when it was cut.
    return !frame_fits(&next->message, outbox->room) && reserve_piece(outbox) &&
           cut(&next->message, room);
}

/** What the next sending of a reliable message costs of the peer's credit. */
static uint64_t cost_of(const ed_out *out, size_t size)
{
    uint64_t before = out->part.is_begun ? ed_charge_upto(out->size, out->sent_size) : 0;

    return ed_charge_upto(out->size, out->sent_size + size) - before;
}

/**
 * Whether one more large message may be begun: at most two; the second only if it is urgent, and
 * there is credit for all of it: else neither might have enough to end.
 */
static bool may_start(const ed_outbox *outbox, const ed_out *out)
{
    if (!ed_is_in_parts(out->size) || out->part.is_begun || outbox->started_count == 0)
        return true;
    return outbox->started_count < ED_STARTED_MAX &&
           out->lane->priority < outbox->started_priority &&
           ed_charge_of(out->size) <= outbox->credit_limit - outbox->credit_used;
}

/** Whether credit lets the lane's next message, of which `size` bytes would leave, go. */
static bool affords(ed_outbox *outbox, const ed_out *out, size_t size)
{
    if (!ed_lane_is_reliable(out->lane))
        return true;
    if (!may_start(outbox, out))
        return false;
    // Who is short first is served first: otherwise small messages would starve a large one.
    outbox->is_short |= cost_of(out, size) > outbox->credit_limit - outbox->credit_used;
    return !outbox->is_short;
}

/**
 * Whether the packet may carry one more new message of the lane: with no more than
 * ED_LANE_BURST_MAX a packet that comes as late as the replay window allows is still known by its
 * sequences.
 */
static bool burst_allows(const ed_out *out, uint64_t packet)
{
    const ed_lane_out *lane = out->lane;

    return !ed_lane_is_reliable(lane) || lane->burst_packet != packet ||
           lane->burst_count < ED_LANE_BURST_MAX;
}

/** A lane that has had its share has another, as no other waits for its turn. */
static bool has_turns_alone(ed_lane_out *lane)
{
    while (lane->allowance <= 0 && lane->turn.next == lane->turn.previous)
        lane->allowance += (int32_t)lane->weight * QUANTUM;
    return lane->allowance > 0;
}

/** Whether the lane has its turn; if it has had its share, it is the next one's. */
static bool has_turn(ed_outbox *outbox, ed_lane_out *lane)
{
    if (lane->allowance > 0)
        return true;
    lane->allowance += (int32_t)lane->weight * QUANTUM;
    ed_list_remove(&lane->turn);
    ed_list_push_back(ed_outbox_turns(outbox, lane->priority), &lane->turn);
    return false;
}

/** Whether a piece is to stand for what leaves of it first. */
static bool needs_piece(const ed_out *out)
{
    return ed_lane_is_reliable(out->lane) ? ed_is_in_parts(out->size) : out->receipt != NULL;
}

/** What became of a lane that was looked at. */
typedef enum choice {
    CHOSEN,
    NOT_NOW,   /* another lane may have something */
    TURN_OVER, /* it has had its share, and went to the end of the queue */
    FULL,      /* the packet is */
} choice;

/** Memory for what is to be remembered of what leaves. @return false: none. */
static bool reserve_first(ed_outbox *outbox, const ed_out *out)
{
    bool begins = ed_lane_is_reliable(out->lane) && !out->part.is_begun;

    if (needs_piece(out) && !reserve_piece(outbox))
        return false;
    outbox->is_out_of_memory = begins && !ed_begun_reserve(out->lane, outbox->made_of.allocator);
    return !outbox->is_out_of_memory;
}

static choice choose_of(ed_outbox *outbox, ed_lane_out *lane, size_t room, uint64_t packet,
                        ed_outgoing *next)
{
    ed_out *out = ed_out_of_node(ed_list_first(&lane->fresh));

    if (!burst_allows(out, packet))
        return NOT_NOW;
    if (!has_turn(outbox, lane))
        return TURN_OVER;
    if (!make_first(out, room, next))
        return FULL;
    if (!affords(outbox, out, next->message.data.size)) {
        starve(outbox, lane);
        return NOT_NOW;
    }
    return reserve_first(outbox, out) ? CHOSEN : FULL;
}

static choice choose_in(ed_outbox *outbox, const ed_list *turns, size_t room, uint64_t packet,
                        ed_outgoing *next)
{
    ed_list_node *node = ed_list_first(turns);

    while (node != NULL) {
        ed_list_node *behind = ed_list_next(turns, node);
        choice got = choose_of(outbox, ed_lane_of_turn(node), room, packet, next);
        if (got == CHOSEN || got == FULL)
            return got;
        if (got != TURN_OVER || behind != NULL)
            node = behind; // else it is the only one left, and has its next turn
    }
    return NOT_NOW;
}

static bool any_turn(const ed_outbox *outbox, size_t priority)
{
    if (priority == EDDY_PRIORITY_DEFAULT)
        return !ed_list_empty(&outbox->turns);
    return outbox->streams != NULL && !ed_list_empty(&outbox->streams->turns[priority]);
}

/** @return the first priority from there on of which lanes have turns; EDDY_PRIORITY_COUNT: none.
 */
static size_t first_turn(const ed_outbox *outbox, size_t from)
{
    while (from < EDDY_PRIORITY_COUNT && !any_turn(outbox, from))
        from++;
    return from;
}

/** Of what is new, what goes before all of a priority. */
static choice choose_fresh(ed_outbox *outbox, size_t priority, size_t room, uint64_t packet,
                           ed_outgoing *next)
{
    if (outbox->fresh_count == 0)
        return NOT_NOW;
    room = ed_min_size(room, outbox->room);
    outbox->first_turn = (uint8_t)first_turn(outbox, outbox->first_turn);
    for (size_t i = outbox->first_turn; i < priority; i = first_turn(outbox, i + 1)) {
        choice got = choose_in(outbox, ed_outbox_turns(outbox, i), room, packet, next);
        if (got != NOT_NOW)
            return got;
    }
    return NOT_NOW;
}

bool ed_outbox_next(ed_outbox *outbox, size_t room, uint64_t packet, ed_outgoing *next)
{
    ed_part *lost = ed_list_empty(&outbox->lost) ? NULL : ed_outbox_first_lost(outbox);
    size_t priority = lost == NULL ? EDDY_PRIORITY_COUNT : ed_out_of_part(lost)->lane->priority;

    outbox->is_out_of_memory = false;
    choice got = choose_fresh(outbox, priority, room, packet, next);
    if (got == NOT_NOW && lost != NULL)
        return ed_outbox_again(outbox, lost, room, next);
    return got == CHOSEN;
}

/** Whether a reliable message that goes in one piece may leave behind the one before it. */
static inline bool may_follow(const ed_outbox *outbox, const ed_out *out, uint64_t packet)
{
    return !outbox->is_short && burst_allows(out, packet) &&
           ed_charge_of(out->size) <= outbox->credit_limit - outbox->credit_used &&
           ed_begun_reserve(out->lane, outbox->made_of.allocator);
}

/** Whether the lane, which had its turn with the last message, still has it for this one. */
static inline bool goes_on(const ed_outbox *outbox, const ed_out *out, uint64_t packet)
{
    return ed_list_linked(&out->lane->turn) &&
           (!ed_lane_is_reliable(out->lane) || may_follow(outbox, out, packet)) &&
           has_turns_alone(out->lane);
}

bool ed_outbox_follow(ed_outbox *outbox, uint64_t packet, ed_outgoing *next)
{
    const ed_lane_out *lane = next->lane;
    ed_out *out = ed_out_of_node(ed_list_first(&lane->fresh));

    if (next->part != NULL || next->message.fragment || out == NULL || ed_is_in_parts(out->size) ||
        needs_piece(out) || !goes_on(outbox, out, packet))
        return false;
    next->out = out;
    next->message.sequence = next->message.sequence_bits == 0 ? 0 : (uint16_t)lane->next_sequence;
    next->message.data = (ed_span){.data = out->block->data, .size = out->size};
    return true;
}

bool ed_outbox_next_urgent(ed_outbox *outbox, size_t room, uint64_t packet, ed_outgoing *next)
{
    if (outbox->fresh_count == 0)
        return false;
    size_t first = first_turn(outbox, outbox->first_turn);
    if (first == EDDY_PRIORITY_COUNT || first_turn(outbox, first + 1) == EDDY_PRIORITY_COUNT)
        return false;
    room = ed_min_size(room, outbox->room);
    return choose_in(outbox, ed_outbox_turns(outbox, first), room, packet, next) == CHOSEN &&
           next->out->size <= ED_URGENT_SIZE_MAX;
}

bool ed_outbox_has_next(ed_outbox *outbox)
{
    ed_outgoing next;

    outbox->is_out_of_memory = false;
    if (outbox->fresh_count == 0 && ed_list_empty(&outbox->lost))
        return false;
    return ed_outbox_next(outbox, outbox->room, UINT64_MAX, &next);
}

/* ------------------------------------------------------------------------------------- sent -- */

/** One more new message of the lane is in the packet. */
static inline void count_burst(ed_lane_out *lane, uint64_t packet)
{
    static_assert((ED_REPLAY_WINDOW * ED_LANE_BURST_MAX) + 2 * ED_LANE_WINDOW <= 1 << 16,
                  "two bytes of sequence tell the oldest acceptable message from the newest");
    if (lane->burst_packet != packet)
        lane->burst_count = 0;
    lane->burst_packet = packet;
    lane->burst_count++;
    ED_ASSERT(lane->burst_count <= ED_LANE_BURST_MAX);
}

static inline void begin(ed_outbox *outbox, ed_out *out, uint64_t packet)
{
    ed_lane_out *lane = out->lane;

    out->part.is_begun = true;
    out->part.first_packet = packet;
    out->part.last_packet = packet;
    if (ed_frame_has_sequence(lane->guarantee, ed_is_in_parts(out->size)))
        out->sequence = lane->next_sequence++;
    lane->sent++;
    if (!ed_lane_is_reliable(lane))
        return;
    count_burst(lane, packet);
    ed_begun_push(lane, out);
    if (!ed_is_in_parts(out->size))
        return;
    if (outbox->started_count++ == 0)
        outbox->started_priority = lane->priority;
}

static ed_part *make_piece(ed_outbox *outbox, const ed_outgoing *next, uint64_t packet)
{
    ed_piece *piece = ed_records_take(&outbox->pieces); // ed_outbox_next has reserved it

    *piece = (ed_piece){.part = {.record = piece->part.record,
                                 .first_packet = packet,
                                 .last_packet = packet,
                                 .is_piece = true},
                        .out = next->out,
                        .offset = next->out->sent_size,
                        .size = (uint32_t)next->message.data.size};
    ed_list_push_back(&next->out->pieces, &piece->sibling);
    return &piece->part;
}

void ed_out_leave_fresh(ed_outbox *outbox, ed_out *out)
{
    bool is_started = ed_is_in_parts(out->size) && out->part.is_begun;

    ED_ASSERT(outbox->fresh_count > 0 && ed_out_is_fresh(out));
    outbox->fresh_count--;
    ed_list_remove(&out->part.record.node);
    if (!ed_lane_is_reliable(out->lane)) {
        ed_list_remove(&out->place);
        outbox->unreliable_size -= out->size;
        outbox->hasty_count -= out->part.now_or_never ? 1 : 0;
        return;
    }
    ED_ASSERT(!is_started || outbox->started_count > 0);
    outbox->started_count -= is_started ? 1 : 0;
    if (is_started || outbox->is_short)
        ed_outbox_feed(outbox); // another may wait for its end, or behind it for credit
}

/** @return the part that stands for it in the packet, or NULL where none is wanted. */
static ed_part *sent_first(ed_outbox *outbox, const ed_outgoing *next, uint64_t packet)
{
    ed_out *out = next->out;
    ed_lane_out *lane = out->lane;
    uint32_t size = (uint32_t)next->message.data.size;
    bool is_heard_of = ed_lane_is_reliable(lane) || out->receipt != NULL;
    ed_part *part = is_heard_of ? &out->part : NULL;

    if (ed_lane_is_reliable(lane))
        outbox->credit_used += cost_of(out, size);
    if (!out->part.is_begun)
        begin(outbox, out, packet);
    if (needs_piece(out))
        part = make_piece(outbox, next, packet);
    out->sent_size += size;
    lane->allowance -= (int32_t)(size + ed_frame_message_overhead(&next->message));
    if (out->sent_size < out->size)
        return part;
    ed_out_leave_fresh(outbox, out);
    if (!is_heard_of)
        ed_out_forget(outbox, out);
    return part;
}

/** Only `size` bytes of it are sent again now: the rest is a piece of its own, as lost as it was.
 */
static void split(ed_outbox *outbox, ed_piece *piece, uint32_t size)
{
    ed_piece *rest = ed_records_take(&outbox->pieces); // ed_outbox_again has reserved it

    ED_ASSERT(size >= ED_PART_SIZE_MIN && piece->size - size >= ED_PART_SIZE_MIN);
    *rest = (ed_piece){.part = {.record = rest->part.record,
                                .first_packet = piece->part.first_packet,
                                .last_packet = piece->part.last_packet,
                                .is_piece = true},
                       .out = piece->out,
                       .offset = piece->offset + size,
                       .size = piece->size - size};
    piece->size = size;
    ed_list_insert_after(&piece->sibling, &rest->sibling);
    ed_part_queue_lost(outbox, &rest->part);
}

static void sent_again(ed_outbox *outbox, const ed_outgoing *next, uint64_t packet)
{
    ed_part *part = next->part;
    ed_piece *piece = part->is_piece && !next->is_skip ? ed_piece_of(part) : NULL;

    if (piece != NULL && next->message.data.size < piece->size)
        split(outbox, piece, (uint32_t)next->message.data.size);
    if (part->is_lost)
        ed_part_leave_lost(outbox, part);
    part->last_packet = packet;
    next->out->lane->resent += next->is_skip ? 0 : 1;
}

static ed_sent_ref ref_of(const ed_part *part, const ed_out *out)
{
    return (ed_sent_ref){.slot = part->is_piece ? part->record.index : 0,
                         .stamp =
                             part->is_piece ? part->record.generation : (uint32_t)out->sequence,
                         .count = part->is_piece ? 0 : 1,
                         .guarantee = out->lane->guarantee,
                         .stream = out->lane->stream};
}

bool ed_outbox_on_sent(ed_outbox *outbox, const ed_outgoing *next, uint64_t packet,
                       ed_sent_ref *ref)
{
    ed_part *part = next->part;

    if (part != NULL)
        sent_again(outbox, next, packet);
    else
        part = sent_first(outbox, next, packet);
    ed_outbox_update_turn(outbox, next->lane);
    if (part == NULL)
        return false;
    *ref = ref_of(part, next->out);
    return true;
}

void ed_outbox_on_followed(ed_outbox *outbox, ed_outgoing *next, uint64_t packet)
{
    ed_out *out = next->out;
    ed_lane_out *lane = next->lane;

    begin(outbox, out, packet);
    out->sent_size = out->size;
    lane->allowance -= (int32_t)(out->size + ed_frame_message_overhead(&next->message));
    ed_out_leave_fresh(outbox, out);
    if (ed_lane_is_reliable(lane)) {
        outbox->credit_used += ed_charge_of(out->size);
        return;
    }
    next->settled += ed_send_costs_next(&next->costs, out->size);
    ed_out_settle(outbox, out);
}

void ed_outbox_end_run(ed_outbox *outbox, const ed_outgoing *next)
{
    if (next->settled > 0)
        ed_outbox_refund(outbox, next->lane, next->settled);
    ed_outbox_update_turn(outbox, next->lane);
}
