/**
 * Beyond the table: somebody who sees a client's packets, can send in its name, and knows the
 * server's public key, begins anew in its place. Its connection goes on; but a client that has
 * really begun anew gets in.
 */
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/splitmix.h"
#include "tests/support/stranger.h"
#include "transport/api_state.h"
#include "transport/nonce.h"

enum {
    NONCE_AT = 16, /* in INITIATE; then the cookie */
    COOKIE_AT = 32,
    NOBODY = 3, /* the number of an address */
    STEP_MS = 100,
    SIEGE_STEPS = 100, /* as long as a cookie lives */
    REJOIN_MS = 3000,
    BEGIN_MS = 4000, /* some tries of the handshake */
    WORLDS = 200,
};

static ed_wire wire;
static ed_wire_host *server, *client;

/** A server that lets so many connections in from one address, and a client. */
static void add_pair(const char *name, uint32_t max_per_address, ed_wire_tap tap, void *context)
{
    eddy_config server_config = ed_wire_server_config(), client_config = ed_wire_client_config();
    eddy_address here = ed_wire_address(1), there = ed_wire_address(2);

    ed_nonce_forget(); // worlds of one seed are the same world
    ed_wire_open(&wire, name, 52);
    wire.tap = tap;
    wire.tap_context = context;
    server_config.max_per_address = max_per_address;
    server = ed_wire_add(&wire, &server_config, &here);
    client = ed_wire_add(&wire, &client_config, &there);
}

/** The same, and the client is connected. */
static void open_pair(const char *name, uint32_t max_per_address, ed_wire_tap tap, void *context)
{
    add_pair(name, max_per_address, tap, context);
    CHECK_EQ(name, ed_wire_connect(client, &server->address, NULL), EDDY_OK);
    CHECK(name, ed_wire_await_connected(&wire, server, 1, BEGIN_MS * ED_NS_PER_MS));
    ed_wire_run_for(&wire, ED_NS_PER_S);
}

/** The two have the connection that they had at first. */
static void check_goes_on(void)
{
    ed_wire_check_alive(server, client);
    CHECK_EQ(wire.name, server->connected + client->connected, 2);
    CHECK_EQ(wire.name, server->disconnected + client->disconnected, 0);
}

/** Somebody in the client's place. */
static ed_stranger impostor(void)
{
    ed_stranger stranger = ed_stranger_of(NOBODY);

    stranger.address = client->address;
    stranger.protocol_id = server->config.protocol_id;
    return stranger;
}

/** What he has from the client's own INITIATE. */
static void take_over(ed_stranger *stranger)
{
    const ed_wire_copy *seen = ed_wire_newest(&wire, ED_FORM_INITIATE);

    CHECK_EQ(wire.name, seen->datagram.size, ED_INITIATE_SIZE);
    memcpy(stranger->nonce, seen->data + NONCE_AT, ED_NONCE_SIZE);
    memcpy(stranger->cookie, seen->data + COOKIE_AT, ED_COOKIE_SIZE);
    stranger->client_time_us = UINT64_MAX;
}

typedef struct usurper {
    const char *name;
    bool takes_over; /* the client's cookie and nonce */
    bool greets;     /* for a cookie of his own: the RETRY goes to the client, and he reads it */
    bool is_silent;  /* the client, but for its keepalives */
    unsigned knocks; /* with one cookie */
} usurper;

static void check_usurper(const usurper *u)
{
    uint64_t said = 0;

    open_pair(u->name, 0, NULL, NULL);
    ed_stranger stranger = impostor();
    if (u->takes_over)
        take_over(&stranger);
    for (unsigned i = 0; i < SIEGE_STEPS; i++) {
        if (u->greets && i % u->knocks == 0)
            CHECK(u->name, ed_stranger_greet(&stranger, &wire, server));
        ed_stranger_knock(&stranger, &wire, server);
        if (!u->is_silent) {
            CHECK_EQ(u->name, ed_wire_say(client, "on I go"), EDDY_OK);
            said++;
        }
        ed_wire_run_for(&wire, STEP_MS * ED_NS_PER_MS);
    }
    CHECK_EQ(u->name, server->messages, said); // each once
    CHECK(u->name, ed_wire_stats(server).dropped_replayed > SIEGE_STEPS / 2);
    CHECK(u->name, ed_manager_half_open_count(server->manager->shards[0]->core) <= 1);
    check_goes_on();
    ed_wire_close(&wire);
}

