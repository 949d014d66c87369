#include "transport/manager.h"

#include <string.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/deadline.h"
#include "core/list.h"
#include "core/map.h"

enum {
    KEY_SIZE = sizeof(eddy_address) + 1,
    EXTRA_RECEIVE_MAX = 256, /* datagrams of one connection's own socket in one poll */
};

#define RETRY_NS                                                                                   \
    (10 * ED_NS_PER_MS) /* after there was no memory for events, or no room in the socket */

/** One connection, as the manager sees it. */
struct slot {
    ed_list_node work;  /* in ed_manager.work while it may have something to give out */
    ed_list_node ready; /* in ed_manager.ready while its own socket is to be read */
    void *connection;   /* NULL: the slot is free */
    eddy_connection handle;
    uint8_t key[KEY_SIZE]; /* in the map of addresses */
    ed_side side;
    bool is_half_open;
};

struct ed_manager {
    ed_manager_parts parts;
    struct slot *slots;
    uint32_t slot_count;
    ed_map *addresses; /* remote address and side -> slot */
    ed_deadlines *deadlines;
    ed_list work;
    ed_list ready;
    uint32_t connection_count;
    uint32_t incoming_count;
    uint32_t half_open_count;
    bool shutting_down;
    uint64_t shutdown_until_ns;
    bool commands_ended; /* the channel is closed, and empty */
    bool is_done;
    bool is_blocked; /* the socket had no room for all that was sent last */

    void *commands;  /* ED_MANAGER_BATCH items */
    uint8_t *events; /* ED_MANAGER_BATCH items, event_count of them not yet pushed */
    size_t event_count;
    eddy_datagram out[ED_MANAGER_BATCH]; /* out_count of them not yet sent */
    uint8_t *out_data;
    size_t out_count;
};

static const ed_connection_type *type_of(const ed_manager *m)
{
    return m->parts.type;
}

/* ----------------------------------------------------------------------------- life of one -- */

ed_manager *ed_manager_create(const ed_manager_parts *parts)
{
    const eddy_allocator *allocator = parts->allocator;
    uint8_t hash_key[ED_MAP_HASH_KEY_SIZE];
    ed_manager *m = ed_alloc_zeroed(allocator, sizeof(*m));

    if (m == NULL)
        return NULL;
    ED_ASSERT(parts->type->receive != NULL && parts->type->phase != NULL);
    m->parts = *parts;
    m->slot_count = ed_slots_count(parts->slots);
    parts->entropy->fill(parts->entropy->context, hash_key, sizeof(hash_key));
    m->slots = ed_alloc_array(allocator, (size_t)m->slot_count + 1, sizeof(*m->slots));
    m->addresses = ed_map_create(allocator, KEY_SIZE, ED_MANAGER_BATCH, hash_key);
    m->deadlines = ed_deadlines_create(allocator, m->slot_count + 1);
    m->commands = ed_alloc_array(allocator, ED_MANAGER_BATCH, parts->type->command_size);
    m->events = ed_alloc_array(allocator, ED_MANAGER_BATCH, parts->type->event_size);
    m->out_data = ed_alloc_array(allocator, ED_MANAGER_BATCH, ED_MANAGER_DATAGRAM_SIZE);
    ed_list_init(&m->work);
    ed_list_init(&m->ready);
    ed_channel_add_receiver(parts->commands);
    ed_channel_add_sender(parts->events);
    if (m->slots == NULL || m->addresses == NULL || m->deadlines == NULL || m->commands == NULL ||
        m->events == NULL || m->out_data == NULL) {
        ed_manager_destroy(m);
        return NULL;
    }
    return m;
}

static void destroy_connection(ed_manager *m, struct slot *slot)
{
    uint32_t known = 0;
    uint32_t index = (uint32_t)(slot - m->slots);

    ED_ASSERT(slot->connection != NULL && m->connection_count > 0);
    ed_list_remove(&slot->work);
    ed_list_remove(&slot->ready);
    ed_deadlines_set(m->deadlines, index, ED_NEVER_NS);
    // A connection that replaced this one may own the address by now.
    if (ed_map_get(m->addresses, slot->key, &known) && known == index)
        (void)ed_map_remove(m->addresses, slot->key);
    type_of(m)->destroy(slot->connection);
    ed_alloc_free(m->parts.allocator, slot->connection, type_of(m)->connection_size);
    ed_slots_give(m->parts.slots, slot->handle);
    m->connection_count--;
    m->incoming_count -= slot->side == ED_SIDE_INCOMING ? 1 : 0;
    m->half_open_count -= slot->is_half_open ? 1 : 0;
    *slot = (struct slot){0};
}

