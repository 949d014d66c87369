/**
 * L1 over real sockets and in real time: a server, and clients with a socket each behind a path
 * that delays and loses. What a machine adds that has other things to do is no figure: a loop that
 * stands still too long ends the run.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "tools/bench/duel.h"
#include "tools/bench/forward.h"
#include "tools/bench/game.h"

enum {
    NAP_US = 250,       /* of the clients' loop */
    STILL_MS = 5,       /* longer than that a loop stands still, */
    STILL_SHARE = 1000, /* and no more than such a part of the time may be above it */
};

/** What each side counts in ed_duel.counts. */
enum { SENT, MEDIAN_NS, P99_NS, P999_NS };

struct stamp {
    uint64_t number;
    uint64_t sent_ns;
};

/* ----------------------------------------------------------------------------- a loop's pulse --
 */

struct pulse {
    uint64_t begin_ns;
    uint64_t last_ns;
    uint64_t still_ns;
};

static void beat(struct pulse *pulse)
{
    uint64_t now_ns = ed_clock_now_ns();

    if (pulse->begin_ns == 0)
        *pulse = (struct pulse){.begin_ns = now_ns, .last_ns = now_ns};
    uint64_t gap_ns = now_ns - pulse->last_ns;
    pulse->still_ns += gap_ns - ed_min_u64(gap_ns, STILL_MS * ED_NS_PER_MS);
    pulse->last_ns = now_ns;
}

static void check_pulse(ed_duel *duel, ed_duel_side side, const struct pulse *pulse)
{
    uint64_t all_ns = pulse->last_ns - pulse->begin_ns;

    if (pulse->still_ns * STILL_SHARE > all_ns)
        ed_duel_fail(duel, side, "the machine is too busy: %llu of %llu ms it stood still",
                     (unsigned long long)(pulse->still_ns / ED_NS_PER_MS),
                     (unsigned long long)(all_ns / ED_NS_PER_MS));
}

/* ------------------------------------------------------------------------------------ server -- */

static ed_delays delays;
static uint64_t next_numbers[ED_BENCH_CLIENTS_MAX];

static void take(void *context, uint32_t peer, const void *data, size_t size)
{
    ed_duel *duel = context;
    struct stamp stamp;

    memcpy(&stamp, data, sizeof(stamp));
    if (size != ED_GAME_SIZE || stamp.number != next_numbers[peer]++)
        atomic_fetch_add(&duel->wrong, 1);
    ed_delays_add(&delays, ed_clock_now_ns() - stamp.sent_ns);
    atomic_fetch_add(&duel->delivered, 1);
}

static uint64_t ticks_of(const ed_duel *duel)
{
    return duel->plan.measure_ms * (uint64_t)ED_GAME_HZ / 1000;
}

/** Whether all has come, or never will. */
static bool is_over(const ed_duel *duel, uint64_t end_ns)
{
    return atomic_load(&duel->delivered) >= ticks_of(duel) * duel->plan.clients ||
           ed_clock_now_ns() > end_ns;
}

static void follow(ed_duel *duel, void *host)
{
    struct pulse pulse = {0};
    uint64_t end_ns = ED_NEVER_NS;

    while (!is_over(duel, end_ns)) {
        duel->system->poll(host, 1);
        if (atomic_load(&duel->phase) != ED_DUEL_WARM)
            beat(&pulse);
        if (!ed_duel_follow(duel) && end_ns == ED_NEVER_NS)
            end_ns = ed_clock_now_ns() + ED_GAME_SETTLE_S * ED_NS_PER_S;
    }
    check_pulse(duel, ED_DUEL_SERVER, &pulse);
}

static void serve(ed_duel *duel)
{
    ed_bench_sink sink = {.context = duel, .message = take};
    void *host = ed_duel_listen(duel, duel->plan.clients, &sink);

    if (!ed_delays_open(&delays, ticks_of(duel) * duel->plan.clients))
        ed_duel_fail(duel, ED_DUEL_SERVER, "no memory");
    while (atomic_load(&duel->connected) < duel->plan.clients) {
        duel->system->poll(host, 1);
        atomic_store(&duel->connected, duel->system->connected(host));
    }
    follow(duel, host);
    if (delays.count == 0)
        ed_duel_fail(duel, ED_DUEL_SERVER, "nothing came");
    ed_delays_sort(&delays);
    duel->counts[MEDIAN_NS] = ed_delays_ns(&delays, 500);
    duel->counts[P99_NS] = ed_delays_ns(&delays, 990);
    duel->counts[P999_NS] = ed_delays_ns(&delays, 999);
    duel->system->close(host);
}

/* ----------------------------------------------------------------------------------- clients -- */

static void *hosts[ED_BENCH_CLIENTS_MAX];
static uint64_t ticks[ED_BENCH_CLIENTS_MAX];

