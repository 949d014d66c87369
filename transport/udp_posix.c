#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/alloc.h"
#include "core/poller.h"
#include "transport/resolve.h"
#include "transport/udp_socket.h"

enum {
    ADDRESSES_MAX = 8, /* of the name to bind to */
    HOST_SIZE = 2,     /* enough to see that there is none */
    BUFFERS_SIZE = ED_UDP_RECEIVE_BATCH * ED_UDP_RECEIVE_SIZE,
};

/** Where to bind: the first of these that the machine has. */
typedef struct bind_targets {
    eddy_address addresses[ADDRESSES_MAX];
    size_t count;
    bool both_families; /* IPv6 sockets carry IPv4 too */
} bind_targets;

static eddy_status find_targets(bind_targets *targets, const char *text)
{
    static const uint8_t any[16];
    char host[HOST_SIZE];
    uint16_t port = 0;

    *targets = (bind_targets){0};
    if (text == NULL || (ed_addr_split(text, host, sizeof host, &port) == EDDY_OK && !host[0])) {
        targets->addresses[0] = ed_addr_ipv6(any, 0, port);
        targets->addresses[1] = ed_addr_ipv4(0, 0, 0, 0, port);
        targets->count = 2;
        targets->both_families = true;
        return EDDY_OK;
    }
    eddy_status status = ed_resolve(text, targets->addresses, ADDRESSES_MAX, &targets->count);
    return status == EDDY_OK ? EDDY_OK : EDDY_EADDRESS;
}

static eddy_status status_of(int error)
{
    switch (error) {
    case EADDRINUSE:
        return EDDY_EINUSE;
    case EACCES:
    case EPERM:
        return EDDY_EPERM;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case ENODEV: // there is no interface of that scope
        return EDDY_ENOADDR;
    case EINVAL: // a link-local address without its interface
        return EDDY_EADDRESS;
    case ENOMEM:
    case ENOBUFS:
        return EDDY_ENOMEM;
    default:
        return EDDY_ESYSTEM;
    }
}

static bool set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

static int new_socket(int family)
{
#if defined(__linux__)
    return socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
#else
    int fd = socket(family, SOCK_DGRAM, IPPROTO_UDP);
    if (fd < 0 || (fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0))
        return fd;
    (void)close(fd);
    return -1;
#endif
}

/** What IPv4 datagrams need; IPv6 sockets that carry them take these options too. */
static void set_options4(int fd)
{
    (void)set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    (void)set_option(fd, IPPROTO_IP, IP_RECVTOS, 1);
#if defined(__linux__)
    // PROBE, not DO: don't fragment, but do not believe what ICMP says about the path either.
    (void)set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    (void)set_option(fd, IPPROTO_IP, IP_RECVERR, 1);
#endif
}

static void set_options6(int fd)
{
    (void)set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    (void)set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    (void)set_option(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
#if defined(__linux__)
    (void)set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    (void)set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
#endif
}

/** Asks for what makes the socket fast or well informed. It works without each of them. */
static void set_options(ed_udp *udp, int fd, const ed_udp_options *options)
{
    (void)set_option(fd, SOL_SOCKET, SO_RCVBUF, ED_UDP_KERNEL_BUFFER);
    (void)set_option(fd, SOL_SOCKET, SO_SNDBUF, ED_UDP_KERNEL_BUFFER);
    set_options4(fd);
    if (udp->ipv6)
        set_options6(fd);
#if defined(__linux__)
    udp->stats.batching = !options->no_batching;
#endif
#if defined(UDP_SEGMENT)
    // Size 0: every message says its own. This asks only whether the kernel knows of it.
    udp->stats.segmentation =
        !options->no_segmentation && set_option(fd, IPPROTO_UDP, UDP_SEGMENT, 0);
#endif
#if defined(UDP_GRO)
    udp->stats.coalescing = !options->no_coalescing && set_option(fd, IPPROTO_UDP, UDP_GRO, 1);
#endif
}

/** Binds, and learns the address that this gave. @return 0 or an errno. */
static int bind_socket(ed_udp *udp, int fd, const eddy_address *address, bool both_families)
{
    ed_udp_address os_address;
    socklen_t size = ed_udp_address_write(&os_address, address, udp->ipv6);

    if (udp->ipv6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, both_families ? 0 : 1))
        return both_families ? EAFNOSUPPORT : errno; // then IPv4 alone serves more people
    if (bind(fd, &os_address.any, size) != 0)
        return errno;
    size = sizeof os_address;
    if (getsockname(fd, &os_address.any, &size) != 0)
        return errno;
    udp->local = ed_udp_address_read(&os_address.any, size);
    return 0;
}

/**
 * Gives handshakes a socket of their own, on the same port. The first was bound alone, so that the
 * address of another server was refused; only now may it be shared, and only by this user.
 */