void ed_manager_destroy(ed_manager *m)
{
    if (m == NULL)
        return;
    const eddy_allocator *allocator = m->parts.allocator;
    size_t event_size = type_of(m)->event_size;

    for (uint32_t i = 0; m->slots != NULL && i < m->slot_count; i++)
        if (m->slots[i].connection != NULL)
            destroy_connection(m, &m->slots[i]);
    for (size_t i = 0; i < m->event_count; i++)
        type_of(m)->drop_event(m->parts.type_context, m->events + i * event_size);
    ed_channel_leave_receiver(m->parts.commands);
    ed_channel_leave_sender(m->parts.events);
    ed_alloc_free(allocator, m->slots, ((size_t)m->slot_count + 1) * sizeof(*m->slots));
    ed_map_destroy(m->addresses);
    ed_deadlines_destroy(m->deadlines);
    ed_alloc_free(allocator, m->commands, ED_MANAGER_BATCH * type_of(m)->command_size);
    ed_alloc_free(allocator, m->events, ED_MANAGER_BATCH * event_size);
    ed_alloc_free(allocator, m->out_data, (size_t)ED_MANAGER_BATCH * ED_MANAGER_DATAGRAM_SIZE);
    ed_alloc_free(allocator, m, sizeof(*m));
}

/* ------------------------------------------------------------------------------- the table -- */

static void make_key(uint8_t key[KEY_SIZE], const eddy_address *remote, ed_side side)
{
    memcpy(key, remote, sizeof(*remote));
    key[sizeof(*remote)] = (uint8_t)side;
}

static struct slot *find_address(const ed_manager *m, const eddy_address *remote, ed_side side)
{
    uint8_t key[KEY_SIZE];
    uint32_t index = 0;

    make_key(key, remote, side);
    return ed_map_get(m->addresses, key, &index) ? &m->slots[index] : NULL;
}

static struct slot *find_handle(const ed_manager *m, eddy_connection handle)
{
    uint32_t index = ed_slot_of(handle);
    bool is_here = index < m->slot_count && m->slots[index].connection != NULL &&
                   m->slots[index].handle == handle;

    return is_here ? &m->slots[index] : NULL;
}

static struct slot *find_wire_id(const ed_manager *m, uint32_t id)
{
    uint32_t index = ed_slot_of_wire_id(id);
    struct slot *slot = index < m->slot_count ? &m->slots[index] : NULL;
    bool is_its = slot != NULL && slot->connection != NULL && slot->side == ED_SIDE_INCOMING &&
                  ed_wire_id_of(slot->handle, m->parts.shard) == id;

    return is_its ? slot : NULL;
}

/** It may have something to give out at the end of this poll. */
static void add_work(ed_manager *m, struct slot *slot)
{
    if (!ed_list_linked(&slot->work))
        ed_list_push_back(&m->work, &slot->work);
}

static eddy_status create_connection(ed_manager *m, const ed_birth *birth, uint64_t now_ns)
{
    struct slot *slot = &m->slots[ed_slot_of(birth->handle)];
    void *connection = ed_alloc_zeroed(m->parts.allocator, type_of(m)->connection_size);

    ED_ASSERT(slot->connection == NULL);
    if (connection == NULL)
        return EDDY_ENOMEM;
    make_key(slot->key, &birth->remote, birth->side);
    eddy_status status = ed_map_put(m->addresses, slot->key, ed_slot_of(birth->handle));
    if (status == EDDY_OK)
        status = type_of(m)->create(m->parts.type_context, connection, birth, now_ns);
    if (status != EDDY_OK) {
        (void)ed_map_remove(m->addresses, slot->key);
        ed_alloc_free(m->parts.allocator, connection, type_of(m)->connection_size);
        return status;
    }
    slot->connection = connection;
    slot->handle = birth->handle;
    slot->side = birth->side;
    slot->is_half_open = birth->side == ED_SIDE_INCOMING;
    m->connection_count++;
    m->incoming_count += birth->side == ED_SIDE_INCOMING ? 1 : 0;
    m->half_open_count += slot->is_half_open ? 1 : 0;
    add_work(m, slot);
    return EDDY_OK;
}

