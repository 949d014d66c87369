/** Looking at connections, and setting them, while pumps run: for the thread sanitizer, too. */
#include "tests/support/check.h"

#include "core/base.h"
#include "core/eddy.h"
#include "tests/support/keys.h"

enum { LOOKS = 2000, LIMIT_MS = 30000, RATE = 50 * 1000 * 1000 };

static eddy_manager *open_manager(bool accept)
{
    eddy_config config = eddy_config_default();
    eddy_manager *manager = NULL;

    config.bind = "127.0.0.1:0";
    config.accept = accept;
    config.ask = accept;
    config.secret_key = ed_test_secret();
    CHECK_EQ("open", eddy_open(&manager, &config), EDDY_OK);
    return manager;
}

/** Both pumps go by the same clock; to a poll that takes long its length is added. */
static void check_clock(eddy_manager *manager, eddy_connection connection)
{
    uint64_t now_ns = eddy_now_ns();
    eddy_peer_time time = {0};
    eddy_status status = eddy_clock(manager, connection, now_ns, &time);

    CHECK("clock", status == EDDY_OK || status == EDDY_EAGAIN);
    if (status != EDDY_OK)
        return;
    uint64_t wrong_ns = time.now_ns > now_ns ? time.now_ns - now_ns : now_ns - time.now_ns;
    CHECK("clock", wrong_ns <= time.error_ns + LIMIT_MS * ED_NS_PER_MS);
}

/** All that looks at one connection must have the same opinion of it. */
static void look(eddy_manager *manager, eddy_connection connection, int *data)
{
    eddy_connection all[2];
    eddy_connection_stats stats;
    eddy_address address;

    CHECK_EQ("one", eddy_connections(manager, all, ED_COUNT(all)), 1);
    CHECK_EQ("that", all[0], connection);
    CHECK_EQ("state", eddy_connection_state(manager, connection), EDDY_STATE_CONNECTED);
    CHECK_EQ("address", eddy_peer_address(manager, connection, &address), EDDY_OK);
    CHECK_EQ("stats", eddy_get_connection_stats(manager, connection, &stats), EDDY_OK);
    CHECK("stats", stats.packets_lost <= stats.packets_sent && stats.window > 0);
    check_clock(manager, connection);
    CHECK_EQ("data", eddy_set_connection_data(manager, connection, data), EDDY_OK);
    CHECK("data", eddy_connection_data(manager, connection) == data);
    CHECK_EQ("rate", eddy_set_rate(manager, connection, RATE), EDDY_OK);
}

static void looking_at_what_runs(void **state)
{
    eddy_manager *server = open_manager(true), *client = open_manager(false);
    eddy_address address = eddy_local_address(server);
    eddy_connection dialled = 0;
    eddy_event event;
    int data[2] = {0};

    (void)state;
    CHECK_EQ("connect", eddy_connect_address(client, &address, ed_test_options(), &dialled),
             EDDY_OK);
    CHECK_EQ("asked", eddy_await(server, EDDY_CONNECT_REQUEST, &event, LIMIT_MS), EDDY_OK);
    eddy_connection taken = event.connection;
    CHECK_EQ("accept", eddy_accept(server, taken), EDDY_OK);
    CHECK_EQ("connected", eddy_await(client, EDDY_CONNECTED, &event, LIMIT_MS), EDDY_OK);
    CHECK_EQ("connected", eddy_await(server, EDDY_CONNECTED, &event, LIMIT_MS), EDDY_OK);
    for (int i = 0; i < LOOKS; i++) {
        (void)!eddy_send(client, dialled, EDDY_RELIABLE_ORDERED, 0, data, sizeof(data));
        look(client, dialled, &data[0]);
        look(server, taken, &data[1]);
        while (eddy_next(server, &event, 0) == EDDY_OK) {
            CHECK("whose", event.user_data == &data[1]);
            eddy_release(server, &event);
        }
    }
    (void)eddy_close(client, 1000);
    (void)eddy_close(server, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looking_at_what_runs),
    };
    return cmocka_run_group_tests_name("api_inspect", tests, NULL, NULL);
}
