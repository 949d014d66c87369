/** INITIATE and ACCEPT: the two messages of Noise, and what they carry. */
#include "transport/handshake.h"

#include <string.h>

#include "transport/check.h"
#include "transport/packet.h"

enum {
    CLEAR_SIZE = 56, /* of INITIATE, before a capsule and Noise's message */
    PARAMS_SIZE = 70,
    PAYLOAD_SIZE = PARAMS_SIZE + EDDY_CONNECT_PAYLOAD_MAX, /* of that message: always */
    ACCEPT_CLEAR_SIZE = ED_ACCEPT_NONCE_AT + ED_NONCE_SIZE,
    ACCEPT_PAYLOAD_SIZE = 136,
    ACCEPT_FIELDS_SIZE = 84,
    CAPSULE_NONCE_AT = 12, /* behind the capsule's key id and expiry */
    LABEL_SIZE = 8,
};

static_assert(ACCEPT_CLEAR_SIZE + ED_KEY_SIZE + ACCEPT_PAYLOAD_SIZE + ED_TAG_SIZE == ED_ACCEPT_SIZE,
              "PROTOCOL.md section 3.4");

/** What each mode is made of. */
static const struct mode {
    ed_noise_pattern pattern;
    size_t capsule_size;
} modes[ED_MODE_COUNT] = {
    [ED_MODE_OPEN] = {ED_NOISE_NXPSK2, 0},
    [ED_MODE_PINNED] = {ED_NOISE_NKPSK0, 0},
    [ED_MODE_MUTUAL] = {ED_NOISE_IKPSK1, 0},
    [ED_MODE_TOKEN] = {ED_NOISE_NKPSK0, ED_CAPSULE_SIZE},
};

/** Where Noise's message begins in INITIATE. */
static size_t message_at(uint8_t mode)
{
    return CLEAR_SIZE + modes[mode].capsule_size;
}

static size_t payload_at(uint8_t mode)
{
    return message_at(mode) + ed_noise_head_size(modes[mode].pattern, 0);
}

/** Where it ends. What stands behind it is padding: only the mac goes over that. */
static size_t message_end(uint8_t mode)
{
    return payload_at(mode) + PAYLOAD_SIZE + ED_TAG_SIZE;
}

/**
 * Begins Noise with all that stands before its message as the prologue; and with the shared key
 * bound to this very INITIATE, so that where that key is mixed in first (PINNED, TOKEN) no two of
 * them are sealed with one key, even if an ephemeral came twice.
 */
static void begin_noise(ed_noise *noise, const ed_initiate *initiate, const uint8_t *data,
                        bool is_client, const ed_noise_keys *keys)
{
    static const uint8_t no_key[ED_KEY_SIZE];
    uint8_t prologue[LABEL_SIZE + CLEAR_SIZE + ED_CAPSULE_SIZE] = "eddy-v1";
    uint8_t bound_to[LABEL_SIZE + ED_COOKIE_SIZE + ED_NONCE_SIZE + ED_XNONCE_SIZE] = "eddy psk";
    uint8_t shared[ED_KEY_SIZE];
    uint8_t *at = bound_to + LABEL_SIZE;
    size_t head_size = message_at(initiate->mode);

    memcpy(prologue + LABEL_SIZE, data, head_size);
    memcpy(at, initiate->cookie, ED_COOKIE_SIZE);
    memcpy(at + ED_COOKIE_SIZE, initiate->nonce, ED_NONCE_SIZE);
    if (initiate->capsule != NULL)
        memcpy(at + ED_COOKIE_SIZE + ED_NONCE_SIZE, initiate->capsule + CAPSULE_NONCE_AT,
               ED_XNONCE_SIZE);
    ed_blake2b(shared, sizeof(shared), bound_to, sizeof(bound_to),
               keys->shared != NULL ? keys->shared : no_key, ED_KEY_SIZE);
    ed_noise_keys bound = {
        .own = keys->own, .peer = keys->peer, .shared = shared, .ahead = keys->ahead};
    ed_noise_init(noise, modes[initiate->mode].pattern, is_client,
                  (ed_span){.data = prologue, .size = LABEL_SIZE + head_size}, &bound);
    ed_wipe(shared, sizeof(shared));
}

/* ----------------------------------------------------------------------------------- INITIATE --
 */

