/**
 * What `eddy bench` measures: works, each done by several systems in turn, and the figures that
 * come out. Client and server are two processes on a CPU each, so that what both cost is known.
 */
#ifndef ED_BENCH_H
#define ED_BENCH_H

#include <stdio.h>

#include "core/base.h"
#include "core/eddy.h"

enum {
    ED_BENCH_MESSAGE_MAX = 64 << 10,
    ED_BENCH_CLIENTS_MAX = 10000,
    ED_BENCH_FIGURES_MAX = 8,
    ED_BENCH_ERROR_SIZE = 160,
    ED_BENCH_KERNEL_BUFFER = 4 << 20, /* of each socket, each way, for every system alike */
    ED_BENCH_MEASURE_MS = 1000,
    ED_BENCH_CONNECT_MS = 10 * 1000, /* and whoever is not connected by then never will be */
};

/** Who hears what a host receives. Peers are numbered from 0, as they come; a client has one. */
typedef struct ed_bench_sink {
    void *context;
    void (*message)(void *context, uint32_t peer, const void *data, size_t size);
} ed_bench_sink;

/**
 * A system: its calls over a host, which is a socket with its connections. One thread. NULL from
 * `listen` or `dial`: `errno` says why.
 */
typedef struct ed_bench_system {
    const char *name;
    const char *help;
    const char *missing; /* why it cannot be measured here; NULL: it can */
    void *(*listen)(uint32_t clients, const ed_bench_sink *sink, uint16_t *port);
    void *(*dial)(uint16_t port, const ed_bench_sink *sink);
    uint32_t (*connected)(void *host); /* how many peers */
    /** @return false: there is no room now. */
    bool (*send)(void *host, uint32_t peer, bool reliable, const void *data, size_t size);
    /** The same for messages that lie one behind the other, in one call. NULL: it has no such.
     * @return how many of them went. */
    uint32_t (*send_many)(void *host, uint32_t peer, bool reliable, const void *data, size_t size,
                          uint32_t count);
    void (*flush)(void *host);
    /**
     * Receives, and does what is due; waits for a datagram for at most that long. A client's host
     * also sends what waits for a flush.
     */
    void (*poll)(void *host, uint32_t wait_ms);
    void (*close)(void *host);
    bool loses; /* nothing is sent again: what is reliable elsewhere may be missing */
} ed_bench_system;

extern const ed_bench_system *const ed_bench_systems[];
extern const size_t ed_bench_system_count;

extern const ed_bench_system ed_bench_eddy;          /* polled, AES-256-GCM where there is any */
extern const ed_bench_system ed_bench_eddy_chacha20; /* polled, ChaCha20-Poly1305 */
extern const ed_bench_system ed_bench_eddy_plain;    /* polled, without GSO and GRO */
extern const ed_bench_system ed_bench_eddy_pump;     /* with the thread of its own */
extern const ed_bench_system ed_bench_enet;
extern const ed_bench_system ed_bench_tcp;
extern const ed_bench_system ed_bench_udp;     /* datagrams of messages, nothing else: the limit */
extern const ed_bench_system ed_bench_udp_gso; /* the same with GSO and GRO */
extern const ed_bench_system ed_bench_eddy_reno; /* of L3 and L3-tcp alone */
extern const ed_bench_system ed_bench_bound;     /* of L1 alone: what cannot be beaten, */
extern const ed_bench_system ed_bench_fec;       /* and not by an error-correcting code */

/** What one run is asked for. */
typedef struct ed_bench_plan {
    uint32_t clients;    /* W4, W6 */
    uint32_t warm_ms;    /* before anything counts */
    uint32_t measure_ms; /* that counts */
    uint32_t tick_hz;    /* W4: of server and clients */
    bool per_packet;     /* W4: the server wakes for each datagram, not for each tick */
    bool busy;           /* W5: both ends poll without waiting */
    bool in_turn;        /* W6: each connect waits for the one before */
    uint32_t loss_ppm;   /* L1, and the rest: of the path */
    uint32_t burst;      /* datagrams that are lost in a row, on average; 0: each by itself */
    uint32_t rtt_us;
    uint32_t cut_ms; /* L3, L3-flows, L4: when the path ends, in virtual time; 0: never */
    bool both;       /* both ends send */
    eddy_congestion congestion;
    uint64_t seed; /* of this round */
    FILE *series;  /* L1, L3, L4, L5: single values, for plots; NULL: nobody wants them */
} ed_bench_plan;

