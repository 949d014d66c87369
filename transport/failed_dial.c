#include "transport/failed_dial.h"

#include <string.h>

#include "core/base.h"

/** DISCONNECTED, as it is known so far. The handle is in the block's `note`. */
static eddy_event_disconnected *end_of(ed_block *failed)
{
    ED_ASSERT(failed->size == sizeof(eddy_event_disconnected));
    return (void *)failed->data;
}

void ed_failed_dial_init(ed_block *last, eddy_connection connection, eddy_status why)
{
    *end_of(last) = (eddy_event_disconnected){.end = why == EDDY_EEXIST    ? EDDY_END_DUPLICATE
                                                     : why == EDDY_ECLOSED ? EDDY_END_CLOSED_LOCAL
                                                                           : EDDY_END_MEMORY};
    last->note = connection;
    last->next = NULL;
}

/** The receipts are a ring, in the order of the messages; `next` of the block is the newest. */
static void add_receipt(ed_block *failed, ed_block *receipt)
{
    ed_block *newest = failed->next;

    receipt->next = newest == NULL ? receipt : newest->next;
    if (newest != NULL)
        newest->next = receipt;
    failed->next = receipt;
}

static ed_block *take_receipt(ed_block *failed)
{
    ed_block *newest = failed->next;
    ed_block *oldest = newest->next;

    newest->next = oldest->next;
    if (oldest == newest)
        failed->next = NULL;
    oldest->next = NULL;
    return oldest;
}

void ed_failed_dial_add(ed_block *failed, bool is_reliable, ed_block *receipt)
{
    end_of(failed)->undelivered += is_reliable ? 1 : 0;
    if (receipt == NULL || ed_receipt_of(receipt)->is_quiet) {
        ed_pool_give(receipt);
        return;
    }
    ed_receipt_of(receipt)->event.outcome = EDDY_OUTCOME_LOST;
    add_receipt(failed, receipt);
}

bool ed_failed_dial_next(ed_block *failed, ed_event_item *item)
{
    eddy_event_disconnected last = *end_of(failed);

    if (failed->next != NULL) {
        *item = (ed_event_item){
            .connection = failed->note, .block = take_receipt(failed), .type = EDDY_RECEIPT};
        return false;
    }
    *item = ed_event_of(failed->note, EDDY_DISCONNECTED, failed, &last, sizeof(last));
    return true;
}
