/** eddy_wait: a program that polls itself sleeps until there is something to do. */
#include "tests/support/check.h"

#include "core/thread.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"

enum {
    LONG_MS = 20 * 1000, /* nobody is to sleep for so long */
    SHORT_MS = 5,
};

static eddy_manager *open_at_loopback(bool pump, bool accept)
{
    eddy_config config = accept ? ed_cluster_server_config() : ed_cluster_client_config();
    eddy_manager *manager = NULL;

    config.bind = "127.0.0.1:0";
    config.pump = pump;
    CHECK_EQ("open", eddy_open(&manager, &config), EDDY_OK);
    return manager;
}

static void who_cannot_wait_is_told(void **state)
{
    eddy_config config = ed_cluster_client_config();
    ed_world *world = ed_world_create(ed_alloc_default(), 1);
    eddy_address address = {.family = EDDY_FAMILY_IPV4, .ip = {10, 0, 0, 1}, .port = 1};
    eddy_manager *pumped = open_at_loopback(true, false), *simulated = NULL;
    eddy_socket socket;

    (void)state;
    CHECK("host", ed_world_socket(world, &address, &socket) != NULL);
    config.socket = &socket;
    CHECK_EQ("open", eddy_open(&simulated, &config), EDDY_OK);
    CHECK_EQ("with a pump", eddy_wait(pumped, 0), EDDY_ESTATE);
    CHECK_EQ("a socket that cannot", eddy_wait(simulated, 0), EDDY_ESUPPORT);
    eddy_close(pumped, 0);
    eddy_close(simulated, 0);
    ed_world_destroy(world);
}

static void a_time_is_waited_and_no_longer(void **state)
{
    eddy_manager *manager = open_at_loopback(false, false);

    (void)state;
    (void)eddy_poll(manager, eddy_now_ns());
    uint64_t began_ns = eddy_now_ns();
    CHECK_EQ("nothing comes", eddy_wait(manager, SHORT_MS), EDDY_OK);
    CHECK("so long", eddy_now_ns() - began_ns >= (SHORT_MS - 1) * ED_NS_PER_MS);
    eddy_close(manager, 0);
}

/** Two that poll and wait, and never sleep through what comes. @return the dialler's end. */
static eddy_connection connect_both(eddy_manager *const both[2])
{
    eddy_address server = eddy_local_address(both[0]);
    eddy_connection dialled = 0;
    eddy_event event;
    size_t connected = 0;

    CHECK_EQ("dial", eddy_connect_address(both[1], &server, ed_test_options(), &dialled), EDDY_OK);
    CHECK_EQ("what was said is to be done", eddy_wait(both[1], LONG_MS), EDDY_OK);
    (void)eddy_poll(both[1], eddy_now_ns());
    for (size_t turn = 0; connected < 2; turn++) {
        eddy_manager *manager = both[turn % 2];
        CHECK_EQ("wait", eddy_wait(manager, LONG_MS), EDDY_OK);
        (void)eddy_poll(manager, eddy_now_ns());
        while (eddy_next(manager, &event, 0) == EDDY_OK) {
            connected += event.type == EDDY_CONNECTED ? 1 : 0;
            eddy_release(manager, &event);
        }
    }
    return dialled;
}

static void what_comes_wakes(void **state)
{
    eddy_manager *both[] = {open_at_loopback(false, true), open_at_loopback(false, false)};
    uint64_t began_ns = eddy_now_ns();

    (void)state;
    (void)connect_both(both);
    CHECK("at once", eddy_now_ns() - began_ns < LONG_MS / 2 * ED_NS_PER_MS);
    eddy_close(both[0], 0);
    eddy_close(both[1], 0);
}

static uint64_t received(eddy_manager *manager)
{
    eddy_socket_stats stats;

    eddy_get_socket_stats(manager, &stats);
    return stats.received_datagrams;
}

/** What is sent after a poll leaves by a flush, which looks for nothing that has come. */
static void a_flush_sends_and_takes_nothing_in(void **state)
{
    eddy_manager *both[] = {open_at_loopback(false, true), open_at_loopback(false, false)};
    eddy_connection dialled = connect_both(both);
    uint64_t server_got = received(both[0]);

    (void)state;
    CHECK_EQ("send", eddy_send(both[1], dialled, EDDY_RELIABLE_ORDERED, 0, "hello", 5), EDDY_OK);
    uint64_t now_ns = eddy_now_ns();
    CHECK("more to do later", eddy_flush(both[1], now_ns) > now_ns);
    CHECK_EQ("it is there", eddy_wait(both[0], LONG_MS), EDDY_OK);
    (void)eddy_flush(both[0], eddy_now_ns());
    CHECK_EQ("and not taken in", received(both[0]), server_got);
    (void)eddy_poll(both[0], eddy_now_ns());
    CHECK("until a poll", received(both[0]) > server_got);
    eddy_close(both[0], 0);
    eddy_close(both[1], 0);
}

static void shut_down(void *context)
{
    eddy_shutdown(context, 0);
}

static void another_thread_wakes(void **state)
{
    eddy_manager *manager = open_at_loopback(false, false);
    eddy_event event;
    ed_thread thread;

    (void)state;
    (void)eddy_poll(manager, eddy_now_ns());
    CHECK_EQ("thread", ed_thread_start(&thread, "shuts down", shut_down, manager), EDDY_OK);
    uint64_t began_ns = eddy_now_ns();
    while (eddy_next(manager, &event, 0) != EDDY_ECLOSED) {
        CHECK_EQ("wait", eddy_wait(manager, LONG_MS), EDDY_OK);
        (void)eddy_poll(manager, eddy_now_ns());
    }
    CHECK("at once", eddy_now_ns() - began_ns < LONG_MS / 2 * ED_NS_PER_MS);
    ed_thread_join(&thread);
    eddy_close(manager, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_cannot_wait_is_told),
        cmocka_unit_test(a_time_is_waited_and_no_longer),
        cmocka_unit_test(what_comes_wakes),
        cmocka_unit_test(a_flush_sends_and_takes_nothing_in),
        cmocka_unit_test(another_thread_wakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
