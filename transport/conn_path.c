/**
 * Where the peer is: a client's address may change under a connection at any moment, and a server
 * follows when the new one has proved that the client is there. A client itself stays with the
 * address that it dialled, and only answers.
 */
#include "core/alloc.h"
#include "transport/check.h"
#include "transport/conn.h"

enum {
    PROBES = 2, /* after a move: as many as a probe timeout may send (RFC 9002 section 6.2.4) */
};

const ed_path *ed_conn_path(const ed_conn *conn)
{
    return conn->paths == NULL ? &conn->path : &conn->paths->at[ED_PATH_CURRENT];
}

bool ed_conn_is_moving(const ed_conn *conn)
{
    return ed_conn_is_open(conn) && conn->paths != NULL && ed_paths_has_candidate(conn->paths);
}

void ed_conn_init_path(ed_conn *conn, const ed_path *path)
{
    ED_ASSERT(conn->paths == NULL);
    conn->path = *path;
}

void ed_conn_free_paths(ed_conn *conn)
{
    ed_alloc_free(conn->shared->allocator, conn->paths, sizeof(*conn->paths));
    conn->paths = NULL;
    ed_path_debts_drop(&conn->debts, conn->shared->allocator);
}

/** Its peer is elsewhere, or so it seems. @return false: there is no memory to go into that. */
static bool know_paths(ed_conn *conn)
{
    if (conn->paths != NULL)
        return true;
    conn->paths = ed_alloc_zeroed(conn->shared->allocator, sizeof(*conn->paths));
    if (conn->paths != NULL)
        ed_paths_init(conn->paths, &conn->path);
    return conn->paths != NULL;
}

static void set_timer(ed_conn *conn)
{
    conn->timers.at_ns[ED_TIMER_PATH] = conn->paths->deadline_ns;
}

/* ------------------------------------------------------------------------------- receiving -- */

static ed_path path_of(const eddy_datagram *datagram)
{
    return (ed_path){.remote = datagram->remote, .local = datagram->local};
}

static void begin(ed_conn *conn, uint64_t now_ns)
{
    const eddy_entropy *entropy = conn->shared->entropy;
    ed_path from = path_of(conn->arriving);
    uint8_t bytes[ED_PATH_END_COUNT * sizeof(uint64_t)];
    uint64_t data[ED_PATH_END_COUNT];

    entropy->fill(entropy->context, bytes, sizeof(bytes));
    ed_reader r = ed_reader_of(bytes, sizeof(bytes));
    for (size_t i = 0; i < ED_PATH_END_COUNT; i++)
        data[i] = ed_read_u64(&r);
    conn->shared->stats->paths_refused += ed_paths_has_candidate(conn->paths) ? 1 : 0;
    conn->shared->stats->paths_challenged++;
    ed_paths_begin(conn->paths, &from, conn->arriving->size, data, ed_conn_pto_ns(conn), now_ns);
    set_timer(conn);
}

/** CLOSE goes where the peer was heard last, too: nobody waits for a proof any more. */
static void follow_ending(ed_conn *conn, bool is_newest)
{
    ed_path from = path_of(conn->arriving);

    if (!is_newest || ed_path_equal(ed_conn_path(conn), &from) || !know_paths(conn))
        return;
    ed_paths_follow(conn->paths, &from, conn->arriving->size);
    conn->close_elsewhere = true;
}

void ed_conn_on_arrival(ed_conn *conn, const eddy_datagram *datagram, bool is_newest,
                        uint64_t now_ns)
{
    ed_path from = path_of(datagram);

    conn->arriving = datagram;
    conn->is_challenged = false;
    if (conn->is_client)
        return;
    if (!ed_conn_is_open(conn)) {
        follow_ending(conn, is_newest);
        return;
    }
    if (conn->paths == NULL && (!is_newest || ed_path_equal(&conn->path, &from)))
        return;
    if (!know_paths(conn)) {
        conn->shared->stats->paths_ignored++;
        return;
    }
    switch (ed_paths_on_packet(conn->paths, &from, datagram->size, is_newest, now_ns)) {
    case ED_PATH_KNOWN:
        return;
    case ED_PATH_TOO_SOON:
        conn->shared->stats->paths_ignored++;
        return;
    case ED_PATH_NEWS:
        begin(conn, now_ns);
        return;
    }
}

