/** The public calls that open, connect and end, without a pump. */
#include "tests/unit/api_bed.h"

/* ---------------------------------------------------------------------------------- opening -- */

static void set_bind(eddy_config *config)
{
    config->bind = "nonsense";
}

static void set_idle(eddy_config *config)
{
    config->idle_timeout_ms = 1;
}

static void set_absent_address(eddy_config *config)
{
    config->bind = "192.0.2.77:0"; // for documentation (RFC 5737): no machine has it
}

static void set_budget(eddy_config *config)
{
    config->send_budget = 1;
}

static const eddy_socket no_calls = {.context = NULL};

static void set_socket(eddy_config *config)
{
    config->socket = &no_calls;
}

static void opening_is_refused(void **state)
{
    static const struct {
        const char *name;
        void (*set)(eddy_config *config);
        eddy_status want;
    } rows[] = {
        {"bind", set_bind, EDDY_ECONFIG},
        {"idle timeout", set_idle, EDDY_ECONFIG},
        {"budget", set_budget, EDDY_ECONFIG},
        {"socket", set_socket, EDDY_ECONFIG},
        {"not our address", set_absent_address, EDDY_ENOADDR},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_counting_alloc memory;
        ed_counting_alloc_init(&memory, NULL);
        eddy_config config = config_without_pump();
        eddy_manager *manager = (eddy_manager *)(void *)&memory;
        config.allocator = &memory.allocator;
        rows[i].set(&config);
        CHECK_EQ(rows[i].name, eddy_open(&manager, &config), rows[i].want);
        CHECK(rows[i].name, manager == NULL);
        CHECK_EQ(rows[i].name, memory.live_count, 0);
    }
}

static void a_port_belongs_to_one(void **state)
{
    eddy_config config = config_without_pump();
    eddy_manager *first = NULL, *second = NULL;
    char text[EDDY_ADDRESS_TEXT_SIZE];

    (void)state;
    config.bind = "127.0.0.1:0";
    CHECK_EQ("any port", eddy_open(&first, &config), EDDY_OK);
    eddy_address address = eddy_local_address(first);
    CHECK("a port", address.port != 0);
    config.bind = eddy_address_print(&address, text);
    CHECK_EQ("taken", eddy_open(&second, &config), EDDY_EINUSE);
    CHECK("none", second == NULL);
    (void)eddy_close(first, 0);
    CHECK_EQ("free again", eddy_open(&second, &config), EDDY_OK);
    (void)eddy_close(second, 0);
    CHECK_EQ("nothing to close", eddy_close(NULL, 0), EDDY_OK);
}

/** Each allocation of opening fails once; what was made before is gone again. */
static void opening_without_memory(void **state)
{
    ed_counting_alloc memory;
    eddy_manager *manager = NULL;
    unsigned failures = 0;

    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    for (; manager == NULL && failures < 1000; failures++) {
        eddy_config config = config_without_pump();
        config.allocator = &memory.allocator;
        config.bind = "127.0.0.1:0";
        config.accept = true;
        config.secret_key = ed_test_secret();
        memory.fail_after = failures;
        eddy_status status = eddy_open(&manager, &config);
        CHECK_EQ("status", status, manager == NULL ? EDDY_ENOMEM : EDDY_OK);
        CHECK_EQ("all or nothing", memory.live_count != 0, manager != NULL);
    }
    CHECK("failed at each step", failures > 15);
    (void)eddy_close(manager, 0);
    CHECK_EQ("memory", memory.live_count, 0);
}

static size_t stub_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    (void)context;
    (void)datagrams;
    (void)count;
    return 0;
}

static size_t stub_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    (void)context;
    (void)datagrams;
    return count;
}

static eddy_address stub_local(void *context)
{
    (void)context;
    return ed_addr_ipv4(10, 0, 0, 1, 1);
}

static void stub_close(void *context)
{
    *(unsigned *)context += 1;
}

