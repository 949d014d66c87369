/**
 * What is secret does not decide where the code goes, so that time tells nobody. Under valgrind,
 * bytes that are marked undefined are reported where something branches or points by them: here
 * those bytes are the secrets. The program is linked so that some calls come by (tests/SConscript):
 * what ed_mac makes is a secret, and the answers of the others are none.
 */
#include "tests/support/check.h"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else // without it nothing is marked, and the tests that need it are skipped
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_COUNT_ERRORS 0
#define VALGRIND_DISABLE_ERROR_REPORTING ((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING ((void)0)
#define VALGRIND_MAKE_MEM_DEFINED(data, size) ((void)(data), (void)(size))
#define VALGRIND_MAKE_MEM_UNDEFINED(data, size) ((void)(data), (void)(size))
#endif

#include "core/addr.h"
#include "core/base.h"
#include "tests/unit/noise_bed.h"
#include "transport/capsule.h"
#include "transport/cookie.h"
#include "transport/identity.h"

#define COMES_BY(type, name, ...)                                                                  \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);

COMES_BY(bool, ed_equal_secret, const void *, const void *, size_t)
COMES_BY(void, ed_mac, uint8_t *, const uint8_t *, const void *, size_t)
COMES_BY(bool, ed_x25519, uint8_t *, const uint8_t *, const uint8_t *)
COMES_BY(bool, ed_aead_open, ed_aead, const uint8_t *, const uint8_t *, const void *, size_t,
         uint8_t *, size_t)

COMES_BY(bool, ed_xaead_open, const uint8_t *, const uint8_t *, const void *, size_t, uint8_t *,
         size_t)

/* ----------------------------------------------------------------------------- what comes by -- */

static bool is_naive;   /* compares as one should not, and keeps no answer apart from its secrets */
static size_t answered; /* how often */

static bool answer(bool yes)
{
    answered++;
    if (!is_naive)
        VALGRIND_MAKE_MEM_DEFINED(&yes, sizeof(yes));
    return yes;
}

/** Stops at the first byte that differs: how long it takes tells which one that is. */
static bool naive_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

bool __wrap_ed_equal_secret(const void *a, const void *b, size_t size)
{
    return answer(is_naive ? naive_equal(a, b, size) : __real_ed_equal_secret(a, b, size));
}

void __wrap_ed_mac(uint8_t *mac, const uint8_t *key, const void *data, size_t size)
{
    __real_ed_mac(mac, key, data, size);
    VALGRIND_MAKE_MEM_UNDEFINED(mac, ED_MAC_SIZE);
}

bool __wrap_ed_x25519(uint8_t *shared, const uint8_t *secret, const uint8_t *public_key)
{
    return answer(__real_ed_x25519(shared, secret, public_key));
}

/** libsodium knows by itself whether the tag is right, and goes on accordingly. */
bool __wrap_ed_aead_open(ed_aead aead, const uint8_t *key, const uint8_t *nonce, const void *header,
                         size_t header_size, uint8_t *data, size_t size)
{
    VALGRIND_DISABLE_ERROR_REPORTING;
    bool is_good = __real_ed_aead_open(aead, key, nonce, header, header_size, data, size);
    VALGRIND_ENABLE_ERROR_REPORTING;
    return answer(is_good);
}

/** The same of a capsule: what it says is then no secret, but for the key that stands in it. */
bool __wrap_ed_xaead_open(const uint8_t *key, const uint8_t *nonce, const void *header,
                          size_t header_size, uint8_t *data, size_t size)
{
    VALGRIND_DISABLE_ERROR_REPORTING;
    bool is_good = __real_ed_xaead_open(key, nonce, header, header_size, data, size);
    VALGRIND_ENABLE_ERROR_REPORTING;
    VALGRIND_MAKE_MEM_DEFINED(data, size);
    VALGRIND_MAKE_MEM_UNDEFINED(data + 8 + 8, ED_KEY_SIZE);
    return answer(is_good);
}

