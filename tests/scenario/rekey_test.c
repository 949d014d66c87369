/** Connections that change their keys while they are used, and servers that change theirs. */
#include "core/crypto.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"
#include "tests/support/seeds.h"
#include "transport/api_state.h"

enum {
    SETTLE_MS = 500,
    KEY_PACKETS = 20, /* so many, and keys change */
    ROUNDS = 200,
};

static ed_cluster cluster;

/* ---------------------------------------------------------------------------------- new keys -- */

/** The keys of a node's only connection. */
static ed_keys *keys_of(const ed_node *node)
{
    ed_identity *identity = node->manager->identity;
    ed_keys *found = NULL;

    for (uint32_t i = 0; i < identity->slot_count; i++)
        if (identity->secrets[i].has_keys) {
            CHECK(cluster.name, found == NULL);
            found = &identity->secrets[i].keys;
        }
    CHECK(cluster.name, found != NULL);
    return found;
}

/** Counts how often the keys of a node change. */
struct watch {
    const ed_keys *keys;
    uint64_t first; /* the number with which the newest began */
    uint64_t changes;
};

static void look(struct watch *watch)
{
    watch->changes += watch->keys->send_first != watch->first;
    watch->first = watch->keys->send_first;
}

/** From now on keys change often. */
static struct watch watch_of(const ed_node *node)
{
    ed_keys *keys = keys_of(node);

    keys->update_packets = KEY_PACKETS;
    return (struct watch){.keys = keys};
}

/** Sends both ways, and looks at the keys of both. */
static void talk(void)
{
    ed_node *server = &cluster.nodes[0], *client = &cluster.nodes[1];
    struct watch watches[] = {watch_of(server), watch_of(client)};

    for (uint32_t round = 0; round < ROUNDS; round++) {
        ed_node *from = round % 2 == 0 ? server : client;
        (void)ed_node_send(from, ed_node_newest(from), (eddy_guarantee)(round % 5), 0);
        (void)ed_node_send(from, ed_node_newest(from), EDDY_RELIABLE_ORDERED, 1);
        ed_cluster_run_for(&cluster, 10 * ED_NS_PER_MS);
        look(&watches[0]);
        look(&watches[1]);
    }
    ed_cluster_await_delivered(&cluster, 60 * ED_NS_PER_S);
    for (size_t i = 0; i < ED_COUNT(watches); i++) {
        CHECK(cluster.name, watches[i].changes >= 4);
        CHECK_EQ(cluster.name, watches[i].keys->forged_count, 0);
    }
}

static void keys_change_while_messages_go_on(void **state)
{
    static const struct {
        const char *name;
        eddy_cipher cipher;
        uint32_t loss_ppm;
        uint32_t reorder_ppm;
        uint64_t jitter_ms;
    } rows[] = {
        {"a good network", EDDY_CIPHER_CHACHA20, 0, 0, 0},
        {"losses", EDDY_CIPHER_CHACHA20, 200 * 1000, 0, 0},
        {"disorder", EDDY_CIPHER_CHACHA20, 0, 200 * 1000, 10},
        {"all of it, and the best cipher", EDDY_CIPHER_BEST, 100 * 1000, 100 * 1000, 10},
    };
    ed_seeds seeds = ed_seeds_chosen(10);

    (void)state;
    for (uint64_t i = 0; i < seeds.count * ED_COUNT(rows); i++) {
        size_t row = i % ED_COUNT(rows);
        eddy_config for_server = ed_cluster_server_config();
        eddy_config for_client = ed_cluster_client_config();
        ed_link_config link = ed_link_config_default();
        for_server.cipher = for_client.cipher = rows[row].cipher;
        ed_cluster_open(&cluster, rows[row].name, seeds.first + i / ED_COUNT(rows));
        ed_cluster_add_pair(&cluster, &for_server, &for_client);
        link.delay_ns = 5 * ED_NS_PER_MS;
        link.jitter_ns = rows[row].jitter_ms * ED_NS_PER_MS;
        link.jitter = ED_JITTER_UNIFORM;
        link.loss_ppm = rows[row].loss_ppm;
        link.reorder_ppm = rows[row].reorder_ppm;
        link.reorder_extra_ns = 20 * ED_NS_PER_MS;
        CHECK_EQ(rows[row].name, ed_world_set_link(cluster.world, NULL, NULL, &link), EDDY_OK);
        talk();
        ed_cluster_shut_down(&cluster, 5000, 20 * ED_NS_PER_S);
        ed_cluster_close(&cluster);
    }
}

