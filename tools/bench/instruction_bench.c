/**
 * Work whose instructions valgrind counts: tools/bench/instructions runs this under callgrind and
 * compares what comes out with what is written down. All of it is in virtual time, with one seed
 * and one cipher, so the same build does the same on every machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/pair.h"

enum {
    OUTSTANDING = 1024,
    BATCH = 64, /* messages of one call, as `eddy bench W1` sends them */
    GAME_HZ = 60,
    DOWN_EVERY = 3, /* ticks */
    UP_SIZE = 40,
    DOWN_SIZE = 200,
    RELIABLE_SIZE = 32,
    ECHO_SIZE = 32,
    MESSAGE_MAX = 64 << 10,
    BUDGET = 64 << 20,
    SEED = 7,
    LIMIT_S = 300, /* of virtual time: a work that is not done by then never will be */
};

struct work {
    const char *name;
    const char *unit; /* what `count` of are done */
    uint64_t count;
    void (*run)(const struct work *work);
    bool connects; /* `run` does that itself */
    bool echoes;
    bool batches; /* many messages in one call */
    eddy_guarantee guarantee;
    size_t size;
};

static ed_pair pair;
static uint64_t came;
static const uint8_t message[MESSAGE_MAX];

static void hear(void *context, ed_pair_end *end, const eddy_event *event, uint64_t now_ns)
{
    const struct work *work = context;

    (void)now_ns;
    came++;
    if (work->echoes && end == &pair.ends[ED_PAIR_SERVER])
        (void)ed_pair_send(end, work->guarantee, 0, event->message.data, event->message.size);
}

static void pass_ms(uint64_t ms)
{
    if (ed_world_now_ns(pair.world) > LIMIT_S * ED_NS_PER_S) {
        fprintf(stderr, "instruction_bench: not done after %d s\n", LIMIT_S);
        exit(1);
    }
    ed_world_run_until(pair.world, ed_world_now_ns(pair.world) + ms * ED_NS_PER_MS);
}

static bool open_pair(const struct work *work)
{
    ed_link_config path = ed_link_config_default();
    eddy_config config = eddy_config_default();

    path.delay_ns = ED_NS_PER_MS;
    config.cipher = EDDY_CIPHER_CHACHA20; // every machine has it
    config.max_connections = 1;
    config.send_budget = BUDGET;
    config.receive_budget = BUDGET;
    config.connection_send_budget = BUDGET / 2;
    pair = (ed_pair){.message = hear, .context = (void *)(uintptr_t)work};
    return ed_pair_open(&pair, &config, &path, SEED);
}

/** Gives so many messages to the client at most. @return how many it took */
static size_t send_some(const struct work *work, uint64_t most)
{
    ed_pair_end *client = &pair.ends[ED_PAIR_CLIENT];
    size_t count = most < BATCH ? (size_t)most : BATCH;
    eddy_message messages[BATCH];

    if (!work->batches)
        return ed_pair_send(client, work->guarantee, 0, message, work->size) ? 1 : 0;
    for (size_t i = 0; i < count; i++)
        messages[i] = (eddy_message){.connection = client->connection,
                                     .guarantee = work->guarantee,
                                     .data = message,
                                     .size = work->size};
    ed_world_touch(pair.world, client->host);
    return eddy_send_batch(client->manager, messages, count, NULL);
}

/** Sends what may be under way. @return how many messages were sent so far */
static uint64_t fill(const struct work *work, uint64_t sent)
{
    uint64_t outstanding = OUTSTANDING / (1 + work->size / 1024);
    size_t took = 1;

    while (took > 0 && sent < work->count && sent - came < outstanding) {
        took = send_some(work, ed_min_u64(work->count - sent, outstanding - (sent - came)));
        sent += took;
    }
    return sent;
}

/** As much as may be under way, until all has been sent. */
static void stream(const struct work *work)
{
    for (uint64_t sent = 0; came < work->count; pass_ms(1))
        sent = fill(work, sent);
}

/** Seconds of a client's traffic with a server on a tick, and of the server's with it. */
static void tick(const struct work *work)
{
    ed_pair_end *client = &pair.ends[ED_PAIR_CLIENT], *server = &pair.ends[ED_PAIR_SERVER];

    for (uint64_t k = 0; k < work->count * GAME_HZ; k++) {
        (void)ed_pair_send(client, EDDY_UNRELIABLE, 0, message, UP_SIZE);
        if (k % DOWN_EVERY == 0)
            (void)ed_pair_send(server, EDDY_UNRELIABLE, 0, message, DOWN_SIZE);
        if (k % GAME_HZ == 0) {
            (void)ed_pair_send(client, EDDY_RELIABLE_ORDERED, 0, message, RELIABLE_SIZE);
            (void)ed_pair_send(server, EDDY_RELIABLE_ORDERED, 0, message, RELIABLE_SIZE);
        }
        pass_ms(1000 / GAME_HZ);
    }
}

static void echo(const struct work *work)
{
    for (uint64_t i = 0; i < work->count; i++) {
        (void)ed_pair_send(&pair.ends[ED_PAIR_CLIENT], work->guarantee, 0, message, work->size);
        while (came < 2 * (i + 1))
            pass_ms(1);
    }
}

/** Managers, their handshake, and some seconds of silence. */
static void connect_many(const struct work *work)
{
    for (uint64_t i = 0; i < work->count; i++) {
        if (!open_pair(work))
            abort();
        ed_pair_close(&pair);
    }
}

static const struct work works[] = {
    {.name = "W1",
     .unit = "message",
     .count = 20000,
     .run = stream,
     .guarantee = EDDY_RELIABLE_ORDERED,
     .size = 64},
    {.name = "W1-batches",
     .unit = "message",
     .count = 20000,
     .run = stream,
     .batches = true,
     .guarantee = EDDY_RELIABLE_ORDERED,
     .size = 64},
    {.name = "W2",
     .unit = "message",
     .count = 20000,
     .run = stream,
     .guarantee = EDDY_UNRELIABLE,
     .size = 64},
    {.name = "W2-batches",
     .unit = "message",
     .count = 20000,
     .run = stream,
     .batches = true,
     .guarantee = EDDY_UNRELIABLE,
     .size = 64},
    {.name = "W3",
     .unit = "message",
     .count = 64,
     .run = stream,
     .guarantee = EDDY_RELIABLE_ORDERED,
     .size = MESSAGE_MAX},
    {.name = "W4", .unit = "client and second", .count = 40, .run = tick},
    {.name = "W5",
     .unit = "round trip",
     .count = 2000,
     .run = echo,
     .echoes = true,
     .guarantee = EDDY_RELIABLE_ORDERED,
     .size = ECHO_SIZE},
    {.name = "W6", .unit = "connection", .count = 40, .run = connect_many, .connects = true},
};

/** What is counted: callgrind collects while it is in here. */
void ed_bench_counted(const struct work *work);

__attribute__((noinline)) void ed_bench_counted(const struct work *work)
{
    work->run(work);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < ED_COUNT(works); i++) {
        const struct work *work = &works[i];
        if (argc == 1)
            printf("%s %llu %s\n", work->name, (unsigned long long)work->count, work->unit);
        if (argc != 2 || strcmp(argv[1], work->name) != 0)
            continue;
        if (!work->connects && !open_pair(work))
            return 1;
        ed_bench_counted(work);
        if (!work->connects)
            ed_pair_close(&pair);
        return 0;
    }
    return argc == 1 ? 0 : 2;
}
