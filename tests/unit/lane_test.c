#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "transport/lane.h"

struct lane {
    uint32_t mark;
};

static ed_counting_alloc counting;
static ed_lanes lanes;
static unsigned cleared;

static int setup(void **state)
{
    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    ed_lanes_init(&lanes, &counting.allocator, sizeof(struct lane));
    cleared = 0;
    return 0;
}

static void clear(void *context, void *lane)
{
    CHECK("context", context == &cleared);
    CHECK("it was used", ((struct lane *)lane)->mark != 0);
    cleared++;
}

static int teardown(void **state)
{
    (void)state;
    ed_lanes_free(&lanes, clear, &cleared);
    return counting.live_count == 0 && counting.live_size == 0 ? 0 : -1;
}

static struct lane *use(uint8_t guarantee, uint8_t stream, bool want_made)
{
    bool made = !want_made;
    struct lane *lane = ed_lanes_get(&lanes, guarantee, stream, &made);

    CHECK("lane", lane != NULL);
    CHECK_EQ("made", made, want_made);
    return lane;
}

static void each_is_its_own(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned g = 0; g < ED_WIRE_GUARANTEE_COUNT; g++)
            for (unsigned s = 0; s < ED_STREAM_COUNT; s++) {
                struct lane *lane = use((uint8_t)g, (uint8_t)s, round == 0);
                CHECK_EQ("zeroed, or as it was", lane->mark, round == 0 ? 0 : g << 8 | (s + 1));
                lane->mark = g << 8 | (s + 1);
                CHECK("found", ed_lanes_find(&lanes, (uint8_t)g, (uint8_t)s) == lane);
            }
    ed_lanes_free(&lanes, clear, &cleared);
    CHECK_EQ("all were cleared", cleared, ED_WIRE_GUARANTEE_COUNT * ED_STREAM_COUNT);
    CHECK("gone", ed_lanes_find(&lanes, 0, 0) == NULL);
    CHECK("gone", ed_lanes_find(&lanes, 4, 255) == NULL);
}

static void what_is_not_used_costs_nothing(void **state)
{
    static const struct {
        const char *name;
        uint8_t guarantee;
        uint8_t stream;
        uint64_t live_count; /* with those before */
        uint16_t end;        /* of the guarantee */
    } rows[] = {
        {"stream 0", ED_WIRE_RELIABLE_ORDERED, 0, 1, 1},
        {"stream 0 of another guarantee", ED_WIRE_UNRELIABLE, 0, 2, 1},
        {"a first other stream: a list and a lane", ED_WIRE_RELIABLE_ORDERED, 255, 4, 256},
        {"the next: a lane", ED_WIRE_RELIABLE_ORDERED, 1, 5, 256},
        {"of another guarantee: a lane", ED_WIRE_UNRELIABLE, 1, 6, 2},
        {"again: nothing", ED_WIRE_RELIABLE_ORDERED, 1, 6, 256},
    };

    (void)state;
    CHECK("none yet", ed_lanes_find(&lanes, ED_WIRE_RELIABLE_ORDERED, 7) == NULL);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        bool made;
        uint64_t size =
            counting.live_size + ed_lanes_cost(&lanes, rows[i].guarantee, rows[i].stream);
        struct lane *lane = ed_lanes_get(&lanes, rows[i].guarantee, rows[i].stream, &made);
        lane->mark = 1;
        CHECK_EQ(rows[i].name, counting.live_size, size);
        CHECK_EQ(rows[i].name, counting.live_count, rows[i].live_count);
        CHECK_EQ(rows[i].name, lanes.end[rows[i].guarantee], rows[i].end);
    }
    CHECK("a neighbour is not made", ed_lanes_find(&lanes, ED_WIRE_RELIABLE_ORDERED, 7) == NULL);
}

static void out_of_memory(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2; n++) {
        bool made = true;
        counting.fail_after = n;
        CHECK("no memory", ed_lanes_get(&lanes, 1, 9, &made) == NULL);
        CHECK("nothing made", !made);
        CHECK("nothing found", ed_lanes_find(&lanes, 1, 9) == NULL);
    }
    counting.fail_after = UINT64_MAX;
    use(1, 9, true)->mark = 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_is_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_used_costs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests_name("lane", tests, NULL, NULL);
}
