#include "tests/support/check.h"

#include <stdlib.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/map.h"
#include "tests/support/splitmix.h"

static const uint8_t hash_key[ED_MAP_HASH_KEY_SIZE] = "0123456789abcde";

static ed_counting_alloc counting;

static ed_map *map_of(size_t key_size, size_t capacity)
{
    ed_counting_alloc_init(&counting, NULL);
    ed_map *map = ed_map_create(&counting.allocator, key_size, capacity, hash_key);
    CHECK("map", map != NULL);
    return map;
}

static void destroy(ed_map *map)
{
    ed_map_destroy(map);
    CHECK_EQ("leaked", counting.live_size, 0);
}

static void a_key_of_any_size_is_put_found_and_removed(void **state)
{
    (void)state;
    for (size_t size = 1; size <= ED_MAP_KEY_SIZE_MAX; size++) {
        ed_map *map = map_of(size, 4);
        uint8_t key[ED_MAP_KEY_SIZE_MAX] = {0}, other[ED_MAP_KEY_SIZE_MAX] = {0};
        uint32_t value = 99;
        other[size - 1] = 1; // the last byte counts
        CHECK("empty", !ed_map_get(map, key, &value) && !ed_map_remove(map, key));
        CHECK_EQ("put", ed_map_put(map, key, 1), EDDY_OK);
        CHECK("other", !ed_map_get(map, other, &value));
        CHECK_EQ("untouched", value, 99);
        CHECK_EQ("put other", ed_map_put(map, other, 2), EDDY_OK);
        CHECK_EQ("replace", ed_map_put(map, key, UINT32_MAX), EDDY_OK);
        CHECK_EQ("count", ed_map_count(map), 2);
        CHECK("get", ed_map_get(map, key, &value));
        CHECK_EQ("replaced", value, UINT32_MAX);
        CHECK("get other", ed_map_get(map, other, &value));
        CHECK_EQ("other", value, 2);
        CHECK("remove", ed_map_remove(map, key) && !ed_map_remove(map, key));
        CHECK("gone", !ed_map_get(map, key, &value) && ed_map_get(map, other, &value));
        CHECK_EQ("count", ed_map_count(map), 1);
        destroy(map);
    }
    ed_map_destroy(NULL);
}

static void a_key_whose_hash_looks_like_no_entry_is_kept(void **state)
{
    // Found by search: with `hash_key` the low half of this key's hash is 0.
    static const uint8_t key[8] = {0x22, 0x74, 0xb0, 0x90, 0x01};
    uint32_t value = 0;

    (void)state;
    ed_map *map = map_of(sizeof(key), 4);
    CHECK_EQ("put", ed_map_put(map, key, 5), EDDY_OK);
    CHECK("get", ed_map_get(map, key, &value));
    CHECK_EQ("value", value, 5);
    CHECK("remove", ed_map_remove(map, key) && !ed_map_get(map, key, &value));
    destroy(map);
}

/** Plays random operations on a map and on a plain array. */
static void it_behaves_as_an_array_does(void **state)
{
    enum { KEY_COUNT = 600, STEPS = 60000 };
    static uint32_t model[KEY_COUNT]; /* 0: not there */
    uint64_t random = 1;
    size_t count = 0;

    (void)state;
    ed_map *map = map_of(sizeof(uint32_t), 0);
    for (uint32_t step = 1; step <= STEPS; step++) {
        // Long spells of mostly putting and mostly removing pass through every load.
        bool removes = splitmix_below(&random, 8) < (step / 4096 % 2 == 0 ? 2 : 6);
        uint32_t key = splitmix_below(&random, KEY_COUNT);
        uint32_t probe = splitmix_below(&random, KEY_COUNT), value = 0;
        if (removes) {
            CHECK_EQ("remove", ed_map_remove(map, &key), model[key] != 0);
            count -= model[key] != 0;
            model[key] = 0;
        } else {
            CHECK_EQ("put", ed_map_put(map, &key, step), EDDY_OK);
            count += model[key] == 0;
            model[key] = step;
        }
        CHECK_EQ("get", ed_map_get(map, &probe, &value), model[probe] != 0);
        CHECK_EQ("value", value, model[probe]);
        CHECK_EQ("count", ed_map_count(map), count);
    }
    for (uint32_t key = 0; key < KEY_COUNT; key++)
        CHECK_EQ("remove all", ed_map_remove(map, &key), model[key] != 0);
    CHECK_EQ("empty", ed_map_count(map), 0);
    CHECK_EQ("no trace is left", ed_map_longest_probe(map), 0);
    destroy(map);
}

