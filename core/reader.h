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

/** Takes a little-endian number of `size` bytes, 1-8: of a size that is not one of those below. */
static inline uint64_t ed_read_uint(ed_reader *r, size_t size)
{
    ed_span span = ed_read_bytes(r, size);
    uint64_t value = 0;

    for (size_t i = span.size; i > 0; i--)
        value = value << 8 | span.data[i - 1];
    return value;
}

/* Little-endian numbers, written out: a compiler makes one load of each, but none of a loop. */

static inline uint16_t ed_load_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t ed_load_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t ed_load_u64(const uint8_t *at)
{
    return ed_load_u32(at) | (uint64_t)ed_load_u32(at + 4) << 32;
}

static inline uint8_t ed_read_u8(ed_reader *r)
{
    ed_span span = ed_read_bytes(r, 1);
    return span.size == 0 ? 0 : span.data[0];
}

static inline uint16_t ed_read_u16(ed_reader *r)
{
    ed_span span = ed_read_bytes(r, 2);
    return span.size == 0 ? 0 : ed_load_u16(span.data);
}

static inline uint32_t ed_read_u32(ed_reader *r)
{
    ed_span span = ed_read_bytes(r, 4);
    return span.size == 0 ? 0 : ed_load_u32(span.data);
}

static inline uint64_t ed_read_u64(ed_reader *r)
{
    ed_span span = ed_read_bytes(r, 8);
    return span.size == 0 ? 0 : ed_load_u64(span.data);
}

#define ED_VARINT_MAX ((UINT64_C(1) << 62) - 1)

/** Takes a number of 1, 2, 4 or 8 bytes. */
static inline uint64_t ed_read_log2(ed_reader *r, unsigned log2_size)
{
    return log2_size == 0   ? ed_read_u8(r)
           : log2_size == 1 ? ed_read_u16(r)
           : log2_size == 2 ? ed_read_u32(r)
                            : ed_read_u64(r);
}

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
    uint64_t value = ed_read_log2(r, log2_size) >> 2;
    if (log2_size > 0 && value >> ((8u << (log2_size - 1)) - 2) == 0)
        ed_reader_fail(r); // a shorter form would have held it
    return ed_reader_ok(r) ? value : 0;
}

#endif
