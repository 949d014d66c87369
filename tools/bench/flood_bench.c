/**
 * A server under a flood of HELLOs on the loopback interface: what becomes of the players'
 * messages, with one queue for everything that comes and with one of its own for handshakes, and
 * how many HELLOs are answered, against a bare loop that takes 1,200 bytes and sends 48. All of it
 * runs in this process, so flood, server and players share the machine's cores: the figures say
 * how the rows compare, not what a server reaches whose flood comes from elsewhere.
 */
#include <netinet/udp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/thread.h"
#include "tools/latency.h"
#include "tools/options.h"
#include "tools/report.h"
#include "transport/handshake.h"
#include "transport/udp.h"
#include "transport/udp_address.h"

enum {
    PLAYERS_MAX = 256,
    WHOLE_PPM = 1000 * 1000,
    ROUNDS_MAX = 99,
    MESSAGE_SIZE = 32,
    BATCH = 64,  /* datagrams of one system call of the bare loop */
    SOURCES = 8, /* the ports that the flood comes from */
    RUN = 48,    /* HELLOs of one message, that the kernel cuts: the fastest way to send them */
    RUNS = 20,   /* of different ones; then they come again */
    RUNS_AT_ONCE = 2,
    PATIENCE_MS = 5000,
    GRACE_MS = 300, /* for the last echoes */
};

/** What the command line sets. */
static struct settings {
    uint64_t rounds;
    uint64_t duration_ms; /* of a row in a round */
    uint64_t players;
    uint64_t rate; /* messages of a player in a second */
    uint64_t hellos_max;
    bool json;
} settings = {.rounds = 5, .duration_ms = 1000, .players = 16, .rate = 60, .hellos_max = 2000000};

/** What is measured, in this order in every round. */
static const struct row {
    const char *name;
    bool split;
    bool flood;
    bool players;
    bool bare;
} rows[] = {
    {"one queue", false, false, true, false},       {"two queues", true, false, true, false},
    {"one queue, flood", false, true, true, false}, {"two queues, flood", true, true, true, false},
    {"flood alone", true, true, false, false},      {"bare loop, flood", false, true, false, true},
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]), FLOOD_ALONE = 4, BARE_LOOP = 5 };

/** What came out; in this order in the tables. */
enum { ECHOES_PPM, P50_US, P99_US, SENT_PER_S, ANSWERED_PER_S, FIGURE_COUNT };

static const struct {
    const char *name; /* in JSON */
    bool of_players;
} figures[FIGURE_COUNT] = {{"echoes_ppm", true},
                           {"p50_us", true},
                           {"p99_us", true},
                           {"hellos_per_s", false},
                           {"answered_per_s", false}};

static uint64_t results[ROW_COUNT][FIGURE_COUNT][ROUNDS_MAX];

static void require(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "flood_bench: %s failed\n", what);
    exit(1);
}

/* ------------------------------------------------------------------------------------ flood -- */

/** Threads that run until they are told to stop, and what they have counted by then. */
typedef struct worker {
    ed_thread thread;
    atomic_bool stops;
    _Atomic uint64_t count; /* HELLOs sent or answered */
    eddy_address to;        /* the flood: where it goes, */
    eddy_key key;           /* and the public key of who is there */
    int fd;                 /* the bare loop's socket */
    eddy_manager *eddy;     /* the echo's */
} worker;

static void start(worker *w, const char *name, void (*run)(void *context))
{
    require(ed_thread_start(&w->thread, name, run, w) == EDDY_OK, "a thread");
}

static void stop(worker *w)
{
    atomic_store(&w->stops, true);
    ed_thread_join(&w->thread);
}

/** One that the server has to answer: whoever floods knows its public key, as players do. */
static void write_hello(uint8_t data[ED_HELLO_SIZE], const eddy_key *server_key, uint32_t number)
{
    ed_hello hello = {.version = ED_PROTOCOL_VERSION,
                      .mode = ED_MODE_PINNED,
                      .version_count = 1,
                      .versions = {ED_PROTOCOL_VERSION}};

    memcpy(hello.nonce, &number, sizeof(number));
    ed_greeting_key greeting = ed_greeting_key_of(server_key->bytes);
    ed_hello_write(data, &hello, &greeting);
}

