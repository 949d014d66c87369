/**
 * T26, T27: keys that are none, and keys that were stolen. The program is linked so that X25519
 * comes by (tests/SConscript): some secrets are marked, and what is reckoned with them is what the
 * attacker wants.
 */
#include "core/addr.h"
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/hex.h"
#include "tests/support/keys.h"
#include "tests/support/stranger.h"
#include "tests/unit/x25519_points.h"
#include "transport/protect.h"

bool __real_ed_x25519(uint8_t *shared, const uint8_t *secret, const uint8_t *public_key);
bool __wrap_ed_x25519(uint8_t *shared, const uint8_t *secret, const uint8_t *public_key);
void __real_ed_x25519_public(uint8_t *public_key, const uint8_t *secret);
void __wrap_ed_x25519_public(uint8_t *public_key, const uint8_t *secret);

enum {
    MARK_SIZE = 16, /* bytes of a secret that mark it; the rest is anything */
    EVIL = 0x5c,    /* as what ed_wire_host.stuck_size draws */
    THIEF = 0x7e,
};

static ed_wire wire;
static ed_wire_host *server, *client;

/** Whose public key is of low order, so that every secret made with it is zeros. */
static struct {
    bool is_on;
    uint8_t point[ED_KEY_SIZE];
} evil;

/** Who has stolen the server's key, and pretends to be a client whose key he has not. */
static struct {
    bool is_on;
    bool has_all; /* the client's, too */
    eddy_key client_secret;
} thief;

static bool is_marked(const uint8_t *secret, uint8_t mark)
{
    for (size_t i = 0; i < MARK_SIZE; i++)
        if (secret[i] != mark)
            return false;
    return true;
}

void __wrap_ed_x25519_public(uint8_t *public_key, const uint8_t *secret)
{
    if (evil.is_on && is_marked(secret, EVIL))
        memcpy(public_key, evil.point, ED_KEY_SIZE);
    else if (thief.is_on && is_marked(secret, THIEF))
        __real_ed_x25519_public(public_key, thief.client_secret.bytes);
    else
        __real_ed_x25519_public(public_key, secret);
}

/** What the thief can reckon of the client's: its static key with the server's, from that side. */
static bool reckon_as_thief(uint8_t *shared, const uint8_t *public_key)
{
    uint8_t client_key[ED_KEY_SIZE];

    if (thief.has_all)
        return __real_ed_x25519(shared, thief.client_secret.bytes, public_key);
    memset(shared, 0, ED_KEY_SIZE);
    if (memcmp(public_key, ed_test_public()->bytes, ED_KEY_SIZE) != 0)
        return true; // of the server's ephemeral he knows no secret, and guesses
    __real_ed_x25519_public(client_key, thief.client_secret.bytes);
    return __real_ed_x25519(shared, ed_test_secret()->bytes, client_key);
}

bool __wrap_ed_x25519(uint8_t *shared, const uint8_t *secret, const uint8_t *public_key)
{
    if (evil.is_on && is_marked(secret, EVIL)) {
        memset(shared, 0, ED_KEY_SIZE);
        return true;
    }
    if (thief.is_on && is_marked(secret, THIEF))
        return reckon_as_thief(shared, public_key);
    return __real_ed_x25519(shared, secret, public_key);
}

/* ------------------------------------------------------------------------------ T26: low order --
 */

static void open_server(const eddy_config *config)
{
    static uint64_t seed = 1000;
    eddy_address here = ed_wire_address(1);

    ed_wire_open(&wire, "T26", ++seed);
    server = ed_wire_add(&wire, config, &here);
    ed_wire_run_for(&wire, 0);
}

static size_t accept_size(void)
{
    return ed_wire_newest(&wire, ED_FORM_ACCEPT)->datagram.size;
}

/** As the ephemeral of INITIATE, or as a client's own key in mode MUTUAL. */
static bool is_no_clients_key(bool is_static)
{
    static const ed_noise_pair own_real = {.secret = {1, 2, 3}};
    eddy_config config = ed_wire_server_config();
    ed_stranger stranger = ed_stranger_of(2000);
    ed_noise_pair own = own_real;

    config.ask = true; // whoever has a key may ask
    config.modes = EDDY_MODE_PINNED | EDDY_MODE_MUTUAL;
    open_server(&config);
    CHECK("cookie", is_static || ed_stranger_greet(&stranger, &wire, server));
    if (is_static) {
        stranger.mode = ED_MODE_MUTUAL;
        stranger.own = &own;
        memcpy(stranger.ephemeral + 8, evil.point, 8); // another for each point
        stranger.ephemeral[16] = evil.point[31];
        memset(own.secret, EVIL, sizeof(own.secret));
        memcpy(own.public_key, evil.point, ED_KEY_SIZE);
        CHECK("cookie", ed_stranger_greet(&stranger, &wire, server));
    } else {
        memset(stranger.ephemeral, EVIL, sizeof(stranger.ephemeral));
    }
    ed_stranger_knock(&stranger, &wire, server);
    ed_wire_run_for(&wire, ED_NS_PER_S);
    bool held = server->requests == 0 && server->events == 0 && accept_size() == 0 &&
                ed_wire_refusals(server, EDDY_CHECK_POINT) == 1;
    ed_wire_close(&wire);
    return held;
}

