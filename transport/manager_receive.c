/** What comes to the manager: commands of the program, datagrams, and with them newcomers. */
#include "transport/check.h"
#include "transport/manager_state.h"

enum {
    EXPECT_MIN = 64,  /* connections: fewer stay in the caches */
    EXPECT_AHEAD = 2, /* datagrams: what they touch is fetched in two steps */
};

/** Whether a connection to that address is in the way. One that is over for the program is not. */
static bool is_dialled(ed_manager *m, const eddy_address *remote, uint64_t now_ns)
{
    ed_manager_slot *slot = ed_manager_find_address(m, remote, ED_SIDE_OUTGOING);

    if (slot == NULL)
        return false;
    ed_phase phase = m->parts.type->phase(slot->connection);
    if (phase != ED_PHASE_ENDED && phase != ED_PHASE_OVER)
        return true;
    m->parts.type->replace(slot->connection, now_ns);
    ed_manager_add_work(m, slot);
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
    ed_slots_show(m->parts.slots, command->connection); // before any event can name it
    eddy_status status = m->shutting_down ? EDDY_ECLOSED
                         : exists         ? EDDY_EEXIST
                                          : ed_manager_create_connection(m, &birth, now_ns);

    if (status == EDDY_OK)
        return;
    ed_manager_slot *slot = &m->slots[ed_slot_of(command->connection)];
    slot->handle = command->connection;
    ed_manager_aside *aside = ed_manager_aside_of(m, slot);
    aside->failed = m->parts.type->fail_connect(m->parts.type_context, command, status);
    ed_list_push_back(&m->untold, &aside->untold);
    ed_slots_end(m->parts.slots, slot->handle);
}

/* ------------------------------------------------------------------------ from the program -- */

/** Whose a block was that comes back. */
static eddy_connection owner_of(const ed_manager *m, const ed_block *block)
{
    return ed_return_connection(block, ed_slots_shard(m->parts.slots));
}

static void take_back(ed_manager *m, ed_block *blocks, uint64_t now_ns)
{
    ed_manager_slot *slot = ed_manager_find_handle(m, owner_of(m, blocks));
    void *connection = slot == NULL ? NULL : slot->connection;
    bool has_work = m->parts.type->returned(m->parts.type_context, connection, blocks, now_ns);

    ED_ASSERT(slot != NULL || !has_work);
    if (has_work)
        ed_manager_add_work(m, slot);
}

/** The program has heard the last of an incoming connection. */
static void take_last(ed_manager *m, ed_block *block)
{
    eddy_connection handle = owner_of(m, block);
    ed_manager_slot *slot = ed_manager_find_handle(m, handle);

    ed_pool_give(block);
    ed_slots_forget(m->parts.slots, handle);
    if (slot != NULL) // it still answers its peer, and gives its place up to a newcomer
        ed_list_push_back(&m->ended, &ed_manager_aside_of(m, slot)->ended);
}

/** Ends the list behind the run of blocks of one connection that it begins with. @return the rest.
 */
static ed_block *cut_run(ed_block *block)
{
    bool is_last = ed_return_is_last(block);

    while (!is_last && block->next != NULL && ed_return_is_same(block, block->next) &&
           !ed_return_is_last(block->next))
        block = block->next;
    ed_block *rest = block->next;
    block->next = NULL;
    return rest;
}

void ed_manager_take_returns(ed_manager *m, uint64_t now_ns)
{
    ed_block *rest = NULL;

    if (m->parts.returns == NULL)
        return;
    for (ed_block *run = ed_returns_take(m->parts.returns); run != NULL; run = rest) {
        rest = cut_run(run);
        if (ed_return_is_last(run))
            take_last(m, run);
        else
            take_back(m, run, now_ns);
    }
}

/** A name has been looked up. An address of its may be that of a connection which is here already.
 */
static void resolve_out(ed_manager *m, const ed_command *command, uint64_t now_ns)
{
    ed_manager_slot *slot = ed_manager_find_handle(m, command->connection);
    eddy_status status = EDDY_OK;

    if (slot == NULL)
        return; // it has ended meanwhile
    ED_ASSERT(m->parts.type->resolved != NULL);
    if (command->remote.family == EDDY_FAMILY_NONE)
        status = EDDY_ERESOLVE;
    else if (is_dialled(m, &command->remote, now_ns))
        status = EDDY_EEXIST;
    else
        status = ed_manager_add_address(m, slot, &command->remote);
    m->parts.type->resolved(slot->connection, &command->remote, command->more, status, now_ns);
    ed_manager_follow_connection(m, slot);
    ed_manager_add_work(m, slot);
}