static int bound_socket(eddy_address *address)
{
    ed_udp_address os_address;
    eddy_address loopback = {.family = EDDY_FAMILY_IPV4, .ip = {127, 0, 0, 1}};
    socklen_t size = ed_udp_address_write(&os_address, &loopback, false);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    require(fd >= 0 && bind(fd, &os_address.any, size) == 0, "a socket");
    require(getsockname(fd, &os_address.any, &size) == 0, "its address");
    *address = ed_udp_address_read(&os_address.any, size);
    return fd;
}

/** As many HELLOs as this thread can send. Nobody reads the answers: they overflow and are gone. */
static void run_flood(void *context)
{
    static uint8_t data[RUNS][RUN][ED_HELLO_SIZE];
    static struct iovec parts[RUNS];
    static struct mmsghdr messages[RUNS];
    const int segment = ED_HELLO_SIZE;
    worker *w = context;
    ed_udp_address to;
    eddy_address unused;
    int fds[SOURCES];
    socklen_t size = ed_udp_address_write(&to, &w->to, false);

    for (uint32_t i = 0; i < RUNS; i++) {
        for (uint32_t n = 0; n < RUN; n++)
            write_hello(data[i][n], &w->key, i * RUN + n);
        parts[i] = (struct iovec){.iov_base = data[i], .iov_len = sizeof(data[i])};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &to, .msg_namelen = size, .msg_iov = &parts[i], .msg_iovlen = 1};
    }
    for (size_t i = 0; i < SOURCES; i++) {
        fds[i] = bound_socket(&unused);
        require(setsockopt(fds[i], IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)) == 0,
                "UDP_SEGMENT");
    }
    for (size_t at = 0; !atomic_load(&w->stops) && w->count < settings.hellos_max; at++) {
        size_t first = at * RUNS_AT_ONCE % RUNS;
        int sent = sendmmsg(fds[at % SOURCES], &messages[first], RUNS_AT_ONCE, 0);
        w->count += sent > 0 ? (uint64_t)sent * RUN : 0;
    }
    for (size_t i = 0; i < SOURCES; i++)
        (void)close(fds[i]);
}

/** What no server can be faster than: it looks at nothing, and answers everybody the same. */
static void run_bare_loop(void *context)
{
    static uint8_t data[BATCH][ED_HELLO_SIZE];
    worker *w = context;
    ed_udp_address remotes[BATCH];
    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH];

    while (!atomic_load(&w->stops)) {
        struct pollfd ready = {.fd = w->fd, .events = POLLIN};
        (void)poll(&ready, 1, 10);
        for (size_t i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){.iov_base = data[i], .iov_len = ED_HELLO_SIZE};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &remotes[i],
                                                  .msg_namelen = sizeof(remotes[i]),
                                                  .msg_iov = &parts[i],
                                                  .msg_iovlen = 1};
        }
        int got = recvmmsg(w->fd, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < got; i++)
            parts[i].iov_len = ED_RETRY_SIZE;
        int sent = got > 0 ? sendmmsg(w->fd, messages, (unsigned)got, 0) : 0;
        w->count += sent > 0 ? (uint64_t)sent : 0;
    }
}

/* ----------------------------------------------------------------------- server and players -- */

/** Sends every message back. */
static void run_echo(void *context)
{
    worker *w = context;
    eddy_event event;

    while (!atomic_load(&w->stops)) {
        if (eddy_next(w->eddy, &event, 10) != EDDY_OK)
            continue;
        // What there is no room for is an echo that does not come: it is counted there.
        if (event.type == EDDY_MESSAGE &&
            eddy_send(w->eddy, event.connection, event.message.guarantee, event.message.stream,
                      event.message.data, event.message.size) == EDDY_OK)
            w->count++;
        eddy_release(w->eddy, &event);
    }
}

