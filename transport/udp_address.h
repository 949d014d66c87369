/** Addresses as the system's socket calls want them. For udp_*.c and resolve.c alone. */
#ifndef ED_UDP_ADDRESS_H
#define ED_UDP_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "core/eddy.h"

typedef union ed_udp_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
} ed_udp_address;

/**
 * @param as_ipv6 whether IPv4 is written mapped into IPv6, as an IPv6 socket wants it.
 * @return the size of what was written.
 */
socklen_t ed_udp_address_write(ed_udp_address *to, const eddy_address *from, bool as_ipv6);

/** @return the address, a mapped one as IPv4; of family NONE if it is of neither family. */
eddy_address ed_udp_address_read(const struct sockaddr *from, socklen_t size);

/** The 16 bytes of the address in IPv6, IPv4 mapped. */
struct in6_addr ed_udp_address_ipv6(const eddy_address *address);

#endif
