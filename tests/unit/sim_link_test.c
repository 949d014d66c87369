/** What a link does with datagrams, one impairment at a time, and what must not depend on what. */
#include "core/alloc.h"
#include "core/base.h"
#include "sim/delay.h"
#include "sim/link.h"
#include "sim/random.h"
#include "tests/support/check.h"

enum {
    SEED = 42,
    SIZE = 100,
};

#define MS ED_NS_PER_MS

static ed_link *make_link(const ed_link_config *config)
{
    ed_link *link = ed_link_create(ed_alloc_default(), config, SEED, 1, 0);

    assert_non_null(link);
    return link;
}

/** Pushes a datagram of `size` bytes whose first four are its number. */
static bool push(ed_link *link, uint32_t number, size_t size, uint64_t now_ns)
{
    static uint8_t data[ED_DATAGRAM_SIZE_MAX];
    eddy_datagram datagram = {.data = data, .size = size};

    memcpy(data, &number, sizeof number);
    return ed_link_push(link, &datagram, now_ns);
}

/** Takes one datagram. @return its number, or -1 if none is due. */
static int64_t pull(ed_link *link, uint64_t now_ns)
{
    eddy_datagram datagram;
    uint32_t number = 0;

    if (ed_link_pull(link, now_ns, &datagram, 1) == 0)
        return -1;
    memcpy(&number, datagram.data, sizeof number);
    return number;
}

static uint64_t dropped(const ed_link_stats *s)
{
    return s->lost + s->lost_burst + s->queue_dropped + s->partition_dropped + s->mtu_dropped +
           s->overflow_dropped;
}

static void check_balance(const char *name, const ed_link *link)
{
    ed_link_stats s = ed_link_get_stats(link);

    CHECK_EQ(name, s.pushed + s.duplicated, s.passed + dropped(&s) + ed_link_in_flight(link));
}

static void the_check_names_the_bad_field(void **state)
{
    static const struct {
        const char *field;
        size_t offset;
        size_t size;
        uint64_t good;
        uint64_t bad;
    } rows[] = {
#define ROW(field, good, bad)                                                                      \
    {#field, offsetof(ed_link_config, field), sizeof(((ed_link_config *)0)->field), good, bad}
        ROW(delay_ns, ED_LINK_DELAY_NS_MAX, ED_LINK_DELAY_NS_MAX + 1),
        ROW(jitter_ns, ED_LINK_DELAY_NS_MAX, ED_LINK_DELAY_NS_MAX + 1),
        ROW(jitter, ED_JITTER_UNIFORM, ED_JITTER_UNIFORM + 1),
        ROW(loss_ppm, ED_PPM_CERTAIN, ED_PPM_CERTAIN + 1),
        ROW(burst_start_ppm, ED_PPM_CERTAIN, ED_PPM_CERTAIN + 1),
        ROW(burst_end_ppm, ED_PPM_CERTAIN, ED_PPM_CERTAIN + 1),
        ROW(burst_loss_ppm, ED_PPM_CERTAIN, ED_PPM_CERTAIN + 1),
        ROW(gap_loss_ppm, ED_PPM_CERTAIN, ED_PPM_CERTAIN + 1),
        ROW(duplicate_ppm, ED_PPM_CERTAIN, ED_PPM_CERTAIN + 1),
        ROW(reorder_ppm, ED_PPM_CERTAIN, ED_PPM_CERTAIN + 1),
        ROW(reorder_extra_ns, ED_LINK_DELAY_NS_MAX, ED_LINK_DELAY_NS_MAX + 1),
        ROW(corrupt_ppm, ED_PPM_CERTAIN, ED_PPM_CERTAIN + 1),
        ROW(rate_bps, ED_LINK_RATE_BPS_MAX, ED_LINK_RATE_BPS_MAX + 1),
        ROW(overhead_size, ED_LINK_OVERHEAD_SIZE_MAX, ED_LINK_OVERHEAD_SIZE_MAX + 1),
        ROW(queue_size, ED_LINK_QUEUE_SIZE_MAX, ED_LINK_QUEUE_SIZE_MAX + 1),
        ROW(queue_size, 1, 0),
        ROW(mtu, ED_DATAGRAM_SIZE_MAX, ED_DATAGRAM_SIZE_MAX + 1),
        ROW(window_count, 0, ED_LINK_WINDOWS_MAX + 1),
#undef ROW
    };
    (void)state;

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_link_config config = ed_link_config_default();
        const char *field = "none";
        uint32_t narrow[] = {(uint32_t)rows[i].good, (uint32_t)rows[i].bad};
        const void *good = rows[i].size == 4 ? (const void *)&narrow[0] : &rows[i].good;
        const void *bad = rows[i].size == 4 ? (const void *)&narrow[1] : &rows[i].bad;
        memcpy((char *)&config + rows[i].offset, good, rows[i].size);
        CHECK_EQ(rows[i].field, ed_link_config_check(&config, &field), EDDY_OK);
        CHECK_STR(rows[i].field, field, "none");
        memcpy((char *)&config + rows[i].offset, bad, rows[i].size);
        CHECK_EQ(rows[i].field, ed_link_config_check(&config, &field), EDDY_ECONFIG);
        CHECK_STR(rows[i].field, field, rows[i].field);
        CHECK(rows[i].field, ed_link_create(ed_alloc_default(), &config, SEED, 1, 0) == NULL);
    }
}