/** As the ephemeral of ACCEPT, of a server that wants all to know what it says to its clients. */
static bool is_no_servers_ephemeral(void)
{
    eddy_config config = ed_wire_client_config();
    eddy_config servers = ed_wire_server_config();
    eddy_address there = ed_wire_address(2);

    open_server(&servers);
    server->stuck_size = ED_KEY_SIZE;
    client = ed_wire_add(&wire, &config, &there);
    CHECK_EQ("dial", ed_wire_connect(client, &server->address, NULL), EDDY_OK);
    ed_wire_run_for(&wire, 2 * ED_NS_PER_S);
    CHECK("answered", accept_size() > 0);
    bool held = client->connected == 0 && ed_wire_refusals(client, EDDY_CHECK_POINT) > 0;
    ed_wire_close(&wire);
    return held;
}

/** As the key of a server that is to be dialled. */
static bool is_no_servers_key(void)
{
    eddy_config config = ed_wire_client_config();
    eddy_address there = ed_wire_address(2), here = ed_wire_address(1);
    eddy_key key;

    memcpy(key.bytes, evil.point, ED_KEY_SIZE);
    const eddy_connect_options options = {.server_key = &key};
    ed_wire_open(&wire, "T26", 1);
    client = ed_wire_add(&wire, &config, &there);
    eddy_status status = ed_wire_connect(client, &here, &options);
    ed_wire_close(&wire);
    return status != EDDY_OK;
}

static bool takes_no_point_of_low_order(const void *context)
{
    size_t count = 0;
    bool held = true;

    (void)context;
    evil.is_on = true;
    for (size_t i = 0; i < ED_COUNT(x25519_points) && held; i++) {
        if (x25519_points[i].shared != NULL)
            continue;
        CHECK_EQ("point", hex_read(evil.point, ED_KEY_SIZE, x25519_points[i].key), ED_KEY_SIZE);
        held = is_no_clients_key(false) && is_no_clients_key(true) && is_no_servers_ephemeral() &&
               is_no_servers_key();
        count++;
    }
    evil.is_on = false;
    CHECK("all encodings", count == 14 || !held);
    ed_attack_figure("T26: %zu encodings of low order as e, s, and a server's key: no key is made",
                     count);
    return held;
}

static void t26_keys_of_low_order_are_none(void **state)
{
    const ed_attack attack = {.name = "T26 low order",
                              .mount = takes_no_point_of_low_order,
                              .checks = {EDDY_CHECK_POINT}};

    (void)state;
    ed_attack_run(&attack);
}

/* ---------------------------------------------------------------------------- T27: stolen keys --
 */

static void steal_all(void)
{
    thief.has_all = true;
}

/** Who has the server's key passes for nobody to that server. */
static bool is_no_client_without_its_key(const void *context)
{
    eddy_key marked, listed;
    eddy_config servers = ed_wire_server_config(), clients = ed_wire_client_config();
    eddy_address there = ed_wire_address(2);
    const eddy_connect_options options = {.mode = EDDY_MODE_MUTUAL, .server_key = ed_test_public()};

    (void)context;
    thief.client_secret = (eddy_key){{9, 9, 9}};
    thief.is_on = true;
    listed = eddy_key_public(&thief.client_secret);
    memset(marked.bytes, THIEF, sizeof(marked.bytes));
    servers.modes = EDDY_MODE_MUTUAL;
    servers.client_keys = &listed;
    servers.client_key_count = 1;
    clients.secret_key = &marked;
    open_server(&servers);
    client = ed_wire_add(&wire, &clients, &there);
    CHECK_EQ("dial", ed_wire_connect(client, &server->address, &options), EDDY_OK);
    ed_wire_run_for(&wire, 11 * ED_NS_PER_S);
    CHECK("his INITIATE is as good as the client's", accept_size() > 0);
    bool held = server->connected == 0 && server->events == 0;
    thief.is_on = false;
    ed_wire_close(&wire);
    return held;
}

