#include "tests/support/check.h"

#include "core/seq.h"

#define TWO_TO(n) (UINT64_C(1) << (n))

static void the_nearest_number_is_found(void **state)
{
    static const struct {
        const char *name;
        uint64_t expected;
        uint64_t low;
        unsigned bits;
        uint64_t want;
    } rows[] = {
        {"example of RFC 9000 A.3", 0xa82f30eb, 0x9b32, 16, 0xa82f9b32},
        {"start", 0, 0, 8, 0},
        {"start, a gap", 0, 127, 8, 127},
        {"start, half a window ahead", 0, 128, 8, 128},
        {"near 0 nothing lies behind", 0, 255, 8, 255},
        {"near 0, still nothing behind", 100, 0xf0, 8, 0xf0},
        {"near 0, 32 bits", 5, 0xffffffff, 32, 0xffffffff},
        {"2^8: expected", 256, 0x00, 8, 256},
        {"2^8: one behind", 256, 0xff, 8, 255},
        {"2^8: ahead over the wrap", 255, 0x00, 8, 256},
        {"2^8: half ahead", 255, 0x7f, 8, 383},
        {"2^8: just under half behind", 383, 0x00, 8, 256},
        {"2^8: half counts as ahead", 384, 0x00, 8, 512},
        {"2^14: behind the wrap", TWO_TO(14), 0x3fff, 14, TWO_TO(14) - 1},
        {"2^14: over the wrap", TWO_TO(14) - 1, 0, 14, TWO_TO(14)},
        {"2^14: third wrap", 3 * TWO_TO(14) - 2, 5, 14, 3 * TWO_TO(14) + 5},
        {"2^14: half ahead", TWO_TO(14), 0x2000, 14, TWO_TO(14) + 0x2000},
        {"2^14: behind by half less one", TWO_TO(14), 0x2001, 14, 0x2001},
        {"2^16: behind the wrap", TWO_TO(16), 0xffff, 16, TWO_TO(16) - 1},
        {"2^16: over the wrap", TWO_TO(16) - 1, 0, 16, TWO_TO(16)},
        {"2^16: with high bits", 0x123456fffe, 0x0001, 16, 0x1234570001},
        {"2^32: behind the wrap", TWO_TO(32), 0xffffffff, 32, TWO_TO(32) - 1},
        {"2^32: over the wrap", TWO_TO(32) - 1, 0, 32, TWO_TO(32)},
        {"2^32: half ahead", TWO_TO(32), TWO_TO(31), 32, TWO_TO(32) + TWO_TO(31)},
        {"bits above are ignored", 256, 0xab01, 8, 257},
        {"the last number", TWO_TO(62) - 1, 0xffff, 16, TWO_TO(62) - 1},
        {"behind the last number", TWO_TO(62), 0xffff, 16, TWO_TO(62) - 1},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_seq_expand(rows[i].expected, rows[i].low, rows[i].bits),
                 rows[i].want);
}

/** Every number within half a window of the expected one comes back from its low bits. */
static void what_was_left_out_is_put_back(void **state)
{
    static const unsigned bits[] = {8, 14, 16, 32};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(bits); i++) {
        uint64_t window = TWO_TO(bits[i]), half = window / 2;
        uint64_t step = half > 64 ? half / 64 : 1;
        for (uint64_t expected = 3 * window - 3; expected <= 3 * window + 3; expected++) {
            for (uint64_t far = 0; far < half; far += step) {
                uint64_t behind = expected - far, ahead = expected + far + 1;
                CHECK_EQ("behind", ed_seq_expand(expected, behind % window, bits[i]), behind);
                CHECK_EQ("ahead", ed_seq_expand(expected, ahead % window, bits[i]), ahead);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_number_is_found),
        cmocka_unit_test(what_was_left_out_is_put_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
