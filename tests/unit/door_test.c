/** What shards share when a stranger comes, with several of them at once. */
#include "tests/support/check.h"

#include <stdatomic.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "transport/door.h"

enum {
    SHARDS = 3,
    ROUNDS = 2000,
    NOW_S = 1000,
    BUDGET = 100, /* of handshakes at once */
};

static ed_counting_alloc counting;
static ed_cookie_jar jar;
static ed_door door;
static atomic_uint tokens, tickets, handshakes, admitted;

static void fill(void *context, void *data, size_t size)
{
    (void)context;
    memset(data, 7, size);
}

static const eddy_entropy entropy = {.fill = fill};

static int set_up(void **state)
{
    eddy_config config = eddy_config_default();

    (void)state;
    ed_counting_alloc_init(&counting, NULL);
    config.accept = true;
    config.modes = EDDY_MODE_TOKEN;
    config.allocator = &counting.allocator;
    config.entropy = &entropy;
    config.connect_rate = 1;
    config.connect_burst = ROUNDS / 2;
    config.handshake_rate = 10 * (BUDGET - 1);
    ed_cookie_init(&jar, &entropy, 0);
    tokens = tickets = handshakes = admitted = 0;
    return ed_door_init(&door, &config, &jar) == EDDY_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    ed_door_free(&door);
    ed_door_free(&door); // twice is fine
    return counting.live_count == 0 ? 0 : -1;
}

/** One shard: tries what all others try, too. */
static void run(void *context)
{
    const uint32_t shard = *(const uint32_t *)context;
    const eddy_address far = {.ip = {203, 0, 113, 5}, .port = 9, .family = EDDY_FAMILY_IPV4};
    uint8_t id[ED_XNONCE_SIZE] = {0}, holder[ED_MAC_SIZE] = {(uint8_t)shard};
    uint8_t ticket[ED_COOKIE_SIZE] = {0x80};
    ed_used_token token = {.id = id, .holder = holder, .expires_s = NOW_S + 60};

    for (uint32_t i = 0; i < ROUNDS; i++) {
        memcpy(id, &i, sizeof(i));
        for (size_t k = 0; k < 4; k++) // as the hashes of a filter are taken from the tag
            ticket[8 + 4 * k] = (uint8_t)i, ticket[9 + 4 * k] = (uint8_t)(i >> 8);
        if (ed_door_used_take(&door, &token, NOW_S) == ED_USED_FRESH)
            atomic_fetch_add(&tokens, 1);
        if (ed_door_tickets_use(&door, ticket))
            atomic_fetch_add(&tickets, 1);
        if (ed_door_take(&door, ED_DOOR_HANDSHAKES, 1))
            atomic_fetch_add(&handshakes, 1);
        if (ed_door_gate_admits(&door, &far, 1) == ED_GATE_OK)
            atomic_fetch_add(&admitted, 1);
        ed_door_gate_add(&door, &far);
        ed_door_gate_remove(&door, &far, true);
    }
}

static void each_thing_is_taken_once(void **state)
{
    ed_thread threads[SHARDS];
    uint32_t shards[SHARDS];

    (void)state;
    for (uint32_t i = 0; i < SHARDS; i++) {
        shards[i] = i;
        CHECK_EQ("thread", ed_thread_start(&threads[i], "shard", run, &shards[i]), EDDY_OK);
    }
    for (size_t i = 0; i < SHARDS; i++)
        ed_thread_join(&threads[i]);
    CHECK_EQ("tokens", tokens, ROUNDS);
    CHECK_EQ("tickets", tickets, ROUNDS);
    CHECK_EQ("handshakes", handshakes, BUDGET);
    CHECK_EQ("of one address", admitted, ROUNDS / 2);
    CHECK("table", ed_gate_valid(&door.gate));
}

/** It says when it is to be called again, and until then there is nothing to do. */
static void turns(void **state)
{
    static const struct {
        uint64_t now_s;
        uint64_t next_s;
        uint64_t epoch;
    } rows[] = {{0, 64, 0}, {1, 64, 0}, {63, 64, 0}, {64, 128, 1}, {86400, 86464, 1350}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t next_ns = ed_door_turn(&door, &entropy, rows[i].now_s * ED_NS_PER_S);
        CHECK_EQ("next", next_ns, rows[i].next_s * ED_NS_PER_S);
        CHECK_EQ("epoch", jar.epoch, rows[i].epoch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_thing_is_taken_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(turns, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("door", tests, NULL, NULL);
}
