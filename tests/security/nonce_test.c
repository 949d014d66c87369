/** T10, T11: no key seals two things under one nonce, and no ephemeral is in two INITIATEs. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/keys.h"
#include "tests/support/splitmix.h"
#include "tests/support/wire.h"
#include "transport/handshake.h"

enum {
    LIVES = 3, /* of the server, in a round */
    STORM = 8, /* RETRYs that a client gets, for the first two things that it says */
    EPHEMERALS = 1 << 18,
};

static ed_wire wire;
static ed_wire_host *server, *client;

/* ---------------------------------------------------------------------------------- T10: nonces --
 */

static bool is_snapshot; /* the machines begin each round as they did the one before */

static void restore_a_snapshot(void)
{
    is_snapshot = true;
}

static void talk(const char *text)
{
    for (size_t i = 0; i < 20; i++) {
        (void)ed_wire_say(client, text);
        (void)ed_wire_say(server, text);
        ed_wire_run_for(&wire, 30 * ED_NS_PER_MS);
    }
}

static void reconnect(void)
{
    uint64_t before = server->connected;

    ed_wire_run_for(&wire, 12 * ED_NS_PER_S); // what it had has ended
    (void)eddy_disconnect(client->manager, client->newest, 0, NULL, 0);
    ed_wire_touch(client);
    ed_wire_run_for(&wire, 5 * ED_NS_PER_S);
    CHECK_EQ("dial", ed_wire_connect(client, &server->address, NULL), EDDY_OK);
    CHECK("again", ed_wire_await_connected(&wire, server, before + 1, 5 * ED_NS_PER_S));
}

/** Connects, moves, changes keys, jumps in time, restarts. @return the packets sealed. */
static uint64_t live(uint64_t seed, const char *text)
{
    uint64_t sealed = 0;

    ed_wire_open(&wire, "T10", seed);
    ed_wire_add_pair(&wire, &server, &client);
    for (size_t i = 0; i < LIVES; i++) {
        talk(text);
        client->address.port++; // a NAT has forgotten it
        talk(text);
        ed_wire_run_for(&wire, ED_KEY_LIFE_NS + ED_NS_PER_S);
        talk(text);
        wire.now_ns += 3600 * ED_NS_PER_S;
        ed_wire_touch(client);
        ed_wire_touch(server);
        reconnect();
        talk(text);
        sealed += ed_wire_stats(server).sent_datagrams;
        ed_wire_crash(server);
        ed_wire_start(server);
        reconnect();
    }
    sealed += ed_wire_stats(client).sent_datagrams + ed_wire_stats(server).sent_datagrams;
    ed_wire_close(&wire);
    return sealed;
}

static bool never_seals_twice(const void *context)
{
    uint64_t rounds = ed_attack_count(4, 1000), sealed = 0;

    (void)context;
    for (uint64_t i = 1; i <= rounds; i++)
        sealed += live(is_snapshot ? 1 : i, i % 2 == 0 ? "even" : "oddd");
    ed_attack_figure("T10: %llu datagrams sealed, %llu lives of servers: no nonce twice",
                     (unsigned long long)sealed, (unsigned long long)rounds * (LIVES + 1));
    return sealed > 0;
}

static void t10_no_nonce_is_used_twice(void **state)
{
    const ed_attack attack = {.name = "T10 the same keys again",
                              .mount = never_seals_twice,
                              .weaken = restore_a_snapshot};

    (void)state;
#ifdef ED_PARANOID // others have nobody who watches
    ed_attack_run(&attack);
#else
    CHECK("T10", attack.mount(NULL));
#endif
}

