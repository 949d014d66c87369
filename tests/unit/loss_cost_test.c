/** The loss detector against the obvious way, and what it costs. */
#include "tests/unit/loss_bed.h"

static uint64_t next_random(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *random >> 33;
}

/** Counts, by looking at every packet, what a range would acknowledge. */
static unsigned naive_new(const struct bed *bed, uint64_t first, uint64_t last)
{
    unsigned count = 0;

    for (uint64_t n = first; n <= last; n++) {
        const ed_sent *packet = ed_sent_at(&bed->log, n);
        count += packet != NULL && packet->state != ED_SENT_ACKED;
    }
    return count;
}

/** Counts, by looking at every packet, what is lost. */
static unsigned naive_lost(const struct bed *bed, uint64_t now_ns)
{
    unsigned count = 0;

    for (uint64_t n = bed->log.first; bed->loss.any_acked && n < bed->loss.largest_acked; n++) {
        const ed_sent *packet = ed_sent_at(&bed->log, n);
        count += packet->state == ED_SENT_OUTSTANDING && (packet->flags & PADDED) != 0 &&
                 (n + 3 <= bed->loss.largest_acked || packet->sent_ns + MS(90) <= now_ns);
    }
    return count;
}

static void test_random(void **state)
{
    (void)state;
    static const uint8_t kinds[] = {DATA, DATA, DATA, PADDED, ACK_ONLY};

    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct bed bed;
        uint64_t random = seed;
        bed_init(&bed);
        for (uint64_t now_ns = 0; now_ns < MS(2000); now_ns += MS(next_random(&random) % 5)) {
            for (uint64_t left = next_random(&random) % 4; left > 0; left--)
                send(&bed, kinds[next_random(&random) % ED_COUNT(kinds)], now_ns);
            if (bed.log.next == 0)
                continue;
            uint64_t last = bed.log.next - 1;
            last -= ed_min_u64(last, next_random(&random) % 60);
            uint64_t first = last - ed_min_u64(last, next_random(&random) % 12);
            unsigned want = naive_new(&bed, first, last);
            CHECK_EQ("acknowledged", ack(&bed, first, last, now_ns).count, want);
            unsigned want_lost = naive_lost(&bed, now_ns);
            if (next_random(&random) % 3 != 0)
                CHECK_EQ("lost", detect(&bed, now_ns), want_lost);
            if (next_random(&random) % 4 == 0)
                ed_loss_trim(&bed.loss, &bed.log, &bed.rtt, MS(25), now_ns);
            check_valid("random", &bed);
        }
        CHECK("the log stays short", ed_sent_count(&bed.log) < 1000);
        ed_sent_log_free(&bed.log);
    }
}

/** How an ACK of packet `n` and what came before may look. */
typedef void (*ack_pattern)(struct bed *bed, uint64_t n);

static void ack_growing(struct bed *bed, uint64_t n)
{
    if (n % 2 == 1)
        ack(bed, 1, n, 0); // everything again and again; 0 keeps the log from being trimmed
}

static void ack_recent(struct bed *bed, uint64_t n)
{
    ack(bed, n > 5000 ? n - 5000 : 1, n, 0);
}

static void ack_downwards(struct bed *bed, uint64_t n)
{
    ack(bed, 10000 - n, 10000 - n, 0);
    if (n % 100 == 99)
        ack(bed, 10000 - n, 9999, 0);
}

/** 32 ranges that end elsewhere each time, none where an acknowledged run ends. */
static void ack_scattered(struct bed *bed, uint64_t n)
{
    ack(bed, 10000 - n, 10000 - n, 0);
    for (uint64_t i = 1; n % 100 == 99 && i <= 32; i++)
        ack(bed, 10000 - n, 10000 - n + n * i / 33, 0);
}

/** 10,000 packets in flight: all ACKs together look at few packets, whatever they repeat. */
static void test_cost(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ack_pattern pattern;
        uint64_t visits_max;
    } rows[] = {
        {"growing by two", ack_growing, 20000},
        {"a moving part", ack_recent, 20000},
        {"downwards", ack_downwards, 20000},
        {"32 scattered ends", ack_scattered, 30000},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct bed bed;
        bed_init(&bed);
        for (unsigned n = 0; n < 10001; n++)
            send(&bed, DATA, 0);
        for (uint64_t n = 1; n < 10000; n++)
            rows[i].pattern(&bed, n);
        CHECK(rows[i].name, bed.loss.visit_count >= 9999);
        CHECK(rows[i].name, bed.loss.visit_count <= rows[i].visits_max);
        CHECK_EQ(rows[i].name, bed.loss.ack_eliciting_in_flight, 2);
        check_valid(rows[i].name, &bed);
        ed_sent_log_free(&bed.log);
    }
}

/** The usual case to the end: an ACK every two packets, losses now and then, 10,000 in flight. */
static void test_cost_of_all(void **state)
{
    (void)state;
    enum { FLIGHT = 10000, TOTAL = 100000 };
    struct bed bed;

    bed_init(&bed);
    for (uint64_t n = 0; n < TOTAL; n++) {
        uint64_t now_ns = n * 8 * ED_NS_PER_US;
        send(&bed, DATA, now_ns);
        if (n < FLIGHT || n % 2 == 0)
            continue;
        uint64_t top = n - FLIGHT;
        uint64_t gap = top / 97 * 97; // every 97th packet does not arrive
        if (top > gap)
            ack(&bed, gap + 1, top, now_ns);
        if (gap > 97)
            ack(&bed, gap - 96, gap - 1, now_ns);
        detect(&bed, now_ns);
        ed_loss_trim(&bed.loss, &bed.log, &bed.rtt, MS(25), now_ns);
    }
    check_valid("all", &bed);
    CHECK("short", ed_sent_count(&bed.log) < FLIGHT + 2 * ED_LOSS_REMEMBER_PACKETS);
    CHECK("cheap", bed.loss.visit_count < UINT64_C(4) * TOTAL);
    ed_sent_log_free(&bed.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_cost_of_all),
    };
    return cmocka_run_group_tests_name("loss cost", tests, NULL, NULL);
}
