/**
 * Record protection: how packets and handshake replies are sealed and opened.
 *
 * Behind the interface stands, for now, the null suite alone: it hides nothing and keeps nobody
 * out. It writes a 16-byte SipHash tag under keys that an observer of the handshake can compute, so
 * that damage and strays are refused and every size is what it will be with real cryptography.
 */
#ifndef ED_PROTECT_H
#define ED_PROTECT_H

#include "core/crypto.h"
#include "transport/limits.h"

/** Who a packet is for; each direction has a key of its own. */
typedef enum ed_direction {
    ED_TO_SERVER = 0,
    ED_TO_CLIENT = 1,
} ed_direction;

typedef struct ed_key {
    uint8_t mac_key[ED_MAC_KEY_SIZE];
} ed_key;

typedef struct ed_keys {
    ed_key packet[2]; /* by ed_direction */
} ed_keys;

/** The key of ACCEPT, from what both ends know when INITIATE has been sent. */
ed_key ed_protect_accept_key(const uint8_t client_nonce[ED_NONCE_SIZE],
                             const uint8_t client_ephemeral[ED_EPHEMERAL_SIZE]);

/** The keys of packets, once both ephemerals are known. */
ed_keys ed_protect_packet_keys(const uint8_t client_nonce[ED_NONCE_SIZE],
                               const uint8_t client_ephemeral[ED_EPHEMERAL_SIZE],
                               const uint8_t server_ephemeral[ED_EPHEMERAL_SIZE]);

/**
 * Seals `data[header_size .. size)` in place and appends the tag; the header is authenticated too.
 * `data` has room for ED_TAG_SIZE more bytes. A number is used once with a key.
 */
void ed_protect_seal(const ed_key *key, uint64_t number, uint8_t *data, size_t header_size,
                     size_t size);

/**
 * Opens in place. `size` includes the tag. @return false, with the contents undefined, if it is not
 * authentic.
 */
EDDY_MUST_CHECK bool ed_protect_open(const ed_key *key, uint64_t number, uint8_t *data,
                                     size_t header_size, size_t size);

#endif
