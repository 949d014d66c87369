#include "tests/support/attack.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base.h"
#include "tests/support/check.h"
#include "tests/support/seeds.h"
#include "transport/check.h"
#include "transport/nonce.h"

enum {
    CHILD_LIMIT_S = 120,
};

static bool is_weakened; /* a defence is off */

uint64_t ed_attack_count(uint64_t quick, uint64_t full)
{
    const char *text = getenv("EDDY_FULL");
    bool is_full = text != NULL && *text != 0 && strcmp(text, "0") != 0;

    // The whole figures are for one build: those that check more look for other faults.
    is_full = is_full && !ed_seeds_slow_build();
    return is_full && !is_weakened ? full : quick;
}

void ed_attack_figure(const char *format, ...)
{
    va_list arguments;

    if (is_weakened)
        return;
    (void)printf("figure: ");
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)printf("\n");
}

static bool mount(const ed_attack *attack)
{
    ed_nonce_forget(); // worlds of one seed are the same world
    return attack->mount(attack->context);
}

static void switch_off(eddy_check check)
{
#ifdef ED_SWITCHABLE
    ed_check_off = check;
#endif
    is_weakened |= check != 0;
}

/* ------------------------------------------------------------------------ without a defence -- */

/** Whatever goes wrong from here on ends the process, and says nothing. */
static void be_silent_and_frail(void)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTERM};
    int nowhere = open("/dev/null", O_WRONLY);

    if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0 || dup2(nowhere, STDERR_FILENO) < 0)
        _exit(EXIT_SUCCESS); // taken for a defence that held: the test fails
    for (size_t i = 0; i < ED_COUNT(signals); i++)
        (void)signal(signals[i], SIG_DFL);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1); // else a failed check goes on in cmocka's runner
    (void)alarm(CHILD_LIMIT_S);
}

/** @return whether the attack fails even so. */
static bool holds_without(const ed_attack *attack, eddy_check check)
{
    int status = 0;

    (void)fflush(NULL);
    pid_t child = fork();
    CHECK(attack->name, child >= 0);
    if (child == 0) {
        be_silent_and_frail();
        switch_off(check);
        is_weakened = true;
        if (check == 0)
            attack->weaken();
        _exit(mount(attack) ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    CHECK_EQ(attack->name, waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

static void require_each_defence(const ed_attack *attack)
{
    size_t count = 0;

    if (attack->weaken != NULL && holds_without(attack, (eddy_check)0))
        fail_msg("%s: fails even without its defence", attack->name);
#ifdef ED_SWITCHABLE
    for (; count < ED_ATTACK_CHECKS_MAX && attack->checks[count] != 0; count++)
        if (holds_without(attack, attack->checks[count]))
            fail_msg("%s: fails even without '%s'", attack->name,
                     eddy_check_text(attack->checks[count]));
#endif
    if (count > 0 || attack->weaken != NULL)
        (void)printf("%s: succeeds without each of %zu defences\n", attack->name,
                     count + (attack->weaken != NULL));
}

/* ---------------------------------------------------------------------------- with all of them --
 */

void ed_attack_run(const ed_attack *attack)
{
    const char *off = getenv("EDDY_CHECK_OFF");
    bool is_mutant = off != NULL && *off != 0;

    CHECK(attack->name, is_mutant || attack->checks[0] != 0 || attack->weaken != NULL);
    if (is_mutant)
        switch_off((eddy_check)strtoul(off, NULL, 10));
    else
        require_each_defence(attack);
    CHECK(attack->name, mount(attack));
}

void ed_attack_run_all(const ed_attack *attacks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ed_attack_run(&attacks[i]);
}
