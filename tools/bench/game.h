/**
 * The traffic of L1, over a pair: at 60 Hz a message of 100 bytes, reliable and in order, from the
 * client or from both ends, and how late each is.
 */
#ifndef ED_BENCH_GAME_H
#define ED_BENCH_GAME_H

#include "tools/bench/delays.h"
#include "tools/bench/pair.h"

enum {
    ED_GAME_HZ = 60,
    ED_GAME_SIZE = 100,
    ED_GAME_SENDS = 3600, /* of L1, each way */
    ED_GAME_STREAM = 0,
    ED_GAME_PHASE_MS = 4,  /* how far behind the client's ticks the server's are */
    ED_GAME_SETTLE_S = 15, /* for what is late */
};

typedef struct ed_game {
    ed_pair pair;
    const ed_bench_plan *plan;
    uint64_t begin_ns; /* of the first tick */
    uint64_t sent[ED_PAIR_SIDES];
    uint64_t came[ED_PAIR_SIDES];
    uint64_t refused;   /* that an end would not take */
    uint64_t mark_ns;   /* the caller's */
    uint64_t marked_ns; /* when the last of those came that were sent until then */
    ed_delays delays;
    bool is_wrong; /* a message was not the next */
} ed_game;

/** So long take so many ticks. */
uint64_t ed_game_ticks_ns(uint64_t ticks);

/** @return false, having said why: to be closed in any case. */
bool ed_game_open(ed_game *game, ed_bench_result *result, const ed_bench_plan *plan,
                  const eddy_config *config, const ed_link_config *path);
void ed_game_close(ed_game *game);

/** The tick of an end that a time from the game's begin on is in. */
uint64_t ed_game_tick_at(const ed_game *game, ed_pair_side side, uint64_t now_ns);

/** Tick `k` of an end, each but once: time passes until then, and a message leaves. */
void ed_game_tick(ed_game *game, ed_pair_side side, uint64_t k);

/** Takes a message of the game. */
void ed_game_take(ed_game *game, const ed_pair_end *end, const eddy_event *event, uint64_t now_ns);

/**
 * Whether none was refused and all came, in order, but for at most `late_max` that may still be on
 * their way; else it says so in the result.
 */
bool ed_game_check(const ed_game *game, uint64_t late_max, ed_bench_result *result);

#endif
