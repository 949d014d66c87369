#include "tests/support/check.h"

#include "core/base.h"
#include "transport/cookie.h"
#include "transport/packet.h"

enum {
    HELLO_CHECKED_SIZE = 80, /* with mac1; behind it is padding */
    INITIATE_CLEAR_SIZE = 96,
};

static const eddy_address remote = {.ip = {192, 0, 2, 7}, .port = 4242, .family = EDDY_FAMILY_IPV4};
static const uint64_t now_ns = 1000 * ED_NS_PER_S;
static ed_cookie_jar jar;

static void fill(void *context, void *data, size_t size)
{
    uint8_t *next = context;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)data)[i] = (*next)++;
}

static int setup(void **state)
{
    static uint8_t next;
    eddy_entropy entropy = {.context = &next, .fill = fill};

    (void)state;
    if (ed_crypto_init() != EDDY_OK)
        return -1;
    ed_cookie_init(&jar, &entropy, now_ns);
    return 0;
}

static ed_hello some_hello(void)
{
    return (ed_hello){.version = ED_PROTOCOL_VERSION,
                      .mode = ED_MODE_PLAIN,
                      .version_count = 2,
                      .versions = {1, 0xabcdef01},
                      .protocol_id = UINT64_C(0x1122334455667788),
                      .nonce = {1, 2, 3, [15] = 16}};
}

static ed_initiate some_initiate(void)
{
    ed_hello hello = some_hello();
    ed_initiate initiate = {.version = hello.version,
                            .mode = hello.mode,
                            .suites = ED_SUITE_NULL_BIT,
                            .protocol_id = hello.protocol_id,
                            .ephemeral = {9, 8, 7, [31] = 1},
                            .datagram_size = ED_DATAGRAM_SIZE,
                            .credit = 0x12345678,
                            .message_max = EDDY_PIECE_SIZE_MAX,
                            .client_time_us = 123456789,
                            .payload = {.data = (const uint8_t *)"let me in", .size = 9}};

    memcpy(initiate.nonce, hello.nonce, ED_NONCE_SIZE);
    ed_cookie_make(&jar, initiate.cookie, &hello, &remote, now_ns);
    return initiate;
}

static ed_accept some_accept(void)
{
    return (ed_accept){.nonce = {1, 2, 3},
                       .ephemeral = {4, 5, 6},
                       .suite = ED_SUITE_NULL,
                       .id = 0x0a000102,
                       .datagram_size = ED_DATAGRAM_SIZE,
                       .credit = 0x12345678,
                       .message_max = EDDY_PIECE_SIZE_MAX,
                       .idle_timeout_ms = 10000,
                       .server_time_us = 987654321};
}

static ed_key accept_key(void)
{
    ed_initiate initiate = some_initiate();
    return ed_protect_accept_key(initiate.nonce, initiate.ephemeral);
}

/* ------------------------------------------------------- each kind, as one thing to be read -- */

static void write_hello(uint8_t *data)
{
    ed_hello hello = some_hello();
    ed_hello_write(data, &hello);
}

static void write_retry(uint8_t *data)
{
    ed_retry retry = {.version = 1, .nonce = {1, 2, 3}, .cookie = {4, 5, 6, [23] = 7}};
    ed_retry_write(data, &retry);
}

static void write_initiate(uint8_t *data)
{
    ed_initiate initiate = some_initiate();
    ed_initiate_write(data, &initiate);
}

static void write_accept(uint8_t *data)
{
    ed_accept accept = some_accept();
    ed_key key = accept_key();
    ed_accept_write(data, &accept, &key);
}

static eddy_status read_hello(uint8_t *data, size_t size)
{
    ed_hello hello;
    return ed_hello_parse(&hello, data, size);
}

static eddy_status read_retry(uint8_t *data, size_t size)
{
    ed_retry retry;
    return ed_retry_parse(&retry, data, size);
}

