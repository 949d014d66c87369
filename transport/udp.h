/**
 * The datagram socket over UDP: IPv4, IPv6, or both through one socket. It batches, and where the
 * kernel can, lets it cut and join datagrams (UDP_SEGMENT, UDP_GRO).
 *
 * A server's is two sockets on one port where the kernel can steer: what strangers send to connect
 * waits in a queue of its own, so that a flood of it fills that one, and packets come through. A
 * call of `receive` takes packets first, and then handshakes: half as many, or a quarter of the
 * call where there were none. Packets leave a quarter of the call to them, too. After so many
 * handshakes a call says 0 although more wait, so that those who play are served; `wait` knows.
 * Where packets keep coming, so that nobody waits, handshakes are asked for every so many of them.
 * After many looks that found no handshake they are rarer, for who polls faster than anybody could
 * tell, until one comes or a wait says so.
 */
#ifndef ED_UDP_H
#define ED_UDP_H

#include "core/eddy.h"

enum {
    ED_UDP_DATAGRAM_MAX = 65507,     /* the most an IPv4 datagram carries */
    ED_UDP_KERNEL_BUFFER = 4 << 20,  /* asked for, each way; the system may grant less */
    ED_UDP_RECEIVE_BATCH = 32,       /* messages of one system call; */
    ED_UDP_RECEIVE_FEW = 16,         /* after large ones: these stay in the caches */
    ED_UDP_RECEIVE_SMALL = 2048,     /* bytes of a message, on average, that is not large */
    ED_UDP_RECEIVE_SIZE = 64 * 1024, /* of one message, which may be several datagrams joined */
    ED_UDP_RECEIVE_STRIDE = 65856,   /* of buffers: each has other places in the caches */
    ED_UDP_SEND_BATCH = 64,          /* messages of one system call */
    ED_UDP_SEND_PARTS = 512,         /* datagrams in all of them */
    ED_UDP_SEGMENTS_MAX = 64,        /* datagrams of one message; older kernels take no more */
    ED_UDP_SHARE = 4,                /* one in so many of a call is for handshakes */
    ED_UDP_TURN = 128,               /* handshakes, and then it says once that nothing has come */
    ED_UDP_PATIENCE = 512,           /* packets, and then handshakes are asked for again */
    ED_UDP_QUIET_LOOKS = 64,         /* that found no handshake, and then they are rarer: */
    ED_UDP_QUIET_NS = 200 * 1000,    /* at most so far apart, where there are calls */
    ED_UDP_RETRIES = 4,              /* of a call that met old news of a datagram sent before */
    ED_UDP_EARLY_MAX = 1 << 16,      /* datagrams of a queue that came before it was steered */
    ED_UDP_TOO_BIG_MAX = 16,         /* datagrams that were, of which the manager is told */
    ED_UDP_ERRORS_PER_DRAIN = 256,   /* pieces of news taken at once */
};

typedef struct ed_udp_options {
    bool split; /* handshakes apart from packets, where the system has it */
    bool ecn;   /* read that of what comes: the kernel adds a note to each message */
    /* What to do without, although the system may have it: */
    bool no_segmentation; /* UDP_SEGMENT */
    bool no_coalescing;   /* UDP_GRO */
    bool no_batching;     /* sendmmsg, recvmmsg */
    bool no_steering;     /* of what comes to several sockets of one port */
} ed_udp_options;

/**
 * Opens a socket and fills the table of calls; `socket->close` gives all back. Allocates here and
 * never again.
 * @param allocator copied.
 * @param bind "HOST:PORT"; ":PORT" for both families, or IPv4 alone on a machine without IPv6;
 * NULL for any port of both. Resolving a name blocks.
 * @param options NULL: one queue, and do without nothing.
 * @return EDDY_OK; EDDY_EADDRESS (also for a name without an address), EDDY_EINUSE, EDDY_EPERM,
 * EDDY_ENOADDR, EDDY_ESYSTEM or EDDY_ENOMEM, with `*socket` untouched.
 */
EDDY_MUST_CHECK eddy_status ed_udp_open(eddy_socket *socket, const eddy_allocator *allocator,
                                        const char *bind, const ed_udp_options *options);

/**
 * The same for the sockets of `count` shards on one port. What comes is steered by
 * ed_udp_steer: none of it by chance.
 * @return also EDDY_ESUPPORT: the system cannot steer, and `count` is more than one.
 */
EDDY_MUST_CHECK eddy_status ed_udp_open_all(eddy_socket *sockets, uint32_t count,
                                            const eddy_allocator *allocator, const char *bind,
                                            const ed_udp_options *options);

#endif
