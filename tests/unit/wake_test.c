/** The wake descriptor, and threads and the clock under it. */
#include "tests/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "core/base.h"
#include "core/clock.h"
#include "core/thread.h"
#include "core/wake.h"

enum {
    SETS_MANY = 100 * 1000, /* more than a pipe holds */
};

static bool readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

/** What ed_wake_init makes where there is no eventfd. */
static void open_pipe(ed_wake *wake)
{
    int ends[2];

    CHECK_EQ("pipe", pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    *wake = (ed_wake){.read_fd = ends[0], .write_fd = ends[1]};
}

static void open_default(ed_wake *wake)
{
    CHECK_EQ("init", ed_wake_init(wake), EDDY_OK);
}

static void sets_and_clears(void **state)
{
    static const struct {
        const char *name;
        void (*open)(ed_wake *wake);
        int sets;
        int clears;
        bool want;
    } rows[] = {
        {"new", open_default, 0, 0, false},
        {"cleared without a set", open_default, 0, 1, false},
        {"set", open_default, 1, 0, true},
        {"set many times", open_default, SETS_MANY, 0, true},
        {"one clear undoes many sets", open_default, SETS_MANY, 1, false},
        {"cleared twice", open_default, 1, 2, false},
        {"pipe, new", open_pipe, 0, 0, false},
        {"pipe, cleared without a set", open_pipe, 0, 1, false},
        {"pipe, set", open_pipe, 1, 0, true},
        {"pipe, exactly one read full", open_pipe, 8, 1, false},
        {"pipe, full", open_pipe, SETS_MANY, 0, true},
        {"pipe, one clear undoes many sets", open_pipe, SETS_MANY, 1, false},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_wake wake;
        rows[i].open(&wake);
        for (int n = 0; n < rows[i].sets; n++)
            ed_wake_set(&wake);
        for (int n = 0; n < rows[i].clears; n++)
            ed_wake_clear(&wake);
        CHECK_EQ(rows[i].name, readable(wake.read_fd), rows[i].want);
        ed_wake_set(&wake);
        CHECK(rows[i].name, readable(wake.read_fd));
        ed_wake_destroy(&wake);
        CHECK_EQ(rows[i].name, wake.read_fd, -1);
    }
}

static void is_closed_on_exec_and_never_blocks(void **state)
{
    ed_wake wake;

    (void)state;
    open_default(&wake);
    CHECK("read end", (fcntl(wake.read_fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK("write end", (fcntl(wake.write_fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK("read end", (fcntl(wake.read_fd, F_GETFL) & O_NONBLOCK) != 0);
    CHECK("write end", (fcntl(wake.write_fd, F_GETFL) & O_NONBLOCK) != 0);
    ed_wake_destroy(&wake);
}

static void set_leaves_errno_alone(void **state)
{
    ed_wake wake;

    (void)state;
    open_pipe(&wake);
    errno = ENOTTY;
    for (int n = 0; n < SETS_MANY; n++) // the last ones fail with EAGAIN inside
        ed_wake_set(&wake);
    CHECK_EQ("errno", errno, ENOTTY);
    ed_wake_destroy(&wake);
}

static void set_from_thread(void *context)
{
    ed_wake_set(context);
}

static void wakes_a_thread_that_polls(void **state)
{
    ed_wake wake;
    ed_thread thread;

    (void)state;
    open_default(&wake);
    CHECK_EQ("start", ed_thread_start(&thread, "eddy-setter", set_from_thread, &wake), EDDY_OK);
    struct pollfd poll_fd = {.fd = wake.read_fd, .events = POLLIN};
    CHECK_EQ("poll", poll(&poll_fd, 1, -1), 1);
    ed_thread_join(&thread);
    ed_wake_destroy(&wake);
}

static void clock_does_not_go_back(void **state)
{
    uint64_t before_ns = ed_clock_now_ns();

    (void)state;
    for (int n = 0; n < 1000; n++) {
        uint64_t now_ns = ed_clock_now_ns();
        CHECK("clock", now_ns >= before_ns);
        before_ns = now_ns;
    }
}

static void condition_waits_until_its_deadline(void **state)
{
    ed_mutex mutex;
    ed_condition condition;

    (void)state;
    CHECK_EQ("mutex", ed_mutex_init(&mutex), EDDY_OK);
    CHECK_EQ("condition", ed_condition_init(&condition), EDDY_OK);
    uint64_t deadline_ns = ed_clock_now_ns() + 2 * ED_NS_PER_MS;
    ed_mutex_lock(&mutex);
    while (ed_clock_now_ns() < deadline_ns) // it may wake for no reason
        ed_condition_wait(&condition, &mutex, deadline_ns);
    ed_condition_wait(&condition, &mutex, 1); // long past: returns at once
    ed_mutex_unlock(&mutex);
    ed_condition_destroy(&condition);
    ed_mutex_destroy(&mutex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_and_clears),
        cmocka_unit_test(is_closed_on_exec_and_never_blocks),
        cmocka_unit_test(set_leaves_errno_alone),
        cmocka_unit_test(wakes_a_thread_that_polls),
        cmocka_unit_test(clock_does_not_go_back),
        cmocka_unit_test(condition_waits_until_its_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