static void a_window_must_have_a_length(void **state)
{
    ed_link_config config = ed_link_config_default();
    const char *field = NULL;
    (void)state;

    config.window_count = 2;
    config.windows[0] = (ed_window){.from_ns = 1, .until_ns = 2};
    config.windows[1] = (ed_window){.from_ns = 3, .until_ns = 3};
    CHECK_EQ("empty window", ed_link_config_check(&config, &field), EDDY_ECONFIG);
    CHECK_STR("empty window", field, "windows");
    config.windows[1].until_ns = 4;
    CHECK_EQ("one nanosecond", ed_link_config_check(&config, &field), EDDY_OK);
}

/** Pushes 1,000 datagrams, 1 ms apart, and counts what became of them. */
static void certain_settings_have_certain_outcomes(void **state)
{
    static const struct {
        const char *name;
        ed_link_config config; // what differs from the default; 0 is not a difference
        ed_link_stats want;
    } rows[] = {
        {"nothing", {.delay_ns = 0}, {.passed = 1000}},
        {"loss", {.loss_ppm = ED_PPM_CERTAIN}, {.lost = 1000}},
        {"gap loss", {.gap_loss_ppm = ED_PPM_CERTAIN}, {.lost_burst = 1000}},
        {"one long burst", {.burst_start_ppm = ED_PPM_CERTAIN}, {.passed = 1, .lost_burst = 999}},
        {"copies", {.duplicate_ppm = ED_PPM_CERTAIN}, {.passed = 2000, .duplicated = 1000}},
        {"holds", {.reorder_ppm = ED_PPM_CERTAIN}, {.passed = 1000, .reordered = 1000}},
        {"flips", {.corrupt_ppm = ED_PPM_CERTAIN}, {.passed = 1000, .corrupted = 1000}},
        {"too big", {.mtu = SIZE - 1}, {.mtu_dropped = 1000}},
        {"just fits", {.mtu = SIZE}, {.passed = 1000}},
        {"cut from 100 ms",
         {.window_count = 1, .windows = {{100 * MS, 200 * MS}}},
         {.passed = 900, .partition_dropped = 100}},
        {"a lost copy is lost by itself",
         {.duplicate_ppm = ED_PPM_CERTAIN, .loss_ppm = ED_PPM_CERTAIN},
         {.duplicated = 1000, .lost = 2000}},
        {"what is cut is not copied",
         {.duplicate_ppm = ED_PPM_CERTAIN, .window_count = 1, .windows = {{0, UINT64_MAX}}},
         {.partition_dropped = 1000}},
    };
    (void)state;

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_link_config config = rows[i].config;
        config.burst_loss_ppm = ED_PPM_CERTAIN;
        config.queue_size = 1;
        config.mtu = config.mtu == 0 ? ED_DATAGRAM_SIZE_MAX : config.mtu;
        ed_link *link = make_link(&config);
        for (uint32_t n = 0; n < 1000; n++) {
            push(link, n, SIZE, n * MS);
            while (pull(link, n * MS) >= 0)
                continue;
        }
        ed_link_stats got = ed_link_get_stats(link);
        ed_link_stats want = rows[i].want;
        want.pushed = 1000;
        CHECK_EQ(rows[i].name, got.passed, want.passed);
        CHECK_BYTES(rows[i].name, &got, &want, sizeof got);
        check_balance(rows[i].name, link);
        ed_link_destroy(link);
    }
}

