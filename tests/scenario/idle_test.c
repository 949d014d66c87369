/** Connections on which nothing is said: what keeps them alive, and when they end. */
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "transport/limits.h"

enum {
    HOUR_S = 3600,
    TALK_MS = 200,
};

/** The last time that a node sent something, per node. */
typedef struct watch {
    const ed_cluster *cluster;
    uint64_t sent_ns[2];
    uint64_t count[2];
} watch;

static bool note_sent(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    watch *w = context;
    size_t from = eddy_address_equal(&datagram->local, &w->cluster->nodes[0].address) ? 0 : 1;

    w->sent_ns[from] = now_ns;
    w->count[from]++;
    return false;
}

static void set_delay(ed_cluster *cluster, uint64_t delay_ns)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = delay_ns;
    CHECK_EQ(cluster->name, ed_world_set_link(cluster->world, NULL, NULL, &link), EDDY_OK);
}

/** A server (node 0) and a client (node 1), connected, with every datagram watched. */
static void open_pair(ed_cluster *cluster, watch *w, const char *name, uint64_t delay_ns,
                      const eddy_config *server, const eddy_config *client)
{
    ed_cluster_open(cluster, name, 1);
    set_delay(cluster, delay_ns);
    *w = (watch){.cluster = cluster};
    ed_world_observe(cluster->world, note_sent, w);
    ed_cluster_add_pair(cluster, server, client);
}

/** What an idle pair does, by reasoning alone; node 0 is the server. */
typedef struct model {
    uint64_t keepalive_ns[2]; /* 0: off */
    uint64_t delay_ns;
    uint64_t heard_ns[2];
    uint64_t pings[2];
    uint64_t acks[2];
} model;

/** When a node pings, if it hears nothing before. */
static uint64_t ping_ns(const model *m, size_t node)
{
    return m->keepalive_ns[node] == 0 ? ED_NEVER_NS : m->heard_ns[node] + m->keepalive_ns[node];
}

/**
 * The client connects at T and says so with a PING, which reaches the server a delay later; the
 * acknowledgement waits for company for the ack delay. From then on, whoever has heard nothing for
 * his keepalive first says PING: the other has heard something then, and acknowledges it likewise.
 * Nothing else is ever sent.
 */
static void expect_idling(model *m, uint64_t connected_ns, uint64_t until_ns)
{
    m->heard_ns[0] = connected_ns + m->delay_ns;
    m->heard_ns[1] = connected_ns + 2 * m->delay_ns + ED_ACK_DELAY_NS;
    for (;;) {
        size_t from = ping_ns(m, 0) < ping_ns(m, 1) ? 0 : 1;
        uint64_t at_ns = ping_ns(m, from);
        if (at_ns == ED_NEVER_NS || at_ns > until_ns)
            return;
        m->pings[from]++;
        m->heard_ns[1 - from] = at_ns + m->delay_ns;
        m->acks[1 - from] += at_ns + m->delay_ns + ED_ACK_DELAY_NS <= until_ns ? 1 : 0;
        m->heard_ns[from] = at_ns + 2 * m->delay_ns + ED_ACK_DELAY_NS;
    }
}

