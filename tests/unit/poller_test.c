/** What waits for descriptors: epoll and poll say the same. */
#include "tests/unit/loop_bed.h"

/** What a poller says of one descriptor. */
static unsigned events_of(ed_poller *poller, const void *owner)
{
    ed_ready ready[ED_READY_MAX];
    size_t count = ed_poller_wait(poller, ready, 0);

    CHECK("no other", count <= 1);
    CHECK("its owner", count == 0 || ready[0].owner == owner);
    return count == 0 ? 0 : ready[0].events;
}

static void says_what_is_ready(ed_poller *poller)
{
    int ends[2];
    int owner = 0;

    open_pipe(ends);
    CHECK_EQ("add", ed_poller_add(poller, ends[0], EDDY_FD_READABLE, &owner), EDDY_OK);
    CHECK_EQ("empty", events_of(poller, &owner), 0);
    CHECK_EQ("write", write(ends[1], "x", 1), 1);
    CHECK_EQ("full", events_of(poller, &owner), EDDY_FD_READABLE);
    CHECK_EQ("still", events_of(poller, &owner), EDDY_FD_READABLE);
    CHECK_EQ("twice", ed_poller_add(poller, ends[0], EDDY_FD_READABLE, &owner), EDDY_EEXIST);
    ed_poller_remove(poller, ends[0]);
    CHECK_EQ("removed", events_of(poller, &owner), 0);
    CHECK_EQ("writable", ed_poller_add(poller, ends[1], EDDY_FD_WRITABLE, &owner), EDDY_OK);
    CHECK_EQ("is", events_of(poller, &owner), EDDY_FD_WRITABLE);
    CHECK_EQ("change", ed_poller_change(poller, ends[1], EDDY_FD_READABLE, &owner), EDDY_OK);
    CHECK_EQ("not readable", events_of(poller, &owner), 0);
    (void)close(ends[0]);
    CHECK("an error is told", events_of(poller, &owner) != 0);
    ed_poller_remove(poller, ends[1]);
    ed_poller_remove(poller, ends[1]);
    (void)close(ends[1]);
    CHECK_EQ("closed", ed_poller_add(poller, ends[1], EDDY_FD_READABLE, &owner), EDDY_EINVAL);
    CHECK_EQ("none", ed_poller_add(poller, -1, EDDY_FD_READABLE, &owner), EDDY_EINVAL);
}

static void each_has_its_turn(ed_poller *poller)
{
    static int ends[MANY][2];
    static bool seen[MANY];
    size_t count = 0;

    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < MANY; i++) {
        open_pipe(ends[i]);
        CHECK_EQ("write", write(ends[i][1], "x", 1), 1);
        CHECK_EQ("add", ed_poller_add(poller, ends[i][0], EDDY_FD_READABLE, &ends[i]), EDDY_OK);
    }
    for (size_t wait = 0; wait < MANY / ED_READY_MAX + 1; wait++) {
        ed_ready ready[ED_READY_MAX];
        size_t told = ed_poller_wait(poller, ready, ED_NEVER_NS);
        for (size_t i = 0; i < told; i++)
            seen[(int(*)[2])ready[i].owner - ends] = true;
    }
    for (size_t i = 0; i < MANY; i++) {
        count += seen[i];
        ed_poller_remove(poller, ends[i][0]);
        close_pipe(ends[i]);
    }
    CHECK_EQ("all", count, MANY);
}

static void both_kinds_of_poller_agree(void **state)
{
    static void (*const kinds[])(ed_poller *, const eddy_allocator *) = {ed_poller_init,
                                                                         ed_poller_init_poll};
    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    for (size_t i = 0; i < ED_COUNT(kinds); i++) {
        ed_poller poller;
        kinds[i](&poller, &memory.allocator);
        says_what_is_ready(&poller);
        each_has_its_turn(&poller);
        ed_poller_reset(&poller);
    }
    CHECK_EQ("leaked", memory.live_count, 0);
}

static void a_lack_of_memory_is_a_status(void **state)
{
    static int ends[MANY][2];
    ed_poller poller;
    size_t added = 0;

    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    memory.fail_after = 4; // room for a while
    ed_poller_init_poll(&poller, &memory.allocator);
    open_pipe(ends[added]);
    while (ed_poller_add(&poller, ends[added][0], EDDY_FD_READABLE, &poller) == EDDY_OK)
        open_pipe(ends[++added]);
    CHECK_EQ("as it was", poller.count, added);
    CHECK_EQ("nothing is ready", ed_poller_wait(&poller, (ed_ready[ED_READY_MAX]){{0}}, 0), 0);
    for (size_t i = 0; i <= added; i++)
        close_pipe(ends[i]);
    ed_poller_reset(&poller);
    CHECK_EQ("leaked", memory.live_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kinds_of_poller_agree),
        cmocka_unit_test(a_lack_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
