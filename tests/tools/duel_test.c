/** Two processes that measure: where one cannot be started, or dies, nobody else is ended. */
#include "tests/support/check.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/bench/duel.h"

static int forks_left; /* before one fails */
static int kills;
static int wrong_kills; /* of what is not one process */

pid_t __real_fork(void);
pid_t __wrap_fork(void);
int __real_kill(pid_t pid, int number);
int __wrap_kill(pid_t pid, int number);

pid_t __wrap_fork(void)
{
    if (forks_left-- > 0)
        return __real_fork();
    errno = EAGAIN;
    return -1;
}

int __wrap_kill(pid_t pid, int number)
{
    kills++;
    if (pid > 0)
        return __real_kill(pid, number);
    wrong_kills++;
    return 0;
}

static void do_well(ed_duel *duel)
{
    (void)duel;
}

static void give_up(ed_duel *duel)
{
    ed_duel_fail(duel, ED_DUEL_CLIENT, "no luck");
}

static void wait_for_ever(ed_duel *duel)
{
    (void)duel;
    for (;;)
        pause();
}

static void join_nobody(ed_duel *duel)
{
    ed_duel_join(duel, ED_DUEL_CLIENT, -1);
}

static void only_its_own_are_ended(void **state)
{
    (void)state;
    static const ed_bench_system system = {.name = "it"};
    static const struct {
        const char *name;
        int forks;
        ed_duel_role server, client;
        int kills;
        const char *error;
    } rows[] = {
        {"both do well", 2, do_well, do_well, 0, ""},
        {"no server", 0, wait_for_ever, do_well, 0, "the server of it: "},
        {"no client", 1, wait_for_ever, do_well, 1, "the client of it: "},
        {"a client that fails", 2, wait_for_ever, give_up, 1, "the client of it: no luck"},
        {"a client without its helper", 2, wait_for_ever, join_nobody, 1,
         "the client of it: a process of it could not be started"},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_bench_result result;
        ed_bench_plan plan = {0};
        forks_left = rows[i].forks;
        kills = wrong_kills = 0;
        ed_duel *duel = ed_duel_run(&result, NULL, &system, &plan, rows[i].server, rows[i].client);
        CHECK(rows[i].name, (duel != NULL) == (rows[i].error[0] == '\0'));
        CHECK(rows[i].name, strncmp(result.error, rows[i].error, strlen(rows[i].error)) == 0);
        CHECK(rows[i].name, wrong_kills == 0);
        CHECK(rows[i].name, kills == rows[i].kills);
        CHECK(rows[i].name, waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
        if (duel != NULL)
            ed_duel_free(duel);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_its_own_are_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
