/**
 * L1: a game's small reliable messages at 60 Hz over a lossy path, in virtual time: how late each
 * is. Beside eddy stands what no scheme can beat that sends a datagram a tick: everything that is
 * not acknowledged goes along in each of them, and each that arrives is acknowledged at once. And
 * what no error-correcting code can beat that spends as many bytes as eddy does on copies. All of
 * them lose the same ticks.
 */
#include <stdio.h>

#include "tools/bench/fate.h"
#include "tools/bench/game.h"

enum {
    COPIES = 3, /* its place in the figures */
    PPM = 1000 * 1000,
};

/* ------------------------------------------------------------------------------------- bound -- */

/** Packet k leaves at tick k with every message that is not known to have come. */
struct bound {
    bool came[ED_GAME_SENDS];     /* packet k arrived */
    bool answered[ED_GAME_SENDS]; /* and the word of it, too */
    uint64_t copies;              /* of all messages */
    ed_delays delays;
};

static void draw_losses(struct bound *b, const ed_bench_plan *plan, ed_pair_side side)
{
    ed_pair_side other = side == ED_PAIR_CLIENT ? ED_PAIR_SERVER : ED_PAIR_CLIENT;
    ed_fate fate;

    ed_fate_init(&fate, plan);
    for (uint64_t k = 0; k < ED_GAME_SENDS; k++) {
        b->came[k] = !ed_fate_loses(&fate, side, k);
        b->answered[k] = b->came[k] && !ed_fate_loses_other(&fate, other, k);
    }
}

static void deliver_all(struct bound *b, const ed_bench_plan *plan)
{
    uint64_t rtt_ticks = (plan->rtt_us * ED_NS_PER_US * ED_GAME_HZ + ED_NS_PER_S - 1) / ED_NS_PER_S;

    for (uint64_t k = 0; k < ED_GAME_SENDS; k++) {
        uint64_t arrived = k, known = k;
        while (arrived < ED_GAME_SENDS && !b->came[arrived])
            arrived++;
        // The first answer that gets through tells of all that had come.
        for (known = arrived; known < ED_GAME_SENDS && !b->answered[known];)
            known++;
        if (arrived == ED_GAME_SENDS || known == ED_GAME_SENDS)
            break; // as far as what is drawn goes
        b->copies += known + rtt_ticks - k;
        uint64_t delay_ns =
            plan->rtt_us * ED_NS_PER_US / 2 + ed_game_ticks_ns(arrived) - ed_game_ticks_ns(k);
        ed_delays_add(&b->delays, delay_ns);
        ed_series_note(plan, ed_bench_bound.name, ed_game_ticks_ns(k), delay_ns);
    }
}

/** Plays it: to be closed in any case. @return false, having said why, where nothing arrived. */
static bool open_bound(struct bound *b, ed_bench_result *result, const ed_bench_plan *plan)
{
    *b = (struct bound){0};
    if (!ed_delays_open(&b->delays, (size_t)ED_PAIR_SIDES * ED_GAME_SENDS)) {
        snprintf(result->error, sizeof(result->error), "no memory");
        return false;
    }
    for (int side = ED_PAIR_CLIENT; side <= (plan->both ? ED_PAIR_SERVER : ED_PAIR_CLIENT);
         side++) {
        draw_losses(b, plan, (ed_pair_side)side);
        deliver_all(b, plan);
    }
    ed_delays_sort(&b->delays);
    if (b->delays.count > 0)
        return true;
    snprintf(result->error, sizeof(result->error), "nothing arrived");
    return false;
}

static void close_bound(struct bound *b)
{
    ed_delays_close(&b->delays);
}

/** @param copies how often a message left on average; `bytes` and `datagrams` a message. */
static void report(ed_bench_result *result, ed_delays *delays, const struct bound *b, double copies,
                   double bytes, double datagrams)
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
    result->figures[6] = ed_delays_longer(delays, ed_delays_ns(&b->delays, 990));
}

static void run_bound(ed_bench_result *result, struct bound *b)
{
    report(result, &b->delays, b, (double)b->copies / (double)b->delays.count, 0, 0);
}

/* -------------------------------------------------------------------------------------- eddy -- */

/** A game whose datagrams fare as those of the bound do. */
struct lossy {
    ed_game game;
    ed_fate fate;
    uint64_t left[ED_PAIR_SIDES]; /* ticks whose datagram is on its way */
};

