/** The four handshake datagrams: PROTOCOL.md section 3. Layout only; who may say what, and when, is
 * decided in reliable.c (server) and conn_handshake.c (client). */
#ifndef ED_HANDSHAKE_H
#define ED_HANDSHAKE_H

#include "core/reader.h"
#include "transport/protect.h"

/** How the two ends prove who they are. Only the plain mode exists yet. */
enum {
    ED_MODE_PLAIN = 0x7f,
    ED_SUITE_NULL_BIT = 0x80, /* in INITIATE's mask of suites */
    ED_SUITE_NULL = 7,        /* its number, in ACCEPT */
};

typedef struct ed_hello {
    uint32_t version;
    uint8_t mode;
    uint8_t version_count; /* 1-8 */
    uint32_t versions[ED_VERSIONS_MAX];
    uint64_t protocol_id;
    uint8_t nonce[ED_NONCE_SIZE];
} ed_hello;

/** Checks size, mac1 and structure. EDDY_ETRUNCATED, EDDY_EAUTH or EDDY_EPROTO. */
EDDY_MUST_CHECK eddy_status ed_hello_parse(ed_hello *hello, const void *data, size_t size);

/** Writes exactly ED_HELLO_SIZE bytes; the padding is made from the nonce and looks random. */
void ed_hello_write(uint8_t *data, const ed_hello *hello);

typedef struct ed_retry {
    uint32_t version;
    uint8_t nonce[ED_NONCE_SIZE];
    uint8_t cookie[ED_COOKIE_SIZE];
} ed_retry;

EDDY_MUST_CHECK eddy_status ed_retry_parse(ed_retry *retry, const void *data, size_t size);
void ed_retry_write(uint8_t *data, const ed_retry *retry); /* exactly ED_RETRY_SIZE bytes */

typedef struct ed_initiate {
    uint32_t version;
    uint8_t mode;
    uint8_t suites; /* a mask */
    uint64_t protocol_id;
    uint8_t nonce[ED_NONCE_SIZE];
    uint8_t cookie[ED_COOKIE_SIZE];
    uint8_t ephemeral[ED_EPHEMERAL_SIZE];
    /* sealed: */
    uint16_t datagram_size; /* the largest that the client takes */
    uint32_t credit;        /* bytes of charge that the server may send at first */
    uint32_t message_max;   /* the largest message that the client takes */
    uint64_t client_time_us;
    ed_span payload; /* up to EDDY_CONNECT_PAYLOAD_MAX bytes; read, it points into the datagram */
} ed_initiate;

/** Reads what stands in the clear; the cookie is the caller's to check before ed_initiate_open. */
EDDY_MUST_CHECK eddy_status ed_initiate_parse(ed_initiate *initiate, const void *data, size_t size);

/** Opens the sealed part, in place. EDDY_EAUTH or EDDY_EPROTO. */
EDDY_MUST_CHECK eddy_status ed_initiate_open(ed_initiate *initiate, uint8_t *data, size_t size);

/** Reads all of one that ed_initiate_parse and ed_initiate_open took before. */
void ed_initiate_read_opened(ed_initiate *initiate, const void *data, size_t size);

/** Writes exactly ED_INITIATE_SIZE bytes; the same fields give the same bytes. */
void ed_initiate_write(uint8_t *data, const ed_initiate *initiate);

typedef struct ed_accept {
    uint8_t nonce[ED_NONCE_SIZE];
    uint8_t ephemeral[ED_EPHEMERAL_SIZE]; /* the server's */
    /* sealed: */
    uint8_t refusal; /* eddy_refusal; 0: accepted */
    uint8_t suite;
    uint32_t id; /* that the client puts into its packets */
    uint16_t datagram_size;
    uint32_t credit;      /* bytes of charge that the client may send at first */
    uint32_t message_max; /* the largest message that the server takes */
    uint32_t idle_timeout_ms;
    uint64_t server_time_us;
    /* of a refusal, in place of all behind the suite: */
    uint32_t code;
    uint8_t reason_size;
    char reason[EDDY_REASON_SIZE]; /* the rest is zeros */
} ed_accept;

/** Opens in place with the key of ACCEPT. EDDY_ETRUNCATED, EDDY_EAUTH or EDDY_EPROTO. */
EDDY_MUST_CHECK eddy_status ed_accept_open(ed_accept *accept, const ed_key *key, uint8_t *data,
                                           size_t size);

/** The nonce alone, to find whose it is before opening. */
EDDY_MUST_CHECK eddy_status ed_accept_peek(uint8_t nonce[ED_NONCE_SIZE], const void *data,
                                           size_t size);

void ed_accept_write(uint8_t *data, const ed_accept *accept, const ed_key *key); /* 204 bytes */

#endif
