#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "core/thread.h"
#include "transport/slots.h"

static ed_counting_alloc counting;
static ed_slots *slots;

static void open_slots(uint32_t outgoing, uint32_t incoming)
{
    ed_counting_alloc_init(&counting, NULL);
    slots = ed_slots_create(&counting.allocator, outgoing, incoming);
    CHECK("slots", slots != NULL);
}

static int teardown(void **state)
{
    (void)state;
    ed_slots_destroy(slots);
    slots = NULL;
    return counting.live_count == 0 ? 0 : -1;
}

/** Each side has slots of its own, lowest first, and no more than it was given. */
static void the_split(void **state)
{
    enum { OUTGOING = 3, INCOMING = 5 };

    (void)state;
    open_slots(OUTGOING, INCOMING);
    CHECK_EQ("count", ed_slots_count(slots), OUTGOING + INCOMING);
    for (uint32_t i = 0; i < INCOMING; i++)
        CHECK_EQ("incoming", ed_slot_of(ed_slots_take_incoming(slots)), OUTGOING + i);
    CHECK_EQ("no more incoming", ed_slots_take_incoming(slots), 0);
    for (uint32_t i = 0; i < OUTGOING; i++)
        CHECK_EQ("outgoing", ed_slot_of(ed_slots_take_outgoing(slots)), i);
    CHECK_EQ("no more outgoing", ed_slots_take_outgoing(slots), 0);
}

static void a_side_without_slots(void **state)
{
    (void)state;
    open_slots(0, 1);
    CHECK_EQ("none outgoing", ed_slots_take_outgoing(slots), 0);
    CHECK("one incoming", ed_slots_take_incoming(slots) != 0);
    ed_slots_destroy(slots);
    open_slots(1, 0);
    CHECK_EQ("none incoming", ed_slots_take_incoming(slots), 0);
    CHECK("one outgoing", ed_slots_take_outgoing(slots) != 0);
}

/** Who has said its last word is sent nothing, and keeps its slot until all of it is over. */
static void a_mute_one_stays(void **state)
{
    (void)state;
    open_slots(0, 1);
    eddy_connection handle = ed_slots_take_incoming(slots);
    CHECK("takes", ed_slots_takes(slots, handle));
    ed_slots_mute(slots, handle);
    CHECK("takes no more", !ed_slots_takes(slots, handle));
    CHECK("lives", ed_slots_live(slots, handle));
    ed_slots_forget(slots, handle);
    CHECK_EQ("its slot", ed_slots_take_incoming(slots), 0);
    ed_slots_end(slots, handle);
    eddy_connection next = ed_slots_take_incoming(slots);
    CHECK("another's", next != 0 && ed_slots_takes(slots, next));
    CHECK("not the first one's", !ed_slots_takes(slots, handle));
}

/** What is dialled is found, and sent to, only when the manager has been told to dial. */
static void a_hidden_one_is_not_found(void **state)
{
    (void)state;
    open_slots(1, 0);
    eddy_connection handle = ed_slots_take_outgoing(slots);
    CHECK("lives", ed_slots_live(slots, handle));
    CHECK("takes nothing yet", !ed_slots_takes(slots, handle));
    CHECK_EQ("is not found", ed_slots_handle(slots, 0), 0);
    ed_slots_show(slots, handle);
    CHECK("takes", ed_slots_takes(slots, handle));
    CHECK_EQ("is found", ed_slots_handle(slots, 0), handle);
    ed_slots_give(slots, handle);
    eddy_connection next = ed_slots_take_outgoing(slots);
    ed_slots_show(slots, handle); // late, and not about the next one
    ed_slots_show(slots, 0);
    CHECK("the next is hidden", !ed_slots_takes(slots, next));
}

/** A slot that was given back is the last to be taken again. */
static void a_slot_rests(void **state)
{
    static const uint32_t give[] = {2, 0, 3};
    eddy_connection handle[4];

    (void)state;
    open_slots(0, 5);
    for (size_t i = 0; i < ED_COUNT(handle); i++)
        handle[i] = ed_slots_take_incoming(slots);
    for (size_t i = 0; i < ED_COUNT(give); i++)
        ed_slots_give(slots, handle[give[i]]);
    CHECK_EQ("the one never used", ed_slot_of(ed_slots_take_incoming(slots)), 4);
    for (size_t i = 0; i < ED_COUNT(give); i++)
        CHECK_EQ("in the order of giving", ed_slot_of(ed_slots_take_incoming(slots)), give[i]);
    CHECK_EQ("all taken", ed_slots_take_incoming(slots), 0);
}