/** A socket of the program's own stays its own until opening has succeeded. */
static void who_closes_a_socket(void **state)
{
    unsigned closed = 0;
    eddy_socket socket = {.context = &closed,
                          .receive = stub_receive,
                          .send = stub_send,
                          .local = stub_local,
                          .close = stub_close};
    eddy_config config = config_without_pump();
    eddy_manager *manager = NULL;
    ed_counting_alloc memory;

    (void)state;
    ed_counting_alloc_init(&memory, NULL);
    config.allocator = &memory.allocator;
    config.socket = &socket;
    for (unsigned after = 0; manager == NULL; after++) {
        memory.fail_after = after;
        eddy_status status = eddy_open(&manager, &config);
        CHECK_EQ("status", status == EDDY_OK, manager != NULL);
        CHECK_EQ("not closed", closed, 0);
    }
    (void)eddy_close(manager, 0);
    CHECK_EQ("closed once", closed, 1);
}

/* ------------------------------------------------------------------------------- connecting -- */

static void connecting_is_refused(void **state)
{
    static const struct {
        const char *name;
        const char *host_port;
        eddy_status want;
    } rows[] = {
        {"nothing", NULL, EDDY_EINVAL},
        {"empty", "", EDDY_EADDRESS},
        {"no port", "127.0.0.1", EDDY_EADDRESS},
        {"no host", ":4242", EDDY_EADDRESS},
        {"port too high", "127.0.0.1:65536", EDDY_EADDRESS},
        {"port 0", "127.0.0.1:0", EDDY_EINVAL},
        {"open bracket", "[::1:4242", EDDY_EADDRESS},
    };
    eddy_connection connection;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        connection = 7;
        CHECK_EQ(
            rows[i].name,
            eddy_connect(pair.client.manager, rows[i].host_port, ed_test_key_text(), &connection),
            rows[i].want);
        CHECK_EQ(rows[i].name, connection, 0);
    }
    eddy_address none = {.port = 4242};
    CHECK_EQ("no family",
             eddy_connect_address(pair.client.manager, &none, ed_test_options(), &connection),
             EDDY_EINVAL);
    CHECK_EQ("the second of two",
             eddy_connect(pair.client.manager, "10.0.0.9:1", ed_test_key_text(), &connection),
             EDDY_OK);
    CHECK_EQ("the third",
             eddy_connect(pair.client.manager, "10.0.0.8:1", ed_test_key_text(), &connection),
             EDDY_ELIMIT);
    CHECK_EQ("none", connection, 0);
    pair.client.memory.fail_after = 0;
    CHECK_EQ("the limit comes first",
             eddy_connect(pair.client.manager, "10.0.0.8:1", ed_test_key_text(), &connection),
             EDDY_ELIMIT);
    pair.client.memory.fail_after = UINT64_MAX;
    eddy_shutdown(pair.client.manager, 0);
    CHECK_EQ("too late",
             eddy_connect(pair.client.manager, "10.0.0.8:1", ed_test_key_text(), &connection),
             EDDY_ECLOSED);
    run_for_ms(STEP_MS);
    CHECK_EQ("those that ended are not heard of",
             eddy_connect(pair.client.manager, "10.0.0.8:1", ed_test_key_text(), &connection),
             EDDY_ECLOSED);
    (void)take_event(&pair.client, EDDY_DISCONNECTED);
    (void)take_event(&pair.client, EDDY_DISCONNECTED);
    CHECK_EQ("after the end",
             eddy_connect(pair.client.manager, "10.0.0.8:1", ed_test_key_text(), &connection),
             EDDY_ECLOSED);
    CHECK_EQ("none", connection, 0);
}

static void the_same_address_twice(void **state)
{
    eddy_connection connection;

    (void)state;
    CHECK_EQ("taken up",
             eddy_connect_address(pair.client.manager, &pair.server.address, ed_test_options(),
                                  &connection),
             EDDY_OK);
    run_for_ms(STEP_MS);
    eddy_event event = take_event(&pair.client, EDDY_DISCONNECTED);
    CHECK_EQ("whose", event.connection, connection);
    CHECK_EQ("why", event.disconnected.end, EDDY_END_DUPLICATE);
    CHECK_EQ("the first goes on",
             eddy_send(pair.client.manager, pair.dialled, EDDY_UNRELIABLE, 0, "", 0), EDDY_OK);
}

