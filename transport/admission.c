#include "transport/admission.h"

#include "core/prefix.h"
#include "transport/check.h"
#include "transport/packet.h"
#include "transport/ports.h"

/** One datagram of a stranger, and where the answer to it goes. */
struct visit {
    ed_reliable *reliable;
    const eddy_datagram *datagram;
    ed_load *load;
    uint8_t *reply;
    size_t *reply_size;
    uint64_t now_ns;
};

ed_route ed_admission_route(void *context, const eddy_datagram *datagram)
{
    const ed_reliable *reliable = context;
    bool from_client = false;
    uint32_t id = 0;

    switch (ed_form_of(datagram->data, datagram->size)) {
    case ED_FORM_PACKET:
        if (ed_packet_peek_id(datagram->data, datagram->size, &from_client, &id) != EDDY_OK)
            return (ed_route){.kind = ED_ROUTE_NOWHERE};
        if (from_client)
            return (ed_route){.kind = ED_ROUTE_ID_OR_NEW, .id = id};
        // A server's is nothing to answer: or two servers would tell each other that they have none
        // of the other's connections.
        return (ed_route){.kind = ED_CHECK_IS_OFF(EDDY_CHECK_STRAY) ? ED_ROUTE_KNOWN_OR_NEW
                                                                    : ED_ROUTE_KNOWN,
                          .side = ED_SIDE_OUTGOING};
    case ED_FORM_RETRY:
    case ED_FORM_ACCEPT:
    case ED_FORM_REJECT:
    case ED_FORM_VERSIONS:
        return (ed_route){.kind = ED_ROUTE_KNOWN, .side = ED_SIDE_OUTGOING};
    case ED_FORM_HELLO:
    case ED_FORM_INITIATE:
        return (ed_route){.kind = reliable->accepts ? ED_ROUTE_NEW : ED_ROUTE_NOWHERE};
    case ED_FORM_UNKNOWN:
        break;
    }
    return (ed_route){.kind = ED_ROUTE_NOWHERE};
}

/* ------------------------------------------------------------------------------------ answers --
 */

static ed_admission drop(uint64_t *counter)
{
    (*counter)++;
    return ED_ADMIT_NO;
}

/** Whether an answer may leave to a stranger, who may not be where he says he is. */
static bool may_reply(const struct visit *v)
{
    return SEC_CHECK(EDDY_CHECK_PORT, !ed_port_is_blocked(v->datagram->remote.port)) &&
           SEC_CHECK(EDDY_CHECK_REPLIES,
                     ed_door_take(v->reliable->door, ED_DOOR_REPLIES, v->now_ns));
}

/** @param shown the cookie that is refused, in an INITIATE; NULL: HELLO asked. */
static ed_admission give_cookie(const struct visit *v, const ed_hello *hello, const uint8_t *shown)
{
    const ed_identity *identity = v->reliable->shared.identity;
    ed_retry retry = {.version = hello->version};

    if (!may_reply(v))
        return drop(&v->reliable->shared.stats->dropped_limit);
    ed_door_cookie_make(v->reliable->door, retry.cookie, hello, &v->datagram->remote, v->now_ns);
    ed_retry_write(v->reply, &retry, hello->nonce, ed_identity_greeting(identity, hello->mode),
                   shown);
    *v->reply_size = ED_RETRY_SIZE;
    return ED_ADMIT_REPLY;
}

/** Says why, where there are no keys to seal it with. */
static ed_admission reject(const struct visit *v, uint8_t mode, const uint8_t *nonce,
                           eddy_refusal refusal)
{
    ed_reject hint = {.version = ED_PROTOCOL_VERSION, .refusal = (uint8_t)refusal};

    if (!may_reply(v))
        return drop(&v->reliable->shared.stats->dropped_limit);
    ed_reject_write(v->reply, &hint, nonce,
                    ed_identity_greeting(v->reliable->shared.identity, mode));
    *v->reply_size = ED_REJECT_SIZE;
    v->reliable->shared.stats->refused++;
    return ED_ADMIT_REPLY;
}

