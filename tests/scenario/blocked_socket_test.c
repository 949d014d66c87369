/** A socket that takes nothing, for a while or for ever: time goes on all the same. */
#include <stdatomic.h>

#include "core/addr.h"
#include "core/poller.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"
#include "transport/manager.h"

enum {
    TIMEOUT_MS = 1000,  /* of handshakes */
    LATE_MAX_MS = 50,   /* after a deadline, as what waits for room is looked at now and then */
    POLLS_PER_S = 1000, /* at most: waiting for room is no busy loop */
    SHUTDOWN_MAX_S = 5,
};

static const eddy_socket *whole; /* the socket that is behind the gate */
static bool is_blocked;

static size_t gate_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    (void)context;
    return whole == NULL ? 0 : whole->receive(whole->context, datagrams, count);
}

static size_t gate_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    (void)context;
    return is_blocked || whole == NULL ? 0 : whole->send(whole->context, datagrams, count);
}

static eddy_address gate_local(void *context)
{
    (void)context;
    return ed_addr_ipv4(10, 0, 0, 99, 1);
}

static const eddy_socket gate = {.receive = gate_receive, .send = gate_send, .local = gate_local};

/** A pump that sleeps between its polls; how often it did not is counted. */
static struct pace {
    uint64_t polls; /* since it slept last */
    uint64_t most;
    atomic_bool has_refused;
} pace;

static size_t paced_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    pace.polls++;
    pace.most = ed_max_u64(pace.most, pace.polls);
    return gate_receive(context, datagrams, count);
}

static size_t paced_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    size_t taken = gate_send(context, datagrams, count);

    atomic_store(&pace.has_refused, taken < count);
    return taken;
}

static void paced_wait(void *context, int wake_fd, bool want_send, uint64_t timeout_ns)
{
    struct pollfd fd = {.fd = wake_fd, .events = POLLIN};

    (void)context;
    (void)want_send; // the gate opens for nobody
    (void)ed_poll_fds(&fd, 1, timeout_ns);
    pace.polls = 0;
}

static const eddy_socket paced_gate = {
    .receive = paced_receive, .send = paced_send, .local = gate_local, .wait = paced_wait};

/** A manager behind the gate. */
static struct node {
    ed_counting_alloc memory;
    eddy_manager *manager;
    uint64_t now_ns;
    uint64_t polls;
} node;

static void open_node_at(const eddy_socket *socket, uint32_t outgoing)
{
    eddy_config config = ed_cluster_client_config();

    whole = NULL;
    is_blocked = true;
    node = (struct node){.now_ns = ED_NS_PER_S};
    ed_counting_alloc_init(&node.memory, NULL);
    config.allocator = &node.memory.allocator;
    config.socket = socket;
    config.pump = socket->wait != NULL;
    config.handshake_timeout_ms = TIMEOUT_MS;
    config.max_outgoing = outgoing;
    CHECK_EQ("open", eddy_open(&node.manager, &config), EDDY_OK);
}

static void open_node(uint32_t outgoing)
{
    open_node_at(&gate, outgoing);
}

static void close_node(eddy_status want)
{
    CHECK_EQ("close", eddy_close(node.manager, 0), want);
    CHECK_EQ("memory", node.memory.live_count, 0);
}

/** Polls when it asks for it, and at the end. */
static void run_for_ms(uint64_t ms)
{
    uint64_t until_ns = node.now_ns + ms * ED_NS_PER_MS;

    for (;; node.polls++) {
        uint64_t next_ns = eddy_poll(node.manager, node.now_ns);
        if (node.now_ns == until_ns)
            return;
        node.now_ns = ed_min_u64(ed_max_u64(next_ns, node.now_ns + 1), until_ns);
    }
}

static void dial(uint32_t count)
{
    eddy_address to = ed_addr_ipv4(10, 0, 0, 2, 1);
    eddy_connection handle = 0;

    for (uint32_t i = 0; i < count; i++, to.port++)
        CHECK_EQ("dial", eddy_connect_address(node.manager, &to, ed_test_options(), &handle),
                 EDDY_OK);
}

/** Takes what has come, which must be ends of that kind. @return how many. */
static uint32_t take_ends(const char *name, eddy_end want)
{
    uint32_t count = 0;
    eddy_event event;

    for (; eddy_next(node.manager, &event, 0) == EDDY_OK; count++) {
        CHECK_EQ(name, event.type, EDDY_DISCONNECTED);
        CHECK_EQ(name, event.disconnected.end, want);
    }
    return count;
}

/* ---------------------------------------------------------------------------------- for ever -- */

