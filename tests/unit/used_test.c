#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/writer.h"
#include "tests/support/splitmix.h"
#include "transport/used.h"

enum {
    SMALL = 64,
    EXPIRES_S = 1060,
    NOW_S = 1000,
};

static ed_counting_alloc memory;
static ed_used used;
static uint64_t entropy_state;

static void fill(void *context, void *data, size_t size)
{
    uint8_t *bytes = data;

    (void)context;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)splitmix_next(&entropy_state);
}

static const eddy_entropy entropy = {.fill = fill};

/** A token with a number, of a holder with a number. */
typedef struct numbered {
    uint8_t id[ED_XNONCE_SIZE];
    uint8_t holder[ED_MAC_SIZE];
    ed_used_token token; /* points to the others */
} numbered;

static const ed_used_token *make(numbered *n, uint64_t id, uint64_t holder, uint64_t expires_s)
{
    ed_writer w = ed_writer_of(n->id, sizeof(n->id));

    ed_write_u64(&w, id);
    ed_write_zeros(&w, ed_writer_left(&w));
    w = ed_writer_of(n->holder, sizeof(n->holder));
    ed_write_u64(&w, holder);
    ed_write_zeros(&w, ed_writer_left(&w));
    n->token = (ed_used_token){.id = n->id, .holder = n->holder, .expires_s = expires_s};
    return &n->token;
}

static ed_used_verdict take(uint64_t id, uint64_t holder, uint64_t expires_s, uint64_t now_s)
{
    numbered n;
    const ed_used_token *token = make(&n, id, holder, expires_s);

    ed_used_verdict looked = ed_used_look(&used, token, now_s);
    CHECK_EQ("looking changes nothing", ed_used_look(&used, token, now_s), looked);
    ed_used_verdict verdict = ed_used_take(&used, token, now_s);
    CHECK_EQ("looking says what taking does", looked, verdict);
    return verdict;
}

static void open_table(size_t capacity)
{
    ed_counting_alloc_init(&memory, NULL);
    entropy_state = 1;
    CHECK_EQ("init", ed_used_init(&used, &memory.allocator, &entropy, capacity), EDDY_OK);
}

static void close_table(void)
{
    CHECK_EQ("nothing was taken after the start", memory.calls, 1);
    ed_used_free(&used);
    CHECK_EQ("memory left", memory.live_size, 0);
}

static void a_token_is_good_once(void **state)
{
    static const struct {
        const char *name;
        uint64_t id, holder;
        uint64_t now_s;
        ed_used_verdict want;
    } rows[] = {
        {"first", 1, 10, NOW_S, ED_USED_FRESH},
        {"the same holder again", 1, 10, NOW_S, ED_USED_TAKEN},
        {"and again, later", 1, 10, EXPIRES_S - 1, ED_USED_TAKEN},
        {"another holder", 1, 11, NOW_S, ED_USED_TAKEN},
        {"another token of that holder", 2, 10, NOW_S, ED_USED_FRESH},
        {"is noted, too", 2, 11, NOW_S, ED_USED_TAKEN},
        {"in its last second", 1, 11, EXPIRES_S - 1, ED_USED_TAKEN},
        {"expired: not fresh again", 1, 11, EXPIRES_S, ED_USED_TAKEN},
        {"nor for its first holder", 1, 10, EXPIRES_S, ED_USED_TAKEN},
        {"long expired", 1, 10, UINT64_MAX, ED_USED_TAKEN},
        {"came expired", 3, 10, EXPIRES_S, ED_USED_TAKEN},
        {"and was not noted", 3, 11, NOW_S, ED_USED_FRESH},
    };

    (void)state;
    open_table(SMALL);
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, take(rows[i].id, rows[i].holder, EXPIRES_S, rows[i].now_s),
                 rows[i].want);
    close_table();
}

