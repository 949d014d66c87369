/** What leaves the manager: datagrams and events, of the connections that have work. */
#include <string.h>

#include "transport/manager_state.h"

bool ed_manager_flush_out(ed_manager *m)
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

static void tell_too_big(ed_manager *m, const eddy_datagram *datagram, ed_side side,
                         uint64_t now_ns)
{
    ed_manager_slot *slot = ed_manager_find_address(m, &datagram->remote, side);

    if (slot == NULL || slot->connection == NULL)
        return;
    m->parts.type->too_big(slot->connection, datagram->size, now_ns);
    ed_manager_add_work(m, slot);
    m->is_touched = true; // it was served before in this poll
}

void ed_manager_take_too_big(ed_manager *m, uint64_t now_ns)
{
    const eddy_socket *socket = m->parts.socket;
    eddy_datagram refused;

    if (socket->too_big == NULL || m->parts.type->too_big == NULL)
        return;
    while (socket->too_big(socket->context, &refused, 1) > 0) {
        tell_too_big(m, &refused, ED_SIDE_INCOMING, now_ns);
        tell_too_big(m, &refused, ED_SIDE_OUTGOING, now_ns);
    }
}

bool ed_manager_flush_events(ed_manager *m)
{
    if (m->parts.type->end_work != NULL)
        m->parts.type->end_work(m->parts.type_context);
    if (m->event_count == 0)
        return true;
    eddy_status status = ed_channel_push(m->parts.events, m->events, m->event_count);
    if (status == EDDY_ENOMEM)
        return m->event_count < ED_MANAGER_BATCH; // they wait here; nothing is lost
    for (size_t i = 0; status == EDDY_ECLOSED && i < m->event_count; i++)
        m->parts.type->drop_event(m->parts.type_context, m->events + i * m->parts.type->event_size);
    m->event_count = 0;
    return true;
}

/** @return false if it has more events than may be told now; otherwise nothing is left of it. */
static bool tell_failed(ed_manager *m, ed_manager_aside *aside)
{
    ed_manager_slot *slot = ed_manager_slot_of(m, aside);
    const ed_connection_type *type = m->parts.type;
    size_t size = type->event_size;
    bool is_last = false;

    if (type->may_tell_failed != NULL &&
        !type->may_tell_failed(m->parts.type_context, slot->handle))
        return false;
    while (!is_last) {
        if (m->event_count == ED_MANAGER_BATCH && !ed_manager_flush_events(m))
            return false;
        is_last = type->failed_event(aside->failed, m->events + m->event_count * size);
        m->event_count++;
    }
    ed_list_remove(&aside->untold);
    *aside = (ed_manager_aside){.failed = NULL};
    *slot = (ed_manager_slot){0};
    return true;
}

bool ed_manager_tell_failed(ed_manager *m)
{
    ed_list_node *node = NULL;

    while ((node = ed_list_first(&m->untold)) != NULL)
        if (!tell_failed(m, ED_CONTAINER(node, ed_manager_aside, untold)))
            return false;
    return true;
}

/** @return false if it has more events than may be told now. */
static bool drain_events(ed_manager *m, ed_manager_slot *slot)
{
    const ed_connection_type *type = m->parts.type;
    size_t size = type->event_size;

    for (;;) {
        if (m->event_count == ED_MANAGER_BATCH && !ed_manager_flush_events(m))
            return false;
        size_t most = ED_MANAGER_BATCH - m->event_count;
        size_t count = type->events(slot->connection, m->events + m->event_count * size, most);
        m->event_count += count;
        if (count < most)
            return type->awaits_senders == NULL || !type->awaits_senders(slot->connection);
    }
}

/** @return false if it has more datagrams than there is room for. */
static bool drain_datagrams(ed_manager *m, ed_manager_slot *slot, uint64_t now_ns)
{
    for (;;) {
        // What would wait here is made when it can leave: with what there is to say then.
        if (m->is_blocked || (m->out_count == ED_MANAGER_BATCH && !ed_manager_flush_out(m))) {
            if (m->parts.type->held_back != NULL)
                m->parts.type->held_back(slot->connection, now_ns);
            return false;
        }
        ed_output output = {.datagram.data = m->out_data + m->out_count * ED_MANAGER_DATAGRAM_SIZE};
        if (!m->parts.type->transmit(slot->connection, &output, now_ns))
            return true;
        ED_ASSERT(output.datagram.size <= ED_MANAGER_DATAGRAM_SIZE);
        if (output.through != NULL)
            (void)output.through->send(output.through->context, &output.datagram, 1);
        else
            m->out[m->out_count++] = output.datagram;
    }
}

/** Takes out of one connection all that it has to give. @return whether that was all. */
static bool serve(ed_manager *m, ed_manager_slot *slot, uint64_t now_ns)
{
    bool sent = drain_datagrams(m, slot, now_ns);
    bool told = drain_events(m, slot);
    ed_phase phase = m->parts.type->phase(slot->connection);

    if (phase != ED_PHASE_HALF_OPEN)
        ed_manager_end_half_open(m, slot);
    if (phase == ED_PHASE_OVER && told) {
        ed_manager_destroy_connection(m, slot);
        return true;
    }
    uint64_t next_ns = m->parts.type->next_ns(slot->connection);
    if (!sent || !told) // it stays at work; its time goes on all the same
        next_ns = ed_max_u64(next_ns, ed_manager_retry_ns(m, now_ns));
    else
        ed_list_remove(&slot->work);
    ed_deadlines_set(m->deadlines, ed_slot_of(slot->handle), next_ns);
    return sent && told;
}

/** Fetches what the next to be served will touch; and of the two behind it, what leads there. */
static void expect_next(const ed_manager *m, ed_list_node *next)
{
    ed_list_node *second = next == NULL ? NULL : ed_list_next(&m->work, next);
    ed_list_node *third = second == NULL ? NULL : ed_list_next(&m->work, second);

    if (m->parts.type->expect == NULL || next == NULL)
        return;
    if (third != NULL)
        ed_prefetch(third);
    if (second != NULL)
        ed_prefetch(ED_CONTAINER(second, ed_manager_slot, work)->connection);
    m->parts.type->expect(ED_CONTAINER(next, ed_manager_slot, work)->connection);
}

bool ed_manager_serve_all(ed_manager *m, uint64_t now_ns)
{
    bool all_out = true;
    ed_list_node *next = NULL;

    for (ed_list_node *node = ed_list_first(&m->work); node != NULL; node = next) {
        next = ed_list_next(&m->work, node);
        expect_next(m, next);
        all_out &= serve(m, ED_CONTAINER(node, ed_manager_slot, work), now_ns);
    }
    return all_out;
}