static void dials_end_in_time(void **state)
{
    const struct {
        const char *name;
        uint32_t dials;
    } rows[] = {
        {"one", 1},
        {"fewer than wait for room", ED_MANAGER_BATCH - 1},
        {"as many", ED_MANAGER_BATCH},
        {"one more", ED_MANAGER_BATCH + 1},
        {"many more", 10 * ED_MANAGER_BATCH},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_node(rows[i].dials);
        // Again, so that what still waits to be sent is that of connections long gone.
        for (int round = 0; round < 3; round++) {
            dial(rows[i].dials);
            run_for_ms(TIMEOUT_MS - 1);
            CHECK_EQ(rows[i].name, take_ends(rows[i].name, EDDY_END_NO_ANSWER), 0);
            run_for_ms(1 + LATE_MAX_MS);
            CHECK_EQ(rows[i].name, take_ends(rows[i].name, EDDY_END_NO_ANSWER), rows[i].dials);
        }
        CHECK(rows[i].name, node.polls < 4 * POLLS_PER_S);
        eddy_shutdown(node.manager, 0);
        run_for_ms(LATE_MAX_MS);
        eddy_event event;
        CHECK_EQ(rows[i].name, eddy_next(node.manager, &event, 0), EDDY_ECLOSED);
        close_node(EDDY_OK);
    }
}

static void a_shutdown_ends_dials(void **state)
{
    const struct {
        const char *name;
        uint32_t dials;
        uint64_t after_ms;
    } rows[] = {
        {"one", 1, 10},
        {"many", 3 * ED_MANAGER_BATCH, 10},
        {"many, at once", 3 * ED_MANAGER_BATCH, 0},
        {"many, later", 3 * ED_MANAGER_BATCH, TIMEOUT_MS / 2},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_node(rows[i].dials);
        dial(rows[i].dials);
        run_for_ms(rows[i].after_ms);
        eddy_shutdown(node.manager, 0);
        run_for_ms(LATE_MAX_MS);
        CHECK_EQ(rows[i].name, take_ends(rows[i].name, EDDY_END_CLOSED_LOCAL), rows[i].dials);
        eddy_event event;
        CHECK_EQ(rows[i].name, eddy_next(node.manager, &event, 0), EDDY_ECLOSED);
        close_node(EDDY_OK);
    }
}

/** What the socket has no room for is waited for to the end, asleep. */
static void a_pump_sleeps_until_its_end(void **state)
{
    enum { FLUSH_MS = 100, POLLS_AWAKE_MAX = 100 };

    eddy_event event;

    (void)state;
    open_node_at(&paced_gate, 1);
    dial(1);
    while (!atomic_load(&pace.has_refused))
        CHECK_EQ("it goes on", eddy_next(node.manager, &event, 1), EDDY_EAGAIN);
    CHECK_EQ("close", eddy_close(node.manager, FLUSH_MS), EDDY_OK);
    CHECK("it runs", pace.most > 0);
    CHECK("it sleeps", pace.most < POLLS_AWAKE_MAX);
    CHECK_EQ("memory", node.memory.live_count, 0);
}

/* ------------------------------------------------------------------------------- for a while -- */

static ed_cluster cluster;
static eddy_socket behind;
static ed_host *host;

static uint64_t run(void *context, uint64_t now_ns)
{
    struct node *n = context;

    n->now_ns = now_ns;
    n->polls++;
    return eddy_poll(n->manager, now_ns);
}

/** A server in a world, and the node with a connection to it; then the gate closes. */
static eddy_connection open_connected(const char *name)
{
    eddy_address address = gate_local(NULL);
    eddy_config config = ed_cluster_server_config();
    eddy_connection handle = 0;
    eddy_event event;

    static uint64_t seed; // another for each, or keys would be used again
    ed_cluster_open(&cluster, name, seed++);
    const ed_node *server = ed_cluster_add(&cluster, &config);
    host = ed_world_socket(cluster.world, &address, &behind);
    CHECK(name, host != NULL);
    open_node(1);
    whole = &behind;
    is_blocked = false;
    ed_world_attach(cluster.world, host, run, &node);
    CHECK_EQ(name, eddy_connect_address(node.manager, &server->address, ed_test_options(), &handle),
             EDDY_OK);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    CHECK_EQ(name, eddy_next(node.manager, &event, 0), EDDY_OK);
    CHECK_EQ(name, event.type, EDDY_CONNECTED);
    is_blocked = true;
    node.polls = 0;
    return handle;
}

static void close_connected(eddy_status want)
{
    close_node(want);
    behind.close(behind.context);
    ed_cluster_close(&cluster);
}

static void send_many(eddy_connection handle, size_t count)
{
    static const uint8_t data[EDDY_PIECE_SIZE_MAX];

    for (size_t i = 0; i < count; i++)
        CHECK_EQ("send",
                 eddy_send(node.manager, handle, EDDY_RELIABLE_ORDERED, 0, data, sizeof(data)),
                 EDDY_OK);
    ed_world_touch(cluster.world, host);
}

