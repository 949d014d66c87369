/** In which order a name's addresses are tried. */
#include "tests/support/check.h"

#include "core/addr.h"
#include "core/base.h"
#include "transport/resolve.h"

enum { MAX = 8 };

static const uint8_t any[16];
static const uint8_t own[16] = {0x20, 0x01, 0x0d, 0xb8, 1};

/** Capital letters are IPv6, others IPv4; each letter is an address of its own. */
static eddy_address address_of(char letter)
{
    uint8_t ip[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)letter};

    return letter < 'a' ? ed_addr_ipv6(ip, 0, 9) : ed_addr_ipv4(192, 0, 2, (uint8_t)letter, 9);
}

static char letter_of(const eddy_address *address)
{
    return (char)address->ip[address->family == EDDY_FAMILY_IPV6 ? 15 : 3];
}

static void families_take_turns(void **state)
{
    const eddy_address dual = ed_addr_ipv6(any, 0, 1), six = ed_addr_ipv6(own, 0, 1);
    const eddy_address four = ed_addr_ipv4(0, 0, 0, 0, 1), unknown = {0};
    const struct {
        const char *name;
        const eddy_address *local;
        const char *found;
        const char *want;
    } rows[] = {
        {"none", &dual, "", ""},
        {"one", &dual, "a", "a"},
        {"in order", &dual, "abc", "abc"},
        {"in turns already", &dual, "AaBb", "AaBb"},
        {"IPv6 in front", &dual, "ABCabc", "AaBbCc"},
        {"IPv4 in front", &dual, "abcABC", "aAbBcC"},
        {"few of the other", &dual, "ABCDa", "AaBCD"},
        {"each family keeps its order", &dual, "ACbBa", "AbCaB"},
        {"a socket of IPv4", &four, "ABabC", "ab"},
        {"which reaches none", &four, "AB", ""},
        {"a socket of one IPv6 address", &six, "aAbB", "AB"},
        {"a socket that does not say", &unknown, "ABa", "AaB"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_address addresses[MAX];
        size_t count = strlen(rows[i].found);
        char got[MAX + 1] = {0};
        for (size_t n = 0; n < count; n++)
            addresses[n] = address_of(rows[i].found[n]);
        size_t left = ed_resolve_choose(addresses, count, rows[i].local);
        for (size_t n = 0; n < left; n++)
            got[n] = letter_of(&addresses[n]);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s: '%s' becomes '%s', want '%s'", rows[i].name, rows[i].found, got,
                     rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(families_take_turns)};
    return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
