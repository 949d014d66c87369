/** Several sockets of one port, and which of them gets what: on the loopback interface. */
#include "tests/support/check.h"

#include <stdio.h>

#include "core/addr.h"
#include "core/base.h"
#include "tests/support/udp_rig.h"

enum {
    COUNT = 4,
    CLIENTS = 16, /* so that none of it is right by chance */
    BATCH = 64,
    SIZE = 60,
    SOURCES = 4096,
    HELLO = 0xe1,
    INITIATE = 0xe3,
};

static const struct {
    const char *bind;
    const char *reached_at;
    const char *client;
} ends[] = {
    {"127.0.0.1:0", "127.0.0.1:1", "127.0.0.1:0"},
    {":0", "127.0.0.1:1", "127.0.0.1:0"},
    {"[::1]:0", "[::1]:1", "[::1]:0"},
    {":0", "[::1]:1", "[::1]:0"},
};

static const ed_udp_options split = {.split = true};
static eddy_socket shards[COUNT], clients[CLIENTS];
static eddy_address to;

static void open_all(const char *bind, const char *reached_at, const char *client)
{
    CHECK_EQ(bind, ed_udp_open_all(shards, COUNT, ed_alloc_default(), bind, &split), EDDY_OK);
    for (size_t i = 0; i < CLIENTS; i++)
        CHECK_EQ(client, ed_udp_open(&clients[i], ed_alloc_default(), client, NULL), EDDY_OK);
    to = ed_udp_rig_at(reached_at, &shards[0]);
    for (size_t i = 0; i < COUNT; i++) {
        CHECK_EQ("port", shards[i].local(shards[i].context).port, to.port);
        CHECK("queues", ed_udp_rig_stats(&shards[i]).split);
    }
}

static void close_all(void)
{
    for (size_t i = 0; i < CLIENTS; i++)
        clients[i].close(clients[i].context);
    for (size_t i = 0; i < COUNT; i++)
        shards[i].close(shards[i].context);
}

static void send_from(eddy_socket *client, const eddy_address *local, const uint8_t *head,
                      size_t size)
{
    uint8_t data[SIZE] = {0};
    eddy_datagram datagram = {.remote = to, .data = data, .size = size};

    memcpy(data, head, 2);
    if (local != NULL)
        datagram.local = *local;
    CHECK_EQ("sent", client->send(client->context, &datagram, 1), 1);
}

/** Empties a shard's queues. @return how many datagrams there were. */
static size_t drain(eddy_socket *shard)
{
    eddy_datagram datagrams[BATCH];
    size_t count = 0;

    // Nothing may be said once, though more waits: see ED_UDP_TURN.
    for (size_t nothing = 0; nothing < 2;) {
        size_t got = shard->receive(shard->context, datagrams, BATCH);
        count += got;
        nothing = got == 0 ? nothing + 1 : 0;
    }
    return count;
}

static void what_is_not_by_address(void **state)
{
    static const struct {
        const char *name;
        uint8_t head[2];
        size_t size;
        size_t shard;
    } rows[] = {
        {"id of shard 0", {0x60, 0}, SIZE, 0},
        {"id of shard 1", {0x61, 1}, SIZE, 1},
        {"id of shard 2", {0x7f, 2}, SIZE, 2},
        {"id of the last shard", {0x60, COUNT - 1}, SIZE, COUNT - 1},
        {"shortest with a shard", {0x60, 3}, 2, 3},
        {"id of no shard", {0x60, COUNT}, SIZE, 0},
        {"nor the number of a queue of handshakes", {0x60, COUNT + 1}, SIZE, 0},
        {"nor one past all queues", {0x60, 2 * COUNT}, SIZE, 0},
        {"the highest number", {0x60, 255}, SIZE, 0},
        {"packet without an id", {0x40, 3}, SIZE, 0},
        {"one byte", {0x60, 3}, 1, 0},
        {"no bytes", {0x60, 3}, 0, 0},
        {"no packet at all", {0x20, 3}, SIZE, 0},
        {"zeros", {0, 0}, SIZE, 0},
        {"RETRY", {0xe2, 3}, SIZE, 0},
        {"ACCEPT", {0xe4, 3}, SIZE, 0},
        {"REJECT", {0xe5, 3}, SIZE, 0},
        {"no handshake", {0x80, 3}, SIZE, 0},
        {"nor this", {0xff, 3}, SIZE, 0},
    };

    (void)state;
    for (size_t e = 0; e < ED_COUNT(ends); e++) {
        if (ends[e].client[0] == '[' && !ed_udp_rig_ipv6())
            continue;
        open_all(ends[e].bind, ends[e].reached_at, ends[e].client);
        for (size_t i = 0; i < ED_COUNT(rows); i++) {
            for (size_t k = 0; k < CLIENTS; k++)
                send_from(&clients[k], NULL, rows[i].head, rows[i].size);
            for (size_t s = 0; s < COUNT; s++)
                CHECK_EQ(rows[i].name, drain(&shards[s]), s == rows[i].shard ? CLIENTS : 0);
        }
        close_all();
    }
}

