/**
 * Any bytes as the four datagrams of the handshake. Each is brought to its one size and given the
 * MAC or tag that it ought to have, so that what stands behind those is reached as well.
 */
#include <string.h>

#include "core/base.h"
#include "transport/cookie.h"
#include "transport/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    HELLO_HEAD_SIZE = 64, /* before mac1 */
    INITIATE_CLEAR_SIZE = 96,
    ACCEPT_CLEAR_SIZE = 52,
};

static void fill(void *context, void *data, size_t size)
{
    (void)context;
    memset(data, 7, size);
}

/** As it came, every parser of every size. */
static void parse_raw(const uint8_t *data, size_t size)
{
    uint8_t copy[ED_DATAGRAM_SIZE + 1], nonce[ED_NONCE_SIZE];
    ed_hello hello;
    ed_retry retry;
    ed_initiate initiate;
    ed_accept accept;
    ed_key key = {{0}};

    if (size > 0)
        memcpy(copy, data, size);
    ED_ASSERT(ed_hello_parse(&hello, copy, size) != EDDY_OK || size == ED_HELLO_SIZE);
    ED_ASSERT(ed_retry_parse(&retry, copy, size) != EDDY_OK || size == ED_RETRY_SIZE);
    ED_ASSERT(ed_initiate_parse(&initiate, copy, size) != EDDY_OK || size == ED_INITIATE_SIZE);
    ED_ASSERT(ed_accept_peek(nonce, copy, size) != EDDY_OK || size == ED_ACCEPT_SIZE);
    ED_ASSERT(ed_accept_open(&accept, &key, copy, size) != EDDY_OK || size == ED_ACCEPT_SIZE);
}

static void check_hello(uint8_t *data)
{
    static const uint8_t material[9 + 32] = "eddy mac1";
    uint8_t key[ED_MAC_KEY_SIZE], written[ED_HELLO_SIZE];
    ed_hello hello;

    ed_blake2b(key, sizeof(key), material, sizeof(material), NULL, 0);
    ed_mac(data + HELLO_HEAD_SIZE, key, data, HELLO_HEAD_SIZE);
    if (ed_hello_parse(&hello, data, ED_HELLO_SIZE) != EDDY_OK)
        return;
    ED_ASSERT(hello.version_count >= 1 && hello.version_count <= ED_VERSIONS_MAX);
    ed_hello_write(written, &hello);
    ED_ASSERT(memcmp(written, data, HELLO_HEAD_SIZE + ED_MAC_SIZE) == 0);
}

static void check_retry(const uint8_t *data)
{
    uint8_t written[ED_RETRY_SIZE];
    ed_retry retry;

    if (ed_retry_parse(&retry, data, ED_RETRY_SIZE) != EDDY_OK)
        return;
    ed_retry_write(written, &retry);
    ED_ASSERT(memcmp(written, data, sizeof(written)) == 0);
}

/** A cookie that somebody made up is refused, and the sealed part is read all the same. */
static void check_initiate(uint8_t *data)
{
    static const eddy_address remote = {.ip = {1, 2, 3, 4}, .port = 5, .family = 4};
    eddy_entropy entropy = {.fill = fill};
    ed_cookie_jar jar;
    ed_initiate initiate;

    if (ed_initiate_parse(&initiate, data, ED_INITIATE_SIZE) != EDDY_OK)
        return;
    ed_cookie_init(&jar, &entropy, 0);
    bool is_cookie = ed_cookie_check(&jar, &initiate, &remote, 0);
    ED_ASSERT(!is_cookie);
    ed_key key = ed_protect_accept_key(initiate.nonce, initiate.ephemeral);
    ed_protect_seal(&key, 0, data, INITIATE_CLEAR_SIZE, ED_INITIATE_SIZE - ED_TAG_SIZE);
    if (ed_initiate_open(&initiate, data, ED_INITIATE_SIZE) == EDDY_OK)
        ED_ASSERT(initiate.datagram_size >= ED_DATAGRAM_SIZE);
    data[INITIATE_CLEAR_SIZE] ^= 1;
    eddy_status status = ed_initiate_open(&initiate, data, ED_INITIATE_SIZE);
    ED_ASSERT(status == EDDY_EAUTH);
}

static void check_accept(uint8_t *data)
{
    static const uint8_t nonce[ED_NONCE_SIZE] = {1}, ephemeral[ED_EPHEMERAL_SIZE] = {2};
    ed_key key = ed_protect_accept_key(nonce, ephemeral);
    ed_accept accept;

    ed_protect_seal(&key, 1, data, ACCEPT_CLEAR_SIZE, ED_ACCEPT_SIZE - ED_TAG_SIZE);
    if (ed_accept_open(&accept, &key, data, ED_ACCEPT_SIZE) != EDDY_OK)
        return;
    ED_ASSERT(accept.refusal != 0 || accept.suite == ED_SUITE_NULL);
    ED_ASSERT(accept.refusal != 0 || accept.datagram_size >= ED_DATAGRAM_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t datagram[ED_DATAGRAM_SIZE] = {0};

    if (ed_crypto_init() != EDDY_OK || size > ED_DATAGRAM_SIZE)
        return 0;
    parse_raw(data, size);
    if (size > 0)
        memcpy(datagram, data, size);
    switch (ed_form_of(datagram, sizeof(datagram))) {
    case ED_FORM_HELLO:
        check_hello(datagram);
        break;
    case ED_FORM_RETRY:
        check_retry(datagram);
        break;
    case ED_FORM_INITIATE:
        check_initiate(datagram);
        break;
    case ED_FORM_ACCEPT:
        check_accept(datagram);
        break;
    case ED_FORM_PACKET:
    case ED_FORM_UNKNOWN:
        break;
    }
    return 0;
}
