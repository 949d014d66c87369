/**
 * Packet protection: PROTOCOL.md section 2. Each direction has a secret; from it come the key that
 * seals, the key that masks the header, and the next secret. Keys change while a connection goes on
 * (RFC 9001 section 6 has the idea): the phase bit of a packet says which of two it is sealed with.
 */
#ifndef ED_PROTECT_H
#define ED_PROTECT_H

#include "core/crypto.h"
#include "transport/keylog.h"
#include "transport/limits.h"

/** The suites of this machine that the configuration allows, as INITIATE's mask. */
uint8_t ed_suites_offered(const eddy_config *config);

/** The best of those that we and the other end have, as an ed_aead; 0: none. */
uint8_t ed_suite_choose(const eddy_config *config, uint8_t offered);

static inline bool ed_suite_is_offered(const eddy_config *config, uint8_t suite)
{
    return suite < 8 && (ed_suites_offered(config) >> suite & 1) != 0;
}

/** One direction's key of one phase. */
typedef struct ed_key {
    uint8_t key[ED_KEY_SIZE];
    uint8_t iv[ED_AEAD_NONCE_SIZE];
} ed_key;

/** What a direction goes on with. */
typedef struct ed_ratchet {
    ed_key key;                    /* of now */
    uint8_t mask[ED_MAC_KEY_SIZE]; /* the header's: the same in all phases */
    uint8_t secret[ED_KEY_SIZE];   /* that the next key is made of */
} ed_ratchet;

/** A connection's keys. Secret; to be wiped. */
typedef struct ed_keys {
    /* What each packet touches, side by side: */
    ed_aead aead;
    bool send_phase;
    bool receive_phase;
    bool is_confirmed;          /* the peer has acknowledged a packet of this phase */
    uint64_t receive_first;     /* the lowest that came in this phase */
    uint64_t previous_until_ns; /* 0: there is none */
    uint64_t send_first;        /* the first number that was sent in this phase */
    uint64_t send_since_ns;
    uint64_t update_not_before_ns;
    uint64_t update_packets; /* ED_KEY_PACKETS, less in tests */
    ed_ratchet receive;
    ed_ratchet send;
    /* And what few touch: */
    ed_key next;     /* of what is received, made ahead so that an update shows in no time taken */
    ed_key previous; /* for packets that are late */
    uint64_t forged_count;
#ifdef ED_KEYLOG
    ed_keylog log;
#endif
} ed_keys;

void ed_keys_init(ed_keys *keys, ed_aead aead, const uint8_t send_secret[ED_KEY_SIZE],
                  const uint8_t receive_secret[ED_KEY_SIZE], uint64_t now_ns);

/** Takes new keys before packet `number` is written, if it is time and the peer keeps up. */
void ed_keys_update(ed_keys *keys, uint64_t number, uint64_t pto_ns, uint64_t now_ns);

/** Whether `number` may be sealed with the key of now. */
bool ed_keys_may_seal(const ed_keys *keys, uint64_t number);

/** The peer has acknowledged `number`. */
void ed_keys_on_acked(ed_keys *keys, uint64_t number);

/**
 * Seals `data[header_size .. size)` in place, appends the tag and masks the header, whose number
 * begins at `number_at`. `data` has room for ED_TAG_SIZE more bytes. A number is used once.
 */
void ed_keys_seal(const ed_keys *keys, uint64_t number, uint8_t *data, size_t number_at,
                  size_t header_size, size_t size);

/** Takes the mask off a packet's header. @return false if there is nothing to sample. */
EDDY_MUST_CHECK bool ed_keys_unmask(const ed_keys *keys, uint8_t *data, size_t number_at,
                                    size_t size);

/**
 * Opens in place; `size` includes the tag. A packet of the next phase makes that the present one,
 * here and for what is sent.
 * @param send_number the next number to be sent.
 * @return false, with the contents undefined, if it is not authentic.
 */
EDDY_MUST_CHECK bool ed_keys_open(ed_keys *keys, bool phase, uint64_t number, uint8_t *data,
                                  size_t header_size, size_t size, uint64_t send_number,
                                  uint64_t pto_ns, uint64_t now_ns);

#endif
