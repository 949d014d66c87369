/** Messages of Noise made by hand, by somebody who knows everything and may lie about a key. */
#ifndef ED_TEST_NOISE_FORGER_H
#define ED_TEST_NOISE_FORGER_H

#include "tests/unit/noise_bed.h"

/** An end that says its message by hand, and may put another key in the place of one of its own. */
struct forger {
    ed_noise noise;
    ed_noise_pair own;
    ed_noise_pair ephemeral;
    const uint8_t *point; /* that other key; NULL: honest */
    char in_place_of;     /* 'e' or 's' */
    struct noise_message m;
};

static inline void forger_mix_hash(ed_noise *noise, const uint8_t *data, size_t size)
{
    uint8_t mixed[ED_NOISE_HASH_SIZE];

    ed_blake2b_two(mixed, sizeof(mixed), noise->hash, sizeof(noise->hash), data, size);
    memcpy(noise->hash, mixed, sizeof(mixed));
}

/** The last of `count` results becomes the key; of three, the second goes into the hash. */
static inline void forger_mix_key(ed_noise *noise, const uint8_t input[ED_KEY_SIZE], unsigned count)
{
    uint8_t results[3 * ED_NOISE_HASH_SIZE];

    ed_noise_hkdf(results, count, noise->chaining_key, input, ED_KEY_SIZE);
    memcpy(noise->chaining_key, results, ED_NOISE_HASH_SIZE);
    if (count == 3)
        forger_mix_hash(noise, results + ED_NOISE_HASH_SIZE, ED_NOISE_HASH_SIZE);
    memcpy(noise->key, results + (count - 1) * ED_NOISE_HASH_SIZE, ED_KEY_SIZE);
}

static inline void forger_say_sealed(struct forger *f, const void *data, size_t size)
{
    static const uint8_t nonce[ED_AEAD_NONCE_SIZE];
    uint8_t *at = f->m.data + f->m.size;

    memcpy(at, data, size);
    ed_aead_seal(ED_AEAD_CHACHA20, f->noise.key, nonce, f->noise.hash, ED_NOISE_HASH_SIZE, at,
                 size);
    forger_mix_hash(&f->noise, at, size + ED_AEAD_TAG_SIZE);
    f->m.size += size + ED_AEAD_TAG_SIZE;
}

static inline void forger_say_ephemeral(struct forger *f)
{
    uint8_t *at = f->m.data + f->m.size;

    memcpy(at, f->in_place_of == 'e' ? f->point : f->ephemeral.public_key, ED_KEY_SIZE);
    forger_mix_hash(&f->noise, at, ED_KEY_SIZE);
    forger_mix_key(&f->noise, at, 2);
    f->m.size += ED_KEY_SIZE;
}

/** The secret of two keys: zeros where one of them is a lie. */
static inline void forger_mix_secret(struct forger *f, char own, char peer)
{
    uint8_t secret[ED_KEY_SIZE] = {0};
    const ed_noise *noise = &f->noise;

    if (own != f->in_place_of)
        CHECK("honest", ed_x25519(secret, own == 'e' ? f->ephemeral.secret : f->own.secret,
                                  peer == 'e' ? noise->peer_ephemeral : noise->peer));
    forger_mix_key(&f->noise, secret, 2);
}

/** Says a message of these parts: "e", "s", "psk", or whose keys are mixed, the forger's first. */
static inline struct noise_message forge(struct forger f, const char *const *parts,
                                         const void *payload, size_t payload_size)
{
    for (; *parts != NULL; parts++)
        if (strcmp(*parts, "psk") == 0)
            forger_mix_key(&f.noise, f.noise.shared, 3);
        else if (strcmp(*parts, "e") == 0)
            forger_say_ephemeral(&f);
        else if (strcmp(*parts, "s") == 0)
            forger_say_sealed(&f, f.in_place_of == 's' ? f.point : f.own.public_key, ED_KEY_SIZE);
        else
            forger_mix_secret(&f, (*parts)[0], (*parts)[1]);
    forger_say_sealed(&f, payload, payload_size);
    return f.m;
}

#endif
