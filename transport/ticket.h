/**
 * Address tickets: a client that was here proves its address without asking for a cookie again, so
 * that it connects in one round trip. A ticket stands in a cookie's place, for the same IP address
 * whatever its port, for a day, until the server restarts, and once: what was used is remembered in
 * two Bloom filters, of which an error costs the round trip and nothing else. Each is there from
 * the first ticket of a day until those have expired. PROTOCOL.md section 3.2 has the bytes.
 */
#ifndef ED_TICKET_H
#define ED_TICKET_H

#include "core/crypto.h"
#include "transport/limits.h"

/** What a server gives tickets with. Zeroed, it is one that ed_tickets_free takes. */
typedef struct ed_tickets {
    const eddy_allocator *allocator;
    uint8_t *used[2]; /* of this generation and of the one before; NULL: none was */
    uint64_t generation;
} ed_tickets;

void ed_tickets_init(ed_tickets *tickets, const eddy_allocator *allocator);
void ed_tickets_free(ed_tickets *tickets);

/** Forgets what has expired. */
void ed_tickets_rotate(ed_tickets *tickets, uint64_t now_ns);

/** What a ticket is bound to. */
typedef struct ed_ticket_claim {
    const uint8_t *secret; /* ED_MAC_KEY_SIZE bytes */
    const eddy_address *remote;
    uint64_t protocol_id;
} ed_ticket_claim;

void ed_ticket_make(uint8_t ticket[ED_COOKIE_SIZE], const ed_ticket_claim *claim,
                    const eddy_entropy *entropy, uint64_t now_ns);

/** Whether what stands in a cookie's place is a ticket at all. */
static inline bool ed_is_ticket(const uint8_t cookie[ED_COOKIE_SIZE])
{
    return (cookie[0] & 0x80) != 0;
}

/** Whether it is ours, for that claim, and has not expired. */
EDDY_MUST_CHECK bool ed_ticket_check(const uint8_t ticket[ED_COOKIE_SIZE],
                                     const ed_ticket_claim *claim, uint64_t now_ns);

/** Whether it was not used before, or so it seems, and there is memory to note that it is. */
EDDY_MUST_CHECK bool ed_tickets_may_use(ed_tickets *tickets, const uint8_t ticket[ED_COOKIE_SIZE]);

/** From now on it is used. @return false if it may not be: of two at once one is the first. */
EDDY_MUST_CHECK bool ed_tickets_use(ed_tickets *tickets, const uint8_t ticket[ED_COOKIE_SIZE]);

/* A client's. */

enum {
    ED_PURSE_SIZE = 8, /* servers of which a client keeps the last ticket */
};

typedef struct ed_purse {
    struct {
        eddy_address server;
        uint8_t ticket[ED_COOKIE_SIZE]; /* not a ticket: the place is free */
    } place[ED_PURSE_SIZE];
    uint32_t next; /* that gives way */
} ed_purse;

void ed_purse_put(ed_purse *purse, const eddy_address *server,
                  const uint8_t ticket[ED_COOKIE_SIZE]);

/** Takes the ticket for a server out. @return false if there is none. */
bool ed_purse_take(ed_purse *purse, const eddy_address *server, uint8_t ticket[ED_COOKIE_SIZE]);

#endif
