/** A server whose program does not read: whoever comes and goes, its memory stays within bounds. */
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"
#include "tests/support/seeds.h"

enum {
    CLIENTS = 20,
    SLOTS = 64, /* connections that the server has room for */
    VISITS = 10 * 1000,
    ROUND_MS = 200,
    IDLE_MS = 1000,
};

static ed_cluster cluster;

static ed_node *server_of(void)
{
    return &cluster.nodes[0];
}

static void open_crowd(const char *name)
{
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    server.max_connections = SLOTS;
    server.idle_timeout_ms = IDLE_MS;
    server.keepalive_ms = IDLE_MS / 3;
    client.max_outgoing = 2;
    client.max_connections = 0;
    ed_cluster_open(&cluster, name, 1);
    ed_cluster_add(&cluster, &server)->is_reading = false;
    for (size_t i = 0; i < CLIENTS; i++)
        ed_cluster_add(&cluster, &client)->is_reading = false;
}

static eddy_connection dial(ed_node *client)
{
    eddy_connection connection = 0;

    CHECK_EQ("dial",
             eddy_connect_address(client->manager, &server_of()->address, ed_test_options(),
                                  &connection),
             EDDY_OK);
    CHECK_EQ("send",
             eddy_send(client->manager, connection, EDDY_RELIABLE_ORDERED, 0, &client->address,
                       sizeof(client->address)),
             EDDY_OK);
    ed_world_touch(cluster.world, client->host);
    return connection;
}

static void read_events(ed_node *client)
{
    eddy_event event;

    while (eddy_next(client->manager, &event, 0) == EDDY_OK)
        eddy_release(client->manager, &event);
}

/** Some say that they go, some are not heard when they do, and some just vanish. */
static void leave(ed_node *client, eddy_connection connection, size_t how)
{
    if (how % 10 == 0) {
        ed_node_crash(client);
        CHECK_EQ("again", ed_node_start(client), EDDY_OK);
        return;
    }
    CHECK_EQ("cut", ed_world_block(cluster.world, &client->address, NULL, how % 2 == 0), EDDY_OK);
    (void)eddy_disconnect(client->manager, connection, 1, "bye", 0);
    ed_world_touch(cluster.world, client->host);
}

/** All dial; in every fifth round they leave so soon that they may be half open. */
static void visit(size_t round)
{
    eddy_connection connections[CLIENTS];

    for (size_t i = 0; i < CLIENTS; i++)
        connections[i] = dial(&cluster.nodes[1 + i]);
    ed_cluster_run_for(&cluster, (round % 5 == 4 ? 1 : ROUND_MS) * ED_NS_PER_MS);
    for (size_t i = 0; i < CLIENTS; i++)
        leave(&cluster.nodes[1 + i], connections[i], round + i);
    ed_cluster_run_for(&cluster, IDLE_MS * ED_NS_PER_MS);
    for (size_t i = 0; i < CLIENTS; i++) {
        const eddy_address *address = &cluster.nodes[1 + i].address;
        CHECK_EQ("mended", ed_world_block(cluster.world, address, NULL, false), EDDY_OK);
        read_events(&cluster.nodes[1 + i]);
    }
}

/* ----------------------------------------------------------------------- what was not read -- */

/** What the program saw of one connection. */
struct seen {
    eddy_connection handle;
    eddy_address remote;
    unsigned connected, messages, disconnected;
};

static struct seen *seen_of(struct seen *seen, eddy_connection handle)
{
    for (size_t i = 0; i < SLOTS; i++) {
        if (seen[i].handle == handle || seen[i].handle == 0)
            return &seen[i];
    }
    fail_msg("more connections than slots");
    return NULL;
}

static void see(struct seen *s, const eddy_event *event)
{
    s->handle = event->connection;
    CHECK("nothing after the last", s->disconnected == 0);
    CHECK("nothing before the first", s->connected == (event->type == EDDY_CONNECTED ? 0 : 1));
    s->connected += event->type == EDDY_CONNECTED;
    s->messages += event->type == EDDY_MESSAGE;
    s->disconnected += event->type == EDDY_DISCONNECTED;
    if (event->type == EDDY_CONNECTED)
        s->remote = event->connected.remote;
    if (event->type == EDDY_MESSAGE)
        CHECK_BYTES("says who", event->message.data, &s->remote, sizeof(s->remote));
}

