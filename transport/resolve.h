/** Host names to addresses. */
#ifndef ED_RESOLVE_H
#define ED_RESOLVE_H

#include "core/eddy.h"

/**
 * Finds the addresses of "HOST:PORT", in the order in which the system would try them. Digits are
 * read without asking anybody; a name may block for as long as the system's resolver takes.
 * @param capacity above 0; addresses beyond it are left out.
 * @return EDDY_OK with `*count` above 0; EDDY_EADDRESS (not HOST:PORT, or no host) or
 * EDDY_ERESOLVE, with `*count` 0.
 */
EDDY_MUST_CHECK eddy_status ed_resolve(const char *host_port, eddy_address *addresses,
                                       size_t capacity, size_t *count);

/**
 * Brings the addresses of a name into the order in which a socket bound to `local` tries them:
 * those that it cannot reach are left out, and the families take turns, as one of them may not work
 * here.
 * @return how many are left.
 */
size_t ed_resolve_choose(eddy_address *addresses, size_t count, const eddy_address *local);

#endif
