/**
 * The key log of a build that is made for it (scons keylog=1): whoever has it can read what those
 * connections said, to debug the protocol. In every other build there is nothing of it.
 *
 * The environment variable EDDY_KEYLOG names a file, which gets a line for each direction and each
 * of its keys; one that others than its owner may read or write gets none:
 *
 *     EDDY1 NONCE to-server|to-client EPOCH SECRET
 *
 * with the client's nonce of the handshake and the secret (PROTOCOL.md section 2) in hexadecimal.
 * A direction's epoch counts its keys, from 0. Both ends write the same lines.
 */
#ifndef ED_KEYLOG_H
#define ED_KEYLOG_H

#include "core/crypto.h"
#include "transport/limits.h"

struct ed_keys;

#ifdef ED_KEYLOG

/** Whose keys they are. Zeroed: nobody's, and not logged. */
typedef struct ed_keylog {
    bool is_on;
    bool is_client;
    uint8_t nonce[ED_NONCE_SIZE];
    uint64_t send_epoch;
    uint64_t receive_epoch;
} ed_keylog;

/** A handshake has made these two secrets. */
void ed_keylog_start(struct ed_keys *keys, bool is_client, const uint8_t nonce[ED_NONCE_SIZE],
                     const uint8_t to_server[ED_KEY_SIZE], const uint8_t to_client[ED_KEY_SIZE]);

/** What is sent, or received, goes on with the key of this secret. */
void ed_keylog_send(struct ed_keys *keys, const uint8_t secret[ED_KEY_SIZE]);
void ed_keylog_receive(struct ed_keys *keys, const uint8_t secret[ED_KEY_SIZE]);

#else

static inline void ed_keylog_start(struct ed_keys *keys, bool is_client, const uint8_t *nonce,
                                   const uint8_t *to_server, const uint8_t *to_client)
{
    (void)keys;
    (void)is_client;
    (void)nonce;
    (void)to_server;
    (void)to_client;
}

static inline void ed_keylog_send(struct ed_keys *keys, const uint8_t *secret)
{
    (void)keys;
    (void)secret;
}

static inline void ed_keylog_receive(struct ed_keys *keys, const uint8_t *secret)
{
    (void)keys;
    (void)secret;
}

#endif

#endif
