/** Dialling again, too early and too late: every dial that was begun is answered, once. */
#include <stdatomic.h>

#include "core/clock.h"
#include "core/thread.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"
#include "tests/unit/manager_bed.h"

enum {
    SETTLE_MS = 500,
    MESSAGES = 5,
    LIMIT_S = 20, /* an end by silence takes half of it */
};

static ed_cluster cluster;

/** A server (node 0) and a client (node 1), connected and quiet. */
static void open_pair(const char *name, const eddy_config *client)
{
    eddy_config server = ed_cluster_server_config();

    ed_cluster_open(&cluster, name, 1);
    ed_cluster_add_pair(&cluster, &server, client);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
}

/* ------------------------------------------------------------------------ after the last one -- */

static void server_closes(ed_node *server, ed_node *client)
{
    (void)client;
    ed_node_disconnect(server, ed_node_newest(server), 9, "kick", 0);
}

static void client_closes(ed_node *server, ed_node *client)
{
    (void)server;
    ed_node_disconnect(client, ed_node_newest(client), 9, "later", 0);
}

static void both_close(ed_node *server, ed_node *client)
{
    server_closes(server, client);
    client_closes(server, client);
}

static void server_crashes(ed_node *server, ed_node *client)
{
    (void)client;
    ed_node_crash(server);
    CHECK_EQ(cluster.name, ed_node_start(server), EDDY_OK);
}

/** When a program takes DISCONNECTED it may dial the same address again at that moment. */
static void an_ended_connection_does_not_block_the_next(void **state)
{
    enum { REDIALS = 4 };
    const struct {
        const char *name;
        void (*end)(ed_node *server, ed_node *client);
        eddy_end want;
    } rows[] = {
        {"the server closes", server_closes, EDDY_END_CLOSED_REMOTE},
        {"the client closes", client_closes, EDDY_END_CLOSED_LOCAL},
        {"both close", both_close, EDDY_END_CLOSED_LOCAL},
        {"the server crashes", server_crashes, EDDY_END_FORGOTTEN},
    };
    eddy_config config = ed_cluster_client_config();

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name, &config);
        ed_node *server = &cluster.nodes[0];
        ed_node *client = &cluster.nodes[1];
        for (int round = 0; round < REDIALS; round++) {
            const ed_endpoint *old = ed_node_newest(client);
            rows[i].end(server, client);
            ed_cluster_await_disconnected(&cluster, old, LIMIT_S * ED_NS_PER_S);
            CHECK_EQ(rows[i].name, old->end.end, rows[i].want);
            ed_endpoint *again = ed_node_connect(client, server);
            ed_node_send_many(client, again, EDDY_RELIABLE_ORDERED, 0, MESSAGES);
            ed_cluster_await_connected(&cluster, again, ED_NS_PER_S);
            ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
            CHECK_EQ(rows[i].name, ed_endpoint_received(ed_node_newest(server)), MESSAGES);
        }
        CHECK_EQ(rows[i].name, client->endpoint_count, REDIALS + 1);
        CHECK_EQ(rows[i].name, server->endpoint_count, REDIALS + 1);
        for (size_t n = server->earlier_count; n < REDIALS; n++)
            CHECK(rows[i].name, server->endpoints[n].disconnected);
        CHECK(rows[i].name, !ed_node_newest(server)->disconnected);
        ed_cluster_close(&cluster);
    }
}

/** The place that a newcomer gets may be that of the connection before it at its own address. */
static void the_only_place_is_had_again(void **state)
{
    enum { REDIALS = 4, HEARD_MS = 10 };
    eddy_config server_config = ed_cluster_server_config();
    eddy_config client_config = ed_cluster_client_config();

    (void)state;
    server_config.max_connections = 1;
    ed_cluster_open(&cluster, "one place", 1);
    ed_cluster_add_pair(&cluster, &server_config, &client_config);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
    ed_node *server = &cluster.nodes[0];
    ed_node *client = &cluster.nodes[1];
    for (int round = 0; round < REDIALS; round++) {
        client_closes(server, client);
        ed_cluster_run_for(&cluster, HEARD_MS * ED_NS_PER_MS);
        ed_node_crash(client); // it does not hear that the server has heard, and answers still
        ed_world_touch(cluster.world, server->host); // what its program gave back is taken
        ed_cluster_run_for(&cluster, HEARD_MS * ED_NS_PER_MS);
        CHECK_EQ("it starts", ed_node_start(client), EDDY_OK);
        ed_cluster_await_connected(&cluster, ed_node_connect(client, server), ED_NS_PER_S);
        ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
    }
    CHECK_EQ("all were let in", server->endpoint_count, REDIALS + 1);
    ed_cluster_close(&cluster);
}

