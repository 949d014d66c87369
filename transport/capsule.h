/**
 * The part of a connect token that is for one server: sealed with that server's token key, which
 * its issuer makes for it (eddy_key_token), and opened by it alone.
 *
 * 356 bytes, little-endian:
 *
 *     key id 4 (0) | expires 8 | nonce 24 | sealed 304 | tag 16
 *
 * sealed with XChaCha20-Poly1305, the nonce, and as associated data
 *
 *     "eddytok1" | protocol id 8 | server id 8 | key id 4 | expires 8
 *
 * are
 *
 *     client id 8 | issued 8 | psk 32 | size of the user data 1 | zeros 23 | user data 232
 *
 * where what the user data leaves free is zeros, and psk = BLAKE2b-256(the token's psk, server id 8
 * | nonce 24) is what client and server share. Times are seconds since 1970. The nonce is drawn at
 * random: it is also the token's id for this server.
 */
#ifndef ED_CAPSULE_H
#define ED_CAPSULE_H

#include "core/crypto.h"
#include "transport/limits.h"

/** What a capsule says. A secret, because of the psk: to be wiped. */
typedef struct ed_capsule {
    uint8_t id[ED_XNONCE_SIZE];
    uint64_t client_id;
    uint64_t issued_s;
    uint64_t expires_s; /* later than issued, by at most EDDY_TOKEN_LIFE_S_MAX */
    uint8_t psk[ED_KEY_SIZE];
    uint8_t user_data_size;
    uint8_t user_data[EDDY_TOKEN_DATA_MAX];
} ed_capsule;

/** Where a capsule is good, as both of its ends know it. */
typedef struct ed_capsule_place {
    uint64_t protocol_id;
    uint64_t server_id;
} ed_capsule_place;

void ed_capsule_seal(uint8_t bytes[ED_CAPSULE_SIZE], const ed_capsule *capsule,
                     const ed_capsule_place *place, const uint8_t token_key[ED_KEY_SIZE]);

/**
 * Opens one, whether it has expired or not.
 * @return EDDY_OK, or EDDY_ETOKEN with `*capsule` untouched: altered, or not for that place and
 * key.
 */
EDDY_MUST_CHECK eddy_status ed_capsule_open(ed_capsule *capsule,
                                            const uint8_t bytes[ED_CAPSULE_SIZE],
                                            const ed_capsule_place *place,
                                            const uint8_t token_key[ED_KEY_SIZE]);

/** EDDY_OK; EDDY_EEXPIRED before its time (but for ED_TOKEN_CLOCK_S) or at its end and later. */
EDDY_MUST_CHECK eddy_status ed_capsule_judge(const ed_capsule *capsule, uint64_t now_s);

/** When the capsule says that it expires. It does not take a key to see. */
uint64_t ed_capsule_expires_s(const uint8_t bytes[ED_CAPSULE_SIZE]);

/** The id of the capsule, which does not take a key to see. @return ED_XNONCE_SIZE bytes in it. */
const uint8_t *ed_capsule_id(const uint8_t bytes[ED_CAPSULE_SIZE]);

/** What client and server share, of what the token has for all its servers. */
void ed_capsule_psk(uint8_t psk[ED_KEY_SIZE], const uint8_t token_psk[ED_KEY_SIZE],
                    uint64_t server_id, const uint8_t id[ED_XNONCE_SIZE]);

#endif
