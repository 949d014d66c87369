#include "transport/frame.h"

#include "transport/check.h"
#include "transport/conn_state.h"

enum {
    MESSAGE_BIT = 0x80,
    GUARANTEE_SHIFT = 4,
    GUARANTEE_MASK = 0x07,
    BIT_LENGTH = 0x08,
    BIT_STREAM = 0x04,
    BIT_WIDE = 0x02,
    BIT_FRAGMENT = 0x01,
    FIRST_NEXT = 0xf0, /* from here on a message follows the one before it, and the bits are: */
    NEXT_FORM = 0x0f,  /* none, BIT_LENGTH, or */
    BIT_EQUAL = 0x04,  /* its size is that of the one before */
    TIME_QUESTION = 0,
    TIME_ANSWER = 1,
    GAP_MIN = 2, /* two ranges are at least this far apart, or they would be one */
};

#define OPEN_STATES (ED_IN(ED_CONN_CONNECTED) | ED_IN(ED_CONN_FLUSHING))
#define NO_STATES 0u /* decided, and not in use yet: a violation wherever it arrives */

const ed_frame_rule ed_frame_rules[ED_FRAME_TYPE_COUNT] = {
    [ED_FRAME_PADDING] = {"PADDING", OPEN_STATES, false},
    [ED_FRAME_PING] = {"PING", OPEN_STATES, true},
    // While we say CLOSE, too: what has arrived must not be reported as undelivered.
    [ED_FRAME_ACK] = {"ACK", OPEN_STATES | ED_IN(ED_CONN_CLOSING), false},
    [ED_FRAME_CREDIT] = {"CREDIT", OPEN_STATES, true},
    [ED_FRAME_SKIP] = {"SKIP", OPEN_STATES, true},
    [ED_FRAME_CLOSE] = {"CLOSE", OPEN_STATES | ED_IN(ED_CONN_CLOSING) | ED_IN(ED_CONN_DRAINING),
                        false},
    [ED_FRAME_PATH_CHALLENGE] = {"PATH_CHALLENGE", OPEN_STATES, true},
    [ED_FRAME_PATH_RESPONSE] = {"PATH_RESPONSE", OPEN_STATES, true},
    [ED_FRAME_NEW_ID] = {"NEW_ID", NO_STATES, true},
    [ED_FRAME_RETIRE_ID] = {"RETIRE_ID", NO_STATES, true},
    [ED_FRAME_TIME] = {"TIME", OPEN_STATES, false},
    [ED_FRAME_TICKET] = {"TICKET", NO_STATES, true},
    [ED_FRAME_MESSAGE] = {"MESSAGE", OPEN_STATES, true},
};

/* --------------------------------------------------------------------------------- reading -- */

static void read_nothing(ed_reader *r, uint8_t first, ed_frame *frame)
{
    (void)r;
    (void)first;
    (void)frame;
}

static void read_padding(ed_reader *r, uint8_t first, ed_frame *frame)
{
    (void)first;
    (void)frame;
    while (ed_reader_left(r) > 0 && *r->at == ED_FRAME_PADDING)
        (void)ed_read_u8(r);
}

static void read_ack(ed_reader *r, uint8_t first, ed_frame *frame)
{
    (void)first;
    ed_ack_frame *ack = &frame->ack;
    uint64_t largest = ed_read_varint(r);
    ack->delay_us = ed_read_varint(r);
    uint64_t more = ed_read_varint(r);
    uint64_t length = ed_read_varint(r);

    // So many are all that there is room for: this is no check that may be switched off.
    if (!SEC_CHECK(EDDY_CHECK_ACK_RANGES, more < ED_ACK_RANGES_MAX && length <= largest &&
                                              largest <= ED_PACKET_NUMBER_LAST) ||
        more >= ED_ACK_RANGES_MAX) {
        ed_reader_fail(r);
        return;
    }
    ack->count = (uint32_t)more + 1;
    ack->range[0] = (ed_range){.first = largest - length, .last = largest};
    for (uint32_t i = 1; i < ack->count && ed_reader_ok(r); i++) {
        uint64_t gap = ed_read_varint(r) + GAP_MIN;
        length = ed_read_varint(r);
        uint64_t above = ack->range[i - 1].first;
        if (!SEC_CHECK(EDDY_CHECK_ACK_RANGES, gap <= above && length <= above - gap)) {
            ed_reader_fail(r);
            return;
        }
        ack->range[i] = (ed_range){.first = above - gap - length, .last = above - gap};
    }
}

