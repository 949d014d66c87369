/**
 * Blocks on their way back from the program to the manager. Any thread pushes without a lock; the
 * manager takes all at once, at the begin of a poll: so memory that the program gives back is an
 * input of the manager like a datagram. Each block says whose it was.
 */
#ifndef ED_RETURNS_H
#define ED_RETURNS_H

#include "core/pool.h"

/** Zeroed: nothing on its way. */
typedef struct ed_returns {
    _Atomic(ed_block *) newest; /* the others are linked behind it by `next` */
    atomic_bool is_awaited;
    atomic_bool is_told; /* the manager was told to take, and has not since */
} ed_returns;

/** Blocks that go back together. Zeroed: none. */
typedef struct ed_returned {
    ed_block *newest; /* the others are linked behind it by `next` */
    ed_block *oldest;
} ed_returned;

/** Adds a block, whose `next` is ours from here on. */
static inline void ed_returned_add(ed_returned *returned, ed_block *block)
{
    block->next = returned->newest;
    returned->newest = block;
    if (returned->oldest == NULL)
        returned->oldest = block;
}

static inline ed_returned ed_returned_alone(ed_block *block)
{
    block->next = NULL;
    return (ed_returned){.newest = block, .oldest = block};
}

/**
 * Any thread: the program is done with these blocks, one at least.
 * @return whether the manager waits for it: the caller wakes it. True once for each wait.
 */
EDDY_MUST_CHECK bool ed_returns_push(ed_returns *returns, const ed_returned *returned);

/** Any thread: the same, where the manager is to take them although it does not wait. The caller
 * wakes it. */
void ed_returns_push_urgent(ed_returns *returns, const ed_returned *returned);

/** The manager: takes what has come, linked by `next`, oldest first. NULL: nothing. */
ed_block *ed_returns_take(ed_returns *returns);

/** The manager: it cannot go on before something comes back. The next push says so to its caller.
 */
void ed_returns_await(ed_returns *returns);

/**
 * The manager, before it sleeps: whether what it waits for came before it said that it waits, or
 * what it was told to take after it looked, so that nobody will wake it.
 */
bool ed_returns_came(const ed_returns *returns);

/** Gives what is on its way to the pools. */
void ed_returns_free(ed_returns *returns);

enum {
    ED_RETURN_LAST = 0xff,     /* where a message's guarantee would stand */
    ED_RETURN_SLOT_SHIFT = 16, /* of a note: from there on it says whose the block is */
};

/**
 * Writes onto a block whose it is; the low 16 bits of its note stay its guarantee and stream. A
 * handle fits in beside them, because a slot has 16 bits.
 */
void ed_return_mark(ed_block *block, eddy_connection connection);

/** The same onto a block with which the program has heard the last of its connection. */
void ed_return_mark_last(ed_block *block, eddy_connection connection);

bool ed_return_is_last(const ed_block *block);

/** Whether two that came back to one shard were of the same connection. */
static inline bool ed_return_is_same(const ed_block *a, const ed_block *b)
{
    return (a->note ^ b->note) >> ED_RETURN_SLOT_SHIFT == 0;
}

/** Whose it is. There is no room on it for the shard, which is that of who takes it. */
eddy_connection ed_return_connection(const ed_block *block, uint8_t shard);

#endif
