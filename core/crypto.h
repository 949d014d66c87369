/** The only user of libsodium: what eddy needs of it, by eddy's names. */
#ifndef ED_CRYPTO_H
#define ED_CRYPTO_H

#include "core/eddy.h"

enum {
    ED_MAC_KEY_SIZE = 16,
    ED_MAC_SIZE = 16,
};

/** Must succeed once before anything else here is called; any thread, any number of times. */
EDDY_MUST_CHECK eddy_status ed_crypto_init(void);

/** SipHash-2-4 with 64-bit result. */
uint64_t ed_hash64(const uint8_t key[ED_MAC_KEY_SIZE], const void *data, size_t size);

/** SipHash-2-4 with 128-bit result. */
void ed_mac(uint8_t mac[ED_MAC_SIZE], const uint8_t key[ED_MAC_KEY_SIZE], const void *data,
            size_t size);

/** BLAKE2b; `out_size` 16-64; `key` may be NULL with `key_size` 0. */
void ed_blake2b(uint8_t *out, size_t out_size, const void *data, size_t size, const void *key,
                size_t key_size);

/** Whether the bytes are equal, in a time that does not depend on them. */
bool ed_equal_secret(const void *a, const void *b, size_t size);

/** Zeroes memory in a way that the compiler does not remove. */
void ed_wipe(void *data, size_t size);

/** The operating system's randomness. */
const eddy_entropy *ed_entropy_system(void);

#endif
