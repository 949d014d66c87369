/**
 * What several shards cost: CPU time of a server's process for each message that it gets and sends
 * back, with one shard and with several in turn, over UDP on the loopback interface. The clients
 * are a process of their own, each with a socket of its own.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base.h"
#include "core/clock.h"
#include "core/eddy.h"
#include "tools/options.h"
#include "tools/report.h"

enum {
    CLIENTS_MAX = 1000,
    ROUNDS_MAX = 99,
    MESSAGE_SIZE = 64,
    BATCH = 64,
    PATIENCE_MS = 10000,
    WARM_MS = 200,
};

/** What the command line sets. */
static struct settings {
    uint64_t rounds;
    uint64_t duration_ms; /* of a row in a round */
    uint64_t clients;
    uint64_t rate; /* messages of a client in a second */
    uint64_t shards;
    bool json;
} settings = {.rounds = 7, .duration_ms = 1000, .clients = 200, .rate = 500, .shards = 2};

/** One row in one round. */
struct result {
    uint64_t cpu_ns; /* for each message */
    uint64_t per_s;  /* messages */
    uint64_t least;  /* clients of the shard that has fewest, and most, in 1000 */
    uint64_t most;
};

enum { ONE, SEVERAL, ROW_COUNT };

static struct result results[ROW_COUNT][ROUNDS_MAX];

static void require(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "shard_bench: %s\n", what);
    exit(1);
}

/* --------------------------------------------------------------------------------- clients -- */

/** What the two processes tell each other: one of these each way. */
struct invitation {
    eddy_address address;
    eddy_key key;
};

static eddy_manager *clients[CLIENTS_MAX];
static eddy_connection peers[CLIENTS_MAX];
static size_t connected;

static void poll_client(size_t i)
{
    eddy_event event;

    (void)eddy_poll(clients[i], eddy_now_ns());
    while (eddy_next(clients[i], &event, 0) == EDDY_OK) {
        connected += event.type == EDDY_CONNECTED ? 1 : 0;
        require(event.type != EDDY_DISCONNECTED, "a client was disconnected");
        eddy_release(clients[i], &event);
    }
}

static void connect_clients(const struct invitation *invitation)
{
    const eddy_connect_options options = {.server_key = &invitation->key};
    uint64_t limit_ns = eddy_now_ns() + PATIENCE_MS * ED_NS_PER_MS;
    eddy_config config = eddy_config_default();

    config.pump = false;
    config.bind = "127.0.0.1:0";
    for (size_t i = 0; i < settings.clients; i++)
        require(eddy_open(&clients[i], &config) == EDDY_OK &&
                    eddy_connect_address(clients[i], &invitation->address, &options, &peers[i]) ==
                        EDDY_OK,
                "no client");
    while (connected < settings.clients) {
        for (size_t i = 0; i < settings.clients; i++)
            poll_client(i);
        require(eddy_now_ns() < limit_ns, "the clients cannot connect");
    }
}

/** Sends as the rate says, each client in its turn, until the server's process closes the pipe. */
static void talk(int pipe_fd)
{
    const uint64_t interval_ns = ED_NS_PER_S / (settings.clients * settings.rate);
    const uint8_t message[MESSAGE_SIZE] = {0};
    uint64_t next_ns = eddy_now_ns();
    struct pollfd end = {.fd = pipe_fd, .events = POLLIN};

    for (size_t i = 0; poll(&end, 1, 1) == 0;) {
        for (uint64_t now_ns = eddy_now_ns(); next_ns <= now_ns; next_ns += interval_ns) {
            (void)!eddy_send(clients[i], peers[i], EDDY_RELIABLE_ORDERED, 0, message,
                             sizeof(message));
            i = (i + 1) % settings.clients;
        }
        for (size_t k = 0; k < settings.clients; k++)
            poll_client(k);
    }
}

