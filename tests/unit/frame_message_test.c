/** MESSAGE alone: what it may say, whole and in parts. frame_run_test.c has those behind it. */
#include "tests/support/splitmix.h"
#include "tests/unit/frame_bed.h"

static void message_bounds(void **state)
{
    static const struct bytes rows[] = {
        {"unreliable, nothing in it", true, 1, BYTES(0x80)},
        {"unreliable, to the end", true, 4, BYTES(0x80, 1, 2, 3)},
        {"length 0", true, 2, BYTES(0x88, 0)},
        {"length past the end", false, 3, BYTES(0x88, 4 * 2, 1)},
        {"length past any end", false, 10,
         BYTES(0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)},
        {"stream 1", true, 2, BYTES(0x84, 1)},
        {"stream 255", true, 2, BYTES(0x84, 255)},
        {"stream 0 said aloud", false, 2, BYTES(0x84, 0)},
        {"wide without a sequence", false, 5, BYTES(0x82, 1, 2, 3, 4)},
        {"wide", true, 5, BYTES(0xb2, 1, 2, 3, 4)},
        {"wide, cut", false, 4, BYTES(0xb2, 1, 2, 3)},
        {"guarantee 4", true, 3, BYTES(0xc0, 0, 0)},
        {"guarantee 5", false, 3, BYTES(0xd0, 0, 0)},
        {"guarantee 6", false, 3, BYTES(0xe0, 0, 0)},
        {"guarantee 6 and all bits", false, 20, BYTES(0xef, 1)},
    };

    (void)state;
    check_rows(rows, ED_COUNT(rows));
}

/** A fragment as it would be read, with `size` bytes of data to the packet's end. */
static size_t write_fragment(uint8_t *data, size_t capacity, uint64_t whole, uint64_t index,
                             size_t size)
{
    ed_writer w = ed_writer_of(data, capacity);

    ed_write_u8(&w, 0x81);
    ed_write_u16(&w, 7);
    ed_write_varint(&w, whole);
    ed_write_varint(&w, index);
    ed_write_zeros(&w, size);
    ED_ASSERT(ed_writer_ok(&w));
    return ed_writer_size(&w);
}

static void fragment_geometry(void **state)
{
    static const struct {
        const char *name;
        uint64_t whole;
        uint64_t index;
        size_t size;
        bool is_good;
    } rows[] = {
        {"all of a small one", 600, 0, 600, true},
        {"less than all", 600, 0, 599, false},
        {"more than all", 600, 0, 601, false},
        {"none of it", 600, 0, 0, false},
        {"nothing of nothing", 0, 0, 0, false},
        {"something of nothing", 0, 0, 600, false},
        {"first of two", 1025, 0, 512, true},
        {"first of two, a byte less", 1025, 0, 511, false},
        {"first of two, a byte more", 1025, 0, 513, false},
        {"both of two", 1025, 0, 1025, true},
        {"last of two", 1025, 4, 513, true},
        {"last of two, too long", 1025, 4, 514, false},
        {"the smallest last one", 1024, 4, 512, true},
        {"a smaller last one", 1023, 4, 511, false},
        {"a last byte", 1025, 8, 1, false},
        {"behind the end", 1024, 8, 512, false},
        {"behind, and empty", 1024, 8, 0, false},
        {"in the middle", 1 << 20, 500, 512, true},
        {"in the middle, a unit too small", 1 << 20, 500, 384, false},
        {"in the middle, crooked", 1 << 20, 500, 600, false},
        {"an index that would wrap", 600, UINT64_C(1) << 54, 600, false},
        {"the largest index", ED_VARINT_MAX, ED_VARINT_MAX, 512, false},
        {"the largest whole", ED_VARINT_MAX, 0, 512, true},
    };
    uint8_t data[1200];

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_frame frame;
        size_t left = 0;
        size_t size =
            write_fragment(data, sizeof(data), rows[i].whole, rows[i].index, rows[i].size);
        eddy_status got = read_copy(data, size, &frame, &left);
        CHECK_EQ(rows[i].name, got == EDDY_OK, rows[i].is_good);
        if (got != EDDY_OK)
            continue;
        CHECK_EQ(rows[i].name, frame.message.sequence_bits, 16);
        CHECK_EQ(rows[i].name, frame.message.whole_size, rows[i].whole);
        CHECK_EQ(rows[i].name, frame.message.fragment_index, rows[i].index);
    }
}

