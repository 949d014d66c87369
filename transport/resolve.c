#include "transport/resolve.h"

#include <netdb.h>
#include <string.h>

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

/** An IPv6 socket of no address in particular reaches IPv4, too. */
static bool can_reach(const eddy_address *local, const eddy_address *remote)
{
    return local->family == EDDY_FAMILY_NONE || local->family == remote->family ||
           (local->family == EDDY_FAMILY_IPV6 && ed_addr_is_any(local));
}

/** Moves the first from `at` on that is of another family than the one before it there. */
static void bring_other_family(eddy_address *addresses, size_t at, size_t count)
{
    size_t from = at;

    while (from < count && addresses[from].family == addresses[at - 1].family)
        from++;
    if (from == count)
        return;
    eddy_address other = addresses[from];
    memmove(&addresses[at + 1], &addresses[at], (from - at) * sizeof(other));
    addresses[at] = other;
}

size_t ed_resolve_choose(eddy_address *addresses, size_t count, const eddy_address *local)
{
    size_t left = 0;

    for (size_t i = 0; i < count; i++)
        if (can_reach(local, &addresses[i]))
            addresses[left++] = addresses[i];
    for (size_t i = 1; i < left; i++)
        bring_other_family(addresses, i, left);
    return left;
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
