/** T12: what has not its form is refused before anything is reckoned, whoever has sealed it. */
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/keys.h"
#include "tests/support/stranger.h"

enum {
    RESERVED_AT = 7, /* in HELLO and INITIATE */
    VERSION_COUNT_AT = 6,
};

static ed_wire wire;
static ed_wire_host *server, *client;

static void open_server(const char *name)
{
    static uint64_t seed = 3000;
    eddy_config config = ed_wire_server_config();
    eddy_address here = ed_wire_address(1);

    ed_wire_open(&wire, name, ++seed);
    server = ed_wire_add(&wire, &config, &here);
    ed_wire_run_for(&wire, 0);
}

static void add_client(ed_wire_tap tap)
{
    eddy_config config = ed_wire_client_config();
    eddy_address there = ed_wire_address(2);

    wire.tap = tap;
    client = ed_wire_add(&wire, &config, &there);
    CHECK_EQ("dial", ed_wire_connect(client, &server->address, NULL), EDDY_OK);
    ed_wire_run_for(&wire, 3 * ED_NS_PER_S);
}

static size_t newest_size(ed_form form)
{
    return ed_wire_newest(&wire, form)->datagram.size;
}

/* ---------------------------------------------------------------------------------------- HELLO --
 */

/** By somebody who knows the key, and so can make the MAC right. */
static bool refuses_hellos(const void *context)
{
    static const struct {
        size_t at;
        uint8_t value;
    } rows[] = {{RESERVED_AT, 1}, {VERSION_COUNT_AT, 0}, {VERSION_COUNT_AT, ED_VERSIONS_MAX + 1}};
    ed_greeting_key key = ed_greeting_key_of(ed_test_public()->bytes);
    ed_stranger stranger = ed_stranger_of(2000);
    uint8_t data[ED_DATAGRAM_SIZE];

    (void)context;
    open_server("T12 HELLO");
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        (void)ed_stranger_hello(&stranger, data);
        data[rows[i].at] = rows[i].value;
        ed_request_sign(data, &key);
        ed_wire_forge(&wire, &stranger.address, &server->address, data, sizeof(data));
        ed_wire_run_for(&wire, ED_NS_PER_MS);
    }
    bool held = newest_size(ED_FORM_RETRY) == 0 &&
                ed_wire_refusals(server, EDDY_CHECK_HELLO_FORM) == ED_COUNT(rows);
    CHECK("honest", ed_stranger_greet(&stranger, &wire, server));
    ed_wire_close(&wire);
    return held;
}

/* ---------------------------------------------------------------------------------------- RETRY --
 */

static bool lengthen_retry(void *context, eddy_datagram *datagram)
{
    (void)context;
    if (ed_form_of(datagram->data, datagram->size) == ED_FORM_RETRY)
        datagram->data[datagram->size++] = 0;
    return true;
}

static bool refuses_long_retries(const void *context)
{
    (void)context;
    open_server("T12 RETRY");
    add_client(lengthen_retry);
    bool held = newest_size(ED_FORM_RETRY) > 0 && newest_size(ED_FORM_INITIATE) == 0;
    ed_wire_close(&wire);
    return held;
}

/* ------------------------------------------------------------------------------------- INITIATE --
 */

/** What is not zero where it must be costs no Diffie-Hellman. */
static bool refuses_initiates_first(const void *context)
{
    static const size_t places[] = {RESERVED_AT};
    ed_stranger stranger = ed_stranger_of(2001);
    uint8_t data[ED_DATAGRAM_SIZE];

    (void)context;
    open_server("T12 INITIATE");
    CHECK("cookie", ed_stranger_greet(&stranger, &wire, server));
    for (size_t i = 0; i < ED_COUNT(places); i++) {
        (void)ed_stranger_initiate(&stranger, data);
        data[places[i]] = 1;
        ed_wire_forge(&wire, &stranger.address, &server->address, data, sizeof(data));
        ed_wire_run_for(&wire, ED_NS_PER_MS);
    }
    bool held = ed_wire_refusals(server, EDDY_CHECK_INITIATE_SEAL) == 0 &&
                ed_wire_refusals(server, EDDY_CHECK_INITIATE_FORM) == ED_COUNT(places);
    ed_wire_close(&wire);
    return held;
}

/** What makes no sense, sealed by somebody who may: he takes no datagrams, or no messages. */
static bool refuses_senseless_initiates(const void *context)
{
    ed_stranger stranger = ed_stranger_of(2002);
    const ed_noise_keys keys = {.peer = ed_test_public()->bytes};
    ed_initiate initiate = {.version = ED_PROTOCOL_VERSION,
                            .mode = ED_MODE_PINNED,
                            .suites = 1 << ED_AEAD_CHACHA20,
                            .datagram_size = ED_DATAGRAM_SIZE,
                            .message_max = EDDY_PIECE_SIZE_MAX};
    uint8_t data[ED_DATAGRAM_SIZE];

    (void)context;
    open_server("T12 INITIATE, sealed");
    CHECK("cookie", ed_stranger_greet(&stranger, &wire, server));
    memcpy(initiate.nonce, stranger.nonce, ED_NONCE_SIZE);
    memcpy(initiate.cookie, stranger.cookie, ED_COOKIE_SIZE);
    for (uint8_t i = 0; i < 2; i++) {
        stranger.ephemeral[8] = i;
        initiate.datagram_size = i == 0 ? ED_DATAGRAM_SIZE - 1 : ED_DATAGRAM_SIZE;
        initiate.message_max = i == 1 ? EDDY_PIECE_SIZE_MAX - 1 : EDDY_PIECE_SIZE_MAX;
        CHECK("write",
              ed_initiate_write(data, &initiate, &stranger.noise, stranger.ephemeral, &keys));
        ed_wire_forge(&wire, &stranger.address, &server->address, data, sizeof(data));
        ed_wire_run_for(&wire, ED_NS_PER_MS);
    }
    bool held = newest_size(ED_FORM_ACCEPT) == 0 &&
                ed_wire_refusals(server, EDDY_CHECK_INITIATE_FIELDS) == 2;
    ed_wire_close(&wire);
    return held;
}

