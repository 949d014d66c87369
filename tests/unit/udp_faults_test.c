/**
 * The UDP socket on a system that fails: this program's calls that send, receive and set options
 * stand in front of the C library's, and refuse what a row asks them to.
 */
#include "tests/support/check.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base.h"
#include "core/prefix.h"
#include "tests/support/udp_rig.h"

enum {
    COUNT = 10, /* datagrams sent in each row: 8 in a run that a shorter one ends, then 2 */
    ALWAYS = 1000,
};

/** What goes wrong; everything zero: nothing. */
typedef struct faults {
    int segmented;  /* the errno of every message of several datagrams */
    int single;     /* the errno of messages of one datagram, */
    size_t after;   /* of which so many are let through first, */
    size_t times;   /* and so many fail then; one that ends a call is met again by the next */
    bool one_each;  /* a call takes one message at most */
    bool missing;   /* there are no such calls */
    bool plain;     /* every option of a socket is refused */
    bool unsteered; /* sockets may share a port, but nothing decides between them */
} faults;

static faults now;

/** @param parts of the message: datagrams */
static int fault_of(size_t parts)
{
    if (parts > 1)
        return now.segmented;
    if (now.after > 0) {
        now.after--;
        return 0;
    }
    if (now.times == 0)
        return 0;
    now.times--;
    return now.single;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    if (now.missing) {
        errno = ENOSYS;
        return -1;
    }
    unsigned allowed = 0;
    int fault = 0;
    while (allowed < count && (allowed == 0 || !now.one_each)) {
        fault = fault_of(messages[allowed].msg_hdr.msg_iovlen);
        if (fault != 0)
            break;
        allowed++;
    }
    if (allowed > 0)
        return (int)syscall(SYS_sendmmsg, fd, messages, allowed, flags);
    errno = fault;
    return -1;
}

ssize_t sendmsg(int fd, const struct msghdr *header, int flags)
{
    errno = fault_of(header->msg_iovlen);
    return errno != 0 ? -1 : syscall(SYS_sendmsg, fd, header, flags);
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *remote,
               socklen_t remote_size)
{
    errno = fault_of(1);
    return errno != 0 ? -1 : syscall(SYS_sendto, fd, data, size, flags, remote, remote_size);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    if (now.missing) {
        errno = ENOSYS;
        return -1;
    }
    return (int)syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);
}

/** An option asked for, and the last value given to it. */
static struct option {
    const char *name;
    int level;
    int option;
    int want;
    int got;
} options_asked[] = {
    {"receive buffer", SOL_SOCKET, SO_RCVBUF, ED_UDP_KERNEL_BUFFER, -1},
    {"send buffer", SOL_SOCKET, SO_SNDBUF, ED_UDP_KERNEL_BUFFER, -1},
    {"don't fragment IPv4", IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, -1},
    {"don't fragment IPv6", IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE, -1},
    {"not even here", IPPROTO_IPV6, IPV6_DONTFRAG, 1, -1},
};

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    for (size_t i = 0; i < ED_COUNT(options_asked) && size == sizeof(int); i++)
        if (options_asked[i].level == level && options_asked[i].option == name)
            memcpy(&options_asked[i].got, value, sizeof(int));
    bool unsteered = now.unsteered && level == SOL_SOCKET && name == SO_ATTACH_REUSEPORT_CBPF;
    if (!now.plain && !unsteered)
        return (int)syscall(SYS_setsockopt, fd, level, name, value, size);
    errno = ENOPROTOOPT;
    return -1;
}

/** Eight of 1,200 bytes, the last of them shorter, then two small ones of two sizes. */
static size_t size_of(uint32_t number)
{
    static const size_t sizes[COUNT] = {1200, 1200, 1200, 1200, 1200, 1200, 1200, 700, 0, 20};

    return sizes[number % COUNT];
}

