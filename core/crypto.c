#include "core/crypto.h"

#include <sodium.h>
#include <string.h>

#include "core/base.h"
#include "core/reader.h"

enum {
    BLAKE2B_STACK_SIZE = 2048, /* what libsodium's takes at most, and some more */
};

static_assert(ED_MAC_KEY_SIZE == crypto_shorthash_siphash24_KEYBYTES, "the key of SipHash");
static_assert(ED_MAC_KEY_SIZE == crypto_shorthash_siphashx24_KEYBYTES, "the key of SipHash");
static_assert(ED_MAC_SIZE == crypto_shorthash_siphashx24_BYTES, "the long result of SipHash");
static_assert(ED_KEY_SIZE == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "a cipher's key");
static_assert(ED_KEY_SIZE == crypto_aead_aes256gcm_KEYBYTES, "a cipher's key");
static_assert(ED_KEY_SIZE == crypto_scalarmult_curve25519_BYTES, "a key of X25519");
static_assert(ED_AEAD_NONCE_SIZE == crypto_aead_chacha20poly1305_ietf_NPUBBYTES, "its nonce");
static_assert(ED_AEAD_NONCE_SIZE == crypto_aead_aes256gcm_NPUBBYTES, "its nonce");
static_assert(ED_AEAD_TAG_SIZE == crypto_aead_chacha20poly1305_ietf_ABYTES, "its tag");
static_assert(ED_XNONCE_SIZE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "the long nonce");

eddy_status ed_crypto_init(void)
{
    return sodium_init() < 0 ? EDDY_ESYSTEM : EDDY_OK;
}

uint64_t ed_hash64(const uint8_t key[ED_MAC_KEY_SIZE], const void *data, size_t size)
{
    uint8_t hash[crypto_shorthash_siphash24_BYTES];

    crypto_shorthash_siphash24(hash, data, size, key);
    ed_reader r = ed_reader_of(hash, sizeof(hash));
    return ed_read_u64(&r); // the same number on every byte order
}

void ed_mac(uint8_t mac[ED_MAC_SIZE], const uint8_t key[ED_MAC_KEY_SIZE], const void *data,
            size_t size)
{
    crypto_shorthash_siphashx24(mac, data, size, key);
}

void ed_blake2b(uint8_t *out, size_t out_size, const void *data, size_t size, const void *key,
                size_t key_size)
{
    ED_ASSERT(out_size >= crypto_generichash_blake2b_BYTES_MIN);
    ED_ASSERT(out_size <= crypto_generichash_blake2b_BYTES_MAX);
    ED_ASSERT(key_size <= crypto_generichash_blake2b_KEYBYTES_MAX);
    ED_ASSERT((key == NULL) == (key_size == 0));

    int result = crypto_generichash_blake2b(out, out_size, data, size, key, key_size);
    ED_ASSERT(result == 0); // it refuses wrong sizes alone
    if (key != NULL)
        sodium_stackzero(BLAKE2B_STACK_SIZE); // the library leaves its result there
}

void ed_blake2b_two(uint8_t *out, size_t out_size, const void *first, size_t first_size,
                    const void *second, size_t second_size)
{
    crypto_generichash_blake2b_state state;

    int result = crypto_generichash_blake2b_init(&state, NULL, 0, out_size);
    ED_ASSERT(result == 0);
    (void)crypto_generichash_blake2b_update(&state, first, first_size);
    (void)crypto_generichash_blake2b_update(&state, second, second_size);
    (void)crypto_generichash_blake2b_final(&state, out, out_size);
    ed_wipe(&state, sizeof(state));
}

bool ed_aead_available(ed_aead aead)
{
    return aead == ED_AEAD_CHACHA20 ||
           (aead == ED_AEAD_AES256 && crypto_aead_aes256gcm_is_available() == 1);
}

// The key schedule of AES takes 40 ns: not worth 512 bytes of every connection to keep.
void ed_aead_seal(ed_aead aead, const uint8_t key[ED_KEY_SIZE],
                  const uint8_t nonce[ED_AEAD_NONCE_SIZE], const void *header, size_t header_size,
                  uint8_t *data, size_t size)
{
    int result = aead == ED_AEAD_AES256
                     ? crypto_aead_aes256gcm_encrypt(data, NULL, data, size, header, header_size,
                                                     NULL, nonce, key)
                     : crypto_aead_chacha20poly1305_ietf_encrypt(data, NULL, data, size, header,
                                                                 header_size, NULL, nonce, key);

    ED_ASSERT(ed_aead_available(aead) && result == 0);
}

