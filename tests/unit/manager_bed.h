/**
 * A manager over the simplest connections there are: every datagram from a new address makes one,
 * each datagram is an event, and each command to send is a datagram. Its socket is two arrays.
 */
#ifndef ED_TEST_MANAGER_BED_H
#define ED_TEST_MANAGER_BED_H

#include "tests/support/check.h"

#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "core/crypto.h"
#include "core/deadline.h"
#include "transport/manager.h"

enum {
    WIRE_MAX = 20000,  /* datagrams */
    BACKLOG_MAX = 200, /* events, and datagrams, that a connection keeps */
    ORDER_MAX = 64,
    FAILED_MAX = 256,
};

/* ------------------------------------------------------------------------------- the socket -- */

struct wire_datagram {
    eddy_address remote;
    uint32_t size;
    uint32_t value;
};

/** What was put in to be received, and what was sent. A datagram says four bytes: its value. */
struct wire {
    struct wire_datagram in[WIRE_MAX];
    struct wire_datagram out[WIRE_MAX];
    size_t in_count, in_taken, out_count;
    size_t room;     /* datagrams that may be sent before the next poll */
    size_t call_max; /* datagrams that one call of `receive` gives; 0: as many as there are */
    uint8_t data[ED_MANAGER_BATCH][8];
};

static inline size_t wire_receive(void *context, eddy_datagram *datagrams, size_t count)
{
    struct wire *wire = context;
    size_t taken = 0;

    if (wire->call_max > 0)
        count = ed_min_size(count, wire->call_max);
    for (; taken < count && wire->in_taken < wire->in_count; taken++) {
        const struct wire_datagram *from = &wire->in[wire->in_taken++];
        memcpy(wire->data[taken], &from->value, sizeof(from->value));
        datagrams[taken] =
            (eddy_datagram){.remote = from->remote, .data = wire->data[taken], .size = from->size};
    }
    return taken;
}

static inline size_t wire_send(void *context, const eddy_datagram *datagrams, size_t count)
{
    struct wire *wire = context;
    size_t taken = ed_min_size(count, wire->room);

    for (size_t i = 0; i < taken; i++) {
        struct wire_datagram *to = &wire->out[wire->out_count++];
        *to = (struct wire_datagram){.remote = datagrams[i].remote,
                                     .size = (uint32_t)datagrams[i].size};
        memcpy(&to->value, datagrams[i].data, sizeof(to->value));
    }
    wire->room -= taken;
    return taken;
}

static inline eddy_address wire_local(void *context)
{
    (void)context;
    return ed_addr_ipv4(192, 0, 2, 1, 1);
}

/* -------------------------------------------------------------------- what the program sees -- */

enum fake_event_kind { FAKE_NONE, FAKE_DATAGRAM, FAKE_UNSENT, FAKE_FAILED };

struct fake_event {
    enum fake_event_kind kind;
    eddy_connection connection;
    uint32_t value; /* DATAGRAM; UNSENT: which, from 0; FAILED: minus the status */
};

enum fake_order { FAKE_SEND, FAKE_END, FAKE_CONNECT };

struct fake_command {
    ed_command head;
    enum fake_order order;
    uint32_t value;
    bool has_payload; /* counted until somebody takes it over */
};

/* --------------------------------------------------------------------------- the connection -- */

/** What a value's first byte asks for; other values are events. */
enum fake_word {
    WORD_DEADLINE = 0xd0000000,  /* expire at the rest, in ms */
    WORD_QUESTION = 0xa0000000,  /* to a stranger: a reply, and nothing is remembered */
    WORD_HANDSHAKE = 0xb0000000, /* asks for admission; the rest tells one handshake from another */
    WORD_ID = 0xc0000000,        /* the rest, shifted, is a wire id */
    WORD_MOVED = 0x0c000000,     /* with WORD_ID: the peer is now where the datagram came from */
    WORD_MASK = 0xf0000000,
};

struct fake_calls {
    unsigned receive, send, expire, transmit, event, next_ns, shutdown, replace, destroy;
};

/** A dial that failed, by its slot. */
struct fake_failed {
    eddy_connection connection;
    uint32_t why;
    uint32_t message_count, told_count;
};

