/**
 * L5: a path that carries nothing for two seconds: in the traffic of L1, and just after a single
 * message in a pause of it. How soon after the path's return all that had been sent has come: the
 * worst of several phases of the ticks, and of the probes.
 */
#include <stdio.h>

#include "tools/bench/game.h"

enum {
    TICKS = 25 * ED_GAME_HZ,
    BEFORE_TICKS = 10 * ED_GAME_HZ,
    PAUSE_TICKS = ED_GAME_HZ,
    BLACKOUT_MS = 2000,
    PHASES = 8,
    SINGLE_STEP_MS = 3, /* that much later in each phase: on its way it is in all of them */
};

/** It begins at `at_ns`. */
static bool black_out(ed_game *game, const ed_bench_plan *plan, uint64_t at_ns)
{
    ed_link_config path = ed_pair_path(plan);

    game->mark_ns = at_ns + BLACKOUT_MS * ED_NS_PER_MS;
    path.window_count = 1;
    path.windows[0] = (ed_window){.from_ns = at_ns, .until_ns = game->mark_ns};
    return ed_world_set_link(game->pair.world, NULL, NULL, &path) == EDDY_OK;
}

static void play(ed_game *game, bool both, uint64_t ticks)
{
    for (uint64_t k = 0; k < ticks; k++) {
        ed_game_tick(game, ED_PAIR_CLIENT, k);
        if (both)
            ed_game_tick(game, ED_PAIR_SERVER, k);
    }
}

/** In the traffic. */
static bool play_stream(ed_game *game, const ed_bench_plan *plan, uint64_t phase)
{
    uint64_t at_ns =
        game->begin_ns + ed_game_ticks_ns(BEFORE_TICKS) + ed_game_ticks_ns(phase) / PHASES;

    if (!black_out(game, plan, at_ns))
        return false;
    play(game, plan->both, TICKS);
    return true;
}

/** After a message by itself, which is lost. */
static bool play_single(ed_game *game, const ed_bench_plan *plan, uint64_t phase)
{
    uint64_t tick = BEFORE_TICKS + PAUSE_TICKS;
    uint64_t at_ns =
        game->begin_ns + ed_game_ticks_ns(tick) + (phase * SINGLE_STEP_MS + 1) * ED_NS_PER_MS;

    if (!black_out(game, plan, at_ns))
        return false;
    play(game, plan->both, BEFORE_TICKS);
    ed_game_tick(game, ED_PAIR_CLIENT, tick);
    return true;
}

typedef bool (*player)(ed_game *game, const ed_bench_plan *plan, uint64_t phase);

/** @return how long after the path's return the last came that was sent before; 0: it failed. */
static double run_phase(ed_bench_result *result, const ed_bench_plan *plan, player how,
                        uint64_t phase)
{
    static ed_game game;
    eddy_config config = eddy_config_default();
    ed_link_config path = ed_pair_path(plan);
    uint64_t late_ns = 0;

    if (ed_game_open(&game, result, plan, &config, &path) && how(&game, plan, phase)) {
        ed_world_run_until(game.pair.world,
                           ed_world_now_ns(game.pair.world) + ED_GAME_SETTLE_S * ED_NS_PER_S);
        if (ed_game_check(&game, 0, result))
            late_ns = game.marked_ns - ed_min_u64(game.marked_ns, game.mark_ns);
    }
    ed_game_close(&game);
    return (double)late_ns / (double)ED_NS_PER_MS;
}

static double worst(ed_bench_result *result, const ed_bench_plan *plan, player how)
{
    double most = 0;

    for (uint64_t phase = 0; phase < PHASES && result->error[0] == '\0'; phase++) {
        ed_bench_plan own = *plan;
        own.series = phase == 0 && how == play_stream ? plan->series : NULL;
        double late = run_phase(result, &own, how, phase);
        most = late > most ? late : most;
    }
    return most;
}

void ed_bench_run_blackout(ed_bench_result *result, const ed_bench_work *work,
                           const ed_bench_system *system, const ed_bench_plan *plan)
{
    (void)work;
    (void)system;
    *result = (ed_bench_result){.error = ""};
    result->figures[0] = worst(result, plan, play_stream);
    result->figures[1] = worst(result, plan, play_single);
}
