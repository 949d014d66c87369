/** Kernel TCP as a system to be measured: lengths before messages, TCP_NODELAY, one send a flush.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/alloc.h"
#include "tools/bench/bench.h"

enum {
    LENGTH = 4,
    ROOM = 256 << 10, /* bytes that wait for a flush, or for the rest of a message */
    EVENTS = 64,
    BACKLOG = 4096,
};

/** Bytes on their way, of one connection and direction. */
struct bytes {
    size_t filled;
    uint8_t at[ROOM];
};

struct peer {
    int fd;
    bool is_dirty; /* stands in host->dirty */
    struct bytes *out;
    struct bytes *in;
};

struct host {
    int epoll;
    int listener; /* -1: a client */
    const ed_bench_sink *sink;
    uint32_t known;
    uint32_t left;
    uint32_t dirty_count;
    uint32_t dirty[ED_BENCH_CLIENTS_MAX]; /* who has something to send */
    struct peer peers[ED_BENCH_CLIENTS_MAX];
};

/** Waits for news of `fd`, which is `number`'s; the listener is ED_BENCH_CLIENTS_MAX. */
static bool watch(struct host *host, int fd, uint32_t number, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = number};

    return epoll_ctl(host->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool add_peer(struct host *host, int fd)
{
    int on = 1;

    if (host->known == ED_BENCH_CLIENTS_MAX || !watch(host, fd, host->known, EPOLLIN)) {
        close(fd);
        return false;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct peer *peer = &host->peers[host->known++];
    peer->fd = fd;
    peer->in = ed_alloc_zeroed(ed_alloc_default(), sizeof(*peer->in));
    peer->out = ed_alloc_zeroed(ed_alloc_default(), sizeof(*peer->out));
    return peer->in != NULL && peer->out != NULL;
}

static struct host *open_host(const ed_bench_sink *sink)
{
    struct host *host = ed_alloc_zeroed(ed_alloc_default(), sizeof(*host));

    if (host == NULL)
        return NULL;
    host->sink = sink;
    host->listener = -1;
    host->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (host->epoll >= 0)
        return host;
    ed_alloc_free(ed_alloc_default(), host, sizeof(*host));
    return NULL;
}

static void close_host(void *context)
{
    struct host *host = context;

    for (uint32_t i = 0; i < host->known; i++) {
        close(host->peers[i].fd);
        ed_alloc_free(ed_alloc_default(), host->peers[i].in, sizeof(struct bytes));
        ed_alloc_free(ed_alloc_default(), host->peers[i].out, sizeof(struct bytes));
    }
    if (host->listener >= 0)
        close(host->listener);
    close(host->epoll);
    ed_alloc_free(ed_alloc_default(), host, sizeof(*host));
}

static void *listen_at(uint32_t clients, const ed_bench_sink *sink, uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    struct host *host = open_host(sink);

    (void)clients;
    if (host == NULL)
        return NULL;
    host->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (host->listener < 0 || bind(host->listener, (struct sockaddr *)&address, size) != 0 ||
        listen(host->listener, BACKLOG) != 0 ||
        getsockname(host->listener, (struct sockaddr *)&address, &size) != 0 ||
        !watch(host, host->listener, ED_BENCH_CLIENTS_MAX, EPOLLIN)) {
        close_host(host);
        return NULL;
    }
    *port = ntohs(address.sin_port);
    return host;
}

static void *dial(uint16_t port, const ed_bench_sink *sink)
{
    struct sockaddr_in server = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct host *host = open_host(sink);
    int fd = host == NULL ? -1 : socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 &&
        (connect(fd, (struct sockaddr *)&server, sizeof(server)) == 0 || errno == EINPROGRESS) &&
        add_peer(host, fd))
        return host;
    if (host != NULL)
        close_host(host);
    return NULL;
}

static void accept_all(struct host *host)
{
    int fd;

    while ((fd = accept4(host->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        add_peer(host, fd);
}

/** Hands out the whole messages at the front. */
static void take_messages(struct host *host, uint32_t number)
{
    struct bytes *in = host->peers[number].in;
    size_t at = 0;

    for (uint32_t size; at + LENGTH <= in->filled; at += LENGTH + size) {
        memcpy(&size, in->at + at, LENGTH);
        if (at + LENGTH + size > in->filled)
            break;
        host->sink->message(host->sink->context, number, in->at + at + LENGTH, size);
    }
    memmove(in->at, in->at + at, in->filled - at);
    in->filled -= at;
}

static void receive(struct host *host, uint32_t number)
{
    struct peer *peer = &host->peers[number];
    ssize_t got;

    size_t room;
    do {
        room = ROOM - peer->in->filled;
        got = recv(peer->fd, peer->in->at + peer->in->filled, room, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            epoll_ctl(host->epoll, EPOLL_CTL_DEL, peer->fd, NULL);
            host->left++;
            return;
        }
        peer->in->filled += got > 0 ? (size_t)got : 0;
        take_messages(host, number);
    } while (got == (ssize_t)room);
}

static void flush(void *context)
{
    struct host *host = context;
    uint32_t still = 0;

    for (uint32_t i = 0; i < host->dirty_count; i++) {
        struct peer *peer = &host->peers[host->dirty[i]];
        ssize_t went = send(peer->fd, peer->out->at, peer->out->filled, MSG_NOSIGNAL);
        size_t gone = went > 0 ? (size_t)went : 0;
        memmove(peer->out->at, peer->out->at + gone, peer->out->filled - gone);
        peer->out->filled -= gone;
        peer->is_dirty = peer->out->filled > 0;
        if (peer->is_dirty)
            host->dirty[still++] = host->dirty[i];
    }
    host->dirty_count = still;
}

static void poll_host(void *context, uint32_t wait_ms)
{
    struct host *host = context;
    struct epoll_event events[EVENTS];
    int count;

    if (host->listener < 0)
        flush(host);
    do {
        count = epoll_wait(host->epoll, events, EVENTS, (int)wait_ms);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 == ED_BENCH_CLIENTS_MAX)
                accept_all(host);
            else
                receive(host, events[i].data.u32);
        }
        wait_ms = 0;
    } while (count == EVENTS);
}

static bool send_to(void *context, uint32_t number, bool reliable, const void *data, size_t size)
{
    struct host *host = context;
    struct peer *peer = &host->peers[number];
    uint32_t length = (uint32_t)size;

    (void)reliable;
    if (peer->out->filled + LENGTH + size > ROOM)
        return false;
    memcpy(peer->out->at + peer->out->filled, &length, LENGTH);
    memcpy(peer->out->at + peer->out->filled + LENGTH, data, size);
    peer->out->filled += LENGTH + size;
    if (!peer->is_dirty)
        host->dirty[host->dirty_count++] = number;
    peer->is_dirty = true;
    return true;
}

static uint32_t connected(void *context)
{
    struct host *host = context;
    struct tcp_info info;
    socklen_t size = sizeof(info);

    if (host->listener >= 0)
        return host->known - host->left;
    if (getsockopt(host->peers[0].fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return 0;
    return info.tcpi_state == TCP_ESTABLISHED ? 1 : 0;
}

const ed_bench_system ed_bench_tcp = {.name = "tcp",
                                      .help = "kernel TCP with TCP_NODELAY, in the clear",
                                      .listen = listen_at,
                                      .dial = dial,
                                      .connected = connected,
                                      .send = send_to,
                                      .flush = flush,
                                      .poll = poll_host,
                                      .close = close_host};
