#include "transport/udp_socket.h"

#include <errno.h>
#include <string.h>

#if defined(__linux__)
#include <linux/errqueue.h>
#endif

bool ed_udp_error_is_news(int error)
{
    switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETRESET:
    case ENETUNREACH:
    case ENOPROTOOPT: // ICMP: protocol unreachable
    case EACCES:      // ICMP: prohibited by an administrator; also a broadcast address
    case EPROTO:      // ICMP: parameter problem
        return true;
    default:
        return false;
    }
}

void ed_udp_count_error(ed_udp *udp, int error, size_t count)
{
    ED_ASSERT(error > 0);
    ED_ASSERT(count > 0);
    if (error == ENOBUFS || error == ENOMEM)
        udp->stats.no_buffers += count;
    else if (error == EMSGSIZE)
        udp->stats.too_big += count;
    else if (ed_udp_error_is_news(error))
        udp->stats.refused += count;
    else
        udp->stats.other_errors += count;
}

#if defined(__linux__)
/** Counts news from the network; what a call of ours has told us is counted there. @return how
 * many. */
static size_t count_news(ed_udp *udp, struct msghdr *message)
{
    size_t count = 0;

    for (struct cmsghdr *note = CMSG_FIRSTHDR(message); note != NULL;
         note = CMSG_NXTHDR(message, note)) {
        struct sock_extended_err news;
        bool ours = (note->cmsg_level == IPPROTO_IP && note->cmsg_type == IP_RECVERR) ||
                    (note->cmsg_level == IPPROTO_IPV6 && note->cmsg_type == IPV6_RECVERR);
        if (!ours || note->cmsg_len < CMSG_LEN(sizeof news))
            continue;
        memcpy(&news, CMSG_DATA(note), sizeof news);
        bool from_network =
            news.ee_origin == SO_EE_ORIGIN_ICMP || news.ee_origin == SO_EE_ORIGIN_ICMP6;
        if (!from_network || news.ee_errno == 0 || news.ee_errno > INT32_MAX)
            continue;
        ed_udp_count_error(udp, (int)news.ee_errno, 1);
        count++;
    }
    return count;
}

static size_t drain_socket(ed_udp *udp, int fd)
{
    size_t count = 0;

    for (size_t i = 0; i < ED_UDP_ERRORS_PER_DRAIN; i++) {
        ed_udp_control control;
        // The datagram that it is about would come along: there is no part to hold it.
        struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
        ssize_t got = recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
        if (got < 0 && errno != EINTR)
            break;
        if (got >= 0)
            count += count_news(udp, &message);
    }
    return count;
}

size_t ed_udp_drain_errors(ed_udp *udp)
{
    size_t count = 0;

    // News of what the first has sent may come to either of two that share a port.
    for (size_t i = 0; i < ED_UDP_QUEUE_COUNT; i++)
        if (udp->fds[i] >= 0)
            count += drain_socket(udp, udp->fds[i]);
    return count;
}
#else
size_t ed_udp_drain_errors(ed_udp *udp)
{
    (void)udp; // other systems tell an unconnected socket nothing of them
    return 0;
}
#endif
