/** The calls of core/eddy.h that begin and end a connection. */
#include <string.h>

#include "core/addr.h"
#include "transport/api_state.h"
#include "transport/resolve.h"

/** The command carries the block of the event that says how it ended, which cannot fail then. */
static eddy_status push_connect(eddy_manager *m, const eddy_address *remote, eddy_connection handle)
{
    ed_reliable_command command = {
        .head = {.kind = ED_COMMAND_CONNECT, .connection = handle, .remote = *remote},
        .block = ed_event_reserve(m->event_pool, EDDY_DISCONNECTED)};

    if (command.block == NULL)
        return EDDY_ENOMEM;
    eddy_status status = ed_api_push(m, &command);
    if (status != EDDY_OK)
        ed_pool_give(command.block);
    return status;
}

eddy_status eddy_connect_address(eddy_manager *m, const eddy_address *remote,
                                 eddy_connection *connection)
{
    *connection = 0;
    if (!ed_addr_valid(remote) || remote->port == 0)
        return EDDY_EINVAL;
    eddy_connection handle = ed_slots_take_outgoing(m->slots);
    if (handle == 0)
        return EDDY_ELIMIT;
    eddy_status status = push_connect(m, remote, handle);
    if (status != EDDY_OK) {
        ed_slots_give(m->slots, handle);
        return status;
    }
    *connection = handle;
    return EDDY_OK;
}

eddy_status eddy_connect(eddy_manager *m, const char *host_port, eddy_connection *connection)
{
    eddy_address address;
    size_t count = 0;

    *connection = 0;
    if (host_port == NULL)
        return EDDY_EINVAL;
    eddy_status status = ed_resolve(host_port, &address, 1, &count);
    return status == EDDY_OK ? eddy_connect_address(m, &address, connection) : status;
}

/** The reason as a block with its NUL, cut to what arrives. */
static ed_block *reason_block(eddy_manager *m, const char *reason)
{
    size_t size = strnlen(reason, EDDY_REASON_SIZE - 1);
    ed_block *block = ed_pool_take(m->control_pool, size + 1);

    if (block == NULL)
        return NULL;
    memcpy(block->data, reason, size);
    block->data[size] = 0;
    return block;
}

eddy_status eddy_disconnect(eddy_manager *m, eddy_connection connection, uint32_t code,
                            const char *reason, uint32_t flush_ms)
{
    ed_reliable_command command = {
        .head = {.kind = ED_COMMAND_TO_CONNECTION, .connection = connection},
        .operation = ED_OPERATION_CLOSE,
        .code = code,
        .flush_ns = flush_ms == EDDY_FOREVER ? UINT64_MAX : flush_ms * ED_NS_PER_MS};

    if (!ed_slots_live(m->slots, connection))
        return EDDY_ECONNECTION;
    if (reason != NULL) {
        command.block = reason_block(m, reason);
        if (command.block == NULL)
            return EDDY_ENOMEM;
    }
    eddy_status status = ed_api_push(m, &command);
    if (status != EDDY_OK)
        ed_pool_give(command.block);
    return status;
}
