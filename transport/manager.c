#include <string.h>

#include "core/alloc.h"
#include "transport/manager_state.h"

/* ----------------------------------------------------------------------------- life of one -- */

ed_manager *ed_manager_create(const ed_manager_parts *parts)
{
    const eddy_allocator *allocator = parts->allocator;
    uint8_t hash_key[ED_MAP_HASH_KEY_SIZE];
    ed_manager *m = ed_alloc_zeroed(allocator, sizeof(*m));

    if (m == NULL)
        return NULL;
    ED_ASSERT(parts->type->receive != NULL && parts->type->phase != NULL);
    ED_ASSERT(parts->returns == NULL || parts->type->returned != NULL);
    ED_ASSERT(parts->returns == NULL || parts->type->extra_socket == NULL); // `ended` or `ready`
    m->parts = *parts;
    m->slot_count = ed_slots_count(parts->slots);
    parts->entropy->fill(parts->entropy->context, hash_key, sizeof(hash_key));
    m->slots = ed_alloc_array(allocator, (size_t)m->slot_count + 1, sizeof(*m->slots));
    m->asides = ed_alloc_array(allocator, (size_t)m->slot_count + 1, sizeof(*m->asides));
    m->addresses = ed_map_create(allocator, ED_MANAGER_KEY_SIZE, m->slot_count, hash_key);
    m->deadlines = ed_deadlines_create(allocator, m->slot_count + 1);
    m->commands = ed_alloc_array(allocator, ED_MANAGER_BATCH, parts->type->command_size);
    m->events = ed_alloc_array(allocator, ED_MANAGER_BATCH, parts->type->event_size);
    m->out_data = ed_alloc_buffer(allocator, (size_t)ED_MANAGER_BATCH * ED_MANAGER_DATAGRAM_SIZE);
    ed_list_init(&m->work);
    ed_list_init(&m->ready);
    ed_list_init(&m->ended);
    ed_list_init(&m->untold);
    ed_channel_add_receiver(parts->commands);
    ed_channel_add_sender(parts->events);
    if (m->slots == NULL || m->asides == NULL || m->addresses == NULL || m->deadlines == NULL ||
        m->commands == NULL || m->events == NULL || m->out_data == NULL) {
        ed_manager_destroy(m);
        return NULL;
    }
    return m;
}

/** Takes an address of its off the map, unless a connection that came later owns it by now. */
static void forget_address(ed_manager *m, const ed_manager_slot *slot,
                           const uint8_t key[ED_MANAGER_KEY_SIZE])
{
    uint32_t known = 0;

    if (ed_map_get(m->addresses, key, &known) && &m->slots[known] == slot)
        (void)ed_map_remove(m->addresses, key);
}

/** It is found by its own address alone, if it has one. */
static void forget_aliases(ed_manager *m, ed_manager_slot *slot)
{
    ed_manager_aside *aside = ed_manager_aside_of(m, slot);
    ed_manager_alias *next = NULL;

    for (ed_manager_alias *alias = aside->aliases; alias != NULL; alias = next) {
        next = alias->next;
        if (memcmp(alias->key, slot->key, sizeof(slot->key)) != 0)
            forget_address(m, slot, alias->key);
        ed_alloc_free(m->parts.allocator, alias, sizeof(*alias));
    }
    aside->aliases = NULL;
}

void ed_manager_end_half_open(ed_manager *m, ed_manager_slot *slot)
{
    if (!slot->is_half_open)
        return;
    ED_ASSERT(m->half_open_count > 0);
    slot->is_half_open = false;
    m->half_open_count--;
}

void ed_manager_destroy_connection(ed_manager *m, ed_manager_slot *slot)
{
    ED_ASSERT(slot->connection != NULL && m->connection_count > 0);
    ed_list_remove(&slot->work);
    ed_list_remove(&ed_manager_aside_of(m, slot)->ended); // or `ready`
    const ed_connection_type *type = m->parts.type;
    bool is_known = type->is_known != NULL && type->is_known(slot->connection);

    ed_deadlines_set(m->deadlines, (uint32_t)(slot - m->slots), ED_NEVER_NS);
    forget_aliases(m, slot);
    forget_address(m, slot, slot->key);
    type->destroy(slot->connection);
    ed_alloc_free(m->parts.allocator, slot->connection, type->connection_size);
    if (is_known)
        ed_slots_end(m->parts.slots, slot->handle);
    else
        ed_slots_give(m->parts.slots, slot->handle);
    m->connection_count--;
    ed_manager_end_half_open(m, slot);
    *slot = (ed_manager_slot){0};
}

