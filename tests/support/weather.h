/** What networks and programs do to each other, drawn from a seed. */
#ifndef ED_TEST_WEATHER_H
#define ED_TEST_WEATHER_H

#include "sim/random.h"
#include "tests/support/cluster.h"

enum {
    ED_DRAWN_STREAMS = 8,
};

/** What a drawn world has in common. */
typedef struct ed_climate {
    size_t size_max; /* of messages */
    uint32_t idle_timeout_ms;
    uint8_t streams[ED_DRAWN_STREAMS]; /* that are used */
} ed_climate;

/** A number below `limit`, in one of `one_in` draws; otherwise 0. Both are drawn every time. */
uint32_t ed_draw_sometimes(ed_rng *rng, uint32_t one_in, uint32_t limit);

ed_climate ed_draw_climate(ed_rng *rng);

/** A server's or client's configuration: now and then with budgets as small as may be. */
eddy_config ed_draw_node_config(ed_rng *rng, const ed_climate *climate, bool accept);

/** Faults of all kinds, or few; partitions from `now_ns` on. */
ed_link_config ed_draw_link(ed_rng *rng, uint64_t now_ns);

/** Mostly small, now and then as large as may be; of any guarantee, with any options. */
ed_parcel ed_draw_parcel(ed_rng *rng, const ed_climate *climate);

eddy_stream_options ed_draw_stream_options(ed_rng *rng);

/**
 * The most memory that a manager with this configuration may take: its budgets, and what it needs
 * besides to keep track of what is in them. `connections` at a time.
 */
uint64_t ed_memory_allowed(const eddy_config *config, size_t connections);

#endif
