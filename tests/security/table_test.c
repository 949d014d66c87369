/** Packet numbers at their edges (T29), and tables whose keys others choose (T30). */
#include <stdlib.h>

#include "core/addr.h"
#include "core/alloc.h"
#include "core/crypto.h"
#include "core/map.h"
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/rogue.h"

/* ------------------------------------------------------------------------- T29: packet numbers --
 */

static ed_duel duel;

/** From now on an end sends numbers from `first` on, and the other expects them. */
static void start_at(ed_conn *from, ed_conn *to, uint64_t first)
{
    ed_ack_free(&to->ack);
    to->replay = (ed_replay){.next = first};
    from->sent.first = from->sent.next = first;
    from->sent.gap_at = 0;
    from->secrets->keys.send_first = first;
    to->secrets->keys.receive_first = first;
    ed_loss_init(&from->loss);
    from->loss.any_acked = true;
    from->loss.largest_acked = first - 1;
    from->loss.scan_from = first;
}

/** Carries all that one end has to say to the other, each datagram twice. @return how many. */
static uint64_t carry_twice(ed_conn *from, ed_conn *to, const ed_path *as_seen)
{
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX], copy[EDDY_DATAGRAM_SIZE_MAX];
    uint64_t count = 0;
    ed_path path;

    for (size_t size = ed_conn_transmit(from, &path, data, duel.now_ns); size > 0;
         size = ed_conn_transmit(from, &path, data, duel.now_ns)) {
        eddy_datagram datagram = {.remote = as_seen->remote, .size = size};
        memcpy(copy, data, size);
        datagram.data = data; // each is overwritten as it is opened
        ed_conn_receive(to, &datagram, duel.now_ns);
        datagram.data = copy;
        ed_conn_receive(to, &datagram, duel.now_ns);
        count++;
    }
    return count;
}

/** Both ends say PING in turns, and acknowledge. @return whether each came, and none twice. */
static bool talk_over(uint64_t first, int rounds)
{
    ed_path up = {.remote = ed_addr_ipv4(192, 0, 2, 1, 4000)};
    uint64_t carried = 0;

    ed_duel_open(&duel);
    (void)carry_twice(&duel.server, &duel.client, &up);
    start_at(&duel.client, &duel.server, first);
    start_at(&duel.server, &duel.client, first);
    uint64_t before = duel.bed.stats.dropped_replayed;
    for (int i = 0; i < rounds; i++) {
        duel.client.ping_pending = duel.server.ping_pending = true;
        duel.now_ns += 30 * ED_NS_PER_MS;
        carried += carry_twice(&duel.client, &duel.server, &duel.from);
        carried += carry_twice(&duel.server, &duel.client, &up);
    }
    uint64_t replayed = duel.bed.stats.dropped_replayed - before;
    bool open = duel.server.state == ED_CONN_CONNECTED && duel.client.state == ED_CONN_CONNECTED;
    bool acknowledged = duel.server.loss.largest_acked > first && duel.client.loss.in_flight < 200;
    ed_duel_close(&duel);
    return open && acknowledged && carried >= 2u * (unsigned)rounds && replayed == carried;
}

#define TWO(n) (UINT64_C(1) << (n))

static bool numbers_go_over_every_edge(const void *context)
{
    static const uint64_t edges[] = {TWO(8),  TWO(16), TWO(24), TWO(31), UINT64_C(2100000000),
                                     TWO(32), TWO(40), TWO(48), TWO(56), TWO(60) - 2000};
    bool all = true;

    (void)context;
    for (size_t i = 0; i < ED_COUNT(edges); i++)
        all &= talk_over(edges[i] - 40, 60);
    return all;
}

