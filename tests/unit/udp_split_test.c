/** A server's UDP socket with a queue of its own for handshakes, on the loopback interface. */
#include "tests/support/check.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base.h"
#include "core/clock.h"
#include "tests/support/udp_rig.h"
#include "transport/udp_address.h"

enum {
    PACKET = 0x40, /* first bytes */
    HELLO = 0xe1,
    SIZE = 100,
    BATCH = 64,
    /* More than a queue of twice ED_UDP_KERNEL_BUFFER holds, as each takes 1,200 bytes at least. */
    FLOOD = 2 * ED_UDP_KERNEL_BUFFER / 1200 + 1000,
};

static const ed_udp_options split = {.split = true};

static eddy_socket server, client;
static eddy_address to; /* the server, as the client sees it */

static void open_both(const char *bind, const char *reached_at, const ed_udp_options *options)
{
    CHECK_EQ(bind, ed_udp_open(&server, ed_alloc_default(), bind, options), EDDY_OK);
    CHECK_EQ("client", ed_udp_open(&client, ed_alloc_default(), NULL, NULL), EDDY_OK);
    to = ed_udp_rig_at(reached_at, &server);
}

static void close_both(void)
{
    client.close(client.context);
    server.close(server.context);
}

/** One datagram: its first byte, then its number. */
static void send_one(uint8_t first, uint32_t number, size_t size, uint8_t ecn)
{
    static uint8_t data[1200];
    eddy_datagram datagram = {.remote = to, .data = data, .size = size, .ecn = ecn};

    data[0] = first;
    memcpy(data + 1, &number, sizeof number);
    CHECK_EQ("sent", client.send(client.context, &datagram, 1), 1);
}

static uint32_t number_of(const eddy_datagram *datagram)
{
    uint32_t number;

    CHECK("size", datagram->size > sizeof number);
    memcpy(&number, datagram->data + 1, sizeof number);
    return number;
}

/** What came, by form; `next` are the numbers expected, each form in its order. */
typedef struct tally {
    uint32_t next[2];
    size_t calls;
} tally;

static bool is_handshake(const eddy_datagram *datagram)
{
    return datagram->size > 0 && datagram->data[0] >= 0x80;
}

/** One call of `receive`: packets first, each form in order. @return how many of both. */
static size_t receive_call(const char *name, tally *t, size_t count, size_t *handshakes)
{
    eddy_datagram datagrams[BATCH];
    size_t got = server.receive(server.context, datagrams, count);

    *handshakes = 0;
    t->calls++;
    for (size_t i = 0; i < got; i++) {
        bool handshake = is_handshake(&datagrams[i]);
        CHECK(name, handshake || *handshakes == 0);
        CHECK_EQ(name, number_of(&datagrams[i]), t->next[handshake]++);
        *handshakes += handshake;
    }
    return got;
}

static const struct place {
    const char *bind;
    const char *reached_at;
    bool needs_ipv6;
} places[] = {
    {"127.0.0.1:0", "127.0.0.1:1", false}, {"0.0.0.0:0", "127.0.0.1:1", false},
    {":0", "127.0.0.1:1", false},          {":0", "[::1]:1", true},
    {"[::1]:0", "[::1]:1", true},          {"[::]:0", "[::1]:1", true},
};

static bool skipped(const struct place *place)
{
    return place->needs_ipv6 && !ed_udp_rig_ipv6();
}

static void keeps_each_in_order(void **state)
{
    enum { ROUNDS = 20 };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(places) && !skipped(&places[i]); i++) {
        const char *name = places[i].bind;
        tally t = {0};
        open_both(name, places[i].reached_at, &split);
        CHECK("split", ed_udp_rig_stats(&server).split);
        for (uint32_t n = 0; n < ROUNDS * 8; n++) {
            size_t handshakes;
            send_one(HELLO, n, SIZE, 0);
            send_one(PACKET, n, SIZE, 0);
            if (n % 8 != 7)
                continue;
            // Eight of each wait: packets come first, although a handshake was sent before.
            CHECK_EQ(name, receive_call(name, &t, BATCH, &handshakes), 8 + 5);
            CHECK_EQ(name, handshakes, 5);
            CHECK_EQ(name, receive_call(name, &t, BATCH, &handshakes), 3);
            CHECK_EQ(name, receive_call(name, &t, BATCH, &handshakes), 0);
        }
        CHECK_EQ(name, t.next[0], ROUNDS * 8);
        CHECK_EQ(name, t.next[1], ROUNDS * 8);
        close_both();
    }
}

