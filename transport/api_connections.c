/** The calls of core/eddy.h that begin and end a connection. */
#include <string.h>

#include "core/addr.h"
#include "transport/api_state.h"
#include "transport/resolve.h"
#include "transport/token.h"

enum {
    HOST_SIZE = 256, /* a name of the DNS has at most 253 bytes */
};

static eddy_status check_options(const eddy_connect_options *o)
{
    if (o->payload_size > EDDY_CONNECT_PAYLOAD_MAX)
        return EDDY_ETOOBIG;
    return o->payload == NULL && o->payload_size > 0 ? EDDY_EINVAL : EDDY_OK;
}

/** The mode that is meant, and whether what it needs is there. */
static eddy_status find_mode(const eddy_connect_options *o, uint8_t *mode)
{
    eddy_mode meant = o->mode != 0            ? o->mode
                      : o->token != NULL      ? EDDY_MODE_TOKEN
                      : o->server_key != NULL ? EDDY_MODE_PINNED
                                              : (eddy_mode)0;

    switch (meant) {
    case EDDY_MODE_OPEN:
        *mode = ED_MODE_OPEN;
        return EDDY_OK;
    case EDDY_MODE_PINNED:
    case EDDY_MODE_MUTUAL:
        *mode = meant == EDDY_MODE_PINNED ? ED_MODE_PINNED : ED_MODE_MUTUAL;
        return o->server_key != NULL ? EDDY_OK : EDDY_EINVAL;
    case EDDY_MODE_TOKEN:
        *mode = ED_MODE_TOKEN;
        return o->token != NULL ? EDDY_OK : EDDY_EINVAL;
    }
    return EDDY_EINVAL;
}

/** Takes out of the token what one of its servers is to be shown. */
static eddy_status use_pass(const eddy_manager *m, ed_dial *dial, uint8_t shared[ED_KEY_SIZE],
                            const eddy_connect_options *o)
{
    ed_pass pass;
    eddy_status status = ed_token_pick(&pass, o->token, o->token_server);

    if (status == EDDY_OK && pass.protocol_id != m->config.protocol_id)
        status = EDDY_ETOKEN; // it is of another game
    if (status == EDDY_OK) {
        memcpy(dial->server_key, pass.public_key, ED_KEY_SIZE);
        memcpy(shared, pass.psk, ED_KEY_SIZE);
        memcpy(dial->capsule, pass.capsule, ED_CAPSULE_SIZE);
    }
    ed_wipe(&pass, sizeof(pass));
    return status;
}

/** @param shared what the dial and its server share: a secret. */
static eddy_status fill_dial(const eddy_manager *m, ed_dial *dial, uint8_t shared[ED_KEY_SIZE],
                             const eddy_connect_options *o)
{
    eddy_status status = find_mode(o, &dial->mode);

    if (status != EDDY_OK)
        return status;
    if (dial->mode == ED_MODE_TOKEN)
        status = use_pass(m, dial, shared, o);
    else
        memcpy(shared, m->identity->room, ED_KEY_SIZE);
    if (dial->mode == ED_MODE_PINNED || dial->mode == ED_MODE_MUTUAL)
        memcpy(dial->server_key, o->server_key->bytes, ED_KEY_SIZE);
    // With such a key every secret would be zero (RFC 7748 section 6.1).
    if (status == EDDY_OK && dial->mode != ED_MODE_OPEN && !ed_x25519_takes(dial->server_key))
        status = EDDY_EKEY;
    dial->payload_size = (uint16_t)o->payload_size;
    if (o->payload_size > 0)
        memcpy(dial->payload, o->payload, o->payload_size);
    return status;
}

/** Puts all that the core needs to dial into a block of the pool that is not the messages'. */
static eddy_status dial_block(eddy_manager *m, const eddy_connect_options *options,
                              ed_block **block, uint8_t shared[ED_KEY_SIZE])
{
    eddy_status status = options == NULL ? EDDY_EINVAL : check_options(options);

    *block = NULL;
    if (status == EDDY_OK)
        status = ed_api_check_open(m);
    if (status != EDDY_OK)
        return status;
    *block = ed_pool_take(ed_api_dialler(m)->control_pool, sizeof(ed_dial));
    if (*block == NULL)
        return EDDY_ENOMEM;
    ed_dial *dial = (void *)(*block)->data;
    *dial = (ed_dial){0};
    status = fill_dial(m, dial, shared, options);
    if (status == EDDY_OK)
        return EDDY_OK;
    ed_dial_drop(*block);
    *block = NULL;
    return status;
}

