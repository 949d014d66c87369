/**
 * Which packet numbers have been accepted: a window that slides up behind the highest one, kept as
 * a ring of bits indexed by the number itself, so that sliding never shifts (after RFC 6479; unlike
 * there the window is exact, because leaving bits are cleared one by one and not by whole words).
 */
#ifndef ED_REPLAY_H
#define ED_REPLAY_H

#include "core/base.h"

enum {
    ED_REPLAY_WINDOW = 2048, /* numbers; a power of two */
    ED_REPLAY_WORD_BITS = 64,
    ED_REPLAY_WORD_COUNT = ED_REPLAY_WINDOW / ED_REPLAY_WORD_BITS,
    ED_REPLAY_NUMBER_BITS = 62, /* no packet number is longer */
};

/** Zeroed, it has accepted nothing. */
typedef struct ed_replay {
    uint64_t next; /* one above the highest number accepted; 0: none yet */
    uint64_t bits[ED_REPLAY_WORD_COUNT];
} ed_replay;

/**
 * Whether a packet of this number may be accepted: a packet number, not accepted before, and among
 * the 2,048 that end with the highest accepted, or above them. Changes nothing, so it may be asked
 * before the packet has proved authentic.
 */
bool ed_replay_check(const ed_replay *replay, uint64_t number);

/** Accepts a number that ed_replay_check allows. Only for a packet that has proved authentic. */
void ed_replay_commit(ed_replay *replay, uint64_t number);

#endif
