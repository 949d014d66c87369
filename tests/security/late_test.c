/**
 * Beyond the table: ways on which answers come late or not at all, and somebody who forges one. The
 * holder of a connect token, which is good once, does not use it up against itself; nor does one
 * dial ask a program twice.
 */
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/issuer.h"
#include "tests/support/keys.h"
#include "tests/support/wire.h"
#include "transport/handshake.h"
#include "transport/nonce.h"

enum {
    NONCE_AT = 16, /* in INITIATE; then the cookie */
    COOKIE_AT = 32,
    HOLDER_ID = 42,
    STORM_MAX = 3, /* forged answers to each of a client's datagrams */
    REQUESTS_MAX = 100,
    PATIENCE_MS = 11000, /* the timeout of a handshake, and a second */
    LOST_MS = 5500,      /* longer than a server waits for who has half come in */
};

static ed_wire wire;
static ed_wire_host *server, *holder, *other;

typedef struct way {
    const char *name;
    uint64_t round_trip_ms;
    uint64_t lost_ms;    /* from its first INITIATE on nothing comes from the server, for so long */
    bool has_ticket;     /* so that it begins with INITIATE */
    unsigned forges;     /* RETRYs to each HELLO and INITIATE, by who sees it and knows the key, */
    unsigned forged_max; /* but no more than so many */
    bool spares_hello;   /* only INITIATE is answered by him */
    uint64_t limit_ms;   /* then it must be in */
    /* What has happened: */
    uint64_t lost_until_ns;
    unsigned forged;
    unsigned requests;
} way;

static void forge_retry(const eddy_datagram *cause, unsigned number)
{
    ed_greeting_key key = ed_greeting_key_of(ed_test_public()->bytes);
    bool is_initiate = ed_form_of(cause->data, cause->size) == ED_FORM_INITIATE;
    ed_retry retry = {.version = ED_PROTOCOL_VERSION, .cookie = {1, 3, 3}};
    uint8_t data[ED_RETRY_SIZE];

    memcpy(retry.cookie + 8, &number, sizeof(number));
    ed_retry_write(data, &retry, cause->data + NONCE_AT, &key,
                   is_initiate ? cause->data + COOKIE_AT : NULL);
    ed_wire_forge(&wire, &cause->remote, &cause->local, data, sizeof(data));
}

static bool go_the_way(void *context, eddy_datagram *datagram)
{
    way *w = context;

    if (eddy_address_equal(&datagram->local, &server->address))
        return wire.now_ns >= w->lost_until_ns;
    ed_form form = ed_form_of(datagram->data, datagram->size);
    bool is_initiate = form == ED_FORM_INITIATE;
    if (is_initiate && w->lost_until_ns == 0)
        w->lost_until_ns = wire.now_ns + w->lost_ms * ED_NS_PER_MS;
    if (!is_initiate && (form != ED_FORM_HELLO || w->spares_hello))
        return true;
    w->requests++;
    for (unsigned i = 0; i < w->forges && w->forged < w->forged_max; i++)
        forge_retry(datagram, ++w->forged);
    return true;
}

static void open_wire(const char *name, const eddy_config *server_config)
{
    eddy_config client_config = ed_wire_client_config();
    eddy_address addresses[] = {ed_wire_address(1), ed_wire_address(2), ed_wire_address(3)};

    ed_nonce_forget(); // worlds of one seed are the same world
    client_config.protocol_id = server_config->protocol_id;
    ed_wire_open(&wire, name, 53);
    server = ed_wire_add(&wire, server_config, &addresses[0]);
    holder = ed_wire_add(&wire, &client_config, &addresses[1]);
    other = ed_wire_add(&wire, &client_config, &addresses[2]);
    ed_wire_run_for(&wire, 0);
}

static void open_with_tokens(const char *name)
{
    eddy_config server_config = ed_wire_server_config();

    ed_test_now_s = ED_TEST_NOW_S;
    ed_test_take_tokens(&server_config);
    open_wire(name, &server_config);
}

static void dial(ed_wire_host *host, uint64_t token_of)
{
    char text[EDDY_TOKEN_TEXT_MAX];
    ed_test_grant grant = ed_test_grant_of(token_of, &server->address);
    eddy_connect_options options = {.token = text};

    ed_test_issue(text, &grant);
    CHECK_EQ(wire.name, ed_wire_connect(host, &server->address, &options), EDDY_OK);
}

static void leave(void)
{
    CHECK_EQ(wire.name, eddy_disconnect(holder->manager, holder->newest, 0, NULL, 0), EDDY_OK);
    ed_wire_touch(holder);
    ed_wire_run_for(&wire, PATIENCE_MS * ED_NS_PER_MS);
}

/** It was connected before, and has kept the ticket. */
static void take_ticket(void)
{
    dial(holder, HOLDER_ID + 1);
    ed_wire_run_for(&wire, ED_NS_PER_S);
    leave();
    CHECK_EQ(wire.name, holder->connected, 1);
    CHECK_EQ(wire.name, holder->disconnected, 1);
    holder->connected = holder->disconnected = server->connected = server->disconnected = 0;
}

