/**
 * Noise handshakes of two messages: 25519, ChaChaPoly and BLAKE2b, each with a pre-shared key
 * ("The Noise Protocol Framework", revision 34). One interpreter runs the patterns from a table.
 * Messages are written and read in place; an ephemeral key comes from the caller, and must be fresh
 * for each handshake and message content.
 */
#ifndef ED_NOISE_H
#define ED_NOISE_H

#include "core/crypto.h"
#include "core/reader.h"

typedef enum ed_noise_pattern {
    ED_NOISE_NKPSK0, /* the responder's key is known; the key shared before proves the initiator */
    ED_NOISE_IKPSK1, /* both ends have keys */
    ED_NOISE_NXPSK2, /* the responder's key is told: trust on first use */
    ED_NOISE_PATTERN_COUNT
} ed_noise_pattern;

enum {
    ED_NOISE_HASH_SIZE = 64,
    ED_NOISE_STATIC_SIZE = ED_KEY_SIZE + ED_AEAD_TAG_SIZE, /* of a static key in a message */
};

/** A pair of X25519. */
typedef struct ed_noise_pair {
    uint8_t secret[ED_KEY_SIZE];
    uint8_t public_key[ED_KEY_SIZE];
} ed_noise_pair;

/** What an initiator that knows the responder's key can reckon before all else is known. Secret. */
typedef struct ed_noise_ahead {
    ed_noise_pair ephemeral;
    uint8_t secret[ED_KEY_SIZE]; /* of that and the responder's static key */
} ed_noise_ahead;

/** What an end brings along. All is copied. */
typedef struct ed_noise_keys {
    const ed_noise_pair *own; /* NKPSK0: the responder's; IKPSK1: each; NXPSK2: the responder's */
    const uint8_t *peer;      /* the initiator's knowledge of the responder's; else NULL */
    const uint8_t *shared;    /* NULL: zeros */
    const ed_noise_ahead *ahead; /* NULL: nothing was reckoned */
} ed_noise_keys;

/** A handshake that goes on. Secret: to be wiped when done. */
typedef struct ed_noise {
    uint8_t chaining_key[ED_NOISE_HASH_SIZE];
    uint8_t hash[ED_NOISE_HASH_SIZE];
    uint8_t key[ED_KEY_SIZE];
    uint8_t shared[ED_KEY_SIZE];
    ed_noise_pair own;
    ed_noise_pair ephemeral;
    uint8_t peer[ED_KEY_SIZE]; /* its static key */
    union {
        uint8_t peer_ephemeral[ED_KEY_SIZE];
        uint8_t ahead[ED_KEY_SIZE]; /* before there is one: of ed_noise_ahead the secret, */
    };
    uint8_t pattern;
    uint8_t message; /* 0 or 1: the next; 2: done */
    bool is_initiator;
    bool is_ahead; /* if this holds */
    bool has_key;  /* that has sealed nothing yet: each seals one thing */
} ed_noise;

/** @return false if the responder's key is of low order. */
EDDY_MUST_CHECK bool ed_noise_reckon_ahead(ed_noise_ahead *ahead,
                                           const uint8_t ephemeral_secret[ED_KEY_SIZE],
                                           const uint8_t peer[ED_KEY_SIZE]);

/** Begins, with all that both ends must agree on in the prologue. */
void ed_noise_init(ed_noise *noise, ed_noise_pattern pattern, bool is_initiator, ed_span prologue,
                   const ed_noise_keys *keys);

/** Bytes in front of the payload of message 0 or 1; behind it stands a tag. */
size_t ed_noise_head_size(ed_noise_pattern pattern, unsigned message);

/**
 * Writes the next message at `data`, with the payload standing at `data + ed_noise_head_size`, and
 * its tag behind it. What was reckoned ahead is of this ephemeral. @return false if the other's key
 * is of low order: nothing may be sent then.
 */
EDDY_MUST_CHECK bool ed_noise_write(ed_noise *noise, const uint8_t ephemeral_secret[ED_KEY_SIZE],
                                    uint8_t *data, size_t payload_size);

/**
 * Reads the next message; its payload is opened in place. `size` is of the whole message.
 * @return false if it is not authentic, or a key in it is of low order: the handshake is then over.
 */
EDDY_MUST_CHECK bool ed_noise_read(ed_noise *noise, uint8_t *data, size_t size);

/** Once both messages are through: the keys of what follows. */
void ed_noise_split(const ed_noise *noise, uint8_t from_initiator[ED_KEY_SIZE],
                    uint8_t from_responder[ED_KEY_SIZE]);

/** Noise's HKDF (section 4.3), of `count` results (1-3) of ED_NOISE_HASH_SIZE bytes each. */
void ed_noise_hkdf(uint8_t *results, unsigned count, const uint8_t key[ED_NOISE_HASH_SIZE],
                   const void *input, size_t input_size);

#endif
