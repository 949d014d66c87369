#include "transport/stream_send.h"

#include "core/alloc.h"
#include "transport/packet.h"
#include "transport/replay.h"

enum {
    QUANTUM = 32, /* bytes for each unit of weight, in turn */
    /* What a packet has room for if it has nothing else in it, and whatever its header is: more is
       never used, or what was lost might not fit again. */
    ROOM_MAX = ED_DATAGRAM_SIZE - ED_PACKET_HEADER_SIZE_MAX - ED_TAG_SIZE,
};

static ed_out *out_of_node(ed_list_node *node)
{
    return node == NULL ? NULL : ED_CONTAINER(node, ed_out, record.node);
}

static ed_out *out_of_place(ed_list_node *node)
{
    return node == NULL ? NULL : ED_CONTAINER(node, ed_out, place);
}

static ed_lane_out *lane_of_turn(ed_list_node *turn)
{
    return ED_CONTAINER(turn, ed_lane_out, turn);
}

void ed_outbox_init(ed_outbox *outbox, const ed_outbox_parts *parts)
{
    const eddy_allocator *allocator = parts->allocator;

    *outbox = (ed_outbox){.made_of = *parts};
    ed_lanes_init(&outbox->lanes, allocator, sizeof(ed_lane_out));
    for (size_t i = 0; i < EDDY_PRIORITY_COUNT; i++)
        ed_list_init(&outbox->turns[i]);
    ed_list_init(&outbox->starved);
    ed_list_init(&outbox->lost);
    ed_list_init(&outbox->waiting);
    ed_records_init(&outbox->outs, allocator, sizeof(ed_out));
    ed_records_init(&outbox->parts, allocator, sizeof(ed_part));
}

static void free_lane(void *context, void *lane)
{
    (void)context;
    ed_list_remove(&((ed_lane_out *)lane)->turn);
}

void ed_outbox_free(ed_outbox *outbox)
{
    for (uint32_t i = 0; i < ed_records_count(&outbox->outs); i++) {
        ed_out *out = ed_records_at(&outbox->outs, i);
        if (out->lane != NULL)
            ed_out_forget(outbox, out);
    }
    for (ed_block *block = ed_outbox_next_receipt(outbox); block != NULL;
         block = ed_outbox_next_receipt(outbox))
        ed_pool_give(block);
    ed_lanes_free(&outbox->lanes, free_lane, NULL);
    ed_records_free(&outbox->outs);
    ed_records_free(&outbox->parts);
    ed_deadlines_destroy(outbox->deadlines);
    ed_alloc_free(outbox->made_of.allocator, outbox->streams,
                  EDDY_STREAM_COUNT * sizeof(ed_stream_out));
    ed_outbox_parts parts = outbox->made_of;
    ed_outbox_init(outbox, &parts);
}

/* ------------------------------------------------------------------------------------ lanes -- */

/** Whether the receiver is sure to have a place for the lane's next message. */
static bool window_open(const ed_lane_out *lane)
{
    const ed_out *oldest = out_of_place(ed_list_first(&lane->begun));

    return oldest == NULL || lane->next_sequence < oldest->sequence + ED_LANE_WINDOW;
}

static bool may_leave(const ed_lane_out *lane)
{
    const ed_out *out = out_of_node(ed_list_first(&lane->fresh));

    return out != NULL && (out->is_begun || !ed_lane_is_reliable(lane) || window_open(lane));
}

void ed_outbox_update_turn(ed_outbox *outbox, ed_lane_out *lane)
{
    if (!may_leave(lane))
        ed_list_remove(&lane->turn);
    else if (!ed_list_linked(&lane->turn))
        ed_list_push_back(&outbox->turns[lane->priority], &lane->turn);
}

void ed_outbox_feed(ed_outbox *outbox)
{
    outbox->is_short = false;
    for (ed_list_node *node = ed_list_pop_front(&outbox->starved); node != NULL;
         node = ed_list_pop_front(&outbox->starved))
        ed_outbox_update_turn(outbox, lane_of_turn(node));
}

static void starve(ed_outbox *outbox, ed_lane_out *lane)
{
    ed_list_remove(&lane->turn);
    ed_list_push_back(&outbox->starved, &lane->turn);
}

void ed_outbox_on_credit(ed_outbox *outbox, uint64_t limit)
{
    if (limit <= outbox->credit_limit)
        return;
    outbox->credit_limit = limit;
    ed_outbox_feed(outbox);
}