static ed_command *command_at(const ed_manager *m, size_t i)
{
    return (ed_command *)(void *)((uint8_t *)m->commands + i * m->parts.type->command_size);
}

/** Where the run of commands to one connection ends that begins there. */
static size_t end_of_run(const ed_manager *m, size_t i, size_t count)
{
    eddy_connection connection = command_at(m, i)->connection;

    for (i++; i < count; i++) {
        const ed_command *command = command_at(m, i);
        if (command->kind != ED_COMMAND_TO_CONNECTION || command->connection != connection)
            break;
    }
    return i;
}

static void drop_stale(ed_manager *m, ed_command *command)
{
    m->parts.stats->commands_stale++;
    m->parts.type->drop_command(m->parts.type_context, command,
                                ed_manager_find_failed(m, command->connection));
}

/** @return how many of the `count` commands are handled by now. */
static size_t send_run(ed_manager *m, size_t i, size_t count, uint64_t now_ns)
{
    ed_manager_slot *slot = ed_manager_find_handle(m, command_at(m, i)->connection);
    size_t end = end_of_run(m, i, count);

    if (slot != NULL) {
        m->parts.type->send(slot->connection, command_at(m, i), end - i, now_ns);
        ed_manager_add_work(m, slot);
        return end;
    }
    for (; i < end; i++)
        drop_stale(m, command_at(m, i));
    return end;
}

/** @return the same. */
static size_t handle_commands(ed_manager *m, size_t i, size_t count, uint64_t now_ns)
{
    ed_command *command = command_at(m, i);

    switch (command->kind) {
    case ED_COMMAND_CONNECT:
        connect_out(m, command, now_ns);
        break;
    case ED_COMMAND_RESOLVED:
        resolve_out(m, command, now_ns);
        break;
    case ED_COMMAND_TO_CONNECTION:
        return send_run(m, i, count, now_ns);
    }
    return i + 1;
}

