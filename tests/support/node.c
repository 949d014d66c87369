/** One manager of a cluster: what it sends, and what it takes. */
#include <stdlib.h>

#include "tests/support/check.h"
#include "tests/support/cluster.h"
#include "tests/support/keys.h"

enum { PPM = 1000 * 1000 };

eddy_config ed_cluster_client_config(void)
{
    eddy_config config = eddy_config_default();

    config.pump = false;
    config.cipher = EDDY_CIPHER_CHACHA20; // the same on every machine
    return config;
}

eddy_config ed_cluster_server_config(void)
{
    eddy_config config = ed_cluster_client_config();

    config.accept = true;
    config.secret_key = ed_test_secret();
    return config;
}

static uint32_t number_of(const ed_node *node)
{
    return (uint32_t)(node - node->cluster->nodes);
}

static ed_endpoint *add_endpoint(ed_node *node, eddy_connection handle, bool incoming)
{
    CHECK(node->cluster->name, node->endpoint_count < ED_NODE_ENDPOINTS_MAX);
    ed_endpoint *endpoint = &node->endpoints[node->endpoint_count++];
    ed_endpoint_init(endpoint, &node->cluster->oracle, number_of(node), handle, incoming,
                     node->cluster->sizes);
    return endpoint;
}

static ed_endpoint *find_endpoint(ed_node *node, eddy_connection handle)
{
    for (size_t i = node->endpoint_count; i > node->earlier_count; i--)
        if (node->endpoints[i - 1].handle == handle)
            return &node->endpoints[i - 1];
    return NULL;
}

/** So that the trace of the world holds what the programs saw. */
static void note_event(const ed_node *node, const eddy_event *event)
{
    uint8_t note[] = {(uint8_t)event->type, 0, 0, 0};

    if (event->type == EDDY_MESSAGE) {
        note[1] = (uint8_t)event->message.size;
        note[2] = (uint8_t)(event->message.size >> 8);
        note[3] = event->message.stream;
    } else if (event->type == EDDY_RECEIPT) {
        note[1] = (uint8_t)event->receipt.outcome;
        note[2] = (uint8_t)event->receipt.receipt;
    } else if (event->type == EDDY_DISCONNECTED) {
        note[1] = (uint8_t)event->disconnected.end;
    }
    ed_world_note(node->cluster->world, note, sizeof(note));
}

/** Whether it may be the first of an incoming connection. */
static bool begins_connection(const eddy_event *event)
{
    return event->type == EDDY_CONNECT_REQUEST ||
           (event->type == EDDY_CONNECTED && event->connected.incoming);
}

/** Whether it says what became of its messages: not if it could not even be begun. */
static bool has_begun(const ed_endpoint *endpoint)
{
    return endpoint->connected ||
           (endpoint->end.end != EDDY_END_MEMORY && endpoint->end.end != EDDY_END_DUPLICATE);
}

static void take_event(ed_node *node, eddy_event *event)
{
    ed_endpoint *endpoint = find_endpoint(node, event->connection);

    if (endpoint == NULL && begins_connection(event))
        endpoint = add_endpoint(node, event->connection, true);
    CHECK(node->cluster->name, endpoint != NULL);
    note_event(node, event);
    ed_endpoint_take(endpoint, event, ed_cluster_now_ns(node->cluster));
    if (event->type == EDDY_CONNECT_REQUEST)
        node->decide(node, endpoint, &event->request);
    // Who reads at once cannot have sent anything after the end: all receipts came before it.
    if (event->type == EDDY_DISCONNECTED && !node->has_paused && has_begun(endpoint))
        CHECK_EQ(node->cluster->name, endpoint->receipts_told, endpoint->receipts_wanted);
    eddy_release(node->manager, event);
}

/** @return whether there was any event. */
static bool read_events(ed_node *node)
{
    eddy_event event;
    eddy_status status = EDDY_OK;
    bool any = false;

    while ((status = eddy_next(node->manager, &event, 0)) == EDDY_OK) {
        CHECK(node->cluster->name, !node->is_over);
        take_event(node, &event);
        any = true;
    }
    node->is_over = status == EDDY_ECLOSED;
    return any;
}

