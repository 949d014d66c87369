#include "transport/records.h"

#include "core/alloc.h"

enum {
    FIRST_RECORDS = 1,  /* the first chunk has so many; each as many as all before it, */
    CHUNK_RECORDS = 16, /* but not more than this */
    GROWING_CHUNKS = 5, /* chunks until there are CHUNK_RECORDS */
    CHUNK_CAPACITY_MIN = 4,
};

static_assert(FIRST_RECORDS << (GROWING_CHUNKS - 1) == CHUNK_RECORDS, "chunks double up to there");

/** How many records the first chunks have together. */
static uint32_t records_before(uint32_t chunk)
{
    if (chunk < GROWING_CHUNKS)
        return chunk == 0 ? 0 : (uint32_t)FIRST_RECORDS << (chunk - 1);
    return (chunk - GROWING_CHUNKS + 1) * CHUNK_RECORDS;
}

static size_t chunk_size(const ed_records *records, uint32_t chunk)
{
    return (size_t)(records_before(chunk + 1) - records_before(chunk)) * records->record_size;
}

static uint32_t chunk_of(uint32_t index)
{
    uint32_t chunk = 0;

    if (index >= CHUNK_RECORDS)
        return GROWING_CHUNKS - 1 + index / CHUNK_RECORDS;
    for (uint32_t records = FIRST_RECORDS; index >= records; records *= 2)
        chunk++;
    return chunk;
}

void ed_records_init(ed_records *records, const eddy_allocator *allocator, size_t record_size)
{
    ED_ASSERT(record_size >= sizeof(ed_record) && record_size <= UINT32_MAX);
    *records = (ed_records){.allocator = allocator, .record_size = (uint32_t)record_size};
    ed_list_init(&records->unused);
}

static uint8_t *chunk_at(const ed_records *records, uint32_t chunk)
{
    return records->chunk_capacity == 0 ? records->only : records->chunks[chunk];
}

void ed_records_free(ed_records *records)
{
    for (uint32_t c = 0; c < records->chunk_count; c++)
        ed_alloc_free(records->allocator, chunk_at(records, c), chunk_size(records, c));
    if (records->chunk_capacity > 0)
        ed_alloc_free(records->allocator, records->chunks,
                      records->chunk_capacity * sizeof(uint8_t *));
    ed_records_init(records, records->allocator, records->record_size);
}

void ed_records_rest(ed_records *records)
{
    if (records->used_count == 0)
        ed_records_free(records);
}

/** Takes the place of the only chunk with a list of chunks. */
static bool begin_list(ed_records *records)
{
    uint8_t **chunks = ed_alloc_array(records->allocator, CHUNK_CAPACITY_MIN, sizeof(*chunks));

    if (chunks == NULL)
        return false;
    chunks[0] = records->only;
    records->chunks = chunks;
    records->chunk_capacity = CHUNK_CAPACITY_MIN;
    return true;
}

/** Makes a place for one more chunk. */
static bool widen(ed_records *records)
{
    if (records->chunk_count == 0 || records->chunk_count < records->chunk_capacity)
        return true;
    if (records->chunk_count == 1)
        return begin_list(records);
    size_t size = records->chunk_capacity * sizeof(*records->chunks);
    uint8_t **chunks = ed_alloc_grow(records->allocator, records->chunks, size, 2 * size);
    if (chunks == NULL)
        return false;
    records->chunks = chunks;
    records->chunk_capacity *= 2;
    return true;
}

bool ed_records_grow(ed_records *records)
{
    if (!widen(records))
        return false;
    uint32_t first = ed_records_count(records);
    uint8_t *chunk = ed_alloc_zeroed(records->allocator, chunk_size(records, records->chunk_count));
    if (chunk == NULL)
        return false;
    for (uint32_t index = first; index < records_before(records->chunk_count + 1); index++) {
        ed_record *record =
            (ed_record *)(void *)(chunk + (size_t)(index - first) * records->record_size);
        record->index = index;
        ed_list_push_back(&records->unused, &record->node);
    }
    if (records->chunk_count == 0)
        records->only = chunk;
    else
        records->chunks[records->chunk_count] = chunk;
    records->chunk_count++;
    return true;
}

void *ed_records_take(ed_records *records)
{
    ed_list_node *node = ed_list_pop_front(&records->unused);

    ED_ASSERT(node != NULL);
    records->used_count++;
    return ED_CONTAINER(node, ed_record, node);
}

void ed_records_give(ed_records *records, void *given)
{
    ed_record *record = given;

    ED_ASSERT(records->used_count > 0);
    records->used_count--;
    record->generation++;
    ed_list_push_front(&records->unused, &record->node);
}

void *ed_records_at(const ed_records *records, uint32_t index)
{
    ED_ASSERT(index < ed_records_count(records));
    uint32_t chunk = chunk_of(index);
    return chunk_at(records, chunk) +
           (size_t)(index - records_before(chunk)) * records->record_size;
}

uint32_t ed_records_count(const ed_records *records)
{
    return records_before(records->chunk_count);
}
