/** How fast a connection may send: what the path bears, and what the program allows. */
#include "transport/conn.h"

static uint64_t path_rate(const ed_conn *conn)
{
    return conn->congestion_ops->pacing_rate(&conn->congestion, &conn->rtt);
}

bool ed_conn_is_capped(const ed_conn *conn)
{
    return conn->rate_max != 0 && conn->rate_max < path_rate(conn);
}

uint64_t ed_conn_rate(const ed_conn *conn)
{
    return ed_conn_is_capped(conn) ? conn->rate_max : path_rate(conn);
}

void ed_conn_update_rate(ed_conn *conn, uint64_t now_ns)
{
    ed_pacer_set_rate(&conn->pacer, ed_conn_rate(conn), now_ns);
    // Something may go now that the pacer was not asked about, or must wait longer.
    conn->timers.at_ns[ED_TIMER_PACE] = ED_NEVER_NS;
}

void ed_conn_set_rate(ed_conn *conn, uint64_t rate_max, uint64_t now_ns)
{
    ED_ASSERT(rate_max == 0 || rate_max >= EDDY_RATE_MIN);
    conn->rate_max = rate_max;
    ed_conn_update_rate(conn, now_ns);
}
