/** The calls of core/eddy.h: opening and ending a manager, time, what it has counted. */
#include <string.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/share.h"
#include "transport/api_state.h"
#include "transport/udp.h"

enum {
    RESOLVE_POLL_MS = 10, /* between polls without a pump while a name is looked up */
};

/* --------------------------------------------------------------------------------- opening -- */

/** Ends all shards; what is left in the channels is dropped, and counted. */
static void stop(eddy_manager *m)
{
    ed_resolver_close(m->resolver);
    m->resolver = NULL;
    if (m->events != NULL && m->holds_sender)
        ed_channel_leave_sender(m->events);
    if (m->events != NULL)
        ed_channel_leave_receiver(m->events);
    for (uint32_t i = 0; i < m->shard_count; i++)
        if (m->shards[i] != NULL)
            ed_shard_end(m->shards[i]);
    m->events = NULL;
}

static void close_sockets(eddy_manager *m)
{
    for (uint32_t i = 0; m->sockets != NULL && i < m->shard_count; i++)
        if (m->sockets[i].close != NULL)
            m->sockets[i].close(m->sockets[i].context);
    ed_alloc_free(&m->allocator, m->sockets, m->shard_count * sizeof(*m->sockets));
}

/** What has to be undone if opening fails half way; the order of eddy_open. */
static void destroy(eddy_manager *m)
{
    stop(m);
    ed_local_destroy(m->pairs);
    for (uint32_t i = 0; i < m->shard_count; i++)
        ed_shard_destroy(m->shards[i]);
    ed_door_free(&m->common.door);
    ed_identity_destroy(m->identity);
    ed_alloc_free(&m->allocator, m->client_keys,
                  (m->config.client_key_count + 1) * sizeof(eddy_key));
    close_sockets(m);
    eddy_allocator allocator = m->allocator;
    ed_alloc_free(&allocator, m, sizeof(*m));
}

static void copy_config(eddy_manager *m, const eddy_config *config)
{
    m->config = *config;
    m->allocator = config->allocator != NULL ? *config->allocator : *ed_alloc_default();
    m->entropy = config->entropy != NULL ? *config->entropy : *ed_entropy_system();
    m->calendar = config->calendar != NULL ? *config->calendar : *ed_calendar_system();
    m->config.allocator = &m->allocator;
    m->config.entropy = &m->entropy;
    m->config.calendar = &m->calendar;
    m->config.secret_key = NULL; // the caller's: ed_identity has copies
    m->config.room_key = NULL;
    m->config.token_key = NULL;
    m->config.client_keys = NULL;
    m->config.trusted = config->trusted; // until the gate has copied it
    m->config.socket = NULL;             // ours by now: see open_sockets
    m->config.resolver = NULL;           // as is the caller's, of which the resolver has a copy
    m->config.bind = NULL; // the caller's string; it has been used by the time it may go away
    m->common.config = &m->config;
    m->shard_count = ed_share_count(config);
}

static eddy_status open_sockets(eddy_manager *m, const eddy_config *config)
{
    const ed_udp_options options = {.split = config->accept};
    eddy_status status = EDDY_OK;

    m->sockets = ed_alloc_array(&m->allocator, m->shard_count, sizeof(*m->sockets));
    if (m->sockets == NULL)
        return EDDY_ENOMEM;
    if (config->socket != NULL)
        m->sockets[0] = *config->socket;
    else
        status = ed_udp_open_all(m->sockets, m->shard_count, &m->allocator, config->bind, &options);
    if (status == EDDY_OK)
        m->local = m->sockets[0].local(m->sockets[0].context);
    return status;
}

static eddy_status copy_client_keys(eddy_manager *m, const eddy_config *config)
{
    size_t count = config->client_key_count;

    if (config->client_keys != NULL) {
        m->client_keys = ed_alloc_array(&m->allocator, count + 1, sizeof(eddy_key));
        if (m->client_keys == NULL)
            return EDDY_ENOMEM;
        memcpy(m->client_keys, config->client_keys, count * sizeof(eddy_key));
        m->config.client_keys = m->client_keys;
    }
    return EDDY_OK;
}

