/** Opening the UDP socket, waiting on it, and names. */
#include "tests/support/check.h"

#include <stdio.h>
#include <unistd.h>

#include "core/base.h"
#include "core/clock.h"
#include "core/thread.h"
#include "core/wake.h"
#include "tests/support/udp_rig.h"
#include "transport/resolve.h"

enum {
    ADDRESSES_MAX = 8,
};

static const ed_udp_rig_ends ipv4 = {"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:1"};
static ed_udp_rig rig; // too large for the stack

static void open_says_what_is_wrong(void **state)
{
    static const struct {
        const char *name;
        const char *bind;
        eddy_status want;
    } rows[] = {
        {"any", NULL, EDDY_OK},
        {"any of both", ":0", EDDY_OK},
        {"a name", "localhost:0", EDDY_OK},
        {"no port", "127.0.0.1", EDDY_EADDRESS},
        {"nothing", "", EDDY_EADDRESS},
        {"port too large", ":65536", EDDY_EADDRESS},
        {"port too large for IPv4", "127.0.0.1:65536", EDDY_EADDRESS},
        {"a name that cannot be", "a..b:0", EDDY_EADDRESS},
        {"not ours", "203.0.113.1:0", EDDY_ENOADDR}, // RFC 5737: for documentation
        {"not ours either", "[2001:db8::1]:0", EDDY_ENOADDR},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_socket socket = {0};
        ed_counting_alloc memory;
        ed_counting_alloc_init(&memory, NULL);
        eddy_status got = ed_udp_open(&socket, &memory.allocator, rows[i].bind, NULL);
        CHECK_EQ(rows[i].name, got, rows[i].want);
        CHECK_EQ(rows[i].name, socket.context != NULL, got == EDDY_OK);
        if (got == EDDY_OK) {
            CHECK(rows[i].name, socket.local(socket.context).port != 0);
            socket.close(socket.context);
        }
        CHECK_EQ(rows[i].name, memory.live_count, 0);
    }
}

static void refuses_an_address_in_use(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", ""};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(hosts); i++) {
        char bind[EDDY_ADDRESS_TEXT_SIZE];
        eddy_socket second = {0};
        ed_udp_rig_open(&rig, &ipv4, NULL, ed_udp_rig_size_1200);
        (void)snprintf(bind, sizeof bind, "%s:%u", hosts[i], (unsigned)rig.to.port);
        CHECK_EQ(bind, ed_udp_open(&second, ed_alloc_default(), bind, NULL), EDDY_EINUSE);
        CHECK(bind, second.context == NULL);
        ed_udp_rig_close(&rig);
    }
}

/** The lowest port that anybody may bind to. */
static unsigned first_free_port(void)
{
    unsigned port = 1024;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");

    if (file == NULL)
        return port;
    if (fscanf(file, "%u", &port) != 1)
        port = 1024;
    (void)fclose(file);
    return port;
}

static void refuses_a_port_without_permission(void **state)
{
    enum { NOBODY = 65534 };
    eddy_socket socket;
    bool root = geteuid() == 0;

    (void)state;
    if (first_free_port() < 2 || (root && seteuid(NOBODY) != 0))
        skip();
    eddy_status got = ed_udp_open(&socket, ed_alloc_default(), "127.0.0.1:1", NULL);
    if (root)
        CHECK_EQ("root again", seteuid(0), 0);
    CHECK_EQ("port 1", got, EDDY_EPERM);
}

static void fails_without_memory(void **state)
{
    (void)state;
    for (uint64_t after = 0; after < 4; after++) {
        const ed_udp_options options = {.split = true};
        eddy_socket socket = {0};
        ed_counting_alloc memory;
        ed_counting_alloc_init(&memory, NULL);
        memory.fail_after = after;
        eddy_status got = ed_udp_open(&socket, &memory.allocator, NULL, &options);
        CHECK_EQ("status", got, after < 3 ? EDDY_ENOMEM : EDDY_OK);
        if (got == EDDY_OK)
            socket.close(socket.context);
        CHECK_EQ("live", memory.live_count, 0);
    }
}

static void names_its_local_address(void **state)
{
    static const struct {
        const char *bind;
        const char *want; /* with the port that it got */
        bool needs_ipv6;
    } rows[] = {
        {"127.0.0.1:0", "127.0.0.1:1", false},
        {"0.0.0.0:0", "0.0.0.0:1", false},
        {"[::1]:0", "[::1]:1", true},
        {":0", "[::]:1", true},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_socket socket;
        if (rows[i].needs_ipv6 && !ed_udp_rig_ipv6())
            continue;
        CHECK_EQ(rows[i].bind, ed_udp_open(&socket, ed_alloc_default(), rows[i].bind, NULL),
                 EDDY_OK);
        eddy_address want = ed_udp_rig_at(rows[i].want, &socket);
        eddy_address got = socket.local(socket.context);
        CHECK(rows[i].bind, eddy_address_equal(&got, &want));
        socket.close(socket.context);
    }
}