static void read_credit(ed_reader *r, uint8_t first, ed_frame *frame)
{
    (void)first;
    frame->credit = ed_read_varint(r);
}

static void read_skip(ed_reader *r, uint8_t first, ed_frame *frame)
{
    (void)first;
    frame->skip.guarantee = ed_read_u8(r);
    frame->skip.stream = ed_read_u8(r);
    frame->skip.sequence = ed_read_u32(r);
    frame->skip.charge = ed_read_varint(r);
    if (!SEC_CHECK(EDDY_CHECK_SKIP_FORM, frame->skip.guarantee >= ED_WIRE_RELIABLE_UNORDERED &&
                                             frame->skip.guarantee < ED_WIRE_GUARANTEE_COUNT &&
                                             frame->skip.charge != 0))
        ed_reader_fail(r);
}

static void read_close(ed_reader *r, uint8_t first, ed_frame *frame)
{
    (void)first;
    ed_close *close = &frame->close;
    close->cause = ed_read_u8(r);
    uint64_t code = ed_read_varint(r);
    uint8_t reason_size = ed_read_u8(r);

    if (!SEC_CHECK(EDDY_CHECK_CLOSE_FORM, close->cause < ED_CLOSE_CAUSE_COUNT &&
                                              code <= UINT32_MAX &&
                                              reason_size < EDDY_REASON_SIZE)) {
        ed_reader_fail(r);
        return;
    }
    ed_span reason = ed_read_bytes(r, reason_size);
    close->code = (uint32_t)code;
    close->reason_size = (uint8_t)reason.size;
    memset(close->reason, 0, sizeof(close->reason));
    if (reason.size > 0)
        memcpy(close->reason, reason.data, reason.size);
}

static void read_path(ed_reader *r, uint8_t first, ed_frame *frame)
{
    (void)first;
    frame->challenge = ed_read_u64(r);
}

static void read_new_id(ed_reader *r, uint8_t first, ed_frame *frame)
{
    (void)first;
    frame->id.sequence = ed_read_varint(r);
    frame->id.id = ed_read_u32(r);
    ed_read_into(r, frame->id.reset_token, sizeof(frame->id.reset_token));
}

static void read_retire_id(ed_reader *r, uint8_t first, ed_frame *frame)
{
    (void)first;
    frame->id.sequence = ed_read_varint(r);
}

static void read_time(ed_reader *r, uint8_t first, ed_frame *frame)
{
    (void)first;
    uint8_t kind = ed_read_u8(r);

    frame->time = (ed_time_frame){.is_answer = kind == TIME_ANSWER};
    if (kind == TIME_QUESTION)
        return;
    frame->time.packet = ed_read_u32(r);
    frame->time.held_ns = ed_read_varint(r);
    frame->time.time_ns = ed_read_u64(r);
    if (kind != TIME_ANSWER)
        ed_reader_fail(r);
}

static void read_ticket(ed_reader *r, uint8_t first, ed_frame *frame)
{
    (void)first;
    ed_read_into(r, frame->ticket, sizeof(frame->ticket));
}

/** Whether a fragment's place and size agree with the whole that it says it is of. */
static bool fragment_fits(const ed_message_frame *message)
{
    uint64_t whole = message->whole_size;
    uint64_t size = message->data.size;

    if (message->fragment_index > whole / ED_FRAGMENT_UNIT || size < ED_PART_SIZE_MIN)
        return false;
    uint64_t left = whole - message->fragment_index * ED_FRAGMENT_UNIT;
    return size == left || (size < left && size % ED_FRAGMENT_UNIT == 0);
}

