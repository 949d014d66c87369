#include "core/map.h"

#include <string.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/crypto.h"

/*
 * Linear probing in the order of the entries' homes ("Robin Hood": P. Celis, 1986): an entry never
 * sits before one that is nearer to its own home. At half load that keeps the longest probe near a
 * dozen for a million entries, where first-come-first-placed would reach several dozen, and a
 * search for a missing key ends early. Removal shifts the run behind it back by one.
 */
enum {
    SLOT_COUNT_MIN = 16,
    SLOT_COUNT_MAX = 1 << 30,
    SLOTS_PER_ENTRY = 2, /* load is at most one half */
    VACANT = 0,          /* as a tag */
};

static_assert((int)ED_MAP_HASH_KEY_SIZE == (int)ED_MAC_KEY_SIZE, "the map is keyed by SipHash");

struct slot {
    uint32_t tag; /* the low bits of the key's hash, or VACANT */
    uint32_t value;
    uint8_t key[]; /* key_size */
};

struct ed_map {
    const eddy_allocator *allocator;
    uint8_t *slots; /* slot_count of slot_size */
    size_t slot_size;
    size_t slot_count; /* a power of two */
    size_t key_size;
    size_t count;
    uint8_t hash_key[ED_MAP_HASH_KEY_SIZE];
};

static struct slot *slot_at(const ed_map *map, size_t i)
{
    return (struct slot *)(void *)(map->slots + i * map->slot_size);
}

static size_t next(const ed_map *map, size_t i)
{
    return (i + 1) & (map->slot_count - 1);
}

/** How far the entry at `i` sits from its home. */
static size_t distance(const ed_map *map, size_t i)
{
    return (i - slot_at(map, i)->tag) & (map->slot_count - 1);
}

static uint32_t tag_of(const ed_map *map, const void *key)
{
    uint32_t tag = (uint32_t)ed_hash64(map->hash_key, key, map->key_size);
    return tag == VACANT ? 1 : tag;
}

/**
 * The slot that holds the key, or else the one where it belongs: vacant, or taken by an entry that
 * must make way.
 */
static size_t find(const ed_map *map, uint32_t tag, const void *key, bool *found)
{
    size_t i = tag & (map->slot_count - 1);
    const struct slot *slot = slot_at(map, i);

    *found = false;
    for (size_t far = 0; slot->tag != VACANT && distance(map, i) >= far; far++) {
        if (slot->tag == tag && memcmp(slot->key, key, map->key_size) == 0) {
            *found = true;
            return i;
        }
        i = next(map, i);
        slot = slot_at(map, i);
    }
    return i;
}

/** Makes `at` vacant by moving the run from there up by one. There is a vacant slot. */
static void make_way(ed_map *map, size_t at)
{
    ED_ASSERT(map->count < map->slot_count);

    size_t vacant = at;
    while (slot_at(map, vacant)->tag != VACANT)
        vacant = next(map, vacant);
    while (vacant != at) {
        size_t before = (vacant - 1) & (map->slot_count - 1);
        memcpy(slot_at(map, vacant), slot_at(map, before), map->slot_size);
        vacant = before;
    }
}

static void insert(ed_map *map, size_t at, uint32_t tag, const void *key, uint32_t value)
{
    ED_ASSERT(map->count < map->slot_count / SLOTS_PER_ENTRY);

    make_way(map, at);
    struct slot *slot = slot_at(map, at);
    slot->tag = tag;
    slot->value = value;
    memcpy(slot->key, key, map->key_size);
    map->count++;
}

static uint8_t *create_slots(const ed_map *map, size_t slot_count)
{
    return slot_count > SLOT_COUNT_MAX ? NULL
                                       : ed_alloc_array(map->allocator, slot_count, map->slot_size);
}

