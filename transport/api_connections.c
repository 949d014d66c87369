/** The calls of core/eddy.h that begin and end a connection. */
#include <string.h>

#include "core/addr.h"
#include "transport/api_state.h"

enum {
    HOST_SIZE = 256, /* a name of the DNS has at most 253 bytes */
};

/** Copies the payload into a block of the pool that is not the program's messages'. */
static eddy_status payload_block(eddy_manager *m, const eddy_connect_options *options,
                                 ed_block **block)
{
    *block = NULL;
    if (options == NULL || options->payload_size == 0)
        return EDDY_OK;
    if (options->payload_size > EDDY_CONNECT_PAYLOAD_MAX)
        return EDDY_ETOOBIG;
    if (options->payload == NULL)
        return EDDY_EINVAL;
    *block = ed_pool_take(m->control_pool, options->payload_size);
    if (*block == NULL)
        return EDDY_ENOMEM;
    memcpy((*block)->data, options->payload, options->payload_size);
    return EDDY_OK;
}

/**
 * The command carries the block of the event that says how it ended, which cannot fail then. It
 * takes the payload over on success.
 */
static eddy_status push_connect(eddy_manager *m, const eddy_address *remote, ed_block *payload,
                                eddy_connection handle)
{
    ed_reliable_command command = {
        .head = {.kind = ED_COMMAND_CONNECT, .connection = handle, .remote = *remote},
        .block = ed_event_reserve(m->event_pool, EDDY_DISCONNECTED),
        .payload = payload};

    if (remote->family == EDDY_FAMILY_NONE)
        command.head.remote.scope = ed_slot_of(handle); // a key of its own
    if (command.block == NULL)
        return EDDY_ENOMEM;
    eddy_status status = ed_api_push(m, &command);
    if (status != EDDY_OK)
        ed_pool_give(command.block);
    return status;
}

/** Takes a slot and has the core dial. The payload is the caller's again on failure. */
static eddy_status take_slot_and_dial(eddy_manager *m, const eddy_address *remote,
                                      ed_block *payload, void *user_data,
                                      eddy_connection *connection)
{
    eddy_connection handle = ed_slots_take_outgoing(m->slots);

    if (handle == 0)
        return EDDY_ELIMIT;
    (void)ed_slots_set_data(m->slots, handle, user_data);
    eddy_status status = push_connect(m, remote, payload, handle);
    if (status != EDDY_OK) {
        ed_slots_give(m->slots, handle);
        return status;
    }
    *connection = handle;
    return EDDY_OK;
}

/** @param remote of the family NONE: its address is yet to be found. */
static eddy_status dial(eddy_manager *m, const eddy_address *remote,
                        const eddy_connect_options *options, eddy_connection *connection)
{
    ed_block *payload = NULL;
    eddy_status status = payload_block(m, options, &payload);

    if (status == EDDY_OK)
        status = take_slot_and_dial(m, remote, payload, options == NULL ? NULL : options->user_data,
                                    connection);
    if (status != EDDY_OK)
        ed_pool_give(payload);
    return status;
}

static eddy_status connect_to(eddy_manager *m, const eddy_address *remote,
                              const eddy_connect_options *options, eddy_connection *connection)
{
    if (!ed_addr_valid(remote) || remote->port == 0)
        return EDDY_EINVAL;
    return dial(m, remote, options, connection);
}

eddy_status eddy_connect_address(eddy_manager *m, const eddy_address *remote,
                                 eddy_connection *connection)
{
    *connection = 0;
    return connect_to(m, remote, NULL, connection);
}

void ed_api_resolved(void *context, eddy_connection connection, const eddy_address *address)
{
    eddy_manager *m = context;
    ed_reliable_command command = {.head = {.kind = ED_COMMAND_RESOLVED, .connection = connection}};

    if (address != NULL)
        command.head.remote = *address;
    // Also during a shutdown: what has been accepted may still leave.
    eddy_status status = ed_channel_push(m->commands, &command, 1);
    (void)status; // without memory, or too late, the connection ends by its timeout
}

/** Begins with a connection that has no address yet, and with looking that up. */
static eddy_status connect_name(eddy_manager *m, const char *host_port,
                                const eddy_connect_options *options, eddy_connection *connection)
{
    char host[HOST_SIZE];
    uint16_t port = 0;
    eddy_address nobody = {.family = EDDY_FAMILY_NONE};

    eddy_status status = ed_addr_split(host_port, host, sizeof(host), &port);
    if (status != EDDY_OK || host[0] == '\0')
        return EDDY_EADDRESS;
    if (port == 0)
        return EDDY_EINVAL;
    status = dial(m, &nobody, options, connection);
    if (status == EDDY_OK && ed_resolver_start(m->resolver, host_port, *connection) != EDDY_OK)
        ed_api_resolved(m, *connection, NULL); // its handle is out: it ends as all do
    return status;
}

