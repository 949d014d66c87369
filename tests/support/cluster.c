#include "tests/support/cluster.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/addr.h"
#include "sim/random.h"
#include "tests/support/check.h"

enum {
    PORT = 4000,
    CONNECT_LIMIT_S = 5,
    LOOK_EVERY_MS = 10, /* comparing all counts after every step would cost more than the steps */
};

/* ------------------------------------------------------------------------------------- nodes -- */

eddy_config ed_cluster_client_config(void)
{
    eddy_config config = eddy_config_default();

    config.pump = false;
    return config;
}

eddy_config ed_cluster_server_config(void)
{
    eddy_config config = ed_cluster_client_config();

    config.accept = true;
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

static void take_event(ed_node *node, eddy_event *event)
{
    ed_endpoint *endpoint = find_endpoint(node, event->connection);

    if (event->type == EDDY_CONNECTED && event->connected.incoming) {
        CHECK(node->cluster->name, endpoint == NULL);
        endpoint = add_endpoint(node, event->connection, true);
    }
    CHECK(node->cluster->name, endpoint != NULL);
    note_event(node, event);
    ed_endpoint_take(endpoint, event, ed_cluster_now_ns(node->cluster));
    // Who reads at once cannot have sent anything after the end: all receipts came before it.
    if (event->type == EDDY_DISCONNECTED && !node->has_paused)
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

static uint64_t run(void *context, uint64_t now_ns)
{
    ed_node *node = context;
    uint64_t next_ns = eddy_poll(node->manager, now_ns);

    check_memory(node);
    node->has_paused |= !node->is_reading;
    // What is given back may let the peer go on: it is told at once.
    while (node->is_reading && read_events(node))
        next_ns = eddy_poll(node->manager, now_ns);
    check_memory(node);
    return next_ns;
}

eddy_status ed_node_start(ed_node *node)
{
    ed_world *world = node->cluster->world;

    ED_ASSERT(node->manager == NULL);
    node->host = ed_world_socket(world, &node->address, &node->socket);
    CHECK(node->cluster->name, node->host != NULL);
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

static void add_stats(eddy_stats *total, const eddy_stats *stats)
{
#define X(name, text) total->name += stats->name;
    EDDY_STATS_MAP(X)
#undef X
}

void ed_node_crash(ed_node *node)
{
    eddy_stats stats = ed_node_stats(node);

    add_stats(&node->earlier, &stats);
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

ed_endpoint *ed_node_try_connect(ed_node *node, const ed_node *to)
{
    eddy_connection handle = 0;

    if (eddy_connect_address(node->manager, &to->address, &handle) != EDDY_OK)
        return NULL;
    ed_world_touch(node->cluster->world, node->host);
    return add_endpoint(node, handle, false);
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

/* ----------------------------------------------------------------------------------- cluster -- */

void ed_cluster_open(ed_cluster *cluster, const char *name, uint64_t seed)
{
    *cluster = (ed_cluster){
        .name = name, .oracle.name = name, .sizes = {.min = 0, .max = EDDY_PIECE_SIZE_MAX}};
    cluster->world = ed_world_create(ed_alloc_default(), seed);
    CHECK(name, cluster->world != NULL);
}

void ed_cluster_close(ed_cluster *cluster)
{
    for (size_t i = 0; i < cluster->node_count; i++) {
        ed_node_crash(&cluster->nodes[i]);
        for (size_t e = 0; e < cluster->nodes[i].endpoint_count; e++)
            ed_endpoint_free(&cluster->nodes[i].endpoints[e]);
        free(cluster->nodes[i].endpoints);
    }
    free(cluster->data);
    ed_world_destroy(cluster->world);
}

ed_node *ed_cluster_add(ed_cluster *cluster, const eddy_config *config)
{
    CHECK(cluster->name, cluster->node_count < ED_CLUSTER_NODES_MAX);
    ed_node *node = &cluster->nodes[cluster->node_count++];

    *node = (ed_node){.cluster = cluster,
                      .config = *config,
                      .address = ed_addr_ipv4(10, 0, 0, (uint8_t)cluster->node_count, PORT),
                      .is_reading = true};
    node->endpoints = calloc(ED_NODE_ENDPOINTS_MAX, sizeof(*node->endpoints));
    CHECK(cluster->name, node->endpoints != NULL);
    ed_counting_alloc_init(&node->memory, NULL);
    CHECK_EQ(cluster->name, ed_node_start(node), EDDY_OK);
    return node;
}

void ed_cluster_add_pair(ed_cluster *cluster, const eddy_config *server, const eddy_config *client)
{
    const ed_node *to = ed_cluster_add(cluster, server);
    ed_node *from = ed_cluster_add(cluster, client);
    const ed_endpoint *endpoint = ed_node_connect(from, to);

    ed_cluster_await_connected(cluster, endpoint, CONNECT_LIMIT_S * ED_NS_PER_S);
    // The server is connected when the client's first packet has come.
    while (to->endpoint_count == 0)
        CHECK(cluster->name, ed_world_step(cluster->world));
}

uint64_t ed_cluster_now_ns(const ed_cluster *cluster)
{
    return ed_world_now_ns(cluster->world);
}

void ed_cluster_run_for(ed_cluster *cluster, uint64_t duration_ns)
{
    ed_world_run_until(cluster->world, ed_cluster_now_ns(cluster) + duration_ns);
}

bool ed_cluster_run_until(ed_cluster *cluster, bool (*is_done)(const void *context),
                          const void *context, uint64_t limit_ns)
{
    uint64_t until_ns = ed_cluster_now_ns(cluster) + limit_ns;

    while (!is_done(context)) {
        if (ed_world_next_ns(cluster->world) > until_ns)
            return false;
        (void)ed_world_step(cluster->world);
    }
    return true;
}

static bool has_connected(const void *context)
{
    const ed_endpoint *endpoint = context;

    return endpoint->connected || endpoint->disconnected;
}

static bool has_disconnected(const void *context)
{
    return ((const ed_endpoint *)context)->disconnected;
}

void ed_cluster_await_connected(ed_cluster *cluster, const ed_endpoint *endpoint, uint64_t limit_ns)
{
    CHECK(cluster->name, ed_cluster_run_until(cluster, has_connected, endpoint, limit_ns));
    CHECK(cluster->name, endpoint->connected);
}

void ed_cluster_await_disconnected(ed_cluster *cluster, const ed_endpoint *endpoint,
                                   uint64_t limit_ns)
{
    CHECK(cluster->name, ed_cluster_run_until(cluster, has_disconnected, endpoint, limit_ns));
}

bool ed_node_is_live(const ed_node *node, const ed_endpoint *endpoint)
{
    size_t index = (size_t)(endpoint - node->endpoints);

    return node->manager != NULL && index >= node->earlier_count && !endpoint->disconnected;
}

ed_node *ed_cluster_node_of(ed_cluster *cluster, const ed_endpoint *endpoint)
{
    ED_ASSERT(endpoint->node < cluster->node_count);
    return &cluster->nodes[endpoint->node];
}

static bool has_live_peer(const ed_cluster *cluster, const ed_endpoint *endpoint)
{
    const ed_endpoint *peer = endpoint->peer;

    return peer != NULL && ed_node_is_live(&cluster->nodes[peer->node], peer);
}

static bool is_delivered(const ed_node *node, const ed_endpoint *from)
{
    if (!ed_node_is_live(node, from) || !ed_endpoint_owes(from))
        return true;
    return from->peer != NULL && from->peer->disconnected;
}

bool ed_cluster_all_delivered(const ed_cluster *cluster)
{
    for (size_t n = 0; n < cluster->node_count; n++)
        for (size_t i = 0; i < cluster->nodes[n].endpoint_count; i++)
            if (!is_delivered(&cluster->nodes[n], &cluster->nodes[n].endpoints[i]))
                return false;
    return true;
}

static void print_endpoint(const ed_node *node, const ed_endpoint *endpoint)
{
    (void)printf("node %u, %s %u%s%s: owes %llu%s, sent %llu reliable, refused %llu times%s\n",
                 endpoint->node, endpoint->incoming ? "from" : "to",
                 endpoint->peer == NULL ? UINT32_MAX : endpoint->peer->node,
                 endpoint->connected ? "" : ", not connected", node->is_reading ? "" : ", unread",
                 (unsigned long long)endpoint->owed, ed_endpoint_owes(endpoint) ? "!" : "",
                 (unsigned long long)endpoint->reliable_sent,
                 (unsigned long long)endpoint->refusals,
                 endpoint->awaits_writable ? ", and waits" : "");
}

void ed_cluster_print(const ed_cluster *cluster)
{
    for (size_t n = 0; n < cluster->node_count; n++)
        for (size_t i = 0; i < cluster->nodes[n].endpoint_count; i++)
            if (ed_node_is_live(&cluster->nodes[n], &cluster->nodes[n].endpoints[i]))
                print_endpoint(&cluster->nodes[n], &cluster->nodes[n].endpoints[i]);
}

void ed_cluster_await_delivered(ed_cluster *cluster, uint64_t limit_ns)
{
    uint64_t until_ns = ed_cluster_now_ns(cluster) + limit_ns;

    while (!ed_cluster_all_delivered(cluster)) {
        CHECK(cluster->name, ed_cluster_now_ns(cluster) < until_ns);
        ed_cluster_run_for(cluster, LOOK_EVERY_MS * ED_NS_PER_MS);
    }
}

void ed_cluster_check_settled(ed_cluster *cluster)
{
    ed_unheard unheard = {0};

    for (size_t n = 0; n < cluster->node_count; n++)
        for (size_t i = 0; i < cluster->nodes[n].endpoint_count; i++) {
            const ed_endpoint *endpoint = &cluster->nodes[n].endpoints[i];
            if (ed_node_is_live(&cluster->nodes[n], endpoint) && has_live_peer(cluster, endpoint))
                ed_endpoint_check_settled(endpoint, &unheard);
        }
    eddy_stats stats = ed_cluster_stats(cluster);
    CHECK(cluster->name, unheard.sequenced <= stats.messages_stale);
    CHECK(cluster->name, unheard.unreliable <= stats.messages_stale + stats.messages_shed_received +
                                                   stats.messages_incomplete +
                                                   stats.dropped_memory);
}

static bool all_over(const void *context)
{
    const ed_cluster *cluster = context;

    for (size_t i = 0; i < cluster->node_count; i++)
        if (cluster->nodes[i].manager != NULL && !cluster->nodes[i].is_over)
            return false;
    return true;
}

void ed_cluster_shut_down(ed_cluster *cluster, uint32_t flush_ms, uint64_t limit_ns)
{
    for (size_t i = 0; i < cluster->node_count; i++)
        if (cluster->nodes[i].manager != NULL)
            ed_node_shutdown(&cluster->nodes[i], flush_ms);
    CHECK(cluster->name, ed_cluster_run_until(cluster, all_over, cluster, limit_ns));
    for (size_t n = 0; n < cluster->node_count; n++)
        for (size_t i = cluster->nodes[n].earlier_count; i < cluster->nodes[n].endpoint_count; i++)
            CHECK(cluster->name,
                  cluster->nodes[n].manager == NULL || cluster->nodes[n].endpoints[i].disconnected);
}

eddy_stats ed_cluster_stats(const ed_cluster *cluster)
{
    eddy_stats total = {0};

    for (size_t i = 0; i < cluster->node_count; i++) {
        eddy_stats stats = ed_node_stats(&cluster->nodes[i]);
        add_stats(&total, &stats);
        add_stats(&total, &cluster->nodes[i].earlier);
    }
    return total;
}
