#include "tests/support/wire.h"

#include <stdlib.h>

#include "core/addr.h"
#include "core/crypto.h"
#include "tests/support/check.h"
#include "tests/support/keys.h"
#include "tests/support/splitmix.h"

enum {
    INBOX_SIZE = 64,
    PORT = 4000,
    CONNECT_LIMIT_S = 5,
    UP = 6, /* kinds behind the forms of the handshake */
    DOWN = 7,
};

/** What has arrived. Each has a place of its own size, so that a sanitizer sees its end. */
struct ed_wire_inbox {
    size_t count;
    size_t taken;
    eddy_datagram datagrams[INBOX_SIZE];
};

/* ------------------------------------------------------------------------------------- socket --
 */

static void note_newest(ed_wire *wire, const eddy_datagram *datagram)
{
    ed_form form = ed_form_of(datagram->data, datagram->size);
    size_t kind = (size_t)form - ED_FORM_HELLO;

    if (form == ED_FORM_UNKNOWN || datagram->size > ED_WIRE_SIZE_MAX)
        return;
    if (form == ED_FORM_PACKET)
        kind = (datagram->data[0] & 0x20) != 0 ? UP : DOWN;
    ed_wire_copy *copy = &wire->newest[kind];
    copy->datagram = *datagram;
    copy->datagram.data = copy->data;
    memcpy(copy->data, datagram->data, datagram->size);
}

static ed_wire_host *host_at(ed_wire *wire, const eddy_address *address)
{
    for (size_t i = 0; i < wire->host_count; i++)
        if (wire->hosts[i].manager != NULL && eddy_address_equal(&wire->hosts[i].address, address))
            return &wire->hosts[i];
    return NULL;
}

static void push(ed_wire *wire, const eddy_datagram *datagram, uint64_t due_ns)
{
    eddy_datagram arriving = *datagram;

    arriving.local = datagram->remote;
    arriving.remote = datagram->local;
    CHECK(wire->name, ed_flight_push(wire->flight, &arriving, due_ns, wire->ordinal++) != NULL);
}

static size_t socket_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    ed_wire_host *host = context;
    ed_wire *wire = host->wire;

    for (size_t i = 0; i < count; i++) {
        ed_wire_copy copy = {.datagram = datagrams[i]};
        copy.datagram.local = host->address;
        copy.datagram.data = copy.data;
        CHECK(wire->name, copy.datagram.size <= ED_WIRE_SIZE_MAX);
        memcpy(copy.data, datagrams[i].data, copy.datagram.size);
        note_newest(wire, &copy.datagram);
        if (wire->tap == NULL || wire->tap(wire->tap_context, &copy.datagram))
            push(wire, &copy.datagram, wire->now_ns + wire->delay_ns);
    }
    return count;
}

static void empty(struct ed_wire_inbox *inbox)
{
    for (size_t i = 0; i < inbox->count; i++)
        free(inbox->datagrams[i].data);
    inbox->count = inbox->taken = 0;
}

static size_t socket_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    ed_wire_host *host = context;
    struct ed_wire_inbox *inbox = host->inbox;
    size_t taken = 0;

    while (taken < count && inbox->taken < inbox->count)
        datagrams[taken++] = inbox->datagrams[inbox->taken++];
    host->wire->delivered += taken;
    return taken;
}

static eddy_address socket_local(void *context)
{
    return ((const ed_wire_host *)context)->address;
}

static void fill(void *context, void *data, size_t size)
{
    ed_wire_host *host = context;
    uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(splitmix_next(&host->draws) >> 32);
    if (size > 0 && size == host->stuck_size)
        memset(bytes, 0x5c, size);
}

/* ------------------------------------------------------------------------------------ program --
 */

static void take_event(ed_wire_host *host, eddy_event *event)
{
    host->events++;
    if (event->type == EDDY_CONNECTED) {
        host->connected++;
        host->connected_ns = host->wire->now_ns;
        host->newest = event->connection;
        host->peer = event->connected.peer;
    } else if (event->type == EDDY_DISCONNECTED) {
        host->disconnected++;
        host->end = event->disconnected;
    } else if (event->type == EDDY_CONNECT_REQUEST) {
        host->requests++;
        host->newest = event->connection;
    }
    host->messages += event->type == EDDY_MESSAGE;
    eddy_release(host->manager, event);
}

