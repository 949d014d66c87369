/** INITIATE and ACCEPT, in all modes. */
#include "tests/unit/handshake_bed.h"

#include "transport/packet.h"

enum { CANARY = 0x5a };

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

static void flip(uint8_t *data, size_t bit)
{
    data[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void check_untouched(const char *name, const void *result, size_t size)
{
    for (size_t i = 0; i < size; i++)
        CHECK_EQ(name, ((const uint8_t *)result)[i], CANARY);
}

/* --------------------------------------------------------------------------------- round trips --
 */

static void check_initiate(const struct handshake_ends *ends, const ed_initiate *got,
                           const uint8_t *data)
{
    const ed_initiate *want = &ends->initiate;

    CHECK_EQ("version", got->version, want->version);
    CHECK_EQ("mode", got->mode, want->mode);
    CHECK_EQ("suites", got->suites, want->suites);
    CHECK_EQ("protocol", got->protocol_id, want->protocol_id);
    CHECK_BYTES("nonce", got->nonce, want->nonce, sizeof(got->nonce));
    CHECK_BYTES("cookie", got->cookie, want->cookie, sizeof(got->cookie));
    CHECK_EQ("size", got->datagram_size, want->datagram_size);
    CHECK_EQ("credit", got->credit, want->credit);
    CHECK_EQ("largest message", got->message_max, want->message_max);
    CHECK_EQ("time", got->client_time_us, want->client_time_us);
    CHECK_EQ("payload", got->payload.size, want->payload.size);
    CHECK_BYTES("payload", got->payload.data, want->payload.data, want->payload.size);
    CHECK("in the datagram", got->payload.data == data + ed_initiate_payload_at(ends->mode) + 70);
    CHECK("capsule", (got->capsule != NULL) == (ends->mode == ED_MODE_TOKEN));
    if (got->capsule != NULL)
        CHECK_BYTES("capsule", got->capsule, ends->capsule, ED_CAPSULE_SIZE);
}

static void initiate_goes_around(void **state)
{
    (void)state;
    for (int mode = 0; mode < ED_MODE_COUNT; mode++) {
        struct handshake_ends ends;
        uint8_t data[ED_INITIATE_SIZE], public_key[ED_KEY_SIZE];
        ed_initiate got, again;
        ed_noise noise;
        handshake_init(&ends, (ed_mode)mode);
        (void)handshake_initiate(&ends, data);
        ed_x25519_public(public_key, (uint8_t[ED_KEY_SIZE]){0x10, 1});
        CHECK_EQ("form", ed_form_of(data, sizeof(data)), ED_FORM_INITIATE);
        CHECK_EQ("parse", ed_initiate_parse(&got, data, sizeof(data)), EDDY_OK);
        CHECK_EQ("sealed yet", got.datagram_size, 0);
        CHECK_BYTES("ephemeral", got.ephemeral, public_key, ED_KEY_SIZE);
        CHECK_EQ("open", handshake_take(&ends, &got, &noise, data, sizeof(data)), EDDY_OK);
        check_initiate(&ends, &got, data);
        ed_initiate_read_opened(&again, data);
        check_initiate(&ends, &again, data);
        if (mode == ED_MODE_MUTUAL)
            CHECK_BYTES("client's key", noise.peer, ends.client.public_key, ED_KEY_SIZE);
    }
}

static void accept_goes_around(void **state)
{
    static const size_t sizes[ED_MODE_COUNT] = {252, 204, 204, 204};

    (void)state;
    for (int mode = 0; mode < ED_MODE_COUNT; mode++) {
        struct handshake_ends ends;
        uint8_t initiate[ED_INITIATE_SIZE], data[ED_ACCEPT_SIZE_MAX], keys[4][ED_KEY_SIZE];
        ed_accept got, want;
        handshake_init(&ends, (ed_mode)mode);
        want = ends.accept;
        ed_noise client = handshake_initiate(&ends, initiate);
        ed_noise server = handshake_taken(&ends, initiate);
        size_t size = handshake_accept(&ends, &server, data);
        CHECK_EQ("size", size, sizes[mode]);
        CHECK_EQ("form", ed_form_of(data, size), ED_FORM_ACCEPT);
        CHECK_EQ("open", ed_accept_open(&got, &client, ends.mode, ends.initiate.nonce, data, size),
                 EDDY_OK);
        CHECK_BYTES("nonce", got.nonce, want.nonce, ED_NONCE_SIZE);
        CHECK_EQ("refusal", got.refusal, 0);
        CHECK_EQ("suite", got.suite, want.suite);
        CHECK_EQ("id", got.id, want.id);
        CHECK_EQ("datagram", got.datagram_size, want.datagram_size);
        CHECK_EQ("idle", got.idle_timeout_ms, want.idle_timeout_ms);
        CHECK_EQ("credit", got.credit, want.credit);
        CHECK_EQ("largest message", got.message_max, want.message_max);
        CHECK_EQ("time", got.server_time_us, want.server_time_us);
        CHECK_BYTES("token", got.reset_token, want.reset_token, ED_RESET_TOKEN_SIZE);
        CHECK_BYTES("server's key", client.peer, ends.server.public_key, ED_KEY_SIZE);
        ed_noise_split(&client, keys[0], keys[1]);
        ed_noise_split(&server, keys[2], keys[3]);
        CHECK_BYTES("keys", keys[0], keys[2], 2 * ED_KEY_SIZE);
        CHECK("two keys", memcmp(keys[0], keys[1], ED_KEY_SIZE) != 0);
    }
}

/** What is repeated is the same, byte for byte, and any other cookie or nonce gives other keys. */
static void one_initiate_one_key(void **state)
{
    (void)state;
    for (int mode = 0; mode < ED_MODE_COUNT; mode++) {
        struct handshake_ends ends;
        uint8_t first[ED_INITIATE_SIZE], second[ED_INITIATE_SIZE];
        handshake_init(&ends, (ed_mode)mode);
        (void)handshake_initiate(&ends, first);
        ends.ephemeral--;
        (void)handshake_initiate(&ends, second);
        CHECK_BYTES(handshake_mode_names[mode], second, first, sizeof(first));
        ed_noise before = handshake_noise(&ends, first);
        flip(first, 8 * 32); // the cookie
        ed_noise after = handshake_noise(&ends, first);
        CHECK("another key", memcmp(before.shared, after.shared, ED_KEY_SIZE) != 0);
    }
}

/* -------------------------------------------------------------------------------------- damage --
 */

static void check_initiate_flips(const struct handshake_ends *ends, const uint8_t *good)
{
    ed_noise_keys keys = handshake_server_keys(ends);
    uint8_t data[ED_INITIATE_SIZE];

    // Its mac, which is over all of it, the padding, too, is looked at elsewhere.
    for (size_t bit = 0; bit < 8 * ed_initiate_message_end(ends->mode); bit++) {
        ed_initiate initiate, before;
        ed_noise noise;
        memset(&initiate, CANARY, sizeof(initiate));
        memcpy(data, good, sizeof(data));
        flip(data, bit);
        eddy_status got = ed_initiate_parse(&initiate, data, sizeof(data));
        if (got == EDDY_OK) {
            memcpy(&before, &initiate, sizeof(before));
            got = ed_initiate_open(&initiate, &noise, data, &keys);
            CHECK("untouched", memcmp(&before, &initiate, sizeof(before)) == 0);
        } else {
            check_untouched("untouched", &initiate, sizeof(initiate));
        }
        if (got != EDDY_EAUTH && got != EDDY_EPROTO)
            fail_msg("%s: bit %zu flipped gives %s", handshake_mode_names[ends->mode], bit,
                     eddy_status_name(got));
    }
}

static void every_flipped_bit_of_initiate_is_refused(void **state)
{
    (void)state;
    for (int mode = 0; mode < ED_MODE_COUNT; mode++) {
        struct handshake_ends ends;
        uint8_t data[ED_INITIATE_SIZE];
        handshake_init(&ends, (ed_mode)mode);
        (void)handshake_initiate(&ends, data);
        check_initiate_flips(&ends, data);
        (void)handshake_taken(&ends, data);
    }
}

static void every_flipped_bit_of_accept_is_refused(void **state)
{
    (void)state;
    for (int mode = 0; mode < ED_MODE_COUNT; mode++) {
        struct handshake_ends ends;
        uint8_t initiate[ED_INITIATE_SIZE], data[ED_ACCEPT_SIZE_MAX];
        ed_accept accept;
        handshake_init(&ends, (ed_mode)mode);
        ed_noise client = handshake_initiate(&ends, initiate);
        ed_noise server = handshake_taken(&ends, initiate);
        size_t size = handshake_accept(&ends, &server, data);
        memset(&accept, CANARY, sizeof(accept));
        for (size_t bit = 0; bit < 8 * size; bit++) {
            flip(data, bit);
            eddy_status got = handshake_opens(&ends, client, &accept, data, size);
            flip(data, bit);
            if (got != EDDY_EAUTH && got != EDDY_EPROTO)
                fail_msg("%s: bit %zu flipped gives %s", handshake_mode_names[mode], bit,
                         eddy_status_name(got));
            check_untouched("untouched", &accept, sizeof(accept));
        }
        CHECK_EQ("still", handshake_opens(&ends, client, &accept, data, size), EDDY_OK);
    }
}

static void sizes_are_exact(void **state)
{
    (void)state;
    for (int mode = 0; mode < ED_MODE_COUNT; mode++) {
        struct handshake_ends ends;
        uint8_t initiate[ED_INITIATE_SIZE + 2] = {[1200] = 0xee}, copy[sizeof(initiate)];
        uint8_t answer[ED_DATAGRAM_SIZE + 1] = {[204] = 0xee, [252] = 0xee};
        ed_initiate parsed;
        ed_accept accept;
        ed_noise noise;
        handshake_init(&ends, (ed_mode)mode);
        ed_noise client = handshake_initiate(&ends, initiate);
        ed_noise server = handshake_taken(&ends, initiate);
        size_t answer_size = handshake_accept(&ends, &server, answer);
        CHECK_EQ("nothing behind", initiate[1200], 0xee);
        CHECK_EQ("nothing behind", answer[answer_size], 0xee);
        for (size_t size = 0; size <= sizeof(initiate); size++) {
            memcpy(copy, initiate, sizeof(copy));
            CHECK_EQ("INITIATE", handshake_take(&ends, &parsed, &noise, copy, size),
                     size == ED_INITIATE_SIZE ? EDDY_OK : EDDY_ETRUNCATED);
        }
        for (size_t size = 0; size <= sizeof(answer); size++)
            CHECK_EQ("ACCEPT", handshake_opens(&ends, client, &accept, answer, size),
                     size == answer_size ? EDDY_OK : EDDY_ETRUNCATED);
    }
}

/** A mode is part of what is sealed: none is talked into another. */
static void no_mode_is_taken_for_another(void **state)
{
    (void)state;
    for (int written = 0; written < ED_MODE_COUNT; written++)
        for (int read = 0; read < 256; read++) {
            struct handshake_ends ends;
            uint8_t data[ED_INITIATE_SIZE];
            ed_initiate initiate;
            ed_noise noise;
            handshake_init(&ends, (ed_mode)written);
            (void)handshake_initiate(&ends, data);
            data[5] = (uint8_t)read;
            CHECK_EQ(handshake_mode_names[written],
                     handshake_take(&ends, &initiate, &noise, data, sizeof(data)),
                     read == written        ? EDDY_OK
                     : read < ED_MODE_COUNT ? EDDY_EAUTH
                                            : EDDY_EPROTO);
        }
}

/** Bytes that must have one value, whatever is sealed or not. */
static void fixed_bytes(void **state)
{
    static const struct {
        const char *name;
        size_t at;
    } rows[] = {{"type", 0}, {"reserved", 7}}, answers[] = {{"type", 0}, {"reserved", 3}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct handshake_ends ends;
        uint8_t initiate[ED_INITIATE_SIZE], data[ED_ACCEPT_SIZE_MAX];
        ed_initiate parsed;
        ed_accept accept;
        handshake_init(&ends, ED_MODE_PINNED);
        ed_noise client = handshake_initiate(&ends, initiate);
        ed_noise server = handshake_taken(&ends, initiate);
        size_t size = handshake_accept(&ends, &server, data);
        initiate[rows[i].at] ^= 0x10;
        CHECK_EQ(rows[i].name, ed_initiate_parse(&parsed, initiate, sizeof(initiate)), EDDY_EPROTO);
        data[answers[i].at] ^= 0x10;
        CHECK_EQ(answers[i].name, handshake_opens(&ends, client, &accept, data, size), EDDY_EPROTO);
    }
}

/** Every bit in front of the mac counts in it, and so does the key; what is sealed does not. */
static void who_has_not_the_key_is_not_heard(void **state)
{
    struct handshake_ends ends;
    uint8_t initiate[ED_INITIATE_SIZE];

    (void)state;
    handshake_init(&ends, ED_MODE_PINNED);
    (void)handshake_initiate(&ends, initiate);
    ed_greeting_key key = ed_greeting_key_of(ends.server.public_key);
    ed_greeting_key other = ed_greeting_key_of(NULL);
    CHECK("known", ed_request_is_authentic(initiate, &key));
    CHECK("another key", !ed_request_is_authentic(initiate, &other));
    for (size_t bit = 0; bit < 8 * ED_INITIATE_SIZE; bit++) {
        initiate[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK("changed", !ed_request_is_authentic(initiate, &key));
        initiate[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* ---------------------------------------------------------------------- who knows the wrong key --
 */

static void another_server(struct handshake_ends *ends)
{
    ends->server = handshake_pair(3);
}

static void another_room(struct handshake_ends *ends)
{
    ends->server_room[31] ^= 0x80;
}

static void no_room(struct handshake_ends *ends)
{
    memset(ends->client_room, 0, sizeof(ends->client_room));
}

static void nothing(struct handshake_ends *ends)
{
    (void)ends;
}

static void another_nonce(struct handshake_ends *ends)
{
    ends->accept.nonce[15] ^= 1;
}

static const struct wrong {
    const char *name;
    ed_mode mode;
    void (*change)(struct handshake_ends *ends);
    eddy_status initiate;
    eddy_status accept;
} wrongs[] = {
    {"PINNED", ED_MODE_PINNED, nothing, EDDY_OK, EDDY_OK},
    {"PINNED, another server", ED_MODE_PINNED, another_server, EDDY_EAUTH, EDDY_OK},
    {"MUTUAL, another server", ED_MODE_MUTUAL, another_server, EDDY_EAUTH, EDDY_OK},
    {"TOKEN, another server", ED_MODE_TOKEN, another_server, EDDY_EAUTH, EDDY_OK},
    {"OPEN, another server: whoever it is", ED_MODE_OPEN, another_server, EDDY_OK, EDDY_OK},
    {"PINNED, another room", ED_MODE_PINNED, another_room, EDDY_EAUTH, EDDY_OK},
    {"MUTUAL, another room", ED_MODE_MUTUAL, another_room, EDDY_EAUTH, EDDY_OK},
    {"TOKEN, another token", ED_MODE_TOKEN, another_room, EDDY_EAUTH, EDDY_OK},
    {"OPEN, another room: told by the answer", ED_MODE_OPEN, another_room, EDDY_OK, EDDY_EAUTH},
    {"PINNED, no room", ED_MODE_PINNED, no_room, EDDY_EAUTH, EDDY_OK},
    {"OPEN, no room", ED_MODE_OPEN, no_room, EDDY_OK, EDDY_EAUTH},
    {"PINNED, another nonce", ED_MODE_PINNED, another_nonce, EDDY_OK, EDDY_EAUTH},
    {"OPEN, another nonce", ED_MODE_OPEN, another_nonce, EDDY_OK, EDDY_EAUTH},
};

static void wrong_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(wrongs); i++) {
        struct handshake_ends ends;
        uint8_t data[ED_INITIATE_SIZE];
        ed_initiate initiate;
        ed_accept accept = {.id = 7};
        ed_noise server;
        handshake_init(&ends, wrongs[i].mode);
        wrongs[i].change(&ends);
        ed_noise client = handshake_initiate(&ends, data);
        CHECK_EQ(wrongs[i].name, handshake_take(&ends, &initiate, &server, data, sizeof(data)),
                 wrongs[i].initiate);
        if (wrongs[i].initiate != EDDY_OK)
            continue;
        size_t size = handshake_accept(&ends, &server, data);
        CHECK_EQ(wrongs[i].name, handshake_opens(&ends, client, &accept, data, size),
                 wrongs[i].accept);
    }
}

/** The answer to one INITIATE is none to another, even where the nonce is the same. */
static void accept_answers_one_initiate(void **state)
{
    (void)state;
    for (int mode = 0; mode < ED_MODE_COUNT; mode++) {
        struct handshake_ends ends;
        uint8_t first[ED_INITIATE_SIZE], second[ED_INITIATE_SIZE], data[ED_ACCEPT_SIZE_MAX];
        ed_accept accept;
        handshake_init(&ends, (ed_mode)mode);
        ed_noise client = handshake_initiate(&ends, first);
        ed_noise other = handshake_initiate(&ends, second);
        ed_noise server = handshake_taken(&ends, first);
        size_t size = handshake_accept(&ends, &server, data);
        CHECK_EQ("another", handshake_opens(&ends, other, &accept, data, size), EDDY_EAUTH);
        CHECK_EQ("its own", handshake_opens(&ends, client, &accept, data, size), EDDY_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initiate_goes_around),
        cmocka_unit_test(accept_goes_around),
        cmocka_unit_test(one_initiate_one_key),
        cmocka_unit_test(every_flipped_bit_of_initiate_is_refused),
        cmocka_unit_test(every_flipped_bit_of_accept_is_refused),
        cmocka_unit_test(sizes_are_exact),
        cmocka_unit_test(no_mode_is_taken_for_another),
        cmocka_unit_test(fixed_bytes),
        cmocka_unit_test(who_has_not_the_key_is_not_heard),
        cmocka_unit_test(wrong_keys),
        cmocka_unit_test(accept_answers_one_initiate),
    };
    return cmocka_run_group_tests_name("handshake", tests, set_up, NULL);
}
