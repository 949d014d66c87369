/**
 * Which datagrams of a game are lost: those of a tick by its number, so that every system that
 * sends one a tick meets the same losses; and whatever else leaves by a draw of its own.
 */
#ifndef ED_BENCH_FATE_H
#define ED_BENCH_FATE_H

#include "sim/loss.h"
#include "tools/bench/pair.h"

typedef struct ed_fate {
    ed_link_config path;
    ed_link_loss loss[ED_PAIR_SIDES]; /* of what each side sends */
    uint64_t ticks[ED_PAIR_SIDES];    /* that have begun: what is lost in runs is so by the tick */
    uint64_t others[ED_PAIR_SIDES];
} ed_fate;

void ed_fate_init(ed_fate *fate, const ed_bench_plan *plan);

/** Whether the datagram of a side's tick is lost. No tick is asked for after a later one. */
bool ed_fate_loses(ed_fate *fate, ed_pair_side side, uint64_t tick);

/** The same of another one that leaves between that tick and the next. */
bool ed_fate_loses_other(ed_fate *fate, ed_pair_side side, uint64_t tick);

#endif
