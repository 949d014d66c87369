/**
 * Sends messages back. One for which there is no room waits, and those of its connection behind it,
 * so that no order is lost; unreliable ones are dropped instead, as their guarantee allows.
 */
#ifndef ED_TOOL_ECHO_H
#define ED_TOOL_ECHO_H

#include "tools/held.h"

/** What became of the messages that came. A plain value. */
typedef struct ed_echo_counts {
    uint64_t echoed;
    uint64_t waited;     /* and of these, for room */
    uint64_t dropped;    /* unreliable, and there was no room */
    uint64_t not_echoed; /* the connection, or the program, came to its end */
} ed_echo_counts;

typedef struct ed_echo {
    eddy_manager *eddy;
    ed_held held;
    ed_echo_counts counts;
} ed_echo;

void ed_echo_init(ed_echo *echo, eddy_manager *eddy);

/** An EDDY_MESSAGE came. Takes the event over. */
void ed_echo_message(ed_echo *echo, eddy_event *event);

/** EDDY_WRITABLE: what waits of this connection goes on. */
void ed_echo_writable(ed_echo *echo, eddy_connection connection);

/** Nothing can be sent on this connection any more: what waits is released. */
void ed_echo_ended(ed_echo *echo, eddy_connection connection);

/** The same for all connections. */
void ed_echo_end(ed_echo *echo);

#endif
