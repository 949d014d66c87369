/**
 * Any bytes as HELLO, RETRY, REJECT and VERSIONS: as they come, which nobody believes, and with the
 * MAC that they ought to have, so that what stands behind it is reached as well. What is taken says
 * the same when it is written anew.
 */
#include <string.h>

#include "core/base.h"
#include "transport/handshake.h"
#include "transport/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HELLO_FIELDS_SIZE = 64, ANSWER_TAG_AT = 8, ANSWER_BODY_AT = ANSWER_TAG_AT + ED_MAC_SIZE };

static const uint8_t nonce[ED_NONCE_SIZE] = {1, 2, 3};

/** As it came: of the right size it may be parsed, and nothing is authentic. */
static void parse_raw(const uint8_t *data, size_t size, const ed_greeting_key *key)
{
    ed_hello hello;
    ed_retry retry;
    ed_reject reject;
    ed_versions versions;
    bool is_hello = ed_hello_parse(&hello, data, size) == EDDY_OK;

    ED_ASSERT(!is_hello || (size == ED_HELLO_SIZE && !ed_request_is_authentic(data, key)));
    ED_ASSERT(ed_retry_parse(&retry, data, size, nonce, key, NULL, 0) != EDDY_OK);
    ED_ASSERT(ed_reject_parse(&reject, data, size, nonce, key) != EDDY_OK);
    ED_ASSERT(ed_versions_parse(&versions, data, size, nonce, key) != EDDY_OK);
}

static void check_hello(uint8_t *data, const ed_greeting_key *key)
{
    uint8_t written[ED_HELLO_SIZE];
    ed_hello hello;

    ed_mac(data + ED_HELLO_SIZE - ED_MAC_SIZE, key->mac_key, data, ED_HELLO_SIZE - ED_MAC_SIZE);
    if (ed_hello_parse(&hello, data, ED_HELLO_SIZE) != EDDY_OK)
        return;
    ED_ASSERT(ed_request_is_authentic(data, key));
    if (hello.version == ED_PROTOCOL_VERSION) {
        ED_ASSERT(hello.version_count >= 1 && hello.version_count <= ED_VERSIONS_MAX);
        ed_hello_write(written, &hello, key);
        ED_ASSERT(memcmp(written, data, HELLO_FIELDS_SIZE) == 0);
    }
    data[ED_HELLO_SIZE - 1] ^= 1;
    ED_ASSERT(!ed_request_is_authentic(data, key));
}

/** Gives an answer its tag. */
static void tag(uint8_t *data, const ed_greeting_key *key)
{
    uint8_t tagged[ED_RETRY_SIZE];

    memcpy(tagged, data, sizeof(tagged));
    memcpy(tagged + ANSWER_TAG_AT, nonce, sizeof(nonce));
    ed_mac(data + ANSWER_TAG_AT, key->mac_key, tagged, sizeof(tagged));
}

static void check_retry(uint8_t *data, const ed_greeting_key *key)
{
    uint8_t written[ED_RETRY_SIZE];
    ed_retry retry;

    tag(data, key);
    if (ed_retry_parse(&retry, data, ED_RETRY_SIZE, nonce, key, NULL, 0) != EDDY_OK)
        return;
    ed_retry_write(written, &retry, nonce, key, NULL);
    ED_ASSERT(memcmp(written, data, sizeof(written)) == 0);
    data[ANSWER_BODY_AT] ^= 1;
    ED_ASSERT(ed_retry_parse(&retry, data, ED_RETRY_SIZE, nonce, key, NULL, 0) == EDDY_EAUTH);
}

static void check_reject(uint8_t *data, const ed_greeting_key *key)
{
    uint8_t written[ED_REJECT_SIZE];
    ed_reject reject;

    tag(data, key);
    if (ed_reject_parse(&reject, data, ED_REJECT_SIZE, nonce, key) != EDDY_OK)
        return;
    ed_reject_write(written, &reject, nonce, key);
    ED_ASSERT(memcmp(written, data, ANSWER_TAG_AT) == 0);
    data[1] ^= 1;
    ED_ASSERT(ed_reject_parse(&reject, data, ED_REJECT_SIZE, nonce, key) == EDDY_EAUTH);
}

static void check_versions(uint8_t *data, const ed_greeting_key *key)
{
    uint8_t written[ED_VERSIONS_SIZE];
    ed_versions versions;

    tag(data, key);
    if (ed_versions_parse(&versions, data, ED_VERSIONS_SIZE, nonce, key) != EDDY_OK)
        return;
    ED_ASSERT(versions.count >= 1 && versions.count <= ED_VERSIONS_TOLD_MAX);
    ed_versions_write(written, &versions, nonce, key);
    ED_ASSERT(memcmp(written, data, ANSWER_TAG_AT) == 0);
    ED_ASSERT(memcmp(written + ANSWER_BODY_AT, data + ANSWER_BODY_AT, 4 * versions.count) == 0);
    data[ANSWER_BODY_AT] ^= 1;
    ED_ASSERT(ed_versions_parse(&versions, data, ED_VERSIONS_SIZE, nonce, key) == EDDY_EAUTH);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t datagram[ED_DATAGRAM_SIZE] = {0};

    if (ed_crypto_init() != EDDY_OK || size > ED_DATAGRAM_SIZE)
        return 0;
    ed_greeting_key key = ed_greeting_key_of((const uint8_t[ED_KEY_SIZE]){7});
    parse_raw(data, size, &key);
    if (size > 0)
        memcpy(datagram, data, size);
    switch (ed_form_of(datagram, sizeof(datagram))) {
    case ED_FORM_HELLO:
        check_hello(datagram, &key);
        break;
    case ED_FORM_RETRY:
        check_retry(datagram, &key);
        break;
    case ED_FORM_REJECT:
        check_reject(datagram, &key);
        break;
    case ED_FORM_VERSIONS:
        check_versions(datagram, &key);
        break;
    case ED_FORM_INITIATE:
    case ED_FORM_ACCEPT:
    case ED_FORM_PACKET:
    case ED_FORM_UNKNOWN:
        break;
    }
    return 0;
}
