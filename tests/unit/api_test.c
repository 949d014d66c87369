/** The public calls, one by one: what they refuse, and how they behave without a pump. */
#include "tests/support/check.h"

#include <poll.h>

#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "sim/world.h"
#include "tests/support/keys.h"
#include "transport/returns.h"

enum { STEP_MS = 5, LIMIT_MS = 20000 };

/* ------------------------------------------------------ two managers in a world, no threads -- */

struct side {
    ed_counting_alloc memory;
    eddy_manager *manager;
    eddy_socket socket;
    ed_host *host;
    eddy_address address;
};

static struct pair {
    ed_world *world;
    struct side server;
    struct side client;
    eddy_connection dialled; /* at the client */
    eddy_connection taken;   /* at the server */
} pair;

static uint64_t run_manager(void *context, uint64_t now_ns)
{
    return eddy_poll(context, now_ns);
}

static eddy_config config_without_pump(void)
{
    eddy_config config = eddy_config_default();

    config.pump = false;
    return config;
}

static void open_side(struct side *side, eddy_config config, uint8_t host)
{
    eddy_entropy entropy;

    ed_counting_alloc_init(&side->memory, NULL);
    side->address = ed_addr_ipv4(10, 0, 0, host, 4242);
    side->host = ed_world_socket(pair.world, &side->address, &side->socket);
    CHECK("host", side->host != NULL);
    entropy = ed_world_entropy(pair.world, side->host);
    config.allocator = &side->memory.allocator;
    config.socket = &side->socket;
    config.entropy = &entropy;
    CHECK_EQ("open", eddy_open(&side->manager, &config), EDDY_OK);
    ed_world_attach(pair.world, side->host, run_manager, side->manager);
}

static void run_for_ms(uint64_t ms)
{
    ed_world_touch(pair.world, pair.server.host);
    ed_world_touch(pair.world, pair.client.host);
    ed_world_run_until(pair.world, ed_world_now_ns(pair.world) + ms * ED_NS_PER_MS);
}

static eddy_event take_event(const struct side *side, eddy_event_type type)
{
    eddy_event event;

    CHECK_EQ("an event", eddy_next(side->manager, &event, 0), EDDY_OK);
    CHECK_EQ("its type", event.type, type);
    return event;
}

static void check_no_event(const struct side *side, eddy_status want)
{
    eddy_event event = {.type = EDDY_MESSAGE, .connection = 7};

    CHECK_EQ("no event", eddy_next(side->manager, &event, 1000), want);
    CHECK_EQ("an empty one", event.type, EDDY_EVENT_NONE);
    CHECK_EQ("of nobody", event.connection, 0);
}

/** A server and a client, connected. */
static int open_pair(void **state)
{
    (void)state;
    memset(&pair, 0, sizeof(pair));
    pair.world = ed_world_create(ed_alloc_default(), 1);
    CHECK("world", pair.world != NULL);
    eddy_config server = config_without_pump(), client = config_without_pump();
    server.accept = true;
    server.secret_key = ed_test_secret();
    server.max_connections = 2;
    client.max_outgoing = 2;
    client.send_budget = 64 * 1024;
    client.max_message_size = EDDY_PIECE_SIZE_MAX;
    open_side(&pair.server, server, 1);
    open_side(&pair.client, client, 2);
    CHECK_EQ("connect",
             eddy_connect_address(pair.client.manager, &pair.server.address, ed_test_options(),
                                  &pair.dialled),
             EDDY_OK);
    run_for_ms(50);
    (void)take_event(&pair.client, EDDY_CONNECTED);
    pair.taken = take_event(&pair.server, EDDY_CONNECTED).connection;
    return 0;
}

static void close_side(struct side *side)
{
    if (side->manager != NULL)
        (void)eddy_close(side->manager, 0);
    side->manager = NULL;
    CHECK_EQ("memory", side->memory.live_count, 0);
}

static int close_pair(void **state)
{
    (void)state;
    close_side(&pair.server);
    close_side(&pair.client);
    ed_world_destroy(pair.world);
    return 0;
}

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
             EDDY_ELIMIT);
    run_for_ms(STEP_MS);
    CHECK_EQ("those that ended are not heard of",
             eddy_connect(pair.client.manager, "10.0.0.8:1", ed_test_key_text(), &connection),
             EDDY_ELIMIT);
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
    CHECK_EQ("whose it is when it comes back", ed_return_connection(event.block), pair.taken);
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
    CHECK_EQ("all taken", readable(fd), 0);
    eddy_shutdown(pair.server.manager, 0);
    run_for_ms(5000);
    (void)take_event(&pair.server, EDDY_DISCONNECTED);
    CHECK_EQ("the end is something too", readable(fd), 1);
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
        cmocka_unit_test_setup_teardown(shutting_down, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(closing_without_a_word, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(statistics, open_pair, close_pair),
    };
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
