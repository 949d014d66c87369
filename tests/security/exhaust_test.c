/** T3, T5: strangers who are where they say they are, and want all places, or all of the time. */
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/issuer.h"
#include "tests/support/splitmix.h"
#include "tests/support/stranger.h"
#include "transport/api_state.h"

enum {
    STRANGERS_MAX = 1000,
    FIRST = 1000, /* number of the first stranger */
    PLAYERS = 64,
    PORTS = 200, /* of one address */
};

static ed_wire wire;
static ed_wire_host *server;
static ed_wire_host *players[PLAYERS];
static ed_stranger strangers[STRANGERS_MAX];
static uint8_t initiates[STRANGERS_MAX][ED_INITIATE_SIZE]; /* of each, to be sent again and again */
static bool has_cookie[STRANGERS_MAX];
static uint64_t accepts; /* to strangers, refusals as well */
static bool is_answered[STRANGERS_MAX];
static uint64_t dialled_ns[PLAYERS];

/** Strangers take what comes to them. */
static bool take_answers(void *context, eddy_datagram *datagram)
{
    (void)context;
    for (size_t i = 0; i < STRANGERS_MAX; i++) {
        if (!eddy_address_equal(&datagram->remote, &strangers[i].address))
            continue;
        has_cookie[i] |= ed_stranger_take_cookie(&strangers[i], datagram);
        bool is_accept = ed_form_of(datagram->data, datagram->size) == ED_FORM_ACCEPT;
        accepts += is_accept;
        is_answered[i] |= is_accept;
        return false;
    }
    return true;
}

static void open_server(const char *name, const eddy_config *config, uint64_t reply_rate)
{
    eddy_config all = *config;
    eddy_address address = ed_wire_address(1);

    all.reply_rate = (uint32_t)reply_rate;
    ed_wire_open(&wire, name, 3);
    memset(has_cookie, 0, sizeof(has_cookie));
    memset(is_answered, 0, sizeof(is_answered));
    accepts = 0;
    wire.tap = take_answers;
    server = ed_wire_add(&wire, &all, &address);
    ed_wire_run_for(&wire, 0);
}

static void send(const eddy_address *from, const uint8_t *data)
{
    ed_wire_put(&wire, &(eddy_datagram){.local = *from,
                                        .remote = server->address,
                                        .data = (uint8_t *)(uintptr_t)data,
                                        .size = ED_INITIATE_SIZE});
}

/** All of them get their cookies, and write their INITIATEs. */
static void prepare(size_t count)
{
    uint8_t data[ED_DATAGRAM_SIZE];

    for (size_t i = 0; i < count; i++) {
        (void)ed_stranger_hello(&strangers[i], data);
        send(&strangers[i].address, data);
    }
    ed_wire_run_for(&wire, ED_NS_PER_MS);
    for (size_t i = 0; i < count; i++) {
        CHECK("cookie", has_cookie[i]);
        (void)ed_stranger_initiate(&strangers[i], initiates[i]);
    }
}

/** Each sends its INITIATE so often a second, for so long; at times that nobody can foresee. */
static void knock(size_t count, uint32_t per_second, uint64_t duration_ms)
{
    static uint64_t seed = 5;
    uint64_t until_ns = wire.now_ns + duration_ms * ED_NS_PER_MS;
    uint64_t gap_ns = ED_NS_PER_S / (per_second * count);

    for (size_t sent = 0; wire.now_ns < until_ns; sent++) {
        size_t i = splitmix_below(&seed, (uint32_t)count);
        send(&strangers[i].address, initiates[i]);
        ed_wire_run_for(&wire, splitmix_below(&seed, (uint32_t)(2 * gap_ns)));
    }
}

/* ------------------------------------------------------------------------------------ players --
 */

static void add_players(size_t count, const eddy_config *config)
{
    for (size_t i = 0; i < count; i++) {
        eddy_address address = ed_wire_address(100 + (uint32_t)i);
        players[i] = ed_wire_add(&wire, config, &address);
    }
}

