/** Helpers on eddy_address; parse and print are public (core/eddy.h) and live in addr.c too. */
#ifndef ED_ADDR_H
#define ED_ADDR_H

#include "core/eddy.h"

eddy_address ed_addr_ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);

/** @param ip 16 bytes, network order; a mapped IPv4 address becomes IPv4. */
eddy_address ed_addr_ipv6(const uint8_t *ip, uint32_t scope, uint16_t port);

/**
 * Splits "HOST:PORT", "[HOST]:PORT" or ":PORT" (empty host); the host is copied without brackets.
 * @return EDDY_OK, or EDDY_EADDRESS with the outputs untouched.
 */
EDDY_MUST_CHECK eddy_status ed_addr_split(const char *text, char *host, size_t host_size,
                                          uint16_t *port);

/** Whether the family is known, and the unused parts are zero. */
bool ed_addr_valid(const eddy_address *address);

/** Whether it is none in particular: a socket bound to it has all of the machine's. */
bool ed_addr_is_any(const eddy_address *address);

/** Whether it means something only on one link (fe80::/10), with the scope that names it. */
bool ed_addr_is_link_local(const eddy_address *address);

#endif
