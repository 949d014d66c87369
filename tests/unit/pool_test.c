#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "core/pool.h"
#include "core/thread.h"
#include "tests/support/splitmix.h"

enum {
    HEADER_SIZE = sizeof(ed_block),
    LARGEST_CLASS_SIZE = ED_POOL_CLASS_SIZE_MAX,
};

static ed_counting_alloc counting;

static ed_pool *pool_of(size_t budget)
{
    ed_counting_alloc_init(&counting, NULL);
    ed_pool *pool = ed_pool_create(&counting.allocator, budget);
    CHECK("pool", pool != NULL);
    return pool;
}

static void destroy(ed_pool *pool)
{
    ed_pool_destroy(pool);
    CHECK_EQ("leaked blocks", counting.live_count, 0);
    CHECK_EQ("leaked bytes", counting.live_size, 0);
}

static void a_block_is_charged_its_class(void **state)
{
    static const struct {
        const char *name;
        size_t size;
        size_t charge;
    } rows[] = {
        {"empty", 0, 32},
        {"one byte", 1, 64},
        {"full", 64 - HEADER_SIZE, 64},
        {"one more", 65 - HEADER_SIZE, 96},
        {"the end of the equal steps", 128 - HEADER_SIZE, 128},
        {"the first wider step", 129 - HEADER_SIZE, 160},
        {"a thousand", 1000, 1280},
        {"largest message in one datagram", EDDY_PIECE_SIZE_MAX, 1280},
        {"largest kept", LARGEST_CLASS_SIZE - HEADER_SIZE, LARGEST_CLASS_SIZE},
        {"not kept", LARGEST_CLASS_SIZE - HEADER_SIZE + 1, LARGEST_CLASS_SIZE + 1},
        {"large", 100000, 100000 + HEADER_SIZE},
    };

    (void)state;
    ed_pool *pool = pool_of(1 << 20);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_block *block = ed_pool_take(pool, rows[i].size);
        CHECK(rows[i].name, block != NULL);
        CHECK_EQ(rows[i].name, ed_block_charge(block), rows[i].charge);
        CHECK_EQ(rows[i].name, ed_pool_charge(rows[i].size), rows[i].charge);
        CHECK_EQ(rows[i].name, block->size, rows[i].size);
        CHECK_EQ(rows[i].name, (uintptr_t)block->data % 16, 0);
        CHECK_EQ(rows[i].name, ed_pool_charged(pool), rows[i].charge);
        CHECK(rows[i].name, block->next == NULL && block->note == 0);
        memset(block->data, 0xff, rows[i].size);
        ed_pool_give(block);
        CHECK_EQ(rows[i].name, ed_pool_charged(pool), 0);
    }
    ed_pool_give(NULL);
    destroy(pool);
}

/** Every size is charged the smallest class that holds it, and there are as many as promised. */
static void rounding_wastes_at_most_a_quarter(void **state)
{
    size_t class_count = 1;

    (void)state;
    for (size_t size = 1; HEADER_SIZE + size <= LARGEST_CLASS_SIZE; size++) {
        size_t want = HEADER_SIZE + size;
        size_t charge = ed_pool_charge(size);
        size_t before = ed_pool_charge(size - 1);
        CHECK("holds it", charge >= want);
        CHECK("wastes little", (charge - want) * 4 <= charge || want <= 96);
        CHECK("grows where it is full", charge == before || before == want - 1);
        class_count += charge == before ? 0 : 1;
    }
    CHECK_EQ("classes, but for the four that only bytes have", class_count,
             ED_POOL_CLASS_COUNT - 4);
}

static void the_last_holder_gives_a_block_back(void **state)
{
    static const size_t sizes[] = {0, 100, 10000};

    (void)state;
    ed_pool *pool = pool_of(1 << 20);
    for (size_t i = 0; i < ED_COUNT(sizes); i++) {
        ed_block *block = ed_pool_take(pool, sizes[i]);
        CHECK("block", block != NULL);
        memset(block->data, 0x5a, sizes[i]);
        CHECK("the same", ed_pool_share(block) == block && ed_pool_share(block) == block);
        CHECK_EQ("charged once", ed_pool_charged(pool), ed_pool_charge(sizes[i]));
        for (int holders = 3; holders > 1; holders--) {
            ed_pool_give(block);
            CHECK_EQ("still out", ed_pool_charged(pool), ed_pool_charge(sizes[i]));
            CHECK("intact", sizes[i] == 0 || block->data[sizes[i] - 1] == 0x5a);
        }
        ed_pool_give(block);
        CHECK_EQ("back", ed_pool_charged(pool), 0);
        block = ed_pool_take(pool, sizes[i]);
        ed_pool_give(block);
        CHECK_EQ("held by one again", ed_pool_charged(pool), 0);
    }
    destroy(pool);
}