static eddy_manager *open_server(bool split)
{
    // A flood's sources are all different: nothing of it could be joined, neither way.
    const ed_udp_options options = {.split = split, .no_segmentation = true, .no_coalescing = true};
    eddy_config config = eddy_config_default();
    eddy_manager *server = NULL;
    eddy_socket socket;
    eddy_socket_stats stats;

    require(ed_udp_open(&socket, ed_alloc_default(), "127.0.0.1:0", &options) == EDDY_OK,
            "the server's socket");
    socket.stats(socket.context, &stats);
    require(stats.split == split, "a queue of its own");
    config.accept = true;
    config.reply_rate = 0; // it is the machine that is measured
    config.socket = &socket;
    require(eddy_open(&server, &config) == EDDY_OK, "the server");
    return server;
}

/** Each has a manager of its own, as each would on a machine of its own. */
static struct player {
    eddy_manager *eddy;
    eddy_connection connection;
} players[PLAYERS_MAX];

static void connect_players(const eddy_manager *server)
{
    const eddy_address address = eddy_local_address(server);
    const eddy_key key = eddy_public_key(server);
    const eddy_connect_options with_key = {.server_key = &key};

    for (size_t i = 0; i < settings.players; i++) {
        struct player *p = &players[i];
        eddy_event event;
        require(eddy_open(&p->eddy, NULL) == EDDY_OK, "a player");
        require(eddy_connect_address(p->eddy, &address, &with_key, &p->connection) == EDDY_OK,
                "connecting");
        require(eddy_await(p->eddy, EDDY_CONNECTED, &event, PATIENCE_MS) == EDDY_OK, "a handshake");
        eddy_release(p->eddy, &event);
    }
}

static void close_players(void)
{
    for (size_t i = 0; i < settings.players; i++)
        (void)eddy_close(players[i].eddy, 0);
}

/** The message says when it was sent. @return whether it was taken. */
static bool send_message(const struct player *p)
{
    uint8_t message[MESSAGE_SIZE] = {0};
    uint64_t now_ns = ed_clock_now_ns();

    memcpy(message, &now_ns, sizeof(now_ns));
    return eddy_send(p->eddy, p->connection, EDDY_UNRELIABLE, 0, message, sizeof(message)) ==
           EDDY_OK;
}

static void take_echoes(const struct player *p, ed_latency *latency)
{
    eddy_event event;
    uint64_t sent_ns;

    while (eddy_next(p->eddy, &event, 0) == EDDY_OK) {
        if (event.type == EDDY_MESSAGE && event.message.size == MESSAGE_SIZE) {
            memcpy(&sent_ns, event.message.data, sizeof(sent_ns));
            ed_latency_add(latency, ed_clock_now_ns() - sent_ns);
        }
        eddy_release(p->eddy, &event);
    }
}

/** Sends for the duration of a row, each player in turn. @return how many were sent. */
static uint64_t play(ed_latency *latency, uint64_t end_ns, bool sends)
{
    struct pollfd fds[PLAYERS_MAX];
    uint64_t interval_ns = ED_NS_PER_S / (settings.rate * settings.players);
    uint64_t next_ns = ed_clock_now_ns();
    uint64_t sent = 0;

    for (size_t i = 0; i < settings.players; i++)
        fds[i] = (struct pollfd){.fd = eddy_event_fd(players[i].eddy), .events = POLLIN};
    for (uint64_t now_ns = next_ns; now_ns < end_ns; now_ns = ed_clock_now_ns()) {
        for (; sends && next_ns <= now_ns; next_ns += interval_ns)
            sent += send_message(&players[sent % settings.players]);
        (void)poll(fds, settings.players, 1);
        for (size_t i = 0; i < settings.players; i++)
            if (fds[i].revents != 0)
                take_echoes(&players[i], latency);
    }
    return sent;
}

