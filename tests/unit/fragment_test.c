/** Messages that arrive in parts: in any order, cut anywhere, twice, and without memory. */
#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "tests/support/splitmix.h"
#include "transport/fragment.h"

enum { UNIT = ED_FRAGMENT_UNIT, LARGEST = 300 * 1000, STEP = 8 * UNIT };

static ed_counting_alloc counting;
static ed_pool *pool;
static ed_assembly assembly;
static uint8_t source[LARGEST];

static int setup(void **state)
{
    uint64_t seed = 3;

    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    pool = ed_pool_create(&counting.allocator, 4 << 20);
    for (size_t i = 0; i < sizeof(source); i++)
        source[i] = (uint8_t)splitmix_next(&seed);
    return pool != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    size_t charged = ed_pool_charged(pool);
    ed_pool_destroy(pool);
    return charged == 0 && counting.live_count == 0 ? 0 : -1;
}

static ed_message_frame part_of(size_t whole, size_t begin, size_t end)
{
    return (ed_message_frame){.fragment = true,
                              .whole_size = whole,
                              .fragment_index = begin / UNIT,
                              .data = {.data = source + begin, .size = end - begin}};
}

static eddy_status add(size_t begin, size_t end)
{
    ed_message_frame part = part_of(assembly.size, begin, end);

    CHECK("it fits", ed_assembly_fits(&assembly, &part));
    return ed_assembly_add(&assembly, pool, &part);
}

/** It is complete: joins it, compares, and frees all. */
static void check_whole(const char *name)
{
    CHECK(name, ed_assembly_is_complete(&assembly));
    ed_block *whole = ed_assembly_join(&assembly, pool);
    CHECK(name, whole != NULL);
    CHECK_EQ(name, whole->size, assembly.size);
    CHECK_BYTES(name, whole->data, source, assembly.size);
    ed_pool_give(whole);
    ed_assembly_free(&assembly, pool);
    CHECK_EQ(name, ed_pool_charged(pool), 0);
}

static void sizes(void **state)
{
    static const uint32_t rows[] = {1,    127,  128,  129,  1151, 1152,   1153,
                                    1280, 2303, 2304, 2305, 5000, 262144, LARGEST};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_assembly_init(&assembly, rows[i]);
        CHECK("not yet", !ed_assembly_is_complete(&assembly));
        for (size_t at = 0; at < rows[i]; at += STEP)
            CHECK_EQ("part", add(at, ed_min_size(at + STEP, rows[i])), EDDY_OK);
        check_whole("in order");
        ed_assembly_init(&assembly, rows[i]);
        size_t last = (rows[i] - 1) / UNIT * UNIT;
        for (size_t at = last + UNIT; at > 0; at -= UNIT)
            CHECK_EQ("unit", add(at - UNIT, ed_min_size(at, rows[i])), EDDY_OK);
        check_whole("backwards, unit by unit");
    }
}

/** What came before changes nothing, however it is cut the second time. */
static void steps(void **state)
{
    static const struct {
        const char *name;
        size_t begin, end;
        eddy_status want;
        uint32_t missing; /* units */
    } rows[] = {
        {"in the middle", 1280, 2560, EDDY_OK, 14},
        {"again", 1280, 2560, EDDY_EEXIST, 14},
        {"a piece of it", 1408, 1536, EDDY_EEXIST, 14},
        {"over its end", 2432, 2688, EDDY_OK, 13},
        {"over its beginning", 1024, 1408, EDDY_OK, 11},
        {"the short last one", 2944, 3000, EDDY_OK, 10},
        {"over all that is there", 896, 3000, EDDY_OK, 7},
        {"the first", 0, 128, EDDY_OK, 6},
        {"the rest", 0, 1024, EDDY_OK, 0},
        {"all of it", 0, 3000, EDDY_EEXIST, 0},
    };

    (void)state;
    ed_assembly_init(&assembly, 3000);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].name, add(rows[i].begin, rows[i].end), rows[i].want);
        CHECK_EQ(rows[i].name, assembly.missing, rows[i].missing);
        CHECK_EQ(rows[i].name, ed_assembly_is_complete(&assembly), rows[i].missing == 0);
    }
    check_whole("whole");
}

static void what_does_not_fit(void **state)
{
    static const struct {
        const char *name;
        ed_message_frame part;
        bool want;
    } rows[] = {
        {"a part", {.fragment = true, .whole_size = 3000}, true},
        {"of a larger message", {.fragment = true, .whole_size = 3001}, false},
        {"of a smaller one", {.fragment = true, .whole_size = 2999}, false},
        {"no part", {.whole_size = 3000}, false},
    };

    (void)state;
    ed_assembly_init(&assembly, 3000);
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, ed_assembly_fits(&assembly, &rows[i].part), rows[i].want);
    ed_assembly_free(&assembly, pool);
}

