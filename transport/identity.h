/**
 * Who a manager is: its long-term secrets and what is made of them, in memory of its own
 * (core/secret.h), with the secrets of its connections behind.
 */
#ifndef ED_IDENTITY_H
#define ED_IDENTITY_H

#include "transport/capsule.h"
#include "transport/cookie.h"
#include "transport/opening.h"
#include "transport/protect.h"

/** What a connection has to keep from others. */
typedef struct ed_secrets {
    ed_opening *opening; /* before has_keys; else NULL */
    bool has_keys;
    union {
        uint8_t shared[ED_KEY_SIZE]; /* from dialling on, until there is a connection */
        ed_keys keys;                /* once has_keys */
    };
} ed_secrets;

/** An INITIATE that was let in: what a connection is made of. Kept as an identity is. */
typedef struct ed_admitted {
    ed_initiate initiate;
    ed_noise noise;
    ed_capsule capsule;          /* mode TOKEN; otherwise zeros */
    uint8_t origin[ED_MAC_SIZE]; /* ed_reliable_origin() */
} ed_admitted;

typedef struct ed_identity {
    uint64_t presence;             /* not 0; but in a child of the process, as all here */
    ed_noise_pair pair;            /* the server's, or in mode MUTUAL the client's */
    bool has_public;               /* both halves; else ed_identity_pair makes the public one */
    ed_greeting_key greeting;      /* of our public key */
    ed_greeting_key open_greeting; /* of mode OPEN */
    uint8_t room[ED_KEY_SIZE];     /* zeros: none */
    uint8_t token[ED_KEY_SIZE];
    uint8_t reset[ED_KEY_SIZE];
    uint8_t tickets[ED_MAC_KEY_SIZE]; /* drawn anew with each start */
    ed_cookie_jar cookies;
    uint32_t slot_count;
    ed_secrets secrets[]; /* by number of slot; and behind them as many openings, by none */
} ed_identity;

/** @return NULL without memory. A key that the configuration does not have is drawn. */
ed_identity *ed_identity_create(const eddy_config *config, const eddy_entropy *entropy,
                                uint32_t slot_count, uint64_t now_ns);

/**
 * Our pair, to be shown. A key that was drawn for a manager that only dials has its public half
 * made here: most clients never show it. Of the thread that dials alone.
 */
const ed_noise_pair *ed_identity_pair(ed_identity *identity);

/** The first of as many openings as there are slots. */
ed_opening *ed_identity_openings(ed_identity *identity);

/** Wipes it all. NULL is fine. */
void ed_identity_destroy(ed_identity *identity);

/** The key of HELLO and its answers in a mode. */
static inline const ed_greeting_key *ed_identity_greeting(const ed_identity *identity, uint8_t mode)
{
    return mode == ED_MODE_OPEN ? &identity->open_greeting : &identity->greeting;
}

/**
 * What a server that has lost its state shows to a client at that address. The port counts: ids
 * come again, and others behind the same NAT must not know the token of one that is not theirs.
 */
void ed_identity_reset_token(const ed_identity *identity, uint8_t token[ED_RESET_TOKEN_SIZE],
                             uint32_t id, const eddy_address *client);

#endif