/** The size that a message says that it has, if it follows another. */
static inline uint64_t read_next_size(ed_reader *r, unsigned form, size_t size_before)
{
    return form == BIT_EQUAL    ? size_before
           : form == BIT_LENGTH ? ed_read_varint(r)
                                : ed_reader_left(r);
}

static inline bool is_next_form(unsigned form)
{
    return form == 0 || form == BIT_EQUAL || form == BIT_LENGTH;
}

/** A message told by the one before it. */
static void read_next(ed_reader *r, uint8_t first, bool is_behind_message,
                      ed_message_frame *message)
{
    unsigned form = first & NEXT_FORM;
    bool may_follow = is_behind_message && !message->fragment;

    if (!may_follow)
        *message = (ed_message_frame){0}; // whatever stands there is none
    message->sequence = ed_frame_next_sequence(message);
    uint64_t size = read_next_size(r, form, message->data.size);
    message->data = size > ed_reader_left(r) ? (ed_span){0} : ed_read_bytes(r, (size_t)size);
    if (!SEC_CHECK(EDDY_CHECK_MESSAGE_NEXT, may_follow && is_next_form(form)) ||
        !SEC_CHECK(EDDY_CHECK_MESSAGE_FORM, size == message->data.size))
        ed_reader_fail(r);
}

/** @return the size that the frame says its data has, which is more than there is if it lies. */
static inline uint64_t read_message_fields(ed_reader *r, uint8_t first, ed_message_frame *message)
{
    bool wide = (first & BIT_WIDE) != 0;
    uint8_t guarantee = (first >> GUARANTEE_SHIFT) & GUARANTEE_MASK;
    bool fragment = (first & BIT_FRAGMENT) != 0;
    bool has_sequence = ed_frame_has_sequence(guarantee, fragment);

    message->guarantee = guarantee;
    message->fragment = fragment;
    message->stream = (first & BIT_STREAM) != 0 ? ed_read_u8(r) : 0;
    message->sequence_bits = !has_sequence ? 0 : wide ? 32 : 16;
    message->sequence = !has_sequence ? 0 : wide ? ed_read_u32(r) : ed_read_u16(r);
    message->whole_size = fragment ? ed_read_varint(r) : 0;
    message->fragment_index = fragment ? ed_read_varint(r) : 0;
    uint64_t size = (first & BIT_LENGTH) != 0 ? ed_read_varint(r) : ed_reader_left(r);
    message->data = size > ed_reader_left(r) ? (ed_span){0} : ed_read_bytes(r, (size_t)size);
    return size;
}

static void read_message(ed_reader *r, uint8_t first, ed_frame *frame)
{
    ed_message_frame *message = &frame->message;
    ed_reader own = *r; // what nobody else can see stays in registers
    uint64_t size = read_message_fields(&own, first, message);
    bool explicit_zero = (first & BIT_STREAM) != 0 && message->stream == 0;
    bool wide_for_nothing = (first & BIT_WIDE) != 0 && message->sequence_bits == 0;

    *r = own;
    if (!SEC_CHECK(EDDY_CHECK_MESSAGE_FORM, message->guarantee < ED_WIRE_GUARANTEE_COUNT &&
                                                !explicit_zero && !wide_for_nothing &&
                                                size == message->data.size) ||
        !SEC_CHECK(EDDY_CHECK_PART_PLACE, !message->fragment || fragment_fits(message)))
        ed_reader_fail(r);
}

static void (*const readers[ED_FRAME_TYPE_COUNT])(ed_reader *r, uint8_t first, ed_frame *frame) = {
    [ED_FRAME_PADDING] = read_padding,
    [ED_FRAME_PING] = read_nothing,
    [ED_FRAME_ACK] = read_ack,
    [ED_FRAME_CREDIT] = read_credit,
    [ED_FRAME_SKIP] = read_skip,
    [ED_FRAME_CLOSE] = read_close,
    [ED_FRAME_PATH_CHALLENGE] = read_path,
    [ED_FRAME_PATH_RESPONSE] = read_path,
    [ED_FRAME_NEW_ID] = read_new_id,
    [ED_FRAME_RETIRE_ID] = read_retire_id,
    [ED_FRAME_TIME] = read_time,
    [ED_FRAME_TICKET] = read_ticket,
    [ED_FRAME_MESSAGE] = read_message,
};