bool ed_manager_take_commands(ed_manager *m, uint64_t now_ns)
{
    size_t count = 0;

    for (size_t taken = 0; taken < ED_MANAGER_COMMAND_MAX; taken += count) {
        size_t most = ed_min_size(ED_MANAGER_BATCH, ED_MANAGER_COMMAND_MAX - taken);
        eddy_status status = ed_channel_pull(m->parts.commands, m->commands, most, &count, 0);
        m->commands_ended |= status == EDDY_ECLOSED;
        if (status == EDDY_ECLOSED && !m->shutting_down)
            ed_manager_shut_down(m, now_ns, now_ns); // nobody is left to say anything
        if (status != EDDY_OK)
            return false;
        for (size_t i = 0; i < count;)
            i = handle_commands(m, i, count, now_ns);
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

/** Who was chosen gives its place up. */
static void take_place(ed_manager *m, eddy_connection chosen)
{
    ed_manager_slot *slot = ed_manager_find_handle(m, chosen);

    if (slot == NULL)
        return;
    ED_ASSERT(slot->side == ED_SIDE_INCOMING && slot->is_half_open);
    ed_manager_destroy_connection(m, slot);
}

/** Where all places are taken, one whose program has heard the last of it gives its own up. */
static void make_place(ed_manager *m)
{
    ed_list_node *oldest = ed_list_first(&m->ended);

    if (oldest == NULL || ed_slots_left_incoming(m->parts.slots) > 0)
        return;
    ed_manager_destroy_connection(
        m, ed_manager_slot_of(m, ED_CONTAINER(oldest, ed_manager_aside, ended)));
}

static void create_incoming(ed_manager *m, const eddy_datagram *datagram, const void *existing,
                            uint64_t now_ns)
{
    eddy_connection handle = ed_slots_take_incoming(m->parts.slots);
    ed_birth birth = {.handle = handle,
                      .wire_id = ed_wire_id_of(handle),
                      .side = ED_SIDE_INCOMING,
                      .remote = datagram->remote,
                      .datagram = datagram,
                      .existing = existing};

    if (handle == 0) { // another shard took the last place since the load said that there is one
        m->parts.stats->dropped_limit++;
        return;
    }
    if (ed_manager_create_connection(m, &birth, now_ns) == EDDY_OK)
        return;
    m->parts.stats->dropped_memory++;
    ed_slots_give(m->parts.slots, handle);
}

/**
 * The network may hold a datagram back until its sender has begun anew: then it ends nothing.
 * @return whether there is a connection to make: instead of the one that is there, or beside it.
 */
static bool make_way(ed_manager *m, ed_manager_slot *slot, const eddy_datagram *datagram,
                     bool may_wait, uint64_t now_ns)
{
    const ed_connection_type *type = m->parts.type;
    ed_succession succession = type->supersedes == NULL
                                   ? ED_SUCCEEDS_NOW
                                   : type->supersedes(slot->connection, datagram, now_ns);

    ed_manager_add_work(m, slot); // it may have something to say about it
    if (succession == ED_SUCCEEDS_NOW)
        type->replace(slot->connection, now_ns);
    return succession == ED_SUCCEEDS_NOW || (succession == ED_SUCCEEDS_LATER && may_wait);
}

/** A newcomer that proved itself. Its address may be that of a connection which is still here. */
static void admit_created(ed_manager *m, const eddy_datagram *datagram, bool may_create,
                          const ed_load *load, uint64_t now_ns)
{
    ed_manager_slot *slot = ed_manager_find_address(m, &datagram->remote, ED_SIDE_INCOMING);

    if (slot != NULL && !make_way(m, slot, datagram, load->may_wait, now_ns)) {
        m->parts.stats->dropped_replayed++;
        return;
    }
    if (!may_create && load->chosen == 0) {
        m->parts.stats->dropped_limit++;
        return;
    }
    take_place(m, load->chosen);
    make_place(m);
    slot = ed_manager_find_address(m, &datagram->remote, ED_SIDE_INCOMING); // it may have been that
    create_incoming(m, datagram, slot == NULL ? NULL : slot->connection, now_ns);
}

static void admit(ed_manager *m, const eddy_datagram *datagram, uint64_t now_ns)
{
    ed_manager_slot *slot = ed_manager_find_address(m, &datagram->remote, ED_SIDE_INCOMING);
    bool is_full = ed_slots_left_incoming(m->parts.slots) == 0 && ed_list_first(&m->ended) == NULL;
    bool has_room = m->half_open_count < m->parts.half_open_max;
    ed_load load = {.may_create = !is_full && has_room,
                    .is_full = is_full,
                    .shutting_down = m->is_ending || m->shutting_down,
                    .existing = slot == NULL ? NULL : slot->connection};

    if (m->out_count == ED_MANAGER_BATCH && !ed_manager_flush_out(m)) {
        m->parts.stats->dropped_limit++; // no room even for a reply: the stranger will ask again
        return;
    }
    uint8_t *reply = m->out_data + m->out_count * ED_MANAGER_DATAGRAM_SIZE;
    size_t reply_size = ED_MANAGER_DATAGRAM_SIZE;
    m->out[m->out_count].data = reply;
    switch (
        m->parts.type->admit(m->parts.type_context, datagram, &load, reply, &reply_size, now_ns)) {
    case ED_ADMIT_NO:
        return;
    case ED_ADMIT_REPLY:
        queue_reply(m, datagram, reply_size);
        return;
    case ED_ADMIT_CONTINUE:
        slot = ed_manager_find_handle(m, load.chosen);
        ED_ASSERT(slot != NULL);
        m->parts.type->receive(slot->connection, datagram, now_ns);
        ed_manager_add_work(m, slot);
        return;
    case ED_ADMIT_CREATE:
        admit_created(m, datagram,
                      !is_full && SEC_CHECK(EDDY_CHECK_HALF_OPEN, has_room) && !load.shutting_down,
                      &load, now_ns);
        if (m->parts.type->forget_newcomer != NULL)
            m->parts.type->forget_newcomer(m->parts.type_context);
        return;
    }
}

static void take_datagram(ed_manager *m, const eddy_datagram *datagram, ed_route route,
                          uint64_t now_ns)
{
    ed_manager_slot *slot = NULL;

    m->parts.stats->received_datagrams++;
    m->parts.stats->received_bytes += datagram->size;
    if (route.kind == ED_ROUTE_ID || route.kind == ED_ROUTE_ID_OR_NEW)
        slot = ed_manager_find_wire_id(m, route.id);
    else if (route.kind == ED_ROUTE_KNOWN || route.kind == ED_ROUTE_KNOWN_OR_NEW)
        slot = ed_manager_find_address(m, &datagram->remote, route.side);

    if (slot != NULL) {
        m->parts.type->receive(slot->connection, datagram, now_ns);
        ed_manager_follow_connection(m, slot);
        ed_manager_add_work(m, slot);
    } else if (route.kind == ED_ROUTE_NEW || route.kind == ED_ROUTE_KNOWN_OR_NEW ||
               route.kind == ED_ROUTE_ID_OR_NEW) {
        admit(m, datagram, now_ns);
    } else {
        m->parts.stats->dropped_unknown++;
    }
}

/** Where the connection is likely to be. It is looked at in its own time. */
static const ed_manager_slot *likely_slot(const ed_manager *m, ed_route route)
{
    bool has_id = route.kind == ED_ROUTE_ID || route.kind == ED_ROUTE_ID_OR_NEW;

    return &m->slots[has_id ? ed_min_size(ed_slot_of_wire_id(route.id), m->slot_count) : 0];
}

/** Fetches, of what the `at`th will touch, the first line; and of the one before that, the rest. */
static void expect(const ed_manager *m, const ed_manager_slot *const *slots, size_t at,
                   size_t count)
{
    if (at < count)
        ed_prefetch(slots[at]->connection);
    if (at < EXPECT_AHEAD || at - EXPECT_AHEAD >= count)
        return;
    const void *connection = slots[at - EXPECT_AHEAD]->connection;
    if (connection != NULL)
        m->parts.type->expect(connection);
}

/** Of many connections none is in the processor's caches when its turn comes. */
static void take_batch(ed_manager *m, size_t count, uint64_t now_ns)
{
    ED_UNCLEARED ed_route routes[ED_MANAGER_BATCH];
    ED_UNCLEARED const ed_manager_slot *slots[ED_MANAGER_BATCH];
    bool expects = m->parts.type->expect != NULL && m->connection_count >= EXPECT_MIN;

    for (size_t i = 0; i < count; i++)
        routes[i] = m->parts.type->route(m->parts.type_context, &m->in[i]);
    for (size_t i = 0; expects && i < count; i++) {
        slots[i] = likely_slot(m, routes[i]);
        ed_prefetch(slots[i]);
    }
    for (size_t i = 0; expects && i < 2 * EXPECT_AHEAD; i++)
        expect(m, slots, i, count);
    for (size_t i = 0; i < count; i++) {
        if (expects)
            expect(m, slots, i + 2 * EXPECT_AHEAD, count);
        take_datagram(m, &m->in[i], routes[i], now_ns);
    }
}

bool ed_manager_take_datagrams(ed_manager *m, uint64_t now_ns)
{
    const eddy_socket *socket = m->parts.socket;
    size_t count = 0;

    for (size_t taken = 0; taken < ED_MANAGER_RECEIVE_MAX; taken += count) {
        size_t most = ed_min_size(ED_MANAGER_BATCH, ED_MANAGER_RECEIVE_MAX - taken);
        count = socket->receive(socket->context, m->in, most);
        if (count == 0)
            return false;
        take_batch(m, count, now_ns);
    }
    return true;
}

void ed_manager_take_extra(ed_manager *m, uint64_t now_ns)
{
    for (ed_list_node *node = ed_list_pop_front(&m->ready); node != NULL;
         node = ed_list_pop_front(&m->ready)) {
        ed_manager_slot *slot = ed_manager_slot_of(m, ED_CONTAINER(node, ed_manager_aside, ready));
        const eddy_socket *socket = m->parts.type->extra_socket(slot->connection);
        size_t count = 1;
        for (size_t taken = 0; taken < ED_MANAGER_EXTRA_MAX && count > 0; taken += count) {
            size_t most = ed_min_size(ED_MANAGER_BATCH, ED_MANAGER_EXTRA_MAX - taken);
            count = socket->receive(socket->context, m->in, most);
            for (size_t i = 0; i < count; i++)
                m->parts.type->receive_extra(slot->connection, &m->in[i], now_ns);
        }
        ed_manager_add_work(m, slot);
    }
}

void ed_manager_readable(ed_manager *m, eddy_connection handle)
{
    ed_manager_slot *slot = ed_manager_find_handle(m, handle);

    ED_ASSERT(m->parts.type->extra_socket != NULL && m->parts.type->receive_extra != NULL);
    ed_manager_aside *aside = slot == NULL ? NULL : ed_manager_aside_of(m, slot);
    if (aside != NULL && !ed_list_linked(&aside->ready))
        ed_list_push_back(&m->ready, &aside->ready);
}
