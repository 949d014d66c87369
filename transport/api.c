/** The calls of core/eddy.h: opening and ending a manager, time, what it has counted. */
#include <string.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "transport/api_state.h"
#include "transport/udp.h"

enum {
    RESOLVE_POLL_MS = 10,     /* between polls without a pump while a name is looked up */
    CONTROL_BUDGET = 1 << 20, /* bytes of reasons for closing that are on their way */
    NOTICE_BUDGET = 64 << 10, /* of events that may come late */
};

/* --------------------------------------------------------------------------------- opening -- */

/** Leaves the outer ends, and the inner ones too where no manager has taken them over. */
static void leave_channels(eddy_manager *m)
{
    if (m->commands != NULL && m->core == NULL)
        ed_channel_leave_receiver(m->commands);
    if (m->commands != NULL)
        ed_channel_leave_sender(m->commands);
    if (m->events != NULL && m->core == NULL)
        ed_channel_leave_sender(m->events);
    if (m->events != NULL)
        ed_channel_leave_receiver(m->events);
}

/** Ends the manager; what is left in the channels is dropped, and counted. */
static void stop(eddy_manager *m)
{
    ed_resolver_close(m->resolver);
    m->resolver = NULL;
    leave_channels(m);
    ed_manager_destroy(m->core);
    m->core = NULL;
    m->commands = NULL;
    m->events = NULL;
}

/**
 * What the program still holds keeps its pool: a leak, said in the log, is better than a crash at
 * the end or a pointer into nothing.
 */
static void destroy_held(eddy_manager *m, ed_pool *pool, const char *what)
{
    size_t held = pool == NULL ? 0 : ed_pool_charged(pool);

    if (held == 0)
        ed_pool_destroy(pool);
    else
        ed_log_line(&m->log, 0, EDDY_LOG_ERROR, EDDY_LOG_MANAGER,
                    "eddy_close: %zu bytes of %s were never released", held, what);
}

static void destroy_accounts(eddy_manager *m)
{
    size_t count = m->accounts == NULL ? 0 : (size_t)ed_slots_count(m->slots) + 1;

    for (size_t i = 0; i < count; i++)
        ed_account_free(&m->accounts[i], &m->allocator);
    ed_alloc_free(&m->allocator, m->accounts, count * sizeof(*m->accounts));
}

/** What has to be undone if opening fails half way; the order of eddy_open. */
static void destroy(eddy_manager *m)
{
    stop(m);
    ed_reliable_free(&m->reliable);
    ed_local_destroy(m->pairs);
    destroy_accounts(m);
    ed_returns_free(&m->returns);
    ed_slots_destroy(m->slots);
    ed_identity_destroy(m->identity);
    ed_alloc_free(&m->allocator, m->client_keys,
                  (m->config.client_key_count + 1) * sizeof(eddy_key));
    ed_pool_destroy(m->receipt_pool);
    ed_pool_destroy(m->control_pool);
    ed_pool_destroy(m->notice_pool);
    ed_pool_destroy(m->event_pool);
    destroy_held(m, m->send_pool, "messages of pairs");
    destroy_held(m, m->payload_pool, "payloads");
    destroy_held(m, m->receive_pool, "messages");
    if (m->socket.close != NULL)
        m->socket.close(m->socket.context);
    ed_mutex_destroy(&m->mutex);
    ed_mutex_destroy(&m->core_mutex);
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
    m->config.socket = &m->socket;
    m->config.resolver = NULL; // as is the caller's, of which the resolver has a copy
    m->config.bind = NULL;     // the caller's string; it has been used by the time it may go away
    m->log = (ed_log){.function = config->log,
                      .context = config->log_context,
                      .level = config->log_level,
                      .topics = config->log_topics};
}

