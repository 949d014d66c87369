/**
 * The states of a connection.
 *
 *   client                                   server
 *
 *   RESOLVING, where it dialled a name
 *       | resolved
 *       v
 *   GREETING --retry--> INITIATING           (stateless until the cookie is proven)
 *                           |                     |
 *                           |                  ASKING --refuse--> REFUSING --drained--> CLOSED
 *                           | accept              | admit; or at once, if nobody is asked
 *                           v                 HALF_OPEN --first packet--+
 *                       CONNECTED <-------------------------------------+
 *                        |     |
 *            close local |     | close remote
 *                        v     v
 *                 FLUSHING     DRAINING --drained--> CLOSED
 *                        | flushed    ^
 *                        v            |
 *                     CLOSING --------+--> CLOSED when answered, or all copies are out
 */
#ifndef ED_CONN_STATE_H
#define ED_CONN_STATE_H

#include "core/eddy.h"

typedef enum ed_conn_state {
    ED_CONN_NO_STATE = 0,
    ED_CONN_RESOLVING,  /* client: waits for the address of its peer */
    ED_CONN_GREETING,   /* client: HELLO sent, waits for RETRY */
    ED_CONN_INITIATING, /* client: INITIATE sent, waits for ACCEPT */
    ED_CONN_ASKING,     /* server: INITIATE came, waits for the program to decide */
    ED_CONN_HALF_OPEN,  /* server: ACCEPT sent, waits for the first packet */
    ED_CONN_CONNECTED,
    ED_CONN_FLUSHING, /* closing locally: what was accepted is still sent */
    ED_CONN_CLOSING,  /* CLOSE is being sent */
    ED_CONN_DRAINING, /* the peer closed: what still comes is dropped, and CLOSE answered */
    ED_CONN_REFUSING, /* server: the program refused: late INITIATEs are answered with the same */
    ED_CONN_CLOSED,
    ED_CONN_STATE_COUNT
} ed_conn_state;

typedef enum ed_conn_input {
    ED_INPUT_RESOLVED,     /* the peer's address is known */
    ED_INPUT_RETRY,        /* an authentic RETRY came */
    ED_INPUT_ACCEPT,       /* an authentic ACCEPT came */
    ED_INPUT_REFUSED,      /* the peer refused */
    ED_INPUT_ADMIT,        /* the program accepts a request */
    ED_INPUT_REFUSE,       /* the program refuses one */
    ED_INPUT_PACKET,       /* an authentic packet came */
    ED_INPUT_CLOSE_LOCAL,  /* the program closes */
    ED_INPUT_FLUSHED,      /* everything is acknowledged, or the flush deadline is over */
    ED_INPUT_FAILED,       /* the peer broke the protocol, or we cannot go on */
    ED_INPUT_CLOSE_REMOTE, /* CLOSE came */
    ED_INPUT_SILENCE,      /* handshake or idle timeout */
    ED_INPUT_DRAINED,      /* the closing or draining period is over */
    ED_INPUT_COUNT
} ed_conn_input;

#define ED_IN(state) (1u << (state))

/**
 * Takes one input. EDDY_ESTATE, with `*state` untouched, if the state does not know it.
 */
EDDY_MUST_CHECK eddy_status ed_conn_step(ed_conn_state *state, ed_conn_input input);

#endif
