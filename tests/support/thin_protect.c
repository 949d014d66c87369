/**
 * What stands in for the ciphers of packets where a fuzz target is to be fast: damage is seen, and
 * nothing is hidden. The linker puts it in its place (--wrap, in tests/SConscript).
 */
#include <string.h>

#include "core/base.h"
#include "core/crypto.h"

/* As they are declared, or this does not compile. */
__typeof__(ed_aead_seal) __wrap_ed_aead_seal;
__typeof__(ed_aead_open) __wrap_ed_aead_open;

static uint64_t mix(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return sum ^ sum >> 32;
}

static uint64_t word_at(const uint8_t *data)
{
    uint64_t word = 0;

    memcpy(&word, data, sizeof(word));
    return word;
}

/** No secret goes in, but every bit does, and each changes about half of those that come out. */
static uint64_t sum_of(uint64_t number, const uint8_t *data, size_t size)
{
    enum { STEP = 4 * sizeof(uint64_t) };
    uint64_t sums[4] = {number, size, 1, 2}; // side by side, as one waits for its product

    for (; size >= STEP; size -= STEP, data += STEP)
        for (size_t i = 0; i < 4; i++)
            sums[i] = mix(sums[i], word_at(data + i * sizeof(uint64_t)));
    for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), data += sizeof(uint64_t))
        sums[0] = mix(sums[0], word_at(data));
    for (; size > 0; size--)
        sums[0] = mix(sums[0], *data++);
    return mix(mix(sums[0], sums[1]), mix(sums[2], sums[3]));
}

/** The tag: it says the nonce, the header and the data. */
static void tag_of(uint64_t tag[2], const uint8_t *nonce, const void *header, size_t header_size,
                   const uint8_t *data, size_t size)
{
    tag[0] = sum_of(sum_of(0, nonce, ED_AEAD_NONCE_SIZE), header, header_size);
    tag[1] = sum_of(tag[0], data, size);
    static_assert(ED_AEAD_TAG_SIZE == 2 * sizeof(tag[0]), "nothing else has room");
}

void __wrap_ed_aead_seal(ed_aead aead, const uint8_t key[ED_KEY_SIZE],
                         const uint8_t nonce[ED_AEAD_NONCE_SIZE], const void *header,
                         size_t header_size, uint8_t *data, size_t size)
{
    uint64_t tag[2];

    (void)aead;
    (void)key;
    tag_of(tag, nonce, header, header_size, data, size);
    memcpy(data + size, tag, sizeof(tag));
}

bool __wrap_ed_aead_open(ed_aead aead, const uint8_t key[ED_KEY_SIZE],
                         const uint8_t nonce[ED_AEAD_NONCE_SIZE], const void *header,
                         size_t header_size, uint8_t *data, size_t size)
{
    uint64_t tag[2];

    (void)aead;
    (void)key;
    if (size < sizeof(tag))
        return false;
    size -= sizeof(tag);
    tag_of(tag, nonce, header, header_size, data, size);
    return memcmp(data + size, tag, sizeof(tag)) == 0;
}
