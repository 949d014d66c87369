/** The calls of core/eddy.h that send. */
#include <string.h>

#include "transport/api_state.h"

static const eddy_send_options plain_options;

/** Whether messages are taken for it. */
static eddy_status check_connection(const eddy_manager *m, eddy_connection connection)
{
    if (!ed_slots_takes(ed_api_shard(m, connection)->slots, connection))
        return EDDY_ECONNECTION;
    return atomic_load(&m->shutting_down) ? EDDY_ECLOSED : EDDY_OK;
}

/** What is the same for all connections that a message goes to. */
static eddy_status check(const eddy_manager *m, eddy_guarantee guarantee, const void *data,
                         size_t size, const eddy_send_options *options)
{
    bool reliable = guarantee >= EDDY_RELIABLE_UNORDERED;

    if ((unsigned)guarantee > EDDY_RELIABLE_SEQUENCED || (data == NULL && size > 0) ||
        (options->now_or_never && reliable))
        return EDDY_EINVAL;
    if (size > m->config.max_message_size || (!reliable && size > EDDY_UNRELIABLE_SIZE_MAX))
        return EDDY_ETOOBIG;
    return ed_api_is_forked(m) ? EDDY_EFORKED : EDDY_OK;
}

static ed_account *account_of(eddy_manager *m, eddy_connection connection)
{
    return &ed_api_shard(m, connection)->accounts[ed_slot_of(connection)];
}

/** There was no room: asks to be told when there is, unless that has been asked. */
static eddy_status refuse(eddy_manager *m, eddy_connection connection, uint8_t stream, size_t size)
{
    ed_ask ask = {.connection = connection, .charge = (size_t)ed_send_cost(size), .stream = stream};
    ed_shard *shard = ed_api_shard(m, connection);

    (void)atomic_fetch_add(&shard->sends_refused, 1);
    if (ed_account_ask(account_of(m, connection), &shard->asks, &ask))
        ed_channel_nudge(shard->commands);
    return EDDY_EAGAIN;
}

static ed_block *make_receipt(const ed_shard *shard, const eddy_send_options *options)
{
    ed_receipt receipt = {.event.receipt = options->receipt, .is_quiet = options->quiet_receipt};
    ed_block *block = ed_pool_take(shard->receipt_pool, sizeof(receipt));

    ED_ASSERT(ed_pool_charge(sizeof(receipt)) <= ED_RECEIPT_CHARGE);
    if (block != NULL)
        memcpy(block->data, &receipt, sizeof(receipt));
    return block;
}

/** Gives a message to the core. Takes the block over on success. */
static eddy_status push(eddy_manager *m, eddy_connection connection, eddy_guarantee guarantee,
                        uint8_t stream, ed_block *block, const eddy_send_options *options)
{
    ed_reliable_command command = {
        .head = {.kind = ED_COMMAND_TO_CONNECTION, .connection = connection},
        .operation = ED_OPERATION_SEND,
        .block = block,
        .expire_ms = options->expire_ms,
        .guarantee = (uint8_t)guarantee,
        .stream = stream,
        .now_or_never = options->now_or_never};

    if (options->receipt != 0) {
        command.receipt = make_receipt(ed_api_shard(m, connection), options);
        if (command.receipt == NULL)
            return EDDY_EAGAIN;
    }
    eddy_status status = ed_api_push(m, &command);
    if (status != EDDY_OK)
        ed_pool_give(command.receipt);
    return status == EDDY_ENOMEM ? EDDY_EAGAIN : status;
}

/** To the other end of a pair, whose budget is the pool alone. Takes the block over on success. */
static eddy_status send_local(eddy_manager *m, eddy_connection connection, eddy_guarantee guarantee,
                              uint8_t stream, ed_block *block, const eddy_send_options *options)
{
    bool wanted = options->receipt != 0 && !options->quiet_receipt;
    ed_block *receipt = wanted ? make_receipt(ed_api_shard(m, connection), options) : NULL;

    if (wanted && receipt == NULL)
        return EDDY_EAGAIN;
    eddy_status status = ed_local_send(m->pairs, connection, guarantee, stream, block, receipt);
    if (status != EDDY_OK)
        ed_pool_give(receipt);
    return status;
}