static void run(ed_wire_host *host)
{
    eddy_event event;
    bool any = true;

    while (any) {
        host->next_ns = eddy_poll(host->manager, host->wire->now_ns);
        any = false;
        while (eddy_next(host->manager, &event, 0) == EDDY_OK) {
            take_event(host, &event);
            any = true;
        }
    }
    empty(host->inbox);
}

/* -------------------------------------------------------------------------------------- hosts --
 */

void ed_wire_open(ed_wire *wire, const char *name, uint64_t seed)
{
    *wire = (ed_wire){.name = name,
                      .seed = seed,
                      .now_ns = ED_NS_PER_S,
                      .delay_ns = ED_WIRE_DELAY_MS * ED_NS_PER_MS};
    wire->flight = ed_flight_create(ed_alloc_default());
    CHECK(name, wire->flight != NULL);
    CHECK_EQ(name, ed_crypto_init(), EDDY_OK);
}

void ed_wire_close(ed_wire *wire)
{
    for (size_t i = 0; i < wire->host_count; i++) {
        ed_wire_crash(&wire->hosts[i]);
        free(wire->hosts[i].inbox);
    }
    ed_flight_destroy(wire->flight);
}

eddy_config ed_wire_client_config(void)
{
    eddy_config config = eddy_config_default();

    config.pump = false;
    config.cipher = EDDY_CIPHER_CHACHA20; // the same on every machine
    config.log_level = EDDY_LOG_ERROR;
    return config;
}

eddy_config ed_wire_server_config(void)
{
    eddy_config config = ed_wire_client_config();

    config.accept = true;
    config.secret_key = ed_test_secret();
    return config;
}

eddy_address ed_wire_address(uint32_t number)
{
    return ed_addr_ipv4((uint8_t)(11 + (number >> 24)), (uint8_t)(number >> 16),
                        (uint8_t)(number >> 8), (uint8_t)number, PORT);
}

void ed_wire_start(ed_wire_host *host)
{
    host->socket = (eddy_socket){
        .context = host, .receive = socket_receive, .send = socket_send, .local = socket_local};
    host->entropy = (eddy_entropy){.context = host, .fill = fill};
    host->config.socket = &host->socket;
    host->config.entropy = &host->entropy;
    host->config.allocator = &host->memory.allocator;
    CHECK_EQ(host->wire->name, eddy_open(&host->manager, &host->config), EDDY_OK);
    host->next_ns = host->wire->now_ns;
}

void ed_wire_crash(ed_wire_host *host)
{
    if (host->manager != NULL)
        (void)eddy_close(host->manager, 0);
    host->manager = NULL;
    empty(host->inbox);
    CHECK_EQ(host->wire->name, host->memory.live_count, 0);
}

ed_wire_host *ed_wire_add(ed_wire *wire, const eddy_config *config, const eddy_address *address)
{
    CHECK(wire->name, wire->host_count < ED_WIRE_HOSTS_MAX && host_at(wire, address) == NULL);
    ed_wire_host *host = &wire->hosts[wire->host_count++];

    *host = (ed_wire_host){.wire = wire,
                           .config = *config,
                           .address = *address,
                           .draws = wire->seed << 16 | wire->host_count};
    host->inbox = calloc(1, sizeof(*host->inbox));
    CHECK(wire->name, host->inbox != NULL);
    ed_counting_alloc_init(&host->memory, NULL);
    ed_wire_start(host);
    return host;
}

eddy_status ed_wire_connect(ed_wire_host *host, const eddy_address *to,
                            const eddy_connect_options *options)
{
    eddy_connection connection = 0;
    eddy_status status = eddy_connect_address(
        host->manager, to, options == NULL ? ed_test_options() : options, &connection);

    ed_wire_touch(host);
    return status;
}

void ed_wire_add_pair(ed_wire *wire, ed_wire_host **server, ed_wire_host **client)
{
    eddy_config server_config = ed_wire_server_config(), client_config = ed_wire_client_config();
    eddy_address server_address = ed_wire_address(1), client_address = ed_wire_address(2);

    *server = ed_wire_add(wire, &server_config, &server_address);
    *client = ed_wire_add(wire, &client_config, &client_address);
    CHECK_EQ(wire->name, ed_wire_connect(*client, &(*server)->address, NULL), EDDY_OK);
    CHECK(wire->name, ed_wire_await_connected(wire, *server, 1, CONNECT_LIMIT_S * ED_NS_PER_S));
}

eddy_status ed_wire_say(ed_wire_host *host, const char *text)
{
    eddy_status status =
        eddy_send(host->manager, host->newest, EDDY_RELIABLE_ORDERED, 0, text, strlen(text));

    ed_wire_touch(host);
    return status;
}

