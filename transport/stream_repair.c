/** What became of the messages that were sent: acknowledged, lost, expired or overtaken. */
#include "transport/redundancy.h"
#include "transport/stream_send.h"

enum {
    RETRY_MS = 10, /* after there was no memory for giving a message up */
};

static ed_part *part_of_sibling(ed_list_node *node)
{
    return node == NULL ? NULL : ED_CONTAINER(node, ed_part, sibling);
}

static ed_part *part_of_node(ed_list_node *node)
{
    return ED_CONTAINER(node, ed_part, record.node);
}

static ed_part *first_part(const ed_out *out)
{
    return part_of_sibling(ed_list_first(&out->parts));
}

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
            ed_out_tell(outbox, out, out->is_begun ? EDDY_OUTCOME_EXPIRED : EDDY_OUTCOME_LOST);
    }
}

/* -------------------------------------------------------------------------------- forgetting -- */

void ed_part_forget(ed_outbox *outbox, ed_part *part)
{
    ED_ASSERT(part->out != NULL);
    if (outbox->lost_hint == &part->record.node)
        outbox->lost_hint = NULL;
    ed_list_remove(&part->record.node);
    ed_list_remove(&part->sibling);
    part->out = NULL;
    ed_records_give(&outbox->parts, part); // references in the log of sent packets go stale
}

/** It is not queued any more: the accounts have room for another. */
static void refund(ed_outbox *outbox, const ed_out *out)
{
    uint64_t cost = ed_send_cost(out->size);
    ed_stream_out *own = outbox->streams == NULL ? NULL : &outbox->streams[out->lane->stream];

    ED_ASSERT(outbox->queued_size >= cost);
    outbox->queued_size -= cost;
    out->lane->queued_size -= cost;
    *outbox->made_of.queued_cost -= cost;
    if (own != NULL) // what was accepted before the stream was counted is not taken off it
        own->queued -= ed_min_u64(own->queued, cost);
    if (outbox->made_of.account != NULL)
        ed_account_owe(outbox->made_of.account, outbox->made_of.settled, out->lane->stream,
                       (size_t)cost);
}

/** What only a message that has not been given up counts for. */
static void release(ed_outbox *outbox, ed_out *out)
{
    ED_ASSERT(out->block != NULL);
    refund(outbox, out);
    if (ed_lane_is_reliable(out->lane)) {
        ED_ASSERT(outbox->reliable_count > 0);
        outbox->reliable_count--;
    }
    if (outbox->deadlines != NULL)
        ed_deadlines_set(outbox->deadlines, out->record.index, ED_NEVER_NS);
    ed_discard(&outbox->made_of.settled->blocks, out->block);
    out->block = NULL;
}

void ed_out_forget(ed_outbox *outbox, ed_out *out)
{
    ed_lane_out *lane = out->lane;
    bool is_fresh = ed_list_linked(&out->record.node);

    ED_ASSERT(lane != NULL);
    while (!ed_list_empty(&out->parts))
        ed_part_forget(outbox, first_part(out));
    if (is_fresh)
        ed_out_leave_fresh(outbox, out);
    if (out->block != NULL)
        release(outbox, out);
    ed_list_remove(&out->place);
    outbox->skip_count -= out->is_skip ? 1 : 0;
    ed_pool_give(out->receipt);
    out->receipt = NULL;
    out->lane = NULL;
    ed_records_give(&outbox->outs, out);
    if (is_fresh || !ed_list_linked(&lane->turn)) // a window that opens takes no turn away
        ed_outbox_update_turn(outbox, lane);
}

/* --------------------------------------------------------------------------------------- ack -- */

/** The part of a reference, or NULL if it is settled. */
static ed_part *resolve(const ed_outbox *outbox, ed_sent_ref ref)
{
    ed_part *part = ed_records_at(&outbox->parts, ref.slot);

    return part->record.generation == ref.generation ? part : NULL;
}

ed_part *ed_outbox_to_copy(const ed_outbox *outbox, ed_sent_ref ref, uint64_t packet)
{
    ed_part *part = resolve(outbox, ref);

    if (part == NULL || part->is_lost || part->first_packet != packet)
        return NULL;
    const ed_out *out = part->out;
    bool is_wanted = ed_lane_is_reliable(out->lane) && !out->is_skip &&
                     out->size <= ED_COPY_SIZE_MAX && !ed_out_is_superseded(out) &&
                     (outbox->streams == NULL || !outbox->streams[out->lane->stream].no_copies);
    return is_wanted ? part : NULL;
}

