#include "tests/support/arena.h"

#include <string.h>

#include "core/base.h"

enum { SIZE_MIN_BITS = 4 };

static unsigned class_of(size_t size)
{
    unsigned bits = SIZE_MIN_BITS;

    while (((size_t)1 << bits) < size)
        bits++;
    return bits - SIZE_MIN_BITS;
}

static void *allocate(void *context, size_t size)
{
    ed_arena *arena = context;
    unsigned size_class = class_of(size);
    ED_ASSERT(size_class < ED_ARENA_CLASS_COUNT);
    size_t rounded = (size_t)1 << (size_class + SIZE_MIN_BITS);
    void *memory = arena->spare[size_class];

    if (memory != NULL) {
        memcpy(&arena->spare[size_class], memory, sizeof(void *));
    } else {
        if (rounded > sizeof(arena->data) - arena->used)
            return NULL;
        memory = arena->data + arena->used;
        arena->used += rounded;
    }
    arena->live_count++;
    return memory;
}

static void give(void *context, void *memory, size_t size)
{
    ed_arena *arena = context;
    unsigned size_class = class_of(size);

    ED_ASSERT(arena->live_count > 0);
    arena->live_count--;
    memcpy(memory, &arena->spare[size_class], sizeof(void *));
    arena->spare[size_class] = memory;
}

void ed_arena_init(ed_arena *arena)
{
    arena->allocator = (eddy_allocator){.context = arena, .allocate = allocate, .free = give};
}

void ed_arena_keep(const ed_arena *arena, ed_arena_kept *kept)
{
    ED_ASSERT(arena->used <= sizeof(kept->data));
    kept->live_count = arena->live_count;
    kept->used = arena->used;
    memcpy(kept->spare, arena->spare, sizeof(kept->spare));
    memcpy(kept->data, arena->data, arena->used);
}

void ed_arena_restore(ed_arena *arena, const ed_arena_kept *kept)
{
    arena->live_count = kept->live_count;
    arena->used = kept->used;
    memcpy(arena->spare, kept->spare, sizeof(kept->spare));
    memcpy(arena->data, kept->data, kept->used);
}