// A row each, not a line each number.
// clang-format off
static const struct row {
    const char *name;
    faults faults;
    bool no_segmentation;
    size_t taken;
    size_t first_arrived; /* these arrive in order: the numbers from here on, */
    size_t arrived;       /* so many */
    eddy_socket_stats want;
} rows[] = {
    {"nothing fails", {0},
     false, 10, 0, 10, {.segmentation = true, .batching = true}},
    {"EIO for segments", {.segmented = EIO},
     false, 10, 0, 10, {.segment_retries = 1, .batching = true}},
    {"EINVAL for segments", {.segmented = EINVAL, .one_each = true},
     false, 10, 0, 10, {.segment_retries = 1, .batching = true}},
    {"EMSGSIZE by somebody else's ICMP for segments", {.segmented = EMSGSIZE},
     false, 10, 0, 10, {.segment_retries = 1, .segmentation = true, .batching = true}},
    {"old news many times for segments", {.segmented = ECONNREFUSED},
     false, 10, 0, 10, {.segment_retries = 1, .segmentation = true, .batching = true}},
    {"EMSGSIZE for the long ones too",
     {.segmented = EMSGSIZE, .single = EMSGSIZE, .times = 7 * (ED_UDP_RETRIES + 1)},
     false, 10, 7, 3, {.segment_retries = 1, .too_big = 7, .segmentation = true, .batching = true}},
    {"EINVAL for everything", {.segmented = EINVAL, .single = EINVAL, .times = ALWAYS},
     false, 10, 0, 0,
     {.segment_retries = 1, .other_errors = 10, .segmentation = true, .batching = true}},
    {"ENOBUFS for segments", {.segmented = ENOBUFS},
     false, 10, 8, 2, {.no_buffers = 8, .segmentation = true, .batching = true}},
    {"ENOBUFS twice", {.single = ENOBUFS, .times = 2},
     true, 10, 2, 8, {.no_buffers = 2, .batching = true}},
    {"EPERM once", {.single = EPERM, .times = 1},
     true, 10, 1, 9, {.other_errors = 1, .batching = true}},
    {"no room at all", {.single = EAGAIN, .times = 1},
     true, 0, 0, 0, {.would_block = 1, .batching = true}},
    {"no room after three", {.single = EAGAIN, .after = 3, .times = 2},
     true, 3, 0, 3, {.would_block = 1, .batching = true}},
    {"no room for segments", {.segmented = EAGAIN},
     false, 0, 0, 0, {.would_block = 1, .segmentation = true, .batching = true}},
    {"old news", {.single = ECONNREFUSED, .after = 2, .times = 2},
     true, 10, 0, 10, {.batching = true}},
    {"old news many times", {.single = EHOSTUNREACH, .times = ED_UDP_RETRIES},
     true, 10, 0, 10, {.batching = true}},
    {"EMSGSIZE by somebody else's ICMP", {.single = EMSGSIZE, .times = ED_UDP_RETRIES},
     true, 10, 0, 10, {.batching = true}},
    {"news of its own", {.single = ENETUNREACH, .times = ED_UDP_RETRIES + 1},
     true, 10, 1, 9, {.refused = 1, .batching = true}},
    {"nobody can be reached", {.single = ENETUNREACH, .times = ALWAYS},
     true, 10, 0, 0, {.refused = 10, .batching = true}},
    {"one message a call", {.one_each = true},
     true, 10, 0, 10, {.batching = true}},
    {"ENOBUFS for one alone", {.single = ENOBUFS, .after = 9, .times = 1, .one_each = true},
     true, 10, 0, 9, {.no_buffers = 1, .batching = true}},
    {"no room for one alone", {.single = EAGAIN, .after = 9, .times = 1, .one_each = true},
     true, 9, 0, 9, {.would_block = 1, .batching = true}},
    {"no batches, and one fails", {.single = EPERM, .after = 9, .times = 1, .missing = true},
     true, 10, 0, 9, {.other_errors = 1}},
    {"no batches", {.missing = true},
     false, 10, 0, 10, {.segmentation = true}},
    {"no batches, no segments", {.missing = true},
     true, 10, 0, 10, {0}},
};
// clang-format on

static void check_stats(const char *name, const eddy_socket_stats *got,
                        const eddy_socket_stats *want, bool able)
{
    CHECK_EQ(name, got->refused, want->refused);
    CHECK_EQ(name, got->no_buffers, want->no_buffers);
    CHECK_EQ(name, got->too_big, want->too_big);
    CHECK_EQ(name, got->would_block, want->would_block);
    CHECK_EQ(name, got->other_errors, want->other_errors);
    CHECK_EQ(name, got->batching, want->batching);
    if (!able)
        return; // an old kernel, that has no segmentation to lose
    CHECK_EQ(name, got->segment_retries, want->segment_retries);
    CHECK_EQ(name, got->segmentation, want->segmentation);
}

/** Each that was is named, once. */
static void check_too_big(const char *name, const eddy_socket *sender, size_t want)
{
    eddy_datagram named[COUNT];
    size_t count = sender->too_big(sender->context, named, COUNT);

    CHECK_EQ(name, count, want);
    for (size_t i = 0; i < count; i++)
        CHECK(name, named[i].size == size_of(0) && ed_addr_is_loopback(&named[i].remote));
    CHECK_EQ(name, sender->too_big(sender->context, named, COUNT), 0);
}