/** Nobody hears any more of dials that failed. */
static void drop_failed(ed_manager *m)
{
    for (ed_list_node *node = ed_list_pop_front(&m->untold); node != NULL;
         node = ed_list_pop_front(&m->untold)) {
        bool is_last = false;
        while (!is_last) {
            is_last = m->parts.type->failed_event(
                ED_CONTAINER(node, ed_manager_aside, untold)->failed, m->events);
            m->parts.type->drop_event(m->parts.type_context, m->events);
        }
    }
}

void ed_manager_destroy(ed_manager *m)
{
    if (m == NULL)
        return;
    const eddy_allocator *allocator = m->parts.allocator;
    size_t event_size = m->parts.type->event_size;

    for (uint32_t i = 0; m->slots != NULL && i < m->slot_count; i++)
        if (m->slots[i].connection != NULL)
            ed_manager_destroy_connection(m, &m->slots[i]);
    for (size_t i = 0; i < m->event_count; i++)
        m->parts.type->drop_event(m->parts.type_context, m->events + i * event_size);
    drop_failed(m);
    ed_channel_leave_receiver(m->parts.commands);
    if (!m->is_done)
        ed_channel_leave_sender(m->parts.events);
    ed_alloc_free(allocator, m->slots, ((size_t)m->slot_count + 1) * sizeof(*m->slots));
    ed_alloc_free(allocator, m->asides, ((size_t)m->slot_count + 1) * sizeof(*m->asides));
    ed_map_destroy(m->addresses);
    ed_deadlines_destroy(m->deadlines);
    ed_alloc_free(allocator, m->commands, ED_MANAGER_BATCH * m->parts.type->command_size);
    ed_alloc_free(allocator, m->events, ED_MANAGER_BATCH * event_size);
    ed_alloc_free(allocator, m->out_data, (size_t)ED_MANAGER_BATCH * ED_MANAGER_DATAGRAM_SIZE);
    ed_alloc_free(allocator, m, sizeof(*m));
}

/* ------------------------------------------------------------------------------- the table -- */

static void make_key(uint8_t key[ED_MANAGER_KEY_SIZE], const eddy_address *remote, ed_side side)
{
    memcpy(key, remote, sizeof(*remote));
    key[sizeof(*remote)] = (uint8_t)side;
}

ed_manager_slot *ed_manager_find_address(const ed_manager *m, const eddy_address *remote,
                                         ed_side side)
{
    uint8_t key[ED_MANAGER_KEY_SIZE];
    uint32_t index = 0;

    make_key(key, remote, side);
    return ed_map_get(m->addresses, key, &index) ? &m->slots[index] : NULL;
}

ed_manager_slot *ed_manager_find_handle(const ed_manager *m, eddy_connection handle)
{
    uint32_t index = ed_slot_of(handle);
    bool is_here = index < m->slot_count && m->slots[index].connection != NULL &&
                   m->slots[index].handle == handle;

    return is_here ? &m->slots[index] : NULL;
}

void *ed_manager_find_failed(const ed_manager *m, eddy_connection handle)
{
    uint32_t index = ed_slot_of(handle);
    bool is_here = index < m->slot_count && m->slots[index].connection == NULL &&
                   m->slots[index].handle == handle;

    return is_here ? m->asides[index].failed : NULL;
}

ed_manager_slot *ed_manager_find_wire_id(const ed_manager *m, uint32_t id)
{
    uint32_t index = ed_slot_of_wire_id(id);
    ed_manager_slot *slot = index < m->slot_count ? &m->slots[index] : NULL;
    bool is_its = slot != NULL && slot->connection != NULL && slot->side == ED_SIDE_INCOMING &&
                  ed_wire_id_of(slot->handle) == id;

    return is_its ? slot : NULL;
}

