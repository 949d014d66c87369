#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "core/deadline.h"
#include "tests/support/splitmix.h"

static ed_counting_alloc counting;

static ed_deadlines *deadlines_of(uint32_t slot_count)
{
    ed_counting_alloc_init(&counting, NULL);
    ed_deadlines *deadlines = ed_deadlines_create(&counting.allocator, slot_count);
    CHECK("deadlines", deadlines != NULL);
    CHECK_EQ("nothing waits", ed_deadlines_next_ns(deadlines), ED_NEVER_NS);
    counting.fail_after = 0; // never again
    return deadlines;
}

static void destroy(ed_deadlines *deadlines)
{
    ed_deadlines_destroy(deadlines);
    CHECK_EQ("leaked", counting.live_size, 0);
    CHECK_EQ("asked for more", counting.failures, 0);
}

/** What one step of the table does. */
enum action { SET, POP, NEXT };

static void deadlines_are_exact_and_ties_go_by_slot(void **state)
{
    enum { NONE = UINT32_MAX };
    static const struct {
        const char *name;
        enum action action;
        uint32_t slot; /* of SET; of POP: the one that must come, or NONE */
        uint64_t ns;   /* of SET: when; of POP: now; of NEXT: what it must be */
    } rows[] = {
        {"none is due at the end of time", POP, NONE, UINT64_MAX},
        {"a late one", SET, 3, 200},
        {"is next", NEXT, 0, 200},
        {"an earlier one", SET, 7, 100},
        {"is next now", NEXT, 0, 100},
        {"not early by 1 ns", POP, NONE, 99},
        {"due to the ns", POP, 7, 100},
        {"once only", POP, NONE, 100},
        {"moved later", SET, 3, 300},
        {"not at the old time", POP, NONE, 299},
        {"moved earlier", SET, 3, 50},
        {"is next there", NEXT, 0, 50},
        {"removed", SET, 3, ED_NEVER_NS},
        {"nothing is next", NEXT, 0, ED_NEVER_NS},
        {"removed again", SET, 3, ED_NEVER_NS},
        {"a tie: last slot first", SET, 9, 10},
        {"a tie: first slot last", SET, 0, 10},
        {"a tie: between", SET, 5, 10},
        {"lowest slot", POP, 0, 10},
        {"then the next", POP, 5, 10},
        {"then the highest", POP, 9, 1000},
        {"at time 0", SET, 1, 0},
        {"is due at 0", POP, 1, 0},
        {"at the last moment", SET, 1, UINT64_MAX - 1},
        {"not before", POP, NONE, UINT64_MAX - 2},
        {"is due then", POP, 1, UINT64_MAX - 1},
    };

    (void)state;
    ed_deadlines *deadlines = deadlines_of(10);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint32_t slot = NONE;
        if (rows[i].action == SET)
            ed_deadlines_set(deadlines, rows[i].slot, rows[i].ns);
        else if (rows[i].action == NEXT)
            CHECK_EQ(rows[i].name, ed_deadlines_next_ns(deadlines), rows[i].ns);
        else {
            bool due = ed_deadlines_pop(deadlines, rows[i].ns, &slot);
            CHECK_EQ(rows[i].name, due, rows[i].slot != NONE);
            CHECK_EQ(rows[i].name, slot, rows[i].slot);
        }
        CHECK(rows[i].name, ed_deadlines_valid(deadlines));
    }
    destroy(deadlines);
}

enum { SLOTS_MAX = 300 };

/** The slot whose time in the plain array comes first, or `slot_count`. */
static uint32_t earliest(const uint64_t *at_ns, uint32_t slot_count)
{
    uint32_t best = slot_count;

    for (uint32_t slot = 0; slot < slot_count; slot++)
        if (at_ns[slot] != ED_NEVER_NS && (best == slot_count || at_ns[slot] < at_ns[best]))
            best = slot;
    return best;
}

static void compare_with_an_array(uint32_t slot_count, uint32_t spread_ns, uint64_t seed)
{
    enum { STEPS = 4000 };
    ed_deadlines *deadlines = deadlines_of(slot_count);
    uint64_t at_ns[SLOTS_MAX];

    memset(at_ns, 0xff, sizeof(at_ns)); // ED_NEVER_NS
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t slot = splitmix_below(&seed, slot_count);
        uint64_t now_ns = step;
        bool removes = splitmix_below(&seed, 5) == 0;
        at_ns[slot] = removes ? ED_NEVER_NS : now_ns + splitmix_below(&seed, spread_ns);
        ed_deadlines_set(deadlines, slot, at_ns[slot]);
        CHECK("valid", ed_deadlines_valid(deadlines));

        uint32_t want = earliest(at_ns, slot_count), got = slot_count;
        uint64_t want_ns = want == slot_count ? ED_NEVER_NS : at_ns[want];
        CHECK_EQ("next", ed_deadlines_next_ns(deadlines), want_ns);
        bool due = ed_deadlines_pop(deadlines, now_ns, &got);
        CHECK_EQ("due", due, want_ns <= now_ns);
        CHECK_EQ("slot", got, due ? want : slot_count);
        if (due)
            at_ns[got] = ED_NEVER_NS;
        CHECK("valid", ed_deadlines_valid(deadlines));
    }
    destroy(deadlines);
}

static void they_behave_as_an_array_does(void **state)
{
    static const struct {
        uint32_t slot_count;
        uint32_t spread_ns; /* small: many ties */
    } rows[] = {{1, 3}, {2, 4}, {5, 10}, {6, 1000}, {64, 40}, {64, 10000}, {SLOTS_MAX, 600}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        compare_with_an_array(rows[i].slot_count, rows[i].spread_ns, i);
}

static void creating_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    for (uint64_t after = 0; after < 3; after++) {
        ed_counting_alloc_init(&counting, NULL);
        counting.fail_after = after;
        CHECK("refused", ed_deadlines_create(&counting.allocator, 8) == NULL);
        CHECK_EQ("leaked", counting.live_size, 0);
    }
    ed_deadlines_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_are_exact_and_ties_go_by_slot),
        cmocka_unit_test(they_behave_as_an_array_does),
        cmocka_unit_test(creating_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
