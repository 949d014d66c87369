/**
 * A batch: messages for one shard, which go through the same steps together. A step that refuses
 * one of them cuts the batch off before it, so that what is accepted are always the first ones.
 */
#include "transport/api_batch.h"

#include <string.h>

typedef struct batch {
    eddy_manager *manager;
    ed_shard *shard;
    const eddy_message *messages;
    ed_block **shared;  /* the place of the shard's copy; NULL: it is no broadcast */
    bool is_local;      /* they go to the other end of a pair */
    bool is_of_one;     /* connection */
    size_t count;       /* not refused so far */
    eddy_status status; /* of the one behind them, if there was one: else EDDY_OK */
    size_t taken;       /* have a block, */
    size_t charged;     /* and are charged to their account, */
    size_t commanded;   /* and have a command; those above `count` in vain */
    ed_block *blocks[ED_API_BATCH_MAX];
    ed_reliable_command commands[ED_API_BATCH_MAX];
} batch;

static void cut(batch *b, size_t count, eddy_status status)
{
    ED_ASSERT(count < b->count);
    b->count = count;
    b->status = status;
}

/* ---------------------------------------------------------------------------------- checking -- */

/** Whether messages are taken for it. */
static eddy_status check_connection(const batch *b, eddy_connection connection)
{
    if (!ed_slots_takes(b->shard->slots, connection))
        return EDDY_ECONNECTION;
    return atomic_load(&b->manager->shutting_down) ? EDDY_ECLOSED : EDDY_OK;
}

/** What does not depend on the connection. */
static inline eddy_status check_message(const eddy_manager *m, const eddy_message *message)
{
    bool reliable = message->guarantee >= EDDY_RELIABLE_UNORDERED;

    if ((unsigned)message->guarantee > EDDY_RELIABLE_SEQUENCED ||
        (message->data == NULL && message->size > 0) || (message->options.now_or_never && reliable))
        return EDDY_EINVAL;
    if (message->size > m->config.max_message_size ||
        (!reliable && message->size > EDDY_UNRELIABLE_SIZE_MAX))
        return EDDY_ETOOBIG;
    return EDDY_OK;
}

static bool is_same_connection(const batch *b, size_t i)
{
    return i > 0 && b->messages[i].connection == b->messages[i - 1].connection;
}

static void check_messages(batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        eddy_status status = check_message(b->manager, &b->messages[i]);
        bool is_same = is_same_connection(b, i);
        b->is_of_one &= is_same || i == 0;
        if (status == EDDY_OK && !is_same)
            status = check_connection(b, b->messages[i].connection);
        if (status != EDDY_OK)
            cut(b, i, status);
    }
}

/** The last event of a connection waits for what is charged by now: is it still to come? */
static void check_again(batch *b)
{
    for (size_t i = 0; i < b->count && (i == 0 || !b->is_of_one); i++) {
        eddy_status status =
            is_same_connection(b, i) ? EDDY_OK : check_connection(b, b->messages[i].connection);
        if (status != EDDY_OK)
            cut(b, i, status);
    }
}

/* ------------------------------------------------------------------------------------ blocks -- */

static ed_block *make_block(const ed_shard *shard, const void *data, size_t size)
{
    ed_block *block = ed_pool_take(shard->send_pool, size);

    if (block != NULL && size > 0)
        memcpy(block->data, data, size);
    return block;
}

static size_t take_blocks(batch *b)
{
    ED_UNCLEARED size_t sizes[ED_API_BATCH_MAX];

    for (size_t i = 0; i < b->count; i++)
        sizes[i] = b->messages[i].size;
    size_t taken = ed_pool_take_all(b->shard->send_pool, sizes, b->blocks, b->count);
    for (size_t i = 0; i < taken; i++)
        if (sizes[i] > 0)
            memcpy(b->blocks[i]->data, b->messages[i].data, sizes[i]);
    return taken;
}

static size_t share_block(batch *b)
{
    size_t taken = 0;

    if (b->count > 0 && *b->shared == NULL)
        *b->shared = make_block(b->shard, b->messages->data, b->messages->size);
    while (*b->shared != NULL && taken < b->count && ed_pool_share(*b->shared) != NULL)
        b->blocks[taken++] = *b->shared;
    return taken;
}

static void get_blocks(batch *b)
{
    b->taken = b->shared != NULL ? share_block(b) : take_blocks(b);
    if (b->taken < b->count)
        cut(b, b->taken, EDDY_EAGAIN);
}

/* ---------------------------------------------------------------------------------- accounts -- */

static ed_account *account_of(const batch *b, size_t i)
{
    return &b->shard->accounts[ed_slot_of(b->messages[i].connection)];
}

static size_t cost_of(const batch *b, size_t i)
{
    return (size_t)ed_send_cost(b->messages[i].size);
}

/** Where the run of messages of one connection and stream ends that begins there. */
static size_t end_of_run(const batch *b, size_t i)
{
    uint8_t stream = b->messages[i].stream;

    for (i++; i < b->count && is_same_connection(b, i) && b->messages[i].stream == stream;)
        i++;
    return i;
}

/**
 * Charges all of a run in one step; where that is refused, one after the other.
 * @return how far it came
 */
static size_t charge_run(const batch *b, size_t i, size_t end)
{
    size_t budget = b->manager->config.connection_send_budget;
    uint8_t stream = b->messages[i].stream;
    ed_send_costs costs = {0};
    size_t sum = 0;

    for (size_t k = i; k < end; k++)
        sum += (size_t)ed_send_costs_next(&costs, b->messages[k].size);
    if (ed_account_charge_all(account_of(b, i), budget, stream, sum) == EDDY_OK)
        return end;
    while (i < end && ed_account_charge(account_of(b, i), budget, stream, cost_of(b, i)) == EDDY_OK)
        i++;
    return i;
}

