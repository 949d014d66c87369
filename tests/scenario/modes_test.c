/** Who may connect to whom, and what each end is told of the other. */
#include "core/crypto.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"

enum {
    ALL_MODES = EDDY_MODE_OPEN | EDDY_MODE_PINNED | EDDY_MODE_MUTUAL,
    TIMEOUT_MS = 2000,
    HALF_OPEN_MS = 5000,
};

static const eddy_key room = {{1, 2, 3}}, other_room = {{1, 2, 4}};
static const eddy_key player = {{0x10, 1}}, stranger = {{0x20, 2}};
static eddy_key other_public; /* of no server here */
static eddy_key players[2];   /* public keys: the list has the player's */
static const eddy_key no_key;

static ed_cluster cluster;
static ed_node *server;
static ed_node *client;

static int set_up(void **state)
{
    (void)state;
    other_public = eddy_key_public(&stranger);
    players[0] = other_public;
    players[0].bytes[0] ^= 1;
    players[1] = eddy_key_public(&player);
    return 0;
}

/** One attempt to connect, and how it has to end. */
struct attempt {
    const char *name;
    uint32_t modes; /* that the server accepts */
    eddy_mode mode;
    bool open_to_public;
    bool comes_from_afar; /* from an address that is not private */
    bool knows_another;   /* server */
    const eddy_key *server_room;
    const eddy_key *client_room;
    const eddy_key *client_key;
    bool is_asked; /* in place of a list of keys */
    eddy_end end;  /* 0: it connects */
    eddy_refusal refusal;
};

static const struct attempt attempts[] = {
    {"OPEN", ALL_MODES, EDDY_MODE_OPEN, .end = 0},
    {"OPEN, room", ALL_MODES, EDDY_MODE_OPEN, .server_room = &room, .client_room = &room},
    {"OPEN, no room's key", ALL_MODES, EDDY_MODE_OPEN, .server_room = &room,
     .end = EDDY_END_NO_ANSWER},
    {"OPEN, another room", ALL_MODES, EDDY_MODE_OPEN, .server_room = &room,
     .client_room = &other_room, .end = EDDY_END_NO_ANSWER},
    {"OPEN, a room's key too many", ALL_MODES, EDDY_MODE_OPEN, .client_room = &room,
     .end = EDDY_END_NO_ANSWER},
    {"OPEN, from afar: silence", ALL_MODES, EDDY_MODE_OPEN, .comes_from_afar = true,
     .end = EDDY_END_NO_ANSWER},
    {"OPEN to all, from afar", ALL_MODES, EDDY_MODE_OPEN, .comes_from_afar = true,
     .open_to_public = true},
    {"OPEN is not accepted: silence", EDDY_MODE_PINNED, EDDY_MODE_OPEN, .end = EDDY_END_NO_ANSWER},

    {"PINNED", EDDY_MODE_PINNED, EDDY_MODE_PINNED, .end = 0},
    {"PINNED, from afar", ALL_MODES, EDDY_MODE_PINNED, .comes_from_afar = true},
    {"PINNED, room", ALL_MODES, EDDY_MODE_PINNED, .server_room = &room, .client_room = &room},
    {"PINNED, no room's key", ALL_MODES, EDDY_MODE_PINNED, .server_room = &room,
     .end = EDDY_END_NO_ANSWER},
    {"PINNED, another room", ALL_MODES, EDDY_MODE_PINNED, .server_room = &room,
     .client_room = &other_room, .end = EDDY_END_NO_ANSWER},
    {"PINNED, another server: silence", ALL_MODES, EDDY_MODE_PINNED, .knows_another = true,
     .end = EDDY_END_NO_ANSWER},
    {"PINNED is not accepted", EDDY_MODE_OPEN, EDDY_MODE_PINNED, .end = EDDY_END_NO_ANSWER,
     .refusal = EDDY_REFUSED_MODE},
    {"PINNED is not accepted, another server: silence", EDDY_MODE_OPEN, EDDY_MODE_PINNED,
     .knows_another = true, .end = EDDY_END_NO_ANSWER},

    {"MUTUAL", ALL_MODES, EDDY_MODE_MUTUAL, .client_key = &player},
    {"MUTUAL, room", ALL_MODES, EDDY_MODE_MUTUAL, .client_key = &player, .server_room = &room,
     .client_room = &room},
    {"MUTUAL, another room", ALL_MODES, EDDY_MODE_MUTUAL, .client_key = &player,
     .server_room = &room, .client_room = &other_room, .end = EDDY_END_NO_ANSWER},
    {"MUTUAL, not on the list", ALL_MODES, EDDY_MODE_MUTUAL, .client_key = &stranger,
     .end = EDDY_END_REFUSED, .refusal = EDDY_REFUSED_KEY},
    {"MUTUAL, a temporary key", ALL_MODES, EDDY_MODE_MUTUAL, .end = EDDY_END_REFUSED,
     .refusal = EDDY_REFUSED_KEY},
    {"MUTUAL, another server: silence", ALL_MODES, EDDY_MODE_MUTUAL, .client_key = &player,
     .knows_another = true, .end = EDDY_END_NO_ANSWER},
    {"MUTUAL is not accepted", EDDY_MODE_PINNED, EDDY_MODE_MUTUAL, .client_key = &player,
     .end = EDDY_END_NO_ANSWER, .refusal = EDDY_REFUSED_MODE},
    {"MUTUAL, the program is asked", ALL_MODES, EDDY_MODE_MUTUAL, .client_key = &stranger,
     .is_asked = true},
    {"MUTUAL, a temporary key, the program is asked", ALL_MODES, EDDY_MODE_MUTUAL,
     .is_asked = true},
    {"PINNED, the program is asked", ALL_MODES, EDDY_MODE_PINNED, .client_key = &stranger,
     .is_asked = true},
    {"OPEN, the program is asked", ALL_MODES, EDDY_MODE_OPEN, .is_asked = true},
};

