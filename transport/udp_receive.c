#include "transport/udp_socket.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "core/addr.h"
#include "core/clock.h"

void ed_udp_inbox_init(ed_udp_inbox *inbox)
{
    ED_ASSERT(inbox->buffers != NULL);
    for (size_t i = 0; i < ED_UDP_RECEIVE_BATCH; i++) {
        inbox->parts[i] = (struct iovec){.iov_base = inbox->buffers + i * ED_UDP_RECEIVE_STRIDE,
                                         .iov_len = ED_UDP_RECEIVE_SIZE};
        inbox->messages[i].msg_hdr = (struct msghdr){.msg_name = &inbox->remotes[i],
                                                     .msg_iov = &inbox->parts[i],
                                                     .msg_iovlen = 1,
                                                     .msg_control = &inbox->controls[i]};
    }
    inbox->count = ED_UDP_RECEIVE_BATCH; // as if a call had changed them all
    inbox->at = inbox->count;
    inbox->most = ED_UDP_RECEIVE_FEW;
}

void ed_udp_on_waited(ed_udp *udp, const bool is_ready[ED_UDP_QUEUE_COUNT])
{
    for (size_t i = 0; i < ED_UDP_QUEUE_COUNT; i++)
        udp->inboxes[i].is_empty = is_ready != NULL && !is_ready[i];
    if (is_ready != NULL && is_ready[ED_UDP_HANDSHAKES])
        udp->quiet_looks = 0;
}

bool ed_udp_inbox_waiting(const ed_udp_inbox *inbox)
{
    return inbox->at < inbox->count;
}

/** @return how many messages came, or -1 and errno. */
static int receive_messages(ed_udp *udp, ed_udp_queue queue)
{
    ed_udp_inbox *inbox = &udp->inboxes[queue];

    for (size_t i = 0; i < inbox->count; i++) { // the last call has changed these
        inbox->messages[i].msg_hdr.msg_namelen = sizeof inbox->remotes[i];
        inbox->messages[i].msg_hdr.msg_controllen = sizeof inbox->controls[i];
        inbox->messages[i].msg_hdr.msg_flags = 0;
    }
    inbox->count = inbox->at = 0;
    udp->stats.received_calls++;
#if defined(__linux__)
    if (udp->stats.batching)
        return recvmmsg(udp->fds[queue], inbox->messages, (unsigned)inbox->most, MSG_DONTWAIT,
                        NULL);
#endif
    ssize_t size = recvmsg(udp->fds[queue], &inbox->messages[0].msg_hdr, MSG_DONTWAIT);
    if (size < 0)
        return -1;
    inbox->messages[0].msg_len = (unsigned)size;
    return 1;
}

/** So many small ones at once are many senders', and more of them may wait. */
static size_t most_of_next(const ed_udp_inbox *inbox)
{
    size_t size = 0;

    for (size_t i = 0; i < inbox->count; i++)
        size += inbox->messages[i].msg_len;
    return inbox->count < ED_UDP_RECEIVE_FEW || size > inbox->count * ED_UDP_RECEIVE_SMALL
               ? ED_UDP_RECEIVE_FEW
               : ED_UDP_RECEIVE_BATCH;
}

/** Fills the inbox anew. @return false when nothing has come. */
static bool fetch(ed_udp *udp, ed_udp_queue queue)
{
    ed_udp_inbox *inbox = &udp->inboxes[queue];

    ED_ASSERT(!ed_udp_inbox_waiting(inbox));
    if (inbox->is_empty)
        return false;
    for (size_t tries = 0; tries < ED_UDP_RETRIES; tries++) {
        int got = receive_messages(udp, queue);
        if (got > 0) {
            ED_ASSERT((size_t)got <= inbox->most);
            inbox->count = (size_t)got;
            inbox->is_empty = udp->stats.batching && inbox->count < inbox->most;
            inbox->most = most_of_next(inbox);
            inbox->at = 0;
            inbox->offset = 0;
            inbox->segment = 0;
            return true;
        }
        if (got == 0 || errno == EAGAIN || errno == EWOULDBLOCK) {
            inbox->is_empty = true;
            return false;
        }
        if (errno == ENOSYS)
            udp->stats.batching = false;
        else
            (void)ed_udp_drain_errors(udp); // it was said here, but is about something that we sent
    }
    udp->stats.other_errors++;
    return false;
}

