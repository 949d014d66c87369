#include "tests/support/check.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/thread.h"

static void memory_is_zeroed_aligned_and_its_own(void **state)
{
    static const size_t sizes[] = {1, 7, 8, 15, 16, 17, 24, 100, 1000, 4096, 100000};
    const eddy_allocator *allocator = ed_alloc_default();

    (void)state;
    for (size_t i = 0; i < 4 * ED_COUNT(sizes); i++) {
        size_t size = sizes[i % ED_COUNT(sizes)];
        uint8_t *memory = ed_alloc_zeroed(allocator, size);
        CHECK("got", memory != NULL);
        CHECK_EQ("aligned", (uintptr_t)memory % 16, 0);
        for (size_t at = 0; at < size; at++)
            CHECK_EQ("zero", memory[at], 0);
        memset(memory, 0xa5, size); // the next block of this size must be zeroed again
        ed_alloc_free(allocator, memory, size);
    }
    ed_alloc_free(allocator, NULL, 0);
}

static void an_array_that_wraps_is_refused(void **state)
{
    static const struct {
        const char *name;
        size_t count;
        size_t size;
        bool good;
    } rows[] = {
        {"one", 1, 1, true},
        {"hundred", 10, 10, true},
        {"wraps to 0", SIZE_MAX / 2 + 1, 2, false},
        {"wraps to 1", SIZE_MAX, SIZE_MAX, false},
        {"wraps to small", SIZE_MAX / 8 + 2, 8, false},
    };
    ed_counting_alloc counting;

    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        void *memory = ed_alloc_array(&counting.allocator, rows[i].count, rows[i].size);
        CHECK_EQ(rows[i].name, memory != NULL, rows[i].good);
        CHECK_EQ(rows[i].name, counting.live_size, rows[i].good ? rows[i].count * rows[i].size : 0);
        ed_alloc_free(&counting.allocator, memory, rows[i].count * rows[i].size);
    }
    CHECK_EQ("asked for", counting.calls, 2);
}

static void growing_keeps_the_old_part_and_zeroes_the_new(void **state)
{
    ed_counting_alloc counting;

    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    uint8_t *memory = ed_alloc_grow(&counting.allocator, NULL, 0, 8);
    CHECK("from nothing", memory != NULL);
    memset(memory, 7, 8);
    counting.fail_after = 0;
    CHECK("out of memory", ed_alloc_grow(&counting.allocator, memory, 8, 64) == NULL);
    CHECK_EQ("the old one stays", memory[7], 7);
    counting.fail_after = UINT64_MAX;
    memory = ed_alloc_grow(&counting.allocator, memory, 8, 64);
    CHECK("larger", memory != NULL);
    for (size_t i = 0; i < 64; i++)
        CHECK_EQ("content", memory[i], i < 8 ? 7 : 0);
    CHECK_EQ("the old one is freed", counting.live_count, 1);
    ed_alloc_free(&counting.allocator, memory, 64);
}

static void counts_tell_what_lives_and_what_ever_lived(void **state)
{
    /* Of each step: a size above 0 allocates, below 0 frees the oldest block of that size. */
    static const struct {
        const char *name;
        int size;
        uint64_t calls, live_count, live_size, peak_size;
    } rows[] = {
        {"first", 100, 1, 1, 100, 100},       {"second", 50, 2, 2, 150, 150},
        {"first back", -100, 2, 1, 50, 150},  {"third, lower", 60, 3, 2, 110, 150},
        {"fourth, peak", 41, 4, 3, 151, 151}, {"second back", -50, 4, 2, 101, 151},
        {"third back", -60, 4, 1, 41, 151},   {"all back", -41, 4, 0, 0, 151},
    };
    void *blocks[128] = {NULL};
    ed_counting_alloc counting;

    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        size_t size = (size_t)(rows[i].size < 0 ? -rows[i].size : rows[i].size);
        if (rows[i].size > 0)
            blocks[size] = ed_alloc_zeroed(&counting.allocator, size);
        else
            ed_alloc_free(&counting.allocator, blocks[size], size);
        CHECK_EQ(rows[i].name, counting.calls, rows[i].calls);
        CHECK_EQ(rows[i].name, counting.live_count, rows[i].live_count);
        CHECK_EQ(rows[i].name, counting.live_size, rows[i].live_size);
        CHECK_EQ(rows[i].name, counting.peak_size, rows[i].peak_size);
    }
    CHECK_EQ("failures", counting.failures, 0);
    CHECK_EQ("none was asked to fail", counting.fail_after, UINT64_MAX);
}

