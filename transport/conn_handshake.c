/** The connection's first datagrams: a client's, and a server's answer to INITIATE. */
#include <string.h>

#include "core/alloc.h"
#include "transport/check.h"
#include "transport/conn.h"
#include "transport/packet.h"

/** How the client connects, until CONNECTED is told. */
static ed_dial *dial_of(const ed_conn *conn)
{
    ED_ASSERT(conn->is_client && conn->dial != NULL);
    return (void *)conn->dial->data;
}

static ed_greeting_key greeting_of(const ed_conn *conn)
{
    return ed_greeting_key_of(conn->mode == ED_MODE_OPEN ? NULL : dial_of(conn)->server_key);
}

/** What a client brings into Noise. */
static ed_noise_keys client_keys(const ed_conn *conn)
{
    bool shows_key = conn->mode == ED_MODE_MUTUAL;

    return (ed_noise_keys){.own = shows_key ? ed_identity_pair(conn->shared->identity) : NULL,
                           .peer = conn->mode == ED_MODE_OPEN ? NULL : dial_of(conn)->server_key,
                           .shared = conn->secrets->opening->shared};
}

static void count_drop(ed_conn *conn, eddy_status status)
{
    if (status == EDDY_EAUTH)
        conn->shared->stats->dropped_forged++;
    else
        conn->shared->stats->dropped_malformed++;
}

/** The INITIATE of the first cookie, or ticket, is to be sent. */
static void begin_initiating(ed_conn *conn, uint64_t now_ns)
{
    conn->request_pending = true;
    ed_timers_on_retry(&conn->timers);
    ed_conn_apply(conn, ED_INPUT_RETRY, NULL, now_ns);
}

void ed_conn_begin_attempts(ed_conn *conn, const uint8_t *ticket, uint64_t now_ns)
{
    const eddy_entropy *entropy = conn->shared->entropy;

    conn->started_ns = now_ns;
    entropy->fill(entropy->context, conn->secrets->opening->seed, ED_KEY_SIZE);
    ed_attempts_init(&dial_of(conn)->attempts, ticket);
    ed_timers_on_greeting(&conn->timers, conn->shared->config->handshake_timeout_ms * ED_NS_PER_MS,
                          now_ns);
}

void ed_conn_greet(ed_conn *conn, uint64_t now_ns)
{
    ed_purse *purse = conn->shared->purse;
    uint8_t ticket[ED_COOKIE_SIZE];

    ED_ASSERT(conn->state == ED_CONN_GREETING);
    bool has_ticket = purse != NULL && ed_purse_take(purse, &ed_conn_path(conn)->remote, ticket);
    ed_conn_begin_attempts(conn, has_ticket ? ticket : NULL, now_ns);
    conn->request_pending = true;
    if (has_ticket)
        begin_initiating(conn, now_ns);
}

void ed_conn_ask_again(ed_conn *conn)
{
    ed_race *race = ed_conn_race(conn);

    if (race != NULL)
        ed_race_ask_again(race);
    else
        ed_attempts_repeat(&dial_of(conn)->attempts);
    conn->request_pending = true;
}

static void receive_retry(ed_conn *conn, const eddy_datagram *datagram, uint64_t now_ns)
{
    ed_retry retry;

    if (conn->state != ED_CONN_GREETING && conn->state != ED_CONN_INITIATING) {
        conn->shared->stats->dropped_unknown++;
        return;
    }
    ed_greeting_key key = greeting_of(conn);
    ed_attempts *attempts = &dial_of(conn)->attempts;
    eddy_status status = ed_retry_parse(&retry, datagram->data, datagram->size, conn->nonce, &key,
                                        attempts->cookies[0], attempts->count);
    if (status == EDDY_OK && retry.version != ED_PROTOCOL_VERSION)
        status = EDDY_EPROTO;
    if (status != EDDY_OK) {
        count_drop(conn, status);
        return;
    }
    if (retry.is_to_hello)
        ed_attempts_add(attempts, retry.cookie);
    else
        ed_attempts_refuse(attempts, retry.refused, retry.cookie);
    conn->request_pending = true;
    if (ed_conn_race(conn) != NULL)
        ed_conn_end_race(conn, &datagram->remote);
    if (conn->state == ED_CONN_GREETING)
        begin_initiating(conn, now_ns);
}

