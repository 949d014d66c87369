#include "tests/support/check.h"

#include "core/addr.h"
#include "core/base.h"
#include "transport/cookie.h"

#define LIFE_NS (ED_COOKIE_SECRET_LIFE_S * ED_NS_PER_S)
#define TICK_NS (ED_NS_PER_S / ED_COOKIE_TICKS_PER_S)
#define START_NS (100 * LIFE_NS) /* the beginning of an epoch */

static ed_cookie_jar jar;
static unsigned fill_count;

/** Bytes that are never the same twice. */
static void fill(void *context, void *data, size_t size)
{
    fill_count++;
    memset(data, (int)(fill_count & 0xff), size);
    (void)context;
}

static const eddy_entropy entropy = {.fill = fill};

static int setup(void **state)
{
    (void)state;
    fill_count = 0;
    if (ed_crypto_init() != EDDY_OK)
        return -1;
    ed_cookie_init(&jar, &entropy, START_NS);
    // Only the low bits are drawn apart, so that the two first secrets differ too.
    jar.secret[1][0] ^= 0x80;
    return 0;
}

static const ed_hello hello = {.version = 1,
                               .mode = ED_MODE_PINNED,
                               .version_count = 1,
                               .protocol_id = 77,
                               .nonce = {1, 2, 3, [15] = 4}};

static eddy_address home(void)
{
    return ed_addr_ipv4(192, 0, 2, 7, 4242);
}

/** An INITIATE with a cookie that was given out at `made_ns`. */
static ed_initiate with_cookie(uint64_t made_ns)
{
    eddy_address remote = home();
    ed_initiate initiate = {
        .version = hello.version, .mode = hello.mode, .protocol_id = hello.protocol_id};

    memcpy(initiate.nonce, hello.nonce, sizeof(initiate.nonce));
    ed_cookie_make(&jar, initiate.cookie, &hello, &remote, made_ns);
    return initiate;
}

static bool check_at(const ed_initiate *initiate, uint64_t now_ns)
{
    eddy_address remote = home();
    return ed_cookie_check(&jar, initiate, &remote, now_ns);
}

static void the_address_counts(void **state)
{
    static const struct {
        const char *name;
        const char *address;
        bool want;
    } rows[] = {
        {"the same", "192.0.2.7:4242", true},
        {"another port", "192.0.2.7:4243", false},
        {"another port, high byte", "192.0.2.7:4498", false},
        {"another host", "192.0.2.8:4242", false},
        {"another network", "193.0.2.7:4242", false},
        {"the same bytes as IPv6", "[c000:207::]:4242", false},
        {"the mapped form is the same address", "[::ffff:192.0.2.7]:4242", true},
    };
    ed_initiate initiate = with_cookie(START_NS);

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_address remote;
        CHECK_EQ(rows[i].name, eddy_address_parse(&remote, rows[i].address), EDDY_OK);
        CHECK_EQ(rows[i].name, ed_cookie_check(&jar, &initiate, &remote, START_NS), rows[i].want);
    }
}

static void what_it_vouches_for(void **state)
{
    ed_initiate good = with_cookie(START_NS);
    ed_initiate rows[5] = {good, good, good, good, good};

    (void)state;
    rows[1].version ^= 0x100;
    rows[2].mode ^= 1;
    rows[3].protocol_id ^= UINT64_C(1) << 63;
    rows[4].nonce[15] ^= 1;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ("only the first is as it was", check_at(&rows[i], START_NS), i == 0);

    // Suites and ephemeral are chosen after the cookie was given.
    good.suites ^= 0xff;
    good.ephemeral[0] ^= 1;
    CHECK("chosen later", check_at(&good, START_NS));
}

static void every_flipped_bit_is_refused(void **state)
{
    ed_initiate good = with_cookie(START_NS);

    (void)state;
    CHECK("unchanged", check_at(&good, START_NS));
    for (size_t bit = 0; bit < 8 * ED_COOKIE_SIZE; bit++) {
        ed_initiate bad = good;
        bad.cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (check_at(&bad, START_NS))
            fail_msg("bit %zu may be flipped", bit);
    }
}

