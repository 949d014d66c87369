#include "transport/token.h"

#include <string.h>

#include "core/addr.h"
#include "core/reader.h"
#include "core/writer.h"

#define MAGIC "EDTK"

enum {
    MAGIC_SIZE = sizeof(MAGIC) - 1,
    RESERVED_SIZE = 6,
};

static_assert(EDDY_TOKEN_TEXT_MAX == ED_BASE64_SIZE(ED_TOKEN_SIZE_MAX),
              "core/eddy_keys.h has the size of the largest text");

/** A token as it was parsed. `bytes` hold the secrets. */
struct token {
    uint64_t protocol_id;
    uint64_t issued_s;
    uint64_t expires_s;
    size_t server_count;
    const uint8_t *psk;     /* in `bytes` */
    const uint8_t *entries; /* in `bytes`, ED_TOKEN_ENTRY_SIZE for each server */
    uint8_t bytes[ED_TOKEN_SIZE_MAX];
};

/** What it has for one server. */
struct entry {
    eddy_token_server server;
    const uint8_t *capsule;
};

static bool is_reachable(const eddy_address *address)
{
    return ed_addr_valid(address) && address->port != 0 && !ed_addr_is_link_local(address);
}

static bool is_life(uint64_t issued_s, uint64_t expires_s)
{
    return expires_s > issued_s && expires_s - issued_s <= EDDY_TOKEN_LIFE_S_MAX;
}

/* ----------------------------------------------------------------------------------- issuing -- */

static bool is_grant(const eddy_token_grant *grant)
{
    if (grant->servers == NULL || grant->server_count < 1 ||
        grant->server_count > EDDY_TOKEN_SERVERS_MAX)
        return false;
    for (size_t i = 0; i < grant->server_count; i++)
        if (!is_reachable(&grant->servers[i].address))
            return false;
    return is_life(grant->issued_s, grant->expires_s) &&
           grant->user_data_size <= EDDY_TOKEN_DATA_MAX &&
           (grant->user_data != NULL || grant->user_data_size == 0);
}

static void write_header(ed_writer *w, const eddy_token_grant *grant,
                         const uint8_t token_psk[ED_KEY_SIZE])
{
    ed_write_bytes(w, MAGIC, MAGIC_SIZE);
    ed_write_u32(w, ED_TOKEN_VERSION);
    ed_write_u64(w, grant->protocol_id);
    ed_write_u64(w, grant->issued_s);
    ed_write_u64(w, grant->expires_s);
    ed_write_u8(w, (uint8_t)grant->server_count);
    ed_write_zeros(w, 1 + RESERVED_SIZE);
    ed_write_bytes(w, token_psk, ED_KEY_SIZE);
}

/** @param capsule all of it but id and psk, which are the server's own. */
static void write_entry(ed_writer *w, const eddy_token_server *server, ed_capsule *capsule,
                        uint64_t protocol_id, const uint8_t token_psk[ED_KEY_SIZE],
                        const eddy_key *issuer)
{
    ed_capsule_place place = {.protocol_id = protocol_id, .server_id = server->server_id};
    eddy_key token_key = eddy_key_token(issuer, server->server_id);

    ed_write_u8(w, server->address.family);
    ed_write_u8(w, 0);
    ed_write_u16(w, server->address.port);
    ed_write_bytes(w, server->address.ip, sizeof(server->address.ip));
    ed_write_u64(w, server->server_id);
    ed_write_bytes(w, server->public_key.bytes, ED_KEY_SIZE);
    ed_capsule_psk(capsule->psk, token_psk, server->server_id, capsule->id);
    uint8_t *bytes = ed_write_reserve(w, ED_CAPSULE_SIZE);
    ED_ASSERT(bytes != NULL); // there is room for EDDY_TOKEN_SERVERS_MAX
    ed_capsule_seal(bytes, capsule, &place, token_key.bytes);
    eddy_key_wipe(&token_key);
}

static ed_capsule capsule_of(const eddy_token_grant *grant)
{
    ed_capsule capsule = {
        .client_id = grant->client_id,
        .issued_s = grant->issued_s,
        .expires_s = grant->expires_s,
        .user_data_size = (uint8_t)grant->user_data_size,
    };

    if (grant->user_data_size > 0)
        memcpy(capsule.user_data, grant->user_data, grant->user_data_size);
    return capsule;
}