static void dial(size_t player, bool has_token)
{
    char text[EDDY_TOKEN_TEXT_MAX];
    ed_test_grant grant = ed_test_grant_of(player, &server->address);

    ed_test_issue(text, &grant);
    eddy_connect_options options = {.token = text};
    dialled_ns[player] = wire.now_ns;
    CHECK_EQ("dial",
             ed_wire_connect(players[player], &server->address, has_token ? &options : NULL),
             EDDY_OK);
}

static size_t connected(size_t count)
{
    size_t connected = 0;

    for (size_t i = 0; i < count; i++)
        connected += players[i]->connected > 0;
    return connected;
}

/* --------------------------------------------------------------------------------- T3: places --
 */

/** 64 places, 64 players with tokens, and a crowd with capsules that are none. */
static bool has_places_for_players(const void *context)
{
    size_t count = (size_t)ed_attack_count(200, STRANGERS_MAX);
    uint64_t spoofed = ed_attack_count(1000, 1000 * 1000);
    static const uint8_t forged[ED_CAPSULE_SIZE] = {1, 2, 3};
    eddy_config server_config = ed_wire_server_config(), config = ed_wire_client_config();
    uint8_t data[ED_DATAGRAM_SIZE];

    (void)context;
    ed_test_take_tokens(&server_config);
    server_config.max_connections = PLAYERS;
    config.protocol_id = ED_TEST_GAME;
    open_server("T3", &server_config, 0);
    for (size_t i = 0; i < count; i++) {
        strangers[i] = ed_stranger_of(FIRST + (uint32_t)i);
        strangers[i].mode = ED_MODE_TOKEN;
        strangers[i].protocol_id = ED_TEST_GAME;
        strangers[i].capsule = forged;
    }
    prepare(count);
    add_players(PLAYERS, &config);
    knock(count, 20, 200);
    for (size_t i = 0; i < PLAYERS; i++)
        dial(i, true);
    for (uint64_t i = 0; i < spoofed; i++) {
        ed_stranger spoof = ed_stranger_of(FIRST + STRANGERS_MAX + (uint32_t)i);
        spoof.mode = ED_MODE_TOKEN;
        spoof.protocol_id = ED_TEST_GAME;
        (void)ed_stranger_hello(&spoof, data);
        send(&spoof.address, data);
        if (i % 64 == 63)
            ed_wire_run_for(&wire, 64 * ED_NS_PER_US);
    }
    knock(count, 20, 1900);
    bool held = connected(PLAYERS) == PLAYERS && server->connected == PLAYERS && accepts == 0;
    if (held)
        ed_attack_figure("T3: %zu of %d players connect within 3 s, besides %llu spoofed HELLOs "
                         "and %zu strangers without a token; half-open ones of strangers: 0",
                         connected(PLAYERS), PLAYERS, (unsigned long long)spoofed, count);
    ed_wire_close(&wire);
    return held;
}

/** Whoever comes without a cookie takes no place. */
static bool has_places_without_tokens(const void *context)
{
    eddy_config server_config = ed_wire_server_config(), config = ed_wire_client_config();
    uint8_t data[ED_DATAGRAM_SIZE];

    (void)context;
    server_config.max_connections = PLAYERS;
    open_server("T3, no tokens", &server_config, 0);
    add_players(PLAYERS, &config);
    for (uint32_t i = 0; i < 10 * PLAYERS; i++) {
        ed_stranger spoof = ed_stranger_of(FIRST + STRANGERS_MAX + i);
        (void)ed_stranger_initiate(&spoof, data);
        send(&spoof.address, data);
    }
    for (size_t i = 0; i < PLAYERS; i++)
        dial(i, false);
    ed_wire_run_for(&wire, ED_HALF_OPEN_MIN_NS / 2); // before strangers give way
    bool held = connected(PLAYERS) == PLAYERS;
    ed_wire_close(&wire);
    return held;
}

static size_t answered(void)
{
    size_t count = 0;

    for (size_t i = 0; i < STRANGERS_MAX; i++)
        count += is_answered[i];
    return count;
}

/** One address, with many ports, that begins as many connections as it may. */
static void crowd_in(const eddy_config *config)
{
    open_server("T3, one address", config, 0);
    for (size_t i = 0; i < PORTS; i++) {
        strangers[i] = ed_stranger_of(FIRST);
        strangers[i].address.port = (uint16_t)(5000 + i);
        strangers[i].ephemeral[1] = (uint8_t)i;
    }
    prepare(PORTS);
    knock(PORTS, 10, 1000);
}

