/**
 * Idle: what a poll costs a server with many connections on which nothing is said, against what it
 * costs with a few.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "tools/bench/duel.h"

enum {
    FEW = 10,
    POLLS = 200, /* of a batch: short, so that hardly any has something to do */
    BATCHES = 21,
    CLIENTS_NAP_US = 2000,
    AWAIT_MS = 60 * 1000, /* for the server, and for the other process of clients */
    POLLED_AT_ONCE = 64,  /* clients between two naps: all in less than a keepalive */
};

/** What the server has measured, in ns; duel->delivered says how many of these. */
enum { WITH_FEW, WITH_ALL };

static void ignore(void *context, uint32_t peer, const void *data, size_t size)
{
    (void)context, (void)peer, (void)data, (void)size;
}

static uint32_t few_of(const ed_duel *duel)
{
    return duel->plan.clients < FEW ? duel->plan.clients : FEW;
}

static void nap(uint32_t us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * (long)ED_NS_PER_US}, NULL);
}

/* ------------------------------------------------------------------------------------ server -- */

/** The CPU of a poll in ns: of the best batch, as keepalives and other programs disturb some. */
static uint64_t measure(const ed_duel *duel, void *host)
{
    uint64_t best_ns = UINT64_MAX;

    for (int batch = 0; batch < BATCHES; batch++) {
        uint64_t begin_ns = ed_duel_cpu_now_ns();
        for (int i = 0; i < POLLS; i++)
            duel->system->poll(host, 0);
        best_ns = ed_min_u64(best_ns, (ed_duel_cpu_now_ns() - begin_ns) / POLLS);
        nap(CLIENTS_NAP_US);
    }
    return best_ns;
}

/** Polls until so many are there, or the client gives up. */
static void await_peers(ed_duel *duel, void *host, uint32_t count)
{
    while (duel->system->connected(host) < count && atomic_load(&duel->phase) != ED_DUEL_DONE)
        duel->system->poll(host, 1);
}

static void serve(ed_duel *duel)
{
    ed_bench_sink sink = {.message = ignore};
    void *host = ed_duel_listen(duel, duel->plan.clients, &sink);

    await_peers(duel, host, few_of(duel));
    duel->counts[WITH_FEW] = measure(duel, host);
    atomic_store(&duel->delivered, 1);
    await_peers(duel, host, duel->plan.clients);
    duel->counts[WITH_ALL] = measure(duel, host);
    duel->sides[ED_DUEL_SERVER].rss_end = ed_duel_resident();
    if (duel->system->connected(host) < duel->plan.clients)
        ed_duel_fail(duel, ED_DUEL_SERVER, "%u of %u clients are there",
                     duel->system->connected(host), duel->plan.clients);
    atomic_store(&duel->delivered, 2);
    while (atomic_load(&duel->phase) != ED_DUEL_DONE)
        duel->system->poll(host, 1);
    duel->system->close(host);
}

/* ----------------------------------------------------------------------------------- clients -- */

static void *hosts[ED_BENCH_CLIENTS_MAX];

/** Lets some of those that are there say that they live. */
static void poll_some(const ed_duel *duel, uint32_t count)
{
    static uint32_t turn;

    for (uint32_t i = 0; i < POLLED_AT_ONCE && i < count; i++)
        duel->system->poll(hosts[turn++ % count], 0);
}

/** Keeps all alive while the server measures, for the n-th time. */
static void await_server(ed_duel *duel, uint32_t count, uint64_t n)
{
    uint64_t give_up_ns = ed_clock_now_ns() + AWAIT_MS * ED_NS_PER_MS;

    while (atomic_load(&duel->delivered) < n) {
        if (ed_clock_now_ns() > give_up_ns)
            ed_duel_fail(duel, ED_DUEL_CLIENT, "the server has lost some of %u clients", count);
        poll_some(duel, count);
        nap(CLIENTS_NAP_US);
    }
}

/** Connects clients until this process has `count`. */
static void connect_up_to(ed_duel *duel, uint32_t count)
{
    static uint32_t connected;
    ed_bench_sink sink = {.message = ignore};

    for (; connected < count; connected++) {
        hosts[connected] = ed_duel_dial(duel, &sink);
        ed_duel_await(duel, hosts[connected]);
        poll_some(duel, connected + 1);
    }
}

/** The other process of clients, as one may not have files for all: half of those beyond the few.
 */
static void drive_half(ed_duel *duel)
{
    uint32_t half = (duel->plan.clients - few_of(duel)) / 2;

    await_server(duel, 0, 1);
    connect_up_to(duel, half);
    await_server(duel, half, 2);
}

static void drive(ed_duel *duel)
{
    uint32_t few = few_of(duel), half = (duel->plan.clients - few) / 2;
    pid_t other = ed_duel_fork(duel, ED_DUEL_CLIENT, drive_half);

    if (other < 0)
        ed_duel_fail(duel, ED_DUEL_CLIENT, "no second process: %s", strerror(errno));
    connect_up_to(duel, few);
    await_server(duel, few, 1);
    connect_up_to(duel, duel->plan.clients - half);
    await_server(duel, duel->plan.clients - half, 2);
    ed_duel_join(duel, ED_DUEL_CLIENT, other);
    ed_duel_begin(duel);
    ed_duel_end(duel);
}

void ed_bench_run_idle(ed_bench_result *result, const ed_bench_work *work,
                       const ed_bench_system *system, const ed_bench_plan *plan)
{
    ed_duel *duel = ed_duel_run(result, work, system, plan, serve, drive);

    if (duel == NULL)
        return;
    const ed_duel_account *server = &duel->sides[ED_DUEL_SERVER];
    result->figures[0] = (double)duel->counts[WITH_ALL];
    result->figures[1] = (double)duel->counts[WITH_FEW];
    result->figures[2] = (double)duel->counts[WITH_ALL] / (double)duel->counts[WITH_FEW];
    result->figures[3] = (double)(server->rss_end - server->rss_begin) / plan->clients / 1024;
    ed_duel_free(duel);
}
