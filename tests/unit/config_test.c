#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "core/crypto.h"

/** One field of a configuration and what to put there. */
struct change {
    size_t offset;
    size_t size;
    uint64_t value;
};

#define SET(field, to)                                                                             \
    {                                                                                              \
        offsetof(eddy_config, field), sizeof(((eddy_config *)0)->field), (to)                      \
    }

static void apply(eddy_config *config, const struct change *change)
{
    char *field = (char *)config + change->offset;
    uint8_t u8 = (uint8_t)change->value;
    uint32_t u32 = (uint32_t)change->value;

    if (change->size == sizeof(u8))
        memcpy(field, &u8, sizeof(u8));
    else if (change->size == sizeof(u32))
        memcpy(field, &u32, sizeof(u32));
    else if (change->size == sizeof(change->value))
        memcpy(field, &change->value, sizeof(change->value));
}

/** Checks that `bad` is named, or with NULL that nothing is. */
static void check_config(const char *name, const eddy_config *config, const char *bad)
{
    const char *field = "untouched";

    CHECK_EQ(name, eddy_config_check(config, &field), bad == NULL ? EDDY_OK : EDDY_ECONFIG);
    CHECK_STR(name, field, bad == NULL ? "untouched" : bad);
    CHECK_EQ(name, eddy_config_check(config, NULL), bad == NULL ? EDDY_OK : EDDY_ECONFIG);
}

static void the_default_is_a_client_and_good(void **state)
{
    eddy_config config = eddy_config_default();

    (void)state;
    check_config("default", &config, NULL);
    CHECK("bind", config.bind == NULL);
    CHECK("accept", !config.accept);
    CHECK("pump", config.pump);
    CHECK_EQ("protocol_id", config.protocol_id, 0);
    CHECK_EQ("max_connections", config.max_connections, 1024);
    CHECK_EQ("max_outgoing", config.max_outgoing, 64);
    CHECK_EQ("max_half_open", config.max_half_open, 256);
    CHECK_EQ("handshake_timeout_ms", config.handshake_timeout_ms, 10000);
    CHECK_EQ("idle_timeout_ms", config.idle_timeout_ms, 10000);
    CHECK_EQ("keepalive_ms", config.keepalive_ms, 3000);
    CHECK_EQ("max_datagram_size", config.max_datagram_size, EDDY_DATAGRAM_SIZE_MAX);
    CHECK_EQ("max_message_size", config.max_message_size, 256 << 10);
    CHECK_EQ("send_budget", config.send_budget, 64 << 20);
    CHECK_EQ("connection_send_budget", config.connection_send_budget, 4 << 20);
    CHECK_EQ("receive_budget", config.receive_budget, 64 << 20);
    CHECK_EQ("unreliable_budget", config.unreliable_budget, 256 << 10);
    CHECK_EQ("log_level", config.log_level, EDDY_LOG_WARN);
    CHECK_EQ("log_topics", config.log_topics, EDDY_LOG_ALL_TOPICS);
}

static void no_configuration_is_a_bad_one(void **state)
{
    (void)state;
    check_config("NULL", NULL, "config");
}

#define LARGEST EDDY_MESSAGE_SIZE_LIMIT
/* With all that the largest message asks for but the budget of a connection. */
#define LARGEST_MESSAGE                                                                            \
    SET(max_message_size, LARGEST), SET(send_budget, 2 * LARGEST), SET(receive_budget, 4 * LARGEST)
#define SMALL_MESSAGES SET(max_message_size, EDDY_PIECE_SIZE_MAX)
#define SMALL_UNRELIABLE SET(unreliable_budget, 32896)
#define ALL(incoming, outgoing) SET(max_connections, incoming), SET(max_outgoing, outgoing)
#define ONE SET(max_outgoing, 1)
#define TWO SET(max_outgoing, 2)
/* What the header says is enough. */
#define BUDGET_OF_ALL SET(receive_budget, (64 << 10) + 4 * (256 << 10) + UINT64_C(25000) * 65000)

