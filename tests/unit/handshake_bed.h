/** Two ends of a handshake in one mode, with all that they know. */
#ifndef ED_TEST_HANDSHAKE_BED_H
#define ED_TEST_HANDSHAKE_BED_H

#include "core/base.h"
#include "tests/support/check.h"
#include "tests/support/initiate.h"
#include "transport/handshake.h"
#include "transport/nonce.h"

enum {
    HANDSHAKE_ACCEPT_CLEAR_SIZE = 20, /* of ACCEPT, before Noise's message */
};

static const char *const handshake_mode_names[ED_MODE_COUNT] = {"OPEN", "PINNED", "MUTUAL",
                                                                "TOKEN"};

struct handshake_ends {
    ed_mode mode;
    ed_noise_pair client;
    ed_noise_pair server;
    uint8_t known[ED_KEY_SIZE];       /* what the client takes for the server's key */
    uint8_t client_room[ED_KEY_SIZE]; /* the room's key, or the token's */
    uint8_t server_room[ED_KEY_SIZE];
    uint8_t ephemeral; /* the secrets of ephemerals are made of this: fresh for each message */
    uint8_t capsule[ED_CAPSULE_SIZE];
    ed_initiate initiate;
    ed_accept accept;
};

/** X25519 ignores the three lowest bits of a secret: the seed is not in them. */
static inline ed_noise_pair handshake_pair(uint8_t seed)
{
    ed_noise_pair pair = {.secret = {8, seed, 3}};

    ed_x25519_public(pair.public_key, pair.secret);
    return pair;
}

/** Begins, with the same keys as every time. */
static inline void handshake_init(struct handshake_ends *ends, ed_mode mode)
{
    ed_nonce_forget();
    *ends = (struct handshake_ends){
        .mode = mode,
        .client = handshake_pair(1),
        .server = handshake_pair(2),
        .client_room = {5, 6},
        .server_room = {5, 6},
        .ephemeral = 1,
        .capsule = {8, [12] = 9, [355] = 10},
        .initiate = {.version = ED_PROTOCOL_VERSION,
                     .mode = (uint8_t)mode,
                     .suites = 0x06,
                     .protocol_id = UINT64_C(0x1122334455667788),
                     .nonce = {1, 2, 3, [15] = 16},
                     .cookie = {4, 5, [23] = 6},
                     .datagram_size = ED_DATAGRAM_SIZE,
                     .credit = 0x12345678,
                     .message_max = EDDY_PIECE_SIZE_MAX,
                     .client_time_us = 123456789,
                     .payload = {.data = (const uint8_t *)"let me in", .size = 9}},
        .accept = {.nonce = {1, 2, 3, [15] = 16},
                   .suite = ED_AEAD_CHACHA20,
                   .id = 0x0a000102,
                   .datagram_size = ED_DATAGRAM_SIZE,
                   .credit = 0x12345678,
                   .message_max = EDDY_PIECE_SIZE_MAX,
                   .idle_timeout_ms = 10000,
                   .server_time_us = 987654321,
                   .reset_token = {11, [15] = 12}},
    };
    memcpy(ends->known, ends->server.public_key, ED_KEY_SIZE);
    ends->initiate.capsule = mode == ED_MODE_TOKEN ? ends->capsule : NULL;
}

static inline ed_noise_keys handshake_client_keys(const struct handshake_ends *ends)
{
    return (ed_noise_keys){.own = ends->mode == ED_MODE_MUTUAL ? &ends->client : NULL,
                           .peer = ends->mode == ED_MODE_OPEN ? NULL : ends->known,
                           .shared = ends->client_room};
}

static inline ed_noise_keys handshake_server_keys(const struct handshake_ends *ends)
{
    return (ed_noise_keys){.own = &ends->server, .shared = ends->server_room};
}

/** The client's INITIATE, with an ephemeral of its own. */
static inline ed_noise handshake_initiate(struct handshake_ends *ends, uint8_t *data)
{
    ed_noise_keys keys = handshake_client_keys(ends);
    ed_noise noise;

    CHECK("INITIATE", ed_initiate_write(data, &ends->initiate, &noise,
                                        (uint8_t[ED_KEY_SIZE]){0x10, ends->ephemeral++}, &keys));
    return noise;
}

/** How a server takes an INITIATE; opened in place. */
static inline eddy_status handshake_take(const struct handshake_ends *ends, ed_initiate *initiate,
                                         ed_noise *noise, uint8_t *data, size_t size)
{
    ed_noise_keys keys = handshake_server_keys(ends);
    eddy_status status = ed_initiate_parse(initiate, data, size);

    return status == EDDY_OK ? ed_initiate_open(initiate, noise, data, &keys) : status;
}

/** Takes the client's own, which must be good. */
static inline ed_noise handshake_taken(const struct handshake_ends *ends, const uint8_t *data)
{
    uint8_t copy[ED_INITIATE_SIZE];
    ed_initiate initiate;
    ed_noise noise;

    memcpy(copy, data, sizeof(copy));
    CHECK_EQ(handshake_mode_names[ends->mode],
             handshake_take(ends, &initiate, &noise, copy, sizeof(copy)), EDDY_OK);
    return noise;
}

/** The server's ACCEPT, with an ephemeral of its own. @return its size. */
static inline size_t handshake_accept(struct handshake_ends *ends, ed_noise *noise, uint8_t *data)
{
    CHECK("ACCEPT", ed_accept_write(data, &ends->accept, noise, ends->mode,
                                    (uint8_t[ED_KEY_SIZE]){0x20, ends->ephemeral++}));
    return ed_accept_size(ends->mode);
}

/** Whether a client in the state of `noise` takes an ACCEPT; it stays as it is. */
static inline eddy_status handshake_opens(const struct handshake_ends *ends, ed_noise noise,
                                          ed_accept *accept, const uint8_t *data, size_t size)
{
    uint8_t copy[ED_DATAGRAM_SIZE + 1];

    if (size > sizeof(copy))
        return EDDY_ETOOBIG;
    memcpy(copy, data, size);
    return ed_accept_open(accept, &noise, ends->mode, ends->initiate.nonce, copy, size);
}

/** Noise as the client begins it. */
static inline ed_noise handshake_noise(const struct handshake_ends *ends, const uint8_t *data)
{
    return ed_initiate_noise(ends->mode, data, handshake_client_keys(ends));
}

#endif
