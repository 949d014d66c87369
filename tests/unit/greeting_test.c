/** HELLO, RETRY, REJECT and VERSIONS, which have a MAC and nothing sealed. */
#include "tests/support/check.h"

#include "core/base.h"
#include "transport/handshake.h"
#include "transport/packet.h"

enum {
    HELLO_MAC_AT = 1184,
    HELLO_PADDING_AT = 64,
    CANARY = 0x5a,
};

static const uint8_t server_key[ED_KEY_SIZE] = {7, 7, 7, [31] = 9};
static const uint8_t nonce[ED_NONCE_SIZE] = {1, 2, 3, [15] = 16};

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

static ed_greeting_key key_of(ed_mode mode)
{
    return ed_greeting_key_of(mode == ED_MODE_OPEN ? NULL : server_key);
}

static ed_hello some_hello(ed_mode mode)
{
    ed_hello hello = {.version = ED_PROTOCOL_VERSION,
                      .mode = (uint8_t)mode,
                      .version_count = 2,
                      .versions = {1, 0xabcdef01},
                      .protocol_id = UINT64_C(0x1122334455667788)};

    memcpy(hello.nonce, nonce, sizeof(nonce));
    return hello;
}

static const ed_retry some_retry = {.version = 0x01020304, .cookie = {4, 5, 6, [23] = 7}};
static const ed_reject some_reject = {.version = 0x01020304, .refusal = EDDY_REFUSED_MODE};
static const ed_versions some_versions = {.count = 3, .versions = {2, 3, 0x01020304}};

/* ------------------------------------------------------- each kind, as one thing to be read -- */

static void write_hello(uint8_t *data, ed_mode mode)
{
    ed_hello hello = some_hello(mode);
    ed_greeting_key key = key_of(mode);
    ed_hello_write(data, &hello, &key);
}

static void write_retry(uint8_t *data, ed_mode mode)
{
    ed_greeting_key key = key_of(mode);
    ed_retry_write(data, &some_retry, nonce, &key, NULL);
}

static void write_reject(uint8_t *data, ed_mode mode)
{
    ed_greeting_key key = key_of(mode);
    ed_reject_write(data, &some_reject, nonce, &key);
}

static void write_versions(uint8_t *data, ed_mode mode)
{
    ed_greeting_key key = key_of(mode);
    ed_versions_write(data, &some_versions, nonce, &key);
}

static void check_untouched(const char *name, const void *result, size_t size)
{
    for (size_t i = 0; i < size; i++)
        CHECK_EQ(name, ((const uint8_t *)result)[i], CANARY);
}

/** As a server reads it. */
static eddy_status read_hello(const uint8_t *data, size_t size, const uint8_t *asked,
                              const ed_greeting_key *key)
{
    ed_hello hello;
    (void)asked;
    memset(&hello, CANARY, sizeof(hello));
    eddy_status status = ed_hello_parse(&hello, data, size);
    if (status == EDDY_OK)
        return ed_request_is_authentic(data, key) ? EDDY_OK : EDDY_EAUTH;
    check_untouched("hello", &hello, sizeof(hello));
    return status;
}

static eddy_status read_retry(const uint8_t *data, size_t size, const uint8_t *asked,
                              const ed_greeting_key *key)
{
    ed_retry retry;
    memset(&retry, CANARY, sizeof(retry));
    eddy_status status = ed_retry_parse(&retry, data, size, asked, key, NULL, 0);
    if (status != EDDY_OK)
        check_untouched("retry", &retry, sizeof(retry));
    return status;
}

static eddy_status read_reject(const uint8_t *data, size_t size, const uint8_t *asked,
                               const ed_greeting_key *key)
{
    ed_reject reject;
    memset(&reject, CANARY, sizeof(reject));
    eddy_status status = ed_reject_parse(&reject, data, size, asked, key);
    if (status != EDDY_OK)
        check_untouched("reject", &reject, sizeof(reject));
    return status;
}

static eddy_status read_versions(const uint8_t *data, size_t size, const uint8_t *asked,
                                 const ed_greeting_key *key)
{
    ed_versions versions;
    memset(&versions, CANARY, sizeof(versions));
    eddy_status status = ed_versions_parse(&versions, data, size, asked, key);
    if (status != EDDY_OK)
        check_untouched("versions", &versions, sizeof(versions));
    return status;
}

