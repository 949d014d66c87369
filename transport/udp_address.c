#include "transport/udp_address.h"

#include <arpa/inet.h>
#include <string.h>

#include "core/addr.h"
#include "core/base.h"

enum {
    IPV4_SIZE = 4,
    MAPPED_AT = 12, /* where IPv4 begins in ::ffff:0:0/96 */
};

struct in6_addr ed_udp_address_ipv6(const eddy_address *address)
{
    struct in6_addr ip = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    static_assert(sizeof ip.s6_addr == sizeof address->ip, "both hold an IPv6 address");
    if (address->family == EDDY_FAMILY_IPV4)
        memcpy(ip.s6_addr + MAPPED_AT, address->ip, IPV4_SIZE);
    else
        memcpy(ip.s6_addr, address->ip, sizeof ip.s6_addr);
    return ip;
}

socklen_t ed_udp_address_write(ed_udp_address *to, const eddy_address *from, bool as_ipv6)
{
    ED_ASSERT(from->family == EDDY_FAMILY_IPV4 || from->family == EDDY_FAMILY_IPV6);
    memset(to, 0, sizeof *to);
    if (from->family == EDDY_FAMILY_IPV4 && !as_ipv6) {
        to->ipv4.sin_family = AF_INET;
        to->ipv4.sin_port = htons(from->port);
        memcpy(&to->ipv4.sin_addr, from->ip, IPV4_SIZE);
        return sizeof to->ipv4;
    }
    to->ipv6.sin6_family = AF_INET6;
    to->ipv6.sin6_port = htons(from->port);
    to->ipv6.sin6_addr = ed_udp_address_ipv6(from);
    to->ipv6.sin6_scope_id = from->scope;
    return sizeof to->ipv6;
}

eddy_address ed_udp_address_read(const struct sockaddr *from, socklen_t size)
{
    ed_udp_address address = {0};

    // Copied, because what getaddrinfo and the kernel hand over need not be aligned for us.
    memcpy(&address, from, ed_min_size(size, sizeof address));
    if (size >= sizeof address.ipv4 && address.any.sa_family == AF_INET) {
        uint8_t ip[IPV4_SIZE];
        memcpy(ip, &address.ipv4.sin_addr, sizeof ip);
        return ed_addr_ipv4(ip[0], ip[1], ip[2], ip[3], ntohs(address.ipv4.sin_port));
    }
    if (size >= sizeof address.ipv6 && address.any.sa_family == AF_INET6)
        return ed_addr_ipv6(address.ipv6.sin6_addr.s6_addr, address.ipv6.sin6_scope_id,
                            ntohs(address.ipv6.sin6_port));
    return (eddy_address){.family = EDDY_FAMILY_NONE};
}
