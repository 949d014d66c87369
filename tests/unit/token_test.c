#include "tests/unit/token_bed.h"

/** For the first server of the bed: made by a script of Python's hashlib and libsodium alone. */
static const char golden[] =
    "RURUSwEAAAAIBwYFBAMCAegDAAAAAAAAJAQAAAAAAAABAAAAAAAAAAEBAQEBAQEBAQEBAQEBAQEBAQEB"
    "AQEBAQEBAQEBAQEBBACSEMAAAgcAAAAAAAAAAAAAAAAJAAAAAAAAAHBwcHBwcHBwcHBwcHBwcHBwcHBw"
    "cHBwcHBwcHBwcHBwAAAAACQEAAAAAAAAAgICAgICAgICAgICAgICAgICAgICAgICDU1onBXZW-wpvM0Y"
    "ar8G1Fq4wdQv8zMABalkokImZcfXQVwe4Be1IqoLE5SwETLTuh2lq7VC9LEqKogbDTtso5Oyjsb4tMzh"
    "qGk4hDkIaGNvtttPhooYqJRlWdGZKmNmv1S7HoVUD4j_rbltFcTzLrsIpxGlx0g4o1zgu80E7ceShdTD"
    "yWnJpxMDpip8m8ho2IO33Is0WyMjjOR4tSYm9o1WDa3WkPoOmeQom21QqR81uh25cIekHq6h6-L3Xx31"
    "J1YTkzeONSopbBi7fgMSisDSovK1EeIOS_tGwjWos6_XXGhwJIHmag7n7cDckm3gnZuazF0_I23L_Gj3"
    "MqEk3WDdIGtgR2toxQTQzGyDW_Zke5UI0M3sFTlLnVHJySmhrwSYTpqHxIj07mg873R9UHG-mQPHCj71"
    "G1zLYapkzNc";

/** Of the 72 bytes of the header and the 60 before a capsule. */
enum {
    VERSION_AT = 4,
    PROTOCOL_AT = 8,
    ISSUED_AT = 16,
    EXPIRES_AT = 24,
    COUNT_AT = 32,
    FLAGS_AT = 33,
    RESERVED_AT = 34,
    FAMILY_AT = 72,
    ZERO_AT = 73,
    PORT_AT = 74,
    IP_AT = 76,
    CAPSULE_AT = 132,
};

static const eddy_token_info untouched_info = {.protocol_id = 42};
static const eddy_token_claim untouched_claim = {.client_id = 42};
static const ed_pass untouched_pass = {.protocol_id = 42};

static void check_no_token(const char *name, const char *text)
{
    eddy_token_info info = untouched_info;
    eddy_token_claim claim = untouched_claim;
    ed_pass pass = untouched_pass;

    CHECK_EQ(name, eddy_token_inspect(&info, text), EDDY_ETOKEN);
    CHECK_EQ(name, ed_token_pick(&pass, text, 0), EDDY_ETOKEN);
    CHECK_EQ(name, eddy_token_verify(&claim, text, BED_SERVER_ID, &bed_issuer, BED_ISSUED_S),
             EDDY_ETOKEN);
    CHECK_BYTES(name, &info, &untouched_info, sizeof(info));
    CHECK_BYTES(name, &pass, &untouched_pass, sizeof(pass));
    CHECK_BYTES(name, &claim, &untouched_claim, sizeof(claim));
}

static void text_is_as_written_down(void **state)
{
    char text[EDDY_TOKEN_TEXT_MAX];

    (void)state;
    CHECK_EQ("issued", bed_issue(text, bed_grant(), 1), EDDY_OK);
    CHECK_STR("text", text, golden);
}

static void everybody_who_holds_it_sees_where_and_until_when(void **state)
{
    char text[EDDY_TOKEN_TEXT_MAX];
    char address[EDDY_ADDRESS_TEXT_SIZE];
    eddy_token_info info;

    (void)state;
    bed_token(text);
    CHECK_EQ("inspected", eddy_token_inspect(&info, text), EDDY_OK);
    CHECK_EQ("protocol", info.protocol_id, BED_PROTOCOL_ID);
    CHECK_EQ("issued", info.issued_s, BED_ISSUED_S);
    CHECK_EQ("expires", info.expires_s, BED_EXPIRES_S);
    CHECK_EQ("servers", info.server_count, 2);
    CHECK_STR("IPv4", eddy_address_print(&info.servers[0].address, address), "192.0.2.7:4242");
    CHECK_STR("IPv6", eddy_address_print(&info.servers[1].address, address), "[2001:db8::1]:65535");
    CHECK_EQ("first server", info.servers[0].server_id, BED_SERVER_ID);
    CHECK_EQ("second server", info.servers[1].server_id, BED_OTHER_SERVER_ID);
    CHECK_EQ("first key", info.servers[0].public_key.bytes[31], 0x70);
    CHECK_EQ("second key", info.servers[1].public_key.bytes[0], 0x71);
}

