/**
 * Decides which packets were received and which are lost (RFC 9002 section 6), over the log of
 * sent packets. It owns the state of the packets there; what an acknowledgement or a loss means
 * for messages and for congestion control is the caller's part.
 *
 * On an ACK frame: for each range, newest first, ed_loss_on_ack_range, ed_loss_next_acked until
 * false, ed_loss_end_acks; then the round-trip sample; then ed_loss_detect, ed_loss_next_lost
 * until false; then ed_loss_take_persistent and ed_loss_trim. When ed_loss_deadline_ns has come:
 * ed_loss_detect if ed_loss_due, otherwise ed_loss_on_probe_timeout and sending a probe.
 */
#ifndef ED_LOSS_H
#define ED_LOSS_H

#include "transport/limits.h"
#include "transport/rtt.h"
#include "transport/sent.h"

enum {
    ED_LOSS_PACKET_THRESHOLD = 3, /* kPacketThreshold (RFC 9002 section 6.1.1) */
    /* How long a lost packet is remembered, in case it was only late: until it is this much older
       than the newest acknowledged, or was sent this many probe timeouts ago. */
    ED_LOSS_REMEMBER_PACKETS = 1024,
    ED_LOSS_REMEMBER_PTOS = 3,
    ED_LOSS_PERSISTENT_PTOS = 3, /* kPersistentCongestionThreshold (section 7.6.1) */
    /* Backed-off probes while somebody waits for data: how far apart, and until when. */
    ED_LOSS_PROBE_EARLY_MS = 60, /* or a round trip, if that is longer */
    ED_LOSS_PROBE_EARLY_FOR_S = 5,
    ED_LOSS_PROBE_LATE_MS = 1000, /* or a round trip */
    ED_LOSS_BACKOFF_MAX = 16,     /* doublings */
};

typedef struct ed_loss {
    uint64_t largest_acked;    /* if any_acked */
    uint64_t loss_time_ns;     /* when the oldest suspect is lost; ED_NEVER_NS: there is none */
    uint64_t in_flight;        /* bytes */
    uint64_t probes_in_flight; /* of these, those of probes: no window is asked about them */
    uint64_t last_ack_eliciting_sent_ns;
    uint64_t last_prompt_sent_ns;
    uint64_t probing_since_ns; /* when the first probe without an answer fell due */
    uint64_t first_ack_ns; /* losses before we knew the path do not make persistent congestion */
    uint64_t scan_from;    /* nothing below can be declared lost any more */
    uint32_t ack_eliciting_in_flight; /* packets */
    uint32_t prompt_in_flight;        /* of these, the ones that are acknowledged with haste */
    uint32_t pto_count;               /* probe timeouts without an answer */
    bool any_acked;
    bool any_run;
    /* The newest run of ack-eliciting packets lost with none acknowledged between them. */
    uint64_t run_first;
    uint64_t run_last;
    uint64_t run_first_ns;
    uint64_t run_last_ns;
    uint64_t visit_count; /* packets looked at, ever: what acknowledging has cost. For tests */
} ed_loss;

/** A walk over one range of an ACK frame. */
typedef struct ed_loss_acks {
    ed_loss *loss;
    ed_sent_log *log;
    uint64_t first; /* numbers from here */
    uint64_t end;   /* up to here, without, are still to be looked at */
    uint64_t now_ns;
    eddy_status status;
    bool any; /* something was acknowledged for the first time */
} ed_loss_acks;

/** A walk over what is newly lost. */
typedef struct ed_loss_losses {
    ed_loss *loss;
    ed_sent_log *log;
    uint64_t now_ns;
    uint64_t delay_ns;
    bool gives_up; /* everything in flight is lost, whatever its age */
} ed_loss_losses;

void ed_loss_init(ed_loss *loss);

/** Takes account of a packet that was just pushed to the log. */
void ed_loss_on_sent(ed_loss *loss, const ed_sent *packet);

/** Begins with a range of an ACK frame, `first` to `last` included, as the network said it. */
ed_loss_acks ed_loss_on_ack_range(ed_loss *loss, ed_sent_log *log, uint64_t first, uint64_t last,
                                  uint64_t now_ns);

/**
 * Gives the next packet that was not acknowledged before, from the newest down. One with
 * ED_SENT_WAS_LOST had been declared lost wrongly. The packet is valid until the log changes.
 * A range costs as many steps as it has new packets, and one for each run of old ones.
 * @return false at the end, `*packet` untouched.
 */
bool ed_loss_next_acked(ed_loss_acks *acks, ed_sent **packet);

/**
 * Ends the walk.
 * @return EDDY_OK, or EDDY_EPROTO: the peer acknowledged what was never sent. What was given so far
 * was given; the connection is to be closed.
 */
EDDY_MUST_CHECK eddy_status ed_loss_end_acks(ed_loss_acks *acks);

/** Begins to look for packets that are lost by now. The walk must be taken to its end. */
ed_loss_losses ed_loss_detect(ed_loss *loss, ed_sent_log *log, const ed_rtt *rtt, uint64_t now_ns);

/**
 * Begins to declare all lost that is in flight: the path that it took is left. That says nothing
 * about congestion, and the probe timeout starts without backoff. To be walked to its end, too.
 */
ed_loss_losses ed_loss_give_up(ed_loss *loss, ed_sent_log *log, uint64_t now_ns);

/** Gives the next packet declared lost, oldest first; false at the end. */
bool ed_loss_next_lost(ed_loss_losses *losses, ed_sent **packet);

/**
 * Whether the losses since the last call amount to persistent congestion (section 7.6); said once.
 */
bool ed_loss_take_persistent(ed_loss *loss, const ed_rtt *rtt, uint64_t max_ack_delay_ns);

/** Drops what need not be remembered. */
void ed_loss_trim(const ed_loss *loss, ed_sent_log *log, const ed_rtt *rtt,
                  uint64_t max_ack_delay_ns, uint64_t now_ns);

/**
 * When there is something to do, or ED_NEVER_NS (section 6.2.1). The probe timeout is that of the
 * newest packet with ED_SENT_PROMPT, so it is no later for the unreliable ones behind it; where
 * only those are in flight, it knows of the peer's patience. Each probe has ED_SENT_PROMPT.
 * @param clamp whether reliable data are unacknowledged: then the probes after the first stay
 * within ED_LOSS_PROBE_EARLY_MS or a smoothed round trip of each other for 5 s, then within 1 s or
 * a round trip; otherwise each waits twice as long as the one before.
 */
uint64_t ed_loss_deadline_ns(const ed_loss *loss, const ed_rtt *rtt, bool clamp);

/** Whether the deadline, which has come, is that of a suspect and not a probe timeout. */
bool ed_loss_due(const ed_loss *loss, uint64_t now_ns);

/** A probe timeout has come; the caller now sends a probe. */
void ed_loss_on_probe_timeout(ed_loss *loss, uint64_t now_ns);

/** Whether the sums agree with the log. Looks at every packet. */
bool ed_loss_valid(const ed_loss *loss, const ed_sent_log *log);

#endif
