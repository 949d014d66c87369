/** Two managers in a world of virtual time, a client and a server, connected over one path. */
#ifndef ED_BENCH_PAIR_H
#define ED_BENCH_PAIR_H

#include "sim/world.h"
#include "tools/bench/bench.h"

typedef enum ed_pair_side {
    ED_PAIR_CLIENT = 0,
    ED_PAIR_SERVER = 1,
    ED_PAIR_SIDES = 2,
} ed_pair_side;

struct ed_pair;

typedef struct ed_pair_end {
    struct ed_pair *pair;
    ed_host *host;
    eddy_socket socket;
    eddy_entropy entropy;
    eddy_manager *manager;
    eddy_connection connection; /* 0: not yet, or no more */
} ed_pair_end;

typedef struct ed_pair {
    ed_world *world;
    uint8_t number; /* in its world */
    ed_pair_end ends[ED_PAIR_SIDES];
    /** Hears each message that comes to an end. */
    void (*message)(void *context, ed_pair_end *end, const eddy_event *event, uint64_t now_ns);
    void *context;
} ed_pair;

/** The path of a plan: its delay and its losses. */
ed_link_config ed_pair_path(const ed_bench_plan *plan);

/**
 * Opens both over the path and lets time pass until they are connected and nothing of it is on its
 * way. `message` and `context` are the caller's to set before.
 * @param config of both; its socket, entropy and `accept` are set here.
 * @return false: they did not connect. ed_pair_close is due in any case.
 */
bool ed_pair_open(ed_pair *pair, const eddy_config *config, const ed_link_config *path,
                  uint64_t seed);
void ed_pair_close(ed_pair *pair);

/** The same in a world that is there already, among pairs of other numbers; their time goes on. */
bool ed_pair_join(ed_pair *pair, ed_world *world, uint8_t number, const eddy_config *config);
void ed_pair_leave(ed_pair *pair);

/** Whether both ends have the other. */
bool ed_pair_connected(const ed_pair *pair);

/** Gives a message to an end's connection. @return false: it was refused. */
bool ed_pair_send(ed_pair_end *end, eddy_guarantee guarantee, uint8_t stream, const void *data,
                  size_t size);

/** What the link from the client to the server is. */
const ed_link *ed_pair_link(const ed_pair *pair);

#endif
