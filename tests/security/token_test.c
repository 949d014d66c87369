/** T9: connect tokens, stolen, altered, used twice; and whoever holds one rightly gets in. */
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/issuer.h"
#include "tests/support/keys.h"
#include "tests/support/stranger.h"
#include "transport/api_state.h"
#include "transport/token.h"

enum {
    PSK_AT = 40, /* in a token's bytes: transport/token.h */
    CAPSULE_AT = ED_TOKEN_HEADER_SIZE + 60,
    OTHER_SERVER_ID = ED_TEST_SERVER_ID + 1,
    HOLDER_ID = 42,
    PATIENCE_S = 11, /* the timeout of a handshake, and a second */
    SHARERS = 3,     /* besides who has the token */
};

/** A server, who holds a token for it, and who would like to come in by it. */
static struct scene {
    ed_wire wire;
    ed_wire_host *server, *holder, *thief;
    char text[EDDY_TOKEN_TEXT_MAX]; /* what the thief shows */
    char good[EDDY_TOKEN_TEXT_MAX]; /* what the holder does */
    ed_wire_copy sniffed;           /* the holder's INITIATE, */
    bool is_held_back;              /* which does not arrive */
    uint64_t accepts_to_thief;
} scene;

typedef struct row {
    const char *name;
    eddy_check check;
    void (*arrange)(void);
    eddy_end end; /* what the thief is told */
    eddy_refusal refusal;
} row;

static ed_test_grant grant_of(uint64_t client_id)
{
    return ed_test_grant_of(client_id, &scene.server->address);
}

static void dial(ed_wire_host *host, const char *text)
{
    eddy_connect_options options = {.token = text};

    CHECK_EQ("dial", ed_wire_connect(host, &scene.server->address, &options), EDDY_OK);
}

/** @return whether the host is connected once more within two seconds. */
static bool connects(ed_wire_host *host, const char *text)
{
    uint64_t before = host->connected;

    dial(host, text);
    return ed_wire_await_connected(&scene.wire, host, before + 1, 2 * ED_NS_PER_S);
}

static void holder_connects(void)
{
    CHECK("holder", connects(scene.holder, scene.good));
    ed_wire_run_for(&scene.wire, ED_NS_PER_S);
}

/* ------------------------------------------------------------------------------------ altering --
 */

static void alter(size_t at)
{
    uint8_t bytes[ED_TOKEN_SIZE_MAX];
    size_t size = 0;
    ed_test_grant grant = grant_of(1);

    ed_test_issue(scene.text, &grant);
    CHECK("token", ed_base64_read(bytes, sizeof(bytes), &size, scene.text, strlen(scene.text)));
    bytes[at] ^= 1;
    ed_base64_write(scene.text, bytes, size);
}

static void is_altered(void)
{
    alter(CAPSULE_AT + ED_CAPSULE_SIZE - ED_TAG_SIZE - 1);
}

static void has_another_secret(void)
{
    alter(PSK_AT);
}

static void has_expired(void)
{
    ed_test_grant grant = grant_of(1);

    grant.issued_s = ED_TEST_NOW_S - ED_TEST_TOKEN_LIFE_S;
    ed_test_issue(scene.text, &grant);
}

static void is_not_valid_yet(void)
{
    ed_test_grant grant = grant_of(1);

    grant.issued_s = ED_TEST_NOW_S + ED_TOKEN_CLOCK_S + 1;
    ed_test_issue(scene.text, &grant);
}

static void is_for_another_server(void)
{
    ed_test_grant grant = grant_of(1);

    grant.server_id = OTHER_SERVER_ID;
    ed_test_issue(scene.text, &grant);
}

static void is_of_another_issuer(void)
{
    static const eddy_key other = {{0x77}};
    ed_test_grant grant = grant_of(1);

    grant.issuer = &other;
    ed_test_issue(scene.text, &grant);
}

static void is_of_another_game(void)
{
    ed_test_grant grant = grant_of(1);

    ed_wire_crash(scene.thief);
    grant.protocol_id = scene.thief->config.protocol_id = ED_TEST_GAME + 1;
    ed_wire_start(scene.thief);
    ed_test_issue(scene.text, &grant);
}

