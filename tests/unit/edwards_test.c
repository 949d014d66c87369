#include "core/edwards.h"

#include "core/base.h"
#include "core/crypto.h"
#include "tests/support/check.h"
#include "tests/support/hex.h"
#include "tests/support/splitmix.h"

enum {
    SECRETS = 300, /* so many drawn ones */
};

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

static void points_have_their_coordinate(void **state)
{
    static const struct {
        const char *name, *y, *u;
    } rows[] = {
        {"RFC 7748: the base, 4/5",
         "5866666666666666666666666666666666666666666666666666666666666666",
         "0900000000000000000000000000000000000000000000000000000000000000"},
        {"with the other sign", "58666666666666666666666666666666666666666666666666666666666666e6",
         "0900000000000000000000000000000000000000000000000000000000000000"},
        {"of order 4: y = 0", "0000000000000000000000000000000000000000000000000000000000000000",
         "0100000000000000000000000000000000000000000000000000000000000000"},
        {"of order 2: y = -1", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
         "0000000000000000000000000000000000000000000000000000000000000000"},
        {"y = 2: -3", "0200000000000000000000000000000000000000000000000000000000000000",
         "eaffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
        {"y = -2: -1/3", "ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
         "a4aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2a"},
        {"the neutral point", "0100000000000000000000000000000000000000000000000000000000000000",
         "0000000000000000000000000000000000000000000000000000000000000000"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t y[ED_POINT_SIZE], want[ED_POINT_SIZE], got[ED_POINT_SIZE];

        (void)hex_read(y, sizeof(y), rows[i].y);
        (void)hex_read(want, sizeof(want), rows[i].u);
        ed_edwards_to_u(got, y);
        CHECK_BYTES(rows[i].name, got, want, sizeof(got));
    }
}

/** The ladder of X25519 from its base, which knows nothing of the other curve. */
static void check_public(const char *name, const uint8_t secret[ED_KEY_SIZE])
{
    static const uint8_t base[ED_KEY_SIZE] = {9};
    uint8_t want[ED_KEY_SIZE], got[ED_KEY_SIZE];

    CHECK(name, ed_x25519(want, secret, base));
    ed_x25519_public(got, secret);
    CHECK_BYTES(name, got, want, sizeof(got));
}

static void public_keys_are_what_the_ladder_makes(void **state)
{
    static const struct {
        const char *name;
        uint8_t byte, first, last; /* all but the ends are alike */
    } rows[] = {
        {"zeros", 0, 0, 0},
        {"ones", 0xff, 0xff, 0xff},
        {"only bits that do not count", 0, 7, 0x80},
        {"only the bit that is always set", 0, 0, 0x40},
        {"the least digits that count", 0, 8, 0},
        {"digits of 8 each", 0x88, 0x88, 0x88},
        {"digits of 7 each", 0x77, 0x77, 0x77},
    };
    uint64_t seed = 1;
    uint8_t secret[ED_KEY_SIZE];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        memset(secret, rows[i].byte, sizeof(secret));
        secret[0] = rows[i].first;
        secret[ED_KEY_SIZE - 1] = rows[i].last;
        check_public(rows[i].name, secret);
    }
    for (size_t i = 0; i < SECRETS; i++) {
        for (size_t k = 0; k < ED_KEY_SIZE; k++)
            secret[k] = (uint8_t)splitmix_next(&seed);
        check_public("drawn", secret);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_have_their_coordinate),
        cmocka_unit_test(public_keys_are_what_the_ladder_makes),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