/** What the client picks and what the server opens fit together, and no two servers' do. */
static void client_and_server_share_a_key_of_their_own(void **state)
{
    char text[EDDY_TOKEN_TEXT_MAX];
    ed_pass passes[2];

    (void)state;
    bed_token(text);
    for (size_t i = 0; i < 2; i++) {
        ed_capsule_place place = {BED_PROTOCOL_ID, BED_SERVER_ID + i};
        eddy_key key = eddy_key_token(&bed_issuer, place.server_id);
        ed_capsule capsule;
        CHECK_EQ("pick", ed_token_pick(&passes[i], text, i), EDDY_OK);
        CHECK_EQ("open", ed_capsule_open(&capsule, passes[i].capsule, &place, key.bytes), EDDY_OK);
        CHECK_BYTES("shared", passes[i].psk, capsule.psk, ED_KEY_SIZE);
        CHECK_EQ("client", capsule.client_id, BED_CLIENT_ID);
        CHECK_EQ("protocol", passes[i].protocol_id, BED_PROTOCOL_ID);
        CHECK_EQ("expires", passes[i].expires_s, BED_EXPIRES_S);
        CHECK_EQ("servers", passes[i].server_count, 2);
        CHECK_EQ("port", passes[i].address.port, i == 0 ? 4242 : 65535);
        CHECK_EQ("key", passes[i].public_key[0], 0x70 + i);
    }
    CHECK("apart", memcmp(passes[0].psk, passes[1].psk, ED_KEY_SIZE) != 0);
    ed_pass none = untouched_pass;
    CHECK_EQ("no third", ed_token_pick(&none, text, 2), EDDY_EINVAL);
    CHECK_EQ("no last", ed_token_pick(&none, text, SIZE_MAX), EDDY_EINVAL);
    CHECK_BYTES("untouched", &none, &untouched_pass, sizeof(none));
}