static void an_idle_hour_costs_its_keepalives_alone(void **state)
{
    const struct {
        const char *name;
        uint32_t keepalive_ms[2];
        uint32_t delay_ms;
        uint64_t least; /* pings of both */
        uint64_t most;
    } rows[] = {
        // An hour holds 1,200 times 3 s, and each ping comes a delay later than that.
        {"the default", {3000, 3000}, 1, 1199, 1200},
        {"far away", {3000, 3000}, 80, 1168, 1169},
        {"the client alone", {0, 3000}, 1, 1189, 1190},
        {"the server alone", {1000, 0}, 20, 3380, 3381},
        {"the client is in a hurry", {3000, 1000}, 1, 3504, 3506},
        {"nobody", {0, 0}, 1, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        static ed_cluster cluster;
        watch w;
        eddy_config server = ed_cluster_server_config();
        eddy_config client = ed_cluster_client_config();
        model want = {.delay_ns = rows[i].delay_ms * ED_NS_PER_MS};

        server.keepalive_ms = rows[i].keepalive_ms[0];
        client.keepalive_ms = rows[i].keepalive_ms[1];
        if (rows[i].most == 0)
            server.idle_timeout_ms = client.idle_timeout_ms = 0;
        want.keepalive_ns[0] = server.keepalive_ms * ED_NS_PER_MS;
        want.keepalive_ns[1] = client.keepalive_ms * ED_NS_PER_MS;
        open_pair(&cluster, &w, rows[i].name, want.delay_ns, &server, &client);
        ed_cluster_run_for(&cluster, ED_ACK_DELAY_NS);
        uint64_t before[] = {w.count[0], w.count[1]};

        ed_cluster_run_for(&cluster, HOUR_S * ED_NS_PER_S);
        expect_idling(&want, cluster.nodes[1].endpoints[0].connected_ns,
                      ed_cluster_now_ns(&cluster));
        CHECK(rows[i].name, want.pings[0] + want.pings[1] >= rows[i].least);
        CHECK(rows[i].name, want.pings[0] + want.pings[1] <= rows[i].most);
        for (size_t n = 0; n < 2; n++) {
            CHECK_EQ(rows[i].name, ed_node_stats(&cluster.nodes[n]).keepalives_sent, want.pings[n]);
            CHECK_EQ(rows[i].name, w.count[n] - before[n], want.pings[n] + want.acks[n]);
            CHECK(rows[i].name, !cluster.nodes[n].endpoints[0].disconnected);
        }
        ed_cluster_close(&cluster);
    }
}

/** Ends exactly then, and for that reason: not a nanosecond before. */
static void check_ends_at(ed_cluster *cluster, const ed_endpoint *endpoint, uint64_t at_ns)
{
    if (ed_cluster_now_ns(cluster) < at_ns) {
        ed_world_run_until(cluster->world, at_ns - 1);
        CHECK(cluster->name, !endpoint->disconnected);
        ed_world_run_until(cluster->world, at_ns);
    }
    CHECK(cluster->name, endpoint->disconnected);
    CHECK_EQ(cluster->name, endpoint->disconnected_ns, at_ns);
    CHECK_EQ(cluster->name, endpoint->end.end, EDDY_END_IDLE);
}

static void silence_ends_a_connection_to_the_nanosecond(void **state)
{
    const struct {
        const char *name;
        uint32_t idle_ms;
        uint32_t keepalive_ms;
        uint32_t talk_ms; /* before the cut: time enough for the last ack */
        size_t messages;  /* sent both ways in it */
        size_t unheard;   /* sent by the client after it */
    } rows[] = {
        {"never a word", 10 * 1000, 3000, 1000, 0, 0},
        {"no keepalive", 10 * 1000, 0, 1000, 0, 0},
        {"after a talk", 10 * 1000, 3000, 1000, 50, 0},
        {"in the middle of a talk", 10 * 1000, 3000, 1000, 50, 7},
        {"the shortest", 100, 0, 60, 3, 1},
        {"long", 100 * 1000, 40 * 1000, 1000, 3, 1},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        static ed_cluster cluster;
        watch w;
        eddy_config server = ed_cluster_server_config();
        eddy_config client = ed_cluster_client_config();
        const uint64_t d = 7 * ED_NS_PER_MS;

        server.idle_timeout_ms = client.idle_timeout_ms = rows[i].idle_ms;
        server.keepalive_ms = client.keepalive_ms = rows[i].keepalive_ms;
        open_pair(&cluster, &w, rows[i].name, d, &server, &client);
        for (size_t n = 0; n < 2; n++)
            ed_node_send_many(&cluster.nodes[n], &cluster.nodes[n].endpoints[0],
                              EDDY_RELIABLE_ORDERED, 0, rows[i].messages);
        ed_cluster_run_for(&cluster, rows[i].talk_ms * ED_NS_PER_MS);
        CHECK(rows[i].name, ed_cluster_all_delivered(&cluster));
        uint64_t heard_ns[] = {w.sent_ns[1] + d, w.sent_ns[0] + d};
        CHECK_EQ(rows[i].name, ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
        ed_node_send_many(&cluster.nodes[1], &cluster.nodes[1].endpoints[0], EDDY_RELIABLE_ORDERED,
                          0, rows[i].unheard);
        size_t first = heard_ns[0] <= heard_ns[1] ? 0 : 1;
        const uint64_t idle_ns = rows[i].idle_ms * ED_NS_PER_MS;
        check_ends_at(&cluster, &cluster.nodes[first].endpoints[0], heard_ns[first] + idle_ns);
        check_ends_at(&cluster, &cluster.nodes[1 - first].endpoints[0],
                      heard_ns[1 - first] + idle_ns);
        CHECK_EQ(rows[i].name, cluster.nodes[1].endpoints[0].end.undelivered, rows[i].unheard);
        ed_cluster_close(&cluster);
    }
}

static void without_timeouts_a_connection_outlives_any_silence(void **state)
{
    static ed_cluster cluster;
    watch w;
    eddy_config server = ed_cluster_server_config();
    eddy_config client = ed_cluster_client_config();

    (void)state;
    server.idle_timeout_ms = client.idle_timeout_ms = 0;
    server.keepalive_ms = client.keepalive_ms = 0;
    open_pair(&cluster, &w, "no timeouts", ED_NS_PER_MS, &server, &client);
    ed_cluster_run_for(&cluster, TALK_MS * ED_NS_PER_MS);
    CHECK_EQ("cut", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    uint64_t sent = w.count[0] + w.count[1];
    ed_cluster_run_for(&cluster, 24 * HOUR_S * ED_NS_PER_S);
    CHECK_EQ("a day of silence", w.count[0] + w.count[1], sent);

    // What is said into the cut waits for as long as it takes.
    for (size_t n = 0; n < 2; n++)
        ed_node_send_many(&cluster.nodes[n], &cluster.nodes[n].endpoints[0], EDDY_RELIABLE_ORDERED,
                          0, 10);
    ed_cluster_run_for(&cluster, HOUR_S * ED_NS_PER_S);
    CHECK_EQ("mend", ed_world_block(cluster.world, NULL, NULL, false), EDDY_OK);
    ed_cluster_await_delivered(&cluster, 2 * ED_NS_PER_S);
    ed_cluster_close(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_hour_costs_its_keepalives_alone),
        cmocka_unit_test(silence_ends_a_connection_to_the_nanosecond),
        cmocka_unit_test(without_timeouts_a_connection_outlives_any_silence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
