/**
 * Two connections in virtual time, and the datagrams that are on their way between them, of which
 * a test decides what becomes. One pair at a time; for fuzz targets: what should not be is
 * asserted.
 *
 * The handshake is made once: with ED_FUZZ_FAST every pair begins from a copy of the memory as it
 * was after it, so that there can be very many; without, each is made of memory of its own.
 */
#ifndef ED_TEST_PAIR_H
#define ED_TEST_PAIR_H

#include "tests/support/conn_bed.h"
#include "tests/support/talk.h"

enum {
    ED_PAIR_ENDS = 2,        /* 0 is the client */
    ED_PAIR_FLIGHT_MAX = 64, /* datagrams on their way in one direction */
    ED_PAIR_HELD_MAX = 4,
    ED_PAIR_PORT = 1000,
};

typedef struct ed_pair_flying {
    size_t size;
    uint16_t port; /* that it comes from */
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
} ed_pair_flying;

/** Datagrams on their way to one end: the first `count` places of `order`, each once in it. */
typedef struct ed_pair_flight {
    size_t count;
    uint8_t order[ED_PAIR_FLIGHT_MAX];
    ed_pair_flying places[ED_PAIR_FLIGHT_MAX];
} ed_pair_flight;

typedef struct ed_pair_end {
    ed_conn *conn;
    uint16_t port;
    size_t takes; /* larger datagrams towards it vanish */
    bool is_over; /* its program has heard so */
    uint64_t undelivered;
    ed_block *held[ED_PAIR_HELD_MAX]; /* by its program */
    ed_pair_flight flight;            /* towards it */
    ed_talk talk;                     /* what it says */
} ed_pair_end;

/** What is as it was after the handshake when a pair begins. */
typedef struct ed_pair_world {
    ed_conn_bed bed;
    ed_pool *send_pool;
    ed_conn conns[ED_PAIR_ENDS];
    uint64_t now_ns;
    uint64_t random;
} ed_pair_world;

extern ed_pair_world ed_pair;
extern ed_pair_end ed_pair_ends[ED_PAIR_ENDS];

/** Both are connected, and nothing is on its way. */
void ed_pair_begin(void);

/** Both are over, and nothing is held. */
void ed_pair_end_all(void);

ed_pair_end *ed_pair_other(const ed_pair_end *end);

bool ed_pair_is_open(const ed_pair_end *end);

/** How many are on their way, in both directions. */
size_t ed_pair_flying_count(void);

/** One on its way, by its place in line. */
ed_pair_flying *ed_pair_at(ed_pair_flight *flight, size_t i);

/** Takes it off the way. @return it, until 64 others have been sent. */
ed_pair_flying *ed_pair_take(ed_pair_flight *flight, size_t i);

void ed_pair_arrive(ed_pair_end *end, ed_pair_flying *flying);

/** All datagrams come, in order, until none is on its way. */
void ed_pair_let_all_come(void);

/** Does what is due, and sends. */
void ed_pair_serve(ed_pair_end *end);
void ed_pair_serve_all(void);

/** When something is due next. */
uint64_t ed_pair_next_ns(void);

/** Lets time pass, and serves both at every deadline on the way. */
void ed_pair_advance(uint64_t until_ns);

/** The program gives a message back. NULL is fine. */
void ed_pair_release(ed_pair_end *end, ed_block **held);

#endif