/* -------------------------------------------------------------------------- from the program -- */

static bool flush_events(ed_manager *m);
static bool flush_out(ed_manager *m);

static void begin_shutdown(ed_manager *m, uint64_t flush_ns, uint64_t now_ns)
{
    uint64_t until_ns = ed_add_sat_u64(now_ns, flush_ns);

    // A second shutdown can only bring the end nearer.
    if (m->shutting_down && until_ns >= m->shutdown_until_ns)
        return;
    m->shutting_down = true;
    m->shutdown_until_ns = until_ns;
    for (uint32_t i = 0; i < m->slot_count; i++) {
        if (m->slots[i].connection == NULL)
            continue;
        type_of(m)->shutdown(m->slots[i].connection, flush_ns, now_ns);
        add_work(m, &m->slots[i]);
    }
}

/** Whether a connection to that address is in the way. One that is over for the program is not. */
static bool is_dialled(ed_manager *m, const eddy_address *remote, uint64_t now_ns)
{
    struct slot *slot = find_address(m, remote, ED_SIDE_OUTGOING);

    if (slot == NULL)
        return false;
    ed_phase phase = type_of(m)->phase(slot->connection);
    if (phase != ED_PHASE_ENDED && phase != ED_PHASE_OVER)
        return true;
    type_of(m)->replace(slot->connection, now_ns);
    add_work(m, slot);
    return false;
}

/** Dials. The caller has a handle already, so a failure is told by its one and only event. */
static void connect_out(ed_manager *m, ed_command *command, uint64_t now_ns)
{
    ed_birth birth = {.handle = command->connection,
                      .side = ED_SIDE_OUTGOING,
                      .remote = command->remote,
                      .command = command};
    bool exists = is_dialled(m, &command->remote, now_ns);
    eddy_status status = m->shutting_down ? EDDY_ECLOSED
                         : exists         ? EDDY_EEXIST
                                          : create_connection(m, &birth, now_ns);

    if (status == EDDY_OK)
        return;
    ED_ASSERT(m->event_count < ED_MANAGER_BATCH); // take_commands left room
    type_of(m)->fail_connect(m->parts.type_context, command, status,
                             m->events + m->event_count * type_of(m)->event_size);
    m->event_count++;
    ed_slots_give(m->parts.slots, command->connection);
}

static void handle_command(ed_manager *m, ed_command *command, uint64_t now_ns)
{
    struct slot *slot = NULL;

    switch (command->kind) {
    case ED_COMMAND_SHUTDOWN:
        begin_shutdown(m, command->flush_ns, now_ns);
        return;
    case ED_COMMAND_CONNECT:
        connect_out(m, command, now_ns);
        return;
    case ED_COMMAND_TO_CONNECTION:
        slot = find_handle(m, command->connection);
        if (slot == NULL) {
            m->parts.stats->commands_stale++;
            type_of(m)->drop_command(m->parts.type_context, command);
            return;
        }
        type_of(m)->send(slot->connection, command, now_ns);
        add_work(m, slot);
        return;
    }
}

/** @return whether there may be more. */
static bool take_commands(ed_manager *m, uint64_t now_ns)
{
    size_t size = type_of(m)->command_size;
    size_t count = 0;

    for (size_t taken = 0; taken < ED_MANAGER_COMMAND_MAX; taken += count) {
        // A command can make an event at once; no more are taken than there is room for.
        (void)flush_events(m);
        size_t room = ED_MANAGER_BATCH - m->event_count;
        eddy_status status = room == 0
                                 ? EDDY_EAGAIN
                                 : ed_channel_pull(m->parts.commands, m->commands, room, &count, 0);
        m->commands_ended |= status == EDDY_ECLOSED;
        if (status == EDDY_ECLOSED && !m->shutting_down)
            begin_shutdown(m, 0, now_ns); // nobody is left to say anything
        if (status != EDDY_OK)
            return false;
        for (size_t i = 0; i < count; i++)
            handle_command(m, (ed_command *)(void *)((uint8_t *)m->commands + i * size), now_ns);
    }
    return true;
}

/* ------------------------------------------------------------------------ from the network -- */