static eddy_status read_reject(ed_conn *conn, const eddy_datagram *datagram)
{
    ed_greeting_key key = greeting_of(conn);
    ed_reject reject;
    eddy_status status =
        ed_reject_parse(&reject, datagram->data, datagram->size, conn->nonce, &key);

    if (status == EDDY_OK)
        conn->rejected = reject.refusal;
    return status;
}

/** A server that speaks our version does not say so: then somebody else did. */
static eddy_status read_versions(ed_conn *conn, const eddy_datagram *datagram)
{
    ed_greeting_key key = greeting_of(conn);
    ed_versions versions;
    eddy_status status =
        ed_versions_parse(&versions, datagram->data, datagram->size, conn->nonce, &key);

    if (status != EDDY_OK)
        return status;
    for (size_t i = 0; i < versions.count; i++)
        if (versions.versions[i] == ED_PROTOCOL_VERSION)
            return EDDY_EPROTO;
    conn->rejected = EDDY_REFUSED_VERSION;
    return EDDY_OK;
}

/**
 * Nobody has signed it, so it is kept for the program, and changes nothing; but the next address of
 * a name need not wait.
 */
static void receive_hint(ed_conn *conn, const eddy_datagram *datagram, ed_form form,
                         uint64_t now_ns)
{
    if (conn->state != ED_CONN_GREETING && conn->state != ED_CONN_INITIATING) {
        conn->shared->stats->dropped_unknown++;
        return;
    }
    eddy_status status =
        form == ED_FORM_REJECT ? read_reject(conn, datagram) : read_versions(conn, datagram);
    if (status != EDDY_OK) {
        count_drop(conn, status);
        return;
    }
    const ed_race *race = ed_conn_race(conn);
    if (race != NULL && ed_race_is_last_asked(race, &datagram->remote))
        ed_conn_try_next(conn, now_ns);
}

static size_t write_hello(const ed_conn *conn, uint8_t *data)
{
    ed_greeting_key key = greeting_of(conn);
    ed_hello hello = {.version = ED_PROTOCOL_VERSION,
                      .mode = conn->mode,
                      .version_count = 1,
                      .versions = {ED_PROTOCOL_VERSION},
                      .protocol_id = conn->shared->config->protocol_id};

    memcpy(hello.nonce, conn->nonce, ED_NONCE_SIZE);
    ed_hello_write(data, &hello, &key);
    return ED_HELLO_SIZE;
}

/**
 * Whether the ephemeral of the first INITIATE is known before its cookie is. In MUTUAL the client's
 * key is sealed before the cookie enters Noise's keys: there it has to be in the ephemeral, or a
 * machine that draws the same once more would seal twice with one key.
 */
static bool draws_ahead(const ed_conn *conn)
{
    return conn->mode != ED_MODE_OPEN && conn->mode != ED_MODE_MUTUAL;
}

/**
 * One ephemeral, one INITIATE: a cookie has its own, and so always the same bytes around it. The
 * first stays the first.
 * @param cookie NULL: the first.
 */
static void make_ephemeral(const ed_conn *conn, uint8_t ephemeral[ED_KEY_SIZE],
                           const uint8_t *cookie)
{
    static const uint8_t label[] = "first";
    const uint8_t *first = dial_of(conn)->attempts.cookies[0];
    bool is_first =
        draws_ahead(conn) && (cookie == NULL || memcmp(cookie, first, ED_COOKIE_SIZE) == 0);

    static_assert(sizeof(label) != ED_COOKIE_SIZE, "no cookie has the ephemeral of the first");
    ed_blake2b(ephemeral, ED_KEY_SIZE, is_first ? label : cookie,
               is_first ? sizeof(label) : ED_COOKIE_SIZE, conn->secrets->opening->seed,
               ED_KEY_SIZE);
}

void ed_conn_reckon_ahead(ed_conn *conn)
{
    ed_opening *opening = conn->secrets->opening;
    uint8_t ephemeral[ED_KEY_SIZE];

    if (conn->state != ED_CONN_GREETING || !draws_ahead(conn) || opening->has_ahead)
        return;
    make_ephemeral(conn, ephemeral, NULL);
    opening->has_ahead =
        ed_noise_reckon_ahead(&opening->ahead, ephemeral, dial_of(conn)->server_key);
    ed_wipe(ephemeral, sizeof(ephemeral));
}

