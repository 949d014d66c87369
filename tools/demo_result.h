/** What a demonstration has shown: whether all went well, and its summary. */
#ifndef ED_TOOL_DEMO_RESULT_H
#define ED_TOOL_DEMO_RESULT_H

#include "tools/child.h"
#include "tools/line.h"
#include "tools/network.h"
#include "tools/runner.h"

/** Places among the children. */
enum {
    ED_DEMO_SERVER = 0,
    ED_DEMO_LARGE_CLIENT = 1, /* sends the large message; the other clients follow */
};

typedef struct ed_demo_options {
    uint64_t clients;
    uint64_t duration_ms;
    uint64_t rate;
    uint64_t size;
    uint64_t large;
    const char *guarantees;
    bool json;
    ed_network network;
} ed_demo_options;

typedef struct ed_demo {
    const ed_demo_options *options;
    char *program;
    ed_child *children; /* the server, then the clients */
    size_t count;       /* of all of them */
    ed_runner runner;
    ed_line line;
    uint64_t start_ns;
    bool is_running; /* all are started, and there is a line to show */
    ed_report sum;   /* of the clients */
} ed_demo;

/** Whether each promise to each client was kept, and every process ended well. */
bool ed_demo_is_kept(const ed_demo *demo);

/** @return an exit code: whether it could be printed. */
int ed_demo_print_text(const ed_demo *demo);
int ed_demo_print_json(const ed_demo *demo);

#endif
