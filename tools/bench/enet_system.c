/** ENet as a system to be measured, where its headers are. As its own examples use it. */
#include "core/alloc.h"
#include "tools/bench/bench.h"

#define HELP "ENet, its throttle off, in the clear"

#ifdef ED_HAVE_ENET
#include <enet/enet.h>

enum {
    CHANNELS = 2,
    RELIABLE_CHANNEL = 0,
    UNRELIABLE_CHANNEL = 1,
    /* The throttle drops what is not reliable where the round trip varies, as between two ticks. */
    THROTTLE_MS = 5000,
};

struct host {
    ENetHost *enet;
    const ed_bench_sink *sink;
    uint32_t known;
    uint32_t left;
    ENetPeer *peers[ED_BENCH_CLIENTS_MAX];
};

static struct host *open_host(const ENetAddress *address, size_t peers, const ed_bench_sink *sink)
{
    static bool is_ready;
    struct host *host = ed_alloc_zeroed(ed_alloc_default(), sizeof(*host));

    if (!is_ready && enet_initialize() != 0) {
        ed_alloc_free(ed_alloc_default(), host, sizeof(*host));
        return NULL;
    }
    is_ready = true;
    if (host == NULL)
        return NULL;
    host->sink = sink;
    host->enet = enet_host_create(address, peers, CHANNELS, 0, 0);
    if (host->enet == NULL) {
        ed_alloc_free(ed_alloc_default(), host, sizeof(*host));
        return NULL;
    }
    enet_socket_set_option(host->enet->socket, ENET_SOCKOPT_RCVBUF, ED_BENCH_KERNEL_BUFFER);
    enet_socket_set_option(host->enet->socket, ENET_SOCKOPT_SNDBUF, ED_BENCH_KERNEL_BUFFER);
    return host;
}

static void *listen_at(uint32_t clients, const ed_bench_sink *sink, uint16_t *port)
{
    ENetAddress address = {.host = ENET_HOST_TO_NET_32(0x7f000001), .port = 0};
    struct host *host = open_host(&address, clients, sink);

    if (host == NULL)
        return NULL;
    enet_socket_get_address(host->enet->socket, &address);
    *port = address.port;
    return host;
}

static void *dial(uint16_t port, const ed_bench_sink *sink)
{
    ENetAddress address = {.host = ENET_HOST_TO_NET_32(0x7f000001), .port = port};
    struct host *host = open_host(NULL, 1, sink);

    if (host == NULL)
        return NULL;
    if (enet_host_connect(host->enet, &address, CHANNELS, 0) != NULL)
        return host;
    enet_host_destroy(host->enet);
    ed_alloc_free(ed_alloc_default(), host, sizeof(*host));
    return NULL;
}

static void take(struct host *host, ENetEvent *event)
{
    switch (event->type) {
    case ENET_EVENT_TYPE_CONNECT:
        enet_peer_throttle_configure(event->peer, THROTTLE_MS, ENET_PEER_PACKET_THROTTLE_SCALE, 0);
        event->peer->data = (void *)(uintptr_t)host->known;
        host->peers[host->known++] = event->peer;
        break;
    case ENET_EVENT_TYPE_DISCONNECT:
        host->left++;
        break;
    case ENET_EVENT_TYPE_RECEIVE:
        host->sink->message(host->sink->context, (uint32_t)(uintptr_t)event->peer->data,
                            event->packet->data, event->packet->dataLength);
        enet_packet_destroy(event->packet);
        break;
    case ENET_EVENT_TYPE_NONE:
        break;
    }
}

static void poll_host(void *context, uint32_t wait_ms)
{
    struct host *host = context;
    ENetEvent event;

    while (enet_host_service(host->enet, &event, wait_ms) > 0) {
        take(host, &event);
        wait_ms = 0;
    }
}

static bool send_to(void *context, uint32_t peer, bool reliable, const void *data, size_t size)
{
    struct host *host = context;
    ENetPacket *packet =
        enet_packet_create(data, size, reliable ? (uint32_t)ENET_PACKET_FLAG_RELIABLE : 0);

    if (packet == NULL)
        return false;
    if (enet_peer_send(host->peers[peer], reliable ? RELIABLE_CHANNEL : UNRELIABLE_CHANNEL,
                       packet) == 0)
        return true;
    enet_packet_destroy(packet);
    return false;
}

static void flush(void *context)
{
    struct host *host = context;

    enet_host_flush(host->enet);
}

static uint32_t connected(void *context)
{
    struct host *host = context;

    return host->known - host->left;
}

static void close_host(void *context)
{
    struct host *host = context;

    enet_host_destroy(host->enet);
    ed_alloc_free(ed_alloc_default(), host, sizeof(*host));
}

const ed_bench_system ed_bench_enet = {.name = "enet",
                                       .help = HELP,
                                       .listen = listen_at,
                                       .dial = dial,
                                       .connected = connected,
                                       .send = send_to,
                                       .flush = flush,
                                       .poll = poll_host,
                                       .close = close_host};
#else
const ed_bench_system ed_bench_enet = {
    .name = "enet",
    .help = HELP,
    .missing = "it is not built in: install libenet-dev and build again"};
#endif
