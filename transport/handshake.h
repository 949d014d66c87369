/**
 * The datagrams of the handshake: PROTOCOL.md section 3. Layout and sealing only; who may say what,
 * and when, is decided in admission.c (server) and conn_handshake.c (client). greeting.c has what
 * comes before keys, handshake.c the two messages of Noise.
 */
#ifndef ED_HANDSHAKE_H
#define ED_HANDSHAKE_H

#include "core/writer.h"
#include "transport/limits.h"
#include "transport/noise.h"

/** How the two ends prove who they are. The bit 1 << mode is the eddy_mode. */
typedef enum ed_mode {
    ED_MODE_OPEN = 0,
    ED_MODE_PINNED = 1,
    ED_MODE_MUTUAL = 2,
    ED_MODE_TOKEN = 3,
    ED_MODE_COUNT
} ed_mode;

/* ---------------------------------------------------------------------------------- greeting -- */

/** Proves to a server that a stranger knows its public key, and the other way round. */
typedef struct ed_greeting_key {
    uint8_t mac_key[ED_MAC_KEY_SIZE];
} ed_greeting_key;

/** @param public_key the server's; NULL in mode OPEN, where nobody knows it. */
ed_greeting_key ed_greeting_key_of(const uint8_t *public_key);

typedef struct ed_hello {
    uint32_t version;
    uint8_t mode;
    uint8_t version_count; /* 1-8 */
    uint32_t versions[ED_VERSIONS_MAX];
    uint64_t protocol_id;
    uint8_t nonce[ED_NONCE_SIZE];
} ed_hello;

/**
 * Checks size and structure, not the mac. Of a version that is not ours only what is the same in
 * all of them is read: version, mode and nonce. EDDY_ETRUNCATED or EDDY_EPROTO.
 */
EDDY_MUST_CHECK eddy_status ed_hello_parse(ed_hello *hello, const void *data, size_t size);

/** Whether its sender knows the key, of a HELLO or INITIATE that was parsed. */
EDDY_MUST_CHECK bool ed_request_is_authentic(const void *data, const ed_greeting_key *key);

/**
 * Pads a HELLO or INITIATE up to its mac. Zeros are taken for an attack by some filters, so it
 * looks random.
 */
void ed_request_pad(ed_writer *w, const uint8_t nonce[ED_NONCE_SIZE]);

/** Gives a HELLO or INITIATE the mac at its end. */
void ed_request_sign(uint8_t *data, const ed_greeting_key *key);

/** Writes exactly ED_HELLO_SIZE bytes; the padding is made from the nonce and looks random. */
void ed_hello_write(uint8_t *data, const ed_hello *hello, const ed_greeting_key *key);

typedef struct ed_retry {
    uint32_t version;
    uint8_t cookie[ED_COOKIE_SIZE];
    bool is_to_hello; /* not to an INITIATE, */
    size_t refused;   /* of which this is the cookie, of those that were shown */
} ed_retry;

/**
 * @param nonce the client's own: the tag is over it.
 * @param shown the cookies in the client's INITIATEs, one behind the other: a RETRY to one of them
 * is bound to its cookie.
 * @return EDDY_ETRUNCATED, EDDY_EPROTO, or EDDY_EAUTH if it is not an answer to that client by who
 * has the key.
 */
EDDY_MUST_CHECK eddy_status ed_retry_parse(ed_retry *retry, const void *data, size_t size,
                                           const uint8_t nonce[ED_NONCE_SIZE],
                                           const ed_greeting_key *key, const uint8_t *shown,
                                           size_t shown_count);
/** Exactly ED_RETRY_SIZE bytes. @param shown the cookie that is refused; NULL: it is to HELLO. */
void ed_retry_write(uint8_t *data, const ed_retry *retry, const uint8_t nonce[ED_NONCE_SIZE],
                    const ed_greeting_key *key, const uint8_t *shown);

/** A hint, not sealed, why there is no answer: the client goes on asking. */
typedef struct ed_reject {
    uint32_t version;
    uint8_t refusal; /* eddy_refusal */
} ed_reject;

/** As ed_retry_parse. */
EDDY_MUST_CHECK eddy_status ed_reject_parse(ed_reject *reject, const void *data, size_t size,
                                            const uint8_t nonce[ED_NONCE_SIZE],
                                            const ed_greeting_key *key);
/** Exactly ED_REJECT_SIZE bytes. */
void ed_reject_write(uint8_t *data, const ed_reject *reject, const uint8_t nonce[ED_NONCE_SIZE],
                     const ed_greeting_key *key);

/** The answer to a request of a version that the server does not speak. A hint, too. */
typedef struct ed_versions {
    uint8_t count; /* 1-ED_VERSIONS_TOLD_MAX */
    uint32_t versions[ED_VERSIONS_TOLD_MAX];
} ed_versions;

