/** Real sockets on the loopback interface, with a pump thread in every manager. */
#include "tests/support/check.h"

#include <stdio.h>

#include <stdatomic.h>
#include <stdlib.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/thread.h"
#include "tests/support/keys.h"

enum {
    CLIENTS = 8,
    EACH = 1000,
    THREADS = 4,
    ECHO_BATCH = 16,
    LIMIT_MS = 30000, /* far more than it takes; only a hang meets it */
};

struct peer {
    ed_counting_alloc memory;
    eddy_manager *manager;
    eddy_connection connection; /* a client's */
};

static void open_peer(struct peer *peer, bool accept)
{
    eddy_config config = eddy_config_default();

    ed_counting_alloc_init(&peer->memory, NULL);
    config.allocator = &peer->memory.allocator;
    config.bind = "127.0.0.1:0";
    config.accept = accept;
    config.secret_key = ed_test_secret();
    CHECK_EQ("open", eddy_open(&peer->manager, &config), EDDY_OK);
}

static void connect_peer(struct peer *client, const struct peer *server)
{
    eddy_address address = eddy_local_address(server->manager);
    eddy_event event;

    CHECK_EQ(
        "connect",
        eddy_connect_address(client->manager, &address, ed_test_options(), &client->connection),
        EDDY_OK);
    CHECK_EQ("connected", eddy_await(client->manager, EDDY_CONNECTED, &event, LIMIT_MS), EDDY_OK);
    CHECK_EQ("whose", event.connection, client->connection);
}

static eddy_status close_peer(struct peer *peer, uint32_t flush_ms)
{
    eddy_status status = eddy_close(peer->manager, flush_ms);

    CHECK_EQ("memory", peer->memory.live_count, 0);
    return status;
}

/* ------------------------------------------------------------------------------------- echo -- */

struct echo {
    struct peer peer;
    ed_thread thread;
    unsigned opened;
    unsigned closed;
    unsigned failed; /* sends that were refused */
};

/** Says the messages of some events back. */
static void say_back(struct echo *echo, const eddy_event *events, size_t count)
{
    eddy_message messages[ECHO_BATCH];
    size_t told = 0;

    for (size_t i = 0; i < count; i++) {
        echo->opened += events[i].type == EDDY_CONNECTED ? 1 : 0;
        echo->closed += events[i].type == EDDY_DISCONNECTED ? 1 : 0;
        if (events[i].type == EDDY_MESSAGE)
            messages[told++] = (eddy_message){.connection = events[i].connection,
                                              .guarantee = events[i].message.guarantee,
                                              .stream = events[i].message.stream,
                                              .data = events[i].message.data,
                                              .size = events[i].message.size};
    }
    for (size_t sent = 0; sent < told; sent++) { // on behind one that was refused
        eddy_status status = EDDY_OK;
        sent += eddy_send_batch(echo->peer.manager, messages + sent, told - sent, &status);
        echo->failed += status == EDDY_OK || status == EDDY_ECONNECTION ? 0 : 1;
    }
}

/** Says every message back, until the events end. */
static void run_echo(void *context)
{
    struct echo *echo = context;
    eddy_manager *manager = echo->peer.manager;
    eddy_event events[ECHO_BATCH];

    while (eddy_next(manager, events, EDDY_FOREVER) == EDDY_OK) {
        size_t count = 1 + eddy_next_batch(manager, events + 1, ECHO_BATCH - 1);
        say_back(echo, events, count);
        eddy_release_batch(manager, events, count);
    }
}

static void send_number(const struct peer *client, eddy_guarantee guarantee, uint32_t number)
{
    CHECK_EQ("send",
             eddy_send(client->manager, client->connection, guarantee, 0, &number, sizeof(number)),
             EDDY_OK);
}

/** Takes echoes until all reliable ones are back: in order, and unreliable ones at most once. */
static void take_echoes(const struct peer *client, unsigned *unreliable)
{
    bool seen[EACH] = {false};
    uint32_t next = 0;
    eddy_event event;

    while (next < EACH) {
        uint32_t number = UINT32_MAX;
        CHECK_EQ("an echo", eddy_await(client->manager, EDDY_MESSAGE, &event, LIMIT_MS), EDDY_OK);
        CHECK_EQ("its size", event.message.size, sizeof(number));
        memcpy(&number, event.message.data, sizeof(number));
        CHECK("a number of ours", number < EACH);
        if (event.message.guarantee == EDDY_RELIABLE_ORDERED) {
            CHECK_EQ("in order", number, next);
            next++;
        } else {
            CHECK("once", !seen[number]);
            seen[number] = true;
            *unreliable += 1;
        }
        eddy_release(client->manager, &event);
    }
}

