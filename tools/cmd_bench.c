#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tools/bench/rounds.h"
#include "tools/commands.h"
#include "tools/options.h"

enum {
    PEERS_SIZE = 160,
    WORD_SIZE = 16,    /* for the name of a work */
    FILES_BESIDE = 64, /* descriptors beside the clients' */
    FILES_OF_CLIENT = 2,
    TICK_OF_W4_HZ = 60,
    LOSS_MAX_PPM = 500 * 1000,
    SECONDS_MAX = 600,
    /* Each work has its own: */
    LOSS_OF_WORK = LOSS_MAX_PPM + 1,
    CLIENTS_OF_WORK = ED_BENCH_CLIENTS_MAX + 1,
    MEASURE_OF_WORK = (SECONDS_MAX * ED_MS_PER_S) + 1,
    RTT_OF_L1_US = 50 * ED_US_PER_MS,
    RTT_MAX_US = 2000 * ED_US_PER_MS,
    BURST_MAX = 100,
};

struct arguments {
    const char *work;
    const char *peers;
    uint64_t repeat;
    uint64_t measure_ms;
    uint64_t warm_ms;
    uint64_t clients;
    uint64_t tick_hz;
    bool per_packet;
    bool wait;
    bool in_turn;
    uint64_t loss_ppm;
    uint64_t burst;
    uint64_t rtt_us;
    bool both;
    bool real;
    const char *series;
    bool json;
};

static const ed_bench_work *find_work(const char *name)
{
    for (size_t i = 0; i < ed_bench_work_count; i++)
        if (strcmp(ed_bench_works[i].name, name) == 0)
            return &ed_bench_works[i];
    return NULL;
}

static const ed_bench_system *find_system(const char *name)
{
    for (size_t i = 0; i < ed_bench_system_count; i++)
        if (strcmp(ed_bench_systems[i]->name, name) == 0)
            return ed_bench_systems[i];
    return NULL;
}

/** Adds one. @return false, having said why, if it cannot be measured. */
static bool add_system(ed_rounds *rounds, const char *name)
{
    const ed_bench_system *system = find_system(name);

    if (system == NULL) {
        fprintf(stderr, "eddy bench: no system is called %s\n", name);
        return false;
    }
    if (system->missing != NULL) {
        fprintf(stderr, "eddy bench: %s: %s\n", name, system->missing);
        return false;
    }
    const ed_bench_system *const *beside = rounds->work->beside;
    bool is_beside = system == beside[0] || system == beside[1];
    bool is_alone = rounds->work->is_virtual || rounds->work->is_alone;
    bool can = is_beside || (!is_alone && system->listen != NULL);
    if (system != &ed_bench_eddy && !can) {
        fprintf(stderr, "eddy bench: %s does not do %s\n", name, rounds->work->name);
        return false;
    }
    if (rounds->system_count == ED_ROUNDS_SYSTEMS_MAX) {
        fprintf(stderr, "eddy bench: more than %d systems\n", ED_ROUNDS_SYSTEMS_MAX);
        return false;
    }
    rounds->systems[rounds->system_count++] = system;
    return true;
}

/** Whether it is not here to be measured, which it says: nobody has asked for it by name. */
static bool is_left_out(const char *name)
{
    const ed_bench_system *system = find_system(name);

    if (system == NULL || system->missing == NULL)
        return false;
    fprintf(stderr, "eddy bench: %s is left out: %s\n", name, system->missing);
    return true;
}

/** eddy, and those in the list, in that order; where they are not `named`, those that are here. */
static bool add_systems(ed_rounds *rounds, const char *peers, bool named)
{
    char names[PEERS_SIZE];
    char *rest = names;

    if (strlen(peers) >= sizeof(names)) {
        fprintf(stderr, "eddy bench: --peers is too long\n");
        return false;
    }
    memcpy(names, peers, strlen(peers) + 1);
    if (!add_system(rounds, "eddy"))
        return false;
    for (char *name = strtok_r(names, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest))
        if (strcmp(name, "eddy") != 0 && (named || !is_left_out(name)) && !add_system(rounds, name))
            return false;
    return true;
}

/** So that there are descriptors for every client; who needs more than most says so as it dials. */
static bool raise_file_limit(const ed_bench_work *work, uint64_t clients)
{
    uint64_t processes = work->client_processes > 0 ? work->client_processes : 1;
    rlim_t wanted = (clients + processes - 1) / processes * FILES_OF_CLIENT + FILES_BESIDE;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return true;
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted)
        limit.rlim_max = wanted; // which root may
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return true;
    fprintf(stderr, "eddy bench: %llu clients need %llu open files: raise the limit (ulimit -n)\n",
            (unsigned long long)clients, (unsigned long long)wanted);
    return false;
}

