/**
 * Beyond the table: somebody who sees what a client says, and can send in its server's name, plays
 * the server; and somebody without the server's key says INITIATE.
 */
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/issuer.h"
#include "tests/support/keys.h"
#include "tests/support/splitmix.h"
#include "tests/support/stranger.h"
#include "transport/nonce.h"

enum {
    NONCE_AT = 16, /* in HELLO and INITIATE; then the cookie */
    COOKIE_AT = 32,
    ACCEPT_CLEAR_SIZE = 20,
    ACCEPT_PAYLOAD_SIZE = 136,
};

static ed_wire wire;
static ed_wire_host *server, *client;

static void open_wire(const char *name, const eddy_config *server_config,
                      const eddy_config *client_config)
{
    eddy_address here = ed_wire_address(1), there = ed_wire_address(2);

    ed_nonce_forget(); // worlds of one seed are the same world
    ed_wire_open(&wire, name, 51);
    server = ed_wire_add(&wire, server_config, &here);
    client = ed_wire_add(&wire, client_config, &there);
    ed_wire_run_for(&wire, 0);
}

static void open_plain(const char *name)
{
    eddy_config server_config = ed_wire_server_config(), client_config = ed_wire_client_config();

    open_wire(name, &server_config, &client_config);
}

static void dial(void)
{
    CHECK_EQ(wire.name, ed_wire_connect(client, &server->address, NULL), EDDY_OK);
}

static void connect_client(void)
{
    dial();
    CHECK(wire.name, ed_wire_await_connected(&wire, server, 1, ED_NS_PER_S));
    ed_wire_run_for(&wire, ED_NS_PER_S);
}

/* ------------------------------------------------------------------------------ as the server --
 */

typedef struct answer {
    const char *name;
    ed_mode mode;
    bool knows_key; /* and makes the RETRY, too; else he waits for the server's */
    eddy_refusal refusal;
    unsigned count; /* that he has given */
} answer;

/**
 * One for a client that has not begun its handshake, and takes the zeros which stand in its place
 * for one: there all keys are zeros, and it is the responder.
 */
static size_t forge_accept(uint8_t *data, const answer *a)
{
    static const uint8_t zeros[ED_KEY_SIZE], ephemeral[ED_KEY_SIZE] = {0x42};
    size_t head_size = ed_noise_head_size(ED_NOISE_NKPSK0, 0);
    size_t size = ed_accept_size(a->mode), sealed_at = ACCEPT_CLEAR_SIZE + head_size;
    ed_noise noise = {.pattern = ED_NOISE_NKPSK0, .is_initiator = true};

    memset(data, 0, size);
    data[0] = ED_FORM_ACCEPT;
    memcpy(data + 4, ed_wire_newest(&wire, ED_FORM_HELLO)->data + NONCE_AT, ED_NONCE_SIZE);
    uint8_t *fields = data + size - ED_TAG_SIZE - ACCEPT_PAYLOAD_SIZE;
    fields[0] = (uint8_t)a->refusal;
    fields[1] = ED_AEAD_CHACHA20;
    ed_x25519_public(noise.peer, zeros);
    CHECK(a->name, ed_noise_write(&noise, ephemeral, data + ACCEPT_CLEAR_SIZE,
                                  size - sealed_at - ED_TAG_SIZE));
    return size;
}

static size_t forge_retry(uint8_t *data, const answer *a)
{
    const uint8_t *public_key = a->mode == ED_MODE_OPEN ? NULL : ed_test_public()->bytes;
    ed_greeting_key key = ed_greeting_key_of(public_key);
    const ed_retry retry = {.version = ED_PROTOCOL_VERSION, .cookie = {1, 3, 3}};

    ed_retry_write(data, &retry, ed_wire_newest(&wire, ED_FORM_HELLO)->data + NONCE_AT, &key, NULL);
    return ED_RETRY_SIZE;
}