/** Moves all entries into twice the slots. @return false out of memory, with the map unchanged. */
static bool grow(ed_map *map)
{
    ed_map larger = *map;

    larger.count = 0;
    larger.slot_count = map->slot_count * 2;
    larger.slots = create_slots(map, larger.slot_count);
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < map->slot_count; i++) {
        const struct slot *slot = slot_at(map, i);
        bool found;
        if (slot->tag != VACANT)
            insert(&larger, find(&larger, slot->tag, slot->key, &found), slot->tag, slot->key,
                   slot->value);
    }
    ED_ASSERT(larger.count == map->count);
    ed_alloc_free(map->allocator, map->slots, map->slot_count * map->slot_size);
    *map = larger;
    return true;
}

ed_map *ed_map_create(const eddy_allocator *allocator, size_t key_size, size_t capacity,
                      const uint8_t hash_key[ED_MAP_HASH_KEY_SIZE])
{
    ED_ASSERT(key_size >= 1 && key_size <= ED_MAP_KEY_SIZE_MAX);

    if (capacity > SLOT_COUNT_MAX / SLOTS_PER_ENTRY)
        return NULL;
    ed_map *map = ed_alloc_zeroed(allocator, sizeof(*map));
    if (map == NULL)
        return NULL;
    map->allocator = allocator;
    map->key_size = key_size;
    map->slot_size = sizeof(struct slot) + (key_size + 3) / 4 * 4; // keeps the next tag aligned
    map->slot_count = SLOT_COUNT_MIN;
    while (map->slot_count < capacity * SLOTS_PER_ENTRY)
        map->slot_count *= 2;
    memcpy(map->hash_key, hash_key, sizeof(map->hash_key));
    map->slots = create_slots(map, map->slot_count);
    if (map->slots != NULL)
        return map;
    ed_map_destroy(map);
    return NULL;
}

void ed_map_destroy(ed_map *map)
{
    if (map == NULL)
        return;
    ed_alloc_free(map->allocator, map->slots, map->slot_count * map->slot_size);
    ed_wipe(map->hash_key, sizeof(map->hash_key));
    ed_alloc_free(map->allocator, map, sizeof(*map));
}

eddy_status ed_map_put(ed_map *map, const void *key, uint32_t value)
{
    ED_ASSERT(map->count <= map->slot_count / SLOTS_PER_ENTRY);

    bool found;
    uint32_t tag = tag_of(map, key);
    size_t at = find(map, tag, key, &found);
    if (found) {
        slot_at(map, at)->value = value;
        return EDDY_OK;
    }
    if (map->count == map->slot_count / SLOTS_PER_ENTRY) {
        if (!grow(map))
            return EDDY_ENOMEM;
        at = find(map, tag, key, &found);
        ED_ASSERT(!found);
    }
    insert(map, at, tag, key, value);
    return EDDY_OK;
}

bool ed_map_get(const ed_map *map, const void *key, uint32_t *value)
{
    bool found;
    size_t at = find(map, tag_of(map, key), key, &found);

    if (found)
        *value = slot_at(map, at)->value;
    return found;
}

bool ed_map_remove(ed_map *map, const void *key)
{
    bool found;
    size_t at = find(map, tag_of(map, key), key, &found);

    if (!found)
        return false;
    ED_ASSERT(map->count > 0);
    ED_ASSERT(slot_at(map, at)->tag != VACANT);
    // Shift back what follows, up to a vacant slot or an entry that is at home: no tombstones.
    size_t behind = next(map, at);
    while (slot_at(map, behind)->tag != VACANT && distance(map, behind) > 0) {
        memcpy(slot_at(map, at), slot_at(map, behind), map->slot_size);
        at = behind;
        behind = next(map, behind);
    }
    memset(slot_at(map, at), 0, map->slot_size);
    map->count--;
    return true;
}

size_t ed_map_count(const ed_map *map)
{
    return map->count;
}

size_t ed_map_longest_probe(const ed_map *map)
{
    size_t longest = 0;

    for (size_t i = 0; i < map->slot_count; i++)
        if (slot_at(map, i)->tag != VACANT && distance(map, i) > longest)
            longest = distance(map, i);
    return longest;
}
