/**
 * A descriptor that says that something may have come, for threads that sleep in poll() and its
 * kind. It is made when it is first asked for, and rings only when somebody may sleep on it: after
 * the last look found nothing. So neither side makes a system call while there is always something.
 *
 * All calls but ed_bell_is_loud hold the mutex of who makes things come.
 */
#ifndef ED_BELL_H
#define ED_BELL_H

#include <stdatomic.h>

#include "core/eddy.h"
#include "core/wake.h"

typedef enum ed_bell_state {
    ED_BELL_NONE = 0, /* nobody ever asked for the descriptor */
    ED_BELL_NUDGED,   /* the same, and it has to be readable when it is made */
    ED_BELL_ARMED,    /* unreadable: the next ring makes it readable */
    ED_BELL_READABLE,
} ed_bell_state;

typedef struct ed_bell {
    ed_wake wake;
    _Atomic ed_bell_state state;
    _Atomic uint64_t rings; /* writes to the descriptor */
} ed_bell;

void ed_bell_init(ed_bell *bell);
void ed_bell_destroy(ed_bell *bell);

/** Something came: readable until somebody looks and finds nothing. */
void ed_bell_ring(ed_bell *bell);

/** The same for what no look finds, and where there is no descriptor yet. */
void ed_bell_nudge(ed_bell *bell);

/** A look found nothing: unreadable. */
void ed_bell_hush(ed_bell *bell);

/** Whether a hush has anything to do. */
bool ed_bell_is_loud(const ed_bell *bell);

/** The descriptor, which is made and unreadable unless nudged. -1: the system refused. */
int ed_bell_fd(ed_bell *bell);

#endif
