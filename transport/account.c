#include "transport/account.h"

#include "core/alloc.h"
#include "core/base.h"

/**
 * One atomic step, so that of two callers at the limit one is refused. What is refused is never
 * there, not even for a moment: a refund that stops at zero would take it for something charged,
 * and taking it off then would wrap.
 */
static bool take(atomic_size_t *used, size_t budget, size_t charge, bool is_one)
{
    size_t before = atomic_load(used);

    do {
        // An empty account takes one message of any size that may be sent at all.
        if ((before != 0 || !is_one) && (before > budget || charge > budget - before))
            return false;
    } while (!atomic_compare_exchange_weak(used, &before, before + charge));
    return true;
}

static ed_account_stream *stream_of(const ed_account *account, uint8_t stream)
{
    ed_account_stream *streams = atomic_load(&account->streams);

    return streams == NULL ? NULL : &streams[stream];
}

static eddy_status charge_both(ed_account *account, size_t budget, uint8_t stream, size_t charge,
                               bool is_one)
{
    ed_account_stream *own = stream_of(account, stream);

    if (!take(&account->used, budget, charge, is_one))
        return EDDY_EAGAIN;
    size_t own_budget = own == NULL ? 0 : atomic_load(&own->budget);
    if (own == NULL)
        return EDDY_OK;
    if (own_budget == 0)
        own_budget = SIZE_MAX;
    if (take(&own->used, own_budget, charge, is_one))
        return EDDY_OK;
    (void)atomic_fetch_sub(&account->used, charge);
    return EDDY_EAGAIN;
}

eddy_status ed_account_charge(ed_account *account, size_t budget, uint8_t stream, size_t charge)
{
    return charge_both(account, budget, stream, charge, true);
}

eddy_status ed_account_charge_all(ed_account *account, size_t budget, uint8_t stream, size_t charge)
{
    return charge_both(account, budget, stream, charge, false);
}

static void push(ed_asks *asks, ed_account *account)
{
    account->next = atomic_load(&asks->newest);
    while (!atomic_compare_exchange_weak(&asks->newest, &account->next, account))
        continue;
}

void ed_account_ask_again(ed_account *account, ed_asks *asks)
{
    // Who is on the way already asks for whoever was refused last.
    if (!atomic_exchange(&account->is_asking, true))
        push(asks, account);
}

bool ed_account_ask(ed_account *account, ed_asks *asks, const ed_ask *ask)
{
    if (atomic_exchange(&account->refused, ask->connection) == ask->connection)
        return false;
    atomic_store(&account->wanted, (uint32_t)ed_min_size(ask->charge, UINT32_MAX));
    atomic_store(&account->wanted_stream, ask->stream);
    ed_account_ask_again(account, asks);
    return true;
}

ed_account *ed_asks_take(ed_asks *asks)
{
    // To look is cheaper than to take, and most polls find nothing.
    return atomic_load(&asks->newest) == NULL ? NULL : atomic_exchange(&asks->newest, NULL);
}

ed_ask ed_account_take_ask(ed_account *account)
{
    // First: whoever is refused from here on comes again.
    atomic_store(&account->is_asking, false);
    return (ed_ask){.connection = atomic_load(&account->refused),
                    .charge = atomic_load(&account->wanted),
                    .stream = atomic_load(&account->wanted_stream)};
}

void ed_account_answered(ed_account *account, eddy_connection connection)
{
    (void)atomic_compare_exchange_strong(&account->refused, &connection, 0);
}

size_t ed_account_used(const ed_account *account)
{
    return atomic_load(&account->used) - account->owed;
}

/** What was charged before the stream was counted at all is not taken off it. */
static void refund_stream(ed_account_stream *own, size_t charge)
{
    size_t used = atomic_load(&own->used);

    while (!atomic_compare_exchange_weak(&own->used, &used, used < charge ? 0 : used - charge))
        continue;
}

static void refund(ed_account *account, size_t charge)
{
    size_t before = atomic_fetch_sub(&account->used, charge);

    ED_ASSERT(before >= charge);
}

void ed_account_refund(ed_account *account, uint8_t stream, size_t charge)
{
    ed_account_stream *own = stream_of(account, stream);

    refund(account, charge);
    if (own != NULL)
        refund_stream(own, charge);
}

void ed_account_owe(ed_account *account, ed_settled *settled, uint8_t stream, size_t charge)
{
    ed_account_stream *own = stream_of(account, stream);

    if (own != NULL)
        refund_stream(own, charge);
    if (account->owed == 0) {
        account->next_owed = settled->owed;
        settled->owed = account;
    }
    account->owed += charge;
}

void ed_settled_give_back(ed_settled *settled)
{
    ed_account *next = NULL;

    // First the blocks: who finds room in an account should find it in the pool as well.
    ed_discards_give(&settled->blocks);
    for (ed_account *account = settled->owed; account != NULL; account = next) {
        next = account->next_owed;
        refund(account, account->owed);
        account->owed = 0;
    }
    settled->owed = NULL;
}

eddy_status ed_account_set_stream(ed_account *account, const eddy_allocator *allocator,
                                  uint8_t stream, size_t budget)
{
    ed_account_stream *streams = atomic_load(&account->streams);

    if (streams == NULL && budget == 0)
        return EDDY_OK;
    if (streams == NULL) {
        streams = ed_alloc_array(allocator, EDDY_STREAM_COUNT, sizeof(*streams));
        if (streams == NULL)
            return EDDY_ENOMEM;
        atomic_store(&account->streams, streams);
    }
    atomic_store(&streams[stream].budget, budget);
    return EDDY_OK;
}

void ed_account_reset(ed_account *account)
{
    ed_account_stream *streams = atomic_load(&account->streams);

    for (size_t i = 0; streams != NULL && i < EDDY_STREAM_COUNT; i++)
        atomic_store(&streams[i].budget, 0);
}

void ed_account_free(ed_account *account, const eddy_allocator *allocator)
{
    ed_alloc_free(allocator, atomic_load(&account->streams),
                  EDDY_STREAM_COUNT * sizeof(ed_account_stream));
}