static void it_fails_on_request_and_goes_on_failing(void **state)
{
    static const uint64_t after[] = {0, 1, 5};
    ed_counting_alloc counting;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(after); i++) {
        ed_counting_alloc_init(&counting, NULL);
        counting.fail_after = after[i];
        for (uint64_t call = 0; call < 10; call++) {
            void *memory = ed_alloc_zeroed(&counting.allocator, 32);
            CHECK_EQ("succeeds", memory != NULL, call < after[i]);
            ed_alloc_free(&counting.allocator, memory, 32);
        }
        CHECK_EQ("failures", counting.failures, 10 - after[i]);
        CHECK_EQ("calls", counting.calls, after[i]);
        CHECK_EQ("live", counting.live_size, 0);
    }
}

enum { ROUNDS = 2000 };

static void allocate_and_free(void *context)
{
    ed_counting_alloc *counting = context;

    for (size_t i = 1; i <= ROUNDS; i++)
        ed_alloc_free(&counting->allocator, ed_alloc_zeroed(&counting->allocator, i), i);
}

static void several_threads_may_count(void **state)
{
    ed_counting_alloc counting;
    ed_thread threads[3];

    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    counting.fail_after = 2 * ROUNDS;
    for (size_t i = 0; i < ED_COUNT(threads); i++)
        CHECK_EQ("start", ed_thread_start(&threads[i], "alloc", allocate_and_free, &counting), 0);
    for (size_t i = 0; i < ED_COUNT(threads); i++)
        ed_thread_join(&threads[i]);
    CHECK_EQ("calls", counting.calls, 2 * ROUNDS);
    CHECK_EQ("failures", counting.failures, ROUNDS);
    CHECK_EQ("live", counting.live_size, 0);
    CHECK_EQ("live", counting.live_count, 0);
    CHECK("peak", counting.peak_size >= ROUNDS / 2 && counting.peak_size <= 3 * ROUNDS);
}

static void free_with_a_larger_size(ed_counting_alloc *counting)
{
    ed_alloc_free(&counting->allocator, ed_alloc_zeroed(&counting->allocator, 8), 9);
}

static void free_what_was_never_taken(ed_counting_alloc *counting)
{
    ed_alloc_free(&counting->allocator, counting, 8);
}

static void ask_for_nothing(ed_counting_alloc *counting)
{
    (void)ed_alloc_zeroed(&counting->allocator, 0);
}

static void grow_to_the_same_size(ed_counting_alloc *counting)
{
    (void)ed_alloc_grow(&counting->allocator, counting, 8, 8);
}

static void nothing_wrong(ed_counting_alloc *counting)
{
    ed_alloc_free(&counting->allocator, ed_alloc_zeroed(&counting->allocator, 8), 8);
}

static void a_wrong_belief_aborts(void **state)
{
    static const struct {
        const char *name;
        void (*act)(ed_counting_alloc *counting);
        bool dies;
    } rows[] = {
        {"larger size", free_with_a_larger_size, true},
        {"never taken", free_what_was_never_taken, true},
        {"nothing asked", ask_for_nothing, true},
        {"no growth", grow_to_the_same_size, true},
        {"control", nothing_wrong, false},
    };
    ed_counting_alloc counting;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            signal(SIGABRT, SIG_DFL); // cmocka's own would report a failure
            CHECK("quiet", freopen("/dev/null", "w", stderr) != NULL);
            ed_counting_alloc_init(&counting, NULL);
            rows[i].act(&counting);
            _exit(0);
        }
        CHECK_EQ(rows[i].name, waitpid(child, &status, 0), child);
        CHECK_EQ(rows[i].name, WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, rows[i].dies);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_its_own),
        cmocka_unit_test(an_array_that_wraps_is_refused),
        cmocka_unit_test(growing_keeps_the_old_part_and_zeroes_the_new),
        cmocka_unit_test(counts_tell_what_lives_and_what_ever_lived),
        cmocka_unit_test(it_fails_on_request_and_goes_on_failing),
        cmocka_unit_test(several_threads_may_count),
        cmocka_unit_test(a_wrong_belief_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
