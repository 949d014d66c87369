/**
 * A host name may have several addresses, and not each may answer: a client asks the next one where
 * the one before has been silent for a while, and goes on with whoever answers first (after RFC
 * 8305). Only HELLO is sent to several: it leaves nothing behind, and shows no token.
 */
#ifndef ED_RACE_H
#define ED_RACE_H

#include "transport/limits.h"

typedef struct ed_race {
    eddy_address remotes[ED_RACE_MAX];
    uint8_t count;
    uint8_t asked;       /* of these, from the first on */
    uint8_t due;         /* a bit for each that is to be asked now, or again */
    eddy_status failure; /* why the first that cannot be used cannot; EDDY_OK: none */
} ed_race;

/** Adds an address to try after the others. */
void ed_race_add(ed_race *race, const eddy_address *remote);

/** The next one is to be asked, if there is another. @return whether more wait behind it. */
bool ed_race_ask_next(ed_race *race);

/** All that were asked before are to be asked again. */
void ed_race_ask_again(ed_race *race);

/** Takes one that is to be asked now. @return false: there is none. */
bool ed_race_take(ed_race *race, eddy_address *remote);

/** Whether it is the address that was asked last. */
bool ed_race_is_last_asked(const ed_race *race, const eddy_address *remote);

#endif