eddy_status ed_token_issue(char text[EDDY_TOKEN_TEXT_MAX], const eddy_token_grant *grant,
                           const eddy_key *issuer, const eddy_entropy *entropy)
{
    uint8_t bytes[ED_TOKEN_SIZE_MAX], token_psk[ED_KEY_SIZE];
    ed_writer w = ed_writer_of(bytes, sizeof(bytes));

    if (text == NULL || grant == NULL || issuer == NULL || !is_grant(grant))
        return EDDY_EINVAL;
    ed_capsule capsule = capsule_of(grant);
    entropy->fill(entropy->context, token_psk, sizeof(token_psk));
    write_header(&w, grant, token_psk);
    for (size_t i = 0; i < grant->server_count; i++) {
        entropy->fill(entropy->context, capsule.id, sizeof(capsule.id));
        write_entry(&w, &grant->servers[i], &capsule, grant->protocol_id, token_psk, issuer);
    }
    ED_ASSERT(ed_writer_ok(&w));
    ed_base64_write(text, bytes, ed_writer_size(&w));
    ed_wipe(bytes, sizeof(bytes));
    ed_wipe(token_psk, sizeof(token_psk));
    ed_wipe(&capsule, sizeof(capsule));
    return EDDY_OK;
}

eddy_status eddy_token_issue(char text[EDDY_TOKEN_TEXT_MAX], const eddy_token_grant *grant,
                             const eddy_key *issuer)
{
    if (ed_crypto_init() != EDDY_OK)
        return EDDY_ESYSTEM;
    return ed_token_issue(text, grant, issuer, ed_entropy_system());
}

/* ----------------------------------------------------------------------------------- parsing -- */

/** @param index below the number of servers. @return whether the entry is as one has to be. */
static bool read_entry(struct entry *entry, const struct token *token, size_t index)
{
    ed_reader r = ed_reader_of(token->entries + index * ED_TOKEN_ENTRY_SIZE, ED_TOKEN_ENTRY_SIZE);
    eddy_token_server server = {.server_id = 0};

    server.address.family = ed_read_u8(&r);
    uint8_t zero = ed_read_u8(&r);
    server.address.port = ed_read_u16(&r);
    memcpy(server.address.ip, ed_read_bytes(&r, sizeof(server.address.ip)).data,
           sizeof(server.address.ip));
    server.server_id = ed_read_u64(&r);
    memcpy(server.public_key.bytes, ed_read_bytes(&r, ED_KEY_SIZE).data, ED_KEY_SIZE);
    const uint8_t *capsule = ed_read_bytes(&r, ED_CAPSULE_SIZE).data;
    ED_ASSERT(ed_reader_ok(&r) && ed_reader_left(&r) == 0);
    *entry = (struct entry){.server = server, .capsule = capsule};
    // What the token shows must be what its capsules hold.
    return zero == 0 && is_reachable(&server.address) &&
           ed_capsule_expires_s(capsule) == token->expires_s;
}

static bool read_header(struct token *token, ed_reader *r)
{
    ed_span magic = ed_read_bytes(r, MAGIC_SIZE);
    uint32_t version = ed_read_u32(r);

    token->protocol_id = ed_read_u64(r);
    token->issued_s = ed_read_u64(r);
    token->expires_s = ed_read_u64(r);
    token->server_count = ed_read_u8(r);
    uint64_t reserved = ed_read_uint(r, 1 + RESERVED_SIZE);
    token->psk = ed_read_bytes(r, ED_KEY_SIZE).data;
    return ed_reader_ok(r) && memcmp(magic.data, MAGIC, MAGIC_SIZE) == 0 &&
           version == ED_TOKEN_VERSION && reserved == 0 &&
           is_life(token->issued_s, token->expires_s);
}

/** Reads all of it, so that what is taken from it later is known to be right. */
static bool read_token(struct token *token, size_t size)
{
    ed_reader r = ed_reader_of(token->bytes, size);

    if (!read_header(token, &r) || token->server_count < 1 ||
        token->server_count > EDDY_TOKEN_SERVERS_MAX ||
        ed_reader_left(&r) != token->server_count * ED_TOKEN_ENTRY_SIZE)
        return false;
    token->entries = ed_read_bytes(&r, ed_reader_left(&r)).data;
    for (size_t i = 0; i < token->server_count; i++) {
        struct entry entry;
        if (!read_entry(&entry, token, i))
            return false;
    }
    return true;
}

