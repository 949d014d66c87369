/** Connecting to a name: at once, slowly, in vain, and to somebody who is known already. */
#include <stdatomic.h>

#include "core/addr.h"
#include "core/clock.h"
#include "core/thread.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"

enum {
    SETTLE_MS = 100,
    HANDSHAKE_MS = 600 * 1000, /* so long that no slow thread is late, unless it is to be */
    LIMIT_MS = 20000,          /* of real time; only a hang meets it */
    FOUND_MAX = 8,             /* addresses of a name */
    POLL_MS = 10,              /* how often a manager looks for the answer */
};

static ed_cluster cluster;
static ed_node *server;
static ed_node *client;

/** What the resolver says, when it may. */
static struct desk {
    ed_mutex mutex;
    ed_condition changed;
    bool is_open;
    unsigned expected; /* look-ups begun */
    unsigned asked;
    unsigned answered;
    eddy_address addresses[FOUND_MAX];
    size_t count;
} desk;

static eddy_status resolve(void *context, const char *host_port, eddy_address *addresses,
                           size_t capacity, size_t *count)
{
    (void)context;
    ed_mutex_lock(&desk.mutex);
    desk.asked += strcmp(host_port, "game.example:4000") == 0 ? 1 : 1000;
    ed_condition_broadcast(&desk.changed);
    while (!desk.is_open)
        ed_condition_wait(&desk.changed, &desk.mutex, UINT64_MAX);
    CHECK("room", capacity >= desk.count);
    memcpy(addresses, desk.addresses, sizeof(desk.addresses));
    *count = desk.count;
    desk.answered++;
    ed_condition_broadcast(&desk.changed);
    ed_mutex_unlock(&desk.mutex);
    return *count == 0 ? EDDY_ERESOLVE : EDDY_OK;
}

static void set_open(bool is_open)
{
    ed_mutex_lock(&desk.mutex);
    desk.is_open = is_open;
    ed_condition_broadcast(&desk.changed);
    ed_mutex_unlock(&desk.mutex);
}

static void reset_desk(bool is_open, eddy_address address)
{
    ed_mutex_lock(&desk.mutex);
    desk.expected = desk.asked = desk.answered = 0;
    desk.is_open = is_open;
    desk.addresses[0] = address;
    desk.count = address.family == EDDY_FAMILY_NONE ? 0 : 1;
    ed_mutex_unlock(&desk.mutex);
}

static void run_ms(uint64_t ms)
{
    ed_world_touch(cluster.world, server->host);
    if (client->manager != NULL)
        ed_world_touch(cluster.world, client->host);
    ed_cluster_run_for(&cluster, ms * ED_NS_PER_MS);
}

static void open_world(const char *name, bool is_open)
{
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();
    static const eddy_resolver resolver = {.resolve = resolve};

    client_config.handshake_timeout_ms = HANDSHAKE_MS;
    client_config.resolver = &resolver;
    ed_cluster_open(&cluster, name, 1);
    server = ed_cluster_add(&cluster, &server_config);
    client = ed_cluster_add(&cluster, &client_config);
    server->is_reading = client->is_reading = false;
    reset_desk(is_open, server->address);
}

/** Waits for look-ups that nobody else waits for any more: they must not meet the next test's. */
static void finish_desk(void)
{
    set_open(true);
    ed_mutex_lock(&desk.mutex);
    uint64_t until_ns = ed_clock_now_ns() + LIMIT_MS * ED_NS_PER_MS;
    while (desk.answered < desk.expected && ed_clock_now_ns() < until_ns)
        ed_condition_wait(&desk.changed, &desk.mutex, until_ns);
    CHECK_EQ("look-ups", desk.answered, desk.expected);
    ed_mutex_unlock(&desk.mutex);
}

static void close_world(void)
{
    finish_desk();
    ed_cluster_close(&cluster);
}

static eddy_connection dial(void)
{
    eddy_connection connection = 0;

    CHECK_EQ(cluster.name,
             eddy_connect(client->manager, "game.example:4000", ed_test_key_text(), &connection),
             EDDY_OK);
    CHECK(cluster.name, connection != 0);
    desk.expected++;
    return connection;
}

/** Lets real time go by, so that a thread may get on, and as much of the world's as a poll needs.
 */
