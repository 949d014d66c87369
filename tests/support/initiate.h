/** Noise in INITIATE, made once more by PROTOCOL.md section 3.3, without the code that is tested.
 */
#ifndef ED_TEST_INITIATE_H
#define ED_TEST_INITIATE_H

#include <string.h>

#include "transport/handshake.h"

enum {
    ED_INITIATE_CLEAR_SIZE = 56,   /* before the capsule */
    ED_INITIATE_MAC_AT = 1184,     /* behind Noise's message, and padding */
    ED_INITIATE_SEALED_SIZE = 326, /* of the payload, without its tag */
    ED_INITIATE_PADDING_AT = 430,  /* in mode PINNED */
};

/** Where Noise's message begins. */
static inline size_t ed_initiate_message_at(ed_mode mode)
{
    return ED_INITIATE_CLEAR_SIZE + (mode == ED_MODE_TOKEN ? (size_t)ED_CAPSULE_SIZE : 0);
}

static inline size_t ed_initiate_payload_at(ed_mode mode)
{
    return ed_initiate_message_at(mode) + ED_KEY_SIZE +
           (mode == ED_MODE_MUTUAL ? (size_t)ED_NOISE_STATIC_SIZE : 0);
}

/** Where it ends, and padding begins. */
static inline size_t ed_initiate_message_end(ed_mode mode)
{
    return ed_initiate_payload_at(mode) + ED_INITIATE_SEALED_SIZE + ED_TAG_SIZE;
}

static inline ed_noise_pattern ed_initiate_pattern(ed_mode mode)
{
    return mode == ED_MODE_OPEN     ? ED_NOISE_NXPSK2
           : mode == ED_MODE_MUTUAL ? ED_NOISE_IKPSK1
                                    : ED_NOISE_NKPSK0;
}

/** Noise as the client begins it for the datagram whose clear part stands at `data`. */
static inline ed_noise ed_initiate_noise(ed_mode mode, const uint8_t *data, ed_noise_keys keys)
{
    uint8_t prologue[8 + ED_INITIATE_CLEAR_SIZE + ED_CAPSULE_SIZE] = "eddy-v1";
    uint8_t bound_to[8 + ED_COOKIE_SIZE + ED_NONCE_SIZE + ED_XNONCE_SIZE] = "eddy psk";
    uint8_t shared[ED_KEY_SIZE];
    size_t size = ed_initiate_message_at(mode);
    ed_noise noise;

    memcpy(prologue + 8, data, size);
    memcpy(bound_to + 8, data + 32, ED_COOKIE_SIZE);
    memcpy(bound_to + 8 + ED_COOKIE_SIZE, data + 16, ED_NONCE_SIZE);
    if (mode == ED_MODE_TOKEN)
        memcpy(bound_to + 8 + ED_COOKIE_SIZE + ED_NONCE_SIZE, data + ED_INITIATE_CLEAR_SIZE + 12,
               ED_XNONCE_SIZE);
    ed_blake2b(shared, sizeof(shared), bound_to, sizeof(bound_to), keys.shared, ED_KEY_SIZE);
    keys.shared = shared;
    ed_noise_init(&noise, ed_initiate_pattern(mode), true,
                  (ed_span){.data = prologue, .size = 8 + size}, &keys);
    return noise;
}

#endif
