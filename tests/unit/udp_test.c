/** The UDP socket on the loopback interface. */
#include "tests/support/check.h"

#include <stdio.h>
#include <unistd.h>

#include "core/base.h"
#include "core/clock.h"
#include "tests/support/udp_rig.h"
#include "transport/udp_address.h"

enum {
    DATAGRAMS = 1000,
    MANY = 40, /* destinations */
    ROUNDS = 5,
};

static const struct family {
    const char *name;
    ed_udp_rig_ends ends;
    bool needs_ipv6;
} families[] = {
    {"IPv4", {"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:1"}, false},
    {"IPv6", {"[::1]:0", "[::1]:0", "[::1]:1"}, true},
    {"both to IPv4", {NULL, "127.0.0.1:0", "127.0.0.1:1"}, false},
    {"IPv4 to both", {"127.0.0.1:0", ":0", "127.0.0.1:1"}, false},
    {"both to both by IPv6", {":0", NULL, "[::1]:1"}, true},
    {"both to both by IPv4", {":0", ":0", "127.0.0.1:1"}, false},
    {"any IPv4 to any IPv4", {"0.0.0.0:0", "0.0.0.0:0", "127.0.0.1:1"}, false},
    {"any IPv6 to any IPv6", {"[::]:0", "[::]:0", "[::1]:1"}, true},
};

static ed_udp_rig rig; // too large for the stack

static bool skipped(const struct family *family)
{
    return family->needs_ipv6 && !ed_udp_rig_ipv6();
}

/** The combination of options that the low four bits name. */
static ed_udp_options options_of(unsigned bits)
{
    return (ed_udp_options){.no_segmentation = (bits & 1) != 0,
                            .no_coalescing = (bits & 2) != 0,
                            .no_batching = (bits & 4) != 0,
                            .split = (bits & 8) != 0};
}

static void carry_all(const char *name, const struct family *family, const ed_udp_options *options)
{
    ed_udp_rig_open(&rig, &family->ends, options, ed_udp_rig_size_mixed);
    eddy_socket_stats before = ed_udp_rig_stats(&rig.sender);
    uint64_t allocations = rig.memory.calls;
    for (size_t left = DATAGRAMS; left > 0;) {
        size_t count = ed_min_size(left, 1 + left % 40);
        CHECK_EQ(name, ed_udp_rig_send(&rig, count), count);
        ed_udp_rig_receive(&rig, name, count, 1 + left % 7);
        left -= count;
    }
    ed_udp_rig_receive_none(&rig, name);
    eddy_socket_stats sent = ed_udp_rig_stats(&rig.sender);
    eddy_socket_stats received = ed_udp_rig_stats(&rig.receiver);
    CHECK_EQ(name, rig.memory.calls, allocations);
    CHECK_EQ(name, sent.sent_datagrams, DATAGRAMS);
    CHECK_EQ(name, received.received_datagrams, DATAGRAMS);
    CHECK_EQ(name, received.received_bytes, sent.sent_bytes);
    CHECK_EQ(name, sent.segment_retries + sent.other_errors + sent.no_buffers + sent.too_big, 0);
    CHECK_EQ(name, sent.segmentation, before.segmentation);
    CHECK_EQ(name, sent.batching, !options->no_batching);
    CHECK(name, !options->no_segmentation || !sent.segmentation);
    CHECK(name, !options->no_coalescing || !received.coalescing);
    ed_udp_rig_close(&rig);
}

static void carries_all_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(families); i++) {
        for (unsigned bits = 0; bits < 8 && !skipped(&families[i]); bits++) {
            char name[64];
            ed_udp_options options = options_of(bits);
            (void)snprintf(name, sizeof name, "%s, without %u", families[i].name, bits);
            carry_all(name, &families[i], &options);
        }
    }
}

