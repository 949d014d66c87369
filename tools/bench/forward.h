/**
 * A path with faults between real sockets: what clients send to its port goes on to a server, from
 * a socket for each client, through the conditioner; and back. One thread: who opened it polls it.
 */
#ifndef ED_BENCH_FORWARD_H
#define ED_BENCH_FORWARD_H

#include "core/eddy.h"
#include "sim/link.h"

typedef struct ed_forward ed_forward;

/** @return NULL: no memory, or no socket. */
ed_forward *ed_forward_open(uint16_t server_port, const ed_link_config *path, uint64_t seed);
void ed_forward_close(ed_forward *forward); /* NULL is fine */

uint16_t ed_forward_port(const ed_forward *forward);

/** For what comes from now on, of all clients. @return false: no such path. */
bool ed_forward_set_path(ed_forward *forward, const ed_link_config *path);

/** Takes in what has come and sends on what is due. */
void ed_forward_poll(ed_forward *forward);

#endif
