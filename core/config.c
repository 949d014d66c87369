#include "core/addr.h"
#include "core/base.h"
#include "core/budget.h"
#include "core/prefix.h"
#include "core/share.h"

enum {
    CONNECTIONS_MAX = 65000, /* incoming and outgoing together */
    HANDSHAKE_TIMEOUT_MS_MIN = 100,
    HANDSHAKE_TIMEOUT_MS_MAX = 600 * 1000,
    IDLE_TIMEOUT_MS_MIN = 100,
    BUDGET_SIZE_MIN = 64 * 1024,
    UNRELIABLE_BUDGET_SIZE_MIN = 2 * (EDDY_UNRELIABLE_SIZE_MAX + EDDY_MESSAGE_CHARGE),
    /* Of the largest message: two that arrive in parts, and as much that the program holds. */
    RECEIVE_BUDGET_MESSAGES_MIN = 4,
    CLIENT_KEYS_MAX = 65536,
    CONNECT_BURST_MAX = 65535,
    TRUSTED_MAX = 1024,
    PER_ADDRESS_MAX = 65535,
    MODES_ALL = EDDY_MODE_OPEN | EDDY_MODE_PINNED | EDDY_MODE_MUTUAL | EDDY_MODE_TOKEN,
    HOST_SIZE = 256, /* a name of the DNS has at most 253 bytes */
};

eddy_config eddy_config_default(void)
{
    return (eddy_config){
        .pump = true,
        .max_connections = 1024,
        .max_outgoing = 64,
        .max_half_open = 256,
        .handshake_timeout_ms = 10 * 1000,
        .idle_timeout_ms = 10 * 1000,
        .keepalive_ms = 3 * 1000,
        .max_datagram_size = EDDY_DATAGRAM_SIZE_MAX,
        .max_message_size = 256 * 1024,
        .send_budget = 64 * 1024 * 1024,
        .connection_send_budget = 4 * 1024 * 1024,
        .receive_budget = 64 * 1024 * 1024,
        .unreliable_budget = 256 * 1024,
        .modes = EDDY_MODE_PINNED,
        .connect_rate = 20,
        .connect_burst = 40,
        .max_per_address = 64,
        .half_open_per_address = 4,
        .reply_rate = 50 * 1000,
        .handshake_rate = 2 * 1000,
        .congestion = EDDY_CONGESTION_MODEL,
        .log_level = EDDY_LOG_WARN,
        .log_topics = EDDY_LOG_ALL_TOPICS,
    };
}

static const char *bad_bind(const eddy_config *c)
{
    char host[HOST_SIZE];
    uint16_t port;

    if (c->bind != NULL && ed_addr_split(c->bind, host, sizeof(host), &port) != EDDY_OK)
        return "bind";
    return NULL;
}

/** Only a server has several: newcomers are what is spread over them. */
static const char *bad_shards(const eddy_config *c)
{
    bool has_use = c->accept && c->pump && c->socket == NULL;

    return c->shards > EDDY_SHARDS_MAX || (c->shards > 1 && !has_use) ? "shards" : NULL;
}

static const char *bad_limit(const eddy_config *c)
{
    if (c->ask && !c->accept)
        return "ask";
    if (c->max_connections > CONNECTIONS_MAX)
        return "max_connections";
    if (c->max_connections == 0 && (c->accept || c->max_outgoing == 0))
        return "max_connections";
    // Both are small by now, so that the sum below cannot wrap.
    if (c->max_outgoing > CONNECTIONS_MAX)
        return "max_outgoing";
    if (c->max_connections + c->max_outgoing > CONNECTIONS_MAX)
        return "max_outgoing";
    if (c->max_half_open < 1 || c->max_half_open > CONNECTIONS_MAX)
        return "max_half_open";
    return NULL;
}

static const char *bad_time(const eddy_config *c)
{
    if (c->handshake_timeout_ms < HANDSHAKE_TIMEOUT_MS_MIN ||
        c->handshake_timeout_ms > HANDSHAKE_TIMEOUT_MS_MAX)
        return "handshake_timeout_ms";
    if (c->idle_timeout_ms != 0 && c->idle_timeout_ms < IDLE_TIMEOUT_MS_MIN)
        return "idle_timeout_ms";
    // A keepalive slower than half the timeout lets a single lost ping end the connection.
    if (c->idle_timeout_ms != 0 && c->keepalive_ms != 0 &&
        c->keepalive_ms >= c->idle_timeout_ms / 2)
        return "keepalive_ms";
    return NULL;
}

/** Whether every connection that there may be has a window of what it receives. */
static bool is_enough(const eddy_config *c)
{
    uint32_t connections = c->max_outgoing + (c->accept ? c->max_connections : 0);

    return ed_budget_share(c->receive_budget, c->max_message_size, connections).is_enough;
}

