#include "core/addr.h"

#include <string.h>

#include "core/base.h"
#include "core/writer.h"

enum {
    IPV4_SIZE = 4,
    IPV6_SIZE = 16,
    GROUP_SIZE = 2, /* of the eight that IPv6 is written in */
    GROUP_COUNT = IPV6_SIZE / GROUP_SIZE,
    NO_GAP = IPV6_SIZE + 1, /* no "::" */
};

static_assert(sizeof(eddy_address) == 24, "equality compares bytes, so there is no padding");

static const uint8_t mapped_prefix[IPV6_SIZE - IPV4_SIZE] = {[10] = 0xff, [11] = 0xff};

static bool link_local(const uint8_t *ip)
{
    return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80; // fe80::/10
}

static bool mapped(const uint8_t *ip)
{
    return memcmp(ip, mapped_prefix, sizeof(mapped_prefix)) == 0; // ::ffff:0:0/96
}

eddy_address ed_addr_ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    return (eddy_address){.ip = {a, b, c, d}, .port = port, .family = EDDY_FAMILY_IPV4};
}

eddy_address ed_addr_ipv6(const uint8_t *ip, uint32_t scope, uint16_t port)
{
    if (mapped(ip))
        return ed_addr_ipv4(ip[12], ip[13], ip[14], ip[15], port);

    eddy_address address = {.port = port, .family = EDDY_FAMILY_IPV6};
    memcpy(address.ip, ip, IPV6_SIZE);
    address.scope = link_local(ip) ? scope : 0;
    return address;
}

bool ed_addr_valid(const eddy_address *address)
{
    static const uint8_t zeros[IPV6_SIZE - IPV4_SIZE];
    const uint8_t *ip = address->ip;

    if (address->reserved != 0)
        return false;
    if (address->family == EDDY_FAMILY_IPV4)
        return address->scope == 0 && memcmp(ip + IPV4_SIZE, zeros, sizeof(zeros)) == 0;
    if (address->family != EDDY_FAMILY_IPV6 || mapped(ip))
        return false;
    return address->scope == 0 || link_local(ip);
}

bool ed_addr_is_any(const eddy_address *address)
{
    static const uint8_t any[sizeof(address->ip)];

    return memcmp(address->ip, any, sizeof(any)) == 0;
}

bool ed_addr_is_link_local(const eddy_address *address)
{
    return address->family == EDDY_FAMILY_IPV6 && link_local(address->ip);
}

bool eddy_address_equal(const eddy_address *a, const eddy_address *b)
{
    const uint8_t *left = (const uint8_t *)a, *right = (const uint8_t *)b;
    uint64_t differs = 0;

    // Each packet is asked for its sender; the library's call costs more than its work.
    for (size_t i = 0; i < sizeof(*a); i += sizeof(differs))
        differs |= ed_load_u64(left + i) ^ ed_load_u64(right + i);
    return differs == 0;
}

/* Reading: each function moves `*at` past what it took, and what it leaves there on failure is of
 * no use to anybody. The NUL at the end is a character that nothing takes. */

static bool take(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    ++*at;
    return true;
}

/** @return 0-9, or -1. */
static int decimal_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : -1;
}

/** @return 0-15, or -1. */
static int hex_digit(char c)
{
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : decimal_digit(c);
}

/** A decimal number up to `max`, written without leading zeros. */
static bool take_decimal(const char **at, uint32_t max, uint32_t *number)
{
    uint64_t value = 0;
    int digit = decimal_digit(**at);

    if (digit < 0 || (digit == 0 && decimal_digit((*at)[1]) >= 0))
        return false;
    for (; digit >= 0; digit = decimal_digit(**at)) {
        value = value * 10 + (uint64_t)digit;
        if (value > max)
            return false;
        ++*at;
    }
    *number = (uint32_t)value;
    return true;
}

