/**
 * L1: a game's small reliable messages at 60 Hz over a lossy path, in virtual time: how late each
 * is. Beside eddy stands what no scheme can beat that sends a datagram a tick: everything that is
 * not acknowledged goes along in each of them, and each that arrives is acknowledged at once. And
 * what no error-correcting code can beat that spends as many bytes as eddy does on copies.
 */
#include <stdio.h>

#include "sim/loss.h"
#include "tools/bench/game.h"

enum {
    COPIES = 3, /* its place in the figures */
    PPM = 1000 * 1000,
};

/** @param copies how often a message left on average; `bytes` and `datagrams` a message. */
static void report(ed_bench_result *result, ed_delays *delays, double copies, double bytes,
                   double datagrams)
{
    if (delays->count == 0) {
        snprintf(result->error, sizeof(result->error), "nothing arrived");
        return;
    }
    ed_delays_sort(delays);
    result->figures[0] = ed_delays_ms(delays, 990);
    result->figures[1] = ed_delays_ms(delays, 999);
    result->figures[2] = ed_delays_ms(delays, 500);
    result->figures[COPIES] = copies;
    result->figures[4] = bytes;
    result->figures[5] = datagrams;
}

/* -------------------------------------------------------------------------------------- eddy -- */

static void play(ed_game *game, bool both)
{
    for (uint64_t k = 0; k < ED_GAME_SENDS; k++) {
        ed_game_tick(game, ED_PAIR_CLIENT, k);
        if (both)
            ed_game_tick(game, ED_PAIR_SERVER, k);
    }
    ed_world_run_until(game->pair.world,
                       ed_world_now_ns(game->pair.world) + ED_GAME_SETTLE_S * ED_NS_PER_S);
}

static void tell(ed_bench_result *result, ed_game *game)
{
    uint64_t sent = 0, copies = 0, bytes = 0, datagrams = 0;

    if (!ed_game_check(game, result))
        return;
    for (size_t i = 0; i < ED_PAIR_SIDES; i++) {
        eddy_stats stats;
        eddy_get_stats(game->pair.ends[i].manager, &stats);
        sent += stats.messages_sent;
        copies += stats.messages_sent + stats.messages_resent;
        bytes += stats.sent_bytes;
        datagrams += stats.sent_datagrams;
    }
    report(result, &game->delays, (double)copies / (double)sent, (double)bytes / (double)sent,
           (double)datagrams / (double)sent);
}

/** The handshake, and what follows it, meets no loss. */
static void run_eddy(ed_bench_result *result, const ed_bench_plan *plan)
{
    static ed_game game;
    eddy_config config = eddy_config_default();
    ed_link_config path = ed_pair_path(plan), clean = ed_link_config_default();

    clean.delay_ns = path.delay_ns;
    if (ed_game_open(&game, result, plan, &config, &clean) &&
        ed_world_set_link(game.pair.world, NULL, NULL, &path) == EDDY_OK) {
        play(&game, plan->both);
        tell(result, &game);
    }
    ed_game_close(&game);
}

/* ------------------------------------------------------------------------------------- bound -- */

/** Packet k leaves at tick k with every message that is not known to have come. */
struct bound {
    bool came[ED_GAME_SENDS];     /* packet k arrived */
    bool answered[ED_GAME_SENDS]; /* and the word of it, too */
};

static void draw_losses(struct bound *b, const ed_bench_plan *plan)
{
    ed_link_config path = ed_pair_path(plan);
    ed_link_loss there, back;

    ed_link_loss_init(&there, plan->seed, 0, 0);
    ed_link_loss_init(&back, plan->seed, 0, 1);
    for (uint64_t k = 0, answers = 0; k < ED_GAME_SENDS; k++) {
        ed_link_loss_step(&there, &path, k);
        b->came[k] = ed_link_loss_decide(&there, &path, k) == ED_LOSS_NONE;
        if (!b->came[k])
            continue;
        ed_link_loss_step(&back, &path, answers);
        b->answered[k] = ed_link_loss_decide(&back, &path, answers++) == ED_LOSS_NONE;
    }
}

