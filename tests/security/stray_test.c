/**
 * Datagrams that nobody waits for: resets to one who asks for all of them (T1), two ends that go on
 * answering each other (T23), and questions to a listener for discovery, which there is not (T40);
 * and none is dropped without being counted.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/addr.h"
#include "sim/random.h"
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/stranger.h"
#include "transport/limits.h"

enum {
    DATAGRAMS_MAX = 4, /* that one trigger may cause */
    ENOUGH = 1000,
};

static ed_cluster cluster;
static ed_wire wire;
static uint64_t datagrams; /* sent since */
static ed_rng rng;

static bool count_one(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    (void)context;
    (void)datagram;
    (void)now_ns;
    return ++datagrams > ENOUGH;
}

/** Two servers; or one, and a service that says everything again. */
static void open_servers(const char *name, size_t count)
{
    eddy_config config = ed_cluster_server_config();

    ed_cluster_open(&cluster, name, 23);
    for (size_t i = 0; i < count; i++)
        (void)ed_cluster_add(&cluster, &config);
    ed_world_observe(cluster.world, count_one, NULL);
}

/** Something of this first byte and size, random but for that. */
static void forge(const eddy_address *from, const eddy_address *to, uint8_t first, size_t size)
{
    uint8_t data[ED_DATAGRAM_SIZE];
    eddy_datagram datagram = {.local = *from, .remote = *to, .data = data, .size = size};

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)ed_rng_next(&rng);
    data[0] = first;
    CHECK("forged", ed_world_forge(cluster.world, &datagram));
}

/** @return what it caused, itself too. */
static uint64_t trigger(const eddy_address *from, const eddy_address *to, uint8_t first,
                        size_t size)
{
    datagrams = 1;
    forge(from, to, first, size);
    ed_cluster_run_for(&cluster, 2 * ED_NS_PER_S);
    return datagrams;
}

/** Of every kind, in sizes around those that matter. @return the most that one caused. */
static uint64_t worst_of_all(const eddy_address *from, const eddy_address *to)
{
    static const uint8_t firsts[] = {0x40, 0x5f, 0x60, 0x7f, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0};
    static const size_t sizes[] = {1,  20, 21,  37,  38,  39,   43,  44,
                                   45, 48, 100, 204, 252, 1199, 1200};
    uint64_t worst = 0;

    for (size_t i = 0; i < ED_COUNT(firsts); i++)
        for (size_t j = 0; j < ED_COUNT(sizes); j++)
            worst = ed_max_u64(worst, trigger(from, to, firsts[i], sizes[j]));
    return worst;
}

static bool two_servers_fall_silent(const void *context)
{
    (void)context;
    open_servers("two servers", 2);
    uint64_t worst = worst_of_all(&cluster.nodes[0].address, &cluster.nodes[1].address);
    ed_cluster_close(&cluster);
    ed_attack_figure("T23 two servers, each fed what the other says: %llu datagrams at most",
                     (unsigned long long)worst);
    return worst > 1 && worst <= DATAGRAMS_MAX;
}

static eddy_socket echo_socket;

static uint64_t echo(void *context, uint64_t now_ns)
{
    eddy_datagram datagram;

    (void)context;
    (void)now_ns;
    while (echo_socket.receive(echo_socket.context, &datagram, 1) == 1)
        CHECK_EQ("echo", echo_socket.send(echo_socket.context, &datagram, 1), 1);
    return ED_NEVER_NS;
}

/** @param context the service's port. */
static bool a_service_falls_silent(const void *context)
{
    eddy_address at = ed_addr_ipv4(10, 7, 7, 7, *(const uint16_t *)context);

    open_servers("echo", 1);
    ed_host *host = ed_world_socket(cluster.world, &at, &echo_socket);
    CHECK("host", host != NULL);
    ed_world_attach(cluster.world, host, echo, NULL);
    uint64_t worst = worst_of_all(&at, &cluster.nodes[0].address);
    ed_cluster_close(&cluster);
    ed_attack_figure(
        "T23 a server, and who says everything again on port %u: %llu datagrams at most", at.port,
        (unsigned long long)worst);
    return worst <= (at.port == 7 ? 1 : DATAGRAMS_MAX);
}

/** A HELLO that is as good as any: a service would answer to the answer. */
static bool greets_no_service(const void *context)
{
    eddy_config config = ed_wire_server_config();
    eddy_address here = ed_wire_address(1);
    ed_stranger service = ed_stranger_of(2), player = ed_stranger_of(2);

    (void)context;
    ed_wire_open(&wire, "T23 HELLO", 23);
    const ed_wire_host *server = ed_wire_add(&wire, &config, &here);
    ed_wire_run_for(&wire, 0);
    service.address.port = 7;
    player.address.port = 5000;
    bool held =
        !ed_stranger_greet(&service, &wire, server) && ed_wire_stats(server).sent_datagrams == 0 &&
        ed_wire_stats(server).dropped_limit == 1 && ed_stranger_greet(&player, &wire, server);
    ed_wire_close(&wire);
    return held;
}

