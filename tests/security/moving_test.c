/**
 * Addresses that change: by somebody who repeats a client's packets from his own (T21), and by a
 * NAT that forgets again and again (T22).
 */
#include "core/addr.h"
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "transport/limits.h"

enum {
    DELAY_MS = 20,
    STEP_MS = 1,
    COPIES_MAX = 4096,
    LIMIT_S = 30,
};

static ed_cluster cluster;

static void set_link(const eddy_address *from, const eddy_address *to, uint64_t delay_ms,
                     uint32_t loss_ppm)
{
    ed_link_config link = ed_link_config_default();

    link.delay_ns = delay_ms * ED_NS_PER_MS;
    link.loss_ppm = loss_ppm;
    CHECK_EQ("link", ed_world_set_link(cluster.world, from, to, &link), EDDY_OK);
}

/** Both ends say something, every few milliseconds. */
static void talk(uint64_t now_ms)
{
    if (now_ms % 16 != 0)
        return;
    for (size_t n = 0; n < 2; n++)
        (void)!ed_node_send(&cluster.nodes[n], &cluster.nodes[n].endpoints[0],
                            EDDY_RELIABLE_ORDERED, 0);
}

static bool both_are_there(void)
{
    return !cluster.nodes[0].endpoints[0].disconnected &&
           !cluster.nodes[1].endpoints[0].disconnected;
}

/* ------------------------------------------------------------------------------ T21: hijackers --
 */

/** Sees what the client sends, and says it again, from his own address and sooner. */
static struct hijacker {
    eddy_socket socket;
    eddy_address address;
    bool forwards; /* and passes the server's answers on, in the server's name */
    bool is_over;
    uint64_t said, heard; /* bytes */
    size_t count;
    size_t size[COPIES_MAX];
    uint8_t data[COPIES_MAX][EDDY_DATAGRAM_SIZE_MAX];
} hijacker;

static bool copy_one(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    struct hijacker *h = context;
    bool is_clients = eddy_address_equal(&datagram->local, &cluster.nodes[1].address);

    (void)now_ns;
    if (!is_clients || h->is_over || h->count == COPIES_MAX)
        return false;
    memcpy(h->data[h->count], datagram->data, datagram->size);
    h->size[h->count++] = datagram->size;
    return false;
}

static void hijacker_sends(struct hijacker *h)
{
    for (size_t i = 0; i < h->count; i++) {
        eddy_datagram datagram = {
            .remote = cluster.nodes[0].address, .data = h->data[i], .size = h->size[i]};
        h->said += datagram.size;
        CHECK_EQ("sent", h->socket.send(h->socket.context, &datagram, 1), 1);
    }
    h->count = 0;
}

static void hijacker_hears(struct hijacker *h)
{
    eddy_datagram datagram;

    while (h->socket.receive(h->socket.context, &datagram, 1) == 1) {
        h->heard += datagram.size;
        if (!h->forwards || h->is_over)
            continue;
        datagram.local = cluster.nodes[0].address;
        datagram.remote = cluster.nodes[1].address;
        (void)ed_world_forge(cluster.world, &datagram);
    }
}

/** A client far away, and a hijacker who is near to both. */
static void open_with_hijacker(const char *name, bool forwards)
{
    eddy_config server = ed_cluster_server_config(), client = ed_cluster_client_config();

    ed_cluster_open(&cluster, name, 21);
    cluster.sizes = (ed_sizes){20, 200};
    ed_cluster_add_pair(&cluster, &server, &client);
    hijacker = (struct hijacker){.address = ed_addr_ipv4(10, 6, 6, 6, 666), .forwards = forwards};
    CHECK("host", ed_world_socket(cluster.world, &hijacker.address, &hijacker.socket) != NULL);
    set_link(NULL, NULL, DELAY_MS, 0);
    set_link(&hijacker.address, NULL, 1, 0);
    set_link(NULL, &hijacker.address, 1, 0);
    ed_world_observe(cluster.world, copy_one, &hijacker);
}