/** As a server reads it: what stands in the clear, the cookie, the sealed part. */
static eddy_status read_initiate(uint8_t *data, size_t size)
{
    ed_initiate initiate;
    eddy_status status = ed_initiate_parse(&initiate, data, size);

    if (status == EDDY_OK && !ed_cookie_check(&jar, &initiate, &remote, now_ns))
        status = EDDY_EAUTH;
    return status == EDDY_OK ? ed_initiate_open(&initiate, data, size) : status;
}

static eddy_status open_initiate(uint8_t *data, size_t size)
{
    ed_initiate initiate;
    eddy_status status = ed_initiate_parse(&initiate, data, size);

    return status == EDDY_OK ? ed_initiate_open(&initiate, data, size) : status;
}

static eddy_status read_accept(uint8_t *data, size_t size)
{
    ed_key key = accept_key();
    ed_accept accept;
    return ed_accept_open(&accept, &key, data, size);
}

static const struct kind {
    const char *name;
    size_t size;
    ed_form form;
    size_t checked_size; /* damage anywhere before is noticed */
    void (*write)(uint8_t *data);
    eddy_status (*read)(uint8_t *data, size_t size);
} kinds[] = {
    {"HELLO", 1200, ED_FORM_HELLO, HELLO_CHECKED_SIZE, write_hello, read_hello},
    {"RETRY", 48, ED_FORM_RETRY, 0, write_retry, read_retry},
    {"INITIATE", 1200, ED_FORM_INITIATE, 1200, write_initiate, read_initiate},
    {"INITIATE, cookie aside", 1200, ED_FORM_INITIATE, 1200, write_initiate, open_initiate},
    {"ACCEPT", 204, ED_FORM_ACCEPT, 204, write_accept, read_accept},
};

static void sizes_are_exact(void **state)
{
    uint8_t data[ED_DATAGRAM_SIZE + 2];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(kinds); i++) {
        const struct kind *kind = &kinds[i];
        memset(data, 0xee, sizeof(data));
        kind->write(data);
        CHECK_EQ(kind->name, data[kind->size], 0xee);
        CHECK_EQ(kind->name, ed_form_of(data, kind->size), kind->form);
        for (size_t size = 0; size < sizeof(data); size++) {
            kind->write(data);
            CHECK_EQ(kind->name, kind->read(data, size),
                     size == kind->size ? EDDY_OK : EDDY_ETRUNCATED);
        }
    }
}

static void every_flipped_bit_is_refused(void **state)
{
    uint8_t good[ED_DATAGRAM_SIZE], data[ED_DATAGRAM_SIZE];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(kinds); i++) {
        const struct kind *kind = &kinds[i];
        kind->write(good);
        for (size_t bit = 0; bit < 8 * kind->checked_size; bit++) {
            memcpy(data, good, kind->size);
            data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            eddy_status got = kind->read(data, kind->size);
            if (got != EDDY_EAUTH && got != EDDY_EPROTO)
                fail_msg("%s: bit %zu flipped gives %s", kind->name, bit, eddy_status_name(got));
        }
    }
}

/** Which bytes must have one value, whatever is sealed or not. */
static void fixed_bytes(void **state)
{
    static const struct {
        const char *name;
        size_t kind;
        size_t at;
    } rows[] = {
        {"HELLO type", 0, 0},     {"HELLO reserved", 0, 7},  {"RETRY type", 1, 0},
        {"RETRY reserved", 1, 5}, {"RETRY reserved", 1, 7},  {"INITIATE type", 3, 0},
        {"INITIATE", 3, 7},       {"INITIATE work", 3, 56},  {"INITIATE work", 3, 63},
        {"ACCEPT type", 4, 0},    {"ACCEPT reserved", 4, 1}, {"ACCEPT reserved", 4, 3},
    };
    uint8_t data[ED_DATAGRAM_SIZE];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const struct kind *kind = &kinds[rows[i].kind];
        kind->write(data);
        data[rows[i].at] ^= 0x10;
        CHECK_EQ(rows[i].name, kind->read(data, kind->size), EDDY_EPROTO);
    }
}

