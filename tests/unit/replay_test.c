#include "tests/support/check.h"

#include "core/alloc.h"
#include "transport/replay.h"

#define TWO(n) (UINT64_C(1) << (n))

/** One that is wide from the beginning, with bits of its own. */
static ed_replay wide_of(uint64_t bits[ED_REPLAY_WINDOW / ED_REPLAY_WORD_BITS])
{
    return (ed_replay){.wide = bits};
}

/** Commits what may be. @return whether it might. */
static bool offer(ed_replay *replay, uint64_t number)
{
    if (!ed_replay_check(replay, number))
        return false;
    ed_replay_commit(replay, number);
    return true;
}

/** One window over all rows. */
static void test_steps(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t number;
        bool want;
    } rows[] = {
        {"zero comes first", 0, true},
        {"zero again", 0, false},
        {"the next", 1, true},
        {"a gap", 9, true},
        {"inside the gap", 8, true},
        {"9 again", 9, false},
        {"last bit of a word", 63, true},
        {"first bit of the next word", 64, true},
        {"64 again", 64, false},
        {"63 again", 63, false},
        {"top of the first window", 2047, true},
        {"still inside", 2, true},
        {"0, the oldest inside, was taken", 0, false},
        {"one on: 0 falls out", 2048, true},
        {"0 is below the window", 0, false},
        {"1 is the oldest, and was taken", 1, false},
        {"3 is inside, though its word has been entered anew", 3, true},
        {"2111 slides over a word's end", 2111, true},
        {"63 is below", 63, false},
        {"64 is the oldest, and was taken", 64, false},
        {"65 is inside", 65, true},
        {"a whole window on", 2111 + 2048, true},
        {"its place was taken, itself not", 2112, true},
        {"the former highest is just out", 2111, false},
        {"a window less one on", 2111 + 2048 + 2047, true},
        {"the former highest is the oldest", 2111 + 2048, false},
        {"its successor is free", 2111 + 2049, true},
        {"two windows and one on", 2111 + 2048 + 2047 + 4097, true},
        {"nothing remains of before", 2111 + 2048 + 2047 + 4096, true},
        {"below 2^32", TWO(32) - 1, true},
        {"2^32", TWO(32), true},
        {"2^32 - 2047, the oldest", TWO(32) - 2047, true},
        {"2^32 - 2048, out", TWO(32) - 2048, false},
        {"2^32 again", TWO(32), false},
        {"last number but one", TWO(62) - 2, true},
        {"2^62, no packet number", TWO(62), false},
        {"2^62 + 1", TWO(62) + 1, false},
        {"all bits", UINT64_MAX, false},
        {"the last number", TWO(62) - 1, true},
        {"the last number again", TWO(62) - 1, false},
        {"the oldest at the very end", TWO(62) - 2048, true},
        {"below it", TWO(62) - 2049, false},
    };
    uint64_t bits[ED_REPLAY_WINDOW / ED_REPLAY_WORD_BITS] = {0};
    ed_replay replay = wide_of(bits);
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, offer(&replay, rows[i].number), rows[i].want);
}

/** Two windows up, one down: each number once, the one below the window never. */
static void go_up_and_down(const char *name, ed_replay *up, ed_replay *down, uint64_t window,
                           uint64_t base)
{
    uint64_t top = base + 2 * window - 1;

    for (uint64_t n = base; n <= top; n++) {
        CHECK(name, offer(up, n));
        CHECK(name, !offer(up, n));
    }
    for (uint64_t n = top; n > top - window; n--) {
        CHECK(name, !offer(up, n));
        CHECK(name, offer(down, n));
    }
    CHECK(name, !offer(down, top - window));
}

static void test_windows(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t base;
    } rows[] = {
        {"from 0", 0},
        {"from 1", 1},
        {"from the middle of a word", 1000},
        {"over 2^32", TWO(32) - 128},
        {"up to 2^62, narrow", TWO(62) - 2 * ED_REPLAY_NARROW},
        {"up to 2^62, wide", TWO(62) - 2 * ED_REPLAY_WINDOW},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t bits[2][ED_REPLAY_WINDOW / ED_REPLAY_WORD_BITS] = {0};
        ed_replay up = {0}, down = {0}, wide_up = wide_of(bits[0]), wide_down = wide_of(bits[1]);
        go_up_and_down(rows[i].name, &up, &down, ED_REPLAY_NARROW, rows[i].base);
        CHECK_EQ(rows[i].name, memcmp(&up, &down, sizeof(up)), 0);
        if (rows[i].base > TWO(62) - 2 * ED_REPLAY_WINDOW)
            continue;
        go_up_and_down(rows[i].name, &wide_up, &wide_down, ED_REPLAY_WINDOW, rows[i].base);
        CHECK_EQ(rows[i].name, memcmp(bits[0], bits[1], sizeof(bits[0])), 0);
    }
}