/** A socket buffer smaller than asked for would lose what the limit is to be measured by. */
static bool check_kernel_buffers(void)
{
    static const char *const files[] = {"/proc/sys/net/core/rmem_max",
                                        "/proc/sys/net/core/wmem_max"};

    for (size_t i = 0; i < ED_COUNT(files); i++) {
        FILE *file = fopen(files[i], "re");
        unsigned long most = 0;
        if (file == NULL)
            continue;
        bool is_small = fscanf(file, "%lu", &most) == 1 && most < ED_BENCH_KERNEL_BUFFER;
        fclose(file);
        if (!is_small)
            continue;
        fprintf(stderr, "eddy bench: %s is %lu, less than %d: raise it (as root)\n", files[i], most,
                ED_BENCH_KERNEL_BUFFER);
        return false;
    }
    return true;
}

static void list(char *text, size_t size)
{
    size_t at = (size_t)snprintf(text, size,
                                 "Measures eddy, and others that do the same work, in turns.\n\n");

    for (size_t i = 0; i < ed_bench_work_count; i++)
        at += (size_t)snprintf(text + at, size - at, "  %-4s %s\n", ed_bench_works[i].name,
                               ed_bench_works[i].help);
    at += (size_t)snprintf(text + at, size - at, "\nSystems:\n");
    for (size_t i = 0; i < ed_bench_system_count; i++)
        at += (size_t)snprintf(text + at, size - at, "  %-14s %s\n", ed_bench_systems[i]->name,
                               ed_bench_systems[i]->help);
}

/** Runs all, with the series of single values in a file. @return NULL, or what failed. */
static const char *run_with_series(ed_rounds *rounds, const char *path)
{
    rounds->series = fopen(path, "we");
    if (rounds->series == NULL)
        return "the file of --series cannot be written";
    const char *error = ed_rounds_run(rounds, stderr);
    if (fclose(rounds->series) != 0 && error == NULL)
        error = "the file of --series is not whole";
    return error;
}

static int measure(const struct arguments *a, const ed_bench_work *work)
{
    static ed_rounds rounds;
    uint32_t own_ms = work->measure_ms > 0 ? work->measure_ms : ED_BENCH_MEASURE_MS;
    uint32_t measure_ms = a->measure_ms == MEASURE_OF_WORK ? own_ms : (uint32_t)a->measure_ms;

    rounds = (ed_rounds){
        .work = work,
        .count = a->repeat,
        .plan = {.clients = a->clients == CLIENTS_OF_WORK ? work->clients : (uint32_t)a->clients,
                 .warm_ms = (uint32_t)a->warm_ms,
                 .measure_ms = measure_ms,
                 .tick_hz = (uint32_t)a->tick_hz,
                 .per_packet = a->per_packet,
                 .busy = !a->wait,
                 .in_turn = a->in_turn,
                 .loss_ppm = a->loss_ppm == LOSS_OF_WORK ? work->loss_ppm : (uint32_t)a->loss_ppm,
                 .burst = (uint32_t)a->burst,
                 .rtt_us = (uint32_t)a->rtt_us,
                 .both = a->both}};
    const char *peers = a->peers != NULL      ? a->peers
                        : work->peers != NULL ? work->peers
                                              : "enet,tcp,udp,udp-gso";
    if (!add_systems(&rounds, peers, a->peers != NULL) ||
        !raise_file_limit(work, rounds.plan.clients) ||
        (!work->is_virtual && !check_kernel_buffers()))
        return ED_EXIT_FAILED;
    const char *error =
        a->series == NULL ? ed_rounds_run(&rounds, stderr) : run_with_series(&rounds, a->series);
    if (error != NULL) {
        fprintf(stderr, "eddy bench: %s\n", error);
        return ED_EXIT_FAILED;
    }
    (a->json ? ed_rounds_print_json : ed_rounds_print)(&rounds, stdout);
    return ED_EXIT_OK;
}

static const struct arguments defaults = {
    .repeat = 5,
    .warm_ms = 300,
    .measure_ms = MEASURE_OF_WORK,
    .clients = CLIENTS_OF_WORK,
    .tick_hz = TICK_OF_W4_HZ,
    .loss_ppm = LOSS_OF_WORK,
    .rtt_us = RTT_OF_L1_US,
};

