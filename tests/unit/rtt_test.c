#include "tests/support/check.h"

#include "transport/rtt.h"

#define MS(n) ((n)*ED_NS_PER_MS)

static void test_initial(void **state)
{
    (void)state;
    ed_rtt rtt;
    ed_rtt_init(&rtt);

    CHECK("initial", ed_rtt_valid(&rtt));
    CHECK("initial", !rtt.sampled);
    CHECK_EQ("initial smoothed", rtt.smoothed_ns, MS(100));
    CHECK_EQ("initial variance", rtt.variance_ns, MS(50));
    CHECK_EQ("initial probe timeout", ed_rtt_pto_ns(&rtt, MS(25)), MS(100 + 4 * 50 + 25));
    CHECK_EQ("initial loss delay", ed_rtt_loss_delay_ns(&rtt), MS(225) / 2);
}

/** Two samples: the first replaces the guess, the second is averaged in. */
static void test_samples(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t first_ns, second_ns, delay_ns;
        uint64_t smoothed_ns, variance_ns, min_ns;
    } rows[] = {
        {"the same again", MS(80), MS(80), 0, MS(80), MS(30), MS(80)},
        {"slower", MS(80), MS(160), 0, MS(90), MS(50), MS(80)},
        {"faster", MS(80), MS(40), 0, MS(75), MS(40), MS(40)},
        {"slower, the peer waited", MS(80), MS(160), MS(80), MS(80), MS(30), MS(80)},
        {"the peer waited a part", MS(80), MS(160), MS(40), MS(85), MS(40), MS(80)},
        {"an overstated delay stops at the minimum", MS(80), MS(88), MS(50), MS(80), MS(30),
         MS(80)},
        {"a delay of years", MS(80), MS(88), UINT64_MAX, MS(80), MS(30), MS(80)},
        {"a delay with the minimum itself", MS(80), MS(40), MS(30), MS(75), MS(40), MS(40)},
        {"nothing at all", 0, 0, 0, 0, 0, 0},
        {"nothing, with a delay", 0, 0, MS(1), 0, 0, 0},
        {"down to nothing", 800, 0, 0, 700, 500, 0},
        {"an hour is the most", UINT64_MAX, UINT64_MAX, 0, MS(3600000), MS(1350000), MS(3600000)},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_rtt rtt;
        ed_rtt_init(&rtt);
        ed_rtt_sample(&rtt, rows[i].first_ns, MS(7));
        CHECK_EQ(rows[i].name, rtt.smoothed_ns, ed_min_u64(rows[i].first_ns, MS(3600000)));
        CHECK_EQ(rows[i].name, rtt.variance_ns, rtt.smoothed_ns / 2);
        ed_rtt_sample(&rtt, rows[i].second_ns, rows[i].delay_ns);
        CHECK(rows[i].name, rtt.sampled);
        uint64_t taken_ns = ed_min_u64(rows[i].second_ns, MS(3600000));
        uint64_t most_ns = taken_ns - rows[i].min_ns;
        CHECK_EQ(rows[i].name, rtt.latest_ns, taken_ns - ed_min_u64(rows[i].delay_ns, most_ns));
        CHECK_EQ(rows[i].name, rtt.smoothed_ns, rows[i].smoothed_ns);
        CHECK_EQ(rows[i].name, rtt.variance_ns, rows[i].variance_ns);
        CHECK_EQ(rows[i].name, rtt.min_ns, rows[i].min_ns);
        CHECK(rows[i].name, ed_rtt_valid(&rtt));
    }
}

static void test_delays(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ed_rtt rtt;
        uint64_t max_ack_delay_ns, pto_ns, loss_delay_ns;
    } rows[] = {
        {"plain", {MS(80), MS(80), MS(10), MS(80), true}, MS(25), MS(145), MS(90)},
        {"latest above smoothed", {MS(160), MS(80), MS(10), MS(80), true}, 0, MS(120), MS(180)},
        {"steady: the granularity", {MS(8), MS(8), 0, MS(8), true}, 0, MS(9), MS(9)},
        {"just above the granularity", {MS(8), MS(8), 250001, 1, true}, 0, MS(9) + 4, MS(9)},
        {"loopback", {9000, 9000, 100, 9000, true}, 0, MS(1) + 9000, MS(1)},
        {"no time at all", {0, 0, 0, 0, true}, 0, MS(1), MS(1)},
        {"a delay without limit", {0, 0, 0, 0, true}, UINT64_MAX, UINT64_MAX, MS(1)},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const ed_rtt *rtt = &rows[i].rtt;
        CHECK_EQ(rows[i].name, ed_rtt_pto_ns(rtt, rows[i].max_ack_delay_ns), rows[i].pto_ns);
        CHECK_EQ(rows[i].name, ed_rtt_loss_delay_ns(rtt), rows[i].loss_delay_ns);
    }
}

/** What waits on a path, and what only looks like it. */
static void test_queue(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t before_ms, first_ms, second_ms; /* the second and the third by turns */
        unsigned samples;
        uint64_t least_ms, most_ms;
    } rows[] = {
        {"one sample", 50, 50, 50, 0, 0, 0},
        {"nothing waits", 50, 50, 50, 100, 0, 0},
        {"the first was held", 75, 50, 50, 3, 0, 0},
        {"the first was held, later", 75, 50, 50, 10, 0, 1},
        {"jitter", 50, 55, 90, 100, 0, 0},
        {"a queue, at once", 50, 80, 80, 3, 0, 0},
        {"a queue", 50, 80, 80, 30, 20, 30},
        {"a queue and jitter", 50, 115, 125, 60, 35, 55},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_rtt rtt;
        ed_rtt_init(&rtt);
        CHECK_EQ(rows[i].name, ed_rtt_queue_ns(&rtt), 0);
        ed_rtt_sample(&rtt, MS(rows[i].before_ms), 0);
        for (unsigned k = 0; k < rows[i].samples; k++)
            ed_rtt_sample(&rtt, MS(k % 2 == 0 ? rows[i].first_ms : rows[i].second_ms), 0);
        CHECK(rows[i].name, ed_rtt_queue_ns(&rtt) >= MS(rows[i].least_ms));
        CHECK(rows[i].name, ed_rtt_queue_ns(&rtt) <= MS(rows[i].most_ms));
    }
}

static void test_restart_min(void **state)
{
    (void)state;
    ed_rtt rtt;
    ed_rtt_init(&rtt);
    ed_rtt_sample(&rtt, MS(20), 0);
    ed_rtt_sample(&rtt, MS(90), 0);
    ed_rtt_restart_min(&rtt);

    CHECK_EQ("the newest sample", rtt.min_ns, MS(90));
    ed_rtt_sample(&rtt, MS(95), MS(60));
    CHECK_EQ("bounds the delay from now on", rtt.smoothed_ns, (7 * (MS(230) / 8) + MS(90)) / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initial),     cmocka_unit_test(test_samples),
        cmocka_unit_test(test_delays),      cmocka_unit_test(test_queue),
        cmocka_unit_test(test_restart_min),
    };
    return cmocka_run_group_tests_name("rtt", tests, NULL, NULL);
}