/** They cost nothing but themselves, and share what is kept with blocks. */
static void bytes_have_no_header(void **state)
{
    static const struct {
        const char *name;
        size_t size, charge;
    } rows[] = {
        {"one", 1, 16},           {"full", 16, 16},      {"one more", 17, 32},
        {"half a KiB", 512, 512}, {"large", 3000, 3000},
    };

    (void)state;
    ed_pool *pool = pool_of(1 << 20);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        void *bytes = ed_pool_take_bytes(pool, rows[i].size);
        CHECK(rows[i].name, bytes != NULL && (uintptr_t)bytes % 16 == 0);
        CHECK_EQ(rows[i].name, ed_pool_charged(pool), rows[i].charge);
        memset(bytes, 0xff, rows[i].size);
        ed_pool_give_bytes(pool, bytes, rows[i].size);
        CHECK_EQ(rows[i].name, ed_pool_charged(pool), 0);
    }
    ed_pool_give_bytes(pool, NULL, 512);
    counting.fail_after = 0;
    ed_block *block = ed_pool_take(pool, 512 - HEADER_SIZE);
    CHECK("a block out of what was kept", block != NULL);
    CHECK("a new one", ed_pool_take_bytes(pool, 512) == NULL);
    counting.fail_after = UINT64_MAX;
    CHECK_EQ("charged", ed_pool_charged(pool), 512);
    ed_pool_give(block);
    destroy(pool);
}

/** As many as there is room for, and memory: those behind the first that fails are not taken. */
static void several_are_taken_at_once(void **state)
{
    enum { COUNT = 6, SIZE = 128 - HEADER_SIZE };
    static const struct {
        const char *name;
        size_t sizes[COUNT];
        size_t budget;
        size_t kept;       /* of them, by a take before */
        size_t fail_after; /* allocations */
        size_t want;
        size_t charged;
    } rows[] = {
        {"all", {SIZE, 0, 1, 3000, SIZE, 0}, 1 << 20, 0, SIZE_MAX, 6, 3416},
        {"to the byte", {SIZE, SIZE, SIZE, SIZE, SIZE, SIZE}, 6 * 128, 0, SIZE_MAX, 6, 768},
        {"one too many", {SIZE, SIZE, SIZE, SIZE, SIZE, SIZE}, 6 * 128 - 1, 0, SIZE_MAX, 5, 640},
        {"no smaller one behind", {SIZE, 3000, 0, 0, 0, 0}, 1000, 0, SIZE_MAX, 1, 128},
        {"one that is none", {SIZE, SIZE_MAX, 0, 0, 0, 0}, 1000, 0, SIZE_MAX, 1, 128},
        {"no memory for the third", {SIZE, SIZE, SIZE, 0, 0, 0}, 1000, 0, 2, 2, 256},
        {"nor for any", {SIZE, SIZE, SIZE, 0, 0, 0}, 1000, 0, 0, 0, 0},
        {"but for those that are kept", {SIZE, 3000, SIZE, SIZE, 0, 0}, 5000, 3, 0, 1, 128},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_block *blocks[COUNT];
        ed_discards discards = {0};
        ed_pool *pool = pool_of(rows[i].budget);
        for (size_t k = 0; k < rows[i].kept; k++)
            blocks[k] = ed_pool_take(pool, SIZE);
        for (size_t k = 0; k < rows[i].kept; k++)
            ed_pool_give(blocks[k]);
        counting.fail_after = rows[i].fail_after;
        size_t got = ed_pool_take_all(pool, rows[i].sizes, blocks, COUNT);
        CHECK_EQ(rows[i].name, got, rows[i].want);
        CHECK_EQ(rows[i].name, ed_pool_charged(pool), rows[i].charged);
        for (size_t k = 0; k < got; k++) {
            CHECK_EQ(rows[i].name, blocks[k]->size, rows[i].sizes[k]);
            ed_discard(&discards, blocks[k]);
        }
        CHECK_EQ(rows[i].name, ed_pool_charged(pool), rows[i].charged);
        ed_discards_give(&discards);
        CHECK("none is left", discards.newest == NULL);
        CHECK_EQ(rows[i].name, ed_pool_charged(pool), 0);
        destroy(pool);
    }
}

