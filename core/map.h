/**
 * A hash map from short keys to 32-bit values, keyed so that whoever chooses the keys cannot choose
 * collisions (SipHash-2-4). Grows by doubling; iteration does not exist on purpose.
 */
#ifndef ED_MAP_H
#define ED_MAP_H

#include "core/eddy.h"

enum {
    ED_MAP_KEY_SIZE_MAX = 32,
    ED_MAP_HASH_KEY_SIZE = 16,
};

typedef struct ed_map ed_map;

/**
 * @param key_size bytes of every key, 1-32.
 * @param hash_key 16 unpredictable bytes.
 * @return an empty map with room for `capacity` entries, or NULL.
 */
ed_map *ed_map_create(const eddy_allocator *allocator, size_t key_size, size_t capacity,
                      const uint8_t hash_key[ED_MAP_HASH_KEY_SIZE]);

void ed_map_destroy(ed_map *map); /* NULL is fine */

/** Adds or replaces. @return EDDY_OK, or EDDY_ENOMEM with the map unchanged. */
EDDY_MUST_CHECK eddy_status ed_map_put(ed_map *map, const void *key, uint32_t value);

/** @return whether the key is there; `*value` is untouched if not. */
bool ed_map_get(const ed_map *map, const void *key, uint32_t *value);

/** @return whether the key was there. */
bool ed_map_remove(ed_map *map, const void *key);

size_t ed_map_count(const ed_map *map);

/** The longest distance of an entry from its place, over all entries. For tests. */
size_t ed_map_longest_probe(const ed_map *map);

#endif
