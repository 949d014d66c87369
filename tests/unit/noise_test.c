/** Published vectors of the Noise handshakes, and what must not come through. */
#include "tests/unit/noise_bed.h"

#include "core/base.h"
#include "core/writer.h"

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

/* ------------------------------------------------------------------------------- the vectors -- */

/** One end says message `i` of the vector and the other hears it. */
static void pass_message(const struct noise_vector *v, const struct noise_secrets *s, size_t i,
                         ed_noise *from, ed_noise *to)
{
    uint8_t payload[NOISE_ROOM], sealed[NOISE_ROOM];
    size_t payload_size = hex_read(payload, sizeof(payload), v->messages[i].payload);
    size_t sealed_size = hex_read(sealed, sizeof(sealed), v->messages[i].sealed);
    struct noise_message m = noise_says(from, s, payload, payload_size);

    CHECK_EQ(v->name, m.size, sealed_size);
    CHECK_BYTES(v->name, m.data, sealed, sealed_size);
    CHECK(v->name, ed_noise_read(to, m.data, m.size));
    CHECK_BYTES(v->name, m.data + ed_noise_head_size(v->pattern, (unsigned)i), payload,
                payload_size);
    CHECK_BYTES(v->name, from->hash, to->hash, ED_NOISE_HASH_SIZE);
}

/** Noise's nonce, written down again: four zeros, then the number in little-endian. */
static void nonce_of(uint8_t nonce[ED_AEAD_NONCE_SIZE], uint64_t number)
{
    ed_writer w = ed_writer_of(nonce, ED_AEAD_NONCE_SIZE);

    ed_write_zeros(&w, 4);
    ed_write_u64(&w, number);
}

/** A transport message: sealed with the sender's key and opened again. */
static void pass_transport(const struct noise_vector *v, size_t i, const uint8_t key[ED_KEY_SIZE],
                           uint64_t number)
{
    uint8_t nonce[ED_AEAD_NONCE_SIZE], data[NOISE_ROOM], payload[NOISE_ROOM], sealed[NOISE_ROOM];
    size_t size = hex_read(payload, sizeof(payload), v->messages[i].payload);
    size_t sealed_size = hex_read(sealed, sizeof(sealed), v->messages[i].sealed);

    nonce_of(nonce, number);
    CHECK_EQ(v->name, sealed_size, size + ED_AEAD_TAG_SIZE);
    memcpy(data, payload, size);
    ed_aead_seal(ED_AEAD_CHACHA20, key, nonce, NULL, 0, data, size);
    CHECK_BYTES(v->name, data, sealed, sealed_size);
    CHECK(v->name, ed_aead_open(ED_AEAD_CHACHA20, key, nonce, NULL, 0, data, sealed_size));
    CHECK_BYTES(v->name, data, payload, size);
}

static void published_vectors_come_out_bit_for_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(noise_vectors); i++) {
        const struct noise_vector *v = &noise_vectors[i];
        struct noise_secrets s = noise_secrets_of(v);
        ed_noise initiator = noise_initiator(&s), responder = noise_responder(&s);
        uint8_t keys[2][ED_KEY_SIZE], other[2][ED_KEY_SIZE], hash[ED_NOISE_HASH_SIZE];

        pass_message(v, &s, 0, &initiator, &responder);
        pass_message(v, &s, 1, &responder, &initiator);
        if (v->hash != NULL) {
            CHECK_EQ(v->name, hex_read(hash, sizeof(hash), v->hash), sizeof(hash));
            CHECK_BYTES(v->name, initiator.hash, hash, sizeof(hash));
        }
        ed_noise_split(&initiator, keys[0], keys[1]);
        ed_noise_split(&responder, other[0], other[1]);
        CHECK_BYTES(v->name, keys, other, sizeof(keys));
        for (size_t at = 2; at < NOISE_MESSAGES_MAX && v->messages[at].sealed != NULL; at++)
            pass_transport(v, at, keys[at % 2], at / 2 - 1);
    }
}

static void reckoning_ahead_changes_no_byte(void **state)
{
    static const uint8_t zeros[ED_KEY_SIZE];
    ed_noise_ahead ahead;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(noise_vectors); i++) {
        const struct noise_vector *v = &noise_vectors[i];
        struct noise_secrets s = noise_secrets_of(v);
        if (v->pattern == ED_NOISE_NXPSK2)
            continue; // whose initiator knows no key
        CHECK(v->name, ed_noise_reckon_ahead(&ahead, s.initiator_ephemeral.secret, s.known));
        ed_noise initiator = noise_initiator_with(&s, &ahead), responder = noise_responder(&s);
        pass_message(v, &s, 0, &initiator, &responder);
        CHECK_BYTES(v->name, initiator.ahead, zeros, ED_KEY_SIZE);
        pass_message(v, &s, 1, &responder, &initiator);
        CHECK(v->name, !ed_noise_reckon_ahead(&ahead, s.initiator_ephemeral.secret, zeros));
    }
}