/** @return the one shard that has got all that came. */
static size_t find_shard(const char *name, size_t count)
{
    size_t found = COUNT;

    for (size_t s = 0; s < COUNT; s++) {
        size_t got = drain(&shards[s]);
        CHECK(name, got == 0 || (got == count && found == COUNT));
        found = got == 0 ? found : s;
    }
    CHECK(name, found < COUNT);
    return found;
}

/** All that one address says to connect comes to one shard, and not all addresses to the same. */
static void a_handshake_stays_in_one_place(void **state)
{
    static const uint8_t heads[][2] = {{HELLO, 1}, {INITIATE, 2}, {INITIATE, 9}, {HELLO, 0xff}};

    (void)state;
    for (size_t e = 0; e < ED_COUNT(ends); e++) {
        size_t others = 0;
        if (ends[e].client[0] == '[' && !ed_udp_rig_ipv6())
            continue;
        open_all(ends[e].bind, ends[e].reached_at, ends[e].client);
        for (size_t k = 0; k < CLIENTS; k++) {
            for (size_t i = 0; i < ED_COUNT(heads); i++)
                send_from(&clients[k], NULL, heads[i], SIZE);
            others += find_shard(ends[e].bind, ED_COUNT(heads)) != 0 ? 1 : 0;
        }
        // All by chance in shard 0: once in 4^16.
        CHECK(ends[e].bind, others > 0);
        close_all();
    }
}

/** From many addresses and one port each shard gets its part. The bounds are 7 deviations wide. */
static void addresses_are_spread(void **state)
{
    static const uint8_t hello[2] = {HELLO};
    size_t got[COUNT] = {0};

    (void)state;
    CHECK_EQ("open", ed_udp_open_all(shards, COUNT, ed_alloc_default(), "127.0.0.1:0", &split),
             EDDY_OK);
    CHECK_EQ("client", ed_udp_open(&clients[0], ed_alloc_default(), "0.0.0.0:0", NULL), EDDY_OK);
    to = ed_udp_rig_at("127.0.0.1:1", &shards[0]);
    for (unsigned i = 0; i < SOURCES; i++) {
        eddy_address from = ed_addr_ipv4(127, 0, (uint8_t)(1 + i / 256), (uint8_t)(i % 256), 0);
        send_from(&clients[0], &from, hello, SIZE);
        for (size_t s = 0; i % BATCH == BATCH - 1 && s < COUNT; s++)
            got[s] += drain(&shards[s]);
    }
    for (size_t s = 0; s < COUNT; s++)
        CHECK("its part", got[s] > SOURCES / COUNT - 200 && got[s] < SOURCES / COUNT + 200);
    CHECK_EQ("all", got[0] + got[1] + got[2] + got[3], SOURCES);
    clients[0].close(clients[0].context);
    for (size_t i = 0; i < COUNT; i++)
        shards[i].close(shards[i].context);
}

static void without_steering(void **state)
{
    static const ed_udp_options options = {.split = true, .no_steering = true};
    static const struct {
        const char *name;
        uint32_t count;
        eddy_status want;
    } rows[] = {{"one does without", 1, EDDY_OK}, {"several cannot", COUNT, EDDY_ESUPPORT}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_counting_alloc memory;
        eddy_socket sockets[COUNT] = {{0}};
        ed_counting_alloc_init(&memory, ed_alloc_default());
        eddy_status got =
            ed_udp_open_all(sockets, rows[i].count, &memory.allocator, "127.0.0.1:0", &options);
        CHECK_EQ(rows[i].name, got, rows[i].want);
        CHECK_EQ(rows[i].name, sockets[0].context != NULL, got == EDDY_OK);
        if (got == EDDY_OK) {
            CHECK(rows[i].name, !ed_udp_rig_stats(&sockets[0]).split);
            sockets[0].close(sockets[0].context);
        }
        CHECK_EQ(rows[i].name, memory.live_count, 0);
    }
}

static void the_port_is_one_server_s(void **state)
{
    eddy_socket others[COUNT];
    char bind[EDDY_ADDRESS_TEXT_SIZE];

    (void)state;
    open_all("127.0.0.1:0", "127.0.0.1:1", "127.0.0.1:0");
    (void)snprintf(bind, sizeof bind, "127.0.0.1:%u", (unsigned)to.port);
    CHECK_EQ("taken", ed_udp_open_all(others, COUNT, ed_alloc_default(), bind, &split),
             EDDY_EINUSE);
    CHECK_EQ("taken", ed_udp_open(others, ed_alloc_default(), bind, NULL), EDDY_EINUSE);
    close_all();
    CHECK_EQ("free", ed_udp_open_all(others, COUNT, ed_alloc_default(), bind, &split), EDDY_OK);
    for (size_t i = 0; i < COUNT; i++)
        others[i].close(others[i].context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_by_address),
        cmocka_unit_test(a_handshake_stays_in_one_place),
        cmocka_unit_test(addresses_are_spread),
        cmocka_unit_test(without_steering),
        cmocka_unit_test(the_port_is_one_server_s),
    };
    return cmocka_run_group_tests_name("udp_shards", tests, NULL, NULL);
}
