#include "transport/handshake.h"

#include "core/writer.h"
#include "transport/packet.h"

enum {
    HELLO_PLAIN_SIZE = 64, /* before mac1 */
    HELLO_PAD_AT = HELLO_PLAIN_SIZE + ED_MAC_SIZE,
    INITIATE_CLEAR_SIZE = 96, /* up to and with the ephemeral */
    INITIATE_SEALED_SIZE = ED_INITIATE_SIZE - INITIATE_CLEAR_SIZE - ED_TAG_SIZE,
    INITIATE_PARAMS_SIZE = 68,
    ACCEPT_CLEAR_SIZE = 52,
    ACCEPT_SEALED_SIZE = ED_ACCEPT_SIZE - ACCEPT_CLEAR_SIZE - ED_TAG_SIZE,
    ACCEPT_FIELDS_SIZE = 84,
    RETRY_RESERVED_SIZE = 3,
    RESET_TOKEN_SIZE = 16,
};

static_assert(ACCEPT_SEALED_SIZE == 136, "PROTOCOL.md section 3.4");

static void copy(uint8_t *to, ed_span from)
{
    if (from.size > 0)
        memcpy(to, from.data, from.size);
}

/** The key is all zeros in effect until servers have keys of their own. */
static void mac1_of(uint8_t mac[ED_MAC_SIZE], const uint8_t *data)
{
    static const uint8_t material[9 + 32] = "eddy mac1";
    uint8_t key[ED_MAC_KEY_SIZE];

    ed_blake2b(key, sizeof(key), material, sizeof(material), NULL, 0);
    ed_mac(mac, key, data, HELLO_PLAIN_SIZE);
}

eddy_status ed_hello_parse(ed_hello *hello, const void *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);
    ed_hello h = {0};
    uint8_t mac[ED_MAC_SIZE];

    if (size != ED_HELLO_SIZE)
        return EDDY_ETRUNCATED;
    uint8_t type = ed_read_u8(&r);
    h.version = ed_read_u32(&r);
    h.mode = ed_read_u8(&r);
    h.version_count = ed_read_u8(&r);
    uint8_t reserved = ed_read_u8(&r);
    h.protocol_id = ed_read_u64(&r);
    copy(h.nonce, ed_read_bytes(&r, ED_NONCE_SIZE));
    for (size_t i = 0; i < ED_VERSIONS_MAX; i++)
        h.versions[i] = ed_read_u32(&r);
    ed_span mac1 = ed_read_bytes(&r, ED_MAC_SIZE);

    ED_ASSERT(ed_reader_ok(&r)); // the size was checked
    if (type != ED_FORM_HELLO || reserved != 0 || h.version_count == 0 ||
        h.version_count > ED_VERSIONS_MAX)
        return EDDY_EPROTO;
    mac1_of(mac, data);
    if (!ed_equal_secret(mac, mac1.data, ED_MAC_SIZE))
        return EDDY_EAUTH;
    *hello = h;
    return EDDY_OK;
}

/** Padding of zeros is taken for an attack by some filters, so it looks random. */
static void write_padding(ed_writer *w, const uint8_t nonce[ED_NONCE_SIZE])
{
    uint8_t block[ED_MAC_SIZE];

    for (uint32_t counter = 0; ed_writer_left(w) > 0; counter++) {
        ed_mac(block, nonce, &(uint8_t){(uint8_t)counter}, 1);
        ed_write_bytes(w, block, ed_min_size(sizeof(block), ed_writer_left(w)));
    }
}

void ed_hello_write(uint8_t *data, const ed_hello *hello)
{
    ed_writer w = ed_writer_of(data, ED_HELLO_SIZE);

    ed_write_u8(&w, ED_FORM_HELLO);
    ed_write_u32(&w, hello->version);
    ed_write_u8(&w, hello->mode);
    ed_write_u8(&w, hello->version_count);
    ed_write_u8(&w, 0);
    ed_write_u64(&w, hello->protocol_id);
    ed_write_bytes(&w, hello->nonce, ED_NONCE_SIZE);
    for (size_t i = 0; i < ED_VERSIONS_MAX; i++)
        ed_write_u32(&w, hello->versions[i]);
    ED_ASSERT(ed_writer_size(&w) == HELLO_PLAIN_SIZE);
    mac1_of(data + HELLO_PLAIN_SIZE, data);
    (void)ed_write_reserve(&w, ED_MAC_SIZE);
    write_padding(&w, hello->nonce);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == 0);
}