struct fake {
    struct fake_calls calls;
    unsigned payloads; /* alive */
    unsigned events_dropped;
    bool starts_half_open; /* a newcomer is so until its second datagram */
    bool fails_to_create;
    bool stays;         /* a connection whose address a newcomer takes goes on beside it */
    bool lingers;       /* after a shutdown a connection stays until FAKE_END */
    bool rejects_older; /* only a handshake of a higher number supersedes */
    bool is_full;       /* what the last stranger was judged by */
    bool makes_known;   /* the program hears of every connection, but for half-open ones */
    bool wants_work;    /* as a connection gets a block back */
    uint64_t shutdown_until_ns;
    ed_ending *late_end;   /* asked for while a connection receives */
    ed_block *late_return; /* pushed while a connection receives, and then awaited */
    ed_returns *returns;
    ed_channel *commands;        /* into which so many that do nothing are said */
    size_t late_commands;        /* while a connection obeys */
    unsigned returned_count;     /* blocks that came back, */
    uint64_t returned_to;        /* the handle of the connection that got the last, 0: gone */
    uint64_t returned_sum;       /* made of their stream bytes, in order */
    uint64_t returned_places;    /* of the connections they came to, in order, as digits; 0: none */
    uint32_t expired[ORDER_MAX]; /* slots, in order */
    const size_t *sent;          /* how many datagrams have left, */
    size_t sent_before;          /* and had when it could reckon ahead */
    struct fake_failed failed[FAILED_MAX];
};

struct fake_connection {
    struct fake *fake;
    eddy_connection handle;
    uint32_t wire_id;
    eddy_address remote;
    uint32_t handshake;
    uint32_t events[BACKLOG_MAX];
    uint32_t sends[BACKLOG_MAX];
    size_t event_count, event_taken, send_count, send_taken;
    uint64_t next_ns;
    ed_phase phase;
    bool is_known;
};

static inline uint32_t value_of(const eddy_datagram *datagram)
{
    uint32_t value = 0;
    ED_ASSERT(datagram->size == sizeof(value));
    memcpy(&value, datagram->data, sizeof(value));
    return value;
}

static inline ed_route fake_route(void *context, const eddy_datagram *datagram)
{
    (void)context;
    uint32_t value = datagram->size == sizeof(value) ? value_of(datagram) : 0;

    if (datagram->size != sizeof(value))
        return (ed_route){.kind = ED_ROUTE_NOWHERE};
    if ((value & WORD_MASK) == WORD_ID)
        return (ed_route){.kind = ED_ROUTE_ID,
                          .id = (value & ~(uint32_t)(WORD_MASK | WORD_MOVED)) << 8};
    if ((value & WORD_MASK) == WORD_HANDSHAKE)
        return (ed_route){.kind = ED_ROUTE_NEW};
    return (ed_route){.kind = ED_ROUTE_KNOWN_OR_NEW};
}

static inline ed_admission fake_admit(void *context, const eddy_datagram *datagram, ed_load *load,
                                      uint8_t *reply, size_t *reply_size, uint64_t now_ns)
{
    ((struct fake *)context)->is_full = load->is_full;
    const struct fake_connection *existing = load->existing;

    (void)now_ns;
    if (existing != NULL && existing->handshake == value_of(datagram)) {
        load->chosen = existing->handle;
        return ED_ADMIT_CONTINUE;
    }
    if ((value_of(datagram) & WORD_MASK) != WORD_QUESTION)
        return ED_ADMIT_CREATE;
    memcpy(reply, datagram->data, datagram->size);
    *reply_size = datagram->size;
    return ED_ADMIT_REPLY;
}

static inline void return_late(struct fake *fake)
{
    if (fake->late_return == NULL)
        return;
    ed_returned alone = ed_returned_alone(fake->late_return);
    (void)!ed_returns_push(fake->returns, &alone);
    ed_returns_await(fake->returns);
    fake->late_return = NULL;
}

