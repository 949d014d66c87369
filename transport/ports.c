#include "transport/ports.h"

#include "core/base.h"

bool ed_port_is_blocked(uint16_t port)
{
    static const uint16_t blocked[] = {
        0,     // nobody's
        7,     // echo
        17,    // quote of the day
        19,    // chargen
        53,    // DNS
        111,   // portmapper
        123,   // NTP
        137,   // NetBIOS names
        138,   // NetBIOS datagrams
        161,   // SNMP
        389,   // LDAP
        500,   // IKE
        520,   // RIP
        1900,  // SSDP
        5353,  // mDNS
        11211, // memcached
        20800, // Call of Duty
        27015, // Source engine
    };
    for (size_t i = 0; i < ED_COUNT(blocked); i++)
        if (blocked[i] == port)
            return true;
    return false;
}
