#include "tools/stop.h"

#include <signal.h>

#include "core/base.h"

static volatile sig_atomic_t asked;

static void on_signal(int signal_number)
{
    (void)signal_number;
    asked = 1;
}

void ed_stop_watch(void)
{
    // One shot, so that an impatient second ^C ends even a program that is stuck.
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    static const int watched[] = {SIGINT, SIGTERM};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ED_COUNT(watched); i++) {
        int result = sigaction(watched[i], &action, NULL);
        ED_ASSERT(result == 0);
    }
}

void ed_stop_ask(void)
{
    asked = 1;
}

bool ed_stop_asked(void)
{
    return asked != 0;
}
