#include "transport/noise.h"

#include <string.h>

#include "core/base.h"
#include "transport/check.h"
#include "transport/nonce.h"

/** What a message consists of, in this order, before its payload (section 7.1). */
typedef enum token {
    END = 0,
    E,   /* an ephemeral key, in the clear */
    S,   /* a static key, sealed if there is a key by then */
    EE,  /* the two ephemerals' secret, */
    ES,  /* the initiator's ephemeral and the responder's static one's, */
    SE,  /* the other way round, */
    SS,  /* and the two static ones' */
    PSK, /* the key that was shared before */
} token;

enum {
    TOKENS_MAX = 6,
    MESSAGE_COUNT = 2,
    BLOCK_SIZE = 128, /* of BLAKE2b: what HMAC (RFC 2104) pads its key to */
    HMAC_INPUT_MAX = ED_NOISE_HASH_SIZE + 1,
};

static const struct pattern {
    const char *name;
    bool knows_responder; /* <- s before the first message */
    uint8_t messages[MESSAGE_COUNT][TOKENS_MAX];
} patterns[ED_NOISE_PATTERN_COUNT] = {
    [ED_NOISE_NKPSK0] = {"Noise_NKpsk0_25519_ChaChaPoly_BLAKE2b", true, {{PSK, E, ES}, {E, EE}}},
    [ED_NOISE_IKPSK1] = {"Noise_IKpsk1_25519_ChaChaPoly_BLAKE2b",
                         true,
                         {{E, ES, S, SS, PSK}, {E, EE, SE}}},
    [ED_NOISE_NXPSK2] = {"Noise_NXpsk2_25519_ChaChaPoly_BLAKE2b",
                         false,
                         {{E}, {E, EE, S, ES, PSK}}},
};

/* ----------------------------------------------------------------------------------- hashing -- */

static void hmac(uint8_t result[ED_NOISE_HASH_SIZE], const uint8_t key[ED_NOISE_HASH_SIZE],
                 const void *input, size_t input_size)
{
    uint8_t block[BLOCK_SIZE + HMAC_INPUT_MAX];
    uint8_t inner[ED_NOISE_HASH_SIZE];

    ED_ASSERT(input_size <= HMAC_INPUT_MAX);
    memset(block, 0x36, BLOCK_SIZE);
    for (size_t i = 0; i < ED_NOISE_HASH_SIZE; i++)
        block[i] ^= key[i];
    if (input_size > 0)
        memcpy(block + BLOCK_SIZE, input, input_size);
    ed_blake2b(inner, sizeof(inner), block, BLOCK_SIZE + input_size, NULL, 0);
    for (size_t i = 0; i < BLOCK_SIZE; i++)
        block[i] ^= 0x36 ^ 0x5c;
    memcpy(block + BLOCK_SIZE, inner, sizeof(inner));
    ed_blake2b(result, ED_NOISE_HASH_SIZE, block, BLOCK_SIZE + sizeof(inner), NULL, 0);
    ed_wipe(block, sizeof(block));
    ed_wipe(inner, sizeof(inner));
}

void ed_noise_hkdf(uint8_t *results, unsigned count, const uint8_t key[ED_NOISE_HASH_SIZE],
                   const void *input, size_t input_size)
{
    uint8_t temporary[ED_NOISE_HASH_SIZE];
    uint8_t chained[ED_NOISE_HASH_SIZE + 1];
    size_t chained_size = 0;

    ED_ASSERT(count >= 1 && count <= 3);
    hmac(temporary, key, input, input_size);
    for (unsigned i = 0; i < count; i++) {
        chained[chained_size] = (uint8_t)(i + 1);
        hmac(results + i * ED_NOISE_HASH_SIZE, temporary, chained, chained_size + 1);
        memcpy(chained, results + i * ED_NOISE_HASH_SIZE, ED_NOISE_HASH_SIZE);
        chained_size = ED_NOISE_HASH_SIZE;
    }
    ed_wipe(temporary, sizeof(temporary));
    ed_wipe(chained, sizeof(chained));
}

static void mix_hash(ed_noise *noise, const void *data, size_t size)
{
    uint8_t mixed[ED_NOISE_HASH_SIZE];

    ed_blake2b_two(mixed, sizeof(mixed), noise->hash, sizeof(noise->hash), data, size);
    memcpy(noise->hash, mixed, sizeof(mixed));
}

static void set_key(ed_noise *noise, const uint8_t *key)
{
    memcpy(noise->key, key, ED_KEY_SIZE);
    noise->has_key = true;
}

/** @param seals whether the key that comes of it seals anything: if not, it is not made. */
static void mix_key(ed_noise *noise, const uint8_t input[ED_KEY_SIZE], bool seals)
{
    uint8_t results[2 * ED_NOISE_HASH_SIZE];

    ed_noise_hkdf(results, seals ? 2 : 1, noise->chaining_key, input, ED_KEY_SIZE);
    memcpy(noise->chaining_key, results, ED_NOISE_HASH_SIZE);
    if (seals)
        set_key(noise, results + ED_NOISE_HASH_SIZE);
    ed_wipe(results, sizeof(results));
}

