/** What a client reckons of INITIATE while the answer to its HELLO is on the way. */
#include <string.h>

#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"
#include "transport/api_state.h"
#include "transport/packet.h"

enum {
    DELAY_MS = 100,
    ON_THE_WAY_MS = DELAY_MS / 2,
    LIMIT_S = 20,
    SERVERS = 3,
};

static ed_cluster cluster;

/** The INITIATEs that were sent. The first is lost. */
static struct wire {
    uint32_t initiates;
    uint8_t first[ED_INITIATE_SIZE];
    bool is_same; /* all others were, byte for byte */
} wire;

static bool watch(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    (void)context, (void)now_ns;
    if (ed_form_of(datagram->data, datagram->size) != ED_FORM_INITIATE)
        return false;
    if (wire.initiates == 0)
        memcpy(wire.first, datagram->data, sizeof(wire.first));
    wire.is_same &= memcmp(datagram->data, wire.first, sizeof(wire.first)) == 0;
    return wire.initiates++ == 0;
}

/** Servers, and behind them a client, far from each other. */
static ed_node *open_world(const char *name, uint32_t servers)
{
    static const eddy_key player = {.bytes = {7}};
    eddy_key shown = eddy_key_public(&player);
    ed_link_config link = ed_link_config_default();
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    link.delay_ns = DELAY_MS * ED_NS_PER_MS;
    server.modes = EDDY_MODE_OPEN | EDDY_MODE_PINNED | EDDY_MODE_MUTUAL;
    server.client_keys = &shown;
    server.client_key_count = 1;
    client.secret_key = &player;
    ed_cluster_open(&cluster, name, 1);
    CHECK_EQ(name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
    for (uint32_t i = 0; i < servers; i++)
        (void)ed_cluster_add(&cluster, &server);
    return ed_cluster_add(&cluster, &client);
}

static void run_ms(uint64_t ms)
{
    ed_cluster_run_for(&cluster, ms * ED_NS_PER_MS);
}

/** The dials of a node for which something is reckoned. */
static uint32_t count_ahead(const ed_node *node)
{
    ed_identity *identity = node->manager->identity;
    uint32_t count = 0;

    for (uint32_t i = 0; i <= identity->slot_count; i++)
        count += ed_identity_openings(identity)[i].has_ahead ? 1 : 0;
    return count;
}

/** So the second one, of which nothing was reckoned ahead any more, is the first. */
static void what_is_said_does_not_depend_on_it(void **state)
{
    static const struct {
        const char *name;
        eddy_mode mode;
        uint32_t ahead;
    } rows[] = {
        {"PINNED", EDDY_MODE_PINNED, 1},
        {"MUTUAL: the cookie is not known yet", EDDY_MODE_MUTUAL, 0},
        {"OPEN: there is no key to reckon with", EDDY_MODE_OPEN, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_node *client = open_world(rows[i].name, 1);
        eddy_connect_options options = {
            .mode = rows[i].mode,
            .server_key = rows[i].mode == EDDY_MODE_OPEN ? NULL : ed_test_public()};
        wire = (struct wire){.is_same = true};
        ed_world_observe(cluster.world, watch, NULL);
        const ed_endpoint *endpoint = ed_node_try_connect_with(client, &cluster.nodes[0], &options);
        run_ms(ON_THE_WAY_MS);
        CHECK_EQ(rows[i].name, count_ahead(client), rows[i].ahead);
        ed_cluster_await_connected(&cluster, endpoint, LIMIT_S * ED_NS_PER_S);
        CHECK_EQ(rows[i].name, wire.initiates, 2);
        CHECK(rows[i].name, wire.is_same);
        CHECK_EQ(rows[i].name, count_ahead(client), 0);
        ed_cluster_close(&cluster);
    }
}

/** All that dial in one poll are answered; it is longer by what one of them has to reckon. */
static void a_poll_reckons_for_one(void **state)
{
    const ed_endpoint *endpoints[SERVERS];

    (void)state;
    ed_node *client = open_world("several dials", SERVERS);
    for (uint32_t i = 0; i < SERVERS; i++)
        endpoints[i] = ed_node_connect(client, &cluster.nodes[i]);
    run_ms(ON_THE_WAY_MS);
    CHECK_EQ("reckoned", count_ahead(client), 1);
    for (uint32_t i = 0; i < SERVERS; i++)
        ed_cluster_await_connected(&cluster, endpoints[i], LIMIT_S * ED_NS_PER_S);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_does_not_depend_on_it),
        cmocka_unit_test(a_poll_reckons_for_one),
    };
    return cmocka_run_group_tests_name("ahead", tests, NULL, NULL);
}