/* ------------------------------------------------------------------------------------ probes -- */

#define HONEST SIZE_MAX

static void fill(void *context, void *data, size_t size)
{
    (void)context;
    memset(data, 7, size);
}

static ed_hello hello_of_somebody(void)
{
    return (ed_hello){.version = 1, .mode = ED_MODE_PINNED, .version_count = 1, .nonce = {3}};
}

/** Offers a cookie of which one byte of the tag is wrong, or none. */
static bool cookie_is_taken(size_t wrong)
{
    static const eddy_entropy entropy = {.fill = fill};
    eddy_address remote = ed_addr_ipv4(192, 0, 2, 7, 4242);
    ed_hello hello = hello_of_somebody();
    ed_initiate initiate = {.version = hello.version, .mode = hello.mode};
    ed_cookie_jar jar;

    ed_cookie_init(&jar, &entropy, 0);
    memcpy(initiate.nonce, hello.nonce, sizeof(initiate.nonce));
    ed_cookie_make(&jar, initiate.cookie, &hello, &remote, 0);
    VALGRIND_MAKE_MEM_DEFINED(initiate.cookie, sizeof(initiate.cookie)); // it was sent
    if (wrong != HONEST)
        initiate.cookie[ED_COOKIE_SIZE - ED_MAC_SIZE + wrong] ^= 1;
    VALGRIND_MAKE_MEM_UNDEFINED(jar.secret, sizeof(jar.secret));
    return ed_cookie_check(&jar, &initiate, &remote, 0);
}

/** The same with the MAC of a HELLO. */
static bool hello_is_taken(size_t wrong)
{
    static const uint8_t public_key[ED_KEY_SIZE] = {5};
    uint8_t data[ED_HELLO_SIZE];
    ed_greeting_key key = ed_greeting_key_of(public_key);
    ed_hello hello = hello_of_somebody();

    ed_hello_write(data, &hello, &key);
    VALGRIND_MAKE_MEM_DEFINED(data, sizeof(data));
    if (wrong != HONEST)
        data[ED_HELLO_SIZE - ED_MAC_SIZE + wrong] ^= 1;
    VALGRIND_MAKE_MEM_UNDEFINED(&key, sizeof(key));
    return ed_hello_parse(&hello, data, sizeof(data)) == EDDY_OK &&
           ed_request_is_authentic(data, &key);
}

/** And with the token of a reset, as a client compares it. */
static bool reset_is_taken(size_t wrong)
{
    static const eddy_entropy entropy = {.fill = fill};
    eddy_config config = eddy_config_default();
    ed_identity *identity = ed_identity_create(&config, &entropy, 0, 0);
    eddy_address remote = ed_addr_ipv4(192, 0, 2, 7, 4242);
    uint8_t sent[ED_RESET_TOKEN_SIZE], again[ED_RESET_TOKEN_SIZE];

    CHECK("memory", identity != NULL);
    ed_identity_reset_token(identity, sent, 1, &remote);
    if (wrong != HONEST)
        sent[wrong] ^= 1;
    VALGRIND_MAKE_MEM_UNDEFINED(identity->reset, sizeof(identity->reset));
    ed_identity_reset_token(identity, again, 1, &remote);
    ed_identity_destroy(identity);
    return ed_equal_secret(sent, again, sizeof(sent));
}

/** And with the tag of a capsule, which a server opens with its token key. */
static bool capsule_is_taken(size_t wrong)
{
    ed_capsule_place here = {.protocol_id = 1, .server_id = 2};
    ed_capsule capsule = {.id = {4}, .issued_s = 1, .expires_s = 2, .psk = {5}};
    uint8_t key[ED_KEY_SIZE] = {6}, bytes[ED_CAPSULE_SIZE];

    ed_capsule_seal(bytes, &capsule, &here, key);
    if (wrong != HONEST)
        bytes[ED_CAPSULE_SIZE - ED_AEAD_TAG_SIZE + wrong] ^= 1;
    VALGRIND_MAKE_MEM_UNDEFINED(key, sizeof(key));
    return ed_capsule_open(&capsule, bytes, &here, key) == EDDY_OK;
}

