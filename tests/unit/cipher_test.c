/** Published vectors of the ciphers and of X25519; crypto_test.c has the hashes. */
#include "tests/support/hex.h"

#include "core/base.h"
#include "core/crypto.h"
#include "tests/unit/x25519_points.h"

enum { ROOM = 160 };

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

/* ----------------------------------------------------------------------- sealing and opening -- */

enum cipher { CHACHA20 = ED_AEAD_CHACHA20, AES256 = ED_AEAD_AES256, XCHACHA20 };

/**
 * RFC 8439; draft-irtf-cfrg-xchacha; McGrew and Viega, "The Galois/Counter Mode of Operation",
 * appendix B. The first two are also in github.com/C2SP/wycheproof, testvectors_v1.
 */
static const struct aead_row {
    const char *name;
    enum cipher cipher;
    const char *key;
    const char *nonce;
    const char *header;
    const char *payload;
    const char *sealed;
} aead_rows[] = {
    {"RFC 8439, 2.8.2", CHACHA20,
     "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647",
     "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
     "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
     "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
     "637265656e20776f756c642062652069742e",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
     "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
     "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
     "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd060"
     "0691"},
    {"draft-irtf-cfrg-xchacha, A.3.1", XCHACHA20,
     "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "404142434445464748494a4b4c4d4e4f5051525354555657", "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
     "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
     "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
     "637265656e20776f756c642062652069742e",
     "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
     "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
     "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
     "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780a"
     "cf49"},
    {"GCM, test case 13", AES256,
     "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"GCM, test case 16", AES256,
     "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece"
     "0f4e1768cddf8853bb2d551b"},
};

/** A row in bytes. */
struct box {
    enum cipher cipher;
    uint8_t key[ED_KEY_SIZE];
    uint8_t nonce[ED_XNONCE_SIZE];
    uint8_t header[ROOM];
    size_t header_size;
    uint8_t payload[ROOM];
    size_t payload_size;
    uint8_t sealed[ROOM];
    size_t sealed_size;
};

static struct box box_of(const struct aead_row *row)
{
    struct box b = {.cipher = row->cipher};

    CHECK_EQ(row->name, hex_read(b.key, sizeof(b.key), row->key), ED_KEY_SIZE);
    CHECK_EQ(row->name, hex_read(b.nonce, sizeof(b.nonce), row->nonce),
             row->cipher == XCHACHA20 ? ED_XNONCE_SIZE : ED_AEAD_NONCE_SIZE);
    b.header_size = hex_read(b.header, sizeof(b.header), row->header);
    b.payload_size = hex_read(b.payload, sizeof(b.payload), row->payload);
    b.sealed_size = hex_read(b.sealed, sizeof(b.sealed), row->sealed);
    return b;
}

static bool is_available(enum cipher cipher)
{
    return cipher == XCHACHA20 || ed_aead_available((ed_aead)cipher);
}

static void seal(const struct box *b, uint8_t *data)
{
    memcpy(data, b->payload, b->payload_size);
    if (b->cipher == XCHACHA20)
        ed_xaead_seal(b->key, b->nonce, b->header, b->header_size, data, b->payload_size);
    else
        ed_aead_seal((ed_aead)b->cipher, b->key, b->nonce, b->header, b->header_size, data,
                     b->payload_size);
}

static bool open(struct box *b)
{
    return b->cipher == XCHACHA20 ? ed_xaead_open(b->key, b->nonce, b->header, b->header_size,
                                                  b->sealed, b->sealed_size)
                                  : ed_aead_open((ed_aead)b->cipher, b->key, b->nonce, b->header,
                                                 b->header_size, b->sealed, b->sealed_size);
}

static void ciphers_give_the_published_results(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(aead_rows); i++) {
        const char *name = aead_rows[i].name;
        struct box b = box_of(&aead_rows[i]);
        uint8_t data[ROOM];

        if (!is_available(b.cipher))
            continue;
        CHECK_EQ(name, b.sealed_size, b.payload_size + ED_AEAD_TAG_SIZE);
        seal(&b, data);
        CHECK_BYTES(name, data, b.sealed, b.sealed_size);
        CHECK(name, open(&b));
        CHECK_BYTES(name, b.sealed, b.payload, b.payload_size);
    }
}