void ed_conn_on_challenge(ed_conn *conn, uint64_t data)
{
    ed_path_debt debt = {
        .path = path_of(conn->arriving), .data = data, .cause_size = conn->arriving->size};

    if (!SEC_CHECK(EDDY_CHECK_CHALLENGE, !conn->is_challenged) ||
        !ed_path_debts_push(&conn->debts, conn->shared->allocator, &debt)) {
        conn->shared->stats->paths_ignored++;
        return;
    }
    conn->is_challenged = true;
}

/* ------------------------------------------------------------------------------- following -- */

/** What is in flight took the old path: it counts as lost, but not against the new one. */
static void give_up_flight(ed_conn *conn, uint64_t now_ns)
{
    ed_loss_losses losses = ed_loss_give_up(&conn->loss, &conn->sent, now_ns);
    ed_sent *packet = NULL;

    conn->path_first = conn->sent.next;
    ed_mtu_forget_flight(&conn->mtu, conn->sent.next); // before it hears of losses
    while (ed_loss_next_lost(&losses, &packet))
        ed_conn_on_packet_lost(conn, packet, now_ns);
}

/** Begins to learn a path of which nothing is known but how long its answer took, if that. */
static void restart_path(ed_conn *conn, uint64_t answer_ns, uint64_t now_ns)
{
    const ed_congestion_ops *ops = conn->congestion_ops;

    ed_rtt_init(&conn->rtt);
    if (answer_ns != ED_NEVER_NS)
        ed_rtt_sample(&conn->rtt, answer_ns, 0);
    ed_conn_restart_mtu(conn);
    ops->init(&conn->congestion, ED_DATAGRAM_SIZE);
    ed_pacer_init(&conn->pacer, ed_conn_rate(conn), ED_DATAGRAM_SIZE, now_ns);
}

static void log_move(const ed_conn *conn, const ed_path *old, uint64_t now_ns)
{
    char from[EDDY_ADDRESS_TEXT_SIZE], to[EDDY_ADDRESS_TEXT_SIZE];

    if (conn->shared->log->function == NULL)
        return;
    ed_log_line(conn->shared->log, now_ns, EDDY_LOG_INFO, EDDY_LOG_CONNECTION,
                "connection %llx with %s: moved to %s", (unsigned long long)conn->handle,
                eddy_address_print(&old->remote, from),
                eddy_address_print(&ed_conn_path(conn)->remote, to));
}

/** The candidate is the path now. Probes leave at once with what the old path has lost. */
static void move(ed_conn *conn, const ed_path *old, uint64_t answer_ns, uint64_t now_ns)
{
    conn->shared->stats->paths_validated++;
    log_move(conn, old, now_ns);
    give_up_flight(conn, now_ns);
    // Behind another port of the same host lies the same path (RFC 9000 section 9.4).
    if (!ed_path_same_hosts(old, ed_conn_path(conn)))
        restart_path(conn, answer_ns, now_ns);
    conn->probes = PROBES;
    conn->moved_pending = true;
}

void ed_conn_on_response(ed_conn *conn, uint64_t data, uint64_t now_ns)
{
    if (conn->paths == NULL)
        return; // nothing was asked
    const ed_path_question *question = &conn->paths->question[ED_PATH_CANDIDATE];
    // All copies say the same, so only of a single one the time is known.
    uint64_t answer_ns = question->sent == 1 ? now_ns - question->asked_ns : ED_NEVER_NS;
    ed_path old = *ed_conn_path(conn);

    switch (ed_paths_on_answer(conn->paths, data)) {
    case ED_PATH_ANSWER_NONE:
        return;
    case ED_PATH_ANSWER_STAYED:
        conn->shared->stats->paths_refused++;
        break;
    case ED_PATH_ANSWER_MOVED:
        move(conn, &old, answer_ns, now_ns);
        break;
    }
    set_timer(conn);
}

