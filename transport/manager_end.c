/** How the manager ends: the commands before the request, the connections, the events. */
#include "transport/manager_state.h"

/** From here on nobody new is let in, and no connection is told to have begun. */
static void stop_admitting(ed_manager *m, uint64_t now_ns)
{
    m->is_ending = true;
    for (uint32_t i = 0; m->parts.type->stop_admitting != NULL && i < m->slot_count; i++) {
        if (m->slots[i].connection == NULL)
            continue;
        m->parts.type->stop_admitting(m->slots[i].connection, now_ns);
        ed_manager_add_work(m, &m->slots[i]);
    }
}

void ed_manager_take_ending(ed_manager *m, uint64_t now_ns)
{
    uint64_t flush_ns = 0;

    if (m->parts.ending == NULL || !ed_ending_take(m->parts.ending, &flush_ns))
        return;
    uint64_t until_ns = ed_add_sat_u64(now_ns, flush_ns);
    bool is_first = !m->is_ending && !m->shutting_down;
    // A second request can only bring the end nearer.
    if (!is_first && until_ns >= m->shutdown_until_ns)
        return;
    m->shutdown_until_ns = until_ns;
    stop_admitting(m, now_ns);
}

void ed_manager_shut_down(ed_manager *m, uint64_t until_ns, uint64_t now_ns)
{
    m->is_ending = false;
    m->shutting_down = true;
    m->shutdown_until_ns = until_ns;
    for (uint32_t i = 0; i < m->slot_count; i++) {
        if (m->slots[i].connection == NULL)
            continue;
        m->parts.type->shutdown(m->slots[i].connection, until_ns, now_ns);
        ed_manager_add_work(m, &m->slots[i]);
    }
}

uint64_t ed_manager_retry_ns(const ed_manager *m, uint64_t now_ns)
{
    uint64_t retry_ns = ed_add_sat_u64(now_ns, ED_MANAGER_RETRY_NS);
    bool has_end = m->shutting_down && now_ns < m->shutdown_until_ns;

    return has_end ? ed_min_u64(retry_ns, m->shutdown_until_ns) : retry_ns;
}

static bool has_told_all(ed_manager *m)
{
    return ed_manager_tell_failed(m) && ed_manager_flush_events(m) && m->event_count == 0;
}

/** The last datagrams have until the end to leave; what there is to tell, as long as it takes. */
static bool may_end(ed_manager *m, uint64_t now_ns)
{
    bool has_out = m->out_count > 0 && now_ns < m->shutdown_until_ns;

    return !has_out &&
           (m->parts.type->may_end == NULL || m->parts.type->may_end(m->parts.type_context)) &&
           has_told_all(m);
}

bool ed_manager_check_done(ed_manager *m, uint64_t now_ns)
{
    m->waits_to_end = false;
    if (!m->shutting_down || m->connection_count > 0 || m->is_done)
        return false;
    // Not sooner than the end may come: nobody sleeps on a channel that is closed.
    m->waits_to_end = !may_end(m, now_ns);
    if (m->waits_to_end)
        return false;
    // Before the events end no more commands are let in, and those that came meanwhile are
    // answered.
    ed_channel_close(m->parts.commands);
    bool more = ed_manager_take_commands(m, now_ns);
    if (!m->commands_ended || !has_told_all(m))
        return more;
    m->is_done = true;
    ed_channel_leave_sender(m->parts.events); // the last to leave closes it
    return false;
}
