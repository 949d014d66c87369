/** A server of several shards, with their threads, and clients over UDP on the loopback interface.
 */
#include "tests/support/check.h"

#include "core/alloc.h"
#include "core/base.h"
#include "core/clock.h"
#include "core/thread.h"
#include "tests/support/issuer.h"
#include "tests/support/keys.h"
#include "tests/support/switch.h"
#include "transport/slots.h"

enum {
    SHARDS = 2,
    CLIENTS = 32, /* all in one of two shards: once in 2^31 */
    MESSAGES = 40,
    MOVES = 16,
    ROUNDS = 3,
    PLACES = 6,
    SENDERS = 2,
    TESTS_MAX = 16,
    LIMIT_MS = 30000, /* until something that has to come counts as lost */
    FLUSH_MS = 5000,
    ASLEEP_MS = 5, /* after so long a shard that has nothing to do sleeps */
};

/** What the server has heard of a connection, in the order of its handles' coming. */
struct guest {
    eddy_connection handle;
    uint32_t messages; /* numbered from 0, in order */
    uint32_t moves;
    bool has_ended;
};

struct client {
    eddy_manager *manager;
    eddy_connection peer;
    eddy_event_type last; /* what came last of CONNECTED and DISCONNECTED */
    eddy_event_disconnected end;
    uint32_t messages;
};

static ed_counting_alloc memories[TESTS_MAX]; /* so that one that fails disturbs no other */
static ed_counting_alloc *memory;
static eddy_manager *server;
static eddy_address address;
static struct guest guests[CLIENTS * ROUNDS];
static size_t guest_count;
static struct client clients[CLIENTS];
static size_t client_count;
static uint64_t limit_ns;

/* ------------------------------------------------------------------------------ both sides -- */

static eddy_config server_config(void)
{
    eddy_config config = eddy_config_default();

    config.bind = "127.0.0.1:0";
    config.accept = true;
    config.shards = SHARDS;
    config.secret_key = ed_test_secret();
    config.allocator = &memory->allocator;
    return config;
}

static void open_server(const eddy_config *config)
{
    CHECK_EQ("open", eddy_open(&server, config), EDDY_OK);
    CHECK_EQ("shards", eddy_shard_count(server), SHARDS);
    address = eddy_local_address(server);
    guest_count = client_count = 0;
    limit_ns = ed_clock_now_ns() + LIMIT_MS * ED_NS_PER_MS;
}

static void dial_again(struct client *client, const eddy_connect_options *options)
{
    client->last = EDDY_EVENT_NONE;
    CHECK_EQ("dial", eddy_connect_address(client->manager, &address, options, &client->peer),
             EDDY_OK);
}

static struct client *dial(const eddy_config *config, const eddy_connect_options *options)
{
    struct client *client = &clients[client_count++];

    *client = (struct client){.last = EDDY_EVENT_NONE};
    CHECK_EQ("client", eddy_open(&client->manager, config), EDDY_OK);
    dial_again(client, options);
    return client;
}

static eddy_config client_config(void)
{
    eddy_config config = eddy_config_default();

    config.pump = false;
    config.bind = "127.0.0.1:0";
    return config;
}

static void close_all(void)
{
    for (size_t i = 0; i < client_count; i++)
        (void)eddy_close(clients[i].manager, 0);
    (void)eddy_close(server, 0);
    CHECK_EQ("memory left", memory->live_count, 0);
}

static struct guest *guest_of(eddy_connection handle)
{
    for (size_t i = 0; i < guest_count; i++)
        if (guests[i].handle == handle)
            return &guests[i];
    return NULL;
}

static uint32_t number_of(const eddy_event *event)
{
    uint32_t number;

    CHECK_EQ("size", event->message.size, sizeof number);
    memcpy(&number, event->message.data, sizeof number);
    return number;
}

static void take_at_server(const eddy_event *event)
{
    struct guest *guest = guest_of(event->connection);

    if (guest == NULL) {
        CHECK("begins so", event->type == EDDY_CONNECTED || event->type == EDDY_CONNECT_REQUEST);
        CHECK("room", guest_count < ED_COUNT(guests));
        CHECK("shard", eddy_shard_of(event->connection) < SHARDS);
        guests[guest_count++] = (struct guest){.handle = event->connection};
        return;
    }
    CHECK("nothing after the end", !guest->has_ended);
    guest->has_ended = event->type == EDDY_DISCONNECTED;
    guest->moves += event->type == EDDY_MOVED ? 1 : 0;
    if (event->type == EDDY_MESSAGE)
        CHECK_EQ("in order", number_of(event), guest->messages++);
}