/** Reads a note's number: the kernel gives it as an int, or the ECN of IPv4 as one byte. */
static int note_number(const struct cmsghdr *note)
{
    int number = 0;
    uint8_t byte = 0;

    if (note->cmsg_len >= CMSG_LEN(sizeof number)) {
        memcpy(&number, CMSG_DATA(note), sizeof number);
        return number;
    }
    if (note->cmsg_len >= CMSG_LEN(sizeof byte))
        memcpy(&byte, CMSG_DATA(note), sizeof byte);
    return byte;
}

static void read_note4(eddy_datagram *common, const struct cmsghdr *note, uint16_t port)
{
    struct in_pktinfo info;
    uint8_t ip[4];

    if (note->cmsg_type == IP_TOS)
        common->ecn = (uint8_t)(note_number(note) & 3);
    if (note->cmsg_type != IP_PKTINFO || note->cmsg_len < CMSG_LEN(sizeof info))
        return;
    memcpy(&info, CMSG_DATA(note), sizeof info);
    memcpy(ip, &info.ipi_spec_dst, sizeof ip); // ours, also where it was sent to a broadcast
    common->local = ed_addr_ipv4(ip[0], ip[1], ip[2], ip[3], port);
}

static void read_note6(eddy_datagram *common, const struct cmsghdr *note, uint16_t port)
{
    struct in6_pktinfo info;

    if (note->cmsg_type == IPV6_TCLASS)
        common->ecn = (uint8_t)(note_number(note) & 3);
    if (note->cmsg_type != IPV6_PKTINFO || note->cmsg_len < CMSG_LEN(sizeof info))
        return;
    memcpy(&info, CMSG_DATA(note), sizeof info);
    common->local = ed_addr_ipv6(info.ipi6_addr.s6_addr, info.ipi6_ifindex, port);
}

/** Reads what came with the message that is next. @return false if it is no use. */
static bool open_message(ed_udp *udp, ed_udp_inbox *inbox)
{
    ed_udp_message *message = &inbox->messages[inbox->at];
    struct msghdr *header = &message->msg_hdr;

    inbox->common = (eddy_datagram){
        .remote = ed_udp_address_read(&inbox->remotes[inbox->at].any, header->msg_namelen)};
    if (!udp->is_any)
        inbox->common.local = udp->local;
    inbox->segment = message->msg_len;
    for (struct cmsghdr *note = CMSG_FIRSTHDR(header); note != NULL;
         note = CMSG_NXTHDR(header, note)) {
        if (note->cmsg_level == IPPROTO_IP)
            read_note4(&inbox->common, note, udp->local.port);
        else if (note->cmsg_level == IPPROTO_IPV6)
            read_note6(&inbox->common, note, udp->local.port);
#if defined(UDP_GRO)
        else if (note->cmsg_level == IPPROTO_UDP && note->cmsg_type == UDP_GRO &&
                 note_number(note) > 0)
            inbox->segment = ed_min_size(inbox->segment, (size_t)note_number(note));
#endif
    }
    if ((header->msg_flags & MSG_TRUNC) != 0 || inbox->segment > ED_UDP_DATAGRAM_MAX) {
        udp->stats.truncated++;
        return false;
    }
    if (inbox->common.remote.family != EDDY_FAMILY_NONE)
        return true;
    udp->stats.other_errors++;
    return false;
}

static void next_message(ed_udp_inbox *inbox)
{
    inbox->at++;
    inbox->offset = 0;
    inbox->segment = 0;
}