/** Of several pools, and of those held by several: each goes back to its own, when it is over. */
static void discards_go_where_they_came_from(void **state)
{
    enum { POOLS = 2, EACH = 5 };
    ed_pool *pools[POOLS];
    ed_discards discards = {0};
    ed_block *shared = NULL;

    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    for (size_t p = 0; p < POOLS; p++)
        pools[p] = ed_pool_create(&counting.allocator, 1 << 20);
    for (size_t i = 0; i < EACH; i++)
        for (size_t p = 0; p < POOLS; p++)
            ed_discard(&discards, ed_pool_take(pools[p], i * 1000));
    shared = ed_pool_share(ed_pool_take(pools[0], 100));
    ed_discard(&discards, shared);
    ed_discards_give(&discards);
    CHECK_EQ("one holder is left", ed_pool_charged(pools[0]), ed_pool_charge(100));
    CHECK_EQ("all of the other", ed_pool_charged(pools[1]), 0);
    ed_discard(&discards, shared);
    ed_discards_give(&discards);
    CHECK_EQ("nobody is", ed_pool_charged(pools[0]), 0);
    ed_pool_destroy(pools[0]);
    destroy(pools[1]);
}

/** It is the same without a lock. */
static void a_pool_of_one_user(void **state)
{
    (void)state;
    ed_pool *pool = pool_of(1000);
    ed_pool_use_alone(pool);
    ed_block *block = ed_pool_take(pool, 100);
    CHECK("shared", ed_pool_share(block) == block);
    CHECK_EQ("charged", ed_pool_charged(pool), ed_pool_charge(100));
    CHECK("over the budget", ed_pool_take(pool, 1000) == NULL);
    ed_pool_give(block);
    ed_pool_give(block);
    CHECK_EQ("back", ed_pool_left(pool), 1000);
    destroy(pool);
}

static void a_warm_pool_allocates_nothing(void **state)
{
    ed_block *blocks[64];

    (void)state;
    ed_pool *pool = pool_of(1 << 20);
    for (size_t round = 0; round < 10; round++) {
        for (size_t i = 0; i < ED_COUNT(blocks); i++) {
            blocks[i] = ed_pool_take(pool, i * 31);
            CHECK("block", blocks[i] != NULL);
            blocks[i]->next = blocks[0]; // the holder's; must not survive
        }
        for (size_t i = 0; i < ED_COUNT(blocks); i++)
            ed_pool_give(blocks[i]);
        counting.fail_after = 0; // from the second round on
    }
    CHECK_EQ("allocations", counting.calls, 1 + ED_COUNT(blocks));
    counting.fail_after = UINT64_MAX;
    destroy(pool);
}

static void nothing_goes_over_the_budget(void **state)
{
    ed_block *blocks[4];

    (void)state;
    ed_pool *pool = pool_of(4 * 128);
    for (size_t i = 0; i < ED_COUNT(blocks); i++) {
        blocks[i] = ed_pool_take(pool, 128 - HEADER_SIZE);
        CHECK("within", blocks[i] != NULL);
    }
    CHECK("empty above", ed_pool_take(pool, 0) == NULL);
    ed_pool_give(blocks[0]);
    CHECK("too large for the room", ed_pool_take(pool, 129 - HEADER_SIZE) == NULL);
    CHECK("huge", ed_pool_take(pool, SIZE_MAX) == NULL);
    CHECK("huge", ed_pool_take(pool, SIZE_MAX - HEADER_SIZE) == NULL);
    CHECK("above 32 bits", ed_pool_take(pool, UINT32_MAX) == NULL);
    CHECK_EQ("charged", ed_pool_charged(pool), 3 * 128);
    blocks[0] = ed_pool_take(pool, 100 - HEADER_SIZE);
    CHECK("room again", blocks[0] != NULL);
    for (size_t i = 0; i < ED_COUNT(blocks); i++)
        ed_pool_give(blocks[i]);
    destroy(pool);
}