/** A datagram pushed at `at_ms`, 10 ms long, meets the window from 100 to 200 ms. */
static void windows_are_exact(void **state)
{
    static const struct {
        const char *name;
        uint64_t at_ns;
        bool pushed;
        bool arrives;
    } rows[] = {
        {"arrives just before", 90 * MS - 1, true, true},
        {"arrives as it begins", 90 * MS, true, false},
        {"leaves just before", 100 * MS - 1, true, false},
        {"leaves as it begins", 100 * MS, false, false},
        {"leaves in its last moment", 200 * MS - 1, false, false},
        {"leaves as it ends", 200 * MS, true, true},
    };
    ed_link_config config = ed_link_config_default();
    (void)state;

    config.delay_ns = 10 * MS;
    config.window_count = 1;
    config.windows[0] = (ed_window){.from_ns = 100 * MS, .until_ns = 200 * MS};
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_link *link = make_link(&config);
        CHECK_EQ(rows[i].name, push(link, 7, SIZE, rows[i].at_ns), rows[i].pushed);
        uint64_t due_ns = ed_link_next_ns(link);
        CHECK_EQ(rows[i].name, due_ns, rows[i].pushed ? rows[i].at_ns + 10 * MS : ED_NEVER_NS);
        CHECK_EQ(rows[i].name, pull(link, due_ns - 1), -1);
        CHECK_EQ(rows[i].name, pull(link, due_ns), rows[i].arrives ? 7 : -1);
        CHECK_EQ(rows[i].name, ed_link_get_stats(link).partition_dropped, !rows[i].arrives);
        ed_link_destroy(link);
    }
}

static void what_is_taken_late_arrived_when_it_was_due(void **state)
{
    ed_link_config config = ed_link_config_default();
    (void)state;

    config.delay_ns = 10 * MS;
    config.window_count = 1;
    config.windows[0] = (ed_window){.from_ns = 100 * MS, .until_ns = 200 * MS};
    ed_link *link = make_link(&config);
    CHECK("due before", push(link, 1, SIZE, 80 * MS));
    CHECK("due inside", push(link, 2, SIZE, 95 * MS));
    CHECK_EQ("taken inside, due before", pull(link, 150 * MS), 1);
    CHECK_EQ("taken behind, due inside", pull(link, 250 * MS), -1);
    CHECK_EQ("nothing is left", ed_link_in_flight(link), 0);
    ed_link_destroy(link);
}

static void storage_grows_with_the_datagram(void **state)
{
    static const size_t sizes[] = {4, 4000, 2048, 2049, ED_DATAGRAM_SIZE_MAX, 5};
    ed_counting_alloc counting;
    ed_link_config config = ed_link_config_default();
    (void)state;

    ed_counting_alloc_init(&counting, NULL);
    ed_link *link = ed_link_create(&counting.allocator, &config, SEED, 1, 0);
    assert_non_null(link);
    for (uint32_t i = 0; i < ED_COUNT(sizes); i++) {
        CHECK("pushed", push(link, i, sizes[i], 0));
        CHECK_EQ("pulled", pull(link, 0), i);
    }
    ed_link_destroy(link);
    CHECK_EQ("leaked", counting.live_count, 0);
}

