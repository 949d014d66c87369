/** The calls of core/eddy.h: opening and ending a manager, messages, events, time. */
#include <string.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "transport/api_state.h"
#include "transport/udp.h"

enum {
    CONTROL_BUDGET = 1 << 20, /* bytes of reasons for closing that are on their way */
    NOTICE_BUDGET = 64 << 10, /* of events that may come late */
    EVENT_BATCH = 64,
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
static void destroy_receive_pool(eddy_manager *m)
{
    size_t held = m->receive_pool == NULL ? 0 : ed_pool_charged(m->receive_pool);

    if (held == 0)
        ed_pool_destroy(m->receive_pool);
    else
        ed_log_line(&m->log, 0, EDDY_LOG_ERROR, EDDY_LOG_MANAGER,
                    "eddy_close: %zu bytes of messages were never released", held);
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
    destroy_accounts(m);
    ed_returns_free(&m->returns);
    ed_slots_destroy(m->slots);
    ed_pool_destroy(m->control_pool);
    ed_pool_destroy(m->notice_pool);
    ed_pool_destroy(m->event_pool);
    ed_pool_destroy(m->send_pool);
    destroy_receive_pool(m);
    if (m->socket.close != NULL)
        m->socket.close(m->socket.context);
    ed_mutex_destroy(&m->mutex);
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
    m->config.bind = NULL; // the caller's string; it has been used by the time it may go away
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

static eddy_status create_parts(eddy_manager *m)
{
    const eddy_allocator *allocator = &m->allocator;
    uint32_t incoming_max = m->config.accept ? m->config.max_connections : 0;

    m->control_pool = ed_pool_create(allocator, CONTROL_BUDGET);
    m->notice_pool = ed_pool_create(allocator, NOTICE_BUDGET);
    m->event_pool =
        ed_pool_create(allocator, (m->config.max_outgoing + incoming_max) * ed_event_charge());
    m->send_pool = ed_pool_create(allocator, m->config.send_budget);
    m->receive_pool = ed_pool_create(allocator, m->config.receive_budget);
    m->commands =
        ed_channel_create(allocator, ed_reliable_type.command_size, drop_command, &m->reliable);
    m->events = ed_channel_create(allocator, ed_reliable_type.event_size, drop_event, NULL);
    m->slots = ed_slots_create(allocator, m->config.max_outgoing, incoming_max);
    if (m->slots != NULL)
        m->accounts =
            ed_alloc_array(allocator, (size_t)ed_slots_count(m->slots) + 1, sizeof(*m->accounts));
    return m->control_pool != NULL && m->notice_pool != NULL && m->event_pool != NULL &&
                   m->send_pool != NULL && m->receive_pool != NULL && m->commands != NULL &&
                   m->events != NULL && m->slots != NULL && m->accounts != NULL
               ? EDDY_OK
               : EDDY_ENOMEM;
}

static eddy_status create_core(eddy_manager *m)
{
    ed_conn_shared shared = {.config = &m->config,
                             .allocator = &m->allocator,
                             .entropy = &m->entropy,
                             .receive_pool = m->receive_pool,
                             .accounts = m->accounts,
                             .notice_pool = m->notice_pool,
                             .event_pool = m->event_pool,
                             .returns = &m->returns,
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
    uint64_t next_ns = ed_manager_poll(m->core, now_ns);

    m->live.sends_refused = atomic_load(&m->sends_refused);
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
    status = ed_mutex_init(&m->mutex);
    if (status != EDDY_OK) {
        eddy_allocator allocator = m->allocator;
        ed_alloc_free(&allocator, m, sizeof(*m));
        return status;
    }
    status = open_socket(m, config);
    if (status == EDDY_OK)
        status = create_parts(m);
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

/* ---------------------------------------------------------------------------------- events -- */

/** The deadline of a wait that begins now; without a pump nothing can come while we wait. */
static uint64_t wait_until_ns(const eddy_manager *m, uint32_t timeout_ms)
{
    if (timeout_ms == 0 || !m->config.pump)
        return 0;
    return timeout_ms == EDDY_FOREVER ? ED_NEVER_NS : ed_clock_now_ns() + timeout_ms * ED_NS_PER_MS;
}

/** Hands a block back to the manager, and wakes it where it can do nothing before. */
static void give_back(eddy_manager *m, ed_block *block)
{
    ed_reliable_command poke = {.head = {.kind = ED_COMMAND_POKE}};

    if (!ed_returns_push(&m->returns, block))
        return;
    if (ed_channel_push(m->commands, &poke, 1) == EDDY_ENOMEM)
        ed_returns_await(&m->returns); // so that the next one tries again
}

/** The program hears the last of a connection: its slot may be free now. */
static void take_last(eddy_manager *m, const ed_event_item *item)
{
    if (ed_slots_is_outgoing(m->slots, item->connection)) {
        // At once: whoever dials again now should not have to wait for a poll.
        ed_pool_give(item->block);
        ed_slots_forget(m->slots, item->connection);
        return;
    }
    // At a poll: which slot a newcomer gets depends on the manager's inputs alone.
    ed_return_mark_last(item->block, item->connection);
    give_back(m, item->block);
}

/** Makes an item the program's: only a message leaves it something to release. */
static void open_item(eddy_manager *m, const ed_event_item *item, eddy_event *event)
{
    ed_event_read(item, event);
    // Only now may another be asked for, so that no more than one waits to be taken.
    if (item->type == EDDY_WRITABLE)
        atomic_store(&m->accounts[ed_slot_of(item->connection)].was_refused, false);
    if (item->type == EDDY_DISCONNECTED)
        take_last(m, item);
    else if (event->block == NULL)
        ed_pool_give(item->block);
}

static eddy_status next_event(eddy_manager *m, eddy_event *event, uint64_t deadline_ns)
{
    ed_event_item item;
    size_t count = 0;

    *event = (eddy_event){0};
    eddy_status status = ed_channel_pull(m->events, &item, 1, &count, deadline_ns);
    if (status == EDDY_OK)
        open_item(m, &item, event);
    return status;
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
    ed_event_item items[EVENT_BATCH];
    size_t taken = 0;
    size_t got = 0;

    for (; taken < count; taken += got) {
        size_t most = ed_min_size(count - taken, EVENT_BATCH);
        if (ed_channel_pull(m->events, items, most, &got, 0) != EDDY_OK)
            return taken;
        for (size_t i = 0; i < got; i++)
            open_item(m, &items[i], &events[taken + i]);
    }
    return taken;
}

void eddy_release(eddy_manager *m, eddy_event *event)
{
    if (event->block != NULL)
        give_back(m, event->block);
    *event = (eddy_event){0};
}

int eddy_event_fd(eddy_manager *m)
{
    return ed_channel_fd(m->events);
}

/* -------------------------------------------------------------------------- time and state -- */

uint64_t eddy_poll(eddy_manager *m, uint64_t now_ns)
{
    return m->config.pump ? ED_NEVER_NS : poll_core(m, now_ns);
}

uint64_t eddy_now_ns(void)
{
    return ed_clock_now_ns();
}

eddy_address eddy_local_address(const eddy_manager *m)
{
    return m->local;
}

void eddy_get_stats(eddy_manager *m, eddy_stats *stats)
{
    ed_mutex_lock(&m->mutex);
    *stats = m->published;
    ed_mutex_unlock(&m->mutex);
}

void eddy_get_socket_stats(eddy_manager *m, eddy_socket_stats *stats)
{
    ed_mutex_lock(&m->mutex);
    *stats = m->published_socket;
    ed_mutex_unlock(&m->mutex);
}
