/** Network devices of our own, in namespaces of our own: nothing outside is touched. Needs root. */
#ifndef ED_BENCH_TUN_H
#define ED_BENCH_TUN_H

#include "core/base.h"

enum {
    ED_TUN_MTU = 1500,
};

/**
 * Moves this process to a new network namespace with one device in it, whose packets come out of
 * and go into the descriptor. Sockets opened from now on are there; older ones stay where they are.
 * @param host the last byte of the device's address, 10.77.0.host of a network of 24 bits.
 * @return the descriptor, not blocking; -1: `errno` says why.
 */
int ed_tun_enter(uint8_t host);

#endif
