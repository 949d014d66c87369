/**
 * A UDP socket that may be exchanged for one of another address while it is in use, as when a NAT
 * gives its client another port. What still comes to the one before is lost.
 */
#ifndef ED_TEST_SWITCH_H
#define ED_TEST_SWITCH_H

#include "core/eddy.h"

typedef struct ed_switch {
    eddy_socket socket; /* for the manager, which closes it */
    eddy_socket now;    /* what it is made of now */
} ed_switch;

/** Opens it, or fails the test. It stays where it is. */
void ed_switch_open(ed_switch *s, const char *bind);

/** From now on it is at that address. Between two polls. */
void ed_switch_to(ed_switch *s, const char *bind);

#endif
