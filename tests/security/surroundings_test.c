/** Lines of the log (T32), asserts (T33), and clocks that jump (T37). */
#include "sim/random.h"
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/rogue.h"

static ed_cluster cluster;

/* ------------------------------------------------------------------------------ T32: log flood --
 */

static struct log_sink {
    uint64_t second;
    uint64_t lines; /* in it */
    uint64_t worst;
    uint64_t all;
} sink;

static void take_line(void *context, eddy_log_level level, eddy_log_topic topic, const char *text)
{
    struct log_sink *s = context;
    uint64_t second = ed_cluster_now_ns(&cluster) / ED_NS_PER_S;

    (void)level;
    (void)topic;
    (void)text;
    s->lines = second == s->second ? s->lines + 1 : 1;
    s->second = second;
    s->worst = ed_max_u64(s->worst, s->lines);
    s->all++;
}

static void lift_the_limit(void)
{
#ifdef ED_SWITCHABLE
    ed_log_is_unlimited = true;
#endif
}

/** A client that comes and goes, as fast as it can, and junk at the same time. */
static void come_and_go(ed_node *client, ed_node *server, uint64_t times, uint64_t junk)
{
    ed_rng rng = ed_rng_of(32);
    uint8_t data[ED_DATAGRAM_SIZE];

    for (uint64_t i = 0; i < times; i++) {
        ed_endpoint *endpoint = ed_node_connect(client, server);
        ed_cluster_await_connected(&cluster, endpoint, ED_NS_PER_S);
        ed_node_disconnect(client, endpoint, 0, "", 0);
        for (uint64_t j = 0; j < junk / times; j++) {
            eddy_datagram datagram = {.local = client->address,
                                      .remote = server->address,
                                      .data = data,
                                      .size = 1 + ed_rng_below(&rng, sizeof(data))};
            for (size_t k = 0; k < 64; k++)
                data[k] = (uint8_t)ed_rng_next(&rng);
            data[0] = ed_rng_below(&rng, 2) == 0 ? 0x60 : (uint8_t)(0xe1 + ed_rng_below(&rng, 5));
            CHECK("junk", ed_world_forge(cluster.world, &datagram));
            if (j % 64 == 0)
                ed_cluster_run_for(&cluster, ED_NS_PER_MS / 10);
        }
        ed_cluster_await_disconnected(&cluster, endpoint, 5 * ED_NS_PER_S);
    }
}

static bool few_lines_are_written(const void *context)
{
    enum { TIMES = 60, LINES_MAX = 20 };
    eddy_config server = ed_cluster_server_config(), client = ed_cluster_client_config();
    uint64_t junk = ed_attack_count(20 * 1000, 1000 * 1000);

    (void)context;
    sink = (struct log_sink){0};
    server.log = take_line;
    server.log_context = &sink;
    server.log_level = EDDY_LOG_DEBUG;
    server.log_topics = EDDY_LOG_ALL_TOPICS;
    server.connect_rate = 0;
    ed_cluster_open(&cluster, "T32", 32);
    ed_node *to = ed_cluster_add(&cluster, &server);
    ed_node *from = ed_cluster_add(&cluster, &client);
    come_and_go(from, to, TIMES, junk);
    ed_cluster_run_for(&cluster, 5 * ED_NS_PER_S);
    ed_cluster_close(&cluster);
    ed_attack_figure(
        "T32 %d connections that come and go, and %llu bad datagrams: %llu lines, %llu "
        "in a second at most",
        TIMES, (unsigned long long)junk, (unsigned long long)sink.all,
        (unsigned long long)sink.worst);
    CHECK("it is logged at all", sink.all > 0);
    return sink.worst <= LINES_MAX;
}

static void t32_the_log_is_not_flooded(void **state)
{
    (void)state;
#ifdef ED_SWITCHABLE
    ed_attack_run(&(ed_attack){
        .name = "T32 log flood", .mount = few_lines_are_written, .weaken = lift_the_limit});
#else
    lift_the_limit(); // there is no such switch in what is shipped
    CHECK("T32 log flood", few_lines_are_written(NULL));
#endif
}

/* -------------------------------------------------------------------------------- T33: asserts --
 */

/** Two parts of a message that do not agree: what must be refused before anything believes it. */
static size_t two_wholes(uint8_t *data)
{
    static const uint8_t zeros[ED_PART_SIZE_MIN];
    ed_writer w = ed_writer_of(data, ED_ROGUE_FRAMES_MAX);

    for (uint64_t whole = 5000; whole < 5002; whole++)
        ed_frame_write_message(&w,
                               &(ed_message_frame){.guarantee = ED_WIRE_RELIABLE_ORDERED,
                                                   .fragment = true,
                                                   .sequence_bits = 16,
                                                   .whole_size = whole,
                                                   .data = {.data = zeros, .size = sizeof(zeros)}});
    return ed_writer_size(&w);
}

/** Frames that look like frames, with whatever in them. */
static size_t draw_frames(ed_rng *rng, uint8_t *data)
{
    size_t size = 1 + ed_rng_below(rng, 60);

    for (size_t i = 0; i < size; i++) {
        uint64_t draw = ed_rng_next(rng);
        bool small = (draw >> 32) % 2 == 0; // types, and varints of a byte
        data[i] = (uint8_t)(small ? draw % 16 * 4 : draw);
    }
    data[0] = (uint8_t)(ed_rng_below(rng, 2) == 0 ? ed_rng_below(rng, ED_FRAME_MESSAGE + 1)
                                                  : 0x80 + ed_rng_below(rng, 0x50));
    return size;
}

