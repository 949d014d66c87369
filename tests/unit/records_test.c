#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "tests/support/splitmix.h"
#include "transport/records.h"

enum { MANY = 1000 };

/** What stands in the records here. */
struct item {
    ed_record record;
    uint64_t mark;
};

static ed_counting_alloc counting;
static ed_records records;

static int setup(void **state)
{
    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    ed_records_init(&records, &counting.allocator, sizeof(struct item));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ed_records_free(&records);
    return counting.live_count == 0 && counting.live_size == 0 ? 0 : -1;
}

static struct item *take(void)
{
    CHECK("reserve", ed_records_reserve(&records));
    return ed_records_take(&records);
}

static void each_keeps_its_place_and_index(void **state)
{
    struct item *items[MANY];

    (void)state;
    CHECK_EQ("none", ed_records_count(&records), 0);
    for (uint64_t i = 0; i < MANY; i++) {
        items[i] = take();
        CHECK_EQ("zeroed", items[i]->mark, 0);
        CHECK_EQ("generation", items[i]->record.generation, 0);
        CHECK("in no list", !ed_list_linked(&items[i]->record.node));
        items[i]->mark = i + 1;
    }
    for (uint64_t i = 0; i < MANY; i++) {
        CHECK("where it was", ed_records_at(&records, items[i]->record.index) == items[i]);
        CHECK_EQ("as it was", items[i]->mark, i + 1);
    }
    CHECK("few too many", ed_records_count(&records) >= MANY);
    CHECK("few too many", ed_records_count(&records) < MANY + 64);
}

/** Indices are those below the count, each once. */
static void indices_are_dense(void **state)
{
    static bool seen[MANY + 64];

    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        (void)take();
    for (uint32_t i = 0; i < ed_records_count(&records); i++) {
        const struct item *item = ed_records_at(&records, i);
        CHECK_EQ("index", item->record.index, i);
        CHECK("once", !seen[i]);
        seen[i] = true;
    }
}

static void what_was_given_back_is_used_first(void **state)
{
    (void)state;
    struct item *first = take();
    uint32_t index = first->record.index;
    first->mark = 77;
    ed_records_give(&records, first);
    uint64_t calls = counting.calls;
    struct item *again = take();
    CHECK("the same", again == first);
    CHECK_EQ("index", again->record.index, index);
    CHECK_EQ("older references are stale", again->record.generation, 1);
    CHECK_EQ("the rest is as it was", again->mark, 77);
    CHECK_EQ("without memory", counting.calls, calls);
}

static void a_reserve_costs_once(void **state)
{
    (void)state;
    CHECK("first", ed_records_reserve(&records));
    uint64_t calls = counting.calls;
    CHECK("again", ed_records_reserve(&records) && ed_records_reserve(&records));
    CHECK_EQ("nothing new", counting.calls, calls);
}

static void memory_is_given_back_if_none_is_used(void **state)
{
    struct item *items[MANY];

    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        items[i] = take();
    for (unsigned i = 0; i < MANY; i++) {
        ed_records_rest(&records);
        CHECK("not while one is used", ed_records_at(&records, MANY - 1) == items[MANY - 1]);
        ed_records_give(&records, items[i]);
    }
    ed_records_rest(&records);
    CHECK_EQ("all of it", counting.live_size, 0);
    CHECK_EQ("and it begins anew", take()->record.index, 0);
    CHECK("small", counting.live_size <= 4 * sizeof(struct item) + 64);
}

static void out_of_memory(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (uint64_t i = 0; i < MANY; i++) {
        for (uint64_t after = 0;; after++) {
            uint32_t count = ed_records_count(&records);
            counting.fail_after = after;
            bool reserved = ed_records_reserve(&records);
            counting.fail_after = UINT64_MAX;
            if (reserved)
                break;
            CHECK_EQ("as before", ed_records_count(&records), count);
            failures++;
        }
        struct item *item = ed_records_take(&records);
        CHECK_EQ("zeroed", item->mark, 0);
        item->mark = i + 1;
    }
    CHECK("failures were met", failures > MANY / 16);
}

/** Takes and gives in any order: nobody's record is given to another. */
static void a_long_life(void **state)
{
    enum { ROUNDS = 200 * 1000 };
    static struct item *held[MANY];
    uint64_t seed = 1;

    (void)state;
    for (uint64_t round = 1; round < ROUNDS; round++) {
        struct item **place = &held[splitmix_below(&seed, MANY)];
        if (*place == NULL) {
            *place = take();
            (*place)->mark = round;
            continue;
        }
        uint32_t generation = (*place)->record.generation;
        CHECK("its holder's", (*place)->mark > 0 && (*place)->mark < round);
        (*place)->mark = 0;
        ed_records_give(&records, *place);
        CHECK_EQ("counted", (*place)->record.generation, generation + 1);
        *place = NULL;
    }
    CHECK("no more than were needed", ed_records_count(&records) <= MANY + 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_keeps_its_place_and_index, setup, teardown),
        cmocka_unit_test_setup_teardown(indices_are_dense, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_given_back_is_used_first, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reserve_costs_once, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_given_back_if_none_is_used, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_life, setup, teardown),
    };
    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