/** Of the shard that has most to do with its part. */
static const char *bad_budget(const eddy_config *whole)
{
    const eddy_config share = ed_share_of(whole, 0), *c = &share;

    if (c->rate_max != 0 && c->rate_max < EDDY_RATE_MIN)
        return "rate_max";
    if (c->max_datagram_size < EDDY_DATAGRAM_SIZE_MIN ||
        c->max_datagram_size > EDDY_DATAGRAM_SIZE_MAX)
        return "max_datagram_size";
    if (c->max_message_size < EDDY_PIECE_SIZE_MAX || c->max_message_size > EDDY_MESSAGE_SIZE_LIMIT)
        return "max_message_size";
    // A message that no budget has room for could be accepted by nobody, ever.
    if (c->send_budget < BUDGET_SIZE_MIN || c->send_budget / 2 < c->max_message_size)
        return "send_budget";
    if (c->connection_send_budget < ed_send_cost(c->max_message_size))
        return "connection_send_budget";
    if (c->receive_budget < BUDGET_SIZE_MIN ||
        c->receive_budget / RECEIVE_BUDGET_MESSAGES_MIN < c->max_message_size || !is_enough(c))
        return "receive_budget";
    if (c->unreliable_budget < UNRELIABLE_BUDGET_SIZE_MIN ||
        c->unreliable_budget > c->receive_budget)
        return "unreliable_budget";
    return NULL;
}

/** Each mode has what it needs to decide who may come. */
static const char *bad_security(const eddy_config *c)
{
    bool accepts_mutual = c->accept && (c->modes & EDDY_MODE_MUTUAL) != 0;

    if ((c->modes & ~(uint32_t)MODES_ALL) != 0 || (c->accept && c->modes == 0))
        return "modes";
    if (c->cipher < EDDY_CIPHER_BEST || c->cipher > EDDY_CIPHER_AES256)
        return "cipher";
    if (c->accept && (c->modes & EDDY_MODE_TOKEN) != 0 && c->token_key == NULL)
        return "token_key";
    if (accepts_mutual && c->client_keys == NULL && !c->ask)
        return "client_keys";
    if (c->client_key_count > CLIENT_KEYS_MAX ||
        (c->client_keys == NULL && c->client_key_count > 0))
        return "client_key_count";
    return NULL;
}

static const char *bad_gate(const eddy_config *c)
{
    if (c->max_per_address > PER_ADDRESS_MAX)
        return "max_per_address";
    if (c->half_open_per_address > PER_ADDRESS_MAX)
        return "half_open_per_address";
    if (c->connect_burst < 1 || c->connect_burst > CONNECT_BURST_MAX)
        return "connect_burst";
    if (c->trusted_count > TRUSTED_MAX)
        return "trusted_count";
    if (c->trusted == NULL && c->trusted_count > 0)
        return "trusted";
    for (size_t i = 0; i < c->trusted_count; i++)
        if (!ed_prefix_valid(&c->trusted[i]))
            return "trusted";
    return NULL;
}

static const char *bad_choice(const eddy_config *c)
{
    if (c->congestion != EDDY_CONGESTION_NEW_RENO && c->congestion != EDDY_CONGESTION_MODEL)
        return "congestion";
    if (c->log_level < EDDY_LOG_ERROR || c->log_level > EDDY_LOG_DEBUG)
        return "log_level";
    if ((c->log_topics & ~(uint32_t)EDDY_LOG_ALL_TOPICS) != 0)
        return "log_topics";
    return NULL;
}

static bool socket_complete(const eddy_socket *socket, bool pump)
{
    if (socket->receive == NULL || socket->send == NULL || socket->local == NULL)
        return false;
    return !pump || socket->wait != NULL; // a pump that cannot sleep would burn a core
}

static const char *bad_table(const eddy_config *c)
{
    if (c->allocator != NULL && (c->allocator->allocate == NULL || c->allocator->free == NULL))
        return "allocator";
    if (c->entropy != NULL && c->entropy->fill == NULL)
        return "entropy";
    if (c->calendar != NULL && c->calendar->unix_s == NULL)
        return "calendar";
    if (c->socket != NULL && !socket_complete(c->socket, c->pump))
        return "socket";
    if (c->resolver != NULL && c->resolver->resolve == NULL)
        return "resolver";
    return NULL;
}

/** In the order of the fields. */
static const char *(*const checks[])(const eddy_config *c) = {
    bad_bind,     bad_shards, bad_limit,  bad_time,  bad_budget,
    bad_security, bad_gate,   bad_choice, bad_table,
};

eddy_status eddy_config_check(const eddy_config *config, const char **field)
{
    const char *bad = config == NULL ? "config" : NULL;

    for (size_t i = 0; bad == NULL && i < ED_COUNT(checks); i++)
        bad = checks[i](config);
    if (bad == NULL)
        return EDDY_OK;
    if (field != NULL)
        *field = bad;
    return EDDY_ECONFIG;
}