static void names_another_server_key(void)
{
    static const eddy_key secret = {{5, 5, 5}};
    eddy_key other = eddy_key_public(&secret);
    ed_test_grant grant = grant_of(1);

    grant.server_key = &other;
    ed_test_issue(scene.text, &grant);
}

/* --------------------------------------------------------------------------------------- using --
 */

static void is_used_by_its_holder(void)
{
    holder_connects();
    memcpy(scene.text, scene.good, sizeof(scene.text));
}

/** What the thief shows is used; the holder has another. */
static void gets_another(void)
{
    ed_test_grant grant = grant_of(HOLDER_ID + 1);

    ed_test_issue(scene.good, &grant);
}

/** The holder comes again with what it has used, from the address that it used it at. */
static void is_used_here_before(void)
{
    memcpy(scene.text, scene.good, sizeof(scene.text));
    CHECK("first", connects(scene.thief, scene.text));
    ed_wire_run_for(&scene.wire, ED_NS_PER_S);
    CHECK_EQ("end", eddy_disconnect(scene.thief->manager, scene.thief->newest, 0, NULL, 0),
             EDDY_OK);
    ed_wire_touch(scene.thief);
    ed_wire_run_for(&scene.wire, 5 * ED_NS_PER_S);
    CHECK_EQ("ended", scene.thief->disconnected, 1);
    scene.thief->connected = scene.accepts_to_thief = 0;
    gets_another();
}

/**
 * The server has forgotten that it took the token, whose issuer's clock is as far ahead as it may.
 */
static void is_used_before_a_restart(void)
{
    ed_test_grant grant = grant_of(1);

    grant.issued_s = ED_TEST_NOW_S + ED_TOKEN_CLOCK_S;
    ed_test_issue(scene.text, &grant);
    CHECK("first", connects(scene.thief, scene.text));
    ed_wire_crash(scene.server);
    scene.server->config.strict_tokens = true;
    scene.server->draws++;
    ed_wire_start(scene.server);
    ed_wire_run_for(&scene.wire, PATIENCE_S * ED_NS_PER_S);
    CHECK_EQ("ended", scene.thief->disconnected, 1);
    scene.thief->connected = scene.accepts_to_thief = 0;
    grant = grant_of(HOLDER_ID);
    grant.issued_s = ED_TEST_NOW_S + ED_TOKEN_CLOCK_S + 1;
    ed_test_issue(scene.good, &grant);
    ed_test_now_s = grant.issued_s;
}

/** So many others have used theirs that nothing can be noted any more. */
static void finds_no_room(void)
{
    ed_used *used = &scene.server->manager->common.door.used;
    uint8_t id[ED_XNONCE_SIZE] = {0};
    const ed_used_token token = {.id = id, .holder = id, .expires_s = ED_TEST_NOW_S + 60};
    ed_test_grant grant = grant_of(1);

    // A bucket is full long before the table: until no place is left in any.
    for (uint32_t i = 0; i < 40 * ED_USED_MAX; i++) {
        memcpy(id, &i, sizeof(i));
        ed_used_verdict verdict = ed_used_take(used, &token, ED_TEST_NOW_S);
        CHECK("fill", verdict == ED_USED_FRESH || verdict == ED_USED_FULL);
    }
    ed_test_issue(scene.text, &grant);
}

/* ------------------------------------------------------------------------------------- sniffing --
 */

/** Keeps the holder's first INITIATE, and counts what is accepted where the thief is. */
static bool sniff(void *context, eddy_datagram *datagram)
{
    ed_form form = ed_form_of(datagram->data, datagram->size);

    (void)context;
    if (eddy_address_equal(&datagram->remote, &scene.thief->address))
        scene.accepts_to_thief += form == ED_FORM_ACCEPT;
    if (form != ED_FORM_INITIATE || !eddy_address_equal(&datagram->local, &scene.holder->address))
        return true;
    if (scene.sniffed.datagram.size == 0) {
        scene.sniffed.datagram = *datagram;
        memcpy(scene.sniffed.data, datagram->data, datagram->size);
        scene.sniffed.datagram.data = scene.sniffed.data;
    }
    return !scene.is_held_back;
}

