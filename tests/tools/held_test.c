/** tools/held.h: what waits comes out in order, for each connection alone. */
#include "core/alloc.h"
#include "core/base.h"
#include "tests/support/check.h"
#include "tools/held.h"

static eddy_event message(eddy_connection connection, size_t size)
{
    return (eddy_event){.type = EDDY_MESSAGE, .connection = connection, .message.size = size};
}

static void push(ed_held *held, eddy_connection connection, size_t size)
{
    eddy_event event = message(connection, size);

    CHECK("pushed", ed_held_push(held, &event));
}

static void test_each_connection_has_its_own_order(void **state)
{
    (void)state;
    static const struct {
        eddy_connection connection;
        size_t size;
    } pops[] = {{8, 20}, {7, 10}, {7, 11}, {8, 21}, {7, 12}};
    ed_held held;

    ed_held_init(&held, ed_alloc_default());
    CHECK_EQ("nobody waits", ed_held_any(&held), 0);
    CHECK("nothing waits", ed_held_first(&held, 7) == NULL);
    push(&held, 7, 10);
    push(&held, 8, 20);
    push(&held, 7, 11);
    push(&held, 7, 12);
    push(&held, 8, 21);
    CHECK("a third waits for nothing", ed_held_first(&held, 9) == NULL);
    for (size_t i = 0; i < ED_COUNT(pops); i++) {
        CHECK("somebody waits", ed_held_any(&held) != 0);
        CHECK_EQ("first", ed_held_first(&held, pops[i].connection)->message.size, pops[i].size);
        eddy_event event = ed_held_pop(&held, pops[i].connection);
        CHECK_EQ("popped", event.message.size, pops[i].size);
        CHECK_EQ("connection", event.connection, pops[i].connection);
    }
    CHECK_EQ("nobody waits any more", ed_held_any(&held), 0);
    push(&held, 8, 22);
    CHECK_EQ("it can wait again", ed_held_any(&held), 8);
    (void)ed_held_pop(&held, 8);
}

/** With room for 0, 1 or 2 allocations: the entry, and the queue if it is the first. */
static void test_without_memory_nothing_changes(void **state)
{
    (void)state;
    ed_counting_alloc memory;
    ed_held held;
    eddy_event event = message(7, 1);

    ed_counting_alloc_init(&memory, NULL);
    ed_held_init(&held, &memory.allocator);
    for (uint64_t room = 0; room < 2; room++) {
        memory.fail_after = room;
        CHECK("refused", !ed_held_push(&held, &event));
        CHECK_EQ("nobody waits", ed_held_any(&held), 0);
        CHECK_EQ("nothing is kept", memory.live_count, 0);
    }
    memory.fail_after = 2;
    CHECK("taken", ed_held_push(&held, &event));
    CHECK("the second is refused", !ed_held_push(&held, &event));
    (void)ed_held_pop(&held, 7);
    CHECK_EQ("nothing is left", memory.live_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_connection_has_its_own_order),
        cmocka_unit_test(test_without_memory_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