static void every_byte_counts(void **state)
{
    numbered n;

    (void)state;
    open_table(SMALL);
    CHECK_EQ("taken", take(0, 0, EXPIRES_S, NOW_S), ED_USED_FRESH);
    for (size_t i = 0; i < ED_XNONCE_SIZE; i++) {
        const ed_used_token *token = make(&n, 0, 0, EXPIRES_S);
        n.id[i] ^= 1;
        CHECK_EQ("another id", ed_used_look(&used, token, NOW_S), ED_USED_FRESH);
    }
    for (size_t i = 0; i < ED_MAC_SIZE; i++) {
        const ed_used_token *token = make(&n, 0, 0, EXPIRES_S);
        n.holder[i] ^= 0x80;
        ed_used_forget(&used, token, NOW_S);
        CHECK_EQ("another holder", ed_used_look(&used, token, NOW_S), ED_USED_TAKEN);
    }
    close_table();
}

static void only_who_took_it_gives_it_back(void **state)
{
    numbered n;

    (void)state;
    open_table(SMALL);
    CHECK_EQ("taken", take(1, 10, EXPIRES_S, NOW_S), ED_USED_FRESH);
    ed_used_forget(&used, make(&n, 1, 11, EXPIRES_S), NOW_S);
    CHECK_EQ("another holder", take(1, 11, EXPIRES_S, NOW_S), ED_USED_TAKEN);
    ed_used_forget(&used, make(&n, 2, 10, EXPIRES_S), NOW_S);
    CHECK_EQ("another token", take(1, 11, EXPIRES_S, NOW_S), ED_USED_TAKEN);
    ed_used_forget(&used, make(&n, 1, 10, EXPIRES_S), NOW_S);
    CHECK_EQ("given back", take(1, 11, EXPIRES_S, NOW_S), ED_USED_FRESH);
    CHECK_EQ("to the other", take(1, 10, EXPIRES_S, NOW_S), ED_USED_TAKEN);
    close_table();
}

/** Takes tokens from `first` on until there is no room for one. @return how many were taken. */
static uint64_t take_until_full(uint64_t first, uint64_t expires_s, uint64_t now_s)
{
    for (uint64_t count = 0; count <= used.capacity; count++) {
        ed_used_verdict verdict = take(first + count, count, expires_s, now_s);
        if (verdict == ED_USED_FULL)
            return count;
        CHECK_EQ("there is room", verdict, ED_USED_FRESH);
    }
    fail_msg("more than there is room for");
    return 0;
}

static void a_full_table_refuses_and_forgets_nothing(void **state)
{
    (void)state;
    open_table(ED_USED_MAX);
    CHECK_EQ("32 bytes each", memory.live_size, 32 * ED_USED_MAX);
    uint64_t count = take_until_full(0, EXPIRES_S, NOW_S);
    CHECK("nearly all places are used", count > ED_USED_MAX / 10 * 9);
    CHECK_EQ("still none", take(count, 0, EXPIRES_S, NOW_S), ED_USED_FULL);
    for (uint64_t i = 0; i < count; i++)
        CHECK_EQ("still noted", take(i, i + 1, EXPIRES_S, EXPIRES_S - 1), ED_USED_TAKEN);
    // When their time is over, all places are free at once.
    uint64_t again = take_until_full(1 << 20, EXPIRES_S + 60, EXPIRES_S);
    CHECK("as many as before", again > ED_USED_MAX / 10 * 9);
    close_table();
}

static void one_place_is_enough(void **state)
{
    numbered n;

    (void)state;
    open_table(SMALL);
    uint64_t count = take_until_full(0, EXPIRES_S, NOW_S);
    CHECK_EQ("both buckets", count, SMALL);
    for (uint64_t i = 0; i < SMALL; i++) {
        ed_used_forget(&used, make(&n, i, i, EXPIRES_S), NOW_S);
        CHECK_EQ("the place that was left", take(100 + i, 1, EXPIRES_S, NOW_S), ED_USED_FRESH);
        CHECK_EQ("is taken", take(200 + i, 1, EXPIRES_S, NOW_S), ED_USED_FULL);
    }
    close_table();
}