/** RETRY and ACCEPT, directly behind each other: both are there when the client next looks. */
static bool answer_at_once(void *context, eddy_datagram *datagram)
{
    answer *a = context;
    uint8_t data[ED_DATAGRAM_SIZE];
    ed_form form = ed_form_of(datagram->data, datagram->size);

    if (a->count > 0 || form != (a->knows_key ? ED_FORM_HELLO : ED_FORM_RETRY))
        return true;
    a->count++;
    if (a->knows_key)
        ed_wire_forge(&wire, &server->address, &client->address, data, forge_retry(data, a));
    else
        ed_wire_forge(&wire, &server->address, &client->address, datagram->data, datagram->size);
    ed_wire_forge(&wire, &server->address, &client->address, data, forge_accept(data, a));
    return a->knows_key;
}

static void dial_in_mode(ed_mode mode)
{
    char token[EDDY_TOKEN_TEXT_MAX];
    eddy_connect_options open = {.mode = EDDY_MODE_OPEN}, with_token = {.token = token};
    ed_test_grant grant = ed_test_grant_of(1, &server->address);

    ed_test_issue(token, &grant);
    CHECK_EQ(wire.name,
             ed_wire_connect(client, &server->address,
                             mode == ED_MODE_OPEN    ? &open
                             : mode == ED_MODE_TOKEN ? &with_token
                                                     : NULL),
             EDDY_OK);
}

static void check_answer(answer *a)
{
    eddy_config server_config = ed_wire_server_config(), client_config = ed_wire_client_config();

    server_config.modes = 1U << a->mode;
    server_config.open_to_public = true;
    if (a->mode == ED_MODE_TOKEN)
        ed_test_take_tokens(&server_config);
    client_config.protocol_id = server_config.protocol_id;
    open_wire(a->name, &server_config, &client_config);
    wire.tap = answer_at_once;
    wire.tap_context = a;
    dial_in_mode(a->mode);
    CHECK(a->name, ed_wire_await_connected(&wire, server, 1, ED_NS_PER_S));
    CHECK_EQ(a->name, a->count, 1);
    CHECK_EQ(a->name, ed_wire_stats(client).dropped_unknown, 1); // the ACCEPT
    ed_wire_check_alive(server, client);
    CHECK_EQ(a->name, client->connected, 1);
    CHECK_EQ(a->name, client->disconnected, 0);
    ed_wire_close(&wire);
}

static void an_answer_before_the_question_opens_nothing(void **state)
{
    answer rows[] = {
        {"refused, PINNED", ED_MODE_PINNED, true, EDDY_REFUSED_BY_PROGRAM, 0},
        {"refused, OPEN", ED_MODE_OPEN, true, EDDY_REFUSED_BY_PROGRAM, 0},
        {"refused, TOKEN", ED_MODE_TOKEN, true, EDDY_REFUSED_BY_PROGRAM, 0},
        {"accepted, PINNED", ED_MODE_PINNED, true, EDDY_NOT_REFUSED, 0},
        {"accepted, OPEN", ED_MODE_OPEN, true, EDDY_NOT_REFUSED, 0},
        {"accepted, TOKEN", ED_MODE_TOKEN, true, EDDY_NOT_REFUSED, 0},
        {"refused behind the server's RETRY", ED_MODE_PINNED, false, EDDY_REFUSED_BY_PROGRAM, 0},
        {"refused behind the server's RETRY, TOKEN", ED_MODE_TOKEN, false, EDDY_REFUSED_BY_PROGRAM,
         0},
        {"accepted behind the server's RETRY", ED_MODE_PINNED, false, EDDY_NOT_REFUSED, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        check_answer(&rows[i]);
}

/* ---------------------------------------------------------------------------- without the key --
 */

/** An INITIATE by who has some other key, or none. */
static void forge_initiate(uint8_t *data, uint32_t number, uint64_t *seed)
{
    static const eddy_key other = {{0x5e, 0xc4, 0xe7}};
    eddy_key other_public = eddy_key_public(&other);
    ed_stranger stranger = ed_stranger_of(number);

    stranger.server_key = number % 3 == 0 ? other_public.bytes : NULL;
    (void)ed_stranger_initiate(&stranger, data);
    if (number % 3 == 1) // all is right but a bit, of the mac or of what it is over
        data[COOKIE_AT + splitmix_below(seed, ED_INITIATE_SIZE - COOKIE_AT)] ^=
            (uint8_t)(1 << splitmix_below(seed, 8));
    for (size_t i = COOKIE_AT; number % 3 == 2 && i < ED_INITIATE_SIZE; i++)
        data[i] = (uint8_t)splitmix_next(seed);
}

static bool is_silent_to_strangers(const void *context)
{
    enum { INITIATES = 1000 };
    uint8_t data[ED_INITIATE_SIZE];
    uint64_t seed = 3;

    (void)context;
    open_plain("INITIATE without the key");
    for (uint32_t i = 0; i < INITIATES; i++) {
        forge_initiate(data, i, &seed);
        ed_wire_forge(&wire, &client->address, &server->address, data, sizeof(data));
        ed_wire_run_for(&wire, ED_WIRE_RUSH_US * ED_NS_PER_US);
    }
    eddy_stats stats = ed_wire_stats(server);
    bool held = stats.replied_stateless == 0 && stats.dropped_forged == INITIATES;
    ed_wire_close(&wire);
    return held;
}

static void no_initiate_without_the_key_is_answered(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){.name = "INITIATE without the key",
                               .mount = is_silent_to_strangers,
                               .checks = {EDDY_CHECK_INITIATE_MAC}});
}

