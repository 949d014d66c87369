/**
 * Real sockets on an interface that comes to take less, in a network namespace of this program's
 * own: where the kernel refuses a datagram for its size, no message is lost for it.
 */
#include "tests/support/check.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/clock.h"
#include "tests/support/keys.h"

enum {
    MTU_WIDE = 65536,
    MTU_NARROW = 1400, /* a tunnel's */
    HEADERS_SIZE = 28, /* of IPv4 and UDP */
    MESSAGE_SIZE = 16 << 10,
    ROUND = 16,       /* messages sent before they are waited for */
    LIMIT_MS = 30000, /* far more than it takes; only a hang meets it */
};

struct side {
    ed_counting_alloc memory;
    eddy_manager *manager;
};

static bool has_namespace; /* not everybody may have one */
static struct side server, client;
static eddy_connection connection; /* the client's */
static uint32_t next;              /* the number of the next message */

static void set_loopback(unsigned long what, struct ifreq request)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK("socket", fd >= 0);
    memcpy(request.ifr_name, "lo", sizeof("lo"));
    int failed = ioctl(fd, what, &request);
    close(fd);
    CHECK_EQ("the interface", failed, 0);
}

static void set_mtu(int mtu)
{
    set_loopback(SIOCSIFMTU, (struct ifreq){.ifr_mtu = mtu});
}

static int enter_namespace(void **state)
{
    (void)state;
    has_namespace = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    if (has_namespace)
        set_loopback(SIOCSIFFLAGS, (struct ifreq){.ifr_flags = IFF_UP | IFF_RUNNING});
    return 0;
}

static void open_side(struct side *side, bool accept)
{
    eddy_config config = eddy_config_default();

    ed_counting_alloc_init(&side->memory, NULL);
    config.allocator = &side->memory.allocator;
    config.bind = "127.0.0.1:0";
    config.accept = accept;
    config.secret_key = ed_test_secret();
    config.max_message_size = MESSAGE_SIZE;
    CHECK_EQ("open", eddy_open(&side->manager, &config), EDDY_OK);
}

static void open_both(void)
{
    eddy_event event;

    open_side(&server, true);
    open_side(&client, false);
    eddy_address address = eddy_local_address(server.manager);
    CHECK_EQ("connect",
             eddy_connect_address(client.manager, &address, ed_test_options(), &connection),
             EDDY_OK);
    CHECK_EQ("connected", eddy_await(client.manager, EDDY_CONNECTED, &event, LIMIT_MS), EDDY_OK);
}

static void close_both(void)
{
    CHECK_EQ("all had arrived", eddy_close(client.manager, LIMIT_MS), EDDY_OK);
    (void)eddy_close(server.manager, 0);
    CHECK_EQ("memory of the client", client.memory.live_count, 0);
    CHECK_EQ("memory of the server", server.memory.live_count, 0);
}

/** Sends some messages and takes them: all, whole, in order. */
static void pass_round(const char *name)
{
    static uint8_t data[MESSAGE_SIZE];
    eddy_event event;

    for (uint32_t i = 0; i < ROUND; i++) {
        memset(data, (uint8_t)(next + i), sizeof(data));
        CHECK_EQ(
            name,
            eddy_send(client.manager, connection, EDDY_RELIABLE_ORDERED, 0, data, sizeof(data)),
            EDDY_OK);
    }
    for (uint32_t i = 0; i < ROUND; i++, next++) {
        CHECK_EQ(name, eddy_await(server.manager, EDDY_MESSAGE, &event, LIMIT_MS), EDDY_OK);
        CHECK_EQ(name, event.message.size, sizeof(data));
        memset(data, (uint8_t)next, sizeof(data));
        CHECK_BYTES(name, event.message.data, data, sizeof(data));
        eddy_release(server.manager, &event);
    }
}

static eddy_connection_stats get_stats(void)
{
    eddy_connection_stats stats = {0};

    CHECK_EQ("stats", eddy_get_connection_stats(client.manager, connection, &stats), EDDY_OK);
    return stats;
}

/** Passes rounds until datagrams may have a size in a range. */
static void pass_until_size(const char *name, uint64_t least, uint64_t most)
{
    uint64_t until_ns = ed_clock_now_ns() + LIMIT_MS * ED_NS_PER_MS;
    uint64_t size = 0;

    do {
        CHECK(name, ed_clock_now_ns() < until_ns);
        pass_round(name);
        size = get_stats().datagram_size;
    } while (size < least || size > most);
}

static void an_interface_becomes_narrow(void **state)
{
    eddy_socket_stats socket_stats;

    (void)state;
    if (!has_namespace)
        skip();
    set_mtu(MTU_WIDE);
    open_both();
    pass_until_size("wide", EDDY_DATAGRAM_SIZE_MAX, EDDY_DATAGRAM_SIZE_MAX);
    set_mtu(MTU_NARROW);
    pass_until_size("narrow", EDDY_DATAGRAM_SIZE_MIN, MTU_NARROW - HEADERS_SIZE);
    eddy_get_socket_stats(client.manager, &socket_stats);
    CHECK("the kernel said so", socket_stats.too_big > 0);
    close_both();
}

/** One that was never wide: a probe is refused, and what is found fits. */
static void an_interface_is_narrow(void **state)
{
    (void)state;
    if (!has_namespace)
        skip();
    set_mtu(MTU_NARROW);
    open_both();
    pass_until_size("found", EDDY_DATAGRAM_SIZE_MIN + 1, MTU_NARROW - HEADERS_SIZE);
    close_both();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interface_becomes_narrow),
        cmocka_unit_test(an_interface_is_narrow),
    };

    return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