/** The address leads to it, and no more to who was there. @return EDDY_OK or EDDY_ENOMEM. */
static eddy_status put_address(ed_manager *m, ed_manager_slot *slot,
                               const uint8_t key[ED_MANAGER_KEY_SIZE])
{
    uint32_t index = 0;
    ed_manager_slot *before = ed_map_get(m->addresses, key, &index) ? &m->slots[index] : NULL;

    eddy_status status = ed_map_put(m->addresses, key, (uint32_t)(slot - m->slots));
    if (status == EDDY_OK && before != NULL && memcmp(before->key, key, ED_MANAGER_KEY_SIZE) == 0)
        before->is_mapped = false;
    return status;
}

eddy_status ed_manager_set_address(ed_manager *m, ed_manager_slot *slot, const eddy_address *remote)
{
    uint8_t key[ED_MANAGER_KEY_SIZE];

    if (slot->is_mapped && memcmp(slot->key, remote, sizeof(*remote)) == 0)
        return EDDY_OK; // the side stays what it is
    make_key(key, remote, slot->side);
    eddy_status status = put_address(m, slot, key);
    if (status != EDDY_OK)
        return status;
    if (memcmp(key, slot->key, sizeof(key)) != 0)
        forget_address(m, slot, slot->key);
    memcpy(slot->key, key, sizeof(key));
    slot->is_mapped = true;
    forget_aliases(m, slot);
    return EDDY_OK;
}

eddy_status ed_manager_add_address(ed_manager *m, ed_manager_slot *slot, const eddy_address *remote)
{
    ed_manager_alias *alias = ed_alloc_zeroed(m->parts.allocator, sizeof(*alias));

    if (alias == NULL)
        return EDDY_ENOMEM;
    make_key(alias->key, remote, slot->side);
    eddy_status status = put_address(m, slot, alias->key);
    if (status != EDDY_OK) {
        ed_alloc_free(m->parts.allocator, alias, sizeof(*alias));
        return status;
    }
    ed_manager_aside *aside = ed_manager_aside_of(m, slot);
    alias->next = aside->aliases;
    aside->aliases = alias;
    return EDDY_OK;
}

/**
 * Whoever proves an address last owns it. The one that had it before keeps its connection, which
 * datagrams find by id, and gets an address again when it proves one: two clients behind one NAT
 * may swap theirs. Without memory the old address stays on the map until the next datagram.
 */
void ed_manager_follow_connection(ed_manager *m, ed_manager_slot *slot)
{
    ED_ASSERT(slot->connection != NULL);
    if (m->parts.type->remote == NULL)
        return;
    eddy_address remote = m->parts.type->remote(slot->connection);
    eddy_status status = ed_manager_set_address(m, slot, &remote);
    (void)status; // tried again at the next datagram
}

void ed_manager_add_work(ed_manager *m, ed_manager_slot *slot)
{
    if (!ed_list_linked(&slot->work))
        ed_list_push_back(&m->work, &slot->work);
}

/** Makes what the address leads to. On failure it leads to whom it led before. */
static eddy_status create_at(ed_manager *m, ed_manager_slot *slot, void *connection,
                             const ed_birth *birth, uint64_t now_ns)
{
    ed_manager_slot *before = ed_manager_find_address(m, &birth->remote, birth->side);

    slot->side = birth->side;
    eddy_status status = ed_manager_set_address(m, slot, &birth->remote);
    if (status != EDDY_OK)
        return status;
    status = m->parts.type->create(m->parts.type_context, connection, birth, now_ns);
    if (status == EDDY_OK)
        return EDDY_OK;
    forget_address(m, slot, slot->key);
    slot->is_mapped = false;
    if (before != NULL) {
        eddy_status back = ed_manager_set_address(m, before, &birth->remote);
        ED_ASSERT(back == EDDY_OK); // there is the room of the one that was taken out
    }
    return status;
}

eddy_status ed_manager_create_connection(ed_manager *m, const ed_birth *birth, uint64_t now_ns)
{
    ed_manager_slot *slot = &m->slots[ed_slot_of(birth->handle)];
    void *connection = ed_alloc_zeroed(m->parts.allocator, m->parts.type->connection_size);

    ED_ASSERT(slot->connection == NULL && ed_manager_aside_of(m, slot)->failed == NULL);
    if (connection == NULL)
        return EDDY_ENOMEM;
    eddy_status status = create_at(m, slot, connection, birth, now_ns);
    if (status != EDDY_OK) {
        ed_alloc_free(m->parts.allocator, connection, m->parts.type->connection_size);
        return status;
    }
    slot->connection = connection;
    slot->handle = birth->handle;
    slot->is_half_open = birth->side == ED_SIDE_INCOMING;
    m->connection_count++;
    m->half_open_count += slot->is_half_open ? 1 : 0;
    ed_manager_add_work(m, slot);
    return EDDY_OK;
}