/** Whether strangers at that address may come in that mode. */
static bool accepts_mode(const ed_reliable *reliable, uint8_t mode, const eddy_address *remote)
{
    const eddy_config *config = reliable->shared.config;

    if (!SEC_CHECK(EDDY_CHECK_MODE, mode < ED_MODE_COUNT && (config->modes >> mode & 1) != 0))
        return false;
    return SEC_CHECK(EDDY_CHECK_OPEN_PRIVATE,
                     mode != ED_MODE_OPEN || config->open_to_public || ed_addr_is_private(remote));
}

/** Says to who speaks another version, and knows our key, which ones we speak. */
static ed_admission tell_versions(const struct visit *v, uint8_t mode, const uint8_t *nonce)
{
    static const ed_versions ours = {.count = 1, .versions = {ED_PROTOCOL_VERSION}};

    v->reliable->shared.stats->dropped_unknown++;
    // Anybody has the key of OPEN: whom we would not let in hears nothing.
    if (mode == ED_MODE_OPEN && !accepts_mode(v->reliable, mode, &v->datagram->remote))
        return ED_ADMIT_NO;
    if (!may_reply(v))
        return drop(&v->reliable->shared.stats->dropped_limit);
    ed_versions_write(v->reply, &ours, nonce,
                      ed_identity_greeting(v->reliable->shared.identity, mode));
    *v->reply_size = ED_VERSIONS_SIZE;
    return ED_ADMIT_REPLY;
}

/** Tells a newcomer whose INITIATE is authentic why it may not connect. */
static ed_admission refuse(const struct visit *v, eddy_refusal refusal)
{
    const eddy_entropy *entropy = v->reliable->shared.entropy;
    ed_admitted *admitted = v->reliable->admitted;
    ed_mode mode = (ed_mode)admitted->initiate.mode;
    ed_accept accept = {.refusal = (uint8_t)refusal};
    uint8_t ephemeral[ED_KEY_SIZE];

    memcpy(accept.nonce, admitted->initiate.nonce, ED_NONCE_SIZE);
    entropy->fill(entropy->context, ephemeral, sizeof(ephemeral));
    bool ok = ed_accept_write(v->reply, &accept, &admitted->noise, mode, ephemeral);
    ed_wipe(ephemeral, sizeof(ephemeral));
    if (!ok)
        return drop(&v->reliable->shared.stats->dropped_forged);
    *v->reply_size = ed_accept_size(mode);
    v->reliable->shared.stats->refused++;
    return ED_ADMIT_REPLY;
}

/* -------------------------------------------------------------------------------------- HELLO --
 */

static ed_admission judge_hello(const struct visit *v)
{
    const ed_reliable *reliable = v->reliable;
    eddy_stats *stats = reliable->shared.stats;
    ed_hello hello;

    if (ed_hello_parse(&hello, v->datagram->data, v->datagram->size) != EDDY_OK)
        return drop(&stats->dropped_malformed);
    // To who does not know our key we are silent.
    if (!SEC_CHECK(
            EDDY_CHECK_HELLO_MAC,
            ed_request_is_authentic(v->datagram->data,
                                    ed_identity_greeting(reliable->shared.identity, hello.mode))))
        return drop(&stats->dropped_forged);
    if (hello.version != ED_PROTOCOL_VERSION)
        return tell_versions(v, hello.mode, hello.nonce);
    if (!SEC_CHECK(EDDY_CHECK_GAME, hello.protocol_id == reliable->shared.config->protocol_id))
        return drop(&stats->dropped_unknown);
    if (!accepts_mode(reliable, hello.mode, &v->datagram->remote)) {
        stats->dropped_unknown++;
        return hello.mode == ED_MODE_OPEN ? ED_ADMIT_NO
                                          : reject(v, hello.mode, hello.nonce, EDDY_REFUSED_MODE);
    }
    return give_cookie(v, &hello, NULL);
}

