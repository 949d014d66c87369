#include "transport/udp_socket.h"

#if defined(SO_ATTACH_REUSEPORT_CBPF)
#include <linux/filter.h>
#include <string.h>

#include "transport/packet.h"

/*
 * Programs for the kernel, which runs one for each datagram that comes to the port: what it returns
 * is the number of a socket, in the order in which they were bound. A load behind the end of the
 * datagram ends the program with 0.
 */

enum {
    PACKET_BITS = 0xe0,    /* of the first byte: that it is a packet, and has an id */
    PACKET_WITH_ID = 0x60, /* what they are then */
    IPV4_SOURCE = 12,
    IPV6_NEXT = 6, /* the type of what follows the header */
    IPV6_SOURCE = 8,
    IPV6_SIZE = 40,
    VERSION_SHIFT = 4, /* of the first byte of both headers */
};

#define HASH_FACTOR                                                                                \
    UINT32_C(0x9e3779b1) /* 2^32 by the golden ratio: it spreads neighbours evenly */

/** At a place in the IP header, which lies before what the program is given. */
#define IP_AT(offset) ((uint32_t)SKF_NET_OFF + (uint32_t)(offset))

/* The step behind the one that jumps is number 0. */
#define LOAD_BYTE(at) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (at))
#define LOAD_WORD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define JUMP_IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define RETURN(number) BPF_STMT(BPF_RET | BPF_K, (number))
#define MIX BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, HASH_FACTOR)
#define KEEP BPF_STMT(BPF_MISC | BPF_TAX, 0)
#define WITH_KEPT BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0)

bool ed_udp_share_port(int fd, bool shares)
{
    const int value = shares ? 1 : 0;

    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value) == 0;
}

static bool attach(int fd, struct sock_filter *steps, size_t count)
{
    struct sock_fprog program;

    memset(&program, 0, sizeof program); // the kernel is given its padding, too
    program.len = (unsigned short)count;
    program.filter = steps;
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0;
}

/** Of one shard the highest bit, which handshakes have and packets have not, is the number. */
static bool steer_one(int fd)
{
    struct sock_filter steps[] = {
        LOAD_BYTE(0),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 7),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };

    static_assert(ED_UDP_PACKETS == 0 && ED_UDP_HANDSHAKES == 1, "as the program counts them");
    return attach(fd, steps, ED_COUNT(steps));
}

static bool steer_several(int fd, uint32_t count)
{
    struct sock_filter steps[] = {
        LOAD_BYTE(0),
        JUMP_IF(ED_FORM_HELLO, 9, 0),
        JUMP_IF(ED_FORM_INITIATE, 8, 0),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x80, 6, 0),
        // A packet: the first byte of its id is its shard.
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PACKET_BITS),
        JUMP_IF(PACKET_WITH_ID, 0, 3),
        LOAD_BYTE(1),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, count, 1, 0),
        BPF_STMT(BPF_RET | BPF_A, 0),
        RETURN(0),
        RETURN(count), // an answer to who dialled: the handshakes of shard 0

        // A newcomer: by the address that it comes from.
        LOAD_BYTE(IP_AT(0)),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, VERSION_SHIFT),
        JUMP_IF(4, 0, 5),
        LOAD_WORD(IP_AT(IPV4_SOURCE)),
        MIX,
        BPF_STMT(BPF_ST, 0),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, IP_AT(0)), // the size of the header
        BPF_JUMP(BPF_JMP | BPF_JA, 20, 0, 0),

        JUMP_IF(6, 0, 2),
        LOAD_BYTE(IP_AT(IPV6_NEXT)),
        JUMP_IF(IPPROTO_UDP, 1, 0),
        RETURN(count), // there is more in between than is worth looking at here
        LOAD_WORD(IP_AT(IPV6_SOURCE)),
        MIX,
        KEEP,
        LOAD_WORD(IP_AT(IPV6_SOURCE + 4)),
        WITH_KEPT,
        MIX,
        KEEP,
        LOAD_WORD(IP_AT(IPV6_SOURCE + 8)),
        WITH_KEPT,
        MIX,
        KEEP,
        LOAD_WORD(IP_AT(IPV6_SOURCE + 12)),
        WITH_KEPT,
        MIX,
        BPF_STMT(BPF_ST, 0),
        BPF_STMT(BPF_LDX | BPF_IMM, IPV6_SIZE),
        // Both: the port stands first in what follows, and counts, too.
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, IP_AT(0)),
        BPF_STMT(BPF_LDX | BPF_MEM, 0),
        WITH_KEPT,
        MIX,
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16),
        BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, count),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16),
        BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, count),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };

    return attach(fd, steps, ED_COUNT(steps));
}

bool ed_udp_steer(int fd, uint32_t count)
{
    return count == 1 ? steer_one(fd) : steer_several(fd, count);
}
#else
bool ed_udp_share_port(int fd, bool shares)
{
    (void)fd;
    (void)shares;
    return false; // elsewhere a shared port is one that others can take away
}

bool ed_udp_steer(int fd, uint32_t count)
{
    (void)fd;
    (void)count;
    return false;
}
#endif
