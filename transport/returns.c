#include "transport/returns.h"

#include "core/base.h"
#include "transport/slots.h"

static_assert(ED_SLOTS_MAX < 1 << 16, "a handle's low half fits 16 bits");

enum {
    SLOT_MASK = 0xffff,
    SHARD_SHIFT = 16,
    GENERATION_SHIFT = 32,
};

static void add(ed_returns *returns, const ed_returned *returned)
{
    ED_ASSERT(returned->newest != NULL);
    ed_block **next = &returned->oldest->next;

    *next = atomic_load_explicit(&returns->newest, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&returns->newest, next, returned->newest))
        continue;
}

bool ed_returns_push(ed_returns *returns, const ed_returned *returned)
{
    add(returns, returned);
    if (!atomic_load(&returns->is_awaited) || !atomic_exchange(&returns->is_awaited, false))
        return false;
    atomic_store(&returns->is_told, true);
    return true;
}

void ed_returns_push_urgent(ed_returns *returns, const ed_returned *returned)
{
    add(returns, returned);
    atomic_store(&returns->is_told, true);
}

ed_block *ed_returns_take(ed_returns *returns)
{
    ed_block *oldest = NULL;
    ed_block *next = NULL;

    // To look is cheaper than to take, and most polls find nothing.
    if (atomic_load(&returns->newest) == NULL && !atomic_load(&returns->is_told))
        return NULL;
    atomic_store(&returns->is_told, false); // before the blocks: of later ones it is told anew
    for (ed_block *block = atomic_exchange(&returns->newest, NULL); block != NULL; block = next) {
        next = block->next;
        block->next = oldest;
        oldest = block;
    }
    return oldest;
}

void ed_returns_await(ed_returns *returns)
{
    atomic_store(&returns->is_awaited, true);
}

bool ed_returns_came(const ed_returns *returns)
{
    return atomic_load(&returns->newest) != NULL &&
           (atomic_load(&returns->is_awaited) || atomic_load(&returns->is_told));
}

void ed_returns_free(ed_returns *returns)
{
    ed_block *next = NULL;

    for (ed_block *block = ed_returns_take(returns); block != NULL; block = next) {
        next = block->next;
        ed_pool_give(block);
    }
}

void ed_return_mark(ed_block *block, eddy_connection connection)
{
    uint64_t generation = connection >> GENERATION_SHIFT;
    uint64_t slot = connection & SLOT_MASK;

    block->note = generation << GENERATION_SHIFT | slot << ED_RETURN_SLOT_SHIFT |
                  (block->note & ((UINT64_C(1) << ED_RETURN_SLOT_SHIFT) - 1));
}

void ed_return_mark_last(ed_block *block, eddy_connection connection)
{
    block->note = ED_RETURN_LAST;
    ed_return_mark(block, connection);
}

bool ed_return_is_last(const ed_block *block)
{
    return (block->note & ED_RETURN_LAST) == ED_RETURN_LAST;
}

eddy_connection ed_return_connection(const ed_block *block, uint8_t shard)
{
    return (block->note >> GENERATION_SHIFT) << GENERATION_SHIFT | (uint64_t)shard << SHARD_SHIFT |
           (block->note >> ED_RETURN_SLOT_SHIFT & SLOT_MASK);
}
