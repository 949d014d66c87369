/**
 * What the network makes the system say of itself (T36): half of all calls of the sockets fail with
 * the errors that ICMP messages and full queues cause. This program's calls that send and receive
 * stand in front of the C library's.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sim/random.h"
#include "tests/support/attack.h"
#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"

enum {
    MESSAGES = 50,
    LIMIT_S = 20,
    FAULTS_PPM = 500 * 1000,
};

static ed_rng rng;
static bool is_faulty;
static uint64_t fault_count;
static bool takes_errors_for_ends; /* as a naive program does */

static bool fails(void)
{
    static const int errors[] = {ECONNREFUSED, EMSGSIZE,    EHOSTUNREACH, ENETUNREACH,
                                 ENOBUFS,      EWOULDBLOCK, EPERM,        EINTR};

    if (!is_faulty || !ed_rng_hits(&rng, FAULTS_PPM))
        return false;
    fault_count++;
    errno = errors[ed_rng_below(&rng, ED_COUNT(errors))];
    return true;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    return fails() ? -1 : (int)syscall(SYS_sendmmsg, fd, messages, count, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *header, int flags)
{
    return fails() ? -1 : syscall(SYS_sendmsg, fd, header, flags);
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *remote,
               socklen_t remote_size)
{
    return fails() ? -1 : syscall(SYS_sendto, fd, data, size, flags, remote, remote_size);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    return fails() ? -1 : (int)syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);
}

/** One of the two programs. */
struct program {
    eddy_manager *manager;
    eddy_connection to;
    uint64_t received;
    bool has_ended;
};

static void read_events(struct program *p)
{
    eddy_event event;

    while (eddy_next(p->manager, &event, 0) == EDDY_OK) {
        p->to = event.type == EDDY_CONNECTED ? event.connection : p->to;
        p->received += event.type == EDDY_MESSAGE ? 1 : 0;
        p->has_ended |= event.type == EDDY_DISCONNECTED;
        eddy_release(p->manager, &event);
    }
    eddy_socket_stats stats = {0};
    eddy_get_socket_stats(p->manager, &stats);
    if (takes_errors_for_ends && stats.other_errors + stats.refused > 0)
        p->has_ended = true;
}

static void send_some(const struct program *p, uint64_t *sent)
{
    static const uint8_t data[500];

    while (p->to != 0 && *sent < MESSAGES &&
           eddy_send(p->manager, p->to, EDDY_RELIABLE_ORDERED, 0, data, sizeof(data)) == EDDY_OK)
        (*sent)++;
}

/** Both send all their messages. @return whether all came, and neither end has ended. */
static bool talk(struct program both[2])
{
    uint64_t until_ns = eddy_now_ns() + LIMIT_S * ED_NS_PER_S;
    uint64_t sent[2] = {0};

    while (both[0].received < MESSAGES || both[1].received < MESSAGES) {
        for (size_t i = 0; i < 2; i++) {
            (void)eddy_poll(both[i].manager, eddy_now_ns());
            read_events(&both[i]);
            send_some(&both[i], &sent[i]);
            if (both[i].has_ended || eddy_now_ns() > until_ns)
                return false;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 200 * 1000}, NULL);
    }
    return true;
}

static bool errors_end_nothing(const void *context)
{
    eddy_config config[2] = {ed_cluster_server_config(), ed_cluster_client_config()};
    struct program both[2] = {{0}, {0}};
    eddy_connection dialled = 0;

    (void)context;
    rng = ed_rng_of(36);
    fault_count = 0;
    for (size_t i = 0; i < 2; i++) {
        config[i].bind = "127.0.0.1:0";
        config[i].handshake_timeout_ms = LIMIT_S * 1000; // half of what is sent fails
        CHECK_EQ("open", eddy_open(&both[i].manager, &config[i]), EDDY_OK);
    }
    is_faulty = true;
    eddy_address server = eddy_local_address(both[0].manager);
    CHECK_EQ("connect", eddy_connect_address(both[1].manager, &server, ed_test_options(), &dialled),
             EDDY_OK);
    uint64_t began_ns = eddy_now_ns();
    bool came = talk(both);
    is_faulty = false;
    double took_ms = (double)(eddy_now_ns() - began_ns) / 1e6;
    for (size_t i = 0; i < 2; i++)
        (void)eddy_close(both[i].manager, 0);
    ed_attack_figure("T36 %llu failed calls: %d messages each way, all came, in %.0f ms",
                     (unsigned long long)fault_count, MESSAGES, took_ms);
    CHECK("it happened", fault_count > 20);
    return came;
}

static void be_naive(void)
{
    takes_errors_for_ends = true;
}

static void t36_errors_of_the_system_end_nothing(void **state)
{
    (void)state;
    ed_attack_run(
        &(ed_attack){.name = "T36 errors", .mount = errors_end_nothing, .weaken = be_naive});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(t36_errors_of_the_system_end_nothing)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
