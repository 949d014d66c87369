/** Messages sent on a connection that could not be begun: each is answered for, exactly once. */
#include "core/addr.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"

enum { MESSAGES = 6, FIRST_RECEIPT = 100 };

static ed_cluster cluster;
static ed_node *server, *client;

static eddy_connection dial(void)
{
    char host_port[EDDY_ADDRESS_TEXT_SIZE];
    eddy_connection connection = 0;

    CHECK_EQ("connect",
             eddy_connect(client->manager, eddy_address_print(&server->address, host_port),
                          ed_test_key_text(), &connection),
             EDDY_OK);
    return connection;
}

static void run_ms(uint64_t ms)
{
    ed_world_touch(cluster.world, client->host);
    ed_cluster_run_for(&cluster, ms * ED_NS_PER_MS);
}

/** Every second one is reliable, and of the receipts the first half are events. */
static void send_all(eddy_connection connection)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        eddy_send_options options = {.receipt = FIRST_RECEIPT + i,
                                     .quiet_receipt = i >= MESSAGES / 2};
        eddy_guarantee guarantee = i % 2 == 0 ? EDDY_RELIABLE_ORDERED : EDDY_UNRELIABLE;
        CHECK_EQ("send",
                 eddy_send_with(client->manager, connection, guarantee, 0, "hello", 5, &options),
                 EDDY_OK);
    }
}

static void check_told(const char *name, eddy_connection connection, eddy_end end)
{
    eddy_event event;

    for (unsigned i = 0; i < MESSAGES / 2; i++) {
        CHECK_EQ(name, eddy_next(client->manager, &event, 0), EDDY_OK);
        CHECK_EQ(name, event.type, EDDY_RECEIPT);
        CHECK_EQ(name, event.connection, connection);
        CHECK_EQ(name, event.receipt.receipt, FIRST_RECEIPT + i);
        CHECK_EQ(name, event.receipt.outcome, EDDY_OUTCOME_LOST);
    }
    CHECK_EQ(name, eddy_next(client->manager, &event, 0), EDDY_OK);
    CHECK_EQ(name, event.type, EDDY_DISCONNECTED);
    CHECK_EQ(name, event.connection, connection);
    CHECK_EQ(name, event.disconnected.end, end);
    CHECK_EQ(name, event.disconnected.undelivered, MESSAGES / 2);
    CHECK_EQ(name, eddy_next(client->manager, &event, 0), EDDY_EAGAIN);
}

/** Dials where that is bound to fail, and sends before it has. */
static void each_message_is_answered_for(void **state)
{
    static const struct {
        const char *name;
        bool is_taken;  /* there is a connection to that address already */
        bool is_closed; /* by the program, before it has failed */
        eddy_end end;
    } rows[] = {
        {"duplicate", true, false, EDDY_END_DUPLICATE},
        {"no memory", false, false, EDDY_END_MEMORY},
        {"duplicate, and closed", true, true, EDDY_END_DUPLICATE},
        {"no memory, and closed", false, true, EDDY_END_MEMORY},
    };
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();

    (void)state;
    client_config.max_outgoing = 2;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_cluster_open(&cluster, rows[i].name, 1);
        server = ed_cluster_add(&cluster, &server_config);
        client = ed_cluster_add(&cluster, &client_config);
        server->is_reading = client->is_reading = false;
        if (rows[i].is_taken)
            (void)dial();
        eddy_connection connection = dial();
        send_all(connection);
        if (rows[i].is_closed)
            CHECK_EQ("close", eddy_disconnect(client->manager, connection, 0, "no", 1000), EDDY_OK);
        client->memory.fail_after = rows[i].is_taken ? UINT64_MAX : 0;
        (void)eddy_poll(client->manager, ed_cluster_now_ns(&cluster));
        client->memory.fail_after = UINT64_MAX;
        run_ms(1);
        check_told(rows[i].name, connection, rows[i].end);
        CHECK_EQ(rows[i].name, ed_node_stats(client).messages_undelivered, MESSAGES / 2);
        CHECK_EQ(rows[i].name, ed_node_stats(client).messages_shed, MESSAGES / 2);

        eddy_connection again = dial(); // its slot is free, and what was sent owes nothing
        CHECK(rows[i].name, again != 0 && again != connection);
        ed_cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_message_is_answered_for)};
    return cmocka_run_group_tests_name("failed_dial", tests, NULL, NULL);
}
