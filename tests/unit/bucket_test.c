#include "tests/support/check.h"

#include "transport/bucket.h"

/** Takes at `at_us`, as often as it succeeds; the bucket goes on from row to row. */
static void gives_what_its_rate_says(void **state)
{
    enum { RATE = 20, BURST = 5 };
    static const struct {
        const char *name;
        uint64_t at_us;
        size_t want;
    } rows[] = {
        {"full at first", 0, 5},
        {"empty", 0, 0},
        {"a moment too early", 49999, 0},
        {"one is back", 50000, 1},
        {"and no more", 50001, 0},
        {"two are back", 150000, 2},
        {"half an interval counts", 175000, 0},
        {"with the other half", 200000, 1},
        {"three are back", 350000, 3},
        {"full again", 600000, 5},
        {"fuller it does not get", 60 * 1000000, 5},
    };
    ed_bucket budget;

    (void)state;
    ed_bucket_init(&budget, RATE, BURST);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        size_t got = 0;
        while (ed_bucket_take(&budget, rows[i].at_us * ED_NS_PER_US))
            got++;
        CHECK_EQ(rows[i].name, got, rows[i].want);
    }
}

/** What is given within a second and a burst, when somebody asks all the time. */
static void keeps_to_every_rate(void **state)
{
    static const struct {
        const char *name;
        uint32_t per_second;
        uint32_t burst;
        uint64_t want; /* in ten seconds */
    } rows[] = {
        {"one", 1, 1, 10},
        {"three do not divide a second", 3, 1, 30},
        {"seven", 7, 20, 69 + 20},
        {"cookies", 50000, 500, 10 * 50000 - 1 + 500},
        {"a burst of one", 2000, 1, 20000},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_bucket budget;
        uint64_t got = 0;
        ed_bucket_init(&budget, rows[i].per_second, rows[i].burst);
        for (uint64_t now_ns = 0; now_ns < 10 * ED_NS_PER_S; now_ns += 10 * ED_NS_PER_US)
            while (ed_bucket_take(&budget, now_ns))
                got++;
        CHECK_EQ(rows[i].name, got, rows[i].want);
    }
}

static void a_rate_of_none_has_no_limit(void **state)
{
    ed_bucket budget;

    (void)state;
    ed_bucket_init(&budget, 0, 1);
    for (size_t i = 0; i < 100000; i++)
        CHECK("no limit", ed_bucket_take(&budget, 77));
    CHECK("at the end of time", ed_bucket_take(&budget, UINT64_MAX));
}

static void no_number_wraps(void **state)
{
    ed_bucket budget;

    (void)state;
    ed_bucket_init(&budget, 1, UINT32_MAX); // a bucket for 136 years
    CHECK("first", ed_bucket_take(&budget, UINT64_MAX - 1));
    CHECK("second", ed_bucket_take(&budget, UINT64_MAX - 1));
    ed_bucket_init(&budget, UINT32_MAX, 1); // more than one in a nanosecond: rounded to it
    CHECK("now", ed_bucket_take(&budget, 5));
    CHECK("once", !ed_bucket_take(&budget, 5));
    CHECK("a nanosecond later", ed_bucket_take(&budget, 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_what_its_rate_says),
        cmocka_unit_test(keeps_to_every_rate),
        cmocka_unit_test(a_rate_of_none_has_no_limit),
        cmocka_unit_test(no_number_wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
