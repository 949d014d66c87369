#include "transport/udp_socket.h"

#if defined(SO_ATTACH_REUSEPORT_CBPF)
#include <linux/filter.h>
#include <string.h>

bool ed_udp_share_port(int fd, bool shares)
{
    const int value = shares ? 1 : 0;

    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value) == 0;
}

bool ed_udp_steer(int fd)
{
    // The highest bit of the first byte, which handshakes have and packets have not, is the number
    // of the socket. A datagram of no bytes ends the program early, with 0.
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 7),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog program;

    memset(&program, 0, sizeof program); // the kernel is given its padding, too
    program.len = ED_COUNT(steps);
    program.filter = steps;
    static_assert(ED_UDP_PACKETS == 0 && ED_UDP_HANDSHAKES == 1, "as the program counts them");
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0;
}
#else
bool ed_udp_share_port(int fd, bool shares)
{
    (void)fd;
    (void)shares;
    return false; // elsewhere a shared port is one that others can take away
}

bool ed_udp_steer(int fd)
{
    (void)fd;
    return false;
}
#endif
