#include "core/crypto.h"

#include <sodium.h>

#include "core/base.h"
#include "core/reader.h"

static_assert(ED_MAC_KEY_SIZE == crypto_shorthash_siphash24_KEYBYTES, "the key of SipHash");
static_assert(ED_MAC_KEY_SIZE == crypto_shorthash_siphashx24_KEYBYTES, "the key of SipHash");
static_assert(ED_MAC_SIZE == crypto_shorthash_siphashx24_BYTES, "the long result of SipHash");

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