eddy_status ed_retry_parse(ed_retry *retry, const void *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);
    ed_retry parsed;

    if (size != ED_RETRY_SIZE)
        return EDDY_ETRUNCATED;
    uint8_t type = ed_read_u8(&r);
    parsed.version = ed_read_u32(&r);
    uint64_t reserved = ed_read_uint(&r, RETRY_RESERVED_SIZE);
    copy(parsed.nonce, ed_read_bytes(&r, ED_NONCE_SIZE));
    copy(parsed.cookie, ed_read_bytes(&r, ED_COOKIE_SIZE));
    ED_ASSERT(ed_reader_ok(&r) && ed_reader_left(&r) == 0);
    if (type != ED_FORM_RETRY || reserved != 0)
        return EDDY_EPROTO;
    *retry = parsed;
    return EDDY_OK;
}

void ed_retry_write(uint8_t *data, const ed_retry *retry)
{
    ed_writer w = ed_writer_of(data, ED_RETRY_SIZE);

    ed_write_u8(&w, ED_FORM_RETRY);
    ed_write_u32(&w, retry->version);
    ed_write_zeros(&w, RETRY_RESERVED_SIZE);
    ed_write_bytes(&w, retry->nonce, ED_NONCE_SIZE);
    ed_write_bytes(&w, retry->cookie, ED_COOKIE_SIZE);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == 0);
}

eddy_status ed_initiate_parse(ed_initiate *initiate, const void *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);
    ed_initiate parsed = {0};

    if (size != ED_INITIATE_SIZE)
        return EDDY_ETRUNCATED;
    uint8_t type = ed_read_u8(&r);
    parsed.version = ed_read_u32(&r);
    parsed.mode = ed_read_u8(&r);
    parsed.suites = ed_read_u8(&r);
    uint8_t reserved = ed_read_u8(&r);
    parsed.protocol_id = ed_read_u64(&r);
    copy(parsed.nonce, ed_read_bytes(&r, ED_NONCE_SIZE));
    copy(parsed.cookie, ed_read_bytes(&r, ED_COOKIE_SIZE));
    uint64_t work = ed_read_u64(&r);
    copy(parsed.ephemeral, ed_read_bytes(&r, ED_EPHEMERAL_SIZE));
    ED_ASSERT(ed_reader_ok(&r));
    if (type != ED_FORM_INITIATE || reserved != 0 || work != 0)
        return EDDY_EPROTO;
    *initiate = parsed;
    return EDDY_OK;
}

/** Takes what was sealed. EDDY_EPROTO if it cannot be meant so. */
static eddy_status read_sealed(ed_initiate *initiate, const uint8_t *data)
{
    ed_reader r = ed_reader_of(data + INITIATE_CLEAR_SIZE, INITIATE_SEALED_SIZE);
    initiate->datagram_size = ed_read_u16(&r);
    (void)ed_read_u16(&r); // streams: not used yet
    initiate->credit = ed_read_u32(&r);
    uint32_t features = ed_read_u32(&r);
    uint8_t version_count = ed_read_u8(&r);
    (void)ed_read_bytes(&r, 3 + 4 * ED_VERSIONS_MAX);
    initiate->client_time_us = ed_read_u64(&r);
    (void)ed_read_u64(&r); // app_build: for the application to judge, later
    initiate->message_max = ed_read_u32(&r);
    uint16_t payload_size = ed_read_u16(&r);
    initiate->payload = ed_read_bytes(&r, ed_min_size(payload_size, EDDY_CONNECT_PAYLOAD_MAX));
    ED_ASSERT(ed_reader_ok(&r));
    if (initiate->datagram_size < ED_DATAGRAM_SIZE || features != 0 || version_count == 0 ||
        version_count > ED_VERSIONS_MAX || initiate->message_max < EDDY_PIECE_SIZE_MAX ||
        payload_size > EDDY_CONNECT_PAYLOAD_MAX)
        return EDDY_EPROTO;
    return EDDY_OK;
}

