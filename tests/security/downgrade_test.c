/** T24, T25: somebody between two ends who alters what they agree on, or turns their words round.
 */
#include "core/crypto.h"
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/initiate.h"
#include "tests/support/keys.h"
#include "tests/support/wire.h"
#include "transport/api_state.h"

enum {
    GAME = 1,
    PATIENCE_S = 11, /* the timeout of a handshake, and a second */
};

static ed_wire wire;
static ed_wire_host *server, *client;

static void open_pair(const char *name, const eddy_config *servers, const eddy_config *clients)
{
    eddy_address here = ed_wire_address(1), there = ed_wire_address(2);

    static uint64_t seed; // other worlds, other keys

    ed_wire_open(&wire, name, ++seed);
    server = ed_wire_add(&wire, servers, &here);
    client = ed_wire_add(&wire, clients, &there);
    ed_wire_run_for(&wire, 0);
}

/* ------------------------------------------------------------------------------- T24: the mask --
 */

/** What a client asks for that the server must not grant. */
typedef struct request {
    const char *name;
    eddy_check check;
    uint32_t modes; /* of the server */
    eddy_mode mode; /* of the client */
    eddy_cipher server_cipher;
    eddy_cipher client_cipher;
    uint64_t client_game;
    bool has_stranger_key; /* mode MUTUAL: one that the server's list has not */
} request;

static bool is_refused(const void *context)
{
    static const eddy_key strangers = {{3, 1, 4}}, friends = {{2, 7, 1}};
    const request *r = context;
    eddy_key listed = eddy_key_public(&friends);
    eddy_config servers = ed_wire_server_config(), clients = ed_wire_client_config();
    eddy_connect_options options = {.mode = r->mode, .server_key = ed_test_public()};

    if (r->mode == EDDY_MODE_OPEN)
        options.server_key = NULL;
    servers.modes = r->modes;
    servers.client_keys = &listed;
    servers.client_key_count = 1;
    servers.cipher = r->server_cipher;
    servers.protocol_id = GAME;
    clients.cipher = r->client_cipher;
    clients.protocol_id = r->client_game;
    clients.secret_key = r->has_stranger_key ? &strangers : &friends;
    open_pair(r->name, &servers, &clients);
    CHECK_EQ("dial", ed_wire_connect(client, &server->address, &options), EDDY_OK);
    ed_wire_run_for(&wire, PATIENCE_S * ED_NS_PER_S);
    bool held =
        server->connected == 0 && client->connected == 0 && ed_wire_refusals(server, r->check) > 0;
    ed_wire_close(&wire);
    return held;
}

static void t24_a_server_grants_only_what_it_accepts(void **state)
{
    static const eddy_cipher chacha = EDDY_CIPHER_CHACHA20, aes = EDDY_CIPHER_AES256;
    const request requests[] = {
        {"T24 a mode that is off", EDDY_CHECK_MODE, EDDY_MODE_PINNED, EDDY_MODE_OPEN, chacha,
         chacha, GAME, false},
        {"T24 no keys from afar", EDDY_CHECK_OPEN_PRIVATE, EDDY_MODE_OPEN, EDDY_MODE_OPEN, chacha,
         chacha, GAME, false},
        {"T24 a key that is not listed", EDDY_CHECK_CLIENT_KEY, EDDY_MODE_MUTUAL, EDDY_MODE_MUTUAL,
         chacha, chacha, GAME, true},
        {"T25 another game", EDDY_CHECK_GAME, EDDY_MODE_PINNED, EDDY_MODE_PINNED, chacha, chacha,
         GAME + 1, false},
        {"T24 another cipher", EDDY_CHECK_SUITE, EDDY_MODE_PINNED, EDDY_MODE_PINNED, aes, chacha,
         GAME, false},
    };
    size_t count = ED_COUNT(requests) - (ed_aead_available(ED_AEAD_AES256) ? 0 : 1);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const ed_attack attack = {.name = requests[i].name,
                                  .mount = is_refused,
                                  .context = &requests[i],
                                  .checks = {requests[i].check}};
        ed_attack_run(&attack);
    }
}

/* ------------------------------------------------------------------ T24: what was not offered --
 */

static uint64_t initiates;

