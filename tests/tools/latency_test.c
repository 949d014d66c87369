/** tools/latency.h: percentiles out of buckets. */
#include "core/base.h"
#include "tests/support/check.h"
#include "tools/latency.h"

static void test_a_percentile_is_never_below_the_truth_and_little_above(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t time_us;
    } rows[] = {
        {"zero", 0},
        {"one", 1},
        {"last of the exact ones", 127},
        {"first of the rounded ones", 128},
        {"odd, rounded", 129},
        {"a power of two", 1 << 20},
        {"just below a power of two", (1 << 20) - 1},
        {"a second", 1000 * 1000},
        {"the longest", UINT32_MAX},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_latency latency = {.count = 0};
        ed_latency_add(&latency, rows[i].time_us * ED_NS_PER_US);
        ed_latency_add(&latency, UINT64_MAX); // so that the maximum does not hide the rounding
        uint64_t got = ed_latency_percentile_us(&latency, 500);
        CHECK(rows[i].name, got >= rows[i].time_us);
        CHECK(rows[i].name, got <= rows[i].time_us + rows[i].time_us / ED_LATENCY_SUB_COUNT);
        CHECK_EQ(rows[i].name, latency.max_us, UINT32_MAX);
    }
}

static void test_percentiles_of_one_to_a_hundred(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t permille;
        uint64_t want;
    } rows[] = {
        {"the first", 1, 1}, {"its upper end", 10, 1}, {"the second", 11, 2}, {"p50", 500, 50},
        {"p90", 900, 90},    {"p99", 990, 99},         {"p99.1", 991, 100},   {"all", 1000, 100},
    };
    ed_latency halves[2] = {{.count = 0}, {.count = 0}};
    ed_latency all = {.count = 0};

    for (uint64_t us = 100; us >= 1; us--)
        ed_latency_add(&halves[us % 2], us * ED_NS_PER_US);
    ed_latency_merge(&all, &halves[0]);
    ed_latency_merge(&all, &halves[1]);
    CHECK_EQ("merged", all.count, 100);
    CHECK_EQ("merged", all.max_us, 100);
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_latency_percentile_us(&all, rows[i].permille), rows[i].want);
}

static void test_an_empty_one_says_zero(void **state)
{
    (void)state;
    ed_latency latency = {.count = 0};

    CHECK_EQ("p50", ed_latency_percentile_us(&latency, 500), 0);
    CHECK_EQ("all", ed_latency_percentile_us(&latency, 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_percentile_is_never_below_the_truth_and_little_above),
        cmocka_unit_test(test_percentiles_of_one_to_a_hundred),
        cmocka_unit_test(test_an_empty_one_says_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
