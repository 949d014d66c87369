/** Two ends that have keys, and packets between them. */
#ifndef ED_TEST_PROTECT_BED_H
#define ED_TEST_PROTECT_BED_H

#include "core/base.h"
#include "core/seq.h"
#include "tests/support/check.h"
#include "transport/nonce.h"
#include "transport/packet.h"
#include "transport/protect.h"

enum {
    SEALED_ID = 0x0a0b0c0d,
    SEALED_PLAIN_SIZE = 40,
    SEALED_SIZE_MAX = ED_PACKET_HEADER_SIZE_MAX + SEALED_PLAIN_SIZE + ED_TAG_SIZE,
};

static const ed_aead protect_aeads[] = {ED_AEAD_CHACHA20, ED_AEAD_AES256};
static const char *const protect_names[] = {"ChaCha20-Poly1305", "AES-256-GCM"};

struct protect_ends {
    ed_keys client;
    ed_keys server;
};

/** A packet as it travels. */
struct protect_packet {
    uint8_t data[SEALED_SIZE_MAX];
    size_t size;
    bool from_client;
};

/** @return false if this machine has no such cipher. */
static inline bool protect_init(struct protect_ends *ends, ed_aead aead, uint64_t now_ns)
{
    static const uint8_t to_server[ED_KEY_SIZE] = {1, 2, 3}, to_client[ED_KEY_SIZE] = {4, 5, 6};

    ed_nonce_forget();
    if (!ed_aead_available(aead))
        return false;
    ed_keys_init(&ends->client, aead, to_server, to_client, now_ns);
    ed_keys_init(&ends->server, aead, to_client, to_server, now_ns);
    return true;
}

/** What packet `number` says: of each number something else. */
static inline void protect_plain(uint8_t plain[SEALED_PLAIN_SIZE], uint64_t number)
{
    for (size_t i = 0; i < SEALED_PLAIN_SIZE; i++)
        plain[i] = (uint8_t)(number * 7 + i * 3);
}

static inline struct protect_packet protect_seal(const ed_keys *keys, bool from_client,
                                                 uint64_t number, uint8_t number_size)
{
    struct protect_packet p = {.from_client = from_client};
    ed_packet header = {.from_client = from_client,
                        .phase = keys->send_phase,
                        .number_size = number_size,
                        .id = SEALED_ID,
                        .number = number};
    size_t header_size = ed_packet_write(&header, p.data);

    protect_plain(p.data + header_size, number);
    p.size = header_size + SEALED_PLAIN_SIZE + ED_TAG_SIZE;
    ed_keys_seal(keys, number, p.data, header.number_at, header_size, p.size - ED_TAG_SIZE);
    return p;
}

/** What a receiver is, and when it receives. */
struct protect_reader {
    ed_keys *keys;
    uint64_t expected;    /* the next packet number */
    uint64_t send_number; /* the next of its own */
    uint64_t pto_ns;
    uint64_t now_ns;
};

/** As a connection takes a packet. @return whether it is authentic; what it says is then right. */
static inline bool protect_open(const struct protect_reader *reader, struct protect_packet p)
{
    uint8_t plain[SEALED_PLAIN_SIZE];
    size_t number_at = p.from_client ? 1 + ED_PACKET_ID_SIZE : 1;
    ed_packet header;

    if (!ed_keys_unmask(reader->keys, p.data, number_at, p.size) ||
        ed_packet_parse(&header, p.data, p.size) != EDDY_OK || header.from_client != p.from_client)
        return false;
    uint64_t number = ed_seq_expand(reader->expected, header.number, 8u * header.number_size);
    if (!ed_keys_open(reader->keys, header.phase, number, p.data, header.header_size, p.size,
                      reader->send_number, reader->pto_ns, reader->now_ns))
        return false;
    protect_plain(plain, number);
    CHECK_EQ("size", p.size - header.header_size - ED_TAG_SIZE, SEALED_PLAIN_SIZE);
    CHECK_BYTES("contents", p.data + header.header_size, plain, SEALED_PLAIN_SIZE);
    return true;
}

#endif
