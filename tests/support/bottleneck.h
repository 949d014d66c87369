/**
 * Flows through one bottleneck, packet by packet: congestion controllers with a pacer and a round
 * trip estimate each, and nothing else of a connection. Loss comes behind the bottleneck.
 */
#ifndef ED_TEST_BOTTLENECK_H
#define ED_TEST_BOTTLENECK_H

#include "transport/congestion.h"
#include "transport/pacer.h"

enum {
    ED_FLOW_PACKET_SIZE = 1200,
    ED_FLOW_FLIGHT_MAX = 1 << 14, /* packets */
    ED_BOTTLENECK_FLOWS_MAX = 4,
};

typedef struct ed_flow_packet {
    uint64_t sent_ns;
    uint64_t acked_ns; /* or known to be lost */
    uint32_t size;
    bool is_lost;
} ed_flow_packet;

/** One sender. What comes before `ops` is its maker's. */
typedef struct ed_flow {
    eddy_congestion kind;
    uint64_t delay_ns; /* of its path beside the bottleneck's, both ways */
    uint64_t begin_ns;
    uint64_t tick_ns; /* it has `tick_size` bytes more to send each tick; 0: always enough */
    uint32_t tick_size;
    uint64_t rate_max;    /* of its pacer; 0: no cap */
    uint32_t packet_size; /* 0: ED_FLOW_PACKET_SIZE; what the controller is told is that even so */
    const ed_congestion_ops *ops;
    ed_congestion congestion;
    ed_pacer pacer;
    ed_rtt rtt;
    uint64_t in_flight;
    uint64_t has_size; /* still to send, with a tick */
    uint64_t next_tick_ns;
    bool app_limited;
    uint64_t acked; /* bytes, ever */
    uint64_t first; /* of the packets in flight */
    uint64_t end;
    ed_flow_packet packets[ED_FLOW_FLIGHT_MAX];
} ed_flow;

typedef struct ed_bottleneck {
    uint64_t rate;       /* bytes per second */
    uint64_t delay_ns;   /* both ways together */
    uint64_t queue_size; /* bytes; what does not fit is lost */
    uint32_t loss_ppm;
    uint64_t burst_every_ns; /* all is lost for a while; 0: never */
    uint64_t burst_ns;
    uint64_t random; /* its seed */
    uint64_t now_ns;
    uint64_t free_ns;  /* when it has sent all it holds */
    uint64_t overflow; /* packets that did not fit, ever */
    /* Since a test set them to 0. */
    uint64_t queue_max_ns;
    uint64_t queue_sum_ns; /* over the packets that came */
    uint64_t queue_count;
    ed_flow *flows[ED_BOTTLENECK_FLOWS_MAX];
    size_t flow_count;
} ed_bottleneck;

/** Sets a flow to its beginning. It must be the newest of at most ED_BOTTLENECK_FLOWS_MAX. */
void ed_bottleneck_add(ed_bottleneck *b, ed_flow *flow);

/** Lets time pass. What is on its way keeps the times it has when the path changes between. */
void ed_bottleneck_run(ed_bottleneck *b, uint64_t duration_ns);

#endif