eddy_status ed_initiate_open(ed_initiate *initiate, uint8_t *data, size_t size)
{
    ed_key key = ed_protect_accept_key(initiate->nonce, initiate->ephemeral);

    if (!ed_protect_open(&key, 0, data, INITIATE_CLEAR_SIZE, size))
        return EDDY_EAUTH;
    return read_sealed(initiate, data);
}

void ed_initiate_read_opened(ed_initiate *initiate, const void *data, size_t size)
{
    eddy_status status = ed_initiate_parse(initiate, data, size);

    ED_ASSERT(status == EDDY_OK);
    status = read_sealed(initiate, data);
    ED_ASSERT(status == EDDY_OK);
}

void ed_initiate_write(uint8_t *data, const ed_initiate *initiate)
{
    ed_writer w = ed_writer_of(data, ED_INITIATE_SIZE);
    ed_key key = ed_protect_accept_key(initiate->nonce, initiate->ephemeral);

    ed_write_u8(&w, ED_FORM_INITIATE);
    ed_write_u32(&w, initiate->version);
    ed_write_u8(&w, initiate->mode);
    ed_write_u8(&w, initiate->suites);
    ed_write_u8(&w, 0);
    ed_write_u64(&w, initiate->protocol_id);
    ed_write_bytes(&w, initiate->nonce, ED_NONCE_SIZE);
    ed_write_bytes(&w, initiate->cookie, ED_COOKIE_SIZE);
    ed_write_u64(&w, 0);
    ed_write_bytes(&w, initiate->ephemeral, ED_EPHEMERAL_SIZE);
    ED_ASSERT(ed_writer_size(&w) == INITIATE_CLEAR_SIZE);

    ed_write_u16(&w, initiate->datagram_size);
    ed_write_u16(&w, ED_STREAM_COUNT);
    ed_write_u32(&w, initiate->credit);
    ed_write_u32(&w, 0);
    ed_write_u8(&w, 1);
    ed_write_zeros(&w, 3);
    ed_write_u32(&w, initiate->version);
    ed_write_zeros(&w, 4 * (ED_VERSIONS_MAX - 1));
    ed_write_u64(&w, initiate->client_time_us);
    ed_write_u64(&w, 0);
    ed_write_u32(&w, initiate->message_max);
    ED_ASSERT(ed_writer_size(&w) == INITIATE_CLEAR_SIZE + INITIATE_PARAMS_SIZE);
    ED_ASSERT(initiate->payload.size <= EDDY_CONNECT_PAYLOAD_MAX);
    ed_write_u16(&w, (uint16_t)initiate->payload.size);
    ed_write_bytes(&w, initiate->payload.data, initiate->payload.size);
    ed_write_zeros(&w, ed_writer_left(&w) - ED_TAG_SIZE);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == ED_TAG_SIZE);
    ed_protect_seal(&key, 0, data, INITIATE_CLEAR_SIZE, ED_INITIATE_SIZE - ED_TAG_SIZE);
}

eddy_status ed_accept_peek(uint8_t nonce[ED_NONCE_SIZE], const void *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);

    if (size != ED_ACCEPT_SIZE)
        return EDDY_ETRUNCATED;
    uint8_t type = ed_read_u8(&r);
    uint64_t reserved = ed_read_uint(&r, 3);
    if (type != ED_FORM_ACCEPT || reserved != 0)
        return EDDY_EPROTO;
    copy(nonce, ed_read_bytes(&r, ED_NONCE_SIZE));
    return EDDY_OK;
}

/** What an ACCEPT that accepts says behind the suite. */
static void read_acceptance(ed_accept *a, ed_reader *r)
{
    (void)ed_read_u16(r); // key update interval, and a reserved byte
    a->id = ed_read_u32(r);
    a->datagram_size = ed_read_u16(r);
    (void)ed_read_u16(r); // streams
    a->idle_timeout_ms = ed_read_u32(r);
    a->credit = ed_read_u32(r);
    (void)ed_read_bytes(r, RESET_TOKEN_SIZE + 4 + 4); // reset token, index, clients: not used yet
    a->server_time_us = ed_read_u64(r);
    (void)ed_read_bytes(r, 4 + ED_COOKIE_SIZE); // features, ticket: not used yet
    a->message_max = ed_read_u32(r);
}

