/**
 * Keys of low order, offered by somebody who knows all else: whatever secret they are multiplied
 * with, the result is zero, so that a message can be made that would be authentic.
 */
#include "tests/unit/noise_forger.h"

#include "core/base.h"
#include "tests/unit/x25519_points.h"

static const char payload[] = "a payload";

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

/* ------------------------------------------------------------------------------------ refusals --
 */

enum { PARTS_MAX = 6 };

static const struct {
    const char *name;
    ed_noise_pattern pattern;
    bool by_initiator;
    char in_place_of;
    const char *parts[PARTS_MAX];
} forgeries[] = {
    {"NKpsk0, 1, e", ED_NOISE_NKPSK0, true, 'e', {"psk", "e", "es"}},
    {"NKpsk0, 2, e", ED_NOISE_NKPSK0, false, 'e', {"e", "ee"}},
    {"IKpsk1, 1, e", ED_NOISE_IKPSK1, true, 'e', {"e", "es", "s", "ss", "psk"}},
    {"IKpsk1, 1, s", ED_NOISE_IKPSK1, true, 's', {"e", "es", "s", "ss", "psk"}},
    {"IKpsk1, 2, e", ED_NOISE_IKPSK1, false, 'e', {"e", "ee", "es"}},
    {"NXpsk2, 2, e", ED_NOISE_NXPSK2, false, 'e', {"e", "ee", "s", "se", "psk"}},
    {"NXpsk2, 2, s", ED_NOISE_NXPSK2, false, 's', {"e", "ee", "s", "se", "psk"}},
};

/** Whether the message of a forgery is taken, with the point or, if NULL, without a lie. */
static bool is_taken(size_t row, const uint8_t *point)
{
    struct noise_secrets s = noise_secrets_of(&noise_vectors[forgeries[row].pattern]);
    ed_noise initiator = noise_initiator(&s), responder = noise_responder(&s);
    struct forger f = {.point = point,
                       .in_place_of = point == NULL ? '-' : forgeries[row].in_place_of};

    if (forgeries[row].by_initiator) {
        f.noise = initiator;
        f.own = s.initiator;
        f.ephemeral = s.initiator_ephemeral;
        return noise_takes(responder, forge(f, forgeries[row].parts, payload, sizeof(payload)));
    }
    struct noise_message first = noise_says(&initiator, &s, payload, sizeof(payload));
    CHECK("honest", ed_noise_read(&responder, first.data, first.size));
    f.noise = responder;
    f.own = s.responder;
    f.ephemeral = s.responder_ephemeral;
    return noise_takes(initiator, forge(f, forgeries[row].parts, payload, sizeof(payload)));
}

static void a_forger_that_does_not_lie_is_believed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(forgeries); i++)
        CHECK(forgeries[i].name, is_taken(i, NULL));
}

static void keys_of_low_order_in_messages_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(forgeries); i++)
        for (size_t point = 0; point < ED_COUNT(x25519_points); point++) {
            uint8_t key[ED_KEY_SIZE];
            (void)hex_read(key, sizeof(key), x25519_points[point].key);
            CHECK(forgeries[i].name, !is_taken(i, key));
        }
}

/** Where nothing has been mixed with a key by the time it is read, the answer cannot be written. */
static void nothing_is_written_to_a_key_of_low_order(void **state)
{
    static const char *const parts[] = {"e", NULL};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(x25519_points); i++) {
        struct noise_secrets s = noise_secrets_of(&noise_vectors[ED_NOISE_NXPSK2]);
        ed_noise responder = noise_responder(&s);
        uint8_t key[ED_KEY_SIZE], data[NOISE_ROOM];

        (void)hex_read(key, sizeof(key), x25519_points[i].key);
        struct forger f = {.noise = noise_initiator(&s), .point = key, .in_place_of = 'e'};
        struct noise_message m = forge(f, parts, payload, sizeof(payload));
        CHECK(x25519_points[i].name, ed_noise_read(&responder, m.data, m.size));
        CHECK_EQ(x25519_points[i].name,
                 ed_noise_write(&responder, s.responder_ephemeral.secret, data, 0),
                 x25519_points[i].shared != NULL);
    }
}

static void nothing_is_written_to_a_server_of_low_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ED_COUNT(x25519_points); i++) {
        size_t point = i / 2;
        struct noise_secrets s =
            noise_secrets_of(&noise_vectors[i % 2 == 0 ? ED_NOISE_NKPSK0 : ED_NOISE_IKPSK1]);
        uint8_t data[NOISE_ROOM];

        (void)hex_read(s.known, sizeof(s.known), x25519_points[point].key);
        ed_noise initiator = noise_initiator(&s);
        CHECK_EQ(x25519_points[point].name,
                 ed_noise_write(&initiator, s.initiator_ephemeral.secret, data, 0),
                 x25519_points[point].shared != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forger_that_does_not_lie_is_believed),
        cmocka_unit_test(keys_of_low_order_in_messages_are_refused),
        cmocka_unit_test(nothing_is_written_to_a_key_of_low_order),
        cmocka_unit_test(nothing_is_written_to_a_server_of_low_order),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