static void issuing_takes_what_a_token_can_hold(void **state)
{
    static const uint8_t data[EDDY_TOKEN_DATA_MAX + 1] = {[231] = 0xee};
    const struct {
        const char *name;
        size_t servers;
        uint64_t issued_s, expires_s;
        const void *data;
        size_t data_size;
        eddy_status want;
    } rows[] = {
        {"no servers", 0, 1, 2, NULL, 0, EDDY_EINVAL},
        {"one server", 1, 1, 2, NULL, 0, EDDY_OK},
        {"most servers", EDDY_TOKEN_SERVERS_MAX, 1, 2, NULL, 0, EDDY_OK},
        {"one more", EDDY_TOKEN_SERVERS_MAX + 1, 1, 2, NULL, 0, EDDY_EINVAL},
        {"no life", 1, 2, 2, NULL, 0, EDDY_EINVAL},
        {"expired before it was issued", 1, 3, 2, NULL, 0, EDDY_EINVAL},
        {"longest life", 1, 7, 7 + EDDY_TOKEN_LIFE_S_MAX, NULL, 0, EDDY_OK},
        {"longer", 1, 7, 8 + EDDY_TOKEN_LIFE_S_MAX, NULL, 0, EDDY_EINVAL},
        {"until the end of time", 1, UINT64_MAX - 1, UINT64_MAX, NULL, 0, EDDY_OK},
        {"most data", 1, 1, 2, data, EDDY_TOKEN_DATA_MAX, EDDY_OK},
        {"more data", 1, 1, 2, data, EDDY_TOKEN_DATA_MAX + 1, EDDY_EINVAL},
        {"data of no size", 1, 1, 2, data, 0, EDDY_OK},
        {"a size, and no data", 1, 1, 2, NULL, 1, EDDY_EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        char text[EDDY_TOKEN_TEXT_MAX] = "";
        eddy_token_claim claim;
        eddy_key key = eddy_key_token(&bed_issuer, BED_SERVER_ID);
        eddy_token_grant grant = {.issued_s = rows[i].issued_s,
                                  .expires_s = rows[i].expires_s,
                                  .user_data = rows[i].data,
                                  .user_data_size = rows[i].data_size};
        CHECK_EQ(rows[i].name, bed_issue(text, grant, rows[i].servers), rows[i].want);
        if (rows[i].want != EDDY_OK)
            continue;
        CHECK_EQ(rows[i].name, strlen(text) + 1, ED_BASE64_SIZE(72 + 416 * rows[i].servers));
        CHECK_EQ(rows[i].name,
                 eddy_token_verify(&claim, text, BED_SERVER_ID, &key, rows[i].issued_s), EDDY_OK);
        CHECK_EQ(rows[i].name, claim.user_data_size, rows[i].data_size);
        CHECK_EQ(rows[i].name, claim.user_data[231], rows[i].data_size == 232 ? 0xee : 0);
    }
}

static void a_server_has_an_address_that_leads_to_it(void **state)
{
    static const struct {
        const char *name;
        eddy_address address;
        eddy_status want;
    } rows[] = {
        {"IPv4", {.ip = {192, 0, 2, 1}, .port = 1, .family = 4}, EDDY_OK},
        {"IPv6", {.ip = {0x20, 1}, .port = 1, .family = 6}, EDDY_OK},
        {"none", {.family = 0}, EDDY_EINVAL},
        {"no port", {.ip = {192, 0, 2, 1}, .family = 4}, EDDY_EINVAL},
        {"another family", {.ip = {192, 0, 2, 1}, .port = 1, .family = 5}, EDDY_EINVAL},
        {"too long for IPv4", {.ip = {192, 0, 2, 1, 1}, .port = 1, .family = 4}, EDDY_EINVAL},
        {"on one link", {.ip = {0xfe, 0x80}, .scope = 2, .port = 1, .family = 6}, EDDY_EINVAL},
        {"and no scope", {.ip = {0xfe, 0xbf}, .port = 1, .family = 6}, EDDY_EINVAL},
        {"just not on one link", {.ip = {0xfe, 0xc0}, .port = 1, .family = 6}, EDDY_OK},
        {"mapped", {.ip = {[10] = 255, 255}, .port = 1, .family = 6}, EDDY_EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        char text[EDDY_TOKEN_TEXT_MAX];
        eddy_token_server servers[2] = {{.address = ed_addr_ipv4(192, 0, 2, 1, 1)},
                                        {.address = rows[i].address}};
        eddy_token_grant grant = {
            .issued_s = 1, .expires_s = 2, .servers = servers, .server_count = 2};
        CHECK_EQ(rows[i].name, eddy_token_issue(text, &grant, &bed_issuer), rows[i].want);
    }
    CHECK_EQ("no grant", eddy_token_issue(NULL, NULL, NULL), EDDY_EINVAL);
}

static void tokens_are_drawn_apart(void **state)
{
    char texts[2][EDDY_TOKEN_TEXT_MAX];
    ed_pass passes[2];
    eddy_token_server server = {.address = ed_addr_ipv4(192, 0, 2, 1, 1)};
    eddy_token_grant grant = {.issued_s = 1, .expires_s = 2, .servers = &server, .server_count = 1};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ("issued", eddy_token_issue(texts[i], &grant, &bed_issuer), EDDY_OK);
        CHECK_EQ("picked", ed_token_pick(&passes[i], texts[i], 0), EDDY_OK);
    }
    CHECK("another id", memcmp(ed_capsule_id(passes[0].capsule), ed_capsule_id(passes[1].capsule),
                               ED_XNONCE_SIZE) != 0);
    CHECK("another secret", memcmp(passes[0].psk, passes[1].psk, ED_KEY_SIZE) != 0);
}

static void what_is_no_token_is_refused(void **state)
{
    char text[EDDY_TOKEN_TEXT_MAX + 1], cut[EDDY_TOKEN_TEXT_MAX + 1];

    (void)state;
    check_no_token("nothing", NULL);
    check_no_token("empty", "");
    check_no_token("a word", "token");
    CHECK_EQ("largest", bed_issue(text, bed_grant(), EDDY_TOKEN_SERVERS_MAX), EDDY_OK);
    memcpy(cut, text, sizeof(cut));
    memcpy(cut + EDDY_TOKEN_TEXT_MAX - 1, "A", 2);
    check_no_token("a letter more than there may be", cut);
    bed_token(text);
    for (size_t size = 0; size < strlen(text); size++) {
        memcpy(cut, text, size);
        cut[size] = '\0';
        check_no_token("cut short", cut);
    }
    size_t size = strlen(text);
    memcpy(cut, text, size + 1);
    memcpy(cut + size, "AAAA", 5);
    check_no_token("something behind", cut);
    memcpy(cut + size, "\n", 2);
    check_no_token("a newline behind", cut);
}

/** Writes the token of one server with some of its bytes changed. */
static void altered_token(char text[EDDY_TOKEN_TEXT_MAX], size_t at, const void *bytes, size_t size)
{
    uint8_t token[ED_TOKEN_SIZE_MAX];
    size_t token_size = 0;

    CHECK("read", ed_base64_read(token, sizeof(token), &token_size, golden, strlen(golden)));
    memcpy(token + at, bytes, size);
    ed_base64_write(text, token, token_size);
}

static void fields_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        const char *name;
        size_t at;
        size_t size;
        uint8_t bytes[16];
        eddy_status want;
    } rows[] = {
        {"as it was", COUNT_AT, 1, {1}, EDDY_OK},
        {"another thing", 0, 4, "eDTK", EDDY_ETOKEN},
        {"another thing's end", 3, 1, "k", EDDY_ETOKEN},
        {"version 0", VERSION_AT, 1, {0}, EDDY_ETOKEN},
        {"version 2", VERSION_AT, 1, {2}, EDDY_ETOKEN},
        {"version, last byte", VERSION_AT + 3, 1, {1}, EDDY_ETOKEN},
        {"another protocol: only its server sees", PROTOCOL_AT, 1, {9}, EDDY_OK},
        {"issued later: only its server sees", ISSUED_AT, 2, {0x23, 4}, EDDY_OK},
        {"issued at its end", ISSUED_AT, 2, {0x24, 4}, EDDY_ETOKEN},
        {"issued too early", ISSUED_AT + 1, 1, {0xff}, EDDY_ETOKEN},
        {"expires later than its capsule", EXPIRES_AT, 1, {0x25}, EDDY_ETOKEN},
        {"expires earlier than its capsule", EXPIRES_AT, 1, {0x23}, EDDY_ETOKEN},
        {"the capsule earlier than that", CAPSULE_AT + 4, 1, {0x23}, EDDY_ETOKEN},
        {"no servers", COUNT_AT, 1, {0}, EDDY_ETOKEN},
        {"more servers than there are", COUNT_AT, 1, {2}, EDDY_ETOKEN},
        {"more servers than there may be", COUNT_AT, 1, {17}, EDDY_ETOKEN},
        {"most servers", COUNT_AT, 1, {255}, EDDY_ETOKEN},
        {"flags", FLAGS_AT, 1, {1}, EDDY_ETOKEN},
        {"reserved", RESERVED_AT, 1, {1}, EDDY_ETOKEN},
        {"reserved, last byte", RESERVED_AT + 5, 1, {0x80}, EDDY_ETOKEN},
        {"no family", FAMILY_AT, 1, {0}, EDDY_ETOKEN},
        {"family 5", FAMILY_AT, 1, {5}, EDDY_ETOKEN},
        {"IPv6", FAMILY_AT, 1, {6}, EDDY_OK},
        {"zero", ZERO_AT, 1, {1}, EDDY_ETOKEN},
        {"no port", PORT_AT, 2, {0, 0}, EDDY_ETOKEN},
        {"more than four bytes of IPv4", IP_AT + 4, 1, {1}, EDDY_ETOKEN},
        {"IPv4, last byte", IP_AT + 15, 1, {1}, EDDY_ETOKEN},
        {"a link's IPv6", FAMILY_AT, 6, {6, 0, 1, 0, 0xfe, 0x80}, EDDY_ETOKEN},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        char text[EDDY_TOKEN_TEXT_MAX];
        eddy_token_info info;
        altered_token(text, rows[i].at, rows[i].bytes, rows[i].size);
        if (rows[i].want == EDDY_OK)
            CHECK_EQ(rows[i].name, eddy_token_inspect(&info, text), EDDY_OK);
        else
            check_no_token(rows[i].name, text);
    }
}

