#include "tests/support/seeds.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    COMMAND_SIZE = 512,
    FULL_FACTOR = 5,
    SLOW_DIVISOR = 20,
};

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SLOW 1
#endif
#endif
#if !defined(IS_SLOW) && (defined(ED_PARANOID) || defined(__SANITIZE_ADDRESS__) ||                 \
                          defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__))
#define IS_SLOW 1
#endif
#if !defined(IS_SLOW)
#define IS_SLOW 0
#endif

static char command[COMMAND_SIZE];

/** @return the number in the environment, or `otherwise`. */
static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);

    return text == NULL || *text == 0 ? otherwise : strtoull(text, NULL, 10);
}

bool ed_seeds_slow_build(void)
{
    return IS_SLOW != 0;
}

ed_seeds ed_seeds_chosen(uint64_t many)
{
    uint64_t one = number_of("EDDY_SEED", 0);
    uint64_t scaled = IS_SLOW ? many / SLOW_DIVISOR : many;

    if (one != 0)
        return (ed_seeds){.first = one, .count = 1};
    if (number_of("EDDY_FULL", 0) != 0)
        scaled *= FULL_FACTOR;
    return (ed_seeds){.first = 1, .count = number_of("EDDY_SEEDS", scaled)};
}

/** Only what a signal handler may: write, and die of the same signal. */
static void say_command(int signal_number)
{
    static const char text[] = "repeat with: ";

    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)!write(STDERR_FILENO, command, strnlen(command, sizeof(command)));
    (void)!write(STDERR_FILENO, "\n", 1);
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

const char *ed_seeds_announce(const char *program, uint64_t seed)
{
    (void)snprintf(command, sizeof(command), "EDDY_SEED=%llu %s", (unsigned long long)seed,
                   program);
    (void)signal(SIGABRT, say_command);
    (void)signal(SIGTERM, say_command);
    return command;
}
