#include "tests/support/check.h"

#include "core/addr.h"
#include "core/base.h"

static const eddy_address untouched = {.ip = {9}, .scope = 9, .port = 9, .family = 9};

static void good_text_is_read_and_written_in_one_form(void **state)
{
    static const struct {
        const char *text;
        const char *printed;
    } rows[] = {
        {"127.0.0.1:4242", "127.0.0.1:4242"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"255.255.255.255:65535", "255.255.255.255:65535"},
        {"[::]:0", "[::]:0"},
        {"[::1]:4242", "[::1]:4242"},
        {"[1::]:80", "[1::]:80"},
        {"[2001:DB8:0:0:0:0:0:1]:80", "[2001:db8::1]:80"},
        {"[2001:0db8:0000:0000:0000:0000:0000:0001]:80", "[2001:db8::1]:80"},
        {"[0:0:0:0:0:0:0:0]:1", "[::]:1"},
        // RFC 5952: one group is not shortened; the longest run is, and the first of two.
        {"[1:2:3::5:6:7:8]:1", "[1:2:3:0:5:6:7:8]:1"},
        {"[::2:3:4:5:6:7:8]:1", "[0:2:3:4:5:6:7:8]:1"},
        {"[1:2:3:4:5:6:7::]:1", "[1:2:3:4:5:6:7:0]:1"},
        {"[1:0:0:4:0:0:0:8]:1", "[1:0:0:4::8]:1"},
        {"[1:0:0:4:5:0:0:8]:1", "[1::4:5:0:0:8]:1"},
        {"[0:0:3:4:5:6:0:0]:1", "[::3:4:5:6:0:0]:1"},
        {"[1:2:3:4:5:6:0:0]:1", "[1:2:3:4:5:6::]:1"},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
        {"[::ffff:1.2.3.4]:5", "1.2.3.4:5"},
        {"[::FFFF:102:304]:5", "1.2.3.4:5"},
        {"[0:0:0:0:0:ffff:1.2.3.4]:5", "1.2.3.4:5"},
        {"[64:ff9b::1.2.3.4]:5", "[64:ff9b::102:304]:5"},
        {"[1:2:3:4:5:6:1.2.3.4]:5", "[1:2:3:4:5:6:102:304]:5"},
        {"[::1.2.3.4]:5", "[::102:304]:5"},
        {"[fe80::1%2]:4242", "[fe80::1%2]:4242"},
        {"[febf::1%4294967295]:1", "[febf::1%4294967295]:1"},
        {"[fe80:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535",
         "[fe80:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_address address = untouched, again = untouched;
        char text[EDDY_ADDRESS_TEXT_SIZE];
        CHECK_EQ(rows[i].text, eddy_address_parse(&address, rows[i].text), EDDY_OK);
        CHECK(rows[i].text, ed_addr_valid(&address));
        CHECK_STR(rows[i].text, eddy_address_print(&address, text), rows[i].printed);
        CHECK_EQ(rows[i].text, eddy_address_parse(&again, text), EDDY_OK);
        CHECK(rows[i].text, eddy_address_equal(&address, &again));
    }
}

static const char *const bad_texts[] = {
    "",
    ":",
    ":80",
    "1.2.3.4",
    "1.2.3.4:",
    "1.2.3.4:65536",
    "1.2.3.4:080",
    "1.2.3.4:00",
    "1.2.3.4:+1",
    "1.2.3.4:-1",
    "1.2.3.4: 1",
    " 1.2.3.4:1",
    "1.2.3.4:1 ",
    "1.2.3.4:1x",
    "1.2.3.4:18446744073709551617",
    "1.2.3:1",
    "1.2.3.4.5:1",
    "1.2.3.256:1",
    "1.2.3.04:1",
    "1.2.3.:1",
    ".1.2.3.4:1",
    "1..2.3:1",
    "0x1.2.3.4:1",
    "16909060:1",
    "localhost:1",
    "[1.2.3.4]:1",
    "::1:80",
    "[::1]",
    "[::1]80",
    "[::1:80",
    "[]:80",
    "[:]:80",
    "[:::]:80",
    "[::1::]:80",
    "[1::2::3]:80",
    "[:1::]:80",
    "[1:]:80",
    "[1::2:]:80",
    "[:1:2:3:4:5:6:7]:80",
    "[1:2:3:4:5:6:7]:80",
    "[1:2:3:4:5:6:7:8:9]:80",
    "[1:2:3:4:5:6:7:8::]:80",
    "[::1:2:3:4:5:6:7:8]:80",
    "[1:2:3:4::5:6:7:8]:80",
    "[12345::]:80",
    "[00001::]:80",
    "[g::]:80",
    "[::1.2.3]:80",
    "[::1.2.3.4.5]:80",
    "[::1.2.3.4:5]:80",
    "[::1.2.3.256]:80",
    "[::1.2.3.4::]:80",
    "[1.2.3.4::]:80",
    "[1:2:3:4:5:6:7:1.2.3.4]:80",
    "[1:2:3:4:5:1.2.3.4]:80",
    "[1:2:3:4:5:6::1.2.3.4]:80",
    "[::a.2.3.4]:80",
    "[fe80::1%]:80",
    "[fe80::1%0]:80",
    "[fe80::1%01]:80",
    "[fe80::1%eth0]:80",
    "[fe80::1%4294967296]:80",
    "[fe80::1%1%2]:80",
    "[fec0::1%1]:80",
    "[::1%1]:80",
    "[::ffff:1.2.3.4%1]:80",
    "[%1]:80",
};

static void bad_text_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(bad_texts); i++) {
        eddy_address address = untouched;
        CHECK_EQ(bad_texts[i], eddy_address_parse(&address, bad_texts[i]), EDDY_EADDRESS);
        CHECK(bad_texts[i], eddy_address_equal(&address, &untouched));
    }
    eddy_address address;
    CHECK_EQ("NULL", eddy_address_parse(&address, NULL), EDDY_EADDRESS);
}