static eddy_status open_socket(eddy_manager *m, const eddy_config *config)
{
    const ed_udp_options options = {.split = config->accept};
    eddy_status status = EDDY_OK;

    if (config->socket != NULL)
        m->socket = *config->socket;
    else
        status = ed_udp_open(&m->socket, &m->allocator, config->bind, &options);
    if (status == EDDY_OK)
        m->local = m->socket.local(m->socket.context);
    return status;
}

static void drop_event(void *context, void *event)
{
    ed_reliable_type.drop_event(context, event);
}

static void drop_command(void *context, void *command)
{
    ed_reliable_type.drop_command(context, command, NULL);
}

/** Copies the keys, or makes them. */
static eddy_status create_keys(eddy_manager *m, const eddy_config *config)
{
    size_t count = config->client_key_count;

    if (config->client_keys != NULL) {
        m->client_keys = ed_alloc_array(&m->allocator, count + 1, sizeof(eddy_key));
        if (m->client_keys == NULL)
            return EDDY_ENOMEM;
        memcpy(m->client_keys, config->client_keys, count * sizeof(eddy_key));
        m->config.client_keys = m->client_keys;
    }
    m->identity = ed_identity_create(config, &m->entropy, ed_slots_count(m->slots), 0);
    if (m->identity == NULL)
        return EDDY_ENOMEM;
    memcpy(m->public_key.bytes, m->identity->pair.public_key, ED_KEY_SIZE);
    return EDDY_OK;
}

static eddy_status create_parts(eddy_manager *m, const eddy_config *config)
{
    const eddy_resolver *resolver = config->resolver;
    const eddy_allocator *allocator = &m->allocator;
    uint32_t incoming_max = m->config.accept ? m->config.max_connections : 0;

    m->control_pool = ed_pool_create(
        allocator, CONTROL_BUDGET + m->config.max_outgoing * ed_pool_charge(sizeof(ed_dial)));
    m->notice_pool = ed_pool_create(allocator, NOTICE_BUDGET);
    m->event_pool = ed_pool_create(allocator, (m->config.max_outgoing + incoming_max) *
                                                  ed_event_charge(m->config.ask));
    m->payload_pool = ed_pool_create(allocator, incoming_max * ed_event_payload_charge());
    m->send_pool = ed_pool_create(allocator, m->config.send_budget);
    m->receipt_pool =
        ed_pool_create(allocator, (m->config.send_budget / ED_SEND_HOLDER + 1) * ED_RECEIPT_CHARGE);
    if (m->send_pool != NULL)
        ed_pool_charge_holders(m->send_pool, ED_SEND_HOLDER);
    m->receive_pool = ed_pool_create(allocator, m->config.receive_budget);
    m->commands =
        ed_channel_create(allocator, ed_reliable_type.command_size, drop_command, &m->reliable);
    m->events = ed_channel_create(allocator, ed_reliable_type.event_size, drop_event, NULL);
    m->slots = ed_slots_create(allocator, m->config.max_outgoing, incoming_max);
    if (m->slots != NULL)
        m->accounts =
            ed_alloc_array(allocator, (size_t)ed_slots_count(m->slots) + 1, sizeof(*m->accounts));
    // Not of the program's memory: a look-up may outlast the manager.
    m->resolver = ed_resolver_create(ed_alloc_default(), resolver, ed_api_resolved, m);
    bool has_all = m->control_pool != NULL && m->notice_pool != NULL && m->event_pool != NULL &&
                   m->payload_pool != NULL && m->send_pool != NULL && m->receipt_pool != NULL &&
                   m->receive_pool != NULL && m->commands != NULL && m->events != NULL &&
                   m->slots != NULL && m->accounts != NULL && m->resolver != NULL;
    return has_all ? create_keys(m, config) : EDDY_ENOMEM;
}

