/**
 * Whether the link's randomness is what it says. Seeds are fixed, so nothing here is flaky; the
 * bounds are 4.89 standard errors (two-sided 10^-6), so a seed that fails shows a fault and not bad
 * luck. Integers only.
 */
#include "core/alloc.h"
#include "core/base.h"
#include "sim/delay.h"
#include "sim/link.h"
#include "sim/random.h"
#include "tests/support/check.h"

enum {
    N = 1000 * 1000,
    SIZE = 32,
    RUN_BINS = 16,
};

static uint64_t root(uint64_t square)
{
    uint64_t low = 0;
    uint64_t high = UINT32_MAX;

    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        if (middle * middle <= square)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/** 4.89 standard errors of a count of N trials, times the root of `vif_milli` / 1000. */
static int64_t bound_of(uint64_t ppm, uint64_t vif_milli)
{
    uint64_t variance_milli = ppm * (ED_PPM_CERTAIN - ppm) / ED_PPM_CERTAIN * vif_milli;

    return (int64_t)(489 * (root(variance_milli * 1000) + 1) / (100 * 1000)) + 1;
}

static void check_near(const char *name, uint64_t got, uint64_t want, int64_t bound)
{
    int64_t error = (int64_t)got - (int64_t)want;

    if (error < -bound || error > bound)
        fail_msg("%s: %llu, want %llu +- %lld", name, (unsigned long long)got,
                 (unsigned long long)want, (long long)bound);
}

static ed_link *make_link(const ed_link_config *config, uint64_t seed)
{
    ed_link *link = ed_link_create(ed_alloc_default(), config, seed, 0, 0);

    assert_non_null(link);
    return link;
}

static bool push(ed_link *link, uint64_t now_ns)
{
    static uint8_t data[SIZE];
    eddy_datagram datagram = {.data = data, .size = SIZE};

    return ed_link_push(link, &datagram, now_ns);
}

/** What N datagrams tell of a link's losses. */
typedef struct loss_count {
    uint64_t lost;
    uint64_t pairs;              // lost ones whose predecessor was lost, too
    uint64_t runs;               // of losses
    uint64_t run_bins[RUN_BINS]; // by length; the last: that and longer
} loss_count;

static void count_run(loss_count *count, uint64_t length)
{
    if (length == 0)
        return;
    count->runs++;
    count->run_bins[ed_min_u64(length, RUN_BINS) - 1]++;
}

static loss_count count_losses(const ed_link_config *config, uint64_t seed)
{
    ed_link *link = make_link(config, seed);
    loss_count count = {0};
    eddy_datagram got;
    uint64_t run = 0;

    for (uint64_t n = 0; n < N; n++) {
        bool lost = !push(link, n);
        count.lost += lost;
        count.pairs += lost && run > 0;
        if (!lost)
            count_run(&count, run);
        run = lost ? run + 1 : 0;
        (void)ed_link_pull(link, n, &got, 1);
    }
    count_run(&count, run);
    ed_link_destroy(link);
    return count;
}

static void independent_loss_has_its_rate(void **state)
{
    static const struct {
        const char *name;
        uint32_t ppm;
        int64_t bound; // of the count
    } rows[] = {
        {"0.1 %", 1000, 155},
        {"1 %", 10 * 1000, 487},
        {"5 %", 50 * 1000, 1066},
        {"30 %", 300 * 1000, 2241},
    };
    (void)state;

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_link_config config = ed_link_config_default();
        uint64_t pair_ppm = (uint64_t)rows[i].ppm * rows[i].ppm / ED_PPM_CERTAIN;
        config.loss_ppm = rows[i].ppm;
        loss_count count = count_losses(&config, 100 + i);
        check_near(rows[i].name, count.lost, rows[i].ppm, rows[i].bound);
        // Pairs overlap, which widens their count by no more than 1 + 2p.
        check_near("pairs", count.pairs, pair_ppm, bound_of(pair_ppm, 1000 + rows[i].ppm / 500));
    }
}

static void burst_loss_has_its_rate_and_length(void **state)
{
    // Rate, variance inflation and mean burst follow from p, r, h and k by the formulae of the
    // two-state Markov chain.
    static const struct {
        const char *name;
        uint32_t p, r, h, k; // ppm
        uint64_t rate_ppm;
        uint64_t vif_milli;
        uint64_t burst_milli;
    } rows[] = {
        {"simple Gilbert", 10000, 250000, ED_PPM_CERTAIN, 0, 38462, 6692, 4000},
        {"Gilbert-Elliott", 5000, 250000, 750000, 100, 14804, 5331, 2267},
        {"mild", 20000, 300000, 500000, 1000, 32188, 2991, 1516},
        {"short bursts", 50000, 500000, ED_PPM_CERTAIN, 0, 90909, 2636, 2000},
        {"no bursts", 100000, 900000, ED_PPM_CERTAIN, 0, 100000, 1000, 1111},
    };
    (void)state;

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_link_config config = ed_link_config_default();
        config.burst_start_ppm = rows[i].p;
        config.burst_end_ppm = rows[i].r;
        config.burst_loss_ppm = rows[i].h;
        config.gap_loss_ppm = rows[i].k;
        loss_count count = count_losses(&config, 200 + i);
        check_near(rows[i].name, count.lost, rows[i].rate_ppm,
                   bound_of(rows[i].rate_ppm, rows[i].vif_milli));
        // A burst's length spreads about as much as its mean: 4.89 / sqrt(runs) of it.
        int64_t bound = (int64_t)(rows[i].burst_milli * 489 / 100 / root(count.runs)) + 1;
        check_near("burst length", count.lost * 1000 / count.runs, rows[i].burst_milli, bound);
    }
}

