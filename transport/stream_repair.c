/** What became of the messages that were sent: acknowledged, lost, expired or overtaken. */
#include "transport/begun.h"
#include "transport/redundancy.h"
#include "transport/stream_send.h"

enum {
    RETRY_MS = 10, /* after there was no memory for giving a message up */
};

/* ---------------------------------------------------------------------------------- receipts -- */

void ed_out_tell(ed_outbox *outbox, ed_out *out, eddy_outcome outcome)
{
    ed_block *block = out->receipt;

    if (block == NULL)
        return;
    ed_receipt *receipt = ed_receipt_of(block);
    out->receipt = NULL;
    if (outcome == EDDY_OUTCOME_ACKED)
        out->lane->newest_receipt = ed_max_u64(out->lane->newest_receipt, receipt->event.receipt);
    if (receipt->is_quiet) {
        ed_pool_give(block);
        return;
    }
    receipt->event.outcome = outcome;
    block->next = NULL;
    if (outbox->last_receipt == NULL)
        outbox->first_receipt = block;
    else
        outbox->last_receipt->next = block;
    outbox->last_receipt = block;
}

ed_block *ed_outbox_next_receipt(ed_outbox *outbox)
{
    ed_block *block = outbox->first_receipt;

    if (block == NULL)
        return NULL;
    outbox->first_receipt = block->next;
    if (outbox->first_receipt == NULL)
        outbox->last_receipt = NULL;
    block->next = NULL;
    return block;
}

void ed_outbox_end(ed_outbox *outbox)
{
    for (uint32_t i = 0; i < ed_records_count(&outbox->outs); i++) {
        ed_out *out = ed_records_at(&outbox->outs, i);
        if (out->lane != NULL)
            ed_out_tell(outbox, out, out->part.is_begun ? EDDY_OUTCOME_EXPIRED : EDDY_OUTCOME_LOST);
    }
}

/* -------------------------------------------------------------------------------- forgetting -- */

void ed_piece_forget(ed_outbox *outbox, ed_piece *piece)
{
    ED_ASSERT(piece->out != NULL);
    if (piece->part.is_lost)
        ed_part_leave_lost(outbox, &piece->part);
    ed_list_remove(&piece->sibling);
    piece->out = NULL;
    ed_records_give(&outbox->pieces, piece); // references in the log of sent packets go stale
}

static void forget_pieces(ed_outbox *outbox, ed_out *out)
{
    while (!ed_list_empty(&out->pieces))
        ed_piece_forget(outbox, ED_CONTAINER(ed_list_first(&out->pieces), ed_piece, sibling));
}

void ed_outbox_refund(ed_outbox *outbox, ed_lane_out *lane, uint64_t cost)
{
    ed_stream_out *own = outbox->streams == NULL ? NULL : &outbox->streams->of[lane->stream];

    ED_ASSERT(outbox->queued_size >= cost);
    outbox->queued_size -= cost;
    lane->queued_size -= cost;
    *outbox->made_of.queued_cost -= cost;
    if (own != NULL) // what was accepted before the stream was counted is not taken off it
        own->queued -= ed_min_u64(own->queued, cost);
    if (outbox->made_of.account != NULL)
        ed_account_owe(outbox->made_of.account, outbox->made_of.settled, lane->stream,
                       (size_t)cost);
}

/** Its deadline and its block are not needed any more. */
static void let_go(ed_outbox *outbox, ed_out *out)
{
    ED_ASSERT(out->block != NULL);
    if (outbox->deadlines != NULL)
        ed_deadlines_set(outbox->deadlines, out->part.record.index, ED_NEVER_NS);
    ed_discard(&outbox->made_of.settled->blocks, out->block);
    out->block = NULL;
}

static void count_out(ed_outbox *outbox, const ed_lane_out *lane, size_t count)
{
    if (!ed_lane_is_reliable(lane))
        return;
    ED_ASSERT(outbox->reliable_count >= count);
    outbox->reliable_count -= count;
}

/** What only a message that has not been given up counts for. */
static void release(ed_outbox *outbox, ed_out *out)
{
    let_go(outbox, out);
    ed_outbox_refund(outbox, out->lane, ed_send_cost(out->size));
    count_out(outbox, out->lane, 1);
}

/** Nothing of it is left. */
static void drop(ed_outbox *outbox, ed_out *out)
{
    ed_list_remove(&out->place);
    out->lane = NULL;
    ed_records_give(&outbox->outs, out);
}

void ed_out_settle(ed_outbox *outbox, ed_out *out)
{
    let_go(outbox, out);
    drop(outbox, out);
}