static void check_used(ed_wire_host *host)
{
    uint64_t connected = host->connected;

    dial(host, HOLDER_ID);
    ed_wire_run_for(&wire, PATIENCE_MS * ED_NS_PER_MS);
    CHECK_EQ(wire.name, host->end.end, EDDY_END_REFUSED);
    CHECK_EQ(wire.name, host->end.refusal, EDDY_REFUSED_USED);
    CHECK_EQ(wire.name, host->connected, connected);
}

static void check_way(way *w)
{
    open_with_tokens(w->name);
    if (w->has_ticket)
        take_ticket();
    wire.tap = go_the_way;
    wire.tap_context = w;
    wire.delay_ns = w->round_trip_ms * ED_NS_PER_MS / 2;
    dial(holder, HOLDER_ID);
    CHECK(w->name, ed_wire_await_connected(&wire, server, 1, w->limit_ms * ED_NS_PER_MS));
    ed_wire_run_for(&wire, PATIENCE_MS * ED_NS_PER_MS);
    wire.delay_ns = ED_WIRE_DELAY_MS * ED_NS_PER_MS;
    ed_wire_check_alive(server, holder);
    CHECK_EQ(w->name, holder->connected + server->connected, 2);
    CHECK_EQ(w->name, holder->disconnected + server->disconnected, 0);
    CHECK_EQ(w->name, w->forged > 0, w->forges > 0);
    check_used(other);
    leave();
    check_used(holder);
    ed_wire_close(&wire);
}

static void a_holder_does_not_use_its_token_up(void **state)
{
    // Two round trips and a half, and not one more for a RETRY that comes late.
    way rows[] = {
        {.name = "a round trip of 300 ms", .round_trip_ms = 300, .limit_ms = 750},
        {.name = "a round trip of 700 ms", .round_trip_ms = 700, .limit_ms = 1750},
        {.name = "a round trip of 1,500 ms", .round_trip_ms = 1500, .limit_ms = 3750},
        {.name = "a RETRY that is forged",
         .round_trip_ms = 2,
         .forges = 1,
         .forged_max = 1,
         .spares_hello = true,
         .limit_ms = 5},
        {.name = "a RETRY that is forged, and no answer for a while",
         .round_trip_ms = 2,
         .lost_ms = 500,
         .forges = 1,
         .forged_max = 1,
         .spares_hello = true,
         .limit_ms = 1000},
        {.name = "no answer", .round_trip_ms = 2, .lost_ms = LOST_MS, .limit_ms = PATIENCE_MS},
        {.name = "no answer to a ticket",
         .round_trip_ms = 2,
         .lost_ms = LOST_MS,
         .has_ticket = true,
         .limit_ms = PATIENCE_MS},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        check_way(&rows[i]);
}

/** All that the client says is answered by somebody who is faster than its server. */
static void a_storm_costs_less_than_a_second(void **state)
{
    static const uint64_t round_trips_ms[] = {2, 20, 100, 300, 700, 1500};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(round_trips_ms); i++)
        for (unsigned forges = 1; forges <= STORM_MAX; forges++)
            for (int spares_hello = 0; spares_hello <= 1; spares_hello++) {
                way w = {.name = "a storm",
                         .round_trip_ms = round_trips_ms[i],
                         .forges = forges,
                         .forged_max = UINT32_MAX,
                         .spares_hello = spares_hello != 0,
                         .limit_ms = round_trips_ms[i] * 5 / 2 + 1000};
                check_way(&w);
                CHECK(w.name, w.requests < REQUESTS_MAX);
            }
}

static void one_dial_asks_once(void **state)
{
    static const uint64_t round_trips_ms[] = {2, 300, 700, 1500};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(round_trips_ms); i++) {
        eddy_config server_config = ed_wire_server_config();
        server_config.ask = true;
        open_wire("a program that is asked", &server_config);
        wire.delay_ns = round_trips_ms[i] * ED_NS_PER_MS / 2;
        CHECK_EQ(wire.name, ed_wire_connect(holder, &server->address, NULL), EDDY_OK);
        ed_wire_run_for(&wire, 4 * ED_NS_PER_S);
        CHECK_EQ(wire.name, server->requests, 1);
        CHECK_EQ(wire.name, server->disconnected, 0);
        CHECK_EQ(wire.name, eddy_accept(server->manager, server->newest), EDDY_OK);
        ed_wire_touch(server);
        CHECK(wire.name, ed_wire_await_connected(&wire, server, 1, 4 * ED_NS_PER_S));
        CHECK_EQ(wire.name, server->requests, 1);
        ed_wire_close(&wire);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_holder_does_not_use_its_token_up),
        cmocka_unit_test(a_storm_costs_less_than_a_second),
        cmocka_unit_test(one_dial_asks_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