static void share_out(const ed_outbox *outbox, ed_lane_out *lane)
{
    const ed_stream_out *own = outbox->streams == NULL ? NULL : &outbox->streams[lane->stream];

    lane->priority = own == NULL ? EDDY_PRIORITY_DEFAULT : own->priority;
    lane->weight = own == NULL ? EDDY_WEIGHT_DEFAULT : own->weight;
}

static ed_lane_out *get_lane(ed_outbox *outbox, uint8_t guarantee, uint8_t stream)
{
    bool made = false;
    ed_lane_out *lane = ed_lanes_get(&outbox->lanes, guarantee, stream, &made);

    if (made) {
        ed_list_init(&lane->fresh);
        ed_list_init(&lane->begun);
        lane->guarantee = guarantee;
        lane->stream = stream;
        share_out(outbox, lane);
    }
    return lane;
}

static bool make_streams(ed_outbox *outbox)
{
    if (outbox->streams != NULL)
        return true;
    outbox->streams =
        ed_alloc_array(outbox->made_of.allocator, EDDY_STREAM_COUNT, sizeof(ed_stream_out));
    for (size_t i = 0; outbox->streams != NULL && i < EDDY_STREAM_COUNT; i++)
        outbox->streams[i] =
            (ed_stream_out){.priority = EDDY_PRIORITY_DEFAULT, .weight = EDDY_WEIGHT_DEFAULT};
    return outbox->streams != NULL;
}

eddy_status ed_outbox_set_stream(ed_outbox *outbox, uint8_t stream,
                                 const eddy_stream_options *options)
{
    if (!make_streams(outbox))
        return EDDY_ENOMEM;
    ed_stream_out *own = &outbox->streams[stream];
    own->priority = options->priority == 0 ? EDDY_PRIORITY_DEFAULT : options->priority;
    own->weight = options->weight == 0 ? EDDY_WEIGHT_DEFAULT : options->weight;
    own->budget = options->budget;
    ED_ASSERT(own->priority < EDDY_PRIORITY_COUNT);
    for (unsigned g = 0; g < ED_WIRE_GUARANTEE_COUNT; g++) {
        ed_lane_out *lane = ed_lanes_find(&outbox->lanes, (uint8_t)g, stream);
        if (lane == NULL)
            continue;
        share_out(outbox, lane);
        ed_list_remove(&lane->turn);
        ed_outbox_update_turn(outbox, lane);
    }
    return EDDY_OK;
}

static uint64_t waiting_since_ns(const ed_list *turns)
{
    uint64_t since_ns = ED_NEVER_NS;

    for (ed_list_node *node = ed_list_first(turns); node != NULL; node = ed_list_next(turns, node))
        since_ns =
            ed_min_u64(since_ns, out_of_node(ed_list_first(&lane_of_turn(node)->fresh))->queued_ns);
    return since_ns;
}

uint64_t ed_outbox_waiting_since_ns(const ed_outbox *outbox)
{
    uint64_t since_ns = waiting_since_ns(&outbox->starved);

    for (size_t i = 0; i < EDDY_PRIORITY_COUNT; i++)
        since_ns = ed_min_u64(since_ns, waiting_since_ns(&outbox->turns[i]));
    return since_ns;
}

bool ed_outbox_is_half_free(const ed_outbox *outbox, uint64_t budget)
{
    if (outbox->queued_size > budget / 2)
        return false;
    for (size_t i = 0; outbox->streams != NULL && i < EDDY_STREAM_COUNT; i++) {
        const ed_stream_out *own = &outbox->streams[i];
        if (own->budget != 0 && own->queued > own->budget / 2)
            return false;
    }
    return true;
}

/* -------------------------------------------------------------------------------- accepting -- */

static void shed(ed_outbox *outbox, ed_out *out)
{
    outbox->made_of.stats->messages_shed++;
    outbox->shed_count++;
    ed_out_tell(outbox, out, EDDY_OUTCOME_LOST);
    ed_out_forget(outbox, out);
}

/**
 * Makes room for `size` more unreliable bytes: of a sequenced lane nothing but the newest is worth
 * keeping; then the oldest go, of whatever lane.
 */
static void shed_oldest(ed_outbox *outbox, const ed_lane_out *lane, size_t size)
{
    bool is_sequenced = lane->guarantee == ED_WIRE_UNRELIABLE_SEQUENCED;

    if (outbox->unreliable_size + size <= ED_UNRELIABLE_QUEUE_MAX)
        return;
    while (is_sequenced && !ed_list_empty(&lane->fresh))
        shed(outbox, out_of_node(ed_list_first(&lane->fresh)));
    while (outbox->unreliable_size + size > ED_UNRELIABLE_QUEUE_MAX &&
           !ed_list_empty(&outbox->waiting))
        shed(outbox, out_of_place(ed_list_first(&outbox->waiting)));
}

