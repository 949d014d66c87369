/**
 * What all shards of a server go by when a stranger comes: who asked how often, which tokens and
 * tickets were used, the cookies' secrets. One lock, held for a look at a table and never while
 * something is reckoned. Packets of connections do not come here.
 */
#ifndef ED_DOOR_H
#define ED_DOOR_H

#include "core/thread.h"
#include "transport/cookie.h"
#include "transport/gate.h"
#include "transport/ticket.h"
#include "transport/used.h"

/** Of what there is so much a second for all strangers together. */
typedef enum ed_door_budget {
    ED_DOOR_REPLIES,
    ED_DOOR_HANDSHAKES, /* that are reckoned through */
    ED_DOOR_RESETS,
    ED_DOOR_BUDGET_COUNT,
} ed_door_budget;

/** Zeroed, it is one that ed_door_free takes. */
typedef struct ed_door {
    bool is_open;
    ed_mutex mutex; /* of what follows */
    ed_gate gate;   /* this and the next two: only where others may connect */
    ed_used used;   /* connect tokens */
    ed_tickets tickets;
    ed_bucket budgets[ED_DOOR_BUDGET_COUNT];
    ed_cookie_jar *cookies; /* with the other secrets */
} ed_door;

/**
 * @param cookies outlive it, and are nobody else's from here on.
 * @return EDDY_OK, EDDY_ENOMEM or EDDY_ESYSTEM, with something that ed_door_free takes.
 */
EDDY_MUST_CHECK eddy_status ed_door_init(ed_door *door, const eddy_config *config,
                                         ed_cookie_jar *cookies);
void ed_door_free(ed_door *door);

/** Renews secrets and forgets what has expired. @return when to call it again. */
uint64_t ed_door_turn(ed_door *door, const eddy_entropy *entropy, uint64_t now_ns);

/** Takes one of a budget. */
EDDY_MUST_CHECK bool ed_door_take(ed_door *door, ed_door_budget budget, uint64_t now_ns);

/* As the calls of the same names without `door`. */

void ed_door_cookie_make(ed_door *door, uint8_t cookie[ED_COOKIE_SIZE], const ed_hello *hello,
                         const eddy_address *remote, uint64_t now_ns);
EDDY_MUST_CHECK bool ed_door_cookie_check(ed_door *door, const ed_initiate *initiate,
                                          const eddy_address *remote, uint64_t now_ns);

ed_gate_verdict ed_door_gate_admits(ed_door *door, const eddy_address *address, uint64_t now_ns);
EDDY_MUST_CHECK bool ed_door_gate_takes_reset(ed_door *door, const eddy_address *address,
                                              uint64_t now_ns);
void ed_door_gate_blame(ed_door *door, const eddy_address *address, uint64_t now_ns);
void ed_door_gate_add(ed_door *door, const eddy_address *address);
void ed_door_gate_confirm(ed_door *door, const eddy_address *address);
void ed_door_gate_remove(ed_door *door, const eddy_address *address, bool is_half_open);
uint32_t ed_door_gate_half_open(ed_door *door, const eddy_address *address);

EDDY_MUST_CHECK ed_used_verdict ed_door_used_look(ed_door *door, const ed_used_token *token,
                                                  uint64_t now_s);
EDDY_MUST_CHECK ed_used_verdict ed_door_used_take(ed_door *door, const ed_used_token *token,
                                                  uint64_t now_s);
void ed_door_used_forget(ed_door *door, const ed_used_token *token, uint64_t now_s);

EDDY_MUST_CHECK bool ed_door_tickets_may_use(ed_door *door, const uint8_t ticket[ED_COOKIE_SIZE]);
EDDY_MUST_CHECK bool ed_door_tickets_use(ed_door *door, const uint8_t ticket[ED_COOKIE_SIZE]);

#endif
