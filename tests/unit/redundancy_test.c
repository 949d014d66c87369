#include "tests/support/check.h"

#include "transport/redundancy.h"

/** Packets that fared as the pattern says, again and again: '.' came, 'x' was lost. */
static uint32_t copies_after(const char *pattern, size_t packets)
{
    ed_redundancy redundancy;
    size_t size = strlen(pattern);

    ed_redundancy_init(&redundancy);
    for (uint64_t number = 0; number < packets; number++) {
        if (pattern[number % size] == 'x')
            ed_redundancy_on_lost(&redundancy, number);
        else
            ed_redundancy_on_acked(&redundancy);
    }
    return ed_redundancy_copies(&redundancy);
}

static void test_copies(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *pattern;
        size_t packets;
        uint32_t least, most;
    } rows[] = {
        {"nothing is known", ".", 0, 3, 6},
        {"nothing is lost, for a second", ".", 60, 1, 2},
        {"nothing is lost, for five", ".", 300, 1, 1},
        {"nothing is lost, for seven", ".", 400, 0, 0},
        {"everything is lost", "x", 2000, ED_COPIES_MAX, ED_COPIES_MAX},
        {"one in twenty", "...................x", 4000, 2, 4},
        {"one in five", "....x", 4000, 5, 8},
        {"one in five, of ten", "....x", 10, 5, 8},
        {"one in five, after a second", "....x", 60, 5, 7},
        {"one in a hundred, after a second",
         "..................................................x.........", 60, 1, 3},
        {"one in five, three in a row", "............xxx", 4000, ED_COPIES_MAX, ED_COPIES_MAX},
        {"the first", "x", 1, 5, ED_COPIES_MAX},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint32_t copies = copies_after(rows[i].pattern, rows[i].packets);
        CHECK(rows[i].name, copies >= rows[i].least);
        CHECK(rows[i].name, copies <= rows[i].most);
    }
}

/** More loss, more copies; and runs of it cost more than single ones. */
static void test_order(void **state)
{
    (void)state;
    static const char *const rows[] = {"...............................................x",
                                       "...................x", "........x", "....x", "..x"};

    for (size_t i = 1; i < ED_COUNT(rows); i++)
        CHECK(rows[i], copies_after(rows[i], 6000) >= copies_after(rows[i - 1], 6000));
    CHECK("runs", copies_after("..................xx", 6000) > copies_after(".........x", 6000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