void ed_outbox_on_acked(ed_outbox *outbox, ed_sent_ref ref)
{
    ed_part *part = resolve(outbox, ref);
    if (part == NULL)
        return;

    ed_out *out = part->out;
    ed_part_forget(outbox, part);
    if (!ed_list_empty(&out->parts) || ed_list_linked(&out->record.node))
        return; // there is more of it
    ed_out_tell(outbox, out, EDDY_OUTCOME_ACKED);
    ed_out_forget(outbox, out);
}

/* -------------------------------------------------------------------------------------- loss -- */

/**
 * The oldest goes first: it is what the receiver waits for. Losses come in runs, so the place is
 * mostly behind that of the one before.
 */
void ed_part_queue_lost(ed_outbox *outbox, ed_part *part)
{
    ed_list_node *head = &outbox->lost.head;
    ed_list_node *before = outbox->lost_hint != NULL ? outbox->lost_hint : head->previous;

    while (before != head && part_of_node(before)->first_packet > part->first_packet)
        before = before->previous;
    while (before->next != head && part_of_node(before->next)->first_packet <= part->first_packet)
        before = before->next;
    ed_list_insert_after(before, &part->record.node);
    outbox->lost_hint = &part->record.node;
    part->is_lost = true;
}

/**
 * Has one part stand for a message that was begun and is given up: a new one, as the old ones'
 * packets say nothing about it. @return NULL out of memory, where none was left.
 */
static ed_part *replace_parts(ed_outbox *outbox, ed_out *out)
{
    if (ed_list_empty(&out->parts) && !ed_records_reserve(&outbox->parts))
        return NULL;
    while (!ed_list_empty(&out->parts))
        ed_part_forget(outbox, first_part(out));
    ed_part *part = ed_records_take(&outbox->parts);
    *part = (ed_part){.record = part->record, .out = out, .first_packet = out->first_packet};
    ed_list_push_back(&out->parts, &part->sibling);
    return part;
}

/**
 * A reliable message is not sent any more. The receiver must know, if it may have heard of it.
 * @return false out of memory: nothing has changed.
 */
static bool give_up(ed_outbox *outbox, ed_out *out, eddy_outcome outcome)
{
    ed_lane_out *lane = out->lane;

    if (!out->is_begun) {
        ed_out_tell(outbox, out, outcome);
        ed_out_forget(outbox, out);
        return true;
    }
    ed_part *part = replace_parts(outbox, out);
    if (part == NULL)
        return false;
    ed_out_tell(outbox, out, outcome);
    if (ed_list_linked(&out->record.node))
        ed_out_leave_fresh(outbox, out);
    release(outbox, out);
    out->is_skip = true;
    outbox->skip_count++;
    ed_part_queue_lost(outbox, part);
    ed_outbox_update_turn(outbox, lane);
    return true;
}

bool ed_out_is_superseded(const ed_out *out)
{
    return out->lane->guarantee == ED_WIRE_RELIABLE_SEQUENCED && !out->is_skip &&
           out->sequence + 1 < out->lane->next_sequence;
}

void ed_outbox_on_lost(ed_outbox *outbox, ed_sent_ref ref, uint64_t packet)
{
    ed_part *part = resolve(outbox, ref);
    // A newer packet may carry it; then that one's fate decides.
    if (part == NULL || part->is_lost || part->last_packet != packet)
        return;

    ed_out *out = part->out;
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

/* ------------------------------------------------------------------------------------ expiry -- */

void ed_outbox_expire(ed_outbox *outbox, uint64_t now_ns)
{
    uint32_t index = 0;

    while (outbox->deadlines != NULL && ed_deadlines_pop(outbox->deadlines, now_ns, &index)) {
        ed_out *out = ed_records_at(&outbox->outs, index);
        eddy_outcome outcome = out->is_begun ? EDDY_OUTCOME_EXPIRED : EDDY_OUTCOME_LOST;
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
        if (out->lane == NULL || out->is_begun || out->size <= size)
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
