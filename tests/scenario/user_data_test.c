/** The program's own pointers: of a manager, of a connection, and in every event. */
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"

enum { SETTLE_MS = 100 };

static ed_cluster cluster;
static ed_node *server;
static ed_node *client;
static int at_server, at_client, at_manager, another;

static void run_ms(uint64_t ms)
{
    ed_world_touch(cluster.world, server->host);
    ed_world_touch(cluster.world, client->host);
    ed_cluster_run_for(&cluster, ms * ED_NS_PER_MS);
}

static void open_world(const char *name)
{
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();

    server_config.max_connections = 1;
    server_config.user_data = &at_manager;
    client_config.max_outgoing = 1;
    ed_cluster_open(&cluster, name, 1);
    server = ed_cluster_add(&cluster, &server_config);
    client = ed_cluster_add(&cluster, &client_config);
    server->is_reading = client->is_reading = false;
}

static eddy_connection dial(void *user_data)
{
    char host_port[EDDY_ADDRESS_TEXT_SIZE];
    eddy_connect_options options = {.server_key = ed_test_public(), .user_data = user_data};
    eddy_connection connection = 0;

    (void)eddy_address_print(&server->address, host_port);
    CHECK_EQ(cluster.name, eddy_connect_with(client->manager, host_port, &options, &connection),
             EDDY_OK);
    CHECK(cluster.name, eddy_connection_data(client->manager, connection) == user_data);
    run_ms(SETTLE_MS);
    return connection;
}

/** Takes an event of a type, which carries that pointer. @return its connection. */
static eddy_connection take(ed_node *node, eddy_event_type type, const void *user_data)
{
    eddy_event event;

    CHECK_EQ(cluster.name, eddy_next(node->manager, &event, 0), EDDY_OK);
    CHECK_EQ(cluster.name, event.type, type);
    CHECK(cluster.name, event.user_data == user_data);
    eddy_connection connection = event.connection;
    eddy_release(node->manager, &event);
    return connection;
}

static void send(ed_node *node, eddy_connection connection)
{
    CHECK_EQ(cluster.name, eddy_send(node->manager, connection, EDDY_RELIABLE_ORDERED, 0, "hi", 2),
             EDDY_OK);
    run_ms(SETTLE_MS);
}

static void every_event_carries_it(void **state)
{
    (void)state;
    open_world("events");
    CHECK("manager", eddy_user_data(server->manager) == &at_manager);
    CHECK("none", eddy_user_data(client->manager) == NULL);
    eddy_connection dialled = dial(&at_client);
    (void)take(client, EDDY_CONNECTED, &at_client);
    eddy_connection taken = take(server, EDDY_CONNECTED, NULL);
    CHECK_EQ("set", eddy_set_connection_data(server->manager, taken, &at_server), EDDY_OK);
    CHECK("set", eddy_connection_data(server->manager, taken) == &at_server);
    send(client, dialled);
    (void)take(server, EDDY_MESSAGE, &at_server);
    send(server, taken);
    (void)take(client, EDDY_MESSAGE, &at_client);
    CHECK_EQ("end", eddy_disconnect(client->manager, dialled, 0, NULL, 0), EDDY_OK);
    run_ms(5000);
    (void)take(client, EDDY_DISCONNECTED, &at_client);
    (void)take(server, EDDY_DISCONNECTED, &at_server);
    CHECK_EQ("stale", eddy_set_connection_data(server->manager, taken, &another), EDDY_ECONNECTION);
    CHECK("stale", eddy_connection_data(server->manager, taken) == NULL);

    // The next user of the slot begins with nothing.
    dialled = dial(NULL);
    (void)take(client, EDDY_CONNECTED, NULL);
    (void)take(server, EDDY_CONNECTED, NULL);
    ed_cluster_close(&cluster);
}

/** A batch of events waits; what the program sets meanwhile counts for all of them. */
static void events_that_wait_carry_it(void **state)
{
    eddy_event events[4];

    (void)state;
    open_world("waiting");
    eddy_connection dialled = dial(&at_client);
    send(client, dialled);
    eddy_connection taken = take(server, EDDY_CONNECTED, NULL);
    CHECK_EQ("end", eddy_disconnect(client->manager, dialled, 0, NULL, 1000), EDDY_OK);
    run_ms(50);
    CHECK_EQ("set", eddy_set_connection_data(server->manager, taken, &at_server), EDDY_OK);
    run_ms(5000);
    CHECK_EQ("stale by now", eddy_set_connection_data(server->manager, taken, &another),
             EDDY_ECONNECTION);
    CHECK_EQ("both", eddy_next_batch(server->manager, events, ED_COUNT(events)), 2);
    CHECK_EQ("first", events[0].type, EDDY_MESSAGE);
    CHECK_EQ("last", events[1].type, EDDY_DISCONNECTED);
    CHECK("first", events[0].user_data == &at_server);
    CHECK("last", events[1].user_data == &at_server);
    eddy_release(server->manager, &events[0]);
    ed_cluster_close(&cluster);
}

/** A slot stays with its connection until the program has taken the last event, and so does this.
 */
static void the_slot_is_kept(void **state)
{
    char host_port[EDDY_ADDRESS_TEXT_SIZE];
    eddy_connection refused = 0;

    (void)state;
    open_world("slot");
    eddy_connection dialled = dial(&at_client);
    (void)take(client, EDDY_CONNECTED, &at_client);
    CHECK_EQ("end", eddy_disconnect(client->manager, dialled, 0, NULL, 0), EDDY_OK);
    run_ms(5000);
    (void)eddy_address_print(&server->address, host_port);
    CHECK_EQ("not yet", eddy_connect(client->manager, host_port, ed_test_key_text(), &refused),
             EDDY_ELIMIT);
    CHECK_EQ("the old one", take(client, EDDY_DISCONNECTED, &at_client), dialled);
    (void)take(server, EDDY_CONNECTED, NULL);
    (void)take(server, EDDY_DISCONNECTED, NULL);
    run_ms(SETTLE_MS);
    eddy_connection next = dial(&another);
    CHECK("another", next != dialled);
    CHECK_EQ("the new one", take(client, EDDY_CONNECTED, &another), next);
    ed_cluster_close(&cluster);
}

/** A connection that could not be made has its one event, and that its pointer. */
static void no_connection_at_all(void **state)
{
    (void)state;
    open_world("duplicate");
    ed_node_crash(client);
    client->config.max_outgoing = 3;
    CHECK_EQ("restart", ed_node_start(client), EDDY_OK);
    (void)dial(&at_client);
    (void)take(client, EDDY_CONNECTED, &at_client);
    (void)dial(&another);
    (void)dial(&at_server);
    (void)take(client, EDDY_DISCONNECTED, &another);
    (void)take(client, EDDY_DISCONNECTED, &at_server);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_carries_it),
        cmocka_unit_test(events_that_wait_carry_it),
        cmocka_unit_test(the_slot_is_kept),
        cmocka_unit_test(no_connection_at_all),
    };
    return cmocka_run_group_tests_name("user_data", tests, NULL, NULL);
}
