/** Two processes, a server and a client, on a CPU each, and the page that they share. */
#ifndef ED_BENCH_DUEL_H
#define ED_BENCH_DUEL_H

#include <stdatomic.h>
#include <sys/types.h>

#include "tools/bench/bench.h"

/** Where a run stands. The client leads, the server follows. */
typedef enum ed_duel_phase {
    ED_DUEL_WARM = 0,
    ED_DUEL_MEASURE = 1, /* what is done now counts */
    ED_DUEL_DONE = 2,
} ed_duel_phase;

typedef enum ed_duel_side {
    ED_DUEL_SERVER = 0,
    ED_DUEL_CLIENT = 1,
    ED_DUEL_SIDES = 2,
} ed_duel_side;

/** What one side says of itself. */
typedef struct ed_duel_account {
    uint64_t cpu_begin_ns; /* user and system, of the process */
    uint64_t cpu_end_ns;
    uint64_t rss_begin; /* bytes resident before anyone connects */
    uint64_t rss_end;
    char error[ED_BENCH_ERROR_SIZE];
} ed_duel_account;

/** The page. Counters are the server's unless they say otherwise. */
typedef struct ed_duel {
    const ed_bench_work *work;
    const ed_bench_system *system;
    ed_bench_plan plan;
    atomic_int phase;
    atomic_uint port;      /* 0: the server does not listen yet */
    atomic_uint connected; /* peers that the server has */
    atomic_uint_fast64_t delivered;
    atomic_uint_fast64_t wrong; /* messages that are not the next, or not as they were sent */
    uint64_t begin_ns;          /* of what counts; the client's */
    uint64_t end_ns;
    uint64_t counts[8]; /* the work's own */
    ed_duel_account sides[ED_DUEL_SIDES];
} ed_duel;

/** What a side does; it ends by returning, or in ed_duel_fail. */
typedef void (*ed_duel_role)(ed_duel *duel);

/**
 * Runs both to their end. @return NULL, with `result->error` set, if one failed; else the page,
 * good until ed_duel_free.
 */
ed_duel *ed_duel_run(ed_bench_result *result, const ed_bench_work *work,
                     const ed_bench_system *system, const ed_bench_plan *plan, ed_duel_role server,
                     ed_duel_role client);
void ed_duel_free(ed_duel *duel);

/** Says why this side cannot go on, and ends its process. */
_Noreturn void ed_duel_fail(ed_duel *duel, ed_duel_side side, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** Listens, or ends. */
void *ed_duel_listen(ed_duel *duel, uint32_t clients, const ed_bench_sink *sink);

/** Waits until the server listens. @return its port; 0: it never will. */
uint16_t ed_duel_port(const ed_duel *duel);

/** Dials once the server listens, or ends; does not wait for the connection. */
void *ed_duel_dial(ed_duel *duel, const ed_bench_sink *sink);

/** Polls the host until it is connected, or ends. */
void ed_duel_await(ed_duel *duel, void *host);

/** The client: what is done from here on counts, or does not any more. */
void ed_duel_begin(ed_duel *duel);
void ed_duel_end(ed_duel *duel);

/** The server, between polls: keeps its account by the phase. @return false: the run is over. */
bool ed_duel_follow(ed_duel *duel);

/** Starts another process of that side, on its CPU, which ends with this one. @return -1: `errno`
 * says why there is none. */
pid_t ed_duel_fork(ed_duel *duel, ed_duel_side side, ed_duel_role role);

/** Waits for its end. If it failed, or never was there, so does this side. */
void ed_duel_join(ed_duel *duel, ed_duel_side side, pid_t pid);

/** CPU time of this process, user and system. */
uint64_t ed_duel_cpu_now_ns(void);

/** Bytes of this process that are resident. */
uint64_t ed_duel_resident(void);

/** CPU time in ns that both sides, or one, used while it counted. */
double ed_duel_cpu_ns(const ed_duel *duel);
double ed_duel_side_cpu_ns(const ed_duel *duel, ed_duel_side side);

/** How long what counted took. */
double ed_duel_seconds(const ed_duel *duel);

#endif