static bool take_port(const char **at, uint16_t *port)
{
    uint32_t number;

    if (!take(at, ':') || !take_decimal(at, UINT16_MAX, &number) || **at != '\0')
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool take_ipv4(const char **at, uint8_t *ip)
{
    for (size_t i = 0; i < IPV4_SIZE; i++) {
        uint32_t number;
        if ((i > 0 && !take(at, '.')) || !take_decimal(at, UINT8_MAX, &number))
            return false;
        ip[i] = (uint8_t)number;
    }
    return true;
}

/** IPv6 on its way from text to bytes. */
struct groups {
    uint8_t bytes[IPV6_SIZE];
    size_t size; /* of the bytes so far, without what "::" stands for */
    size_t gap;  /* where "::" stood in them, or NO_GAP */
};

/** One to four hexadecimal digits. */
static bool take_group(const char **at, struct groups *groups)
{
    unsigned value = 0;
    int count = 0;

    if (groups->size + GROUP_SIZE > IPV6_SIZE)
        return false;
    for (int digit = hex_digit(**at); digit >= 0; digit = hex_digit(**at)) {
        if (++count > 4)
            return false;
        value = value << 4 | (unsigned)digit;
        ++*at;
    }
    groups->bytes[groups->size++] = (uint8_t)(value >> 8);
    groups->bytes[groups->size++] = (uint8_t)value;
    return count > 0;
}

/** Whether the digits here are the first of an IPv4 address. */
static bool at_dotted(const char *at)
{
    while (decimal_digit(*at) >= 0)
        at++;
    return *at == '.';
}

/** The last 32 bits may be written as IPv4 (RFC 4291 section 2.2). */
static bool take_ipv4_tail(const char **at, struct groups *groups)
{
    if (groups->size + IPV4_SIZE > IPV6_SIZE)
        return false;
    uint8_t *tail = groups->bytes + groups->size;
    groups->size += IPV4_SIZE;
    return take_ipv4(at, tail);
}

/** What stands between the brackets, up to a scope. */
static bool take_groups(const char **at, struct groups *groups)
{
    bool more = true; // a group must follow

    if ((*at)[0] == ':' && (*at)[1] == ':') {
        *at += 2;
        groups->gap = 0;
        more = hex_digit(**at) >= 0;
    }
    while (more) {
        if (at_dotted(*at))
            return take_ipv4_tail(at, groups);
        if (!take_group(at, groups))
            return false;
        more = take(at, ':');
        if (more && take(at, ':')) {
            if (groups->gap != NO_GAP)
                return false; // it would not be clear how long each is
            groups->gap = groups->size;
            more = hex_digit(**at) >= 0;
        }
    }
    return true;
}

/** Puts the zeros of "::" in. */
static bool take_ipv6(const char **at, uint8_t *ip)
{
    struct groups groups = {.gap = NO_GAP};

    if (!take_groups(at, &groups))
        return false;
    if (groups.gap == NO_GAP) {
        memcpy(ip, groups.bytes, IPV6_SIZE);
        return groups.size == IPV6_SIZE;
    }
    size_t tail_size = groups.size - groups.gap;
    memset(ip, 0, IPV6_SIZE);
    memcpy(ip, groups.bytes, groups.gap);
    memcpy(ip + IPV6_SIZE - tail_size, groups.bytes + groups.gap, tail_size);
    return groups.size < IPV6_SIZE; // "::" stands for one group at least
}

static bool parse_ipv4(const char *at, eddy_address *address)
{
    uint8_t ip[IPV4_SIZE];
    uint16_t port;

    if (!take_ipv4(&at, ip) || !take_port(&at, &port))
        return false;
    *address = ed_addr_ipv4(ip[0], ip[1], ip[2], ip[3], port);
    return true;
}

static bool parse_ipv6(const char *at, eddy_address *address)
{
    uint8_t ip[IPV6_SIZE];
    uint32_t scope = 0;
    uint16_t port;

    if (!take(&at, '[') || !take_ipv6(&at, ip))
        return false;
    if (take(&at, '%')) {
        // A scope has one spelling: none is written by leaving it out, and only there it counts.
        if (!link_local(ip) || !take_decimal(&at, UINT32_MAX, &scope) || scope == 0)
            return false;
    }
    if (!take(&at, ']') || !take_port(&at, &port))
        return false;
    *address = ed_addr_ipv6(ip, scope, port);
    return true;
}

eddy_status eddy_address_parse(eddy_address *address, const char *text)
{
    if (text == NULL)
        return EDDY_EADDRESS;
    bool good = *text == '[' ? parse_ipv6(text, address) : parse_ipv4(text, address);
    return good ? EDDY_OK : EDDY_EADDRESS;
}

eddy_status ed_addr_split(const char *text, char *host, size_t host_size, uint16_t *port)
{
    ED_ASSERT(host_size > 0);

    if (text == NULL)
        return EDDY_EADDRESS;
    const char *at = text;
    bool bracketed = take(&at, '[');
    const char *begin = at;
    at += strcspn(at, bracketed ? "[]" : "[]:");
    size_t size = (size_t)(at - begin);
    if (size >= host_size || (bracketed && size == 0))
        return EDDY_EADDRESS;
    uint16_t number;
    if ((bracketed && !take(&at, ']')) || !take_port(&at, &number))
        return EDDY_EADDRESS;
    memcpy(host, begin, size);
    host[size] = '\0';
    *port = number;
    return EDDY_OK;
}

static void print_char(ed_writer *w, char c)
{
    ed_write_u8(w, (uint8_t)c);
}

/** Writes a number in base 10 or 16, without leading zeros. */
static void print_number(ed_writer *w, uint32_t number, unsigned base)
{
    char digits[10]; // of 2^32 - 1
    size_t count = 0;

    do {
        ED_ASSERT(count < sizeof(digits));
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    while (count > 0)
        print_char(w, digits[--count]);
}

static unsigned group_of(const uint8_t *ip, size_t i)
{
    return (unsigned)ip[i * GROUP_SIZE] << 8 | ip[i * GROUP_SIZE + 1];
}

static size_t zeros_from(const uint8_t *ip, size_t i)
{
    size_t count = 0;

    while (i + count < GROUP_COUNT && group_of(ip, i + count) == 0)
        count++;
    return count;
}

/** The groups that "::" stands for: the longest run of zeros, the first of several (RFC 5952). */
static size_t find_gap(const uint8_t *ip, size_t *gap_count)
{
    size_t gap = GROUP_COUNT;

    *gap_count = 1; // a single group is not shortened
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        size_t count = zeros_from(ip, i);
        if (count > *gap_count) {
            gap = i;
            *gap_count = count;
        }
    }
    return gap;
}

static void print_ipv6(ed_writer *w, const uint8_t *ip)
{
    size_t gap_count;
    size_t gap = find_gap(ip, &gap_count);

    for (size_t i = 0; i < GROUP_COUNT; i++) {
        if (i == gap) {
            print_char(w, ':');
            i += gap_count - 1;
            if (i == GROUP_COUNT - 1)
                print_char(w, ':');
            continue;
        }
        if (i > 0)
            print_char(w, ':');
        print_number(w, group_of(ip, i), 16);
    }
}

static void print_ipv4(ed_writer *w, const uint8_t *ip)
{
    for (size_t i = 0; i < IPV4_SIZE; i++) {
        if (i > 0)
            print_char(w, '.');
        print_number(w, ip[i], 10);
    }
}

static void print_ip(ed_writer *w, const eddy_address *address)
{
    if (address->family != EDDY_FAMILY_IPV6) {
        print_ipv4(w, address->ip);
        return;
    }
    print_char(w, '[');
    print_ipv6(w, address->ip);
    if (address->scope != 0) {
        print_char(w, '%');
        print_number(w, address->scope, 10);
    }
    print_char(w, ']');
}

const char *eddy_address_print(const eddy_address *address, char text[EDDY_ADDRESS_TEXT_SIZE])
{
    ed_writer w = ed_writer_of(text, EDDY_ADDRESS_TEXT_SIZE);

    if (address->family == EDDY_FAMILY_NONE) {
        ed_write_bytes(&w, "none", sizeof("none")); // no address, for the eyes alone
        return text;
    }
    print_ip(&w, address);
    print_char(&w, ':');
    print_number(&w, address->port, 10);
    print_char(&w, '\0');
    ED_ASSERT(ed_writer_ok(&w));
    return text;
}