/** The whole life of the process that plays all clients. */
static void be_clients(int from_server, int to_server)
{
    struct invitation invitation;

    require(read(from_server, &invitation, sizeof(invitation)) == sizeof(invitation),
            "no invitation");
    connect_clients(&invitation);
    require(write(to_server, "", 1) == 1, "the server is gone");
    talk(from_server);
    _exit(0);
}

/* ---------------------------------------------------------------------------------- server -- */

static uint64_t cpu_now_ns(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * ED_NS_PER_S +
           ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000;
}

/** Sends back what comes, for so long. @return how many messages. */
static uint64_t serve(eddy_manager *server, uint64_t duration_ms)
{
    uint64_t end_ns = ed_clock_now_ns() + duration_ms * ED_NS_PER_MS, messages = 0;
    struct pollfd events = {.fd = eddy_event_fd(server), .events = POLLIN};
    eddy_event batch[BATCH];

    while (ed_clock_now_ns() < end_ns) {
        (void)poll(&events, 1, 10);
        size_t count = eddy_next_batch(server, batch, BATCH);
        for (size_t i = 0; i < count; i++) {
            if (batch[i].type == EDDY_MESSAGE) {
                messages++;
                (void)!eddy_send(server, batch[i].connection, EDDY_RELIABLE_ORDERED, 0,
                                 batch[i].message.data, batch[i].message.size);
            }
            eddy_release(server, &batch[i]);
        }
    }
    return messages;
}

static void count_shares(eddy_manager *server, struct result *result)
{
    result->least = 1000;
    for (uint32_t i = 0; i < eddy_shard_count(server); i++) {
        eddy_stats stats;
        require(eddy_get_shard_stats(server, i, &stats) == EDDY_OK, "no such shard");
        uint64_t permille = stats.connections_opened * 1000 / settings.clients;
        result->least = ed_min_u64(result->least, permille);
        result->most = ed_max_u64(result->most, permille);
    }
}

static void be_server(uint32_t shards, pid_t clients_pid, int from_clients, int to_clients,
                      struct result *result)
{
    int exit_status = 0;
    eddy_config config = eddy_config_default();
    struct pollfd ready = {.fd = from_clients, .events = POLLIN};
    eddy_manager *server = NULL;

    config.accept = true;
    config.bind = "127.0.0.1:0";
    config.shards = shards;
    require(eddy_open(&server, &config) == EDDY_OK, "no server");
    struct invitation invitation = {eddy_local_address(server), eddy_public_key(server)};
    require(write(to_clients, &invitation, sizeof(invitation)) == sizeof(invitation), "no clients");
    while (poll(&ready, 1, 0) == 0)
        (void)serve(server, 10);
    (void)serve(server, WARM_MS);
    uint64_t cpu_ns = cpu_now_ns(), begin_ns = ed_clock_now_ns();
    uint64_t messages = serve(server, settings.duration_ms);
    result->cpu_ns = (cpu_now_ns() - cpu_ns) / ed_max_u64(messages, 1);
    result->per_s = messages * ED_NS_PER_S / (ed_clock_now_ns() - begin_ns);
    count_shares(server, result);
    (void)close(to_clients); // they go, before they are told to
    require(waitpid(clients_pid, &exit_status, 0) == clients_pid && exit_status == 0,
            "the clients failed");
    (void)eddy_close(server, 0);
}

static void run_row(uint32_t shards, struct result *result)
{
    int down[2], up[2];

    require(pipe(down) == 0 && pipe(up) == 0, "no pipes");
    pid_t child = fork(); // before there are threads
    require(child >= 0, "no process");
    if (child == 0) {
        (void)close(down[1]);
        (void)close(up[0]);
        be_clients(down[0], up[1]);
    }
    (void)close(down[0]);
    (void)close(up[1]);
    be_server(shards, child, up[0], down[1], result);
    (void)close(up[0]);
}

/* --------------------------------------------------------------------------------- figures -- */

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

    return (first > second) - (first < second);
}