/** Answers as a server that knows all it should, and takes a cipher that was not offered. */
static void grant_another(const eddy_datagram *asked)
{
    const ed_identity *identity = server->manager->identity;
    const ed_noise_keys keys = {.own = &identity->pair, .shared = identity->room};
    ed_accept accept = {.suite = ED_AEAD_AES256,
                        .id = 1,
                        .datagram_size = ED_DATAGRAM_SIZE,
                        .credit = ED_CREDIT_INITIAL,
                        .message_max = EDDY_PIECE_SIZE_MAX};
    uint8_t question[ED_INITIATE_SIZE], answer[ED_ACCEPT_SIZE_MAX];
    uint8_t ephemeral[ED_KEY_SIZE] = {0x50};
    ed_initiate initiate;
    ed_noise noise;

    memcpy(question, asked->data, sizeof(question));
    CHECK_EQ("INITIATE", ed_initiate_parse(&initiate, question, sizeof(question)), EDDY_OK);
    CHECK_EQ("INITIATE", ed_initiate_open(&initiate, &noise, question, &keys), EDDY_OK);
    CHECK_EQ("offered", initiate.suites, 1 << ED_AEAD_CHACHA20);
    memcpy(accept.nonce, initiate.nonce, ED_NONCE_SIZE);
    CHECK("ACCEPT", ed_accept_write(answer, &accept, &noise, ED_MODE_PINNED, ephemeral));
    ed_wire_forge(&wire, &asked->remote, &asked->local, answer, ed_accept_size(ED_MODE_PINNED));
}

static bool grant_another_once(void *context, eddy_datagram *datagram)
{
    (void)context;
    if (ed_form_of(datagram->data, datagram->size) != ED_FORM_INITIATE || initiates++ > 0)
        return true;
    grant_another(datagram);
    return false;
}

/** And goes on to wait for who keeps to what it has offered. */
static bool takes_what_it_has_offered(const void *context)
{
    eddy_config servers = ed_wire_server_config(), clients = ed_wire_client_config();

    (void)context;
    initiates = 0;
    servers.cipher = clients.cipher = EDDY_CIPHER_CHACHA20;
    open_pair("T24 not offered", &servers, &clients);
    wire.tap = grant_another_once;
    CHECK_EQ("dial", ed_wire_connect(client, &server->address, NULL), EDDY_OK);
    ed_wire_run_for(&wire, 10 * ED_NS_PER_MS);
    CHECK_EQ("granted", initiates, 1);
    bool held = client->connected == 0 && ed_wire_refusals(client, EDDY_CHECK_SUITE) == 1 &&
                ed_wire_stats(client).dropped_malformed == 1 &&
                ed_wire_await_connected(&wire, client, 1, 2 * ED_NS_PER_S);
    ed_wire_close(&wire);
    return held;
}

static void t24_a_client_takes_only_what_it_has_offered(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){.name = "T24 a cipher that was not offered",
                               .mount = takes_what_it_has_offered,
                               .checks = {EDDY_CHECK_SUITE}});
}

/* -------------------------------------------------------------------------------- T24: fields --
 */

/** A part of a datagram: PROTOCOL.md section 3. */
typedef struct field {
    const char *name;
    ed_form form;
    size_t at;
    size_t size;
    bool is_sealed; /* nothing but the seal notices, where the mac is right */
} field;

static const field fields[] = {
    {"HELLO version", ED_FORM_HELLO, 1, 4, false},
    {"HELLO mode", ED_FORM_HELLO, 5, 1, false},
    {"HELLO number of versions", ED_FORM_HELLO, 6, 1, false},
    {"HELLO reserved", ED_FORM_HELLO, 7, 1, false},
    {"HELLO game", ED_FORM_HELLO, 8, 8, false},
    {"HELLO nonce", ED_FORM_HELLO, 16, 16, false},
    {"HELLO versions", ED_FORM_HELLO, 32, 32, false},
    {"HELLO padding", ED_FORM_HELLO, 64, 1120, false},
    {"HELLO mac", ED_FORM_HELLO, 1184, 16, false},
    {"RETRY version", ED_FORM_RETRY, 1, 4, false},
    {"RETRY refusal", ED_FORM_RETRY, 5, 1, false},
    {"RETRY reserved", ED_FORM_RETRY, 6, 2, false},
    {"RETRY tag", ED_FORM_RETRY, 8, 16, false},
    {"RETRY cookie", ED_FORM_RETRY, 24, 24, false},
    {"INITIATE version", ED_FORM_INITIATE, 1, 4, false},
    {"INITIATE mode", ED_FORM_INITIATE, 5, 1, false},
    {"INITIATE suites", ED_FORM_INITIATE, 6, 1, true},
    {"INITIATE reserved", ED_FORM_INITIATE, 7, 1, false},
    {"INITIATE game", ED_FORM_INITIATE, 8, 8, false},
    {"INITIATE nonce", ED_FORM_INITIATE, 16, 16, false},
    {"INITIATE cookie", ED_FORM_INITIATE, 32, 24, false},
    {"INITIATE ephemeral", ED_FORM_INITIATE, 56, 32, true},
    {"INITIATE sealed", ED_FORM_INITIATE, 88, 326, true},
    {"INITIATE tag", ED_FORM_INITIATE, 414, 16, true},
    {"INITIATE mac", ED_FORM_INITIATE, 1184, 16, false},
    {"ACCEPT reserved", ED_FORM_ACCEPT, 1, 3, false},
    {"ACCEPT nonce", ED_FORM_ACCEPT, 4, 16, false},
    {"ACCEPT ephemeral", ED_FORM_ACCEPT, 20, 32, false},
    {"ACCEPT sealed", ED_FORM_ACCEPT, 52, 136, false},
    {"ACCEPT tag", ED_FORM_ACCEPT, 188, 16, false},
};