static void poll_client(struct client *client)
{
    eddy_event event;

    (void)eddy_poll(client->manager, eddy_now_ns());
    while (eddy_next(client->manager, &event, 0) == EDDY_OK) {
        if (event.type == EDDY_CONNECTED || event.type == EDDY_DISCONNECTED)
            client->last = event.type;
        if (event.type == EDDY_DISCONNECTED)
            client->end = event.disconnected;
        if (event.type == EDDY_MESSAGE)
            CHECK_EQ("in order", number_of(&event), client->messages++);
        eddy_release(client->manager, &event);
    }
}

/** A moment of all; the server's events are waited for. @return what the server's queue says. */
static eddy_status step(void)
{
    eddy_event event;
    eddy_status status = eddy_next(server, &event, 1);

    CHECK("in time", ed_clock_now_ns() < limit_ns);
    for (; status == EDDY_OK; status = eddy_next(server, &event, 0)) {
        take_at_server(&event);
        eddy_release(server, &event);
    }
    for (size_t i = 0; i < client_count; i++)
        poll_client(&clients[i]);
    return status;
}

static size_t count_last(eddy_event_type type)
{
    size_t count = 0;

    for (size_t i = 0; i < client_count; i++)
        count += clients[i].last == type ? 1 : 0;
    return count;
}

/** Until each client has been let in or turned away. */
static void await_decisions(void)
{
    while (count_last(EDDY_EVENT_NONE) > 0)
        (void)step();
}

static void await_guests(size_t count)
{
    while (guest_count < count)
        (void)step();
}

static void open_with_clients(void)
{
    eddy_config config = server_config();
    const eddy_config theirs = client_config();

    open_server(&config);
    for (size_t i = 0; i < CLIENTS; i++)
        (void)dial(&theirs, ed_test_options());
    await_decisions();
    CHECK_EQ("connected", count_last(EDDY_CONNECTED), CLIENTS);
    await_guests(CLIENTS);
}

static eddy_status say(eddy_manager *manager, eddy_connection to, uint32_t number)
{
    return eddy_send(manager, to, EDDY_RELIABLE_ORDERED, 0, &number, sizeof number);
}

/* ---------------------------------------------------------------------------------- talking -- */

static void all_are_served(void **state)
{
    eddy_connection handles[CLIENTS + 1];
    eddy_stats sum, one, added = {0};
    eddy_status statuses[CLIENTS];
    uint32_t of_shard[SHARDS] = {0};

    (void)state;
    open_with_clients();
    for (size_t i = 0; i < CLIENTS; i++)
        of_shard[eddy_shard_of(guests[i].handle)]++;
    CHECK("both shards have some", of_shard[0] > 0 && of_shard[1] > 0);
    CHECK_EQ("listed", eddy_connections(server, handles, ED_COUNT(handles)), CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++)
        CHECK("each of them", guest_of(handles[i]) != NULL);

    for (uint32_t n = 0; n < MESSAGES; n++) {
        for (size_t i = 0; i < CLIENTS; i++)
            CHECK_EQ("send", say(clients[i].manager, clients[i].peer, n), EDDY_OK);
        CHECK_EQ("broadcast",
                 eddy_broadcast(server, handles, CLIENTS, EDDY_RELIABLE_ORDERED, 0, &n, sizeof n,
                                statuses),
                 CLIENTS);
        (void)step();
    }
    for (size_t i = 0; i < CLIENTS; i++)
        while (guests[i].messages < MESSAGES || clients[i].messages < MESSAGES)
            (void)step();

    eddy_get_stats(server, &sum);
    while (sum.messages_delivered < (uint64_t)CLIENTS * MESSAGES) {
        (void)step(); // they are those of the last poll, which the events may be ahead of
        eddy_get_stats(server, &sum);
    }
    for (uint32_t i = 0; i < SHARDS; i++) {
        CHECK_EQ("stats", eddy_get_shard_stats(server, i, &one), EDDY_OK);
        CHECK_EQ("opened", one.connections_opened, of_shard[i]);
        added.connections_opened += one.connections_opened;
        added.messages_delivered += one.messages_delivered;
    }
    CHECK_EQ("no such shard", eddy_get_shard_stats(server, SHARDS, &one), EDDY_EINVAL);
    CHECK_EQ("summed", sum.connections_opened, added.connections_opened);
    CHECK_EQ("summed", sum.messages_delivered, (uint64_t)CLIENTS * MESSAGES);
    CHECK_EQ("summed", added.messages_delivered, (uint64_t)CLIENTS * MESSAGES);
    close_all();
}