void ed_wire_check_alive(ed_wire_host *one, ed_wire_host *other)
{
    const char *name = one->wire->name;
    uint64_t at_one = one->messages, at_other = other->messages;

    CHECK_EQ(name, ed_wire_say(one, "still here"), EDDY_OK);
    CHECK_EQ(name, ed_wire_say(other, "here, too"), EDDY_OK);
    ed_wire_run_for(one->wire, ED_NS_PER_S);
    CHECK_EQ(name, one->messages, at_one + 1);
    CHECK_EQ(name, other->messages, at_other + 1);
}

void ed_wire_touch(ed_wire_host *host)
{
    host->next_ns = host->wire->now_ns;
}

/* --------------------------------------------------------------------------------------- wire --
 */

void ed_wire_put(ed_wire *wire, const eddy_datagram *datagram)
{
    push(wire, datagram, wire->now_ns);
}

void ed_wire_forge(ed_wire *wire, const eddy_address *from, const eddy_address *to,
                   const void *data, size_t size)
{
    eddy_datagram datagram = {
        .local = *from, .remote = *to, .data = (uint8_t *)(uintptr_t)data, .size = size};

    push(wire, &datagram, wire->now_ns + ED_WIRE_RUSH_US * ED_NS_PER_US);
}

const ed_wire_copy *ed_wire_newest(const ed_wire *wire, ed_form form)
{
    ED_ASSERT(form >= ED_FORM_HELLO);
    return &wire->newest[form - ED_FORM_HELLO];
}

void ed_wire_newest_clear(ed_wire *wire, ed_form form)
{
    ED_ASSERT(form >= ED_FORM_HELLO);
    wire->newest[form - ED_FORM_HELLO].datagram.size = 0;
}

const ed_wire_copy *ed_wire_newest_packet(const ed_wire *wire, bool from_client)
{
    return &wire->newest[from_client ? UP : DOWN];
}

static void deliver(ed_wire *wire, const eddy_datagram *datagram)
{
    ed_wire_host *host = host_at(wire, &datagram->local);

    if (host == NULL) {
        wire->to_nobody++;
        return;
    }
    if (host->inbox->count == INBOX_SIZE)
        run(host);
    eddy_datagram *place = &host->inbox->datagrams[host->inbox->count++];
    *place = *datagram;
    place->data = malloc(ed_max_u64(datagram->size, 1));
    ED_ASSERT(place->data != NULL);
    memcpy(place->data, datagram->data, datagram->size);
    ed_wire_touch(host);
}

static uint64_t next_ns(const ed_wire *wire)
{
    uint64_t next_ns = ed_flight_next_ns(wire->flight);

    for (size_t i = 0; i < wire->host_count; i++)
        if (wire->hosts[i].manager != NULL)
            next_ns = ed_min_u64(next_ns, wire->hosts[i].next_ns);
    return next_ns;
}

static void step(ed_wire *wire)
{
    eddy_datagram datagram;
    uint64_t due_ns = 0;

    wire->now_ns = ed_max_u64(wire->now_ns, next_ns(wire));
    while (ed_flight_take(wire->flight, wire->now_ns, &datagram, &due_ns))
        deliver(wire, &datagram);
    ed_flight_recycle(wire->flight);
    for (size_t i = 0; i < wire->host_count; i++)
        if (wire->hosts[i].manager != NULL && wire->hosts[i].next_ns <= wire->now_ns)
            run(&wire->hosts[i]);
}

void ed_wire_run_for(ed_wire *wire, uint64_t duration_ns)
{
    uint64_t until_ns = wire->now_ns + duration_ns;

    while (next_ns(wire) <= until_ns)
        step(wire);
    wire->now_ns = until_ns;
}

bool ed_wire_await_connected(ed_wire *wire, const ed_wire_host *host, uint64_t count,
                             uint64_t limit_ns)
{
    uint64_t until_ns = wire->now_ns + limit_ns;

    while (host->connected < count && next_ns(wire) <= until_ns)
        step(wire);
    return host->connected >= count;
}

eddy_stats ed_wire_stats(const ed_wire_host *host)
{
    eddy_stats stats = {0};

    if (host->manager != NULL)
        eddy_get_stats(host->manager, &stats);
    return stats;
}

uint64_t ed_wire_refusals(const ed_wire_host *host, eddy_check check)
{
    uint64_t counts[EDDY_CHECK_COUNT] = {0};

    eddy_get_refusals(host->manager, counts);
    return counts[check];
}