static struct between {
    const field *field;
    size_t at;
    uint8_t flip;
    bool only_once;
    uint64_t altered;
} between;

/** Anybody can who knows the server's public key. */
static void repair_mac(uint8_t *initiate)
{
    bool is_open = initiate[5] == ED_MODE_OPEN;
    ed_greeting_key key = ed_greeting_key_of(is_open ? NULL : ed_test_public()->bytes);

    ed_request_sign(initiate, &key);
}

static bool alter(void *context, eddy_datagram *datagram)
{
    (void)context;
    if (ed_form_of(datagram->data, datagram->size) == between.field->form &&
        (!between.only_once || between.altered == 0)) {
        datagram->data[between.at] ^= between.flip;
        if (between.field->form == ED_FORM_INITIATE && between.at < ED_INITIATE_MAC_AT)
            repair_mac(datagram->data);
        between.altered++;
    }
    return true;
}

/** One byte of one field is another, once or always. @return whether that is as it must be. */
static bool ends_honestly(const field *f, size_t at, bool only_once)
{
    eddy_config servers = ed_wire_server_config(), clients = ed_wire_client_config();

    servers.modes = EDDY_MODE_OPEN | EDDY_MODE_PINNED;
    servers.open_to_public = true;
    servers.cipher = clients.cipher = EDDY_CIPHER_BEST;
    servers.connect_rate = 0;
    clients.handshake_timeout_ms = 3000;
    open_pair(f->name, &servers, &clients);
    // Of the mode, what a downgrade would say: OPEN instead of PINNED.
    between = (struct between){.field = f,
                               .at = f->at + at,
                               .flip = (uint8_t)(f->size == 1 ? 1 : 3),
                               .only_once = only_once};
    wire.tap = alter;
    CHECK_EQ("dial", ed_wire_connect(client, &server->address, NULL), EDDY_OK);
    ed_wire_run_for(&wire, 4 * ED_NS_PER_S);
    CHECK(f->name, between.altered > 0);
    bool is_connected = client->connected == 1 && server->connected == 1 &&
                        client->peer.mode == EDDY_MODE_PINNED &&
                        server->peer.mode == EDDY_MODE_PINNED;
    bool is_not = client->connected == 0 && server->connected == 0;
    // An INITIATE that is altered is not what the server answers with an ACCEPT.
    bool is_accepted = ed_wire_newest(&wire, ED_FORM_ACCEPT)->datagram.size > 0;
    bool is_server_firm = only_once || f->form == ED_FORM_ACCEPT || !is_accepted;
    bool is_noticed = !f->is_sealed || ed_wire_refusals(server, EDDY_CHECK_INITIATE_SEAL) > 0;
    ed_wire_close(&wire);
    return (only_once ? is_connected : is_not) && is_server_firm && is_noticed;
}

/** All fields, or with a check off those that it is for. */
static bool nobody_can_downgrade(const void *context)
{
    const ed_form *form = context;
    size_t per_field = (size_t)ed_attack_count(1, 4), count = 0;
    bool held = true;

    for (size_t i = 0; i < ED_COUNT(fields) && held; i++) {
        const field *f = &fields[i];
        for (size_t n = 0; n < ed_min_size(per_field, f->size) && held && f->form == *form; n++) {
            size_t at = n * (f->size - 1) / ed_max_u64(ed_min_size(per_field, f->size) - 1, 1);
            held = ends_honestly(f, at, true) && ends_honestly(f, at, false);
            count += 2;
        }
    }
    if (held)
        ed_attack_figure("T24: form 0x%x: %zu times a field was another, always honest", *form,
                         count);
    return held;
}

static void t24_nobody_between_can_downgrade(void **state)
{
    static const ed_form hello = ED_FORM_HELLO, retry = ED_FORM_RETRY, initiate = ED_FORM_INITIATE,
                         accept = ED_FORM_ACCEPT;
    const ed_attack attacks[] = {
        {"T24 HELLO", nobody_can_downgrade, &hello, {EDDY_CHECK_HELLO_MAC}, NULL},
        {"T24 RETRY", nobody_can_downgrade, &retry, {EDDY_CHECK_ANSWER_MAC}, NULL},
        {"T24 INITIATE", nobody_can_downgrade, &initiate, {EDDY_CHECK_INITIATE_SEAL}, NULL},
        {"T24 ACCEPT", nobody_can_downgrade, &accept, {EDDY_CHECK_ACCEPT_NONCE}, NULL},
    };

    (void)state;
    ed_attack_run_all(attacks, ED_COUNT(attacks));
}