static void handles_of_other_shards(void **state)
{
    eddy_connection_stats stats;
    eddy_address remote;
    int data = 0;

    (void)state;
    open_with_clients();
    eddy_connection own = guests[0].handle;
    const struct {
        const char *name;
        eddy_connection handle;
    } rows[] = {
        {"the other shard", own ^ UINT64_C(1) << 16},
        {"no shard", own | UINT64_C(0xff) << 16},
        {"more than a handle has", own | UINT64_C(1) << 24},
        {"no slot", own & ~UINT64_C(0xffff)},
        {"nothing", 0},
        {"everything", UINT64_MAX},
    };
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_connection handle = rows[i].handle;
        CHECK_EQ(rows[i].name, say(server, handle, 0), EDDY_ECONNECTION);
        CHECK_EQ(rows[i].name, eddy_disconnect(server, handle, 0, NULL, 0), EDDY_ECONNECTION);
        CHECK_EQ(rows[i].name, eddy_set_rate(server, handle, 0), EDDY_ECONNECTION);
        CHECK_EQ(rows[i].name, eddy_accept(server, handle), EDDY_ECONNECTION);
        CHECK_EQ(rows[i].name, eddy_peer_address(server, handle, &remote), EDDY_ECONNECTION);
        CHECK_EQ(rows[i].name, eddy_get_connection_stats(server, handle, &stats), EDDY_ECONNECTION);
        CHECK_EQ(rows[i].name, eddy_connection_state(server, handle), EDDY_STATE_NONE);
        CHECK_EQ(rows[i].name, eddy_set_connection_data(server, handle, &data), EDDY_ECONNECTION);
        CHECK(rows[i].name, eddy_connection_data(server, handle) == NULL);
    }
    CHECK_EQ("its own", eddy_set_connection_data(server, own, &data), EDDY_OK);
    CHECK("its own", eddy_connection_data(server, own) == &data);
    CHECK_EQ("its own", eddy_peer_address(server, own, &remote), EDDY_OK);
    close_all();
}

/* ----------------------------------------------------------------------------------- moving -- */

/** New ports and new addresses: the kernel would hash each to any shard, the id knows better. */
static void who_moves_stays_in_its_shard(void **state)
{
    eddy_config config = server_config(), theirs = client_config();
    ed_switch moving;
    uint32_t sent = 0;

    (void)state;
    config.bind = "0.0.0.0:0";
    open_server(&config);
    address =
        (eddy_address){.ip = {127, 0, 0, 1}, .port = address.port, .family = EDDY_FAMILY_IPV4};
    ed_switch_open(&moving, "127.0.0.1:0");
    theirs.socket = &moving.socket;
    struct client *client = dial(&theirs, ed_test_options());
    await_guests(1);
    for (uint32_t move = 1; move <= MOVES; move++) {
        ed_switch_to(&moving, move % 2 == 0 ? "127.0.0.1:0" : "127.0.0.2:0");
        for (uint32_t n = 0; n < MESSAGES; n++)
            CHECK_EQ("send", say(client->manager, client->peer, sent++), EDDY_OK);
        while (guests[0].messages < sent)
            (void)step();
        CHECK_EQ("answer", say(server, guests[0].handle, move - 1), EDDY_OK);
        while (client->messages < move || guests[0].moves < move)
            (void)step();
    }
    CHECK_EQ("one connection", guest_count, 1);
    close_all();
}

/* ----------------------------------------------------------------------------------- limits -- */

/** Of all who come with one token at once, to all shards, one is let in. */
static void a_token_is_good_once(void **state)
{
    eddy_config config = server_config(), theirs = client_config();
    char text[EDDY_TOKEN_TEXT_MAX];

    (void)state;
    ed_test_take_tokens(&config);
    theirs.protocol_id = config.protocol_id;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        open_server(&config);
        ed_test_grant grant = ed_test_grant_of(round + 1, &address);
        grant.server_key = ed_test_public();
        ed_test_issue(text, &grant);
        eddy_connect_options options = {.token = text};
        for (size_t i = 0; i < CLIENTS; i++)
            (void)dial(&theirs, &options);
        await_decisions();
        CHECK_EQ("let in", count_last(EDDY_CONNECTED), 1);
        for (size_t i = 0; i < CLIENTS; i++)
            CHECK("turned away",
                  clients[i].last == EDDY_CONNECTED || clients[i].end.refusal == EDDY_REFUSED_USED);
        await_guests(1);
        close_all();
    }
}