static bool lose(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    struct lossy *l = context;
    eddy_address server = eddy_local_address(l->game.pair.ends[ED_PAIR_SERVER].manager);
    ed_pair_side side =
        eddy_address_equal(&datagram->local, &server) ? ED_PAIR_SERVER : ED_PAIR_CLIENT;
    uint64_t tick = ed_game_tick_at(&l->game, side, now_ns);

    if (now_ns < l->game.begin_ns)
        return false;
    if (l->left[side] > tick || datagram->size <= ED_GAME_SIZE)
        return ed_fate_loses_other(&l->fate, side, tick);
    l->left[side] = tick + 1;
    return ed_fate_loses(&l->fate, side, tick);
}

static void play(struct lossy *l, bool both)
{
    ed_game *game = &l->game;

    ed_world_observe(game->pair.world, lose, l);
    for (uint64_t k = 0; k < ED_GAME_SENDS; k++) {
        ed_game_tick(game, ED_PAIR_CLIENT, k);
        if (both)
            ed_game_tick(game, ED_PAIR_SERVER, k);
    }
    ed_world_run_until(game->pair.world,
                       ed_world_now_ns(game->pair.world) + ED_GAME_SETTLE_S * ED_NS_PER_S);
}

static void tell(ed_bench_result *result, ed_game *game, const struct bound *b)
{
    uint64_t sent = 0, copies = 0, bytes = 0, datagrams = 0;

    if (!ed_game_check(game, 0, result))
        return;
    for (size_t i = 0; i < ED_PAIR_SIDES; i++) {
        eddy_stats stats;
        eddy_get_stats(game->pair.ends[i].manager, &stats);
        sent += stats.messages_sent;
        copies += stats.messages_sent + stats.messages_resent;
        bytes += stats.sent_bytes;
        datagrams += stats.sent_datagrams;
    }
    report(result, &game->delays, b, (double)copies / (double)sent, (double)bytes / (double)sent,
           (double)datagrams / (double)sent);
}

/** The handshake, and what follows it, meets no loss. */
static void run_eddy(ed_bench_result *result, const ed_bench_plan *plan, const struct bound *b)
{
    static struct lossy lossy;
    eddy_config config = eddy_config_default();
    ed_link_config clean = ed_link_config_default();

    lossy = (struct lossy){0};
    ed_fate_init(&lossy.fate, plan);
    clean.delay_ns = lossy.fate.path.delay_ns;
    if (ed_game_open(&lossy.game, result, plan, &config, &clean)) {
        play(&lossy, plan->both);
        tell(result, &lossy.game, b);
    }
    ed_game_close(&lossy.game);
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
            ed_delays_add(delays, plan->rtt_us * ED_NS_PER_US / 2 + ed_game_ticks_ns(k) -
                                      ed_game_ticks_ns(first));
    }
}

static void run_fec(ed_bench_result *result, const ed_bench_plan *plan, const struct bound *b)
{
    ed_delays delays;

    run_eddy(result, plan, b); // what it spends on copies is what the code may spend
    double copies = result->figures[COPIES];
    if (result->error[0] != 0)
        return;
    if (!ed_delays_open(&delays, ED_GAME_SENDS)) {
        snprintf(result->error, sizeof(result->error), "no memory");
        return;
    }
    deliver_coded(&delays, b, plan, (uint64_t)((copies - 1) * PPM));
    report(result, &delays, b, copies, 0, 0);
    ed_delays_close(&delays);
}

void ed_bench_run_lossy(ed_bench_result *result, const ed_bench_work *work,
                        const ed_bench_system *system, const ed_bench_plan *plan)
{
    static struct bound b;
    ed_bench_plan of_bound = *plan;

    (void)work;
    of_bound.series = system == &ed_bench_bound ? plan->series : NULL;
    *result = (ed_bench_result){.error = ""};
    if (open_bound(&b, result, &of_bound)) {
        if (system == &ed_bench_bound)
            run_bound(result, &b);
        else if (system == &ed_bench_fec)
            run_fec(result, plan, &b);
        else
            run_eddy(result, plan, &b);
    }
    close_bound(&b);
}

const ed_bench_system ed_bench_fec = {
    .name = "fec", .help = "L1: what no code can beat, in the bytes of eddy's copies"};
const ed_bench_system ed_bench_bound = {.name = "bound",
                                        .help = "L1: what no scheme of a datagram a tick can beat"};
