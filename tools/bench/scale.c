/**
 * W4: a server on a tick, of 60 Hz unless asked for less, and clients with a socket each. Each
 * client sends 40 unreliable bytes every tick and 32 reliable ones once a second; the server sends
 * each 200 unreliable bytes every third tick and 32 reliable ones once a second.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "tools/bench/duel.h"

enum {
    DOWN_EVERY = 3, /* ticks */
    UP_SIZE = 40,
    DOWN_SIZE = 200,
    RELIABLE_SIZE = 32,
    NAP_US = 500,       /* of the clients' loop */
    POLLED_BESIDE = 32, /* that are connected, while the next one connects */
    FINISH_MS = 500,
};

#define LOAD_LEAST 0.98 /* of what is to be sent, or one process was too slow */

/** What was counted, of all that was sent in the time that counts. */
enum {
    UP_SENT,
    UP_CAME,
    DOWN_SENT,
    DOWN_CAME,
    RELIABLE_UP_SENT,
    RELIABLE_DOWN_SENT,
    RELIABLE_CAME,
    REFUSED,
};

/** Every message begins with whether it is sent in the time that counts. */
static uint8_t message[DOWN_SIZE];

static bool is_counting(ed_duel *duel)
{
    return atomic_load_explicit(&duel->phase, memory_order_relaxed) == ED_DUEL_MEASURE;
}

static void send_one(ed_duel *duel, void *host, uint32_t peer, size_t size, uint64_t *sent)
{
    bool counts = is_counting(duel);

    message[0] = counts;
    if (!duel->system->send(host, peer, size == RELIABLE_SIZE, message, size))
        __atomic_fetch_add(&duel->counts[REFUSED], counts, __ATOMIC_RELAXED);
    else
        __atomic_fetch_add(sent, counts, __ATOMIC_RELAXED);
}