static void t23_nobody_answers_forever(void **state)
{
    static const uint16_t ports[] = {7, 5000};

    (void)state;
    ed_attack_run(&(ed_attack){
        .name = "T23 two servers", .mount = two_servers_fall_silent, .checks = {EDDY_CHECK_STRAY}});
    ed_attack_run(&(ed_attack){.name = "T23 the echo service",
                               .mount = a_service_falls_silent,
                               .context = &ports[0],
                               .checks = {EDDY_CHECK_PORT}});
    ed_attack_run(&(ed_attack){
        .name = "T23 a service's HELLO", .mount = greets_no_service, .checks = {EDDY_CHECK_PORT}});
    ed_attack_run(&(ed_attack){.name = "T23 an echo elsewhere",
                               .mount = a_service_falls_silent,
                               .context = &ports[1],
                               .checks = {EDDY_CHECK_STRAY}});
}

/** Packets of no connection from one address; and then one from another. */
static bool one_source_has_its_share(const void *context)
{
    enum { PACKETS = 5000, PER_MS = 2, SHARE = 10 }; // that is more than may leave to all
    const uint64_t seconds = PACKETS / PER_MS / 1000 + 1;

    (void)context;
    open_servers("resets", 3);
    const ed_node *nodes = cluster.nodes;
    for (unsigned i = 0; i < PACKETS; i++) {
        forge(&nodes[1].address, &nodes[0].address, 0x60, ED_CLIENT_PACKET_SIZE_MIN);
        if (i % PER_MS == 0)
            ed_cluster_run_for(&cluster, ED_NS_PER_MS);
    }
    uint64_t sent = ed_node_stats(&nodes[0]).resets_sent;
    forge(&nodes[2].address, &nodes[0].address, 0x60, ED_CLIENT_PACKET_SIZE_MIN);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    bool heard = ed_node_stats(&nodes[0]).resets_sent > sent;
    ed_cluster_close(&cluster);
    ed_attack_figure("T1 %d packets of no connection from one address in %llu s: %llu resets",
                     PACKETS, (unsigned long long)seconds, (unsigned long long)sent);
    return heard && sent > SHARE && sent <= SHARE * (1 + seconds);
}

static void t1_resets_are_shared_out(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){.name = "T1 resets for one",
                               .mount = one_source_has_its_share,
                               .checks = {EDDY_CHECK_RESETS_EACH}});
}

/* ------------------------------------------------------------------------------ T40: discovery --
 */

static bool has_listener; /* somebody added one */

static void add_listener(void)
{
    has_listener = true;
}

/** Whether a descriptor of this process is the socket of this inode. */
static bool is_ours(unsigned long inode)
{
    char path[64], want[64], target[64] = {0};
    bool found = false;
    DIR *folder = opendir("/proc/self/fd");

    CHECK("descriptors", folder != NULL);
    (void)snprintf(want, sizeof(want), "socket:[%lu]", inode);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%.20s", entry->d_name);
        ssize_t size = readlink(path, target, sizeof(target) - 1);
        target[size > 0 ? size : 0] = 0;
        found |= strcmp(target, want) == 0;
    }
    (void)closedir(folder);
    return found;
}

/** Counts our sockets of one table of the kernel's, and those that are not on the port. */
static void count_sockets(const char *path, uint16_t port, unsigned *all, unsigned *others)
{
    char line[512];
    FILE *table = fopen(path, "r");

    if (table == NULL)
        return; // no such family
    while (fgets(line, sizeof(line), table) != NULL) {
        unsigned at = 0;
        unsigned long inode = 0;
        if (sscanf(line, "%*u: %*[0-9A-F]:%x %*s %*s %*s %*s %*s %*s %*s %lu", &at, &inode) != 2 ||
            !is_ours(inode))
            continue;
        (*all)++;
        *others += at != port ? 1 : 0;
    }
    (void)fclose(table);
}

/** A server listens on the port that it was told, and nowhere else. */
static bool there_is_no_other_listener(const void *context)
{
    eddy_config config = ed_cluster_server_config();
    eddy_manager *manager = NULL, *other = NULL;
    unsigned all = 0, others = 0;

    (void)context;
    config.bind = "127.0.0.1:0";
    CHECK_EQ("open", eddy_open(&manager, &config), EDDY_OK);
    if (has_listener)
        CHECK_EQ("open", eddy_open(&other, &config), EDDY_OK);
    eddy_address local = eddy_local_address(manager);
    count_sockets("/proc/self/net/udp", local.port, &all, &others);
    count_sockets("/proc/self/net/udp6", local.port, &all, &others);
    (void)eddy_close(manager, 0);
    (void)eddy_close(other, 0);
    ed_attack_figure("T40 %u sockets of a server, %u of them on another port than its own", all,
                     others);
    return all > 0 && others == 0;
}

