/**
 * Proof that a stranger receives what is sent to its address, without remembering the stranger
 * (RFC 9000 section 8.1 has the idea). PROTOCOL.md section 3.2 has the bytes.
 */
#ifndef ED_COOKIE_H
#define ED_COOKIE_H

#include "transport/handshake.h"

typedef struct ed_cookie_jar {
    uint8_t secret[2][ED_MAC_KEY_SIZE]; /* by the low bit of the epoch */
    uint64_t epoch;                     /* of the newest secret */
} ed_cookie_jar;

/** Draws the first secrets. */
void ed_cookie_init(ed_cookie_jar *jar, const eddy_entropy *entropy, uint64_t now_ns);

/** Renews the secret when its time is over. */
void ed_cookie_rotate(ed_cookie_jar *jar, const eddy_entropy *entropy, uint64_t now_ns);

void ed_cookie_make(const ed_cookie_jar *jar, uint8_t cookie[ED_COOKIE_SIZE], const ed_hello *hello,
                    const eddy_address *remote, uint64_t now_ns);

/** Whether this server gave the cookie to this client at this address a short while ago. */
EDDY_MUST_CHECK bool ed_cookie_check(const ed_cookie_jar *jar, const ed_initiate *initiate,
                                     const eddy_address *remote, uint64_t now_ns);

/** Makes what only says when it was made, for ed_cookie_is_older. */
void ed_cookie_stamp(uint8_t cookie[ED_COOKIE_SIZE], uint64_t now_ns);

/** Whether the same server gave `cookie` before `than`, by a tick of its clock at least. */
bool ed_cookie_is_older(const uint8_t cookie[ED_COOKIE_SIZE], const uint8_t than[ED_COOKIE_SIZE]);

#endif