/** The fewest calls that the options leave possible are made. */
static void makes_few_calls(void **state)
{
    enum { BURST = 64 }; // 54 of 1,200 bytes make one message, the rest another
    static const struct {
        const char *name;
        ed_udp_options options;
        uint64_t sent_calls;
        uint64_t received_calls; /* the most */
    } rows[] = {
        {"all on", {0}, 1, 1},
        {"by segments alone", {.no_coalescing = true, .no_batching = true}, 2, BURST},
        {"joined, but one message a call", {.no_batching = true}, 2, 2},
        {"by batches alone", {.no_segmentation = true, .no_coalescing = true}, 1, 4},
        {"one by one",
         {.no_segmentation = true, .no_coalescing = true, .no_batching = true},
         BURST,
         BURST},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_udp_rig_open(&rig, &families[0].ends, &rows[i].options, ed_udp_rig_size_1200);
        eddy_socket_stats sender = ed_udp_rig_stats(&rig.sender);
        eddy_socket_stats receiver = ed_udp_rig_stats(&rig.receiver);
        bool able = (sender.segmentation || rows[i].options.no_segmentation) &&
                    (receiver.coalescing || rows[i].options.no_coalescing);
        CHECK_EQ(rows[i].name, ed_udp_rig_send(&rig, BURST), BURST);
        ed_udp_rig_receive(&rig, rows[i].name, BURST, ED_UDP_RIG_BATCH);
        sender = ed_udp_rig_stats(&rig.sender);
        receiver = ed_udp_rig_stats(&rig.receiver);
        CHECK_EQ(rows[i].name, sender.segment_retries, 0);
        if (able) { // an old kernel needs more
            CHECK_EQ(rows[i].name, sender.sent_calls, rows[i].sent_calls);
            CHECK(rows[i].name, receiver.received_calls <= rows[i].received_calls);
        }
        ed_udp_rig_close(&rig);
    }
}

static void serves_many_destinations(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 8; bits++) {
        eddy_socket others[MANY];
        eddy_datagram datagrams[3 * MANY];
        ed_udp_options options = options_of(bits);
        ed_udp_rig_open(&rig, &families[2].ends, &options, ed_udp_rig_size_mixed);
        for (uint32_t i = 0; i < MANY; i++)
            CHECK_EQ("open", ed_udp_open(&others[i], ed_alloc_default(), "127.0.0.1:0", &options),
                     EDDY_OK);
        for (uint32_t i = 0; i < 3 * MANY; i++) { // two in a row to each, then one more
            ed_udp_rig_fill(&rig, i % MANY, &datagrams[i]);
            size_t to = i < 2 * MANY ? i / 2 : i - 2 * MANY;
            datagrams[i].remote = ed_udp_rig_at("127.0.0.1:1", &others[to]);
        }
        size_t taken = rig.sender.send(rig.sender.context, datagrams, ED_COUNT(datagrams));
        CHECK_EQ("taken", taken, ED_COUNT(datagrams));
        for (uint32_t i = 0; i < MANY; i++) {
            eddy_datagram got;
            const uint32_t numbers[] = {2 * i, 2 * i + 1, 2 * MANY + i};
            for (size_t n = 0; n < ED_COUNT(numbers); n++) {
                const eddy_datagram *want = &datagrams[numbers[n]];
                CHECK_EQ("receive", others[i].receive(others[i].context, &got, 1), 1);
                CHECK_EQ("size", got.size, want->size);
                CHECK_BYTES("data", got.data, want->data, want->size);
            }
            CHECK_EQ("no more", others[i].receive(others[i].context, &got, 1), 0);
            others[i].close(others[i].context);
        }
        ed_udp_rig_close(&rig);
    }
}

/**
 * Takes a port of this address that refuses all comers: a socket that is connected to somebody else
 * holds it, so that no other program can listen there meanwhile. @return the socket.
 */
static int hold_refusing_port(eddy_address *address)
{
    ed_udp_address os_address;
    bool ipv6 = address->family == EDDY_FAMILY_IPV6;
    int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK("socket", fd >= 0);
    address->port = 0;
    socklen_t size = ed_udp_address_write(&os_address, address, ipv6);
    CHECK_EQ("bind", bind(fd, &os_address.any, size), 0);
    CHECK_EQ("name", getsockname(fd, &os_address.any, &size), 0);
    *address = ed_udp_address_read(&os_address.any, size);
    CHECK_EQ("connect", connect(fd, &os_address.any, size), 0); // to itself: nobody else
    return fd;
}

