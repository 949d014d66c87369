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

/** Writes the low `size` bytes of the value, 1-8: for a size that is not one of those below. */
static inline void ed_write_uint(ed_writer *w, uint64_t value, size_t size)
{
    uint8_t *at = ed_write_reserve(w, size);
    for (size_t i = 0; at != NULL && i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* Little-endian numbers, written out: a compiler makes one store of each, but none of a loop. */

static inline void ed_store_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static inline void ed_store_u32(uint8_t *at, uint32_t value)
{
    ed_store_u16(at, (uint16_t)value);
    ed_store_u16(at + 2, (uint16_t)(value >> 16));
}

static inline void ed_store_u64(uint8_t *at, uint64_t value)
{
    ed_store_u32(at, (uint32_t)value);
    ed_store_u32(at + 4, (uint32_t)(value >> 32));
}

static inline void ed_write_u8(ed_writer *w, uint8_t value)
{
    uint8_t *at = ed_write_reserve(w, 1);
    if (at != NULL)
        *at = value;
}

static inline void ed_write_u16(ed_writer *w, uint16_t value)
{
    uint8_t *at = ed_write_reserve(w, 2);
    if (at != NULL)
        ed_store_u16(at, value);
}

static inline void ed_write_u32(ed_writer *w, uint32_t value)
{
    uint8_t *at = ed_write_reserve(w, 4);
    if (at != NULL)
        ed_store_u32(at, value);
}

static inline void ed_write_u64(ed_writer *w, uint64_t value)
{
    uint8_t *at = ed_write_reserve(w, 8);
    if (at != NULL)
        ed_store_u64(at, value);
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

    if (size == 1)
        ed_write_u8(w, (uint8_t)(value << 2));
    else if (size == 2)
        ed_write_u16(w, (uint16_t)(value << 2 | 1));
    else if (size == 4)
        ed_write_u32(w, (uint32_t)(value << 2 | 2));
    else
        ed_write_u64(w, value << 2 | 3);
}

#endif
