/**
 * Managers in a virtual world, for the tests that laminar has. Messages are numbered, and what came
 * of them is counted: how many, which of them again, before an earlier one, or with other bytes.
 */
#ifndef ED_TEST_LAMINAR_BED_H
#define ED_TEST_LAMINAR_BED_H

#include "tests/support/check.h"

#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "sim/world.h"
#include "tests/support/keys.h"
#include "transport/limits.h"

enum {
    BED_NODES_MAX = 12,
    BED_NUMBERS_MAX = 1 << 17, /* messages of one node, all streams together */
    BED_LOG_MAX = 160,         /* events kept */
    BED_MESSAGE_SIZE_MAX = 70000,
    BED_PORT = 4000,
    BED_SETTLE_MS = 500, /* after connecting: no handshake or ack is still under way */
};

/** An event as it came. */
struct bed_entry {
    eddy_event_type type;
    eddy_connection connection;
    uint32_t number; /* of a message; of a receipt the outcome */
    size_t size;
    uint64_t at_ns;
};

struct bed_node {
    struct bed *bed;
    eddy_config config;
    ed_counting_alloc memory;
    eddy_socket socket;
    eddy_entropy entropy;
    eddy_address address;
    ed_host *host;
    eddy_manager *manager;
    eddy_connection connection; /* the newest */
    uint64_t tick_ns;           /* it polls so far apart; 0: whenever there is something to do */
    uint64_t next_tick_ns;
    bool is_reading; /* whether it takes its events as they come */

    uint32_t next_number;              /* of the next message that it sends */
    uint32_t event_count;              /* of all types */
    uint32_t count[EDDY_MOVED + 1];    /* of each */
    uint32_t twice;                    /* messages that came before */
    uint32_t backwards;                /* messages below one that came before on their stream */
    uint32_t damaged;                  /* messages with other bytes than were sent */
    uint32_t reach[EDDY_STREAM_COUNT]; /* one above the highest number that came */
    bool seen[BED_NUMBERS_MAX];        /* by number */
    struct bed_entry log[BED_LOG_MAX]; /* the first events */
    eddy_event_disconnected end;       /* of the connection that ended last */
    uint32_t guarantees[EDDY_RELIABLE_SEQUENCED + 1]; /* messages of each */
};

struct bed {
    const char *name; /* in front of every complaint */
    ed_world *world;
    struct bed_node node[BED_NODES_MAX];
    size_t node_count;
};

/* ---------------------------------------------------------------------------------- messages -- */

/** No two parts of a message are alike, nor the same parts of two messages. */
static inline uint8_t bed_byte(uint32_t number, size_t at)
{
    size_t value = at < sizeof(number) ? number >> 8 * at : number * 31 + at * 7 + (at >> 8);

    return (uint8_t)value;
}

static inline void bed_fill(uint8_t *data, uint32_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = bed_byte(number, i);
}

static inline bool bed_is_whole(const uint8_t *data, uint32_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != bed_byte(number, i))
            return false;
    return true;
}

static inline uint32_t bed_number_of(const uint8_t *data, size_t size)
{
    uint32_t number = 0;

    for (size_t i = 0; i < sizeof(number) && i < size; i++)
        number |= (uint32_t)data[i] << 8 * i;
    return number;
}

/* ------------------------------------------------------------------------------------ events -- */

static inline void bed_take_message(struct bed_node *node, const eddy_event_message *message)
{
    uint32_t number = bed_number_of(message->data, message->size);
    uint32_t *reach = &node->reach[message->stream];

    node->guarantees[message->guarantee]++;
    if (!bed_is_whole(message->data, number, message->size) || number >= BED_NUMBERS_MAX) {
        node->damaged++;
        return;
    }
    node->twice += node->seen[number] ? 1 : 0;
    node->backwards += number < *reach ? 1 : 0;
    node->seen[number] = true;
    *reach = number < *reach ? *reach : number + 1;
}

static inline void bed_note(struct bed_node *node, const eddy_event *event)
{
    struct bed_entry entry = {.type = event->type,
                              .connection = event->connection,
                              .at_ns = ed_world_now_ns(node->bed->world)};

    if (event->type == EDDY_MESSAGE) {
        entry.number = bed_number_of(event->message.data, event->message.size);
        entry.size = event->message.size;
    } else if (event->type == EDDY_RECEIPT) {
        entry.number = event->receipt.outcome;
    }
    if (node->event_count < BED_LOG_MAX)
        node->log[node->event_count] = entry;
    node->event_count++;
    node->count[event->type]++;
}

