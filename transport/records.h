/**
 * Records of one size, in chunks: they never move, each has an index for life, and those given back
 * are used again before more memory is taken.
 */
#ifndef ED_RECORDS_H
#define ED_RECORDS_H

#include "core/eddy.h"
#include "core/list.h"

/** How each record begins. */
typedef struct ed_record {
    ed_list_node node;   /* its holder's; the pool's own while it is unused */
    uint32_t index;      /* for life */
    uint32_t generation; /* how often it has been given back: what refers to it may be stale */
} ed_record;

typedef struct ed_records {
    const eddy_allocator *allocator;
    ed_list unused;
    union {
        uint8_t *only;    /* one chunk */
        uint8_t **chunks; /* more: so many as chunk_capacity */
    };
    uint32_t record_size;
    uint32_t chunk_count;
    uint32_t chunk_capacity; /* 0: there are less than two */
    uint32_t used_count;
} ed_records;

void ed_records_init(ed_records *records, const eddy_allocator *allocator, size_t record_size);

/** Frees all records, used or not. */
void ed_records_free(ed_records *records);

/** Frees all memory if no record is used, and nobody refers to one that was. */
void ed_records_rest(ed_records *records);

/** Makes more of them. @return false out of memory. */
bool ed_records_grow(ed_records *records);

/** Makes sure that the next take does not fail. @return false out of memory. */
static inline bool ed_records_reserve(ed_records *records)
{
    return !ed_list_empty(&records->unused) || ed_records_grow(records);
}

/** Takes a reserved record; what follows its ed_record is as it was given back, at first zeros. */
void *ed_records_take(ed_records *records);

/** Gives back a record that is in no list. */
void ed_records_give(ed_records *records, void *record);

/** The record of an index that was given out, used or not. */
void *ed_records_at(const ed_records *records, uint32_t index);

/** How many records there are, used or not. */
uint32_t ed_records_count(const ed_records *records);

#endif