static const struct kind {
    const char *name;
    size_t size;
    ed_form form;
    void (*write)(uint8_t *data, ed_mode mode);
    eddy_status (*read)(const uint8_t *data, size_t size, const uint8_t *asked,
                        const ed_greeting_key *key);
} kinds[] = {
    {"HELLO", 1200, ED_FORM_HELLO, write_hello, read_hello},
    {"RETRY", 48, ED_FORM_RETRY, write_retry, read_retry},
    {"REJECT", 48, ED_FORM_REJECT, write_reject, read_reject},
    {"VERSIONS", 48, ED_FORM_VERSIONS, write_versions, read_versions},
};

static eddy_status read_in_mode(const struct kind *kind, ed_mode mode, const uint8_t *data,
                                size_t size)
{
    ed_greeting_key key = key_of(mode);
    return kind->read(data, size, nonce, &key);
}

/* ------------------------------------------------------------------------------------ refusals --
 */

static void sizes_are_exact(void **state)
{
    uint8_t data[ED_DATAGRAM_SIZE + 2];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(kinds); i++) {
        const struct kind *kind = &kinds[i];
        memset(data, 0xee, sizeof(data));
        kind->write(data, ED_MODE_PINNED);
        CHECK_EQ(kind->name, data[kind->size], 0xee);
        CHECK_EQ(kind->name, ed_form_of(data, kind->size), kind->form);
        for (size_t size = 0; size < sizeof(data); size++)
            CHECK_EQ(kind->name, read_in_mode(kind, ED_MODE_PINNED, data, size),
                     size == kind->size ? EDDY_OK : EDDY_ETRUNCATED);
    }
}

static void check_flips(const struct kind *kind, ed_mode mode)
{
    uint8_t data[ED_DATAGRAM_SIZE];

    kind->write(data, mode);
    CHECK_EQ(kind->name, read_in_mode(kind, mode, data, kind->size), EDDY_OK);
    for (size_t bit = 0; bit < 8 * kind->size; bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        eddy_status got = read_in_mode(kind, mode, data, kind->size);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (got != EDDY_EAUTH && got != EDDY_EPROTO)
            fail_msg("%s: bit %zu flipped gives %s", kind->name, bit, eddy_status_name(got));
    }
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(kinds); i++)
        for (int mode = 0; mode < ED_MODE_COUNT; mode++)
            check_flips(&kinds[i], (ed_mode)mode);
}

/** Each bit of the key counts, and of the nonce that an answer is to. */
static void only_the_right_key_and_nonce_will_do(void **state)
{
    static const struct {
        const char *name;
        size_t kind;
        bool of_nonce;
        eddy_status want;
    } rows[] = {
        {"HELLO, key", 0, false, EDDY_EAUTH},     {"RETRY, key", 1, false, EDDY_EAUTH},
        {"REJECT, key", 2, false, EDDY_EAUTH},    {"RETRY, nonce", 1, true, EDDY_EAUTH},
        {"REJECT, nonce", 2, true, EDDY_EAUTH},   {"VERSIONS, key", 3, false, EDDY_EAUTH},
        {"VERSIONS, nonce", 3, true, EDDY_EAUTH},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const struct kind *kind = &kinds[rows[i].kind];
        uint8_t data[ED_DATAGRAM_SIZE];
        kind->write(data, ED_MODE_PINNED);
        for (size_t bit = 0; bit < 8 * ED_NONCE_SIZE; bit++) {
            ed_greeting_key key = key_of(ED_MODE_PINNED);
            uint8_t asked[ED_NONCE_SIZE];
            memcpy(asked, nonce, sizeof(nonce));
            uint8_t *wrong = rows[i].of_nonce ? asked : key.mac_key;
            wrong[bit / 8] ^= (uint8_t)(1u << bit % 8);
            CHECK_EQ(rows[i].name, kind->read(data, kind->size, asked, &key), rows[i].want);
        }
    }
}

