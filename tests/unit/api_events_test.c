/** The public calls that send, and that take events, without a pump. */
#include "tests/unit/api_bed.h"

#include <poll.h>

#include "transport/returns.h"

/* ---------------------------------------------------------------------------------- sending -- */

static void sending_is_refused(void **state)
{
    static const uint8_t data[EDDY_PIECE_SIZE_MAX + 1];
    eddy_connection good = pair.dialled;
    const struct {
        const char *name;
        eddy_connection connection;
        int guarantee;
        const void *data;
        size_t size;
        eddy_status want;
    } rows[] = {
        {"largest", good, EDDY_RELIABLE_ORDERED, data, EDDY_PIECE_SIZE_MAX, EDDY_OK},
        {"empty", good, EDDY_UNRELIABLE, NULL, 0, EDDY_OK},
        {"too large", good, EDDY_RELIABLE_ORDERED, data, EDDY_PIECE_SIZE_MAX + 1, EDDY_ETOOBIG},
        {"far too large", good, EDDY_RELIABLE_ORDERED, data, SIZE_MAX, EDDY_ETOOBIG},
        {"bytes from nowhere", good, EDDY_UNRELIABLE, NULL, 1, EDDY_EINVAL},
        {"unreliable, too large", good, EDDY_UNRELIABLE_SEQUENCED, data,
         EDDY_UNRELIABLE_SIZE_MAX + 1, EDDY_ETOOBIG},
        {"guarantee 5", good, 5, data, 1, EDDY_EINVAL},
        {"guarantee 7", good, 7, data, 1, EDDY_EINVAL},
        {"guarantee -1", good, -1, data, 1, EDDY_EINVAL},
        {"nobody", 0, EDDY_UNRELIABLE, data, 1, EDDY_ECONNECTION},
        {"a handle of the server", pair.taken + 5, EDDY_UNRELIABLE, data, 1, EDDY_ECONNECTION},
        {"another generation", good + (UINT64_C(2) << 32), EDDY_UNRELIABLE, data, 1,
         EDDY_ECONNECTION},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name,
                 eddy_send(pair.client.manager, rows[i].connection,
                           (eddy_guarantee)rows[i].guarantee, 0, rows[i].data, rows[i].size),
                 rows[i].want);
    eddy_shutdown(pair.client.manager, 0);
    CHECK_EQ("after shutdown", eddy_send(pair.client.manager, good, EDDY_UNRELIABLE, 0, data, 1),
             EDDY_ECLOSED);
    CHECK_EQ("nor disconnect", eddy_disconnect(pair.client.manager, good, 0, NULL, 0),
             EDDY_ECLOSED);
}

static void the_send_budget(void **state)
{
    static const uint8_t data[1000];
    eddy_status status = EDDY_OK;
    unsigned accepted = 0, arrived = 0;
    eddy_event event;

    (void)state;
    for (; status == EDDY_OK && accepted < 1000; accepted += status == EDDY_OK ? 1 : 0)
        status = eddy_send(pair.client.manager, pair.dialled, EDDY_RELIABLE_ORDERED, 3, data,
                           sizeof(data));
    CHECK_EQ("used up", status, EDDY_EAGAIN);
    CHECK("something was accepted", accepted > 10);
    run_for_ms(5000);
    CHECK_EQ("room once they have arrived",
             eddy_send(pair.client.manager, pair.dialled, EDDY_RELIABLE_ORDERED, 3, data, 1),
             EDDY_OK);
    for (; eddy_next(pair.server.manager, &event, 0) == EDDY_OK; arrived++)
        eddy_release(pair.server.manager, &event);
    CHECK_EQ("exactly those accepted", arrived, accepted);
}

/** A message that there is no room for even once is refused to each, as eddy_send would have. */
static void a_broadcast_without_room(void **state)
{
    static const uint8_t data[1000];
    eddy_connection to[2] = {pair.dialled, 12345};
    eddy_status statuses[2] = {EDDY_OK, EDDY_OK};

    (void)state;
    for (unsigned i = 0; i < 1000 && statuses[0] == EDDY_OK; i++)
        (void)eddy_broadcast(pair.client.manager, to, 2, EDDY_RELIABLE_ORDERED, 3, data,
                             sizeof(data), statuses);
    CHECK_EQ("used up", statuses[0], EDDY_EAGAIN);
    CHECK_EQ("nobody", statuses[1], EDDY_ECONNECTION);
    run_for_ms(5000);
    (void)take_event(&pair.client, EDDY_WRITABLE);
    check_no_event(&pair.client, EDDY_EAGAIN);
    eddy_shutdown(pair.client.manager, 0);
    CHECK_EQ("none", eddy_broadcast(pair.client.manager, to, 2, EDDY_UNRELIABLE, 0, data, 1, NULL),
             0);
}