/** One that was dialled keeps its own place while it may have to answer who closed it. */
static void the_only_dial_is_had_again_in_time(void **state)
{
    enum { ANSWERS_MS = 3000 };
    eddy_config config = ed_cluster_client_config();
    eddy_connection handle = 0;

    (void)state;
    config.max_outgoing = 1;
    open_pair("one dial", &config);
    ed_node *server = &cluster.nodes[0];
    ed_node *client = &cluster.nodes[1];
    const ed_endpoint *old = ed_node_newest(client);
    server_closes(server, client);
    ed_cluster_await_disconnected(&cluster, old, LIMIT_S * ED_NS_PER_S);
    CHECK_EQ("not yet",
             eddy_connect_address(client->manager, &server->address, ed_test_options(), &handle),
             EDDY_ELIMIT);
    ed_cluster_run_for(&cluster, ANSWERS_MS * ED_NS_PER_MS);
    ed_cluster_await_connected(&cluster, ed_node_connect(client, server), ED_NS_PER_S);
    ed_cluster_close(&cluster);
}

/* --------------------------------------------------------------------------------- too early -- */

static void lose_memory(ed_node *client)
{
    client->memory.fail_after = 0;
}

static void keep_memory(ed_node *client)
{
    (void)client;
}

/** A dial that fails at once takes the messages along that were sent after it. */
static void messages_for_a_dial_that_failed_are_counted(void **state)
{
    enum { RELIABLE = 5, UNRELIABLE = 3 };
    const struct {
        const char *name;
        size_t to; /* node 2 is not connected yet */
        void (*before)(ed_node *client);
        eddy_end want;
    } rows[] = {
        {"there is one", 0, keep_memory, EDDY_END_DUPLICATE},
        {"no memory", 2, lose_memory, EDDY_END_MEMORY},
    };
    eddy_config server = ed_cluster_server_config();
    eddy_config config = ed_cluster_client_config();

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name, &config);
        (void)ed_cluster_add(&cluster, &server);
        ed_node *client = &cluster.nodes[1];
        ed_endpoint *second = ed_node_connect(client, &cluster.nodes[rows[i].to]);
        ed_node_send_many(client, second, EDDY_RELIABLE_ORDERED, 0, RELIABLE);
        ed_node_send_many(client, second, EDDY_UNRELIABLE, 0, UNRELIABLE);
        rows[i].before(client);
        ed_cluster_run_for(&cluster, ED_NS_PER_MS);
        client->memory.fail_after = UINT64_MAX;
        ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
        CHECK_EQ(rows[i].name, second->end.end, rows[i].want);

        eddy_stats stats = ed_node_stats(client);
        CHECK_EQ(rows[i].name, stats.commands_stale, RELIABLE + UNRELIABLE);
        CHECK_EQ(rows[i].name, stats.messages_sent, RELIABLE + UNRELIABLE);
        CHECK_EQ(rows[i].name, stats.messages_undelivered, RELIABLE);
        ed_node_shutdown(client, 1000);
        ed_cluster_run_for(&cluster, ED_NS_PER_S);
        CHECK(rows[i].name, client->is_over);
        CHECK_EQ(rows[i].name, eddy_close(client->manager, 0), EDDY_EAGAIN);
        client->manager = NULL;
        ed_cluster_close(&cluster);
    }
}

/* ---------------------------------------------------------------------------------- too late -- */

