/** What ends a command: SIGINT, SIGTERM, or whatever else it finds. */
#ifndef ED_TOOL_STOP_H
#define ED_TOOL_STOP_H

#include "core/eddy_loop.h"

/**
 * The program's stop, which from the first call on the first SIGINT and the first SIGTERM request;
 * the second of either ends the program at once. Lives as long as the program.
 * @return NULL if the system has no room for it.
 */
eddy_stop *ed_stop_on_signals(void);

#endif