/** What a connection that ends held of the budget is another's at once, though nothing else is due.
 */
static void room_of_one_that_ends(void **state)
{
    static const uint8_t data[1000];
    struct side other = {0};
    eddy_config config = config_without_pump();
    eddy_connection second = 0;
    eddy_status status = EDDY_OK;

    (void)state;
    config.accept = true;
    config.secret_key = ed_test_secret();
    config.max_connections = 1;
    open_side(&other, config, 3);
    CHECK_EQ("connect",
             eddy_connect_address(pair.client.manager, &other.address, ed_test_options(), &second),
             EDDY_OK);
    run_for_ms(200);
    (void)take_event(&pair.client, EDDY_CONNECTED);
    for (unsigned i = 0; status == EDDY_OK && i < 1000; i++)
        status = eddy_send(pair.client.manager, pair.dialled, EDDY_RELIABLE_ORDERED, 3, data,
                           sizeof(data));
    CHECK_EQ("used up", status, EDDY_EAGAIN);
    CHECK_EQ("for the other, too",
             eddy_send(pair.client.manager, second, EDDY_RELIABLE_ORDERED, 3, data, sizeof(data)),
             EDDY_EAGAIN);
    CHECK_EQ("end", eddy_disconnect(pair.client.manager, pair.dialled, 0, NULL, 0), EDDY_OK);
    run_for_ms(300);
    (void)take_event(&pair.client, EDDY_DISCONNECTED);
    CHECK_EQ("whose", take_event(&pair.client, EDDY_WRITABLE).connection, second);
    close_side(&other);
}

/* ------------------------------------------------------------------------------- the events -- */

static void a_message_and_its_release(void **state)
{
    (void)state;
    check_no_event(&pair.server, EDDY_EAGAIN);
    CHECK_EQ("send",
             eddy_send(pair.client.manager, pair.dialled, EDDY_RELIABLE_ORDERED, 9, "hello", 5),
             EDDY_OK);
    run_for_ms(STEP_MS);
    eddy_event event = take_event(&pair.server, EDDY_MESSAGE);
    CHECK_EQ("from", event.connection, pair.taken);
    CHECK_EQ("size", event.message.size, 5);
    CHECK_BYTES("data", event.message.data, "hello", 5);
    CHECK_EQ("aligned", (uintptr_t)event.message.data % 16, 0);
    CHECK_EQ("guarantee", event.message.guarantee, EDDY_RELIABLE_ORDERED);
    CHECK_EQ("stream", event.message.stream, 9);
    CHECK_EQ("whose it is when it comes back", ed_return_connection(event.block, 0), pair.taken);
    eddy_release(pair.server.manager, &event);
    CHECK_EQ("empty", event.type, EDDY_EVENT_NONE);
    eddy_release(pair.server.manager, &event);
    check_no_event(&pair.server, EDDY_EAGAIN);
}

static void batches(void **state)
{
    eddy_event events[8];

    (void)state;
    CHECK_EQ("none", eddy_next_batch(pair.server.manager, events, ED_COUNT(events)), 0);
    for (uint8_t n = 0; n < 10; n++)
        CHECK_EQ("send",
                 eddy_send(pair.client.manager, pair.dialled, EDDY_RELIABLE_ORDERED, 0, &n, 1),
                 EDDY_OK);
    run_for_ms(STEP_MS);
    CHECK_EQ("no room", eddy_next_batch(pair.server.manager, events, 0), 0);
    uint8_t next = 0;
    for (size_t want = 8; want > 0; want = want == 8 ? 2 : 0) {
        CHECK_EQ("as many as fit", eddy_next_batch(pair.server.manager, events, 8), want);
        for (size_t i = 0; i < want; i++) {
            CHECK_EQ("in order", events[i].message.data[0], next++);
            eddy_release(pair.server.manager, &events[i]);
        }
    }
    CHECK_EQ("no more", eddy_next_batch(pair.server.manager, events, 8), 0);
}

static void a_batch_has_no_largest_size(void **state)
{
    enum { MESSAGES = 120, MOST = 100 };
    static eddy_event events[MOST];
    uint8_t next = 0;

    (void)state;
    for (uint8_t n = 0; n < MESSAGES; n++)
        CHECK_EQ("send",
                 eddy_send(pair.client.manager, pair.dialled, EDDY_RELIABLE_ORDERED, 0, &n, 1),
                 EDDY_OK);
    run_for_ms(LIMIT_MS);
    for (size_t want = MOST; want > 0; want = want == MOST ? MESSAGES - MOST : 0) {
        CHECK_EQ("all that fit", eddy_next_batch(pair.server.manager, events, MOST), want);
        for (size_t i = 0; i < want; i++) {
            CHECK_EQ("in order", events[i].message.data[0], next++);
            eddy_release(pair.server.manager, &events[i]);
        }
    }
}

