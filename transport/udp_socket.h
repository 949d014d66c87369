/** What the files of the UDP socket share: udp_posix.c opens it, the others do one thing each. */
#ifndef ED_UDP_SOCKET_H
#define ED_UDP_SOCKET_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "core/base.h"
#include "core/eddy.h"
#include "transport/udp.h"
#include "transport/udp_address.h"

#if defined(__linux__)
typedef struct mmsghdr ed_udp_message;
#else
typedef struct ed_udp_message {
    struct msghdr msg_hdr;
    unsigned msg_len;
} ed_udp_message;
#endif

enum {
    ED_UDP_CONTROL_SIZE = 256, /* of the notes that go with a message: address, ECN, segment size */
};

/** The notes of one message. */
typedef union ed_udp_control {
    struct cmsghdr aligned;
    uint8_t bytes[ED_UDP_CONTROL_SIZE];
} ed_udp_control;

/** Messages that have come, and how far they are handed out. */
typedef struct ed_udp_inbox {
    ed_udp_message messages[ED_UDP_RECEIVE_BATCH];
    struct iovec parts[ED_UDP_RECEIVE_BATCH];
    ed_udp_address remotes[ED_UDP_RECEIVE_BATCH];
    ed_udp_control controls[ED_UDP_RECEIVE_BATCH];
    size_t count;         /* of messages that have come */
    size_t most;          /* that the next call may take */
    size_t at;            /* the one that is handed out now */
    size_t offset;        /* the bytes of it that have been */
    size_t segment;       /* the size of its datagrams, the last may be shorter; 0: not read yet */
    bool is_empty;        /* behind it nothing was left: see ed_udp_on_waited */
    eddy_datagram common; /* what its datagrams have in common */
    uint8_t *buffers;     /* ED_UDP_RECEIVE_BATCH, ED_UDP_RECEIVE_STRIDE apart */
} ed_udp_inbox;

/** Messages made of the datagrams to be sent. */
typedef struct ed_udp_outbox {
    ed_udp_message messages[ED_UDP_SEND_BATCH];
    struct iovec parts[ED_UDP_SEND_PARTS]; /* one a datagram */
    ed_udp_address remotes[ED_UDP_SEND_BATCH];
    ed_udp_control controls[ED_UDP_SEND_BATCH];
    size_t count; /* of messages */
} ed_udp_outbox;

/** What waits for us, by its first byte: the order in which the sockets are bound, and steered. */
typedef enum ed_udp_queue {
    ED_UDP_PACKETS, /* and all that is no handshake; everything where there is no other queue */
    ED_UDP_HANDSHAKES,
    ED_UDP_QUEUE_COUNT,
} ed_udp_queue;

typedef struct ed_udp {
    int fds[ED_UDP_QUEUE_COUNT]; /* by queue; the first sends; -1: there is none */
    bool ipv6;                   /* the sockets' own family; they may carry both */
    bool is_any;                 /* not bound to one address: messages say which is meant */
    size_t turn;                 /* handshakes handed out since a call of `receive` returned 0 */
    size_t patience;             /* packets handed out since handshakes had to be asked for */
    uint32_t quiet_looks;        /* for handshakes, the last in a row that found none */
    uint64_t quiet_ns;           /* when the last of ED_UDP_QUIET_LOOKS was */
    eddy_address local;
    eddy_allocator allocator;
    eddy_socket_stats stats;
    eddy_datagram too_big[ED_UDP_TOO_BIG_MAX]; /* that nobody has asked for yet */
    size_t too_big_count;
    ed_udp_inbox inboxes[ED_UDP_QUEUE_COUNT];
    ed_udp_outbox outbox; /* last: not zeroed */
} ed_udp;

/** Readies the parts of an inbox that never change; its buffers are there. */
void ed_udp_inbox_init(ed_udp_inbox *inbox);

/**
 * What is known of the queues after a wait: those of which `is_ready` does not hold have nothing.
 * Until a call of `receive` returns 0 the kernel is not asked about them, nor again about one that
 * gave less than it could: what comes meanwhile ends the next wait. But packets may never end, and
 * then nobody waits: after ED_UDP_PATIENCE of them handshakes are asked for all the same. NULL:
 * nothing is known.
 */
void ed_udp_on_waited(ed_udp *udp, const bool is_ready[ED_UDP_QUEUE_COUNT]);

/** Whether datagrams that have come wait to be handed out. */
bool ed_udp_inbox_waiting(const ed_udp_inbox *inbox);

/**
 * Says whether sockets of this user may share the socket's port. Before both have said so, bound or
 * not yet, neither may. @return false if the system does not know of it.
 */
bool ed_udp_share_port(int fd, bool shares);

/**
 * Steers what comes to the sockets that share a port: those of the packets of `count` shards, bound
 * first and in their order, and then those of their handshakes. A packet with an id goes to the
 * shard that the id names. HELLO and INITIATE go to the shard that the sender's address gives, so
 * that all of one handshake comes to the same. All else goes to shard 0.
 */
EDDY_MUST_CHECK bool ed_udp_steer(int fd, uint32_t count);

/** eddy_socket's `receive`, `send` and `too_big`. */
size_t ed_udp_receive(void *context, eddy_datagram *datagrams, size_t count);
size_t ed_udp_send(void *context, const eddy_datagram *datagrams, size_t count);
size_t ed_udp_too_big(void *context, eddy_datagram *datagrams, size_t count);

/** Whether the error tells of a peer that cannot be reached, perhaps not of this call at all. */
bool ed_udp_error_is_news(int error);

/** Counts `count` datagrams that an error cost. */
void ed_udp_count_error(ed_udp *udp, int error, size_t count);

/** Takes and counts the news of earlier datagrams that the kernel keeps. @return how many. */
size_t ed_udp_drain_errors(ed_udp *udp);

#endif
