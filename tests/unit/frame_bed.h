/** Frames as bytes, for the tests that read them one at a time. */
#ifndef ED_TEST_FRAME_BED_H
#define ED_TEST_FRAME_BED_H

#include "core/base.h"
#include "tests/support/check.h"
#include "transport/frame.h"

#define BYTES(...)                                                                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

enum { TEXT_MAX = 48 };

/** Bytes of a frame as a row gives them. */
struct bytes {
    const char *name;
    bool is_good;
    size_t size;
    uint8_t data[TEXT_MAX];
};

/**
 * Reads the first frame of a packet from a copy in memory of its own size, so that a sanitizer sees
 * a step too far.
 * `*left`: what was not taken.
 */
static inline eddy_status read_copy(const uint8_t *data, size_t size, ed_frame *frame, size_t *left)
{
    static uint8_t kept[2048]; // spans of the frame point here afterwards
    uint8_t *copy = test_malloc(size + 1);

    memcpy(copy + 1, data, size);
    ed_reader r = ed_reader_of(copy + 1, size);
    frame->type = ED_FRAME_PADDING;
    eddy_status status = ed_frame_read(&r, frame);
    *left = ed_reader_left(&r);
    if (status == EDDY_OK && frame->type == ED_FRAME_MESSAGE) {
        ED_ASSERT(frame->message.data.size <= sizeof(kept));
        if (frame->message.data.size > 0)
            memcpy(kept, frame->message.data.data, frame->message.data.size);
        frame->message.data.data = kept;
    }
    test_free(copy);
    return status;
}

static inline void check_same(const ed_message_frame *got, const ed_message_frame *want)
{
    CHECK_EQ("guarantee", got->guarantee, want->guarantee);
    CHECK_EQ("stream", got->stream, want->stream);
    CHECK_EQ("bits", got->sequence_bits, want->sequence_bits);
    CHECK_EQ("sequence", got->sequence, want->sequence);
    CHECK_EQ("fragment", got->fragment, want->fragment);
    CHECK_EQ("whole", got->whole_size, want->whole_size);
    CHECK_EQ("index", got->fragment_index, want->fragment_index);
    CHECK_EQ("size", got->data.size, want->data.size);
    CHECK_BYTES("data", got->data.data, want->data.data, want->data.size);
}

static inline void check_rows(const struct bytes *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ed_frame frame;
        size_t left = 0;
        eddy_status got = read_copy(rows[i].data, rows[i].size, &frame, &left);
        CHECK_EQ(rows[i].name, got == EDDY_OK, rows[i].is_good);
        if (got == EDDY_OK)
            CHECK_EQ(rows[i].name, left, 0);
    }
}

#endif