static void blocking_cuts_both_ends(void **state)
{
    ed_link_config config = ed_link_config_default();
    (void)state;

    config.delay_ns = 10 * MS;
    ed_link *link = make_link(&config);
    CHECK("before", push(link, 1, SIZE, 0));
    ed_link_block(link, true);
    CHECK("while blocked", !push(link, 2, SIZE, 1 * MS));
    CHECK_EQ("arrives while blocked", pull(link, 10 * MS), -1);
    ed_link_block(link, false);
    CHECK("after", push(link, 3, SIZE, 11 * MS));
    CHECK_EQ("after", pull(link, 21 * MS), 3);
    CHECK_EQ("dropped", ed_link_get_stats(link).partition_dropped, 2);
    ed_link_destroy(link);
}

/** 1 Mbit/s: 125 bytes take 1 ms. The queue holds four of them. */
static void the_bottleneck_serves_one_after_the_other(void **state)
{
    static const struct {
        const char *name;
        uint64_t at_ns;
        uint64_t due_ns; // 0: dropped
    } rows[] = {
        {"idle", 0, 1 * MS},
        {"second", 0, 2 * MS},
        {"third", 0, 3 * MS},
        {"fourth fills the queue", 0, 4 * MS},
        {"fifth finds it full", 0, 0},
        {"almost room", 1 * MS - 1, 0},
        {"room for one", 1 * MS, 5 * MS},
        {"idle again", 50 * MS, 51 * MS},
    };
    ed_link_config config = ed_link_config_default();
    (void)state;

    config.rate_bps = 1000 * 1000;
    config.overhead_size = 25;
    config.queue_size = 500;
    ed_link *link = make_link(&config);
    for (uint32_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, push(link, i, SIZE, rows[i].at_ns), rows[i].due_ns != 0);
    for (uint32_t i = 0; i < ED_COUNT(rows); i++) {
        if (rows[i].due_ns == 0)
            continue;
        CHECK_EQ(rows[i].name, ed_link_next_ns(link), rows[i].due_ns);
        CHECK_EQ(rows[i].name, pull(link, rows[i].due_ns), i);
    }
    CHECK_EQ("dropped", ed_link_get_stats(link).queue_dropped, 2);
    ed_link_destroy(link);
}

static void an_idle_bottleneck_takes_what_is_larger_than_its_queue(void **state)
{
    ed_link_config config = ed_link_config_default();
    (void)state;

    config.rate_bps = 1000 * 1000;
    config.queue_size = 1;
    ed_link *link = make_link(&config);
    CHECK("idle", push(link, 1, SIZE, 0));
    CHECK("busy", !push(link, 2, SIZE, 0));
    CHECK("idle as it leaves", push(link, 3, SIZE, ed_link_next_ns(link)));
    ed_link_destroy(link);
}

/** At 3 bit/s no datagram takes a whole number of ns, so any rounding would add up. */
static void rounding_does_not_drift(void **state)
{
    ed_link_config config = ed_link_config_default();
    (void)state;

    config.rate_bps = 3;
    config.overhead_size = 0;
    config.queue_size = ED_LINK_QUEUE_SIZE_MAX / 1024;
    ed_link *link = make_link(&config);
    for (uint32_t n = 1; n <= 300; n++) {
        CHECK("accepted", push(link, n, 4, 0));
        uint64_t exact_ns = (n * 32 * ED_NS_PER_S + 2) / 3;
        while (ed_link_in_flight(link) > 0) {
            CHECK_EQ("leaves", ed_link_next_ns(link), exact_ns);
            CHECK_EQ("leaves", pull(link, exact_ns), n);
        }
    }
    ed_link_destroy(link);
}