static void eight_clients_echo(void **state)
{
    static struct echo echo;
    static struct peer clients[CLIENTS];
    unsigned unreliable = 0;
    eddy_stats stats;

    (void)state;
    open_peer(&echo.peer, true);
    CHECK_EQ("thread", ed_thread_start(&echo.thread, "echo", run_echo, &echo), EDDY_OK);
    for (size_t n = 0; n < CLIENTS; n++) {
        open_peer(&clients[n], false);
        connect_peer(&clients[n], &echo.peer);
    }
    for (uint32_t number = 0; number < EACH; number++)
        for (size_t n = 0; n < CLIENTS; n++) {
            send_number(&clients[n], EDDY_RELIABLE_ORDERED, number);
            send_number(&clients[n], EDDY_UNRELIABLE, number);
        }
    for (size_t n = 0; n < CLIENTS; n++)
        take_echoes(&clients[n], &unreliable);
    CHECK("unreliable ones come too, as a rule", unreliable > 0);
    for (size_t n = 0; n < CLIENTS; n++)
        CHECK_EQ("all had arrived", close_peer(&clients[n], LIMIT_MS), EDDY_OK);
    eddy_get_stats(echo.peer.manager, &stats);
    eddy_shutdown(echo.peer.manager, 0);
    ed_thread_join(&echo.thread);
    CHECK_EQ("opened", echo.opened, CLIENTS);
    CHECK_EQ("closed", echo.closed, CLIENTS);
    CHECK_EQ("refused", echo.failed, 0);
    CHECK("reliable ones alone are so many", stats.messages_delivered >= CLIENTS * EACH);
    (void)close_peer(&echo.peer, 0);
}

/* ----------------------------------------------------------------------------- many threads -- */

struct talker {
    ed_thread thread;
    const struct peer *client;
    uint8_t stream;
    eddy_status status;
};

static void talk(void *context)
{
    struct talker *talker = context;
    const struct peer *client = talker->client;

    for (uint32_t number = 0; number < EACH && talker->status == EDDY_OK; number++)
        talker->status = eddy_send(client->manager, client->connection, EDDY_RELIABLE_ORDERED,
                                   talker->stream, &number, sizeof(number));
}

/** Threads that send on one connection, each on a stream of its own, while a fifth disconnects. */
static void four_threads_send(void **state)
{
    static struct peer server, client;
    struct talker talkers[THREADS] = {0};
    uint32_t next[THREADS] = {0};
    eddy_event event;

    (void)state;
    open_peer(&server, true);
    open_peer(&client, false);
    connect_peer(&client, &server);
    for (size_t t = 0; t < THREADS; t++) {
        talkers[t] = (struct talker){.client = &client, .stream = (uint8_t)(t * 85)};
        CHECK_EQ("thread", ed_thread_start(&talkers[t].thread, "talk", talk, &talkers[t]), EDDY_OK);
    }
    for (unsigned count = 0; count < THREADS * EACH; count++) {
        uint32_t number = 0;
        CHECK_EQ("a message", eddy_await(server.manager, EDDY_MESSAGE, &event, LIMIT_MS), EDDY_OK);
        memcpy(&number, event.message.data, sizeof(number));
        CHECK_EQ("in the order of its thread", number, next[event.message.stream / 85]++);
        eddy_release(server.manager, &event);
    }
    for (size_t t = 0; t < THREADS; t++) {
        ed_thread_join(&talkers[t].thread);
        CHECK_EQ("all were accepted", talkers[t].status, EDDY_OK);
    }
    CHECK_EQ("close", close_peer(&client, LIMIT_MS), EDDY_OK);
    (void)close_peer(&server, 0);
}

/* ---------------------------------------------------------------------------------- closing -- */

/** What was accepted before a patient close arrives, and the other side is told. */
static void a_patient_close(void **state)
{
    static struct peer server, client;
    uint32_t next = 0;
    eddy_event event;

    (void)state;
    open_peer(&server, true);
    open_peer(&client, false);
    connect_peer(&client, &server);
    for (uint32_t number = 0; number < 5 * EACH; number++)
        send_number(&client, EDDY_RELIABLE_ORDERED, number);
    CHECK_EQ("close", close_peer(&client, LIMIT_MS), EDDY_OK);
    while (eddy_await(server.manager, EDDY_MESSAGE, &event, LIMIT_MS) == EDDY_OK) {
        uint32_t number = 0;
        memcpy(&number, event.message.data, sizeof(number));
        CHECK_EQ("in order", number, next++);
        eddy_release(server.manager, &event);
    }
    CHECK_EQ("all", next, 5 * EACH);
    CHECK_EQ("the end", event.type, EDDY_DISCONNECTED);
    CHECK_EQ("by the client", event.disconnected.end, EDDY_END_CLOSED_REMOTE);
    (void)close_peer(&server, 0);
}