/** The padding of HELLO is nobody's business. */
static void padding_is_not_looked_at(void **state)
{
    uint8_t data[ED_HELLO_SIZE];
    size_t zeros = 0;

    (void)state;
    write_hello(data);
    for (size_t i = HELLO_CHECKED_SIZE; i < sizeof(data); i++)
        zeros += data[i] == 0 ? 1 : 0;
    CHECK("looks random", zeros < 20);
    memset(data + HELLO_CHECKED_SIZE, 0, sizeof(data) - HELLO_CHECKED_SIZE);
    CHECK_EQ("other padding", read_hello(data, sizeof(data)), EDDY_OK);
}

/* ------------------------------------------------------------------------------ round trips -- */

static void hello_goes_around(void **state)
{
    ed_hello want = some_hello(), got;
    uint8_t data[ED_HELLO_SIZE];

    (void)state;
    write_hello(data);
    CHECK_EQ("parse", ed_hello_parse(&got, data, sizeof(data)), EDDY_OK);
    CHECK_EQ("version", got.version, want.version);
    CHECK_EQ("mode", got.mode, want.mode);
    CHECK_EQ("count", got.version_count, want.version_count);
    CHECK_BYTES("versions", got.versions, want.versions, sizeof(got.versions));
    CHECK_EQ("protocol", got.protocol_id, want.protocol_id);
    CHECK_BYTES("nonce", got.nonce, want.nonce, sizeof(got.nonce));
}

static void retry_goes_around(void **state)
{
    ed_retry got;
    uint8_t data[ED_RETRY_SIZE];

    (void)state;
    write_retry(data);
    CHECK_EQ("parse", ed_retry_parse(&got, data, sizeof(data)), EDDY_OK);
    CHECK_EQ("version", got.version, 1);
    CHECK_BYTES("nonce", got.nonce, data + 8, ED_NONCE_SIZE);
    CHECK_BYTES("cookie", got.cookie, data + 24, ED_COOKIE_SIZE);
    CHECK_EQ("last of the cookie", got.cookie[23], 7);
}

static void initiate_goes_around(void **state)
{
    ed_initiate want = some_initiate(), got;
    uint8_t data[ED_INITIATE_SIZE];

    (void)state;
    write_initiate(data);
    CHECK_EQ("parse", ed_initiate_parse(&got, data, sizeof(data)), EDDY_OK);
    CHECK_EQ("version", got.version, want.version);
    CHECK_EQ("mode", got.mode, want.mode);
    CHECK_EQ("suites", got.suites, want.suites);
    CHECK_EQ("protocol", got.protocol_id, want.protocol_id);
    CHECK_BYTES("nonce", got.nonce, want.nonce, sizeof(got.nonce));
    CHECK_BYTES("cookie", got.cookie, want.cookie, sizeof(got.cookie));
    CHECK_BYTES("ephemeral", got.ephemeral, want.ephemeral, sizeof(got.ephemeral));
    CHECK_EQ("sealed yet", got.datagram_size, 0);
    CHECK_EQ("open", ed_initiate_open(&got, data, sizeof(data)), EDDY_OK);
    CHECK_EQ("size", got.datagram_size, want.datagram_size);
    CHECK_EQ("credit", got.credit, want.credit);
    CHECK_EQ("largest message", got.message_max, want.message_max);
    CHECK_EQ("time", got.client_time_us, want.client_time_us);
    CHECK_EQ("payload", got.payload.size, want.payload.size);
    CHECK_BYTES("payload", got.payload.data, want.payload.data, want.payload.size);
    CHECK("in the datagram", got.payload.data == data + INITIATE_CLEAR_SIZE + 70);
}