eddy_status ed_initiate_parse(ed_initiate *initiate, const void *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);
    ed_initiate parsed = {0};

    if (size != ED_INITIATE_SIZE) {
        ed_check_refused(EDDY_CHECK_INITIATE_FORM);
        return EDDY_ETRUNCATED;
    }
    uint8_t type = ed_read_u8(&r);
    parsed.version = ed_read_u32(&r);
    parsed.mode = ed_read_u8(&r);
    parsed.suites = ed_read_u8(&r);
    uint8_t reserved = ed_read_u8(&r);
    parsed.protocol_id = ed_read_u64(&r);
    ed_read_into(&r, parsed.nonce, ED_NONCE_SIZE);
    ed_read_into(&r, parsed.cookie, ED_COOKIE_SIZE);
    ED_ASSERT(ed_reader_ok(&r) && size - ed_reader_left(&r) == CLEAR_SIZE);
    bool is_ours = parsed.version == ED_PROTOCOL_VERSION;
    if (!SEC_CHECK(EDDY_CHECK_INITIATE_FORM,
                   type == ED_FORM_INITIATE && (!is_ours || reserved == 0)) ||
        (is_ours && parsed.mode >= ED_MODE_COUNT))
        return EDDY_EPROTO;
    if (is_ours && modes[parsed.mode].capsule_size > 0)
        parsed.capsule = ed_read_bytes(&r, ED_CAPSULE_SIZE).data;
    if (is_ours)
        ed_read_into(&r, parsed.ephemeral, ED_EPHEMERAL_SIZE);
    ED_ASSERT(ed_reader_ok(&r));
    *initiate = parsed;
    return EDDY_OK;
}

/** Whether the version in use is among those that the client, unaltered, says it speaks. */
static bool lists_version(ed_reader *r, uint8_t count, uint32_t version)
{
    bool found = false;

    for (size_t i = 0; i < ED_VERSIONS_MAX; i++)
        found |= ed_read_u32(r) == version && i < count;
    return found;
}

/** Takes what was sealed. False if it cannot be meant so. */
static bool read_sealed(ed_initiate *initiate, const uint8_t *data)
{
    size_t at = payload_at(initiate->mode);
    ed_reader r = ed_reader_of(data + at, PAYLOAD_SIZE);

    initiate->datagram_size = ed_read_u16(&r);
    (void)ed_read_u16(&r); // streams: not used yet
    initiate->credit = ed_read_u32(&r);
    uint32_t features = ed_read_u32(&r);
    uint8_t version_count = ed_read_u8(&r);
    (void)ed_read_uint(&r, 3);
    bool has_version = lists_version(&r, version_count, initiate->version);
    initiate->client_time_us = ed_read_u64(&r);
    (void)ed_read_u64(&r); // app_build: for the application to judge, later
    initiate->message_max = ed_read_u32(&r);
    uint16_t payload_size = ed_read_u16(&r);
    initiate->payload = ed_read_bytes(&r, ed_min_size(payload_size, EDDY_CONNECT_PAYLOAD_MAX));
    ED_ASSERT(ed_reader_ok(&r));
    return initiate->datagram_size >= ED_DATAGRAM_SIZE && features == 0 && has_version &&
           version_count <= ED_VERSIONS_MAX && initiate->message_max >= EDDY_PIECE_SIZE_MAX &&
           payload_size <= EDDY_CONNECT_PAYLOAD_MAX;
}

eddy_status ed_initiate_open(ed_initiate *initiate, ed_noise *noise, uint8_t *data,
                             const ed_noise_keys *keys)
{
    if (initiate->version != ED_PROTOCOL_VERSION)
        return EDDY_EPROTO;
    size_t at = message_at(initiate->mode);
    begin_noise(noise, initiate, data, false, keys);
    if (!SEC_CHECK(EDDY_CHECK_INITIATE_SEAL,
                   ed_noise_read(noise, data + at, message_end(initiate->mode) - at)))
        return EDDY_EAUTH;
    return SEC_CHECK(EDDY_CHECK_INITIATE_FIELDS, read_sealed(initiate, data)) ? EDDY_OK
                                                                              : EDDY_EPROTO;
}

void ed_initiate_read_opened(ed_initiate *initiate, const void *data)
{
    eddy_status status = ed_initiate_parse(initiate, data, ED_INITIATE_SIZE);

    ED_ASSERT(status == EDDY_OK);
    (void)read_sealed(initiate, data);
}

