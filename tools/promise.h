/** What each guarantee promises, as a table: what a client checks, and what is said about it. */
#ifndef ED_TOOL_PROMISE_H
#define ED_TOOL_PROMISE_H

#include "core/eddy.h"

enum { ED_GUARANTEE_COUNT = EDDY_RELIABLE_SEQUENCED + 1 };

/** All of them promise that a message arrives at most once, and undamaged. */
typedef struct ed_promise {
    const char *name; /* the library's, in lower case */
    const char *text;
    bool is_reliable;
    bool all_arrive;      /* every message */
    bool never_backwards; /* none after a newer one of its stream */
    bool newest_arrives;  /* the last message of each stream */
} ed_promise;

/** By eddy_guarantee. */
extern const ed_promise ed_promises[ED_GUARANTEE_COUNT];

#endif
