/** HELLO, RETRY, REJECT and VERSIONS: what is said before there are keys. */
#include <string.h>

#include "transport/check.h"
#include "transport/handshake.h"
#include "transport/packet.h"

enum {
    HELLO_FIELDS_SIZE = 64,
    REQUEST_MAC_AT = ED_HELLO_SIZE - ED_MAC_SIZE,
    ANSWER_TAG_AT = 8,
    ANSWER_BODY_AT = ANSWER_TAG_AT + ED_MAC_SIZE,
    ANSWER_SIZE = ED_RETRY_SIZE,
    ANSWER_BODY_SIZE = ANSWER_SIZE - ANSWER_BODY_AT,
};

static_assert(ED_HELLO_SIZE == ED_INITIATE_SIZE, "one place for the mac of both");
static_assert(ED_RETRY_SIZE == ED_REJECT_SIZE && ED_RETRY_SIZE == ED_VERSIONS_SIZE,
              "one layout for all three");
static_assert((int)ANSWER_BODY_SIZE == (int)ED_COOKIE_SIZE, "PROTOCOL.md section 3.2");

ed_greeting_key ed_greeting_key_of(const uint8_t *public_key)
{
    uint8_t material[9 + ED_KEY_SIZE] = "eddy mac1";
    ed_greeting_key key;

    if (public_key != NULL)
        memcpy(material + 9, public_key, ED_KEY_SIZE);
    ed_blake2b(key.mac_key, sizeof(key.mac_key), material, sizeof(material), NULL, 0);
    return key;
}

/* ------------------------------------------------------------------------- HELLO and INITIATE --
 */

bool ed_request_is_authentic(const void *data, const ed_greeting_key *key)
{
    const uint8_t *bytes = data;
    uint8_t mac[ED_MAC_SIZE];

    ed_mac(mac, key->mac_key, bytes, REQUEST_MAC_AT);
    return ed_equal_secret(mac, bytes + REQUEST_MAC_AT, ED_MAC_SIZE);
}

void ed_request_sign(uint8_t *data, const ed_greeting_key *key)
{
    ed_mac(data + REQUEST_MAC_AT, key->mac_key, data, REQUEST_MAC_AT);
}

/* -------------------------------------------------------------------------------------- HELLO --
 */

/** What our version says behind the fields that are the same in all of them. */
static bool is_sound(const ed_hello *hello, uint8_t reserved)
{
    return reserved == 0 && hello->version_count > 0 && hello->version_count <= ED_VERSIONS_MAX;
}

eddy_status ed_hello_parse(ed_hello *hello, const void *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);
    ed_hello h = {0};

    if (!SEC_CHECK(EDDY_CHECK_HELLO_SIZE, size == ED_HELLO_SIZE))
        return EDDY_ETRUNCATED;
    uint8_t type = ed_read_u8(&r);
    h.version = ed_read_u32(&r);
    h.mode = ed_read_u8(&r);
    h.version_count = ed_read_u8(&r);
    uint8_t reserved = ed_read_u8(&r);
    h.protocol_id = ed_read_u64(&r);
    ed_read_into(&r, h.nonce, ED_NONCE_SIZE);
    for (size_t i = 0; i < ED_VERSIONS_MAX; i++)
        h.versions[i] = ed_read_u32(&r);
    if (!SEC_CHECK(EDDY_CHECK_HELLO_FORM,
                   ed_reader_ok(&r) && type == ED_FORM_HELLO &&
                       (h.version != ED_PROTOCOL_VERSION || is_sound(&h, reserved))))
        return EDDY_EPROTO;
    *hello = h;
    return EDDY_OK;
}

void ed_request_pad(ed_writer *w, const uint8_t nonce[ED_NONCE_SIZE])
{
    size_t size = REQUEST_MAC_AT - ed_writer_size(w);
    uint8_t block[ED_MAC_SIZE];

    for (uint32_t counter = 0; size > 0; counter++) {
        size_t part = ed_min_size(sizeof(block), size);
        ed_mac(block, nonce, &(uint8_t){(uint8_t)counter}, 1);
        ed_write_bytes(w, block, part);
        size -= part;
    }
}