/** Makes sure that the message's deadline can be set, and every other message's taken away. */
static bool reserve_deadline(ed_outbox *outbox, uint64_t expires_ns)
{
    uint32_t count = ed_records_count(&outbox->outs);

    if (expires_ns == ED_NEVER_NS && outbox->deadlines == NULL)
        return true;
    if (outbox->deadlines == NULL)
        outbox->deadlines = ed_deadlines_create(outbox->made_of.allocator, count);
    return outbox->deadlines != NULL && ed_deadlines_widen(outbox->deadlines, count);
}

static void count_in(ed_outbox *outbox, const ed_out *out)
{
    uint64_t charge = ed_charge_of(out->size);

    outbox->fresh_count++;
    outbox->queued_size += charge;
    out->lane->queued_size += charge;
    *outbox->made_of.queued_size += charge;
    if (outbox->streams != NULL)
        outbox->streams[out->lane->stream].queued += charge;
    if (ed_lane_is_reliable(out->lane)) {
        outbox->reliable_count++;
    } else {
        outbox->unreliable_size += out->size;
        outbox->hasty_count += out->now_or_never ? 1 : 0;
    }
}

eddy_status ed_outbox_push(ed_outbox *outbox, const ed_message *message)
{
    ed_lane_out *lane = get_lane(outbox, message->guarantee, message->stream);

    if (lane == NULL || !ed_records_reserve(&outbox->outs) ||
        !reserve_deadline(outbox, message->expires_ns))
        return EDDY_ENOMEM;
    if (!ed_lane_is_reliable(lane))
        shed_oldest(outbox, lane, message->block->size);
    ed_out *out = ed_records_take(&outbox->outs);
    *out = (ed_out){.record = out->record,
                    .lane = lane,
                    .block = message->block,
                    .receipt = message->receipt,
                    .size = message->block->size,
                    .queued_ns = message->queued_ns,
                    .now_or_never = message->now_or_never};
    ed_list_init(&out->parts);
    ed_list_push_back(&lane->fresh, &out->record.node);
    if (!ed_lane_is_reliable(lane))
        ed_list_push_back(&outbox->waiting, &out->place);
    if (message->expires_ns != ED_NEVER_NS)
        ed_deadlines_set(outbox->deadlines, out->record.index, message->expires_ns);
    count_in(outbox, out);
    ed_outbox_update_turn(outbox, lane);
    return EDDY_OK;
}

/* --------------------------------------------------------------------------------- choosing -- */

static ed_message_frame frame_of(const ed_out *out, uint64_t sequence, uint32_t offset,
                                 uint32_t size)
{
    bool in_parts = ed_is_in_parts(out->size);

    static_assert((int)ED_LANE_WINDOW <= (int)ED_SEQUENCE_SHORT_OUTSTANDING,
                  "two bytes of sequence are always enough");
    ed_message_frame frame = {.guarantee = out->lane->guarantee,
                              .stream = out->lane->stream,
                              .fragment = in_parts,
                              .data = {.data = out->block->data + offset, .size = size}};
    if (ed_frame_has_sequence(frame.guarantee, in_parts)) {
        frame.sequence_bits = 16;
        frame.sequence = (uint16_t)sequence;
    }
    if (in_parts) {
        frame.whole_size = out->size;
        frame.fragment_index = offset / ED_FRAGMENT_UNIT;
    }
    return frame;
}

static bool frame_fits(const ed_message_frame *frame, size_t room)
{
    return ed_frame_message_overhead(frame) + frame->data.size <= room;
}

/** The first sending of a message, or of its next part. @return false if it does not fit. */
static bool make_first(ed_out *out, size_t room, ed_outgoing *next)
{
    uint32_t left = out->size - out->sent_size;
    uint64_t sequence = out->is_begun ? out->sequence : out->lane->next_sequence;

    *next = (ed_outgoing){.out = out, .message = frame_of(out, sequence, out->sent_size, left)};
    if (frame_fits(&next->message, room))
        return true;
    size_t overhead = ed_frame_message_overhead(&next->message);
    if (!ed_is_in_parts(out->size) || room < overhead + ED_PART_SIZE_MIN)
        return false;
    // As much as fits, in whole units; what the length takes was reckoned for all that is left.
    next->message.data.size = (room - overhead) / ED_FRAGMENT_UNIT * ED_FRAGMENT_UNIT;
    return true;
}

