/**
 * Every refusal of what the network says goes through here, under a number of EDDY_CHECK_MAP: it is
 * counted for the manager whose poll it happens in, and a test build can switch each one off, to
 * see that a test notices.
 */
#ifndef ED_CHECK_H
#define ED_CHECK_H

#include "core/eddy.h"

/** From now on this thread counts here; NULL: nowhere. */
void ed_check_count_in(uint64_t *counts); /* EDDY_CHECK_COUNT of them */

/** Counts a refusal. */
void ed_check_refused(eddy_check check);

#ifdef ED_SWITCHABLE
extern eddy_check ed_check_off; /* that passes everything; 0: none. Set while nothing runs */
#define ED_CHECK_IS_OFF(check) ((check) == ed_check_off)
#else
#define ED_CHECK_IS_OFF(check) false
#endif

/** Whether what the network says passes; if not, it is counted. */
static inline bool ed_sec_check(eddy_check check, bool passes)
{
    if (passes || ED_CHECK_IS_OFF(check))
        return true;
    ed_check_refused(check);
    return false;
}

#define SEC_CHECK(check, condition) ed_sec_check((check), (condition))

#endif
