/** The frame of the attacks: it believes neither an attack nor a defence. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base.h"
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "transport/check.h"

#define DEFENCE EDDY_CHECK_GAME

static bool is_weak;

static void weaken(void)
{
    is_weak = true;
}

static bool passes(void)
{
    return SEC_CHECK(DEFENCE, false);
}

static bool is_refused(const void *context)
{
    (void)context;
    return !passes();
}

static bool dies_of_it(const void *context)
{
    ED_ASSERT(!passes());
    return context == NULL;
}

static bool fails_a_check_of_it(const void *context)
{
    CHECK("refused", !passes());
    return context == NULL;
}

static bool is_held_by_a_knob(const void *context)
{
    (void)context;
    return !is_weak;
}

static bool holds_anyway(const void *context)
{
    (void)context;
    return true;
}

static bool never_holds(const void *context)
{
    (void)context;
    return false;
}

/** @return whether the frame is content, in a process of its own. */
static bool is_content(const ed_attack *attack)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        (void)!freopen("/dev/null", "w", stdout);
        (void)!freopen("/dev/null", "w", stderr);
        (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
        ed_attack_run(attack);
        _exit(0);
    }
    CHECK_EQ(attack->name, waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void wants_attacks_that_succeed_and_defences_that_hold(void **state)
{
#ifdef ED_SWITCHABLE
    const bool can_switch = true;
#else
    const bool can_switch = false;
#endif
    const struct {
        ed_attack attack;
        bool is_content;
    } rows[] = {
        {{"refused", is_refused, NULL, {DEFENCE}, NULL}, true},
        {{"the process dies", dies_of_it, NULL, {DEFENCE}, NULL}, true},
        {{"a check fails", fails_a_check_of_it, NULL, {DEFENCE}, NULL}, true},
        {{"a knob", is_held_by_a_knob, NULL, {0}, weaken}, true},
        {{"needs no defence", holds_anyway, NULL, {0}, weaken}, false},
        {{"needs not this one", holds_anyway, NULL, {EDDY_CHECK_MODE}, NULL}, !can_switch},
        {{"needs not the second", is_refused, NULL, {DEFENCE, EDDY_CHECK_MODE}, NULL}, !can_switch},
        {{"never holds", never_holds, NULL, {DEFENCE}, NULL}, false},
        {{"has no defence", holds_anyway, NULL, {0}, NULL}, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].attack.name, is_content(&rows[i].attack), rows[i].is_content);
}

static void a_mutant_has_one_check_off(void **state)
{
    const ed_attack attack = {"refused", is_refused, NULL, {DEFENCE}, NULL};
#ifdef ED_SWITCHABLE
    const bool is_caught = true;
#else
    const bool is_caught = false;
#endif
    char number[12];

    (void)state;
    (void)snprintf(number, sizeof(number), "%d", DEFENCE);
    (void)setenv("EDDY_CHECK_OFF", number, 1);
    CHECK_EQ("its own", is_content(&attack), !is_caught);
    (void)snprintf(number, sizeof(number), "%d", EDDY_CHECK_MODE);
    (void)setenv("EDDY_CHECK_OFF", number, 1);
    CHECK_EQ("another", is_content(&attack), true);
    (void)unsetenv("EDDY_CHECK_OFF");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wants_attacks_that_succeed_and_defences_that_hold),
        cmocka_unit_test(a_mutant_has_one_check_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