void ed_hello_write(uint8_t *data, const ed_hello *hello, const ed_greeting_key *key)
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
    ED_ASSERT(ed_writer_size(&w) == HELLO_FIELDS_SIZE);
    ed_request_pad(&w, hello->nonce);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_size(&w) == REQUEST_MAC_AT);
    ed_request_sign(data, key);
}

/* ---------------------------------------------------------------- RETRY, REJECT and VERSIONS -- */

/** Over all of the answer but the tag, over the nonce, and over the cookie that it refuses. */
static void answer_tag(uint8_t tag[ED_MAC_SIZE], const uint8_t *data,
                       const uint8_t nonce[ED_NONCE_SIZE], const ed_greeting_key *key,
                       const uint8_t *shown)
{
    uint8_t tagged[ANSWER_TAG_AT + ED_NONCE_SIZE + ANSWER_BODY_SIZE + ED_COOKIE_SIZE];
    ed_writer w = ed_writer_of(tagged, sizeof(tagged));

    ed_write_bytes(&w, data, ANSWER_TAG_AT);
    ed_write_bytes(&w, nonce, ED_NONCE_SIZE);
    ed_write_bytes(&w, data + ANSWER_BODY_AT, ANSWER_BODY_SIZE);
    if (shown != NULL)
        ed_write_bytes(&w, shown, ED_COOKIE_SIZE);
    ED_ASSERT(ed_writer_ok(&w));
    ed_mac(tag, key->mac_key, tagged, ed_writer_size(&w));
}

/**
 * Writes what they have in common around the body.
 * @param number in REJECT the refusal, in VERSIONS how many.
 */
static void write_answer(uint8_t *data, uint8_t form, uint32_t version, uint8_t number,
                         const uint8_t *body)
{
    ed_writer w = ed_writer_of(data, ANSWER_SIZE);

    ed_write_u8(&w, form);
    ed_write_u32(&w, version);
    ed_write_u8(&w, number);
    ed_write_zeros(&w, 2 + ED_MAC_SIZE);
    ed_write_bytes(&w, body, ANSWER_BODY_SIZE);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == 0);
}

/** Reads what stands before the tag. */
static eddy_status read_answer(uint8_t form, uint32_t *version, uint8_t *number, const void *data,
                               size_t size)
{
    ed_reader r = ed_reader_of(data, size);

    if (!SEC_CHECK(EDDY_CHECK_ANSWER_FORM, size == ANSWER_SIZE))
        return EDDY_ETRUNCATED;
    uint8_t type = ed_read_u8(&r);
    *version = ed_read_u32(&r);
    *number = ed_read_u8(&r);
    uint64_t reserved = ed_read_uint(&r, 2);
    return ed_reader_ok(&r) && type == form && reserved == 0 ? EDDY_OK : EDDY_EPROTO;
}

static bool has_tag(const uint8_t *data, const uint8_t nonce[ED_NONCE_SIZE],
                    const ed_greeting_key *key, const uint8_t *shown)
{
    uint8_t tag[ED_MAC_SIZE];

    answer_tag(tag, data, nonce, key, shown);
    return ed_equal_secret(tag, data + ANSWER_TAG_AT, ED_MAC_SIZE);
}

