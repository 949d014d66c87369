#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/alloc.h"
#include "core/poller.h"
#include "transport/resolve.h"
#include "transport/udp_socket.h"

enum {
    ADDRESSES_MAX = 8, /* of the name to bind to */
    HOST_SIZE = 2,     /* enough to see that there is none */
    BUFFERS_SIZE = ED_UDP_RECEIVE_BATCH * ED_UDP_RECEIVE_STRIDE,
};

static_assert(ED_UDP_RECEIVE_STRIDE >= ED_UDP_RECEIVE_SIZE, "buffers do not overlap");

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
static void set_options4(const ed_udp *udp, int fd, const ed_udp_options *options)
{
    if (udp->is_any)
        (void)set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    if (options->ecn)
        (void)set_option(fd, IPPROTO_IP, IP_RECVTOS, 1);
#if defined(__linux__)
    // PROBE, not DO: don't fragment, but do not believe what ICMP says about the path either.
    (void)set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    (void)set_option(fd, IPPROTO_IP, IP_RECVERR, 1);
#endif
}

static void set_options6(const ed_udp *udp, int fd, const ed_udp_options *options)
{
    if (udp->is_any)
        (void)set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    if (options->ecn)
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
    set_options4(udp, fd, options);
    if (udp->ipv6)
        set_options6(udp, fd, options);
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

/** Sockets that share a port. */
struct group {
    eddy_address address;
    bool both_families;
    const ed_udp_options *options;
};

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

/** Opens one more socket on the port of the group. */
static bool join_group(ed_udp *udp, ed_udp_queue queue, const struct group *group)
{
    int fd = new_socket(udp->ipv6 ? AF_INET6 : AF_INET);

    if (fd < 0)
        return false;
    set_options(udp, fd, group->options);
    if (!ed_udp_share_port(fd, true) ||
        bind_socket(udp, fd, &group->address, group->both_families) != 0) {
        (void)close(fd);
        return false;
    }
    ED_ASSERT(eddy_address_equal(&group->address, &udp->local));
    udp->fds[queue] = fd;
    return true;
}

/** Binds those of the packets, and then those of the handshakes: as they are steered. */
static bool fill_group(ed_udp *const *all, uint32_t count, const struct group *group)
{
    for (uint32_t i = 1; i < count; i++)
        if (!join_group(all[i], ED_UDP_PACKETS, group))
            return false;
    for (uint32_t i = 0; i < count; i++)
        if (!join_group(all[i], ED_UDP_HANDSHAKES, group))
            return false;
    return !group->options->no_steering && ed_udp_steer(all[0]->fds[ED_UDP_PACKETS], count);
}

/** Nothing that came before it was steered is to be taken for something else. */
static void empty(int fd)
{
    uint8_t byte;

    for (size_t i = 0; i < ED_UDP_EARLY_MAX; i++)
        if (recv(fd, &byte, sizeof byte, MSG_DONTWAIT) < 0)
            return;
}

static void close_queue(ed_udp *udp, ed_udp_queue queue)
{
    if (udp->fds[queue] >= 0)
        (void)close(udp->fds[queue]);
    udp->fds[queue] = -1;
}

/**
 * Gives handshakes sockets of their own, and each shard its own, on the same port. The first was
 * bound alone, so that the address of another server was refused; only now may it be shared, and
 * only by this user. @return whether it could be done.
 */
static bool open_group(ed_udp *const *all, uint32_t count, const struct group *group)
{
    const int first = all[0]->fds[ED_UDP_PACKETS];
    bool is_steered = ed_udp_share_port(first, true) && fill_group(all, count, group);

    for (uint32_t i = 0; i < count; i++) {
        all[i]->stats.split = is_steered;
        if (!is_steered)
            close_queue(all[i], ED_UDP_HANDSHAKES);
        for (size_t queue = 0; is_steered && count > 1 && queue < ED_UDP_QUEUE_COUNT; queue++)
            empty(all[i]->fds[queue]);
    }
    if (!is_steered)
        (void)ed_udp_share_port(first, false);
    return is_steered;
}

/** Binds the first, and what is to share its port. */
static eddy_status open_target(ed_udp *const *all, uint32_t count, const eddy_address *address,
                               bool both_families, const ed_udp_options *options)
{
    bool is_ipv6 = address->family == EDDY_FAMILY_IPV6;
    int fd = new_socket(is_ipv6 ? AF_INET6 : AF_INET);

    if (fd < 0)
        return status_of(errno);
    for (uint32_t i = 0; i < count; i++) {
        all[i]->ipv6 = is_ipv6;
        all[i]->is_any = ed_addr_is_any(address);
    }
    set_options(all[0], fd, options); // before the first datagram can come
    int error = bind_socket(all[0], fd, address, both_families);
    if (error != 0) {
        (void)close(fd);
        return status_of(error);
    }
    all[0]->fds[ED_UDP_PACKETS] = fd;
    struct group group = {
        .address = all[0]->local, .both_families = both_families, .options = options};
    if (count == 1 && !options->split)
        return EDDY_OK;
    return open_group(all, count, &group) || count == 1 ? EDDY_OK : EDDY_ESUPPORT;
}

static eddy_status open_first(ed_udp *const *all, uint32_t count, const bind_targets *targets,
                              const ed_udp_options *options)
{
    eddy_status status = EDDY_ENOADDR;

    // An address in use ends it: the next one would not be what others connect to.
    for (size_t i = 0; i < targets->count && status == EDDY_ENOADDR; i++)
        status = open_target(all, count, &targets->addresses[i], targets->both_families, options);
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
    ed_udp *udp = ed_alloc_buffer(allocator, sizeof *udp);
    if (udp == NULL)
        return NULL;
    memset(udp, 0, offsetof(ed_udp, outbox)); // which is last, and written before it is read
    udp->allocator = *allocator;
    for (size_t i = 0; i < ED_UDP_QUEUE_COUNT; i++)
        udp->fds[i] = -1;
    for (size_t i = 0; i < queues; i++) {
        // Not zeroed: most of these pages are never touched, and so never take up memory.
        udp->inboxes[i].buffers = ed_alloc_buffer(allocator, BUFFERS_SIZE);
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

    ed_udp_on_waited(udp, NULL);
    for (size_t i = 0; i < ED_UDP_QUEUE_COUNT; i++)
        if (ed_udp_inbox_waiting(&udp->inboxes[i]))
            return; // the kernel knows nothing of these
    int ready = ed_poll_fds(fds, ED_COUNT(fds), timeout_ns);
    if (ready > 0)
        ed_udp_on_waited(udp, (const bool[]){fds[0].revents != 0, fds[1].revents != 0});
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

/** Makes what `count` sockets need, all or nothing. */
static bool create_all(ed_udp **all, uint32_t count, const eddy_allocator *allocator, size_t queues)
{
    for (uint32_t i = 0; i < count; i++) {
        all[i] = create(allocator, queues);
        if (all[i] != NULL)
            continue;
        while (i-- > 0)
            destroy(all[i]);
        return false;
    }
    return true;
}

eddy_status ed_udp_open_all(eddy_socket *sockets, uint32_t count, const eddy_allocator *allocator,
                            const char *bind, const ed_udp_options *options)
{
    static const ed_udp_options everything = {0};
    ed_udp *all[EDDY_SHARDS_MAX];
    bind_targets targets;

    ED_ASSERT(sockets != NULL && allocator != NULL && count > 0 && count <= EDDY_SHARDS_MAX);
    eddy_status status = find_targets(&targets, bind);
    if (status != EDDY_OK)
        return status;
    options = options == NULL ? &everything : options;
    if (!create_all(all, count, allocator, options->split || count > 1 ? ED_UDP_QUEUE_COUNT : 1))
        return EDDY_ENOMEM;
    status = open_first(all, count, &targets, options);
    for (uint32_t i = 0; i < count && status != EDDY_OK; i++)
        destroy(all[i]);
    if (status != EDDY_OK)
        return status;
    ED_ASSERT(all[0]->local.port != 0);
    for (uint32_t i = 0; i < count; i++)
        sockets[i] = (eddy_socket){.context = all[i],
                                   .receive = ed_udp_receive,
                                   .send = ed_udp_send,
                                   .local = local,
                                   .wait = wait_for,
                                   .too_big = ed_udp_too_big,
                                   .stats = copy_stats,
                                   .close = close_socket};
    return EDDY_OK;
}

eddy_status ed_udp_open(eddy_socket *socket, const eddy_allocator *allocator, const char *bind,
                        const ed_udp_options *options)
{
    return ed_udp_open_all(socket, 1, allocator, bind, options);
}