/** And leaves the handshake which that begins in the opening. */
static size_t write_initiate(ed_conn *conn, const uint8_t cookie[ED_COOKIE_SIZE], uint8_t *data)
{
    uint8_t ephemeral[ED_KEY_SIZE];
    const ed_dial *dial = dial_of(conn);
    ed_opening *opening = conn->secrets->opening;
    ed_noise_keys keys = client_keys(conn);
    ed_noise_ahead ahead = opening->ahead;
    ed_initiate initiate = {.version = ED_PROTOCOL_VERSION,
                            .mode = conn->mode,
                            .suites = ed_suites_offered(conn->shared->config),
                            .protocol_id = conn->shared->config->protocol_id,
                            .capsule = conn->mode == ED_MODE_TOKEN ? dial->capsule : NULL,
                            .datagram_size = (uint16_t)conn->shared->config->max_datagram_size,
                            .credit = (uint32_t)conn->inbox.credit.limit,
                            .message_max = (uint32_t)conn->inbox.parts->max_message_size,
                            .client_time_us = conn->started_ns / ED_NS_PER_US,
                            .payload = {.data = dial->payload, .size = dial->payload_size}};

    memcpy(initiate.nonce, conn->nonce, ED_NONCE_SIZE);
    memcpy(initiate.cookie, cookie, ED_COOKIE_SIZE);
    memcpy(conn->cookie, cookie, ED_COOKIE_SIZE);
    make_ephemeral(conn, ephemeral, cookie);
    keys.ahead = opening->has_ahead ? &ahead : NULL;
    opening->has_ahead = false;
    bool ok = ed_initiate_write(data, &initiate, &opening->noise, ephemeral, &keys);
    ed_wipe(ephemeral, sizeof(ephemeral));
    ed_wipe(&ahead, sizeof(ahead));
    ED_ASSERT(ok); // the server's key was tried before the connection was made
    return ED_INITIATE_SIZE;
}

/** Both ends: the handshake is through. */
static void take_keys(ed_conn *conn, ed_noise *noise, uint8_t suite, uint64_t now_ns)
{
    uint8_t secrets[2][ED_KEY_SIZE];

    ed_noise_split(noise, secrets[0], secrets[1]);
    ed_keys_init(&conn->secrets->keys, (ed_aead)suite, secrets[conn->is_client ? 0 : 1],
                 secrets[conn->is_client ? 1 : 0], now_ns);
    ed_keylog_start(&conn->secrets->keys, conn->is_client, conn->nonce, secrets[0], secrets[1]);
    conn->secrets->has_keys = true;
    ed_wipe(secrets, sizeof(secrets));
    ed_openings_give(conn->shared->openings, conn->secrets->opening);
    conn->secrets->opening = NULL;
}

static void accepted(ed_conn *conn, const ed_accept *accept, ed_noise *noise, uint64_t now_ns)
{
    conn->id = accept->id;
    conn->request_pending = false; // whatever was to be repeated
    conn->message_max = accept->message_max;
    ed_conn_init_mtu(conn, accept->datagram_size);
    memcpy(conn->reset_token, accept->reset_token, ED_RESET_TOKEN_SIZE);
    memcpy(dial_of(conn)->server_key, noise->peer, ED_KEY_SIZE);
    if (conn->shared->purse != NULL)
        ed_purse_put(conn->shared->purse, &ed_conn_path(conn)->remote, accept->ticket);
    ed_outbox_on_credit(&conn->outbox, accept->credit);
    take_keys(conn, noise, accept->suite, now_ns);
    ed_conn_apply(conn, ED_INPUT_ACCEPT, NULL, now_ns);
}

static void refused(ed_conn *conn, const ed_accept *accept, uint64_t now_ns)
{
    ed_conn_end end = {
        .end = EDDY_END_REFUSED, .refusal = (eddy_refusal)accept->refusal, .code = accept->code};

    memcpy(end.reason, accept->reason, sizeof(end.reason));
    ed_conn_apply(conn, ED_INPUT_REFUSED, &end, now_ns);
}