static void open_handshakes(ed_udp *udp, bool both_families, const ed_udp_options *options)
{
    const int first = udp->fds[ED_UDP_PACKETS];
    const eddy_address shared = udp->local;
    int fd = new_socket(udp->ipv6 ? AF_INET6 : AF_INET);

    if (fd < 0)
        return;
    set_options(udp, fd, options);
    if (ed_udp_share_port(first, true) && ed_udp_share_port(fd, true) &&
        bind_socket(udp, fd, &shared, both_families) == 0 && ed_udp_steer(fd)) {
        ED_ASSERT(eddy_address_equal(&shared, &udp->local));
        udp->fds[ED_UDP_HANDSHAKES] = fd;
        udp->stats.split = true;
        return;
    }
    (void)close(fd);
    (void)ed_udp_share_port(first, false);
}

static eddy_status open_target(ed_udp *udp, const eddy_address *address, bool both_families,
                               const ed_udp_options *options)
{
    udp->ipv6 = address->family == EDDY_FAMILY_IPV6;
    int fd = new_socket(udp->ipv6 ? AF_INET6 : AF_INET);
    if (fd < 0)
        return status_of(errno);
    set_options(udp, fd, options); // before the first datagram can come
    int error = bind_socket(udp, fd, address, both_families);
    if (error != 0) {
        (void)close(fd);
        return status_of(error);
    }
    udp->fds[ED_UDP_PACKETS] = fd;
    if (options->split)
        open_handshakes(udp, both_families, options);
    return EDDY_OK;
}

static eddy_status open_first(ed_udp *udp, const bind_targets *targets,
                              const ed_udp_options *options)
{
    eddy_status status = EDDY_ENOADDR;

    // An address in use ends it: the next one would not be what others connect to.
    for (size_t i = 0; i < targets->count && status == EDDY_ENOADDR; i++)
        status = open_target(udp, &targets->addresses[i], targets->both_families, options);
    return status;
}

static void destroy(ed_udp *udp)
{
    eddy_allocator allocator = udp->allocator;

    for (size_t i = 0; i < ED_UDP_QUEUE_COUNT; i++) {
        if (udp->fds[i] >= 0)
            (void)close(udp->fds[i]);
        ed_alloc_free(&allocator, udp->inboxes[i].buffers, BUFFERS_SIZE);
    }
    ed_alloc_free(&allocator, udp, sizeof *udp);
}

static ed_udp *create(const eddy_allocator *allocator, size_t queues)
{
    ed_udp *udp = ed_alloc_zeroed(allocator, sizeof *udp);
    if (udp == NULL)
        return NULL;
    udp->allocator = *allocator;
    for (size_t i = 0; i < ED_UDP_QUEUE_COUNT; i++)
        udp->fds[i] = -1;
    for (size_t i = 0; i < queues; i++) {
        // Not zeroed: most of these pages are never touched, and so never take up memory.
        udp->inboxes[i].buffers = allocator->allocate(allocator->context, BUFFERS_SIZE);
        if (udp->inboxes[i].buffers == NULL) {
            destroy(udp);
            return NULL;
        }
        ed_udp_inbox_init(&udp->inboxes[i]);
    }
    return udp;
}

static eddy_address local(void *context)
{
    const ed_udp *udp = context;
    return udp->local;
}

static void wait_for(void *context, int wake_fd, bool want_send, uint64_t timeout_ns)
{
    ed_udp *udp = context;
    short events = want_send ? POLLIN | POLLOUT : POLLIN;
    struct pollfd fds[] = {{.fd = udp->fds[ED_UDP_PACKETS], .events = events},
                           {.fd = udp->fds[ED_UDP_HANDSHAKES], .events = POLLIN},
                           {.fd = wake_fd, .events = POLLIN}}; // negative ones are passed over

    for (size_t i = 0; i < ED_UDP_QUEUE_COUNT; i++)
        if (ed_udp_inbox_waiting(&udp->inboxes[i]))
            return; // the kernel knows nothing of these
    int ready = ed_poll_fds(fds, ED_COUNT(fds), timeout_ns);
    if (ready > 0 && ((fds[0].revents | fds[1].revents) & POLLERR) != 0)
        (void)ed_udp_drain_errors(udp); // else it would be ready for ever
}

static void copy_stats(void *context, eddy_socket_stats *stats)
{
    const ed_udp *udp = context;
    *stats = udp->stats;
}

static void close_socket(void *context)
{
    destroy(context);
}

eddy_status ed_udp_open(eddy_socket *socket, const eddy_allocator *allocator, const char *bind,
                        const ed_udp_options *options)
{
    static const ed_udp_options all = {0};
    bind_targets targets;

    ED_ASSERT(socket != NULL && allocator != NULL);
    eddy_status status = find_targets(&targets, bind);
    if (status != EDDY_OK)
        return status;
    options = options == NULL ? &all : options;
    ed_udp *udp = create(allocator, options->split ? ED_UDP_QUEUE_COUNT : 1);
    if (udp == NULL)
        return EDDY_ENOMEM;
    status = open_first(udp, &targets, options);
    if (status != EDDY_OK) {
        destroy(udp);
        return status;
    }
    ED_ASSERT(udp->local.port != 0);
    *socket = (eddy_socket){.context = udp,
                            .receive = ed_udp_receive,
                            .send = ed_udp_send,
                            .local = local,
                            .wait = wait_for,
                            .stats = copy_stats,
                            .close = close_socket};
    return EDDY_OK;
}
