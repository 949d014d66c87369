/**
 * What eddy_send goes by before it accepts a message: the cost (ed_send_cost) of what a connection,
 * and a stream of it, have accepted and not settled. Any thread charges; the manager's refunds. Who
 * was refused asks for EDDY_WRITABLE, which needs no memory: there may be none.
 */
#ifndef ED_ACCOUNT_H
#define ED_ACCOUNT_H

#include <stdatomic.h>

#include "core/pool.h"

typedef struct ed_account_stream {
    atomic_size_t budget; /* 0: no limit of its own */
    atomic_size_t used;
} ed_account_stream;

typedef struct ed_account {
    atomic_size_t used;
    _Atomic eddy_connection refused;      /* who asked for EDDY_WRITABLE and has not taken it */
    _Atomic(ed_account_stream *) streams; /* EDDY_STREAM_COUNT of them, or NULL */
    struct ed_account *next;              /* in ed_asks */
    _Atomic uint32_t wanted;              /* the charge of what was refused, */
    atomic_uchar wanted_stream;           /* and its stream */
    atomic_bool is_asking;                /* it is there */
    size_t owed;                          /* the manager's: settled, and not refunded yet */
    struct ed_account *next_owed;         /* in ed_settled */
} ed_account;

/** The accounts that ask, on their way to the manager. Zeroed: none. */
typedef struct ed_asks {
    _Atomic(ed_account *) newest; /* the others are linked behind it by `next` */
} ed_asks;

/**
 * What settled messages leave to be given back: once for all of a poll, before the program hears of
 * anything that the poll did. The manager's. Zeroed: nothing.
 */
typedef struct ed_settled {
    ed_discards blocks;
    ed_account *owed; /* the accounts that something is owed to */
} ed_settled;

/** Who wants to know when there is room, and for what. */
typedef struct ed_ask {
    eddy_connection connection;
    size_t charge;
    uint8_t stream;
} ed_ask;

/** @return EDDY_OK, or EDDY_EAGAIN with nothing charged. Any thread. */
EDDY_MUST_CHECK eddy_status ed_account_charge(ed_account *account, size_t budget, uint8_t stream,
                                              size_t charge);

/** The same for several messages, which an empty account takes only if all fit its budget. */
EDDY_MUST_CHECK eddy_status ed_account_charge_all(ed_account *account, size_t budget,
                                                  uint8_t stream, size_t charge);

/**
 * A connection of this slot was refused. A call that was about to be refused when its connection
 * ended must not keep the slot's next one from asking, so it is noted whose the question is.
 * @return whether the manager is to be woken: nobody has asked for this connection. Any thread.
 */
EDDY_MUST_CHECK bool ed_account_ask(ed_account *account, ed_asks *asks, const ed_ask *ask);

/** The manager: takes the accounts that ask, linked by `next`, newest first. NULL: none does. */
ed_account *ed_asks_take(ed_asks *asks);

/** The manager: takes what one of them asks. Its `next` is another's from here on. */
ed_ask ed_account_take_ask(ed_account *account);

/** The manager: the question cannot be answered yet. It comes again. */
void ed_account_ask_again(ed_account *account, ed_asks *asks);

/** The question was answered: the next refusal asks again. Any thread. */
void ed_account_answered(ed_account *account, eddy_connection connection);

/** At once. Any thread. */
void ed_account_refund(ed_account *account, uint8_t stream, size_t charge);

/** The manager: the same, by ed_settled_give_back. */
void ed_account_owe(ed_account *account, ed_settled *settled, uint8_t stream, size_t charge);

/** The manager: gives all of it back. */
void ed_settled_give_back(ed_settled *settled);

/**
 * The manager: what is charged now, and not owed. Once messages are refused, who still charges sees
 * so and gives it back: if this is what the manager holds, nobody is about to send, and nothing
 * sent is on its way.
 */
size_t ed_account_used(const ed_account *account);

/** Gives a stream number a budget. @return EDDY_OK or EDDY_ENOMEM. The manager's thread. */
EDDY_MUST_CHECK eddy_status ed_account_set_stream(ed_account *account,
                                                  const eddy_allocator *allocator, uint8_t stream,
                                                  size_t budget);

/** The connection is over; the next one has no budgets of streams. */
void ed_account_reset(ed_account *account);

void ed_account_free(ed_account *account, const eddy_allocator *allocator);

#endif
