/**
 * What the peer's clock says, and how far that may be from the truth. Each end asks in a packet
 * that leaves anyway, and is answered in one. When the answer comes, the peer's clock is at least
 * where it was when the answer left, and at most so much further than when the question came as has
 * passed here since that left. What is known lies where all these bounds meet; between answers they
 * move apart, as the two clocks may.
 */
#ifndef ED_PEER_CLOCK_H
#define ED_PEER_CLOCK_H

#include "transport/frame.h"

enum {
    ED_CLOCK_DRIFT_PPM = 500, /* two clocks differ in speed by no more */
    ED_CLOCK_EARLY_COUNT = 8, /* the first answers are to be had */
    ED_CLOCK_EARLY_MS = 100,  /* so soon one after the other, */
    ED_CLOCK_LATE_MS = 1000,  /* and the others so */
    ED_CLOCK_SLEW = 16,       /* what is told gains or loses one part in so many, */
    ED_CLOCK_STEP_MS = 1000,  /* but where it is wrong by more, it leaps ahead, or stands still */
};

/** Zeroed: it knows nothing. Differences of clocks wrap. */
typedef struct ed_peer_clock {
    uint64_t ahead_ns;    /* how far the peer's clock is ahead of ours, at least, */
    uint64_t at_ns;       /* as of then */
    uint64_t told_ns;     /* how far it was last told to be, */
    uint64_t told_at_ns;  /* and when */
    uint64_t asked_ns;    /* our newest question left */
    uint64_t owed_ns;     /* the peer's question came */
    uint32_t asked_in;    /* the packet that our question left in; low bits of its number */
    uint32_t owed_to;     /* the packet that the peer's came in */
    uint32_t width_ns;    /* how much further ahead it may be */
    uint8_t answer_count; /* up to ED_CLOCK_EARLY_COUNT */
    bool is_waiting;      /* our question has no answer yet */
    bool is_owed;         /* the peer's has none */
    bool is_told;
} ed_peer_clock;

static_assert(sizeof(ed_peer_clock) == 64, "every connection has one");

/** Whether a packet that leaves is to ask. @param patience_ns before an answer counts as lost. */
bool ed_peer_clock_asks(const ed_peer_clock *clock, uint64_t patience_ns, uint64_t now_ns);

/** A question left in the packet of that number. */
void ed_peer_clock_on_asked(ed_peer_clock *clock, uint64_t number, uint64_t now_ns);

/** The peer's question came in the packet of that number. Of several the last is answered. */
void ed_peer_clock_on_question(ed_peer_clock *clock, uint64_t number, uint64_t now_ns);

/** Makes the answer that is owed, and is not any more. `now_ns` is what it says. */
ed_time_frame ed_peer_clock_answer(ed_peer_clock *clock, uint64_t now_ns);

/** An answer came. What is none to our newest question changes nothing. */
void ed_peer_clock_on_answer(ed_peer_clock *clock, const ed_time_frame *answer, uint64_t now_ns);

/**
 * What the peer's clock says at `now_ns`; never less than it was said to be before.
 * @return false, with `*time` untouched, before the first answer.
 */
bool ed_peer_clock_tell(ed_peer_clock *clock, uint64_t now_ns, eddy_peer_time *time);

#endif