static void queue_reply(ed_manager *m, const eddy_datagram *cause, size_t size)
{
    ED_ASSERT(m->out_count < ED_MANAGER_BATCH && size <= cause->size);
    eddy_datagram *reply = &m->out[m->out_count++];

    reply->remote = cause->remote;
    reply->local = cause->local;
    reply->size = size;
    reply->ecn = 0;
    m->parts.stats->replied_stateless++;
}

static void create_incoming(ed_manager *m, const eddy_datagram *datagram, uint64_t now_ns)
{
    eddy_connection handle = ed_slots_take_incoming(m->parts.slots);
    ed_birth birth = {.handle = handle,
                      .wire_id = ed_wire_id_of(handle, m->parts.shard),
                      .side = ED_SIDE_INCOMING,
                      .remote = datagram->remote,
                      .datagram = datagram};

    ED_ASSERT(handle != 0); // the load said that there is room
    if (create_connection(m, &birth, now_ns) != EDDY_OK) {
        m->parts.stats->dropped_memory++;
        ed_slots_give(m->parts.slots, handle);
    }
}

/** The network may hold a datagram back until its sender has begun anew: then it ends nothing. */
static bool is_overtaken(const ed_manager *m, const struct slot *slot,
                         const eddy_datagram *datagram)
{
    return type_of(m)->supersedes != NULL && !type_of(m)->supersedes(slot->connection, datagram);
}

/** A newcomer that proved itself. Its address may be that of a connection which is still here. */
static void admit_created(ed_manager *m, const eddy_datagram *datagram, bool may_create,
                          uint64_t now_ns)
{
    struct slot *slot = find_address(m, &datagram->remote, ED_SIDE_INCOMING);

    if (slot != NULL && type_of(m)->continues(slot->connection, datagram)) {
        type_of(m)->receive(slot->connection, datagram, now_ns);
        add_work(m, slot);
        return;
    }
    if (slot != NULL && is_overtaken(m, slot, datagram)) {
        m->parts.stats->dropped_replayed++;
        return;
    }
    if (slot != NULL) {
        type_of(m)->replace(slot->connection, now_ns);
        add_work(m, slot);
    }
    if (may_create)
        create_incoming(m, datagram, now_ns);
    else
        m->parts.stats->dropped_limit++;
}

static void admit(ed_manager *m, const eddy_datagram *datagram, uint64_t now_ns)
{
    bool is_full = m->incoming_count >= m->parts.incoming_max;
    ed_load load = {.may_create = !is_full && m->half_open_count < m->parts.half_open_max,
                    .is_full = is_full,
                    .shutting_down = m->shutting_down,
                    .has_connection = find_address(m, &datagram->remote, ED_SIDE_INCOMING) != NULL};

    if (m->out_count == ED_MANAGER_BATCH && !flush_out(m)) {
        m->parts.stats->dropped_limit++; // no room even for a reply: the stranger will ask again
        return;
    }
    uint8_t *reply = m->out_data + m->out_count * ED_MANAGER_DATAGRAM_SIZE;
    size_t reply_size = ED_MANAGER_DATAGRAM_SIZE;
    m->out[m->out_count].data = reply;
    switch (type_of(m)->admit(m->parts.type_context, datagram, &load, reply, &reply_size, now_ns)) {
    case ED_ADMIT_NO:
        return;
    case ED_ADMIT_REPLY:
        queue_reply(m, datagram, reply_size);
        return;
    case ED_ADMIT_CREATE:
        admit_created(m, datagram, load.may_create && !load.shutting_down, now_ns);
        return;
    }
}

static void take_datagram(ed_manager *m, const eddy_datagram *datagram, uint64_t now_ns)
{
    ed_route route = type_of(m)->route(m->parts.type_context, datagram);
    struct slot *slot = NULL;

    m->parts.stats->received_datagrams++;
    m->parts.stats->received_bytes += datagram->size;
    if (route.kind == ED_ROUTE_ID)
        slot = find_wire_id(m, route.id);
    else if (route.kind == ED_ROUTE_KNOWN || route.kind == ED_ROUTE_KNOWN_OR_NEW)
        slot = find_address(m, &datagram->remote, route.side);

    if (slot != NULL) {
        type_of(m)->receive(slot->connection, datagram, now_ns);
        add_work(m, slot);
    } else if (route.kind == ED_ROUTE_NEW || route.kind == ED_ROUTE_KNOWN_OR_NEW) {
        admit(m, datagram, now_ns);
    } else {
        m->parts.stats->dropped_unknown++;
    }
}