/* ----------------------------------------------------------------------------------- INITIATE --
 */

/** A cookie may just have grown old: it gets a new one. */
static ed_admission renew_cookie(const struct visit *v, const ed_initiate *initiate)
{
    ed_hello hello = {
        .version = initiate->version, .mode = initiate->mode, .protocol_id = initiate->protocol_id};

    memcpy(hello.nonce, initiate->nonce, ED_NONCE_SIZE);
    v->reliable->shared.stats->dropped_cookie++;
    return give_cookie(v, &hello, initiate->cookie);
}

/** The connection that this very INITIATE has made; 0: none. */
static eddy_connection made_by(const struct visit *v)
{
    const ed_reliable *reliable = v->reliable;
    const ed_conn *existing = v->load->existing;
    const uint8_t *origin = reliable->admitted->origin;
    uint32_t slot = 0;

    if (existing != NULL && ed_equal_secret(existing->origin, origin, ED_MAC_SIZE))
        return existing->handle;
    return ed_map_get(reliable->begun, origin, &slot)
               ? ed_slots_handle(reliable->shared.slots, slot)
               : 0;
}

/**
 * A ticket says no time. So where there is a connection, which it may be older than, a cookie has
 * to tell what came first.
 */
static bool has_good_ticket(const struct visit *v, const ed_initiate *initiate)
{
    ed_ticket_claim claim = {.secret = v->reliable->shared.identity->tickets,
                             .remote = &v->datagram->remote,
                             .protocol_id = initiate->protocol_id};

    if (v->load->existing != NULL)
        return made_by(v) != 0;
    return SEC_CHECK(EDDY_CHECK_TICKET, ed_ticket_check(initiate->cookie, &claim, v->now_ns)) &&
           SEC_CHECK(EDDY_CHECK_TICKET_USED,
                     ed_door_tickets_may_use(v->reliable->door, initiate->cookie));
}

/** Whether there is a cookie of ours in it, or a ticket that was not used. */
static bool proves_address(const struct visit *v, const ed_initiate *initiate)
{
    if (ed_is_ticket(initiate->cookie))
        return has_good_ticket(v, initiate);
    return SEC_CHECK(EDDY_CHECK_COOKIE, ed_door_cookie_check(v->reliable->door, initiate,
                                                             &v->datagram->remote, v->now_ns));
}

/** Whether the list of clients has the key. Without a list the program is asked. */
static bool knows_client(const ed_reliable *reliable, const uint8_t key[ED_KEY_SIZE])
{
    const eddy_config *config = reliable->shared.config;
    bool found = config->client_keys == NULL;

    for (size_t i = 0; i < config->client_key_count; i++)
        found |= ed_equal_secret(config->client_keys[i].bytes, key, ED_KEY_SIZE);
    return found;
}

/** Opens it, at the price of a Diffie-Hellman or three. */
static eddy_status open_initiate(const struct visit *v)
{
    ed_admitted *admitted = v->reliable->admitted;
    const ed_identity *identity = v->reliable->shared.identity;
    bool has_token = admitted->initiate.mode == ED_MODE_TOKEN;
    ed_noise_keys keys = {.own = &identity->pair,
                          .shared = has_token ? admitted->capsule.psk : identity->room};

    return ed_initiate_open(&admitted->initiate, &admitted->noise, v->datagram->data, &keys);
}

/**
 * The oldest that has not confirmed, and had its time to; of the newcomer's own network, where that
 * has too many of these. 0: there is none.
 */
static eddy_connection find_giving_way(const struct visit *v, bool is_crowd)
{
    const ed_list *all = &v->reliable->half_open;
    bool is_first = ed_door_gate_half_open(v->reliable->door, &v->datagram->remote) == 0;
    uint64_t age_ns = is_first ? ED_HALF_OPEN_MIN_NS : ED_HALF_OPEN_MORE_NS;

    for (ed_list_node *node = ed_list_first(all); node != NULL; node = ed_list_next(all, node)) {
        const ed_conn *conn = ED_CONTAINER(node, ed_conn, half_open);
        if (v->now_ns - conn->started_ns < age_ns)
            return 0; // nor are those behind it as old
        if (!is_crowd || ed_gate_counts_as_one(&conn->admitted_from, &v->datagram->remote))
            return conn->handle;
    }
    return 0;
}