/** A slot is free for the next dial at once when the program takes the last event of the former. */
static void dialling_again_needs_no_poll(void **state)
{
    eddy_manager *client = pair.client.manager;
    eddy_connection connection = 0, next = 0;

    (void)state;
    CHECK_EQ("taken up",
             eddy_connect_address(client, &pair.server.address, ed_test_options(), &connection),
             EDDY_OK);
    run_for_ms(STEP_MS);
    CHECK_EQ("it is over", eddy_send(client, connection, EDDY_UNRELIABLE, 0, "", 0),
             EDDY_ECONNECTION);
    CHECK_EQ("nor this", eddy_disconnect(client, connection, 0, NULL, 0), EDDY_ECONNECTION);
    CHECK_EQ("but not heard of", eddy_connect(client, "10.0.0.8:1", ed_test_key_text(), &next),
             EDDY_ELIMIT);
    CHECK_EQ("its end", take_event(&pair.client, EDDY_DISCONNECTED).connection, connection);
    CHECK_EQ("now", eddy_connect(client, "10.0.0.8:1", ed_test_key_text(), &next), EDDY_OK);
    CHECK("another handle", next != connection);
}

/** How a connection ended is told although there is no memory left to tell it in. */
static void the_last_word_needs_no_memory(void **state)
{
    eddy_connection connection;

    (void)state;
    pair.client.memory.fail_after = 0;
    CHECK_EQ("no memory for its end",
             eddy_connect(pair.client.manager, "10.0.0.9:1", ed_test_key_text(), &connection),
             EDDY_ENOMEM);
    CHECK_EQ("none", connection, 0);
    pair.client.memory.fail_after = UINT64_MAX;
    CHECK_EQ("its slot is free",
             eddy_connect(pair.client.manager, "10.0.0.9:1", ed_test_key_text(), &connection),
             EDDY_OK);
    pair.client.memory.fail_after = 0;
    pair.server.memory.fail_after = 0;
    run_for_ms(STEP_MS);
    eddy_event event = take_event(&pair.client, EDDY_DISCONNECTED);
    CHECK_EQ("whose", event.connection, connection);
    CHECK_EQ("why", event.disconnected.end, EDDY_END_MEMORY);

    CHECK_EQ("close", eddy_disconnect(pair.client.manager, pair.dialled, 5, NULL, 0), EDDY_OK);
    run_for_ms(LIMIT_MS);
    event = take_event(&pair.client, EDDY_DISCONNECTED);
    CHECK_EQ("here", event.disconnected.end, EDDY_END_CLOSED_LOCAL);
    event = take_event(&pair.server, EDDY_DISCONNECTED);
    CHECK_EQ("there", event.disconnected.end, EDDY_END_CLOSED_REMOTE);
    CHECK_EQ("what it said", event.disconnected.code, 5);
    CHECK_EQ("whose", event.connection, pair.taken);
    pair.client.memory.fail_after = UINT64_MAX;
    pair.server.memory.fail_after = UINT64_MAX;
}

/* ---------------------------------------------------------------------------------- the end -- */

static void shutting_down(void **state)
{
    (void)state;
    eddy_shutdown(pair.server.manager, 100);
    eddy_shutdown(pair.server.manager, EDDY_FOREVER);
    run_for_ms(5000);
    eddy_event event = take_event(&pair.server, EDDY_DISCONNECTED);
    CHECK_EQ("end", event.disconnected.end, EDDY_END_CLOSED_LOCAL);
    check_no_event(&pair.server, EDDY_ECLOSED);
    check_no_event(&pair.server, EDDY_ECLOSED);
    CHECK_EQ("the client's", take_event(&pair.client, EDDY_DISCONNECTED).disconnected.end,
             EDDY_END_CLOSED_REMOTE);
    CHECK_EQ("nothing was left", eddy_close(pair.server.manager, 0), EDDY_OK);
    pair.server.manager = NULL;
    CHECK_EQ("memory", pair.server.memory.live_count, 0);
}

