/**
 * Which packet numbers have been accepted: a window that slides up behind the highest one, kept as
 * a ring of bits indexed by the number itself, so that sliding never shifts (after RFC 6479; unlike
 * there the window is exact, because leaving bits are cleared one by one and not by whole words).
 *
 * Hardly a path brings a packet behind hundreds of those sent after it. So the window is narrow at
 * first, and wide from when one has come that a wide window might have known.
 */
#ifndef ED_REPLAY_H
#define ED_REPLAY_H

#include "core/base.h"
#include "core/eddy.h"

enum {
    ED_REPLAY_NARROW = 256,  /* numbers; a power of two, as is */
    ED_REPLAY_WINDOW = 2048, /* the same of a wide one */
    ED_REPLAY_WORD_BITS = 64,
    ED_REPLAY_NUMBER_BITS = 62, /* no packet number is longer */
};

/** Zeroed, it has accepted nothing. */
typedef struct ed_replay {
    uint64_t next;  /* one above the highest number accepted; 0: none yet */
    uint64_t *wide; /* ED_REPLAY_WINDOW bits; NULL: it is narrow, and has */
    uint64_t narrow[ED_REPLAY_NARROW / ED_REPLAY_WORD_BITS];
} ed_replay;

/** Gives its memory back. */
void ed_replay_free(ed_replay *replay, const eddy_allocator *allocator);

/**
 * Whether a packet of this number may be accepted: a packet number, not accepted before, and in the
 * window that ends with the highest accepted, or above it. Changes nothing, so it may be asked
 * before the packet has proved authentic.
 */
bool ed_replay_check(const ed_replay *replay, uint64_t number);

/** Whether a number was refused only because the window is narrow: a wide one might know it. */
bool ed_replay_is_unknown(const ed_replay *replay, uint64_t number);

/**
 * Makes a narrow one wide: what it has not known counts as accepted. For when a packet of an
 * unknown number has proved authentic. Without memory it stays as it is.
 */
void ed_replay_widen(ed_replay *replay, const eddy_allocator *allocator);

/** Accepts a number that ed_replay_check allows. Only for a packet that has proved authentic. */
void ed_replay_commit(ed_replay *replay, uint64_t number);

#endif
