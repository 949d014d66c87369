/**
 * One direction of a network path. A datagram meets, in this order: partition, MTU, duplication,
 * then each copy: corruption, the bottleneck and its queue, loss, delay and jitter, a hold. Loss
 * comes behind the bottleneck, so that what is lost has used it, as on a radio. Everything follows
 * from (seed, link, direction, ordinal of the datagram, time, config). One thread at a time.
 */
#ifndef ED_SIM_LINK_H
#define ED_SIM_LINK_H

#include "core/eddy.h"
#include "sim/flight.h"

#define ED_LINK_DELAY_NS_MAX UINT64_C(60000000000)   /* of delay, jitter and hold, each */
#define ED_LINK_RATE_BPS_MAX UINT64_C(1000000000000) /* 1 Tbit/s */
#define ED_LINK_QUEUE_SIZE_MAX UINT64_C(1073741824)  /* 1 GiB */

enum {
    ED_LINK_WINDOWS_MAX = 8,
    ED_LINK_OVERHEAD_SIZE_MAX = 1024,
    ED_LINK_JITTER_CUT = 8, /* skewed jitter ends at this many times jitter_ns */
};

typedef enum ed_jitter {
    ED_JITTER_SKEWED = 0,  /* exponential: mean jitter_ns, median 0.7, 95 % 3.0, most 8 times it */
    ED_JITTER_UNIFORM = 1, /* 0 to jitter_ns */
} ed_jitter;

/** Nothing is taken in, and nothing arrives, from `from_ns` until just before `until_ns`. */
typedef struct ed_window {
    uint64_t from_ns;
    uint64_t until_ns;
} ed_window;

/** Probabilities are parts per million, of datagrams or, behind duplication, of copies. */
typedef struct ed_link_config {
    uint64_t delay_ns;
    uint64_t jitter_ns; /* added to delay_ns, never taken from it */
    ed_jitter jitter;
    bool keep_order;          /* jitter delays those behind, too, rather than being overtaken */
    uint32_t loss_ppm;        /* each by itself */
    uint32_t burst_start_ppm; /* Gilbert-Elliott p: from good to bad, per datagram */
    uint32_t burst_end_ppm;   /* r: from bad to good, so a burst lasts 1 / r datagrams */
    uint32_t burst_loss_ppm;  /* h: loss while bad */
    uint32_t gap_loss_ppm;    /* k: loss while good */
    uint32_t duplicate_ppm;
    uint32_t reorder_ppm; /* held back for reorder_extra_ns, so that others overtake */
    uint64_t reorder_extra_ns;
    uint32_t corrupt_ppm;   /* one bit of it is flipped */
    uint64_t rate_bps;      /* of the bottleneck; 0: there is none */
    uint32_t overhead_size; /* bytes that each datagram costs besides its own: 28 IPv4, 48 IPv6 */
    uint64_t queue_size;    /* bytes, overhead included, in or before the bottleneck */
    uint32_t mtu;           /* the largest datagram that passes */
    uint32_t window_count;
    ed_window windows[ED_LINK_WINDOWS_MAX];
} ed_link_config;

/** No delay, no fault, no bottleneck; bursts, where they are started, last 4 and lose everything.
 */
ed_link_config ed_link_config_default(void);

/** @return EDDY_OK, or EDDY_ECONFIG with the first bad field in `*field` (which may be NULL). */
EDDY_MUST_CHECK eddy_status ed_link_config_check(const ed_link_config *config, const char **field);

/** pushed + duplicated = passed + all that was dropped + in flight. */
typedef struct ed_link_stats {
    uint64_t pushed;
    uint64_t passed; /* copies handed out by ed_link_pull */
    uint64_t lost;
    uint64_t lost_burst;
    uint64_t duplicated;
    uint64_t reordered; /* copies in flight that were held back */
    uint64_t corrupted; /* copies in flight with a flipped bit */
    uint64_t queue_dropped;
    uint64_t partition_dropped;
    uint64_t mtu_dropped;
    uint64_t overflow_dropped; /* ED_FLIGHT_MAX in flight, or no memory */
} ed_link_stats;

typedef struct ed_link ed_link;

/**
 * @param link with `direction`: which of the streams that the seed holds.
 * @return NULL out of memory, or when the config does not pass its check.
 */
ed_link *ed_link_create(const eddy_allocator *allocator, const ed_link_config *config,
                        uint64_t seed, uint64_t link, uint32_t direction);
void ed_link_destroy(ed_link *link); /* NULL is fine */

/**
 * Puts a copy of the datagram, its addresses as they are, on the wire. `now_ns` never goes back.
 * False if the link lost or dropped it.
 */
bool ed_link_push(ed_link *link, const eddy_datagram *datagram, uint64_t now_ns);

/** When the next delivery is due, or UINT64_MAX when nothing is in flight. */
uint64_t ed_link_next_ns(const ed_link *link);

/**
 * Takes up to `count` datagrams that are due. Their data belong to the link and stay valid until
 * the next pull. What falls due while the link is cut is dropped here.
 */
size_t ed_link_pull(ed_link *link, uint64_t now_ns, eddy_datagram *datagrams, size_t count);

/** For what is pushed from now on. @return as ed_link_config_check; on failure nothing changes. */
EDDY_MUST_CHECK eddy_status ed_link_set_config(ed_link *link, const ed_link_config *config);
const ed_link_config *ed_link_get_config(const ed_link *link);

/** Cuts or mends the link, windows aside. */
void ed_link_block(ed_link *link, bool blocked);

/** How long a datagram pushed now would wait before the bottleneck. */
uint64_t ed_link_queue_ns(const ed_link *link, uint64_t now_ns);

/** Datagrams in flight. */
size_t ed_link_in_flight(const ed_link *link);
ed_link_stats ed_link_get_stats(const ed_link *link);

#endif
