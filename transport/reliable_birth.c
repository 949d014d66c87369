/** Connections that begin: who may use a token or a ticket, and who takes whose place. */
#include <string.h>

#include "core/secret.h"
#include "transport/admission.h"
#include "transport/failed_dial.h"
#include "transport/reliable.h"

static eddy_status create_outgoing(const ed_reliable *reliable, ed_conn *conn,
                                   const ed_birth *birth, uint64_t now_ns)
{
    const ed_reliable_command *command = birth->command;

    return ed_conn_init_client(conn, &reliable->shared, birth->handle, &birth->remote,
                               command->dial, command->block, now_ns);
}

/** From here on nobody else may use it; if there is no connection after all, that is taken back. */
static eddy_status use_token(ed_reliable *reliable, const ed_used_token *token)
{
    ed_used_verdict verdict = ed_door_used_take(reliable->door, token, reliable->now_s);

    return verdict == ED_USED_FRESH ? EDDY_OK : EDDY_ELIMIT;
}

/**
 * Whose contest a newcomer has to wait for: that of the connection at its address, or the one that
 * a newcomer waits for who is there already. NULL: nobody's.
 */
static const ed_conn *rival_of(const ed_reliable *reliable, const ed_conn *existing)
{
    const ed_conn *rival = existing;

    if (existing != NULL && existing->rival != 0)
        rival = ed_manager_connection(reliable->manager, existing->rival);
    return rival != NULL && ed_conn_is_open(rival) && rival->contested_ns != 0 ? rival : NULL;
}

/** The connection counts from here on, as one that its client has not confirmed. */
static eddy_status note_begun(ed_reliable *reliable, ed_conn *conn, const ed_conn *existing)
{
    memcpy(conn->origin, reliable->admitted->origin, ED_MAC_SIZE);
    eddy_status status = ed_map_put(reliable->begun, conn->origin, ed_slot_of(conn->handle));
    if (status != EDDY_OK) {
        ed_conn_free(conn);
        return status;
    }
    ed_door_gate_add(reliable->door, &conn->admitted_from);
    conn->counted = ED_COUNTED_HALF_OPEN;
    if (!conn->is_asked)
        ed_list_push_back(&reliable->half_open, &conn->half_open);
    const ed_conn *rival = rival_of(reliable, existing);
    if (rival != NULL)
        ed_conn_wait_for(conn, rival);
    return EDDY_OK;
}

/** The same of a ticket, which costs a round trip if it is used in vain. */
static eddy_status use_ticket(const ed_reliable *reliable, const ed_initiate *initiate)
{
    if (!ed_is_ticket(initiate->cookie))
        return EDDY_OK;
    return ed_door_tickets_use(reliable->door, initiate->cookie) ? EDDY_OK : EDDY_ELIMIT;
}

static eddy_status create_incoming(ed_reliable *reliable, ed_conn *conn, const ed_birth *birth,
                                   uint64_t now_ns)
{
    const ed_admitted *admitted = reliable->admitted;
    bool has_token = admitted->initiate.mode == ED_MODE_TOKEN;
    ed_used_token token = ed_admitted_token(admitted);
    eddy_status status = has_token ? use_token(reliable, &token) : EDDY_OK;

    if (status == EDDY_OK) {
        status = use_ticket(reliable, &admitted->initiate);
        if (status == EDDY_OK)
            status = ed_conn_init_server(conn, &reliable->shared, birth->handle, birth->wire_id,
                                         birth->datagram, admitted, now_ns);
        if (status == EDDY_OK)
            status = note_begun(reliable, conn, birth->existing);
        if (status != EDDY_OK && has_token)
            ed_door_used_forget(reliable->door, &token, reliable->now_s);
    }
    return status;
}

void ed_reliable_forget_newcomer(void *context)
{
    const ed_reliable *reliable = context;

    ed_wipe(reliable->admitted, sizeof(*reliable->admitted));
}

eddy_status ed_reliable_create(void *context, void *connection, const ed_birth *birth,
                               uint64_t now_ns)
{
    return birth->side == ED_SIDE_OUTGOING ? create_outgoing(context, connection, birth, now_ns)
                                           : create_incoming(context, connection, birth, now_ns);
}

void *ed_reliable_fail_connect(void *context, void *item, eddy_status why)
{
    const ed_reliable *reliable = context;
    const ed_reliable_command *command = item;
    ed_secrets *secrets = ed_conn_secrets(&reliable->shared, command->head.connection);

    ed_wipe(secrets, sizeof(*secrets));
    ed_dial_drop(command->dial);
    ed_failed_dial_init(command->block, command->head.connection, why);
    return command->block;
}

void ed_reliable_give_token_back(const ed_conn *conn)
{
    ed_reliable *reliable = ed_reliable_of(conn);
    ed_used_token token = {.id = conn->token_id, .holder = conn->origin};

    if (!conn->is_client && conn->mode == ED_MODE_TOKEN && !conn->is_opened &&
        conn->state != ED_CONN_REFUSING)
        ed_door_used_forget(reliable->door, &token, reliable->now_s);
}

bool ed_reliable_has_token_of_newcomer(const ed_conn *conn)
{
    const ed_admitted *admitted = ed_reliable_of(conn)->admitted;

    return conn->mode == ED_MODE_TOKEN && admitted->initiate.mode == ED_MODE_TOKEN &&
           ed_equal_secret(admitted->capsule.id, conn->token_id, ED_XNONCE_SIZE);
}

/**
 * Of one whose peer is elsewhere by now the address has passed to somebody else: it stays. And
 * where a client has not confirmed yet, nobody knows which of the two it is: who has the keys shows
 * it. But a token makes one connection, and it is its holder who begins anew.
 */
bool ed_reliable_stays(const ed_conn *conn)
{
    return ed_conn_is_moving(conn) ||
           (ed_conn_is_half_open(conn) && !ed_reliable_has_token_of_newcomer(conn));
}

/** The server's clock in the cookies says which INITIATE is the newer one. */
static bool is_newer(const ed_conn *conn, const ed_initiate *initiate)
{
    // A client makes one INITIATE of a cookie: another of the same is somebody else's.
    if (ed_equal_secret(initiate->nonce, conn->nonce, ED_NONCE_SIZE) &&
        ed_equal_secret(initiate->cookie, conn->cookie, ED_COOKIE_SIZE))
        return false;
    return !ed_cookie_is_older(initiate->cookie, conn->cookie);
}

/**
 * Who sees a client's packets and can send in its name has a cookie for its address, too. So who
 * lives is not given up for a newcomer.
 */
ed_succession ed_reliable_supersedes(void *connection, const eddy_datagram *datagram,
                                     uint64_t now_ns)
{
    ed_conn *conn = connection;
    ed_initiate initiate;

    ed_initiate_read_opened(&initiate, datagram->data);
    if (ed_conn_is_half_open(conn) && !ed_reliable_has_token_of_newcomer(conn))
        return ED_SUCCEEDS_NOW;
    if (!is_newer(conn, &initiate))
        return ED_SUCCEEDS_NOT;
    // One that is moving has left the address, and goes on beside the newcomer.
    if (ed_conn_is_moving(conn) || ed_conn_is_deserted(conn, initiate.nonce, now_ns))
        return ED_SUCCEEDS_NOW;
    return ed_conn_is_open(conn) ? ED_SUCCEEDS_LATER : ED_SUCCEEDS_NOT;
}
