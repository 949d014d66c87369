#include "transport/shard.h"

#include "core/alloc.h"
#include "core/share.h"

enum {
    CONTROL_BUDGET = 1 << 20, /* bytes of reasons for closing that are on their way; each
                                 connection may hold one, too */
    NOTICE_BUDGET = 64 << 10, /* of events that may come late */
};

/* --------------------------------------------------------------------------------- its parts -- */

static uint32_t incoming_max(const eddy_config *share)
{
    return share->accept ? share->max_connections : 0;
}

uint32_t ed_shard_slot_count(const eddy_config *config, uint32_t number)
{
    eddy_config share = ed_share_of(config, number);

    return share.max_outgoing + incoming_max(&share);
}

static void drop_event(void *context, void *event)
{
    ed_reliable_type.drop_event(context, event);
}

static void drop_command(void *context, void *command)
{
    ed_reliable_type.drop_command(context, command, NULL);
}

ed_channel *ed_shard_events_create(const eddy_allocator *allocator)
{
    return ed_channel_create(allocator, ed_reliable_type.event_size, drop_event, NULL);
}

static bool create_pools(ed_shard *s)
{
    const eddy_allocator *allocator = s->config.allocator;
    size_t incoming = incoming_max(&s->config), outgoing = s->config.max_outgoing;

    s->control_pool =
        ed_pool_create(allocator, CONTROL_BUDGET + outgoing * ed_pool_charge(sizeof(ed_dial)) +
                                      (outgoing + incoming) * ed_pool_charge(EDDY_REASON_SIZE));
    s->notice_pool = ed_pool_create(allocator, NOTICE_BUDGET);
    s->event_pool =
        ed_pool_create(allocator, (outgoing + incoming) * ed_event_charge(s->config.ask));
    s->payload_pool = ed_pool_create(allocator, incoming * ed_event_payload_charge());
    s->send_pool = ed_pool_create(allocator, s->config.send_budget);
    s->receipt_pool =
        ed_pool_create(allocator, (s->config.send_budget / ED_SEND_HOLDER + 1) * ED_RECEIPT_CHARGE);
    if (s->send_pool != NULL)
        ed_pool_charge_holders(s->send_pool, ED_SEND_HOLDER);
    s->receive_pool = ed_pool_create(allocator, s->config.receive_budget);
    if (s->receive_pool != NULL) // what the program has of it comes back as an input of a poll
        ed_pool_use_alone(s->receive_pool);
    return s->control_pool != NULL && s->notice_pool != NULL && s->event_pool != NULL &&
           s->payload_pool != NULL && s->send_pool != NULL && s->receipt_pool != NULL &&
           s->receive_pool != NULL;
}

static bool create_parts(ed_shard *s)
{
    const eddy_allocator *allocator = s->config.allocator;

    if (!create_pools(s))
        return false;
    s->commands =
        ed_channel_open(&(ed_channel_form){.allocator = allocator,
                                           .item_size = ed_reliable_type.command_size,
                                           .one_receiver = true, // who polls: see core_mutex
                                           .drop = drop_command,
                                           .drop_context = &s->reliable});
    s->slots = ed_slots_create(allocator, s->config.max_outgoing, incoming_max(&s->config));
    if (s->commands == NULL || s->slots == NULL)
        return false;
    ed_slots_join(s->slots, s->number, &s->common->incoming);
    s->accounts =
        ed_alloc_array(allocator, (size_t)ed_slots_count(s->slots) + 1, sizeof(*s->accounts));
    return s->accounts != NULL;
}

eddy_status ed_shard_create(ed_shard **shard, ed_shard_common *common, uint32_t number,
                            const eddy_socket *socket)
{
    const eddy_config *config = common->config;
    ed_shard *s = ed_alloc_zeroed(config->allocator, sizeof(*s));

    *shard = NULL;
    if (s == NULL)
        return EDDY_ENOMEM;
    s->config = ed_share_of(config, number);
    s->common = common;
    s->socket = socket;
    s->number = (uint8_t)number;
    ed_ending_init(&s->ending);
    s->log = (ed_log){.function = config->log,
                      .context = config->log_context,
                      .level = config->log_level,
                      .topics = config->log_topics};
    eddy_status status = ed_mutex_init(&s->core_mutex);
    if (status != EDDY_OK) {
        ed_alloc_free(config->allocator, s, sizeof(*s));
        return status;
    }
    if (!create_parts(s)) {
        ed_shard_destroy(s);
        return EDDY_ENOMEM;
    }
    *shard = s;
    return EDDY_OK;
}

/* ---------------------------------------------------------------------------------- running -- */

eddy_status ed_shard_begin(ed_shard *s, uint32_t secrets_at)
{
    ed_conn_shared shared = {.config = &s->config,
                             .allocator = s->config.allocator,
                             .entropy = s->config.entropy,
                             .identity = s->common->identity,
                             .secrets_at = secrets_at,
                             .receive_pool = s->receive_pool,
                             .payload_pool = s->payload_pool,
                             .accounts = s->accounts,
                             .asks = &s->asks,
                             .notice_pool = s->notice_pool,
                             .event_pool = s->event_pool,
                             .returns = &s->returns,
                             .slots = s->slots,
                             .stats = &s->live,
                             .log = &s->log};
    ed_manager_parts parts = {.type = &ed_reliable_type,
                              .type_context = &s->reliable,
                              .allocator = s->config.allocator,
                              .entropy = s->config.entropy,
                              .socket = s->socket,
                              .slots = s->slots,
                              .commands = s->commands,
                              .events = s->common->events,
                              .returns = &s->returns,
                              .ending = &s->ending,
                              .stats = &s->live,
                              .half_open_max = s->config.max_half_open};

    if (ed_reliable_init(&s->reliable, &shared, &s->common->door) != EDDY_OK)
        return EDDY_ENOMEM;
    s->core = ed_manager_create(&parts);
    if (s->core == NULL)
        return EDDY_ENOMEM;
    s->reliable.manager = s->core;
    ed_channel_leave_receiver(s->commands); // the core holds that end now
    return EDDY_OK;
}

