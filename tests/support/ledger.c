#include "tests/support/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "sim/random.h"

enum {
    CAPACITY_MIN = 16,
    CHUNK_SIZE = 512, /* contents are made and compared by so many bytes at a time */
};

/** A test without memory is over. */
static void *must(void *memory)
{
    ED_ASSERT(memory != NULL);
    return memory;
}

/* ------------------------------------------------------------------------------------- lanes -- */

static void free_book(ed_book *book)
{
    if (book != NULL)
        free(book->notes);
    free(book);
}

void ed_ledger_free(ed_ledger *ledger)
{
    for (size_t g = 0; g < ED_GUARANTEE_COUNT; g++) {
        for (size_t i = 0; ledger->books[g] != NULL && i < EDDY_STREAM_COUNT; i++)
            free_book(ledger->books[g][i]);
        free((void *)ledger->books[g]);
        ledger->books[g] = NULL;
    }
}

ed_book *ed_ledger_find(const ed_ledger *ledger, eddy_guarantee guarantee, uint8_t stream)
{
    ED_ASSERT((size_t)guarantee < ED_GUARANTEE_COUNT);
    return ledger->books[guarantee] == NULL ? NULL : ledger->books[guarantee][stream];
}

ed_book *ed_ledger_get(ed_ledger *ledger, eddy_guarantee guarantee, uint8_t stream)
{
    ED_ASSERT((size_t)guarantee < ED_GUARANTEE_COUNT);
    ed_book ***books = &ledger->books[guarantee];

    if (*books == NULL)
        *books = must(calloc(EDDY_STREAM_COUNT, sizeof(**books)));
    if ((*books)[stream] == NULL)
        (*books)[stream] = must(calloc(1, sizeof(*(*books)[stream])));
    return (*books)[stream];
}

void ed_book_add(ed_book *book, const ed_note *note)
{
    ED_ASSERT(book->count == 0 || book->notes[book->count - 1].number < note->number);
    if (book->count == book->capacity) {
        book->capacity = book->capacity == 0 ? CAPACITY_MIN : 2 * book->capacity;
        book->notes = must(realloc(book->notes, book->capacity * sizeof(*note)));
    }
    book->notes[book->count++] = *note;
}

uint32_t ed_book_find(const ed_book *book, uint32_t number)
{
    uint32_t low = 0, high = book->count;

    if (number < book->count && book->notes[number].number == number)
        return number; // all are, but for broadcasts
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (book->notes[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < book->count && book->notes[low].number == number ? low : book->count;
}

bool ed_note_is_counted(const ed_note *note, eddy_guarantee guarantee)
{
    return note->size < ED_NOTE_HEADER_SIZE && guarantee != EDDY_RELIABLE_ORDERED;
}

/* ---------------------------------------------------------------------------------- contents -- */

static uint16_t tag_of(const ed_ledger *ledger, const ed_note *note)
{
    return note->is_broadcast ? ledger->broadcast_tag : ledger->tag;
}

/** Where the contents of a message begin in all that could be said. */
static ed_rng contents_of(const ed_ledger *ledger, eddy_guarantee guarantee, uint8_t stream,
                          const ed_note *note)
{
    uint64_t lane = (uint64_t)tag_of(ledger, note) << 16 | (uint64_t)guarantee << 8 | stream;
    // Those that are only counted are all the same.
    uint64_t number = ed_note_is_counted(note, guarantee) ? note->size : note->number;

    return ed_rng_of(ed_mix_u64(lane, number));
}

static void write_chunk(const ed_ledger *ledger, const ed_note *note, ed_rng *rng, size_t at,
                        uint8_t *data, size_t size)
{
    ed_rng_fill(rng, data, size);
    if (at > 0 || note->size < ED_NOTE_HEADER_SIZE)
        return;
    uint16_t tag = tag_of(ledger, note);
    for (size_t i = 0; i < 2; i++)
        data[i] = (uint8_t)(tag >> 8 * i);
    for (size_t i = 0; i < 4; i++)
        data[2 + i] = (uint8_t)(note->number >> 8 * i);
}

void ed_ledger_write(const ed_ledger *ledger, eddy_guarantee guarantee, uint8_t stream,
                     const ed_note *note, uint8_t *data)
{
    ed_rng rng = contents_of(ledger, guarantee, stream, note);

    for (size_t at = 0; at < note->size; at += CHUNK_SIZE)
        write_chunk(ledger, note, &rng, at, data + at, ed_min_size(CHUNK_SIZE, note->size - at));
}

bool ed_ledger_matches(const ed_ledger *ledger, eddy_guarantee guarantee, uint8_t stream,
                       const ed_note *note, const uint8_t *data)
{
    ed_rng rng = contents_of(ledger, guarantee, stream, note);
    uint8_t want[CHUNK_SIZE];

    for (size_t at = 0; at < note->size; at += CHUNK_SIZE) {
        size_t size = ed_min_size(CHUNK_SIZE, note->size - at);
        write_chunk(ledger, note, &rng, at, want, size);
        if (memcmp(data + at, want, size) != 0)
            return false;
    }
    return true;
}

void ed_note_read(const uint8_t *data, uint16_t *tag, uint32_t *number)
{
    *tag = (uint16_t)(data[0] | data[1] << 8);
    *number = 0;
    for (size_t i = 4; i > 0; i--)
        *number = *number << 8 | data[1 + i];
}