static void who_lives_is_not_replaced(void **state)
{
    static const usurper rows[] = {
        {"its cookie and nonce", true, false, false, SIEGE_STEPS},
        {"its cookie and nonce, while it is silent", true, false, true, SIEGE_STEPS},
        {"its nonce, and cookies of his own", true, true, false, 5},
        {"a cookie of his own", false, true, false, SIEGE_STEPS},
        {"a cookie of his own, while it is silent", false, true, true, SIEGE_STEPS},
        {"many cookies of his own", false, true, false, 5},
        {"many cookies of his own, while it is silent", false, true, true, 5},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        check_usurper(&rows[i]);
}

/** When he comes, while the client begins, and how. */
typedef struct knock {
    const char *name;
    ed_form form; /* as soon as this leaves; he is faster */
    bool takes_over;
    unsigned count;
    bool has_come;
} knock;

static bool knock_while_it_begins(void *context, eddy_datagram *datagram)
{
    knock *k = context;
    uint8_t data[ED_DATAGRAM_SIZE];
    ed_stranger stranger = impostor();

    if (ed_form_of(datagram->data, datagram->size) != k->form || k->has_come)
        return true;
    k->has_come = true;
    for (unsigned i = 0; i < k->count; i++) {
        if (k->takes_over)
            take_over(&stranger);
        else
            ed_stranger_draw_cookie(&stranger, server);
        ed_wire_forge(&wire, &client->address, &server->address, data,
                      ed_stranger_initiate(&stranger, data));
    }
    return true;
}

/** Until one has confirmed, nobody gives way to another. */
static void who_begins_is_not_replaced(void **state)
{
    knock rows[] = {
        {"before it begins", ED_FORM_HELLO, false, 1, false},
        {"when it has a cookie", ED_FORM_RETRY, false, 1, false},
        {"before its INITIATE", ED_FORM_INITIATE, false, 1, false},
        {"before its INITIATE, with its cookie and nonce", ED_FORM_INITIATE, true, 1, false},
        {"as often as one may, before its INITIATE", ED_FORM_INITIATE, false, 4, false},
        {"before its ACCEPT", ED_FORM_ACCEPT, false, 1, false},
        {"before its ACCEPT, with its cookie and nonce", ED_FORM_ACCEPT, true, 1, false},
        {"as often as one may, before its ACCEPT", ED_FORM_ACCEPT, false, 9, false},
        {"before its first packet", ED_FORM_PACKET, false, 1, false},
        {"before its first packet, with its cookie and nonce", ED_FORM_PACKET, true, 3, false},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_pair(rows[i].name, 0, knock_while_it_begins, &rows[i]);
        CHECK(rows[i].name, rows[i].has_come);
        ed_wire_run_for(&wire, 2 * ED_HALF_OPEN_NS); // who has not confirmed is forgotten
        check_goes_on();
        ed_wire_close(&wire);
    }
}

/* -------------------------------------------------------------------------- and honest clients --
 */

typedef struct loss {
    uint32_t percent;
    uint64_t seed;
} loss;

static bool lose(void *context, eddy_datagram *datagram)
{
    loss *l = context;

    (void)datagram;
    return splitmix_below(&l->seed, 100) >= l->percent;
}

/** A dial over a lossy path. @return whether the server has so many connections in time. */
static bool dials_in_time(loss lossy, uint32_t want)
{
    wire.tap = lose;
    wire.tap_context = &lossy;
    CHECK_EQ(wire.name, ed_wire_connect(client, &server->address, NULL), EDDY_OK);
    bool is_in = ed_wire_await_connected(&wire, server, want, REJOIN_MS * ED_NS_PER_MS);
    wire.tap = NULL;
    return is_in;
}

/** Begins anew where it was. @param talks seconds, from which the server knows the round trip. */
static bool restarts_in_time(const char *name, uint32_t places, unsigned talks, loss lossy)
{
    open_pair(name, places, NULL, NULL);
    for (unsigned i = 0; i < talks; i++)
        ed_wire_check_alive(server, client);
    ed_wire_crash(client);
    ed_wire_start(client);
    bool is_in = dials_in_time(lossy, 2);
    if (is_in) {
        CHECK_EQ(name, server->disconnected, 1); // before the newcomer is there
        ed_wire_run_for(&wire, ED_NS_PER_S);
        ed_wire_check_alive(server, client);
        CHECK_EQ(name, server->end.end, EDDY_END_REPLACED);
    }
    ed_wire_close(&wire);
    return is_in;
}

/** The same of who was never there. */
static bool comes_in_time(const char *name, loss lossy)
{
    add_pair(name, 0, NULL, NULL);
    bool is_in = dials_in_time(lossy, 1);
    ed_wire_close(&wire);
    return is_in;
}

/** Of a first dial, too, not all get through in that time where much is lost. */
static void who_restarts_gets_in(void **state)
{
    static const struct {
        const char *name;
        uint32_t places; /* of its address; 0: no limit */
        unsigned talks;
        uint32_t percent;
        unsigned worlds;
        unsigned fewer_max; /* than of first dials */
    } rows[] = {
        {"a restart at once", 0, 0, 0, 1, 0},
        {"a restart", 0, 10, 0, 1, 0},
        {"a restart, without room for both", 1, 10, 0, 1, 0},
        {"a restart, a tenth lost", 0, 10, 10, WORLDS, 0},
        {"a restart, 30 percent lost", 0, 10, 30, WORLDS, WORLDS / 50},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        unsigned again = 0, fresh = 0;
        for (unsigned k = 0; k < rows[i].worlds; k++) {
            loss lossy = {rows[i].percent, k};
            again += restarts_in_time(rows[i].name, rows[i].places, rows[i].talks, lossy);
            fresh += comes_in_time(rows[i].name, lossy);
        }
        ed_attack_figure("%s: in again within %d s in %u of %u worlds; of first dials %u",
                         rows[i].name, REJOIN_MS / 1000, again, rows[i].worlds, fresh);
        CHECK(rows[i].name, again + rows[i].fewer_max >= fresh);
    }
}

/* --------------------------------------------------------------------- places of an address -- */

/** The client's next packet comes from another port, and then nothing comes any more. */
static bool move_away(void *context, eddy_datagram *datagram)
{
    bool *has_moved = context;

    if (!eddy_address_equal(&datagram->local, &client->address) || *has_moved)
        return !*has_moved;
    *has_moved = true;
    datagram->local.port++;
    return true;
}

/** Whoever is moving has not left yet: it takes a place of the address that it was admitted from.
 */
static void who_moves_is_counted(void **state)
{
    static const struct {
        const char *name;
        uint32_t max_per_address;
        bool moves;
        uint32_t want; /* connections, when another one has asked */
    } rows[] = {
        {"one place, it moves", 1, true, 1},
        {"two places, it moves", 2, true, 2},
        {"one place, it stays", 1, false, 1},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        bool has_moved = false;
        open_pair(rows[i].name, rows[i].max_per_address, NULL, NULL);
        wire.tap = rows[i].moves ? move_away : NULL;
        wire.tap_context = &has_moved;
        CHECK_EQ(rows[i].name, ed_wire_say(client, "on my way"), EDDY_OK);
        ed_wire_run_for(&wire, 3 * ED_NS_PER_MS);
        ed_stranger stranger = impostor();
        CHECK(rows[i].name, ed_stranger_greet(&stranger, &wire, server));
        ed_stranger_knock(&stranger, &wire, server);
        CHECK_EQ(rows[i].name,
                 ed_gate_connections(&server->manager->common.door.gate, &client->address),
                 rows[i].want);
        CHECK_EQ(rows[i].name, server->disconnected, 0);
        ed_wire_close(&wire);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_lives_is_not_replaced),
        cmocka_unit_test(who_begins_is_not_replaced),
        cmocka_unit_test(who_restarts_gets_in),
        cmocka_unit_test(who_moves_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
