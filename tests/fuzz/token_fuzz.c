/**
 * Any text as a token, any bytes as a token or as a capsule, and any contents rightly sealed: what
 * is taken is what an issuer could have written.
 */
#include <string.h>

#include "core/addr.h"
#include "core/reader.h"
#include "transport/token.h"

enum {
    HEADER_SIZE = 36,
    ID_AT = 12,
    SEALED_AT = ID_AT + ED_XNONCE_SIZE,
    SEALED_SIZE = ED_CAPSULE_SIZE - SEALED_AT - ED_AEAD_TAG_SIZE,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const eddy_key key = {{1}};

static void check_server(const char *text, const eddy_token_info *info, size_t i)
{
    const eddy_token_server *server = &info->servers[i];
    ed_pass pass;

    ED_ASSERT(ed_addr_valid(&server->address) && server->address.port != 0);
    ED_ASSERT(!ed_addr_is_link_local(&server->address));
    eddy_status status = ed_token_pick(&pass, text, i);
    ED_ASSERT(status == EDDY_OK);
    ED_ASSERT(eddy_address_equal(&pass.address, &server->address));
    ED_ASSERT(memcmp(pass.public_key, server->public_key.bytes, ED_KEY_SIZE) == 0);
    ED_ASSERT(ed_capsule_expires_s(pass.capsule) == info->expires_s);
}

static void check_text(const char *text)
{
    eddy_token_info info;
    eddy_token_claim claim;
    ed_pass pass;

    eddy_status status = eddy_token_verify(&claim, text, 0, &key, 0);
    ED_ASSERT(status == EDDY_ETOKEN); // nobody has sealed anything with that key
    if (eddy_token_inspect(&info, text) != EDDY_OK) {
        status = ed_token_pick(&pass, text, 0);
        ED_ASSERT(status == EDDY_ETOKEN);
        return;
    }
    ED_ASSERT(info.server_count >= 1 && info.server_count <= EDDY_TOKEN_SERVERS_MAX);
    ED_ASSERT(info.expires_s > info.issued_s);
    for (size_t i = 0; i < info.server_count; i++)
        check_server(text, &info, i);
    status = ed_token_pick(&pass, text, info.server_count);
    ED_ASSERT(status == EDDY_EINVAL);
}

/** The bytes as the bytes of a token, cut to a size that one can have. */
static void check_bytes(const uint8_t *data, size_t size)
{
    char text[ED_BASE64_SIZE(ED_TOKEN_SIZE_MAX)];
    uint8_t bytes[ED_TOKEN_SIZE_MAX] = "EDTK\1";
    size_t token_size = ED_TOKEN_HEADER_SIZE + (1 + data[0] % 2u) * ED_TOKEN_ENTRY_SIZE;

    // What every token begins with stands there already.
    memcpy(bytes + 8, data, ed_min_size(size, token_size - 8));
    ed_base64_write(text, bytes, token_size);
    check_text(text);
}

static void check_capsule(const ed_capsule *capsule)
{
    ED_ASSERT(capsule->expires_s > capsule->issued_s);
    ED_ASSERT(capsule->expires_s - capsule->issued_s <= EDDY_TOKEN_LIFE_S_MAX);
    ED_ASSERT(capsule->user_data_size <= EDDY_TOKEN_DATA_MAX);
    eddy_status status = ed_capsule_judge(capsule, capsule->issued_s);
    ED_ASSERT(status == EDDY_OK);
    status = ed_capsule_judge(capsule, capsule->expires_s);
    ED_ASSERT(status == EDDY_EEXPIRED);
}

/** The bytes as they are, and then with their middle sealed as an issuer does. */
static void check_sealed(const uint8_t *data, size_t size)
{
    static const ed_capsule_place place = {.protocol_id = 0, .server_id = 0};
    uint8_t bytes[ED_CAPSULE_SIZE] = {0}, header[HEADER_SIZE] = "eddytok1";
    ed_capsule capsule;

    memcpy(bytes, data, ed_min_size(size, sizeof(bytes)));
    eddy_status status = ed_capsule_open(&capsule, bytes, &place, key.bytes);
    ED_ASSERT(status == EDDY_ETOKEN);
    memset(bytes, 0, 4);
    memcpy(header + HEADER_SIZE - 8, bytes + 4, 8);
    ed_xaead_seal(key.bytes, bytes + ID_AT, header, HEADER_SIZE, bytes + SEALED_AT, SEALED_SIZE);
    if (ed_capsule_open(&capsule, bytes, &place, key.bytes) == EDDY_OK)
        check_capsule(&capsule);
}

static void fill(void *context, void *data, size_t size)
{
    (void)context;
    memset(data, 7, size);
}

/** A grant of the bytes: what is issued is read again. */
static void check_issue(const uint8_t *data, size_t size)
{
    static char text[EDDY_TOKEN_TEXT_MAX];
    static const eddy_entropy entropy = {.fill = fill};
    eddy_token_server servers[EDDY_TOKEN_SERVERS_MAX + 1] = {{.server_id = 0}};
    ed_reader r = ed_reader_of(data, size);
    eddy_token_grant grant = {.servers = servers, .user_data = data};
    eddy_token_info info;
    eddy_token_claim claim;

    grant.server_count = ed_read_u8(&r) % (ED_COUNT(servers) + 1);
    grant.user_data_size = ed_min_size(ed_read_u8(&r), size);
    grant.issued_s = ed_read_u32(&r);
    grant.expires_s = grant.issued_s + ed_read_u16(&r);
    for (size_t i = 0; i < ED_COUNT(servers) && ed_reader_left(&r) >= 3; i++) {
        servers[i].address = ed_addr_ipv4(192, 0, 2, ed_read_u8(&r), ed_read_u8(&r));
        servers[i].address.family += ed_read_u8(&r);
    }
    if (ed_token_issue(text, &grant, &key, &entropy) != EDDY_OK)
        return;
    eddy_status status = eddy_token_inspect(&info, text);
    ED_ASSERT(status == EDDY_OK && info.server_count == grant.server_count);
    check_text(text);
    eddy_key token_key = eddy_key_token(&key, 0);
    status = eddy_token_verify(&claim, text, 0, &token_key, grant.issued_s);
    ED_ASSERT(status == EDDY_OK && claim.user_data_size == grant.user_data_size);
    ED_ASSERT(memcmp(claim.user_data, data, claim.user_data_size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[EDDY_TOKEN_TEXT_MAX + 16];

    if (ed_crypto_init() != EDDY_OK || size == 0 || size >= sizeof(text))
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_text(text);
    check_bytes(data, size);
    check_sealed(data, size);
    check_issue(data, size);
    return 0;
}
