/**
 * L3-tcp: one flow of eddy beside one of kernel TCP with CUBIC, in real time, through a link of
 * ours. Both ends of both are sockets of the kernel in two network namespaces; each has a device
 * whose packets go through the link into the other.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/alloc.h"
#include "core/clock.h"
#include "tools/bench/bulk.h"
#include "tools/bench/delays.h"
#include "tools/bench/tun.h"

enum {
    WARM_S = 10,
    PACKETS = 64, /* at a time */
    CHUNK = 64 << 10,
    TCP_PORT = 5000,
    WAIT_MAX_NS = 1000 * 1000,
    SIDES = 2,
    BITS = 8,
    PERCENT = 100,
};

/** One side of the path; the first sends. */
struct side {
    int tun;
    ed_link *link; /* away from it */
    eddy_manager *manager;
    int tcp; /* where its bytes go or come from; -1: not yet */
    int listener;
};

struct match {
    struct side sides[SIDES];
    eddy_connection connection; /* the client's */
    uint64_t eddy_size;         /* bytes that came, of messages */
    uint64_t tcp_size;
    ed_delays queue;
    uint64_t looked_ns;
    ed_link_config path;
    const char *failed; /* what could not be done */
};

/* ------------------------------------------------------------------------------------- opening --
 */

static struct sockaddr_in address_of(uint8_t host)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(TCP_PORT)};

    in.sin_addr.s_addr = htonl(UINT32_C(0x0a4d0000) + host); // 10.77.0.host, of ed_tun_enter
    return in;
}

static int open_tcp(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", strlen("cubic")) == 0)
        return fd;
    return -1;
}

static bool open_manager(struct side *side, const ed_bench_system *system, bool accepts)
{
    bool is_reno = system == &ed_bench_eddy_reno;
    eddy_config config = ed_bulk_config(is_reno ? EDDY_CONGESTION_NEW_RENO : EDDY_CONGESTION_MODEL);

    config.accept = accepts;
    config.pump = false;
    config.bind = accepts ? "10.77.0.2:4000" : "10.77.0.1:4000";
    return eddy_open(&side->manager, &config) == EDDY_OK;
}

/** Enters a namespace of its own and opens all that is there. */
static const char *open_side(struct match *match, size_t i, const ed_bench_system *system,
                             uint64_t seed)
{
    struct side *side = &match->sides[i];
    struct sockaddr_in own = address_of((uint8_t)(i + 1));

    side->tun = ed_tun_enter((uint8_t)(i + 1));
    if (side->tun < 0)
        return "a network namespace with a TUN device (needs root, and /dev/net/tun)";
    side->link = ed_link_create(ed_alloc_default(), &match->path, seed, 0, (uint32_t)i);
    if (side->link == NULL || !open_manager(side, system, i == 1))
        return "eddy";
    int fd = open_tcp();
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0)
        return "TCP with CUBIC";
    if (i == 1 && listen(fd, 1) != 0)
        return "a TCP listener";
    *(i == 1 ? &side->listener : &side->tcp) = fd;
    return NULL;
}

static const char *open_match(struct match *match, const ed_bench_system *system,
                              const ed_bench_plan *plan)
{
    match->path = ed_bulk_path(plan);
    match->path.overhead_size = 0; // the packets of a device have their headers
    match->path.mtu = ED_TUN_MTU;
    for (size_t i = 0; i < SIDES; i++)
        match->sides[i] = (struct side){.tun = -1, .tcp = -1, .listener = -1};
    for (size_t i = 0; i < SIDES; i++) {
        const char *failed = open_side(match, i, system, plan->seed);
        if (failed != NULL)
            return failed;
    }
    eddy_key key = eddy_public_key(match->sides[1].manager);
    eddy_connect_options options = {.server_key = &key};
    eddy_address to = ed_addr_ipv4(10, 77, 0, 2, 4000);
    struct sockaddr_in peer = address_of(2);
    if (eddy_connect_address(match->sides[0].manager, &to, &options, &match->connection) != EDDY_OK)
        return "an eddy connection";
    if (connect(match->sides[0].tcp, (struct sockaddr *)&peer, sizeof(peer)) != 0 &&
        errno != EINPROGRESS)
        return "a TCP connection";
    return NULL;
}

/* -------------------------------------------------------------------------------------- moving --
 */

/** From a device into the link, as far as there is anything. */
static void take_packets(struct side *side, uint64_t now_ns)
{
    uint8_t data[ED_TUN_MTU];
    ssize_t size;

    while ((size = read(side->tun, data, sizeof(data))) > 0) {
        eddy_datagram datagram = {.data = data, .size = (size_t)size};
        (void)ed_link_push(side->link, &datagram, now_ns);
    }
}

/** Out of the link into the other's device. */
static void give_packets(struct side *side, const struct side *other, uint64_t now_ns)
{
    eddy_datagram datagrams[PACKETS];
    size_t count;

    while ((count = ed_link_pull(side->link, now_ns, datagrams, PACKETS)) > 0)
        for (size_t i = 0; i < count; i++)
            if (write(other->tun, datagrams[i].data, datagrams[i].size) < 0 && errno == EINTR)
                i--;
}

