/**
 * What stands in for packet protection where a fuzz target is to be fast: damage is seen, and
 * nothing is hidden. The linker puts it in its place (--wrap, in tests/SConscript).
 */
#include <string.h>

#include "transport/protect.h"

/* As they are declared, or this does not compile. */
__typeof__(ed_protect_seal) __wrap_ed_protect_seal;
__typeof__(ed_protect_open) __wrap_ed_protect_open;

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

void __wrap_ed_protect_seal(const ed_key *key, uint64_t number, uint8_t *data, size_t header_size,
                            size_t size)
{
    uint64_t sum = sum_of(number, data, size);

    (void)key;
    (void)header_size;
    static_assert(ED_TAG_SIZE == 2 * sizeof(sum), "it stands there twice");
    memcpy(data + size, &sum, sizeof(sum));
    memcpy(data + size + sizeof(sum), &sum, sizeof(sum));
}

bool __wrap_ed_protect_open(const ed_key *key, uint64_t number, uint8_t *data, size_t header_size,
                            size_t size)
{
    uint64_t sum = 0;

    (void)key;
    if (size < header_size + ED_TAG_SIZE)
        return false;
    size -= ED_TAG_SIZE;
    sum = sum_of(number, data, size);
    return memcmp(&sum, data + size, sizeof(sum)) == 0 &&
           memcmp(&sum, data + size + sizeof(sum), sizeof(sum)) == 0;
}
