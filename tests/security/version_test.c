/**
 * T24: ends that speak different versions. Who knows a server's key is told which ones it speaks,
 * and nobody else is; what a client is told, by whoever, ends nothing that its server would grant.
 */
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/keys.h"
#include "tests/support/stranger.h"

enum {
    OTHER = 2, /* a version */
    VERSION_AT = 1,
    NONCE_AT = 16,
    TIMEOUT_MS = 1000,
};

static ed_wire wire;
static ed_wire_host *server, *client;

static void open_wire(const char *name, const eddy_config *server_config, ed_wire_tap tap,
                      void *context)
{
    eddy_config client_config = ed_wire_client_config();
    eddy_address here = ed_wire_address(1), there = ed_wire_address(2);

    client_config.handshake_timeout_ms = TIMEOUT_MS;
    ed_wire_open(&wire, name, 24);
    wire.tap = tap;
    wire.tap_context = context;
    server = ed_wire_add(&wire, server_config, &here);
    client = ed_wire_add(&wire, &client_config, &there);
    ed_wire_run_for(&wire, 0);
}

/* ------------------------------------------------------------------------------ at the server --
 */

typedef struct question {
    const char *name;
    ed_form form;
    ed_mode mode;
    uint32_t modes;    /* of the server */
    bool is_strangers; /* by who has another key */
    uint16_t port;     /* 0: of no service */
    bool is_answered;
} question;

/** A request of another version, of which nothing but what all have in common makes sense. */
static void ask(const question *q)
{
    static const uint8_t other_key[ED_KEY_SIZE] = {3, 1, 4};
    ed_stranger stranger = ed_stranger_of(7);
    uint8_t data[ED_DATAGRAM_SIZE];
    eddy_address from = stranger.address;

    stranger.mode = q->mode;
    stranger.server_key = q->is_strangers ? other_key : NULL;
    (void)ed_stranger_hello(&stranger, data);
    data[0] = (uint8_t)q->form;
    data[VERSION_AT] = OTHER;
    memset(data + 6, 0xff, NONCE_AT - 6);
    memset(data + NONCE_AT + ED_NONCE_SIZE, 0xff, 100);
    ed_stranger_repair(&stranger, data);
    from.port = q->port == 0 ? from.port : q->port;
    ed_wire_forge(&wire, &from, &server->address, data, sizeof(data));
    ed_wire_run_for(&wire, ED_NS_PER_MS);
}

static void check_answer(const question *q)
{
    const ed_wire_copy *told = ed_wire_newest(&wire, ED_FORM_VERSIONS);
    ed_greeting_key key =
        ed_greeting_key_of(q->mode == ED_MODE_OPEN ? NULL : ed_test_public()->bytes);
    ed_stranger stranger = ed_stranger_of(7);
    ed_versions versions = {.count = 0};

    CHECK_EQ(q->name, ed_wire_stats(server).replied_stateless, q->is_answered);
    if (!q->is_answered)
        return;
    CHECK_EQ(q->name,
             ed_versions_parse(&versions, told->data, told->datagram.size, stranger.nonce, &key),
             EDDY_OK);
    CHECK_EQ(q->name, versions.count, 1);
    CHECK_EQ(q->name, versions.versions[0], ED_PROTOCOL_VERSION);
}

static void who_knows_the_key_is_told_the_versions(void **state)
{
    static const ed_form hello = ED_FORM_HELLO, initiate = ED_FORM_INITIATE;
    enum { KEYS = EDDY_MODE_PINNED | EDDY_MODE_TOKEN, ALL = EDDY_MODE_OPEN | EDDY_MODE_PINNED };
    const question rows[] = {
        {"HELLO", hello, ED_MODE_PINNED, KEYS, false, 0, true},
        {"INITIATE", initiate, ED_MODE_PINNED, KEYS, false, 0, true},
        {"HELLO in a mode that is off", hello, ED_MODE_MUTUAL, KEYS, false, 0, true},
        {"HELLO in a mode of that version", hello, (ed_mode)9, KEYS, false, 0, true},
        {"INITIATE in a mode of that version", initiate, (ed_mode)255, KEYS, false, 0, true},
        {"HELLO, another key", hello, ED_MODE_PINNED, KEYS, true, 0, false},
        {"INITIATE, another key", initiate, ED_MODE_PINNED, KEYS, true, 0, false},
        {"HELLO in OPEN", hello, ED_MODE_OPEN, ALL, false, 0, true},
        {"INITIATE in OPEN", initiate, ED_MODE_OPEN, ALL, false, 0, true},
        {"HELLO in OPEN, which is off", hello, ED_MODE_OPEN, KEYS, false, 0, false},
        {"INITIATE in OPEN, which is off", initiate, ED_MODE_OPEN, KEYS, false, 0, false},
        {"HELLO from a service", hello, ED_MODE_PINNED, KEYS, false, 53, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config config = ed_wire_server_config();
        config.modes = rows[i].modes;
        config.open_to_public = true;
        config.token_key = rows[i].modes == KEYS ? ed_test_secret() : NULL;
        open_wire(rows[i].name, &config, NULL, NULL);
        ask(&rows[i]);
        check_answer(&rows[i]);
        ed_wire_close(&wire);
    }
}

/** VERSIONS counts among the replies to strangers, of which there are only so many a second. */
static bool is_within_the_budget(const void *context)
{
    static const question q = {
        "budget", ED_FORM_HELLO, ED_MODE_PINNED, EDDY_MODE_PINNED, false, 0, .is_answered = true};
    enum { QUESTIONS = 100, RATE = 10 };
    eddy_config config = ed_wire_server_config();

    (void)context;
    config.reply_rate = RATE;
    open_wire("budget", &config, NULL, NULL);
    for (size_t i = 0; i < QUESTIONS; i++)
        ask(&q);
    uint64_t replies = ed_wire_stats(server).replied_stateless;
    ed_wire_close(&wire);
    return replies > 0 && replies <= 2 * RATE;
}

static void versions_are_told_within_the_budget(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){.name = "T24 VERSIONS without end",
                               .mount = is_within_the_budget,
                               .checks = {EDDY_CHECK_REPLIES}});
}