static void numbers_have_bounds(void **state)
{
    static const struct {
        const char *name;
        const char *bad;
        struct change change[5];
    } rows[] = {
        {"no incoming", NULL, {SET(max_connections, 0)}},
        {"no incoming for a server", "max_connections", {SET(max_connections, 0), SET(accept, 1)}},
        {"one incoming for a server", NULL, {SET(max_connections, 1), SET(accept, 1)}},
        {"nobody at all", "max_connections", {SET(max_connections, 0), SET(max_outgoing, 0)}},
        {"no outgoing", NULL, {SET(max_outgoing, 0)}},
        {"all incoming, which are not accepted",
         NULL,
         {SET(max_connections, 65000), SET(max_outgoing, 0)}},
        {"all incoming", NULL, {ALL(65000, 0), SET(accept, 1), BUDGET_OF_ALL}},
        {"all incoming, and a small budget", "receive_budget", {ALL(65000, 0), SET(accept, 1)}},
        {"incoming alone", "max_connections", {SET(max_connections, 65001), SET(max_outgoing, 0)}},
        {"all outgoing", NULL, {ALL(0, 65000), BUDGET_OF_ALL}},
        {"all outgoing, and a small budget", "receive_budget", {ALL(0, 65000)}},
        {"outgoing alone", "max_outgoing", {SET(max_connections, 0), SET(max_outgoing, 65001)}},
        {"both full", NULL, {ALL(64999, 1), SET(accept, 1), BUDGET_OF_ALL}},
        {"both too many", "max_outgoing", {SET(max_connections, 64999), SET(max_outgoing, 2)}},
        {"sum wraps", "max_outgoing", {SET(max_connections, 1), SET(max_outgoing, UINT32_MAX)}},
        {"to be asked", NULL, {SET(ask, 1), SET(accept, 1)}},
        {"to be asked, about nobody", "ask", {SET(ask, 1)}},
        {"one shard", NULL, {SET(shards, 1)}},
        {"one shard without a pump", NULL, {SET(shards, 1), SET(pump, 0), SET(accept, 1)}},
        {"two shards", NULL, {SET(shards, 2), SET(accept, 1)}},
        {"two shards without a pump", "shards", {SET(shards, 2), SET(accept, 1), SET(pump, 0)}},
        {"two shards for nobody", "shards", {SET(shards, 2)}},
        {"most shards",
         NULL,
         {SET(shards, EDDY_SHARDS_MAX), SET(accept, 1), SET(send_budget, UINT64_C(1) << 30),
          SET(receive_budget, UINT64_C(1) << 30)}},
        {"too many shards",
         "shards",
         {SET(shards, EDDY_SHARDS_MAX + 1), SET(accept, 1), SET(send_budget, UINT64_C(1) << 30),
          SET(receive_budget, UINT64_C(1) << 30)}},
        {"half of two messages to send",
         "send_budget",
         {SET(shards, 2), SET(accept, 1), SET(send_budget, (1 << 20) - 1)}},
        {"two messages to send, each",
         NULL,
         {SET(shards, 2), SET(accept, 1), SET(send_budget, 1 << 20)}},
        {"half of what they receive",
         "receive_budget",
         {SET(shards, 2), SET(accept, 1), SET(receive_budget, 32 << 20)}},
        {"no half open", "max_half_open", {SET(max_half_open, 0)}},
        {"one half open", NULL, {SET(max_half_open, 1)}},
        {"many half open", NULL, {SET(max_half_open, 65000)}},
        {"too many half open", "max_half_open", {SET(max_half_open, 65001)}},
        {"hasty handshake", "handshake_timeout_ms", {SET(handshake_timeout_ms, 99)}},
        {"quick handshake", NULL, {SET(handshake_timeout_ms, 100)}},
        {"slow handshake", NULL, {SET(handshake_timeout_ms, 600000)}},
        {"lame handshake", "handshake_timeout_ms", {SET(handshake_timeout_ms, 600001)}},
        {"never idle", NULL, {SET(idle_timeout_ms, 0)}},
        {"idle soon", "idle_timeout_ms", {SET(idle_timeout_ms, 99), SET(keepalive_ms, 0)}},
        {"idle at 100 ms", NULL, {SET(idle_timeout_ms, 100), SET(keepalive_ms, 0)}},
        {"idle late", NULL, {SET(idle_timeout_ms, UINT32_MAX)}},
        {"no keepalive", NULL, {SET(keepalive_ms, 0)}},
        {"keepalive below half", NULL, {SET(idle_timeout_ms, 100), SET(keepalive_ms, 49)}},
        {"keepalive half", "keepalive_ms", {SET(idle_timeout_ms, 100), SET(keepalive_ms, 50)}},
        {"keepalive only", NULL, {SET(idle_timeout_ms, 0), SET(keepalive_ms, UINT32_MAX)}},
        {"no rate", NULL, {SET(rate_max, 0)}},
        {"a rate too low", "rate_max", {SET(rate_max, 1199)}},
        {"the lowest rate", NULL, {SET(rate_max, 1200)}},
        {"the highest rate", NULL, {SET(rate_max, UINT64_MAX)}},
        {"every path takes it", NULL, {SET(max_datagram_size, EDDY_DATAGRAM_SIZE_MIN)}},
        {"not HELLO", "max_datagram_size", {SET(max_datagram_size, EDDY_DATAGRAM_SIZE_MIN - 1)}},
        {"too large", "max_datagram_size", {SET(max_datagram_size, EDDY_DATAGRAM_SIZE_MAX + 1)}},
        {"smallest largest message", NULL, {SET(max_message_size, EDDY_PIECE_SIZE_MAX)}},
        {"no whole datagram", "max_message_size", {SET(max_message_size, EDDY_PIECE_SIZE_MAX - 1)}},
        {"largest message",
         NULL,
         {LARGEST_MESSAGE, SET(connection_send_budget, LARGEST + LARGEST / 10 + 432)}},
        {"too large a message", "max_message_size", {SET(max_message_size, LARGEST + 1)}},
        {"send budget", NULL, {SET(send_budget, 65536), SET(max_message_size, 32768)}},
        {"small send budget", "send_budget", {SET(send_budget, 65535), SMALL_MESSAGES}},
        {"two messages to send",
         "send_budget",
         {SET(send_budget, 65536), SET(max_message_size, 32769)}},
        {"one message of a connection",
         NULL,
         {SET(max_message_size, 5000), SET(connection_send_budget, 5932)}},
        {"less than one message of a connection",
         "connection_send_budget",
         {SET(max_message_size, 5000), SET(connection_send_budget, 5931)}},
        {"receive budget",
         NULL,
         {SET(receive_budget, 65536), SET(max_message_size, 16384), SMALL_UNRELIABLE, ONE}},
        {"small receive budget",
         "receive_budget",
         {SET(receive_budget, 65535), SMALL_MESSAGES, SMALL_UNRELIABLE, ONE}},
        {"four messages to receive",
         "receive_budget",
         {SET(receive_budget, 65536), SET(max_message_size, 16385), SMALL_UNRELIABLE, ONE}},
        {"a window for two", "receive_budget", {SET(receive_budget, 65536), SMALL_UNRELIABLE, TWO}},
        {"a window for two of small messages",
         NULL,
         {SET(receive_budget, 65536), SMALL_MESSAGES, SMALL_UNRELIABLE, TWO}},
        {"a window for each that may come", NULL, {SET(receive_budget, 27038281), SET(accept, 1)}},
        {"but for one", "receive_budget", {SET(receive_budget, 27038280 - 8), SET(accept, 1)}},
        {"a window for each that is dialled", NULL, {SET(receive_budget, 1872457)}},
        {"but for one of these", "receive_budget", {SET(receive_budget, 1872456 - 8)}},
        {"two unreliable messages", NULL, {SMALL_UNRELIABLE}},
        {"less than two unreliable messages", "unreliable_budget", {SET(unreliable_budget, 32895)}},
        {"all unreliable", NULL, {SET(unreliable_budget, 64 << 20)}},
        {"more than all unreliable", "unreliable_budget", {SET(unreliable_budget, (64 << 20) + 1)}},
        {"first of two", "send_budget", {SET(send_budget, 0), SET(receive_budget, 0)}},
        {"unknown congestion", "congestion", {SET(congestion, 2)}},
        {"log level none", "log_level", {SET(log_level, 0)}},
        {"log errors", NULL, {SET(log_level, EDDY_LOG_ERROR)}},
        {"log all", NULL, {SET(log_level, EDDY_LOG_DEBUG)}},
        {"log more than all", "log_level", {SET(log_level, 5)}},
        {"no topic", NULL, {SET(log_topics, 0)}},
        {"unknown topic", "log_topics", {SET(log_topics, 16)}},
        {"any number for an address", NULL, {SET(max_per_address, 0)}},
        {"many for an address", NULL, {SET(max_per_address, 65535)}},
        {"more for an address than are counted", "max_per_address", {SET(max_per_address, 65536)}},
        {"any number half open", NULL, {SET(half_open_per_address, 0)}},
        {"more half open than are counted",
         "half_open_per_address",
         {SET(half_open_per_address, 65536)}},
        {"any protocol", NULL, {SET(protocol_id, UINT64_MAX)}},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config config = eddy_config_default();
        for (size_t k = 0; k < ED_COUNT(rows[i].change); k++)
            apply(&config, &rows[i].change[k]);
        check_config(rows[i].name, &config, rows[i].bad);
    }
}

