/** One peer that uses every lane: what that costs is bounded, and harms nobody else. */
#include "core/budget.h"
#include "tests/unit/inbox_bed.h"

enum { LANES = ED_WIRE_GUARANTEE_COUNT * ED_STREAM_COUNT };

/** A message without data on each lane, given back at once. @return how many lanes were made. */
static size_t touch_all(const char *name, uint64_t sequence)
{
    size_t count = 0;

    for (unsigned s = 0; s < ED_STREAM_COUNT; s++)
        for (uint8_t g = 0; g < ED_WIRE_GUARANTEE_COUNT; g++) {
            eddy_status status = rx_piece(g, (uint8_t)s, sequence, 0);
            bool is_reliable = g >= ED_WIRE_RELIABLE_UNORDERED;
            CHECK(name, status == EDDY_OK || (is_reliable && status == EDDY_ELIMIT));
            ed_block *block = ed_inbox_next(&rx.inbox);
            CHECK(name, block == NULL || status == EDDY_OK);
            count += block != NULL ? 1 : 0;
            if (block != NULL)
                rx_return(block);
            ed_credit_update(&rx.inbox.credit, ED_NS_PER_MS, rx.now_ns += ED_NS_PER_S);
        }
    return count;
}

static void every_lane_is_touched(void **state)
{
    static const struct {
        const char *name;
        size_t budget;
        size_t largest;
        bool all; /* are there in the end */
    } rows[] = {
        {"plenty", 4 << 20, EDDY_PIECE_SIZE_MAX, true},
        {"little", 160 << 10, EDDY_PIECE_SIZE_MAX, false},
        {"none to lend", 1 << 20, 256 << 10, false},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ("nothing left", rx_teardown(state), 0);
        rx_open(rows[i].budget, rows[i].largest);
        uint64_t before_size = rx.counting.live_size;
        size_t count = touch_all(rows[i].name, 0);
        CHECK_EQ(rows[i].name, count == LANES, rows[i].all);
        CHECK(rows[i].name, count > 2 * ED_WIRE_GUARANTEE_COUNT);  // two streams of each, at least
        CHECK_EQ(rows[i].name, touch_all(rows[i].name, 1), count); // the ones that are there
        CHECK(rows[i].name, rx.inbox.lanes_size <= ED_BUDGET_LANES + rx.room.lanes_max);
        CHECK_EQ(rows[i].name, rx.room.lanes, rx.inbox.lanes_taken);
        CHECK(rows[i].name,
              rx.counting.live_size - before_size <= rows[i].budget + rows[i].budget / 20);
        CHECK(rows[i].name, rx.room.demands_max - rx.room.lanes >= rx.room.demand_max);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_lane_is_touched, rx_setup, rx_teardown),
    };
    return cmocka_run_group_tests_name("stream_lanes", tests, NULL, NULL);
}