/** The server closes while eight clients send: it does not wait, and everybody is told. */
static void a_close_in_the_middle(void **state)
{
    static struct peer server;
    static struct peer clients[CLIENTS];
    eddy_event event;

    (void)state;
    open_peer(&server, true);
    for (size_t n = 0; n < CLIENTS; n++) {
        open_peer(&clients[n], false);
        connect_peer(&clients[n], &server);
        for (uint32_t number = 0; number < EACH; number++)
            send_number(&clients[n], EDDY_RELIABLE_ORDERED, number);
    }
    uint64_t before_ns = ed_clock_now_ns();
    (void)close_peer(&server, 0);
    CHECK("soon", ed_clock_now_ns() - before_ns < 10 * ED_NS_PER_S);
    for (size_t n = 0; n < CLIENTS; n++) {
        CHECK_EQ("told", eddy_await(clients[n].manager, EDDY_DISCONNECTED, &event, LIMIT_MS),
                 EDDY_OK);
        CHECK_EQ("why", event.disconnected.end, EDDY_END_CLOSED_REMOTE);
        (void)close_peer(&clients[n], 0);
    }
}

/* ---------------------------------------------------------------------------------- waiting -- */

static void waiting_has_an_end(void **state)
{
    static struct peer alone;
    eddy_event event;

    (void)state;
    open_peer(&alone, true);
    uint64_t before_ns = ed_clock_now_ns();
    CHECK_EQ("not at all", eddy_next(alone.manager, &event, 0), EDDY_EAGAIN);
    CHECK_EQ("a while", eddy_next(alone.manager, &event, 20), EDDY_EAGAIN);
    CHECK_EQ("a while", eddy_await(alone.manager, EDDY_MESSAGE, &event, 20), EDDY_EAGAIN);
    CHECK("not shorter", ed_clock_now_ns() - before_ns >= 40 * ED_NS_PER_MS);
    CHECK_EQ("the pump polls, not we", eddy_poll(alone.manager, eddy_now_ns()), UINT64_MAX);
    eddy_shutdown(alone.manager, EDDY_FOREVER);
    CHECK_EQ("the end wakes", eddy_next(alone.manager, &event, EDDY_FOREVER), EDDY_ECLOSED);
    CHECK_EQ("awaiting too", eddy_await(alone.manager, EDDY_MESSAGE, &event, EDDY_FOREVER),
             EDDY_ECLOSED);
    CHECK_EQ("empty", event.type, EDDY_EVENT_NONE);
    CHECK_EQ("close", close_peer(&alone, 0), EDDY_OK);
}

/* ------------------------------------------------------------------------------- forgetting -- */

static void remember_line(void *context, eddy_log_level level, eddy_log_topic topic,
                          const char *text)
{
    (void)level;
    (void)topic;
    snprintf(context, ED_LOG_LINE_SIZE, "%s", text);
}

/** A program that forgets to release a message is told so; it does not crash. */
static void a_message_never_released(void **state)
{
    static eddy_event kept; // so that what is leaked stays in sight of leak checkers
    static struct peer client;
    char line[ED_LOG_LINE_SIZE] = "";
    eddy_config config = eddy_config_default();
    struct peer server;

    (void)state;
    config.bind = "127.0.0.1:0";
    config.accept = true;
    config.secret_key = ed_test_secret();
    config.log = remember_line;
    config.log_context = line;
    CHECK_EQ("open", eddy_open(&server.manager, &config), EDDY_OK);
    open_peer(&client, false);
    connect_peer(&client, &server);
    CHECK_EQ("send",
             eddy_send(client.manager, client.connection, EDDY_RELIABLE_ORDERED, 0, "forget", 6),
             EDDY_OK);
    CHECK_EQ("await", eddy_await(server.manager, EDDY_MESSAGE, &kept, LIMIT_MS), EDDY_OK);
    CHECK_EQ("client closes", close_peer(&client, LIMIT_MS), EDDY_OK);
    CHECK_EQ("server closes", eddy_close(server.manager, 0), EDDY_OK);
    CHECK_STR("told", line, "eddy_close: 64 bytes of messages were never released");
    CHECK_BYTES("still there", kept.message.data, "forget", 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_clients_echo), cmocka_unit_test(four_threads_send),
        cmocka_unit_test(a_patient_close),    cmocka_unit_test(a_close_in_the_middle),
        cmocka_unit_test(waiting_has_an_end), cmocka_unit_test(a_message_never_released),
    };
    return cmocka_run_group_tests_name("api_traffic", tests, NULL, NULL);
}
