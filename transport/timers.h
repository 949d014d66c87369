/**
 * The deadlines of one connection. Callers state facts; this file decides what they mean.
 */
#ifndef ED_TIMERS_H
#define ED_TIMERS_H

#include "transport/limits.h"

typedef enum ed_timer {
    ED_TIMER_RESEND,    /* HELLO or INITIATE once more */
    ED_TIMER_RACE,      /* HELLO to the next address of a name */
    ED_TIMER_GIVE_UP,   /* the handshake took too long */
    ED_TIMER_CONTEST,   /* whose place a newcomer wants has had its time to answer */
    ED_TIMER_ACK,       /* an ACK must leave */
    ED_TIMER_RECOVERY,  /* a packet counts as lost, or a probe must leave */
    ED_TIMER_PACE,      /* the pacer lets the next packet go */
    ED_TIMER_PATH,      /* a candidate for the path has not answered */
    ED_TIMER_MTU,       /* a probe of the path's size may leave */
    ED_TIMER_KEEPALIVE, /* nothing was heard for keepalive_ms */
    ED_TIMER_IDLE,      /* nothing was heard for idle_timeout_ms */
    ED_TIMER_REST,      /* what a burst took may be given back, if none has followed */
    ED_TIMER_EXPIRE,    /* a message's time is over, sent or arriving in parts */
    ED_TIMER_FLUSH,     /* no more time to flush */
    ED_TIMER_CLOSE,     /* the next copy of CLOSE */
    ED_TIMER_DRAINED,   /* the closing, draining or refusing period is over */
    ED_TIMER_END,       /* the manager ends, and waits no longer; nothing but the end stops it */
    ED_TIMER_COUNT
} ed_timer;

typedef struct ed_timers {
    uint64_t at_ns[ED_TIMER_COUNT];
    uint32_t idle_ms;      /* 0: off */
    uint32_t keepalive_ms; /* 0: off */
    uint32_t resends;
} ed_timers;

/** Nothing is due. The intervals are as in eddy_config. */
void ed_timers_init(ed_timers *timers, uint32_t idle_timeout_ms, uint32_t keepalive_ms);

uint64_t ed_timers_next_ns(const ed_timers *timers);

/** Whether the deadline has come; if so it is taken off. */
bool ed_timers_take(ed_timers *timers, ed_timer timer, uint64_t now_ns);

/* The facts. */

/** What is remembered of packets has become large. */
void ed_timers_on_grown(ed_timers *timers, uint64_t now_ns);

/** A client starts; it gives up after `timeout_ns`. */
void ed_timers_on_greeting(ed_timers *timers, uint64_t timeout_ns, uint64_t now_ns);

/** HELLO goes to an address of a name. @param more others may be tried after it. */
void ed_timers_on_race(ed_timers *timers, bool more, uint64_t now_ns);

/**
 * HELLO or INITIATE left. The interval until it leaves again doubles, up to a second: so a few that
 * are lost cost little. While cookies are disputed it goes on to four seconds, longer than a round
 * trip, as each HELLO brings more of them.
 */
void ed_timers_on_request_sent(ed_timers *timers, bool is_disputed, uint64_t now_ns);

/** RETRY came: INITIATE starts with a short interval again. */
void ed_timers_on_retry(ed_timers *timers);

/** A server sent ACCEPT and waits for the client. */
void ed_timers_on_half_open(ed_timers *timers, uint64_t now_ns);

/** A newcomer waits until then whether the connection lives whose place it wants. */
void ed_timers_on_contest(ed_timers *timers, uint64_t until_ns);

/** The handshake is over. */
void ed_timers_on_connected(ed_timers *timers, uint64_t now_ns);

/** An authentic packet came. */
void ed_timers_on_heard(ed_timers *timers, uint64_t now_ns);

/** The program closes and gives `flush_ns` (may be 0) to what was accepted. */
void ed_timers_on_flushing(ed_timers *timers, uint64_t flush_ns, uint64_t now_ns);

/** We say CLOSE, in ED_CLOSE_COPIES copies, a `pto_ns` apart. */
void ed_timers_on_closing(ed_timers *timers, uint64_t pto_ns, uint64_t now_ns);

/** The peer said CLOSE. */
void ed_timers_on_draining(ed_timers *timers, uint64_t pto_ns, uint64_t now_ns);

/** We refused a newcomer, and say so again for `linger_ns` at most. A second call only hurries. */
void ed_timers_on_refusing(ed_timers *timers, uint64_t linger_ns, uint64_t now_ns);

/** The manager ends by `until_ns`. A second call only hurries. */
void ed_timers_on_shutdown(ed_timers *timers, uint64_t until_ns);

/** The connection is over. */
void ed_timers_on_closed(ed_timers *timers);

#endif