/** Every bit of `bytes`, which is part of the box, counts. */
static void check_bits(const char *name, struct box *b, uint8_t *bytes, size_t size)
{
    for (size_t bit = 0; bit < 8 * size; bit++) {
        struct box before = *b;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(name, !open(b));
        *b = before;
    }
}

static void ciphers_refuse_any_bit_flipped(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(aead_rows); i++) {
        struct box b = box_of(&aead_rows[i]);

        if (!is_available(b.cipher))
            continue;
        check_bits("key", &b, b.key, sizeof(b.key));
        check_bits("nonce", &b, b.nonce,
                   b.cipher == XCHACHA20 ? ED_XNONCE_SIZE : ED_AEAD_NONCE_SIZE);
        check_bits("header", &b, b.header, b.header_size);
        check_bits("sealed", &b, b.sealed, b.sealed_size);
    }
}

static void ciphers_refuse_any_other_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(aead_rows); i++)
        for (size_t size = 0; is_available(aead_rows[i].cipher) && size < ROOM; size++) {
            struct box b = box_of(&aead_rows[i]);
            size_t whole = b.sealed_size;
            b.sealed_size = size;
            CHECK_EQ(aead_rows[i].name, open(&b), size == whole);
        }
}

static void only_known_ciphers_are_available(void **state)
{
    (void)state;
    CHECK("the one that all machines have", ed_aead_available(ED_AEAD_CHACHA20));
    CHECK("none", !ed_aead_available((ed_aead)0));
    CHECK("one from the future", !ed_aead_available((ed_aead)3));
}

/* ------------------------------------------------------------------------------------ x25519 -- */

/** RFC 7748: the two of section 5.2, then both ends of section 6.1. */
static void x25519_gives_the_published_results(void **state)
{
    static const struct {
        const char *name;
        const char *secret;
        const char *public_key;
        const char *shared;
    } rows[] = {
        {"5.2, first", "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
         "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
         "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
        {"5.2, second", "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
         "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
         "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
        {"6.1, Alice", "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
         "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
         "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
        {"6.1, Bob", "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
         "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
         "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t secret[ED_KEY_SIZE], public_key[ED_KEY_SIZE], want[ED_KEY_SIZE], got[ED_KEY_SIZE];

        (void)hex_read(secret, sizeof(secret), rows[i].secret);
        (void)hex_read(public_key, sizeof(public_key), rows[i].public_key);
        (void)hex_read(want, sizeof(want), rows[i].shared);
        CHECK(rows[i].name, ed_x25519(got, secret, public_key));
        CHECK_BYTES(rows[i].name, got, want, ED_KEY_SIZE);
        if (i < 2)
            continue;
        // The public key of one row is of the secret key of the other.
        (void)hex_read(want, sizeof(want), rows[5 - i].public_key);
        ed_x25519_public(got, secret);
        CHECK_BYTES(rows[i].name, got, want, ED_KEY_SIZE);
    }
}

static void x25519_refuses_points_of_low_order(void **state)
{
    uint8_t secret[ED_KEY_SIZE], point[ED_KEY_SIZE], want[ED_KEY_SIZE], got[ED_KEY_SIZE];

    (void)state;
    (void)hex_read(secret, sizeof(secret), x25519_points_secret);
    for (size_t i = 0; i < ED_COUNT(x25519_points); i++) {
        const char *shared = x25519_points[i].shared;

        (void)hex_read(point, sizeof(point), x25519_points[i].key);
        CHECK_EQ(x25519_points[i].name, ed_x25519(got, secret, point), shared != NULL);
        CHECK_EQ(x25519_points[i].name, ed_x25519_takes(point), shared != NULL);
        if (shared == NULL)
            continue;
        (void)hex_read(want, sizeof(want), shared);
        CHECK_BYTES(x25519_points[i].name, got, want, ED_KEY_SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ciphers_give_the_published_results),
        cmocka_unit_test(ciphers_refuse_any_bit_flipped),
        cmocka_unit_test(ciphers_refuse_any_other_size),
        cmocka_unit_test(only_known_ciphers_are_available),
        cmocka_unit_test(x25519_gives_the_published_results),
        cmocka_unit_test(x25519_refuses_points_of_low_order),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