/** Sends two datagrams to somebody, then one to nobody, and so on. */
static void send_around_closed(const struct family *family, const ed_udp_options *options)
{
    eddy_datagram datagrams[3 * ROUNDS];
    eddy_datagram reply;

    ed_udp_rig_open(&rig, &family->ends, options, ed_udp_rig_size_1200);
    eddy_address closed = rig.to;
    int fd = hold_refusing_port(&closed);
    for (uint32_t i = 0; i < ED_COUNT(datagrams); i++) {
        ed_udp_rig_fill(&rig, rig.sent, &datagrams[i]);
        if (i % 3 == 2)
            datagrams[i].remote = closed;
        else
            rig.sent++;
    }
    size_t taken = rig.sender.send(rig.sender.context, datagrams, ED_COUNT(datagrams));
    CHECK_EQ(family->name, taken, ED_COUNT(datagrams));
    ed_udp_rig_receive(&rig, family->name, 2 * ROUNDS, ED_UDP_RIG_BATCH);
    // The news of the last one stand before the reply.
    reply = (eddy_datagram){.remote = rig.last.remote, .data = rig.data[0], .size = 1};
    CHECK_EQ(family->name, rig.receiver.send(rig.receiver.context, &reply, 1), 1);
    CHECK_EQ(family->name, rig.sender.receive(rig.sender.context, &reply, 1), 1);
    rig.sender.wait(rig.sender.context, -1, false, 0); // some may stand at the other queue
    eddy_socket_stats stats = ed_udp_rig_stats(&rig.sender);
    CHECK_EQ(family->name, stats.refused, ROUNDS);
    CHECK_EQ(family->name, stats.sent_datagrams, 3 * ROUNDS);
    CHECK_EQ(family->name, stats.other_errors + stats.segment_retries, 0);
    // News that a wait has taken do not end the next one.
    reply.remote = closed;
    CHECK_EQ(family->name, rig.sender.send(rig.sender.context, &reply, 1), 1);
    rig.sender.wait(rig.sender.context, -1, false, ED_NEVER_NS);
    stats = ed_udp_rig_stats(&rig.sender);
    CHECK_EQ(family->name, stats.refused, ROUNDS + 1);
    uint64_t until_ns = ed_clock_now_ns() + 2 * ED_NS_PER_MS;
    rig.sender.wait(rig.sender.context, -1, false, 2 * ED_NS_PER_MS);
    CHECK(family->name, ed_clock_now_ns() >= until_ns);
    (void)close(fd);
    ed_udp_rig_close(&rig);
}

static void goes_on_after_a_refusal(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(families); i++) {
        for (unsigned bits = 0; bits < 16 && !skipped(&families[i]); bits++) {
            ed_udp_options options = options_of(bits);
            send_around_closed(&families[i], &options);
        }
    }
}

static void drops_what_is_too_big(void **state)
{
    static uint8_t big[ED_UDP_DATAGRAM_MAX + 1];

    (void)state;
    for (unsigned bits = 0; bits < 16; bits++) {
        eddy_datagram datagrams[4];
        eddy_datagram got;
        ed_udp_options options = options_of(bits);
        ed_udp_rig_open(&rig, &families[0].ends, &options, ed_udp_rig_size_1200);
        for (uint32_t i = 0; i < ED_COUNT(datagrams); i++)
            ed_udp_rig_fill(&rig, i / 3, &datagrams[i]);
        datagrams[1].data = datagrams[2].data = big;
        datagrams[1].size = ED_UDP_DATAGRAM_MAX + 1;
        datagrams[2].size = ED_UDP_DATAGRAM_MAX;
        CHECK_EQ("taken", rig.sender.send(rig.sender.context, datagrams, 4), 4);
        CHECK_EQ("too big", ed_udp_rig_stats(&rig.sender).too_big, 1);
        ed_udp_rig_receive(&rig, "before", 1, 1);
        CHECK_EQ("largest", rig.receiver.receive(rig.receiver.context, &got, 1), 1);
        CHECK_EQ("largest", got.size, ED_UDP_DATAGRAM_MAX);
        ed_udp_rig_receive(&rig, "after", 1, 1);
        CHECK_EQ("truncated", ed_udp_rig_stats(&rig.receiver).truncated, 0);
        ed_udp_rig_close(&rig);
    }
}