void ed_node_read(ed_node *node)
{
    if (read_events(node))
        ed_world_touch(node->cluster->world, node->host);
}

static void check_memory(const ed_node *node)
{
    uint64_t size = node->memory.live_size;

    if (node->memory_max != 0 && size > node->memory_max)
        CHECK_EQ(node->cluster->name, size, node->memory_max);
}

/** What its clock says at a time of the world. */
static uint64_t clock_at(const ed_node *node, uint64_t world_ns)
{
    int64_t gained_ns = (int64_t)world_ns * node->clock_fast_ppm / PPM;

    return node->clock_ahead_ns + world_ns + (uint64_t)gained_ns;
}

/** From when on its clock says `clock_ns`. */
static uint64_t world_when(const ed_node *node, uint64_t clock_ns)
{
    if (clock_ns == UINT64_MAX)
        return UINT64_MAX;
    uint64_t elapsed_ns = clock_ns - node->clock_ahead_ns;
    int64_t gained_ns = (int64_t)elapsed_ns * node->clock_fast_ppm / (PPM + node->clock_fast_ppm);
    uint64_t world_ns = elapsed_ns - (uint64_t)gained_ns;

    while (clock_at(node, world_ns) < clock_ns)
        world_ns++;
    return world_ns;
}

uint64_t ed_node_now_ns(const ed_node *node)
{
    return clock_at(node, ed_cluster_now_ns(node->cluster));
}

static uint64_t run(void *context, uint64_t world_ns)
{
    ed_node *node = context;
    uint64_t now_ns = clock_at(node, world_ns);
    uint64_t next_ns = eddy_poll(node->manager, now_ns);

    check_memory(node);
    node->has_paused |= !node->is_reading;
    // What is given back may let the peer go on: it is told at once.
    while (node->is_reading && read_events(node))
        next_ns = eddy_poll(node->manager, now_ns);
    check_memory(node);
    return world_when(node, next_ns);
}

/* ------------------------------------------------------------------------------- the socket -- */

static size_t socket_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    const ed_node *node = context;

    return node->wire.receive(node->wire.context, datagrams, count);
}

static size_t socket_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    ed_node *node = context;

    for (size_t i = 0; i < count && !node->is_blocked; i++) {
        if (node->largest == 0 || datagrams[i].size <= node->largest)
            (void)node->wire.send(node->wire.context, &datagrams[i], 1);
        else
            node->big = datagrams[i];
    }
    return node->is_blocked ? 0 : count;
}

static size_t socket_too_big(void *context, eddy_datagram *datagrams, size_t count)
{
    ed_node *node = context;

    if (node->big.size == 0 || count == 0)
        return 0;
    datagrams[0] = node->big;
    node->big.size = 0;
    return 1;
}

static eddy_address socket_local(void *context)
{
    const ed_node *node = context;

    return node->wire.local(node->wire.context);
}

static void socket_stats(void *context, eddy_socket_stats *stats)
{
    const ed_node *node = context;

    node->wire.stats(node->wire.context, stats);
}

static void socket_close(void *context)
{
    const ed_node *node = context;

    node->wire.close(node->wire.context);
}

/** The world's socket, unless it is blocked. */
static void open_socket(ed_node *node)
{
    node->host = ed_world_socket(node->cluster->world, &node->address, &node->wire);
    CHECK(node->cluster->name, node->host != NULL);
    node->socket = node->wire; // with all that it cannot do
    node->socket.context = node;
    node->socket.receive = socket_receive;
    node->socket.send = socket_send;
    node->socket.local = socket_local;
    node->socket.too_big = socket_too_big;
    node->socket.stats = node->wire.stats == NULL ? NULL : socket_stats;
    node->socket.close = socket_close;
}

/* ------------------------------------------------------------------------------------ life -- */

