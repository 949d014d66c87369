/**
 * Memory that goes back to what it was at some moment, all at once and whatever was done with it
 * meanwhile: so a test begins a thousand times where it began once. It hides errors from the
 * sanitizers, so it is for builds without them.
 */
#ifndef ED_TEST_ARENA_H
#define ED_TEST_ARENA_H

#include "core/eddy.h"

enum {
    ED_ARENA_SIZE = 32 << 20,
    ED_ARENA_KEPT_MAX = 256 << 10, /* bytes that may be in use when it is kept */
    ED_ARENA_CLASS_COUNT = 26,     /* powers of two from 16 bytes on */
};

typedef struct ed_arena {
    eddy_allocator allocator; /* hand this out */
    uint64_t live_count;
    size_t used;
    void *spare[ED_ARENA_CLASS_COUNT];
    _Alignas(64) uint8_t data[ED_ARENA_SIZE];
} ed_arena;

/** All of an arena that was in use at one moment. */
typedef struct ed_arena_kept {
    uint64_t live_count;
    size_t used;
    void *spare[ED_ARENA_CLASS_COUNT];
    _Alignas(64) uint8_t data[ED_ARENA_KEPT_MAX];
} ed_arena_kept;

/** An arena, zeroed and at its place for good. */
void ed_arena_init(ed_arena *arena);

void ed_arena_keep(const ed_arena *arena, ed_arena_kept *kept);
void ed_arena_restore(ed_arena *arena, const ed_arena_kept *kept);

#endif