/** Hands out one datagram. @return false when the inbox is empty. */
static bool take_datagram(ed_udp *udp, ed_udp_inbox *inbox, eddy_datagram *datagram)
{
    while (ed_udp_inbox_waiting(inbox) && inbox->segment == 0 && !open_message(udp, inbox))
        next_message(inbox);
    if (!ed_udp_inbox_waiting(inbox))
        return false;

    size_t whole = inbox->messages[inbox->at].msg_len;
    ED_ASSERT(whole <= ED_UDP_RECEIVE_SIZE && inbox->offset <= whole);
    *datagram = inbox->common;
    datagram->data = inbox->buffers + inbox->at * ED_UDP_RECEIVE_STRIDE + inbox->offset;
    datagram->size = ed_min_size(inbox->segment, whole - inbox->offset);
    udp->stats.received_datagrams++;
    udp->stats.received_bytes += datagram->size;
    inbox->offset += datagram->size;
    if (inbox->offset == whole)
        next_message(inbox);
    return true;
}

static size_t receive_from(ed_udp *udp, ed_udp_queue queue, eddy_datagram *datagrams, size_t count)
{
    ed_udp_inbox *inbox = &udp->inboxes[queue];
    size_t taken = 0;

    // The buffers are filled anew only when nothing of them is handed out by this very call.
    while (taken == 0 && count > 0) {
        if (!ed_udp_inbox_waiting(inbox) && !fetch(udp, queue))
            return 0;
        while (taken < count && take_datagram(udp, inbox, &datagrams[taken]))
            taken++;
    }
    return taken;
}

/** Whether it is too early to ask the kernel again for what has not come for long. */
static bool is_quiet(const ed_udp *udp)
{
    const ed_udp_inbox *inbox = &udp->inboxes[ED_UDP_HANDSHAKES];

    return !inbox->is_empty && !ed_udp_inbox_waiting(inbox) &&
           udp->quiet_looks >= ED_UDP_QUIET_LOOKS &&
           ed_clock_now_ns() - udp->quiet_ns < ED_UDP_QUIET_NS;
}

static void on_quiet_look(ed_udp *udp)
{
    if (udp->quiet_looks < ED_UDP_QUIET_LOOKS)
        udp->quiet_looks++;
    else
        udp->quiet_ns = ed_clock_now_ns();
}

static size_t receive_handshakes(ed_udp *udp, eddy_datagram *datagrams, size_t count)
{
    uint64_t calls = udp->stats.received_calls;

    if (count == 0 || is_quiet(udp))
        return 0;
    size_t taken = receive_from(udp, ED_UDP_HANDSHAKES, datagrams, count);
    if (taken > 0)
        udp->quiet_looks = 0;
    else if (udp->stats.received_calls > calls)
        on_quiet_look(udp);
    return taken;
}

/** What is known of the handshakes' queue gets old where packets keep all from ever waiting. */
static void on_packets(ed_udp *udp, size_t count)
{
    udp->patience += count;
    if (udp->patience < ED_UDP_PATIENCE)
        return;
    udp->patience = 0;
    udp->inboxes[ED_UDP_HANDSHAKES].is_empty = false;
}

/** Packets first, and then handshakes. */
static size_t receive_split(ed_udp *udp, eddy_datagram *datagrams, size_t count)
{
    size_t packets = receive_from(udp, ED_UDP_PACKETS, datagrams, count - count / ED_UDP_SHARE);
    size_t handshakes_max =
        packets > 0 ? packets / 2 + 1 : (count + ED_UDP_SHARE - 1) / ED_UDP_SHARE;

    if (packets == 0 && udp->turn >= ED_UDP_TURN)
        handshakes_max = 0; // and so 0 in all: what came before is to be served first
    on_packets(udp, packets);
    size_t handshakes =
        receive_handshakes(udp, datagrams + packets, ed_min_size(count - packets, handshakes_max));
    udp->turn = packets + handshakes > 0 ? udp->turn + handshakes : 0;
    return packets + handshakes;
}

size_t ed_udp_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    ed_udp *udp = context;
    size_t taken = udp->stats.split ? receive_split(udp, datagrams, count)
                                    : receive_from(udp, ED_UDP_PACKETS, datagrams, count);

    if (taken == 0)
        ed_udp_on_waited(udp, NULL);
    return taken;
}
