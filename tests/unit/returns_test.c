#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "core/channel.h"
#include "core/clock.h"
#include "core/thread.h"
#include "transport/returns.h"
#include "transport/slots.h"

static ed_counting_alloc counting;
static ed_pool *pool;
static ed_returns returns;

static int setup(void **state)
{
    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    pool = ed_pool_create(&counting.allocator, 1 << 20);
    returns = (ed_returns){.newest = NULL};
    return pool != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ed_returns_free(&returns);
    size_t charged = ed_pool_charged(pool);
    ed_pool_destroy(pool);
    return charged == 0 && counting.live_count == 0 ? 0 : -1;
}

static ed_block *numbered(uint64_t number)
{
    ed_block *block = ed_pool_take(pool, 8);

    CHECK("block", block != NULL);
    block->note = number;
    return block;
}

/** Pushes so many at once. @return whether somebody is to be woken. */
static bool push_from(uint64_t number, size_t count)
{
    ed_returned returned = ed_returned_alone(numbered(number));

    for (size_t i = 1; i < count; i++)
        ed_returned_add(&returned, numbered(number + i));
    return ed_returns_push(&returns, &returned);
}

static void push(uint64_t number)
{
    CHECK("nobody waits", !push_from(number, 1));
}

/** Takes all and checks that they are `first` and those after it. @return how many. */
static uint64_t take_from(uint64_t first)
{
    ed_block *next = NULL;
    uint64_t number = first;

    for (ed_block *block = ed_returns_take(&returns); block != NULL; block = next) {
        next = block->next;
        CHECK_EQ("oldest first", block->note, number);
        number++;
        ed_pool_give(block);
    }
    return number - first;
}

static void all_come_at_once_and_in_order(void **state)
{
    (void)state;
    CHECK_EQ("nothing", take_from(0), 0);
    for (uint64_t n = 0; n < 5; n++)
        push(n);
    CHECK_EQ("five", take_from(0), 5);
    CHECK_EQ("no more", take_from(0), 0);
    push(5);
    CHECK_EQ("one", take_from(5), 1);
    CHECK("three at once", !push_from(6, 3));
    push(9);
    CHECK("two at once", !push_from(10, 2));
    CHECK_EQ("all of them", take_from(6), 6);
    push(6);
    push(7); // what is left goes back to the pool at the end
}

static void who_waits_is_woken_once(void **state)
{
    (void)state;
    CHECK("nothing came", !ed_returns_came(&returns));
    push(0);
    CHECK("nobody waits for it", !ed_returns_came(&returns));
    ed_returns_await(&returns);
    CHECK("it came before", ed_returns_came(&returns));
    CHECK_EQ("one", take_from(0), 1);
    CHECK("not yet", !ed_returns_came(&returns));
    CHECK("wake", push_from(1, 1));
    push(2);
    CHECK("whoever was told and has not looked does so", ed_returns_came(&returns));
    CHECK_EQ("both", take_from(1), 2);
    CHECK("looked", !ed_returns_came(&returns));
    push(5);
    CHECK("nobody waits for that", !ed_returns_came(&returns));
    CHECK_EQ("nor was told", take_from(5), 1);
    ed_returns_await(&returns);
    ed_returns_await(&returns);
    CHECK("wake again", push_from(3, 1));
    push(4);
}

static void what_is_urgent_is_told(void **state)
{
    ed_returned urgent = ed_returned_alone(numbered(0));

    (void)state;
    ed_returns_push_urgent(&returns, &urgent);
    CHECK("told", ed_returns_came(&returns));
    push(1);
    CHECK_EQ("both", take_from(0), 2);
    CHECK("looked", !ed_returns_came(&returns));
    push(0); // what is left goes back to the pool at the end
    CHECK("nobody waits for that", !ed_returns_came(&returns));
}

