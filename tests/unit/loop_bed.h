/** A loop for a test, and what it leaves behind. */
#ifndef ED_LOOP_BED_H
#define ED_LOOP_BED_H

#include <fcntl.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/loop.h"
#include "core/thread.h"
#include "tests/support/memory.h"
#include "tests/support/seeds.h"

enum {
    MANY = 200, /* more descriptors than are told at once, more posts than are run */
};

static eddy_loop *loop;
static unsigned calls;

static inline int open_loop(void **state)
{
    calls = 0;
    loop = NULL;
    return open_memory(state) == 0 && eddy_loop_create(&loop, &memory.allocator) == EDDY_OK ? 0
                                                                                            : -1;
}

static inline int close_loop(void **state)
{
    CHECK_EQ("destroy", eddy_loop_destroy(loop), EDDY_OK);
    return close_memory(state);
}

/** A test with a loop of its own. */
#define WITH_LOOP(TEST) cmocka_unit_test_setup_teardown(TEST, open_loop, close_loop)

static inline void count_call(void *context)
{
    (void)context;
    calls++;
}

static inline void open_pipe(int ends[2])
{
    CHECK_EQ("pipe", pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
}

static inline void close_pipe(const int ends[2])
{
    (void)close(ends[0]);
    (void)close(ends[1]);
}

#endif