static void run_ms(uint64_t ms)
{
    ed_world_touch(cluster.world, server->host);
    ed_world_touch(cluster.world, client->host);
    ed_cluster_run_for(&cluster, ms * ED_NS_PER_MS);
}

/** The two managers of an attempt; the test takes their events itself. */
static void open_world(const struct attempt *attempt)
{
    static const eddy_address from_afar = {
        .ip = {203, 0, 113, 9}, .port = 4000, .family = EDDY_FAMILY_IPV4};
    eddy_config for_server = ed_cluster_server_config();
    eddy_config for_client = ed_cluster_client_config();

    for_server.modes = attempt->modes;
    for_server.open_to_public = attempt->open_to_public;
    for_server.room_key = attempt->server_room;
    for_server.ask = attempt->is_asked;
    if (!attempt->is_asked) {
        for_server.client_keys = players;
        for_server.client_key_count = ED_COUNT(players);
    }
    for_client.room_key = attempt->client_room;
    for_client.secret_key = attempt->client_key;
    for_client.handshake_timeout_ms = TIMEOUT_MS;
    ed_cluster_open(&cluster, attempt->name, 1);
    server = ed_cluster_add(&cluster, &for_server);
    client = ed_cluster_add(&cluster, &for_client);
    if (attempt->comes_from_afar)
        ed_node_move(client, &from_afar);
    server->is_reading = client->is_reading = false;
}

static void dial(const struct attempt *attempt)
{
    eddy_connect_options options = {.mode = attempt->mode,
                                    .server_key =
                                        attempt->knows_another ? &other_public : ed_test_public()};
    eddy_connection connection = 0;

    if (attempt->mode == EDDY_MODE_OPEN)
        options.server_key = NULL;
    CHECK_EQ(attempt->name,
             eddy_connect_address(client->manager, &server->address, &options, &connection),
             EDDY_OK);
}

static eddy_event take(ed_node *node, eddy_event_type type)
{
    eddy_event event;

    CHECK_EQ(cluster.name, eddy_next(node->manager, &event, 0), EDDY_OK);
    CHECK_EQ(cluster.name, event.type, type);
    return event;
}

static void check_quiet(ed_node *node)
{
    eddy_event event;

    CHECK_EQ(cluster.name, eddy_next(node->manager, &event, 0), EDDY_EAGAIN);
}

static void check_peer(const eddy_peer *peer, eddy_mode mode, const eddy_key *key)
{
    CHECK_EQ(cluster.name, peer->mode, mode);
    CHECK_BYTES(cluster.name, peer->key.bytes, key->bytes, EDDY_KEY_SIZE);
    CHECK_EQ(cluster.name, peer->client_id, 0);
    CHECK(cluster.name, peer->data == NULL && peer->data_size == 0);
}

/** The key that the client shows. */
static eddy_key shown_key(const struct attempt *attempt)
{
    if (attempt->mode != EDDY_MODE_MUTUAL)
        return no_key;
    return attempt->client_key != NULL ? eddy_key_public(attempt->client_key)
                                       : eddy_public_key(client->manager);
}

/** Each end is told what the other has proved: once. */
static void check_connected(const struct attempt *attempt)
{
    eddy_key proved = shown_key(attempt);

    if (attempt->is_asked) {
        eddy_event asked = take(server, EDDY_CONNECT_REQUEST);
        check_peer(&asked.request.peer, attempt->mode, &proved);
        CHECK_EQ(cluster.name, eddy_accept(server->manager, asked.connection), EDDY_OK);
        eddy_release(server->manager, &asked);
        run_ms(TIMEOUT_MS / 4);
    }
    eddy_event here = take(client, EDDY_CONNECTED);
    check_peer(&here.connected.peer, attempt->mode, ed_test_public());
    CHECK(cluster.name, !here.connected.incoming);
    eddy_event there = take(server, EDDY_CONNECTED);
    CHECK(cluster.name, there.connected.incoming);
    CHECK(cluster.name, eddy_address_equal(&there.connected.remote, &client->address));
    if (!attempt->is_asked)
        check_peer(&there.connected.peer, attempt->mode, &proved);
    eddy_release(client->manager, &here);
    eddy_release(server->manager, &there);
    check_quiet(client);
    check_quiet(server);
}

