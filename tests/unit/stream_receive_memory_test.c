/** What reliable messages that arrive make us hold: never much more than they were charged. */
#include "tests/unit/inbox_bed.h"

#include "tests/support/splitmix.h"

enum {
    RU = ED_WIRE_RELIABLE_UNORDERED,
    RO = ED_WIRE_RELIABLE_ORDERED,
    RS = ED_WIRE_RELIABLE_SEQUENCED,
    PLENTY = 1 << 30, /* of credit */
};

/* ------------------------------------------------------------------------------------ memory -- */

/** Without memory a frame is as if it had not come, and comes again. */
static void out_of_memory(void **state)
{
    static const struct {
        uint32_t sequence;
        int kind; /* 0: a piece, 1: in parts, 2: SKIP */
    } frames[] = {{1, 0}, {17, 1}, {16, 2}, {100, 0}, {3000, 1}, {8191, 2}, {0, 0}};
    unsigned failures = 0;

    (void)state;
    for (uint8_t guarantee = RU; guarantee <= RS; guarantee++) {
        rx_grant(PLENTY);
        for (size_t i = 0; i < ED_COUNT(frames); i++) {
            uint32_t sequence = frames[i].sequence;
            eddy_status status = EDDY_ENOMEM;
            for (uint64_t after = 0; status != EDDY_OK; after++) {
                rx.counting.fail_after = after;
                status = frames[i].kind == 0   ? rx_piece(guarantee, 0, sequence, 10)
                         : frames[i].kind == 1 ? rx_part(guarantee, 0, sequence, 1200, 0, 1200)
                                               : rx_skip(guarantee, 0, sequence, 64);
                failures += status == EDDY_ENOMEM ? 1 : 0;
                // A copy of a part is tried again where there was no memory for the whole.
                CHECK("nothing else", status == EDDY_OK || status == EDDY_ENOMEM ||
                                          (status == EDDY_EEXIST && frames[i].kind == 1));
                CHECK("valid", ed_credit_valid(&rx.inbox.credit));
            }
            rx.counting.fail_after = UINT64_MAX;
            CHECK_EQ("once", rx_piece(guarantee, 0, sequence, 10), EDDY_EEXIST);
        }
        unsigned delivered = 0;
        for (; rx.inbox.first_ready != NULL; delivered++)
            rx_return(ed_inbox_next(&rx.inbox));
        CHECK_EQ("all that may come", delivered, guarantee == RU ? 5 : guarantee == RO ? 2 : 4);
        rx_restart();
    }
    CHECK("failures were met", failures > 15);
}

/**
 * What came early leaves a mark, though the program has given it back: that is kept of its charge,
 * or a peer could fill our memory with marks.
 */
static void marks_are_charged(void **state)
{
    (void)state;
    for (int is_skip = 0; is_skip <= 1; is_skip++)
        for (uint8_t guarantee = RU; guarantee <= RS; guarantee++) {
            for (uint32_t n = 1; n < ED_LANE_WINDOW; n++) {
                eddy_status status =
                    is_skip ? rx_skip(guarantee, 0, n, 64) : rx_piece(guarantee, 0, n, 0);
                if (status == EDDY_EPROTO)
                    break; // it was told, and has to wait for the first
                CHECK_EQ("taken", status, EDDY_OK);
                while (rx.inbox.first_ready != NULL)
                    rx_return(ed_inbox_next(&rx.inbox));
                ed_credit_update(&rx.inbox.credit, 1, n * ED_NS_PER_S);
                uint64_t outstanding = rx.inbox.credit.claimed - rx.inbox.credit.consumed;
                CHECK("memory is charged for", rx_charged() <= outstanding * 3 / 2);
            }
            if (guarantee == RO && !is_skip) {
                rx_restart();
                continue;
            }
            CHECK_EQ("the first is here", rx_piece(guarantee, 0, 0, 0), EDDY_OK);
            while (rx.inbox.first_ready != NULL)
                rx_return(ed_inbox_next(&rx.inbox));
            CHECK_EQ("then all is free", rx_charged(), 0);
            CHECK_EQ("and given back", rx.inbox.credit.consumed, rx.inbox.credit.claimed);
            rx_restart();
        }
}

/** A ring does not become shorter as its gap is filled: it is charged for to the last. */
static void a_long_ring_is_charged_for_a_short_gap(void **state)
{
    enum { LENGTH = 500 };

    (void)state;
    rx_grant(PLENTY);
    for (int is_skip = 0; is_skip <= 1; is_skip++)
        for (uint8_t stream = 0; stream < 100; stream++) {
            uint8_t guarantee = is_skip ? RO : RU;
            for (uint32_t n = 0; n < LENGTH; n++) {
                uint32_t sequence = n == 0 ? LENGTH : n - 1; // the last comes first
                eddy_status status = is_skip ? rx_skip(guarantee, stream, sequence, 64)
                                             : rx_piece(guarantee, stream, sequence, 0);
                CHECK_EQ("taken", status, EDDY_OK);
                while (rx.inbox.first_ready != NULL)
                    rx_return(ed_inbox_next(&rx.inbox));
                uint64_t outstanding = rx.inbox.credit.claimed - rx.inbox.credit.consumed;
                CHECK("memory is charged for", rx_charged() <= outstanding * 3 / 2);
            }
        }
}