/** What one run gave: a work's own figures, in the order of its names. */
typedef struct ed_bench_result {
    double figures[ED_BENCH_FIGURES_MAX];
    char error[ED_BENCH_ERROR_SIZE]; /* empty: none, and the figures are good */
} ed_bench_result;

typedef struct ed_bench_figure {
    const char *name;
    const char *unit;
} ed_bench_figure;

typedef struct ed_bench_work {
    const char *name;
    const char *help;
    ed_bench_figure figures[ED_BENCH_FIGURES_MAX]; /* the first is what systems are compared by */
    void (*run)(ed_bench_result *result, const struct ed_bench_work *work,
                const ed_bench_system *system, const ed_bench_plan *plan);
    size_t message_size;
    uint32_t outstanding; /* at most so many messages are on their way */
    bool reliable;
    /* Where nothing else is said: */
    uint32_t loss_ppm;
    uint32_t clients;
    uint32_t client_processes; /* that share the clients; 0: one */
    uint32_t measure_ms;       /* 0: ED_BENCH_MEASURE_MS */
    const char *peers;         /* NULL: all real ones that are not eddy */
    bool is_virtual; /* in virtual time, the same on every machine; otherwise on real sockets */
    bool is_alone;   /* on real sockets, but of eddy and those beside it alone */
    const ed_bench_system *beside[2]; /* which are of this work alone, if named */
    const struct ed_bench_work *real; /* the same in real time; NULL: none */
} ed_bench_work;

extern const ed_bench_work ed_bench_works[];
extern const size_t ed_bench_work_count;

/** The runs behind `run`. */
void ed_bench_run_stream(ed_bench_result *result, const ed_bench_work *work,
                         const ed_bench_system *system, const ed_bench_plan *plan);
void ed_bench_run_echo(ed_bench_result *result, const ed_bench_work *work,
                       const ed_bench_system *system, const ed_bench_plan *plan);
void ed_bench_run_scale(ed_bench_result *result, const ed_bench_work *work,
                        const ed_bench_system *system, const ed_bench_plan *plan);
void ed_bench_run_connect(ed_bench_result *result, const ed_bench_work *work,
                          const ed_bench_system *system, const ed_bench_plan *plan);
void ed_bench_run_idle(ed_bench_result *result, const ed_bench_work *work,
                       const ed_bench_system *system, const ed_bench_plan *plan);
void ed_bench_run_lossy(ed_bench_result *result, const ed_bench_work *work,
                        const ed_bench_system *system, const ed_bench_plan *plan);
void ed_bench_run_real(ed_bench_result *result, const ed_bench_work *work,
                       const ed_bench_system *system, const ed_bench_plan *plan);
void ed_bench_run_beside(ed_bench_result *result, const ed_bench_work *work,
                         const ed_bench_system *system, const ed_bench_plan *plan);
void ed_bench_run_bulk(ed_bench_result *result, const ed_bench_work *work,
                       const ed_bench_system *system, const ed_bench_plan *plan);
void ed_bench_run_flows(ed_bench_result *result, const ed_bench_work *work,
                        const ed_bench_system *system, const ed_bench_plan *plan);
void ed_bench_run_mixed(ed_bench_result *result, const ed_bench_work *work,
                        const ed_bench_system *system, const ed_bench_plan *plan);
void ed_bench_run_blackout(ed_bench_result *result, const ed_bench_work *work,
                           const ed_bench_system *system, const ed_bench_plan *plan);

#endif
