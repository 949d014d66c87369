/** Ports of services that answer whatever they get: a stranger that seems to be one is bait. */
#ifndef ED_PORTS_H
#define ED_PORTS_H

#include <stdbool.h>
#include <stdint.h>

/**
 * Whether no reply may go to a stranger at this port. The sender of such a datagram is forged, so
 * that two servers answer each other for ever, or a reply hits a third.
 */
bool ed_port_is_blocked(uint16_t port);

#endif