static eddy_status create_core(eddy_manager *m)
{
    m->pairs = ed_local_create(&m->allocator, m->slots, m->event_pool, m->events);
    if (m->pairs == NULL)
        return EDDY_ENOMEM;
    ed_conn_shared shared = {.config = &m->config,
                             .allocator = &m->allocator,
                             .entropy = &m->entropy,
                             .identity = m->identity,
                             .receive_pool = m->receive_pool,
                             .payload_pool = m->payload_pool,
                             .accounts = m->accounts,
                             .asks = &m->asks,
                             .notice_pool = m->notice_pool,
                             .event_pool = m->event_pool,
                             .returns = &m->returns,
                             .slots = m->slots,
                             .stats = &m->live,
                             .log = &m->log};
    if (ed_reliable_init(&m->reliable, &shared) != EDDY_OK)
        return EDDY_ENOMEM;
    m->config.trusted = NULL; // the caller's: the gate has a copy
    ed_manager_parts parts = {.type = &ed_reliable_type,
                              .type_context = &m->reliable,
                              .allocator = &m->allocator,
                              .entropy = &m->entropy,
                              .socket = &m->socket,
                              .slots = m->slots,
                              .commands = m->commands,
                              .events = m->events,
                              .returns = &m->returns,
                              .stats = &m->live,
                              .half_open_max = m->config.max_half_open};
    m->core = ed_manager_create(&parts);
    if (m->core == NULL)
        return EDDY_ENOMEM;
    m->reliable.manager = m->core;
    // The manager holds the inner ends now; we keep the outer two.
    ed_channel_leave_receiver(m->commands);
    ed_channel_leave_sender(m->events);
    return EDDY_OK;
}

static bool is_done(const eddy_manager *m)
{
    return ed_manager_is_done(m->core);
}

static bool wants_send(const eddy_manager *m)
{
    return ed_manager_wants_send(m->core);
}

static uint64_t poll_core(eddy_manager *m, uint64_t now_ns)
{
    ed_mutex_lock(&m->core_mutex);
    m->polled_ns = now_ns;
    ed_check_count_in(m->refusals);
    uint64_t next_ns = ed_manager_poll(m->core, now_ns);
    ed_check_count_in(NULL);
    ed_mutex_unlock(&m->core_mutex);

    m->live.sends_refused = atomic_load(&m->sends_refused);
    ed_mutex_lock(&m->mutex);
    m->published = m->live;
    memcpy(m->published_refusals, m->refusals, sizeof(m->refusals));
    if (m->socket.stats != NULL)
        m->socket.stats(m->socket.context, &m->published_socket);
    ed_mutex_unlock(&m->mutex);
    return next_ns;
}

static eddy_status start_pump(eddy_manager *m)
{
    if (!m->config.pump)
        return EDDY_OK;
    m->pump = (ed_pump){.manager = m,
                        .socket = &m->socket,
                        .wake_fd = ed_channel_fd(m->commands),
                        .poll = poll_core,
                        .is_done = is_done,
                        .wants_send = wants_send};
    return m->pump.wake_fd < 0 ? EDDY_ESYSTEM : ed_pump_start(&m->pump);
}

static eddy_status create_mutexes(eddy_manager *m)
{
    eddy_status status = ed_mutex_init(&m->mutex);

    if (status != EDDY_OK)
        return status;
    status = ed_mutex_init(&m->core_mutex);
    if (status != EDDY_OK)
        ed_mutex_destroy(&m->mutex);
    return status;
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
    status = create_mutexes(m);
    if (status != EDDY_OK) {
        eddy_allocator allocator = m->allocator;
        ed_alloc_free(&allocator, m, sizeof(*m));
        return status;
    }
    status = open_socket(m, config);
    if (status == EDDY_OK)
        status = create_parts(m, config);
    if (status == EDDY_OK)
        status = create_core(m);
    if (status == EDDY_OK)
        status = start_pump(m);
    if (status != EDDY_OK) {
        if (config->socket != NULL)
            m->socket.close = NULL; // it is still the caller's
        destroy(m);
        return status;
    }
    *manager = m;
    return EDDY_OK;
}

/* ---------------------------------------------------------------------------------- ending -- */

