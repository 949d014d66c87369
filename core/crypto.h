/** The only user of libsodium: what eddy needs of it, by eddy's names. */
#ifndef ED_CRYPTO_H
#define ED_CRYPTO_H

#include "core/eddy.h"

enum {
    ED_MAC_KEY_SIZE = 16,
    ED_MAC_SIZE = 16,
    ED_KEY_SIZE = 32, /* of a cipher, of X25519, and of a pre-shared key */
    ED_AEAD_TAG_SIZE = 16,
    ED_AEAD_NONCE_SIZE = 12,
    ED_XNONCE_SIZE = 24,
};

/** The ciphers of packets. */
typedef enum ed_aead {
    ED_AEAD_CHACHA20 = 1, /* ChaCha20-Poly1305 (RFC 8439) */
    ED_AEAD_AES256 = 2,   /* AES-256-GCM (NIST SP 800-38D); only where the CPU has it */
} ed_aead;

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

/** The same, without a key, of two pieces one behind the other. */
void ed_blake2b_two(uint8_t *out, size_t out_size, const void *first, size_t first_size,
                    const void *second, size_t second_size);

/** Whether this machine has the cipher. */
bool ed_aead_available(ed_aead aead);

/** Seals `size` bytes in place and writes the tag behind them; `header` is authenticated, too. */
void ed_aead_seal(ed_aead aead, const uint8_t key[ED_KEY_SIZE],
                  const uint8_t nonce[ED_AEAD_NONCE_SIZE], const void *header, size_t header_size,
                  uint8_t *data, size_t size);

/**
 * Opens in place; `size` is with the tag. @return false if it is not authentic: the data are then
 * undefined.
 */
EDDY_MUST_CHECK bool ed_aead_open(ed_aead aead, const uint8_t key[ED_KEY_SIZE],
                                  const uint8_t nonce[ED_AEAD_NONCE_SIZE], const void *header,
                                  size_t header_size, uint8_t *data, size_t size);

/** The same two of XChaCha20-Poly1305, whose nonce is long enough to be drawn at random. */
void ed_xaead_seal(const uint8_t key[ED_KEY_SIZE], const uint8_t nonce[ED_XNONCE_SIZE],
                   const void *header, size_t header_size, uint8_t *data, size_t size);
EDDY_MUST_CHECK bool ed_xaead_open(const uint8_t key[ED_KEY_SIZE],
                                   const uint8_t nonce[ED_XNONCE_SIZE], const void *header,
                                   size_t header_size, uint8_t *data, size_t size);

/** X25519 (RFC 7748). @return false if the result is all zeros: the other's key is of low order. */
EDDY_MUST_CHECK bool ed_x25519(uint8_t shared[ED_KEY_SIZE], const uint8_t secret[ED_KEY_SIZE],
                               const uint8_t public_key[ED_KEY_SIZE]);

/** Whether ed_x25519 takes the other's key, at the price of a look: it is not of low order. */
EDDY_MUST_CHECK bool ed_x25519_takes(const uint8_t public_key[ED_KEY_SIZE]);

/** The public key of a secret one. */
void ed_x25519_public(uint8_t public_key[ED_KEY_SIZE], const uint8_t secret[ED_KEY_SIZE]);

/** The size of bytes as base64url without padding (RFC 4648 section 5), and a NUL. */
#define ED_BASE64_SIZE(SIZE) (((SIZE)*4 + 2) / 3 + 1)

/** Writes that form; `text` has room for ED_BASE64_SIZE(size). */
void ed_base64_write(char *text, const void *data, size_t size);

/**
 * Reads it. @return whether all of `text` is of that form, in the one spelling that its bytes have,
 * and they fit `capacity`; otherwise `data` holds anything, and `*size` is untouched.
 */
EDDY_MUST_CHECK bool ed_base64_read(void *data, size_t capacity, size_t *size, const char *text,
                                    size_t text_size);

/** Whether the bytes are equal, in a time that does not depend on them. */
bool ed_equal_secret(const void *a, const void *b, size_t size);

/** Zeroes memory in a way that the compiler does not remove. */
void ed_wipe(void *data, size_t size);

/** The operating system's randomness. */
const eddy_entropy *ed_entropy_system(void);

#endif