eddy_status ed_frame_read(ed_reader *r, ed_frame *frame)
{
    if (ed_reader_left(r) == 0)
        return EDDY_ETRUNCATED;
    uint8_t first = ed_read_u8(r);
    if (!SEC_CHECK(EDDY_CHECK_FRAME_TYPE, first >= MESSAGE_BIT || first < ED_FRAME_MESSAGE))
        return EDDY_EPROTO;

    bool is_behind_message = frame->type == ED_FRAME_MESSAGE;
    frame->type = first >= MESSAGE_BIT ? ED_FRAME_MESSAGE : (ed_frame_type)first;
    if (first >= FIRST_NEXT)
        read_next(r, first, is_behind_message, &frame->message);
    else
        readers[frame->type](r, first, frame);
    return SEC_CHECK(EDDY_CHECK_FRAME_END, ed_reader_ok(r)) ? EDDY_OK : EDDY_EPROTO;
}

/** Takes the data of one that follows. @return false if there is none, or it is a violation. */
static inline bool take_next(ed_reader *r, ed_span *data)
{
    ed_reader own = *r;

    if (ed_reader_left(&own) == 0 || *own.at < FIRST_NEXT)
        return false;
    unsigned form = ed_read_u8(&own) & NEXT_FORM;
    uint64_t size = read_next_size(&own, form, data->size);
    if (!is_next_form(form) || !ed_reader_ok(&own) || size > ed_reader_left(&own))
        return false;
    *data = ed_read_bytes(&own, (size_t)size);
    *r = own;
    return true;
}

size_t ed_frame_read_run(ed_reader *r, ed_message_frame *last, size_t most, ed_message_run *run)
{
    ed_reader own = *r;
    ed_span data = last->data;
    size_t count = 0;

    ED_ASSERT(!last->fragment && most > 0 && most <= ED_FRAME_MESSAGES_MAX);
    run->first = *last;
    do {
        run->sizes[count] = data.size;
        run->data[count] = data.data;
        count++;
    } while (count < most && take_next(&own, &data));
    last->sequence = ed_frame_later_sequence(last, count - 1);
    last->data = data;
    run->count = count;
    *r = own;
    return count;
}

/* --------------------------------------------------------------------------------- writing -- */

void ed_frame_write_ack(ed_writer *w, const ed_ranges *ranges, uint64_t delay_us)
{
    ED_ASSERT(ranges->count > 0 && ranges->count <= ED_ACK_RANGES_MAX);
    const ed_range *range = ranges->range;

    ed_write_u8(w, ED_FRAME_ACK);
    ed_write_varint(w, range[0].last);
    ed_write_varint(w, ed_min_u64(delay_us, ED_VARINT_MAX));
    ed_write_varint(w, ranges->count - 1);
    ed_write_varint(w, range[0].last - range[0].first);
    for (uint32_t i = 1; i < ranges->count; i++) {
        ED_ASSERT(range[i - 1].first >= range[i].last + GAP_MIN);
        ed_write_varint(w, range[i - 1].first - range[i].last - GAP_MIN);
        ed_write_varint(w, range[i].last - range[i].first);
    }
}

void ed_frame_write_close(ed_writer *w, const ed_close *close)
{
    ED_ASSERT(close->cause < ED_CLOSE_CAUSE_COUNT && close->reason_size < EDDY_REASON_SIZE);
    ed_write_u8(w, ED_FRAME_CLOSE);
    ed_write_u8(w, close->cause);
    ed_write_varint(w, close->code);
    ed_write_u8(w, close->reason_size);
    ed_write_bytes(w, close->reason, close->reason_size);
}

void ed_frame_write_credit(ed_writer *w, uint64_t limit)
{
    ed_write_u8(w, ED_FRAME_CREDIT);
    ed_write_varint(w, limit);
}