static void run_bound(ed_bench_result *result, const ed_bench_plan *plan)
{
    static struct bound b;
    ed_delays delays;
    uint64_t rtt_ticks = (plan->rtt_us * ED_NS_PER_US * ED_GAME_HZ + ED_NS_PER_S - 1) / ED_NS_PER_S;
    uint64_t copies = 0;

    b = (struct bound){0};
    if (!ed_delays_open(&delays, ED_GAME_SENDS)) {
        snprintf(result->error, sizeof(result->error), "no memory");
        return;
    }
    draw_losses(&b, plan);
    for (uint64_t k = 0; k < ED_GAME_SENDS; k++) {
        uint64_t arrived = k, known = k;
        while (arrived < ED_GAME_SENDS && !b.came[arrived])
            arrived++;
        // The first answer that gets through tells of all that had come.
        for (known = arrived; known < ED_GAME_SENDS && !b.answered[known];)
            known++;
        if (arrived == ED_GAME_SENDS || known == ED_GAME_SENDS)
            break; // as far as what is drawn goes
        copies += known + rtt_ticks - k;
        uint64_t delay_ns = plan->rtt_us * ED_NS_PER_US / 2 + ed_game_ticks_ns(arrived - k);
        ed_delays_add(&delays, delay_ns);
        ed_series_note(plan, ed_bench_bound.name, ed_game_ticks_ns(k), delay_ns);
    }
    report(result, &delays, (double)copies / (double)delays.count, 0, 0);
    ed_delays_close(&delays);
}

/* --------------------------------------------------------------------------------------- fec -- */

/** A code that knows no better: any m symbols of parity bring any m messages back at once. */
struct code {
    uint64_t parity_ppm; /* symbols in a datagram, on average, behind the message of its tick */
    uint64_t sent_ppm;   /* what has not made up a whole symbol yet */
    uint64_t lacked;     /* messages that have not come, */
    uint64_t held;       /* and symbols that have, since the first of these was sent */
};

/** A datagram leaves. @return whether nothing is lacked once it has come. */
static bool step_code(struct code *code, bool came)
{
    code->sent_ppm += code->parity_ppm;
    uint64_t symbols = code->sent_ppm / PPM;
    code->sent_ppm %= PPM;
    if (!came) {
        code->lacked++;
        return false;
    }
    code->held = code->lacked == 0 ? 0 : code->held + symbols;
    if (code->held < code->lacked)
        return false;
    code->lacked = code->held = 0;
    return true;
}

/** Messages are delivered in order: those that wait, and those behind them, come together. */
static void deliver_coded(ed_delays *delays, const struct bound *b, const ed_bench_plan *plan,
                          uint64_t parity_ppm)
{
    struct code code = {.parity_ppm = parity_ppm};
    uint64_t first = 0; /* that has not been delivered */

    for (uint64_t k = 0; k < ED_GAME_SENDS; k++) {
        if (!step_code(&code, b->came[k]))
            continue;
        for (; first <= k; first++)
            ed_delays_add(delays, plan->rtt_us * ED_NS_PER_US / 2 + ed_game_ticks_ns(k - first));
    }
}

static void run_fec(ed_bench_result *result, const ed_bench_plan *plan)
{
    static struct bound b;
    ed_delays delays;

    run_eddy(result, plan); // what it spends on copies is what the code may spend
    double copies = result->figures[COPIES];
    if (result->error[0] != 0)
        return;
    b = (struct bound){0};
    if (!ed_delays_open(&delays, ED_GAME_SENDS)) {
        snprintf(result->error, sizeof(result->error), "no memory");
        return;
    }
    draw_losses(&b, plan);
    deliver_coded(&delays, &b, plan, (uint64_t)((copies - 1) * PPM));
    report(result, &delays, copies, 0, 0);
    ed_delays_close(&delays);
}

void ed_bench_run_lossy(ed_bench_result *result, const ed_bench_work *work,
                        const ed_bench_system *system, const ed_bench_plan *plan)
{
    (void)work;
    *result = (ed_bench_result){.error = ""};
    if (system == &ed_bench_bound)
        run_bound(result, plan);
    else if (system == &ed_bench_fec)
        run_fec(result, plan);
    else
        run_eddy(result, plan);
}

const ed_bench_system ed_bench_fec = {
    .name = "fec", .help = "L1: what no code can beat, in the bytes of eddy's copies"};
const ed_bench_system ed_bench_bound = {.name = "bound",
                                        .help = "L1: what no scheme of a datagram a tick can beat"};