/** @param adds whether nobody at its address has to make room for it. */
static ed_admission find_place(const struct visit *v, bool is_crowd, bool adds)
{
    if (v->load->may_create && !is_crowd)
        return ED_ADMIT_CREATE;
    v->load->chosen = find_giving_way(v, is_crowd);
    if (v->load->chosen != 0 || !adds)
        return ED_ADMIT_CREATE;
    if (!SEC_CHECK(EDDY_CHECK_CROWD, !is_crowd))
        return drop(&v->reliable->shared.stats->dropped_limit);
    if (!v->load->is_full) // the manager knows how many there may be
        return ED_ADMIT_CREATE;
    if (ed_list_first(&v->reliable->half_open) == NULL)
        return refuse(v, EDDY_REFUSED_FULL);
    return drop(&v->reliable->shared.stats->dropped_limit); // a place may soon be free
}

/** What is left to ask of one that is authentic. `verdict` is what the gate said. */
static ed_admission judge_newcomer(const struct visit *v, ed_gate_verdict verdict)
{
    const ed_reliable *reliable = v->reliable;
    const ed_admitted *admitted = reliable->admitted;

    if (admitted->initiate.mode == ED_MODE_MUTUAL &&
        !SEC_CHECK(EDDY_CHECK_CLIENT_KEY, knows_client(reliable, admitted->noise.peer)))
        return refuse(v, EDDY_REFUSED_KEY);
    bool adds = v->load->existing == NULL || ed_reliable_stays(v->load->existing);
    if (adds && !SEC_CHECK(EDDY_CHECK_CAP, verdict != ED_GATE_CAP))
        return refuse(v, EDDY_REFUSED_LIMIT);
    // Where there is no room for both, or the program would be asked, the newcomer asks again.
    v->load->may_wait =
        verdict == ED_GATE_OK && v->load->may_create && !reliable->shared.config->ask;
    bool is_crowd = adds && verdict == ED_GATE_CROWD && !ED_CHECK_IS_OFF(EDDY_CHECK_CROWD);
    return find_place(v, is_crowd, adds);
}

/** Whether the client has begun with its token before, and has not got through: that gives way. */
static bool is_tried_by_us(const ed_conn *existing, const ed_initiate *initiate)
{
    return existing != NULL &&
           (existing->state == ED_CONN_HALF_OPEN || existing->state == ED_CONN_ASKING) &&
           ed_equal_secret(existing->nonce, initiate->nonce, ED_NONCE_SIZE) &&
           ed_reliable_has_token_of_newcomer(existing);
}

/**
 * Whether the server before this one cannot have taken the token, of which there is no note here.
 * What that took was issued before its end, by a clock that was ahead by ED_TOKEN_CLOCK_S at most.
 */
static bool is_of_our_time(const ed_reliable *reliable, const ed_capsule *capsule)
{
    return !reliable->shared.config->strict_tokens ||
           capsule->issued_s > ed_add_sat_u64(reliable->started_s, ED_TOKEN_CLOCK_S);
}