static void mix_shared(ed_noise *noise, bool seals)
{
    uint8_t results[3 * ED_NOISE_HASH_SIZE];

    ed_noise_hkdf(results, seals ? 3 : 2, noise->chaining_key, noise->shared, ED_KEY_SIZE);
    memcpy(noise->chaining_key, results, ED_NOISE_HASH_SIZE);
    mix_hash(noise, results + ED_NOISE_HASH_SIZE, ED_NOISE_HASH_SIZE);
    if (seals)
        set_key(noise, results + 2 * ED_NOISE_HASH_SIZE);
    ed_wipe(results, sizeof(results));
}

/* ----------------------------------------------------------------------------------- sealing -- */

/** The nonce is Noise's number of what a key seals: in our patterns, each seals one thing. */
static const uint8_t first_nonce[ED_AEAD_NONCE_SIZE];

/** Every message has a fresh key by the time it seals: each mixes its first `e` in. */
static void spend_key(ed_noise *noise)
{
    ED_ASSERT(noise->has_key);
    noise->has_key = false;
}

static void seal(ed_noise *noise, uint8_t *data, size_t size)
{
    spend_key(noise);
    ed_nonce_used(noise->key, 0, data, size);
    ed_aead_seal(ED_AEAD_CHACHA20, noise->key, first_nonce, noise->hash, sizeof(noise->hash), data,
                 size);
    mix_hash(noise, data, size + ED_AEAD_TAG_SIZE);
}

/** @param size with the tag. */
static bool open(ed_noise *noise, uint8_t *data, size_t size)
{
    uint8_t hash[ED_NOISE_HASH_SIZE];

    spend_key(noise);
    memcpy(hash, noise->hash, sizeof(hash));
    mix_hash(noise, data, size); // of what was sealed, which opening overwrites
    return ed_aead_open(ED_AEAD_CHACHA20, noise->key, first_nonce, hash, sizeof(hash), data, size);
}

/* ------------------------------------------------------------------------------------ tokens -- */

/** Whether something is sealed behind a token, a static key or the payload, and not mixed in. */
static bool seals_next(const uint8_t tokens[TOKENS_MAX], size_t i)
{
    return i + 1 == TOKENS_MAX || tokens[i + 1] == END || tokens[i + 1] == S;
}

/** Mixes in what was reckoned ahead, which is of no use any more. */
static void use_ahead(ed_noise *noise, bool seals)
{
    mix_key(noise, noise->ahead, seals);
    ed_wipe(noise->ahead, sizeof(noise->ahead));
    noise->is_ahead = false;
}

/** Mixes in the secret of one of our keys and one of the other's. */
static bool mix_dh(ed_noise *noise, token t, bool seals)
{
    // Each name says whose keys: the initiator's first, the responder's second.
    bool own_static = t == SS || t == (noise->is_initiator ? SE : ES);
    bool peer_static = t == SS || t == (noise->is_initiator ? ES : SE);
    uint8_t secret[ED_KEY_SIZE] = {0};

    if (t == ES && noise->is_ahead) {
        use_ahead(noise, seals);
        return true;
    }
    bool ok = SEC_CHECK(EDDY_CHECK_POINT,
                        ed_x25519(secret, own_static ? noise->own.secret : noise->ephemeral.secret,
                                  peer_static ? noise->peer : noise->peer_ephemeral));
    if (ok)
        mix_key(noise, secret, seals);
    ed_wipe(secret, sizeof(secret));
    return ok;
}

static bool write_token(ed_noise *noise, token t, bool seals, uint8_t **at)
{
    switch (t) {
    case E:
        memcpy(*at, noise->ephemeral.public_key, ED_KEY_SIZE);
        mix_hash(noise, *at, ED_KEY_SIZE);
        mix_key(noise, *at, seals); // as there is a key shared before (section 9.2)
        *at += ED_KEY_SIZE;
        return true;
    case S:
        memcpy(*at, noise->own.public_key, ED_KEY_SIZE);
        seal(noise, *at, ED_KEY_SIZE);
        *at += ED_NOISE_STATIC_SIZE;
        return true;
    case PSK:
        mix_shared(noise, seals);
        return true;
    case EE:
    case ES:
    case SE:
    case SS:
        return mix_dh(noise, t, seals);
    case END:
        break;
    }
    return true;
}

static bool read_token(ed_noise *noise, token t, bool seals, uint8_t **at)
{
    switch (t) {
    case E:
        memcpy(noise->peer_ephemeral, *at, ED_KEY_SIZE);
        mix_hash(noise, *at, ED_KEY_SIZE);
        mix_key(noise, *at, seals);
        *at += ED_KEY_SIZE;
        return true;
    case S:
        if (!open(noise, *at, ED_NOISE_STATIC_SIZE))
            return false;
        memcpy(noise->peer, *at, ED_KEY_SIZE);
        *at += ED_NOISE_STATIC_SIZE;
        return true;
    case PSK:
    case EE:
    case ES:
    case SE:
    case SS:
    case END:
        break;
    }
    return write_token(noise, t, seals, at); // the same at both ends
}