/** And one that refuses. */
static void read_refusal(ed_accept *a, ed_reader *r)
{
    (void)ed_read_u16(r);
    a->code = ed_read_u32(r);
    a->reason_size = ed_read_u8(r);
    ed_span reason = ed_read_bytes(r, ed_min_size(a->reason_size, EDDY_REASON_SIZE - 1));
    copy((uint8_t *)a->reason, reason);
}

eddy_status ed_accept_open(ed_accept *accept, const ed_key *key, uint8_t *data, size_t size)
{
    ed_accept a = {0};
    eddy_status status = ed_accept_peek(a.nonce, data, size);

    if (status != EDDY_OK)
        return status;
    memcpy(a.ephemeral, data + 4 + ED_NONCE_SIZE, ED_EPHEMERAL_SIZE);
    // Number 1: INITIATE took number 0 of this key.
    if (!ed_protect_open(key, 1, data, ACCEPT_CLEAR_SIZE, size))
        return EDDY_EAUTH;
    ed_reader r = ed_reader_of(data + ACCEPT_CLEAR_SIZE, ACCEPT_SEALED_SIZE);
    a.refusal = ed_read_u8(&r);
    a.suite = ed_read_u8(&r);
    if (a.refusal == 0)
        read_acceptance(&a, &r);
    else
        read_refusal(&a, &r);
    ED_ASSERT(ed_reader_ok(&r));
    if (a.refusal == 0 && (a.suite != ED_SUITE_NULL || a.datagram_size < ED_DATAGRAM_SIZE ||
                           a.message_max < EDDY_PIECE_SIZE_MAX))
        return EDDY_EPROTO;
    if (a.reason_size >= EDDY_REASON_SIZE)
        return EDDY_EPROTO;
    *accept = a;
    return EDDY_OK;
}

static void write_acceptance(ed_writer *w, const ed_accept *accept)
{
    ed_write_u16(w, 0);
    ed_write_u32(w, accept->id);
    ed_write_u16(w, accept->datagram_size);
    ed_write_u16(w, ED_STREAM_COUNT);
    ed_write_u32(w, accept->idle_timeout_ms);
    ed_write_u32(w, accept->credit);
    ed_write_zeros(w, RESET_TOKEN_SIZE + 4 + 4);
    ed_write_u64(w, accept->server_time_us);
    ed_write_zeros(w, 4 + ED_COOKIE_SIZE); // features, ticket
    ed_write_u32(w, accept->message_max);
    ED_ASSERT(ed_writer_size(w) == ACCEPT_CLEAR_SIZE + ACCEPT_FIELDS_SIZE);
}

static void write_refusal(ed_writer *w, const ed_accept *accept)
{
    ED_ASSERT(accept->reason_size < EDDY_REASON_SIZE);
    ed_write_u16(w, 0);
    ed_write_u32(w, accept->code);
    ed_write_u8(w, accept->reason_size);
    ed_write_bytes(w, accept->reason, accept->reason_size);
}

void ed_accept_write(uint8_t *data, const ed_accept *accept, const ed_key *key)
{
    ed_writer w = ed_writer_of(data, ED_ACCEPT_SIZE);

    ed_write_u8(&w, ED_FORM_ACCEPT);
    ed_write_zeros(&w, 3);
    ed_write_bytes(&w, accept->nonce, ED_NONCE_SIZE);
    ed_write_bytes(&w, accept->ephemeral, ED_EPHEMERAL_SIZE);
    ED_ASSERT(ed_writer_size(&w) == ACCEPT_CLEAR_SIZE);

    ed_write_u8(&w, accept->refusal);
    ed_write_u8(&w, accept->suite);
    if (accept->refusal == 0)
        write_acceptance(&w, accept);
    else
        write_refusal(&w, accept);
    ed_write_zeros(&w, ed_writer_left(&w) - ED_TAG_SIZE);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == ED_TAG_SIZE);
    ed_protect_seal(key, 1, data, ACCEPT_CLEAR_SIZE, ED_ACCEPT_SIZE - ED_TAG_SIZE);
}