void eddy_shutdown(eddy_manager *m, uint32_t flush_ms)
{
    ed_reliable_command command = {
        .head = {.kind = ED_COMMAND_SHUTDOWN, .flush_ns = flush_ms * ED_NS_PER_MS}};

    if (flush_ms == EDDY_FOREVER)
        command.head.flush_ns = UINT64_MAX;
    if (ed_api_is_forked(m))
        return;
    atomic_store(&m->shutting_down, true);
    ed_local_shutdown(m->pairs);
    // Without memory for the command there is none for going on either: closing the channel says
    // the same, without time to flush.
    if (ed_channel_push(m->commands, &command, 1) == EDDY_ENOMEM)
        ed_channel_close(m->commands);
}

eddy_status eddy_close(eddy_manager *m, uint32_t flush_ms)
{
    if (m == NULL)
        return EDDY_OK;
    if (ed_api_is_forked(m))
        return EDDY_EFORKED; // its threads are in the parent, and its locks perhaps theirs
    eddy_shutdown(m, flush_ms);
    if (m->config.pump)
        ed_pump_join(&m->pump);
    bool is_over = ed_manager_is_done(m->core);
    stop(m);
    bool all_arrived = is_over && m->live.messages_undelivered == 0;
    destroy(m);
    return all_arrived ? EDDY_OK : EDDY_EAGAIN;
}

/* --------------------------------------------------------------------------------- sending -- */

eddy_status ed_api_push(eddy_manager *m, const ed_reliable_command *command)
{
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    if (atomic_load(&m->shutting_down))
        return EDDY_ECLOSED;
    return ed_channel_push(m->commands, command, 1);
}

/* -------------------------------------------------------------------------- time and state -- */

/** Time that never goes backwards. */
static uint64_t our_time_ns(eddy_manager *m, uint64_t now_ns)
{
    uint64_t our_now_ns = ed_add_sat_u64(now_ns, m->set_back_ns);

    if (our_now_ns < m->polled_ns)
        m->set_back_ns += m->polled_ns - our_now_ns;
    return ed_max_u64(our_now_ns, m->polled_ns);
}

uint64_t eddy_poll(eddy_manager *m, uint64_t now_ns)
{
    if (m->config.pump || ed_api_is_forked(m))
        return ED_NEVER_NS;
    // Nobody but the next poll can tell that a name has been looked up since.
    bool is_busy = ed_resolver_is_busy(m->resolver);
    uint64_t our_now_ns = our_time_ns(m, now_ns);
    uint64_t next_ns = poll_core(m, our_now_ns);
    if (is_busy)
        next_ns = ed_min_u64(next_ns, ed_add_sat_u64(our_now_ns, RESOLVE_POLL_MS * ED_NS_PER_MS));
    m->next_ns = next_ns == ED_NEVER_NS ? next_ns : next_ns - m->set_back_ns;
    return m->next_ns;
}

eddy_status eddy_wait(eddy_manager *m, uint32_t timeout_ms)
{
    if (ed_api_is_forked(m))
        return EDDY_EFORKED;
    if (m->config.pump)
        return EDDY_ESTATE;
    if (m->socket.wait == NULL)
        return EDDY_ESUPPORT;
    int wake_fd = ed_channel_fd(m->commands);
    if (wake_fd < 0)
        return EDDY_ESYSTEM;
    uint64_t now_ns = ed_clock_now_ns();
    uint64_t end_ns = timeout_ms == EDDY_FOREVER ? ED_NEVER_NS : now_ns + timeout_ms * ED_NS_PER_MS;
    end_ns = ed_min_u64(end_ns, m->next_ns);
    if (end_ns > now_ns)
        m->socket.wait(m->socket.context, wake_fd, wants_send(m), end_ns - now_ns);
    return EDDY_OK;
}

eddy_key eddy_public_key(const eddy_manager *m)
{
    return m->public_key;
}

uint64_t eddy_now_ns(void)
{
    return ed_clock_now_ns();
}
