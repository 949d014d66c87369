/**
 * Datagrams and nothing else: messages put together to full datagrams, none sent again, none
 * acknowledged, in the clear. What no protocol over UDP can go below. A message larger than a
 * datagram goes as pieces. The client says hello until it is answered, so that both count peers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/alloc.h"
#include "tools/bench/bench.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    DATAGRAM = 1200,
    SEGMENTS = 54, /* datagrams of one call with GSO */
    LENGTH = 4,    /* before each message */
    RECEIVE_ROOM = 64 << 10,
    HELLO = 0xffff0000, /* a length that no message has */
};

/** Who is there, and what waits to be sent to it. */
struct peer {
    struct sockaddr_in address;
    size_t filled;
    uint8_t *waiting; /* whole datagrams but the last */
};

struct host {
    int fd;
    bool offload;
    bool is_client;
    const ed_bench_sink *sink;
    uint32_t known;
    struct peer peers[ED_BENCH_CLIENTS_MAX];
    uint32_t by_port[65536]; /* number and 1; 0: nobody */
    uint8_t message[ED_BENCH_MESSAGE_MAX];
    size_t message_filled; /* of one in pieces */
    uint8_t received[RECEIVE_ROOM];
};

static size_t room_of(const struct host *host)
{
    return host->offload ? (size_t)DATAGRAM * SEGMENTS : DATAGRAM;
}

static struct peer *add_peer(struct host *host, const struct sockaddr_in *address)
{
    struct peer *peer = &host->peers[host->known];

    peer->waiting = ed_alloc_zeroed(ed_alloc_default(), room_of(host));
    if (peer->waiting == NULL)
        return NULL;
    peer->address = *address;
    host->by_port[ntohs(address->sin_port)] = ++host->known;
    return peer;
}

static struct host *open_host(bool offload, const ed_bench_sink *sink, uint16_t *port)
{
    struct host *host = ed_alloc_zeroed(ed_alloc_default(), sizeof(*host));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int buffer = ED_BENCH_KERNEL_BUFFER, on = 1;

    if (host == NULL)
        return NULL;
    host->offload = offload;
    host->sink = sink;
    host->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (host->fd < 0 || bind(host->fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(host->fd, (struct sockaddr *)&address, &size) != 0 ||
        (offload && setsockopt(host->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) != 0)) {
        if (host->fd >= 0)
            close(host->fd);
        ed_alloc_free(ed_alloc_default(), host, sizeof(*host));
        return NULL;
    }
    setsockopt(host->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    setsockopt(host->fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    *port = ntohs(address.sin_port);
    return host;
}

static void send_hello(const struct host *host, const struct peer *peer)
{
    uint32_t hello = HELLO;

    (void)sendto(host->fd, &hello, sizeof(hello), 0, (const struct sockaddr *)&peer->address,
                 sizeof(peer->address));
}

/** Sends what waits; with GSO in one call, which the kernel cuts. */
static void flush_peer(struct host *host, struct peer *peer)
{
    union {
        struct cmsghdr head;
        uint8_t room[CMSG_SPACE(sizeof(uint16_t))];
    } control = {0};
    struct iovec data = {.iov_base = peer->waiting, .iov_len = peer->filled};
    struct msghdr message = {.msg_name = &peer->address,
                             .msg_namelen = sizeof(peer->address),
                             .msg_iov = &data,
                             .msg_iovlen = 1};

    if (peer->filled == 0)
        return;
    if (peer->filled > DATAGRAM) {
        uint16_t segment = DATAGRAM;
        message.msg_control = control.room;
        message.msg_controllen = sizeof(control.room);
        control.head.cmsg_level = IPPROTO_UDP;
        control.head.cmsg_type = UDP_SEGMENT;
        control.head.cmsg_len = CMSG_LEN(sizeof(segment));
        memcpy(CMSG_DATA(&control.head), &segment, sizeof(segment));
    }
    while (sendmsg(host->fd, &message, 0) < 0 && (errno == EAGAIN || errno == ENOBUFS))
        (void)poll(&(struct pollfd){.fd = host->fd, .events = POLLOUT}, 1, 1);
    peer->filled = 0;
}

/** Puts a piece behind what waits: within one datagram, and a new one if there is no room. */
static void put(struct host *host, struct peer *peer, uint32_t whole, const uint8_t *data,
                size_t size)
{
    size_t used = peer->filled % DATAGRAM;

    if (used + LENGTH + size > DATAGRAM) {
        memset(peer->waiting + peer->filled, 0, DATAGRAM - used);
        peer->filled += DATAGRAM - used;
    }
    if (peer->filled + LENGTH + size > room_of(host))
        flush_peer(host, peer);
    memcpy(peer->waiting + peer->filled, &whole, LENGTH);
    memcpy(peer->waiting + peer->filled + LENGTH, data, size);
    peer->filled += LENGTH + size;
}

static bool send_to(void *context, uint32_t number, bool reliable, const void *data, size_t size)
{
    struct host *host = context;
    struct peer *peer = &host->peers[number];

    (void)reliable;
    for (size_t at = 0; at < size; at += DATAGRAM - LENGTH)
        put(host, peer, (uint32_t)size, (const uint8_t *)data + at,
            ed_min_size(DATAGRAM - LENGTH, size - at));
    return true;
}

static void flush(void *context)
{
    struct host *host = context;

    for (uint32_t i = 0; i < host->known; i++)
        flush_peer(host, &host->peers[i]);
}

/** A message, or a piece of one. @return how many bytes it took. */
static size_t take(struct host *host, uint32_t number, const uint8_t *at, size_t left)
{
    uint32_t whole;

    memcpy(&whole, at, LENGTH);
    if (whole == 0 || whole > ED_BENCH_MESSAGE_MAX)
        return left; // filling, or hello
    if (whole <= left - LENGTH && whole <= DATAGRAM - LENGTH) {
        host->sink->message(host->sink->context, number, at + LENGTH, whole);
        return LENGTH + whole;
    }
    size_t piece = ed_min_size(left - LENGTH, whole - host->message_filled);
    memcpy(host->message + host->message_filled, at + LENGTH, piece);
    host->message_filled += piece;
    if (host->message_filled == whole) {
        host->sink->message(host->sink->context, number, host->message, whole);
        host->message_filled = 0;
    }
    return LENGTH + piece;
}

static void take_datagram(struct host *host, const struct sockaddr_in *from, const uint8_t *data,
                          size_t size)
{
    uint32_t number = host->by_port[ntohs(from->sin_port)];
    uint32_t first = 0;

    memcpy(&first, data, ed_min_size(size, sizeof(first)));
    if (number == 0 && !host->is_client && add_peer(host, from) != NULL)
        number = host->known;
    if (first == HELLO && !host->is_client)
        send_hello(host, &host->peers[number - 1]);
    if (first == HELLO && host->is_client)
        host->known = 1;
    for (size_t at = 0; number != 0 && at + LENGTH <= size;)
        at += take(host, number - 1, data + at, size - at);
}

/** @return the size of each datagram that the kernel joined. */
static size_t segment_of(struct msghdr *message, size_t size)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        int segment;
        if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO)
            continue;
        memcpy(&segment, CMSG_DATA(c), sizeof(segment));
        return (size_t)segment;
    }
    return size;
}

