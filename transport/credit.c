#include "transport/credit.h"

#include "core/budget.h"

enum {
    WINDOW_SHARE = 4, /* a connection's window is at most a quarter of what is for windows */
    /* A window of which half is used within so many round trips is too small; and one of which half
       is used within this time does not last while a path carries nothing for so long. */
    GROW_RTTS = 2,
    OUTAGE_MS = 2000,
    OUTAGE_SIZE = 64 << 10, /* and no more for that */
};

void ed_credit_pool_init(ed_credit_pool *pool, size_t budget, size_t max_message_size,
                         uint32_t connections_max)
{
    ed_budget shared = ed_budget_share(budget, max_message_size, connections_max);
    uint64_t share = shared.windows / 2 / ed_max_u64(connections_max, 1);
    uint64_t largest = ed_charge_of(max_message_size);

    static_assert((int)ED_CREDIT_PARTS_CHARGE <= (int)ED_BUDGET_PARTS_MAX,
                  "there is room for the largest message");
    ED_ASSERT(shared.is_enough && largest <= shared.demands); // eddy_config_check has seen to it
    *pool = (ed_credit_pool){.windows_max = shared.windows,
                             .demands_max = shared.demands,
                             .demand_max = ed_min_u64(shared.demands, ED_STARTED_MAX * largest),
                             .unreliable_max = shared.unreliable,
                             .window_max = shared.windows / WINDOW_SHARE,
                             .connections_max = connections_max};
    // So much is always left that nobody waits for what there will never be.
    pool->lanes_max = pool->demands_max - pool->demand_max;
    share = ed_min_u64(ed_max_u64(share, ED_CREDIT_INITIAL_MIN), ED_CREDIT_INITIAL);
    pool->window_initial = (uint32_t)share;
    pool->window_max = ed_max_u64(pool->window_max, share);
    ed_list_init(&pool->waiting);
}

bool ed_credit_in_init(ed_credit_in *credit, ed_credit_pool *pool, uint64_t now_ns)
{
    *credit =
        (ed_credit_in){.pool = pool, .fast = {.begin_ns = now_ns}, .steady = {.begin_ns = now_ns}};
    if (pool->window_initial > pool->windows_max - pool->windows)
        return false;
    pool->windows += pool->window_initial;
    pool->connection_count++;
    credit->window = pool->window_initial;
    credit->limit = pool->window_initial;
    return true;
}

void ed_credit_in_free(ed_credit_in *credit)
{
    ED_ASSERT(credit->pool->windows >= credit->window);
    ED_ASSERT(credit->pool->demands >= credit->reserved);
    credit->pool->windows -= credit->window;
    credit->pool->connection_count -= credit->window > 0 ? 1 : 0; // else there was no room
    credit->pool->demands -= credit->reserved;
    ed_list_remove(&credit->waiting);
    credit->window = 0;
    credit->reserved = 0;
}

bool ed_credit_valid(const ed_credit_in *credit)
{
    return credit->consumed <= credit->claimed && credit->claimed <= credit->limit &&
           credit->limit - credit->consumed <= credit->window + credit->reserved;
}

/**
 * What is to be granted for messages that arrive. A sender lacks credit for the two at most of
 * which not all parts have been sent; of the others it has been charged all. A peer that begins
 * more would otherwise wait for more room than there is, and all others behind it.
 */
static uint64_t demand_of(const ed_credit_in *credit)
{
    return ed_min_u64(credit->demand, credit->pool->demand_max);
}

/**
 * What is granted beyond the window stays reserved, and so does all that the messages which arrive
 * need, once it is there: small ones that are given back meanwhile do not eat it. A part of that is
 * given back like the rest: two that hold half each wait forever.
 */
static void release(ed_credit_in *credit)
{
    uint64_t granted = credit->limit - credit->consumed;
    uint64_t beyond = granted > credit->window ? granted - credit->window : 0;
    bool has_all = credit->reserved >= demand_of(credit);
    uint64_t needed = has_all ? ed_max_u64(beyond, demand_of(credit)) : beyond;

    ED_ASSERT(needed <= credit->reserved);
    credit->pool->demands -= credit->reserved - needed;
    credit->reserved = needed;
}

/** Whether half of the window was used within that time. */
static bool is_half_used(const ed_credit_in *credit, ed_credit_round *round, uint64_t within_ns,
                         uint64_t now_ns)
{
    bool is_over = now_ns - round->begin_ns > within_ns;

    if (!is_over && credit->claimed - round->claimed < credit->window / 2)
        return false;
    *round = (ed_credit_round){.begin_ns = now_ns, .claimed = credit->claimed};
    return !is_over;
}