/** Reads all, and checks that of each connection there is one beginning and one end. */
static void read_all(ed_node *server)
{
    struct seen seen[SLOTS] = {0};
    eddy_event event;

    while (eddy_next(server->manager, &event, 0) == EDDY_OK) {
        see(seen_of(seen, event.connection), &event);
        CHECK_EQ("over long ago",
                 eddy_send(server->manager, event.connection, EDDY_UNRELIABLE, 0, "", 0),
                 EDDY_ECONNECTION);
        eddy_release(server->manager, &event);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        CHECK_EQ("one beginning", seen[i].connected, 1);
        CHECK_EQ("one end", seen[i].disconnected, 1);
        CHECK("no message twice", seen[i].messages <= 1);
    }
}

static void a_crowd_comes_and_goes_unread(void **state)
{
    uint64_t early_size = 0;

    (void)state;
    open_crowd("unread");
    ed_node *server = server_of();
    const size_t visits = ed_seeds_slow_build() ? VISITS / 4 : VISITS;
    for (size_t round = 0; round < visits / CLIENTS; round++) {
        visit(round);
        if (round == visits / CLIENTS / 10)
            early_size = server->memory.live_size;
        CHECK("memory", early_size == 0 || server->memory.live_size <= early_size);
    }
    CHECK_EQ("all who had a slot", ed_node_stats(server).connections_opened, SLOTS);
    CHECK("the others were told", ed_node_stats(server).refused > visits / 10);
    ed_cluster_run_for(&cluster, 2 * IDLE_MS * ED_NS_PER_MS);
    read_all(server);

    ed_world_touch(cluster.world, server->host);
    for (size_t i = 0; i < CLIENTS; i++)
        (void)dial(&cluster.nodes[1 + i]);
    ed_cluster_run_for(&cluster, IDLE_MS * ED_NS_PER_MS);
    CHECK_EQ("there is room again", ed_node_stats(server).connections_opened, SLOTS + CLIENTS);
    ed_cluster_close(&cluster);
}

/* ------------------------------------------------------------------------------- half open -- */

/** One way takes 10 ms, so the server hears an INITIATE 30 ms after a client dials. */
static void set_delay(void)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = 10 * ED_NS_PER_MS;
    CHECK_EQ("link", ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
}

/** All dial, and are not heard after that. */
static void half_visit(void)
{
    enum { ASKED_MS = 35, FORGOTTEN_MS = 6000 };
    eddy_connection connections[CLIENTS];

    for (size_t i = 0; i < CLIENTS; i++)
        connections[i] = dial(&cluster.nodes[1 + i]);
    ed_cluster_run_for(&cluster, ASKED_MS * ED_NS_PER_MS);
    CHECK_EQ("cut", ed_world_block(cluster.world, NULL, &server_of()->address, true), EDDY_OK);
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)eddy_disconnect(cluster.nodes[1 + i].manager, connections[i], 0, NULL, 0);
        // Before ACCEPT comes, with a ticket that would make the next visit a short one.
        ed_world_touch(cluster.world, cluster.nodes[1 + i].host);
    }
    ed_cluster_run_for(&cluster, FORGOTTEN_MS * ED_NS_PER_MS);
    CHECK_EQ("mended", ed_world_block(cluster.world, NULL, &server_of()->address, false), EDDY_OK);
    for (size_t i = 0; i < CLIENTS; i++)
        read_events(&cluster.nodes[1 + i]);
}

/** Connections that the program never heard of keep no slot, though it does not read. */
static void those_never_heard_of_take_nothing(void **state)
{
    enum { ROUNDS = 2 * SLOTS / CLIENTS };

    (void)state;
    open_crowd("half open");
    set_delay();
    ed_node *server = server_of();
    for (size_t round = 0; round < ROUNDS; round++)
        half_visit();
    CHECK_EQ("none stood", ed_node_stats(server).connections_opened, 0);
    CHECK_EQ("none was told of", ed_node_stats(server).connections_closed, 0);
    CHECK_EQ("none was refused", ed_node_stats(server).refused, 0);
    for (size_t i = 0; i < CLIENTS; i++)
        (void)dial(&cluster.nodes[1 + i]);
    ed_cluster_run_for(&cluster, IDLE_MS * ED_NS_PER_MS);
    CHECK_EQ("there is room", ed_node_stats(server).connections_opened, CLIENTS);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crowd_comes_and_goes_unread),
        cmocka_unit_test(those_never_heard_of_take_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