/** And of the server's public key, from which that of the greeting is made. */
static void each_bit_of_the_public_key_counts(void **state)
{
    ed_greeting_key right = ed_greeting_key_of(server_key);

    (void)state;
    for (size_t bit = 0; bit < 8 * ED_KEY_SIZE; bit++) {
        uint8_t other[ED_KEY_SIZE];
        memcpy(other, server_key, sizeof(other));
        other[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ed_greeting_key key = ed_greeting_key_of(other);
        CHECK("another", memcmp(&key, &right, sizeof(key)) != 0);
    }
}

static void one_is_not_taken_for_another(void **state)
{
    uint8_t data[ED_DATAGRAM_SIZE];

    (void)state;
    write_retry(data, ED_MODE_PINNED);
    CHECK_EQ("RETRY", read_in_mode(&kinds[2], ED_MODE_PINNED, data, ED_REJECT_SIZE), EDDY_EPROTO);
    write_reject(data, ED_MODE_PINNED);
    CHECK_EQ("REJECT", read_in_mode(&kinds[1], ED_MODE_PINNED, data, ED_RETRY_SIZE), EDDY_EPROTO);
    CHECK_EQ("REJECT", read_in_mode(&kinds[3], ED_MODE_PINNED, data, ED_RETRY_SIZE), EDDY_EPROTO);
    write_versions(data, ED_MODE_PINNED);
    CHECK_EQ("VERSIONS", read_in_mode(&kinds[2], ED_MODE_PINNED, data, ED_RETRY_SIZE), EDDY_EPROTO);
}

static void bytes_that_are_fixed(void **state)
{
    static const struct {
        const char *name;
        size_t kind;
        size_t at;
        eddy_status want;
    } rows[] = {
        {"HELLO type", 0, 0, EDDY_EPROTO},      {"HELLO reserved", 0, 7, EDDY_EPROTO},
        {"HELLO mode", 0, 5, EDDY_EAUTH},       {"RETRY type", 1, 0, EDDY_EPROTO},
        {"RETRY reserved", 1, 6, EDDY_EPROTO},  {"RETRY reserved", 1, 7, EDDY_EPROTO},
        {"REJECT type", 2, 0, EDDY_EPROTO},     {"REJECT refusal", 2, 5, EDDY_EAUTH},
        {"REJECT reserved", 2, 6, EDDY_EPROTO}, {"REJECT reserved", 2, 7, EDDY_EPROTO},
        {"VERSIONS type", 3, 0, EDDY_EPROTO},   {"VERSIONS version", 3, 1, EDDY_EPROTO},
        {"VERSIONS count", 3, 5, EDDY_EPROTO},  {"VERSIONS reserved", 3, 6, EDDY_EPROTO},
        {"VERSIONS list", 3, 24, EDDY_EAUTH},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const struct kind *kind = &kinds[rows[i].kind];
        uint8_t data[ED_DATAGRAM_SIZE];
        kind->write(data, ED_MODE_PINNED);
        data[rows[i].at] ^= 0x10;
        CHECK_EQ(rows[i].name, read_in_mode(kind, ED_MODE_PINNED, data, kind->size), rows[i].want);
    }
}

static void hello_that_says_nonsense(void **state)
{
    static const struct {
        const char *name;
        uint8_t version_count;
        eddy_status want;
    } rows[] = {{"none", 0, EDDY_EPROTO},
                {"one", 1, EDDY_OK},
                {"all", ED_VERSIONS_MAX, EDDY_OK},
                {"more than fit", ED_VERSIONS_MAX + 1, EDDY_EPROTO},
                {"255", 255, EDDY_EPROTO}};
    ed_greeting_key key = key_of(ED_MODE_PINNED);

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_hello hello = some_hello(ED_MODE_PINNED);
        uint8_t data[ED_HELLO_SIZE];
        hello.version_count = rows[i].version_count;
        ed_hello_write(data, &hello, &key);
        CHECK_EQ(rows[i].name, read_hello(data, sizeof(data), nonce, &key), rows[i].want);
    }
}