/** The header says what is always enough. */
static void what_the_header_promises_is_enough(void **state)
{
    static const uint32_t connections[] = {1, 2, 3, 10, 64, 1000, 20000, 65000};
    static const size_t sizes[] = {EDDY_PIECE_SIZE_MAX, 4000, 16 << 10, 256 << 10, LARGEST};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(connections); i++)
        for (size_t k = 0; k < ED_COUNT(sizes); k++) {
            eddy_config config = eddy_config_default();
            config.max_connections = connections[i];
            config.max_outgoing = 0;
            config.accept = true;
            config.max_message_size = sizes[k];
            config.send_budget = 2 * sizes[k] + (64 << 10);
            config.connection_send_budget = config.send_budget;
            config.unreliable_budget = 32896;
            config.receive_budget = (64 << 10) + 4 * sizes[k] + (size_t)connections[i] * 25000;
            check_config("enough", &config, NULL);
        }
}

static void bind_has_a_host_and_a_port(void **state)
{
    static const struct {
        const char *bind;
        const char *bad;
    } rows[] = {
        {":4242", NULL},       {"127.0.0.1:0", NULL}, {"[::1]:4242", NULL},
        {"localhost:1", NULL}, {"", "bind"},          {"127.0.0.1", "bind"},
        {"::1:4242", "bind"},  {":65536", "bind"},    {"localhost:x", "bind"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config config = eddy_config_default();
        config.bind = rows[i].bind;
        check_config(rows[i].bind, &config, rows[i].bad);
    }
}

/* A socket that is never called. */
static size_t no_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    (void)context, (void)datagrams, (void)count;
    return 0;
}