/** With the last number a connection ends; none is used again, whichever is left out. */
static void the_last_number_ends_it(uint64_t left_out)
{
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
    ed_path path;

    ed_duel_open(&duel);
    start_at(&duel.server, &duel.client, ED_PACKET_NUMBER_LAST - 100);
    duel.server.sent.gap_at = left_out;
    for (int i = 0; i < 200 && duel.server.state == ED_CONN_CONNECTED; i++) {
        duel.server.ping_pending = true;
        duel.now_ns += 30 * ED_NS_PER_MS;
        (void)ed_conn_transmit(&duel.server, &path, data, duel.now_ns);
    }
    CHECK_EQ("over", duel.server.state, ED_CONN_CLOSED);
    CHECK_EQ("why", duel.server.end, EDDY_END_PROTOCOL);
    CHECK("the last", duel.server.sent.next <= ED_PACKET_NUMBER_LAST);
    ed_duel_close(&duel);
}

static void t29_numbers_at_their_edges(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){.name = "T29 edges",
                               .mount = numbers_go_over_every_edge,
                               .checks = {EDDY_CHECK_PACKET_REPLAY}});
    for (uint64_t before = 0; before < 4; before++)
        the_last_number_ends_it(ED_PACKET_NUMBER_LAST - before);
}

/* -------------------------------------------------------------------------- T30: hash flooding --
 */

enum {
    CHOSEN = 1024, /* addresses that all have one home, if the key is known */
    PROBE_MAX = 32,
};

static uint8_t map_key[ED_MAP_HASH_KEY_SIZE];

static void publish_the_key(void)
{
    memset(map_key, 0, sizeof(map_key));
}

static eddy_address address_of(uint64_t n)
{
    return ed_addr_ipv4((uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n,
                        (uint16_t)(n >> 32));
}

static ed_map *map_of(size_t capacity)
{
    ed_map *map = ed_map_create(ed_alloc_default(), sizeof(eddy_address), capacity, map_key);

    CHECK("map", map != NULL);
    return map;
}

static void put(ed_map *map, const eddy_address *address)
{
    CHECK_EQ("put", ed_map_put(map, address, 1), EDDY_OK);
}

/** Addresses chosen for a key that the attacker believes in: zeros. */
static size_t probe_of_the_chosen(void)
{
    static const uint8_t believed[ED_MAC_KEY_SIZE];
    ed_map *map = map_of(CHOSEN);
    size_t chosen = 0;

    for (uint64_t n = 0; chosen < CHOSEN; n++) {
        eddy_address address = address_of(n);
        if (ed_hash64(believed, &address, sizeof(address)) % (2 * CHOSEN) != 0)
            continue;
        put(map, &address);
        chosen++;
    }
    size_t probe = ed_map_longest_probe(map);
    ed_map_destroy(map);
    return probe;
}

/** Addresses in a row, and ports in a row. */
static size_t probe_of_rows(uint64_t count)
{
    ed_map *map = map_of(16);

    for (uint64_t n = 0; n < count; n++) {
        eddy_address address = address_of(n % 2 == 0 ? n : n << 32);
        put(map, &address);
    }
    size_t probe = ed_map_longest_probe(map);
    ed_map_destroy(map);
    return probe;
}

static bool no_search_is_long(const void *context)
{
    uint64_t count = ed_attack_count(100 * 1000, 1000 * 1000);
    size_t chosen = probe_of_the_chosen(), rows = probe_of_rows(count);

    (void)context;
    ed_attack_figure(
        "T30 the longest search: %zu among %d chosen addresses, %zu among %llu in rows", chosen,
        CHOSEN, rows, (unsigned long long)count);
    return chosen <= PROBE_MAX && rows <= PROBE_MAX;
}

static void t30_chosen_keys_do_not_collide(void **state)
{
    (void)state;
    CHECK_EQ("crypto", ed_crypto_init(), EDDY_OK);
    ed_entropy_system()->fill(ed_entropy_system()->context, map_key, sizeof(map_key));
    ed_attack_run(&(ed_attack){
        .name = "T30 hash flooding", .mount = no_search_is_long, .weaken = publish_the_key});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t29_numbers_at_their_edges),
        cmocka_unit_test(t30_chosen_keys_do_not_collide),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
