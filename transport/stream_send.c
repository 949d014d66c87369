#include "transport/stream_send.h"

#include "core/alloc.h"
#include "transport/begun.h"

void ed_outbox_init(ed_outbox *outbox, const ed_outbox_parts *parts)
{
    const eddy_allocator *allocator = parts->allocator;

    *outbox = (ed_outbox){.made_of = *parts};
    ed_outbox_set_datagram_size(outbox, ED_DATAGRAM_SIZE);
    ed_lanes_init(&outbox->lanes, allocator, sizeof(ed_lane_out));
    ed_list_init(&outbox->turns);
    ed_list_init(&outbox->starved);
    ed_list_init(&outbox->lost);
    ed_list_init(&outbox->waiting);
    ed_records_init(&outbox->outs, allocator, sizeof(ed_out));
    ed_records_init(&outbox->pieces, allocator, sizeof(ed_piece));
}

static void narrow(void *context, void *lane)
{
    const ed_outbox *outbox = context;

    ed_begun_narrow(lane, outbox->made_of.allocator);
}

static void free_lane(void *context, void *lane)
{
    ed_list_remove(&((ed_lane_out *)lane)->turn);
    narrow(context, lane);
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
    ed_lanes_free(&outbox->lanes, free_lane, outbox);
    ed_records_free(&outbox->outs);
    ed_records_free(&outbox->pieces);
    ed_deadlines_destroy(outbox->deadlines);
    ed_alloc_free(outbox->made_of.allocator, outbox->streams, sizeof(*outbox->streams));
    ed_outbox_parts parts = outbox->made_of;
    ed_outbox_init(outbox, &parts);
}

void ed_outbox_rest(ed_outbox *outbox)
{
    ed_records_rest(&outbox->outs);
    ed_records_rest(&outbox->pieces);
    if (ed_records_count(&outbox->outs) > 0)
        return;
    ed_deadlines_destroy(outbox->deadlines);
    outbox->deadlines = NULL;
    ed_lanes_each(&outbox->lanes, narrow, outbox);
}

/* ------------------------------------------------------------------------------------ lanes -- */

static bool may_leave(const ed_lane_out *lane)
{
    const ed_out *out = ed_out_of_node(ed_list_first(&lane->fresh));

    return out != NULL &&
           (out->part.is_begun || !ed_lane_is_reliable(lane) || ed_lane_window_open(lane));
}

void ed_outbox_update_turn(ed_outbox *outbox, ed_lane_out *lane)
{
    if (!may_leave(lane)) {
        ed_list_remove(&lane->turn);
        return;
    }
    if (ed_list_linked(&lane->turn))
        return;
    ed_list_push_back(ed_outbox_turns(outbox, lane->priority), &lane->turn);
    if (lane->priority < outbox->first_turn)
        outbox->first_turn = lane->priority;
}

void ed_outbox_feed(ed_outbox *outbox)
{
    outbox->is_short = false;
    for (ed_list_node *node = ed_list_pop_front(&outbox->starved); node != NULL;
         node = ed_list_pop_front(&outbox->starved))
        ed_outbox_update_turn(outbox, ed_lane_of_turn(node));
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
    const ed_stream_out *own = outbox->streams == NULL ? NULL : &outbox->streams->of[lane->stream];

    lane->priority = own == NULL ? EDDY_PRIORITY_DEFAULT : own->priority;
    lane->weight = own == NULL ? EDDY_WEIGHT_DEFAULT : own->weight;
}

static ed_lane_out *make_lane(ed_outbox *outbox, uint8_t guarantee, uint8_t stream)
{
    bool made = false;
    ed_lane_out *lane = ed_lanes_get(&outbox->lanes, guarantee, stream, &made);

    if (made) {
        ed_list_init(&lane->fresh);
        ed_list_init(&lane->begun);
        lane->reach = ED_BEGUN_LISTED;
        lane->guarantee = guarantee;
        lane->stream = stream;
        share_out(outbox, lane);
    }
    return lane;
}

static ed_lane_out *get_lane(ed_outbox *outbox, uint8_t guarantee, uint8_t stream)
{
    ed_lane_out *lane = ed_lanes_find(&outbox->lanes, guarantee, stream);

    return lane != NULL ? lane : make_lane(outbox, guarantee, stream);
}

static bool make_streams(ed_outbox *outbox)
{
    if (outbox->streams != NULL)
        return true;
    ed_streams_out *streams = ed_alloc_zeroed(outbox->made_of.allocator, sizeof(*streams));
    if (streams == NULL)
        return false;
    for (size_t i = 0; i < EDDY_STREAM_COUNT; i++)
        streams->of[i] =
            (ed_stream_out){.priority = EDDY_PRIORITY_DEFAULT, .weight = EDDY_WEIGHT_DEFAULT};
    for (size_t i = 0; i < EDDY_PRIORITY_COUNT; i++)
        ed_list_init(&streams->turns[i]);
    outbox->streams = streams;
    return true;
}

