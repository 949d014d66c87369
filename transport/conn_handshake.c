/** The connection's first datagrams: RETRY and ACCEPT for a client, INITIATE for a server. */
#include <string.h>

#include "transport/conn.h"
#include "transport/packet.h"

void ed_conn_resolved(ed_conn *conn, const eddy_address *remote, eddy_status status,
                      uint64_t now_ns)
{
    ed_conn_end end = {.end = status == EDDY_EEXIST   ? EDDY_END_DUPLICATE
                              : status == EDDY_ENOMEM ? EDDY_END_MEMORY
                                                      : EDDY_END_UNRESOLVED};

    if (conn->state != ED_CONN_RESOLVING)
        return; // it has ended meanwhile
    if (status != EDDY_OK) {
        ed_conn_apply(conn, ED_INPUT_FAILED, &end, now_ns);
        return;
    }
    ed_paths_init(&conn->paths, &(ed_path){.remote = *remote});
    conn->request_pending = true;
    ed_conn_apply(conn, ED_INPUT_RESOLVED, NULL, now_ns);
    ed_timers_on_greeting(&conn->timers, conn->shared->config->handshake_timeout_ms * ED_NS_PER_MS,
                          now_ns);
}

static void receive_retry(ed_conn *conn, const eddy_datagram *datagram, uint64_t now_ns)
{
    const eddy_entropy *entropy = conn->shared->entropy;
    ed_retry retry;

    if (ed_retry_parse(&retry, datagram->data, datagram->size) != EDDY_OK ||
        retry.version != ED_PROTOCOL_VERSION) {
        conn->shared->stats->dropped_malformed++;
        return;
    }
    bool waiting = conn->state == ED_CONN_GREETING || conn->state == ED_CONN_INITIATING;
    if (!waiting || !ed_equal_secret(retry.nonce, conn->nonce, ED_NONCE_SIZE)) {
        conn->shared->stats->dropped_forged++;
        return;
    }
    if (conn->state == ED_CONN_INITIATING &&
        ed_equal_secret(retry.cookie, conn->cookie, ED_COOKIE_SIZE))
        return; // a copy of the RETRY that was answered
    memcpy(conn->cookie, retry.cookie, ED_COOKIE_SIZE);
    // One ephemeral, one INITIATE: a new cookie asks for a new ephemeral.
    entropy->fill(entropy->context, conn->client_ephemeral, ED_EPHEMERAL_SIZE);
    conn->started_ns = now_ns;
    conn->request_pending = true;
    ed_timers_on_retry(&conn->timers);
    ed_conn_apply(conn, ED_INPUT_RETRY, NULL, now_ns);
}

static void accepted(ed_conn *conn, const ed_accept *accept, uint64_t now_ns)
{
    memcpy(conn->server_ephemeral, accept->ephemeral, ED_EPHEMERAL_SIZE);
    conn->id = accept->id;
    conn->message_max = accept->message_max;
    ed_outbox_on_credit(&conn->outbox, accept->credit);
    ed_pool_give(conn->payload);
    conn->payload = NULL;
    conn->keys =
        ed_protect_packet_keys(conn->nonce, conn->client_ephemeral, conn->server_ephemeral);
    ed_conn_apply(conn, ED_INPUT_ACCEPT, NULL, now_ns);
}

static void refused(ed_conn *conn, const ed_accept *accept, uint64_t now_ns)
{
    ed_conn_end end = {
        .end = EDDY_END_REFUSED, .refusal = (eddy_refusal)accept->refusal, .code = accept->code};

    memcpy(end.reason, accept->reason, sizeof(end.reason));
    ed_conn_apply(conn, ED_INPUT_REFUSED, &end, now_ns);
}

static void receive_accept(ed_conn *conn, const eddy_datagram *datagram, uint64_t now_ns)
{
    ed_key key = ed_protect_accept_key(conn->nonce, conn->client_ephemeral);
    ed_accept accept;

    if (conn->state != ED_CONN_INITIATING)
        return; // a copy of the ACCEPT that was taken
    eddy_status status = ed_accept_open(&accept, &key, datagram->data, datagram->size);
    if (status != EDDY_OK || !ed_equal_secret(accept.nonce, conn->nonce, ED_NONCE_SIZE)) {
        if (status == EDDY_ETRUNCATED || status == EDDY_EPROTO)
            conn->shared->stats->dropped_malformed++;
        else
            conn->shared->stats->dropped_forged++;
        return;
    }
    if (accept.refusal != 0)
        refused(conn, &accept, now_ns);
    else
        accepted(conn, &accept, now_ns);
}

