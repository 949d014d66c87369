/**
 * A cursor that reads bytes in little-endian order and cannot pass the end. The first failure
 * sticks; every later read gives zeros and empty spans, and `left` is 0, so that loops end.
 */
#ifndef ED_READER_H
#define ED_READER_H

#include <string.h>

#include "core/base.h"

typedef struct ed_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
} ed_reader;

static inline ed_reader ed_reader_of(const void *data, size_t size)
{
    const uint8_t *at = data;
    return (ed_reader){.at = at, .end = size == 0 ? at : at + size, .failed = false};
}

static inline size_t ed_reader_left(const ed_reader *r)
{
    return r->at == r->end ? 0 : (size_t)(r->end - r->at);
}

static inline bool ed_reader_ok(const ed_reader *r)
{
    return !r->failed;
}

/** Refuses everything from here on. */
static inline void ed_reader_fail(ed_reader *r)
{
    r->failed = true;
    r->at = r->end; // nothing is left, so `while (left)` loops end even on bad input
}

/** Takes `size` bytes; an empty span, and failure, if there are fewer. */
static inline ed_span ed_read_bytes(ed_reader *r, size_t size)
{
    ed_span span = {.data = r->at, .size = size};

    if (r->failed || size > ed_reader_left(r)) {
        ed_reader_fail(r);
        return (ed_span){.data = r->end, .size = 0};
    }
    r->at = size == 0 ? r->at : r->at + size;
    return span;
}

/** The same into `to`, which has room for them; it is untouched if there are fewer. */
static inline void ed_read_into(ed_reader *r, void *to, size_t size)
{
    ed_span span = ed_read_bytes(r, size);

    if (span.size > 0)
        memcpy(to, span.data, span.size);
}

/** Takes a little-endian number of `size` bytes, 1-8. */
static inline uint64_t ed_read_uint(ed_reader *r, size_t size)
{
    ed_span span = ed_read_bytes(r, size);
    uint64_t value = 0;

    for (size_t i = span.size; i > 0; i--)
        value = value << 8 | span.data[i - 1];
    return value;
}

static inline uint8_t ed_read_u8(ed_reader *r)
{
    return (uint8_t)ed_read_uint(r, 1);
}

static inline uint16_t ed_read_u16(ed_reader *r)
{
    return (uint16_t)ed_read_uint(r, 2);
}

static inline uint32_t ed_read_u32(ed_reader *r)
{
    return (uint32_t)ed_read_uint(r, 4);
}

static inline uint64_t ed_read_u64(ed_reader *r)
{
    return ed_read_uint(r, 8);
}

#define ED_VARINT_MAX ((UINT64_C(1) << 62) - 1)

/**
 * Takes a variable-length integer of 1, 2, 4 or 8 bytes: the two low bits of the first byte say
 * which, the rest is the value, little-endian. Only the shortest form is accepted.
 */
static inline uint64_t ed_read_varint(ed_reader *r)
{
    if (ed_reader_left(r) == 0) {
        ed_reader_fail(r);
        return 0;
    }
    unsigned log2_size = *r->at & 3u;
    uint64_t value = ed_read_uint(r, (size_t)1 << log2_size) >> 2;
    if (log2_size > 0 && value >> ((8u << (log2_size - 1)) - 2) == 0)
        ed_reader_fail(r); // a shorter form would have held it
    return ed_reader_ok(r) ? value : 0;
}

#endif
