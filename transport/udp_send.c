#include "transport/udp_socket.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

/** The datagrams of one call, and how far they are. */
typedef struct batch {
    const eddy_datagram *datagrams;
    size_t count;
    size_t at;           /* those before it are sent, or dropped and counted */
    size_t single_first; /* those of a message that failed as one: sent one by one */
    size_t single_end;
    bool blames;    /* the segmentation, if the first of them passes */
    size_t retries; /* of the datagram at `at` */
} batch;

static bool same_path(const eddy_datagram *a, const eddy_datagram *b)
{
    return eddy_address_equal(&a->remote, &b->remote) && eddy_address_equal(&a->local, &b->local) &&
           a->ecn == b->ecn;
}

/** How many datagrams from `at` on can be one message: equal sizes, the last may be shorter. */
static size_t run_length(const ed_udp *udp, const batch *b, size_t at, size_t room)
{
    const eddy_datagram *first = &b->datagrams[at];
    size_t limit = ed_min_size(ed_min_size(room, ED_UDP_SEGMENTS_MAX), b->count - at);
    size_t length = 1;
    size_t size = first->size;

    if (!udp->stats.segmentation || at < b->single_end || first->size == 0)
        return 1;
    while (length < limit && first[length - 1].size == first->size) {
        const eddy_datagram *next = &first[length];
        if (next->size == 0 || next->size > first->size || !same_path(first, next) ||
            next->size > ED_UDP_DATAGRAM_MAX - ed_min_size(size, ED_UDP_DATAGRAM_MAX))
            break;
        size += next->size;
        length++;
    }
    return length;
}

static void add_note(struct msghdr *header, int level, int type, const void *data, size_t size)
{
    uint8_t *at = (uint8_t *)header->msg_control + header->msg_controllen;
    struct cmsghdr *note = (struct cmsghdr *)(void *)at;

    ED_ASSERT(header->msg_controllen + CMSG_SPACE(size) <= ED_UDP_CONTROL_SIZE);
    memset(at, 0, CMSG_SPACE(size));
    note->cmsg_level = level;
    note->cmsg_type = type;
    note->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(note), data, size);
    header->msg_controllen += CMSG_SPACE(size);
}

