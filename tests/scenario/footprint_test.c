/**
 * What an idle connection costs a server: a process of its own, with 1,000 clients over real UDP on
 * the loopback interface, reads how much memory it has before and after they came.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/base.h"
#include "tests/support/check.h"
#include "tests/support/keys.h"
#include "tests/support/seeds.h"
#include "transport/conn.h"

enum {
    CLIENTS = 1000,
    CLIENTS_SLOW = 50,
    AT_ONCE = 50,       /* that connect together */
    WARM = 8 * AT_ONCE, /* before it counts: bursts touch the buffers, one more than another */
    FILES = CLIENTS + WARM + 50, /* open at once */
    WAIT_MS = 10 * 1000,
    IDLE_MS = 200,
    RSS_MAX = 2 * 1024 + 832,
    HEAP_MAX = 2 * 1024 + 288,
};

static_assert(sizeof(ed_conn) <= 2048, "one byte more, and allocators take a quarter more");

/** What the server tells. */
typedef struct footprint {
    eddy_address address;
    uint64_t rss;
    uint64_t heap;
    uint64_t connections;
} footprint;

static uint64_t resident_size(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file == NULL || fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    if (file != NULL)
        (void)fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ------------------------------------------------------------------------------- the server -- */

static void tell(int fd, const eddy_manager *server, const ed_counting_alloc *memory,
                 uint64_t connections)
{
    footprint told = {.address = eddy_local_address(server),
                      .rss = resident_size(),
                      .heap = memory->live_size,
                      .connections = connections};

    if (write(fd, &told, sizeof(told)) != sizeof(told))
        _exit(1);
}

/** Takes events until so many have connected. */
static void accept_all(eddy_manager *server, uint64_t count)
{
    eddy_event event;

    for (uint64_t connected = 0; connected < count;) {
        if (eddy_next(server, &event, WAIT_MS) != EDDY_OK)
            _exit(2);
        connected += event.type == EDDY_CONNECTED ? 1 : 0;
        eddy_release(server, &event);
    }
}

/** Lives in a process of its own, tells its size at the start and when all have come. */
static void serve(int fd, uint64_t count)
{
    static ed_counting_alloc memory;
    eddy_config config = eddy_config_default();
    eddy_manager *server = NULL;

    ed_counting_alloc_init(&memory, NULL);
    config.bind = "127.0.0.1:0";
    config.accept = true;
    config.secret_key = ed_test_secret();
    config.max_outgoing = 0;
    config.max_connections = (uint32_t)count + WARM;
    config.idle_timeout_ms = 0;
    config.allocator = &memory.allocator;
    if (eddy_open(&server, &config) != EDDY_OK)
        _exit(3);
    // The first few warm what is the manager's own, and is no connection's.
    tell(fd, server, &memory, 0);
    accept_all(server, WARM);
    tell(fd, server, &memory, WARM);
    accept_all(server, count);
    (void)usleep(IDLE_MS * 1000);
    tell(fd, server, &memory, WARM + count);
    (void)eddy_close(server, 0);
    _exit(0);
}

/* ------------------------------------------------------------------------------ the clients -- */

static footprint hear(int fd)
{
    footprint told;

    CHECK_EQ("the server tells", read(fd, &told, sizeof(told)), sizeof(told));
    return told;
}

static eddy_manager *clients[CLIENTS + WARM];

static void poll_all(size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)eddy_poll(clients[i], eddy_now_ns());
}

/** Connects clients `first` to `first + AT_ONCE - 1`, while those before them go on. */
static void connect_some(size_t first, const eddy_address *server)
{
    eddy_config config = eddy_config_default();
    size_t connected = 0;

    config.bind = "127.0.0.1:0";
    config.pump = false;
    config.idle_timeout_ms = 0;
    config.max_connections = 0;
    config.max_outgoing = 1;
    for (size_t i = first; i < first + AT_ONCE; i++) {
        eddy_connection connection = 0;
        CHECK_EQ("open", eddy_open(&clients[i], &config), EDDY_OK);
        CHECK_EQ("dial", eddy_connect_address(clients[i], server, ed_test_options(), &connection),
                 EDDY_OK);
    }
    for (int ms = 0; connected < AT_ONCE && ms < WAIT_MS; ms++) {
        poll_all(first + AT_ONCE);
        for (size_t i = first; i < first + AT_ONCE; i++) {
            eddy_event event;
            connected += eddy_next(clients[i], &event, 0) == EDDY_OK ? 1 : 0;
        }
        (void)usleep(1000);
    }
    CHECK_EQ("connected", connected, AT_ONCE);
}

/** Connects clients until there are `count`. */
static void connect_up_to(size_t count, const eddy_address *server)
{
    static size_t connected;

    for (; connected < count; connected += AT_ONCE)
        connect_some(connected, server);
}

/** A file for each client's socket. @return false if the system allows fewer. */
static bool allow_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    if (limit.rlim_cur >= FILES)
        return true;
    limit.rlim_cur = FILES;
    return limit.rlim_max >= FILES && setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void print_parts(const footprint *before, const footprint *after, uint64_t count)
{
    (void)printf("an idle connection: %llu bytes resident, %llu of heap, in these:\n",
                 (unsigned long long)((after->rss - before->rss) / count),
                 (unsigned long long)((after->heap - before->heap) / count));
    (void)printf("  %5zu the connection\n", sizeof(ed_conn));
    (void)printf("  %5zu its first and last event, reserved\n", ed_event_charge(false));
    (void)printf("  %5zu the log of sent packets\n", ED_SENT_MIN * sizeof(ed_sent));
}

static void an_idle_connection_is_small(void **state)
{
    uint64_t count = ed_seeds_slow_build() ? CLIENTS_SLOW : CLIENTS;
    int fds[2];
    int code = 0;

    (void)state;
    CHECK("enough files", allow_files());
    CHECK_EQ("pipe", pipe(fds), 0);
    pid_t child = fork();
    CHECK("fork", child >= 0);
    if (child == 0)
        serve(fds[1], count);
    footprint start = hear(fds[0]);
    connect_up_to(WARM, &start.address);
    footprint before = hear(fds[0]);
    connect_up_to(WARM + count, &start.address);
    footprint after = hear(fds[0]);
    print_parts(&before, &after, count);
    if (!ed_seeds_slow_build()) { // fewer share what all have in common, and not in our allocator
        CHECK("heap", (after.heap - before.heap) / count <= HEAP_MAX);
        CHECK("resident", (after.rss - before.rss) / count <= RSS_MAX);
    }
    for (size_t i = 0; i < WARM + count; i++)
        (void)eddy_close(clients[i], 0);
    CHECK_EQ("its end", waitpid(child, &code, 0), child);
    CHECK_EQ("its code", code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