/* ------------------------------------------------------------------------------- T25: echoes -- */

static uint64_t echoes;

/** Everything goes back to where it came from, too. */
static bool echo(void *context, eddy_datagram *datagram)
{
    (void)context;
    ed_wire_forge(&wire, &datagram->remote, &datagram->local, datagram->data, datagram->size);
    echoes++;
    return true;
}

/** What the two say to each other comes to all that it is not for, from all of them. */
static bool spread(void *context, eddy_datagram *datagram)
{
    (void)context;
    if (!eddy_address_equal(&datagram->remote, &server->address) &&
        !eddy_address_equal(&datagram->remote, &client->address))
        return true;
    for (size_t to = 0; to < wire.host_count; to++)
        for (size_t from = 0; from < wire.host_count; from++)
            if (!eddy_address_equal(&wire.hosts[to].address, &datagram->remote)) {
                ed_wire_forge(&wire, &wire.hosts[from].address, &wire.hosts[to].address,
                              datagram->data, datagram->size);
                echoes++;
            }
    return true;
}

static bool others_heard_nothing(void)
{
    uint64_t events = 0;

    for (size_t i = 2; i < wire.host_count; i++)
        events += wire.hosts[i].events;
    return events == 0;
}

/** Each has a key of its own: those that share one also share what they reset by. */
static ed_wire_host *add_host(uint32_t number, bool accepts)
{
    const eddy_key secret = {{0, (uint8_t)number}};
    eddy_config config = accepts ? ed_wire_server_config() : ed_wire_client_config();
    eddy_address address = ed_wire_address(number);

    config.secret_key = &secret;
    return ed_wire_add(&wire, &config, &address);
}

static void dial(ed_wire_host *from, const ed_wire_host *to)
{
    eddy_key key = eddy_public_key(to->manager);
    const eddy_connect_options options = {.server_key = &key};

    CHECK_EQ("dial", ed_wire_connect(from, &to->address, &options), EDDY_OK);
}

/** Two that both accept and dial, so that each could take its own words for the other's. */
static void open_crowd(void)
{
    ed_wire_open(&wire, "T25", 25);
    server = add_host(1, true);
    client = add_host(2, true);
    for (uint32_t i = 3; i < 7; i++) // and some that nobody talks to
        (void)add_host(i, i % 2 == 0);
    ed_wire_run_for(&wire, 0);
}

static bool talks_in_spite_of(const void *context)
{
    const ed_wire_tap *tap = context;
    enum { MESSAGES = 20 };

    open_crowd();
    wire.tap = *tap;
    echoes = 0;
    dial(client, server);
    dial(server, client);
    ed_wire_run_for(&wire, 2 * ED_NS_PER_S);
    bool held = client->connected == 2 && server->connected == 2;
    for (size_t i = 0; i < MESSAGES && held; i++) {
        held = ed_wire_say(client, "up") == EDDY_OK && ed_wire_say(server, "down") == EDDY_OK;
        ed_wire_run_for(&wire, 100 * ED_NS_PER_MS);
    }
    held = held && client->messages == MESSAGES && server->messages == MESSAGES &&
           client->disconnected + server->disconnected == 0 && others_heard_nothing();
    CHECK("echoes", echoes > 10);
    if (held)
        ed_attack_figure("T25: %llu datagrams turned round: nothing taken",
                         (unsigned long long)echoes);
    ed_wire_close(&wire);
    return held;
}

static void t25_nobody_takes_its_own_words(void **state)
{
    static const ed_wire_tap back = echo, everywhere = spread;
    const ed_attack attacks[] = {
        {"T25 back to its sender", talks_in_spite_of, &back, {EDDY_CHECK_PACKET_SEAL}, NULL},
        {"T25 from all to all", talks_in_spite_of, &everywhere, {EDDY_CHECK_PACKET_SEAL}, NULL},
    };

    (void)state;
    ed_attack_run_all(attacks, ED_COUNT(attacks));
}

static int set_up(void **state)
{
    (void)state;
    return ed_crypto_init() == EDDY_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t24_a_server_grants_only_what_it_accepts),
        cmocka_unit_test(t24_a_client_takes_only_what_it_has_offered),
        cmocka_unit_test(t24_nobody_between_can_downgrade),
        cmocka_unit_test(t25_nobody_takes_its_own_words),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