eddy_status ed_node_start(ed_node *node)
{
    ed_world *world = node->cluster->world;

    ED_ASSERT(node->manager == NULL);
    open_socket(node);
    node->entropy = ed_world_entropy(world, node->host);
    node->config.socket = &node->socket;
    node->config.entropy = &node->entropy;
    node->config.allocator = &node->memory.allocator;
    eddy_status status = eddy_open(&node->manager, &node->config);
    if (status != EDDY_OK) {
        node->socket.close(node->socket.context);
        return status;
    }
    node->is_over = false;
    node->earlier_count = node->endpoint_count;
    ed_world_attach(world, node->host, run, node);
    return EDDY_OK;
}

void ed_node_crash(ed_node *node)
{
    eddy_stats stats = ed_node_stats(node);

    ed_stats_add(&node->earlier, &stats);
    if (node->manager != NULL)
        (void)eddy_close(node->manager, 0);
    node->manager = NULL;
    CHECK_EQ(node->cluster->name, node->memory.live_count, 0);
}

void ed_node_move(ed_node *node, const eddy_address *address)
{
    CHECK_EQ(node->cluster->name, ed_world_move(node->cluster->world, node->host, address),
             EDDY_OK);
    node->address = *address;
}

/** @return the end of a connection that is being dialled; NULL if it is not. */
static ed_endpoint *note_dialled(ed_node *node, eddy_status status, eddy_connection handle)
{
    if (status != EDDY_OK)
        return NULL;
    ed_world_touch(node->cluster->world, node->host);
    return add_endpoint(node, handle, false);
}

ed_endpoint *ed_node_try_connect_with(ed_node *node, const ed_node *to,
                                      const eddy_connect_options *options)
{
    eddy_connection handle = 0;
    eddy_status status = eddy_connect_address(node->manager, &to->address, options, &handle);

    return note_dialled(node, status, handle);
}

ed_endpoint *ed_node_try_connect_name(ed_node *node, const char *host_port,
                                      const eddy_connect_options *options)
{
    eddy_connection handle = 0;
    eddy_status status = eddy_connect_with(node->manager, host_port, options, &handle);

    return note_dialled(node, status, handle);
}

ed_endpoint *ed_node_try_connect(ed_node *node, const ed_node *to)
{
    return ed_node_try_connect_with(node, to, ed_test_options());
}

bool ed_node_try_connect_pair(ed_node *node, ed_endpoint *ends[2])
{
    eddy_connection handles[2];

    if (eddy_connect_pair(node->manager, &handles[0], &handles[1]) != EDDY_OK)
        return false;
    for (size_t i = 0; i < 2; i++)
        ends[i] = add_endpoint(node, handles[i], i == 1);
    ends[0]->peer = ends[1];
    ends[1]->peer = ends[0];
    ed_world_touch(node->cluster->world, node->host);
    return true;
}

ed_endpoint *ed_node_connect(ed_node *node, const ed_node *to)
{
    ed_endpoint *endpoint = ed_node_try_connect(node, to);

    CHECK(node->cluster->name, endpoint != NULL);
    return endpoint;
}

/** Room for a message. */
static uint8_t *data_of(ed_cluster *cluster, size_t size)
{
    if (size > cluster->data_capacity || cluster->data == NULL) {
        free(cluster->data);
        cluster->data_capacity = size + EDDY_PIECE_SIZE_MAX;
        cluster->data = malloc(cluster->data_capacity);
        CHECK(cluster->name, cluster->data != NULL);
    }
    return cluster->data;
}

eddy_status ed_node_send_parcel(ed_node *node, ed_endpoint *endpoint, const ed_parcel *parcel)
{
    ed_note note = ed_endpoint_next_note(endpoint, parcel);
    eddy_send_options options = ed_endpoint_options(endpoint, parcel, &note);
    uint8_t *data = data_of(node->cluster, note.size);

    ed_ledger_write(&endpoint->ledger, parcel->guarantee, parcel->stream, &note, data);
    eddy_status status = eddy_send_with(node->manager, endpoint->handle, parcel->guarantee,
                                        parcel->stream, data, note.size, &options);
    if (status == EDDY_EAGAIN)
        ed_endpoint_on_refused(endpoint);
    if (status == EDDY_OK)
        ed_endpoint_on_sent(endpoint, parcel->guarantee, parcel->stream, &note);
    ed_world_touch(node->cluster->world, node->host); // who was refused waits to be told
    return status;
}

