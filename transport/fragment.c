#include "transport/fragment.h"

#include <string.h>

enum {
    PAGE_CAPACITY_MIN = 4,
};

static_assert(ED_PAGE_UNITS <= 64, "a page's note says which of its units have come");

static ed_block **pages_of(const ed_assembly *assembly)
{
    return (ed_block **)(void *)assembly->table->data;
}

static uint32_t units_of(uint32_t size)
{
    return (size + ED_FRAGMENT_UNIT - 1) / ED_FRAGMENT_UNIT;
}

void ed_assembly_init(ed_assembly *assembly, ed_pool *pool, uint32_t size)
{
    ED_ASSERT(size > 0);
    *assembly = (ed_assembly){.pool = pool, .size = size, .missing = units_of(size)};
}

void ed_assembly_free(ed_assembly *assembly)
{
    for (uint32_t i = 0; i < assembly->page_capacity; i++)
        ed_pool_give(pages_of(assembly)[i]);
    ed_pool_give(assembly->table);
    assembly->table = NULL;
    assembly->page_capacity = 0;
}

bool ed_assembly_fits(const ed_assembly *assembly, const ed_message_frame *part)
{
    return part->fragment && part->whole_size == assembly->size;
}

/** Makes the table reach up to a page. */
static bool widen(ed_assembly *assembly, uint32_t page_count)
{
    uint32_t capacity = assembly->page_capacity == 0 ? PAGE_CAPACITY_MIN : assembly->page_capacity;

    if (page_count <= assembly->page_capacity)
        return true;
    while (capacity < page_count)
        capacity *= 2;
    ed_assembly wider = *assembly;
    wider.table = ed_pool_take(assembly->pool, capacity * sizeof(ed_block *));
    if (wider.table == NULL)
        return false;
    memset(wider.table->data, 0, capacity * sizeof(ed_block *));
    wider.page_capacity = capacity;
    if (assembly->table != NULL)
        memcpy(wider.table->data, assembly->table->data,
               assembly->page_capacity * sizeof(ed_block *));
    ed_pool_give(assembly->table);
    *assembly = wider;
    return true;
}

/** Takes the pages that the bytes from `begin` to `end` lie on, those that are not there yet. */
static bool take_pages(ed_assembly *assembly, uint32_t begin, uint32_t end)
{
    if (!widen(assembly, (end - 1) / ED_PAGE_SIZE + 1))
        return false;
    for (uint32_t i = begin / ED_PAGE_SIZE; i <= (end - 1) / ED_PAGE_SIZE; i++) {
        ed_block **page = &pages_of(assembly)[i];
        if (*page != NULL)
            continue;
        // The last page of a message may be a short one.
        size_t size = ed_min_size(ED_PAGE_SIZE, assembly->size - i * ED_PAGE_SIZE);
        *page = ed_pool_take(assembly->pool, size);
        if (*page == NULL)
            return false;
    }
    return true;
}

/** Copies a unit, perhaps the short last one. @return whether it is new. */
static bool put_unit(ed_assembly *assembly, uint32_t at, const uint8_t *data, size_t size)
{
    ed_block *page = pages_of(assembly)[at / ED_PAGE_SIZE];
    uint64_t bit = UINT64_C(1) << at % ED_PAGE_SIZE / ED_FRAGMENT_UNIT;

    ED_ASSERT(at % ED_PAGE_SIZE + size <= page->size);
    if ((page->note & bit) != 0)
        return false;
    memcpy(page->data + at % ED_PAGE_SIZE, data, size);
    page->note |= bit;
    ED_ASSERT(assembly->missing > 0);
    assembly->missing--;
    return true;
}

eddy_status ed_assembly_add(ed_assembly *assembly, const ed_message_frame *part)
{
    ED_ASSERT(ed_assembly_fits(assembly, part));
    uint32_t begin = (uint32_t)part->fragment_index * ED_FRAGMENT_UNIT;
    uint32_t end = begin + (uint32_t)part->data.size;
    bool any = false;

    ED_ASSERT(begin < end && end <= assembly->size);
    if (!take_pages(assembly, begin, end))
        return EDDY_ENOMEM;
    for (uint32_t at = begin; at < end; at += ED_FRAGMENT_UNIT)
        any |= put_unit(assembly, at, part->data.data + (at - begin),
                        ed_min_size(ED_FRAGMENT_UNIT, end - at));
    return any ? EDDY_OK : EDDY_EEXIST;
}

ed_block *ed_assembly_join(const ed_assembly *assembly)
{
    ED_ASSERT(ed_assembly_is_complete(assembly));
    ed_block *whole = ed_pool_take(assembly->pool, assembly->size);

    if (whole == NULL)
        return NULL;
    for (uint32_t at = 0; at < assembly->size; at += ED_PAGE_SIZE) {
        const ed_block *page = pages_of(assembly)[at / ED_PAGE_SIZE];
        memcpy(whole->data + at, page->data, page->size);
    }
    return whole;
}
