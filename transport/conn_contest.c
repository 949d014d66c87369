/** Somebody begins anew at the address of a peer that may still live. */
#include "transport/conn.h"

/** How long a peer whose place somebody wants has to answer. */
static uint64_t patience_ns(const ed_conn *conn)
{
    uint64_t pto_ns = ed_conn_pto_ns(conn);

    if (!ed_conn_is_open(conn))
        return ED_ANSWERED_NS;
    return ed_min_u64(ED_CONTEST_PTOS * pto_ns, ed_max_u64(pto_ns, ED_CONTEST_MS * ED_NS_PER_MS));
}

uint64_t ed_conn_contest_ends_ns(const ed_conn *conn)
{
    ED_ASSERT(conn->contested_ns != 0);
    return ed_add_sat_u64(conn->contested_ns, patience_ns(conn));
}

bool ed_conn_is_deserted(ed_conn *conn, const uint8_t nonce[ED_NONCE_SIZE], uint64_t now_ns)
{
    bool begins = conn->state == ED_CONN_HALF_OPEN || conn->state == ED_CONN_ASKING;
    bool is_first = conn->contested_ns == 0;

    if (!ed_conn_is_open(conn) && !(begins && ed_equal_secret(nonce, conn->nonce, ED_NONCE_SIZE)))
        return true;
    if (is_first)
        conn->contested_ns = ed_max_u64(now_ns, 1);
    conn->ping_pending |= is_first && ed_conn_is_open(conn);
    conn->request_pending |= conn->state == ED_CONN_HALF_OPEN && conn->rival == 0;
    return !is_first && now_ns >= ed_conn_contest_ends_ns(conn);
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
