/** Draws are what a seed means: their values are pinned, on every machine. */
#include "core/base.h"
#include "sim/random.h"
#include "tests/support/check.h"

static void draws_are_pinned(void **state)
{
    static const struct {
        const char *name;
        uint64_t seed;
        uint64_t link;
        uint32_t direction;
        ed_purpose purpose;
        uint64_t key;
        uint64_t draws[3]; // at 0, 1 and UINT64_MAX
    } rows[] = {
        {"zero",
         0,
         0,
         0,
         ED_PURPOSE_LOSS,
         0x9a63c6065bd325c1,
         {0x6387363dd3c69780, 0x95fc914f81e80fbd, 0x5ea54532c41fc968}},
        {"seed",
         1,
         0,
         0,
         ED_PURPOSE_LOSS,
         0xcb486e62228f1f1f,
         {0x3bbcbb3ac6bc97c2, 0x2f84dcbe1b3a4ef1, 0x0e443acdcd463ad5}},
        {"link",
         0,
         1,
         0,
         ED_PURPOSE_LOSS,
         0x3e50390b4c166f7f,
         {0xc3f62abc2c980258, 0x3658ae995398e6a7, 0xdf2cc49dbde9a1d1}},
        {"direction",
         0,
         0,
         1,
         ED_PURPOSE_LOSS,
         0xd9b44a58364707bc,
         {0xc4702a13bd43f05e, 0xc41342bcec67b7ef, 0x158cf886e2fe0106}},
        {"purpose",
         0,
         0,
         0,
         ED_PURPOSE_BURST_LOSS,
         0x568b60241dec7699,
         {0xf4bd9212f5cad1ca, 0x333042fd99cf62e8, 0x35da8dd50e4d900b}},
        {"all",
         UINT64_MAX,
         UINT64_C(3) << 32 | 7,
         1,
         ED_PURPOSE_JITTER,
         0xfe7d68f00d47891f,
         {0x2eb7dd10e5840948, 0x43ebb213499b0810, 0xa6d7c0f67080bb52}},
    };
    (void)state;

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t key =
            ed_stream_key(rows[i].seed, rows[i].link, rows[i].direction, rows[i].purpose);
        CHECK_EQ(rows[i].name, key, rows[i].key);
        CHECK_EQ(rows[i].name, ed_draw(key, 0), rows[i].draws[0]);
        CHECK_EQ(rows[i].name, ed_draw(key, 1), rows[i].draws[1]);
        CHECK_EQ(rows[i].name, ed_draw(key, UINT64_MAX), rows[i].draws[2]);
    }
}

static void a_draw_maps_onto_a_range(void **state)
{
    static const struct {
        const char *name;
        uint64_t draw;
        uint64_t bound;
        uint64_t want;
    } rows[] = {
        {"one value", UINT64_MAX, 1, 0},
        {"least", 0, 1000, 0},
        {"most", UINT64_MAX, 1000, 999},
        {"half", UINT64_C(1) << 63, 1000, 500},
        {"just below half", (UINT64_C(1) << 63) - 1, 1000, 499},
        {"64-bit bound", UINT64_MAX, UINT64_MAX, UINT64_MAX - 1},
        {"carries", 0x0123456789abcdef, 0xfedcba9876543210, 0x0121fa00ad77d742},
    };
    (void)state;

    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_draw_below(rows[i].draw, rows[i].bound), rows[i].want);
}

static void a_probability_is_an_exact_threshold(void **state)
{
    static const struct {
        const char *name;
        uint32_t ppm;
        uint64_t threshold; // the least draw that does not hit
    } rows[] = {
        {"one in a million", 1, 0x000010c6f7a0b5ed},
        {"one percent", 10000, 0x028f5c28f5c28f5c},
        {"half", 500000, 0x8000000000000000},
        {"all but one in a million", 999999, 0xffffef39085f4a12},
    };
    (void)state;

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK(rows[i].name, ed_draw_hits(rows[i].threshold - 1, rows[i].ppm));
        CHECK(rows[i].name, !ed_draw_hits(rows[i].threshold, rows[i].ppm));
    }
    CHECK("never", !ed_draw_hits(0, 0));
    CHECK("always", ed_draw_hits(UINT64_MAX, ED_PPM_CERTAIN));
}

/** The numbers are the ones published for splitmix64 with this seed. */
static void the_generator_is_splitmix64(void **state)
{
    static const uint64_t want[] = {6457827717110365317u, 3203168211198807973u,
                                    9817491932198370423u, 4593380528125082431u,
                                    16408922859458223821u};
    ed_rng rng = ed_rng_of(1234567);
    (void)state;

    for (size_t i = 0; i < ED_COUNT(want); i++)
        CHECK_EQ("published", ed_rng_next(&rng), want[i]);
    rng = ed_rng_of(1234567);
    CHECK_EQ("below", ed_rng_below(&rng, 1000), 350);
    CHECK("hits", ed_rng_hits(&rng, 173645)); // the second draw is 0.173644... of 2^64
    rng = ed_rng_of(1234567);
    CHECK("misses", !ed_rng_hits(&rng, 350078)); // the first is 0.350079...
}

static void fill_is_little_endian(void **state)
{
    static const uint8_t want[] = {0x85, 0xfc, 0x08, 0xfb, 0x17, 0xd0, 0x9e,
                                   0x59, 0xa5, 0x0f, 0x54, 0x58, 0xee};
    uint8_t got[ED_COUNT(want)];
    (void)state;

    for (size_t size = 0; size < ED_COUNT(want); size++) {
        ed_rng rng = ed_rng_of(1234567);
        memset(got, 0xee, sizeof got);
        ed_rng_fill(&rng, got, size);
        CHECK_BYTES("filled", got, want, size);
        CHECK_EQ("byte behind", got[size], 0xee);
    }
}

static void a_trace_holds_bytes_and_their_number(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        uint64_t want;
    } rows[] = {
        {"empty", "", 0xe220a8397b1dcdaf},
        {"one", "a", 0x5e025f9ade9eaf3e},
        {"a word and a rest", "abcdefghij", 0x9e566f59bd2ab434},
    };
    (void)state;

    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_mix_bytes(0, rows[i].bytes, strlen(rows[i].bytes)), rows[i].want);
    CHECK_EQ("number", ed_mix_u64(5, 9), 0x943ff9fc99de8f03);
    CHECK("a zero byte counts", ed_mix_bytes(0, "a", 1) != ed_mix_bytes(0, "a", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_pinned),
        cmocka_unit_test(a_draw_maps_onto_a_range),
        cmocka_unit_test(a_probability_is_an_exact_threshold),
        cmocka_unit_test(the_generator_is_splitmix64),
        cmocka_unit_test(fill_is_little_endian),
        cmocka_unit_test(a_trace_holds_bytes_and_their_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
