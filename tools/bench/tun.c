#include "tools/bench/tun.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NETWORK "10.77.0.0"
#define MASK "255.255.255.0"

static bool set_address(int fd, unsigned long what, const char *name, uint32_t address)
{
    struct ifreq request = {0};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = address};

    memcpy(request.ifr_name, name, strlen(name));
    memcpy(&request.ifr_addr, &in, sizeof(in));
    return ioctl(fd, what, &request) == 0;
}

static bool set_up(int fd, const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};

    memcpy(request.ifr_name, name, strlen(name));
    return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

static bool configure(const char *name, uint8_t host)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    uint32_t address = htonl(ntohl(inet_addr(NETWORK)) + host);
    bool done = set_address(fd, SIOCSIFADDR, name, address) &&
                set_address(fd, SIOCSIFNETMASK, name, inet_addr(MASK)) && set_up(fd, name);
    close(fd);
    return done;
}

int ed_tun_enter(uint8_t host)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "path"};

    if (unshare(CLONE_NEWNET) != 0)
        return -1;
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (ioctl(fd, TUNSETIFF, &request) == 0 && configure(request.ifr_name, host))
        return fd;
    close(fd);
    return -1;
}