bool ed_outbox_again(const ed_outbox *outbox, ed_part *part, size_t room, ed_outgoing *next)
{
    ed_out *out = part->out;

    (void)outbox;
    *next = (ed_outgoing){.out = out, .part = part, .is_skip = out->is_skip};
    if (out->is_skip) {
        next->skip = (ed_skip_frame){.guarantee = out->lane->guarantee,
                                     .stream = out->lane->stream,
                                     .sequence = (uint32_t)out->sequence,
                                     .charge = ed_charge_upto(out->size, out->sent_size)};
        return room >= ED_SKIP_SIZE_MAX;
    }
    next->message = frame_of(out, out->sequence, part->offset, part->size);
    return frame_fits(&next->message, room);
}

/** What the next sending of a reliable message costs of the peer's credit. */
static uint64_t cost_of(const ed_out *out, size_t size)
{
    uint64_t before = out->is_begun ? ed_charge_upto(out->size, out->sent_size) : 0;

    return ed_charge_upto(out->size, out->sent_size + size) - before;
}

/**
 * Whether one more large message may be begun: at most two; the second only if it is urgent, and
 * there is credit for all of it: else neither might have enough to end.
 */
static bool may_start(const ed_outbox *outbox, const ed_out *out)
{
    if (!ed_is_in_parts(out->size) || out->is_begun || outbox->started_count == 0)
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

/** Whether the lane has its turn; if it has had its share, it is the next one's. */
static bool has_turn(ed_outbox *outbox, ed_lane_out *lane)
{
    if (lane->allowance > 0)
        return true;
    lane->allowance += (int32_t)lane->weight * QUANTUM;
    ed_list_remove(&lane->turn);
    ed_list_push_back(&outbox->turns[lane->priority], &lane->turn);
    return false;
}

/** What became of a lane that was looked at. */
typedef enum choice {
    CHOSEN,
    NOT_NOW,   /* another lane may have something */
    TURN_OVER, /* it has had its share, and went to the end of the queue */
    FULL,      /* the packet is */
} choice;

static choice choose_of(ed_outbox *outbox, ed_lane_out *lane, size_t room, uint64_t packet,
                        ed_outgoing *next)
{
    ed_out *out = out_of_node(ed_list_first(&lane->fresh));

    if (!burst_allows(out, packet))
        return NOT_NOW;
    if (!has_turn(outbox, lane))
        return TURN_OVER;
    if (!make_first(out, room, next))
        return FULL;
    if (affords(outbox, out, next->message.data.size))
        return CHOSEN;
    starve(outbox, lane);
    return NOT_NOW;
}

static choice choose_in(ed_outbox *outbox, const ed_list *turns, size_t room, uint64_t packet,
                        ed_outgoing *next)
{
    ed_list_node *node = ed_list_first(turns);

    while (node != NULL) {
        ed_list_node *behind = ed_list_next(turns, node);
        choice got = choose_of(outbox, lane_of_turn(node), room, packet, next);
        if (got == CHOSEN || got == FULL)
            return got;
        if (got != TURN_OVER || behind != NULL)
            node = behind; // else it is the only one left, and has its next turn
    }
    return NOT_NOW;
}

bool ed_outbox_next(ed_outbox *outbox, size_t room, uint64_t packet, ed_outgoing *next)
{
    ed_list_node *lost = ed_list_first(&outbox->lost);

    if (lost != NULL)
        return ed_outbox_again(outbox, ED_CONTAINER(lost, ed_part, record.node), room, next);
    room = ed_min_size(room, ROOM_MAX);
    outbox->is_out_of_memory = outbox->fresh_count > 0 && !ed_records_reserve(&outbox->parts);
    if (outbox->fresh_count == 0 || outbox->is_out_of_memory)
        return false;
    for (size_t i = 0; i < EDDY_PRIORITY_COUNT; i++) {
        choice got = choose_in(outbox, &outbox->turns[i], room, packet, next);
        if (got != NOT_NOW)
            return got == CHOSEN;
    }
    return false;
}

bool ed_outbox_has_next(ed_outbox *outbox)
{
    ed_outgoing next;

    return ed_outbox_next(outbox, ROOM_MAX, UINT64_MAX, &next);
}

/* ------------------------------------------------------------------------------------- sent -- */

/** One more new message of the lane is in the packet. */
static void count_burst(ed_lane_out *lane, uint64_t packet)
{
    static_assert((ED_REPLAY_WINDOW * ED_LANE_BURST_MAX) + 2 * ED_LANE_WINDOW <= 1 << 16,
                  "two bytes of sequence tell the oldest acceptable message from the newest");
    if (lane->burst_packet != packet)
        lane->burst_count = 0;
    lane->burst_packet = packet;
    lane->burst_count++;
    ED_ASSERT(lane->burst_count <= ED_LANE_BURST_MAX);
}

static void begin(ed_outbox *outbox, ed_out *out, uint64_t packet)
{
    ed_lane_out *lane = out->lane;

    out->is_begun = true;
    out->first_packet = packet;
    if (ed_frame_has_sequence(lane->guarantee, ed_is_in_parts(out->size)))
        out->sequence = lane->next_sequence++;
    lane->sent++;
    if (!ed_lane_is_reliable(lane))
        return;
    count_burst(lane, packet);
    ed_list_push_back(&lane->begun, &out->place);
    if (!ed_is_in_parts(out->size))
        return;
    if (outbox->started_count++ == 0)
        outbox->started_priority = lane->priority;
}

static ed_part *make_part(ed_outbox *outbox, const ed_outgoing *next, uint64_t packet)
{
    ed_part *part = ed_records_take(&outbox->parts); // ed_outbox_next has reserved it

    *part = (ed_part){.record = part->record,
                      .out = next->out,
                      .first_packet = packet,
                      .last_packet = packet,
                      .offset = next->out->sent_size,
                      .size = (uint32_t)next->message.data.size};
    ed_list_push_back(&next->out->parts, &part->sibling);
    return part;
}

void ed_out_leave_fresh(ed_outbox *outbox, ed_out *out)
{
    bool is_started = ed_is_in_parts(out->size) && out->is_begun;

    ED_ASSERT(outbox->fresh_count > 0 && ed_list_linked(&out->record.node));
    outbox->fresh_count--;
    ed_list_remove(&out->record.node);
    if (!ed_lane_is_reliable(out->lane)) {
        ed_list_remove(&out->place);
        outbox->unreliable_size -= out->size;
        outbox->hasty_count -= out->now_or_never ? 1 : 0;
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

    if (ed_lane_is_reliable(lane))
        outbox->credit_used += cost_of(out, size);
    if (!out->is_begun)
        begin(outbox, out, packet);
    ed_part *part = is_heard_of ? make_part(outbox, next, packet) : NULL;
    out->sent_size += size;
    lane->allowance -= (int32_t)(size + ed_frame_message_overhead(&next->message));
    if (out->sent_size < out->size)
        return part;
    ed_out_leave_fresh(outbox, out);
    if (!is_heard_of)
        ed_out_forget(outbox, out);
    return part;
}

static void sent_again(ed_outbox *outbox, ed_part *part, uint64_t packet)
{
    if (outbox->lost_hint == &part->record.node)
        outbox->lost_hint = NULL;
    ed_list_remove(&part->record.node);
    part->is_lost = false;
    part->last_packet = packet;
    part->out->lane->resent += part->out->is_skip ? 0 : 1;
}

bool ed_outbox_on_sent(ed_outbox *outbox, const ed_outgoing *next, uint64_t packet,
                       ed_sent_ref *ref)
{
    ed_lane_out *lane = next->out->lane;
    ed_part *part = next->part;

    if (part != NULL)
        sent_again(outbox, part, packet);
    else
        part = sent_first(outbox, next, packet);
    ed_outbox_update_turn(outbox, lane);
    if (part == NULL)
        return false;
    *ref = (ed_sent_ref){.slot = part->record.index, .generation = part->record.generation};
    return true;
}

void ed_outbox_drop_hasty(ed_outbox *outbox)
{
    ed_list_node *node = outbox->hasty_count > 0 ? ed_list_first(&outbox->waiting) : NULL;

    while (node != NULL) {
        ed_out *out = out_of_place(node);
        node = ed_list_next(&outbox->waiting, node);
        if (out->now_or_never)
            shed(outbox, out);
    }
}

/* ----------------------------------------------------------------------------------- oldest -- */

static ed_out *older_of(ed_out *a, ed_out *b)
{
    return a == NULL || (b != NULL && b->first_packet < a->first_packet) ? b : a;
}

ed_out *ed_outbox_oldest(const ed_outbox *outbox)
{
    ed_out *oldest = NULL;

    for (unsigned g = ED_WIRE_RELIABLE_UNORDERED; g < ED_WIRE_GUARANTEE_COUNT; g++)
        for (unsigned stream = 0; stream < ED_STREAM_COUNT; stream++) {
            const ed_lane_out *lane = ed_lanes_find(&outbox->lanes, (uint8_t)g, (uint8_t)stream);
            if (lane != NULL)
                oldest = older_of(oldest, out_of_place(ed_list_first(&lane->begun)));
        }
    return oldest;
}

ed_out *ed_out_next_oldest(const ed_out *out)
{
    return out_of_place(ed_list_next(&out->lane->begun, &out->place));
}
