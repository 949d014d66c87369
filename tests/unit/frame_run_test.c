/** Messages that are told by the one before them in the packet: PROTOCOL.md section 4. */
#include <stdio.h>

#include "tests/support/hex.h"
#include "tests/support/splitmix.h"
#include "tests/unit/frame_bed.h"

enum { ROW_MAX = 64, PACKET_MAX = 1400, RUN_MAX = 128 };

/** What a message's fields come to in a line. */
static void say(char *text, size_t room, const ed_message_frame *m)
{
    snprintf(text, room, "%u/%u %u:%x \"%.*s\"%s", m->guarantee, m->stream, m->sequence_bits,
             m->sequence, (int)m->data.size, (const char *)m->data.data,
             m->fragment ? " part" : "");
}

/** Reads all of a packet from memory of its own size. `*last`: the last frame of it. */
static eddy_status read_all(const uint8_t *data, size_t size, ed_frame *last, char *text,
                            size_t room)
{
    uint8_t *copy = test_malloc(size + 1);
    eddy_status status = EDDY_OK;

    memcpy(copy + 1, data, size);
    ed_reader r = ed_reader_of(copy + 1, size);
    last->type = ED_FRAME_PADDING;
    while (status == EDDY_OK && ed_reader_left(&r) > 0)
        status = ed_frame_read(&r, last);
    if (status == EDDY_OK && last->type == ED_FRAME_MESSAGE)
        say(text, room, &last->message);
    test_free(copy);
    return status;
}

/** Reads the packet of a row. @param text what its last message is. */
static eddy_status read_row(const char *hex, char text[ROW_MAX])
{
    uint8_t packet[ROW_MAX];
    ed_frame last;
    size_t size = hex_read(packet, sizeof(packet), hex);

    text[0] = '\0';
    return read_all(packet, size, &last, text, ROW_MAX);
}

/* Whole messages in hexadecimal. */
#define ORDERED "b80700086869"    /* reliable ordered, stream 0, sequence 7, "hi" */
#define STREAM_5 "bc05ffff086869" /* the same on stream 5, the last of 16 bits */

static void what_follows_is_read(void **state)
{
    static const struct {
        const char *name;
        const char *packet;
        const char *last;
    } rows[] = {
        {"to the end", ORDERED "f0796f", "3/0 16:8 \"yo\""},
        {"to the end, and empty", ORDERED "f0", "3/0 16:8 \"\""},
        {"of equal size", ORDERED "f4796f", "3/0 16:8 \"yo\""},
        {"with a length", ORDERED "f80479", "3/0 16:8 \"y\""},
        {"with a length of two bytes, and of nothing", ORDERED "f800", "3/0 16:8 \"\""},
        {"the length that it would have had", ORDERED "f808796f", "3/0 16:8 \"yo\""},
        {"a third", ORDERED "f4796ff47878", "3/0 16:9 \"xx\""},
        {"equal to the one before, not the first", ORDERED "f80479f478", "3/0 16:9 \"x\""},
        {"in 32 bits", "ba07000000086869f4796f", "3/0 32:8 \"yo\""},
        {"around 2^32", "baffffffff086869f4796f", "3/0 32:0 \"yo\""},
        {"around 2^16, on a stream", STREAM_5 "f4796f", "3/5 16:0 \"yo\""},
        {"reliable unordered", "a80700086869f4796f", "2/0 16:8 \"yo\""},
        {"reliable sequenced", "c80700086869f4796f", "4/0 16:8 \"yo\""},
        {"unreliable", "88086869f4796f", "0/0 0:0 \"yo\""},
        {"unreliable sequenced, on a stream", "9c05086869f4796f", "1/5 0:0 \"yo\""},
        {"of equal size 0", "8800f4", "0/0 0:0 \"\""},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        char text[ROW_MAX];
        CHECK_EQ(rows[i].name, read_row(rows[i].packet, text), EDDY_OK);
        CHECK_STR(rows[i].name, text, rows[i].last);
    }
}

