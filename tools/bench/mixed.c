/**
 * L4: the game's messages of L1 during the bulk transfer of L3, on one connection. The bulk is on a
 * stream of the last priority. What comes after the bulk's end does not count.
 */
#include <stdio.h>

#include "tools/bench/bulk.h"
#include "tools/bench/game.h"

enum {
    LAST_PRIORITY = EDDY_PRIORITY_COUNT - 1,
    LATE_ROUND_TRIPS = 2, /* so long a message may be on its way when the bulk ends */
};

struct mixed {
    ed_game game;
    ed_bulk bulk;
};

static void hear(void *context, ed_pair_end *end, const eddy_event *event, uint64_t now_ns)
{
    struct mixed *mixed = context;

    if (event->message.stream == ED_BULK_STREAM)
        ed_bulk_take(&mixed->bulk, now_ns);
    else if (ed_bulk_goes_on(&mixed->bulk))
        ed_game_take(&mixed->game, end, event, now_ns);
}

static bool open_mixed(struct mixed *mixed, ed_bench_result *result, const ed_bench_plan *plan)
{
    ed_link_config path = ed_bulk_path(plan);
    eddy_config config = ed_bulk_config(EDDY_CONGESTION_MODEL);
    eddy_stream_options bulk = {.priority = LAST_PRIORITY};

    if (!ed_game_open(&mixed->game, result, plan, &config, &path))
        return false;
    ed_pair *pair = &mixed->game.pair;
    ed_pair_end *client = &pair->ends[ED_PAIR_CLIENT];
    pair->message = hear;
    pair->context = mixed;
    ed_world_run_until(pair->world, mixed->game.begin_ns);
    return ed_bulk_open(&mixed->bulk, pair) &&
           eddy_set_stream(client->manager, client->connection, ED_BULK_STREAM, &bulk) == EDDY_OK;
}

static void play(struct mixed *mixed)
{
    ed_game *game = &mixed->game;
    ed_world *world = game->pair.world;
    uint64_t tick = 0;

    while (ed_bulk_goes_on(&mixed->bulk)) {
        uint64_t until_ns = ed_world_now_ns(world) + ED_NS_PER_MS;
        ed_bulk_offer(&mixed->bulk);
        if (game->begin_ns + ed_game_ticks_ns(tick) < until_ns)
            ed_game_tick(game, ED_PAIR_CLIENT, tick++);
        ed_world_run_until(world, until_ns);
        ed_bulk_look(&mixed->bulk);
    }
}

static void tell(ed_bench_result *result, struct mixed *mixed, const ed_bench_plan *plan)
{
    ed_game *game = &mixed->game;
    uint64_t late_ns = LATE_ROUND_TRIPS * plan->rtt_us * ED_NS_PER_US;
    const char *failed = ed_bulk_failed(&mixed->bulk);

    if (failed != NULL)
        snprintf(result->error, sizeof(result->error), "%s", failed);
    if (failed != NULL || !ed_game_check(game, late_ns / ed_game_ticks_ns(1) + 1, result))
        return;
    ed_delays_sort(&game->delays);
    ed_delays_sort(&mixed->bulk.queue);
    result->figures[0] = ed_delays_ms(&game->delays, 990);
    result->figures[1] = ed_delays_ms(&game->delays, 999);
    result->figures[2] = ed_delays_ms(&game->delays, 500);
    result->figures[3] = ed_bulk_share(&mixed->bulk, plan);
    result->figures[4] = ed_delays_ms(&mixed->bulk.queue, 950);
    result->figures[5] = (double)ed_link_get_stats(ed_pair_link(&game->pair)).queue_dropped;
}

void ed_bench_run_mixed(ed_bench_result *result, const ed_bench_work *work,
                        const ed_bench_system *system, const ed_bench_plan *plan)
{
    static struct mixed mixed;

    (void)work;
    (void)system;
    *result = (ed_bench_result){.error = ""};
    mixed = (struct mixed){.bulk = {0}};
    if (open_mixed(&mixed, result, plan)) {
        play(&mixed);
        tell(result, &mixed, plan);
    }
    ed_bulk_close(&mixed.bulk);
    ed_game_close(&mixed.game);
}
