/**
 * Spreads datagrams over time: a token bucket (RFC 9002 section 7.7). The bucket is counted in
 * billionths of a byte, of which a nanosecond brings exactly `rate`, so that nothing is rounded
 * and nothing drifts.
 */
#ifndef ED_PACER_H
#define ED_PACER_H

#include "core/base.h"

enum {
    ED_PACER_BURST_DATAGRAMS = 10,  /* the bucket holds this many datagrams, or */
    ED_PACER_BURST_US = 1000,       /* what the rate brings in this time, if that is more */
    ED_PACER_RATE_MAX_MBPS = 12500, /* in 10^6 bytes per second: 100 Gbit/s */
    ED_PACER_DATAGRAM_SIZE_MAX = 65536,
};

typedef struct ed_pacer {
    uint64_t rate;  /* bytes per second, at least 1 */
    int64_t burst;  /* the most that the bucket holds, in 10^-9 bytes */
    int64_t tokens; /* as of updated_ns, in 10^-9 bytes; below 0 after sending on credit */
    uint64_t updated_ns;
    uint32_t datagram_size;
} ed_pacer;

/** A full bucket. @param rate bytes per second, brought within 1 and 100 Gbit/s. */
void ed_pacer_init(ed_pacer *pacer, uint64_t rate, uint32_t datagram_size, uint64_t now_ns);

/** From now on another rate; what has gathered by now stays, as far as the new burst goes. */
void ed_pacer_set_rate(ed_pacer *pacer, uint64_t rate, uint64_t now_ns);

/**
 * The earliest time, to the nanosecond, at which a datagram of this size may leave: `now_ns` if it
 * may at once. A datagram larger than the burst may leave when the bucket is full.
 */
uint64_t ed_pacer_when_ns(const ed_pacer *pacer, size_t size, uint64_t now_ns);

/**
 * Takes a datagram that has left off the bucket. One that could not wait, such as a probe, may
 * leave on credit; the debt is at most one burst.
 */
void ed_pacer_spent(ed_pacer *pacer, size_t size, uint64_t now_ns);

#endif
