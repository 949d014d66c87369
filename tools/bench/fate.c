#include "tools/bench/fate.h"

#define OTHERS (UINT64_C(1) << 32) /* draws before are of ticks */

void ed_fate_init(ed_fate *fate, const ed_bench_plan *plan)
{
    *fate = (ed_fate){.path = ed_pair_path(plan)};
    for (uint32_t side = 0; side < ED_PAIR_SIDES; side++)
        ed_link_loss_init(&fate->loss[side], plan->seed, 0, side);
}

static bool loses(ed_fate *fate, ed_pair_side side, uint64_t tick, uint64_t draw)
{
    for (; fate->ticks[side] <= tick; fate->ticks[side]++)
        ed_link_loss_step(&fate->loss[side], &fate->path, fate->ticks[side]);
    return ed_link_loss_decide(&fate->loss[side], &fate->path, draw) != ED_LOSS_NONE;
}

bool ed_fate_loses(ed_fate *fate, ed_pair_side side, uint64_t tick)
{
    return loses(fate, side, tick, tick);
}

bool ed_fate_loses_other(ed_fate *fate, ed_pair_side side, uint64_t tick)
{
    return loses(fate, side, tick, OTHERS + fate->others[side]++);
}
