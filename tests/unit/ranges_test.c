#include "tests/support/check.h"

#include "core/ranges.h"
#include "tests/support/splitmix.h"

/** The ranges as text, newest first, such as "7-9 3". */
static const char *text_of(const ed_ranges *ranges)
{
    static char text[64];
    size_t size = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < ranges->count && size < sizeof(text) - 8; i++) {
        // The numbers of these tests have one digit.
        if (i > 0)
            text[size++] = ' ';
        text[size++] = (char)('0' + ranges->range[i].first);
        if (ranges->range[i].last != ranges->range[i].first) {
            text[size++] = '-';
            text[size++] = (char)('0' + ranges->range[i].last);
        }
        text[size] = '\0';
    }
    return text;
}

static ed_ranges empty(void)
{
    static ed_range places[ED_RANGES_MAX];

    return ed_ranges_over(places, ED_RANGES_MAX);
}

static void numbers_join_into_ranges(void **state)
{
    static const struct {
        const char *name;
        uint64_t number;
        bool added;
        const char *want;
    } rows[] = {
        {"first", 3, true, "3"},
        {"again", 3, false, "3"},
        {"newer, apart", 5, true, "5 3"},
        {"between joins both", 4, true, "3-5"},
        {"inside", 4, false, "3-5"},
        {"newest of a range again", 5, false, "3-5"},
        {"oldest of a range again", 3, false, "3-5"},
        {"joins above", 6, true, "3-6"},
        {"joins below", 2, true, "2-6"},
        {"older, apart", 0, true, "2-6 0"},
        {"newest, apart", 9, true, "9 2-6 0"},
        {"joins the newest below", 8, true, "8-9 2-6 0"},
        {"closes the upper gap", 7, true, "2-9 0"},
        {"closes the lower gap", 1, true, "0-9"},
    };
    ed_ranges ranges = empty();

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].name, ed_ranges_add(&ranges, rows[i].number), rows[i].added);
        CHECK_STR(rows[i].name, text_of(&ranges), rows[i].want);
        CHECK(rows[i].name, ed_ranges_valid(&ranges));
        CHECK(rows[i].name, ed_ranges_contain(&ranges, rows[i].number));
    }
}

static void what_is_forgotten_is_not_there(void **state)
{
    static const struct {
        const char *name;
        uint64_t last;
        const char *want;
    } rows[] = {
        {"below all", 0, "8-9 5 1-3"},
        {"first of a range", 1, "8-9 5 2-3"},
        {"all but one of a range", 2, "8-9 5 3"},
        {"last of a range", 3, "8-9 5"},
        {"in a gap", 4, "8-9 5"},
        {"a range of one", 5, "8-9"},
        {"in a gap above", 7, "8-9"},
        {"into the newest", 8, "9"},
        {"the last number", 9, ""},
        {"everything there can be", UINT64_MAX, ""},
    };
    static const uint64_t numbers[] = {1, 2, 3, 5, 8, 9};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_ranges ranges = empty();
        for (size_t n = 0; n < ED_COUNT(numbers); n++)
            CHECK(rows[i].name, ed_ranges_add(&ranges, numbers[n]));
        ed_ranges_forget(&ranges, rows[i].last);
        CHECK_STR(rows[i].name, text_of(&ranges), rows[i].want);
        CHECK(rows[i].name, ed_ranges_valid(&ranges));
    }
}

static void both_ends_of_all_numbers_fit(void **state)
{
    ed_ranges ranges = empty();

    (void)state;
    CHECK("last", ed_ranges_add(&ranges, UINT64_MAX));
    CHECK("first", ed_ranges_add(&ranges, 0));
    CHECK_EQ("they do not join around the end", ranges.count, 2);
    CHECK("last again", !ed_ranges_add(&ranges, UINT64_MAX));
    CHECK("last but one", ed_ranges_add(&ranges, UINT64_MAX - 1));
    CHECK_EQ("joined", ranges.count, 2);
    ed_ranges_forget(&ranges, UINT64_MAX - 1);
    CHECK("kept", ed_ranges_contain(&ranges, UINT64_MAX));
    CHECK("gone", !ed_ranges_contain(&ranges, UINT64_MAX - 1));
    ed_ranges_forget(&ranges, UINT64_MAX);
    CHECK_EQ("empty", ranges.count, 0);
}

static void an_invalid_set_is_seen(void **state)
{
    static const struct {
        const char *name;
        bool valid;
        uint32_t count;
        ed_range range[2];
    } rows[] = {
        {"empty", true, 0, {{0}}},
        {"apart", true, 2, {{5, 6}, {1, 3}}},
        {"touching", false, 2, {{4, 6}, {1, 3}}},
        {"overlapping", false, 2, {{3, 6}, {1, 3}}},
        {"ascending", false, 2, {{1, 3}, {5, 6}}},
        {"backwards", false, 1, {{2, 1}}},
        {"too many", false, ED_RANGES_MAX + 1, {{0}}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_ranges ranges = empty();
        memcpy(ranges.range, rows[i].range, sizeof(rows[i].range));
        ranges.count = rows[i].count;
        CHECK_EQ(rows[i].name, ed_ranges_valid(&ranges), rows[i].valid);
    }
}

enum {
    SPAN = 200 /* of the numbers that are tried */
};

static uint32_t run_count(const bool *model)
{
    uint32_t count = model[0];

    for (uint32_t i = 1; i < SPAN; i++)
        count += model[i] && !model[i - 1];
    return count;
}

/** Adds to a plain set of flags, which forgets its lowest run when there are too many. */
static bool model_add(bool *model, uint32_t number)
{
    if (model[number])
        return false;
    model[number] = true;
    if (run_count(model) <= ED_RANGES_MAX)
        return true;
    uint32_t i = 0;
    while (!model[i])
        i++;
    while (model[i])
        model[i++] = false;
    return model[number];
}

static void compare_with_flags(const char *name, uint64_t base, uint32_t forget_one_in)
{
    enum { STEPS = 6000 };
    ed_ranges ranges = empty();
    bool model[SPAN] = {false};
    uint64_t random = base + forget_one_in;

    for (int step = 0; step < STEPS; step++) {
        uint32_t number = splitmix_below(&random, SPAN);
        if (splitmix_below(&random, forget_one_in) == 0) {
            memset(model, 0, number + 1);
            ed_ranges_forget(&ranges, base + number);
        } else {
            CHECK_EQ(name, ed_ranges_add(&ranges, base + number), model_add(model, number));
        }
        CHECK(name, ed_ranges_valid(&ranges));
        CHECK_EQ(name, ranges.count, run_count(model));
        for (uint32_t i = 0; i < SPAN; i++)
            CHECK_EQ(name, ed_ranges_contain(&ranges, base + i), model[i]);
    }
}

static void they_behave_as_flags_do(void **state)
{
    static const struct {
        const char *name;
        uint64_t base;
        uint32_t forget_one_in;
    } rows[] = {
        {"at zero", 0, 100},
        {"at zero, often forgetting", 0, 10},
        {"in the middle", UINT64_C(1) << 40, 200},
        {"at the end", UINT64_MAX - SPAN + 1, 100},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        compare_with_flags(rows[i].name, rows[i].base, rows[i].forget_one_in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_join_into_ranges),
        cmocka_unit_test(what_is_forgotten_is_not_there),
        cmocka_unit_test(both_ends_of_all_numbers_fit),
        cmocka_unit_test(an_invalid_set_is_seen),
        cmocka_unit_test(they_behave_as_flags_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