/** Closing in the middle of everything gives all memory back, events not taken included. */
static void closing_without_a_word(void **state)
{
    static const uint8_t data[500];

    (void)state;
    for (unsigned n = 0; n < 50; n++)
        CHECK_EQ("send",
                 eddy_send(pair.client.manager, pair.dialled, EDDY_RELIABLE_ORDERED,
                           (uint8_t)(n % 3), data, sizeof(data)),
                 EDDY_OK);
    run_for_ms(2);
    CHECK_EQ("they may not have arrived", eddy_close(pair.client.manager, 1000), EDDY_EAGAIN);
    pair.client.manager = NULL;
    CHECK_EQ("memory", pair.client.memory.live_count, 0);
}

static void statistics(void **state)
{
    eddy_stats stats;
    eddy_socket_stats socket_stats;

    (void)state;
    CHECK_EQ("send", eddy_send(pair.client.manager, pair.dialled, EDDY_UNRELIABLE, 0, "x", 1),
             EDDY_OK);
    run_for_ms(STEP_MS);
    eddy_get_stats(pair.client.manager, &stats);
    CHECK_EQ("opened", stats.connections_opened, 1);
    CHECK_EQ("sent", stats.messages_sent, 1);
    CHECK("datagrams", stats.sent_datagrams >= 3 && stats.received_datagrams >= 3);
    eddy_get_socket_stats(pair.client.manager, &socket_stats);
    CHECK_EQ("the socket's agree", socket_stats.sent_datagrams, stats.sent_datagrams);
    eddy_get_stats(pair.server.manager, &stats);
    CHECK_EQ("delivered", stats.messages_delivered, 1);
    CHECK_EQ("replies to strangers", stats.replied_stateless, 1);
    CHECK_EQ("dropped", stats.dropped_unknown + stats.dropped_forged + stats.dropped_malformed, 0);
}

/** It is taken to go on from where it was; and so does what the other end's clock says. */
static void a_clock_that_is_set_back(void **state)
{
    enum { BACK_MS = 5000 };
    eddy_peer_time before = {0}, after = {0};

    (void)state;
    run_for_ms(2 * BACK_MS);
    uint64_t now_ns = ed_world_now_ns(pair.world);
    uint64_t back_ns = now_ns - BACK_MS * ED_NS_PER_MS;
    (void)eddy_poll(pair.client.manager, now_ns);
    CHECK_EQ("before", eddy_clock(pair.client.manager, pair.dialled, now_ns, &before), EDDY_OK);
    CHECK("due later", eddy_poll(pair.client.manager, back_ns) > back_ns);
    CHECK_EQ("after", eddy_clock(pair.client.manager, pair.dialled, back_ns + ED_NS_PER_S, &after),
             EDDY_OK);
    CHECK("it goes on", after.now_ns > before.now_ns + ED_NS_PER_S - ED_NS_PER_MS);
    CHECK("and no further", after.now_ns < before.now_ns + ED_NS_PER_S + ED_NS_PER_MS);
}

/** What was due before the clock was set back further than that is due now. */
static void a_deadline_from_before_the_clock(void **state)
{
    eddy_manager *client = pair.client.manager;
    uint64_t now_ns = ed_world_now_ns(pair.world);

    (void)state;
    CHECK_EQ("send", eddy_send(client, pair.dialled, EDDY_RELIABLE_ORDERED, 0, "x", 1), EDDY_OK);
    uint64_t due_ns = eddy_poll(client, now_ns);
    CHECK("due later", due_ns > now_ns && due_ns < now_ns + ED_NS_PER_S);
    CHECK_EQ("left to a poll", eddy_flush(client, due_ns + STEP_MS * ED_NS_PER_MS), due_ns);
    CHECK("due", eddy_flush(client, ED_NS_PER_MS) <= ED_NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_is_refused),
        cmocka_unit_test(a_port_belongs_to_one),
        cmocka_unit_test(opening_without_memory),
        cmocka_unit_test(who_closes_a_socket),
        cmocka_unit_test_setup_teardown(connecting_is_refused, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(the_same_address_twice, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(dialling_again_needs_no_poll, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(the_last_word_needs_no_memory, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(shutting_down, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(closing_without_a_word, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(statistics, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_clock_that_is_set_back, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_deadline_from_before_the_clock, open_pair, close_pair),
    };
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