/** Of another version only what is the same in all is read: no server of ours is silent to it. */
static void a_hello_of_another_version(void **state)
{
    ed_greeting_key key = key_of(ED_MODE_PINNED);
    ed_hello hello = some_hello(ED_MODE_PINNED), got;
    uint8_t data[ED_HELLO_SIZE];

    (void)state;
    hello.version = 2;
    ed_hello_write(data, &hello, &key);
    memset(data + 6, 0xff, 10);   // where our version has versions, zero and protocol id
    memset(data + 32, 0xff, 256); // and its list
    ed_request_sign(data, &key);
    CHECK_EQ("parse", ed_hello_parse(&got, data, sizeof(data)), EDDY_OK);
    CHECK("authentic", ed_request_is_authentic(data, &key));
    CHECK_EQ("version", got.version, 2);
    CHECK_EQ("mode", got.mode, ED_MODE_PINNED);
    CHECK_BYTES("nonce", got.nonce, nonce, sizeof(nonce));
}

/** Bytes of an answer changed, and its tag made anew: authentic, and still to be judged. */
static void answers_that_say_nonsense(void **state)
{
    static const struct {
        const char *name;
        size_t kind;
        size_t at;
        eddy_status want;
    } rows[] = {
        {"RETRY, version", 1, 1, EDDY_OK},         {"RETRY that refuses", 1, 5, EDDY_EPROTO},
        {"RETRY, reserved", 1, 6, EDDY_EPROTO},    {"RETRY, reserved", 1, 7, EDDY_EPROTO},
        {"RETRY, cookie", 1, 24, EDDY_OK},         {"REJECT, refusal", 2, 5, EDDY_OK},
        {"REJECT, reserved", 2, 6, EDDY_EPROTO},   {"REJECT, reserved", 2, 7, EDDY_EPROTO},
        {"REJECT, not looked at", 2, 47, EDDY_OK}, {"VERSIONS, not of all", 3, 1, EDDY_EPROTO},
        {"VERSIONS, too many", 3, 5, EDDY_EPROTO}, {"VERSIONS, another", 3, 24, EDDY_OK}};
    ed_greeting_key key = key_of(ED_MODE_PINNED);

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[ED_RETRY_SIZE], tagged[ED_RETRY_SIZE];
        kinds[rows[i].kind].write(data, ED_MODE_PINNED);
        data[rows[i].at] ^= 0x80;
        memcpy(tagged, data, sizeof(tagged));
        memcpy(tagged + 8, nonce, sizeof(nonce));
        ed_mac(data + 8, key.mac_key, tagged, sizeof(tagged));
        CHECK_EQ(rows[i].name, kinds[rows[i].kind].read(data, sizeof(data), nonce, &key),
                 rows[i].want);
    }
}

/* --------------------------------------------------------------------------------- round trips --
 */

static void hello_goes_around(void **state)
{
    (void)state;
    for (int mode = 0; mode < ED_MODE_COUNT; mode++) {
        ed_hello want = some_hello((ed_mode)mode), got;
        uint8_t data[ED_HELLO_SIZE];
        write_hello(data, (ed_mode)mode);
        CHECK_EQ("parse", ed_hello_parse(&got, data, sizeof(data)), EDDY_OK);
        CHECK_EQ("version", got.version, want.version);
        CHECK_EQ("mode", got.mode, want.mode);
        CHECK_EQ("count", got.version_count, want.version_count);
        CHECK_BYTES("versions", got.versions, want.versions, sizeof(got.versions));
        CHECK_EQ("protocol", got.protocol_id, want.protocol_id);
        CHECK_BYTES("nonce", got.nonce, want.nonce, sizeof(got.nonce));
    }
}

static void answers_go_around(void **state)
{
    (void)state;
    for (int mode = 0; mode < ED_MODE_COUNT; mode++) {
        ed_greeting_key key = key_of((ed_mode)mode);
        uint8_t data[ED_RETRY_SIZE];
        ed_retry retry;
        ed_reject reject;
        ed_versions versions;
        write_retry(data, (ed_mode)mode);
        CHECK_EQ("RETRY", ed_retry_parse(&retry, data, sizeof(data), nonce, &key, NULL, 0),
                 EDDY_OK);
        CHECK_EQ("version", retry.version, some_retry.version);
        CHECK_BYTES("cookie", retry.cookie, some_retry.cookie, ED_COOKIE_SIZE);
        write_reject(data, (ed_mode)mode);
        CHECK_EQ("REJECT", ed_reject_parse(&reject, data, sizeof(data), nonce, &key), EDDY_OK);
        CHECK_EQ("version", reject.version, some_reject.version);
        CHECK_EQ("refusal", reject.refusal, some_reject.refusal);
        write_versions(data, (ed_mode)mode);
        CHECK_EQ("VERSIONS", ed_versions_parse(&versions, data, sizeof(data), nonce, &key),
                 EDDY_OK);
        CHECK_EQ("count", versions.count, some_versions.count);
        CHECK_BYTES("list", versions.versions, some_versions.versions, sizeof(versions.versions));
    }
}