/** The thief's copy of it, from his address: as it was, and with a cookie of his own. */
static void replay_from_elsewhere(void)
{
    ed_stranger stranger = ed_stranger_of(3);

    CHECK_EQ("sniffed", scene.sniffed.datagram.size, ED_INITIATE_SIZE);
    ed_wire_forge(&scene.wire, &scene.thief->address, &scene.server->address, scene.sniffed.data,
                  ED_INITIATE_SIZE);
    ed_wire_run_for(&scene.wire, 10 * ED_NS_PER_MS);
    stranger.address = scene.thief->address;
    stranger.mode = ED_MODE_TOKEN;
    stranger.protocol_id = ED_TEST_GAME;
    memcpy(stranger.nonce, scene.sniffed.data + 16, ED_NONCE_SIZE);
    CHECK("cookie", ed_stranger_greet(&stranger, &scene.wire, scene.server));
    ed_wire_copy copy = scene.sniffed;
    memcpy(copy.data + 32, stranger.cookie, ED_COOKIE_SIZE);
    ed_stranger_repair(&stranger, copy.data);
    ed_wire_forge(&scene.wire, &scene.thief->address, &scene.server->address, copy.data,
                  ED_INITIATE_SIZE);
    ed_wire_run_for(&scene.wire, 10 * ED_NS_PER_MS);
    is_for_another_server(); // and then he shows a token of his own
}

/** The thief is faster with the INITIATE that its holder sent than that is itself. */
static void is_raced(void)
{
    scene.is_held_back = true;
    dial(scene.holder, scene.good);
    ed_wire_run_for(&scene.wire, 100 * ED_NS_PER_MS);
    scene.is_held_back = false;
    replay_from_elsewhere();
    CHECK("holder", ed_wire_await_connected(&scene.wire, scene.holder, 1, 3 * ED_NS_PER_S));
}

/**
 * The INITIATE of a connection that has ended comes again from where it came from, and what it
 * leads to, if that is anything, is never confirmed.
 */
static void is_replayed_after_its_end(void)
{
    holder_connects();
    memcpy(scene.text, scene.good, sizeof(scene.text));
    gets_another();
    CHECK_EQ("end", eddy_disconnect(scene.holder->manager, scene.holder->newest, 0, NULL, 0),
             EDDY_OK);
    ed_wire_touch(scene.holder);
    ed_wire_run_for(&scene.wire, 4 * ED_NS_PER_S); // a cookie lives for 10 s
    CHECK_EQ("ended", scene.holder->disconnected, 1);
    ed_wire_forge(&scene.wire, &scene.holder->address, &scene.server->address, scene.sniffed.data,
                  ED_INITIATE_SIZE);
    ed_wire_run_for(&scene.wire, 6 * ED_NS_PER_S); // and a half-open connection for 5
}

/** The server has lost its memory of what was used. */
static void is_replayed_after_a_restart(void)
{
    holder_connects();
    ed_wire_crash(scene.server);
    scene.server->draws++; // its secrets are others
    ed_wire_start(scene.server);
    ed_wire_run_for(&scene.wire, ED_NS_PER_MS);
    replay_from_elsewhere();
}

/* --------------------------------------------------------------------------------------- matrix --
 */

static void open_scene(const char *name)
{
    eddy_config server = ed_wire_server_config(), client = ed_wire_client_config();
    eddy_address addresses[] = {ed_wire_address(1), ed_wire_address(2), ed_wire_address(3)};

    memset(&scene, 0, sizeof(scene));
    ed_test_now_s = ED_TEST_NOW_S;
    ed_test_take_tokens(&server);
    client.protocol_id = ED_TEST_GAME;
    ed_wire_open(&scene.wire, name, 9);
    scene.wire.tap = sniff;
    scene.server = ed_wire_add(&scene.wire, &server, &addresses[0]);
    scene.holder = ed_wire_add(&scene.wire, &client, &addresses[1]);
    scene.thief = ed_wire_add(&scene.wire, &client, &addresses[2]);
    ed_wire_run_for(&scene.wire, 0);
    ed_test_grant grant = grant_of(HOLDER_ID);
    ed_test_issue(scene.good, &grant);
}