/** What all shards have in common. Its secrets are drawn in this order. */
static eddy_status create_common(eddy_manager *m, const eddy_config *config)
{
    const eddy_resolver *resolver = config->resolver;
    uint32_t slot_count = 0;

    for (uint32_t i = 0; i < m->shard_count; i++)
        slot_count += ed_shard_slot_count(&m->config, i);
    ed_quota_init(&m->common.incoming, m->config.accept ? m->config.max_connections : 0);
    m->events = ed_shard_events_create(&m->allocator);
    m->common.events = m->events;
    m->holds_sender = true;
    // Not of the program's memory: a look-up may outlast the manager.
    m->resolver = ed_resolver_create(ed_alloc_default(), resolver, ed_api_resolved, m);
    m->identity = ed_identity_create(config, &m->entropy, slot_count, 0);
    m->common.identity = m->identity;
    if (m->events == NULL || m->resolver == NULL || m->identity == NULL)
        return EDDY_ENOMEM;
    m->has_public_key = m->identity->has_public;
    memcpy(m->public_key.bytes, m->identity->pair.public_key, ED_KEY_SIZE);
    eddy_status status = copy_client_keys(m, config);
    if (status == EDDY_OK)
        status = ed_door_init(&m->common.door, &m->config, &m->identity->cookies);
    m->config.trusted = NULL; // the caller's: the gate has a copy
    return status;
}

static eddy_status create_shards(eddy_manager *m)
{
    eddy_status status = EDDY_OK;
    uint32_t secrets_at = 0;

    for (uint32_t i = 0; status == EDDY_OK && i < m->shard_count; i++) {
        status = ed_shard_create(&m->shards[i], &m->common, i, &m->sockets[i]);
        if (status == EDDY_OK)
            status = ed_shard_begin(m->shards[i], secrets_at);
        secrets_at += ed_shard_slot_count(&m->config, i);
    }
    if (status != EDDY_OK)
        return status;
    const ed_shard *dialler = ed_api_dialler(m);
    m->pairs = ed_local_create(&m->allocator, dialler->slots, dialler->event_pool, m->events);
    m->shards[0]->reliable.pairs = m->pairs;
    ed_channel_leave_sender(m->events); // the shards send now, and we only receive
    m->holds_sender = false;
    return m->pairs != NULL ? EDDY_OK : EDDY_ENOMEM;
}

static void join(eddy_manager *m, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ed_pump_join(&m->shards[i]->pump);
}

/** Starts the threads, all or none. */
static eddy_status start_pumps(eddy_manager *m)
{
    for (uint32_t i = 0; m->config.pump && i < m->shard_count; i++) {
        eddy_status status = ed_shard_start(m->shards[i]);
        if (status == EDDY_OK)
            continue;
        for (uint32_t k = 0; k < i; k++)
            ed_channel_close(m->shards[k]->commands); // there is nobody yet whom it would cut off
        join(m, i);
        return status;
    }
    return EDDY_OK;
}

eddy_status eddy_open(eddy_manager **manager, const eddy_config *config)
{
    eddy_config defaults = eddy_config_default();

    *manager = NULL;
    if (config == NULL)
        config = &defaults;
    eddy_status status = eddy_config_check(config, NULL);
    if (status == EDDY_OK)
        status = ed_crypto_init();
    if (status == EDDY_OK && ed_suites_offered(config) == 0)
        status = EDDY_ESUPPORT; // this machine does not have the cipher that is asked for
    if (status != EDDY_OK)
        return status;
    eddy_manager *m = ed_alloc_zeroed(
        config->allocator != NULL ? config->allocator : ed_alloc_default(), sizeof(*m));
    if (m == NULL)
        return EDDY_ENOMEM;
    copy_config(m, config);
    status = open_sockets(m, config);
    if (status == EDDY_OK)
        status = create_common(m, config);
    if (status == EDDY_OK)
        status = create_shards(m);
    if (status == EDDY_OK)
        status = start_pumps(m);
    if (status != EDDY_OK) {
        if (config->socket != NULL && m->sockets != NULL)
            m->sockets[0].close = NULL; // it is still the caller's
        destroy(m);
        return status;
    }
    *manager = m;
    return EDDY_OK;
}

/* ---------------------------------------------------------------------------------- ending -- */

void eddy_shutdown(eddy_manager *m, uint32_t flush_ms)
{
    if (ed_api_is_forked(m))
        return;
    atomic_store(&m->shutting_down, true);
    (void)ed_local_shutdown(m->pairs); // without memory the core does it, when there is
    for (uint32_t i = 0; i < m->shard_count; i++)
        ed_shard_ask_end(m->shards[i], flush_ms);
    for (uint32_t i = 0; i < m->shard_count; i++)
        ed_shard_await_poll(m->shards[i]);
}