static void keeps_local_address_and_ecn(void **state)
{
    static const struct {
        const char *name;
        ed_udp_rig_ends ends;
        const char *from; /* NULL: any */
        const char *seen_from;
        bool needs_ipv6;
        bool ecn_unread;
    } rows[] = {
        {"IPv4, any", {"0.0.0.0:0", "0.0.0.0:0", "127.0.0.3:1"}, NULL, "127.0.0.1:1", false, false},
        {"IPv4", {"0.0.0.0:0", ":0", "127.0.0.3:1"}, "127.0.0.2:1", "127.0.0.2:1", false, false},
        {"mapped", {":0", "0.0.0.0:0", "127.0.0.3:1"}, "127.0.0.2:1", "127.0.0.2:1", false, false},
        {"IPv6", {":0", ":0", "[::1]:1"}, "[::1]:1", "[::1]:1", true, false},
        {"one to one",
         {"127.0.0.2:0", "127.0.0.3:0", "127.0.0.3:1"},
         NULL,
         "127.0.0.2:1",
         false,
         false},
        {"unread", {":0", ":0", "127.0.0.3:1"}, NULL, "127.0.0.1:1", false, true},
        {"its own",
         {"127.0.0.2:0", ":0", "127.0.0.3:1"},
         "127.0.0.2:1",
         "127.0.0.2:1",
         false,
         false},
        {"another",
         {"127.0.0.2:0", ":0", "127.0.0.3:1"},
         "127.0.0.4:1",
         "127.0.0.4:1",
         false,
         false},
        {"IPv6, one", {"[::1]:0", "[::1]:0", "[::1]:1"}, "[::1]:1", "[::1]:1", true, false},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        if (rows[i].needs_ipv6 && !ed_udp_rig_ipv6())
            continue;
        const ed_udp_options options = {.ecn = !rows[i].ecn_unread};
        ed_udp_rig_open(&rig, &rows[i].ends, &options, ed_udp_rig_size_1200);
        eddy_address seen = ed_udp_rig_at(rows[i].seen_from, &rig.sender);
        eddy_datagram datagrams[4];
        for (uint8_t ecn = 0; ecn < ED_COUNT(datagrams); ecn++) { // one call, four ECNs
            ed_udp_rig_fill(&rig, ecn, &datagrams[ecn]);
            datagrams[ecn].ecn = ecn;
            if (rows[i].from != NULL)
                datagrams[ecn].local = ed_udp_rig_at(rows[i].from, &rig.sender);
        }
        CHECK_EQ(rows[i].name, rig.sender.send(rig.sender.context, datagrams, 4), 4);
        for (uint8_t ecn = 0; ecn < ED_COUNT(datagrams); ecn++) {
            ed_udp_rig_receive(&rig, rows[i].name, 1, 1);
            CHECK_EQ(rows[i].name, rig.last.ecn, rows[i].ecn_unread ? 0 : ecn);
            CHECK(rows[i].name, eddy_address_equal(&rig.last.remote, &seen));
        }
        ed_udp_rig_close(&rig);
    }
}

/** Datagrams of one call that differ in their source alone are not joined. */
static void keeps_sources_apart(void **state)
{
    static const char *const from[] = {"127.0.0.2:1", "127.0.0.3:1"};
    static const ed_udp_rig_ends ends = {":0", "127.0.0.1:0", "127.0.0.1:1"};
    eddy_datagram datagrams[8];

    (void)state;
    ed_udp_rig_open(&rig, &ends, NULL, ed_udp_rig_size_1200);
    for (uint32_t i = 0; i < ED_COUNT(datagrams); i++) {
        ed_udp_rig_fill(&rig, i, &datagrams[i]);
        datagrams[i].local = ed_udp_rig_at(from[i / 2 % 2], &rig.sender);
    }
    size_t taken = rig.sender.send(rig.sender.context, datagrams, ED_COUNT(datagrams));
    CHECK_EQ("taken", taken, ED_COUNT(datagrams));
    for (uint32_t i = 0; i < ED_COUNT(datagrams); i++) {
        ed_udp_rig_receive(&rig, "source", 1, 1);
        CHECK("source", eddy_address_equal(&rig.last.remote, &datagrams[i].local));
    }
    ed_udp_rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_all_in_order),     cmocka_unit_test(makes_few_calls),
        cmocka_unit_test(serves_many_destinations), cmocka_unit_test(goes_on_after_a_refusal),
        cmocka_unit_test(drops_what_is_too_big),    cmocka_unit_test(keeps_local_address_and_ecn),
        cmocka_unit_test(keeps_sources_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
