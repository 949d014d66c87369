/** T7, T8: what was sent once, sent again by somebody who has seen it. */
#include "sim/random.h"
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/stranger.h"

enum {
    CLIENTS = 3,
    RECORDS_MAX = 4096, /* that are kept of a world */
    COPIES = 3,         /* of each, in the end */
    MESSAGES = 40,      /* of each guarantee, of each client, both ways */
};

/* ---------------------------------------------------------------------------------- T7: packets --
 */

static struct world {
    ed_cluster cluster;
    ed_rng rng;
    ed_wire_copy records[RECORDS_MAX];
    size_t count;
    uint64_t injected;
} world;

/** Whether it will arrive: one that never did is no replay when it comes. */
static bool goes_to_somebody(const eddy_datagram *datagram)
{
    for (size_t i = 0; i < world.cluster.node_count; i++)
        if (eddy_address_equal(&world.cluster.nodes[i].address, &datagram->remote))
            return true;
    return false;
}

static bool record(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    (void)context;
    (void)now_ns;
    if (world.count < RECORDS_MAX && goes_to_somebody(datagram) &&
        ed_form_of(datagram->data, datagram->size) == ED_FORM_PACKET) {
        ed_wire_copy *copy = &world.records[world.count++];
        copy->datagram = *datagram;
        copy->datagram.data = copy->data;
        memcpy(copy->data, datagram->data, datagram->size);
    }
    return false;
}

/** Again where it went, at another client's connection, or back to where it came from. */
static void inject(size_t index)
{
    eddy_datagram again = world.records[index].datagram;
    const ed_node *server = &world.cluster.nodes[0];
    const ed_node *client = &world.cluster.nodes[1 + ed_rng_below(&world.rng, CLIENTS)];
    bool is_up = eddy_address_equal(&again.remote, &server->address);

    switch (ed_rng_below(&world.rng, 4)) {
    case 0: // another connection, or the same client by its address of now
        *(is_up ? &again.local : &again.remote) = client->address;
        break;
    case 1: // the other direction
        again.local = is_up ? server->address : client->address;
        again.remote = is_up ? client->address : server->address;
        break;
    default:
        break;
    }
    // Somebody may have moved away meanwhile.
    uint64_t lost = ed_world_get_stats(world.cluster.world).no_host;
    if (ed_world_forge(world.cluster.world, &again))
        world.injected += 1 + lost - ed_world_get_stats(world.cluster.world).no_host;
}

static void inject_some(size_t some)
{
    for (size_t i = 0; i < some && world.count > 0; i++)
        inject((size_t)ed_rng_below(&world.rng, world.count));
}

static void talk(void)
{
    ed_node *nodes = world.cluster.nodes;

    for (size_t i = 0; i < MESSAGES; i++) {
        for (size_t n = 0; n <= CLIENTS; n++)
            for (size_t e = 0; e < nodes[n].endpoint_count; e++)
                (void)ed_node_send(&nodes[n], &nodes[n].endpoints[e], (eddy_guarantee)(i % 5), 0);
        inject_some(4);
        ed_cluster_run_for(&world.cluster, 10 * ED_NS_PER_MS);
    }
    ed_cluster_await_delivered(&world.cluster, 10 * ED_NS_PER_S);
}

static void open_world(uint64_t seed)
{
    eddy_config server = ed_cluster_server_config(), client = ed_cluster_client_config();

    world.count = world.injected = 0;
    world.rng = ed_rng_of(seed);
    ed_cluster_open(&world.cluster, "T7", seed);
    world.cluster.sizes = (ed_sizes){.min = 16, .max = 300};
    ed_world_observe(world.cluster.world, record, NULL);
    ed_cluster_add_pair(&world.cluster, &server, &client);
    for (size_t i = 1; i < CLIENTS; i++) {
        ed_node *node = ed_cluster_add(&world.cluster, &client);
        const ed_endpoint *endpoint = ed_node_connect(node, &world.cluster.nodes[0]);
        ed_cluster_await_connected(&world.cluster, endpoint, ED_NS_PER_S);
    }
    ed_cluster_run_for(&world.cluster, ED_NS_PER_S);
}