static void what_is_kept_makes_way_for_what_is_asked(void **state)
{
    enum { BUDGET = 8192 };
    void *held[BUDGET / ED_POOL_CLASS_SIZE_MIN];

    (void)state;
    ed_pool *pool = pool_of(BUDGET);
    uint64_t own_size = counting.live_size;
    // Fill the pool with one class after the other: what is kept never adds up.
    for (size_t size = ED_POOL_CLASS_SIZE_MIN; size <= BUDGET; size *= 2) {
        for (size_t i = 0; i < BUDGET / size; i++) {
            held[i] = ed_pool_take_bytes(pool, size);
            CHECK("bytes", held[i] != NULL);
            CHECK("memory", counting.live_size - own_size <= BUDGET);
        }
        CHECK_EQ("full", ed_pool_charged(pool), BUDGET);
        CHECK("no more", ed_pool_take_bytes(pool, 1) == NULL);
        for (size_t i = 0; i < BUDGET / size; i++)
            ed_pool_give_bytes(pool, held[i], size);
    }
    CHECK("peak", counting.peak_size - own_size <= BUDGET);
    destroy(pool);
}

static void failure_to_allocate_leaves_no_charge(void **state)
{
    (void)state;
    ed_pool *pool = pool_of(1 << 20);
    counting.fail_after = 0;
    CHECK("small", ed_pool_take(pool, 10) == NULL);
    CHECK("large", ed_pool_take(pool, 10000) == NULL);
    CHECK_EQ("charged", ed_pool_charged(pool), 0);
    destroy(pool);

    ed_counting_alloc_init(&counting, NULL);
    counting.fail_after = 0;
    CHECK("no pool", ed_pool_create(&counting.allocator, 1 << 20) == NULL);
    ed_pool_destroy(NULL);
}

static void take_and_give(void *context)
{
    ed_block *held[16] = {NULL};
    uint64_t random = (uintptr_t)&held;

    for (int i = 0; i < 20000; i++) {
        ed_block **block = &held[splitmix_below(&random, ED_COUNT(held))];
        ed_pool_give(*block);
        *block = ed_pool_take(context, splitmix_below(&random, 3000));
    }
    for (size_t i = 0; i < ED_COUNT(held); i++)
        ed_pool_give(held[i]);
}

static void several_threads_may_take_and_give(void **state)
{
    ed_thread threads[3];

    (void)state;
    ed_pool *pool = pool_of(32 * 1024); // so tight that it refuses and evicts
    uint64_t own_size = counting.live_size;
    for (size_t i = 0; i < ED_COUNT(threads); i++)
        CHECK_EQ("start", ed_thread_start(&threads[i], "pool", take_and_give, pool), EDDY_OK);
    for (size_t i = 0; i < ED_COUNT(threads); i++)
        ed_thread_join(&threads[i]);
    CHECK_EQ("charged", ed_pool_charged(pool), 0);
    CHECK("kept", counting.live_size - own_size <= 32 * 1024);
    destroy(pool);
}

enum {
    SHARERS = 2,
    SHARED_BLOCKS = 2000,
    SHARED_ROUNDS = 40, /* with which one that is used too long is seen nine times in ten */
    MEETING_SPINS = 2000,
};

static struct {
    ed_block *blocks[SHARED_BLOCKS];
    _Atomic size_t come; /* to give a block, counted on */
    _Atomic uint64_t wrong;
} sharing;

/** Goes on when all have come there, or when that takes long. */
static void meet(size_t come)
{
    (void)atomic_fetch_add(&sharing.come, 1);
    for (int i = 0; i < MEETING_SPINS && atomic_load(&sharing.come) < come; i++)
        continue;
}

static void give_shared(void *context)
{
    (void)context;
    for (size_t i = 0; i < SHARED_BLOCKS; i++) {
        sharing.wrong += sharing.blocks[i]->data[0] != (uint8_t)i;
        meet((i + 1) * SHARERS);
        ed_pool_give(sharing.blocks[i]);
    }
}