/** @return whether it is connected, and heard. */
static bool is_heard(ed_wire_host *host)
{
    uint64_t before = scene.server->messages;

    if (host->connected == host->disconnected || ed_wire_say(host, "here") != EDDY_OK)
        return false;
    ed_wire_run_for(&scene.wire, ED_NS_PER_S);
    return scene.server->messages == before + 1;
}

/** The holder is connected, or can be: by its token, or where there was no room by a later one. */
static bool holder_is_in(bool has_no_room)
{
    ed_test_grant grant = grant_of(HOLDER_ID);

    if (is_heard(scene.holder))
        return true;
    ed_wire_run_for(&scene.wire, PATIENCE_S * ED_NS_PER_S); // what it had is over
    if (has_no_room) {
        ed_test_now_s += ED_TEST_TOKEN_LIFE_S + 1; // and so are the others' tokens
        grant.issued_s = ed_test_now_s;
        ed_test_issue(scene.good, &grant);
    }
    return connects(scene.holder, scene.good) && is_heard(scene.holder);
}

static bool keeps_the_thief_out(const void *context)
{
    const row *r = context;

    open_scene(r->name);
    r->arrange();
    uint64_t replies = ed_wire_stats(scene.server).replied_stateless;
    dial(scene.thief, scene.text);
    ed_wire_run_for(&scene.wire, PATIENCE_S * ED_NS_PER_S);
    replies = ed_wire_stats(scene.server).replied_stateless - replies;
    bool is_silent = r->check == EDDY_CHECK_HELLO_MAC || r->check == EDDY_CHECK_GAME;
    bool held = scene.thief->connected == 0 &&
                scene.accepts_to_thief == (r->end == EDDY_END_REFUSED) &&
                scene.thief->end.end == r->end && scene.thief->end.refusal == r->refusal &&
                (!is_silent || replies == 0) && ed_wire_refusals(scene.server, r->check) > 0 &&
                holder_is_in(r->check == EDDY_CHECK_TOKEN_ROOM);
    ed_wire_close(&scene.wire);
    return held;
}

static const row rows[] = {
    {"expired", EDDY_CHECK_TOKEN_TIME, has_expired, EDDY_END_REFUSED, EDDY_REFUSED_EXPIRED},
    {"not yet valid", EDDY_CHECK_TOKEN_TIME, is_not_valid_yet, EDDY_END_REFUSED,
     EDDY_REFUSED_EXPIRED},
    {"another server's", EDDY_CHECK_TOKEN, is_for_another_server, EDDY_END_NO_ANSWER,
     EDDY_REFUSED_TOKEN},
    {"another game's", EDDY_CHECK_GAME, is_of_another_game, EDDY_END_NO_ANSWER, EDDY_NOT_REFUSED},
    {"another issuer's", EDDY_CHECK_TOKEN, is_of_another_issuer, EDDY_END_NO_ANSWER,
     EDDY_REFUSED_TOKEN},
    {"altered", EDDY_CHECK_TOKEN, is_altered, EDDY_END_NO_ANSWER, EDDY_REFUSED_TOKEN},
    {"with another secret", EDDY_CHECK_INITIATE_SEAL, has_another_secret, EDDY_END_NO_ANSWER,
     EDDY_NOT_REFUSED},
    {"used elsewhere", EDDY_CHECK_TOKEN_USED, is_used_by_its_holder, EDDY_END_REFUSED,
     EDDY_REFUSED_USED},
    {"used here", EDDY_CHECK_TOKEN_USED, is_used_here_before, EDDY_END_REFUSED, EDDY_REFUSED_USED},
    {"used, and its INITIATE replayed", EDDY_CHECK_TOKEN_USED, is_replayed_after_its_end,
     EDDY_END_REFUSED, EDDY_REFUSED_USED},
    {"used before a restart", EDDY_CHECK_TOKEN_START, is_used_before_a_restart, EDDY_END_REFUSED,
     EDDY_REFUSED_EXPIRED},
    {"raced", EDDY_CHECK_COOKIE, is_raced, EDDY_END_NO_ANSWER, EDDY_REFUSED_TOKEN},
    {"no room to note it", EDDY_CHECK_TOKEN_ROOM, finds_no_room, EDDY_END_REFUSED,
     EDDY_REFUSED_LIMIT},
    {"after a restart", EDDY_CHECK_COOKIE, is_replayed_after_a_restart, EDDY_END_NO_ANSWER,
     EDDY_REFUSED_TOKEN},
    {"another server key", EDDY_CHECK_HELLO_MAC, names_another_server_key, EDDY_END_NO_ANSWER,
     EDDY_NOT_REFUSED},
};