/** Sends a block to one connection. Takes it over on success. */
static eddy_status try_block(eddy_manager *m, eddy_connection connection, eddy_guarantee guarantee,
                             uint8_t stream, ed_block *block, const eddy_send_options *options)
{
    size_t charge = (size_t)ed_send_cost(block->size);
    eddy_status status = check_connection(m, connection);

    if (status != EDDY_OK)
        return status;
    if (ed_local_owns(m->pairs, connection))
        return send_local(m, connection, guarantee, stream, block, options);
    ed_account *account = account_of(m, connection);
    if (ed_account_charge(account, m->config.connection_send_budget, stream, charge) != EDDY_OK)
        return refuse(m, connection, stream, block->size);
    status = check_connection(m, connection); // the last event waits for what is charged by now
    if (status == EDDY_OK)
        status = push(m, connection, guarantee, stream, block, options);
    if (status == EDDY_OK)
        return EDDY_OK;
    ed_account_refund(account, stream, charge);
    return status == EDDY_EAGAIN ? refuse(m, connection, stream, block->size) : status;
}

/** The same; on failure the block is given back. */
static eddy_status send_block(eddy_manager *m, eddy_connection connection, eddy_guarantee guarantee,
                              uint8_t stream, ed_block *block, const eddy_send_options *options)
{
    eddy_status status = try_block(m, connection, guarantee, stream, block, options);

    if (status != EDDY_OK)
        ed_pool_give(block);
    return status;
}

static ed_block *make_block(const ed_shard *shard, const void *data, size_t size)
{
    ed_block *block = ed_pool_take(shard->send_pool, size);

    if (block != NULL && size > 0)
        memcpy(block->data, data, size);
    return block;
}

/** There is no room even for one copy of the message. */
static eddy_status refuse_if_live(eddy_manager *m, eddy_connection connection, uint8_t stream,
                                  size_t size)
{
    eddy_status status = check_connection(m, connection);

    return status != EDDY_OK ? status : refuse(m, connection, stream, size);
}

eddy_status eddy_send_with(eddy_manager *m, eddy_connection connection, eddy_guarantee guarantee,
                           uint8_t stream, const void *data, size_t size,
                           const eddy_send_options *options)
{
    if (options == NULL)
        options = &plain_options;
    eddy_status status = check(m, guarantee, data, size, options);
    if (status == EDDY_OK)
        status = check_connection(m, connection);
    if (status != EDDY_OK)
        return status;
    ed_block *block = make_block(ed_api_shard(m, connection), data, size);
    if (block == NULL)
        return refuse(m, connection, stream, size);
    return send_block(m, connection, guarantee, stream, block, options);
}

eddy_status eddy_send(eddy_manager *m, eddy_connection connection, eddy_guarantee guarantee,
                      uint8_t stream, const void *data, size_t size)
{
    return eddy_send_with(m, connection, guarantee, stream, data, size, &plain_options);
}

/** Sends it to one of those of a broadcast. */
static eddy_status send_copy(eddy_manager *m, eddy_connection connection, eddy_guarantee guarantee,
                             uint8_t stream, ed_block *block, size_t size)
{
    ed_block *copy = block == NULL ? NULL : ed_pool_share(block);

    return copy == NULL ? refuse_if_live(m, connection, stream, size)
                        : send_block(m, connection, guarantee, stream, copy, &plain_options);
}

size_t eddy_broadcast(eddy_manager *m, const eddy_connection *connections, size_t count,
                      eddy_guarantee guarantee, uint8_t stream, const void *data, size_t size,
                      eddy_status *statuses)
{
    ed_block *blocks[EDDY_SHARDS_MAX] = {0}; // a shard has its own copy for all of its connections
    size_t accepted = 0;
    eddy_status fate = check(m, guarantee, data, size, &plain_options);

    for (size_t i = 0; i < count; i++) {
        const ed_shard *shard = ed_api_shard(m, connections[i]);
        ed_block **block = &blocks[shard->number];
        if (fate == EDDY_OK && *block == NULL)
            *block = make_block(shard, data, size);
        eddy_status status =
            fate != EDDY_OK ? fate : send_copy(m, connections[i], guarantee, stream, *block, size);
        accepted += status == EDDY_OK ? 1 : 0;
        if (statuses != NULL)
            statuses[i] = status;
    }
    for (size_t i = 0; i < m->shard_count; i++)
        ed_pool_give(blocks[i]);
    return accepted;
}

eddy_status eddy_set_stream(eddy_manager *m, eddy_connection connection, uint8_t stream,
                            const eddy_stream_options *options)
{
    if (options == NULL || options->priority >= EDDY_PRIORITY_COUNT)
        return EDDY_EINVAL;
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    if (ed_local_owns(m->pairs, connection))
        return EDDY_ESUPPORT;
    if (!ed_api_is_live(m, connection))
        return EDDY_ECONNECTION;
    ed_reliable_command command = {
        .head = {.kind = ED_COMMAND_TO_CONNECTION, .connection = connection},
        .operation = ED_OPERATION_SET_STREAM,
        .stream = stream,
        .budget = options->budget,
        .priority = options->priority,
        .weight = options->weight,
        .no_copies = options->no_copies};

    return ed_api_push(m, &command);
}