static void accept_goes_around(void **state)
{
    ed_accept want = some_accept(), got;
    ed_key key = accept_key();
    uint8_t data[ED_ACCEPT_SIZE], nonce[ED_NONCE_SIZE];

    (void)state;
    write_accept(data);
    CHECK_EQ("peek", ed_accept_peek(nonce, data, sizeof(data)), EDDY_OK);
    CHECK_BYTES("nonce", nonce, want.nonce, sizeof(nonce));
    CHECK_EQ("open", ed_accept_open(&got, &key, data, sizeof(data)), EDDY_OK);
    CHECK_BYTES("nonce", got.nonce, want.nonce, sizeof(nonce));
    CHECK_BYTES("ephemeral", got.ephemeral, want.ephemeral, sizeof(got.ephemeral));
    CHECK_EQ("refusal", got.refusal, 0);
    CHECK_EQ("suite", got.suite, want.suite);
    CHECK_EQ("id", got.id, want.id);
    CHECK_EQ("size", got.datagram_size, want.datagram_size);
    CHECK_EQ("idle", got.idle_timeout_ms, want.idle_timeout_ms);
    CHECK_EQ("credit", got.credit, want.credit);
    CHECK_EQ("largest message", got.message_max, want.message_max);
    CHECK_EQ("time", got.server_time_us, want.server_time_us);
}

/* ------------------------------------------------------------------- authentic, yet refused -- */

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

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_hello hello = some_hello();
        uint8_t data[ED_HELLO_SIZE];
        hello.version_count = rows[i].version_count;
        ed_hello_write(data, &hello);
        CHECK_EQ(rows[i].name, read_hello(data, sizeof(data)), rows[i].want);
    }
}

/** Bytes of the sealed part changed and sealed again: authentic, and still to be judged. */
static void initiate_that_says_nonsense(void **state)
{
    static const struct {
        const char *name;
        size_t at;
        uint8_t value;
        eddy_status want;
    } rows[] = {
        {"unchanged", 96, 0xb0, EDDY_OK},
        {"datagram size 1199", 96, 0xaf, EDDY_EPROTO},
        {"datagram size 1455", 97, 5, EDDY_OK},
        {"datagram size 176", 97, 0, EDDY_EPROTO},
        {"streams are not looked at", 98, 9, EDDY_OK},
        {"credit is not looked at", 100, 9, EDDY_OK},
        {"a feature", 104, 1, EDDY_EPROTO},
        {"another feature", 107, 0x80, EDDY_EPROTO},
        {"no versions", 108, 0, EDDY_EPROTO},
        {"eight versions", 108, 8, EDDY_OK},
        {"nine versions", 108, 9, EDDY_EPROTO},
        {"build is not looked at", 152, 1, EDDY_OK},
        {"messages of 1,149 bytes", 160, 0x7d, EDDY_EPROTO},
        {"messages of 1,151 bytes", 160, 0x7f, EDDY_OK},
        {"messages of 16 MiB more", 163, 1, EDDY_OK},
        {"no payload", 164, 0, EDDY_OK},
        {"a payload of 255", 164, 255, EDDY_OK},
        {"the largest payload and 9 more", 165, 1, EDDY_EPROTO},
    };
    ed_key key = accept_key();

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[ED_INITIATE_SIZE];
        write_initiate(data);
        data[rows[i].at] = rows[i].value;
        ed_protect_seal(&key, 0, data, INITIATE_CLEAR_SIZE, ED_INITIATE_SIZE - ED_TAG_SIZE);
        CHECK_EQ(rows[i].name, read_initiate(data, sizeof(data)), rows[i].want);
    }
}

