/** A newcomer that the program decides about, and the payload that newcomers bring. */
#include "transport/conn.h"

bool ed_conn_is_request(const ed_conn *conn)
{
    return conn->state == ED_CONN_ASKING || conn->state == ED_CONN_REFUSING;
}

void ed_conn_give_payload(ed_conn *conn, eddy_event *event, const uint8_t **data, size_t *size)
{
    if (conn->payload == NULL)
        return;
    *data = conn->payload->data;
    *size = conn->payload->size;
    event->block = conn->payload;
    conn->payload = NULL;
}

void ed_conn_request_event(ed_conn *conn, eddy_event *event)
{
    ED_ASSERT(conn->is_asked && conn->asked_pending);
    conn->asked_pending = false;
    event->type = EDDY_CONNECT_REQUEST;
    event->request.remote = conn->remote;
    ed_conn_give_payload(conn, event, &event->request.payload, &event->request.payload_size);
    ed_slots_ask(conn->shared->slots, conn->handle);
}

void ed_conn_admit(ed_conn *conn, uint64_t now_ns)
{
    if (conn->state != ED_CONN_ASKING)
        return; // its time was over, or the peer began anew
    ed_conn_apply(conn, ED_INPUT_ADMIT, NULL, now_ns);
    conn->request_pending = true;
    ed_timers_on_half_open(&conn->timers, now_ns);
}

void ed_conn_refuse(ed_conn *conn, uint32_t code, const char *reason, uint64_t linger_ns,
                    uint64_t now_ns)
{
    if (conn->state == ED_CONN_ASKING) {
        ed_conn_set_close(conn, code, reason);
        conn->shared->stats->refused++;
        ed_conn_apply(conn, ED_INPUT_REFUSE, NULL, now_ns);
    }
    if (conn->state == ED_CONN_REFUSING)
        ed_timers_on_refusing(&conn->timers, linger_ns, now_ns);
}