/** In a child of the process there are no keys, so it seals nothing. */
static void t10_a_child_of_the_process_sends_nothing(void **state)
{
    int status = 0;

    (void)state;
    ed_wire_open(&wire, "T10 fork", 1 << 20);
    ed_wire_add_pair(&wire, &server, &client);
    pid_t child = fork();
    CHECK("fork", child >= 0);
    if (child == 0) {
        uint64_t sent = ed_wire_stats(client).sent_datagrams;
        bool is_forked = ed_wire_say(client, "from the child") == EDDY_EFORKED &&
                         ed_wire_connect(client, &server->address, NULL) == EDDY_EFORKED;
        ed_wire_run_for(&wire, 10 * ED_NS_PER_S);
        _exit(is_forked && ed_wire_stats(client).sent_datagrams == sent && server->messages == 0
                  ? EXIT_SUCCESS
                  : EXIT_FAILURE);
    }
    CHECK_EQ("wait", waitpid(child, &status, 0), child);
    CHECK("child", WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
    talk("parent");
    CHECK_EQ("parent", server->messages, 20);
    ed_wire_close(&wire);
}

/* ------------------------------------------------------------------------------ T11: ephemerals --
 */

static bool is_stuck;

static void draw_the_same(void)
{
    is_stuck = true;
}

/** Every ephemeral that was seen, and what it was seen in. */
static struct seen {
    uint8_t ephemeral[ED_EPHEMERAL_SIZE];
    uint64_t contents;
    bool is_used;
} seen[EPHEMERALS];

static uint64_t seen_count, seen_twice, storms, seed;

static void note_ephemeral(const eddy_datagram *datagram)
{
    static const uint8_t key[ED_MAC_KEY_SIZE] = "ephemerals";
    const uint8_t *ephemeral = datagram->data + 56;
    uint64_t contents = ed_hash64(key, datagram->data, datagram->size);
    size_t i = ed_hash64(key, ephemeral, ED_EPHEMERAL_SIZE) % EPHEMERALS;

    while (seen[i].is_used && memcmp(seen[i].ephemeral, ephemeral, ED_EPHEMERAL_SIZE) != 0)
        i = (i + 1) % EPHEMERALS;
    if (seen[i].is_used) {
        seen_twice += seen[i].contents != contents;
        return;
    }
    CHECK("room", ++seen_count < EPHEMERALS / 2);
    memcpy(seen[i].ephemeral, ephemeral, ED_EPHEMERAL_SIZE);
    seen[i].contents = contents;
    seen[i].is_used = true;
}

static void forge_retry(const eddy_datagram *cause, const uint8_t *shown)
{
    ed_greeting_key key = ed_greeting_key_of(ed_test_public()->bytes);
    ed_retry retry = {.version = ED_PROTOCOL_VERSION};
    uint8_t data[ED_RETRY_SIZE];

    for (size_t i = 0; i < sizeof(retry.cookie); i++)
        retry.cookie[i] = (uint8_t)splitmix_next(&seed);
    ed_retry_write(data, &retry, cause->data + 16, &key, shown);
    ed_wire_forge(&wire, &cause->remote, &cause->local, data, sizeof(data));
}

/** Somebody who sees the nonce and knows the server's public key asks for one INITIATE more. */
static bool storm(void *context, eddy_datagram *datagram)
{
    ed_form form = ed_form_of(datagram->data, datagram->size);
    bool is_initiate = form == ED_FORM_INITIATE;

    (void)context;
    if (is_initiate)
        note_ephemeral(datagram);
    if (!is_initiate && form != ED_FORM_HELLO)
        return true;
    for (size_t i = 0; storms > 0 && i < STORM / 2; i++, storms--)
        forge_retry(datagram, is_initiate ? datagram->data + 32 : NULL);
    return true;
}

static bool draws_each_ephemeral_once(const void *context)
{
    uint64_t connects = ed_attack_count(50, 100 * 1000 / STORM);
    eddy_config config = ed_wire_server_config();
    eddy_address here = ed_wire_address(1), there = ed_wire_address(2);

    (void)context;
    memset(seen, 0, sizeof(seen));
    seen_count = seen_twice = 0;
    ed_wire_open(&wire, "T11", 11);
    wire.tap = storm;
    config.connect_rate = config.handshake_rate = config.reply_rate = 0;
    server = ed_wire_add(&wire, &config, &here);
    config = ed_wire_client_config();
    client = ed_wire_add(&wire, &config, &there);
    client->stuck_size = is_stuck ? ED_KEY_SIZE : 0;
    ed_wire_run_for(&wire, 0);
    for (uint64_t i = 1; i <= connects; i++) {
        storms = STORM;
        seed = is_stuck ? 0 : seed; // an ephemeral is made of a draw, and of the cookie
        CHECK_EQ("dial", ed_wire_connect(client, &here, NULL), EDDY_OK);
        CHECK("connects", ed_wire_await_connected(&wire, server, i, 10 * ED_NS_PER_S));
        ed_wire_run_for(&wire, 10 * ED_NS_PER_MS);
        (void)eddy_disconnect(client->manager, client->newest, 0, NULL, 0);
        ed_wire_touch(client);
        ed_wire_run_for(&wire, ED_NS_PER_S);
    }
    bool held = seen_twice == 0;
    CHECK("storms", is_stuck || seen_count >= connects * STORM / 2);
    ed_attack_figure("T11: %llu connects, %llu INITIATEs: no ephemeral twice",
                     (unsigned long long)connects, (unsigned long long)seen_count);
    ed_wire_close(&wire);
    return held;
}

static void t11_no_ephemeral_is_in_two_initiates(void **state)
{
    const ed_attack attack = {
        .name = "T11 RETRY storms", .mount = draws_each_ephemeral_once, .weaken = draw_the_same};

    (void)state;
    ed_attack_run(&attack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t10_no_nonce_is_used_twice),
        cmocka_unit_test(t10_a_child_of_the_process_sends_nothing),
        cmocka_unit_test(t11_no_ephemeral_is_in_two_initiates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
