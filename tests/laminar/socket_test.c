/** laminar's tests over real sockets, 98 to 105: UDP on the loopback interface, a pump in each. */
#include "tests/laminar/bed.h"

#include <poll.h>

#include "core/thread.h"
#include "sim/conditioner.h"
#include "tests/support/keys.h"
#include "transport/udp.h"

enum {
    MESSAGES_MAX = 5000,
    CLIENTS = 10,
    LIMIT_MS = 20000, /* far more than it takes; only a hang meets it */
};

struct peer {
    ed_counting_alloc memory;
    eddy_manager *manager;
    eddy_connection connection; /* a client's */
};

static void open_peer(struct peer *peer, eddy_config config)
{
    ed_counting_alloc_init(&peer->memory, NULL);
    config.allocator = &peer->memory.allocator;
    CHECK_EQ("open", eddy_open(&peer->manager, &config), EDDY_OK);
}

static void open_client(struct peer *client)
{
    open_peer(client, eddy_config_default());
}

static void open_server(struct peer *server)
{
    eddy_config config = eddy_config_default();

    config.bind = "127.0.0.1:0";
    config.accept = true;
    config.secret_key = ed_test_secret();
    open_peer(server, config);
}

static void close_peer(struct peer *peer)
{
    (void)eddy_close(peer->manager, 0);
    CHECK_EQ("memory", peer->memory.live_count, 0);
}

static void dial(struct peer *client, const struct peer *server)
{
    eddy_address address = eddy_local_address(server->manager);

    CHECK_EQ(
        "dial",
        eddy_connect_address(client->manager, &address, ed_test_options(), &client->connection),
        EDDY_OK);
}

static void connect_peer(struct peer *client, const struct peer *server)
{
    eddy_event event;

    dial(client, server);
    CHECK_EQ("connected", eddy_await(client->manager, EDDY_CONNECTED, &event, LIMIT_MS), EDDY_OK);
}

/* ----------------------------------------------------------------------------------- 98, 100 -- */

static void ten_sockets_on_any_port_have_ten_addresses(void **state)
{
    static struct peer peers[CLIENTS];
    eddy_address address[CLIENTS];

    (void)state;
    for (size_t i = 0; i < CLIENTS; i++) {
        open_client(&peers[i]);
        address[i] = eddy_local_address(peers[i].manager);
        CHECK("a port", address[i].port != 0);
        for (size_t j = 0; j < i; j++)
            CHECK("another", !eddy_address_equal(&address[i], &address[j]));
    }
    for (size_t i = 0; i < CLIENTS; i++)
        close_peer(&peers[i]);
}

static void the_local_address_is_the_one_that_was_asked_for(void **state)
{
    struct peer peer;
    char text[EDDY_ADDRESS_TEXT_SIZE];
    eddy_config config = eddy_config_default();

    (void)state;
    config.bind = "127.0.0.1:0";
    open_peer(&peer, config);
    eddy_address first = eddy_local_address(peer.manager);
    config.bind = eddy_address_print(&first, text);
    close_peer(&peer);
    open_peer(&peer, config);
    eddy_address second = eddy_local_address(peer.manager);
    CHECK_STR("as asked", eddy_address_print(&second, (char[EDDY_ADDRESS_TEXT_SIZE]){0}), text);
    close_peer(&peer);
}

/* -------------------------------------------------------------------------------- a receiver -- */

/** Takes events on a thread of its own until so many messages have come, or none for long. */
struct receiver {
    struct peer peer;
    ed_thread thread;
    uint32_t wanted;
    uint32_t connected;
    uint32_t count; /* of messages */
    uint32_t twice;
    uint32_t damaged;
    uint32_t backwards;
    size_t size;     /* that each has */
    uint32_t newest; /* one above the highest number */
    bool seen[MESSAGES_MAX];
};

static void take_message(struct receiver *receiver, const eddy_event_message *message)
{
    uint32_t number = bed_number_of(message->data, message->size);

    receiver->count++;
    if (number >= MESSAGES_MAX || message->size != receiver->size ||
        !bed_is_whole(message->data, number, message->size)) {
        receiver->damaged++;
        return;
    }
    receiver->twice += receiver->seen[number] ? 1 : 0;
    receiver->backwards += number < receiver->newest ? 1 : 0;
    receiver->newest = number < receiver->newest ? receiver->newest : number + 1;
    receiver->seen[number] = true;
}

