#include "tests/support/check.h"

#include "core/base.h"
#include "transport/protect.h"

enum {
    HEADER_SIZE = 7,
    PLAIN_SIZE = 40,
    SEALED_SIZE = HEADER_SIZE + PLAIN_SIZE + ED_TAG_SIZE,
    NUMBER = 1000,
};

static uint8_t nonce[ED_NONCE_SIZE];
static uint8_t client[ED_EPHEMERAL_SIZE];
static uint8_t server[ED_EPHEMERAL_SIZE];

static int setup(void **state)
{
    (void)state;
    memset(nonce, 1, sizeof(nonce));
    memset(client, 2, sizeof(client));
    memset(server, 3, sizeof(server));
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

static void seal_pattern(uint8_t data[SEALED_SIZE], const ed_key *key, uint64_t number)
{
    for (size_t i = 0; i < SEALED_SIZE - ED_TAG_SIZE; i++)
        data[i] = (uint8_t)(i * 3);
    ed_protect_seal(key, number, data, HEADER_SIZE, SEALED_SIZE - ED_TAG_SIZE);
}

static void sealed_opens(void **state)
{
    ed_keys keys = ed_protect_packet_keys(nonce, client, server);
    uint8_t data[SEALED_SIZE];

    (void)state;
    seal_pattern(data, &keys.packet[ED_TO_SERVER], NUMBER);
    CHECK("opens",
          ed_protect_open(&keys.packet[ED_TO_SERVER], NUMBER, data, HEADER_SIZE, SEALED_SIZE));
    for (size_t i = 0; i < HEADER_SIZE + PLAIN_SIZE; i++)
        CHECK_EQ("contents", data[i], (uint8_t)(i * 3));
}

static void every_flipped_bit_is_refused(void **state)
{
    ed_key key = ed_protect_packet_keys(nonce, client, server).packet[ED_TO_CLIENT];
    uint8_t sealed[SEALED_SIZE], data[SEALED_SIZE];

    (void)state;
    seal_pattern(sealed, &key, NUMBER);
    for (size_t bit = 0; bit < 8 * SEALED_SIZE; bit++) {
        memcpy(data, sealed, sizeof(data));
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (ed_protect_open(&key, NUMBER, data, HEADER_SIZE, SEALED_SIZE))
            fail_msg("bit %zu may be flipped", bit);
    }
}

static void only_the_same_number_opens(void **state)
{
    static const struct {
        const char *name;
        uint64_t number;
        bool want;
    } rows[] = {
        {"itself", NUMBER, true},
        {"the one before", NUMBER - 1, false},
        {"the next", NUMBER + 1, false},
        {"zero", 0, false},
        {"the same two low bytes", NUMBER + (1 << 16), false},
        {"the same four low bytes", NUMBER + (UINT64_C(1) << 32), false},
        {"the same two bytes, higher up", (uint64_t)NUMBER << 32, false},
        {"the same low 56 bits", NUMBER + (UINT64_C(1) << 56), false},
    };
    ed_key key = ed_protect_packet_keys(nonce, client, server).packet[ED_TO_CLIENT];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[SEALED_SIZE];
        seal_pattern(data, &key, NUMBER);
        CHECK_EQ(rows[i].name,
                 ed_protect_open(&key, rows[i].number, data, HEADER_SIZE, SEALED_SIZE),
                 rows[i].want);
    }
}

static void every_size_but_the_whole_is_refused(void **state)
{
    ed_key key = ed_protect_packet_keys(nonce, client, server).packet[ED_TO_SERVER];
    uint8_t sealed[SEALED_SIZE], data[SEALED_SIZE];

    (void)state;
    seal_pattern(sealed, &key, NUMBER);
    for (size_t size = 0; size < SEALED_SIZE; size++) {
        memcpy(data, sealed, sizeof(data));
        CHECK("cut", !ed_protect_open(&key, NUMBER, data, ed_min_size(HEADER_SIZE, size), size));
    }
    ed_protect_seal(&key, 0, data, HEADER_SIZE, HEADER_SIZE);
    CHECK("no contents", ed_protect_open(&key, 0, data, HEADER_SIZE, HEADER_SIZE + ED_TAG_SIZE));
    CHECK("no room for a header",
          !ed_protect_open(&key, 0, data, HEADER_SIZE + 1, HEADER_SIZE + ED_TAG_SIZE));
}

/** Each purpose has a key of its own, and each input of the derivation counts. */
static void keys_differ(void **state)
{
    ed_key keys[9];
    size_t count = 0;

    (void)state;
    for (unsigned change = 0; change < 4; change++) {
        setup(NULL);
        uint8_t *inputs[] = {nonce + ED_NONCE_SIZE - 1, client + ED_EPHEMERAL_SIZE - 1,
                             server + ED_EPHEMERAL_SIZE - 1};
        if (change < ED_COUNT(inputs))
            *inputs[change] ^= 0x80;
        ed_keys pair = ed_protect_packet_keys(nonce, client, server);
        keys[count++] = pair.packet[ED_TO_SERVER];
        keys[count++] = pair.packet[ED_TO_CLIENT];
    }
    keys[count++] = ed_protect_accept_key(nonce, client);
    CHECK_EQ("keys", count, ED_COUNT(keys));
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            CHECK("equal keys", memcmp(&keys[i], &keys[j], sizeof(keys[i])) != 0);

    ed_key again = ed_protect_accept_key(nonce, client);
    CHECK_BYTES("the same gives the same", &again, &keys[count - 1], sizeof(again));
    nonce[0] ^= 1;
    ed_key other = ed_protect_accept_key(nonce, client);
    CHECK("ACCEPT's by nonce", memcmp(&again, &other, sizeof(other)) != 0);
}

/** What goes one way is not taken for what goes the other way. */
static void directions_do_not_mix(void **state)
{
    ed_keys keys = ed_protect_packet_keys(nonce, client, server);
    uint8_t data[SEALED_SIZE];

    (void)state;
    seal_pattern(data, &keys.packet[ED_TO_SERVER], NUMBER);
    CHECK("reflected",
          !ed_protect_open(&keys.packet[ED_TO_CLIENT], NUMBER, data, HEADER_SIZE, SEALED_SIZE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sealed_opens, setup),
        cmocka_unit_test_setup(every_flipped_bit_is_refused, setup),
        cmocka_unit_test_setup(only_the_same_number_opens, setup),
        cmocka_unit_test_setup(every_size_but_the_whole_is_refused, setup),
        cmocka_unit_test_setup(keys_differ, setup),
        cmocka_unit_test_setup(directions_do_not_mix, setup),
    };
    return cmocka_run_group_tests_name("protect", tests, NULL, NULL);
}
