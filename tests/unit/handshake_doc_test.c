/** The examples of PROTOCOL.md: what the handshake writes, in each mode, with fixed keys. */
#include "tests/support/initiate.h"
#include "tests/unit/protocol_page.h"

#include "transport/capsule.h"
#include "transport/handshake.h"
#include "transport/protect.h"

enum {
    /* a byte of each secret key, which has no others */
    CLIENT_EPHEMERAL = 2,
    SERVER_EPHEMERAL = 3,
    SERVER_SECRET = 4,
    CLIENT_SECRET = 5,
    TOKEN_PSK = 6,
    TOKEN_KEY = 7,

    SHOWN_SIZE = 16, /* of what is sealed; the tag vouches for the rest */
    HEAD_SIZE = 56,
    ACCEPT_HEAD_SIZE = 20,
};

static ed_noise_pair pair_of(uint8_t secret_byte)
{
    ed_noise_pair pair;

    memset(pair.secret, secret_byte, sizeof(pair.secret));
    ed_x25519_public(pair.public_key, pair.secret);
    return pair;
}

static void add_pair(struct text *text, uint8_t secret_byte, const char *name)
{
    ed_noise_pair pair = pair_of(secret_byte);

    add(text, "# %s: its secret key is all 0x%02x\n", name, secret_byte);
    add_bytes(text, pair.public_key, sizeof(pair.public_key), "public key");
}

static void write_pairs(struct text *text)
{
    char key_text[EDDY_KEY_TEXT_SIZE];
    eddy_key key;

    add_pair(text, SERVER_SECRET, "the server");
    add_pair(text, CLIENT_SECRET, "the client, in mode MUTUAL");
    add_pair(text, CLIENT_EPHEMERAL, "the client's ephemeral");
    add_pair(text, SERVER_EPHEMERAL, "the server's ephemeral");
    memcpy(key.bytes, pair_of(SERVER_SECRET).public_key, sizeof(key.bytes));
    add(text, "# the server's public key as text\n%s\n",
        eddy_key_print(&key, EDDY_KEY_PUBLIC, key_text));
}

/* ---------------------------------------------------------------------------------- greeting -- */

static ed_greeting_key greeting_key(void)
{
    return ed_greeting_key_of(pair_of(SERVER_SECRET).public_key);
}

static void write_hello(struct text *text)
{
    ed_hello hello = {.version = ED_PROTOCOL_VERSION,
                      .mode = ED_MODE_PINNED,
                      .version_count = 1,
                      .versions = {ED_PROTOCOL_VERSION},
                      .protocol_id = UINT64_C(0x1122334455667788)};
    ed_greeting_key key = greeting_key();
    uint8_t data[ED_HELLO_SIZE];
    size_t at = 0;

    memset(hello.nonce, 1, sizeof(hello.nonce));
    ed_hello_write(data, &hello, &key);
    add_field(text, data, &at, 1, "HELLO");
    add_field(text, data, &at, 4, "version: 1");
    add_field(text, data, &at, 1, "mode: PINNED");
    add_field(text, data, &at, 1, "one version follows");
    add_field(text, data, &at, 1, "0");
    add_field(text, data, &at, 8, "protocol id: 0x1122334455667788");
    add_field(text, data, &at, ED_NONCE_SIZE, "nonce");
    add_field(text, data, &at, 4 * ED_VERSIONS_MAX, "versions: 1, and 7 places");
    add_field(text, data, &at, SHOWN_SIZE, "padding, the first 16 of 1,120");
    add_bytes(text, data + ED_HELLO_SIZE - ED_MAC_SIZE, ED_MAC_SIZE, "at 1,184: mac");
    CHECK_EQ("parse", ed_hello_parse(&hello, data, sizeof(data)), EDDY_OK);
    CHECK("authentic", ed_request_is_authentic(data, &key));
}

static void add_answer(struct text *text, const uint8_t *data, const char *name, const char *body)
{
    size_t at = 0;

    add_field(text, data, &at, 1, name);
    add_field(text, data, &at, 4, "version: 1");
    add_field(text, data, &at, 1, "refusal");
    add_field(text, data, &at, 2, "0");
    add_field(text, data, &at, ED_MAC_SIZE, "tag");
    add_field(text, data, &at, ED_COOKIE_SIZE, body);
    CHECK_EQ("all", at, ED_RETRY_SIZE);
}