static uint64_t drops(void)
{
    eddy_stats stats = ed_cluster_stats(&world.cluster);

    return stats.dropped_replayed + stats.dropped_forged + stats.dropped_malformed +
           stats.dropped_unknown;
}

/** Every packet that was kept, in any order, when nobody says anything: each is dropped. */
static bool drops_all(void)
{
    uint64_t before = drops(), injected = world.injected;
    eddy_stats stats = ed_cluster_stats(&world.cluster);

    for (size_t i = 0; i < COPIES * world.count; i++)
        inject((size_t)ed_rng_below(&world.rng, world.count));
    ed_cluster_run_for(&world.cluster, 50 * ED_NS_PER_MS);
    uint64_t delivered = ed_cluster_stats(&world.cluster).messages_delivered;
    return drops() - before == world.injected - injected && world.injected > injected &&
           delivered == stats.messages_delivered;
}

/** Talk, a move, new keys, and more talk; all of it under replays. */
static uint64_t play(uint64_t seed)
{
    open_world(seed);
    talk();
    bool held = drops_all();
    ed_cluster_run_for(&world.cluster, ED_NS_PER_S); // nothing is on its way
    ed_node_rebind(&world.cluster.nodes[1]);
    talk();
    held = drops_all() && held;
    ed_cluster_run_for(&world.cluster, ED_KEY_LIFE_NS + ED_NS_PER_S);
    talk();
    ed_cluster_run_for(&world.cluster, ED_NS_PER_S);
    held = drops_all() && held;
    ed_cluster_check_settled(&world.cluster);
    ed_cluster_close(&world.cluster);
    return held ? world.injected : 0;
}

static bool takes_each_packet_once(const void *context)
{
    uint64_t worlds = ed_attack_count(10, 3334);
    uint64_t total = 0, injected = 1;

    (void)context;
    for (uint64_t seed = 1; seed <= worlds && injected > 0; seed++)
        total += injected = play(seed);
    if (injected > 0)
        ed_attack_figure("T7: %llu replays of packets of %llu sessions: accepted 0",
                         (unsigned long long)total, (unsigned long long)worlds * CLIENTS);
    return injected > 0;
}

static void t7_replayed_packets_are_dropped(void **state)
{
    const ed_attack attack = {.name = "T7 packets again",
                              .mount = takes_each_packet_once,
                              .checks = {EDDY_CHECK_PACKET_REPLAY}};

    (void)state;
    ed_attack_run(&attack);
}

/* ------------------------------------------------------------------------------- T8: handshakes --
 */

static ed_wire wire;
static ed_wire_host *server, *client;
static ed_wire_copy hello, initiate, accept;
static uint64_t accepts_elsewhere;
static bool is_held_back;

static bool watch(void *context, eddy_datagram *datagram)
{
    ed_form form = ed_form_of(datagram->data, datagram->size);

    (void)context;
    accepts_elsewhere +=
        form == ED_FORM_ACCEPT && !eddy_address_equal(&datagram->remote, &client->address);
    return form != ED_FORM_INITIATE || !is_held_back;
}

static void capture(void)
{
    hello = *ed_wire_newest(&wire, ED_FORM_HELLO);
    initiate = *ed_wire_newest(&wire, ED_FORM_INITIATE);
    accept = *ed_wire_newest(&wire, ED_FORM_ACCEPT);
    CHECK("captured", hello.datagram.size > 0 && initiate.datagram.size > 0);
}

/** All that was captured, from where it came and from elsewhere, to both ends. */
static void replay_all(void)
{
    eddy_address elsewhere = ed_wire_address(7);
    const ed_wire_copy *up[] = {&hello, &initiate};

    for (size_t i = 0; i < ED_COUNT(up); i++) {
        ed_wire_forge(&wire, &elsewhere, &server->address, up[i]->data, up[i]->datagram.size);
        ed_wire_forge(&wire, &client->address, &server->address, up[i]->data, up[i]->datagram.size);
    }
    if (accept.datagram.size > 0)
        ed_wire_forge(&wire, &server->address, &client->address, accept.data, accept.datagram.size);
    ed_wire_run_for(&wire, 100 * ED_NS_PER_MS);
}

