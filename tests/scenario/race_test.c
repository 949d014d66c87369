/**
 * A name of several addresses: which are asked, when, and who becomes the peer. All in virtual time
 * but the look-up, whose answer is waited for before time goes on.
 */
#include "core/addr.h"
#include "core/clock.h"
#include "core/thread.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"
#include "transport/api_state.h"
#include "transport/packet.h"

enum {
    HANDSHAKE_MS = 3000,
    LOOK_UP_MS = 20000, /* of real time; only a hang meets it */
    SLACK_MS = 5,       /* there and back, twice */
    SETTLE_MS = 2000,   /* for who answers late */
    FOUND_MAX = 8,
};

static ed_cluster cluster;
static ed_node *a, *b, *client;
static eddy_address found[FOUND_MAX];
static size_t found_count;

static eddy_status resolve(void *context, const char *host_port, eddy_address *addresses,
                           size_t capacity, size_t *count)
{
    (void)context;
    (void)host_port;
    CHECK("room", capacity >= found_count);
    memcpy(addresses, found, found_count * sizeof(*found));
    *count = found_count;
    return EDDY_OK;
}

/** What the client has sent: how many INITIATEs, and to how many of two servers. */
static struct {
    unsigned hellos[3]; /* to a, to b, to others */
    unsigned initiates[3];
} sent;

static bool observe(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    (void)context;
    (void)now_ns;
    size_t to = eddy_address_equal(&datagram->remote, &a->address)   ? 0
                : eddy_address_equal(&datagram->remote, &b->address) ? 1
                                                                     : 2;
    ed_form form = ed_form_of(datagram->data, datagram->size);

    if (eddy_address_equal(&datagram->local, &client->address)) {
        sent.hellos[to] += form == ED_FORM_HELLO ? 1 : 0;
        sent.initiates[to] += form == ED_FORM_INITIATE ? 1 : 0;
    }
    return false;
}

/** A and B are the servers; 6 is of a family that the client's socket does not have. */
static eddy_address address_of(char name)
{
    static const uint8_t documentation[16] = {0x20, 0x01, 0x0d, 0xb8};

    return name == 'A'   ? a->address
           : name == 'B' ? b->address
           : name == '6' ? ed_addr_ipv6(documentation, 0, 9)
                         : ed_addr_ipv4(192, 0, 2, (uint8_t)name, 9);
}

typedef struct race_row {
    const char *name;
    const char *found;               /* other letters than in address_of: nobody is there */
    uint32_t a_delay_ms, b_delay_ms; /* one way; 0: a link's usual 1 ms */
    bool a_refuses;                  /* it does not accept the mode */
    bool a_is_dialled;               /* there is a connection to it */
    char peer;                       /* 0: none */
    eddy_end end;                    /* of that */
    uint32_t after_ms;               /* from the answer of the look-up */
    bool asks_b;
} race_row;

static void delay_link(const ed_node *server, uint32_t delay_ms)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = delay_ms * ED_NS_PER_MS;
    if (delay_ms == 0)
        return;
    CHECK_EQ("there", ed_world_set_link(cluster.world, &client->address, &server->address, &link),
             EDDY_OK);
    CHECK_EQ("back", ed_world_set_link(cluster.world, &server->address, &client->address, &link),
             EDDY_OK);
}

static void open_world(const race_row *row)
{
    static const eddy_resolver resolver = {.resolve = resolve};
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();

    client_config.handshake_timeout_ms = HANDSHAKE_MS;
    client_config.resolver = &resolver;
    ed_cluster_open(&cluster, row->name, 1);
    b = ed_cluster_add(&cluster, &server_config);
    server_config.modes = row->a_refuses ? EDDY_MODE_OPEN : server_config.modes;
    a = ed_cluster_add(&cluster, &server_config);
    client = ed_cluster_add(&cluster, &client_config);
    client->is_reading = false;
    delay_link(a, row->a_delay_ms);
    delay_link(b, row->b_delay_ms);
    found_count = strlen(row->found);
    for (size_t i = 0; i < found_count; i++)
        found[i] = address_of(row->found[i]);
    memset(&sent, 0, sizeof(sent));
    ed_world_observe(cluster.world, observe, NULL);
}

/** The time from one poll until the next event. */
static uint64_t await_event_ms(eddy_event *event)
{
    uint64_t ms = 0;

    ed_world_touch(cluster.world, client->host);
    for (; eddy_next(client->manager, event, 0) == EDDY_EAGAIN && ms < 2 * HANDSHAKE_MS; ms++)
        ed_cluster_run_for(&cluster, ED_NS_PER_MS);
    return ms;
}

static void dial_a(void)
{
    char host_port[EDDY_ADDRESS_TEXT_SIZE];
    eddy_connection connection = 0;
    eddy_event event;

    CHECK_EQ("dial",
             eddy_connect(client->manager, eddy_address_print(&a->address, host_port),
                          ed_test_key_text(), &connection),
             EDDY_OK);
    (void)await_event_ms(&event);
    CHECK_EQ("dialled", event.type, EDDY_CONNECTED);
    eddy_release(client->manager, &event);
    memset(&sent, 0, sizeof(sent));
}

/** Dials the name; its addresses wait for the next poll. */
static eddy_connection dial_name(void)
{
    uint64_t until_ns = ed_clock_now_ns() + LOOK_UP_MS * ED_NS_PER_MS;
    eddy_connection connection = 0;

    CHECK_EQ("connect",
             eddy_connect(client->manager, "game.example:9", ed_test_key_text(), &connection),
             EDDY_OK);
    while (ed_resolver_is_busy(client->manager->resolver))
        CHECK("a hang", ed_clock_now_ns() < until_ns);
    return connection;
}

