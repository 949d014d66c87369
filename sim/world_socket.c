/** The sockets of a world: from a manager's send to a link, and from a link to its receive. */
#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "sim/world.h"
#include "sim/world_state.h"

ed_host *ed_world_host_at(const ed_world *world, const eddy_address *address)
{
    uint32_t index = 0;

    if (!ed_map_get(world->addresses, address, &index))
        return NULL;
    ED_ASSERT(index < world->host_count);
    return world->hosts[index];
}

static uint64_t trace_address(uint64_t trace, const eddy_address *address)
{
    trace = ed_mix_bytes(trace, address->ip, sizeof address->ip);
    trace = ed_mix_u64(trace, address->scope);
    return ed_mix_u64(trace, (uint64_t)address->family << 16 | address->port);
}

static void trace_datagram(ed_world *world, const eddy_datagram *datagram)
{
    uint64_t trace = ed_mix_u64(world->trace, world->now_ns);

    trace = trace_address(trace, &datagram->local);
    trace = trace_address(trace, &datagram->remote);
    trace = ed_mix_u64(trace, datagram->ecn);
    world->trace = ed_mix_bytes(trace, datagram->data, datagram->size);
}

/** Puts a datagram, in the sender's view, on its link, in the receiver's view. */
static void route(ed_host *host, const eddy_datagram *sent)
{
    ed_world *world = host->world;
    ed_host *to = ed_world_host_at(world, &sent->remote);
    if (to == NULL) {
        world->stats.no_host++;
        return;
    }
    uint32_t index = ed_world_pair_index(world, host, to);
    if (index == UINT32_MAX) {
        host->stats.no_buffers++;
        return;
    }

    eddy_datagram arriving = *sent;
    arriving.remote = sent->local;
    arriving.local = sent->remote;
    if (ed_link_push(world->pairs[index].link, &arriving, world->now_ns))
        ed_world_schedule_pair(world, index);
}

static void send_one(ed_host *host, const eddy_datagram *datagram)
{
    ed_world *world = host->world;
    if (datagram->size > ED_DATAGRAM_SIZE_MAX) {
        host->stats.too_big++;
        return;
    }

    eddy_datagram sent = *datagram;
    sent.local = host->address;
    host->stats.sent_datagrams++;
    host->stats.sent_bytes += sent.size;
    trace_datagram(world, &sent);
    if (world->observer != NULL && world->observer(world->observer_context, &sent, world->now_ns))
        world->stats.observer_dropped++;
    else
        route(host, &sent);
}

bool ed_world_forge(ed_world *world, const eddy_datagram *datagram)
{
    ed_host *host = ed_world_host_at(world, &datagram->local);

    ED_ASSERT(datagram->size <= ED_DATAGRAM_SIZE_MAX);
    if (host == NULL)
        return false;
    trace_datagram(world, datagram);
    route(host, datagram);
    return true;
}

static size_t socket_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    ed_host *host = context;

    ED_ASSERT(!host->closed);
    host->stats.sent_calls++;
    for (size_t i = 0; i < count; i++)
        send_one(host, &datagrams[i]);
    return count;
}

static size_t socket_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    ed_host *host = context;
    uint64_t arrived_ns = 0;
    size_t taken = 0;

    ED_ASSERT(!host->closed);
    ed_flight_recycle(host->inbox);
    while (taken < count &&
           ed_flight_take(host->inbox, host->world->now_ns, &datagrams[taken], &arrived_ns))
        host->stats.received_bytes += datagrams[taken++].size;
    host->stats.received_datagrams += taken;
    host->stats.received_calls++;
    return taken;
}

static eddy_address socket_local(void *context)
{
    const ed_host *host = context;

    return host->address;
}

static void socket_stats(void *context, eddy_socket_stats *stats)
{
    const ed_host *host = context;

    *stats = host->stats;
}

static void socket_close(void *context)
{
    ed_host *host = context;

    ED_ASSERT(!host->closed);
    bool removed = ed_map_remove(host->world->addresses, &host->address);
    ED_ASSERT(removed);
    ed_world_attach(host->world, host, NULL, NULL);
    host->closed = true;
}

/** @return a host without an address, not yet in the world; NULL out of memory. */
static ed_host *make_host(ed_world *world)
{
    ed_host *host = ed_alloc_zeroed(world->allocator, sizeof *host);
    if (host == NULL)
        return NULL;

    host->world = world;
    host->index = world->host_count;
    host->entropy = ed_rng_of(ed_stream_key(world->seed, host->index, 0, ED_PURPOSE_ENTROPY));
    host->inbox = ed_flight_create(world->allocator);
    if (host->inbox == NULL) {
        ed_world_host_destroy(host);
        return NULL;
    }
    return host;
}

void ed_world_host_destroy(ed_host *host)
{
    ed_flight_destroy(host->inbox);
    ed_alloc_free(host->world->allocator, host, sizeof *host);
}

static bool can_bind(const ed_world *world, const eddy_address *address)
{
    return ed_addr_valid(address) && address->family != EDDY_FAMILY_NONE &&
           ed_world_host_at(world, address) == NULL;
}

ed_host *ed_world_socket(ed_world *world, const eddy_address *local, eddy_socket *socket)
{
    if (world->host_count == ED_WORLD_HOSTS_MAX || !can_bind(world, local))
        return NULL;
    ed_host *host = make_host(world);
    if (host == NULL)
        return NULL;
    if (ed_map_put(world->addresses, local, host->index) != EDDY_OK) {
        ed_world_host_destroy(host);
        return NULL;
    }

    host->address = *local;
    world->hosts[world->host_count++] = host;
    *socket = (eddy_socket){
        .context = host,
        .receive = socket_receive,
        .send = socket_send,
        .local = socket_local,
        .stats = socket_stats,
        .close = socket_close,
    };
    return host;
}

eddy_status ed_world_move(ed_world *world, ed_host *host, const eddy_address *address)
{
    ED_ASSERT(host->world == world && !host->closed);
    if (eddy_address_equal(&host->address, address))
        return EDDY_OK;
    if (!can_bind(world, address))
        return ed_world_host_at(world, address) == NULL ? EDDY_EADDRESS : EDDY_EINUSE;
    eddy_status status = ed_map_put(world->addresses, address, host->index);
    if (status != EDDY_OK)
        return status;

    bool removed = ed_map_remove(world->addresses, &host->address);
    ED_ASSERT(removed);
    host->address = *address;
    ed_world_apply_rules(world);
    return EDDY_OK;
}

void ed_world_host_deliver(ed_host *host, const eddy_datagram *datagram)
{
    ed_world *world = host->world;
    if (host->closed || !eddy_address_equal(&host->address, &datagram->local)) {
        world->stats.no_host++;
        return;
    }
    if (ed_flight_push(host->inbox, datagram, world->now_ns, host->inbox_ordinal++) == NULL) {
        world->stats.no_room++;
        return;
    }
    ed_world_touch(world, host);
}

static void entropy_fill(void *context, void *data, size_t size)
{
    ed_host *host = context;

    ed_rng_fill(&host->entropy, data, size);
}

eddy_entropy ed_world_entropy(ed_world *world, ed_host *host)
{
    ED_ASSERT(host->world == world);
    return (eddy_entropy){.context = host, .fill = entropy_fill};
}
