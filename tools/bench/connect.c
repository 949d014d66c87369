/** W6: clients connect, many at once or one after another, and what that costs the server. */
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "tools/bench/duel.h"

enum {
    AT_ONCE = 16,         /* dials between two looks */
    AT_ONCE_NAP_US = 500, /* between looks at those that are not connected */
    NAP_US = 20,          /* between others */
    WAIT_MS = 1,          /* for a datagram, at most */
};

static void ignore(void *context, uint32_t peer, const void *data, size_t size)
{
    (void)context, (void)peer, (void)data, (void)size;
}

static void serve(ed_duel *duel)
{
    ed_bench_sink sink = {.message = ignore};
    void *host = ed_duel_listen(duel, duel->plan.clients, &sink);

    while (ed_duel_follow(duel)) {
        duel->system->poll(host, WAIT_MS);
        atomic_store(&duel->connected, duel->system->connected(host));
    }
    duel->system->close(host);
}

static void *hosts[ED_BENCH_CLIENTS_MAX];

static void nap(uint32_t us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * (long)ED_NS_PER_US}, NULL);
}

/** Polls those of `first` to `end` that are not connected. @return how many are not. */
static uint32_t poll_pending(ed_duel *duel, uint32_t first, uint32_t end, uint32_t wait_ms)
{
    uint32_t pending = 0;

    for (uint32_t i = first; i < end; i++) {
        if (duel->system->connected(hosts[i]) > 0)
            continue;
        duel->system->poll(hosts[i], wait_ms);
        pending += duel->system->connected(hosts[i]) == 0;
    }
    return pending;
}

/** Polls until `first` to `end` are connected at both sides; one alone waits in its poll. */
static void await(ed_duel *duel, uint32_t first, uint32_t end, uint32_t nap_us)
{
    uint64_t give_up_ns = ed_clock_now_ns() + ED_BENCH_CONNECT_MS * ED_NS_PER_MS;
    uint32_t wait_ms = end - first == 1 ? WAIT_MS : 0;

    while (poll_pending(duel, first, end, wait_ms) > 0 || atomic_load(&duel->connected) < end) {
        if (ed_clock_now_ns() > give_up_ns)
            ed_duel_fail(duel, ED_DUEL_CLIENT, "the server has %u of %u clients",
                         atomic_load(&duel->connected), end);
        if (nap_us > 0)
            nap(nap_us);
    }
}

static void drive(ed_duel *duel)
{
    ed_bench_sink sink = {.message = ignore};
    uint32_t clients = duel->plan.clients;

    while (atomic_load(&duel->port) == 0)
        nap(NAP_US);
    ed_duel_begin(duel);
    for (uint32_t i = 0; i < clients; i++) {
        hosts[i] = ed_duel_dial(duel, &sink);
        if (duel->plan.in_turn)
            await(duel, i, i + 1, 0);
        else if (i % AT_ONCE == AT_ONCE - 1)
            poll_pending(duel, 0, i + 1, 0);
    }
    await(duel, 0, clients, AT_ONCE_NAP_US);
    ed_duel_end(duel);
}

void ed_bench_run_connect(ed_bench_result *result, const ed_bench_work *work,
                          const ed_bench_system *system, const ed_bench_plan *plan)
{
    ed_duel *duel = ed_duel_run(result, work, system, plan, serve, drive);

    if (duel == NULL)
        return;
    double clients = plan->clients;
    result->figures[0] = ed_duel_side_cpu_ns(duel, ED_DUEL_SERVER) / clients / (double)ED_NS_PER_US;
    result->figures[1] = ed_duel_side_cpu_ns(duel, ED_DUEL_CLIENT) / clients / (double)ED_NS_PER_US;
    result->figures[2] = ed_duel_seconds(duel);
    ed_duel_free(duel);
}
