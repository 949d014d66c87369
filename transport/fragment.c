#include "transport/fragment.h"

#include <string.h>

#define NO_PAGE UINT16_MAX

static_assert(ED_PAGE_UNITS <= 16, "a page has a bit for each of its units");
static_assert(EDDY_MESSAGE_SIZE_LIMIT / ED_PAGE_SIZE < NO_PAGE / 2,
              "pages are numbered in 16 bits");
static_assert(sizeof(void *) < 8 || sizeof(ed_assembly) == 80, "there may be as many as messages");

void ed_assembly_init(ed_assembly *assembly, uint32_t size)
{
    ED_ASSERT(size > 0);
    *assembly =
        (ed_assembly){.size = size, .missing = (size + ED_FRAGMENT_UNIT - 1) / ED_FRAGMENT_UNIT};
}

static uint32_t whole_units_of(const ed_assembly *assembly)
{
    return assembly->size / ED_FRAGMENT_UNIT;
}

static uint32_t tail_size_of(const ed_assembly *assembly)
{
    return assembly->size % ED_FRAGMENT_UNIT;
}

static size_t size_of_units(uint32_t units)
{
    size_t count = 0;

    for (; units != 0; units &= units - 1)
        count++;
    return count * ED_FRAGMENT_UNIT;
}

bool ed_assembly_fits(const ed_assembly *assembly, const ed_message_frame *part)
{
    return part->fragment && part->whole_size == assembly->size;
}

/* ------------------------------------------------------------------------------------ pages -- */

/** As pages only come, their number says for how many there is room. */
static uint32_t capacity_of(uint32_t page_count)
{
    uint32_t capacity = ED_ASSEMBLY_PAGES_FEW;

    while (capacity < page_count)
        capacity *= 2;
    return capacity;
}

static bool has_few(const ed_assembly *assembly)
{
    return assembly->page_count <= ED_ASSEMBLY_PAGES_FEW;
}

/** Each page, and a place of the table, which says which page is the first there. */
static size_t size_of_many(uint32_t capacity)
{
    return capacity * (sizeof(ed_page) + sizeof(uint16_t));
}

static uint16_t *place_of(ed_page *many, uint32_t capacity, uint32_t number)
{
    return (uint16_t *)(void *)(many + capacity) + (number & (capacity - 1));
}

static const ed_page *pages_of(const ed_assembly *assembly)
{
    return has_few(assembly) ? assembly->few : assembly->many;
}

/**
 * Which of the pages has that number, or NO_PAGE. A message has so many pages that no more of them
 * share a place than the square root of that.
 */
static uint32_t find_page(const ed_assembly *assembly, uint32_t number)
{
    const ed_page *pages = pages_of(assembly);
    uint32_t i = 0;

    if (has_few(assembly)) {
        while (i < assembly->page_count && pages[i].number != number)
            i++;
        return i < assembly->page_count ? i : NO_PAGE;
    }
    i = *place_of(assembly->many, capacity_of(assembly->page_count), number);
    while (i != NO_PAGE && pages[i].number != number)
        i = pages[i].next;
    return i;
}

static void link_page(ed_page *many, uint32_t capacity, uint32_t i)
{
    uint16_t *place = place_of(many, capacity, many[i].number);

    many[i].next = *place;
    *place = (uint16_t)i;
}

static void free_many(ed_assembly *assembly, ed_pool *pool)
{
    if (!has_few(assembly))
        ed_pool_give_bytes(pool, assembly->many, size_of_many(capacity_of(assembly->page_count)));
}

/** Makes room for twice as many as there are, which is all that there is room for. */
static bool widen(ed_assembly *assembly, ed_pool *pool)
{
    uint32_t capacity = 2 * (uint32_t)assembly->page_count;
    ed_page *many = ed_pool_take_bytes(pool, size_of_many(capacity));

    if (many == NULL)
        return false;
    memcpy(many, pages_of(assembly), assembly->page_count * sizeof(*many));
    memset(many + capacity, 0xff, capacity * sizeof(uint16_t)); // NO_PAGE
    for (uint32_t i = 0; i < assembly->page_count; i++)
        link_page(many, capacity, i);
    free_many(assembly, pool);
    assembly->many = many;
    return true;
}

static ed_page *page_at(ed_assembly *assembly, uint32_t i)
{
    return has_few(assembly) ? &assembly->few[i] : &assembly->many[i];
}

/** The page, empty if there was none; NULL out of memory. */
static ed_page *get_page(ed_assembly *assembly, ed_pool *pool, uint32_t number)
{
    uint32_t i = find_page(assembly, number);

    if (i != NO_PAGE)
        return page_at(assembly, i);
    i = assembly->page_count;
    if (i == capacity_of(i) && !widen(assembly, pool))
        return NULL;
    assembly->page_count++;
    *page_at(assembly, i) = (ed_page){.number = number};
    if (!has_few(assembly))
        link_page(assembly->many, capacity_of(i + 1), i);
    return page_at(assembly, i);
}

