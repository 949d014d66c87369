/** Where handshakes keep their secrets: no more places are touched than went on at once. */
#include <string.h>

#include "core/base.h"
#include "tests/support/check.h"
#include "transport/opening.h"

enum { PLACES = 4, STEPS_MAX = 8 };

static void the_last_one_given_back_is_taken_next(void **state)
{
    static const struct {
        const char *name;
        int steps[STEPS_MAX]; /* above 0: takes, and is given this place; below: gives that back */
        int touched;
    } rows[] = {
        {"none", {0}, 0},
        {"as many as there are", {1, 2, 3, 4}, 4},
        {"one after the other", {1, -1, 1, -1, 1, -1, 1}, 1},
        {"two at once", {1, 2, -1, 1, -2, 2, -1, -2}, 2},
        {"the last one first", {1, 2, 3, -1, -3, 3, 1, 4}, 4},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_opening places[PLACES] = {{.next = NULL}};
        ed_openings openings;
        ed_openings_init(&openings, places, PLACES);
        for (size_t k = 0; k < STEPS_MAX && rows[i].steps[k] != 0; k++) {
            int step = rows[i].steps[k];
            if (step < 0)
                ed_openings_give(&openings, &places[-step - 1]);
            else
                CHECK_EQ(rows[i].name, ed_openings_take(&openings) - places, step - 1);
        }
        CHECK_EQ(rows[i].name, openings.fresh - places, rows[i].touched);
    }
}

static void what_is_given_back_is_wiped(void **state)
{
    static const ed_opening zeros;
    ed_opening places[PLACES] = {{.next = NULL}};
    ed_openings openings;

    (void)state;
    ed_openings_init(&openings, places, PLACES);
    ed_openings_give(&openings, NULL);
    ed_opening *first = ed_openings_take(&openings), *second = ed_openings_take(&openings);
    memset(first->seed, 1, sizeof(first->seed));
    memset(&second->noise, 2, sizeof(second->noise));
    ed_openings_give(&openings, first);
    CHECK_BYTES("at once", first, &zeros, sizeof(zeros));
    ed_openings_give(&openings, second);
    CHECK("they are linked", second->next == first);
    CHECK("again", ed_openings_take(&openings) == second);
    CHECK_BYTES("also of its link", second, &zeros, sizeof(zeros));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_one_given_back_is_taken_next),
        cmocka_unit_test(what_is_given_back_is_wiped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
