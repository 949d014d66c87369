/**
 * A descriptor that says that something may have come, for threads that sleep in poll() and its
 * kind. It is made when it is first asked for, and rings only when somebody may sleep on it: after
 * the last look found nothing, and between the begin and the end of a sleep unless somebody keeps
 * the descriptor. So neither side makes a system call while the other is awake.
 *
 * All calls but ed_bell_is_loud hold the mutex of who makes things come.
 */
#ifndef ED_BELL_H
#define ED_BELL_H

#include <stdatomic.h>

#include "core/eddy.h"
#include "core/wake.h"

typedef enum ed_bell_state {
    ED_BELL_NONE = 0, /* nobody sleeps on the descriptor, if there is one: it is unreadable */
    ED_BELL_NUDGED,   /* the same, and whoever is about to sleep must not */
    ED_BELL_ARMED,    /* unreadable: the next ring makes it readable */
    ED_BELL_READABLE,
} ed_bell_state;

typedef struct ed_bell {
    ed_wake wake;
    _Atomic ed_bell_state state;
    bool is_kept;           /* by somebody who may sleep on it at any time */
    uint32_t sleeps;        /* that have begun and not ended */
    _Atomic uint64_t rings; /* writes to the descriptor */
} ed_bell;

void ed_bell_init(ed_bell *bell);
void ed_bell_destroy(ed_bell *bell);

/** Something came: readable until somebody looks and finds nothing. */
void ed_bell_ring(ed_bell *bell);

/** The same for what no look finds, and where nobody sleeps yet. */
void ed_bell_nudge(ed_bell *bell);

/** A look found nothing: unreadable. */
void ed_bell_hush(ed_bell *bell);

/** Whether a hush has anything to do. */
bool ed_bell_is_loud(const ed_bell *bell);

/** The descriptor, to keep: unreadable when it is made unless nudged. -1: the system refused. */
int ed_bell_fd(ed_bell *bell);

/**
 * The descriptor, for one sleep, which begins unless it was nudged.
 * @return EDDY_OK; or no sleep begins: EDDY_EAGAIN after a nudge or a ring, or EDDY_ESYSTEM.
 */
EDDY_MUST_CHECK eddy_status ed_bell_begin_sleep(ed_bell *bell, int *fd);
void ed_bell_end_sleep(ed_bell *bell);

#endif
