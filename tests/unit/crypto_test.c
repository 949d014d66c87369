#include "tests/support/check.h"

#include "core/base.h"
#include "core/crypto.h"
#include "core/reader.h"

enum { INPUT_SIZE = 64 };

static uint8_t counted[INPUT_SIZE]; /* 00 01 02 ...: key and input of the published vectors */

static int set_up(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < INPUT_SIZE; i++)
        counted[i] = i;
    return ed_crypto_init() == EDDY_OK && ed_crypto_init() == EDDY_OK ? 0 : -1;
}

/** SipHash-2-4, from vectors.h of its reference implementation. */
static void siphash_gives_the_published_results(void **state)
{
    static const struct {
        size_t size;
        uint8_t hash[8];
        uint8_t mac[ED_MAC_SIZE];
    } rows[] = {
        {0,
         {0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72},
         {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
          0x93}},
        {1,
         {0xfd, 0x67, 0xdc, 0x93, 0xc5, 0x39, 0xf8, 0x74},
         {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
          0x45}},
        {2,
         {0x5a, 0x4f, 0xa9, 0xd9, 0x09, 0x80, 0x6c, 0x0d},
         {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff,
          0xe4}},
        {15,
         {0xe5, 0x45, 0xbe, 0x49, 0x61, 0xca, 0x29, 0xa1},
         {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3,
          0xd9}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t mac[ED_MAC_SIZE];
        ed_reader r = ed_reader_of(rows[i].hash, sizeof(rows[i].hash));
        CHECK_EQ("64 bits", ed_hash64(counted, counted, rows[i].size), ed_read_u64(&r));
        ed_mac(mac, counted, counted, rows[i].size);
        CHECK_BYTES("128 bits", mac, rows[i].mac, sizeof(mac));
    }
}

/** BLAKE2b: RFC 7693 appendix A, and blake2b-kat of its reference implementation. */
static void blake2b_gives_the_published_results(void **state)
{
    static const struct {
        const char *name;
        const char *input;
        size_t key_size;
        size_t out_size;
        uint8_t out[64];
    } rows[] = {
        {"abc", "abc", 0, 64, {0xba, 0x80, 0xa5, 0x3f, 0x98, 0x1c, 0x4d, 0x0d, 0x6a, 0x27, 0x97,
                               0xb6, 0x9f, 0x12, 0xf6, 0xe9, 0x4c, 0x21, 0x2f, 0x14, 0x68, 0x5a,
                               0xc4, 0xb7, 0x4b, 0x12, 0xbb, 0x6f, 0xdb, 0xff, 0xa2, 0xd1, 0x7d,
                               0x87, 0xc5, 0x39, 0x2a, 0xab, 0x79, 0x2d, 0xc2, 0x52, 0xd5, 0xde,
                               0x45, 0x33, 0xcc, 0x95, 0x18, 0xd3, 0x8a, 0xa8, 0xdb, 0xf1, 0x92,
                               0x5a, 0xb9, 0x23, 0x86, 0xed, 0xd4, 0x00, 0x99, 0x23}},
        {"empty, keyed", "", 64, 64, {0x10, 0xeb, 0xb6, 0x77, 0x00, 0xb1, 0x86, 0x8e, 0xfb, 0x44,
                                      0x17, 0x98, 0x7a, 0xcf, 0x46, 0x90, 0xae, 0x9d, 0x97, 0x2f,
                                      0xb7, 0xa5, 0x90, 0xc2, 0xf0, 0x28, 0x71, 0x79, 0x9a, 0xaa,
                                      0x47, 0x86, 0xb5, 0xe9, 0x96, 0xe8, 0xf0, 0xf4, 0xeb, 0x98,
                                      0x1f, 0xc2, 0x14, 0xb0, 0x05, 0xf4, 0x2d, 0x2f, 0xf4, 0x23,
                                      0x34, 0x99, 0x39, 0x16, 0x53, 0xdf, 0x7a, 0xef, 0xcb, 0xc1,
                                      0x3f, 0xc5, 0x15, 0x68}},
        {"empty, 256 bits", "", 0, 32, {0x0e, 0x57, 0x51, 0xc0, 0x26, 0xe5, 0x43, 0xb2,
                                        0xe8, 0xab, 0x2e, 0xb0, 0x60, 0x99, 0xda, 0xa1,
                                        0xd1, 0xe5, 0xdf, 0x47, 0x77, 0x8f, 0x77, 0x87,
                                        0xfa, 0xab, 0x45, 0xcd, 0xf1, 0x2f, 0xe3, 0xa8}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t out[64];
        ed_blake2b(out, rows[i].out_size, rows[i].input, strlen(rows[i].input),
                   rows[i].key_size == 0 ? NULL : counted, rows[i].key_size);
        CHECK_BYTES(rows[i].name, out, rows[i].out, rows[i].out_size);
    }
}

/** Two pieces, wherever they are cut, hash as the whole does. */
static void blake2b_of_two_is_that_of_both(void **state)
{
    uint8_t whole[64], got[64];

    (void)state;
    for (size_t size = 16; size <= sizeof(got); size += 16) {
        ed_blake2b(whole, size, counted, INPUT_SIZE, NULL, 0);
        for (size_t cut = 0; cut <= INPUT_SIZE; cut++) {
            ed_blake2b_two(got, size, counted, cut, counted + cut, INPUT_SIZE - cut);
            CHECK_BYTES("two", got, whole, size);
        }
    }
}

static void no_data_is_hashed_as_empty(void **state)
{
    uint8_t of_null[ED_MAC_SIZE], of_empty[ED_MAC_SIZE];

    (void)state;
    CHECK_EQ("hash", ed_hash64(counted, NULL, 0), ed_hash64(counted, "", 0));
    ed_mac(of_null, counted, NULL, 0);
    ed_mac(of_empty, counted, "", 0);
    CHECK_BYTES("mac", of_null, of_empty, ED_MAC_SIZE);
    ed_blake2b(of_null, ED_MAC_SIZE, NULL, 0, NULL, 0);
    ed_blake2b(of_empty, ED_MAC_SIZE, "", 0, NULL, 0);
    CHECK_BYTES("blake2b", of_null, of_empty, ED_MAC_SIZE);
    ed_blake2b_two(of_null, ED_MAC_SIZE, NULL, 0, NULL, 0);
    CHECK_BYTES("blake2b of two", of_null, of_empty, ED_MAC_SIZE);
}

static void secrets_are_compared_and_wiped_to_the_last_byte(void **state)
{
    uint8_t a[INPUT_SIZE], b[INPUT_SIZE];

    (void)state;
    for (size_t i = 0; i < INPUT_SIZE; i++) {
        memcpy(a, counted, sizeof(a));
        memcpy(b, counted, sizeof(b));
        CHECK("equal", ed_equal_secret(a, b, INPUT_SIZE));
        b[i] ^= 0x80;
        CHECK("different", !ed_equal_secret(a, b, INPUT_SIZE));
        CHECK("equal before", ed_equal_secret(a, b, i));
        memset(a, 0xff, sizeof(a));
        ed_wipe(a, i);
        for (size_t at = 0; at < INPUT_SIZE; at++)
            CHECK_EQ("wiped", a[at], at < i ? 0 : 0xff);
    }
}

static void the_system_gives_different_bytes_each_time(void **state)
{
    uint8_t first[32] = {0}, second[32] = {0};
    const eddy_entropy *entropy = ed_entropy_system();

    (void)state;
    entropy->fill(entropy->context, first, sizeof(first));
    entropy->fill(entropy->context, second, sizeof(second));
    CHECK("different", memcmp(first, second, sizeof(first)) != 0);
    // A quarter that was not filled would be all zero; by chance that is one in 2^64.
    for (size_t i = 0; i < sizeof(first); i += 8)
        CHECK("filled", memcmp(first + i, (uint8_t[8]){0}, 8) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_gives_the_published_results),
        cmocka_unit_test(blake2b_gives_the_published_results),
        cmocka_unit_test(blake2b_of_two_is_that_of_both),
        cmocka_unit_test(no_data_is_hashed_as_empty),
        cmocka_unit_test(secrets_are_compared_and_wiped_to_the_last_byte),
        cmocka_unit_test(the_system_gives_different_bytes_each_time),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