static uint64_t sequential(uint64_t i)
{
    return i;
}

static uint64_t in_the_high_half(uint64_t i)
{
    return i << 40;
}

static uint64_t scattered(uint64_t i)
{
    return splitmix_next(&i);
}

static uint64_t every_4096th(uint64_t i)
{
    return i * 4096;
}

/** Puts, finds and removes as many keys as make a load of one half. */
static void try_keys(const char *name, uint64_t (*key_of)(uint64_t i), uint64_t key_count,
                     size_t capacity)
{
    enum { PROBE_MAX = 32 };
    ed_map *map = map_of(sizeof(uint64_t), capacity);
    uint64_t key;
    uint32_t value;

    for (uint64_t i = 0; i < key_count; i++) {
        key = key_of(i);
        CHECK_EQ(name, ed_map_put(map, &key, (uint32_t)i), EDDY_OK);
    }
    CHECK_EQ(name, ed_map_count(map), key_count);
    size_t longest = ed_map_longest_probe(map);
    CHECK(name, longest > 0 && longest <= PROBE_MAX);
    for (uint64_t i = 0; i < key_count; i++) {
        key = key_of(i);
        CHECK(name, ed_map_get(map, &key, &value));
        CHECK_EQ(name, value, i);
        if (i % 2 == 0)
            CHECK(name, ed_map_remove(map, &key));
    }
    CHECK(name, ed_map_longest_probe(map) <= longest);
    for (uint64_t i = 0; i < key_count; i++) {
        key = key_of(i);
        CHECK_EQ(name, ed_map_get(map, &key, &value), i % 2 != 0);
    }
    destroy(map);
}

static void chosen_keys_do_not_make_long_probes(void **state)
{
    static const struct {
        const char *name;
        uint64_t (*key_of)(uint64_t i);
        bool grows;
    } rows[] = {
        {"sequential", sequential, false},
        {"sequential, growing", sequential, true},
        {"in the high half", in_the_high_half, true},
        {"scattered", scattered, true},
        {"every 4096th", every_4096th, false},
    };
    // A million keys on request; a power of two, so that the load is one half exactly.
    uint64_t key_count = getenv("EDDY_TEST_FULL") != NULL ? 1 << 20 : 1 << 15;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        try_keys(rows[i].name, rows[i].key_of, key_count, rows[i].grows ? 0 : key_count);
}

static void it_grows_only_above_its_capacity(void **state)
{
    enum { CAPACITY = 1024 };

    (void)state;
    ed_map *map = map_of(sizeof(uint32_t), CAPACITY);
    counting.fail_after = 0;
    for (uint32_t key = 0; key < CAPACITY; key++)
        CHECK_EQ("room", ed_map_put(map, &key, key), EDDY_OK);
    uint32_t key = CAPACITY, value = 0;
    CHECK_EQ("out of memory", ed_map_put(map, &key, key), EDDY_ENOMEM);
    CHECK_EQ("unchanged", ed_map_count(map), CAPACITY);
    CHECK("not put", !ed_map_get(map, &key, &value));
    key = 7;
    CHECK_EQ("replacing needs no room", ed_map_put(map, &key, 8), EDDY_OK);
    for (key = 0; key < CAPACITY; key++) {
        CHECK("kept", ed_map_get(map, &key, &value));
        CHECK_EQ("value", value, key == 7 ? 8 : key);
    }
    counting.fail_after = 1;
    key = CAPACITY;
    CHECK_EQ("grown", ed_map_put(map, &key, key), EDDY_OK);
    CHECK_EQ("count", ed_map_count(map), CAPACITY + 1);
    destroy(map);
}

static void creating_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    for (uint64_t after = 0; after < 2; after++) {
        ed_counting_alloc_init(&counting, NULL);
        counting.fail_after = after;
        CHECK("refused", ed_map_create(&counting.allocator, 8, 100, hash_key) == NULL);
        CHECK_EQ("leaked", counting.live_size, 0);
    }
    ed_counting_alloc_init(&counting, NULL);
    CHECK("too large", ed_map_create(&counting.allocator, 8, SIZE_MAX, hash_key) == NULL);
    CHECK_EQ("nothing asked", counting.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_of_any_size_is_put_found_and_removed),
        cmocka_unit_test(a_key_whose_hash_looks_like_no_entry_is_kept),
        cmocka_unit_test(it_behaves_as_an_array_does),
        cmocka_unit_test(chosen_keys_do_not_make_long_probes),
        cmocka_unit_test(it_grows_only_above_its_capacity),
        cmocka_unit_test(creating_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