/** A client that is only spoken to acknowledges, and so follows and is followed. */
static void keys_change_where_one_end_only_listens(void **state)
{
    eddy_config for_server = ed_cluster_server_config();
    eddy_config for_client = ed_cluster_client_config();

    (void)state;
    ed_cluster_open(&cluster, "one way", 1);
    ed_cluster_add_pair(&cluster, &for_server, &for_client);
    ed_node *server = &cluster.nodes[0];
    struct watch watch = watch_of(server), other = watch_of(&cluster.nodes[1]);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        ed_node_send_many(server, ed_node_newest(server), EDDY_RELIABLE_ORDERED, 0, 1);
        ed_cluster_run_for(&cluster, 20 * ED_NS_PER_MS);
        look(&watch);
        look(&other);
    }
    CHECK("changes", watch.changes >= 5 && other.changes == watch.changes);
    CHECK_EQ("none is lost by that", ed_cluster_stats(&cluster).dropped_forged, 0);
    ed_cluster_close(&cluster);
}

/** A quiet connection changes them, too, when they are old. */
static void old_keys_change(void **state)
{
    eddy_config for_server = ed_cluster_server_config();
    eddy_config for_client = ed_cluster_client_config();

    (void)state;
    ed_cluster_open(&cluster, "old keys", 1);
    ed_cluster_add_pair(&cluster, &for_server, &for_client);
    ed_cluster_run_for(&cluster, ED_KEY_LIFE_NS - 10 * ED_NS_PER_S);
    CHECK("young", !keys_of(&cluster.nodes[0])->send_phase);
    ed_cluster_run_for(&cluster, 30 * ED_NS_PER_S);
    for (size_t i = 0; i < 2; i++) {
        CHECK("old", keys_of(&cluster.nodes[i])->send_phase);
        CHECK("old", keys_of(&cluster.nodes[i])->receive_phase);
    }
    CHECK_EQ("none is lost by that", ed_cluster_stats(&cluster).dropped_forged, 0);
    ed_cluster_shut_down(&cluster, 1000, 10 * ED_NS_PER_S);
    ed_cluster_close(&cluster);
}

/* ------------------------------------------------------------------------- a server that restarts
 * --
 */

/** As ed_node_connect, to a server with a key of its own. The test takes the events. */
static void dial(ed_node *client, const ed_node *server)
{
    eddy_key key = eddy_public_key(server->manager);
    eddy_connect_options options = {.server_key = &key};
    eddy_connection connection = 0;
    eddy_event event;

    client->is_reading = false;
    CHECK_EQ(cluster.name,
             eddy_connect_address(client->manager, &server->address, &options, &connection),
             EDDY_OK);
    ed_world_touch(cluster.world, client->host);
    ed_cluster_run_for(&cluster, SETTLE_MS * ED_NS_PER_MS);
    CHECK_EQ(cluster.name, eddy_next(client->manager, &event, 0), EDDY_OK);
    CHECK_EQ(cluster.name, event.type, EDDY_CONNECTED);
    CHECK_EQ(cluster.name,
             eddy_send(client->manager, connection, EDDY_RELIABLE_ORDERED, 0, "hello", 5), EDDY_OK);
}

static void a_restarted_server(void **state)
{
    static const struct {
        const char *name;
        bool has_key; /* of its own; otherwise it draws one */
        uint64_t later_ms;
        eddy_end end; /* 0: not yet */
    } rows[] = {
        {"with its key, at once", true, 10, EDDY_END_FORGOTTEN},
        {"with a temporary key, at once", false, 10, 0},
        {"with a temporary key, when nothing is heard", false, 11000, EDDY_END_IDLE},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_config for_server = ed_cluster_server_config();
        eddy_config for_client = ed_cluster_client_config();
        eddy_event event;
        if (!rows[i].has_key)
            for_server.secret_key = NULL;
        ed_cluster_open(&cluster, rows[i].name, 1);
        ed_node *server = ed_cluster_add(&cluster, &for_server);
        ed_node *client = ed_cluster_add(&cluster, &for_client);
        server->is_reading = false;
        eddy_key before = eddy_public_key(server->manager);
        dial(client, server);
        ed_node_crash(server);
        CHECK_EQ(rows[i].name, ed_node_start(server), EDDY_OK);
        eddy_key after = eddy_public_key(server->manager);
        CHECK_EQ(rows[i].name, memcmp(&before, &after, sizeof(after)) == 0, rows[i].has_key);
        ed_world_touch(cluster.world, client->host);
        ed_cluster_run_for(&cluster, 3000 * ED_NS_PER_MS); // a keepalive leaves
        ed_cluster_run_for(&cluster, rows[i].later_ms * ED_NS_PER_MS);
        eddy_status status = eddy_next(client->manager, &event, 0);
        CHECK_EQ(rows[i].name, status, rows[i].end == 0 ? EDDY_EAGAIN : EDDY_OK);
        if (rows[i].end != 0) {
            CHECK_EQ(rows[i].name, event.type, EDDY_DISCONNECTED);
            CHECK_EQ(rows[i].name, event.disconnected.end, rows[i].end);
        }
        ed_cluster_close(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_change_while_messages_go_on),
        cmocka_unit_test(keys_change_where_one_end_only_listens),
        cmocka_unit_test(old_keys_change),
        cmocka_unit_test(a_restarted_server),
    };
    return cmocka_run_group_tests_name("rekey", tests, NULL, NULL);
}