static void write_params(ed_writer *w, const ed_initiate *initiate)
{
    size_t before = ed_writer_size(w);

    ed_write_u16(w, initiate->datagram_size);
    ed_write_u16(w, ED_STREAM_COUNT);
    ed_write_u32(w, initiate->credit);
    ed_write_u32(w, 0);
    ed_write_u8(w, 1);
    ed_write_zeros(w, 3);
    ed_write_u32(w, initiate->version);
    ed_write_zeros(w, 4 * (ED_VERSIONS_MAX - 1));
    ed_write_u64(w, initiate->client_time_us);
    ed_write_u64(w, 0);
    ed_write_u32(w, initiate->message_max);
    ed_write_u16(w, (uint16_t)initiate->payload.size);
    ED_ASSERT(ed_writer_size(w) - before == PARAMS_SIZE);
    ED_ASSERT(initiate->payload.size <= EDDY_CONNECT_PAYLOAD_MAX);
    ed_write_bytes(w, initiate->payload.data, initiate->payload.size);
}

bool ed_initiate_write(uint8_t *data, const ed_initiate *initiate, ed_noise *noise,
                       const uint8_t ephemeral_secret[ED_KEY_SIZE], const ed_noise_keys *keys)
{
    ed_writer w = ed_writer_of(data, ED_INITIATE_SIZE);
    size_t at = payload_at(initiate->mode);
    ed_greeting_key greeting =
        ed_greeting_key_of(initiate->mode == ED_MODE_OPEN ? NULL : keys->peer);

    ED_ASSERT((initiate->capsule != NULL) == (modes[initiate->mode].capsule_size > 0));
    ed_write_u8(&w, ED_FORM_INITIATE);
    ed_write_u32(&w, initiate->version);
    ed_write_u8(&w, initiate->mode);
    ed_write_u8(&w, initiate->suites);
    ed_write_u8(&w, 0);
    ed_write_u64(&w, initiate->protocol_id);
    ed_write_bytes(&w, initiate->nonce, ED_NONCE_SIZE);
    ed_write_bytes(&w, initiate->cookie, ED_COOKIE_SIZE);
    ED_ASSERT(ed_writer_size(&w) == CLEAR_SIZE);
    if (initiate->capsule != NULL)
        ed_write_bytes(&w, initiate->capsule, ED_CAPSULE_SIZE);
    begin_noise(noise, initiate, data, true, keys);
    (void)ed_write_reserve(&w, at - ed_writer_size(&w));
    write_params(&w, initiate);
    ed_write_zeros(&w, at + PAYLOAD_SIZE - ed_writer_size(&w));
    (void)ed_write_reserve(&w, ED_TAG_SIZE);
    ed_request_pad(&w, initiate->nonce);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == ED_MAC_SIZE);
    bool ok =
        ed_noise_write(noise, ephemeral_secret, data + message_at(initiate->mode), PAYLOAD_SIZE);
    ed_request_sign(data, &greeting);
    return ok;
}

/* ------------------------------------------------------------------------------------- ACCEPT --
 */

size_t ed_accept_size(ed_mode mode)
{
    return ACCEPT_CLEAR_SIZE + ed_noise_head_size(modes[mode].pattern, 1) + ACCEPT_PAYLOAD_SIZE +
           ED_TAG_SIZE;
}

/** What an ACCEPT that accepts says behind the suite. */
static void read_acceptance(ed_accept *a, ed_reader *r)
{
    (void)ed_read_u16(r); // two reserved bytes
    a->id = ed_read_u32(r);
    a->datagram_size = ed_read_u16(r);
    (void)ed_read_u16(r); // streams
    a->idle_timeout_ms = ed_read_u32(r);
    a->credit = ed_read_u32(r);
    ed_read_into(r, a->reset_token, ED_RESET_TOKEN_SIZE);
    (void)ed_read_bytes(r, 4 + 4); // index, clients: not used yet
    a->server_time_us = ed_read_u64(r);
    (void)ed_read_u32(r); // features: not used yet
    ed_read_into(r, a->ticket, ED_COOKIE_SIZE);
    a->message_max = ed_read_u32(r);
}

/** And one that refuses. */
static void read_refusal(ed_accept *a, ed_reader *r)
{
    (void)ed_read_u16(r);
    a->code = ed_read_u32(r);
    a->reason_size = ed_read_u8(r);
    ed_read_into(r, a->reason, ed_min_size(a->reason_size, EDDY_REASON_SIZE - 1));
}