/* -------------------------------------------------------------------------------------- time -- */

static void expire(ed_manager *m, uint64_t now_ns)
{
    uint32_t index = 0;

    while (ed_deadlines_pop(m->deadlines, now_ns, &index)) {
        ED_ASSERT(m->slots[index].connection != NULL);
        m->parts.type->expire(m->slots[index].connection, now_ns);
        ed_manager_add_work(m, &m->slots[index]);
    }
}

/** Takes what the program said; if it is to end, all of it. @return whether there may be more. */
static bool take_said(ed_manager *m, uint64_t now_ns)
{
    bool has_commands = false;

    do {
        has_commands = ed_manager_take_commands(m, now_ns);
    } while (has_commands && m->is_ending);
    if (!has_commands && m->parts.type->end_commands != NULL)
        m->parts.type->end_commands(m->parts.type_context);
    if (m->is_ending)
        ed_manager_shut_down(m, m->shutdown_until_ns, now_ns);
    return has_commands;
}

/** Whether a word has come since it was looked for: the look for commands takes its ring away. */
static bool has_been_told(const ed_manager *m)
{
    return (m->parts.returns != NULL && ed_returns_came(m->parts.returns)) ||
           (m->parts.ending != NULL && ed_ending_came(m->parts.ending));
}

static uint64_t work(ed_manager *m, bool receives, uint64_t now_ns)
{
    ed_manager_take_returns(m, now_ns);
    if (m->parts.type->begin_poll != NULL)
        m->parts.type->begin_poll(m->parts.type_context, now_ns); // with what came back in place
    (void)ed_manager_flush_out(m);
    ed_manager_take_ending(m, now_ns);
    if (receives)
        m->has_datagrams = ed_manager_take_datagrams(m, now_ns);
    bool has_commands = take_said(m, now_ns);
    ed_manager_take_extra(m, now_ns);
    if (receives)
        expire(m, now_ns); // what has come may be what they wait for
    m->is_touched = false; // until here they are served in this poll
    bool all_out = ed_manager_serve_all(m, now_ns);
    if (!has_commands)
        all_out &= ed_manager_tell_failed(m);
    (void)ed_manager_flush_out(m);
    ed_manager_take_too_big(m, now_ns);
    (void)ed_manager_flush_events(m);
    if (m->parts.type->reckon_ahead != NULL)
        m->parts.type->reckon_ahead(m->parts.type_context);
    bool more = ed_manager_check_done(m, now_ns) || has_commands || m->is_touched;
    if (more || m->has_datagrams || has_been_told(m))
        return now_ns;
    uint64_t next_ns = ed_deadlines_next_ns(m->deadlines);
    if (!all_out || m->event_count > 0 || m->out_count > 0 || m->waits_to_end)
        next_ns = ed_min_u64(next_ns, ed_manager_retry_ns(m, now_ns));
    return next_ns;
}

uint64_t ed_manager_poll(ed_manager *m, uint64_t now_ns)
{
    return work(m, true, now_ns);
}

uint64_t ed_manager_flush(ed_manager *m, uint64_t now_ns)
{
    return work(m, false, now_ns);
}

void ed_manager_touch(ed_manager *m, eddy_connection handle)
{
    ed_manager_slot *slot = ed_manager_find_handle(m, handle);

    if (slot == NULL)
        return;
    ed_manager_add_work(m, slot);
    m->is_touched = true;
}

bool ed_manager_wants_send(const ed_manager *m)
{
    return m->out_count > 0;
}

bool ed_manager_is_done(const ed_manager *m)
{
    return m->is_done;
}

void *ed_manager_connection(const ed_manager *m, eddy_connection handle)
{
    const ed_manager_slot *slot = ed_manager_find_handle(m, handle);

    return slot == NULL ? NULL : slot->connection;
}

uint32_t ed_manager_connection_count(const ed_manager *m)
{
    return m->connection_count;
}

uint32_t ed_manager_half_open_count(const ed_manager *m)
{
    return m->half_open_count;
}