eddy_status ed_retry_parse(ed_retry *retry, const void *data, size_t size,
                           const uint8_t nonce[ED_NONCE_SIZE], const ed_greeting_key *key,
                           const uint8_t *shown, size_t shown_count)
{
    ed_retry parsed = {.version = 0};
    uint8_t refusal = 0;
    eddy_status status = read_answer(ED_FORM_RETRY, &parsed.version, &refusal, data, size);

    if (status != EDDY_OK || refusal != 0)
        return status != EDDY_OK ? status : EDDY_EPROTO;
    parsed.is_to_hello = has_tag(data, nonce, key, NULL);
    bool is_ours = parsed.is_to_hello;
    for (size_t i = 0; i < shown_count && !is_ours; i++) {
        is_ours = has_tag(data, nonce, key, shown + i * ED_COOKIE_SIZE);
        parsed.refused = i;
    }
    if (!SEC_CHECK(EDDY_CHECK_ANSWER_MAC, is_ours))
        return EDDY_EAUTH;
    memcpy(parsed.cookie, (const uint8_t *)data + ANSWER_BODY_AT, ED_COOKIE_SIZE);
    *retry = parsed;
    return EDDY_OK;
}

void ed_retry_write(uint8_t *data, const ed_retry *retry, const uint8_t nonce[ED_NONCE_SIZE],
                    const ed_greeting_key *key, const uint8_t *shown)
{
    write_answer(data, ED_FORM_RETRY, retry->version, 0, retry->cookie);
    answer_tag(data + ANSWER_TAG_AT, data, nonce, key, shown);
}

eddy_status ed_reject_parse(ed_reject *reject, const void *data, size_t size,
                            const uint8_t nonce[ED_NONCE_SIZE], const ed_greeting_key *key)
{
    ed_reject parsed;
    eddy_status status = read_answer(ED_FORM_REJECT, &parsed.version, &parsed.refusal, data, size);

    if (status != EDDY_OK)
        return status;
    if (!SEC_CHECK(EDDY_CHECK_ANSWER_MAC, has_tag(data, nonce, key, NULL)))
        return EDDY_EAUTH;
    *reject = parsed;
    return EDDY_OK;
}

void ed_reject_write(uint8_t *data, const ed_reject *reject, const uint8_t nonce[ED_NONCE_SIZE],
                     const ed_greeting_key *key)
{
    static const uint8_t nothing[ANSWER_BODY_SIZE];

    write_answer(data, ED_FORM_REJECT, reject->version, reject->refusal, nothing);
    answer_tag(data + ANSWER_TAG_AT, data, nonce, key, NULL);
}

eddy_status ed_versions_parse(ed_versions *versions, const void *data, size_t size,
                              const uint8_t nonce[ED_NONCE_SIZE], const ed_greeting_key *key)
{
    ed_versions parsed = {0};
    uint32_t of_all = 0;
    eddy_status status = read_answer(ED_FORM_VERSIONS, &of_all, &parsed.count, data, size);

    if (status != EDDY_OK)
        return status;
    if (of_all != 0 || parsed.count == 0 || parsed.count > ED_VERSIONS_TOLD_MAX)
        return EDDY_EPROTO;
    if (!SEC_CHECK(EDDY_CHECK_ANSWER_MAC, has_tag(data, nonce, key, NULL)))
        return EDDY_EAUTH;
    ed_reader r = ed_reader_of((const uint8_t *)data + ANSWER_BODY_AT, ANSWER_BODY_SIZE);
    for (size_t i = 0; i < ED_VERSIONS_TOLD_MAX; i++)
        parsed.versions[i] = ed_read_u32(&r);
    ED_ASSERT(ed_reader_ok(&r) && ed_reader_left(&r) == 0);
    *versions = parsed;
    return EDDY_OK;
}

void ed_versions_write(uint8_t *data, const ed_versions *versions,
                       const uint8_t nonce[ED_NONCE_SIZE], const ed_greeting_key *key)
{
    uint8_t body[ANSWER_BODY_SIZE];
    ed_writer w = ed_writer_of(body, sizeof(body));

    ED_ASSERT(versions->count > 0 && versions->count <= ED_VERSIONS_TOLD_MAX);
    for (size_t i = 0; i < ED_VERSIONS_TOLD_MAX; i++)
        ed_write_u32(&w, i < versions->count ? versions->versions[i] : 0);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == 0);
    write_answer(data, ED_FORM_VERSIONS, 0, versions->count, body);
    answer_tag(data + ANSWER_TAG_AT, data, nonce, key, NULL);
}