static bool read_accept(ed_accept *a, const uint8_t *payload)
{
    ed_reader r = ed_reader_of(payload, ACCEPT_PAYLOAD_SIZE);

    a->refusal = ed_read_u8(&r);
    a->suite = ed_read_u8(&r);
    if (a->refusal == 0)
        read_acceptance(a, &r);
    else
        read_refusal(a, &r);
    ED_ASSERT(ed_reader_ok(&r));
    if (a->refusal == 0)
        return a->datagram_size >= ED_DATAGRAM_SIZE && a->message_max >= EDDY_PIECE_SIZE_MAX;
    return a->reason_size < EDDY_REASON_SIZE;
}

eddy_status ed_accept_open(ed_accept *accept, ed_noise *noise, ed_mode mode,
                           const uint8_t nonce[ED_NONCE_SIZE], uint8_t *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);
    ed_accept a = {0};

    if (size != ed_accept_size(mode)) {
        ed_check_refused(EDDY_CHECK_ACCEPT_FORM);
        return EDDY_ETRUNCATED;
    }
    uint8_t type = ed_read_u8(&r);
    uint64_t reserved = ed_read_uint(&r, 3);
    ed_read_into(&r, a.nonce, ED_NONCE_SIZE);
    if (!SEC_CHECK(EDDY_CHECK_ACCEPT_FORM, type == ED_FORM_ACCEPT && reserved == 0))
        return EDDY_EPROTO;
    if (!SEC_CHECK(EDDY_CHECK_ACCEPT_NONCE, ed_equal_secret(a.nonce, nonce, ED_NONCE_SIZE)) ||
        !SEC_CHECK(EDDY_CHECK_ACCEPT_SEAL,
                   ed_noise_read(noise, data + ACCEPT_CLEAR_SIZE, size - ACCEPT_CLEAR_SIZE)))
        return EDDY_EAUTH;
    if (!SEC_CHECK(EDDY_CHECK_ACCEPT_FIELDS,
                   read_accept(&a, data + size - ED_TAG_SIZE - ACCEPT_PAYLOAD_SIZE)))
        return EDDY_EPROTO;
    *accept = a;
    return EDDY_OK;
}

static void write_acceptance(ed_writer *w, const ed_accept *accept)
{
    size_t before = ed_writer_size(w) - 2;

    ed_write_u16(w, 0);
    ed_write_u32(w, accept->id);
    ed_write_u16(w, accept->datagram_size);
    ed_write_u16(w, ED_STREAM_COUNT);
    ed_write_u32(w, accept->idle_timeout_ms);
    ed_write_u32(w, accept->credit);
    ed_write_bytes(w, accept->reset_token, ED_RESET_TOKEN_SIZE);
    ed_write_zeros(w, 4 + 4);
    ed_write_u64(w, accept->server_time_us);
    ed_write_u32(w, 0); // features
    ed_write_bytes(w, accept->ticket, ED_COOKIE_SIZE);
    ed_write_u32(w, accept->message_max);
    ED_ASSERT(ed_writer_size(w) - before == ACCEPT_FIELDS_SIZE);
}

static void write_refusal(ed_writer *w, const ed_accept *accept)
{
    ED_ASSERT(accept->reason_size < EDDY_REASON_SIZE);
    ed_write_u16(w, 0);
    ed_write_u32(w, accept->code);
    ed_write_u8(w, accept->reason_size);
    ed_write_bytes(w, accept->reason, accept->reason_size);
}

bool ed_accept_write(uint8_t *data, const ed_accept *accept, ed_noise *noise, ed_mode mode,
                     const uint8_t ephemeral_secret[ED_KEY_SIZE])
{
    size_t size = ed_accept_size(mode);
    ed_writer w = ed_writer_of(data, size);

    ed_write_u8(&w, ED_FORM_ACCEPT);
    ed_write_zeros(&w, 3);
    ed_write_bytes(&w, accept->nonce, ED_NONCE_SIZE);
    (void)ed_write_reserve(&w, ed_noise_head_size(modes[mode].pattern, 1));
    ed_write_u8(&w, accept->refusal);
    ed_write_u8(&w, accept->suite);
    if (accept->refusal == 0)
        write_acceptance(&w, accept);
    else
        write_refusal(&w, accept);
    ed_write_zeros(&w, ed_writer_left(&w) - ED_TAG_SIZE);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == ED_TAG_SIZE);
    return ed_noise_write(noise, ephemeral_secret, data + ACCEPT_CLEAR_SIZE, ACCEPT_PAYLOAD_SIZE);
}