static void charge(batch *b)
{
    while (b->charged < b->count) {
        size_t end = end_of_run(b, b->charged);
        b->charged = charge_run(b, b->charged, end);
        if (b->charged < end)
            cut(b, b->charged, EDDY_EAGAIN);
    }
}

/* ---------------------------------------------------------------------------------- commands -- */

static ed_block *make_receipt(const batch *b, size_t i)
{
    const eddy_send_options *options = &b->messages[i].options;
    ed_receipt receipt = {.event.receipt = options->receipt, .is_quiet = options->quiet_receipt};
    ed_block *block = ed_pool_take(b->shard->receipt_pool, sizeof(receipt));

    ED_ASSERT(ed_pool_charge(sizeof(receipt)) <= ED_RECEIPT_CHARGE);
    if (block != NULL)
        memcpy(block->data, &receipt, sizeof(receipt));
    return block;
}

static void make_commands(batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        const eddy_message *message = &b->messages[i];
        const eddy_send_options *options = &message->options;
        bool has_receipt = options->receipt != 0 && !(b->is_local && options->quiet_receipt);
        b->commands[i] = (ed_reliable_command){
            .head = {.kind = ED_COMMAND_TO_CONNECTION, .connection = message->connection},
            .operation = ED_OPERATION_SEND,
            .block = b->blocks[i],
            .receipt = has_receipt ? make_receipt(b, i) : NULL,
            .expire_ms = options->expire_ms,
            .guarantee = (uint8_t)message->guarantee,
            .stream = message->stream,
            .now_or_never = options->now_or_never};
        b->commanded = i + 1;
        if (has_receipt && b->commands[i].receipt == NULL)
            cut(b, i, EDDY_EAGAIN);
    }
}

/** Gives them to the core, which owns their blocks from here on. */
static void push(batch *b)
{
    if (b->count == 0)
        return;
    eddy_status status = ed_api_check_open(b->manager);
    if (status == EDDY_OK)
        status = ed_channel_push(b->shard->commands, b->commands, b->count);
    if (status != EDDY_OK)
        cut(b, 0, status == EDDY_ENOMEM ? EDDY_EAGAIN : status);
}

/** To the other end of a pair, whose budget is the pool alone. */
static void push_local(batch *b)
{
    const eddy_message *message = b->messages;

    if (b->count == 0)
        return;
    eddy_status status = ed_local_send(b->manager->pairs, message->connection, message->guarantee,
                                       message->stream, b->blocks[0], b->commands[0].receipt);
    if (status != EDDY_OK)
        cut(b, 0, status);
}

/* ------------------------------------------------------------------------------------- whole -- */

/** Undoes what was done for those that are refused. */
static void drop_refused(const batch *b)
{
    ed_discards discards = {.newest = NULL};

    for (size_t i = b->count; i < b->commanded; i++)
        ed_pool_give(b->commands[i].receipt);
    for (size_t i = b->count; i < b->charged; i++)
        ed_account_refund(account_of(b, i), b->messages[i].stream, cost_of(b, i));
    for (size_t i = b->count; i < b->taken; i++)
        ed_discard(&discards, b->blocks[i]);
    ed_discards_give(&discards);
}

/** There was no room: asks to be told when there is, unless that has been asked. */
static void ask(const batch *b)
{
    const eddy_message *message = &b->messages[b->count];
    ed_ask ask = {.connection = message->connection,
                  .charge = cost_of(b, b->count),
                  .stream = message->stream};

    (void)atomic_fetch_add(&b->shard->sends_refused, 1);
    if (ed_account_ask(account_of(b, b->count), &b->shard->asks, &ask))
        ed_channel_nudge(b->shard->commands);
}

/** Whether it may go together with those from `first` on, which do not go to a pair. */
static bool goes_along(const eddy_manager *m, const eddy_message *first,
                       const eddy_message *message)
{
    return message->connection == message[-1].connection ||
           (ed_shard_of(message->connection) == ed_shard_of(first->connection) &&
            !ed_local_owns(m->pairs, message->connection));
}

static size_t size_of_batch(const eddy_manager *m, const eddy_message *messages, size_t count)
{
    size_t size = 1;

    while (size < count && size < ED_API_BATCH_MAX && goes_along(m, messages, &messages[size]))
        size++;
    return size;
}

size_t ed_api_send_some(eddy_manager *m, const eddy_message *messages, size_t count,
                        ed_block **shared, eddy_status *status)
{
    ed_shard *shard = ed_api_shard(m, messages->connection);
    ED_UNCLEARED batch b;

    b.manager = m;
    b.shard = shard;
    b.messages = messages;
    b.shared = shared == NULL ? NULL : &shared[shard->number];
    b.is_local = ed_local_owns(m->pairs, messages->connection);
    b.count = b.is_local ? 1 : size_of_batch(m, messages, count);
    b.is_of_one = true;
    b.status = EDDY_OK;
    b.taken = b.charged = b.commanded = 0; // the arrays are filled as far as these say
    check_messages(&b);
    get_blocks(&b);
    if (!b.is_local) {
        charge(&b);
        check_again(&b);
    }
    make_commands(&b);
    if (b.is_local)
        push_local(&b);
    else
        push(&b);
    drop_refused(&b);
    if (b.status == EDDY_EAGAIN && !b.is_local)
        ask(&b);
    *status = b.status;
    return b.count;
}
