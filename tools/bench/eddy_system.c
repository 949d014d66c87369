/** eddy as a system to be measured: polled by the bench's own thread, or with its pump. */
#include <errno.h>
#include <string.h>

#include "core/alloc.h"
#include "core/eddy.h"
#include "tools/bench/bench.h"
#include "transport/udp.h"

enum {
    EVENTS = 64,                  /* taken in one call */
    MESSAGES = 64,                /* sent in one call */
    POLLS_MAX = 8,                /* in a row, while they say that there is more */
    BUDGET = 256 << 20,           /* of a host, each way */
    CONNECTION_BUDGET = 16 << 20, /* of each connection's messages */
};

/** A host: a manager, and its connections by number. */
struct host {
    eddy_manager *manager;
    const ed_bench_sink *sink;
    bool pump;
    uint32_t known; /* peers that came, each at its number */
    uint32_t left;  /* of these, those that went */
    uint32_t places;
    eddy_connection peers[];
};

static size_t size_of(uint32_t places)
{
    return sizeof(struct host) + places * sizeof(eddy_connection);
}

static void free_host(struct host *host)
{
    ed_alloc_free(ed_alloc_default(), host, size_of(host->places));
}

/** The server's: both processes have it, as neither may say it to the other. */
static const eddy_key secret = {.bytes = {0xed, 0xd7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};

/** Made once: it is no part of what connecting costs. */
static const eddy_key *public_key(void)
{
    static eddy_key key;
    static bool is_made;

    if (!is_made)
        key = eddy_key_public(&secret);
    is_made = true;
    return &key;
}

static eddy_config config_of(eddy_cipher cipher, bool pump)
{
    eddy_config config = eddy_config_default();

    config.pump = pump;
    config.cipher = cipher;
    config.send_budget = BUDGET;
    config.receive_budget = BUDGET;
    config.connection_send_budget = CONNECTION_BUDGET;
    config.unreliable_budget = CONNECTION_BUDGET;
    config.reply_rate = 0;
    config.handshake_rate = 0;
    return config;
}

/** @return NULL, with errno, as the bench wants it. */
static struct host *open_host(eddy_config *config, const ed_bench_sink *sink, bool without_offload)
{
    uint32_t places = config->accept ? config->max_connections : 1;
    struct host *host = ed_alloc_zeroed(ed_alloc_default(), size_of(places));
    ed_udp_options plain = {
        .split = config->accept, .no_segmentation = true, .no_coalescing = true};
    eddy_socket socket;

    if (host == NULL)
        return NULL;
    host->places = places;
    host->sink = sink;
    host->pump = config->pump;
    if (without_offload) {
        if (ed_udp_open(&socket, ed_alloc_default(), config->bind, &plain) != EDDY_OK) {
            free_host(host);
            return NULL;
        }
        config->socket = &socket;
    }
    eddy_status status = eddy_open(&host->manager, config);
    if (status == EDDY_OK)
        return host;
    errno = status == EDDY_ENOMEM ? ENOMEM : EINVAL;
    free_host(host);
    return NULL;
}

static void *listen_as(eddy_cipher cipher, bool pump, bool without_offload, uint32_t clients,
                       const ed_bench_sink *sink, uint16_t *port)
{
    eddy_config config = config_of(cipher, pump);

    config.bind = "127.0.0.1:0";
    config.accept = true;
    config.secret_key = &secret;
    config.max_connections = clients;
    config.max_half_open = clients;
    config.max_outgoing = 0;
    struct host *host = open_host(&config, sink, without_offload);
    if (host != NULL)
        *port = eddy_local_address(host->manager).port;
    return host;
}

static void *dial_as(eddy_cipher cipher, bool pump, bool without_offload, uint16_t port,
                     const ed_bench_sink *sink)
{
    eddy_config config = config_of(cipher, pump);
    eddy_connect_options options = {.mode = EDDY_MODE_PINNED, .server_key = public_key()};
    eddy_address server = {.family = EDDY_FAMILY_IPV4, .ip = {127, 0, 0, 1}, .port = port};
    eddy_connection connection;

    config.bind = "127.0.0.1:0";
    config.max_connections = 0;
    config.max_outgoing = 1;
    struct host *host = open_host(&config, sink, without_offload);
    if (host == NULL)
        return NULL;
    if (eddy_connect_address(host->manager, &server, &options, &connection) == EDDY_OK)
        return host;
    eddy_close(host->manager, 0);
    free_host(host);
    errno = ENOMEM;
    return NULL;
}

/** An event that was taken together with CONNECTED does not carry what was set in between. */
static uint32_t number_of(struct host *host, const eddy_event *event)
{
    void *data = event->user_data != NULL ? event->user_data
                                          : eddy_connection_data(host->manager, event->connection);

    return (uint32_t)((uintptr_t)data - 1);
}

static void take(struct host *host, const eddy_event *event)
{
    switch (event->type) {
    case EDDY_CONNECTED:
        eddy_set_connection_data(host->manager, event->connection,
                                 (void *)(uintptr_t)(host->known + 1));
        host->peers[host->known++] = event->connection;
        break;
    case EDDY_DISCONNECTED:
        host->left++;
        break;
    case EDDY_MESSAGE:
        host->sink->message(host->sink->context, number_of(host, event), event->message.data,
                            event->message.size);
        break;
    case EDDY_EVENT_NONE:
    case EDDY_WRITABLE:
    case EDDY_RECEIPT:
    case EDDY_MOVED:
    case EDDY_CONNECT_REQUEST:
        break;
    }
}

static size_t take_events(struct host *host)
{
    ED_UNCLEARED eddy_event events[EVENTS];
    size_t count, all = 0;

    do {
        count = eddy_next_batch(host->manager, events, EVENTS);
        for (size_t i = 0; i < count; i++)
            take(host, &events[i]);
        eddy_release_batch(host->manager, events, count);
        all += count;
    } while (count == EVENTS);
    return all;
}

/** A poll takes so many datagrams at most, and a tick of many clients has more. */
static void poll_all(struct host *host)
{
    uint64_t now_ns;

    for (int i = 0; i < POLLS_MAX; i++) {
        now_ns = eddy_now_ns();
        if (eddy_poll(host->manager, now_ns) > now_ns)
            return;
    }
}

static void poll_host(void *context, uint32_t wait_ms)
{
    struct host *host = context;
    eddy_event event;

    if (!host->pump) {
        if (wait_ms > 0)
            eddy_wait(host->manager, wait_ms);
        poll_all(host);
        take_events(host);
        return;
    }
    if (take_events(host) > 0 || wait_ms == 0)
        return;
    if (eddy_next(host->manager, &event, wait_ms) != EDDY_OK)
        return;
    take(host, &event);
    eddy_release(host->manager, &event);
    take_events(host);
}

static bool send_to(void *context, uint32_t peer, bool reliable, const void *data, size_t size)
{
    struct host *host = context;

    return eddy_send(host->manager, host->peers[peer],
                     reliable ? EDDY_RELIABLE_ORDERED : EDDY_UNRELIABLE, 0, data, size) == EDDY_OK;
}

static uint32_t send_many(void *context, uint32_t peer, bool reliable, const void *data,
                          size_t size, uint32_t count)
{
    struct host *host = context;
    ED_UNCLEARED eddy_message messages[MESSAGES];
    uint32_t went = 0, now = 0, took = 0;

    for (; went < count && took == now; went += took) {
        now = (uint32_t)ed_min_size(count - went, MESSAGES);
        for (uint32_t i = 0; i < now; i++)
            messages[i] =
                (eddy_message){.connection = host->peers[peer],
                               .guarantee = reliable ? EDDY_RELIABLE_ORDERED : EDDY_UNRELIABLE,
                               .data = (const uint8_t *)data + (went + i) * size,
                               .size = size};
        took = (uint32_t)eddy_send_batch(host->manager, messages, now, NULL);
    }
    return went;
}

static void flush(void *context)
{
    struct host *host = context;

    if (!host->pump)
        eddy_flush(host->manager, eddy_now_ns());
}

static uint32_t connected(void *context)
{
    struct host *host = context;

    return host->known - host->left;
}

static void close_host(void *context)
{
    struct host *host = context;

    eddy_close(host->manager, 0);
    free_host(host);
}

/** Defines a system of that kind. */
#define ED_BENCH_EDDY(SYMBOL, NAME, HELP, CIPHER, PUMP, WITHOUT_OFFLOAD)                           \
    static void *listen_##SYMBOL(uint32_t clients, const ed_bench_sink *sink, uint16_t *port)      \
    {                                                                                              \
        return listen_as(CIPHER, PUMP, WITHOUT_OFFLOAD, clients, sink, port);                      \
    }                                                                                              \
    static void *dial_##SYMBOL(uint16_t port, const ed_bench_sink *sink)                           \
    {                                                                                              \
        return dial_as(CIPHER, PUMP, WITHOUT_OFFLOAD, port, sink);                                 \
    }                                                                                              \
    const ed_bench_system SYMBOL = {.name = (NAME),                                                \
                                    .help = (HELP),                                                \
                                    .listen = listen_##SYMBOL,                                     \
                                    .dial = dial_##SYMBOL,                                         \
                                    .connected = connected,                                        \
                                    .send = send_to,                                               \
                                    .send_many = send_many,                                        \
                                    .flush = flush,                                                \
                                    .poll = poll_host,                                             \
                                    .close = close_host}

ED_BENCH_EDDY(ed_bench_eddy, "eddy", "polled, the best cipher that the CPU has", EDDY_CIPHER_BEST,
              false, false);
ED_BENCH_EDDY(ed_bench_eddy_chacha20, "eddy-chacha20", "polled, ChaCha20-Poly1305",
              EDDY_CIPHER_CHACHA20, false, false);
ED_BENCH_EDDY(ed_bench_eddy_plain, "eddy-plain", "polled, without GSO and GRO", EDDY_CIPHER_BEST,
              false, true);
ED_BENCH_EDDY(ed_bench_eddy_pump, "eddy-pump", "with the thread of its own", EDDY_CIPHER_BEST, true,
              false);
