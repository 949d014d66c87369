/** A counting allocator for each test, of which nothing may be left. */
#ifndef ED_TEST_MEMORY_H
#define ED_TEST_MEMORY_H

#include "core/alloc.h"
#include "tests/support/check.h"

static ed_counting_alloc memory;

static inline int open_memory(void **state)
{
    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    return 0;
}

static inline int close_memory(void **state)
{
    (void)state;
    CHECK_EQ("leaked", memory.live_count, 0);
    return 0;
}

/** A test that leaves nothing. */
#define WITH_MEMORY(TEST) cmocka_unit_test_setup_teardown(TEST, open_memory, close_memory)

#endif