static void wait_a_little(void)
{
    ed_mutex_lock(&desk.mutex);
    ed_condition_wait(&desk.changed, &desk.mutex, ed_clock_now_ns() + ED_NS_PER_MS);
    ed_mutex_unlock(&desk.mutex);
    ed_cluster_run_for(&cluster, POLL_MS * ED_NS_PER_MS);
}

/** Waits until the client has an event, of a type if that is not NONE, and takes it. */
static eddy_event await_event(eddy_event_type type)
{
    eddy_event event = {0};

    run_ms(1); // what the program has said
    for (unsigned i = 0; eddy_next(client->manager, &event, 0) == EDDY_EAGAIN; i++) {
        CHECK(cluster.name, i < LIMIT_MS);
        wait_a_little();
    }
    if (type != EDDY_EVENT_NONE)
        CHECK_EQ(cluster.name, event.type, type);
    return event;
}

static void check_ended(eddy_connection connection, eddy_end end, uint64_t undelivered)
{
    eddy_event event = await_event(EDDY_DISCONNECTED);

    CHECK_EQ(cluster.name, event.connection, connection);
    CHECK_EQ(cluster.name, event.disconnected.end, end);
    CHECK_EQ(cluster.name, event.disconnected.undelivered, undelivered);
    CHECK_EQ(cluster.name, eddy_connection_state(client->manager, connection), EDDY_STATE_NONE);
}

static void send(eddy_connection connection)
{
    CHECK_EQ(cluster.name,
             eddy_send(client->manager, connection, EDDY_RELIABLE_ORDERED, 0, "hello", 5), EDDY_OK);
}

static void a_name_is_found(void **state)
{
    eddy_connect_options options = {
        .server_key = ed_test_public(), .payload = "me", .payload_size = 2, .user_data = &cluster};
    eddy_connection connection = 0;
    eddy_address address;

    (void)state;
    open_world("found", false);
    CHECK_EQ("connect",
             eddy_connect_with(client->manager, "game.example:4000", &options, &connection),
             EDDY_OK);
    desk.expected++;
    send(connection);
    run_ms(SETTLE_MS);
    CHECK_EQ("state", eddy_connection_state(client->manager, connection), EDDY_STATE_CONNECTING);
    CHECK_EQ("no address", eddy_peer_address(client->manager, connection, &address), EDDY_EAGAIN);
    CHECK_EQ("nothing has left", ed_node_stats(client).sent_datagrams, 0);
    set_open(true);
    CHECK("user data", await_event(EDDY_CONNECTED).user_data == &cluster);
    CHECK_EQ("address", eddy_peer_address(client->manager, connection, &address), EDDY_OK);
    CHECK("address", eddy_address_equal(&address, &server->address));
    run_ms(SETTLE_MS);
    eddy_event event;
    CHECK_EQ("server", eddy_next(server->manager, &event, 0), EDDY_OK);
    CHECK_BYTES("payload", event.connected.payload, "me", 2);
    eddy_release(server->manager, &event);
    CHECK_EQ("server", eddy_next(server->manager, &event, 0), EDDY_OK);
    CHECK_BYTES("message", event.message.data, "hello", 5);
    eddy_release(server->manager, &event);
    close_world();
}

static void a_name_is_not_found(void **state)
{
    (void)state;
    open_world("not found", true);
    reset_desk(true, (eddy_address){0});
    eddy_connection connection = dial();
    send(connection);
    check_ended(connection, EDDY_END_UNRESOLVED, 1);
    close_world();
}