/** What windows may grow into: those that are here must not keep out those that may yet come. */
static uint64_t room_to_grow(const ed_credit_pool *pool)
{
    uint64_t more =
        pool->connections_max - ed_min_u64(pool->connections_max, pool->connection_count);

    return pool->windows_max - ed_min_u64(more * pool->window_initial, pool->windows_max / 2);
}

/**
 * Widens a window that is too narrow for the path. As long as there is plenty of room, also for a
 * program that does not read for a moment, or a path that fails for one: its peer should not feel
 * that.
 */
static void grow_window(ed_credit_in *credit, uint64_t smoothed_rtt_ns, uint64_t now_ns)
{
    ed_credit_pool *pool = credit->pool;
    uint64_t more = ed_min_u64(credit->window, pool->window_max - credit->window);
    bool is_fast = is_half_used(credit, &credit->fast, GROW_RTTS * smoothed_rtt_ns, now_ns);
    bool is_steady = is_half_used(credit, &credit->steady, OUTAGE_MS * ED_NS_PER_MS, now_ns) &&
                     credit->window < OUTAGE_SIZE;
    bool is_full = credit->claimed - credit->consumed > credit->window / 2;
    uint64_t most = room_to_grow(pool);

    if (!is_fast) {
        if (!is_full && !is_steady)
            return;
        most /= 2;
    }
    if (pool->windows + more > most)
        return;
    pool->windows += more;
    credit->window += more;
}

static uint64_t wanted_limit(const ed_credit_in *credit)
{
    return credit->consumed + credit->window + demand_of(credit);
}

/** Who waits longest gets what becomes free. */
static bool is_its_turn(const ed_credit_in *credit)
{
    ed_list_node *first = ed_list_first(&credit->pool->waiting);

    return first == NULL || first == &credit->waiting;
}

/** Reserves what the limit needs beyond the window. @return false if there is no room. */
static bool reserve(ed_credit_in *credit, uint64_t limit)
{
    ed_credit_pool *pool = credit->pool;
    uint64_t granted = limit - credit->consumed;
    uint64_t needed = granted > credit->window ? granted - credit->window : 0;

    if (needed <= credit->reserved)
        return true;
    uint64_t taken = pool->demands + pool->orphans + pool->lanes + needed - credit->reserved;
    if (!is_its_turn(credit) || taken > pool->demands_max)
        return false;
    pool->demands += needed - credit->reserved;
    credit->reserved = needed;
    return true;
}

/**
 * A grant is told when it is worth a frame; and any is when the peer may not have enough for what
 * it sends next, as it would wait for ever if the program keeps what it has until more comes.
 */
static bool is_worth_telling(const ed_credit_in *credit, uint64_t limit)
{
    bool may_wait = credit->limit - credit->claimed < ED_CREDIT_STEP_MAX;

    static_assert(ED_CREDIT_INITIAL_MIN >= 2 * ED_CREDIT_STEP_MAX, "half a window is enough");
    return limit >= credit->limit + credit->window / 2 || (may_wait && limit > credit->limit);
}

/** @return the limit that there is room for. Who does not get all that it wants waits for it. */
static uint64_t reserve_or_wait(ed_credit_in *credit)
{
    uint64_t limit = wanted_limit(credit);

    if (!is_worth_telling(credit, limit) || reserve(credit, limit)) {
        ed_list_remove(&credit->waiting);
        return limit;
    }
    if (!ed_list_linked(&credit->waiting))
        ed_list_push_back(&credit->pool->waiting, &credit->waiting);
    return credit->consumed + credit->window + credit->reserved;
}

void ed_credit_update(ed_credit_in *credit, uint64_t smoothed_rtt_ns, uint64_t now_ns)
{
    release(credit);
    grow_window(credit, smoothed_rtt_ns, now_ns);
    uint64_t limit = reserve_or_wait(credit);
    if (!is_worth_telling(credit, limit))
        return;
    credit->limit = limit;
    credit->pending = true;
    ED_ASSERT(ed_credit_valid(credit));
}

bool ed_credit_take_lanes(ed_credit_pool *pool, uint64_t size)
{
    if (pool->lanes + size > pool->lanes_max ||
        pool->demands + pool->orphans + pool->lanes + size > pool->demands_max)
        return false;
    pool->lanes += size;
    return true;
}

bool ed_credit_is_short(const ed_credit_in *credit)
{
    return credit->limit - credit->claimed < credit->window / 2;
}