/** A ring that is kept for the next gap is as long as the last: few are, whatever is held in them.
 */
static void long_rings_are_not_kept_by_small_gaps(void **state)
{
    enum { LENGTH = 256, LANES = 100 };

    (void)state;
    rx_grant(PLENTY);
    for (uint8_t stream = 0; stream < LANES; stream++) {
        for (uint32_t n = 1; n <= LENGTH; n++)
            CHECK_EQ("all but the first", rx_piece(RU, stream, n % LENGTH, 0), EDDY_OK);
        while (rx.inbox.first_ready != NULL)
            rx_return(ed_inbox_next(&rx.inbox));
        CHECK_EQ("a small gap", rx_piece(RU, stream, LENGTH + 1, 0), EDDY_OK);
        rx_return(ed_inbox_next(&rx.inbox));
        uint64_t outstanding = rx.inbox.credit.claimed - rx.inbox.credit.consumed;
        CHECK("memory is charged for", rx_charged() <= outstanding * 3 / 2);
    }
}

/* ---------------------------------------------------------------------------- a hostile peer -- */

/** A sequence near the beginning of the lane's window, or anywhere in it. */
static uint64_t any_sequence(uint8_t guarantee, uint8_t stream, uint64_t *seed)
{
    const ed_lane_in *lane = ed_lanes_find(&rx.inbox.lanes, guarantee, stream);
    uint64_t expected = lane == NULL ? 0 : lane->expected;
    uint32_t reach = splitmix_below(seed, 8) == 0 ? 200 : 12;

    return expected + splitmix_below(seed, reach);
}

static eddy_status any_frame(uint64_t *seed)
{
    uint8_t guarantee = (uint8_t)(RU + splitmix_below(seed, 3));
    uint8_t stream = (uint8_t)splitmix_below(seed, 4);
    uint64_t sequence = any_sequence(guarantee, stream, seed);
    size_t whole = 1151 + (sequence * 7919 + stream * 104729u) % 20000;
    size_t begin = splitmix_below(seed, (uint32_t)whole) / 128 * 128;

    switch (splitmix_below(seed, 4)) {
    case 0:
        return rx_part(guarantee, stream, sequence, whole, begin,
                       ed_min_size(begin + 128 + splitmix_below(seed, 9) * 128, whole));
    case 1:
        return rx_skip(guarantee, stream, sequence,
                       64 + splitmix_below(seed, 2) * splitmix_below(seed, 4000));
    case 2:
        return rx_piece(guarantee, stream, sequence, splitmix_below(seed, 1151));
    default:
        return rx_piece(guarantee, stream, sequence, 0);
    }
}

/** What it makes us hold is never more than one and a half of what it was charged. */
static void memory_follows_what_is_charged(void **state)
{
    enum { SEEDS = 300, FRAMES = 2000 };
    uint64_t most = 0, taken = 0;

    (void)state;
    for (uint64_t seed_of_run = 1; seed_of_run <= SEEDS; seed_of_run++) {
        uint64_t seed = seed_of_run;
        uint32_t reads = 1 + splitmix_below(&seed, 4);
        for (unsigned n = 0; n < FRAMES; n++) {
            eddy_status status = any_frame(&seed);
            if (status == EDDY_OK)
                taken++;
            CHECK("never without room", status != EDDY_ENOMEM);
            while (rx.inbox.first_ready != NULL && splitmix_below(&seed, reads) == 0)
                rx_return(ed_inbox_next(&rx.inbox));
            rx.now_ns += ED_NS_PER_MS;
            ed_credit_update(&rx.inbox.credit, 10 * ED_NS_PER_MS, rx.now_ns);
            uint64_t outstanding = rx.inbox.credit.claimed - rx.inbox.credit.consumed;
            uint64_t charged = rx_charged();
            CHECK("valid", ed_credit_valid(&rx.inbox.credit));
            CHECK("within what was charged", charged <= outstanding * 3 / 2);
            most = ed_max_u64(most, charged);
        }
        rx_restart();
    }
    CHECK("much was taken", taken > SEEDS * FRAMES / 10 && most > 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(out_of_memory, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(marks_are_charged, rx_setup, rx_teardown),
        cmocka_unit_test_setup_teardown(a_long_ring_is_charged_for_a_short_gap, rx_setup,
                                        rx_teardown),
        cmocka_unit_test_setup_teardown(long_rings_are_not_kept_by_small_gaps, rx_setup,
                                        rx_teardown),
        cmocka_unit_test_setup_teardown(memory_follows_what_is_charged, rx_setup, rx_teardown),
    };
    return cmocka_run_group_tests_name("stream_receive_memory", tests, NULL, NULL);
}