/** What the call says, and that it keeps the promise: EDDY_OK is one event, all else is none. */
static void check_dial(const char *name, ed_node *client, eddy_status want)
{
    eddy_connection handle = 0;
    eddy_status status = eddy_connect_address(client->manager, &cluster.nodes[0].address,
                                              ed_test_options(), &handle);

    CHECK_EQ(name, status, want);
    CHECK_EQ(name, handle != 0, status == EDDY_OK);
    CHECK_EQ(name, eddy_send(client->manager, handle, EDDY_RELIABLE_ORDERED, 0, "x", 1),
             EDDY_ECONNECTION);
}

static void a_dial_during_shutdown_is_refused(void **state)
{
    eddy_config config = ed_cluster_client_config();

    (void)state;
    config.max_outgoing = 8;
    open_pair("late dials", &config);
    ed_node *client = &cluster.nodes[1];
    ed_endpoint *first = ed_node_newest(client);
    // One more, that the shutdown will find in the queue.
    const ed_endpoint *second = ed_node_connect(client, &cluster.nodes[0]);
    ed_node_send_many(client, first, EDDY_RELIABLE_ORDERED, 0, 1);
    ed_node_shutdown(client, 1000);
    check_dial("before the first poll", client, EDDY_ECLOSED);
    while (!second->disconnected)
        CHECK("goes on", ed_world_step(cluster.world));
    CHECK("flushes yet", !first->disconnected);
    check_dial("after it", client, EDDY_ECLOSED);
    ed_cluster_await_disconnected(&cluster, first, LIMIT_S * ED_NS_PER_S);
    check_dial("after the last one has gone", client, EDDY_ECLOSED);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    CHECK("over", client->is_over);
    check_dial("after the end", client, EDDY_ECLOSED);
    ed_cluster_close(&cluster);
}

/** A socket that is called while the last connection goes: another thread may dial just then. */
static struct late_dial {
    struct bed *bed;
    bool is_due;
    eddy_connection handle;
} late;

static size_t send_and_dial(void *context, const eddy_datagram *datagrams, size_t count)
{
    if (late.is_due) {
        late.is_due = false;
        late.handle = dial(late.bed, 2);
        order(late.bed, late.handle, FAKE_SEND, 1);
    }
    return wire_send(context, datagrams, count);
}

static void a_dial_as_the_last_connection_goes_is_answered(void **state)
{
    bool has_ended = false;

    (void)state;
    struct bed *bed = bed_open((struct bed_limits){.outgoing = 2, .incoming = 2, .half_open = 2});
    late = (struct late_dial){.bed = bed};
    bed->socket.send = send_and_dial;
    bed->fake.lingers = true;
    eddy_connection first = dial(bed, 1);
    shut_down(bed, 0);
    poll_at(bed, 1);
    (void)next_event(bed, &has_ended);
    CHECK("not yet", !has_ended);
    order(bed, first, FAKE_SEND, 1);
    order(bed, first, FAKE_END, 0);
    late.is_due = true;
    for (uint64_t ms = 2; !ed_manager_is_done(bed->manager) && ms < 10; ms++)
        poll_at(bed, ms);

    CHECK("dialled", late.handle != 0);
    (void)want_event(bed, "its message", FAKE_UNSENT);
    struct fake_event event = want_event(bed, "answered", FAKE_FAILED);
    CHECK_EQ("its own", event.connection, late.handle);
    CHECK_EQ("what became of the message", bed->fake.payloads, 0);
    (void)next_event(bed, &has_ended);
    CHECK("nothing else", has_ended);
    struct fake_command command = {.head = {.kind = ED_COMMAND_CONNECT, .remote = peer(3)},
                                   .order = FAKE_CONNECT};
    CHECK_EQ("after the end", say(bed, &command), EDDY_ECLOSED);
    bed_close(bed);
}

/* ------------------------------------------------------------------------ from other threads -- */

enum {
    ROUNDS = 200,
    OUTGOING = 4,          /* so that most dials wait for a slot, which the shutdown gives back */
    HANDLES_MAX = 1 << 12, /* of one round */
    AWAIT_MS = 10 * 1000,
};