static void makers_keep_one_form(void **state)
{
    static const uint8_t loopback[16] = {[15] = 1};
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 1, 2, 3, 4};
    static const uint8_t link_local[16] = {0xfe, 0x80, [15] = 1};
    const struct {
        const char *name;
        eddy_address address;
        const char *printed;
    } rows[] = {
        {"IPv4", ed_addr_ipv4(1, 2, 3, 4, 5), "1.2.3.4:5"},
        {"IPv6", ed_addr_ipv6(loopback, 0, 5), "[::1]:5"},
        {"mapped is IPv4", ed_addr_ipv6(mapped, 7, 5), "1.2.3.4:5"},
        {"link-local has a scope", ed_addr_ipv6(link_local, 7, 5), "[fe80::1%7]:5"},
        {"others have none", ed_addr_ipv6(loopback, 7, 5), "[::1]:5"},
        {"nothing", {.family = EDDY_FAMILY_NONE}, "none"},
    };
    char text[EDDY_ADDRESS_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_STR(rows[i].name, eddy_address_print(&rows[i].address, text), rows[i].printed);
        CHECK_EQ(rows[i].name, ed_addr_valid(&rows[i].address), rows[i].address.family != 0);
    }
}

static void an_address_in_no_known_form_is_not_valid(void **state)
{
    static const struct {
        const char *name;
        bool valid;
        eddy_address address;
    } rows[] = {
        {"none", false, {.family = EDDY_FAMILY_NONE}},
        {"unknown family", false, {.family = 5}},
        {"IPv4", true, {.family = 4, .ip = {1, 2, 3, 4}, .port = 65535}},
        {"IPv4, fifth byte", false, {.family = 4, .ip = {1, 2, 3, 4, 1}}},
        {"IPv4, last byte", false, {.family = 4, .ip = {[15] = 1}}},
        {"IPv4 with a scope", false, {.family = 4, .scope = 1}},
        {"IPv4, reserved", false, {.family = 4, .reserved = 1}},
        {"IPv6", true, {.family = 6, .ip = {[15] = 1}}},
        {"IPv6, reserved", false, {.family = 6, .ip = {[15] = 1}, .reserved = 1}},
        {"IPv6 with a scope", false, {.family = 6, .ip = {[15] = 1}, .scope = 1}},
        {"link-local", true, {.family = 6, .ip = {0xfe, 0x80}}},
        {"link-local with a scope", true, {.family = 6, .ip = {0xfe, 0xbf}, .scope = 1}},
        {"site-local with a scope", false, {.family = 6, .ip = {0xfe, 0xc0}, .scope = 1}},
        {"mapped", false, {.family = 6, .ip = {[10] = 0xff, 0xff, 1, 2, 3, 4}}},
        {"nearly mapped", true, {.family = 6, .ip = {[9] = 1, 0xff, 0xff, 1, 2, 3, 4}}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_addr_valid(&rows[i].address), rows[i].valid);
}

static void any_is_no_address_in_particular(void **state)
{
    static const struct {
        const char *name;
        eddy_address address;
        bool is_any;
    } rows[] = {
        {"IPv4", {.family = 4}, true},
        {"IPv4 with a port", {.family = 4, .port = 1}, true},
        {"IPv4, one", {.family = 4, .ip = {127, 0, 0, 1}}, false},
        {"IPv6", {.family = 6}, true},
        {"IPv6, one", {.family = 6, .ip = {[15] = 1}}, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_addr_is_any(&rows[i].address), rows[i].is_any);
}

static void addresses_are_equal_in_every_field(void **state)
{
    const eddy_address address = ed_addr_ipv4(1, 2, 3, 4, 5);

    (void)state;
    for (size_t i = 0; i < sizeof(address); i++) {
        eddy_address other = address;
        CHECK("same", eddy_address_equal(&address, &other));
        ((uint8_t *)&other)[i] ^= 1;
        CHECK("one bit", !eddy_address_equal(&address, &other));
    }
}

static void host_and_port_are_split(void **state)
{
    enum { PORT_UNTOUCHED = 9 };
    static const struct {
        const char *text;
        const char *host; /* NULL: refused */
        uint16_t port;
    } rows[] = {
        {"localhost:4242", "localhost", 4242},
        {"127.0.0.1:0", "127.0.0.1", 0},
        {":65535", "", 65535},
        {"[::1]:80", "::1", 80},
        {"[fe80::1%eth0]:80", "fe80::1%eth0", 80},
        {"[name]:80", "name", 80},
        {"fifteen-letters:1", "fifteen-letters", 1},
        {"sixteen--letters:1", NULL, 0},
        {"[sixteen--letters]:1", NULL, 0},
        {"", NULL, 0},
        {":", NULL, 0},
        {"localhost", NULL, 0},
        {"localhost:", NULL, 0},
        {"localhost:x", NULL, 0},
        {"localhost:1x", NULL, 0},
        {"localhost:65536", NULL, 0},
        {"localhost:01", NULL, 0},
        {"localhost:1:2", NULL, 0},
        {"::1", NULL, 0},
        {"::1:80", NULL, 0},
        {"[::1]", NULL, 0},
        {"[::1:80", NULL, 0},
        {"[]:80", NULL, 0},
        {"[[::1]]:80", NULL, 0},
        {"::1]:80", NULL, 0},
        {"a[b]:80", NULL, 0},
        {NULL, NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const char *name = rows[i].text == NULL ? "NULL" : rows[i].text;
        bool good = rows[i].host != NULL;
        char host[16] = "untouched";
        uint16_t port = PORT_UNTOUCHED;
        eddy_status want = good ? EDDY_OK : EDDY_EADDRESS;
        CHECK_EQ(name, ed_addr_split(rows[i].text, host, sizeof(host), &port), want);
        CHECK_STR(name, host, good ? rows[i].host : "untouched");
        CHECK_EQ(name, port, good ? rows[i].port : PORT_UNTOUCHED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_text_is_read_and_written_in_one_form),
        cmocka_unit_test(bad_text_is_refused),
        cmocka_unit_test(makers_keep_one_form),
        cmocka_unit_test(an_address_in_no_known_form_is_not_valid),
        cmocka_unit_test(any_is_no_address_in_particular),
        cmocka_unit_test(addresses_are_equal_in_every_field),
        cmocka_unit_test(host_and_port_are_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