eddy_status eddy_connect_with(eddy_manager *m, const char *host_port,
                              const eddy_connect_options *options, eddy_connection *connection)
{
    eddy_address address;

    *connection = 0;
    if (host_port == NULL)
        return EDDY_EINVAL;
    return eddy_address_parse(&address, host_port) == EDDY_OK
               ? connect_to(m, &address, options, connection)
               : connect_name(m, host_port, options, connection);
}

eddy_status eddy_connect(eddy_manager *m, const char *host_port, eddy_connection *connection)
{
    return eddy_connect_with(m, host_port, NULL, connection);
}

eddy_status eddy_connect_pair(eddy_manager *m, eddy_connection *a, eddy_connection *b)
{
    *a = 0;
    *b = 0;
    return ed_local_connect(m->pairs, a, b);
}

/* ---------------------------------------------------------------------------------- ending -- */

/** Puts the reason into the command as a block with its NUL, cut to what arrives. */
static eddy_status add_reason(eddy_manager *m, ed_reliable_command *command, const char *reason)
{
    if (reason == NULL)
        return EDDY_OK;
    size_t size = strnlen(reason, EDDY_REASON_SIZE - 1);
    command->block = ed_pool_take(m->control_pool, size + 1);
    if (command->block == NULL)
        return EDDY_ENOMEM;
    memcpy(command->block->data, reason, size);
    command->block->data[size] = 0;
    return EDDY_OK;
}

/** Hands a command with a reason to the core. On failure nothing is left of it. */
static eddy_status push_with_reason(eddy_manager *m, ed_reliable_command *command,
                                    const char *reason)
{
    eddy_status status = add_reason(m, command, reason);

    if (status == EDDY_OK)
        status = ed_api_push(m, command);
    if (status != EDDY_OK)
        ed_pool_give(command->block);
    return status;
}

eddy_status eddy_disconnect(eddy_manager *m, eddy_connection connection, uint32_t code,
                            const char *reason, uint32_t flush_ms)
{
    ed_reliable_command command = {
        .head = {.kind = ED_COMMAND_TO_CONNECTION, .connection = connection},
        .operation = ED_OPERATION_CLOSE,
        .code = code,
        .flush_ns = flush_ms == EDDY_FOREVER ? UINT64_MAX : flush_ms * ED_NS_PER_MS};

    if (ed_local_owns(m->pairs, connection))
        return ed_local_disconnect(m->pairs, connection, code, reason);
    if (!ed_slots_live(m->slots, connection))
        return EDDY_ECONNECTION;
    return push_with_reason(m, &command, reason);
}

/* -------------------------------------------------------------------------------- requests -- */

/** Passes the one answer to a request on. */
static eddy_status answer(eddy_manager *m, ed_reliable_command *command, const char *reason)
{
    eddy_connection connection = command->head.connection;

    if (!ed_slots_live(m->slots, connection))
        return EDDY_ECONNECTION;
    if (!ed_slots_answer(m->slots, connection))
        return EDDY_ESTATE;
    eddy_status status = push_with_reason(m, command, reason);
    if (status != EDDY_OK)
        ed_slots_ask_again(m->slots, connection);
    return status;
}

eddy_status eddy_accept(eddy_manager *m, eddy_connection connection)
{
    ed_reliable_command command = {
        .head = {.kind = ED_COMMAND_TO_CONNECTION, .connection = connection},
        .operation = ED_OPERATION_ADMIT};

    return answer(m, &command, NULL);
}

eddy_status eddy_refuse(eddy_manager *m, eddy_connection connection, uint32_t code,
                        const char *reason)
{
    ed_reliable_command command = {
        .head = {.kind = ED_COMMAND_TO_CONNECTION, .connection = connection},
        .operation = ED_OPERATION_REFUSE,
        .code = code};

    return answer(m, &command, reason);
}

/* -------------------------------------------------------------------------------- settings -- */

eddy_status eddy_set_rate(eddy_manager *m, eddy_connection connection, uint64_t rate_max)
{
    ed_reliable_command command = {
        .head = {.kind = ED_COMMAND_TO_CONNECTION, .connection = connection},
        .operation = ED_OPERATION_SET_RATE,
        .rate_max = rate_max};

    if (rate_max != 0 && rate_max < EDDY_RATE_MIN)
        return EDDY_EINVAL;
    if (ed_local_owns(m->pairs, connection))
        return EDDY_ESUPPORT;
    if (!ed_slots_live(m->slots, connection))
        return EDDY_ECONNECTION;
    return ed_api_push(m, &command);
}

eddy_status eddy_set_connection_data(eddy_manager *m, eddy_connection connection, void *user_data)
{
    return ed_slots_set_data(m->slots, connection, user_data) ? EDDY_OK : EDDY_ECONNECTION;
}

void *eddy_connection_data(eddy_manager *m, eddy_connection connection)
{
    return ed_slots_live(m->slots, connection) ? ed_slots_data(m->slots, connection) : NULL;
}
