#include "tests/support/check.h"

#include "transport/pacer.h"

enum { SIZE = 1200 };

#define GBIT_100 UINT64_C(12500000000)

/** What is to wait for after `spent_count` datagrams left at time 0. */
static void test_when(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t rate;
        unsigned spent_count;
        size_t size;
        uint64_t now_ns, want_ns;
    } rows[] = {
        {"full", 1000000, 0, SIZE, 5, 5},
        {"the last of the burst", 1000000, 9, SIZE, 5, 5},
        {"after the burst", 1000000, 10, SIZE, 0, 1200000},
        {"asked later, the same answer", 1000000, 10, SIZE, 1199999, 1200000},
        {"and then at once", 1000000, 10, SIZE, 1200000, 1200000},
        {"much later", 1000000, 10, SIZE, 99000000, 99000000},
        {"a small one waits less", 1000000, 10, 100, 0, 100000},
        {"an empty one never", 1000000, 10, 0, 0, 0},
        {"rounded up, never early", 3, 10, 1, 0, 333333334},
        {"one that is nearly there", 7, 10, 1, 142857142, 142857143},
        {"rate 0 is taken for 1", 0, 10, 1, 0, ED_NS_PER_S},
        {"larger than the burst: when full", 1000000, 1, 99999, 0, 1200000},
        {"larger than the burst and full", 1000000, 0, SIZE_MAX, 7, 7},
        {"fast: a millisecond's worth", 100000000, 83, 400, 0, 0},
        {"fast: beyond it", 100000000, 83, 401, 0, 10},
        {"100 Gbit/s", GBIT_100, 10416, 800, 0, 0},
        {"100 Gbit/s, beyond", GBIT_100, 10416, 801, 0, 1},
        {"above all rates", UINT64_MAX, 10416, 801, 0, 1},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_pacer pacer;
        ed_pacer_init(&pacer, rows[i].rate, SIZE, 0);
        for (unsigned n = 0; n < rows[i].spent_count; n++)
            ed_pacer_spent(&pacer, SIZE, 0);
        uint64_t when_ns = ed_pacer_when_ns(&pacer, rows[i].size, rows[i].now_ns);
        CHECK_EQ(rows[i].name, when_ns, rows[i].want_ns);
    }
}

/** Sends at the first moment, always: the n-th must leave when its bytes are due, to the ns. */
static void test_no_drift(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t rate;
        uint64_t start_ns;
    } rows[] = {
        {"slow", 7, 0},
        {"a prime number of bytes", 1299709, 12345},
        {"just below a byte a nanosecond", 999999937, 1},
        {"above a byte a nanosecond", 1000000007, ED_NS_PER_S},
        {"100 Gbit/s after centuries", GBIT_100, UINT64_MAX / 2},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_pacer pacer;
        ed_pacer_init(&pacer, rows[i].rate, SIZE, rows[i].start_ns);
        uint64_t burst = (uint64_t)pacer.burst / ED_NS_PER_S;
        uint64_t sent = 0;
        uint64_t now_ns = rows[i].start_ns;
        for (unsigned n = 0; n < 100000; n++) {
            size_t size = 1 + n * 7919u % SIZE;
            now_ns = ed_pacer_when_ns(&pacer, size, now_ns);
            ed_pacer_spent(&pacer, size, now_ns);
            sent += size;
            if (sent <= burst)
                continue;
            uint64_t over = sent - burst;
            uint64_t due_ns = over / rows[i].rate * ED_NS_PER_S +
                              (over % rows[i].rate * ED_NS_PER_S + rows[i].rate - 1) / rows[i].rate;
            CHECK_EQ(rows[i].name, now_ns - rows[i].start_ns, due_ns);
        }
    }
}

/** However long the silence, it earns one burst. */
static void test_gaps(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t rate, gap_ns;
    } rows[] = {
        {"ten days at 1 B/s", 1, UINT64_C(864000) * ED_NS_PER_S},
        {"a second at 100 Gbit/s", GBIT_100, ED_NS_PER_S},
        {"ten days at 100 Gbit/s", GBIT_100, UINT64_C(864000) * ED_NS_PER_S},
        {"all time at 100 Gbit/s", GBIT_100, UINT64_MAX},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_pacer pacer;
        ed_pacer_init(&pacer, rows[i].rate, SIZE, 0);
        for (unsigned n = 0; n < 30000; n++)
            ed_pacer_spent(&pacer, SIZE, 0);
        CHECK_EQ(rows[i].name, pacer.tokens, -pacer.burst); // a debt is one burst at most
        ed_pacer_spent(&pacer, 0, rows[i].gap_ns);
        CHECK_EQ(rows[i].name, pacer.tokens, pacer.burst);
        ed_pacer_spent(&pacer, SIZE, 0);
        CHECK_EQ(rows[i].name, pacer.updated_ns, rows[i].gap_ns); // time does not go back
    }
}

static void test_set_rate(void **state)
{
    (void)state;
    ed_pacer pacer;

    ed_pacer_init(&pacer, 1000000, SIZE, 0);
    for (unsigned n = 0; n < 10; n++)
        ed_pacer_spent(&pacer, SIZE, 0);
    ed_pacer_set_rate(&pacer, 2000000, 600000);
    CHECK_EQ("half at the old rate, half at the new", ed_pacer_when_ns(&pacer, SIZE, 600000),
             900000);
    CHECK_EQ("from a time before the change", ed_pacer_when_ns(&pacer, SIZE, 1), 900000);

    ed_pacer_set_rate(&pacer, GBIT_100, 900000);
    ed_pacer_set_rate(&pacer, GBIT_100, 99000000);
    ed_pacer_set_rate(&pacer, 1000000, 99000000);
    CHECK_EQ("a smaller burst holds less", pacer.tokens, INT64_C(12000) * 1000000000);
    CHECK_EQ("which may leave", ed_pacer_when_ns(&pacer, 12000, 99000000), 99000000);

    ed_pacer_set_rate(&pacer, GBIT_100, 99000000);
    for (unsigned n = 0; n < 9999; n++)
        ed_pacer_spent(&pacer, SIZE, 99000000);
    ed_pacer_set_rate(&pacer, 1000000, 99000000);
    CHECK_EQ("a smaller burst owes less", pacer.tokens, INT64_C(-12000) * 1000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_when),
        cmocka_unit_test(test_no_drift),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_set_rate),
    };
    return cmocka_run_group_tests_name("pacer", tests, NULL, NULL);
}
