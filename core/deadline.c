#include "core/deadline.h"

#include <string.h>

#include "core/alloc.h"
#include "core/base.h"

enum {
    ARITY = 4,
    NOWHERE = 0 /* in `place`: the slot has no deadline */
};

struct entry {
    uint64_t at_ns;
    uint32_t slot;
};

struct ed_deadlines {
    const eddy_allocator *allocator;
    struct entry *heap; /* `count` entries; the parent of i is (i - 1) / ARITY */
    uint32_t *place;    /* of each slot: 1 + its index in the heap, or NOWHERE */
    uint32_t count;
    uint32_t slot_count;
};

ed_deadlines *ed_deadlines_create(const eddy_allocator *allocator, uint32_t slot_count)
{
    ED_ASSERT(slot_count > 0 && slot_count < UINT32_MAX);

    ed_deadlines *deadlines = ed_alloc_zeroed(allocator, sizeof(*deadlines));
    if (deadlines == NULL)
        return NULL;
    deadlines->allocator = allocator;
    deadlines->slot_count = slot_count;
    deadlines->heap = ed_alloc_array(allocator, slot_count, sizeof(deadlines->heap[0]));
    deadlines->place = ed_alloc_array(allocator, slot_count, sizeof(deadlines->place[0]));
    if (deadlines->heap != NULL && deadlines->place != NULL)
        return deadlines;
    ed_deadlines_destroy(deadlines);
    return NULL;
}

void ed_deadlines_destroy(ed_deadlines *deadlines)
{
    if (deadlines == NULL)
        return;
    const eddy_allocator *allocator = deadlines->allocator;
    size_t slot_count = deadlines->slot_count;

    ed_alloc_free(allocator, deadlines->heap, slot_count * sizeof(deadlines->heap[0]));
    ed_alloc_free(allocator, deadlines->place, slot_count * sizeof(deadlines->place[0]));
    ed_alloc_free(allocator, deadlines, sizeof(*deadlines));
}

bool ed_deadlines_widen(ed_deadlines *deadlines, uint32_t slot_count)
{
    const eddy_allocator *allocator = deadlines->allocator;
    size_t before = deadlines->slot_count;

    if (slot_count <= before)
        return true;
    struct entry *heap = ed_alloc_array(allocator, slot_count, sizeof(*heap));
    uint32_t *place = ed_alloc_array(allocator, slot_count, sizeof(*place));
    if (heap == NULL || place == NULL) {
        ed_alloc_free(allocator, heap, slot_count * sizeof(*heap));
        ed_alloc_free(allocator, place, slot_count * sizeof(*place));
        return false;
    }
    memcpy(heap, deadlines->heap, before * sizeof(*heap));
    memcpy(place, deadlines->place, before * sizeof(*place));
    ed_alloc_free(allocator, deadlines->heap, before * sizeof(*heap));
    ed_alloc_free(allocator, deadlines->place, before * sizeof(*place));
    deadlines->heap = heap;
    deadlines->place = place;
    deadlines->slot_count = slot_count;
    return true;
}

static bool comes_before(const struct entry *a, const struct entry *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->slot < b->slot;
}

static void put_at(ed_deadlines *deadlines, uint32_t i, struct entry entry)
{
    deadlines->heap[i] = entry;
    deadlines->place[entry.slot] = i + 1;
}

/** Moves the hole at `i` up to where `entry` belongs. @return the hole. */
static uint32_t rise(ed_deadlines *deadlines, uint32_t i, const struct entry *entry)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / ARITY;
        if (!comes_before(entry, &deadlines->heap[parent]))
            break;
        put_at(deadlines, i, deadlines->heap[parent]);
        i = parent;
    }
    return i;
}

