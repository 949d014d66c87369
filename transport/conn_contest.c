/** Somebody begins anew at the address of a peer that may still live. */
#include "transport/conn.h"

bool ed_conn_is_deserted(ed_conn *conn, uint64_t now_ns)
{
    if (!ed_conn_is_open(conn))
        return true;
    if (conn->contested_ns == 0) {
        conn->contested_ns = ed_max_u64(now_ns, 1);
        conn->ping_pending = true;
        return false;
    }
    return now_ns >= ed_conn_contest_ends_ns(conn);
}

uint64_t ed_conn_contest_ends_ns(const ed_conn *conn)
{
    uint64_t pto_ns = ed_conn_pto_ns(conn);
    uint64_t patience_ns =
        ed_min_u64(ED_CONTEST_PTOS * pto_ns, ed_max_u64(pto_ns, ED_CONTEST_MS * ED_NS_PER_MS));

    ED_ASSERT(conn->contested_ns != 0);
    return ed_add_sat_u64(conn->contested_ns, patience_ns);
}

void ed_conn_wait_for(ed_conn *conn, const ed_conn *rival)
{
    ED_ASSERT(conn->state == ED_CONN_HALF_OPEN && conn->accept == NULL);
    conn->rival = rival->handle;
    conn->request_pending = false;
    ed_timers_on_contest(&conn->timers, ed_conn_contest_ends_ns(rival));
}

void ed_conn_outlast(ed_conn *conn, uint64_t now_ns)
{
    ED_ASSERT(conn->state == ED_CONN_HALF_OPEN && conn->accept == NULL);
    conn->rival = 0;
    conn->request_pending = true;
    ed_timers_on_half_open(&conn->timers, now_ns);
}
