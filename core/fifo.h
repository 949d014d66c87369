/**
 * Items of one size in the order in which they came. One thread at a time pushes, one at a time
 * pulls, and the two need no lock between them: each side of a channel has its own.
 *
 * Items lie in chunks that are never moved, so that growing costs no copy. A drained chunk goes
 * back to the pushing side: a warm fifo allocates nothing, and none has more chunks than its high
 * water mark fills and two.
 */
#ifndef ED_FIFO_H
#define ED_FIFO_H

#include <stdatomic.h>

#include "core/eddy.h"

enum {
    ED_FIFO_CHUNK_ITEMS = 64,           /* in a chunk, or of large ones fewer: */
    ED_FIFO_CHUNK_SIZE_MAX = 64 * 1024, /* no more bytes than this, or one item */
    ED_FIFO_LINE_SIZE = 64, /* of the cache: what two threads write lies that far apart */
};

/** A run of items. Where memory comes aligned to lines, an item of a line's size lies in one. */
struct ed_fifo_chunk {
    struct ed_fifo_chunk *next;
    uint8_t apart[ED_FIFO_LINE_SIZE - sizeof(void *)];
    /* Behind it lie the items. */
};

typedef struct ed_fifo {
    eddy_allocator allocator;
    size_t item_size;
    size_t count_max;  /* items of that size in an array */
    size_t chunk_size; /* bytes of the items of a chunk */

    /* Of who pushes. */
    uint8_t apart[ED_FIFO_LINE_SIZE];
    struct ed_fifo_chunk *newest;
    uint8_t *tail; /* the first free place in `newest`, or the end of it */
    uint8_t *tail_end;
    struct ed_fifo_chunk *spare; /* drained ones, to be filled again */
    size_t spare_count;
    size_t pulled_seen;        /* what `pulled` was, or less */
    _Atomic size_t pushed;     /* items ever, wrapping; what is below may be pulled */
    _Atomic size_t length_max; /* the high water mark */

    /* Of who pulls. */
    uint8_t apart_too[ED_FIFO_LINE_SIZE];
    struct ed_fifo_chunk *oldest;
    uint8_t *head; /* the oldest item in `oldest`, or the end of it */
    uint8_t *head_end;
    size_t pushed_seen;    /* what `pushed` was, or less */
    _Atomic size_t pulled; /* items ever, wrapping; what is below may be forgotten */

    /** Drained chunks on their way back: who pulls adds one, who pushes takes all. */
    uint8_t apart_as_well[ED_FIFO_LINE_SIZE];
    _Atomic(struct ed_fifo_chunk *) drained;
    struct ed_fifo_chunk before_first; /* where both sides begin: it is full, and holds nothing */
} ed_fifo;

void ed_fifo_init(ed_fifo *fifo, const eddy_allocator *allocator, size_t item_size);
void ed_fifo_destroy(ed_fifo *fifo); /* items left are forgotten */

/* Who pushes. */

/** How many more items there may be before there are `capacity`. */
size_t ed_fifo_room(ed_fifo *fifo, size_t capacity);

/** Appends all, or, out of memory, none. */
EDDY_MUST_CHECK bool ed_fifo_push(ed_fifo *fifo, const void *items, size_t count);

/* Who pulls. */

/** Takes up to `capacity` items. @return how many. */
size_t ed_fifo_pull(ed_fifo *fifo, void *items, size_t capacity);

/** The oldest item where it lies, until ed_fifo_skip takes it; NULL: there is none. */
void *ed_fifo_oldest(ed_fifo *fifo);
void ed_fifo_skip(ed_fifo *fifo);

/* Anybody. */

/** How many items there are, or were a moment ago. */
size_t ed_fifo_length(const ed_fifo *fifo);
bool ed_fifo_is_empty(const ed_fifo *fifo);

#endif