static size_t no_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    (void)context, (void)datagrams, (void)count;
    return 0;
}

static eddy_address no_local(void *context)
{
    (void)context;
    return (eddy_address){.family = EDDY_FAMILY_NONE};
}

static void no_wait(void *context, int wake_fd, bool want_send, uint64_t timeout_ns)
{
    (void)context, (void)wake_fd, (void)want_send, (void)timeout_ns;
}

static void a_socket_must_be_complete(void **state)
{
    static const eddy_socket whole = {
        .receive = no_receive, .send = no_send, .local = no_local, .wait = no_wait};
    static const struct {
        const char *name;
        const char *bad;
        bool pump;
        size_t missing; /* the pointer that is NULL */
    } rows[] = {
        {"no receive", "socket", true, offsetof(eddy_socket, receive)},
        {"no send", "socket", true, offsetof(eddy_socket, send)},
        {"no local", "socket", true, offsetof(eddy_socket, local)},
        {"no wait", "socket", true, offsetof(eddy_socket, wait)},
        {"no wait, no pump", NULL, false, offsetof(eddy_socket, wait)},
        {"no send, no pump", "socket", false, offsetof(eddy_socket, send)},
        {"no stats", NULL, true, offsetof(eddy_socket, stats)},
        {"no close", NULL, true, offsetof(eddy_socket, close)},
        {"no context", NULL, true, offsetof(eddy_socket, context)},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config config = eddy_config_default();
        eddy_socket socket = whole;
        memset((char *)&socket + rows[i].missing, 0, sizeof(socket.receive));
        config.socket = &socket;
        config.pump = rows[i].pump;
        check_config(rows[i].name, &config, rows[i].bad);
    }
}

static void allocator_and_entropy_must_be_complete(void **state)
{
    const eddy_allocator whole = *ed_alloc_default();
    const struct {
        const char *name;
        const char *bad;
        eddy_allocator allocator;
        eddy_entropy entropy;
    } rows[] = {
        {"both", NULL, whole, *ed_entropy_system()},
        {"no allocate", "allocator", {.free = whole.free}, *ed_entropy_system()},
        {"no free", "allocator", {.allocate = whole.allocate}, *ed_entropy_system()},
        {"no fill", "entropy", whole, {.fill = NULL}},
    };
    const eddy_resolver no_resolve = {.context = NULL};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config config = eddy_config_default();
        config.allocator = &rows[i].allocator;
        config.entropy = &rows[i].entropy;
        check_config(rows[i].name, &config, rows[i].bad);
    }
    eddy_config config = eddy_config_default();
    config.resolver = &no_resolve;
    check_config("no resolve", &config, "resolver");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_is_a_client_and_good),
        cmocka_unit_test(no_configuration_is_a_bad_one),
        cmocka_unit_test(numbers_have_bounds),
        cmocka_unit_test(what_the_header_promises_is_enough),
        cmocka_unit_test(bind_has_a_host_and_a_port),
        cmocka_unit_test(a_socket_must_be_complete),
        cmocka_unit_test(allocator_and_entropy_must_be_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