static void a_server_opens_its_own_part_in_time(void **state)
{
    static const uint8_t other_protocol[] = {9};
    char text[EDDY_TOKEN_TEXT_MAX], altered[EDDY_TOKEN_TEXT_MAX];
    const eddy_key own = eddy_key_token(&bed_issuer, BED_SERVER_ID);
    const eddy_key other = eddy_key_token(&bed_issuer, BED_OTHER_SERVER_ID);
    const eddy_key third = eddy_key_token(&bed_issuer, 11);
    bed_token(text);
    altered_token(altered, PROTOCOL_AT, other_protocol, 1);
    const struct {
        const char *name;
        const char *text;
        uint64_t server_id;
        const eddy_key *key;
        uint64_t now_s;
        eddy_status want;
    } rows[] = {
        {"its own", text, BED_SERVER_ID, &own, BED_ISSUED_S, EDDY_OK},
        {"the other's", text, BED_OTHER_SERVER_ID, &other, BED_ISSUED_S, EDDY_OK},
        {"with the other's key", text, BED_SERVER_ID, &other, BED_ISSUED_S, EDDY_ETOKEN},
        {"under the other's number", text, BED_OTHER_SERVER_ID, &own, BED_ISSUED_S, EDDY_ETOKEN},
        {"with the issuer's key", text, BED_SERVER_ID, &bed_issuer, BED_ISSUED_S, EDDY_ETOKEN},
        {"a third's", text, 11, &third, BED_ISSUED_S, EDDY_ETOKEN},
        {"without a key", text, BED_SERVER_ID, NULL, BED_ISSUED_S, EDDY_ETOKEN},
        {"another protocol's", altered, BED_SERVER_ID, &own, BED_ISSUED_S, EDDY_ETOKEN},
        {"in its last second", text, BED_SERVER_ID, &own, BED_EXPIRES_S - 1, EDDY_OK},
        {"expired", text, BED_SERVER_ID, &own, BED_EXPIRES_S, EDDY_EEXPIRED},
        {"not yet", text, BED_SERVER_ID, &own, 0, EDDY_EEXPIRED},
        {"expired and foreign", text, BED_SERVER_ID, &other, BED_EXPIRES_S, EDDY_ETOKEN},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_token_claim claim = untouched_claim;
        CHECK_EQ(
            rows[i].name,
            eddy_token_verify(&claim, rows[i].text, rows[i].server_id, rows[i].key, rows[i].now_s),
            rows[i].want);
        CHECK_EQ(rows[i].name, claim.client_id, rows[i].want == EDDY_OK ? BED_CLIENT_ID : 42);
        if (rows[i].want == EDDY_OK)
            CHECK_STR(rows[i].name, (const char *)claim.user_data, "red team");
    }
}