static void one_bit_is_flipped_and_the_callers_copy_is_not(void **state)
{
    ed_link_config config = ed_link_config_default();
    uint8_t sent[33] = {0};
    uint8_t zeros[sizeof sent] = {0};
    eddy_datagram datagram = {.data = sent, .size = sizeof sent};
    eddy_datagram got;
    uint8_t seen[sizeof sent] = {0}; // bits that ever flipped
    (void)state;

    config.corrupt_ppm = ED_PPM_CERTAIN;
    ed_link *link = make_link(&config);
    for (int n = 0; n < 5000; n++) {
        unsigned flips = 0;
        CHECK("pushed", ed_link_push(link, &datagram, 0));
        CHECK_EQ("pulled", ed_link_pull(link, 0, &got, 1), 1);
        for (size_t i = 0; i < sizeof sent * 8; i++) {
            unsigned bit = (unsigned)got.data[i / 8] >> i % 8 & 1u;
            flips += bit;
            seen[i / 8] = (uint8_t)(seen[i / 8] | bit << i % 8);
        }
        CHECK_EQ("flipped bits", flips, 1);
    }
    for (size_t i = 0; i < sizeof seen; i++)
        CHECK_EQ("every bit has its turn", seen[i], 0xff);
    CHECK_BYTES("the caller's", sent, zeros, sizeof sent);
    ed_link_destroy(link);
}

static void an_empty_datagram_passes(void **state)
{
    ed_link_config config = ed_link_config_default();
    eddy_datagram sent = {.remote = {.port = 5}, .local = {.port = 6}, .ecn = 3};
    eddy_datagram got;
    (void)state;

    config.corrupt_ppm = ED_PPM_CERTAIN;
    ed_link *link = make_link(&config);
    CHECK("pushed", ed_link_push(link, &sent, 0));
    CHECK_EQ("pulled", ed_link_pull(link, 0, &got, 1), 1);
    CHECK_EQ("size", got.size, 0);
    CHECK("data", got.data != NULL);
    CHECK_EQ("remote", got.remote.port, 5);
    CHECK_EQ("local", got.local.port, 6);
    CHECK_EQ("ecn", got.ecn, 3);
    CHECK_EQ("corrupted", ed_link_get_stats(link).corrupted, 0);
    ed_link_destroy(link);
}

/** Pushes 2,000 datagrams 100 us apart. @return how many arrive behind one pushed later. */
static uint64_t count_overtaken(const ed_link_config *config)
{
    ed_link *link = make_link(config);
    int64_t newest = -1;
    uint64_t overtaken = 0;

    for (uint32_t n = 0; n < 2000; n++)
        CHECK("pushed", push(link, n, SIZE, n * 100 * ED_NS_PER_US));
    while (ed_link_in_flight(link) > 0) {
        int64_t got = pull(link, ed_link_next_ns(link));
        overtaken += got < newest;
        newest = got > newest ? got : newest;
    }
    ed_link_destroy(link);
    return overtaken;
}

static void only_what_may_reorder_does(void **state)
{
    ed_link_config config = ed_link_config_default();
    (void)state;

    config.delay_ns = 5 * MS;
    CHECK_EQ("same delay", count_overtaken(&config), 0);
    config.jitter_ns = 10 * MS;
    CHECK_EQ("jitter in order", count_overtaken(&config), 0);
    config.keep_order = false;
    CHECK("jitter out of order", count_overtaken(&config) > 1000);
    config.jitter_ns = 0;
    config.keep_order = true;
    config.reorder_ppm = 100 * 1000;
    config.reorder_extra_ns = 10 * MS;
    uint64_t held = count_overtaken(&config);
    CHECK("held back", held > 150 && held < 250);
    config.reorder_extra_ns = 0;
    CHECK_EQ("held for no time", count_overtaken(&config), 0);
}

/** @return the set of the first 64 datagrams that arrive, as bits. */
static uint64_t arrivals(const ed_link_config *config, uint32_t blocked_number)
{
    ed_link *link = make_link(config);
    uint64_t arrived = 0;

    for (uint32_t n = 0; n < 64; n++) {
        ed_link_block(link, n == blocked_number);
        push(link, n, SIZE, n * MS);
    }
    ed_link_block(link, false);
    while (ed_link_in_flight(link) > 0)
        arrived |= UINT64_C(1) << pull(link, ed_link_next_ns(link));
    ed_link_destroy(link);
    return arrived;
}

