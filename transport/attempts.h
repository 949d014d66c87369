/**
 * The cookies that a client was given in one handshake. Its server gives one; more are there only
 * if HELLO was repeated, or if somebody else answers, too. Then an INITIATE is made of each, and
 * one of them is the server's. PROTOCOL.md section 3.
 */
#ifndef ED_ATTEMPTS_H
#define ED_ATTEMPTS_H

#include "transport/limits.h"

typedef struct ed_attempts {
    uint8_t cookies[ED_ATTEMPTS_MAX][ED_COOKIE_SIZE]; /* the oldest first */
    bool is_tried[ED_ATTEMPTS_MAX];                   /* an INITIATE was made of it */
    bool is_pending[ED_ATTEMPTS_MAX];                 /* which is to be sent */
    size_t count;
    size_t new_count;   /* of these, the last so many came since HELLO was last sent */
    bool has_ticket;    /* the oldest is one, with which the handshake began */
    bool is_refused;    /* that ticket: it is not shown again, but its ACCEPT may be on the way */
    bool is_disputed;   /* one of them is said to be not good */
    bool hello_pending; /* HELLO is to be sent */
} ed_attempts;

/** Begins with a ticket; NULL: with HELLO. */
void ed_attempts_init(ed_attempts *attempts, const uint8_t *ticket);

/**
 * Takes the cookie of an answer to HELLO, or to a ticket. The first is tried at once; others wait
 * until it is disputed. Without room the second gives way, if HELLO was sent since it came: the
 * first one is the server's, unless somebody was faster, and its ACCEPT may be on the way.
 */
void ed_attempts_add(ed_attempts *attempts, const uint8_t cookie[ED_COOKIE_SIZE]);

/** Somebody says that one of them is not good: an answer to HELLO only if it is the ticket. */
void ed_attempts_refuse(ed_attempts *attempts, size_t refused,
                        const uint8_t cookie[ED_COOKIE_SIZE]);

/** There was no answer for a while: all is sent again. */
void ed_attempts_repeat(ed_attempts *attempts);

/** Whether HELLO is to be sent now. */
bool ed_attempts_take_hello(ed_attempts *attempts);

/** The cookie of the INITIATE that is to be sent now. @return NULL: none. */
const uint8_t *ed_attempts_take(ed_attempts *attempts);

#endif
