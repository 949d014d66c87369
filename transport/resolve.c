#include "transport/resolve.h"

#include <netdb.h>

#include "core/addr.h"
#include "core/base.h"
#include "transport/udp_address.h"

enum {
    HOST_SIZE = 256, /* a name of the DNS has at most 253 characters (RFC 1035 section 2.3.4) */
};

/** Copies the addresses of either family, with the port. @return how many. */
static size_t copy_found(const struct addrinfo *found, uint16_t port, eddy_address *addresses,
                         size_t capacity)
{
    size_t count = 0;

    for (; found != NULL && count < capacity; found = found->ai_next) {
        eddy_address address = ed_udp_address_read(found->ai_addr, found->ai_addrlen);
        if (address.family == EDDY_FAMILY_NONE)
            continue;
        address.port = port;
        addresses[count++] = address;
    }
    return count;
}

eddy_status ed_resolve(const char *host_port, eddy_address *addresses, size_t capacity,
                       size_t *count)
{
    char host[HOST_SIZE];
    uint16_t port = 0;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};

    ED_ASSERT(capacity > 0);
    *count = 0;
    if (eddy_address_parse(&addresses[0], host_port) == EDDY_OK) {
        *count = 1;
        return EDDY_OK;
    }
    if (ed_addr_split(host_port, host, sizeof host, &port) != EDDY_OK || host[0] == '\0')
        return EDDY_EADDRESS;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return EDDY_ERESOLVE;
    *count = copy_found(found, port, addresses, capacity);
    freeaddrinfo(found);
    return *count > 0 ? EDDY_OK : EDDY_ERESOLVE;
}