/* ---------------------------------------------------------------------------------- messages -- */

static void make_pair(ed_noise_pair *pair, const uint8_t secret[ED_KEY_SIZE])
{
    memcpy(pair->secret, secret, ED_KEY_SIZE);
    ed_x25519_public(pair->public_key, secret);
}

bool ed_noise_reckon_ahead(ed_noise_ahead *ahead, const uint8_t ephemeral_secret[ED_KEY_SIZE],
                           const uint8_t peer[ED_KEY_SIZE])
{
    make_pair(&ahead->ephemeral, ephemeral_secret);
    return SEC_CHECK(EDDY_CHECK_POINT, ed_x25519(ahead->secret, ephemeral_secret, peer));
}

static void take_ahead(ed_noise *noise, const ed_noise_ahead *ahead)
{
    ED_ASSERT(noise->is_initiator && patterns[noise->pattern].knows_responder);
    noise->ephemeral = ahead->ephemeral;
    memcpy(noise->ahead, ahead->secret, ED_KEY_SIZE);
    noise->is_ahead = true;
}

void ed_noise_init(ed_noise *noise, ed_noise_pattern pattern, bool is_initiator, ed_span prologue,
                   const ed_noise_keys *keys)
{
    const struct pattern *p = &patterns[pattern];

    ED_ASSERT(pattern < ED_NOISE_PATTERN_COUNT && strlen(p->name) <= ED_NOISE_HASH_SIZE);
    *noise = (ed_noise){.pattern = (uint8_t)pattern, .is_initiator = is_initiator};
    memcpy(noise->hash, p->name, strlen(p->name));
    memcpy(noise->chaining_key, noise->hash, sizeof(noise->hash));
    if (keys->own != NULL)
        noise->own = *keys->own;
    if (keys->peer != NULL)
        memcpy(noise->peer, keys->peer, ED_KEY_SIZE);
    if (keys->shared != NULL)
        memcpy(noise->shared, keys->shared, ED_KEY_SIZE);
    if (keys->ahead != NULL)
        take_ahead(noise, keys->ahead);
    mix_hash(noise, prologue.data, prologue.size);
    if (p->knows_responder)
        mix_hash(noise, is_initiator ? noise->peer : noise->own.public_key, ED_KEY_SIZE);
}

size_t ed_noise_head_size(ed_noise_pattern pattern, unsigned message)
{
    const uint8_t *tokens = patterns[pattern].messages[message];
    size_t size = 0;

    for (size_t i = 0; i < TOKENS_MAX && tokens[i] != END; i++)
        size += tokens[i] == E ? ED_KEY_SIZE : tokens[i] == S ? ED_NOISE_STATIC_SIZE : 0u;
    return size;
}

bool ed_noise_write(ed_noise *noise, const uint8_t ephemeral_secret[ED_KEY_SIZE], uint8_t *data,
                    size_t payload_size)
{
    const uint8_t *tokens = patterns[noise->pattern].messages[noise->message];

    ED_ASSERT(noise->message == (noise->is_initiator ? 0 : 1));
    if (!noise->is_ahead)
        make_pair(&noise->ephemeral, ephemeral_secret);
    ED_ASSERT(ed_equal_secret(noise->ephemeral.secret, ephemeral_secret, ED_KEY_SIZE));
    for (size_t i = 0; i < TOKENS_MAX && tokens[i] != END; i++)
        if (!write_token(noise, (token)tokens[i], seals_next(tokens, i), &data))
            return false;
    seal(noise, data, payload_size);
    noise->message++;
    return true;
}

bool ed_noise_read(ed_noise *noise, uint8_t *data, size_t size)
{
    const uint8_t *tokens = patterns[noise->pattern].messages[noise->message];
    size_t head_size = ed_noise_head_size((ed_noise_pattern)noise->pattern, noise->message);
    uint8_t *at = data;

    ED_ASSERT(noise->message == (noise->is_initiator ? 1 : 0));
    if (size < head_size + ED_AEAD_TAG_SIZE)
        return false;
    for (size_t i = 0; i < TOKENS_MAX && tokens[i] != END; i++)
        if (!read_token(noise, (token)tokens[i], seals_next(tokens, i), &at))
            return false;
    ED_ASSERT(at == data + head_size);
    if (!open(noise, at, size - head_size))
        return false;
    noise->message++;
    return true;
}

void ed_noise_split(const ed_noise *noise, uint8_t from_initiator[ED_KEY_SIZE],
                    uint8_t from_responder[ED_KEY_SIZE])
{
    uint8_t results[2 * ED_NOISE_HASH_SIZE];

    ED_ASSERT(noise->message == MESSAGE_COUNT);
    ed_noise_hkdf(results, 2, noise->chaining_key, NULL, 0);
    memcpy(from_initiator, results, ED_KEY_SIZE);
    memcpy(from_responder, results + ED_NOISE_HASH_SIZE, ED_KEY_SIZE);
    ed_wipe(results, sizeof(results));
}