/** The child of `i` that comes first, or `count` if there is none. */
static uint32_t first_child(const ed_deadlines *deadlines, uint32_t i)
{
    size_t begin = (size_t)i * ARITY + 1;
    if (begin >= deadlines->count)
        return deadlines->count;

    uint32_t best = (uint32_t)begin;
    uint32_t end = (uint32_t)ed_min_size(begin + ARITY, deadlines->count);
    for (uint32_t child = best + 1; child < end; child++)
        if (comes_before(&deadlines->heap[child], &deadlines->heap[best]))
            best = child;
    return best;
}

/** Moves the hole at `i` down to where `entry` belongs. @return the hole. */
static uint32_t sink(ed_deadlines *deadlines, uint32_t i, const struct entry *entry)
{
    for (;;) {
        uint32_t child = first_child(deadlines, i);
        if (child == deadlines->count || !comes_before(&deadlines->heap[child], entry))
            return i;
        put_at(deadlines, i, deadlines->heap[child]);
        i = child;
    }
}

/** Fills the hole at `i`, which may belong higher or lower; never both. */
static void settle(ed_deadlines *deadlines, uint32_t i, struct entry entry)
{
    ED_ASSERT(i < deadlines->count);

    i = rise(deadlines, i, &entry);
    i = sink(deadlines, i, &entry);
    put_at(deadlines, i, entry);
}

static void take_out(ed_deadlines *deadlines, uint32_t i)
{
    ED_ASSERT(i < deadlines->count);
    ED_ASSERT(deadlines->place[deadlines->heap[i].slot] == i + 1);

    deadlines->place[deadlines->heap[i].slot] = NOWHERE;
    deadlines->count--;
    if (i < deadlines->count)
        settle(deadlines, i, deadlines->heap[deadlines->count]);
}

void ed_deadlines_set(ed_deadlines *deadlines, uint32_t slot, uint64_t at_ns)
{
    ED_ASSERT(slot < deadlines->slot_count);
    ED_ASSERT(deadlines->count <= deadlines->slot_count);

    uint32_t place = deadlines->place[slot];
    if (place != NOWHERE && deadlines->heap[place - 1].at_ns == at_ns)
        return;
    if (place != NOWHERE && at_ns == ED_NEVER_NS)
        take_out(deadlines, place - 1);
    else if (place != NOWHERE)
        settle(deadlines, place - 1, (struct entry){.at_ns = at_ns, .slot = slot});
    else if (at_ns != ED_NEVER_NS)
        settle(deadlines, deadlines->count++, (struct entry){.at_ns = at_ns, .slot = slot});
    ED_CHECKED(ed_deadlines_valid(deadlines));
}

uint64_t ed_deadlines_next_ns(const ed_deadlines *deadlines)
{
    return deadlines->count == 0 ? ED_NEVER_NS : deadlines->heap[0].at_ns;
}

bool ed_deadlines_pop(ed_deadlines *deadlines, uint64_t now_ns, uint32_t *slot)
{
    ED_ASSERT(slot != NULL);

    if (deadlines->count == 0 || deadlines->heap[0].at_ns > now_ns)
        return false;
    *slot = deadlines->heap[0].slot;
    take_out(deadlines, 0);
    ED_CHECKED(ed_deadlines_valid(deadlines));
    return true;
}

bool ed_deadlines_valid(const ed_deadlines *deadlines)
{
    uint32_t placed_count = 0;

    for (uint32_t slot = 0; slot < deadlines->slot_count; slot++)
        placed_count += deadlines->place[slot] != NOWHERE;
    if (placed_count != deadlines->count)
        return false;
    for (uint32_t i = 0; i < deadlines->count; i++) {
        const struct entry *entry = &deadlines->heap[i];
        if (entry->slot >= deadlines->slot_count || deadlines->place[entry->slot] != i + 1)
            return false;
        if (entry->at_ns == ED_NEVER_NS)
            return false;
        if (i > 0 && !comes_before(&deadlines->heap[(i - 1) / ARITY], entry))
            return false;
    }
    return true;
}