/** A message whose shape is drawn: all guarantees, streams, widths, whole or fragment. */
static ed_message_frame random_message(uint64_t *seed, const uint8_t *data)
{
    ed_message_frame m = {.guarantee = (uint8_t)splitmix_below(seed, ED_WIRE_GUARANTEE_COUNT),
                          .fragment = splitmix_below(seed, 2) == 0,
                          .data = {.data = data, .size = splitmix_below(seed, 1100)}};

    m.stream = (uint8_t)(splitmix_below(seed, 2) == 0 ? 0 : splitmix_next(seed));
    if (ed_frame_has_sequence(m.guarantee, m.fragment))
        m.sequence_bits = splitmix_below(seed, 2) == 0 ? 16 : 32;
    if (m.sequence_bits != 0)
        m.sequence = (uint32_t)(splitmix_next(seed) >> (64 - m.sequence_bits));
    if (m.fragment) {
        m.data.size = ED_PART_SIZE_MIN + splitmix_below(seed, 1100 - ED_PART_SIZE_MIN);
        m.fragment_index = splitmix_below(seed, 70000);
        m.whole_size = m.fragment_index * ED_FRAGMENT_UNIT + m.data.size;
    }
    return m;
}

static void check_message(const uint8_t *data, size_t size, const ed_message_frame *want)
{
    ed_frame frame;
    size_t left = 0;

    CHECK_EQ("read", read_copy(data, size, &frame, &left), EDDY_OK);
    CHECK_EQ("left", left, 0);
    CHECK_EQ("type", frame.type, ED_FRAME_MESSAGE);
    check_same(&frame.message, want);
}

/** With its length, and again after the length was taken out. */
static void messages_go_around(void **state)
{
    uint64_t seed = 4;
    uint8_t payload[1200], data[1400];

    (void)state;
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)splitmix_next(&seed);
    for (unsigned round = 0; round < 2000; round++) {
        ed_message_frame message = random_message(&seed, payload);
        size_t overhead = ed_frame_message_overhead(&message);
        size_t length_size = ed_varint_size(message.data.size);
        ed_writer w = ed_writer_of(data, sizeof(data));
        ed_write_u8(&w, ED_FRAME_PING);
        ed_frame_write_message(&w, &message);
        CHECK_EQ("overhead", ed_writer_size(&w), 1 + overhead + message.data.size);
        check_message(data + 1, ed_writer_size(&w) - 1, &message);
        ed_frame_drop_length(&w, data + 1, &message);
        CHECK_EQ("shorter", ed_writer_size(&w), 1 + overhead - length_size + message.data.size);
        check_message(data + 1, ed_writer_size(&w) - 1, &message);
        CHECK_EQ("what stands before stays", data[0], ED_FRAME_PING);
    }
}

/** PROTOCOL.md section 4: a small reliable message at the end costs 3 bytes. */
static void a_small_message_costs_three_bytes(void **state)
{
    ed_message_frame message = {.guarantee = ED_WIRE_RELIABLE_ORDERED,
                                .sequence_bits = 16,
                                .sequence = 7,
                                .data = {.data = (const uint8_t *)"hello", .size = 5}};
    uint8_t data[32];
    ed_writer w = ed_writer_of(data, sizeof(data));

    (void)state;
    ed_frame_write_message(&w, &message);
    CHECK_EQ("with length", ed_writer_size(&w), 4 + 5);
    ed_frame_drop_length(&w, data, &message);
    CHECK_EQ("without", ed_writer_size(&w), 3 + 5);
    CHECK_BYTES("bytes", data, "\xb0\x07\x00hello", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_bounds),
        cmocka_unit_test(fragment_geometry),
        cmocka_unit_test(messages_go_around),
        cmocka_unit_test(a_small_message_costs_three_bytes),
    };
    return cmocka_run_group_tests_name("frame_message", tests, NULL, NULL);
}