static void write_retry(struct text *text)
{
    ed_retry retry = {.version = ED_PROTOCOL_VERSION};
    ed_greeting_key key = greeting_key();
    uint8_t data[ED_RETRY_SIZE], nonce[ED_NONCE_SIZE];

    memset(nonce, 1, sizeof(nonce));
    for (size_t i = 0; i < sizeof(retry.cookie); i++)
        retry.cookie[i] = (uint8_t)i;
    ed_retry_write(data, &retry, nonce, &key, NULL);
    add_answer(text, data, "RETRY", "cookie, here counted up");
    CHECK_EQ("parse", ed_retry_parse(&retry, data, sizeof(data), nonce, &key, NULL, 0), EDDY_OK);
}

static void write_reject(struct text *text)
{
    ed_reject reject = {.version = ED_PROTOCOL_VERSION, .refusal = EDDY_REFUSED_MODE};
    ed_greeting_key key = greeting_key();
    uint8_t data[ED_REJECT_SIZE], nonce[ED_NONCE_SIZE];

    memset(nonce, 1, sizeof(nonce));
    ed_reject_write(data, &reject, nonce, &key);
    add_answer(text, data, "REJECT", "zeros");
    CHECK_EQ("parse", ed_reject_parse(&reject, data, sizeof(data), nonce, &key), EDDY_OK);
}

static void write_versions(struct text *text)
{
    ed_versions versions = {.count = 1, .versions = {ED_PROTOCOL_VERSION}};
    ed_greeting_key key = greeting_key();
    uint8_t data[ED_VERSIONS_SIZE], nonce[ED_NONCE_SIZE];
    size_t at = 0;

    memset(nonce, 1, sizeof(nonce));
    ed_versions_write(data, &versions, nonce, &key);
    add_field(text, data, &at, 1, "VERSIONS");
    add_field(text, data, &at, 4, "0");
    add_field(text, data, &at, 1, "one version follows");
    add_field(text, data, &at, 2, "0");
    add_field(text, data, &at, ED_MAC_SIZE, "tag");
    add_field(text, data, &at, 4 * ED_VERSIONS_TOLD_MAX, "versions: 1, and 5 places");
    CHECK_EQ("all", at, ED_VERSIONS_SIZE);
    CHECK_EQ("parse", ed_versions_parse(&versions, data, sizeof(data), nonce, &key), EDDY_OK);
}

/* ----------------------------------------------------------------------------------- capsule -- */

static const ed_capsule_place place = {.protocol_id = UINT64_C(0x1122334455667788), .server_id = 9};

static ed_capsule some_capsule(void)
{
    ed_capsule capsule = {.client_id = 77,
                          .issued_s = 1000000000,
                          .expires_s = 1000000060,
                          .user_data_size = 2,
                          .user_data = "hi"};
    uint8_t token_psk[ED_KEY_SIZE];

    memset(token_psk, TOKEN_PSK, sizeof(token_psk));
    memset(capsule.id, 8, sizeof(capsule.id));
    ed_capsule_psk(capsule.psk, token_psk, place.server_id, capsule.id);
    return capsule;
}

/** The issuer's key is all 0x07. */
static void seal_capsule(uint8_t bytes[ED_CAPSULE_SIZE])
{
    ed_capsule capsule = some_capsule();
    eddy_key issuer, key;

    memset(&issuer, TOKEN_KEY, sizeof(issuer));
    key = eddy_key_token(&issuer, place.server_id);
    ed_capsule_seal(bytes, &capsule, &place, key.bytes);
    CHECK_EQ("open", ed_capsule_open(&capsule, bytes, &place, key.bytes), EDDY_OK);
}

