/**
 * Keys, and the connect tokens that a backend gives to a game's clients. Part of <eddy.h>; a
 * backend that only issues tokens needs this header alone.
 *
 * Nothing here needs a manager, and every function may be called from any thread.
 */
#ifndef EDDY_KEYS_H
#define EDDY_KEYS_H

#include "eddy_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -------------------------------------------------------------------------------------- keys -- */

#define EDDY_KEY_SIZE 32

/** What a key is good for. Text and files say which kind they hold, so that none is mistaken. */
typedef enum eddy_key_kind {
    EDDY_KEY_SECRET = 1, /* of a server or a client, and never leaves it */
    EDDY_KEY_PUBLIC = 2, /* belongs to a secret one; may be known to all */
    EDDY_KEY_ROOM = 3,   /* known to all who may meet, and to nobody else */
    EDDY_KEY_ISSUER = 4, /* the backend's: makes tokens for all its servers */
    EDDY_KEY_TOKEN = 5, /* a server's, made from the issuer's: opens tokens for that server alone */
} eddy_key_kind;

typedef struct eddy_key {
    uint8_t bytes[EDDY_KEY_SIZE];
} eddy_key;

/** Draws a key from the operating system's randomness: of any kind but PUBLIC and TOKEN. */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_key_make(eddy_key *key);

/** The public key of a secret one. */
EDDY_API eddy_key eddy_key_public(const eddy_key *secret);

/** The token key of one of the issuer's servers, by the number that the backend gives it. */
EDDY_API eddy_key eddy_key_token(const eddy_key *issuer, uint64_t server_id);

#define EDDY_KEY_TEXT_SIZE 49 /* with its NUL */

/**
 * Writes the form that eddy_key_parse reads: 48 letters, digits, '-' and '_', with the kind and a
 * check of four letters in it, so that one that was mistyped or is of another kind is refused.
 * @return `text`.
 */
EDDY_API const char *eddy_key_print(const eddy_key *key, eddy_key_kind kind,
                                    char text[EDDY_KEY_TEXT_SIZE]);

/** @return EDDY_OK, or EDDY_EKEY with `*key` untouched. NULL is no key. */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_key_parse(eddy_key *key, eddy_key_kind kind,
                                                    const char *text);

/**
 * Reads a key from a file: its text, and nothing else but white space behind it.
 * @return EDDY_OK; EDDY_EFILE; EDDY_EEXPOSED if others than its owner may read or write it and it
 * is not PUBLIC; EDDY_EKEY. Then `*key` is untouched.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_key_load(eddy_key *key, eddy_key_kind kind,
                                                   const char *path);

/** Writes a new file, readable by its owner alone unless PUBLIC. @return EDDY_OK or EDDY_EFILE. */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_key_save(const eddy_key *key, eddy_key_kind kind,
                                                   const char *path);

/** Forgets a key, in a way that the compiler does not remove. */
EDDY_API void eddy_key_wipe(eddy_key *key);

/* ------------------------------------------------------------------------------------ tokens -- */

/*
 * A connect token says who may connect where, and until when. A backend that knows its players
 * issues one, hands it out over its own secure way, and the client gives it to eddy_connect_with.
 * It is a secret of its holder. Each server opens only what was sealed for it, and takes it once.
 */

enum {
    EDDY_TOKEN_SERVERS_MAX = 16,
    EDDY_TOKEN_DATA_MAX = 232,    /* bytes of the program's own that a token carries */
    EDDY_TOKEN_LIFE_S_MAX = 3600, /* 60-120 are plenty: it has to last until the client dials */
    EDDY_TOKEN_TEXT_MAX = 8972,   /* of a token's text, with its NUL */
};

/** A server that a token is good for, once. One with two addresses may stand there twice. */
typedef struct eddy_token_server {
    eddy_address address; /* where the client finds it; not a link-local one */
    eddy_key public_key;
    uint64_t server_id; /* as in eddy_key_token */
} eddy_token_server;

/** What a token grants. */
typedef struct eddy_token_grant {
    uint64_t protocol_id; /* as in eddy_config */
    uint64_t client_id;   /* the backend's own, for the server's program */
    uint64_t issued_s;    /* seconds since 1970-01-01 00:00 UTC */
    uint64_t expires_s;   /* later than issued, by at most EDDY_TOKEN_LIFE_S_MAX */
    const eddy_token_server *servers;
    size_t server_count;   /* 1 - EDDY_TOKEN_SERVERS_MAX */
    const void *user_data; /* for the server's program; sealed from the client. NULL: none */
    size_t user_data_size; /* at most EDDY_TOKEN_DATA_MAX */
} eddy_token_grant;

/**
 * Issues a token.
 * @param text room for EDDY_TOKEN_TEXT_MAX bytes; a NUL ends it. The form is base64url.
 * @return EDDY_OK; EDDY_EINVAL (a field of the grant); EDDY_ESYSTEM (no randomness).
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_token_issue(char text[EDDY_TOKEN_TEXT_MAX],
                                                      const eddy_token_grant *grant,
                                                      const eddy_key *issuer);

/** What everybody who holds a token can read. */
typedef struct eddy_token_info {
    uint64_t protocol_id;
    uint64_t issued_s;
    uint64_t expires_s;
    size_t server_count;
    eddy_token_server servers[EDDY_TOKEN_SERVERS_MAX];
} eddy_token_info;

/** @return EDDY_OK, or EDDY_ETOKEN with `*info` untouched. */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_token_inspect(eddy_token_info *info, const char *text);

/** What a token says of its holder. */
typedef struct eddy_token_claim {
    uint64_t client_id;
    uint64_t issued_s;
    uint64_t expires_s;
    size_t user_data_size;
    uint8_t user_data[EDDY_TOKEN_DATA_MAX];
} eddy_token_claim;

/**
 * Opens the part of a token that is for one server, as that does when the client connects.
 * @return EDDY_OK; EDDY_ETOKEN (altered, or not for this server and key); EDDY_EEXPIRED at `now_s`.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_token_verify(eddy_token_claim *claim, const char *text,
                                                       uint64_t server_id,
                                                       const eddy_key *token_key, uint64_t now_s);

#ifdef __cplusplus
}
#endif

#endif
