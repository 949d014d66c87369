#include "tests/support/check.h"

#include "core/base.h"
#include "core/crypto.h"
#include "core/eddy_keys.h"

static const eddy_key counted = {{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                  16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}};

/** The texts are from Python's hashlib and base64. */
static const struct {
    const char *name;
    eddy_key_kind kind;
    const char *text;
} printed[] = {
    {"secret", EDDY_KEY_SECRET, "AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fw-jw"},
    {"public", EDDY_KEY_PUBLIC, "AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fMCq_"},
    {"room", EDDY_KEY_ROOM, "AwABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fuBEm"},
    {"issuer", EDDY_KEY_ISSUER, "BAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fJo1D"},
    {"token", EDDY_KEY_TOKEN, "BQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fFp9O"},
};

static void text_is_as_written_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(printed); i++) {
        char text[EDDY_KEY_TEXT_SIZE];
        eddy_key key = {{0}};
        CHECK_STR(printed[i].name, eddy_key_print(&counted, printed[i].kind, text),
                  printed[i].text);
        CHECK_EQ(printed[i].name, eddy_key_parse(&key, printed[i].kind, text), EDDY_OK);
        CHECK_BYTES(printed[i].name, key.bytes, counted.bytes, EDDY_KEY_SIZE);
    }
}

/** Refused, and the key is left alone. */
static void check_refused(const char *name, eddy_key_kind kind, const char *text)
{
    eddy_key key = counted;

    CHECK_EQ(name, eddy_key_parse(&key, kind, text), EDDY_EKEY);
    CHECK_BYTES(name, key.bytes, counted.bytes, EDDY_KEY_SIZE);
}

static void a_key_of_another_kind_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(printed); i++)
        for (int kind = -1; kind <= 300; kind++)
            if (kind != (int)printed[i].kind)
                check_refused(printed[i].name, (eddy_key_kind)kind, printed[i].text);
    // Well-formed, but of kinds that there are not.
    check_refused("kind 0", (eddy_key_kind)0, "AAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fDdqu");
    check_refused("kind 6", (eddy_key_kind)6, "BgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fHw8J");
    check_refused("kind 1 + 256", (eddy_key_kind)257, printed[0].text);
}

