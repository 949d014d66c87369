/**
 * Any bytes as INITIATE and ACCEPT, in every mode: as they come, as changes to one that is valid,
 * and as contents that somebody has sealed who has the keys. Only what was not changed and what was
 * sealed may be opened; whatever it says is then within its limits.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "tests/support/initiate.h"
#include "transport/cookie.h"
#include "transport/nonce.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ACCEPT_CLEAR_SIZE = 20, ACCEPT_PAYLOAD_SIZE = 136 };

/** A handshake that waits for each of its messages. */
struct exchange {
    ed_noise_keys client_keys;
    ed_noise client; /* has said INITIATE */
    ed_noise server; /* has heard it */
    uint8_t initiate[ED_INITIATE_SIZE];
    uint8_t plain[ED_INITIATE_SIZE]; /* the same, opened */
    uint8_t accept[ED_ACCEPT_SIZE_MAX];
    size_t accept_size;
};

static struct exchange exchanges[ED_MODE_COUNT];
static ed_noise_pair client_pair, server_pair;
static const uint8_t room[ED_KEY_SIZE] = {5}, capsule[ED_CAPSULE_SIZE] = {6};
static const uint8_t nonce[ED_NONCE_SIZE] = {1, 2, 3};

static ed_noise_pair pair_of(uint8_t seed)
{
    ed_noise_pair pair = {.secret = {8, seed}};

    ed_x25519_public(pair.public_key, pair.secret);
    return pair;
}

/** How a server takes an INITIATE, in place. */
static eddy_status take(ed_initiate *initiate, ed_noise *noise, uint8_t *data, size_t size)
{
    ed_noise_keys keys = {.own = &server_pair, .shared = room};
    eddy_status status = ed_initiate_parse(initiate, data, size);

    return status == EDDY_OK ? ed_initiate_open(initiate, noise, data, &keys) : status;
}

static void prepare(ed_mode mode)
{
    struct exchange *e = &exchanges[mode];
    ed_initiate initiate = {.version = ED_PROTOCOL_VERSION,
                            .mode = (uint8_t)mode,
                            .suites = 6,
                            .nonce = {1, 2, 3},
                            .cookie = {4},
                            .capsule = mode == ED_MODE_TOKEN ? capsule : NULL,
                            .datagram_size = ED_DATAGRAM_SIZE,
                            .message_max = EDDY_PIECE_SIZE_MAX};
    ed_accept accept = {.nonce = {1, 2, 3},
                        .suite = ED_AEAD_CHACHA20,
                        .datagram_size = ED_DATAGRAM_SIZE,
                        .message_max = EDDY_PIECE_SIZE_MAX};

    const uint8_t first[ED_KEY_SIZE] = {8, (uint8_t)mode, 1};
    const uint8_t second[ED_KEY_SIZE] = {8, (uint8_t)mode, 2};
    e->client_keys = (ed_noise_keys){.own = mode == ED_MODE_MUTUAL ? &client_pair : NULL,
                                     .peer = mode == ED_MODE_OPEN ? NULL : server_pair.public_key,
                                     .shared = room};
    bool ok = ed_initiate_write(e->initiate, &initiate, &e->client, first, &e->client_keys);
    ED_ASSERT(ok);
    memcpy(e->plain, e->initiate, sizeof(e->plain));
    eddy_status status = take(&initiate, &e->server, e->plain, sizeof(e->plain));
    ED_ASSERT(status == EDDY_OK);
    ed_noise server = e->server;
    ok = ed_accept_write(e->accept, &accept, &server, mode, second);
    ED_ASSERT(ok);
    e->accept_size = ed_accept_size(mode);
}

/* ------------------------------------------------------------------------------------ INITIATE --
 */