static inline void fake_receive(void *connection, const eddy_datagram *datagram, uint64_t now_ns)
{
    struct fake_connection *c = connection;
    uint32_t value = value_of(datagram);

    c->fake->calls.receive++;
    return_late(c->fake);
    if (c->fake->late_end != NULL)
        ed_ending_ask(c->fake->late_end, 0);
    c->fake->late_end = NULL;
    (void)now_ns;
    c->phase = c->phase == ED_PHASE_HALF_OPEN ? ED_PHASE_OPEN : c->phase;
    if ((value & (WORD_MASK | WORD_MOVED)) == (WORD_ID | WORD_MOVED)) {
        c->remote = datagram->remote;
        return;
    }
    c->is_known = c->phase == ED_PHASE_OPEN;
    if ((value & WORD_MASK) == WORD_DEADLINE) {
        c->next_ns = (value & ~(uint32_t)WORD_MASK) * ED_NS_PER_MS;
        return;
    }
    ED_ASSERT(c->event_count < BACKLOG_MAX);
    c->events[c->event_count++] = value;
}

static inline eddy_status fake_create(void *context, void *connection, const ed_birth *birth,
                                      uint64_t now_ns)
{
    struct fake *fake = context;
    struct fake_connection *c = connection;

    if (fake->fails_to_create)
        return EDDY_ENOMEM;
    *c = (struct fake_connection){.fake = fake,
                                  .handle = birth->handle,
                                  .wire_id = birth->wire_id,
                                  .remote = birth->remote,
                                  .next_ns = ED_NEVER_NS,
                                  .phase = ED_PHASE_OPEN};
    if (birth->datagram == NULL)
        return EDDY_OK;
    fake_receive(c, birth->datagram, now_ns);
    c->handshake = value_of(birth->datagram);
    c->phase = fake->starts_half_open ? ED_PHASE_HALF_OPEN : ED_PHASE_OPEN;
    c->is_known = !fake->starts_half_open;
    return EDDY_OK;
}

static inline void *fake_fail_connect(void *context, void *command, eddy_status why)
{
    struct fake *fake = context;
    const struct fake_command *c = command;
    struct fake_failed *failed = &fake->failed[ed_slot_of(c->head.connection) % FAILED_MAX];

    fake->payloads -= c->has_payload ? 1 : 0;
    *failed = (struct fake_failed){.connection = c->head.connection, .why = (uint32_t) - (int)why};
    return failed;
}

/** One event for each message that it was sent, and then its end. */
static inline bool fake_failed_event(void *remains, void *event)
{
    struct fake_failed *failed = remains;
    bool is_last = failed->told_count == failed->message_count;

    *(struct fake_event *)event =
        (struct fake_event){.kind = is_last ? FAKE_FAILED : FAKE_UNSENT,
                            .connection = failed->connection,
                            .value = is_last ? failed->why : failed->told_count};
    failed->told_count++;
    return is_last;
}

static inline void fake_destroy(void *connection)
{
    ((struct fake_connection *)connection)->fake->calls.destroy++;
}

static inline ed_succession fake_supersedes(void *connection, const eddy_datagram *datagram,
                                            uint64_t now_ns)
{
    (void)now_ns;
    const struct fake_connection *c = connection;
    return !c->fake->rejects_older || value_of(datagram) > c->handshake ? ED_SUCCEEDS_NOW
                                                                        : ED_SUCCEEDS_NOT;
}

static inline void fake_obey(struct fake_connection *c, const struct fake_command *order)
{
    c->fake->calls.send++;
    c->fake->payloads -= order->has_payload ? 1 : 0;
    ED_ASSERT(c->send_count < BACKLOG_MAX);
    if (order->order == FAKE_SEND)
        c->sends[c->send_count++] = order->value;
    else
        c->phase = ED_PHASE_OVER;
}

static inline void command_late(struct fake *fake)
{
    const struct fake_command nothing = {.head = {.kind = ED_COMMAND_TO_CONNECTION}};

    for (; fake->late_commands > 0; fake->late_commands--)
        CHECK_EQ("said", ed_channel_push(fake->commands, &nothing, 1), EDDY_OK);
}

static inline void fake_send(void *connection, const void *commands, size_t count, uint64_t now_ns)
{
    const struct fake_connection *c = connection;
    const struct fake_command *orders = commands;

    (void)now_ns;
    for (size_t i = 0; i < count; i++)
        fake_obey(connection, &orders[i]);
    command_late(c->fake);
}