/** @return whether there may be more. */
static bool take_datagrams(ed_manager *m, uint64_t now_ns)
{
    const eddy_socket *socket = m->parts.socket;
    eddy_datagram batch[ED_MANAGER_BATCH];
    size_t count = 0;

    for (size_t taken = 0; taken < ED_MANAGER_RECEIVE_MAX; taken += count) {
        count = socket->receive(socket->context, batch, ED_MANAGER_BATCH);
        if (count == 0)
            return false;
        for (size_t i = 0; i < count; i++)
            take_datagram(m, &batch[i], now_ns);
    }
    return true;
}

/** Reads the sockets that belong to connections, of those that are said to be readable. */
static void take_extra(ed_manager *m, uint64_t now_ns)
{
    eddy_datagram batch[ED_MANAGER_BATCH];

    for (ed_list_node *node = ed_list_pop_front(&m->ready); node != NULL;
         node = ed_list_pop_front(&m->ready)) {
        struct slot *slot = ED_CONTAINER(node, struct slot, ready);
        const eddy_socket *socket = type_of(m)->extra_socket(slot->connection);
        size_t count = 1;
        for (size_t taken = 0; taken < EXTRA_RECEIVE_MAX && count > 0; taken += count) {
            count = socket->receive(socket->context, batch, ED_MANAGER_BATCH);
            for (size_t i = 0; i < count; i++)
                type_of(m)->receive_extra(slot->connection, &batch[i], now_ns);
        }
        add_work(m, slot);
    }
}

void ed_manager_readable(ed_manager *m, eddy_connection handle)
{
    struct slot *slot = find_handle(m, handle);

    ED_ASSERT(type_of(m)->extra_socket != NULL && type_of(m)->receive_extra != NULL);
    if (slot != NULL && !ed_list_linked(&slot->ready))
        ed_list_push_back(&m->ready, &slot->ready);
}

/* -------------------------------------------------------------------------------------- time -- */

static void expire(ed_manager *m, uint64_t now_ns)
{
    uint32_t index = 0;

    while (ed_deadlines_pop(m->deadlines, now_ns, &index)) {
        ED_ASSERT(m->slots[index].connection != NULL);
        type_of(m)->expire(m->slots[index].connection, now_ns);
        add_work(m, &m->slots[index]);
    }
}

/* -------------------------------------------------------------------------- what comes out -- */

/** Sends what is queued. @return whether the queue has room now. */
static bool flush_out(ed_manager *m)
{
    const eddy_socket *socket = m->parts.socket;

    if (m->out_count == 0)
        return true;
    size_t taken = socket->send(socket->context, m->out, m->out_count);
    ED_ASSERT(taken <= m->out_count);
    for (size_t i = 0; i < taken; i++)
        m->parts.stats->sent_bytes += m->out[i].size;
    m->parts.stats->sent_datagrams += taken;
    // What the socket had no room for moves up, data and all, because the places are fixed.
    for (size_t i = taken; i < m->out_count && taken > 0; i++) {
        uint8_t *data = m->out_data + (i - taken) * ED_MANAGER_DATAGRAM_SIZE;
        memcpy(data, m->out[i].data, m->out[i].size);
        m->out[i - taken] = m->out[i];
        m->out[i - taken].data = data;
    }
    m->out_count -= taken;
    m->is_blocked = m->out_count > 0;
    return m->out_count < ED_MANAGER_BATCH;
}

/** Pushes the events that are gathered. @return whether there is room for more. */
static bool flush_events(ed_manager *m)
{
    if (m->event_count == 0)
        return true;
    eddy_status status = ed_channel_push(m->parts.events, m->events, m->event_count);
    if (status == EDDY_ENOMEM)
        return m->event_count < ED_MANAGER_BATCH; // they wait here; nothing is lost
    for (size_t i = 0; status == EDDY_ECLOSED && i < m->event_count; i++)
        type_of(m)->drop_event(m->parts.type_context, m->events + i * type_of(m)->event_size);
    m->event_count = 0;
    return true;
}