/* ------------------------------------------------------------------------------ at the client --
 */

typedef struct teller {
    const char *name;
    ed_versions says;
    bool knows_key;
    bool is_alone;      /* its server hears nothing */
    bool is_of_another; /* it is an answer to somebody else */
    eddy_refusal want;  /* what the client's program is told at the end, if he is alone */
    unsigned told;
} teller;

/** Answers whatever the client sends, before its server can. */
static bool tell_first(void *context, eddy_datagram *datagram)
{
    teller *t = context;
    ed_form form = ed_form_of(datagram->data, datagram->size);
    ed_greeting_key key = ed_greeting_key_of(t->knows_key ? ed_test_public()->bytes : NULL);
    uint8_t data[ED_VERSIONS_SIZE], nonce[ED_NONCE_SIZE];

    if (form != ED_FORM_HELLO && form != ED_FORM_INITIATE)
        return true;
    memcpy(nonce, datagram->data + NONCE_AT, sizeof(nonce));
    nonce[0] ^= t->is_of_another;
    ed_versions_write(data, &t->says, nonce, &key);
    ed_wire_forge(&wire, &datagram->remote, &datagram->local, data, sizeof(data));
    t->told++;
    return !t->is_alone;
}

static bool is_led_astray(teller *t)
{
    eddy_config config = ed_wire_server_config();

    t->told = 0;
    open_wire(t->name, &config, tell_first, t);
    uint64_t begin_ns = wire.now_ns;
    CHECK_EQ(t->name, ed_wire_connect(client, &server->address, NULL), EDDY_OK);
    ed_wire_run_for(&wire, 2 * TIMEOUT_MS * ED_NS_PER_MS);
    CHECK(t->name, t->told >= 2);
    bool is_right = t->is_alone
                        ? client->disconnected == 1 && client->end.end == EDDY_END_NO_ANSWER &&
                              client->end.refusal == t->want
                        : client->connected == 1 && client->disconnected == 0 &&
                              client->connected_ns - begin_ns < 100 * ED_NS_PER_MS;
    ed_wire_close(&wire);
    return !is_right;
}

static void a_client_keeps_what_it_is_told_as_a_hint(void **state)
{
    static const ed_versions others = {.count = 2, .versions = {2, 3}},
                             ours_too = {.count = 3, .versions = {2, 3, ED_PROTOCOL_VERSION}};
    teller rows[] = {
        {"a server of other versions", others, true, true, false, EDDY_REFUSED_VERSION, 0},
        {"one that lists ours", ours_too, true, true, false, EDDY_NOT_REFUSED, 0},
        {"an answer to another client", others, true, true, true, EDDY_NOT_REFUSED, 0},
        {"forged with the key, before the server's RETRY", others, true, false, false, 0, 0},
        {"one that lists ours, before the server's RETRY", ours_too, true, false, false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK(rows[i].name, !is_led_astray(&rows[i]));
}

static bool believes_no_stranger(const void *context)
{
    teller stranger = {.name = "forged without the key",
                       .says = {.count = 1, .versions = {OTHER}},
                       .is_alone = true,
                       .want = EDDY_NOT_REFUSED};

    (void)context;
    return !is_led_astray(&stranger);
}

static void t6_forged_versions_are_not_believed(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){.name = "T6 forged VERSIONS",
                               .mount = believes_no_stranger,
                               .checks = {EDDY_CHECK_ANSWER_MAC}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_knows_the_key_is_told_the_versions),
        cmocka_unit_test(versions_are_told_within_the_budget),
        cmocka_unit_test(a_client_keeps_what_it_is_told_as_a_hint),
        cmocka_unit_test(t6_forged_versions_are_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