static void a_block_says_whose_it_is(void **state)
{
    static const eddy_connection rows[] = {
        0,
        UINT64_C(1) << 32 | 1,
        UINT64_C(7) << 32 | ED_SLOTS_MAX,
        UINT64_C(0xffffffff) << 32 | 0xffff,
        UINT64_C(7) << 32 | UINT64_C(255) << 16 | 1,
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_block *block = numbered(0xfe04);
        for (int twice = 0; twice < 2; twice++) {
            ed_return_mark(block, rows[i]);
            CHECK_EQ("connection", ed_return_connection(block, ed_shard_of(rows[i])), rows[i]);
            CHECK_EQ("stream and guarantee", block->note & 0xffff, 0xfe04);
        }
        CHECK("not its last", !ed_return_is_last(block));
        ed_return_mark_last(block, rows[i]);
        CHECK("its last", ed_return_is_last(block));
        CHECK_EQ("connection", ed_return_connection(block, ed_shard_of(rows[i])), rows[i]);
        ed_pool_give(block);
    }
}

/* ---------------------------------------------------------------------------------- threads -- */

enum { PUSHERS = 2, EACH = 20000, LIMIT_S = 30 };

struct pusher {
    ed_thread thread;
    ed_channel *wakes;
    uint64_t id;
};

static void run_pusher(void *context)
{
    struct pusher *pusher = context;
    uint8_t wake = 1;

    for (uint64_t n = 0; n < EACH; n++) {
        ed_block *block = NULL;
        while ((block = ed_pool_take(pool, 8)) == NULL)
            continue; // the budget is used up until the other end gives some back
        block->note = pusher->id << 32 | n;
        ed_returned alone = ed_returned_alone(block);
        if (ed_returns_push(&returns, &alone))
            (void)!ed_channel_push(pusher->wakes, &wake, 1);
    }
}

/** Sleeps as a manager would, until there is something. */
static ed_block *take_or_sleep(ed_channel *wakes)
{
    uint8_t wake = 0;
    size_t count = 0;
    ed_block *list = NULL;

    while ((list = ed_returns_take(&returns)) == NULL) {
        ed_returns_await(&returns);
        if (ed_returns_came(&returns))
            continue;
        uint64_t until_ns = ed_clock_now_ns() + LIMIT_S * ED_NS_PER_S;
        CHECK_EQ("woken", ed_channel_pull(wakes, &wake, 1, &count, until_ns), EDDY_OK);
    }
    return list;
}

/** Nothing is lost, each thread's come in its order, and nobody sleeps while something waits. */
static void several_threads_push(void **state)
{
    struct pusher pushers[PUSHERS];
    uint64_t next[PUSHERS] = {0};
    ed_channel *wakes = ed_channel_create(ed_alloc_default(), 1, NULL, NULL);

    (void)state;
    CHECK("channel", wakes != NULL);
    for (uint64_t i = 0; i < PUSHERS; i++) {
        pushers[i] = (struct pusher){.wakes = wakes, .id = i};
        CHECK_EQ("start", ed_thread_start(&pushers[i].thread, "pusher", run_pusher, &pushers[i]),
                 EDDY_OK);
    }
    for (uint64_t taken = 0; taken < (uint64_t)PUSHERS * EACH;) {
        ed_block *following = NULL;
        for (ed_block *block = take_or_sleep(wakes); block != NULL; block = following, taken++) {
            following = block->next;
            uint64_t id = block->note >> 32;
            CHECK_EQ("in order", block->note & UINT32_MAX, next[id]);
            next[id]++;
            ed_pool_give(block);
        }
    }
    for (size_t i = 0; i < PUSHERS; i++)
        ed_thread_join(&pushers[i].thread);
    ed_channel_leave_sender(wakes);
    ed_channel_leave_receiver(wakes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_come_at_once_and_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(who_waits_is_woken_once, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_urgent_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_block_says_whose_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(several_threads_push, setup, teardown),
    };
    return cmocka_run_group_tests_name("returns", tests, NULL, NULL);
}
