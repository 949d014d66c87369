/**
 * What waits to be sent again, the oldest first: it is what the receiver waits for. Losses mostly
 * come in that order; those that do not are put in their places together, when the first is asked
 * for, as who acknowledges decides on their order, and a search for each might pass all others.
 */
#include "transport/stream_send.h"

enum { RUNS_LOG2_MAX = 32 }; /* more than there are indexes for parts */

static ed_part *part_of(ed_list_node *node)
{
    return ED_CONTAINER(node, ed_part, record.node);
}

static bool is_older(ed_list_node *node, ed_list_node *than)
{
    ed_out_of_part(part_of(node))->lane->look_count++;
    return part_of(node)->first_packet < part_of(than)->first_packet;
}

void ed_part_queue_lost(ed_outbox *outbox, ed_part *part)
{
    ed_list_node *node = &part->record.node;
    ed_list_node *last = outbox->lost.head.previous;
    bool is_in_order = ed_list_empty(&outbox->lost) || !is_older(node, last);

    ed_list_push_back(&outbox->lost, node);
    if (outbox->lost_unsorted == NULL && !is_in_order)
        outbox->lost_unsorted = node;
    part->is_lost = true;
}

void ed_part_leave_lost(ed_outbox *outbox, ed_part *part)
{
    ed_list_node *node = &part->record.node;

    ED_ASSERT(part->is_lost);
    if (outbox->lost_unsorted == node)
        outbox->lost_unsorted = ed_list_next(&outbox->lost, node);
    ed_list_remove(node);
    part->is_lost = false;
}

/* ---------------------------------------------------------------------------------- sorting -- */

/* A chain is linked by `next` alone, and ends with NULL. */

/** Ends a chain where it is not by age any more. @return the rest of it. */
static ed_list_node *cut_run(ed_list_node *chain)
{
    while (chain->next != NULL && !is_older(chain->next, chain))
        chain = chain->next;
    ed_list_node *rest = chain->next;
    chain->next = NULL;
    return rest;
}

/** @return the chain of two that are by age; of the same age, those of `first` go first. */
static ed_list_node *merge(ed_list_node *first, ed_list_node *second)
{
    ed_list_node *merged = NULL;
    ed_list_node **end = &merged;

    while (first != NULL && second != NULL) {
        ed_list_node **from = is_older(second, first) ? &second : &first;
        *end = *from;
        end = &(*end)->next;
        *from = *end;
    }
    *end = first != NULL ? first : second;
    return merged;
}

static ed_list_node *sort(ed_list_node *chain)
{
    ed_list_node *sorted[RUNS_LOG2_MAX] = {NULL}; // of 2^i runs each, the later ones first
    ed_list_node *all = NULL;

    while (chain != NULL) {
        ed_list_node *run = chain;
        size_t i = 0;
        chain = cut_run(run);
        for (; sorted[i] != NULL; sorted[i++] = NULL)
            run = merge(sorted[i], run);
        sorted[i] = run;
    }
    for (size_t i = 0; i < RUNS_LOG2_MAX; i++)
        all = merge(sorted[i], all);
    return all;
}

/** Takes from the list what is there from a node on. @return that as a chain. */
static ed_list_node *cut_list(ed_list *list, ed_list_node *from)
{
    list->head.previous->next = NULL;
    list->head.previous = from->previous;
    from->previous->next = &list->head;
    return from;
}

/** Puts a chain in its places; both are by age. */
static void put_among(ed_list *list, ed_list_node *chain)
{
    ed_list_node *before = &list->head;

    while (chain != NULL) {
        ed_list_node *node = chain;
        chain = node->next;
        *node = (ed_list_node){0};
        if (list->head.previous != before && !is_older(node, list->head.previous))
            before = list->head.previous;
        while (before->next != &list->head && !is_older(node, before->next))
            before = before->next;
        ed_list_insert_after(before, node);
        before = node;
    }
}

ed_part *ed_outbox_first_lost(ed_outbox *outbox)
{
    ed_list_node *unsorted = outbox->lost_unsorted;

    if (unsorted != NULL)
        put_among(&outbox->lost, sort(cut_list(&outbox->lost, unsorted)));
    outbox->lost_unsorted = NULL;
    ed_list_node *first = ed_list_first(&outbox->lost);
    return first == NULL ? NULL : part_of(first);
}
