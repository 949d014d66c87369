/**
 * Watches that no key ever seals two different things under one nonce: in test builds, over the
 * keys of the whole process, also across reconnects and restarts in a simulated world. Nothing in
 * release builds.
 */
#ifndef ED_NONCE_H
#define ED_NONCE_H

#include "core/crypto.h"

#ifdef ED_PARANOID

/**
 * Ends the process unless `number` is higher than all that were used with this key, or the same
 * contents again.
 */
void ed_nonce_used(const uint8_t key[ED_KEY_SIZE], uint64_t number, const void *data, size_t size);

/** Forgets everything: a world begins again with the same seed. */
void ed_nonce_forget(void);

#else

static inline void ed_nonce_used(const uint8_t *key, uint64_t number, const void *data, size_t size)
{
    (void)key;
    (void)number;
    (void)data;
    (void)size;
}

static inline void ed_nonce_forget(void)
{
}

#endif

#endif