static uint64_t work(ed_shard *s, uint64_t (*core_work)(ed_manager *core, uint64_t now_ns),
                     uint64_t now_ns)
{
    ed_mutex_lock(&s->core_mutex);
    s->polled_ns = now_ns;
    ed_check_count_in(s->refusals);
    uint64_t next_ns = core_work(s->core, now_ns);
    ed_check_count_in(NULL);
    if (s->socket->stats != NULL)
        s->socket->stats(s->socket->context, &s->socket_stats);
    ed_mutex_unlock(&s->core_mutex);
    return next_ns;
}

uint64_t ed_shard_poll(ed_shard *s, uint64_t now_ns)
{
    return work(s, ed_manager_poll, now_ns);
}

uint64_t ed_shard_flush(ed_shard *s, uint64_t now_ns)
{
    return work(s, ed_manager_flush, now_ns);
}

static uint64_t poll_shard(void *context, uint64_t now_ns)
{
    return ed_shard_poll(context, now_ns);
}

static bool is_done(const void *context)
{
    const ed_shard *s = context;

    return ed_manager_is_done(s->core);
}

eddy_status ed_shard_wait(ed_shard *s, uint64_t timeout_ns)
{
    int wake_fd = -1;
    eddy_status status = ed_channel_begin_sleep(s->commands, &wake_fd);

    if (status != EDDY_OK)
        return status == EDDY_EAGAIN ? EDDY_OK : status; // what there is wants a poll
    if (timeout_ns > 0)
        s->socket->wait(s->socket->context, wake_fd, ed_manager_wants_send(s->core), timeout_ns);
    ed_channel_end_sleep(s->commands);
    return EDDY_OK;
}

static eddy_status wait_shard(void *context, uint64_t timeout_ns)
{
    return ed_shard_wait(context, timeout_ns);
}

eddy_status ed_shard_start(ed_shard *s)
{
    s->pump = (ed_pump){
        .name = "eddy", .context = s, .poll = poll_shard, .is_done = is_done, .wait = wait_shard};
    eddy_status status = ed_shard_wait(s, 0); // makes what each sleep needs, or cannot
    return status != EDDY_OK ? status : ed_pump_start(&s->pump);
}

/* ----------------------------------------------------------------------------------- ending -- */

void ed_shard_ask_end(ed_shard *s, uint32_t flush_ms)
{
    ed_ending_ask(&s->ending, flush_ms);
    ed_channel_nudge(s->commands);
}

void ed_shard_await_poll(ed_shard *s)
{
    ed_mutex_lock(&s->core_mutex);
    ed_mutex_unlock(&s->core_mutex);
}

void ed_shard_end(ed_shard *s)
{
    if (s->commands != NULL) {
        if (s->core == NULL) // which would have taken that end over
            ed_channel_leave_receiver(s->commands);
        ed_channel_leave_sender(s->commands);
    }
    s->commands = NULL;
    ed_manager_destroy(s->core);
    s->core = NULL;
}

/**
 * What the program still holds keeps its pool: a leak, said in the log, is better than a crash at
 * the end or a pointer into nothing.
 */
static void destroy_held(ed_shard *s, ed_pool *pool, const char *what)
{
    size_t held = pool == NULL ? 0 : ed_pool_charged(pool);

    if (held == 0)
        ed_pool_destroy(pool);
    else
        ed_log_line(&s->log, 0, EDDY_LOG_ERROR, EDDY_LOG_MANAGER,
                    "eddy_close: %zu bytes of %s were never released", held, what);
}

static void destroy_accounts(ed_shard *s)
{
    size_t count = s->accounts == NULL ? 0 : (size_t)ed_slots_count(s->slots) + 1;

    for (size_t i = 0; i < count; i++)
        ed_account_free(&s->accounts[i], s->config.allocator);
    ed_alloc_free(s->config.allocator, s->accounts, count * sizeof(*s->accounts));
}

void ed_shard_destroy(ed_shard *s)
{
    if (s == NULL)
        return;
    ed_shard_end(s);
    ed_reliable_free(&s->reliable);
    destroy_accounts(s);
    ed_returns_free(&s->returns);
    ed_slots_destroy(s->slots);
    ed_pool_destroy(s->receipt_pool);
    ed_pool_destroy(s->control_pool);
    ed_pool_destroy(s->notice_pool);
    ed_pool_destroy(s->event_pool);
    destroy_held(s, s->send_pool, "messages of pairs");
    destroy_held(s, s->payload_pool, "payloads");
    destroy_held(s, s->receive_pool, "messages");
    ed_mutex_destroy(&s->core_mutex);
    ed_alloc_free(s->config.allocator, s, sizeof(*s));
}