/* ----------------------------------------------------------------------------------- rounds -- */

static void sleep_until(uint64_t end_ns)
{
    for (uint64_t now_ns = ed_clock_now_ns(); now_ns < end_ns; now_ns = ed_clock_now_ns())
        (void)poll(NULL, 0, (int)((end_ns - now_ns) / ED_NS_PER_MS) + 1);
}

static uint64_t answered_by(const struct row *row, eddy_manager *server, const worker *bare)
{
    eddy_stats stats;

    if (row->bare)
        return bare->count;
    eddy_get_stats(server, &stats);
    return stats.replied_stateless;
}

/** Measures while everything that the row wants is running. */
static void measure(const struct row *row, size_t round, eddy_manager *server, const worker *bare)
{
    static ed_latency latency; // too large for the stack
    worker flood = {.to = row->bare ? bare->to : eddy_local_address(server)};
    uint64_t(*out)[ROUNDS_MAX] = results[row - rows];
    uint64_t sent = 0;

    latency = (ed_latency){0};
    if (!row->bare)
        flood.key = eddy_public_key(server);
    if (row->flood)
        start(&flood, "flood", run_flood);
    uint64_t begin_ns = ed_clock_now_ns();
    uint64_t end_ns = begin_ns + settings.duration_ms * ED_NS_PER_MS;
    uint64_t answered = answered_by(row, server, bare), hellos = flood.count;
    if (row->players)
        sent = play(&latency, end_ns, true);
    else
        sleep_until(end_ns);
    uint64_t took_ns = ed_clock_now_ns() - begin_ns;
    answered = answered_by(row, server, bare) - answered;
    hellos = flood.count - hellos;
    if (row->flood)
        stop(&flood);
    if (row->players)
        (void)play(&latency, ed_clock_now_ns() + GRACE_MS * ED_NS_PER_MS, false);
    out[ECHOES_PPM][round] = latency.count * WHOLE_PPM / ed_max_u64(sent, 1);
    out[P50_US][round] = ed_latency_percentile_us(&latency, 500);
    out[P99_US][round] = ed_latency_percentile_us(&latency, 990);
    out[SENT_PER_S][round] = hellos * ED_NS_PER_S / took_ns;
    out[ANSWERED_PER_S][round] = answered * ED_NS_PER_S / took_ns;
}

static void run_against_server(const struct row *row, size_t round)
{
    worker echo = {.eddy = open_server(row->split)};

    start(&echo, "echo", run_echo);
    if (row->players)
        connect_players(echo.eddy);
    measure(row, round, echo.eddy, NULL);
    if (row->players)
        close_players();
    stop(&echo);
    (void)eddy_close(echo.eddy, 0);
}

static void run_against_bare_loop(const struct row *row, size_t round)
{
    worker bare = {0};
    int size = ED_UDP_KERNEL_BUFFER;

    bare.fd = bound_socket(&bare.to);
    (void)setsockopt(bare.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    start(&bare, "bare", run_bare_loop);
    measure(row, round, NULL, &bare);
    stop(&bare);
    (void)close(bare.fd);
}

/* ---------------------------------------------------------------------------------- figures -- */

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

    return (first > second) - (first < second);
}

/** Sorts the rounds. */
static uint64_t median(uint64_t values[ROUNDS_MAX])
{
    qsort(values, settings.rounds, sizeof(values[0]), compare);
    return values[settings.rounds / 2];
}

/** What is answered where a bare loop answers a million, in the same round. */
static uint64_t answered_ppm_of_bare(void)
{
    uint64_t ppm[ROUNDS_MAX];

    for (size_t i = 0; i < settings.rounds; i++)
        ppm[i] = results[FLOOD_ALONE][ANSWERED_PER_S][i] * WHOLE_PPM /
                 ed_max_u64(results[BARE_LOOP][ANSWERED_PER_S][i], 1);
    return median(ppm);
}

