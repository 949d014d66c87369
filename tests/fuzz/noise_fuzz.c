/**
 * Any bytes as the first and the second message of every Noise pattern, to both ends: as they come,
 * and as changes to a message that is valid. Only the valid message itself may come through.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "transport/noise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE_COUNT = 2, PAYLOAD_SIZE = 5, ROOM = 256 };

/** A handshake of one pattern: who waits for each message, and what it would be. */
struct exchange {
    ed_noise reader[MESSAGE_COUNT];
    uint8_t message[MESSAGE_COUNT][ROOM];
    size_t size[MESSAGE_COUNT];
};

static struct exchange exchanges[ED_NOISE_PATTERN_COUNT];

static ed_noise_pair pair_of(uint8_t seed)
{
    ed_noise_pair pair = {.secret = {seed}};

    ed_x25519_public(pair.public_key, pair.secret);
    return pair;
}

/** Writes message `i` and lets the other end read it. */
static void pass(struct exchange *e, unsigned i, ed_noise *from, ed_noise *to)
{
    ed_noise_pattern pattern = (ed_noise_pattern)from->pattern;
    uint8_t secret[ED_KEY_SIZE] = {(uint8_t)(1 + i)}, copy[ROOM];
    bool ok = ed_noise_write(from, secret, e->message[i], PAYLOAD_SIZE);

    ED_ASSERT(ok);
    e->reader[i] = *to;
    e->size[i] = ed_noise_head_size(pattern, i) + PAYLOAD_SIZE + ED_AEAD_TAG_SIZE;
    memcpy(copy, e->message[i], e->size[i]);
    ok = ed_noise_read(to, copy, e->size[i]);
    ED_ASSERT(ok);
}

static void prepare(ed_noise_pattern pattern)
{
    ed_noise_pair client = pair_of(3), server = pair_of(4);
    ed_noise_keys client_keys = {.own = &client, .peer = server.public_key};
    ed_noise_keys server_keys = {.own = &server};
    ed_span prologue = {.data = client.public_key, .size = ED_KEY_SIZE};
    struct exchange *e = &exchanges[pattern];
    ed_noise initiator, responder;

    if (pattern == ED_NOISE_NXPSK2)
        client_keys.peer = NULL;
    ed_noise_init(&initiator, pattern, true, prologue, &client_keys);
    ed_noise_init(&responder, pattern, false, prologue, &server_keys);
    pass(e, 0, &initiator, &responder);
    pass(e, 1, &responder, &initiator);
}

/** Reads from memory that ends where the message does; a reader that is done can derive keys. */
static bool is_taken(ed_noise reader, const uint8_t *message, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1), keys[2][ED_KEY_SIZE];

    ED_ASSERT(copy != NULL);
    if (size > 0)
        memcpy(copy, message, size);
    bool ok = ed_noise_read(&reader, copy, size);
    if (ok && reader.is_initiator)
        ed_noise_split(&reader, keys[0], keys[1]);
    free(copy);
    return ok;
}

/** Changes bytes of the message: each pair of the input says where, and what is flipped there. */
static void change(uint8_t *message, size_t size, const uint8_t *data, size_t data_size)
{
    for (size_t i = 0; i + 1 < data_size; i += 2)
        message[data[i] % size] ^= data[i + 1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_ready;
    uint8_t changed[ROOM];

    if (!is_ready && ed_crypto_init() != EDDY_OK)
        return 0;
    for (int i = 0; !is_ready && i < ED_NOISE_PATTERN_COUNT; i++)
        prepare((ed_noise_pattern)i);
    is_ready = true;
    if (size < 2)
        return 0;
    // The first byte chooses the exchange and the message; the second how much is cut off its end.
    const struct exchange *e = &exchanges[data[0] % ED_NOISE_PATTERN_COUNT];
    size_t which = data[0] / ED_NOISE_PATTERN_COUNT % MESSAGE_COUNT;
    size_t whole = e->size[which], kept = whole - data[1] % (whole + 1);

    ED_ASSERT(!is_taken(e->reader[which], data + 2, size - 2) ||
              (size - 2 == whole && memcmp(data + 2, e->message[which], whole) == 0));
    memcpy(changed, e->message[which], whole);
    change(changed, whole, data + 2, size - 2);
    bool is_same = kept == whole && memcmp(changed, e->message[which], whole) == 0;
    ED_ASSERT(is_taken(e->reader[which], changed, kept) == is_same);
    return 0;
}