/**
 * The command carries the block of the event that says how it ended, which cannot fail then. It
 * takes the block over on success.
 */
static eddy_status push_connect(eddy_manager *m, const eddy_address *remote, ed_block *dial,
                                eddy_connection handle)
{
    ed_reliable_command command = {
        .head = {.kind = ED_COMMAND_CONNECT, .connection = handle, .remote = *remote},
        .block = ed_event_reserve(ed_api_dialler(m)->event_pool, EDDY_DISCONNECTED),
        .dial = dial};

    if (remote->family == EDDY_FAMILY_NONE)
        command.head.remote.scope = ed_slot_of(handle); // a key of its own
    if (command.block == NULL)
        return EDDY_ENOMEM;
    eddy_status status = ed_api_push(m, &command);
    if (status != EDDY_OK)
        ed_pool_give(command.block);
    return status;
}

/**
 * Takes a slot and has the core dial. On failure the block is the caller's again, and the slot has
 * no secret.
 */
static eddy_status take_slot_and_dial(eddy_manager *m, const eddy_address *remote, ed_block *dial,
                                      const uint8_t shared[ED_KEY_SIZE], void *user_data,
                                      eddy_connection *connection)
{
    ed_slots *slots = ed_api_dialler(m)->slots;
    eddy_connection handle = ed_slots_take_outgoing(slots);

    if (handle == 0)
        return EDDY_ELIMIT;
    const ed_conn_shared *owner = &ed_api_dialler(m)->reliable.shared;
    uint8_t *secret = ed_conn_secrets(owner, handle)->shared;
    (void)ed_slots_set_data(slots, handle, user_data);
    memcpy(secret, shared, ED_KEY_SIZE);
    eddy_status status = push_connect(m, remote, dial, handle);
    if (status != EDDY_OK) {
        ed_wipe(secret, ED_KEY_SIZE);
        ed_slots_give(slots, handle);
        return status;
    }
    ed_slots_show(slots, handle);
    *connection = handle;
    return EDDY_OK;
}

/** @param remote of the family NONE: its address is yet to be found. */
static eddy_status dial_address(eddy_manager *m, const eddy_address *remote,
                                const eddy_connect_options *options, eddy_connection *connection)
{
    uint8_t shared[ED_KEY_SIZE] = {0};
    ed_block *dial = NULL;
    eddy_status status = dial_block(m, options, &dial, shared);

    if (status == EDDY_OK)
        status = take_slot_and_dial(m, remote, dial, shared, options->user_data, connection);
    ed_wipe(shared, sizeof(shared));
    if (status != EDDY_OK)
        ed_dial_drop(dial);
    return status;
}

static eddy_status connect_to(eddy_manager *m, const eddy_address *remote,
                              const eddy_connect_options *options, eddy_connection *connection)
{
    if (!ed_addr_valid(remote) || remote->port == 0)
        return EDDY_EINVAL;
    return dial_address(m, remote, options, connection);
}

eddy_status eddy_connect_address(eddy_manager *m, const eddy_address *remote,
                                 const eddy_connect_options *options, eddy_connection *connection)
{
    *connection = 0;
    return connect_to(m, remote, options, connection);
}

void ed_api_resolved(void *context, eddy_connection connection, eddy_address *addresses,
                     size_t count)
{
    eddy_manager *m = context;
    ed_reliable_command commands[ED_RACE_MAX] = {{.block = NULL}};
    size_t chosen = ed_min_size(ed_resolve_choose(addresses, count, &m->local), ED_RACE_MAX);
    size_t told = (chosen > 0 ? chosen : 1); // of none, too

    for (size_t i = 0; i < told; i++) {
        commands[i].head = (ed_command){.kind = ED_COMMAND_RESOLVED,
                                        .more = (uint32_t)(told - i - 1),
                                        .connection = connection};
        if (i < chosen)
            commands[i].head.remote = addresses[i];
    }
    // Also during a shutdown: what has been accepted may still leave.
    eddy_status status = ed_channel_push(ed_api_dialler(m)->commands, commands, told);
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
    status = dial_address(m, &nobody, options, connection);
    if (status == EDDY_OK && ed_resolver_start(m->resolver, host_port, *connection) != EDDY_OK)
        ed_api_resolved(m, *connection, NULL, 0); // its handle is out: it ends as all do
    return status;
}