static void check_outcome(const race_row *row, eddy_connection connection)
{
    eddy_event event = {0};
    uint64_t ms = await_event_ms(&event);

    CHECK_EQ(row->name, event.connection, connection);
    CHECK_EQ(row->name, event.type, row->peer != 0 ? EDDY_CONNECTED : EDDY_DISCONNECTED);
    if (ms < row->after_ms || ms > row->after_ms + SLACK_MS)
        CHECK_EQ(row->name, ms, row->after_ms);
    if (row->peer != 0) {
        eddy_address want = address_of(row->peer);
        CHECK(row->name, eddy_address_equal(&event.connected.remote, &want));
        CHECK_EQ(row->name, eddy_peer_address(client->manager, connection, &want), EDDY_OK);
        CHECK(row->name, eddy_address_equal(&event.connected.remote, &want));
    } else {
        CHECK_EQ(row->name, event.disconnected.end, row->end);
    }
    eddy_release(client->manager, &event);
}

/** Who loses has seen HELLO alone, and of an answer that comes late nobody hears. */
static void check_losers(const race_row *row)
{
    eddy_event event;

    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
    CHECK_EQ(row->name, eddy_next(client->manager, &event, 0), EDDY_EAGAIN);
    CHECK_EQ(row->name, sent.initiates[0] > 0, row->peer == 'A');
    CHECK_EQ(row->name, sent.initiates[1] > 0, row->peer == 'B');
    CHECK_EQ(row->name, sent.initiates[2], 0);
    CHECK_EQ(row->name, sent.hellos[1] > 0, row->asks_b);
    CHECK_EQ(row->name, ed_node_stats(b).connections_opened, row->peer == 'B' ? 1 : 0);
    CHECK_EQ(row->name, ed_node_stats(a).connections_opened,
             row->peer == 'A' || row->a_is_dialled ? 1 : 0);
}

/** The connection goes on with its peer, and then the address is free again. */
static void check_after(const race_row *row, eddy_connection connection)
{
    eddy_event event;

    if (row->peer == 0)
        return;
    CHECK_EQ(row->name, eddy_disconnect(client->manager, connection, 0, NULL, 0), EDDY_OK);
    (void)await_event_ms(&event);
    CHECK_EQ(row->name, event.disconnected.end, EDDY_END_CLOSED_LOCAL);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
    connection = dial_name();
    (void)await_event_ms(&event);
    CHECK_EQ(row->name, event.connection, connection);
    CHECK_EQ(row->name, event.type, EDDY_CONNECTED);
    eddy_release(client->manager, &event);
}

static void the_first_that_answers(void **state)
{
    static const race_row rows[] = {
        {.name = "one address", .found = "A", .peer = 'A'},
        {.name = "the first answers", .found = "AB", .peer = 'A'},
        {.name = "the first is silent",
         .found = "xB",
         .peer = 'B',
         .after_ms = 250,
         .asks_b = true},
        {.name = "two are silent", .found = "xyB", .peer = 'B', .after_ms = 500, .asks_b = true},
        {.name = "the first refuses",
         .found = "AB",
         .a_refuses = true,
         .peer = 'B',
         .after_ms = 2,
         .asks_b = true},
        {.name = "the last refuses",
         .found = "xA",
         .a_refuses = true,
         .end = EDDY_END_NO_ANSWER,
         .after_ms = HANDSHAKE_MS},
        {.name = "slow, but not so slow",
         .found = "AB",
         .a_delay_ms = 120,
         .peer = 'A',
         .after_ms = 480},
        {.name = "the second loses",
         .found = "AB",
         .a_delay_ms = 150,
         .b_delay_ms = 100,
         .peer = 'A',
         .after_ms = 600,
         .asks_b = true},
        {.name = "the first loses",
         .found = "AB",
         .a_delay_ms = 400,
         .peer = 'B',
         .after_ms = 250,
         .asks_b = true},
        {.name = "all are silent",
         .found = "xy",
         .end = EDDY_END_NO_ANSWER,
         .after_ms = HANDSHAKE_MS},
        {.name = "one too many",
         .found = "wxyzA",
         .end = EDDY_END_NO_ANSWER,
         .after_ms = HANDSHAKE_MS},
        {.name = "another family is skipped", .found = "6A", .peer = 'A'},
        {.name = "and does not count", .found = "6666A", .peer = 'A'},
        {.name = "another family alone", .found = "6", .end = EDDY_END_UNRESOLVED},
        {.name = "no address", .found = "", .end = EDDY_END_UNRESOLVED},
        {.name = "one address twice", .found = "AA", .peer = 'A'},
        {.name = "one is taken", .found = "AB", .a_is_dialled = true, .peer = 'B', .asks_b = true},
        {.name = "all are taken", .found = "A", .a_is_dialled = true, .end = EDDY_END_DUPLICATE},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_world(&rows[i]);
        if (rows[i].a_is_dialled)
            dial_a();
        eddy_connection connection = dial_name();
        check_outcome(&rows[i], connection);
        check_losers(&rows[i]);
        check_after(&rows[i], connection);
        ed_cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_first_that_answers)};
    return cmocka_run_group_tests_name("race", tests, NULL, NULL);
}