static void waits_no_longer_than_asked(void **state)
{
    static const struct {
        const char *name;
        uint64_t timeout_ns;
        bool want_send;
        uint64_t least_ns;
    } rows[] = {
        {"not at all", 0, false, 0},
        {"a moment", 3 * ED_NS_PER_MS, false, 3 * ED_NS_PER_MS},
        {"room to send is there", ED_NEVER_NS, true, 0},
    };
    ed_wake wake;

    (void)state;
    CHECK_EQ("wake", ed_wake_init(&wake), EDDY_OK);
    ed_udp_rig_open(&rig, &ipv4, NULL, ed_udp_rig_size_1200);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint64_t start_ns = ed_clock_now_ns();
        rig.receiver.wait(rig.receiver.context, wake.read_fd, rows[i].want_send,
                          rows[i].timeout_ns);
        CHECK(rows[i].name, ed_clock_now_ns() - start_ns >= rows[i].least_ns);
    }
    ed_udp_rig_close(&rig);
    ed_wake_destroy(&wake);
}

static void set_wake(void *context)
{
    ed_wake_set(context);
}

/** Each of these hangs if what it waits for does not end the wait. */
static void wait_ends_when_there_is_something(void **state)
{
    static const uint64_t timeouts_ns[] = {ED_NEVER_NS, ED_NEVER_NS - 1};
    ed_wake wake;

    (void)state;
    CHECK_EQ("wake", ed_wake_init(&wake), EDDY_OK);
    ed_udp_rig_open(&rig, &ipv4, NULL, ed_udp_rig_size_1200);
    for (size_t i = 0; i < ED_COUNT(timeouts_ns); i++) {
        ed_thread thread;
        CHECK_EQ("thread", ed_thread_start(&thread, "eddy-test", set_wake, &wake), EDDY_OK);
        rig.receiver.wait(rig.receiver.context, wake.read_fd, false, timeouts_ns[i]);
        ed_thread_join(&thread);
        ed_wake_clear(&wake);

        CHECK_EQ("send", ed_udp_rig_send(&rig, 20), 20);
        rig.receiver.wait(rig.receiver.context, -1, false, timeouts_ns[i]);
        ed_udp_rig_receive(&rig, "first", 1, 1);
        // The rest has left the kernel, or some of it; that must not be waited for either.
        rig.receiver.wait(rig.receiver.context, -1, false, timeouts_ns[i]);
        ed_udp_rig_receive(&rig, "rest", 19, 19);
    }
    ed_udp_rig_receive_none(&rig, "none");
    ed_udp_rig_close(&rig);
    ed_wake_destroy(&wake);
}

static void resolves_names_and_digits(void **state)
{
    static const struct {
        const char *text;
        eddy_status want;
        const char *first; /* NULL: either address of this host */
    } rows[] = {
        {"127.0.0.1:4242", EDDY_OK, "127.0.0.1:4242"},
        {"[::1]:4242", EDDY_OK, "[::1]:4242"},
        {"[::ffff:127.0.0.1]:4242", EDDY_OK, "127.0.0.1:4242"},
        {"localhost:4242", EDDY_OK, NULL},
        {":4242", EDDY_EADDRESS, NULL},
        {"localhost", EDDY_EADDRESS, NULL},
        {"localhost:", EDDY_EADDRESS, NULL},
        {"", EDDY_EADDRESS, NULL},
        {"a..b:4242", EDDY_ERESOLVE, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_address addresses[ADDRESSES_MAX];
        eddy_address want;
        size_t count = 77;
        eddy_status got = ed_resolve(rows[i].text, addresses, ED_COUNT(addresses), &count);
        CHECK_EQ(rows[i].text, got, rows[i].want);
        CHECK_EQ(rows[i].text, count > 0 && count <= ED_COUNT(addresses), got == EDDY_OK);
        if (got != EDDY_OK)
            continue;
        CHECK_EQ(rows[i].text, addresses[0].port, 4242);
        const char *first = rows[i].first;
        if (first == NULL)
            first = addresses[0].family == EDDY_FAMILY_IPV6 ? "[::1]:4242" : "127.0.0.1:4242";
        CHECK_EQ(rows[i].text, eddy_address_parse(&want, first), EDDY_OK);
        CHECK(rows[i].text, eddy_address_equal(&addresses[0], &want));
        CHECK_EQ("one", ed_resolve(rows[i].text, addresses, 1, &count), EDDY_OK);
        CHECK_EQ("no more than one", count, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_says_what_is_wrong),
        cmocka_unit_test(refuses_an_address_in_use),
        cmocka_unit_test(refuses_a_port_without_permission),
        cmocka_unit_test(fails_without_memory),
        cmocka_unit_test(names_its_local_address),
        cmocka_unit_test(waits_no_longer_than_asked),
        cmocka_unit_test(wait_ends_when_there_is_something),
        cmocka_unit_test(resolves_names_and_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