/** To the address in the token. */
static eddy_status connect_by_token(eddy_manager *m, const eddy_connect_options *options,
                                    eddy_connection *connection)
{
    ed_pass pass;
    eddy_status status = ed_token_pick(&pass, options->token, options->token_server);

    if (status != EDDY_OK)
        return status;
    eddy_address address = pass.address;
    ed_wipe(&pass, sizeof(pass));
    return connect_to(m, &address, options, connection);
}

eddy_status eddy_connect_with(eddy_manager *m, const char *host_port,
                              const eddy_connect_options *options, eddy_connection *connection)
{
    eddy_address address;

    *connection = 0;
    if (host_port == NULL && options != NULL && options->token != NULL)
        return connect_by_token(m, options, connection);
    if (host_port == NULL)
        return EDDY_EINVAL;
    return eddy_address_parse(&address, host_port) == EDDY_OK
               ? connect_to(m, &address, options, connection)
               : connect_name(m, host_port, options, connection);
}

eddy_status eddy_connect(eddy_manager *m, const char *host_port, const char *server_key,
                         eddy_connection *connection)
{
    eddy_key key;
    eddy_connect_options options = {.server_key = &key};

    *connection = 0;
    if (eddy_key_parse(&key, EDDY_KEY_PUBLIC, server_key) != EDDY_OK)
        return EDDY_EKEY;
    return eddy_connect_with(m, host_port, &options, connection);
}

eddy_status eddy_connect_pair(eddy_manager *m, eddy_connection *a, eddy_connection *b)
{
    *a = 0;
    *b = 0;
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    return ed_local_connect(m->pairs, a, b);
}

/* ---------------------------------------------------------------------------------- ending -- */

/** Puts the reason into the command as a block with its NUL, cut to what arrives. */
static eddy_status add_reason(eddy_manager *m, ed_reliable_command *command, const char *reason)
{
    if (reason == NULL)
        return EDDY_OK;
    size_t size = strnlen(reason, EDDY_REASON_SIZE - 1);
    command->block =
        ed_pool_take(ed_api_shard(m, command->head.connection)->control_pool, size + 1);
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

    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    if (ed_local_owns(m->pairs, connection))
        return ed_local_disconnect(m->pairs, connection, code, reason);
    if (!ed_api_is_live(m, connection))
        return EDDY_ECONNECTION;
    return push_with_reason(m, &command, reason);
}

/* -------------------------------------------------------------------------------- requests -- */

/** Passes the one answer to a request on. */
static eddy_status answer(eddy_manager *m, ed_reliable_command *command, const char *reason)
{
    eddy_connection connection = command->head.connection;
    ed_slots *slots = ed_api_shard(m, connection)->slots;

    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    if (!ed_slots_live(slots, connection))
        return EDDY_ECONNECTION;
    if (!ed_slots_answer(slots, connection))
        return EDDY_ESTATE;
    eddy_status status = push_with_reason(m, command, reason);
    if (status != EDDY_OK)
        ed_slots_ask_again(slots, connection);
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
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    if (ed_local_owns(m->pairs, connection))
        return EDDY_ESUPPORT;
    if (!ed_api_is_live(m, connection))
        return EDDY_ECONNECTION;
    return ed_api_push(m, &command);
}

eddy_status eddy_set_connection_data(eddy_manager *m, eddy_connection connection, void *user_data)
{
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    ed_slots *slots = ed_api_shard(m, connection)->slots;
    return ed_slots_set_data(slots, connection, user_data) ? EDDY_OK : EDDY_ECONNECTION;
}

void *eddy_connection_data(eddy_manager *m, eddy_connection connection)
{
    const ed_slots *slots = ed_api_shard(m, connection)->slots;

    return ed_slots_live(slots, connection) ? ed_slots_data(slots, connection) : NULL;
}