static void count(void *context, uint32_t peer, const void *data, size_t size)
{
    ed_duel *duel = context;
    uint64_t *counts = duel->counts;
    uint64_t *came = size == UP_SIZE     ? &counts[UP_CAME]
                     : size == DOWN_SIZE ? &counts[DOWN_CAME]
                                         : &counts[RELIABLE_CAME];

    (void)peer;
    __atomic_fetch_add(came, *(const uint8_t *)data, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------------------------------ server -- */

static void sleep_until(uint64_t at_ns)
{
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME,
                    &(struct timespec){.tv_sec = (time_t)(at_ns / ED_NS_PER_S),
                                       .tv_nsec = (long)(at_ns % ED_NS_PER_S)},
                    NULL);
}

/** Lets time pass until the tick: asleep, or awake for each datagram. */
static void await_tick(ed_duel *duel, void *host, uint64_t at_ns)
{
    uint64_t now_ns = ed_clock_now_ns();

    for (; duel->plan.per_packet && now_ns < at_ns; now_ns = ed_clock_now_ns())
        duel->system->poll(host, (uint32_t)((at_ns - now_ns + ED_NS_PER_MS - 1) / ED_NS_PER_MS));
    sleep_until(at_ns);
    duel->system->poll(host, 0);
}

static void serve_tick(ed_duel *duel, void *host, uint64_t tick)
{
    uint32_t clients = duel->system->connected(host);

    for (uint32_t i = 0; i < clients; i++) {
        if (tick % DOWN_EVERY == 0)
            send_one(duel, host, i, DOWN_SIZE, &duel->counts[DOWN_SENT]);
        if (i % duel->plan.tick_hz == tick % duel->plan.tick_hz)
            send_one(duel, host, i, RELIABLE_SIZE, &duel->counts[RELIABLE_DOWN_SENT]);
    }
    duel->system->flush(host);
}

static void serve(ed_duel *duel)
{
    ed_bench_sink sink = {.context = duel, .message = count};
    void *host = ed_duel_listen(duel, duel->plan.clients, &sink);
    uint64_t next_ns = 0;

    while (atomic_load(&duel->connected) < duel->plan.clients &&
           atomic_load(&duel->phase) != ED_DUEL_DONE) {
        duel->system->poll(host, 1);
        atomic_store(&duel->connected, duel->system->connected(host));
    }
    next_ns = ed_clock_now_ns();
    for (uint64_t tick = 0; ed_duel_follow(duel); tick++) {
        next_ns += ED_NS_PER_S / duel->plan.tick_hz;
        await_tick(duel, host, next_ns);
        serve_tick(duel, host, tick);
    }
    uint32_t left = duel->system->connected(host);
    uint64_t until_ns = ed_clock_now_ns() + FINISH_MS * ED_NS_PER_MS; // what is late still counts
    while (ed_clock_now_ns() < until_ns)
        duel->system->poll(host, 1);
    if (left < duel->plan.clients)
        ed_duel_fail(duel, ED_DUEL_SERVER, "%u of %u clients were lost", duel->plan.clients - left,
                     duel->plan.clients);
    duel->system->close(host);
}

/* ----------------------------------------------------------------------------------- clients -- */

static void *hosts[ED_BENCH_CLIENTS_MAX];

static void poll_all(const ed_duel *duel)
{
    for (uint32_t i = 0; i < duel->plan.clients; i++)
        duel->system->poll(hosts[i], 0);
}

/** Some of those that are connected, in turn: where many come, the first must not seem dead. */
static void poll_some(const ed_duel *duel, uint32_t connected)
{
    static uint32_t turn;

    for (uint32_t i = 0; i < POLLED_BESIDE; i++)
        duel->system->poll(hosts[turn++ % connected], 0);
}

static void connect_all(ed_duel *duel, const ed_bench_sink *sink)
{
    for (uint32_t i = 0; i < duel->plan.clients; i++) {
        hosts[i] = ed_duel_dial(duel, sink);
        ed_duel_await(duel, hosts[i]);
        poll_some(duel, i + 1);
    }
    uint64_t give_up_ns = ed_clock_now_ns() + ED_BENCH_CONNECT_MS * ED_NS_PER_MS;
    while (atomic_load(&duel->connected) < duel->plan.clients) {
        if (ed_clock_now_ns() > give_up_ns)
            ed_duel_fail(duel, ED_DUEL_CLIENT, "the server has %u of %u clients",
                         atomic_load(&duel->connected), duel->plan.clients);
        poll_all(duel);
    }
}

/** When a turn is due, counted from the beginning: the clients take theirs one behind the other. */
static uint64_t due_ns(const ed_duel *duel, uint64_t turn)
{
    return turn * (ED_NS_PER_S / duel->plan.tick_hz) / duel->plan.clients;
}

static void take_turn(ed_duel *duel, uint64_t turn)
{
    uint32_t i = (uint32_t)(turn % duel->plan.clients);

    send_one(duel, hosts[i], 0, UP_SIZE, &duel->counts[UP_SENT]);
    if (turn / duel->plan.clients % duel->plan.tick_hz == 0)
        send_one(duel, hosts[i], 0, RELIABLE_SIZE, &duel->counts[RELIABLE_UP_SENT]);
    duel->system->poll(hosts[i], 0);
}

/** Goes on with `turn`. @return the one that is next. */
static uint64_t play(ed_duel *duel, uint64_t turn, uint64_t begin_ns, uint64_t until_ns)
{
    for (uint64_t now_ns = ed_clock_now_ns(); now_ns < until_ns; now_ns = ed_clock_now_ns()) {
        // Who falls behind still looks at the clock, or it would never end.
        for (uint32_t i = 0; i < duel->plan.clients && begin_ns + due_ns(duel, turn) <= now_ns; i++)
            take_turn(duel, turn++);
        sleep_until(ed_clock_now_ns() + NAP_US * ED_NS_PER_US);
    }
    return turn;
}

static void drive(ed_duel *duel)
{
    ed_bench_sink sink = {.context = duel, .message = count};

    connect_all(duel, &sink);
    uint64_t begin_ns = ed_clock_now_ns();
    uint64_t measure_ns = begin_ns + duel->plan.warm_ms * ED_NS_PER_MS;
    uint64_t end_ns = measure_ns + duel->plan.measure_ms * ED_NS_PER_MS;
    uint64_t turn = play(duel, 0, begin_ns, measure_ns);
    ed_duel_begin(duel);
    (void)play(duel, turn, begin_ns, end_ns);
    ed_duel_end(duel);
    uint64_t until_ns = ed_clock_now_ns() + FINISH_MS * ED_NS_PER_MS;
    while (ed_clock_now_ns() < until_ns)
        poll_all(duel);
}

static double percent(uint64_t came, uint64_t sent)
{
    return sent == 0 ? 0 : 100 * (double)came / (double)sent;
}

/** Says so if a side did not send what it had to: who does half of the work looks cheap. */
static void check_load(ed_bench_result *result, const ed_duel *duel)
{
    const ed_bench_plan *plan = &duel->plan;
    double seconds = ed_duel_seconds(duel), clients = plan->clients;
    const struct {
        const char *what;
        int count;
        double per_client_s;
        double edge; /* so many go at once: the time that counts may begin or end just beside */
    } rows[] = {
        {"clients", UP_SENT, plan->tick_hz, 0},
        {"clients, of what is reliable,", RELIABLE_UP_SENT, 1, clients},
        {"server", DOWN_SENT, (double)plan->tick_hz / DOWN_EVERY, clients},
        {"server, of what is reliable,", RELIABLE_DOWN_SENT, 1, clients / plan->tick_hz + 1},
    };
    for (size_t i = 0; i < ED_COUNT(rows) && result->error[0] == '\0'; i++) {
        double sent = (double)duel->counts[rows[i].count];
        double offered = seconds * rows[i].per_client_s * clients;
        if (sent + rows[i].edge < LOAD_LEAST * offered)
            snprintf(result->error, sizeof(result->error),
                     "%s: the %s sent only %.0f %% of the load: one CPU is too slow "
                     "(fewer --clients, or a slower --tick)",
                     duel->system->name, rows[i].what, 100 * sent / offered);
    }
    if (result->error[0] == '\0' && duel->counts[REFUSED] > 0)
        snprintf(result->error, sizeof(result->error), "%s: %llu messages were refused",
                 duel->system->name, (unsigned long long)duel->counts[REFUSED]);
}

void ed_bench_run_scale(ed_bench_result *result, const ed_bench_work *work,
                        const ed_bench_system *system, const ed_bench_plan *plan)
{
    ed_duel *duel = ed_duel_run(result, work, system, plan, serve, drive);

    if (duel == NULL)
        return;
    const ed_duel_account *server = &duel->sides[ED_DUEL_SERVER];
    const uint64_t *counts = duel->counts;
    result->figures[0] = ed_duel_side_cpu_ns(duel, ED_DUEL_SERVER) / ed_duel_seconds(duel) /
                         plan->clients / (double)ED_NS_PER_US;
    result->figures[1] = percent(counts[UP_CAME], counts[UP_SENT]);
    result->figures[2] = percent(counts[DOWN_CAME], counts[DOWN_SENT]);
    result->figures[3] =
        percent(counts[RELIABLE_CAME], counts[RELIABLE_UP_SENT] + counts[RELIABLE_DOWN_SENT]);
    result->figures[4] = (double)(server->rss_end - server->rss_begin) / plan->clients / 1024;
    check_load(result, duel);
    ed_duel_free(duel);
}
