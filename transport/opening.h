/**
 * What a connection has to keep from others while its handshake goes on, in memory of its identity.
 * A place is used again by who begins next: a server of many connections touches no more of them
 * than handshakes went on at once.
 */
#ifndef ED_OPENING_H
#define ED_OPENING_H

#include "transport/noise.h"

typedef struct ed_opening {
    struct ed_opening *next;     /* of those given back */
    uint8_t shared[ED_KEY_SIZE]; /* client: the room's key, or the token's; else zeros */
    uint8_t seed[ED_KEY_SIZE];   /* client: the ephemerals of its INITIATEs are made of it */
    union {
        ed_noise_ahead ahead; /* client: while has_ahead, of its first INITIATE */
        ed_noise noise;
    };
    bool has_ahead;
} ed_opening;

/** The places of one manager. Of its thread. */
typedef struct ed_openings {
    ed_opening *unused; /* given back, the last one first */
    ed_opening *fresh;  /* the first that was never taken, */
    ed_opening *end;    /* of those before this */
} ed_openings;

/** @param places zeroed: one for each connection there may be at once. They outlive `openings`. */
void ed_openings_init(ed_openings *openings, ed_opening *places, uint32_t count);

/** @return a zeroed one. */
ed_opening *ed_openings_take(ed_openings *openings);

/** Wipes it and takes it back. NULL is fine. */
void ed_openings_give(ed_openings *openings, ed_opening *opening);

#endif