static void a_shutdown_ends_what_was_connected(void **state)
{
    const struct {
        const char *name;
        size_t messages;
        uint32_t flush_ms;
    } rows[] = {
        {"idle", 0, 1000},
        {"with something to flush", 5, 1000},
        {"with much to flush", 1000, 1000},
        {"with no time for it", 1000, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_connection handle = open_connected(rows[i].name);
        send_many(handle, rows[i].messages);
        ed_cluster_run_for(&cluster, 100 * ED_NS_PER_MS);
        eddy_shutdown(node.manager, rows[i].flush_ms);
        ed_world_touch(cluster.world, host);
        ed_cluster_run_for(&cluster, SHUTDOWN_MAX_S * ED_NS_PER_S);
        CHECK_EQ(rows[i].name, take_ends(rows[i].name, EDDY_END_CLOSED_LOCAL), 1);
        eddy_event event;
        CHECK_EQ(rows[i].name, eddy_next(node.manager, &event, 0), EDDY_ECLOSED);
        CHECK(rows[i].name, node.polls < (SHUTDOWN_MAX_S + 1) * POLLS_PER_S);
        close_connected(rows[i].messages == 0 ? EDDY_OK : EDDY_EAGAIN);
    }
}

static void silence_ends_what_was_connected(void **state)
{
    enum { IDLE_MS = 10 * 1000 };

    (void)state;
    send_many(open_connected("silence"), 1000);
    CHECK_EQ("cut", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    ed_cluster_run_for(&cluster, (IDLE_MS + LATE_MAX_MS) * ED_NS_PER_MS);
    CHECK_EQ("silence", take_ends("silence", EDDY_END_IDLE), 1);
    CHECK("silence", node.polls < (IDLE_MS / 1000 + 1) * POLLS_PER_S);
    close_connected(EDDY_EAGAIN);
}

/** Nothing is lost by it. */
static void when_there_is_room_again_it_goes_on(void **state)
{
    enum { MESSAGES = 1000, PAUSE_S = 3 };

    (void)state;
    eddy_connection handle = open_connected("a pause");
    cluster.nodes[0].is_reading = false;
    send_many(handle, MESSAGES);
    ed_cluster_run_for(&cluster, PAUSE_S * ED_NS_PER_S);
    CHECK_EQ("nothing yet", ed_node_stats(&cluster.nodes[0]).messages_delivered, 0);
    is_blocked = false;
    ed_cluster_run_for(&cluster, PAUSE_S * ED_NS_PER_S);
    CHECK_EQ("all", ed_node_stats(&cluster.nodes[0]).messages_delivered, MESSAGES);
    eddy_shutdown(node.manager, 1000);
    ed_world_touch(cluster.world, host);
    ed_cluster_run_for(&cluster, SHUTDOWN_MAX_S * ED_NS_PER_S);
    CHECK_EQ("end", take_ends("a pause", EDDY_END_CLOSED_LOCAL), 1);
    close_connected(EDDY_OK);
}

/** A message that is to leave now or never does not wait for the socket. */
static void now_or_never_is_not_later(void **state)
{
    const struct {
        const char *name;
        size_t before; /* messages that the socket is found to be full with */
        size_t hasty;
    } rows[] = {
        {"the socket is full", 1, 1},
        {"and so is what waits for it", 1000, 1},
        {"many", 1, 200},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_connection handle = open_connected(rows[i].name);
        eddy_send_options options = {.now_or_never = true, .receipt = 1};
        eddy_event event;
        cluster.nodes[0].is_reading = false;
        send_many(handle, rows[i].before);
        ed_cluster_run_for(&cluster, 100 * ED_NS_PER_MS);
        for (size_t n = 0; n < rows[i].hasty; n++)
            CHECK_EQ(rows[i].name,
                     eddy_send_with(node.manager, handle, EDDY_UNRELIABLE, 0, "now", 3, &options),
                     EDDY_OK);
        ed_world_touch(cluster.world, host);
        ed_cluster_run_for(&cluster, ED_NS_PER_MS);
        for (size_t n = 0; n < rows[i].hasty; n++) {
            CHECK_EQ(rows[i].name, eddy_next(node.manager, &event, 0), EDDY_OK);
            CHECK_EQ(rows[i].name, event.type, EDDY_RECEIPT);
            CHECK_EQ(rows[i].name, event.receipt.outcome, EDDY_OUTCOME_LOST);
        }
        is_blocked = false;
        ed_cluster_run_for(&cluster, ED_NS_PER_S);
        CHECK_EQ(rows[i].name, ed_node_stats(&cluster.nodes[0]).messages_delivered, rows[i].before);
        close_connected(EDDY_EAGAIN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dials_end_in_time),
        cmocka_unit_test(a_shutdown_ends_dials),
        cmocka_unit_test(a_pump_sleeps_until_its_end),
        cmocka_unit_test(a_shutdown_ends_what_was_connected),
        cmocka_unit_test(silence_ends_what_was_connected),
        cmocka_unit_test(when_there_is_room_again_it_goes_on),
        cmocka_unit_test(now_or_never_is_not_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