static void hands_out_whatever_comes(void **state)
{
    static const struct {
        const char *name;
        uint8_t first;
        size_t size;
    } rows[] = {
        {"nothing", 0, 0},
        {"a byte of a packet", 0x40, 1},
        {"a byte of a handshake", 0xe1, 1},
        {"junk", 0x00, 1200},
        {"junk that looks like a handshake", 0x80, 1200},
        {"the last one", 0xff, 9},
        {"nearly", 0x7f, 9},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_datagram got;
        open_both("0.0.0.0:0", "127.0.0.3:1", &(ed_udp_options){.split = true, .ecn = true});
        send_one(rows[i].first, 7, rows[i].size, 2);
        CHECK_EQ(rows[i].name, server.receive(server.context, &got, 1), 1);
        CHECK_EQ(rows[i].name, got.size, rows[i].size);
        CHECK(rows[i].name, got.size == 0 || got.data[0] == rows[i].first);
        CHECK_EQ(rows[i].name, got.ecn, 2);
        CHECK(rows[i].name, eddy_address_equal(&got.local, &to));
        uint8_t answer = 1;
        eddy_datagram reply = {
            .remote = got.remote, .local = got.local, .data = &answer, .size = 1};
        CHECK_EQ(rows[i].name, server.send(server.context, &reply, 1), 1);
        CHECK_EQ(rows[i].name, client.receive(client.context, &got, 1), 1);
        CHECK(rows[i].name, eddy_address_equal(&got.remote, &to));
        CHECK_EQ(rows[i].name, server.receive(server.context, &got, 1), 0);
        close_both();
    }
}

/** Equal sizes to one place leave as one message, and come so: whole, whatever is in it. */
static void takes_joined_datagrams(void **state)
{
    static const uint8_t firsts[] = {PACKET, HELLO};
    uint8_t data[4][SIZE];
    eddy_datagram sent[4], got[8];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(firsts); i++) {
        size_t taken = 0;
        open_both(":0", "127.0.0.1:1", &split);
        for (size_t n = 0; n < ED_COUNT(sent); n++) {
            memset(data[n], (int)n, SIZE);
            data[n][0] = firsts[(i + n / 2) % 2];
            sent[n] = (eddy_datagram){.remote = to, .data = data[n], .size = SIZE};
        }
        CHECK_EQ("sent", client.send(client.context, sent, ED_COUNT(sent)), ED_COUNT(sent));
        for (size_t calls = 0; calls < ED_COUNT(sent); calls++) {
            size_t count = server.receive(server.context, got, ED_COUNT(got));
            for (size_t n = 0; n < count; n++)
                CHECK_EQ("size", got[n].size, SIZE);
            taken += count;
        }
        CHECK_EQ("all", taken, ED_COUNT(sent));
        close_both();
    }
}

static void flood_then_send_packets(const ed_udp_options *options, uint32_t packets)
{
    open_both("127.0.0.1:0", "127.0.0.1:1", options);
    for (uint32_t n = 0; n < FLOOD; n++)
        send_one(HELLO, n, 1200, 0);
    for (uint32_t n = 0; n < packets; n++)
        send_one(PACKET, n, SIZE, 0);
}

static void packets_pass_a_full_queue_of_handshakes(void **state)
{
    enum { PACKETS = 200 };
    tally t = {0};
    size_t handshakes, got;

    (void)state;
    flood_then_send_packets(&split, PACKETS);
    got = receive_call("first", &t, BATCH, &handshakes);
    CHECK("as many as a system call takes", got - handshakes >= ED_UDP_RECEIVE_FEW);
    for (size_t empty = 0; empty < 2;) // once may be the end of a turn
        empty = receive_call("rest", &t, BATCH, &handshakes) > 0 ? 0 : empty + 1;
    CHECK_EQ("all packets", t.next[0], PACKETS);
    CHECK("the queue was full", t.next[1] > 100 && t.next[1] < FLOOD);
    close_both();
}

/** What the test before is about: with one queue the flood takes all the room. */
static void one_queue_loses_them(void **state)
{
    enum { PACKETS = 200 };
    eddy_datagram got;
    uint32_t packets = 0;

    (void)state;
    flood_then_send_packets(NULL, PACKETS);
    while (server.receive(server.context, &got, 1) > 0)
        packets += !is_handshake(&got);
    CHECK("nearly all", packets < PACKETS / 10);
    close_both();
}

