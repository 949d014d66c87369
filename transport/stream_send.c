#include "transport/stream_send.h"

#include "core/alloc.h"
#include "transport/replay.h"

enum {
    CHUNK_RECORDS = 16,
    CHUNK_CAPACITY_MIN = 4,
};

static ed_out *out_of_node(ed_list_node *node)
{
    return node == NULL ? NULL : ED_CONTAINER(node, ed_out, node);
}

static ed_lane_out *lane_of_turn(ed_list_node *turn)
{
    return ED_CONTAINER(turn, ed_lane_out, turn);
}

void ed_outbox_init(ed_outbox *outbox, const eddy_allocator *allocator)
{
    *outbox = (ed_outbox){.allocator = allocator};
    ed_lanes_init(&outbox->lanes, allocator, sizeof(ed_lane_out));
    ed_list_init(&outbox->turns);
    ed_list_init(&outbox->lost);
    ed_list_init(&outbox->unused);
}

static void clear_lane(void *context, void *lane)
{
    (void)context;
    ed_list_remove(&((ed_lane_out *)lane)->turn);
}

void ed_outbox_free(ed_outbox *outbox)
{
    for (uint32_t c = 0; c < outbox->chunk_count; c++) {
        for (size_t i = 0; i < CHUNK_RECORDS; i++)
            ed_pool_give(outbox->chunks[c][i].block);
        ed_alloc_free(outbox->allocator, outbox->chunks[c], CHUNK_RECORDS * sizeof(ed_out));
    }
    ed_alloc_free(outbox->allocator, outbox->chunks, outbox->chunk_capacity * sizeof(ed_out *));
    ed_lanes_free(&outbox->lanes, clear_lane, NULL);
    ed_outbox_init(outbox, outbox->allocator);
}

/* ---------------------------------------------------------------------------------- records -- */

static bool grow(ed_outbox *outbox)
{
    if (outbox->chunk_count == outbox->chunk_capacity) {
        uint32_t wider =
            outbox->chunk_capacity == 0 ? CHUNK_CAPACITY_MIN : outbox->chunk_capacity * 2;
        ed_out **chunks =
            ed_alloc_grow(outbox->allocator, outbox->chunks,
                          outbox->chunk_capacity * sizeof(*chunks), wider * sizeof(*chunks));
        if (chunks == NULL)
            return false;
        outbox->chunks = chunks;
        outbox->chunk_capacity = wider;
    }
    ed_out *chunk = ed_alloc_array(outbox->allocator, CHUNK_RECORDS, sizeof(*chunk));
    if (chunk == NULL)
        return false;
    for (uint32_t i = 0; i < CHUNK_RECORDS; i++) {
        chunk[i].slot = outbox->chunk_count * CHUNK_RECORDS + i;
        ed_list_push_back(&outbox->unused, &chunk[i].node);
    }
    outbox->chunks[outbox->chunk_count++] = chunk;
    return true;
}

/** Takes it out of the list that it is in. */
static void unlink_node(ed_outbox *outbox, ed_out *out)
{
    if (outbox->lost_hint == &out->node)
        outbox->lost_hint = NULL;
    ed_list_remove(&out->node);
}

static void forget(ed_outbox *outbox, ed_out *out)
{
    ED_ASSERT(out->state != ED_OUT_FREE && out->block != NULL);
    if (out->lane->reliable)
        outbox->reliable_count--;
    if (out->state == ED_OUT_FRESH) {
        outbox->fresh_count--;
        outbox->unreliable_size -= out->lane->reliable ? 0 : out->block->size;
    }
    unlink_node(outbox, out);
    ed_list_remove(&out->lane_node);
    ed_pool_give(out->block);
    out->block = NULL;
    out->state = ED_OUT_FREE;
    out->generation++; // references in the sent log go stale
    ed_list_push_front(&outbox->unused, &out->node);
}