/** What has no HELLO's form is not answered, whatever it asks. */
static void no_question_is_answered(void)
{
    enum { QUESTIONS = 5000 };
    uint64_t answered = 0;

    open_servers("questions", 2);
    for (int i = 0; i < QUESTIONS; i++)
        answered += trigger(&cluster.nodes[1].address, &cluster.nodes[0].address, (uint8_t)i,
                            1 + (size_t)i % 1200) -
                    1;
    eddy_stats stats = ed_node_stats(&cluster.nodes[0]);
    CHECK("they came", stats.received_datagrams >= QUESTIONS);
    // Resets go to who shows the id of a connection, and are no news of the server.
    CHECK_EQ("answers", answered, ed_cluster_stats(&cluster).resets_sent);
    ed_cluster_close(&cluster);
    ed_attack_figure("T40 %d questions of every first byte: no answer but %llu resets", QUESTIONS,
                     (unsigned long long)answered);
}

static void t40_there_is_no_discovery(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){
        .name = "T40 listeners", .mount = there_is_no_other_listener, .weaken = add_listener});
    no_question_is_answered();
}

/* --------------------------------------------------------------------------------- counters -- */

static bool keep_back(void *context, eddy_datagram *datagram)
{
    (void)context;
    (void)datagram;
    return false;
}

/** It goes on for a while, as its client acknowledges nothing any more. */
static void shut_down(ed_wire_host *server)
{
    wire.tap = keep_back;
    CHECK_EQ(wire.name, ed_wire_say(server, "before I go"), EDDY_OK);
    eddy_shutdown(server->manager, 5000);
    ed_wire_touch(server);
    ed_wire_run_for(&wire, 10 * ED_NS_PER_MS);
}

/** A handshake's datagram comes again to one that has no use for it. */
static void what_nobody_waits_for_is_counted(void **state)
{
    static const struct {
        const char *name;
        ed_form form;
        bool is_to_client;
        bool is_ending; /* the server */
    } rows[] = {
        {"RETRY, connected", ED_FORM_RETRY, true, false},
        {"ACCEPT, connected", ED_FORM_ACCEPT, true, false},
        {"HELLO, shutting down", ED_FORM_HELLO, false, true},
        {"INITIATE, shutting down", ED_FORM_INITIATE, false, true},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_wire_host *server = NULL, *client = NULL;
        ed_wire_open(&wire, rows[i].name, 24);
        ed_wire_add_pair(&wire, &server, &client);
        if (rows[i].is_ending)
            shut_down(server);
        const ed_wire_host *from = rows[i].is_to_client ? server : client;
        const ed_wire_host *to = rows[i].is_to_client ? client : server;
        const ed_wire_copy *seen = ed_wire_newest(&wire, rows[i].form);
        eddy_stats before = ed_wire_stats(to);
        ed_wire_forge(&wire, &from->address, &to->address, seen->data, seen->datagram.size);
        ed_wire_run_for(&wire, ED_WIRE_RUSH_US * ED_NS_PER_US);
        eddy_stats after = ed_wire_stats(to);
        CHECK_EQ(rows[i].name, after.received_datagrams - before.received_datagrams, 1);
        CHECK_EQ(rows[i].name, after.dropped_unknown - before.dropped_unknown, 1);
        ed_wire_close(&wire);
    }
}

/** A packet of no connection is answered, but not by who ends. */
static void who_ends_answers_no_stranger(void **state)
{
    static const struct {
        const char *name;
        bool is_ending;
        uint64_t resets;
    } rows[] = {{"stays", false, 1}, {"shuts down", true, 0}};
    const eddy_address stranger = ed_wire_address(3);
    const uint8_t packet[ED_CLIENT_PACKET_SIZE_MIN] = {0x60};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_wire_host *server = NULL, *client = NULL;
        ed_wire_open(&wire, rows[i].name, 25);
        ed_wire_add_pair(&wire, &server, &client);
        if (rows[i].is_ending)
            shut_down(server);
        eddy_stats before = ed_wire_stats(server);
        ed_wire_forge(&wire, &stranger, &server->address, packet, sizeof packet);
        ed_wire_run_for(&wire, ED_WIRE_RUSH_US * ED_NS_PER_US);
        eddy_stats after = ed_wire_stats(server);
        CHECK_EQ(rows[i].name, after.resets_sent, rows[i].resets);
        CHECK_EQ(rows[i].name, after.dropped_unknown - before.dropped_unknown, 1);
        ed_wire_close(&wire);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t23_nobody_answers_forever),
        cmocka_unit_test(t1_resets_are_shared_out),
        cmocka_unit_test(t40_there_is_no_discovery),
        cmocka_unit_test(what_nobody_waits_for_is_counted),
        cmocka_unit_test(who_ends_answers_no_stranger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