/* --------------------------------------------------------------------------------------- ACCEPT --
 */

/** The server's own answer is kept back, and a senseless one, as well sealed, comes instead. */
static bool accept_senselessly(void *context, eddy_datagram *datagram)
{
    static uint8_t ephemeral[ED_KEY_SIZE] = {4, 4};
    ed_noise_pair pair;
    const ed_noise_keys keys = {.own = &pair};
    ed_wire_copy said = *ed_wire_newest(&wire, ED_FORM_INITIATE);
    ed_accept accept = {.suite = ED_AEAD_CHACHA20, .datagram_size = ED_DATAGRAM_SIZE};
    ed_initiate initiate;
    ed_noise noise;

    (void)context;
    if (ed_form_of(datagram->data, datagram->size) != ED_FORM_ACCEPT)
        return true;
    memcpy(pair.secret, ed_test_secret()->bytes, ED_KEY_SIZE);
    memcpy(pair.public_key, ed_test_public()->bytes, ED_KEY_SIZE);
    CHECK_EQ("parse", ed_initiate_parse(&initiate, said.data, ED_INITIATE_SIZE), EDDY_OK);
    CHECK_EQ("open", ed_initiate_open(&initiate, &noise, said.data, &keys), EDDY_OK);
    memcpy(accept.nonce, initiate.nonce, ED_NONCE_SIZE);
    accept.message_max = EDDY_PIECE_SIZE_MAX - 1; // less than fits a datagram
    ephemeral[16]++;
    CHECK("write", ed_accept_write(datagram->data, &accept, &noise, ED_MODE_PINNED, ephemeral));
    return true;
}

static bool refuses_senseless_accepts(const void *context)
{
    (void)context;
    open_server("T12 ACCEPT, sealed");
    add_client(accept_senselessly);
    bool held = newest_size(ED_FORM_ACCEPT) > 0 && client->connected == 0 &&
                ed_wire_refusals(client, EDDY_CHECK_ACCEPT_FIELDS) > 0;
    ed_wire_close(&wire);
    return held;
}

/* -------------------------------------------------------------------------------------- packets --
 */

/** Too short to have a number, frames and a tag: nobody tries to open them. */
static bool refuses_short_packets(const void *context)
{
    ed_wire_host *ends[2];

    (void)context;
    ed_wire_open(&wire, "T12 packets", 2999);
    ed_wire_add_pair(&wire, &server, &client);
    ends[0] = client;
    ends[1] = server;
    ed_wire_run_for(&wire, ED_NS_PER_S);
    for (size_t to = 0; to < 2; to++) {
        const ed_wire_copy *seen = ed_wire_newest_packet(&wire, to == 1);
        size_t least = (to == 1 ? 1 + ED_PACKET_ID_SIZE : 1) + ED_MASK_SAMPLE_AT + ED_MAC_SIZE;
        for (size_t size = least - ED_MAC_SIZE; size < least; size++)
            ed_wire_forge(&wire, &ends[1 - to]->address, &ends[to]->address, seen->data, size);
    }
    ed_wire_run_for(&wire, ED_NS_PER_MS);
    bool held = true;
    for (size_t i = 0; i < 2; i++)
        held = held && ed_wire_stats(ends[i]).dropped_malformed == ED_MAC_SIZE &&
               ed_wire_stats(ends[i]).dropped_forged == 0;
    ed_wire_close(&wire);
    return held;
}

static void t12_what_has_not_its_form_is_refused(void **state)
{
    const ed_attack attacks[] = {
        {"T12 HELLO", refuses_hellos, NULL, {EDDY_CHECK_HELLO_FORM}, NULL},
        {"T12 RETRY", refuses_long_retries, NULL, {EDDY_CHECK_ANSWER_FORM}, NULL},
        {"T12 INITIATE", refuses_initiates_first, NULL, {EDDY_CHECK_INITIATE_FORM}, NULL},
        {"T12 INITIATE, sealed",
         refuses_senseless_initiates,
         NULL,
         {EDDY_CHECK_INITIATE_FIELDS},
         NULL},
        {"T12 ACCEPT, sealed", refuses_senseless_accepts, NULL, {EDDY_CHECK_ACCEPT_FIELDS}, NULL},
        {"T12 packets", refuses_short_packets, NULL, {EDDY_CHECK_PACKET_FORM}, NULL},
    };

    (void)state;
    ed_attack_run_all(attacks, ED_COUNT(attacks));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t12_what_has_not_its_form_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