/** The record of a reference, or NULL if it has been freed since. */
static ed_out *resolve(const ed_outbox *outbox, ed_sent_ref ref)
{
    ED_ASSERT(ref.slot / CHUNK_RECORDS < outbox->chunk_count);
    ed_out *out = &outbox->chunks[ref.slot / CHUNK_RECORDS][ref.slot % CHUNK_RECORDS];
    return out->generation == ref.generation ? out : NULL;
}

/* ------------------------------------------------------------------------------------ lanes -- */

/** Whether the receiver is sure to have room for the lane's next message. */
static bool window_open(const ed_lane_out *lane)
{
    ed_list_node *oldest = ed_list_first(&lane->outstanding);
    if (oldest == NULL)
        return true;
    return lane->next_sequence < ED_CONTAINER(oldest, ed_out, lane_node)->sequence + ED_LANE_WINDOW;
}

/** Gives the lane its turn if it has something that may leave, and takes it away if not. */
static void update_turn(ed_outbox *outbox, ed_lane_out *lane)
{
    bool may_leave = !ed_list_empty(&lane->fresh) && window_open(lane);

    if (may_leave && !ed_list_linked(&lane->turn))
        ed_list_push_back(&outbox->turns, &lane->turn);
    if (!may_leave)
        ed_list_remove(&lane->turn);
}

static ed_lane_out *get_lane(ed_outbox *outbox, uint8_t guarantee, uint8_t stream)
{
    bool made = false;
    ed_lane_out *lane = ed_lanes_get(&outbox->lanes, guarantee, stream, &made);

    if (made) {
        ed_list_init(&lane->fresh);
        ed_list_init(&lane->outstanding);
        lane->guarantee = guarantee;
        lane->stream = stream;
        lane->reliable = guarantee >= ED_WIRE_RELIABLE_UNORDERED;
    }
    return lane;
}

/** Makes room for `size` more unreliable bytes, at the cost of the oldest of the same lane. */
static uint64_t shed_oldest(ed_outbox *outbox, ed_lane_out *lane, size_t size)
{
    uint64_t shed = 0;

    while (outbox->unreliable_size + size > ED_UNRELIABLE_QUEUE_MAX &&
           !ed_list_empty(&lane->fresh)) {
        forget(outbox, out_of_node(ed_list_first(&lane->fresh)));
        shed++;
    }
    return shed;
}

eddy_status ed_outbox_push(ed_outbox *outbox, uint8_t guarantee, uint8_t stream, ed_block *block,
                           uint64_t *shed)
{
    ED_ASSERT(block != NULL && block->size <= EDDY_PIECE_SIZE_MAX);
    *shed = 0;
    ed_lane_out *lane = get_lane(outbox, guarantee, stream);
    if (lane == NULL || (ed_list_empty(&outbox->unused) && !grow(outbox)))
        return EDDY_ENOMEM;

    if (!lane->reliable)
        *shed = shed_oldest(outbox, lane, block->size);
    ed_out *out = out_of_node(ed_list_pop_front(&outbox->unused));
    ED_ASSERT(out != NULL && out->state == ED_OUT_FREE);
    out->lane = lane;
    out->block = block;
    out->state = ED_OUT_FRESH;
    ed_list_push_back(&lane->fresh, &out->node);
    outbox->fresh_count++;
    outbox->reliable_count += lane->reliable ? 1 : 0;
    outbox->unreliable_size += lane->reliable ? 0 : block->size;
    update_turn(outbox, lane);
    return EDDY_OK;
}

ed_out *ed_outbox_next(const ed_outbox *outbox)
{
    ed_list_node *lost = ed_list_first(&outbox->lost);
    if (lost != NULL)
        return out_of_node(lost);
    ed_list_node *turn = ed_list_first(&outbox->turns);
    return turn == NULL ? NULL : out_of_node(ed_list_first(&lane_of_turn(turn)->fresh));
}