static void both_ends_learn_the_others_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(noise_vectors); i++) {
        const struct noise_vector *v = &noise_vectors[i];
        struct noise_secrets s = noise_secrets_of(v);
        ed_noise initiator = noise_initiator(&s), responder = noise_responder(&s);

        pass_message(v, &s, 0, &initiator, &responder);
        pass_message(v, &s, 1, &responder, &initiator);
        CHECK_BYTES(v->name, initiator.peer, s.responder.public_key, ED_KEY_SIZE);
        if (v->pattern == ED_NOISE_IKPSK1)
            CHECK_BYTES(v->name, responder.peer, s.initiator.public_key, ED_KEY_SIZE);
    }
}

static void heads_are_as_large_as_their_keys(void **state)
{
    static const struct {
        const char *name;
        ed_noise_pattern pattern;
        size_t sizes[2];
    } rows[] = {
        {"NKpsk0", ED_NOISE_NKPSK0, {32, 32}},
        {"IKpsk1", ED_NOISE_IKPSK1, {32 + 48, 32}},
        {"NXpsk2", ED_NOISE_NXPSK2, {32, 32 + 48}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (unsigned message = 0; message < 2; message++)
            CHECK_EQ(rows[i].name, ed_noise_head_size(rows[i].pattern, message),
                     rows[i].sizes[message]);
}

/* ----------------------------------------------------------------------- what is not authentic --
 */

static const char payload[] = "a payload";

/** The two messages of an honest handshake, and the ends that wait for each. */
struct exchange {
    ed_noise reader[2];
    struct noise_message message[2];
};

static struct exchange exchange_of(const struct noise_secrets *s)
{
    struct exchange e = {.reader = {noise_responder(s), noise_initiator(s)}};
    ed_noise responder = e.reader[0];

    e.message[0] = noise_says(&e.reader[1], s, payload, sizeof(payload));
    struct noise_message heard = e.message[0];
    CHECK("heard", ed_noise_read(&responder, heard.data, heard.size));
    e.message[1] = noise_says(&responder, s, payload, sizeof(payload));
    for (size_t i = 0; i < 2; i++)
        CHECK("honest", noise_takes(e.reader[i], e.message[i]));
    return e;
}

static void any_bit_flipped_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_NOISE_PATTERN_COUNT; i++) {
        struct noise_secrets s = noise_secrets_of(&noise_vectors[i]);
        struct exchange e = exchange_of(&s);
        for (size_t which = 0; which < 2; which++)
            for (size_t bit = 0; bit < 8 * e.message[which].size; bit++) {
                struct noise_message m = e.message[which];
                m.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
                CHECK(noise_vectors[i].name, !noise_takes(e.reader[which], m));
            }
    }
}

static void a_key_that_was_not_authentic_is_not_kept(void **state)
{
    static const ed_noise_pattern patterns[2] = {ED_NOISE_IKPSK1, ED_NOISE_NXPSK2};
    static const uint8_t before[ED_KEY_SIZE] = {7};

    (void)state;
    for (size_t which = 0; which < 2; which++) {
        struct noise_secrets s = noise_secrets_of(&noise_vectors[patterns[which]]);
        struct exchange e = exchange_of(&s);
        memcpy(e.reader[which].peer, before, ED_KEY_SIZE);
        e.message[which].data[ED_KEY_SIZE] ^= 1; // of the static key, which stands behind `e`
        CHECK("refused",
              !ed_noise_read(&e.reader[which], e.message[which].data, e.message[which].size));
        CHECK_BYTES("key", e.reader[which].peer, before, ED_KEY_SIZE);
    }
}

static void any_other_size_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_NOISE_PATTERN_COUNT; i++) {
        struct noise_secrets s = noise_secrets_of(&noise_vectors[i]);
        struct exchange e = exchange_of(&s);
        for (size_t which = 0; which < 2; which++)
            for (size_t size = 0; size <= e.message[which].size + 1; size++) {
                struct noise_message m = e.message[which];
                m.size = size;
                CHECK_EQ(noise_vectors[i].name, noise_takes(e.reader[which], m),
                         size == e.message[which].size);
            }
    }
}

/** What the two ends must agree on. */
enum wrong { PROLOGUE, PROLOGUE_SIZE, SHARED, KNOWN, CLAIMED };

static struct noise_secrets wrong_of(struct noise_secrets s, enum wrong wrong)
{
    s.prologue[0] ^= wrong == PROLOGUE;
    s.prologue_size -= wrong == PROLOGUE_SIZE;
    s.shared[0] ^= wrong == SHARED;
    if (wrong == KNOWN)
        memcpy(s.known, s.responder_ephemeral.public_key, ED_KEY_SIZE);
    s.initiator.secret[1] ^= wrong == CLAIMED; // not the secret of the public key any more
    return s;
}

