#include "transport/protect.h"

#include <string.h>

#include "core/writer.h"

enum {
    LABEL_SIZE = 16,
    MATERIAL_SIZE = LABEL_SIZE + ED_NONCE_SIZE + 2 * ED_EPHEMERAL_SIZE,
};

static void derive(uint8_t *out, size_t size, const char *label, const uint8_t *nonce,
                   const uint8_t *client_ephemeral, const uint8_t *server_ephemeral)
{
    static const uint8_t no_ephemeral[ED_EPHEMERAL_SIZE];
    uint8_t material[MATERIAL_SIZE];
    uint8_t padded[LABEL_SIZE] = {0};
    ed_writer w = ed_writer_of(material, sizeof(material));

    ED_ASSERT(strlen(label) <= LABEL_SIZE);
    memcpy(padded, label, strlen(label));
    ed_write_bytes(&w, padded, sizeof(padded));
    ed_write_bytes(&w, nonce, ED_NONCE_SIZE);
    ed_write_bytes(&w, client_ephemeral, ED_EPHEMERAL_SIZE);
    ed_write_bytes(&w, server_ephemeral != NULL ? server_ephemeral : no_ephemeral,
                   ED_EPHEMERAL_SIZE);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == 0);
    ed_blake2b(out, size, material, sizeof(material), NULL, 0);
}

ed_key ed_protect_accept_key(const uint8_t client_nonce[ED_NONCE_SIZE],
                             const uint8_t client_ephemeral[ED_EPHEMERAL_SIZE])
{
    ed_key key;
    derive(key.mac_key, sizeof(key.mac_key), "eddy null accept", client_nonce, client_ephemeral,
           NULL);
    return key;
}

ed_keys ed_protect_packet_keys(const uint8_t client_nonce[ED_NONCE_SIZE],
                               const uint8_t client_ephemeral[ED_EPHEMERAL_SIZE],
                               const uint8_t server_ephemeral[ED_EPHEMERAL_SIZE])
{
    uint8_t both[2 * ED_MAC_KEY_SIZE];
    ed_keys keys;

    derive(both, sizeof(both), "eddy null packet", client_nonce, client_ephemeral,
           server_ephemeral);
    memcpy(keys.packet[ED_TO_SERVER].mac_key, both, ED_MAC_KEY_SIZE);
    memcpy(keys.packet[ED_TO_CLIENT].mac_key, both + ED_MAC_KEY_SIZE, ED_MAC_KEY_SIZE);
    ed_wipe(both, sizeof(both));
    return keys;
}

/** The tag covers the whole number, of which the header carries only the low bytes. */
static void tag_of(uint8_t tag[ED_TAG_SIZE], const ed_key *key, uint64_t number,
                   const uint8_t *data, size_t size)
{
    uint8_t numbered[ED_MAC_KEY_SIZE];

    memcpy(numbered, key->mac_key, sizeof(numbered));
    for (size_t i = 0; i < sizeof(number); i++)
        numbered[i] ^= (uint8_t)(number >> 8 * i);
    ed_mac(tag, numbered, data, size);
}

void ed_protect_seal(const ed_key *key, uint64_t number, uint8_t *data, size_t header_size,
                     size_t size)
{
    ED_ASSERT(header_size <= size);
    tag_of(data + size, key, number, data, size);
}

bool ed_protect_open(const ed_key *key, uint64_t number, uint8_t *data, size_t header_size,
                     size_t size)
{
    uint8_t tag[ED_TAG_SIZE];

    if (size < header_size + ED_TAG_SIZE)
        return false;
    tag_of(tag, key, number, data, size - ED_TAG_SIZE);
    return ed_equal_secret(tag, data + size - ED_TAG_SIZE, ED_TAG_SIZE);
}