static void places_are_counted_in_all(void **state)
{
    eddy_config config = server_config(), theirs = client_config();

    (void)state;
    config.max_connections = PLACES;
    open_server(&config);
    for (size_t i = 0; i < CLIENTS; i++)
        (void)dial(&theirs, ed_test_options());
    await_decisions();
    CHECK_EQ("let in", count_last(EDDY_CONNECTED), PLACES);
    for (size_t i = 0; i < CLIENTS; i++)
        CHECK("turned away",
              clients[i].last == EDDY_CONNECTED || clients[i].end.refusal == EDDY_REFUSED_FULL);
    await_guests(PLACES);
    close_all();
}

/** The shard of a client that is connected, which is that of its port with any server. */
static uint32_t shard_of_client(const struct client *client)
{
    uint16_t port = eddy_local_address(client->manager).port;
    eddy_address remote;

    for (size_t i = 0; i < guest_count; i++) {
        CHECK_EQ("guest", eddy_peer_address(server, guests[i].handle, &remote), EDDY_OK);
        if (remote.port == port)
            return eddy_shard_of(guests[i].handle);
    }
    CHECK("is connected", false);
    return SHARDS;
}

/** Connects many clients. @return one that is in another shard than the first of them. */
static struct client *find_other_shard(void)
{
    size_t i = 1;

    open_with_clients();
    while (i < CLIENTS && shard_of_client(&clients[i]) == shard_of_client(&clients[0]))
        i++;
    CHECK("both shards have some", i < CLIENTS);
    return &clients[i];
}

/** Another server for the clients that there are. */
static void open_next_server(const eddy_config *config)
{
    size_t count = client_count;

    (void)eddy_close(server, 0);
    open_server(config);
    client_count = count;
}

/** Its connection ends, and the server's program has not taken that yet. */
static void kick(struct client *client, const struct guest *guest)
{
    CHECK_EQ("kick", eddy_disconnect(server, guest->handle, 0, NULL, 0), EDDY_OK);
    while (client->last != EDDY_DISCONNECTED ||
           eddy_connection_state(server, guest->handle) != EDDY_STATE_NONE) {
        CHECK("in time", ed_clock_now_ns() < limit_ns);
        poll_client(client);
    }
}

/** A shard that sleeps is woken for the place of who has gone, as another's newcomer may want it.
 */
static void a_place_is_given_back_to_all(void **state)
{
    eddy_config config = server_config();

    (void)state;
    struct client *other = find_other_shard();
    config.max_connections = 1;
    open_next_server(&config);
    dial_again(&clients[0], ed_test_options());
    await_guests(1);
    kick(&clients[0], &guests[0]);
    (void)eddy_wait(clients[0].manager, ASLEEP_MS);
    while (!guests[0].has_ended)
        (void)step();
    while (other->last != EDDY_CONNECTED) {
        dial_again(other, ed_test_options());
        while (other->last == EDDY_EVENT_NONE)
            (void)step();
    }
    close_all();
}

static bool has_any_ended(void)
{
    bool has = false;

    for (size_t i = 0; i < guest_count; i++)
        has = has || guests[i].has_ended;
    return has;
}

/** Guests of the shard that has the most of them. */
static size_t count_in_fullest(void)
{
    size_t counts[SHARDS] = {0};
    size_t most = 0;

    for (size_t i = 0; i < guest_count; i++)
        most = ed_max_u64(most, ++counts[eddy_shard_of(guests[i].handle)]);
    return most;
}

/**
 * So many may wait for the program's answer at once, in each shard its part of them: who chooses
 * the ports he comes from chooses the shard, too, and must not take the others' places. In the end
 * all are let in.
 */
static void each_shard_has_its_part_of_half_open_ones(void **state)
{
    eddy_config config = server_config(), theirs = client_config();
    eddy_stats stats = {0};

    (void)state;
    config.ask = true;
    config.max_half_open = PLACES;
    theirs.handshake_timeout_ms = LIMIT_MS;
    open_server(&config);
    for (size_t i = 0; i < CLIENTS; i++)
        (void)dial(&theirs, ed_test_options());
    while (stats.dropped_limit < CLIENTS - PLACES) {
        (void)step();
        eddy_get_stats(server, &stats);
        // It is 5 s later by then.
        CHECK("at once", count_in_fullest() <= PLACES / SHARDS || has_any_ended());
    }
    for (size_t i = 0; count_last(EDDY_CONNECTED) < CLIENTS; (void)step())
        for (; i < guest_count; i++) {
            eddy_status status = eddy_accept(server, guests[i].handle);
            CHECK("let in, or too late", status == EDDY_OK || status == EDDY_ECONNECTION);
        }
    close_all();
}

/* ----------------------------------------------------------------------------------- ending -- */