/** Neither keeps the other waiting for long, whatever waits, and however few a call takes. */
static void neither_starves(void **state)
{
    enum { EACH = 300 };
    static const struct {
        const char *name;
        size_t count; /* of a call */
        uint32_t packets;
        uint32_t handshakes;
        size_t calls_max; /* until the last of those that are fewer has come */
    } rows[] = {
        {"few handshakes", BATCH, EACH, 20, 3},
        {"few handshakes in small calls", 4, EACH, 20, 20},
        {"few packets", BATCH, 20, EACH, 2},
        {"one at a time", 1, 20, EACH, 20},
        {"no packets", BATCH, 0, EACH, 1 + EACH / 16 + EACH / ED_UDP_TURN},
        {"no packets, one at a time", 1, 0, 10, 11},
        {"as many", BATCH, EACH, EACH, 3 * EACH / 16},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const char *name = rows[i].name;
        uint32_t fewer = rows[i].packets <= rows[i].handshakes && rows[i].packets > 0;
        uint32_t want = fewer ? rows[i].packets : rows[i].handshakes;
        tally t = {0};
        open_both("127.0.0.1:0", "127.0.0.1:1", &split);
        for (uint32_t n = 0; n < rows[i].packets; n++)
            send_one(PACKET, n, SIZE, 0);
        for (uint32_t n = 0; n < rows[i].handshakes; n++)
            send_one(HELLO, n, SIZE, 0);
        while (t.next[fewer ? 0 : 1] < want) {
            size_t handshakes;
            size_t got = receive_call(name, &t, rows[i].count, &handshakes);
            CHECK(name, (got > 0 || t.next[1] >= ED_UDP_TURN) && got <= rows[i].count);
            size_t packets = got - handshakes;
            CHECK(name, handshakes <= (packets > 0 ? packets / 2 + 1 : 1 + rows[i].count / 4));
        }
        CHECK(name, t.calls <= rows[i].calls_max);
        close_both();
    }
}

/** However many wait: those who play are served in between. */
static void handshakes_come_in_turns(void **state)
{
    enum { TURNS = 2 };
    tally t = {0};
    size_t handshakes;

    (void)state;
    open_both("127.0.0.1:0", "127.0.0.1:1", &split);
    for (uint32_t n = 0; n < TURNS * ED_UDP_TURN + 1; n++)
        send_one(HELLO, n, SIZE, 0);
    for (uint32_t turn = 1; turn <= TURNS; turn++) {
        while (receive_call("turn", &t, BATCH, &handshakes) > 0)
            continue;
        CHECK_EQ("a whole turn", t.next[1], turn * ED_UDP_TURN);
        server.wait(server.context, -1, false, ED_NEVER_NS); // returns: there is more
    }
    send_one(PACKET, 0, SIZE, 0);
    server.wait(server.context, -1, false, ED_NEVER_NS); // what comes behind a wait ends the next
    CHECK_EQ("the rest", receive_call("rest", &t, BATCH, &handshakes), 2);
    for (uint32_t n = 1; n <= ED_UDP_TURN; n++)
        send_one(PACKET, n, SIZE, 0);
    server.wait(server.context, -1, false, ED_NEVER_NS);
    while (receive_call("packets", &t, BATCH, &handshakes) > 0)
        continue;
    CHECK_EQ("packets have no turns", t.next[0], 1 + ED_UDP_TURN);
    close_both();
}

static uint64_t calls_so_far(void)
{
    eddy_socket_stats stats;

    server.stats(server.context, &stats);
    return stats.received_calls;
}

/** Who has waited knows which queue has something: one call of the system, and no others. */
static void a_wait_saves_calls(void **state)
{
    static const struct {
        const char *name;
        uint8_t what;
    } rows[] = {{"a packet", PACKET}, {"a handshake", HELLO}};
    eddy_datagram got[2];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_both("127.0.0.1:0", "127.0.0.1:1", &split);
        send_one(rows[i].what, 0, SIZE, 0);
        server.wait(server.context, -1, false, ED_NEVER_NS);
        uint64_t before = calls_so_far();
        CHECK_EQ(rows[i].name, server.receive(server.context, got, 2), 1);
        CHECK_EQ(rows[i].name, server.receive(server.context, got, 2), 0);
        CHECK_EQ(rows[i].name, calls_so_far() - before, 1);
        send_one(rows[i].what, 1, SIZE, 0); // nobody waits: everything is asked
        CHECK_EQ(rows[i].name, server.receive(server.context, got, 2), 1);
        close_both();
    }
}

