#include "transport/records.h"

#include "core/alloc.h"

enum {
    CHUNK_RECORDS = 16,
    CHUNK_CAPACITY_MIN = 4,
};

void ed_records_init(ed_records *records, const eddy_allocator *allocator, size_t record_size)
{
    ED_ASSERT(record_size >= sizeof(ed_record));
    *records = (ed_records){.allocator = allocator, .record_size = record_size};
    ed_list_init(&records->unused);
}

void ed_records_free(ed_records *records)
{
    for (uint32_t c = 0; c < records->chunk_count; c++)
        ed_alloc_free(records->allocator, records->chunks[c], CHUNK_RECORDS * records->record_size);
    ed_alloc_free(records->allocator, records->chunks, records->chunk_capacity * sizeof(uint8_t *));
    ed_records_init(records, records->allocator, records->record_size);
}

static bool widen(ed_records *records)
{
    if (records->chunk_count < records->chunk_capacity)
        return true;
    uint32_t wider =
        records->chunk_capacity == 0 ? CHUNK_CAPACITY_MIN : records->chunk_capacity * 2;
    uint8_t **chunks =
        ed_alloc_grow(records->allocator, records->chunks,
                      records->chunk_capacity * sizeof(*chunks), wider * sizeof(*chunks));
    if (chunks == NULL)
        return false;
    records->chunks = chunks;
    records->chunk_capacity = wider;
    return true;
}

bool ed_records_reserve(ed_records *records)
{
    if (!ed_list_empty(&records->unused))
        return true;
    if (!widen(records))
        return false;
    uint8_t *chunk = ed_alloc_array(records->allocator, CHUNK_RECORDS, records->record_size);
    if (chunk == NULL)
        return false;
    for (uint32_t i = 0; i < CHUNK_RECORDS; i++) {
        ed_record *record = (ed_record *)(void *)(chunk + i * records->record_size);
        record->index = records->chunk_count * CHUNK_RECORDS + i;
        ed_list_push_back(&records->unused, &record->node);
    }
    records->chunks[records->chunk_count++] = chunk;
    return true;
}

void *ed_records_take(ed_records *records)
{
    ed_list_node *node = ed_list_pop_front(&records->unused);

    ED_ASSERT(node != NULL);
    return ED_CONTAINER(node, ed_record, node);
}

void ed_records_give(ed_records *records, void *given)
{
    ed_record *record = given;

    record->generation++;
    ed_list_push_front(&records->unused, &record->node);
}

void *ed_records_at(const ed_records *records, uint32_t index)
{
    ED_ASSERT(index < ed_records_count(records));
    return records->chunks[index / CHUNK_RECORDS] + index % CHUNK_RECORDS * records->record_size;
}

uint32_t ed_records_count(const ed_records *records)
{
    return records->chunk_count * CHUNK_RECORDS;
}