static inline void bed_take(struct bed_node *node, eddy_event *event)
{
    bed_note(node, event);
    if (event->type == EDDY_MESSAGE)
        bed_take_message(node, &event->message);
    else if (event->type == EDDY_CONNECTED)
        node->connection = event->connection;
    else if (event->type == EDDY_DISCONNECTED)
        node->end = event->disconnected;
    eddy_release(node->manager, event);
}

/** @return whether there was any. */
static inline bool bed_read(struct bed_node *node)
{
    eddy_event event;
    bool any = false;

    for (; eddy_next(node->manager, &event, 0) == EDDY_OK; any = true)
        bed_take(node, &event);
    return any;
}

static inline uint64_t bed_poll(void *context, uint64_t now_ns)
{
    struct bed_node *node = context;

    if (now_ns < node->next_tick_ns)
        return node->next_tick_ns;
    uint64_t next_ns = eddy_poll(node->manager, now_ns);
    // What is given back may let the peer go on: it is told at once.
    while (node->is_reading && bed_read(node))
        next_ns = eddy_poll(node->manager, now_ns);
    if (node->tick_ns == 0)
        return next_ns;
    node->next_tick_ns = now_ns + node->tick_ns;
    return node->next_tick_ns;
}

/* ------------------------------------------------------------------------------------- nodes -- */

static inline eddy_config bed_client_config(void)
{
    eddy_config config = eddy_config_default();

    config.pump = false;
    config.max_datagram_size = ED_DATAGRAM_SIZE; // so that they stay as large as they begin
    return config;
}

static inline eddy_config bed_server_config(void)
{
    eddy_config config = bed_client_config();

    config.accept = true;
    config.secret_key = ed_test_secret();
    return config;
}

static inline void bed_start(struct bed_node *node)
{
    const char *name = node->bed->name;

    node->host = ed_world_socket(node->bed->world, &node->address, &node->socket);
    CHECK(name, node->host != NULL);
    node->entropy = ed_world_entropy(node->bed->world, node->host);
    node->config.socket = &node->socket;
    node->config.entropy = &node->entropy;
    node->config.allocator = &node->memory.allocator;
    CHECK_EQ(name, eddy_open(&node->manager, &node->config), EDDY_OK);
    ed_world_attach(node->bed->world, node->host, bed_poll, node);
}

/** Ends without a word, and checks that all memory is back. */
static inline void bed_crash(struct bed_node *node)
{
    if (node->manager != NULL)
        (void)eddy_close(node->manager, 0);
    node->manager = NULL;
    CHECK_EQ(node->bed->name, node->memory.live_count, 0);
}

static inline struct bed_node *bed_add(struct bed *bed, eddy_config config)
{
    CHECK(bed->name, bed->node_count < BED_NODES_MAX);
    struct bed_node *node = &bed->node[bed->node_count++];

    memset(node, 0, sizeof(*node));
    node->bed = bed;
    node->config = config;
    node->address = ed_addr_ipv4(10, 0, 0, (uint8_t)bed->node_count, BED_PORT);
    node->is_reading = true;
    ed_counting_alloc_init(&node->memory, NULL);
    bed_start(node);
    return node;
}

/** An empty world. */
static inline void bed_open(struct bed *bed, const char *name, uint64_t seed)
{
    bed->name = name;
    bed->node_count = 0;
    bed->world = ed_world_create(ed_alloc_default(), seed);
    CHECK(name, bed->world != NULL);
}

static inline void bed_close(struct bed *bed)
{
    for (size_t i = 0; i < bed->node_count; i++)
        bed_crash(&bed->node[i]);
    ed_world_destroy(bed->world);
}

static inline void bed_run_ms(struct bed *bed, uint64_t ms)
{
    ed_world_run_until(bed->world, ed_world_now_ns(bed->world) + ms * ED_NS_PER_MS);
}

static inline void bed_touch(const struct bed_node *node)
{
    ed_world_touch(node->bed->world, node->host);
}

/** Dials. */
static inline void bed_dial(struct bed_node *from, const struct bed_node *to)
{
    CHECK_EQ(
        from->bed->name,
        eddy_connect_address(from->manager, &to->address, ed_test_options(), &from->connection),
        EDDY_OK);
    bed_touch(from);
}

/** A server (node 0) and a client (node 1), connected. */
static inline void bed_open_pair(struct bed *bed, const char *name, uint64_t seed)
{
    bed_open(bed, name, seed);
    const struct bed_node *server = bed_add(bed, bed_server_config());
    struct bed_node *client = bed_add(bed, bed_client_config());
    bed_dial(client, server);
    bed_run_ms(bed, BED_SETTLE_MS);
    CHECK_EQ(name, server->count[EDDY_CONNECTED], 1);
    CHECK_EQ(name, client->count[EDDY_CONNECTED], 1);
}

