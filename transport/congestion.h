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
    ED_MODEL_STARTUP = 0, /* looks for what the path holds, doubling it each round trip */
    ED_MODEL_DRAIN = 1,   /* the rest of the round that ended it */
    ED_MODEL_SETTLE = 2,  /* a round that left before that */
    ED_MODEL_CRUISE = 3,
    ED_MODEL_DIP = 4,   /* a round with less in flight, to see whose the queue is */
    ED_MODEL_JUDGE = 5, /* the round that shows it */
} ed_model_mode;

/** The state of the model-based controller: model.h. Sizes are bytes. */
typedef struct ed_model {
    uint64_t round_ns; /* since when the round runs */

    uint32_t window;        /* that may be in flight */
    uint32_t window_before; /* of the round before: what is acknowledged now left under it */
    uint32_t dip_at_ms;     /* the next one, at the latest; wraps, as do all of these */
    uint32_t doubt_at_ms; /* when others had gone, as it seemed, or (is_raised) the path had become
                             longer; 0: neither */
    uint32_t rate;        /* a second, that the path delivered lately */
    uint32_t base_us;     /* the round trip with an empty queue; ED_MODEL_NEVER_US: not known */

    uint32_t episode_window; /* what it was when the queue became long */
    uint32_t dip_window;     /* what it is to be after the dip */
    uint32_t dip_queue_us;   /* before the dip */
    uint32_t round_acked;
    uint32_t round_lost;
    uint32_t round_flight; /* the most in flight */
    uint32_t round_rtt_us; /* the least; ED_MODEL_NEVER_US: none */

    uint32_t queue_us; /* how long the last round's packets waited in the path */

    uint32_t datagram_size;
    uint16_t free_us;     /* of waiting that counts for nothing */
    uint16_t acked_us;    /* when the newest acknowledgement came; wraps */
    uint16_t round_lumps; /* times at which anything was acknowledged */
    uint16_t loss_part;   /* of 65,536: that is lost whatever we do */
    uint8_t mode;         /* ed_model_mode */
    uint8_t queue_rounds; /* in a row, with a long one */
    uint8_t since_dip;    /* rounds */
    uint8_t step;         /* doublings of our share, by which the window grows next */
    uint8_t part_count;   /* dips in a row in which the queue fell, but in part */
    uint8_t calm_rounds;  /* among others, in a row, without a queue */
    uint8_t spill_rounds; /* in a row */
    uint8_t acks;         /* STARTUP: in a row, of packets that had waited. DIP: that came in it */
    bool round_is_full;   /* nothing but window and pacing held us back */
    bool has_cut;         /* the window, for a loss in the round before */
    bool is_raised;       /* base_us, by a dip */
    bool is_crowded;      /* flows that heed nothing but loss share the path */
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

/** What a controller takes the path for; 0: it does not know. */
typedef struct ed_congestion_path {
    uint64_t rate;     /* bytes per second that it delivers */
    uint64_t rtt_ns;   /* the round trip with an empty queue */
    uint64_t queue_ns; /* how long what is sent waits in it */
} ed_congestion_path;

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
    ed_congestion_path (*path)(const ed_congestion *state, const ed_rtt *rtt);
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