static int print_json(uint64_t of_bare_ppm)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ROW_COUNT; i++) {
        json_t *object = json_pack("{s:s}", "name", rows[i].name);
        for (size_t n = 0; n < FIGURE_COUNT; n++)
            if (figures[n].of_players ? rows[i].players : rows[i].flood)
                (void)json_object_set_new(object, figures[n].name,
                                          json_integer(ed_json_int(median(results[i][n]))));
        (void)json_array_append_new(list, object);
    }
    return ed_json_print(
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "rounds", ed_json_int(settings.rounds),
                  "duration_ms", ed_json_int(settings.duration_ms), "players",
                  ed_json_int(settings.players), "messages_per_s", ed_json_int(settings.rate),
                  "answered_ppm_of_bare", ed_json_int(of_bare_ppm), "rows", list));
}

static int print_table(uint64_t of_bare_ppm)
{
    printf("medians of %u rounds; %u players, each %u messages a second\n\n",
           (unsigned)settings.rounds, (unsigned)settings.players, (unsigned)settings.rate);
    printf("%-18s %10s %9s %9s %10s %11s\n", "", "echoes %", "p50 us", "p99 us", "HELLOs/s",
           "answered/s");
    for (size_t i = 0; i < ROW_COUNT; i++) {
        uint64_t of[FIGURE_COUNT];
        for (size_t n = 0; n < FIGURE_COUNT; n++)
            of[n] = median(results[i][n]);
        printf("%-18s", rows[i].name);
        if (rows[i].players)
            printf(" %10.2f %9u %9u", (double)of[ECHOES_PPM] / 10000, (unsigned)of[P50_US],
                   (unsigned)of[P99_US]);
        else
            printf(" %10s %9s %9s", "", "", "");
        if (rows[i].flood)
            printf(" %10u %11u", (unsigned)of[SENT_PER_S], (unsigned)of[ANSWERED_PER_S]);
        putchar('\n');
    }
    printf("\nalone under the flood it answers %.2f of what the bare loop does\n",
           (double)of_bare_ppm / 1000000);
    return 0;
}

static const struct option {
    const char *name;
    uint64_t *value;
    uint64_t most;
} options[] = {
    {"--rounds", &settings.rounds, ROUNDS_MAX},
    {"--duration-ms", &settings.duration_ms, 60 * 1000},
    {"--players", &settings.players, PLAYERS_MAX},
    {"--rate", &settings.rate, 1000},
    {"--hellos", &settings.hellos_max, UINT32_MAX}, // of a row, at most
};

/** Takes "--NAME" "NUMBER", from 1 to what is allowed. */
static bool take_option(const char *name, const char *value)
{
    for (size_t i = 0; i < ED_COUNT(options); i++) {
        if (strcmp(options[i].name, name) != 0)
            continue;
        return ed_number_parse(options[i].value, value, ED_PER_ONE) && *options[i].value > 0 &&
               *options[i].value <= options[i].most;
    }
    return false;
}

static bool take_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            settings.json = true;
        else if (i + 1 == argc || !take_option(argv[i], argv[i + 1]))
            return false;
        else
            i++;
    }
    return true;
}

int main(int argc, char **argv)
{
    if (!take_options(argc, argv)) {
        fputs("usage: flood_bench [--json]", stderr);
        for (size_t i = 0; i < ED_COUNT(options); i++)
            fprintf(stderr, " [%s N (%u)]", options[i].name, (unsigned)*options[i].value);
        fputc('\n', stderr);
        return 2;
    }
    require(ed_crypto_init() == EDDY_OK, "the crypto library");
    for (size_t round = 0; round < settings.rounds; round++)
        for (size_t i = 0; i < ROW_COUNT; i++)
            (rows[i].bare ? run_against_bare_loop : run_against_server)(&rows[i], round);
    uint64_t of_bare_ppm = answered_ppm_of_bare(); // by rounds: before they are sorted
    return settings.json ? print_json(of_bare_ppm) : print_table(of_bare_ppm);
}