/** As long as a handshake may take, and then another handshake's time for the handshake. */
static void a_name_takes_too_long(void **state)
{
    eddy_event event;

    (void)state;
    open_world("too long", false);
    eddy_connection connection = dial();
    run_ms(HANDSHAKE_MS - 1);
    CHECK_EQ("not yet", eddy_next(client->manager, &event, 0), EDDY_EAGAIN);
    run_ms(1);
    check_ended(connection, EDDY_END_UNRESOLVED, 0);

    // Its answer is for nobody, though the slot is another's.
    connection = dial();
    set_open(true);
    CHECK_EQ("the second", await_event(EDDY_CONNECTED).connection, connection);
    close_world();

    open_world("nearly too long", false);
    CHECK_EQ("cut off", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    connection = dial();
    run_ms(HANDSHAKE_MS / 2);
    set_open(true);
    run_ms(1);
    for (int i = 0; ed_node_stats(client).sent_datagrams == 0; i++) {
        CHECK("in time", i < LIMIT_MS);
        wait_a_little();
    }
    run_ms(HANDSHAKE_MS - SETTLE_MS);
    CHECK_EQ("not yet", eddy_next(client->manager, &event, 0), EDDY_EAGAIN);
    run_ms(SETTLE_MS);
    check_ended(connection, EDDY_END_NO_ANSWER, 0);
    close_world();
}

static void ended_while_it_is_looked_up(void **state)
{
    (void)state;
    open_world("disconnected", false);
    eddy_connection connection = dial();
    run_ms(1);
    CHECK_EQ("end", eddy_disconnect(client->manager, connection, 0, NULL, 0), EDDY_OK);
    run_ms(1);
    check_ended(connection, EDDY_END_CLOSED_LOCAL, 0);
    set_open(true);
    run_ms(SETTLE_MS);
    close_world();
}

/** A shutdown that has time lets what was said before the name was known arrive. */
static void shut_down_while_it_is_looked_up(void **state)
{
    eddy_event event;

    (void)state;
    open_world("shutdown", false);
    eddy_connection connection = dial();
    send(connection);
    eddy_shutdown(client->manager, HANDSHAKE_MS / 2);
    run_ms(SETTLE_MS);
    set_open(true);
    check_ended(connection, EDDY_END_CLOSED_LOCAL, 0); // and never that it was connected
    CHECK_EQ("connected", eddy_next(server->manager, &event, 0), EDDY_OK);
    CHECK_EQ("message", eddy_next(server->manager, &event, 0), EDDY_OK);
    CHECK_EQ("message", event.type, EDDY_MESSAGE);
    eddy_release(server->manager, &event);
    close_world();
}

/** The manager goes away and gives its memory back; the look-up ends whenever it likes. */
static void closed_while_it_is_looked_up(void **state)
{
    (void)state;
    open_world("closed", false);
    for (int i = 0; i < 3; i++)
        (void)dial();
    run_ms(1);
    ed_node_crash(client); // checks the memory
    set_open(true);
    close_world();
}

static void a_name_of_somebody_known(void **state)
{
    (void)state;
    open_world("known", true);
    eddy_connection first = dial();
    CHECK_EQ("first", await_event(EDDY_CONNECTED).connection, first);
    eddy_connection second = dial();
    check_ended(second, EDDY_END_DUPLICATE, 0);

    // The first one's place in the table is untouched by that.
    send(first);
    run_ms(SETTLE_MS);
    CHECK_EQ("goes on", ed_node_stats(server).messages_delivered, 1);
    CHECK_EQ("end", eddy_disconnect(client->manager, first, 0, NULL, 0), EDDY_OK);
    check_ended(first, EDDY_END_CLOSED_LOCAL, 0);
    eddy_connection third = dial();
    CHECK_EQ("again", await_event(EDDY_CONNECTED).connection, third);
    close_world();
}

static void two_names_at_once(void **state)
{
    int connected = 0, ended = 0; /* 1: the second, 2: the first */

    (void)state;
    open_world("two", false);
    eddy_connection first = dial();
    eddy_connection second = dial();
    run_ms(1);
    CHECK_EQ("both are there", eddy_connections(client->manager, NULL, 0), 2);
    set_open(true);
    for (int i = 0; i < 2; i++) { // whose answer came first connects
        eddy_event event = await_event(EDDY_EVENT_NONE);
        bool is_first = event.connection == first;
        CHECK("one of them", is_first || event.connection == second);
        connected += event.type == EDDY_CONNECTED ? 1 + is_first : 0;
        ended += event.type == EDDY_DISCONNECTED ? 1 + is_first : 0;
        CHECK("why", event.type == EDDY_CONNECTED || event.disconnected.end == EDDY_END_DUPLICATE);
    }
    CHECK_EQ("each has one", connected + ended, 3);
    CHECK("one of each", connected > 0 && ended > 0);
    close_world();
}

static void numbers_ask_nobody(void **state)
{
    char host_port[EDDY_ADDRESS_TEXT_SIZE];
    eddy_connection connection = 0;

    (void)state;
    open_world("numbers", false);
    (void)eddy_address_print(&server->address, host_port);
    CHECK_EQ("connect", eddy_connect(client->manager, host_port, ed_test_key_text(), &connection),
             EDDY_OK);
    run_ms(SETTLE_MS);
    CHECK_EQ("connected", await_event(EDDY_CONNECTED).connection, connection);
    CHECK_EQ("nobody", desk.asked, 0);
    close_world();
}

static void bad_names_are_refused(void **state)
{
    static const struct {
        const char *host_port;
        eddy_status want;
    } rows[] = {
        {"game.example", EDDY_EADDRESS},
        {"game.example:", EDDY_EADDRESS},
        {"game.example:65536", EDDY_EADDRESS},
        {"game.example:0", EDDY_EINVAL},
        {":4000", EDDY_EADDRESS},
    };
    char too_long[400];

    (void)state;
    open_world("bad", true);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_connection connection = 7;
        CHECK_EQ(rows[i].host_port,
                 eddy_connect(client->manager, rows[i].host_port, ed_test_key_text(), &connection),
                 rows[i].want);
        CHECK_EQ(rows[i].host_port, connection, 0);
    }
    memset(too_long, 'a', sizeof(too_long));
    memcpy(too_long + sizeof(too_long) - 6, ":4000", 6);
    eddy_connection connection = 7;
    CHECK_EQ("too long", eddy_connect(client->manager, too_long, ed_test_key_text(), &connection),
             EDDY_EADDRESS);
    CHECK_EQ("nobody", desk.asked, 0);
    close_world();
}