static void check_initiate(const ed_initiate *initiate, const uint8_t *data)
{
    ed_initiate again;

    ED_ASSERT(initiate->datagram_size >= ED_DATAGRAM_SIZE);
    ED_ASSERT(initiate->message_max >= EDDY_PIECE_SIZE_MAX);
    ED_ASSERT(initiate->payload.size <= EDDY_CONNECT_PAYLOAD_MAX);
    ED_ASSERT(initiate->payload.data + initiate->payload.size <= data + ED_INITIATE_SIZE);
    ed_initiate_read_opened(&again, data);
    ED_ASSERT(again.credit == initiate->credit && again.payload.size == initiate->payload.size);
}

/** Whether who made it knows the server's key: asked first, and of the whole datagram. */
static bool is_authentic(const uint8_t *data, size_t size)
{
    if (size != ED_INITIATE_SIZE)
        return false;
    ed_greeting_key key =
        ed_greeting_key_of(data[5] == ED_MODE_OPEN ? NULL : server_pair.public_key);
    return ed_request_is_authentic(data, &key);
}

/** From memory that ends where the datagram does. @return whether it is opened. */
static bool is_taken(const uint8_t *data, size_t size)
{
    bool is_ours = is_authentic(data, size);
    uint8_t *copy = malloc(size > 0 ? size : 1);
    ed_initiate initiate;
    ed_noise noise;

    ED_ASSERT(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    eddy_status status = take(&initiate, &noise, copy, size);
    if (status == EDDY_OK)
        check_initiate(&initiate, copy);
    free(copy);
    return status == EDDY_OK && is_ours;
}

/** Puts the bytes into the sealed part, and seals it with an ephemeral that is made of them. */
static void seal_initiate(ed_mode mode, uint8_t *data, ed_span bytes)
{
    size_t at = ed_initiate_payload_at(mode);
    size_t room_size = ED_INITIATE_SEALED_SIZE;
    uint8_t ephemeral[ED_KEY_SIZE];

    memcpy(data, exchanges[mode].plain, ED_INITIATE_SIZE);
    for (size_t i = 0; i < ed_min_size(bytes.size, room_size); i++)
        data[at + i] ^= bytes.data[i]; // so that few bytes suffice
    ed_blake2b(ephemeral, sizeof(ephemeral), bytes.data, bytes.size, NULL, 0);
    ed_noise noise = ed_initiate_noise(mode, data, exchanges[mode].client_keys);
    bool ok = ed_noise_write(&noise, ephemeral, data + ed_initiate_message_at(mode), room_size);
    ED_ASSERT(ok);
}

static void fuzz_initiate(ed_mode mode, ed_span bytes)
{
    uint8_t data[ED_INITIATE_SIZE];
    ed_initiate initiate;
    ed_noise noise;

    seal_initiate(mode, data, bytes);
    eddy_status status = take(&initiate, &noise, data, sizeof(data));
    ED_ASSERT(status == EDDY_OK || status == EDDY_EPROTO);
    if (status == EDDY_OK)
        check_initiate(&initiate, data);
}

/* -------------------------------------------------------------------------------------- ACCEPT --
 */

static void check_accept(const ed_accept *accept)
{
    ED_ASSERT(accept->reason_size < EDDY_REASON_SIZE);
    ED_ASSERT(accept->reason[EDDY_REASON_SIZE - 1] == '\0');
    ED_ASSERT(accept->refusal != 0 || accept->datagram_size >= ED_DATAGRAM_SIZE);
    ED_ASSERT(accept->refusal != 0 || accept->message_max >= EDDY_PIECE_SIZE_MAX);
}

static bool is_accepted(ed_mode mode, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    ed_noise noise = exchanges[mode].client;
    ed_accept accept;

    ED_ASSERT(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    eddy_status status = ed_accept_open(&accept, &noise, mode, nonce, copy, size);
    if (status == EDDY_OK)
        check_accept(&accept);
    free(copy);
    return status == EDDY_OK;
}

static void fuzz_accept(ed_mode mode, ed_span bytes)
{
    struct exchange *e = &exchanges[mode];
    size_t at = e->accept_size - ED_TAG_SIZE - ACCEPT_PAYLOAD_SIZE;
    uint8_t data[ED_ACCEPT_SIZE_MAX], ephemeral[ED_KEY_SIZE];
    ed_noise server = e->server, client = e->client;
    ed_accept accept;

    memcpy(data, e->accept, e->accept_size);
    eddy_status status = ed_accept_open(&accept, &client, mode, nonce, data, e->accept_size);
    ED_ASSERT(status == EDDY_OK);
    for (size_t i = 0; i < ed_min_size(bytes.size, ACCEPT_PAYLOAD_SIZE); i++)
        data[at + i] ^= bytes.data[i];
    ed_blake2b(ephemeral, sizeof(ephemeral), bytes.data, bytes.size, NULL, 0);
    bool ok = ed_noise_write(&server, ephemeral, data + ACCEPT_CLEAR_SIZE, ACCEPT_PAYLOAD_SIZE);
    ED_ASSERT(ok);
    client = e->client;
    status = ed_accept_open(&accept, &client, mode, nonce, data, e->accept_size);
    ED_ASSERT(status == EDDY_OK || status == EDDY_EPROTO);
    if (status == EDDY_OK)
        check_accept(&accept);
}

/* --------------------------------------------------------------------------------------- damage --
 */

/** Changes a valid one: each three bytes say where, and what is flipped there. */
static void change(uint8_t *data, size_t size, ed_span bytes)
{
    for (size_t i = 0; i + 2 < bytes.size; i += 3)
        data[(bytes.data[i] << 8 | bytes.data[i + 1]) % (int)size] ^= bytes.data[i + 2];
}

static void fuzz_damage(ed_mode mode, bool is_accept, size_t cut, ed_span bytes)
{
    const uint8_t *good = is_accept ? exchanges[mode].accept : exchanges[mode].initiate;
    size_t whole = is_accept ? exchanges[mode].accept_size : ED_INITIATE_SIZE;
    size_t size = whole - cut % (whole + 1);
    uint8_t data[ED_DATAGRAM_SIZE];

    memcpy(data, good, whole);
    change(data, whole, bytes);
    bool is_same = size == whole && memcmp(data, good, whole) == 0;
    bool ok = is_accept ? is_accepted(mode, data, size) : is_taken(data, size);
    ED_ASSERT(ok == is_same);
}

/** Nobody believes what comes just so, unless it is a copy. */
static void fuzz_raw(ed_mode mode, ed_span bytes)
{
    if (bytes.size > ED_DATAGRAM_SIZE)
        return;
    bool ok = is_taken(bytes.data, bytes.size);
    ED_ASSERT(!ok || bytes.data[5] < ED_MODE_COUNT);
    ok = is_accepted(mode, bytes.data, bytes.size);
    ED_ASSERT(!ok || memcmp(bytes.data, exchanges[mode].accept, bytes.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_ready;

    if (!is_ready && ed_crypto_init() == EDDY_OK) {
        client_pair = pair_of(3);
        server_pair = pair_of(4);
        for (int mode = 0; mode < ED_MODE_COUNT; mode++)
            prepare((ed_mode)mode);
        is_ready = true;
    }
    if (!is_ready || size < 2)
        return 0;
    ed_mode mode = (ed_mode)(data[0] % ED_MODE_COUNT);
    ed_span bytes = {.data = data + 2, .size = size - 2};
    ed_nonce_forget();
    switch (data[0] / ED_MODE_COUNT % 5) {
    case 0:
        fuzz_initiate(mode, bytes);
        break;
    case 1:
        fuzz_accept(mode, bytes);
        break;
    case 2:
        fuzz_damage(mode, false, data[1], bytes);
        break;
    case 3:
        fuzz_damage(mode, true, data[1], bytes);
        break;
    default:
        fuzz_raw(mode, bytes);
        break;
    }
    return 0;
}
