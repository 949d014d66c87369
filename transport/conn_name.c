/** A client that dialled a name: which of its addresses is its peer's. */
#include "transport/conn.h"

static ed_race *race_of(const ed_conn *conn)
{
    ED_ASSERT(conn->is_client && conn->dial != NULL);
    return &((ed_dial *)(void *)conn->dial->data)->race;
}

ed_race *ed_conn_race(const ed_conn *conn)
{
    bool is_racing =
        conn->state == ED_CONN_GREETING && ed_conn_path(conn)->remote.family == EDDY_FAMILY_NONE;

    return is_racing ? race_of(conn) : NULL;
}

static void begin_race(ed_conn *conn, uint64_t now_ns)
{
    ed_conn_begin_attempts(conn, NULL, now_ns);
    ed_conn_try_next(conn, now_ns);
}

/** None of a name's addresses can be used. */
static void fail_to_resolve(ed_conn *conn, eddy_status why, uint64_t now_ns)
{
    ed_conn_end end = {.end = why == EDDY_EEXIST   ? EDDY_END_DUPLICATE
                              : why == EDDY_ENOMEM ? EDDY_END_MEMORY
                                                   : EDDY_END_UNRESOLVED};

    ed_conn_apply(conn, ED_INPUT_FAILED, &end, now_ns);
}

void ed_conn_resolved(ed_conn *conn, const eddy_address *remote, uint32_t more, eddy_status status,
                      uint64_t now_ns)
{
    if (conn->state != ED_CONN_RESOLVING)
        return; // it has ended meanwhile
    ed_race *race = race_of(conn);
    if (status == EDDY_OK)
        ed_race_add(race, remote);
    else if (race->failure == EDDY_OK)
        race->failure = status;
    if (more > 0)
        return;
    if (race->count == 0) {
        fail_to_resolve(conn, race->failure, now_ns);
        return;
    }
    ed_conn_apply(conn, ED_INPUT_RESOLVED, NULL, now_ns);
    if (race->count > 1) {
        begin_race(conn, now_ns);
        return;
    }
    ed_conn_init_path(conn, &(ed_path){.remote = race->remotes[0]});
    ed_conn_greet(conn, now_ns);
}

void ed_conn_try_next(ed_conn *conn, uint64_t now_ns)
{
    ed_race *race = ed_conn_race(conn);

    ED_ASSERT(race != NULL);
    ed_timers_on_race(&conn->timers, ed_race_ask_next(race), now_ns);
    conn->request_pending = race->due != 0;
}

void ed_conn_end_race(ed_conn *conn, const eddy_address *remote)
{
    ed_conn_init_path(conn, &(ed_path){.remote = *remote});
    ED_ASSERT(ed_conn_race(conn) == NULL);
}