static inline void fake_shutdown(void *connection, uint64_t until_ns, uint64_t now_ns)
{
    struct fake_connection *c = connection;

    (void)now_ns;
    c->fake->calls.shutdown++;
    c->fake->shutdown_until_ns = until_ns;
    c->phase = c->fake->lingers ? c->phase : ED_PHASE_OVER;
}

static inline void fake_replace(void *connection, uint64_t now_ns)
{
    struct fake_connection *c = connection;

    (void)now_ns;
    c->fake->calls.replace++;
    c->phase = c->fake->stays ? c->phase : ED_PHASE_OVER;
}

static inline void fake_expire(void *connection, uint64_t now_ns)
{
    struct fake_connection *c = connection;

    ED_ASSERT(now_ns >= c->next_ns);
    c->fake->expired[c->fake->calls.expire++ % ORDER_MAX] = ed_slot_of(c->handle);
    c->next_ns = ED_NEVER_NS;
}

static inline bool fake_transmit(void *connection, ed_output *output, uint64_t now_ns)
{
    struct fake_connection *c = connection;

    (void)now_ns;
    c->fake->calls.transmit++;
    if (c->send_taken == c->send_count)
        return false;
    memcpy(output->datagram.data, &c->sends[c->send_taken++], sizeof(uint32_t));
    output->datagram.size = sizeof(uint32_t);
    output->datagram.remote = c->remote;
    return true;
}

static inline size_t fake_take_events(void *connection, void *events, size_t most)
{
    struct fake_connection *c = connection;
    size_t count = 0;

    c->fake->calls.event++;
    for (; count < most && c->event_taken < c->event_count; count++)
        ((struct fake_event *)events)[count] = (struct fake_event){
            .kind = FAKE_DATAGRAM, .connection = c->handle, .value = c->events[c->event_taken++]};
    return count;
}

static inline uint64_t fake_next_ns(const void *connection)
{
    const struct fake_connection *c = connection;
    c->fake->calls.next_ns++;
    return c->next_ns;
}

static inline ed_phase fake_phase(const void *connection)
{
    return ((const struct fake_connection *)connection)->phase;
}

static inline bool fake_is_known(const void *connection)
{
    const struct fake_connection *c = connection;
    return c->fake->makes_known && c->is_known;
}

static inline eddy_address fake_remote(const void *connection)
{
    return ((const struct fake_connection *)connection)->remote;
}

static inline void fake_drop_command(void *context, void *command, void *failed)
{
    struct fake *fake = context;
    fake->payloads -= ((struct fake_command *)command)->has_payload ? 1 : 0;
    if (failed != NULL)
        ((struct fake_failed *)failed)->message_count++;
}

static inline void fake_drop_unread(void *context, void *command)
{
    fake_drop_command(context, command, NULL);
}

static inline void fake_drop_event(void *context, void *event)
{
    ED_ASSERT(((struct fake_event *)event)->kind != FAKE_NONE);
    ((struct fake *)context)->events_dropped++;
}

static inline void fake_reckon_ahead(void *context)
{
    struct fake *fake = context;
    fake->sent_before = *fake->sent;
}

static inline bool fake_returned(void *context, void *connection, ed_block *blocks, uint64_t now_ns)
{
    struct fake *fake = context;
    const struct fake_connection *c = connection;

    (void)now_ns;
    fake->returned_to = c == NULL ? 0 : c->handle;
    for (ed_block *block = blocks, *next = NULL; block != NULL; block = next) {
        next = block->next;
        fake->returned_count++;
        fake->returned_sum = fake->returned_sum * 10 + (uint8_t)(block->note >> 8);
        fake->returned_places = fake->returned_places * 10 + (c == NULL ? 0 : c->handle & 0xff);
        ed_pool_give(block);
    }
    return c != NULL && fake->wants_work;
}