/** Notes the address to send from, as the socket's family wants it; not the one it is bound to. */
static void add_source(const ed_udp *udp, struct msghdr *header, const eddy_address *local)
{
    if (local->family == EDDY_FAMILY_NONE || eddy_address_equal(local, &udp->local))
        return;
    if (udp->ipv6) {
        const struct in6_pktinfo info = {.ipi6_addr = ed_udp_address_ipv6(local),
                                         .ipi6_ifindex = local->scope};
        add_note(header, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
        return;
    }
    struct in_pktinfo info = {0};
    memcpy(&info.ipi_spec_dst, local->ip, sizeof info.ipi_spec_dst);
    add_note(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
}

static void add_ecn(struct msghdr *header, const eddy_datagram *datagram)
{
    const int ecn = datagram->ecn & 3;

    if (ecn == 0)
        return;
    if (datagram->remote.family == EDDY_FAMILY_IPV4)
        add_note(header, IPPROTO_IP, IP_TOS, &ecn, sizeof ecn);
    else
        add_note(header, IPPROTO_IPV6, IPV6_TCLASS, &ecn, sizeof ecn);
}

/** Adds a message of `length` datagrams whose parts begin at `parts`. */
static void add_message(ed_udp *udp, const eddy_datagram *datagrams, size_t length,
                        struct iovec *parts)
{
    ed_udp_outbox *outbox = &udp->outbox;
    size_t i = outbox->count++;
    struct msghdr *header = &outbox->messages[i].msg_hdr;

    ED_ASSERT(i < ED_UDP_SEND_BATCH);
    ED_ASSERT(length > 0 && parts + length <= outbox->parts + ED_UDP_SEND_PARTS);
    for (size_t n = 0; n < length; n++)
        parts[n] = (struct iovec){.iov_base = datagrams[n].data, .iov_len = datagrams[n].size};
    *header = (struct msghdr){
        .msg_name = &outbox->remotes[i],
        .msg_namelen = ed_udp_address_write(&outbox->remotes[i], &datagrams->remote, udp->ipv6),
        .msg_iov = parts,
        .msg_iovlen = length,
        .msg_control = &outbox->controls[i],
    };
    add_source(udp, header, &datagrams->local);
    add_ecn(header, datagrams);
#if defined(UDP_SEGMENT)
    if (length > 1) {
        const uint16_t segment = (uint16_t)datagrams->size;
        add_note(header, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment);
    }
#endif
    if (header->msg_controllen == 0)
        header->msg_control = NULL; // some systems refuse notes of no size
}

/** Makes messages of the datagrams that are next. */
static void pack(ed_udp *udp, const batch *b)
{
    size_t messages_max = udp->stats.batching ? ED_UDP_SEND_BATCH : 1;
    size_t parts = 0;
    size_t at = b->at;

    udp->outbox.count = 0;
    while (at < b->count && parts < ED_UDP_SEND_PARTS && udp->outbox.count < messages_max) {
        size_t length = run_length(udp, b, at, ED_UDP_SEND_PARTS - parts);
        add_message(udp, &b->datagrams[at], length, &udp->outbox.parts[parts]);
        parts += length;
        at += length;
    }
    ED_ASSERT(udp->outbox.count > 0 && at - b->at == parts);
}

/** One datagram without notes, which is most of those that go alone, takes the shortest call. */
static ssize_t send_message(int fd, const struct msghdr *header)
{
    if (header->msg_iovlen > 1 || header->msg_control != NULL)
        return sendmsg(fd, header, MSG_DONTWAIT);
    return sendto(fd, header->msg_iov->iov_base, header->msg_iov->iov_len, MSG_DONTWAIT,
                  header->msg_name, header->msg_namelen);
}

/** @return how many messages were sent, or -1 and errno if that is none. */
static int send_messages(ed_udp *udp)
{
    ed_udp_outbox *outbox = &udp->outbox;

    udp->stats.sent_calls++;
#if defined(__linux__)
    if (udp->stats.batching && outbox->count > 1)
        return sendmmsg(udp->fds[ED_UDP_PACKETS], outbox->messages, (unsigned)outbox->count,
                        MSG_DONTWAIT);
#endif
    return send_message(udp->fds[ED_UDP_PACKETS], &outbox->messages[0].msg_hdr) < 0 ? -1 : 1;
}

/** What fails as one message and passes by itself: the fault is in the segmentation. Only the first
 * tells, because the last of a message may be shorter. */
static void blame_segmentation(ed_udp *udp, const batch *b)
{
    if (b->blames && b->at == b->single_first)
        udp->stats.segmentation = false;
}

static void count_sent(ed_udp *udp, batch *b, size_t messages)
{
    ED_ASSERT(messages <= udp->outbox.count);
    for (size_t i = 0; i < messages; i++) {
        const struct msghdr *header = &udp->outbox.messages[i].msg_hdr;
        blame_segmentation(udp, b);
        for (size_t n = 0; n < header->msg_iovlen; n++)
            udp->stats.sent_bytes += header->msg_iov[n].iov_len;
        udp->stats.sent_datagrams += header->msg_iovlen;
        b->at += header->msg_iovlen;
    }
    ED_ASSERT(b->at <= b->count);
    b->retries = 0;
}

/** Where many are, those first noted stand for the others: each is refused again. */
static void note_too_big(ed_udp *udp, const eddy_datagram *datagram)
{
    if (udp->too_big_count < ED_UDP_TOO_BIG_MAX)
        udp->too_big[udp->too_big_count++] =
            (eddy_datagram){.remote = datagram->remote, .size = datagram->size};
}

size_t ed_udp_too_big(void *context, eddy_datagram *datagrams, size_t count)
{
    ed_udp *udp = context;
    size_t taken = ed_min_size(count, udp->too_big_count);

    udp->too_big_count -= taken; // the newest first: what one says holds for the others, too
    for (size_t i = 0; i < taken; i++)
        datagrams[i] = udp->too_big[udp->too_big_count + i];
    return taken;
}

/** Gives the first message up. */
static void drop_first(ed_udp *udp, batch *b, int error)
{
    size_t length = udp->outbox.messages[0].msg_hdr.msg_iovlen;

    ed_udp_count_error(udp, error, length);
    if (error == EMSGSIZE)
        note_too_big(udp, &b->datagrams[b->at]);
    b->at += length;
    b->retries = 0;
}

/** Whether the error may be about a datagram sent before. A forged ICMP can say EMSGSIZE, too; what
 * this machine itself refuses it refuses again. */
static bool may_be_old(int error)
{
    return ed_udp_error_is_news(error) || error == EMSGSIZE;
}

static void send_singly(ed_udp *udp, batch *b, size_t length, int error)
{
    udp->stats.segment_retries++;
    b->single_first = b->at;
    b->single_end = b->at + length;
    b->blames = !may_be_old(error); // else it failed for one sent before, and that is over
    b->retries = 0;
}

/** Deals with the failure of the first message. @return false if there is no room now. */
static bool after_error(ed_udp *udp, batch *b, int error)
{
    size_t length = udp->outbox.messages[0].msg_hdr.msg_iovlen;

    if (error == EAGAIN || error == EWOULDBLOCK) {
        udp->stats.would_block++;
        return false;
    }
    if (error == ENOSYS && udp->stats.batching) {
        udp->stats.batching = false;
        return true;
    }
    uint64_t too_big = udp->stats.too_big;
    bool news = ed_udp_drain_errors(udp) > 0 || may_be_old(error);
    if (error == EMSGSIZE)
        udp->stats.too_big = too_big; // a local refusal may be told twice; one place counts it
    // News of an earlier datagram must not cost this one; if it stays, it was this one's own.
    if (news && b->retries < ED_UDP_RETRIES) {
        b->retries++;
        return true;
    }
    if (length > 1 && error != ENOBUFS && error != ENOMEM) {
        send_singly(udp, b, length, error);
        return true;
    }
    drop_first(udp, b, error);
    return true;
}

size_t ed_udp_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    ed_udp *udp = context;
    batch b = {.datagrams = datagrams, .count = count};

    while (b.at < b.count) {
        pack(udp, &b);
        int sent = send_messages(udp);
        if (sent > 0)
            count_sent(udp, &b, (size_t)sent);
        else if (!after_error(udp, &b, errno))
            break;
    }
    return b.at;
}