static void write_capsule(struct text *text)
{
    ed_capsule capsule = some_capsule();
    uint8_t bytes[ED_CAPSULE_SIZE];
    eddy_key issuer, key;
    size_t at = 0;

    memset(&issuer, TOKEN_KEY, sizeof(issuer));
    key = eddy_key_token(&issuer, place.server_id);
    seal_capsule(bytes);
    add(text, "# the issuer's key is all 0x07, the token's psk all 0x06, the server's id 9\n"
              "# client 77, issued at 1,000,000,000, for 60 s, with the user data \"hi\"\n");
    add_bytes(text, key.bytes, sizeof(key.bytes), "the server's token key");
    add_bytes(text, capsule.psk, sizeof(capsule.psk), "psk");
    add_field(text, bytes, &at, 4, "the capsule: key id");
    add_field(text, bytes, &at, 8, "expires");
    add_field(text, bytes, &at, ED_XNONCE_SIZE, "nonce");
    add_field(text, bytes, &at, SHOWN_SIZE, "sealed, the first 16 of 304");
    add_bytes(text, bytes + ED_CAPSULE_SIZE - ED_TAG_SIZE, ED_TAG_SIZE, "tag");
}

/* ---------------------------------------------------------------------------------- messages -- */

/** Both ends of a handshake, and the two datagrams; after it, their payloads stand open. */
struct example {
    ed_mode mode;
    ed_noise client;
    ed_noise server;
    uint8_t capsule[ED_CAPSULE_SIZE];
    uint8_t initiate[ED_INITIATE_SIZE];
    uint8_t initiate_opened[ED_INITIATE_SIZE];
    uint8_t accept[ED_ACCEPT_SIZE_MAX];
    uint8_t accept_opened[ED_ACCEPT_SIZE_MAX];
};

static ed_initiate some_initiate(const struct example *example)
{
    ed_initiate initiate = {
        .version = ED_PROTOCOL_VERSION,
        .mode = (uint8_t)example->mode,
        .suites = 1 << ED_AEAD_CHACHA20 | 1 << ED_AEAD_AES256,
        .protocol_id = UINT64_C(0x1122334455667788),
        .capsule = example->mode == ED_MODE_TOKEN ? example->capsule : NULL,
        .datagram_size = ED_DATAGRAM_SIZE,
        .credit = 32768,
        .message_max = 65536,
        .client_time_us = 1000000,
        .payload = {.data = (const uint8_t *)"hi", .size = 2},
    };

    memset(initiate.nonce, 1, sizeof(initiate.nonce));
    for (size_t i = 0; i < sizeof(initiate.cookie); i++)
        initiate.cookie[i] = (uint8_t)i;
    return initiate;
}

static ed_accept some_accept(void)
{
    ed_accept accept = {.suite = ED_AEAD_CHACHA20,
                        .id = 0x0a000102,
                        .datagram_size = ED_DATAGRAM_SIZE,
                        .credit = 32768,
                        .message_max = 65536,
                        .idle_timeout_ms = 10000,
                        .server_time_us = 1000000};

    memset(accept.nonce, 1, sizeof(accept.nonce));
    memset(accept.reset_token, 9, sizeof(accept.reset_token));
    memset(accept.ticket, 0x8a, sizeof(accept.ticket));
    return accept;
}

/** The client writes INITIATE, and the server reads it. */
static void initiate(struct example *example)
{
    ed_initiate written = some_initiate(example), read;
    ed_noise_pair client = pair_of(CLIENT_SECRET), server = pair_of(SERVER_SECRET);
    ed_noise_pair ephemeral = pair_of(CLIENT_EPHEMERAL);
    ed_capsule capsule = some_capsule();
    const uint8_t *shared = example->mode == ED_MODE_TOKEN ? capsule.psk : NULL;
    ed_noise_keys client_keys = {.own = example->mode == ED_MODE_MUTUAL ? &client : NULL,
                                 .peer = example->mode == ED_MODE_OPEN ? NULL : server.public_key,
                                 .shared = shared};
    ed_noise_keys server_keys = {.own = &server, .shared = shared};

    CHECK("write", ed_initiate_write(example->initiate, &written, &example->client,
                                     ephemeral.secret, &client_keys));
    memcpy(example->initiate_opened, example->initiate, sizeof(example->initiate));
    CHECK_EQ("parse", ed_initiate_parse(&read, example->initiate_opened, ED_INITIATE_SIZE),
             EDDY_OK);
    CHECK_EQ("open",
             ed_initiate_open(&read, &example->server, example->initiate_opened, &server_keys),
             EDDY_OK);
}

