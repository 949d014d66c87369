/** W1, W2, W3: one client sends as fast as its queue has room; the server counts. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tools/bench/duel.h"

enum {
    BATCH = 256,      /* messages between two flushes */
    STORE_EVERY = 32, /* messages between two stores of what was delivered */
    WRITE_OFF_MS = 2, /* without progress: what is not reliable is lost */
    STREAM_WAIT_MS = 1,
};

/** The server's side. */
struct receiver {
    ed_duel *duel;
    uint64_t delivered;
    uint32_t expected;
    uint64_t wrong;
};

static void count(void *context, uint32_t peer, const void *data, size_t size)
{
    struct receiver *r = context;
    uint32_t sequence;

    (void)peer;
    memcpy(&sequence, data, sizeof(sequence));
    if (size != r->duel->work->message_size ||
        (sequence != r->expected && r->duel->work->reliable && !r->duel->system->loses))
        r->wrong++;
    r->expected = sequence + 1;
    if (++r->delivered % STORE_EVERY == 0)
        atomic_store_explicit(&r->duel->delivered, r->delivered, memory_order_release);
}

static void serve(ed_duel *duel)
{
    static struct receiver r;
    ed_bench_sink sink = {.context = &r, .message = count};

    r = (struct receiver){.duel = duel};
    void *host = ed_duel_listen(duel, 1, &sink);
    while (ed_duel_follow(duel)) {
        duel->system->poll(host, STREAM_WAIT_MS);
        atomic_store_explicit(&duel->delivered, r.delivered, memory_order_release);
    }
    atomic_store(&duel->wrong, r.wrong);
    duel->system->close(host);
}

/** The client's side. */
struct sender {
    ed_duel *duel;
    void *host;
    uint64_t sent;
    uint64_t written_off; /* sent, and taken to be lost */
    uint64_t progress_ns;
    uint64_t progress_at;
    uint8_t messages[ED_BENCH_MESSAGE_MAX]; /* one behind the other */
};

/** @return how many messages are on their way. */
static uint64_t outstanding(struct sender *s)
{
    uint64_t now_ns = ed_clock_now_ns();
    uint64_t arrived = atomic_load_explicit(&s->duel->delivered, memory_order_acquire);

    if (arrived != s->progress_at) {
        s->progress_at = arrived;
        s->progress_ns = now_ns;
    }
    bool may_lose = !s->duel->work->reliable || s->duel->system->loses;
    if (may_lose && now_ns - s->progress_ns > WRITE_OFF_MS * ED_NS_PER_MS) {
        s->written_off = s->sent - arrived;
        s->progress_ns = now_ns;
    }
    uint64_t known = arrived + s->written_off;
    return s->sent > known ? s->sent - known : 0;
}

/** Writes the next messages, one behind the other. */
static void write_messages(struct sender *s, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t sequence = (uint32_t)s->sent + i;
        memcpy(s->messages + i * s->duel->work->message_size, &sequence, sizeof(sequence));
    }
}

/** Sends them, in one call where the system has one. @return how many went. */
static uint32_t send_messages(struct sender *s, uint32_t count)
{
    const ed_bench_work *work = s->duel->work;
    const ed_bench_system *system = s->duel->system;
    uint32_t went = 0;

    if (system->send_many != NULL)
        return system->send_many(s->host, 0, work->reliable, s->messages, work->message_size,
                                 count);
    while (went < count &&
           system->send(s->host, 0, work->reliable, s->messages + went * work->message_size,
                        work->message_size))
        went++;
    return went;
}

/** @return how many went. */
static uint32_t send_batch(struct sender *s)
{
    const ed_bench_work *work = s->duel->work;
    uint64_t room = work->outstanding - ed_min_u64(outstanding(s), work->outstanding);
    uint64_t most = ed_min_u64(BATCH, sizeof(s->messages) / work->message_size);
    uint32_t count = (uint32_t)ed_min_u64(room, most);

    write_messages(s, count);
    uint32_t went = send_messages(s, count);
    s->sent += went;
    return went;
}

static void press(struct sender *s, uint32_t ms)
{
    uint64_t until_ns = ed_clock_now_ns() + ms * ED_NS_PER_MS;

    while (ed_clock_now_ns() < until_ns) {
        uint32_t went = send_batch(s);
        s->duel->system->flush(s->host);
        s->duel->system->poll(s->host, went > 0 ? 0 : STREAM_WAIT_MS);
    }
}

enum { SENT = 0, DELIVERED = 1 };

static void ignore(void *context, uint32_t peer, const void *data, size_t size)
{
    (void)context, (void)peer, (void)data, (void)size;
}

static void drive(ed_duel *duel)
{
    static struct sender s;
    ed_bench_sink sink = {.message = ignore};

    s = (struct sender){.duel = duel};
    s.host = ed_duel_dial(duel, &sink);
    ed_duel_await(duel, s.host);
    press(&s, duel->plan.warm_ms);
    uint64_t sent = s.sent, delivered = atomic_load(&duel->delivered);
    ed_duel_begin(duel);
    press(&s, duel->plan.measure_ms);
    duel->counts[SENT] = s.sent - sent;
    duel->counts[DELIVERED] = atomic_load(&duel->delivered) - delivered;
    ed_duel_end(duel);
    duel->system->close(s.host);
}

void ed_bench_run_stream(ed_bench_result *result, const ed_bench_work *work,
                         const ed_bench_system *system, const ed_bench_plan *plan)
{
    ed_duel *duel = ed_duel_run(result, work, system, plan, serve, drive);

    if (duel == NULL)
        return;
    double delivered = (double)duel->counts[DELIVERED];
    double bytes = delivered * (double)work->message_size;
    bool is_bulk = work->message_size >= 1024;
    if (duel->counts[DELIVERED] == 0 || atomic_load(&duel->wrong) != 0) {
        snprintf(result->error, sizeof(result->error), "%s: %s", system->name,
                 delivered == 0 ? "nothing arrived" : "messages arrived out of order or altered");
    } else {
        result->figures[0] = ed_duel_cpu_ns(duel) / (is_bulk ? bytes / 1024 : delivered);
        result->figures[1] =
            is_bulk ? bytes / ed_duel_seconds(duel) / 1e6 : delivered / ed_duel_seconds(duel) / 1e3;
        result->figures[2] = ed_duel_side_cpu_ns(duel, ED_DUEL_CLIENT) / ed_duel_cpu_ns(duel) * 100;
        result->figures[3] = 100 * delivered / (double)duel->counts[SENT];
    }
    ed_duel_free(duel);
}
