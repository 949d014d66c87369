/** W5: one message goes, and the next when it has come back. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tools/bench/duel.h"

enum {
    TIMES_MAX = 1 << 20, /* of the first trips: some ten seconds of them */
    WAIT_MS = 1000,      /* at most, for an answer; and for a datagram where nobody polls busily */
    SERVER_WAIT_MS = 10, /* so that the end of the run is seen */
    P50 = 0,
    P99 = 1,
    TRIPS = 2,
};

struct answerer {
    ed_duel *duel;
    void *host;
};

static void answer(void *context, uint32_t peer, const void *data, size_t size)
{
    struct answerer *a = context;

    if (!a->duel->system->send(a->host, peer, true, data, size))
        ed_duel_fail(a->duel, ED_DUEL_SERVER, "an answer was refused");
}

static void serve(ed_duel *duel)
{
    static struct answerer a;
    ed_bench_sink sink = {.context = &a, .message = answer};

    a = (struct answerer){.duel = duel};
    a.host = ed_duel_listen(duel, 1, &sink);
    while (ed_duel_follow(duel)) {
        duel->system->poll(a.host, duel->plan.busy ? 0 : SERVER_WAIT_MS);
        duel->system->flush(a.host);
    }
    duel->system->close(a.host);
}

struct asker {
    ed_duel *duel;
    void *host;
    bool has_come;
    uint64_t trips;
    size_t kept; /* of their times */
    uint32_t times_ns[TIMES_MAX];
};

static void hear(void *context, uint32_t peer, const void *data, size_t size)
{
    struct asker *a = context;
    uint32_t sequence;

    (void)peer;
    memcpy(&sequence, data, sizeof(sequence));
    a->has_come = true;
    if (size != a->duel->work->message_size)
        ed_duel_fail(a->duel, ED_DUEL_CLIENT, "an answer came with %zu bytes", size);
}

static void ask(struct asker *a, uint8_t *message)
{
    const ed_bench_system *system = a->duel->system;
    uint64_t begin_ns = ed_clock_now_ns();

    a->has_come = false;
    if (!system->send(a->host, 0, true, message, a->duel->work->message_size))
        ed_duel_fail(a->duel, ED_DUEL_CLIENT, "a message was refused");
    system->flush(a->host);
    while (!a->has_come) {
        system->poll(a->host, a->duel->plan.busy ? 0 : WAIT_MS);
        if (ed_clock_now_ns() - begin_ns > WAIT_MS * ED_NS_PER_MS)
            ed_duel_fail(a->duel, ED_DUEL_CLIENT, "no answer within a second");
    }
    a->trips++;
    if (a->kept < TIMES_MAX)
        a->times_ns[a->kept++] = (uint32_t)(ed_clock_now_ns() - begin_ns);
}

static void ask_for(struct asker *a, uint32_t ms)
{
    uint64_t until_ns = ed_clock_now_ns() + ms * ED_NS_PER_MS;
    uint8_t message[ED_BENCH_MESSAGE_MAX] = {0};

    a->trips = 0;
    a->kept = 0;
    while (ed_clock_now_ns() < until_ns)
        ask(a, message);
}

static int compare(const void *a, const void *b)
{
    uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;

    return (first > second) - (first < second);
}

static void drive(ed_duel *duel)
{
    static struct asker a;
    ed_bench_sink sink = {.context = &a, .message = hear};

    a.duel = duel;
    a.host = ed_duel_dial(duel, &sink);
    ed_duel_await(duel, a.host);
    ask_for(&a, duel->plan.warm_ms);
    ed_duel_begin(duel);
    ask_for(&a, duel->plan.measure_ms);
    ed_duel_end(duel);
    qsort(a.times_ns, a.kept, sizeof(a.times_ns[0]), compare);
    duel->counts[P50] = a.times_ns[a.kept / 2];
    duel->counts[P99] = a.times_ns[a.kept * 99 / 100];
    duel->counts[TRIPS] = a.trips;
    duel->system->close(a.host);
}

void ed_bench_run_echo(ed_bench_result *result, const ed_bench_work *work,
                       const ed_bench_system *system, const ed_bench_plan *plan)
{
    ed_duel *duel = ed_duel_run(result, work, system, plan, serve, drive);

    if (duel == NULL)
        return;
    result->figures[0] = (double)duel->counts[P50] / (double)ED_NS_PER_US;
    result->figures[1] = (double)duel->counts[P99] / (double)ED_NS_PER_US;
    result->figures[2] = ed_duel_cpu_ns(duel) / (double)duel->counts[TRIPS] / (double)ED_NS_PER_US;
    ed_duel_free(duel);
}