static void who_is_sent_away_goes(void **state)
{
    (void)state;
    open_with_clients();
    for (size_t i = 0; i < CLIENTS; i++)
        CHECK_EQ("kick", eddy_disconnect(server, guests[i].handle, 7, "bye", FLUSH_MS), EDDY_OK);
    while (count_last(EDDY_DISCONNECTED) < CLIENTS)
        (void)step();
    for (size_t i = 0; i < CLIENTS; i++) {
        CHECK_EQ("end", clients[i].end.end, EDDY_END_CLOSED_REMOTE);
        CHECK_EQ("code", clients[i].end.code, 7);
        while (!guests[i].has_ended)
            (void)step();
    }
    CHECK_EQ("nobody is left", eddy_connections(server, NULL, 0), 0);
    close_all();
}

/** All that was accepted arrives, each connection ends once, and then the events do. */
static void shutdown_is_one_for_all(void **state)
{
    (void)state;
    open_with_clients();
    for (uint32_t n = 0; n < MESSAGES; n++)
        for (size_t i = 0; i < CLIENTS; i++)
            CHECK_EQ("send", say(server, guests[i].handle, n), EDDY_OK);
    eddy_shutdown(server, FLUSH_MS);
    CHECK_EQ("too late", say(server, guests[0].handle, 0), EDDY_ECLOSED);
    while (step() != EDDY_ECLOSED)
        continue;
    for (size_t i = 0; i < CLIENTS; i++) {
        CHECK("ended", guests[i].has_ended);
        while (clients[i].last != EDDY_DISCONNECTED)
            poll_client(&clients[i]);
        CHECK_EQ("all came", clients[i].messages, MESSAGES);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        (void)eddy_close(clients[i].manager, 0);
    client_count = 0;
    CHECK_EQ("nothing was lost", eddy_close(server, 0), EDDY_OK);
    server = NULL;
    close_all();
}

/* ---------------------------------------------------------------------------------- threads -- */

struct sender {
    ed_thread thread;
    uint8_t stream;
};

/** Says the same numbers to all, of whatever shard, on a stream of its own. */
static void run_sender(void *context)
{
    const struct sender *sender = context;
    eddy_stats stats;

    for (uint32_t n = 0; n < MESSAGES; n++)
        for (size_t i = 0; i < CLIENTS; i++) {
            eddy_status status = eddy_send(server, guests[i].handle, EDDY_RELIABLE_ORDERED,
                                           sender->stream, &n, sizeof n);
            CHECK_EQ("send", status, EDDY_OK);
            eddy_get_stats(server, &stats);
        }
}

static void any_thread_reaches_any_shard(void **state)
{
    struct sender senders[SENDERS];
    uint32_t heard = 0;

    (void)state;
    open_with_clients();
    for (size_t i = 0; i < SENDERS; i++) {
        senders[i].stream = (uint8_t)(i + 1);
        CHECK_EQ("thread", ed_thread_start(&senders[i].thread, "sender", run_sender, &senders[i]),
                 EDDY_OK);
    }
    while (heard < SENDERS * CLIENTS * MESSAGES) {
        eddy_event event;
        CHECK("in time", ed_clock_now_ns() < limit_ns);
        for (size_t i = 0; i < CLIENTS; i++) {
            (void)eddy_poll(clients[i].manager, eddy_now_ns());
            while (eddy_next(clients[i].manager, &event, 0) == EDDY_OK) {
                heard += event.type == EDDY_MESSAGE ? 1 : 0;
                eddy_release(clients[i].manager, &event);
            }
        }
    }
    for (size_t i = 0; i < SENDERS; i++)
        ed_thread_join(&senders[i].thread);
    close_all();
}

static int set_up(void **state)
{
    static size_t count;

    (void)state;
    memory = &memories[count++];
    ed_counting_alloc_init(memory, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_are_served, set_up),
        cmocka_unit_test_setup(handles_of_other_shards, set_up),
        cmocka_unit_test_setup(who_moves_stays_in_its_shard, set_up),
        cmocka_unit_test_setup(a_token_is_good_once, set_up),
        cmocka_unit_test_setup(places_are_counted_in_all, set_up),
        cmocka_unit_test_setup(a_place_is_given_back_to_all, set_up),
        cmocka_unit_test_setup(each_shard_has_its_part_of_half_open_ones, set_up),
        cmocka_unit_test_setup(who_is_sent_away_goes, set_up),
        cmocka_unit_test_setup(shutdown_is_one_for_all, set_up),
        cmocka_unit_test_setup(any_thread_reaches_any_shard, set_up),
    };
    return cmocka_run_group_tests_name("shard", tests, NULL, NULL);
}