void ed_assembly_free(ed_assembly *assembly, ed_pool *pool)
{
    const ed_page *pages = pages_of(assembly);

    for (uint32_t i = 0; i < assembly->page_count; i++)
        ed_pool_give_bytes(pool, pages[i].units, size_of_units(pages[i].here));
    free_many(assembly, pool);
    ed_pool_give_bytes(pool, assembly->tail, tail_size_of(assembly));
    assembly->tail = NULL;
    assembly->page_count = 0;
}

/* ------------------------------------------------------------------------------------ parts -- */

/**
 * Puts units between those that the page has.
 * @param news which. @param data the unit `first` of the page, and those behind it.
 */
static bool put_units(ed_page *page, ed_pool *pool, uint32_t news, const uint8_t *data,
                      uint32_t first)
{
    uint8_t *units = ed_pool_take_bytes(pool, size_of_units(page->here | news));
    const uint8_t *old = page->units;
    uint8_t *to = units;

    if (units == NULL)
        return false;
    for (uint32_t i = 0; i < ED_PAGE_UNITS; i++) {
        bool is_here = (page->here >> i & 1) != 0;
        if (!is_here && (news >> i & 1) == 0)
            continue;
        memcpy(to, is_here ? old : data + (size_t)(i - first) * ED_FRAGMENT_UNIT, ED_FRAGMENT_UNIT);
        old += is_here ? ED_FRAGMENT_UNIT : 0;
        to += ED_FRAGMENT_UNIT;
    }
    ed_pool_give_bytes(pool, page->units, size_of_units(page->here));
    page->units = units;
    page->here = (uint16_t)(page->here | news);
    return true;
}

/** Takes units that lie on one page, from unit `begin` of the message to `end`. */
static eddy_status add_units(ed_assembly *assembly, ed_pool *pool, uint32_t begin, uint32_t end,
                             const uint8_t *data)
{
    uint32_t number = begin / ED_PAGE_UNITS;
    uint32_t first = begin % ED_PAGE_UNITS;
    ed_page *page = get_page(assembly, pool, number);

    if (page == NULL)
        return EDDY_ENOMEM;
    uint32_t news = ((1u << (end - begin)) - 1) << first & ~(uint32_t)page->here;
    if (news == 0)
        return EDDY_EEXIST;
    if (!put_units(page, pool, news, data, first))
        return EDDY_ENOMEM;
    assembly->missing -= (uint32_t)(size_of_units(news) / ED_FRAGMENT_UNIT);
    return EDDY_OK;
}

static eddy_status add_tail(ed_assembly *assembly, ed_pool *pool, const uint8_t *data)
{
    if (assembly->tail != NULL)
        return EDDY_EEXIST;
    assembly->tail = ed_pool_take_bytes(pool, tail_size_of(assembly));
    if (assembly->tail == NULL)
        return EDDY_ENOMEM;
    memcpy(assembly->tail, data, tail_size_of(assembly));
    assembly->missing--;
    return EDDY_OK;
}

eddy_status ed_assembly_add(ed_assembly *assembly, ed_pool *pool, const ed_message_frame *part)
{
    uint32_t begin = (uint32_t)part->fragment_index;
    uint32_t end = begin + (uint32_t)(part->data.size / ED_FRAGMENT_UNIT);
    const uint8_t *data = part->data.data;
    eddy_status all = EDDY_EEXIST;

    ED_ASSERT(ed_assembly_fits(assembly, part) && end <= whole_units_of(assembly));
    while (begin < end) {
        uint32_t next = (uint32_t)ed_min_size(end, (begin / ED_PAGE_UNITS + 1) * ED_PAGE_UNITS);
        eddy_status status = add_units(assembly, pool, begin, next, data);
        if (status == EDDY_ENOMEM)
            return status;
        all = status == EDDY_OK ? EDDY_OK : all;
        data += (size_t)(next - begin) * ED_FRAGMENT_UNIT;
        begin = next;
    }
    if (part->data.size % ED_FRAGMENT_UNIT == 0)
        return all;
    ED_ASSERT(end == whole_units_of(assembly)); // only the last has a tail
    eddy_status status = add_tail(assembly, pool, data);
    return status == EDDY_EEXIST ? all : status;
}

ed_block *ed_assembly_join(const ed_assembly *assembly, ed_pool *pool)
{
    ED_ASSERT(ed_assembly_is_complete(assembly));
    ed_block *whole = ed_pool_take(pool, assembly->size);

    if (whole == NULL)
        return NULL;
    size_t end = assembly->size - tail_size_of(assembly);
    for (size_t at = 0; at < end; at += ED_PAGE_SIZE) {
        uint32_t i = find_page(assembly, (uint32_t)(at / ED_PAGE_SIZE));
        memcpy(whole->data + at, pages_of(assembly)[i].units, ed_min_size(ED_PAGE_SIZE, end - at));
    }
    if (assembly->tail != NULL)
        memcpy(whole->data + end, assembly->tail, tail_size_of(assembly));
    return whole;
}