void ed_out_forget(ed_outbox *outbox, ed_out *out)
{
    ed_lane_out *lane = out->lane;
    bool is_fresh = ed_out_is_fresh(out);

    ED_ASSERT(lane != NULL);
    forget_pieces(outbox, out);
    if (is_fresh)
        ed_out_leave_fresh(outbox, out);
    if (out->part.is_lost)
        ed_part_leave_lost(outbox, &out->part);
    if (out->block != NULL)
        release(outbox, out);
    outbox->skip_count -= out->part.is_skip ? 1 : 0;
    ed_pool_give(out->receipt);
    out->receipt = NULL;
    drop(outbox, out);
    if (is_fresh && ed_lane_is_reliable(lane))
        ed_outbox_feed(outbox); // the lane may have starved for this one, which is larger
    if (is_fresh || !ed_list_linked(&lane->turn)) // a window that opens takes no turn away
        ed_outbox_update_turn(outbox, lane);
}

/* ------------------------------------------------------------------------------- references -- */

static uint32_t behind(const ed_out *out, ed_sent_ref ref)
{
    return (uint32_t)out->sequence - ref.stamp;
}

/** The first message from there on, of those that its lane has begun, that the run names. */
static ed_out *first_in_run(const ed_lane_out *lane, ed_list_node *node, ed_sent_ref ref)
{
    // What was given up is another matter: packets that carried it say nothing of that.
    while (node != NULL && ed_out_of_place(node)->part.is_skip &&
           behind(ed_out_of_place(node), ref) < ref.count)
        node = ed_list_next(&lane->begun, node);
    ed_out *out = ed_out_of_place(node);
    return out != NULL && behind(out, ref) < ref.count ? out : NULL;
}

static ed_part *first_of_run(ed_outbox *outbox, ed_sent_ref ref)
{
    ed_lane_out *lane = ed_lanes_find(&outbox->lanes, ref.guarantee, ref.stream);

    ED_ASSERT(lane != NULL);
    ed_out *out = ed_begun_find(lane, ref.stamp, ref.count);
    out = out == NULL ? NULL : first_in_run(lane, &out->place, ref);
    return out == NULL ? NULL : &out->part;
}

ed_part *ed_outbox_first_of(ed_outbox *outbox, ed_sent_ref ref)
{
    if (ref.count > 0)
        return first_of_run(outbox, ref);
    ed_piece *piece = ed_records_at(&outbox->pieces, ref.slot);
    return piece->part.record.generation == ref.stamp ? &piece->part : NULL;
}

ed_part *ed_outbox_next_of(ed_sent_ref ref, ed_part *part)
{
    if (ref.count <= 1)
        return NULL;
    const ed_out *out = ed_out_of_part(part);
    ed_out *next = first_in_run(out->lane, ed_list_next(&out->lane->begun, &out->place), ref);
    return next == NULL ? NULL : &next->part;
}

bool ed_outbox_wants_copy(const ed_outbox *outbox, ed_part *part, uint64_t packet)
{
    const ed_out *out = ed_out_of_part(part);

    return !part->is_lost && part->first_packet == packet && ed_lane_is_reliable(out->lane) &&
           !out->part.is_skip && out->size <= ED_COPY_SIZE_MAX && !ed_out_is_superseded(out) &&
           (outbox->streams == NULL || !outbox->streams->of[out->lane->stream].no_copies);
}

/* --------------------------------------------------------------------------------------- ack -- */

static void on_piece_acked(ed_outbox *outbox, ed_piece *piece)
{
    ed_out *out = piece->out;

    ed_piece_forget(outbox, piece);
    if (!ed_list_empty(&out->pieces) || ed_out_is_fresh(out))
        return; // there is more of it
    ed_out_tell(outbox, out, EDDY_OUTCOME_ACKED);
    ed_out_forget(outbox, out);
}

static void on_run_acked(ed_outbox *outbox, ed_part *part, ed_sent_ref ref)
{
    ed_lane_out *lane = ed_out_of_part(part)->lane;
    ed_send_costs costs = {0};
    uint64_t sum = 0;
    size_t count = 0;

    for (ed_part *next = NULL; part != NULL; part = next, count++) {
        ed_out *out = ed_out_of_part(part);
        next = ed_outbox_next_of(ref, part);
        sum += ed_send_costs_next(&costs, out->size);
        ed_out_tell(outbox, out, EDDY_OUTCOME_ACKED);
        if (out->part.is_lost)
            ed_part_leave_lost(outbox, &out->part);
        ed_out_settle(outbox, out);
    }
    ed_outbox_refund(outbox, lane, sum);
    count_out(outbox, lane, count);
    if (!ed_list_linked(&lane->turn)) // a window that opens takes no turn away
        ed_outbox_update_turn(outbox, lane);
}

void ed_outbox_on_acked(ed_outbox *outbox, ed_sent_ref ref)
{
    ed_part *part = ed_outbox_first_of(outbox, ref);

    if (part == NULL)
        return;
    if (part->is_piece)
        on_piece_acked(outbox, ed_piece_of(part));
    else
        on_run_acked(outbox, part, ref);
}

/* -------------------------------------------------------------------------------------- loss -- */