/** Clients of one address, with all that it takes, leave places to another. */
static bool is_fair_to_addresses(const void *context)
{
    enum { PLACES = 8 };
    eddy_config server_config = ed_wire_server_config(), config = ed_wire_client_config();
    eddy_address other = ed_wire_address(101);

    (void)context;
    server_config.max_connections = PLACES;
    server_config.max_per_address = PLACES / 2;
    open_server("T3, one address", &server_config, 0);
    for (uint16_t i = 0; i < PLACES; i++) {
        eddy_address address = ed_wire_address(100);
        address.port = (uint16_t)(address.port + i);
        players[i] = ed_wire_add(&wire, &config, &address);
        dial(i, false);
        ed_wire_run_for(&wire, ED_NS_PER_S / 10);
    }
    CHECK("crowd", connected(PLACES) >= PLACES / 2);
    players[PLACES] = ed_wire_add(&wire, &config, &other);
    dial(PLACES, false);
    ed_wire_run_for(&wire, ED_NS_PER_S);
    bool held = players[PLACES]->connected == 1;
    ed_wire_close(&wire);
    return held;
}

/** Those that have not confirmed never take more than their part of the places. */
static bool keeps_few_half_open(const void *context)
{
    enum { CAP = 16 };
    eddy_config server_config = ed_wire_server_config();

    (void)context;
    server_config.max_connections = PLAYERS;
    server_config.max_half_open = CAP;
    server_config.max_per_address = server_config.half_open_per_address = 0;
    server_config.connect_rate = 0;
    crowd_in(&server_config);
    size_t count = answered();
    ed_wire_close(&wire);
    return count == CAP;
}

/** Nor do those of one address, which is not told to go. */
static bool keeps_few_of_one(const void *context)
{
    eddy_config server_config = ed_wire_server_config();

    (void)context;
    server_config.connect_rate = 0;
    crowd_in(&server_config);
    size_t count = answered();
    ed_wire_close(&wire);
    return count == server_config.half_open_per_address;
}

/* Networks enough to fill all places with what is never confirmed. */
enum {
    NETWORKS = 16,
    SIEGE_MS = 10 * 1000,
    SIEGE_STEP_MS = 40, /* a little faster than each may */
    HONEST = 20,
    PATIENCE_MS = 3000,
    DEAF_MS = 3500,  /* so long the first one hears no ACCEPT, */
    FIRST_MS = 8000, /* and so it may take longer */
};

static struct siege {
    ed_stranger stranger; /* who is in all of the networks, at one port after the other */
    uint8_t first_accept[ED_ACCEPT_SIZE_MAX];
    bool was_displaced; /* the first player: it was accepted anew */
} siege;

static bool has_no_age;

static void drop_age(void)
{
    has_no_age = true;
}

/** Takes the defence away: nobody is ever old enough to give way. */
static void stay_young(void)
{
    const ed_list *all = &server->manager->shards[0]->reliable.half_open;

    for (ed_list_node *node = ed_list_first(all); node != NULL; node = ed_list_next(all, node))
        ED_CONTAINER(node, ed_conn, half_open)->started_ns = wire.now_ns;
}

/** The first player does not hear for a while that it was accepted. */
static bool deafen_first(void *context, eddy_datagram *datagram)
{
    (void)context;
    if (ed_form_of(datagram->data, datagram->size) != ED_FORM_ACCEPT ||
        !eddy_address_equal(&datagram->remote, &players[0]->address))
        return true;
    if (siege.first_accept[0] == 0)
        memcpy(siege.first_accept, datagram->data, sizeof(siege.first_accept));
    siege.was_displaced |=
        memcmp(siege.first_accept, datagram->data, ed_accept_size(ED_MODE_PINNED)) != 0;
    return wire.now_ns >= dialled_ns[0] + DEAF_MS * ED_NS_PER_MS;
}