/** @return the option that was given and that the work does not look at, or NULL. */
static const char *unused_option(const struct arguments *a)
{
    static const char paths[] = " L1 L3 L3-flows L3-tcp L4 L5 ";
    const struct {
        const char *name;
        bool is_given;
        const char *works; // that look at it
    } rows[] = {
        {"clients", !a->real && a->clients != defaults.clients, " W4 W6 idle "},
        {"tick", a->tick_hz != defaults.tick_hz, " W4 "},
        {"per-packet", a->per_packet, " W4 "},
        {"wait", a->wait, " W5 "},
        {"in-turn", a->in_turn, " W6 "},
        {"loss", a->loss_ppm != defaults.loss_ppm, paths},
        {"burst", a->burst != defaults.burst, paths},
        {"rtt", a->rtt_us != defaults.rtt_us, paths},
        {"both", a->both, " L1 L5 "},
        {"series", a->series != NULL, " L1 L3 L4 L5 "},
    };
    char word[WORD_SIZE];

    (void)snprintf(word, sizeof(word), " %s ", a->work);
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        if (rows[i].is_given && strstr(rows[i].works, word) == NULL)
            return rows[i].name;
    return NULL;
}

int cmd_bench(int argc, char **argv)
{
    static char summary[2048];
    struct arguments a = defaults;
    const ed_option options[] = {
        ED_TEXT("peers", "LIST", &a.peers, "beside eddy"),
        ED_NUMBER("repeat", "N", &a.repeat, ED_PER_ONE, 1, ED_ROUNDS_MAX, "rounds"),
        ED_NUMBER("seconds", "S", &a.measure_ms, ED_MS_PER_S, 100, SECONDS_MAX * ED_MS_PER_S,
                  "measured of each run [1], L1 --real [20]"),
        ED_NUMBER("warm", "S", &a.warm_ms, ED_MS_PER_S, 0, SECONDS_MAX * ED_MS_PER_S,
                  "before that"),
        ED_NUMBER("clients", "N", &a.clients, ED_PER_ONE, 1, ED_BENCH_CLIENTS_MAX,
                  "of W4, W6, idle [1000] and L1 --real [100]"),
        ED_NUMBER("tick", "HZ", &a.tick_hz, ED_PER_ONE, 1, TICK_OF_W4_HZ,
                  "W4: of server and clients"),
        ED_FLAG("per-packet", &a.per_packet, "W4: the server wakes for each datagram"),
        ED_FLAG("wait", &a.wait, "W5: both ends sleep until something comes"),
        ED_FLAG("in-turn", &a.in_turn, "W6: one after another, not all at once"),
        ED_NUMBER("loss", "PERCENT", &a.loss_ppm, ED_PPM_PER_PERCENT, 0, LOSS_MAX_PPM,
                  "L1, L3 [5], L4, L5 [0]: each way"),
        ED_NUMBER("burst", "N", &a.burst, ED_PER_ONE, 0, BURST_MAX,
                  "L1: lost in a row, on average"),
        ED_NUMBER("rtt", "MS", &a.rtt_us, ED_US_PER_MS, 0, RTT_MAX_US,
                  "L1, L3, L4, L5: round trip"),
        ED_FLAG("both", &a.both, "L1, L5: the server sends, too"),
        ED_FLAG("real", &a.real, "L1: over sockets and in real time, many clients"),
        ED_TEXT("series", "FILE", &a.series,
                "L1, L3-L5: single values of a round: NAME SECONDS MS"),
        ED_JSON_OPTION(&a.json),
    };
    const ed_usage usage = {.command = "eddy bench",
                            .summary = summary,
                            .example = "eddy bench W1 --peers enet,tcp --repeat 9",
                            .options = options,
                            .option_count = ED_COUNT(options),
                            .operand_name = "WORK",
                            .operand = &a.work};
    int exit_code;

    list(summary, sizeof(summary));
    if (!ed_options_parse(&usage, argc, argv, &exit_code))
        return exit_code;
    const ed_bench_work *work = find_work(a.work);
    if (work == NULL) {
        fprintf(stderr, "eddy bench: no work is called %s (eddy bench --help lists them)\n",
                a.work);
        return ED_EXIT_USAGE;
    }
    if (a.real && work->real == NULL) {
        fprintf(stderr, "eddy bench: %s is not done in another time\n", a.work);
        return ED_EXIT_USAGE;
    }
    const char *unused = unused_option(&a);
    if (unused != NULL) {
        fprintf(stderr, "eddy bench: %s does not look at --%s\n", a.work, unused);
        return ED_EXIT_USAGE;
    }
    return measure(&a, a.real ? work->real : work);
}