/** @return false if it has more events than there is room for. */
static bool drain_events(ed_manager *m, struct slot *slot)
{
    size_t size = type_of(m)->event_size;

    for (;;) {
        if (m->event_count == ED_MANAGER_BATCH && !flush_events(m))
            return false;
        if (!type_of(m)->event(slot->connection, m->events + m->event_count * size))
            return true;
        m->event_count++;
    }
}

/** @return false if it has more datagrams than there is room for. */
static bool drain_datagrams(ed_manager *m, struct slot *slot, uint64_t now_ns)
{
    for (;;) {
        if (m->out_count == ED_MANAGER_BATCH && (m->is_blocked || !flush_out(m)))
            return false;
        ed_output output = {.datagram.data = m->out_data + m->out_count * ED_MANAGER_DATAGRAM_SIZE};
        if (!type_of(m)->transmit(slot->connection, &output, now_ns))
            return true;
        ED_ASSERT(output.datagram.size <= ED_MANAGER_DATAGRAM_SIZE);
        if (output.through != NULL)
            (void)output.through->send(output.through->context, &output.datagram, 1);
        else
            m->out[m->out_count++] = output.datagram;
    }
}

/** Takes out of one connection all that it has to give. @return whether that was all. */
static bool serve(ed_manager *m, struct slot *slot, uint64_t now_ns)
{
    bool sent = drain_datagrams(m, slot, now_ns);
    bool told = drain_events(m, slot);
    ed_phase phase = type_of(m)->phase(slot->connection);

    if (slot->is_half_open && phase != ED_PHASE_HALF_OPEN) {
        slot->is_half_open = false;
        m->half_open_count--;
    }
    if (phase == ED_PHASE_OVER && told) {
        destroy_connection(m, slot);
        return true;
    }
    uint64_t next_ns = type_of(m)->next_ns(slot->connection);
    if (!sent || !told) // it stays at work; its time goes on all the same
        next_ns = ed_max_u64(next_ns, ed_add_sat_u64(now_ns, RETRY_NS));
    else
        ed_list_remove(&slot->work);
    ed_deadlines_set(m->deadlines, ed_slot_of(slot->handle), next_ns);
    return sent && told;
}

/** @return whether everything could be given out. */
static bool serve_all(ed_manager *m, uint64_t now_ns)
{
    bool all_out = true;
    ed_list_node *next = NULL;

    for (ed_list_node *node = ed_list_first(&m->work); node != NULL; node = next) {
        next = ed_list_next(&m->work, node);
        all_out &= serve(m, ED_CONTAINER(node, struct slot, work), now_ns);
    }
    return all_out;
}

/**
 * The last word: when no connection is left, the event channel ends. Before that no more commands
 * are let in, and those that came meanwhile are answered. @return whether there is more to do.
 */
static bool check_done(ed_manager *m, uint64_t now_ns)
{
    if (!m->shutting_down || m->connection_count > 0 || m->is_done)
        return false;
    ed_channel_close(m->parts.commands);
    bool more = take_commands(m, now_ns);
    if (!m->commands_ended || !flush_events(m) || m->event_count > 0)
        return more;
    m->is_done = true;
    ed_channel_close(m->parts.events);
    return false;
}

uint64_t ed_manager_poll(ed_manager *m, uint64_t now_ns)
{
    if (type_of(m)->begin_poll != NULL)
        type_of(m)->begin_poll(m->parts.type_context, now_ns);
    (void)flush_out(m);
    bool more = take_datagrams(m, now_ns);
    more |= take_commands(m, now_ns);
    take_extra(m, now_ns);
    expire(m, now_ns);
    bool all_out = serve_all(m, now_ns);
    (void)flush_out(m);
    (void)flush_events(m);
    more |= check_done(m, now_ns);
    if (more)
        return now_ns;
    uint64_t next_ns = ed_deadlines_next_ns(m->deadlines);
    if (!all_out || m->event_count > 0 || m->out_count > 0)
        next_ns = ed_min_u64(next_ns, ed_add_sat_u64(now_ns, RETRY_NS));
    return next_ns;
}

bool ed_manager_wants_send(const ed_manager *m)
{
    return m->out_count > 0;
}

bool ed_manager_is_done(const ed_manager *m)
{
    return m->is_done;
}

uint32_t ed_manager_connection_count(const ed_manager *m)
{
    return m->connection_count;
}

uint32_t ed_manager_half_open_count(const ed_manager *m)
{
    return m->half_open_count;
}