static void settings_do_not_reshuffle_each_other(void **state)
{
    ed_link_config base = ed_link_config_default();
    (void)state;

    base.loss_ppm = 200 * 1000;
    base.burst_start_ppm = 100 * 1000;
    uint64_t want = arrivals(&base, UINT32_MAX);
    CHECK("something arrives, something does not", want != 0 && want != UINT64_MAX);

    ed_link_config other = base;
    other.delay_ns = 7 * MS;
    other.jitter_ns = 30 * MS;
    other.keep_order = false;
    other.reorder_ppm = 300 * 1000;
    other.reorder_extra_ns = 20 * MS;
    other.rate_bps = 100 * 1000 * 1000;
    CHECK_EQ("timing", arrivals(&other, UINT32_MAX), want);

    other = base;
    other.duplicate_ppm = ED_PPM_CERTAIN;
    CHECK_EQ("duplication only adds", arrivals(&other, UINT32_MAX) & want, want);
    for (uint32_t n = 0; n < 64; n++)
        CHECK_EQ("one less is one less", arrivals(&base, n), want & ~(UINT64_C(1) << n));

    other = base;
    other.loss_ppm = 300 * 1000;
    CHECK_EQ("more loss only takes away", arrivals(&other, UINT32_MAX) & ~want, 0);
}

static void jitter_follows_the_logarithm(void **state)
{
    static const struct {
        const char *name;
        uint64_t draw;
        uint64_t want_ns; // of a mean of 1 s
    } rows[] = {
        {"surest", UINT64_MAX, 0},
        {"half", UINT64_C(1) << 63, 693147180},
        {"quarter", UINT64_C(1) << 62, 1386294361},
        {"about an eighth", 0x20000002dfdc1c35, 2079441536},
        {"13 percent", 0xdeadbeefcafebabe, 139447542},
        {"rarest is cut", 1, 8 * ED_NS_PER_S},
        {"zero is as rare as that", 0, 8 * ED_NS_PER_S},
    };
    (void)state;

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t got = ed_jitter_ns(ED_JITTER_SKEWED, ED_NS_PER_S, rows[i].draw);
        CHECK(rows[i].name, got < rows[i].want_ns + 200 && got + 200 > rows[i].want_ns);
    }
    CHECK_EQ("uniform, least", ed_jitter_ns(ED_JITTER_UNIFORM, 10, 0), 0);
    CHECK_EQ("uniform, most", ed_jitter_ns(ED_JITTER_UNIFORM, 10, UINT64_MAX), 10);
    CHECK_EQ("none", ed_jitter_ns(ED_JITTER_UNIFORM, 0, UINT64_MAX), 0);
    CHECK_EQ("longest", ed_jitter_ns(ED_JITTER_SKEWED, ED_LINK_DELAY_NS_MAX, 0),
             8 * ED_LINK_DELAY_NS_MAX);
}

static void a_new_config_holds_for_what_comes(void **state)
{
    ed_link_config config = ed_link_config_default();
    (void)state;

    config.delay_ns = 50 * MS;
    ed_link *link = make_link(&config);
    push(link, 1, SIZE, 0);
    config.delay_ns = 10 * MS;
    CHECK_EQ("accepted", ed_link_set_config(link, &config), EDDY_OK);
    push(link, 2, SIZE, 0);
    CHECK_EQ("the old one keeps its time, and its place", pull(link, 50 * MS), 1);
    CHECK_EQ("the new one waits for it", pull(link, 50 * MS), 2);
    config.mtu = ED_DATAGRAM_SIZE_MAX + 1;
    CHECK_EQ("refused", ed_link_set_config(link, &config), EDDY_ECONFIG);
    CHECK_EQ("unchanged", ed_link_get_config(link)->mtu, ED_DATAGRAM_SIZE_MAX);
    ed_link_destroy(link);
}