static void what_follows_nothing_is_refused(void **state)
{
    static const struct {
        const char *name;
        const char *packet;
    } rows[] = {
        {"the first frame of a packet, to the end", "f06869"},
        {"the first frame, of equal size", "f4"},
        {"the first frame, with a length", "f8086869"},
        {"behind PADDING", "00f06869"},
        {"behind PING", "01f06869"},
        {"behind ACK", "0200000000f06869"},
        {"behind PING between the two", ORDERED "01f4796f"},
        {"behind PADDING between the two", ORDERED "00f4796f"},
        {"behind SKIP between the two", ORDERED "0403000800000004"
                                                "f4796f"},
        {"both a length and equal", ORDERED "fc08796f"},
        {"both, and no length", ORDERED "fc796f"},
        {"a reserved bit", ORDERED "f1796f"},
        {"the other reserved bit", ORDERED "f2796f"},
        {"equal, and a reserved bit", ORDERED "f5796f"},
        {"equal, and the other", ORDERED "f6796f"},
        {"a length, and a reserved bit", ORDERED "f908796f"},
        {"a length, and the other", ORDERED "fa08796f"},
        {"all bits", ORDERED "ff08796f"},
        {"equal, and a byte short", ORDERED "f479"},
        {"equal, and the packet ends", ORDERED "f4"},
        {"a length past the end", ORDERED "f80c796f"},
        {"a length that is not there", ORDERED "f8"},
        {"a length in more bytes than it needs", ORDERED "f80900796f"},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        char text[ROW_MAX];
        CHECK_EQ(rows[i].name, read_row(rows[i].packet, text), EDDY_EPROTO);
    }
}

/** A part has no message that follows it, whatever of it is left out. */
static void what_follows_a_part_is_refused(void **state)
{
    static const char *const rows[] = {"f4", "f0", "f800"};
    static const uint8_t zeros[ED_PART_SIZE_MIN];
    ed_message_frame part = {.guarantee = ED_WIRE_RELIABLE_ORDERED,
                             .sequence_bits = 16,
                             .fragment = true,
                             .whole_size = 2 * sizeof(zeros),
                             .data = {zeros, sizeof(zeros)}};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t packet[2 * ED_PART_SIZE_MIN + ROW_MAX] = {0};
        char text[ROW_MAX] = "";
        ed_frame last;
        ed_writer w = ed_writer_of(packet, sizeof(packet));
        ed_frame_write_message(&w, &part);
        size_t size = ed_writer_size(&w);
        CHECK_EQ("alone", read_all(packet, size, &last, text, 1), EDDY_OK);
        size += hex_read(w.at, ed_writer_left(&w), rows[i]);
        size += rows[i][1] == '4' ? sizeof(zeros) : 0;
        CHECK_EQ(rows[i], read_all(packet, size, &last, text, 1), EDDY_EPROTO);
    }
}

/** A message that draws what of it is as in the one before. */
static ed_message_frame random_message(const ed_message_frame *before, const uint8_t *data,
                                       uint64_t *seed)
{
    ed_message_frame m = *before;

    if (splitmix_below(seed, 8) == 0)
        m.guarantee = (uint8_t)splitmix_below(seed, ED_WIRE_GUARANTEE_COUNT);
    if (splitmix_below(seed, 8) == 0)
        m.stream = (uint8_t)splitmix_below(seed, 2);
    m.fragment = splitmix_below(seed, 8) == 0;
    m.whole_size = m.fragment ? 2 * ED_PART_SIZE_MIN : 0;
    m.sequence_bits = !ed_frame_has_sequence(m.guarantee, m.fragment) ? 0 : 16;
    if (m.sequence_bits != 0 && splitmix_below(seed, 16) == 0)
        m.sequence_bits = 32;
    m.sequence = ed_frame_next_sequence(&m);
    if (m.sequence_bits != 0 && splitmix_below(seed, 8) == 0)
        m.sequence = (uint16_t)splitmix_next(seed);
    if (splitmix_below(seed, 4) == 0 || before->fragment)
        m.data.size = splitmix_below(seed, 100);
    m.data.size = m.fragment ? ED_PART_SIZE_MIN : m.data.size;
    m.data.data = data + splitmix_below(seed, 100);
    return m;
}

/** Writes as many as fit, each behind the last where it follows it. @return how many. */
static size_t write_run(ed_writer *w, ed_message_frame *messages, uint64_t *seed,
                        const uint8_t *data)
{
    ed_message_frame before = {.data = {data, 10}};
    uint8_t *at = w->at;
    size_t count = 0;

    for (; count < RUN_MAX; count++) {
        ed_message_frame *m = &messages[count];
        *m = random_message(&before, data, seed);
        bool follows = count > 0 && ed_frame_follows(m, &before);
        size_t overhead =
            follows ? ed_frame_next_overhead(m, &before) : ed_frame_message_overhead(m);
        if (overhead + m->data.size > ed_writer_left(w))
            break;
        at = w->at;
        if (follows)
            ed_frame_write_next(w, m, &before);
        else
            ed_frame_write_message(w, m);
        CHECK_EQ("overhead", w->at - at, overhead + m->data.size);
        CHECK("saves", ed_frame_message_overhead(m) - overhead <= ED_FRAME_NEXT_SAVES_MAX);
        before = *m;
    }
    ed_frame_drop_length(w, at, &before);
    return count;
}

