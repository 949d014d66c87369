/** A server in a virtual world, and one client of it that does not keep to the protocol. */
#ifndef ED_TEST_SIEGE_H
#define ED_TEST_SIEGE_H

#include "tests/support/cluster.h"
#include "tests/support/rogue.h"

typedef struct ed_siege {
    ed_cluster cluster;
    ed_node *server;
    ed_rogue rogue;
    eddy_connection connection; /* of the rogue, at the server */
    uint64_t memory_before;     /* that the server had taken once the rogue was connected */
    bool is_reading;            /* whether the server's program takes its events */
    uint64_t events;            /* that it has taken since */
    uint64_t delivered;         /* messages among them */
    uint64_t moves;
    bool has_ended;
    eddy_end end;
} ed_siege;

/** @param config of the server; NULL: the usual one. */
void ed_siege_open(ed_siege *siege, const char *name, uint64_t seed, const eddy_config *config);
void ed_siege_close(ed_siege *siege);

void ed_siege_run_for(ed_siege *siege, uint64_t duration_ns);

/** The server sends the rogue a message of so many zeros. @return what eddy_send_with says. */
eddy_status ed_siege_send(ed_siege *siege, eddy_guarantee guarantee, size_t size,
                          const eddy_send_options *options);

/** Waits a moment. @return whether the server has ended the connection for breaking the protocol.
 */
bool ed_siege_is_caught(ed_siege *siege);

/** Whether the server still has its client, and nothing was said against it. */
bool ed_siege_is_open(const ed_siege *siege);

/** Bytes that the server has taken since. */
uint64_t ed_siege_memory_taken(const ed_siege *siege);

/** How often the server has refused something under a check. */
uint64_t ed_siege_refused(const ed_siege *siege, eddy_check check);

#endif