static void too_many_in_flight_are_dropped(void **state)
{
    ed_link_config config = ed_link_config_default();
    (void)state;

    config.delay_ns = MS;
    ed_link *link = make_link(&config);
    for (uint32_t n = 0; n < ED_FLIGHT_MAX; n++)
        CHECK("room", push(link, n, 4, 0));
    CHECK("full", !push(link, 0, 4, 0));
    CHECK_EQ("counted", ed_link_get_stats(link).overflow_dropped, 1);
    for (uint32_t n = 0; n < ED_FLIGHT_MAX; n++)
        CHECK_EQ("in order", pull(link, MS), n);
    CHECK("room again", push(link, 0, 4, MS));
    check_balance("full", link);
    ed_link_destroy(link);
}

/** Runs a busy link for `count` datagrams of all sizes that fit a frame. */
static void run_busy(ed_link *link, uint32_t count, uint64_t *now_ns)
{
    eddy_datagram batch[8];

    for (uint32_t n = 0; n < count; n++) {
        *now_ns += MS;
        push(link, n, 4 + n * 37 % 1400, *now_ns);
        while (ed_link_pull(link, *now_ns, batch, ED_COUNT(batch)) > 0)
            continue;
    }
}

static void a_warm_link_allocates_nothing(void **state)
{
    ed_counting_alloc counting;
    ed_link_config config = ed_link_config_default();
    uint64_t now_ns = 0;
    (void)state;

    config.delay_ns = 20 * MS;
    config.duplicate_ppm = ED_PPM_CERTAIN; // so that the most in flight is soon reached
    ed_counting_alloc_init(&counting, NULL);
    ed_link *link = ed_link_create(&counting.allocator, &config, SEED, 1, 0);
    assert_non_null(link);
    run_busy(link, 2000, &now_ns);
    uint64_t warm = counting.calls;
    run_busy(link, 20000, &now_ns);
    CHECK_EQ("allocations", counting.calls, warm);
    ed_link_destroy(link);
    CHECK_EQ("leaked", counting.live_count, 0);
}

/** Lets the allocator fail ever later, until a whole run succeeds. */
static void no_memory_is_survived(void **state)
{
    ed_link_config config = ed_link_config_default();
    uint64_t overflows = 0;
    bool failed = true;
    (void)state;

    config.delay_ns = MS;
    for (uint64_t fail_after = 0; failed; fail_after++) {
        ed_counting_alloc counting;
        ed_counting_alloc_init(&counting, NULL);
        counting.fail_after = fail_after;
        ed_link *link = ed_link_create(&counting.allocator, &config, SEED, 1, 0);
        for (uint32_t n = 0; link != NULL && n < 100; n++)
            push(link, n, n % 2 == 0 ? 4 : 4000, 0);
        if (link != NULL) {
            overflows += ed_link_get_stats(link).overflow_dropped;
            check_balance("no memory", link);
        }
        failed = counting.failures > 0;
        ed_link_destroy(link);
        CHECK_EQ("leaked", counting.live_count, 0);
    }
    CHECK("some pushes failed", overflows > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_names_the_bad_field),
        cmocka_unit_test(a_window_must_have_a_length),
        cmocka_unit_test(certain_settings_have_certain_outcomes),
        cmocka_unit_test(windows_are_exact),
        cmocka_unit_test(what_is_taken_late_arrived_when_it_was_due),
        cmocka_unit_test(storage_grows_with_the_datagram),
        cmocka_unit_test(blocking_cuts_both_ends),
        cmocka_unit_test(the_bottleneck_serves_one_after_the_other),
        cmocka_unit_test(an_idle_bottleneck_takes_what_is_larger_than_its_queue),
        cmocka_unit_test(rounding_does_not_drift),
        cmocka_unit_test(one_bit_is_flipped_and_the_callers_copy_is_not),
        cmocka_unit_test(an_empty_datagram_passes),
        cmocka_unit_test(only_what_may_reorder_does),
        cmocka_unit_test(settings_do_not_reshuffle_each_other),
        cmocka_unit_test(jitter_follows_the_logarithm),
        cmocka_unit_test(a_new_config_holds_for_what_comes),
        cmocka_unit_test(too_many_in_flight_are_dropped),
        cmocka_unit_test(a_warm_link_allocates_nothing),
        cmocka_unit_test(no_memory_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
