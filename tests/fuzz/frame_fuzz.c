/** Any bytes as frames: what is read lies inside, keeps its promises, and is written as it was. */
#include <string.h>

#include "core/base.h"
#include "transport/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WRITTEN_MAX = 4096 };

static void check_ack(const ed_ack_frame *ack, ed_span bytes)
{
    uint8_t data[WRITTEN_MAX];
    ed_writer w = ed_writer_of(data, sizeof(data));
    ed_range places[ED_ACK_RANGES_MAX];
    ed_ranges ranges = ed_ranges_over(places, ED_ACK_RANGES_MAX);

    ED_ASSERT(ack->count >= 1 && ack->count <= ED_ACK_RANGES_MAX);
    for (uint32_t i = 0; i < ack->count; i++) {
        ED_ASSERT(ack->range[i].first <= ack->range[i].last);
        ED_ASSERT(ack->range[i].last <= ED_PACKET_NUMBER_LAST);
        ED_ASSERT(i == 0 || ack->range[i].last + 2 <= ack->range[i - 1].first);
        ranges.range[ranges.count++] = ack->range[i];
    }
    ED_ASSERT(ed_ranges_valid(&ranges));
    ed_frame_write_ack(&w, &ranges, ack->delay_us);
    ED_ASSERT(ed_writer_size(&w) == bytes.size && memcmp(data, bytes.data, bytes.size) == 0);
}

static void check_close(const ed_close *close, ed_span bytes)
{
    uint8_t data[WRITTEN_MAX];
    ed_writer w = ed_writer_of(data, sizeof(data));

    ED_ASSERT(close->cause < ED_CLOSE_CAUSE_COUNT && close->reason_size < EDDY_REASON_SIZE);
    ED_ASSERT(close->reason[close->reason_size] == 0);
    ed_frame_write_close(&w, close);
    ED_ASSERT(ed_writer_size(&w) == bytes.size && memcmp(data, bytes.data, bytes.size) == 0);
}

static void check_path(ed_frame_type type, uint64_t challenge, ed_span bytes)
{
    uint8_t data[WRITTEN_MAX];
    ed_writer w = ed_writer_of(data, sizeof(data));

    ed_frame_write_path(&w, type, challenge);
    ED_ASSERT(ed_writer_size(&w) == bytes.size && memcmp(data, bytes.data, bytes.size) == 0);
}

static void check_message(const ed_message_frame *message, ed_span bytes)
{
    static uint8_t data[1 << 16];
    ed_writer w = ed_writer_of(data, sizeof(data));
    const uint8_t *end = bytes.data + bytes.size;

    ED_ASSERT(message->guarantee < ED_WIRE_GUARANTEE_COUNT);
    ED_ASSERT(message->data.size == 0 ||
              (message->data.data >= bytes.data && message->data.data + message->data.size <= end));
    ed_frame_write_message(&w, message);
    if (!ed_writer_ok(&w))
        return; // longer than any packet
    ED_ASSERT(ed_writer_size(&w) == ed_frame_message_overhead(message) + message->data.size);
    if (ed_writer_size(&w) != bytes.size)
        ed_frame_drop_length(&w, data, message); // it ran to the packet's end
    ED_ASSERT(ed_writer_size(&w) == bytes.size && memcmp(data, bytes.data, bytes.size) == 0);
}

/** Of a message that is told by the one before it: what may be left out of that is what it says. */
static void check_next(const ed_message_frame *message, const ed_message_frame *before,
                       ed_span bytes)
{
    static uint8_t data[1 << 16];
    ed_writer w = ed_writer_of(data, sizeof(data));

    ED_ASSERT(!message->fragment && ed_frame_follows(message, before));
    ED_ASSERT(message->data.data + message->data.size == bytes.data + bytes.size);
    ED_ASSERT(bytes.size > message->data.size);
    ed_frame_write_next(&w, message, before);
    if (!ed_writer_ok(&w))
        return; // longer than any packet
    ED_ASSERT(ed_writer_size(&w) == ed_frame_next_overhead(message, before) + message->data.size);
    ed_reader r = ed_reader_of(data, ed_writer_size(&w));
    ed_frame again = {.type = ED_FRAME_MESSAGE, .message = *before};
    ED_ASSERT(ed_frame_read(&r, &again) == EDDY_OK && ed_reader_left(&r) == 0);
    ED_ASSERT(again.message.sequence == message->sequence);
    ED_ASSERT(again.message.data.size == message->data.size);
}

static void check_time(const ed_time_frame *time, ed_span bytes)
{
    uint8_t data[ED_TIME_SIZE_MAX];
    ed_writer w = ed_writer_of(data, sizeof(data));

    ed_frame_write_time(&w, time);
    ED_ASSERT(ed_writer_size(&w) == bytes.size && memcmp(data, bytes.data, bytes.size) == 0);
}

static void check_frame(const ed_frame *frame, const ed_frame *before, ed_span bytes)
{
    bool is_next = bytes.data[0] >= 0xf0;

    ED_ASSERT(bytes.size > 0 && frame->type < ED_FRAME_TYPE_COUNT);
    if (frame->type == ED_FRAME_ACK)
        check_ack(&frame->ack, bytes);
    if (frame->type == ED_FRAME_CLOSE)
        check_close(&frame->close, bytes);
    if (frame->type == ED_FRAME_PATH_CHALLENGE || frame->type == ED_FRAME_PATH_RESPONSE)
        check_path(frame->type, frame->challenge, bytes);
    if (frame->type == ED_FRAME_TIME)
        check_time(&frame->time, bytes);
    ED_ASSERT(!is_next || (before->type == ED_FRAME_MESSAGE && frame->type == ED_FRAME_MESSAGE));
    if (is_next)
        check_next(&frame->message, &before->message, bytes);
    else if (frame->type == ED_FRAME_MESSAGE)
        check_message(&frame->message, bytes);
    if (frame->type == ED_FRAME_SKIP)
        ED_ASSERT(frame->skip.guarantee >= ED_WIRE_RELIABLE_UNORDERED &&
                  frame->skip.guarantee < ED_WIRE_GUARANTEE_COUNT);
}

/** What follows a whole message is the same in one go as one by one. */
static void check_run(ed_reader one_by_one, ed_frame frame)
{
    ed_message_run run;
    ed_reader r = one_by_one;
    ed_message_frame last = frame.message;
    size_t count = ed_frame_read_run(&r, &last, ED_FRAME_MESSAGES_MAX, &run);

    for (size_t i = 0; i < count; i++) {
        ED_ASSERT(i == 0 || ed_frame_read(&one_by_one, &frame) == EDDY_OK);
        ed_message_frame message = ed_message_of_run(&run, i);
        ED_ASSERT(message.sequence == frame.message.sequence);
        ED_ASSERT(message.data.data == frame.message.data.data);
        ED_ASSERT(message.data.size == frame.message.data.size);
    }
    ED_ASSERT(r.at == one_by_one.at && last.sequence == frame.message.sequence);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);
    ed_frame frame = {.type = ED_FRAME_PADDING};

    while (ed_reader_left(&r) > 0) {
        const uint8_t *at = r.at;
        ed_frame before = frame;
        if (ed_frame_read(&r, &frame) != EDDY_OK) {
            ED_ASSERT(!ed_reader_ok(&r) || at == r.at - 1);
            break;
        }
        check_frame(&frame, &before, (ed_span){.data = at, .size = (size_t)(r.at - at)});
        if (frame.type == ED_FRAME_MESSAGE && !frame.message.fragment)
            check_run(r, frame);
    }
    return 0;
}
