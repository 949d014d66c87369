#include "transport/protect.h"

#include <string.h>

#include "core/writer.h"
#include "transport/check.h"
#include "transport/nonce.h"

enum {
    FIRST_MASKED = 0x1f, /* of the first byte: all but what routes */
    NUMBER_SIZE_BITS = 0x03,
    UPDATE_PTOS = 3, /* between two updates, and how long the previous key is kept */
    MADE_SIZE = ED_KEY_SIZE + ED_AEAD_NONCE_SIZE + ED_MAC_KEY_SIZE,
};

uint8_t ed_suites_offered(const eddy_config *config)
{
    unsigned mask = 0;

    for (unsigned aead = ED_AEAD_CHACHA20; aead <= ED_AEAD_AES256; aead++) {
        bool allowed = config->cipher == EDDY_CIPHER_BEST || config->cipher == aead;
        if (allowed && ed_aead_available((ed_aead)aead))
            mask |= 1u << aead;
    }
    return (uint8_t)mask;
}

uint8_t ed_suite_choose(const eddy_config *config, uint8_t offered)
{
    unsigned both = ed_suites_offered(config) & offered;

    if ((both >> ED_AEAD_AES256 & 1) != 0)
        return ED_AEAD_AES256; // in hardware, and two to three times faster
    return (both >> ED_AEAD_CHACHA20 & 1) != 0 ? ED_AEAD_CHACHA20 : 0;
}

/** The key of a secret; and the mask, if it is asked for. */
static void make_key(ed_key *key, uint8_t *mask, const uint8_t secret[ED_KEY_SIZE])
{
    uint8_t made[MADE_SIZE];

    ed_blake2b(made, sizeof(made), "eddy keys", 9, secret, ED_KEY_SIZE);
    memcpy(key->key, made, ED_KEY_SIZE);
    memcpy(key->iv, made + ED_KEY_SIZE, ED_AEAD_NONCE_SIZE);
    if (mask != NULL)
        memcpy(mask, made + ED_KEY_SIZE + ED_AEAD_NONCE_SIZE, ED_MAC_KEY_SIZE);
    ed_wipe(made, sizeof(made));
}

/** One way: who learns a secret knows nothing of those before it. */
static void next_secret(uint8_t secret[ED_KEY_SIZE], const uint8_t from[ED_KEY_SIZE])
{
    uint8_t next[ED_KEY_SIZE];

    ed_blake2b(next, sizeof(next), "eddy next", 9, from, ED_KEY_SIZE);
    memcpy(secret, next, sizeof(next));
    ed_wipe(next, sizeof(next));
}

static void start(ed_ratchet *ratchet, const uint8_t secret[ED_KEY_SIZE])
{
    make_key(&ratchet->key, ratchet->mask, secret);
    next_secret(ratchet->secret, secret);
}

void ed_keys_init(ed_keys *keys, ed_aead aead, const uint8_t send_secret[ED_KEY_SIZE],
                  const uint8_t receive_secret[ED_KEY_SIZE], uint64_t now_ns)
{
    *keys = (ed_keys){.aead = aead, .send_since_ns = now_ns, .update_packets = ED_KEY_PACKETS};
    start(&keys->send, send_secret);
    start(&keys->receive, receive_secret);
    make_key(&keys->next, NULL, keys->receive.secret);
}

/* ------------------------------------------------------------------------------------ updates --
 */

static void update_send(ed_keys *keys, uint64_t number, uint64_t now_ns)
{
    make_key(&keys->send.key, NULL, keys->send.secret);
    ed_keylog_send(keys, keys->send.secret);
    next_secret(keys->send.secret, keys->send.secret);
    keys->send_phase = !keys->send_phase;
    keys->send_first = number;
    keys->send_since_ns = now_ns;
    keys->is_confirmed = false;
}

static void update_receive(ed_keys *keys, uint64_t number, uint64_t pto_ns, uint64_t now_ns)
{
    keys->previous = keys->receive.key;
    keys->previous_until_ns = ed_add_sat_u64(now_ns, UPDATE_PTOS * pto_ns);
    keys->receive.key = keys->next;
    ed_keylog_receive(keys, keys->receive.secret);
    next_secret(keys->receive.secret, keys->receive.secret);
    make_key(&keys->next, NULL, keys->receive.secret);
    keys->receive_phase = !keys->receive_phase;
    keys->receive_first = number;
    keys->update_not_before_ns = keys->previous_until_ns;
}

void ed_keys_update(ed_keys *keys, uint64_t number, uint64_t pto_ns, uint64_t now_ns)
{
    bool is_time = number - keys->send_first >= keys->update_packets ||
                   now_ns - keys->send_since_ns >= ED_KEY_LIFE_NS;
    // The peer has followed the last update, and packets from before it are no longer on the way.
    bool may = keys->send_phase == keys->receive_phase && keys->is_confirmed &&
               now_ns >= keys->update_not_before_ns;

    if (keys->previous_until_ns != 0 && now_ns >= keys->previous_until_ns) {
        ed_wipe(&keys->previous, sizeof(keys->previous));
        keys->previous_until_ns = 0;
    }
    if (!is_time || !may)
        return;
    update_send(keys, number, now_ns);
    keys->update_not_before_ns = ed_add_sat_u64(now_ns, UPDATE_PTOS * pto_ns);
}