static void test_unknown(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t number;
        bool want;
    } rows[] = {
        {"the next", 5000, false},
        {"the highest", 4999, false},
        {"the oldest of a narrow window", 5000 - ED_REPLAY_NARROW, false},
        {"one below it", 5000 - ED_REPLAY_NARROW - 1, true},
        {"the oldest of a wide window", 5000 - ED_REPLAY_WINDOW, true},
        {"one below it", 5000 - ED_REPLAY_WINDOW - 1, false},
        {"no packet number", UINT64_MAX, false},
    };
    uint64_t bits[ED_REPLAY_WINDOW / ED_REPLAY_WORD_BITS] = {0};
    ed_replay replay = {.next = 5000}, wide = {.next = 5000, .wide = bits};
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].name, ed_replay_is_unknown(&replay, rows[i].number), rows[i].want);
        CHECK(rows[i].name, !ed_replay_is_unknown(&wide, rows[i].number));
    }
}

/** What is narrow becomes wide, and what it has not known counts as accepted. */
static void test_widening(void **state)
{
    enum { NEXT = 5000, OLDEST = NEXT - ED_REPLAY_NARROW };
    ed_counting_alloc memory;
    ed_replay replay = {0};

    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    for (uint64_t n = 0; n < NEXT; n += 3)
        CHECK("a third of all", offer(&replay, n));
    CHECK("and the last", offer(&replay, NEXT - 1));
    memory.fail_after = 0;
    ed_replay_widen(&replay, &memory.allocator);
    CHECK("without memory it stays", ed_replay_is_unknown(&replay, OLDEST - 1));
    memory.fail_after = UINT64_MAX;
    ed_replay_widen(&replay, &memory.allocator);
    CHECK("it is wide", !ed_replay_is_unknown(&replay, OLDEST - 1));
    for (uint64_t n = NEXT - ED_REPLAY_WINDOW - 1; n < NEXT - 1; n++)
        CHECK_EQ("as before", ed_replay_check(&replay, n), n >= OLDEST && n % 3 != 0);
    CHECK("onwards", offer(&replay, NEXT + ED_REPLAY_WINDOW / 2));
    CHECK("what was free is known still", offer(&replay, NEXT - 3) && !offer(&replay, NEXT - 3));
    for (uint64_t n = NEXT; n < NEXT + ED_REPLAY_WINDOW / 2; n++)
        CHECK("what has not come is free", ed_replay_check(&replay, n));
    ed_replay_free(&replay, &memory.allocator);
    CHECK_EQ("memory left", memory.live_size, 0);
}

/** The obvious way: remember everything. */
struct naive {
    uint64_t accepted[8];
    size_t count;
};

static bool naive_check(const struct naive *naive, uint64_t number)
{
    bool fits = number < TWO(62);

    for (size_t i = 0; i < naive->count; i++) {
        uint64_t other = naive->accepted[i];
        fits = fits && other != number && (number > other || other - number < ED_REPLAY_NARROW);
    }
    return fits;
}

static const uint64_t alphabet[] = {0, 1, 62, 63, 64, 127, 128, 255, 256, 257, 318, 320, 511, 512};

/** Tries every word of `left` letters from here; all letters are compared at every step. */
static void explore(const ed_replay *replay, const struct naive *naive, uint64_t base, int left)
{
    for (size_t i = 0; i < ED_COUNT(alphabet); i++) {
        uint64_t number = base + alphabet[i];
        bool want = naive_check(naive, number);
        CHECK_EQ("as the naive set says", ed_replay_check(replay, number), want);
        if (!want || left == 0)
            continue;
        ed_replay next_replay = *replay;
        struct naive next_naive = *naive;
        ed_replay_commit(&next_replay, number);
        next_naive.accepted[next_naive.count++] = number;
        explore(&next_replay, &next_naive, base, left - 1);
    }
}

static void test_every_word(void **state)
{
    (void)state;
    static const uint64_t bases[] = {0, 1, 61, TWO(32) - 256, TWO(62) - 512};

    for (size_t i = 0; i < ED_COUNT(bases); i++)
        explore(&(ed_replay){0}, &(struct naive){.count = 0}, bases[i], 4);
}

/** A long random walk against a byte per number. */
static void test_walk(void **state)
{
    (void)state;
    enum { NUMBERS = 400 * 1000 };
    static uint8_t seen[NUMBERS];
    uint64_t bits[ED_REPLAY_WINDOW / ED_REPLAY_WORD_BITS] = {0};
    ed_replay replay = wide_of(bits);
    uint64_t next = 0;
    uint64_t random = 1;

    while (next < NUMBERS - 5000) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t reach = (random >> 20) % 1000 == 0 ? 4500 : 12;
        uint64_t back = ed_min_u64(next, (random >> 60) == 0 ? 2100 : 16);
        uint64_t number = next - back + (random >> 32) % (reach + back);
        bool want = seen[number] == 0 && next <= number + ED_REPLAY_WINDOW;
        CHECK_EQ("walk", offer(&replay, number), want);
        seen[number] = 1;
        next = ed_max_u64(next, number + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),      cmocka_unit_test(test_windows),
        cmocka_unit_test(test_unknown),    cmocka_unit_test(test_widening),
        cmocka_unit_test(test_every_word), cmocka_unit_test(test_walk),
    };
    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
