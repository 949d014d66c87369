/** Two managers in a world, without threads, whose events a test takes itself. */
#ifndef ED_TEST_API_BED_H
#define ED_TEST_API_BED_H

#include "tests/support/check.h"

#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "sim/world.h"
#include "tests/support/keys.h"

enum { STEP_MS = 5, LIMIT_MS = 20000 };

struct side {
    ed_counting_alloc memory;
    eddy_manager *manager;
    eddy_socket socket;
    ed_host *host;
    eddy_address address;
};

static struct pair {
    ed_world *world;
    struct side server;
    struct side client;
    eddy_connection dialled; /* at the client */
    eddy_connection taken;   /* at the server */
} pair;

static inline uint64_t run_manager(void *context, uint64_t now_ns)
{
    return eddy_poll(context, now_ns);
}

static inline eddy_config config_without_pump(void)
{
    eddy_config config = eddy_config_default();

    config.pump = false;
    return config;
}

static inline void open_side(struct side *side, eddy_config config, uint8_t host)
{
    eddy_entropy entropy;

    ed_counting_alloc_init(&side->memory, NULL);
    side->address = ed_addr_ipv4(10, 0, 0, host, 4242);
    side->host = ed_world_socket(pair.world, &side->address, &side->socket);
    CHECK("host", side->host != NULL);
    entropy = ed_world_entropy(pair.world, side->host);
    config.allocator = &side->memory.allocator;
    config.socket = &side->socket;
    config.entropy = &entropy;
    CHECK_EQ("open", eddy_open(&side->manager, &config), EDDY_OK);
    ed_world_attach(pair.world, side->host, run_manager, side->manager);
}

static inline void run_for_ms(uint64_t ms)
{
    ed_world_touch(pair.world, pair.server.host);
    ed_world_touch(pair.world, pair.client.host);
    ed_world_run_until(pair.world, ed_world_now_ns(pair.world) + ms * ED_NS_PER_MS);
}

static inline eddy_event take_event(const struct side *side, eddy_event_type type)
{
    eddy_event event;

    CHECK_EQ("an event", eddy_next(side->manager, &event, 0), EDDY_OK);
    CHECK_EQ("its type", event.type, type);
    return event;
}

static inline void check_no_event(const struct side *side, eddy_status want)
{
    eddy_event event = {.type = EDDY_MESSAGE, .connection = 7};

    CHECK_EQ("no event", eddy_next(side->manager, &event, 1000), want);
    CHECK_EQ("an empty one", event.type, EDDY_EVENT_NONE);
    CHECK_EQ("of nobody", event.connection, 0);
}

/** A server and a client, connected. */
static inline int open_pair(void **state)
{
    (void)state;
    memset(&pair, 0, sizeof(pair));
    pair.world = ed_world_create(ed_alloc_default(), 1);
    CHECK("world", pair.world != NULL);
    eddy_config server = config_without_pump(), client = config_without_pump();
    server.accept = true;
    server.secret_key = ed_test_secret();
    server.max_connections = 2;
    client.max_outgoing = 2;
    client.send_budget = 64 * 1024;
    client.max_message_size = EDDY_PIECE_SIZE_MAX;
    open_side(&pair.server, server, 1);
    open_side(&pair.client, client, 2);
    CHECK_EQ("connect",
             eddy_connect_address(pair.client.manager, &pair.server.address, ed_test_options(),
                                  &pair.dialled),
             EDDY_OK);
    run_for_ms(50);
    (void)take_event(&pair.client, EDDY_CONNECTED);
    pair.taken = take_event(&pair.server, EDDY_CONNECTED).connection;
    return 0;
}

static inline void close_side(struct side *side)
{
    if (side->manager != NULL)
        (void)eddy_close(side->manager, 0);
    side->manager = NULL;
    CHECK_EQ("memory", side->memory.live_count, 0);
}

static inline int close_pair(void **state)
{
    (void)state;
    close_side(&pair.server);
    close_side(&pair.client);
    ed_world_destroy(pair.world);
    return 0;
}

#endif
