/** The stop token: who hears it, when, and that signal handlers may say it. */
#include "tests/support/check.h"

#include <poll.h>
#include <signal.h>

#include "core/base.h"
#include "core/clock.h"
#include "core/eddy_loop.h"
#include "core/thread.h"
#include "tests/support/memory.h"

enum {
    ROUNDS = 200,
    LISTENERS = 3,
};

static eddy_stop *create(void)
{
    eddy_stop *stop = NULL;

    CHECK_EQ("create", eddy_stop_create(&stop, &memory.allocator), EDDY_OK);
    return stop;
}

static bool is_readable(const eddy_stop *stop)
{
    struct pollfd entry = {.fd = eddy_stop_fd(stop), .events = POLLIN};

    return poll(&entry, 1, 0) == 1;
}

static void says_it_once_and_goes_on_saying_it(void **state)
{
    eddy_stop *stop = create();

    (void)state;
    for (int i = 0; i < 2; i++) {
        CHECK("not yet", !eddy_stop_requested(stop) && !is_readable(stop));
        CHECK("nor after a look", !eddy_stop_wait(stop, 0));
        CHECK_EQ("no reason", eddy_stop_reason(stop), 0);
        CHECK_EQ("no end", eddy_stop_left_ms(stop), EDDY_FOREVER);
    }
    CHECK("the first", eddy_stop_request(stop, 15, 60 * 1000));
    CHECK("not the second", !eddy_stop_request(stop, 2, 0));
    for (int i = 0; i < 2; i++) {
        CHECK("said", eddy_stop_requested(stop) && is_readable(stop));
        CHECK("to who waits", eddy_stop_wait(stop, EDDY_FOREVER));
        CHECK_EQ("the first reason", eddy_stop_reason(stop), 15);
        CHECK("the first grace", eddy_stop_left_ms(stop) > 50 * 1000);
        CHECK("which is over one day", eddy_stop_left_ms(stop) <= 60 * 1000);
    }
    eddy_stop_disown(stop);
}

static void the_grace_is_what_was_granted(void **state)
{
    static const struct {
        const char *name;
        uint32_t grace_ms;
        uint32_t least_ms, most_ms;
    } rows[] = {
        {"none", 0, 0, 0},
        {"an hour", 3600 * 1000, 3000 * 1000, 3600 * 1000},
        {"the longest", EDDY_FOREVER - 1, EDDY_FOREVER - 600 * 1000, EDDY_FOREVER - 1},
        {"no limit", EDDY_FOREVER, EDDY_FOREVER, EDDY_FOREVER},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_stop *stop = create();
        CHECK(rows[i].name, eddy_stop_request(stop, 0, rows[i].grace_ms));
        uint32_t left_ms = eddy_stop_left_ms(stop);
        CHECK(rows[i].name, left_ms >= rows[i].least_ms && left_ms <= rows[i].most_ms);
        eddy_stop_disown(stop);
    }
}

static void counts_its_subscribers(void **state)
{
    eddy_stop *stop = create();

    (void)state;
    CHECK_EQ("an owner is none", eddy_stop_subscribers(stop), 0);
    eddy_stop_subscribe(stop);
    eddy_stop_subscribe(stop);
    CHECK_EQ("two", eddy_stop_subscribers(stop), 2);
    eddy_stop_unsubscribe(stop);
    CHECK_EQ("one", eddy_stop_subscribers(stop), 1);
    (void)eddy_stop_request(stop, 1, 0);
    eddy_stop_subscribe(stop);
    CHECK_EQ("a late one", eddy_stop_subscribers(stop), 2);
    CHECK("hears it", eddy_stop_requested(stop) && eddy_stop_wait(stop, 0));
    eddy_stop_unsubscribe(stop);
    eddy_stop_unsubscribe(stop);
    CHECK_EQ("none", eddy_stop_subscribers(stop), 0);
    eddy_stop_disown(stop);
}

static void the_last_owner_stops_as_it_leaves(void **state)
{
    eddy_stop *stop = create();

    (void)state;
    eddy_stop_own(stop);
    eddy_stop_subscribe(stop);
    eddy_stop_disown(stop);
    CHECK("one is left", !eddy_stop_requested(stop));
    eddy_stop_disown(stop);
    CHECK("none is", eddy_stop_requested(stop) && is_readable(stop));
    CHECK_EQ("why", eddy_stop_reason(stop), EDDY_STOP_ABANDONED);
    CHECK_EQ("no grace", eddy_stop_left_ms(stop), 0);
    CHECK("said by another before", !eddy_stop_request(stop, 1, 0));
    eddy_stop_unsubscribe(stop);
}

