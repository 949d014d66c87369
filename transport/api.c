/** The calls of core/eddy.h: opening and ending a manager, messages, events, time. */
#include <string.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "transport/api_state.h"
#include "transport/udp.h"

enum {
    RESOLVE_POLL_MS = 10,     /* between polls without a pump while a name is looked up */
    CONTROL_BUDGET = 1 << 20, /* bytes of reasons for closing that are on their way */
    CONNECT_BUDGET = 512,     /* bytes of a payload's block, for each outgoing connection */
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
 * A message that the program still holds keeps its pool: a leak, said in the log, is better than a
 * crash at the end or a pointer into nothing.
 */
static void destroy_message_pool(eddy_manager *m, ed_pool *pool)
{
    size_t held = pool == NULL ? 0 : ed_pool_charged(pool);

    if (held == 0)
        ed_pool_destroy(pool);
    else
        ed_log_line(&m->log, 0, EDDY_LOG_ERROR, EDDY_LOG_MANAGER,
                    "eddy_close: %zu bytes of messages were never released", held);
}

/** What has to be undone if opening fails half way; the order of eddy_open. */
static void destroy(eddy_manager *m)
{
    stop(m);
    ed_local_destroy(m->pairs);
    ed_slots_destroy(m->slots);
    ed_pool_destroy(m->control_pool);
    destroy_message_pool(m, m->send_pool); // a local pair's are held
    destroy_message_pool(m, m->receive_pool);
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
    m->config.allocator = &m->allocator;
    m->config.entropy = &m->entropy;
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
    eddy_status status = EDDY_OK;

    if (config->socket != NULL)
        m->socket = *config->socket;
    else
        status = ed_udp_open(&m->socket, &m->allocator, config->bind, NULL);
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
    ed_reliable_type.drop_command(context, command);
}

static_assert(sizeof(ed_block) + EDDY_CONNECT_PAYLOAD_MAX <= CONNECT_BUDGET,
              "there is room for the payloads of all outgoing connections");

static eddy_status create_parts(eddy_manager *m, const eddy_resolver *resolver)
{
    const eddy_allocator *allocator = &m->allocator;

    m->control_pool =
        ed_pool_create(allocator, CONTROL_BUDGET + (size_t)CONNECT_BUDGET * m->config.max_outgoing);
    m->send_pool = ed_pool_create(allocator, m->config.send_budget);
    m->receive_pool = ed_pool_create(allocator, m->config.receive_budget);
    m->commands =
        ed_channel_create(allocator, ed_reliable_type.command_size, drop_command, &m->reliable);
    m->events = ed_channel_create(allocator, ed_reliable_type.event_size, drop_event, NULL);
    m->slots = ed_slots_create(allocator, m->config.max_outgoing,
                               m->config.accept ? m->config.max_connections : 0);
    // Not of the program's memory: a look-up may outlast the manager.
    m->resolver = ed_resolver_create(ed_alloc_default(), resolver, ed_api_resolved, m);
    return m->resolver != NULL && m->control_pool != NULL && m->send_pool != NULL &&
                   m->receive_pool != NULL && m->commands != NULL && m->events != NULL &&
                   m->slots != NULL
               ? EDDY_OK
               : EDDY_ENOMEM;
}

static eddy_status create_core(eddy_manager *m)
{
    m->pairs = ed_local_create(&m->allocator, m->slots, m->send_pool, m->events);
    if (m->pairs == NULL)
        return EDDY_ENOMEM;
    ed_conn_shared shared = {.config = &m->config,
                             .allocator = &m->allocator,
                             .entropy = &m->entropy,
                             .receive_pool = m->receive_pool,
                             .slots = m->slots,
                             .stats = &m->live,
                             .log = &m->log};
    ed_reliable_init(&m->reliable, &shared, 0);
    ed_manager_parts parts = {.type = &ed_reliable_type,
                              .type_context = &m->reliable,
                              .allocator = &m->allocator,
                              .entropy = &m->entropy,
                              .socket = &m->socket,
                              .slots = m->slots,
                              .commands = m->commands,
                              .events = m->events,
                              .stats = &m->live,
                              .half_open_max = m->config.max_half_open,
                              .incoming_max = m->config.accept ? m->config.max_connections : 0};
    m->core = ed_manager_create(&parts);
    if (m->core == NULL)
        return EDDY_ENOMEM;
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
    uint64_t next_ns = ed_manager_poll(m->core, now_ns);
    ed_mutex_unlock(&m->core_mutex);

    ed_mutex_lock(&m->mutex);
    m->published = m->live;
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
        status = create_parts(m, config->resolver);
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
    if (atomic_load(&m->shutting_down))
        return EDDY_ECLOSED;
    return ed_channel_push(m->commands, command, 1);
}

static bool is_guarantee(eddy_guarantee guarantee)
{
    return guarantee == EDDY_UNRELIABLE || guarantee == EDDY_RELIABLE_ORDERED;
}

eddy_status eddy_send(eddy_manager *m, eddy_connection connection, eddy_guarantee guarantee,
                      uint8_t stream, const void *data, size_t size)
{
    if (!is_guarantee(guarantee) || (data == NULL && size > 0))
        return EDDY_EINVAL;
    if (size > EDDY_PIECE_SIZE_MAX)
        return EDDY_ETOOBIG;
    if (ed_local_owns(m->pairs, connection))
        return ed_local_send(m->pairs, connection, guarantee, stream, data, size);
    if (!ed_slots_live(m->slots, connection))
        return EDDY_ECONNECTION;
    ed_block *block = ed_pool_take(m->send_pool, size);
    if (block == NULL)
        return EDDY_EAGAIN;
    if (size > 0)
        memcpy(block->data, data, size);
    ed_reliable_command command = {
        .head = {.kind = ED_COMMAND_TO_CONNECTION, .connection = connection},
        .operation = ED_OPERATION_SEND,
        .block = block,
        .guarantee = (uint8_t)guarantee,
        .stream = stream};
    eddy_status status = ed_api_push(m, &command);
    if (status != EDDY_OK)
        ed_pool_give(block);
    return status == EDDY_ENOMEM ? EDDY_EAGAIN : status;
}

/* ---------------------------------------------------------------------------------- events -- */

/** The deadline of a wait that begins now; without a pump nothing can come while we wait. */
static uint64_t wait_until_ns(const eddy_manager *m, uint32_t timeout_ms)
{
    if (timeout_ms == 0 || !m->config.pump)
        return 0;
    return timeout_ms == EDDY_FOREVER ? ED_NEVER_NS : ed_clock_now_ns() + timeout_ms * ED_NS_PER_MS;
}

/** Takes what has come. The program may have said whose they are while they waited. */
static eddy_status pull_events(eddy_manager *m, eddy_event *events, size_t capacity, size_t *count,
                               uint64_t deadline_ns)
{
    eddy_status status = ed_channel_pull(m->events, events, capacity, count, deadline_ns);

    for (size_t i = 0; i < *count; i++)
        events[i].user_data =
            ed_slots_last_data(m->slots, events[i].connection, events[i].user_data);
    return status;
}

static eddy_status next_event(eddy_manager *m, eddy_event *event, uint64_t deadline_ns)
{
    size_t count = 0;

    *event = (eddy_event){0};
    return pull_events(m, event, 1, &count, deadline_ns);
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
    size_t got = 0;

    if (count > 0 && pull_events(m, events, count, &got, 0) != EDDY_OK)
        return 0;
    return got;
}

void eddy_release(eddy_manager *m, eddy_event *event)
{
    (void)m;
    ed_pool_give(event->block);
    *event = (eddy_event){0};
}

int eddy_event_fd(eddy_manager *m)
{
    return ed_channel_fd(m->events);
}

/* -------------------------------------------------------------------------- time and state -- */

uint64_t eddy_poll(eddy_manager *m, uint64_t now_ns)
{
    if (m->config.pump)
        return ED_NEVER_NS;
    // Nobody but the next poll can tell that a name has been looked up since.
    bool is_busy = ed_resolver_is_busy(m->resolver);
    uint64_t next_ns = poll_core(m, now_ns);
    return is_busy ? ed_min_u64(next_ns, ed_add_sat_u64(now_ns, RESOLVE_POLL_MS * ED_NS_PER_MS))
                   : next_ns;
}

uint64_t eddy_now_ns(void)
{
    return ed_clock_now_ns();
}
