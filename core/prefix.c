#include "core/prefix.h"

#include <string.h>

#include "core/base.h"

enum {
    IPV4_BITS = 32,
    IPV6_BITS = 128,
};

static size_t family_bits(uint8_t family)
{
    if (family == EDDY_FAMILY_IPV4)
        return IPV4_BITS;
    return family == EDDY_FAMILY_IPV6 ? IPV6_BITS : 0;
}

bool ed_prefix_valid(const eddy_prefix *prefix)
{
    size_t bits = family_bits(prefix->address.family);

    return bits > 0 && prefix->bits <= bits;
}

bool ed_prefix_contains(const eddy_prefix *prefix, const eddy_address *address)
{
    size_t whole = prefix->bits / 8;
    unsigned shift = 8 - prefix->bits % 8u;

    if (prefix->address.family != address->family ||
        memcmp(prefix->address.ip, address->ip, whole) != 0)
        return false;
    return shift == 8 || prefix->address.ip[whole] >> shift == address->ip[whole] >> shift;
}

static const eddy_prefix loopback[] = {
    {{.family = EDDY_FAMILY_IPV4, .ip = {127}}, 8},
    {{.family = EDDY_FAMILY_IPV6, .ip = {[15] = 1}}, 128},
};

static const eddy_prefix private[] = {
    {{.family = EDDY_FAMILY_IPV4, .ip = {10}}, 8},
    {{.family = EDDY_FAMILY_IPV4, .ip = {172, 16}}, 12},
    {{.family = EDDY_FAMILY_IPV4, .ip = {192, 168}}, 16},
    {{.family = EDDY_FAMILY_IPV4, .ip = {169, 254}}, 16},
    {{.family = EDDY_FAMILY_IPV6, .ip = {0xfc}}, 7},
    {{.family = EDDY_FAMILY_IPV6, .ip = {0xfe, 0x80}}, 10},
};

static bool is_in_any(const eddy_prefix *prefixes, size_t count, const eddy_address *address)
{
    for (size_t i = 0; i < count; i++)
        if (ed_prefix_contains(&prefixes[i], address))
            return true;
    return false;
}

bool ed_addr_is_loopback(const eddy_address *address)
{
    return is_in_any(loopback, ED_COUNT(loopback), address);
}

bool ed_addr_is_private(const eddy_address *address)
{
    return ed_addr_is_loopback(address) || is_in_any(private, ED_COUNT(private), address);
}