/** And with the tag of a first message of Noise, which is answered if it is good. */
static bool noise_is_taken(ed_noise_pattern pattern, size_t wrong)
{
    struct noise_secrets s = noise_secrets_of(&noise_vectors[pattern]);
    ed_noise initiator = noise_initiator(&s);
    struct noise_message m = noise_says(&initiator, &s, NULL, 0);
    uint8_t keys[2][ED_KEY_SIZE];

    if (wrong != HONEST)
        m.data[m.size - ED_AEAD_TAG_SIZE + wrong] ^= 1;
    VALGRIND_MAKE_MEM_UNDEFINED(s.shared, sizeof(s.shared));
    VALGRIND_MAKE_MEM_UNDEFINED(s.responder.secret, sizeof(s.responder.secret));
    VALGRIND_MAKE_MEM_UNDEFINED(s.responder_ephemeral.secret, ED_KEY_SIZE);
    ed_noise responder = noise_responder(&s);
    if (!ed_noise_read(&responder, m.data, m.size))
        return false;
    (void)noise_says(&responder, &s, NULL, 0);
    ed_noise_split(&responder, keys[0], keys[1]);
    return true;
}

static bool nkpsk0_is_taken(size_t wrong)
{
    return noise_is_taken(ED_NOISE_NKPSK0, wrong);
}

static bool ikpsk1_is_taken(size_t wrong)
{
    return noise_is_taken(ED_NOISE_IKPSK1, wrong);
}

static bool nxpsk2_is_taken(size_t wrong)
{
    return noise_is_taken(ED_NOISE_NXPSK2, wrong);
}

static const struct {
    const char *name;
    bool (*is_taken)(size_t wrong);
} probes[] = {
    {"cookie", cookie_is_taken},   {"mac1", hello_is_taken},    {"reset", reset_is_taken},
    {"capsule", capsule_is_taken}, {"NKpsk0", nkpsk0_is_taken}, {"IKpsk1", ikpsk1_is_taken},
    {"NXpsk2", nxpsk2_is_taken},
};

static const size_t wrong_bytes[] = {HONEST, 0, ED_MAC_SIZE - 1};

/* ------------------------------------------------------------------------------------- tests -- */

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

/** Without this the others might look at something that compares nothing. */
static void each_probe_asks_about_a_secret(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(probes); i++)
        for (size_t wrong = 0; wrong < ED_COUNT(wrong_bytes); wrong++) {
            answered = 0;
            CHECK_EQ(probes[i].name, probes[i].is_taken(wrong_bytes[wrong]),
                     wrong_bytes[wrong] == HONEST);
            CHECK(probes[i].name, answered > 0);
        }
}

/** How often something goes where a secret says. */
static unsigned long long branches(size_t probe)
{
    unsigned long long before = VALGRIND_COUNT_ERRORS;

    for (size_t wrong = 0; wrong < ED_COUNT(wrong_bytes); wrong++)
        (void)probes[probe].is_taken(wrong_bytes[wrong]);
    return VALGRIND_COUNT_ERRORS - before;
}

static void nothing_branches_by_a_secret(void **state)
{
    (void)state;
    if (!RUNNING_ON_VALGRIND)
        skip();
    for (size_t i = 0; i < ED_COUNT(probes); i++)
        CHECK_EQ(probes[i].name, branches(i), 0);
}

static void one_that_is_naive_is_caught(void **state)
{
    (void)state;
    if (!RUNNING_ON_VALGRIND)
        skip();
    is_naive = true;
    for (size_t i = 0; i < ED_COUNT(probes); i++)
        CHECK(probes[i].name, branches(i) > 0);
    is_naive = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_probe_asks_about_a_secret),
        cmocka_unit_test(nothing_branches_by_a_secret),
        cmocka_unit_test(one_that_is_naive_is_caught),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
