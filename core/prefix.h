/** Networks: which addresses are in one, and those that everybody knows. */
#ifndef ED_PREFIX_H
#define ED_PREFIX_H

#include "core/eddy.h"

/** Whether the family is known and has so many bits. */
bool ed_prefix_valid(const eddy_prefix *prefix);

bool ed_prefix_contains(const eddy_prefix *prefix, const eddy_address *address);

/** Whether it is of this machine itself. */
bool ed_addr_is_loopback(const eddy_address *address);

/** Whether nobody from elsewhere can have it: loopback, link-local, or private (RFC 1918, 4193). */
bool ed_addr_is_private(const eddy_address *address);

#endif
