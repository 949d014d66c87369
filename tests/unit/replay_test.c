#include "tests/support/check.h"

#include "transport/replay.h"

#define TWO(n) (UINT64_C(1) << (n))

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
    ed_replay replay = {0};
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, offer(&replay, rows[i].number), rows[i].want);
}

/** Whole windows, up and down: each number once, the one below the window never. */
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
        {"over 2^32", TWO(32) - 1024},
        {"up to 2^62", TWO(62) - 2 * ED_REPLAY_WINDOW},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_replay up = {0};
        ed_replay down = {0};
        for (uint64_t n = rows[i].base; n < rows[i].base + 2 * ED_REPLAY_WINDOW; n++) {
            CHECK(rows[i].name, offer(&up, n));
            CHECK(rows[i].name, !offer(&up, n));
        }
        uint64_t top = rows[i].base + 2 * ED_REPLAY_WINDOW - 1;
        for (uint64_t n = top; n > top - ED_REPLAY_WINDOW; n--) {
            CHECK(rows[i].name, !offer(&up, n));
            CHECK(rows[i].name, offer(&down, n));
        }
        CHECK(rows[i].name, !offer(&down, top - ED_REPLAY_WINDOW));
        CHECK_EQ(rows[i].name, memcmp(&up, &down, sizeof(up)), 0);
    }
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
        fits = fits && other != number && (number > other || other - number < ED_REPLAY_WINDOW);
    }
    return fits;
}

static const uint64_t alphabet[] = {0,    1,    62,   63,   64,   127,  128,
                                    2047, 2048, 2049, 2110, 2112, 4095, 4096};

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
    static const uint64_t bases[] = {0, 1, 61, TWO(32) - 2048, TWO(62) - 4096};

    for (size_t i = 0; i < ED_COUNT(bases); i++)
        explore(&(ed_replay){0}, &(struct naive){.count = 0}, bases[i], 4);
}

/** A long random walk against a byte per number. */
static void test_walk(void **state)
{
    (void)state;
    enum { NUMBERS = 400 * 1000 };
    static uint8_t seen[NUMBERS];
    ed_replay replay = {0};
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
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_every_word),
        cmocka_unit_test(test_walk),
    };
    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
