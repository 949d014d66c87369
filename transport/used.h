/**
 * Which connect tokens were used, so that none is taken twice: by their ids, until they expire. All
 * memory is taken at the start. A full table refuses new tokens and never forgets one that counts.
 * Nor does it where the clock leaps ahead and back: no token is taken that expires as early as one
 * which was forgotten.
 *
 * Each use is somebody's, who alone can take the note back. Who only saw the datagram cannot use
 * the token up: the table is told after the message has proved authentic.
 *
 * Not locked: servers that share a table share a lock.
 */
#ifndef ED_USED_H
#define ED_USED_H

#include "core/crypto.h"
#include "transport/limits.h"

typedef enum ed_used_verdict {
    ED_USED_FRESH, /* nobody has used it, and there is room to note it */
    ED_USED_TAKEN, /* somebody has, or it has expired, or its note may be gone */
    ED_USED_FULL,  /* nobody has used it, and there is no room to note it */
} ed_used_verdict;

struct ed_used_entry;

/** Zeroed, it is one that ed_used_free takes. */
typedef struct ed_used {
    const eddy_allocator *allocator;
    struct ed_used_entry *entries; /* capacity */
    size_t capacity;
    uint64_t forgotten_s;         /* when the last of those expired whose notes are gone */
    uint8_t key[ED_MAC_KEY_SIZE]; /* nobody can choose where a token's place is */
} ed_used;

/** A token, and who uses it. */
typedef struct ed_used_token {
    const uint8_t *id;     /* ED_XNONCE_SIZE bytes */
    const uint8_t *holder; /* ED_MAC_SIZE bytes: nobody else's */
    uint64_t expires_s;
} ed_used_token;

/**
 * @param capacity a power of two, 64 to ED_USED_MAX; 32 bytes each.
 * @return EDDY_OK, or EDDY_ENOMEM with a table that is as if zeroed.
 */
EDDY_MUST_CHECK eddy_status ed_used_init(ed_used *used, const eddy_allocator *allocator,
                                         const eddy_entropy *entropy, size_t capacity);

void ed_used_free(ed_used *used);

/** What ed_used_take would say; changes nothing. */
EDDY_MUST_CHECK ed_used_verdict ed_used_look(const ed_used *used, const ed_used_token *token,
                                             uint64_t now_s);

/** Notes that the token is used, if it is fresh. */
EDDY_MUST_CHECK ed_used_verdict ed_used_take(ed_used *used, const ed_used_token *token,
                                             uint64_t now_s);

/** Takes a note back, if it is this holder's: what it was taken for could not be made. */
void ed_used_forget(ed_used *used, const ed_used_token *token, uint64_t now_s);

#endif