bool ed_aead_open(ed_aead aead, const uint8_t key[ED_KEY_SIZE],
                  const uint8_t nonce[ED_AEAD_NONCE_SIZE], const void *header, size_t header_size,
                  uint8_t *data, size_t size)
{
    int result = aead == ED_AEAD_AES256
                     ? crypto_aead_aes256gcm_decrypt(data, NULL, NULL, data, size, header,
                                                     header_size, nonce, key)
                     : crypto_aead_chacha20poly1305_ietf_decrypt(data, NULL, NULL, data, size,
                                                                 header, header_size, nonce, key);

    return result == 0; // nor if there is no whole tag
}

void ed_xaead_seal(const uint8_t key[ED_KEY_SIZE], const uint8_t nonce[ED_XNONCE_SIZE],
                   const void *header, size_t header_size, uint8_t *data, size_t size)
{
    int result = crypto_aead_xchacha20poly1305_ietf_encrypt(data, NULL, data, size, header,
                                                            header_size, NULL, nonce, key);

    ED_ASSERT(result == 0);
}

bool ed_xaead_open(const uint8_t key[ED_KEY_SIZE], const uint8_t nonce[ED_XNONCE_SIZE],
                   const void *header, size_t header_size, uint8_t *data, size_t size)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt(data, NULL, NULL, data, size, header,
                                                      header_size, nonce, key) == 0;
}

bool ed_x25519(uint8_t shared[ED_KEY_SIZE], const uint8_t secret[ED_KEY_SIZE],
               const uint8_t public_key[ED_KEY_SIZE])
{
    return crypto_scalarmult_curve25519(shared, secret, public_key) == 0;
}

bool ed_x25519_takes(const uint8_t public_key[ED_KEY_SIZE])
{
    // Every encoding there is, but for the topmost bit, which RFC 7748 ignores.
    static const uint8_t low_order[][ED_KEY_SIZE] = {
        {0}, // 0
        {1}, // 1
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
         0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
         0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00}, // of order 8
        {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
         0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
         0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57}, // another
        {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, // p - 1
        {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, // p
        {0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, // p + 1
    };
    uint8_t point[ED_KEY_SIZE];

    memcpy(point, public_key, sizeof(point));
    point[ED_KEY_SIZE - 1] &= 0x7f;
    for (size_t i = 0; i < ED_COUNT(low_order); i++)
        if (memcmp(point, low_order[i], sizeof(point)) == 0)
            return false;
    return true;
}

void ed_x25519_public(uint8_t public_key[ED_KEY_SIZE], const uint8_t secret[ED_KEY_SIZE])
{
    int result = crypto_scalarmult_curve25519_base(public_key, secret);

    ED_ASSERT(result == 0);
}

void ed_base64_write(char *text, const void *data, size_t size)
{
    (void)sodium_bin2base64(text, ED_BASE64_SIZE(size), data, size,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool ed_base64_read(void *data, size_t capacity, size_t *size, const char *text, size_t text_size)
{
    size_t read = 0;

    // libsodium 1.0.18 takes some bytes above 127 for letters where char has a sign.
    for (size_t i = 0; i < text_size; i++)
        if ((uint8_t)text[i] > 127)
            return false;
    if (sodium_base642bin(data, capacity, text, text_size, NULL, &read, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return false;
    *size = read;
    return true;
}

bool ed_equal_secret(const void *a, const void *b, size_t size)
{
    return sodium_memcmp(a, b, size) == 0;
}

void ed_wipe(void *data, size_t size)
{
    sodium_memzero(data, size);
}

static void system_fill(void *context, void *data, size_t size)
{
    (void)context;
    randombytes_buf(data, size);
}

const eddy_entropy *ed_entropy_system(void)
{
    static const eddy_entropy entropy = {.fill = system_fill};

    return &entropy;
}