static uint64_t run_eddy(struct match *match, uint64_t now_ns)
{
    static const uint8_t data[ED_BULK_SIZE];
    uint64_t next_ns = ED_NEVER_NS;
    eddy_event event;

    while (eddy_send(match->sides[0].manager, match->connection, EDDY_RELIABLE_ORDERED, 0, data,
                     sizeof(data)) == EDDY_OK)
        continue;
    for (size_t i = 0; i < SIDES; i++) {
        eddy_manager *manager = match->sides[i].manager;
        (void)eddy_poll(manager, now_ns);
        while (eddy_next(manager, &event, 0) == EDDY_OK) {
            match->eddy_size += event.type == EDDY_MESSAGE ? event.message.size : 0;
            if (event.type == EDDY_DISCONNECTED)
                match->failed = "an eddy connection that lasts";
            eddy_release(manager, &event);
        }
        next_ns = ed_min_u64(next_ns, eddy_poll(manager, now_ns));
    }
    return next_ns;
}

static void run_tcp(struct match *match)
{
    static uint8_t data[CHUNK];
    struct side *server = &match->sides[1];
    ssize_t size;

    while (send(match->sides[0].tcp, data, sizeof(data), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        continue;
    if (server->tcp < 0)
        server->tcp = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (server->tcp >= 0 && (size = read(server->tcp, data, sizeof(data))) > 0)
        match->tcp_size += (uint64_t)size;
}

static void wait_until(const struct match *match, uint64_t until_ns)
{
    struct pollfd fds[SIDES] = {{match->sides[0].tun, POLLIN, 0}, {match->sides[1].tun, POLLIN, 0}};
    uint64_t now_ns = ed_clock_now_ns();
    uint64_t wait_ns = until_ns > now_ns ? ed_min_u64(until_ns - now_ns, WAIT_MAX_NS) : 0;

    (void)ppoll(fds, SIDES, &(struct timespec){.tv_nsec = (long)wait_ns}, NULL);
}

static void run_for(struct match *match, uint64_t duration_ns, bool counts)
{
    uint64_t until_ns = ed_clock_now_ns() + duration_ns, now_ns;

    while ((now_ns = ed_clock_now_ns()) < until_ns && match->failed == NULL) {
        struct side *sides = match->sides;
        uint64_t next_ns = ED_NEVER_NS;
        for (size_t i = 0; i < SIDES; i++)
            take_packets(&sides[i], now_ns);
        for (size_t i = 0; i < SIDES; i++) {
            give_packets(&sides[i], &sides[1 - i], now_ns);
            next_ns = ed_min_u64(next_ns, ed_link_next_ns(sides[i].link));
        }
        next_ns = ed_min_u64(next_ns, run_eddy(match, now_ns));
        run_tcp(match);
        if (counts && now_ns - match->looked_ns >= ED_NS_PER_MS) {
            ed_delays_add(&match->queue, ed_link_queue_ns(sides[0].link, now_ns));
            match->looked_ns = now_ns;
        }
        wait_until(match, next_ns);
    }
}

/* --------------------------------------------------------------------------------------- a run --
 */

static void measure(ed_bench_result *result, struct match *match, uint64_t measure_ns)
{
    run_for(match, WARM_S * ED_NS_PER_S, false);
    uint64_t eddy_size = match->eddy_size, tcp_size = match->tcp_size;
    uint64_t dropped = ed_link_get_stats(match->sides[0].link).queue_dropped;
    run_for(match, measure_ns, true);
    double both = (double)(match->eddy_size - eddy_size + match->tcp_size - tcp_size);

    if (match->failed != NULL || match->eddy_size == 0 || match->tcp_size == 0) {
        snprintf(result->error, sizeof(result->error), "cannot have %s",
                 match->failed != NULL ? match->failed : "both flows over the path");
        return;
    }
    double path = (double)match->path.rate_bps / BITS * (double)measure_ns / (double)ED_NS_PER_S;
    ed_delays_sort(&match->queue);
    result->figures[0] = PERCENT * (double)(match->eddy_size - eddy_size) / both;
    result->figures[1] = PERCENT * both / path;
    result->figures[2] = ed_delays_ms(&match->queue, 500);
    result->figures[3] = ed_delays_ms(&match->queue, 950);
    result->figures[4] = (double)(ed_link_get_stats(match->sides[0].link).queue_dropped - dropped);
}

/** In a process of its own, whose end closes everything; what it found comes through the pipe. */
_Noreturn static void play(int pipe, const ed_bench_system *system, const ed_bench_plan *plan)
{
    static struct match match;
    ed_bench_result result = {.error = ""};
    uint64_t measure_ms = plan->measure_ms;
    const char *failed = open_match(&match, system, plan);

    if (failed == NULL && !ed_delays_open(&match.queue, measure_ms + 1))
        failed = "memory";
    if (failed != NULL)
        snprintf(result.error, sizeof(result.error), "cannot have %s: %s", failed, strerror(errno));
    else
        measure(&result, &match, measure_ms * ED_NS_PER_MS);
    _exit(write(pipe, &result, sizeof(result)) == sizeof(result) ? 0 : 1);
}

void ed_bench_run_beside(ed_bench_result *result, const ed_bench_work *work,
                         const ed_bench_system *system, const ed_bench_plan *plan)
{
    int ends[2];

    (void)work;
    *result = (ed_bench_result){.error = "no process for it"};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return;
    pid_t child = fork();
    if (child == 0)
        play(ends[1], system, plan);
    close(ends[1]);
    if (child > 0 && read(ends[0], result, sizeof(*result)) != sizeof(*result))
        snprintf(result->error, sizeof(result->error), "its process failed");
    close(ends[0]);
    if (child > 0)
        (void)waitpid(child, NULL, 0);
}