static void a_server_may_have_two_addresses(void **state)
{
    static const struct {
        const char *name;
        size_t entry; /* that is spoilt, or mended if it is */
        eddy_status want;
    } spoilt[] = {
        {"the second opens", 0, EDDY_OK},
        {"none opens", 1, EDDY_ETOKEN},
        {"the first opens", 0, EDDY_OK},
    };
    char text[EDDY_TOKEN_TEXT_MAX];
    uint8_t token[ED_TOKEN_SIZE_MAX];
    size_t size = 0;
    eddy_token_claim claim;
    eddy_token_server servers[2] = {{.address = ed_addr_ipv4(192, 0, 2, 1, 1), .server_id = 3},
                                    {.address = ed_addr_ipv4(192, 0, 2, 2, 1), .server_id = 3}};
    eddy_token_grant grant = {.issued_s = 1, .expires_s = 2, .servers = servers, .server_count = 2};
    const eddy_key key = eddy_key_token(&bed_issuer, 3);

    (void)state;
    CHECK_EQ("issued", eddy_token_issue(text, &grant, &bed_issuer), EDDY_OK);
    CHECK_EQ("both", eddy_token_verify(&claim, text, 3, &key, 1), EDDY_OK);
    CHECK("read", ed_base64_read(token, sizeof(token), &size, text, strlen(text)));
    for (size_t i = 0; i < ED_COUNT(spoilt); i++) {
        token[CAPSULE_AT + spoilt[i].entry * ED_TOKEN_ENTRY_SIZE + 100] ^= 1;
        ed_base64_write(text, token, size);
        CHECK_EQ(spoilt[i].name, eddy_token_verify(&claim, text, 3, &key, 1), spoilt[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_as_written_down),
        cmocka_unit_test(everybody_who_holds_it_sees_where_and_until_when),
        cmocka_unit_test(client_and_server_share_a_key_of_their_own),
        cmocka_unit_test(issuing_takes_what_a_token_can_hold),
        cmocka_unit_test(a_server_has_an_address_that_leads_to_it),
        cmocka_unit_test(tokens_are_drawn_apart),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(fields_that_make_no_sense_are_refused),
        cmocka_unit_test(a_server_opens_its_own_part_in_time),
        cmocka_unit_test(a_server_may_have_two_addresses),
    };

    return cmocka_run_group_tests(tests, bed_set_up, NULL);
}
