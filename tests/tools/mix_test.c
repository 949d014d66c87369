/** tools/mix.h: lists of guarantees, and shares that are kept at any time. */
#include <stdio.h>
#include <string.h>

#include "core/base.h"
#include "tests/support/check.h"
#include "tools/mix.h"

static void test_lists_are_read_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *text;
        bool ok;
        uint32_t shares[ED_GUARANTEE_COUNT];
    } rows[] = {
        {"all", "all", true, {1, 1, 1, 1, 1}},
        {"one", "unreliable", true, {1}},
        {"one that begins with another", "unreliable_sequenced", true, {0, 1}},
        {"three", "reliable_sequenced,reliable_unordered,reliable_ordered", true, {0, 0, 1, 1, 1}},
        {"a share", "unreliable:3", true, {3}},
        {"the largest", "unreliable:1000,reliable_ordered:2", true, {1000, 0, 0, 2}},
        {"too large a share", "unreliable:1001", false, {0}},
        {"no share", "unreliable:", false, {0}},
        {"nothing of it", "unreliable:0", false, {0}},
        {"a share that is none", "unreliable:x", false, {0}},
        {"twice", "unreliable,unreliable", false, {0}},
        {"nothing", "", false, {0}},
        {"a comma at the end", "unreliable,", false, {0}},
        {"a comma alone", ",", false, {0}},
        {"unknown", "ordered", false, {0}},
        {"the beginning of a name", "reliable", false, {0}},
        {"a name and more", "unreliable2", false, {0}},
        {"all and more", "all,unreliable", false, {0}},
        {"longer than any name",
         "unreliable:0000000000000000000000000000000000000000000000000000000000000000001",
         false,
         {0}},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        static const ed_mix untouched = {.shares = {7, 7, 7, 7, 7}};
        ed_mix mix = untouched;
        CHECK_EQ(rows[i].name, ed_mix_parse(&mix, rows[i].text), rows[i].ok);
        for (size_t j = 0; j < ED_GUARANTEE_COUNT; j++)
            CHECK_EQ(rows[i].name, mix.shares[j], rows[i].ok ? rows[i].shares[j] : 7);
    }
}

static void test_shares_are_kept_at_any_time(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *order; /* the guarantees of the first messages */
    } rows[] = {
        {"all", "0123401234"},
        {"reliable_ordered", "33333"},
        {"unreliable,reliable_sequenced", "040404"},
        {"unreliable:3,reliable_ordered", "00300030"},
        {"unreliable:2,reliable_unordered:3", "20202"
                                              "20202"},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_mix mix;
        CHECK(rows[i].text, ed_mix_parse(&mix, rows[i].text));
        for (size_t j = 0; rows[i].order[j] != '\0'; j++) {
            eddy_guarantee guarantee = ed_mix_next(&mix);
            CHECK_EQ(rows[i].text, ed_mix_next(&mix), guarantee); // until it is sent
            CHECK_EQ(rows[i].text, guarantee, rows[i].order[j] - '0');
            ed_mix_sent(&mix, guarantee);
        }
    }
}

static void test_what_is_in_a_mix(void **state)
{
    (void)state;
    ed_mix mix;

    CHECK("read", ed_mix_parse(&mix, "unreliable_sequenced:2,reliable_ordered"));
    for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++)
        CHECK_EQ(ed_promises[i].name, ed_mix_has(&mix, (eddy_guarantee)i),
                 i == EDDY_UNRELIABLE_SEQUENCED || i == EDDY_RELIABLE_ORDERED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_are_read_or_refused),
        cmocka_unit_test(test_shares_are_kept_at_any_time),
        cmocka_unit_test(test_what_is_in_a_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