/** Nor is a queue that gave less than it could asked twice for what has come. */
static void what_is_known_is_not_asked_again(void **state)
{
    static const struct {
        const char *name;
        uint8_t what;
        uint64_t calls[2]; /* until it returns 0, and then with nothing there */
    } rows[] = {{"a packet", PACKET, {2, 2}}, {"a handshake", HELLO, {2, 2}}};
    eddy_datagram got[2];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        open_both("127.0.0.1:0", "127.0.0.1:1", &split);
        for (size_t round = 0; round < 3; round++) {
            uint64_t before = calls_so_far();
            send_one(rows[i].what, (uint32_t)round, SIZE, 0);
            CHECK_EQ(rows[i].name, server.receive(server.context, got, 2), 1);
            CHECK_EQ(rows[i].name, server.receive(server.context, got, 2), 0);
            CHECK_EQ(rows[i].name, calls_so_far() - before, rows[i].calls[0]);
            CHECK_EQ(rows[i].name, server.receive(server.context, got, 2), 0);
            CHECK_EQ(rows[i].name, calls_so_far() - before, rows[i].calls[0] + rows[i].calls[1]);
        }
        close_both();
    }
}

static uint64_t look(size_t count)
{
    uint64_t before = calls_so_far();
    eddy_datagram got;

    for (size_t i = 0; i < count; i++)
        CHECK_EQ("nothing", server.receive(server.context, &got, 1), 0);
    return calls_so_far() - before;
}

/** Who polls faster than anybody could tell looks for handshakes now and then. */
static void handshakes_that_never_come_cost_little(void **state)
{
    enum { LOOKS = 2000 };
    eddy_datagram got;

    (void)state;
    open_both("127.0.0.1:0", "127.0.0.1:1", &split);
    CHECK_EQ("at first each time", look(ED_UDP_QUIET_LOOKS), 2 * ED_UDP_QUIET_LOOKS);
    uint64_t begin_ns = ed_clock_now_ns();
    uint64_t extra = look(LOOKS) - LOOKS;
    CHECK("then now and then", extra <= (ed_clock_now_ns() - begin_ns) / ED_UDP_QUIET_NS + 2);

    send_one(HELLO, 0, SIZE, 0);
    begin_ns = ed_clock_now_ns();
    while (server.receive(server.context, &got, 1) == 0)
        CHECK("soon", ed_clock_now_ns() - begin_ns < ED_NS_PER_S);
    CHECK_EQ("no more", look(1), 0);
    send_one(HELLO, 1, SIZE, 0);
    CHECK_EQ("the next at once", server.receive(server.context, &got, 1), 1);

    (void)look(2 * ED_UDP_QUIET_LOOKS);
    send_one(HELLO, 2, SIZE, 0);
    server.wait(server.context, -1, false, ED_NEVER_NS);
    CHECK_EQ("at once after a wait", server.receive(server.context, &got, 1), 1);
    close_both();
}

/** Where packets never end, no turn of the handshakes does. */
static void endless_packets_leave_room_for_handshakes(void **state)
{
    enum { EACH = 2 * ED_UDP_TURN, AT_ONCE = ED_UDP_RECEIVE_BATCH + 4 };
    tally t = {0};
    uint32_t packets = 0;

    (void)state;
    open_both("127.0.0.1:0", "127.0.0.1:1", &split);
    for (uint32_t n = 0; n < EACH; n++)
        send_one(HELLO, n, SIZE, 0);
    while (t.next[1] < EACH) {
        size_t handshakes;
        for (size_t n = 0; n < AT_ONCE; n++)
            send_one(PACKET, packets++, SIZE, 0);
        CHECK("packets", receive_call("call", &t, BATCH, &handshakes) > handshakes);
        CHECK("and handshakes", handshakes > 0);
    }
    close_both();
}

/** What a wait has said of the handshakes' queue gets old, although nobody waits again. */
static void endless_packets_do_not_hide_a_handshake(void **state)
{
    enum { AT_ONCE = ED_UDP_RECEIVE_BATCH + 4 };
    tally t = {0};
    uint32_t packets = 0;

    (void)state;
    open_both("127.0.0.1:0", "127.0.0.1:1", &split);
    while (t.next[1] == 0) {
        size_t handshakes;
        for (size_t n = 0; n < AT_ONCE; n++)
            send_one(PACKET, packets++, SIZE, 0);
        if (t.calls == 0)
            server.wait(server.context, -1, false, ED_NEVER_NS);
        CHECK("packets", receive_call("call", &t, BATCH, &handshakes) > handshakes);
        if (t.calls == 1)
            send_one(HELLO, 0, SIZE, 0);
        CHECK("soon", t.next[0] <= 2 * ED_UDP_PATIENCE);
    }
    close_both();
}

/* --------------------------------------------------------------------------------- the port -- */