static bool no_assert_is_reached(const void *context)
{
    static ed_duel duel;
    uint64_t count = ed_attack_count(4000, 200 * 1000), refused = 0;
    uint8_t data[ED_ROGUE_FRAMES_MAX];
    ed_rng rng = ed_rng_of(33);

    (void)context;
    ed_duel_open(&duel);
    for (uint64_t i = 0; i < count; i++) {
        size_t size = i % 100 == 0 ? two_wholes(data) : draw_frames(&rng, data);
        ed_duel_say(&duel, (ed_span){.data = data, .size = size});
        if (duel.server.state == ED_CONN_CONNECTED)
            continue;
        refused++;
        ed_duel_close(&duel);
        ed_duel_open(&duel);
    }
    ed_duel_close(&duel);
    ed_attack_figure(
        "T33 %llu packets of drawn frames by who has the keys: %llu refused, no assert",
        (unsigned long long)count, (unsigned long long)refused);
    return refused > 0;
}

static void t33_the_wire_reaches_no_assert(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){
        .name = "T33 asserts", .mount = no_assert_is_reached, .checks = {EDDY_CHECK_PARTS_AGREE}});
}

/* --------------------------------------------------------------------------------- T37: clocks --
 */

/** What the server's program believes that the time is, beside what it is. */
static int64_t skew_ns;

static uint64_t run_skewed(void *context, uint64_t now_ns)
{
    ed_node *node = context;
    uint64_t next_ns = eddy_poll(node->manager, now_ns + (uint64_t)skew_ns);

    ed_node_read(node);
    return next_ns == ED_NEVER_NS ? next_ns : next_ns - (uint64_t)skew_ns;
}

static void open_skewed(const char *name)
{
    eddy_config server = ed_cluster_server_config(), client = ed_cluster_client_config();

    ed_cluster_open(&cluster, name, 37);
    ed_cluster_run_for(&cluster, 7200 * ED_NS_PER_S); // so that it can be set back
    ed_cluster_add_pair(&cluster, &server, &client);
    skew_ns = 0;
    ed_world_attach(cluster.world, cluster.nodes[0].host, run_skewed, &cluster.nodes[0]);
}

static void talk(uint64_t duration_ms)
{
    for (uint64_t ms = 0; ms < duration_ms; ms += 20) {
        for (size_t n = 0; n < 2; n++)
            (void)!ed_node_send(&cluster.nodes[n], &cluster.nodes[n].endpoints[0],
                                EDDY_RELIABLE_ORDERED, 0);
        ed_cluster_run_for(&cluster, 20 * ED_NS_PER_MS);
    }
}

static bool both_are_there(void)
{
    return !cluster.nodes[0].endpoints[0].disconnected &&
           !cluster.nodes[1].endpoints[0].disconnected;
}

static bool is_silent; /* nothing waits for the server when it wakes */

static void keep_quiet(void)
{
    is_silent = true;
}

/** Jumps of the server's clock, while its peer goes on. */
static bool jumps_end_nothing(const void *context)
{
    static const int64_t jumps_s[] = {5, -3600, 3600, -5, -3600, 3600};
    bool there = true;

    (void)context;
    open_skewed("T37");
    talk(1000);
    for (size_t i = 0; i < ED_COUNT(jumps_s); i++) {
        if (is_silent)
            CHECK_EQ("cut", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
        ed_world_attach(cluster.world, cluster.nodes[0].host, NULL, NULL); // its program stops,
        talk(100);
        skew_ns += jumps_s[i] * (int64_t)ED_NS_PER_S; // and goes on at another time
        ed_world_attach(cluster.world, cluster.nodes[0].host, run_skewed, &cluster.nodes[0]);
        talk(3000);
        there &= both_are_there();
    }
    if (there)
        ed_cluster_await_delivered(&cluster, 30 * ED_NS_PER_S);
    ed_cluster_close(&cluster);
    ed_attack_figure("T37 %zu jumps of up to an hour: both still there, all delivered",
                     ED_COUNT(jumps_s));
    return there;
}

/** Who was away for longer than the idle timeout, and finds nothing waiting, ends at once. */
static void a_long_gap_ends_all(void)
{
    open_skewed("T37 gap");
    ed_world_attach(cluster.world, cluster.nodes[0].host, NULL, NULL);
    CHECK_EQ("cut", ed_world_block(cluster.world, NULL, NULL, true), EDDY_OK);
    ed_cluster_run_for(&cluster, 3600 * ED_NS_PER_S);
    ed_world_attach(cluster.world, cluster.nodes[0].host, run_skewed, &cluster.nodes[0]);
    ed_cluster_run_for(&cluster, ED_NS_PER_S);
    CHECK("ended", cluster.nodes[0].endpoints[0].disconnected);
    CHECK_EQ("why", cluster.nodes[0].endpoints[0].end.end, EDDY_END_IDLE);
    ed_cluster_close(&cluster);
}

static void t37_clocks_that_jump(void **state)
{
    (void)state;
    ed_attack_run(
        &(ed_attack){.name = "T37 clocks", .mount = jumps_end_nothing, .weaken = keep_quiet});
    a_long_gap_ends_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t32_the_log_is_not_flooded),
        cmocka_unit_test(t33_the_wire_reaches_no_assert),
        cmocka_unit_test(t37_clocks_that_jump),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