/** A slot is free when its connection is over and the program has heard so, whichever is first. */
static void free_when_both_are_done(void **state)
{
    typedef void (*done)(ed_slots *, eddy_connection);
    static const struct {
        const char *name;
        done first, second;
        bool live_between;
    } rows[] = {
        {"over first", ed_slots_end, ed_slots_forget, false},
        {"heard of first", ed_slots_forget, ed_slots_end, true},
    };

    (void)state;
    open_slots(1, 1);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].name, ed_slots_left_incoming(slots), 1);
        eddy_connection in = ed_slots_take_incoming(slots);
        eddy_connection out = ed_slots_take_outgoing(slots);
        CHECK(rows[i].name, !ed_slots_is_outgoing(slots, in) && ed_slots_is_outgoing(slots, out));
        rows[i].first(slots, in);
        rows[i].first(slots, out);
        CHECK_EQ(rows[i].name, ed_slots_live(slots, in), rows[i].live_between);
        CHECK_EQ(rows[i].name, ed_slots_live(slots, out), rows[i].live_between);
        CHECK_EQ(rows[i].name, ed_slots_left_incoming(slots), 0);
        CHECK_EQ(rows[i].name, ed_slots_take_incoming(slots), 0);
        CHECK_EQ(rows[i].name, ed_slots_take_outgoing(slots), 0);
        rows[i].second(slots, in);
        CHECK(rows[i].name, !ed_slots_live(slots, in));
        CHECK_EQ(rows[i].name, ed_slots_take_outgoing(slots), 0);
        rows[i].second(slots, out);
    }
    CHECK_EQ("a new use", ed_slots_take_incoming(slots) >> 32, 2 * ED_COUNT(rows) + 1);
    CHECK("is live", ed_slots_live(slots, ed_slots_take_outgoing(slots)));
}

