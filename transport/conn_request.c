/** A newcomer that the program decides about. */
#include "transport/conn.h"

bool ed_conn_is_half_open(const ed_conn *conn)
{
    return conn->state == ED_CONN_ASKING || conn->state == ED_CONN_HALF_OPEN;
}

bool ed_conn_is_request(const ed_conn *conn)
{
    return conn->state == ED_CONN_ASKING || conn->state == ED_CONN_REFUSING;
}

void ed_conn_admit(ed_conn *conn, uint64_t now_ns)
{
    if (conn->state != ED_CONN_ASKING)
        return; // its time was over, or the peer began anew
    ed_conn_apply(conn, ED_INPUT_ADMIT, NULL, now_ns);
    conn->request_pending = true;
    ed_timers_on_half_open(&conn->timers, now_ns);
}

void ed_conn_refuse(ed_conn *conn, uint32_t code, ed_block *reason, uint64_t linger_ns,
                    uint64_t now_ns)
{
    if (conn->state == ED_CONN_ASKING) {
        ed_conn_set_close(conn, code, reason);
        conn->shared->stats->refused++;
        ed_conn_apply(conn, ED_INPUT_REFUSE, NULL, now_ns);
    } else {
        ed_pool_give(reason);
    }
    if (conn->state == ED_CONN_REFUSING)
        ed_timers_on_refusing(&conn->timers, linger_ns, now_ns);
}
