/**
 * Congestion control as a table of calls over a state that is held by value, so that a connection
 * needs no memory for it and a controller can be exchanged. What counts is bytes in flight: those
 * of packets that are neither acknowledged nor lost.
 */
#ifndef ED_CONGESTION_H
#define ED_CONGESTION_H

#include "core/eddy.h"
#include "transport/rtt.h"

enum {
    ED_CONGESTION_INITIAL_DATAGRAMS = 10,
    ED_CONGESTION_INITIAL_SIZE = 14720, /* caps the above for large datagrams */
    ED_CONGESTION_MIN_DATAGRAMS = 2,
    /* So many may be in flight whatever a controller says: a game's ticks on a path that loses, but
       not for being full, must not wait for one another. BBR's least, too. */
    ED_CONGESTION_FLOOR_DATAGRAMS = 4,
    ED_CONGESTION_WINDOW_MAX = 64 << 20,
    ED_CONGESTION_DATAGRAM_SIZE_MAX = 65536,
};

/** The state of NewReno (RFC 9002 section 7 and appendix B). */
typedef struct ed_new_reno {
    uint64_t window;              /* bytes */
    uint64_t threshold;           /* bytes; slow start below, UINT64_MAX before the first loss */
    uint64_t acked;               /* bytes acknowledged towards the next datagram of growth */
    uint64_t recovery_until_ns;   /* packets sent before belong to a loss dealt with; 0: none */
    uint64_t persistent_until_ns; /* packets sent before may have been lost for it; 0: never */
    /* What the last reduction replaced, for the case that it was for nothing. */
    uint64_t undo_lost; /* bytes lost since that have not turned up; 0: nothing to undo */
    uint64_t undo_window;
    uint64_t undo_threshold;
    uint64_t undo_recovery_until_ns;
    uint32_t datagram_size;
} ed_new_reno;

/** What the model of a path goes through. */
typedef enum ed_model_mode {
    ED_MODEL_STARTUP = 0, /* looks for the rate, doubling it each round trip */
    ED_MODEL_DRAIN = 1,   /* lets the queue go that this made */
    ED_MODEL_CRUISE = 2,
} ed_model_mode;

/** The state of the model-based controller: model.c. Rates in bytes per second. */
typedef struct ed_model {
    uint64_t rates[2];      /* the best of the newest rounds, and of those before */
    uint64_t full_rate;     /* in STARTUP: what would have to be exceeded by a quarter */
    uint64_t rtt_min_ns;    /* ED_NEVER_NS: nothing is known */
    uint64_t rtt_min_at_ns; /* when it was seen */
    uint64_t round_ns;      /* since when the round runs */
    uint64_t round_acked;   /* bytes */
    uint64_t round_lost;
    uint64_t round_rtt_ns; /* the least of the round; ED_NEVER_NS: none */
    uint32_t datagram_size;
    uint8_t mode;         /* ed_model_mode */
    uint8_t phase;        /* of the cycle in CRUISE */
    uint8_t rate_rounds;  /* in rates[0] */
    uint8_t full_rounds;  /* without growth */
    uint8_t queue_rounds; /* with too much of it */
    uint8_t late_acks;    /* in a row, of packets that had waited */
    bool round_is_full;   /* nothing but window and pacing held us back */
    bool yields;          /* less is sent than the path takes */
    bool rtt_is_due;      /* to be seen again */
} ed_model;

typedef struct ed_congestion {
    union {
        ed_new_reno new_reno;
        ed_model model;
    };
} ed_congestion;

/** One packet in flight that has been acknowledged for the first time. */
typedef struct ed_congestion_ack {
    uint64_t sent_ns;
    uint64_t size;
    uint64_t in_flight_before; /* bytes, before the ACK frame was applied */
    uint64_t patience_ns; /* that the peer has waited for company, having this packet and more */
    bool app_limited;     /* we had nothing more to send: neither window nor pacing held us back */
} ed_congestion_ack;

typedef struct ed_congestion_ops {
    const char *name;
    void (*init)(ed_congestion *state, uint32_t datagram_size);
    /** A packet of `size` bytes left; `in_flight` includes it. */
    void (*on_sent)(ed_congestion *state, uint64_t size, uint64_t in_flight, uint64_t now_ns);
    /** Not for packets that were declared lost before: those are on_spurious. */
    void (*on_acked)(ed_congestion *state, const ed_congestion_ack *ack, const ed_rtt *rtt,
                     uint64_t now_ns);
    /** Packets of `size` bytes together are lost; the newest of them was sent at `sent_ns`. */
    void (*on_lost)(ed_congestion *state, uint64_t sent_ns, uint64_t size, uint64_t now_ns);
    /** Nothing at all got through for long (RFC 9002 section 7.6). Called after on_lost. */
    void (*on_persistent)(ed_congestion *state, uint64_t now_ns);
    /**
     * A packet declared lost was acknowledged after all. When all of a reduction's losses prove to
     * be such, the reduction is undone (in the spirit of RFC 4015). To be exact about it, on_lost
     * must have been called a packet at a time; otherwise fewer reductions are undone.
     */
    void (*on_spurious)(ed_congestion *state, uint64_t sent_ns, uint64_t size, uint64_t now_ns);
    /** How many bytes may be in flight. */
    uint64_t (*window)(const ed_congestion *state);
    /** Bytes per second to send at, at least 1; for ed_pacer_set_rate. */
    uint64_t (*pacing_rate)(const ed_congestion *state, const ed_rtt *rtt);
} ed_congestion_ops;

/** @return the calls of a controller, or NULL if there is none of that kind. Static. */
const ed_congestion_ops *ed_congestion_ops_of(eddy_congestion kind);

/** The window that a path starts with (RFC 9002 section 7.2). */
uint64_t ed_congestion_initial_window(uint32_t datagram_size);

/** The rate that sends a window in 4/5 of the smoothed round trip (RFC 9002 section 7.7). */
uint64_t ed_congestion_window_rate(uint64_t window, const ed_rtt *rtt);

extern const ed_congestion_ops ed_new_reno_ops;
extern const ed_congestion_ops ed_model_ops;

#endif