eddy_status ed_outbox_set_stream(ed_outbox *outbox, uint8_t stream,
                                 const eddy_stream_options *options)
{
    if (!make_streams(outbox))
        return EDDY_ENOMEM;
    ed_stream_out *own = &outbox->streams->of[stream];
    own->priority = options->priority == 0 ? EDDY_PRIORITY_DEFAULT : options->priority;
    own->weight = options->weight == 0 ? EDDY_WEIGHT_DEFAULT : options->weight;
    own->budget = options->budget;
    own->no_copies = options->no_copies;
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
        since_ns = ed_min_u64(
            since_ns, ed_out_of_node(ed_list_first(&ed_lane_of_turn(node)->fresh))->queued_ns);
    return since_ns;
}

uint64_t ed_outbox_waiting_since_ns(const ed_outbox *outbox)
{
    uint64_t since_ns =
        ed_min_u64(waiting_since_ns(&outbox->starved), waiting_since_ns(&outbox->turns));

    for (size_t i = 0; outbox->streams != NULL && i < EDDY_PRIORITY_COUNT; i++)
        since_ns = ed_min_u64(since_ns, waiting_since_ns(&outbox->streams->turns[i]));
    return since_ns;
}

bool ed_outbox_is_half_free(const ed_outbox *outbox, uint64_t budget)
{
    if (outbox->queued_size > budget / 2)
        return false;
    for (size_t i = 0; outbox->streams != NULL && i < EDDY_STREAM_COUNT; i++) {
        const ed_stream_out *own = &outbox->streams->of[i];
        if (own->budget != 0 && own->queued > own->budget / 2)
            return false;
    }
    return true;
}

/** As ed_account_charge reckons: an empty account takes a message of any size. */
static bool fits(uint64_t used, uint64_t budget, uint64_t cost)
{
    return used == 0 || (used <= budget && cost <= budget - used);
}

bool ed_outbox_has_room(const ed_outbox *outbox, uint64_t budget, uint8_t stream, uint64_t cost)
{
    const ed_stream_out *own = outbox->streams == NULL ? NULL : &outbox->streams->of[stream];

    return fits(outbox->queued_size, budget, cost) &&
           (own == NULL || own->budget == 0 || fits(own->queued, own->budget, cost));
}

/* -------------------------------------------------------------------------------- accepting -- */

static void shed(ed_outbox *outbox, ed_out *out)
{
    ed_outbox_count_shed(outbox);
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

    while (is_sequenced && !ed_list_empty(&lane->fresh))
        shed(outbox, ed_out_of_node(ed_list_first(&lane->fresh)));
    while (outbox->unreliable_size + size > ED_UNRELIABLE_QUEUE_MAX &&
           !ed_list_empty(&outbox->waiting))
        shed(outbox, ed_out_of_place(ed_list_first(&outbox->waiting)));
}

/** Makes sure that the message's deadline can be set, and every other message's taken away. */
static bool reserve_deadline(ed_outbox *outbox)
{
    uint32_t count = ed_records_count(&outbox->outs);

    if (outbox->deadlines == NULL)
        outbox->deadlines = ed_deadlines_create(outbox->made_of.allocator, count);
    return outbox->deadlines != NULL && ed_deadlines_widen(outbox->deadlines, count);
}

/** Messages of one lane that are not counted yet. */
typedef struct accepted {
    uint64_t count;
    uint64_t cost;
    ed_send_costs costs;
} accepted;

static void count_in(ed_outbox *outbox, ed_lane_out *lane, accepted *some)
{
    outbox->fresh_count += some->count;
    outbox->reliable_count += ed_lane_is_reliable(lane) ? some->count : 0;
    outbox->queued_size += some->cost;
    lane->queued_size += some->cost;
    *outbox->made_of.queued_cost += some->cost;
    if (outbox->streams != NULL)
        outbox->streams->of[lane->stream].queued += some->cost;
    some->count = 0;
    some->cost = 0;
}

/** An unreliable message waits from now on. */
static void wait_in_line(ed_outbox *outbox, ed_out *out)
{
    ed_list_push_back(&outbox->waiting, &out->place);
    outbox->unreliable_size += out->size;
    outbox->hasty_count += out->part.now_or_never ? 1 : 0;
}

