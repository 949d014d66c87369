#include "tools/stop.h"

#include <signal.h>

#include "core/base.h"

static eddy_stop *stop;

static void on_signal(int signal_number)
{
    (void)eddy_stop_request(stop, signal_number, EDDY_FOREVER);
}

static void install_handlers(void)
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

eddy_stop *ed_stop_on_signals(void)
{
    if (stop == NULL && eddy_stop_create(&stop, NULL) == EDDY_OK)
        install_handlers();
    return stop;
}