static void t9_a_token_is_good_for_its_holder_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const ed_attack attack = {.name = rows[i].name,
                                  .mount = keeps_the_thief_out,
                                  .context = &rows[i],
                                  .checks = {rows[i].check}};
        ed_attack_run(&attack);
    }
    ed_attack_figure("T9: %zu of %zu cases: refused, and the holder is in", ED_COUNT(rows),
                     ED_COUNT(rows));
}

/* ------------------------------------------------------------------------------------- sharing --
 */

/** One of those who share a token, and the ephemeral of one of them, so as to look like that one.
 */
static void knock_with(const ed_pass *pass, uint32_t number)
{
    ed_stranger stranger = ed_stranger_of(number);

    stranger.mode = ED_MODE_TOKEN;
    stranger.protocol_id = ED_TEST_GAME;
    stranger.capsule = pass->capsule;
    stranger.shared = pass->psk;
    memset(stranger.ephemeral, 0x77, sizeof(stranger.ephemeral));
    CHECK("cookie", ed_stranger_greet(&stranger, &scene.wire, scene.server));
    ed_stranger_knock(&stranger, &scene.wire, scene.server);
}

static bool only_one_comes_in(const void *context)
{
    ed_pass pass;

    (void)context;
    open_scene("T9 shared");
    CHECK_EQ("pass", ed_token_pick(&pass, scene.good, 0), EDDY_OK);
    knock_with(&pass, 4);
    CHECK_EQ("the first", ed_wire_stats(scene.server).refused, 0);
    for (uint32_t i = 0; i < SHARERS; i++)
        knock_with(&pass, 5 + i);
    bool held = ed_wire_stats(scene.server).refused == SHARERS &&
                ed_wire_refusals(scene.server, EDDY_CHECK_TOKEN_USED) == SHARERS;
    ed_wire_close(&scene.wire);
    return held;
}

static void t9_a_token_that_is_shared_lets_one_in(void **state)
{
    static const ed_attack attack = {
        .name = "T9 shared", .mount = only_one_comes_in, .checks = {EDDY_CHECK_TOKEN_USED}};

    (void)state;
    ed_attack_run(&attack);
    ed_attack_figure("T9: a token and an ephemeral, shared by %d: 1 comes in", SHARERS + 1);
}

/** Who has begun with a token shows another, under the same nonce, that was used: he is told. */
static bool each_token_counts_by_itself(const void *context)
{
    ed_test_grant grant;
    ed_pass fresh, used;

    (void)context;
    open_scene("T9 another");
    holder_connects();
    grant = grant_of(HOLDER_ID + 1);
    ed_test_issue(scene.text, &grant);
    CHECK_EQ("fresh", ed_token_pick(&fresh, scene.text, 0), EDDY_OK);
    CHECK_EQ("used", ed_token_pick(&used, scene.good, 0), EDDY_OK);
    knock_with(&fresh, 4);
    CHECK_EQ("begun", ed_wire_stats(scene.server).refused, 0);
    ed_wire_run_for(&scene.wire, ED_NS_PER_S); // the next cookie is another
    knock_with(&used, 4);
    bool held = ed_wire_stats(scene.server).refused == 1 &&
                ed_wire_refusals(scene.server, EDDY_CHECK_TOKEN_USED) == 1 &&
                ed_wire_stats(scene.server).dropped_memory == 0;
    ed_wire_close(&scene.wire);
    return held;
}

static void t9_who_has_begun_cannot_use_another_twice(void **state)
{
    static const ed_attack attack = {.name = "T9 another",
                                     .mount = each_token_counts_by_itself,
                                     .checks = {EDDY_CHECK_TOKEN_USED}};

    (void)state;
    ed_attack_run(&attack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t9_a_token_is_good_for_its_holder_alone),
        cmocka_unit_test(t9_a_token_that_is_shared_lets_one_in),
        cmocka_unit_test(t9_who_has_begun_cannot_use_another_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