void ed_conn_expire_path(ed_conn *conn, uint64_t now_ns)
{
    if (ed_paths_expire(conn->paths, ed_conn_pto_ns(conn), now_ns))
        conn->shared->stats->paths_refused++;
    set_timer(conn);
}

void ed_conn_stop_moving(ed_conn *conn)
{
    if (conn->paths != NULL)
        ed_paths_stop(conn->paths);
    conn->close_elsewhere = conn->paths != NULL && ed_paths_has_candidate(conn->paths);
    ed_path_debts_drop(&conn->debts, conn->shared->allocator);
}

/* --------------------------------------------------------------------------------- sending -- */

/** How large a datagram on a path may be, if it answers one of `cause_size` from there. */
static size_t room_on(const ed_conn *conn, const ed_path *path, size_t cause_size)
{
    ed_paths still;

    if (conn->paths != NULL)
        return ed_paths_room(conn->paths, path, cause_size);
    ed_paths_init(&still, &conn->path);
    return ed_paths_room(&still, path, cause_size);
}

/** A packet that says one thing about a path, on that path. @return its size, 0: none. */
static size_t transmit_frame(ed_conn *conn, const ed_path *path, ed_frame_type type, uint64_t said,
                             size_t room, uint8_t *data, uint64_t now_ns)
{
    uint8_t bytes[1 + sizeof(said)];
    ed_writer w = ed_writer_of(bytes, sizeof(bytes));

    ed_frame_write_path(&w, type, said);
    size_t size = ed_conn_write_aside(conn, (ed_span){.data = bytes, .size = ed_writer_size(&w)},
                                      room, data, now_ns);
    if (conn->paths != NULL)
        ed_paths_on_sent(conn->paths, path, size);
    return size;
}

/** Answers one challenge. One that there is no room for is forgotten: the peer asks again. */
static size_t transmit_response(ed_conn *conn, ed_path *path, uint8_t *data, uint64_t now_ns)
{
    ed_path_debt debt;
    size_t size = 0;

    while (size == 0 && ed_path_debts_pop(&conn->debts, conn->shared->allocator, &debt)) {
        *path = debt.path;
        size = transmit_frame(conn, path, ED_FRAME_PATH_RESPONSE, debt.data,
                              room_on(conn, path, debt.cause_size), data, now_ns);
    }
    return size;
}

/** Asks one end, if it is to be asked. The candidate may have to wait until more has come. */
static size_t transmit_challenge(ed_conn *conn, ed_path_end end, ed_path *path, uint8_t *data,
                                 uint64_t now_ns)
{
    if (!conn->paths->question[end].is_due)
        return 0;
    *path = conn->paths->at[end];
    size_t size =
        transmit_frame(conn, path, ED_FRAME_PATH_CHALLENGE, conn->paths->question[end].data,
                       room_on(conn, path, 0), data, now_ns);
    if (size > 0)
        ed_paths_on_asked(conn->paths, end, now_ns);
    return size;
}

static size_t transmit_close_elsewhere(ed_conn *conn, ed_path *path, uint8_t *data, uint64_t now_ns)
{
    if (!conn->close_elsewhere)
        return 0;
    conn->close_elsewhere = false;
    *path = conn->paths->at[ED_PATH_CANDIDATE];
    size_t size = ed_conn_write_close_aside(conn, room_on(conn, path, 0), data, now_ns);
    ed_paths_on_sent(conn->paths, path, size);
    return size;
}

size_t ed_conn_transmit_path(ed_conn *conn, ed_path *path, uint8_t *data, uint64_t now_ns)
{
    if (!ed_conn_is_open(conn))
        return transmit_close_elsewhere(conn, path, data, now_ns);
    size_t size = conn->debts.count == 0 ? 0 : transmit_response(conn, path, data, now_ns);
    if (size > 0 || conn->paths == NULL)
        return size;
    // The path in use first: whoever passes the other challenge on to the peer is no faster.
    size = transmit_challenge(conn, ED_PATH_CURRENT, path, data, now_ns);
    if (size == 0)
        size = transmit_challenge(conn, ED_PATH_CANDIDATE, path, data, now_ns);
    return size;
}
