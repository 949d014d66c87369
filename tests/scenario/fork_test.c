/** A child of the process has no part in its parent's connections: every call there says so. */
#include "tests/support/check.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base.h"
#include "core/eddy.h"
#include "tests/support/keys.h"

enum { LIMIT_S = 10, WAIT_MS = 5000 };

static eddy_manager *server;
static eddy_manager *client;
static eddy_connection connection; /* the client's */
static eddy_event held;            /* a message that the client has not released */
static bool wipes_on_fork;         /* the system's kernel does */

/** An older kernel does not know how to. */
int __real_madvise(void *memory, size_t size, int advice);
int __wrap_madvise(void *memory, size_t size, int advice);
int __wrap_madvise(void *memory, size_t size, int advice)
{
    if (advice != MADV_WIPEONFORK || wipes_on_fork)
        return __real_madvise(memory, size, advice);
    errno = EINVAL;
    return -1;
}

static eddy_status call_connect(void)
{
    eddy_connection other = 0;
    return eddy_connect(client, "127.0.0.1:9", ed_test_key_text(), &other);
}

static eddy_status call_connect_with(void)
{
    eddy_connection other = 0;
    return eddy_connect_with(client, "127.0.0.1:9", ed_test_options(), &other);
}

static eddy_status call_connect_pair(void)
{
    eddy_connection a = 0, b = 0;
    return eddy_connect_pair(client, &a, &b);
}

static eddy_status call_accept(void)
{
    return eddy_accept(client, connection);
}

static eddy_status call_refuse(void)
{
    return eddy_refuse(client, connection, 0, NULL);
}

static eddy_status call_send(void)
{
    return eddy_send(client, connection, EDDY_RELIABLE_ORDERED, 0, "x", 1);
}

static eddy_status call_broadcast(void)
{
    eddy_status status = EDDY_OK;
    return eddy_broadcast(client, &connection, 1, EDDY_UNRELIABLE, 0, "x", 1, &status) == 0
               ? status
               : EDDY_OK;
}

static eddy_status call_set_stream(void)
{
    return eddy_set_stream(client, connection, 0, &(eddy_stream_options){.priority = 1});
}

static eddy_status call_set_rate(void)
{
    return eddy_set_rate(client, connection, 0);
}

static eddy_status call_disconnect(void)
{
    return eddy_disconnect(client, connection, 0, "", 0);
}

static eddy_status call_next(void)
{
    eddy_event event;
    return eddy_next(client, &event, 100);
}

static eddy_status call_await(void)
{
    eddy_event event;
    return eddy_await(client, EDDY_MESSAGE, &event, 100);
}

static eddy_status call_set_data(void)
{
    return eddy_set_connection_data(client, connection, NULL);
}

static eddy_status call_peer_address(void)
{
    eddy_address address;
    return eddy_peer_address(client, connection, &address);
}

static eddy_status call_clock(void)
{
    eddy_peer_time time;
    return eddy_clock(client, connection, 0, &time);
}

static eddy_status call_connection_stats(void)
{
    eddy_connection_stats stats;
    return eddy_get_connection_stats(client, connection, &stats);
}

static eddy_status call_stream_stats(void)
{
    eddy_stream_stats stats;
    return eddy_get_stream_stats(client, connection, EDDY_UNRELIABLE, 0, &stats);
}

static eddy_status call_close(void)
{
    return eddy_close(client, 0);
}

static eddy_status call_connections(void)
{
    eddy_connection handle = 0;
    return eddy_connections(client, &handle, 1) == 0 ? EDDY_EFORKED : EDDY_OK;
}

static eddy_status call_connection_state(void)
{
    return eddy_connection_state(client, connection) == EDDY_STATE_NONE ? EDDY_EFORKED : EDDY_OK;
}

static eddy_status call_next_batch(void)
{
    eddy_event event;
    return eddy_next_batch(client, &event, 1) == 0 ? EDDY_EFORKED : EDDY_OK;
}

/* What returns no status is safe, and says what says nothing. */

static eddy_status call_get_stats(void)
{
    eddy_stats stats, none = {0};
    eddy_get_stats(client, &stats);
    return memcmp(&stats, &none, sizeof(none)) == 0 ? EDDY_EFORKED : EDDY_OK;
}

static eddy_status call_get_refusals(void)
{
    uint64_t counts[EDDY_CHECK_COUNT] = {7}, none[EDDY_CHECK_COUNT] = {0};
    eddy_get_refusals(client, counts);
    return memcmp(counts, none, sizeof(none)) == 0 ? EDDY_EFORKED : EDDY_OK;
}

static eddy_status call_get_socket_stats(void)
{
    eddy_socket_stats stats, none = {0};
    eddy_get_socket_stats(client, &stats);
    return memcmp(&stats, &none, sizeof(none)) == 0 ? EDDY_EFORKED : EDDY_OK;
}

static eddy_status call_release(void)
{
    eddy_release(client, &held);
    return held.type == EDDY_EVENT_NONE ? EDDY_EFORKED : EDDY_OK;
}

static eddy_status call_event_fd(void)
{
    return eddy_event_fd(client) < 0 ? EDDY_EFORKED : EDDY_OK;
}

static eddy_status call_poll(void)
{
    return eddy_poll(client, eddy_now_ns()) == UINT64_MAX ? EDDY_EFORKED : EDDY_OK;
}

static eddy_status call_flush(void)
{
    return eddy_flush(client, eddy_now_ns()) == UINT64_MAX ? EDDY_EFORKED : EDDY_OK;
}