static void packets_go_around(void **state)
{
    static ed_message_frame messages[RUN_MAX];
    uint8_t payload[1400], data[PACKET_MAX];
    uint64_t seed = 6;

    (void)state;
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)splitmix_next(&seed);
    for (unsigned round = 0; round < 2000; round++) {
        ed_writer w = ed_writer_of(data, 700 + splitmix_below(&seed, sizeof(data) - 700));
        size_t count = write_run(&w, messages, &seed, payload);
        ed_reader r = ed_reader_of(data, ed_writer_size(&w));
        ed_frame frame = {.type = ED_FRAME_PADDING};
        for (size_t i = 0; i < count; i++) {
            CHECK_EQ("read", ed_frame_read(&r, &frame), EDDY_OK);
            CHECK_EQ("type", frame.type, ED_FRAME_MESSAGE);
            check_same(&frame.message, &messages[i]);
        }
        CHECK_EQ("all", ed_reader_left(&r), 0);
    }
}

/** What a packet says, one message a place. */
struct said {
    size_t count;
    eddy_status status;
    ed_message_frame messages[PACKET_MAX];
};

static void read_one_by_one(ed_reader r, struct said *said)
{
    ed_frame frame = {.type = ED_FRAME_PADDING};

    said->count = 0;
    said->status = EDDY_OK;
    while (ed_reader_left(&r) > 0 && said->status == EDDY_OK) {
        said->status = ed_frame_read(&r, &frame);
        if (said->status == EDDY_OK && frame.type == ED_FRAME_MESSAGE)
            said->messages[said->count++] = frame.message;
    }
}

static void read_in_runs(ed_reader r, uint64_t *seed, struct said *said)
{
    ed_frame frame = {.type = ED_FRAME_PADDING};
    ed_message_run run;

    said->count = 0;
    said->status = EDDY_OK;
    while (ed_reader_left(&r) > 0 && said->status == EDDY_OK) {
        said->status = ed_frame_read(&r, &frame);
        if (said->status != EDDY_OK || frame.type != ED_FRAME_MESSAGE)
            continue;
        size_t most = 1 + splitmix_below(seed, ED_FRAME_MESSAGES_MAX);
        if (frame.message.fragment)
            said->messages[said->count++] = frame.message;
        else
            CHECK("most", ed_frame_read_run(&r, &frame.message, most, &run) <= most);
        for (size_t i = 0; !frame.message.fragment && i < run.count; i++)
            said->messages[said->count++] = ed_message_of_run(&run, i);
    }
}

static void runs_are_read_as_one_by_one(void **state)
{
    static ed_message_frame messages[RUN_MAX];
    static struct said alone, together;
    uint8_t payload[1400], data[PACKET_MAX];
    uint64_t seed = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)splitmix_next(&seed);
    for (unsigned round = 0; round < 4000; round++) {
        ed_writer w = ed_writer_of(data, sizeof(data));
        (void)write_run(&w, messages, &seed, payload);
        size_t size = ed_writer_size(&w);
        if (round % 2 == 0)
            data[splitmix_below(&seed, (uint32_t)size)] = (uint8_t)splitmix_next(&seed);
        read_one_by_one(ed_reader_of(data, size), &alone);
        read_in_runs(ed_reader_of(data, size), &seed, &together);
        CHECK_EQ("count", together.count, alone.count);
        CHECK_EQ("status", together.status, alone.status);
        for (size_t i = 0; i < alone.count; i++)
            check_same(&together.messages[i], &alone.messages[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_follows_is_read),
        cmocka_unit_test(what_follows_nothing_is_refused),
        cmocka_unit_test(what_follows_a_part_is_refused),
        cmocka_unit_test(packets_go_around),
        cmocka_unit_test(runs_are_read_as_one_by_one),
    };
    return cmocka_run_group_tests_name("frame_run", tests, NULL, NULL);
}