void ed_conn_receive_handshake(ed_conn *conn, const eddy_datagram *datagram, uint64_t now_ns)
{
    ed_form form = ed_form_of(datagram->data, datagram->size);

    if (conn->is_client && form == ED_FORM_RETRY) {
        receive_retry(conn, datagram, now_ns);
        return;
    }
    if (conn->is_client && form == ED_FORM_ACCEPT) {
        receive_accept(conn, datagram, now_ns);
        return;
    }
    if (!conn->is_client && form == ED_FORM_INITIATE) {
        // Admission has checked the cookie and the nonce: the client missed our ACCEPT.
        conn->request_pending = conn->state == ED_CONN_HALF_OPEN || conn->state == ED_CONN_REFUSING;
        return;
    }
    conn->shared->stats->dropped_unknown++;
}

static size_t write_hello(const ed_conn *conn, uint8_t *data)
{
    ed_hello hello = {.version = ED_PROTOCOL_VERSION,
                      .mode = ED_MODE_PLAIN,
                      .version_count = 1,
                      .versions = {ED_PROTOCOL_VERSION},
                      .protocol_id = conn->shared->config->protocol_id};

    memcpy(hello.nonce, conn->nonce, ED_NONCE_SIZE);
    ed_hello_write(data, &hello);
    return ED_HELLO_SIZE;
}

static size_t write_initiate(const ed_conn *conn, uint8_t *data)
{
    ed_initiate initiate = {.version = ED_PROTOCOL_VERSION,
                            .mode = ED_MODE_PLAIN,
                            .suites = ED_SUITE_NULL_BIT,
                            .protocol_id = conn->shared->config->protocol_id,
                            .datagram_size = ED_DATAGRAM_SIZE,
                            .credit = (uint32_t)conn->inbox.credit.limit,
                            .message_max = (uint32_t)conn->inbox.parts.max_message_size,
                            .client_time_us = conn->started_ns / ED_NS_PER_US};

    memcpy(initiate.nonce, conn->nonce, ED_NONCE_SIZE);
    memcpy(initiate.cookie, conn->cookie, ED_COOKIE_SIZE);
    memcpy(initiate.ephemeral, conn->client_ephemeral, ED_EPHEMERAL_SIZE);
    if (conn->payload != NULL)
        initiate.payload = (ed_span){.data = conn->payload->data, .size = conn->payload->size};
    ed_initiate_write(data, &initiate);
    return ED_INITIATE_SIZE;
}

static size_t write_accept(const ed_conn *conn, uint8_t *data)
{
    ed_key key = ed_protect_accept_key(conn->nonce, conn->client_ephemeral);
    ed_accept accept = {.suite = ED_SUITE_NULL,
                        .id = conn->id,
                        .datagram_size = ED_DATAGRAM_SIZE,
                        .credit = (uint32_t)conn->inbox.credit.limit,
                        .message_max = (uint32_t)conn->inbox.parts.max_message_size,
                        .idle_timeout_ms = conn->shared->config->idle_timeout_ms,
                        .server_time_us = conn->started_ns / ED_NS_PER_US};

    memcpy(accept.nonce, conn->nonce, ED_NONCE_SIZE);
    memcpy(accept.ephemeral, conn->server_ephemeral, ED_EPHEMERAL_SIZE);
    if (conn->state == ED_CONN_REFUSING) {
        accept.refusal = EDDY_REFUSED_BY_PROGRAM;
        accept.code = conn->close.code;
        accept.reason_size = conn->close.reason_size;
        memcpy(accept.reason, conn->close.reason, sizeof(accept.reason));
    }
    ed_accept_write(data, &accept, &key);
    return ED_ACCEPT_SIZE;
}

size_t ed_conn_transmit_handshake(ed_conn *conn, uint8_t *data, uint64_t now_ns)
{
    if (!conn->request_pending)
        return 0;
    conn->request_pending = false;
    if (!conn->is_client)
        return write_accept(conn, data);
    ed_timers_on_request_sent(&conn->timers, now_ns);
    return conn->state == ED_CONN_GREETING ? write_hello(conn, data) : write_initiate(conn, data);
}