static bool knows_ephemeral;

static void know_ephemeral(void)
{
    knows_ephemeral = true;
}

static ed_wire_copy initiate, packet;

static bool keep_first(void *context, eddy_datagram *datagram)
{
    ed_form form = ed_form_of(datagram->data, datagram->size);
    ed_wire_copy *copy = form == ED_FORM_INITIATE ? &initiate : &packet;

    (void)context;
    if ((form != ED_FORM_INITIATE && form != ED_FORM_PACKET) || copy->datagram.size > 0 ||
        !eddy_address_equal(&datagram->local, &client->address))
        return true;
    copy->datagram = *datagram;
    memcpy(copy->data, datagram->data, datagram->size);
    return true;
}

/** A session is recorded, and whoever recorded it learns the server's key afterwards. */
static void record_session(void)
{
    eddy_config servers = ed_wire_server_config(), clients = ed_wire_client_config();
    eddy_address there = ed_wire_address(2);

    open_server(&servers);
    server->stuck_size = knows_ephemeral ? ED_KEY_SIZE : 0;
    initiate.datagram.size = packet.datagram.size = 0;
    client = ed_wire_add(&wire, &clients, &there);
    wire.tap = keep_first;
    CHECK_EQ("dial", ed_wire_connect(client, &server->address, NULL), EDDY_OK);
    CHECK("connected", ed_wire_await_connected(&wire, server, 1, ED_NS_PER_S));
    CHECK("recorded", initiate.datagram.size > 0 && packet.datagram.size > 0);
}

/** The keys of the record, from a guess of what the server drew. @return whether they open it. */
static bool opens_record(const uint8_t ephemeral[ED_KEY_SIZE])
{
    ed_noise_pair pair;
    const ed_noise_keys keys = {.own = &pair};
    ed_wire_copy said = initiate, sealed = packet;
    ed_accept accept = {.suite = ED_AEAD_CHACHA20};
    uint8_t data[ED_ACCEPT_SIZE_MAX], up[ED_KEY_SIZE], down[ED_KEY_SIZE];
    ed_initiate read;
    ed_noise noise;
    ed_packet header;
    ed_keys made;

    memcpy(pair.secret, ed_test_secret()->bytes, ED_KEY_SIZE);
    memcpy(pair.public_key, ed_test_public()->bytes, ED_KEY_SIZE);
    CHECK_EQ("parse", ed_initiate_parse(&read, said.data, ED_INITIATE_SIZE), EDDY_OK);
    CHECK_EQ("the first message", ed_initiate_open(&read, &noise, said.data, &keys), EDDY_OK);
    if (!ed_accept_write(data, &accept, &noise, ED_MODE_PINNED, ephemeral))
        return false;
    ed_noise_split(&noise, up, down);
    ed_keys_init(&made, ED_AEAD_CHACHA20, down, up, 0);
    if (!ed_keys_unmask(&made, sealed.data, 1 + ED_PACKET_ID_SIZE, sealed.datagram.size) ||
        ed_packet_parse(&header, sealed.data, sealed.datagram.size) != EDDY_OK)
        return false;
    return ed_keys_open(&made, header.phase, header.number, sealed.data, header.header_size,
                        sealed.datagram.size, 0, ED_NS_PER_S, 0);
}

static bool keeps_what_was_said(const void *context)
{
    uint8_t guesses[3][ED_KEY_SIZE] = {{0}};

    (void)context;
    memcpy(guesses[1], ed_test_secret()->bytes, ED_KEY_SIZE);
    memset(guesses[2], EVIL, ED_KEY_SIZE); // what the server draws, if its ephemeral is known
    record_session();
    bool held = true;
    for (size_t i = 0; i < ED_COUNT(guesses); i++)
        held = !opens_record(guesses[i]) && held;
    ed_wire_close(&wire);
    return held;
}

static void t27_stolen_keys_open_little(void **state)
{
    const ed_attack attacks[] = {
        {"T27 a client's part with the server's key",
         is_no_client_without_its_key,
         NULL,
         {0},
         steal_all},
        {"T27 a record, and the server's key", keeps_what_was_said, NULL, {0}, know_ephemeral},
    };

    (void)state;
    ed_attack_run_all(attacks, ED_COUNT(attacks));
    ed_attack_figure("T27: with the server's key: no client's part in MUTUAL, no record opened");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t26_keys_of_low_order_are_none),
        cmocka_unit_test(t27_stolen_keys_open_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