/** Tells the holder of a token, who has proved to be that, why it is of no use any more. */
static ed_admission judge_token(const struct visit *v, ed_gate_verdict verdict)
{
    const ed_admitted *admitted = v->reliable->admitted;
    ed_used_token token = ed_admitted_token(admitted);
    uint64_t now_s = v->reliable->now_s;

    if (!SEC_CHECK(EDDY_CHECK_TOKEN_TIME, ed_capsule_judge(&admitted->capsule, now_s) == EDDY_OK))
        return refuse(v, EDDY_REFUSED_EXPIRED);
    if (!SEC_CHECK(EDDY_CHECK_TOKEN_START, is_of_our_time(v->reliable, &admitted->capsule)))
        return refuse(v, EDDY_REFUSED_EXPIRED);
    if (is_tried_by_us(v->load->existing, &admitted->initiate))
        return judge_newcomer(v, verdict);
    ed_used_verdict used = ed_door_used_look(v->reliable->door, &token, now_s);
    if (!SEC_CHECK(EDDY_CHECK_TOKEN_USED, used != ED_USED_TAKEN))
        return refuse(v, EDDY_REFUSED_USED);
    if (!SEC_CHECK(EDDY_CHECK_TOKEN_ROOM, used != ED_USED_FULL))
        return refuse(v, EDDY_REFUSED_LIMIT);
    return judge_newcomer(v, verdict);
}

/** Opens the capsule: far cheaper than what follows, and only its issuer can make one. */
static bool open_capsule(const ed_reliable *reliable, ed_admitted *admitted)
{
    ed_capsule_place place = {.protocol_id = reliable->shared.config->protocol_id,
                              .server_id = reliable->shared.config->server_id};

    return SEC_CHECK(EDDY_CHECK_TOKEN,
                     ed_capsule_open(&admitted->capsule, admitted->initiate.capsule, &place,
                                     reliable->shared.identity->token) == EDDY_OK);
}

/** Its address is proved: from here on it is counted. The cheapest question comes first. */
static ed_admission judge_sealed(const struct visit *v)
{
    ed_reliable *reliable = v->reliable;
    ed_admitted *admitted = reliable->admitted;
    eddy_stats *stats = reliable->shared.stats;
    bool has_token = admitted->initiate.mode == ED_MODE_TOKEN;

    ed_gate_verdict verdict = ed_door_gate_admits(reliable->door, &v->datagram->remote, v->now_ns);
    if (!SEC_CHECK(EDDY_CHECK_RATE, verdict != ED_GATE_RATE))
        return drop(&stats->dropped_limit);
    if (has_token && !open_capsule(reliable, admitted)) {
        stats->dropped_forged++;
        return reject(v, ED_MODE_TOKEN, admitted->initiate.nonce, EDDY_REFUSED_TOKEN);
    }
    if (!SEC_CHECK(EDDY_CHECK_WORK, ed_door_take(reliable->door, ED_DOOR_HANDSHAKES, v->now_ns)))
        return drop(&stats->dropped_limit);
    eddy_status status = open_initiate(v);
    if (status == EDDY_EAUTH)
        ed_door_gate_blame(reliable->door, &v->datagram->remote, v->now_ns);
    if (status != EDDY_OK)
        return drop(status == EDDY_EAUTH ? &stats->dropped_forged : &stats->dropped_malformed);
    return has_token ? judge_token(v, verdict) : judge_newcomer(v, verdict);
}

static ed_admission judge_initiate(const struct visit *v)
{
    ed_reliable *reliable = v->reliable;
    eddy_stats *stats = reliable->shared.stats;
    const eddy_config *config = reliable->shared.config;
    ed_initiate *initiate = &reliable->admitted->initiate;

    reliable->admitted->capsule = (ed_capsule){0};
    if (ed_initiate_parse(initiate, v->datagram->data, v->datagram->size) != EDDY_OK)
        return drop(&stats->dropped_malformed);
    // To who does not know our key we are silent, as after HELLO.
    if (!SEC_CHECK(EDDY_CHECK_INITIATE_MAC,
                   ed_request_is_authentic(
                       v->datagram->data,
                       ed_identity_greeting(reliable->shared.identity, initiate->mode))))
        return drop(&stats->dropped_forged);
    if (initiate->version != ED_PROTOCOL_VERSION)
        return tell_versions(v, initiate->mode, initiate->nonce);
    if (!SEC_CHECK(EDDY_CHECK_GAME, initiate->protocol_id == config->protocol_id) ||
        !accepts_mode(reliable, initiate->mode, &v->datagram->remote) ||
        !SEC_CHECK(EDDY_CHECK_SUITE, ed_suite_choose(config, initiate->suites) != 0))
        return drop(&stats->dropped_unknown);
    ed_reliable_origin(reliable, reliable->admitted->origin, initiate, &v->datagram->remote);
    if (!proves_address(v, initiate))
        return renew_cookie(v, initiate);
    v->load->chosen = made_by(v);
    if (v->load->chosen != 0)
        return ED_ADMIT_CONTINUE; // it missed our answer, which costs nothing to repeat
    return judge_sealed(v);
}