static void survives_faults(void **state)
{
    static const ed_udp_rig_ends ends = {"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:1"};
    static ed_udp_rig rig; // too large for the stack

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        ed_udp_options options = {.no_segmentation = row->no_segmentation};
        now = (faults){0};
        ed_udp_rig_open(&rig, &ends, &options, size_of);
        bool able = ed_udp_rig_stats(&rig.sender).segmentation;
        if (!able && row->faults.segmented != 0) {
            ed_udp_rig_close(&rig);
            continue;
        }
        now = row->faults;
        CHECK_EQ(row->name, ed_udp_rig_send(&rig, COUNT), row->taken);
        rig.received = (uint32_t)row->first_arrived;
        ed_udp_rig_receive(&rig, row->name, row->arrived, COUNT);
        ed_udp_rig_receive_none(&rig, row->name);
        eddy_socket_stats sender = ed_udp_rig_stats(&rig.sender);
        check_stats(row->name, &sender, &row->want, able || row->no_segmentation);
        CHECK_EQ(row->name, sender.sent_datagrams, row->arrived);
        check_too_big(row->name, &rig.sender, row->want.too_big);
        CHECK_EQ(row->name, ed_udp_rig_stats(&rig.receiver).batching, !row->faults.missing);
        now = (faults){0};
        CHECK_EQ(row->name, ed_udp_rig_send(&rig, 1), 1);
        ed_udp_rig_close(&rig);
    }
}

static void asks_for_what_it_needs(void **state)
{
    eddy_socket socket;

    (void)state;
    now = (faults){0};
    if (!ed_udp_rig_ipv6())
        skip();
    CHECK_EQ("open", ed_udp_open(&socket, ed_alloc_default(), NULL, NULL), EDDY_OK);
    socket.close(socket.context);
    for (size_t i = 0; i < ED_COUNT(options_asked); i++)
        CHECK_EQ(options_asked[i].name, options_asked[i].got, options_asked[i].want);
}

/** A socket of both families becomes one of IPv4, without anything that makes it fast. */
static void works_without_any_option(void **state)
{
    eddy_socket socket;
    eddy_datagram got;

    (void)state;
    now = (faults){.plain = true};
    CHECK_EQ("open", ed_udp_open(&socket, ed_alloc_default(), NULL, NULL), EDDY_OK);
    eddy_socket_stats stats = ed_udp_rig_stats(&socket);
    CHECK("plain", !stats.segmentation && !stats.coalescing);
    CHECK_EQ("family", socket.local(socket.context).family, EDDY_FAMILY_IPV4);
    eddy_datagram sent = {
        .remote = ed_udp_rig_at("127.0.0.1:1", &socket), .data = (uint8_t[]){7}, .size = 1};
    CHECK_EQ("send", socket.send(socket.context, &sent, 1), 1); // to itself
    CHECK_EQ("receive", socket.receive(socket.context, &got, 1), 1);
    CHECK_EQ("data", got.data[0], 7);
    CHECK_EQ("nobody said which", got.local.family, EDDY_FAMILY_NONE);
    socket.close(socket.context);
}

/** A server whose system cannot keep handshakes apart has one queue, and its port to itself. */
static void works_without_a_second_queue(void **state)
{
    static const faults lacks[] = {{.plain = true}, {.unsteered = true}};
    const ed_udp_options split = {.split = true};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(lacks); i++) {
        eddy_socket server, client;
        eddy_datagram got;
        now = lacks[i];
        CHECK_EQ("open", ed_udp_open(&server, ed_alloc_default(), "127.0.0.1:0", &split), EDDY_OK);
        CHECK("one queue", !ed_udp_rig_stats(&server).split);
        now = (faults){0};
        int other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        eddy_address address = server.local(server.context);
        struct sockaddr_in at = {.sin_family = AF_INET,
                                 .sin_port = htons(address.port),
                                 .sin_addr = {htonl(INADDR_LOOPBACK)}};
        CHECK_EQ("share", setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)), 0);
        CHECK("is not shared", bind(other, (struct sockaddr *)&at, sizeof at) != 0);
        CHECK_EQ("in use", errno, EADDRINUSE);
        (void)close(other);
        CHECK_EQ("client", ed_udp_open(&client, ed_alloc_default(), "127.0.0.1:0", NULL), EDDY_OK);
        for (uint8_t first = 0x40; first != 0; first = (uint8_t)(first + 0x40)) {
            eddy_datagram sent = {.remote = address, .data = &first, .size = 1};
            CHECK_EQ("send", client.send(client.context, &sent, 1), 1);
            CHECK_EQ("receive", server.receive(server.context, &got, 1), 1);
            CHECK_EQ("data", got.data[0], first);
            CHECK_EQ("no more", server.receive(server.context, &got, 1), 0);
        }
        client.close(client.context);
        server.close(server.context);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_faults),
        cmocka_unit_test(asks_for_what_it_needs),
        cmocka_unit_test(works_without_any_option),
        cmocka_unit_test(works_without_a_second_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