static void stale_handles(void **state)
{
    (void)state;
    open_slots(1, 1);
    eddy_connection first = ed_slots_take_outgoing(slots);
    CHECK("taken", ed_slots_live(slots, first));
    ed_slots_give(slots, first);
    CHECK("given back", !ed_slots_live(slots, first));
    eddy_connection second = ed_slots_take_outgoing(slots);
    CHECK_EQ("the same slot", ed_slot_of(second), ed_slot_of(first));
    CHECK("another handle", second != first);
    CHECK("the old one is stale", !ed_slots_live(slots, first));
    CHECK("the new one is not", ed_slots_live(slots, second));

    const struct {
        const char *name;
        eddy_connection handle;
    } rows[] = {
        {"0", 0},
        {"slot 0 without a generation", 1},
        {"the free state", second + (UINT64_C(1) << 32)},
        {"the next use", second + (UINT64_C(2) << 32)},
        {"a slot that is free", UINT64_C(1) << 32 | 2},
        {"a slot that is not there", UINT64_C(1) << 32 | 3},
        {"the last slot of all", UINT64_C(1) << 32 | UINT32_MAX},
        {"all bits", UINT64_MAX},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK(rows[i].name, !ed_slots_live(slots, rows[i].handle));
}

/** The wire's id of a connection: shard, slot and generation apart; it changes with each use. */
static void wire_ids(void **state)
{
    (void)state;
    open_slots(0, 1);
    ed_slots_join(slots, 0x5a, NULL);
    uint32_t previous = UINT32_MAX;
    for (unsigned use = 0; use < 300; use++) {
        eddy_connection handle = ed_slots_take_incoming(slots);
        uint32_t id = ed_wire_id_of(handle);
        CHECK_EQ("shard", id & 0xff, 0x5a);
        CHECK_EQ("slot", ed_slot_of_wire_id(id), 0);
        CHECK_EQ("use", id >> 24, use & 0xff);
        CHECK("changes", id != previous);
        previous = id;
        ed_slots_give(slots, handle);
    }
    CHECK_EQ("the highest slot", ed_slot_of_wire_id(ed_wire_id_of(UINT64_C(1) << 32 | 65000)),
             64999);
}

/** One request, one answer; and none for another use of the slot. */
static void requests(void **state)
{
    (void)state;
    open_slots(0, 1);
    eddy_connection first = ed_slots_take_incoming(slots);
    CHECK("not asked", !ed_slots_answer(slots, first));
    ed_slots_ask(slots, first);
    CHECK("another use", !ed_slots_answer(slots, first + (UINT64_C(2) << 32)));
    CHECK("another slot", !ed_slots_answer(slots, first + 1));
    CHECK("the answer", ed_slots_answer(slots, first));
    CHECK("only once", !ed_slots_answer(slots, first));
    ed_slots_ask_again(slots, first);
    CHECK("taken back", ed_slots_answer(slots, first));

    // An answer is taken back when the slot is another's already.
    ed_slots_give(slots, first);
    eddy_connection second = ed_slots_take_incoming(slots);
    ed_slots_ask(slots, second);
    ed_slots_ask_again(slots, first);
    CHECK("the old one", !ed_slots_answer(slots, first));
    CHECK("the new one", ed_slots_answer(slots, second));
}

/** A pointer belongs to one use of a slot; it can be read on while the slot rests. */
static void data(void **state)
{
    int one = 1, two = 2;

    (void)state;
    open_slots(1, 1);
    eddy_connection first = ed_slots_take_outgoing(slots);
    CHECK("none", ed_slots_data(slots, first) == NULL);
    CHECK("live", ed_slots_set_data(slots, first, &one));
    CHECK("set", ed_slots_data(slots, first) == &one);
    CHECK("the next use", !ed_slots_set_data(slots, first + (UINT64_C(2) << 32), &two));
    CHECK("the free state", !ed_slots_set_data(slots, first + (UINT64_C(1) << 32), &two));
    CHECK("nobody", !ed_slots_set_data(slots, 0, &two) && ed_slots_data(slots, 0) == NULL);
    CHECK("no such slot", ed_slots_data(slots, first + 2) == NULL);

    ed_slots_end(slots, first);
    CHECK("over", !ed_slots_set_data(slots, first, &two));
    CHECK("the last word", ed_slots_data(slots, first) == &one);
    ed_slots_forget(slots, first);
    CHECK("stale", ed_slots_data(slots, first) == NULL && !ed_slots_set_data(slots, first, &two));
    eddy_connection second = ed_slots_take_outgoing(slots);
    CHECK("anew", ed_slots_data(slots, second) == NULL);
    CHECK("stale", ed_slots_data(slots, first) == NULL);
    ed_slots_give(slots, second);
}

static void handle_of_a_slot(void **state)
{
    (void)state;
    open_slots(1, 1);
    CHECK("free", ed_slots_handle(slots, 0) == 0 && ed_slots_handle(slots, 1) == 0);
    eddy_connection handle = ed_slots_take_incoming(slots);
    CHECK_EQ("taken", ed_slots_handle(slots, 1), handle);
    CHECK_EQ("the other", ed_slots_handle(slots, 0), 0);
    ed_slots_end(slots, handle);
    CHECK_EQ("not forgotten", ed_slots_handle(slots, 1), handle);
    ed_slots_forget(slots, handle);
    CHECK_EQ("free again", ed_slots_handle(slots, 1), 0);
}

/** Slots of two shards share a quota; a handle is good in its own shard alone. */
static void two_shards(void **state)
{
    enum { EACH = 3, QUOTA = 4 };
    ed_quota quota;
    eddy_connection first[EACH];

    (void)state;
    open_slots(1, EACH);
    ed_slots *other = ed_slots_create(&counting.allocator, 0, EACH);
    CHECK("the other's", other != NULL);
    ed_quota_init(&quota, QUOTA);
    ed_slots_join(slots, 0, &quota);
    ed_slots_join(other, 1, &quota);
    for (size_t i = 0; i < EACH; i++)
        first[i] = ed_slots_take_incoming(slots);
    CHECK_EQ("its own are taken", ed_slots_left_incoming(slots), 0);
    CHECK_EQ("what the quota leaves", ed_slots_left_incoming(other), 1);
    eddy_connection last = ed_slots_take_incoming(other);
    CHECK_EQ("its shard", ed_shard_of(last), 1);
    CHECK_EQ("all are taken", ed_slots_take_incoming(other), 0);
    CHECK("live where it is", ed_slots_live(other, last) && !ed_slots_live(slots, last));
    CHECK("not there",
          !ed_slots_live(other, first[0]) && !ed_slots_set_data(other, first[0], NULL));
    CHECK("no data of another", ed_slots_data(slots, last) == NULL);

    ed_slots_give(slots, first[0]);
    CHECK("another's turn", ed_slots_take_incoming(other) != 0);
    CHECK_EQ("and not this one's", ed_slots_take_incoming(slots), 0);
    CHECK("outgoing ones are not counted", ed_slots_take_outgoing(slots) != 0);
    ed_slots_destroy(other);
}

static void out_of_memory(void **state)
{
    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    for (uint64_t after = 0; after < 7; after++) {
        counting.fail_after = after;
        CHECK("none", ed_slots_create(&counting.allocator, 3, 3) == NULL);
        CHECK_EQ("nothing left", counting.live_count, 0);
    }
    counting.fail_after = UINT64_MAX;
    open_slots(3, 3);
}

/* ---------------------------------------------------------------------------------- threads -- */

enum { THREAD_ROUNDS = 20000, THREAD_SLOTS = 4 };

struct taker {
    ed_thread thread;
    uint64_t taken;
    uint32_t last_generation[THREAD_SLOTS];
    bool is_wrong;
};

/** Takes and gives; what it holds is live, and a slot's generation only grows. */
static void take_and_give(void *context)
{
    struct taker *taker = context;

    for (unsigned round = 0; round < THREAD_ROUNDS; round++) {
        eddy_connection handle = ed_slots_take_outgoing(slots);
        if (handle == 0)
            continue;
        uint32_t slot = ed_slot_of(handle);
        uint32_t generation = (uint32_t)(handle >> 32);
        taker->is_wrong |= slot >= THREAD_SLOTS || !ed_slots_live(slots, handle) ||
                           generation <= taker->last_generation[slot % THREAD_SLOTS];
        taker->last_generation[slot % THREAD_SLOTS] = generation;
        // The pointer of this use of the slot is here until the slot is given back, and no longer.
        taker->is_wrong |= ed_slots_data(slots, handle) != NULL;
        taker->is_wrong |= !ed_slots_set_data(slots, handle, taker);
        taker->is_wrong |= ed_slots_data(slots, handle) != taker;
        taker->taken++;
        ed_slots_give(slots, handle);
        taker->is_wrong |= ed_slots_live(slots, handle);
        taker->is_wrong |= ed_slots_set_data(slots, handle, taker);
    }
}

static void two_threads(void **state)
{
    struct taker takers[2] = {0};
    uint64_t taken = 0;
    uint64_t generations = 0;

    (void)state;
    open_slots(THREAD_SLOTS, 0);
    for (size_t i = 0; i < ED_COUNT(takers); i++)
        CHECK_EQ("start", ed_thread_start(&takers[i].thread, "taker", take_and_give, &takers[i]),
                 EDDY_OK);
    for (size_t i = 0; i < ED_COUNT(takers); i++) {
        ed_thread_join(&takers[i].thread);
        CHECK("all was well", !takers[i].is_wrong);
        taken += takers[i].taken;
    }
    for (size_t i = 0; i < THREAD_SLOTS; i++)
        generations += ed_slots_take_outgoing(slots) >> 33;
    CHECK_EQ("each use counted once", generations, taken);
    CHECK_EQ("none is lost", ed_slots_take_outgoing(slots), 0);
}

enum { HANDLES = 20000 };

static eddy_connection handles[HANDLES];

static void end_all(void *context)
{
    (void)context;
    for (size_t i = 0; i < HANDLES; i++)
        ed_slots_end(slots, handles[i]);
}

static void forget_all(void *context)
{
    (void)context;
    for (size_t i = 0; i < HANDLES; i++)
        ed_slots_forget(slots, handles[i]);
}

/** The manager ends what the program forgets, at the same time: each slot is freed, once. */
static void one_ends_and_one_forgets(void **state)
{
    ed_thread threads[2];

    (void)state;
    open_slots(HANDLES, 0);
    for (size_t i = 0; i < HANDLES; i++)
        handles[i] = ed_slots_take_outgoing(slots);
    CHECK_EQ("start", ed_thread_start(&threads[0], "ends", end_all, NULL), EDDY_OK);
    CHECK_EQ("start", ed_thread_start(&threads[1], "forgets", forget_all, NULL), EDDY_OK);
    for (size_t i = 0; i < ED_COUNT(threads); i++)
        ed_thread_join(&threads[i]);
    for (size_t i = 0; i < HANDLES; i++)
        CHECK_EQ("free again", ed_slots_take_outgoing(slots) >> 32, 3);
    CHECK_EQ("none twice", ed_slots_take_outgoing(slots), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_split, teardown),
        cmocka_unit_test_teardown(a_side_without_slots, teardown),
        cmocka_unit_test_teardown(a_mute_one_stays, teardown),
        cmocka_unit_test_teardown(a_hidden_one_is_not_found, teardown),
        cmocka_unit_test_teardown(a_slot_rests, teardown),
        cmocka_unit_test_teardown(free_when_both_are_done, teardown),
        cmocka_unit_test_teardown(stale_handles, teardown),
        cmocka_unit_test_teardown(wire_ids, teardown),
        cmocka_unit_test_teardown(requests, teardown),
        cmocka_unit_test_teardown(data, teardown),
        cmocka_unit_test_teardown(handle_of_a_slot, teardown),
        cmocka_unit_test_teardown(two_shards, teardown),
        cmocka_unit_test_teardown(out_of_memory, teardown),
        cmocka_unit_test_teardown(two_threads, teardown),
        cmocka_unit_test_teardown(one_ends_and_one_forgets, teardown),
    };
    return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