/** The median over the rounds of one figure of the results, or of its ratio between the rows. */
static uint64_t median(size_t row, size_t offset, bool is_ratio)
{
    uint64_t values[ROUNDS_MAX], other;

    for (size_t i = 0; i < settings.rounds; i++) {
        memcpy(&values[i], (const char *)&results[row][i] + offset, sizeof(other));
        memcpy(&other, (const char *)&results[ONE][i] + offset, sizeof(other));
        if (is_ratio)
            values[i] = values[i] * 1000 / ed_max_u64(other, 1);
    }
    qsort(values, settings.rounds, sizeof(values[0]), compare);
    return values[settings.rounds / 2];
}

#define MEDIAN(row, figure) median(row, offsetof(struct result, figure), false)

static int print(void)
{
    uint64_t ratio = median(SEVERAL, offsetof(struct result, cpu_ns), true);
    uint64_t least = 1000, most = 0;

    for (size_t i = 0; i < settings.rounds; i++) {
        least = ed_min_u64(least, results[SEVERAL][i].least);
        most = ed_max_u64(most, results[SEVERAL][i].most);
    }
    if (settings.json)
        return ed_json_print(json_pack(
            "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "shards", ed_json_int(settings.shards),
            "cpu_ns_of_one", ed_json_int(MEDIAN(ONE, cpu_ns)), "cpu_ns_of_several",
            ed_json_int(MEDIAN(SEVERAL, cpu_ns)), "ratio_permille", ed_json_int(ratio),
            "per_s_of_one", ed_json_int(MEDIAN(ONE, per_s)), "per_s_of_several",
            ed_json_int(MEDIAN(SEVERAL, per_s)), "least_share_permille", ed_json_int(least),
            "most_share_permille", ed_json_int(most)));
    printf("medians of %u rounds, %u clients, each %u messages a second\n\n",
           (unsigned)settings.rounds, (unsigned)settings.clients, (unsigned)settings.rate);
    for (size_t row = 0; row < ROW_COUNT; row++)
        printf("%2u shards: %7u ns of CPU a message, %7u messages/s\n",
               row == ONE ? 1 : (unsigned)settings.shards, (unsigned)MEDIAN(row, cpu_ns),
               (unsigned)MEDIAN(row, per_s));
    printf("\nratio %.3f; a shard has %.1f to %.1f %% of the clients\n", (double)ratio / 1000,
           (double)least / 10, (double)most / 10);
    return 0;
}

static const struct option {
    const char *name;
    uint64_t *value;
    uint64_t most;
} options[] = {
    {"--rounds", &settings.rounds, ROUNDS_MAX},
    {"--duration-ms", &settings.duration_ms, 60 * 1000},
    {"--clients", &settings.clients, CLIENTS_MAX},
    {"--rate", &settings.rate, 100 * 1000},
    {"--shards", &settings.shards, EDDY_SHARDS_MAX},
};

/** Takes "--NAME" "NUMBER", from 1 to what is allowed. */
static bool take_option(const char *name, const char *value)
{
    for (size_t i = 0; i < ED_COUNT(options); i++)
        if (strcmp(options[i].name, name) == 0)
            return ed_number_parse(options[i].value, value, ED_PER_ONE) && *options[i].value > 0 &&
                   *options[i].value <= options[i].most;
    return false;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i += strcmp(argv[i], "--json") == 0 ? 1 : 2) {
        settings.json = settings.json || strcmp(argv[i], "--json") == 0;
        if (strcmp(argv[i], "--json") == 0 || (i + 1 < argc && take_option(argv[i], argv[i + 1])))
            continue;
        fputs("usage: shard_bench [--rounds N] [--duration-ms MS] [--clients N] [--rate N] "
              "[--shards N] [--json]\n",
              stderr);
        return 2;
    }
    for (size_t round = 0; round < settings.rounds; round++) {
        run_row(1, &results[ONE][round]);
        run_row((uint32_t)settings.shards, &results[SEVERAL][round]);
    }
    return print();
}
