#include "transport/event.h"

#include <string.h>

#include "core/base.h"

static_assert(sizeof(void *) < 8 || sizeof(ed_event_item) == 24, "an event that waits is small");

enum {
    UNION_OFFSET = offsetof(eddy_event, connected), /* where all that it may hold begins */
    UNION_SIZE = offsetof(eddy_event, block) - UNION_OFFSET,
};

static size_t data_size(eddy_event_type type)
{
    ED_ASSERT(type == EDDY_CONNECT_REQUEST || type == EDDY_CONNECTED || type == EDDY_DISCONNECTED);
    return type == EDDY_CONNECT_REQUEST ? sizeof(eddy_event_request)
           : type == EDDY_CONNECTED     ? sizeof(eddy_event_connected)
                                        : sizeof(eddy_event_disconnected);
}

size_t ed_event_charge(bool asks)
{
    return (asks ? ed_pool_charge(data_size(EDDY_CONNECT_REQUEST)) : 0) +
           ed_pool_charge(data_size(EDDY_CONNECTED)) + ed_pool_charge(data_size(EDDY_DISCONNECTED));
}

size_t ed_event_payload_charge(void)
{
    return ed_pool_charge(sizeof(ed_newcomer) + EDDY_CONNECT_PAYLOAD_MAX + EDDY_TOKEN_DATA_MAX);
}

ed_block *ed_event_reserve(ed_pool *pool, eddy_event_type type)
{
    return ed_pool_take(pool, data_size(type));
}

ed_event_item ed_event_of(eddy_connection connection, eddy_event_type type, ed_block *block,
                          const void *data, size_t size)
{
    ED_ASSERT(block != NULL && block->size == size && size <= UNION_SIZE);
    memcpy(block->data, data, size);
    return (ed_event_item){.connection = connection, .block = block, .type = (uint8_t)type};
}

void ed_event_read(const ed_event_item *item, eddy_event *event)
{
    ed_block *block = item->block;

    event->type = (eddy_event_type)item->type;
    event->connection = item->connection;
    event->block = NULL;
    if (item->type == EDDY_MESSAGE) { // field by field: the union is far larger than this
        event->block = block;
        event->message = (eddy_event_message){.data = block->data,
                                              .size = block->size,
                                              .guarantee = (eddy_guarantee)item->guarantee,
                                              .stream = item->stream,
                                              .skipped = item->skipped};
    } else if (block != NULL) {
        ED_ASSERT(block->size <= UNION_SIZE);
        memcpy((uint8_t *)event + UNION_OFFSET, block->data, block->size);
        event->block = block->next;
        block->next = NULL;
    }
}

void ed_event_drop(const ed_event_item *item)
{
    // Of a message nothing hangs on it: it was unlinked when it was given out.
    if (item->block != NULL)
        ed_pool_give(item->block->next);
    ed_pool_give(item->block);
}