/** The same by the plainest means: a note for each of few tokens. */
struct plain {
    uint64_t holder;
    uint64_t expires_s; /* 0: none */
};

static ed_used_verdict plain_take(struct plain *plain, uint64_t holder, uint64_t expires_s,
                                  uint64_t now_s)
{
    if (plain->expires_s > now_s)
        return ED_USED_TAKEN;
    if (expires_s <= now_s)
        return ED_USED_TAKEN;
    *plain = (struct plain){.holder = holder, .expires_s = expires_s};
    return ED_USED_FRESH;
}

static void random_calls_agree_with_the_plainest_table(void **state)
{
    struct plain plain[SMALL] = {{0}};
    uint64_t random = 7, now_s = 0;

    (void)state;
    open_table(SMALL);
    for (size_t step = 0; step < 100 * 1000; step++) {
        uint64_t dice = splitmix_next(&random);
        uint64_t id = dice % SMALL, holder = dice >> 8 & 1, expires_s = now_s + (dice >> 16 & 7);
        numbered n;
        now_s += (dice >> 24) % 4 == 0;
        if ((dice >> 32) % 8 == 0) {
            ed_used_forget(&used, make(&n, id, holder, expires_s), now_s);
            if (plain[id].holder == holder)
                plain[id].expires_s = 0;
            continue;
        }
        ed_used_verdict want = plain_take(&plain[id], holder, expires_s, now_s);
        CHECK_EQ("random calls", take(id, holder, expires_s, now_s), want);
    }
    close_table();
}

/** A clock that leaps ahead makes room where notes are, and set back makes their tokens good again.
 */
static void a_clock_set_back_makes_no_token_fresh(void **state)
{
    enum { LEAP_S = EXPIRES_S + 3600, LATE_S = LEAP_S + 60 };
    static const struct {
        const char *name;
        uint64_t first, expires_s;
        ed_used_verdict want;
    } rows[] = {
        {"used before the leap", 0, EXPIRES_S, ED_USED_TAKEN},
        {"never used, but as old", 2000, EXPIRES_S, ED_USED_TAKEN},
        {"younger", 3000, EXPIRES_S + 1, ED_USED_FRESH},
        {"used while the clock was wrong", 1000, LATE_S, ED_USED_TAKEN},
    };

    (void)state;
    for (size_t row = 0; row < ED_COUNT(rows); row++) {
        open_table(SMALL);
        for (uint64_t i = 0; i < SMALL / 2; i++)
            CHECK_EQ("before", take(i, 0, EXPIRES_S, NOW_S), ED_USED_FRESH);
        for (uint64_t i = 0; i < SMALL / 2; i++)
            CHECK_EQ("meanwhile", take(1000 + i, 0, LATE_S, LEAP_S), ED_USED_FRESH);
        for (uint64_t i = 0; i < SMALL / 2 && i < used.capacity; i++)
            CHECK_EQ(rows[row].name, take(rows[row].first + i, 1, rows[row].expires_s, NOW_S),
                     rows[row].want);
        close_table();
    }
}

static void without_memory_there_is_no_table(void **state)
{
    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    memory.fail_after = 0;
    CHECK_EQ("init", ed_used_init(&used, &memory.allocator, &entropy, SMALL), EDDY_ENOMEM);
    ed_used_free(&used);
    ed_used_free(&used);
    CHECK_EQ("memory left", memory.live_size, 0);
}

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_good_once),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(only_who_took_it_gives_it_back),
        cmocka_unit_test(a_full_table_refuses_and_forgets_nothing),
        cmocka_unit_test(one_place_is_enough),
        cmocka_unit_test(random_calls_agree_with_the_plainest_table),
        cmocka_unit_test(a_clock_set_back_makes_no_token_fresh),
        cmocka_unit_test(without_memory_there_is_no_table),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