eddy_status ed_node_send(ed_node *node, ed_endpoint *endpoint, eddy_guarantee guarantee,
                         uint8_t stream)
{
    ed_parcel parcel = {.guarantee = guarantee, .stream = stream, .size = ED_SIZE_DRAWN};

    return ed_node_send_parcel(node, endpoint, &parcel);
}

size_t ed_node_broadcast(ed_node *node, eddy_guarantee guarantee, size_t size)
{
    eddy_connection to[ED_NODE_ENDPOINTS_MAX];
    eddy_status statuses[ED_NODE_ENDPOINTS_MAX];
    ed_endpoint *endpoints = node->endpoints + node->earlier_count;
    size_t count = node->endpoint_count - node->earlier_count;
    ed_note note = {.size = (uint32_t)size, .number = node->broadcasts++, .is_broadcast = true};
    uint8_t *data = data_of(node->cluster, size);

    ED_ASSERT(size >= ED_NOTE_HEADER_SIZE);
    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        to[i] = endpoints[i].handle;
    ed_ledger_write(&endpoints[0].ledger, guarantee, ED_BROADCAST_STREAM, &note, data);
    size_t accepted = eddy_broadcast(node->manager, to, count, guarantee, ED_BROADCAST_STREAM, data,
                                     size, statuses);
    for (size_t i = 0; i < count; i++) {
        if (statuses[i] == EDDY_OK)
            ed_endpoint_on_sent(&endpoints[i], guarantee, ED_BROADCAST_STREAM, &note);
        if (statuses[i] == EDDY_EAGAIN)
            ed_endpoint_on_refused(&endpoints[i]);
    }
    ed_world_touch(node->cluster->world, node->host);
    return accepted;
}

void ed_node_set_stream(ed_node *node, const ed_endpoint *endpoint, uint8_t stream,
                        const eddy_stream_options *options)
{
    CHECK_EQ(node->cluster->name, eddy_set_stream(node->manager, endpoint->handle, stream, options),
             EDDY_OK);
    ed_world_touch(node->cluster->world, node->host);
}

void ed_node_rebind(ed_node *node)
{
    eddy_address address = node->address;

    address.port++;
    ed_node_move(node, &address);
}

void ed_node_send_many(ed_node *node, ed_endpoint *endpoint, eddy_guarantee guarantee,
                       uint8_t stream, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(node->cluster->name, ed_node_send(node, endpoint, guarantee, stream), EDDY_OK);
}

void ed_node_disconnect(ed_node *node, ed_endpoint *endpoint, uint32_t code, const char *reason,
                        uint32_t flush_ms)
{
    CHECK_EQ(node->cluster->name,
             eddy_disconnect(node->manager, endpoint->handle, code, reason, flush_ms), EDDY_OK);
    ed_world_touch(node->cluster->world, node->host);
}

void ed_node_shutdown(ed_node *node, uint32_t flush_ms)
{
    eddy_shutdown(node->manager, flush_ms);
    ed_world_touch(node->cluster->world, node->host);
}

eddy_stats ed_node_stats(const ed_node *node)
{
    eddy_stats stats = {0};

    if (node->manager != NULL)
        eddy_get_stats(node->manager, &stats);
    return stats;
}

ed_endpoint *ed_node_newest(ed_node *node)
{
    return node->endpoint_count == 0 ? NULL : &node->endpoints[node->endpoint_count - 1];
}

bool ed_node_is_live(const ed_node *node, const ed_endpoint *endpoint)
{
    size_t index = (size_t)(endpoint - node->endpoints);

    return node->manager != NULL && index >= node->earlier_count && !endpoint->disconnected;
}