static void a_second_server_is_refused(void **state)
{
    static const struct {
        const char *first;
        const char *second; /* at the first's port */
        bool first_split;
        bool second_split;
    } rows[] = {
        {"127.0.0.1:0", "127.0.0.1", true, true},
        {"127.0.0.1:0", "127.0.0.1", true, false},
        {"127.0.0.1:0", "127.0.0.1", false, true},
        {"127.0.0.1:0", "", true, true},
        {":0", "", true, true},
        {":0", "127.0.0.1", true, true},
        {"0.0.0.0:0", "127.0.0.1", true, true},
        {"0.0.0.0:0", "", true, true},
    };
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const ed_udp_options first = {.split = rows[i].first_split};
        const ed_udp_options second = {.split = rows[i].second_split};
        char bind[EDDY_ADDRESS_TEXT_SIZE];
        eddy_socket other = {0};
        open_both(rows[i].first, "127.0.0.1:1", &first);
        (void)snprintf(bind, sizeof bind, "%s:%u", rows[i].second, (unsigned)to.port);
        CHECK_EQ(bind, ed_udp_open(&other, ed_alloc_default(), bind, &second), EDDY_EINUSE);
        CHECK(bind, other.context == NULL);
        close_both();
        // Free again at once, for both queues.
        CHECK_EQ(bind, ed_udp_open(&other, ed_alloc_default(), bind, &second), EDDY_OK);
        CHECK_EQ(bind, ed_udp_rig_stats(&other).split, rows[i].second_split);
        other.close(other.context);
    }
}

/** @return 0 or an errno. */
static int try_to_join(const eddy_address *address, bool shares)
{
    ed_udp_address os_address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int error = 0;

    CHECK("socket", fd >= 0);
    if (shares)
        CHECK_EQ("share", setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)), 0);
    if (bind(fd, &os_address.any, ed_udp_address_write(&os_address, address, false)) != 0)
        error = errno;
    (void)close(fd);
    return error;
}

static void nobody_else_may_share_the_port(void **state)
{
    enum { NOBODY = 65534 };

    (void)state;
    open_both("127.0.0.1:0", "127.0.0.1:1", &split);
    CHECK_EQ("without asking", try_to_join(&to, false), EADDRINUSE);
    bool is_other = geteuid() == 0 && seteuid(NOBODY) == 0;
    int got = is_other ? try_to_join(&to, true) : 0;
    if (is_other)
        CHECK_EQ("root again", seteuid(0), 0);
    close_both();
    if (!is_other)
        skip(); // only root can be somebody else
    CHECK_EQ("another user", got, EADDRINUSE);
}

/* ---------------------------------------------------------------------------------- waiting -- */

static void wait_ends_for_either(void **state)
{
    static const uint8_t firsts[] = {PACKET, HELLO};
    eddy_datagram got;

    (void)state;
    open_both("127.0.0.1:0", "127.0.0.1:1", &split);
    for (size_t i = 0; i < ED_COUNT(firsts); i++) {
        uint64_t start_ns = ed_clock_now_ns();
        server.wait(server.context, -1, false, 2 * ED_NS_PER_MS);
        CHECK("nothing", ed_clock_now_ns() - start_ns >= 2 * ED_NS_PER_MS);
        for (uint32_t n = 0; n < 3; n++)
            send_one(firsts[i], n, SIZE, 0);
        for (size_t n = 0; n < 3; n++) { // of the kernel, then of what is held already
            server.wait(server.context, -1, false, ED_NEVER_NS);
            CHECK_EQ("one", server.receive(server.context, &got, 1), 1);
            CHECK_EQ("form", got.data[0], firsts[i]);
        }
    }
    close_both();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_each_in_order),
        cmocka_unit_test(hands_out_whatever_comes),
        cmocka_unit_test(takes_joined_datagrams),
        cmocka_unit_test(packets_pass_a_full_queue_of_handshakes),
        cmocka_unit_test(one_queue_loses_them),
        cmocka_unit_test(neither_starves),
        cmocka_unit_test(handshakes_come_in_turns),
        cmocka_unit_test(a_wait_saves_calls),
        cmocka_unit_test(what_is_known_is_not_asked_again),
        cmocka_unit_test(handshakes_that_never_come_cost_little),
        cmocka_unit_test(endless_packets_leave_room_for_handshakes),
        cmocka_unit_test(endless_packets_do_not_hide_a_handshake),
        cmocka_unit_test(a_second_server_is_refused),
        cmocka_unit_test(nobody_else_may_share_the_port),
        cmocka_unit_test(wait_ends_for_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
