/**
 * What was sent on one flow (one direction of one connection), lane by lane, and what became of it.
 * Both ends of a connection live in one program, so the receiver's side checks against what the
 * sender's side wrote down. Contents follow from the number of a message and who sent it.
 */
#ifndef ED_TEST_LEDGER_H
#define ED_TEST_LEDGER_H

#include "core/eddy.h"

enum {
    ED_GUARANTEE_COUNT = EDDY_RELIABLE_SEQUENCED + 1,
    /* A message of this size or more begins with its sender's tag and its number. Smaller ones are
       known by their order where there is one; elsewhere they are counted by their size. */
    ED_NOTE_HEADER_SIZE = 6,
};

/** A message that was sent. */
typedef struct ed_note {
    uint32_t size;
    uint32_t number; /* in its contents; grows along a lane */
    uint8_t outcome; /* eddy_outcome that its receipt told; 0: none yet */
    bool wants_receipt : 1;
    bool may_expire : 1;   /* has a deadline, or is to leave now or never */
    bool is_broadcast : 1; /* has the tag of its node rather than of its endpoint */
    bool has_come : 1;
} ed_note;

/** A lane. */
typedef struct ed_book {
    ed_note *notes;
    uint32_t count;
    uint32_t capacity;
    uint32_t next;    /* sequenced and ordered: no message before this one may come any more */
    uint32_t came;    /* how many */
    uint32_t skipped; /* ordered: what the receiver was told, in all */
    uint32_t tiny_sent[ED_NOTE_HEADER_SIZE];
    uint32_t tiny_came[ED_NOTE_HEADER_SIZE];
    bool expires_unheard; /* something with a deadline was sent without a receipt */
} ed_book;

/** All lanes of a flow, made as they are used. Zeroed: empty. */
typedef struct ed_ledger {
    uint16_t tag;                        /* names the flow in its messages */
    uint16_t broadcast_tag;              /* names the node */
    ed_book **books[ED_GUARANTEE_COUNT]; /* EDDY_STREAM_COUNT of them, or NULL */
} ed_ledger;

/** Whether each message of the guarantee must come by itself, unless it may expire. */
static inline bool ed_guarantee_owes_each(eddy_guarantee guarantee)
{
    return guarantee == EDDY_RELIABLE_UNORDERED || guarantee == EDDY_RELIABLE_ORDERED;
}

void ed_ledger_free(ed_ledger *ledger);

/** The lane, or NULL if it was never used. */
ed_book *ed_ledger_find(const ed_ledger *ledger, eddy_guarantee guarantee, uint8_t stream);

/** The lane, made if there was none. */
ed_book *ed_ledger_get(ed_ledger *ledger, eddy_guarantee guarantee, uint8_t stream);

/** Appends; `note->number` is above that of the note before. */
void ed_book_add(ed_book *book, const ed_note *note);

/** The index of the note with a number; `count` if there is none. */
uint32_t ed_book_find(const ed_book *book, uint32_t number);

/** Where the guarantee does not tell tiny messages apart, so that only their number counts. */
bool ed_note_is_counted(const ed_note *note, eddy_guarantee guarantee);

/** Writes the contents of a message. */
void ed_ledger_write(const ed_ledger *ledger, eddy_guarantee guarantee, uint8_t stream,
                     const ed_note *note, uint8_t *data);

/** Whether these are the contents of a message. */
bool ed_ledger_matches(const ed_ledger *ledger, eddy_guarantee guarantee, uint8_t stream,
                       const ed_note *note, const uint8_t *data);

/** Reads tag and number of a message of at least ED_NOTE_HEADER_SIZE bytes. */
void ed_note_read(const uint8_t *data, uint16_t *tag, uint32_t *number);

#endif