/** The server writes ACCEPT, and the client reads it. */
static void answer(struct example *example, const ed_accept *accept)
{
    size_t size = ed_accept_size(example->mode);
    ed_noise_pair ephemeral = pair_of(SERVER_EPHEMERAL);
    ed_accept read;

    CHECK("write", ed_accept_write(example->accept, accept, &example->server, example->mode,
                                   ephemeral.secret));
    memcpy(example->accept_opened, example->accept, size);
    CHECK_EQ("open",
             ed_accept_open(&read, &example->client, example->mode, accept->nonce,
                            example->accept_opened, size),
             EDDY_OK);
    CHECK_EQ("refusal", read.refusal, accept->refusal);
}

static void run_example(struct example *example, ed_mode mode, const ed_accept *accept)
{
    *example = (struct example){.mode = mode};
    seal_capsule(example->capsule);
    initiate(example);
    answer(example, accept);
}

static void add_secrets(struct text *text, const struct example *example)
{
    uint8_t client[2][ED_KEY_SIZE], server[2][ED_KEY_SIZE];

    ed_noise_split(&example->client, client[0], client[1]);
    ed_noise_split(&example->server, server[0], server[1]);
    CHECK_BYTES("both ends", client, server, sizeof(client));
    add_bytes(text, client[0], ED_KEY_SIZE, "the first secret to the server,");
    add_bytes(text, client[1], ED_KEY_SIZE, "and to the client");
}

static void add_initiate(struct text *text, const struct example *example)
{
    const uint8_t *data = example->initiate;
    size_t at = 0;

    add_field(text, data, &at, HEAD_SIZE, "INITIATE in the clear");
    if (example->mode == ED_MODE_TOKEN) {
        add_field(text, data, &at, SHOWN_SIZE, "the capsule below, the first 16 of 356");
        at += ED_CAPSULE_SIZE - SHOWN_SIZE;
    }
    add_field(text, data, &at, ED_KEY_SIZE, "client ephemeral");
    if (example->mode == ED_MODE_MUTUAL)
        add_field(text, data, &at, ED_NOISE_STATIC_SIZE, "the client's public key, sealed");
    add_field(text, data, &at, SHOWN_SIZE, "payload, sealed, the first 16 of 326");
    at += ED_INITIATE_SEALED_SIZE - SHOWN_SIZE;
    add_field(text, data, &at, ED_TAG_SIZE, "tag");
    at = ED_INITIATE_SIZE - ED_MAC_SIZE;
    add_field(text, data, &at, ED_MAC_SIZE, "at 1,184: mac");
}

static void add_accept(struct text *text, const struct example *example)
{
    const uint8_t *data = example->accept;
    size_t size = ed_accept_size(example->mode), at = 0;

    add_field(text, data, &at, ACCEPT_HEAD_SIZE, "ACCEPT in the clear");
    add_field(text, data, &at, ED_KEY_SIZE, "server ephemeral");
    if (example->mode == ED_MODE_OPEN)
        add_field(text, data, &at, ED_NOISE_STATIC_SIZE, "the server's public key, sealed");
    add_field(text, data, &at, SHOWN_SIZE, "payload, sealed, the first 16 of 136");
    add_bytes(text, data + size - ED_TAG_SIZE, ED_TAG_SIZE, "tag");
}

static void write_mode(struct text *text, ed_mode mode)
{
    ed_accept accept = some_accept();
    struct example example;

    run_example(&example, mode, &accept);
    add_initiate(text, &example);
    add_accept(text, &example);
    add_secrets(text, &example);
}

static void write_open(struct text *text)
{
    write_mode(text, ED_MODE_OPEN);
}

static void write_pinned(struct text *text)
{
    write_mode(text, ED_MODE_PINNED);
}