/** Who polls is told to come again soon: nobody else can tell that the answer is there. */
static void polls_come_often_meanwhile(void **state)
{
    (void)state;
    open_world("polls", false);
    (void)dial();
    uint64_t now_ns = ed_cluster_now_ns(&cluster);
    CHECK("soon", eddy_poll(client->manager, now_ns) <= now_ns + POLL_MS * ED_NS_PER_MS);
    CHECK_EQ("others do not", eddy_poll(server->manager, now_ns), UINT64_MAX);
    set_open(true);
    (void)await_event(EDDY_CONNECTED);
    now_ns = ed_cluster_now_ns(&cluster);
    CHECK("no more", eddy_poll(client->manager, now_ns) > now_ns + 100 * ED_NS_PER_MS);
    close_world();
}

/** The answer wakes a pump, over real sockets. */
static void a_pump_is_woken(void **state)
{
    static const eddy_resolver resolver = {.resolve = resolve};
    eddy_config config = eddy_config_default();
    eddy_manager *one = NULL, *two = NULL;
    eddy_connection connection = 0;
    eddy_event event;

    (void)state;
    config.bind = "127.0.0.1:0";
    config.accept = true;
    config.secret_key = ed_test_secret();
    CHECK_EQ("server", eddy_open(&one, &config), EDDY_OK);
    config.accept = false;
    config.resolver = &resolver;
    CHECK_EQ("client", eddy_open(&two, &config), EDDY_OK);
    reset_desk(false, eddy_local_address(one));
    CHECK_EQ("connect", eddy_connect(two, "game.example:4000", ed_test_key_text(), &connection),
             EDDY_OK);
    CHECK_EQ("not yet", eddy_next(two, &event, 50), EDDY_EAGAIN);
    set_open(true);
    CHECK_EQ("connected", eddy_await(two, EDDY_CONNECTED, &event, LIMIT_MS), EDDY_OK);
    set_open(false);
    CHECK_EQ("another", eddy_connect(two, "game.example:4000", ed_test_key_text(), &connection),
             EDDY_OK);
    CHECK_EQ("close", eddy_close(two, 100), EDDY_OK);
    desk.expected = 2;
    finish_desk();
    (void)eddy_close(one, 100);
}

static int setup(void **state)
{
    (void)state;
    return ed_mutex_init(&desk.mutex) == EDDY_OK && ed_condition_init(&desk.changed) == EDDY_OK
               ? 0
               : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_found),
        cmocka_unit_test(a_name_is_not_found),
        cmocka_unit_test(a_name_takes_too_long),
        cmocka_unit_test(ended_while_it_is_looked_up),
        cmocka_unit_test(shut_down_while_it_is_looked_up),
        cmocka_unit_test(closed_while_it_is_looked_up),
        cmocka_unit_test(a_name_of_somebody_known),
        cmocka_unit_test(two_names_at_once),
        cmocka_unit_test(numbers_ask_nobody),
        cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(polls_come_often_meanwhile),
        cmocka_unit_test(a_pump_is_woken),
    };
    return cmocka_run_group_tests_name("name", tests, setup, NULL);
}