bool ed_keys_may_seal(const ed_keys *keys, uint64_t number)
{
    return number - keys->send_first < ED_KEY_PACKETS_MAX;
}

void ed_keys_on_acked(ed_keys *keys, uint64_t number)
{
    keys->is_confirmed |= number >= keys->send_first;
}

/* ------------------------------------------------------------------------------------- packets --
 */

static void nonce_of(uint8_t nonce[ED_AEAD_NONCE_SIZE], const ed_key *key, uint64_t number)
{
    uint8_t *end = nonce + ED_AEAD_NONCE_SIZE - sizeof(number);

    memcpy(nonce, key->iv, ED_AEAD_NONCE_SIZE);
    ed_store_u64(end, ed_load_u64(end) ^ number);
}

/** Five bytes: for the first byte of a packet, and for up to four of its number. */
static void mask_of(uint8_t mask[ED_MAC_SIZE], const uint8_t key[ED_MAC_KEY_SIZE],
                    const uint8_t *data, size_t number_at)
{
    ed_mac(mask, key, data + number_at + ED_MASK_SAMPLE_AT, ED_MAC_SIZE);
}

static void mask_number(uint8_t *data, size_t number_at, size_t number_size, const uint8_t *mask)
{
    for (size_t i = 0; i < number_size; i++)
        data[number_at + i] ^= mask[1 + i];
}

void ed_keys_seal(const ed_keys *keys, uint64_t number, uint8_t *data, size_t number_at,
                  size_t header_size, size_t size)
{
    uint8_t nonce[ED_AEAD_NONCE_SIZE];
    uint8_t mask[ED_MAC_SIZE];

    ED_ASSERT(number_at < header_size && header_size <= size);
    ED_ASSERT(number_at + ED_MASK_SAMPLE_AT + ED_MAC_SIZE <= size + ED_TAG_SIZE);
    nonce_of(nonce, &keys->send.key, number);
    ed_nonce_used(keys->send.key.key, number, data, size);
    ed_aead_seal(keys->aead, keys->send.key.key, nonce, data, header_size, data + header_size,
                 size - header_size);
    mask_of(mask, keys->send.mask, data, number_at);
    data[0] ^= mask[0] & FIRST_MASKED;
    mask_number(data, number_at, header_size - number_at, mask);
}

bool ed_keys_unmask(const ed_keys *keys, uint8_t *data, size_t number_at, size_t size)
{
    uint8_t mask[ED_MAC_SIZE];

    if (size < number_at + ED_MASK_SAMPLE_AT + ED_MAC_SIZE)
        return false;
    mask_of(mask, keys->receive.mask, data, number_at);
    data[0] ^= mask[0] & FIRST_MASKED;
    mask_number(data, number_at, (data[0] & NUMBER_SIZE_BITS) + 1u, mask);
    return true;
}

static bool open_with(const ed_keys *keys, const ed_key *key, uint64_t number, uint8_t *data,
                      size_t header_size, size_t size)
{
    uint8_t nonce[ED_AEAD_NONCE_SIZE];

    nonce_of(nonce, key, number);
    return ed_aead_open(keys->aead, key->key, nonce, data, header_size, data + header_size,
                        size - header_size);
}

/** Which of three keys: of another phase, an older number is the previous one's. */
static const ed_key *key_of(const ed_keys *keys, bool phase, uint64_t number, uint64_t now_ns)
{
    if (phase == keys->receive_phase)
        return &keys->receive.key;
    if (number < keys->receive_first && now_ns < keys->previous_until_ns)
        return &keys->previous;
    return &keys->next;
}

bool ed_keys_open(ed_keys *keys, bool phase, uint64_t number, uint8_t *data, size_t header_size,
                  size_t size, uint64_t send_number, uint64_t pto_ns, uint64_t now_ns)
{
    if (size < header_size + ED_TAG_SIZE)
        return false;
    const ed_key *key = key_of(keys, phase, number, now_ns);
    if (!SEC_CHECK(EDDY_CHECK_PACKET_SEAL, open_with(keys, key, number, data, header_size, size))) {
        keys->forged_count++;
        return false;
    }
    if (key == &keys->receive.key)
        keys->receive_first = ed_min_u64(keys->receive_first, number);
    if (key != &keys->next)
        return true;
    update_receive(keys, number, pto_ns, now_ns);
    if (keys->send_phase != keys->receive_phase)
        update_send(keys, send_number, now_ns); // the peer began: we follow
    return true;
}