static void share_all(ed_pool *pool)
{
    ed_thread threads[SHARERS];

    sharing.come = 0;
    for (size_t i = 0; i < SHARED_BLOCKS; i++) {
        sharing.blocks[i] = ed_pool_take(pool, i % 2 == 0 ? 1 : 3000);
        CHECK("block", sharing.blocks[i] != NULL);
        sharing.blocks[i]->data[0] = (uint8_t)i;
        for (size_t k = 1; k < SHARERS; k++)
            CHECK("shared", ed_pool_share(sharing.blocks[i]) != NULL);
    }
    for (size_t i = 0; i < SHARERS; i++)
        CHECK_EQ("start", ed_thread_start(&threads[i], "share", give_shared, NULL), EDDY_OK);
    for (size_t i = 0; i < SHARERS; i++)
        ed_thread_join(&threads[i]);
}

/** All give each block at once: it goes back once, and not while another still uses it. */
static void several_threads_may_hold_one_block(void **state)
{
    static const size_t holder_bases[] = {0, 400};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(holder_bases); i++) {
        ed_pool *pool = pool_of(16 << 20);
        if (holder_bases[i] > 0)
            ed_pool_charge_holders(pool, holder_bases[i]);
        for (unsigned round = 0; round < SHARED_ROUNDS; round++)
            share_all(pool);
        CHECK_EQ("intact while held", sharing.wrong, 0);
        CHECK_EQ("all back", ed_pool_charged(pool), 0);
        destroy(pool);
    }
}

/** Who charges holders has room for so many of them, whoever holds what. */
static void holders_are_charged(void **state)
{
    enum { BASE = 100, SIZE = 1000 };
    size_t block = ed_pool_charge(SIZE);
    size_t holder = BASE + SIZE / ED_POOL_HOLDER_SHARE;
    ed_counting_alloc memory;

    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    ed_pool *pool = ed_pool_create(&memory.allocator, block + 3 * holder);
    CHECK("pool", pool != NULL);
    ed_pool_charge_holders(pool, BASE);
    for (unsigned round = 0; round < 2; round++) {
        ed_block *one = ed_pool_take(pool, SIZE);
        CHECK("one", one != NULL);
        CHECK_EQ("one", ed_pool_charged(pool), block + holder);
        CHECK("two more", ed_pool_share(one) == one && ed_pool_share(one) == one);
        CHECK_EQ("three", ed_pool_charged(pool), block + 3 * holder);
        CHECK("no room for a fourth", ed_pool_share(one) == NULL);
        CHECK("nor for an empty block", ed_pool_take(pool, 0) == NULL);
        ed_pool_give(one);
        CHECK_EQ("two", ed_pool_charged(pool), block + 2 * holder);
        ed_pool_give(one);
        ed_pool_give(one);
        CHECK_EQ("none", ed_pool_charged(pool), 0);
        CHECK_EQ("the block is kept", memory.live_size >= block, true);
    }
    // What is kept gives way to what is charged.
    ed_block *small[3] = {ed_pool_take(pool, 0), ed_pool_take(pool, 0), ed_pool_take(pool, 0)};
    for (size_t i = 0; i < 3; i++) {
        CHECK("small ones", small[i] != NULL);
        ed_pool_give(small[i]);
    }
    ed_pool_destroy(pool);
    CHECK_EQ("all is back", memory.live_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holders_are_charged),
        cmocka_unit_test(a_block_is_charged_its_class),
        cmocka_unit_test(rounding_wastes_at_most_a_quarter),
        cmocka_unit_test(the_last_holder_gives_a_block_back),
        cmocka_unit_test(bytes_have_no_header),
        cmocka_unit_test(several_are_taken_at_once),
        cmocka_unit_test(discards_go_where_they_came_from),
        cmocka_unit_test(a_pool_of_one_user),
        cmocka_unit_test(a_warm_pool_allocates_nothing),
        cmocka_unit_test(nothing_goes_over_the_budget),
        cmocka_unit_test(what_is_kept_makes_way_for_what_is_asked),
        cmocka_unit_test(failure_to_allocate_leaves_no_charge),
        cmocka_unit_test(several_threads_may_take_and_give),
        cmocka_unit_test(several_threads_may_hold_one_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