/** With the handshake that the opening has begun. What is not authentic changes nothing. */
static eddy_status open_with_this(const ed_conn *conn, const eddy_datagram *datagram,
                                  ed_accept *accept, ed_noise *noise)
{
    uint8_t data[ED_ACCEPT_SIZE_MAX];

    memcpy(data, datagram->data, ed_min_size(datagram->size, sizeof(data)));
    *noise = conn->secrets->opening->noise;
    return ed_accept_open(accept, noise, (ed_mode)conn->mode, conn->nonce, data, datagram->size);
}

/** Whether it says so. Who does not know the nonce must not make us reckon. */
static bool answers_us(const ed_conn *conn, const eddy_datagram *datagram)
{
    return ed_equal_secret(datagram->data + ED_ACCEPT_NONCE_AT, conn->nonce, ED_NONCE_SIZE);
}

/** It may be the answer to any of our INITIATEs. The handshake of another is begun once more. */
static eddy_status open_accept(ed_conn *conn, const eddy_datagram *datagram, ed_accept *accept,
                               ed_noise *noise)
{
    const ed_attempts *attempts = &dial_of(conn)->attempts;
    eddy_status status = open_with_this(conn, datagram, accept, noise);
    uint8_t initiate[ED_INITIATE_SIZE], last[ED_COOKIE_SIZE];

    if (status == EDDY_EAUTH && !answers_us(conn, datagram))
        return status;
    memcpy(last, conn->cookie, sizeof(last));
    for (size_t i = attempts->count; status == EDDY_EAUTH && i-- > 0;) {
        const uint8_t *cookie = attempts->cookies[i];
        if (!attempts->is_tried[i] || memcmp(cookie, last, sizeof(last)) == 0)
            continue;
        (void)write_initiate(conn, cookie, initiate);
        status = open_with_this(conn, datagram, accept, noise);
    }
    return status;
}

static void receive_accept(ed_conn *conn, const eddy_datagram *datagram, uint64_t now_ns)
{
    const ed_opening *opening = conn->secrets->opening;
    ed_accept accept;
    ed_noise noise;

    // An answer to an INITIATE that has not left yet is none: there is no handshake to open it
    // with.
    if (conn->state != ED_CONN_INITIATING || opening->has_ahead || opening->noise.message != 1) {
        conn->shared->stats->dropped_unknown++;
        return;
    }
    eddy_status status = open_accept(conn, datagram, &accept, &noise);
    if (status == EDDY_OK && accept.refusal == 0 &&
        !SEC_CHECK(EDDY_CHECK_SUITE, ed_suite_is_offered(conn->shared->config, accept.suite)))
        status = EDDY_EPROTO;
    if (status != EDDY_OK)
        count_drop(conn, status);
    else if (accept.refusal != 0)
        refused(conn, &accept, now_ns);
    else
        accepted(conn, &accept, &noise, now_ns);
    ed_wipe(&noise, sizeof(noise));
}

void ed_conn_receive_handshake(ed_conn *conn, const eddy_datagram *datagram, uint64_t now_ns)
{
    ed_form form = ed_form_of(datagram->data, datagram->size);

    if (conn->is_client && form == ED_FORM_RETRY) {
        receive_retry(conn, datagram, now_ns);
        return;
    }
    if (conn->is_client && (form == ED_FORM_REJECT || form == ED_FORM_VERSIONS)) {
        receive_hint(conn, datagram, form, now_ns);
        return;
    }
    if (conn->is_client && form == ED_FORM_ACCEPT) {
        receive_accept(conn, datagram, now_ns);
        return;
    }
    if (!conn->is_client && form == ED_FORM_INITIATE) {
        // Admission has checked the cookie and the nonce: the client missed our ACCEPT.
        conn->request_pending = (conn->state == ED_CONN_HALF_OPEN && conn->rival == 0) ||
                                conn->state == ED_CONN_REFUSING;
        return;
    }
    conn->shared->stats->dropped_unknown++;
}

