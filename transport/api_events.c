/** The calls of core/eddy.h that take events, and give them back. */
#include "core/clock.h"
#include "core/share.h"
#include "transport/api_state.h"

enum { EVENT_BATCH = 64 };

/** The deadline of a wait that begins now; without a pump nothing can come while we wait. */
static uint64_t wait_until_ns(const eddy_manager *m, uint32_t timeout_ms)
{
    if (timeout_ms == 0 || !m->config.pump)
        return 0;
    return ed_clock_deadline_ns(timeout_ms);
}

/** Hands blocks back to their shard, and wakes that where it can do nothing before. */
static void give_back(ed_shard *shard, const ed_returned *returned)
{
    if (ed_returns_push(&shard->returns, returned))
        ed_channel_nudge(shard->commands);
}

/** The program hears the last of a connection: its slot may be free now. */
static void take_last(ed_shard *shard, const ed_event_item *item)
{
    if (ed_slots_is_outgoing(shard->slots, item->connection)) {
        // At once: whoever dials again now should not have to wait for a poll.
        ed_pool_give(item->block);
        ed_slots_forget(shard->slots, item->connection);
        return;
    }
    // At a poll: which slot a newcomer gets depends on the manager's inputs alone.
    ed_returned alone = ed_returned_alone(item->block);

    ed_return_mark_last(item->block, item->connection);
    if (ed_share_count(shard->common->config) == 1) {
        give_back(shard, &alone);
        return;
    }
    // Others may have a newcomer for the place, which is no reason for this one to poll.
    ed_returns_push_urgent(&shard->returns, &alone);
    ed_channel_nudge(shard->commands);
}

/** What comes with an event that is no message. */
static void open_other(ed_shard *shard, const ed_event_item *item)
{
    // Only now may another be asked for, so that no more than one waits to be taken.
    if (item->type == EDDY_WRITABLE)
        ed_account_answered(&shard->accounts[ed_slot_of(item->connection)], item->connection);
    if (item->type == EDDY_DISCONNECTED)
        take_last(shard, item);
    else
        ed_pool_give(item->block);
}

/**
 * Makes an item the program's: a message or a payload leaves it something to release.
 * @param before the event that is taken in the same call before it; NULL: none.
 */
static void open_item(eddy_manager *m, const ed_event_item *item, const eddy_event *before,
                      eddy_event *event)
{
    bool is_same = before != NULL && before->connection == item->connection;

    ed_event_read(item, event);
    if (is_same && item->type == EDDY_MESSAGE) {
        event->user_data = before->user_data;
        return;
    }
    ed_shard *shard = ed_api_shard(m, item->connection);
    // Now, as the program may have said whose it is while the event waited.
    event->user_data = ed_slots_data(shard->slots, item->connection);
    if (item->type != EDDY_MESSAGE)
        open_other(shard, item);
}

static eddy_status next_event(eddy_manager *m, eddy_event *event, uint64_t deadline_ns)
{
    ed_event_item item;
    size_t count = 0;

    *event = (eddy_event){0};
    if (ed_api_is_forked(m))
        return EDDY_EFORKED; // what waits is the parent's to take
    eddy_status status = ed_channel_pull(m->events, &item, 1, &count, deadline_ns);
    if (status == EDDY_OK)
        open_item(m, &item, NULL, event);
    return status;
}

eddy_status eddy_next(eddy_manager *m, eddy_event *event, uint32_t timeout_ms)
{
    return next_event(m, event, wait_until_ns(m, timeout_ms));
}

eddy_status eddy_await(eddy_manager *m, eddy_event_type type, eddy_event *event,
                       uint32_t timeout_ms)
{
    uint64_t deadline_ns = wait_until_ns(m, timeout_ms);
    eddy_status status = next_event(m, event, deadline_ns);

    while (status == EDDY_OK && event->type != type) {
        if (event->type == EDDY_DISCONNECTED)
            return EDDY_ECLOSED;
        eddy_release(m, event);
        status = next_event(m, event, deadline_ns);
    }
    return status;
}

size_t eddy_next_batch(eddy_manager *m, eddy_event *events, size_t count)
{
    ED_UNCLEARED ed_event_item items[EVENT_BATCH];
    size_t taken = 0;
    size_t got = 0;

    if (ed_api_is_forked(m))
        return 0;
    for (; taken < count; taken += got) {
        size_t most = ed_min_size(count - taken, EVENT_BATCH);
        if (ed_channel_pull(m->events, items, most, &got, 0) != EDDY_OK)
            return taken;
        for (size_t i = 0; i < got; i++)
            open_item(m, &items[i], i == 0 ? NULL : &events[taken + i - 1], &events[taken + i]);
    }
    return taken;
}

/**
 * Whose messages come out of that pool. The program may have changed what the event says.
 * @param before which it may be again; NULL: none.
 */
static ed_shard *shard_of_pool(const eddy_manager *m, ed_shard *before, const ed_pool *pool)
{
    if (before != NULL && before->receive_pool == pool)
        return before;
    for (uint32_t i = 0; i < m->shard_count; i++)
        if (m->shards[i]->receive_pool == pool)
            return m->shards[i];
    return NULL;
}

/** Makes it empty, so that releasing it again is fine, and what it pointed to is not found. */
static void close_event(eddy_event *event)
{
    event->type = EDDY_EVENT_NONE;
    event->connection = 0;
    event->user_data = NULL;
    event->message = (eddy_event_message){.data = NULL};
    event->block = NULL;
}

void eddy_release_batch(eddy_manager *m, eddy_event *events, size_t count)
{
    ed_returned run = {.newest = NULL}; // of one shard
    ed_shard *shard = NULL;
    bool is_forked = ed_api_is_forked(m);

    for (size_t i = 0; i < count; i++) {
        ed_block *block = events[i].block;
        close_event(&events[i]);
        if (block == NULL || is_forked)
            continue; // the parent has its own copy, and releases that
        ed_shard *own = shard_of_pool(m, shard, block->pool);
        // A payload, or a message of a pair, was not granted to a peer: nobody waits for it.
        if (own == NULL) {
            ed_pool_give(block);
            continue;
        }
        if (own != shard && shard != NULL) {
            give_back(shard, &run);
            run = (ed_returned){.newest = NULL};
        }
        shard = own;
        ed_returned_add(&run, block);
    }
    if (shard != NULL)
        give_back(shard, &run);
}

void eddy_release(eddy_manager *m, eddy_event *event)
{
    eddy_release_batch(m, event, 1);
}

int eddy_event_fd(eddy_manager *m)
{
    return ed_api_is_forked(m) ? -1 : ed_channel_fd(m->events);
}