/**
 * Has one piece stand for a message that was begun and is given up: a new one, as the packets of
 * what stood for it say nothing about it. @return NULL out of memory, where none was left.
 */
static ed_piece *replace_pieces(ed_outbox *outbox, ed_out *out)
{
    if (ed_list_empty(&out->pieces) && !ed_records_reserve(&outbox->pieces))
        return NULL;
    forget_pieces(outbox, out);
    ed_piece *piece = ed_records_take(&outbox->pieces);
    *piece = (ed_piece){.part = {.record = piece->part.record,
                                 .first_packet = out->part.first_packet,
                                 .is_piece = true},
                        .out = out};
    ed_list_push_back(&out->pieces, &piece->sibling);
    return piece;
}

/**
 * A reliable message is not sent any more. The receiver must know, if it may have heard of it.
 * @return false out of memory: nothing has changed.
 */
static bool give_up(ed_outbox *outbox, ed_out *out, eddy_outcome outcome)
{
    ed_lane_out *lane = out->lane;

    if (!out->part.is_begun) {
        ed_out_tell(outbox, out, outcome);
        ed_out_forget(outbox, out);
        return true;
    }
    ed_piece *piece = replace_pieces(outbox, out);
    if (piece == NULL)
        return false;
    ed_out_tell(outbox, out, outcome);
    if (out->part.is_lost)
        ed_part_leave_lost(outbox, &out->part);
    if (ed_out_is_fresh(out))
        ed_out_leave_fresh(outbox, out);
    release(outbox, out);
    out->part.is_skip = true;
    outbox->skip_count++;
    ed_part_queue_lost(outbox, &piece->part);
    ed_outbox_update_turn(outbox, lane);
    return true;
}

bool ed_out_is_superseded(const ed_out *out)
{
    return out->lane->guarantee == ED_WIRE_RELIABLE_SEQUENCED && !out->part.is_skip &&
           out->sequence + 1 < out->lane->next_sequence;
}

static void on_part_lost(ed_outbox *outbox, ed_part *part, uint64_t packet)
{
    ed_out *out = ed_out_of_part(part);

    // A newer packet may carry it; then that one's fate decides.
    if (part->is_lost || part->last_packet != packet)
        return;
    if (!ed_lane_is_reliable(out->lane)) {
        ed_out_tell(outbox, out, EDDY_OUTCOME_LOST);
        ed_out_forget(outbox, out);
        return;
    }
    if (ed_out_is_superseded(out) && give_up(outbox, out, EDDY_OUTCOME_LOST))
        outbox->made_of.stats->messages_superseded++;
    else
        ed_part_queue_lost(outbox, part);
}

void ed_outbox_on_lost(ed_outbox *outbox, ed_sent_ref ref, uint64_t packet)
{
    ed_part *next = NULL;

    for (ed_part *part = ed_outbox_first_of(outbox, ref); part != NULL; part = next) {
        next = ed_outbox_next_of(ref, part);
        on_part_lost(outbox, part, packet);
    }
}

/* ------------------------------------------------------------------------------------ expiry -- */

void ed_outbox_expire(ed_outbox *outbox, uint64_t now_ns)
{
    uint32_t index = 0;

    while (outbox->deadlines != NULL && ed_deadlines_pop(outbox->deadlines, now_ns, &index)) {
        ed_out *out = ed_records_at(&outbox->outs, index);
        eddy_outcome outcome = out->part.is_begun ? EDDY_OUTCOME_EXPIRED : EDDY_OUTCOME_LOST;
        ED_ASSERT(out->lane != NULL && out->block != NULL);
        if (!ed_lane_is_reliable(out->lane)) {
            ed_out_tell(outbox, out, outcome);
            ed_out_forget(outbox, out);
        } else if (!give_up(outbox, out, outcome)) {
            ed_deadlines_set(outbox->deadlines, index,
                             ed_add_sat_u64(now_ns, RETRY_MS * ED_NS_PER_MS));
            continue;
        }
        outbox->made_of.stats->messages_expired++;
    }
}

uint64_t ed_outbox_expiry_ns(const ed_outbox *outbox)
{
    return outbox->deadlines == NULL ? ED_NEVER_NS : ed_deadlines_next_ns(outbox->deadlines);
}

/* --------------------------------------------------------------------------------- too large -- */

uint64_t ed_outbox_drop_larger(ed_outbox *outbox, size_t size)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < ed_records_count(&outbox->outs); i++) {
        ed_out *out = ed_records_at(&outbox->outs, i);
        if (out->lane == NULL || out->part.is_begun || out->size <= size)
            continue;
        if (ed_lane_is_reliable(out->lane))
            count++;
        else
            ed_outbox_count_shed(outbox);
        ed_out_tell(outbox, out, EDDY_OUTCOME_TOO_BIG);
        ed_out_forget(outbox, out);
    }
    return count;
}
