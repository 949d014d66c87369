/**
 * A cursor that writes bytes in little-endian order and cannot pass the end. The first failure
 * sticks and writes nothing, so a caller checks once, at the end.
 */
#ifndef ED_WRITER_H
#define ED_WRITER_H

#include <string.h>

#include "core/base.h"
#include "core/reader.h"

typedef struct ed_writer {
    uint8_t *begin;
    uint8_t *at;
    uint8_t *end;
    bool failed;
} ed_writer;

static inline ed_writer ed_writer_of(void *data, size_t size)
{
    ED_ASSERT(data != NULL || size == 0);
    uint8_t *at = data;
    return (ed_writer){.begin = at, .at = at, .end = size == 0 ? at : at + size, .failed = false};
}

static inline size_t ed_writer_size(const ed_writer *w)
{
    return w->at == w->begin ? 0 : (size_t)(w->at - w->begin);
}

static inline size_t ed_writer_left(const ed_writer *w)
{
    return w->at == w->end || w->failed ? 0 : (size_t)(w->end - w->at);
}

static inline bool ed_writer_ok(const ed_writer *w)
{
    return !w->failed;
}

/** Sets `size` bytes aside to be filled in; NULL, and failure, if there is no room. */
static inline uint8_t *ed_write_reserve(ed_writer *w, size_t size)
{
    if (w->failed || size > ed_writer_left(w)) {
        w->failed = true;
        return NULL;
    }
    uint8_t *at = w->at;
    w->at = size == 0 ? at : at + size;
    return at;
}

static inline void ed_write_bytes(ed_writer *w, const void *data, size_t size)
{
    uint8_t *at = ed_write_reserve(w, size);
    if (at != NULL && size > 0)
        memcpy(at, data, size);
}

static inline void ed_write_zeros(ed_writer *w, size_t size)
{
    uint8_t *at = ed_write_reserve(w, size);
    for (size_t i = 0; at != NULL && i < size; i++)
        at[i] = 0;
}

/** Writes the low `size` bytes of the value, 1-8. */
static inline void ed_write_uint(ed_writer *w, uint64_t value, size_t size)
{
    uint8_t *at = ed_write_reserve(w, size);
    for (size_t i = 0; at != NULL && i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static inline void ed_write_u8(ed_writer *w, uint8_t value)
{
    ed_write_uint(w, value, 1);
}

static inline void ed_write_u16(ed_writer *w, uint16_t value)
{
    ed_write_uint(w, value, 2);
}

static inline void ed_write_u32(ed_writer *w, uint32_t value)
{
    ed_write_uint(w, value, 4);
}

static inline void ed_write_u64(ed_writer *w, uint64_t value)
{
    ed_write_uint(w, value, 8);
}

/** The size of a value as a varint: 1, 2, 4 or 8. */
static inline size_t ed_varint_size(uint64_t value)
{
    return value < UINT64_C(1) << 6    ? 1
           : value < UINT64_C(1) << 14 ? 2
           : value < UINT64_C(1) << 30 ? 4
                                       : 8;
}

/** Writes the shortest form that ed_read_varint accepts. `value` is at most ED_VARINT_MAX. */
static inline void ed_write_varint(ed_writer *w, uint64_t value)
{
    ED_ASSERT(value <= ED_VARINT_MAX);
    size_t size = ed_varint_size(value);
    unsigned log2_size = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
    ed_write_uint(w, value << 2 | log2_size, size);
}

#endif
