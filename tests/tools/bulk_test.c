/** Bulk transfers through a bottleneck: no figure for what has died, and a true one for what slept.
 */
#include "tests/support/check.h"

#include "tools/bench/bulk.h"
#include "tools/bench/game.h"

enum { RTT_US = 50 * 1000 };

/** A path that ends in the middle, after a second in which all was well, makes no figure. */
static void what_has_died_has_no_figure(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*run)(ed_bench_result *result, const ed_bench_work *work,
                    const ed_bench_system *system, const ed_bench_plan *plan);
        uint32_t cut_ms;
        const char *error;
    } rows[] = {
        {"L3, to its end", ed_bench_run_bulk, 0, ""},
        {"L3, before it begins", ed_bench_run_bulk, 14900, "nothing came"},
        {"L3, after a second", ed_bench_run_bulk, 16000, "the connection was lost"},
        {"L4, after a second", ed_bench_run_mixed, 17000, "the connection was lost"},
        {"flows, before the second begins", ed_bench_run_flows, 14000, "a connection was lost"},
        {"flows, as they are measured", ed_bench_run_flows, 21000, "a connection was lost"},
        {"flows, too late to be lost", ed_bench_run_flows, 49500, ""},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_bench_plan plan = {.rtt_us = RTT_US, .cut_ms = rows[i].cut_ms, .seed = 1};
        ed_bench_result result;
        rows[i].run(&result, NULL, &ed_bench_eddy, &plan);
        CHECK_STR(rows[i].name, result.error, rows[i].error);
        CHECK(rows[i].name, (result.figures[0] > 0) == (rows[i].error[0] == '\0'));
    }
}

/** 20 MiB take the path 8.4 s, nothing else considered. */
static void who_is_not_done_had_the_whole_limit(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t came, last_s;
        double least, most;
    } rows[] = {
        {"all came", ED_BULK_COUNT, 10, 83.8, 83.9},
        {"all but one, and as soon", ED_BULK_COUNT - 1, 10, 6.9, 7.0},
        {"half, and then no more", ED_BULK_COUNT / 2, 5, 3.4, 3.5},
        {"all, at the limit", ED_BULK_COUNT, ED_BULK_LIMIT_S, 6.9, 7.0},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_bench_plan plan = {.rtt_us = RTT_US};
        ed_bulk bulk = {.came = rows[i].came,
                        .begin_ns = ED_NS_PER_S,
                        .last_ns = (rows[i].last_s + 1) * ED_NS_PER_S};
        double share = ed_bulk_share(&bulk, &plan);
        CHECK(rows[i].name, share >= rows[i].least && share <= rows[i].most);
    }
}

static void a_game_is_whole_or_says_what_lacks(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t sent, came, refused;
        bool is_wrong;
        uint64_t late_max;
        const char *error;
    } rows[] = {
        {"all came", 9, 9, 0, false, 0, ""},
        {"one lacks", 9, 8, 0, false, 0, "of 9 messages 8 came, 0 were refused"},
        {"as many lack as may", 9, 6, 0, false, 3, ""},
        {"one more lacks", 9, 5, 0, false, 3, "of 9 messages 5 came, 0 were refused"},
        {"none came", 3, 0, 0, false, 3, "of 3 messages 0 came, 0 were refused"},
        {"one was refused", 9, 9, 1, false, 0, "of 9 messages 9 came, 1 were refused"},
        {"not in order", 9, 9, 0, true, 0,
         "of 9 messages 9 came, and not in order, 0 were refused"},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_game game = {.sent = {rows[i].sent},
                        .came = {0, rows[i].came},
                        .refused = rows[i].refused,
                        .is_wrong = rows[i].is_wrong};
        ed_bench_result result = {.error = ""};
        bool is_good = ed_game_check(&game, rows[i].late_max, &result);
        CHECK(rows[i].name, is_good == (rows[i].error[0] == '\0'));
        CHECK_STR(rows[i].name, result.error, rows[i].error);
    }
}

/** The path is cut, and the connection lost: from then on every tick is. */
static void what_is_refused_is_counted(void **state)
{
    (void)state;
    static ed_game game;
    const ed_bench_plan plan = {.rtt_us = RTT_US, .cut_ms = 15500, .seed = 1};
    eddy_config config = eddy_config_default();
    ed_link_config path = ed_bulk_path(&plan);
    ed_bench_result result = {.error = ""};

    CHECK("open", ed_game_open(&game, &result, &plan, &config, &path));
    for (uint64_t k = 0; k < 20 * ED_GAME_HZ; k++)
        ed_game_tick(&game, ED_PAIR_CLIENT, k);
    CHECK("until the connection is lost", game.sent[ED_PAIR_CLIENT] > 0);
    CHECK("each tick", game.sent[ED_PAIR_CLIENT] + game.refused == 20 * ED_GAME_HZ);
    CHECK("then it is", game.refused > 0);
    CHECK("no past", ed_world_now_ns(game.pair.world) ==
                         game.begin_ns + ed_game_ticks_ns(20 * ED_GAME_HZ - 1));
    ed_game_close(&game);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_died_has_no_figure),
        cmocka_unit_test(who_is_not_done_had_the_whole_limit),
        cmocka_unit_test(a_game_is_whole_or_says_what_lacks),
        cmocka_unit_test(what_is_refused_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