static void awaiting(void **state)
{
    eddy_event event;

    (void)state;
    CHECK_EQ("nothing came", eddy_await(pair.server.manager, EDDY_MESSAGE, &event, 0), EDDY_EAGAIN);
    CHECK_EQ("empty", event.type, EDDY_EVENT_NONE);
    for (unsigned n = 0; n < 3; n++)
        CHECK_EQ("send",
                 eddy_send(pair.client.manager, pair.dialled, EDDY_RELIABLE_ORDERED, 0, "x", 1),
                 EDDY_OK);
    CHECK_EQ("disconnect", eddy_disconnect(pair.client.manager, pair.dialled, 77, "enough", 1000),
             EDDY_OK);
    run_for_ms(50);
    CHECK_EQ("a message", eddy_await(pair.server.manager, EDDY_MESSAGE, &event, 0), EDDY_OK);
    CHECK_EQ("its type", event.type, EDDY_MESSAGE);
    eddy_release(pair.server.manager, &event);
    CHECK_EQ("it ended instead", eddy_await(pair.server.manager, EDDY_CONNECTED, &event, 0),
             EDDY_ECLOSED);
    CHECK_EQ("by", event.type, EDDY_DISCONNECTED);
    CHECK_EQ("end", event.disconnected.end, EDDY_END_CLOSED_REMOTE);
    CHECK_EQ("code", event.disconnected.code, 77);
    CHECK_STR("reason", event.disconnected.reason, "enough");
    CHECK_EQ("the client's own", eddy_await(pair.client.manager, EDDY_DISCONNECTED, &event, 0),
             EDDY_OK);
    CHECK_EQ("end", event.disconnected.end, EDDY_END_CLOSED_LOCAL);
    CHECK_EQ("all arrived", event.disconnected.undelivered, 0);
}

static void reasons_are_cut(void **state)
{
    char reason[100];

    (void)state;
    memset(reason, 'r', sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = '\0';
    CHECK_EQ("disconnect", eddy_disconnect(pair.client.manager, pair.dialled, 1, reason, 0),
             EDDY_OK);
    run_for_ms(50);
    eddy_event event = take_event(&pair.server, EDDY_DISCONNECTED);
    CHECK_EQ("cut", strlen(event.disconnected.reason), EDDY_REASON_SIZE - 1);
    run_for_ms(2000);
    CHECK_EQ("stale", eddy_disconnect(pair.client.manager, pair.dialled, 1, NULL, 0),
             EDDY_ECONNECTION);
}

static int readable(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, 0);
}

static void the_descriptor(void **state)
{
    (void)state;
    int fd = eddy_event_fd(pair.server.manager);
    CHECK("there is one", fd >= 0);
    CHECK_EQ("the same", eddy_event_fd(pair.server.manager), fd);
    CHECK_EQ("nothing yet", readable(fd), 0);
    for (unsigned n = 0; n < 2; n++)
        CHECK_EQ("send",
                 eddy_send(pair.client.manager, pair.dialled, EDDY_RELIABLE_ORDERED, 0, "x", 1),
                 EDDY_OK);
    run_for_ms(STEP_MS);
    for (unsigned n = 0; n < 2; n++) {
        CHECK_EQ("something", readable(fd), 1);
        eddy_event event = take_event(&pair.server, EDDY_MESSAGE);
        eddy_release(pair.server.manager, &event);
    }
    CHECK_EQ("taken, and not looked again", readable(fd), 1);
    eddy_event event;
    CHECK_EQ("looked again", eddy_next(pair.server.manager, &event, 0), EDDY_EAGAIN);
    CHECK_EQ("all taken", readable(fd), 0);
    eddy_shutdown(pair.server.manager, 0);
    run_for_ms(5000);
    (void)take_event(&pair.server, EDDY_DISCONNECTED);
    CHECK_EQ("the end is something too", readable(fd), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sending_is_refused, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(the_send_budget, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_broadcast_without_room, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(room_of_one_that_ends, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_message_and_its_release, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(batches, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_batch_has_no_largest_size, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(awaiting, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(reasons_are_cut, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(the_descriptor, open_pair, close_pair),
    };
    return cmocka_run_group_tests_name("api_events", tests, NULL, NULL);
}
