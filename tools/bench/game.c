#include "tools/bench/game.h"

#include <stdio.h>
#include <string.h>

/** What a message says. */
struct stamp {
    uint64_t number;
    uint64_t sent_ns;
};

uint64_t ed_game_ticks_ns(uint64_t ticks)
{
    return ticks * ED_NS_PER_S / ED_GAME_HZ;
}

void ed_game_take(ed_game *game, const ed_pair_end *end, const eddy_event *event, uint64_t now_ns)
{
    ed_pair_side side = end == &game->pair.ends[ED_PAIR_CLIENT] ? ED_PAIR_CLIENT : ED_PAIR_SERVER;
    struct stamp stamp;

    if (event->message.size != ED_GAME_SIZE) {
        game->is_wrong = true;
        return;
    }
    memcpy(&stamp, event->message.data, sizeof(stamp));
    game->is_wrong |= stamp.number != game->came[side]++;
    if (stamp.sent_ns <= game->mark_ns)
        game->marked_ns = now_ns;
    ed_delays_add(&game->delays, now_ns - stamp.sent_ns);
    ed_series_note(game->plan, "eddy", stamp.sent_ns - game->begin_ns, now_ns - stamp.sent_ns);
}

static void take(void *context, ed_pair_end *end, const eddy_event *event, uint64_t now_ns)
{
    ed_game_take(context, end, event, now_ns);
}

bool ed_game_open(ed_game *game, ed_bench_result *result, const ed_bench_plan *plan,
                  const eddy_config *config, const ed_link_config *path)
{
    *game = (ed_game){.plan = plan};
    game->pair.message = take;
    game->pair.context = game;
    if (!ed_delays_open(&game->delays, (size_t)ED_PAIR_SIDES * ED_GAME_SENDS)) {
        snprintf(result->error, sizeof(result->error), "no memory");
        return false;
    }
    if (!ed_pair_open(&game->pair, config, path, plan->seed)) {
        snprintf(result->error, sizeof(result->error), "no connection over this path");
        return false;
    }
    game->begin_ns = ed_world_now_ns(game->pair.world) + ED_NS_PER_S;
    return true;
}

void ed_game_close(ed_game *game)
{
    ed_pair_close(&game->pair);
    ed_delays_close(&game->delays);
}

static uint64_t phase_ns(ed_pair_side side)
{
    return side == ED_PAIR_SERVER ? ED_GAME_PHASE_MS * ED_NS_PER_MS : 0;
}

uint64_t ed_game_tick_at(const ed_game *game, ed_pair_side side, uint64_t now_ns)
{
    uint64_t since_ns = now_ns - ed_min_u64(game->begin_ns + phase_ns(side), now_ns);

    return ((since_ns + 1) * ED_GAME_HZ - 1) / ED_NS_PER_S; // a tick begins rounded down
}

void ed_game_tick(ed_game *game, ed_pair_side side, uint64_t k)
{
    uint8_t message[ED_GAME_SIZE] = {0};
    struct stamp stamp = {.number = game->sent[side],
                          .sent_ns = game->begin_ns + ed_game_ticks_ns(k) + phase_ns(side)};

    ed_world_run_until(game->pair.world, stamp.sent_ns);
    memcpy(message, &stamp, sizeof(stamp));
    if (ed_pair_send(&game->pair.ends[side], EDDY_RELIABLE_ORDERED, ED_GAME_STREAM, message,
                     sizeof(message)))
        game->sent[side]++;
    else
        game->refused++;
}

bool ed_game_check(const ed_game *game, uint64_t late_max, ed_bench_result *result)
{
    uint64_t sent = game->sent[ED_PAIR_CLIENT] + game->sent[ED_PAIR_SERVER];
    uint64_t came = game->came[ED_PAIR_CLIENT] + game->came[ED_PAIR_SERVER];

    if (!game->is_wrong && game->refused == 0 && came + late_max >= sent && came > 0)
        return true;
    snprintf(result->error, sizeof(result->error),
             "of %llu messages %llu came%s, %llu were refused", (unsigned long long)sent,
             (unsigned long long)came, game->is_wrong ? ", and not in order" : "",
             (unsigned long long)game->refused);
    return false;
}