/* ------------------------------------------------------------------------------- reset tokens --
 */

/** Of the newest packet of the client. */
static uint32_t id_of_client(void)
{
    const ed_wire_copy *seen = ed_wire_newest_packet(&wire, true);
    bool from_client = false;
    uint32_t id = 0;

    CHECK_EQ(wire.name, ed_packet_peek_id(seen->data, seen->datagram.size, &from_client, &id),
             EDDY_OK);
    return id;
}

/** Asks with a packet of no connection, and is told the token of that id. */
static void collect_token(uint8_t token[ED_RESET_TOKEN_SIZE], uint32_t id, uint16_t port)
{
    const ed_wire_copy *reply = ed_wire_newest_packet(&wire, false);
    uint8_t data[ED_RESET_SIZE_MAX + 1] = {0x60};
    eddy_address from = client->address;

    from.port = port;
    for (size_t i = 0; i < sizeof(id); i++)
        data[1 + i] = (uint8_t)(id >> 8 * i);
    ed_wire_forge(&wire, &from, &server->address, data, sizeof(data));
    ed_wire_run_for(&wire, ED_NS_PER_MS);
    CHECK_EQ(wire.name, ed_wire_stats(server).resets_sent, 1);
    memcpy(token, reply->data + reply->datagram.size - ED_RESET_TOKEN_SIZE, ED_RESET_TOKEN_SIZE);
}

static void forge_reset(const uint8_t token[ED_RESET_TOKEN_SIZE])
{
    uint8_t data[ED_RESET_SIZE_MAX] = {0};

    ed_packet_disguise(data);
    memcpy(data + sizeof(data) - ED_RESET_TOKEN_SIZE, token, ED_RESET_TOKEN_SIZE);
    ed_wire_forge(&wire, &server->address, &client->address, data, sizeof(data));
    ed_wire_run_for(&wire, ED_NS_PER_MS);
}

static void a_reset_token_is_for_one_port(void **state)
{
    static const struct {
        const char *name;
        uint16_t port_offset;
        bool ends;
    } rows[] = {
        {"of the next port", 1, false},
        {"of a port far away", 4096, false},
        {"of the client's own", 0, true}, // that is what it is for
    };
    uint8_t token[ED_RESET_TOKEN_SIZE];

    (void)state;
    open_plain("rehearsal");
    connect_client();
    uint32_t id = id_of_client();
    ed_wire_close(&wire);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_plain(rows[i].name);
        collect_token(token, id, (uint16_t)(client->address.port + rows[i].port_offset));
        connect_client();
        CHECK_EQ(rows[i].name, id_of_client(), id); // the same world again
        forge_reset(token);
        CHECK_EQ(rows[i].name, client->disconnected, rows[i].ends);
        if (!rows[i].ends)
            ed_wire_check_alive(server, client);
        ed_wire_close(&wire);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_before_the_question_opens_nothing),
        cmocka_unit_test(no_initiate_without_the_key_is_answered),
        cmocka_unit_test(a_reset_token_is_for_one_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