static void begin(const char *name)
{
    eddy_config server_config = ed_wire_server_config(), client_config = ed_wire_client_config();
    eddy_address here = ed_wire_address(1), there = ed_wire_address(2);

    accepts_elsewhere = 0;
    is_held_back = false;
    ed_wire_open(&wire, name, 8);
    wire.tap = watch;
    server = ed_wire_add(&wire, &server_config, &here);
    client = ed_wire_add(&wire, &client_config, &there);
    ed_wire_run_for(&wire, 0);
    CHECK_EQ("dial", ed_wire_connect(client, &here, NULL), EDDY_OK);
}

static void hang_up(void)
{
    CHECK_EQ("end", eddy_disconnect(client->manager, client->newest, 0, NULL, 0), EDDY_OK);
    ed_wire_touch(client);
    ed_wire_run_for(&wire, 2 * ED_NS_PER_S);
    CHECK("over", client->disconnected == 1 && server->disconnected == 1);
}

/** Before its own has arrived, the victim's INITIATE comes from elsewhere. */
static bool before(void)
{
    is_held_back = true;
    ed_wire_run_for(&wire, 100 * ED_NS_PER_MS);
    is_held_back = false;
    capture();
    ed_wire_forge(&wire,
                  &(eddy_address){.family = EDDY_FAMILY_IPV4, .ip = {11, 0, 0, 7}, .port = 9},
                  &server->address, initiate.data, initiate.datagram.size);
    ed_wire_run_for(&wire, 10 * ED_NS_PER_MS);
    return ed_wire_await_connected(&wire, server, 1, 2 * ED_NS_PER_S) && client->connected == 1;
}

static void connect_and_capture(void)
{
    CHECK("connected", ed_wire_await_connected(&wire, server, 1, 2 * ED_NS_PER_S));
    ed_wire_run_for(&wire, 100 * ED_NS_PER_MS);
    capture();
}

static bool while_connected(void)
{
    connect_and_capture();
    replay_all();
    ed_wire_run_for(&wire, 6 * ED_NS_PER_S);
    return ed_wire_say(client, "still here") == EDDY_OK &&
           (ed_wire_run_for(&wire, ED_NS_PER_S), server->messages == 1);
}

static bool after_the_end(void)
{
    connect_and_capture();
    hang_up();
    replay_all();
    ed_wire_run_for(&wire, 6 * ED_NS_PER_S);
    return client->connected == 1;
}

/** @return whether it has sent so many datagrams since it had sent `sent`, and no ACCEPT. */
static bool has_sent_cookies(uint64_t sent, uint64_t count)
{
    return ed_wire_stats(server).sent_datagrams == sent + count &&
           ed_wire_newest(&wire, ED_FORM_ACCEPT)->datagram.size == 0;
}

/** @return whether each of two HELLOs and two INITIATEs gets a cookie: nobody is let in. */
static bool gets_cookies_alone(void)
{
    uint64_t sent = ed_wire_stats(server).sent_datagrams;

    ed_wire_newest_clear(&wire, ED_FORM_ACCEPT);
    replay_all();
    return has_sent_cookies(sent, 4);
}

static bool later_than_a_cookie_lives(void)
{
    connect_and_capture();
    hang_up();
    ed_wire_run_for(&wire, (ED_COOKIE_AGE_MAX_S + 1) * ED_NS_PER_S);
    return gets_cookies_alone();
}

static bool after_a_restart(void)
{
    connect_and_capture();
    ed_wire_crash(server);
    server->draws++;
    ed_wire_start(server);
    ed_wire_run_for(&wire, ED_NS_PER_MS);
    return gets_cookies_alone();
}