static void receive(void *context)
{
    struct receiver *receiver = context;
    eddy_event event;

    while (receiver->count < receiver->wanted &&
           eddy_next(receiver->peer.manager, &event, LIMIT_MS) == EDDY_OK) {
        receiver->connected += event.type == EDDY_CONNECTED ? 1 : 0;
        if (event.type == EDDY_MESSAGE)
            take_message(receiver, &event.message);
        eddy_release(receiver->peer.manager, &event);
    }
}

static struct receiver *start_receiver(uint32_t wanted, size_t size)
{
    static struct receiver receiver;

    memset(&receiver, 0, sizeof(receiver));
    receiver.wanted = wanted;
    receiver.size = size;
    open_server(&receiver.peer);
    CHECK_EQ("thread", ed_thread_start(&receiver.thread, "receive", receive, &receiver), EDDY_OK);
    return &receiver;
}

static void end_receiver(struct receiver *receiver)
{
    ed_thread_join(&receiver->thread);
    CHECK_EQ("all came", receiver->count, receiver->wanted);
    CHECK_EQ("each once", receiver->twice, 0);
    CHECK_EQ("as it was sent", receiver->damaged, 0);
    close_peer(&receiver->peer);
}

/** Sends message `number`; where there is no room, when there is. */
static void send_number(struct peer *client, eddy_guarantee guarantee, uint32_t number, size_t size)
{
    static uint8_t data[BED_MESSAGE_SIZE_MAX];
    eddy_event event;
    eddy_status status = EDDY_EAGAIN;

    bed_fill(data, number, size);
    while ((status = eddy_send(client->manager, client->connection, guarantee, 0, data, size)) ==
           EDDY_EAGAIN)
        CHECK_EQ("room", eddy_await(client->manager, EDDY_WRITABLE, &event, LIMIT_MS), EDDY_OK);
    CHECK_EQ("send", status, EDDY_OK);
}

static void sleep_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

/* ---------------------------------------------------------------------------------------- 99 -- */

static void a_receiver_that_blocks_gets_a_message(void **state)
{
    static struct peer client;

    (void)state;
    struct receiver *receiver = start_receiver(1, 100);
    open_client(&client);
    connect_peer(&client, &receiver->peer);
    sleep_ms(20);
    send_number(&client, EDDY_RELIABLE_UNORDERED, 0, 100);
    end_receiver(receiver);
    close_peer(&client);
}

/* --------------------------------------------------------------------------------------- 101 -- */

/** Opens a client behind a network that loses so many. */
static ed_conditioner *open_lossy(struct peer *client, uint32_t loss_ppm)
{
    eddy_socket inner;
    eddy_config config = eddy_config_default();
    ed_link_config link = ed_link_config_default();

    link.loss_ppm = loss_ppm;
    CHECK_EQ("socket", ed_udp_open(&inner, ed_alloc_default(), NULL, NULL), EDDY_OK);
    ed_conditioner *conditioner =
        ed_conditioner_create(ed_alloc_default(), &inner, &link, &link, 1, NULL);
    CHECK("conditioner", conditioner != NULL);
    eddy_socket socket = ed_conditioner_socket(conditioner);
    config.socket = &socket;
    config.handshake_timeout_ms = 300;
    open_peer(client, config);
    return conditioner;
}

static void a_network_that_loses_all_delivers_nothing(void **state)
{
    static const struct {
        const char *name;
        uint32_t loss_ppm;
        size_t events;
    } rows[] = {{"nothing is lost", 0, 2}, {"all is lost", 1000 * 1000, 0}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct peer server, client;
        eddy_event events[4];

        open_server(&server);
        ed_conditioner *conditioner = open_lossy(&client, rows[i].loss_ppm);
        dial(&client, &server);
        send_number(&client, EDDY_RELIABLE_UNORDERED, 0, 100);
        CHECK_EQ(rows[i].name, eddy_next(client.manager, &events[0], LIMIT_MS), EDDY_OK);
        CHECK_EQ(rows[i].name, events[0].type,
                 rows[i].events > 0 ? EDDY_CONNECTED : EDDY_DISCONNECTED);
        sleep_ms(200);
        size_t count = eddy_next_batch(server.manager, events, 4);
        CHECK_EQ(rows[i].name, count, rows[i].events);
        for (size_t e = 0; e < count; e++)
            eddy_release(server.manager, &events[e]);
        close_peer(&client);
        ed_conditioner_destroy(conditioner);
        close_peer(&server);
    }
}

