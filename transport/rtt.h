/** The round-trip time of a path and what follows from it (RFC 9002 sections 5 and 6). */
#ifndef ED_RTT_H
#define ED_RTT_H

#include "core/base.h"

enum {
    /** What a path is taken for before its first sample; games play nearer than RFC 9002's 333. */
    ED_RTT_INITIAL_MS = 100,
    ED_RTT_INITIAL_VARIANCE_MS = 50,
    /** kGranularity: no timer is expected to be finer (RFC 9002 section 6.1.2). */
    ED_RTT_GRANULARITY_MS = 1,
    /** Larger samples count as this much, which keeps every sum here far from overflow. */
    ED_RTT_SAMPLE_MAX_S = 3600,
};

typedef struct ed_rtt {
    uint64_t latest_ns;   /* the newest sample, ack delay taken off; 0 before the first */
    uint64_t smoothed_ns; /* ack delay taken off */
    uint64_t variance_ns; /* mean deviation from smoothed_ns */
    uint64_t min_ns;      /* the least sample, ack delay included; 0 before the first */
    bool sampled;
} ed_rtt;

void ed_rtt_init(ed_rtt *rtt);

/**
 * Takes in the time from sending a packet to its acknowledgement (RFC 9002 section 5.3).
 * @param ack_delay_ns what the peer says it waited; the caller has limited it to what the peer may
 * wait. However long, it does not take the sample below min_ns.
 */
void ed_rtt_sample(ed_rtt *rtt, uint64_t sample_ns, uint64_t ack_delay_ns);

/** Forgets the minimum in favour of the newest sample, after persistent congestion (5.2). */
void ed_rtt_restart_min(ed_rtt *rtt);

/** The probe timeout without backoff (RFC 9002 section 6.2.1). */
uint64_t ed_rtt_pto_ns(const ed_rtt *rtt, uint64_t max_ack_delay_ns);

/**
 * How long packets wait on the path, as far as that cannot be what round trips vary by: jitter, or
 * the first one if the peer held the answer to it.
 */
uint64_t ed_rtt_queue_ns(const ed_rtt *rtt);

/** How much later than a packet another must have been sent and acked for it to be lost (6.1.2). */
uint64_t ed_rtt_loss_delay_ns(const ed_rtt *rtt);

/** Whether the figures can have come about. */
bool ed_rtt_valid(const ed_rtt *rtt);

#endif
