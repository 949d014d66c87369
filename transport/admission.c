#include "transport/admission.h"

#include "transport/packet.h"

ed_route ed_admission_route(void *context, const eddy_datagram *datagram)
{
    const ed_reliable *reliable = context;
    bool from_client = false;
    uint32_t id = 0;

    switch (ed_form_of(datagram->data, datagram->size)) {
    case ED_FORM_PACKET:
        if (ed_packet_peek_id(datagram->data, datagram->size, &from_client, &id) != EDDY_OK)
            return (ed_route){.kind = ED_ROUTE_NOWHERE};
        return from_client ? (ed_route){.kind = ED_ROUTE_ID, .id = id}
                           : (ed_route){.kind = ED_ROUTE_KNOWN, .side = ED_SIDE_OUTGOING};
    case ED_FORM_RETRY:
    case ED_FORM_ACCEPT:
        return (ed_route){.kind = ED_ROUTE_KNOWN, .side = ED_SIDE_OUTGOING};
    case ED_FORM_HELLO:
    case ED_FORM_INITIATE:
        return (ed_route){.kind = reliable->accepts ? ED_ROUTE_NEW : ED_ROUTE_NOWHERE};
    case ED_FORM_UNKNOWN:
        break;
    }
    return (ed_route){.kind = ED_ROUTE_NOWHERE};
}

/** Whether a stranger speaks our version and mode of our game. */
static bool is_ours(const ed_reliable *reliable, uint32_t version, uint8_t mode,
                    uint64_t protocol_id)
{
    return version == ED_PROTOCOL_VERSION && mode == ED_MODE_PLAIN &&
           protocol_id == reliable->shared.config->protocol_id;
}

static ed_admission give_cookie(const ed_reliable *reliable, const ed_hello *hello,
                                const eddy_address *remote, uint8_t *reply, size_t *reply_size,
                                uint64_t now_ns)
{
    ed_retry retry = {.version = hello->version};

    memcpy(retry.nonce, hello->nonce, ED_NONCE_SIZE);
    ed_cookie_make(&reliable->cookies, retry.cookie, hello, remote, now_ns);
    ed_retry_write(reply, &retry);
    *reply_size = ED_RETRY_SIZE;
    return ED_ADMIT_REPLY;
}

static ed_admission admit_hello(const ed_reliable *reliable, const eddy_datagram *datagram,
                                uint8_t *reply, size_t *reply_size, uint64_t now_ns)
{
    eddy_stats *stats = reliable->shared.stats;
    ed_hello hello;
    eddy_status status = ed_hello_parse(&hello, datagram->data, datagram->size);

    if (status != EDDY_OK) {
        *(status == EDDY_EAUTH ? &stats->dropped_forged : &stats->dropped_malformed) += 1;
        return ED_ADMIT_NO;
    }
    if (!is_ours(reliable, hello.version, hello.mode, hello.protocol_id)) {
        stats->dropped_unknown++;
        return ED_ADMIT_NO;
    }
    return give_cookie(reliable, &hello, &datagram->remote, reply, reply_size, now_ns);
}

/** Tells a newcomer that has proved its address why it may not connect. */
static ed_admission refuse(const ed_reliable *reliable, const ed_initiate *initiate,
                           uint8_t refusal, uint8_t *reply, size_t *reply_size)
{
    const eddy_entropy *entropy = reliable->shared.entropy;
    ed_key key = ed_protect_accept_key(initiate->nonce, initiate->ephemeral);
    ed_accept accept = {.refusal = refusal, .suite = ED_SUITE_NULL};

    memcpy(accept.nonce, initiate->nonce, ED_NONCE_SIZE);
    entropy->fill(entropy->context, accept.ephemeral, ED_EPHEMERAL_SIZE);
    ed_accept_write(reply, &accept, &key);
    *reply_size = ED_ACCEPT_SIZE;
    reliable->shared.stats->refused++;
    return ED_ADMIT_REPLY;
}

static ed_admission admit_initiate(const ed_reliable *reliable, const eddy_datagram *datagram,
                                   const ed_load *load, uint8_t *reply, size_t *reply_size,
                                   uint64_t now_ns)
{
    eddy_stats *stats = reliable->shared.stats;
    ed_initiate initiate;

    if (ed_initiate_parse(&initiate, datagram->data, datagram->size) != EDDY_OK) {
        stats->dropped_malformed++;
        return ED_ADMIT_NO;
    }
    if (!is_ours(reliable, initiate.version, initiate.mode, initiate.protocol_id) ||
        (initiate.suites & ED_SUITE_NULL_BIT) == 0) {
        stats->dropped_unknown++;
        return ED_ADMIT_NO;
    }
    if (!ed_cookie_check(&reliable->cookies, &initiate, &datagram->remote, now_ns)) {
        // Its cookie may just have grown old: it gets a new one.
        ed_hello hello = {.version = initiate.version,
                          .mode = initiate.mode,
                          .protocol_id = initiate.protocol_id};
        memcpy(hello.nonce, initiate.nonce, ED_NONCE_SIZE);
        stats->dropped_cookie++;
        return give_cookie(reliable, &hello, &datagram->remote, reply, reply_size, now_ns);
    }
    if (ed_initiate_open(&initiate, datagram->data, datagram->size) != EDDY_OK) {
        stats->dropped_forged++;
        return ED_ADMIT_NO;
    }
    if (load->is_full && !load->may_create && !load->has_connection)
        return refuse(reliable, &initiate, EDDY_REFUSED_FULL, reply, reply_size);
    return ED_ADMIT_CREATE;
}

ed_admission ed_admission_judge(void *context, const eddy_datagram *datagram, const ed_load *load,
                                uint8_t *reply, size_t *reply_size, uint64_t now_ns)
{
    const ed_reliable *reliable = context;

    if (load->shutting_down)
        return ED_ADMIT_NO;
    if (ed_form_of(datagram->data, datagram->size) == ED_FORM_HELLO)
        return admit_hello(reliable, datagram, reply, reply_size, now_ns);
    return admit_initiate(reliable, datagram, load, reply, reply_size, now_ns);
}
