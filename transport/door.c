#include "transport/door.h"

enum {
    GATE_ADDRESSES = 16, /* for each connection that there may be, */
    GATE_CAPACITY_MIN = 4096,
    RESETS_PER_S = 1000,
    BURSTS_PER_S = 10, /* the part of a second's budget that may be taken at once */
};

static_assert(ED_TICKET_LIFE_S % ED_COOKIE_SECRET_LIFE_S == 0, "both turn at the same times");

/* ----------------------------------------------------------------------------- life of it -- */

/** What only a server needs: tables of who asks how often, and which tokens were used. */
static eddy_status init_tables(ed_door *door, const eddy_config *config)
{
    uint64_t addresses =
        ed_max_u64(GATE_ADDRESSES * (uint64_t)config->max_connections, GATE_CAPACITY_MIN);
    uint32_t capacity = (uint32_t)ed_min_u64(addresses, ED_GATE_CAPACITY_MAX);
    uint64_t taken = (uint64_t)config->max_connections + ED_GATE_SAMPLE;
    ed_gate_limits limits = {.capacity = capacity,
                             .taken = (uint32_t)ed_min_u64(taken, capacity),
                             .rate = config->connect_rate,
                             .burst = config->connect_burst,
                             .connections_max = config->max_per_address,
                             .half_open_max = config->half_open_per_address,
                             .trusted = config->trusted,
                             .trusted_count = config->trusted_count};
    eddy_status status = ed_gate_init(&door->gate, config->allocator, config->entropy, &limits);

    ed_tickets_init(&door->tickets, config->allocator);
    if (status == EDDY_OK && (config->modes & EDDY_MODE_TOKEN) != 0)
        status = ed_used_init(&door->used, config->allocator, config->entropy, ED_USED_MAX);
    return status;
}

static void init_budget(ed_bucket *budget, uint32_t per_second)
{
    ed_bucket_init(budget, per_second, per_second / BURSTS_PER_S + 1);
}

eddy_status ed_door_init(ed_door *door, const eddy_config *config, ed_cookie_jar *cookies)
{
    *door = (ed_door){.cookies = cookies};
    eddy_status status = ed_mutex_init(&door->mutex);
    if (status != EDDY_OK)
        return status;
    door->is_open = true;
    init_budget(&door->budgets[ED_DOOR_REPLIES], config->reply_rate);
    init_budget(&door->budgets[ED_DOOR_HANDSHAKES], config->handshake_rate);
    init_budget(&door->budgets[ED_DOOR_RESETS], RESETS_PER_S);
    return config->accept ? init_tables(door, config) : EDDY_OK;
}

void ed_door_free(ed_door *door)
{
    if (!door->is_open)
        return;
    ed_gate_free(&door->gate);
    ed_used_free(&door->used);
    ed_tickets_free(&door->tickets);
    ed_mutex_destroy(&door->mutex);
    door->is_open = false;
}

uint64_t ed_door_turn(ed_door *door, const eddy_entropy *entropy, uint64_t now_ns)
{
    const uint64_t life_ns = ED_COOKIE_SECRET_LIFE_S * ED_NS_PER_S;

    ed_mutex_lock(&door->mutex);
    ed_tickets_rotate(&door->tickets, now_ns);
    ed_cookie_rotate(door->cookies, entropy, now_ns);
    ed_mutex_unlock(&door->mutex);
    return ed_add_sat_u64(now_ns, life_ns - now_ns % life_ns);
}

/* ------------------------------------------------------------------------- one look at each -- */

bool ed_door_take(ed_door *door, ed_door_budget budget, uint64_t now_ns)
{
    ed_mutex_lock(&door->mutex);
    bool is_there = ed_bucket_take(&door->budgets[budget], now_ns);
    ed_mutex_unlock(&door->mutex);
    return is_there;
}

/** The secrets as they are now, so that nobody waits while a tag is reckoned. */
static ed_cookie_jar open_jar(ed_door *door)
{
    ed_mutex_lock(&door->mutex);
    ed_cookie_jar jar = *door->cookies;
    ed_mutex_unlock(&door->mutex);
    return jar;
}

