#include "transport/mtu.h"

bool ed_mtu_valid(const ed_mtu *mtu)
{
    return mtu->size >= ED_DATAGRAM_SIZE && mtu->size <= mtu->limit &&
           mtu->limit <= EDDY_DATAGRAM_SIZE_MAX && mtu->refused > mtu->size &&
           mtu->refused <= mtu->limit + 1 && mtu->probe_size < mtu->refused &&
           mtu->tries < ED_MTU_TRIES;
}

static bool is_large(const ed_sent *packet)
{
    return packet->size > ED_DATAGRAM_SIZE;
}

static void forget_doubts(ed_mtu *mtu)
{
    mtu->doubts = 0;
    mtu->small_since_ns = ED_NEVER_NS;
}

void ed_mtu_init(ed_mtu *mtu, uint32_t limit)
{
    *mtu = (ed_mtu){.size = ED_DATAGRAM_SIZE, .limit = limit, .refused = limit + 1};
    forget_doubts(mtu);
    ED_ASSERT(ed_mtu_valid(mtu));
}

void ed_mtu_restart(ed_mtu *mtu, uint64_t first)
{
    ed_mtu_init(mtu, mtu->limit);
    mtu->first = first;
    mtu->passed = first;
}

void ed_mtu_forget_flight(ed_mtu *mtu, uint64_t first)
{
    mtu->probe_size = 0;
    mtu->first = first;
    mtu->passed = first;
    forget_doubts(mtu);
}

/* --------------------------------------------------------------------------------- search -- */

bool ed_mtu_on_full(ed_mtu *mtu, uint64_t now_ns)
{
    if (mtu->is_searching || mtu->size == mtu->limit || now_ns < mtu->next_ns)
        return false;
    mtu->refused = mtu->limit + 1; // what it did not take once, it may by now
    mtu->tries = 0;
    mtu->is_searching = true;
    return true;
}

/** The size to be tried next: all at first, as mostly it passes. */
static uint32_t next_size(const ed_mtu *mtu)
{
    return mtu->refused > mtu->limit ? mtu->limit : (mtu->size + mtu->refused) / 2;
}

uint64_t ed_mtu_next_ns(const ed_mtu *mtu)
{
    return mtu->is_searching && mtu->probe_size == 0 ? mtu->next_ns : ED_NEVER_NS;
}

uint32_t ed_mtu_due(const ed_mtu *mtu, uint64_t now_ns)
{
    return ed_mtu_next_ns(mtu) <= now_ns ? next_size(mtu) : 0;
}

void ed_mtu_on_probe_sent(ed_mtu *mtu, uint64_t gap_ns, uint64_t now_ns)
{
    ED_ASSERT(ed_mtu_due(mtu, now_ns) != 0);
    mtu->probe_size = next_size(mtu);
    mtu->next_ns = ed_add_sat_u64(now_ns, gap_ns);
    ED_ASSERT(ed_mtu_valid(mtu));
}

/** Ends the search when what it could still win is not worth a probe. */
static void end_if_found(ed_mtu *mtu, uint64_t now_ns)
{
    if (mtu->size < mtu->limit && mtu->refused - mtu->size > ED_MTU_STEP)
        return;
    mtu->is_searching = false;
    mtu->next_ns = ed_add_sat_u64(now_ns, ED_MTU_RAISE_NS);
}

/** The size has passed. One that was lost before it, by chance, may pass, too. */
static void grow(ed_mtu *mtu, uint32_t size, uint64_t now_ns)
{
    mtu->size = size;
    mtu->refused = mtu->refused <= size ? mtu->limit + 1 : mtu->refused;
    mtu->probe_size = 0;
    mtu->tries = 0;
    end_if_found(mtu, now_ns);
}

/** The size does not pass. */
static void refuse(ed_mtu *mtu, uint32_t size, uint64_t now_ns)
{
    mtu->probe_size = 0;
    mtu->tries = 0;
    mtu->refused = size;
    end_if_found(mtu, now_ns);
}

static void on_probe_lost(ed_mtu *mtu, uint32_t size, uint64_t now_ns)
{
    if (size != mtu->probe_size)
        return; // it was given up with the path that it took
    mtu->probe_size = 0;
    if (++mtu->tries == ED_MTU_TRIES)
        refuse(mtu, size, now_ns);
}

/* ------------------------------------------------------------------------------ black hole -- */

/** A large one has passed: it speaks for those that left before it. */
static void on_large_acked(ed_mtu *mtu, const ed_sent *packet)
{
    mtu->passed = ed_max_u64(mtu->passed, packet->number);
    if (mtu->doubts > 0 && packet->number > mtu->doubt_first)
        forget_doubts(mtu);
}

static void on_large_lost(ed_mtu *mtu, const ed_sent *packet)
{
    if (packet->number < mtu->passed)
        return;
    if (mtu->doubts == 0) {
        mtu->doubt_first = packet->number;
        mtu->doubt_first_ns = packet->sent_ns;
    }
    if (mtu->doubts < ED_MTU_DOUBTS_MAX)
        mtu->doubts++;
}

bool ed_mtu_on_acked(ed_mtu *mtu, const ed_sent *packet, uint64_t now_ns)
{
    if (packet->number < mtu->first)
        return false;
    if (!is_large(packet)) {
        mtu->small_ns = ed_max_u64(mtu->small_ns, packet->sent_ns);
        return false;
    }
    on_large_acked(mtu, packet);
    if (packet->size <= mtu->size)
        return false;
    grow(mtu, packet->size, now_ns);
    ED_ASSERT(ed_mtu_valid(mtu));
    return true;
}

void ed_mtu_on_lost(ed_mtu *mtu, const ed_sent *packet, uint64_t now_ns)
{
    if (packet->number < mtu->first)
        return;
    if ((packet->flags & ED_SENT_SIZE_PROBE) != 0)
        on_probe_lost(mtu, packet->size, now_ns);
    else if (is_large(packet))
        on_large_lost(mtu, packet);
    ED_ASSERT(ed_mtu_valid(mtu));
}

/** Begins anew, and lets the path rest. */
static void fall_back(ed_mtu *mtu, uint64_t first, uint64_t now_ns)
{
    ed_mtu_restart(mtu, first);
    mtu->next_ns = ed_add_sat_u64(now_ns, ED_MTU_REST_NS);
}

bool ed_mtu_is_black_hole(ed_mtu *mtu, uint64_t pto_ns, uint64_t first, uint64_t now_ns)
{
    if (mtu->doubts == 0 || mtu->small_ns <= mtu->doubt_first_ns)
        return false;
    // After an outage the first that passes may be small: the next ones need not be.
    if (mtu->small_since_ns == ED_NEVER_NS)
        mtu->small_since_ns = mtu->small_ns;
    if (mtu->doubts < ED_MTU_DOUBTS_MAX || mtu->small_ns - mtu->small_since_ns < pto_ns)
        return false;
    fall_back(mtu, first, now_ns);
    return true;
}

bool ed_mtu_on_refused(ed_mtu *mtu, size_t size, uint64_t first, uint64_t now_ns)
{
    bool shrinks = size > ED_DATAGRAM_SIZE && size <= mtu->size;

    if (shrinks)
        fall_back(mtu, first, now_ns);
    else if (size == mtu->probe_size && size != 0)
        refuse(mtu, mtu->probe_size, now_ns);
    ED_ASSERT(ed_mtu_valid(mtu));
    return shrinks;
}