/** To be wiped, also after a failure. */
static eddy_status parse(struct token *token, const char *text)
{
    size_t size = 0;

    if (text == NULL || ed_crypto_init() != EDDY_OK)
        return EDDY_ETOKEN;
    // A letter more than there may be makes a byte more than there is room for.
    if (!ed_base64_read(token->bytes, sizeof(token->bytes), &size, text,
                        strnlen(text, EDDY_TOKEN_TEXT_MAX)))
        return EDDY_ETOKEN;
    return read_token(token, size) ? EDDY_OK : EDDY_ETOKEN;
}

static struct entry pick(const struct token *token, size_t index)
{
    struct entry entry;

    ED_ASSERT(index < token->server_count);
    bool is_good = read_entry(&entry, token, index);
    ED_ASSERT(is_good); // read_token saw to it
    return entry;
}

/* ------------------------------------------------------------------------------------ taking -- */

static void take_info(eddy_token_info *info, const struct token *token)
{
    *info = (eddy_token_info){
        .protocol_id = token->protocol_id,
        .issued_s = token->issued_s,
        .expires_s = token->expires_s,
        .server_count = token->server_count,
    };
    for (size_t i = 0; i < token->server_count; i++)
        info->servers[i] = pick(token, i).server;
}

eddy_status eddy_token_inspect(eddy_token_info *info, const char *text)
{
    struct token token;

    eddy_status status = parse(&token, text);
    if (status == EDDY_OK)
        take_info(info, &token);
    ed_wipe(&token, sizeof(token));
    return status;
}

static void take_pass(ed_pass *pass, const struct token *token, size_t index)
{
    struct entry entry = pick(token, index);

    *pass = (ed_pass){
        .address = entry.server.address,
        .protocol_id = token->protocol_id,
        .expires_s = token->expires_s,
        .server_count = token->server_count,
    };
    memcpy(pass->public_key, entry.server.public_key.bytes, ED_KEY_SIZE);
    memcpy(pass->capsule, entry.capsule, ED_CAPSULE_SIZE);
    ed_capsule_psk(pass->psk, token->psk, entry.server.server_id, ed_capsule_id(entry.capsule));
}

eddy_status ed_token_pick(ed_pass *pass, const char *text, size_t index)
{
    struct token token;

    eddy_status status = parse(&token, text);
    if (status == EDDY_OK && index >= token.server_count)
        status = EDDY_EINVAL;
    if (status == EDDY_OK)
        take_pass(pass, &token, index);
    ed_wipe(&token, sizeof(token));
    return status;
}

/** Opens the first entry that opens: those of other servers do not. */
static eddy_status open_for(ed_capsule *capsule, const struct token *token, uint64_t server_id,
                            const eddy_key *token_key)
{
    ed_capsule_place place = {.protocol_id = token->protocol_id, .server_id = server_id};
    eddy_status status = EDDY_ETOKEN;

    for (size_t i = 0; i < token->server_count && status != EDDY_OK; i++)
        status = ed_capsule_open(capsule, pick(token, i).capsule, &place, token_key->bytes);
    return status;
}

static void take_claim(eddy_token_claim *claim, const ed_capsule *capsule)
{
    *claim = (eddy_token_claim){
        .client_id = capsule->client_id,
        .issued_s = capsule->issued_s,
        .expires_s = capsule->expires_s,
        .user_data_size = capsule->user_data_size,
    };
    memcpy(claim->user_data, capsule->user_data, sizeof(claim->user_data));
}

eddy_status eddy_token_verify(eddy_token_claim *claim, const char *text, uint64_t server_id,
                              const eddy_key *token_key, uint64_t now_s)
{
    struct token token;
    ed_capsule capsule;

    eddy_status status = token_key == NULL ? EDDY_ETOKEN : parse(&token, text);
    if (status == EDDY_OK)
        status = open_for(&capsule, &token, server_id, token_key);
    if (status == EDDY_OK)
        status = ed_capsule_judge(&capsule, now_s);
    if (status == EDDY_OK)
        take_claim(claim, &capsule);
    ed_wipe(&token, sizeof(token));
    ed_wipe(&capsule, sizeof(capsule));
    return status;
}