static inline void bed_set_link(struct bed *bed, ed_link_config link)
{
    CHECK_EQ(bed->name, ed_world_set_link(bed->world, NULL, NULL, &link), EDDY_OK);
}

/* ----------------------------------------------------------------------------------- sending -- */

static inline eddy_status bed_try_send(struct bed_node *node, eddy_guarantee guarantee,
                                       uint8_t stream, size_t size)
{
    static uint8_t data[BED_MESSAGE_SIZE_MAX];

    bed_fill(data, node->next_number, size);
    eddy_status status = eddy_send(node->manager, node->connection, guarantee, stream, data, size);
    node->next_number += status == EDDY_OK ? 1 : 0;
    bed_touch(node);
    return status;
}

/** Sends so many; all are accepted. */
static inline void bed_send(struct bed_node *node, eddy_guarantee guarantee, uint8_t stream,
                            size_t size, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(node->bed->name, bed_try_send(node, guarantee, stream, size), EDDY_OK);
}

/** Sends as many, waiting a little where there is no room. */
static inline void bed_send_all(struct bed_node *node, eddy_guarantee guarantee, size_t size,
                                uint32_t count)
{
    for (uint32_t sent = 0; sent < count;) {
        eddy_status status = bed_try_send(node, guarantee, 0, size);
        CHECK(node->bed->name, status == EDDY_OK || status == EDDY_EAGAIN);
        sent += status == EDDY_OK ? 1 : 0;
        if (status == EDDY_EAGAIN)
            bed_run_ms(node->bed, 1);
    }
}

/** Runs until so many messages have come; fails when it takes longer. */
static inline void bed_await(const struct bed_node *node, uint32_t messages, uint64_t limit_ms)
{
    uint64_t until_ns = ed_world_now_ns(node->bed->world) + limit_ms * ED_NS_PER_MS;

    while (node->count[EDDY_MESSAGE] < messages && ed_world_next_ns(node->bed->world) <= until_ns)
        (void)ed_world_step(node->bed->world);
    CHECK_EQ(node->bed->name, node->count[EDDY_MESSAGE], messages);
}

/** So many messages have come, each once, as it was sent. */
static inline void bed_check_unique(const char *name, const struct bed_node *node,
                                    uint32_t messages)
{
    CHECK_EQ(name, node->count[EDDY_MESSAGE], messages);
    CHECK_EQ(name, node->twice, 0);
    CHECK_EQ(name, node->damaged, 0);
}

/** The same, and in order. */
static inline void bed_check_in_order(const char *name, const struct bed_node *node,
                                      uint32_t messages)
{
    bed_check_unique(name, node, messages);
    CHECK_EQ(name, node->backwards, 0);
}

static inline eddy_stats bed_stats(const struct bed_node *node)
{
    eddy_stats stats;

    eddy_get_stats(node->manager, &stats);
    return stats;
}

/* ----------------------------------------------------------------------------------- a thief -- */

/** Looks at the datagrams of one node from some size on, drops some of them, and keeps the last. */
struct bed_thief {
    eddy_address from;
    size_t size_min;
    uint32_t first; /* which of them is dropped first, */
    uint32_t count; /* and how many */
    uint32_t seen;
    uint64_t bytes; /* of all that was seen */
    size_t size;    /* of the one seen last */
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
};

static inline bool bed_steal(void *context, const eddy_datagram *datagram, uint64_t now_ns)
{
    struct bed_thief *thief = context;

    (void)now_ns;
    if (datagram->size < thief->size_min || !eddy_address_equal(&datagram->local, &thief->from))
        return false;
    uint32_t ordinal = thief->seen++;
    thief->bytes += datagram->size;
    thief->size = datagram->size;
    memcpy(thief->data, datagram->data, datagram->size);
    return ordinal >= thief->first && ordinal - thief->first < thief->count;
}

/** Steals from what `node` sends from now on. */
static inline void bed_watch(struct bed_node *node, struct bed_thief *thief)
{
    thief->from = node->address;
    ed_world_observe(node->bed->world, bed_steal, thief);
}

/** Bytes from the address of a node, whoever has written them. */
static inline void bed_inject(const struct bed_node *from, const struct bed_node *to, uint8_t *data,
                              size_t size)
{
    eddy_datagram datagram = {.remote = to->address, .data = data, .size = size};

    CHECK_EQ(from->bed->name, from->socket.send(from->socket.context, &datagram, 1), 1);
}

#endif
