/**
 * Connect tokens: text that a backend issues (eddy_keys.h), and what a client takes from it.
 *
 * The text is base64url without padding of, little-endian:
 *
 *     "EDTK" 4 | version 4 (1) | protocol id 8 | issued 8 | expires 8 | number of servers 1 |
 *     flags 1 (0) | zeros 6 | psk 32
 *
 * and for each of 1-16 servers
 *
 *     family 1 (4 or 6) | zero 1 | port 2 | ip 16 | server id 8 | public key 32 | capsule 356
 *
 * An IPv4 address has its bytes first, then zeros. Link-local addresses are refused: the scope that
 * they need means nothing on another machine. transport/capsule.h has the capsule.
 */
#ifndef ED_TOKEN_H
#define ED_TOKEN_H

#include "transport/capsule.h"

/** What a client shows to one server, and shares with it. A secret: to be wiped. */
typedef struct ed_pass {
    eddy_address address;
    uint8_t public_key[ED_KEY_SIZE];
    uint8_t psk[ED_KEY_SIZE];
    uint8_t capsule[ED_CAPSULE_SIZE];
    uint64_t protocol_id;
    uint64_t expires_s;
    size_t server_count; /* of the token */
} ed_pass;

/**
 * Takes what a token has for its server number `index`, from 0.
 * @return EDDY_OK; EDDY_ETOKEN; EDDY_EINVAL: it has no server of that number. Then `*pass` is
 * untouched.
 */
EDDY_MUST_CHECK eddy_status ed_token_pick(ed_pass *pass, const char *text, size_t index);

/** eddy_token_issue with randomness from elsewhere. */
EDDY_MUST_CHECK eddy_status ed_token_issue(char text[EDDY_TOKEN_TEXT_MAX],
                                           const eddy_token_grant *grant, const eddy_key *issuer,
                                           const eddy_entropy *entropy);

#endif