static void run_ms(uint64_t duration_ms)
{
    for (uint64_t ms = 0; ms < duration_ms; ms += STEP_MS) {
        talk(ms);
        ed_cluster_run_for(&cluster, STEP_MS * ED_NS_PER_MS);
        hijacker_hears(&hijacker);
        hijacker_sends(&hijacker);
    }
}

/** The connection stays with the client, and little goes to the hijacker. */
static bool copies_take_nothing(const void *context)
{
    bool forwards = *(const bool *)context;

    open_with_hijacker("copies", forwards);
    run_ms(3000);
    hijacker.is_over = true;
    eddy_stats stats = ed_node_stats(&cluster.nodes[0]);
    bool there = both_are_there();
    ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    double share = (double)hijacker.heard / (double)hijacker.said;
    ed_attack_figure(
        "T21 copies%s: %llu challenges, %llu moves, %.2f bytes there for each from there",
        forwards ? ", and answers passed on" : "", (unsigned long long)stats.paths_challenged,
        (unsigned long long)stats.paths_validated, share);
    CHECK("it happened", stats.paths_challenged > 0);
    ed_cluster_close(&cluster);
    return there && stats.paths_validated == 0 && share <= 3.0;
}

static void t21_a_hijacker_is_not_followed(void **state)
{
    static const bool forwards[] = {false, true};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(forwards); i++)
        ed_attack_run(&(ed_attack){.name = "T21 copies",
                                   .mount = copies_take_nothing,
                                   .context = &forwards[i],
                                   .checks = {EDDY_CHECK_PATH_ANSWER}});
}

/* ----------------------------------------------------------------------------- T22: rebinding --
 */

static bool stays_at_first; /* a server that does not follow */
static eddy_address first_address;

static void follow_nobody(void)
{
    stays_at_first = true;
}

static bool drop_what_follows(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    (void)context;
    (void)now_ns;
    return stays_at_first && eddy_address_equal(&datagram->local, &cluster.nodes[0].address) &&
           !eddy_address_equal(&datagram->remote, &first_address);
}

static bool rebinding_is_survived(const void *context)
{
    eddy_config server = ed_cluster_server_config(), client = ed_cluster_client_config();
    uint64_t seconds = ed_attack_count(120, 3600);

    (void)context;
    ed_cluster_open(&cluster, "rebinding", 22);
    cluster.sizes = (ed_sizes){20, 200};
    ed_cluster_add_pair(&cluster, &server, &client);
    first_address = cluster.nodes[1].address;
    set_link(NULL, NULL, DELAY_MS, 200 * 1000);
    ed_world_observe(cluster.world, drop_what_follows, NULL);
    for (uint64_t s = 0; s < seconds && both_are_there(); s += 2) {
        ed_node_rebind(&cluster.nodes[1]);
        for (uint64_t ms = 0; ms < 2000; ms += 16) {
            talk(ms);
            ed_cluster_run_for(&cluster, 16 * ED_NS_PER_MS);
        }
    }
    bool there = both_are_there();
    if (there)
        ed_cluster_await_delivered(&cluster, LIMIT_S * ED_NS_PER_S);
    eddy_stats stats = ed_cluster_stats(&cluster);
    ed_attack_figure("T22 %llu rebindings in %llu s, a fifth lost: %llu moves, %llu messages, all "
                     "delivered",
                     (unsigned long long)seconds / 2, (unsigned long long)seconds,
                     (unsigned long long)stats.paths_validated,
                     (unsigned long long)stats.messages_delivered);
    ed_cluster_close(&cluster);
    return there;
}

static void t22_rebinding_loses_nothing(void **state)
{
    (void)state;
    ed_attack_run(&(ed_attack){
        .name = "T22 rebinding", .mount = rebinding_is_survived, .weaken = follow_nobody});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t21_a_hijacker_is_not_followed),
        cmocka_unit_test(t22_rebinding_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