static bool has_ended(const eddy_manager *m)
{
    for (uint32_t i = 0; i < m->shard_count; i++)
        if (!ed_manager_is_done(m->shards[i]->core))
            return false;
    return true;
}

static uint64_t count_undelivered(const eddy_manager *m)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < m->shard_count; i++)
        count += m->shards[i]->live.messages_undelivered;
    return count;
}

eddy_status eddy_close(eddy_manager *m, uint32_t flush_ms)
{
    if (m == NULL)
        return EDDY_OK;
    if (ed_api_is_forked(m))
        return EDDY_EFORKED; // its threads are in the parent, and its locks perhaps theirs
    eddy_shutdown(m, flush_ms);
    if (m->config.pump)
        join(m, m->shard_count);
    bool is_over = has_ended(m);
    stop(m); // which may find more that did not arrive
    bool all_arrived = is_over && count_undelivered(m) == 0;
    destroy(m);
    return all_arrived ? EDDY_OK : EDDY_EAGAIN;
}

/* --------------------------------------------------------------------------------- sending -- */

eddy_status ed_api_push(eddy_manager *m, const ed_reliable_command *command)
{
    eddy_status status = ed_api_check_open(m);

    if (status != EDDY_OK)
        return status;
    return ed_channel_push(ed_api_shard(m, command->head.connection)->commands, command, 1);
}

/* -------------------------------------------------------------------------- time and state -- */

/** Time that never goes backwards. */
static uint64_t poll_time_ns(eddy_manager *m, uint64_t now_ns)
{
    uint64_t our_now_ns = ed_api_time_ns(m, now_ns);
    uint64_t polled_ns = m->shards[0]->polled_ns;

    if (our_now_ns < polled_ns)
        (void)atomic_fetch_add(&m->set_back_ns, polled_ns - our_now_ns);
    return ed_max_u64(our_now_ns, polled_ns);
}

/** What a time of ours is by the program's clock; what was due before its begin is now. */
static uint64_t program_time_ns(const eddy_manager *m, uint64_t our_ns)
{
    uint64_t set_back_ns = atomic_load(&m->set_back_ns);

    return our_ns == ED_NEVER_NS ? our_ns : our_ns - ed_min_u64(our_ns, set_back_ns);
}

static uint64_t work(eddy_manager *m, uint64_t (*shard_work)(ed_shard *shard, uint64_t now_ns),
                     uint64_t now_ns)
{
    if (m->config.pump || ed_api_is_forked(m))
        return ED_NEVER_NS;
    // Nobody but the next poll can tell that a name has been looked up since.
    bool is_busy = ed_resolver_is_busy(m->resolver);
    uint64_t our_now_ns = poll_time_ns(m, now_ns);
    uint64_t next_ns = shard_work(m->shards[0], our_now_ns); // several have pumps
    if (is_busy)
        next_ns = ed_min_u64(next_ns, ed_add_sat_u64(our_now_ns, RESOLVE_POLL_MS * ED_NS_PER_MS));
    m->next_ns = program_time_ns(m, next_ns);
    return m->next_ns;
}

uint64_t eddy_poll(eddy_manager *m, uint64_t now_ns)
{
    return work(m, ed_shard_poll, now_ns);
}

uint64_t eddy_flush(eddy_manager *m, uint64_t now_ns)
{
    return work(m, ed_shard_flush, now_ns);
}

eddy_status eddy_wait(eddy_manager *m, uint32_t timeout_ms)
{
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    if (m->config.pump)
        return EDDY_ESTATE;
    if (m->shards[0]->socket->wait == NULL)
        return EDDY_ESUPPORT;
    uint64_t now_ns = ed_clock_now_ns();
    uint64_t end_ns = timeout_ms == EDDY_FOREVER ? ED_NEVER_NS : now_ns + timeout_ms * ED_NS_PER_MS;
    end_ns = ed_min_u64(end_ns, m->next_ns);
    return end_ns > now_ns ? ed_shard_wait(m->shards[0], end_ns - now_ns) : EDDY_OK;
}

eddy_key eddy_public_key(const eddy_manager *m)
{
    eddy_key key = m->public_key;

    // Not left in the identity: that is another thread's to write.
    if (!m->has_public_key && !ed_api_is_forked(m))
        ed_x25519_public(key.bytes, m->identity->pair.secret);
    return key;
}

uint64_t eddy_now_ns(void)
{
    return ed_clock_now_ns();
}