/** A thread that dials, and sends, until it is refused. */
struct dialler {
    eddy_manager *manager;
    eddy_address to;
    atomic_bool has_begun;
    bool is_stuck;
    uint64_t accepted; /* messages */
    size_t count;
    eddy_connection handles[HANDLES_MAX];
};

static void run_dialler(void *context)
{
    struct dialler *d = context;
    uint64_t until_ns = ed_clock_now_ns() + AWAIT_MS * ED_NS_PER_MS;
    eddy_status status = EDDY_OK;

    while (status != EDDY_ECLOSED && d->count < HANDLES_MAX && !d->is_stuck) {
        eddy_connection *handle = &d->handles[d->count];
        status = eddy_connect_address(d->manager, &d->to, ed_test_options(), handle);
        if (status == EDDY_OK) {
            d->count++;
            d->accepted +=
                eddy_send(d->manager, *handle, EDDY_RELIABLE_ORDERED, 0, "x", 1) == EDDY_OK ? 1 : 0;
        }
        atomic_store(&d->has_begun, true);
        d->is_stuck = ed_clock_now_ns() > until_ns;
    }
}

/** Takes all events; each must be the one and only of its handle. @return how many. */
static size_t take_ends(eddy_manager *manager, eddy_connection *ended)
{
    eddy_event event;
    eddy_status status = EDDY_OK;
    size_t count = 0;

    while ((status = eddy_next(manager, &event, AWAIT_MS)) == EDDY_OK) {
        CHECK_EQ("event", event.type, EDDY_DISCONNECTED);
        CHECK("not so many", count < HANDLES_MAX);
        ended[count++] = event.connection;
    }
    CHECK_EQ("end of events", status, EDDY_ECLOSED);
    return count;
}

static size_t count_of(const eddy_connection *handles, size_t count, eddy_connection handle)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += handles[i] == handle ? 1 : 0;
    return found;
}

/** Waits a little, and each round a little longer: the shutdown is to meet every moment. */
static void pause_ns(uint64_t duration_ns)
{
    uint64_t until_ns = ed_clock_now_ns() + duration_ns;

    while (ed_clock_now_ns() < until_ns)
        continue;
}

static void dial_against_shutdown(uint64_t after_ns)
{
    static eddy_connection ended[HANDLES_MAX];
    static struct dialler d;
    eddy_config config = eddy_config_default();
    ed_thread thread;

    config.bind = "127.0.0.1:0";
    config.max_outgoing = OUTGOING;
    memset(&d, 0, sizeof(d));
    CHECK_EQ("open", eddy_open(&d.manager, &config), EDDY_OK);
    d.to = eddy_local_address(d.manager); // it accepts nobody, not even itself
    CHECK_EQ("start", ed_thread_start(&thread, "dialler", run_dialler, &d), EDDY_OK);
    while (!atomic_load(&d.has_begun))
        continue;
    pause_ns(after_ns);
    eddy_shutdown(d.manager, 0);
    size_t count = take_ends(d.manager, ended);
    ed_thread_join(&thread);
    CHECK("the dialler has an end", !d.is_stuck && d.count < HANDLES_MAX);
    for (size_t i = 0; i < d.count; i++)
        CHECK_EQ("one DISCONNECTED", count_of(ended, count, d.handles[i]), 1);
    CHECK_EQ("and no other", count, d.count);
    CHECK_EQ("close", eddy_close(d.manager, 0), d.accepted > 0 ? EDDY_EAGAIN : EDDY_OK);
}

static void a_thread_dials_while_another_shuts_down(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++)
        dial_against_shutdown(round % 50 * ED_NS_PER_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ended_connection_does_not_block_the_next),
        cmocka_unit_test(the_only_place_is_had_again),
        cmocka_unit_test(the_only_dial_is_had_again_in_time),
        cmocka_unit_test(messages_for_a_dial_that_failed_are_counted),
        cmocka_unit_test(a_dial_during_shutdown_is_refused),
        cmocka_unit_test(a_dial_as_the_last_connection_goes_is_answered),
        cmocka_unit_test(a_thread_dials_while_another_shuts_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