static void poll_all(ed_duel *duel, ed_forward *forward)
{
    for (uint32_t i = 0; i < duel->plan.clients; i++)
        duel->system->poll(hosts[i], 0);
    ed_forward_poll(forward);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = NAP_US * ED_NS_PER_US}, NULL);
}

static void connect_all(ed_duel *duel, ed_forward *forward)
{
    static const ed_bench_sink none = {0};
    uint64_t give_up_ns = ed_clock_now_ns() + ED_BENCH_CONNECT_MS * ED_NS_PER_MS;
    uint32_t missing = duel->plan.clients;

    for (uint32_t i = 0; i < duel->plan.clients; i++)
        hosts[i] = ed_duel_dial(duel, &none);
    while (missing > 0 || atomic_load(&duel->connected) < duel->plan.clients) {
        if (ed_clock_now_ns() > give_up_ns)
            ed_duel_fail(duel, ED_DUEL_CLIENT, "%u of %u clients are not connected", missing,
                         duel->plan.clients);
        poll_all(duel, forward);
        missing = 0;
        for (uint32_t i = 0; i < duel->plan.clients; i++)
            missing += duel->system->connected(hosts[i]) == 0 ? 1 : 0;
        nap();
    }
}

static void send_one(ed_duel *duel, uint32_t i)
{
    uint8_t message[ED_GAME_SIZE] = {0};
    struct stamp stamp = {.number = ticks[i]++, .sent_ns = ed_clock_now_ns()};

    memcpy(message, &stamp, sizeof(stamp));
    if (!duel->system->send(hosts[i], 0, true, message, sizeof(message)))
        ed_duel_fail(duel, ED_DUEL_CLIENT, "a message was refused");
    duel->system->flush(hosts[i]);
    duel->counts[SENT]++;
}

/** All messages of all clients, which stand at their own places of a tick. */
static void play(ed_duel *duel, ed_forward *forward)
{
    uint64_t begin_ns = ed_clock_now_ns(), all = ticks_of(duel) * duel->plan.clients;
    struct pulse pulse = {0};

    while (duel->counts[SENT] < all) {
        uint64_t now_ns = ed_clock_now_ns();
        for (uint32_t i = 0; i < duel->plan.clients; i++) {
            uint64_t place_ns = ed_game_ticks_ns(1) * i / duel->plan.clients;
            if (ticks[i] < ticks_of(duel) &&
                begin_ns + place_ns + ed_game_ticks_ns(ticks[i]) <= now_ns)
                send_one(duel, i);
        }
        poll_all(duel, forward);
        beat(&pulse);
        nap();
    }
    check_pulse(duel, ED_DUEL_CLIENT, &pulse);
}

static void drive(ed_duel *duel)
{
    ed_link_config path = ed_pair_path(&duel->plan), clean = ed_link_config_default();

    clean.delay_ns = path.delay_ns;
    ed_forward *forward = ed_forward_open(ed_duel_port(duel), &clean, duel->plan.seed);
    if (forward == NULL)
        ed_duel_fail(duel, ED_DUEL_CLIENT, "no socket for the path");
    atomic_store(&duel->port, ed_forward_port(forward));
    connect_all(duel, forward);
    if (!ed_forward_set_path(forward, &path))
        ed_duel_fail(duel, ED_DUEL_CLIENT, "no such path");
    ed_duel_begin(duel);
    play(duel, forward);
    ed_duel_end(duel);
    uint64_t end_ns = ed_clock_now_ns() + ED_GAME_SETTLE_S * ED_NS_PER_S;
    while (!is_over(duel, end_ns)) {
        poll_all(duel, forward);
        nap();
    }
    ed_forward_close(forward);
}

static double ms(uint64_t ns)
{
    return (double)ns / (double)ED_NS_PER_MS;
}

void ed_bench_run_real(ed_bench_result *result, const ed_bench_work *work,
                       const ed_bench_system *system, const ed_bench_plan *plan)
{
    if (system == &ed_bench_bound) {
        ed_bench_run_lossy(result, work, system, plan);
        return;
    }
    ed_duel *duel = ed_duel_run(result, work, system, plan, serve, drive);
    if (duel == NULL)
        return;
    uint64_t came = atomic_load(&duel->delivered), wrong = atomic_load(&duel->wrong);
    result->figures[0] = ms(duel->counts[P99_NS]);
    result->figures[1] = ms(duel->counts[P999_NS]);
    result->figures[2] = ms(duel->counts[MEDIAN_NS]);
    if (came != duel->counts[SENT] || wrong > 0)
        snprintf(result->error, sizeof(result->error),
                 "%s: of %llu messages %llu came, %llu out of order", system->name,
                 (unsigned long long)duel->counts[SENT], (unsigned long long)came,
                 (unsigned long long)wrong);
    ed_duel_free(duel);
}