static void the_two_losses_are_independent(void **state)
{
    ed_link_config config = ed_link_config_default();
    (void)state;

    config.loss_ppm = 300 * 1000;
    config.gap_loss_ppm = 500 * 1000;
    loss_count count = count_losses(&config, 250);
    check_near("1 - 0.7 * 0.5", count.lost, 650 * 1000, bound_of(650 * 1000, 1000));
}

/** The bursts of a simple Gilbert chain are geometric: chi-square over 16 lengths. */
static void burst_lengths_are_geometric(void **state)
{
    ed_link_config config = ed_link_config_default();
    uint64_t chi_square_milli = 0;
    (void)state;

    config.burst_start_ppm = 100 * 1000;
    config.burst_end_ppm = 250 * 1000;
    loss_count count = count_losses(&config, 300);
    CHECK("enough runs", count.runs > 50 * 1000);
    uint64_t tail_milli = count.runs * 1000; // expected runs of this length or longer, times 1000
    for (size_t i = 0; i < RUN_BINS; i++) {
        uint64_t longer_milli = i == RUN_BINS - 1 ? 0 : tail_milli * 3 / 4;
        uint64_t expected_milli = tail_milli - longer_milli;
        uint64_t got_milli = count.run_bins[i] * 1000;
        uint64_t error_milli =
            ed_max_u64(got_milli, expected_milli) - ed_min_u64(got_milli, expected_milli);
        chi_square_milli += error_milli * error_milli / expected_milli;
        tail_milli = longer_milli;
    }
    CHECK("chi-square of 15 degrees of freedom", chi_square_milli < 57400);
    CHECK("no better than luck allows", chi_square_milli > 1000);
}

static void rare_events_have_their_rates(void **state)
{
    ed_link_config config = ed_link_config_default();
    eddy_datagram got[2];
    (void)state;

    config.duplicate_ppm = 20 * 1000;
    config.reorder_ppm = 5000;
    config.corrupt_ppm = 3000;
    ed_link *link = make_link(&config, 400);
    for (uint64_t n = 0; n < N; n++) {
        CHECK("pushed", push(link, n));
        (void)ed_link_pull(link, n, got, 2);
    }
    ed_link_stats stats = ed_link_get_stats(link);
    check_near("duplicated", stats.duplicated, 20 * 1000, bound_of(20 * 1000, 1000));
    CHECK_EQ("passed", stats.passed, N + stats.duplicated);
    // Copies have their own luck, hence the factor 1.02.
    check_near("reordered", stats.reordered, 5100, bound_of(5100, 1000));
    check_near("corrupted", stats.corrupted, 3060, bound_of(3060, 1000));
    ed_link_destroy(link);
}

/** Counts the N jitters below each of some times, and compares with the distribution. */
static void jitter_has_its_distribution(void **state)
{
    static const struct {
        const char *name;
        ed_jitter jitter;
        uint64_t below_ns; // of jitter_ns = 1,000,000
        uint64_t ppm;      // as many are below
    } rows[] = {
        {"skewed: 0.1", ED_JITTER_SKEWED, 100000, 95163},
        {"skewed: 0.25", ED_JITTER_SKEWED, 250000, 221199},
        {"skewed: median", ED_JITTER_SKEWED, 693147, 500000},
        {"skewed: mean", ED_JITTER_SKEWED, 1000000, 632121},
        {"skewed: 2", ED_JITTER_SKEWED, 2000000, 864665},
        {"skewed: p95", ED_JITTER_SKEWED, 2995732, 950000},
        {"skewed: p99", ED_JITTER_SKEWED, 4605170, 990000},
        {"skewed: p99.9", ED_JITTER_SKEWED, 6907755, 999000},
        {"skewed: all", ED_JITTER_SKEWED, 8000001, ED_PPM_CERTAIN},
        {"uniform: 0.1", ED_JITTER_UNIFORM, 100000, 100000},
        {"uniform: 0.5", ED_JITTER_UNIFORM, 500000, 500000},
        {"uniform: 0.9", ED_JITTER_UNIFORM, 900000, 900000},
        {"uniform: all", ED_JITTER_UNIFORM, 1000001, ED_PPM_CERTAIN},
    };
    uint64_t below[ED_COUNT(rows)] = {0};
    uint64_t key = ed_stream_key(500, 0, 0, ED_PURPOSE_JITTER);
    (void)state;

    for (uint64_t n = 0; n < N; n++) {
        uint64_t draw = ed_draw(key, n);
        uint64_t jitter_ns[] = {ed_jitter_ns(ED_JITTER_SKEWED, 1000000, draw),
                                ed_jitter_ns(ED_JITTER_UNIFORM, 1000000, draw)};
        for (size_t i = 0; i < ED_COUNT(rows); i++)
            below[i] += jitter_ns[rows[i].jitter] < rows[i].below_ns;
    }
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        bool all = rows[i].ppm == ED_PPM_CERTAIN;
        check_near(rows[i].name, below[i], rows[i].ppm, all ? 0 : bound_of(rows[i].ppm, 1000));
    }
}

