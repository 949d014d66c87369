/** The calls of core/eddy.h that send, and how a stream does. */
#include <string.h>

#include "transport/api_batch.h"

size_t eddy_send_batch(eddy_manager *m, const eddy_message *messages, size_t count,
                       eddy_status *status)
{
    eddy_status fate = ed_api_is_forked(m) ? EDDY_EFORKED : EDDY_OK;
    size_t sent = 0;

    while (fate == EDDY_OK && sent < count)
        sent += ed_api_send_some(m, messages + sent, count - sent, NULL, &fate);
    if (status != NULL)
        *status = fate;
    return sent;
}

eddy_status eddy_send_with(eddy_manager *m, eddy_connection connection, eddy_guarantee guarantee,
                           uint8_t stream, const void *data, size_t size,
                           const eddy_send_options *options)
{
    eddy_message message = {.connection = connection,
                            .guarantee = guarantee,
                            .stream = stream,
                            .data = data,
                            .size = size};
    eddy_status status = EDDY_OK;

    if (options != NULL)
        message.options = *options;
    (void)eddy_send_batch(m, &message, 1, &status);
    return status;
}

eddy_status eddy_send(eddy_manager *m, eddy_connection connection, eddy_guarantee guarantee,
                      uint8_t stream, const void *data, size_t size)
{
    return eddy_send_with(m, connection, guarantee, stream, data, size, NULL);
}

/** Sends the same to as many as one batch takes. @return how many statuses it wrote. */
static size_t broadcast_some(eddy_manager *m, const eddy_connection *connections, size_t count,
                             const eddy_message *message, ed_block **shared, eddy_status *statuses)
{
    ED_UNCLEARED eddy_message messages[ED_API_BATCH_MAX];
    size_t size = ed_min_size(count, ED_API_BATCH_MAX);
    size_t done = 0;

    for (size_t i = 0; i < size; i++) {
        messages[i] = *message;
        messages[i].connection = connections[i];
        statuses[i] = EDDY_OK;
    }
    for (size_t most = size; done < size; most *= 2) {
        eddy_status status = EDDY_OK;
        done +=
            ed_api_send_some(m, messages + done, ed_min_size(size - done, most), shared, &status);
        if (status == EDDY_OK)
            continue;
        statuses[done++] = status;
        most = 1; // a batch is for nothing behind who is refused, and others may be, too
    }
    return size;
}

size_t eddy_broadcast(eddy_manager *m, const eddy_connection *connections, size_t count,
                      eddy_guarantee guarantee, uint8_t stream, const void *data, size_t size,
                      eddy_status *statuses)
{
    ed_block *shared[EDDY_SHARDS_MAX] = {0}; // a shard has its own copy for all of its connections
    eddy_message message = {.guarantee = guarantee, .stream = stream, .data = data, .size = size};
    eddy_status some[ED_API_BATCH_MAX];
    size_t accepted = 0;

    if (ed_api_is_forked(m)) {
        for (size_t i = 0; statuses != NULL && i < count; i++)
            statuses[i] = EDDY_EFORKED;
        return 0;
    }
    for (size_t done = 0, got = 0; done < count; done += got) {
        got = broadcast_some(m, connections + done, count - done, &message, shared, some);
        for (size_t i = 0; i < got; i++)
            accepted += some[i] == EDDY_OK ? 1 : 0;
        if (statuses != NULL)
            memcpy(statuses + done, some, got * sizeof(*some));
    }
    for (size_t i = 0; i < m->shard_count; i++)
        ed_pool_give(shared[i]);
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