/** @return false out of memory: as before. */
static inline bool push_one(ed_outbox *outbox, ed_lane_out *lane, const ed_message *message,
                            accepted *some, uint64_t now_ns)
{
    bool has_deadline = message->expires_ns != ED_NEVER_NS || outbox->deadlines != NULL;

    if (!ed_records_reserve(&outbox->outs) || (has_deadline && !reserve_deadline(outbox)))
        return false;
    if (!ed_lane_is_reliable(lane) &&
        outbox->unreliable_size + message->block->size > ED_UNRELIABLE_QUEUE_MAX) {
        count_in(outbox, lane, some); // what is shed has been counted
        shed_oldest(outbox, lane, message->block->size);
    }
    ed_out *out = ed_records_take(&outbox->outs);
    *out = (ed_out){.part = {.record = out->part.record, .now_or_never = message->now_or_never},
                    .lane = lane,
                    .block = message->block,
                    .receipt = message->receipt,
                    .size = message->block->size,
                    .queued_ns = now_ns};
    ed_list_init(&out->pieces);
    ed_list_push_back(&lane->fresh, &out->part.record.node);
    if (!ed_lane_is_reliable(lane))
        wait_in_line(outbox, out);
    if (message->expires_ns != ED_NEVER_NS)
        ed_deadlines_set(outbox->deadlines, out->part.record.index, message->expires_ns);
    some->count++;
    some->cost += ed_send_costs_next(&some->costs, out->size);
    return true;
}

/** The first ones, of one lane. @return how many; 0 out of memory */
static size_t push_run(ed_outbox *outbox, const ed_message *messages, size_t count, uint64_t now_ns)
{
    uint8_t guarantee = messages->guarantee, stream = messages->stream;
    ed_lane_out *lane = get_lane(outbox, guarantee, stream);
    accepted some = {0};
    size_t pushed = 0;

    while (lane != NULL && pushed < count && messages[pushed].guarantee == guarantee &&
           messages[pushed].stream == stream &&
           push_one(outbox, lane, &messages[pushed], &some, now_ns))
        pushed++;
    if (pushed > 0)
        count_in(outbox, lane, &some);
    if (pushed > 0 && !ed_list_linked(&lane->turn)) // more of them do not take a turn away
        ed_outbox_update_turn(outbox, lane);
    return pushed;
}

size_t ed_outbox_push(ed_outbox *outbox, const ed_message *messages, size_t count, uint64_t now_ns)
{
    size_t pushed = 0, run = 1;

    for (; pushed < count && run > 0; pushed += run)
        run = push_run(outbox, &messages[pushed], count - pushed, now_ns);
    return pushed;
}

void ed_outbox_drop_hasty(ed_outbox *outbox)
{
    ed_list_node *node = outbox->hasty_count > 0 ? ed_list_first(&outbox->waiting) : NULL;

    while (node != NULL) {
        ed_out *out = ed_out_of_place(node);
        node = ed_list_next(&outbox->waiting, node);
        if (out->part.now_or_never)
            shed(outbox, out);
    }
}

/* ----------------------------------------------------------------------------------- oldest -- */

static ed_out *older_of(ed_out *a, ed_out *b)
{
    return a == NULL || (b != NULL && b->part.first_packet < a->part.first_packet) ? b : a;
}

ed_out *ed_outbox_oldest(const ed_outbox *outbox)
{
    ed_out *oldest = NULL;

    for (unsigned g = ED_WIRE_RELIABLE_UNORDERED; g < ED_WIRE_GUARANTEE_COUNT; g++)
        for (unsigned stream = 0; stream < outbox->lanes.end[g]; stream++) {
            const ed_lane_out *lane = ed_lanes_find(&outbox->lanes, (uint8_t)g, (uint8_t)stream);
            if (lane != NULL)
                oldest = older_of(oldest, ed_out_of_place(ed_list_first(&lane->begun)));
        }
    return oldest;
}

ed_out *ed_out_next_oldest(const ed_out *out)
{
    return ed_out_of_place(ed_list_next(&out->lane->begun, &out->place));
}

ed_part *ed_out_first_part(ed_out *out)
{
    ed_list_node *first = ed_list_first(&out->pieces);

    if (first != NULL)
        return &ED_CONTAINER(first, ed_piece, sibling)->part;
    return out->part.is_begun && !ed_out_is_in_pieces(out) ? &out->part : NULL;
}

ed_part *ed_part_next(ed_part *part)
{
    if (!part->is_piece)
        return NULL;
    ed_piece *piece = ed_piece_of(part);
    ed_list_node *next = ed_list_next(&piece->out->pieces, &piece->sibling);
    return next == NULL ? NULL : &ED_CONTAINER(next, ed_piece, sibling)->part;
}