static ed_out *out_of_lane_node(ed_list_node *node)
{
    return node == NULL ? NULL : ED_CONTAINER(node, ed_out, lane_node);
}

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
                oldest = older_of(oldest, out_of_lane_node(ed_list_first(&lane->outstanding)));
        }
    return oldest;
}

ed_out *ed_out_next_oldest(const ed_out *out)
{
    return out_of_lane_node(ed_list_next(&out->lane->outstanding, &out->lane_node));
}

bool ed_out_fits_packet(const ed_out *out, uint64_t packet)
{
    const ed_lane_out *lane = out->lane;

    return out->state != ED_OUT_FRESH || !lane->reliable || lane->burst_packet != packet ||
           lane->burst_count < ED_LANE_BURST_MAX;
}

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

ed_message_frame ed_out_frame(const ed_out *out)
{
    const ed_lane_out *lane = out->lane;
    uint64_t sequence = out->state == ED_OUT_FRESH ? lane->next_sequence : out->sequence;

    static_assert((int)ED_LANE_WINDOW <= (int)ED_SEQUENCE_SHORT_OUTSTANDING,
                  "two bytes of sequence are always enough");
    return (ed_message_frame){
        .guarantee = lane->guarantee,
        .stream = lane->stream,
        .sequence_bits = lane->reliable ? 16 : 0,
        .sequence = lane->reliable ? (uint16_t)sequence : 0,
        .data = {.data = out->block->data, .size = out->block->size},
    };
}

void ed_outbox_on_sent(ed_outbox *outbox, ed_out *out, uint64_t packet)
{
    ED_ASSERT(out->state != ED_OUT_FREE);
    ed_lane_out *lane = out->lane;

    if (!lane->reliable) {
        forget(outbox, out);
    } else {
        if (out->state == ED_OUT_FRESH) {
            out->sequence = lane->next_sequence++;
            out->first_packet = packet;
            count_burst(lane, packet);
            ed_list_push_back(&lane->outstanding, &out->lane_node);
            outbox->fresh_count--;
        }
        unlink_node(outbox, out);
        out->state = ED_OUT_IN_FLIGHT;
        out->last_packet = packet;
    }
    // The lane goes to the back of the queue: each has its turn.
    ed_list_remove(&lane->turn);
    update_turn(outbox, lane);
}

bool ed_outbox_on_acked(ed_outbox *outbox, ed_sent_ref ref)
{
    ed_out *out = resolve(outbox, ref);
    if (out == NULL)
        return false;

    ED_ASSERT(out->state == ED_OUT_IN_FLIGHT || out->state == ED_OUT_LOST);
    ed_lane_out *lane = out->lane;
    forget(outbox, out);
    update_turn(outbox, lane);
    return true;
}

/**
 * The oldest goes first: a receiver that has no room for more than it needs next must get that, and
 * not what it would refuse again. Losses come in runs, so the place is mostly behind that of the
 * one before.
 */
static void queue_lost(ed_outbox *outbox, ed_out *out)
{
    ed_list_node *head = &outbox->lost.head;
    ed_list_node *before = outbox->lost_hint != NULL ? outbox->lost_hint : head->previous;

    while (before != head && out_of_node(before)->first_packet > out->first_packet)
        before = before->previous;
    while (before->next != head && out_of_node(before->next)->first_packet <= out->first_packet)
        before = before->next;
    ed_list_insert_after(before, &out->node);
    outbox->lost_hint = &out->node;
}

bool ed_outbox_on_lost(ed_outbox *outbox, ed_sent_ref ref, uint64_t packet)
{
    ed_out *out = resolve(outbox, ref);
    // A newer packet may carry it; then that one's fate decides.
    if (out == NULL || out->state != ED_OUT_IN_FLIGHT || out->last_packet != packet)
        return false;
    queue_lost(outbox, out);
    out->state = ED_OUT_LOST;
    return true;
}