static void nobody_is_fine(void **state)
{
    (void)state;
    eddy_stop_own(NULL);
    CHECK_EQ("owner", eddy_stop_disown(NULL), EDDY_OK);
    eddy_stop_subscribe(NULL);
    CHECK_EQ("subscriber", eddy_stop_unsubscribe(NULL), EDDY_OK);
}

static void who_has_not_come_cannot_leave(void **state)
{
    eddy_stop *stop = create();

    (void)state;
    CHECK_EQ("no subscriber", eddy_stop_unsubscribe(stop), EDDY_ESTATE);
    CHECK("nor is it a stop", !eddy_stop_requested(stop));
    eddy_stop_subscribe(stop);
    CHECK_EQ("owner", eddy_stop_disown(stop), EDDY_OK);
    CHECK_EQ("no other", eddy_stop_disown(stop), EDDY_ESTATE);
    CHECK_EQ("subscriber", eddy_stop_unsubscribe(stop), EDDY_OK);
}

static void a_wait_ends_at_its_time(void **state)
{
    eddy_stop *stop = create();
    uint64_t before_ns = ed_clock_now_ns();

    (void)state;
    CHECK("in vain", !eddy_stop_wait(stop, 2));
    CHECK("not early", ed_clock_now_ns() - before_ns >= 2 * ED_NS_PER_MS);
    eddy_stop_disown(stop);
}

static void no_memory_makes_no_token(void **state)
{
    eddy_stop *stop = NULL;

    (void)state;
    memory.fail_after = 0;
    CHECK_EQ("status", eddy_stop_create(&stop, &memory.allocator), EDDY_ENOMEM);
    CHECK("untouched", stop == NULL);
}

/* --------------------------------------------------------------------- signals and threads -- */

static eddy_stop *handled;

static void on_signal(int number)
{
    (void)eddy_stop_request(handled, number, 0);
}

static void a_signal_handler_may_request(void **state)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction before;

    (void)state;
    handled = create();
    sigemptyset(&action.sa_mask);
    CHECK_EQ("install", sigaction(SIGUSR1, &action, &before), 0);
    CHECK_EQ("raise", raise(SIGUSR1), 0);
    CHECK("heard", eddy_stop_wait(handled, EDDY_FOREVER));
    CHECK_EQ("by number", eddy_stop_reason(handled), SIGUSR1);
    CHECK_EQ("restore", sigaction(SIGUSR1, &before, NULL), 0);
    eddy_stop_disown(handled);
}

typedef struct crowd {
    eddy_stop *stop;
    _Atomic unsigned firsts;
    _Atomic unsigned heard;
} crowd;

static void listen(void *context)
{
    crowd *c = context;

    if (eddy_stop_wait(c->stop, EDDY_FOREVER) && eddy_stop_reason(c->stop) == 7)
        c->heard++;
    eddy_stop_unsubscribe(c->stop);
}

static void speak(void *context)
{
    crowd *c = context;

    c->firsts += eddy_stop_request(c->stop, 7, EDDY_FOREVER);
    eddy_stop_disown(c->stop);
}

static void every_thread_hears_and_one_is_first(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        crowd c = {.stop = create()};
        ed_thread listeners[LISTENERS];
        ed_thread speakers[2];
        eddy_stop_own(c.stop);
        for (size_t i = 0; i < LISTENERS; i++) {
            eddy_stop_subscribe(c.stop);
            CHECK_EQ("start", ed_thread_start(&listeners[i], "listener", listen, &c), EDDY_OK);
        }
        for (size_t i = 0; i < ED_COUNT(speakers); i++)
            CHECK_EQ("start", ed_thread_start(&speakers[i], "speaker", speak, &c), EDDY_OK);
        for (size_t i = 0; i < LISTENERS; i++)
            ed_thread_join(&listeners[i]);
        for (size_t i = 0; i < ED_COUNT(speakers); i++)
            ed_thread_join(&speakers[i]);
        CHECK_EQ("heard", c.heard, LISTENERS);
        CHECK_EQ("firsts", c.firsts, 1);
        CHECK_EQ("freed", memory.live_count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MEMORY(says_it_once_and_goes_on_saying_it),
        WITH_MEMORY(the_grace_is_what_was_granted),
        WITH_MEMORY(counts_its_subscribers),
        WITH_MEMORY(the_last_owner_stops_as_it_leaves),
        WITH_MEMORY(nobody_is_fine),
        WITH_MEMORY(who_has_not_come_cannot_leave),
        WITH_MEMORY(a_wait_ends_at_its_time),
        WITH_MEMORY(no_memory_makes_no_token),
        WITH_MEMORY(a_signal_handler_may_request),
        WITH_MEMORY(every_thread_hears_and_one_is_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