/** The ACCEPT of the time before does not disturb the client that comes again. */
static bool at_the_next_time(void)
{
    connect_and_capture();
    hang_up();
    is_held_back = true;
    CHECK_EQ("dial", ed_wire_connect(client, &server->address, NULL), EDDY_OK);
    ed_wire_run_for(&wire, 100 * ED_NS_PER_MS);
    ed_wire_forge(&wire, &server->address, &client->address, accept.data, accept.datagram.size);
    ed_wire_run_for(&wire, 10 * ED_NS_PER_MS);
    is_held_back = false;
    uint64_t refused = ed_wire_refusals(client, EDDY_CHECK_ACCEPT_NONCE);
    bool held = refused == 1 && client->connected == 1 &&
                ed_wire_await_connected(&wire, client, 2, 2 * ED_NS_PER_S);
    server->connected = 1; // the second is the client's own
    return held;
}

/** The client comes again by the ticket that it was given; then that is over, too. */
static void come_again_by_ticket(void)
{
    connect_and_capture();
    hang_up();
    ed_wire_run_for(&wire, 3 * ED_NS_PER_S); // the server has forgotten it
    CHECK_EQ("dial", ed_wire_connect(client, &server->address, NULL), EDDY_OK);
    CHECK("again", ed_wire_await_connected(&wire, server, 2, 2 * ED_NS_PER_S));
    capture();
    CHECK("a ticket", (initiate.data[32] & 0x80) != 0);
    CHECK_EQ("end", eddy_disconnect(client->manager, client->newest, 0, NULL, 0), EDDY_OK);
    ed_wire_touch(client);
    ed_wire_run_for(&wire, 5 * ED_NS_PER_S);
    server->connected = 1; // the second was the client's own
}

/** @return whether the INITIATE with the ticket gets a cookie there, and no ACCEPT. */
static bool gets_a_cookie(const eddy_address *from)
{
    uint64_t sent = ed_wire_stats(server).sent_datagrams;

    ed_wire_newest_clear(&wire, ED_FORM_ACCEPT);
    ed_wire_forge(&wire, from, &server->address, initiate.data, initiate.datagram.size);
    ed_wire_run_for(&wire, 100 * ED_NS_PER_MS);
    return has_sent_cookies(sent, 1);
}

static bool with_its_ticket_elsewhere(void)
{
    eddy_address elsewhere = ed_wire_address(7);

    come_again_by_ticket();
    return gets_a_cookie(&elsewhere) && ed_wire_refusals(server, EDDY_CHECK_TICKET) == 1;
}

static bool with_its_ticket_again(void)
{
    come_again_by_ticket();
    return gets_a_cookie(&client->address);
}

typedef struct moment {
    const char *name;
    bool (*holds)(void);
    eddy_check check;
} moment;

static bool lets_nobody_in_twice(const void *context)
{
    const moment *when = context;

    begin(when->name);
    bool held = when->holds() && server->connected == 1 && accepts_elsewhere == 0;
    ed_wire_close(&wire);
    return held;
}

static void t8_replayed_handshakes_let_nobody_in(void **state)
{
    static const moment moments[] = {
        {"T8 before the victim's own", before, EDDY_CHECK_COOKIE},
        {"T8 while it is connected", while_connected, EDDY_CHECK_COOKIE},
        {"T8 after its end", after_the_end, EDDY_CHECK_COOKIE},
        {"T8 later", later_than_a_cookie_lives, EDDY_CHECK_COOKIE},
        {"T8 after a restart", after_a_restart, EDDY_CHECK_COOKIE},
        {"T8 a ticket elsewhere", with_its_ticket_elsewhere, EDDY_CHECK_TICKET},
        {"T8 a ticket again", with_its_ticket_again, EDDY_CHECK_TICKET_USED},
        {"T8 at the next time", at_the_next_time, EDDY_CHECK_ACCEPT_NONCE},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(moments); i++) {
        const ed_attack attack = {.name = moments[i].name,
                                  .mount = lets_nobody_in_twice,
                                  .context = &moments[i],
                                  .checks = {moments[i].check}};
        ed_attack_run(&attack);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t7_replayed_packets_are_dropped),
        cmocka_unit_test(t8_replayed_handshakes_let_nobody_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
