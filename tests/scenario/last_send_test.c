/**
 * A thread is inside eddy_send while its connection ends: what it sends is refused, or counted in
 * the connection's last event. The moment is met without threads: the send needs memory, and the
 * connection ends inside the allocator.
 */
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"

enum {
    RUN_MS = 50,
    RECEIPT = 7,
};

static ed_cluster cluster;
static ed_node *server, *client;
static void (*strike)(void);  /* NULL: not now */
static unsigned strike_after; /* so many allocations */

/* --------------------------------------------------------------------------- how it may end -- */

static void run(void)
{
    ed_world_touch(cluster.world, client->host);
    ed_cluster_run_for(&cluster, RUN_MS * ED_NS_PER_MS);
}

static void shut_down(void)
{
    eddy_shutdown(client->manager, 0);
    run();
}

/* ------------------------------------------------------------------------------ the allocator --
 */

static void *take(void *context, size_t size)
{
    void (*struck)(void) = strike;

    (void)context;
    if (struck != NULL && strike_after-- == 0) {
        strike = NULL;
        struck();
    }
    return ed_alloc_default()->allocate(ed_alloc_default()->context, size);
}

static void give(void *context, void *memory, size_t size)
{
    (void)context;
    ed_alloc_default()->free(ed_alloc_default()->context, memory, size);
}

static const eddy_allocator striking = {.allocate = take, .free = give};

/* ----------------------------------------------------------------------------------- the test --
 */

static void open_pair(const char *name)
{
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();

    strike = NULL;
    ed_cluster_open(&cluster, name, 1);
    cluster.allocator = &striking;
    ed_cluster_add_pair(&cluster, &server_config, &client_config);
    server = &cluster.nodes[0];
    client = &cluster.nodes[1];
    run();
    client->is_reading = false; // its events are looked at here
}

/** To where there is a connection already, which the manager finds out at its next poll. */
static eddy_connection dial_in_vain(void)
{
    eddy_connection connection = 0;

    CHECK_EQ(
        "dial",
        eddy_connect_address(client->manager, &server->address, ed_test_options(), &connection),
        EDDY_OK);
    return connection;
}

static void check_told(const char *name, eddy_connection connection, bool is_accepted)
{
    eddy_event event = {.type = EDDY_EVENT_NONE};

    if (is_accepted) {
        CHECK_EQ(name, eddy_next(client->manager, &event, 0), EDDY_OK);
        CHECK_EQ(name, event.type, EDDY_RECEIPT);
        CHECK_EQ(name, event.receipt.receipt, RECEIPT);
        CHECK_EQ(name, event.receipt.outcome, EDDY_OUTCOME_LOST);
    }
    CHECK_EQ(name, eddy_next(client->manager, &event, 0), EDDY_OK);
    CHECK_EQ(name, event.type, EDDY_DISCONNECTED);
    CHECK(name, event.connection == connection);
    CHECK_EQ(name, event.disconnected.undelivered, is_accepted ? 1 : 0);
    eddy_release(client->manager, &event);
}

static void is_refused_or_counted(void **state)
{
    static const struct {
        const char *name;
        void (*strike)(void);
        unsigned after;  /* 0: before the message is charged for, 1: after it */
        bool is_closed;  /* the peer has closed, and that is on its way */
        bool is_in_vain; /* the connection is one that cannot begin */
        eddy_status want;
        eddy_status end; /* of the events */
    } rows[] = {
        {"peer closed before", run, 0, true, false, EDDY_ECONNECTION, EDDY_EAGAIN},
        {"peer closed inside", run, 1, true, false, EDDY_OK, EDDY_EAGAIN},
        {"dial failed before", run, 0, false, true, EDDY_ECONNECTION, EDDY_EAGAIN},
        {"dial failed inside", run, 1, false, true, EDDY_OK, EDDY_EAGAIN},
        {"shutdown before", shut_down, 0, false, false, EDDY_ECONNECTION, EDDY_ECLOSED},
        {"shutdown inside", shut_down, 1, false, false, EDDY_ECLOSED, EDDY_ECLOSED},
    };
    const eddy_send_options options = {.receipt = RECEIPT};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const char *name = rows[i].name;
        eddy_event event;
        open_pair(name);
        eddy_connection to = rows[i].is_in_vain ? dial_in_vain() : client->endpoints[0].handle;
        if (rows[i].is_closed)
            ed_node_disconnect(server, &server->endpoints[0], 0, NULL, 0);
        strike_after = rows[i].after;
        strike = rows[i].strike;
        eddy_status status =
            eddy_send_with(client->manager, to, EDDY_RELIABLE_ORDERED, 0, "hello", 5, &options);
        CHECK(name, strike == NULL); // it has been inside
        CHECK_EQ(name, status, rows[i].want);
        run();
        check_told(name, to, status == EDDY_OK);
        CHECK_EQ(name, eddy_next(client->manager, &event, 0), rows[i].end);
        ed_cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_refused_or_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