/** Which message is refused if the initiator has something wrong; 2: none. */
static size_t refused_message(const struct noise_secrets *honest, const struct noise_secrets *wrong)
{
    ed_noise initiator = noise_initiator(wrong), responder = noise_responder(honest);
    struct noise_message m = noise_says(&initiator, wrong, payload, sizeof(payload));

    if (!ed_noise_read(&responder, m.data, m.size))
        return 0;
    m = noise_says(&responder, honest, payload, sizeof(payload));
    return ed_noise_read(&initiator, m.data, m.size) ? 2 : 1;
}

static void a_wrong_secret_is_refused(void **state)
{
    static const struct {
        const char *name;
        enum wrong wrong;
        size_t refused[ED_NOISE_PATTERN_COUNT]; /* 2: the pattern does not use it */
    } rows[] = {
        {"another prologue", PROLOGUE, {0, 0, 0}},
        {"a shorter prologue", PROLOGUE_SIZE, {0, 0, 0}},
        {"another shared key", SHARED, {0, 0, 1}},
        {"another responder", KNOWN, {0, 0, 2}},
        {"the key of somebody else", CLAIMED, {2, 0, 2}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        for (size_t pattern = 0; pattern < ED_NOISE_PATTERN_COUNT; pattern++) {
            struct noise_secrets honest = noise_secrets_of(&noise_vectors[pattern]);
            struct noise_secrets wrong = wrong_of(honest, rows[i].wrong);
            CHECK_EQ(rows[i].name, refused_message(&honest, &wrong), rows[i].refused[pattern]);
        }
}

static void a_message_of_another_handshake_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_NOISE_PATTERN_COUNT; i++) {
        struct noise_secrets s = noise_secrets_of(&noise_vectors[i]), again = s;
        again.initiator_ephemeral.secret[1] ^= 1;
        struct exchange first = exchange_of(&s), second = exchange_of(&again);
        CHECK("an earlier answer", !noise_takes(second.reader[1], first.message[1]));
        CHECK("its own message", !noise_takes(first.reader[1], first.message[0]));
        for (size_t other = 0; other < ED_NOISE_PATTERN_COUNT; other++) {
            again = s;
            again.pattern = (ed_noise_pattern)other;
            CHECK_EQ("another pattern", noise_takes(noise_responder(&again), first.message[0]),
                     again.pattern == s.pattern);
        }
    }
}

/* --------------------------------------------------------------------------------------- keys --
 */

static void no_shared_key_is_one_of_zeros(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_NOISE_PATTERN_COUNT; i++) {
        struct noise_secrets s = noise_secrets_of(&noise_vectors[i]);
        ed_noise_keys none = {.own = &s.responder};
        ed_noise responder;

        memset(s.shared, 0, sizeof(s.shared));
        ed_noise_init(&responder, s.pattern, false, noise_prologue(&s), &none);
        CHECK_BYTES(noise_vectors[i].name, responder.shared, s.shared, ED_KEY_SIZE);
        CHECK(noise_vectors[i].name, noise_takes(responder, exchange_of(&s).message[0]));
    }
}

/** Every result is a different key, and asking for more does not change the first ones. */
static void derived_keys_differ(void **state)
{
    static const uint8_t key[ED_NOISE_HASH_SIZE] = {1};
    uint8_t results[3][3 * ED_NOISE_HASH_SIZE];

    (void)state;
    for (unsigned count = 1; count <= 3; count++)
        ed_noise_hkdf(results[count - 1], count, key, "input", 5);
    CHECK_BYTES("of two", results[1], results[0], ED_NOISE_HASH_SIZE);
    CHECK_BYTES("of three", results[2], results[1], 2 * ED_NOISE_HASH_SIZE);
    for (size_t i = 0; i < 3; i++)
        CHECK("differ",
              memcmp(results[2] + i * ED_NOISE_HASH_SIZE,
                     results[2] + (i + 1) % 3 * ED_NOISE_HASH_SIZE, ED_NOISE_HASH_SIZE) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_come_out_bit_for_bit),
        cmocka_unit_test(reckoning_ahead_changes_no_byte),
        cmocka_unit_test(both_ends_learn_the_others_key),
        cmocka_unit_test(heads_are_as_large_as_their_keys),
        cmocka_unit_test(any_bit_flipped_is_refused),
        cmocka_unit_test(a_key_that_was_not_authentic_is_not_kept),
        cmocka_unit_test(any_other_size_is_refused),
        cmocka_unit_test(a_wrong_secret_is_refused),
        cmocka_unit_test(a_message_of_another_handshake_is_refused),
        cmocka_unit_test(no_shared_key_is_one_of_zeros),
        cmocka_unit_test(derived_keys_differ),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