static void accept_that_says_nonsense(void **state)
{
    static const struct {
        const char *name;
        uint8_t refusal;
        uint8_t suite;
        uint16_t datagram_size;
        uint32_t message_max;
        eddy_status want;
    } rows[] = {
        {"good", 0, ED_SUITE_NULL, 1200, EDDY_PIECE_SIZE_MAX, EDDY_OK},
        {"larger datagrams", 0, ED_SUITE_NULL, 9000, EDDY_PIECE_SIZE_MAX, EDDY_OK},
        {"smaller datagrams", 0, ED_SUITE_NULL, 1199, EDDY_PIECE_SIZE_MAX, EDDY_EPROTO},
        {"larger messages", 0, ED_SUITE_NULL, 1200, UINT32_MAX, EDDY_OK},
        {"smaller messages", 0, ED_SUITE_NULL, 1200, EDDY_PIECE_SIZE_MAX - 1, EDDY_EPROTO},
        {"a suite nobody offered", 0, 1, 1200, EDDY_PIECE_SIZE_MAX, EDDY_EPROTO},
        {"a refusal needs nothing else", EDDY_REFUSED_FULL, 0, 0, 0, EDDY_OK},
        {"a refusal of a kind to come", 200, 0, 0, 0, EDDY_OK},
    };
    ed_key key = accept_key();

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_accept accept = some_accept();
        uint8_t data[ED_ACCEPT_SIZE];
        accept.refusal = rows[i].refusal;
        accept.suite = rows[i].suite;
        accept.datagram_size = rows[i].datagram_size;
        accept.message_max = rows[i].message_max;
        ed_accept_write(data, &accept, &key);
        ed_accept got = {.id = 7};
        CHECK_EQ(rows[i].name, ed_accept_open(&got, &key, data, sizeof(data)), rows[i].want);
        uint32_t id = accept.refusal == 0 ? accept.id : 0; // nobody needs one who is refused
        CHECK_EQ("untouched on failure", got.id, rows[i].want == EDDY_OK ? id : 7);
    }
}

/** A refusal says why, in up to 63 bytes. */
static void refusals(void **state)
{
    static const struct {
        const char *name;
        uint8_t size_said;
        eddy_status want;
    } rows[] = {{"no reason", 0, EDDY_OK},
                {"a reason", 6, EDDY_OK},
                {"the longest", 63, EDDY_OK},
                {"longer", 64, EDDY_EPROTO},
                {"as long as can be said", 255, EDDY_EPROTO}};
    enum { SIZE_AT = 52 + 8 };
    ed_key key = accept_key();

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_accept accept = {.refusal = EDDY_REFUSED_BY_PROGRAM, .code = 0xfedcba98};
        ed_accept got;
        uint8_t data[ED_ACCEPT_SIZE];
        accept.reason_size = 63;
        memset(accept.reason, 'x', accept.reason_size);
        ed_accept_write(data, &accept, &key);
        CHECK_EQ("open", ed_accept_open(&got, &key, data, sizeof(data)), EDDY_OK);
        data[SIZE_AT] = rows[i].size_said;
        ed_protect_seal(&key, 1, data, 52, ED_ACCEPT_SIZE - ED_TAG_SIZE);
        CHECK_EQ(rows[i].name, ed_accept_open(&got, &key, data, sizeof(data)), rows[i].want);
        if (rows[i].want != EDDY_OK)
            continue;
        CHECK_EQ(rows[i].name, got.refusal, EDDY_REFUSED_BY_PROGRAM);
        CHECK_EQ(rows[i].name, got.code, accept.code);
        CHECK_EQ(rows[i].name, strlen(got.reason), rows[i].size_said);
    }
}

/** Number 0 of the key is INITIATE's: sealed with it, ACCEPT is not authentic. */
static void accept_is_number_one(void **state)
{
    ed_key key = accept_key();
    uint8_t data[ED_ACCEPT_SIZE];

    (void)state;
    write_accept(data);
    ed_protect_seal(&key, 0, data, 52, ED_ACCEPT_SIZE - ED_TAG_SIZE);
    CHECK_EQ("number 0", read_accept(data, sizeof(data)), EDDY_EAUTH);
    ed_protect_seal(&key, 1, data, 52, ED_ACCEPT_SIZE - ED_TAG_SIZE);
    CHECK_EQ("number 1", read_accept(data, sizeof(data)), EDDY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_exact),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(fixed_bytes),
        cmocka_unit_test(padding_is_not_looked_at),
        cmocka_unit_test(hello_goes_around),
        cmocka_unit_test(retry_goes_around),
        cmocka_unit_test(initiate_goes_around),
        cmocka_unit_test(accept_goes_around),
        cmocka_unit_test(hello_that_says_nonsense),
        cmocka_unit_test(initiate_that_says_nonsense),
        cmocka_unit_test(accept_that_says_nonsense),
        cmocka_unit_test(refusals),
        cmocka_unit_test(accept_is_number_one),
    };
    return cmocka_run_group_tests_name("handshake", tests, setup, NULL);
}