/** One INITIATE out of each network. */
static void besiege(void)
{
    uint8_t data[ED_DATAGRAM_SIZE];

    for (uint8_t i = 0; i < NETWORKS; i++) {
        siege.stranger.address = (eddy_address){
            .family = EDDY_FAMILY_IPV6, .port = siege.stranger.address.port, .ip = {0x20, 1, i}};
        ed_stranger_draw_cookie(&siege.stranger, server);
        (void)ed_stranger_initiate(&siege.stranger, data);
        send(&siege.stranger.address, data);
    }
    siege.stranger.address.port++;
}

/** Who came in time. */
static size_t in_time(void)
{
    size_t count = 0;

    for (size_t i = 0; i < HONEST; i++)
        count += players[i]->connected > 0 &&
                 players[i]->connected_ns <=
                     dialled_ns[i] + (i == 0 ? FIRST_MS : PATIENCE_MS) * ED_NS_PER_MS;
    return count;
}

/** Players come one after the other while it goes on. */
static bool has_places_besides_networks(const void *context)
{
    enum { STEPS = SIEGE_MS / SIEGE_STEP_MS, EACH = STEPS / (HONEST + 5) };
    eddy_config server_config = ed_wire_server_config(), config = ed_wire_client_config();

    (void)context;
    server_config.max_connections = PLAYERS;
    siege = (struct siege){.stranger = ed_stranger_of(FIRST)};
    siege.stranger.address.port = 1024;
    open_server("T3, many networks", &server_config, 0);
    add_players(HONEST, &config);
    wire.tap = deafen_first;
    for (size_t i = 0; i < STEPS; i++) {
        if (i % EACH == 0 && i / EACH < HONEST)
            dial(i / EACH, false);
        besiege();
        ed_wire_run_for(&wire, SIEGE_STEP_MS * ED_NS_PER_MS);
        if (has_no_age)
            stay_young();
    }
    ed_wire_run_for(&wire, PATIENCE_MS * ED_NS_PER_MS);
    bool held = in_time() == HONEST && siege.was_displaced && server->connected == HONEST;
    ed_attack_figure("T3: %d /64s at full rate, %d places: %zu of %d players connect within 3 s; "
                     "one of them gave its place up, and got another",
                     NETWORKS, PLAYERS, in_time(), HONEST);
    ed_wire_close(&wire);
    return held;
}

static void t3_places_stay_for_players(void **state)
{
    const ed_attack attacks[] = {
        {"T3 no token", has_places_for_players, NULL, {EDDY_CHECK_TOKEN}, NULL},
        {"T3 no cookie", has_places_without_tokens, NULL, {EDDY_CHECK_COOKIE}, NULL},
        {"T3 one address", is_fair_to_addresses, NULL, {EDDY_CHECK_CAP}, NULL},
        {"T3 many networks", has_places_besides_networks, NULL, {0}, drop_age},
        {"T3 half-open of one address", keeps_few_of_one, NULL, {EDDY_CHECK_CROWD}, NULL},
        {"T3 half-open", keeps_few_half_open, NULL, {EDDY_CHECK_HALF_OPEN}, NULL},
    };

    (void)state;
    ed_attack_run_all(attacks, ED_COUNT(attacks));
}

/* ----------------------------------------------------------------------------------- T5: time --
 */

enum {
    FLOOD_MS = 2000,
    PER_SECOND = 100, /* INITIATEs of one address */
    LATE = 20,        /* players that come while it goes on, */
    WAIT_MS = 2000,   /* and are in by then */
};

static void open_flood(const char *name, size_t count, const uint8_t *capsule, uint32_t work)
{
    eddy_config server_config = ed_wire_server_config();

    ed_test_take_tokens(&server_config);
    server_config.handshake_rate = work;
    open_server(name, &server_config, 0);
    for (size_t i = 0; i < count; i++) {
        strangers[i] = ed_stranger_of(FIRST + (uint32_t)i);
        strangers[i].mode = ED_MODE_TOKEN;
        strangers[i].protocol_id = ED_TEST_GAME;
        strangers[i].capsule = capsule;
    }
    prepare(count);
}

/** How often a Diffie-Hellman was done in vain. */
static uint64_t work_in_vain(void)
{
    return ed_wire_refusals(server, EDDY_CHECK_INITIATE_SEAL);
}

