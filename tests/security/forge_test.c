/** T6: datagrams of somebody who knows all that is not secret, and can be anybody's. */
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/splitmix.h"
#include "tests/support/wire.h"
#include "transport/handshake.h"

enum {
    BURST = 64,
    GAP_US = 100, /* from one burst to the next */
    REJOIN_MS = 1000,
};

static ed_wire wire;
static ed_wire_host *server, *client;
static uint64_t seed;

/* ------------------------------------------------------------------------------------ forging --
 */

static size_t fill_random(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)splitmix_next(&seed);
    return size;
}

/** A datagram of a form with its right size, and random contents. */
static size_t forge_form(uint8_t *data, ed_form form, size_t size)
{
    (void)fill_random(data, size);
    data[0] = (uint8_t)form;
    return size;
}

/** Begins as the newest packet does that its victim took: first byte, id, and number or another. */
static size_t forge_packet(uint8_t *data, bool from_client)
{
    const ed_wire_copy *seen = ed_wire_newest_packet(&wire, from_client);
    size_t header_size = from_client ? 1 + ED_PACKET_ID_SIZE : 1;
    size_t size = 21 + splitmix_below(&seed, 60);

    (void)fill_random(data, size);
    memcpy(data, seen->data, header_size);
    if (splitmix_below(&seed, 2) == 0) // the masked number of a packet that came
        memcpy(data + header_size, seen->data + header_size, 2);
    if (splitmix_below(&seed, 4) == 0) // CLOSE, where the frames of a plain packet would be
        memcpy(data + header_size + 2, "\x05\x00\x04\x00", 4);
    if (splitmix_below(&seed, 4) == 0) // the whole packet that came, but for its end
        memcpy(data, seen->data, ed_min_size(size, seen->datagram.size) - 1);
    return size;
}

/** The size that a reset may have, and the look of one. */
static size_t forge_reset(uint8_t *data)
{
    size_t size =
        ED_RESET_SIZE_MIN + splitmix_below(&seed, ED_RESET_SIZE_MAX - ED_RESET_SIZE_MIN + 1);

    (void)fill_random(data, size);
    ed_packet_disguise(data);
    return size;
}

static size_t forge_any(uint8_t *data, bool from_client)
{
    static const struct {
        ed_form form;
        size_t size;
    } forms[] = {
        {ED_FORM_HELLO, ED_HELLO_SIZE},   {ED_FORM_RETRY, ED_RETRY_SIZE},
        {ED_FORM_ACCEPT, ED_ACCEPT_SIZE}, {ED_FORM_INITIATE, ED_INITIATE_SIZE},
        {ED_FORM_REJECT, ED_REJECT_SIZE}, {ED_FORM_VERSIONS, ED_VERSIONS_SIZE},
    };
    uint32_t kind = splitmix_below(&seed, 16);

    if (kind < ED_COUNT(forms))
        return forge_form(data, forms[kind].form, forms[kind].size);
    if (kind < 8)
        return fill_random(data, splitmix_below(&seed, 100));
    return kind < 12 ? forge_packet(data, from_client) : forge_reset(data);
}

/** At one of the two ends, from the address of the other. */
static void forge_one(size_t (*forge)(uint8_t *data, bool from_client))
{
    uint8_t data[ED_DATAGRAM_SIZE];
    bool from_client = splitmix_below(&seed, 2) == 0;
    const eddy_address *from = from_client ? &client->address : &server->address;
    const eddy_address *to = from_client ? &server->address : &client->address;

    ed_wire_forge(&wire, from, to, data, forge(data, from_client));
}

/* ------------------------------------------------------------------------------- connections -- */

/** Both ends say something that must arrive. */
static bool is_alive(void)
{
    uint64_t before = server->messages + client->messages;

    if (ed_wire_say(client, "still here") != EDDY_OK || ed_wire_say(server, "here, too") != EDDY_OK)
        return false;
    ed_wire_run_for(&wire, ED_NS_PER_S);
    return server->messages + client->messages == before + 2;
}