/** A RETRY to an INITIATE is bound to the cookie in that; one to HELLO can be told from it. */
static void a_retry_says_what_it_answers(void **state)
{
    static const uint8_t shown[ED_COOKIE_SIZE] = {1}, other[ED_COOKIE_SIZE] = {2};
    static const struct {
        const char *name;
        const uint8_t *refused; /* by the server */
        const uint8_t *shown;   /* by the client */
        eddy_status want;
        bool is_to_hello;
    } rows[] = {
        {"to HELLO, before INITIATE", NULL, NULL, EDDY_OK, true},
        {"to HELLO, late", NULL, shown, EDDY_OK, true},
        {"to INITIATE", shown, shown, EDDY_OK, false},
        {"to an INITIATE of before", shown, other, EDDY_EAUTH, false},
        {"to an INITIATE that never was", shown, NULL, EDDY_EAUTH, false},
    };
    ed_greeting_key key = key_of(ED_MODE_PINNED);

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[ED_RETRY_SIZE];
        ed_retry retry = {.is_to_hello = false};
        ed_retry_write(data, &some_retry, nonce, &key, rows[i].refused);
        CHECK_EQ(rows[i].name,
                 ed_retry_parse(&retry, data, sizeof(data), nonce, &key, rows[i].shown,
                                rows[i].shown != NULL),
                 rows[i].want);
        CHECK_EQ(rows[i].name, retry.is_to_hello, rows[i].is_to_hello);
    }
}

/** No two HELLOs look alike behind their fields, and none is full of zeros. */
static void padding_looks_random(void **state)
{
    ed_hello hello = some_hello(ED_MODE_PINNED);
    ed_greeting_key key = key_of(ED_MODE_PINNED);
    uint8_t data[ED_HELLO_SIZE], other[ED_HELLO_SIZE];
    size_t zeros = 0, equal = 0;

    (void)state;
    ed_hello_write(data, &hello, &key);
    hello.nonce[0] ^= 1;
    ed_hello_write(other, &hello, &key);
    for (size_t i = HELLO_PADDING_AT; i < HELLO_MAC_AT; i++) {
        zeros += data[i] == 0 ? 1 : 0;
        equal += data[i] == other[i] ? 1 : 0;
    }
    CHECK("zeros", zeros < 20);
    CHECK("equal", equal < 20);
    CHECK("blocks", memcmp(data + HELLO_PADDING_AT, data + HELLO_PADDING_AT + 16, 16) != 0);
}

/** In mode OPEN anybody may greet: the key is that of a public key of zeros. */
static void the_open_key_is_known(void **state)
{
    static const uint8_t zeros[ED_KEY_SIZE];
    ed_greeting_key open = ed_greeting_key_of(NULL), of_zeros = ed_greeting_key_of(zeros);

    (void)state;
    CHECK_BYTES("key", open.mac_key, of_zeros.mac_key, ED_MAC_KEY_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_exact),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(only_the_right_key_and_nonce_will_do),
        cmocka_unit_test(each_bit_of_the_public_key_counts),
        cmocka_unit_test(one_is_not_taken_for_another),
        cmocka_unit_test(bytes_that_are_fixed),
        cmocka_unit_test(hello_that_says_nonsense),
        cmocka_unit_test(a_hello_of_another_version),
        cmocka_unit_test(answers_that_say_nonsense),
        cmocka_unit_test(hello_goes_around),
        cmocka_unit_test(answers_go_around),
        cmocka_unit_test(a_retry_says_what_it_answers),
        cmocka_unit_test(padding_looks_random),
        cmocka_unit_test(the_open_key_is_known),
    };
    return cmocka_run_group_tests_name("greeting", tests, set_up, NULL);
}