static eddy_status call_shutdown(void)
{
    eddy_shutdown(client, 0);
    return EDDY_EFORKED;
}

static eddy_status call_public_key(void)
{
    eddy_key key = eddy_public_key(server); // is none of the secrets
    return memcmp(&key, ed_test_public(), sizeof(key)) == 0 ? EDDY_EFORKED : EDDY_OK;
}

static const struct {
    const char *name;
    eddy_status (*call)(void);
} calls[] = {
    {"eddy_connect", call_connect},
    {"eddy_connect_with", call_connect_with},
    {"eddy_connect_pair", call_connect_pair},
    {"eddy_accept", call_accept},
    {"eddy_refuse", call_refuse},
    {"eddy_send", call_send},
    {"eddy_broadcast", call_broadcast},
    {"eddy_set_stream", call_set_stream},
    {"eddy_set_rate", call_set_rate},
    {"eddy_disconnect", call_disconnect},
    {"eddy_next", call_next},
    {"eddy_next_batch", call_next_batch},
    {"eddy_await", call_await},
    {"eddy_set_connection_data", call_set_data},
    {"eddy_peer_address", call_peer_address},
    {"eddy_clock", call_clock},
    {"eddy_connections", call_connections},
    {"eddy_connection_state", call_connection_state},
    {"eddy_get_connection_stats", call_connection_stats},
    {"eddy_get_stream_stats", call_stream_stats},
    {"eddy_close", call_close},
    {"eddy_get_stats", call_get_stats},
    {"eddy_get_refusals", call_get_refusals},
    {"eddy_get_socket_stats", call_get_socket_stats},
    {"eddy_release", call_release},
    {"eddy_event_fd", call_event_fd},
    {"eddy_poll", call_poll},
    {"eddy_flush", call_flush},
    {"eddy_shutdown", call_shutdown},
    {"eddy_public_key", call_public_key},
};

static eddy_connection await_connected(eddy_manager *manager)
{
    eddy_event event;

    CHECK_EQ("connected", eddy_await(manager, EDDY_CONNECTED, &event, WAIT_MS), EDDY_OK);
    eddy_connection handle = event.connection;
    eddy_release(manager, &event);
    return handle;
}

/** A server and a client with pumps, connected over loopback; a message waits at the client. */
static void open_pair(void)
{
    eddy_config config = eddy_config_default();
    char host_port[EDDY_ADDRESS_TEXT_SIZE];

    config.bind = "127.0.0.1:0";
    CHECK_EQ("client", eddy_open(&client, &config), EDDY_OK);
    config.accept = true;
    config.secret_key = ed_test_secret();
    CHECK_EQ("server", eddy_open(&server, &config), EDDY_OK);
    eddy_address address = eddy_local_address(server);
    CHECK_EQ("connect",
             eddy_connect(client, eddy_address_print(&address, host_port), ed_test_key_text(),
                          &connection),
             EDDY_OK);
    (void)await_connected(client);
    eddy_connection there = await_connected(server);
    CHECK_EQ("send", eddy_send(server, there, EDDY_RELIABLE_ORDERED, 0, "held", 4), EDDY_OK);
    CHECK_EQ("held", eddy_await(client, EDDY_MESSAGE, &held, WAIT_MS), EDDY_OK);
    CHECK_EQ("send", eddy_send(server, there, EDDY_RELIABLE_ORDERED, 0, "waits", 5), EDDY_OK);
    struct pollfd waits = {.fd = eddy_event_fd(client), .events = POLLIN};
    CHECK_EQ("comes", poll(&waits, 1, WAIT_MS), 1);
}

/** What the call says in a child: the status, less its sign. A child that hangs is ended. */
static int in_child(eddy_status (*call)(void))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        signal(SIGABRT, SIG_DFL); // cmocka's own would report a failure
        (void)alarm(LIMIT_S);
        _exit(-(int)call());
    }
    CHECK_EQ("child", waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check_message(eddy_manager *manager, const char *text)
{
    eddy_event event;

    CHECK_EQ(text, eddy_await(manager, EDDY_MESSAGE, &event, WAIT_MS), EDDY_OK);
    CHECK_EQ(text, event.message.size, strlen(text));
    CHECK_BYTES(text, event.message.data, text, strlen(text));
    eddy_release(manager, &event);
}

/** And of what it tried the parent notices nothing. */
static void check_child(void)
{
    open_pair();
    for (size_t i = 0; i < ED_COUNT(calls); i++)
        CHECK_EQ(calls[i].name, in_child(calls[i].call), -EDDY_EFORKED);
    CHECK_BYTES("held", held.message.data, "held", 4);
    eddy_release(client, &held);
    check_message(client, "waits");
    CHECK_EQ("send", eddy_send(client, connection, EDDY_RELIABLE_ORDERED, 0, "goes on", 7),
             EDDY_OK);
    check_message(server, "goes on");
    CHECK_EQ("close", eddy_close(client, WAIT_MS), EDDY_OK);
    CHECK_EQ("close", eddy_close(server, WAIT_MS), EDDY_OK);
}

static void a_child_is_told(void **state)
{
    (void)state;
    wipes_on_fork = true;
    check_child();
}

static void a_child_is_told_by_an_old_kernel(void **state)
{
    (void)state;
    wipes_on_fork = false;
    check_child();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_is_told),
        cmocka_unit_test(a_child_is_told_by_an_old_kernel),
    };
    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
