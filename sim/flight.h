/**
 * Datagrams on their way, ordered by (time, ordinal). Each is a copy in storage that is kept and
 * used again: once warm, nothing is allocated per datagram. One thread at a time.
 */
#ifndef ED_SIM_FLIGHT_H
#define ED_SIM_FLIGHT_H

#include "core/eddy.h"

enum {
    ED_DATAGRAM_SIZE_MAX = 65507, /* the most that UDP over IPv4 carries */
    ED_FLIGHT_MAX = 1 << 16,      /* datagrams in flight, or taken and not recycled */
};

typedef struct ed_flight ed_flight;

/** @return NULL out of memory. */
ed_flight *ed_flight_create(const eddy_allocator *allocator);
void ed_flight_destroy(ed_flight *flight); /* NULL is fine */

/**
 * Copies a datagram of at most ED_DATAGRAM_SIZE_MAX bytes in. An ordinal is used once.
 * @return the copy's bytes (never NULL for an empty datagram), to be altered at will before the
 * next call; NULL when ED_FLIGHT_MAX is reached or memory is out.
 */
uint8_t *ed_flight_push(ed_flight *flight, const eddy_datagram *datagram, uint64_t due_ns,
                        uint64_t ordinal);

/** When the first one is due, or UINT64_MAX. */
uint64_t ed_flight_next_ns(const ed_flight *flight);

/** Takes the first one if it is due; its data stay until ed_flight_recycle. */
bool ed_flight_take(ed_flight *flight, uint64_t now_ns, eddy_datagram *datagram, uint64_t *due_ns);

/** Takes back the storage of everything that was taken. */
void ed_flight_recycle(ed_flight *flight);

/** Datagrams that were pushed and not yet taken. */
size_t ed_flight_count(const ed_flight *flight);

#endif