static const ed_connection_type fake_type = {
    .connection_size = sizeof(struct fake_connection),
    .command_size = sizeof(struct fake_command),
    .event_size = sizeof(struct fake_event),
    .route = fake_route,
    .admit = fake_admit,
    .create = fake_create,
    .fail_connect = fake_fail_connect,
    .failed_event = fake_failed_event,
    .destroy = fake_destroy,
    .supersedes = fake_supersedes,
    .receive = fake_receive,
    .send = fake_send,
    .shutdown = fake_shutdown,
    .replace = fake_replace,
    .expire = fake_expire,
    .transmit = fake_transmit,
    .events = fake_take_events,
    .next_ns = fake_next_ns,
    .phase = fake_phase,
    .is_known = fake_is_known,
    .reckon_ahead = fake_reckon_ahead,
    .returned = fake_returned,
    .remote = fake_remote,
    .drop_command = fake_drop_command,
    .drop_event = fake_drop_event,
};

/* -------------------------------------------------------------------------------- the whole -- */

struct bed {
    ed_counting_alloc memory;
    ed_counting_alloc event_memory; /* of the event channel */
    struct wire wire;
    eddy_socket socket;
    struct fake fake;
    eddy_stats stats;
    ed_slots *slots;
    ed_pool *pool; /* of what the program gives back */
    ed_returns returns;
    ed_ending ending;
    ed_channel *commands; /* NULL: the program has left */
    ed_channel *events;
    ed_manager *manager;
};

/** How many connections a bed has room for. */
struct bed_limits {
    uint32_t outgoing;
    uint32_t incoming;
    uint32_t half_open;
};

static inline ed_manager_parts bed_parts(struct bed *bed, const struct bed_limits *limits)
{
    return (ed_manager_parts){.type = &fake_type,
                              .type_context = &bed->fake,
                              .allocator = &bed->memory.allocator,
                              .entropy = ed_entropy_system(),
                              .socket = &bed->socket,
                              .slots = bed->slots,
                              .commands = bed->commands,
                              .events = bed->events,
                              .returns = &bed->returns,
                              .ending = &bed->ending,
                              .stats = &bed->stats,
                              .half_open_max = limits->half_open};
}

/** Everything around a manager, but not yet the manager. */
static inline struct bed *bed_frame(const struct bed_limits *limits)
{
    static struct bed bed;

    memset(&bed, 0, sizeof(bed));
    CHECK_EQ("crypto", ed_crypto_init(), EDDY_OK);
    ed_counting_alloc_init(&bed.memory, NULL);
    ed_counting_alloc_init(&bed.event_memory, NULL);
    ed_ending_init(&bed.ending);
    bed.wire.room = WIRE_MAX;
    bed.fake.sent = &bed.wire.out_count;
    bed.socket = (eddy_socket){
        .context = &bed.wire, .receive = wire_receive, .send = wire_send, .local = wire_local};
    bed.slots = ed_slots_create(&bed.memory.allocator, limits->outgoing, limits->incoming);
    bed.commands = ed_channel_create(&bed.memory.allocator, sizeof(struct fake_command),
                                     fake_drop_unread, &bed.fake);
    bed.events = ed_channel_create(&bed.event_memory.allocator, sizeof(struct fake_event),
                                   fake_drop_event, &bed.fake);
    bed.pool = ed_pool_create(&bed.memory.allocator, 1 << 16);
    CHECK("parts",
          bed.slots != NULL && bed.pool != NULL && bed.commands != NULL && bed.events != NULL);
    return &bed;
}

static inline struct bed *bed_open(struct bed_limits limits)
{
    struct bed *bed = bed_frame(&limits);
    ed_manager_parts parts = bed_parts(bed, &limits);

    bed->manager = ed_manager_create(&parts);
    CHECK("manager", bed->manager != NULL);
    // The manager holds the inner ends now; the program keeps the outer two.
    ed_channel_leave_receiver(bed->commands);
    ed_channel_leave_sender(bed->events);
    return bed;
}

/** Ends all, and checks that nothing is left. */
static inline void bed_close(struct bed *bed)
{
    ed_manager_destroy(bed->manager);
    if (bed->commands != NULL)
        ed_channel_leave_sender(bed->commands);
    if (bed->events != NULL)
        ed_channel_leave_receiver(bed->events);
    ed_slots_destroy(bed->slots);
    ed_returns_free(&bed->returns);
    ed_pool_destroy(bed->pool);
    CHECK_EQ("memory", bed->memory.live_count, 0);
    CHECK_EQ("memory of events", bed->event_memory.live_count, 0);
    CHECK_EQ("payloads", bed->fake.payloads, 0);
}