void ed_door_cookie_make(ed_door *door, uint8_t cookie[ED_COOKIE_SIZE], const ed_hello *hello,
                         const eddy_address *remote, uint64_t now_ns)
{
    ed_cookie_jar jar = open_jar(door);

    ed_cookie_make(&jar, cookie, hello, remote, now_ns);
    ed_wipe(&jar, sizeof(jar));
}

bool ed_door_cookie_check(ed_door *door, const ed_initiate *initiate, const eddy_address *remote,
                          uint64_t now_ns)
{
    ed_cookie_jar jar = open_jar(door);
    bool is_ours = ed_cookie_check(&jar, initiate, remote, now_ns);

    ed_wipe(&jar, sizeof(jar));
    return is_ours;
}

ed_gate_verdict ed_door_gate_admits(ed_door *door, const eddy_address *address, uint64_t now_ns)
{
    ed_mutex_lock(&door->mutex);
    ed_gate_verdict verdict = ed_gate_admits(&door->gate, address, now_ns);
    ed_mutex_unlock(&door->mutex);
    return verdict;
}

bool ed_door_gate_takes_reset(ed_door *door, const eddy_address *address, uint64_t now_ns)
{
    ed_mutex_lock(&door->mutex);
    bool takes = ed_gate_takes_reset(&door->gate, address, now_ns);
    ed_mutex_unlock(&door->mutex);
    return takes;
}

void ed_door_gate_blame(ed_door *door, const eddy_address *address, uint64_t now_ns)
{
    ed_mutex_lock(&door->mutex);
    ed_gate_blame(&door->gate, address, now_ns);
    ed_mutex_unlock(&door->mutex);
}

void ed_door_gate_add(ed_door *door, const eddy_address *address)
{
    ed_mutex_lock(&door->mutex);
    ed_gate_add(&door->gate, address);
    ed_mutex_unlock(&door->mutex);
}

void ed_door_gate_confirm(ed_door *door, const eddy_address *address)
{
    ed_mutex_lock(&door->mutex);
    ed_gate_confirm(&door->gate, address);
    ed_mutex_unlock(&door->mutex);
}

void ed_door_gate_remove(ed_door *door, const eddy_address *address, bool is_half_open)
{
    ed_mutex_lock(&door->mutex);
    ed_gate_remove(&door->gate, address, is_half_open);
    ed_mutex_unlock(&door->mutex);
}

uint32_t ed_door_gate_half_open(ed_door *door, const eddy_address *address)
{
    ed_mutex_lock(&door->mutex);
    uint32_t count = ed_gate_half_open(&door->gate, address);
    ed_mutex_unlock(&door->mutex);
    return count;
}

ed_used_verdict ed_door_used_look(ed_door *door, const ed_used_token *token, uint64_t now_s)
{
    ed_mutex_lock(&door->mutex);
    ed_used_verdict verdict = ed_used_look(&door->used, token, now_s);
    ed_mutex_unlock(&door->mutex);
    return verdict;
}

ed_used_verdict ed_door_used_take(ed_door *door, const ed_used_token *token, uint64_t now_s)
{
    ed_mutex_lock(&door->mutex);
    ed_used_verdict verdict = ed_used_take(&door->used, token, now_s);
    ed_mutex_unlock(&door->mutex);
    return verdict;
}

void ed_door_used_forget(ed_door *door, const ed_used_token *token, uint64_t now_s)
{
    ed_mutex_lock(&door->mutex);
    ed_used_forget(&door->used, token, now_s);
    ed_mutex_unlock(&door->mutex);
}

bool ed_door_tickets_may_use(ed_door *door, const uint8_t ticket[ED_COOKIE_SIZE])
{
    ed_mutex_lock(&door->mutex);
    bool may = ed_tickets_may_use(&door->tickets, ticket);
    ed_mutex_unlock(&door->mutex);
    return may;
}

bool ed_door_tickets_use(ed_door *door, const uint8_t ticket[ED_COOKIE_SIZE])
{
    ed_mutex_lock(&door->mutex);
    bool is_first = ed_tickets_use(&door->tickets, ticket);
    ed_mutex_unlock(&door->mutex);
    return is_first;
}