/** Pushes N datagrams, and takes each as it falls due. */
static void arrivals_keep_delay_and_order(void **state)
{
    ed_link_config config = ed_link_config_default();
    eddy_datagram got;
    uint64_t sum_ns = 0;
    uint64_t last_ns = 0;
    (void)state;

    config.delay_ns = 40 * ED_NS_PER_MS;
    config.jitter_ns = 1000 * 1000;
    ed_link *link = make_link(&config, 600);
    for (uint64_t n = 0; n < N; n++) {
        // So far apart that none has to wait for the one before: 8 times the jitter is the most.
        uint64_t now_ns = n * 100 * ED_NS_PER_MS;
        CHECK("pushed", push(link, now_ns));
        uint64_t due_ns = ed_link_next_ns(link);
        CHECK("not before the delay", due_ns >= now_ns + config.delay_ns);
        CHECK("in order", due_ns >= last_ns);
        CHECK_EQ("not early", ed_link_pull(link, due_ns - 1, &got, 1), 0);
        CHECK_EQ("on time", ed_link_pull(link, due_ns, &got, 1), 1);
        sum_ns += due_ns - now_ns - config.delay_ns;
        last_ns = due_ns;
    }
    // The mean of an exponential that is cut at 8 is 1 - e^-8; its deviation is about itself.
    check_near("mean", sum_ns / N, 999665, 4890);
    ed_link_destroy(link);
}

/** A steady flow through a bottleneck of 8 Mbit/s: 1,000 bytes take 1 ms. */
static void the_bottleneck_keeps_its_rate(void **state)
{
    static const struct {
        const char *name;
        uint64_t gap_ns;
        uint64_t passed;   // of 10,000 datagrams
        uint64_t worst_ms; // in queue and bottleneck
    } rows[] = {
        {"half the rate", 2 * ED_NS_PER_MS, 10000, 1},
        {"the rate", 1 * ED_NS_PER_MS, 10000, 1},
        {"twice the rate", ED_NS_PER_MS / 2, 5020, 20}, // half, and the queue's content
    };
    (void)state;

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_link_config config = ed_link_config_default();
        eddy_datagram got;
        uint64_t worst_ns = 0;
        config.rate_bps = 8 * 1000 * 1000;
        config.overhead_size = 1000 - SIZE;
        config.queue_size = 20 * 1000;
        config.delay_ns = ED_LINK_DELAY_NS_MAX; // keeps all of them in flight, to be looked at
        ed_link *link = make_link(&config, 700);
        for (uint64_t n = 0; n < 10000; n++)
            (void)push(link, n * rows[i].gap_ns);
        uint64_t end_ns = 10000 * rows[i].gap_ns + config.delay_ns;
        for (uint64_t last_ns = 0; ed_link_in_flight(link) > 0;) {
            uint64_t due_ns = ed_link_next_ns(link);
            CHECK("never faster than the rate", due_ns >= last_ns + ED_NS_PER_MS);
            CHECK_EQ(rows[i].name, ed_link_pull(link, due_ns, &got, 1), 1);
            worst_ns = due_ns > end_ns ? due_ns - end_ns : worst_ns;
            last_ns = due_ns;
        }
        check_near(rows[i].name, ed_link_get_stats(link).passed, rows[i].passed, 1);
        CHECK_EQ("dropped", ed_link_get_stats(link).queue_dropped,
                 10000 - ed_link_get_stats(link).passed);
        check_near("standing delay in ms", worst_ns / ED_NS_PER_MS, rows[i].worst_ms, 1);
        ed_link_destroy(link);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(independent_loss_has_its_rate),
        cmocka_unit_test(burst_loss_has_its_rate_and_length),
        cmocka_unit_test(the_two_losses_are_independent),
        cmocka_unit_test(burst_lengths_are_geometric),
        cmocka_unit_test(rare_events_have_their_rates),
        cmocka_unit_test(jitter_has_its_distribution),
        cmocka_unit_test(arrivals_keep_delay_and_order),
        cmocka_unit_test(the_bottleneck_keeps_its_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
