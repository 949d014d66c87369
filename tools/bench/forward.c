#include "tools/bench/forward.h"

#include "core/alloc.h"
#include "sim/conditioner.h"
#include "tools/bench/bench.h"
#include "transport/udp.h"

enum {
    BATCH = 64,
    PORTS = 1 << 16,
    ROUNDS_MAX = 16, /* batches of one poll and socket */
};

struct session {
    eddy_address client;
    ed_conditioner *conditioner;
    eddy_socket socket; /* the conditioner's */
};

struct ed_forward {
    eddy_address server;
    eddy_socket clients;
    ed_link_config path;
    uint64_t seed;
    uint32_t count;
    uint16_t by_port[PORTS]; /* a client's session, and 1 */
    struct session sessions[ED_BENCH_CLIENTS_MAX];
};

static eddy_address loopback(uint16_t port)
{
    return (eddy_address){.family = EDDY_FAMILY_IPV4, .ip = {127, 0, 0, 1}, .port = port};
}

ed_forward *ed_forward_open(uint16_t server_port, const ed_link_config *path, uint64_t seed)
{
    ed_forward *f = ed_alloc_zeroed(ed_alloc_default(), sizeof(*f));

    if (f == NULL)
        return NULL;
    f->server = loopback(server_port);
    f->path = *path;
    f->seed = seed;
    if (ed_udp_open(&f->clients, ed_alloc_default(), "127.0.0.1:0", NULL) == EDDY_OK)
        return f;
    ed_alloc_free(ed_alloc_default(), f, sizeof(*f));
    return NULL;
}

void ed_forward_close(ed_forward *forward)
{
    if (forward == NULL)
        return;
    for (uint32_t i = 0; i < forward->count; i++) {
        forward->sessions[i].socket.close(forward->sessions[i].socket.context);
        ed_conditioner_destroy(forward->sessions[i].conditioner);
    }
    forward->clients.close(forward->clients.context);
    ed_alloc_free(ed_alloc_default(), forward, sizeof(*forward));
}

uint16_t ed_forward_port(const ed_forward *forward)
{
    return forward->clients.local(forward->clients.context).port;
}

bool ed_forward_set_path(ed_forward *forward, const ed_link_config *path)
{
    bool is_set = true;

    forward->path = *path;
    for (uint32_t i = 0; i < forward->count; i++)
        for (int side = ED_CONDITIONER_OUT; side <= ED_CONDITIONER_IN; side++) {
            ed_link *link =
                ed_conditioner_link(forward->sessions[i].conditioner, (ed_conditioner_side)side);
            is_set &= ed_link_set_config(link, path) == EDDY_OK;
        }
    return is_set;
}

/** @return the session of a newcomer, or NULL: no room, no memory, no socket. */
static struct session *add_session(ed_forward *f, const eddy_address *client)
{
    struct session *s = &f->sessions[f->count];
    eddy_socket inner;

    if (f->count == ED_BENCH_CLIENTS_MAX ||
        ed_udp_open(&inner, ed_alloc_default(), "127.0.0.1:0", NULL) != EDDY_OK)
        return NULL;
    s->conditioner = ed_conditioner_create(ed_alloc_default(), &inner, &f->path, &f->path,
                                           f->seed + f->count, NULL);
    if (s->conditioner == NULL) {
        inner.close(inner.context);
        return NULL;
    }
    s->client = *client;
    s->socket = ed_conditioner_socket(s->conditioner);
    f->by_port[client->port] = (uint16_t)(++f->count);
    return s;
}

static void go_up(ed_forward *f, const eddy_datagram *datagram)
{
    uint16_t known = f->by_port[datagram->remote.port];
    struct session *s = known > 0 ? &f->sessions[known - 1] : add_session(f, &datagram->remote);
    eddy_datagram up = {.remote = f->server, .data = datagram->data, .size = datagram->size};

    if (s != NULL) // else it is lost, and who misses it says so
        s->socket.send(s->socket.context, &up, 1);
}

static void go_down(ed_forward *f, struct session *s)
{
    eddy_datagram batch[BATCH];
    size_t count = BATCH;

    for (int round = 0; round < ROUNDS_MAX && count == BATCH; round++) {
        count = s->socket.receive(s->socket.context, batch, BATCH);
        for (size_t i = 0; i < count; i++) {
            eddy_datagram down = {
                .remote = s->client, .data = batch[i].data, .size = batch[i].size};
            f->clients.send(f->clients.context, &down, 1);
        }
    }
}

void ed_forward_poll(ed_forward *forward)
{
    eddy_datagram batch[BATCH];
    size_t count = BATCH;

    for (int round = 0; round < ROUNDS_MAX && count == BATCH; round++) {
        count = forward->clients.receive(forward->clients.context, batch, BATCH);
        for (size_t i = 0; i < count; i++)
            go_up(forward, &batch[i]);
    }
    for (uint32_t i = 0; i < forward->count; i++)
        go_down(forward, &forward->sessions[i]);
}