void ed_frame_write_skip(ed_writer *w, const ed_skip_frame *skip)
{
    ED_ASSERT(skip->guarantee >= ED_WIRE_RELIABLE_UNORDERED && skip->charge > 0);
    ed_write_u8(w, ED_FRAME_SKIP);
    ed_write_u8(w, skip->guarantee);
    ed_write_u8(w, skip->stream);
    ed_write_u32(w, skip->sequence);
    ed_write_varint(w, skip->charge);
}

void ed_frame_write_time(ed_writer *w, const ed_time_frame *time)
{
    ed_write_u8(w, ED_FRAME_TIME);
    ed_write_u8(w, time->is_answer ? TIME_ANSWER : TIME_QUESTION);
    if (!time->is_answer)
        return;
    ed_write_u32(w, time->packet);
    ed_write_varint(w, ed_min_u64(time->held_ns, ED_VARINT_MAX));
    ed_write_u64(w, time->time_ns);
}

void ed_frame_write_path(ed_writer *w, ed_frame_type type, uint64_t data)
{
    ED_ASSERT(type == ED_FRAME_PATH_CHALLENGE || type == ED_FRAME_PATH_RESPONSE);
    ed_write_u8(w, (uint8_t)type);
    ed_write_u64(w, data);
}

void ed_frame_write_message(ed_writer *to, const ed_message_frame *message)
{
    ed_writer own = *to; // what nobody else can see stays in registers
    ed_writer *w = &own;

    ED_ASSERT(message->guarantee < ED_WIRE_GUARANTEE_COUNT);
    ED_ASSERT((message->sequence_bits != 0) ==
              ed_frame_has_sequence(message->guarantee, message->fragment));
    unsigned first = MESSAGE_BIT | (unsigned)message->guarantee << GUARANTEE_SHIFT | BIT_LENGTH |
                     (message->stream != 0 ? BIT_STREAM : 0u) |
                     (message->sequence_bits == 32 ? BIT_WIDE : 0u) |
                     (message->fragment ? BIT_FRAGMENT : 0u);

    ed_write_u8(w, (uint8_t)first);
    if (message->stream != 0)
        ed_write_u8(w, message->stream);
    if (message->sequence_bits == 16)
        ed_write_u16(w, (uint16_t)message->sequence);
    if (message->sequence_bits == 32)
        ed_write_u32(w, message->sequence);
    if (message->fragment) {
        ed_write_varint(w, message->whole_size);
        ed_write_varint(w, message->fragment_index);
    }
    ed_write_varint(w, message->data.size);
    ed_write_bytes(w, message->data.data, message->data.size);
    *to = own;
}

void ed_frame_write_next(ed_writer *to, const ed_message_frame *message,
                         const ed_message_frame *before)
{
    size_t size = message->data.size;
    bool is_equal = size == before->data.size;
    size_t overhead = ed_frame_next_overhead(message, before);
    uint8_t *at = ed_write_reserve(to, overhead + size);

    ED_CHECKED(ed_frame_follows(message, before));
    if (at == NULL)
        return;
    *at = FIRST_NEXT | (is_equal ? BIT_EQUAL : BIT_LENGTH);
    if (!is_equal) {
        ed_writer length = ed_writer_of(at + 1, overhead - 1);
        ed_write_varint(&length, size);
    }
    if (size > 0)
        memcpy(at + overhead, message->data.data, size);
}

void ed_frame_drop_length(ed_writer *w, uint8_t *at, const ed_message_frame *message)
{
    size_t size = message->data.size;
    size_t length_size = ed_varint_size(size);

    ED_ASSERT(ed_writer_ok(w) && at >= w->begin && at < w->at);
    bool is_next = *at >= FIRST_NEXT;
    bool has_length = (*at & BIT_LENGTH) != 0;
    size_t overhead = !is_next     ? ed_frame_message_overhead(message)
                      : has_length ? 1 + length_size
                                   : 1;

    ED_ASSERT((size_t)(w->at - at) == overhead + size && (has_length || is_next));
    if (!has_length)
        return;
    *at &= (uint8_t)~BIT_LENGTH;
    memmove(w->at - size - length_size, w->at - size, size);
    w->at -= length_size;
}
