/** Two ends of a Noise handshake, set up as a published vector says. */
#ifndef ED_TEST_NOISE_BED_H
#define ED_TEST_NOISE_BED_H

#include "tests/support/hex.h"
#include "tests/unit/noise_vectors.h"
#include "transport/nonce.h"

enum { NOISE_ROOM = 1200 };

/** All that the two ends know, before they begin. */
struct noise_secrets {
    ed_noise_pattern pattern;
    uint8_t prologue[NOISE_ROOM];
    size_t prologue_size;
    uint8_t shared[ED_KEY_SIZE];
    ed_noise_pair initiator;
    ed_noise_pair responder;
    uint8_t known[ED_KEY_SIZE]; /* what the initiator takes for the responder's public key */
    ed_noise_pair initiator_ephemeral;
    ed_noise_pair responder_ephemeral;
};

/** A message with room for what stands around the payload. */
struct noise_message {
    uint8_t data[NOISE_ROOM];
    size_t size;
};

static inline ed_noise_pair noise_pair(const char *secret)
{
    ed_noise_pair pair;

    CHECK_EQ("size of a key", hex_read(pair.secret, ED_KEY_SIZE, secret), ED_KEY_SIZE);
    ed_x25519_public(pair.public_key, pair.secret);
    return pair;
}

static inline struct noise_secrets noise_secrets_of(const struct noise_vector *v)
{
    struct noise_secrets s = {.pattern = v->pattern,
                              .initiator = noise_pair(v->parties->initiator),
                              .responder = noise_pair(v->parties->responder),
                              .initiator_ephemeral = noise_pair(v->parties->initiator_ephemeral),
                              .responder_ephemeral = noise_pair(v->parties->responder_ephemeral)};

    s.prologue_size = hex_read(s.prologue, sizeof(s.prologue), v->prologue);
    CHECK_EQ("shared", hex_read(s.shared, sizeof(s.shared), v->parties->shared), ED_KEY_SIZE);
    memcpy(s.known, s.responder.public_key, ED_KEY_SIZE);
    return s;
}

static inline ed_span noise_prologue(const struct noise_secrets *s)
{
    return (ed_span){.data = s->prologue, .size = s->prologue_size};
}

/**
 * Begins a handshake, which may use the keys of an earlier one again: so do the vectors.
 * @param ahead NULL: nothing was reckoned.
 */
static inline ed_noise noise_initiator_with(const struct noise_secrets *s,
                                            const ed_noise_ahead *ahead)
{
    ed_noise noise;
    ed_noise_keys keys = {.own = s->pattern == ED_NOISE_IKPSK1 ? &s->initiator : NULL,
                          .peer = s->pattern == ED_NOISE_NXPSK2 ? NULL : s->known,
                          .shared = s->shared,
                          .ahead = ahead};

    ed_nonce_forget();
    ed_noise_init(&noise, s->pattern, true, noise_prologue(s), &keys);
    return noise;
}

static inline ed_noise noise_initiator(const struct noise_secrets *s)
{
    return noise_initiator_with(s, NULL);
}

static inline ed_noise noise_responder(const struct noise_secrets *s)
{
    ed_noise noise;
    ed_noise_keys keys = {.own = &s->responder, .shared = s->shared};

    ed_noise_init(&noise, s->pattern, false, noise_prologue(s), &keys);
    return noise;
}

/** What the end whose turn it is says, with this payload. */
static inline struct noise_message noise_says(ed_noise *noise, const struct noise_secrets *s,
                                              const void *payload, size_t payload_size)
{
    const ed_noise_pair *ephemeral =
        noise->is_initiator ? &s->initiator_ephemeral : &s->responder_ephemeral;
    size_t head_size = ed_noise_head_size(s->pattern, noise->message);
    struct noise_message m = {.size = head_size + payload_size + ED_AEAD_TAG_SIZE};

    CHECK("room", m.size <= sizeof(m.data));
    if (payload_size > 0)
        memcpy(m.data + head_size, payload, payload_size);
    CHECK("written", ed_noise_write(noise, ephemeral->secret, m.data, payload_size));
    return m;
}

/** Whether an end in the state of `noise` would take the message; the end itself stays as it is. */
static inline bool noise_takes(ed_noise noise, struct noise_message m)
{
    return ed_noise_read(&noise, m.data, m.size);
}

#endif