static void age(void **state)
{
    static const struct {
        const char *name;
        uint64_t made_ns;
        uint64_t now_ns;
        bool want;
    } rows[] = {
        {"at once", START_NS, START_NS, true},
        {"in its last tick", START_NS, START_NS + 10 * ED_NS_PER_S + TICK_NS - 1, true},
        {"a tick later", START_NS, START_NS + 10 * ED_NS_PER_S + TICK_NS, false},
        {"made at a tick's end", START_NS + TICK_NS - 1, START_NS + 10 * ED_NS_PER_S, true},
        {"an hour later", START_NS, START_NS + 3600 * ED_NS_PER_S, false},
        {"from the next tick", START_NS + TICK_NS, START_NS, false},
        {"from later in this tick", START_NS + TICK_NS - 1, START_NS, true},
        {"from the far future", START_NS + 60 * ED_NS_PER_S, START_NS, false},
        {"the clock's ticks wrap between", TICK_NS * UINT64_C(0xffffffff),
         TICK_NS * UINT64_C(0x100000000), true},
        {"and are not confused by it", START_NS, START_NS + TICK_NS * UINT64_C(0xffffffff), false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_initiate initiate = with_cookie(rows[i].made_ns);
        CHECK_EQ(rows[i].name, check_at(&initiate, rows[i].now_ns), rows[i].want);
    }
}

/** A cookie lives through one change of the secret, and not through two. */
static void rotation(void **state)
{
    static const struct {
        const char *name;
        uint64_t rotate_at_ns[2]; /* 0: no call */
        bool want;
        unsigned draws; /* secrets drawn since the beginning */
    } rows[] = {
        {"none", {0, 0}, true, 0},
        {"within the epoch", {START_NS + 1, START_NS + LIFE_NS - 1}, true, 0},
        {"one", {START_NS + LIFE_NS, 0}, true, 1},
        {"one, called twice", {START_NS + LIFE_NS, START_NS + LIFE_NS + 1}, true, 1},
        {"two", {START_NS + LIFE_NS, START_NS + 2 * LIFE_NS}, false, 2},
        {"two at once", {START_NS + 2 * LIFE_NS, 0}, false, 2},
        {"after a long pause", {START_NS + 128 * LIFE_NS, 0}, false, 2},
        {"a pause of odd length", {START_NS + 129 * LIFE_NS, 0}, false, 2},
        {"never back", {START_NS - LIFE_NS, 0}, true, 0},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        setup(state);
        unsigned before = fill_count;
        // Made in the last moment of its epoch, and checked right after: age plays no part.
        uint64_t made_ns = START_NS + LIFE_NS - TICK_NS;
        ed_initiate initiate = with_cookie(made_ns);
        for (size_t step = 0; step < 2; step++)
            if (rows[i].rotate_at_ns[step] != 0)
                ed_cookie_rotate(&jar, &entropy, rows[i].rotate_at_ns[step]);
        CHECK_EQ(rows[i].name, check_at(&initiate, made_ns), rows[i].want);
        CHECK_EQ(rows[i].name, fill_count - before, rows[i].draws);
        ed_initiate fresh = with_cookie(made_ns);
        CHECK("a fresh one is good", check_at(&fresh, made_ns));
    }
}

/** Before the first rotation there was no epoch to accept. */
static void epoch_zero_has_none_before_it(void **state)
{
    (void)state;
    ed_cookie_init(&jar, &entropy, 0);
    ed_initiate initiate = with_cookie(0);
    CHECK("itself", check_at(&initiate, 0));
    initiate.cookie[0] = 0x7f; // what (0 - 1) would be on the wire
    CHECK("no epoch -1", !check_at(&initiate, 0));
}

/** Which of two cookies was given first, by the server's own clock, though that wraps. */
static void older_and_newer(void **state)
{
    static const struct {
        const char *name;
        uint64_t made_ns;
        uint64_t than_ns;
        bool want;
    } rows[] = {
        {"the same", START_NS, START_NS, false},
        {"within a tick", START_NS, START_NS + TICK_NS - 1, false},
        {"a tick before", START_NS, START_NS + TICK_NS, true},
        {"a tick after", START_NS + TICK_NS, START_NS, false},
        {"before the ticks wrap", TICK_NS * UINT64_C(0xfffffff0), TICK_NS * UINT64_C(0x100000005),
         true},
        {"after they have wrapped", TICK_NS * UINT64_C(0x100000005), TICK_NS * UINT64_C(0xfffffff0),
         false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_initiate cookie = with_cookie(rows[i].made_ns), than = with_cookie(rows[i].than_ns);
        CHECK_EQ(rows[i].name, ed_cookie_is_older(cookie.cookie, than.cookie), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_address_counts, setup),
        cmocka_unit_test_setup(what_it_vouches_for, setup),
        cmocka_unit_test_setup(every_flipped_bit_is_refused, setup),
        cmocka_unit_test_setup(age, setup),
        cmocka_unit_test_setup(rotation, setup),
        cmocka_unit_test_setup(epoch_zero_has_none_before_it, setup),
        cmocka_unit_test_setup(older_and_newer, setup),
    };
    return cmocka_run_group_tests_name("cookie", tests, NULL, NULL);
}
