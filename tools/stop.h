/** SIGINT and SIGTERM, turned into a flag to look at. */
#ifndef ED_TOOL_STOP_H
#define ED_TOOL_STOP_H

#include <stdbool.h>

/** From here on the first of each signal sets the flag; the second ends the program at once. */
void ed_stop_watch(void);

/** Asks, as a signal would. */
void ed_stop_ask(void);

/** Whether the program was asked to end. */
bool ed_stop_asked(void);

#endif
