#include "core/budget.h"

#include "core/base.h"

enum {
    /* Of the heap's bytes for each of charge: blocks are rounded up by at most a quarter, and an
       event takes its place in a channel. */
    HEAP_NUMERATOR = 3,
    HEAP_DENOMINATOR = 2,
    UNRELIABLE_SHARE = 8, /* an eighth of the budget is for unreliable messages */
};

static uint64_t charge_of_heap(uint64_t heap)
{
    return heap / HEAP_NUMERATOR * HEAP_DENOMINATOR;
}

ed_budget ed_budget_share(size_t budget, size_t max_message_size, uint32_t connections)
{
    uint64_t unreliable = budget / UNRELIABLE_SHARE;
    // A message that is complete stands twice for a moment: in its parts and whole.
    uint64_t taken = unreliable + max_message_size + (uint64_t)connections * ED_BUDGET_CONNECTION;
    uint64_t room = charge_of_heap(budget - ed_min_u64(budget, taken));
    // One at least.
    uint64_t demands = ed_max_u64(room / 2, (uint64_t)max_message_size + ED_BUDGET_PARTS_MAX);
    uint64_t windows = room - ed_min_u64(room, demands);

    return (ed_budget){.windows = windows,
                       .demands = demands,
                       .unreliable = charge_of_heap(unreliable),
                       .is_enough = demands < room &&
                                    (uint64_t)connections * ED_BUDGET_WINDOW_MIN <= windows};
}