static void write_mutual(struct text *text)
{
    write_mode(text, ED_MODE_MUTUAL);
}

static void write_token(struct text *text)
{
    write_mode(text, ED_MODE_TOKEN);
}

/* ---------------------------------------------------------------------------------- payloads -- */

static void write_initiate_payload(struct text *text)
{
    ed_accept accept = some_accept();
    struct example example;
    size_t at = HEAD_SIZE + ED_KEY_SIZE;

    run_example(&example, ED_MODE_PINNED, &accept);
    const uint8_t *data = example.initiate_opened;
    add_field(text, data, &at, 2, "largest datagram: 1,200");
    add_field(text, data, &at, 2, "streams: 256");
    add_field(text, data, &at, 4, "credit: 32,768");
    add_field(text, data, &at, 4, "features");
    add_field(text, data, &at, 1, "one version follows");
    add_field(text, data, &at, 3, "0");
    add_field(text, data, &at, 32, "versions: 1, and 7 places");
    add_field(text, data, &at, 8, "client's time: 1,000,000 us");
    add_field(text, data, &at, 8, "build");
    add_field(text, data, &at, 4, "largest message: 65,536");
    add_field(text, data, &at, 2, "size of the program's payload");
    add_field(text, data, &at, 2, "\"hi\"; then zeros to the end");
}

static void write_accept_payload(struct text *text)
{
    ed_accept accept = some_accept();
    struct example example;
    size_t at = ACCEPT_HEAD_SIZE + ED_KEY_SIZE;

    run_example(&example, ED_MODE_PINNED, &accept);
    const uint8_t *data = example.accept_opened;
    add_field(text, data, &at, 1, "accepted");
    add_field(text, data, &at, 1, "suite: 1");
    add_field(text, data, &at, 2, "0");
    add_field(text, data, &at, 4, "id: 0x0a000102");
    add_field(text, data, &at, 2, "largest datagram: 1,200");
    add_field(text, data, &at, 2, "streams: 256");
    add_field(text, data, &at, 4, "idle timeout: 10,000 ms");
    add_field(text, data, &at, 4, "credit: 32,768");
    add_field(text, data, &at, ED_RESET_TOKEN_SIZE, "reset token");
    add_field(text, data, &at, 8, "client index, clients");
    add_field(text, data, &at, 8, "server's time: 1,000,000 us");
    add_field(text, data, &at, 4, "features");
    add_field(text, data, &at, ED_COOKIE_SIZE, "address ticket");
    add_field(text, data, &at, 4, "largest message: 65,536; then zeros");
}

static void write_refusal_payload(struct text *text)
{
    static const char reason[] = "banned";
    ed_accept accept = some_accept();
    struct example example;
    size_t at = ACCEPT_HEAD_SIZE + ED_KEY_SIZE;

    accept.refusal = EDDY_REFUSED_BY_PROGRAM;
    accept.code = 7;
    accept.reason_size = sizeof(reason) - 1;
    memcpy(accept.reason, reason, sizeof(reason));
    run_example(&example, ED_MODE_PINNED, &accept);
    const uint8_t *data = example.accept_opened;
    add_field(text, data, &at, 1, "refused by the program");
    add_field(text, data, &at, 1, "suite");
    add_field(text, data, &at, 2, "0");
    add_field(text, data, &at, 4, "code: 7");
    add_field(text, data, &at, 1, "size of the reason");
    add_field(text, data, &at, accept.reason_size, "\"banned\"; then zeros");
}

static const struct block examples[] = {
    {"key-pairs", write_pairs},
    {"hello", write_hello},
    {"retry", write_retry},
    {"reject", write_reject},
    {"versions", write_versions},
    {"initiate-payload", write_initiate_payload},
    {"accept-payload", write_accept_payload},
    {"refusal-payload", write_refusal_payload},
    {"open", write_open},
    {"pinned", write_pinned},
    {"mutual", write_mutual},
    {"token", write_token},
    {"capsule", write_capsule},
};

int main(void)
{
    struct blocks blocks = {.word = "handshake", .rows = examples, .count = ED_COUNT(examples)};

    return run_blocks(&blocks);
}