/* --------------------------------------------------------------------------------------- 102 -- */

static void say(struct peer *peer, eddy_connection connection, const char *text)
{
    CHECK_EQ(text,
             eddy_send(peer->manager, connection, EDDY_RELIABLE_ORDERED, 0, text, strlen(text)),
             EDDY_OK);
}

/** The next event is a message that says so. @return from whom. */
static eddy_connection hear(struct peer *peer, const char *text)
{
    eddy_event event;

    CHECK_EQ(text, eddy_next(peer->manager, &event, LIMIT_MS), EDDY_OK);
    CHECK_EQ(text, event.type, EDDY_MESSAGE);
    CHECK_EQ(text, event.message.size, strlen(text));
    CHECK_BYTES(text, event.message.data, text, strlen(text));
    eddy_connection connection = event.connection;
    eddy_release(peer->manager, &event);
    return connection;
}

/** In laminar the first event on the client's side comes as a surprise to its own test. */
static void hello_hi_there_bye(void **state)
{
    struct peer server, client;
    eddy_event event;

    (void)state;
    open_server(&server);
    open_client(&client);
    dial(&client, &server);
    say(&client, client.connection, "Hello!");
    CHECK_EQ("server", eddy_next(server.manager, &event, LIMIT_MS), EDDY_OK);
    CHECK_EQ("first", event.type, EDDY_CONNECTED);
    eddy_connection taken = hear(&server, "Hello!");
    say(&server, taken, "Hi, there!");
    CHECK_EQ("client", eddy_next(client.manager, &event, LIMIT_MS), EDDY_OK);
    CHECK_EQ("first", event.type, EDDY_CONNECTED);
    CHECK_EQ("whom", hear(&client, "Hi, there!"), client.connection);
    say(&client, client.connection, "Bye!");
    CHECK_EQ("who", hear(&server, "Bye!"), taken);
    close_peer(&client);
    close_peer(&server);
}

/* --------------------------------------------------------------------------------------- 103 -- */

static void five_thousand_messages_in_parts(void **state)
{
    enum { MESSAGES = 5000, SIZE = 4000 };
    static struct peer client;

    (void)state;
    struct receiver *receiver = start_receiver(MESSAGES, SIZE);
    open_client(&client);
    connect_peer(&client, &receiver->peer);
    for (uint32_t n = 0; n < MESSAGES; n++)
        send_number(&client, EDDY_RELIABLE_ORDERED, n, SIZE);
    end_receiver(receiver);
    CHECK_EQ("in order", receiver->backwards, 0);
    close_peer(&client);
}

/* ---------------------------------------------------------------------------------- 104, 105 -- */

static void unreliable_messages_come_over_loopback(void **state)
{
    static const struct {
        const char *name;
        uint32_t clients;
        uint32_t messages; /* of each, a millisecond apart */
    } rows[] = {{"one client, 5,000 messages", 1, 5000}, {"ten clients, 500 each", CLIENTS, 500}};
    static struct peer clients[CLIENTS];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        struct receiver *receiver = start_receiver(rows[i].clients * rows[i].messages, 100);
        for (size_t c = 0; c < rows[i].clients; c++) {
            open_client(&clients[c]);
            connect_peer(&clients[c], &receiver->peer);
        }
        for (uint32_t n = 0; n < rows[i].messages; n++) {
            for (uint32_t c = 0; c < rows[i].clients; c++)
                send_number(&clients[c], EDDY_UNRELIABLE, c * rows[i].messages + n, 100);
            sleep_ms(1);
        }
        end_receiver(receiver);
        CHECK_EQ(rows[i].name, receiver->connected, rows[i].clients);
        for (size_t c = 0; c < rows[i].clients; c++)
            close_peer(&clients[c]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_sockets_on_any_port_have_ten_addresses),
        cmocka_unit_test(the_local_address_is_the_one_that_was_asked_for),
        cmocka_unit_test(a_receiver_that_blocks_gets_a_message),
        cmocka_unit_test(a_network_that_loses_all_delivers_nothing),
        cmocka_unit_test(hello_hi_there_bye),
        cmocka_unit_test(unreliable_messages_come_over_loopback),
        cmocka_unit_test(five_thousand_messages_in_parts),
    };

    return cmocka_run_group_tests_name("laminar socket", tests, NULL, NULL);
}