/** @return whether something came. */
static bool receive(struct host *host)
{
    union {
        struct cmsghdr head;
        uint8_t room[CMSG_SPACE(sizeof(int))];
    } control;
    struct sockaddr_in from;
    struct iovec data = {.iov_base = host->received, .iov_len = sizeof(host->received)};
    struct msghdr message = {.msg_name = &from,
                             .msg_namelen = sizeof(from),
                             .msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof(control.room)};
    ssize_t got = recvmsg(host->fd, &message, 0);

    if (got < 0)
        return false;
    size_t size = (size_t)got, segment = segment_of(&message, size);
    for (size_t at = 0; at < size; at += segment)
        take_datagram(host, &from, host->received + at, ed_min_size(segment, size - at));
    return true;
}

static void poll_host(void *context, uint32_t wait_ms)
{
    struct host *host = context;

    if (host->is_client && host->known == 0)
        send_hello(host, &host->peers[0]);
    if (host->is_client)
        flush(host);
    if (wait_ms > 0 &&
        poll(&(struct pollfd){.fd = host->fd, .events = POLLIN}, 1, (int)wait_ms) <= 0)
        return;
    while (receive(host))
        continue;
}

static uint32_t connected(void *context)
{
    return ((struct host *)context)->known;
}

static void close_host(void *context)
{
    struct host *host = context;

    for (uint32_t i = 0; i < ED_BENCH_CLIENTS_MAX; i++)
        ed_alloc_free(ed_alloc_default(), host->peers[i].waiting, room_of(host));
    close(host->fd);
    ed_alloc_free(ed_alloc_default(), host, sizeof(*host));
}

static void *dial_as(bool offload, uint16_t port, const ed_bench_sink *sink)
{
    struct sockaddr_in server = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint16_t own;
    struct host *host = open_host(offload, sink, &own);

    if (host == NULL)
        return NULL;
    host->is_client = true;
    if (add_peer(host, &server) == NULL ||
        connect(host->fd, (struct sockaddr *)&server, sizeof(server)) != 0) {
        close_host(host);
        return NULL;
    }
    host->known = 0; // until it answers
    return host;
}

static void *listen_one_by_one(uint32_t clients, const ed_bench_sink *sink, uint16_t *port)
{
    (void)clients;
    return open_host(false, sink, port);
}

static void *dial_one_by_one(uint16_t port, const ed_bench_sink *sink)
{
    return dial_as(false, port, sink);
}

static void *listen_offload(uint32_t clients, const ed_bench_sink *sink, uint16_t *port)
{
    (void)clients;
    return open_host(true, sink, port);
}

static void *dial_offload(uint16_t port, const ed_bench_sink *sink)
{
    return dial_as(true, port, sink);
}

const ed_bench_system ed_bench_udp = {.name = "udp",
                                      .help = "bare datagrams of messages: a limit, not a peer",
                                      .listen = listen_one_by_one,
                                      .dial = dial_one_by_one,
                                      .connected = connected,
                                      .send = send_to,
                                      .flush = flush,
                                      .poll = poll_host,
                                      .close = close_host,
                                      .loses = true};

const ed_bench_system ed_bench_udp_gso = {.name = "udp-gso",
                                          .help = "the same with GSO and GRO",
                                          .listen = listen_offload,
                                          .dial = dial_offload,
                                          .connected = connected,
                                          .send = send_to,
                                          .flush = flush,
                                          .poll = poll_host,
                                          .close = close_host,
                                          .loses = true};