/** Forgeries at both ends of a connection that goes on: nobody notices. */
static bool withstands_forgeries(const void *context)
{
    uint64_t count = ed_attack_count(100 * 1000, 10 * 1000 * 1000);
    bool alive = true;

    (void)context;
    seed = 6;
    ed_wire_open(&wire, "forgeries", 6);
    ed_wire_add_pair(&wire, &server, &client);
    ed_wire_run_for(&wire, ED_NS_PER_S);
    CHECK("alive", is_alive());
    uint64_t events = server->events + client->events, delivered = wire.delivered;
    for (uint64_t i = 0; i < count && alive; i++) {
        forge_one(forge_any);
        if (i % BURST == BURST - 1)
            ed_wire_run_for(&wire, GAP_US * ED_NS_PER_US);
        alive = server->events + client->events == events;
    }
    ed_wire_run_for(&wire, ED_WIRE_RUSH_US * ED_NS_PER_US);
    bool all_came = wire.delivered - delivered >= count;
    alive = alive && server->events + client->events == events && is_alive();
    if (alive && all_came)
        ed_attack_figure("T6: %llu forgeries, events 0, both ends still talk",
                         (unsigned long long)count);
    ed_wire_close(&wire);
    return alive && all_came;
}

static void t6_a_forged_close_ends_nothing(void **state)
{
    const ed_attack attack = {.name = "T6 forged packets, resets and handshakes",
                              .mount = withstands_forgeries,
                              .checks = {EDDY_CHECK_PACKET_SEAL, EDDY_CHECK_RESET}};

    (void)state;
    ed_attack_run(&attack);
}

/* --------------------------------------------------------------------------------- greetings -- */

/** RETRY with a cookie that is none, and ACCEPT that says, where its seal begins, "refused". */
static size_t forge_answer(uint8_t *data, const eddy_datagram *cause, bool retry)
{
    size_t size = retry ? forge_form(data, ED_FORM_RETRY, ED_RETRY_SIZE)
                        : forge_form(data, ED_FORM_ACCEPT, ED_ACCEPT_SIZE);

    memset(data + 1, 0, retry ? 7 : 3);
    if (retry) {
        data[1] = ED_PROTOCOL_VERSION;
    } else {
        memcpy(data + 4, cause->data + 16, ED_NONCE_SIZE); // which stands in the clear
        memset(data + 20, 0, 32 + 64); // an ephemeral of low order: it is not even opened
        data[52] = EDDY_REFUSED_BY_PROGRAM;
    }
    return size;
}

/** Answers whatever a client sends before the server can. */
static bool answer_first(void *context, eddy_datagram *datagram)
{
    uint64_t *answers = context;
    uint8_t data[ED_DATAGRAM_SIZE];
    ed_form form = ed_form_of(datagram->data, datagram->size);

    if (form != ED_FORM_HELLO && form != ED_FORM_INITIATE)
        return true;
    for (size_t i = 0; i < 2; i++, (*answers)++)
        ed_wire_forge(&wire, &datagram->remote, &datagram->local, data,
                      forge_answer(data, datagram, i % 2 == 0));
    return true;
}

/** Somebody who sees what a client sends, and not its keys, answers for its server. */
static bool connects_in_spite_of_answers(const void *context)
{
    eddy_config server_config = ed_wire_server_config(), client_config = ed_wire_client_config();
    eddy_address here = ed_wire_address(1), there = ed_wire_address(2);
    uint64_t answers = 0;

    (void)context;
    seed = 7;
    ed_wire_open(&wire, "answers", 7);
    wire.tap = answer_first;
    wire.tap_context = &answers;
    server = ed_wire_add(&wire, &server_config, &here);
    client = ed_wire_add(&wire, &client_config, &there);
    CHECK_EQ("dial", ed_wire_connect(client, &here, NULL), EDDY_OK);
    bool held = ed_wire_await_connected(&wire, server, 1, REJOIN_MS * ED_NS_PER_MS) &&
                client->connected == 1 && is_alive();
    CHECK("answers", answers >= 4);
    ed_wire_close(&wire);
    return held;
}

static void t6_forged_answers_keep_nobody_out(void **state)
{
    const ed_attack attack = {.name = "T6 forged RETRY and ACCEPT",
                              .mount = connects_in_spite_of_answers,
                              .checks = {EDDY_CHECK_ANSWER_MAC, EDDY_CHECK_ACCEPT_SEAL}};

    (void)state;
    ed_attack_run(&attack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t6_a_forged_close_ends_nothing),
        cmocka_unit_test(t6_forged_answers_keep_nobody_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