/** What one said that is not let in is nobody's business any more; of CREATE the manager says when.
 */
static ed_admission judge_and_forget(const struct visit *v)
{
    ed_admission admission = judge_initiate(v);

    if (admission != ED_ADMIT_CREATE)
        ed_reliable_forget_newcomer(v->reliable);
    return admission;
}

/* ------------------------------------------------------------------------------------- packet --
 */

/**
 * A packet of a connection that we do not know (any more): tells the client, in a datagram that
 * looks like a packet and is shorter than its cause, so that two ends never go on answering each
 * other.
 */
static ed_admission reset(const struct visit *v)
{
    const ed_reliable *reliable = v->reliable;
    const eddy_entropy *entropy = reliable->shared.entropy;
    bool from_client = false;
    uint32_t id = 0;
    const eddy_address *remote = &v->datagram->remote;
    uint8_t *reply = v->reply;
    size_t size = ed_min_size(v->datagram->size - 1, ED_RESET_SIZE_MAX);

    reliable->shared.stats->dropped_unknown++;
    if (!reliable->accepts || size < ED_RESET_SIZE_MIN ||
        ed_packet_peek_id(v->datagram->data, v->datagram->size, &from_client, &id) != EDDY_OK ||
        !SEC_CHECK(EDDY_CHECK_PORT, !ed_port_is_blocked(remote->port)) ||
        !SEC_CHECK(EDDY_CHECK_RESETS_EACH,
                   ed_door_gate_takes_reset(reliable->door, remote, v->now_ns)) ||
        !SEC_CHECK(EDDY_CHECK_RESETS, ed_door_take(reliable->door, ED_DOOR_RESETS, v->now_ns)))
        return ED_ADMIT_NO;
    entropy->fill(entropy->context, reply, size - ED_RESET_TOKEN_SIZE);
    ed_packet_disguise(reply);
    ed_identity_reset_token(reliable->shared.identity, reply + size - ED_RESET_TOKEN_SIZE, id,
                            remote);
    *v->reply_size = size;
    reliable->shared.stats->resets_sent++;
    return ED_ADMIT_REPLY;
}

static ed_admission judge(const struct visit *v)
{
    uint64_t *unknown = &v->reliable->shared.stats->dropped_unknown;

    switch (ed_form_of(v->datagram->data, v->datagram->size)) {
    case ED_FORM_HELLO:
        return v->load->shutting_down ? drop(unknown) : judge_hello(v);
    case ED_FORM_INITIATE:
        return v->load->shutting_down ? drop(unknown) : judge_and_forget(v);
    case ED_FORM_PACKET:
        return v->load->shutting_down ? drop(unknown) : reset(v);
    case ED_FORM_UNKNOWN:
    case ED_FORM_RETRY:
    case ED_FORM_ACCEPT:
    case ED_FORM_REJECT:
    case ED_FORM_VERSIONS:
        break;
    }
    return ED_ADMIT_NO;
}

ed_admission ed_admission_judge(void *context, const eddy_datagram *datagram, ed_load *load,
                                uint8_t *reply, size_t *reply_size, uint64_t now_ns)
{
    struct visit visit = {.reliable = context,
                          .datagram = datagram,
                          .load = load,
                          .reply = reply,
                          .reply_size = reply_size,
                          .now_ns = now_ns};

    return judge(&visit);
}