/** Capsules that are none cost next to nothing. */
static bool does_not_work_for_forgers(const void *context)
{
    size_t count = (size_t)ed_attack_count(200, STRANGERS_MAX);
    static const uint8_t forged[ED_CAPSULE_SIZE] = {1, 2, 3};

    (void)context;
    open_flood("T5, forged capsules", count, forged, 2000);
    knock(count, PER_SECOND, FLOOD_MS);
    uint64_t refused = ed_wire_refusals(server, EDDY_CHECK_TOKEN);
    bool held = work_in_vain() == 0 && accepts == 0 && refused > count &&
                refused <= count * (40 + 20 * FLOOD_MS / 1000);
    if (held)
        ed_attack_figure("T5: %zu addresses x %d INITIATE/s, forged capsules: "
                         "Diffie-Hellmans 0, capsules tried %llu",
                         count, PER_SECOND, (unsigned long long)refused);
    ed_wire_close(&wire);
    return held;
}

/** Capsules that were seen on the way to the server, whose secret the strangers do not know. */
static void open_sniffed_flood(size_t count, uint32_t work)
{
    static ed_pass pass;
    char text[EDDY_TOKEN_TEXT_MAX];
    eddy_address address = ed_wire_address(1);
    ed_test_grant grant = ed_test_grant_of(4711, &address);

    ed_test_issue(text, &grant);
    CHECK_EQ("token", ed_token_pick(&pass, text, 0), EDDY_OK);
    open_flood("T5, sniffed capsules", count, pass.capsule, work);
}

/** The time that there is for strangers has an end, however many addresses they have. */
static bool has_a_budget_for_work(const void *context)
{
    enum { ADDRESSES = 200, WORK = 20 };

    (void)context;
    open_sniffed_flood(ADDRESSES, WORK);
    knock(ADDRESSES, PER_SECOND, FLOOD_MS);
    uint64_t in_vain = work_in_vain();
    ed_wire_close(&wire);
    return in_vain > 0 && in_vain <= WORK * (1 + FLOOD_MS / 1000);
}

/** Players come while it goes on. */
static bool works_for_players(const void *context)
{
    size_t count = (size_t)ed_attack_count(200, STRANGERS_MAX);
    uint32_t work = (uint32_t)(2 * count);
    eddy_config config = ed_wire_client_config();
    uint64_t worst_ns = 0;

    (void)context;
    config.protocol_id = ED_TEST_GAME;
    open_sniffed_flood(count, work);
    add_players(LATE, &config);
    for (size_t i = 0; i < LATE; i++) {
        dial(i, true);
        knock(count, PER_SECOND, FLOOD_MS / LATE);
    }
    knock(count, PER_SECOND, FLOOD_MS);
    uint64_t in_vain = work_in_vain();
    for (size_t i = 0; i < LATE; i++)
        if (players[i]->connected > 0)
            worst_ns = ed_max_u64(worst_ns, players[i]->connected_ns - dialled_ns[i]);
    bool held = connected(LATE) == LATE && worst_ns <= WAIT_MS * ED_NS_PER_MS && accepts == 0 &&
                in_vain <= work * (1 + 2 * FLOOD_MS / 1000);
    ed_attack_figure("T5: %zu addresses x %d INITIATE/s, sniffed capsules: Diffie-Hellmans in vain "
                     "%llu in %d s of %u/s allowed, %zu of %d players connect, the slowest in %llu "
                     "ms",
                     count, PER_SECOND, (unsigned long long)in_vain, 2 * FLOOD_MS / 1000, work,
                     connected(LATE), LATE, (unsigned long long)(worst_ns / ED_NS_PER_MS));
    ed_wire_close(&wire);
    return held;
}

static void t5_time_stays_for_players(void **state)
{
    const ed_attack attacks[] = {
        {"T5 forged capsules",
         does_not_work_for_forgers,
         NULL,
         {EDDY_CHECK_TOKEN, EDDY_CHECK_RATE},
         NULL},
        {"T5 sniffed capsules", has_a_budget_for_work, NULL, {EDDY_CHECK_WORK}, NULL},
        {"T5 sniffed capsules, and players", works_for_players, NULL, {EDDY_CHECK_RATE}, NULL},
    };

    (void)state;
    ed_attack_run_all(attacks, ED_COUNT(attacks));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t3_places_stay_for_players),
        cmocka_unit_test(t5_time_stays_for_players),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