static void check_failed(const struct attempt *attempt)
{
    eddy_event event = take(client, EDDY_DISCONNECTED);

    CHECK_EQ(attempt->name, event.disconnected.end, attempt->end);
    CHECK_EQ(attempt->name, event.disconnected.refusal, attempt->refusal);
    eddy_release(client->manager, &event);
    check_quiet(client);
    run_ms(HALF_OPEN_MS + 1000);
    check_quiet(server);
}

static void who_may_connect(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(attempts); i++) {
        open_world(&attempts[i]);
        dial(&attempts[i]);
        run_ms(attempts[i].end == 0 ? TIMEOUT_MS / 4 : TIMEOUT_MS + 1);
        if (attempts[i].end == 0)
            check_connected(&attempts[i]);
        else
            check_failed(&attempts[i]);
        ed_cluster_close(&cluster);
    }
}

/** To who may not know of it a server says nothing at all. */
static void a_server_is_silent(void **state)
{
    size_t seen = 0;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(attempts); i++) {
        if (strstr(attempts[i].name, "silence") == NULL)
            continue;
        open_world(&attempts[i]);
        dial(&attempts[i]);
        run_ms(TIMEOUT_MS + 1);
        CHECK_EQ(attempts[i].name, ed_node_stats(server).sent_datagrams, 0);
        CHECK_EQ(attempts[i].name, ed_node_stats(server).replied_stateless, 0);
        CHECK(attempts[i].name, ed_node_stats(server).received_datagrams > 0);
        ed_cluster_close(&cluster);
        seen++;
    }
    CHECK_EQ("rows", seen, 5);
}

/* -------------------------------------------------------------------------------------- ciphers --
 */

static void ciphers(void **state)
{
    static const struct {
        const char *name;
        eddy_cipher server;
        eddy_cipher client;
        bool needs_aes;
        eddy_end end;
    } rows[] = {
        {"the best", EDDY_CIPHER_BEST, EDDY_CIPHER_BEST, false, 0},
        {"the same", EDDY_CIPHER_CHACHA20, EDDY_CIPHER_CHACHA20, false, 0},
        {"the server wants one", EDDY_CIPHER_CHACHA20, EDDY_CIPHER_BEST, false, 0},
        {"the client wants one", EDDY_CIPHER_BEST, EDDY_CIPHER_CHACHA20, false, 0},
        {"the other", EDDY_CIPHER_AES256, EDDY_CIPHER_AES256, true, 0},
        {"the server wants the other", EDDY_CIPHER_AES256, EDDY_CIPHER_BEST, true, 0},
        {"none in common", EDDY_CIPHER_AES256, EDDY_CIPHER_CHACHA20, false, EDDY_END_NO_ANSWER},
        {"none in common", EDDY_CIPHER_CHACHA20, EDDY_CIPHER_AES256, true, EDDY_END_NO_ANSWER},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config for_server = ed_cluster_server_config();
        eddy_config for_client = ed_cluster_client_config();
        if (rows[i].needs_aes && !ed_aead_available(ED_AEAD_AES256))
            continue;
        for_server.cipher = rows[i].server;
        for_client.cipher = rows[i].client;
        for_client.handshake_timeout_ms = TIMEOUT_MS;
        ed_cluster_open(&cluster, rows[i].name, i);
        server = ed_cluster_add(&cluster, &for_server);
        client = ed_cluster_add(&cluster, &for_client);
        ed_endpoint *endpoint = ed_node_connect(client, server);
        ed_cluster_run_for(&cluster, (TIMEOUT_MS + 1) * ED_NS_PER_MS);
        CHECK_EQ(rows[i].name, endpoint->connected, rows[i].end == 0);
        CHECK_EQ(rows[i].name, endpoint->end.end, rows[i].end);
        if (rows[i].end == 0) {
            ed_node_send_many(client, endpoint, EDDY_RELIABLE_ORDERED, 0, 20);
            ed_cluster_await_delivered(&cluster, ED_NS_PER_S);
            ed_cluster_shut_down(&cluster, 1000, 10 * ED_NS_PER_S);
        }
        ed_cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_connect),
        cmocka_unit_test(a_server_is_silent),
        cmocka_unit_test(ciphers),
    };
    return cmocka_run_group_tests_name("modes", tests, set_up, NULL);
}