/** The n-th peer's address. */
static inline eddy_address peer(uint32_t n)
{
    return ed_addr_ipv4(10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 9);
}

static inline void arrive(struct bed *bed, uint32_t from, uint32_t value)
{
    ED_ASSERT(bed->wire.in_count < WIRE_MAX);
    bed->wire.in[bed->wire.in_count++] =
        (struct wire_datagram){.remote = peer(from), .size = sizeof(value), .value = value};
}

/** Pushes a command; its payload is counted. @return what the channel says. */
static inline eddy_status say(struct bed *bed, const struct fake_command *command)
{
    eddy_status status = ed_channel_push(bed->commands, command, 1);

    bed->fake.payloads += status == EDDY_OK && command->has_payload ? 1 : 0;
    return status;
}

static inline void order(struct bed *bed, eddy_connection to, enum fake_order what, uint32_t value)
{
    struct fake_command command = {.head = {.kind = ED_COMMAND_TO_CONNECTION, .connection = to},
                                   .order = what,
                                   .value = value,
                                   .has_payload = true};
    CHECK_EQ("command", say(bed, &command), EDDY_OK);
}

/** Dials the n-th peer. @return the handle. */
static inline eddy_connection dial(struct bed *bed, uint32_t to)
{
    struct fake_command command = {.head = {.kind = ED_COMMAND_CONNECT,
                                            .connection = ed_slots_take_outgoing(bed->slots),
                                            .remote = peer(to)},
                                   .order = FAKE_CONNECT};
    CHECK("a slot", command.head.connection != 0);
    CHECK_EQ("command", say(bed, &command), EDDY_OK);
    return command.head.connection;
}

/** The program is done with something of a connection's. @return whether the manager asked to be
 * woken. */
static inline bool give_back(struct bed *bed, eddy_connection from, uint8_t stream)
{
    ed_block *block = ed_pool_take(bed->pool, 1);

    CHECK("block", block != NULL);
    block->note = (uint64_t)stream << 8;
    ed_return_mark(block, from);
    ed_returned alone = ed_returned_alone(block);
    return ed_returns_push(&bed->returns, &alone);
}

/** The program takes the last event of an incoming connection. */
static inline void hear_last(struct bed *bed, eddy_connection of)
{
    ed_block *block = ed_pool_take(bed->pool, 1);

    CHECK("block", block != NULL);
    ed_return_mark_last(block, of);
    ed_returned alone = ed_returned_alone(block);
    CHECK("nobody waits", !ed_returns_push(&bed->returns, &alone));
}

static inline void shut_down(struct bed *bed, uint32_t flush_ms)
{
    ed_ending_ask(&bed->ending, flush_ms);
}

static inline uint64_t poll_at(struct bed *bed, uint64_t now_ms)
{
    return ed_manager_poll(bed->manager, now_ms * ED_NS_PER_MS);
}

/** The next event; kind FAKE_NONE if there is none, with `*ended` telling whether one may come. */
static inline struct fake_event next_event(struct bed *bed, bool *ended)
{
    struct fake_event event = {.kind = FAKE_NONE};
    size_t count = 0;

    *ended = ed_channel_pull(bed->events, &event, 1, &count, 0) == EDDY_ECLOSED;
    if (event.kind == FAKE_FAILED)
        ed_slots_forget(bed->slots, event.connection); // its last, as its first
    return event;
}

static inline struct fake_event want_event(struct bed *bed, const char *name,
                                           enum fake_event_kind kind)
{
    bool ended = false;
    struct fake_event event = next_event(bed, &ended);

    CHECK_EQ(name, event.kind, kind);
    return event;
}

/** Makes the n-th peer a connection with one datagram, and takes its event. @return the handle. */
static inline eddy_connection meet(struct bed *bed, uint32_t from, uint64_t now_ms)
{
    arrive(bed, from, 0);
    poll_at(bed, now_ms);
    return want_event(bed, "newcomer", FAKE_DATAGRAM).connection;
}

#endif