static void what_is_no_key_is_refused(void **state)
{
    static const struct {
        const char *name;
        const char *text;
    } rows[] = {
        {"nothing", NULL},
        {"empty", ""},
        {"a word", "password"},
        {"one letter short", "AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fMCq"},
        {"without a last byte that is zero", "AiIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAANXo"},
        {"one letter long", "AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fMCq_A"},
        {"four letters long", "AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fMCq_AAAA"},
        {"four letters short", "AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"},
        {"a blank before", " AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fMCq_"},
        {"a blank behind", "AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fMCq_ "},
        {"a blank inside", "AgABAgMEBQYHCAkKCwwN Dg8QERITFBUWFxgZGhscHR4fMCq_"},
        {"the other base64", "AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fMCq/"},
        {"padded", "AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fMCq_="},
        {"hexadecimal", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
        {"in lower case", "agabagmebqyhcakkcwwndg8qeritfbuwfxgzghschr4fmcq_"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        check_refused(rows[i].name, EDDY_KEY_PUBLIC, rows[i].text);
}

/** Each letter in turn becomes each other byte. */
static void every_mistyped_letter_is_noticed(void **state)
{
    const char *good = printed[0].text;

    (void)state;
    for (size_t at = 0; at < EDDY_KEY_TEXT_SIZE - 1; at++)
        for (int letter = 0; letter < 256; letter++) {
            char text[EDDY_KEY_TEXT_SIZE];
            memcpy(text, good, sizeof(text));
            text[at] = (char)letter;
            if (text[at] != good[at])
                check_refused("mistyped", EDDY_KEY_SECRET, text);
        }
}

/** RFC 7748 section 6.1. */
static void public_keys_are_those_of_the_secret_ones(void **state)
{
    static const eddy_key secret = {{0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d,
                                     0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45,
                                     0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a,
                                     0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a}};
    static const eddy_key want = {{0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d,
                                   0xdc, 0xb4, 0x3e, 0xf7, 0x5a, 0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38,
                                   0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a}};
    eddy_key got = eddy_key_public(&secret);

    (void)state;
    CHECK_BYTES("public", got.bytes, want.bytes, EDDY_KEY_SIZE);
}

/** The texts are from Python's hashlib.blake2b. */
static void each_server_has_a_token_key_of_its_own(void **state)
{
    static const struct {
        uint64_t server_id;
        const char *text;
    } rows[] = {
        {0, "BTNoxg6j8fMrujPtfKEQxCBkO5L1AkSxGflhgsZHJzTu5G4d"},
        {1, "BVQe-jVDB0YmXHBbPyD0J2X2UPPj-zT5EZD-G1RB4g9v5tSX"},
        {UINT64_C(1) << 63, "BZNCzE9Hu9VNdIQ_AKgHNJ1H9BEHanIUgbF6ebMpEtZPdpnU"},
        {UINT64_C(0x0102030405060708), "BScDQ_BEBuZZRrplXNvtcW_UwuMJTYa9X2fy-O7VRNwkMaJ0"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        char text[EDDY_KEY_TEXT_SIZE];
        eddy_key key = eddy_key_token(&counted, rows[i].server_id);
        CHECK_STR("token key", eddy_key_print(&key, EDDY_KEY_TOKEN, text), rows[i].text);
    }
}

static void keys_are_drawn_apart_and_wiped(void **state)
{
    static const eddy_key zeros;
    eddy_key a = zeros, b = zeros;

    (void)state;
    CHECK_EQ("drawn", eddy_key_make(&a), EDDY_OK);
    CHECK_EQ("drawn again", eddy_key_make(&b), EDDY_OK);
    CHECK("apart", memcmp(&a, &b, sizeof(a)) != 0);
    CHECK("in both halves",
          memcmp(a.bytes, zeros.bytes, EDDY_KEY_SIZE / 2) != 0 &&
              memcmp(a.bytes + EDDY_KEY_SIZE / 2, zeros.bytes, EDDY_KEY_SIZE / 2) != 0);
    eddy_key_wipe(&a);
    CHECK_BYTES("wiped", a.bytes, zeros.bytes, EDDY_KEY_SIZE);
}

/** The rows of RFC 4648 section 10, and the letters in which base64url differs. */
static void base64_is_as_published(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        const char *text;
    } rows[] = {
        {"0", "", ""},
        {"1", "f", "Zg"},
        {"2", "fo", "Zm8"},
        {"3", "foo", "Zm9v"},
        {"4", "foob", "Zm9vYg"},
        {"5", "fooba", "Zm9vYmE"},
        {"6", "foobar", "Zm9vYmFy"},
        {"url", "\xfb\xff\xbf", "-_-_"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        char text[16];
        uint8_t bytes[8];
        size_t size = 0, want = strlen(rows[i].bytes);
        ed_base64_write(text, rows[i].bytes, want);
        CHECK_STR(rows[i].name, text, rows[i].text);
        CHECK_EQ(rows[i].name, strlen(text) + 1, ED_BASE64_SIZE(want));
        CHECK(rows[i].name, ed_base64_read(bytes, want, &size, text, strlen(text)));
        CHECK_EQ(rows[i].name, size, want);
        CHECK_BYTES(rows[i].name, bytes, rows[i].bytes, want);
        if (want > 0)
            CHECK("no room", !ed_base64_read(bytes, want - 1, &size, text, strlen(text)));
    }
    uint8_t bytes[8];
    size_t size = 99;
    CHECK("another spelling of f", !ed_base64_read(bytes, sizeof(bytes), &size, "Zh", 2));
    CHECK("half a byte", !ed_base64_read(bytes, sizeof(bytes), &size, "Z", 1));
    CHECK("a NUL inside", !ed_base64_read(bytes, sizeof(bytes), &size, "Zm\0v", 4));
    CHECK_EQ("untouched", size, 99);
}

/** Every byte as the first of two letters, the second of which is zero. */
static void base64_has_64_letters(void **state)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    (void)state;
    for (int value = 0; value < 256; value++) {
        char text[] = {(char)value, 'A'};
        uint8_t byte = 0;
        size_t size = 0;
        const char *at = value == 0 ? NULL : strchr(letters, (char)value);
        CHECK_EQ("letter", ed_base64_read(&byte, 1, &size, text, 2), at != NULL);
        if (at != NULL)
            CHECK_EQ("value", byte, (at - letters) << 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_as_written_down),
        cmocka_unit_test(a_key_of_another_kind_is_refused),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(every_mistyped_letter_is_noticed),
        cmocka_unit_test(public_keys_are_those_of_the_secret_ones),
        cmocka_unit_test(each_server_has_a_token_key_of_its_own),
        cmocka_unit_test(keys_are_drawn_apart_and_wiped),
        cmocka_unit_test(base64_is_as_published),
        cmocka_unit_test(base64_has_64_letters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