/** As ed_retry_parse. */
EDDY_MUST_CHECK eddy_status ed_versions_parse(ed_versions *versions, const void *data, size_t size,
                                              const uint8_t nonce[ED_NONCE_SIZE],
                                              const ed_greeting_key *key);
/** Exactly ED_VERSIONS_SIZE bytes. */
void ed_versions_write(uint8_t *data, const ed_versions *versions,
                       const uint8_t nonce[ED_NONCE_SIZE], const ed_greeting_key *key);

/* ---------------------------------------------------------------------------------- messages -- */

typedef struct ed_initiate {
    uint32_t version;
    uint8_t mode;
    uint8_t suites; /* a mask: bit n for ed_aead n */
    uint64_t protocol_id;
    uint8_t nonce[ED_NONCE_SIZE];
    uint8_t cookie[ED_COOKIE_SIZE];
    const uint8_t *capsule;               /* mode TOKEN: ED_CAPSULE_SIZE bytes; else NULL */
    uint8_t ephemeral[ED_EPHEMERAL_SIZE]; /* read only: its public key */
    /* sealed: */
    uint16_t datagram_size; /* the largest that the client takes */
    uint32_t credit;        /* bytes of charge that the server may send at first */
    uint32_t message_max;   /* the largest message that the client takes */
    uint64_t client_time_us;
    ed_span payload; /* up to EDDY_CONNECT_PAYLOAD_MAX bytes; read, it points into the datagram */
} ed_initiate;

/**
 * Reads what stands in the clear, as ed_hello_parse does; the mac and the cookie are the caller's
 * to check before ed_initiate_open.
 */
EDDY_MUST_CHECK eddy_status ed_initiate_parse(ed_initiate *initiate, const void *data, size_t size);

/**
 * Opens the sealed part of one that was parsed, in place.
 * @param keys `shared` is what both ends share: it is bound to cookie, nonce and capsule here.
 * @return EDDY_OK, with `noise` ready to write ACCEPT; EDDY_EAUTH or EDDY_EPROTO.
 */
EDDY_MUST_CHECK eddy_status ed_initiate_open(ed_initiate *initiate, ed_noise *noise, uint8_t *data,
                                             const ed_noise_keys *keys);

/** Reads all of one that was opened before. */
void ed_initiate_read_opened(ed_initiate *initiate, const void *data);

/**
 * Writes exactly ED_INITIATE_SIZE bytes; the same fields and ephemeral give the same bytes.
 * @return false if the server's key is none.
 */
EDDY_MUST_CHECK bool ed_initiate_write(uint8_t *data, const ed_initiate *initiate, ed_noise *noise,
                                       const uint8_t ephemeral_secret[ED_KEY_SIZE],
                                       const ed_noise_keys *keys);

enum { ED_ACCEPT_NONCE_AT = 4 };

typedef struct ed_accept {
    uint8_t nonce[ED_NONCE_SIZE];
    /* sealed: */
    uint8_t refusal; /* eddy_refusal; 0: accepted */
    uint8_t suite;   /* ed_aead */
    uint32_t id;     /* that the client puts into its packets */
    uint16_t datagram_size;
    uint32_t credit;      /* bytes of charge that the client may send at first */
    uint32_t message_max; /* the largest message that the server takes */
    uint32_t idle_timeout_ms;
    uint64_t server_time_us;
    uint8_t reset_token[ED_RESET_TOKEN_SIZE];
    uint8_t ticket[ED_COOKIE_SIZE]; /* zeros: none */
    /* of a refusal, in place of all behind the suite: */
    uint32_t code;
    uint8_t reason_size;
    char reason[EDDY_REASON_SIZE]; /* the rest is zeros */
} ed_accept;

/** The size of ACCEPT in a mode. */
size_t ed_accept_size(ed_mode mode);

/**
 * Opens in place, with the handshake that wrote INITIATE, which is over if this fails.
 * @param nonce the client's. @return EDDY_ETRUNCATED, EDDY_EAUTH or EDDY_EPROTO.
 */
EDDY_MUST_CHECK eddy_status ed_accept_open(ed_accept *accept, ed_noise *noise, ed_mode mode,
                                           const uint8_t nonce[ED_NONCE_SIZE], uint8_t *data,
                                           size_t size);

/** Writes ed_accept_size() bytes. @return false if the client's key is none. */
EDDY_MUST_CHECK bool ed_accept_write(uint8_t *data, const ed_accept *accept, ed_noise *noise,
                                     ed_mode mode, const uint8_t ephemeral_secret[ED_KEY_SIZE]);

#endif