static ed_accept make_accept(const ed_conn *conn)
{
    ed_accept accept = {.suite = conn->suite,
                        .id = conn->id,
                        .datagram_size = (uint16_t)conn->shared->config->max_datagram_size,
                        .credit = (uint32_t)conn->inbox.credit.limit,
                        .message_max = (uint32_t)conn->inbox.parts->max_message_size,
                        .idle_timeout_ms = conn->shared->config->idle_timeout_ms,
                        .server_time_us = conn->started_ns / ED_NS_PER_US};

    ed_ticket_claim claim = {.secret = conn->shared->identity->tickets,
                             .remote = &conn->admitted_from,
                             .protocol_id = conn->shared->config->protocol_id};

    memcpy(accept.nonce, conn->nonce, ED_NONCE_SIZE);
    ed_ticket_make(accept.ticket, &claim, conn->shared->entropy, conn->started_ns);
    ed_identity_reset_token(conn->shared->identity, accept.reset_token, conn->id,
                            &ed_conn_path(conn)->remote);
    if (conn->state == ED_CONN_REFUSING) {
        accept.refusal = EDDY_REFUSED_BY_PROGRAM;
        ed_close close = ed_conn_said_close(conn);
        accept.code = close.code;
        accept.reason_size = close.reason_size;
        memcpy(accept.reason, close.reason, sizeof(accept.reason));
    }
    return accept;
}

void ed_conn_drop_accept(ed_conn *conn)
{
    ed_alloc_free(conn->shared->allocator, conn->accept, ED_ACCEPT_SIZE_MAX);
    conn->accept = NULL;
}

/** Makes the answer, and with it the keys. @return false, with nothing to send. */
static bool prepare_accept(ed_conn *conn, uint64_t now_ns)
{
    const eddy_entropy *entropy = conn->shared->entropy;
    ed_accept accept = make_accept(conn);
    uint8_t ephemeral[ED_KEY_SIZE];

    conn->accept = ed_alloc_zeroed(conn->shared->allocator, ED_ACCEPT_SIZE_MAX);
    if (conn->accept == NULL)
        return false; // the client asks again
    ed_noise noise = conn->secrets->opening->noise;
    entropy->fill(entropy->context, ephemeral, sizeof(ephemeral));
    bool ok = ed_accept_write(conn->accept, &accept, &noise, (ed_mode)conn->mode, ephemeral);
    if (ok)
        take_keys(conn, &noise, accept.suite, now_ns);
    else // in mode OPEN this is the first that is reckoned with the client's key
        ed_conn_abandon(conn, EDDY_END_PROTOCOL, now_ns);
    ed_wipe(ephemeral, sizeof(ephemeral));
    ed_wipe(&noise, sizeof(noise));
    return ok;
}

/** Answers once and for all: the same INITIATE gets the same ACCEPT, byte for byte. */
static size_t write_accept(ed_conn *conn, uint8_t *data, uint64_t now_ns)
{
    size_t size = ed_accept_size((ed_mode)conn->mode);

    if (conn->accept == NULL && !prepare_accept(conn, now_ns))
        return 0;
    memcpy(data, conn->accept, size);
    return size;
}

/** The next of what is pending. */
static size_t write_request(ed_conn *conn, uint8_t *data, uint64_t now_ns)
{
    ed_attempts *attempts = &dial_of(conn)->attempts;
    bool says_hello = ed_attempts_take_hello(attempts);
    const uint8_t *cookie = says_hello ? NULL : ed_attempts_take(attempts);

    if (!says_hello && cookie == NULL) {
        conn->request_pending = false;
        return 0;
    }
    ed_timers_on_request_sent(&conn->timers, attempts->is_disputed, now_ns);
    return says_hello ? write_hello(conn, data) : write_initiate(conn, cookie, data);
}

/** HELLO to each address that is due. Only the first round begins the time until it is repeated. */
static size_t transmit_race(ed_conn *conn, ed_race *race, ed_path *path, uint8_t *data,
                            uint64_t now_ns)
{
    ed_timers_on_request_sent(&conn->timers, false, now_ns);
    (void)ed_attempts_take_hello(&dial_of(conn)->attempts);
    bool is_due = ed_race_take(race, &path->remote);
    ED_ASSERT(is_due); // that is what `request_pending` says
    conn->request_pending = race->due != 0;
    return write_hello(conn, data);
}

size_t ed_conn_transmit_handshake(ed_conn *conn, ed_path *path, uint8_t *data, uint64_t now_ns)
{
    ed_race *race = conn->is_client ? ed_conn_race(conn) : NULL;

    if (!conn->request_pending)
        return 0;
    if (race != NULL)
        return transmit_race(conn, race, path, data, now_ns);
    if (conn->is_client)
        return write_request(conn, data, now_ns);
    conn->request_pending = false;
    return write_accept(conn, data, now_ns);
}