/** Memory is taken for what has come, however it lies, and little else. */
static void memory_is_taken_as_parts_come(void **state)
{
    static const struct {
        const char *name;
        size_t begin, end;
        size_t charge; /* more than before */
    } rows[] = {
        {"four units", 0, 512, 512},
        {"the same", 0, 512, 0},
        {"the rest of the page: 11 units take as much as 12", 512, 1408, 1536 - 512},
        {"over the edge of pages", 2560, 3072, 256 + 256 + 80},
        {"a unit of a page", 1408, 1536, 128},
        {"the last units, and a byte more", 99840, 99969, 128 + 16},
        {"from there", 99328, 99969, 512},
    };
    size_t before = 0;

    (void)state;
    ed_assembly_init(&assembly, 99969);
    CHECK_EQ("none", ed_pool_charged(pool), 0);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_status want = rows[i].charge == 0 ? EDDY_EEXIST : EDDY_OK;
        CHECK_EQ(rows[i].name, add(rows[i].begin, rows[i].end), want);
        CHECK_EQ(rows[i].name, ed_pool_charged(pool) - before, rows[i].charge);
        before = ed_pool_charged(pool);
    }
    ed_assembly_free(&assembly, pool);
    CHECK_EQ("all back", ed_pool_charged(pool), 0);
}

/** Of the largest message, parts that lie as far apart as to find them is hardest. */
static void far_pages(void **state)
{
    enum { FAR = 512 * ED_PAGE_UNITS, COUNT = EDDY_MESSAGE_SIZE_LIMIT / (FAR * UNIT) };
    ed_message_frame part = part_of(EDDY_MESSAGE_SIZE_LIMIT, 0, UNIT);

    (void)state;
    ed_assembly_init(&assembly, EDDY_MESSAGE_SIZE_LIMIT);
    for (unsigned round = 0; round < 2; round++)
        for (uint64_t i = 0; i < COUNT; i++) {
            part.fragment_index = (COUNT - 1 - i) * FAR;
            CHECK_EQ("part", ed_assembly_add(&assembly, pool, &part),
                     round == 0 ? EDDY_OK : EDDY_EEXIST);
        }
    CHECK("memory", ed_pool_charged(pool) <= COUNT * (UNIT + 40));
    ed_assembly_free(&assembly, pool);
}

/** Any parts in any order until it is whole. */
static void shuffled(void **state)
{
    (void)state;
    for (uint64_t seed_of_run = 1; seed_of_run <= 300; seed_of_run++) {
        uint64_t seed = seed_of_run;
        uint32_t size = 1 + splitmix_below(&seed, 20000);
        uint32_t units = (size + UNIT - 1) / UNIT;
        ed_assembly_init(&assembly, size);
        while (!ed_assembly_is_complete(&assembly)) {
            uint32_t first = splitmix_below(&seed, units);
            uint32_t count = 1 + splitmix_below(&seed, (uint32_t)ed_min_size(units - first, 12));
            uint32_t before = assembly.missing;
            eddy_status status = add(first * UNIT, ed_min_size((first + count) * UNIT, size));
            CHECK_EQ("news or none", status, assembly.missing < before ? EDDY_OK : EDDY_EEXIST);
        }
        check_whole("whole");
    }
}

/** Without memory a part, or what is not here of it, comes again. */
static void out_of_memory(void **state)
{
    static const size_t parts[][2] = {
        {99968, 100000}, {0, 3456}, {49920, 60032}, {3456, 49920}, {60032, 99968}};
    unsigned failures = 0;

    (void)state;
    ed_assembly_init(&assembly, 100000);
    for (size_t i = 0; i < ED_COUNT(parts); i++)
        for (uint64_t after = 0;; after++) {
            uint32_t missing = assembly.missing;
            counting.fail_after = after;
            eddy_status status = add(parts[i][0], parts[i][1]);
            counting.fail_after = UINT64_MAX;
            if (status == EDDY_OK)
                break;
            CHECK_EQ("status", status, EDDY_ENOMEM);
            CHECK("not all of it came", assembly.missing > 0 && assembly.missing <= missing);
            failures++;
        }
    CHECK("failures were met", failures > 10);
    counting.fail_after = 0;
    CHECK("no memory for the whole", ed_assembly_join(&assembly, pool) == NULL);
    counting.fail_after = UINT64_MAX;
    check_whole("it stays as it was");
}

static void freed_half_way(void **state)
{
    (void)state;
    ed_assembly_init(&assembly, 5000);
    ed_assembly_free(&assembly, pool);
    for (size_t begin = 0; begin < 5000; begin += UNIT) {
        ed_assembly_init(&assembly, 5000);
        CHECK_EQ("part", add(begin, ed_min_size(begin + UNIT, 5000)), EDDY_OK);
        ed_assembly_free(&assembly, pool);
        CHECK_EQ("all back", ed_pool_charged(pool), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(steps, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_taken_as_parts_come, setup, teardown),
        cmocka_unit_test_setup_teardown(far_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(shuffled, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(freed_half_way, setup, teardown),
    };
    return cmocka_run_group_tests_name("fragment", tests, NULL, NULL);
}
